use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::types::{Hash, hex};

/// What the price record reports.
#[derive(Clone, Debug)]
pub enum Event {
    /// A price moved.
    PriceUpdated {
        /// Whose.
        model_id: Hash,
        /// What it is now, uxpl per million units.
        price_uxpl_per_mtok: u64,
        /// Use of the proven slots, basis points.
        use_bps: u32,
        /// How many these are.
        proven_slots: u64,
    },
    /// An hour was closed, and an index moved, went stale or came back.
    IndexUpdated {
        /// Whose.
        model_id: Hash,
        /// Which hour, hours since 1970.
        hour: u64,
        /// What it is now, uxpl per million units.
        index_uxpl_per_mtok: u64,
        /// Its mean over the last hours, uxpl per million units.
        index_twap_uxpl_per_mtok: u64,
        /// Whether too few providers stand behind it.
        stale: bool,
        /// How many do.
        providers: u32,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::PriceUpdated { .. } => "price_updated",
            Self::IndexUpdated { .. } => "index_updated",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::PriceUpdated { model_id, price_uxpl_per_mtok, use_bps, proven_slots } => vec![
                ("model_id", hex(model_id)),
                ("price_uxpl_per_mtok", price_uxpl_per_mtok.to_string()),
                ("use_bps", use_bps.to_string()),
                ("proven_slots", proven_slots.to_string()),
            ],
            Self::IndexUpdated {
                model_id,
                hour,
                index_uxpl_per_mtok,
                index_twap_uxpl_per_mtok,
                stale,
                providers,
            } => vec![
                ("model_id", hex(model_id)),
                ("hour", hour.to_string()),
                ("index_uxpl_per_mtok", index_uxpl_per_mtok.to_string()),
                ("index_twap_uxpl_per_mtok", index_twap_uxpl_per_mtok.to_string()),
                ("stale", stale.to_string()),
                ("providers", providers.to_string()),
            ],
        }
    }
}
