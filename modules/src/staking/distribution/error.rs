use thiserror::Error as ThisError;

use crate::{Address, Coded, Sdk, token};

/// Why nothing was paid or changed; codes 5 to 9 are the Cosmos SDK's.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Error {
    /// A case that Cosmos clients know.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// Money that could not be moved.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// There is no such delegation.
    #[error("no delegation distribution info: {delegator} has no stake with {operator}")]
    NoDelegation {
        /// Who would have staked.
        delegator: Address,
        /// Operator of the validator.
        operator: Address,
    },
    /// There is no such validator.
    #[error("no validator distribution info: {0} operates none")]
    NoValidator(Address),
    /// Less than 1 uxpl of commission.
    #[error("no validator commission to withdraw")]
    NoCommission,
    /// Governance has switched it off.
    #[error("set withdraw address disabled")]
    WithdrawAddressFixed,
    /// The community pool holds less.
    #[error("community pool does not have sufficient coins to distribute")]
    PoolTooSmall,
    /// Numbers that do not hold together.
    #[error("distribution: {0}")]
    BadGenesis(&'static str),
    /// Rewards and the community pool are uxpl.
    #[error("only uxpl is taken")]
    NotUxpl,
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            Self::Token(error) => error.codespace(),
            _ => "distribution",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::NoDelegation { .. } => 5,
            Self::NoValidator(_) => 6,
            Self::NoCommission => 7,
            Self::WithdrawAddressFixed => 8,
            Self::PoolTooSmall => 9,
            Self::BadGenesis(_) => 20,
            Self::NotUxpl => 21,
        }
    }
}
