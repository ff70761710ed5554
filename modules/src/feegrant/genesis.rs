use alloc::{format, vec::Vec};

use plasma_proto::{
    cosmos::feegrant::v1beta1::{Grant, MsgGrantAllowance},
    plasma::genesis::v1::FeegrantGenesis,
};

use super::{Error, GrantAllowance, state::ALLOWANCES};
use crate::{Read, Sdk, Write, auth};

/// Nobody allows anything.
pub fn default_genesis() -> FeegrantGenesis {
    FeegrantGenesis { allowances: Vec::new() }
}

/// Writes the allowances, each as well formed as one of a message.
pub fn init(store: &mut dyn Write, genesis: &FeegrantGenesis) -> Result<(), Error> {
    let FeegrantGenesis { allowances } = genesis;
    for grant in allowances {
        let Grant { granter, grantee, allowance } = grant.clone();
        let GrantAllowance { granter, grantee, allowance: _ } =
            GrantAllowance::new(MsgGrantAllowance { granter, grantee, allowance })?;
        let bad = |why: &str| {
            Sdk::InvalidRequest(format!("genesis: allowance of {granter} to {grantee}: {why}"))
        };
        if ALLOWANCES.get(store, &(grantee, granter)).is_some() {
            return Err(bad("it stands twice").into());
        }
        if !auth::exists(store, grantee) || auth::is_module_account(grantee) {
            return Err(bad("the grantee has no account").into());
        }
        ALLOWANCES.set(store, &(grantee, granter), grant);
    }
    Ok(())
}

/// The allowances, in order of grantee and granter.
pub fn export(store: &dyn Read) -> FeegrantGenesis {
    FeegrantGenesis { allowances: ALLOWANCES.map().iter(store).map(|(_, grant)| grant).collect() }
}
