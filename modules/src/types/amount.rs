use alloc::string::{String, ToString};
use core::fmt;

use super::BPS;

/// A quantity of one denomination, in its smallest unit. Names, not operators: every step says
/// what happens when it does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u128);

impl Amount {
    /// No units.
    pub const ZERO: Self = Self(0);

    /// Wraps a count of units.
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// The count of units.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Reads decimal text: digits only, no leading zero, at most [`u128::MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = text == "0" || !text.starts_with('0');
        (digits && plain).then(|| text.parse().ok().map(Self)).flatten()
    }

    /// Reads a stored amount; the empty text of an unset field is zero.
    pub fn stored(text: &str) -> Self {
        if text.is_empty() {
            return Self::ZERO;
        }
        Self::parse(text).unwrap_or_else(|| crate::error::fault("bad amount", text.as_bytes()))
    }

    /// The sum, or `None` past the largest amount.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` below zero.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The share of `bps` basis points, rounded down: the remainder stays with the rest. `None`
    /// past the largest amount.
    pub fn share(self, bps: u32) -> Option<Self> {
        self.0.checked_mul(u128::from(bps))?.checked_div(u128::from(BPS)).map(Self)
    }

    /// As decimal text, the form of every amount in a message.
    pub fn text(self) -> String {
        self.0.to_string()
    }
}

impl From<u64> for Amount {
    fn from(units: u64) -> Self {
        Self(units.into())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Sums of money never pass the supply, so they fit.
pub fn sum(a: Amount, b: Amount) -> Amount {
    a.plus(b)
        .unwrap_or_else(|| crate::error::fault("a sum of money passed the largest amount", b""))
}

/// What was counted in before can be counted out.
pub fn rest(a: Amount, b: Amount) -> Amount {
    a.minus(b).unwrap_or_else(|| crate::error::fault("less than nothing would be left", b""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_digits_only() {
        for (text, units) in
            [("0", 0), ("1", 1), ("340282366920938463463374607431768211455", u128::MAX)]
        {
            assert_eq!(Amount::parse(text), Some(Amount::new(units)));
            assert_eq!(Amount::new(units).text(), text);
        }
        for text in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x10",
            "1e3",
            "340282366920938463463374607431768211456",
        ] {
            assert_eq!(Amount::parse(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_never_wraps() {
        let max = Amount::new(u128::MAX);
        assert_eq!(max.plus(Amount::new(1)), None);
        assert_eq!(Amount::ZERO.minus(Amount::new(1)), None);
        assert_eq!(max.share(2), None);
        assert_eq!(Amount::new(9_999).share(1), Some(Amount::ZERO));
    }
}
