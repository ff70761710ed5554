//! The rewards beside a plain reading of their rules.
#![allow(clippy::disallowed_types, reason = "what is compared with is exact but for its floats")]

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Pay { provider: usize, burn: u128 },
    Mark { provider: usize, slots: u32, for_s: u64 },
    Claim { provider: usize },
    Block { seconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..3usize, prop_oneof![0u128..9, 1_000u128..90_000_000])
            .prop_map(|(provider, burn)| Act::Pay { provider, burn }),
        2 => (0..3usize, 0u32..400, 0u64..20_000)
            .prop_map(|(provider, slots, for_s)| Act::Mark { provider, slots, for_s }),
        1 => (0..3usize).prop_map(|provider| Act::Claim { provider }),
        4 => prop_oneof![1u64..100, 500u64..5_000, Just(40_000_000u64)]
            .prop_map(|seconds| Act::Block { seconds }),
    ]
}

/// A year's rate: a fifth less each year.
fn rate(first: u64, year: u64) -> u128 {
    (0..year).fold(u128::from(first), |rate, _| rate * 8 / 10)
}

#[derive(Default)]
struct Plain {
    /// When the open epoch began, and what each burned in it.
    epoch_s: u64,
    burns: [u128; 3],
    /// Schedule owed below one uxpl, in uxpl seconds per year; emission that rounding left.
    remainder: u128,
    carry: u128,
    owed: [u128; 3],
    emitted: [u128; 3],
    /// Slots and their end; pay for standing by, exact but for the floats; how often it was rounded.
    marks: [Option<(u32, u64)>; 3],
    standby: [f64; 3],
    roundings: [f64; 3],
    clock_s: u64,
}

impl Plain {
    /// Lets time pass second by second, in pieces in which nothing changes.
    fn pass(&mut self, params: &pb::Params, to_s: u64) {
        while self.clock_s < to_s {
            let year = (self.clock_s - START_S) / reward::YEAR_S;
            let year_end = START_S + (year + 1) * reward::YEAR_S;
            let ends = self.marks.iter().flatten().map(|(_, end)| *end);
            let until = ends.chain([year_end, to_s]).min().unwrap();
            let slots: u32 = self.marks.iter().flatten().map(|(slots, _)| slots).sum();
            if slots != 0 {
                let budget = rate(params.standby_yearly_uxpl, year) as f64 / f64::from(slots);
                let each = budget.min(params.standby_slot_yearly_uxpl as f64);
                let part = (until - self.clock_s) as f64 / reward::YEAR_S as f64;
                for (at, mark) in self.marks.iter().enumerate() {
                    self.standby[at] +=
                        mark.map_or(0.0, |(slots, _)| f64::from(slots) * each * part);
                }
            }
            self.clock_s = until;
            for (at, mark) in self.marks.iter_mut().enumerate() {
                if mark.is_some_and(|(_, end)| end <= until) {
                    *mark = None;
                    self.roundings[at] += 1.0;
                }
            }
        }
    }

    fn end_epoch(&mut self, params: &pb::Params, now_s: u64) {
        let year = (self.epoch_s - START_S) / reward::YEAR_S;
        let owed = rate(params.emission_yearly_uxpl, year) * u128::from(now_s - self.epoch_s);
        let whole = owed + self.remainder;
        self.remainder = whole % u128::from(reward::YEAR_S);
        let all: u128 = self.burns.iter().sum();
        let emission = (whole / u128::from(reward::YEAR_S)).min(all * 8 / 10);
        if let Some(all) = std::num::NonZero::new(all) {
            let emission = emission + std::mem::take(&mut self.carry);
            self.carry = emission;
            for at in 0..3 {
                let part = emission * self.burns[at] / all;
                self.owed[at] += part;
                self.emitted[at] += part;
                self.carry -= part;
            }
        }
        self.burns = [0; 3];
        self.epoch_s = now_s;
    }
}

fn play(acts: Vec<Act>, params: pb::Params) {
    let mut net = market_of(params);
    let mut plain = Plain { epoch_s: START_S, clock_s: START_S, ..Plain::default() };
    let supply = net.supply();
    let (mut pending, mut claimed, mut burned_in_all) = (vec![], [0u128; 3], 0u128);
    end(&mut net, 0, &[]);
    for act in acts {
        match act {
            Act::Pay { provider, burn } => pending.push((provider, burn)),
            Act::Mark { provider, slots, for_s } => {
                let now_s = net.block.time_s;
                plain.pass(&params, now_s);
                mark(&mut net, OPERATORS[provider], slots, now_s + for_s);
                plain.roundings[provider] += 1.0;
                plain.marks[provider] =
                    (slots != 0 && for_s != 0).then_some((slots, now_s + for_s));
            }
            Act::Claim { provider } => {
                plain.pass(&params, net.block.time_s);
                plain.roundings[provider] += 1.0;
                let before = net.balance(OPERATORS[provider]);
                let amount = claim(&mut net, OPERATORS[provider]).unwrap();
                assert_eq!(net.balance(OPERATORS[provider]), before + amount);
                claimed[provider] += amount;
            }
            Act::Block { seconds } => {
                let now_s = net.block.time_s;
                if now_s >= plain.epoch_s + params.epoch_s {
                    plain.end_epoch(&params, now_s);
                }
                let payments: Vec<_> =
                    pending.iter().map(|(at, burn)| burned(OPERATORS[*at], *burn)).collect();
                for (at, burn) in pending.drain(..) {
                    plain.burns[at] += burn;
                    burned_in_all += burn;
                }
                plain.pass(&params, now_s);
                end(&mut net, seconds, &payments);
            }
        }
        let mut made = 0;
        for (at, operator) in OPERATORS.into_iter().enumerate() {
            let account = reward::account(&net.store, operator).unwrap_or_default();
            let number = |text: &str| text.parse::<u128>().unwrap_or(0);
            assert_eq!(number(&account.emission_uxpl), plain.emitted[at]);
            let standby = number(&account.standby_uxpl);
            made += plain.emitted[at] + standby;
            assert_eq!(number(&account.accrued_uxpl) + claimed[at], plain.owed[at] + standby);
            // What is pending is asked of the query.
            let view = View { store: &net.store, block: &net.block };
            let ask = pb::QueryAccountRequest { operator: operator.text() }.encode_to_vec();
            let answer =
                Router::new().call("/plasma.reward.v1.Query/Account", &view, &ask).unwrap();
            let pending =
                pb::QueryAccountResponse::decode(&answer[..]).unwrap().pending_standby_uxpl;
            let mut now = Plain { ..Plain::default() };
            (now.marks, now.standby, now.roundings, now.clock_s) =
                (plain.marks, plain.standby, plain.roundings, plain.clock_s);
            now.pass(&params, net.block.time_s);
            let (found, exact) = ((standby + number(&pending)) as f64, now.standby[at]);
            assert!(
                found <= exact + 1.0 && found >= exact - now.roundings[at] - 2.0,
                "{found} {exact}"
            );
        }
        assert_eq!(net.supply(), supply + made, "what is made is what is owed or claimed");
        assert!(plain.emitted.iter().sum::<u128>() <= burned_in_all * 8 / 10);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rewards_agree_with_a_plain_reading_of_their_rules(
        acts in proptest::collection::vec(act(), 1..100),
        tight in any::<bool>(),
    ) {
        let mut params = default_params();
        if tight {
            // The schedule, not the burn, is what holds.
            params.emission_yearly_uxpl = 1_000 * 1_000_000;
            params.standby_slot_yearly_uxpl = 1_000_000_000_000_000;
        }
        play(acts, params);
    }
}
