//! What work costs, and who gets what of it.

use plasma_proto::plasma::market::v1::{Ask, Job, JobTerms, Model, Params, Payout};

use crate::{Amount, BPS};

/// Highest price of an ask, uxpl per million tokens.
pub const PRICE_UXPL_PER_MTOK_MAX: u64 = 1_000_000_000_000;

/// Tokens that a price is for.
const MTOK: u128 = 1_000_000;

/// The terms on which a job for `model` with so long an input would open now.
pub fn terms(params: &Params, model: &Model, input_bytes: usize) -> JobTerms {
    let template = model.manifest.as_ref().map_or(0, |manifest| manifest.template_tokens_max);
    JobTerms {
        min_charge_uxpl: params.min_charge_uxpl,
        duty_fee_max_uxpl: params.duty_fee_max_uxpl,
        assign_timeout_blocks: params.assign_timeout_blocks,
        assign_timeout_s: params.assign_timeout_s,
        dispute_window_blocks: params.dispute_window_blocks,
        dispute_window_s: params.dispute_window_s,
        output_keep_blocks: params.output_keep_blocks,
        output_bytes_max: params.output_bytes_max,
        attempts_max: params.attempts_max,
        job_bond_bps: params.job_bond_bps,
        split: params.split,
        royalty_bps: model.royalty_bps.min(params.royalty_bps_max),
        in_max: u64::try_from(input_bytes).unwrap_or(u64::MAX).saturating_add(template.into()),
    }
}

/// `units * price`, as part of a price per million. What passes the largest amount stays there:
/// it is above every escrow.
fn part(units: u64, price_uxpl_per_mtok: u64) -> u128 {
    u128::from(units).saturating_mul(price_uxpl_per_mtok.into())
}

/// The most that a job on these terms may cost with this ask, duty fee included:
/// `max(min_charge, ceil((in_max * fresh + max_tokens * output) / 10^6)) + duty_fee_max`.
pub fn quote(terms: &JobTerms, ask: &Ask, max_tokens: u32) -> Amount {
    let work = part(terms.in_max, ask.fresh_uxpl_per_mtok)
        .saturating_add(part(max_tokens.into(), ask.output_uxpl_per_mtok))
        .div_ceil(MTOK)
        .max(terms.min_charge_uxpl.into());
    Amount::new(work.saturating_add(terms.duty_fee_max_uxpl.into()))
}

/// What work costs:
/// `max(min_charge, ceil((n_fresh * fresh + n_cached * cached + n_out * output) / 10^6))`.
pub fn charge(terms: &JobTerms, ask: &Ask, n_fresh: u32, n_cached: u32, n_out: u32) -> Amount {
    let work = part(n_fresh.into(), ask.fresh_uxpl_per_mtok)
        .saturating_add(part(n_cached.into(), ask.cached_uxpl_per_mtok))
        .saturating_add(part(n_out.into(), ask.output_uxpl_per_mtok))
        .div_ceil(MTOK)
        .max(terms.min_charge_uxpl.into());
    Amount::new(work)
}

/// The part of a provider's bond that stands for a job: its quote's share, rounded up. `None` past
/// the largest amount.
pub fn bond_lock(terms: &JobTerms, quote: Amount) -> Option<Amount> {
    let scaled = quote.units().checked_mul(terms.job_bond_bps.into())?;
    Some(Amount::new(scaled.div_ceil(BPS.into())))
}

/// Who gets what of a charge. Shares are rounded down; the provider keeps the remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub provider: Amount,
    pub burn: Amount,
    pub stakers: Amount,
    pub royalty: Amount,
    pub referral: Amount,
    pub community: Amount,
    /// Kept back from the provider's share for the job's audit.
    pub audit: Amount,
}

impl Shares {
    /// Splits a job's charge on its terms, less what its audit costs the provider. `None` if the
    /// terms do not allow it, or the audit costs more than the provider gets.
    pub(super) fn of_job(job: &Job) -> Option<Self> {
        let charge = Amount::stored(&job.charge_uxpl);
        let shares = Self::of(charge, job.terms.as_ref()?, !job.referral.is_empty())?;
        let audit = Amount::stored(&job.audit_fee_uxpl);
        Some(Self { provider: shares.provider.minus(audit)?, audit, ..shares })
    }

    /// Splits `charge` on a job's terms. `None` if the terms do not allow it.
    fn of(charge: Amount, terms: &JobTerms, has_referral: bool) -> Option<Self> {
        let split = terms.split?;
        let stakers = charge.share(split.stakers_bps)?;
        let community = charge.share(split.community_bps)?;
        let for_referral = charge.share(split.referral_bps)?;
        let for_royalty = charge.share(split.royalty_bps)?;
        let royalty = charge.share(terms.royalty_bps)?;
        // What of the publisher's or the referrer's own share nobody claims is burned.
        let unclaimed = for_royalty.minus(royalty).unwrap_or_default();
        let (referral, unset) =
            if has_referral { (for_referral, Amount::ZERO) } else { (Amount::ZERO, for_referral) };
        let burn = charge.share(split.burn_bps)?.plus(unclaimed)?.plus(unset)?;
        let provider = charge
            .minus(burn)?
            .minus(stakers)?
            .minus(royalty)?
            .minus(referral)?
            .minus(community)?;
        let audit = Amount::ZERO;
        Some(Self { provider, burn, stakers, royalty, referral, community, audit })
    }

    /// As a job keeps it.
    pub(super) fn payout(&self) -> Payout {
        let Self { provider, burn, stakers, royalty, referral, community, audit } = self;
        Payout {
            provider_uxpl: provider.text(),
            burn_uxpl: burn.text(),
            stakers_uxpl: stakers.text(),
            royalty_uxpl: royalty.text(),
            referral_uxpl: referral.text(),
            community_uxpl: community.text(),
            audit_uxpl: audit.text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::default_params;
    use proptest::prelude::*;

    fn terms_for(in_max: u64, royalty_bps: u32) -> JobTerms {
        let mut terms = terms(&default_params(), &Model::default(), 0);
        terms.in_max = in_max;
        terms.royalty_bps = royalty_bps;
        terms
    }

    fn ask(fresh: u64, cached: u64, output: u64) -> Ask {
        Ask {
            model_id: [1; 32].into(),
            fresh_uxpl_per_mtok: fresh,
            cached_uxpl_per_mtok: cached,
            output_uxpl_per_mtok: output,
            slots: 1,
        }
    }

    #[test]
    fn prices_are_rounded_up() {
        let terms = terms_for(100, 0);
        let ask = ask(200_000, 50_000, 600_000);
        // 100 * 0.2 + 50 * 0.6 = 50
        assert_eq!(quote(&terms, &ask, 50), Amount::new(50 + 20_000));
        // 10 * 0.2 + 11 * 0.05 + 13 * 0.6 = 10.35
        assert_eq!(charge(&terms, &ask, 10, 11, 13), Amount::new(11));
        assert_eq!(charge(&terms, &ask, 1, 0, 0), Amount::new(10), "the least charge");
        assert_eq!(bond_lock(&terms, Amount::new(3)), Some(Amount::new(3)));
    }

    #[test]
    fn shares_of_a_charge() {
        let of = |royalty_bps, referral| {
            let s = Shares::of(Amount::new(10_000), &terms_for(1, royalty_bps), referral).unwrap();
            [s.provider, s.burn, s.stakers, s.royalty, s.referral, s.community].map(Amount::units)
        };
        assert_eq!(of(200, true), [8500, 800, 300, 200, 100, 100]);
        assert_eq!(of(0, true), [8500, 1000, 300, 0, 100, 100], "an unset royalty is burned");
        assert_eq!(of(50, false), [8500, 1050, 300, 50, 0, 100], "and an unset referral");
        assert_eq!(of(1000, true), [7700, 800, 300, 1000, 100, 100], "above its share");
        let one = Shares::of(Amount::new(1), &terms_for(1, 1000), true).unwrap();
        assert_eq!(one.provider, Amount::new(1), "the provider keeps the remainder");
    }

    /// The provider keeps what is rounded off the others' shares. A job that is made small for that
    /// costs more in fees than it brings.
    #[test]
    fn a_million_roundings_are_worth_less_than_their_transactions() {
        let terms = terms_for(1, 200);
        let (whole, share) = (u128::from(BPS), 8_500);
        let price = crate::token::default_genesis().params.unwrap().base_fee_min_nuxpl_per_gas;
        let gas = crate::ante::TX_GAS + crate::ante::SIGNATURE_GAS;
        let least_fee = crate::ante::required_fee(gas, 0, price, 0);
        for units in 1..=1_000_000u128 {
            let provider = Shares::of(Amount::new(units), &terms, true).unwrap().provider.units();
            assert!(provider * whole >= units * share, "{units}");
            assert!(provider * whole < (units * share) + least_fee * whole, "{units}");
        }
    }

    proptest! {
        #[test]
        fn no_charge_is_above_its_quote(
            in_max in 1u64..100_000,
            cached_part in 0u32..=100,
            prices in (0..=PRICE_UXPL_PER_MTOK_MAX, 0u64..=100, 0..=PRICE_UXPL_PER_MTOK_MAX),
            max_tokens in 1u32..100_000,
            out_part in 0u32..=100,
        ) {
            let (fresh, cached, output) = prices;
            let ask = ask(fresh, fresh / 100 * cached, output);
            let terms = terms_for(in_max, 0);
            let n_cached = u32::try_from(in_max).unwrap() / 100 * cached_part;
            let n_fresh = u32::try_from(in_max).unwrap() - n_cached;
            let n_out = u32::try_from(u64::from(max_tokens) * u64::from(out_part) / 100).unwrap();
            let charge = charge(&terms, &ask, n_fresh, n_cached, n_out);
            let duty = Amount::from(terms.duty_fee_max_uxpl);
            prop_assert!(charge.plus(duty).unwrap() <= quote(&terms, &ask, max_tokens));
        }

        #[test]
        fn shares_sum_to_the_charge(
            units in 0u128..u128::from(u64::MAX),
            royalty_bps in 0u32..=1000,
            has_referral: bool,
        ) {
            let charge = Amount::new(units);
            let s = Shares::of(charge, &terms_for(1, royalty_bps), has_referral).unwrap();
            let sum = [s.burn, s.stakers, s.royalty, s.referral, s.community]
                .into_iter()
                .fold(s.provider, |sum, part| sum.plus(part).unwrap());
            prop_assert_eq!(sum, charge);
        }
    }
}
