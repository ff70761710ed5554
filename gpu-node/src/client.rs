//! Speaking with the chain through a node's RPC: questions, transactions, new blocks.
//!
//! ```no_run
//! # async fn f() -> Result<(), gpu_node::client::ClientError> {
//! use gpu_node::client::{Client, TxOptions, any};
//! use gpu_node::wallet::Wallet;
//! use plasma_proto::plasma::market::v1::MsgCancelJob;
//!
//! let client = Client::connect("http://127.0.0.1:26657").await?;
//! let wallet = Wallet::generate();
//! let cancel = MsgCancelJob { requester: wallet.address().text(), job_id: 7 };
//! let outcome = client.send(&wallet, vec![any(&cancel)], &TxOptions::default()).await?;
//! println!("in block {}", outcome.height);
//! # Ok(()) }
//! ```

use std::time::Duration;

use futures::stream::BoxStream;
use plasma_modules::{Address, Amount, ante};
use plasma_proto::cosmos::auth::v1beta1::{
    BaseAccount, QueryAccountInfoRequest, QueryAccountInfoResponse,
};
use plasma_proto::cosmos::bank::v1beta1::{
    QueryBalanceRequest, QueryBalanceResponse, QuerySpendableBalanceByDenomRequest,
    QuerySpendableBalanceByDenomResponse,
};
use plasma_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use plasma_proto::cosmos::base::v1beta1::Coin;
use plasma_proto::plasma::token::v1::{
    QueryFeeMarketRequest, QueryFeeMarketResponse, QueryParamsRequest, QueryParamsResponse,
};
use prost::{Message, Name};
use prost_types::Any;
use tendermint::block::Height;
use tendermint_rpc::client::CompatMode;
use tendermint_rpc::error::{Error as RpcError, ErrorDetail};
use tendermint_rpc::{Client as _, HttpClient, HttpClientUrl};

mod blocks;
mod error;
mod transaction;

#[cfg(feature = "engine")]
pub(crate) use blocks::{block_or_pause, next_turn};
pub use error::{ClientError, EXIT_REFUSED, EXIT_TIMEOUT, EXIT_UNREACHABLE, EXIT_USAGE};
pub use transaction::{Block, TxEvent, TxOptions, TxOutcome, sign_tx};

/// Longest that one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Things asked for at a time of what the chain lists.
const PAGE: u64 = 100;
/// The denomination that fees are paid in.
pub const DENOM: &str = "uxpl";

/// A message as transactions carry it.
#[must_use]
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// The chain that it serves.
    pub chain_id: String,
    /// Last block that it has stored.
    pub height: u64,
    /// When that block was, unix seconds.
    pub time_s: u64,
    /// Whether it is still catching up with the others.
    pub catching_up: bool,
    /// What its operator calls it.
    pub moniker: String,
    /// Version of CometBFT.
    pub version: String,
}

/// What gas and bytes cost now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// Base price, nano-uxpl per gas.
    pub base_nuxpl_per_gas: u64,
    /// Price of a byte, nano-uxpl.
    pub byte_nuxpl: u64,
}

impl Prices {
    /// The least fee of a transaction of `bytes` bytes with this gas limit, uxpl.
    #[must_use]
    pub fn required_uxpl(&self, gas_limit: u64, bytes: usize) -> u128 {
        ante::required_fee(gas_limit, bytes, self.base_nuxpl_per_gas, self.byte_nuxpl)
    }
}

/// A connection to a node. Cheap to clone; survives restarts of the node.
#[derive(Debug, Clone)]
pub struct Client {
    http: HttpClient,
    url: String,
    chain_id: String,
}

impl Client {
    /// Connects to a node's RPC, for example `http://127.0.0.1:26657`, and learns the chain's id.
    ///
    /// # Errors
    /// [`ClientError::Url`] for text that is no address, [`ClientError::Unreachable`] if nobody answers.
    pub async fn connect(rpc_url: &str) -> Result<Self, ClientError> {
        let bad = |reason: String| ClientError::Url { url: rpc_url.to_owned(), reason };
        let text = rpc_url.replacen("tcp://", "http://", 1);
        let url: HttpClientUrl = text.parse().map_err(|error: RpcError| bad(reason(&error)))?;
        let http = HttpClient::builder(url)
            .compat_mode(CompatMode::V0_38)
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| bad(reason(&error)))?;
        let mut client = Self { http, url: text, chain_id: String::new() };
        client.chain_id = client.status().await?.chain_id;
        Ok(client)
    }

    /// The chain, as its genesis names it.
    #[must_use]
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// The node's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The RPC itself, for calls that have no name here.
    #[must_use]
    pub fn rpc(&self) -> &HttpClient {
        &self.http
    }

    /// How the node is.
    ///
    /// # Errors
    /// If the node cannot be reached, or serves another chain than when it was connected to.
    pub async fn status(&self) -> Result<NodeStatus, ClientError> {
        let status = self.http.status().await.map_err(|error| self.failure(&error))?;
        let chain_id = status.node_info.network.to_string();
        if !self.chain_id.is_empty() && self.chain_id != chain_id {
            let expected = self.chain_id.clone();
            return Err(ClientError::OtherChain { url: self.url.clone(), expected, got: chain_id });
        }
        Ok(NodeStatus {
            chain_id,
            height: status.sync_info.latest_block_height.value(),
            time_s: u64::try_from(status.sync_info.latest_block_time.unix_timestamp()).unwrap_or(0),
            catching_up: status.sync_info.catching_up,
            moniker: status.node_info.moniker.to_string(),
            version: status.node_info.version.to_string(),
        })
    }

    /// The last height whose state is committed: what questions are answered from.
    ///
    /// # Errors
    /// If the node cannot be reached.
    pub async fn height(&self) -> Result<u64, ClientError> {
        let info = self.http.abci_info().await.map_err(|error| self.failure(&error))?;
        Ok(info.last_block_height.value())
    }

    /// Asks the chain: `path` is the gRPC method, for example `/plasma.market.v1.Query/Job`.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] if there is no such thing; [`ClientError::Query`] for any other refusal.
    pub async fn query<Q: Message, A: Message + Default>(
        &self,
        path: &str,
        request: &Q,
    ) -> Result<A, ClientError> {
        self.query_at(path, request, None).await
    }

    /// As [`Client::query`]; `None` if there is no such thing.
    ///
    /// # Errors
    /// If the node cannot be reached, answers nonsense, or refuses.
    pub async fn find<Q: Message, A: Message + Default>(
        &self,
        path: &str,
        request: &Q,
    ) -> Result<Option<A>, ClientError> {
        match self.query(path, request).await {
            Err(ClientError::NotFound(_)) => Ok(None),
            other => other.map(Some),
        }
    }

    /// Everything that a paged query lists, page by page, but no more than `pages`: `ask` makes the question of a page,
    /// `take` what is listed of the answer.
    ///
    /// # Errors
    /// As [`Client::query`].
    pub async fn listed<Q: Message, A: Message + Default, T>(
        &self,
        path: &str,
        pages: usize,
        ask: impl Fn(PageRequest) -> Q,
        take: impl Fn(A) -> (Vec<T>, Option<PageResponse>),
    ) -> Result<Vec<T>, ClientError> {
        let (mut all, mut key) = (Vec::new(), Vec::new());
        for _ in 0..pages {
            let page = PageRequest { key, limit: PAGE, ..PageRequest::default() };
            let (listed, page) = take(self.query(path, &ask(page)).await?);
            all.extend(listed);
            key = page.unwrap_or_default().next_key;
            if key.is_empty() {
                break;
            }
        }
        Ok(all)
    }

    /// As [`Client::query`], of the state after the block `height`; of the newest for `None`.
    ///
    /// # Errors
    /// As [`Client::query`]; the node may have forgotten old heights.
    pub async fn query_at<Q: Message, A: Message + Default>(
        &self,
        path: &str,
        request: &Q,
        height: Option<u64>,
    ) -> Result<A, ClientError> {
        let height = match height {
            None => None,
            Some(height) => Some(
                Height::try_from(height)
                    .map_err(|error| ClientError::Invalid(format!("height {height}: {error}")))?,
            ),
        };
        let answer = self
            .http
            .abci_query(Some(path.to_owned()), request.encode_to_vec(), height, false)
            .await
            .map_err(|error| self.failure(&error))?;
        let code = u32::from(answer.code);
        if code == error::CODE_NOT_FOUND && ["", error::SDK].contains(&answer.codespace.as_str()) {
            return Err(ClientError::NotFound(plain(&answer.log).to_owned()));
        }
        if code != 0 {
            let (path, codespace) = (path.to_owned(), answer.codespace);
            return Err(ClientError::Query { path, codespace, code, log: answer.log });
        }
        A::decode(answer.value.as_slice()).map_err(|error| ClientError::Decode {
            what: format!("the answer to {path}"),
            reason: error.to_string(),
        })
    }

    /// An account's number and sequence; `None` if the chain does not know it.
    ///
    /// # Errors
    /// If the node cannot be reached or answers nonsense.
    pub async fn account(&self, address: Address) -> Result<Option<BaseAccount>, ClientError> {
        let request = QueryAccountInfoRequest { address: address.text() };
        let found: Option<QueryAccountInfoResponse> =
            self.find("/cosmos.auth.v1beta1.Query/AccountInfo", &request).await?;
        Ok(found.and_then(|found| found.info))
    }

    /// What an account holds, uxpl; zero if the chain does not know it.
    ///
    /// # Errors
    /// If the node cannot be reached or answers nonsense.
    pub async fn balance(&self, address: Address) -> Result<Amount, ClientError> {
        let request = QueryBalanceRequest { address: address.text(), denom: DENOM.to_owned() };
        let answer: QueryBalanceResponse =
            self.query("/cosmos.bank.v1beta1.Query/Balance", &request).await?;
        units(answer.balance)
    }

    /// What of that is not locked, uxpl.
    ///
    /// # Errors
    /// If the node cannot be reached or answers nonsense.
    pub async fn spendable(&self, address: Address) -> Result<Amount, ClientError> {
        let (address, denom) = (address.text(), DENOM.to_owned());
        let request = QuerySpendableBalanceByDenomRequest { address, denom };
        let path = "/cosmos.bank.v1beta1.Query/SpendableBalanceByDenom";
        let answer: QuerySpendableBalanceByDenomResponse = self.query(path, &request).await?;
        units(answer.balance)
    }

    /// What gas and bytes cost now.
    ///
    /// # Errors
    /// If the node cannot be reached or answers nonsense.
    pub async fn prices(&self) -> Result<Prices, ClientError> {
        let market: QueryFeeMarketResponse =
            self.query("/plasma.token.v1.Query/FeeMarket", &QueryFeeMarketRequest {}).await?;
        let params: QueryParamsResponse =
            self.query("/plasma.token.v1.Query/Params", &QueryParamsRequest {}).await?;
        Ok(Prices {
            base_nuxpl_per_gas: market.fee_market.unwrap_or_default().base_fee_nuxpl_per_gas,
            byte_nuxpl: params.params.unwrap_or_default().byte_price_nuxpl,
        })
    }

    /// New heights as they are committed, strictly rising; some may be left out when many come at once. Uses the
    /// node's WebSocket, asks now and then where there is none, and goes on after the node was away. Ends only
    /// when it is dropped.
    #[must_use]
    pub fn subscribe_blocks(&self) -> BoxStream<'static, u64> {
        blocks::subscribe(self.clone())
    }

    /// What an error of the RPC means, for calls through [`Client::rpc`].
    #[must_use]
    pub fn failure(&self, error: &RpcError) -> ClientError {
        let (url, reason) = (self.url.clone(), reason(error));
        match error.detail() {
            ErrorDetail::Response(_)
            | ErrorDetail::Serde(_)
            | ErrorDetail::Parse(_)
            | ErrorDetail::MalformedJson(_)
            | ErrorDetail::HttpRequestFailed(_)
            | ErrorDetail::Server(_) => ClientError::Node { url, reason },
            _ => ClientError::Unreachable { url, reason },
        }
    }
}

/// The error's own words, without a trace.
fn reason(error: &RpcError) -> String {
    match error.detail() {
        ErrorDetail::Response(detail) => detail.source.to_string(),
        ErrorDetail::Http(_) => {
            // The root cause: what lies above it names the URL, which the caller does anyway.
            let mut cause: &dyn std::error::Error = error;
            while let Some(below) = cause.source() {
                cause = below;
            }
            cause.to_string()
        }
        other => other.to_string(),
    }
}

/// The description inside of "rpc error: code = C desc = D".
fn plain(log: &str) -> &str {
    log.split_once(" desc = ").map_or(log, |(_, text)| text)
}

fn units(coin: Option<Coin>) -> Result<Amount, ClientError> {
    let Some(coin) = coin else { return Ok(Amount::ZERO) };
    Amount::parse(&coin.amount).ok_or_else(|| ClientError::Decode {
        what: "a balance".to_owned(),
        reason: format!("{:?} is no amount", coin.amount),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_that_is_not_there_is_told_as_such() {
        // Port 1 is nobody's.
        let error = Client::connect("http://127.0.0.1:1").await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{text}");
        assert!(
            text.starts_with("cannot reach the node at http://127.0.0.1:1: is it running?"),
            "{text}"
        );
        assert!(text.contains("refused"), "{text}");
        assert!(!text.contains('\n'), "{text}");
        for url in ["", "no url", "ftp://x"] {
            let error = Client::connect(url).await.unwrap_err();
            assert!(matches!(error, ClientError::Url { .. }), "{url}: {error}");
        }
    }

    #[test]
    fn the_description_is_found() {
        assert_eq!(
            plain("rpc error: code = NotFound desc = job 7: key not found"),
            "job 7: key not found"
        );
        assert_eq!(plain("other"), "other");
    }
}
