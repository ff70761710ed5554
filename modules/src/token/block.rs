use plasma_proto::plasma::token::v1::FeeMarket;

use super::{
    handler::{fee_market, params},
    state::FEE_MARKET,
};
use crate::Ctx;

/// The base price moves by at most one part in this many per block.
const BASE_FEE_STEP: u128 = 8;

/// Moves the base price towards the target use of blocks.
pub fn end_block(ctx: &mut Ctx<'_>, gas_used: u64) {
    let params = params(ctx.store);
    let base = fee_market(ctx.store).base_fee_nuxpl_per_gas;
    let next =
        next_base(base, gas_used, params.block_gas_max / 2).max(params.base_fee_min_nuxpl_per_gas);
    if next != base {
        FEE_MARKET.set(ctx.store, &FeeMarket { base_fee_nuxpl_per_gas: next });
    }
}

/// `base +- base*|gas - target|/(8*target)`, rounded down.
fn next_base(base: u64, gas: u64, target: u64) -> u64 {
    let target = target.max(1);
    let step = u128::from(base)
        .saturating_mul(gas.abs_diff(target).into())
        .checked_div(u128::from(target).saturating_mul(BASE_FEE_STEP))
        .and_then(|step| u64::try_from(step).ok())
        .unwrap_or(u64::MAX);
    if gas > target { base.saturating_add(step) } else { base.saturating_sub(step) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_price_follows_the_formula() {
        assert_eq!(next_base(1_000_000, 1_000, 1_000), 1_000_000);
        assert_eq!(next_base(1_000_000, 2_000, 1_000), 1_125_000);
        assert_eq!(next_base(1_000_000, 0, 1_000), 875_000);
        assert_eq!(next_base(1_000_000, 999, 1_000), 999_875);
        assert_eq!(next_base(u64::MAX, u64::MAX, 1), u64::MAX);
    }
}
