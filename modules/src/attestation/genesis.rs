use alloc::format;

use plasma_proto::plasma::genesis::v1::AttestationGenesis;

use super::{Error, check_invariants, state::RECEIPTS};
use crate::{Address, Read, Write};

/// A new chain has no receipts.
pub fn default_genesis() -> AttestationGenesis {
    AttestationGenesis::default()
}

/// Writes the first state. The market must be there before.
pub fn init(store: &mut dyn Write, genesis: &AttestationGenesis) -> Result<(), Error> {
    let AttestationGenesis { receipts } = genesis;
    for accepted in receipts {
        Address::parse(&accepted.carrier)?;
        let Some(receipt) = &accepted.receipt else {
            return Err(Error::BadGenesis("a receipt is missing".into()));
        };
        if RECEIPTS.map().has(store, &receipt.job_id) {
            let text = format!("the receipt of job {} is there twice", receipt.job_id);
            return Err(Error::BadGenesis(text));
        }
        RECEIPTS.set(store, &receipt.job_id, accepted);
    }
    check_invariants(store).map_err(Error::BadGenesis)
}

/// Attestation's state, as a genesis from which it would go on.
pub fn export(store: &dyn Read) -> AttestationGenesis {
    AttestationGenesis {
        receipts: RECEIPTS.map().iter(store).map(|(_, receipt)| receipt).collect(),
    }
}
