use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use plasma_proto::plasma::governance::v1::GrantStatus;

use crate::{Address, Amount};

/// What is reported of grants.
pub(super) enum Event {
    Created { grant_id: u64, recipient: Address, amount: Amount },
    Approved { grant_id: u64, milestone: u32, reviewer: Address },
    Released { grant_id: u64, milestone: u32, recipient: Address, amount: Amount },
    Closed { grant_id: u64, recipient: Address, status: GrantStatus, returned: Amount },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::Created { .. } => "grant_created",
            Self::Approved { .. } => "milestone_approved",
            Self::Released { .. } => "milestone_released",
            Self::Closed { .. } => "grant_closed",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Created { grant_id, recipient, amount } => vec![
                ("grant_id", grant_id.to_string()),
                ("recipient", recipient.to_string()),
                ("amount_uxpl", amount.to_string()),
            ],
            Self::Approved { grant_id, milestone, reviewer } => vec![
                ("grant_id", grant_id.to_string()),
                ("milestone", milestone.to_string()),
                ("reviewer", reviewer.to_string()),
            ],
            Self::Released { grant_id, milestone, recipient, amount } => vec![
                ("grant_id", grant_id.to_string()),
                ("milestone", milestone.to_string()),
                ("recipient", recipient.to_string()),
                ("amount_uxpl", amount.to_string()),
            ],
            Self::Closed { grant_id, recipient, status, returned } => vec![
                ("grant_id", grant_id.to_string()),
                ("recipient", recipient.to_string()),
                ("status", status.as_str_name().to_string()),
                ("returned_uxpl", returned.to_string()),
            ],
        }
    }
}
