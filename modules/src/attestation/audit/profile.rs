//! What is still honest for a model, and whether measures are within it.

use plasma_proto::plasma::attestation::v1::{AuditParams, Measures, Profile};
use prost::Message;

use crate::{
    BPS,
    types::{Hash, digest},
};

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

/// A profile each of whose measures may be as large as a part of what it was, rounded down.
pub fn scaled(profile: &Profile, bps: u32) -> Profile {
    let part = |value: u32| {
        let part = u64::from(value).saturating_mul(bps.into()).checked_div(BPS.into());
        part.and_then(|part| u32::try_from(part).ok()).unwrap_or(u32::MAX)
    };
    Profile {
        exponent_mismatches_max: part(profile.exponent_mismatches_max),
        mantissa_mean_centi_max: part(profile.mantissa_mean_centi_max),
        mantissa_median_max: part(profile.mantissa_median_max),
        projection_ppm_max: part(profile.projection_ppm_max),
        margin_ppm_max: part(profile.margin_ppm_max),
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
