//! CometBFT's own files: keys and `config.toml`.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::SigningKey;
use rand_core::OsRng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::node::{ALONE_TXS_MAX, WAITING_BYTES_MAX};

/// What a validator that never signed has signed.
pub(crate) const SIGNED_NOTHING: &str =
    "{\n  \"height\": \"0\",\n  \"round\": 0,\n  \"step\": 0\n}\n";

/// Largest transaction that the mempool takes, bytes; plasmad itself takes less.
const MEMPOOL_TX_BYTES_MAX: u64 = 256 << 10;
/// Bytes of all waiting transactions, and how many they are: more than plasmad lets wait. What gives
/// way there to who pays more leaves the mempool only at its next recheck, and a mempool that is full
/// by its own count asks nobody what a newcomer pays.
const MEMPOOL_BYTES_MAX: u64 = 40 << 20;
const MEMPOOL_TXS_MAX: u64 = 8_000;
const _: () = {
    assert!(MEMPOOL_BYTES_MAX > WAITING_BYTES_MAX as u64 + WAITING_BYTES_MAX as u64 / 2);
    assert!(MEMPOOL_TXS_MAX > ALONE_TXS_MAX as u64 + ALONE_TXS_MAX as u64 / 2);
};
/// Transactions that the mempool remembers having seen.
const MEMPOOL_CACHE: u64 = 2 * MEMPOOL_TXS_MAX;
/// Connections of the RPC port.
const RPC_CONNECTIONS_MAX: u64 = 900;
/// Days for which evidence counts.
const EVIDENCE_DAYS: u64 = super::genesis::EVIDENCE_AGE_S / 86_400;
/// How old a header may be that a light client begins with, hours: two thirds of that.
const TRUST_PERIOD_H: u64 = EVIDENCE_DAYS * 24 * 2 / 3;
/// Blocks to look back for this key's signatures at start, on a network of several validators: a
/// second node with the same key stops instead of signing twice. An operator who restarts waits
/// that many blocks. A chain's only validator must not look back: nobody else makes the blocks that
/// it would have to wait for.
pub const DOUBLE_SIGN_CHECK_HEIGHT: u64 = 10;

/// An address in CometBFT: the first 20 bytes of the key's sha256.
pub fn address(pubkey: &[u8; 32]) -> [u8; 20] {
    let digest: [u8; 32] = Sha256::digest(pubkey).into();
    let mut address = [0; 20];
    address.copy_from_slice(&digest[..20]);
    address
}

/// A public key as CometBFT writes it.
pub(crate) fn pubkey_json(pubkey: &[u8; 32]) -> Value {
    json!({ "type": "tendermint/PubKeyEd25519", "value": STANDARD.encode(pubkey) })
}

fn privkey_json(key: &SigningKey) -> Value {
    let bytes = STANDARD.encode(key.to_keypair_bytes());
    json!({ "type": "tendermint/PrivKeyEd25519", "value": bytes })
}

/// A new `priv_validator_key.json`, and its public key.
pub(crate) fn validator_key() -> (String, [u8; 32]) {
    let key = SigningKey::generate(&mut OsRng);
    let pubkey = key.verifying_key().to_bytes();
    let json = json!({
        "address": hex::encode_upper(address(&pubkey)),
        "pub_key": pubkey_json(&pubkey),
        "priv_key": privkey_json(&key),
    });
    (format!("{json:#}\n"), pubkey)
}

/// A new `node_key.json`, and the node's id.
pub(crate) fn node_key() -> (String, String) {
    let key = SigningKey::generate(&mut OsRng);
    let id = hex::encode(address(&key.verifying_key().to_bytes()));
    (format!("{:#}\n", json!({ "priv_key": privkey_json(&key) })), id)
}

/// What differs between one CometBFT and another.
#[derive(Clone, Debug)]
pub struct CometSpec {
    /// RPC, `HOST:PORT`.
    pub rpc: String,
    /// Peers, `HOST:PORT`.
    pub p2p: String,
    /// Metrics, `HOST:PORT`; empty is none.
    pub prometheus: String,
    /// `ID@HOST:PORT` of nodes to stay connected with.
    pub persistent_peers: Vec<String>,
    /// Pause after a block.
    pub timeout_commit: String,
    /// Blocks to look back for signatures of this key, 0 for none.
    pub double_sign_check_height: u64,
    /// Whether pages of any origin may use the RPC port.
    pub cors: bool,
    /// Whether all nodes are on this machine.
    pub local: bool,
}

impl Default for CometSpec {
    fn default() -> Self {
        Self {
            rpc: "127.0.0.1:26657".into(),
            p2p: "0.0.0.0:26656".into(),
            prometheus: String::new(),
            persistent_peers: Vec::new(),
            timeout_commit: "1s".into(),
            double_sign_check_height: DOUBLE_SIGN_CHECK_HEIGHT,
            cors: false,
            local: false,
        }
    }
}

impl CometSpec {
    /// The text of `config.toml`. What is not in it is CometBFT's default.
    pub fn text(&self, moniker: &str, proxy_app: &str) -> String {
        let Self {
            rpc,
            p2p,
            prometheus,
            persistent_peers,
            timeout_commit,
            double_sign_check_height,
            cors,
            local,
        } = self;
        let quoted = |text: &str| toml::Value::from(text);
        format!(
            r#"# Settings of CometBFT 0.38, written by plasmad. What is not here is CometBFT's default.
proxy_app = {proxy_app}
abci = "socket"
moniker = {moniker}
log_level = "info"

[rpc]
# Not to be exposed as it is: put a proxy with limits in front.
laddr = {rpc}
cors_allowed_origins = {cors}
max_open_connections = {RPC_CONNECTIONS_MAX}

[p2p]
laddr = {p2p}
persistent_peers = {peers}
addr_book_strict = {strict}
allow_duplicate_ip = {local}

[mempool]
type = "flood"
# After each block what waits is checked again on the new state; without it, second transactions of
# an account would be lost.
recheck = true
size = {MEMPOOL_TXS_MAX}
max_txs_bytes = {MEMPOOL_BYTES_MAX}
max_tx_bytes = {MEMPOOL_TX_BYTES_MAX}
cache_size = {MEMPOOL_CACHE}

[consensus]
timeout_commit = {timeout_commit}
# At start, look back so many blocks for signatures of this node's key, and stop if there are any:
# another node may be running with it. Set it to {DOUBLE_SIGN_CHECK_HEIGHT} on a network, and wait so many blocks before a
# restart. 0, off, is for a chain's only validator, who could never start again, and for tests.
double_sign_check_height = {double_sign_check_height}

[statesync]
# A node without a state can begin with a snapshot of a recent block instead of executing them all.
# Name two RPC ports of nodes that you trust, and a recent height with the hash of its block, from
# {{rpc}}/block?height=N of a node that you trust. plasmad serves snapshots to others by itself.
enable = false
rpc_servers = ""
trust_height = 0
trust_hash = ""
# Below the {EVIDENCE_DAYS} days for which stake answers for what was signed.
trust_period = "{TRUST_PERIOD_H}h0m0s"

[tx_index]
indexer = "kv"

[instrumentation]
prometheus = {has_metrics}
prometheus_listen_addr = {prometheus}
"#,
            proxy_app = quoted(proxy_app),
            moniker = quoted(moniker),
            rpc = quoted(&format!("tcp://{rpc}")),
            cors = if *cors { r#"["*"]"# } else { "[]" },
            p2p = quoted(&format!("tcp://{p2p}")),
            peers = quoted(&persistent_peers.join(",")),
            strict = !local,
            timeout_commit = quoted(timeout_commit),
            has_metrics = !prometheus.is_empty(),
            prometheus = quoted(prometheus),
        )
    }
}
