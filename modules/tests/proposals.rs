//! What one node proposes, every other node accepts, and executes to the same.

mod common;

use std::sync::LazyLock;

use common::{Account, CHAIN_ID, Chain, Draft, Remember, XPL, genesis, send};
use plasma_modules::{
    Address,
    chain::{self, BlockInput},
    tx,
};
use proptest::prelude::*;

/// Senders, the sequences that they sign, and the transactions made of them once: signing would be
/// most of the time of a case.
const SENDERS: u8 = 5;
const SEQUENCES: u64 = 4;

struct World {
    chain: Chain,
    pool: Vec<Vec<u8>>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let accounts: Vec<Account> = (1..=SENDERS).map(Account::new).collect();
    let all: Vec<&Account> = accounts.iter().collect();
    // Enough for two fees, so that transactions of one account compete for its money.
    let mut chain = Chain::new(&genesis(&all, 100_000 + XPL / 1_000));
    let spent = chain.draft(&accounts[0], vec![send(&accounts[0], accounts[1].address, 1)]);
    let stale = spent.sign(&accounts[0]);
    assert_eq!(chain.block(std::slice::from_ref(&stale))[0].code, 0);
    let mut pool =
        vec![stale, Vec::new(), vec![0; 40], vec![9; 300], vec![7; tx::TX_BYTES_MAX + 1]];
    for (at, from) in accounts.iter().enumerate() {
        let to = accounts[(at + 1) % accounts.len()].address;
        for sequence in 0..SEQUENCES {
            for units in [1, 60_000, 10 * XPL] {
                let draft = Draft { sequence, ..chain.draft(from, vec![send(from, to, units)]) };
                pool.push(draft.sign(from));
                pool.push(Draft { memo: "x".repeat(200), ..draft.clone() }.sign(from));
                pool.push(Draft { fee: 90_000, ..draft.clone() }.sign(from));
                pool.push(Draft { gas: 1_500_000_000, fee: 2_000_000, ..draft.clone() }.sign(from));
                pool.push(Draft { fee: 1, ..draft.clone() }.sign(from));
                pool.push(Draft { timeout_height: 1, ..draft.clone() }.sign(from));
                pool.push(Draft { chain_id: "other".into(), ..draft.clone() }.sign(from));
                pool.push(draft.sign_as(from, &accounts[(at + 1) % accounts.len()]));
            }
        }
    }
    World { chain, pool }
});

fn cases() -> u32 {
    let long = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse::<u32>().ok());
    // One case is cheap: a long run makes a million.
    long.map_or(256, |cases| cases.saturating_mul(10))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_prepared_is_accepted_and_pays(
        mempool in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        bytes_max in prop_oneof![0usize..4_000, Just(1usize << 20)],
        own in any::<bool>(),
    ) {
        thread_local!(static SEEN: Remember = Remember::default());
        let World { chain, pool } = &*WORLD;
        let txs: Vec<&[u8]> = mempool.iter().map(|at| at.get(pool).as_slice()).collect();
        let proposer = if own { Address::of_consensus(&[0xe0; 32]).0 } else { [0; 20] };
        let none = BlockInput { proposer, ..chain.next(&[]) };
        SEEN.with(|seen| {
            let (taken, opened) = chain::prepare(&chain.store, &none, None, &txs, bytes_max, seen).unwrap();
            let framed = |tx: &&[u8]| tx.len() + 1 + prost::encoding::encoded_len_varint(tx.len() as u64);
            prop_assert!(taken.iter().map(framed).sum::<usize>() <= bytes_max);
            let input = BlockInput { txs: &taken, ..none };
            let processed = chain::process(&chain.store, &input, seen);
            let Ok(processed) = processed else {
                return Err(TestCaseError::fail("a prepared block was rejected"));
            };
            // Whoever opened the block, and whether it was opened before, its end is the same.
            let executed = chain::execute_block(&chain.store, &input, seen);
            for opened in [opened, processed] {
                let closed = chain::close_block(&chain.store, opened, &input);
                prop_assert_eq!(&closed.writes, &executed.writes);
                prop_assert_eq!(&closed.txs, &executed.txs);
                prop_assert_eq!(&closed.events, &executed.events);
            }
            for result in &executed.txs {
                let paid = result.events.iter().any(|event| event.kind == "tx");
                prop_assert!(paid, "not paid: {}", result.log);
            }
            // A block of what was left out is refused, if anything was left out for a rule.
            let all = BlockInput { txs: &txs, ..none };
            let accepts_all = chain::process(&chain.store, &all, seen).is_ok();
            let (everything, _) = chain::prepare(&chain.store, &none, None, &txs, usize::MAX, seen).unwrap();
            prop_assert_eq!(accepts_all, everything == txs);
            Ok(())
        })?;
    }
}

#[test]
fn the_pool_has_what_the_cases_need() {
    let World { chain, pool } = &*WORLD;
    let mut codes = std::collections::BTreeSet::new();
    for bytes in pool {
        let block = chain::next_block(&chain.store, CHAIN_ID, 2, chain.time_s + 1);
        let mut store = plasma_modules::Overlay::new(&chain.store);
        codes.insert(chain::check_tx(&mut store, &block, bytes, &tx::NoMemory).code);
    }
    let wanted = [0, 2, 4, 5, 13, 21, 30, 32];
    assert!(wanted.iter().all(|code| codes.contains(code)), "{codes:?}");
}
