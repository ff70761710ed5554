//! Questions that stake answers, counted without a loop over voters.
//!
//! A ballot keeps the vote of each account that voted itself and, per validator, how many of its
//! shares those accounts hold, by option. The sums are kept exact where shares move
//! ([`moved`]), so a count looks at the bonded validators alone: shares whose owners
//! voted count for what these chose, the rest of a validator's shares for what its operator chose.
//!
//! An option of a validator with `tokens` for `shares` counts `floor(tokens * s / shares)` uxpl, `s`
//! its shares in it: what the rounding leaves, less than 1 uxpl per validator and option, counts
//! for nobody.

mod count;
mod handler;
mod invariant;
mod options;
mod state;

pub use count::{Tally, count};
pub use handler::{BALLOTS_MAX, Full, cast, close, moved, open, sweep};
pub(super) use invariant::sums_are_a_recount_of_votes;
pub use options::Options;
pub use state::{VOTES, is_open, open_votes, rebuild_derived, vote};
