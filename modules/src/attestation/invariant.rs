use alloc::{format, string::String};

use super::{audit, beacon, receipt_hash, state::RECEIPTS};
use crate::{Read, market};

/// All of them.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    receipts_are_those_of_jobs(store)?;
    beacon::check_invariants(store)?;
    audit::check_invariants(store)
}

/// Every receipt is the one that its job names.
pub fn receipts_are_those_of_jobs(store: &dyn Read) -> Result<(), String> {
    for (job_id, accepted) in RECEIPTS.map().iter(store) {
        let hash = accepted.receipt.as_ref().map(receipt_hash);
        let fits = hash.is_some_and(|hash| {
            accepted.receipt_hash == hash
                && market::job(store, job_id).is_some_and(|job| job.receipt_hash == hash)
        });
        if !fits {
            return Err(format!("the receipt of job {job_id} is not the job's"));
        }
    }
    Ok(())
}
