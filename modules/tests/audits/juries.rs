//! Juries that do not agree, and juries that cannot be drawn.

use crate::court::*;

/// Five judge, four decide.
fn five() -> AuditParams {
    AuditParams { jury: 5, threshold: 4, ..numbers() }
}

fn lost(court: &Court, id: u64) -> Vec<u128> {
    court.audit(id).seats.iter().map(|seat| seat.lost_uxpl.parse().unwrap()).collect()
}

/// The first jury says this, so that a larger one is called without an appeal; its number.
fn split(court: &mut Court, says: &[Option<bool>; 5]) -> u64 {
    let id = court.judged(says);
    let audit = court.audit(id);
    assert_eq!((audit.state(), audit.round), (AuditState::Appeal, 1));
    refused(court.appeal(id, PROVIDER, 50 * XPL), "audit", 20);
    court.check_export();
    court.end(2);
    assert_eq!(court.audit(id).state(), AuditState::Commit);
    id
}

#[test]
fn two_who_fail_an_honest_claim_keep_nobody_from_its_pay_and_lose_half_of_their_seats() {
    let mut court = Court::new(five(), 11);
    let id = split(&mut court, &[F, P, F, P, P]);
    court.judge(id, &[P; 5]);
    assert_eq!(court.audit(id).finding(), Finding::Clean);
    assert_eq!(court.net.job(id).state(), JobState::Settled);
    let seat: u128 = court.audit(id).seat_uxpl.parse().unwrap();
    let half = seat / 2;
    assert_eq!(lost(&court, id), [half, 0, half, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(court.bond(PROVIDER), BOND);
}

#[test]
fn two_who_pass_a_false_claim_save_nobody_and_lose_half_of_their_seats() {
    let mut court = Court::new(five(), 11);
    let id = split(&mut court, &[P, F, P, F, F]);
    court.judge(id, &[F; 5]);
    let audit = court.audit(id);
    assert_eq!(audit.finding(), Finding::Convicted);
    assert_eq!(court.bond(PROVIDER), BOND - 20 * XPL);
    let half = audit.seat_uxpl.parse::<u128>().unwrap() / 2;
    assert_eq!(lost(&court, id), [half, 0, half, 0, 0, 0, 0, 0, 0, 0]);
    assert!(audit.seats[0].earned_uxpl.is_empty() && !audit.seats[1].earned_uxpl.is_empty());
}

#[test]
fn near_the_edge_of_the_profile_honest_jurors_may_differ() {
    let mut court = Court::new(five(), 11);
    let edge = PROFILE.margin_ppm_max;
    let measured = |pass, margin_ppm| {
        let measures = Some(Measures { margin_ppm, ..measures(true) });
        Some(Verdict { measures, ..verdict(pass) })
    };
    for (says, margin_ppm, costs) in [
        // False though all measures are within: something that every juror sees alike.
        (false, edge / 2, true),
        (false, edge * 5 / 4, false),
        (false, edge * 5 / 4 + 1, true),
        (true, edge * 3 / 4 + 1, false),
        (true, edge * 3 / 4, true),
    ] {
        let id = split(&mut court, &[P, F, P, F, F]);
        court.judge_with(id, &vec![measured(says, margin_ppm); 5]);
        let finding = if says { Finding::Clean } else { Finding::Convicted };
        assert_eq!(court.audit(id).finding(), finding);
        let paid = lost(&court, id).iter().any(|lost| *lost > 0);
        assert_eq!(paid, costs, "{says}, {margin_ppm}");
    }
}

#[test]
fn where_the_larger_jury_does_not_agree_either_nobody_is_slashed() {
    let mut court = Court::new(five(), 11);
    let payer = court.net.balance(USERS[0]);
    let id = split(&mut court, &[P, F, P, F, F]);
    court.judge(id, &[P, P, F, F, None]);
    court.end(4);
    assert_eq!(court.audit(id).finding(), Finding::Hung);
    assert_eq!(court.net.balance(USERS[0]), payer);
    assert_eq!(court.bond(PROVIDER), BOND);
    assert!(court.standing().is_audited_next);
    assert!(lost(&court, id)[..5].iter().all(|lost| *lost == 0), "nobody knows who was wrong");
}

#[test]
fn a_larger_jury_is_as_large_as_the_pool_allows_and_the_same_part_of_it_decides() {
    // Three of five; of four that are left three, of three two.
    for (jurors, says, finding) in [
        (7, &[P, P, F, P][..], Finding::Clean),
        (7, &[P, P, F, F], Finding::Hung),
        (6, &[F, P, F], Finding::Convicted),
        (6, &[F, None, F], Finding::Convicted),
    ] {
        let mut court = Court::new(numbers(), jurors);
        let id = court.judged(&[F, F, P]);
        court.appeal(id, PROVIDER, 50 * XPL).unwrap();
        court.end(3);
        court.judge(id, says);
        court.end(4);
        assert_eq!(court.audit(id).finding(), finding, "{says:?}");
    }
}

#[test]
fn who_has_seen_the_others_verdicts_does_not_choose_to_be_silent() {
    let mut court = Court::new(five(), 11);
    let id = court.audited();
    court.reveal(id);
    let jury = court.jury(id);
    let says = [false, false, true, true, true];
    for (juror, pass) in jury.iter().zip(says) {
        court.commit_as(court.commit_msg(id, *juror, pass)).unwrap();
    }
    court.end(1);
    for (juror, pass) in jury.iter().zip(says).take(3) {
        court.open_as(court.verdict_msg(id, *juror, verdict(pass))).unwrap();
    }
    court.end(6);
    court.judge(id, &[F; 5]);
    assert_eq!(court.audit(id).finding(), Finding::Convicted);
    let half = court.audit(id).seat_uxpl.parse::<u128>().unwrap() / 2;
    assert_eq!(lost(&court, id)[..5], [0, 0, half, half, half]);
}

#[test]
fn a_larger_jury_locks_the_least_where_few_can_lock_more() {
    let slash_min_uxpl = u64::try_from(900 * XPL).unwrap();
    let mut court = Court::new(AuditParams { slash_min_uxpl, ..five() }, 11);
    let id = court.audited();
    assert_eq!(court.audit(id).seat_uxpl, (300 * XPL + 95).to_string());
    let jury = court.jury(id);
    for juror in court.jurors.clone().into_iter().filter(|juror| !jury.contains(juror)) {
        court.net.withdraw(juror, 900 * XPL).unwrap();
    }
    court.reveal(id);
    court.judge(id, &[F, P, F, P, P]);
    court.end(2);
    assert_eq!(court.audit(id).state(), AuditState::Commit);
    court.judge(id, &[F; 5]);
    assert_eq!(court.audit(id).finding(), Finding::Convicted);
    assert_eq!(court.audit(id).seats[5].locked_uxpl, (10 * XPL).to_string());
    assert_ne!(court.audit(id).seats[0].locked_uxpl, court.audit(id).seats[5].locked_uxpl);
}

/// Every juror's bond but so much.
fn poor(court: &mut Court, left: u128) {
    for juror in court.jurors.clone() {
        let bond = court.bond(juror);
        court.net.withdraw(juror, bond - left).unwrap();
    }
}

#[test]
fn jurors_who_cannot_lock_what_is_at_stake_are_better_than_none() {
    let slash_min_uxpl = u64::try_from(900 * XPL).unwrap();
    let mut court = Court::new(AuditParams { slash_min_uxpl, ..numbers() }, 8);
    poor(&mut court, 200 * XPL);
    let id = court.audited();
    assert_eq!(court.jury(id).len(), 3);
    assert_eq!(
        court.audit(id).seat_uxpl,
        (10 * XPL).to_string(),
        "the least; 300 XPL would be due"
    );
    court.reveal(id);
    court.judge(id, &[F, F, F]);
    court.end(4);
    assert_eq!(court.audit(id).finding(), Finding::Convicted);
    assert_eq!(court.bond(PROVIDER), 100 * XPL);
}

#[test]
fn a_claim_without_a_jury_waits_for_one() {
    let mut court = Court::new(numbers(), 8);
    poor(&mut court, 5 * XPL);
    let id = court.claim();
    for _ in 0..30 {
        court.end_quickly();
    }
    assert_eq!(court.audit(id).state(), AuditState::Lot);
    assert!(court.net.job(id).held, "and is not paid meanwhile");
    court.check_export();
    for juror in court.jurors.clone() {
        court.net.add_bond(juror, 100 * XPL).unwrap();
    }
    for _ in 0..80 {
        court.end_quickly();
    }
    assert_ne!(court.audit(id).state(), AuditState::Lot);
    assert_eq!(court.audit(id).seats.len(), 3);
}

#[test]
fn a_claim_for_which_no_jury_comes_is_paid_and_the_next_one_is_audited() {
    let mut court = Court::new(numbers(), 8);
    poor(&mut court, 5 * XPL);
    let id = court.claim();
    for _ in 0..260 {
        court.end_quickly();
    }
    assert_eq!(court.audit(id).finding(), Finding::NoJury);
    assert_eq!(court.net.job(id).state(), JobState::Settled);
    assert!(court.standing().is_audited_next);
    let next = court.claim();
    assert_eq!(court.audit(next).reason(), AuditReason::Again);
}
