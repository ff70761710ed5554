use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{Address, Amount, staking::ballot::Options};

/// How a stage ended.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    /// Too few deposits came.
    Dropped,
    /// Accepted, and its messages carried out.
    Passed,
    /// Not accepted.
    Rejected,
    /// Not accepted in haste: the vote goes on as an ordinary one.
    ExpeditedRejected,
    /// Accepted, but a message was refused.
    Failed,
}

impl Ending {
    const fn text(self) -> &'static str {
        match self {
            Self::Dropped => "proposal_dropped",
            Self::Passed => "proposal_passed",
            Self::Rejected => "proposal_rejected",
            Self::ExpeditedRejected => "expedited_proposal_rejected",
            Self::Failed => "proposal_failed",
        }
    }
}

/// What governance reports, in the Cosmos SDK's names.
pub(super) enum Event<'a> {
    Submitted {
        proposal_id: u64,
        proposer: Address,
        types: &'a [String],
    },
    /// Submitting it brought the whole deposit.
    SubmittedToVoting {
        proposal_id: u64,
    },
    Deposited {
        proposal_id: u64,
        depositor: Address,
        amount: Amount,
    },
    /// A deposit completed the whole.
    DepositedToVoting {
        proposal_id: u64,
    },
    Voted {
        proposal_id: u64,
        voter: Address,
        options: &'a Options,
    },
    Cancelled {
        proposal_id: u64,
        proposer: Address,
    },
    Inactive {
        proposal_id: u64,
        ending: Ending,
    },
    Active {
        proposal_id: u64,
        ending: Ending,
        log: &'a str,
    },
}

impl crate::Event for Event<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Submitted { .. } | Self::SubmittedToVoting { .. } => "submit_proposal",
            Self::Deposited { .. } | Self::DepositedToVoting { .. } => "proposal_deposit",
            Self::Voted { .. } => "proposal_vote",
            Self::Cancelled { .. } => "cancel_proposal",
            Self::Inactive { .. } => "inactive_proposal",
            Self::Active { .. } => "active_proposal",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Submitted { proposal_id, proposer, types } => vec![
                ("proposal_id", proposal_id.to_string()),
                ("proposal_proposer", proposer.to_string()),
                // As the SDK has it: a comma before each.
                ("proposal_messages", types.iter().map(|url| format!(",{url}")).collect()),
            ],
            Self::SubmittedToVoting { proposal_id } | Self::DepositedToVoting { proposal_id } => {
                vec![("voting_period_start", proposal_id.to_string())]
            }
            Self::Deposited { proposal_id, depositor, amount } => vec![
                ("depositor", depositor.to_string()),
                ("amount", format!("{amount}uxpl")),
                ("proposal_id", proposal_id.to_string()),
            ],
            Self::Voted { proposal_id, voter, options } => vec![
                ("voter", voter.to_string()),
                ("option", json(options)),
                ("proposal_id", proposal_id.to_string()),
            ],
            Self::Cancelled { proposal_id, proposer } => {
                vec![("sender", proposer.to_string()), ("proposal_id", proposal_id.to_string())]
            }
            Self::Inactive { proposal_id, ending } => vec![
                ("proposal_id", proposal_id.to_string()),
                ("proposal_result", ending.text().into()),
            ],
            Self::Active { proposal_id, ending, log } => vec![
                ("proposal_id", proposal_id.to_string()),
                ("proposal_result", ending.text().into()),
                ("proposal_log", (*log).into()),
            ],
        }
    }
}

/// Options as the SDK writes them into its events.
fn json(options: &Options) -> String {
    let part = |part: plasma_proto::cosmos::gov::v1::WeightedVoteOption| {
        format!("{{\"option\":{},\"weight\":\"{}\"}}", part.option, part.weight)
    };
    let parts: Vec<String> = options.to_proto().into_iter().map(part).collect();
    format!("[{}]", parts.join(","))
}
