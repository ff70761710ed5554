//! Attacks on the market's money, each beside a twin: the same chain, the same honest people with the
//! same dice, and the same capital and stake at honest work, or at rest where the attack is no work at
//! all.

use crate::{
    people::FAIR,
    world::{CAPITAL, DAY_BLOCKS, Rig, SHARES, Share, World, XPL},
};

/// Blocks at the end in which an attacker rests, so that what he is owed is paid and counted.
const REST_BLOCKS: u64 = DAY_BLOCKS / 12;

/// Jobs that a wash-trader pays himself in a block, and the price of their tokens: 10 XPL a job.
const WASH_JOBS: usize = 3;
const WASH_PRICE: u64 = 10_000_000 * XPL as u64 / 64;

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Pays himself large sums, on his own model, as publisher and referrer too.
    Wash,
    /// The same in small sums, with three payers and three providers that look like strangers.
    Ring,
    /// Six dear rigs on the honest model, and payers who pay any price, to lift the index.
    Index,
    /// Follows the reference price, and fills slots by five payers to lift it.
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
                ("three payers pay three providers, all one man, in sums of an honest job", "rests")
            }
            Self::Index => (
                "six rigs at five times the price, and payers of any price, to lift the index",
                "six honest rigs",
            ),
            Self::Pump => (
                "two rigs that follow the reference price, and five payers who fill slots to lift it",
                "two rigs that follow it",
            ),
            Self::Whale => (
                "ten payers buy the market empty; two rigs sell dearly to who is left",
                "two honest rigs",
            ),
            Self::Dump => ("two rigs at a tenth of the price, for the emission", "two honest rigs"),
            Self::Silent => ("two rigs at half the price that never answer", "two honest rigs"),
        }
    }

    /// What the same man does who does not attack.
    pub fn twin(self) -> Twin {
        match self {
            Self::Wash | Self::Ring => Twin::Rests,
            Self::Index => Twin::Six,
            Self::Pump => Twin::Follows,
            Self::Whale | Self::Dump | Self::Silent => Twin::Two,
        }
    }

    /// Before the first day: a model of his own, if the attack needs one.
    fn publish(self, world: &mut World) -> Vec<u8> {
        match self {
            Self::Wash => world.publish(201, "wash", 200),
            Self::Ring => world.publish(200, "ring", 200),
            _ => world.model.clone(),
        }
    }

    /// A block later: the rigs.
    fn register(self, world: &mut World, model: &[u8]) {
        match self {
            Self::Wash => {
                let rig = Rig { number: 200, ask: WASH_PRICE, follows: false, answers: true };
                world.register(rig, model, 16, 800 * XPL);
            }
            Self::Ring => rigs(world, model, 3, FAIR, false, true),
            Self::Index => rigs(world, model, 6, 5 * FAIR, false, true),
            Self::Pump => rigs(world, model, 2, FAIR, true, true),
            Self::Whale => rigs(world, model, 2, FAIR * 24 / 10, false, true),
            Self::Dump => rigs(world, model, 2, FAIR / 10, false, true),
            Self::Silent => rigs(world, model, 2, FAIR / 2, false, false),
        }
    }

    /// In each block.
    fn act(self, world: &mut World, model: &[u8]) {
        let mut buy = |payers: std::ops::Range<u8>, price: u64, referral: Option<u8>| {
            for payer in payers {
                world.buy(payer, model, price, referral);
            }
        };
        match self {
            Self::Wash => (0..WASH_JOBS).for_each(|_| buy(202..203, WASH_PRICE, Some(201))),
            Self::Ring => buy(206..209, FAIR, Some(200)),
            Self::Index => buy(206..209, 6 * FAIR, None),
            Self::Pump => buy(202..207, FAIR * 5 / 2, None),
            Self::Whale => buy(202..212, FAIR * 5 / 2, None),
            Self::Dump | Self::Silent => {}
        }
    }
}

/// What somebody does with the capital of an attacker who is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Twin {
    Rests,
    /// Two honest rigs.
    Two,
    /// Six.
    Six,
    /// Two that follow the reference price.
    Follows,
}

impl Twin {
    fn register(self, world: &mut World, model: &[u8]) {
        match self {
            Self::Rests => {}
            Self::Two => rigs(world, model, 2, FAIR, false, true),
            Self::Six => rigs(world, model, 6, FAIR, false, true),
            Self::Follows => rigs(world, model, 2, FAIR, true, true),
        }
    }
}

fn rigs(world: &mut World, model: &[u8], count: u8, ask: u64, follows: bool, answers: bool) {
    for number in 200..200 + count {
        world.register(Rig { number, ask, follows, answers }, model, 1, 300 * XPL);
    }
}

/// What somebody does over all the days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Play {
    Attack(Attack),
    Twin(Twin),
}

/// All plays that `attacks` need, those of each share of the stake.
pub fn plays(attacks: &[Attack]) -> Vec<(Play, Share)> {
    let mut twins: Vec<Twin> = attacks.iter().map(|attack| attack.twin()).collect();
    twins.sort();
    twins.dedup();
    let plays = attacks.iter().copied().map(Play::Attack).chain(twins.into_iter().map(Play::Twin));
    plays.flat_map(|play| SHARES.map(|share| (play, share))).collect()
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// All that he has after each day, uxpl.
    pub days: Vec<i128>,
    /// Price and index of the honest model at the end.
    pub price: (u64, u64),
}

/// Plays days of chain time.
pub fn live(play: Play, share: Share, seed: u64, days: u64) -> Life {
    let mut world = World::new(seed, share);
    // As many blocks for everybody: each mints.
    let model = match play {
        Play::Attack(attack) => attack.publish(&mut world),
        Play::Twin(_) => world.model.clone(),
    };
    world.step();
    match play {
        Play::Attack(attack) => attack.register(&mut world, &model),
        Play::Twin(twin) => twin.register(&mut world, &model),
    }
    world.step();
    let ends = days * DAY_BLOCKS;
    let mut found = Vec::new();
    for block in 0..ends {
        world.honest();
        world.own_money();
        if let Play::Attack(attack) = play
            && block + REST_BLOCKS < ends
        {
            attack.act(&mut world, &model);
        }
        world.step();
        if (block + 1) % DAY_BLOCKS == 0 {
            found.push(world.attackers_wealth());
        }
    }
    plasma_modules::chain::check_invariants(&world.store).unwrap();
    assert_eq!(world.refused.first(), None, "{play:?} at stake {}", share.name);
    // Nobody has all of the stake: its validators' operators have theirs.
    let powers = plasma_modules::staking::bonded(&world.store).into_iter();
    let bonded: u128 = powers.map(|(_, power)| u128::from(power) * XPL).sum();
    assert!(bonded > share.stake(), "the honest operators' stake stays");
    Life { days: found, price: world.known_price() }
}

/// What came of an attack.
pub struct Outcome {
    pub attack: Attack,
    /// After each day, for each of [`SHARES`]: more than the twin has, uxpl.
    pub days: Vec<[i128; 4]>,
    /// Price and index of the honest model at the end, with the attack and without.
    pub prices: [(u64, u64); 2],
}

impl Outcome {
    /// Of an attack, from how each of its plays went.
    pub fn new(attack: Attack, life: impl Fn(Play, Share) -> Life) -> Self {
        let with = SHARES.map(|share| life(Play::Attack(attack), share));
        let without = SHARES.map(|share| life(Play::Twin(attack.twin()), share));
        let days = (0..with[0].days.len())
            .map(|day| std::array::from_fn(|at| with[at].days[day] - without[at].days[day]))
            .collect();
        Self { attack, days, prices: [with[0].price, without[0].price] }
    }

    pub fn profit(&self) -> [i128; 4] {
        *self.days.last().unwrap()
    }

    /// A profit in basis points of the capital at work.
    pub fn bps(profit: i128) -> i128 {
        profit * 10_000 / CAPITAL as i128
    }
}
