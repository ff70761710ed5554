//! Numbers of the market, each with its bounds.

use alloc::format;

use plasma_proto::plasma::market::v1::{Params, Split};

use super::{Error, msg::ASKS_MAX};
use crate::BPS;

const XPL: u64 = 1_000_000;
const DAY_S: u64 = 86_400;

/// What a new chain starts with.
pub fn default_params() -> Params {
    Params {
        bond_min_uxpl: 100 * XPL,
        job_bond_bps: 10_000,
        unbond_blocks: 1_000,
        unbond_s: 7 * DAY_S,
        withdrawals_max: 16,
        offers_max: 64,
        slots_max: 1_024,
        min_charge_uxpl: 10,
        duty_fee_max_uxpl: 20_000,
        input_bytes_max: 16 * 1_024,
        output_bytes_max: 32 * 1_024,
        max_tokens_max: 4_096,
        stops_max: 4,
        stop_bytes_max: 64,
        assign_timeout_blocks: 20,
        assign_timeout_s: 120,
        deadline_max_s: 3_600,
        dispute_window_blocks: 100,
        dispute_window_s: 600,
        output_keep_blocks: 10_000,
        attempts_max: 3,
        matches_per_block_max: 256,
        candidates_max: 64,
        // A job takes up to four steps, and a block may match 256.
        timers_per_block_max: 1_280,
        draw_among: 5,
        latency_reference_ms: 60_000,
        split: Some(Split {
            provider_bps: 8_500,
            burn_bps: 800,
            stakers_bps: 300,
            royalty_bps: 200,
            referral_bps: 100,
            community_bps: 100,
        }),
        royalty_bps_max: 1_000,
        manifest_bytes_max: 64 * 1_024,
        manifest_files_max: 256,
    }
}

/// Every number is within its bounds, and the split is whole.
pub fn validate(params: &Params) -> Result<(), Error> {
    let Params {
        bond_min_uxpl,
        job_bond_bps,
        unbond_blocks,
        unbond_s,
        withdrawals_max,
        offers_max,
        slots_max,
        min_charge_uxpl,
        duty_fee_max_uxpl,
        input_bytes_max,
        output_bytes_max,
        max_tokens_max,
        stops_max,
        stop_bytes_max,
        assign_timeout_blocks,
        assign_timeout_s,
        deadline_max_s,
        dispute_window_blocks,
        dispute_window_s,
        output_keep_blocks,
        attempts_max,
        matches_per_block_max,
        candidates_max,
        timers_per_block_max,
        draw_among,
        latency_reference_ms,
        split,
        royalty_bps_max,
        manifest_bytes_max,
        manifest_files_max,
    } = *params;
    let (blocks_max, seconds_max, money_max) = (100_000_000, 365 * DAY_S, 1_000_000_000 * XPL);
    let bounds: [(&str, u64, u64, u64); 29] = [
        ("bond_min_uxpl", bond_min_uxpl, 1, money_max),
        // At least one: a locked bond tells that a job is under way.
        ("job_bond_bps", job_bond_bps.into(), 1, 100_000),
        ("unbond_blocks", unbond_blocks, 1, blocks_max),
        ("unbond_s", unbond_s, 0, seconds_max),
        ("withdrawals_max", withdrawals_max.into(), 1, 1_000),
        ("offers_max", offers_max.into(), 1, u64::try_from(ASKS_MAX).unwrap_or(0)),
        ("slots_max", slots_max.into(), 1, 1_000_000),
        ("min_charge_uxpl", min_charge_uxpl, 1, money_max),
        ("duty_fee_max_uxpl", duty_fee_max_uxpl, 0, money_max),
        ("input_bytes_max", input_bytes_max.into(), 1, 1 << 20),
        ("output_bytes_max", output_bytes_max.into(), 64, 1 << 20),
        ("max_tokens_max", max_tokens_max.into(), 1, 1 << 20),
        ("stops_max", stops_max.into(), 0, 64),
        ("stop_bytes_max", stop_bytes_max.into(), 1, 1_024),
        ("assign_timeout_blocks", assign_timeout_blocks, 1, blocks_max),
        ("assign_timeout_s", assign_timeout_s, 0, seconds_max),
        ("deadline_max_s", deadline_max_s, 1, seconds_max),
        ("dispute_window_blocks", dispute_window_blocks, 1, blocks_max),
        ("dispute_window_s", dispute_window_s, 0, seconds_max),
        ("output_keep_blocks", output_keep_blocks, 1, blocks_max),
        ("attempts_max", attempts_max.into(), 1, 16),
        ("matches_per_block_max", matches_per_block_max.into(), 1, 10_000),
        ("candidates_max", candidates_max.into(), 1, 1_000),
        ("timers_per_block_max", timers_per_block_max.into(), 1, 100_000),
        ("draw_among", draw_among.into(), 1, 100),
        ("latency_reference_ms", latency_reference_ms, 1, 1_000 * DAY_S),
        ("royalty_bps_max", royalty_bps_max.into(), 0, 5_000),
        ("manifest_bytes_max", manifest_bytes_max.into(), 256, 1 << 20),
        ("manifest_files_max", manifest_files_max.into(), 1, 10_000),
    ];
    for (name, value, min, max) in bounds {
        if !(min..=max).contains(&value) {
            return Err(Error::BadParams(format!("{name} is {value}, it must be {min} to {max}")));
        }
    }
    let Some(Split {
        provider_bps,
        burn_bps,
        stakers_bps,
        royalty_bps,
        referral_bps,
        community_bps,
    }) = split
    else {
        return Err(Error::BadParams("the split is missing".into()));
    };
    let parts = [provider_bps, burn_bps, stakers_bps, royalty_bps, referral_bps, community_bps];
    let whole: u64 = parts.into_iter().map(u64::from).fold(0, u64::saturating_add);
    if whole != u64::from(BPS) {
        return Err(Error::BadParams(format!("the split sums to {whole}, it must be {BPS}")));
    }
    // A royalty above its own share comes from the provider's, which must hold it.
    if royalty_bps_max > royalty_bps.saturating_add(provider_bps) {
        return Err(Error::BadParams("royalty_bps_max is above what the split can pay".into()));
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
        let split = good.split.unwrap();
        for bad in [
            Params { bond_min_uxpl: 0, ..good },
            Params { job_bond_bps: 0, ..good },
            Params { offers_max: 1_000, ..good },
            Params { min_charge_uxpl: 0, ..good },
            Params { attempts_max: 0, ..good },
            Params { latency_reference_ms: 0, ..good },
            Params { split: None, ..good },
            Params { split: Some(Split { burn_bps: 801, ..split }), ..good },
            Params { royalty_bps_max: 5_001, ..good },
            Params {
                split: Some(Split { provider_bps: 0, burn_bps: 9_300, ..split }),
                royalty_bps_max: 201,
                ..good
            },
        ] {
            assert!(matches!(validate(&bad), Err(Error::BadParams(_))), "{bad:?}");
        }
    }
}
