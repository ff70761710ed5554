//! Numbers of audits, each with its bounds and its step.

use alloc::{format, vec::Vec};

use plasma_proto::plasma::attestation::v1::{AuditParams, Profile};

use super::msg::LEAVES_SHOWN_MAX;
use crate::params::{BLOCKS_MAX, Param, ParamError, SECONDS_MAX, Step, UXPL_MAX, bounded, whole};

const XPL: u64 = 1_000_000;

/// What a new chain starts with.
pub fn default_params() -> AuditParams {
    AuditParams {
        rate_min_bps: 1_000,
        decay_uxpl: 500 * XPL,
        detection_bps: 9_000,
        kappa_bps: 16_000,
        slash_min_uxpl: 20 * XPL,
        payer_bps: 1_000,
        jury: 7,
        threshold: 5,
        appeal_jury: 13,
        appeal_threshold: 9,
        pool_min: 21,
        pool_max: 128,
        leaves: 4,
        seat_min_uxpl: 10 * XPL,
        silent_bps: 1_000,
        wrong_bps: 5_000,
        reveal_blocks: 100,
        reveal_s: 600,
        commit_blocks: 200,
        commit_s: 1_200,
        verdict_blocks: 50,
        verdict_s: 300,
        appeal_blocks: 200,
        appeal_s: 3_600,
        fee_bps: 500,
        duty_fee_max_uxpl: 20_000,
        dispute_bond_uxpl: 10 * XPL,
        appeal_bond_uxpl: 50 * XPL,
        steps_per_block_max: 64,
        profile_floor: Some(Profile {
            exponent_mismatches_max: 2,
            mantissa_mean_centi_max: 50,
            mantissa_median_max: 1,
            projection_ppm_max: 2_000,
            margin_ppm_max: 1_000,
            tokens_per_outlier: 32,
        }),
        profile_ceiling: Some(Profile {
            exponent_mismatches_max: 20,
            mantissa_mean_centi_max: 400,
            mantissa_median_max: 4,
            projection_ppm_max: 60_000,
            margin_ppm_max: 60_000,
            tokens_per_outlier: 4_096,
        }),
        drift_honest_bps: 7_500,
        drift_false_bps: 9_000,
        drift_noise_bps: 1_000,
        // ln(10^9): one false conviction in a thousand million audits at most.
        drift_limit_milli: 20_723,
        drift_tokens_min: 32,
        answer_near_ppm: 200_000,
        drift_margin_bps: 2_000,
    }
}

/// Basis points of the whole.
const WHOLE_BPS: u128 = 10_000;
/// Most seats of a jury, and operators of a pool: a block reads so many for each draw.
const SEATS_MAX: u128 = 64;
const POOL_MAX: u128 = 1_000;
/// Operators that the draws of one block look at, at most: each is read, with its bond. Up to three times, where few have the bond
/// that is asked for.
const LOOKED_AT_MAX: u64 = 32_768;
/// Leaves that one message shows, but for the prompt's.
const LEAVES_MAX: u128 = 32;
const _: () = assert!(LEAVES_SHOWN_MAX == 33, "LEAVES_MAX and the prompt's");
const NUMBER_MAX: u128 = 10_000_000;

bounded! {
    fn table(AuditParams) {
        // At least a percent: the formulas divide by it.
        rate_min_bps: whole, 100, WHOLE_BPS, Step::by(500);
        decay_uxpl: whole, 1, UXPL_MAX, Step::twice_or(1_000_000);
        detection_bps: whole, 1_000, WHOLE_BPS, Step::by(500);
        kappa_bps: whole, 10_000, 100_000, Step::by(5_000);
        slash_min_uxpl: whole, 1, UXPL_MAX, Step::twice_or(1_000_000);
        payer_bps: whole, 1, WHOLE_BPS, Step::by(500);
        jury: whole, 1, SEATS_MAX, Step::by(2);
        threshold: whole, 1, SEATS_MAX, Step::by(2);
        appeal_jury: whole, 1, SEATS_MAX, Step::by(4);
        appeal_threshold: whole, 1, SEATS_MAX, Step::by(4);
        pool_min: whole, 1, POOL_MAX, Step::by(10);
        pool_max: whole, 1, POOL_MAX, Step::twice_or(10);
        leaves: whole, 0, LEAVES_MAX, Step::by(4);
        seat_min_uxpl: whole, 1, UXPL_MAX, Step::twice_or(1_000_000);
        silent_bps: whole, 0, WHOLE_BPS, Step::by(500);
        wrong_bps: whole, 0, WHOLE_BPS, Step::by(1_000);
        reveal_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        reveal_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        commit_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        commit_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        verdict_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        verdict_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        appeal_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        appeal_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        fee_bps: whole, 0, 5_000, Step::by(500);
        duty_fee_max_uxpl: whole, 0, UXPL_MAX, Step::twice_or(1_000);
        dispute_bond_uxpl: whole, 1, UXPL_MAX, Step::twice_or(1_000_000);
        appeal_bond_uxpl: whole, 1, UXPL_MAX, Step::twice_or(1_000_000);
        steps_per_block_max: whole, 1, 10_000, Step::twice_or(16);
        drift_honest_bps: whole, 1, WHOLE_BPS, Step::by(500);
        drift_false_bps: whole, 1, WHOLE_BPS, Step::by(500);
        drift_noise_bps: whole, 100, WHOLE_BPS, Step::by(250);
        // From one false conviction in ten thousand audits.
        drift_limit_milli: whole, 9_210, 100_000, Step::by(5_000);
        drift_tokens_min: whole, 1, NUMBER_MAX, Step::twice_or(16);
        answer_near_ppm: whole, 50_000, 1_000_000, Step::by(50_000);
        drift_margin_bps: whole, 100, WHOLE_BPS, Step::by(250);
    }
    apart { profile_floor, profile_ceiling }
}

bounded! {
    fn profile_table(Profile) {
        exponent_mismatches_max: whole, 0, 128, Step::by(4);
        mantissa_mean_centi_max: whole, 0, 12_800, Step::twice_or(50);
        mantissa_median_max: whole, 0, 128, Step::by(1);
        projection_ppm_max: whole, 0, NUMBER_MAX, Step::twice_or(5_000);
        margin_ppm_max: whole, 0, NUMBER_MAX, Step::twice_or(5_000);
        tokens_per_outlier: whole, 1, NUMBER_MAX, Step::twice_or(64);
    }
}

/// Each number, those of the profiles' bounds last.
pub(in crate::attestation) fn rows(params: &AuditParams) -> Result<Vec<Param>, ParamError> {
    let missing = || ParamError::Apart("the bounds of profiles are missing".into());
    let floor = params.profile_floor.as_ref().ok_or_else(missing)?;
    let ceiling = params.profile_ceiling.as_ref().ok_or_else(missing)?;
    Ok([table(params), profile_table(floor), profile_table(ceiling)].concat())
}

/// Numbers that must go together: a threshold is more than half of its jury, so that no two outcomes
/// have it, a verified model's pool fills a jury whoever of it may not judge, and the draws of a block end
/// in time whatever waits for them.
pub(in crate::attestation) fn check_together(params: &AuditParams) -> Result<(), ParamError> {
    let AuditParams { jury, threshold, appeal_jury, appeal_threshold, pool_min, pool_max, .. } =
        *params;
    for (name, jury, threshold) in
        [("", jury, threshold), ("appeal_", appeal_jury, appeal_threshold)]
    {
        if threshold > jury || threshold <= jury / 2 {
            return Err(ParamError::Apart(format!(
                "{name}threshold is {threshold}, it must be more than half of {name}jury of {jury}, and at most that"
            )));
        }
    }
    if pool_min < jury || pool_max < pool_min {
        return Err(ParamError::Apart(format!(
            "a jury of {jury}, pool_min of {pool_min} and pool_max of {pool_max} must not fall"
        )));
    }
    let steps = params.steps_per_block_max;
    let looked_at = u64::from(steps).saturating_mul(pool_max.into());
    if looked_at > LOOKED_AT_MAX {
        return Err(ParamError::Apart(format!(
            "{steps} steps of a block look at pools of {pool_max}: {looked_at} operators, more than {LOOKED_AT_MAX}"
        )));
    }
    if params.drift_false_bps <= params.drift_honest_bps {
        return Err(ParamError::Apart(format!(
            "drift_false_bps is {}, it must be above drift_honest_bps of {}",
            params.drift_false_bps, params.drift_honest_bps
        )));
    }
    if appeal_jury < jury {
        return Err(ParamError::Apart(format!(
            "appeal_jury is {appeal_jury}, smaller than jury of {jury}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::check_bounds;

    fn check(params: &AuditParams) -> Result<(), ParamError> {
        check_bounds(&rows(params)?)?;
        check_together(params)
    }

    #[test]
    fn the_default_is_within_bounds_and_each_bound_holds() {
        let good = default_params();
        check(&good).unwrap();
        check(&AuditParams { pool_max: 512, ..good }).unwrap();
        check(&AuditParams { steps_per_block_max: 256, ..good }).unwrap();
        for bad in [
            AuditParams { rate_min_bps: 99, ..good },
            AuditParams { threshold: 3, ..good },
            AuditParams { threshold: 8, ..good },
            AuditParams { appeal_threshold: 6, ..good },
            AuditParams { appeal_jury: 5, appeal_threshold: 3, ..good },
            AuditParams { pool_min: 6, ..good },
            AuditParams { pool_max: 20, ..good },
            AuditParams { pool_max: 513, ..good },
            AuditParams { steps_per_block_max: 257, ..good },
            AuditParams { leaves: 33, ..good },
            AuditParams { drift_noise_bps: 99, ..good },
            AuditParams { answer_near_ppm: 49_999, ..good },
            AuditParams { drift_margin_bps: 99, ..good },
            AuditParams { drift_limit_milli: 9_209, ..good },
            AuditParams { drift_honest_bps: 9_000, ..good },
            AuditParams { profile_floor: None, ..good },
            AuditParams { profile_ceiling: Some(Profile::default()), ..good },
        ] {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }
}
