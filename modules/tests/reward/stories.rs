//! What becomes of epochs, marks and claims.

use super::*;
use plasma_modules::{Memory, Write};

#[test]
fn an_epoch_gives_back_part_of_what_it_burned() {
    let mut net = market_of(default_params());
    let supply = net.supply();
    let payments = [burned(OPERATORS[0], 300), burned(OPERATORS[1], 700), burned(OPERATORS[0], 1)];
    end(&mut net, 3_599, &payments);
    end(&mut net, 1, &[]);
    assert_eq!(net.supply(), supply, "the epoch is not over");
    end(&mut net, 1, &[]);
    // 800 of 1001: 240 and 559, one is left for the next.
    assert_eq!((accrued(&net, OPERATORS[0]), accrued(&net, OPERATORS[1])), (240, 559));
    assert_eq!(net.supply(), supply + 799);
    end(&mut net, 3_600, &[burned(OPERATORS[2], 10)]);
    end(&mut net, 1, &[]);
    assert_eq!(accrued(&net, OPERATORS[2]), 9, "8 and what was left");
    let before = net.balance(OPERATORS[0]);
    assert_eq!(claim(&mut net, OPERATORS[0]), Ok(240));
    assert_eq!(net.balance(OPERATORS[0]), before + 240);
    assert_eq!(claim(&mut net, OPERATORS[0]), Ok(0), "once");
}

#[test]
fn the_schedule_holds_where_more_was_burned() {
    let mut net = market_of(default_params());
    // 10 million XPL a year are 1141.5525 XPL an hour.
    end(&mut net, 3_600, &[burned(OPERATORS[0], 1_000_000 * XPL)]);
    end(&mut net, 1, &[]);
    assert_eq!(accrued(&net, OPERATORS[0]), 1_141_552_511);
}

#[test]
fn a_block_pays_no_more_than_its_part_and_everybody_is_paid() {
    let limited = pb::Params { payouts_per_block_max: 8, ..default_params() };
    let mut net = market_of(limited);
    let payments: Vec<_> =
        (1..=100u8).map(|n| burned(Address([n; 20]), 1_000 + u128::from(n))).collect();
    end(&mut net, 3_600, &payments);
    let paid = |net: &Net| (1..=100).filter(|n| accrued(net, Address([*n; 20])) != 0).count();
    for blocks in 1..=13 {
        // Two more epochs end meanwhile.
        end(&mut net, 900, &payments[..1]);
        assert_eq!(paid(&net), (blocks * 8).min(100));
    }
    for _ in 0..5 {
        end(&mut net, 1, &[]);
    }
    let record = reward::export(&net.store);
    assert!(record.epochs.iter().take(3).all(|epoch| epoch.paid), "{:?}", record.epochs);
    let all: u128 = (2..=100u8).map(|n| accrued(&net, Address([n; 20]))).sum();
    let sum: u128 = (1..=100u128).map(|n| 1_000 + n).sum();
    let emission = sum * 8 / 10;
    assert_eq!(all, (2..=100u128).map(|n| emission * (1_000 + n) / sum).sum::<u128>());
}

#[test]
fn standby_is_paid_by_slots_and_time_and_not_by_use() {
    let mut net = market_of(pb::Params {
        standby_slot_yearly_uxpl: 1_000_000_000_000_000,
        ..default_params()
    });
    end(&mut net, 1, &[]);
    let from = net.block.time_s;
    mark(&mut net, OPERATORS[0], 3, from + 7_200);
    mark(&mut net, OPERATORS[1], 1, from + 3_600);
    end(&mut net, 1, &[burned(OPERATORS[2], 1_000_000)]);
    net.block = block(net.block.height, from + 10_000);
    end(&mut net, 1, &[]);
    // A million XPL a year: 114.155251 an hour; three quarters of the first, all of the second.
    assert_eq!(accrued(&net, OPERATORS[1]), 28_538_812);
    assert_eq!(accrued(&net, OPERATORS[0]), 85_616_438 + 114_155_251);
    assert!(reward::export(&net.store).audited.is_empty());
}

#[test]
fn one_slot_is_paid_no_more_than_its_part() {
    let mut net = market_of(default_params());
    let from = net.block.time_s;
    mark(&mut net, OPERATORS[0], 1, from + 86_400);
    net.block.time_s += 86_400;
    // 365 XPL a year.
    assert_eq!(claim(&mut net, OPERATORS[0]), Ok(XPL));
}

#[test]
fn marks_run_out_in_order_and_by_parts() {
    let limited = pb::Params { expiries_per_block_max: 1, ..default_params() };
    let (mut net, mut free) = (market_of(limited), market_of(default_params()));
    for net in [&mut net, &mut free] {
        for (at, operator) in OPERATORS.into_iter().enumerate() {
            mark(net, operator, 900_000, START_S + 100 * (at as u64 + 1));
        }
        net.block.time_s += 1_000;
        end(net, 5, &[]);
    }
    assert_eq!(reward::export(&net.store).audited.len(), 2);
    end(&mut net, 5, &[]);
    end(&mut net, 5, &[]);
    assert!(reward::export(&net.store).audited.is_empty());
    for operator in OPERATORS {
        assert_eq!(accrued(&net, operator), accrued(&free, operator), "late, and no less");
    }
}

fn change(net: &mut Net, params: pb::Params) -> Result<(), Refusal> {
    let authority = plasma_modules::params::authority();
    let msg = pb::MsgUpdateParams { authority: authority.text(), params: Some(params) };
    let msg = reward::UpdateParams::new(msg)?;
    net.run(authority, |ctx| reward::update_params(ctx, msg)).map(drop)
}

#[test]
fn a_change_pays_what_stood_by_until_then_by_the_old_numbers() {
    let old = default_params();
    let mut net = market_of(old);
    end(&mut net, 0, &[]);
    let from = net.block.time_s;
    mark(&mut net, OPERATORS[0], 1, from + 10 * 86_400);
    // A mark that has run out before the change, and was not removed yet.
    mark(&mut net, OPERATORS[1], 1, from + 86_400);
    net.block.time_s = from + 3 * 86_400;
    let new = pb::Params { standby_slot_yearly_uxpl: 2 * old.standby_slot_yearly_uxpl, ..old };
    change(&mut net, new).unwrap();
    chain::check_invariants(&net.store).unwrap();
    assert_eq!(reward::params(&net.store), new);
    // One XPL a day until then, two from then on.
    assert_eq!(accrued(&net, OPERATORS[1]), XPL);
    assert_eq!(claim(&mut net, OPERATORS[0]), Ok(3 * XPL));
    net.block.time_s += 2 * 86_400;
    assert_eq!(claim(&mut net, OPERATORS[0]), Ok(4 * XPL));
}

#[test]
fn no_change_while_marks_that_ran_out_wait_to_be_paid() {
    let limited = pb::Params { expiries_per_block_max: 1, ..default_params() };
    let mut net = market_of(limited);
    end(&mut net, 0, &[]);
    let from = net.block.time_s;
    for operator in OPERATORS {
        mark(&mut net, operator, 1, from + 86_400);
    }
    net.block.time_s = from + 2 * 86_400;
    let new = pb::Params { eta_bps: limited.eta_bps + 1, ..limited };
    refused(change(&mut net, new), "reward", 5);
    assert_eq!(reward::export(&net.store).audited.len(), 3, "a refusal leaves nothing");
    end(&mut net, 1, &[]);
    end(&mut net, 1, &[]);
    change(&mut net, new).unwrap();
    for operator in OPERATORS {
        assert_eq!(accrued(&net, operator), XPL);
    }
}

#[test]
fn who_has_left_claims_and_is_forgotten_and_a_stranger_is_refused() {
    let mut net = market_of(default_params());
    end(&mut net, 3_600, &[burned(OPERATORS[0], 1_000)]);
    mark(&mut net, OPERATORS[1], 5, START_S + 100_000);
    net.leave(OPERATORS[0]).unwrap();
    net.leave(OPERATORS[1]).unwrap();
    net.end(30, 10);
    assert!(net.provider(OPERATORS[0]).is_none());
    end(&mut net, 1, &[]);
    assert_eq!(claim(&mut net, OPERATORS[0]), Ok(800));
    assert!(reward::account(&net.store, OPERATORS[0]).is_none());
    refused(claim(&mut net, OPERATORS[0]), "reward", 2);
    refused(claim(&mut net, OPERATORS[1]), "reward", 2);
    refused(claim(&mut net, USERS[0]), "reward", 2);
    let nobody = reward::ClaimReward::new(pb::MsgClaimReward { operator: "xpl1".into() });
    refused(nobody.map_err(Refusal::from), "sdk", 7);
}

#[test]
fn a_yield_tells_use_from_subsidy() {
    let mut net = market_of(default_params());
    end(&mut net, 1, &[]);
    let job = net.assigned();
    let answer = net.answer(&job, 10);
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, answer).unwrap();
    net.end(5, 5);
    let earned: u128 = net.provider(operator).unwrap().earned_uxpl.parse().unwrap();
    let mut settled = vec![];
    net.run(operator, |ctx| {
        settled = market::take_settled(ctx.store);
        Ok::<_, Refusal>(())
    })
    .unwrap();
    end(&mut net, 3_600, &settled);
    end(&mut net, 0, &[]);
    // Ten more XPL for another day.
    net.add_bond(operator, 10 * XPL).unwrap();
    let first_s = u128::from(net.block.time_s - START_S);
    net.block.time_s += 86_400;
    let view = View { store: &net.store, block: &net.block };
    let ask = pb::QueryYieldRequest { operator: operator.text() }.encode_to_vec();
    let answer = Router::new().call("/plasma.reward.v1.Query/Yield", &view, &ask).unwrap();
    let found = pb::QueryYieldResponse::decode(&answer[..]).unwrap().r#yield.unwrap();
    let bond_s = 10 * XPL * first_s + 20 * XPL * 86_400;
    assert_eq!(found.bond_uxpl_s, bond_s.to_string());
    assert_eq!(found.use_uxpl, earned.to_string());
    let subsidy = accrued(&net, operator);
    assert_eq!(found.emission_uxpl, subsidy.to_string());
    assert!(subsidy > 0);
    let year = u128::from(reward::YEAR_S);
    assert_eq!(u128::from(found.use_bps_per_year), earned * year * 10_000 / bond_s);
    assert_eq!(u128::from(found.subsidy_bps_per_year), subsidy * year * 10_000 / bond_s);
    let answer = Router::new().call("/plasma.reward.v1.Query/Yields", &view, &[]).unwrap();
    assert_eq!(pb::QueryYieldsResponse::decode(&answer[..]).unwrap().yields, [found]);
    let stranger = pb::QueryYieldRequest { operator: USERS[0].text() }.encode_to_vec();
    for path in ["Yield", "Account"] {
        let path = format!("/plasma.reward.v1.Query/{path}");
        assert_eq!(Router::new().call(&path, &view, &stranger).unwrap_err().code.grpc(), 5);
    }
    for path in ["Params", "CurrentEpoch", "Epochs", "Audited"] {
        let path = format!("/plasma.reward.v1.Query/{path}");
        assert!(!Router::new().call(&path, &view, &[]).unwrap().is_empty(), "{path}");
    }
}

#[test]
fn rewards_go_on_from_their_export_in_the_middle_of_paying() {
    let mut net = market_of(pb::Params { payouts_per_block_max: 3, ..default_params() });
    let payments: Vec<_> =
        (1..=20u8).map(|n| burned(Address([n; 20]), u128::from(n) * 7)).collect();
    mark(&mut net, OPERATORS[0], 7, START_S + 20_000);
    end(&mut net, 3_600, &payments);
    end(&mut net, 1, &payments);
    let exported = reward::export(&net.store);
    assert_ne!(exported.paying.unwrap().epoch, 0);
    let mut twin = Net {
        store: Memory::default(),
        block: net.block.clone(),
        events: vec![],
        fee_units: 0,
        plays_audits: false,
    };
    for (key, value) in net.store.scan(&[]).filter(|(key, _)| !(0x60..0x70).contains(&key[0])) {
        twin.store.set(key, Some(value));
    }
    reward::init(&mut twin.store, &exported).unwrap();
    assert_eq!(twin.store, net.store);
    for _ in 0..12 {
        end(&mut net, 1_000, &payments[..5]);
        end(&mut twin, 1_000, &payments[..5]);
        assert_eq!(twin.store, net.store);
    }
}

#[test]
fn a_genesis_that_is_not_well_formed_is_refused() {
    let mut net = market_of(default_params());
    mark(&mut net, OPERATORS[0], 7, START_S + 20_000);
    end(&mut net, 3_600, &[burned(OPERATORS[0], 1_000)]);
    end(&mut net, 1, &[burned(OPERATORS[0], 1_000)]);
    let good = reward::export(&net.store);
    let check = |genesis: &plasma_proto::plasma::genesis::v1::RewardGenesis, codespace, code| {
        let mut store = Memory::default();
        for (key, value) in net.store.scan(&[]).filter(|(key, _)| !(0x60..0x70).contains(&key[0])) {
            store.set(key, Some(value));
        }
        refused(reward::init(&mut store, genesis).map_err(Refusal::from), codespace, code);
    };
    let bad = |change: fn(&mut plasma_proto::plasma::genesis::v1::RewardGenesis)| {
        let mut genesis = good.clone();
        change(&mut genesis);
        check(&genesis, "reward", 4);
    };
    bad(|genesis| genesis.params = None);
    bad(|genesis| genesis.standby = None);
    bad(|genesis| genesis.schedule = None);
    bad(|genesis| genesis.paying = None);
    bad(|genesis| genesis.paying.as_mut().unwrap().epoch = 1);
    bad(|genesis| genesis.epoch = None);
    bad(|genesis| genesis.epoch.as_mut().unwrap().burn_uxpl = "7".into());
    bad(|genesis| genesis.epochs.push(genesis.epochs[0].clone()));
    bad(|genesis| genesis.epochs[0].paid = false);
    bad(|genesis| genesis.epochs[0].paid_uxpl = "1000000".into());
    bad(|genesis| genesis.burns.push(genesis.burns[0].clone()));
    bad(|genesis| genesis.burns[0].epoch = 77);
    bad(|genesis| genesis.accounts.push(genesis.accounts[0].clone()));
    bad(|genesis| genesis.accounts[0].accrued_uxpl = "1".into());
    bad(|genesis| genesis.accounts[0].operator = "xpl1".into());
    bad(|genesis| genesis.audited.push(genesis.audited[0].clone()));
    bad(|genesis| genesis.audited[0].slots = 8);
    bad(|genesis| genesis.audited[0].from_per_slot = "99999999999999999999".into());
    let mut genesis = good.clone();
    genesis.params.as_mut().unwrap().eta_bps = 10_000;
    check(&genesis, "params", 10);
}
