//! Appointments: one table in order of when they are due.
//!
//! Every appointment is gated on blocks and on time, so that a stalled chain times nobody out. It
//! waits for its height first (stage 0, ordered by height); once that has come and its time has
//! not, it moves, once, to where it waits for its time (stage 1, ordered by seconds).

use alloc::{string::String, vec::Vec};

use plasma_proto::plasma::market::v1::{Job, JobState, Timer, TimerKind, Withdrawal};

use super::state::job_terms;
use crate::{Address, Block, Map, Read, Table, Write};

type TimerKey = (u8, u64, u8, u64, [u8; 20]);

const TIMERS: Map<TimerKey, Timer> = Map::new(Table::MarketTimers);
const WAITS_FOR_HEIGHT: u8 = 0;
const WAITS_FOR_TIME: u8 = 1;

fn key(stage: u8, timer: &Timer) -> TimerKey {
    let when = if stage == WAITS_FOR_HEIGHT { timer.due_height } else { timer.due_s };
    let kind = u8::try_from(timer.kind).unwrap_or(u8::MAX);
    (stage, when, kind, timer.id, tag(timer))
}

/// What tells appointments of one kind and id apart: the operator, or the attempt.
fn tag(timer: &Timer) -> [u8; 20] {
    if timer.kind() == TimerKind::Leave {
        return Address::stored(&timer.operator).0;
    }
    let mut tag = [0; 20];
    if let Some(head) = tag.first_chunk_mut() {
        *head = timer.attempt.to_be_bytes();
    }
    tag
}

/// The appointment of a job in its state; a job has exactly one at any time, until its payload is
/// forgotten, but for one that an audit holds: its end comes with the audit's.
pub(super) fn of_job(job: &Job) -> Option<Timer> {
    let terms = job_terms(job);
    let (kind, due_height, due_s, attempt) = match job.state() {
        JobState::Unspecified => return None,
        JobState::Open => (TimerKind::Deadline, waits_since(job), job.deadline_s, 0),
        JobState::Assigned => (
            TimerKind::Assignment,
            job.assigned_height.saturating_add(terms.assign_timeout_blocks),
            job.assigned_s.saturating_add(terms.assign_timeout_s),
            job.attempt,
        ),
        JobState::Delivered if job.held => return None,
        JobState::Delivered => (
            TimerKind::Settle,
            job.delivered_height.saturating_add(terms.dispute_window_blocks),
            job.delivered_s.saturating_add(terms.dispute_window_s),
            0,
        ),
        JobState::Settled | JobState::Refunded => {
            (TimerKind::Forget, job.ended_height.saturating_add(terms.output_keep_blocks), 0, 0)
        }
    };
    let operator = String::new();
    Some(Timer { kind: kind.into(), due_height, due_s, id: job.id, attempt, operator })
}

/// The height at which an open job came in, or came back.
pub(super) fn waits_since(job: &Job) -> u64 {
    if job.attempt == 0 { job.opened_height } else { job.assigned_height }
}

pub(super) fn of_withdrawal(withdrawal: &Withdrawal) -> Timer {
    Timer {
        kind: TimerKind::Withdrawal.into(),
        due_height: withdrawal.due_height,
        due_s: withdrawal.due_s,
        id: withdrawal.id,
        ..Timer::default()
    }
}

pub(super) fn of_leave(operator: Address, due_height: u64, due_s: u64) -> Timer {
    let operator = operator.text();
    Timer { kind: TimerKind::Leave.into(), due_height, due_s, operator, ..Timer::default() }
}

pub(super) fn schedule(store: &mut dyn Write, timer: &Timer) {
    TIMERS.set(store, &key(WAITS_FOR_HEIGHT, timer), timer);
}

/// Removes an appointment, wherever it waits.
pub(super) fn cancel(store: &mut dyn Write, timer: &Timer) {
    for stage in [WAITS_FOR_HEIGHT, WAITS_FOR_TIME] {
        let key = key(stage, timer);
        if TIMERS.has(store, &key) {
            TIMERS.remove(store, &key);
        }
    }
}

/// Takes out what is due, at most `steps_max` moves and firings together; the rest stays first in
/// line.
pub(super) fn take_due(store: &mut dyn Write, block: &Block, steps_max: usize) -> Vec<Timer> {
    let mut due = Vec::new();
    let in_line = |store: &dyn Read, stage: u8, now: u64, steps: usize| -> Vec<_> {
        TIMERS
            .iter_prefix(store, &stage)
            .take_while(|((_, when, ..), _)| *when <= now)
            .take(steps)
            .collect()
    };
    for (key, timer) in in_line(store, WAITS_FOR_TIME, block.time_s, steps_max) {
        TIMERS.remove(store, &key);
        due.push(timer);
    }
    let steps_left = steps_max.saturating_sub(due.len());
    for (old, timer) in in_line(store, WAITS_FOR_HEIGHT, block.height, steps_left) {
        TIMERS.remove(store, &old);
        if timer.due_s <= block.time_s {
            due.push(timer);
        } else {
            TIMERS.set(store, &key(WAITS_FOR_TIME, &timer), &timer);
        }
    }
    due
}

/// Every appointment, in an order that does not tell how far each has come.
pub(super) fn all(store: &dyn Read) -> Vec<Timer> {
    let mut timers: Vec<Timer> = TIMERS.iter(store).map(|(_, timer)| timer).collect();
    timers.sort_by_key(|t| (t.due_height, t.due_s, t.kind, t.id, t.attempt, t.operator.clone()));
    timers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    fn at(height: u64, time_s: u64) -> Block {
        Block { chain_id: "t".into(), height, time_s, beacon: [0; 32] }
    }

    fn timer(id: u64, due_height: u64, due_s: u64) -> Timer {
        let kind = TimerKind::Settle.into();
        Timer { kind, due_height, due_s, id, ..Timer::default() }
    }

    #[test]
    fn fires_only_when_both_have_come() {
        for (due_height, due_s) in [(5, 100), (9, 50)] {
            let mut store = Memory::default();
            schedule(&mut store, &timer(1, due_height, due_s));
            let mut fired = None;
            for height in 1..20 {
                let block = at(height, height * 10);
                if !take_due(&mut store, &block, 8).is_empty() {
                    assert_eq!(fired.replace(height), None);
                }
            }
            assert_eq!(fired, Some(due_height.max(due_s / 10)));
            assert!(all(&store).is_empty());
        }
    }

    #[test]
    fn a_stalled_chain_times_nobody_out() {
        let mut store = Memory::default();
        schedule(&mut store, &timer(1, 20, 10));
        assert!(take_due(&mut store, &at(2, 1_000_000), 8).is_empty());
        assert_eq!(take_due(&mut store, &at(20, 1_000_001), 8).len(), 1);
    }

    #[test]
    fn work_is_bounded_and_the_rest_waits() {
        let mut store = Memory::default();
        for id in 0..10 {
            schedule(&mut store, &timer(id, 1, 1));
        }
        let ids = |due: Vec<Timer>| due.into_iter().map(|timer| timer.id).collect::<Vec<_>>();
        assert_eq!(ids(take_due(&mut store, &at(1, 1), 4)), [0, 1, 2, 3]);
        assert_eq!(ids(take_due(&mut store, &at(2, 2), 4)), [4, 5, 6, 7]);
        assert_eq!(ids(take_due(&mut store, &at(3, 3), 4)), [8, 9]);
    }

    #[test]
    fn cancelled_in_either_stage() {
        let mut store = Memory::default();
        let timer = timer(1, 2, 100);
        schedule(&mut store, &timer);
        cancel(&mut store, &timer);
        assert!(all(&store).is_empty());
        schedule(&mut store, &timer);
        take_due(&mut store, &at(3, 50), 8);
        assert_eq!(all(&store).len(), 1);
        cancel(&mut store, &timer);
        assert!(all(&store).is_empty());
    }
}
