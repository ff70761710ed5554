use alloc::string::String;

use thiserror::Error as ThisError;

use crate::{Coded, Sdk};

/// Why the staking module refused.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Error {
    /// A case that Cosmos clients know.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// A genesis that does not hold together.
    #[error("staking genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            Self::BadGenesis(_) => "staking",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::BadGenesis(_) => 2,
        }
    }
}
