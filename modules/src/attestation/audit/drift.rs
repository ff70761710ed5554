//! Small deviations add up: a sequential test over the measures of claims that juries found clean.
//!
//! Honest work and work with slightly coarser numbers overlap within one claim, but not on average. Each clean audit adds
//! the logarithm of how much likelier its measures are for a provider that deviates than for an honest one (A. Wald,
//! "Sequential Tests of Statistical Hypotheses", 1945); below nothing the sum begins anew, so that no good past
//! covers a bad present (E. S. Page, "Continuous Inspection Schemes", 1954).
//!
//! Two sums: of measures A and B, claim by claim, and of measure C, token by token. Of tokens nothing is known but how
//! large a margin can be and how large it is on average at most, so theirs is the logarithm of what a gambler owns who bets
//! against the provider at odds that are fair to it (G. Shafer, "Testing by Betting", 2021).

use alloc::vec::Vec;

use plasma_proto::plasma::{
    attestation::v1::{Audit, AuditParams, AuditState, Drift, Finding, Measures, Profile, Seat},
    market::v1::Sampling,
};

use super::{
    claim::was_passed_over,
    event::Event,
    profile::profile_hash,
    state::{AUDITS, DRIFTS, PROFILES, job_of, numbers_of, stored_hash, sum},
};
use crate::{
    Address, Amount, BPS, Ctx, Read, Write,
    types::{Hash, hash32},
};

/// Claims that come to the limit together at least.
const CLAIMS_MIN: i64 = 4;
/// Millionths of a nat.
const MICRO: i64 = 1_000_000;
/// Tokens that measure C is averaged over at least: in a short output a single near miss says nothing.
pub const MARGIN_TOKENS_MIN: u32 = 96;
/// A claim pays for its margins as one of so many tokens at least: of the first words after a prompt whoever asks can look for
/// those at which an honest kernel's rounding is worst, and ask for them alone, but not of all words of a drawn text.
const PRICED_TOKENS_MIN: u32 = 8;
/// A token's margin counts at most this much in measure C, thousandths of a logit.
pub const MARGIN_CLIP_MILLI: u32 = 2_000;
/// The bet on margins, nats per logit: the best one against a provider whose mean margin is `e^(2b)` = 4.5 times the honest one.
const BET_BPS: i64 = 7_500;
/// `(e^(2b) - 1) / 2`, rounded up: what a logit of honest margins may cost.
const BET_PRICE_BPS: i64 = 17_409;

/// Least temperature, thousandths, at which margins count.
pub const DRAWN_TEMPERATURE_MILLI_MIN: u32 = 700;
/// Least part of the probability, thousandths, that a nucleus must hold for margins to count.
pub const DRAWN_TOP_P_MILLI_MIN: u32 = 900;

/// Whether the beacon's draws decide how near tokens come to winning. Of greedy and nearly greedy text the prompt decides it: who
/// asks can look for prompts after which two tokens are alike, and knows which of them an honest kernel that rounds will take
/// each time. What requesters choose convicts nobody by adding up.
pub fn is_drawn(sampling: &Sampling) -> bool {
    sampling.temperature_milli >= DRAWN_TEMPERATURE_MILLI_MIN
        && sampling.top_p_milli >= DRAWN_TOP_P_MILLI_MIN
}

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
    /// Mean margin of a token of honest work at most, of the margin that a profile allows one claim.
    pub margin_bps: u32,
}

impl Test {
    /// The chain's.
    pub fn of(numbers: &AuditParams) -> Self {
        Self {
            honest_bps: numbers.drift_honest_bps,
            false_bps: numbers.drift_false_bps,
            noise_bps: numbers.drift_noise_bps,
            limit_milli: numbers.drift_limit_milli,
            margin_bps: numbers.drift_margin_bps,
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
        self.capped(scaled.checked_div_euclid(variance).unwrap_or_default())
    }

    /// No claim brings a sum further than this part of the way, whatever is measured of it.
    fn capped(&self, step_micro: i64) -> i64 {
        let limit_micro = i64::from(self.limit_milli).saturating_mul(1_000);
        step_micro.min(limit_micro.div_euclid(CLAIMS_MIN))
    }

    /// The sum after a claim.
    pub fn next_micro(&self, score_micro: u64, load_bps: u32) -> u64 {
        score_micro.saturating_add_signed(self.step_micro(load_bps))
    }

    /// What the margins of a claim's tokens add, millionths of a nat, rounded down: `b * sum - (e^(2b) - 1) / 2 * h * tokens`
    /// with the bet b and the honest mean h. Margins lie between 0 and [`MARGIN_CLIP_MILLI`], 2, and the exponential lies below
    /// its chord there: so e to the power of what honest tokens add is at most 1 on average, however they are distributed.
    pub fn margin_step_micro(&self, measures: &Measures, profile: &Profile) -> i64 {
        let Measures { margin_ppm, tokens, .. } = *measures;
        let sum = i64::from(margin_ppm).saturating_mul(tokens.max(MARGIN_TOKENS_MIN).into());
        let honest_ppm = i64::from(profile.margin_ppm_max).saturating_mul(self.margin_bps.into());
        if honest_ppm == 0 {
            return 0;
        }
        let price =
            honest_ppm.saturating_mul(BET_PRICE_BPS).div_euclid(BPS.into()).saturating_add(1);
        let won = sum.saturating_mul(BET_BPS);
        let priced = price.saturating_mul(tokens.max(PRICED_TOKENS_MIN).into());
        self.capped(won.saturating_sub(priced).div_euclid(BPS.into()))
    }

    /// Whether a sum convicts.
    pub fn is_over(&self, score_micro: u64) -> bool {
        score_micro >= u64::from(self.limit_milli).saturating_mul(1_000)
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

/// What a round's jury measured of a claim that it passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measured {
    /// `None` where it has too few tokens.
    load_bps: Option<u32>,
    margin_step_micro: i64,
}

/// The lower medians of what those jurors of a round measured who passed a claim of so many tokens, whatever number of
/// tokens they say; `None` if there are none.
fn medians(
    seats: &[Seat],
    round: u32,
    tokens: u32,
    profile: &Profile,
    numbers: &AuditParams,
) -> Option<Measured> {
    let passed = seats.iter().filter(|seat| seat.round == round && !seat.has_not_looked);
    let passed = passed.filter_map(|seat| seat.verdict.as_ref().filter(|verdict| verdict.pass));
    let of_claim = |measures| Measures { tokens, ..measures };
    let all: Vec<Measures> = passed.filter_map(|verdict| verdict.measures).map(of_claim).collect();
    let test = Test::of(numbers);
    let load = lower_median(all.iter().map(|measures| load_bps(measures, profile)));
    let steps = all.iter().map(|measures| test.margin_step_micro(measures, profile));
    Some(Measured {
        load_bps: load.filter(|_| tokens >= numbers.drift_tokens_min),
        margin_step_micro: lower_median(steps)?,
    })
}

fn lower_median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

fn key(audit: &Audit) -> (Address, Hash) {
    (Address::stored(&audit.provider), stored_hash(&audit.model_id))
}

/// What a round measured; no margins of text that is not drawn.
fn measured(store: &dyn Read, audit: &Audit, round: u32) -> Option<Measured> {
    let job = job_of(store, audit);
    let profile = audit.profile.as_ref()?;
    let mut measured = medians(&audit.seats, round, job.n_out, profile, &numbers_of(audit))?;
    if !job.sampling.is_some_and(|sampling| is_drawn(&sampling)) {
        measured.margin_step_micro = 0;
    }
    Some(measured)
}

/// The sums with one more claim: of A and B, of C.
fn sums(test: &Test, drift: &Drift, measured: &Measured) -> (u64, u64) {
    let load = measured.load_bps;
    let score = load.map_or(drift.score_micro, |load| test.next_micro(drift.score_micro, load));
    (score, drift.margin_score_micro.saturating_add_signed(measured.margin_step_micro))
}

/// Stores what adds up; nothing where it is nothing.
fn store(to: &mut dyn Write, key: (Address, Hash), drift: &Drift) {
    if highest(drift) != 0 {
        DRIFTS.set(to, &key, drift);
    } else if DRIFTS.get(to, &key).is_some() {
        DRIFTS.remove(to, &key);
    }
}

/// The larger of both sums.
fn highest(drift: &Drift) -> u64 {
    drift.score_micro.max(drift.margin_score_micro)
}

/// Whether the claim that brought a sum to the limit still waits.
fn waits(store: &dyn Read, drift: &Drift) -> bool {
    let audit = AUDITS.get(store, &drift.audit_id);
    drift.audit_id != 0 && audit.is_some_and(|audit| audit.state() != AuditState::Ended)
}

/// A first jury found a claim clean, or a larger one that it called: its measures are added to those before. Whether that comes to the limit: then the claim
/// waits, and the sums are those before it. Of disputed claims those are added that the lot would have selected: who disputes only the
/// worst of an honest operator, or the best of a false one, must not move the mean.
pub(super) fn count(ctx: &mut Ctx<'_>, audit: &mut Audit) -> bool {
    let measured = measured(ctx.store, audit, audit.round);
    let (Some(measured), Some(profile)) = (measured, audit.profile) else {
        return false;
    };
    audit.load_bps = measured.load_bps.unwrap_or_default();
    let (operator, model_id) = key(audit);
    let before = DRIFTS.get(ctx.store, &(operator, model_id));
    let hash = profile_hash(&model_id, &profile);
    let stands = PROFILES.get(ctx.store, &model_id);
    let is_old = stands.is_none_or(|stands| stands.profile_hash != hash);
    let is_at_limit = before.as_ref().is_some_and(|drift| waits(ctx.store, drift));
    if !audit.is_of_lot || is_old || is_at_limit {
        return false;
    }
    let mut drift = before.filter(|drift| drift.profile_hash == hash).unwrap_or_else(|| Drift {
        operator: operator.text(),
        model_id: model_id.into(),
        profile_hash: hash.into(),
        paid_uxpl: Amount::ZERO.text(),
        since_height: ctx.block.height,
        ..Drift::default()
    });
    let test = Test::of(&numbers_of(audit));
    let (score_micro, margin_score_micro) = sums(&test, &drift, &measured);
    let is_over = test.is_over(score_micro.max(margin_score_micro));
    if is_over {
        drift.audit_id = audit.id;
    } else {
        drift.audits = drift.audits.saturating_add(1);
        (drift.score_micro, drift.margin_score_micro) = (score_micro, margin_score_micro);
    }
    store(ctx.store, (operator, model_id), &drift);
    let (audit_id, load_bps) = (audit.id, audit.load_bps);
    ctx.emit(&Event::DriftCounted {
        audit_id,
        operator,
        load_bps,
        score_micro,
        margin_score_micro,
    });
    is_over
}

/// The record that a claim brings to the limit.
fn at_limit(store: &dyn Read, audit: &Audit) -> Option<Drift> {
    DRIFTS.get(store, &key(audit)).filter(|drift| drift.audit_id == audit.id)
}

/// Its sums with what the last jury that was drawn for the claim measured.
fn at_last(store: &dyn Read, audit: &Audit, drift: &Drift) -> Option<(u64, u64)> {
    let round = audit.seats.iter().map(|seat| seat.round).max().unwrap_or_default();
    let measured = measured(store, audit, round)?;
    Some(sums(&Test::of(&numbers_of(audit)), drift, &measured))
}

/// What becomes of a claim that came to the limit: whether it does by what the larger jury measured, if there is one.
pub(super) fn finding(store: &dyn Read, audit: &Audit) -> Finding {
    let test = Test::of(&numbers_of(audit));
    let drift = at_limit(store, audit);
    let sums = drift.and_then(|drift| at_last(store, audit, &drift));
    let is_over = sums.is_some_and(|(score, margin)| test.is_over(score.max(margin)));
    if is_over { Finding::Drifted } else { Finding::Clean }
}

/// A claim that came to the limit does not convict: what the larger jury measured takes the place of what the first did.
pub(super) fn go_on(to: &mut dyn Write, audit: &Audit, finding: Finding) {
    let Some(mut drift) = at_limit(to, audit) else { return };
    drift.audit_id = 0;
    if finding == Finding::Clean
        && let Some(sums) = at_last(to, audit, &drift)
    {
        (drift.score_micro, drift.margin_score_micro) = sums;
        drift.audits = drift.audits.saturating_add(1);
    }
    store(to, key(audit), &drift);
}

/// Begins anew: the operator was convicted.
pub(super) fn forget(to: &mut dyn Write, audit: &Audit) {
    store(to, key(audit), &Drift::default());
}

/// A claim was let go: it counts for what is lost if the operator is convicted while something adds up. One that the lot
/// had passed over when it was disputed was counted then.
pub(super) fn paid(to: &mut dyn Write, audit: &Audit) {
    if was_passed_over(audit) {
        return;
    }
    let Some(mut drift) = DRIFTS.get(to, &key(audit)) else { return };
    let paid = sum(Amount::stored(&drift.paid_uxpl), Amount::stored(&audit.charge_uxpl));
    drift.paid_uxpl = paid.text();
    DRIFTS.set(to, &key(audit), &drift);
}

/// What adds up by a profile, and how much of the limit it is, basis points.
fn standing(
    store: &dyn Read,
    key: (Address, Hash),
    profile_hash: &Hash,
    numbers: &AuditParams,
) -> Option<(Drift, u32)> {
    let drift = DRIFTS.get(store, &key).filter(|drift| drift.profile_hash == profile_hash)?;
    let limit_micro = u64::from(numbers.drift_limit_milli).saturating_mul(1_000);
    let scaled = highest(&drift).saturating_mul(BPS.into());
    let part = scaled.checked_div(limit_micro).unwrap_or_default();
    Some((drift, u32::try_from(part).map_or(BPS, |part| part.min(BPS))))
}

/// Part of the operator's claims of a model that is audited because small deviations add up: as much as they are of the
/// limit.
pub(super) fn rate_bps(
    store: &dyn Read,
    operator: Address,
    model_id: &Hash,
    numbers: &AuditParams,
) -> u32 {
    let hash = PROFILES.get(store, model_id).map(|stands| stored_hash(&stands.profile_hash));
    let found = hash.and_then(|hash| standing(store, (operator, *model_id), &hash, numbers));
    found.map_or(0, |(_, part_bps)| part_bps)
}

/// What a conviction for small deviations costs at least: what was paid for claims of the model since they began to add up,
/// times `kappa`, rounded up. Of any other conviction as much of it as they are of the limit, all of it while a claim waits
/// there: a claim that is plainly false must not be the cheaper way out.
pub(super) fn slash(
    store: &dyn Read,
    key: (Address, Hash),
    profile_hash: &Hash,
    numbers: &AuditParams,
    is_drift: bool,
) -> Amount {
    let Some((drift, part_bps)) = standing(store, key, profile_hash, numbers) else {
        return Amount::ZERO;
    };
    let bps = |bps: u32| u128::from(bps);
    let part_bps = if is_drift || waits(store, &drift) { BPS } else { part_bps };
    let scaled = Amount::stored(&drift.paid_uxpl).units().saturating_mul(bps(part_bps));
    let scaled = scaled.div_ceil(bps(BPS)).saturating_mul(bps(numbers.kappa_bps));
    Amount::new(scaled.div_ceil(bps(BPS)))
}

/// The same of a conviction at the end of an audit.
pub(super) fn slash_of(store: &dyn Read, audit: &Audit, is_drift: bool) -> Amount {
    let Some(profile) = &audit.profile else { return Amount::ZERO };
    let key = key(audit);
    slash(store, key, &profile_hash(&key.1, profile), &numbers_of(audit), is_drift)
}

/// Of an operator's models, those in which small deviations add up now, at most so many.
pub(super) fn of_operator(store: &dyn Read, operator: Address, most: usize) -> Vec<Drift> {
    DRIFTS.iter_prefix(store, &operator).map(|(_, drift)| drift).take(most).collect()
}

/// Key of a record that reads as what it is.
pub(super) fn key_of(drift: &Drift) -> Option<(Address, Hash)> {
    let operator = Address::parse(&drift.operator).ok()?;
    hash32(&drift.profile_hash)?;
    Amount::parse(&drift.paid_uxpl)?;
    Some((operator, hash32(&drift.model_id)?)).filter(|_| highest(drift) != 0)
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
        let median = |seats: &[Seat]| {
            medians(seats, 0, 64, &PROFILE, &default_params())
                .and_then(|measured| measured.load_bps)
        };
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
        let measured = medians(&seats, 0, 31, &PROFILE, &default_params()).unwrap();
        assert_eq!(measured.load_bps, None, "too few tokens");
        assert_eq!(
            measured.margin_step_micro, -215_872,
            "31 tokens without a margin, whatever jurors say"
        );
    }

    /// Loads as an honest provider has them that rounds to bf16, against the default profile (`docs/verification/figures.md`:
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

    fn margins(margin_ppm: u32, tokens: u32) -> Measures {
        Measures { margin_ppm, tokens, ..Measures::default() }
    }

    #[test]
    fn the_price_of_a_bet_is_fair_to_whoever_is_honest() {
        // All of an honest mean m in the largest margin there is, 2, is what a gambler could wish for: 1 + m (e^(2b) - 1) / 2, which
        // is at most e^(price m) if the price is at least (e^(2b) - 1) / 2. The exponential by its series, from above.
        const ONE: i64 = 1_000_000_000;
        let power = BET_BPS * i64::from(MARGIN_CLIP_MILLI) / 1_000;
        let (mut term, mut exp) = (ONE, ONE);
        for k in 1..30 {
            term = (term * power) / (i64::from(BPS) * k) + 1;
            exp += term;
        }
        let price = (exp - ONE) * 1_000 / i64::from(MARGIN_CLIP_MILLI);
        let stands = BET_PRICE_BPS * ONE / i64::from(BPS);
        assert!((0..ONE / 10_000).contains(&(stands - price)), "{stands} for {price}");
    }

    #[test]
    fn a_claim_adds_its_margins_less_their_price() {
        let test = test();
        // An honest token may be 0.004 off, 20 % of the default profile's 0.02.
        assert_eq!(PROFILE.margin_ppm_max, 20_000);
        let step =
            |margin_ppm, tokens| test.margin_step_micro(&margins(margin_ppm, tokens), &PROFILE);
        assert_eq!(step(0, 128), -891_341);
        assert_eq!(step(10_000, 128), 960_000 - 891_341);
        // The mean of 8 tokens is over 96.
        assert_eq!(step(10_000, 8), 720_000 - 55709);
        // One word pays for eight.
        assert_eq!(step(1_000, 1), 72_000 - 55_709);
        assert_eq!(step(0, 1), step(0, 8));
        // Four such claims at least, however long they are.
        assert_eq!(step(20_000, 4_096), 20_723_000 / 4);
        assert_eq!(step(u32::MAX, u32::MAX), 20_723_000 / 4);
        let none = Profile { margin_ppm_max: 0, ..PROFILE };
        assert_eq!(test.margin_step_micro(&margins(0, 128), &none), 0);
    }

    /// The bound on false convictions, at a limit at which it can be seen: margins as large as they may be on average, in the
    /// rarest and largest pieces.
    #[test]
    fn the_worst_margins_that_are_honest_convict_no_more_often_than_the_limit_says() {
        for (limit_milli, most) in [(4_605, 2_000), (6_908, 200)] {
            let test = Test { limit_milli, ..test() };
            let mut draws = noise(5);
            let (mut score, mut found) = (0u64, 0);
            for _ in 0..200_000 {
                // Of 32 tokens two in a thousand are 2 logits off: one in 16 claims.
                let pieces = (0..32).filter(|_| draws.next().unwrap() < 131).count();
                let margin_ppm = u32::try_from(pieces).unwrap() * 2_000_000 / MARGIN_TOKENS_MIN;
                let step = test.margin_step_micro(&margins(margin_ppm, 32), &PROFILE);
                score = score.saturating_add_signed(step);
                if test.is_over(score) {
                    (score, found) = (0, found + 1);
                }
            }
            assert!(found > 0 && found <= most, "{found} of 200,000 at {limit_milli}");
        }
    }

    /// Claims of 128 tokens of which each is off with such chances, in ten-thousandths, by as much as so many thousandths of a
    /// logit: how many passed until one convicted.
    fn audits_until(seed: u64, most: u32, off: &[(i64, i64)]) -> Option<u32> {
        let test = test();
        let mut draws = noise(seed);
        let mut score = 0u64;
        (1..=most).find(|_| {
            let sum_milli: i64 = (0..128)
                .map(|_| {
                    let (mut draw, size) = (draws.next().unwrap(), draws.next().unwrap());
                    let hit = off.iter().find(|(chance, _)| {
                        draw -= chance * 65_536 / 10_000;
                        draw < 0
                    });
                    hit.map_or(0, |(_, largest)| largest * size / 65_536)
                })
                .sum();
            let margin_ppm = u32::try_from(sum_milli * 1_000 / 128).unwrap();
            let passed = margins(margin_ppm.min(PROFILE.margin_ppm_max), 128);
            score = score.saturating_add_signed(test.margin_step_micro(&passed, &PROFILE));
            test.is_over(score)
        })
    }

    /// As honest providers that round to bf16 (`docs/verification/figures.md`: a mean of 0.001 to 0.002), and drafts of 4 bits that
    /// are taken if they are less than half a logit off (0.017 to 0.025).
    #[test]
    fn drafts_that_are_taken_too_easily_are_convicted_and_honest_rounding_is_not() {
        let honest = [(100, 200), (10, 1_500)];
        for seed in 0..4 {
            assert_eq!(audits_until(seed, 10_000, &honest), None, "seed {seed}");
        }
        for seed in 0..100 {
            let audits = audits_until(seed, 100, &[(700, 500)]);
            assert!(audits.is_some_and(|audits| audits <= 45), "seed {seed}: {audits:?}");
        }
    }
}
