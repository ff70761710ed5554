use plasma_proto::plasma::staking::v1::Minter;

use super::{
    event::Event,
    params::Rates,
    state::{MINT, MINTER, PARAMS, YEAR_S},
};
use crate::{
    Address, Amount, Ctx, Dec, Denom,
    staking::{BONDED_POOL, distribution},
    token,
};

/// Longest time between two blocks that is minted for, seconds. While a chain stands nobody secures
/// it, so that whoever starts it again is paid for ten minutes and not for the whole halt; and no
/// false time of a block mints more.
pub(super) const GAP_MAX_S: u64 = 600;

/// Mints for the time since the last block; what is below 1 uxpl waits for the next.
pub fn begin_block(ctx: &mut Ctx<'_>) {
    let Minter { inflation, annual_provisions_uxpl: _, last_time_s, remainder_uxpl } =
        MINTER.get(ctx.store).unwrap_or_default();
    let rates = PARAMS.get(ctx.store).as_ref().and_then(Rates::of);
    let Some(rates) = rates else { return };
    let now_s = ctx.block.time_s;
    let since = if last_time_s == 0 { 0 } else { now_s.saturating_sub(last_time_s) };
    let passed_s = since.min(GAP_MAX_S);

    let supply = token::supply(ctx.store, &Denom::uxpl());
    let bonded = token::balance(ctx.store, Address::of_module(BONDED_POOL));
    let bonded_ratio = Dec::ratio(bonded, supply).unwrap_or_default();
    let inflation = next_inflation(rates, Dec::stored(&inflation), bonded_ratio, passed_s);
    let provisions = provisions(supply, inflation);
    let remainder = Dec::stored(&remainder_uxpl);
    let earned = provisions.times_ratio(passed_s.into(), YEAR_S.into());
    let earned = earned.and_then(|earned| earned.plus(remainder)).unwrap_or(remainder);
    let whole = earned.floor();
    // What the sum of all money has no room for is never made.
    let minted = distribution::add_minted(ctx, Address::of_module(MINT), whole).is_ok();
    let amount = if minted { whole } else { Amount::ZERO };
    let rest = Dec::whole(whole).and_then(|whole| earned.minus(whole)).unwrap_or_default();
    let minter = Minter {
        inflation: inflation.text(),
        annual_provisions_uxpl: provisions.text(),
        last_time_s: last_time_s.max(now_s),
        remainder_uxpl: rest.text(),
    };
    MINTER.set(ctx.store, &minter);
    if amount != Amount::ZERO {
        ctx.emit(&Event::Mint { bonded_ratio, inflation, annual_provisions: provisions, amount });
    }
}

/// What a year mints: inflation of the supply. Nothing of a supply so large that the product is no
/// decimal.
fn provisions(supply: Amount, inflation: Dec) -> Dec {
    inflation.times_ratio(supply.units(), 1).unwrap_or_default()
}

/// `clamp(inflation + change * (goal - bonded) * dt / (goal * YEAR), min, max)`; the step is rounded
/// down.
fn next_inflation(rates: Rates, inflation: Dec, bonded: Dec, passed_s: u64) -> Dec {
    let Rates { change, max, min, goal } = rates;
    let by = goal.scaled().abs_diff(bonded.scaled());
    let step = change
        .times_ratio(by, goal.scaled())
        .and_then(|of_year| of_year.times_ratio(passed_s.into(), YEAR_S.into()))
        .unwrap_or_default();
    let moved = if bonded < goal {
        inflation.plus(step).unwrap_or(max)
    } else {
        inflation.minus(step).unwrap_or(min)
    };
    moved.clamp(min, max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staking::mint::params::default_params;

    fn rates() -> Rates {
        Rates::of(&default_params()).unwrap()
    }

    #[test]
    fn inflation_follows_the_formula() {
        let year = |bonded: u32| {
            let (five, half) = (Dec::bps(500), YEAR_S / 2);
            next_inflation(rates(), five, Dec::bps(bonded), half)
        };
        assert_eq!(year(6_000), Dec::bps(500), "at its goal it stays");
        assert_eq!(year(0), Dec::bps(750), "nothing bonded: the whole change");
        assert_eq!(year(3_000), Dec::bps(625), "half of the goal: half of the change");
        assert_eq!(year(9_000), Dec::bps(375), "above by half of the goal");
        assert_eq!(year(10_000).point(), "0.033333333333333334");
        let ten = 10 * YEAR_S;
        assert_eq!(next_inflation(rates(), Dec::bps(500), Dec::ZERO, ten), Dec::bps(800));
        assert_eq!(next_inflation(rates(), Dec::bps(500), Dec::ONE, ten), Dec::bps(200));
        // Out of bounds, as after a change of the bounds: the nearest.
        assert_eq!(next_inflation(rates(), Dec::bps(1_900), Dec::bps(6_000), 1), Dec::bps(800));
        assert_eq!(next_inflation(rates(), Dec::ZERO, Dec::bps(6_000), 1), Dec::bps(200));
    }

    #[test]
    fn a_year_mints_a_part_of_the_supply() {
        let supply = Amount::new(1_000_000_000_000_000);
        let year = provisions(supply, Dec::bps(500));
        assert_eq!(year.floor(), Amount::new(50_000_000_000_000));
        assert_eq!(provisions(Amount::new(u128::MAX), Dec::bps(500)), Dec::ZERO);
    }
}
