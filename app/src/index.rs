//! plasmad's own index of transactions: by hash, by height, and by the attributes of their events,
//! as CometBFT's `kv` index has them, for a small part of its price. See docs/decisions/0012.
//!
//! | column family | key | value |
//! |---|---|---|
//! | `results` | `b`, height | time, number of transactions, the block's own part of FinalizeBlock's response |
//! | | `t`, height, number of the first | up to [`CHUNK_TXS`] transactions with their results, LZ4 |
//! | `index` | `h`, sha256 of a transaction | height, number in the block |
//! | | `e`, half of a hash of key and value, height | who in this block has them: number, event |
//!
//! A block's rows are written while CometBFT works on FinalizeBlock's answer, without a sync of their
//! own: the log is written in order, so they are on disk when the block is. Rows of a block that was
//! not committed are of no height that is asked for, and are written once more when it comes again.
//! What is older than CometBFT's blocks is dropped by compaction, and is not found before that.

mod proof;
mod query;
mod search;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use prost::{
    Message,
    encoding::{decode_varint, encode_varint},
};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use tendermint_proto::v0_38::abci::{Event, ExecTxResult, ResponseFinalizeBlock};

use crate::rocks::{Batch, Reader, Rocks, stop};

pub use proof::{TxProof, prove};
pub use query::{Query, QueryError};
pub use search::{Matches, SearchError};

/// Transactions that are stored and compressed together.
pub const CHUNK_TXS: usize = 64;
/// Blocks that are let go of together: each time costs a mark that reads have to step over.
const FORGOTTEN_BLOCKS: u64 = 100;
/// Keys in `results`.
const BLOCK: u8 = b'b';
const CHUNK: u8 = b't';
/// Keys in `index`.
const HASH: u8 = b'h';
const TERM: u8 = b'e';
/// What a term is of.
const OF_TX: u8 = 0;
const OF_BLOCK: u8 = 1;
/// Bytes of a term's hash: no two of 2^64 terms are likely to share one.
const TERM_BYTES: usize = 16;

type Term = [u8; TERM_BYTES];
/// Number of a transaction in its block, and of the event in the transaction.
type Posting = (u32, u32);

/// A block that was decided, and what executing it gave.
#[derive(Clone, Copy, Debug)]
pub struct IndexedBlock<'a> {
    /// Its height.
    pub height: u64,
    /// Its time, seconds.
    pub time_s: u64,
    /// Its transactions.
    pub txs: &'a [&'a [u8]],
    /// One result for each, events of the block, app hash.
    pub response: &'a ResponseFinalizeBlock,
}

/// A transaction that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundTx {
    /// Height of its block.
    pub height: u64,
    /// Its number there.
    pub index: u32,
    /// The transaction.
    pub tx: Vec<u8>,
    /// What it did.
    pub result: ExecTxResult,
}

/// A block's own part.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundBlock {
    /// Its height.
    pub height: u64,
    /// Its time, seconds.
    pub time_s: u64,
    /// Number of its transactions.
    pub txs: u32,
    /// FinalizeBlock's response without the transactions' results.
    pub response: ResponseFinalizeBlock,
}

/// Rows of one block, ready to be written.
#[derive(Default)]
pub(crate) struct Rows {
    pub results: Vec<(Vec<u8>, Vec<u8>)>,
    pub index: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The index of one node.
pub struct Index {
    rocks: Arc<Rocks>,
    writing: Mutex<Option<JoinHandle<()>>>,
}

impl Index {
    /// The index in `rocks`.
    pub(crate) fn new(rocks: Arc<Rocks>) -> Self {
        let index = Self { rocks, writing: Mutex::default() };
        index.rocks.set_index_floor(oldest(&index.rocks.reader()).unwrap_or(0));
        index
    }

    /// Begins to write a block; [`Index::settle`] waits for it.
    pub fn write(&self, block: &IndexedBlock<'_>) {
        let rows = rows(block);
        self.write_behind(|| rows);
    }

    /// The same of a block that nobody else needs: all of the work is done later.
    pub fn write_whole(
        &self,
        height: u64,
        time_s: u64,
        txs: Vec<Bytes>,
        response: ResponseFinalizeBlock,
    ) {
        self.write_behind(move || {
            let txs: Vec<&[u8]> = txs.iter().map(|tx| &tx[..]).collect();
            rows(&IndexedBlock { height, time_s, txs: &txs, response: &response })
        });
    }

    fn write_behind(&self, rows: impl FnOnce() -> Rows + Send + 'static) {
        self.settle();
        let rocks = Arc::clone(&self.rocks);
        let writing = thread::spawn(move || rocks.write_index(rows()));
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(writing);
    }

    /// Returns when everything is with RocksDB.
    pub fn settle(&self) {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writing) = writing
            && writing.join().is_err()
        {
            stop("the index of transactions could not be written", "panic");
        }
    }

    /// A transaction by the sha256 of its bytes.
    pub fn tx(&self, hash: &[u8; 32]) -> Option<FoundTx> {
        let reader = self.rocks.reader();
        let place = reader.index(&[&[HASH][..], hash].concat())?;
        let (height, index) = read_place(&place)?;
        self.within(&reader, height).then(|| one(&reader, height, index))?
    }

    /// A block's own part.
    pub fn block(&self, height: u64) -> Option<FoundBlock> {
        let reader = self.rocks.reader();
        self.within(&reader, height).then(|| block(&reader, height))?
    }

    /// The transactions of a block with their results.
    pub fn txs_of(&self, height: u64) -> Vec<FoundTx> {
        txs_of(&self.rocks.reader(), height).collect()
    }

    /// The oldest and the newest block that is indexed.
    pub fn heights(&self) -> Option<(u64, u64)> {
        heights(&self.rocks, &self.rocks.reader())
    }

    fn within(&self, reader: &Reader<'_>, height: u64) -> bool {
        heights(&self.rocks, reader).is_some_and(|(from, to)| (from..=to).contains(&height))
    }

    /// Lets go of the blocks below `height`, together with `batch`.
    pub(crate) fn forget_below(&self, batch: &mut Batch<'_>, height: u64) {
        if height >= self.rocks.index_floor().saturating_add(FORGOTTEN_BLOCKS) {
            batch.results_below(height);
            self.rocks.set_index_floor(height);
        }
    }

    /// Forgets the blocks above `height`.
    pub(crate) fn forget_above(&self, height: u64) {
        self.settle();
        let reader = self.rocks.reader();
        let Some(newest) = newest(&reader) else { return };
        for above in (height + 1)..=newest {
            let mut keys = Rows::default();
            for (number, found) in txs_of(&reader, above).enumerate() {
                let hash: [u8; 32] = Sha256::digest(&found.tx).into();
                keys.index.push(([&[HASH][..], &hash].concat(), Vec::new()));
                terms(OF_TX, &found.result.events, |term, _| {
                    keys.index.push((term_key(&term, above), Vec::new()));
                });
                if number % CHUNK_TXS == 0 {
                    keys.results.push((chunk_key(above, found.index), Vec::new()));
                }
            }
            if let Some(block) = block(&reader, above) {
                terms(OF_BLOCK, &block.response.events, |term, _| {
                    keys.index.push((term_key(&term, above), Vec::new()));
                });
            }
            keys.results.push((block_key(above), Vec::new()));
            self.rocks.delete_index(keys);
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.settle();
    }
}

/// The oldest and the newest block that is indexed, committed, and not let go of.
fn heights(rocks: &Rocks, reader: &Reader<'_>) -> Option<(u64, u64)> {
    let from = oldest(reader)?.max(rocks.index_floor());
    let to = newest(reader)?.min(reader.head()?.height);
    (from <= to).then_some((from, to))
}

pub(crate) fn oldest(reader: &Reader<'_>) -> Option<u64> {
    let (key, _) = reader.results_from(&[BLOCK], &[BLOCK + 1]).next()?;
    height_at(&key, 1)
}

fn newest(reader: &Reader<'_>) -> Option<u64> {
    let (key, _) = reader.results_back(&[BLOCK], &[BLOCK + 1]).next()?;
    height_at(&key, 1)
}

/// The height that an entry of `index` is of; one that is not understood is of all.
pub(crate) fn height_of(key: &[u8], value: &[u8]) -> u64 {
    let height = match key.first() {
        Some(&HASH) => height_at(value, 0),
        Some(&TERM) => height_at(key, 1 + TERM_BYTES),
        _ => None,
    };
    height.unwrap_or(u64::MAX)
}

fn height_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn read_place(place: &[u8]) -> Option<(u64, u32)> {
    Some((height_at(place, 0)?, u32::from_be_bytes(*place.get(8..)?.first_chunk()?)))
}

pub(crate) fn block_key(height: u64) -> Vec<u8> {
    [&[BLOCK][..], &height.to_be_bytes()].concat()
}

pub(crate) fn chunk_key(height: u64, first: u32) -> Vec<u8> {
    [&[CHUNK][..], &height.to_be_bytes(), &first.to_be_bytes()].concat()
}

fn term_key(term: &Term, height: u64) -> Vec<u8> {
    [&[TERM][..], term, &height.to_be_bytes()].concat()
}

fn term(of: u8, key: &[&str], value: &str) -> Term {
    let mut hasher = Sha256::new_with_prefix([of]);
    for part in key {
        hasher.update(part);
    }
    hasher.update([0]);
    hasher.update(value);
    let mut term = [0; TERM_BYTES];
    term.copy_from_slice(&hasher.finalize()[..TERM_BYTES]);
    term
}

/// The terms of events: each attribute that is to be found, with its event's number.
fn terms(of: u8, events: &[Event], mut each: impl FnMut(Term, u32)) {
    for (number, event) in (0..).zip(events) {
        if event.r#type.is_empty() {
            continue;
        }
        for attribute in event.attributes.iter().filter(|a| a.index && !a.key.is_empty()) {
            each(term(of, &[&event.r#type, ".", &attribute.key], &attribute.value), number);
        }
    }
}

/// What is found together with a term.
fn post(postings: &mut Vec<u8>, (tx, event): Posting) {
    encode_varint(tx.into(), postings);
    encode_varint(event.into(), postings);
}

fn postings(mut bytes: &[u8]) -> Vec<Posting> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let mut next = || decode_varint(&mut bytes).ok().and_then(|n| u32::try_from(n).ok());
        match next().zip(next()) {
            Some(posting) => found.push(posting),
            None => stop("the index of transactions is damaged", "postings"),
        }
    }
    found
}

/// Rows of the transactions from number `first` on.
fn chunk(height: u64, first: u32, txs: &[&[u8]], results: &[ExecTxResult]) -> (Rows, Postings) {
    let mut rows = Rows::default();
    let mut found = Postings::new();
    let mut blob = Vec::new();
    for (number, (tx, result)) in (first..).zip(txs.iter().zip(results)) {
        encode_varint(tx.len() as u64, &mut blob);
        blob.extend_from_slice(tx);
        if result.encode_length_delimited(&mut blob).is_err() {
            // A Vec grows.
            stop("a result cannot be encoded", height);
        }
        let hash: [u8; 32] = Sha256::digest(tx).into();
        let place = [&height.to_be_bytes()[..], &number.to_be_bytes()].concat();
        rows.index.push(([&[HASH][..], &hash].concat(), place));
        terms(OF_TX, &result.events, |term, event| {
            post(found.entry(term).or_default(), (number, event));
        });
    }
    rows.results.push((chunk_key(height, first), lz4_flex::compress_prepend_size(&blob)));
    (rows, found)
}

type Postings = HashMap<Term, Vec<u8>>;

fn rows(block: &IndexedBlock<'_>) -> Rows {
    let &IndexedBlock { height, time_s, txs, response } = block;
    let firsts: Vec<usize> = (0..txs.len()).step_by(CHUNK_TXS).collect();
    let chunks: Vec<_> = firsts
        .par_iter()
        .map(|&first| {
            let to = txs.len().min(first + CHUNK_TXS);
            let results = response.tx_results.get(first..to).unwrap_or_default();
            chunk(height, u32::try_from(first).unwrap_or(u32::MAX), &txs[first..to], results)
        })
        .collect();
    let mut rows = Rows::default();
    let mut found = Postings::new();
    for (part, postings) in chunks {
        rows.results.extend(part.results);
        rows.index.extend(part.index);
        for (term, list) in postings {
            found.entry(term).or_default().extend_from_slice(&list);
        }
    }
    terms(OF_BLOCK, &response.events, |term, event| {
        post(found.entry(term).or_default(), (0, event));
    });
    rows.index.extend(found.into_iter().map(|(term, list)| (term_key(&term, height), list)));
    // RocksDB finds the place of a key fastest beside the one before it.
    rows.index.sort_unstable();
    let own = ResponseFinalizeBlock {
        events: response.events.clone(),
        tx_results: Vec::new(),
        validator_updates: response.validator_updates.clone(),
        consensus_param_updates: response.consensus_param_updates.clone(),
        app_hash: response.app_hash.clone(),
    };
    let count = u32::try_from(txs.len()).unwrap_or(u32::MAX);
    let head = [&time_s.to_be_bytes()[..], &count.to_be_bytes()].concat();
    rows.results.push((block_key(height), [head, own.encode_to_vec()].concat()));
    rows
}

fn block(reader: &Reader<'_>, height: u64) -> Option<FoundBlock> {
    let bytes = reader.results(&block_key(height))?;
    let (time_s, txs) = read_place(&bytes)?;
    let response = bytes.get(12..).and_then(|own| ResponseFinalizeBlock::decode(own).ok());
    let response = response.unwrap_or_else(|| stop("the index of blocks is damaged", height));
    Some(FoundBlock { height, time_s, txs, response })
}

/// The transactions of a chunk, whose key is given too.
fn unpack(key: &[u8], packed: &[u8]) -> Vec<FoundTx> {
    let unpacked = try_unpack(key, packed);
    unpacked.unwrap_or_else(|| stop("the index of transactions is damaged", hex::encode(key)))
}

fn try_unpack(key: &[u8], packed: &[u8]) -> Option<Vec<FoundTx>> {
    let (height, first) = read_place(key.get(1..)?)?;
    let blob = lz4_flex::decompress_size_prepended(packed).ok()?;
    let (mut blob, mut found, mut index) = (&blob[..], Vec::new(), first);
    while !blob.is_empty() {
        let mut next = || {
            let len = usize::try_from(decode_varint(&mut blob).ok()?).ok()?;
            let (part, rest) = blob.split_at_checked(len)?;
            blob = rest;
            Some(part)
        };
        let (tx, result) = next().zip(next())?;
        let result = ExecTxResult::decode(result).ok()?;
        found.push(FoundTx { height, index, tx: tx.to_vec(), result });
        index += 1;
    }
    Some(found)
}

fn txs_of<'a>(reader: &'a Reader<'_>, height: u64) -> impl Iterator<Item = FoundTx> + use<'a> {
    let chunks = reader.results_from(&chunk_key(height, 0), &chunk_key(height + 1, 0));
    chunks.flat_map(|(key, packed)| unpack(&key, &packed))
}

fn one(reader: &Reader<'_>, height: u64, index: u32) -> Option<FoundTx> {
    let first = index - index % u32::try_from(CHUNK_TXS).unwrap_or(1);
    let key = chunk_key(height, first);
    let packed = reader.results(&key)?;
    unpack(&key, &packed).into_iter().find(|found| found.index == index)
}
