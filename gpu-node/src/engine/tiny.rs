//! A Llama so small that tests build it where they need it: random weights, a vocabulary of bytes.
//!
//! The weights come from integers alone, so that every machine writes the same files, bit for bit, and hence
//! the same model id. It writes nonsense, in printable ASCII.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use super::EngineError;
use super::tokenizer::{Chat, Tokenizer, byte_letters};

/// Seed of the model that tests share.
pub const SEED: u64 = 7;
/// Context of the model, tokens.
pub const CONTEXT_TOKENS: u32 = 1024;

const HIDDEN: usize = 64;
const INTERMEDIATE: usize = 128;
const LAYERS: usize = 2;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const HEAD_DIM: usize = HIDDEN / HEADS;
/// 256 bytes and the special tokens.
const VOCABULARY: usize = 256 + SPECIAL.len();
const SPECIAL: [&str; 4] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"];
/// Id of `<|im_end|>`, which ends an answer.
const EOS: u32 = 258;
const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
    {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// Writes `config.json`, `tokenizer.json`, `tokenizer_config.json` and `model.safetensors` into `dir`.
///
/// # Errors
/// [`EngineError::Files`] when the disk refuses.
pub fn write_tiny(dir: &Path, seed: u64) -> Result<(), EngineError> {
    let files = [
        ("config.json", config_json().into_bytes()),
        ("tokenizer.json", tokenizer_json().into_bytes()),
        ("tokenizer_config.json", tokenizer_config_json().into_bytes()),
        ("model.safetensors", safetensors(seed)),
    ];
    let failed = |error: std::io::Error| EngineError::Files(format!("{}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(failed)?;
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).map_err(failed)?;
    }
    Ok(())
}

/// The tokenizer alone: one token per byte, its id the byte.
///
/// # Errors
/// None that the code as it is can give.
pub fn tokenizer() -> Result<Tokenizer, EngineError> {
    let chat = Chat::from_tokenizer_config(tokenizer_config_json().as_bytes())?;
    Tokenizer::from_json(tokenizer_json().as_bytes(), chat)
}

// Written out by hand: the order of keys must not depend on how a library was built.

fn config_json() -> String {
    format!(
        "{{\n  \"architectures\": [\"LlamaForCausalLM\"],\n  \"model_type\": \"llama\",\n  \"hidden_act\": \"silu\",\n  \
         \"hidden_size\": {HIDDEN},\n  \"intermediate_size\": {INTERMEDIATE},\n  \"vocab_size\": {VOCABULARY},\n  \
         \"num_hidden_layers\": {LAYERS},\n  \"num_attention_heads\": {HEADS},\n  \
         \"num_key_value_heads\": {KV_HEADS},\n  \"rms_norm_eps\": 1e-5,\n  \"rope_theta\": 10000.0,\n  \
         \"max_position_embeddings\": {CONTEXT_TOKENS},\n  \"bos_token_id\": 256,\n  \"eos_token_id\": {EOS},\n  \
         \"tie_word_embeddings\": false,\n  \"torch_dtype\": \"float32\"\n}}\n"
    )
}

fn tokenizer_config_json() -> String {
    format!(
        "{{\n  \"bos_token\": \"<|endoftext|>\",\n  \"eos_token\": \"<|im_end|>\",\n  \"chat_template\": {}\n}}\n",
        json!(TEMPLATE)
    )
}

pub(crate) fn tokenizer_json() -> String {
    let mut vocabulary = String::new();
    for (byte, letter) in byte_letters().into_iter().enumerate() {
        let comma = if byte == 0 { "" } else { "," };
        let _ = write!(vocabulary, "{comma}{}:{byte}", json!(letter));
    }
    let mut added = String::new();
    for (index, text) in SPECIAL.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(
            added,
            "{comma}{{\"id\":{},\"content\":{},\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\
             \"normalized\":false,\"special\":true}}",
            256 + index,
            json!(text)
        );
    }
    format!(
        "{{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{added}],\"normalizer\":null,\
         \"pre_tokenizer\":{{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\
         \"use_regex\":true}},\"post_processor\":null,\"decoder\":{{\"type\":\"ByteLevel\",\
         \"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}},\"model\":{{\"type\":\"BPE\",\
         \"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\
         \"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{{{vocabulary}}},\"merges\":[]}}}}\n"
    )
}

/// Names and shapes, in the order of the file.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let matrix = |name: String, rows, columns| (name, vec![rows, columns]);
    let mut all = vec![
        matrix("lm_head.weight".to_owned(), VOCABULARY, HIDDEN),
        matrix("model.embed_tokens.weight".to_owned(), VOCABULARY, HIDDEN),
        ("model.norm.weight".to_owned(), vec![HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        all.extend([
            matrix(name("self_attn.q_proj"), HIDDEN, HIDDEN),
            matrix(name("self_attn.k_proj"), KV_HEADS * HEAD_DIM, HIDDEN),
            matrix(name("self_attn.v_proj"), KV_HEADS * HEAD_DIM, HIDDEN),
            matrix(name("self_attn.o_proj"), HIDDEN, HIDDEN),
            matrix(name("mlp.gate_proj"), INTERMEDIATE, HIDDEN),
            matrix(name("mlp.up_proj"), INTERMEDIATE, HIDDEN),
            matrix(name("mlp.down_proj"), HIDDEN, INTERMEDIATE),
            (name("input_layernorm"), vec![HIDDEN]),
            (name("post_attention_layernorm"), vec![HIDDEN]),
        ]);
    }
    all.sort();
    all
}

/// The format of safetensors: length of the header, header, little-endian data.
fn safetensors(seed: u64) -> Vec<u8> {
    let mut header = String::from("{\"__metadata__\":{\"format\":\"pt\"}");
    let mut data = Vec::new();
    let mut random = SplitMix64(seed);
    for (name, shape) in tensors() {
        let begin = data.len();
        for row in 0..shape[0] {
            for _ in 0..shape.get(1).copied().unwrap_or(1) {
                data.extend_from_slice(&weight(&name, row, &shape, &mut random).to_le_bytes());
            }
        }
        let shape = json!(shape);
        let _ = write!(
            header,
            ",\"{name}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{begin},{}]}}",
            data.len()
        );
    }
    header.push('}');
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(&data);
    bytes
}

/// Norms are one; the output rows of what cannot be printed are zero, so that the model prefers what can; the
/// rest is nearly normal with variance 1 / columns, larger for output and embedding.
fn weight(name: &str, row: usize, shape: &[usize], random: &mut SplitMix64) -> f32 {
    if shape.len() == 1 {
        return 1.0;
    }
    let value = random.centred();
    let printable = (0x20..0x7f).contains(&row) || row == EOS as usize;
    let scale = match name {
        "lm_head.weight" if !printable => 0.0,
        "lm_head.weight" => 0.5,
        "model.embed_tokens.weight" => 1.0,
        _ if shape[1] == INTERMEDIATE => 0.0625,
        _ => 0.125,
    };
    // Not -0.0, which has other bytes.
    if scale == 0.0 { 0.0 } else { value * scale }
}

/// Numbers that are the same in every run (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators",
/// 2014), from a seed.
#[derive(Debug)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Sum of four uniform numbers, mean 0, deviation 1.15: an integer of 18 bits times a power of two, hence
    /// exact.
    fn centred(&mut self) -> f32 {
        let bits = self.next();
        let sum: i32 = (0..4).map(|part| ((bits >> (16 * part)) & 0xffff) as i32).sum();
        (sum - 2 * 0xffff) as f32 / 32_768.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn hash(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    /// Tests elsewhere name this model by its hash.
    #[test]
    fn the_files_are_golden() {
        let folder = tempfile::tempdir().unwrap();
        write_tiny(folder.path(), SEED).unwrap();
        let files = ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"];
        let hashes = files.map(|name| hash(&fs::read(folder.path().join(name)).unwrap()));
        assert_eq!(
            hashes,
            [
                "cda1563de5251ed6a2e5754448c9c994dc3830deb828fe114908effab2297ea2",
                "7b00accaea3b336f4e0589e5f95712c9b145f252360d8d4ae2f01f010b8e5094",
                "a1119b7ec3f4ab98f815284788f3cad9eeffd79aeef04d151d784acc7bdc54fd",
                "1b031f74427f0c5ab8a03c5c762446a7f022e40921d90058b62330736d9ac8e6",
            ]
        );
        let size: u64 = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(size < 1_000_000, "{size} bytes");
        assert_ne!(safetensors(SEED), safetensors(SEED + 1));
    }

    #[test]
    fn a_byte_is_a_token() {
        let tokenizer = tokenizer().unwrap();
        assert_eq!(tokenizer.encode("Az é").unwrap(), [65, 122, 32, 0xc3, 0xa9]);
        assert_eq!(tokenizer.eos(), [EOS]);
        assert_eq!(tokenizer.vocabulary(), VOCABULARY);
        let prompt = tokenizer.prompt("").unwrap();
        assert_eq!(prompt.first(), Some(&257));
        assert_eq!(prompt.iter().filter(|token| **token >= 256).count(), 3);
    }
}
