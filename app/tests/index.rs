//! plasmad's own index of transactions, on a chain without CometBFT.

mod common;

use std::path::Path;

use common::{Bench, User, users};
use plasma_app::{
    index::{CHUNK_TXS, FoundTx, Matches, Query, SearchError},
    node::Keep,
    upkeep::Upkeep,
};
use sha2::{Digest, Sha256};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci as pb;

const KEEP: Keep = Keep {
    recent: 100,
    cache_bytes: 1 << 20,
    tree_bytes: 1 << 20,
    index: true,
    subscriptions: true,
};

fn open(dir: &Path) -> Bench {
    Bench::open_with(dir, KEEP, Upkeep::default())
}

fn search(bench: &Bench, query: &str) -> Vec<(u64, u32)> {
    let matches = bench.node.index().unwrap().search(&Query::parse(query).unwrap()).unwrap();
    matches.page(0, usize::MAX / 2, false)
}

fn found(bench: &Bench, tx: &[u8]) -> Option<FoundTx> {
    bench.node.index().unwrap().tx(&Sha256::digest(tx).into())
}

/// Blocks of several chunks: `per_block` transfers from user 1 to user 2, and one from 3 to 4.
fn blocks(users: &[User], heights: std::ops::RangeInclusive<i64>) -> Vec<(i64, Vec<Vec<u8>>)> {
    let per_block = CHUNK_TXS as u64 + 5;
    heights
        .map(|height| {
            let before = (height as u64 - 1) * per_block;
            let many = (0..per_block).map(|n| users[1].send(&users[2], 7, before + n));
            let mut txs: Vec<_> = many.collect();
            txs.insert(3, users[3].send(&users[4], 9, height as u64 - 1));
            (height, txs)
        })
        .collect()
}

#[test]
fn transactions_are_found_by_hash_height_and_events() {
    let dir = tempfile::tempdir().unwrap();
    let users = users();
    let bench = open(dir.path());
    bench.init();
    let blocks = blocks(&users, 1..=4);
    let mut results = Vec::new();
    for (height, txs) in &blocks {
        results.push(bench.block(*height, txs));
    }
    // Of a decided block that is not committed nothing is told.
    let next = self::blocks(&users, 5..=5).remove(0).1;
    bench.finalize(5, &next);
    bench.node.index().unwrap().settle();
    assert_eq!(found(&bench, &next[0]), None);
    assert_eq!(search(&bench, "tx.height = 5"), []);
    bench.app.commit();
    assert_eq!(found(&bench, &next[0]).unwrap().height, 5);

    let txs_per_block = blocks[0].1.len();
    for ((height, txs), response) in blocks.iter().zip(&results) {
        for (index, tx) in txs.iter().enumerate() {
            let found = found(&bench, tx).unwrap();
            assert_eq!((found.height, found.index), (*height as u64, index as u32));
            assert_eq!((&found.tx, &found.result), (tx, &response.tx_results[index]));
        }
    }
    assert_eq!(found(&bench, b"never sent"), None);
    let from = |user: &User| format!("transfer.sender = '{}'", user.address.text());
    let to = |user: &User| format!("transfer.recipient = '{}'", user.address.text());
    // Every equality alone, two of one event, two of no event in common.
    assert_eq!(search(&bench, &to(&users[4])), (1..=5).map(|h| (h, 3)).collect::<Vec<_>>());
    assert_eq!(search(&bench, &format!("{} AND {}", from(&users[3]), to(&users[4]))).len(), 5);
    assert_eq!(search(&bench, &format!("{} AND {}", from(&users[1]), to(&users[4]))), []);
    let sent = "message.action = '/cosmos.bank.v1beta1.MsgSend'";
    assert_eq!(search(&bench, sent).len(), 5 * txs_per_block);
    assert_eq!(search(&bench, &format!("{sent} AND tx.height = 2")).len(), txs_per_block);
    // Heights alone.
    assert_eq!(search(&bench, "tx.height > 1 AND tx.height < 4").len(), 2 * txs_per_block);
    assert_eq!(search(&bench, "tx.height > 9"), []);
    // Beyond equalities, alone and beside them.
    let part = &users[4].address.text()[4..20];
    assert_eq!(search(&bench, &format!("transfer.recipient CONTAINS '{part}'")).len(), 5);
    assert_eq!(
        search(&bench, &format!("{} AND transfer.recipient CONTAINS '{part}'", from(&users[3]))),
        search(&bench, &to(&users[4]))
    );
    assert_eq!(search(&bench, "transfer.nothing EXISTS"), []);
    // What is told but not marked to be found.
    assert_eq!(search(&bench, "transfer.amount = '9uxpl'"), []);
    assert_eq!(search(&bench, "transfer.amount CONTAINS 'uxpl'"), []);
    // By hash, in a query.
    let hash = hex::encode(Sha256::digest(&blocks[1].1[3]));
    assert_eq!(search(&bench, &format!("tx.hash = '{hash}'")), [(2, 3)]);
    let query = Query::parse("tx.hash = 'xyz'").unwrap();
    let index = bench.node.index().unwrap();
    assert_eq!(index.search(&query), Err(SearchError::Hash("xyz".into())));
}

#[test]
fn pages_come_from_either_end() {
    let listed = Matches::Listed(vec![(1, 0), (1, 1), (2, 0), (4, 7), (4, 9)]);
    let blocks = Matches::Blocks(vec![(1, 2), (2, 0), (3, 3)]);
    assert_eq!((listed.count(), blocks.count()), (5, 5));
    assert_eq!(listed.page(0, 2, false), [(1, 0), (1, 1)]);
    assert_eq!(listed.page(3, 9, false), [(4, 7), (4, 9)]);
    assert_eq!(listed.page(0, 2, true), [(4, 9), (4, 7)]);
    assert_eq!(listed.page(4, 2, true), [(1, 0)]);
    assert_eq!(blocks.page(1, 3, false), [(1, 1), (3, 0), (3, 1)]);
    assert_eq!(blocks.page(1, 3, true), [(3, 1), (3, 0), (1, 1)]);
    assert_eq!((listed.page(5, 2, false), blocks.page(7, 2, true)), (vec![], vec![]));
}

#[test]
fn a_restart_finds_what_was_there_and_a_rollback_forgets_what_came_after() {
    let dir = tempfile::tempdir().unwrap();
    let users = users();
    let all = blocks(&users, 1..=6);
    let bench = open(dir.path());
    bench.init();
    for (height, txs) in &all {
        bench.block(*height, txs);
    }
    drop(bench);
    let bench = open(dir.path());
    assert_eq!(bench.node.index().unwrap().heights(), Some((1, 6)));
    let known = found(&bench, &all[3].1[0]).unwrap();
    bench.node.rollback(4).unwrap();
    assert_eq!(bench.node.index().unwrap().heights(), Some((1, 4)));
    assert_eq!(found(&bench, &all[3].1[0]), Some(known));
    assert_eq!(found(&bench, &all[4].1[0]), None);
    // Another block comes in the place of the old one: nothing of that is found.
    let other = vec![users[3].send(&users[5], 1, 4)];
    bench.block(5, &other);
    assert_eq!(found(&bench, &all[4].1[0]), None);
    assert_eq!(search(&bench, "tx.height = 5"), [(5, 0)]);
    let sender = format!("transfer.sender = '{}' AND tx.height > 4", users[1].address.text());
    assert_eq!(search(&bench, &sender), []);
    assert_eq!(found(&bench, &other[0]).unwrap().height, 5);
}

#[test]
fn the_index_begins_where_it_is_opened_and_ends_with_cometbfts_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let users = users();
    let send = |height: i64| vec![users[1].send(&users[2], 1, height as u64 - 1)];
    let without = Keep { index: false, ..KEEP };
    let bench = Bench::open_with(dir.path(), without, Upkeep::default());
    bench.init();
    for height in 1..=3 {
        bench.block(height, &send(height));
    }
    assert!(bench.node.index().is_none());
    drop(bench);
    // CometBFT keeps ten blocks.
    let upkeep = Upkeep { retain_blocks: 10, ..Upkeep::default() };
    let bench = Bench::open_with(dir.path(), KEEP, upkeep);
    bench.block(4, &send(4));
    assert_eq!(bench.node.index().unwrap().heights(), Some((4, 4)));
    for height in 5..=150 {
        bench.block(height, &send(height));
    }
    let (oldest, newest) = bench.node.index().unwrap().heights().unwrap();
    assert_eq!(newest, 150);
    // They are let go of a hundred at a time.
    assert!((100..=141).contains(&oldest), "{oldest}");
    assert_eq!(found(&bench, &send(oldest as i64 - 1)[0]), None);
    assert_eq!(found(&bench, &send(oldest as i64)[0]).unwrap().height, oldest);
    let sender = format!("transfer.sender = '{}'", users[1].address.text());
    assert_eq!(search(&bench, &sender).len() as u64, 151 - oldest);
    drop(bench);
    // Compaction has nothing to bring back.
    let bench = Bench::open_with(dir.path(), KEEP, upkeep);
    bench.node.prune_all().unwrap();
    assert_eq!(bench.node.index().unwrap().heights(), Some((oldest, 150)));
    assert_eq!(search(&bench, &sender).len() as u64, 151 - oldest);
}

#[test]
fn cometbft_is_told_no_events_where_nobody_subscribes() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let users = users();
    let told = open(a.path());
    let silent =
        Bench::open_with(b.path(), Keep { subscriptions: false, ..KEEP }, Upkeep::default());
    told.init();
    silent.init();
    for (height, txs) in blocks(&users, 1..=3) {
        let (one, other) = (told.block(height, &txs), silent.block(height, &txs));
        assert_eq!(one.app_hash, other.app_hash);
        assert!(one.tx_results.iter().all(|result| !result.events.is_empty()));
        assert!(other.tx_results.iter().all(|result| result.events.is_empty()));
        assert!(!one.events.is_empty() && other.events.is_empty());
        // What consensus hashes.
        let hashed = |block: &pb::ResponseFinalizeBlock| -> Vec<_> {
            let results = block.tx_results.iter();
            results.map(|r| (r.code, r.data.clone(), r.gas_wanted, r.gas_used)).collect()
        };
        assert_eq!(hashed(&one), hashed(&other));
        // Both indexes hold the same.
        let (here, there) = (told.node.index().unwrap(), silent.node.index().unwrap());
        assert_eq!(here.txs_of(height as u64), there.txs_of(height as u64));
        assert_eq!(here.block(height as u64), there.block(height as u64));
    }
    let query = format!("transfer.sender='{}'", users[3].address);
    assert_eq!(search(&told, &query), search(&silent, &query));
    assert_eq!(search(&silent, &query).len(), 3);
}
