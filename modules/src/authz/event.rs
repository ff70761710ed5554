use alloc::{format, string::String, vec, vec::Vec};

use crate::Address;

/// What the module reports: the Cosmos SDK's typed events, whose values are JSON.
pub(super) enum Event<'a> {
    Granted { granter: Address, grantee: Address, type_url: &'a str },
    Revoked { granter: Address, grantee: Address, type_url: &'a str },
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Granted { .. } => "cosmos.authz.v1beta1.EventGrant",
            Self::Revoked { .. } => "cosmos.authz.v1beta1.EventRevoke",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Granted { granter, grantee, type_url }
            | Self::Revoked { granter, grantee, type_url } => vec![
                ("grantee", format!("\"{grantee}\"")),
                ("granter", format!("\"{granter}\"")),
                ("msg_type_url", format!("\"{type_url}\"")),
            ],
        }
    }
}
