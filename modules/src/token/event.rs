use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::Address;

/// What the token module reports, in the Cosmos SDK's names. Amounts are coins as text.
pub(super) enum Event {
    Spent { spender: Address, amount: String },
    Received { receiver: Address, amount: String },
    Transfer { recipient: Address, sender: Address, amount: String },
    Sender { sender: Address },
    Coinbase { minter: Address, amount: String },
    Burn { burner: Address, amount: String },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Spent { .. } => "coin_spent",
            Self::Received { .. } => "coin_received",
            Self::Transfer { .. } => "transfer",
            Self::Sender { .. } => "message",
            Self::Coinbase { .. } => "coinbase",
            Self::Burn { .. } => "burn",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Spent { spender, amount } => {
                vec![("spender", spender.to_string()), ("amount", amount.clone())]
            }
            Self::Received { receiver, amount } => {
                vec![("receiver", receiver.to_string()), ("amount", amount.clone())]
            }
            Self::Transfer { recipient, sender, amount } => vec![
                ("recipient", recipient.to_string()),
                ("sender", sender.to_string()),
                ("amount", amount.clone()),
            ],
            Self::Sender { sender } => vec![("sender", sender.to_string())],
            Self::Coinbase { minter, amount } => {
                vec![("minter", minter.to_string()), ("amount", amount.clone())]
            }
            Self::Burn { burner, amount } => {
                vec![("burner", burner.to_string()), ("amount", amount.clone())]
            }
        }
    }
}
