use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{
    Address,
    types::{Hash, hex},
};

/// What is reported of the beacon.
pub(super) enum Event {
    /// A block began.
    Beacon {
        /// Its randomness.
        beacon: Hash,
        /// Who made it, if that is known.
        proposer: Option<Address>,
        /// Whether its maker proved it; else it went on by hash alone.
        proven: bool,
    },
    /// A validator set its key.
    KeySet {
        /// Who.
        operator: Address,
        /// The key.
        public_key: [u8; 32],
        /// Since when it counts.
        from_height: u64,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Beacon { .. } => "beacon",
            Self::KeySet { .. } => "beacon_key_set",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Beacon { beacon, proposer, proven } => vec![
                ("beacon", hex(beacon)),
                ("operator", proposer.map(|operator| operator.text()).unwrap_or_default()),
                ("by", if *proven { "proof" } else { "hash" }.into()),
            ],
            Self::KeySet { operator, public_key, from_height } => vec![
                ("operator", operator.text()),
                ("public_key", hex(public_key)),
                ("from_height", from_height.to_string()),
            ],
        }
    }
}
