//! What rewards need to know of stake.

use alloc::{string::String, vec::Vec};

use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};

use crate::{Address, Amount, Dec, Read, Sdk, staking::state::VALIDATORS};

/// What counts of a validator.
pub(super) struct Stake {
    /// All shares of its delegators.
    pub shares: Dec,
    /// The operator's part of what it earns.
    pub commission: Dec,
}

pub(super) fn validator(store: &dyn Read, operator: Address) -> Option<Stake> {
    let validator = VALIDATORS.get(store, &operator)?;
    let shares = Dec::whole(Amount::stored(&validator.tokens_uxpl)).unwrap_or(Dec::MAX);
    Some(Stake { shares, commission: Dec::bps(500) })
}

/// The operators of all validators, in order.
pub(super) fn operators(store: &dyn Read) -> Vec<Address> {
    VALIDATORS.iter(store).map(|(operator, _)| operator).collect()
}

/// The shares of a delegation, if there is one.
pub(super) fn shares(store: &dyn Read, delegator: Address, operator: Address) -> Option<Dec> {
    (delegator == operator).then(|| validator(store, operator).map(|stake| stake.shares)).flatten()
}

/// Every delegation: (delegator, operator), in order.
pub(super) fn pairs(store: &dyn Read) -> Vec<(Address, Address)> {
    operators(store).into_iter().map(|operator| (operator, operator)).collect()
}

/// With whom an account has stake, in order.
pub(super) fn operators_of(store: &dyn Read, delegator: Address) -> Vec<Address> {
    validator(store, delegator).map(|_| delegator).into_iter().collect()
}

/// An operator as queries and events name it.
pub fn operator_text(operator: Address) -> String {
    bech32::encode::<Bech32>(Hrp::parse_unchecked("xplvaloper"), &operator.0).unwrap_or_default()
}

pub(super) fn parse_operator(text: &str) -> Result<Address, Sdk> {
    let bad = |why: &str| Sdk::InvalidAddress(alloc::format!("{text:?} {why}"));
    let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| bad("is not bech32"))?;
    if checked.hrp().as_str() != "xplvaloper" {
        return Err(bad("does not begin with xplvaloper1"));
    }
    let bytes: Vec<u8> = checked.byte_iter().collect();
    bytes.try_into().map(Address).map_err(|_| bad("does not hold 20 bytes"))
}
