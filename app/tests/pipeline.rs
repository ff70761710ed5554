//! A transaction's way through the calls: what is shared between them changes no result.

mod common;

use std::{
    collections::VecDeque,
    sync::Arc,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use common::{Bench, CHAIN, USERS, User, crowd, users};
use plasma_app::{
    files::{GenesisAccount, genesis},
    seen::Seen,
};
use plasma_modules::{SignatureMemory, types::sha256};
use rayon::ThreadPoolBuilder;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci as pb;

/// Blocks for which a lost transaction holds its account's place (`CARRIED_BLOCKS_MAX`).
const CARRIED_BLOCKS: i64 = 16;
/// Proposals of one height that are kept (`PROPOSALS_MAX`).
const PROPOSALS: usize = 4;

fn bench_of(dir: &std::path::Path, users: &[User]) -> Bench {
    let mut spec = common::spec();
    let account =
        |user: &User| GenesisAccount { address: user.address.text(), amount_uxpl: 1_000_000_000 };
    spec.accounts = users.iter().map(account).collect();
    let state = genesis::state_to_json(&genesis::state(&spec).unwrap()).unwrap();
    let bench = Bench::open(dir);
    bench.app.init_chain(pb::RequestInitChain {
        time: common::time(0),
        chain_id: CHAIN.into(),
        app_state_bytes: state.to_string().into(),
        initial_height: 1,
        ..Default::default()
    });
    bench
}

/// Transfers of a block, some of them wrong: none of these may depend on who looked at it before.
fn mixed(users: &[User], sequence: u64) -> Vec<Vec<u8>> {
    let mut txs = Vec::new();
    for (at, user) in users.iter().enumerate() {
        let to = &users[(at + 1) % users.len()];
        txs.push(match at % 9 {
            3 => user.send(to, 1, sequence + 1),
            5 => user.send_on("other", to, 1, sequence),
            7 => {
                let mut forged = user.send(to, 1, sequence);
                let last = forged.len() - 1;
                forged[last] ^= 1;
                forged
            }
            _ => user.send(to, 1 + at as u64, sequence),
        });
    }
    txs.push(b"noise".to_vec());
    txs
}

#[test]
fn one_thread_or_many_cold_or_warm_the_block_is_the_same() {
    let users = crowd(60);
    let dir = tempfile::tempdir().unwrap();
    let nodes: Vec<Bench> =
        (0..4).map(|at| bench_of(&dir.path().join(at.to_string()), &users)).collect();
    for height in 1..6i64 {
        // Only those of the good places raise their sequence: the others stay at 0 and fail alike.
        let txs = mixed(&users, height as u64 - 1);
        let mut done = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let threads = if at == 0 { 1 } else { 4 };
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            // The third has seen everything in its mempool, the fourth as a proposal as well.
            if at >= 2 {
                txs.iter().for_each(|tx| drop(node.check(tx)));
            }
            if at == 3 {
                let taken = node.prepare(height, &txs, 1 << 20);
                assert!(pool.install(|| node.accepts(height, &taken)));
            }
            assert!(!pool.install(|| node.accepts(height, &txs)));
            done.push(pool.install(|| node.block(height, &txs)));
        }
        assert!(done[0].tx_results.iter().filter(|result| result.code == 0).count() > 30);
        for other in &done[1..] {
            assert_eq!(done[0], *other, "height {height}");
        }
    }
    for other in &nodes[1..] {
        assert_eq!(nodes[0].dump(), other.dump());
    }
    nodes[3].node.check().unwrap();
}

#[test]
fn a_proposal_is_executed_as_if_it_had_never_been_looked_at() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut a, mut b) = (Bench::new(a.path()), Bench::new(b.path()));
    let users = users();
    for height in 1..8i64 {
        let sequence = height as u64 - 1;
        let txs: Vec<_> = (0..USERS).map(|n| users[n].send(&users[0], 9, sequence)).collect();
        let fewer = &txs[1..];
        // Other rounds: fewer transactions, another proposer; the last one is decided.
        a.proposer = common::proposer();
        assert!(a.accepts(height, fewer));
        assert_eq!(a.prepare(height, &txs, 1 << 20), txs);
        a.proposer = Default::default();
        assert!(a.accepts(height, &txs));
        assert!(a.accepts(height, &txs), "again");
        let proposer = if height % 2 == 0 { common::proposer() } else { Default::default() };
        (a.proposer, b.proposer) = (proposer.clone(), proposer);
        assert_eq!(a.block(height, &txs), b.block(height, &txs));
        assert_eq!(a.node.proposals(), 0, "nothing is left of a decided height");
    }
    assert_eq!(a.dump(), b.dump());
}

#[test]
fn many_rounds_at_one_height_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let before = bench.dump();
    for round in 0..20 {
        let txs = [users[1].send(&users[2], 1 + round, 0)];
        assert!(bench.accepts(1, &txs));
        assert_eq!(bench.prepare(1, &txs, 1 << 20), txs);
        assert!(bench.node.proposals() <= PROPOSALS);
    }
    assert_eq!(bench.dump(), before);
    // One that was forgotten is executed like any other.
    let done = bench.block(1, &[users[1].send(&users[2], 1, 0)]);
    assert_eq!(done.tx_results[0].code, 0);
}

#[test]
fn a_transaction_is_decoded_once_until_it_is_forgotten() {
    let users = users();
    let seen = Seen::new(100, 40_000);
    for n in 0..60 {
        let tx = users[1].send(&users[2], 1, n);
        let hash = sha256(&tx);
        // What anybody may send is read and not kept.
        let first = seen.read(hash, &tx).unwrap();
        let kept = seen.decode(&tx).unwrap();
        assert!(!Arc::ptr_eq(&first, &kept));
        assert_eq!(kept.hash, hash);
        assert!(Arc::ptr_eq(&kept, &seen.read(hash, &tx).unwrap()));
        assert!(Arc::ptr_eq(&kept, &seen.decode(&tx).unwrap()));
        assert!(seen.decoded() < 40, "{n}");
        if n % 7 == 0 {
            seen.forget(&[hash]);
            assert!(!Arc::ptr_eq(&kept, &seen.decode(&tx).unwrap()));
        }
    }
    assert!(seen.read([0; 32], b"noise").is_err());
}

/// A mempool in front of a node: what CometBFT does with the answers.
fn everything_gets_in(recheck: bool) {
    const SENDS: usize = 4_000;
    const PER_BLOCK: usize = 350;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let mut waiting: VecDeque<Vec<u8>> = VecDeque::new();
    let mut sent = [0u64; USERS];
    let mut included = 0;
    let mut height = 0;
    let mut blocks = 0;
    while included < SENDS {
        // Faster than the blocks, until all are sent.
        let more = (SENDS - sent.iter().sum::<u64>() as usize).min(2 * PER_BLOCK);
        for at in 0..more {
            let user = at % USERS;
            let tx = users[user].send(&users[(user + 1) % USERS], 1, sent[user]);
            let checked = bench.check(&tx);
            assert_eq!(
                checked.code, 0,
                "of {user}, {} after {blocks} blocks: {}",
                sent[user], checked.log
            );
            sent[user] += 1;
            waiting.push_back(tx);
        }
        height += 1;
        let proposal: Vec<_> = waiting.iter().take(PER_BLOCK).cloned().collect();
        let taken = bench.prepare(height, &proposal, 1 << 21);
        assert_eq!(taken.len(), proposal.len());
        let done = bench.block(height, &taken);
        assert!(done.tx_results.iter().all(|result| result.code == 0));
        waiting.drain(..taken.len());
        included += taken.len();
        blocks += 1;
        if recheck {
            for tx in &waiting {
                assert_eq!(bench.recheck(tx).code, 0);
            }
        }
    }
    assert!(blocks > 5);
}

#[test]
fn every_transaction_of_few_accounts_gets_in_without_rechecks() {
    everything_gets_in(false);
}

#[test]
fn every_transaction_of_few_accounts_gets_in_with_rechecks() {
    everything_gets_in(true);
}

#[test]
fn an_account_whose_transactions_were_lost_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    // Accepted, but the engine's mempool was full.
    for sequence in 0..3 {
        assert_eq!(bench.check(&users[1].send(&users[2], 1, sequence)).code, 0);
    }
    let other = users[1].send(&users[3], 2, 0);
    for height in 1..=CARRIED_BLOCKS {
        bench.block(height, &[]);
        assert_eq!(bench.check(&other).code, 32, "block {height}");
    }
    bench.block(CARRIED_BLOCKS + 1, &[]);
    bench.block(CARRIED_BLOCKS + 2, &[]);
    assert_eq!(bench.check(&other).code, 0);
    // An engine that rechecks has lost what it does not ask about until the next block.
    assert_eq!(bench.check(&users[2].send(&users[3], 1, 0)).code, 0);
    bench.block(CARRIED_BLOCKS + 3, &[]);
    assert_eq!(bench.recheck(&other).code, 0);
    bench.block(CARRIED_BLOCKS + 4, &[]);
    assert_eq!(bench.check(&users[2].send(&users[4], 5, 0)).code, 0);
}

#[test]
fn checks_and_queries_do_not_wait_for_a_block_under_way() {
    let users = crowd(1_500);
    let dir = tempfile::tempdir().unwrap();
    let bench = bench_of(dir.path(), &users);
    bench.block(1, &[]);
    let (waiting, block) = users.split_at(200);
    let txs: Vec<_> = block.iter().map(|user| user.send(&waiting[0], 1, 0)).collect();
    let checks: Vec<_> = waiting.iter().map(|user| user.send(&block[0], 1, 0)).collect();
    let (started, ended) = (AtomicBool::new(false), AtomicBool::new(false));
    let answered = thread::scope(|scope| {
        scope.spawn(|| {
            started.store(true, Ordering::SeqCst);
            bench.finalize(2, &txs);
            ended.store(true, Ordering::SeqCst);
        });
        while !started.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        let mut answered = 0;
        for tx in &checks {
            assert_eq!(bench.check(tx).code, 0);
            assert_eq!(bench.query("store/plasma/key", vec![1], 0, false).code, 0);
            if ended.load(Ordering::SeqCst) {
                break;
            }
            answered += 1;
        }
        answered
    });
    assert!(answered > 5, "only {answered} calls were answered while the block was executed");
    bench.app.commit();
}
