use alloc::{format, vec::Vec};

use plasma_proto::plasma::attestation::v1::BeaconKeys;

use super::{Error, invariant::check_keys, state::KEYS};
use crate::{Address, Read, Write};

/// Writes the keys that a genesis vouches for. The validators must be there before.
pub(in crate::attestation) fn init(
    store: &mut dyn Write,
    validators: &[BeaconKeys],
) -> Result<(), Error> {
    for keys in validators {
        let operator = Address::parse(&keys.operator)?;
        check_keys(keys).map_err(Error::BadGenesis)?;
        if KEYS.has(store, &operator) {
            return Err(Error::BadGenesis(format!("the keys of {operator} are there twice")));
        }
        KEYS.set(store, &operator, keys);
    }
    Ok(())
}

/// Every validator's keys.
pub(in crate::attestation) fn export(store: &dyn Read) -> Vec<BeaconKeys> {
    KEYS.iter(store).map(|(_, keys)| keys).collect()
}
