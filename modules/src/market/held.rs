//! Delivered jobs under audit: held, and let go by what the audit found.

use alloc::string::ToString;

use plasma_proto::plasma::market::v1::{Job, JobState, TimerKind};

use super::{
    Error,
    event::Event,
    handler,
    price::Shares,
    state::{JOBS, put_job, sum},
    timer,
};
use crate::{Amount, Ctx, Read, Write};

/// What has become of a job that was let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// Its window runs on.
    Waits,
    /// It was paid, and its audit's fee with it.
    Settled,
    /// It could not be paid, and was refunded; nothing was paid for its audit.
    Voided,
}

fn delivered(store: &dyn Read, job_id: u64) -> Result<Job, Error> {
    let job = JOBS.get(store, &job_id).ok_or(Error::UnknownJob(job_id))?;
    if job.state() == JobState::Delivered { Ok(job) } else { Err(Error::NotDelivered(job_id)) }
}

fn held(store: &dyn Read, job_id: u64) -> Result<Job, Error> {
    let job = delivered(store, job_id)?;
    if job.held { Ok(job) } else { Err(Error::NotHeld(job_id)) }
}

/// Holds a delivered job for its audit: it is not settled until it is let go. Errors:
/// [`Error::UnknownJob`], [`Error::NotDelivered`], [`Error::HeldAlready`].
pub fn hold(ctx: &mut Ctx<'_>, job_id: u64) -> Result<(), Error> {
    let job = delivered(ctx.store, job_id)?;
    if job.held {
        return Err(Error::HeldAlready(job_id));
    }
    put_job(ctx.store, &Job { held: true, ..job });
    ctx.emit(&Event::JobHeld { job_id });
    Ok(())
}

/// Lets a held job go as if it had not been held: it settles now if its window has passed, else
/// when it has. Errors: [`Error::UnknownJob`], [`Error::NotDelivered`], [`Error::NotHeld`].
pub fn release(ctx: &mut Ctx<'_>, job_id: u64) -> Result<Released, Error> {
    let job = Job { held: false, ..held(ctx.store, job_id)? };
    let passed = timer::of_job(&job).is_some_and(|timer| {
        timer.kind() == TimerKind::Settle
            && timer.due_height <= ctx.block.height
            && timer.due_s <= ctx.block.time_s
    });
    if passed {
        return pay(ctx, job);
    }
    put_job(ctx.store, &job);
    ctx.emit(&Event::JobReleased { job_id });
    Ok(Released::Waits)
}

/// Pays a held job now, whatever is left of its window: it was found clean. Errors as [`release`].
pub fn settle_held(ctx: &mut Ctx<'_>, job_id: u64) -> Result<Released, Error> {
    let job = held(ctx.store, job_id)?;
    pay(ctx, job)
}

/// Refunds a held job: all but the duty fee returns to the requester, the bond that it locked is
/// free, and nothing is paid for its audit. Errors as [`release`].
pub fn void_held(ctx: &mut Ctx<'_>, job_id: u64) -> Result<(), Error> {
    let job = held(ctx.store, job_id)?;
    handler::void(ctx, job)
}

/// As a settlement by appointment: a job that cannot be paid is voided instead.
fn pay(ctx: &mut Ctx<'_>, job: Job) -> Result<Released, Error> {
    ctx.emit(&Event::JobReleased { job_id: job.id });
    let Err(error) = ctx.apart(|ctx| handler::settle(ctx, job.clone())) else {
        return Ok(Released::Settled);
    };
    let reason = error.to_string();
    ctx.emit(&Event::TimerFailed { kind: TimerKind::Settle.into(), id: job.id, reason });
    handler::void(ctx, job)?;
    Ok(Released::Voided)
}

/// What of the provider's share of a delivered job its audit may cost, uxpl.
pub fn audit_fee_max(store: &dyn Read, job_id: u64) -> Result<Amount, Error> {
    Ok(audit_share(&delivered(store, job_id)?))
}

fn audit_share(job: &Job) -> Amount {
    Shares::of_job(job).map_or(Amount::ZERO, |shares| sum(shares.provider, shares.audit))
}

/// Keeps `fee` of the provider's share of a delivered job for its audit, in the place of what was
/// kept before: [`audit_purse`](super::audit_purse) gets it when the job is settled. Errors:
/// [`Error::UnknownJob`], [`Error::NotDelivered`], [`Error::AuditFeeTooHigh`] above the share.
pub fn set_audit_fee(store: &mut dyn Write, job_id: u64, fee: Amount) -> Result<(), Error> {
    let job = delivered(store, job_id)?;
    let share = audit_share(&job);
    if fee > share {
        return Err(Error::AuditFeeTooHigh { job_id, fee, share });
    }
    put_job(store, &Job { audit_fee_uxpl: fee.text(), ..job });
    Ok(())
}

/// Ids of the jobs that are held, in order: who holds them can compare.
pub fn held_jobs(store: &dyn Read) -> impl Iterator<Item = u64> + '_ {
    JOBS.map().iter(store).filter(|(_, job)| job.held).map(|(id, _)| id)
}
