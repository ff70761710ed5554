use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use plasma_proto::plasma::market::v1::Outcome;

use crate::{Address, Amount, types::hex};

/// What the market reports.
#[derive(Clone, Debug)]
pub enum Event {
    /// A job was opened.
    JobSubmitted {
        /// The job.
        job_id: u64,
        /// Who pays.
        requester: Address,
        /// What is to run.
        model_id: Vec<u8>,
        /// Escrowed, uxpl.
        max_fee: Amount,
    },
    /// A provider got a job.
    JobAssigned {
        /// The job.
        job_id: u64,
        /// Who works.
        provider: Address,
        /// Number of the assignment.
        attempt: u32,
        /// What is to run.
        model_id: Vec<u8>,
        /// Most that it may cost, duty fee included, uxpl.
        quote: Amount,
        /// Part of the bond that stands for it, uxpl.
        bond_locked: Amount,
    },
    /// A provider passed a job on.
    JobDeclined {
        /// The job.
        job_id: u64,
        /// Who.
        provider: Address,
        /// Number of the assignment.
        attempt: u32,
        /// What it said: declined or host_error.
        why: &'static str,
    },
    /// A provider let an assignment run out.
    JobTimedOut {
        /// The job.
        job_id: u64,
        /// Who.
        provider: Address,
        /// Number of the assignment.
        attempt: u32,
    },
    /// A receipt was accepted.
    JobDelivered {
        /// The job.
        job_id: u64,
        /// Who worked.
        provider: Address,
        /// Number of the assignment.
        attempt: u32,
        /// What the work costs, uxpl.
        charge: Amount,
        /// Given back to the receipt's carrier, uxpl.
        duty_fee: Amount,
    },
    /// A job was paid.
    JobSettled {
        /// The job.
        job_id: u64,
        /// Who worked.
        provider: Address,
        /// What it cost, uxpl.
        charge: Amount,
        /// The provider's part, uxpl.
        provider_share: Amount,
        /// Destroyed, uxpl.
        burned: Amount,
        /// Back to the requester, uxpl.
        refund: Amount,
    },
    /// A job ended without a charge.
    JobRefunded {
        /// The job.
        job_id: u64,
        /// Who gets the money back.
        requester: Address,
        /// Why.
        outcome: Outcome,
        /// Back to the requester, uxpl.
        refund: Amount,
    },
    /// A job's input and output were deleted.
    PayloadForgotten {
        /// The job.
        job_id: u64,
    },
    /// A provider came.
    ProviderRegistered {
        /// Who.
        operator: Address,
        /// Its bond, uxpl.
        bond: Amount,
    },
    /// A provider changed what it offers.
    ProviderUpdated {
        /// Who.
        operator: Address,
    },
    /// A provider wants to leave.
    ProviderLeaving {
        /// Who.
        operator: Address,
    },
    /// A provider has left.
    ProviderLeft {
        /// Who.
        operator: Address,
        /// What it got back, uxpl.
        bond: Amount,
    },
    /// A bond grew.
    BondAdded {
        /// Whose.
        operator: Address,
        /// By how much, uxpl.
        amount: Amount,
    },
    /// Part of a bond waits to go back.
    BondWithdrawalQueued {
        /// Whose.
        operator: Address,
        /// The withdrawal.
        withdrawal_id: u64,
        /// How much, uxpl.
        amount: Amount,
    },
    /// Part of a bond went back.
    BondReleased {
        /// Whose.
        operator: Address,
        /// The withdrawal.
        withdrawal_id: u64,
        /// How much, uxpl.
        amount: Amount,
    },
    /// Part of a bond was taken.
    BondSlashed {
        /// Whose.
        operator: Address,
        /// How much, uxpl.
        amount: Amount,
        /// Where it lies now.
        to: Address,
    },
    /// A delivered job waits for its audit.
    JobHeld {
        /// The job.
        job_id: u64,
    },
    /// An audit has let a job go: it is paid, now or when its window has passed.
    JobReleased {
        /// The job.
        job_id: u64,
    },
    /// A model became known.
    ModelPublished {
        /// The model.
        model_id: Vec<u8>,
        /// By whom.
        publisher: Address,
        /// Its name.
        name: String,
    },
    /// An appointment could not be kept; what it wrote was undone.
    TimerFailed {
        /// Number of its kind.
        kind: i32,
        /// Job or withdrawal.
        id: u64,
        /// What refused.
        reason: String,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::JobSubmitted { .. } => "job_submitted",
            Self::JobAssigned { .. } => "job_assigned",
            Self::JobDeclined { .. } => "job_declined",
            Self::JobTimedOut { .. } => "job_timed_out",
            Self::JobDelivered { .. } => "job_delivered",
            Self::JobSettled { .. } => "job_settled",
            Self::JobRefunded { .. } => "job_refunded",
            Self::PayloadForgotten { .. } => "payload_forgotten",
            Self::ProviderRegistered { .. } => "provider_registered",
            Self::ProviderUpdated { .. } => "provider_updated",
            Self::ProviderLeaving { .. } => "provider_leaving",
            Self::ProviderLeft { .. } => "provider_left",
            Self::BondAdded { .. } => "bond_added",
            Self::BondWithdrawalQueued { .. } => "bond_withdrawal_queued",
            Self::BondReleased { .. } => "bond_released",
            Self::BondSlashed { .. } => "bond_slashed",
            Self::JobHeld { .. } => "job_held",
            Self::JobReleased { .. } => "job_released",
            Self::ModelPublished { .. } => "model_published",
            Self::TimerFailed { .. } => "timer_failed",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::JobSubmitted { job_id, requester, model_id, max_fee } => vec![
                ("job_id", job_id.to_string()),
                ("requester", requester.text()),
                ("model_id", hex(model_id)),
                ("max_fee_uxpl", max_fee.text()),
            ],
            Self::JobAssigned { job_id, provider, attempt, model_id, quote, bond_locked } => vec![
                ("job_id", job_id.to_string()),
                ("provider", provider.text()),
                ("attempt", attempt.to_string()),
                ("model_id", hex(model_id)),
                ("quote_uxpl", quote.text()),
                ("bond_locked_uxpl", bond_locked.text()),
            ],
            Self::JobDeclined { job_id, provider, attempt, why } => vec![
                ("job_id", job_id.to_string()),
                ("provider", provider.text()),
                ("attempt", attempt.to_string()),
                ("why", (*why).into()),
            ],
            Self::JobTimedOut { job_id, provider, attempt } => vec![
                ("job_id", job_id.to_string()),
                ("provider", provider.text()),
                ("attempt", attempt.to_string()),
            ],
            Self::JobDelivered { job_id, provider, attempt, charge, duty_fee } => vec![
                ("job_id", job_id.to_string()),
                ("provider", provider.text()),
                ("attempt", attempt.to_string()),
                ("charge_uxpl", charge.text()),
                ("duty_fee_uxpl", duty_fee.text()),
            ],
            Self::JobSettled { job_id, provider, charge, provider_share, burned, refund } => vec![
                ("job_id", job_id.to_string()),
                ("provider", provider.text()),
                ("charge_uxpl", charge.text()),
                ("provider_uxpl", provider_share.text()),
                ("burned_uxpl", burned.text()),
                ("refund_uxpl", refund.text()),
            ],
            Self::JobRefunded { job_id, requester, outcome, refund } => vec![
                ("job_id", job_id.to_string()),
                ("requester", requester.text()),
                ("outcome", outcome.as_str_name().into()),
                ("refund_uxpl", refund.text()),
            ],
            Self::PayloadForgotten { job_id }
            | Self::JobHeld { job_id }
            | Self::JobReleased { job_id } => vec![("job_id", job_id.to_string())],
            Self::ProviderRegistered { operator, bond } => {
                vec![("operator", operator.text()), ("bond_uxpl", bond.text())]
            }
            Self::ProviderUpdated { operator } => vec![("operator", operator.text())],
            Self::ProviderLeaving { operator } => vec![("operator", operator.text())],
            Self::ProviderLeft { operator, bond } => {
                vec![("operator", operator.text()), ("bond_uxpl", bond.text())]
            }
            Self::BondAdded { operator, amount } => {
                vec![("operator", operator.text()), ("amount_uxpl", amount.text())]
            }
            Self::BondWithdrawalQueued { operator, withdrawal_id, amount }
            | Self::BondReleased { operator, withdrawal_id, amount } => vec![
                ("operator", operator.text()),
                ("withdrawal_id", withdrawal_id.to_string()),
                ("amount_uxpl", amount.text()),
            ],
            Self::BondSlashed { operator, amount, to } => vec![
                ("operator", operator.text()),
                ("amount_uxpl", amount.text()),
                ("to", to.text()),
            ],
            Self::ModelPublished { model_id, publisher, name } => vec![
                ("model_id", hex(model_id)),
                ("publisher", publisher.text()),
                ("name", name.clone()),
            ],
            Self::TimerFailed { kind, id, reason } => {
                vec![
                    ("timer", kind.to_string()),
                    ("id", id.to_string()),
                    ("reason", reason.clone()),
                ]
            }
        }
    }
}
