//! The Llama family's forward pass on candle: Llama, Mistral, Qwen2 and their like.
//!
//! Own code rather than a library's, because a verifier needs what libraries hide: the hidden state of every
//! position. On a processor attention is candle-nn's flash attention; on an accelerator, two matrix products
//! and a softmax. Keys and values are kept per sequence.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::attention::{AttnMask, flash_attn};
use candle_nn::kv_cache::KvCache;
use candle_nn::{ops, rotary_emb};
use serde::Deserialize;

use super::EngineError;
use super::referee::{Cache, Referee};
use super::sampler::argmax;

/// Limits on what a model's configuration may ask for.
pub const HIDDEN_MAX: usize = 65_536;
/// See [`HIDDEN_MAX`].
pub const LAYERS_MAX: usize = 1_024;
/// See [`HIDDEN_MAX`].
pub const VOCABULARY_MAX: usize = 4_000_000;
/// See [`HIDDEN_MAX`]; the tables of the rotary embedding are computed for the whole context.
pub const CONTEXT_MAX: usize = 1_048_576;

/// Shape of a model, as Hugging Face's `config.json` tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// `llama`, `mistral`, `qwen2`.
    #[serde(default)]
    pub model_type: String,
    /// Width.
    pub hidden_size: usize,
    /// Width inside the feed-forward part.
    pub intermediate_size: usize,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries.
    pub num_attention_heads: usize,
    /// Heads of keys and values; as many as queries when absent.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; hidden_size / num_attention_heads when absent.
    pub head_dim: Option<usize>,
    /// Added to the variance in the norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary embedding.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Stretching of the rotary embedding.
    pub rope_scaling: Option<RopeScaling>,
    /// Context, tokens.
    pub max_position_embeddings: usize,
    /// Attention sees no further back than this; the context is cut to it.
    pub sliding_window: Option<usize>,
    /// Qwen2 names a window that it does not use.
    pub use_sliding_window: Option<bool>,
    /// Whether the output matrix is the embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Only `silu` is known.
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    /// Tokens that end a sequence: one or several.
    pub eos_token_id: Option<TokenIds>,
}

/// One id or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// One.
    One(u32),
    /// Several.
    Many(Vec<u32>),
}

/// How positions beyond the trained context are mapped into it.
#[derive(Debug, Clone, Deserialize)]
pub struct RopeScaling {
    /// `llama3`, `linear` or `default`.
    #[serde(alias = "type")]
    pub rope_type: String,
    /// Stretch.
    pub factor: Option<f64>,
    /// Wavelengths longer than the old context / this are stretched fully.
    pub low_freq_factor: Option<f64>,
    /// Wavelengths shorter than the old context / this are not stretched.
    pub high_freq_factor: Option<f64>,
    /// Context before stretching, tokens.
    pub original_max_position_embeddings: Option<f64>,
}

fn default_rope_theta() -> f64 {
    10_000.0
}

fn default_activation() -> String {
    "silu".to_owned()
}

impl Config {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// [`EngineError::Files`] when it is not one of a model that this code can run.
    pub fn from_json(json: &[u8]) -> Result<Self, EngineError> {
        let config: Self = serde_json::from_slice(json)
            .map_err(|error| EngineError::Files(format!("config.json: {error}")))?;
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// [`EngineError::Files`] when a number is out of bounds or a feature is not known.
    pub fn check(&self) -> Result<(), EngineError> {
        let no =
            |what: String| Err(EngineError::Files(format!("the model's configuration: {what}")));
        if !["llama", "mistral", "qwen2", ""].contains(&self.model_type.as_str()) {
            return no(format!("model_type {} is not of the Llama family", self.model_type));
        }
        if self.hidden_act != "silu" {
            return no(format!("activation {} is not supported", self.hidden_act));
        }
        let sizes = [
            ("hidden_size", self.hidden_size, HIDDEN_MAX),
            ("intermediate_size", self.intermediate_size, 8 * HIDDEN_MAX),
            ("vocab_size", self.vocab_size, VOCABULARY_MAX),
            ("num_hidden_layers", self.num_hidden_layers, LAYERS_MAX),
            ("num_attention_heads", self.num_attention_heads, HIDDEN_MAX),
            ("num_key_value_heads", self.kv_heads(), self.num_attention_heads),
            ("head_dim", self.head_dim(), HIDDEN_MAX),
            ("max_position_embeddings", self.max_position_embeddings, CONTEXT_MAX),
            ("sliding_window", self.context(), CONTEXT_MAX),
        ];
        for (name, value, limit) in sizes {
            if value == 0 || value > limit {
                return no(format!("{name} is {value}; it must be 1 to {limit}"));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.kv_heads())
            || !self.head_dim().is_multiple_of(2)
        {
            return no("the heads do not divide evenly".to_owned());
        }
        if let Some(scaling) = &self.rope_scaling
            && !["llama3", "linear", "default"].contains(&scaling.rope_type.as_str())
        {
            return no(format!("rope_scaling {} is not supported", scaling.rope_type));
        }
        Ok(())
    }

    /// Heads of keys and values.
    #[must_use]
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    #[must_use]
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Tokens that the model can hold: its positions, or its attention window if that is smaller.
    #[must_use]
    pub fn context(&self) -> usize {
        let window =
            if self.use_sliding_window == Some(false) { None } else { self.sliding_window };
        self.max_position_embeddings.min(window.unwrap_or(usize::MAX))
    }

    /// Tokens that end a sequence.
    #[must_use]
    pub fn eos_ids(&self) -> Vec<u32> {
        match &self.eos_token_id {
            None => Vec::new(),
            Some(TokenIds::One(id)) => vec![*id],
            Some(TokenIds::Many(ids)) => ids.clone(),
        }
    }

    /// Angle per position of each pair of a head, by `libm`. The stretch of Llama 3.1 is that of Hugging Face's
    /// `modeling_rope_utils.py`.
    fn frequencies(&self) -> Vec<f64> {
        let width = self.head_dim() as f64;
        let plain =
            (0..self.head_dim() / 2).map(|i| libm::pow(self.rope_theta, -2.0 * i as f64 / width));
        let Some(scaling) = self.rope_scaling.as_ref() else {
            return plain.collect();
        };
        let factor = scaling.factor.unwrap_or(1.0);
        match scaling.rope_type.as_str() {
            "linear" => plain.map(|frequency| frequency / factor).collect(),
            "llama3" => {
                let old = scaling.original_max_position_embeddings.unwrap_or(8192.0);
                let low = scaling.low_freq_factor.unwrap_or(1.0);
                let high = scaling.high_freq_factor.unwrap_or(4.0);
                plain
                    .map(|frequency| {
                        let turns = old * frequency / (2.0 * std::f64::consts::PI);
                        let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                        (1.0 - smooth) * frequency / factor + smooth * frequency
                    })
                    .collect()
            }
            _ => plain.collect(),
        }
    }

    /// `f` of the angle of each pair of a head at each of so many positions, rounded to f32.
    pub(super) fn angles(&self, positions: usize, f: fn(f64) -> f64) -> Vec<f32> {
        let frequencies = self.frequencies();
        let at = |position: usize| {
            frequencies.iter().map(move |angle| f(position as f64 * angle) as f32)
        };
        (0..positions).flat_map(at).collect()
    }
}

/// Where a model's tensors come from, by their Hugging Face names.
pub type Weights = std::collections::HashMap<String, Tensor>;

/// A matrix, held as a view that is ready for x * w^T, and perhaps a bias.
#[derive(Debug, Clone)]
struct Linear {
    transposed: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let y = x.matmul(&self.transposed)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}

#[derive(Debug, Clone)]
struct Layer {
    /// Queries, keys and values in one product.
    qkv: Linear,
    out: Linear,
    /// Gate and up in one product.
    gate_up: Linear,
    down: Linear,
    norm_attention: Tensor,
    norm_feed: Tensor,
}

/// What candle computes with.
#[derive(Debug, Clone)]
struct Tensors {
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Tensor,
    head: Linear,
    cos: Tensor,
    sin: Tensor,
}

/// What computes.
#[derive(Debug, Clone)]
enum Path {
    Candle(Tensors),
    Referee(Arc<Referee>),
}

/// A model of the Llama family, ready to run.
#[derive(Debug, Clone)]
pub struct Llama {
    config: Config,
    context: usize,
    device: Device,
    path: Path,
    flash: bool,
    rounding: Option<DType>,
    cache_rounding: Option<DType>,
}

#[derive(Debug, Clone)]
enum Store {
    Candle(Vec<KvCache>),
    Referee(Cache),
}

/// Keys and values of one sequence.
#[derive(Debug, Clone)]
pub struct Kv {
    store: Store,
    len: usize,
    capacity: usize,
}

impl Kv {
    /// Tokens seen.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Takes tensors out of the files' contents, so that each is in memory once.
struct Taker<'a> {
    weights: &'a mut Weights,
    dtype: DType,
    device: &'a Device,
}

impl Taker<'_> {
    fn optional(&mut self, name: &str, shape: &[usize]) -> Result<Option<Tensor>, EngineError> {
        let Some(tensor) = self.weights.remove(name) else {
            return Ok(None);
        };
        if tensor.dims() != shape {
            return Err(EngineError::Files(format!(
                "tensor {name} has shape {:?}, expected {shape:?}",
                tensor.dims()
            )));
        }
        Ok(Some(tensor.to_dtype(self.dtype)?.to_device(self.device)?))
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, EngineError> {
        self.optional(name, shape)?
            .ok_or_else(|| EngineError::Files(format!("tensor {name} is missing")))
    }

    /// Several matrices of the same input as one, with their biases if all have one.
    fn linear(&mut self, parts: &[(String, usize)], columns: usize) -> Result<Linear, EngineError> {
        let mut matrices = Vec::new();
        let mut biases = Vec::new();
        for (name, rows) in parts {
            matrices.push(self.tensor(&format!("{name}.weight"), &[*rows, columns])?);
            biases.extend(self.optional(&format!("{name}.bias"), &[*rows])?);
        }
        let bias = match biases.len() {
            0 => None,
            n if n == parts.len() => Some(Tensor::cat(&biases, 0)?),
            _ => {
                return Err(EngineError::Files(format!("{}: some biases are missing", parts[0].0)));
            }
        };
        let matrix =
            if let [one] = matrices.as_slice() { one.clone() } else { Tensor::cat(&matrices, 0)? };
        Ok(Linear { transposed: matrix.t()?, bias })
    }
}

impl Llama {
    /// Builds the model on `device`, in `dtype`, taking its tensors out of `weights`. `context_max` cuts the
    /// context, tokens.
    ///
    /// # Errors
    /// [`EngineError::Files`] when a tensor is missing or has another shape; [`EngineError::Model`] when the
    /// device refuses.
    pub fn new(
        config: Config,
        weights: &mut Weights,
        dtype: DType,
        device: &Device,
        context_max: usize,
    ) -> Result<Self, EngineError> {
        config.check()?;
        let (width, inner, head) =
            (config.hidden_size, config.intermediate_size, config.head_dim());
        let (q, kv) = (config.num_attention_heads * head, config.kv_heads() * head);
        let mut take = Taker { weights, dtype, device };
        let embedding = take.tensor("model.embed_tokens.weight", &[config.vocab_size, width])?;
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for index in 0..config.num_hidden_layers {
            let name = |part: &str| format!("model.layers.{index}.{part}");
            layers.push(Layer {
                qkv: take.linear(
                    &[
                        (name("self_attn.q_proj"), q),
                        (name("self_attn.k_proj"), kv),
                        (name("self_attn.v_proj"), kv),
                    ],
                    width,
                )?,
                out: take.linear(&[(name("self_attn.o_proj"), width)], q)?,
                gate_up: take.linear(
                    &[(name("mlp.gate_proj"), inner), (name("mlp.up_proj"), inner)],
                    width,
                )?,
                down: take.linear(&[(name("mlp.down_proj"), width)], inner)?,
                norm_attention: take.tensor(&name("input_layernorm.weight"), &[width])?,
                norm_feed: take.tensor(&name("post_attention_layernorm.weight"), &[width])?,
            });
        }
        let norm = take.tensor("model.norm.weight", &[width])?;
        // A file that has an output matrix means it, whatever the configuration says of ties.
        let head_matrix = take.optional("lm_head.weight", &[config.vocab_size, width])?;
        let head_matrix = match head_matrix {
            Some(matrix) => matrix,
            None if config.tie_word_embeddings => embedding.clone(),
            None => {
                return Err(EngineError::Files("tensor lm_head.weight is missing".to_owned()));
            }
        };
        let context = config.context().min(context_max);
        let table = |f: fn(f64) -> f64| -> Result<Tensor, EngineError> {
            let values = config.angles(context, f);
            Ok(Tensor::from_vec(values, (context, head / 2), device)?.to_dtype(dtype)?)
        };
        let tensors = Tensors {
            cos: table(libm::cos)?,
            sin: table(libm::sin)?,
            head: Linear { transposed: head_matrix.t()?, bias: None },
            embedding,
            layers,
            norm,
        };
        Ok(Self {
            flash: device.is_cpu() && dtype == DType::F32,
            rounding: None,
            cache_rounding: None,
            device: device.clone(),
            config,
            context,
            path: Path::Candle(tensors),
        })
    }

    /// As [`Llama::new`] with the referee's kernel, which runs on the processor alone.
    ///
    /// # Errors
    /// As [`Referee::new`].
    pub fn refereed(
        config: Config,
        weights: &mut Weights,
        context_max: usize,
    ) -> Result<Self, EngineError> {
        let referee = Referee::new(&config, weights)?;
        let context = context_max.min(referee.shape().rows as usize);
        Ok(Self {
            flash: false,
            rounding: None,
            cache_rounding: None,
            device: Device::Cpu,
            config,
            context,
            path: Path::Referee(Arc::new(referee)),
        })
    }

    /// The referee's model, if that is what computes.
    #[must_use]
    pub fn referee(&self) -> Option<&Arc<Referee>> {
        match &self.path {
            Path::Candle(_) => None,
            Path::Referee(referee) => Some(referee),
        }
    }

    /// Shape of the model.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Tokens that a sequence may have, prompt and output together.
    #[must_use]
    pub fn context(&self) -> usize {
        self.context
    }

    /// Numeric type that it computes in.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match &self.path {
            Path::Candle(tensors) => tensors.embedding.dtype(),
            Path::Referee(_) => DType::F32,
        }
    }

    /// Whether attention is candle-nn's flash attention on the processor.
    #[must_use]
    pub fn uses_flash(&self) -> bool {
        self.flash
    }

    /// The same model with attention by matrix products, as on an accelerator.
    #[must_use]
    pub fn without_flash(mut self) -> Self {
        self.flash = false;
        self
    }

    /// The same model with every result rounded to `dtype`, as an accelerator that computes in it rounds.
    #[must_use]
    pub fn rounded(mut self, dtype: DType) -> Self {
        self.rounding = Some(dtype);
        self
    }

    /// What results are rounded to, if to anything.
    #[must_use]
    pub fn rounding(&self) -> Option<DType> {
        self.rounding
    }

    /// The same model with keys and values kept as `dtype`: a smaller cache.
    #[must_use]
    pub fn with_cache_rounded(mut self, dtype: DType) -> Self {
        self.cache_rounding = Some(dtype);
        self
    }

    /// What keys and values are kept as, if not as they were computed.
    #[must_use]
    pub fn cache_rounding(&self) -> Option<DType> {
        self.cache_rounding
    }

    fn round(&self, x: Tensor) -> candle_core::Result<Tensor> {
        rounded_to(self.rounding, x)
    }

    /// An empty cache for a sequence of up to `capacity` tokens.
    #[must_use]
    pub fn kv(&self, capacity: usize) -> Kv {
        let capacity = capacity.clamp(1, self.context);
        // Positions are the axis that grows: the second for flash attention, the third for matrix products.
        let axis = if self.flash { 1 } else { 2 };
        let store = match &self.path {
            Path::Candle(tensors) => {
                Store::Candle(tensors.layers.iter().map(|_| KvCache::new(axis, capacity)).collect())
            }
            Path::Referee(referee) => Store::Referee(referee.cache()),
        };
        Kv { store, len: 0, capacity }
    }

    /// Runs the tokens that follow what `kv` holds and gives their hidden states after the last norm, one row
    /// per token.
    ///
    /// # Errors
    /// [`EngineError::Model`] for a token out of the vocabulary, no token, or more than the cache has room for.
    pub fn hidden(&self, kv: &mut Kv, tokens: &[u32]) -> Result<Tensor, EngineError> {
        let n = tokens.len();
        if n == 0 || kv.len + n > kv.capacity {
            return Err(EngineError::Model(format!(
                "{n} tokens after {} do not fit into a cache for {}",
                kv.len, kv.capacity
            )));
        }
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.config.vocab_size)
        {
            return Err(EngineError::Model(format!(
                "token {token} is out of the model's vocabulary"
            )));
        }
        let past = kv.len;
        let rows = match (&self.path, &mut kv.store) {
            (Path::Candle(tensors), Store::Candle(caches)) => {
                self.candle_hidden(tensors, caches, past, tokens)?
            }
            (Path::Referee(referee), Store::Referee(cache)) => {
                let rows = referee.hidden(cache, past, tokens)?;
                Tensor::from_vec(rows, (n, self.config.hidden_size), &self.device)?
            }
            _ => return Err(EngineError::Model("the cache is another kernel's".to_owned())),
        };
        kv.len += n;
        Ok(rows)
    }

    fn candle_hidden(
        &self,
        tensors: &Tensors,
        caches: &mut [KvCache],
        past: usize,
        tokens: &[u32],
    ) -> Result<Tensor, EngineError> {
        let n = tokens.len();
        let eps = self.config.rms_norm_eps as f32;
        let cos = tensors.cos.narrow(0, past, n)?;
        let sin = tensors.sin.narrow(0, past, n)?;
        let ids = Tensor::new(tokens, &self.device)?;
        let mut x = self.round(tensors.embedding.index_select(&ids, 0)?)?;
        for (layer, cache) in tensors.layers.iter().zip(caches) {
            let normed = self.round(ops::rms_norm(&x, &layer.norm_attention, eps)?)?;
            let attended = self.attend(layer, cache, &normed, &cos, &sin, past)?;
            x = self.round((x + self.round(layer.out.forward(&attended)?)?)?)?;
            let normed = self.round(ops::rms_norm(&x, &layer.norm_feed, eps)?)?;
            let both = self.round(layer.gate_up.forward(&normed)?)?;
            let inner = self.config.intermediate_size;
            let gated = (ops::silu(&both.narrow(1, 0, inner)?)? * both.narrow(1, inner, inner)?)?;
            x = self.round((x + self.round(layer.down.forward(&self.round(gated)?)?)?)?)?;
        }
        Ok(self.round(ops::rms_norm(&x, &tensors.norm, eps)?)?)
    }

    fn attend(
        &self,
        layer: &Layer,
        cache: &mut KvCache,
        normed: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        past: usize,
    ) -> candle_core::Result<Tensor> {
        let n = normed.dim(0)?;
        let (heads, kv_heads, width) =
            (self.config.num_attention_heads, self.config.kv_heads(), self.config.head_dim());
        let qkv = self.round(layer.qkv.forward(normed)?)?;
        let part = |first: usize, heads: usize| {
            qkv.narrow(1, first * width, heads * width)?.contiguous()?.reshape((1, n, heads, width))
        };
        let q = self.round(rotary_emb::rope_thd(&part(0, heads)?, cos, sin)?)?;
        let k = self.round(rotary_emb::rope_thd(&part(heads, kv_heads)?, cos, sin)?)?;
        let (k, v) = (
            rounded_to(self.cache_rounding, k)?,
            rounded_to(self.cache_rounding, part(heads + kv_heads, kv_heads)?)?,
        );
        let scale = 1.0 / (width as f64).sqrt();
        if self.flash {
            let (k, v) = cache.append(&k, &v)?;
            let mask = AttnMask::causal_with_offset(past);
            let y = flash_attn::<f32>(&q, &k, &v, scale as f32, mask, None, None)?;
            return self.round(y.transpose(1, 2)?.reshape((n, heads * width))?);
        }
        let by_head = |t: Tensor| t.transpose(1, 2)?.contiguous();
        let (k, v) = cache.append(&by_head(k)?, &by_head(v)?)?;
        let group = heads / kv_heads;
        // The query heads that share keys are rows of one product: nothing is repeated.
        let q = by_head(q)?.reshape((kv_heads, group * n, width))?;
        let k = k.squeeze(0)?.contiguous()?;
        let v = v.squeeze(0)?.contiguous()?;
        let seen = k.dim(1)?;
        let mut scores = (q.matmul(&k.t()?)?.to_dtype(DType::F32)? * scale)?;
        if n > 1 {
            let mask = causal_mask(n, past, seen, &self.device)?;
            scores = scores.reshape((kv_heads, group, n, seen))?.broadcast_add(&mask)?;
            scores = scores.reshape((kv_heads, group * n, seen))?;
        }
        let weights = ops::softmax_last_dim(&scores)?.to_dtype(v.dtype())?;
        let y = weights.matmul(&v)?.reshape((heads, n, width))?;
        self.round(y.transpose(0, 1)?.reshape((n, heads * width))?)
    }

    /// Logits of hidden states, in f32, one row each.
    ///
    /// # Errors
    /// [`EngineError::Model`] when the device refuses.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor, EngineError> {
        match &self.path {
            Path::Candle(tensors) => {
                Ok(self.round(tensors.head.forward(hidden)?)?.to_dtype(DType::F32)?)
            }
            Path::Referee(referee) => {
                let rows = hidden.dim(0)?;
                let logits = referee.logits(&hidden.flatten_all()?.to_vec1()?);
                Ok(Tensor::from_vec(logits, (rows, self.config.vocab_size), &self.device)?)
            }
        }
    }

    /// Logits of what follows the last of the rows.
    ///
    /// # Errors
    /// As [`Llama::logits`].
    pub fn last_logits(&self, hidden: &Tensor) -> Result<Vec<f32>, EngineError> {
        let last = hidden.narrow(0, hidden.dim(0)?.saturating_sub(1), 1)?;
        Ok(self.logits(&last)?.flatten_all()?.to_vec1()?)
    }
}

/// What is left of `x` when it has been kept as `dtype`.
fn rounded_to(dtype: Option<DType>, x: Tensor) -> candle_core::Result<Tensor> {
    match dtype {
        Some(dtype) => x.to_dtype(dtype)?.to_dtype(x.dtype()),
        None => Ok(x),
    }
}

/// Zero where a row may look, minus infinity where the future is.
fn causal_mask(n: usize, past: usize, seen: usize, device: &Device) -> candle_core::Result<Tensor> {
    let future = |row: usize, column: usize| {
        if column > past + row { f32::NEG_INFINITY } else { 0.0 }
    };
    let values: Vec<f32> =
        (0..n).flat_map(|row| (0..seen).map(move |column| future(row, column))).collect();
    Tensor::from_vec(values, (1, 1, n, seen), device)
}

/// Writes `n` tokens greedily with nothing around the model: the measure of what the engine costs.
///
/// # Errors
/// As [`Llama::hidden`].
pub fn bare_loop(model: &Llama, prompt: &[u32], n: usize) -> Result<Vec<u32>, EngineError> {
    let mut kv = model.kv(prompt.len() + n);
    let mut hidden = model.hidden(&mut kv, prompt)?;
    let mut tokens = Vec::with_capacity(n);
    loop {
        let logits = model.last_logits(&hidden)?;
        let Some(token) = argmax(&logits) else {
            return Err(EngineError::Model("the model computed no logits".to_owned()));
        };
        tokens.push(token);
        if tokens.len() >= n {
            return Ok(tokens);
        }
        hidden = model.hidden(&mut kv, &[token])?;
    }
}

/// Mean of the squared differences over the mean square of the second.
#[cfg(test)]
pub(crate) fn relative_error(a: &Tensor, b: &Tensor) -> Result<f64, EngineError> {
    let difference = (a - b)?.sqr()?.mean_all()?.to_scalar::<f32>()?;
    let size = b.sqr()?.mean_all()?.to_scalar::<f32>()?;
    Ok(f64::from(difference) / f64::from(size).max(f64::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{candle, tiny};

    fn model() -> Llama {
        let folder = tempfile::tempdir().unwrap();
        tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
        candle::load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap().model().clone()
    }

    fn tokens(n: u32) -> Vec<u32> {
        (0..n).map(|i| (i * 37 + 11) % 256).collect()
    }

    #[test]
    fn reading_at_once_or_in_pieces_is_the_same() {
        let model = model();
        let all = tokens(40);
        let at_once = model.hidden(&mut model.kv(40), &all).unwrap();
        let mut kv = model.kv(40);
        let pieces: Vec<Tensor> = [&all[..7], &all[7..8], &all[8..]]
            .map(|piece| model.hidden(&mut kv, piece).unwrap())
            .to_vec();
        let pieces = Tensor::cat(&pieces, 0).unwrap();
        assert_eq!(at_once.dims(), [40, 64]);
        assert!(relative_error(&pieces, &at_once).unwrap() < 1e-10);
        assert_eq!(kv.len(), 40);
    }

    #[test]
    fn both_kinds_of_attention_agree() {
        let flash = model();
        let plain = flash.clone().without_flash();
        let all = tokens(33);
        let (mut a, mut b) = (flash.kv(64), plain.kv(64));
        for piece in [&all[..20], &all[20..21], &all[21..]] {
            let x = flash.hidden(&mut a, piece).unwrap();
            let y = plain.hidden(&mut b, piece).unwrap();
            assert!(relative_error(&x, &y).unwrap() < 1e-10);
        }
    }

    /// The same sums written out in plain loops, in f64.
    #[test]
    fn the_forward_pass_is_the_formula() {
        let folder = tempfile::tempdir().unwrap();
        tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
        let weights = candle::read_safetensors(&folder.path().join("model.safetensors")).unwrap();
        let get = |name: &str| -> Vec<f64> {
            let values = weights[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
            values.into_iter().map(f64::from).collect()
        };
        let times = |w: &[f64], x: &[f64]| -> Vec<f64> {
            w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
        };
        let norm = |x: &[f64], w: &[f64]| -> Vec<f64> {
            let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
            x.iter().zip(w).map(|(v, g)| v / (mean + 1e-5).sqrt() * g).collect()
        };
        let rope = |x: &mut [f64], position: usize| {
            for head in x.chunks_mut(16) {
                for i in 0..8 {
                    let angle = position as f64 * 10_000f64.powf(-2.0 * i as f64 / 16.0);
                    let (a, b) = (head[i], head[i + 8]);
                    head[i] = a * angle.cos() - b * angle.sin();
                    head[i + 8] = a * angle.sin() + b * angle.cos();
                }
            }
        };
        let input = tokens(9);
        let embedding = get("model.embed_tokens.weight");
        let mut rows: Vec<Vec<f64>> =
            input.iter().map(|t| embedding[*t as usize * 64..][..64].to_vec()).collect();
        for layer in 0..2 {
            let w = |part: &str| get(&format!("model.layers.{layer}.{part}.weight"));
            let (mut keys, mut values): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (vec![], vec![]);
            for (position, x) in rows.iter_mut().enumerate() {
                let h = norm(x, &w("input_layernorm"));
                let mut q = times(&w("self_attn.q_proj"), &h);
                let mut k = times(&w("self_attn.k_proj"), &h);
                rope(&mut q, position);
                rope(&mut k, position);
                keys.push(k);
                values.push(times(&w("self_attn.v_proj"), &h));
                let mut y = vec![];
                for head in 0..4 {
                    let (q, g) = (&q[head * 16..][..16], head / 2 * 16);
                    let e: Vec<f64> = keys
                        .iter()
                        .map(|k| {
                            (q.iter().zip(&k[g..]).map(|(a, b)| a * b).sum::<f64>() / 4.0).exp()
                        })
                        .collect();
                    let total: f64 = e.iter().sum();
                    for d in 0..16 {
                        y.push(
                            e.iter().zip(&values).map(|(e, v)| e * v[g + d]).sum::<f64>() / total,
                        );
                    }
                }
                for (a, b) in x.iter_mut().zip(times(&w("self_attn.o_proj"), &y)) {
                    *a += b;
                }
                let h = norm(x, &w("post_attention_layernorm"));
                let gate = times(&w("mlp.gate_proj"), &h);
                let up = times(&w("mlp.up_proj"), &h);
                let inner: Vec<f64> =
                    gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
                for (a, b) in x.iter_mut().zip(times(&w("mlp.down_proj"), &inner)) {
                    *a += b;
                }
            }
        }
        let last = norm(&rows[8], &get("model.norm.weight"));
        let expected: Vec<f32> =
            times(&get("lm_head.weight"), &last).into_iter().map(|v| v as f32).collect();
        let model = model();
        let hidden = model.hidden(&mut model.kv(16), &input).unwrap();
        let logits = model.last_logits(&hidden).unwrap();
        for (a, b) in logits.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let model = model();
        let mut kv = model.kv(4);
        assert!(matches!(model.hidden(&mut kv, &tokens(5)), Err(EngineError::Model(_))));
        assert!(matches!(model.hidden(&mut kv, &[9999]), Err(EngineError::Model(_))));
        assert!(matches!(model.hidden(&mut kv, &[]), Err(EngineError::Model(_))));
        assert!(kv.is_empty());
    }

    #[test]
    fn hostile_configurations_are_refused() {
        let good = r#"{"model_type":"llama","hidden_size":64,"intermediate_size":128,"vocab_size":10,
            "num_hidden_layers":2,"num_attention_heads":4,"rms_norm_eps":1e-5,"max_position_embeddings":99}"#;
        let config = Config::from_json(good.as_bytes()).unwrap();
        assert_eq!((config.kv_heads(), config.head_dim(), config.context()), (4, 16, 99));
        for (old, new) in [
            ("\"hidden_size\":64", "\"hidden_size\":0"),
            ("\"hidden_size\":64", "\"hidden_size\":60"),
            ("\"num_attention_heads\":4", "\"num_attention_heads\":0"),
            ("\"num_hidden_layers\":2", "\"num_hidden_layers\":99999999"),
            ("\"vocab_size\":10", "\"vocab_size\":99999999999"),
            ("\"llama\"", "\"gpt2\""),
            ("\"llama\"", "\"llama\",\"num_key_value_heads\":3"),
            ("\"llama\"", "\"llama\",\"rope_scaling\":{\"type\":\"yarn\"}"),
            ("\"llama\"", "\"llama\",\"sliding_window\":0"),
        ] {
            let bad = good.replace(old, new);
            assert!(
                matches!(Config::from_json(bad.as_bytes()), Err(EngineError::Files(_))),
                "{bad}"
            );
        }
    }
}
