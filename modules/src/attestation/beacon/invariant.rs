use alloc::{format, string::String};

use plasma_proto::plasma::attestation::v1::{BeaconKey, BeaconKeys};

use super::{
    state::{KEYS, KEYS_MAX},
    vrf::is_key,
};
use crate::{Read, types::hash32};

/// Every sentence about beacon keys holds.
pub(in crate::attestation) fn check_invariants(store: &dyn Read) -> Result<(), String> {
    every_beacon_key_can_be_proven_with(store)
}

/// Every validator that has keys has one or two, each a key, the one that counts first before the
/// other.
pub fn every_beacon_key_can_be_proven_with(store: &dyn Read) -> Result<(), String> {
    KEYS.iter(store).try_for_each(|(operator, keys)| {
        if keys.operator != operator.text() {
            return Err(format!("the beacon keys of {operator} bear another name"));
        }
        check_keys(&keys)
    })
}

pub(super) fn check_keys(keys: &BeaconKeys) -> Result<(), String> {
    let BeaconKeys { operator, keys } = keys;
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(format!("{operator} has {} beacon keys", keys.len()));
    }
    let is_one = |key: &BeaconKey| hash32(&key.public_key).is_some_and(is_key);
    if !keys.iter().all(is_one) {
        return Err(format!("a beacon key of {operator} is none"));
    }
    if !keys.is_sorted_by(|elder, newer| elder.from_height < newer.from_height) {
        return Err(format!("the beacon keys of {operator} are not in order"));
    }
    Ok(())
}
