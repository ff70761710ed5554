//! The computation in its one order, for whatever [`Number`] carries it out: the chain's soft numbers and a machine's own give the same bits.

use super::soft::{INFINITY, Number, ONE};

/// Partial sums of a product, element i in lane i mod this: what vector units of any width give alike.
pub const LANES: usize = 16;
/// Numbers of a state of attention before its accumulator: the largest score, the sum.
pub const STATE_HEAD: usize = 2;

/// The sum of a_i * b_i: in each lane multiplied, then added, from the first element on; then upper half of the lanes onto the lower until one
/// is left. The shorter of the two ends it.
#[inline]
pub fn dot<N: Number>(a: &[N], b: &[N]) -> N {
    let mut lanes = [N::ZERO; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, x), y) in lanes.iter_mut().zip(a).zip(b) {
            *lane = lane.plus(x.times(*y));
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane = lane.plus(x.times(*y));
    }
    let mut width = LANES;
    while width > 1 {
        width >>= 1;
        let (lower, upper) = lanes.split_at_mut(width);
        for (low, high) in lower.iter_mut().zip(upper.iter()) {
            *low = low.plus(*high);
        }
    }
    let [sum, ..] = lanes;
    sum
}

/// A whole number below 2^24, exactly.
fn whole<N: Number>(number: u32) -> N {
    // 2^23 + n, whose low bits are n, less 2^23: twice, because n may need 24 bits.
    let (high, low) = (number >> 12, number & 0xfff);
    let small = |n: u32| N::from_bits(0x4b00_0000 | n).minus(N::from_bits(0x4b00_0000));
    // 4096
    small(high).times(N::from_bits(0x4580_0000)).plus(small(low))
}

/// 1 / sqrt(mean of squares + eps), by which RMSNorm multiplies (Zhang and Sennrich, arXiv 1910.07467).
#[inline]
pub fn norm_factor<N: Number>(x: &[N], eps: N) -> N {
    let len = u32::try_from(x.len()).unwrap_or(u32::MAX);
    let mean = dot(x, x).over(whole(len));
    N::from_bits(ONE).over(mean.plus(eps).root())
}

/// One element of RMSNorm: (x * factor) * weight.
#[inline]
pub fn normed<N: Number>(x: N, factor: N, weight: N) -> N {
    x.times(factor).times(weight)
}

/// A pair of a head turned by its angle: (a, b) of the first and second half become (a cos - b sin, b cos + a sin).
#[inline]
pub fn turned<N: Number>(a: N, b: N, cos: N, sin: N) -> (N, N) {
    (a.times(cos).minus(b.times(sin)), b.times(cos).plus(a.times(sin)))
}

/// 1 / sqrt(head_dim), by which scores are multiplied.
#[inline]
pub fn score_scale<N: Number>(head_dim: u32) -> N {
    N::from_bits(ONE).over(whole::<N>(head_dim).root())
}

/// The state of attention after the first position: its score, 1, its values.
#[inline]
pub fn attend_first<N: Number>(state: &mut [N], q: &[N], k: &[N], v: &[N], scale: N) {
    let [max, sum, values @ ..] = state else { return };
    *max = dot(q, k).times(scale);
    *sum = N::from_bits(ONE);
    for (value, v) in values.iter_mut().zip(v) {
        *value = *v;
    }
}

/// One step of the online softmax (Milakov and Gimelshein, arXiv 1805.02867), values included: with m' the larger of m and the score,
/// a = exp(m - m') and p = exp(score - m'), the sum becomes s * a + p and each value x * a + p * v.
#[inline]
pub fn attend_next<N: Number>(state: &mut [N], q: &[N], k: &[N], v: &[N], scale: N) {
    let [max, sum, values @ ..] = state else { return };
    let score = dot(q, k).times(scale);
    let larger = if score.exceeds(*max) { score } else { *max };
    let (old, new) = (exp(max.minus(larger)), exp(score.minus(larger)));
    *max = larger;
    *sum = sum.times(old).plus(new);
    for (value, v) in values.iter_mut().zip(v) {
        *value = value.times(old).plus(new.times(*v));
    }
}

/// What a state's values are multiplied by at the end: 1 / sum.
#[inline]
pub fn mix_factor<N: Number>(sum: N) -> N {
    N::from_bits(ONE).over(sum)
}

/// gate / (1 + exp(-gate)) * up: SwiGLU (Shazeer, arXiv 2002.05202).
#[inline]
pub fn gated<N: Number>(gate: N, up: N) -> N {
    let minus = N::ZERO.minus(gate);
    gate.over(N::from_bits(ONE).plus(exp(minus))).times(up)
}

/// Above this exp is infinite.
const EXP_MAX: u32 = 0x42b1_7218; // 88.72284
/// Below this exp is zero.
const EXP_MIN: u32 = 0xc2cf_f1b5; // -103.97208
const LOG2_E: u32 = 0x3fb8_aa3b;
/// ln 2 in two parts, of which the first has so few bits that its products with whole numbers are exact.
const LN_2_HIGH: u32 = 0x3f31_8000; // 0.693359375
const LN_2_LOW: u32 = 0xb95e_8083; // -2.12194440e-4
/// 1.5 * 2^23: what is added to it is rounded to a whole number, which then stands in its low bits.
const ROUNDER: u32 = 0x4b40_0000;
/// Of the polynomial, highest power first.
const EXP_COEFFICIENTS: [u32; 6] = [
    0x3950_6967, // 1.9875691500e-4
    0x3ab7_43ce, // 1.3981999507e-3
    0x3c08_8908, // 8.3334519073e-3
    0x3d2a_a9c1, // 4.1665795894e-2
    0x3e2a_aaaa, // 1.6666665459e-1
    0x3f00_0000, // 5.0000001201e-1
];

/// e^x by the reduction and polynomial of Cephes' `expf` (Moshier): x = n ln 2 + r, e^r = 1 + r + r^2 P(r), and 2^n in two factors, so that
/// subnormals are rounded once.
#[inline]
pub fn exp<N: Number>(x: N) -> N {
    if x.exceeds(N::from_bits(EXP_MAX)) {
        return N::from_bits(INFINITY);
    }
    if N::from_bits(EXP_MIN).exceeds(x) {
        return N::ZERO;
    }
    let rounder = N::from_bits(ROUNDER);
    let shifted = x.times(N::from_bits(LOG2_E)).plus(rounder);
    let n = shifted.minus(rounder);
    let r = x.minus(n.times(N::from_bits(LN_2_HIGH))).minus(n.times(N::from_bits(LN_2_LOW)));
    let [first, rest @ ..] = EXP_COEFFICIENTS;
    let p = rest
        .into_iter()
        .fold(N::from_bits(first), |p, coefficient| p.times(r).plus(N::from_bits(coefficient)));
    let y = p.times(r.times(r)).plus(r).plus(N::from_bits(ONE));
    // A NaN gives any n: whatever it is multiplied by, it stays one.
    let n = i64::from(shifted.to_bits()).saturating_sub(ROUNDER.into()).clamp(-150, 128);
    let half = n >> 1;
    y.times(power_of_2(half)).times(power_of_2(n.saturating_sub(half)))
}

/// 2^n, n from -126 to 127.
#[inline]
fn power_of_2<N: Number>(n: i64) -> N {
    let exponent = u32::try_from(n.saturating_add(127)).unwrap_or(0);
    N::from_bits(exponent << 23)
}

/// The larger of a running best and a challenger, with their tokens: the first of equals stays; a NaN gives way to anything.
#[inline]
pub fn better<N: Number>(best: (N, u32), other: (N, u32)) -> (N, u32) {
    let is_nan = best.0.to_bits() == super::soft::NAN;
    if other.0.exceeds(best.0) || is_nan { other } else { best }
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "what the machine computes is compared")]
mod tests {
    use super::*;
    use crate::attestation::referee::Soft;
    use alloc::vec::Vec;

    fn soft(value: f32) -> Soft {
        Soft::from_bits(value.to_bits())
    }

    fn hard(value: Soft) -> f32 {
        f32::from_bits(value.to_bits())
    }

    #[test]
    fn exp_is_near_and_monotone_at_its_ends() {
        for at in -10_397..8_872 {
            let x = at as f32 / 100.0;
            let (found, due) = (f64::from(hard(exp(soft(x)))), f64::from(x).exp());
            let unit =
                f64::from(f32::from_bits((due as f32).to_bits() + 1)) - f64::from(due as f32);
            assert!((found - due).abs() <= 2.0 * unit, "exp({x}) = {found:e}, not {due:e}");
        }
        assert_eq!(hard(exp(soft(0.0))), 1.0);
        assert_eq!(hard(exp(soft(-200.0))), 0.0);
        assert_eq!(hard(exp(soft(f32::NEG_INFINITY))), 0.0);
        assert_eq!(hard(exp(soft(100.0))), f32::INFINITY);
        assert!(hard(exp(soft(f32::NAN))).is_nan());
    }

    #[test]
    fn whole_numbers_are_exact() {
        for n in [0, 1, 5, 4_095, 4_096, 6_144, 65_537, (1 << 24) - 1] {
            assert_eq!(hard(whole(n)), n as f32);
        }
    }

    #[test]
    fn a_product_has_its_order() {
        // 1 + 2^-24 is 1, however often: in lanes of their own the small ones come together first.
        let mut ones = [0f32; 33];
        ones[0] = 1.0;
        ones[1..17].fill(1.0 / (1 << 25) as f32);
        let values: Vec<Soft> = ones.iter().map(|x| soft(*x)).collect();
        let unit = Vec::from([soft(1.0); 33]);
        let (small, mut lanes) = (1.0 / (1 << 25) as f32, [1.0 / (1 << 25) as f32; 16]);
        lanes[0] = 1.0 + small;
        let mut width = 8;
        while width > 0 {
            for low in 0..width {
                lanes[low] += lanes[low + width];
            }
            width /= 2;
        }
        assert_eq!(hard(dot(&values, &unit)), lanes[0]);
        assert_ne!(hard(dot(&values, &unit)), 1.0);
        assert_eq!(hard(dot::<Soft>(&[], &[])), 0.0);
    }

    #[test]
    fn attention_in_steps_is_attention() {
        let numbers = |seed: u32| -> Vec<f32> {
            (0..8u32).map(|at| ((at * 7 + seed * 13) % 11) as f32 / 4.0 - 1.2).collect()
        };
        let softs = |v: &[f32]| -> Vec<Soft> { v.iter().map(|x| soft(*x)).collect() };
        let q = numbers(3);
        let mut state = Vec::from([Soft::ZERO; 10]);
        let scale = score_scale(8);
        let mut scores = Vec::new();
        for at in 0..5 {
            let (k, v) = (numbers(at), numbers(at + 20));
            scores.push(q.iter().zip(&k).map(|(a, b)| a * b).sum::<f32>() / 8f32.sqrt());
            let step = if at == 0 { attend_first } else { attend_next };
            step(&mut state, &softs(&q), &softs(&k), &softs(&v), scale);
        }
        let total: f32 = scores.iter().map(|s| s.exp()).sum();
        let factor = mix_factor(state[1]);
        for (i, value) in state[2..].iter().enumerate() {
            let due: f32 =
                (0..5u32).map(|at| scores[at as usize].exp() / total * numbers(at + 20)[i]).sum();
            let found = hard(value.times(factor));
            assert!((found - due).abs() < 1e-5, "{found} {due}");
        }
    }

    #[test]
    fn the_first_of_equals_stays() {
        let pick = |values: &[f32]| {
            let mut all = (0u32..).zip(values).map(|(at, value)| (soft(*value), at));
            let first = all.next().unwrap();
            all.fold(first, better).1
        };
        assert_eq!(pick(&[1.0, 2.0, 2.0, 1.0]), 1);
        assert_eq!(pick(&[f32::NAN, -1.0, f32::NAN]), 1);
        assert_eq!(pick(&[0.0, -0.0]), 0);
    }
}
