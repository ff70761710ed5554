//! What is still honest for a model, and whether measures are within it.

use plasma_proto::plasma::attestation::v1::{AuditParams, Measures, Profile};
use prost::Message;

use crate::types::{Hash, digest};

/// What is still honest for a small model in bf16, f16 or f32, until its own profile is calibrated.
pub const DEFAULT_PROFILE: Profile = Profile {
    exponent_mismatches_max: 14,
    mantissa_mean_centi_max: 250,
    mantissa_median_max: 2,
    projection_ppm_max: 30_000,
    margin_ppm_max: 20_000,
    tokens_per_outlier: 256,
};

/// The name of a model's profile.
pub fn profile_hash(model_id: &Hash, profile: &Profile) -> Hash {
    digest(&[b"xpl/profile/v1", model_id, &profile.encode_to_vec()])
}

/// Measure A within a profile.
pub fn fingerprint_holds(measures: &Measures, profile: &Profile) -> bool {
    measures.exponent_mismatches <= profile.exponent_mismatches_max
        && measures.mantissa_mean_centi <= profile.mantissa_mean_centi_max
        && measures.mantissa_median <= profile.mantissa_median_max
}

/// Measure B within a profile.
pub fn projection_holds(measures: &Measures, profile: &Profile) -> bool {
    measures.projection_ppm <= profile.projection_ppm_max
}

/// How many tokens of an output may be far off: of a long one more than of a short one.
pub fn outliers_max(measures: &Measures, profile: &Profile) -> u32 {
    measures.tokens.div_ceil(profile.tokens_per_outlier.max(1))
}

/// Measure C within a profile.
pub fn tokens_hold(measures: &Measures, profile: &Profile) -> bool {
    measures.margin_ppm <= profile.margin_ppm_max
        && measures.outliers <= outliers_max(measures, profile)
}

/// Whether measures are those of honest work: every one is within the profile, and the output ends as it
/// says.
pub fn within(measures: &Measures, profile: &Profile) -> bool {
    fingerprint_holds(measures, profile)
        && projection_holds(measures, profile)
        && tokens_hold(measures, profile)
        && measures.is_ended_well
}

/// Whether a verdict by these measures is one that no honest kernel sees otherwise: a pass, if every measure is further within the
/// profile than kernels differ; a fail, if one is further beyond it, or if the measures are within, for then something else
/// is false that all see alike. Kernels differ by a quarter of each number, by one of what is counted.
pub fn is_plain(measures: &Measures, profile: &Profile, pass: bool) -> bool {
    let outliers = measures.outliers;
    if pass {
        let nearer = moved(profile, |value, by| value.saturating_sub(by));
        return within(&Measures { outliers: outliers.saturating_add(1), ..*measures }, &nearer);
    }
    let wider = moved(profile, u32::saturating_add);
    // Whether the end token was near enough is seen by each kernel, too. A claim that no model can read has no tokens.
    let seen = Measures { outliers: outliers.saturating_sub(1), is_ended_well: true, ..*measures };
    measures.tokens == 0 || within(measures, profile) || !within(&seen, &wider)
}

/// The profile with each edge moved by a quarter, at least by one.
fn moved(profile: &Profile, to: impl Fn(u32, u32) -> u32) -> Profile {
    let edge = |value: u32| to(value, (value / 4).max(1));
    Profile {
        exponent_mismatches_max: edge(profile.exponent_mismatches_max),
        mantissa_mean_centi_max: edge(profile.mantissa_mean_centi_max),
        mantissa_median_max: edge(profile.mantissa_median_max),
        projection_ppm_max: edge(profile.projection_ppm_max),
        margin_ppm_max: edge(profile.margin_ppm_max),
        tokens_per_outlier: profile.tokens_per_outlier,
    }
}

/// Each number of a profile with its name.
pub fn fields(profile: &Profile) -> [(&'static str, u32); 6] {
    let Profile {
        exponent_mismatches_max,
        mantissa_mean_centi_max,
        mantissa_median_max,
        projection_ppm_max,
        margin_ppm_max,
        tokens_per_outlier,
    } = *profile;
    [
        ("exponent_mismatches_max", exponent_mismatches_max),
        ("mantissa_mean_centi_max", mantissa_mean_centi_max),
        ("mantissa_median_max", mantissa_median_max),
        ("projection_ppm_max", projection_ppm_max),
        ("margin_ppm_max", margin_ppm_max),
        ("tokens_per_outlier", tokens_per_outlier),
    ]
}

/// Between what a profile's numbers must lie: the least and the most of each.
pub fn bounds(numbers: &AuditParams) -> (Profile, Profile) {
    (numbers.profile_floor.unwrap_or_default(), numbers.profile_ceiling.unwrap_or_default())
}

/// The first number of a profile that is below `floor` or above `ceiling`, with what it is and may be.
pub fn outside(
    profile: &Profile,
    floor: &Profile,
    ceiling: &Profile,
) -> Option<(&'static str, u32, u32, u32)> {
    let bounds = fields(floor).into_iter().zip(fields(ceiling));
    let found = fields(profile).into_iter().zip(bounds);
    found
        .map(|((name, value), ((_, least), (_, most)))| (name, value, least, most))
        .find(|(_, value, least, most)| value < least || value > most)
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_PROFILE as PROFILE, *};
    use crate::types::hex;

    #[test]
    fn each_measure_must_be_within() {
        let good = Measures {
            exponent_mismatches: 14,
            mantissa_mean_centi: 250,
            mantissa_median: 2,
            projection_ppm: 30_000,
            margin_ppm: 20_000,
            outliers: 1,
            tokens: 40,
            is_ended_well: true,
        };
        assert!(within(&good, &PROFILE));
        for bad in [
            Measures { exponent_mismatches: 15, ..good },
            Measures { mantissa_mean_centi: 251, ..good },
            Measures { mantissa_median: 3, ..good },
            Measures { projection_ppm: 30_001, ..good },
            Measures { margin_ppm: 20_001, ..good },
            Measures { outliers: 2, ..good },
            Measures { is_ended_well: false, ..good },
        ] {
            assert!(!within(&bad, &PROFILE), "{bad:?}");
        }
    }

    /// Each verdict at the last measures that kernels may see otherwise, and at the first that none does.
    #[test]
    fn near_the_edge_is_a_quarter_and_one_of_what_is_counted() {
        let good = Measures { tokens: 40, is_ended_well: true, ..Measures::default() };
        let plain = |pass, change: &dyn Fn(&mut Measures)| {
            let mut measures = good;
            change(&mut measures);
            is_plain(&measures, &PROFILE, pass)
        };
        assert!(plain(true, &|m| m.projection_ppm = 22_500));
        assert!(!plain(true, &|m| m.projection_ppm = 22_501));
        assert!(
            plain(true, &|m| m.mantissa_median = 1) && !plain(true, &|m| m.mantissa_median = 2)
        );
        assert!(plain(true, &|_| ()) && !plain(true, &|m| m.outliers = 1));
        assert!(!plain(false, &|m| m.projection_ppm = 37_500));
        assert!(plain(false, &|m| m.projection_ppm = 37_501));
        assert!(
            !plain(false, &|m| m.mantissa_median = 3) && plain(false, &|m| m.mantissa_median = 4)
        );
        assert!(!plain(false, &|m| m.outliers = 2) && plain(false, &|m| m.outliers = 3));
        assert!(!plain(false, &|m| m.is_ended_well = false), "an end token that was nearly near");
        assert!(plain(false, &|m| *m = Measures::default()), "unreadable");
        assert!(plain(false, &|_| ()), "false by what is no measure");
    }

    #[test]
    fn bounds_hold_for_each_number() {
        let wider = Profile { projection_ppm_max: 30_001, ..PROFILE };
        assert_eq!(outside(&PROFILE, &PROFILE, &PROFILE), None);
        let found = Some(("projection_ppm_max", 30_001, 30_000, 30_000));
        assert_eq!(outside(&wider, &PROFILE, &PROFILE), found);
        assert!(outside(&PROFILE, &wider, &wider).is_some());
        assert_ne!(profile_hash(&[1; 32], &PROFILE), profile_hash(&[2; 32], &PROFILE));
        assert_ne!(profile_hash(&[1; 32], &PROFILE), profile_hash(&[1; 32], &wider));
    }

    /// sha256 of (0000000e "xpl/profile/v1", 00000020 model id, 00000012 the profile's 18 bytes), computed apart.
    #[test]
    fn the_name_of_a_profile_is_golden() {
        assert_eq!(hex(&PROFILE.encode_to_vec()), "080e10fa01180220b0ea0128a09c01308002");
        assert_eq!(
            hex(&profile_hash(&[1; 32], &PROFILE)),
            "33900bc419766a2d800d006539cec2b4bf8ba142a5373bb3126148a13e529f36"
        );
    }
}
