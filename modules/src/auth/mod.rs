#![doc = include_str!("README.md")]

mod genesis;
mod handler;
mod invariant;
mod query;
mod state;
mod vesting;

pub use genesis::{export, init};
pub use handler::{
    account, ensure_account, exists, is_module_account, key, lock, locked, raise_sequence,
};
pub use invariant::check_invariants;
pub use query::routes;
pub use state::MODULE_ACCOUNTS;
pub use vesting::{PERIODS_MAX, VESTING_COINS_MAX, check as check_vesting, vested};
