//! `plasma.toml`: every setting with its default, written by `plasmad init`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Blocks whose state can be queried and proven, unless the file says otherwise.
pub const KEEP_RECENT: u64 = 10_000;
/// RocksDB's cache, unless the file says otherwise.
pub const CACHE_BYTES: usize = 256 << 20;
const MIB: usize = 1 << 20;

/// Name of the file in a home.
pub const FILE: &str = "plasma.toml";

/// Settings of one node. Unknown keys are refused, so a typing error cannot pass for a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The socket of CometBFT.
    pub abci: Abci,
    /// The gRPC port.
    pub grpc: Door,
    /// The REST port.
    pub rest: Rest,
    /// The metrics port.
    pub metrics: Metrics,
    /// The front door of transactions.
    pub frontdoor: Frontdoor,
    /// The database.
    pub store: Store,
    /// What is logged.
    pub log: Log,
}

/// The socket of CometBFT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Abci {
    /// `unix://PATH` or `tcp://HOST:PORT`; empty is `data/abci.sock` in the home.
    pub listen: String,
}

/// The gRPC port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Door {
    /// Whether it is open.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
}

/// The REST port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rest {
    /// Whether it is open.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
    /// Whether pages of any origin may read it.
    pub cors: bool,
}

/// The metrics port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Whether it is open.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
}

/// The front door of transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frontdoor {
    /// Whether it is open.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
    /// CometBFT's own RPC, on this machine.
    pub cometbft_rpc: SocketAddr,
    /// Whether pages of any origin may read its answers.
    pub cors: bool,
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Blocks whose state can be queried and proven.
    pub keep_recent: u64,
    /// Cache, MiB.
    pub cache_mib: usize,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// A level, or directives as in RUST_LOG.
    pub level: String,
    /// One JSON object per line.
    pub json: bool,
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), port)
}

impl Default for Door {
    fn default() -> Self {
        Self { enabled: true, listen: local(9090) }
    }
}

impl Default for Rest {
    fn default() -> Self {
        Self { enabled: true, listen: local(1317), cors: false }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true, listen: local(26660) }
    }
}

impl Default for Frontdoor {
    fn default() -> Self {
        let (listen, cometbft_rpc) = (local(26650), local(26657));
        Self { enabled: false, listen, cometbft_rpc, cors: false }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { keep_recent: KEEP_RECENT, cache_mib: CACHE_BYTES / MIB }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), json: false }
    }
}

impl Config {
    /// Reads the file of a home; without one, the defaults.
    pub fn load(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        Self::parse(&text).with_context(|| format!("{} has a mistake", path.display()))
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let config: Self = toml::from_str(text)?;
        anyhow::ensure!(config.store.keep_recent > 0, "store.keep_recent must be at least 1");
        anyhow::ensure!(config.store.cache_mib > 0, "store.cache_mib must be at least 1");
        Ok(config)
    }

    /// Where CometBFT finds the application.
    pub fn abci_address(&self, home: &Path) -> String {
        if self.abci.listen.is_empty() {
            format!("unix://{}", data_dir(home).join("abci.sock").display())
        } else {
            self.abci.listen.clone()
        }
    }

    /// How state is kept.
    pub fn keep(&self) -> crate::node::Keep {
        let Store { keep_recent, cache_mib } = self.store;
        crate::node::Keep { recent: keep_recent, cache_bytes: cache_mib.saturating_mul(MIB) }
    }

    /// The file's text, each setting explained.
    pub fn text(&self) -> String {
        let Self { abci, grpc, rest, metrics, frontdoor, store, log } = self;
        format!(
            r#"# Settings of plasmad. What stands here is what holds; flags of `plasmad start` override it.
# CometBFT's own settings are in cometbft/config/config.toml.

[abci]
# Where CometBFT reaches this node: "unix://PATH" or "tcp://HOST:PORT". Empty: data/abci.sock in
# this home. It must be the proxy_app of cometbft's config.toml.
listen = {listen}

[grpc]
enabled = {grpc_enabled}
# Reflection and health included. Loopback unless a proxy with limits stands in front.
listen = "{grpc_listen}"

[rest]
enabled = {rest_enabled}
listen = "{rest_listen}"
# Whether web pages of any origin may read it: wallets and explorers in a browser need this.
cors = {cors}

[metrics]
enabled = {metrics_enabled}
# Prometheus on /metrics, liveness on /healthz.
listen = "{metrics_listen}"

[frontdoor]
# Whether plasmad answers CometBFT's RPC too, on a port of its own: it takes transactions itself,
# many to one message between nodes, and hands everything else on. See docs/frontdoor.md.
enabled = {frontdoor_enabled}
listen = "{frontdoor_listen}"
# CometBFT's own RPC: rpc.laddr of cometbft's config.toml.
cometbft_rpc = "{frontdoor_rpc}"
# Whether web pages of any origin may read answers about transactions; for the others CometBFT's
# cors_allowed_origins decides.
cors = {frontdoor_cors}

[store]
# Blocks whose state can be queried and proven; older ones are pruned.
keep_recent = {keep_recent}
# RocksDB's cache, MiB.
cache_mib = {cache_mib}

[log]
# error, warn, info, debug, trace, or directives such as "info,plasma_app=debug". RUST_LOG overrides.
level = {level}
# One JSON object per line instead of text.
json = {json}
"#,
            listen = toml::Value::from(abci.listen.as_str()),
            grpc_enabled = grpc.enabled,
            grpc_listen = grpc.listen,
            rest_enabled = rest.enabled,
            rest_listen = rest.listen,
            cors = rest.cors,
            metrics_enabled = metrics.enabled,
            metrics_listen = metrics.listen,
            frontdoor_enabled = frontdoor.enabled,
            frontdoor_listen = frontdoor.listen,
            frontdoor_rpc = frontdoor.cometbft_rpc,
            frontdoor_cors = frontdoor.cors,
            keep_recent = store.keep_recent,
            cache_mib = store.cache_mib,
            level = toml::Value::from(log.level.as_str()),
            json = log.json,
        )
    }
}

/// The application's data in a home.
pub fn data_dir(home: &Path) -> PathBuf {
    home.join("data")
}

/// The database in a home.
pub fn db_dir(home: &Path) -> PathBuf {
    data_dir(home).join("state.db")
}

/// CometBFT's home in a home.
pub fn cometbft_dir(home: &Path) -> PathBuf {
    home.join("cometbft")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_file_says_what_holds() {
        let mut config = Config::default();
        assert_eq!(Config::parse(&config.text()).unwrap(), config);
        assert_eq!(Config::parse("").unwrap(), config);
        config.abci.listen = "unix:///tmp/\"a\"".into();
        config.rest.cors = true;
        config.log.level = "debug".into();
        assert_eq!(Config::parse(&config.text()).unwrap(), config);
    }

    #[test]
    fn mistakes_name_the_key() {
        let error = format!("{:#}", Config::parse("[rest]\ncorss = true").unwrap_err());
        assert!(error.contains("corss"), "{error}");
        let error = format!("{:#}", Config::parse("[grpc]\nlisten = \"nowhere\"").unwrap_err());
        assert!(error.contains("listen"), "{error}");
        let error = format!("{:#}", Config::parse("[store]\nkeep_recent = 0").unwrap_err());
        assert!(error.contains("keep_recent"), "{error}");
    }
}
