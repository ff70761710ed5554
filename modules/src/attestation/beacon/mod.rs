#![doc = include_str!("README.md")]

mod entry;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod query;
mod state;
mod turn;
mod vrf;

pub use entry::{ENTRY_BYTES, decode, encode, split};
pub use error::Error;
pub(super) use genesis::{export, init};
pub use handler::set_beacon_key;
pub(super) use invariant::check_invariants;
pub use invariant::every_beacon_key_can_be_proven_with;
pub use msg::SetBeaconKey;
pub(super) use query::routes;
pub use state::{key_in_effect, keys};
pub(crate) use turn::Turn;
pub use turn::{alpha, by_hash, by_proof, entry};
pub use vrf::{Output, PROOF_BYTES, Proof, SecretKey, possession, prove_possession, verify};
