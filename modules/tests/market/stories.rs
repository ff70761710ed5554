//! What happens to jobs, bonds and offers, from beginning to end.

use plasma_modules::{Pair, Read as _, Table, Write as _};

use crate::net::*;

#[test]
fn a_job_from_submission_to_the_last_uxpl() {
    let mut net = Net::open(params());
    net.fee_units = 7_000;
    let (supply, before) = (net.supply(), MONEY_MOVERS.map(|who| net.balance(who)));
    let job = net.assigned();
    assert_eq!(job.attempt, 1);
    let operator = Address::parse(&job.provider).unwrap();
    let locked = Amount::stored(&job.bond_locked_uxpl).units();
    // 2 * (31 + 32) + 6 * 64 + the duty fee's limit, all of it locked.
    assert_eq!(locked, 126 + 384 + 20_000);
    assert_eq!(net.provider(operator).unwrap().locked_uxpl, locked.to_string());

    let answer = net.answer(&job, 64);
    net.receipt(operator, answer.clone()).unwrap();
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Delivered, Outcome::Ok));
    // 20 * 2 + 5 * 0.5 + 64 * 6, rounded up.
    assert_eq!((job.charge_uxpl.as_str(), job.duty_fee_uxpl.as_str()), ("427", "7000"));
    assert_eq!(market::payload(&net.store, job.id).unwrap().output, answer.output);
    assert_eq!(
        market::offer(&net.store, &job.model_id.clone().try_into().unwrap(), operator)
            .unwrap()
            .busy,
        0
    );
    assert_eq!(net.provider(operator).unwrap().locked_uxpl, locked.to_string(), "until settlement");

    net.end(3, 6);
    assert_eq!(net.job(job.id).state(), JobState::Delivered);
    net.end(1, 6);
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Settled, Outcome::Ok));
    assert_eq!(job.refund_uxpl, (100_000 - 427 - 7_000).to_string());
    // Shares of 427: burn 34, stakers 12, royalty 8, referral 4, community 4; the rest provides.
    let payout = Payout {
        provider_uxpl: "365".into(),
        burn_uxpl: "34".into(),
        stakers_uxpl: "12".into(),
        royalty_uxpl: "8".into(),
        referral_uxpl: "4".into(),
        community_uxpl: "4".into(),
        audit_uxpl: "0".into(),
    };
    assert_eq!(job.payout, Some(payout));
    assert_eq!(net.supply(), supply - 34);
    let moved: BTreeMap<Address, i128> = MONEY_MOVERS
        .iter()
        .zip(before)
        .map(|(who, before)| {
            (*who, i128::try_from(net.balance(*who)).unwrap() - i128::try_from(before).unwrap())
        })
        .filter(|(_, moved)| *moved != 0)
        .collect();
    let expected = [(USERS[0], -7_427), (REFERRAL, 4), (PUBLISHER, 8), (operator, 7_000 + 365)];
    assert_eq!(moved, BTreeMap::from(expected));
    let provider = net.provider(operator).unwrap();
    assert_eq!((provider.locked_uxpl.as_str(), provider.jobs_settled), ("0", 1));
    assert_eq!(provider.earned_uxpl, "365");

    assert!(market::payload(&net.store, job.id).is_some());
    net.end(4, 1);
    assert!(market::payload(&net.store, job.id).is_none(), "forgotten");
    assert_eq!(attestation::receipt(&net.store, job.id).unwrap().receipt, answer.receipt);
}

#[test]
fn a_job_keeps_the_beacon_that_seeds_its_sampling() {
    let mut net = Net::open(params());
    let id = net.submit(job_for(USERS[0], &net.model())).unwrap();
    assert!(net.job(id).assigned_beacon.is_empty());
    net.end(1, 1);
    let beacon = net.block.beacon;
    net.end(1, 1);
    let first = net.job(id);
    assert_eq!((first.state(), first.attempt), (JobState::Assigned, 1));
    assert_eq!(first.assigned_beacon, beacon);
    let operator = Address::parse(&first.provider).unwrap();
    net.decline(declination(&first, operator)).unwrap();
    net.end(2, 1);
    let second = net.job(id);
    assert_eq!((second.state(), second.attempt), (JobState::Assigned, 2));
    let seed = |job: &Job| attestation::sampling_seed(&job.assigned_beacon, job.id, 1);
    assert_ne!(seed(&first), seed(&second), "another assignment, other draws");
    net.receipt(USERS[1], net.answer(&second, 64)).unwrap();
    assert_eq!(net.job(id).assigned_beacon, second.assigned_beacon);
}

#[test]
fn stop_needs_stop_strings() {
    let mut net = Net::open(params());
    let msg = MsgSubmitJob { stop: vec![], ..job_for(USERS[0], &net.model()) };
    let id = net.submit(msg).unwrap();
    net.end(2, 1);
    let job = net.job(id);
    let operator = Address::parse(&job.provider).unwrap();
    let mut msg = net.answer(&job, 10);
    msg.receipt.as_mut().unwrap().finish_reason = FinishReason::Stop.into();
    refused(net.receipt(operator, signed(msg, operator)), "attestation", 22);
}

#[test]
fn declined_by_all_is_refunded_as_refused() {
    let mut net = Net::open(params());
    let id = net.assigned().id;
    let mut seen = vec![];
    for attempt in 1..=3 {
        let job = net.job(id);
        assert_eq!((job.state(), job.attempt), (JobState::Assigned, attempt));
        let operator = Address::parse(&job.provider).unwrap();
        assert!(!seen.contains(&operator), "nobody is asked twice");
        seen.push(operator);
        let stranger = OPERATORS.into_iter().find(|other| *other != operator).unwrap();
        refused(net.decline(declination(&job, stranger)), "market", 29);
        let stale = Job { attempt: attempt + 1, ..job.clone() };
        refused(net.decline(declination(&stale, operator)), "market", 28);
        net.decline(declination(&job, operator)).unwrap();
        let stats = net.provider(operator).unwrap();
        assert_eq!(
            (stats.jobs_failed, stats.failure_bps, stats.locked_uxpl.as_str()),
            (1, 625, "0")
        );
        if attempt < 3 {
            let waiting = net.job(id);
            assert_eq!(waiting.state(), JobState::Open);
            let since = (waiting.assigned_height, waiting.assigned_s);
            assert_eq!(since, (net.block.height, net.block.time_s));
            net.end(1, 1);
            assert_eq!(net.job(id).state(), JobState::Open, "not with the beacon of its block");
            net.end(1, 1);
        }
    }
    let job = net.job(id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::Refused));
    assert_eq!(net.balance(USERS[0]), START);
    net.end(6, 1);
    assert!(market::payload(&net.store, id).is_none());
}

#[test]
fn a_silent_provider_times_out_by_blocks_and_time() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    net.end(8, 1);
    assert_eq!(net.job(job.id).state(), JobState::Assigned, "blocks alone do not");
    net.end(3, 1);
    let again = net.job(job.id);
    assert_eq!((again.state(), again.attempt), (JobState::Assigned, 2));
    assert_ne!(again.provider, job.provider);
    assert_eq!(net.provider(operator).unwrap().jobs_failed, 1);
    assert!(net.events.iter().any(|event| event.kind == "job_timed_out"));
    // The deadline passes meanwhile: no third provider.
    net.end(1, 60);
    assert_eq!(net.job(job.id).state(), JobState::Assigned, "time alone does not");
    net.end(4, 1);
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::Timeout));
    assert_eq!(net.balance(USERS[0]), START);
}

#[test]
fn a_host_error_is_a_decline_and_a_client_fault_hurts_no_host() {
    let mut net = Net::open(params());
    net.fee_units = 30_000;
    let job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.failure(&job, Outcome::HostError)).unwrap();
    assert_eq!(net.provider(operator).unwrap().jobs_failed, 1);
    assert_eq!(net.balance(operator), START - 10 * XPL, "no fee comes back");
    assert!(attestation::receipt(&net.store, job.id).is_none());
    net.end(2, 1);

    let job = net.job(job.id);
    assert_eq!((job.state(), job.attempt), (JobState::Assigned, 2));
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.failure(&job, Outcome::ClientFault)).unwrap();
    assert_eq!(net.provider(operator).unwrap().jobs_failed, 0);
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::ClientFault));
    assert_eq!(net.balance(operator), START - 10 * XPL + 20_000, "at most the terms' limit");
    assert_eq!(net.balance(USERS[0]), START - 20_000);
    assert!(attestation::receipt(&net.store, job.id).is_some());
    net.end(1, 1);
}

#[test]
fn one_fee_is_given_back_once() {
    let mut net = Net::open(params());
    net.fee_units = 25_000;
    let jobs = [net.assigned(), net.assigned()];
    let receipts =
        jobs.each_ref().map(|job| attestation::SubmitReceipt::new(net.answer(job, 3)).unwrap());
    net.run(REFERRAL, |ctx| {
        for receipt in receipts {
            attestation::submit_receipt(ctx, receipt)?;
        }
        Ok::<_, attestation::Error>(())
    })
    .unwrap();
    assert_eq!(net.balance(REFERRAL), START + 25_000);
    let fees = jobs.each_ref().map(|job| net.job(job.id).duty_fee_uxpl);
    assert_eq!(fees, ["20000", "5000"]);
    net.end(5, 10);
}

/// Whoever lands one receipt of a batch first does not make the others fail.
#[test]
fn a_receipt_that_was_accepted_before_is_taken_again_and_changes_nothing() {
    let mut net = Net::open(params());
    net.fee_units = 25_000;
    let jobs = [net.assigned(), net.assigned()];
    let [landed, other] = jobs.each_ref().map(|job| net.answer(job, 3));
    net.receipt(USERS[1], landed.clone()).unwrap();
    let before = net.store.clone();
    let hash = net.job(jobs[0].id).receipt_hash;
    assert_eq!(net.receipt(REFERRAL, landed.clone()).unwrap(), hash);
    assert_eq!(net.store, before, "nothing is stored or given back");

    let batch = [landed.clone(), other].map(|msg| attestation::SubmitReceipt::new(msg).unwrap());
    net.run(REFERRAL, |ctx| {
        for receipt in batch {
            attestation::submit_receipt(ctx, receipt)?;
        }
        Ok::<_, attestation::Error>(())
    })
    .unwrap();
    assert_eq!(net.balance(REFERRAL), START + 20_000, "for the other alone, at most its limit");
    assert_eq!(net.job(jobs[1].id).state(), JobState::Delivered);

    // Settled, it is still known; another receipt never passes for it.
    net.end(30, 10);
    assert_eq!(net.job(jobs[0].id).state(), JobState::Settled);
    let before = net.store.clone();
    assert_eq!(net.receipt(REFERRAL, landed.clone()).unwrap(), hash);
    let mut forged = landed;
    forged.receipt.as_mut().unwrap().signature[0] ^= 1;
    refused(net.receipt(REFERRAL, forged), "attestation", 7);
    assert_eq!(net.store, before);
}

#[test]
fn an_offer_taken_back_goes_with_its_last_job() {
    let mut net = Net::new(params());
    let model = net.publish("base", 0).unwrap();
    net.register(OPERATORS[0], 10 * XPL, vec![ask(&model, 2)]).unwrap();
    let id: [u8; 32] = model.clone().try_into().unwrap();
    let job = net.assigned();
    let rotated = SigningKey::from_bytes(&[0x77; 32]);
    let rotation = MsgUpdateProvider {
        receipt_key: rotated.verifying_key().to_bytes().into(),
        receipt_key_proof: proof(OPERATORS[0], &rotated),
        ..update_of(OPERATORS[0], vec![])
    };
    refused(net.update(rotation.clone()), "market", 12);
    net.update(update_of(OPERATORS[0], vec![])).unwrap();
    let offer = market::offer(&net.store, &id, OPERATORS[0]).unwrap();
    assert_eq!((offer.busy, offer.ask.unwrap().slots), (1, 0));
    net.submit(job_for(USERS[1], &model)).unwrap();
    net.end(2, 1);
    assert_eq!(net.job(job.id + 1).state(), JobState::Open, "nobody takes it");
    net.receipt(OPERATORS[0], net.answer(&job, 3)).unwrap();
    assert!(market::offer(&net.store, &id, OPERATORS[0]).is_none());
    net.update(rotation).unwrap();
    net.end(20, 5);
    assert_eq!(net.job(job.id).state(), JobState::Settled);
    assert_eq!(net.job(job.id + 1).outcome(), Outcome::Timeout, "its deadline passed");
    assert_eq!(net.balance(USERS[1]), START);
}

#[test]
fn nobody_leaves_while_a_job_is_under_way() {
    let mut net = Net::new(Params { unbond_blocks: 1, unbond_s: 0, ..params() });
    let model = net.publish("base", 0).unwrap();
    net.register(OPERATORS[0], 10 * XPL, vec![ask(&model, 2)]).unwrap();
    let job = net.assigned();
    net.leave(OPERATORS[0]).unwrap();
    net.end(2, 2);
    net.receipt(OPERATORS[0], net.answer(&job, 3)).unwrap();
    net.end(3, 2);
    assert!(net.provider(OPERATORS[0]).is_some(), "its windows have passed, its job has not");
    net.end(30, 2);
    assert_eq!(net.job(job.id).state(), JobState::Settled);
    assert!(net.provider(OPERATORS[0]).is_none());
    assert_eq!(net.balance(Address::of_module(market::BONDS)), 0);
}

#[test]
fn a_bond_backs_no_two_jobs() {
    let mut net = Net::new(Params { bond_min_uxpl: 20_000, ..params() });
    let model = net.publish("base", 0).unwrap();
    // A job locks 20,510.
    net.register(OPERATORS[0], 3 * 20_510 - 1, vec![ask(&model, 9)]).unwrap();
    for _ in 0..4 {
        net.submit(job_for(USERS[0], &model)).unwrap();
    }
    net.end(2, 1);
    let assigned = (1..=4).filter(|id| net.job(*id).state() == JobState::Assigned).count();
    assert_eq!(assigned, 2);
    refused(net.withdraw(OPERATORS[0], 20_510), "market", 13);
    net.withdraw(OPERATORS[0], 20_509).unwrap();
}

#[test]
fn a_chain_goes_on_from_its_export() {
    let mut net = Net::open(params());
    net.fee_units = 100;
    for user in USERS {
        net.submit(job_for(user, &net.model())).unwrap();
    }
    net.end(2, 2);
    let job = net.job(1);
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.answer(&job, 9)).unwrap();
    net.submit(job_for(USERS[0], &net.model())).unwrap();
    net.withdraw(OPERATORS[0], 77).unwrap();
    let leaver = OPERATORS[2];
    net.leave(leaver).unwrap();
    net.end(1, 1);
    let exported = chain::export(&net.store);
    let mut again = Memory::default();
    chain::init(&mut again, CHAIN, net.block.time_s, &exported).unwrap();
    assert_eq!(chain::export(&again), exported);

    // The indexes come back from the objects alone.
    let everything: Vec<Pair> = again.scan(&[]).collect();
    let derived = |(key, _): &Pair| Table::is_derived(key[0]);
    let mut bare = Memory::default();
    everything.iter().filter(|pair| !derived(pair)).cloned().for_each(|(key, value)| {
        bare.set(key, Some(value));
    });
    let mut index = Vec::new();
    chain::rebuild_derived(&bare, &mut |key| index.push((key, Vec::new())));
    index.sort();
    assert!(index.len() > 4);
    assert_eq!(index, everything.into_iter().filter(derived).collect::<Vec<Pair>>());

    net.store = again;
    net.end(40, 5);
    assert_eq!(net.job(1).state(), JobState::Settled);
    assert!(net.provider(leaver).is_none());

    let mut broken = exported.clone();
    broken.market.as_mut().unwrap().timers.pop();
    assert!(chain::init(&mut Memory::default(), CHAIN, 1, &broken).is_err());
    let mut broken = exported;
    broken.market.as_mut().unwrap().jobs[0].requester = "nobody".into();
    assert!(chain::init(&mut Memory::default(), CHAIN, 1, &broken).is_err());
}

#[test]
fn work_per_block_is_bounded_and_everybody_comes_to_turn() {
    let bounds = Params { matches_per_block_max: 2, timers_per_block_max: 2, ..params() };
    let mut net = Net::open(bounds);
    let jobs: Vec<u64> =
        (0..9).map(|_| net.submit(job_for(USERS[0], &net.model())).unwrap()).collect();
    let assigned =
        |net: &Net| jobs.iter().filter(|id| net.job(**id).state() == JobState::Assigned).count();
    // A deadline's move to its second stage is work too, so timers lag; matching does not wait.
    let mut counts = vec![];
    for _ in 0..6 {
        net.end(1, 1);
        counts.push(assigned(&net));
    }
    assert!(counts.windows(2).all(|pair| pair[1] <= pair[0] + 2), "{counts:?}");
    assert_eq!(counts.last(), Some(&9), "{counts:?}");
    net.end(200, 5);
    assert!(jobs.iter().all(|id| net.job(*id).state() == JobState::Refunded));
    assert_eq!(net.balance(USERS[0]), START);
}

#[test]
fn jobs_that_nobody_takes_hold_up_no_others() {
    let mut net = Net::open(Params { matches_per_block_max: 2, ..params() });
    let poor = MsgSubmitJob { max_fee_uxpl: "20010".into(), ..job_for(USERS[0], &net.model()) };
    for _ in 0..4 {
        net.submit(poor.clone()).unwrap();
    }
    let last = net.submit(job_for(USERS[1], &net.model())).unwrap();
    net.end(4, 1);
    assert_eq!(net.job(last).state(), JobState::Assigned);
    assert!((1..=4).all(|id| net.job(id).state() == JobState::Open));
}

#[test]
fn matching_takes_only_those_that_can() {
    let mut net = Net::new(params());
    let model = net.publish("base", 0).unwrap();
    // Too little bond, too dear, and one that fits.
    refused(net.register(OPERATORS[0], XPL - 1, vec![ask(&model, 4)]), "market", 32);
    let dear = Ask { output_uxpl_per_mtok: 2_000_000_000, ..ask(&model, 4) };
    net.register(OPERATORS[1], 10 * XPL, vec![dear]).unwrap();
    net.register(OPERATORS[2], 10 * XPL, vec![ask(&model, 2)]).unwrap();
    for _ in 0..5 {
        net.submit(job_for(USERS[0], &model)).unwrap();
    }
    net.end(4, 1);
    let states: Vec<_> = (1..=5).map(|id| net.job(id).state()).collect();
    assert_eq!(
        states.iter().filter(|state| **state == JobState::Assigned).count(),
        2,
        "{states:?}"
    );
    assert!((1..=5).all(|id| ["", &OPERATORS[2].text()].contains(&net.job(id).provider.as_str())));
}

#[test]
fn who_offers_keeps_the_least_bond() {
    let mut net = Net::new(params());
    let model = net.publish("base", 0).unwrap();
    net.register(OPERATORS[0], XPL - 1, vec![]).unwrap();
    refused(net.update(update_of(OPERATORS[0], vec![ask(&model, 1)])), "market", 32);
    net.add_bond(OPERATORS[0], 1).unwrap();
    net.update(update_of(OPERATORS[0], vec![ask(&model, 1)])).unwrap();
    refused(net.withdraw(OPERATORS[0], 1), "market", 32);
    net.update(update_of(OPERATORS[0], vec![])).unwrap();
    net.withdraw(OPERATORS[0], XPL).unwrap();
}

#[test]
fn an_appointment_that_fails_holds_up_nobody() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.answer(&job, 9)).unwrap();
    let other = OPERATORS.into_iter().find(|other| *other != operator).unwrap();
    net.withdraw(other, 5).unwrap();
    let escrow = Address::of_module(market::ESCROW);
    let held = Amount::new(net.balance(escrow));
    net.run(escrow, |ctx| token::transfer(ctx, escrow, USERS[1], held)).unwrap();
    let end = |net: &mut Net, blocks| {
        for _ in 0..blocks {
            net.run(escrow, |ctx| {
                market::end_block(ctx);
                Ok::<_, Refusal>(())
            })
            .unwrap();
            net.block = block(net.block.height + 1, net.block.time_s + 5);
        }
    };
    end(&mut net, 10);
    assert!(net.events.iter().any(|event| event.kind == "timer_failed"));
    assert_eq!(net.job(job.id).state(), JobState::Delivered, "what failed left nothing behind");
    assert_eq!(net.provider(other).unwrap().queued_uxpl, "0", "others were served");
    net.run(escrow, |ctx| token::transfer(ctx, USERS[1], escrow, held)).unwrap();
    end(&mut net, 100);
    assert_eq!(net.job(job.id).state(), JobState::Settled, "it was tried again");
    net.end(1, 1);
}

#[test]
fn questions_are_answered() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let waiting = net.submit(job_for(USERS[0], &net.model())).unwrap();
    let router = Router::new();
    let view = View { store: &net.store, block: &net.block };
    let call = |path: &str, request: Vec<u8>| {
        router.call(&format!("/plasma.market.v1.Query/{path}"), &view, &request)
    };
    let jobs = |request: QueryJobsRequest| {
        let bytes = call("Jobs", request.encode_to_vec())?;
        let found = QueryJobsResponse::decode(&bytes[..]).unwrap();
        Ok::<_, plasma_modules::query::QueryError>(
            found.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>(),
        )
    };
    let state = |state: JobState| QueryJobsRequest { state: state.into(), ..Default::default() };
    let by = |requester: &str, provider: &str, state: JobState| QueryJobsRequest {
        requester: requester.into(),
        provider: provider.into(),
        state: state.into(),
        pagination: None,
    };
    let user = USERS[0].text();
    assert_eq!(jobs(state(JobState::Unspecified)).unwrap(), [job.id, waiting]);
    assert_eq!(jobs(state(JobState::Open)).unwrap(), [waiting]);
    assert_eq!(jobs(by(&user, "", JobState::Unspecified)).unwrap(), [job.id, waiting]);
    assert_eq!(jobs(by(&user, "", JobState::Assigned)).unwrap(), [job.id]);
    assert_eq!(jobs(by("", &job.provider, JobState::Unspecified)).unwrap(), [job.id]);
    assert_eq!(jobs(by("", &job.provider, JobState::Settled)).unwrap(), [0u64; 0]);
    assert!(jobs(by(&user, &job.provider, JobState::Open)).is_err());

    let found = call("Job", QueryJobRequest { job_id: job.id }.encode_to_vec()).unwrap();
    let found = QueryJobResponse::decode(&found[..]).unwrap();
    assert_eq!(found.job, Some(job.clone()));
    assert!(found.payload.is_some());
    assert!(call("Job", QueryJobRequest { job_id: 99 }.encode_to_vec()).is_err());
    let request = QueryProviderRequest { operator: job.provider.clone() }.encode_to_vec();
    let provider = QueryProviderResponse::decode(&call("Provider", request).unwrap()[..]).unwrap();
    assert_eq!(provider.offers[0].busy, 1);
    let model_id: String = net.model().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = QueryOffersRequest { model_id, pagination: None }.encode_to_vec();
    let offers = QueryOffersResponse::decode(&call("Offers", request).unwrap()[..]).unwrap();
    assert_eq!(offers.offers.len(), 3);
    for path in ["Params", "Providers", "Models", "Totals"] {
        call(path, vec![]).unwrap();
    }
}
