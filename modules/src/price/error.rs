use alloc::string::String;

use crate::{Coded, params::ParamError};

/// Why the price record refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Parameters out of bounds.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Params(error) => error.codespace(),
            Self::BadGenesis(_) => "price",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Params(error) => error.code(),
            Self::BadGenesis(_) => 3,
        }
    }
}
