#![doc = include_str!("README.md")]

mod block;
mod error;
mod event;
mod genesis;
mod handler;
mod invariant;
mod msg;
mod query;
mod state;

pub use block::{EXPIRIES_PER_BLOCK_MAX, end_block};
pub use error::Error;
pub(super) use genesis::{export, init};
pub use handler::{approve_milestone, cancel_grant, create_grant, release_milestone};
pub(super) use invariant::check_invariants;
pub use invariant::grants_account_is_sum_of_what_is_unspent;
pub use msg::{ApproveMilestone, CancelGrant, CreateGrant, ReleaseMilestone};
pub(super) use query::routes;
pub(super) use state::rebuild_derived;
pub use state::{GRANTS_ACCOUNT, grant, grant_key};
