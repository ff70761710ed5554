//! Which claims are audited, and who judges them.

use alloc::vec::Vec;

use plasma_proto::plasma::{
    attestation::v1::{Audit, AuditParams, AuditReason, AuditState, Finding, PastBeacon, Seat},
    market::v1::Job,
};

use super::{
    Error, bonds,
    digests::drawn_leaves,
    drift, ending,
    event::Event,
    jury, lot, pool,
    profile::profile_hash,
    stakes,
    state::{
        AUDITS, BEACONS, PROFILES, STANDINGS, due_in, is_verified, job_of, numbers, numbers_of,
        share, standing, stored_hash, terms,
    },
};
use crate::{
    Address, Amount, Ctx, Read, Write,
    attestation::leaf_count,
    error::fault,
    market,
    types::{Hash, digest, hash32},
};

/// Beacons that are kept: for a lot that comes late because a block has more of them than it decides.
const BEACONS_KEPT: u64 = 256;
/// How long a selected claim waits for a jury, and how often it is looked for, blocks: seats come free as other audits end.
const JURY_WAIT_BLOCKS: u64 = 140;
const JURY_RETRY_BLOCKS: u64 = 80;
const _: () =
    assert!(LOT_BLOCKS + JURY_WAIT_BLOCKS + JURY_RETRY_BLOCKS < lot::FIRST_BLOCK + BEACONS_KEPT);

/// The last beacon that may select a claim, in blocks after its own: the lot is decided there.
const LOT_BLOCKS: u64 = 33;
const _: () = assert!(lot::FIRST_BLOCK + 32 == LOT_BLOCKS + 1 && lot::BEACONS == 32);

/// A claim was made: of a verified model it waits for its lot, and is not settled meanwhile.
pub(in crate::attestation) fn claim(
    ctx: &mut Ctx<'_>,
    job_id: u64,
    model_id: &Hash,
) -> Result<(), Error> {
    let Some(profile) = PROFILES.get(ctx.store, model_id) else { return Ok(()) };
    let numbers = numbers(ctx.store);
    if is_verified(&numbers, &profile) {
        let job = market::job(ctx.store, job_id).ok_or(Error::UnknownJob(job_id))?;
        let reason = reason(ctx, &numbers, Address::stored(&job.provider));
        open(ctx, &numbers, &job, reason)?;
    }
    Ok(())
}

/// Why an operator's next claim is audited, if a beacon selects it or whatever they say.
fn reason(ctx: &mut Ctx<'_>, numbers: &AuditParams, operator: Address) -> AuditReason {
    let mut standing = standing(ctx.store, operator);
    if standing.is_audited_next {
        standing.is_audited_next = false;
        STANDINGS.set(ctx.store, &operator, &standing);
        return AuditReason::Again;
    }
    let carries = stakes::carries(&terms(numbers), market::free_bond(ctx.store, operator));
    let at_risk = market::pending(ctx.store, operator);
    if at_risk > carries { AuditReason::Risk } else { AuditReason::Lot }
}

/// A claim begins to wait for its lot.
pub(super) fn open(
    ctx: &mut Ctx<'_>,
    numbers: &AuditParams,
    job: &Job,
    reason: AuditReason,
) -> Result<Audit, Error> {
    let operator = Address::stored(&job.provider);
    let clean = Amount::stored(&standing(ctx.store, operator).clean_uxpl);
    let drifting = drift::rate_bps(ctx.store, operator, &stored_hash(&job.model_id), numbers);
    let mut audit = Audit {
        id: job.id,
        state: AuditState::Lot.into(),
        reason: reason.into(),
        provider: job.provider.clone(),
        payer: job.requester.clone(),
        model_id: job.model_id.clone(),
        charge_uxpl: job.charge_uxpl.clone(),
        rate_bps: stakes::rate_bps(&terms(numbers), clean).max(drifting),
        claimed_height: ctx.block.height,
        ..Audit::default()
    };
    let blocks = if is_sure(&audit) { lot::FIRST_BLOCK } else { LOT_BLOCKS };
    due_in(&mut audit, ctx.block, blocks, 0);
    AUDITS.set(ctx.store, &audit.id, &audit);
    market::hold(ctx, job.id)?;
    // In advance, whether this claim is audited or another one.
    let fee = share(Amount::stored(&job.charge_uxpl), numbers.fee_bps);
    let fee = fee.min(market::audit_fee_max(ctx.store, job.id)?);
    market::set_audit_fee(ctx.store, job.id, fee)?;
    Ok(audit)
}

/// Whether a claim is selected whatever the beacons say.
pub(super) fn is_sure(audit: &Audit) -> bool {
    audit.reason() != AuditReason::Lot || lot::selects(&[], audit.id, audit.rate_bps)
}

/// Whether a disputed claim had been let go by its lot: no part of such claims is audited. So had one that was made while its model
/// was not verified.
pub(super) fn was_passed_over(audit: &Audit) -> bool {
    audit.reason() == AuditReason::Dispute && audit.rate_bps == 0
}

/// Keeps the beacon of this block, and forgets the one that selects nothing any more.
pub(super) fn remember(ctx: &mut Ctx<'_>) {
    let height = ctx.block.height;
    BEACONS.set(ctx.store, &height, &PastBeacon { height, beacon: ctx.block.beacon.into() });
    if let Some(old) = height.checked_sub(BEACONS_KEPT) {
        BEACONS.remove(ctx.store, &old);
    }
}

/// Whether 32 beacons select a claim. Those that are not known yet, or not any more, are played by others that follow from this
/// block's, which nobody knew when the claim was made or disputed.
fn lot_selects(ctx: &Ctx<'_>, audit: &Audit) -> bool {
    let first = audit.claimed_height.saturating_add(lot::FIRST_BLOCK);
    let last = audit.claimed_height.saturating_add(LOT_BLOCKS);
    let kept = BEACONS.iter_from(ctx.store, &first).take(lot::BEACONS);
    let mut all: Vec<Hash> = kept
        .take_while(|(height, _)| *height <= last)
        .filter_map(|(_, past)| hash32(&past.beacon))
        .collect();
    for left in all.len()..lot::BEACONS {
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        all.push(digest(&[&ctx.block.beacon, &left.to_be_bytes()]));
    }
    lot::selects(&all, audit.id, rate_bps(ctx.store, audit))
}

/// The rate of a claim: of an operator that was convicted since it was made, what it is now.
fn rate_bps(store: &dyn Read, audit: &Audit) -> u32 {
    if was_passed_over(audit) {
        return 0;
    }
    let clean = Amount::stored(&standing(store, Address::stored(&audit.provider)).clean_uxpl);
    audit.rate_bps.max(stakes::rate_bps(&terms(&numbers(store)), clean))
}

/// Whether a claim whose lot is decided is audited.
pub(super) fn is_selected(ctx: &Ctx<'_>, audit: &Audit) -> bool {
    is_sure(audit) || audit.is_of_lot || lot_selects(ctx, audit)
}

/// A claim that is selected and waits for its turn is selected then too, whatever beacons are known by that time.
pub(super) fn keep_selected(store: &mut dyn Write, audit: &Audit) {
    if audit.state() == AuditState::Lot && audit.reason() == AuditReason::Lot && !audit.is_of_lot {
        AUDITS.set(store, &audit.id, &Audit { is_of_lot: true, ..audit.clone() });
    }
}

/// A claim that is not selected goes on as if nothing had been.
pub(super) fn let_go(ctx: &mut Ctx<'_>, audit: &Audit) -> Result<(), Error> {
    AUDITS.remove(ctx.store, &audit.id);
    market::release(ctx, audit.id)?;
    drift::paid(ctx.store, audit);
    Ok(())
}

/// Whether the lot selects a claim, as it would without a dispute. So who disputes changes nothing of which claims are added up.
fn is_of_lot(ctx: &Ctx<'_>, audit: &Audit) -> bool {
    audit.is_of_lot || audit.reason() != AuditReason::Dispute || lot_selects(ctx, audit)
}

/// Draws the jury of a claim that is selected, and fixes what is at stake.
pub(super) fn seat(ctx: &mut Ctx<'_>, mut audit: Audit) -> Result<(), Error> {
    let numbers = numbers(ctx.store);
    let profile = PROFILES.get(ctx.store, &stored_hash(&audit.model_id));
    let operator = Address::stored(&audit.provider);
    // Waiting for a jury makes no cheat cheaper.
    let at_risk = market::pending(ctx.store, operator).max(Amount::stored(&audit.at_risk_uxpl));
    let bond = market::provider(ctx.store, operator)
        .map(|provider| Amount::stored(&provider.bond_uxpl))
        .unwrap_or_else(|| fault("a claim of nobody", &audit.id.to_be_bytes()));
    // By the operator's own rate: being looked at more often for small deviations makes no cheat cheaper.
    let slash = bonds::slash_now(ctx.store, operator).max(Amount::stored(&audit.slash_uxpl));
    let model_id = stored_hash(&audit.model_id);
    let drifted = profile.as_ref().map_or(Amount::ZERO, |stands| {
        let hash = stored_hash(&stands.profile_hash);
        drift::slash(ctx.store, (operator, model_id), &hash, &numbers, true).min(bond)
    });
    // Once: who waits for a jury is not drawn again.
    if audit.params.is_none() {
        audit.is_of_lot = is_of_lot(ctx, &audit);
    }
    audit.params = Some(numbers);
    audit.at_risk_uxpl = at_risk.text();
    audit.slash_uxpl = slash.text();
    let profile = profile.filter(|profile| is_verified(&numbers, profile));
    audit.profile = profile.and_then(|profile| profile.profile);
    // Where too few for an appeal can lock as much as small deviations may cost, the jury is one that locks what the claim may;
    // where too few for a larger jury can lock that, it is one of those who lock the least: better than none, or than a few rich ones.
    let appeal = numbers.jury.saturating_add(numbers.appeal_jury);
    let raised = (drifted > slash).then_some((drifted, at_risk, appeal));
    let larger = numbers.jury.saturating_add(numbers.appeal_threshold);
    let stakes = [(slash, at_risk, larger), (Amount::ZERO, Amount::ZERO, numbers.jury)];
    let jury = raised.into_iter().chain(stakes).find_map(|(slash, at_risk, wanted)| {
        audit.seat_uxpl = stakes::seat(slash, at_risk, numbers.seat_min_uxpl.into()).text();
        audit.profile?;
        draw(ctx, &audit, numbers.jury, wanted)
    });
    let Some(jury) = jury else { return wait_for_jury(ctx, audit) };

    take_seats(ctx, &mut audit, &jury)?;
    let count = leaf_count(job_of(ctx.store, &audit).n_out);
    audit.leaves = drawn_leaves(&ctx.block.beacon, audit.id, count, numbers.leaves);
    audit.selected_height = ctx.block.height;
    audit.state = AuditState::Reveal.into();
    due_in(&mut audit, ctx.block, numbers.reveal_blocks, numbers.reveal_s);
    AUDITS.set(ctx.store, &audit.id, &audit);
    let reason = audit.reason();
    ctx.emit(&Event::AuditOpened { audit_id: audit.id, provider: operator, reason, jury, slash });
    Ok(())
}

/// Too few can take a seat now: the claim of a verified model waits for others.
fn wait_for_jury(ctx: &mut Ctx<'_>, mut audit: Audit) -> Result<(), Error> {
    let last = audit.claimed_height.saturating_add(LOT_BLOCKS).saturating_add(JURY_WAIT_BLOCKS);
    if audit.profile.is_none() || ctx.block.height >= last {
        return ending::end(ctx, audit, Finding::NoJury);
    }
    due_in(&mut audit, ctx.block, JURY_RETRY_BLOCKS, 0);
    AUDITS.set(ctx.store, &audit.id, &audit);
    Ok(())
}

/// A larger jury is to judge: it is drawn two blocks later, by a beacon that nobody knows yet.
pub(super) fn call_larger_jury(ctx: &mut Ctx<'_>, mut audit: Audit) {
    audit.state = AuditState::Appeal.into();
    audit.round = 1;
    due_in(&mut audit, ctx.block, lot::FIRST_BLOCK, 0);
    AUDITS.set(ctx.store, &audit.id, &audit);
}

/// The larger jury, if so many can lock what the first one did; else as many as can lock the least, from as many on as it takes
/// to decide. `false` if there are fewer by now.
pub(super) fn seat_appeal(ctx: &mut Ctx<'_>, audit: &mut Audit) -> Result<bool, Error> {
    let AuditParams { appeal_jury, appeal_threshold, .. } = numbers_of(audit);
    let mut jury = draw(ctx, audit, appeal_jury, appeal_jury);
    if jury.is_none() {
        audit.seat_uxpl = least_seat(audit).text();
        jury = draw(ctx, audit, appeal_jury, appeal_threshold);
    }
    let Some(jury) = jury else { return Ok(false) };
    take_seats(ctx, audit, &jury)?;
    Ok(true)
}

/// What a seat of an audit locks at least.
pub(super) fn least_seat(audit: &Audit) -> Amount {
    numbers_of(audit).seat_min_uxpl.into()
}

fn take_seats(ctx: &mut Ctx<'_>, audit: &mut Audit, jury: &[Address]) -> Result<(), Error> {
    for juror in jury {
        let locked = Amount::stored(&audit.seat_uxpl);
        market::lock_duty(ctx.store, *juror, locked)?;
        audit.seats.push(Seat {
            juror: juror.text(),
            round: audit.round,
            locked_uxpl: locked.text(),
            ..Seat::default()
        });
    }
    Ok(())
}

/// Draws by this block's beacon among those who can take a seat, if there are at least `least` of them.
fn draw(ctx: &Ctx<'_>, audit: &Audit, seats: u32, least: u32) -> Option<Vec<Address>> {
    let members = candidates(ctx.store, audit);
    if members.len() < usize::try_from(least).ok()? {
        return None;
    }
    // A round of its own number, so that an appeal is another draw.
    let beacon = digest(&[&ctx.block.beacon, &audit.round.to_be_bytes()]);
    let seats = members.len().min(usize::try_from(seats).ok()?);
    jury::draw(&beacon, audit.id, &members, seats)
}

/// Operators of the pool that a seat may go to, with their bonds: who has no interest in the claim, and
/// the seat's bond free. In an appeal none that judged before. The pool is that of the audit's own profile, also when
/// another one has come to stand.
pub(super) fn candidates(store: &dyn Read, audit: &Audit) -> Vec<(Address, Amount)> {
    let model_id = stored_hash(&audit.model_id);
    let profile_hash = profile_hash(&model_id, &audit.profile.unwrap_or_default());
    let publisher = market::model(store, &model_id).map(|model| model.publisher);
    let judged = audit.seats.iter().map(|seat| seat.juror.as_str());
    let apart: Vec<&str> = [&audit.provider, &audit.payer, &audit.disputer]
        .into_iter()
        .chain(publisher.as_ref())
        .map(alloc::string::String::as_str)
        .chain(judged)
        .collect();
    let seat = Amount::stored(&audit.seat_uxpl);
    pool::stayers(store, &model_id, &profile_hash)
        .filter(|(operator, _)| !apart.contains(&operator.text().as_str()))
        .filter(|(operator, _)| market::free_bond(store, *operator) >= seat)
        .collect()
}
