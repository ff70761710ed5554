//! `make cheat-lab`: providers that cheat on purpose beside honest ones, each read again by a verifier. Prints what was
//! caught, and writes it to `docs/verification/`.
//!
//! `cargo bench -p gpu-node --bench cheats -- [--weights FOLDER] [--prompts 4] [--tokens 128] [--only NAME,...] [--samples FILE] [--out FOLDER]`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, Result, anyhow, bail};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use gpu_node::engine::candle::{Candle, PREFILL_TOKENS, load_changed, load_folder};
use gpu_node::engine::{Engine as _, EngineError, Sampler, Sampling, Transcript, tiny};
use gpu_node::evidence::Segments;
use gpu_node::verify::{
    Claim, DEFAULT_PROFILE, Order, Tier, calibrate, verify, write_recorded, writers,
};
use plasma_modules::attestation::audit;
use plasma_modules::attestation::audit::drift::{Test, load_bps};
use plasma_modules::types::digest;
use plasma_modules::{Amount, market};
use plasma_proto::plasma::attestation::v1::{FinishReason, Measures, Profile};
use plotters::prelude::*;
use serde_json::{Value, json};

/// What providers are asked.
const PROMPTS: [&str; 24] = [
    "Explain in two sentences what a blockchain is, then tell a long story about one.",
    "Write a short poem about the sea in winter.",
    "List ten uses of an old bicycle, with a sentence for each.",
    "How does a steam engine work? Explain it to a child.",
    "Describe the history of the city of Rome from its founding.",
    "Give me a recipe for bread, step by step, with reasons.",
    "What would happen if the moon were twice as far away?",
    "Tell me about three famous mathematicians and what they found.",
    "Write a dialogue between a cat and a dog about the weather.",
    "Why is the sky blue in the day and red in the evening?",
    "Plan a walk of three days through the mountains.",
    "Explain how a vaccine works and why some need a second dose.",
    "Write the first page of a novel that begins in a railway station.",
    "What are the differences between a virus and a bacterium?",
    "Give advice to somebody who begins to learn the piano.",
    "Describe how paper is made, from the tree to the sheet.",
    "Write a function in Python that finds the largest number in a list, and explain it.",
    "Which planets of the solar system have rings, and what are they made of?",
    "Summarise the story of Robinson Crusoe for a friend.",
    "How do bees find their way back to the hive?",
    "Argue for and against building a bridge over the river of a small town.",
    "Tell a fairy tale about a baker who could not sleep.",
    "What should one know before buying a used car?",
    "Explain what inflation is with an example from a market.",
];
/// What the profile of this machine's own kernels is made from: none of the above.
const CALIBRATION: [&str; 2] = [
    "What is the difference between a lake and a sea?",
    "Write a letter to a friend about your new garden.",
];
const CALIBRATION_TOKENS: u32 = 64;
/// What a provider puts before the prompt without saying so.
const HIDDEN: &str = "Answer cheerfully and praise our sponsor. ";
/// Lengths at which a longer output is looked at, as if no more had been ordered: whole segments.
const CUTS: [u32; 2] = [32, 128];
/// Lengths that end within a segment, or one row after it, are written anew: a leaf is of all its rows.
const SHORT: [u32; 2] = [8, 33];
/// The most tokens of an output.
const TOKENS_MAX: u32 = 512;
/// A draft's token is taken if it is this near to winning, in logits: a speculator who does not look closely.
const SLACK: f64 = 0.5;
/// Size of a fine-tuning: deviation of the change of a weight, of the weight's own, and its rank.
const TUNED: f64 = 0.05;
const TUNED_RANK: usize = 4;
const TEMPERATURES_MILLI: [u32; 2] = [0, 800];
const TOP_P_MILLI: u32 = 950;
/// Careers of cheats that are played, and the receipts after which one that was never convicted is given up.
const CAREERS: u64 = 400;
const CAREER_RECEIPTS_MAX: u64 = 200_000;
/// Part of receipts that is audited, percent: what detection over many receipts is reckoned with.
const AUDITED_PERCENT: f64 = 10.0;
/// What a provider has at risk when its profit is reckoned, XPL, and its only unsettled charge: what the bond that the
/// protocol reckons with carries.
const AT_RISK_XPL: u32 = 50;
const UXPL_PER_XPL: f64 = 1e6;
/// The tables, in the folder of figures.
const FIGURES: &str = "figures.md";
/// Every receipt, beside them.
const SAMPLES: &str = "samples.jsonl";
/// What a report calls faults.
const FAULTS: [&str; 6] = ["leaves", "root", "fingerprint", "projection", "tokens", "end"];
const SIZE: (u32, u32) = (860, 420);
/// Letters in a line of a column's name.
const LABEL_LETTERS: usize = 13;

/// What a provider does, and its name in tables.
macro_rules! ways {
    ($($way:ident $name:literal)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Way { $($way),* }

        use Way::*;

        const WAYS: &[Way] = &[$($way),*];

        impl Way {
            fn name(self) -> &'static str {
                match self { $($way => $name),* }
            }
        }
    };
}

ways! {
    Honest "honest"
    HonestPlain "honest, other attention"
    HonestF16 "honest, rounds to f16"
    HonestBf16 "honest, rounds to bf16"
    Q8 "q8_0 weights"
    Q4 "q4_0 weights"
    Noise "weights + 1 % noise"
    Tuned "fine-tuned twin"
    Shallow "two layers left out"
    CacheF8 "keys and values in 8 bits"
    Speculative "q4_0 drafts, taken too easily"
    OtherSeed "other seed"
    OtherTemperature "other temperature"
    HiddenPrompt "hidden prompt"
    HalfPrompt "half of the prompt"
    OtherTokenizer "tokenizer that lower-cases"
    PrefillAttack "q4_0 writes, right model proves"
    Cached "answer to another prompt, right model proves"
    Inflated "last quarter said twice"
    TokenAltered "one token altered"
    StopsEarly "stops early"
    Replayed "evidence of another answer"
}

impl Way {
    fn is_honest(self) -> bool {
        matches!(self, Honest | HonestPlain | HonestF16 | HonestBf16)
    }

    /// Greedy choice knows neither seed nor temperature.
    fn exists(self, temperature_milli: u32) -> bool {
        temperature_milli > 0 || self != OtherSeed
    }
}

struct Options {
    weights: Option<PathBuf>,
    prompts: usize,
    tokens: u32,
    /// Names of ways that are played, or parts of them; all if there are none.
    only: Vec<String>,
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
    let mut options =
        Options { weights: None, prompts: 4, tokens: 128, only: Vec::new(), samples: None, out };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word.as_str() {
            "--weights" => options.weights = Some(value()?.into()),
            "--prompts" => options.prompts = value()?.parse::<usize>()?.min(PROMPTS.len()),
            "--tokens" => options.tokens = value()?.parse::<u32>()?.clamp(8, TOKENS_MAX),
            "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
            "--samples" => options.samples = Some(value()?.into()),
            "--out" => options.out = value()?.into(),
            // What cargo passes to every bench.
            "--bench" => {}
            _ => bail!(
                "unknown option {word}: --weights FOLDER, --prompts N, --tokens N, --only NAME,..., --samples FILE, --out FOLDER"
            ),
        }
    }
    Ok(options)
}

/// The model, and what cheats put in its place.
struct Models {
    right: Candle,
    plain: Candle,
    f16: Candle,
    bf16: Candle,
    cache_f8: Candle,
    q8: Candle,
    q4: Candle,
    noisy: Candle,
    tuned: Candle,
    shallow: Candle,
}

fn requantised(weight: Tensor, dtype: GgmlDType) -> candle_core::Result<Tensor> {
    // Norms are vectors, and rows that do not fill blocks cannot be quantised: both stay, as in real files.
    if weight.rank() != 2 || !weight.dim(1)?.is_multiple_of(32) {
        return Ok(weight);
    }
    let exact = weight.to_dtype(DType::F32)?;
    QTensor::quantize(&exact, dtype)?.dequantize(&Device::Cpu)
}

/// So many nearly normal numbers of deviation 1, from a counter: the same in every run.
fn normals(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let seed = digest(&[b"noise", name.as_bytes()]);
    let mut state = u64::from_be_bytes(std::array::from_fn(|at| seed[at]));
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Four uniform numbers, scaled by sqrt(3).
        let sum: f64 = (0..4).map(|part| f64::from((state >> (16 * part)) as u16) / 65_535.0).sum();
        ((sum - 2.0) * 1.732) as f32
    })
}

fn deviation(weight: &Tensor) -> candle_core::Result<f64> {
    let mean_square = weight.sqr()?.mean_all()?.to_scalar::<f32>()?;
    Ok(f64::from(mean_square).sqrt())
}

/// Noise of 1 % of the weights' own deviation.
fn noisy(name: &str, weight: Tensor) -> candle_core::Result<Tensor> {
    let weight = weight.to_dtype(DType::F32)?;
    let count = weight.elem_count();
    let noise = normals(name, count).collect::<Vec<_>>();
    let noise = Tensor::from_vec(noise, count, &Device::Cpu)?.reshape(weight.shape())?;
    &weight + (noise * (0.01 * deviation(&weight)?))?
}

/// What a fine-tuning of low rank adds to each matrix of the layers, of a size as fine-tunings have.
fn tuned(name: &str, weight: Tensor) -> candle_core::Result<Tensor> {
    if weight.rank() != 2 || !name.contains("layers.") {
        return Ok(weight);
    }
    let weight = weight.to_dtype(DType::F32)?;
    let (rows, columns) = weight.dims2()?;
    let numbers = normals(name, (rows + columns) * TUNED_RANK).collect::<Vec<_>>();
    let (up, down) = numbers.split_at(rows * TUNED_RANK);
    let up = Tensor::from_slice(up, (rows, TUNED_RANK), &Device::Cpu)?;
    let down = Tensor::from_slice(down, (TUNED_RANK, columns), &Device::Cpu)?;
    let size = TUNED * deviation(&weight)? / (TUNED_RANK as f64).sqrt();
    &weight + (up.matmul(&down)? * size)?
}

/// Two layers in the middle give what they were given: nothing is added to it.
fn shallow(name: &str, weight: Tensor, layers: usize) -> candle_core::Result<Tensor> {
    let is_left_out = [layers / 2, layers / 2 + 1].iter().any(|layer| {
        ["self_attn.o_proj", "mlp.down_proj"]
            .iter()
            .any(|part| name == format!("model.layers.{layer}.{part}.weight"))
    });
    if is_left_out { weight.zeros_like() } else { Ok(weight) }
}

impl Models {
    fn load(folder: &Path) -> Result<Self, EngineError> {
        let cpu = &Device::Cpu;
        let changed = |change: &mut dyn FnMut(&str, Tensor) -> candle_core::Result<Tensor>| {
            load_changed(folder, cpu, usize::MAX, change)
        };
        let right = load_folder(folder, cpu, usize::MAX)?;
        let layers = right.model().config().num_hidden_layers;
        Ok(Self {
            plain: right.with_model(|model| model.without_flash(), cpu),
            f16: right.with_model(|model| model.rounded(DType::F16), cpu),
            bf16: right.with_model(|model| model.rounded(DType::BF16), cpu),
            cache_f8: right.with_model(|model| model.with_cache_rounded(DType::F8E4M3), cpu),
            q8: changed(&mut |_, weight| requantised(weight, GgmlDType::Q8_0))?,
            q4: changed(&mut |_, weight| requantised(weight, GgmlDType::Q4_0))?,
            noisy: changed(&mut noisy)?,
            tuned: changed(&mut tuned)?,
            shallow: changed(&mut |name, weight| shallow(name, weight, layers))?,
            right,
        })
    }
}

/// Writes with a cheap model's drafts, each of which the right model takes if it is near enough; then claims that the
/// right model wrote it, with its evidence.
fn speculate(right: &Candle, draft: &Candle, order: &Order) -> Result<Claim> {
    let Order { prompt, max_tokens, sampling, seed, request_hash: _ } = order;
    let tokens = right.tokenizer().prompt(prompt)?;
    let sampler = Sampler::new(*sampling, *seed)?;
    let room = tokens.len() + *max_tokens as usize;
    let mut caches = [draft, right].map(|model| (model, model.model().kv(room)));
    let mut transcript = Transcript::new(&[], *max_tokens);
    let mut fed = tokens;
    while transcript.finish().is_none() {
        let position = transcript.tokens().len() as u64;
        let mut logits = Vec::new();
        for (model, kv) in &mut caches {
            let mut last = None;
            for part in fed.chunks(PREFILL_TOKENS) {
                last = Some(model.model().hidden(kv, part)?);
            }
            let last = last.context("nothing to read")?;
            let row = last.narrow(0, last.dim(0)? - 1, 1)?;
            logits.push(model.model().logits(&row)?.get(0)?.to_vec1::<f32>()?);
        }
        let drafted = sampler.choose(&logits[0], position)?;
        let is_near = sampler.margin(&logits[1], position, drafted)? <= SLACK;
        let token = if is_near { drafted } else { sampler.choose(&logits[1], position)? };
        transcript.push(right.tokenizer(), token);
        fed = vec![token];
    }
    Ok(order.claim(&transcript))
}

/// One receipt, judged.
#[derive(Debug, Clone)]
struct Judged {
    way: Way,
    temperature_milli: u32,
    tokens: u32,
    segments: usize,
    measures: Measures,
    /// By each profile.
    faults: [Vec<&'static str>; 2],
}

impl Judged {
    fn is_caught(&self, profile: usize) -> bool {
        !self.faults[profile].is_empty()
    }
}

/// What honest work and its checking took.
#[derive(Default)]
struct Spent {
    writing: Duration,
    reading: Duration,
}

/// All lengths at which the outputs are looked at, if the longest are of `whole` tokens.
fn lengths(whole: u32) -> Vec<u32> {
    let mut lengths: Vec<u32> =
        SHORT.into_iter().chain(CUTS).filter(|length| *length < whole).collect();
    lengths.push(whole);
    lengths.sort_unstable();
    lengths
}

struct Lab {
    models: Models,
    options: Options,
    /// For kernels of every type, and for those of this machine's own type.
    profiles: [Profile; 2],
    judged: Mutex<Vec<Judged>>,
    spent: Mutex<Spent>,
}

impl Lab {
    /// Every way of serving one prompt at one temperature.
    fn serve(&self, at: usize, temperature_milli: u32) -> Result<()> {
        let whole = self.options.tokens;
        for short in SHORT.into_iter().filter(|short| *short < whole) {
            self.write(at, temperature_milli, short, &[])?;
        }
        self.write(at, temperature_milli, whole, &CUTS)
    }

    /// Writes one length, and looks at it whole and cut.
    fn write(&self, at: usize, temperature_milli: u32, tokens: u32, cuts: &[u32]) -> Result<()> {
        let Models { right, plain, f16, bf16, cache_f8, q8, q4, noisy, tuned, shallow } =
            &self.models;
        let sampling = Sampling { temperature_milli, top_p_milli: TOP_P_MILLI };
        let prompt = PROMPTS[at].to_owned();
        let salt = [temperature_milli, at as u32, tokens].map(u32::to_be_bytes).concat();
        let order = Order {
            request_hash: digest(&[prompt.as_bytes()]),
            prompt,
            max_tokens: tokens,
            sampling,
            seed: digest(&[b"lab", &salt]),
        };
        let strange = Order { seed: [9; 32], ..order.clone() };
        let milli = if temperature_milli == 0 { 300 } else { temperature_milli * 3 / 2 };
        let hot = Sampling { temperature_milli: milli, ..sampling };
        let hot = Order { sampling: hot, ..order.clone() };
        let asked = |prompt: String| Order { prompt, ..order.clone() };
        let prompted = asked(format!("{HIDDEN}{}", order.prompt));
        let words: Vec<&str> = order.prompt.split(' ').collect();
        let half = asked(words[words.len() / 2..].join(" "));
        let lower = asked(order.prompt.to_lowercase());
        let other = asked(CALIBRATION[at % CALIBRATION.len()].to_owned());
        let began = Instant::now();
        let (claim, segments) = write_recorded(right, &order)?;
        if tokens == self.options.tokens {
            self.spent.lock().map_err(|_| anyhow!("a lock broke"))?.writing += began.elapsed();
        }
        let is_played = |way: &Way| way.exists(temperature_milli) && self.options.plays(*way);
        for way in WAYS.iter().copied().filter(is_played) {
            let (mut written, recorded) = match way {
                Honest | Replayed | TokenAltered | StopsEarly | Inflated => {
                    (claim.clone(), segments.clone())
                }
                HonestPlain => write_recorded(plain, &order)?,
                HonestF16 => write_recorded(f16, &order)?,
                HonestBf16 => write_recorded(bf16, &order)?,
                Q8 => write_recorded(q8, &order)?,
                Q4 => write_recorded(q4, &order)?,
                Noise => write_recorded(noisy, &order)?,
                OtherSeed => write_recorded(right, &strange)?,
                OtherTemperature => write_recorded(right, &hot)?,
                HiddenPrompt => write_recorded(right, &prompted)?,
                HalfPrompt => write_recorded(right, &half)?,
                OtherTokenizer => write_recorded(right, &lower)?,
                Tuned => write_recorded(tuned, &order)?,
                Shallow => write_recorded(shallow, &order)?,
                CacheF8 => write_recorded(cache_f8, &order)?,
                Cached => write_recorded(right, &other)?,
                Speculative => (speculate(right, q4, &order)?, Segments::default()),
                PrefillAttack => (write_recorded(q4, &order)?.0, Segments::default()),
            };
            // What is claimed is what was ordered.
            (written.prompt, written.seed, written.sampling) =
                (order.prompt.clone(), order.seed, order.sampling);
            // Whole at last: some end before.
            for length in cuts.iter().copied().filter(|cut| *cut < tokens).chain([tokens]) {
                if length == tokens || written.output.len() >= length as usize {
                    let made = self.cut(way, &written, &recorded, length)?;
                    self.judge(way, temperature_milli, length, &made)?;
                }
            }
        }
        Ok(())
    }

    /// The claim as if at most so many tokens had been ordered, with the evidence that its provider has for it.
    fn cut(&self, way: Way, whole: &Claim, recorded: &Segments, length: u32) -> Result<Claim> {
        let right = &self.models.right;
        let mut claim = whole.clone();
        claim.output.truncate(length as usize);
        claim.max_tokens = length;
        if claim.output.len() < whole.output.len() {
            claim.finish = FinishReason::Length;
        }
        let mut segments = recorded.clone();
        segments.all.truncate(1 + claim.output.len().div_ceil(32));
        match way {
            PrefillAttack | Speculative | Cached => claim.prove_by_reading(right)?,
            Inflated => {
                let repeated = claim.output.len() / 4;
                let kept = claim.output.len() - repeated;
                claim.output.copy_within(kept - repeated..kept, kept);
                claim.prove_by_reading(right)?;
            }
            TokenAltered => {
                let at = claim.output.len() / 2;
                claim.output[at] = (claim.output[at] + 1) % 1_000;
                claim.prove_by_reading(right)?;
            }
            StopsEarly => {
                // Two thirds, then the end token, claimed to be the model's; paid by the token, it saves a third.
                claim.output.truncate((claim.output.len() * 2 / 3).max(1));
                let end = right.tokenizer().eos().first().copied().unwrap_or_default();
                claim.output.push(end);
                claim.finish = FinishReason::Eos;
                claim.prove_by_reading(right)?;
            }
            Replayed => {
                let mut other = Claim { seed: [3; 32], ..claim.clone() };
                other.prove(&segments)?;
                (claim.leaves, claim.root) = (other.leaves, other.root);
            }
            _ => claim.prove(&segments)?,
        }
        Ok(claim)
    }

    /// Writes what is known so far, so that a run that is broken off has figures of the orders that it did.
    fn publish(&self, name: &str, kernel: &str) -> Result<()> {
        let options = &self.options;
        let broken = || anyhow!("a lock broke");
        let mut judged = self.judged.lock().map_err(|_| broken())?;
        judged.sort_by_key(|one| {
            (WAYS.iter().position(|way| *way == one.way), one.tokens, one.temperature_milli)
        });
        let spent = self.spent.lock().map_err(|_| broken())?;
        fs::create_dir_all(&options.out)?;
        let text = figures(name, options, &self.profiles, &judged, &spent, kernel);
        fs::write(options.out.join(FIGURES), text)?;
        let lines = judged.iter().map(|one| format!("{}\n", one.json()));
        fs::write(options.out.join(SAMPLES), lines.collect::<String>())?;
        let projection = |m: &Measures| m.projection_ppm;
        let limit = DEFAULT_PROFILE.projection_ppm_max;
        draw(
            &options.out.join("projection.svg"),
            "B: distance of projections, worst segment",
            &judged,
            projection,
            limit,
        )?;
        let limit = DEFAULT_PROFILE.margin_ppm_max;
        draw(
            &options.out.join("margin.svg"),
            "C: mean margin, logits",
            &judged,
            |m| m.margin_ppm,
            limit,
        )
    }

    fn judge(&self, way: Way, temperature_milli: u32, tokens: u32, claim: &Claim) -> Result<()> {
        let began = Instant::now();
        let report = verify(&self.models.right, claim, Tier::Tolerant, &|_| ())?;
        let took = began.elapsed();
        if way == Honest && tokens == self.options.tokens {
            self.spent.lock().map_err(|_| anyhow!("a lock broke"))?.reading += took;
        }
        let faults = self.profiles.each_ref().map(|profile| report.faults(profile));
        let segments = report.segments.as_ref().map_or(0, Vec::len);
        let measures = report.measures;
        let judged = Judged { way, temperature_milli, tokens, segments, measures, faults };
        self.judged.lock().map_err(|_| anyhow!("a lock broke"))?.push(judged);
        Ok(())
    }
}

/// A row of a JSON object of numbers, and back.
macro_rules! numbers {
    ($($name:ident)*) => {
        fn measures_json(measures: &Measures) -> Value {
            json!({ $(stringify!($name): measures.$name,)* "is_ended_well": measures.is_ended_well })
        }

        fn measures_of(value: &Value) -> Option<Measures> {
            let number = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
            let is_ended_well = value.get("is_ended_well")?.as_bool()?;
            Some(Measures { $($name: number(stringify!($name))?,)* is_ended_well })
        }
    };
}

numbers! {
    exponent_mismatches mantissa_mean_centi mantissa_median projection_ppm margin_ppm outliers tokens
}

impl Judged {
    fn json(&self) -> Value {
        let Self { way, temperature_milli, tokens, segments, measures, faults } = self;
        json!({
            "provider": way.name(),
            "temperature_milli": temperature_milli,
            "length": tokens,
            "segments": segments,
            "measures": measures_json(measures),
            "faults": faults,
        })
    }

    /// A receipt that a former run wrote.
    fn of_json(value: &Value) -> Option<Self> {
        let name = value.get("provider")?.as_str()?;
        let number = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
        let faults = |at: usize| {
            let names = value.get("faults")?.get(at)?.as_array()?.iter();
            let known = |name: &Value| FAULTS.iter().copied().find(|fault| name == fault);
            names.map(known).collect::<Option<Vec<_>>>()
        };
        Some(Self {
            way: WAYS.iter().copied().find(|way| way.name() == name)?,
            temperature_milli: number("temperature_milli")?,
            tokens: number("length")?,
            segments: number("segments")? as usize,
            measures: measures_of(value.get("measures")?)?,
            faults: [faults(0)?, faults(1)?],
        })
    }
}

/// Every receipt that a former run wrote, a line each.
fn read_samples(path: &Path) -> Result<Vec<Judged>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let of = |(at, line): (usize, &str)| {
        let value = serde_json::from_str(line).ok();
        value.as_ref().and_then(Judged::of_json).with_context(|| {
            format!("line {} of {} is no receipt of the lab", at + 1, path.display())
        })
    };
    text.lines().enumerate().map(of).collect()
}

/// Wilson's interval of 95 %, percent.
fn interval(hits: usize, of: usize) -> (f64, f64) {
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

/// What a receipt for [`AT_RISK_XPL`] brings a cheat on average, XPL, if cheating costs it nothing and a part `caught` of
/// its audited receipts is told: `(1 - ad) * share - ad * slash`, with the chain's own slash at its default parameters.
fn profit(caught: f64) -> f64 {
    let rate_bps = (AUDITED_PERCENT * 100.0) as u32;
    let at_risk = Amount::new(u128::from(AT_RISK_XPL) * UXPL_PER_XPL as u128);
    let terms = audit::terms(&audit::default_params());
    let slash = audit::stakes::slash(&terms, rate_bps, at_risk, Amount::new(u128::MAX));
    let split = market::default_params().split.unwrap_or_default();
    let earned = f64::from(AT_RISK_XPL) * f64::from(split.provider_bps) / 10_000.0;
    let told = AUDITED_PERCENT / 100.0 * caught;
    (1.0 - told) * earned - told * slash.units() as f64 / UXPL_PER_XPL
}

/// A provider that cheats the same way until it is convicted, by one claim or by what small deviations add up to.
#[derive(Debug, Clone, Copy)]
struct Career {
    receipts: u64,
    /// Tokens that it was paid for, and those of them since the chain began to add up.
    tokens: f64,
    since: f64,
    /// How much of what was paid since is reckoned with at the end: all, or as much as the sums are of the limit.
    part: f64,
}

/// Receipts drawn again and again from those of one row, judged by the chain's own numbers and the wide profile; `None` if
/// none of [`CAREER_RECEIPTS_MAX`] convicted.
fn career(all: &[&Judged], seed: u64) -> Option<Career> {
    let numbers = audit::default_params();
    let test = Test::of(&numbers);
    let limit_micro = u64::from(test.limit_milli) * 1_000;
    let (mut load, mut margin) = (0u64, 0u64);
    let mut random = tiny::SplitMix64(seed);
    let mut below = |count: usize| (random.next() % count.max(1) as u64) as usize;
    let mut career = Career { receipts: 0, tokens: 0.0, since: 0.0, part: 0.0 };
    while career.receipts < CAREER_RECEIPTS_MAX {
        let one = all[below(all.len())];
        let raised = load.max(margin).saturating_mul(10_000) / limit_micro;
        let rate_bps = numbers.rate_min_bps.max(raised.min(10_000) as u32);
        career.receipts += 1;
        if below(10_000) < rate_bps as usize {
            career.part = raised as f64 / 1e4;
            if one.is_caught(0) {
                return Some(career);
            }
            if one.measures.tokens >= numbers.drift_tokens_min {
                load = test.next_micro(load, load_bps(&one.measures, &DEFAULT_PROFILE));
            }
            let step = test.margin_step_micro(&one.measures, &DEFAULT_PROFILE);
            margin = margin.saturating_add_signed(step);
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
fn losing_price(careers: &[Career]) -> f64 {
    let market = market::default_params();
    let terms = audit::terms(&audit::default_params());
    let share = f64::from(market.split.unwrap_or_default().provider_bps) / 1e4;
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
fn careers(all: &[&Judged]) -> (String, String) {
    let ended: Option<Vec<Career>> = (0..CAREERS).map(|seed| career(all, seed)).collect();
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

fn figures(
    name: &str,
    options: &Options,
    profiles: &[Profile; 2],
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
    text += &profile_row("wide: the default, for kernels of every type", &profiles[0]);
    text += &profile_row(
        "narrow: calibrated with this machine's f32 kernels, on other prompts",
        &profiles[1],
    );
    text += "\n| provider | tokens | caught, wide | interval, % | by | receipts to 99 % | profit, XPL (at the low end) | receipts until convicted | loses below, XPL per million tokens | caught, narrow | interval, % | receipts to 99 % | profit, XPL (at the low end) | A: exponents | A: mantissa mean | B: projection | C: margin |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
    for way in WAYS.iter().copied() {
        for length in lengths(options.tokens) {
            let all: Vec<&Judged> =
                judged.iter().filter(|one| one.way == way && one.tokens == length).collect();
            if all.is_empty() {
                continue;
            }
            let caught =
                [0, 1].map(|profile| all.iter().filter(|one| one.is_caught(profile)).count());
            let intervals = caught.map(|caught| {
                let (low, high) = interval(caught, all.len());
                format!("{low:.0} to {high:.0}")
            });
            let receipts = caught.map(|caught| {
                if way.is_honest() { "-".into() } else { receipts_to_99(caught, all.len()) }
            });
            let profits = caught.map(|caught| {
                if way.is_honest() {
                    return "-".into();
                }
                let (low, _) = interval(caught, all.len());
                let found = caught as f64 / all.len() as f64;
                format!("{:+.1} ({:+.1})", profit(found), profit(low / 100.0))
            });
            let (until, losing) = careers(&all);
            let mut by: Vec<&str> =
                all.iter().flat_map(|one| one.faults[0].iter().copied()).collect();
            by.sort_unstable();
            by.dedup();
            let measure = |value: fn(&Measures) -> f64| {
                range(all.iter().map(move |one| value(&one.measures)))
            };
            let _ = writeln!(
                text,
                "| {} | {length} | {} of {} | {} | {} | {} | {} | {until} | {losing} | {} of {} | {} | {} | {} | {} | {} | {} | {} |",
                way.name(),
                caught[0],
                all.len(),
                intervals[0],
                by.join(", "),
                receipts[0],
                profits[0],
                caught[1],
                all.len(),
                intervals[1],
                receipts[1],
                profits[1],
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
         Receipts until convicted: the median (and 95 %) of {CAREERS} providers with the row's receipts, by one claim or by what small deviations add up to, if at first {AUDITED_PERCENT:.0} % of claims are audited. \
         Loses below: what a million tokens may cost so that such a provider loses more than it was paid on average, with the least bond there is, if cheating costs nothing.\n",
        profit(0.0),
    );
    text += "\nThe narrow profile is for a model whose every honest kernel computes in f32: those that round to f16 or bf16 are rightly told apart by it.\n";
    let kinds: [(&str, &[Way]); 2] = [
        ("wide", &[Honest, HonestPlain, HonestF16, HonestBf16]),
        ("narrow", &[Honest, HonestPlain]),
    ];
    for (profile, (name, honest)) in kinds.into_iter().enumerate() {
        let honest: Vec<&Judged> = judged.iter().filter(|one| honest.contains(&one.way)).collect();
        let rejected = honest.iter().filter(|one| one.is_caught(profile)).count();
        let (_, high) = interval(rejected, honest.len().max(1));
        let _ = write!(
            text,
            "\nHonest receipts rejected by the {name} profile: {rejected} of {}, of {} segments; at most {high:.1} % of receipts with 95 %.\n",
            honest.len(),
            honest.iter().map(|one| one.segments).sum::<usize>(),
        );
    }
    if spent.reading > Duration::ZERO {
        let part = spent.reading.as_secs_f64() / spent.writing.as_secs_f64().max(1e-9);
        let _ =
            write!(text, "\nReading a whole output took {part:.3} of the time of writing it.\n");
    }
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
fn draw(
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
    let own = writers(&models.right, &Device::Cpu, &[]);
    let told = |done, of| eprintln!("calibrating: {done} of {of}");
    let prompts = CALIBRATION.map(str::to_owned);
    let narrow = calibrate(&models.right, &own, &prompts, CALIBRATION_TOKENS, &told)?.profile;
    let lab = Lab {
        models,
        options,
        profiles: [DEFAULT_PROFILE, narrow],
        judged: Mutex::new(before),
        spent: Mutex::default(),
    };
    let orders: Vec<(usize, u32)> = (0..lab.options.prompts)
        .flat_map(|at| TEMPERATURES_MILLI.map(|temperature| (at, temperature)))
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
