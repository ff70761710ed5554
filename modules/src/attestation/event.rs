use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use plasma_proto::plasma::market::v1::Outcome;

use crate::{
    Address,
    types::{Hash, hex},
};

/// What attestation reports.
#[derive(Clone, Debug)]
pub enum Event {
    /// A receipt was accepted.
    ReceiptAccepted {
        /// Its job.
        job_id: u64,
        /// Its name.
        receipt_hash: Hash,
        /// What the provider says.
        outcome: Outcome,
        /// Who brought it.
        carrier: Address,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::ReceiptAccepted { .. } => "receipt_accepted",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::ReceiptAccepted { job_id, receipt_hash, outcome, carrier } => vec![
                ("job_id", job_id.to_string()),
                ("receipt_hash", hex(receipt_hash)),
                ("outcome", outcome.as_str_name().into()),
                ("carrier", carrier.text()),
            ],
        }
    }
}
