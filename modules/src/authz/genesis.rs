use alloc::{format, vec::Vec};

use plasma_proto::{
    cosmos::authz::v1beta1::{Grant as StoredGrant, GrantAuthorization, MsgGrant},
    plasma::genesis::v1::AuthzGenesis,
};

use super::{
    Error, Grant,
    state::{GRANTS, TypeUrl},
};
use crate::{Read, Sdk, Write, auth};

/// Nobody grants anything.
pub fn default_genesis() -> AuthzGenesis {
    AuthzGenesis { grants: Vec::new() }
}

/// Writes the grants, each as well formed as one of a message.
pub fn init(store: &mut dyn Write, genesis: &AuthzGenesis) -> Result<(), Error> {
    let AuthzGenesis { grants } = genesis;
    for grant in grants {
        let GrantAuthorization { granter, grantee, authorization, expiration } = grant.clone();
        let stored = StoredGrant { authorization, expiration };
        let checked = Grant::new(MsgGrant { granter, grantee, grant: Some(stored.clone()) })?;
        let Grant { granter, grantee, authorization, expiration: _ } = checked;
        let key = (granter, grantee, TypeUrl(authorization.type_url()));
        let bad = |why: &str| {
            Sdk::InvalidRequest(format!("genesis: grant of {granter} to {grantee}: {why}"))
        };
        if GRANTS.get(store, &key).is_some() {
            return Err(bad("it stands twice").into());
        }
        if !auth::exists(store, grantee) || auth::is_module_account(grantee) {
            return Err(bad("the grantee has no account").into());
        }
        GRANTS.set(store, &key, &stored);
    }
    Ok(())
}

/// The grants, in order of granter, grantee and type of message.
pub fn export(store: &dyn Read) -> AuthzGenesis {
    let grants = GRANTS.map().iter(store).map(|((granter, grantee, _), grant)| {
        let StoredGrant { authorization, expiration } = grant;
        let (granter, grantee) = (granter.text(), grantee.text());
        GrantAuthorization { granter, grantee, authorization, expiration }
    });
    AuthzGenesis { grants: grants.collect() }
}
