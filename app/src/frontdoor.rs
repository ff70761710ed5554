//! The front door: CometBFT's JSON-RPC on a port of plasmad's own. Transactions are taken here and
//! go to CometBFT many at a time, in carriers; everything else is handed on as it is. See
//! docs/frontdoor.md.

mod bundles;
mod calls;
mod lookups;
mod proxy;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use axum::{Router, body::Body, extract::State};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE},
    uri::{Authority, Scheme},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use plasma_modules::chain::TxResult;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
};

use crate::{
    doors::{Failure, Gate, Place, Spoken, TooMany, serve_port},
    node::{Node, NodeError, Turned},
};

/// WebSockets that are open at once: less than a quarter of the connections that CometBFT takes.
pub const WEBSOCKETS_MAX: usize = 200;
/// How long a WebSocket may be without a byte in either direction: CometBFT pings every 27 s.
const WEBSOCKET_IDLE: Duration = Duration::from_secs(90);
/// Longest request body, bytes: CometBFT's own limit.
pub const BODY_BYTES_MAX: usize = 1_000_000;
/// Calls of one request.
pub const BATCH_MAX: usize = 1_000;
/// Longest answer of CometBFT that is read here instead of being handed on, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a client may take for a body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long CometBFT may take to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long broadcast_tx_commit waits for a block: CometBFT's own limit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls of broadcast_tx_commit that wait at once: CometBFT's own limit.
const COMMIT_WAITERS_MAX: usize = 100;
/// Requests whose transactions are being checked at once; the others wait.
const CHECKERS_MAX: usize = 16;
/// Questions that the index answers at once; the others wait.
const LOOKUPS_MAX: usize = 16;

type HttpClient = Client<HttpConnector, Body>;

/// The open door.
pub struct Frontdoor {
    node: Arc<Node>,
    comet: Authority,
    cors: bool,
    client: HttpClient,
    /// Something is held for a carrier.
    held: Notify,
    checkers: Arc<Semaphore>,
    lookups: Arc<Semaphore>,
    commit_waiters: Semaphore,
    websockets: Arc<Semaphore>,
}

impl Frontdoor {
    /// A door before `node`, and before the CometBFT that runs it, at `comet` (`http://HOST:PORT`).
    pub fn new(node: Arc<Node>, comet: &str, cors: bool) -> anyhow::Result<Self> {
        let hint = || format!("{comet:?} is not http://HOST:PORT; set cometbft.rpc in plasma.toml");
        let address: Uri = comet.parse().with_context(hint)?;
        let plain = address.scheme() == Some(&Scheme::HTTP)
            && address.path_and_query().is_none_or(|path| path.as_str() == "/");
        ensure!(plain, hint());
        let comet = address.authority().cloned().with_context(hint)?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            node,
            comet,
            cors,
            client: Client::builder(TokioExecutor::new()).build(connector),
            held: Notify::new(),
            checkers: Arc::new(Semaphore::new(CHECKERS_MAX)),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            commit_waiters: Semaphore::new(COMMIT_WAITERS_MAX),
            websockets: Arc::new(Semaphore::new(WEBSOCKETS_MAX)),
        })
    }

    /// One transaction, as [`Frontdoor::check_all`].
    pub(crate) fn offer(&self, tx: Bytes) -> Result<Result<TxResult, Turned>, NodeError> {
        let answer = self.check_all(vec![tx])?.pop();
        answer.ok_or_else(|| NodeError::Invariant("a check has no answer".into()))
    }

    /// Checks transactions and holds those for a carrier that may wait; from a thread that may
    /// block. The answers are in their order.
    pub(crate) fn check_all(
        &self,
        txs: Vec<Bytes>,
    ) -> Result<Vec<Result<TxResult, Turned>>, NodeError> {
        let offered = self.node.offer_all(txs)?;
        for TxResult { codespace, code, .. } in offered.iter().flatten() {
            self.node.metrics().checked(false, codespace, *code);
        }
        self.held.notify_one();
        Ok(offered)
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        if let Some(over) = request.extensions().get::<TooMany>() {
            return self.refuse(StatusCode::TOO_MANY_REQUESTS, &Failure::from(*over).message);
        }
        let path = request.uri().path();
        if *request.method() == Method::POST && matches!(path, "" | "/") {
            return self.calls(request).await;
        }
        if *request.method() == Method::GET
            && let Some(method) = calls::Broadcast::named(path.trim_start_matches('/'))
        {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let place = request.extensions().get::<Arc<Place>>().cloned();
            return self.uri_call(method, &query, place).await;
        }
        if *request.method() == Method::GET
            && self.node.index().is_some()
            && let Some(call) = lookups::Lookup::named(path.trim_start_matches('/'))
        {
            let query = request.uri().query().unwrap_or_default().to_owned();
            if let Some((status, body)) = self.uri_lookup(call, &query).await {
                return self.reply(status, body);
            }
        }
        proxy::pass(&self, request).await
    }

    /// An error of JSON-RPC, for whoever asked by no call of ours.
    fn refuse(&self, status: StatusCode, data: &str) -> Response<Body> {
        let error = json!({ "code": -32603, "message": "Internal error", "data": data });
        self.reply(status, json!({ "jsonrpc": "2.0", "id": -1, "error": error }).to_string())
    }

    /// An answer of our own.
    fn reply(&self, status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
        let mut response = Response::new(Body::from(body.into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.cors {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        response
    }
}

async fn answer(State(door): State<Arc<Frontdoor>>, request: Request<Body>) -> Response<Body> {
    door.answer(request).await
}

/// Serves until `stopped` resolves.
pub async fn serve(
    door: Arc<Frontdoor>,
    listener: TcpListener,
    gate: Arc<Gate>,
    stopped: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let app = Router::new().fallback(answer).with_state(Arc::clone(&door));
    let bundles = tokio::spawn(bundles::send(door));
    serve_port(listener, app, Spoken::Http1, gate, stopped).await;
    bundles.abort();
    Ok(())
}
