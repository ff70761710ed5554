//! The operator's port: metrics, health, readiness, and the log filter.
//!
//! It has no passwords: it is meant for this machine. What changes something is refused to anyone
//! who does not ask from it, wherever the port is open to.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use axum::{
    Json, Router,
    extract::{ConnectInfo, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use plasma_modules::{Amount, Denom, token};
use plasma_proto::plasma::market::v1::{QueryTotalsRequest, QueryTotalsResponse};
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    abci::Connections,
    doors::Doors,
    logs::{FILTER_BYTES_MAX, Logs},
    metrics::Scrape,
    node::Node,
};

/// How long a request to another plasmad may take.
const CALL: Duration = Duration::from_secs(5);
/// Largest answer that is read of it, bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
const TOTALS: &str = "/plasma.market.v1.Query/Totals";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the port tells of.
pub struct Admin {
    /// The node, and its answers.
    pub doors: Arc<Doors>,
    /// CometBFT's connections.
    pub abci: Connections,
    /// Age of the last block up to which the node is ready, seconds.
    pub ready_block_age_s: u64,
    /// The logs, where they can be changed.
    pub logs: Option<Logs>,
}

impl Admin {
    fn node(&self) -> &Node {
        self.doors.node()
    }

    fn metrics(&self) -> String {
        let node = self.node();
        let (waiting_txs, waiting_bytes) = node.waiting();
        let mut scrape = Scrape {
            store: node.store_stats(),
            abci_connections: self.abci.count(),
            waiting_txs,
            waiting_bytes,
            held_bytes: node.held_bytes(),
            upgrade_height: node.unknown_upgrade().map_or(0, |plan| plan.height.unsigned_abs()),
            ..Scrape::default()
        };
        if let Ok((reader, _)) = node.reader_at(0) {
            scrape.supply_uxpl = token::supply(&reader, &Denom::uxpl()).units();
            scrape.base_fee_nuxpl_per_gas = token::fee_market(&reader).base_fee_nuxpl_per_gas;
        }
        let totals = self.doors.answer(TOTALS, 0, &QueryTotalsRequest {}.encode_to_vec()).ok();
        let totals = totals.and_then(|answer| QueryTotalsResponse::decode(&answer.value[..]).ok());
        if let Some(totals) = totals.and_then(|answer| answer.totals) {
            let uxpl = |text: &str| Amount::parse(text).unwrap_or_default().units();
            scrape.market_burned_uxpl = uxpl(&totals.burned_uxpl);
            scrape.market_charged_uxpl = uxpl(&totals.charged_uxpl);
            scrape.jobs = [totals.jobs_opened, totals.jobs_settled, totals.jobs_refunded];
        }
        node.metrics().page(&scrape)
    }

    /// Whether this node can serve, and why not.
    fn readiness(&self, now_s: u64) -> (bool, Value) {
        let head = self.node().head();
        let connections = self.abci.count();
        let limit_s = self.ready_block_age_s;
        let age_s = head.as_ref().map(|head| now_s.saturating_sub(head.time_s));
        let connected = connections > 0;
        let recent = age_s.is_some_and(|age_s| age_s <= limit_s);
        let why = match (connected, age_s) {
            (false, _) => "CometBFT is not connected",
            (true, None) => "there is no block yet",
            (true, Some(_)) if !recent => {
                "the last block is old: the node is catching up, or the chain stands still"
            }
            _ => "",
        };
        let ready = connected && recent;
        let body = json!({
            "ready": ready,
            "reason": why,
            "checks": {
                "store": { "ok": true, "height": head.map(|head| head.height) },
                "abci": { "ok": connected, "connections": connections },
                "block": { "ok": recent, "age_s": age_s, "age_max_s": limit_s },
            },
        });
        (ready, body)
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Runs what reads the disk on a thread that may block.
async fn blocking<T: Send + 'static>(
    admin: Arc<Admin>,
    work: impl FnOnce(&Admin) -> T + Send + 'static,
) -> Result<T, StatusCode> {
    let work = tokio::task::spawn_blocking(move || work(&admin));
    work.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Result<Response, StatusCode> {
    let page = blocking(admin, Admin::metrics).await?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], page).into_response())
}

async fn ready(State(admin): State<Arc<Admin>>) -> Result<Response, StatusCode> {
    let (ready, body) = blocking(admin, |admin| admin.readiness(now_s())).await?;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(body)).into_response())
}

/// Only this machine's own programs: not another machine, and not a web page in a browser here.
fn ours(peer: SocketAddr, headers: &HeaderMap) -> bool {
    peer.ip().to_canonical().is_loopback() && !headers.contains_key(header::ORIGIN)
}

fn say(status: StatusCode, text: impl Into<String>) -> Response {
    let mut text = text.into();
    text.push('\n');
    (status, text).into_response()
}

async fn filter(State(admin): State<Arc<Admin>>) -> Response {
    match &admin.logs {
        Some(logs) => say(StatusCode::OK, logs.filter()),
        None => say(StatusCode::NOT_FOUND, "the log filter of this process is fixed"),
    }
}

async fn set_filter(
    State(admin): State<Arc<Admin>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    wanted: String,
) -> Response {
    if !ours(peer, &headers) {
        return say(StatusCode::FORBIDDEN, "the log filter is changed from this machine alone");
    }
    let Some(logs) = &admin.logs else {
        return say(StatusCode::NOT_FOUND, "the log filter of this process is fixed");
    };
    match logs.set(wanted.trim()) {
        Ok(()) => say(StatusCode::OK, logs.filter()),
        Err(error) => say(StatusCode::BAD_REQUEST, format!("{error:#}")),
    }
}

/// The port's pages.
fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/log-level", get(filter).put(set_filter))
        .layer(axum::extract::DefaultBodyLimit::max(FILTER_BYTES_MAX + 2))
        .with_state(Arc::new(admin))
}

/// Serves the port until `stopped` resolves.
pub async fn serve(
    admin: Admin,
    listener: TcpListener,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let app = routes(admin).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    Ok(())
}

/// Asks the plasmad at `address` for another log filter, or for the one that it has; gives the one
/// that then holds.
pub fn log_filter(address: SocketAddr, wanted: Option<&str>) -> anyhow::Result<String> {
    let mut address = address;
    if address.ip().is_unspecified() {
        // Open to all machines, so to this one by its own name.
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let (verb, body) = wanted.map_or(("GET", ""), |wanted| ("PUT", wanted));
    let failed = || {
        format!(
            "no plasmad answers at {address}; is it running, and is metrics.listen of its plasma.toml this address?"
        )
    };
    let mut stream = TcpStream::connect_timeout(&address, CALL).with_context(failed)?;
    stream.set_read_timeout(Some(CALL))?;
    let length = body.len();
    let request = format!(
        "{verb} /log-level HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).with_context(failed)?;
    let mut reply = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut reply).with_context(failed)?;
    let (head, body) = reply.split_once("\r\n\r\n").with_context(failed)?;
    if head.split(' ').nth(1) == Some("200") {
        Ok(body.trim().to_owned())
    } else {
        bail!("{}", body.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_programs_change_something() {
        let none = HeaderMap::new();
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        assert!(ours(at("127.0.0.1:5"), &none));
        assert!(ours(at("[::1]:5"), &none) && ours(at("[::ffff:127.0.0.1]:5"), &none));
        assert!(!ours(at("10.0.0.1:5"), &none) && !ours(at("[::ffff:10.0.0.1]:5"), &none));
        let mut page = HeaderMap::new();
        page.insert(header::ORIGIN, "https://w.example".parse().unwrap());
        assert!(!ours(at("127.0.0.1:5"), &page));
    }
}
