//! The largest activations of a segment, and the polynomial that holds them.

use half::bf16;
use plasma_modules::attestation::{FIELD, FINGERPRINT_POINTS, Fingerprint, MODULUS_FLOOR};

use super::field::interpolate;
use crate::engine::EngineError;

/// Candidates that are gathered before the smaller ones are dropped.
const GATHERED: usize = 8 * FINGERPRINT_POINTS;
/// All but the sign of a float.
const MAGNITUDE: u32 = 0x7fff_ffff;

/// One activation of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Its index in the segment, row by row.
    pub index: u64,
    /// Its bits as bf16.
    pub bits: u16,
}

/// The largest activations of what was seen so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Largest {
    seen: u64,
    /// Magnitude, as bits, which sort as the numbers do, and index; and the number.
    found: Vec<(u32, u64, f32)>,
    /// What is smaller is not among the largest.
    floor: u32,
}

impl Largest {
    /// Takes the next activations, all finite.
    pub fn add(&mut self, numbers: &[f32]) {
        for number in numbers {
            let magnitude = number.to_bits() & MAGNITUDE;
            if magnitude >= self.floor {
                self.found.push((magnitude, self.seen, *number));
                if self.found.len() >= GATHERED {
                    self.drop_smaller();
                }
            }
            self.seen += 1;
        }
    }

    fn drop_smaller(&mut self) {
        if self.found.len() > FINGERPRINT_POINTS {
            let order = |(magnitude, index, _): &(u32, u64, f32)| (!*magnitude, *index);
            self.found.select_nth_unstable_by_key(FINGERPRINT_POINTS - 1, order);
            self.found.truncate(FINGERPRINT_POINTS);
            self.floor = self.found[FINGERPRINT_POINTS - 1].0;
        }
    }

    /// The largest in order of their indexes: of equals those that came first, and all if there are fewer than
    /// [`FINGERPRINT_POINTS`].
    #[must_use]
    pub fn points(mut self) -> Vec<Point> {
        self.drop_smaller();
        self.found.sort_unstable_by_key(|(_, index, _)| *index);
        let point = |(_, index, number): (u32, u64, f32)| Point {
            index,
            bits: bf16::from_f32(number).to_bits(),
        };
        self.found.into_iter().map(point).collect()
    }
}

/// The fingerprint of a segment whose largest activations these are.
pub fn build(points: &[Point]) -> Result<Fingerprint, EngineError> {
    let mut taken = vec![0u16; usize::from(FIELD)];
    let mut is_usable = |modulus: u16| {
        points.iter().all(|point| {
            let place = (point.index % u64::from(modulus)) as usize;
            // Marked with the modulus, so that nothing need be cleared for the next.
            std::mem::replace(&mut taken[place], modulus) != modulus
        })
    };
    let modulus = (MODULUS_FLOOR + 1..=FIELD).rev().find(|modulus| is_usable(*modulus));
    let modulus = modulus.ok_or_else(|| {
        EngineError::Model("the largest activations collide under every modulus".to_owned())
    })?;
    let places: Vec<(u16, u16)> = points
        .iter()
        .map(|point| ((point.index % u64::from(modulus)) as u16, point.bits))
        .collect();
    Ok(Fingerprint { modulus, coefficients: interpolate(&places) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_the_book(numbers: &[f32]) -> Vec<Point> {
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by(|a, b| numbers[*b].abs().total_cmp(&numbers[*a].abs()).then(a.cmp(b)));
        order.truncate(FINGERPRINT_POINTS);
        order.sort_unstable();
        let bits = |at: usize| bf16::from_f32(numbers[at]).to_bits();
        order.into_iter().map(|at| Point { index: at as u64, bits: bits(at) }).collect()
    }

    proptest! {
        /// Coarse numbers, so that many are equal.
        #[test]
        fn the_fast_way_is_the_rule(numbers in proptest::collection::vec((-40i32..40).prop_map(|n| n as f32 / 8.0), 0..6000), cut in 1usize..700) {
            let mut largest = Largest::default();
            numbers.chunks(cut).for_each(|piece| largest.add(piece));
            prop_assert_eq!(largest.points(), by_the_book(&numbers));
        }

        #[test]
        fn a_fingerprint_gives_back_its_points(numbers in proptest::collection::vec(-1e4f32..1e4, 1..3000), stride in 1u64..70_000) {
            let mut largest = Largest::default();
            largest.add(&numbers);
            // As of a long segment: indexes far beyond the modulus.
            let points: Vec<Point> = largest.points().into_iter().map(|p| Point { index: p.index * stride, ..p }).collect();
            let print = build(&points).unwrap();
            prop_assert_eq!(Fingerprint::parse(&print.to_bytes()).unwrap(), print.clone());
            for point in points {
                prop_assert_eq!(print.at(point.index), point.bits);
            }
        }
    }

    #[test]
    fn the_largest_usable_modulus_is_taken() {
        let point = |index| Point { index, bits: 1 };
        assert_eq!(build(&[point(0), point(1)]).unwrap().modulus, FIELD);
        let collide = [point(0), point(u64::from(FIELD)), point(u64::from(FIELD) - 1)];
        assert_eq!(build(&collide).unwrap().modulus, FIELD - 2, "FIELD - 1 collides too");
        let same = [point(5), point(5)];
        assert!(build(&same).is_err());
    }
}
