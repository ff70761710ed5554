//! Blocks that were missed, and blocks that were signed twice.

use plasma_proto::plasma::genesis::v1::GenesisState;

use crate::net::*;

fn accounts<const N: usize>() -> [Account; N] {
    std::array::from_fn(|n| Account::new(u8::try_from(n + 1).unwrap()))
}

/// A window of 20 blocks of which 10 must be signed.
fn short_window(genesis: &mut GenesisState) {
    let staking = genesis.staking.as_mut().unwrap();
    staking.slashing_params.as_mut().unwrap().signed_blocks_window = 20;
}

fn plain(_: &mut GenesisState) {}

/// How many blocks pass with `v` absent until it is jailed, after `signed` blocks in which it signs.
fn jailed_after(net: &mut Net, v: &Account, signed: u64) -> u64 {
    net.blocks(signed);
    net.absent = vec![consensus(v)];
    let mut missed = 0;
    while !net.validator(v).jailed {
        net.blocks(1);
        missed += 1;
        assert!(missed < 100);
    }
    net.absent.clear();
    missed
}

#[test]
fn the_window_is_exact_at_its_edges() {
    let [v, w] = accounts();
    // Ten of twenty missed is allowed, the eleventh is not: wherever in the window they lie.
    for signed in [30, 31, 35, 47] {
        let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[], short_window);
        // The votes of a block are told with the next, so that the first blocks of absence are counted
        // one block later.
        assert_eq!(jailed_after(&mut net, &v, signed), 11, "{signed}");
        assert_eq!(net.info(&v).missed_blocks_counter, 0);
        assert_eq!(net.tokens(&v), 1_000 * XPL - 1_000 * XPL / 10_000);
        assert!(!net.set().contains_key(&key(&v)));
    }
    // In its first window nobody is punished: the votes of blocks 1 to 20 are told by block 21.
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[], short_window);
    net.absent = vec![consensus(&v)];
    net.blocks(20);
    assert!(!net.validator(&v).jailed);
    assert_eq!(net.info(&v).missed_blocks_counter, 19);
    net.blocks(1);
    assert!(net.validator(&v).jailed);
    // Ten missed, ten signed, for ever: nothing happens. What leaves the window is not counted.
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[], short_window);
    for round in 0..100 {
        net.absent = if round % 2 == 0 { vec![consensus(&v)] } else { vec![] };
        net.blocks(1);
        assert!(net.info(&v).missed_blocks_counter <= 10);
    }
    assert!(!net.validator(&v).jailed);
}

#[test]
fn the_window_lives_through_a_restart() {
    let [v, w] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[], short_window);
    net.blocks(30);
    net.absent = vec![consensus(&v)];
    net.blocks(10);
    assert!(!net.validator(&v).jailed);
    let mut copy = net.restarted();
    for net in [&mut net, &mut copy] {
        assert_eq!(net.info(&v).missed_blocks_counter, 10);
        net.blocks(1);
        assert!(net.validator(&v).jailed);
    }
    assert_eq!(copy.store, net.store);
}

#[test]
fn jail_ends_when_its_time_is_over_and_asked_for() {
    let [v, w] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[], short_window);
    jailed_after(&mut net, &v, 30);
    assert_eq!(net.refused(&v, unjail(&v)), ("slashing", 4));
    let until_s = u64::try_from(net.info(&v).jailed_until.unwrap().seconds).unwrap();
    assert_eq!(net.refused(&w, cancel(&w, &v, XPL, 1)), ("staking", 7));
    net.later(until_s - net.time_s - 2);
    assert_eq!(net.refused(&v, unjail(&v)), ("slashing", 4));
    net.done(&v, unjail(&v));
    assert_eq!(net.time_s, until_s);
    assert_eq!(net.set()[&key(&v)], 999);
    // Its window begins anew.
    net.absent = vec![consensus(&v)];
    net.blocks(20);
    assert!(!net.validator(&v).jailed);
    net.blocks(3);
    assert!(net.validator(&v).jailed);
}

#[test]
fn who_signs_twice_pays_once_and_never_comes_back() {
    let [v, w, alice, bob, carol] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[&alice, &bob, &carol], plain);
    for delegator in [&alice, &bob, &carol] {
        net.delegate(delegator, &v, 100);
    }
    net.blocks(3);
    // Gone before the offence: it does not pay.
    net.done(&carol, undelegate(&carol, &v, 40 * XPL));
    net.blocks(2);
    let (offence, power) = (net.height, net.set()[&key(&v)]);
    let offence_s = net.time_s;
    assert_eq!(power, 1_260);
    // Gone after it: both ways pay.
    net.done(&alice, undelegate(&alice, &v, 60 * XPL));
    net.done(&bob, redelegate(&bob, &v, &w, 60 * XPL));
    let burned = net.burned();
    let output = net.tell(&v, offence, offence_s, power);
    assert!(output.events.iter().any(|event| event.kind == "slash"));
    // 1,140 XPL are left with the validator: 5% of them burn at once, and of what bob moved.
    assert_eq!(net.tokens(&v), 1_140 * XPL * 95 / 100);
    assert_eq!(net.stake(&bob, &w), 57 * XPL);
    assert_eq!(net.tokens(&w), 1_057 * XPL);
    let info = net.info(&v);
    assert!(info.tombstoned && net.validator(&v).jailed && !net.set().contains_key(&key(&v)));
    // Told again, and told of another height: nothing more.
    net.tell(&v, offence, offence_s, power);
    net.tell(&v, offence - 1, offence_s, power);
    assert_eq!(net.tokens(&v), 1_140 * XPL * 95 / 100);
    let before = net.burned();
    assert_eq!(net.refused(&v, unjail(&v)), ("slashing", 4));
    let fee = net.burned() - before;
    // What unbonds pays when it is paid.
    let before = [&alice, &carol].map(|account| net.balance(account));
    net.later(21 * DAY_S);
    assert_eq!(net.balance(&alice), before[0] + 57 * XPL);
    assert_eq!(net.balance(&carol), before[1] + 40 * XPL);
    // Of the validator, of bob, of alice.
    assert_eq!(net.burned() - burned - fee, (57 + 3 + 3) * XPL);
    // The key is dead for good.
    net.done(&v, undelegate(&v, &v, 950 * XPL));
    for (account, units) in [(&alice, 38), (&bob, 38), (&carol, 57)] {
        net.done(account, undelegate(account, &v, units * XPL));
    }
    net.later(21 * DAY_S);
    assert!(staking::validator(&net.store, v.address).is_none());
    assert_eq!(net.refused(&v, any(&create(&v, XPL))), ("staking", 63));
}

#[test]
fn nobody_runs_away_from_an_offence() {
    let [v, w, alice, bob] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[&alice, &bob], plain);
    net.delegate(&alice, &v, 100);
    net.delegate(&bob, &v, 100);
    net.blocks(3);
    let (offence, offence_s) = (net.height, net.time_s);
    // Moves, and takes it out at the other end: all of it, and half of it.
    net.done(&alice, redelegate(&alice, &v, &w, 100 * XPL));
    net.done(&alice, undelegate(&alice, &w, 100 * XPL));
    net.done(&bob, redelegate(&bob, &v, &w, 100 * XPL));
    net.done(&bob, undelegate(&bob, &w, 2 * XPL));
    net.tell(&v, offence, offence_s, 1_200);
    let before = [&alice, &bob].map(|account| net.balance(account));
    // Bob's two that unbond go first, then three of his shares.
    assert_eq!(net.stake(&bob, &w), 95 * XPL);
    assert_eq!(net.tokens(&w), 1_095 * XPL);
    net.later(21 * DAY_S);
    assert_eq!(net.balance(&alice), before[0] + 95 * XPL);
    assert_eq!(net.balance(&bob), before[1]);
    assert_eq!(net.tokens(&w), 1_095 * XPL);
}

#[test]
fn stake_that_is_cancelled_back_has_paid() {
    let [v, w, alice] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[&alice], short_window);
    net.delegate(&alice, &v, 100);
    net.blocks(30);
    // One that misses too much, with stake that leaves just before.
    net.absent = vec![consensus(&v)];
    net.blocks(9);
    net.done(&alice, undelegate(&alice, &v, 100 * XPL));
    let began = net.height;
    while !net.validator(&v).jailed {
        net.blocks(1);
    }
    net.absent.clear();
    net.later(700);
    net.done(&v, unjail(&v));
    let paid = 100 * XPL * 9_999 / 10_000;
    let burned = [net.burned(), {
        let over = net.refused(&alice, cancel(&alice, &v, paid + 1, began));
        assert_eq!(over, ("sdk", 18));
        net.burned()
    }];
    net.done(&alice, cancel(&alice, &v, paid / 2, began));
    let stake = net.stake(&alice, &v);
    assert!((paid / 2 - 1..=paid / 2).contains(&stake), "{stake} {paid}");
    // Both cost the same fee; with the second, its part of the slash burns.
    let slash = net.burned() - burned[1] - (burned[1] - burned[0]);
    assert_eq!(slash, XPL / 100 / 2);
    let before = net.balance(&alice);
    net.later(21 * DAY_S);
    let back = net.balance(&alice) - before;
    assert!((paid / 2 - 1..=paid / 2 + 1).contains(&back), "{back} {paid}");
}

#[test]
fn evidence_that_is_too_old_is_void() {
    let [v, w, alice] = accounts();
    let blocks = staking::EVIDENCE_AGE_BLOCKS;
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[&alice], plain);
    net.blocks(2);
    // Both ages must be above their bounds: a chain that stood still forgets nothing.
    net.height += blocks;
    let (height, time_s) = (net.height - blocks, net.time_s - staking::EVIDENCE_AGE_S);
    let mut void = net.clone();
    void.tell(&v, height - 1, time_s - 1, 1_000);
    assert_eq!(void.tokens(&v), 1_000 * XPL);
    assert!(!void.info(&v).tombstoned);
    let mut young = net.clone();
    young.tell(&v, height - 1, time_s + 1, 1_000);
    assert_eq!(young.tokens(&v), 950 * XPL);
    // Blocks were slow: who stood behind it may have unbonded. Nobody pays, but the key is dead.
    let before = net.burned();
    net.tell(&v, height + 1, time_s - 1, 1_000);
    assert_eq!((net.tokens(&v), net.burned()), (1_000 * XPL, before));
    assert!(net.info(&v).tombstoned && net.validator(&v).jailed);
    assert_eq!(net.refused(&v, unjail(&v)), ("slashing", 4));
    // Once, though proven again by younger evidence.
    net.tell(&v, height + 5, time_s + 5, 1_000);
    assert_eq!(net.tokens(&v), 1_000 * XPL);
}

#[test]
fn who_has_left_the_set_still_pays() {
    let [v, w] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[], |genesis| {
        let hour = Some(prost_types::Duration { seconds: 3_600, nanos: 0 });
        params(genesis).unbonding_time = hour;
        let consensus = genesis.governance.as_mut().unwrap().consensus.as_mut().unwrap();
        consensus.evidence.as_mut().unwrap().max_age_duration = hour;
    });
    net.blocks(5);
    let (height, time_s) = (net.height, net.time_s);
    // Jails itself by leaving its promise.
    net.done(&v, edit(&v, "", &(1_000 * XPL).to_string()));
    net.done(&v, undelegate(&v, &v, 10 * XPL));
    let mut unbonding = net.clone();
    assert_eq!(unbonding.validator(&v).status(), BondStatus::Unbonding);
    unbonding.tell(&v, height, time_s, 1_000);
    assert_eq!(unbonding.tokens(&v), 990 * XPL * 95 / 100);
    let before = unbonding.balance(&v);
    unbonding.later(3_600);
    assert_eq!(unbonding.balance(&v), before + 10 * XPL * 95 / 100);
    // Unbonded, and the evidence comes in the last second in which it may.
    net.later(3_600 - (net.time_s - time_s) - 1);
    net.tell(&v, height, time_s, 1_000);
    assert_eq!(net.tokens(&v), 990 * XPL * 95 / 100);
    // Somebody that nobody knows is nobody's business.
    let nobody = Account::new(99);
    net.tell(&nobody, height, time_s, 1_000);
}

#[test]
fn a_slash_takes_of_what_stood_behind_it_at_most() {
    let [v, w, alice] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[&alice], plain);
    net.blocks(3);
    let (height, time_s) = (net.height, net.time_s);
    net.delegate(&alice, &v, 5_000);
    net.tell(&v, height, time_s, 1_000);
    assert_eq!(net.tokens(&v), 5_950 * XPL);
    // New stake buys shares at what they are worth now.
    net.delegate(&alice, &v, 595);
    let worth = net.stake(&alice, &v);
    let before = 5_000 * XPL * 5_950 / 6_000;
    assert!((before + 595 * XPL - 1..=before + 595 * XPL).contains(&worth), "{worth}");
}
