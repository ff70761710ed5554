use alloc::string::String;

use crate::{
    Amount, Coded, Sdk,
    attestation::{audit, referee::RefereeError},
    market, token,
};

/// Why something about referee games was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// As the market says.
    #[error(transparent)]
    Market(#[from] market::Error),
    /// As the token room says.
    #[error(transparent)]
    Token(#[from] token::Error),
    /// As audits say.
    #[error(transparent)]
    Audit(#[from] audit::Error),
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
    #[error("the model's publisher alone says how it is recomputed")]
    NotPublisher,
    /// As the referee says: of a shape, of numbers of tokens, of what was shown of a tile.
    #[error(transparent)]
    Referee(#[from] RefereeError),
    /// It was said before, and providers rely on it.
    #[error("how the model is recomputed was said at height {0}, and stays")]
    IsSet(u64),
    /// No job bears this id.
    #[error("job {0} is not known")]
    UnknownJob(u64),
    /// Nothing to challenge.
    #[error("job {0} has no claim that waits for its settlement")]
    NotDelivered(u64),
    /// The chain does not know how to recompute the model, or did not when the job was assigned.
    #[error("how the model is recomputed was not said before the job was assigned")]
    NoReferee,
    /// Another kernel than the referee's.
    #[error("the claim was made with kernel {0:?}: a jury judges it")]
    OtherKernel(String),
    /// Drawn, not computed.
    #[error("the job's temperature is {0}/1000, games are about greedy jobs: a jury judges it")]
    NotGreedy(u32),
    /// A prompt that cannot be shown in one transaction.
    #[error("the prompt has {n_prompt} tokens, games are about {most} at most: a jury judges it")]
    LongPrompt {
        /// Of the prompt.
        n_prompt: u32,
        /// That are shown at once.
        most: u32,
    },
    /// An audit or a game has the claim.
    #[error("the claim of job {0} is audited or challenged")]
    IsHeld(u64),
    /// One's own claim.
    #[error("the claim is the challenger's own")]
    OwnClaim,
    /// A bond below the least.
    #[error("the bond is {bond}uxpl, it must be {least}uxpl at least")]
    SmallBond {
        /// Given.
        bond: Amount,
        /// Least.
        least: Amount,
    },
    /// No game bears this id.
    #[error("game {0} is not known")]
    UnknownGame(u64),
    /// The game is in another phase.
    #[error("the game waits for {0}")]
    WrongPhase(&'static str),
    /// The phase is over.
    #[error("the phase of game {0} is over")]
    Late(u64),
    /// Another key signed.
    #[error("the signature is not by the provider's receipt key over this message")]
    BadSignature,
    /// An outsider.
    #[error("the sender is not the game's challenger, and no signature of its provider is there")]
    NotPlayer,
    /// Children of another node.
    #[error("the game is at node {0}")]
    WrongNode(String),
    /// The player has given them.
    #[error("the player has given the children of this node")]
    HasGiven,
    /// The children of another node than the one that the player stands on.
    #[error("the children are not those of the node that the player stands on")]
    WrongChildren,
    /// Tokens that nobody asks for.
    #[error("the tile is not made from a token of the prompt")]
    PromptNotRead,
    /// Another prompt than the receipt's.
    #[error("the tokens are not those of the receipt's prompt_tokens_hash")]
    WrongPrompt,
    /// No such token of the output.
    #[error("there is no output token {index}, the claim has {n_out}")]
    NoToken {
        /// Asked for.
        index: u32,
        /// There are.
        n_out: u32,
    },
    /// The trace gives what the claim says.
    #[error("output token {0} is the one that the trace gives")]
    SameToken(u32),
    /// A genesis that is not well formed.
    #[error("genesis: {0}")]
    BadGenesis(String),
}

impl Coded for Error {
    fn codespace(&self) -> &'static str {
        match self {
            Self::Market(error) => error.codespace(),
            Self::Token(error) => error.codespace(),
            Self::Audit(error) => error.codespace(),
            Self::Sdk(error) => error.codespace(),
            _ => "game",
        }
    }

    fn code(&self) -> u32 {
        match self {
            Self::Market(error) => error.code(),
            Self::Token(error) => error.code(),
            Self::Audit(error) => error.code(),
            Self::Sdk(error) => error.code(),
            Self::BadField { .. } => 2,
            Self::UnknownModel(_) => 3,
            Self::NotPublisher => 4,
            Self::Referee(_) => 5,
            Self::IsSet(_) => 6,
            Self::UnknownJob(_) => 7,
            Self::NotDelivered(_) => 8,
            Self::NoReferee => 9,
            Self::OtherKernel(_) => 10,
            Self::NotGreedy(_) => 11,
            Self::LongPrompt { .. } => 12,
            Self::IsHeld(_) => 13,
            Self::OwnClaim => 14,
            Self::SmallBond { .. } => 15,
            Self::UnknownGame(_) => 16,
            Self::WrongPhase(_) => 17,
            Self::Late(_) => 18,
            Self::BadSignature => 19,
            Self::NotPlayer => 20,
            Self::WrongNode(_) => 21,
            Self::HasGiven => 22,
            Self::WrongChildren => 23,
            Self::PromptNotRead => 24,
            Self::WrongPrompt => 25,
            Self::NoToken { .. } => 26,
            Self::SameToken(_) => 27,
            Self::BadGenesis(_) => 28,
        }
    }
}
