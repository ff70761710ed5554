#![doc = include_str!("README.md")]

mod block;
mod error;
mod genesis;
mod handler;
mod invariant;
mod query;
mod state;

pub use block::{begin_block, end_block};
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::{add_rewards, fund_community, operator_of};
pub use invariant::check_invariants;
pub use query::routes;
pub use state::{BONDED_POOL, DISTRIBUTION, UXPL_PER_POWER, validator_key};
