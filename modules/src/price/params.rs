//! Numbers of the price record, each with its bounds.

use alloc::format;

use plasma_proto::plasma::price::v1::Params;

use super::Error;
use crate::{BPS, market::PRICE_UXPL_PER_MTOK_MAX};

/// What a new chain starts with.
pub fn default_params() -> Params {
    Params {
        interval_s: 60,
        use_high_bps: 6_000,
        use_low_bps: 4_000,
        step_bps: 500,
        floor_uxpl_per_mtok: 100,
        clamp_low_bps: 7_700,
        clamp_high_bps: 13_000,
        payer_max_bps: 1_000,
        provider_max_bps: 1_500,
        providers_min: 5,
        fresh_unit_bps: 2_500,
        cached_unit_bps: 500,
        output_unit_bps: 10_000,
        providers_per_hour_max: 128,
        hours_kept: 720,
        reads_per_block_max: 4_096,
    }
}

/// Every number is within its bounds.
pub fn validate(params: &Params) -> Result<(), Error> {
    let Params {
        interval_s,
        use_high_bps,
        use_low_bps,
        step_bps,
        floor_uxpl_per_mtok,
        clamp_low_bps,
        clamp_high_bps,
        payer_max_bps,
        provider_max_bps,
        providers_min,
        fresh_unit_bps,
        cached_unit_bps,
        output_unit_bps,
        providers_per_hour_max,
        hours_kept,
        reads_per_block_max,
    } = *params;
    let whole = u64::from(BPS);
    let bounds: [(&str, u64, u64, u64); 16] = [
        ("interval_s", interval_s, 10, 3_600),
        ("use_high_bps", use_high_bps.into(), use_low_bps.into(), whole),
        ("use_low_bps", use_low_bps.into(), 0, whole),
        ("step_bps", step_bps.into(), 1, 2_000),
        ("floor_uxpl_per_mtok", floor_uxpl_per_mtok, 1, PRICE_UXPL_PER_MTOK_MAX),
        ("clamp_low_bps", clamp_low_bps.into(), 5_000, whole),
        ("clamp_high_bps", clamp_high_bps.into(), whole, 20_000),
        ("payer_max_bps", payer_max_bps.into(), 100, whole),
        ("provider_max_bps", provider_max_bps.into(), 100, whole),
        ("providers_min", providers_min.into(), 1, 100),
        ("fresh_unit_bps", fresh_unit_bps.into(), 0, 100_000),
        ("cached_unit_bps", cached_unit_bps.into(), 0, 100_000),
        // At least one: every answer has units.
        ("output_unit_bps", output_unit_bps.into(), 1, 100_000),
        ("providers_per_hour_max", providers_per_hour_max.into(), 8, 512),
        // More than an index needs, so that nothing is forgotten while it counts.
        ("hours_kept", hours_kept.into(), 72, 24 * 366),
        ("reads_per_block_max", reads_per_block_max.into(), 64, 1_000_000),
    ];
    for (name, value, min, max) in bounds {
        if !(min..=max).contains(&value) {
            return Err(Error::BadParams(format!("{name} is {value}, it must be {min} to {max}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_within_bounds_and_each_bound_holds() {
        let good = default_params();
        validate(&good).unwrap();
        for bad in [
            Params { interval_s: 9, ..good },
            Params { use_high_bps: 3_999, ..good },
            Params { use_high_bps: 10_001, ..good },
            Params { step_bps: 0, ..good },
            Params { floor_uxpl_per_mtok: 0, ..good },
            Params { clamp_low_bps: 10_001, ..good },
            Params { clamp_high_bps: 9_999, ..good },
            Params { payer_max_bps: 0, ..good },
            Params { provider_max_bps: 0, ..good },
            Params { providers_min: 0, ..good },
            Params { output_unit_bps: 0, ..good },
            Params { providers_per_hour_max: 0, ..good },
            Params { hours_kept: 24, ..good },
            Params { reads_per_block_max: 0, ..good },
        ] {
            assert!(matches!(validate(&bad), Err(Error::BadParams(_))), "{bad:?}");
        }
    }
}
