use alloc::string::String;

use thiserror::Error as ThisError;

use crate::{Coded, Sdk, token};

/// Why the feegrant module refused; codes 2 to 7 are the Cosmos SDK's.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Error {
    /// A case that Cosmos clients know.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// The grantee's account could not be opened.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// The fee is above what the allowance has left.
    #[error("fee limit exceeded: {0}")]
    LimitExceeded(&'static str),
    /// The allowance's time has passed.
    #[error("fee allowance expired")]
    Expired,
    /// A time that is none.
    #[error("invalid duration: {0}")]
    InvalidDuration(&'static str),
    /// A grant without an allowance.
    #[error("no allowance: {0}")]
    NoAllowance(&'static str),
    /// A filter that lets no message through.
    #[error("allowed messages are empty")]
    NoMessages,
    /// A message that the filter does not name.
    #[error("message not allowed: {0} does not exist in allowed messages")]
    MessageNotAllowed(String),
    /// More than the module keeps.
    #[error("the allowance is too large: {0}")]
    TooLarge(&'static str),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            Self::Token(error) => error.codespace(),
            _ => "feegrant",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::LimitExceeded(_) => 2,
            Self::Expired => 3,
            Self::InvalidDuration(_) => 4,
            Self::NoAllowance(_) => 5,
            Self::NoMessages => 6,
            Self::MessageNotAllowed(_) => 7,
            Self::TooLarge(_) => 8,
        }
    }
}
