use alloc::{format, string::String};

use super::state::{ALLOWANCES, allowance};
use crate::{Read, auth};

/// Every sentence about allowances holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    for ((grantee, granter), grant) in ALLOWANCES.map().iter(store) {
        let named = grant.granter == granter.text() && grant.grantee == grantee.text();
        if !named || granter == grantee || !auth::exists(store, grantee) {
            return Err(format!("the allowance of {granter} to {grantee} is not theirs"));
        }
        if Some(allowance(&grant).to_any()) != grant.allowance {
            return Err(format!("the allowance of {granter} to {grantee} does not read back"));
        }
    }
    Ok(())
}
