#![doc = include_str!("README.md")]

mod block;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod legacy;
mod msg;
mod params;
mod query;
mod state;
mod tally;

pub use block::{Dispatch, ENDINGS_PER_BLOCK_MAX, VOTES_REMOVED_PER_BLOCK_MAX, end_block};
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::{
    DEPOSITORS_MAX, WAITING_MAX, cancel_proposal, deposit, legacy_deposit, legacy_vote,
    legacy_vote_weighted, submit_legacy_proposal, submit_proposal, vote, vote_weighted,
};
pub use invariant::{check_invariants, gov_account_holds_the_sum_of_deposits};
pub use msg::{
    CancelProposal, Deposit, LegacyDeposit, LegacyProposal, LegacyVote, LegacyWeightedVote,
    PROPOSAL_BYTES_MAX, PROPOSAL_GAS_MAX, PROPOSAL_MESSAGES_MAX, SubmitProposal, Vote,
    WeightedVote,
};
pub use params::{default_params, validate as validate_params};
pub use query::routes;
pub use state::{
    GOV, SECONDS_PER_BLOCK, authority, params, proposal, proposal_key, rebuild_derived, under_way,
};
