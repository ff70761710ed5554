//! What the receipts say: rates, careers, profit, and drawings of the measures.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use gpu_node::engine::tiny;
use plasma_modules::attestation::audit;
use plasma_modules::attestation::audit::drift::{Test, load_bps};
use plasma_modules::{Amount, market};
use plasma_proto::plasma::attestation::v1::{Measures, Profile};
use plotters::prelude::*;

use crate::Options;
use crate::goals::{CAREERS, goals};
use crate::lab::{CUTS, Profiles, SAMPLES, SHORT};
use crate::receipts::Judged;
use crate::ways::WAYS;
/// Receipts after which a career of cheating that was never convicted is given up.
const CAREER_RECEIPTS_MAX: u64 = 200_000;
/// Part of receipts that is audited, percent: what detection over many receipts is reckoned with.
const AUDITED_PERCENT: f64 = 10.0;
/// What a provider has at risk when its profit is reckoned, XPL, and its only unsettled charge: what the bond that the
/// protocol reckons with carries.
const AT_RISK_XPL: u32 = 50;
const UXPL_PER_XPL: f64 = 1e6;
const SIZE: (u32, u32) = (860, 420);
/// Letters in a line of a column's name.
const LABEL_LETTERS: usize = 13;

/// What honest work and its checking took.
#[derive(Default)]
pub struct Spent {
    pub writing: Duration,
    pub reading: Duration,
}

/// All lengths at which the outputs are looked at, if the longest are of `whole` tokens.
fn lengths(whole: u32) -> Vec<u32> {
    let mut lengths: Vec<u32> =
        SHORT.into_iter().chain(CUTS).filter(|length| *length < whole).collect();
    lengths.push(whole);
    lengths.sort_unstable();
    lengths
}

/// Wilson's interval of 95 %, percent.
pub fn interval(hits: usize, of: usize) -> (f64, f64) {
    let (n, z) = (of as f64, 1.96);
    let p = hits as f64 / n;
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    (100.0 * (middle - half).max(0.0), 100.0 * (middle + half).min(1.0))
}

/// Receipts after which a cheat has been caught with 99 %, when [`AUDITED_PERCENT`] of them are audited.
fn receipts_to_99(caught: usize, of: usize) -> String {
    let each = AUDITED_PERCENT / 100.0 * caught as f64 / of as f64;
    if caught == 0 {
        "never".into()
    } else {
        format!("{:.0}", (0.01f64.ln() / (1.0 - each).ln()).ceil())
    }
}

/// Part of a charge that is its provider's, less what it pays in advance for audits.
fn provider_share() -> f64 {
    let split = market::default_params().split.unwrap_or_default();
    f64::from(split.provider_bps - audit::default_params().fee_bps) / 1e4
}

/// What a receipt for [`AT_RISK_XPL`] brings a cheat on average, XPL, if cheating costs it nothing and a part `caught` of
/// its audited receipts is told: `(1 - ad) * share - ad * slash`, with the chain's own slash at its default parameters.
fn profit(caught: f64) -> f64 {
    let rate_bps = (AUDITED_PERCENT * 100.0) as u32;
    let at_risk = Amount::new(u128::from(AT_RISK_XPL) * UXPL_PER_XPL as u128);
    let terms = audit::terms(&audit::default_params());
    let slash = audit::stakes::slash(&terms, rate_bps, at_risk, Amount::new(u128::MAX));
    let earned = f64::from(AT_RISK_XPL) * provider_share();
    let told = AUDITED_PERCENT / 100.0 * caught;
    (1.0 - told) * earned - told * slash.units() as f64 / UXPL_PER_XPL
}

/// A provider that cheats the same way until it is convicted, by one claim or by what small deviations add up to.
#[derive(Debug, Clone, Copy)]
pub struct Career {
    receipts: u64,
    /// Those of them that were audited.
    pub audits: u64,
    /// Tokens that it was paid for, and those of them since the chain began to add up.
    tokens: f64,
    since: f64,
    /// How much of what was paid since is reckoned with at the end: all, or as much as the sums are of the limit.
    part: f64,
}

/// Receipts drawn again and again from those of one row, judged by the chain's own numbers and a profile; `None` if none of
/// [`CAREER_RECEIPTS_MAX`] convicted.
pub fn career(all: &[&Judged], profile: &Profile, seed: u64) -> Option<Career> {
    let numbers = audit::default_params();
    let test = Test::of(&numbers);
    let limit_micro = u64::from(test.limit_milli) * 1_000;
    let (mut load, mut margin) = (0u64, 0u64);
    let mut random = tiny::SplitMix64(seed);
    let mut below = |count: usize| (random.next() % count.max(1) as u64) as usize;
    let mut career = Career { receipts: 0, audits: 0, tokens: 0.0, since: 0.0, part: 0.0 };
    while career.receipts < CAREER_RECEIPTS_MAX {
        let one = all[below(all.len())];
        let raised = load.max(margin).saturating_mul(10_000) / limit_micro;
        let rate_bps = numbers.rate_min_bps.max(raised.min(10_000) as u32);
        career.receipts += 1;
        if below(10_000) < rate_bps as usize {
            career.audits += 1;
            career.part = raised as f64 / 1e4;
            if one.is_caught(profile) {
                return Some(career);
            }
            if one.measures.tokens >= numbers.drift_tokens_min {
                load = test.next_micro(load, load_bps(&one.measures, profile));
            }
            if one.is_drawn() {
                let step = test.margin_step_micro(&one.measures, profile);
                margin = margin.saturating_add_signed(step);
            }
            if test.is_over(load.max(margin)) {
                career.part = 1.0;
                return Some(career);
            }
        }
        career.tokens += f64::from(one.measures.tokens);
        career.since =
            if load.max(margin) == 0 { 0.0 } else { career.since + f64::from(one.measures.tokens) };
    }
    None
}

/// The largest price, XPL per million tokens, at which such careers bring less than they cost on average, with the least bond
/// that a provider may have and no cost of cheating.
pub fn losing_price(careers: &[Career]) -> f64 {
    let market = market::default_params();
    let terms = audit::terms(&audit::default_params());
    let share = provider_share();
    let bond = Amount::new(u128::from(market.bond_min_uxpl));
    let profit = |price: f64| {
        let of = |career: &Career| {
            // uxpl of a token are XPL of a million.
            let receipt = price * career.tokens / career.receipts.max(1) as f64;
            let at_risk = Amount::new(receipt as u128);
            let claim = audit::stakes::slash(&terms, terms.rate_min_bps, at_risk, bond);
            let kappa = f64::from(terms.kappa_bps) / 1e4;
            let drifted = (kappa * price * career.part * career.since).min(bond.units() as f64);
            share * price * career.tokens - drifted.max(claim.units() as f64)
        };
        careers.iter().map(of).sum::<f64>()
    };
    let (mut low, mut high) = (1e-6f64, 1e9f64);
    for _ in 0..100 {
        let middle = (low * high).sqrt();
        if profit(middle) < 0.0 { low = middle } else { high = middle }
    }
    low
}

/// How long cheats of a row go on, and what they must charge to gain by it.
fn careers(all: &[&Judged], profile: &Profile) -> (String, String) {
    if all.is_empty() {
        return ("-".into(), "-".into());
    }
    let ended: Option<Vec<Career>> = (0..CAREERS).map(|seed| career(all, profile, seed)).collect();
    let Some(mut ended) = ended else { return ("never".into(), "-".into()) };
    ended.sort_by_key(|career| career.receipts);
    let at = |percent: usize| ended[(ended.len() - 1) * percent / 100].receipts;
    let price = losing_price(&ended);
    let price = if price >= 1e8 { "any".into() } else { format!("{price:.0}") };
    (format!("{} ({})", at(50), at(95)), price)
}

fn range(values: impl Iterator<Item = f64> + Clone) -> String {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(0.0, f64::max);
    let text =
        |value: f64| if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    if low == high { text(low) } else { format!("{} to {}", text(low), text(high)) }
}

fn profile_row(name: &str, profile: &Profile) -> String {
    let Profile {
        exponent_mismatches_max,
        mantissa_mean_centi_max,
        mantissa_median_max,
        projection_ppm_max,
        margin_ppm_max,
        tokens_per_outlier,
    } = profile;
    format!(
        "| {name} | {exponent_mismatches_max} | {} | {mantissa_median_max} | {} | {} | 1 per {tokens_per_outlier} |\n",
        f64::from(*mantissa_mean_centi_max) / 100.0,
        f64::from(*projection_ppm_max) / 1e6,
        f64::from(*margin_ppm_max) / 1e6,
    )
}

pub fn figures(
    name: &str,
    options: &Options,
    profiles: &Profiles,
    judged: &[Judged],
    spent: &Spent,
    kernel: &str,
) -> String {
    let mut text = format!(
        "# Figures of the cheating lab\n\nMade by `make cheat-lab`: {name}, prompts at temperatures 0 and 0.8, top_p 0.95, outputs cut to {} tokens, the last of them whole, read \
         at once by `{kernel}`. Intervals are Wilson's, 95 %. An audit looks at {AUDITED_PERCENT:.0} % of receipts. What stands behind the measures: [verification.md](../verification.md); every receipt: `{SAMPLES}`.\n\n\
         | profile | A: exponents of 128 | A: mantissa mean | median | B: projection | C: margin | outliers |\n|---|---|---|---|---|---|---|\n",
        lengths(options.tokens).iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    );
    for (name, profile) in [
        ("default: what is taken where a model has none", &profiles.default),
        ("calibrated: for kernels of every type, on other prompts", &profiles.calibrated),
        ("narrow: calibrated for this machine's f32 kernels alone", &profiles.narrow),
    ] {
        text += &profile_row(name, profile);
    }
    text += &goals(judged, profiles, spent);
    text += "\n| provider | tokens | caught, calibrated | interval, % | by | receipts to 99 % | profit, XPL (at the low end) | receipts until convicted, drawn | loses below, XPL per million tokens | receipts until convicted, greedy | loses below | caught, default | caught, narrow | A: exponents | A: mantissa mean | B: projection | C: margin |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for way in WAYS.iter().copied() {
        for length in lengths(options.tokens) {
            let all: Vec<&Judged> =
                judged.iter().filter(|one| one.way == way && one.tokens == length).collect();
            if all.is_empty() {
                continue;
            }
            let of = all.len();
            let caught =
                |profile: &Profile| all.iter().filter(|one| one.is_caught(profile)).count();
            let found = caught(&profiles.calibrated);
            let (low, high) = interval(found, of);
            let (receipts, gain) = if way.is_honest() {
                ("-".into(), "-".into())
            } else {
                let part = found as f64 / of as f64;
                let gain = format!("{:+.1} ({:+.1})", profit(part), profit(low / 100.0));
                (receipts_to_99(found, of), gain)
            };
            let (drawn, greedy): (Vec<&Judged>, _) =
                all.iter().copied().partition(|one| one.is_drawn());
            let [(until, losing), (until_greedy, losing_greedy)] =
                [drawn, greedy].map(|some| careers(&some, &profiles.calibrated));
            let mut by: Vec<&str> =
                all.iter().flat_map(|one| one.faults(&profiles.calibrated)).collect();
            by.sort_unstable();
            by.dedup();
            let measure = |value: fn(&Measures) -> f64| {
                range(all.iter().map(move |one| value(&one.measures)))
            };
            let _ = writeln!(
                text,
                "| {} | {length} | {found} of {of} | {low:.0} to {high:.0} | {} | {receipts} | {gain} | {until} | {losing} | {until_greedy} | {losing_greedy} | {} of {of} | {} of {of} | {} | {} | {} | {} |",
                way.name(),
                by.join(", "),
                caught(&profiles.default),
                caught(&profiles.narrow),
                measure(|m| f64::from(m.exponent_mismatches)),
                measure(|m| f64::from(m.mantissa_mean_centi) / 100.0),
                measure(|m| f64::from(m.projection_ppm) / 1e6),
                measure(|m| f64::from(m.margin_ppm) / 1e6),
            );
        }
    }
    let _ = write!(
        text,
        "\nProfit: what a receipt for {AT_RISK_XPL} XPL, all that its provider has at risk, brings on average at the chain's default parameters, if cheating costs nothing; at the \
         share that was caught, and at the low end of its interval. Honest work earns {:.1} XPL of it, less what it costs.\n\n\
         Receipts until convicted: the median (and 95 %) of {CAREERS} providers with the row's receipts of that sampling, by one claim or by what small deviations add up to (margins of drawn text alone do), if at first {AUDITED_PERCENT:.0} % of claims are audited. \
         Loses below: what a million tokens may cost so that such a provider loses more than it was paid on average, with the least bond there is, if cheating costs nothing.\n",
        profit(0.0),
    );
    text += "\nThe narrow profile is for a model whose every honest kernel computes in f32: those that round to f16 or bf16 are rightly told apart by it.\n";
    text + "\n![projections](projection.svg)\n\n![margins](margin.svg)\n"
}

/// A column's name in lines that are as wide as the column.
fn wrapped(name: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in name.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < LABEL_LETTERS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A dot per receipt, a column per way, on a logarithmic scale; the line is the threshold.
pub fn draw(
    path: &Path,
    caption: &str,
    judged: &[Judged],
    value: fn(&Measures) -> u32,
    limit: u32,
) -> Result<()> {
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let columns = WAYS.len() as f64;
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 16))
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..columns, (1e-6..4.0f64).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .y_desc("1e-6: below what is measured")
        .draw()?;
    let line = vec![(0.0, f64::from(limit) / 1e6), (columns, f64::from(limit) / 1e6)];
    chart.draw_series(std::iter::once(PathElement::new(line, RED.stroke_width(2))))?;
    for (column, way) in WAYS.iter().copied().enumerate() {
        let color =
            if way.is_honest() { RGBColor(0x1a, 0x8f, 0x5a) } else { RGBColor(0x1b, 0x66, 0xc9) };
        let all: Vec<&Judged> = judged.iter().filter(|one| one.way == way).collect();
        chart.draw_series(all.iter().enumerate().map(|(at, one)| {
            let x = column as f64 + 0.15 + 0.7 * at as f64 / all.len() as f64;
            let y = (f64::from(value(&one.measures)) / 1e6).clamp(1e-6, 4.0);
            Circle::new((x, y), 3, color.mix(0.6).filled())
        }))?;
        let (x, y) = chart.backend_coord(&(column as f64 + 0.5, 1e-6));
        for (row, words) in wrapped(way.name()).iter().enumerate() {
            let style = ("sans-serif", 8).into_font().color(&BLACK);
            let width = i32::try_from(words.len())? * 2;
            root.draw_text(words, &style, (x - width, y + 6 + 10 * i32::try_from(row)?))?;
        }
    }
    root.present()?;
    Ok(())
}
