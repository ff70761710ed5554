//! Whether the bytes on disk are still those that the app hash stands for.
//!
//! RocksDB's checksums find a block that the disk changed; they do not find a value that memory
//! changed before it was written, or a fault of ours. A scrub reads every key and computes the app
//! hash from nothing else.

use std::time::Instant;

use crate::{commit, meta::Head, metrics::Metrics, upkeep::Sweep};

/// Exit status of a process that found its state not to be what its app hash says.
pub const EXIT_SCRUB: i32 = 76;

/// Computes the app hash from keys and values. `None` if the node stopped meanwhile.
pub(crate) fn app_hash(sweep: &Sweep<'_>) -> Option<[u8; 32]> {
    let found = commit::recomputed_app_hash(sweep);
    (!sweep.stopped()).then_some(found)
}

/// Checks the state of `head`, which is what `sweep` reads, and stops the process if it is wrong:
/// whatever the node would say from then on may be wrong as well.
pub(crate) fn online(sweep: &Sweep<'_>, head: &Head, metrics: &Metrics) {
    let started = Instant::now();
    let Some(found) = app_hash(sweep) else { return };
    if found == head.app_hash {
        metrics.scrubbed(head.height, started.elapsed());
        tracing::info!(height = head.height, took = ?started.elapsed(), "scrub: the state is whole");
        return;
    }
    metrics.scrub_failed();
    let (wanted, found) = (hex::encode(head.app_hash), hex::encode(found));
    tracing::error!(
        height = head.height,
        wanted,
        found,
        "scrub: the state on disk is not what its app hash says; the node stops. Suspect memory \
         and disk of this machine; restore a backup or sync anew into an empty home"
    );
    eprintln!(
        "plasmad: scrub: the state of block {} has the app hash {found} instead of {wanted}",
        head.height
    );
    std::process::exit(EXIT_SCRUB)
}
