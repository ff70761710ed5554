use alloc::string::String;

use super::{audit, beacon, game};
use crate::{Amount, Coded, Sdk, market, params::ParamError};

/// Why a receipt was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As the market says.
    #[error(transparent)]
    Market(#[from] market::Error),
    /// As audits say.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// As referee games say.
    #[error(transparent)]
    Game(#[from] game::Error),
    /// As the beacon says.
    #[error(transparent)]
    Beacon(#[from] beacon::Error),
    /// Parameters out of their bounds, or moved too far.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// As the SDK's clients know it.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// A field that is not well formed.
    #[error("{field} {why}")]
    BadField {
        /// Which.
        field: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// A version that this chain does not know.
    #[error("the receipt is of version {0}, this chain takes version 1")]
    UnknownVersion(u32),
    /// A receipt for another chain.
    #[error("the receipt is for chain {0:?}")]
    WrongChain(String),
    /// No job bears this id.
    #[error("job {0} is not known")]
    UnknownJob(u64),
    /// Another receipt was accepted for the job.
    #[error("job {0} has another receipt")]
    AlreadyAnswered(u64),
    /// No provider works on the job.
    #[error("job {0} is not assigned")]
    NotAssigned(u64),
    /// An answer to another assignment.
    #[error("the job is at attempt {current}, the receipt answers {given}")]
    WrongAttempt {
        /// The job's.
        current: u32,
        /// The receipt's.
        given: u32,
    },
    /// The assignment has run out.
    #[error("the assignment of job {0} has run out")]
    Late(u64),
    /// The job was given to another provider.
    #[error("the receipt key is not the assigned provider's")]
    WrongNode,
    /// Another model than the job's.
    #[error("the receipt is for another model")]
    WrongModel,
    /// Another request than the job's.
    #[error("the receipt is for another request")]
    WrongRequest,
    /// Another sampling than the job's.
    #[error("the receipt says another sampling")]
    WrongSampling,
    /// The output is larger than the job allows.
    #[error("the output has {len} bytes, at most {max}")]
    OutputTooLarge {
        /// Given, encoded.
        len: usize,
        /// Allowed.
        max: u32,
    },
    /// More output tokens than asked for.
    #[error("the receipt counts {n_out} output tokens, the job asks for at most {max}")]
    TooManyTokens {
        /// Counted.
        n_out: u32,
        /// Allowed.
        max: u32,
    },
    /// Input tokens that cannot be.
    #[error("the receipt counts {n_in} input tokens, it must be {min} to {max}")]
    BadInputCount {
        /// Counted.
        n_in: u64,
        /// Least.
        min: u64,
        /// Allowed.
        max: u64,
    },
    /// The count is not that of the output.
    #[error("the receipt counts {n_out} output tokens, the output has {len}")]
    WrongTokenCount {
        /// Counted.
        n_out: u32,
        /// There.
        len: usize,
    },
    /// The tokens are not those that the receipt binds.
    #[error("output_tokens_hash is not that of the output's tokens")]
    WrongTokensHash,
    /// The text is not that which the receipt binds.
    #[error("response_hash is not that of the output's text")]
    WrongTextHash,
    /// An outcome that no provider may claim.
    #[error("a receipt's outcome is OK, HOST_ERROR or CLIENT_FAULT")]
    BadOutcome,
    /// A reason that contradicts outcome, counts or job.
    #[error("the finish reason does not fit: {0}")]
    WrongFinishReason(&'static str),
    /// An output or a charge where nothing was produced.
    #[error("a receipt whose outcome is not OK has no output and no charge")]
    NotEmpty,
    /// The charge is not what the formula gives.
    #[error("the receipt charges {given}uxpl, the formula gives {due}uxpl")]
    WrongCharge {
        /// Claimed.
        given: Amount,
        /// Computed.
        due: Amount,
    },
    /// Evidence that is not well formed.
    #[error("fingerprint_root must be 32 bytes if the outcome is OK, else empty")]
    BadEvidence,
    /// Evidence that stands in another receipt.
    #[error("fingerprint_root is that of job {0}")]
    SeenEvidence(u64),
    /// Times that cannot be.
    #[error("t_first_ms is after t_total_ms")]
    BadTimes,
    /// The receipt key did not sign.
    #[error("the signature is not by the receipt key over this receipt")]
    BadSignature,
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Market(error) => error.codespace(),
            Self::Audit(error) => error.codespace(),
            Self::Game(error) => error.codespace(),
            Self::Beacon(error) => error.codespace(),
            Self::Params(error) => error.codespace(),
            Self::Sdk(error) => error.codespace(),
            _ => "attestation",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Market(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Game(error) => error.code(),
            Self::Beacon(error) => error.code(),
            Self::Params(error) => error.code(),
            Self::Sdk(error) => error.code(),
            Self::BadField { .. } => 2,
            Self::UnknownVersion(_) => 3,
            Self::WrongChain(_) => 4,
            Self::UnknownJob(_) => 5,
            // 6 was a receipt that was accepted before; it is taken again now.
            Self::AlreadyAnswered(_) => 7,
            Self::NotAssigned(_) => 8,
            Self::WrongAttempt { .. } => 9,
            Self::Late(_) => 10,
            Self::WrongNode => 11,
            Self::WrongModel => 12,
            Self::WrongRequest => 13,
            Self::WrongSampling => 14,
            Self::OutputTooLarge { .. } => 15,
            Self::TooManyTokens { .. } => 16,
            Self::BadInputCount { .. } => 17,
            Self::WrongTokenCount { .. } => 18,
            Self::WrongTokensHash => 19,
            Self::WrongTextHash => 20,
            Self::BadOutcome => 21,
            Self::WrongFinishReason(_) => 22,
            Self::NotEmpty => 23,
            Self::WrongCharge { .. } => 24,
            Self::BadEvidence => 25,
            Self::BadTimes => 26,
            Self::BadSignature => 27,
            Self::BadGenesis(_) => 28,
            Self::SeenEvidence(_) => 29,
        }
    }
}
