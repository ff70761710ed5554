use alloc::string::String;

use crate::{Coded, Refusal, Sdk, token};

/// Why a grant refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As token says.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// As the SDK's clients know it.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// As the community pool says.
    #[error("{}", .0.log)]
    Pool(Refusal),
    /// No grant bears this id.
    #[error("grant {0} is not known")]
    Unknown(u64),
    /// The grant has ended.
    #[error("grant {0} is not open")]
    NotOpen(u64),
    /// Milestones go in order.
    #[error("the next milestone of grant {grant_id} is {next}, not {given} (counted from 0)")]
    NotNext {
        /// The grant.
        grant_id: u64,
        /// Its next milestone.
        next: u32,
        /// The message's.
        given: u32,
    },
    /// Only reviewers approve.
    #[error("{0} is no reviewer of this grant")]
    NotReviewer(String),
    /// One reviewer counts once.
    #[error("{0} has approved this milestone already")]
    ApprovedAlready(String),
    /// The time is over.
    #[error("the deadline of grant {grant_id} was {deadline_s}, it is {now_s}")]
    DeadlinePassed {
        /// The grant.
        grant_id: u64,
        /// Its last second, unix.
        deadline_s: u64,
        /// Time of the block.
        now_s: u64,
    },
    /// Terms that no grant can have.
    #[error("{field} {why}")]
    BadTerms {
        /// Which.
        field: &'static str,
        /// What it must be.
        why: &'static str,
    },
    /// Only governance and the recipient end a grant.
    #[error("grant {0} belongs to another account")]
    NotTheirs(u64),
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Token(error) => error.codespace(),
            Self::Sdk(error) => error.codespace(),
            Self::Pool(refusal) => refusal.codespace,
            _ => "grants",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Token(error) => error.code(),
            Self::Sdk(error) => error.code(),
            Self::Pool(refusal) => refusal.code,
            Self::Unknown(_) => 2,
            Self::NotOpen(_) => 3,
            Self::NotNext { .. } => 4,
            Self::NotReviewer(_) => 5,
            Self::ApprovedAlready(_) => 6,
            Self::DeadlinePassed { .. } => 7,
            Self::BadTerms { .. } => 8,
            Self::NotTheirs(_) => 9,
            Self::BadGenesis(_) => 10,
        }
    }
}
