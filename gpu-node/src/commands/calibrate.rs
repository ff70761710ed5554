use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail, ensure};
use candle_core::DType;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use plasma_proto::plasma::attestation::v1::Measures;
use serde_json::{Value, json};

use super::model::{cache, parse_id};
use super::{Home, usage};
use crate::engine::candle::load_folder;
use crate::hardware::Backend;
use crate::models;
use crate::verify::{Sample, calibrate, profile_json, refused, to_svg, writers};

/// What is asked if no file of prompts is given: short and long, prose and lists, and what has many answers that are nearly as likely.
const PROMPTS: [&str; 8] = [
    "What is the capital of France?",
    "Explain how a bicycle stays upright, in three sentences.",
    "Write a short story about a lighthouse keeper and a storm.",
    "List ten fruits with their colours.",
    "Translate into French: the weather is fine today, and we are going to the market.",
    "A farmer has 17 sheep and buys 12 more, then sells 9. How many are left? Explain each step.",
    "Write sixty random digits, separated by spaces.",
    "List forty words in no order, without any meaning.",
];
/// Most prompts that are read of a file.
const PROMPTS_MAX: usize = 1_000;
const TOKENS_MAX: i64 = 4_096;

#[derive(Debug, Args)]
pub(super) struct Calibrate {
    /// Model id, or a folder
    model: String,
    /// File of prompts, one a line [default: eight of its own]
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Tokens of each answer
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u32).range(1..=TOKENS_MAX))]
    tokens: u32,
    /// Also as accelerators round that compute in these types
    #[arg(long, value_enum, value_delimiter = ',')]
    dtypes: Vec<Rounding>,
    /// cpu, cuda:N or metal:N
    #[arg(long, default_value = "cpu")]
    device: Backend,
    /// Folder for profile.json, samples.json and profile.svg
    #[arg(long, default_value = ".", value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rounding {
    Bf16,
    F16,
}

pub(super) fn run(home: &Home, args: &Calibrate) -> anyhow::Result<()> {
    let prompts: Vec<String> = match &args.prompts {
        None => PROMPTS.map(str::to_owned).to_vec(),
        Some(path) => fs::read_to_string(path)
            .with_context(|| path.display().to_string())?
            .lines()
            .filter(|line| !line.trim().is_empty())
            .take(PROMPTS_MAX)
            .map(str::to_owned)
            .collect(),
    };
    ensure!(!prompts.is_empty(), usage("there is no prompt to ask"));
    let device = args.device.open()?;
    let model = match parse_id(&args.model) {
        Ok(id) => models::load(&cache(&home.path)?, &id, &device)?,
        Err(error) => {
            let folder = PathBuf::from(&args.model);
            ensure!(folder.is_dir(), error.context("neither an id nor a folder"));
            load_folder(&folder, &device, usize::MAX)?
        }
    };
    let dtypes: Vec<DType> = args
        .dtypes
        .iter()
        .map(|dtype| match dtype {
            Rounding::Bf16 => DType::BF16,
            Rounding::F16 => DType::F16,
        })
        .collect();
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} answers, {eta} left")?;
    let bar = ProgressBar::new(0).with_style(style);
    let progress = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let writers = writers(&model, &device, &dtypes);
    let made = calibrate(&model, &writers, &prompts, args.tokens, &progress)?;
    bar.finish_and_clear();

    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let write = |name: &str, text: String| {
        let path = args.out.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let profile = serde_json::to_string_pretty(&profile_json(&made.profile))?;
    write("profile.json", format!("{profile}\n"))?;
    let samples: Vec<Value> = made.samples.iter().map(sample_json).collect();
    let samples = json!({ "reader": made.reader, "samples": samples });
    write("samples.json", format!("{}\n", serde_json::to_string_pretty(&samples)?))?;
    let svg = to_svg(&made.samples, &made.profile).map_err(|error| anyhow!(error))?;
    write("profile.svg", svg)?;
    println!("{profile}");
    // Beside the result, which is the profile alone: programs read it.
    eprintln!(
        "{} answers by {} kernels; written to {}",
        made.samples.len(),
        writers.len(),
        args.out.display()
    );
    match refused(&made.profile) {
        None => Ok(()),
        Some(why) => bail!(
            "{why}. Leave --dtypes or prompts out that ask for more than is served, or use the profile for xpl verify --profile alone"
        ),
    }
}

fn sample_json(sample: &Sample) -> Value {
    let Sample { writer, temperature_milli, measures } = sample;
    let Measures {
        exponent_mismatches,
        mantissa_mean_centi,
        mantissa_median,
        projection_ppm,
        margin_ppm,
        outliers,
        tokens,
        is_ended_well,
    } = measures;
    json!({
        "writer": writer,
        "temperature_milli": temperature_milli,
        "exponent_mismatches": exponent_mismatches,
        "mantissa_mean_centi": mantissa_mean_centi,
        "mantissa_median": mantissa_median,
        "projection_ppm": projection_ppm,
        "margin_ppm": margin_ppm,
        "outliers": outliers,
        "tokens": tokens,
        "is_ended_well": is_ended_well,
    })
}
