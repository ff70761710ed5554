use alloc::string::String;

use crate::{Amount, Coded, Sdk, params::ParamError, token};

/// Why the market refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As token says.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// As the SDK's clients know it.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// Parameters out of bounds, or moved too far at once.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// A field that is not well formed.
    #[error("{field} {why}")]
    BadField {
        /// Which.
        field: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// No model bears this id.
    #[error("model {0} is not known")]
    UnknownModel(String),
    /// No job bears this id.
    #[error("job {0} is not known")]
    UnknownJob(u64),
    /// The account runs no provider.
    #[error("{0} is no provider")]
    UnknownProvider(String),
    /// The account runs a provider already.
    #[error("{0} is a provider already")]
    ProviderExists(String),
    /// Another provider has this receipt key.
    #[error("the receipt key belongs to another provider")]
    ReceiptKeyTaken,
    /// The receipt key did not sign the registration.
    #[error("receipt_key_proof is no signature by the receipt key over this registration")]
    BadReceiptKeyProof,
    /// More asks than allowed.
    #[error("{count} asks, at most {max}")]
    TooManyAsks {
        /// Given.
        count: usize,
        /// Allowed.
        max: u32,
    },
    /// An ask that is not well formed.
    #[error("the ask for model {model_id}: {why}")]
    BadAsk {
        /// Which.
        model_id: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The provider is on its way out.
    #[error("the provider is leaving")]
    ProviderLeaving,
    /// The receipt key cannot change while jobs wait for its signature.
    #[error("the receipt key cannot change while {0} jobs are assigned")]
    ReceiptKeyInUse(u64),
    /// More than the free part of the bond.
    #[error("the free bond is {free}uxpl, asked for {asked}uxpl")]
    BondNotFree {
        /// Neither queued nor locked.
        free: Amount,
        /// Asked for.
        asked: Amount,
    },
    /// Too many withdrawals wait.
    #[error("{0} withdrawals wait already")]
    TooManyWithdrawals(usize),
    /// A manifest that is not well formed.
    #[error("manifest: {0}")]
    BadManifest(&'static str),
    /// The model is known.
    #[error("model {0} is published already")]
    ModelExists(String),
    /// The royalty is above the limit.
    #[error("the royalty is {asked} basis points, at most {max}")]
    RoyaltyTooHigh {
        /// Asked for.
        asked: u32,
        /// Allowed.
        max: u32,
    },
    /// No input, or too much of it.
    #[error("the input has {len} bytes, it must have 1 to {max}")]
    BadInputLength {
        /// Given.
        len: usize,
        /// Allowed.
        max: u32,
    },
    /// No tokens, or too many.
    #[error("max_tokens is {asked}, it must be 1 to {max}")]
    BadMaxTokens {
        /// Asked for.
        asked: u32,
        /// Allowed.
        max: u32,
    },
    /// A sampling that is not well formed.
    #[error("sampling: {0}")]
    BadSampling(&'static str),
    /// Too many stop strings, or too long ones.
    #[error("stop: at most {count_max} strings of 1 to {bytes_max} bytes")]
    BadStop {
        /// Allowed.
        count_max: u32,
        /// Allowed.
        bytes_max: u32,
    },
    /// The fee offered can pay for nothing.
    #[error("max_fee is {max_fee}uxpl, no job costs less than {least}uxpl")]
    MaxFeeTooLow {
        /// Offered.
        max_fee: Amount,
        /// Least.
        least: Amount,
    },
    /// A deadline that has passed or lies too far ahead.
    #[error("the deadline is {deadline_s}, it must be after {now_s} and at most {latest_s}")]
    BadDeadline {
        /// Asked for.
        deadline_s: u64,
        /// Time of the block.
        now_s: u64,
        /// Last that is allowed.
        latest_s: u64,
    },
    /// A referral that may not be paid.
    #[error("the referral must be another account than the requester, and no module's")]
    BadReferral,
    /// Somebody else's job.
    #[error("job {0} belongs to another account")]
    NotRequester(u64),
    /// The job waits for no provider any more.
    #[error("job {0} is not open")]
    NotOpen(u64),
    /// No provider works on the job.
    #[error("job {0} is not assigned")]
    NotAssigned(u64),
    /// An answer to another assignment.
    #[error("the job is at attempt {current}, the message answers {given}")]
    WrongAttempt {
        /// The job's.
        current: u32,
        /// The message's.
        given: u32,
    },
    /// The assigned provider did not sign.
    #[error("the signature is not by the assigned provider's receipt key")]
    BadDeclineSignature,
    /// Parameters out of bounds.
    #[error("params: {0}")]
    BadParams(String),
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
    /// Who offers work keeps the least bond, so that no offer costs nothing.
    #[error(
        "the bond would be {bond}uxpl; whoever offers a model keeps at least {least}uxpl: add bond, or take the asks back first"
    )]
    BondTooSmall {
        /// What would stay.
        bond: Amount,
        /// The least.
        least: Amount,
    },
    /// No receipt was accepted for the job, or it has ended.
    #[error("job {0} is not delivered")]
    NotDelivered(u64),
    /// An audit holds the job already.
    #[error("job {0} is held already")]
    HeldAlready(u64),
    /// No audit holds the job.
    #[error("job {0} is not held")]
    NotHeld(u64),
    /// An audit may cost the provider no more than the job pays it.
    #[error("the audit of job {job_id} would cost {fee}uxpl, the provider gets {share}uxpl")]
    AuditFeeTooHigh {
        /// Which.
        job_id: u64,
        /// Asked for.
        fee: Amount,
        /// The provider's share.
        share: Amount,
    },
    /// Less of the bond stands for duties.
    #[error("{locked}uxpl of the bond stand for duties, asked for {asked}uxpl")]
    DutyNotLocked {
        /// Locked for duties.
        locked: Amount,
        /// Asked for.
        asked: Amount,
    },
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Token(error) => error.codespace(),
            Self::Sdk(error) => error.codespace(),
            Self::Params(error) => error.codespace(),
            _ => "market",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Token(error) => error.code(),
            Self::Sdk(error) => error.code(),
            Self::Params(error) => error.code(),
            Self::BadField { .. } => 2,
            Self::UnknownModel(_) => 3,
            Self::UnknownJob(_) => 4,
            Self::UnknownProvider(_) => 5,
            Self::ProviderExists(_) => 6,
            Self::ReceiptKeyTaken => 7,
            Self::BadReceiptKeyProof => 8,
            Self::TooManyAsks { .. } => 9,
            Self::BadAsk { .. } => 10,
            Self::ProviderLeaving => 11,
            Self::ReceiptKeyInUse(_) => 12,
            Self::BondNotFree { .. } => 13,
            Self::TooManyWithdrawals(_) => 14,
            Self::BadManifest(_) => 15,
            Self::ModelExists(_) => 16,
            Self::RoyaltyTooHigh { .. } => 17,
            Self::BadInputLength { .. } => 18,
            Self::BadMaxTokens { .. } => 19,
            Self::BadSampling(_) => 20,
            Self::BadStop { .. } => 21,
            Self::MaxFeeTooLow { .. } => 22,
            Self::BadDeadline { .. } => 23,
            Self::BadReferral => 24,
            Self::NotRequester(_) => 25,
            Self::NotOpen(_) => 26,
            Self::NotAssigned(_) => 27,
            Self::WrongAttempt { .. } => 28,
            Self::BadDeclineSignature => 29,
            Self::BadParams(_) => 30,
            Self::BadGenesis(_) => 31,
            Self::BondTooSmall { .. } => 32,
            Self::NotDelivered(_) => 33,
            Self::HeldAlready(_) => 34,
            Self::NotHeld(_) => 35,
            Self::AuditFeeTooHigh { .. } => 36,
            Self::DutyNotLocked { .. } => 37,
        }
    }
}
