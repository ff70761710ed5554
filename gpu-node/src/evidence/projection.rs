//! Rows projected by signs that a seed gives.

use half::f16;
use plasma_modules::attestation::PROJECTIONS;
use plasma_modules::types::{Hash, sha256};

/// Columns whose signs come from one hash: one byte each, one bit per projection.
const COLUMNS_PER_HASH: usize = 32;
/// Largest finite f16: larger sums are cut to it.
const F16_MAX: f64 = 65_504.0;

/// A sign for every projection and column. The byte of column c is byte c mod 32 of sha256(seed, be32 of
/// c / 32); its bit d, the lowest first, is the sign of projection d: 1 is minus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signs {
    columns: Vec<u8>,
}

impl Signs {
    /// The signs of a seed, for rows of `width` numbers.
    #[must_use]
    pub fn new(seed: &Hash, width: usize) -> Self {
        let mut columns = Vec::with_capacity(width + COLUMNS_PER_HASH);
        for counter in 0..u32::try_from(width.div_ceil(COLUMNS_PER_HASH)).unwrap_or(u32::MAX) {
            columns.extend(sha256(&[&seed[..], &counter.to_be_bytes()].concat()));
        }
        columns.truncate(width);
        Self { columns }
    }

    /// Columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// A row's projections as bits of f16: sums in f64, in the order of the columns.
    #[must_use]
    pub fn project(&self, row: &[f32]) -> [u16; PROJECTIONS] {
        let mut sums = [0f64; PROJECTIONS];
        for (number, signs) in row.iter().zip(&self.columns) {
            let number = f64::from(*number);
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum += if (signs >> bit) & 1 == 1 { -number } else { number };
            }
        }
        sums.map(|sum| f16::from_f64(sum.clamp(-F16_MAX, F16_MAX)).to_bits())
    }
}

/// How far two sets of rows are apart: the length of their difference over the length of the second,
/// millionths; [`u32::MAX`] where the second has none and the first has.
#[must_use]
pub fn distance_ppm(claimed: &[[u16; PROJECTIONS]], own: &[[u16; PROJECTIONS]]) -> u32 {
    let number = |bits: &u16| f16::from_bits(*bits).to_f64();
    let (mut difference, mut length) = (0f64, 0f64);
    for (claimed, own) in claimed.iter().flatten().zip(own.iter().flatten()) {
        let (claimed, own) = (number(claimed), number(own));
        difference += (claimed - own) * (claimed - own);
        length += own * own;
    }
    if difference == 0.0 {
        return 0;
    }
    let ppm = libm::sqrt(difference / length) * 1e6;
    if ppm < f64::from(u32::MAX) { ppm as u32 } else { u32::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_even_and_of_their_seed() {
        let signs = Signs::new(&[1; 32], 4096);
        assert_eq!(signs, Signs::new(&[1; 32], 4096));
        assert_ne!(signs, Signs::new(&[2; 32], 4096));
        assert_eq!(signs.columns[..100], Signs::new(&[1; 32], 100).columns);
        for bit in 0..8 {
            let minus = signs.columns.iter().filter(|byte| (*byte >> bit) & 1 == 1).count();
            assert!((1848..2248).contains(&minus), "{minus} of 4096: more than 6 deviations off");
        }
    }

    #[test]
    fn a_projection_is_the_sum() {
        let signs = Signs { columns: vec![0b0000_0001, 0b1000_0010, 0] };
        let bits = signs.project(&[1.0, 10.0, 100.0]);
        let numbers = bits.map(|bits| f16::from_bits(bits).to_f32());
        assert_eq!(numbers, [109.0, 91.0, 111.0, 111.0, 111.0, 111.0, 111.0, 91.0]);
        let large = Signs { columns: vec![0; 2] }.project(&[1e30, 1e30]);
        assert_eq!(large, [0x7bff; 8], "cut to the largest that is finite");
    }

    #[test]
    fn distances_are_relative() {
        let bits = |number: f32| [[f16::from_f32(number).to_bits(); PROJECTIONS]];
        assert_eq!(distance_ppm(&bits(2.0), &bits(2.0)), 0);
        assert_eq!(distance_ppm(&bits(3.0), &bits(2.0)), 500_000);
        assert_eq!(distance_ppm(&bits(-2.0), &bits(2.0)), 2_000_000);
        assert_eq!(distance_ppm(&bits(0.0), &bits(0.0)), 0);
        assert_eq!(distance_ppm(&bits(1.0), &bits(0.0)), u32::MAX);
    }
}
