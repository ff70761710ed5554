#![doc = include_str!("README.md")]

mod allowance;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod query;
mod state;

pub use allowance::Allowance;
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::{end_block, grant_allowance, prune_allowances, revoke_allowance, use_allowance};
pub use invariant::check_invariants;
pub use msg::{GrantAllowance, PruneAllowances, RevokeAllowance};
pub use query::routes;
pub use state::rebuild_derived;
