//! Restoring a state from chunks that strangers send.
//!
//! The one thing that is trusted is the app hash, which CometBFT's light client has checked, and
//! the height that it belongs to. Each chunk is checked against the metadata's hash before it is
//! used, so that a peer who garbles one is known and dropped. The metadata itself is a claim: only
//! the app hash of all pairs together proves it. Time and chain id come from the record of the last
//! block, which the app hash covers.
//!
//! Pairs go straight into the state's column family under a mark that says so; memory holds one
//! chunk. There is no head until the last batch, so nothing is read from a half restored state, and
//! a node that dies on the way throws it away at the next start.

use std::collections::BTreeSet;

use plasma_modules::{Table, chain};
use plasma_proto::plasma::chain::v1::SnapshotMetadata;
use prost::Message;
use sha2::{Digest, Sha256};

use super::{
    CHUNK_BYTES_MAX, CHUNKS_MAX, FORMAT, KEY_BYTES_MAX, METADATA_BYTES_MAX, PAIR_HEAD_BYTES,
    Snapshot, VALUE_BYTES_MAX,
};
use crate::{commit, meta::Head, rocks::Rocks};

/// Pairs of indexes that are written at once.
const DERIVED_BATCH: usize = 10_000;

/// Answer to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// Its chunks may come.
    Accept,
    /// This node has a state already.
    Abort,
    /// More bytes than this node takes from strangers.
    TooLarge,
    /// Chunks of a layout that is not known here.
    RejectFormat,
    /// No honest node makes such a snapshot.
    RejectSender,
}

/// Answer to a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is in. Holds the head after the last one.
    Accept(Option<Head>),
    /// No restore is under way.
    Abort,
    /// Not what the metadata says: it is to be fetched from somebody else.
    Retry,
    /// Not the chunk that comes next: from the start.
    RetrySnapshot,
    /// The snapshot is a lie, and so are those who sent it.
    RejectSnapshot(Vec<String>),
}

/// A restore under way.
pub(crate) struct Restore {
    height: u64,
    app_hash: [u8; 32],
    metadata: SnapshotMetadata,
    next: usize,
    last_key: Vec<u8>,
    pairs: u64,
    bytes: u64,
    senders: BTreeSet<String>,
}

impl Restore {
    /// Looks at an offer and, if it may be true, makes room for it. `bytes_max` is what a liar can
    /// make this node write at most; 0 for no limit.
    pub fn begin(
        rocks: &Rocks,
        offered: &Snapshot,
        app_hash: &[u8],
        bytes_max: u64,
    ) -> Result<Self, Offered> {
        let Ok(app_hash) = <[u8; 32]>::try_from(app_hash) else { return Err(Offered::Abort) };
        if rocks.reader().head().is_some() {
            return Err(Offered::Abort);
        }
        if offered.format != FORMAT {
            return Err(Offered::RejectFormat);
        }
        let metadata = plausible(offered).ok_or(Offered::RejectSender)?;
        if bytes_max != 0 && metadata.bytes > bytes_max {
            tracing::warn!(
                bytes = metadata.bytes,
                bytes_max,
                "a snapshot is larger than snapshot.restore_gib_max; raise it if the state is"
            );
            return Err(Offered::TooLarge);
        }
        rocks.wipe(true);
        Ok(Self {
            height: offered.height,
            app_hash,
            metadata,
            next: 0,
            last_key: Vec::new(),
            pairs: 0,
            bytes: 0,
            senders: BTreeSet::new(),
        })
    }

    /// Takes a chunk. After any answer but `Accept(None)` and `Retry` the restore is over, and what
    /// it wrote is gone unless it succeeded.
    pub fn apply(&mut self, rocks: &Rocks, index: u32, chunk: &[u8], sender: &str) -> Applied {
        let expected = self.metadata.chunk_sha256.get(self.next);
        let (Some(expected), true) = (expected, usize::try_from(index) == Ok(self.next)) else {
            rocks.wipe(false);
            return Applied::RetrySnapshot;
        };
        if chunk.len() > CHUNK_BYTES_MAX || Sha256::digest(chunk)[..] != expected[..] {
            tracing::warn!(index, sender, "a chunk is not what its snapshot says");
            return Applied::Retry;
        }
        self.senders.insert(sender.to_owned());
        let done = self.take(rocks, chunk).and_then(|()| {
            self.next += 1;
            if self.next < self.metadata.chunk_sha256.len() {
                return Ok(None);
            }
            self.finish(rocks).map(Some)
        });
        match done {
            Ok(head) => Applied::Accept(head),
            Err(lie) => {
                tracing::warn!(height = self.height, "the snapshot is refused: {lie}");
                rocks.wipe(false);
                Applied::RejectSnapshot(std::mem::take(&mut self.senders).into_iter().collect())
            }
        }
    }

    fn take(&mut self, rocks: &Rocks, chunk: &[u8]) -> Result<(), String> {
        let pairs = parse(chunk)?;
        for (key, _) in &pairs {
            if *key <= &self.last_key[..] {
                return Err("keys are not in order".into());
            }
            if key.first().is_some_and(|byte| Table::is_derived(*byte)) {
                return Err("it holds keys of an index".into());
            }
            self.last_key = key.to_vec();
        }
        self.pairs += pairs.len() as u64;
        self.bytes += chunk.len() as u64;
        if self.pairs > self.metadata.pairs || self.bytes > self.metadata.bytes {
            return Err("it is larger than it said".into());
        }
        rocks.stage(pairs.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
        Ok(())
    }

    /// Everything is here: checks it, and makes it the state.
    fn finish(&self, rocks: &Rocks) -> Result<Head, String> {
        if (self.pairs, self.bytes) != (self.metadata.pairs, self.metadata.bytes) {
            return Err("it is not as large as it said".into());
        }
        let reader = rocks.reader();
        let found = commit::recomputed_app_hash(&reader);
        if found != self.app_hash {
            return Err(format!(
                "its app hash is {} instead of {}",
                hex::encode(found),
                hex::encode(self.app_hash)
            ));
        }
        // From here on the bytes are the chain's own.
        let last = chain::last_block(&reader).ok_or("it does not say which block it is of")?;
        if last.height != self.height {
            return Err(format!("it is of block {}, not {}", last.height, self.height));
        }
        let mut index = Vec::new();
        chain::rebuild_derived(&reader, &mut |key| {
            index.push((key, Vec::new()));
            if index.len() == DERIVED_BATCH {
                rocks.stage(index.drain(..));
            }
        });
        rocks.stage(index);
        let head = Head {
            height: last.height,
            time_s: last.time_s,
            // Where the chain began is not part of its state.
            initial_height: 0,
            app_hash: self.app_hash,
            chain_id: last.chain_id,
        };
        let mut batch = rocks.batch();
        batch.head(&head);
        batch.restored();
        batch.write();
        Ok(head)
    }
}

/// The metadata of a snapshot that an honest node could have made.
fn plausible(offered: &Snapshot) -> Option<SnapshotMetadata> {
    let Snapshot { height, format: _, chunks, hash, metadata } = offered;
    if *height == 0 || metadata.len() > METADATA_BYTES_MAX || !(1..=CHUNKS_MAX).contains(chunks) {
        return None;
    }
    if Sha256::digest(metadata)[..] != hash[..] {
        return None;
    }
    let metadata = SnapshotMetadata::decode(&metadata[..]).ok()?;
    let hashes = &metadata.chunk_sha256;
    let bytes_max = u64::from(*chunks).checked_mul(u64::try_from(CHUNK_BYTES_MAX).ok()?)?;
    let honest = u32::try_from(hashes.len()) == Ok(*chunks)
        && hashes.iter().all(|hash| hash.len() == 32)
        && metadata.bytes <= bytes_max
        && metadata.pairs <= metadata.bytes;
    honest.then_some(metadata)
}

/// A pair, as slices of its chunk.
type Slices<'a> = (&'a [u8], &'a [u8]);

/// The pairs of a chunk.
fn parse(mut chunk: &[u8]) -> Result<Vec<Slices<'_>>, String> {
    let mut pairs = Vec::with_capacity(chunk.len() / 64);
    if chunk.is_empty() {
        return Err("a chunk is empty".into());
    }
    while !chunk.is_empty() {
        let (head, rest) = chunk.split_first_chunk::<PAIR_HEAD_BYTES>().ok_or("a pair is cut")?;
        let [k0, k1, k2, k3, v0, v1, v2, v3] = *head;
        let len = |bytes| usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        let (key_len, value_len) = (len([k0, k1, k2, k3]), len([v0, v1, v2, v3]));
        if key_len == 0 || key_len > KEY_BYTES_MAX || value_len > VALUE_BYTES_MAX {
            return Err("a key or a value has an impossible length".into());
        }
        let (key, rest) = rest.split_at_checked(key_len).ok_or("a key is cut")?;
        let (value, rest) = rest.split_at_checked(value_len).ok_or("a value is cut")?;
        pairs.push((key, value));
        chunk = rest;
    }
    Ok(pairs)
}
