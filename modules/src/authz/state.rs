use alloc::{string::String, vec::Vec};

use plasma_proto::cosmos::authz::v1beta1::Grant;

use crate::{Address, IndexEntry, IndexedMap, Key, Read, Table, error::fault};

/// The type of a message as a part of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TypeUrl(pub(super) String);

impl Key for TypeUrl {
    fn put(&self, out: &mut Vec<u8>) {
        // The types of messages are shorter than that.
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.0.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first()?;
        let (head, tail) = rest.split_at_checked(usize::from(*len))?;
        *bytes = tail;
        Some(Self(core::str::from_utf8(head).ok()?.into()))
    }
}

/// (granter, grantee, type of message).
pub(super) type GrantKey = (Address, Address, TypeUrl);

pub(super) const GRANTS: IndexedMap<GrantKey, Grant> = IndexedMap::new(Table::AuthzGrants, indexes);

fn indexes((granter, grantee, type_url): &GrantKey, grant: &Grant) -> Vec<IndexEntry> {
    let mut indexes = Vec::with_capacity(2);
    let by_grantee = bytes(&(*grantee, *granter, type_url.clone()));
    indexes.push((Table::AuthzByGrantee, by_grantee));
    if let Some(expires_s) = expires_s(grant) {
        let expiry = bytes(&(expires_s, *granter, *grantee, type_url.clone()));
        indexes.push((Table::AuthzExpiries, expiry));
    }
    indexes
}

/// The last second in which a grant may be used.
pub(super) fn expires_s(grant: &Grant) -> Option<u64> {
    u64::try_from(grant.expiration?.seconds).ok()
}

/// Whether a grant's time has passed: it ends before the block's time.
pub(super) fn is_expired(grant: &Grant, now_s: u64) -> bool {
    expires_s(grant).is_some_and(|last| last < now_s)
}

/// The first grants that are past their time, in order of when it was; at most `count`.
pub(super) fn expired(store: &dyn Read, now_s: u64, count: usize) -> Vec<GrantKey> {
    store
        .scan(&[Table::AuthzExpiries.id()])
        .map(|(key, _)| {
            let parts = key
                .get(1..)
                .and_then(|mut rest| <(u64, Address, Address, TypeUrl)>::take(&mut rest));
            parts.unwrap_or_else(|| fault("bad index key", &key))
        })
        .take_while(|(expires_s, ..)| *expires_s < now_s)
        .take(count)
        .map(|(_, granter, grantee, type_url)| (granter, grantee, type_url))
        .collect()
}

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    key.put(&mut out);
    out
}

/// Hands every index key of the grants to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    GRANTS.rebuild(store, put);
}
