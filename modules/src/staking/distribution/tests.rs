//! The counting of rewards beside a plain one with more digits.

use std::vec::Vec;

use plasma_proto::plasma::staking::v1::RewardStart;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};
use ruint::aliases::U512;

use super::state::{Earned, SHARES_MIN};
use crate::Dec;

const ONE: u128 = Dec::ONE.scaled();
/// What may be kept by another than in the plain count, uxpl: what no share got yet of one reward goes
/// to whoever has shares at the next.
const SLACK: u128 = 1;
const DELEGATORS: usize = 6;

#[derive(Clone, Debug)]
enum Step {
    /// The validator earns.
    Earn(Dec),
    /// One delegator is paid and has these shares from then on.
    Change(usize, Dec),
    /// One delegator is paid.
    Withdraw(usize),
}

/// A delegator, and what the plain count gives it: in 10^-36 uxpl, each step rounded up.
#[derive(Default)]
struct Delegator {
    shares: Dec,
    start: RewardStart,
    paid: u128,
    plain: U512,
}

fn shares() -> impl Strategy<Value = Dec> {
    let scaled = prop_oneof![
        Just(0),
        Just(1),
        1..ONE,
        ONE..1_000_000 * ONE,
        1_000_000 * ONE..1_000_000_000_000_000 * ONE,
    ];
    scaled.prop_map(Dec::new)
}

fn step() -> impl Strategy<Value = Step> {
    let amount = prop_oneof![Just(0), Just(1), 0..ONE, 0..1_000_000_000 * ONE];
    prop_oneof![
        amount.prop_map(|scaled| Step::Earn(Dec::new(scaled))),
        (0..DELEGATORS, shares()).prop_map(|(at, shares)| Step::Change(at, shares)),
        (0..DELEGATORS).prop_map(Step::Withdraw),
    ]
}

/// Pays one delegator, as `settle` does.
fn settle(earned: &mut Earned, one: &mut Delegator, after: Dec, rest: &mut U512) {
    let (mut paid, mut fraction) = Default::default();
    if one.shares != Dec::ZERO {
        (paid, fraction) = earned.pay(one.shares, &one.start);
    }
    one.paid += paid.units();
    if after == Dec::ZERO {
        earned.current = earned.current.plus(fraction).unwrap();
        *rest += U512::from(fraction.scaled());
        let fraction = U512::from(fraction.scaled()) * U512::from(ONE);
        one.plain = one.plain.saturating_sub(fraction);
        fraction_is_none(&mut one.start);
    } else {
        one.start.fraction_uxpl = fraction.text();
    }
    one.start.per_share_uxpl = earned.per_share.text();
    one.shares = after;
}

fn fraction_is_none(start: &mut RewardStart) {
    start.fraction_uxpl.clear();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever joins, leaves and withdraws when it likes: each has what the plain count gives it, to
    /// the uxpl, never more; and all that was earned is paid, owed, or still to be counted.
    #[test]
    fn rewards_agree_with_a_plain_count(
        steps in proptest::collection::vec(step(), 1..120),
        rate in 0..=ONE,
        dense in any::<bool>(),
    ) {
        let rate = Dec::new(rate);
        let mut earned = Earned::default();
        let mut delegators: Vec<Delegator> = (0..DELEGATORS).map(|_| Delegator::default()).collect();
        // What the plain count has not dealt out, 10^-18 uxpl.
        let (mut rest, mut all, mut commission) = (U512::ZERO, 0u128, 0u128);
        let mut rewards = 0;
        for step in steps {
            match step {
                Step::Earn(amount) => {
                    let total = delegators.iter().map(|one| one.shares.scaled()).sum();
                    commission += earned.earn(amount, rate, Dec::new(total)).scaled();
                    all += amount.scaled();
                    rest += U512::from(amount.scaled() - amount.times(rate).unwrap().scaled());
                    if Dec::new(total) >= SHARES_MIN {
                        for one in &mut delegators {
                            let part = rest * U512::from(ONE) * U512::from(one.shares.scaled());
                            one.plain += part.div_ceil(U512::from(total));
                        }
                        rest = U512::ZERO;
                    }
                    rewards += 1;
                }
                Step::Change(at, after) => settle(&mut earned, &mut delegators[at], after, &mut rest),
                Step::Withdraw(at) => {
                    let after = delegators[at].shares;
                    settle(&mut earned, &mut delegators[at], after, &mut rest);
                }
            }
            if dense {
                for one in &mut delegators {
                    let after = one.shares;
                    settle(&mut earned, one, after, &mut rest);
                }
            }
        }
        let slack = U512::from(SLACK) * U512::from(ONE) * U512::from(ONE);
        let (mut paid, mut owed) = (0, 0);
        for one in &delegators {
            let now = if one.shares == Dec::ZERO { Dec::ZERO } else { earned.owed(one.shares, &one.start) };
            paid += one.paid;
            owed += now.scaled();
            let have = (U512::from(one.paid) * U512::from(ONE) + U512::from(now.scaled())) * U512::from(ONE);
            prop_assert!(have <= one.plain + slack, "{have} {}", one.plain);
            prop_assert!(have + slack >= one.plain, "{have} {}", one.plain);
        }
        prop_assert!(earned.outstanding.scaled() + paid * ONE == all);
        prop_assert!(earned.commission.scaled() == commission);
        let known = owed + commission + earned.current.scaled();
        prop_assert!(known <= earned.outstanding.scaled());
        // What is neither: the last digit of each count and payment.
        let lost = earned.outstanding.scaled() - known;
        prop_assert!(lost <= u128::from(2 * DELEGATORS as u32 + 2) * (rewards + 120 * 7), "{lost}");
    }
}
