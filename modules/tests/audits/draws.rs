//! What a beacon draws, and which: that of a block after everybody has said what it is drawn about.

use crate::court::*;
use plasma_modules::types::digest;

/// The pool's operators, in its order; each weighs the same.
fn pool(court: &Court) -> Vec<(Address, Amount)> {
    court.jurors.iter().map(|juror| (*juror, Amount::new(BOND))).collect()
}

#[test]
fn jury_leaves_and_question_are_drawn_by_the_beacons_of_their_own_blocks() {
    let mut court = Court::new(AuditParams { leaves: 1, ..numbers() }, 14);
    let id = court.claim();
    let claimed = court.audit(id).claimed_height;
    court.end(3);
    let audit = court.audit(id);
    assert_eq!(audit.selected_height, claimed + 2);
    let beacon = block(claimed + 2, 0).beacon;
    // A draw's beacon is sha256 of (00000020 beacon, 00000004 round be32).
    let of_round = |beacon: Hash, round: u32| digest(&[&beacon, &round.to_be_bytes()]);
    let jury = audit::jury::draw(&of_round(beacon, 0), id, &pool(&court), 3).unwrap();
    assert_eq!(court.jury(id), jury);
    assert_eq!(audit.leaves, audit::drawn_leaves(&beacon, id, leaf_count(40), 1));

    let shown = court.net.block.beacon;
    court.reveal(id);
    assert_eq!(court.audit(id).question, audit::question::question(&shown, id, 0));
    court.judge(id, &[Some(false); 3]);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(2);
    let appealed = court.net.block.beacon;
    court.end(1);
    let mut others = pool(&court);
    others.retain(|(juror, _)| !jury.contains(juror));
    let larger = audit::jury::draw(&of_round(appealed, 1), id, &others, 5).unwrap();
    assert_eq!(court.jury(id), larger);
    assert_eq!(court.audit(id).question, audit::question::question(&appealed, id, 1));
}
