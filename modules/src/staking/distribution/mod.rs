#![doc = include_str!("README.md")]

mod allocate;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod params;
mod pools;
mod query;
mod settle;
mod stake;
mod state;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use handler::{
    deposit_rewards, fund_pool, set_withdraw_address, withdraw_commission, withdraw_reward,
};
pub use msg::{DepositRewards, FundPool, SetWithdrawAddress, WithdrawCommission, WithdrawReward};
pub use params::check as check_params;
pub use pools::{add_rewards, fund_community, spend_community};
pub use state::DISTRIBUTION;

pub(super) use allocate::allocate;
pub(super) use genesis::{default_genesis, export, init, pools as exported_pools};
pub(super) use invariant::check_invariants;
pub(super) use pools::add_minted;
pub(super) use query::routes;
pub use settle::{settle, validator_created, validator_removed};
