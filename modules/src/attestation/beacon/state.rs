use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{BeaconKey, BeaconKeys};

use crate::{Address, Map, Read, Table, error::fault, types::hash32};

/// Keys that a validator has at most: the one that counts, and one that waits.
pub(super) const KEYS_MAX: usize = 2;

pub(super) const KEYS: Map<Address, BeaconKeys> = Map::new(Table::BeaconKeys);

/// A validator's keys, the elder first.
pub fn keys(store: &dyn Read, operator: Address) -> Vec<BeaconKey> {
    KEYS.get(store, &operator).unwrap_or_default().keys
}

/// The key with which a validator begins block `height`, if it has one.
pub fn key_in_effect(store: &dyn Read, operator: Address, height: u64) -> Option<[u8; 32]> {
    let keys = keys(store, operator);
    let counts = keys.iter().rev().find(|key| key.from_height <= height)?;
    let key = hash32(&counts.public_key);
    Some(key.unwrap_or_else(|| fault("a beacon key is not 32 bytes", &operator.0)))
}
