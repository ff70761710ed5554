//! Whether the bytes on disk are still those that the app hash stands for.
//!
//! RocksDB's checksums find a block that the disk changed; they do not find a value that memory
//! changed before it was written, or a fault of ours. A scrub reads every key and computes the app
//! hash from nothing else. Then it compares the indexes, which no app hash vouches for and which steer
//! consensus all the same, with what the objects ask for.

use std::time::Instant;

use plasma_modules::chain;

use crate::{
    commit,
    meta::Head,
    metrics::Metrics,
    node::{NodeError, same_hash},
    upkeep::Sweep,
};

/// Exit status of a process that found its state not to be what its app hash says.
pub const EXIT_SCRUB: i32 = 76;

/// Whether what `sweep` reads is the state of `head`, indexes and all. `None` if the node stopped
/// meanwhile.
pub(crate) fn check(sweep: &Sweep<'_>, head: &Head) -> Option<Result<(), NodeError>> {
    let found = commit::recomputed_app_hash(sweep);
    // Only what the app hash vouches for can be read as objects.
    let whole = same_hash(head, found).and_then(|()| {
        let index = |why| NodeError::Index { height: head.height, why };
        chain::indexes_match_objects(sweep).map_err(index)
    });
    (!sweep.stopped()).then_some(whole)
}

/// Checks the state of `head`, which is what `sweep` reads, and stops the process if it is wrong:
/// whatever the node would say from then on may be wrong as well.
pub(crate) fn online(sweep: &Sweep<'_>, head: &Head, metrics: &Metrics) {
    let started = Instant::now();
    let Some(whole) = check(sweep, head) else { return };
    let Err(error) = whole else {
        metrics.scrubbed(head.height, started.elapsed());
        tracing::info!(height = head.height, took = ?started.elapsed(), "scrub: the state is whole");
        return;
    };
    metrics.scrub_failed();
    tracing::error!(
        height = head.height,
        %error,
        "scrub: the state on disk is wrong; the node stops. Suspect memory and disk of this machine"
    );
    eprintln!("plasmad: scrub: {error}");
    std::process::exit(EXIT_SCRUB)
}
