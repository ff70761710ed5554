use crate::court::*;

fn ended(court: &Court, id: u64) -> Audit {
    let audit = court.audit(id);
    assert_eq!(audit.state(), AuditState::Ended);
    audit
}

#[test]
fn a_claim_found_clean_is_paid_and_its_jurors_share_the_fee() {
    let mut court = Court::new(numbers(), 8);
    let before = court.net.balance(PROVIDER);
    let supply = court.net.supply();
    let id = court.claim();
    court.check_export();
    assert!(court.net.job(id).held);
    court.end(20);
    assert_eq!(court.audit(id).finding(), Finding::Hidden, "nobody showed anything");

    let id = court.audited();
    assert_eq!(court.audit(id).leaves, [0, 1, 2]);
    let jury = court.jury(id);
    let locked = court.net.provider(jury[0]).unwrap().duty_locked_uxpl;
    assert_eq!(locked, court.audit(id).seat_uxpl);
    court.check_export();
    court.reveal(id);
    court.check_export();
    court.judge(id, &[P, P, P]);
    court.check_export();
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Clean);
    let job = court.net.job(id);
    assert_eq!(job.state(), JobState::Settled);
    let charge: u128 = job.charge_uxpl.parse().unwrap();
    let fee = charge / 10;
    assert_eq!(job.payout.as_ref().unwrap().audit_uxpl, fee.to_string());
    for seat in &audit.seats {
        assert_eq!(
            (seat.earned_uxpl.clone(), seat.lost_uxpl.as_str()),
            ((fee / 3).to_string(), "0")
        );
        let juror = Address::parse(&seat.juror).unwrap();
        assert_eq!(court.net.provider(juror).unwrap().duty_locked_uxpl, "0");
    }
    let earned: u128 = job.payout.unwrap().provider_uxpl.parse().unwrap();
    assert_eq!(court.net.balance(PROVIDER), before + earned);
    assert_eq!(court.standing().clean_uxpl, charge.to_string());
    assert_eq!(court.standing().era, 1, "it was convicted once");
    assert!(court.net.supply() < supply);
}

#[test]
fn a_cheat_is_voided_refunded_and_slashed() {
    let mut court = Court::new(numbers(), 8);
    let payer = court.net.balance(USERS[0]);
    let id = court.judged(&[F, P, F]);
    assert_eq!(court.audit(id).state(), AuditState::Appeal);
    assert_eq!(court.bond(PROVIDER), BOND, "not before the time to appeal is over");
    court.check_export();
    court.end(4);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Convicted);
    assert_eq!(audit.slashed_uxpl, (20 * XPL).to_string());
    assert_eq!(court.bond(PROVIDER), BOND - 20 * XPL);
    let job = court.net.job(id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::Voided));
    assert_eq!(court.net.balance(USERS[0]), payer, "no duty fee was paid");
    // A tenth of the slash, to those who found it.
    let earned: Vec<_> = audit.seats.iter().map(|seat| seat.earned_uxpl.as_str()).collect();
    assert_eq!(earned, ["1000000", "", "1000000"]);
    let Standing { era, audits_convicted, .. } = court.standing();
    assert_eq!((era, audits_convicted), (1, 1));
}

/// The delay of a withdrawal is over long before the audit is: what was asked back still pays.
#[test]
fn nobody_takes_its_bond_home_while_its_claim_is_judged() {
    let slash_min_uxpl = u64::try_from(900 * XPL).unwrap();
    let mut court = Court::with(AuditParams { slash_min_uxpl, ..numbers() }, 8, |genesis| {
        let params = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
        (params.unbond_blocks, params.unbond_s) = (1, 0);
    });
    let id = court.claim();
    let before = court.net.balance(PROVIDER);
    court.net.withdraw(PROVIDER, BOND - 2 * XPL).unwrap();
    court.end(3);
    court.check_export();
    court.reveal(id);
    court.judge(id, &[F, F, F]);
    assert_eq!(court.net.balance(PROVIDER), before, "due, and not paid");
    court.end(4);
    assert_eq!(ended(&court, id).finding(), Finding::Convicted);
    assert_eq!(court.bond(PROVIDER), 100 * XPL);
    court.end(12);
    assert_eq!(court.bond(PROVIDER), 0);
    assert_eq!(court.net.balance(PROVIDER), before + 100 * XPL, "what is left");
}

/// Its own dear jobs lock all that it has: what convicts it takes that as well.
#[test]
fn nobody_hides_its_bond_under_its_own_jobs() {
    let slash_min_uxpl = u64::try_from(900 * XPL).unwrap();
    let mut court = Court::new(AuditParams { slash_min_uxpl, ..numbers() }, 8);
    let id = court.claim();
    let model = court.net.model();
    let dear = Ask { output_uxpl_per_mtok: 1_000_000_000_000, ..ask(&model, 16) };
    court.net.update(update_of(PROVIDER, vec![dear])).unwrap();
    for _ in 0..8 {
        let own = MsgSubmitJob {
            max_tokens: 200,
            max_fee_uxpl: (300 * XPL).to_string(),
            ..job_for(PROVIDER, &model)
        };
        court.net.submit(own).unwrap();
    }
    court.end(3);
    let free = market::free_bond(&court.net.store, PROVIDER).units();
    assert!(free < 250 * XPL, "{free} of {BOND} is free");
    court.reveal(id);
    court.judge(id, &[F, F, F]);
    court.end(4);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Convicted);
    assert_eq!(audit.slashed_uxpl, (900 * XPL).to_string());
    assert_eq!(court.bond(PROVIDER), 100 * XPL);
    court.check_export();
    assert_eq!(market::free_bond(&court.net.store, PROVIDER), Amount::ZERO);
    refused(court.net.withdraw(PROVIDER, 1), "market", 13);
}

#[test]
fn what_is_not_shown_in_time_is_false() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    let msg = court.reveal_msg(id);
    // The chain stalls: the height has not come, so the window is still open.
    court.net.block.time_s += 1_000;
    court.end(2);
    assert_eq!(court.audit(id).state(), AuditState::Reveal);
    court.end(1);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Hidden);
    assert_eq!(court.bond(PROVIDER), BOND - 20 * XPL);
    assert!(audit.seats.iter().all(|seat| seat.lost_uxpl == "0"), "jurors had nothing to judge");
    refused(court.reveal_as(msg), "audit", 20);
}

#[test]
fn silent_jurors_pay_and_the_claim_is_settled() {
    let mut court = Court::new(numbers(), 8);
    let id = court.judged(&[P, None, None]);
    // The verdicts' window must pass too: a commitment may come to be opened up to its end.
    court.end(4);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Silent);
    let seat: u128 = audit.seat_uxpl.parse().unwrap();
    for (at, seat_of) in audit.seats.iter().enumerate() {
        let lost = if at == 0 { 0 } else { seat / 10 };
        assert_eq!(seat_of.lost_uxpl, lost.to_string());
        assert_eq!(court.bond(Address::parse(&seat_of.juror).unwrap()), BOND - lost);
    }
    let fee = court.fee_of(id);
    assert_eq!(audit.seats[0].earned_uxpl, (2 * (seat / 10) + fee).to_string(), "who spoke has it");
    court.end(20);
    assert_eq!(court.net.job(id).state(), JobState::Settled);
    assert_eq!(court.net.balance(court.purse()), 0);
}

#[test]
fn who_committed_and_does_not_open_is_silent() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    court.reveal(id);
    let jury = court.jury(id);
    for juror in &jury {
        court.commit_as(court.commit_msg(id, *juror, true)).unwrap();
    }
    court.end(1);
    court.open_as(court.verdict_msg(id, jury[0], verdict(true))).unwrap();
    court.open_as(court.verdict_msg(id, jury[1], verdict(true))).unwrap();
    court.end(4);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Clean);
    assert_ne!(audit.seats[2].lost_uxpl, "0");
}

#[test]
fn a_jury_that_cannot_agree_voids_and_the_next_claim_is_audited() {
    let mut court = Court::new(AuditParams { jury: 5, threshold: 4, ..numbers() }, 7);
    let payer = court.net.balance(USERS[0]);
    let id = court.judged(&[P, F, P, F, P]);
    assert_eq!(court.audit(id).state(), AuditState::Appeal, "a larger jury is to judge");
    court.end(3);
    let audit = ended(&court, id);
    assert_eq!((audit.finding(), audit.seats.len()), (Finding::Hung, 5), "too few for one");
    assert_eq!(court.net.job(id).outcome(), Outcome::Voided);
    assert_eq!(court.net.balance(USERS[0]), payer);
    assert_eq!(court.bond(PROVIDER), BOND, "nobody is slashed");
    assert!(court.standing().is_audited_next);
    let next = court.claim();
    assert_eq!(court.audit(next).reason(), AuditReason::Again);
    assert!(!court.standing().is_audited_next);
}

#[test]
fn a_larger_jury_overturns_and_who_was_wrong_pays() {
    let mut court = Court::new(numbers(), 9);
    let before = court.net.balance(PROVIDER);
    let id = court.judged(&[F, F, P]);
    let first = court.jury(id);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.check_export();
    court.end(3);
    assert_eq!(court.audit(id).state(), AuditState::Commit);
    let second = court.jury(id);
    assert_eq!(second.len(), 5);
    assert!(second.iter().all(|juror| !first.contains(juror)), "none that judged before");
    court.judge(id, &[P, P, F, P, P]);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Clean);
    assert_eq!(court.net.job(id).state(), JobState::Settled);
    assert!(court.net.balance(PROVIDER) > before, "the bond came back");
    let seat: u128 = audit.seat_uxpl.parse().unwrap();
    let lost: Vec<u128> = audit.seats.iter().map(|seat| seat.lost_uxpl.parse().unwrap()).collect();
    assert_eq!(lost, [seat / 2, seat / 2, 0, 0, 0, 0, 0, 0]);
    assert_eq!(court.bond(PROVIDER), BOND);
}

#[test]
fn a_larger_jury_confirms_and_the_appeal_pays() {
    let mut court = Court::new(numbers(), 9);
    let before = court.net.balance(PROVIDER);
    let id = court.judged(&[F, F, P]);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(3);
    court.judge(id, &[F, F, F, P, P]);
    assert_eq!(ended(&court, id).finding(), Finding::Convicted);
    assert_eq!(court.net.balance(PROVIDER), before - 50 * XPL);
    assert_eq!(court.bond(PROVIDER), BOND - 20 * XPL);
    let id = court.judged(&[F, F, P]);
    court.appeal(id, PROVIDER, 50 * XPL).unwrap();
    court.end(3);
    court.judge(id, &[P, P, F, F, None]);
    court.end(4);
    assert_eq!(ended(&court, id).finding(), Finding::Hung, "silence does not make it clean");
    assert_eq!(court.bond(PROVIDER), BOND - 20 * XPL);
}

#[test]
fn the_loser_of_a_dispute_pays() {
    let mut court = Court::new(numbers(), 8);
    let id = court.claim();
    let (disputer, provider) = (court.net.balance(DISPUTER), court.net.balance(PROVIDER));
    court.dispute(id, 10 * XPL).unwrap();
    refused(court.dispute(id, 10 * XPL), "audit", 17);
    court.end(3);
    assert_eq!(court.audit(id).reason(), AuditReason::Dispute);
    court.check_export();
    court.reveal(id);
    court.judge(id, &[P, P, F]);
    assert_eq!(ended(&court, id).finding(), Finding::Clean);
    assert_eq!(court.net.balance(DISPUTER), disputer - 10 * XPL);
    assert!(court.net.balance(PROVIDER) > provider + 5 * XPL, "half of the bond");
    assert!(ended(&court, id).shared_uxpl.parse::<u128>().unwrap() >= 5 * XPL - 1);

    let id = court.claim();
    court.dispute(id, 10 * XPL).unwrap();
    court.end(3);
    court.reveal(id);
    court.judge(id, &[F, F, F]);
    court.end(4);
    assert_eq!(ended(&court, id).finding(), Finding::Convicted);
    assert_eq!(court.net.balance(DISPUTER), disputer - 10 * XPL + 2 * XPL, "a tenth of the slash");
}

#[test]
fn a_claim_that_no_beacon_selected_can_be_disputed() {
    let mut court = Court::known(numbers(), 8);
    let id = loop {
        let id = court.claim();
        assert_eq!(court.audit(id).reason(), AuditReason::Lot);
        court.end(34);
        if audit::audit(&court.net.store, id).is_none() {
            break id;
        }
        court.reveal(id);
        court.judge(id, &[P, P, P]);
    };
    assert_eq!(court.net.job(id).state(), JobState::Settled, "as if nothing had been");
    refused(court.dispute(id, 10 * XPL), "audit", 15);
}

#[test]
fn of_a_known_provider_a_tenth_is_audited() {
    let mut court = Court::known(numbers(), 8);
    let mut audited = 0;
    for at in 0..120 {
        let id = court.claim_of(USERS[at % 3]);
        for _ in 0..34 {
            court.end_quickly();
        }
        if audit::audit(&court.net.store, id).is_some() {
            audited += 1;
            court.reveal(id);
            court.judge(id, &[P, P, P]);
        }
        assert_eq!(court.net.job(id).state(), JobState::Settled);
    }
    chain::check_invariants(&court.net.store).unwrap();
    assert!((5..=22).contains(&audited), "{audited} of 120");
}

/// Claims of one block: for as many jobs as a block assigns.
fn claims(court: &mut Court) -> [u64; 4] {
    let model = court.net.model();
    let ids = [0, 1, 2, 0].map(|at| court.net.submit(job_for(USERS[at], &model)).unwrap());
    court.end(2);
    for id in &ids {
        let mut msg = court.net.answer(&court.net.job(*id), 40);
        msg.receipt.as_mut().unwrap().fingerprint_root = evidence_root(&names(&leaves(*id))).into();
        court.net.receipt(PROVIDER, signed(msg, PROVIDER)).unwrap();
    }
    ids
}

#[test]
fn claims_that_are_not_selected_never_wait_for_those_that_are() {
    let mut court = Court::known(AuditParams { steps_per_block_max: 1, ..numbers() }, 8);
    let ids = claims(&mut court);
    court.end(34);
    let audits: Vec<_> = ids.iter().filter_map(|id| audit::audit(&court.net.store, *id)).collect();
    assert!(audits.len() < 3, "{} of 4", audits.len());
    for id in ids {
        let is_audited = audits.iter().any(|audit| audit.id == id);
        let state = court.net.job(id).state();
        assert_eq!(state, if is_audited { JobState::Delivered } else { JobState::Settled });
    }
}

#[test]
fn a_conviction_reaches_the_claims_that_wait() {
    let mut court = Court::known(numbers(), 8);
    let ids = claims(&mut court);
    court.dispute(ids[0], 10 * XPL).unwrap();
    court.end(3);
    court.reveal(ids[0]);
    court.judge(ids[0], &[F, F, F]);
    court.end(4);
    assert_eq!(court.audit(ids[0]).finding(), Finding::Convicted);
    assert_eq!(court.net.provider(PROVIDER).unwrap().failure_bps, 10_000, "others are preferred");
    court.end(30);
    for id in &ids[1..] {
        let audit = court.audit(*id);
        assert_eq!((audit.reason(), audit.rate_bps), (AuditReason::Lot, 1_000));
        assert_eq!(audit.finding(), Finding::Hidden, "selected, and nobody showed its evidence");
    }
}

#[test]
fn whoever_has_more_at_risk_than_its_bond_carries_is_audited() {
    let numbers =
        AuditParams { kappa_bps: 100_000, rate_min_bps: 100, detection_bps: 1_000, ..numbers() };
    let mut court = Court::known(numbers, 8);
    // A thousandth is found, and a slash is ten times what is needed: 10,000 times the value must be bond.
    let free: u128 = court.bond(PROVIDER);
    court.net.withdraw(PROVIDER, free - 2 * XPL).unwrap();
    let id = court.claim();
    assert_eq!(court.audit(id).reason(), AuditReason::Risk);
    assert_eq!(court.audit(id).due_height, court.net.block.height + 2);
}

#[test]
fn of_an_unverified_model_nothing_is_audited() {
    let mut court = Court::new(numbers(), 6);
    let juror = court.jurors[0];
    court.leave(juror).unwrap();
    let id = court.claim();
    assert!(audit::audit(&court.net.store, id).is_none());
    assert!(!court.net.job(id).held);
    refused(court.dispute(id, 10 * XPL), "audit", 16);
    court.join(juror).unwrap();
    let id = court.claim();
    assert!(court.net.job(id).held);
    // It ceases to be one before the jury is drawn.
    court.leave(juror).unwrap();
    court.end(3);
    assert_eq!(court.audit(id).finding(), Finding::NoJury);
    court.end(20);
    assert_eq!(court.net.job(id).state(), JobState::Settled);
}

#[test]
fn another_profile_of_a_verified_model_waits_for_its_jurors() {
    let mut court = Court::new(numbers(), 8);
    let wider = Profile { margin_ppm_max: 21_000, ..PROFILE };
    let other = profile_hash(&court.model(), &wider);
    let pool_min = numbers().pool_min;
    let stands = |court: &Court| audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert!(!court.set_profile(wider).unwrap().stands);
    refused(court.set_profile(wider), "audit", 6);
    // Claims are audited by the profile that stands, and not one of them goes by.
    let id = court.audited();
    assert_eq!(court.audit(id).profile, Some(PROFILE));
    let jurors = court.jurors.clone();
    for (joined, juror) in (0..pool_min).zip(&jurors) {
        let before = stands(&court);
        assert_eq!((before.profile, before.members), (Some(PROFILE), 8), "after {joined}");
        assert_eq!(before.proposal.unwrap().members, joined);
        court.join_for(*juror, other).unwrap();
        refused(court.join_for(*juror, other), "audit", 11);
        court.end(1);
    }
    let now = stands(&court);
    assert_eq!((now.profile, now.proposal.clone()), (Some(wider), None));
    assert_eq!(now.members, pool_min, "those who moved");
    assert_eq!(court.audit(id).profile, Some(PROFILE), "an audit keeps its own");
    let id = court.audited();
    assert_eq!(court.audit(id).profile, Some(wider));
    // Who stayed behind joins, and is in no other pool then.
    refused(court.join(jurors[7]), "audit", 7);
    court.join_for(jurors[7], other).unwrap();
    court.end(1);
    // A profile that comes back finds nobody who was in its pool before.
    assert!(!court.set_profile(PROFILE).unwrap().stands);
    assert_eq!(stands(&court).proposal.unwrap().members, 0);
    court.join(jurors[0]).unwrap();
    court.end(1);
    assert_eq!((stands(&court).profile, stands(&court).members), (Some(wider), pool_min + 1));
}

#[test]
fn strangers_do_not_replace_a_profile() {
    let mut court = Court::new(numbers(), 14);
    let strangers = court.jurors.split_off(8);
    for stranger in &strangers {
        court.leave(*stranger).unwrap();
    }
    let wider = Profile { margin_ppm_max: 21_000, ..PROFILE };
    let other = profile_hash(&court.model(), &wider);
    court.set_profile(wider).unwrap();
    // Enough for a verified model, but none of those who judge it now.
    assert!(strangers.len() >= numbers().pool_min as usize);
    for stranger in &strangers {
        court.join_for(*stranger, other).unwrap();
    }
    let stands = audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert_eq!((stands.profile, stands.members), (Some(PROFILE), 8));
    // What stands, set again, withdraws the proposal.
    assert!(court.set_profile(PROFILE).unwrap().stands);
    let stands = audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert_eq!((stands.members, stands.proposal), (8, None));
    refused(court.set_profile(PROFILE), "audit", 6);
    refused(court.join_for(court.jurors[0], other), "audit", 7);
    // Consent to a proposal that was withdrawn is none to the next.
    court.set_profile(wider).unwrap();
    let stands = audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert_eq!(stands.proposal.unwrap().members, 0);
    for stranger in &strangers {
        court.join_for(*stranger, other).unwrap();
    }
    // Those who judged leave one by one: at last there is nobody left to be asked.
    for juror in court.jurors.clone() {
        let stands = audit::model_profile(&court.net.store, &court.model()).unwrap();
        assert_eq!(stands.profile, Some(PROFILE));
        court.leave(juror).unwrap();
        court.end(1);
    }
    let stands = audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert_eq!((stands.profile, stands.members as usize), (Some(wider), strangers.len()));
}

#[test]
fn no_single_bond_replaces_a_profile() {
    let mut court = Court::new(numbers(), 14);
    let strangers = court.jurors.split_off(8);
    for stranger in &strangers {
        court.leave(*stranger).unwrap();
    }
    // Ninety-nine times what all others have.
    let rich = court.jurors[0];
    court.net.add_bond(rich, 99 * 7 * BOND).unwrap();
    let wider = Profile { margin_ppm_max: 21_000, ..PROFILE };
    let other = profile_hash(&court.model(), &wider);
    court.set_profile(wider).unwrap();
    for operator in strangers.into_iter().chain([rich]) {
        court.join_for(operator, other).unwrap();
    }
    let stands = |court: &Court| audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert_eq!(stands(&court).profile, Some(PROFILE));
    court.end(1);
    // With the operators that a verdict would need it does.
    for operator in &court.jurors.clone()[1..6] {
        assert_eq!(stands(&court).profile, Some(PROFILE));
        court.join_for(*operator, other).unwrap();
    }
    assert_eq!(stands(&court).profile, Some(wider));
    court.end(1);
}

#[test]
fn only_a_model_that_never_was_verified_has_another_profile_at_once() {
    let wider = Profile { margin_ppm_max: 21_000, ..PROFILE };
    let few = numbers().pool_min as u8 - 1;
    let mut court = Court::new(numbers(), few);
    assert!(court.set_profile(wider).unwrap().stands);
    let stands = audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert_eq!((stands.profile, stands.members, stands.proposal), (Some(wider), 0, None));
    court.end(1);
    // One juror of a pool that was just large enough cannot undo the others' say by leaving.
    let mut court = Court::new(numbers(), few + 1);
    court.leave(court.jurors[0]).unwrap();
    assert!(!court.set_profile(wider).unwrap().stands);
    let stands = audit::model_profile(&court.net.store, &court.model()).unwrap();
    assert_eq!((stands.profile, stands.members), (Some(PROFILE), u32::from(few)));
    court.end(1);
}

#[test]
fn the_money_of_carriers_comes_back_as_far_as_the_fee_goes() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    court.net.fee_units = 3;
    let carrier = court.net.balance(USERS[2]);
    court.reveal(id);
    court.judge(id, &[P, P, P]);
    let audit = ended(&court, id);
    assert_eq!(court.net.balance(USERS[2]), carrier + 7 * 3);
    let fee: u128 = court.net.job(id).payout.unwrap().audit_uxpl.parse().unwrap();
    assert_eq!(audit.seats[0].earned_uxpl, ((fee - 21) / 3).to_string());
}

/// Passes that were not looked for: nothing answered, or something guessed.
fn lazy(answer: Vec<u8>) -> Option<Verdict> {
    Some(Verdict { answer, ..verdict(true) })
}

#[test]
fn who_passes_without_looking_is_as_silent_and_pays() {
    let mut court = Court::new(AuditParams { jury: 5, threshold: 3, ..numbers() }, 8);
    let id = court.audited();
    assert!(court.audit(id).question.is_empty(), "nobody knows it before");
    court.reveal(id);
    assert_eq!(court.audit(id).question.len(), 32);
    let guess = (0..32u16).flat_map(|at| (0x6400 | (900 - at * 20)).to_be_bytes()).collect();
    let fails = |noise| Some(Verdict { answer: answer(noise), ..verdict(false) });
    court.judge_with(id, &[fails(0), lazy(guess), fails(90), lazy(vec![]), fails(20)]);
    assert_eq!(court.audit(id).state(), AuditState::Appeal);
    court.check_export();
    court.end(4);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Convicted, "noise of kernels is near enough");
    let marks: Vec<_> = audit.seats.iter().map(|seat| seat.has_not_looked).collect();
    assert_eq!(marks, [false, true, false, true, false]);
    let seat: u128 = audit.seat_uxpl.parse().unwrap();
    for seat_of in &audit.seats {
        let lost = if seat_of.has_not_looked { seat / 10 } else { 0 };
        assert_eq!(seat_of.lost_uxpl, lost.to_string());
        assert_eq!(seat_of.earned_uxpl.is_empty(), seat_of.has_not_looked);
    }
}

#[test]
fn of_an_honest_claim_who_did_not_look_earns_nothing_either() {
    let mut court = Court::new(numbers(), 8);
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[Some(verdict(true)), lazy(vec![]), Some(verdict(true))]);
    let audit = ended(&court, id);
    assert_eq!(audit.finding(), Finding::Clean);
    assert_eq!((audit.seats[1].has_not_looked, audit.seats[1].earned_uxpl.as_str()), (true, ""));
    assert_ne!(audit.seats[1].lost_uxpl, "0");
    // Where fewer than decide are near each other nobody knows who looked: nobody is marked.
    let id = court.audited();
    court.reveal(id);
    court.judge_with(id, &[Some(verdict(true)), lazy(vec![]), None]);
    court.end(4);
    assert_eq!(ended(&court, id).finding(), Finding::Clean);
    assert!(ended(&court, id).seats.iter().all(|seat| !seat.has_not_looked));
}
