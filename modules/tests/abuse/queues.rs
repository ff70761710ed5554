//! Queues with more in them than a block can take: every block does its part and no more, and in the
//! end nothing is left.

use std::time::{Duration, Instant};

use plasma_modules::{
    Address, Memory, Table, Write, auth, authz,
    chain::{self, BlockInput},
    feegrant, market, staking,
    tx::NoMemory,
};
use plasma_proto::{
    cosmos::{
        authz::v1beta1::{GenericAuthorization, GrantAuthorization},
        bank::v1beta1::MsgSend,
        feegrant::v1beta1::{BasicAllowance, Grant},
        staking::v1beta1::{UnbondingDelegation, UnbondingDelegationEntry},
    },
    plasma::{
        genesis::v1::{AuthzGenesis, Balance, FeegrantGenesis},
        market::v1::{Timer, TimerKind},
    },
};
use prost::{Message, Name};
use prost_types::Timestamp;

use crate::common::{Account, CHAIN_ID, Chain, TIME_S, XPL, any, coin, genesis};

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

fn numbers(items: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
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

fn allowances(items: usize) {
    let (mut store, alice) = start();
    for part in numbers(items) {
        let allowance = any(&BasicAllowance { spend_limit: vec![], expiration: soon() });
        let grant = |n| Grant {
            granter: somebody(n).text(),
            grantee: alice.address.text(),
            allowance: Some(allowance.clone()),
        };
        feegrant::init(&mut store, &FeegrantGenesis { allowances: part.map(grant).collect() })
            .unwrap();
    }
    drains("allowances", store, Table::FeegrantAllowances, items, PRUNES_PER_BLOCK);
}

fn grants(items: usize) {
    let (mut store, alice) = start();
    for part in numbers(items) {
        let authorization = any(&GenericAuthorization { msg: MsgSend::type_url() });
        let grant = |n| GrantAuthorization {
            granter: somebody(n).text(),
            grantee: alice.address.text(),
            authorization: Some(authorization.clone()),
            expiration: soon(),
        };
        authz::init(&mut store, &AuthzGenesis { grants: part.map(grant).collect() }).unwrap();
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
