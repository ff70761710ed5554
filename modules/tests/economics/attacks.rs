//! Attacks on the market's money, each beside a twin: the same chain, the same honest people with the
//! same dice, and the same capital at honest work, or at rest where the attack is no work at all.

use crate::world::{DAY_BLOCKS, FAIR, Rig, World, XPL};

/// Shares of the stake that an attacker may hold, as (text, parts of 6).
pub const STAKES: [(&str, i128); 4] = [("0", 0), ("1/3", 2), ("1/2", 3), ("1", 6)];

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Pays himself large sums, on his own model, as publisher and referrer too.
    Wash,
    /// The same in small sums, with six payers and six providers that look like strangers.
    Ring,
    /// Six dear rigs on the honest model, and payers who pay any price, to lift the index.
    Index,
    /// Follows the reference price, and fills slots by ten payers to lift it.
    Pump,
    /// Buys the whole market empty, and sells dearly what is left.
    Whale,
    /// Sells at a tenth of the fair price for the emission.
    Dump,
    /// Takes work at half the price and never answers.
    Silent,
}

pub const ALL: [Attack; 7] = [
    Attack::Wash,
    Attack::Ring,
    Attack::Index,
    Attack::Pump,
    Attack::Whale,
    Attack::Dump,
    Attack::Silent,
];

impl Attack {
    pub fn name(self) -> &'static str {
        match self {
            Self::Wash => "wash",
            Self::Ring => "ring",
            Self::Index => "index",
            Self::Pump => "pump",
            Self::Whale => "whale",
            Self::Dump => "dump",
            Self::Silent => "silent",
        }
    }

    /// What it is, and what its twin does.
    pub fn story(self) -> (&'static str, &'static str) {
        match self {
            Self::Wash => {
                ("pays himself large sums, as payer, provider, publisher and referrer", "rests")
            }
            Self::Ring => {
                ("six payers pay six providers, all one man, in sums of an honest job", "rests")
            }
            Self::Index => (
                "six rigs at five times the price, and payers of any price, to lift the index",
                "six honest rigs",
            ),
            Self::Pump => (
                "two rigs that follow the reference price, and ten payers who fill slots to lift it",
                "two rigs that follow it",
            ),
            Self::Whale => (
                "twenty payers buy the market empty; two rigs sell dearly to who is left",
                "two honest rigs",
            ),
            Self::Dump => ("two rigs at a tenth of the price, for the emission", "two honest rigs"),
            Self::Silent => ("two rigs at half the price that never answer", "two honest rigs"),
        }
    }

    /// Cash of each attacker account, uxpl.
    fn cash(self) -> u128 {
        match self {
            Self::Wash => 5_000 * XPL,
            Self::Whale | Self::Index => 2_000 * XPL,
            _ => 1_000 * XPL,
        }
    }

    /// Accounts that the attack uses.
    fn accounts(self) -> u128 {
        match self {
            Self::Wash => 3,
            Self::Ring | Self::Index | Self::Pump => 12,
            Self::Whale => 22,
            Self::Dump | Self::Silent => 2,
        }
    }

    /// Money at work, uxpl.
    pub fn capital(self) -> u128 {
        self.cash() * self.accounts()
    }

    /// Before the first day. Without `attack`, what the twin does.
    fn begin(self, world: &mut World, attack: bool) -> Vec<u8> {
        let fair = world.model.clone();
        let rig = |number, ask, follows, answers| Rig { number, ask, follows, answers };
        let rigs = |world: &mut World, count: u8, ask: u64, follows, answers| {
            for number in 200..200 + count {
                let rig = rig(number, ask, follows, answers);
                world.register(rig, &fair, 2, 300 * XPL);
            }
        };
        match self {
            Self::Wash if attack => {
                let model = world.publish(201, "wash", 200);
                world.step();
                // 10 XPL a job.
                world.register(
                    rig(200, 10_000_000 * XPL as u64 / 64, false, true),
                    &model,
                    16,
                    1_000 * XPL,
                );
                return model;
            }
            Self::Ring if attack => {
                let model = world.publish(200, "ring", 200);
                world.step();
                for number in 200..206 {
                    world.register(rig(number, FAIR, false, true), &model, 2, 300 * XPL);
                }
                return model;
            }
            Self::Wash | Self::Ring => {}
            Self::Index => rigs(world, 6, if attack { 5 * FAIR } else { FAIR }, false, true),
            Self::Pump => rigs(world, 2, FAIR, true, true),
            Self::Whale => rigs(world, 2, if attack { FAIR * 24 / 10 } else { FAIR }, false, true),
            Self::Dump => rigs(world, 2, if attack { FAIR / 10 } else { FAIR }, false, true),
            Self::Silent => rigs(world, 2, if attack { FAIR / 2 } else { FAIR }, false, !attack),
        }
        fair
    }

    /// In each block.
    fn act(self, world: &mut World, model: &[u8]) {
        let mut buy = |payers: std::ops::Range<u8>, price: u64, referral: Option<u8>| {
            for payer in payers {
                world.buy(payer, model, price, referral);
            }
        };
        match self {
            Self::Wash => {
                for _ in 0..8 {
                    buy(202..203, 10_000_000 * XPL as u64 / 64, Some(201));
                }
            }
            Self::Ring => buy(206..212, FAIR, Some(200)),
            Self::Index => buy(206..212, 6 * FAIR, None),
            Self::Pump => buy(202..212, FAIR * 5 / 2, None),
            Self::Whale => buy(202..222, FAIR * 5 / 2, None),
            Self::Dump | Self::Silent => {}
        }
    }
}

/// What came of an attack.
pub struct Outcome {
    pub attack: Attack,
    /// After each day, for each share of the stake: more than the twin has, uxpl.
    pub days: Vec<[i128; 4]>,
    /// Price and index of the honest model at the end, with the attack and without.
    pub prices: [(u64, u64); 2],
}

impl Outcome {
    pub fn profit(&self) -> [i128; 4] {
        *self.days.last().unwrap()
    }
}

/// Wealth and what stakers were paid, after each day.
type Days = Vec<(i128, u128)>;

fn live(attack: Attack, seed: u64, days: u64, attacks: bool) -> (Days, (u64, u64)) {
    let mut world = World::new(seed, attack.cash());
    let model = attack.begin(&mut world, attacks);
    world.step();
    assert!(world.refused.is_empty(), "{:?}", world.refused);
    let mut found = Vec::new();
    for _ in 0..days {
        for _ in 0..DAY_BLOCKS {
            world.honest();
            if attacks {
                attack.act(&mut world, &model);
            }
            world.step();
        }
        found.push((world.attackers_wealth(), world.to_stakers));
    }
    plasma_modules::chain::check_invariants(&world.store).unwrap();
    // Somebody may be without money at last; nothing else is refused.
    let other = world.refused.iter().find(|log| !log.contains("spendable balance"));
    assert!(other.is_none(), "{other:?}");
    (found, world.known_price())
}

/// Plays an attack and its twin.
pub fn play(attack: Attack, seed: u64, days: u64) -> Outcome {
    let (with, price_with) = live(attack, seed, days, true);
    let (without, price_without) = live(attack, seed, days, false);
    let days = with
        .into_iter()
        .zip(without)
        .map(|((wealth, stakers), (twin, twin_stakers))| {
            STAKES.map(|(_, sixths)| {
                wealth - twin + (stakers as i128 - twin_stakers as i128) * sixths / 6
            })
        })
        .collect();
    Outcome { attack, days, prices: [price_with, price_without] }
}
