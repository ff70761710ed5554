#![doc = include_str!("README.md")]

mod block;
mod bonds;
mod claim;
mod digests;
mod dispute;
pub mod drift;
mod duty;
mod ending;
mod error;
mod event;
mod genesis;
mod invariant;
pub mod jury;
pub mod lot;
mod msg;
mod params;
mod pool;
mod profile;
mod query;
pub mod question;
pub mod stakes;
mod state;

pub(super) use block::end_block;
pub(super) use bonds::{convicted, put_down, slash_now, slash_part};
pub(super) use claim::claim;
pub use digests::{
    commit_digest, commitment, drawn_leaves, reveal_digest, reveal_msg, verdict_digest,
};
pub use dispute::{appeal, dispute};
pub use duty::{commit_verdict, reveal, reveal_verdict};
pub use error::Error;
pub(super) use genesis::{export, init};
pub(super) use invariant::check_invariants;
pub use invariant::{
    drifts_add_up_to_something, duty_locks_are_sum_of_seats, leaves_are_those_of_open_audits,
    profiles_count_their_pools,
};
pub use msg::{
    Appeal, CommitVerdict, Dispute, JoinPool, LEAVES_SHOWN_MAX, LeavePool, Reveal, RevealVerdict,
    SetProfile,
};
pub use params::default_params;
pub(super) use params::{check_together, rows};
pub use pool::{join_pool, leave_pool, set_profile};
pub use profile::{
    DEFAULT_PROFILE, bounds, fields, fingerprint_holds, outliers_max, outside, profile_hash,
    projection_holds, tokens_hold, within,
};
pub(super) use query::routes;
pub(super) use state::rebuild_derived;
pub(super) use state::{account, audits};
pub use state::{
    audit, audit_key, model_profile, owes, profile_key, standing, standing_key, terms,
};
