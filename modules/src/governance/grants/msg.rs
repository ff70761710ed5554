use alloc::{collections::BTreeSet, string::String, vec::Vec};

use plasma_proto::plasma::governance::v1::{
    Milestone, MsgApproveMilestone, MsgCancelGrant, MsgCreateGrant, MsgReleaseMilestone,
};

use super::{Error, state::sum_of};
use crate::{Address, Amount, auth, params};

/// Most milestones of a grant: all of it is written anew at each step, at a fixed price.
pub(super) const MILESTONES_MAX: usize = 32;
/// Most reviewers of a grant.
pub(super) const REVIEWERS_MAX: usize = 15;
/// Longest title, bytes.
pub(super) const TITLE_BYTES_MAX: usize = 140;

const CREATE_GAS: u64 = 150_000;
const PART_GAS: u64 = 10_000;
const STEP_GAS: u64 = 250_000;
const CANCEL_GAS: u64 = 150_000;

/// Sets money aside for a builder, in governance's name alone.
#[derive(Clone, Debug)]
pub struct CreateGrant {
    pub(super) recipient: Address,
    pub(super) title: String,
    pub(super) milestones: Vec<Milestone>,
    pub(super) reviewers: Vec<Address>,
    pub(super) threshold: u32,
    pub(super) deadline_s: u64,
    pub(super) whole: Amount,
}

impl CreateGrant {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCreateGrant) -> Result<Self, Error> {
        let MsgCreateGrant {
            authority,
            recipient,
            title,
            milestones,
            reviewers,
            threshold,
            deadline_unix_s: deadline_s,
        } = msg;
        params::check_authority(&authority)?;
        let recipient = Address::parse(&recipient)?;
        check_title("title", &title)?;
        let whole = check_milestones(&milestones)?;
        let reviewers = reviewers
            .iter()
            .map(|reviewer| Address::parse(reviewer))
            .collect::<Result<Vec<_>, _>>()?;
        check_parties(recipient, &reviewers, threshold)?;
        Ok(Self { recipient, title, milestones, reviewers, threshold, deadline_s, whole })
    }

    /// Who must sign: governance.
    pub fn signer(&self) -> Address {
        params::authority()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        let parts = self.milestones.len().saturating_add(self.reviewers.len());
        let parts = u64::try_from(parts).unwrap_or(u64::MAX);
        CREATE_GAS.saturating_add(PART_GAS.saturating_mul(parts))
    }
}

fn bad<T>(field: &'static str, why: &'static str) -> Result<T, Error> {
    Err(Error::BadTerms { field, why })
}

fn check_title(field: &'static str, title: &str) -> Result<(), Error> {
    if title.is_empty() || title.len() > TITLE_BYTES_MAX {
        return bad(field, "must have 1 to 140 bytes");
    }
    Ok(())
}

/// Milestones that a grant can have; their sum.
pub(super) fn check_milestones(milestones: &[Milestone]) -> Result<Amount, Error> {
    if milestones.is_empty() || milestones.len() > MILESTONES_MAX {
        return bad("milestones", "must be 1 to 32");
    }
    for Milestone { title, amount_uxpl } in milestones {
        check_title("the title of a milestone", title)?;
        if Amount::parse(amount_uxpl).is_none_or(|amount| amount == Amount::ZERO) {
            return bad("the amount of a milestone", "must be at least 1 uxpl");
        }
    }
    match sum_of(milestones) {
        Some(whole) => Ok(whole),
        None => bad("milestones", "sum to more than there can be"),
    }
}

/// A recipient and reviewers that a grant can have.
pub(super) fn check_parties(
    recipient: Address,
    reviewers: &[Address],
    threshold: u32,
) -> Result<(), Error> {
    if auth::is_module_account(recipient) {
        return bad("the recipient", "must not be a module's account");
    }
    if reviewers.len() > REVIEWERS_MAX {
        return bad("reviewers", "must be at most 15");
    }
    let distinct: BTreeSet<_> = reviewers.iter().collect();
    if distinct.len() != reviewers.len() {
        return bad("reviewers", "must be distinct");
    }
    if reviewers.iter().any(|one| *one == recipient || auth::is_module_account(*one)) {
        return bad("a reviewer", "must be neither the recipient nor a module's account");
    }
    let count = u32::try_from(reviewers.len()).unwrap_or(u32::MAX);
    if threshold > count || (threshold == 0) != reviewers.is_empty() {
        return bad("threshold", "must be 1 to the number of reviewers, or 0 without any");
    }
    Ok(())
}

/// A reviewer finds a milestone reached.
#[derive(Clone, Debug)]
pub struct ApproveMilestone {
    pub(super) reviewer: Address,
    pub(super) grant_id: u64,
    pub(super) milestone: u32,
}

impl ApproveMilestone {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgApproveMilestone) -> Result<Self, Error> {
        let MsgApproveMilestone { reviewer, grant_id, milestone } = msg;
        Ok(Self { reviewer: Address::parse(&reviewer)?, grant_id, milestone })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.reviewer
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        STEP_GAS
    }
}

/// Pays a milestone, in governance's name alone.
#[derive(Clone, Debug)]
pub struct ReleaseMilestone {
    pub(super) grant_id: u64,
    pub(super) milestone: u32,
}

impl ReleaseMilestone {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgReleaseMilestone) -> Result<Self, Error> {
        let MsgReleaseMilestone { authority, grant_id, milestone } = msg;
        params::check_authority(&authority)?;
        Ok(Self { grant_id, milestone })
    }

    /// Who must sign: governance.
    pub fn signer(&self) -> Address {
        params::authority()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        STEP_GAS
    }
}

/// Ends a grant.
#[derive(Clone, Debug)]
pub struct CancelGrant {
    pub(super) sender: Address,
    pub(super) grant_id: u64,
}

impl CancelGrant {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCancelGrant) -> Result<Self, Error> {
        let MsgCancelGrant { sender, grant_id } = msg;
        Ok(Self { sender: Address::parse(&sender)?, grant_id })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.sender
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        CANCEL_GAS
    }
}
