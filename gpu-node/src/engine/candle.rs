//! A model on this machine, through candle.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use super::gguf::Gguf;
use super::llama::{Config, Kv, Llama, Weights};
use super::sampler::Sampler;
use super::tokenizer::{Chat, Tokenizer};
use super::{Engine, EngineError, Info, Sequence, Step};
use crate::evidence::Recorder;

/// Version of candle, part of the kernel id: another version may compute other bits.
const CANDLE_VERSION: &str = "0.11.1";
/// Tokens of a prompt that are read in one turn, so that a long prompt does not hold the others up.
pub const PREFILL_TOKENS: usize = 256;
/// Longest head of a safetensors file, bytes; the format's own limit.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Largest of the small files of a model (JSON), bytes.
const JSON_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The tensor that every model has.
const EMBEDDING: &str = "model.embed_tokens.weight";

/// A model of the Llama family with its vocabulary.
pub struct Candle {
    model: Arc<Llama>,
    tokenizer: Tokenizer,
    kernel_id: String,
}

impl Candle {
    /// The forward pass, for those who need hidden states or logits.
    #[must_use]
    pub fn model(&self) -> &Llama {
        &self.model
    }

    /// The same vocabulary with another forward pass, under its own kernel id.
    #[must_use]
    pub fn with_model(&self, change: impl FnOnce(Llama) -> Llama, device: &Device) -> Self {
        let model = change(self.model.as_ref().clone());
        let kernel_id = kernel_id(&model, device);
        Self { model: Arc::new(model), tokenizer: self.tokenizer.clone(), kernel_id }
    }
}

/// What computes: library and version, device and instruction set, attention, numeric type, threads. Equal
/// bits are expected only between equal ids.
fn kernel_id(model: &Llama, device: &Device) -> String {
    if model.referee().is_some() {
        return super::referee::KERNEL_ID.to_owned();
    }
    let place = match device {
        Device::Cpu => format!("cpu-{}", instruction_set()),
        Device::Cuda(_) => "cuda".to_owned(),
        Device::Metal(_) => "metal".to_owned(),
    };
    let attention = if model.uses_flash() { "flash" } else { "plain" };
    let threads = if device.is_cpu() { candle_core::utils::get_num_threads() } else { 1 };
    let dtype = match model.rounding() {
        Some(dtype) => format!("as-{}", dtype.as_str()),
        None => model.dtype().as_str().to_owned(),
    };
    let cache =
        model.cache_rounding().map_or_else(String::new, |dtype| format!("/kv-{}", dtype.as_str()));
    format!("candle-{CANDLE_VERSION}/{place}/{attention}/{dtype}{cache}/t{threads}")
}

/// The widest vectors that the matrix product uses here.
fn instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            "avx512f"
        } else if std::arch::is_x86_feature_detected!("fma") {
            "avx2"
        } else {
            "x86_64"
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH
    }
}

/// What a folder's files say of the model, read without its weights.
pub struct Description {
    /// Shape.
    pub config: Config,
    /// Vocabulary and template.
    pub tokenizer: Tokenizer,
    /// Numeric type of the weights as they are stored, for example `f16` or `q4_1`.
    pub dtype: String,
}

/// The weights of a folder.
enum Files {
    Safetensors(Vec<PathBuf>),
    Gguf(Box<Gguf>),
}

/// Describes the model in a folder: `config.json`, `tokenizer.json` and safetensors, or one GGUF file.
///
/// # Errors
/// [`EngineError::Files`] when a file is missing or wrong.
pub fn describe_folder(folder: &Path) -> Result<Description, EngineError> {
    read_folder(folder).map(|(description, _)| description)
}

/// Loads the model in a folder. The context is cut to `context_max` tokens.
///
/// # Errors
/// [`EngineError::Files`] when a file is missing or wrong; [`EngineError::Model`] when the device refuses.
pub fn load_folder(
    folder: &Path,
    device: &Device,
    context_max: usize,
) -> Result<Candle, EngineError> {
    load_changed(folder, device, context_max, &mut |_, weight| Ok(weight))
}

/// As [`load_folder`], with every weight, by its Hugging Face name, as `change` makes it: for those who ask what a
/// change of the weights does.
///
/// # Errors
/// As [`load_folder`], and what `change` fails with.
pub fn load_changed(
    folder: &Path,
    device: &Device,
    context_max: usize,
    change: &mut dyn FnMut(&str, Tensor) -> candle_core::Result<Tensor>,
) -> Result<Candle, EngineError> {
    let (Description { config, tokenizer, dtype: _ }, files) = read_folder(folder)?;
    let mut weights = read_weights(files, &config, change)?;
    let stored = weights.get(EMBEDDING).map_or(DType::F32, Tensor::dtype);
    let model =
        Llama::new(config, &mut weights, compute_dtype(stored, device), device, context_max)?;
    let kernel_id = kernel_id(&model, device);
    Ok(Candle { model: Arc::new(model), tokenizer, kernel_id })
}

/// Loads the model in a folder with the referee's kernel, on the processor. The context is cut to `context_max` tokens.
///
/// # Errors
/// As [`load_folder`]; and for models that the referee does not cover: with biases or out of its bounds.
pub fn load_referee(folder: &Path, context_max: usize) -> Result<Candle, EngineError> {
    load_referee_changed(folder, context_max, &mut |_, weight| Ok(weight))
}

/// As [`load_referee`], with every weight as `change` makes it.
///
/// # Errors
/// As [`load_referee`], and what `change` fails with.
pub fn load_referee_changed(
    folder: &Path,
    context_max: usize,
    change: &mut dyn FnMut(&str, Tensor) -> candle_core::Result<Tensor>,
) -> Result<Candle, EngineError> {
    let (Description { config, tokenizer, dtype: _ }, files) = read_folder(folder)?;
    let mut weights = read_weights(files, &config, change)?;
    let model = Llama::refereed(config, &mut weights, context_max)?;
    let kernel_id = kernel_id(&model, &Device::Cpu);
    Ok(Candle { model: Arc::new(model), tokenizer, kernel_id })
}

/// All weights in the types that their files store, or as f32 if those are quantised, each as `change` makes it.
fn read_weights(
    files: Files,
    config: &Config,
    change: &mut dyn FnMut(&str, Tensor) -> candle_core::Result<Tensor>,
) -> Result<Weights, EngineError> {
    let mut weights = match files {
        Files::Gguf(mut gguf) => gguf.weights(config)?,
        Files::Safetensors(files) => {
            let mut weights = Weights::new();
            for file in &files {
                weights.extend(read_safetensors(file)?);
            }
            weights
        }
    };
    for (name, weight) in &mut weights {
        *weight = change(name, weight.clone())?;
    }
    Ok(weights)
}

fn read_folder(folder: &Path) -> Result<(Description, Files), EngineError> {
    let mut names: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(|error| EngineError::Files(format!("{}: {error}", folder.display())))?;
    names.sort();
    let with = |extension: &str| -> Vec<PathBuf> {
        let has = |name: &&PathBuf| name.extension().is_some_and(|e| e == extension);
        names.iter().filter(has).cloned().collect()
    };
    let (safetensors, gguf) = (with("safetensors"), with("gguf"));
    let (description, files) = match (safetensors.as_slice(), gguf.as_slice()) {
        ([], [file]) => {
            let mut gguf = Gguf::open(file)?;
            let embedded = gguf.tokenizer();
            // A tokenizer.json beside the file is the better source: it says how text is split.
            let tokenizer = if folder.join("tokenizer.json").exists() {
                folder_tokenizer(folder, gguf.eos_ids())?
            } else {
                embedded?
            };
            let description =
                Description { config: gguf.config()?, tokenizer, dtype: gguf.dtype() };
            (description, Files::Gguf(Box::new(gguf)))
        }
        ([_, ..], []) => {
            let config = Config::from_json(&read_json(&folder.join("config.json"))?)?;
            let tokenizer = folder_tokenizer(folder, config.eos_ids())?;
            let dtype = stored_dtype(folder, &safetensors)?;
            (Description { config, tokenizer, dtype }, Files::Safetensors(safetensors))
        }
        _ => {
            return Err(EngineError::Files(format!(
                "{} must hold either safetensors or one GGUF file; it has {} and {}",
                folder.display(),
                safetensors.len(),
                gguf.len()
            )));
        }
    };
    let eos = description.tokenizer.eos();
    if eos.is_empty() {
        return Err(EngineError::Files(
            "no token ends a sequence: neither config.json nor tokenizer_config.json names one"
                .to_owned(),
        ));
    }
    if let Some(id) = eos.iter().find(|id| **id as usize >= description.config.vocab_size) {
        return Err(EngineError::Files(format!(
            "the end token {id} is out of the model's vocabulary"
        )));
    }
    Ok((description, files))
}

/// `tokenizer.json`, with the template and the special tokens of `tokenizer_config.json` if that is there.
fn folder_tokenizer(folder: &Path, eos_ids: Vec<u32>) -> Result<Tokenizer, EngineError> {
    let beside = folder.join("tokenizer_config.json");
    let mut chat = if beside.exists() {
        Chat::from_tokenizer_config(&read_json(&beside)?)?
    } else {
        Chat::default()
    };
    chat.eos_ids.extend(eos_ids);
    Tokenizer::from_json(&read_json(&folder.join("tokenizer.json"))?, chat)
}

/// On a processor everything is f32: it is the fastest there and the steadiest. An accelerator keeps the type
/// of the file.
fn compute_dtype(stored: DType, device: &Device) -> DType {
    match stored {
        DType::F16 | DType::BF16 if !device.is_cpu() => stored,
        _ => DType::F32,
    }
}

fn read_json(path: &Path) -> Result<Vec<u8>, EngineError> {
    let failed = |error: String| EngineError::Files(format!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(JSON_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > JSON_BYTES_MAX {
        return Err(failed(format!("larger than {JSON_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Numeric type of the weights, by the embedding.
fn stored_dtype(folder: &Path, files: &[PathBuf]) -> Result<String, EngineError> {
    for file in files {
        let tensors = read_head(file)?.tensors;
        if let Some((_, head)) = tensors.iter().find(|(name, _)| name == EMBEDDING) {
            return Ok(head.dtype.to_lowercase());
        }
    }
    Err(EngineError::Files(format!("{}: no tensor {EMBEDDING}", folder.display())))
}

#[derive(Deserialize)]
struct TensorHead {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [u64; 2],
}

/// A file that was opened and whose head was read.
struct Head {
    /// At the begin of the data.
    file: File,
    /// Length of the data, bytes.
    room: u64,
    /// In the order of their places.
    tensors: Vec<(String, TensorHead)>,
}

fn read_head(path: &Path) -> Result<Head, EngineError> {
    let failed = |error: String| EngineError::Files(format!("{}: {error}", path.display()));
    let io = |error: std::io::Error| failed(error.to_string());
    let mut file = File::open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(io)?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_BYTES_MAX || length.saturating_add(8) > size {
        return Err(failed(format!("its head claims {length} bytes")));
    }
    let mut head = Vec::new();
    file.by_ref().take(length).read_to_end(&mut head).map_err(io)?;
    let mut head: HashMap<String, serde_json::Value> =
        serde_json::from_slice(&head).map_err(|error| failed(error.to_string()))?;
    head.remove("__metadata__");
    let mut tensors = Vec::with_capacity(head.len());
    for (name, value) in head {
        let head: TensorHead = serde_json::from_value(value)
            .map_err(|error| failed(format!("tensor {name}: {error}")))?;
        tensors.push((name, head));
    }
    tensors.sort_by_key(|(_, head)| head.data_offsets);
    Ok(Head { file, room: size - 8 - length, tensors })
}

/// Reads a safetensors file tensor by tensor, in the types that it stores, so that no second copy of the file
/// is ever in memory.
///
/// # Errors
/// [`EngineError::Files`] when the file contradicts itself.
pub fn read_safetensors(path: &Path) -> Result<Weights, EngineError> {
    let failed = |error: String| EngineError::Files(format!("{}: {error}", path.display()));
    let Head { mut file, room, tensors } = read_head(path)?;
    let mut weights = Weights::with_capacity(tensors.len());
    let mut position = 0;
    for (name, head) in tensors {
        let [begin, end] = head.data_offsets;
        let dtype = match head.dtype.as_str() {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            other => {
                return Err(failed(format!(
                    "tensor {name} has type {other}; f32, f16 and bf16 are read"
                )));
            }
        };
        let elements =
            head.shape.iter().try_fold(1usize, |product, side| product.checked_mul(*side));
        let bytes = elements.and_then(|n| n.checked_mul(dtype.size_in_bytes())).map(|n| n as u64);
        if begin != position || end > room || bytes.is_none() || end.checked_sub(begin) != bytes {
            return Err(failed(format!("tensor {name} has the wrong place or size")));
        }
        position = end;
        let mut data = Vec::new();
        file.by_ref()
            .take(end - begin)
            .read_to_end(&mut data)
            .map_err(|error| failed(error.to_string()))?;
        if data.len() as u64 != end - begin {
            return Err(failed("the file is cut off".to_owned()));
        }
        let tensor = Tensor::from_raw_buffer(&data, dtype, &head.shape, &Device::Cpu)?;
        weights.insert(name, tensor);
    }
    Ok(weights)
}

impl Engine for Candle {
    fn info(&self) -> Info {
        Info {
            kernel_id: self.kernel_id.clone(),
            context_tokens: u32::try_from(self.model.context()).unwrap_or(u32::MAX),
            template_tokens: self.tokenizer.template_tokens(),
        }
    }

    fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn open(&self, prompt: &[u32], capacity: usize) -> Result<Box<dyn Sequence>, EngineError> {
        Ok(Box::new(Generation {
            kv: self.model.kv(capacity),
            model: self.model.clone(),
            unread: prompt.to_vec(),
            prompt_left: prompt.len(),
            position: 0,
        }))
    }
}

/// One sequence: what was read is in the cache, what was not is waiting.
struct Generation {
    model: Arc<Llama>,
    kv: Kv,
    unread: Vec<u32>,
    /// Tokens of the prompt that were not read yet.
    prompt_left: usize,
    position: u64,
}

impl Sequence for Generation {
    fn step(
        &mut self,
        sampler: &Sampler,
        recorder: Option<&mut Recorder>,
    ) -> Result<Step, EngineError> {
        let turn: Vec<u32> = self.unread.drain(..self.unread.len().min(PREFILL_TOKENS)).collect();
        let hidden = self.model.hidden(&mut self.kv, &turn)?;
        let is_prompt = self.prompt_left > 0;
        self.prompt_left = self.prompt_left.saturating_sub(turn.len());
        if let Some(recorder) = recorder {
            record(recorder, &hidden, is_prompt, self.unread.is_empty())?;
        }
        if !self.unread.is_empty() {
            return Ok(Step::Reading);
        }
        let logits = self.model.last_logits(&hidden)?;
        let token = sampler.choose(&logits, self.position)?;
        self.position += 1;
        self.unread.push(token);
        Ok(Step::Token(token))
    }
}

/// Tells a recorder of the rows of one turn: the last row of a prompt's last turn is the output's first.
fn record(
    recorder: &mut Recorder,
    hidden: &Tensor,
    is_prompt: bool,
    is_last: bool,
) -> Result<(), EngineError> {
    let (rows, width) = read_rows(hidden)?;
    if is_prompt {
        recorder.prompt(&rows, width, is_last)?;
    }
    if is_last { recorder.output(&rows[rows.len() - width..]) } else { Ok(()) }
}

/// Hidden states as numbers, row by row, and the width of a row.
///
/// # Errors
/// [`EngineError::Model`] when the device refuses.
pub fn read_rows(hidden: &Tensor) -> Result<(Vec<f32>, usize), EngineError> {
    let width = hidden.dim(1)?;
    Ok((hidden.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?, width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tiny;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        tiny::write_tiny(folder.path(), tiny::SEED).unwrap();
        folder
    }

    #[test]
    fn a_folder_is_described_and_loaded() {
        let folder = folder();
        let described = describe_folder(folder.path()).unwrap();
        assert_eq!((described.dtype.as_str(), described.config.vocab_size), ("f32", 260));
        let engine = load_folder(folder.path(), &Device::Cpu, 100).unwrap();
        assert_eq!(engine.info().context_tokens, 100);
        assert!(
            engine.info().kernel_id.starts_with("candle-0.11.1/cpu-"),
            "{}",
            engine.info().kernel_id
        );
    }

    #[test]
    fn half_precision_weights_are_read() {
        let folder = folder();
        let path = folder.path().join("model.safetensors");
        let exact = load_folder(folder.path(), &Device::Cpu, 64).unwrap();
        let weights = read_safetensors(&path).unwrap();
        for (dtype, limit) in [(DType::F16, 1e-5), (DType::BF16, 1e-3)] {
            let halves: HashMap<String, Tensor> = weights
                .iter()
                .map(|(name, w)| (name.clone(), w.to_dtype(dtype).unwrap()))
                .collect();
            candle_core::safetensors::save(&halves, &path).unwrap();
            assert_eq!(describe_folder(folder.path()).unwrap().dtype, dtype.as_str());
            let half = load_folder(folder.path(), &Device::Cpu, 64).unwrap();
            assert_eq!(half.model().dtype(), DType::F32);
            let hidden = |engine: &Candle| {
                let model = engine.model();
                model.hidden(&mut model.kv(8), &[1, 2, 3]).unwrap()
            };
            let error =
                crate::engine::llama::relative_error(&hidden(&half), &hidden(&exact)).unwrap();
            assert!(error < limit, "{dtype:?}: {error}");
        }
    }

    #[test]
    fn files_that_lie_are_refused() {
        let folder = folder();
        let path = folder.path().join("model.safetensors");
        let good = fs::read(&path).unwrap();
        let replaced = |from: &str, to: &str| {
            let at = good.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
            let mut bytes = good.clone();
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            bytes
        };
        let mut long = good.clone();
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        for bad in [
            vec![],
            good[..good.len() - 1].to_vec(),
            long,
            replaced("\"F32\"", "\"F64\""),
            replaced("[260,64]", "[260,65]"),
            replaced("model.norm", "model.form"),
            replaced("data_offsets\":[0", "data_offsets\":[4"),
        ] {
            fs::write(&path, bad).unwrap();
            let result = load_folder(folder.path(), &Device::Cpu, 64);
            assert!(matches!(result.map(|_| ()), Err(EngineError::Files(_))));
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(describe_folder(folder.path()).map(|_| ()), Err(EngineError::Files(_))));
    }
}
