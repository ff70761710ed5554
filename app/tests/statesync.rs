//! Snapshots and restores, through the real ABCI application.

mod common;

use std::path::Path;

use common::{Bench, users};
use plasma_app::{node::Keep, statesync, upkeep::Upkeep};
use plasma_modules::{Pair, Read, Table};
use plasma_proto::plasma::chain::v1::{LastBlock, SnapshotMetadata};
use proptest::prelude::*;
use prost::Message;
use sha2::{Digest, Sha256};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    self as pb, response_apply_snapshot_chunk::Result as Applied,
    response_offer_snapshot::Result as Offered,
};

const EVERY: u64 = 5;

fn block(height: i64) -> Vec<Vec<u8>> {
    let users = users();
    vec![users[1].send(&users[2], 1_000 + height as u64, height as u64 - 1)]
}

fn open(dir: &Path, recent: u64, cache_bytes: usize) -> Bench {
    let upkeep = Upkeep { snapshot_blocks: EVERY, snapshots_kept: 2, ..Upkeep::default() };
    Bench::open_with(dir, Keep { recent, cache_bytes, ..Keep::default() }, upkeep)
}

/// Blocks from the one after the head to `to`. Snapshots are waited for, so that none is skipped.
fn run(bench: &Bench, to: i64) {
    let (head, _) = bench.info();
    for height in head + 1..=to {
        bench.block(height, &block(height));
        bench.node.wait_for_upkeep();
    }
}

fn chunks(bench: &Bench, snapshot: &pb::Snapshot) -> Vec<Vec<u8>> {
    let load = |chunk| {
        let (height, format) = (snapshot.height, snapshot.format);
        let request = pb::RequestLoadSnapshotChunk { height, format, chunk };
        bench.app.load_snapshot_chunk(request).chunk.to_vec()
    };
    (0..snapshot.chunks).map(load).collect()
}

fn offer(bench: &Bench, snapshot: &pb::Snapshot, app_hash: &[u8]) -> Offered {
    let answer = bench.app.offer_snapshot(pb::RequestOfferSnapshot {
        snapshot: Some(snapshot.clone()),
        app_hash: app_hash.to_vec().into(),
    });
    Offered::try_from(answer.result).unwrap()
}

fn apply(bench: &Bench, index: usize, chunk: &[u8]) -> (Applied, pb::ResponseApplySnapshotChunk) {
    let answer = bench.app.apply_snapshot_chunk(pb::RequestApplySnapshotChunk {
        index: index as u32,
        chunk: chunk.to_vec().into(),
        sender: format!("peer{index}"),
    });
    (Applied::try_from(answer.result).unwrap(), answer)
}

#[test]
fn snapshots_are_the_same_whatever_the_node_went_through() {
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let first = open(dirs[0].path(), 100, 1 << 20);
    first.init();
    run(&first, 10);
    // One keeps nothing of the past, and is stopped in the middle.
    let second = open(dirs[1].path(), 1, 8 << 20);
    second.init();
    run(&second, 7);
    drop(second);
    let second = open(dirs[1].path(), 1, 8 << 20);
    run(&second, 10);
    // One did not see the first blocks at all.
    let listed = first.app.list_snapshots().snapshots;
    assert_eq!(listed.iter().map(|one| one.height).collect::<Vec<_>>(), [10, 5]);
    let app_hash = first.node.reader_at(5).unwrap().1.app_hash;
    let third = open(dirs[2].path(), 100, 1 << 20);
    assert_eq!(offer(&third, &listed[1], &app_hash), Offered::Accept);
    for (index, chunk) in chunks(&first, &listed[1]).iter().enumerate() {
        assert_eq!(apply(&third, index, chunk).0, Applied::Accept);
    }
    assert_eq!(third.info().0, 5);
    run(&third, 10);
    // One went back and came again.
    let fourth = open(dirs[3].path(), 100, 1 << 20);
    fourth.init();
    run(&fourth, 12);
    fourth.node.rollback(8).unwrap();
    assert_eq!(fourth.app.list_snapshots().snapshots.len(), 1);
    run(&fourth, 10);
    for other in [&second, &third, &fourth] {
        assert_eq!(other.app.list_snapshots().snapshots[0], listed[0]);
        assert_eq!(chunks(other, &listed[0]), chunks(&first, &listed[0]));
        assert_eq!(other.info(), first.info());
        assert_eq!(other.dump(), first.dump());
        other.node.check().unwrap();
    }
    // Two are kept, and what is not there is an empty chunk.
    run(&first, 15);
    let heights: Vec<_> = first.app.list_snapshots().snapshots.iter().map(|s| s.height).collect();
    assert_eq!(heights, [15, 10]);
    assert!(chunks(&first, &listed[1]).iter().all(Vec::is_empty));
}

#[test]
fn blocks_that_a_joining_node_needs_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let upkeep =
        Upkeep { snapshot_blocks: EVERY, snapshots_kept: 2, retain_blocks: 3, ..Upkeep::default() };
    let bench = Bench::open_with(
        dir.path(),
        Keep { recent: 1, cache_bytes: 1 << 20, ..Keep::default() },
        upkeep,
    );
    bench.init();
    let mut retained = Vec::new();
    for height in 1..=16 {
        bench.finalize(height, &block(height));
        retained.push(bench.app.commit().retain_height);
        bench.node.wait_for_upkeep();
    }
    // Three blocks, but never above the older snapshot.
    // The snapshot of block 15 may be there when its own commit is answered, or not yet.
    assert!([5, 10].contains(&retained[14]), "{retained:?}");
    retained.remove(14);
    assert_eq!(retained, [0, 0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 5, 5, 10]);
    drop(bench);
    // Evidence may be about a block that is not old enough, however many blocks there are.
    let upkeep = Upkeep { retain_blocks: 3, keep_evidence: true, ..Upkeep::default() };
    let bench = Bench::open_with(
        dir.path(),
        Keep { recent: 1, cache_bytes: 1 << 20, ..Keep::default() },
        upkeep,
    );
    bench.finalize(17, &block(17));
    assert_eq!(bench.app.commit().retain_height, 0);
}

/// A state to be lied about, in as many chunks as one likes.
struct Truth {
    pairs: Vec<Pair>,
    app_hash: Vec<u8>,
    height: u64,
}

impl Truth {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(dir.path());
        run(&bench, 3);
        let derived = |(key, _): &Pair| Table::is_derived(key[0]);
        let pairs = bench.node.reader().scan(&[]).filter(|pair| !derived(pair)).collect();
        Self { pairs, app_hash: bench.info().1, height: 3 }
    }

    fn parts(&self) -> Vec<Vec<Pair>> {
        self.pairs.chunks(5).map(<[Pair]>::to_vec).collect()
    }
}

fn encode(pairs: &[Pair]) -> Vec<u8> {
    let mut chunk = Vec::new();
    for (key, value) in pairs {
        chunk.extend((key.len() as u32).to_be_bytes());
        chunk.extend((value.len() as u32).to_be_bytes());
        chunk.extend_from_slice(key);
        chunk.extend_from_slice(value);
    }
    chunk
}

/// A snapshot whose metadata fits its chunks, whatever they hold.
fn describe(height: u64, pairs: u64, chunks: &[Vec<u8>]) -> pb::Snapshot {
    let metadata = SnapshotMetadata {
        pairs,
        bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
        chunk_sha256: chunks.iter().map(|chunk| Sha256::digest(chunk).to_vec()).collect(),
    };
    with_metadata(height, chunks.len() as u32, metadata.encode_to_vec())
}

fn with_metadata(height: u64, chunks: u32, metadata: Vec<u8>) -> pb::Snapshot {
    let hash = Sha256::digest(&metadata).to_vec().into();
    pb::Snapshot { height, format: statesync::FORMAT, chunks, hash, metadata: metadata.into() }
}

fn packed(height: u64, parts: &[Vec<Pair>]) -> (pb::Snapshot, Vec<Vec<u8>>) {
    let chunks: Vec<Vec<u8>> = parts.iter().map(|part| encode(part)).collect();
    let pairs = parts.iter().map(|part| part.len() as u64).sum();
    (describe(height, pairs, &chunks), chunks)
}

/// The last answer.
fn restore(bench: &Bench, snapshot: &pb::Snapshot, hash: &[u8], chunks: &[Vec<u8>]) -> Applied {
    assert_eq!(offer(bench, snapshot, hash), Offered::Accept);
    let mut last = Applied::Unknown;
    for (index, chunk) in chunks.iter().enumerate() {
        last = apply(bench, index, chunk).0;
        if last != Applied::Accept {
            break;
        }
    }
    last
}

fn untouched(bench: &Bench) {
    assert_eq!(bench.info(), (0, Vec::new()));
    assert!(bench.dump().is_empty());
}

#[test]
fn lies_are_refused_and_leave_nothing() {
    let truth = Truth::new();
    let hash = &truth.app_hash;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open(dir.path());
    let (honest, chunks) = packed(truth.height, &truth.parts());
    assert!(chunks.len() > 3);

    // Offers that no honest node makes.
    let mut other = honest.clone();
    other.format = 2;
    assert_eq!(offer(&bench, &other, hash), Offered::RejectFormat);
    assert_eq!(offer(&bench, &honest, b"short"), Offered::Abort);
    let metadata = honest.metadata.to_vec();
    let decoded = SnapshotMetadata::decode(&metadata[..]).unwrap();
    let count = honest.chunks;
    let changed = |change: fn(&mut SnapshotMetadata)| {
        let mut metadata = decoded.clone();
        change(&mut metadata);
        with_metadata(3, count, metadata.encode_to_vec())
    };
    let mut unhashed = honest.clone();
    unhashed.hash = vec![0; 32].into();
    for (what, lie) in [
        ("no height", with_metadata(0, count, metadata.clone())),
        ("no chunks", with_metadata(3, 0, metadata.clone())),
        ("a chunk more", with_metadata(3, count + 1, metadata.clone())),
        ("too many chunks", with_metadata(3, u32::MAX, metadata.clone())),
        ("not protobuf", with_metadata(3, 1, vec![0xff; 100])),
        ("large metadata", with_metadata(3, 1, vec![0; statesync::METADATA_BYTES_MAX + 1])),
        ("many empty hashes", with_metadata(3, 1_000_000, [0x1a, 0].repeat(1_000_000))),
        ("a short hash", changed(|metadata| metadata.chunk_sha256[0] = vec![1])),
        ("impossibly many bytes", changed(|metadata| metadata.bytes = u64::MAX)),
        ("impossibly many pairs", changed(|metadata| metadata.pairs = u64::MAX)),
        ("another hash", unhashed),
    ] {
        assert_eq!(offer(&bench, &lie, hash), Offered::RejectSender, "{what}");
        assert_eq!(apply(&bench, 0, &chunks[0]).0, Applied::Abort, "{what}");
    }
    untouched(&bench);

    // More than this node wants to fetch from strangers.
    let small = tempfile::tempdir().unwrap();
    let upkeep = Upkeep { restore_bytes_max: 100, ..Upkeep::default() };
    let keep = Keep { recent: 1, cache_bytes: 1 << 20, ..Keep::default() };
    let small = Bench::open_with(small.path(), keep, upkeep);
    assert_eq!(offer(&small, &honest, hash), Offered::Reject);

    // Chunks that are not those of the snapshot: their sender is dropped, the restore goes on.
    assert_eq!(offer(&bench, &honest, hash), Offered::Accept);
    let mut flipped = chunks[0].clone();
    flipped[20] ^= 1;
    let cut = &chunks[0][..chunks[0].len() - 1];
    let huge = vec![0; statesync::CHUNK_BYTES_MAX + 1];
    for wrong in [&chunks[1][..], cut, &flipped, &[], &huge] {
        let (result, answer) = apply(&bench, 0, wrong);
        assert_eq!(result, Applied::Retry);
        assert_eq!((answer.refetch_chunks, answer.reject_senders), (vec![0], vec!["peer0".into()]));
    }
    // Out of order: from the start.
    assert_eq!(apply(&bench, 2, &chunks[2]).0, Applied::RetrySnapshot);
    assert_eq!(apply(&bench, 0, &chunks[0]).0, Applied::Abort);
    untouched(&bench);

    // Snapshots that are lies as a whole.
    type Change = fn(&mut Vec<Vec<Pair>>);
    let cases: [(&str, Change); 12] = [
        ("a changed value", |parts| parts[1][0].1.push(1)),
        ("a missing pair", |parts| drop(parts[1].pop())),
        ("a missing chunk", |parts| drop(parts.pop())),
        ("swapped chunks", |parts| parts.swap(0, 1)),
        ("a chunk twice", |parts| parts.insert(1, parts[0].clone())),
        ("unsorted keys", |parts| parts[0].swap(0, 1)),
        ("a key twice", |parts| {
            let pair = parts[0][0].clone();
            parts[0].insert(0, pair);
        }),
        ("an index", |parts| {
            let last = parts.last_mut().unwrap();
            last.push((vec![Table::MarketJobsByState.id(), 1], Vec::new()));
            last.sort();
        }),
        ("a key of no table", |parts| {
            parts.push(vec![(vec![0xfe, 1], vec![1])]);
        }),
        ("an empty key", |parts| parts[0].insert(0, (Vec::new(), vec![1]))),
        ("a long key", |parts| {
            parts.push(vec![(vec![0xfe; statesync::KEY_BYTES_MAX + 1], Vec::new())]);
        }),
        ("another block's time", |parts| {
            let key = [Table::LastBlock.id()];
            let pair = parts.iter_mut().flatten().find(|(found, _)| found[..] == key).unwrap();
            let mut last = LastBlock::decode(&pair.1[..]).unwrap();
            last.time_s += 1_000;
            pair.1 = last.encode_to_vec();
        }),
    ];
    for (what, change) in cases {
        let mut parts = truth.parts();
        change(&mut parts);
        let (snapshot, chunks) = packed(truth.height, &parts);
        assert_eq!(restore(&bench, &snapshot, hash, &chunks), Applied::RejectSnapshot, "{what}");
        untouched(&bench);
    }
    // Its senders are named, all of them.
    let mut parts = truth.parts();
    parts.last_mut().unwrap()[0].1.push(1);
    let (snapshot, lies) = packed(truth.height, &parts);
    offer(&bench, &snapshot, hash);
    let answers: Vec<_> =
        lies.iter().enumerate().map(|(index, chunk)| apply(&bench, index, chunk).1).collect();
    assert_eq!(answers.last().unwrap().reject_senders.len(), lies.len());
    // True bytes, offered as those of another block.
    let (snapshot, chunks) = packed(4, &truth.parts());
    assert_eq!(restore(&bench, &snapshot, hash, &chunks), Applied::RejectSnapshot);
    // Lengths that lead past the chunk.
    for bad in [&[0xff; 8][..], &[0; 8], &[0, 0, 0, 9, 0, 0, 0, 0, 1], &[0; 3]] {
        let lie = describe(3, 1, &[bad.to_vec()]);
        assert_eq!(restore(&bench, &lie, hash, &[bad.to_vec()]), Applied::RejectSnapshot);
    }
    untouched(&bench);

    // After all of this the truth is still taken, and nothing after it.
    let (honest, chunks) = packed(truth.height, &truth.parts());
    assert_eq!(restore(&bench, &honest, hash, &chunks), Applied::Accept);
    assert_eq!(bench.info(), (3, truth.app_hash.clone()));
    assert_eq!(apply(&bench, chunks.len(), &chunks[0]).0, Applied::Abort);
    assert_eq!(offer(&bench, &honest, hash), Offered::Abort);
    bench.node.check().unwrap();
    let head = bench.node.head().unwrap();
    assert_eq!((head.chain_id.as_str(), head.time_s), (common::CHAIN, 1_700_000_003));
}

#[test]
fn a_node_that_dies_while_it_restores_begins_anew() {
    let truth = Truth::new();
    let (snapshot, chunks) = packed(truth.height, &truth.parts());
    let dir = tempfile::tempdir().unwrap();
    for taken in 0..chunks.len() {
        let bench = Bench::open(dir.path());
        untouched(&bench);
        assert_eq!(offer(&bench, &snapshot, &truth.app_hash), Offered::Accept);
        for (index, chunk) in chunks[..taken].iter().enumerate() {
            assert_eq!(apply(&bench, index, chunk).0, Applied::Accept);
        }
        assert_eq!(bench.info().0, 0);
        assert!(bench.node.head().is_none());
    }
    // A chain can begin where a restore was given up.
    let bench = Bench::open(dir.path());
    offer(&bench, &snapshot, &truth.app_hash);
    apply(&bench, 0, &chunks[0]);
    bench.init();
    run(&bench, 3);
    assert_eq!(bench.info(), (3, truth.app_hash.clone()));
    bench.node.check().unwrap();
    assert_eq!(apply(&bench, 1, &chunks[1]).0, Applied::Abort);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a liar makes of the chunks, with metadata that fits: the answer is no, and nothing
    /// is left.
    #[test]
    fn no_lie_is_believed(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..4),
    ) {
        thread_local! {
            static TRUTH: (Truth, tempfile::TempDir) = (Truth::new(), tempfile::tempdir().unwrap());
        }
        TRUTH.with(|(truth, dir)| {
            let bench = Bench::open(dir.path());
            let (_, honest) = packed(truth.height, &truth.parts());
            let mut chunks = honest.clone();
            for (chunk, at, kind, byte) in &edits {
                let chunk = chunk.index(chunks.len());
                let chunk = &mut chunks[chunk];
                let at = at.index(chunk.len());
                match kind {
                    0 => chunk[at] ^= byte | 1,
                    1 => chunk.truncate(at.max(1)),
                    2 => chunk.insert(at, *byte),
                    _ => drop(chunk.remove(at)),
                }
                if chunk.is_empty() {
                    chunk.push(*byte);
                }
            }
            prop_assume!(chunks != honest);
            let lie = describe(truth.height, truth.pairs.len() as u64, &chunks);
            let answer = restore(&bench, &lie, &truth.app_hash, &chunks);
            prop_assert_eq!(answer, Applied::RejectSnapshot);
            prop_assert!(bench.dump().is_empty() && bench.node.head().is_none());
            Ok(())
        })?;
    }

    /// Whatever a liar makes of the metadata: what is taken in the end is the truth, or nothing is,
    /// and then the truth still can be.
    #[test]
    fn no_metadata_makes_a_lie_true(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..4),
        count in prop_oneof![3 => Just(None), 1 => (0..20u32).prop_map(Some)],
    ) {
        thread_local! {
            static TRUTH: Truth = Truth::new();
        }
        TRUTH.with(|truth| {
            let dir = tempfile::tempdir().unwrap();
            let bench = Bench::open(dir.path());
            let (honest, chunks) = packed(truth.height, &truth.parts());
            let mut metadata = honest.metadata.to_vec();
            for (at, kind, byte) in &edits {
                if metadata.is_empty() {
                    break;
                }
                let at = at.index(metadata.len());
                match kind {
                    0 => metadata[at] ^= byte | 1,
                    1 => metadata.truncate(at),
                    2 => metadata.insert(at, *byte),
                    _ => drop(metadata.remove(at)),
                }
            }
            let lie = with_metadata(truth.height, count.unwrap_or(honest.chunks), metadata);
            if offer(&bench, &lie, &truth.app_hash) == Offered::Accept {
                for (index, chunk) in chunks.iter().enumerate() {
                    if apply(&bench, index, chunk).0 != Applied::Accept {
                        break;
                    }
                }
            }
            let whole = (truth.height as i64, truth.app_hash.clone());
            if bench.node.head().is_none() {
                prop_assert_eq!(bench.info(), (0, Vec::new()));
                let answer = restore(&bench, &honest, &truth.app_hash, &chunks);
                prop_assert_eq!(answer, Applied::Accept);
            }
            prop_assert_eq!(bench.info(), whole);
            bench.node.check().unwrap();
            Ok(())
        })?;
    }
}
