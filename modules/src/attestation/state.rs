use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::AcceptedReceipt;

use crate::{Map, Read, Table};

pub(super) const RECEIPTS: Map<u64, AcceptedReceipt> = Map::new(Table::AttestationReceipts);

/// The receipt that was accepted for a job.
pub fn receipt(store: &dyn Read, job_id: u64) -> Option<AcceptedReceipt> {
    RECEIPTS.get(store, &job_id)
}

/// Where the receipt of a job is stored, and proven.
pub fn receipt_key(job_id: u64) -> Vec<u8> {
    RECEIPTS.path(&job_id)
}
