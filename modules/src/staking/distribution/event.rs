use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{Address, Amount, Dec};

/// What is reported of rewards, in the Cosmos SDK's names.
pub(super) enum Event {
    /// A validator and its delegators have earned this.
    Rewards {
        operator: Address,
        amount: Dec,
    },
    /// Of it, the operator's part.
    Commission {
        operator: Address,
        amount: Dec,
    },
    WithdrawRewards {
        delegator: Address,
        operator: Address,
        amount: Amount,
    },
    WithdrawCommission {
        amount: Amount,
    },
    SetWithdrawAddress {
        withdraw: Address,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Rewards { .. } => "rewards",
            Self::Commission { .. } => "commission",
            Self::WithdrawRewards { .. } => "withdraw_rewards",
            Self::WithdrawCommission { .. } => "withdraw_commission",
            Self::SetWithdrawAddress { .. } => "set_withdraw_address",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Rewards { operator, amount } | Self::Commission { operator, amount } => {
                vec![("amount", format!("{amount}uxpl")), ("validator", operator.operator_text())]
            }
            Self::WithdrawRewards { delegator, operator, amount } => vec![
                ("amount", format!("{amount}uxpl")),
                ("validator", operator.operator_text()),
                ("delegator", delegator.to_string()),
            ],
            Self::WithdrawCommission { amount } => vec![("amount", format!("{amount}uxpl"))],
            Self::SetWithdrawAddress { withdraw } => {
                vec![("withdraw_address", withdraw.to_string())]
            }
        }
    }
}
