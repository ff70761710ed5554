//! What the owner of a rig sets: `gpu-node.toml` in the node's home.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use plasma_modules::Address;
use plasma_modules::attestation::referee::KERNEL_ID;
use plasma_proto::plasma::market::v1::Ask;
use serde::{Deserialize, Deserializer, de};

/// Name of the configuration in the home.
pub const FILE: &str = "gpu-node.toml";
/// Name of the sealed key that signs receipts.
pub const RECEIPT_KEY_FILE: &str = "receipt-key.json";
/// Name of the sealed key of the account that carries receipts.
pub const REPORTER_KEY_FILE: &str = "reporter-key.json";
/// Name of the file in which `register` notes the operator's address.
pub const OPERATOR_FILE: &str = "operator";
/// Name of the folder of models.
pub const MODELS_FOLDER: &str = "models";
/// Name of the folder of a juror's verdicts.
pub const JURY_FOLDER: &str = "jury";
/// Name of the folder of answers.
pub const OUTBOX_FOLDER: &str = "outbox";
/// Most models of one node.
pub const MODELS_MAX: usize = 64;
/// Largest configuration, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The configuration that `init` writes: every default, commented.
pub const DEFAULT: &str = r#"# Configuration of a gpu-node. What is commented out shows the default.

# RPC of a node of the chain.
#node = "http://127.0.0.1:26657"

# The operator's account. `gpu-node register` notes it in the file `operator` beside this one; set it only
# if the provider was registered elsewhere.
#operator = ""

# Where clients reach this machine, and where it stands: told to the chain by `register` and `update`.
#endpoint = "http://127.0.0.1:8090"
#region = ""

# Where models run: cpu, cuda:0 (a build with the feature cuda), metal:0 (with the feature metal).
#device = "cpu"

# Threads of the kernels; 0 leaves it to the library. Part of the kernel id that receipts name.
#threads = 0

# How much is logged: error, warn, info, debug; or a filter such as "info,gpu_node=debug".
#log = "info"
# One JSON object a line instead of text.
#log_json = false

# Liveness, readiness and metrics: /healthz, /readyz, /metrics.
#metrics_listen = "127.0.0.1:9464"

# The OpenAI-compatible interface for the rig's owner. Keep it on loopback: it is free of charge.
[api]
#enabled = true
#listen = "127.0.0.1:8090"
# Callers must send `Authorization: Bearer <token>` if this is set. Required off loopback.
#token = ""
# Most tokens of one answer.
#max_tokens = 1024
# Requests at the same time.
#concurrent = 4

# Models whose claims this node judges beside those that it serves: it must have them (gpu-node model add).
# To be drawn, the operator must be in the model's pool: gpu-node jury join.
[jury]
#models = []

# One block for each model that is served. The id is what `gpu-node model add` prints. Prices are in uxpl per
# million tokens (1 XPL = 1,000,000 uxpl); a slot is one concurrent job.
#[[models]]
#id = "0000000000000000000000000000000000000000000000000000000000000000"
#fresh_uxpl_per_mtok = 200000
#cached_uxpl_per_mtok = 50000
#output_uxpl_per_mtok = 600000
#slots = 1
# What computes: "candle", or "referee", whose answers a dispute can decide without a jury. The referee runs on
# the processor, whatever device says, and only models in f32, f16 or bf16 without biases.
#kernel = "candle"
"#;

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none.
    #[error("{} is missing: run gpu-node init first, or set --home", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not well formed.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// RPC of a node of the chain.
    pub node: String,
    /// The operator's account; empty for what `register` noted.
    pub operator: String,
    /// Where clients reach this machine.
    pub endpoint: String,
    /// Where the machine stands.
    pub region: String,
    /// `cpu`, `cuda:N` or `metal:N`.
    pub device: String,
    /// Threads of the kernels; 0 for the library's choice.
    pub threads: usize,
    /// Filter of the log.
    pub log: String,
    /// Whether the log is JSON.
    pub log_json: bool,
    /// Address of liveness, readiness and metrics.
    pub metrics_listen: SocketAddr,
    /// The owner's interface.
    pub api: Api,
    /// What is judged beside what is served.
    pub jury: Jury,
    /// What is served.
    pub models: Vec<Served>,
}

/// What a node judges.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jury {
    /// Ids of models.
    #[serde(deserialize_with = "model_ids")]
    pub models: Vec<[u8; 32]>,
}

/// The owner's interface.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Whether there is one.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
    /// Bearer token; empty for none.
    pub token: String,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// Requests at the same time.
    pub concurrent: usize,
}

/// What computes a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// Candle, on the configured device.
    #[default]
    Candle,
    /// The referee's, on the processor: the same bits everywhere.
    Referee,
}

impl Kernel {
    /// The one that a receipt names, as far as it matters for repeating it.
    #[must_use]
    pub fn of(kernel_id: &str) -> Self {
        if kernel_id == KERNEL_ID { Self::Referee } else { Self::Candle }
    }
}

/// A model that is served, and its price.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// Model id.
    #[serde(deserialize_with = "model_id")]
    pub id: [u8; 32],
    /// Input, uxpl per million tokens.
    pub fresh_uxpl_per_mtok: u64,
    /// Input that the node had cached, uxpl per million tokens.
    pub cached_uxpl_per_mtok: u64,
    /// Output, uxpl per million tokens.
    pub output_uxpl_per_mtok: u64,
    /// Concurrent jobs.
    #[serde(default = "one")]
    pub slots: u32,
    /// What computes it.
    #[serde(default)]
    pub kernel: Kernel,
}

fn model_id<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    parse_model_id(&String::deserialize(from)?)
}

fn model_ids<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[u8; 32]>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|text| parse_model_id(text)).collect()
}

fn parse_model_id<E: de::Error>(text: &str) -> Result<[u8; 32], E> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| E::custom(format!("{text:?} is no model id: it has 64 hexadecimal digits")))
}

fn one() -> u32 {
    1
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node: "http://127.0.0.1:26657".to_owned(),
            operator: String::new(),
            endpoint: "http://127.0.0.1:8090".to_owned(),
            region: String::new(),
            device: "cpu".to_owned(),
            threads: 0,
            log: "info".to_owned(),
            log_json: false,
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            api: Api::default(),
            jury: Jury::default(),
            models: Vec::new(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 8090)),
            token: String::new(),
            max_tokens: 1024,
            concurrent: 4,
        }
    }
}

impl Served {
    /// As the market takes it.
    #[must_use]
    pub fn ask(&self) -> Ask {
        let Self {
            id,
            fresh_uxpl_per_mtok,
            cached_uxpl_per_mtok,
            output_uxpl_per_mtok,
            slots,
            kernel: _,
        } = self;
        Ask {
            model_id: id.to_vec(),
            fresh_uxpl_per_mtok: *fresh_uxpl_per_mtok,
            cached_uxpl_per_mtok: *cached_uxpl_per_mtok,
            output_uxpl_per_mtok: *output_uxpl_per_mtok,
            slots: *slots,
        }
    }
}

impl Config {
    /// Reads the configuration of a home.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] before `init`; [`ConfigError::Format`] names what is wrong.
    pub fn read(home: &Path) -> Result<Self, ConfigError> {
        let path = home.join(FILE);
        let io = |source| ConfigError::Io { path: path.clone(), source };
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ConfigError::Missing(path));
            }
            Err(error) => return Err(io(error)),
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
                let reason = format!("larger than {FILE_BYTES_MAX} bytes");
                return Err(ConfigError::Format { path, reason });
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(&path).map_err(io)?;
        Self::parse(&text).map_err(|reason| ConfigError::Format { path, reason })
    }

    /// Reads a configuration's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if config.models.len().saturating_add(config.jury.models.len()) > MODELS_MAX {
            return Err(format!("more than {MODELS_MAX} models"));
        }
        for (i, served) in config.models.iter().enumerate() {
            let name = hex::encode(served.id);
            if config.models.iter().skip(i + 1).any(|other| other.id == served.id) {
                return Err(format!("model {name} stands twice"));
            }
            if served.slots == 0 {
                return Err(format!("model {name} has no slots: set slots to 1 or more"));
            }
            if served.cached_uxpl_per_mtok > served.fresh_uxpl_per_mtok {
                return Err(format!(
                    "model {name}: cached input must not cost more than fresh input"
                ));
            }
        }
        let api = &config.api;
        if api.enabled && !api.listen.ip().is_loopback() && api.token.is_empty() {
            return Err(format!(
                "api.listen {} is reachable from outside: set api.token",
                api.listen
            ));
        }
        if api.concurrent == 0 || api.max_tokens == 0 {
            return Err("api.concurrent and api.max_tokens must be at least 1".to_owned());
        }
        if !config.operator.is_empty() {
            Address::parse(&config.operator).map_err(|error| format!("operator: {error}"))?;
        }
        Ok(config)
    }

    /// The operator's account: as configured, else as `register` noted it.
    ///
    /// # Errors
    /// [`ConfigError::Format`] if there is neither.
    pub fn operator(&self, home: &Path) -> Result<Address, ConfigError> {
        let path = home.join(OPERATOR_FILE);
        let noted;
        let text = if self.operator.is_empty() {
            noted = std::fs::read_to_string(&path).unwrap_or_default();
            noted.trim()
        } else {
            &self.operator
        };
        if text.is_empty() {
            let reason = "the operator is not known: run gpu-node register, or set operator in gpu-node.toml";
            return Err(ConfigError::Format { path, reason: reason.to_owned() });
        }
        Address::parse(text)
            .map_err(|error| ConfigError::Format { path, reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown as the default is the default.
    #[test]
    fn the_comments_tell_the_defaults() {
        assert_eq!(Config::parse(DEFAULT).unwrap(), Config::default());
        let uncommented: String = DEFAULT
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let mut config = Config::parse(&uncommented).unwrap();
        let models = std::mem::take(&mut config.models);
        assert_eq!(config, Config::default());
        assert_eq!((models.len(), models[0].slots, models[0].kernel), (1, 1, Kernel::Candle));
    }

    #[test]
    fn mistakes_are_named() {
        let model = |id: u8, rest: &str| {
            let id = hex::encode([id; 32]);
            format!(
                "[[models]]\nid = \"{id}\"\nfresh_uxpl_per_mtok = 2\ncached_uxpl_per_mtok = 1\noutput_uxpl_per_mtok = 3\n{rest}\n"
            )
        };
        assert_eq!(Config::parse(&model(1, "slots = 3")).unwrap().models[0].ask().slots, 3);
        let refereed = Config::parse(&model(1, "kernel = \"referee\"")).unwrap();
        assert_eq!(refereed.models[0].kernel, Kernel::Referee);
        for (text, says) in [
            ("nod = 1".to_owned(), "nod"),
            (format!("{}{}", model(1, ""), model(1, "")), "twice"),
            (model(1, "slots = 0"), "slots"),
            (model(1, "kernel = \"other\""), "kernel"),
            ("[api]\nlisten = \"0.0.0.0:1\"".to_owned(), "token"),
            ("operator = \"cosmos1\"".to_owned(), "operator"),
            ("[jury]\nmodels = [\"12\"]".to_owned(), "no model id"),
        ] {
            let error = Config::parse(&text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let open = Config::parse("[api]\nlisten = \"0.0.0.0:1\"\ntoken = \"t\"").unwrap();
        assert_eq!(open.api.token, "t");
    }
}
