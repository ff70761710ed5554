use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{Address, Amount};

/// What the rewards report.
#[derive(Clone, Debug)]
pub enum Event {
    /// An epoch ended.
    EpochEnded {
        /// Which.
        epoch: u64,
        /// What its use burned, uxpl.
        burn: Amount,
        /// What its providers share, uxpl.
        emission: Amount,
    },
    /// Everybody was paid for an epoch.
    EpochPaid {
        /// Which.
        epoch: u64,
        /// Paid, uxpl.
        paid: Amount,
    },
    /// A provider took what it was rewarded with.
    RewardClaimed {
        /// Who.
        operator: Address,
        /// How much, uxpl.
        amount: Amount,
    },
    /// Capacity was marked as audited.
    CapacityAudited {
        /// Whose.
        operator: Address,
        /// Slots; 0 when the mark is gone.
        slots: u32,
        /// Until then, unix seconds.
        until_s: u64,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::EpochEnded { .. } => "reward_epoch_ended",
            Self::EpochPaid { .. } => "reward_epoch_paid",
            Self::RewardClaimed { .. } => "reward_claimed",
            Self::CapacityAudited { .. } => "capacity_audited",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::EpochEnded { epoch, burn, emission } => vec![
                ("epoch", epoch.to_string()),
                ("burn_uxpl", burn.text()),
                ("emission_uxpl", emission.text()),
            ],
            Self::EpochPaid { epoch, paid } => {
                vec![("epoch", epoch.to_string()), ("paid_uxpl", paid.text())]
            }
            Self::RewardClaimed { operator, amount } => {
                vec![("operator", operator.text()), ("amount_uxpl", amount.text())]
            }
            Self::CapacityAudited { operator, slots, until_s } => vec![
                ("operator", operator.text()),
                ("slots", slots.to_string()),
                ("until_s", until_s.to_string()),
            ],
        }
    }
}
