//! Small deviations of many claims, each of which passes.

use crate::court::*;

/// A pass with so much of what the profile allows used up by A and B, and nothing by C.
fn load(bps: u32) -> Option<Verdict> {
    let measures = Measures {
        mantissa_mean_centi: PROFILE.mantissa_mean_centi_max * bps / BPS,
        projection_ppm: PROFILE.projection_ppm_max * bps / BPS,
        margin_ppm: 0,
        ..measures(true)
    };
    Some(Verdict { measures: Some(measures), ..verdict(true) })
}

fn drift(court: &Court) -> Option<Drift> {
    let request = QueryStandingRequest { operator: PROVIDER.text() };
    let view = View { store: &court.net.store, block: &court.net.block };
    let path = "/plasma.attestation.v1.Query/Standing";
    let bytes = Router::new().call(path, &view, &request.encode_to_vec()).unwrap();
    let answer = QueryStandingResponse::decode(&bytes[..]).unwrap();
    assert_eq!(answer.drift_limit_micro, 20_723_000);
    assert!(answer.drifts.len() <= 1);
    answer.drifts.into_iter().next()
}

/// A pass of a claim whose tokens are so far from the winners of their draws.
fn margin(ppm: u32) -> Option<Verdict> {
    let measures = Measures { margin_ppm: ppm, ..measures(true) };
    Some(Verdict { measures: Some(measures), ..verdict(true) })
}

fn score(court: &Court) -> u64 {
    drift(court).map_or(0, |drift| drift.score_micro)
}

/// A claim that the jury passes with this load.
fn passed(court: &mut Court, bps: u32) -> u64 {
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[load(bps), load(bps), load(bps)]);
    id
}

/// Claims with a high load, up to the one that comes to the limit.
fn drifted(court: &mut Court) -> u64 {
    for _ in 0..40 {
        let id = passed(court, 9_400);
        if court.audit(id).state() == AuditState::Appeal {
            return id;
        }
        assert_eq!(court.audit(id).finding(), Finding::Clean);
    }
    panic!("never convicted");
}

fn ended(court: &Court, id: u64) -> Audit {
    let audit = court.audit(id);
    assert_eq!(audit.state(), AuditState::Ended);
    audit
}

/// What was paid for claims since small deviations add up.
fn paid(court: &Court) -> u128 {
    drift(court).map_or(0, |drift| drift.paid_uxpl.parse().unwrap())
}

fn charge(court: &Court, id: u64) -> u128 {
    court.audit(id).charge_uxpl.parse().unwrap()
}

fn court() -> Court {
    Court::new(AuditParams { slash_min_uxpl: 1, seat_min_uxpl: 1, ..numbers() }, 10)
}

#[test]
fn what_adds_up_to_the_limit_convicts_and_costs_more_than_was_paid() {
    let mut court = court();
    passed(&mut court, 6_000);
    assert_eq!(drift(&court), None, "honest work leaves nothing behind");
    let id = drifted(&mut court);
    let audit = court.audit(id);
    assert_eq!((audit.is_drift, audit.load_bps), (true, 9_400));
    let found = drift(&court).unwrap();
    assert_eq!(
        found.audits, 12,
        "(2 * 9400 - 16500) * 1500 / 2000000 nats each, and one that waits"
    );
    assert_eq!((found.score_micro, found.audit_id), (12 * 1_725_000, id));
    court.check_export();
    let window = paid(&court);
    assert_eq!(window, 12 * charge(&court, id));
    court.end(4);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Drifted);
    assert_eq!(court.net.job(id).outcome(), Outcome::Voided);
    assert_eq!(audit.slashed_uxpl, (window * 16).div_ceil(10).to_string());
    assert_eq!(drift(&court), None, "begins anew");
    let standing = court.standing();
    assert_eq!((standing.era, standing.audits_convicted), (1, 1));
    assert_eq!(standing.clean_uxpl, "0");
    assert!(audit.seats.iter().all(|seat| seat.lost_uxpl == "0"), "they were right");
    court.check_export();
}

#[test]
fn honest_claims_between_take_away_and_none_saves_credit() {
    let mut court = court();
    for _ in 0..3 {
        passed(&mut court, 7_000);
    }
    passed(&mut court, 9_200);
    assert_eq!(score(&court), 1_425_000, "what was honest before saved nothing");
    passed(&mut court, 9_200);
    passed(&mut court, 7_600);
    assert_eq!(score(&court), 1_875_000);
    passed(&mut court, 5_000);
    assert_eq!(drift(&court), None);
}

#[test]
fn the_median_counts_and_short_claims_do_not() {
    let mut court = court();
    let id = court.audited();
    court.reveal(id);
    // One juror of three cannot move it, nor who failed the claim.
    court.judge_with(id, &[load(10_000), load(9_200), load(0)]);
    assert_eq!((court.audit(id).load_bps, score(&court)), (9_200, 1_425_000));
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[load(9_200), Some(verdict(false)), load(9_200)]);
    assert_eq!(score(&court), 2_850_000);
    let mut court = Court::new(AuditParams { drift_tokens_min: 41, ..numbers() }, 8);
    let id = passed(&mut court, 9_900);
    assert_eq!((court.audit(id).load_bps, score(&court)), (0, 0));
}

#[test]
fn a_larger_jury_measures_the_last_claim_again() {
    let mut court = court();
    // It confirms: 12 claims with 1.725 nats each, and one with a little more than the 0.023 that are missing.
    let id = drifted(&mut court);
    let before = court.net.balance(PROVIDER);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(3);
    court.judge_with(id, &[load(8_300), load(8_300), load(8_300), load(0), load(0)]);
    assert_eq!(ended(&court, id).finding(), Finding::Drifted);
    assert_eq!(court.net.balance(PROVIDER), before - 50 * XPL, "the appeal pays");
    assert_eq!(drift(&court), None);

    // It does not: the claim is paid, and goes on with what the larger jury measured.
    let id = drifted(&mut court);
    let (bond, before) = (court.bond(PROVIDER), court.net.balance(PROVIDER));
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(3);
    court.check_export();
    court.judge_with(id, &[load(8_270), load(8_270), load(8_270), load(10_000), load(10_000)]);
    assert_eq!(ended(&court, id).finding(), Finding::Clean);
    assert_eq!(court.net.job(id).state(), JobState::Settled);
    assert_eq!(court.bond(PROVIDER), bond);
    assert!(court.net.balance(PROVIDER) > before, "the bond of the appeal came back");
    let found = drift(&court).unwrap();
    assert_eq!((found.audit_id, found.audits), (0, 13));
    assert_eq!(found.score_micro, 12 * 1_725_000 + 7_500, "no more and no less");
    assert_eq!(paid(&court), 13 * charge(&court, id));

    // The next one comes to the limit; it is found false altogether.
    let id = passed(&mut court, 9_400);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(3);
    court.judge(id, &[Some(false); 5]);
    assert_eq!(ended(&court, id).finding(), Finding::Convicted);
    assert_eq!(drift(&court), None);
}

#[test]
fn while_a_claim_waits_at_the_limit_no_other_moves_the_sums() {
    let mut court =
        Court::new(AuditParams { appeal_blocks: 60, slash_min_uxpl: 1, ..numbers() }, 10);
    let first = drifted(&mut court);
    let before = drift(&court).unwrap();
    // The best and the worst that there is: neither saves the provider, nor convicts it once more.
    for bps in [0, 9_900] {
        let other = passed(&mut court, bps);
        assert_eq!(ended(&court, other).finding(), Finding::Clean);
        let now = drift(&court).unwrap();
        assert_eq!((now.score_micro, now.audit_id), (before.score_micro, first));
    }
    let bond = court.bond(PROVIDER);
    court.end(60);
    let slashed: u128 = ended(&court, first).slashed_uxpl.parse().unwrap();
    assert!(slashed > 0);
    assert_eq!(ended(&court, first).finding(), Finding::Drifted);
    assert_eq!(court.bond(PROVIDER), bond - slashed);
}

#[test]
fn an_appeal_without_a_larger_jury_saves_nobody() {
    // Three judged, three more must agree: but two of the pool leave before the draw.
    let mut court = court();
    let id = drifted(&mut court);
    let seated = court.jury(id);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    let others: Vec<Address> =
        court.jurors.iter().copied().filter(|juror| !seated.contains(juror)).collect();
    for juror in &others[2..] {
        court.leave(*juror).unwrap();
    }
    court.end(4);
    let audit = ended(&court, id);
    assert!(audit.seats.iter().all(|seat| seat.round == 0));
    assert_eq!(audit.finding(), Finding::Drifted);
}

#[test]
fn a_claim_that_a_split_jury_hands_on_is_added_up_too() {
    let mut court = Court::new(AuditParams { jury: 5, threshold: 4, ..numbers() }, 11);
    let id = court.judged(&[Some(true), Some(false), Some(true), Some(false), Some(true)]);
    court.end(2);
    assert_eq!(score(&court), 0);
    court.judge_with(id, &vec![load(9_400); 5]);
    assert_eq!(ended(&court, id).finding(), Finding::Clean);
    assert_eq!(score(&court), 1_725_000);
}

/// A disputed claim that its jury passes with this load.
fn disputed(court: &mut Court, bps: u32) -> Audit {
    let id = court.claim();
    court.dispute(id, 10 * XPL).unwrap();
    court.end(3);
    court.reveal(id);
    court.judge_with(id, &[load(bps), load(bps), load(bps)]);
    assert_eq!(court.audit(id).reason(), AuditReason::Dispute);
    ended(court, id)
}

#[test]
fn a_dispute_changes_nothing_of_which_claims_are_added_up() {
    // Of a newcomer all are, and nobody keeps one out.
    let mut court = court();
    assert!(disputed(&mut court, 9_400).is_of_lot);
    assert_eq!(score(&court), 1_725_000);

    // Of a known operator a tenth is, disputed or not.
    let once = AuditParams { decay_uxpl: 1, payer_bps: BPS, drift_false_bps: 9_999, ..numbers() };
    let mut court = Court::new(once, 10);
    passed(&mut court, 5_000);
    let mut counted = 0;
    for _ in 0..40 {
        let before = score(&court);
        let audit = disputed(&mut court, 9_000);
        assert_eq!(score(&court) > before, audit.is_of_lot);
        counted += u32::from(audit.is_of_lot);
    }
    assert!((1..=12).contains(&counted), "{counted} of 40");
}

#[test]
fn a_claim_that_the_lot_passed_over_is_not_added_by_a_dispute() {
    let once = AuditParams { decay_uxpl: 1, payer_bps: BPS, ..numbers() };
    let mut court = Court::with(once, 10, |genesis| {
        let market = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
        (market.dispute_window_blocks, market.dispute_window_s) = (200, 0);
    });
    let first = passed(&mut court, 9_400);
    let added = drift(&court).unwrap();
    assert_eq!(paid(&court), charge(&court, first));
    let id = loop {
        let id = court.claim();
        court.end(34);
        if audit::audit(&court.net.store, id).is_none() {
            break id;
        }
        court.reveal(id);
        court.judge_with(id, &[load(8_250), load(8_250), load(8_250)]);
    };
    let before = paid(&court);
    court.dispute(id, 10 * XPL).unwrap();
    court.end(3);
    court.reveal(id);
    court.judge_with(id, &[load(9_900), load(9_900), load(9_900)]);
    let audit = ended(&court, id);
    assert_eq!((audit.finding(), audit.is_of_lot, audit.rate_bps), (Finding::Clean, false, 0));
    assert_eq!(drift(&court).unwrap().score_micro, added.score_micro);
    assert_eq!(paid(&court), before, "it was counted when the lot passed it over");
}

#[test]
fn what_jurors_say_of_a_claims_length_does_not_count() {
    let mut court = Court::new(AuditParams { drift_tokens_min: 41, ..numbers() }, 8);
    let long = |says: Option<Verdict>| {
        let mut says = says.unwrap();
        says.measures.as_mut().unwrap().tokens = 1_000_000;
        Some(says)
    };
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[long(load(9_900)), long(load(9_900)), long(load(9_900))]);
    assert_eq!(drift(&court), None);
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[long(margin(19_000)), long(margin(19_000)), long(margin(19_000))]);
    assert_eq!(drift(&court).unwrap().margin_score_micro, 1_368_000 - 278_545);
}

#[test]
fn another_profile_begins_anew() {
    let mut court = court();
    passed(&mut court, 9_200);
    passed(&mut court, 9_200);
    assert_eq!(score(&court), 2_850_000);
    let wider = Profile { margin_ppm_max: 21_000, ..PROFILE };
    court.set_profile(wider).unwrap();
    let hash = profile_hash(&court.model(), &wider);
    for juror in court.jurors.clone() {
        court.join_for(juror, hash).unwrap();
    }
    passed(&mut court, 9_200);
    let found = drift(&court).unwrap();
    assert_eq!((found.score_micro, found.audits), (1_425_000, 1));
    assert_eq!(found.profile_hash, hash);
}

/// Claims of which each passes, with tokens that were taken too easily.
fn lenient(court: &mut Court) -> u64 {
    for _ in 0..40 {
        let id = court.audited();
        court.reveal(id);
        court.judge_with(id, &[margin(19_000), margin(19_000), margin(19_000)]);
        if court.audit(id).state() == AuditState::Appeal {
            return id;
        }
        assert_eq!(court.audit(id).finding(), Finding::Clean);
    }
    panic!("never convicted");
}

#[test]
fn near_misses_of_tokens_add_up_whatever_the_weights() {
    let mut court = court();
    let id = lenient(&mut court);
    let audit = court.audit(id);
    assert!(audit.is_drift);
    let found = drift(&court).unwrap();
    assert_eq!(found.score_micro, 0, "A and B are perfect");
    // 40 tokens: 0.75 * 96 * 0.019 nats less 1.7409 * 0.004 * 40.
    let step = 1_368_000 - 278_545;
    assert_eq!((found.audits, found.margin_score_micro), (19, 19 * step));
    court.check_export();
    // A larger jury for which the tokens win their draws: 0.023 nats are missing.
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(3);
    court
        .judge_with(id, &[margin(4_000), margin(4_000), margin(4_000), load(10_000), load(10_000)]);
    assert_eq!(ended(&court, id).finding(), Finding::Clean);
    assert_eq!(drift(&court).unwrap().margin_score_micro, 19 * step + 288_000 - 278_545);

    let id = lenient(&mut court);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(3);
    court.judge_with(id, &[margin(5_000), margin(5_000), margin(5_000), load(0), load(0)]);
    assert_eq!(ended(&court, id).finding(), Finding::Drifted);
}

/// A requester that looks for prompts after which an honest kernel takes another token than the jurors' cannot have its provider
/// convicted by asking again and again: only what the beacon draws adds up.
#[test]
fn margins_count_only_where_the_beacon_draws() {
    let mut court = court();
    let drawn = court.sampling;
    for sampling in [
        Sampling { temperature_milli: 0, top_p_milli: 1_000, ..drawn },
        Sampling { temperature_milli: 699, ..drawn },
        Sampling { top_p_milli: 899, ..drawn },
    ] {
        court.sampling = sampling;
        let id = court.audited();
        court.reveal(id);
        court.judge_with(id, &[margin(19_000), margin(19_000), margin(19_000)]);
        assert_eq!(court.audit(id).finding(), Finding::Clean);
        assert_eq!(drift(&court), None, "{sampling:?}");
        // Activations count all the same.
        passed(&mut court, 9_200);
        assert_eq!(drift(&court).unwrap().margin_score_micro, 0);
        passed(&mut court, 0);
        assert_eq!(drift(&court), None);
    }
    court.sampling = Sampling { temperature_milli: 700, top_p_milli: 900, ..drawn };
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[margin(19_000), margin(19_000), margin(19_000)]);
    assert!(drift(&court).unwrap().margin_score_micro > 0);
}

#[test]
fn short_claims_count_token_by_token() {
    let mut court = Court::new(AuditParams { drift_tokens_min: 41, ..numbers() }, 8);
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[margin(19_000), margin(19_000), margin(19_000)]);
    assert_eq!((court.audit(id).load_bps, score(&court)), (0, 0));
    assert_eq!(drift(&court).unwrap().margin_score_micro, 1_368_000 - 278_545);
}

#[test]
fn the_nearer_the_limit_the_more_is_audited() {
    // One clean claim makes an operator a known one, and one high load brings it nearly a quarter of the way.
    let once = AuditParams { decay_uxpl: 1, payer_bps: BPS, drift_noise_bps: 600, ..numbers() };
    let mut court = Court::new(once, 10);
    passed(&mut court, 9_400);
    assert_eq!(score(&court), 4_791_666);
    let id = court.claim();
    assert_eq!(court.audit(id).rate_bps, 2_312);
    let mut court = Court::new(once, 10);
    passed(&mut court, 7_000);
    let id = court.claim();
    assert_eq!(court.audit(id).rate_bps, 1_000);
}

#[test]
fn while_a_claim_waits_at_the_limit_any_conviction_costs_all_of_it() {
    let mut court =
        Court::new(AuditParams { appeal_blocks: 60, slash_min_uxpl: 1, ..numbers() }, 10);
    drifted(&mut court);
    let wanted = (paid(&court) * 16).div_ceil(10);
    let id = court.audited();
    // It shows no evidence.
    court.end(8);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Hidden);
    assert_eq!(audit.slashed_uxpl, wanted.to_string());
}

#[test]
fn other_convictions_cost_as_much_of_it_as_adds_up() {
    let mut court = court();
    for _ in 0..7 {
        passed(&mut court, 9_400);
    }
    let part = u128::from(score(&court)) * 10_000 / 20_723_000;
    assert_eq!(part, 5_826);
    let window = (paid(&court) * part).div_ceil(10_000);
    let id = court.audited();
    court.reveal(id);
    court.judge(id, &[Some(false); 3]);
    court.end(4);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Convicted);
    assert_eq!(audit.slashed_uxpl, (window * 16).div_ceil(10).to_string());
    assert_eq!(drift(&court), None);
}
