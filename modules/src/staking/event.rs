use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{Address, Amount, Dec, tx};

/// What the room reports, in the Cosmos SDK's names.
pub(super) enum Event {
    Created { operator: Address, amount: Amount },
    Edited { operator: Address, rate: Dec, least: Amount },
    Delegated { delegator: Address, operator: Address, amount: Amount, shares: Dec },
    Unbonding { delegator: Address, operator: Address, amount: Amount, completes_s: u64 },
    Redelegated { delegator: Address, from: Address, to: Address, amount: Amount, completes_s: u64 },
    Cancelled { delegator: Address, operator: Address, amount: Amount, height: u64 },
    Unbonded { delegator: Address, operator: Address, amount: Amount },
    Moved { delegator: Address, from: Address, to: Address, amount: Amount },
    Missed { consensus: Address, missed: u64, height: u64 },
    Slashed { consensus: Address, power: u64, reason: &'static str, burned: Amount },
    Jailed { consensus: Address, reason: &'static str },
}

fn coin(amount: Amount) -> String {
    alloc::format!("{amount}uxpl")
}

fn time(seconds: u64) -> String {
    i64::try_from(seconds).ok().and_then(|seconds| tx::rfc3339(seconds, 0)).unwrap_or_default()
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Created { .. } => "create_validator",
            Self::Edited { .. } => "edit_validator",
            Self::Delegated { .. } => "delegate",
            Self::Unbonding { .. } => "unbond",
            Self::Redelegated { .. } => "redelegate",
            Self::Cancelled { .. } => "cancel_unbonding_delegation",
            Self::Unbonded { .. } => "complete_unbonding",
            Self::Moved { .. } => "complete_redelegation",
            Self::Missed { .. } => "liveness",
            Self::Slashed { .. } | Self::Jailed { .. } => "slash",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Created { operator, amount } => {
                vec![("validator", operator.operator_text()), ("amount", coin(*amount))]
            }
            Self::Edited { operator, rate, least } => vec![
                ("validator", operator.operator_text()),
                ("commission_rate", rate.point()),
                ("min_self_delegation", least.text()),
            ],
            Self::Delegated { delegator, operator, amount, shares } => vec![
                ("validator", operator.operator_text()),
                ("delegator", delegator.text()),
                ("amount", coin(*amount)),
                ("new_shares", shares.point()),
            ],
            Self::Unbonding { delegator, operator, amount, completes_s } => vec![
                ("validator", operator.operator_text()),
                ("amount", coin(*amount)),
                ("delegator", delegator.text()),
                ("completion_time", time(*completes_s)),
            ],
            Self::Redelegated { delegator, from, to, amount, completes_s } => vec![
                ("source_validator", from.operator_text()),
                ("destination_validator", to.operator_text()),
                ("delegator", delegator.text()),
                ("amount", coin(*amount)),
                ("completion_time", time(*completes_s)),
            ],
            Self::Cancelled { delegator, operator, amount, height } => vec![
                ("validator", operator.operator_text()),
                ("delegator", delegator.text()),
                ("amount", coin(*amount)),
                ("creation_height", height.to_string()),
            ],
            Self::Unbonded { delegator, operator, amount } => vec![
                ("amount", coin(*amount)),
                ("validator", operator.operator_text()),
                ("delegator", delegator.text()),
            ],
            Self::Moved { delegator, from, to, amount } => vec![
                ("amount", coin(*amount)),
                ("delegator", delegator.text()),
                ("source_validator", from.operator_text()),
                ("destination_validator", to.operator_text()),
            ],
            Self::Missed { consensus, missed, height } => vec![
                ("address", consensus.consensus_text()),
                ("missed_blocks", missed.to_string()),
                ("height", height.to_string()),
            ],
            Self::Slashed { consensus, power, reason, burned } => vec![
                ("address", consensus.consensus_text()),
                ("power", power.to_string()),
                ("reason", (*reason).into()),
                ("burned_coins", burned.text()),
            ],
            Self::Jailed { consensus, reason } => {
                vec![("jailed", consensus.consensus_text()), ("reason", (*reason).into())]
            }
        }
    }
}
