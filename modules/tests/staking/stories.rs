//! Stake that comes, goes and moves, and the set that follows it.

use plasma_proto::{
    cosmos::vesting::v1beta1::MsgCreateVestingAccount, plasma::genesis::v1::GenesisState,
};

use crate::net::*;

fn accounts<const N: usize>() -> [Account; N] {
    std::array::from_fn(|n| Account::new(u8::try_from(n + 1).unwrap()))
}

fn plain(_: &mut GenesisState) {}

fn kinds(result: &TxResult) -> Vec<&'static str> {
    result.events.iter().map(|event| event.kind).collect()
}

#[test]
fn stake_goes_out_and_comes_back() {
    let [v, alice] = accounts();
    let mut net = start(&[(&v, 1_000)], &[&alice], plain);
    let result = net.done(&alice, delegate(&alice, &v, 500 * XPL));
    assert!(kinds(&result).contains(&"delegate"));
    assert_eq!(net.pool(staking::BONDED_POOL), 1_500 * XPL);
    assert_eq!(net.set()[&key(&v)], 1_500);
    let result = net.done(&alice, undelegate(&alice, &v, 200 * XPL));
    assert!(kinds(&result).contains(&"unbond"));
    let (began, due_s) = (net.height, net.time_s + 21 * DAY_S);
    assert_eq!(net.stake(&alice, &v), 300 * XPL);
    assert_eq!(net.pool(staking::NOT_BONDED_POOL), 200 * XPL);
    // A part is staked again.
    net.done(&alice, cancel(&alice, &v, 50 * XPL, began));
    assert_eq!(net.stake(&alice, &v), 350 * XPL);
    assert_eq!(net.refused(&alice, cancel(&alice, &v, 151 * XPL, began)), ("sdk", 18));
    assert_eq!(net.refused(&alice, cancel(&alice, &v, XPL, began + 1)), ("sdk", 38));
    assert_eq!(net.refused(&v, cancel(&v, &v, XPL, began)), ("staking", 26));
    // Not a second too early.
    let wait_s = due_s - net.time_s - 1;
    let before = net.balance(&alice);
    assert!(net.later(wait_s).events.iter().all(|event| event.kind != "complete_unbonding"));
    assert_eq!(net.balance(&alice), before);
    assert!(net.later(1).events.iter().any(|event| event.kind == "complete_unbonding"));
    assert_eq!(net.balance(&alice), before + 150 * XPL);
    assert_eq!(net.pool(staking::NOT_BONDED_POOL), 0);
    // All of it: nothing of the delegation is left.
    net.done(&alice, undelegate(&alice, &v, 350 * XPL));
    assert_eq!(staking::shares_of(&net.store, alice.address, v.address), Dec::ZERO);
    assert_eq!(net.refused(&alice, undelegate(&alice, &v, 1)), ("staking", 19));
    assert_eq!(net.refused(&v, undelegate(&v, &v, 1_001 * XPL)), ("staking", 24));
}

#[test]
fn entries_and_delegations_are_bounded() {
    let [v, w, alice] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 1_000)], &[&alice], plain);
    net.delegate(&alice, &v, 100);
    for _ in 0..7 {
        net.done(&alice, undelegate(&alice, &v, XPL));
    }
    assert_eq!(net.refused(&alice, undelegate(&alice, &v, XPL)), ("staking", 27));
    for _ in 0..7 {
        net.done(&alice, redelegate(&alice, &v, &w, XPL));
    }
    assert_eq!(net.refused(&alice, redelegate(&alice, &v, &w, XPL)), ("staking", 33));
    assert_eq!(net.refused(&alice, redelegate(&alice, &w, &v, XPL)), ("staking", 32));
    assert_eq!(net.refused(&alice, redelegate(&alice, &v, &v, XPL)), ("staking", 29));
    assert_eq!(net.refused(&alice, redelegate(&alice, &v, &alice, XPL)), ("staking", 31));
    assert_eq!(net.refused(&alice, redelegate(&alice, &alice, &v, XPL)), ("staking", 44));
    assert_eq!(net.refused(&alice, delegate(&alice, &alice, XPL)), ("staking", 3));
    // After the time of unbonding both ways are free again.
    net.later(21 * DAY_S);
    net.done(&alice, undelegate(&alice, &v, XPL));
    net.done(&alice, redelegate(&alice, &w, &v, XPL));
}

#[test]
fn an_account_stakes_with_a_bounded_number_of_validators() {
    let many: Vec<Account> = (1..=33).map(Account::new).collect();
    let alice = Account::new(100);
    let stakes: Vec<_> = many.iter().map(|account| (account, 10)).collect();
    let mut net = start(&stakes, &[&alice], plain);
    for v in &many[..staking::DELEGATIONS_MAX] {
        net.delegate(&alice, v, 1);
    }
    assert_eq!(net.refused(&alice, delegate(&alice, &many[32], XPL)), ("staking", 61));
    // The whole of one may move: its place is free then.
    net.done(&alice, redelegate(&alice, &many[0], &many[32], XPL));
    net.delegate(&alice, &many[32], 1);
}

#[test]
fn the_strongest_make_the_set() {
    let [a, b, c, d] = accounts();
    let mut net = start(&[(&a, 300), (&b, 200)], &[&c, &d], |genesis| {
        params(genesis).max_validators = 2;
    });
    assert_eq!(net.set().len(), 2);
    // Too weak: it waits outside, its stake in the other pool.
    net.done(&c, any(&create(&c, 200 * XPL)));
    let outside = if c.address < b.address { &b } else { &c };
    assert_eq!(
        net.validator(outside).status(),
        match outside.address == c.address {
            true => BondStatus::Unbonded,
            false => BondStatus::Unbonding,
        },
        "of equals the smallest address comes first"
    );
    net.delegate(&c, &c, 1);
    assert_eq!(net.set().keys().copied().collect::<Vec<_>>(), {
        let mut keys = vec![key(&a), key(&c)];
        keys.sort();
        keys
    });
    assert_eq!(net.validator(&b).status(), BondStatus::Unbonding);
    assert_eq!(net.pool(staking::NOT_BONDED_POOL), 200 * XPL);
    assert_eq!(net.pool(staking::BONDED_POOL), 501 * XPL);
    // Stake that moves from one that unbonds is bound only as long as that.
    net.done(&b, redelegate(&b, &b, &a, 50 * XPL));
    assert_eq!(net.pool(staking::BONDED_POOL), 551 * XPL);
    net.later(21 * DAY_S);
    assert_eq!(net.validator(&b).status(), BondStatus::Unbonded);
    // One that nobody stakes with is forgotten, but its key stays its operator's.
    net.done(&b, undelegate(&b, &b, 150 * XPL));
    assert!(staking::validator(&net.store, b.address).is_none());
    let stolen = MsgCreateValidator {
        pubkey: Some(any(&PubKey { key: key(&b).to_vec() })),
        ..create(&d, XPL)
    };
    assert_eq!(net.refused(&d, any(&stolen)), ("staking", 5));
    net.later(21 * DAY_S);
    net.done(&b, any(&create(&b, 400 * XPL)));
    assert_eq!(net.set()[&key(&b)], 400);
    // One whose operator leaves altogether goes at once.
    net.done(&b, undelegate(&b, &b, 400 * XPL));
    assert!(!net.set().contains_key(&key(&b)));
}

#[test]
fn a_chain_is_never_without_validators() {
    let [v, w] = accounts();
    let mut net = start(&[(&v, 10)], &[&w], plain);
    // The only one takes its stake away: it is jailed, and makes blocks until another can.
    net.done(&v, undelegate(&v, &v, 10 * XPL));
    assert_eq!(net.set()[&key(&v)], 10);
    assert!(net.validator(&v).jailed);
    net.blocks(3);
    net.done(&w, any(&create(&w, 5 * XPL)));
    assert_eq!(net.set().iter().collect::<Vec<_>>(), [(&key(&w), &5)]);
    net.later(22 * DAY_S);
    assert!(staking::validator(&net.store, v.address).is_none());
}

#[test]
fn what_a_validator_promises_it_keeps() {
    let [v, w, x] = accounts();
    let mut net = start(&[(&v, 100)], &[&w, &x], plain);
    let with = |change: fn(&mut MsgCreateValidator)| {
        let mut msg = create(&w, 10 * XPL);
        change(&mut msg);
        any(&msg)
    };
    let rates = |msg: &mut MsgCreateValidator, rate, max, step| {
        let [rate, max_rate, max_change_rate] = [rate, max, step].map(bps);
        msg.commission = Some(CommissionRates { rate, max_rate, max_change_rate });
    };
    let _ = rates;
    type Case = (fn(&mut MsgCreateValidator), (&'static str, u32));
    let bad: [Case; 9] = [
        (|msg| msg.value = Some(coin(XPL - 1)), ("staking", 16)),
        (|msg| msg.min_self_delegation = (11 * XPL).to_string(), ("staking", 16)),
        (|msg| msg.min_self_delegation = "0".into(), ("sdk", 18)),
        (|msg| msg.pubkey = Some(any(&PubKey { key: vec![1; 31] })), ("staking", 6)),
        (|msg| msg.description.as_mut().unwrap().moniker = String::new(), ("sdk", 18)),
        (|msg| msg.description.as_mut().unwrap().details = "x".repeat(281), ("sdk", 18)),
        (|msg| msg.commission.as_mut().unwrap().rate = bps(2_001), ("staking", 11)),
        (|msg| msg.commission.as_mut().unwrap().max_change_rate = bps(2_001), ("staking", 14)),
        (|msg| msg.commission.as_mut().unwrap().max_rate = bps(10_001), ("staking", 10)),
    ];
    for (change, code) in bad {
        assert_eq!(net.refused(&w, with(change)), code);
    }
    net.done(&w, any(&create(&w, 10 * XPL)));
    assert_eq!(net.refused(&w, any(&create(&w, XPL))), ("staking", 4));

    // A commission moves once a day, by its step, below its bound.
    assert_eq!(net.refused(&w, edit(&w, &bps(1_050), "")), ("staking", 12));
    net.later(DAY_S);
    assert_eq!(net.refused(&w, edit(&w, &bps(1_101), "")), ("staking", 15));
    assert_eq!(net.refused(&w, edit(&w, &bps(899), "")), ("staking", 15));
    assert_eq!(net.refused(&w, edit(&w, &bps(2_001), "")), ("staking", 11));
    net.done(&w, edit(&w, &bps(1_100), ""));
    assert_eq!(net.refused(&w, edit(&w, &bps(1_000), "")), ("staking", 12));
    assert_eq!(net.validator(&w).description.unwrap().moniker, "renamed");
    assert_eq!(net.refused(&x, edit(&x, "", "")), ("staking", 3));

    // The promise of self-bond only rises, up to what there is, and leaving it is jail.
    assert_eq!(net.refused(&w, edit(&w, "", "1")), ("staking", 17));
    assert_eq!(net.refused(&w, edit(&w, "", &(11 * XPL).to_string())), ("staking", 16));
    net.done(&w, edit(&w, "", &(9 * XPL).to_string()));
    assert_eq!(net.refused(&w, unjail(&w)), ("slashing", 5));
    net.done(&w, undelegate(&w, &w, 2 * XPL));
    assert!(net.validator(&w).jailed && !net.set().contains_key(&key(&w)));
    assert_eq!(net.refused(&w, unjail(&w)), ("slashing", 7));
    assert_eq!(net.refused(&x, unjail(&x)), ("slashing", 2));
    net.delegate(&w, &w, 1);
    net.done(&w, unjail(&w));
    assert_eq!(net.set()[&key(&w)], 9);
}

#[test]
fn the_chain_has_a_least_commission() {
    let [v, w] = accounts();
    let mut net = start(&[(&v, 100)], &[&w], |genesis| {
        params(genesis).min_commission_rate = bps(1_001);
    });
    assert_eq!(net.refused(&w, any(&create(&w, XPL))), ("staking", 40));
}

#[test]
fn locked_money_may_be_staked_and_stays_locked() {
    let [v, alice, bob] = accounts();
    let mut net = start(&[(&v, 1_000)], &[&alice], plain);
    net.done(
        &alice,
        any(&MsgCreateVestingAccount {
            from_address: alice.address.text(),
            to_address: bob.address.text(),
            amount: vec![coin(100 * XPL)],
            end_time: i64::try_from(TIME_S + 100 * DAY_S).unwrap(),
            delayed: true,
        }),
    );
    // Fees come from what is free.
    net.done(&alice, crate::common::send(&alice, bob.address, XPL));
    net.done(&bob, delegate(&bob, &v, 60 * XPL));
    let free = |net: &Net| {
        let uxpl = plasma_modules::Denom::uxpl();
        token::spendable_at(&net.store, bob.address, &uxpl, net.time_s).units()
    };
    assert!(free(&net) < XPL);
    assert_eq!(net.refused(&bob, crate::common::send(&bob, alice.address, XPL)), ("sdk", 5));
    net.done(&bob, undelegate(&bob, &v, 60 * XPL));
    net.later(21 * DAY_S);
    assert!(free(&net) < XPL, "it comes back locked");
    net.later(100 * DAY_S);
    assert!(free(&net) > 100 * XPL);
    assert_eq!(net.restarted().timeless(), net.timeless());
}

#[test]
fn the_books_go_on_from_an_export() {
    let [v, w, alice, bob] = accounts();
    let mut net = start(&[(&v, 1_000), (&w, 500)], &[&alice, &bob], plain);
    net.delegate(&alice, &v, 300);
    net.delegate(&bob, &w, 30);
    net.done(&alice, undelegate(&alice, &v, 20 * XPL));
    net.done(&alice, redelegate(&alice, &v, &w, 30 * XPL));
    net.absent = vec![consensus(&w)];
    net.blocks(5);
    net.tell(&v, 2, TIME_S + 2, 1_000);
    net.done(&bob, undelegate(&bob, &w, 7 * XPL));
    let mut copy = net.restarted();
    assert_eq!(copy.timeless(), net.timeless());
    for seconds in [1, 1, DAY_S, 20 * DAY_S, DAY_S, 1] {
        let (one, other) = (net.later(seconds), copy.later(seconds));
        assert_eq!(one.validator_updates, other.validator_updates);
        assert_eq!(one.writes, other.writes);
    }
    // Indexes are built anew from the objects.
    let mut built = Memory::default();
    let mut bare = Memory::default();
    for (key, value) in net.store.scan(&[]) {
        if !Table::is_derived(key[0]) {
            bare.set(key.clone(), Some(value.clone()));
            built.set(key, Some(value));
        }
    }
    chain::rebuild_derived(&bare, &mut |key| built.set(key, Some(vec![])));
    assert_eq!(built, net.store);
}
