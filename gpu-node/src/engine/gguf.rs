//! Models in one GGUF file: weights, shape, vocabulary and template.
//!
//! The weights are expanded to f32. Candle's native quantised products would round the activations to eight
//! bits, which moves logits far enough to change tokens, and are slower on a processor for most formats.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::{Device, Tensor};
use tokenizers::Tokenizer as HfTokenizer;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use super::EngineError;
use super::llama::{Config, Weights};
use super::tokenizer::{Chat, Tokenizer};

/// The architecture that is read.
const ARCHITECTURE: &str = "llama";

/// A GGUF file that was opened.
pub struct Gguf {
    content: Content,
    reader: BufReader<File>,
    path: String,
}

impl Gguf {
    /// Reads the file's head.
    ///
    /// # Errors
    /// [`EngineError::Files`] when it is not a GGUF file of the Llama architecture.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let name = path.display().to_string();
        let failed = |error: String| EngineError::Files(format!("{name}: {error}"));
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut reader = BufReader::new(file);
        let content = Content::read(&mut reader).map_err(|error| failed(error.to_string()))?;
        let gguf = Self { content, reader, path: name };
        let architecture = gguf.text("general.architecture").unwrap_or_default();
        if architecture != ARCHITECTURE {
            return Err(gguf.error(format!(
                "architecture {architecture:?}; of GGUF files only {ARCHITECTURE} is read"
            )));
        }
        Ok(gguf)
    }

    fn error(&self, what: impl std::fmt::Display) -> EngineError {
        EngineError::Files(format!("{}: {what}", self.path))
    }

    fn text(&self, key: &str) -> Option<String> {
        self.content.metadata.get(key)?.to_string().ok().cloned()
    }

    fn number(&self, key: &str) -> Result<usize, EngineError> {
        let value =
            self.content.metadata.get(key).ok_or_else(|| self.error(format!("no {key}")))?;
        integer(value).ok_or_else(|| self.error(format!("{key} is not a number")))
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.content.metadata.get(key)?.to_f32().ok().map(f64::from)
    }

    /// Shape of the model.
    ///
    /// # Errors
    /// [`EngineError::Files`] when something is missing or out of bounds.
    pub fn config(&self) -> Result<Config, EngineError> {
        let key = |name: &str| format!("{ARCHITECTURE}.{name}");
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        let vocab_size = embedding
            .and_then(|info| info.shape.dims().first().copied())
            .ok_or_else(|| self.error("no token_embd.weight"))?;
        let scaling = self.text(&key("rope.scaling.type")).filter(|kind| kind != "none");
        let rope_scaling = scaling.map(|rope_type| super::llama::RopeScaling {
            rope_type,
            factor: self.float(&key("rope.scaling.factor")),
            low_freq_factor: None,
            high_freq_factor: None,
            original_max_position_embeddings: None,
        });
        let config = Config {
            model_type: ARCHITECTURE.to_owned(),
            hidden_size: self.number(&key("embedding_length"))?,
            intermediate_size: self.number(&key("feed_forward_length"))?,
            vocab_size,
            num_hidden_layers: self.number(&key("block_count"))?,
            num_attention_heads: self.number(&key("attention.head_count"))?,
            num_key_value_heads: self.number(&key("attention.head_count_kv")).ok(),
            head_dim: self.number(&key("attention.key_length")).ok(),
            rms_norm_eps: self
                .float(&key("attention.layer_norm_rms_epsilon"))
                .ok_or_else(|| self.error("no epsilon of the norms"))?,
            rope_theta: self.float(&key("rope.freq_base")).unwrap_or(10_000.0),
            rope_scaling,
            max_position_embeddings: self.number(&key("context_length"))?,
            sliding_window: self.number(&key("attention.sliding_window")).ok(),
            use_sliding_window: None,
            tie_word_embeddings: !self.content.tensor_infos.contains_key("output.weight"),
            hidden_act: "silu".to_owned(),
            eos_token_id: None,
        };
        config.check()?;
        Ok(config)
    }

    /// Numeric type that most of the weights are stored in, for example `q4_1`.
    #[must_use]
    pub fn dtype(&self) -> String {
        let mut sizes = std::collections::BTreeMap::new();
        for info in self.content.tensor_infos.values() {
            let name = format!("{:?}", info.ggml_dtype).to_lowercase();
            *sizes.entry(name).or_insert(0usize) += info.shape.elem_count();
        }
        sizes.into_iter().max_by_key(|(_, size)| *size).map(|(name, _)| name).unwrap_or_default()
    }

    /// All weights in f32 on the processor, by their Hugging Face names.
    ///
    /// # Errors
    /// [`EngineError::Files`] when a tensor cannot be read or is not known.
    pub fn weights(&mut self, config: &Config) -> Result<Weights, EngineError> {
        let names: Vec<String> = self.content.tensor_infos.keys().cloned().collect();
        let mut weights = Weights::with_capacity(names.len());
        for name in names {
            let target = hugging_face_name(&name)
                .ok_or_else(|| self.error(format!("tensor {name} is not supported")))?;
            let tensor = self
                .content
                .tensor(&mut self.reader, &name, &Device::Cpu)
                .and_then(|tensor| tensor.dequantize(&Device::Cpu))
                .and_then(|tensor| match target.as_str() {
                    q if q.ends_with("q_proj.weight") => {
                        unpermute(&tensor, config.num_attention_heads)
                    }
                    k if k.ends_with("k_proj.weight") => unpermute(&tensor, config.kv_heads()),
                    _ => Ok(tensor),
                })
                .map_err(|error| self.error(format!("tensor {name}: {error}")))?;
            weights.insert(target, tensor);
        }
        Ok(weights)
    }

    /// Vocabulary and chat template.
    ///
    /// # Errors
    /// [`EngineError::Files`] when the file has none or splits text in a way that is not known.
    pub fn tokenizer(&mut self) -> Result<Tokenizer, EngineError> {
        let split = self.text("tokenizer.ggml.pre").unwrap_or_else(|| "gpt-2".to_owned());
        // Candle knows the vocabulary of Llama 3 by another name.
        if split == "llama-bpe" {
            let name = Value::String("llama3".to_owned());
            self.content.metadata.insert("tokenizer.ggml.pre".to_owned(), name);
        }
        let mut tokenizer =
            HfTokenizer::from_gguf(&self.content).map_err(|error| self.error(error))?;
        // Candle takes a vocabulary that it does not know for one that puts a space before the text.
        let byte_level = ByteLevel::new(false, true, true);
        let splitter: Option<PreTokenizerWrapper> = match split.as_str() {
            "smollm" => {
                Some(Sequence::new(vec![Digits::new(true).into(), byte_level.into()]).into())
            }
            "gpt-2" | "default" => Some(byte_level.into()),
            "llama-bpe" | "llama3" | "smaug-bpe" | "qwen2" => None,
            other => {
                return Err(self.error(format!("tokenizer.ggml.pre {other:?} is not supported")));
            }
        };
        if let Some(splitter) = splitter {
            tokenizer.with_pre_tokenizer(Some(splitter));
            tokenizer.with_decoder(Some(byte_level));
            tokenizer.with_post_processor(Some(byte_level));
        }
        let text = |key: &str| self.token(key).and_then(|id| tokenizer.id_to_token(id));
        let chat = Chat {
            template: self.text("tokenizer.chat_template"),
            bos: text("tokenizer.ggml.bos_token_id"),
            eos: text("tokenizer.ggml.eos_token_id"),
            eos_ids: self.eos_ids(),
        };
        Tokenizer::new(tokenizer, chat)
    }

    /// Tokens that end a sequence or a turn.
    #[must_use]
    pub fn eos_ids(&self) -> Vec<u32> {
        let keys = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];
        keys.iter().filter_map(|key| self.token(key)).collect()
    }

    fn token(&self, key: &str) -> Option<u32> {
        integer(self.content.metadata.get(key)?).and_then(|id| u32::try_from(id).ok())
    }
}

/// Whole numbers are stored in whatever width the writer chose.
fn integer(value: &Value) -> Option<usize> {
    match value {
        Value::U8(v) => Some(usize::from(*v)),
        Value::U16(v) => Some(usize::from(*v)),
        Value::U32(v) => usize::try_from(*v).ok(),
        Value::U64(v) => usize::try_from(*v).ok(),
        Value::I32(v) => usize::try_from(*v).ok(),
        Value::I64(v) => usize::try_from(*v).ok(),
        _ => None,
    }
}

/// GGUF holds the rows of queries and keys for a rotary embedding of neighbours; Hugging Face's layout is the
/// two halves of a head.
fn unpermute(tensor: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
    let (rows, columns) = tensor.dims2()?;
    let half = rows / heads / 2;
    tensor
        .reshape((heads, half, 2, columns))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape((rows, columns))
}

fn hugging_face_name(name: &str) -> Option<String> {
    let outside = match name {
        "token_embd.weight" => Some("model.embed_tokens.weight"),
        "output_norm.weight" => Some("model.norm.weight"),
        "output.weight" => Some("lm_head.weight"),
        _ => None,
    };
    if let Some(outside) = outside {
        return Some(outside.to_owned());
    }
    let (layer, part) = name.strip_prefix("blk.")?.split_once('.')?;
    let layer: usize = layer.parse().ok()?;
    let part = match part.strip_suffix(".weight")? {
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        "attn_norm" => "input_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        _ => return None,
    };
    Some(format!("model.layers.{layer}.{part}.weight"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tokenizer::byte_letters;
    use crate::engine::{Engine, candle, llama, tiny};
    use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
    use std::collections::HashMap;

    /// The tiny model as llama.cpp's converter would write it: other names, other order of rows.
    fn write(folder: &Path, dtype: GgmlDType, changes: &[(&str, Value)]) {
        let source = tempfile::tempdir().unwrap();
        tiny::write_tiny(source.path(), tiny::SEED).unwrap();
        let weights = candle::read_safetensors(&source.path().join("model.safetensors")).unwrap();
        let mut tensors: Vec<(String, QTensor)> = Vec::new();
        for (name, tensor) in weights {
            let target = name
                .replace("model.embed_tokens", "token_embd")
                .replace("model.norm", "output_norm")
                .replace("lm_head", "output")
                .replace("model.layers", "blk")
                .replace("self_attn.q_proj", "attn_q")
                .replace("self_attn.k_proj", "attn_k")
                .replace("self_attn.v_proj", "attn_v")
                .replace("self_attn.o_proj", "attn_output")
                .replace("mlp.gate_proj", "ffn_gate")
                .replace("mlp.up_proj", "ffn_up")
                .replace("mlp.down_proj", "ffn_down")
                .replace("input_layernorm", "attn_norm")
                .replace("post_attention_layernorm", "ffn_norm");
            let heads = if target.contains("attn_q") { 4 } else { 2 };
            let tensor = if target.contains("attn_q") || target.contains("attn_k") {
                let (rows, columns) = tensor.dims2().unwrap();
                let split = tensor.reshape((heads, 2, rows / heads / 2, columns)).unwrap();
                split
                    .transpose(1, 2)
                    .unwrap()
                    .contiguous()
                    .unwrap()
                    .reshape((rows, columns))
                    .unwrap()
            } else {
                tensor
            };
            let dtype = if tensor.rank() == 1 { GgmlDType::F32 } else { dtype };
            tensors.push((target, QTensor::quantize(&tensor, dtype).unwrap()));
        }
        let text = |text: &str| Value::String(text.to_owned());
        let mut tokens: Vec<String> = byte_letters().into_iter().map(String::from).collect();
        tokens.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"].map(String::from));
        let kinds = (0..260).map(|id| Value::I32(if id < 256 { 1 } else { 3 })).collect();
        let mut metadata: HashMap<&str, Value> = HashMap::from([
            ("general.architecture", text("llama")),
            ("llama.embedding_length", Value::U32(64)),
            ("llama.feed_forward_length", Value::U32(128)),
            ("llama.block_count", Value::U32(2)),
            ("llama.attention.head_count", Value::U32(4)),
            ("llama.attention.head_count_kv", Value::U32(2)),
            ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("llama.rope.freq_base", Value::F32(10_000.0)),
            ("llama.context_length", Value::U32(1024)),
            ("tokenizer.ggml.model", text("gpt2")),
            ("tokenizer.ggml.pre", text("smollm")),
            (
                "tokenizer.ggml.tokens",
                Value::Array(tokens.into_iter().map(Value::String).collect()),
            ),
            ("tokenizer.ggml.token_type", Value::Array(kinds)),
            ("tokenizer.ggml.merges", Value::Array(vec![])),
            ("tokenizer.ggml.bos_token_id", Value::U32(256)),
            ("tokenizer.ggml.eos_token_id", Value::U32(258)),
        ]);
        metadata.extend(changes.iter().cloned());
        let metadata: Vec<(&str, &Value)> =
            metadata.iter().map(|(key, value)| (*key, value)).collect();
        let tensors: Vec<(&str, &QTensor)> =
            tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let mut file = File::create(folder.join("model.gguf")).unwrap();
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    }

    #[test]
    fn a_gguf_file_is_the_same_model() {
        let (hf, gguf) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tiny::write_tiny(hf.path(), tiny::SEED).unwrap();
        let hf = candle::load_folder(hf.path(), &Device::Cpu, usize::MAX).unwrap();
        let prompt = hf.tokenizer().prompt("a 12 é").unwrap();
        let hidden = |engine: &candle::Candle| {
            let model = engine.model();
            model.hidden(&mut model.kv(prompt.len()), &prompt).unwrap()
        };
        for (dtype, limit) in
            [(GgmlDType::F32, 1e-12), (GgmlDType::Q8_0, 1e-3), (GgmlDType::Q4_1, 0.1)]
        {
            write(gguf.path(), dtype, &[]);
            let described = candle::describe_folder(gguf.path()).unwrap();
            assert_eq!(described.dtype, format!("{dtype:?}").to_lowercase());
            let engine = candle::load_folder(gguf.path(), &Device::Cpu, usize::MAX).unwrap();
            assert_eq!(
                engine.tokenizer().prompt("a 12 é").unwrap(),
                prompt,
                "ChatML is the default template"
            );
            assert_eq!(engine.tokenizer().eos(), [258]);
            let error = llama::relative_error(&hidden(&engine), &hidden(&hf)).unwrap();
            assert!(error < limit, "{dtype:?}: {error}");
        }
    }

    /// The referee's root is over what the weights are expanded to.
    #[test]
    fn the_referee_reads_it_too() {
        let (hf, gguf) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tiny::write_tiny(hf.path(), tiny::SEED).unwrap();
        let root = |folder: &Path| {
            let engine = candle::load_referee(folder, usize::MAX).unwrap();
            engine.model().referee().unwrap().weights_root()
        };
        write(gguf.path(), GgmlDType::F32, &[]);
        assert_eq!(root(gguf.path()), root(hf.path()));
        write(gguf.path(), GgmlDType::Q4_1, &[]);
        assert_ne!(root(gguf.path()), root(hf.path()));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = |text: &str| Value::String(text.to_owned());
        for change in [
            ("general.architecture", text("falcon")),
            ("tokenizer.ggml.pre", text("unheard-of")),
            ("tokenizer.ggml.model", text("llama")),
            ("llama.attention.head_count", Value::U32(0)),
            ("llama.block_count", Value::U32(3)),
            ("llama.rope.scaling.type", text("yarn")),
            ("tokenizer.ggml.eos_token_id", Value::U32(999_999)),
        ] {
            write(folder.path(), GgmlDType::F32, std::slice::from_ref(&change));
            let result = candle::load_folder(folder.path(), &Device::Cpu, 64).map(|_| ());
            assert!(matches!(result, Err(EngineError::Files(_))), "{}: {result:?}", change.0);
        }
        std::fs::write(folder.path().join("model.gguf"), b"GGUF nonsense").unwrap();
        assert!(candle::load_folder(folder.path(), &Device::Cpu, 64).is_err());
    }
}
