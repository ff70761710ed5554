//! What audits and referee games have in common: bonds that are put down, and what a cheat costs.

use alloc::format;

use super::{
    Error, stakes,
    state::{STANDINGS, account, numbers, share, standing, terms},
};
use crate::{Address, Amount, Ctx, Denom, Read, Sdk, Write, market, token};

/// Of a slash: what goes to jurors, and as much to who found the cheat.
const SLASH_PART_BPS: u32 = 1_000;

/// A bond moves to where it waits for the end.
pub(in crate::attestation) fn put_down(
    ctx: &mut Ctx<'_>,
    from: Address,
    bond: Amount,
) -> Result<(), Error> {
    let have = token::spendable(ctx, from, &Denom::uxpl());
    if have < bond {
        let text = format!("the spendable balance is {have}uxpl, the bond needs {bond}uxpl");
        return Err(Sdk::InsufficientFunds(text).into());
    }
    Ok(token::transfer(ctx, from, account(), bond)?)
}

/// What of a slash goes to who found the cheat, or to jurors.
pub(in crate::attestation) fn slash_part(slashed: Amount) -> Amount {
    share(slashed, SLASH_PART_BPS)
}

/// What a proven cheat costs an operator now, uxpl.
pub(in crate::attestation) fn slash_now(store: &dyn Read, operator: Address) -> Amount {
    let terms = terms(&numbers(store));
    let rate_bps = stakes::rate_bps(&terms, Amount::stored(&standing(store, operator).clean_uxpl));
    let bond = market::provider(store, operator)
        .map_or(Amount::ZERO, |provider| Amount::stored(&provider.bond_uxpl));
    stakes::slash(&terms, rate_bps, market::pending(store, operator), bond)
}

/// A cheat of an operator was proven: its clean value is gone, every claim of it is audited again, and the market reckons with it as
/// with one that always fails.
pub(in crate::attestation) fn convicted(store: &mut dyn Write, operator: Address) {
    let mut standing = standing(store, operator);
    standing.audits_convicted = standing.audits_convicted.saturating_add(1);
    standing.clean_uxpl = Amount::ZERO.text();
    standing.era = standing.era.saturating_add(1);
    STANDINGS.set(store, &operator, &standing);
    market::always_failed(store, operator);
}
