#![doc = include_str!("README.md")]

mod account;
mod block;
mod emission;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod params;
mod query;
mod standby;
mod state;

pub use block::end_block;
pub use emission::yearly;
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::claim_reward;
pub use invariant::check_invariants;
pub use msg::ClaimReward;
pub use params::{UpdateParams, default_params, update_params, validate as validate_params};
pub use query::routes;
pub use standby::mark_audited;
pub use state::{REWARDS, YEAR_S, account, account_key, params, rebuild_derived};
