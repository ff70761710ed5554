//! Locked money: how much of it is free at a time.
//!
//! Every function rounds down what is free, so the remainder stays locked until the end.

use alloc::{collections::BTreeMap, vec::Vec};

use plasma_proto::{
    cosmos::{
        auth::v1beta1::BaseAccount,
        base::v1beta1::Coin,
        vesting::v1beta1::{
            BaseVestingAccount, ContinuousVestingAccount, DelayedVestingAccount,
            PeriodicVestingAccount, PermanentLockedAccount,
        },
    },
    plasma::auth::v1::{Vesting, VestingKind},
};
use prost::{Message, Name};
use prost_types::Any;

use crate::{Amount, Denom};

/// Most parts of a release.
pub const PERIODS_MAX: usize = 64;

/// Most denominations that are locked together.
pub const VESTING_COINS_MAX: usize = 8;

/// What may not be spent of a denomination at a time: what is not free yet, less what is delegated
/// of it.
pub(super) fn locked(vesting: &Vesting, denom: &Denom, now_s: u64) -> Amount {
    let still = units(&vesting.original_vesting, denom)
        .minus(vested(vesting, denom, now_s))
        .unwrap_or_default();
    still.minus(units(&vesting.delegated_vesting, denom)).unwrap_or_default()
}

/// Notes that an account delegates: what is locked first, the rest from what is free.
pub(super) fn delegate(vesting: &mut Vesting, denom: &Denom, amount: Amount, now_s: u64) {
    let of_locked = locked(vesting, denom, now_s).min(amount);
    let of_free = amount.minus(of_locked).unwrap_or_default();
    add(&mut vesting.delegated_vesting, denom, of_locked);
    add(&mut vesting.delegated_free, denom, of_free);
}

/// Notes that an account gets back what it delegated: what was free first. After a slash less comes
/// back than went, so that some stays noted as delegated of the locked.
pub(super) fn undelegate(vesting: &mut Vesting, denom: &Denom, amount: Amount) {
    let of_free = units(&vesting.delegated_free, denom).min(amount);
    let rest = amount.minus(of_free).unwrap_or_default();
    let of_locked = units(&vesting.delegated_vesting, denom).min(rest);
    subtract(&mut vesting.delegated_free, denom, of_free);
    subtract(&mut vesting.delegated_vesting, denom, of_locked);
}

fn add(coins: &mut Vec<Coin>, denom: &Denom, amount: Amount) {
    // What is delegated was held, and sums of what is held fit.
    let sum = units(coins, denom).plus(amount).unwrap_or(Amount::new(u128::MAX));
    put(coins, denom, sum);
}

fn subtract(coins: &mut Vec<Coin>, denom: &Denom, amount: Amount) {
    put(coins, denom, units(coins, denom).minus(amount).unwrap_or_default());
}

fn put(coins: &mut Vec<Coin>, denom: &Denom, amount: Amount) {
    coins.retain(|coin| coin.denom != denom.as_str());
    if amount != Amount::ZERO {
        coins.push(Coin { denom: denom.as_str().into(), amount: amount.text() });
        coins.sort_by(|a, b| a.denom.cmp(&b.denom));
    }
}

/// What of the original amount of a denomination is free at a time.
///
/// Continuous: `original * (now - start) / (end - start)`, rounded down.
pub fn vested(vesting: &Vesting, denom: &Denom, now_s: u64) -> Amount {
    let original = units(&vesting.original_vesting, denom);
    let (start, end) = (seconds(vesting.start_time), seconds(vesting.end_time));
    match vesting.kind() {
        VestingKind::Unspecified | VestingKind::Permanent => Amount::ZERO,
        _ if now_s >= end => original,
        VestingKind::Delayed => Amount::ZERO,
        _ if now_s <= start => Amount::ZERO,
        VestingKind::Continuous => {
            part(original, now_s.saturating_sub(start), end.saturating_sub(start))
        }
        VestingKind::Periodic => {
            let mut from = start;
            let mut free = Amount::ZERO;
            for period in &vesting.periods {
                let to = from.saturating_add(seconds(period.length));
                if now_s < to {
                    break;
                }
                free = free.plus(units(&period.amount, denom)).unwrap_or(original);
                from = to;
            }
            free
        }
    }
}

/// `whole * some / all`, rounded down, for `some < all < 2^63`: exact for every amount.
fn part(whole: Amount, some: u64, all: u64) -> Amount {
    let (some, all) = (u128::from(some), u128::from(all));
    let quotient = whole.units().checked_div(all).unwrap_or_default();
    let rest = whole.units().checked_rem(all).unwrap_or_default();
    // The rest is below 2^63, so its product fits; the sum is at most the whole.
    let tail = rest.saturating_mul(some).checked_div(all).unwrap_or_default();
    Amount::new(quotient.saturating_mul(some).saturating_add(tail))
}

/// Whether the terms can be: coins in order, times in order, parts that sum to the whole.
pub fn check(vesting: &Vesting) -> Result<(), &'static str> {
    let Vesting {
        address: _,
        kind: _,
        original_vesting,
        delegated_free,
        delegated_vesting,
        start_time,
        end_time,
        periods,
    } = vesting;
    let original = sums(original_vesting)?;
    if original.is_empty() || original.len() > VESTING_COINS_MAX {
        return Err("1 to 8 denominations are locked");
    }
    sums(delegated_free)?;
    for (denom, delegated) in sums(delegated_vesting)? {
        if original.get(&denom).is_none_or(|original| *original < delegated) {
            return Err("more is delegated than was locked");
        }
    }
    if *start_time < 0 || *end_time < 0 {
        return Err("a time is before 1970");
    }
    let kind = vesting.kind();
    if kind != VestingKind::Periodic && !periods.is_empty() {
        return Err("only a periodic release has periods");
    }
    match kind {
        VestingKind::Unspecified => Err("the kind of release is missing"),
        VestingKind::Permanent if (*start_time, *end_time) != (0, 0) => {
            Err("what is locked for good has no times")
        }
        VestingKind::Permanent => Ok(()),
        VestingKind::Delayed if *start_time != 0 || *end_time == 0 => {
            Err("a delayed release has an end_time and no start_time")
        }
        VestingKind::Delayed => Ok(()),
        VestingKind::Continuous if start_time >= end_time => {
            Err("end_time must be after start_time")
        }
        VestingKind::Continuous => Ok(()),
        VestingKind::Periodic => check_periods(vesting, original),
    }
}

fn check_periods(vesting: &Vesting, mut left: BTreeMap<Denom, Amount>) -> Result<(), &'static str> {
    if vesting.start_time < 1 {
        return Err("start_time must be above 0");
    }
    if vesting.periods.is_empty() || vesting.periods.len() > PERIODS_MAX {
        return Err("1 to 64 periods are taken");
    }
    let mut end = vesting.start_time;
    for period in &vesting.periods {
        if period.length < 1 {
            return Err("the length of a period must be above 0");
        }
        end = end.checked_add(period.length).ok_or("the periods never end")?;
        let amounts = sums(&period.amount)?;
        if amounts.is_empty() {
            return Err("a period releases nothing");
        }
        for (denom, amount) in amounts {
            let have = left.remove(&denom).unwrap_or_default();
            let rest = have.minus(amount).ok_or("the periods release more than is locked")?;
            left.insert(denom, rest);
        }
    }
    if left.values().any(|amount| *amount != Amount::ZERO) {
        return Err("the periods release less than is locked");
    }
    if end == vesting.end_time { Ok(()) } else { Err("end_time is not the end of the periods") }
}

/// Coins in order of denom, none twice, none zero.
fn sums(coins: &[Coin]) -> Result<BTreeMap<Denom, Amount>, &'static str> {
    let mut read = BTreeMap::new();
    for coin in coins {
        let denom = Denom::new(&coin.denom).ok_or("a denom is none")?;
        let amount = Amount::parse(&coin.amount).filter(|amount| *amount != Amount::ZERO);
        let amount = amount.ok_or("an amount is none, or zero")?;
        if read.last_key_value().is_some_and(|(last, _)| *last >= denom) {
            return Err("coins are not in order of denom, or one stands twice");
        }
        read.insert(denom, amount);
    }
    Ok(read)
}

fn units(coins: &[Coin], denom: &Denom) -> Amount {
    let coin = coins.iter().find(|coin| coin.denom == denom.as_str());
    coin.map_or(Amount::ZERO, |coin| Amount::stored(&coin.amount))
}

fn seconds(time: i64) -> u64 {
    u64::try_from(time).unwrap_or_default()
}

/// The account with its lock, as the Cosmos SDK's type of its kind.
pub(super) fn as_account(base: BaseAccount, vesting: Vesting) -> Any {
    let kind = vesting.kind();
    let Vesting {
        address: _,
        kind: _,
        original_vesting,
        delegated_free,
        delegated_vesting,
        start_time,
        end_time,
        periods: vesting_periods,
    } = vesting;
    let base_vesting_account = Some(BaseVestingAccount {
        base_account: Some(base),
        original_vesting,
        delegated_free,
        delegated_vesting,
        end_time,
    });
    match kind {
        VestingKind::Continuous => {
            any(&ContinuousVestingAccount { base_vesting_account, start_time })
        }
        VestingKind::Delayed => any(&DelayedVestingAccount { base_vesting_account }),
        VestingKind::Periodic => {
            any(&PeriodicVestingAccount { base_vesting_account, start_time, vesting_periods })
        }
        VestingKind::Permanent | VestingKind::Unspecified => {
            any(&PermanentLockedAccount { base_vesting_account })
        }
    }
}

pub(super) fn any<M: Message + Name>(message: &M) -> Any {
    let value: Vec<u8> = message.encode_to_vec();
    Any { type_url: M::type_url(), value }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use plasma_proto::cosmos::vesting::v1beta1::Period;
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn coins(units: u128) -> Vec<Coin> {
        vec![Coin { denom: "uxpl".into(), amount: Amount::new(units).text() }]
    }

    fn vesting(kind: VestingKind, units: u128, start_time: i64, end_time: i64) -> Vesting {
        Vesting {
            kind: kind.into(),
            original_vesting: coins(units),
            start_time,
            end_time,
            ..Vesting::default()
        }
    }

    fn free(vesting: &Vesting, now_s: u64) -> u128 {
        vested(vesting, &Denom::uxpl(), now_s).units()
    }

    #[test]
    fn each_kind_releases_at_its_edges() {
        let max = u128::MAX;
        let continuous = vesting(VestingKind::Continuous, max, 10, 13);
        assert_eq!(
            [9, 10, 11, 12, 13, u64::MAX].map(|now| free(&continuous, now)),
            [0, 0, max / 3, max / 3 * 2, max, max]
        );
        let delayed = vesting(VestingKind::Delayed, max, 0, 10);
        assert_eq!([0, 9, 10, 11].map(|now| free(&delayed, now)), [0, 0, max, max]);
        let permanent = vesting(VestingKind::Permanent, max, 0, 0);
        assert_eq!([0, 1, u64::MAX].map(|now| free(&permanent, now)), [0, 0, 0]);
        let mut periodic = vesting(VestingKind::Periodic, 6, 10, 16);
        periodic.periods =
            (1..4).map(|n: u8| Period { length: n.into(), amount: coins(n.into()) }).collect();
        check(&periodic).unwrap();
        assert_eq!([10, 11, 12, 13, 15, 16].map(|now| free(&periodic, now)), [0, 1, 1, 3, 3, 6]);
    }

    #[test]
    fn what_is_delegated_of_the_locked_is_not_locked_twice() {
        let mut lock = vesting(VestingKind::Delayed, 10, 0, 100);
        lock.delegated_vesting = coins(4);
        assert_eq!(locked(&lock, &Denom::uxpl(), 99), Amount::new(6));
        assert_eq!(locked(&lock, &Denom::uxpl(), 100), Amount::ZERO);
        assert_eq!(locked(&lock, &Denom::new("other").unwrap(), 99), Amount::ZERO);
    }

    #[test]
    fn what_is_locked_is_delegated_first_and_comes_back_last() {
        let uxpl = Denom::uxpl();
        let mut lock = vesting(VestingKind::Delayed, 10, 0, 100);
        delegate(&mut lock, &uxpl, Amount::new(13), 50);
        assert_eq!(
            (lock.delegated_vesting.clone(), lock.delegated_free.clone()),
            (coins(10), coins(3))
        );
        assert_eq!(locked(&lock, &uxpl, 50), Amount::ZERO);
        undelegate(&mut lock, &uxpl, Amount::new(5));
        assert_eq!(
            (lock.delegated_vesting.clone(), lock.delegated_free.clone()),
            (coins(8), vec![])
        );
        assert_eq!(locked(&lock, &uxpl, 50), Amount::new(2));
        check(&lock).unwrap();
        delegate(&mut lock, &uxpl, Amount::new(1), 100);
        assert_eq!(
            (lock.delegated_vesting.clone(), lock.delegated_free.clone()),
            (coins(8), coins(1))
        );
    }

    #[test]
    fn terms_that_cannot_be_are_refused() {
        let good = vesting(VestingKind::Periodic, 3, 1, 3);
        let period = |length, units| Period { length, amount: coins(units) };
        let with = |periods: Vec<Period>| Vesting { periods, ..good.clone() };
        assert_eq!(check(&with(vec![period(1, 1), period(1, 2)])), Ok(()));
        let many = (0..65).map(|_| period(1, 1)).collect();
        let cases = [
            with(vec![]),
            with(many),
            with(vec![period(1, 1), period(1, 1)]),
            with(vec![period(1, 2), period(1, 2)]),
            with(vec![period(2, 1), period(0, 2)]),
            with(vec![period(1, 1), period(2, 2)]),
            with(vec![period(i64::MAX, 3)]),
            vesting(VestingKind::Unspecified, 1, 0, 1),
            vesting(VestingKind::Continuous, 1, 5, 5),
            vesting(VestingKind::Continuous, 1, -1, 5),
            vesting(VestingKind::Continuous, 0, 1, 5),
            vesting(VestingKind::Delayed, 1, 0, 0),
            vesting(VestingKind::Delayed, 1, 1, 2),
            vesting(VestingKind::Permanent, 1, 0, 2),
            Vesting { delegated_vesting: coins(2), ..vesting(VestingKind::Delayed, 1, 0, 2) },
            Vesting { original_vesting: vec![], ..vesting(VestingKind::Delayed, 1, 0, 2) },
        ];
        for case in cases {
            assert!(check(&case).is_err(), "{case:?}");
        }
    }

    /// Amounts and times at their edges, and between.
    fn edge() -> impl Strategy<Value = u128> {
        prop_oneof![Just(1), Just(2), Just(u128::MAX), Just(u128::MAX - 1), 1..u128::MAX]
    }

    /// `a * b / c` with digits of base 2^32, as on paper.
    fn on_paper(a: u128, b: u64, c: u64) -> u128 {
        let digits = |mut n: u128| {
            let mut digits = vec![];
            for _ in 0..4 {
                digits.push(n & 0xffff_ffff);
                n >>= 32;
            }
            digits
        };
        let mut product = vec![0u128; 8];
        for (i, x) in digits(a).into_iter().enumerate() {
            let mut carry = 0;
            for (j, y) in digits(b.into()).into_iter().enumerate() {
                let sum = product[i + j] + x * y + carry;
                (product[i + j], carry) = (sum & 0xffff_ffff, sum >> 32);
            }
            product[i + 4] += carry;
        }
        let (mut quotient, mut rest) = (0u128, 0u128);
        for digit in product.into_iter().rev() {
            let with = (rest << 32) | digit;
            quotient = quotient.wrapping_shl(32) | (with / u128::from(c));
            rest = with % u128::from(c);
        }
        quotient
    }

    proptest! {
        /// What is free never falls with time, never passes the whole, and is the plain formula.
        #[test]
        fn continuous_release_is_the_formula(
            whole in edge(),
            start in 0..i64::MAX - 1,
            length in 1..=i64::MAX,
            at in 0..u64::MAX,
        ) {
            let end = start.saturating_add(length);
            let lock = vesting(VestingKind::Continuous, whole, start, end);
            let (from, all) = (start.unsigned_abs(), end.abs_diff(start));
            let now = from.saturating_add(at % all);
            prop_assert_eq!(free(&lock, now), on_paper(whole, now - from, all));
            prop_assert!(free(&lock, now) <= free(&lock, now + 1));
            prop_assert!(free(&lock, now + 1) <= whole);
            prop_assert_eq!(free(&lock, end.unsigned_abs()), whole);
        }
    }
}
