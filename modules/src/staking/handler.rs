use super::state::{BY_CONSENSUS, DISTRIBUTION, POOLS};
use crate::{Address, Amount, Ctx, Denom, Read, token};

/// Takes `amount` from an account for the stakers.
pub fn add_rewards(ctx: &mut Ctx<'_>, from: Address, amount: Amount) -> Result<(), token::Error> {
    token::transfer(ctx, from, Address::of_module(DISTRIBUTION), amount)?;
    let mut pools = POOLS.get(ctx.store).unwrap_or_default();
    pools.stakers_uxpl = sum(&pools.stakers_uxpl, amount)?;
    POOLS.set(ctx.store, &pools);
    Ok(())
}

/// Takes `amount` from an account for the community pool.
pub fn fund_community(
    ctx: &mut Ctx<'_>,
    from: Address,
    amount: Amount,
) -> Result<(), token::Error> {
    token::transfer(ctx, from, Address::of_module(DISTRIBUTION), amount)?;
    let mut pools = POOLS.get(ctx.store).unwrap_or_default();
    pools.community_uxpl = sum(&pools.community_uxpl, amount)?;
    POOLS.set(ctx.store, &pools);
    Ok(())
}

fn sum(have: &str, more: Amount) -> Result<alloc::string::String, token::Error> {
    let sum = Amount::stored(have).plus(more);
    Ok(sum.ok_or_else(|| token::Error::SupplyOverflow(Denom::uxpl()))?.text())
}

/// The operator of a validator, by its consensus address.
pub fn operator_of(store: &dyn Read, consensus: &[u8; 20]) -> Option<Address> {
    let operator = BY_CONSENSUS.get(store, consensus)?;
    operator.try_into().ok().map(Address)
}
