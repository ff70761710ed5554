//! What each message costs. Numbers are consensus: they are part of every result.
//!
//! A message pays for everything that follows from it, up to its end: a job for its matching, its
//! timers and its settlement; an ask for being removed.

/// One stored byte.
pub const STORED_BYTE_GAS: u64 = 10;

/// One ed25519 signature.
pub const SIGNATURE_GAS: u64 = 5_000;

/// A registration or an update without its asks.
pub const PROVIDER_GAS: u64 = 80_000;

/// One ask: the model is read; the offer is written, and removed some day.
pub const ASK_GAS: u64 = 25_000;

/// Changes of bond, queueing included.
pub const BOND_GAS: u64 = 60_000;

/// Leaving, with the removal of what was offered.
pub const LEAVE_GAS: u64 = 150_000;

/// A model without its manifest's bytes.
pub const MODEL_GAS: u64 = 50_000;

/// A job from opening over matching and timers to settlement, without its bytes.
pub const JOB_GAS: u64 = 250_000;

/// Taking a job back, or passing it on.
pub const JOB_END_GAS: u64 = 80_000;

/// Gas for storing `bytes`.
pub fn stored(bytes: usize) -> u64 {
    STORED_BYTE_GAS.saturating_mul(u64::try_from(bytes).unwrap_or(u64::MAX))
}
