//! Making, listing and handing out snapshots.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, ensure};
use plasma_modules::{Read, Table};
use plasma_proto::plasma::chain::v1::SnapshotMetadata;
use prost::Message;
use sha2::{Digest, Sha256};

use super::{
    CHUNK_BYTES, CHUNKS_MAX, FORMAT, KEY_BYTES_MAX, LISTED_MAX, METADATA_BYTES_MAX, Snapshot,
    VALUE_BYTES_MAX,
};
use crate::upkeep::Sweep;

const METADATA: &str = "metadata";
/// In front of the names of folders that are not whole.
const TEMPORARY: &str = "tmp-";

/// The snapshots of one node.
pub struct Snapshots {
    dir: PathBuf,
    kept: usize,
    oldest: AtomicU64,
    /// Held while folders come and go.
    changing: Mutex<()>,
}

impl Snapshots {
    /// Those in `dir`, which need not be there. What a crash left half made is removed.
    pub fn open(dir: PathBuf, kept: usize) -> Self {
        let snapshots =
            Self { dir, kept, oldest: AtomicU64::new(u64::MAX), changing: Mutex::default() };
        for entry in fs::read_dir(&snapshots.dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(TEMPORARY)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(%error, "{} cannot be removed", entry.path().display());
            }
        }
        snapshots.look();
        snapshots
    }

    /// Heights of the snapshots, in order.
    pub fn heights(&self) -> Vec<u64> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut heights: Vec<u64> =
            entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        heights.sort_unstable();
        heights
    }

    /// Height of the oldest.
    pub fn oldest(&self) -> Option<u64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|oldest| *oldest != u64::MAX)
    }

    fn look(&self) {
        let oldest = self.heights().first().copied();
        self.oldest.store(oldest.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What peers are told, newest first.
    pub fn list(&self) -> Vec<Snapshot> {
        let mut heights = self.heights();
        heights.reverse();
        heights.truncate(LISTED_MAX);
        let describe = |height: u64| {
            let metadata = fs::read(self.dir.join(height.to_string()).join(METADATA)).ok()?;
            let decoded = SnapshotMetadata::decode(&metadata[..]).ok()?;
            let chunks = u32::try_from(decoded.chunk_sha256.len()).ok()?;
            let hash = Sha256::digest(&metadata).to_vec();
            Some(Snapshot { height, format: FORMAT, chunks, hash, metadata })
        };
        heights.into_iter().filter_map(describe).collect()
    }

    /// A chunk; `None` if it is not here.
    pub fn chunk(&self, height: u64, format: u32, index: u32) -> Option<Vec<u8>> {
        if format != FORMAT {
            return None;
        }
        fs::read(self.dir.join(height.to_string()).join(index.to_string())).ok()
    }

    /// Makes the snapshot of the state that `sweep` reads, and removes the oldest ones above the
    /// number to be kept. False if it is there already, or if the node stopped meanwhile.
    pub(crate) fn make(&self, sweep: &Sweep<'_>, height: u64) -> anyhow::Result<bool> {
        let name = height.to_string();
        let (temporary, place) =
            (self.dir.join(format!("{TEMPORARY}{name}")), self.dir.join(&name));
        if place.exists() {
            return Ok(false);
        }
        let made = self.write(sweep, &temporary);
        match made {
            Ok(true) => {}
            Ok(false) | Err(_) => {
                let _ = fs::remove_dir_all(&temporary);
                return made;
            }
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        fs::rename(&temporary, &place)?;
        sync_dir(&self.dir)?;
        let heights = self.heights();
        let surplus = heights.len().saturating_sub(self.kept.max(1));
        for height in &heights[..surplus] {
            self.remove(*height)?;
        }
        self.look();
        tracing::info!(height, "snapshot made");
        Ok(true)
    }

    /// Removes the snapshots above `height`: those of blocks that were rolled back.
    pub(crate) fn remove_above(&self, height: u64) -> anyhow::Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        for above in self.heights().into_iter().filter(|above| *above > height) {
            self.remove(above)?;
        }
        self.look();
        Ok(())
    }

    /// A folder that is half removed has no valid name, so that nobody is told of it.
    fn remove(&self, height: u64) -> anyhow::Result<()> {
        let place = self.dir.join(height.to_string());
        let temporary = self.dir.join(format!("{TEMPORARY}old-{height}"));
        fs::rename(&place, &temporary)
            .and_then(|()| fs::remove_dir_all(&temporary))
            .with_context(|| format!("cannot remove {}", place.display()))
    }

    /// Writes chunks and metadata. When this returns, the disk has them.
    fn write(&self, sweep: &Sweep<'_>, dir: &Path) -> anyhow::Result<bool> {
        let _ = fs::remove_dir_all(dir);
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let mut metadata = SnapshotMetadata::default();
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + (64 << 10));
        for (key, value) in sweep.scan(&[]) {
            if key.first().is_some_and(|byte| Table::is_derived(*byte)) {
                continue;
            }
            ensure!(key.len() <= KEY_BYTES_MAX, "a key of {} bytes", key.len());
            ensure!(value.len() <= VALUE_BYTES_MAX, "a value of {} bytes", value.len());
            put_pair(&mut chunk, &key, &value);
            metadata.pairs += 1;
            if chunk.len() >= CHUNK_BYTES {
                finish_chunk(dir, &mut chunk, &mut metadata)?;
            }
        }
        if sweep.stopped() {
            return Ok(false);
        }
        if !chunk.is_empty() {
            finish_chunk(dir, &mut chunk, &mut metadata)?;
        }
        let bytes = metadata.encode_to_vec();
        ensure!(bytes.len() <= METADATA_BYTES_MAX, "{} bytes of metadata", bytes.len());
        write_file(&dir.join(METADATA), &bytes)?;
        sync_dir(dir)?;
        Ok(true)
    }
}

/// Appends a pair to a chunk.
pub(super) fn put_pair(chunk: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for part in [key, value] {
        chunk.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    chunk.extend_from_slice(key);
    chunk.extend_from_slice(value);
}

fn finish_chunk(
    dir: &Path,
    chunk: &mut Vec<u8>,
    metadata: &mut SnapshotMetadata,
) -> anyhow::Result<()> {
    let index = u32::try_from(metadata.chunk_sha256.len()).unwrap_or(u32::MAX);
    ensure!(index < CHUNKS_MAX, "the state has more than {CHUNKS_MAX} chunks");
    write_file(&dir.join(index.to_string()), chunk)?;
    metadata.bytes += chunk.len() as u64;
    metadata.chunk_sha256.push(Sha256::digest(&chunk[..]).to_vec());
    chunk.clear();
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let written = || -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

fn sync_dir(dir: &Path) -> anyhow::Result<()> {
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("cannot sync {}", dir.display()))
}
