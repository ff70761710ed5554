use alloc::{format, string::String};

use plasma_proto::plasma::governance::v1::{Grant, GrantStatus};

use super::state::{GRANTS, NEXT, account, sum_of, unspent, whole};
use crate::{Amount, Read, token};

/// Every sentence about grants holds.
pub(in crate::governance) fn check_invariants(store: &dyn Read) -> Result<(), String> {
    let next = NEXT.get(store).unwrap_or(1);
    for (id, grant) in GRANTS.map().iter(store) {
        if id != grant.id || id >= next || !is_whole(&grant) {
            return Err(format!("grant {id} does not add up"));
        }
    }
    grants_account_is_sum_of_what_is_unspent(store)
}

/// The paid milestones are the first ones and sum to what was paid; what is closed has nothing left.
pub(super) fn is_whole(grant: &Grant) -> bool {
    let sums = [&grant.paid_uxpl, &grant.returned_uxpl].map(|text| Amount::parse(text));
    let [Some(paid), Some(back)] = sums else { return false };
    let spent = paid.plus(back);
    let Some((whole, spent)) = whole(grant).zip(spent) else { return false };
    let first = usize::try_from(grant.released).ok().and_then(|at| grant.milestones.get(..at));
    if first.and_then(sum_of) != Some(paid) || spent > whole {
        return false;
    }
    match grant.status() {
        GrantStatus::Unspecified => false,
        GrantStatus::Open => back == Amount::ZERO && spent < whole,
        GrantStatus::Done => back == Amount::ZERO && spent == whole,
        GrantStatus::Cancelled | GrantStatus::Expired => spent == whole,
    }
}

/// The grants' account holds what open grants have not paid.
pub fn grants_account_is_sum_of_what_is_unspent(store: &dyn Read) -> Result<(), String> {
    let mut sum = Amount::ZERO;
    for (id, grant) in GRANTS.map().iter(store) {
        sum = sum.plus(unspent(&grant)).ok_or_else(|| format!("the sum overflows at {id}"))?;
    }
    let held = token::balance(store, account());
    if held == sum {
        Ok(())
    } else {
        Err(format!("the account of grants holds {held}uxpl, unspent are {sum}uxpl"))
    }
}
