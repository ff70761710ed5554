//! Snapshots for state sync: a new node fetches the state of a recent block instead of executing
//! every block there was.
//!
//! A snapshot is every committed pair of the state in order of keys, cut into chunks. It depends on
//! nothing but the state, so every node makes the same bytes. Indexes do not travel; they are
//! rebuilt from the objects.
//!
//! | file | what |
//! |---|---|
//! | `snapshots/HEIGHT/metadata` | [`SnapshotMetadata`]; its sha256 is the snapshot's hash |
//! | `snapshots/HEIGHT/N` | chunk N: for each pair key length and value length, big-endian u32, key, value |
//! | `snapshots/tmp-*` | one that is being made or removed; removed at the next start |
//!
//! [`SnapshotMetadata`]: plasma_proto::plasma::chain::v1::SnapshotMetadata

mod make;
mod restore;

pub use make::Snapshots;
pub(crate) use restore::Restore;
pub use restore::{Applied, Offered};

/// Version of the chunks' layout.
pub const FORMAT: u32 = 1;
/// A chunk ends with the pair that brings it to this many bytes. CometBFT takes 16 MB.
pub const CHUNK_BYTES: usize = 4 << 20;
/// Largest key, bytes.
pub const KEY_BYTES_MAX: usize = 1 << 10;
/// Largest value, bytes.
pub const VALUE_BYTES_MAX: usize = 4 << 20;
/// Bytes in front of a pair: the lengths of key and value.
const PAIR_HEAD_BYTES: usize = 8;
/// Largest chunk, bytes.
pub const CHUNK_BYTES_MAX: usize = CHUNK_BYTES + PAIR_HEAD_BYTES + KEY_BYTES_MAX + VALUE_BYTES_MAX;
/// Most chunks: 256 GiB. Their hashes are 2.2 MB of metadata, of which CometBFT takes 4 MB.
pub const CHUNKS_MAX: u32 = 1 << 16;
/// Largest metadata, bytes.
pub const METADATA_BYTES_MAX: usize = 4_000_000;
/// Snapshots that are told to peers at most; CometBFT takes no more from one.
pub const LISTED_MAX: usize = 10;

/// A snapshot as peers tell each other of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The block whose state it is.
    pub height: u64,
    /// Layout of the chunks.
    pub format: u32,
    /// How many there are.
    pub chunks: u32,
    /// sha256 of the metadata.
    pub hash: Vec<u8>,
    /// An encoded `plasma.chain.v1.SnapshotMetadata`.
    pub metadata: Vec<u8>,
}
