//! What a provider was rewarded with, until it is claimed.

use plasma_proto::plasma::reward::v1::Account;

use super::state::{ACCOUNTS, rewards, sum};
use crate::{Address, Amount, Ctx, error::fault, market, token};

/// For what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For use.
    Emission,
    /// For standing by.
    Standby,
}

/// Adds to what a provider may claim. The caller mints it.
pub(super) fn accrue(ctx: &mut Ctx<'_>, operator: Address, amount: Amount, kind: Kind) {
    if amount == Amount::ZERO {
        return;
    }
    let mut account = current(ctx, operator);
    account.accrued_uxpl = sum(&account.accrued_uxpl, amount).text();
    match kind {
        Kind::Emission => account.emission_uxpl = sum(&account.emission_uxpl, amount).text(),
        Kind::Standby => account.standby_uxpl = sum(&account.standby_uxpl, amount).text(),
    }
    ACCOUNTS.set(ctx.store, &operator, &account);
}

/// A provider's account. One that has registered anew begins to count from there; what it was owed
/// before stays.
fn current(ctx: &Ctx<'_>, operator: Address) -> Account {
    let before = ACCOUNTS.get(ctx.store, &operator);
    let registered_height =
        market::provider(ctx.store, operator).map(|provider| provider.registered_height);
    match (before, registered_height) {
        (Some(account), None) => account,
        (Some(account), Some(height)) if account.registered_height == height => account,
        (before, height) => Account {
            operator: operator.text(),
            accrued_uxpl: before.map_or_else(|| Amount::ZERO.text(), |old| old.accrued_uxpl),
            emission_uxpl: Amount::ZERO.text(),
            standby_uxpl: Amount::ZERO.text(),
            registered_height: height.unwrap_or_default(),
        },
    }
}

/// Makes what was accrued.
pub(super) fn mint(ctx: &mut Ctx<'_>, amount: Amount) {
    if token::mint(ctx, rewards(), rewards(), amount).is_err() {
        fault("the supply cannot hold what was made", &[]);
    }
}
