//! What happens at the end of a block: appointments, then matching.

use alloc::string::ToString;

use plasma_proto::plasma::market::v1::{Job, Outcome, Timer, TimerKind};

use super::{
    Error,
    event::Event,
    handler, matching, provider,
    state::{JOBS, WITHDRAWALS, params},
    timer,
};
use crate::{Address, Ctx};

/// An appointment that could not be kept is tried again after this many blocks.
const RETRY_BLOCKS: u64 = 100;

/// Keeps the appointments that are due, then gives open jobs to providers.
pub fn end_block(ctx: &mut Ctx<'_>) {
    let steps_max = params(ctx.store).timers_per_block_max;
    let steps_max = usize::try_from(steps_max).unwrap_or(usize::MAX);
    for timer in timer::take_due(ctx.store, ctx.block, steps_max) {
        if let Err(error) = ctx.apart(|ctx| fire(ctx, &timer)) {
            ctx.emit(&Event::TimerFailed {
                kind: timer.kind,
                id: timer.id,
                reason: error.to_string(),
            });
            recover(ctx, timer);
        }
    }
    matching::match_jobs(ctx);
}

/// Keeps one appointment. One whose object has moved on is dropped.
fn fire(ctx: &mut Ctx<'_>, timer: &Timer) -> Result<(), Error> {
    match timer.kind() {
        TimerKind::Unspecified => Ok(()),
        TimerKind::Deadline => match waiting(ctx, timer) {
            Some(job) => handler::refund(ctx, job, Outcome::Timeout),
            None => Ok(()),
        },
        TimerKind::Assignment => match waiting(ctx, timer) {
            Some(job) => handler::time_out(ctx, job),
            None => Ok(()),
        },
        TimerKind::Settle => match waiting(ctx, timer) {
            Some(job) => handler::settle(ctx, job),
            None => Ok(()),
        },
        TimerKind::Forget => {
            if let Some(job) = waiting(ctx, timer) {
                handler::forget(ctx, &job);
            }
            Ok(())
        }
        TimerKind::Withdrawal => match WITHDRAWALS.get(ctx.store, &timer.id) {
            Some(withdrawal) => provider::release(ctx, &withdrawal),
            None => Ok(()),
        },
        TimerKind::Leave => provider::leave(ctx, Address::stored(&timer.operator)),
    }
}

/// The job of an appointment, if that is still what it waits for.
fn waiting(ctx: &Ctx<'_>, timer: &Timer) -> Option<Job> {
    let job = JOBS.get(ctx.store, &timer.id)?;
    let current = timer::of_job(&job)?;
    (current.kind == timer.kind && current.attempt == timer.attempt).then_some(job)
}

/// An appointment failed: a job that could not be paid is voided; else it is tried again later.
fn recover(ctx: &mut Ctx<'_>, timer: Timer) {
    if timer.kind() == TimerKind::Settle
        && let Some(job) = waiting(ctx, &timer)
        && ctx.apart(|ctx| handler::void(ctx, job)).is_ok()
    {
        return;
    }
    let due_height = ctx.block.height.saturating_add(RETRY_BLOCKS);
    timer::schedule(ctx.store, &Timer { due_height, ..timer });
}
