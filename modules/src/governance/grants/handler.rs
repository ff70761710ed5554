use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use plasma_proto::plasma::governance::v1::{
    Grant, GrantStatus, MsgApproveMilestoneResponse, MsgCancelGrantResponse,
    MsgCreateGrantResponse, MsgReleaseMilestoneResponse,
};

use super::{
    ApproveMilestone, CancelGrant, CreateGrant, Error, ReleaseMilestone,
    event::Event,
    state::{GRANTS, NEXT, account, put, unspent},
};
use crate::{Address, Amount, Ctx, error::fault, params, staking, token};

/// `MsgCreateGrant`: the money leaves the community pool at once.
pub fn create_grant(ctx: &mut Ctx<'_>, msg: CreateGrant) -> Result<MsgCreateGrantResponse, Error> {
    let CreateGrant { recipient, title, milestones, reviewers, threshold, deadline_s, whole } = msg;
    if deadline_s != 0 && deadline_s <= ctx.block.time_s {
        return Err(Error::BadTerms { field: "the deadline", why: "must be still to come, or 0" });
    }
    let pool = |error| Error::Pool(crate::Refusal::from(error));
    staking::distribution::take_community(ctx, account(), whole).map_err(pool)?;
    let id = NEXT.get(ctx.store).unwrap_or(1);
    let next = id.checked_add(1).unwrap_or_else(|| fault("a count is full", b""));
    NEXT.set(ctx.store, &next);
    let grant = Grant {
        id,
        recipient: recipient.text(),
        title,
        milestones,
        reviewers: reviewers.iter().map(Address::text).collect(),
        threshold,
        deadline_unix_s: deadline_s,
        status: GrantStatus::Open.into(),
        released: 0,
        approvals: Vec::new(),
        paid_uxpl: Amount::ZERO.text(),
        returned_uxpl: Amount::ZERO.text(),
        created_height: ctx.block.height,
        created_s: ctx.block.time_s,
        ended_height: 0,
        ended_s: 0,
    };
    put(ctx.store, &grant);
    ctx.emit(&Event::Created { grant_id: id, recipient, amount: whole });
    Ok(MsgCreateGrantResponse { grant_id: id })
}

/// `MsgApproveMilestone`: the approval that makes the threshold pays.
pub fn approve_milestone(
    ctx: &mut Ctx<'_>,
    msg: ApproveMilestone,
) -> Result<MsgApproveMilestoneResponse, Error> {
    let ApproveMilestone { reviewer, grant_id, milestone } = msg;
    let mut grant = next_milestone(ctx, grant_id, milestone)?;
    let name: String = reviewer.text();
    if !grant.reviewers.contains(&name) {
        return Err(Error::NotReviewer(name));
    }
    if grant.approvals.contains(&name) {
        return Err(Error::ApprovedAlready(name));
    }
    grant.approvals.push(name);
    ctx.emit(&Event::Approved { grant_id, milestone, reviewer });
    let count = u32::try_from(grant.approvals.len()).unwrap_or(u32::MAX);
    let released = count >= grant.threshold;
    if released {
        release(ctx, grant)?;
    } else {
        put(ctx.store, &grant);
    }
    Ok(MsgApproveMilestoneResponse { released })
}

/// `MsgReleaseMilestone`: a vote pays.
pub fn release_milestone(
    ctx: &mut Ctx<'_>,
    msg: ReleaseMilestone,
) -> Result<MsgReleaseMilestoneResponse, Error> {
    let ReleaseMilestone { grant_id, milestone } = msg;
    let grant = next_milestone(ctx, grant_id, milestone)?;
    release(ctx, grant)?;
    Ok(MsgReleaseMilestoneResponse {})
}

/// `MsgCancelGrant`: governance takes it back, or the recipient gives it back.
pub fn cancel_grant(ctx: &mut Ctx<'_>, msg: CancelGrant) -> Result<MsgCancelGrantResponse, Error> {
    let CancelGrant { sender, grant_id } = msg;
    let grant = open(ctx, grant_id)?;
    if sender != params::authority() && sender != Address::stored(&grant.recipient) {
        return Err(Error::NotTheirs(grant_id));
    }
    let returned = close(ctx, grant, GrantStatus::Cancelled)?;
    Ok(MsgCancelGrantResponse { returned_uxpl: returned.to_string() })
}

fn open(ctx: &Ctx<'_>, grant_id: u64) -> Result<Grant, Error> {
    let grant = GRANTS.get(ctx.store, &grant_id).ok_or(Error::Unknown(grant_id))?;
    if grant.status() == GrantStatus::Open { Ok(grant) } else { Err(Error::NotOpen(grant_id)) }
}

/// An open grant whose next milestone is this one, in time.
fn next_milestone(ctx: &Ctx<'_>, grant_id: u64, given: u32) -> Result<Grant, Error> {
    let grant = open(ctx, grant_id)?;
    let (deadline_s, now_s) = (grant.deadline_unix_s, ctx.block.time_s);
    if deadline_s != 0 && deadline_s < now_s {
        return Err(Error::DeadlinePassed { grant_id, deadline_s, now_s });
    }
    if grant.released != given {
        return Err(Error::NotNext { grant_id, next: grant.released, given });
    }
    Ok(grant)
}

/// Pays the next milestone; the last one ends the grant.
fn release(ctx: &mut Ctx<'_>, mut grant: Grant) -> Result<(), Error> {
    let (grant_id, milestone) = (grant.id, grant.released);
    let recipient = Address::stored(&grant.recipient);
    let lost = || fault("an open grant has no next milestone", &grant_id.to_be_bytes());
    let next = usize::try_from(milestone).ok().and_then(|at| grant.milestones.get(at));
    let amount = next.map_or_else(lost, |next| Amount::stored(&next.amount_uxpl));
    token::transfer(ctx, account(), recipient, amount)?;
    let paid = Amount::stored(&grant.paid_uxpl).plus(amount);
    grant.paid_uxpl = paid.unwrap_or_else(lost).text();
    grant.released = milestone.saturating_add(1);
    grant.approvals = Vec::new();
    ctx.emit(&Event::Released { grant_id, milestone, recipient, amount });
    if unspent(&grant) == Amount::ZERO {
        close(ctx, grant, GrantStatus::Done)?;
    } else {
        put(ctx.store, &grant);
    }
    Ok(())
}

/// Ends a grant: what it still holds returns to the community pool.
pub(super) fn close(
    ctx: &mut Ctx<'_>,
    mut grant: Grant,
    status: GrantStatus,
) -> Result<Amount, Error> {
    let returned = unspent(&grant);
    if returned != Amount::ZERO {
        staking::fund_community(ctx, account(), returned)?;
    }
    grant.status = status.into();
    grant.returned_uxpl = returned.text();
    grant.approvals = Vec::new();
    grant.ended_height = ctx.block.height;
    grant.ended_s = ctx.block.time_s;
    put(ctx.store, &grant);
    let recipient = Address::stored(&grant.recipient);
    ctx.emit(&Event::Closed { grant_id: grant.id, recipient, status, returned });
    Ok(returned)
}
