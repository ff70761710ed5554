//! The price record's promises: it agrees with a plain reading of its rules, nobody moves it by
//! claims, and no block does more than its part.

mod agreement;
#[path = "../market/net.rs"]
#[allow(dead_code, unused_imports, reason = "of the market's tests, these need a part")]
mod net;
mod stories;

use net::*;
use plasma_modules::{
    Read,
    price::{self, default_params},
};
use plasma_proto::plasma::price::v1 as pb;

/// Chain time at which the tests begin: the start of a day.
const START_S: u64 = 1_700_006_400;

/// Payers and providers beyond those who hold money.
fn somebody(number: u8) -> Address {
    Address([number; 20])
}

/// A market with one model and three providers, at the beginning of a day.
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
    let genesis = plasma_proto::plasma::genesis::v1::PriceGenesis {
        params: Some(params),
        ..price::default_genesis()
    };
    price::init(&mut net.store, &genesis).unwrap();
}

/// Ends a block in which these payments became final.
fn end(net: &mut Net, seconds: u64, settled: &[Settled]) {
    net.run(Address::default(), |ctx| {
        price::end_block(ctx, settled);
        Ok::<_, Refusal>(())
    })
    .unwrap();
    price::check_invariants(&net.store).unwrap();
    net.block = block(net.block.height + 1, net.block.time_s + seconds);
}

/// A payment for output alone.
fn paid(model_id: &[u8], provider: Address, charge: u128, n_out: u64) -> Settled {
    Settled {
        model_id: model_id.into(),
        provider: provider.text(),
        payer: USERS[0].text(),
        charge_uxpl: charge.to_string(),
        provider_uxpl: charge.to_string(),
        burn_uxpl: "0".into(),
        n_out,
        slot: 1,
        ..Settled::default()
    }
}

fn hash(model_id: &[u8]) -> [u8; 32] {
    model_id.try_into().unwrap()
}

fn price_of(net: &Net, model_id: &[u8]) -> pb::Price {
    price::price(&net.store, &hash(model_id)).unwrap()
}
