use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use plasma_proto::plasma::attestation::v1::{Finding, GameReason};

use crate::{
    Address, Amount,
    types::{Hash, hex},
};

/// What referee games report.
#[derive(Clone, Debug)]
pub enum Event {
    /// The chain knows how to recompute a model.
    RefereeSet {
        /// Which.
        model_id: Hash,
        /// Root over its rows.
        weights_root: Hash,
        /// Who said it.
        publisher: Address,
    },
    /// A claim is challenged.
    ClaimChallenged {
        /// Which.
        game_id: u64,
        /// By whom.
        challenger: Address,
        /// Root of its trace.
        trace_root: Hash,
        /// With what, uxpl.
        bond: Amount,
    },
    /// The provider has given the root of its trace.
    ClaimDefended {
        /// Which.
        game_id: u64,
        /// The root.
        trace_root: Hash,
    },
    /// A player gave the children of its node.
    ChildrenGiven {
        /// Of which.
        game_id: u64,
        /// The challenger, or else the provider.
        by_challenger: bool,
    },
    /// The game went down to where the players differ.
    GameDescended {
        /// Which.
        game_id: u64,
        /// Which child each time, from the root.
        path: Vec<u32>,
        /// Whether this is a tile.
        is_tile: bool,
    },
    /// The chain has computed the tile at which the players differ.
    TileComputed {
        /// Of which.
        game_id: u64,
        /// From what the challenger showed, or else the provider.
        by_challenger: bool,
        /// The tile's name.
        tile: Hash,
    },
    /// A challenger lost; the claim waits for another.
    ChallengeLost {
        /// Of which.
        game_id: u64,
        /// Who.
        challenger: Address,
        /// Why.
        reason: GameReason,
        /// The bond that is lost, uxpl.
        bond: Amount,
    },
    /// A game has ended.
    GameEnded {
        /// Which.
        game_id: u64,
        /// Whose claim.
        provider: Address,
        /// How.
        finding: Finding,
        /// Why.
        reason: GameReason,
        /// Taken from the operator's bond, uxpl.
        slashed: Amount,
    },
    /// A step could not be taken and is tried again.
    GameStepFailed {
        /// Of which.
        game_id: u64,
        /// Why.
        reason: String,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::RefereeSet { .. } => "referee_set",
            Self::ClaimChallenged { .. } => "claim_challenged",
            Self::ClaimDefended { .. } => "claim_defended",
            Self::ChildrenGiven { .. } => "children_given",
            Self::GameDescended { .. } => "game_descended",
            Self::TileComputed { .. } => "tile_computed",
            Self::ChallengeLost { .. } => "challenge_lost",
            Self::GameEnded { .. } => "game_ended",
            Self::GameStepFailed { .. } => "game_step_failed",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::RefereeSet { model_id, weights_root, publisher } => vec![
                ("model_id", hex(model_id)),
                ("weights_root", hex(weights_root)),
                ("publisher", publisher.text()),
            ],
            Self::ClaimChallenged { game_id, challenger, trace_root, bond } => vec![
                ("game_id", game_id.to_string()),
                ("challenger", challenger.text()),
                ("trace_root", hex(trace_root)),
                ("bond_uxpl", bond.text()),
            ],
            Self::ClaimDefended { game_id, trace_root } => {
                vec![("game_id", game_id.to_string()), ("trace_root", hex(trace_root))]
            }
            Self::ChildrenGiven { game_id, by_challenger } => {
                vec![("game_id", game_id.to_string()), ("by_challenger", by_challenger.to_string())]
            }
            Self::GameDescended { game_id, path, is_tile } => vec![
                ("game_id", game_id.to_string()),
                ("path", way(path)),
                ("is_tile", is_tile.to_string()),
            ],
            Self::TileComputed { game_id, by_challenger, tile } => vec![
                ("game_id", game_id.to_string()),
                ("by_challenger", by_challenger.to_string()),
                ("tile", hex(tile)),
            ],
            Self::ChallengeLost { game_id, challenger, reason, bond } => vec![
                ("game_id", game_id.to_string()),
                ("challenger", challenger.text()),
                ("reason", reason.as_str_name().into()),
                ("bond_uxpl", bond.text()),
            ],
            Self::GameEnded { game_id, provider, finding, reason, slashed } => vec![
                ("game_id", game_id.to_string()),
                ("provider", provider.text()),
                ("finding", finding.as_str_name().into()),
                ("reason", reason.as_str_name().into()),
                ("slashed_uxpl", slashed.text()),
            ],
            Self::GameStepFailed { game_id, reason } => {
                vec![("game_id", game_id.to_string()), ("reason", reason.clone())]
            }
        }
    }
}

/// The way down to a node, as people read it: `/3/0/12`, the root as `/`.
pub(super) fn way(path: &[u32]) -> String {
    if path.is_empty() {
        return "/".into();
    }
    path.iter().map(|step| alloc::format!("/{step}")).collect()
}
