use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{AcceptedReceipt, Params};

use super::{audit, game};
use crate::{
    Block, IndexEntry, IndexedMap, Item, Key, Order, Read, Table, error::fault, store::prefix_end,
};

pub(super) const RECEIPTS: IndexedMap<u64, AcceptedReceipt> =
    IndexedMap::new(Table::AttestationReceipts, receipt_indexes);

pub(super) const PARAMS: Item<Params> = Item::new(Table::AttestationParams);

/// What is under way waits for its height first, then for its time.
const WAITS_FOR_HEIGHT: u8 = 0;
const WAITS_FOR_TIME: u8 = 1;

/// The numbers of beacon, audits and games.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_else(|| fault("attestation has no parameters", b""))
}

/// Hands every index key of attestation to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    RECEIPTS.rebuild(store, put);
    audit::rebuild_derived(store, put);
    game::rebuild_derived(store, put);
}

/// A receipt without evidence is not looked up by it.
fn receipt_indexes(job_id: &u64, accepted: &AcceptedReceipt) -> Vec<IndexEntry> {
    let root = accepted.receipt.as_ref().map(|receipt| receipt.fingerprint_root.as_slice());
    let roots = root.into_iter().filter(|root| !root.is_empty());
    roots.map(|root| (Table::AttestationByRoot, [root, &job_id.to_be_bytes()].concat())).collect()
}

/// A job whose accepted receipt bears this root of evidence, 32 bytes.
pub(super) fn job_with_root(store: &dyn Read, root: &[u8]) -> Option<u64> {
    let mut start = Vec::with_capacity(64);
    start.push(Table::AttestationByRoot.id());
    start.extend_from_slice(root);
    let (key, _) = store.range(&start, prefix_end(&start).as_deref(), Order::Ascending).next()?;
    key.last_chunk().map(|id| u64::from_be_bytes(*id))
}

/// The receipt that was accepted for a job.
pub fn receipt(store: &dyn Read, job_id: u64) -> Option<AcceptedReceipt> {
    RECEIPTS.get(store, &job_id)
}

/// Where the receipt of a job is stored, and proven.
pub fn receipt_key(job_id: u64) -> Vec<u8> {
    RECEIPTS.map().path(&job_id)
}

/// A key's bytes.
pub(super) fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    key.put(&mut out);
    out
}

/// Where something under way stands in the index of what is due.
pub(super) fn due_entry(waits_for_time: bool, due_height: u64, due_s: u64, id: u64) -> Vec<u8> {
    if waits_for_time {
        bytes(&(WAITS_FOR_TIME, due_s, id))
    } else {
        bytes(&(WAITS_FOR_HEIGHT, due_height, id))
    }
}

/// Ids of what is due by such an index, those that wait for their time first; at most `most`.
pub(super) fn due(store: &dyn Read, index: Table, block: &Block, most: usize) -> Vec<u64> {
    let of_stage = |stage: u8, now: u64| {
        let start = [&[index.id(), stage][..]].concat();
        let end = match now.checked_add(1) {
            Some(past) => Some([&start[..], &past.to_be_bytes()].concat()),
            None => prefix_end(&start),
        };
        store.range(&start, end.as_deref(), Order::Ascending)
    };
    of_stage(WAITS_FOR_TIME, block.time_s)
        .chain(of_stage(WAITS_FOR_HEIGHT, block.height))
        .take(most)
        .map(|(key, _)| {
            let id = key.last_chunk().map(|id| u64::from_be_bytes(*id));
            id.unwrap_or_else(|| fault("bad index key", &key))
        })
        .collect()
}
