use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::Address;

/// What the module reports, in the Cosmos SDK's names.
pub(super) enum Event {
    Set { granter: Address, grantee: Address },
    Used { granter: Address, grantee: Address },
    Updated { granter: Address, grantee: Address },
    Revoked { granter: Address, grantee: Address },
    Pruned { pruner: Address },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Set { .. } => "set_feegrant",
            Self::Used { .. } => "use_feegrant",
            Self::Updated { .. } => "update_feegrant",
            Self::Revoked { .. } => "revoke_feegrant",
            Self::Pruned { .. } => "prune_feegrant",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Set { granter, grantee }
            | Self::Used { granter, grantee }
            | Self::Updated { granter, grantee }
            | Self::Revoked { granter, grantee } => {
                vec![("granter", granter.to_string()), ("grantee", grantee.to_string())]
            }
            Self::Pruned { pruner } => vec![("pruner", pruner.to_string())],
        }
    }
}
