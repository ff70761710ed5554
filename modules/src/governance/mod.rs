#![doc = include_str!("README.md")]

pub mod consensus;
pub mod grants;
pub mod upgrade;

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

use alloc::{string::String, vec::Vec};

use crate::{Ctx, Read, query::Router};

pub use block::{Dispatch, ENDINGS_PER_BLOCK_MAX, VOTES_REMOVED_PER_BLOCK_MAX};
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub use handler::{
    DEPOSITORS_MAX, WAITING_MAX, cancel_proposal, deposit, legacy_deposit, legacy_vote,
    legacy_vote_weighted, submit_legacy_proposal, submit_proposal, vote, vote_weighted,
};
pub use invariant::gov_account_holds_the_sum_of_deposits;
pub use msg::{
    CancelProposal, Deposit, LegacyDeposit, LegacyProposal, LegacyVote, LegacyWeightedVote,
    PROPOSAL_BYTES_MAX, PROPOSAL_GAS_MAX, PROPOSAL_MESSAGES_MAX, SubmitProposal, Vote,
    WeightedVote,
};
pub use params::{UpdateParams, default_params, update_params, validate as validate_params};
pub use state::{GOV, SECONDS_PER_BLOCK, authority, params, proposal, proposal_key, under_way};

/// Ends what is due: proposals, then grants whose deadline has passed.
pub fn end_block(ctx: &mut Ctx<'_>, dispatch: Dispatch) {
    block::end_block(ctx, dispatch);
    grants::end_block(ctx);
}

/// Every sentence about proposals and grants holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    invariant::check_invariants(store)?;
    grants::check_invariants(store)
}

/// Hands every index key of proposals and grants to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    state::rebuild_derived(store, put);
    grants::rebuild_derived(store, put);
}

/// Adds the questions about proposals, grants and upgrades.
pub fn routes(router: &mut Router) {
    query::routes(router);
    grants::routes(router);
    upgrade::routes(router);
}
