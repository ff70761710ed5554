//! What happens to audits at the end of a block.

use alloc::string::ToString;

use plasma_proto::plasma::attestation::v1::{Audit, AuditState, Finding};

use super::{
    Error, claim, drift, ending,
    event::Event,
    question,
    state::{AUDITS, due_in, numbers, numbers_of},
};
use crate::{Ctx, Table, attestation::state::due};

/// A step that could not be taken is tried again after this many blocks.
const RETRY_BLOCKS: u64 = 100;
/// Claims of which a block finds that no beacon selected them, at most, beside its steps: each costs 32 hashes, and twice as many
/// jobs as a block assigns must not make audits late.
const LOTS_PER_BLOCK_MAX: usize = 512;

/// Takes the audits whose phase is over a step further, as many as a block may, and lets the claims go that were not selected; the
/// rest stays first in line.
pub(in crate::attestation) fn end_block(ctx: &mut Ctx<'_>) {
    claim::remember(ctx);
    let mut steps = usize::try_from(numbers(ctx.store).steps_per_block_max).unwrap_or(usize::MAX);
    let most = steps.saturating_add(LOTS_PER_BLOCK_MAX);
    for id in due(ctx.store, Table::AttestationAuditsByDue, ctx.block, most) {
        let Some(mut audit) = AUDITS.get(ctx.store, &id) else { continue };
        if audit.due_s > ctx.block.time_s {
            audit.waits_for_time = true;
            AUDITS.set(ctx.store, &id, &audit);
            continue;
        }
        let is_let_go = audit.state() == AuditState::Lot && !claim::is_selected(ctx, &audit);
        let taken = match (is_let_go, steps.checked_sub(1)) {
            (true, _) => ctx.apart(|ctx| claim::let_go(ctx, &audit)),
            (false, Some(left)) => {
                steps = left;
                ctx.apart(|ctx| step(ctx, audit.clone()))
            }
            (false, None) => {
                claim::keep_selected(ctx.store, &audit);
                continue;
            }
        };
        if let Err(error) = taken {
            ctx.emit(&Event::AuditStepFailed { audit_id: id, reason: error.to_string() });
            due_in(&mut audit, ctx.block, RETRY_BLOCKS, 0);
            AUDITS.set(ctx.store, &id, &audit);
        }
    }
}

fn step(ctx: &mut Ctx<'_>, audit: Audit) -> Result<(), Error> {
    match audit.state() {
        AuditState::Unspecified | AuditState::Ended => Ok(()),
        AuditState::Lot => claim::seat(ctx, audit),
        AuditState::Reveal if audit.is_revealed => {
            begin_commit(ctx, audit);
            Ok(())
        }
        AuditState::Reveal => ending::end(ctx, audit, Finding::Hidden),
        AuditState::Commit => begin_verdict(ctx, audit),
        AuditState::Verdict => ending::tally(ctx, audit),
        AuditState::Appeal => end_appeal(ctx, audit),
    }
}

fn begin_commit(ctx: &mut Ctx<'_>, mut audit: Audit) {
    let numbers = numbers_of(&audit);
    audit.state = AuditState::Commit.into();
    audit.question = question::question(&ctx.block.beacon, audit.id, audit.round).into();
    due_in(&mut audit, ctx.block, numbers.commit_blocks, numbers.commit_s);
    AUDITS.set(ctx.store, &audit.id, &audit);
}

/// Those who committed open; where nobody has, there is nothing to open.
fn begin_verdict(ctx: &mut Ctx<'_>, mut audit: Audit) -> Result<(), Error> {
    let numbers = numbers_of(&audit);
    let round = audit.round;
    let committed =
        audit.seats.iter().any(|seat| seat.round == round && !seat.commitment.is_empty());
    audit.state = AuditState::Verdict.into();
    if !committed {
        return ending::tally(ctx, audit);
    }
    due_in(&mut audit, ctx.block, numbers.verdict_blocks, numbers.verdict_s);
    AUDITS.set(ctx.store, &audit.id, &audit);
    Ok(())
}

/// Nobody appealed, or the larger jury is drawn. Where it cannot be, what the first one found stands.
fn end_appeal(ctx: &mut Ctx<'_>, mut audit: Audit) -> Result<(), Error> {
    if audit.round == 0 || !claim::seat_appeal(ctx, &mut audit)? {
        let finding = match audit.is_drift {
            true => drift::finding(ctx.store, &audit),
            false if ending::was_split(&audit) => Finding::Hung,
            false => Finding::Convicted,
        };
        return ending::end(ctx, audit, finding);
    }
    begin_commit(ctx, audit);
    Ok(())
}
