//! What honest play is worth: how often a provider is audited, how much it may have at risk, and what
//! a proven cheat costs.

use crate::{Amount, BPS};

/// Numbers of the formulas, basis points but for money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Part of claims that is audited at least.
    pub rate_min_bps: u32,
    /// Clean value at which the rate has come down to that.
    pub decay: Amount,
    /// Part of cheats that an audit finds.
    pub detection_bps: u32,
    /// Safety on top of what makes a cheat worthless.
    pub kappa_bps: u32,
    /// Least slash.
    pub slash_min: Amount,
    /// Most that one payer's claims count for, as part of the clean value.
    pub payer_bps: u32,
}

/// Part of claims that is audited: all of a newcomer's, down to the least in proportion to the value
/// that was found clean. Rounded up.
pub fn rate_bps(terms: &Terms, clean: Amount) -> u32 {
    let span = u128::from(BPS.saturating_sub(terms.rate_min_bps));
    let decay = terms.decay.units().max(1);
    let done = clean.units().min(decay);
    let less = span.saturating_mul(done).checked_div(decay).unwrap_or(span);
    BPS.saturating_sub(u32::try_from(less).unwrap_or(BPS)).max(terms.rate_min_bps)
}

/// What of an audited `value` counts as clean, of a payer of which `counted` counts already in a whole
/// of `clean`: no payer's part passes the larger of its share of the whole and of the decay.
pub fn counts(terms: &Terms, value: Amount, clean: Amount, counted: Amount) -> Amount {
    let whole = clean.max(terms.decay);
    let most = whole.share(terms.payer_bps).unwrap_or(whole);
    value.min(most.minus(counted).unwrap_or_default())
}

/// `a * D`, in ten-thousandths, at least one.
fn caught_bps(rate_bps: u32, detection_bps: u32) -> u128 {
    let product = u128::from(rate_bps).saturating_mul(detection_bps.into());
    product.checked_div(BPS.into()).unwrap_or_default().clamp(1, BPS.into())
}

/// What a proven cheat costs: `max(slash_min, kappa * (1 - aD) / aD * at risk)`, rounded up, but no more
/// than `bond`.
pub fn slash(terms: &Terms, rate_bps: u32, at_risk: Amount, bond: Amount) -> Amount {
    let caught = caught_bps(rate_bps, terms.detection_bps);
    let missed = u128::from(BPS).saturating_sub(caught);
    let scaled = at_risk
        .units()
        .saturating_mul(missed)
        .saturating_mul(terms.kappa_bps.into())
        .div_ceil(caught.saturating_mul(BPS.into()).max(1));
    Amount::new(scaled).max(terms.slash_min).min(bond)
}

/// The most at risk that a bond carries at the least rate of audits; above it every claim is audited.
/// The inverse of [`slash`], of nine tenths of the bond: one may go to who found the cheat.
pub fn carries(terms: &Terms, bond: Amount) -> Amount {
    let caught = caught_bps(terms.rate_min_bps, terms.detection_bps);
    let missed = u128::from(BPS).saturating_sub(caught);
    let per = missed.saturating_mul(terms.kappa_bps.into());
    let bond = bond.units().saturating_mul(9).checked_div(10).unwrap_or_default();
    let scaled = bond.saturating_mul(caught).saturating_mul(BPS.into());
    Amount::new(scaled.checked_div(per).unwrap_or(u128::MAX))
}

/// What a juror's seat must have locked: a third of what a bought verdict could save, rounded up.
pub fn seat(slash: Amount, at_risk: Amount, least: Amount) -> Amount {
    let saved = slash.units().saturating_add(at_risk.units());
    Amount::new(saved.div_ceil(3)).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const XPL: u128 = 1_000_000;

    fn terms() -> Terms {
        Terms {
            rate_min_bps: 1_000,
            decay: Amount::new(500 * XPL),
            detection_bps: 9_900,
            kappa_bps: 16_000,
            slash_min: Amount::new(20 * XPL),
            payer_bps: 1_000,
        }
    }

    fn xpl(units: u128) -> Amount {
        Amount::new(units * XPL)
    }

    #[test]
    fn a_newcomer_is_audited_always_and_the_known_seldom() {
        let rates = [0, 125, 250, 499, 500, 5_000].map(|clean| rate_bps(&terms(), xpl(clean)));
        assert_eq!(rates, [10_000, 7_750, 5_500, 1_018, 1_000, 1_000]);
    }

    #[test]
    fn one_payer_counts_for_a_tenth() {
        let of = |value, clean, counted| counts(&terms(), xpl(value), xpl(clean), xpl(counted));
        assert_eq!(of(30, 0, 0), xpl(30));
        assert_eq!(of(60, 0, 0), xpl(50));
        assert_eq!(of(60, 40, 45), xpl(5));
        assert_eq!(of(60, 400, 50), xpl(0));
        assert_eq!(of(60, 2_000, 150), xpl(50));
    }

    /// The figure of the protocol: T = 50 XPL at a = 10% and D = 99% needs about 810 XPL.
    #[test]
    fn the_bond_and_what_it_carries_belong_together() {
        let carried = carries(&terms(), xpl(810));
        assert!((xpl(49)..=xpl(51)).contains(&carried), "{carried}");
        assert_eq!(slash(&terms(), 1_000, xpl(50), xpl(10_000)), Amount::new(728_080_809));
        assert_eq!(slash(&terms(), 1_000, xpl(1), xpl(10_000)), xpl(20), "the least");
        assert_eq!(slash(&terms(), 1_000, xpl(50), xpl(100)), xpl(100), "no more than there is");
        assert_eq!(seat(xpl(728), xpl(50), xpl(10)), Amount::new(259_333_334));
        assert_eq!(seat(xpl(1), xpl(1), xpl(10)), xpl(10));
    }

    proptest! {
        /// Whoever cheats loses on average, whatever the rate, as long as the bond carries it.
        #[test]
        fn cheating_does_not_pay(value in 1u128..1_000_000 * XPL, rate in 1_000u32..10_000, bond in 20 * XPL..10_000_000 * XPL) {
            let terms = terms();
            let (at_risk, bond) = (Amount::new(value), Amount::new(bond));
            prop_assume!(at_risk <= carries(&terms, bond));
            let slash = slash(&terms, rate, at_risk, bond).units();
            let caught = u128::from(rate) * u128::from(terms.detection_bps);
            let whole = 100_000_000u128;
            // Caught, it gets nothing and pays; else it keeps all of the value.
            prop_assert!(caught * slash > (whole - caught) * value, "{slash}");
        }
    }
}
