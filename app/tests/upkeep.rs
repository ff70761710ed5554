//! Rollback, pruning, export and scrub.

mod common;

use std::{path::Path, process::Command};

use common::{Bench, users};
use plasma_app::{
    files::genesis,
    metrics::Scrape,
    node::{Keep, Node, NodeError},
    scrub::EXIT_SCRUB,
    upkeep::Upkeep,
};
use plasma_modules::{Read, Table};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci as pb;

/// Tells the test binary that it is the process to be stopped.
const CHILD: &str = "PLASMA_SCRUB_TEST_HOME";
const KEEP: Keep = Keep {
    recent: 100,
    cache_bytes: 1 << 20,
    tree_bytes: 1 << 20,
    index: false,
    subscriptions: true,
};

fn block(height: i64) -> Vec<Vec<u8>> {
    let users = users();
    vec![users[1].send(&users[2], 1_000 + height as u64, height as u64 - 1)]
}

#[test]
fn what_is_rolled_back_comes_again_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open_keeping(dir.path(), 8);
    bench.init();
    let mut known = vec![(Vec::new(), Vec::new())];
    for height in 1..=12 {
        bench.block(height, &block(height));
        known.push((bench.info().1, bench.dump()));
    }
    // Pruned, and not there yet.
    assert!(matches!(bench.node.rollback(4), Err(NodeError::Pruned { height: 4, oldest: 5 })));
    assert!(matches!(bench.node.rollback(13), Err(NodeError::Future { .. })));
    for to in [11, 7, 5] {
        assert_eq!(bench.node.rollback(to).unwrap().height, to);
        assert_eq!((bench.info().1, bench.dump()), known[to as usize]);
        bench.node.check().unwrap();
        // What is still kept of the past reads as it was.
        let oldest: Vec<_> = bench.node.reader_at(5).unwrap().0.scan(&[]).collect();
        assert_eq!(oldest, known[5].1);
        assert!(bench.node.reader_at(to + 1).is_err());
        for height in to as i64 + 1..=12 {
            assert_eq!(bench.block(height, &block(height)).app_hash, known[height as usize].0);
        }
        assert_eq!(bench.dump(), known[12].1);
    }
    drop(bench);
    let bench = Bench::open(dir.path());
    assert_eq!(bench.info().0, 12);
    bench.node.check().unwrap();
}

#[test]
fn pruning_at_once_leaves_what_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open_keeping(dir.path(), u64::MAX);
    bench.init();
    for height in 1..=60 {
        bench.block(height, &block(height));
    }
    assert!(bench.node.reader_at(1).is_ok());
    let (hash, state) = (bench.info(), bench.dump());
    let at_56: Vec<_> = bench.node.reader_at(56).unwrap().0.scan(&[]).collect();
    drop(bench);
    let bench = Bench::open_keeping(dir.path(), 5);
    assert_eq!(bench.node.prune_all().unwrap(), 56);
    assert!(matches!(bench.node.reader_at(55), Err(NodeError::Pruned { oldest: 56, .. })));
    assert_eq!(bench.node.reader_at(56).unwrap().0.scan(&[]).collect::<Vec<_>>(), at_56);
    assert_eq!((bench.info(), bench.dump()), (hash, state));
    bench.node.check().unwrap();
}

#[test]
fn a_thousand_blocks_after_an_export_are_the_same() {
    const SPLIT: i64 = 20;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    for height in 1..=SPLIT {
        bench.block(height, &block(height));
    }
    let (state, head) = bench.node.export(SPLIT as u64).unwrap();
    // Through the very file that `plasmad export` writes and `plasmad import` reads.
    let text = genesis::file_of(&head.chain_id, head.time_s, SPLIT as u64 + 1, &state).unwrap();
    assert_eq!(genesis::check_file(&text).unwrap(), common::CHAIN);
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let again = tempfile::tempdir().unwrap();
    let again = Bench::open(again.path());
    again.app.init_chain(pb::RequestInitChain {
        time: common::time(SPLIT),
        chain_id: common::CHAIN.into(),
        app_state_bytes: file["app_state"].to_string().into(),
        initial_height: SPLIT + 1,
        ..Default::default()
    });
    for height in SPLIT + 1..=SPLIT + 1_000 {
        let txs = block(height);
        assert_eq!(bench.block(height, &txs).app_hash, again.block(height, &txs).app_hash);
    }
    assert_eq!(bench.dump(), again.dump());
    assert_eq!(
        bench.node.export(0).unwrap(),
        again
            .node
            .export(0)
            .map(|(state, head)| { (state, plasma_app::meta::Head { initial_height: 1, ..head }) })
            .unwrap()
    );
}

/// Changes one byte of a balance in the database, as a fault of memory or of ours would.
fn falsify(home: &Path) {
    let prefix = [&[Table::TokenBalances.id()], &users()[4].address.0[..]].concat();
    change(home, &prefix, |db, state, key, mut value| {
        *value.last_mut().unwrap() ^= 1;
        db.put_cf(state, key, value).unwrap();
    });
}

/// Does `work` with the first pair of the state whose key begins with `prefix`.
fn change(
    home: &Path,
    prefix: &[u8],
    work: impl FnOnce(&rocksdb::DB, &rocksdb::ColumnFamily, &[u8], Vec<u8>),
) {
    let path = home.join("state.db");
    let families = ["state", "undo", "tree", "meta", "results", "index"];
    let mut options = rocksdb::Options::default();
    options.create_missing_column_families(true);
    let db = rocksdb::DB::open_cf(&options, path, families).unwrap();
    let state = db.cf_handle("state").unwrap();
    let mode = rocksdb::IteratorMode::From(prefix, rocksdb::Direction::Forward);
    let (found, value) = db.iterator_cf(state, mode).next().unwrap().unwrap();
    assert!(found.starts_with(prefix));
    work(&db, state, &found, value.into());
}

/// Runs only as a child: makes blocks until the scrub stops it.
#[test]
fn child() {
    let Some(home) = std::env::var_os(CHILD) else { return };
    let upkeep = Upkeep { scrub_blocks: 2, ..Upkeep::default() };
    let bench = Bench::open_with(Path::new(&home), KEEP, upkeep);
    let (head, _) = bench.info();
    for height in head + 1..head + 20 {
        bench.block(height, &block(height));
        bench.node.wait_for_upkeep();
    }
    println!("{}", bench.node.metrics().page(&Scrape::default()));
}

fn run_child(home: &Path) -> std::process::Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, home)
        .output()
        .unwrap()
}

#[test]
fn a_false_value_is_found_at_start_and_while_running() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    for height in 1..=3 {
        bench.block(height, &block(height));
    }
    drop(bench);
    let honest = run_child(dir.path());
    assert_eq!(honest.status.code(), Some(0));
    let page = String::from_utf8_lossy(&honest.stdout).into_owned();
    assert!(page.contains("plasma_scrub_height 22"), "{page}");

    falsify(dir.path());
    let found = run_child(dir.path());
    assert_eq!(found.status.code(), Some(EXIT_SCRUB));
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    let wanted = "scrub: the state on disk does not have the app hash of block 24";
    assert!(said.contains(wanted), "{said}");

    let upkeep = Upkeep { scrub_at_start: true, ..Upkeep::default() };
    let start = Node::open_with(&dir.path().join("state.db"), KEEP, upkeep);
    assert!(matches!(start.err(), Some(NodeError::AppHash { .. })));
}

/// No app hash vouches for an index. An entry that is lost, one that no object asks for and one with
/// a value are found by hand, at start and while running.
#[test]
fn a_false_index_is_found_by_hand_at_start_and_while_running() {
    type Change = fn(&rocksdb::DB, &rocksdb::ColumnFamily, &[u8], Vec<u8>);
    let lose: Change = |db, state, key, _| db.delete_cf(state, key).unwrap();
    let add: Change = |db, state, key, _| {
        let mut other = key.to_vec();
        *other.last_mut().unwrap() ^= 1;
        db.put_cf(state, other, []).unwrap();
    };
    let fill: Change = |db, state, key, _| db.put_cf(state, key, [1]).unwrap();
    for (table, work, says) in [
        (Table::TokenOwners, lose, "among them not"),
        (Table::TokenOwners, add, "TokenOwners"),
        (Table::AuthByNumber, fill, "AuthByNumber"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(dir.path());
        for height in 1..=3 {
            bench.block(height, &block(height));
        }
        bench.node.check().unwrap();
        drop(bench);
        change(dir.path(), &[table.id()], work);

        let bench = Bench::open(dir.path());
        match bench.node.check() {
            Err(NodeError::Invariant(why)) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
        drop(bench);
        let upkeep = Upkeep { scrub_at_start: true, ..Upkeep::default() };
        match Node::open_with(&dir.path().join("state.db"), KEEP, upkeep).err() {
            Some(NodeError::Index { height: 3, why }) => assert!(why.contains(says), "{why}"),
            other => panic!("{other:?}"),
        }
        let found = run_child(dir.path());
        assert_eq!(found.status.code(), Some(EXIT_SCRUB));
        let said = String::from_utf8_lossy(&found.stderr).into_owned();
        assert!(said.contains("scrub: the state on disk is not that of block"), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
