//! Numbers of the rewards, each with its bounds and its step.

use plasma_proto::plasma::reward::v1::{MsgUpdateParams, MsgUpdateParamsResponse, Params};

use super::{
    Error,
    emission::begin,
    standby,
    state::{self, PARAMS},
};
use crate::{
    Ctx,
    params::{self, ParamError, Step, UXPL_MAX, bounded, update_params, whole},
};

const XPL: u64 = 1_000_000;

/// What a new chain starts with. Together at most 55 million XPL are ever made: five times what the
/// first year has of each.
pub fn default_params() -> Params {
    Params {
        epoch_s: 3_600,
        eta_bps: 8_000,
        emission_yearly_uxpl: 10_000_000 * XPL,
        standby_yearly_uxpl: 1_000_000 * XPL,
        decline_bps: 2_000,
        standby_slot_yearly_uxpl: 365 * XPL,
        payouts_per_block_max: 512,
        expiries_per_block_max: 512,
        epochs_kept: 720,
    }
}

bounded! {
    fn table(Params) {
        epoch_s: whole, 60, 7 * 86_400, Step::twice_or(60);
        // Below the whole: whoever pays himself must lose what is burned, but for what it was made for.
        eta_bps: whole, 0, 9_500, Step::by(500);
        emission_yearly_uxpl: whole, 0, UXPL_MAX, Step::twice_or(1_000_000);
        standby_yearly_uxpl: whole, 0, UXPL_MAX, Step::twice_or(1_000_000);
        // Above zero: what is ever made has an end.
        decline_bps: whole, 100, 10_000, Step::by(500);
        standby_slot_yearly_uxpl: whole, 0, UXPL_MAX, Step::twice_or(1_000_000);
        payouts_per_block_max: whole, 1, 10_000, Step::twice_or(64);
        expiries_per_block_max: whole, 1, 10_000, Step::twice_or(64);
        epochs_kept: whole, 1, 10_000, Step::twice_or(24);
    }
}

update_params!(MsgUpdateParams, Params);

/// Every number is within its bounds.
pub fn validate(params: &Params) -> Result<(), ParamError> {
    params::check_bounds(&table(params))
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. The pay for standing by is counted
/// up to now by the old ones first; the epoch under way ends by the new ones.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, Error> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (table(&state::params(ctx.store)), table(&new));
    validate(&new)?;
    begin(ctx);
    standby::expire(ctx);
    if standby::is_due(ctx.store, ctx.block.time_s) {
        return Err(Error::Behind);
    }
    params::change(ctx, "reward", [&old, &rows], |ctx| PARAMS.set(ctx.store, &new))?;
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
            Params { epoch_s: 59, ..good },
            Params { eta_bps: 9_501, ..good },
            Params { emission_yearly_uxpl: u64::MAX, ..good },
            Params { standby_yearly_uxpl: u64::MAX, ..good },
            Params { decline_bps: 0, ..good },
            Params { decline_bps: 10_001, ..good },
            Params { standby_slot_yearly_uxpl: u64::MAX, ..good },
            Params { payouts_per_block_max: 0, ..good },
            Params { expiries_per_block_max: 0, ..good },
            Params { epochs_kept: 0, ..good },
        ] {
            assert!(matches!(validate(&bad), Err(ParamError::OutOfBounds { .. })), "{bad:?}");
        }
    }
}
