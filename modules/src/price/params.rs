//! Numbers of the price record, each with its bounds and its step.

use plasma_proto::plasma::price::v1::{MsgUpdateParams, MsgUpdateParamsResponse, Params};

use super::state::{self, PARAMS};
use crate::{
    Ctx,
    market::PRICE_UXPL_PER_MTOK_MAX,
    params::{self, ParamError, Step, bounded, update_params, whole},
};

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

/// Basis points of the whole.
const WHOLE_BPS: u128 = 10_000;
/// Most units of one token, ten-thousandths.
const UNIT_BPS_MAX: u128 = 100_000;
/// Highest price, uxpl per million units.
const PRICE_MAX: u128 = 1_000_000_000_000;
const _: () = assert!(PRICE_UXPL_PER_MTOK_MAX == 1_000_000_000_000, "PRICE_MAX is that of an ask");

bounded! {
    fn table(Params) {
        interval_s: whole, 10, 3_600, Step::twice_or(10);
        use_high_bps: whole, 0, WHOLE_BPS, Step::by(500);
        use_low_bps: whole, 0, WHOLE_BPS, Step::by(500);
        step_bps: whole, 1, 2_000, Step::twice_or(50);
        floor_uxpl_per_mtok: whole, 1, PRICE_MAX, Step::twice_or(10);
        clamp_low_bps: whole, 5_000, WHOLE_BPS, Step::by(500);
        clamp_high_bps: whole, WHOLE_BPS, 2 * WHOLE_BPS, Step::by(500);
        payer_max_bps: whole, 100, WHOLE_BPS, Step::by(250);
        provider_max_bps: whole, 100, WHOLE_BPS, Step::by(250);
        providers_min: whole, 1, 100, Step::by(2);
        fresh_unit_bps: whole, 0, UNIT_BPS_MAX, Step::twice_or(250);
        cached_unit_bps: whole, 0, UNIT_BPS_MAX, Step::twice_or(100);
        // At least one: every answer has units.
        output_unit_bps: whole, 1, UNIT_BPS_MAX, Step::twice_or(250);
        providers_per_hour_max: whole, 8, 512, Step::twice_or(8);
        // More than an index needs, so that nothing is forgotten while it counts.
        hours_kept: whole, 72, 24 * 366, Step::twice_or(24);
        reads_per_block_max: whole, 64, 1_000_000, Step::twice_or(64);
    }
}

update_params!(MsgUpdateParams, Params);

/// Every number is within its bounds, and the use from which a price rises is not below the one
/// under which it falls.
pub fn validate(params: &Params) -> Result<(), ParamError> {
    params::check_bounds(&table(params))?;
    if params.use_high_bps < params.use_low_bps {
        return Err(ParamError::Apart("use_high_bps is below use_low_bps".into()));
    }
    Ok(())
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. What was counted and closed stays
/// as it is; prices follow with their next step, hours with their closing.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, ParamError> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (table(&state::params(ctx.store)), table(&new));
    validate(&new)?;
    params::change(ctx, "price", [&old, &rows], |ctx| PARAMS.set(ctx.store, &new))?;
    Ok(MsgUpdateParamsResponse {})
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
            validate(&bad).expect_err("out of bounds");
        }
    }
}
