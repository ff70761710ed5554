#![doc = include_str!("README.md")]

pub mod ballot;
mod block;
mod delegation;
pub mod distribution;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
pub mod mint;
mod msg;
mod params;
mod query;
mod redelegation;
mod set;
mod slashing;
mod slashing_query;
mod stake;
mod state;
mod unbonding;
mod validator;

pub use block::{begin_block, end_block};
pub use delegation::{cancel_unbonding, delegate, redelegate, undelegate};
pub use distribution::{DISTRIBUTION, add_rewards, fund_community};
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::operator_of;
pub use invariant::check_invariants;
pub use msg::{
    CancelUnbonding, CreateValidator, DO_NOT_MODIFY, Delegate, EditValidator, Redelegate,
    Undelegate, Unjail,
};
pub use params::{
    ENTRIES_MAX, EVIDENCE_AGE_BLOCKS, EVIDENCE_AGE_S, HISTORY_MAX, UNBONDING_S_MAX, UpdateParams,
    UpdateSlashingParams, VALIDATORS_MAX, WINDOW_MAX, default_params, default_slashing_params,
    params, set_params, set_slashing_params, slashing_params, update_params,
    update_slashing_params, validate_params, validate_slashing_params,
};
pub use query::routes;
pub use redelegation::{CHARGED_PER_BLOCK_MAX, FORGOTTEN_PER_BLOCK_MAX};
pub use state::{
    BONDED_POOL, DELEGATIONS_MAX, NOT_BONDED_POOL, REDELEGATIONS_MAX, STAKE_MAX, UXPL_PER_POWER,
    bonded, delegation_key, power, rebuild_derived, shares_of, tokens, total_shares, validator,
    validator_key, worth,
};
pub(crate) use unbonding::unbonding_s;
pub use unbonding::{PAID_PER_BLOCK_MAX, unbonding};
pub use validator::{create_validator, edit_validator, unjail};
