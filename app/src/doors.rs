//! One query, three doors: ABCI, gRPC and REST give the same answer, because all of them call
//! [`Doors::answer`] with the gRPC method's name and the request's bytes.

mod base;
mod bounded;
mod calls;
mod comet;
mod decimals;
pub mod grpc;
pub mod json;
mod limits;
pub mod proof;
pub mod rest;
mod template;
mod tx;

pub(crate) use template::query_fields;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use plasma_modules::{
    View, chain,
    query::{QueryCode, QueryError, Router},
};
use plasma_proto::DESCRIPTORS;
use prost_reflect::DescriptorPool;
use tokio::sync::Semaphore;

use crate::{
    budget::Budget,
    frontdoor::Frontdoor,
    node::{Node, NodeError},
};
use bounded::Bounded;
use calls::{Asked, Calls};

pub use bounded::QUERY_STEPS_MAX;
pub use comet::{CometRpc, rpc_url};
pub use limits::{FIRST_REQUEST_S, Gate};
pub(crate) use limits::{Place, Spoken, TooMany, serve as serve_port};

/// Largest request, and largest reply, bytes.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// Streams of one connection, and calls under way.
pub const CONCURRENT_MAX: usize = 128;
/// Questions about state that are being answered at once; the others wait.
pub const WORKERS_MAX: usize = 16;
/// Questions that wait for CometBFT at once: apart from the others, so that a CometBFT that hangs
/// holds up nothing else.
pub const COMET_WORKERS_MAX: usize = 16;
/// Jobs that are watched at once: each asks once more after every block.
pub const WATCHERS_MAX: usize = 1_000;
/// Longest call.
pub const TIMEOUT_S: u64 = 30;
/// The height that a request asks for, and that a reply is of.
pub const HEIGHT_HEADER: &str = "x-cosmos-block-height";

/// Runs a transaction without keeping what it does.
pub const SIMULATE: &str = "/cosmos.tx.v1beta1.Service/Simulate";
/// What this node is.
pub const NODE_INFO: &str = "/cosmos.base.tendermint.v1beta1.Service/GetNodeInfo";
/// How this node is set.
pub const NODE_CONFIG: &str = "/cosmos.base.node.v1beta1.Service/Config";
/// An ABCI query, behind the other doors.
pub const ABCI_QUERY: &str = "/cosmos.base.tendermint.v1beta1.Service/ABCIQuery";
/// The job now and at every change; a stream, on gRPC only.
pub const WATCH_JOB: &str = "/plasma.market.v1.Query/WatchJob";
/// Type of a whole transaction.
const TYPE_TX: &str = "/cosmos.tx.v1beta1.Tx";

pub(crate) const GRPC_UNKNOWN: i32 = 2;
const GRPC_INVALID: i32 = 3;
const GRPC_TIMEOUT: i32 = 4;
pub(crate) const GRPC_EXHAUSTED: i32 = 8;
pub(crate) const GRPC_PRECONDITION: i32 = 9;
pub(crate) const GRPC_INTERNAL: i32 = 13;
pub(crate) const GRPC_UNAVAILABLE: i32 = 14;

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
        let name = match grpc {
            GRPC_INVALID => "InvalidArgument",
            GRPC_TIMEOUT => "DeadlineExceeded",
            GRPC_EXHAUSTED => "ResourceExhausted",
            GRPC_PRECONDITION => "FailedPrecondition",
            GRPC_INTERNAL => "Internal",
            GRPC_UNAVAILABLE => "Unavailable",
            _ => "Unknown",
        };
        Self {
            grpc,
            abci: QueryCode::InvalidArgument.abci(),
            codespace: "sdk",
            message: message.to_owned(),
            log: format!("rpc error: code = {name} desc = {message}"),
        }
    }
}

/// The answers of one node.
pub struct Doors {
    node: Arc<Node>,
    router: Router,
    calls: Calls,
    comet: Option<CometRpc>,
    frontdoor: Option<Arc<Frontdoor>>,
    pool: DescriptorPool,
    /// Threads that may answer at once.
    busy: Arc<Semaphore>,
    /// Threads that may wait for CometBFT at once.
    waiting: Arc<Semaphore>,
    /// Jobs that may be watched at once.
    watchers: Arc<Semaphore>,
}

impl Doors {
    /// Answers of `node`, as long as CometBFT is not needed for them.
    pub fn new(node: Arc<Node>) -> anyhow::Result<Self> {
        let mut calls = Calls::default();
        tx::routes(&mut calls);
        base::routes(&mut calls);
        calls.add(proof::PROOF, proof::answer);
        Ok(Self {
            node,
            router: Router::new(),
            calls,
            comet: None,
            frontdoor: None,
            pool: DescriptorPool::decode(DESCRIPTORS)?,
            busy: Arc::new(Semaphore::new(WORKERS_MAX)),
            waiting: Arc::new(Semaphore::new(COMET_WORKERS_MAX)),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        })
    }

    /// The same, with CometBFT.
    pub fn with_comet(self, comet: CometRpc) -> Self {
        Self { comet: Some(comet), ..self }
    }

    /// The same, with a front door that takes what is broadcast here.
    pub fn with_frontdoor(self, door: Arc<Frontdoor>) -> Self {
        Self { frontdoor: Some(door), ..self }
    }

    /// The node.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    fn comet(&self) -> Result<&CometRpc, Failure> {
        self.comet.as_ref().ok_or_else(|| {
            let message = "CometBFT's address is not known; set cometbft.rpc in plasma.toml";
            Failure::of(GRPC_UNAVAILABLE, message)
        })
    }

    /// Types and services.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// Whether a unary method is answered.
    pub fn serves(&self, path: &str) -> bool {
        self.router.serves(path) || self.calls.serves(path)
    }

    /// Every unary method that is answered.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.router.paths().chain(self.calls.paths())
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
    ///
    /// Blocks the thread; where CometBFT is asked, the thread must not be one of the runtime's.
    pub fn answer(&self, path: &str, height: u64, request: &[u8]) -> Result<Answer, Failure> {
        let asked = Asked { doors: self, height };
        if self.calls.serves(path) && height != 0 {
            // A height that is not there is refused, even where the answer does not depend on it.
            self.node.reader_at(height)?;
        }
        if let Some(value) = self.calls.call(path, asked, request) {
            let newest = || self.node.head().map_or(0, |head| head.height);
            return Ok(Answer {
                value: value?,
                height: if height == 0 { newest() } else { height },
            });
        }
        if !self.router.serves(path) {
            let message = format!("unknown query path {path:?}");
            return Err(QueryError { code: QueryCode::Unimplemented, message }.into());
        }
        let budget = Budget::new(QUERY_STEPS_MAX, Duration::from_secs(TIMEOUT_S));
        let (reader, head) = self.node.reader_at(height)?;
        let reader = reader.within(&budget);
        let block = chain::current_block(&reader, &head.chain_id, head.height, head.time_s);
        let store = Bounded::new(&reader, &budget);
        let value = self.router.call(path, &View { store: &store, block: &block }, request);
        if budget.spent() {
            let message = format!(
                "the query looks at more than {QUERY_STEPS_MAX} entries, or for longer than \
                 {TIMEOUT_S} s; ask for smaller pages"
            );
            return Err(Failure::of(GRPC_EXHAUSTED, &message));
        }
        Ok(Answer { value: value?, height: head.height })
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
    let started = Instant::now();
    node.metrics().queried();
    let name = path.clone();
    let work = async {
        let asks_comet = asked.calls.asks_comet(&path);
        let threads = if asks_comet { &asked.waiting } else { &asked.busy };
        // The permit goes along: a question whose asker has gone still takes its thread.
        let permit = Arc::clone(threads).acquire_owned().await;
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            asked.answer(&path, height, &request)
        });
        work.await
    };
    let answer = match tokio::time::timeout(Duration::from_secs(TIMEOUT_S), work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            node.metrics().panicked();
            tracing::error!(path = &name[..], %error, "a query panicked");
            Err(Failure::of(GRPC_INTERNAL, "the query failed inside the node"))
        }
        Err(_) => Err(Failure::of(GRPC_TIMEOUT, &format!("no answer within {TIMEOUT_S} s"))),
    };
    // Names that are not served are strangers' words: no label is made of them.
    let method = if doors.serves(&name) { &name[..] } else { "unknown" };
    let code = answer.as_ref().map_or_else(|failure| failure.grpc, |_| 0);
    node.metrics().answered(method, code, started.elapsed());
    answer
}

/// The height that a header asks for.
pub(crate) fn asked_height(headers: &http::HeaderMap) -> Result<u64, Failure> {
    let Some(value) = headers.get(HEIGHT_HEADER) else { return Ok(0) };
    let height = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    height.ok_or_else(|| QueryError::invalid(format!("{HEIGHT_HEADER} is not a height")).into())
}
