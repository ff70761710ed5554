//! What attestation may do to bonds and to delivered jobs.

use crate::net::*;

const PURSE: Address = Address([77; 20]);

/// A market whose test plays attestation.
fn market() -> Net {
    Net { plays_audits: true, ..Net::open(params()) }
}

/// A market with a delivered job, and who delivered it.
fn delivered() -> (Net, Job, Address) {
    let mut net = market();
    let job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    let answer = net.answer(&job, 64);
    net.receipt(operator, answer).unwrap();
    let job = net.job(job.id);
    (net, job, operator)
}

fn uxpl(units: u128) -> Amount {
    Amount::new(units)
}

fn export_and_back(net: &Net) {
    let exported = market::export(&net.store);
    let again = net.market_from(&exported).unwrap();
    assert_eq!(market::export(&again), exported);
}

#[test]
fn a_bond_for_a_duty_is_not_withdrawn_locked_again_or_given_work() {
    let mut net = market();
    let who = OPERATORS[0];
    let lock =
        |net: &mut Net, units| net.run(who, |ctx| market::lock_duty(ctx.store, who, uxpl(units)));
    lock(&mut net, 9 * XPL).unwrap();
    assert_eq!(market::free_bond(&net.store, who), uxpl(XPL));
    refused(lock(&mut net, XPL + 1), "market", 13);
    refused(net.withdraw(who, XPL + 1), "market", 13);
    lock(&mut net, XPL).unwrap();
    net.update(update_of(OPERATORS[1], vec![])).unwrap();
    net.update(update_of(OPERATORS[2], vec![])).unwrap();
    let waits = net.submit(job_for(USERS[0], &net.model())).unwrap();
    net.end(4, 2);
    assert_eq!(net.job(waits).state(), JobState::Open, "no bond is free for it");
    export_and_back(&net);

    let unlock =
        |net: &mut Net, units| net.run(who, |ctx| market::unlock_duty(ctx.store, who, uxpl(units)));
    refused(unlock(&mut net, 10 * XPL + 1), "market", 37);
    unlock(&mut net, 10 * XPL).unwrap();
    net.end(2, 2);
    assert_eq!(net.job(waits).state(), JobState::Assigned);
    refused(net.run(who, |ctx| market::lock_duty(ctx.store, PURSE, uxpl(1))), "market", 5);
}

#[test]
fn nobody_leaves_before_its_duties_are_done() {
    let mut net = market();
    let who = OPERATORS[0];
    net.run(who, |ctx| market::lock_duty(ctx.store, who, uxpl(7))).unwrap();
    net.leave(who).unwrap();
    net.end(40, 10);
    assert!(net.provider(who).is_some(), "the windows have passed, the duty has not");
    // It may still take on what defends it.
    net.run(who, |ctx| market::lock_duty(ctx.store, who, uxpl(3))).unwrap();
    net.run(who, |ctx| market::unlock_duty(ctx.store, who, uxpl(10))).unwrap();
    net.end(11, 1);
    assert!(net.provider(who).is_none());
    assert_eq!(net.balance(who), START);
}

#[test]
fn a_slash_takes_what_is_free_then_the_newest_withdrawals_then_what_is_promised() {
    let (mut net, job, who) = delivered();
    let locked: u128 = job.bond_locked_uxpl.parse().unwrap();
    net.run(who, |ctx| market::lock_duty(ctx.store, who, uxpl(2 * XPL))).unwrap();
    let first = net.withdraw(who, XPL).unwrap();
    let second = net.withdraw(who, 2 * XPL).unwrap();
    let free = 5 * XPL - locked;
    assert_eq!(market::free_bond(&net.store, who), uxpl(free));
    let slash = |net: &mut Net, units| {
        net.run(who, |ctx| market::slash_bond(ctx, who, uxpl(units), PURSE)).unwrap().units()
    };
    assert_eq!(slash(&mut net, 0), 0);
    // Two uxpl are more than what is free: the second withdrawal gives them.
    assert_eq!(slash(&mut net, free + 2), free + 2);
    let waiting = |net: &Net| net.provider(who).unwrap().queued_uxpl;
    assert_eq!(waiting(&net), (3 * XPL - 2).to_string());
    export_and_back(&net);
    // The second goes, and part of the first.
    assert_eq!(slash(&mut net, 2 * XPL), 2 * XPL);
    assert_eq!(waiting(&net), (XPL - 2).to_string());
    let key = market::withdrawal_key;
    use plasma_modules::Read as _;
    assert!(net.store.get(&key(first)).is_some() && net.store.get(&key(second)).is_none());
    // Then what stands for the job and the duty, which go on with less behind them.
    assert_eq!(slash(&mut net, XPL), XPL);
    let bond = net.provider(who).unwrap();
    let left = 2 * XPL + locked - 2;
    assert_eq!((bond.bond_uxpl, waiting(&net)), (left.to_string(), "0".into()));
    assert_eq!(bond.duty_locked_uxpl, (2 * XPL).to_string());
    assert_eq!(bond.slashed_uxpl, (10 * XPL - left).to_string());
    export_and_back(&net);
    // What is added covers promises first.
    net.add_bond(who, 5).unwrap();
    assert_eq!(market::free_bond(&net.store, who), uxpl(3));
    refused(net.withdraw(who, 4), "market", 13);
    // There is no more than the bond, whatever is asked.
    assert_eq!(slash(&mut net, u128::MAX), left + 5);
    assert_eq!(net.balance(PURSE), 10 * XPL + 5);
    let lost = net.run(who, |ctx| market::slash_duty(ctx, who, uxpl(XPL), PURSE));
    assert_eq!(lost.unwrap(), Amount::ZERO, "nothing is left to lose");
    net.end(10, 6);
    assert_eq!(net.job(job.id).state(), JobState::Settled);
}

#[test]
fn a_withdrawal_waits_for_the_claims_made_before_it_was_due_and_for_no_other() {
    use plasma_modules::Read as _;
    let (mut net, job, who) = delivered();
    net.run(PURSE, |ctx| market::hold(ctx, job.id)).unwrap();
    let id = net.withdraw(who, 5 * XPL).unwrap();
    net.end(60, 6);
    let key = market::withdrawal_key(id);
    assert!(net.store.get(&key).is_some(), "long past its delay, the claim is held");
    assert_eq!(net.provider(who).unwrap().queued_uxpl, (5 * XPL).to_string());
    export_and_back(&net);
    // A claim made meanwhile, which is held too, is not among those.
    let later = loop {
        let job = net.assigned();
        let by = Address::parse(&job.provider).unwrap();
        let answer = net.answer(&job, 64);
        net.receipt(by, answer).unwrap();
        if by == who {
            break job.id;
        }
    };
    net.run(PURSE, |ctx| market::hold(ctx, later)).unwrap();
    // The bond that was asked back still answers for the first.
    let free = market::free_bond(&net.store, who).units();
    let slash = net.run(who, |ctx| market::slash_bond(ctx, who, uxpl(free + XPL), PURSE));
    assert_eq!(slash.unwrap(), uxpl(free + XPL));
    let before = net.balance(who);
    net.run(PURSE, |ctx| market::void_held(ctx, job.id)).unwrap();
    net.end(10, 6);
    assert!(net.store.get(&key).is_none());
    assert_eq!(net.balance(who), before + 4 * XPL);
    assert!(net.job(later).held);
}

#[test]
fn who_was_slashed_below_the_least_bond_gets_no_work() {
    let mut net = market();
    let model_id = net.model().try_into().unwrap();
    for who in OPERATORS {
        assert_eq!(market::bonded_slots(&net.store, &model_id, who), 4);
        net.run(who, |ctx| market::slash_bond(ctx, who, uxpl(9 * XPL + 1), PURSE)).unwrap();
        assert_eq!(market::bonded_slots(&net.store, &model_id, who), 0);
    }
    let waits = net.submit(job_for(USERS[0], &net.model())).unwrap();
    net.end(4, 2);
    assert_eq!(net.job(waits).state(), JobState::Open);
    net.add_bond(OPERATORS[2], 1).unwrap();
    net.end(2, 2);
    assert_eq!(net.job(waits).provider, OPERATORS[2].text());
}

#[test]
fn a_juror_loses_only_what_stands_for_its_duty() {
    let mut net = market();
    let who = OPERATORS[0];
    net.run(who, |ctx| market::lock_duty(ctx.store, who, uxpl(100))).unwrap();
    let slash =
        |net: &mut Net, units| net.run(who, |ctx| market::slash_duty(ctx, who, uxpl(units), PURSE));
    refused(slash(&mut net, 101), "market", 37);
    assert_eq!(slash(&mut net, 40).unwrap(), uxpl(40));
    let provider = net.provider(who).unwrap();
    assert_eq!(provider.bond_uxpl, (10 * XPL - 40).to_string());
    assert_eq!((provider.duty_locked_uxpl.as_str(), net.balance(PURSE)), ("60", 40));
    let taken = net.events.iter().rfind(|event| event.kind == "bond_slashed").unwrap();
    assert_eq!(taken.attributes[1], ("amount_uxpl", "40".into()));
    net.end(1, 1);
}

#[test]
fn a_held_job_waits_for_its_audit_and_is_then_settled_at_once() {
    let (mut net, job, who) = delivered();
    assert_eq!(market::pending(&net.store, who).text(), job.charge_uxpl);
    net.run(PURSE, |ctx| market::hold(ctx, job.id)).unwrap();
    refused(net.run(PURSE, |ctx| market::hold(ctx, job.id)), "market", 34);
    net.end(30, 10);
    assert_eq!(net.job(job.id).state(), JobState::Delivered, "long past its window");
    assert_ne!(net.provider(who).unwrap().locked_uxpl, "0");
    export_and_back(&net);
    let released = net.run(PURSE, |ctx| market::release(ctx, job.id)).unwrap();
    assert_eq!(released, market::Released::Settled);
    assert_eq!(net.job(job.id).state(), JobState::Settled);
    assert_eq!(market::pending(&net.store, who), Amount::ZERO);
    for refusal in [
        net.run(PURSE, |ctx| market::release(ctx, job.id)).map(drop),
        net.run(PURSE, |ctx| market::hold(ctx, job.id)),
        net.run(PURSE, |ctx| market::void_held(ctx, job.id)),
        net.run(PURSE, |ctx| market::set_audit_fee(ctx.store, job.id, Amount::ZERO)),
    ] {
        refused(refusal, "market", 33);
    }
    refused(net.run(PURSE, |ctx| market::hold(ctx, 99)), "market", 4);
    net.end(5, 1);
    assert!(market::payload(&net.store, job.id).is_none(), "forgotten in time");
}

#[test]
fn a_job_let_go_within_its_window_waits_for_the_rest_or_is_paid_when_found_clean() {
    for clean in [false, true] {
        let (mut net, job, _) = delivered();
        refused(net.run(PURSE, |ctx| market::release(ctx, job.id)), "market", 35);
        refused(net.run(PURSE, |ctx| market::settle_held(ctx, job.id)), "market", 35);
        net.run(PURSE, |ctx| market::hold(ctx, job.id)).unwrap();
        net.end(1, 1);
        if clean {
            let paid = net.run(PURSE, |ctx| market::settle_held(ctx, job.id)).unwrap();
            assert_eq!(paid, market::Released::Settled);
            assert_eq!(net.job(job.id).state(), JobState::Settled);
            continue;
        }
        let waits = net.run(PURSE, |ctx| market::release(ctx, job.id)).unwrap();
        assert_eq!(waits, market::Released::Waits);
        net.end(2, 6);
        assert_eq!(net.job(job.id).state(), JobState::Delivered);
        net.end(1, 6);
        assert_eq!(net.job(job.id).state(), JobState::Settled);
    }
}

#[test]
fn an_audit_costs_the_provider_and_nobody_else() {
    let paid = |fee: u128| {
        let (mut net, job, who) = delivered();
        net.run(PURSE, |ctx| market::hold(ctx, job.id)).unwrap();
        let set = |net: &mut Net, fee| {
            net.run(PURSE, |ctx| market::set_audit_fee(ctx.store, job.id, uxpl(fee)))
        };
        // A fee stands in the place of the one before.
        set(&mut net, 365).unwrap();
        assert_eq!(market::audit_fee_max(&net.store, job.id), Ok(uxpl(365)));
        refused(set(&mut net, 366), "market", 36);
        set(&mut net, fee).unwrap();
        export_and_back(&net);
        net.run(PURSE, |ctx| market::settle_held(ctx, job.id)).unwrap();
        net.end(1, 1);
        let payout = net.job(job.id).payout.unwrap();
        assert_eq!(payout.audit_uxpl, fee.to_string());
        assert_eq!(payout.provider_uxpl, (365 - fee).to_string());
        let purse = market::audit_purse(&net.model().try_into().unwrap());
        assert_eq!(net.balance(purse), fee);
        let others: Vec<u128> =
            MONEY_MOVERS.iter().filter(|of| **of != who).map(|of| net.balance(*of)).collect();
        (others, net.balance(who), net.supply())
    };
    let (free, dear) = (paid(0), paid(123));
    assert_eq!(dear, (free.0, free.1 - 123, free.2));
}

#[test]
fn a_voided_job_is_refunded_and_its_audit_unpaid() {
    let (mut net, job, who) = delivered();
    let supply = net.supply();
    net.run(PURSE, |ctx| market::hold(ctx, job.id)).unwrap();
    net.run(PURSE, |ctx| market::set_audit_fee(ctx.store, job.id, uxpl(100))).unwrap();
    net.run(PURSE, |ctx| market::void_held(ctx, job.id)).unwrap();
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::Voided));
    assert_eq!(
        (job.held, job.charge_uxpl.as_str(), job.audit_fee_uxpl.as_str()),
        (false, "0", "0")
    );
    assert_eq!((net.balance(USERS[0]), net.balance(who)), (START, START - 10 * XPL));
    let provider = net.provider(who).unwrap();
    assert_eq!((provider.locked_uxpl.as_str(), provider.pending_uxpl.as_str()), ("0", "0"));
    assert_eq!(net.supply(), supply);
    net.end(5, 1);
    assert!(market::payload(&net.store, job.id).is_none());
}

/// What is done to a good genesis.
type Change<'a> = &'a dyn Fn(&mut Provider, &mut Job);

#[test]
fn a_genesis_that_promises_a_bond_twice_or_holds_what_is_not_delivered_is_refused() {
    let (mut net, job, who) = delivered();
    net.run(PURSE, |ctx| market::hold(ctx, job.id)).unwrap();
    net.end(1, 1);
    let good = market::export(&net.store);
    let with = |change: Change<'_>| {
        let mut genesis = good.clone();
        let provider = genesis.providers.iter_mut().find(|one| one.operator == who.text()).unwrap();
        change(provider, &mut genesis.jobs[0]);
        net.market_from(&genesis).map(drop).map_err(|error| error.to_string())
    };
    with(&|_, _| {}).unwrap();
    let bad: [(Change<'_>, &str); 8] = [
        (&|provider, _| provider.duty_locked_uxpl = (10 * XPL).to_string(), "two promises"),
        (&|provider, _| provider.slashed_uxpl = "x".into(), "no amount"),
        (&|provider, _| provider.queued_uxpl = (11 * XPL).to_string(), "two promises"),
        (&|provider, _| provider.pending_uxpl = "1".into(), "pending"),
        (&|provider, _| provider.duty_locked_uxpl = "x".into(), "no amount"),
        (&|_, job| job.held = false, "appointment"),
        (&|_, job| job.audit_fee_uxpl = "366".into(), "audit"),
        (&|provider, job| (provider.pending_uxpl, job.state) = ("0".into(), 2), "is held"),
    ];
    for (change, why) in bad {
        let error = with(change).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    }
}
