//! Readings are paid in advance: by every claim of a model, for those that are read.

use plasma_modules::token::{self, CreatePermanentLocked};
use plasma_proto::cosmos::vesting::v1beta1::MsgCreatePermanentLockedAccount;

use crate::court::*;

/// Claims until the lot selects one, and that; the others have paid for it.
fn selected(court: &mut Court) -> u64 {
    for _ in 0..60 {
        let id = court.claim();
        court.end(34);
        if audit::audit(&court.net.store, id).is_some() {
            return id;
        }
        assert_eq!(court.net.job(id).state(), JobState::Settled);
    }
    panic!("none was selected");
}

fn held(court: &Court) -> u128 {
    court.net.balance(court.purse())
}

/// A known provider whose model has paid a good deal in advance, and a claim that is selected.
fn with_full_purse() -> (Court, u64) {
    let mut court = Court::known(numbers(), 8);
    let mut paid = 0;
    for _ in 0..20 {
        let id = court.claim();
        court.end(34);
        if audit::audit(&court.net.store, id).is_some() {
            court.reveal(id);
            court.judge(id, &[None; 3]);
            court.end(4);
        }
        paid += court.fee_of(id);
    }
    assert_eq!(held(&court), paid);
    let id = selected(&mut court);
    (court, id)
}

#[test]
fn claims_that_nobody_reads_pay_for_those_that_are_read() {
    for (says, reads) in [([P, P, P], 3), ([P, None, None], 1), ([P, P, None], 2)] {
        let (mut court, id) = with_full_purse();
        let before = held(&court);
        court.reveal(id);
        court.judge(id, &says);
        court.end(20);
        let fee = court.fee_of(id);
        let there = before + fee;
        let price = court.net.job(id).charge_uxpl.parse::<u128>().unwrap() * 12 * reads / 100;
        // No more than what the claim pays in and an eighth of what is there.
        let paid = price.min(fee + there / 8);
        assert_eq!(held(&court), there - paid, "{says:?}");
        court.check_export();
    }
}

#[test]
fn of_a_false_claim_the_slash_pays_before_the_purse() {
    let (mut court, id) = with_full_purse();
    let before = held(&court);
    court.reveal(id);
    court.judge(id, &[F, F, F]);
    court.end(4);
    assert_eq!(court.audit(id).finding(), Finding::Convicted);
    assert_eq!(held(&court), before, "and its own fee is not taken");
    // Where there is next to nothing to slash, who found it is paid no less than who passes.
    let slash_min_uxpl = 1;
    let mut court = Court::known(
        AuditParams { slash_min_uxpl, detection_bps: 10_000, rate_min_bps: 10_000, ..numbers() },
        8,
    );
    let donated = 1_000;
    let purse = court.purse();
    court
        .net
        .run(USERS[1], |ctx| token::transfer(ctx, USERS[1], purse, Amount::new(donated)))
        .unwrap();
    let id = court.judged(&[F, F, F]);
    court.end(4);
    let audit = court.audit(id);
    assert_eq!((audit.finding(), audit.slashed_uxpl.as_str()), (Finding::Convicted, "1"));
    assert!(held(&court) < donated);
    assert!(audit.seats.iter().all(|seat| seat.earned_uxpl.parse::<u128>().unwrap() > 10));
}

/// Where a slash is small beside the claim, jurors get what their readings cost before the rest is burned.
#[test]
fn a_small_slash_pays_readings_before_it_burns() {
    let sure = AuditParams {
        slash_min_uxpl: 500,
        detection_bps: 10_000,
        rate_min_bps: 10_000,
        ..numbers()
    };
    let mut court = Court::known(sure, 8);
    let id = court.judged(&[F, F, F]);
    let charge: u128 = court.audit(id).charge_uxpl.parse().unwrap();
    court.end(4);
    let audit = court.audit(id);
    let cost = charge * 36 / 100;
    assert!(cost > 50, "more than a tenth of the slash");
    assert_eq!((audit.finding(), audit.slashed_uxpl.as_str()), (Finding::Convicted, "500"));
    assert_eq!(audit.shared_uxpl, (cost / 3 * 3).to_string());
}

#[test]
fn who_disputes_what_the_lot_passed_by_pays_for_it_himself() {
    let (mut court, id) = with_full_purse();
    court.reveal(id);
    court.judge(id, &[P, P, P]);
    let id = loop {
        let id = court.claim();
        let before = held(&court);
        court.dispute(id, 10 * XPL).unwrap();
        court.end(3);
        let is_of_lot = court.audit(id).is_of_lot;
        court.reveal(id);
        court.judge(id, &[P, P, P]);
        if !is_of_lot {
            assert_eq!(held(&court), before + court.fee_of(id));
            break id;
        }
    };
    assert_eq!(court.audit(id).finding(), Finding::Clean);
    assert!(
        court.audit(id).shared_uxpl.parse::<u128>().unwrap() >= 5 * XPL - 2,
        "of the lost bond"
    );
}

/// A purse is an account like others until it is first paid: what somebody locks there must not be reckoned with.
#[test]
fn money_that_is_locked_in_a_purse_stops_no_audit() {
    let mut court = Court::new(numbers(), 8);
    let purse = court.purse();
    let msg = CreatePermanentLocked::new(MsgCreatePermanentLockedAccount {
        from_address: USERS[1].text(),
        to_address: purse.text(),
        amount: vec![plasma_proto::cosmos::base::v1beta1::Coin {
            denom: "uxpl".into(),
            amount: "1000000".into(),
        }],
    })
    .unwrap();
    court.net.run(USERS[1], |ctx| token::create_permanent_locked(ctx, msg)).unwrap();
    let id = court.judged(&[P, P, P]);
    assert_eq!(court.audit(id).finding(), Finding::Clean);
    assert_eq!(held(&court), 1_000_000);
    assert_eq!(court.audit(id).shared_uxpl, (court.fee_of(id) / 3 * 3).to_string());
}
