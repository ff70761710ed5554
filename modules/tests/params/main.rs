//! What governance may do to the chain itself: numbers, consensus parameters, upgrades.

#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod grants;
mod upgrades;

use common::{Account, Chain, XPL, ctx::within, genesis};
use plasma_modules::{FeePaid, Recorded, Refusal, msg::Msg, params::authority};
use prost_types::Any;

fn alice() -> Account {
    Account::new(1)
}

fn chain() -> Chain {
    Chain::new(&genesis(&[&alice()], 1_000 * XPL))
}

/// What a proposal that passed does: runs a message in governance's name, between two blocks; refused,
/// it changes nothing.
fn govern(chain: &mut Chain, message: &Any) -> Result<Vec<Recorded>, Refusal> {
    let message = Msg::from_any(message)?;
    assert_eq!(message.signer(), authority());
    let block = chain.next_block();
    let (_, events) = within(&mut chain.store, &block, FeePaid::default(), |ctx| message.run(ctx))?;
    plasma_modules::chain::check_invariants(&chain.store).unwrap();
    Ok(events)
}
