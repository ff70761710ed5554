//! Staking beside a plain reading of its rules: no shares, no records of slashes, no cursors. A slash
//! looks for everybody at once.

use proptest::prelude::*;

use crate::net::*;

/// Parts of a uxpl that the model counts.
const PARTS: u128 = 1_000_000_000;
/// How far roundings may lead apart, uxpl.
const APART: u128 = 100;
const VALIDATORS: usize = 3;
const DELEGATORS: usize = 3;
const ENTRIES_MAX: usize = 7;
const UNBONDING_S: u64 = 21 * DAY_S;

#[derive(Clone, Debug)]
enum Act {
    Delegate { who: usize, to: usize, units: u128 },
    Undelegate { who: usize, of: usize, units: u128 },
    Redelegate { who: usize, from: usize, to: usize, units: u128 },
    Cancel { who: usize, of: usize, units: u128 },
    SignTwice { who: usize, blocks_ago: u64 },
    Wait { seconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let (who, of) = (0..DELEGATORS, 0..VALIDATORS);
    let units = || 1..60 * XPL;
    prop_oneof![
        6 => (who.clone(), of.clone(), units())
            .prop_map(|(who, to, units)| Act::Delegate { who, to, units }),
        4 => (who.clone(), of.clone(), units())
            .prop_map(|(who, of, units)| Act::Undelegate { who, of, units }),
        4 => (who.clone(), of.clone(), of.clone(), units())
            .prop_map(|(who, from, to, units)| Act::Redelegate { who, from, to, units }),
        2 => (who, of.clone(), units())
            .prop_map(|(who, of, units)| Act::Cancel { who, of, units }),
        1 => (of, 1..6u64).prop_map(|(who, blocks_ago)| Act::SignTwice { who, blocks_ago }),
        2 => (1..9 * DAY_S).prop_map(|seconds| Act::Wait { seconds }),
    ]
}

#[derive(Clone, Debug)]
struct Unbonding {
    who: usize,
    of: usize,
    parts: u128,
    height: u64,
    due_s: u64,
}

#[derive(Clone, Debug)]
struct Moved {
    who: usize,
    from: usize,
    to: usize,
    initial: u128,
    /// What it is worth at its destination now.
    worth: u128,
    height: u64,
    due_s: u64,
}

#[derive(Clone, Debug)]
struct State {
    jailed: bool,
    height: u64,
    due_s: u64,
}

/// Amounts are parts of a uxpl.
struct Model {
    /// By delegator, the operator last, and validator.
    stakes: [[u128; VALIDATORS]; DELEGATORS + 1],
    unbonding: Vec<Unbonding>,
    moved: Vec<Moved>,
    states: [State; VALIDATORS],
}

impl Model {
    fn tokens(&self, of: usize) -> u128 {
        self.stakes.iter().map(|row| row[of]).sum()
    }

    fn entries(&self, who: usize, of: usize) -> usize {
        self.unbonding.iter().filter(|one| (one.who, one.of) == (who, of)).count()
    }

    /// 5% of what stood behind the offence, wherever it is now.
    fn slash(&mut self, of: usize, height: u64, power: u64, now: (u64, u64)) {
        let tokens = self.tokens(of);
        let burned = tokens.min(u128::from(power) * XPL * PARTS) / 20;
        for row in &mut self.stakes {
            row[of] -= row[of] * (burned / PARTS) / (tokens / PARTS);
        }
        for one in self.moved.iter_mut().filter(|one| one.to == of) {
            one.worth -= one.worth * (burned / PARTS) / (tokens / PARTS);
        }
        for one in &mut self.unbonding {
            if one.of == of && one.height >= height && one.due_s > now.1 {
                one.parts -= one.parts / 20;
            }
        }
        for moved in self.moved.clone() {
            if moved.from != of || moved.height < height || moved.due_s <= now.1 {
                continue;
            }
            let due = moved.initial / 20;
            let mut left = due;
            for one in &mut self.unbonding {
                let here = (one.who, one.of) == (moved.who, moved.to);
                if here && one.height >= moved.height && one.due_s > now.1 {
                    let taken = left.min(one.parts);
                    one.parts -= taken;
                    left -= taken;
                }
            }
            let stake = &mut self.stakes[moved.who][moved.to];
            *stake -= (moved.worth / 20 / PARTS * (left / PARTS) / (due / PARTS).max(1) * PARTS)
                .min(*stake);
        }
        self.unbonding.retain(|one| one.parts > 0);
        let state = &mut self.states[of];
        if !state.jailed {
            *state = State { jailed: true, height: now.0, due_s: now.1 + UNBONDING_S };
        }
    }
}

fn near(what: &str, have: u128, parts: u128) {
    let want = parts / PARTS;
    assert!(have.abs_diff(want) <= APART, "{what}: {have}, not {want}");
}

struct Both {
    net: Net,
    model: Model,
    validators: [Account; VALIDATORS],
    delegators: [Account; DELEGATORS],
}

impl Both {
    fn new() -> Self {
        let validators = [1, 2, 3].map(Account::new);
        let delegators = [11, 12, 13].map(Account::new);
        let anchor = Account::new(4);
        let [a, b, c] = &validators;
        let stakes = [(a, 1_000), (b, 1_000), (c, 1_000), (&anchor, 1_000)];
        let others: Vec<&Account> = delegators.iter().collect();
        let net = start(&stakes, &others, |_| {});
        let free = State { jailed: false, height: 0, due_s: 0 };
        let mut stakes = [[0; VALIDATORS]; DELEGATORS + 1];
        stakes[DELEGATORS] = [1_000 * XPL * PARTS; VALIDATORS];
        let (unbonding, moved) = (vec![], vec![]);
        let states = [free.clone(), free.clone(), free];
        let model = Model { stakes, unbonding, moved, states };
        Self { net, model, validators, delegators }
    }

    /// Sends it, and checks whether it is carried out as the rules say. Close calls are the chain's.
    fn send(&mut self, who: usize, msg: prost_types::Any, want: Option<bool>) -> bool {
        let from = self.delegators[who].clone();
        let tx = self.net.sign(&from, msg);
        let output = self.net.block_with(1, &[tx], &[]);
        let result = &output.txs[0];
        if let Some(want) = want {
            assert_eq!(result.code == 0, want, "{}", result.log);
        }
        let ok = result.code == 0;
        self.check_paid(&output);
        ok
    }

    fn act(&mut self, act: &Act) {
        let now_s = self.net.time_s + 1;
        match *act {
            Act::Delegate { who, to, units } => {
                let msg = delegate(&self.delegators[who], &self.validators[to], units);
                self.send(who, msg, Some(true));
                self.model.stakes[who][to] += units * PARTS;
            }
            Act::Undelegate { who, of, units } => {
                let room = self.model.entries(who, of) < ENTRIES_MAX;
                let want = enough(self.model.stakes[who][of], units).map(|enough| enough && room);
                let msg = undelegate(&self.delegators[who], &self.validators[of], units);
                if self.send(who, msg, want) {
                    let parts = units * PARTS;
                    take(&mut self.model.stakes[who][of], parts);
                    let (height, due_s) = (self.net.height, now_s + UNBONDING_S);
                    self.model.unbonding.push(Unbonding { who, of, parts, height, due_s });
                }
            }
            Act::Redelegate { who, from, to, units } => {
                let moved = |f: &dyn Fn(&&Moved) -> bool| {
                    self.model.moved.iter().filter(|one| one.who == who).filter(f).count()
                };
                let allowed = from != to
                    && moved(&|one| one.to == from) == 0
                    && moved(&|one| (one.from, one.to) == (from, to)) < ENTRIES_MAX;
                let want = enough(self.model.stakes[who][from], units);
                let want = want.map(|enough| enough && allowed);
                let (a, b) = (&self.validators[from], &self.validators[to]);
                let msg = redelegate(&self.delegators[who], a, b, units);
                if self.send(who, msg, want) {
                    let parts = units * PARTS;
                    take(&mut self.model.stakes[who][from], parts);
                    self.model.stakes[who][to] += parts;
                    let state = &self.model.states[from];
                    let (height, due_s) = match state.jailed {
                        false => (self.net.height, now_s + UNBONDING_S),
                        true => (state.height, state.due_s),
                    };
                    if due_s > now_s {
                        let (initial, worth) = (parts, parts);
                        let one = Moved { who, from, to, initial, worth, height, due_s };
                        self.model.moved.push(one);
                    }
                }
            }
            Act::Cancel { who, of, units } => {
                let found = self
                    .model
                    .unbonding
                    .iter()
                    .position(|one| (one.who, one.of) == (who, of) && one.due_s > now_s);
                let Some(at) = found else { return };
                let one = self.model.unbonding[at].clone();
                let want = enough(one.parts, units);
                let want = want.map(|enough| enough && !self.model.states[of].jailed);
                let msg = cancel(&self.delegators[who], &self.validators[of], units, one.height);
                if self.send(who, msg, want) {
                    take(&mut self.model.unbonding[at].parts, units * PARTS);
                    self.model.unbonding.retain(|one| one.parts >= PARTS);
                    self.model.stakes[who][of] += units * PARTS;
                }
            }
            Act::SignTwice { who, blocks_ago } => {
                let validator = self.validators[who].clone();
                let power = staking::power(Amount::new(self.net.tokens(&validator)));
                let height = self.net.height.saturating_sub(blocks_ago);
                let once = !self.net.info(&validator).tombstoned;
                let output = self.net.tell(&validator, height, self.net.time_s, power);
                if once {
                    let now = (self.net.height, self.net.time_s);
                    self.model.slash(who, height.saturating_sub(1), power, now);
                }
                self.check_paid(&output);
            }
            Act::Wait { seconds } => {
                let output = self.net.later(seconds);
                self.check_paid(&output);
            }
        }
        self.check();
    }

    /// What came back is what was due, and nothing else did.
    fn check_paid(&mut self, output: &BlockOutput) {
        let now_s = self.net.time_s;
        let text = |parts: &[(&str, String)], key: &str| {
            parts.iter().find(|(name, _)| *name == key).unwrap().1.clone()
        };
        let mut paid = 0u128;
        for event in output.events.iter().filter(|event| event.kind == "complete_unbonding") {
            let amount = text(&event.attributes, "amount");
            paid += amount.strip_suffix("uxpl").unwrap().parse::<u128>().unwrap();
        }
        let due = self.model.unbonding.iter().filter(|one| one.due_s <= now_s);
        near("paid", paid, due.map(|one| one.parts).sum());
        self.model.unbonding.retain(|one| one.due_s > now_s);
        self.model.moved.retain(|one| one.due_s > now_s);
    }

    fn check(&self) {
        for (at, validator) in self.validators.iter().enumerate() {
            near("tokens", self.net.tokens(validator), self.model.tokens(at));
            assert_eq!(self.net.validator(validator).jailed, self.model.states[at].jailed);
            for (who, delegator) in self.delegators.iter().enumerate() {
                near("stake", self.net.stake(delegator, validator), self.model.stakes[who][at]);
                let (store, of) = (&self.net.store, validator.address);
                let seen = staking::unbonding(store, delegator.address, of).unwrap_or_default();
                let sum = |text: &String| text.parse::<u128>().unwrap();
                let seen: u128 = seen.entries.iter().map(|entry| sum(&entry.balance)).sum();
                let ours = self.model.unbonding.iter();
                let ours = ours.filter(|one| (one.who, one.of) == (who, at));
                near("unbonding", seen, ours.map(|one| one.parts).sum());
            }
        }
    }
}

fn take(parts: &mut u128, less: u128) {
    *parts = parts.saturating_sub(less);
    // Less than the roundings is nothing.
    if *parts < PARTS {
        *parts = 0;
    }
}

/// Whether there is as much; `None` where roundings may decide.
fn enough(parts: u128, units: u128) -> Option<bool> {
    let have = parts / PARTS;
    (have.abs_diff(units) > APART).then_some(have >= units)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn staking_agrees_with_a_plain_reading(acts in proptest::collection::vec(act(), 1..60)) {
        let mut both = Both::new();
        for act in &acts {
            both.act(act);
        }
        let copy = both.net.restarted();
        prop_assert!(copy.timeless() == both.net.timeless());
    }
}
