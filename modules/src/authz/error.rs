use thiserror::Error as ThisError;

use crate::{Coded, Sdk, token};

/// Why the authz module refused; codes 2 to 12 are the Cosmos SDK's.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Error {
    /// A case that Cosmos clients know.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// The grantee's account could not be opened.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// There is no such grant.
    #[error("authorization not found: {granter} has granted {grantee} no {type_url}")]
    NotFound {
        /// Who would have granted.
        granter: crate::Address,
        /// To whom.
        grantee: crate::Address,
        /// Type of the message.
        type_url: alloc::string::String,
    },
    /// A grant that would be over before it begins.
    #[error("expiration time of authorization should be more than current time")]
    InvalidExpiration,
    /// The grant's time has passed.
    #[error("authorization expired")]
    Expired,
    /// To move stake in no known way.
    #[error("unknown authorization type")]
    UnknownStake,
    /// A grant to oneself.
    #[error("grantee and granter should be different")]
    GranteeIsGranter,
    /// MsgExec inside of MsgExec inside of MsgExec.
    #[error("MsgExec stands in at most {0} other")]
    TooDeep(usize),
    /// More than the module keeps.
    #[error("the authorization is too large: {0}")]
    TooLarge(&'static str),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            Self::Token(error) => error.codespace(),
            _ => "authz",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::NotFound { .. } => 2,
            Self::InvalidExpiration => 3,
            Self::Expired => 6,
            Self::UnknownStake => 4,
            Self::GranteeIsGranter => 7,
            Self::TooDeep(_) => 20,
            Self::TooLarge(_) => 21,
        }
    }
}
