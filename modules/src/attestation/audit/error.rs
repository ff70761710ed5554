use alloc::string::String;

use crate::{Amount, Coded, Sdk, market, token};

/// Why something about audits was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As the market says.
    #[error(transparent)]
    Market(#[from] market::Error),
    /// As the token room says.
    #[error(transparent)]
    Token(#[from] token::Error),
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
    /// No model bears this id.
    #[error("model {0} is not known")]
    UnknownModel(String),
    /// Somebody else published the model.
    #[error("the model's publisher alone sets its profile")]
    NotPublisher,
    /// A profile out of what governance allows.
    #[error("{name} is {value}, it must be {least} to {most}")]
    ProfileOutOfBounds {
        /// Which number.
        name: &'static str,
        /// What it is.
        value: u32,
        /// Least.
        least: u32,
        /// Most.
        most: u32,
    },
    /// The profile stands already.
    #[error("the model has this profile")]
    SameProfile,
    /// Another profile stands.
    #[error("the model has no such profile: it may have been set anew")]
    WrongProfile,
    /// No provider, or one that leaves.
    #[error("only a provider that stays judges claims")]
    NotProvider,
    /// The publisher's own operator.
    #[error("a model's publisher does not judge claims of it")]
    IsPublisher,
    /// Less bond than a seat locks.
    #[error("{free}uxpl of the bond are free, a seat locks at least {least}uxpl")]
    BondTooSmall {
        /// Free bond.
        free: Amount,
        /// Least.
        least: Amount,
    },
    /// The operator is in the pool.
    #[error("the operator is in this pool")]
    InPool,
    /// The pool takes no more.
    #[error("the pool is full: it has {0} operators")]
    PoolFull(u32),
    /// The operator is in no pool of the model.
    #[error("the operator is in no pool of this model")]
    NotInPool,
    /// No job bears this id.
    #[error("job {0} is not known")]
    UnknownJob(u64),
    /// Nothing to dispute.
    #[error("job {0} has no claim that waits for its settlement")]
    NotDelivered(u64),
    /// Nobody can judge it.
    #[error("the job's model is not verified")]
    NotVerified,
    /// The claim is audited, or was.
    #[error("the claim of job {0} is audited, or was")]
    IsAudited(u64),
    /// A bond below the least.
    #[error("the bond is {bond}uxpl, it must be {least}uxpl at least")]
    SmallBond {
        /// Given.
        bond: Amount,
        /// Least.
        least: Amount,
    },
    /// No audit bears this id.
    #[error("audit {0} is not known")]
    UnknownAudit(u64),
    /// The audit is in another phase.
    #[error("the audit is at {0}")]
    WrongPhase(&'static str),
    /// The phase is over.
    #[error("the phase of audit {0} is over")]
    Late(u64),
    /// Somebody else's claim.
    #[error("the claim is another operator's")]
    NotAudited,
    /// Too few operators for a jury.
    #[error("there are not enough operators for a jury of {0}")]
    NoJury(u32),
    /// The leaves are not those that were drawn.
    #[error("the audit asks for leaves {0}, in this order")]
    WrongLeaves(String),
    /// A leaf that is not well formed.
    #[error("leaf {index}: {why}")]
    BadLeaf {
        /// Which.
        index: u32,
        /// What is wrong.
        why: String,
    },
    /// A leaf that is not under the receipt's root.
    #[error("leaf {0} is not under the receipt's fingerprint_root")]
    NotUnderRoot(u32),
    /// A fingerprint that is not under the root of fingerprints.
    #[error("the fingerprint of leaf {0} is not under fingerprints_root")]
    FingerprintNotUnderRoot(u32),
    /// Another key signed.
    #[error("the signature is not by the operator's receipt key over this message")]
    BadSignature,
    /// An outsider.
    #[error("the operator is no juror of this round")]
    NotJuror,
    /// The juror committed before.
    #[error("the juror has committed to a verdict")]
    HasCommitted,
    /// Nothing to open.
    #[error("the juror has committed to no verdict")]
    NotCommitted,
    /// The verdict is open.
    #[error("the juror has opened its verdict")]
    HasOpened,
    /// The verdict is not the one that was committed to.
    #[error("verdict and salt are not what the juror committed to")]
    WrongOpening,
    /// A pass beyond the profile.
    #[error("a pass whose measures are beyond the profile")]
    PassBeyondProfile,
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Market(error) => error.codespace(),
            Self::Token(error) => error.codespace(),
            Self::Sdk(error) => error.codespace(),
            _ => "audit",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Market(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::Sdk(error) => error.code(),
            Self::BadField { .. } => 2,
            Self::UnknownModel(_) => 3,
            Self::NotPublisher => 4,
            Self::ProfileOutOfBounds { .. } => 5,
            Self::SameProfile => 6,
            Self::WrongProfile => 7,
            Self::NotProvider => 8,
            Self::IsPublisher => 9,
            Self::BondTooSmall { .. } => 10,
            Self::InPool => 11,
            Self::PoolFull(_) => 12,
            Self::NotInPool => 13,
            Self::UnknownJob(_) => 14,
            Self::NotDelivered(_) => 15,
            Self::NotVerified => 16,
            Self::IsAudited(_) => 17,
            Self::SmallBond { .. } => 18,
            Self::UnknownAudit(_) => 19,
            Self::WrongPhase(_) => 20,
            Self::Late(_) => 21,
            Self::NotAudited => 22,
            Self::NoJury(_) => 23,
            Self::WrongLeaves(_) => 24,
            Self::BadLeaf { .. } => 25,
            Self::NotUnderRoot(_) => 26,
            Self::FingerprintNotUnderRoot(_) => 27,
            Self::BadSignature => 28,
            Self::NotJuror => 29,
            Self::HasCommitted => 30,
            Self::NotCommitted => 32,
            Self::HasOpened => 33,
            Self::WrongOpening => 34,
            Self::PassBeyondProfile => 35,
            Self::BadGenesis(_) => 36,
        }
    }
}
