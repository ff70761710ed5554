use alloc::{format, string::String};

use thiserror::Error as ThisError;

use crate::{Address, Amount, Coded, Denom, Sdk, params::ParamError};

/// Why the token module refused.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Error {
    /// A case that Cosmos clients know.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// Parameters out of bounds, or moved too far at once.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// The supply would pass the largest amount.
    #[error("the supply of {0} would overflow")]
    SupplyOverflow(Denom),
    /// A transfer too small to be worth its place.
    #[error("{amount}uxpl is below the least transfer of {least}uxpl")]
    BelowLeast {
        /// Asked for.
        amount: Amount,
        /// Least.
        least: Amount,
    },
    /// Too little to open an account with.
    #[error(
        "{to} has no account yet, and {amount}uxpl is too little to open one: send at least {least}uxpl"
    )]
    BelowAccountMin {
        /// Who would be paid.
        to: Address,
        /// Asked for.
        amount: Amount,
        /// Least.
        least: Amount,
    },
    /// Numbers out of bounds.
    #[error("token: {0}")]
    BadGenesis(String),
}

impl Error {
    /// A transfer of nothing, by the SDK's code.
    pub fn zero_amount() -> Self {
        Sdk::InvalidCoins("the amount must not be zero".into()).into()
    }

    /// A module's account is paid by its module alone, by the SDK's code.
    pub fn module_account(address: Address) -> Self {
        let text = format!("{address} is a module account and is not allowed to receive funds");
        Sdk::Unauthorized(text).into()
    }
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            Self::Params(error) => error.codespace(),
            _ => "token",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::Params(error) => error.code(),
            Self::SupplyOverflow(_) => 3,
            Self::BelowLeast { .. } => 4,
            Self::BadGenesis(_) => 6,
            Self::BelowAccountMin { .. } => 7,
        }
    }
}
