use alloc::vec::Vec;

use plasma_proto::cosmos::feegrant::v1beta1::Grant;

use super::Allowance;
use crate::{Address, IndexEntry, IndexedMap, Key, Read, Table, error::fault};

/// (grantee, granter) -> grant.
pub(super) const ALLOWANCES: IndexedMap<(Address, Address), Grant> =
    IndexedMap::new(Table::FeegrantAllowances, indexes);

fn indexes((grantee, granter): &(Address, Address), grant: &Grant) -> Vec<IndexEntry> {
    let mut indexes = Vec::with_capacity(2);
    indexes.push((Table::FeegrantByGranter, bytes(&(*granter, *grantee))));
    if let Some(expires_s) = allowance(grant).expires_s() {
        indexes.push((Table::FeegrantExpiries, bytes(&(expires_s, *grantee, *granter))));
    }
    indexes
}

/// The allowance of a stored grant.
pub(super) fn allowance(grant: &Grant) -> Allowance {
    match &grant.allowance {
        Some(any) => Allowance::stored(any),
        None => fault("a grant without an allowance", grant.granter.as_bytes()),
    }
}

/// The first allowances that are past their time, in order of when it was; at most `count`.
pub(super) fn expired(store: &dyn Read, now_s: u64, count: usize) -> Vec<(Address, Address)> {
    store
        .scan(&[Table::FeegrantExpiries.id()])
        .map(|(key, _)| {
            let parts =
                key.get(1..).and_then(|mut rest| <(u64, Address, Address)>::take(&mut rest));
            parts.unwrap_or_else(|| fault("bad index key", &key))
        })
        .take_while(|(expires_s, ..)| *expires_s < now_s)
        .take(count)
        .map(|(_, grantee, granter)| (grantee, granter))
        .collect()
}

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(48);
    key.put(&mut out);
    out
}

/// Hands every index key of the allowances to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    ALLOWANCES.rebuild(store, put);
}
