#![doc = include_str!("README.md")]

mod block;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod params;
mod query;
mod state;
mod vesting;

pub use block::end_block;
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::{
    balance, balance_of, burn, burn_uncounted, count_burned, fee_market, hold, mint, multi_send,
    open_account, params, send, spendable, spendable_at, supply, transfer,
};
pub use invariant::{check_invariants, supply_is_sum_of_balances, supply_moves_with_balances};
pub use msg::{Coins, MultiSend, Send};
pub use params::{UpdateParams, set_block_gas_max, update_params};
pub use query::routes;
pub use state::{balance_key, rebuild_derived, supply_key};
pub use vesting::{
    CreatePeriodicVesting, CreatePermanentLocked, CreateVesting, create_periodic_vesting,
    create_permanent_locked, create_vesting,
};
