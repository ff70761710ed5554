//! Governance changes the market's numbers while work is under way.

use plasma_modules::{Coded as _, market::UpdateParams, params::authority};

use crate::net::*;

fn change(net: &mut Net, params: Params) -> Result<(), Refusal> {
    let msg = MsgUpdateParams { authority: authority().text(), params: Some(params) };
    let msg = UpdateParams::new(msg).map_err(Refusal::from)?;
    net.run(authority(), |ctx| market::update_params(ctx, msg)).map(drop)
}

/// Every number moved as far as one change may, in a direction that would hurt what is open.
fn as_far_as_it_goes(from: Params) -> Params {
    Params {
        bond_min_uxpl: 2 * from.bond_min_uxpl,
        job_bond_bps: from.job_bond_bps / 2,
        unbond_blocks: from.unbond_blocks + 100,
        unbond_s: from.unbond_s + 600,
        withdrawals_max: 1,
        offers_max: from.offers_max / 2,
        slots_max: from.slots_max / 2,
        min_charge_uxpl: 2 * from.min_charge_uxpl,
        duty_fee_max_uxpl: 2 * from.duty_fee_max_uxpl,
        input_bytes_max: from.input_bytes_max / 2,
        output_bytes_max: from.output_bytes_max / 2,
        max_tokens_max: from.max_tokens_max / 2,
        stops_max: from.stops_max / 2,
        stop_bytes_max: from.stop_bytes_max / 2,
        assign_timeout_blocks: 1,
        assign_timeout_s: 0,
        deadline_max_s: 1,
        dispute_window_blocks: from.dispute_window_blocks + 10,
        dispute_window_s: from.dispute_window_s + 60,
        output_keep_blocks: 1,
        attempts_max: from.attempts_max - 1,
        matches_per_block_max: from.matches_per_block_max + 16,
        candidates_max: from.candidates_max / 2,
        timers_per_block_max: from.timers_per_block_max / 2,
        draw_among: from.draw_among * 2,
        latency_reference_ms: from.latency_reference_ms / 2,
        split: Some(Split {
            provider_bps: 8_000,
            burn_bps: 1_050,
            stakers_bps: 550,
            royalty_bps: 0,
            referral_bps: 350,
            community_bps: 50,
        }),
        royalty_bps_max: from.royalty_bps_max - 250,
        manifest_bytes_max: from.manifest_bytes_max / 2,
        manifest_files_max: from.manifest_files_max / 2,
    }
}

/// The same work, with a change while jobs are open, assigned and delivered and a withdrawal waits, and
/// without one.
fn story(changed: bool) -> Net {
    let mut net = Net::open(params());
    net.fee_units = 7_000;
    let model = net.model();
    for user in USERS {
        net.submit(job_for(user, &model)).unwrap();
    }
    net.end(2, 2);
    let delivered = net.job(1);
    let operator = Address::parse(&delivered.provider).unwrap();
    net.receipt(operator, net.answer(&delivered, 64)).unwrap();
    net.withdraw(OPERATORS[0], 77).unwrap();
    let open = net.submit(job_for(USERS[0], &model)).unwrap();
    assert_eq!(net.job(1).state(), JobState::Delivered);
    assert_eq!(net.job(2).state(), JobState::Assigned);
    assert_eq!(net.job(open).state(), JobState::Open);
    if changed {
        let far = as_far_as_it_goes(params());
        change(&mut net, far).unwrap();
        assert_eq!(market::params(&net.store), far);
    }
    // Nobody takes the open one: what its candidates are is not its terms.
    net.cancel(USERS[0], open).unwrap();
    let assigned = net.job(2);
    let operator = Address::parse(&assigned.provider).unwrap();
    net.receipt(operator, net.answer(&assigned, 33)).unwrap();
    net.end(5, 2);
    net.end(20, 6);
    net
}

#[test]
fn no_change_touches_what_is_open() {
    let (plain, changed) = (story(false), story(true));
    for id in 1..=2 {
        assert_eq!(plain.job(id), changed.job(id));
        assert_eq!(changed.job(id).state(), JobState::Settled);
    }
    // The third timed out by its own windows and as often as its terms say.
    let third = [plain.job(3), changed.job(3)];
    assert_eq!(third[0].terms, third[1].terms);
    assert_eq!(third[0].outcome(), third[1].outcome());
    assert_eq!(third[0].ended_height, third[1].ended_height);
    // Everything that anybody holds is the same to the last uxpl.
    for who in MONEY_MOVERS {
        assert_eq!(plain.balance(who), changed.balance(who), "{who}");
    }
    assert_eq!(plain.supply(), changed.supply());
    for operator in OPERATORS {
        let [plain, changed] = [&plain, &changed].map(|net| net.provider(operator).unwrap());
        assert_eq!(plain.bond_uxpl, changed.bond_uxpl);
        assert_eq!(changed.queued_uxpl, "0", "paid out at its own date");
    }
}

#[test]
fn new_jobs_get_the_new_numbers_and_the_chain_goes_on_from_its_export() {
    let mut net = Net::open(params());
    let old = net.submit(job_for(USERS[0], &net.model())).unwrap();
    let far = as_far_as_it_goes(params());
    change(&mut net, far).unwrap();
    let asked =
        MsgSubmitJob { deadline_unix_s: net.block.time_s + 30, ..job_for(USERS[0], &net.model()) };
    let refusal = net.submit(asked.clone()).unwrap_err();
    assert_eq!((refusal.codespace, refusal.code), ("market", 23), "{refusal}");
    let near = Params { deadline_max_s: far.deadline_max_s + 600, ..far };
    change(&mut net, near).unwrap();
    let new = net.submit(asked).unwrap();
    let terms = |id: u64| net.job(id).terms.unwrap();
    assert_eq!(terms(old).split, params().split);
    assert_eq!(terms(new).split, far.split);
    assert_eq!(terms(new).dispute_window_s, far.dispute_window_s);
    net.end(3, 1);
    let exported = chain::export(&net.store);
    let mut again = Memory::default();
    chain::init(&mut again, CHAIN, net.block.time_s, &exported).unwrap();
    assert_eq!(chain::export(&again), exported);
}

#[test]
fn a_change_is_bounded_and_moves_step_by_step() {
    let mut net = Net::open(params());
    let from = params();
    let split = from.split.unwrap();
    for (params, code, name) in [
        (Params { bond_min_uxpl: 0, ..from }, 10, "bond_min_uxpl"),
        (Params { bond_min_uxpl: 2 * from.bond_min_uxpl + 1, ..from }, 11, "bond_min_uxpl"),
        (Params { slots_max: from.slots_max / 2 - 1, ..from }, 11, "slots_max"),
        (Params { attempts_max: from.attempts_max + 2, ..from }, 11, "attempts_max"),
        (Params { unbond_s: from.unbond_s + 601, ..from }, 11, "unbond_s"),
        (
            Params { split: Some(Split { provider_bps: 7_999, burn_bps: 1_301, ..split }), ..from },
            11,
            "provider_bps",
        ),
        (Params { split: Some(Split { burn_bps: 10_001, ..split }), ..from }, 10, "burn_bps"),
    ] {
        let refusal = change(&mut net, params).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("params", code), "{refusal}");
        assert!(refusal.log.starts_with(name), "{refusal}");
        assert_eq!(market::params(&net.store), from, "nothing of it is kept");
    }
    let whole = Params { split: Some(Split { burn_bps: 801, ..split }), ..from };
    refused(change(&mut net, whole), "market", 30);
    let none = Params { split: None, ..from };
    refused(change(&mut net, none), "market", 30);
    let missing = MsgUpdateParams { authority: authority().text(), params: None };
    assert_eq!(UpdateParams::new(missing).unwrap_err().code(), 18);
    let stranger = MsgUpdateParams { authority: USERS[0].text(), params: Some(from) };
    assert_eq!(UpdateParams::new(stranger).unwrap_err().code(), 4);

    let far = Params { bond_min_uxpl: 2 * from.bond_min_uxpl, ..from };
    change(&mut net, far).unwrap();
    let event = net.events.last().unwrap();
    assert_eq!(event.kind, "params_updated");
    let told = [("room", "market".into()), ("bond_min_uxpl", "1000000 -> 2000000".into())];
    assert_eq!(event.attributes, told);
}
