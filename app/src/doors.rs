//! One query, three doors: ABCI, gRPC and REST give the same answer, because all of them call
//! [`Doors::answer`] with the gRPC method's name and the request's bytes.

pub mod grpc;
pub mod json;
pub mod rest;
mod template;

pub(crate) use template::query_fields;

use std::{sync::Arc, time::Duration};

use plasma_modules::{
    View,
    chain::{self, TxResult},
    query::{QueryCode, QueryError, Router},
};
use plasma_proto::{
    DESCRIPTORS,
    cosmos::{
        base::{
            abci::v1beta1::{GasInfo, Result as TxOutcome, TxMsgData},
            tendermint::v1beta1::{GetNodeInfoRequest, GetNodeInfoResponse, Module, VersionInfo},
        },
        tx::v1beta1::{SimulateRequest, SimulateResponse},
    },
    tendermint::{
        abci::{Event, EventAttribute},
        p2p::DefaultNodeInfo,
    },
};
use prost::Message;
use prost_reflect::DescriptorPool;
use tokio::sync::Semaphore;

use crate::{
    VERSION,
    node::{Node, NodeError},
};

/// Largest request, and largest reply, bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Streams of one connection, and calls under way.
pub const CONCURRENT_MAX: usize = 128;
/// Questions that are being answered at once; the others wait.
pub const WORKERS_MAX: usize = 16;
/// Longest call.
pub const TIMEOUT_S: u64 = 30;
/// The height that a request asks for, and that a reply is of.
pub const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// Runs a transaction without keeping what it does.
pub const SIMULATE: &str = "/cosmos.tx.v1beta1.Service/Simulate";
/// What this node is.
pub const NODE_INFO: &str = "/cosmos.base.tendermint.v1beta1.Service/GetNodeInfo";
/// The job now and at every change; a stream, on gRPC only.
pub const WATCH_JOB: &str = "/plasma.market.v1.Query/WatchJob";
/// Calls that need more than a look at state.
const EXTRA: [&str; 2] = [SIMULATE, NODE_INFO];

/// Version of the Cosmos SDK whose interfaces are spoken; clients choose their routes by it.
const SDK_VERSION: &str = "v0.53.8";
const SDK_PATH: &str = "github.com/cosmos/cosmos-sdk";
/// CometBFT that this node runs behind.
const COMETBFT_VERSION: &str = "0.38.26";

const GRPC_UNKNOWN: i32 = 2;
const GRPC_INVALID: i32 = 3;
const GRPC_TIMEOUT: i32 = 4;
pub(crate) const GRPC_INTERNAL: i32 = 13;

/// An answer, and the block whose state it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The encoded reply.
    pub value: Vec<u8>,
    /// Height of the state.
    pub height: u64,
}

/// Why there is no answer, for each door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// gRPC status.
    pub grpc: i32,
    /// ABCI code.
    pub abci: u32,
    /// ABCI codespace.
    pub codespace: &'static str,
    /// For gRPC and REST.
    pub message: String,
    /// For ABCI, in the words that Cosmos clients look for.
    pub log: String,
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let log = error.log();
        Self {
            grpc: error.code.grpc(),
            abci: error.code.abci(),
            codespace: "sdk",
            message: error.message,
            log,
        }
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        Self::of(GRPC_INVALID, &error.to_string())
    }
}

impl Failure {
    /// A failure that has no words of its own in ABCI.
    pub(crate) fn of(grpc: i32, message: &str) -> Self {
        let abci = QueryCode::InvalidArgument.abci();
        Self { grpc, abci, codespace: "sdk", message: message.to_owned(), log: message.to_owned() }
    }
}

/// The answers of one node.
pub struct Doors {
    node: Arc<Node>,
    router: Router,
    pool: DescriptorPool,
    /// Threads that may answer at once.
    busy: Arc<Semaphore>,
}

impl Doors {
    /// Answers of `node`.
    pub fn new(node: Arc<Node>) -> anyhow::Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS)?;
        Ok(Self { node, router: Router::new(), pool, busy: Arc::new(Semaphore::new(WORKERS_MAX)) })
    }

    /// The node.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Types and services.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// Whether a unary method is answered.
    pub fn serves(&self, path: &str) -> bool {
        self.router.serves(path) || EXTRA.contains(&path)
    }

    /// Services with at least one method that is answered.
    pub fn services(&self) -> Vec<String> {
        let served = |service: &prost_reflect::ServiceDescriptor| {
            let name = service.full_name().to_owned();
            service.methods().any(|method| self.serves(&format!("/{name}/{}", method.name())))
        };
        let services = self.pool.services().filter(served);
        services.map(|service| service.full_name().to_owned()).collect()
    }

    /// Answers a request from the state after block `height`; 0 is the last one.
    pub fn answer(&self, path: &str, height: u64, request: &[u8]) -> Result<Answer, Failure> {
        match path {
            SIMULATE => return self.simulate(request),
            NODE_INFO => return self.node_info(request),
            _ => {}
        }
        if !self.router.serves(path) {
            let message = format!("unknown query path {path:?}");
            return Err(QueryError { code: QueryCode::Unimplemented, message }.into());
        }
        let (reader, head) = self.node.reader_at(height)?;
        let block = chain::current_block(&reader, &head.chain_id, head.height, head.time_s);
        let view = View { store: &reader, block: &block };
        let value = self.router.call(path, &view, request)?;
        Ok(Answer { value, height: head.height })
    }

    fn simulate(&self, request: &[u8]) -> Result<Answer, Failure> {
        let request = SimulateRequest::decode(request)
            .map_err(|error| QueryError::invalid(error.to_string()))?;
        #[expect(deprecated, reason = "old clients send the decoded transaction")]
        let SimulateRequest { tx, mut tx_bytes } = request;
        if tx_bytes.is_empty() {
            let tx = tx.ok_or_else(|| QueryError::invalid("tx_bytes is empty"))?;
            tx_bytes = tx.encode_to_vec();
        }
        let result = self.node.simulate(&tx_bytes)?;
        let TxResult { codespace, code, log, data, gas_wanted, gas_used, events } = result;
        if code != 0 {
            return Err(Failure {
                grpc: GRPC_UNKNOWN,
                abci: code,
                codespace,
                message: log.clone(),
                log,
            });
        }
        let attribute = |(key, value): (&str, String)| EventAttribute {
            key: key.to_owned(),
            value,
            index: true,
        };
        let events = events.into_iter().map(|event| Event {
            r#type: event.kind.to_owned(),
            attributes: event.attributes.into_iter().map(attribute).collect(),
        });
        let msg_responses = TxMsgData::decode(&data[..]).map(|data| data.msg_responses);
        #[expect(deprecated, reason = "old clients read `data`")]
        let outcome = TxOutcome {
            data,
            log,
            events: events.collect(),
            msg_responses: msg_responses.unwrap_or_default(),
        };
        let reply = SimulateResponse {
            gas_info: Some(GasInfo { gas_wanted, gas_used }),
            result: Some(outcome),
        };
        let height = self.node.head().map_or(0, |head| head.height);
        Ok(Answer { value: reply.encode_to_vec(), height })
    }

    fn node_info(&self, request: &[u8]) -> Result<Answer, Failure> {
        GetNodeInfoRequest::decode(request)
            .map_err(|error| QueryError::invalid(error.to_string()))?;
        let head = self.node.head().ok_or(NodeError::NoBlock)?;
        let sdk =
            Module { path: SDK_PATH.into(), version: SDK_VERSION.into(), ..Module::default() };
        let reply = GetNodeInfoResponse {
            default_node_info: Some(DefaultNodeInfo {
                network: head.chain_id,
                version: COMETBFT_VERSION.into(),
                ..DefaultNodeInfo::default()
            }),
            application_version: Some(VersionInfo {
                name: "plasma".into(),
                app_name: "plasmad".into(),
                version: VERSION.into(),
                // Relayers read here which interfaces are spoken.
                build_deps: vec![sdk],
                cosmos_sdk_version: SDK_VERSION.into(),
                ..VersionInfo::default()
            }),
        };
        Ok(Answer { value: reply.encode_to_vec(), height: head.height })
    }
}

/// Runs a question on a thread that may block, so that a long one holds up no connection. A panic
/// becomes an internal error.
pub(crate) async fn ask(
    doors: &Arc<Doors>,
    path: String,
    height: u64,
    request: bytes::Bytes,
) -> Result<Answer, Failure> {
    let (asked, node) = (Arc::clone(doors), Arc::clone(doors.node()));
    node.metrics().queried();
    let name = path.clone();
    let work = async {
        // The permit goes along: a question whose asker has gone still takes its thread.
        let permit = Arc::clone(&asked.busy).acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            asked.answer(&path, height, &request)
        });
        work.await
    };
    match tokio::time::timeout(Duration::from_secs(TIMEOUT_S), work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            node.metrics().panicked();
            tracing::error!(path = name, %error, "a query panicked");
            Err(Failure::of(GRPC_INTERNAL, "the query failed inside the node"))
        }
        Err(_) => Err(Failure::of(GRPC_TIMEOUT, &format!("no answer within {TIMEOUT_S} s"))),
    }
}

/// The height that a header asks for.
pub(crate) fn asked_height(headers: &http::HeaderMap) -> Result<u64, Failure> {
    let Some(value) = headers.get(HEIGHT_HEADER) else { return Ok(0) };
    let height = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    height.ok_or_else(|| QueryError::invalid(format!("{HEIGHT_HEADER} is not a height")).into())
}
