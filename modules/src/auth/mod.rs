#![doc = include_str!("README.md")]

mod genesis;
mod handler;
mod query;
mod state;

pub use genesis::{export, init};
pub use handler::{
    Waiting, account, ensure_account, is_module_account, key, raise_sequence, waiting,
};
pub use query::routes;
pub use state::MODULE_ACCOUNTS;
