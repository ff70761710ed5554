use alloc::string::String;

use crate::Coded;

/// Why the price record refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Parameters out of bounds.
    #[error("params: {0}")]
    BadParams(String),
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        "price"
    }

    fn code(&self) -> u32 {
        match self {
            Self::BadParams(_) => 2,
            Self::BadGenesis(_) => 3,
        }
    }
}
