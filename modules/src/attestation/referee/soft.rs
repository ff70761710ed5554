//! Numbers that are the same on every machine: IEEE 754 binary32, rounded to nearest, ties to even, subnormals kept.

use rustc_apfloat::{Float, Round, ieee::Single};

/// What the referee computes with. Its [`Soft`] numbers are the law; a machine's own `f32` are another implementation, equal bit by bit but
/// for the many NaNs, which [`Number::to_bits`] makes one.
pub trait Number: Copy {
    /// +0.
    const ZERO: Self;
    /// From bits as IEEE 754 lays them out.
    fn from_bits(bits: u32) -> Self;
    /// As IEEE 754 lays them out; every NaN is [`NAN`].
    fn to_bits(self) -> u32;
    /// self + other, rounded once.
    #[must_use]
    fn plus(self, other: Self) -> Self;
    /// self - other, rounded once.
    #[must_use]
    fn minus(self, other: Self) -> Self;
    /// self * other, rounded once.
    #[must_use]
    fn times(self, other: Self) -> Self;
    /// self / other, rounded once.
    #[must_use]
    fn over(self, other: Self) -> Self;
    /// The square root, rounded once.
    #[must_use]
    fn root(self) -> Self;
    /// self > other; false if one is NaN.
    fn exceeds(self, other: Self) -> bool;
}

/// The bits of the one NaN.
pub const NAN: u32 = 0x7fc0_0000;
/// The bits of infinity.
pub const INFINITY: u32 = 0x7f80_0000;
/// The bits of 1.
pub const ONE: u32 = 0x3f80_0000;

/// All but the sign.
const MODULUS: u32 = 0x7fff_ffff;
/// The sign.
const SIGN: u32 = 0x8000_0000;
/// Bits of a significand that are stored.
const FRACTION_BITS: u32 = 23;
/// The bits of a significand that are stored.
const FRACTION: u64 = 0x7f_ffff;
/// The bit of a significand that is not stored.
const HIDDEN_BIT: u64 = 1 << FRACTION_BITS;

/// A number by integer arithmetic alone (`rustc_apfloat`, the port of LLVM's APFloat that the compiler computes constants with).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soft(u32);

impl Soft {
    fn read(self) -> Single {
        Single::from_bits(self.0.into())
    }

    fn new(value: Single) -> Self {
        Self::from_bits(u32::try_from(value.to_bits()).unwrap_or(NAN))
    }
}

impl Number for Soft {
    const ZERO: Self = Self(0);

    fn from_bits(bits: u32) -> Self {
        Self(if bits & MODULUS > INFINITY { NAN } else { bits })
    }

    fn to_bits(self) -> u32 {
        self.0
    }

    fn plus(self, other: Self) -> Self {
        Self::new(self.read().add_r(other.read(), Round::NearestTiesToEven).value)
    }

    fn minus(self, other: Self) -> Self {
        Self::new(self.read().sub_r(other.read(), Round::NearestTiesToEven).value)
    }

    fn times(self, other: Self) -> Self {
        Self::new(self.read().mul_r(other.read(), Round::NearestTiesToEven).value)
    }

    fn over(self, other: Self) -> Self {
        Self::new(self.read().div_r(other.read(), Round::NearestTiesToEven).value)
    }

    fn root(self) -> Self {
        Self(root(self.0))
    }

    fn exceeds(self, other: Self) -> bool {
        self.read() > other.read()
    }
}

/// The bits of a root. It lies between two numbers or is one, never half way between two, because the square of such a half way needs more
/// bits than a number has: so the integer root of the significand, one bit longer than the result, and that bit say how to round.
fn root(bits: u32) -> u32 {
    if bits & MODULUS == 0 || bits == INFINITY {
        return bits;
    }
    if bits & MODULUS > INFINITY || bits & SIGN != 0 {
        return NAN;
    }
    let (mut exponent, mut significand) =
        (i64::from(bits >> FRACTION_BITS), u64::from(bits) & FRACTION);
    if exponent == 0 {
        // A subnormal: its significand is brought to full length.
        let missing = significand.leading_zeros().saturating_sub(HIDDEN_BIT.leading_zeros());
        significand <<= missing;
        exponent = 1i64.saturating_sub(missing.into());
    } else {
        significand |= HIDDEN_BIT;
    }
    // value = significand * 2^(exponent - 150). The power is made even and the significand 25 or 26 bits long, so that the root of 2^24
    // times it has 25 bits: those of the result, and the one that rounds. They never overflow: the largest significand's root is below.
    let power = exponent.saturating_sub(150);
    let lengthened = if power & 1 == 0 { 2 } else { 1 };
    let long = (significand << lengthened << 24u32).isqrt();
    let rounded = long.saturating_add(1) >> 1;
    let exponent = (power.saturating_sub(lengthened) >> 1).saturating_add(139);
    let exponent = u64::try_from(exponent).unwrap_or(0);
    let stored = (rounded & FRACTION) | (exponent << FRACTION_BITS);
    u32::try_from(stored).unwrap_or(NAN)
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "what the machine computes is compared")]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// Bits of what the machine computes, with the one NaN.
    fn hard(value: f32) -> u32 {
        if value.is_nan() { NAN } else { value.to_bits() }
    }

    fn same(a: u32, b: u32) {
        let (x, y) = (Soft::from_bits(a), Soft::from_bits(b));
        let (f, g) = (f32::from_bits(a), f32::from_bits(b));
        let all = [
            (x.plus(y), f + g),
            (x.minus(y), f - g),
            (x.times(y), f * g),
            (x.over(y), f / g),
            (x.root(), f.sqrt()),
        ];
        for (at, (soft, value)) in all.into_iter().enumerate() {
            assert_eq!(soft.to_bits(), hard(value), "{at}: {f:e} ({a:#x}), {g:e} ({b:#x})");
        }
        assert_eq!(x.exceeds(y), f > g, "{f} > {g}");
    }

    /// Where rounding, overflow and underflow turn.
    fn corners() -> Vec<u32> {
        let mut all = Vec::new();
        for base in [
            0,
            1,
            0x007f_ffff,
            0x0080_0000,
            0x00ff_ffff,
            ONE,
            0x3f7f_ffff,
            0x4b7f_ffff,
            0x7f7f_ffff,
            INFINITY,
            NAN,
        ] {
            for bits in [base - 1.min(base), base, base + 1] {
                all.extend([bits, bits | SIGN]);
            }
        }
        all
    }

    #[test]
    fn corners_are_the_machines() {
        for a in corners() {
            for b in corners() {
                same(a, b);
            }
        }
    }

    /// Each exponent, with significands of few and of many bits: the roots of all of them.
    #[test]
    fn roots_are_the_machines() {
        for exponent in 0..255u32 {
            for fraction in (0..1u32 << 23).step_by(7_919).chain([1, 2, 3, 0x7f_fffe, 0x7f_ffff]) {
                let bits = exponent << 23 | fraction;
                let machine = f32::from_bits(bits).sqrt().to_bits();
                assert_eq!(root(bits), machine, "{bits:#x}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(2_000) * 50, ..ProptestConfig::default() })]

        #[test]
        fn any_numbers_are_the_machines(a in any::<u32>(), b in any::<u32>()) {
            same(a, b);
        }

        /// Sums and quotients of neighbours in size, where bits cancel and ties are.
        #[test]
        fn numbers_of_like_size_are_the_machines(a in any::<u32>(), apart in -30i32..30, b in 0u32..1 << 23, sign in any::<bool>()) {
            let exponent = (((a >> 23) & 255) as i32 + apart).clamp(0, 255) as u32;
            same(a, exponent << 23 | b | if sign { SIGN } else { 0 });
        }
    }
}
