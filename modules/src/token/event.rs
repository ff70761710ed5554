use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::Coins;
use crate::Address;

/// What the token module reports, in the Cosmos SDK's names. Text is made of it only where it is
/// recorded.
pub(super) enum Event<'a> {
    Spent { spender: Address, amount: &'a Coins },
    Received { receiver: Address, amount: &'a Coins },
    Transfer { recipient: Address, sender: Address, amount: &'a Coins },
    Sender { sender: Address },
    Coinbase { minter: Address, amount: &'a Coins },
    Burn { burner: Address, amount: &'a Coins },
}

impl crate::Event for Event<'_> {
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
                vec![("spender", spender.to_string()), ("amount", amount.to_string())]
            }
            Self::Received { receiver, amount } => {
                vec![("receiver", receiver.to_string()), ("amount", amount.to_string())]
            }
            Self::Transfer { recipient, sender, amount } => vec![
                ("recipient", recipient.to_string()),
                ("sender", sender.to_string()),
                ("amount", amount.to_string()),
            ],
            Self::Sender { sender } => vec![("sender", sender.to_string())],
            Self::Coinbase { minter, amount } => {
                vec![("minter", minter.to_string()), ("amount", amount.to_string())]
            }
            Self::Burn { burner, amount } => {
                vec![("burner", burner.to_string()), ("amount", amount.to_string())]
            }
        }
    }
}
