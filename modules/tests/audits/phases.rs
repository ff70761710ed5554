//! When it is too late: a phase ends with the first block at or past both its height and its time, and what
//! comes in that block comes too late.

use crate::court::*;

/// A phase: how a claim comes to it, and what somebody owes in it.
struct Phase {
    state: AuditState,
    begin: fn(&mut Court) -> u64,
    owed: fn(&mut Court, u64) -> Result<(), Refusal>,
}

const PHASES: [Phase; 4] = [
    Phase {
        state: AuditState::Reveal,
        begin: Court::audited,
        owed: |court, id| court.reveal_as(court.reveal_msg(id)),
    },
    Phase {
        state: AuditState::Commit,
        begin: revealed,
        owed: |court, id| court.commit_as(court.commit_msg(id, court.jury(id)[0], true)),
    },
    Phase {
        state: AuditState::Verdict,
        begin: committed,
        owed: |court, id| court.open_as(court.verdict_msg(id, court.jury(id)[0], verdict(true))),
    },
    Phase {
        state: AuditState::Appeal,
        begin: |court| court.judged(&[Some(false); 3]),
        owed: |court, id| court.appeal(id, PROVIDER, 50 * XPL),
    },
];

/// Blocks and seconds after those that something is due with, and whether it is over then. A chain that
/// stalled comes to the time before the height, one that hurries to the height before the time.
const EDGES: [(i64, i64, bool); 8] = [
    (-1, -1, false),
    (-1, 0, false),
    (-1, 1_000, false),
    (0, -1, false),
    (50, -1, false),
    (0, 0, true),
    (0, 1_000, true),
    (50, 0, true),
];

/// The block that comes so many blocks and seconds after `due`, of which both are known.
fn after(due: (u64, u64), blocks: i64, seconds: i64) -> Block {
    let add = |to: u64, more| to.checked_add_signed(more).unwrap();
    block(add(due.0, blocks), add(due.1, seconds))
}

/// A claim whose evidence is shown.
fn revealed(court: &mut Court) -> u64 {
    let id = court.audited();
    court.reveal(id);
    id
}

/// A claim whose jurors are all bound to a verdict.
fn committed(court: &mut Court) -> u64 {
    let id = revealed(court);
    for juror in court.jury(id) {
        court.commit_as(court.commit_msg(id, juror, true)).unwrap();
    }
    court.end(1);
    id
}

#[test]
fn a_phase_takes_what_is_owed_until_height_and_time_are_both_there() {
    for Phase { state, begin, owed } in PHASES {
        for (blocks, seconds, is_over) in EDGES {
            let mut court = Court::new(numbers(), 9);
            let id = begin(&mut court);
            let audit = court.audit(id);
            let due = (audit.due_height, audit.due_s);
            // The block before ends, and leaves the phase open.
            court.net.block = after(due, blocks - 1, seconds - 1);
            court.end(1);
            assert_eq!(court.audit(id).state(), state, "{state:?} {blocks} {seconds}");
            court.net.block = after(due, blocks, seconds);
            let said = owed(&mut court, id);
            if !is_over {
                said.unwrap_or_else(|error| panic!("{state:?} {blocks} {seconds}: {error}"));
                continue;
            }
            refused(said, "audit", 21);
            court.end(1);
            assert_ne!(court.audit(id).state(), state, "{state:?} {blocks} {seconds}");
            refused(owed(&mut court, id), "audit", 20);
        }
    }
}

/// A dispute is no duty: up to the end of the block in which the lot is decided it comes in time.
#[test]
fn a_claim_is_disputed_until_its_jury_is_drawn() {
    for (blocks, code) in [(-1, 0), (0, 21), (1, 17)] {
        let mut court = Court::new(numbers(), 8);
        let id = court.claim();
        let due_height = court.audit(id).due_height;
        court.end(due_height.checked_add_signed(blocks).unwrap() - court.net.block.height);
        let disputed = court.dispute(id, 10 * XPL);
        if code != 0 {
            refused(disputed, "audit", code);
            continue;
        }
        disputed.unwrap();
        let audit = court.audit(id);
        assert_eq!((audit.reason(), audit.due_height), (AuditReason::Dispute, due_height + 1));
    }
}

/// A claim that the lot passed over, and the height and time of its settlement.
fn passed_over() -> (Court, u64, (u64, u64)) {
    // The least rate that there is: that a beacon selects the claim is next to impossible.
    let numbers = AuditParams { rate_min_bps: 100, ..numbers() };
    let (blocks, seconds) = (60, 300);
    let mut court = Court::with(numbers, 8, |genesis| {
        let market = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
        (market.dispute_window_blocks, market.dispute_window_s) = (blocks, seconds);
        make_known(genesis);
    });
    let id = court.claim();
    court.end(34);
    assert!(audit::audit(&court.net.store, id).is_none(), "selected after all");
    let job = court.net.job(id);
    (court, id, (job.delivered_height + blocks, job.delivered_s + seconds))
}

/// The lot has no say in when a claim can be disputed no longer: its settlement has, which waits for height and
/// time as phases do, and comes after what its block brings.
#[test]
fn a_claim_that_the_lot_passed_over_is_disputed_until_it_is_settled() {
    for (blocks, seconds, is_over) in EDGES {
        let (mut court, id, due) = passed_over();
        court.net.block = after(due, blocks - 1, seconds - 1);
        court.end(1);
        assert_eq!(court.net.job(id).state(), JobState::Delivered, "{blocks} {seconds}");
        court.net.block = after(due, blocks, seconds);
        if is_over {
            court.end(1);
            assert_eq!(court.net.job(id).state(), JobState::Settled, "{blocks} {seconds}");
            refused(court.dispute(id, 10 * XPL), "audit", 15);
        } else {
            court.dispute(id, 10 * XPL).unwrap();
        }
    }
    let (mut court, id, due) = passed_over();
    court.net.block = after(due, 0, 0);
    court.dispute(id, 10 * XPL).unwrap();
    court.end(1);
    assert!(court.net.job(id).held, "disputed before it could settle");
}
