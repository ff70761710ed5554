#![doc = include_str!("README.md")]

mod block;
mod genesis;
mod handler;
mod invariant;
mod key;
mod query;
mod state;
mod unordered;
mod vesting;

pub use block::{TIMEOUTS_REMOVED_PER_BLOCK_MAX, end_block};
pub use genesis::{export, init};
pub use handler::{
    account, count, ensure_account, exists, is_module_account, key, lock, locked, track_delegation,
    track_undelegation,
};
pub use invariant::check_invariants;
pub use key::{MULTISIG_MEMBERS_MAX, Multisig, PublicKey};
pub use query::routes;
pub use state::{MODULE_ACCOUNTS, account_key, rebuild_derived};
pub use unordered::{Timeout, has_used, note_timeout};
pub use vesting::{PERIODS_MAX, VESTING_COINS_MAX, check as check_vesting, vested};
