use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use plasma_proto::plasma::attestation::v1::{AuditReason, Finding};

use crate::{
    Address, Amount,
    types::{Hash, hex},
};

/// What audits report.
#[derive(Clone, Debug)]
pub enum Event {
    /// A model has another profile.
    ProfileSet {
        /// Of which.
        model_id: Hash,
        /// Its name.
        profile_hash: Hash,
        /// Who set it.
        publisher: Address,
    },
    /// A verified model is to have another profile.
    ProfileProposed {
        /// Of which.
        model_id: Hash,
        /// Its name.
        profile_hash: Hash,
        /// Who proposed it.
        publisher: Address,
    },
    /// It keeps the one that it has.
    ProfileWithdrawn {
        /// Of which.
        model_id: Hash,
        /// Who withdrew the proposal.
        publisher: Address,
    },
    /// An operator judges a model's claims from now on.
    PoolJoined {
        /// Who.
        operator: Address,
        /// Of which.
        model_id: Hash,
        /// By which profile.
        profile_hash: Hash,
        /// Operators in the pool.
        members: u32,
    },
    /// It does so no more.
    PoolLeft {
        /// Who.
        operator: Address,
        /// Of which.
        model_id: Hash,
    },
    /// A claim is disputed.
    ClaimDisputed {
        /// Which.
        audit_id: u64,
        /// By whom.
        disputer: Address,
        /// With what, uxpl.
        bond: Amount,
    },
    /// A claim is audited.
    AuditOpened {
        /// Which.
        audit_id: u64,
        /// Whose.
        provider: Address,
        /// Why.
        reason: AuditReason,
        /// Who judges.
        jury: Vec<Address>,
        /// What a conviction costs, uxpl.
        slash: Amount,
    },
    /// The drawn leaves are there.
    EvidenceShown {
        /// Of which.
        audit_id: u64,
    },
    /// A juror committed.
    VerdictCommitted {
        /// Of which.
        audit_id: u64,
        /// Who.
        juror: Address,
    },
    /// A juror opened its verdict.
    VerdictOpened {
        /// Of which.
        audit_id: u64,
        /// Who.
        juror: Address,
        /// What it says.
        pass: bool,
    },
    /// A jury counted so many.
    VerdictsCounted {
        /// Of which.
        audit_id: u64,
        /// 0, or 1 in an appeal.
        round: u32,
        /// For the claim.
        pass: u32,
        /// Against it.
        fail: u32,
    },
    /// The measures of a clean claim were added to those before.
    DriftCounted {
        /// Which.
        audit_id: u64,
        /// Whose.
        operator: Address,
        /// What the jurors measured, as a part of what the profile allows.
        load_bps: u32,
        /// The sum of measures A and B, millionths of a nat.
        score_micro: u64,
        /// The sum of measure C.
        margin_score_micro: u64,
    },
    /// The operator asks for a larger jury.
    AuditAppealed {
        /// Of which.
        audit_id: u64,
        /// With what, uxpl.
        bond: Amount,
    },
    /// An audit has ended.
    AuditEnded {
        /// Which.
        audit_id: u64,
        /// Whose.
        provider: Address,
        /// How.
        finding: Finding,
        /// Taken from the operator's bond, uxpl.
        slashed: Amount,
        /// Shared by jurors and carriers, uxpl.
        shared: Amount,
    },
    /// A juror lost part of what its seat locked.
    JurorSlashed {
        /// Of which.
        audit_id: u64,
        /// Who.
        juror: Address,
        /// What, uxpl.
        lost: Amount,
    },
    /// A step could not be taken and is tried again.
    AuditStepFailed {
        /// Of which.
        audit_id: u64,
        /// Why.
        reason: String,
    },
}

impl crate::Event for Event {
    fn kind(&self) -> &'static str {
        match self {
            Self::ProfileSet { .. } => "profile_set",
            Self::ProfileProposed { .. } => "profile_proposed",
            Self::ProfileWithdrawn { .. } => "profile_withdrawn",
            Self::PoolJoined { .. } => "pool_joined",
            Self::PoolLeft { .. } => "pool_left",
            Self::ClaimDisputed { .. } => "claim_disputed",
            Self::AuditOpened { .. } => "audit_opened",
            Self::EvidenceShown { .. } => "evidence_shown",
            Self::VerdictCommitted { .. } => "verdict_committed",
            Self::VerdictOpened { .. } => "verdict_opened",
            Self::VerdictsCounted { .. } => "verdicts_counted",
            Self::DriftCounted { .. } => "drift_counted",
            Self::AuditAppealed { .. } => "audit_appealed",
            Self::AuditEnded { .. } => "audit_ended",
            Self::JurorSlashed { .. } => "juror_slashed",
            Self::AuditStepFailed { .. } => "audit_step_failed",
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::ProfileSet { model_id, profile_hash, publisher }
            | Self::ProfileProposed { model_id, profile_hash, publisher } => vec![
                ("model_id", hex(model_id)),
                ("profile_hash", hex(profile_hash)),
                ("publisher", publisher.text()),
            ],
            Self::ProfileWithdrawn { model_id, publisher } => {
                vec![("model_id", hex(model_id)), ("publisher", publisher.text())]
            }
            Self::PoolJoined { operator, model_id, profile_hash, members } => vec![
                ("operator", operator.text()),
                ("model_id", hex(model_id)),
                ("profile_hash", hex(profile_hash)),
                ("members", members.to_string()),
            ],
            Self::PoolLeft { operator, model_id } => {
                vec![("operator", operator.text()), ("model_id", hex(model_id))]
            }
            Self::ClaimDisputed { audit_id, disputer, bond } => vec![
                ("audit_id", audit_id.to_string()),
                ("disputer", disputer.text()),
                ("bond_uxpl", bond.text()),
            ],
            Self::AuditOpened { audit_id, provider, reason, jury, slash } => vec![
                ("audit_id", audit_id.to_string()),
                ("provider", provider.text()),
                ("reason", reason.as_str_name().into()),
                ("jury", jury.iter().map(Address::text).collect::<Vec<_>>().join(",")),
                ("slash_uxpl", slash.text()),
            ],
            Self::EvidenceShown { audit_id } => vec![("audit_id", audit_id.to_string())],
            Self::VerdictCommitted { audit_id, juror } => {
                vec![("audit_id", audit_id.to_string()), ("juror", juror.text())]
            }
            Self::VerdictOpened { audit_id, juror, pass } => vec![
                ("audit_id", audit_id.to_string()),
                ("juror", juror.text()),
                ("pass", pass.to_string()),
            ],
            Self::VerdictsCounted { audit_id, round, pass, fail } => vec![
                ("audit_id", audit_id.to_string()),
                ("round", round.to_string()),
                ("pass", pass.to_string()),
                ("fail", fail.to_string()),
            ],
            Self::DriftCounted {
                audit_id,
                operator,
                load_bps,
                score_micro,
                margin_score_micro,
            } => {
                vec![
                    ("audit_id", audit_id.to_string()),
                    ("operator", operator.text()),
                    ("load_bps", load_bps.to_string()),
                    ("score_micro", score_micro.to_string()),
                    ("margin_score_micro", margin_score_micro.to_string()),
                ]
            }
            Self::AuditAppealed { audit_id, bond } => {
                vec![("audit_id", audit_id.to_string()), ("bond_uxpl", bond.text())]
            }
            Self::AuditEnded { audit_id, provider, finding, slashed, shared } => vec![
                ("audit_id", audit_id.to_string()),
                ("provider", provider.text()),
                ("finding", finding.as_str_name().into()),
                ("slashed_uxpl", slashed.text()),
                ("shared_uxpl", shared.text()),
            ],
            Self::JurorSlashed { audit_id, juror, lost } => vec![
                ("audit_id", audit_id.to_string()),
                ("juror", juror.text()),
                ("lost_uxpl", lost.text()),
            ],
            Self::AuditStepFailed { audit_id, reason } => {
                vec![("audit_id", audit_id.to_string()), ("reason", reason.clone())]
            }
        }
    }
}
