use super::{
    Error,
    state::{DISTRIBUTION, Pot, must},
};
use crate::{Address, Amount, Ctx, Dec, Denom, Read, auth, token};

/// The module account of everything here.
pub(super) fn account() -> Address {
    Address::of_module(DISTRIBUTION)
}

/// Takes `amount` from an account for the stakers.
pub fn add_rewards(ctx: &mut Ctx<'_>, from: Address, amount: Amount) -> Result<(), token::Error> {
    let amount = receive(ctx, from, amount)?;
    add_to_stakers(ctx, amount);
    Ok(())
}

/// Mints `amount` for the stakers.
pub fn add_minted(ctx: &mut Ctx<'_>, minter: Address, amount: Amount) -> Result<(), token::Error> {
    fits(ctx.store, amount)?;
    token::mint(ctx, minter, account(), amount)?;
    add_to_stakers(ctx, must(Dec::whole(amount)));
    Ok(())
}

/// Takes `amount` from an account for the community pool.
pub fn fund_community(
    ctx: &mut Ctx<'_>,
    from: Address,
    amount: Amount,
) -> Result<(), token::Error> {
    let amount = receive(ctx, from, amount)?;
    add_to_community(ctx, amount);
    Ok(())
}

/// What the community pool holds, the whole uxpl of it.
pub fn community(store: &dyn Read) -> Amount {
    Pot::of(store).community.floor()
}

/// Pays `amount` out of the community pool, for governance. No module is paid.
pub fn spend_community(ctx: &mut Ctx<'_>, to: Address, amount: Amount) -> Result<(), Error> {
    if auth::is_module_account(to) {
        return Err(token::Error::module_account(to).into());
    }
    take_community(ctx, to, amount)
}

/// Moves `amount` from the community pool into the account of a module that answers for it.
pub fn take_community(ctx: &mut Ctx<'_>, to: Address, amount: Amount) -> Result<(), Error> {
    let mut pot = Pot::of(ctx.store);
    let left = Dec::whole(amount).and_then(|amount| pot.community.minus(amount));
    pot.community = left.ok_or(Error::PoolTooSmall)?;
    pot.put(ctx.store);
    Ok(token::transfer(ctx, account(), to, amount)?)
}

/// Takes `amount` into the module account; who asks must count it.
pub(super) fn receive(
    ctx: &mut Ctx<'_>,
    from: Address,
    amount: Amount,
) -> Result<Dec, token::Error> {
    fits(ctx.store, amount)?;
    token::transfer(ctx, from, account(), amount)?;
    Ok(must(Dec::whole(amount)))
}

pub(super) fn add_to_stakers(ctx: &mut Ctx<'_>, amount: Dec) {
    let mut pot = Pot::of(ctx.store);
    pot.stakers = must(pot.stakers.plus(amount));
    pot.put(ctx.store);
}

pub(super) fn add_to_community(ctx: &mut Ctx<'_>, amount: Dec) {
    let mut pot = Pot::of(ctx.store);
    pot.community = must(pot.community.plus(amount));
    pot.put(ctx.store);
}

/// Whether everything here, with `amount` more, is still a decimal of 18 digits: then so is each part.
fn fits(store: &dyn Read, amount: Amount) -> Result<(), token::Error> {
    let sum = token::balance(store, account()).plus(amount);
    let overflow = || token::Error::SupplyOverflow(Denom::uxpl());
    sum.and_then(Dec::whole).map(drop).ok_or_else(overflow)
}
