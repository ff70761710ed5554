//! Handing on to CometBFT.

use std::{io, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONNECTION, CONTENT_TYPE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE},
    uri::{PathAndQuery, Scheme},
};
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Notify,
};

use super::{ANSWER_BYTES_MAX, ANSWER_TIMEOUT, BODY_BYTES_MAX, Frontdoor, WEBSOCKET_IDLE};
use crate::doors::Place;

/// Headers of one hop.
const HOP: [HeaderName; 5] = [CONNECTION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Kinds of bodies.
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Bytes of a WebSocket that are under way, in each direction.
const PIPE_BYTES: usize = 8 << 10;

/// Hands a request on, and its answer back; both bodies as they come. A WebSocket becomes two pipes,
/// which keep the place of their connection.
pub(super) async fn pass(door: &Frontdoor, mut request: Request<Body>) -> Response<Body> {
    let upgrade = request.headers().get(UPGRADE).cloned();
    let permit = upgrade.as_ref().map(|_| Arc::clone(&door.websockets).try_acquire_owned());
    let Ok(permit) = permit.transpose() else {
        let text = "too many WebSockets are open; try again later";
        return door.refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let held = (permit, request.extensions_mut().remove::<Arc<Place>>());
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
            // Either side may hang up.
            let _ = pipe(TokioIo::new(client), TokioIo::new(comet), WEBSOCKET_IDLE).await;
            drop(held);
        });
        return response.map(|_| Body::empty());
    }
    strip(response.headers_mut(), None);
    response.map(Body::new)
}

/// Carries bytes both ways, until both sides have ended or neither has said anything for `idle`.
async fn pipe<A, B>(client: A, comet: B, idle: Duration) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite,
    B: AsyncRead + AsyncWrite,
{
    let (client_in, client_out) = tokio::io::split(client);
    let (comet_in, comet_out) = tokio::io::split(comet);
    let moved = Notify::new();
    let both = async {
        tokio::try_join!(carry(client_in, comet_out, &moved), carry(comet_in, client_out, &moved))
    };
    let silent = async { while tokio::time::timeout(idle, moved.notified()).await.is_ok() {} };
    tokio::select! {
        ended = both => ended.map(drop),
        () = silent => Ok(()),
    }
}

/// Carries bytes one way until they end, and tells of each.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    moved: &Notify,
) -> io::Result<()> {
    let mut bytes = bytes::BytesMut::with_capacity(PIPE_BYTES);
    while from.read_buf(&mut bytes).await? > 0 {
        to.write_all_buf(&mut bytes).await?;
        to.flush().await?;
        bytes.reserve(PIPE_BYTES);
        moved.notify_one();
    }
    to.shutdown().await
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
        .authority(door.comet.clone())
        .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")));
    Ok(address.build()?)
}

fn failed(door: &Frontdoor, status: StatusCode, error: &anyhow::Error) -> Response<Body> {
    tracing::debug!(%error, "front door: not handed on");
    door.refuse(status, &format!("cometbft does not answer: {error:#}"))
}

/// Sends the body of a JSON-RPC request and hands the answer on as it comes.
pub(super) async fn post(door: &Frontdoor, body: Bytes) -> Response<Body> {
    match send(door, "/", JSON, Body::from(body)).await {
        Ok(mut response) => {
            strip(response.headers_mut(), None);
            response.map(Body::new)
        }
        Err(error) => failed(door, StatusCode::BAD_GATEWAY, &error),
    }
}

/// Sends the body of a JSON-RPC request and reads the answer.
pub(super) async fn call(door: &Frontdoor, body: Bytes) -> anyhow::Result<Value> {
    read(send(door, "/", JSON, Body::from(body)).await?).await
}

/// Hands a transaction to the mempool, which checks it, and reads the answer. It goes as a form,
/// because CometBFT reads JSON four times over, and a carrier is long.
pub(super) async fn broadcast(door: &Frontdoor, tx: &[u8]) -> anyhow::Result<Value> {
    let form = format!("tx=0x{}", hex::encode(tx));
    read(send(door, "/broadcast_tx_sync", FORM, Body::from(form)).await?).await
}

async fn read(response: Response<Incoming>) -> anyhow::Result<Value> {
    let body = to_bytes(Body::new(response.into_body()), ANSWER_BYTES_MAX);
    let body = tokio::time::timeout(ANSWER_TIMEOUT, body).await??;
    serde_json::from_slice(&body).context("an answer that is no JSON")
}

async fn send(
    door: &Frontdoor,
    path: &'static str,
    kind: &'static str,
    body: Body,
) -> anyhow::Result<Response<Incoming>> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(address(door, &Uri::from_static(path))?)
        .header(CONTENT_TYPE, kind)
        .body(body)?;
    match tokio::time::timeout(ANSWER_TIMEOUT, door.client.request(request)).await {
        Ok(response) => Ok(response?),
        Err(_) => bail!("no answer within {} s", ANSWER_TIMEOUT.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn a_pipe_carries_both_ways_until_both_have_ended() {
        block_on(async {
            let (mut client, near) = duplex(16);
            let (far, mut comet) = duplex(16);
            let piped = tokio::spawn(pipe(near, far, Duration::from_secs(60)));
            let question = vec![7; 5 * PIPE_BYTES];
            let asked = tokio::spawn({
                let question = question.clone();
                async move {
                    client.write_all(&question).await.unwrap();
                    client.shutdown().await.unwrap();
                    let mut answer = Vec::new();
                    client.read_to_end(&mut answer).await.unwrap();
                    answer
                }
            });
            let mut heard = Vec::new();
            comet.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, question);
            comet.write_all(b"answer").await.unwrap();
            drop(comet);
            assert_eq!(asked.await.unwrap(), b"answer");
            piped.await.unwrap().unwrap();
        });
    }

    #[test]
    fn a_silent_pipe_is_closed() {
        block_on(async {
            let (mut client, near) = duplex(16);
            let (far, mut comet) = duplex(16);
            let piped = tokio::spawn(pipe(near, far, Duration::from_millis(300)));
            // As long as one side says something, it stays.
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                comet.write_all(b"ping").await.unwrap();
                client.read_exact(&mut [0; 4]).await.unwrap();
            }
            piped.await.unwrap().unwrap();
            assert_eq!(client.read(&mut [0; 4]).await.unwrap(), 0);
        });
    }
}
