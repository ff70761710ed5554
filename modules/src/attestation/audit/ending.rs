//! What a jury finds, and what follows from it.

use plasma_proto::plasma::attestation::v1::{
    Audit, AuditState, Carried, Finding, PayerCount, Seat,
};

use super::{
    Error, bonds, claim, drift,
    event::Event,
    profile, question, stakes,
    state::{
        AUDITS, COUNTS, STANDINGS, account, due_in, forget_leaves, job_of, numbers_of, rest, share,
        standing, stored_hash, sum, terms,
    },
};
use crate::{Address, Amount, Ctx, Denom, market, token};

/// What reading a claim costs, of what writing it does, at most: `docs/verification.md`.
const READING_BPS: u32 = 1_200;
/// Part of a model's purse that one audit takes, beside what its claim pays in, at most.
const PURSE_BPS: u32 = 1_250;
/// Of the bond of a dispute that was lost: what jurors share; the rest is the provider's.
const LOST_DISPUTE_BPS: u32 = 5_000;

/// Counts the verdicts of the round under way.
pub(super) fn tally(ctx: &mut Ctx<'_>, mut audit: Audit) -> Result<(), Error> {
    let numbers = numbers_of(&audit);
    let seats = audit.seats.iter().filter(|seat| seat.round == audit.round).count();
    let seats = u32::try_from(seats).unwrap_or(u32::MAX);
    let threshold = match audit.round {
        0 => numbers.threshold,
        _ => in_proportion(seats, numbers.appeal_threshold, numbers.appeal_jury),
    };
    question::mark(&mut audit, threshold);
    let count = |pass: bool| {
        let says = |seat: &&Seat| seat.round == audit.round && says(seat) == Some(pass);
        u32::try_from(audit.seats.iter().filter(says).count()).unwrap_or(u32::MAX)
    };
    let (pass, fail) = (count(true), count(false));
    ctx.emit(&Event::VerdictsCounted { audit_id: audit.id, round: audit.round, pass, fail });
    // So many keep a claim from being found clean.
    let blocks = seats.saturating_sub(threshold).saturating_add(1);
    let is_split = audit.round == 0 && (blocks..threshold).contains(&fail);
    let is_clean = fail < threshold && pass >= threshold;
    let is_first = audit.round == 0 || was_split(&audit);
    audit.is_drift |= is_clean && is_first && drift::count(ctx, &mut audit);
    if audit.round == 0 && (fail >= threshold || audit.is_drift) {
        audit.state = AuditState::Appeal.into();
        due_in(&mut audit, ctx.block, numbers.appeal_blocks, numbers.appeal_s);
        AUDITS.set(ctx.store, &audit.id, &audit);
        return Ok(());
    }
    if is_split {
        // A few who say what is not so must neither keep an honest claim from its pay nor a false one from its slash.
        claim::call_larger_jury(ctx, audit);
        return Ok(());
    }
    let finding = if fail >= threshold {
        Finding::Convicted
    } else if is_clean && audit.is_drift {
        drift::finding(ctx.store, &audit)
    } else if is_clean {
        Finding::Clean
    } else if audit.round > 0 {
        // What one jury convicted, or could not agree on, silence does not make clean.
        Finding::Hung
    } else {
        Finding::Silent
    };
    end(ctx, audit, finding)
}

/// What decides where a jury has fewer seats than it is meant to have: the same part of them, and more than half.
fn in_proportion(seats: u32, threshold: u32, jury: u32) -> u32 {
    let part = u64::from(seats).saturating_mul(threshold.into()).div_ceil(u64::from(jury).max(1));
    u32::try_from(part).unwrap_or(u32::MAX).max((seats / 2).saturating_add(1))
}

/// Whether a larger jury was called because the first did not agree, and nobody appealed.
pub(super) fn was_split(audit: &Audit) -> bool {
    audit.round == 1 && Amount::stored(&audit.appeal_bond_uxpl) == Amount::ZERO
}

/// A juror that has not looked has said nothing.
fn says(seat: &Seat) -> Option<bool> {
    seat.verdict.as_ref().filter(|_| !seat.has_not_looked).map(|verdict| verdict.pass)
}

/// Money that an audit hands out, all of it in the module account.
struct Pot {
    shared: Amount,
    burned: Amount,
}

/// Ends an audit: the claim, the bonds, the seats, the standing, and who is paid.
pub(super) fn end(ctx: &mut Ctx<'_>, mut audit: Audit, finding: Finding) -> Result<(), Error> {
    let provider = Address::stored(&audit.provider);
    let fee = end_claim(ctx, &audit, finding)?;
    let mut pot = Pot { shared: Amount::ZERO, burned: Amount::ZERO };
    let mut slashed = Amount::ZERO;
    if is_guilty(finding) {
        let is_drift = finding == Finding::Drifted;
        let drifted = drift::slash_of(ctx.store, &audit, is_drift);
        let wanted = Amount::stored(&audit.slash_uxpl).max(drifted);
        slashed = market::slash_bond(ctx, provider, wanted, account())?;
        share_slash(ctx, &audit, slashed, &mut pot)?;
    }
    take_prepaid(ctx, &audit, fee, &mut pot)?;
    end_bonds(ctx, &audit, finding, &mut pot)?;
    end_seats(ctx, &mut audit, finding, &mut pot)?;
    pay(ctx, &mut audit, finding, &mut pot)?;
    if pot.burned != Amount::ZERO {
        token::burn(ctx, account(), pot.burned)?;
    }
    if is_guilty(finding) {
        drift::forget(ctx.store, &audit);
    } else if audit.is_drift {
        drift::go_on(ctx.store, &audit, finding);
    }
    count(ctx, &audit, finding);
    forget_leaves(ctx.store, &audit);
    audit.state = AuditState::Ended.into();
    audit.finding = finding.into();
    audit.slashed_uxpl = slashed.text();
    audit.ended_height = ctx.block.height;
    audit.ended_s = ctx.block.time_s;
    AUDITS.set(ctx.store, &audit.id, &audit);
    let shared = Amount::stored(&audit.shared_uxpl);
    ctx.emit(&Event::AuditEnded { audit_id: audit.id, provider, finding, slashed, shared });
    Ok(())
}

fn is_guilty(finding: Finding) -> bool {
    matches!(finding, Finding::Convicted | Finding::Hidden | Finding::Drifted)
}

/// What becomes of the claim, and what it pays into the model's purse, now or when its window is over.
fn end_claim(ctx: &mut Ctx<'_>, audit: &Audit, finding: Finding) -> Result<Amount, Error> {
    let fee = Amount::stored(&job_of(ctx.store, audit).audit_fee_uxpl);
    let released = match finding {
        Finding::Clean => market::settle_held(ctx, audit.id)?,
        Finding::Convicted | Finding::Hidden | Finding::Drifted | Finding::Hung => {
            market::void_held(ctx, audit.id)?;
            return Ok(Amount::ZERO);
        }
        Finding::Silent | Finding::NoJury | Finding::Unspecified => market::release(ctx, audit.id)?,
    };
    if released == market::Released::Voided {
        return Ok(Amount::ZERO);
    }
    drift::paid(ctx.store, audit);
    Ok(fee)
}

/// What readings and carriers cost.
fn cost(audit: &Audit) -> Amount {
    let readings = audit.seats.iter().filter(|seat| says(seat).is_some()).count();
    let readings = u32::try_from(readings).unwrap_or(u32::MAX);
    let charge = Amount::stored(&audit.charge_uxpl);
    let carried = audit.carried.iter().map(|carried| Amount::stored(&carried.owed_uxpl));
    carried.fold(share(charge, READING_BPS.saturating_mul(readings)), sum)
}

/// From the model's purse comes what readings and carriers cost and jurors' part of a slash, which is there already, does not pay;
/// no more than the claim pays into it, `fee`, and a part of what is there, so that one audit leaves something for the next. Who
/// disputes what the lot had not selected pays for that himself.
fn take_prepaid(ctx: &mut Ctx<'_>, audit: &Audit, fee: Amount, pot: &mut Pot) -> Result<(), Error> {
    if !audit.is_of_lot || !audit.seats.iter().any(|seat| says(seat).is_some()) {
        return Ok(());
    }
    let purse = market::audit_purse(&stored_hash(&audit.model_id));
    // Somebody may have locked money of his own there.
    let there = token::spendable(ctx, purse, &Denom::uxpl());
    let most = sum(fee, share(there, PURSE_BPS));
    let taken = cost(audit).minus(pot.shared).unwrap_or_default().min(most).min(there);
    token::transfer(ctx, purse, account(), taken)?;
    pot.shared = sum(pot.shared, taken);
    Ok(())
}

/// A tenth, or what their readings cost, is the jurors', a tenth goes to who found the cheat, the rest is burned.
fn share_slash(
    ctx: &mut Ctx<'_>,
    audit: &Audit,
    slashed: Amount,
    pot: &mut Pot,
) -> Result<(), Error> {
    let part = bonds::slash_part(slashed);
    let mut left = slashed;
    if !audit.disputer.is_empty() {
        token::transfer(ctx, account(), Address::stored(&audit.disputer), part)?;
        left = rest(left, part);
    }
    let shared = part.max(cost(audit)).min(left);
    pot.shared = sum(pot.shared, shared);
    pot.burned = sum(pot.burned, rest(left, shared));
    Ok(())
}

/// The loser's bond pays, the others return.
fn end_bonds(
    ctx: &mut Ctx<'_>,
    audit: &Audit,
    finding: Finding,
    pot: &mut Pot,
) -> Result<(), Error> {
    let provider = Address::stored(&audit.provider);
    let bond = Amount::stored(&audit.dispute_bond_uxpl);
    if !audit.disputer.is_empty() {
        if finding == Finding::Clean {
            let part = share(bond, LOST_DISPUTE_BPS);
            pot.shared = sum(pot.shared, part);
            token::transfer(ctx, account(), provider, rest(bond, part))?;
        } else {
            token::transfer(ctx, account(), Address::stored(&audit.disputer), bond)?;
        }
    }
    let bond = Amount::stored(&audit.appeal_bond_uxpl);
    // Convicted without a larger jury: it could not be drawn, so nobody found the appeal wrong.
    let judged = audit.seats.iter().any(|seat| seat.round == 1);
    if is_guilty(finding) && judged {
        pot.shared = sum(pot.shared, bond);
    } else {
        token::transfer(ctx, account(), provider, bond)?;
    }
    Ok(())
}

/// What the first jury must not have said, by what the larger one found. Where most of that measured what is near the
/// profile's edge, kernels may see it either way, and nobody was wrong.
fn wrong(audit: &Audit, finding: Finding) -> Option<bool> {
    let pass = match finding {
        Finding::Clean => true,
        Finding::Convicted => false,
        _ => return None,
    };
    let limits = audit.profile?;
    let of_side = |seat: &&Seat| seat.round == 1 && says(seat) == Some(pass);
    let measured =
        audit.seats.iter().filter(of_side).filter_map(|seat| seat.verdict.as_ref()?.measures);
    let (mut plain, mut all) = (0u32, 0u32);
    for measures in measured {
        all = all.saturating_add(1);
        plain = plain.saturating_add(profile::is_plain(&measures, &limits, pass).into());
    }
    (plain > all / 2).then_some(!pass)
}

/// Every seat's bond is free again, but for what silence and a verdict that was found wrong cost.
fn end_seats(
    ctx: &mut Ctx<'_>,
    audit: &mut Audit,
    finding: Finding,
    pot: &mut Pot,
) -> Result<(), Error> {
    let numbers = numbers_of(audit);
    let (judged, id) = (audit.is_revealed, audit.id);
    let wrong = wrong(audit, finding);
    for seat in &mut audit.seats {
        let juror = Address::stored(&seat.juror);
        let locked = Amount::stored(&seat.locked_uxpl);
        // Who has seen how the others opened must not choose to be silent instead.
        let is_withheld = seat.round == 0 && !seat.commitment.is_empty() && seat.verdict.is_none();
        let part_bps = match says(seat) {
            None if wrong.is_some() && is_withheld => numbers.wrong_bps,
            None if judged => numbers.silent_bps,
            Some(said) if wrong == Some(said) && seat.round == 0 => numbers.wrong_bps,
            _ => 0,
        };
        let mut lost = share(locked, part_bps);
        market::unlock_duty(ctx.store, juror, rest(locked, lost))?;
        if lost != Amount::ZERO {
            lost = market::slash_duty(ctx, juror, lost, account())?;
            pot.shared = sum(pot.shared, lost);
            ctx.emit(&Event::JurorSlashed { audit_id: id, juror, lost });
        }
        seat.lost_uxpl = lost.text();
    }
    Ok(())
}

/// Carriers get back what they are owed as far as it goes; jurors of the outcome's opinion share the
/// rest alike, those who spoke where there is none. What cannot be divided is burned.
fn pay(ctx: &mut Ctx<'_>, audit: &mut Audit, finding: Finding, pot: &mut Pot) -> Result<(), Error> {
    let mut left = pot.shared;
    for Carried { carrier, owed_uxpl } in &mut audit.carried {
        let back = Amount::stored(owed_uxpl).min(left);
        token::transfer(ctx, account(), Address::stored(carrier), back)?;
        left = rest(left, back);
        *owed_uxpl = rest(Amount::stored(owed_uxpl), back).text();
    }
    let earns = |seat: &Seat| match finding {
        Finding::Clean => says(seat) == Some(true),
        Finding::Convicted => says(seat) == Some(false),
        _ => says(seat).is_some(),
    };
    let earning = audit.seats.iter().filter(|seat| earns(seat)).count();
    let earning = u128::try_from(earning).unwrap_or(u128::MAX);
    let each = Amount::new(left.units().checked_div(earning).unwrap_or_default());
    for seat in audit.seats.iter_mut().filter(|seat| earns(seat)) {
        token::transfer(ctx, account(), Address::stored(&seat.juror), each)?;
        left = rest(left, each);
        seat.earned_uxpl = each.text();
    }
    pot.burned = sum(pot.burned, left);
    audit.shared_uxpl = rest(pot.shared, left).text();
    Ok(())
}

/// What the finding says of the operator.
fn count(ctx: &mut Ctx<'_>, audit: &Audit, finding: Finding) {
    let operator = Address::stored(&audit.provider);
    if is_guilty(finding) {
        return bonds::convicted(ctx.store, operator);
    }
    let mut standing = standing(ctx.store, operator);
    match finding {
        Finding::Clean => {
            standing.audits_clean = standing.audits_clean.saturating_add(1);
            let payer = Address::stored(&audit.payer);
            let before = COUNTS.get(ctx.store, &(operator, payer));
            let before = before.filter(|before| before.era == standing.era);
            let counted = before.map_or(Amount::ZERO, |count| Amount::stored(&count.counted_uxpl));
            let clean = Amount::stored(&standing.clean_uxpl);
            let charge = Amount::stored(&audit.charge_uxpl);
            let more = stakes::counts(&terms(&numbers_of(audit)), charge, clean, counted);
            standing.clean_uxpl = sum(clean, more).text();
            let count = PayerCount {
                operator: operator.text(),
                payer: payer.text(),
                counted_uxpl: sum(counted, more).text(),
                era: standing.era,
            };
            COUNTS.set(ctx.store, &(operator, payer), &count);
        }
        Finding::Hung => {
            standing.audits_open_ended = standing.audits_open_ended.saturating_add(1);
            standing.is_audited_next = true;
        }
        Finding::Silent => {
            standing.audits_open_ended = standing.audits_open_ended.saturating_add(1);
        }
        Finding::NoJury => standing.is_audited_next = true,
        _ => return,
    }
    STANDINGS.set(ctx.store, &operator, &standing);
}
