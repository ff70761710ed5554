#![doc = include_str!("README.md")]

mod block;
mod error;
mod event;
mod genesis;
mod index;
mod invariant;
mod params;
mod query;
mod state;
mod steps;
mod volume;

pub use block::end_block;
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use index::{INDEX_HOURS, Quote, weigh, weighted_median};
pub use invariant::check_invariants;
pub use params::{UpdateParams, default_params, update_params, validate as validate_params};
pub use query::routes;
pub use state::{hour, params, price, price_key, rebuild_derived};
pub use steps::next_price;
