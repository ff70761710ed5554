#![doc = include_str!("README.md")]

pub mod audit;
pub mod beacon;
mod block;
mod digests;
mod error;
mod event;
mod evidence;
pub mod game;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod params;
mod query;
pub mod referee;
mod state;

pub use crate::market::{decline_digest, register_digest, request_hash};
pub use block::end_block;
pub use digests::{receipt_digest, receipt_hash, sampling_seed, text_hash, tokens_hash};
pub use error::Error;
pub use evidence::{
    EvidenceError, FIELD, FINGERPRINT_BYTES, FINGERPRINT_POINTS, Fingerprint, LEAF_BYTES, Leaf,
    MODULUS_FLOOR, PATH_MAX, PROJECTION_BYTES, PROJECTIONS, SEGMENT_ROWS, evidence_path,
    evidence_root, fingerprint_hash, leaf_count, leaf_hash, leaf_rows, projection_seed,
    verify_path,
};
pub use genesis::{default_genesis, export, init};
pub use handler::submit_receipt;
pub use invariant::{
    check_invariants, held_jobs_are_those_of_audits_and_games, receipts_are_those_of_jobs,
    the_account_holds_the_bonds_of_audits_and_games,
};
pub use msg::{KERNEL_ID_BYTES_MAX, SubmitReceipt, VERSION};
pub use params::{UpdateParams, default_params, update_params, validate as validate_params};
pub use query::routes;
pub use state::{params, rebuild_derived, receipt, receipt_key};
