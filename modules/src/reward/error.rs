use alloc::string::String;

use crate::{Coded, Sdk, params::ParamError, token};

/// Why a reward was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As token says.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// As the SDK's clients know it.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// The account runs no provider, and none that it ran is owed anything.
    #[error("{0} is no provider")]
    UnknownProvider(String),
    /// Parameters out of bounds, or moved too far at once.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
    /// More marks have run out than a block removes: until they are paid by the old numbers, no new
    /// ones can hold.
    #[error("marks that have run out are still being paid: propose it again")]
    Behind,
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Token(error) => error.codespace(),
            Self::Sdk(error) => error.codespace(),
            Self::Params(error) => error.codespace(),
            _ => "reward",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Token(error) => error.code(),
            Self::Sdk(error) => error.code(),
            Self::UnknownProvider(_) => 2,
            Self::Params(error) => error.code(),
            Self::BadGenesis(_) => 4,
            Self::Behind => 5,
        }
    }
}
