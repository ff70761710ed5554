#![doc = include_str!("README.md")]

mod event;
mod genesis;
mod inflation;
mod params;
mod query;
mod state;

pub use params::check as check_params;

pub(super) use genesis::{default_genesis, export, init};
pub(super) use inflation::begin_block;
pub(super) use query::routes;
