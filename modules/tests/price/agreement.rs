//! The price record beside a plain reading of its rules, which looks at every payment anew.

use super::*;

#[derive(Clone, Debug)]
enum Act {
    Pay { provider: u8, charge: u128, n_out: u64 },
    Block { seconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (30u8..45, prop_oneof![1u128..50, 1_000u128..9_000, Just(10_000_000u128)], 0u64..5_000)
            .prop_map(|(provider, charge, n_out)| Act::Pay { provider, charge, n_out }),
        2 => prop_oneof![1u64..90, 600u64..4_000, Just(30_000u64)]
            .prop_map(|seconds| Act::Block { seconds }),
    ]
}

/// One payment: when, whose, how much, for how much.
type Paid = (u64, u8, u128, u128);

/// Weights by their definition: the largest cut `c` for which no `c` is above its part of the sum.
fn weights(charges: &[u128], max_bps: u128) -> Vec<u128> {
    if charges.len() as u128 * max_bps <= 10_000 {
        return vec![1; charges.len()];
    }
    let fits = |cut: u128| {
        let sum: u128 = charges.iter().map(|charge| *charge.min(&cut)).sum();
        cut * 10_000 <= max_bps * sum
    };
    let (mut low, mut high) = (0, charges.iter().max().unwrap() + 1);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    charges.iter().map(|charge| (*charge.min(&low)).max(1)).collect()
}

/// The index over the hours up to `last`, if enough providers were paid.
fn index(payments: &[Paid], last: u64) -> (usize, Option<u64>) {
    let mut sums = BTreeMap::<u8, (u128, u128)>::new();
    for (hour, who, charge, units) in payments {
        if *hour <= last && hour + 24 > last {
            let sum = sums.entry(*who).or_default();
            *sum = (sum.0 + charge, sum.1 + units);
        }
    }
    if sums.len() < 5 {
        return (sums.len(), None);
    }
    let charges: Vec<u128> = sums.values().map(|(charge, _)| *charge).collect();
    let weights = weights(&charges, 1_500);
    let total: u128 = weights.iter().sum();
    assert!(sums.len() < 7 || weights.iter().all(|w| w * 10_000 <= total * 1_500 || *w == 1));
    let means: Vec<u64> = sums
        .values()
        .map(|(charge, units)| (charge * 1_000_000 / units).clamp(1, 1_000_000_000_000) as u64)
        .collect();
    let half = |mean: u64| {
        let below = means.iter().zip(&weights).filter(|(other, _)| **other <= mean);
        below.map(|(_, weight)| weight).sum::<u128>() * 2 >= total
    };
    (sums.len(), means.iter().copied().filter(|mean| half(*mean)).min())
}

fn play(acts: Vec<Act>) {
    let mut net = market_of(default_params());
    let model = net.model();
    let (mut payments, mut pending) = (Vec::<Paid>::new(), vec![]);
    let (mut indexes, mut held, mut first) = (Vec::<u64>::new(), 0, None);
    let mut price: Option<u64> = None;
    let (mut step_from, mut own, mut steps) = (0, Vec::<u64>::new(), Vec::<u64>::new());
    let mut closed = START_S / 3_600;
    for act in acts.into_iter().chain([Act::Block { seconds: 3_600 }, Act::Block { seconds: 1 }]) {
        let seconds = match act {
            Act::Pay { provider, charge, n_out } => {
                pending.push(paid(&model, somebody(provider), charge, n_out));
                continue;
            }
            Act::Block { seconds } => seconds,
        };
        let now = net.block.time_s;
        let hour = now / 3_600;
        for payment in &pending {
            price.get_or_insert(100);
            let who = Address::parse(&payment.provider).unwrap().0[0];
            first.get_or_insert(hour);
            if payment.n_out != 0 {
                let charge = payment.charge_uxpl.parse().unwrap();
                payments.push((hour, who, charge, payment.n_out.into()));
            }
        }
        // Hours that have passed.
        let (mut twap, mut stale, mut anchor_own) = (0, true, 100);
        for past in closed.max(first.unwrap_or(hour))..hour {
            let (_, found) = index(&payments, past);
            held = found.unwrap_or(held);
            stale = found.is_none();
            indexes.push(held);
            let mean = match steps.len() as u64 {
                0 => price.unwrap(),
                count => {
                    (steps.iter().map(|step| u128::from(*step)).sum::<u128>() / u128::from(count))
                        as u64
                }
            };
            own.push(mean);
            steps.clear();
        }
        closed = closed.max(hour);
        if !indexes.is_empty() {
            let last = |values: &[u64]| values[values.len().saturating_sub(24)..].to_vec();
            let seen: Vec<u64> = last(&indexes).into_iter().filter(|index| *index != 0).collect();
            let mean = |values: &[u64]| {
                let sum: u128 = values.iter().map(|value| u128::from(*value)).sum();
                sum.checked_div(values.len() as u128).unwrap_or(0) as u64
            };
            twap = mean(&seen);
            anchor_own = mean(&last(&own));
            stale = index(&payments, hour - 1).1.is_none();
        }
        // One step in each interval in which there is a block; nothing is in use.
        if let Some(before) = price
            && now >= step_from
        {
            step_from = (now / 60 + 1) * 60;
            let anchor = if stale { anchor_own } else { twap };
            let fallen = before - (u128::from(before) * 4_000 * 500 / 100_000_000).max(1) as u64;
            let next = fallen.clamp(anchor * 7_700 / 10_000, anchor * 13_000 / 10_000).max(100);
            price = Some(next);
            steps.push(next);
        }
        end(&mut net, seconds, &std::mem::take(&mut pending));
        let Some(expected) = price else { continue };
        let found = price_of(&net, &model);
        assert_eq!(found.price_uxpl_per_mtok, expected);
        assert_eq!((found.index_uxpl_per_mtok, found.index_stale), (held, stale));
        assert_eq!(found.index_twap_uxpl_per_mtok, twap);
        assert_eq!(found.twap_uxpl_per_mtok, anchor_own);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn prices_agree_with_a_plain_reading_of_their_rules(
        acts in proptest::collection::vec(act(), 1..150),
    ) {
        play(acts);
    }

    #[test]
    fn no_provider_weighs_more_than_its_part(
        charges in proptest::collection::vec(prop_oneof![1u128..100, 1u128..1_000_000_000_000], 1..60),
        max_bps in 100u32..=10_000,
    ) {
        let quotes: Vec<_> = charges
            .iter()
            .map(|charge| price::Quote { operator: somebody(1), charge_uxpl: *charge, units_bps: 1 })
            .collect();
        prop_assert_eq!(price::weigh(&quotes, max_bps), weights(&charges, max_bps.into()));
    }
}
