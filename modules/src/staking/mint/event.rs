use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{Amount, Dec};

/// What is reported of inflation, in the Cosmos SDK's names.
pub(super) enum Event {
    Mint { bonded_ratio: Dec, inflation: Dec, annual_provisions: Dec, amount: Amount },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Mint { .. } => "mint",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Mint { bonded_ratio, inflation, annual_provisions, amount } => vec![
                ("bonded_ratio", bonded_ratio.point()),
                ("inflation", inflation.point()),
                ("annual_provisions", annual_provisions.point()),
                ("amount", amount.to_string()),
            ],
        }
    }
}
