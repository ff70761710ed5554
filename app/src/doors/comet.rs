//! What only CometBFT knows: blocks, transactions, validator sets, its own state. Asked of its RPC
//! port, without any lock of this node held.
//!
//! An ABCI query may end here too. CometBFT answers these calls from its own stores (and broadcasts
//! over the mempool's connection), never over the connection that the query came by, so the two do
//! not wait for each other.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context;
use plasma_modules::{chain::TxResult, query::QueryError};
use serde::{Deserialize, Serialize};
use tendermint::{Hash, Time, block::Height};
use tendermint_rpc::{
    Client, Error, HttpClient, Method, Order, SimpleRequest,
    client::CompatMode,
    endpoint::{block, consensus_params, header, status, tx, tx_search},
    error::ErrorDetail,
    request::RequestMessage,
};
use tokio::runtime::Handle;

use super::{Failure, GRPC_INTERNAL, GRPC_UNAVAILABLE};
use crate::node::Turned;

/// Longest wait for CometBFT.
const WAIT_S: u64 = 10;
/// Longest wait for a connection to it.
const CONNECT_S: u64 = 2;

/// Codes of the SDK's client for what CometBFT's mempool says, codespace `sdk`.
const IN_CACHE: u32 = 19;
const MEMPOOL_FULL: u32 = 20;
const TX_TOO_LARGE: u32 = 21;

/// How a transaction is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broadcast {
    /// Answered once CheckTx has spoken.
    Sync,
    /// Answered at once.
    Async,
}

/// What became of a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// 0 if it waits for a block.
    pub code: u32,
    /// Who refused.
    pub codespace: String,
    /// CheckTx' data.
    pub data: Vec<u8>,
    /// For people.
    pub log: String,
}

impl Taken {
    /// What the front door said, in the mempool's codes.
    pub(super) fn of_frontdoor(offered: Result<TxResult, Turned>, how: Broadcast) -> Self {
        let turned = match offered {
            Ok(TxResult { codespace, code, log, .. }) if how == Broadcast::Sync => {
                return Self { code, codespace: codespace.to_owned(), data: Vec::new(), log };
            }
            Ok(_) => return Self::default(),
            Err(turned) => turned,
        };
        let code = match turned {
            Turned::Known => IN_CACHE,
            Turned::Full { .. } => MEMPOOL_FULL,
            Turned::TooLarge(_) => TX_TOO_LARGE,
        };
        Self { code, codespace: "sdk".into(), log: turned.to_string(), ..Self::default() }
    }
}

/// A page of validators as CometBFT has them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Validators {
    /// Height of the set.
    pub block_height: Height,
    /// The page.
    pub validators: Vec<Validator>,
    /// Of the whole set.
    #[serde(with = "tendermint::serializers::from_str")]
    pub total: u64,
}

/// One of them. CometBFT's client library leaves the priority out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Validator {
    /// Consensus address.
    pub address: tendermint::account::Id,
    /// Consensus key.
    pub pub_key: tendermint::PublicKey,
    /// Power.
    #[serde(with = "tendermint::serializers::from_str")]
    pub voting_power: i64,
    /// Place in the queue of proposers.
    #[serde(with = "tendermint::serializers::from_str")]
    pub proposer_priority: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ValidatorsRequest {
    height: Option<Height>,
    #[serde(with = "tendermint::serializers::from_str")]
    page: u64,
    #[serde(with = "tendermint::serializers::from_str")]
    per_page: u64,
}

impl RequestMessage for ValidatorsRequest {
    fn method(&self) -> Method {
        Method::Validators
    }
}

impl tendermint_rpc::Response for Validators {}

impl tendermint_rpc::Request for ValidatorsRequest {
    type Response = Validators;
}

impl SimpleRequest for ValidatorsRequest {
    type Output = Validators;
}

/// CometBFT's RPC port.
pub struct CometRpc {
    url: String,
    client: HttpClient,
    runtime: Handle,
}

impl CometRpc {
    /// The port at `url` (`http://HOST:PORT`). Nothing is asked yet. Must be called inside of the
    /// runtime that is to carry the calls.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(CONNECT_S))
            .timeout(Duration::from_secs(WAIT_S))
            .build()?;
        let parsed = url.parse().with_context(|| format!("{url:?} is not CometBFT's address"))?;
        let client = HttpClient::new_from_parts(http, parsed, CompatMode::V0_38);
        Ok(Self { url: url.to_owned(), client, runtime: Handle::try_current()? })
    }

    /// Waits for CometBFT; from a thread that may block.
    fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        self.runtime.block_on(work).map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &Error) -> Failure {
        let said = match error.detail() {
            ErrorDetail::Response(said) => &said.source,
            ErrorDetail::Http(_) | ErrorDetail::HttpRequestFailed(_) | ErrorDetail::Timeout(_) => {
                let message = format!(
                    "CometBFT does not answer at {}; start it, or set cometbft.rpc in plasma.toml",
                    self.url
                );
                tracing::debug!(%error, "{message}");
                return Failure::of(GRPC_UNAVAILABLE, &message);
            }
            _ => {
                tracing::warn!(%error, "an answer of CometBFT is not understood");
                return Failure::of(GRPC_INTERNAL, "an answer of CometBFT is not understood");
            }
        };
        let text = said.data().unwrap_or_else(|| said.message()).trim();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["not found"]) {
            QueryError::not_found(text).into()
        } else if has(&["indexing is disabled"]) {
            Failure::of(super::GRPC_PRECONDITION, text)
        } else if has(&["height", "page", "query", "parse", "order_by", "syntax", "invalid"]) {
            QueryError::invalid(text).into()
        } else {
            Failure::of(GRPC_INTERNAL, text)
        }
    }

    /// What it says of itself.
    pub fn status(&self) -> Result<status::Response, Failure> {
        self.wait(self.client.status())
    }

    /// A block; the newest without a height.
    pub fn block(&self, at: Option<Height>) -> Result<block::Response, Failure> {
        self.wait(self.client.perform(block::Request { height: at }))
    }

    /// A header.
    pub fn header(&self, at: Height) -> Result<header::Response, Failure> {
        self.wait(self.client.header(at))
    }

    /// A page of the validator set; the newest without a height.
    pub fn validators(
        &self,
        height: Option<Height>,
        page: u64,
        per_page: u64,
    ) -> Result<Validators, Failure> {
        self.wait(self.client.perform(ValidatorsRequest { height, page, per_page }))
    }

    /// The consensus parameters; the newest without a height.
    pub fn consensus_params(
        &self,
        at: Option<Height>,
    ) -> Result<consensus_params::Response, Failure> {
        self.wait(self.client.perform(consensus_params::Request::new(at)))
    }

    /// A transaction by its hash, and its block's time.
    pub fn tx(&self, hash: Hash) -> Result<(tx::Response, Time), Failure> {
        self.wait(async {
            let found = self.client.tx(hash, false).await?;
            let time = self.client.header(found.height).await?.header.time;
            Ok((found, time))
        })
    }

    /// A page of the transactions that `query` finds, with the times of their blocks.
    pub fn search(
        &self,
        query: String,
        page: u32,
        per_page: u8,
        order_by: Order,
    ) -> Result<(tx_search::Response, BTreeMap<Height, Time>), Failure> {
        let request = tx_search::Request { query, prove: false, page, per_page, order_by };
        self.wait(async {
            let found = self.client.perform(request).await?;
            let mut heights: Vec<Height> = found.txs.iter().map(|tx| tx.height).collect();
            heights.sort_unstable();
            heights.dedup();
            let headers = heights.iter().map(|height| self.client.header(*height));
            let headers = futures::future::try_join_all(headers).await?;
            let times = headers.into_iter().map(|found| (found.header.height, found.header.time));
            Ok((found, times.collect()))
        })
    }

    /// Hands a transaction to the mempool: every broadcast of this node's doors, unless the front
    /// door is open.
    pub fn broadcast(&self, tx: &[u8], how: Broadcast) -> Result<Taken, Failure> {
        let done = self.runtime.block_on(async {
            Ok(match how {
                Broadcast::Sync => {
                    let said = self.client.broadcast_tx_sync(tx).await?;
                    let (code, data) = (said.code.value(), said.data.to_vec());
                    Taken { code, codespace: said.codespace, data, log: said.log }
                }
                Broadcast::Async => {
                    self.client.broadcast_tx_async(tx).await?;
                    Taken::default()
                }
            })
        });
        done.or_else(|error: Error| {
            // What the mempool says before CheckTx is an error of the RPC; Cosmos clients read codes.
            let text = match error.detail() {
                ErrorDetail::Response(said) => {
                    said.source.data().unwrap_or_else(|| said.source.message())
                }
                _ => return Err(self.failure(&error)),
            };
            let codes = [
                ("tx already exists in cache", IN_CACHE),
                ("mempool is full", MEMPOOL_FULL),
                ("too large", TX_TOO_LARGE),
            ];
            match codes.iter().find(|(words, _)| text.to_lowercase().contains(words)) {
                Some((_, code)) => Ok(Taken {
                    code: *code,
                    codespace: "sdk".into(),
                    log: text.to_owned(),
                    ..Taken::default()
                }),
                None => Err(self.failure(&error)),
            }
        })
    }
}

/// The address of CometBFT's RPC: `given`, or what the `config.toml` in its home says.
pub fn rpc_url(given: &str, comet_home: &Path) -> anyhow::Result<String> {
    if !given.is_empty() {
        return Ok(given.to_owned());
    }
    let path = comet_home.join("config/config.toml");
    let hint =
        || format!("{}: cannot read rpc.laddr; set cometbft.rpc in plasma.toml", path.display());
    let text = std::fs::read_to_string(&path).with_context(hint)?;
    let config: toml::Table = toml::from_str(&text).with_context(hint)?;
    let laddr = config.get("rpc").and_then(|rpc| rpc.get("laddr")).and_then(toml::Value::as_str);
    url_of(laddr.with_context(hint)?).with_context(hint)
}

/// `tcp://HOST:PORT` as a URL to connect to.
fn url_of(laddr: &str) -> anyhow::Result<String> {
    let address = laddr.strip_prefix("tcp://").context("it is not tcp://HOST:PORT")?;
    let (host, port) = address.rsplit_once(':').context("it has no port")?;
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    Ok(format!("http://{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_cometbft() {
        assert_eq!(url_of("tcp://0.0.0.0:26657").unwrap(), "http://127.0.0.1:26657");
        assert_eq!(url_of("tcp://[::]:1").unwrap(), "http://[::1]:1");
        assert_eq!(url_of("tcp://10.0.0.2:7").unwrap(), "http://10.0.0.2:7");
        assert!(url_of("unix:///tmp/x").is_err());
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(rpc_url("http://x:1", dir.path()).unwrap(), "http://x:1");
        let error = format!("{:#}", rpc_url("", dir.path()).unwrap_err());
        assert!(error.contains("cometbft.rpc"), "{error}");
        std::fs::create_dir(dir.path().join("config")).unwrap();
        let text = crate::files::comet::CometSpec::default().text("one", "unix:///x");
        std::fs::write(dir.path().join("config/config.toml"), text).unwrap();
        assert_eq!(rpc_url("", dir.path()).unwrap(), "http://127.0.0.1:26657");
    }

    #[test]
    fn a_cometbft_that_is_not_there_is_named() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let guard = runtime.enter();
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let comet = CometRpc::new(&format!("http://{port}")).unwrap();
        drop(guard);
        let failure = comet.status().unwrap_err();
        assert_eq!(failure.grpc, GRPC_UNAVAILABLE);
        assert!(failure.message.contains(&port.to_string()), "{}", failure.message);
        assert!(failure.message.contains("cometbft.rpc"), "{}", failure.message);
        let failure = comet.broadcast(b"x", Broadcast::Sync).unwrap_err();
        assert_eq!(failure.grpc, GRPC_UNAVAILABLE);
    }
}
