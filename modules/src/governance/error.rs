use alloc::string::String;

use thiserror::Error as ThisError;

use crate::{Address, Amount, Coded, Sdk, params::ParamError, token};

/// Why governance refused; codes 2 to 23 are the Cosmos SDK's.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Error {
    /// A case that Cosmos clients know.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// A deposit could not be moved.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// Parameters out of bounds, or moved too far at once.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// There is no such proposal.
    #[error("proposal {0} doesn't exist")]
    Unknown(u64),
    /// A proposal that takes no vote, or no deposit any more.
    #[error("{0}: inactive proposal")]
    Inactive(u64),
    /// A text that is missing or too long.
    #[error("invalid proposal content: {0}")]
    InvalidContent(String),
    /// Content of a kind that is not taken.
    #[error("invalid proposal type: {0}")]
    InvalidType(String),
    /// Options that are none, or weights that do not sum to 1.
    #[error("invalid vote option: {0}")]
    InvalidVote(&'static str),
    /// A genesis or parameters that do not hold together.
    #[error("invalid genesis state: {0}")]
    BadGenesis(String),
    /// A message that no proposal may hold.
    #[error("proposal message not recognized by router: {0} may not stand in a proposal")]
    Unroutable(String),
    /// Neither messages nor metadata.
    #[error("no messages proposed: either metadata or Msgs length must be non-nil")]
    NoMessages,
    /// A message that is not well formed.
    #[error("invalid proposal message: {0}")]
    InvalidMessage(String),
    /// A message that governance does not sign.
    #[error("expected gov account as only signer for proposal message: {0}")]
    InvalidSigner(Address),
    /// Metadata or a title that is too long.
    #[error("metadata too long: {len} bytes, at most {max}")]
    MetadataTooLong {
        /// Its bytes.
        len: usize,
        /// Allowed.
        max: usize,
    },
    /// A deposit below the least.
    #[error("minimum deposit is too small: was ({amount}uxpl), need ({least}uxpl)")]
    DepositTooSmall {
        /// Offered.
        amount: Amount,
        /// Least.
        least: Amount,
    },
    /// Who cancels did not propose.
    #[error("invalid proposer {0}")]
    InvalidProposer(Address),
    /// The proposal's time is over, though it was not counted yet.
    #[error("voting period is already ended for this proposal {0}")]
    VotingEnded(u64),
    /// A proposal that cannot be cancelled any more.
    #[error("invalid proposal: proposal should be in the deposit or voting period")]
    Ended,
    /// A summary that is too long.
    #[error("summary too long: {len} bytes, at most {max}")]
    SummaryTooLong {
        /// Its bytes.
        len: usize,
        /// Allowed.
        max: usize,
    },
    /// A deposit in another denomination.
    #[error("invalid deposit denom: deposited {0}, but gov accepts only uxpl")]
    DepositDenom(String),
    /// More proposals than are kept under way at once.
    #[error("too many proposals: {0}")]
    TooMany(&'static str),
    /// More depositors than a proposal has.
    #[error("a proposal has at most {0} depositors")]
    TooManyDepositors(usize),
    /// More messages, bytes or gas than a proposal may hold.
    #[error("the proposal is too large: {0}")]
    TooLarge(String),
    /// Messages that would change what lies with the gov account.
    #[error(
        "a proposal may not move deposits: the gov account would hold {after}uxpl, not {before}uxpl"
    )]
    MovesDeposits {
        /// Held before.
        before: Amount,
        /// Would be held after.
        after: Amount,
    },
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            Self::Token(error) => error.codespace(),
            Self::Params(error) => error.codespace(),
            _ => "gov",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::Params(error) => error.code(),
            Self::Unknown(_) => 2,
            Self::Inactive(_) => 3,
            Self::InvalidContent(_) => 5,
            Self::InvalidType(_) => 6,
            Self::InvalidVote(_) => 7,
            Self::BadGenesis(_) => 8,
            Self::Unroutable(_) => 10,
            Self::NoMessages => 11,
            Self::InvalidMessage(_) => 12,
            Self::InvalidSigner(_) => 13,
            Self::MetadataTooLong { .. } => 15,
            Self::DepositTooSmall { .. } => 16,
            Self::InvalidProposer(_) => 18,
            Self::VotingEnded(_) => 20,
            Self::Ended => 21,
            Self::SummaryTooLong { .. } => 22,
            Self::DepositDenom(_) => 23,
            Self::TooMany(_) => 41,
            Self::TooManyDepositors(_) => 42,
            Self::TooLarge(_) => 43,
            Self::MovesDeposits { .. } => 44,
        }
    }
}
