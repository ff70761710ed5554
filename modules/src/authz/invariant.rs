use alloc::{format, string::String};

use super::{authorization::Authorization, state::GRANTS};
use crate::{Read, auth};

/// Every sentence about grants holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    for ((granter, grantee, type_url), grant) in GRANTS.map().iter(store) {
        let authorization = Authorization::stored(grant.authorization.as_ref());
        if authorization.type_url() != type_url.0 {
            return Err(format!("a grant of {granter} is not for the type that finds it"));
        }
        if Some(authorization.to_any()) != grant.authorization {
            return Err(format!("a grant of {granter} does not read back"));
        }
        if granter == grantee || !auth::exists(store, grantee) {
            return Err(format!("a grant of {granter} is to nobody else"));
        }
    }
    Ok(())
}
