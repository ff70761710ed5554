//! The rewards' promises: they agree with a plain reading of their rules, supply holds, whoever pays
//! himself loses, and no block does more than its part.

mod agreement;
#[path = "../market/net.rs"]
#[allow(dead_code, unused_imports, reason = "of the market's tests, these need a part")]
mod net;
mod stories;
mod wash;

use net::*;
use plasma_modules::{
    Read,
    reward::{self, default_params},
};
use plasma_proto::plasma::reward::v1 as pb;

/// Chain time at which the tests begin.
const START_S: u64 = 1_700_006_400;

/// A market with three providers, and rewards by these numbers.
fn market_of(params: pb::Params) -> Net {
    let mut net = Net::new(net::params());
    set_params(&mut net, params);
    net.block = block(1, START_S);
    net.publish("base", 0).unwrap();
    for operator in OPERATORS {
        net.register(operator, 10 * XPL, vec![ask(&net.model(), 4)]).unwrap();
    }
    net
}

fn set_params(net: &mut Net, params: pb::Params) {
    let genesis = plasma_proto::plasma::genesis::v1::RewardGenesis {
        params: Some(params),
        ..reward::default_genesis()
    };
    reward::init(&mut net.store, &genesis).unwrap();
}

/// Ends a block in which these payments became final.
fn end(net: &mut Net, seconds: u64, settled: &[Settled]) {
    net.run(Address::default(), |ctx| {
        reward::end_block(ctx, settled);
        Ok::<_, Refusal>(())
    })
    .unwrap();
    chain::check_invariants(&net.store).unwrap();
    net.block = block(net.block.height + 1, net.block.time_s + seconds);
}

/// A payment that burned so much.
fn burned(provider: Address, burn: u128) -> Settled {
    Settled {
        model_id: vec![1; 32],
        provider: provider.text(),
        payer: USERS[0].text(),
        charge_uxpl: (burn * 12).to_string(),
        provider_uxpl: (burn * 10).to_string(),
        burn_uxpl: burn.to_string(),
        ..Settled::default()
    }
}

fn mark(net: &mut Net, operator: Address, slots: u32, until_s: u64) {
    net.run(operator, |ctx| {
        reward::mark_audited(ctx, operator, slots, until_s);
        Ok::<_, Refusal>(())
    })
    .unwrap();
    chain::check_invariants(&net.store).unwrap();
}

fn claim(net: &mut Net, operator: Address) -> Result<u128, Refusal> {
    let msg = reward::ClaimReward::new(pb::MsgClaimReward { operator: operator.text() })?;
    let answer = net.run(operator, |ctx| reward::claim_reward(ctx, msg))?;
    chain::check_invariants(&net.store).unwrap();
    Ok(answer.amount_uxpl.parse().unwrap())
}

fn accrued(net: &Net, operator: Address) -> u128 {
    reward::account(&net.store, operator).map_or(0, |account| account.accrued_uxpl.parse().unwrap())
}
