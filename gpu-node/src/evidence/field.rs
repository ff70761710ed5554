//! Polynomials over the field of fingerprints.

use std::sync::LazyLock;

use plasma_modules::attestation::{FIELD, FINGERPRINT_POINTS};

const P: u32 = FIELD as u32;

/// Inverses of 1 to P - 1; 0 stands at 0. By inv(i) = -(P / i) * inv(P mod i).
static INVERSES: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut inverses = vec![0, 1];
    for i in 2..P {
        let quotient = u64::from(P / i);
        let rest = u64::from(inverses[(P % i) as usize]);
        inverses.push(P - (quotient * rest % u64::from(P)) as u32);
    }
    inverses
});

fn mul(a: u32, b: u32) -> u32 {
    (u64::from(a) * u64::from(b) % u64::from(P)) as u32
}

fn sub(a: u32, b: u32) -> u32 {
    if a >= b { a - b } else { a + P - b }
}

/// The coefficients, from the constant on, of the polynomial of least degree through these points, at most
/// [`FINGERPRINT_POINTS`] with distinct places, all numbers below the field's. By Newton's divided
/// differences, expanded.
pub fn interpolate(points: &[(u16, u16)]) -> [u16; FINGERPRINT_POINTS] {
    let places: Vec<u32> = points.iter().map(|(place, _)| u32::from(*place)).collect();
    let mut newton: Vec<u32> = points.iter().map(|(_, value)| u32::from(*value)).collect();
    let inverses = &*INVERSES;
    for order in 1..places.len() {
        for at in (order..places.len()).rev() {
            let rise = sub(newton[at], newton[at - 1]);
            let run = sub(places[at], places[at - order]);
            newton[at] = mul(rise, inverses[run as usize]);
        }
    }
    // From the inside out: poly = poly * (x - place) + coefficient.
    let mut poly = [0u32; FINGERPRINT_POINTS];
    for (at, (place, coefficient)) in places.iter().zip(&newton).enumerate().rev() {
        for degree in (0..places.len() - at).rev() {
            let lower = if degree == 0 { 0 } else { poly[degree - 1] };
            poly[degree] = sub(lower, mul(poly[degree], *place));
        }
        poly[0] = (poly[0] + coefficient) % P;
    }
    poly.map(|coefficient| coefficient as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_modules::attestation::Fingerprint;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_inverse_times_its_number_is_one() {
        assert!((1..P).all(|i| mul(i, INVERSES[i as usize]) == 1));
    }

    proptest! {
        #[test]
        fn the_polynomial_goes_through_its_points(
            points in proptest::collection::btree_map(0u16..FIELD, 0u16..FIELD, 0..=FINGERPRINT_POINTS),
        ) {
            let points: BTreeMap<u16, u16> = points;
            let list: Vec<(u16, u16)> = points.iter().rev().map(|(x, y)| (*x, *y)).collect();
            let coefficients = interpolate(&list);
            prop_assert!(coefficients[list.len()..].iter().all(|one| *one == 0));
            let print = Fingerprint { modulus: FIELD, coefficients };
            for (x, y) in points {
                prop_assert_eq!(print.at(u64::from(x)), y);
            }
        }
    }
}
