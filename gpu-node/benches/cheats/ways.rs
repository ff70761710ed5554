//! What providers do that cheat on purpose, and the models that they put in the place of the right one.

use std::path::Path;

use anyhow::{Context as _, Result};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use gpu_node::engine::candle::{Candle, PREFILL_TOKENS, load_changed, load_folder};
use gpu_node::engine::{Engine as _, EngineError, Sampler, Transcript};
use gpu_node::verify::{Claim, Order};
use plasma_modules::types::digest;

/// A draft's token is taken if it is this near to winning, in logits: a speculator who does not look closely.
const SLACK: f64 = 0.5;
/// Size of a fine-tuning: deviation of the change of a weight, of the weight's own, and its rank.
const TUNED: f64 = 0.05;
const TUNED_RANK: usize = 4;

/// What a provider does, and its name in tables.
macro_rules! ways {
    ($($way:ident $name:literal)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Way { $($way),* }

        use Way::*;

        pub const WAYS: &[Way] = &[$($way),*];

        impl Way {
            pub fn name(self) -> &'static str {
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
    pub fn is_honest(self) -> bool {
        matches!(self, Honest | HonestPlain | HonestF16 | HonestBf16)
    }

    /// Greedy choice knows neither seed nor temperature.
    pub fn exists(self, temperature_milli: u32) -> bool {
        temperature_milli > 0 || self != OtherSeed
    }
}

/// The model, and what cheats put in its place.
pub struct Models {
    pub right: Candle,
    pub plain: Candle,
    pub f16: Candle,
    pub bf16: Candle,
    pub cache_f8: Candle,
    pub q8: Candle,
    pub q4: Candle,
    pub noisy: Candle,
    pub tuned: Candle,
    pub shallow: Candle,
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
    pub fn load(folder: &Path) -> Result<Self, EngineError> {
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
pub fn speculate(right: &Candle, draft: &Candle, order: &Order) -> Result<Claim> {
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
