use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt;

use ruint::aliases::U256;

use super::{Amount, BPS};

/// What a [`Dec`] counts: 10^18 of them are one.
const SCALE: u128 = 1_000_000_000_000_000_000;
const BPS_SCALED: u128 = SCALE / 10_000;
const DIGITS: usize = 18;

/// `a * b / c` with all digits of the product, rounded down. `None` past the largest number, or
/// where `c` is zero.
pub fn mul_div(a: u128, b: u128, c: u128) -> Option<u128> {
    let product = U256::from(a).checked_mul(U256::from(b))?;
    product.checked_div(U256::from(c))?.try_into().ok()
}

/// `a * b / c` with all digits of the product, rounded up. `None` past the largest number, or where
/// `c` is zero.
pub fn mul_div_up(a: u128, b: u128, c: u128) -> Option<u128> {
    let product = U256::from(a).checked_mul(U256::from(b))?;
    let c = U256::from(c);
    let down = product.checked_div(c)?;
    let rest = product.checked_rem(c)?;
    let up = if rest.is_zero() { down } else { down.checked_add(U256::ONE)? };
    up.try_into().ok()
}

/// A number of at least zero with 18 digits after the point, as `cosmos.Dec` is. Names, not
/// operators: every step says how it rounds, and is `None` past the largest number (about 3.4 * 10^20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dec(u128);

impl Dec {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(SCALE);
    /// The largest number.
    pub const MAX: Self = Self(u128::MAX);

    /// Wraps a count of 10^-18.
    pub const fn new(scaled: u128) -> Self {
        Self(scaled)
    }

    /// The count of 10^-18.
    pub const fn scaled(self) -> u128 {
        self.0
    }

    /// Basis points as a part of one.
    pub fn bps(bps: u32) -> Self {
        // 2^32 times 10^14 is far below 2^128.
        Self(u128::from(bps).saturating_mul(BPS_SCALED))
    }

    /// A whole number.
    pub fn whole(amount: Amount) -> Option<Self> {
        amount.units().checked_mul(SCALE).map(Self)
    }

    /// `a / b`, rounded down.
    pub fn ratio(a: Amount, b: Amount) -> Option<Self> {
        mul_div(a.units(), SCALE, b.units()).map(Self)
    }

    /// Reads what protobuf holds of a `cosmos.Dec`: the count of 10^-18 in digits.
    pub fn parse(text: &str) -> Option<Self> {
        Amount::parse(text).map(|count| Self(count.units()))
    }

    /// Reads a stored number; the empty text of an unset field is zero.
    pub fn stored(text: &str) -> Self {
        Self(Amount::stored(text).units())
    }

    /// As protobuf holds a `cosmos.Dec`: the count of 10^-18 in digits.
    pub fn text(self) -> String {
        self.0.to_string()
    }

    /// Reads a number with a point, as gov v1 writes its decimals: digits, and after the point 1 to
    /// 18 of them.
    pub fn parse_point(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || part.len() > DIGITS {
            return None;
        }
        let part: u128 = format!("{part:0<DIGITS$}").parse().ok()?;
        Self::whole(Amount::parse(whole)?)?.plus(Self(part))
    }

    /// With a point and 18 digits after it, as gov v1 writes its decimals.
    pub fn point(self) -> String {
        let (whole, part) = (self.floor(), self.0.checked_rem(SCALE).unwrap_or_default());
        format!("{whole}.{part:0DIGITS$}")
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below zero.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The product, rounded down.
    pub fn times(self, other: Self) -> Option<Self> {
        mul_div(self.0, other.0, SCALE).map(Self)
    }

    /// The quotient, rounded down. `None` also where `other` is zero.
    pub fn over(self, other: Self) -> Option<Self> {
        mul_div(self.0, SCALE, other.0).map(Self)
    }

    /// `self * a / b`, rounded down once. `None` also where `b` is zero.
    pub fn times_ratio(self, a: u128, b: u128) -> Option<Self> {
        mul_div(self.0, a, b).map(Self)
    }

    /// `self * a / b`, rounded up once. `None` also where `b` is zero.
    pub fn times_ratio_up(self, a: u128, b: u128) -> Option<Self> {
        mul_div_up(self.0, a, b).map(Self)
    }

    /// This part of an amount, rounded down: the remainder stays with the rest.
    pub fn of(self, amount: Amount) -> Option<Amount> {
        mul_div(amount.units(), self.0, SCALE).map(Amount::new)
    }

    /// This part of an amount, rounded up.
    pub fn of_up(self, amount: Amount) -> Option<Amount> {
        mul_div_up(amount.units(), self.0, SCALE).map(Amount::new)
    }

    /// The whole part.
    pub fn floor(self) -> Amount {
        Amount::new(self.0.checked_div(SCALE).unwrap_or_default())
    }

    /// In basis points, rounded down; `None` past the largest `u32`.
    pub fn to_bps(self) -> Option<u32> {
        u32::try_from(mul_div(self.0, u128::from(BPS), SCALE)?).ok()
    }
}

impl fmt::Display for Dec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.point())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    #[test]
    fn both_texts_read_back() {
        for (scaled, text) in [
            (0, "0.000000000000000000"),
            (1, "0.000000000000000001"),
            (SCALE / 10, "0.100000000000000000"),
            (334 * SCALE / 1000, "0.334000000000000000"),
            (u128::MAX, "340282366920938463463.374607431768211455"),
        ] {
            let dec = Dec::new(scaled);
            assert_eq!((dec.point().as_str(), dec.to_string().as_str()), (text, text));
            assert_eq!(Dec::parse_point(text), Some(dec));
            assert_eq!(Dec::parse(&dec.text()), Some(dec));
        }
        for (text, scaled) in [("1", SCALE), ("0.5", SCALE / 2), ("12.25", 49 * SCALE / 4)] {
            assert_eq!(Dec::parse_point(text), Some(Dec::new(scaled)));
        }
        for text in [
            "",
            ".",
            "1.",
            ".1",
            "-1",
            "+1",
            "01.0",
            "1.0.0",
            "1,0",
            "1e3",
            "0x1",
            " 1",
            "1.+1",
            "0.0000000000000000001",
            "340282366920938463464",
        ] {
            assert_eq!(Dec::parse_point(text), None, "{text}");
        }
    }

    #[test]
    fn rounding_is_as_said() {
        let third = Dec::ratio(Amount::new(1), Amount::new(3)).unwrap();
        assert_eq!(third.point(), "0.333333333333333333");
        assert_eq!(third.of(Amount::new(3)), Some(Amount::ZERO));
        assert_eq!(third.of_up(Amount::new(3)), Some(Amount::new(1)));
        assert_eq!(Dec::bps(500).point(), "0.050000000000000000");
        assert_eq!(Dec::bps(500).to_bps(), Some(500));
        assert_eq!(Dec::ONE.over(Dec::ZERO), None);
        assert_eq!(Dec::MAX.times(Dec::MAX), None);
        assert_eq!(Dec::MAX.times(Dec::ONE), Some(Dec::MAX));
        assert_eq!((mul_div(1, 1, 0), mul_div_up(1, 1, 0)), (None, None));
        assert_eq!(mul_div_up(u128::MAX, u128::MAX, u128::MAX), Some(u128::MAX));
    }

    fn edge() -> impl Strategy<Value = u128> {
        prop_oneof![Just(0), Just(1), Just(u128::MAX), Just(u128::MAX - 1), 0..u128::MAX]
    }

    proptest! {
        /// The quotient times the divisor, and the rest, are the product.
        #[test]
        fn quotients_are_of_all_digits(a in edge(), b in edge(), c in edge()) {
            let wide = |n: u128| U256::from(n);
            let product = wide(a) * wide(b);
            match mul_div(a, b, c) {
                Some(quotient) => {
                    prop_assert!(wide(quotient) * wide(c) <= product);
                    prop_assert!(product - wide(quotient) * wide(c) < wide(c));
                }
                None => prop_assert!(c == 0 || product >= wide(c) << 128),
            }
            if let (Some(down), Some(up)) = (mul_div(a, b, c), mul_div_up(a, b, c)) {
                prop_assert_eq!(up - down, u128::from(!(product % wide(c)).is_zero()));
            }
        }
    }
}
