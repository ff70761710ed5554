//! The measures, from what a provider shows and what was computed here.

use plasma_modules::attestation::audit::drift::{MARGIN_CLIP_MILLI, MARGIN_TOKENS_MIN};
use plasma_modules::attestation::{FINGERPRINT_POINTS, Leaf};
use plasma_modules::types::Hash;
use plasma_proto::plasma::attestation::v1::Measures;

use crate::engine::{EngineError, Sampler};
use crate::evidence::{Binding, Segment, Segments, Signs, distance_ppm};

/// A token's margin counts at most this much, logits.
const MARGIN_CLIP: f64 = MARGIN_CLIP_MILLI as f64 / 1e3;
/// A margin above this is an outlier, logits.
const OUTLIER_MARGIN: f64 = 3.0;
/// An end token further from winning than this was not drawn, logits.
const END_MARGIN: f64 = 1.0;
/// Bits of a bf16's mantissa.
const MANTISSA_BITS: u32 = 7;
const MANTISSA: u16 = (1 << MANTISSA_BITS) - 1;

/// Measures A and B of one segment, as in [`Measures`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SegmentMeasures {
    /// Activations with another sign or exponent.
    pub exponent_mismatches: u32,
    /// Mean difference of the other mantissas, hundredths.
    pub mantissa_mean_centi: u32,
    /// Median of these differences.
    pub mantissa_median: u32,
    /// Distance of the projections, millionths.
    pub projection_ppm: u32,
}

/// A and B of every segment. Both have as many.
pub fn segments(leaves: &[Leaf], own: &Segments, binding: &Binding<'_>) -> Vec<SegmentMeasures> {
    let seed = binding.seed(leaves.iter().map(|leaf| &leaf.fingerprint));
    let signs = Signs::new(&seed, own.width);
    leaves.iter().zip(&own.all).map(|(leaf, own)| segment(leaf, own, &signs)).collect()
}

/// A and B of some segments, whose leaves were drawn; the projections of all come from `seed`.
pub fn drawn(leaves: &[(u32, Leaf)], own: &Segments, seed: &Hash) -> Vec<SegmentMeasures> {
    let signs = Signs::new(seed, own.width);
    let of = |(index, leaf): &(u32, Leaf)| {
        let own = own.all.get(usize::try_from(*index).ok()?)?;
        Some(segment(leaf, own, &signs))
    };
    leaves.iter().filter_map(of).collect()
}

fn segment(leaf: &Leaf, own: &Segment, signs: &Signs) -> SegmentMeasures {
    let mut exponent_mismatches = 0;
    let mut differences = Vec::with_capacity(FINGERPRINT_POINTS);
    for point in &own.points {
        let claimed = leaf.fingerprint.at(point.index);
        if claimed >> MANTISSA_BITS == point.bits >> MANTISSA_BITS {
            let difference = (claimed & MANTISSA).abs_diff(point.bits & MANTISSA);
            differences.push(u32::from(difference));
        } else {
            exponent_mismatches += 1;
        }
    }
    differences.sort_unstable();
    let count = u32::try_from(differences.len()).unwrap_or(u32::MAX);
    // Nothing to compare is as far apart as can be.
    let furthest = u32::from(MANTISSA);
    let mean = (differences.iter().sum::<u32>() * 100).checked_div(count);
    SegmentMeasures {
        exponent_mismatches,
        mantissa_mean_centi: mean.unwrap_or(furthest * 100),
        mantissa_median: differences.get(differences.len() / 2).copied().unwrap_or(furthest),
        projection_ppm: distance_ppm(&leaf.projections, &own.project(signs)),
    }
}

/// Takes the worst of the segments into the measures of the whole.
pub fn worst(measures: &mut Measures, segments: &[SegmentMeasures]) {
    for segment in segments {
        let SegmentMeasures {
            exponent_mismatches,
            mantissa_mean_centi,
            mantissa_median,
            projection_ppm,
        } = *segment;
        measures.exponent_mismatches = measures.exponent_mismatches.max(exponent_mismatches);
        measures.mantissa_mean_centi = measures.mantissa_mean_centi.max(mantissa_mean_centi);
        measures.mantissa_median = measures.mantissa_median.max(mantissa_median);
        measures.projection_ppm = measures.projection_ppm.max(projection_ppm);
    }
}

/// Measure C, token by token.
#[derive(Debug, Default)]
pub struct Draws {
    pub matching: usize,
    pub first_mismatch: Option<usize>,
    tokens: u32,
    outliers: u32,
    clipped: f64,
    /// Of the last token.
    last: f64,
}

impl Draws {
    pub fn add(
        &mut self,
        sampler: &Sampler,
        logits: &[f32],
        position: usize,
        claimed: u32,
    ) -> Result<(), EngineError> {
        let place = position as u64;
        let winner = sampler.choose(logits, place)?;
        let margin = if winner == claimed {
            self.matching += 1;
            0.0
        } else {
            self.first_mismatch = self.first_mismatch.or(Some(position));
            sampler.margin(logits, place, claimed)?
        };
        self.outliers += u32::from(margin > OUTLIER_MARGIN);
        self.tokens += 1;
        self.clipped += margin.min(MARGIN_CLIP);
        self.last = margin;
        Ok(())
    }

    /// Whether the last token may have won its draw elsewhere.
    pub fn last_is_near(&self) -> bool {
        self.last <= END_MARGIN
    }

    pub fn measures(&self) -> Measures {
        let mean = self.clipped / f64::from(self.tokens.max(MARGIN_TOKENS_MIN));
        Measures {
            margin_ppm: (mean * 1e6) as u32,
            outliers: self.outliers,
            tokens: self.tokens,
            ..Measures::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Binding, Recorder};

    const BINDING: Binding<'_> =
        Binding { sampling_seed: &[1; 32], request_hash: &[2; 32], output_tokens_hash: &[3; 32] };

    fn recorded(change: impl Fn(usize, f32) -> f32) -> Segments {
        let mut recorder = Recorder::new();
        let rows: Vec<f32> = (0..64 * 200).map(|i| ((i * 7919) % 1203) as f32 - 601.0).collect();
        let rows: Vec<f32> = rows.iter().enumerate().map(|(i, x)| change(i, *x)).collect();
        recorder.prompt(&rows, 200, true).unwrap();
        rows.chunks(200).for_each(|row| recorder.output(row).unwrap());
        recorder.segments()
    }

    fn measured(claimed: &Segments, own: &Segments) -> Vec<SegmentMeasures> {
        segments(&claimed.leaves(&BINDING).unwrap(), own, &BINDING)
    }

    #[test]
    fn what_is_the_same_is_no_distance_apart() {
        let own = recorded(|_, x| x);
        assert_eq!(measured(&own, &own), [SegmentMeasures::default(); 3]);
    }

    /// Every number scaled by 1 + 2^-5 moves its mantissa by 4 of 128 and its projection by a 32nd.
    #[test]
    fn distances_are_those_that_were_made() {
        let (own, other) = (recorded(|_, x| x), recorded(|_, x| x * 1.031_25));
        for segment in measured(&other, &own) {
            assert!((30_000..32_500).contains(&segment.projection_ppm), "{segment:?}");
            assert!((350..860).contains(&segment.mantissa_mean_centi), "{segment:?}");
        }
        // Other signs: nothing matches.
        let opposite = recorded(|_, x| -x);
        for segment in measured(&opposite, &own) {
            assert_eq!(segment.exponent_mismatches, 128);
            assert_eq!((segment.mantissa_mean_centi, segment.mantissa_median), (12_700, 127));
            assert_eq!(segment.projection_ppm, 2_000_000);
        }
    }

    #[test]
    fn a_short_output_is_averaged_over_more_tokens() {
        let sampler = Sampler::new(crate::engine::Sampling::GREEDY, [0; 32]).unwrap();
        let mut draws = Draws::default();
        draws.add(&sampler, &[0.0, 4.0], 0, 1).unwrap();
        draws.add(&sampler, &[0.0, 0.75], 1, 0).unwrap();
        assert_eq!((draws.matching, draws.first_mismatch), (1, Some(1)));
        let Measures { margin_ppm, outliers, tokens, .. } = draws.measures();
        assert_eq!((margin_ppm, outliers, tokens), (7_812, 0, 2));
        assert!(draws.last_is_near());
        draws.add(&sampler, &[0.0, 4.0], 2, 0).unwrap();
        assert_eq!(draws.measures().outliers, 1);
        assert!(!draws.last_is_near());
    }
}
