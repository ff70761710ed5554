//! Queues with more in them than a block can take: every block does its part and no more, and in the
//! end nothing is left.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use plasma_modules::{
    Address, Memory, Table, Write, auth, authz,
    chain::{self, BlockInput},
    feegrant, market, staking,
    tx::NoMemory,
};
use plasma_proto::{
    cosmos::{
        authz::v1beta1::{self as authz_pb, GenericAuthorization, GrantAuthorization, MsgGrant},
        bank::v1beta1::MsgSend,
        feegrant::v1beta1::{BasicAllowance, Grant, MsgGrantAllowance},
        staking::v1beta1::{UnbondingDelegation, UnbondingDelegationEntry},
    },
    plasma::{
        genesis::v1::{AuthzGenesis, Balance, FeegrantGenesis},
        market::v1::{Timer, TimerKind},
    },
};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};

use crate::common::{Account, CHAIN_ID, Chain, Draft, TIME_S, XPL, any, coin, genesis};

const ITEMS: usize = 50_000;
const ITEMS_LONG: usize = 1_000_000;
/// Items that are written at once.
const PART: usize = 10_000;
/// Seconds until everything is past its time.
const LATE_S: u64 = 100;
/// What a block takes of allowances, and of grants.
const PRUNES_PER_BLOCK: usize = 200;

fn somebody(n: usize) -> Address {
    let mut bytes = [0xab; 20];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    Address(bytes)
}

fn soon() -> Option<Timestamp> {
    Some(Timestamp { seconds: i64::try_from(TIME_S + 1).unwrap(), nanos: 0 })
}

fn start() -> (Memory, Account) {
    let alice = Account::new(1);
    (Chain::new(&genesis(&[&alice], XPL)).store, alice)
}

fn numbers(items: usize) -> impl Iterator<Item = Range<usize>> {
    (0..items).step_by(PART).map(move |from| from..(from + PART).min(items))
}

/// Makes empty blocks until the queue in `table` is empty.
fn drains(what: &str, mut store: Memory, table: Table, items: usize, per_block: usize) {
    let count = |store: &Memory| plasma_modules::Read::scan(store, &[table.id()]).count();
    assert_eq!(count(&store), items, "{what}");
    let (mut left, mut blocks, mut slowest) = (items, 0u64, Duration::ZERO);
    while left > 0 {
        blocks += 1;
        let input = BlockInput {
            chain_id: CHAIN_ID,
            height: blocks,
            time_s: TIME_S + LATE_S + blocks,
            proposer: [0; 20],
            txs: &[],
            votes: &[],
            misbehavior: &[],
        };
        let started = Instant::now();
        let output = chain::execute_block(&store, &input, &NoMemory);
        slowest = slowest.max(started.elapsed());
        let ours = output.writes.iter().filter(|(key, _)| key[0] == table.id());
        let gone =
            ours.inspect(|(_, value)| assert!(value.is_none(), "{what}: nothing new")).count();
        assert_eq!(gone, per_block.min(left), "{what}: block {blocks}");
        left -= gone;
        for (key, value) in output.writes {
            store.set(key, value);
        }
    }
    assert_eq!(count(&store), 0, "{what}");
    assert_eq!(blocks, items.div_ceil(per_block) as u64);
    println!("{what}: {items} in {blocks} blocks, {per_block} each, the slowest {slowest:?}");
}

/// Allowances to `grantee` that end soon.
fn init_allowances(store: &mut Memory, grantee: Address, part: Range<usize>) {
    let allowance = any(&BasicAllowance { spend_limit: vec![], expiration: soon() });
    let grant = |n| Grant {
        granter: somebody(n).text(),
        grantee: grantee.text(),
        allowance: Some(allowance.clone()),
    };
    feegrant::init(store, &FeegrantGenesis { allowances: part.map(grant).collect() }).unwrap();
}

/// Grants to `grantee` that end soon.
fn init_grants(store: &mut Memory, grantee: Address, part: Range<usize>) {
    let authorization = any(&GenericAuthorization { msg: MsgSend::type_url() });
    let grant = |n| GrantAuthorization {
        granter: somebody(n).text(),
        grantee: grantee.text(),
        authorization: Some(authorization.clone()),
        expiration: soon(),
    };
    authz::init(store, &AuthzGenesis { grants: part.map(grant).collect() }).unwrap();
}

fn allowances(items: usize) {
    let (mut store, alice) = start();
    for part in numbers(items) {
        init_allowances(&mut store, alice.address, part);
    }
    drains("allowances", store, Table::FeegrantAllowances, items, PRUNES_PER_BLOCK);
}

fn grants(items: usize) {
    let (mut store, alice) = start();
    for part in numbers(items) {
        init_grants(&mut store, alice.address, part);
    }
    drains("grants", store, Table::AuthzGrants, items, PRUNES_PER_BLOCK);
}

fn timeouts(items: usize) {
    let (mut store, alice) = start();
    for n in 0..items {
        let nanos = i32::try_from(n).unwrap();
        let seconds = i64::try_from(TIME_S + 1).unwrap();
        let timeout = auth::Timeout::new(&Timestamp { seconds, nanos }).unwrap();
        auth::note_timeout(&mut store, alice.address, timeout);
    }
    let per_block = auth::TIMEOUTS_REMOVED_PER_BLOCK_MAX;
    drains("timeouts", store, Table::AuthTimeouts, items, per_block);
}

/// Appointments whose jobs are gone: each is looked at and dropped.
fn timers(items: usize) {
    let (mut store, _) = start();
    for n in 0..items {
        let id = u64::try_from(n).unwrap() + 1_000;
        let timer = Timer {
            kind: TimerKind::Settle.into(),
            due_height: 1,
            due_s: 1,
            id,
            ..Timer::default()
        };
        // (waits for height, height, kind, id, tag)
        let mut key = vec![Table::MarketTimers.id(), 0];
        key.extend(timer.due_height.to_be_bytes());
        key.push(u8::try_from(timer.kind).unwrap());
        key.extend(id.to_be_bytes());
        key.extend([0; 20]);
        store.set(key, Some(timer.encode_to_vec()));
    }
    let per_block = usize::try_from(market::params(&store).timers_per_block_max).unwrap();
    drains("timers", store, Table::MarketTimers, items, per_block);
}

/// Blocks full of new grants beside a long queue: what is stored does not grow while anything waits
/// to be removed, so that no stream of grants outgrows the removal.
fn keeps_up(what: &str, mut store: Memory, table: Table, message: impl Fn(&Account, usize) -> Any) {
    const MESSAGES: usize = 60;
    let count = |store: &Memory| plasma_modules::Read::scan(store, &[table.id()]).count();
    let users: Vec<Account> = (2..12).map(Account::new).collect();
    let (mut left, mut height) = (count(&store), 0);
    assert!(left > 5_000);
    loop {
        height += 1;
        let txs: Vec<_> = users
            .iter()
            .enumerate()
            .map(|(at, user)| {
                let number = |n| (height as usize * users.len() + at) * MESSAGES + n;
                let msgs = (0..MESSAGES).map(|n| message(user, number(n))).collect();
                let account = auth::account(&store, user.address).unwrap();
                let draft = Draft::new(msgs, account.account_number, account.sequence);
                Draft { gas: 12_000_000, fee: XPL, ..draft }.sign(user)
            })
            .collect();
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let time_s = TIME_S + LATE_S + height;
        let input = BlockInput {
            chain_id: CHAIN_ID,
            height,
            time_s,
            proposer: [0; 20],
            txs: &txs,
            votes: &[],
            misbehavior: &[],
        };
        let output = chain::execute_block(&store, &input, &NoMemory);
        for result in &output.txs {
            assert_eq!(result.code, 0, "{what}: {}", result.log);
        }
        store.apply(output.writes);
        let now = count(&store);
        if now > left {
            // Nothing waits any more: every one that is stored is new.
            assert!(now <= users.len() * MESSAGES * height as usize, "{what}");
            break;
        }
        assert!(left - now >= PRUNES_PER_BLOCK, "{what}: block {height} {left} {now}");
        left = now;
    }
    chain::indexes_match_objects(&store).unwrap();
    println!("{what}: nothing waits after {height} blocks of {} grants", users.len() * MESSAGES);
}

/// Those who grant in [`keeps_up`], beside a queue of `items`.
fn crowd() -> Memory {
    let users: Vec<Account> = (1..12).map(Account::new).collect();
    Chain::new(&genesis(&users.iter().collect::<Vec<_>>(), 10_000 * XPL)).store
}

#[test]
fn no_stream_of_grants_outgrows_their_removal() {
    const QUEUE: usize = 10_000;
    let later = Some(Timestamp { seconds: i64::try_from(2 * TIME_S).unwrap(), nanos: 0 });
    let mut store = crowd();
    init_allowances(&mut store, Account::new(1).address, 0..QUEUE);
    keeps_up("allowances", store, Table::FeegrantAllowances, |user, n| {
        let allowance = BasicAllowance { spend_limit: vec![], expiration: later };
        any(&MsgGrantAllowance {
            granter: user.address.text(),
            grantee: somebody(QUEUE + n).text(),
            allowance: Some(any(&allowance)),
        })
    });
    let mut store = crowd();
    init_grants(&mut store, Account::new(1).address, 0..QUEUE);
    keeps_up("grants", store, Table::AuthzGrants, |user, n| {
        let authorization = any(&GenericAuthorization { msg: MsgSend::type_url() });
        let grant = authz_pb::Grant { authorization: Some(authorization), expiration: later };
        any(&MsgGrant {
            granter: user.address.text(),
            grantee: somebody(QUEUE + n).text(),
            grant: Some(grant),
        })
    });
}

/// Stake that comes back to as many owners.
fn unbondings(items: usize) {
    let mut genesis = chain::export(&start().0);
    let balance = 1_000u128;
    let staking = genesis.staking.as_mut().unwrap();
    let operator = staking.states[0].operator_address.clone();
    staking.unbondings = (0..items)
        .map(|n| UnbondingDelegation {
            delegator_address: somebody(n).text(),
            validator_address: operator.clone(),
            entries: vec![UnbondingDelegationEntry {
                creation_height: 1,
                completion_time: soon(),
                initial_balance: balance.to_string(),
                balance: balance.to_string(),
                unbonding_id: u64::try_from(n).unwrap(),
                unbonding_on_hold_ref_count: 0,
            }],
        })
        .collect();
    let pool = Address::of_module(staking::NOT_BONDED_POOL);
    let coins = vec![coin(balance * u128::try_from(items).unwrap())];
    let balances = &mut genesis.token.as_mut().unwrap().balances;
    balances.push(Balance { address: pool.text(), coins });
    balances.sort_by_key(|balance| Address::parse(&balance.address).unwrap());
    let mut store = Memory::default();
    chain::init(&mut store, CHAIN_ID, TIME_S, &genesis).unwrap();
    drains("unbondings", store, Table::StakingUnbondings, items, staking::PAID_PER_BLOCK_MAX);
}

#[test]
fn long_queues_drain_by_bounded_steps() {
    allowances(ITEMS);
    grants(ITEMS);
    timeouts(ITEMS);
    timers(ITEMS);
    unbondings(ITEMS);
}

#[test]
#[ignore = "minutes and gigabytes; make test-long runs it"]
fn queues_of_a_million_drain_by_bounded_steps() {
    allowances(ITEMS_LONG);
    grants(ITEMS_LONG);
    timeouts(ITEMS_LONG);
    timers(ITEMS_LONG);
    unbondings(ITEMS_LONG);
}
