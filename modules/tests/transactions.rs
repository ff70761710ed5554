//! What a transaction must be, and what is left of one that is refused: its fee at most.

mod common;

use std::sync::Arc;

use common::{Account, CHAIN_ID, Chain, Draft, Remember, XPL, any, coin, genesis, send};
use plasma_modules::{Memory, Overlay, Table, Write as _, auth, chain, tx};
use plasma_proto::cosmos::{
    auth::v1beta1::BaseAccount,
    bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output},
    tx::{signing::v1beta1::SignMode, v1beta1::TxRaw},
};
use prost::Message;
use prost_types::Any;

fn start() -> (Chain, Account, Account) {
    let (alice, bob) = (Account::new(1), Account::new(2));
    (Chain::new(&genesis(&[&alice, &bob], 100 * XPL)), alice, bob)
}

#[test]
fn a_send_moves_money_and_pays_its_fee() {
    let (mut chain, alice, bob) = start();
    let carol = Account::new(3);
    let draft = chain.draft(&alice, vec![send(&alice, carol.address, XPL)]);
    let results = chain.block(&[draft.sign(&alice)]);
    assert_eq!(results[0].code, 0, "{}", results[0].log);
    assert_eq!(chain.balance(carol.address), XPL);
    assert_eq!(chain.balance(alice.address), 99 * XPL - 50_000);
    assert_eq!(chain.balance(bob.address), 100 * XPL);
    assert!((60_000..=80_000).contains(&results[0].gas_used), "{}", results[0].gas_used);
    let kinds: Vec<_> = results[0].events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            "coin_spent",
            "burn",
            "coin_spent",
            "coin_received",
            "transfer",
            "message",
            "tx",
            "tx",
            "tx",
            "message",
            "coin_spent",
            "coin_received",
            "transfer",
            "message"
        ]
    );
    // The new account can act at once.
    let draft = chain.draft(&carol, vec![send(&carol, bob.address, 1)]);
    assert_eq!(chain.block(&[draft.sign(&carol)])[0].code, 0);
}

/// Everything that a transaction can be refused for before its messages run changes nothing.
#[test]
fn the_ante_refuses_with_written_codes_and_changes_nothing() {
    let (mut chain, alice, bob) = start();
    let good = chain.draft(&alice, vec![send(&alice, bob.address, 5)]);
    let with = |change: &dyn Fn(&mut Draft)| {
        let mut draft = good.clone();
        change(&mut draft);
        draft.sign(&alice)
    };
    let stranger = Account::new(9);
    let mut bad_signature = TxRaw::decode(good.sign(&alice).as_slice()).unwrap();
    bad_signature.signatures[0][10] ^= 1;
    let mut no_signature = bad_signature.clone();
    no_signature.signatures.clear();
    let mut unknown_field = good.sign(&alice);
    unknown_field.extend([0xfa, 0x01, 0x00]);
    let high_s = high_s(&good.sign(&alice));
    let unknown_type =
        Any { type_url: "/cosmos.gov.v1.MsgExecLegacyContent".into(), value: vec![] };
    let mut foreign_fee = good.clone();
    foreign_fee.fee = 0;

    let cases: Vec<(&str, Vec<u8>, (&str, u32))> = vec![
        ("chain id", with(&|d| d.chain_id = "other-1".into()), ("sdk", 4)),
        ("account number", with(&|d| d.account_number += 1), ("sdk", 4)),
        ("another's key", good.sign(&bob), ("sdk", 8)),
        ("signature", bad_signature.encode_to_vec(), ("sdk", 4)),
        ("high S", high_s, ("sdk", 4)),
        ("no signature", no_signature.encode_to_vec(), ("sdk", 15)),
        ("sequence", with(&|d| d.sequence += 1), ("sdk", 32)),
        ("fee", with(&|d| d.fee = 99), ("sdk", 13)),
        ("fee above the balance", with(&|d| d.fee = 101 * XPL), ("sdk", 5)),
        ("fee that overflows", with(&|d| d.fee = u128::MAX), ("sdk", 5)),
        ("gas", with(&|d| d.gas = 10_000), ("sdk", 11)),
        ("gas above a block's", with(&|d| d.gas = u64::MAX), ("sdk", 18)),
        ("memo", with(&|d| d.memo = "m".repeat(257)), ("sdk", 12)),
        ("timeout", with(&|d| d.timeout_height = 1), ("sdk", 30)),
        ("no message", with(&|d| d.msgs.clear()), ("sdk", 18)),
        ("unknown message", with(&|d| d.msgs = vec![unknown_type.clone()]), ("sdk", 2)),
        (
            "no account",
            Draft::new(vec![send(&stranger, bob.address, 1)], 0, 0).sign(&stranger),
            ("sdk", 9),
        ),
        ("unknown field", unknown_field, ("sdk", 2)),
        ("nothing", vec![], ("sdk", 18)),
        ("garbage", vec![0xff; 40], ("sdk", 2)),
        ("too large", vec![0x0a; tx::TX_BYTES_MAX + 1], ("sdk", 21)),
        ("zero amount", with(&|d| d.msgs = vec![send(&alice, bob.address, 0)]), ("sdk", 10)),
        ("bad amount", with(&|d| d.msgs = vec![send_text(&alice, &bob, "0x10")]), ("sdk", 10)),
        (
            "overflowing amount",
            with(&|d| {
                d.msgs = vec![send_text(&alice, &bob, "340282366920938463463374607431768211456")]
            }),
            ("sdk", 10),
        ),
        (
            "bad address",
            with(&|d| {
                d.msgs = vec![any(&MsgSend {
                    from_address: alice.address.text(),
                    to_address: "cosmos1qqq".into(),
                    amount: vec![coin(1)],
                })]
            }),
            ("sdk", 7),
        ),
    ];
    chain.block(&[]);
    for (name, bytes, (codespace, code)) in cases {
        let before = chain.store.clone();
        let result = chain.block(&[bytes]).remove(0);
        assert_eq!((result.codespace, result.code), (codespace, code), "{name}: {}", result.log);
        assert!(result.data.is_empty() && result.events.is_empty(), "{name}");
        let mut twin = Chain { store: before, ..chain.clone() };
        twin.height -= 1;
        twin.time_s -= 1;
        twin.block(&[]);
        assert_eq!(twin.store, chain.store, "{name} changed more than an empty block does");
    }
}

fn send_text(from: &Account, to: &Account, amount: &str) -> Any {
    let coin =
        plasma_proto::cosmos::base::v1beta1::Coin { denom: "uxpl".into(), amount: amount.into() };
    any(&MsgSend {
        from_address: from.address.text(),
        to_address: to.address.text(),
        amount: vec![coin],
    })
}

/// The same signature with S replaced by n - S.
fn high_s(tx: &[u8]) -> Vec<u8> {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    let mut tx = TxRaw::decode(tx).unwrap();
    let mut borrow = 0i16;
    for at in (0..32).rev() {
        let digit = i16::from(N[at]) - i16::from(tx.signatures[0][32 + at]) - borrow;
        borrow = i16::from(digit < 0);
        tx.signatures[0][32 + at] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    tx.encode_to_vec()
}

/// A message that fails keeps the fee and the sequence, and undoes the messages before it.
#[test]
fn a_failed_message_pays_and_counts_but_moves_nothing() {
    let (mut chain, alice, bob) = start();
    let msgs = vec![send(&alice, bob.address, XPL), send(&alice, bob.address, 1_000 * XPL)];
    let draft = chain.draft(&alice, msgs);
    let result = chain.block(&[draft.sign(&alice)]).remove(0);
    assert_eq!((result.codespace, result.code), ("sdk", 5), "{}", result.log);
    assert_eq!(chain.balance(bob.address), 100 * XPL);
    assert_eq!(chain.balance(alice.address), 100 * XPL - 50_000);
    assert_eq!(chain.sequence(alice.address), 1);
    // The same bytes again are a used sequence.
    let again = chain.block(&[draft.sign(&alice)]).remove(0);
    assert_eq!((again.codespace, again.code), ("sdk", 32));
    assert_eq!(
        again.log,
        "account sequence mismatch, expected 1, got 0: incorrect account sequence"
    );
}

/// Every transaction of a block pays before any message runs, so a message that empties an account
/// does not make the account's later transactions free: what a proposal was accepted for happens.
#[test]
fn no_message_keeps_a_later_transaction_from_paying() {
    let (mut chain, alice, bob) = start();
    let all = 100 * XPL - 50_000;
    let first = chain.draft(&alice, vec![send(&alice, bob.address, all)]);
    let second = Draft { sequence: 1, msgs: vec![send(&alice, bob.address, 1)], ..first.clone() };
    let txs = [first.sign(&alice), second.sign(&alice)];
    let proposal: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
    assert!(chain::process(&chain.store, &chain.next(&proposal), &tx::NoMemory).is_ok());
    let results = chain.block(&txs);
    assert_eq!((results[0].codespace, results[0].code), ("sdk", 5), "{}", results[0].log);
    assert_eq!(results[1].code, 0, "{}", results[1].log);
    assert_eq!(chain.sequence(alice.address), 2);
    assert_eq!(chain.balance(alice.address), 100 * XPL - 100_000 - 1);
}

#[test]
fn a_module_account_takes_no_transfer() {
    let (mut chain, alice, _) = start();
    for (name, _) in plasma_modules::auth::MODULE_ACCOUNTS {
        let to = plasma_modules::Address::of_module(name);
        let draft = chain.draft(&alice, vec![send(&alice, to, 5)]);
        let result = chain.block(&[draft.sign(&alice)]).remove(0);
        assert_eq!((result.codespace, result.code), ("sdk", 4), "{name}");
    }
}

#[test]
fn a_multi_send_pays_each_output() {
    let (mut chain, alice, bob) = start();
    let carol = Account::new(3);
    let output =
        |to: &Account, units| Output { address: to.address.text(), coins: vec![coin(units)] };
    let multi = |total| {
        any(&MsgMultiSend {
            inputs: vec![Input { address: alice.address.text(), coins: vec![coin(total)] }],
            outputs: vec![output(&bob, 3), output(&carol, 104)],
        })
    };
    let draft = chain.draft(&alice, vec![multi(107)]);
    let result = chain.block(&[draft.sign(&alice)]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(chain.balance(carol.address), 104);
    let kinds = result.events.iter().skip_while(|event| event.kind != "tx");
    let kinds: Vec<_> = kinds.skip(3).map(|event| event.kind).collect();
    let pair = ["coin_received", "transfer"];
    assert_eq!(kinds, [&["message", "message", "coin_spent"][..], &pair, &pair].concat());
    for total in [106, 108] {
        let draft = chain.draft(&alice, vec![multi(total)]);
        let result = chain.block(&[draft.sign(&alice)]).remove(0);
        assert_eq!((result.codespace, result.code), ("sdk", 18));
    }
}

/// CheckTx carries an account's pending transactions, and what it checked is not checked again.
#[test]
fn check_keeps_pending_sequences_and_remembers_signatures() {
    let (chain, alice, bob) = start();
    let memory = Remember::default();
    let block = chain::next_block(&chain.store, common::CHAIN_ID, 1, chain.time_s);
    let mut pending = Overlay::new(&chain.store);
    let first = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let second = Draft { sequence: 1, ..first.clone() };
    let (first, second) = (first.sign(&alice), second.sign(&alice));
    assert_eq!(chain::check_tx(&mut pending, &block, &second, &memory).code, 32);
    assert_eq!(chain::check_tx(&mut pending, &block, &first, &memory).code, 0);
    assert_eq!(chain::check_tx(&mut pending, &block, &second, &memory).code, 0);
    assert_eq!(chain::check_tx(&mut pending, &block, &second, &memory).code, 32);
    assert_eq!(memory.hits.get(), 0);
    let txs = [first.as_slice(), second.as_slice()];
    let input = chain.next(&[]);
    let (taken, _) = chain::prepare(&chain.store, &input, None, &txs, 1 << 20, &memory).unwrap();
    assert_eq!(taken, txs);
    assert_eq!(memory.hits.get(), 2);
}

/// What was found of a transaction's signatures holds for those accounts and that chain alone.
#[test]
fn a_transaction_is_proven_for_its_accounts_alone() {
    let (mut chain, alice, bob) = start();
    let other = |chain: &Chain, change: &dyn Fn(&mut BaseAccount)| {
        let mut store = chain.store.clone();
        let mut account = auth::account(&store, alice.address).unwrap();
        change(&mut account);
        store.set(auth::account_key(&alice.address), Some(account.encode_to_vec()));
        store
    };
    let prove = |tx: &Arc<tx::Decoded>, store: &Memory, chain_id: &str| {
        let proven = tx::authenticate(store, chain_id, Arc::clone(tx), &tx::NoMemory);
        proven.map_or_else(|refusal| refusal.code, |_| 0)
    };
    let decode = |bytes: &[u8]| Arc::new(tx::decode(bytes, tx::Purpose::Execute).unwrap());

    // With its key.
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let signed = draft.sign(&alice);
    let tx = decode(&signed);
    assert_eq!(prove(&tx, &chain.store, "other-1"), 4);
    assert!(!tx.is_proven());
    let elsewhere = other(&chain, &|account| account.account_number += 9);
    for _ in 0..2 {
        assert_eq!(prove(&tx, &chain.store, CHAIN_ID), 0);
        assert!(tx.is_proven());
        assert_eq!(prove(&tx, &chain.store, "other-1"), 4);
        assert_eq!(prove(&tx, &elsewhere, CHAIN_ID), 4);
    }
    assert_eq!(prove(&tx, &Memory::default(), CHAIN_ID), 9);

    // By the key that the account has shown.
    assert_eq!(chain.block(&[signed])[0].code, 0);
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let mut info = draft.signer(&alice, SignMode::Direct);
    info.public_key = None;
    let body = draft.body().encode_to_vec();
    let auth_info = draft.auth_info(vec![info.clone()]).encode_to_vec();
    let number = chain.account_number(alice.address);
    let signature = alice.sign(&tx::sign_bytes(&body, &auth_info, CHAIN_ID, number));
    let tx = decode(&draft.raw(vec![info], vec![signature]));
    let key = auth::PublicKey::Secp256k1(bob.public).to_any();
    let stolen = other(&chain, &|account| account.pub_key = Some(key.clone()));
    let hidden = other(&chain, &|account| account.pub_key = None);
    for _ in 0..2 {
        assert_eq!(prove(&tx, &chain.store, CHAIN_ID), 0);
        assert_eq!(prove(&tx, &stolen, CHAIN_ID), 4);
        assert_eq!(prove(&tx, &hidden, CHAIN_ID), 8);
    }
}

/// The cheapest rule that says no is the one that answers: size, encoding, fee, sequence, signature.
#[test]
fn the_cheapest_check_refuses_first() {
    let (chain, alice, bob) = start();
    let memory = Remember::default();
    let block = chain::next_block(&chain.store, common::CHAIN_ID, 1, chain.time_s);
    let good = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    // Every one of these is signed by a stranger as well.
    let forged = |draft: &Draft| draft.sign_as(&alice, &bob);
    let cheap = Draft { fee: 0, sequence: 7, ..good.clone() };
    let mut large = forged(&cheap);
    large.resize(tx::TX_BYTES_MAX + 1, 0);
    let mut torn = forged(&cheap);
    torn.pop();
    let early = Draft { sequence: 7, ..good.clone() };
    let cases = [
        (large, 21, "size"),
        (torn, 2, "encoding"),
        (forged(&cheap), 13, "fee"),
        (forged(&early), 32, "sequence"),
        (forged(&good), 4, "signature"),
        (good.sign(&alice), 0, "nothing"),
    ];
    for (bytes, code, what) in cases {
        let result = chain::check_tx(&mut Overlay::new(&chain.store), &block, &bytes, &memory);
        assert_eq!(result.code, code, "{what}: {}", result.log);
    }
    assert_eq!(memory.known.borrow().len(), 1, "only the good one was learnt");
}

/// What was remembered for one signature is not taken for another.
#[test]
fn memory_does_not_pass_other_bytes() {
    let (chain, alice, bob) = start();
    let memory = Remember::default();
    let block = chain::next_block(&chain.store, common::CHAIN_ID, 1, chain.time_s);
    let good = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let signed = good.sign(&alice);
    assert_eq!(chain::check_tx(&mut Overlay::new(&chain.store), &block, &signed, &memory).code, 0);
    let mut other = TxRaw::decode(signed.as_slice()).unwrap();
    other.body_bytes = Draft { memo: "other".into(), ..good }.body().encode_to_vec();
    let other = other.encode_to_vec();
    assert_eq!(chain::check_tx(&mut Overlay::new(&chain.store), &block, &other, &memory).code, 4);
}

/// A simulation needs no signature, checks the sequence, and changes nothing.
#[test]
fn simulate_tells_the_cost() {
    let (chain, alice, bob) = start();
    let block = chain::next_block(&chain.store, common::CHAIN_ID, 1, chain.time_s);
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let mut unsigned = TxRaw::decode(draft.sign(&alice).as_slice()).unwrap();
    unsigned.signatures = vec![vec![]];
    let result = chain::simulate(&chain.store, &block, &unsigned.encode_to_vec());
    assert_eq!(result.code, 0, "{}", result.log);
    assert!(result.gas_used > 60_000);
    let late = Draft { sequence: 4, ..draft }.sign(&alice);
    assert_eq!(chain::simulate(&chain.store, &block, &late).code, 32);
}

/// The exported state starts a chain that is the same.
#[test]
fn export_of_init_is_the_genesis() {
    let (mut chain, alice, bob) = start();
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, XPL)]);
    chain.block(&[draft.sign(&alice)]);
    let exported = chain::export(&chain.store);
    let mut again = plasma_modules::Memory::default();
    chain::init(&mut again, common::CHAIN_ID, chain.time_s, &exported).unwrap();
    assert_eq!(chain::export(&again), exported);
    // But for the record of the last block, which the first block writes.
    chain.store.set(vec![Table::LastBlock.id()], None);
    assert_eq!(again, chain.store);
}
