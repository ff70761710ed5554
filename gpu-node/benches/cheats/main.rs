//! `make cheat-lab`: providers that cheat on purpose beside honest ones, each read again by a verifier. Prints what was
//! caught, and writes it to `docs/verification/`.
//!
//! `cargo bench -p gpu-node --bench cheats -- [--weights FOLDER] [--prompts 4] [--tokens 128] [--temperatures 0,800] [--only NAME,...] [--whole] [--samples FILE] [--out FOLDER]`

mod figures;
mod goals;
mod lab;
mod receipts;
mod ways;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{fs, thread};

use anyhow::{Context as _, Result, anyhow, bail};
use candle_core::{DType, Device};
use gpu_node::engine::candle::Candle;
use gpu_node::engine::{Engine as _, tiny};
use gpu_node::verify::{DEFAULT_PROFILE, Sample, calibrate, profile_of, writers};

use lab::{CALIBRATION, FIGURES, Lab, PROMPTS, Profiles};
use receipts::read_samples;
use ways::{Models, WAYS, Way};
const CALIBRATION_TOKENS: u32 = 96;
/// The most tokens of an output.
const TOKENS_MAX: u32 = 512;
/// Temperatures of outputs, thousandths, if no others are named.
const TEMPERATURES_MILLI: [u32; 2] = [0, 800];

struct Options {
    weights: Option<PathBuf>,
    prompts: usize,
    tokens: u32,
    temperatures_milli: Vec<u32>,
    /// Names of ways that are played, or parts of them; all if there are none.
    only: Vec<String>,
    /// Only whole outputs are looked at, for a run that adds a length to a former one.
    whole: bool,
    /// Receipts of a former run, which count with those of this one.
    samples: Option<PathBuf>,
    out: PathBuf,
}

impl Options {
    fn plays(&self, way: Way) -> bool {
        let is_name = |part: &String| WAYS.iter().any(|way| way.name() == part);
        let is_meant = |part: &String| match is_name(part) {
            true => way.name() == part,
            false => way.name().contains(part.as_str()),
        };
        self.only.is_empty() || self.only.iter().any(is_meant)
    }
}

fn options() -> Result<Options> {
    let out = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/verification");
    let mut options = Options {
        weights: None,
        prompts: 4,
        tokens: 128,
        temperatures_milli: TEMPERATURES_MILLI.to_vec(),
        only: Vec::new(),
        whole: false,
        samples: None,
        out,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--weights" => options.weights = Some(value()?.into()),
            "--prompts" => options.prompts = value()?.parse::<usize>()?.min(PROMPTS.len()),
            "--tokens" => options.tokens = value()?.parse::<u32>()?.clamp(8, TOKENS_MAX),
            "--temperatures" => {
                let all = value()?;
                let all = all.split(',').map(str::parse);
                options.temperatures_milli = all.collect::<Result<_, _>>()?;
            }
            "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
            "--whole" => options.whole = true,
            "--samples" => options.samples = Some(value()?.into()),
            "--out" => options.out = value()?.into(),
            // What cargo passes to every bench.
            "--bench" => {}
            _ => bail!(
                "unknown option {word}: --weights FOLDER, --prompts N, --tokens N, --temperatures MILLI,..., --only NAME,..., --whole, --samples FILE, --out FOLDER"
            ),
        }
    }
    Ok(options)
}

/// Profiles as `gpu-node calibrate` makes them, with and without the roundings of accelerators.
fn profiles(model: &Candle) -> Result<Profiles> {
    let all = writers(model, &Device::Cpu, &[DType::BF16, DType::F16]);
    let own = writers(model, &Device::Cpu, &[]);
    let is_own = |sample: &Sample| own.iter().any(|one| one.info().kernel_id == sample.writer);
    let told = |done, of| eprintln!("calibrating: {done} of {of}");
    let prompts = CALIBRATION.map(str::to_owned);
    let found = calibrate(model, &all, &prompts, CALIBRATION_TOKENS, &told)?;
    let narrow: Vec<Sample> = found.samples.into_iter().filter(is_own).collect();
    Ok(Profiles {
        default: DEFAULT_PROFILE,
        calibrated: found.profile,
        narrow: profile_of(&narrow),
    })
}

fn main() -> Result<()> {
    let options = options()?;
    let folder = tempfile::tempdir()?;
    let (name, weights) = match &options.weights {
        Some(weights) => {
            let name = weights.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, weights.clone())
        }
        None => {
            tiny::write_tiny(folder.path(), tiny::SEED)?;
            ("the tiny test model".to_owned(), folder.path().to_owned())
        }
    };
    let before = options.samples.as_deref().map(read_samples).transpose()?.unwrap_or_default();
    let models = Models::load(&weights)?;
    let kernel = models.right.info().kernel_id;
    let profiles = profiles(&models.right)?;
    let lab =
        Lab { models, options, profiles, judged: Mutex::new(before), spent: Mutex::default() };
    let orders: Vec<(usize, u32)> = (0..lab.options.prompts)
        .flat_map(|at| lab.options.temperatures_milli.iter().map(move |milli| (at, *milli)))
        .collect();
    lab.publish(&name, &kernel)?;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(orders.len());
    thread::scope(|scope| {
        let work = || -> Result<()> {
            while let Some((at, temperature)) = orders.get(next.fetch_add(1, Ordering::Relaxed)) {
                lab.serve(*at, *temperature)?;
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                lab.publish(&name, &kernel)?;
                eprintln!(
                    "{done} of {} orders, {:.0} s",
                    orders.len(),
                    began.elapsed().as_secs_f64()
                );
            }
            Ok(())
        };
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow!("an order broke off"))?)
    })?;
    print!("{}", fs::read_to_string(lab.options.out.join(FIGURES))?);
    Ok(())
}
