use plasma_modules::{Memory, auth, token};
use plasma_proto::{
    cosmos::{
        auth::v1beta1::{BaseAccount, QueryAccountRequest, QueryAccountResponse},
        bank::v1beta1::{
            Input, MsgMultiSend, Output, QuerySpendableBalancesRequest,
            QuerySpendableBalancesResponse,
        },
        vesting::v1beta1::{
            ContinuousVestingAccount, DelayedVestingAccount, MsgCreatePeriodicVestingAccount,
            MsgCreatePermanentLockedAccount, MsgCreateVestingAccount, Period,
            PeriodicVestingAccount, PermanentLockedAccount,
        },
    },
    plasma::{
        auth::v1::{Vesting, VestingKind},
        genesis::v1::Balance,
        market::v1::{Hardware, MsgRegisterProvider},
    },
};

use super::*;

fn seconds(time_s: u64) -> i64 {
    i64::try_from(time_s).unwrap()
}

fn vesting(from: &Account, to: Address, units: u128, end_s: u64, delayed: bool) -> Any {
    any(&MsgCreateVestingAccount {
        from_address: from.address.text(),
        to_address: to.text(),
        amount: vec![coin(units)],
        end_time: seconds(end_s),
        delayed,
    })
}

fn permanent(from: &Account, to: Address, units: u128) -> Any {
    any(&MsgCreatePermanentLockedAccount {
        from_address: from.address.text(),
        to_address: to.text(),
        amount: vec![coin(units)],
    })
}

fn periodic(from: &Account, to: Address, start_s: u64, periods: &[(i64, u128)]) -> Any {
    let period =
        |(length, units): &(i64, u128)| Period { length: *length, amount: vec![coin(*units)] };
    any(&MsgCreatePeriodicVestingAccount {
        from_address: from.address.text(),
        to_address: to.text(),
        start_time: seconds(start_s),
        vesting_periods: periods.iter().map(period).collect(),
    })
}

fn account(chain: &Chain, address: Address) -> Any {
    let request = QueryAccountRequest { address: address.text() };
    let answer: QueryAccountResponse =
        ask(chain, "/cosmos.auth.v1beta1.Query/Account", &request).unwrap();
    answer.account.unwrap()
}

fn spendable(chain: &Chain, address: Address) -> u128 {
    let request = QuerySpendableBalancesRequest { address: address.text(), pagination: None };
    let path = "/cosmos.bank.v1beta1.Query/SpendableBalances";
    let answer: QuerySpendableBalancesResponse = ask(chain, path, &request).unwrap();
    answer.balances.first().map_or(0, |coin| coin.amount.parse().unwrap())
}

#[test]
fn each_kind_of_lock_opens_an_account_of_its_type() {
    let alice = Account::new(1);
    let to: Vec<_> = (11..15).map(Account::new).collect();
    let mut chain = start(&[&alice]);
    let now = chain.time_s + 1;
    done(
        &mut chain,
        &alice,
        vec![
            vesting(&alice, to[0].address, XPL, now + 100, false),
            vesting(&alice, to[1].address, XPL, now + 100, true),
            periodic(&alice, to[2].address, now, &[(10, XPL / 4), (30, XPL / 4), (60, XPL / 2)]),
            permanent(&alice, to[3].address, XPL),
        ],
    );
    let continuous: ContinuousVestingAccount = read(&account(&chain, to[0].address));
    let base = continuous.base_vesting_account.unwrap();
    assert_eq!((continuous.start_time, base.end_time), (seconds(now), seconds(now + 100)));
    assert_eq!(base.original_vesting, [coin(XPL)]);
    assert_eq!(base.base_account.unwrap().address, to[0].address.text());
    let _: DelayedVestingAccount = read(&account(&chain, to[1].address));
    let parts: PeriodicVestingAccount = read(&account(&chain, to[2].address));
    assert_eq!(parts.vesting_periods.len(), 3);
    let forever: PermanentLockedAccount = read(&account(&chain, to[3].address));
    assert_eq!(forever.base_vesting_account.unwrap().end_time, 0);

    for (later, expected) in [
        (0, [0, 0, 0, 0]),
        (9, [XPL * 9 / 100, 0, 0, 0]),
        (1, [XPL / 10, 0, XPL / 4, 0]),
        (30, [XPL * 4 / 10, 0, XPL / 2, 0]),
        (59, [XPL * 99 / 100, 0, XPL / 2, 0]),
        (1, [XPL, XPL, XPL, 0]),
    ] {
        if later != 0 {
            chain.block_after(later, &[]);
        }
        let found: Vec<_> = to.iter().map(|to| spendable(&chain, to.address)).collect();
        assert_eq!(found, expected, "{}s", chain.time_s - now);
    }
    // Free money that comes later is free at once.
    done(&mut chain, &alice, vec![send(&alice, to[3].address, 7)]);
    assert_eq!(spendable(&chain, to[3].address), 7);

    assert_eq!(chain.exported(), chain.timeless());
}

/// Send, multi-send, fee, bond: nothing takes what is locked; what is free can go to the last unit.
#[test]
fn nothing_takes_what_is_locked() {
    let (alice, carol) = (Account::new(1), Account::new(11));
    let mut chain = start(&[&alice]);
    done(
        &mut chain,
        &alice,
        vec![permanent(&alice, carol.address, 40 * XPL), send(&alice, carol.address, XPL)],
    );
    let balance = 41 * XPL;
    let too_much = XPL - 50_000 + 1;
    let send_result = run(&mut chain, &carol, vec![send(&carol, alice.address, too_much)]);
    assert_eq!(code(&send_result), ("sdk", 5));
    assert_eq!(
        send_result.log,
        "failed to execute message; message index: 0: insufficient funds: spendable balance 950000uxpl is smaller than 950001uxpl"
    );
    let side = |units| vec![coin(units)];
    let multi = MsgMultiSend {
        inputs: vec![Input { address: carol.address.text(), coins: side(XPL) }],
        outputs: vec![Output { address: alice.address.text(), coins: side(XPL) }],
    };
    assert_eq!(code(&run(&mut chain, &carol, vec![any(&multi)])), ("sdk", 5));
    let bond = MsgRegisterProvider {
        operator: carol.address.text(),
        receipt_key: vec![7; 32],
        receipt_key_proof: vec![7; 64],
        endpoint: "https://rig.example:8443".into(),
        tls_key_hash: vec![],
        hardware: Some(Hardware { device: "cpu".into(), cores: 1, ..Hardware::default() }),
        region: "eu".into(),
        bond_uxpl: XPL.to_string(),
        asks: vec![],
    };
    // Its proof is false, so its own rule refuses it first; the debit below is the one that it makes.
    assert_ne!(run(&mut chain, &carol, vec![any(&bond)]).code, 0);
    assert_eq!(chain.balance(carol.address), balance - 150_000);
    let mut state = Overlay::new(&chain.store);
    let block = chain::next_block(&chain.store, common::CHAIN_ID, 9, chain.time_s);
    let (mut events, mut fee) =
        (plasma_modules::Events::default(), plasma_modules::FeePaid::default());
    let mut ctx = plasma_modules::Ctx {
        store: &mut state,
        block: &block,
        events: &mut events,
        fee: &mut fee,
    };
    let (free, escrow) = (850_000, Address::of_module("market_escrow"));
    let amount = plasma_modules::Amount::new;
    assert!(token::transfer(&mut ctx, carol.address, escrow, amount(free + 1)).is_err());
    assert!(token::burn(&mut ctx, carol.address, amount(free + 1)).is_err());
    assert!(token::transfer(&mut ctx, carol.address, escrow, amount(free)).is_ok());

    // A fee above what is free is refused before anything is done.
    let draft = chain.draft(&carol, vec![send(&carol, alice.address, 1)]);
    let tx = Draft { fee: free + 1, ..draft.clone() }.sign(&carol);
    let refused = chain.process(&[&tx]).unwrap_err();
    assert_eq!((refused.codespace, refused.code), ("sdk", 5));
    let tx = Draft { msgs: vec![send(&carol, alice.address, free - 50_000)], ..draft }.sign(&carol);
    assert_eq!(chain.block(&[tx])[0].code, 0);
    assert_eq!((chain.balance(carol.address), spendable(&chain, carol.address)), (40 * XPL, 0));
}

/// A lock is put on a new account alone: not on another's, not on a module's.
#[test]
fn locks_that_cannot_be_are_refused_with_written_codes() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = start(&[&alice, &bob]);
    let (new, module) = (Account::new(11).address, Address::of_module("bonded_tokens_pool"));
    let later = chain.time_s + 1_000;
    let many = vec![(1, 1_000); 65];
    let cases = [
        ("an account that exists", vesting(&alice, bob.address, 100, later, false), ("sdk", 18)),
        ("one's own", permanent(&alice, alice.address, 100), ("sdk", 18)),
        ("a module's", vesting(&alice, module, 100, later, true), ("sdk", 4)),
        ("a module's for good", permanent(&alice, module, 100), ("sdk", 4)),
        ("a module's in parts", periodic(&alice, module, later, &[(1, 100)]), ("sdk", 4)),
        ("dust", permanent(&alice, new, 99), ("token", 7)),
        ("nothing", permanent(&alice, new, 0), ("sdk", 10)),
        ("the past", vesting(&alice, new, 100, chain.time_s, false), ("sdk", 18)),
        ("the past, delayed", vesting(&alice, new, 100, chain.time_s, true), ("sdk", 18)),
        ("no end", vesting(&alice, new, 100, 0, true), ("sdk", 18)),
        ("no start", periodic(&alice, new, 0, &[(1, 100)]), ("sdk", 18)),
        ("no periods", periodic(&alice, new, later, &[]), ("sdk", 18)),
        ("an empty period", periodic(&alice, new, later, &[(0, 100)]), ("sdk", 18)),
        ("a negative period", periodic(&alice, new, later, &[(5, 50), (-1, 50)]), ("sdk", 18)),
        ("an endless period", periodic(&alice, new, later, &[(i64::MAX, 100)]), ("sdk", 18)),
        ("a period of nothing", periodic(&alice, new, later, &[(1, 0)]), ("sdk", 10)),
        ("too many periods", periodic(&alice, new, later, &many), ("sdk", 18)),
        (
            "periods that overflow",
            periodic(&alice, new, later, &[(1, u128::MAX), (1, u128::MAX)]),
            ("token", 3),
        ),
        ("more than there is", permanent(&alice, new, 1_000 * XPL), ("sdk", 5)),
    ];
    for (name, msg, expected) in cases {
        let result = run(&mut chain, &alice, vec![msg]);
        assert_eq!(code(&result), expected, "{name}: {}", result.log);
        assert!(auth::account(&chain.store, new).is_none(), "{name}");
    }
    let _: BaseAccount = read(&account(&chain, bob.address));
}

#[test]
fn a_genesis_may_lock_money_of_its_accounts() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut state = genesis(&[&alice], 100 * XPL);
    let token = state.token.as_mut().unwrap();
    token.balances.push(Balance { address: bob.address.text(), coins: vec![coin(9 * XPL)] });
    token.balances.sort_by_key(|balance| Address::parse(&balance.address).unwrap());
    let lock = Vesting {
        address: bob.address.text(),
        kind: VestingKind::Delayed.into(),
        original_vesting: vec![coin(8 * XPL)],
        end_time: seconds(common::TIME_S + 10),
        ..Vesting::default()
    };
    let owner = BaseAccount { address: bob.address.text(), ..BaseAccount::default() };
    let auth = state.auth.as_mut().unwrap();
    (auth.accounts, auth.next_account_number) = (vec![owner], 1);
    auth.vestings = vec![lock.clone()];
    let mut chain = Chain::new(&state);
    assert_eq!(spendable(&chain, bob.address), XPL);
    chain.block_after(10, &[]);
    assert_eq!(spendable(&chain, bob.address), 9 * XPL);

    let refused = |change: &dyn Fn(&mut Vec<Vesting>)| {
        let mut state = state.clone();
        change(&mut state.auth.as_mut().unwrap().vestings);
        let mut store = Memory::default();
        chain::init(&mut store, common::CHAIN_ID, common::TIME_S, &state).is_err()
    };
    assert!(refused(&|locks| locks.push(lock.clone())), "twice");
    assert!(refused(&|locks| locks[0].address = alice.address.text()), "no such account yet");
    assert!(refused(&|locks| locks[0].end_time = 0), "no end");
    assert!(!refused(&|_| ()));
}

/// 10^5 accounts of dust cost at least the set price of each, and their fees.
#[test]
fn accounts_of_dust_have_their_price() {
    const ACCOUNTS: usize = 100_000;
    const PER_MESSAGE: usize = 250;
    let alice = Account::new(1);
    let mut chain = start(&[&alice]);
    let before = chain.balance(alice.address);
    let address = |n: usize| {
        let mut bytes = [0xd0; 20];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        Address(bytes)
    };
    let multi = |from: usize, units: u128| {
        let output = |n| Output { address: address(n).text(), coins: vec![coin(units)] };
        let total = vec![coin(units * u128::try_from(PER_MESSAGE).unwrap())];
        any(&MsgMultiSend {
            inputs: vec![Input { address: alice.address.text(), coins: total }],
            outputs: (from..from + PER_MESSAGE).map(output).collect(),
        })
    };
    let result = run(&mut chain, &alice, vec![send(&alice, address(0), 99)]);
    assert_eq!(code(&result), ("token", 7), "{}", result.log);
    assert!(result.log.contains("send at least 100uxpl"), "{}", result.log);
    let draft = chain.draft(&alice, vec![multi(0, 99)]);
    let tx = Draft { gas: 8_000_000, ..draft }.sign(&alice);
    assert_eq!(chain.block(&[tx])[0].code, 7);
    let fees = before - chain.balance(alice.address);

    // 2 messages of 250 in a transaction, 50 transactions in a block.
    let number = chain.account_number(alice.address);
    let mut first = 0;
    while first < ACCOUNTS {
        let mut txs = vec![];
        let sequence = chain.sequence(alice.address);
        for n in 0..50 {
            let msgs = vec![multi(first, 100), multi(first + PER_MESSAGE, 100)];
            first += 2 * PER_MESSAGE;
            let draft = Draft::new(msgs, number, sequence + n);
            txs.push(Draft { gas: 12_000_000, ..draft }.sign(&alice));
        }
        chain.height += 1;
        chain.time_s += 1;
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let input = chain::BlockInput {
            chain_id: common::CHAIN_ID,
            height: chain.height,
            time_s: chain.time_s,
            proposer: [0; 20],
            txs: &txs,
            votes: &[],
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        };
        let output = chain::execute_block(&chain.store, &input, &tx::NoMemory);
        assert!(output.txs.iter().all(|tx| tx.code == 0), "{}", output.txs[0].log);
        chain.store.apply(output.writes);
    }
    chain::check_invariants(&chain.store).unwrap();
    let opened = (0..ACCOUNTS).filter(|n| auth::account(&chain.store, address(*n)).is_some());
    assert_eq!(opened.count(), ACCOUNTS);
    let paid = before - chain.balance(alice.address) - fees;
    assert!(paid >= 100 * 100_000, "{paid}");
}
