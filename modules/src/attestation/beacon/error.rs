use alloc::string::String;

use crate::{Coded, Sdk, types::hex};

/// Why the beacon refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As the SDK's clients know it.
    #[error(transparent)]
    Sdk(#[from] Sdk),
    /// Bytes that are no key.
    #[error("public_key must be 32 bytes, a point of ristretto255 that is not the identity")]
    BadKey,
    /// The secret half is not the sender's.
    #[error("the proof is not by this key for this operator")]
    BadPossession,
    /// Only validators have beacon keys.
    #[error("{0} operates no validator")]
    UnknownValidator(String),
    /// A key that is set waits to count.
    #[error("the key that was set last counts from block {0} on: set another one then")]
    Waiting(u64),
    /// A proposer with a key must prove.
    #[error("the block does not begin with its proposer's proof")]
    Missing,
    /// Bytes that are no entry of a block.
    #[error("the block's own entry is not a beacon's")]
    BadEntry,
    /// The proof is not of this block by its proposer.
    #[error("the proof is not by the key of the block's proposer over this block")]
    WrongProof,
    /// A proposer without a key has nothing to prove.
    #[error("the block's proposer has no beacon key that counts, so its block has no entry")]
    NotDue,
    /// The node has another key than the chain.
    #[error(
        "this node has not the secret of its validator's beacon key {}: it can propose no block that others accept",
        hex(.registered)
    )]
    NotThisKey {
        /// The key that counts.
        registered: [u8; 32],
    },
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Sdk(error) => error.codespace(),
            _ => "beacon",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Sdk(error) => error.code(),
            Self::BadKey => 2,
            Self::BadPossession => 3,
            Self::UnknownValidator(_) => 4,
            Self::Waiting(_) => 5,
            Self::Missing => 6,
            Self::BadEntry => 7,
            Self::WrongProof => 8,
            Self::NotDue => 9,
            Self::NotThisKey { .. } => 10,
            Self::BadGenesis(_) => 11,
        }
    }
}
