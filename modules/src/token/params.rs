//! Numbers of fees and transfers, each with its bounds and its step.

use plasma_proto::plasma::token::v1::{MsgUpdateParams, MsgUpdateParamsResponse, Params};

use super::{Error, state::PARAMS};
use crate::{
    Ctx,
    params::{self, ParamError, Step, bounded, update_params, whole},
    rules,
};

const XPL: u128 = 1_000_000;

pub(super) const DEFAULT: Params = Params {
    base_fee_min_nuxpl_per_gas: 1_000_000,
    byte_price_nuxpl: 100_000_000,
    block_gas_max: 2_000_000_000,
    memo_bytes_max: 256,
    transfer_min_uxpl: 1,
    account_min_uxpl: 100,
    block_bytes_max: 2_097_152,
};

bounded! {
    fn table(Params) {
        base_fee_min_nuxpl_per_gas: whole, 1_000, 1_000_000_000_000, Step::twice_or(1_000);
        byte_price_nuxpl: whole, 0, 1_000_000_000_000, Step::twice_or(1_000_000);
        block_gas_max: whole, 10_000_000, 1_000_000_000_000, Step::twice_or(0);
        memo_bytes_max: whole, 0, 4_096, Step::twice_or(64);
        transfer_min_uxpl: whole, 1, XPL, Step::twice_or(10);
        account_min_uxpl: whole, 1, 1_000 * XPL, Step::twice_or(100);
        // The largest transaction fits; `rules` sees to it that the block fits into CometBFT's.
        block_bytes_max: whole, 131_072, 104_857_600, Step::twice_or(0);
    }
}

update_params!(MsgUpdateParams, Params);

/// Every number within its bounds.
pub(super) fn check(params: &Params) -> Result<(), ParamError> {
    params::check_bounds(&table(params))
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. They hold from the next
/// transaction on.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, Error> {
    let UpdateParams { params: new } = msg;
    change(ctx, &new)?;
    Ok(MsgUpdateParamsResponse {})
}

/// A block may hold as much gas from the next one on. For governance's message about consensus, in the
/// bounds and steps of this room.
pub fn set_block_gas_max(ctx: &mut Ctx<'_>, block_gas_max: u64) -> Result<(), Error> {
    let params = super::params(ctx.store);
    if params.block_gas_max == block_gas_max {
        return Ok(());
    }
    change(ctx, &Params { block_gas_max, ..params })
}

fn change(ctx: &mut Ctx<'_>, new: &Params) -> Result<(), Error> {
    let (old, rows) = (table(&super::params(ctx.store)), table(new));
    params::check_bounds(&rows)?;
    params::change(ctx, "token", [&old, &rows], |ctx| PARAMS.set(ctx.store, new))?;
    Ok(rules::check_together(ctx.store)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_within_bounds_and_each_bound_holds() {
        check(&DEFAULT).unwrap();
        for (bad, name) in [
            (Params { base_fee_min_nuxpl_per_gas: 999, ..DEFAULT }, "base_fee_min_nuxpl_per_gas"),
            (Params { byte_price_nuxpl: 1_000_000_000_001, ..DEFAULT }, "byte_price_nuxpl"),
            (Params { block_gas_max: 9_999_999, ..DEFAULT }, "block_gas_max"),
            (Params { memo_bytes_max: 4_097, ..DEFAULT }, "memo_bytes_max"),
            (Params { transfer_min_uxpl: 0, ..DEFAULT }, "transfer_min_uxpl"),
            (Params { account_min_uxpl: 0, ..DEFAULT }, "account_min_uxpl"),
        ] {
            let error = check(&bad).unwrap_err();
            assert!(
                matches!(error, ParamError::OutOfBounds { name: n, .. } if n == name),
                "{bad:?}"
            );
        }
    }
}
