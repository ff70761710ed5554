#![doc = include_str!("README.md")]

mod authorization;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod query;
mod stake;
mod state;

pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::{Dispatch, end_block, exec, grant, revoke};
pub use invariant::check_invariants;
pub use msg::{Exec, Grant, NESTING_MAX, Revoke};
pub use query::routes;
pub use state::rebuild_derived;
