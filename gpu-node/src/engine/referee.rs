//! The referee's forward pass: a Llama of which every bit is defined, in this machine's own `f32`.
//!
//! Plain loops over [`plasma_modules::attestation::referee::kernel`], whose functions the chain computes in soft numbers: the same bits on every
//! machine, for one token or many at once, with any number of threads. Weights are held as f32; those that are stored as f16 or bf16 widen
//! exactly, quantised ones are what they expand to.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use candle_core::{DType, Tensor as Stored};
use plasma_modules::attestation::referee::{
    self, CHOICES, NAN, Number, Operator, POSITIONS_MAX, RefereeError, Row, SECTION, Shape, Step,
    Tensor, kernel, row_hash, weights_root,
};
use plasma_modules::types::Hash;
use rayon::prelude::*;

use super::EngineError;
use super::llama::{Config, Weights};

mod trace;

pub use referee::KERNEL_ID;
pub use trace::Traced;

/// Rows of a matrix that a thread takes at a time.
const STRIPE_ROWS: usize = 32;
/// Products of fewer multiplications are made by one thread.
const THREADED_MIN: usize = 1 << 18;

/// A machine's own number.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(transparent)]
pub struct Hard(pub f32);

impl Number for Hard {
    const ZERO: Self = Self(0.0);

    #[inline]
    fn from_bits(bits: u32) -> Self {
        Self(f32::from_bits(bits))
    }

    #[inline]
    fn to_bits(self) -> u32 {
        if self.0.is_nan() { NAN } else { self.0.to_bits() }
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }

    #[inline]
    fn times(self, other: Self) -> Self {
        Self(self.0 * other.0)
    }

    #[inline]
    fn over(self, other: Self) -> Self {
        Self(self.0 / other.0)
    }

    #[inline]
    fn root(self) -> Self {
        Self(self.0.sqrt())
    }

    #[inline]
    fn exceeds(self, other: Self) -> bool {
        self.0 > other.0
    }
}

impl From<RefereeError> for EngineError {
    fn from(error: RefereeError) -> Self {
        Self::Model(error.to_string())
    }
}

/// Who looks at results as they come: of each token the operators in order, of each operator its tiles in order, some or all at a time.
trait Watch {
    /// Whether it wants to see this one.
    fn wants(&self, token: u32, operator: Operator) -> bool;
    /// Whole tiles.
    fn see(&mut self, token: u32, operator: Operator, values: &[Hard]);
}

/// Looks at nothing.
struct Nobody;

impl Watch for Nobody {
    fn wants(&self, _: u32, _: Operator) -> bool {
        false
    }

    fn see(&mut self, _: u32, _: Operator, _: &[Hard]) {}
}

/// Keys and values of one sequence, position by position, per layer.
#[derive(Debug, Clone)]
pub struct Cache {
    keys: Vec<Vec<Hard>>,
    values: Vec<Vec<Hard>>,
}

/// A model, ready to run.
#[derive(Debug)]
pub struct Referee {
    shape: Shape,
    tensors: BTreeMap<Tensor, Vec<Hard>>,
    names: OnceLock<Vec<Hash>>,
}

/// Where a model's tensors are in its files.
fn file_name(tensor: Tensor) -> Option<String> {
    let of = |layer: u32, part: &str| Some(format!("model.layers.{layer}.{part}.weight"));
    match tensor {
        Tensor::Embedding => Some("model.embed_tokens.weight".to_owned()),
        Tensor::AttentionNorm(layer) => of(layer, "input_layernorm"),
        Tensor::Query(layer) => of(layer, "self_attn.q_proj"),
        Tensor::Key(layer) => of(layer, "self_attn.k_proj"),
        Tensor::Value(layer) => of(layer, "self_attn.v_proj"),
        Tensor::Output(layer) => of(layer, "self_attn.o_proj"),
        Tensor::FeedNorm(layer) => of(layer, "post_attention_layernorm"),
        Tensor::Gate(layer) => of(layer, "mlp.gate_proj"),
        Tensor::Up(layer) => of(layer, "mlp.up_proj"),
        Tensor::Down(layer) => of(layer, "mlp.down_proj"),
        Tensor::Norm => Some("model.norm.weight".to_owned()),
        Tensor::Head => Some("lm_head.weight".to_owned()),
        Tensor::Cos | Tensor::Sin => None,
    }
}

fn files(what: String) -> EngineError {
    EngineError::Files(format!("the referee's kernel: {what}"))
}

impl Referee {
    /// Takes the tensors out of `weights`.
    ///
    /// # Errors
    /// [`EngineError::Files`] for a model that the referee does not cover, out of its bounds or with biases; for a tensor that is missing or has
    /// another shape.
    pub fn new(config: &Config, weights: &mut Weights) -> Result<Self, EngineError> {
        config.check()?;
        let small = |name: &str, value: usize| {
            u32::try_from(value).map_err(|_| files(format!("{name} is too large")))
        };
        let positions = small("max_position_embeddings", config.context())?.min(POSITIONS_MAX);
        let shape = Shape {
            layers: small("num_hidden_layers", config.num_hidden_layers)?,
            width: small("hidden_size", config.hidden_size)?,
            heads: small("num_attention_heads", config.num_attention_heads)?,
            kv_heads: small("num_key_value_heads", config.kv_heads())?,
            head_dim: small("head_dim", config.head_dim())?,
            hidden: small("intermediate_size", config.intermediate_size)?,
            vocab: small("vocab_size", config.vocab_size)?,
            rows: positions,
            norm_eps: (config.rms_norm_eps as f32).to_bits(),
            // A file that has an output matrix means it, whatever the configuration says of ties.
            tied: config.tie_word_embeddings && !weights.contains_key("lm_head.weight"),
        };
        shape.check().map_err(|error| files(error.to_string()))?;
        if let Some(name) = weights.keys().find(|name| name.ends_with(".bias")) {
            return Err(files(format!("the model has biases ({name}), which are not covered")));
        }
        let mut tensors = BTreeMap::new();
        for tensor in shape.tensors() {
            let values = match file_name(tensor) {
                Some(name) => take(weights, &name, &dims(&shape, tensor))?,
                None => {
                    let f = if tensor == Tensor::Cos { libm::cos } else { libm::sin };
                    config.angles(positions as usize, f).into_iter().map(Hard).collect()
                }
            };
            tensors.insert(tensor, values);
        }
        Ok(Self { shape, tensors, names: OnceLock::new() })
    }

    /// Its dimensions.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Names of all leaves of the weights, in order; computed once, from all weights.
    pub fn row_names(&self) -> &[Hash] {
        self.names.get_or_init(|| {
            let mut names = Vec::with_capacity(self.shape.leaves() as usize);
            for tensor in self.shape.tensors() {
                let count = self.shape.tensor_leaves(tensor);
                let of = |index: u32| row_hash(&self.row(Row { tensor, index }));
                let more: Vec<Hash> = (0..count).into_par_iter().map(of).collect();
                names.extend(more);
            }
            names
        })
    }

    /// The root of its weights.
    #[must_use]
    pub fn weights_root(&self) -> Hash {
        weights_root(self.row_names())
    }

    /// The bits of a leaf of the weights; empty if there is none.
    #[must_use]
    pub fn row(&self, row: Row) -> Vec<u32> {
        let len = self.shape.row_len(row) as usize;
        let (index, sections) = (row.index as usize, self.shape.sections() as usize);
        let first = match row.tensor {
            Tensor::Down(_) => {
                index / sections * self.shape.hidden as usize + index % sections * SECTION as usize
            }
            _ => index * len,
        };
        let values = self.tensor(row.tensor).get(first..first + len).unwrap_or_default();
        bits(values)
    }

    fn tensor(&self, tensor: Tensor) -> &[Hard] {
        let tensor =
            if tensor == Tensor::Head && self.shape.tied { Tensor::Embedding } else { tensor };
        self.tensors.get(&tensor).map_or(&[], Vec::as_slice)
    }

    /// An empty cache.
    #[must_use]
    pub fn cache(&self) -> Cache {
        let empty = || vec![Vec::new(); self.shape.layers as usize];
        Cache { keys: empty(), values: empty() }
    }

    /// Runs tokens at the positions from `at` on, up to which `cache` was filled, and gives their rows after the last norm, one after the
    /// other.
    ///
    /// # Errors
    /// [`EngineError::Model`] for a token out of the vocabulary, a position that the model has not, or a cache that ends before `at`.
    pub fn hidden(
        &self,
        cache: &mut Cache,
        at: usize,
        tokens: &[u32],
    ) -> Result<Vec<f32>, EngineError> {
        Ok(self.run(cache, at, tokens, &mut Nobody)?.into_iter().map(|value| value.0).collect())
    }

    /// Logits of rows that [`Referee::hidden`] gave.
    #[must_use]
    pub fn logits(&self, rows: &[f32]) -> Vec<f32> {
        let rows: Vec<Hard> = rows.iter().copied().map(Hard).collect();
        let logits = product(&rows, self.shape.width as usize, self.tensor(Tensor::Head));
        logits.into_iter().map(|value| value.0).collect()
    }

    fn run(
        &self,
        cache: &mut Cache,
        at: usize,
        tokens: &[u32],
        watch: &mut dyn Watch,
    ) -> Result<Vec<Hard>, EngineError> {
        let Shape { layers, width, vocab, rows, .. } = self.shape;
        let end = at.saturating_add(tokens.len());
        if end > rows as usize {
            return Err(EngineError::Model(format!("{end} positions; the model has {rows}")));
        }
        if let Some(token) = tokens.iter().find(|token| **token >= vocab) {
            return Err(EngineError::Model(format!(
                "token {token} is out of the model's vocabulary"
            )));
        }
        let kv_width = self.shape.keys() as usize;
        if cache.keys.iter().any(|keys| keys.len() < at * kv_width) {
            return Err(EngineError::Model(format!("the cache ends before position {at}")));
        }
        let width = width as usize;
        let embedding = self.tensor(Tensor::Embedding);
        let mut x: Vec<Hard> = Vec::with_capacity(tokens.len() * width);
        for token in tokens {
            x.extend_from_slice(&embedding[*token as usize * width..][..width]);
        }
        show(watch, at, Operator::Embed, &x, width);
        for layer in 0..layers {
            self.layer(layer, &mut x, cache, at, watch);
        }
        self.norm(&mut x, Tensor::Norm);
        show(watch, at, Operator::Norm, &x, width);
        Ok(x)
    }

    /// Rows of x become what leaves the layer.
    fn layer(
        &self,
        layer: u32,
        x: &mut [Hard],
        cache: &mut Cache,
        at: usize,
        watch: &mut dyn Watch,
    ) {
        let shape = &self.shape;
        let of = |step| Operator::Layer(layer, step);
        let (width, q_width, kv_width) =
            (shape.width as usize, shape.queries() as usize, shape.keys() as usize);
        let hidden = shape.hidden as usize;
        let mut normed = x.to_vec();
        self.norm(&mut normed, Tensor::AttentionNorm(layer));
        show(watch, at, of(Step::AttentionNorm), &normed, width);
        let times = |x: &[Hard], tensor| product(x, width, self.tensor(tensor));
        let mut q = times(&normed, Tensor::Query(layer));
        show(watch, at, of(Step::Query), &q, q_width);
        let mut k = times(&normed, Tensor::Key(layer));
        show(watch, at, of(Step::Key), &k, kv_width);
        let v = times(&normed, Tensor::Value(layer));
        show(watch, at, of(Step::Value), &v, kv_width);
        self.turn(&mut q, q_width, at);
        show(watch, at, of(Step::TurnQuery), &q, q_width);
        self.turn(&mut k, kv_width, at);
        show(watch, at, of(Step::TurnKey), &k, kv_width);
        let (keys, values) = (&mut cache.keys[layer as usize], &mut cache.values[layer as usize]);
        put(keys, at * kv_width, &k);
        put(values, at * kv_width, &v);
        let mixed = self.attend(layer, &q, keys, values, at, watch);
        show(watch, at, of(Step::Mix), &mixed, q_width);
        add(x, &product(&mixed, q_width, self.tensor(Tensor::Output(layer))), 1);
        show(watch, at, of(Step::Output), x, width);
        let mut normed = x.to_vec();
        self.norm(&mut normed, Tensor::FeedNorm(layer));
        show(watch, at, of(Step::FeedNorm), &normed, width);
        let gate = times(&normed, Tensor::Gate(layer));
        show(watch, at, of(Step::Gate), &gate, hidden);
        let up = times(&normed, Tensor::Up(layer));
        show(watch, at, of(Step::Up), &up, hidden);
        let act: Vec<Hard> =
            gate.iter().zip(&up).map(|(gate, up)| kernel::gated(*gate, *up)).collect();
        show(watch, at, of(Step::Act), &act, hidden);
        let parts = product(&act, hidden, self.tensor(Tensor::Down(layer)));
        let sections = shape.sections() as usize;
        show(watch, at, of(Step::Parts), &parts, width * sections);
        add(x, &parts, sections);
        show(watch, at, of(Step::Down), x, width);
    }

    fn norm(&self, x: &mut [Hard], tensor: Tensor) {
        let weights = self.tensor(tensor);
        for row in x.chunks_mut(weights.len().max(1)) {
            let factor = kernel::norm_factor(row, Hard::from_bits(self.shape.norm_eps));
            for (x, weight) in row.iter_mut().zip(weights) {
                *x = kernel::normed(*x, factor, *weight);
            }
        }
    }

    /// Each head of each row by the angles of its position.
    fn turn(&self, x: &mut [Hard], width: usize, at: usize) {
        let half = self.shape.head_dim as usize / 2;
        let (cos, sin) = (self.tensor(Tensor::Cos), self.tensor(Tensor::Sin));
        for (position, row) in (at..).zip(x.chunks_mut(width)) {
            let (cos, sin) = (&cos[position * half..][..half], &sin[position * half..][..half]);
            for head in row.chunks_mut(2 * half) {
                let (low, high) = head.split_at_mut(half);
                for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
                    (*a, *b) = kernel::turned(*a, *b, *cos, *sin);
                }
            }
        }
    }

    /// Attention of each row over all positions up to its own.
    fn attend(
        &self,
        layer: u32,
        q: &[Hard],
        keys: &[Hard],
        values: &[Hard],
        at: usize,
        watch: &mut dyn Watch,
    ) -> Vec<Hard> {
        let shape = &self.shape;
        let (heads, width) = (shape.heads as usize, shape.head_dim as usize);
        let (kv_width, group) = (shape.keys() as usize, heads / shape.kv_heads as usize);
        let scale = kernel::score_scale(shape.head_dim);
        // One head of one row: its states, one by one.
        let head = |index: usize, q: &[Hard], mixed: &mut [Hard], see: &mut dyn FnMut(&[Hard])| {
            let (position, head) = (at + index / heads, index % heads);
            let first = head / group * width;
            let mut state = vec![Hard::ZERO; kernel::STATE_HEAD + width];
            let all = keys.chunks(kv_width).zip(values.chunks(kv_width)).take(position + 1);
            for (at, (k, v)) in all.enumerate() {
                let (k, v) = (&k[first..][..width], &v[first..][..width]);
                if at == 0 {
                    kernel::attend_first(&mut state, q, k, v, scale);
                } else {
                    kernel::attend_next(&mut state, q, k, v, scale);
                }
                see(&state);
            }
            let factor = kernel::mix_factor(state[1]);
            for (mixed, value) in mixed.iter_mut().zip(&state[kernel::STATE_HEAD..]) {
                *mixed = value.times(factor);
            }
        };
        let mut mixed = vec![Hard::ZERO; q.len()];
        let operator = Operator::Layer(layer, Step::Attend);
        let rows = q.len() / (heads * width).max(1);
        let is_watched = (0..rows).any(|row| watch.wants(number(at + row), operator));
        if is_watched {
            for (index, (q, mixed)) in q.chunks(width).zip(mixed.chunks_mut(width)).enumerate() {
                let token = number(at + index / heads);
                let is_wanted = watch.wants(token, operator);
                head(index, q, mixed, &mut |state| {
                    if is_wanted {
                        watch.see(token, operator, state);
                    }
                });
            }
        } else {
            let all = q.par_chunks(width).zip(mixed.par_chunks_mut(width)).enumerate();
            all.with_min_len(heads)
                .for_each(|(index, (q, mixed))| head(index, q, mixed, &mut |_| ()));
        }
        mixed
    }

    /// Shows logits and choice of a row after the last norm.
    fn choose(&self, row: &[Hard], token: u32, watch: &mut dyn Watch) {
        if !watch.wants(token, Operator::Logits) && !watch.wants(token, Operator::Choose) {
            return;
        }
        let logits = product(row, self.shape.width as usize, self.tensor(Tensor::Head));
        let at = token as usize;
        show(watch, at, Operator::Logits, &logits, logits.len());
        let mut best: Option<(Hard, u32)> = None;
        let mut tiles = Vec::new();
        let all: Vec<(Hard, u32)> = logits.into_iter().zip(0..).collect();
        for chunk in all.chunks(CHOICES as usize) {
            best = best.into_iter().chain(chunk.iter().copied()).reduce(kernel::better);
            if let Some((value, token)) = best {
                // The token's number goes as the bits that it is.
                tiles.extend([value, Hard(f32::from_bits(token))]);
            }
        }
        show(watch, at, Operator::Choose, &tiles, tiles.len());
    }
}

/// As [`number`]s of positions: far below 2^32.
fn number(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn bits(values: &[Hard]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Shows an operator's rows, those of the positions from `at` on.
fn show(watch: &mut dyn Watch, at: usize, operator: Operator, values: &[Hard], width: usize) {
    for (position, row) in (at..).zip(values.chunks(width.max(1))) {
        if watch.wants(number(position), operator) {
            watch.see(number(position), operator, row);
        }
    }
}

/// Writes `values` from `first` on.
fn put(all: &mut Vec<Hard>, first: usize, values: &[Hard]) {
    let end = first + values.len();
    if all.len() < end {
        all.resize(end, Hard::ZERO);
    }
    all[first..end].copy_from_slice(values);
}

/// Adds to each number the sum of its parts.
fn add(x: &mut [Hard], parts: &[Hard], sections: usize) {
    for (x, parts) in x.iter_mut().zip(parts.chunks(sections.max(1))) {
        *x = x.plus(parts.iter().copied().reduce(Hard::plus).unwrap_or(Hard::ZERO));
    }
}

/// Rows of x times the rows of a matrix, in sections: of each row of x one number per row of the matrix and section.
fn product(x: &[Hard], columns: usize, matrix: &[Hard]) -> Vec<Hard> {
    let columns = columns.max(1);
    let (n, rows) = (x.len() / columns, matrix.len() / columns);
    let sections = columns.div_ceil(SECTION as usize);
    // By row of the matrix, so that each is read once for all rows of x.
    let mut by_row = vec![Hard::ZERO; rows * n * sections];
    let stripe = |out: &mut [Hard], matrix: &[Hard]| {
        for (out, row) in out.chunks_mut(n * sections).zip(matrix.chunks(columns)) {
            for (out, x) in out.chunks_mut(sections).zip(x.chunks(columns)) {
                let parts = row.chunks(SECTION as usize).zip(x.chunks(SECTION as usize));
                for (out, (row, x)) in out.iter_mut().zip(parts) {
                    *out = kernel::dot(row, x);
                }
            }
        }
    };
    if n == 0 || rows == 0 {
        return by_row;
    }
    if rows * n * columns < THREADED_MIN {
        stripe(&mut by_row, matrix);
    } else {
        by_row
            .par_chunks_mut(STRIPE_ROWS * n * sections)
            .zip(matrix.par_chunks(STRIPE_ROWS * columns))
            .for_each(|(out, matrix)| stripe(out, matrix));
    }
    if n == 1 {
        return by_row;
    }
    let mut by_x = Vec::with_capacity(by_row.len());
    for x in 0..n {
        for row in by_row.chunks(n * sections) {
            by_x.extend_from_slice(&row[x * sections..][..sections]);
        }
    }
    by_x
}

/// Shape of a tensor in its file.
fn dims(shape: &Shape, tensor: Tensor) -> Vec<usize> {
    let columns = match tensor {
        Tensor::Down(_) => shape.hidden,
        _ => shape.row_len(Row { tensor, index: 0 }),
    } as usize;
    match tensor {
        Tensor::AttentionNorm(_) | Tensor::FeedNorm(_) | Tensor::Norm => vec![columns],
        Tensor::Down(_) => vec![shape.width as usize, columns],
        _ => vec![shape.tensor_leaves(tensor) as usize, columns],
    }
}

fn take(weights: &mut Weights, name: &str, dims: &[usize]) -> Result<Vec<Hard>, EngineError> {
    let stored: Stored =
        weights.remove(name).ok_or_else(|| files(format!("tensor {name} is missing")))?;
    if stored.dims() != dims {
        return Err(files(format!(
            "tensor {name} has shape {:?}, expected {dims:?}",
            stored.dims()
        )));
    }
    if !matches!(stored.dtype(), DType::F32 | DType::F16 | DType::BF16) {
        return Err(files(format!("tensor {name} is stored as {:?}", stored.dtype())));
    }
    let values: Vec<f32> = stored.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Ok(values.into_iter().map(Hard).collect())
}
