//! Numbers of the market, each with its bounds and its step.

use alloc::{format, vec::Vec};

use plasma_proto::plasma::market::v1::{MsgUpdateParams, MsgUpdateParamsResponse, Params, Split};

use super::{
    Error,
    msg::ASKS_MAX,
    state::{self, PARAMS},
};
use crate::{
    BPS, Ctx,
    params::{self, BLOCKS_MAX, Param, SECONDS_MAX, Step, UXPL_MAX, bounded, update_params, whole},
};

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

/// Most bytes of a field of a job.
const BYTES_MAX: u128 = 1 << 20;
/// Most asks that a message can hold.
const OFFERS: u128 = 256;
const _: () = assert!(ASKS_MAX == 256, "OFFERS is ASKS_MAX");
/// Basis points of the whole.
const WHOLE_BPS: u128 = 10_000;

bounded! {
    fn table(Params) {
        bond_min_uxpl: whole, 1, UXPL_MAX, Step::twice_or(1_000_000);
        // At least one: a locked bond tells that a job is under way.
        job_bond_bps: whole, 1, 100_000, Step::twice_or(1_000);
        unbond_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(100);
        unbond_s: whole, 0, SECONDS_MAX, Step::twice_or(600);
        withdrawals_max: whole, 1, 1_000, Step::twice_or(4);
        offers_max: whole, 1, OFFERS, Step::twice_or(8);
        slots_max: whole, 1, 1_000_000, Step::twice_or(16);
        min_charge_uxpl: whole, 1, UXPL_MAX, Step::twice_or(10);
        duty_fee_max_uxpl: whole, 0, UXPL_MAX, Step::twice_or(1_000);
        input_bytes_max: whole, 1, BYTES_MAX, Step::twice_or(1_024);
        output_bytes_max: whole, 64, BYTES_MAX, Step::twice_or(1_024);
        max_tokens_max: whole, 1, BYTES_MAX, Step::twice_or(256);
        stops_max: whole, 0, 64, Step::twice_or(2);
        stop_bytes_max: whole, 1, 1_024, Step::twice_or(16);
        assign_timeout_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        assign_timeout_s: whole, 0, SECONDS_MAX, Step::twice_or(30);
        deadline_max_s: whole, 1, SECONDS_MAX, Step::twice_or(600);
        dispute_window_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(10);
        dispute_window_s: whole, 0, SECONDS_MAX, Step::twice_or(60);
        output_keep_blocks: whole, 1, BLOCKS_MAX, Step::twice_or(100);
        attempts_max: whole, 1, 16, Step::by(1);
        matches_per_block_max: whole, 1, 10_000, Step::twice_or(16);
        candidates_max: whole, 1, 1_000, Step::twice_or(8);
        timers_per_block_max: whole, 1, 100_000, Step::twice_or(64);
        draw_among: whole, 1, 100, Step::twice_or(1);
        latency_reference_ms: whole, 1, 1_000 * 86_400, Step::twice_or(1_000);
        royalty_bps_max: whole, 0, 5_000, Step::by(250);
        manifest_bytes_max: whole, 256, BYTES_MAX, Step::twice_or(1_024);
        manifest_files_max: whole, 1, 10_000, Step::twice_or(16);
    }
    apart { split }
}

bounded! {
    fn split_table(Split) {
        provider_bps: whole, 0, WHOLE_BPS, Step::by(500);
        burn_bps: whole, 0, WHOLE_BPS, Step::by(250);
        stakers_bps: whole, 0, WHOLE_BPS, Step::by(250);
        royalty_bps: whole, 0, WHOLE_BPS, Step::by(250);
        referral_bps: whole, 0, WHOLE_BPS, Step::by(250);
        community_bps: whole, 0, WHOLE_BPS, Step::by(250);
    }
}

update_params!(MsgUpdateParams, Params);

/// Each number, those of the split last.
fn rows(params: &Params) -> Result<Vec<Param>, Error> {
    let split = params.split.as_ref();
    let split = split.ok_or_else(|| Error::BadParams("the split is missing".into()))?;
    Ok([table(params), split_table(split)].concat())
}

/// Every number is within its bounds, and the split is whole.
pub fn validate(params: &Params) -> Result<(), Error> {
    params::check_bounds(&rows(params)?)?;
    let Some(Split {
        provider_bps,
        burn_bps,
        stakers_bps,
        royalty_bps,
        referral_bps,
        community_bps,
    }) = params.split
    else {
        return Err(Error::BadParams("the split is missing".into()));
    };
    let parts = [provider_bps, burn_bps, stakers_bps, royalty_bps, referral_bps, community_bps];
    let whole: u64 = parts.into_iter().map(u64::from).fold(0, u64::saturating_add);
    if whole != u64::from(BPS) {
        return Err(Error::BadParams(format!("the split sums to {whole}, it must be {BPS}")));
    }
    // A royalty above its own share comes from the provider's, which must hold it.
    if params.royalty_bps_max > royalty_bps.saturating_add(provider_bps) {
        return Err(Error::BadParams("royalty_bps_max is above what the split can pay".into()));
    }
    Ok(())
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. A job keeps those that it opened
/// with, a withdrawal its dates.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, Error> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (rows(&state::params(ctx.store))?, rows(&new)?);
    validate(&new)?;
    params::change(ctx, "market", [&old, &rows], |ctx| PARAMS.set(ctx.store, &new))?;
    Ok(MsgUpdateParamsResponse {})
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
            let error = validate(&bad).unwrap_err();
            assert!(matches!(error, Error::BadParams(_) | Error::Params(_)), "{bad:?}");
        }
    }
}
