//! No attack on the market's money pays, at the default parameters, at any share of the stake: a day
//! of each in the real state machine. `make economics` plays months and draws them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, OnceLock},
};

mod attacks;
#[path = "../common/mod.rs"]
mod common;
mod people;
mod world;

use attacks::{Attack, Life, Outcome, Play, live, plays};
use world::{SHARES, Share};

const SEED: u64 = 7;
const DAYS: u64 = 1;

type Lives = BTreeMap<(Play, Share), Arc<OnceLock<Life>>>;

/// Twins that attacks share are played once.
static LIVES: LazyLock<Mutex<Lives>> = LazyLock::new(Mutex::default);

fn life(play: Play, share: Share) -> Life {
    let slot = Arc::clone(LIVES.lock().unwrap().entry((play, share)).or_default());
    slot.get_or_init(|| live(play, share, SEED, DAYS)).clone()
}

fn loses(attack: Attack) {
    let outcome = Outcome::new(attack, life);
    assert_eq!(outcome.attack, attack);
    let (name, (what, twin)) = (attack.name(), attack.story());
    println!("{name} ({what}) beside its twin ({twin}), price and index {:?}", outcome.prices);
    for (share, profit) in SHARES.into_iter().zip(outcome.profit()) {
        let bps = Outcome::bps(profit);
        println!("at stake {}: {profit} uxpl, {bps} bps of capital", share.name);
        assert!(profit < 0, "{name} at stake {} gains {profit} uxpl", share.name);
    }
}

macro_rules! attacks {
    ($($name:ident: $attack:ident;)+) => {
        $(#[test]
        fn $name() {
            loses(Attack::$attack);
        })+

        #[test]
        fn every_attack_is_played_at_every_share() {
            assert_eq!(attacks::ALL, [$(Attack::$attack,)+]);
            assert_eq!(plays(&attacks::ALL).len(), (attacks::ALL.len() + 4) * SHARES.len());
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

/// A rich man with all the stake earns what stake earns: so much, by messages, in a day.
#[test]
fn stake_is_real_and_its_rewards_are_withdrawn() {
    let wealth = |share| *life(Play::Twin(attacks::Twin::Rests), share).days.last().unwrap();
    let begins = |share: Share| (world::CAPITAL + share.stake()) as i128;
    let [none, third, half, all] = SHARES.map(|share| wealth(share) - begins(share));
    assert!((-100_000..=0).contains(&none), "who has no stake earns nothing: {none}");
    // 5 % a year of a supply of 3.25 million XPL, less the community's 2 %, and the stakers' part of charges.
    assert!((430..450).contains(&(all / world::XPL as i128)), "{all}");
    assert!((half * 2 - all).abs() * 100 < all, "{half} {all}");
    assert!((third * 3 - all).abs() * 100 < all, "{third} {all}");
}
