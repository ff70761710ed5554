//! The front door: CometBFT's JSON-RPC on a port of plasmad's own. Transactions are taken here and
//! go to CometBFT many at a time, in carriers; everything else is handed on as it is. See
//! docs/frontdoor.md.

mod bundles;
mod calls;
mod proxy;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};

use crate::{config, node::Node, run::until};

/// Open connections; the next ones wait.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Longest request body, bytes: CometBFT's own limit.
pub const BODY_BYTES_MAX: usize = 1_000_000;
/// Calls of one request.
pub const BATCH_MAX: usize = 1_000;
/// Longest answer of CometBFT that is read here instead of being handed on, bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a client may take for its headers, and then for the body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long CometBFT may take to begin its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long broadcast_tx_commit waits for a block: CometBFT's own limit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls of broadcast_tx_commit that wait at once: CometBFT's own limit.
const COMMIT_WAITERS_MAX: usize = 100;
/// Requests whose transactions are being checked at once; the others wait.
const CHECKERS_MAX: usize = 16;

type HttpClient = Client<HttpConnector, Body>;

/// The open door.
pub struct Frontdoor {
    node: Arc<Node>,
    comet: SocketAddr,
    cors: bool,
    client: HttpClient,
    /// Something is held for a carrier.
    held: Notify,
    checkers: Arc<Semaphore>,
    commit_waiters: Semaphore,
}

impl Frontdoor {
    /// A door before `node`, and before the CometBFT that runs it.
    pub fn new(node: Arc<Node>, config: &config::Frontdoor) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            node,
            comet: config.cometbft_rpc,
            cors: config.cors,
            client: Client::builder(TokioExecutor::new()).build(connector),
            held: Notify::new(),
            checkers: Arc::new(Semaphore::new(CHECKERS_MAX)),
            commit_waiters: Semaphore::new(COMMIT_WAITERS_MAX),
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if *request.method() == Method::POST && matches!(path, "" | "/") {
            return self.calls(request).await;
        }
        if *request.method() == Method::GET
            && let Some(method) = calls::Broadcast::named(path.trim_start_matches('/'))
        {
            let query = request.uri().query().unwrap_or_default().to_owned();
            return self.uri_call(method, &query).await;
        }
        proxy::pass(&self, request).await
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

/// Serves until `stopped` says so.
pub async fn serve(
    door: Arc<Frontdoor>,
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let bundles = tokio::spawn(bundles::send(Arc::clone(&door)));
    loop {
        let permit = Arc::clone(&room).acquire_owned().await?;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = until(stopped.clone()) => break,
        };
        // Those that have ended leave.
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let (door, stopped) = (Arc::clone(&door), stopped.clone());
                connections.spawn(async move {
                    connection(door, stream, stopped).await;
                    drop(permit);
                });
            }
            Err(error) => {
                // Most often no more file descriptors: some come free.
                tracing::warn!(%error, "front door: a connection failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    bundles.abort();
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn connection(door: Arc<Frontdoor>, stream: TcpStream, stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, std::convert::Infallible>(door.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until(stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "front door: a connection ended");
    }
}
