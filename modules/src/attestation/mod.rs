#![doc = include_str!("README.md")]

pub mod beacon;
mod digests;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod params;
mod query;
mod state;

pub use crate::market::{decline_digest, register_digest, request_hash};
pub use digests::{receipt_digest, receipt_hash, sampling_seed, text_hash, tokens_hash};
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::submit_receipt;
pub use invariant::{check_invariants, receipts_are_those_of_jobs};
pub use msg::{KERNEL_ID_BYTES_MAX, SubmitReceipt, VERSION};
pub use params::{UpdateParams, default_params, update_params, validate as validate_params};
pub use query::routes;
pub use state::{params, receipt, receipt_key};
