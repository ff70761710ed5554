use super::state::BY_CONSENSUS;
use crate::{Address, Read};

/// The operator of a validator, by its consensus address.
pub fn operator_of(store: &dyn Read, consensus: &[u8; 20]) -> Option<Address> {
    let operator = BY_CONSENSUS.get(store, consensus)?;
    operator.try_into().ok().map(Address)
}
