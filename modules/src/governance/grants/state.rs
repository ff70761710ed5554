use alloc::vec::Vec;

use plasma_proto::plasma::governance::v1::{Grant, GrantStatus};

use crate::{Address, Amount, IndexEntry, IndexedMap, Item, Key, Read, Table, Write, error::fault};

/// Module account of what is granted and not paid.
pub const GRANTS_ACCOUNT: &str = "grants";

pub(super) const GRANTS: IndexedMap<u64, Grant> = IndexedMap::new(Table::Grants, indexes);
pub(super) const NEXT: Item<u64> = Item::new(Table::GrantsNext);

fn indexes(id: &u64, grant: &Grant) -> Vec<IndexEntry> {
    let mut indexes = Vec::with_capacity(3);
    let recipient = Address::stored(&grant.recipient);
    indexes.push((Table::GrantsByRecipient, bytes(&(recipient, *id))));
    indexes.push((Table::GrantsByStatus, bytes(&(status_byte(grant.status()), *id))));
    if grant.status() == GrantStatus::Open && grant.deadline_unix_s != 0 {
        indexes.push((Table::GrantsDue, bytes(&(grant.deadline_unix_s, *id))));
    }
    indexes
}

pub(super) fn status_byte(status: GrantStatus) -> u8 {
    u8::try_from(i32::from(status)).unwrap_or(u8::MAX)
}

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    key.put(&mut out);
    out
}

/// The account of what is granted and not paid.
pub(super) fn account() -> Address {
    Address::of_module(GRANTS_ACCOUNT)
}

/// A grant.
pub fn grant(store: &dyn Read, id: u64) -> Option<Grant> {
    GRANTS.get(store, &id)
}

/// Where a grant is stored, and proven.
pub fn grant_key(id: u64) -> Vec<u8> {
    GRANTS.map().path(&id)
}

pub(super) fn put(store: &mut dyn Write, grant: &Grant) {
    GRANTS.set(store, &grant.id, grant);
}

/// All milestones together; `None` past the largest amount.
pub(super) fn whole(grant: &Grant) -> Option<Amount> {
    sum_of(&grant.milestones)
}

/// Milestones together; `None` where one is no amount, or past the largest.
pub(super) fn sum_of(
    milestones: &[plasma_proto::plasma::governance::v1::Milestone],
) -> Option<Amount> {
    let amounts = milestones.iter().map(|milestone| Amount::parse(&milestone.amount_uxpl));
    amounts.into_iter().try_fold(Amount::ZERO, |sum, amount| sum.plus(amount?))
}

/// What a grant still holds.
pub(super) fn unspent(grant: &Grant) -> Amount {
    let (paid, back) = (Amount::stored(&grant.paid_uxpl), Amount::stored(&grant.returned_uxpl));
    whole(grant)
        .and_then(|whole| whole.minus(paid)?.minus(back))
        .unwrap_or_else(|| fault("a grant spent more than it has", &grant.id.to_be_bytes()))
}

/// The first open grants whose deadline has passed, in order of when it was; at most `count`.
pub(super) fn passed(store: &dyn Read, now_s: u64, count: usize) -> Vec<u64> {
    store
        .scan(&[Table::GrantsDue.id()])
        .map(|(key, _)| {
            let parts = key.get(1..).and_then(|mut rest| <(u64, u64)>::take(&mut rest));
            parts.unwrap_or_else(|| fault("bad index key", &key))
        })
        .take_while(|(deadline_s, _)| *deadline_s < now_s)
        .take(count)
        .map(|(_, id)| id)
        .collect()
}

/// Hands every index key of the grants to `put`.
pub(in crate::governance) fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    GRANTS.rebuild(store, put);
}
