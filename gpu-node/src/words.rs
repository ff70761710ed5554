//! What the chain says by number, in the words of every program that shows it.

use plasma_proto::plasma::attestation::v1::{Finding, GameReason, GameState};

/// What a game waits for.
#[must_use]
pub fn game_phase(state: GameState) -> &'static str {
    match state {
        GameState::Unspecified => "it is in no known phase",
        GameState::Defend => "the provider must give the root of its trace",
        GameState::Descend => "both must give the children of the node at which they differ",
        GameState::Prove => "one of them must show what the tile is made from",
        GameState::Token => "the challenger must show a token that the trace does not give",
        GameState::Rest => "the challenger lost, and another one may challenge",
        GameState::Ended => "it has ended",
    }
}

/// Why a game, or the challenge before, ended as it did.
#[must_use]
pub fn game_reason(reason: GameReason) -> &'static str {
    match reason {
        GameReason::Unspecified => "for no known reason",
        GameReason::Tile => "the chain computed the tile, and the challenger has it",
        GameReason::Neither => "the chain computed the tile, and neither has it",
        GameReason::Token => "the provider's own trace gives another token",
        GameReason::OutputEnd => "the output does not end where it must",
        GameReason::Prompt => "the prompt's tokens are not those that the receipt counts",
        GameReason::Silent => "the provider was silent",
        GameReason::ChallengerTile => "the chain computed the tile, and the provider has it",
        GameReason::ChallengerSilent => "the challenger was silent",
    }
}

/// What a game found of the claim, and what followed.
#[must_use]
pub fn game_finding(finding: Finding) -> &'static str {
    match finding {
        Finding::Convicted | Finding::Hidden => {
            "found false: the job is refunded, the provider slashed"
        }
        Finding::Clean => "no challenge was won: the job goes on to its settlement",
        // Games end in no other way.
        _ => "nothing yet",
    }
}
