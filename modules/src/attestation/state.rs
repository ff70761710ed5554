use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{AcceptedReceipt, Params};

use crate::{Item, Map, Read, Table, error::fault};

pub(super) const RECEIPTS: Map<u64, AcceptedReceipt> = Map::new(Table::AttestationReceipts);
pub(super) const PARAMS: Item<Params> = Item::new(Table::AttestationParams);

/// The numbers of beacon and audits.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_else(|| fault("attestation has no parameters", b""))
}

/// The receipt that was accepted for a job.
pub fn receipt(store: &dyn Read, job_id: u64) -> Option<AcceptedReceipt> {
    RECEIPTS.get(store, &job_id)
}

/// Where the receipt of a job is stored, and proven.
pub fn receipt_key(job_id: u64) -> Vec<u8> {
    RECEIPTS.path(&job_id)
}
