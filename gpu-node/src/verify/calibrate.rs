//! From honest outputs to a profile: how far apart do kernels come to lie that do the same work?

use std::collections::BTreeMap;

use candle_core::{DType, Device};
use plasma_modules::BPS;
use plasma_modules::attestation::audit::drift::MARGIN_TOKENS_MIN;
use plasma_modules::attestation::audit::{bounds, default_params, outside};
use plasma_modules::types::digest;
use plasma_proto::plasma::attestation::v1::{Measures, Profile};
use plotters::prelude::*;
use serde_json::{Value, json};

use super::{DEFAULT_PROFILE, Order, Tier, verify, write};
use crate::engine::candle::Candle;
use crate::engine::{EngineError, Sampling};

/// Thresholds are the largest honest value times this, percent.
const SLACK_PERCENT: u64 = 150;
/// Of the margin, which the prompt decides where text is not drawn: kernels that differ by a normal deviation s take the worse of
/// two tokens with a mean margin of at most 0.17 s, where all their gaps are as bad as can be, and with about a tenth of that
/// after prompts that ask for what has no reason.
const MARGIN_SLACK_PERCENT: u64 = 1_000;
/// The mean of honest margins that the chain reckons with is at least the largest mean of a writer times this, percent.
const MEAN_SLACK_PERCENT: u64 = 150;
/// Temperatures that are looked at, thousandths.
const TEMPERATURES_MILLI: [u32; 2] = [0, 800];
const TOP_P_MILLI: u32 = 950;
const SIZE: (u32, u32) = (760, 620);

/// One honest output, read again by another kernel.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The kernel that wrote.
    pub writer: String,
    /// Temperature, thousandths.
    pub temperature_milli: u32,
    /// What the reader measured.
    pub measures: Measures,
}

/// What honest outputs showed.
#[derive(Debug, Clone)]
pub struct Calibration {
    /// The kernel that read.
    pub reader: String,
    /// Every output.
    pub samples: Vec<Sample>,
    /// What follows.
    pub profile: Profile,
}

/// The kernels of a model that this machine can play: its own, attention by matrix products, and roundings of
/// accelerators, `dtypes`.
#[must_use]
pub fn writers(model: &Candle, device: &Device, dtypes: &[DType]) -> Vec<Candle> {
    let mut all = vec![model.with_model(|model| model, device)];
    if model.model().uses_flash() {
        all.push(model.with_model(|model| model.without_flash(), device));
    }
    for dtype in dtypes {
        all.push(model.with_model(|model| model.rounded(*dtype), device));
    }
    all
}

/// Lets every writer answer every prompt, cold and warm, in at most `tokens` tokens, and reads each answer at once with
/// `model`. `progress` is told of every answer: which, of how many.
///
/// # Errors
/// If a model cannot compute.
pub fn calibrate(
    model: &Candle,
    writers: &[Candle],
    prompts: &[String],
    tokens: u32,
    progress: &dyn Fn(usize, usize),
) -> Result<Calibration, EngineError> {
    use crate::engine::Engine as _;
    let total = writers.len() * prompts.len() * TEMPERATURES_MILLI.len();
    let mut samples = Vec::with_capacity(total);
    for writer in writers {
        for (at, prompt) in prompts.iter().enumerate() {
            for temperature_milli in TEMPERATURES_MILLI {
                let salt = [temperature_milli.to_be_bytes(), (at as u32).to_be_bytes()].concat();
                let order = Order {
                    prompt: prompt.clone(),
                    max_tokens: tokens,
                    sampling: Sampling { temperature_milli, top_p_milli: TOP_P_MILLI },
                    seed: digest(&[b"xpl/calibrate/v1", &salt]),
                    request_hash: digest(&[prompt.as_bytes()]),
                };
                let claim = write(writer, &order)?;
                let report = verify(model, &claim, Tier::Tolerant, &|_| ())?;
                let writer = writer.info().kernel_id;
                samples.push(Sample { writer, temperature_milli, measures: report.measures });
                progress(samples.len(), total);
            }
        }
    }
    let profile = profile_of(&samples);
    Ok(Calibration { reader: model.info().kernel_id, samples, profile })
}

/// The profile that these honest outputs ask for: the largest values, and a margin of which the part that the chain takes
/// for the mean of honest work is above every writer's mean at every temperature. None of its numbers is below the least that
/// the chain allows; of one above the most, [`refused`] tells.
#[must_use]
pub fn profile_of(samples: &[Sample]) -> Profile {
    let mut worst = Measures::default();
    let mut margins: BTreeMap<(&str, u32), (u64, u64)> = BTreeMap::new();
    for Sample { writer, temperature_milli, measures } in samples {
        let Measures {
            exponent_mismatches,
            mantissa_mean_centi,
            mantissa_median,
            projection_ppm,
            margin_ppm,
            outliers: _,
            tokens,
            is_ended_well: _,
        } = *measures;
        worst.exponent_mismatches = worst.exponent_mismatches.max(exponent_mismatches);
        worst.mantissa_mean_centi = worst.mantissa_mean_centi.max(mantissa_mean_centi);
        worst.mantissa_median = worst.mantissa_median.max(mantissa_median);
        worst.projection_ppm = worst.projection_ppm.max(projection_ppm);
        worst.margin_ppm = worst.margin_ppm.max(margin_ppm);
        let (sum, count) = margins.entry((writer, *temperature_milli)).or_default();
        *sum += u64::from(margin_ppm) * u64::from(tokens.max(MARGIN_TOKENS_MIN));
        *count += u64::from(tokens);
    }
    let mean_ppm =
        margins.values().map(|(sum, count)| sum.div_ceil((*count).max(1))).max().unwrap_or(0);
    let part_bps = u64::from(default_params().drift_margin_bps);
    let by_mean = (mean_ppm * MEAN_SLACK_PERCENT * u64::from(BPS)).div_ceil(part_bps * 100);
    let by_mean = u32::try_from(by_mean).unwrap_or(u32::MAX);
    let (floor, ceiling) = bounds(&default_params());
    let margin_most = ceiling.margin_ppm_max.max(worst.margin_ppm);
    let above = |value: u32, percent: u64, floor: u32| {
        let scaled = (u64::from(value) * percent).div_ceil(100);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(floor)
    };
    // Of what is counted one by one many more are seen now and then: three deviations of a Poisson count.
    let counted = worst.exponent_mismatches;
    let rare = counted.saturating_add(counted.saturating_mul(9).isqrt()).saturating_add(1);
    let exponents = above(counted, SLACK_PERCENT, floor.exponent_mismatches_max);
    Profile {
        exponent_mismatches_max: exponents.max(rare.min(ceiling.exponent_mismatches_max)),
        mantissa_mean_centi_max: above(
            worst.mantissa_mean_centi,
            SLACK_PERCENT,
            floor.mantissa_mean_centi_max,
        ),
        mantissa_median_max: above(worst.mantissa_median, SLACK_PERCENT, floor.mantissa_median_max),
        projection_ppm_max: above(worst.projection_ppm, SLACK_PERCENT, floor.projection_ppm_max),
        margin_ppm_max: above(worst.margin_ppm, MARGIN_SLACK_PERCENT, floor.margin_ppm_max)
            .max(by_mean)
            .min(margin_most),
        tokens_per_outlier: DEFAULT_PROFILE.tokens_per_outlier,
    }
}

/// What the chain would refuse a calibrated profile for, in words: a model whose honest kernels are further apart than it allows
/// cannot be audited, and a smaller number would condemn them.
#[must_use]
pub fn refused(profile: &Profile) -> Option<String> {
    let (floor, ceiling) = bounds(&default_params());
    let (name, value, least, most) = outside(profile, &floor, &ceiling)?;
    Some(format!(
        "{name} came to {value}, but a chain takes {least} to {most}: honest kernels of this model are too far apart for a jury"
    ))
}

/// A profile as the JSON that `profile.json` holds, and that is read back as one.
#[must_use]
pub fn profile_json(profile: &Profile) -> Value {
    let Profile {
        exponent_mismatches_max,
        mantissa_mean_centi_max,
        mantissa_median_max,
        projection_ppm_max,
        margin_ppm_max,
        tokens_per_outlier,
    } = profile;
    json!({
        "exponent_mismatches_max": exponent_mismatches_max,
        "mantissa_mean_centi_max": mantissa_mean_centi_max,
        "mantissa_median_max": mantissa_median_max,
        "projection_ppm_max": projection_ppm_max,
        "margin_ppm_max": margin_ppm_max,
        "tokens_per_outlier": tokens_per_outlier,
    })
}

/// Each measure of each sample as a dot, writers in columns, and the threshold as a line.
///
/// # Errors
/// If the drawing fails.
pub fn to_svg(samples: &[Sample], profile: &Profile) -> Result<String, String> {
    let mut writers: Vec<&str> = samples.iter().map(|sample| sample.writer.as_str()).collect();
    writers.dedup();
    type Measure = fn(&Measures) -> u32;
    let panels: [(&str, Measure, u32); 4] = [
        ("A: exponent mismatches", |m| m.exponent_mismatches, profile.exponent_mismatches_max),
        ("A: mantissa mean, 1/100", |m| m.mantissa_mean_centi, profile.mantissa_mean_centi_max),
        ("B: projection, ppm", |m| m.projection_ppm, profile.projection_ppm_max),
        ("C: margin, ppm of a logit", |m| m.margin_ppm, profile.margin_ppm_max),
    ];
    let mut svg = String::new();
    let text = |error: DrawingAreaErrorKind<std::io::Error>| error.to_string();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(text)?;
        for (area, (name, value, threshold)) in root.split_evenly((2, 2)).iter().zip(panels) {
            let most = samples.iter().map(|sample| value(&sample.measures)).max().unwrap_or(0);
            let top = f64::from(most.max(threshold)) * 1.15 + 1.0;
            let mut chart = ChartBuilder::on(area)
                .caption(name, ("sans-serif", 15))
                .margin(8)
                .x_label_area_size(24)
                .y_label_area_size(52)
                .build_cartesian_2d(-0.6..writers.len() as f64 - 0.4, 0.0..top)
                .map_err(text)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .x_labels(writers.len())
                .x_label_formatter(&|x| label(&writers, *x))
                .draw()
                .map_err(text)?;
            let limit = f64::from(threshold);
            let line = vec![(-0.6, limit), (writers.len() as f64 - 0.4, limit)];
            chart
                .draw_series(std::iter::once(PathElement::new(line, RED.stroke_width(2))))
                .map_err(text)?;
            let dots = samples.iter().map(|sample| {
                let column = writers.iter().position(|writer| *writer == sample.writer);
                let shift = if sample.temperature_milli == 0 { -0.12 } else { 0.12 };
                let x = column.unwrap_or(0) as f64 + shift;
                Circle::new((x, f64::from(value(&sample.measures))), 3, BLUE.mix(0.5).filled())
            });
            chart.draw_series(dots).map_err(text)?;
        }
        root.present().map_err(text)?;
    }
    Ok(svg)
}

/// Attention and numeric type of the writer in a column: what tells the kernels of one machine apart.
fn label(writers: &[&str], x: f64) -> String {
    if (x - x.round()).abs() > 0.01 || x < -0.01 {
        return String::new();
    }
    let writer = writers.get(x.round() as usize).copied().unwrap_or_default();
    let parts: Vec<&str> = writer.split('/').collect();
    match parts.as_slice() {
        [_, _, attention, dtype, ..] => format!("{attention} {dtype}"),
        _ => writer.to_owned(),
    }
}
