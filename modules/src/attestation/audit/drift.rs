//! Small deviations add up: a sequential test over the measures of claims that juries found clean.
//!
//! Honest work and work with slightly coarser numbers overlap within one claim, but not on average. Each clean audit adds
//! the logarithm of how much likelier its measures are for a provider that deviates than for an honest one (A. Wald,
//! "Sequential Tests of Statistical Hypotheses", 1945); below nothing the sum begins anew, so that no good past
//! covers a bad present (E. S. Page, "Continuous Inspection Schemes", 1954).

use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{
    Audit, AuditParams, Drift, Finding, Measures, Profile, Seat,
};

use super::{
    event::Event,
    profile::profile_hash,
    state::{DRIFTS, numbers_of, rest, stored_hash},
};
use crate::{
    Address, Amount, BPS, Ctx, Read, Write, market,
    types::{Hash, hash32},
};

/// Millionths of a nat.
const MICRO: i64 = 1_000_000;

/// Numbers of the test, basis points of what a profile allows but for the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Test {
    /// Mean load of honest work, at most.
    pub honest_bps: u32,
    /// Mean load of the deviation that the test looks for.
    pub false_bps: u32,
    /// Standard deviation of one claim's load.
    pub noise_bps: u32,
    /// `ln((1 - beta) / alpha)` from which on the provider is convicted, thousandths of a nat.
    pub limit_milli: u32,
}

impl Test {
    fn of(numbers: &AuditParams) -> Self {
        Self {
            honest_bps: numbers.drift_honest_bps,
            false_bps: numbers.drift_false_bps,
            noise_bps: numbers.drift_noise_bps,
            limit_milli: numbers.drift_limit_milli,
        }
    }

    /// What one claim adds, millionths of a nat, rounded down:
    /// `(false - honest) * (2 * load - honest - false) / (2 * noise^2)`, the log-likelihood ratio of two normal distributions.
    pub fn step_micro(&self, load_bps: u32) -> i64 {
        let [honest, wrong, noise, load] =
            [self.honest_bps, self.false_bps, self.noise_bps.max(1), load_bps].map(i64::from);
        let apart = wrong.saturating_sub(honest);
        let over = load.saturating_mul(2).saturating_sub(honest).saturating_sub(wrong);
        let variance = noise.saturating_mul(noise).saturating_mul(2);
        let scaled = apart.saturating_mul(over).saturating_mul(MICRO);
        scaled.checked_div_euclid(variance).unwrap_or_default()
    }

    /// The sum after a claim.
    pub fn next_micro(&self, score_micro: u64, load_bps: u32) -> u64 {
        score_micro.saturating_add_signed(self.step_micro(load_bps))
    }

    /// Whether a sum convicts.
    pub fn is_over(&self, score_micro: u64) -> bool {
        score_micro >= u64::from(self.limit_milli).saturating_mul(1_000)
    }

    /// Whether a claim's load speaks for the deviation.
    pub fn speaks_against(&self, load_bps: u32) -> bool {
        load_bps.saturating_mul(2) >= self.honest_bps.saturating_add(self.false_bps)
    }
}

/// How much of what a profile allows measures use up, basis points: the mean of A's mantissas and B. A measure that
/// the profile allows nothing of uses up nothing.
pub fn load_bps(measures: &Measures, profile: &Profile) -> u32 {
    let part = |value: u32, most: u32| {
        let scaled = u64::from(value).saturating_mul(BPS.into());
        scaled.checked_div(most.into()).unwrap_or_default()
    };
    let mantissas = part(measures.mantissa_mean_centi, profile.mantissa_mean_centi_max);
    let projection = part(measures.projection_ppm, profile.projection_ppm_max);
    u32::try_from(mantissas.midpoint(projection)).unwrap_or(u32::MAX)
}

/// The lower median of the loads that jurors of a round who passed the claim measured; `None` if they looked at fewer
/// than `tokens_min` tokens, or there are none.
fn median_load(seats: &[Seat], round: u32, profile: &Profile, tokens_min: u32) -> Option<u32> {
    let passed = seats.iter().filter(|seat| seat.round == round && !seat.has_not_looked);
    let passed = passed.filter_map(|seat| seat.verdict.as_ref().filter(|verdict| verdict.pass));
    let passed = passed.filter_map(|verdict| verdict.measures);
    let mut loads: Vec<u32> = passed
        .filter(|measures| measures.tokens >= tokens_min)
        .map(|measures| load_bps(&measures, profile))
        .collect();
    loads.sort_unstable();
    loads.get(loads.len().checked_sub(1)? / 2).copied()
}

fn key(audit: &Audit) -> (Address, Hash) {
    (Address::stored(&audit.provider), stored_hash(&audit.model_id))
}

/// The load that the round under way measured.
fn measured(audit: &Audit) -> Option<u32> {
    let profile = audit.profile?;
    median_load(&audit.seats, audit.round, &profile, numbers_of(audit).drift_tokens_min)
}

/// A first jury found a claim clean: its measures are added to those before. Whether that convicts.
pub(super) fn count(ctx: &mut Ctx<'_>, audit: &mut Audit) -> bool {
    let (Some(load), Some(profile)) = (measured(audit), audit.profile) else { return false };
    audit.load_bps = load;
    let test = Test::of(&numbers_of(audit));
    let (operator, model_id) = key(audit);
    let hash = profile_hash(&model_id, &profile);
    let before = DRIFTS.get(ctx.store, &(operator, model_id));
    let before = before.filter(|drift| drift.profile_hash == hash);
    let earned = earned(ctx.store, operator);
    let mut drift = before.unwrap_or_else(|| Drift {
        operator: operator.text(),
        model_id: model_id.into(),
        profile_hash: hash.into(),
        earned_before_uxpl: earned.text(),
        since_height: ctx.block.height,
        ..Drift::default()
    });
    drift.score_micro = test.next_micro(drift.score_micro, load);
    drift.audits = drift.audits.saturating_add(1);
    let score_micro = drift.score_micro;
    if score_micro == 0 {
        DRIFTS.remove(ctx.store, &(operator, model_id));
    } else {
        DRIFTS.set(ctx.store, &(operator, model_id), &drift);
    }
    ctx.emit(&Event::DriftCounted { audit_id: audit.id, operator, load_bps: load, score_micro });
    test.is_over(score_micro)
}

/// What becomes of a claim by which small deviations came to the limit: of several at once the first convicts. Where a
/// larger jury found it clean, only if what that measured speaks for the deviation too.
pub(super) fn finding(store: &dyn Read, audit: &Audit) -> Finding {
    let test = Test::of(&numbers_of(audit));
    let stands = DRIFTS.get(store, &key(audit));
    let stands = stands.is_some_and(|drift| test.is_over(drift.score_micro));
    let confirmed =
        audit.round == 0 || measured(audit).is_some_and(|load| test.speaks_against(load));
    if stands && confirmed { Finding::Drifted } else { Finding::Clean }
}

/// Begins anew: the operator was convicted, or a larger jury did not confirm.
pub(super) fn forget(store: &mut dyn Write, audit: &Audit) {
    let key = key(audit);
    if DRIFTS.get(store, &key).is_some() {
        DRIFTS.remove(store, &key);
    }
}

/// What a conviction for small deviations costs at least: what the operator earned since they began to add up, times
/// `kappa`, rounded up; nothing while they do not add up.
pub(super) fn slash(
    store: &dyn Read,
    operator: Address,
    model_id: &Hash,
    kappa_bps: u32,
) -> Amount {
    let Some(drift) = DRIFTS.get(store, &(operator, *model_id)) else { return Amount::ZERO };
    let since = rest_of(earned(store, operator), Amount::stored(&drift.earned_before_uxpl));
    let scaled = since.units().saturating_mul(kappa_bps.into()).div_ceil(BPS.into());
    Amount::new(scaled)
}

/// All of it, where it began anew with another registration.
fn rest_of(earned: Amount, before: Amount) -> Amount {
    if earned >= before { rest(earned, before) } else { earned }
}

fn earned(store: &dyn Read, operator: Address) -> Amount {
    let provider = market::provider(store, operator);
    provider.map_or(Amount::ZERO, |provider| Amount::stored(&provider.earned_uxpl))
}

/// Of an operator's models, those in which small deviations add up now, at most so many.
pub(super) fn of_operator(store: &dyn Read, operator: Address, most: usize) -> Vec<Drift> {
    DRIFTS.iter_prefix(store, &operator).map(|(_, drift)| drift).take(most).collect()
}

/// Key of a record that reads as what it is.
pub(super) fn key_of(drift: &Drift) -> Option<(Address, Hash)> {
    let operator = Address::parse(&drift.operator).ok()?;
    hash32(&drift.profile_hash)?;
    Amount::parse(&drift.earned_before_uxpl)?;
    Some((operator, hash32(&drift.model_id)?)).filter(|_| drift.score_micro != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attestation::audit::{DEFAULT_PROFILE as PROFILE, default_params},
        types::digest,
    };
    use plasma_proto::plasma::attestation::v1::Verdict;
    use std::vec;

    fn test() -> Test {
        Test::of(&default_params())
    }

    fn measures(mantissa_mean_centi: u32, projection_ppm: u32) -> Measures {
        Measures { mantissa_mean_centi, projection_ppm, tokens: 64, ..Measures::default() }
    }

    /// A stream of random numbers, 0 to 65,535, from a seed.
    fn noise(seed: u64) -> impl Iterator<Item = i64> {
        (0u64..).flat_map(move |at| {
            let hash = digest(&[b"drift", &seed.to_be_bytes(), &at.to_be_bytes()]);
            let pairs: Vec<_> =
                hash.chunks(2).map(|two| i64::from(two[0]) << 8 | i64::from(two[1])).collect();
            pairs
        })
    }

    /// Nearly normal: the sum of twelve uniform draws has a variance of one.
    fn normal(draws: &mut impl Iterator<Item = i64>, mean: i64, deviation: i64) -> u32 {
        let sum: i64 = draws.take(12).sum();
        let value = mean + (sum - 6 * 65_536) * deviation / 65_536;
        u32::try_from(value.max(0)).unwrap()
    }

    /// How often a provider with such loads is convicted in so many audits, each conviction beginning anew.
    fn convictions(
        test: &Test,
        seed: u64,
        audits: u32,
        load: impl Fn(&mut dyn Iterator<Item = i64>) -> u32,
    ) -> u32 {
        let mut draws = noise(seed);
        let (mut score, mut found) = (0, 0);
        for _ in 0..audits {
            score = test.next_micro(score, load(&mut draws));
            if test.is_over(score) {
                (score, found) = (0, found + 1);
            }
        }
        found
    }

    #[test]
    fn a_step_is_the_log_likelihood_ratio() {
        let test = test();
        // (9000 - 7500) * (2 * 9250 - 16500) / (2 * 1000^2) nats.
        assert_eq!(test.step_micro(9_250), 1_500_000);
        assert_eq!(test.step_micro(8_250), 0);
        assert_eq!(test.step_micro(7_250), -1_500_000);
        assert_eq!(test.next_micro(1_000_000, 7_250), 0, "no good past covers a bad present");
        assert_eq!(Test { noise_bps: 7, ..test }.step_micro(8_249), -30_612_245, "rounded down");
        assert!(test.speaks_against(8_250) && !test.speaks_against(8_249));
        assert!(test.is_over(20_723_000) && !test.is_over(20_722_999));
    }

    #[test]
    fn the_load_is_the_mean_of_two_measures_and_the_median_of_the_jurors() {
        assert_eq!(load_bps(&measures(250, 30_000), &PROFILE), 10_000);
        assert_eq!(load_bps(&measures(125, 30_000), &PROFILE), 7_500);
        let none = Profile { mantissa_mean_centi_max: 0, projection_ppm_max: 0, ..PROFILE };
        assert_eq!(load_bps(&measures(0, 0), &none), 0);
        let seat = |pass, centi, round| Seat {
            round,
            verdict: Some(Verdict {
                pass,
                measures: Some(measures(centi, 0)),
                ..Verdict::default()
            }),
            ..Seat::default()
        };
        let median = |seats: &[Seat]| median_load(seats, 0, &PROFILE, 32);
        assert_eq!(median(&[]), None);
        let seats = vec![
            seat(true, 200, 0),
            seat(true, 50, 0),
            seat(true, 100, 0),
            seat(false, 0, 0),
            seat(true, 0, 1),
        ];
        assert_eq!(median(&seats), Some(2_000), "neither who failed it nor another round");
        assert_eq!(median(&seats[..2]), Some(1_000), "of two the lower");
        assert_eq!(median_load(&seats, 0, &PROFILE, 65), None, "too few tokens");
    }

    /// Loads as an honest provider has them that rounds to bf16, against the wide profile (`docs/verification/figures.md`:
    /// mantissas 1.54 to 1.96 of 2.5, projections 0.017 to 0.029 of 0.030).
    #[test]
    fn honest_noise_never_convicts() {
        for seed in 0..8 {
            let found = convictions(&test(), seed, 25_000, |mut draws| {
                let centi = normal(&mut draws, 178, 13).min(250);
                let ppm = normal(&mut draws, 23_500, 3_000).min(30_000);
                load_bps(&measures(centi, ppm), &PROFILE)
            });
            assert_eq!(found, 0, "seed {seed}");
        }
    }

    /// The bound on false convictions, at a limit at which it can be seen: a provider as near to the reference and as
    /// noisy as the numbers allow is convicted in fewer than `e^-limit` of its audits.
    #[test]
    fn the_worst_that_is_honest_is_convicted_no_more_often_than_the_limit_says() {
        for (limit_milli, most) in [(4_605, 2_000), (6_908, 200)] {
            let test = Test { limit_milli, ..test() };
            let found =
                convictions(&test, 99, 200_000, |mut draws| normal(&mut draws, 7_500, 1_000));
            assert!(found > 0 && found <= most, "{found} of 200,000 at {limit_milli}");
        }
        let found = convictions(&test(), 7, 200_000, |mut draws| normal(&mut draws, 7_500, 1_000));
        assert_eq!(found, 0);
    }

    /// Claims of q8_0 weights that pass (mantissas from 2.33, projections from 0.025), and of weights with 1 % noise that
    /// pass.
    #[test]
    fn small_deviations_are_convicted_within_twenty_audits() {
        for seed in 0..200 {
            let mut draws = noise(seed);
            let mut score = 0;
            let audits = (1..=40).find(|_| {
                let centi = normal(&mut draws, 242, 8).clamp(233, 250);
                let ppm = normal(&mut draws, 28_500, 2_500).clamp(25_000, 30_000);
                score = test().next_micro(score, load_bps(&measures(centi, ppm), &PROFILE));
                test().is_over(score)
            });
            assert!(audits.is_some_and(|audits| audits <= 20), "seed {seed}: {audits:?}");
        }
    }
}
