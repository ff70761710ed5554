//! `plasma.toml`: every setting with its default, written by `plasmad init`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::statesync::LISTED_MAX;

/// Blocks whose state can be queried and proven, unless the file says otherwise.
pub const KEEP_RECENT: u64 = 10_000;
/// RocksDB's cache, unless the file says otherwise.
pub const CACHE_BYTES: usize = 256 << 20;
/// The state tree in memory, unless the file says otherwise: six million keys.
pub const TREE_BYTES: usize = 512 << 20;
/// Least memory for the state tree, MiB.
const TREE_MIB_MIN: usize = 8;
/// Age of the last block up to which a node is ready, seconds, unless the file says otherwise.
pub const READY_BLOCK_AGE_S: u64 = 60;
/// Least memory of CometBFT before it does nothing but collect garbage, MiB.
const COMETBFT_MIB_MIN: u64 = 128;
const MIB: usize = 1 << 20;

/// Name of the file in a home.
pub const FILE: &str = "plasma.toml";

/// Settings of one node. Unknown keys are refused, so a typing error cannot pass for a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The socket of CometBFT.
    pub abci: Abci,
    /// CometBFT.
    pub cometbft: Cometbft,
    /// The gRPC port.
    pub grpc: Door,
    /// The REST port.
    pub rest: Rest,
    /// What peers may take of the gRPC, the REST and the front door's port.
    pub limits: Limits,
    /// The metrics port.
    pub metrics: Metrics,
    /// The front door of transactions.
    pub frontdoor: Frontdoor,
    /// The index of transactions.
    pub index: Index,
    /// The database.
    pub store: Store,
    /// Snapshots for nodes that join.
    pub snapshot: Snapshot,
    /// The check of what lies on disk.
    pub scrub: Scrub,
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

/// CometBFT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cometbft {
    /// Its RPC, `http://HOST:PORT`; empty is `rpc.laddr` of the config.toml in CometBFT's home.
    pub rpc: String,
    /// GOGC of the CometBFT that plasmad starts.
    pub gc_percent: u32,
    /// Its GOMEMLIMIT, MiB.
    pub memory_mib: u64,
}

/// What peers may take of the gRPC, the REST and the front door's port, each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections.
    pub connections_max: usize,
    /// Open connections of one address.
    pub connections_per_address_max: usize,
    /// Requests of one address per second; 0 is no limit.
    pub requests_per_s: u32,
    /// Requests of one address at once, after a pause.
    pub requests_burst: u32,
    /// Whether addresses of this machine have these limits too.
    pub loopback: bool,
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
    /// Age of the last block up to which the node says that it is ready, seconds.
    pub ready_block_age_s: u64,
}

/// The front door of transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frontdoor {
    /// Whether it is open.
    pub enabled: bool,
    /// Its address.
    pub listen: SocketAddr,
    /// Whether pages of any origin may read its answers.
    pub cors: bool,
}

/// The index of transactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Index {
    /// Whether plasmad keeps it, instead of CometBFT.
    pub enabled: bool,
    /// Whether CometBFT is told of events all the same, for those who subscribe to them.
    pub subscriptions: bool,
}

impl Default for Index {
    fn default() -> Self {
        Self { enabled: false, subscriptions: true }
    }
}

/// The database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Blocks whose state can be queried and proven.
    pub keep_recent: u64,
    /// Whether nothing is pruned at all.
    pub archive: bool,
    /// Blocks that CometBFT keeps; 0 for all.
    pub retain_blocks: u64,
    /// Cache, MiB.
    pub cache_mib: usize,
    /// The state tree in memory, MiB.
    pub tree_mib: usize,
    /// MiB of state per second that snapshots and scrubs read while blocks are made.
    pub upkeep_mib_s: u64,
}

/// Snapshots for nodes that join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshot {
    /// One every so many blocks; 0 for none.
    pub blocks: u64,
    /// How many are kept.
    pub keep: usize,
    /// GiB of the largest one that this node restores.
    pub restore_gib_max: u64,
}

/// The check of what lies on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scrub {
    /// Before the node starts.
    pub at_start: bool,
    /// And every so many blocks; 0 for never.
    pub blocks: u64,
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

impl Default for Cometbft {
    fn default() -> Self {
        Self { rpc: String::new(), gc_percent: 400, memory_mib: 2_048 }
    }
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

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            connections_per_address_max: 64,
            requests_per_s: 100,
            requests_burst: 300,
            loopback: false,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { enabled: true, listen: local(26660), ready_block_age_s: READY_BLOCK_AGE_S }
    }
}

impl Default for Frontdoor {
    fn default() -> Self {
        Self { enabled: false, listen: local(26650), cors: false }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            keep_recent: KEEP_RECENT,
            archive: false,
            retain_blocks: 0,
            cache_mib: CACHE_BYTES / MIB,
            tree_mib: TREE_BYTES / MIB,
            upkeep_mib_s: 32,
        }
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { blocks: 1_000, keep: 2, restore_gib_max: 64 }
    }
}

impl Default for Scrub {
    fn default() -> Self {
        Self { at_start: true, blocks: 10_000 }
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
        anyhow::ensure!(
            config.store.tree_mib >= TREE_MIB_MIN,
            "store.tree_mib must be at least {TREE_MIB_MIN}"
        );
        anyhow::ensure!(
            (1..=LISTED_MAX).contains(&config.snapshot.keep),
            "snapshot.keep must be from 1 to {LISTED_MAX}"
        );
        let Cometbft { gc_percent, memory_mib, .. } = config.cometbft;
        anyhow::ensure!(gc_percent > 0, "cometbft.gc_percent must be at least 1");
        anyhow::ensure!(
            memory_mib >= COMETBFT_MIB_MIN,
            "cometbft.memory_mib must be at least {COMETBFT_MIB_MIN}"
        );
        let Limits { connections_max, connections_per_address_max, .. } = config.limits;
        anyhow::ensure!(connections_max > 0, "limits.connections_max must be at least 1");
        anyhow::ensure!(
            connections_per_address_max > 0,
            "limits.connections_per_address_max must be at least 1"
        );
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
        let Store { keep_recent, archive, cache_mib, tree_mib, .. } = self.store;
        let recent = if archive { u64::MAX } else { keep_recent };
        crate::node::Keep {
            recent,
            cache_bytes: cache_mib.saturating_mul(MIB),
            tree_bytes: tree_mib.saturating_mul(MIB),
            index: self.index.enabled,
            subscriptions: self.index.subscriptions,
        }
    }

    /// What is done for the state beside the blocks.
    pub fn upkeep(&self) -> crate::upkeep::Upkeep {
        crate::upkeep::Upkeep {
            snapshot_blocks: self.snapshot.blocks,
            snapshots_kept: self.snapshot.keep,
            restore_bytes_max: self.snapshot.restore_gib_max.saturating_mul(1 << 30),
            retain_blocks: self.store.retain_blocks,
            keep_evidence: true,
            scrub_at_start: self.scrub.at_start,
            scrub_blocks: self.scrub.blocks,
            bytes_per_s: self.store.upkeep_mib_s.saturating_mul(MIB as u64),
        }
    }

    /// The file's text, each setting explained.
    pub fn text(&self) -> String {
        let Self {
            abci,
            cometbft,
            grpc,
            rest,
            limits,
            metrics,
            frontdoor,
            index,
            store,
            snapshot,
            scrub,
            log,
        } = self;
        format!(
            r#"# Settings of plasmad. What stands here is what holds; flags of `plasmad start` override it.
# CometBFT's own settings are in cometbft/config/config.toml.

[abci]
# Where CometBFT reaches this node: "unix://PATH" or "tcp://HOST:PORT". Empty: data/abci.sock in
# this home. It must be the proxy_app of cometbft's config.toml.
listen = {listen}

[cometbft]
# CometBFT's RPC, "http://HOST:PORT": it is asked for blocks, transactions and validators, and
# broadcasts go there, as does what the front door hands on. Empty: rpc.laddr of
# cometbft/config/config.toml in this home.
rpc = {rpc}
# What `plasmad start --with-cometbft` hands to it: garbage is collected when the heap has grown by so
# many percent (GOGC; Go's own 100 collects several times as often under load), or when the process
# comes near so many MiB (GOMEMLIMIT). GOGC and GOMEMLIMIT of plasmad's own environment go first.
gc_percent = {gc_percent}
memory_mib = {memory_mib}

[grpc]
enabled = {grpc_enabled}
# Reflection and health included. Loopback unless a proxy with limits stands in front.
listen = "{grpc_listen}"

[rest]
enabled = {rest_enabled}
listen = "{rest_listen}"
# Whether web pages of any origin may read it: wallets and explorers in a browser need this.
cors = {cors}

[limits]
# What peers may take of the gRPC, the REST and the front door's port, each. Addresses of this
# machine count only in connections_max, unless loopback is true: a proxy there speaks for many, and
# has its own limits.
connections_max = {connections_max}
connections_per_address_max = {connections_per_address_max}
# Of one address; 0 is no limit.
requests_per_s = {requests_per_s}
requests_burst = {requests_burst}
loopback = {loopback}

[metrics]
enabled = {metrics_enabled}
# Prometheus on /metrics, liveness on /healthz, readiness on /readyz; /log-level changes what is
# logged, from this machine alone.
listen = "{metrics_listen}"
# /readyz says no while the last block is older than this, seconds.
ready_block_age_s = {ready_block_age_s}

[frontdoor]
# Whether plasmad answers CometBFT's RPC too, on a port of its own: it takes transactions itself,
# many to one message between nodes, and hands everything else on to cometbft.rpc. What comes by
# gRPC and REST then takes the same way. See docs/frontdoor.md.
enabled = {frontdoor_enabled}
listen = "{frontdoor_listen}"
# Whether web pages of any origin may read answers about transactions; for the others CometBFT's
# cors_allowed_origins decides.
cors = {frontdoor_cors}

[index]
# Whether plasmad keeps the index of transactions. Then tx, tx_search, block_search and block_results
# are answered at the front door, GetTx and GetTxsEvent by gRPC and REST, all from the block on at
# which this was set, for as long as CometBFT keeps the blocks; and CometBFT needs no index and no
# results of its own, which cost it several times as much. In cometbft/config/config.toml:
#   [tx_index] indexer = "null"      [storage] discard_abci_responses = true
# See docs/frontdoor.md.
enabled = {index_enabled}
# Whether CometBFT is told of events although they are indexed here: its WebSocket needs them to find
# what somebody subscribed to by attributes (transfer.recipient='xpl1...'). Blocks, and transactions by
# tm.event, tx.hash and tx.height, are found without. false where nobody subscribes by attributes: they are
# a third of what a block costs CometBFT. As long as plasmad keeps no index, CometBFT is told in any case.
subscriptions = {index_subscriptions}

[store]
# Blocks whose state can be queried and proven; older ones are pruned.
keep_recent = {keep_recent}
# true: nothing is pruned, whatever keep_recent says.
archive = {archive}
# Blocks that CometBFT keeps; 0 for all of them. Blocks that evidence may be about, by the chain's
# consensus parameters, and those that a node needs which joins from a snapshot of ours are kept in any case.
retain_blocks = {retain_blocks}
# RocksDB's cache, MiB.
cache_mib = {cache_mib}
# The state tree in memory, MiB; a million keys take about 85. Beyond it, keys that are not used are
# read from disk when a block changes them.
tree_mib = {tree_mib}
# MiB of state per second that snapshots and scrubs read while blocks are made; 0 for no limit.
upkeep_mib_s = {upkeep_mib_s}

[snapshot]
# A snapshot for nodes that join by state sync, every so many blocks; 0 for none.
blocks = {snapshot_blocks}
# How many are kept, at most {LISTED_MAX}.
keep = {snapshot_keep}
# GiB of the largest snapshot that this node restores when it joins: a lying peer can make it fetch
# so much before the app hash shows the lie. 0 for no limit.
restore_gib_max = {restore_gib_max}

[scrub]
# Before the node starts, every key is read and hashed, and compared with the app hash.
at_start = {scrub_at_start}
# The same every so many blocks while it runs; 0 for never. A node whose state is wrong stops.
blocks = {scrub_blocks}

[log]
# error, warn, info, debug, trace, or directives such as "info,plasma_app=debug". RUST_LOG overrides.
level = {level}
# One JSON object per line instead of text.
json = {json}
"#,
            listen = toml::Value::from(abci.listen.as_str()),
            rpc = toml::Value::from(cometbft.rpc.as_str()),
            gc_percent = cometbft.gc_percent,
            memory_mib = cometbft.memory_mib,
            grpc_enabled = grpc.enabled,
            grpc_listen = grpc.listen,
            rest_enabled = rest.enabled,
            rest_listen = rest.listen,
            cors = rest.cors,
            connections_max = limits.connections_max,
            connections_per_address_max = limits.connections_per_address_max,
            requests_per_s = limits.requests_per_s,
            requests_burst = limits.requests_burst,
            loopback = limits.loopback,
            metrics_enabled = metrics.enabled,
            metrics_listen = metrics.listen,
            ready_block_age_s = metrics.ready_block_age_s,
            frontdoor_enabled = frontdoor.enabled,
            frontdoor_listen = frontdoor.listen,
            frontdoor_cors = frontdoor.cors,
            index_enabled = index.enabled,
            index_subscriptions = index.subscriptions,
            keep_recent = store.keep_recent,
            archive = store.archive,
            retain_blocks = store.retain_blocks,
            cache_mib = store.cache_mib,
            tree_mib = store.tree_mib,
            upkeep_mib_s = store.upkeep_mib_s,
            snapshot_blocks = snapshot.blocks,
            snapshot_keep = snapshot.keep,
            restore_gib_max = snapshot.restore_gib_max,
            scrub_at_start = scrub.at_start,
            scrub_blocks = scrub.blocks,
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
        config.cometbft.rpc = "http://10.0.0.1:26657".into();
        config.limits.requests_per_s = 0;
        config.limits.loopback = true;
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
        for (text, key) in [
            ("[cometbft]\ngc_percent = 0", "gc_percent"),
            ("[cometbft]\nmemory_mib = 1", "memory_mib"),
            ("[snapshot]\nkeep = 11", "snapshot.keep"),
            ("[snapshot]\nkeep = 0", "snapshot.keep"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(key), "{error}");
        }
    }
}
