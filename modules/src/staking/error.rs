use alloc::string::String;

use thiserror::Error as ThisError;

use crate::{Address, Amount, Coded, Dec, Sdk, token};

/// Why the room refused; codes up to 44 of `staking`, and those of `slashing`, are the Cosmos SDK's.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
pub enum Error {
    /// A case that Cosmos clients know.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// Money that could not move.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// A genesis that does not hold together.
    #[error("staking genesis: {0}")]
    BadGenesis(String),
    /// Nobody validates under this address.
    #[error("validator does not exist: {}", .0.operator_text())]
    NoValidator(Address),
    /// The operator has a validator.
    #[error(
        "validator already exist for this operator address; must use new validator operator address"
    )]
    OperatorTaken,
    /// The key belongs to another.
    #[error("validator already exist for this pubkey; must use new validator pubkey")]
    KeyTaken,
    /// A consensus key that is not ed25519.
    #[error("validator pubkey type is not supported: {0}")]
    KeyType(String),
    /// The validator is jailed.
    #[error("validator for this address is currently jailed")]
    Jailed,
    /// A commission above the whole.
    #[error("commission cannot be more than 100%")]
    CommissionHuge,
    /// A commission above its own bound.
    #[error("commission cannot be more than the max rate")]
    CommissionAboveMax,
    /// A commission that changed less than a day ago.
    #[error("commission cannot be changed more than once in 24h")]
    CommissionTooSoon,
    /// A step above the bound of the commission.
    #[error("commission change rate cannot be more than the max rate")]
    ChangeRateAboveMax,
    /// A step above its bound.
    #[error("commission cannot be changed more than max change rate")]
    CommissionStep,
    /// Less self-bond than the validator promised, or than any needs.
    #[error(
        "validator's self delegation must be greater than their minimum self delegation: {0}uxpl"
    )]
    SelfBond(Amount),
    /// The least self-bond may only rise.
    #[error("minimum self delegation cannot be decrease")]
    SelfBondDecreased,
    /// Nothing is delegated.
    #[error("no delegation for (address, validator) tuple")]
    NoDelegation,
    /// Too little is delegated.
    #[error("not enough delegation shares: {have} of {need}")]
    Shares {
        /// The delegation's.
        have: Dec,
        /// What was asked for.
        need: Dec,
    },
    /// Nothing is unbonding.
    #[error("no unbonding delegation found")]
    NoUnbonding,
    /// Too many entries of unbonding stake.
    #[error("too many unbonding delegation entries for (delegator, validator) tuple")]
    UnbondingEntries,
    /// From a validator to itself.
    #[error("cannot redelegate to the same validator")]
    SelfRedelegation,
    /// Too little to move.
    #[error("too few tokens to redelegate (truncates to zero tokens)")]
    TinyRedelegation,
    /// The validator to move to does not exist.
    #[error("redelegation destination validator not found")]
    BadDestination,
    /// Stake that came from another validator moves on.
    #[error(
        "redelegation to this validator already in progress; first redelegation to this validator must complete before next redelegation"
    )]
    Transitive,
    /// Too many entries of stake that moves.
    #[error("too many redelegation entries for (delegator, src-validator, dst-validator) tuple")]
    RedelegationEntries,
    /// Shares of a validator that lost everything.
    #[error("cannot delegate to validators with invalid (zero) ex-rate")]
    ExchangeRate,
    /// A commission below the chain's least.
    #[error("commission cannot be less than min rate")]
    CommissionBelowMin,
    /// The validator to move from does not exist.
    #[error("redelegation source validator not found")]
    BadSource,
    /// A number that does not fit.
    #[error("the amount does not fit: a decimal or the sum of all stake overflows")]
    Overflow,
    /// Stake with more validators than one account may have.
    #[error("an account may stake with at most {0} validators at a time")]
    TooManyDelegations(usize),
    /// Stake on its way between more pairs of validators than one account may have.
    #[error("an account may have stake on its way between at most {0} pairs of validators")]
    TooManyRedelegations(usize),
    /// A key that was used to sign twice.
    #[error("the consensus key is tombstoned")]
    KeyTombstoned,
    /// slashing: nobody validates under this address.
    #[error("address is not associated with any known validator")]
    UnjailUnknown,
    /// slashing: the time in jail is not over, or never is.
    #[error("validator still jailed; cannot be unjailed")]
    StillJailed,
    /// slashing: the validator is free.
    #[error("validator not jailed; cannot be unjailed")]
    NotJailed,
    /// slashing: the operator has nothing at stake.
    #[error("validator has no self-delegation; cannot be unjailed")]
    NoSelfBond,
    /// slashing: the operator has too little at stake.
    #[error(
        "validator's self delegation less than minimum; cannot be unjailed: {have}uxpl of {need}uxpl"
    )]
    SelfBondTooLow {
        /// The operator's stake.
        have: Amount,
        /// What it promised.
        need: Amount,
    },
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            Self::Token(error) => error.codespace(),
            Self::UnjailUnknown
            | Self::StillJailed
            | Self::NotJailed
            | Self::NoSelfBond
            | Self::SelfBondTooLow { .. } => "slashing",
            _ => "staking",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::UnjailUnknown
            | Self::StillJailed
            | Self::NotJailed
            | Self::NoSelfBond
            | Self::SelfBondTooLow { .. } => self.slashing_code(),
            Self::BadGenesis(_) => 2,
            Self::NoValidator(_) => 3,
            Self::OperatorTaken => 4,
            Self::KeyTaken => 5,
            Self::KeyType(_) => 6,
            Self::Jailed => 7,
            Self::CommissionHuge => 10,
            Self::CommissionAboveMax => 11,
            Self::CommissionTooSoon => 12,
            Self::ChangeRateAboveMax => 14,
            Self::CommissionStep => 15,
            Self::SelfBond(_) => 16,
            Self::SelfBondDecreased => 17,
            Self::NoDelegation => 19,
            Self::Shares { .. } => 24,
            Self::NoUnbonding => 26,
            Self::UnbondingEntries => 27,
            Self::SelfRedelegation => 29,
            Self::TinyRedelegation => 30,
            Self::BadDestination => 31,
            Self::Transitive => 32,
            Self::RedelegationEntries => 33,
            Self::ExchangeRate => 34,
            Self::CommissionBelowMin => 40,
            Self::BadSource => 44,
            Self::Overflow => 60,
            Self::TooManyDelegations(_) => 61,
            Self::TooManyRedelegations(_) => 62,
            Self::KeyTombstoned => 63,
        }
    }
}

impl Error {
    fn slashing_code(&self) -> u32 {
        match self {
            Self::UnjailUnknown => 2,
            Self::StillJailed => 4,
            Self::NotJailed => 5,
            Self::NoSelfBond => 6,
            _ => 7,
        }
    }
}
