#![doc = include_str!("README.md")]

mod block;
pub mod distribution;
mod error;
mod genesis;
mod handler;
mod invariant;
pub mod mint;
mod query;
mod state;

pub use block::{begin_block, end_block};
pub use distribution::{DISTRIBUTION, add_rewards, fund_community};
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::operator_of;
pub use invariant::check_invariants;
pub use query::routes;
pub use state::{BONDED_POOL, UXPL_PER_POWER, validator_key};
