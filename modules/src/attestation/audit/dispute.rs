//! Those who do not accept: a claim, or a conviction.

use plasma_proto::plasma::{
    attestation::v1::{Audit, AuditReason, AuditState, MsgAppealResponse, MsgDisputeResponse},
    market::v1::JobState,
};

use super::{
    Appeal, Dispute, Error, bonds,
    claim::{call_larger_jury, candidates, is_sure, least_seat, open},
    duty::at_phase,
    event::Event,
    lot,
    state::{AUDITS, PROFILES, due_in, is_over, is_verified, numbers, numbers_of, stored_hash},
};
use crate::{Address, Amount, Ctx, market};

/// Anybody forces the audit of a claim that is not settled, with a bond that the loser pays.
pub fn dispute(ctx: &mut Ctx<'_>, msg: Dispute) -> Result<MsgDisputeResponse, Error> {
    let Dispute { disputer, job_id, bond } = msg;
    let job = market::job(ctx.store, job_id).ok_or(Error::UnknownJob(job_id))?;
    let audit = AUDITS.get(ctx.store, &job_id);
    if audit.as_ref().is_some_and(|audit| {
        audit.state() != AuditState::Lot || audit.reason() == AuditReason::Dispute
    }) {
        return Err(Error::IsAudited(job_id));
    }
    // Who proposes the block that decides a lot knows its jury: a dispute must not draw another.
    if audit.as_ref().is_some_and(|audit| is_over(audit, ctx.block)) {
        return Err(Error::Late(job_id));
    }
    if job.state() != JobState::Delivered {
        return Err(Error::NotDelivered(job_id));
    }
    let numbers = numbers(ctx.store);
    let profile = PROFILES.get(ctx.store, &stored_hash(&job.model_id));
    if !profile.is_some_and(|profile| is_verified(&numbers, &profile)) {
        return Err(Error::NotVerified);
    }
    put_down(ctx, disputer, bond, numbers.dispute_bond_uxpl.into())?;
    let mut audit = match audit {
        Some(audit) => Audit { is_of_lot: audit.is_of_lot || is_sure(&audit), ..audit },
        // The lot has passed it over.
        None => Audit { rate_bps: 0, ..open(ctx, &numbers, &job, AuditReason::Dispute)? },
    };
    audit.reason = AuditReason::Dispute.into();
    audit.disputer = disputer.text();
    audit.dispute_bond_uxpl = bond.text();
    due_in(&mut audit, ctx.block, lot::FIRST_BLOCK, 0);
    AUDITS.set(ctx.store, &job_id, &audit);
    ctx.emit(&Event::ClaimDisputed { audit_id: job_id, disputer, bond });
    Ok(MsgDisputeResponse {})
}

/// A provider that was found to have cheated asks for a larger jury, which is drawn two blocks later, by
/// a beacon that it does not know.
pub fn appeal(ctx: &mut Ctx<'_>, msg: Appeal) -> Result<MsgAppealResponse, Error> {
    let Appeal { operator, audit_id, bond } = msg;
    let mut audit = at_phase(ctx, audit_id, AuditState::Appeal)?;
    if Address::stored(&audit.provider) != operator {
        return Err(Error::NotAudited);
    }
    if audit.round != 0 {
        return Err(Error::WrongPhase("its appeal"));
    }
    let numbers = numbers_of(&audit);
    let of_least = Audit { seat_uxpl: least_seat(&audit).text(), ..audit.clone() };
    let others = candidates(ctx.store, &of_least).len();
    if u32::try_from(others).unwrap_or(u32::MAX) < numbers.appeal_threshold {
        return Err(Error::NoJury(numbers.appeal_threshold));
    }
    put_down(ctx, operator, bond, numbers.appeal_bond_uxpl.into())?;
    audit.appeal_bond_uxpl = bond.text();
    call_larger_jury(ctx, audit);
    ctx.emit(&Event::AuditAppealed { audit_id, bond });
    Ok(MsgAppealResponse {})
}

/// A bond of at least `least` moves to where it waits for the end.
fn put_down(ctx: &mut Ctx<'_>, from: Address, bond: Amount, least: Amount) -> Result<(), Error> {
    if bond < least {
        return Err(Error::SmallBond { bond, least });
    }
    bonds::put_down(ctx, from, bond)
}
