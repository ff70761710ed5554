//! No attack on the market's money pays, at the default parameters, at any share of the stake: a day
//! of each in the real state machine. `make economics` plays months and draws them.

mod attacks;
#[path = "../common/mod.rs"]
mod common;
mod world;

use attacks::{Attack, STAKES, play};

fn loses(attack: Attack) {
    let outcome = play(attack, 7, 1);
    assert_eq!(outcome.attack, attack);
    let (name, (what, twin)) = (attack.name(), attack.story());
    println!("{name} ({what}) beside its twin ({twin}), price and index {:?}", outcome.prices);
    for ((share, _), profit) in STAKES.into_iter().zip(outcome.profit()) {
        let bps = profit * 10_000 / attack.capital() as i128;
        println!("at stake {share}: {profit} uxpl, {bps} bps of capital");
        assert!(profit < 0, "{name} at stake {share} gains {profit} uxpl");
    }
}

macro_rules! attacks {
    ($($name:ident: $attack:ident;)+) => {
        $(#[test]
        fn $name() {
            loses(Attack::$attack);
        })+

        #[test]
        fn every_attack_is_played() {
            assert_eq!(attacks::ALL, [$(Attack::$attack,)+]);
        }
    };
}

attacks! {
    paying_oneself_does_not_pay: Wash;
    a_ring_of_strangers_that_are_one_man_does_not_pay: Ring;
    lifting_the_index_does_not_pay: Index;
    lifting_the_price_by_use_does_not_pay: Pump;
    buying_the_market_empty_does_not_pay: Whale;
    selling_below_cost_for_the_emission_does_not_pay: Dump;
    taking_work_and_not_answering_does_not_pay: Silent;
}
