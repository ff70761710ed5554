//! Handing on to CometBFT.

use anyhow::{Context, bail};
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONNECTION, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use super::{ANSWER_BYTES_MAX, ANSWER_TIMEOUT, BODY_BYTES_MAX, Frontdoor};

/// Headers of one hop.
const HOP: [HeaderName; 5] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Hands a request on, and its answer back; both bodies as they come. A WebSocket becomes two pipes.
pub(super) async fn pass(door: &Frontdoor, mut request: Request<Incoming>) -> Response<Body> {
    let upgrade = request.headers().get(UPGRADE).cloned();
    let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let mut request = request.map(|body| Body::new(Limited::new(body, BODY_BYTES_MAX)));
    match address(door, request.uri()) {
        Ok(uri) => *request.uri_mut() = uri,
        Err(error) => return failed(door, StatusCode::BAD_REQUEST, &error),
    }
    strip(request.headers_mut(), upgrade.as_ref());
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, door.client.request(request)).await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return failed(door, StatusCode::BAD_GATEWAY, &error.into()),
        Err(error) => return failed(door, StatusCode::GATEWAY_TIMEOUT, &error.into()),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client_side) = client_side
    {
        let comet_side = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Ok(client), Ok(comet)) = tokio::join!(client_side, comet_side) else { return };
            let (mut client, mut comet) = (TokioIo::new(client), TokioIo::new(comet));
            // Either side may hang up.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut comet).await;
        });
        return response.map(|_| Body::empty());
    }
    strip(response.headers_mut(), None);
    response.map(Body::new)
}

/// Removes what belongs to one connection; an upgrade asks for its own again.
fn strip(headers: &mut http::HeaderMap, upgrade: Option<&HeaderValue>) {
    for name in &HOP {
        headers.remove(name);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, upgrade.clone());
    }
}

/// The same path at CometBFT.
fn address(door: &Frontdoor, uri: &Uri) -> anyhow::Result<Uri> {
    let path = uri.path_and_query().cloned();
    let address = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(Authority::try_from(door.comet.to_string())?)
        .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")));
    Ok(address.build()?)
}

fn failed(door: &Frontdoor, status: StatusCode, error: &anyhow::Error) -> Response<Body> {
    tracing::debug!(%error, "front door: not handed on");
    let data = format!("cometbft does not answer: {error:#}");
    let error = json!({ "code": -32603, "message": "Internal error", "data": data });
    let body = json!({ "jsonrpc": "2.0", "id": -1, "error": error });
    door.reply(status, body.to_string())
}

/// Sends the body of a JSON-RPC request and hands the answer on as it comes.
pub(super) async fn post(door: &Frontdoor, body: Bytes) -> Response<Body> {
    match send(door, Body::from(body)).await {
        Ok(mut response) => {
            strip(response.headers_mut(), None);
            response.map(Body::new)
        }
        Err(error) => failed(door, StatusCode::BAD_GATEWAY, &error),
    }
}

/// Sends the body of a JSON-RPC request and reads the answer.
pub(super) async fn call(door: &Frontdoor, body: Bytes) -> anyhow::Result<Value> {
    let response = send(door, Body::from(body)).await?;
    let body = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX);
    let body = tokio::time::timeout(ANSWER_TIMEOUT, body).await??;
    serde_json::from_slice(&body).context("an answer that is no JSON")
}

async fn send(door: &Frontdoor, body: Body) -> anyhow::Result<Response<Incoming>> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(address(door, &Uri::from_static("/"))?)
        .header(CONTENT_TYPE, "application/json")
        .body(body)?;
    match tokio::time::timeout(ANSWER_TIMEOUT, door.client.request(request)).await {
        Ok(response) => Ok(response?),
        Err(_) => bail!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
    }
}
