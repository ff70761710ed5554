use alloc::format;

use plasma_proto::plasma::genesis::v1::AttestationGenesis;

use super::{
    Error, audit, beacon, check_invariants, default_params, game,
    state::{PARAMS, RECEIPTS, params},
    validate_params,
};
use crate::{Address, Read, Write};

/// A new chain's parameters, and nothing else.
pub fn default_genesis() -> AttestationGenesis {
    AttestationGenesis { params: Some(default_params()), ..AttestationGenesis::default() }
}

/// Writes the first state. Validators and market must be there before.
pub fn init(store: &mut dyn Write, genesis: &AttestationGenesis) -> Result<(), Error> {
    let AttestationGenesis { receipts, params, beacon_keys, .. } = genesis;
    let params = params.ok_or_else(|| Error::BadGenesis("params are missing".into()))?;
    validate_params(&params)?;
    PARAMS.set(store, &params);
    beacon::init(store, beacon_keys)?;
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
    audit::init(store, genesis)?;
    game::init(store, genesis)?;
    check_invariants(store).map_err(Error::BadGenesis)
}

/// Attestation's state, as a genesis from which it would go on.
pub fn export(store: &dyn Read) -> AttestationGenesis {
    let (referees, games) = game::export(store);
    AttestationGenesis {
        receipts: RECEIPTS.map().iter(store).map(|(_, receipt)| receipt).collect(),
        params: Some(params(store)),
        beacon_keys: beacon::export(store),
        referees,
        games,
        ..audit::export(store)
    }
}
