use plasma_proto::plasma::token::v1::FeeMarket;

use super::{
    handler::{fee_market, params},
    state::FEE_MARKET,
};
use crate::Ctx;

/// The base price moves by at most one part in this many per block.
const BASE_FEE_STEP: u128 = 8;

/// Moves the base price towards the target use of blocks, by what a block used more of: gas or bytes.
pub fn end_block(ctx: &mut Ctx<'_>, gas: u64, bytes: u64) {
    let params = params(ctx.store);
    let base = fee_market(ctx.store).base_fee_nuxpl_per_gas;
    let (used, target) =
        fuller((gas, params.block_gas_max / 2), (bytes, params.block_bytes_max / 2));
    let next = next_base(base, used, target).max(params.base_fee_min_nuxpl_per_gas);
    if next != base {
        FEE_MARKET.set(ctx.store, &FeeMarket { base_fee_nuxpl_per_gas: next });
    }
}

/// Of two (used, target), the one whose part of its target is larger.
fn fuller(a: (u64, u64), b: (u64, u64)) -> (u64, u64) {
    let cross = |used: u64, target: u64| u128::from(used).saturating_mul(target.into());
    if cross(a.0, b.1) >= cross(b.0, a.1) { a } else { b }
}

/// `base +- base*|used - target|/(8*target)`, rounded down.
fn next_base(base: u64, used: u64, target: u64) -> u64 {
    let target = target.max(1);
    let step = u128::from(base)
        .saturating_mul(used.abs_diff(target).into())
        .checked_div(u128::from(target).saturating_mul(BASE_FEE_STEP))
        .and_then(|step| u64::try_from(step).ok())
        .unwrap_or(u64::MAX);
    if used > target { base.saturating_add(step) } else { base.saturating_sub(step) }
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

    #[test]
    fn what_is_used_more_of_counts() {
        assert_eq!(fuller((1, 10), (3, 20)), (3, 20));
        assert_eq!(fuller((3, 20), (1, 10)), (3, 20));
        assert_eq!(fuller((5, 10), (10, 20)), (5, 10));
        assert_eq!(fuller((u64::MAX, 1), (u64::MAX, 2)), (u64::MAX, 1));
    }
}
