//! JSON-RPC: which calls are ours, and their answers, in CometBFT's own forms.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, to_bytes};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use plasma_modules::{chain::TxResult, tx};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{BATCH_MAX, BODY_BYTES_MAX, COMMIT_TIMEOUT, Frontdoor, READ_TIMEOUT, proxy};
use crate::{
    doors::Place,
    node::{NodeError, Turned},
};

/// JSON-RPC's numbers, with CometBFT's words.
const PARSE: (i64, &str) = (-32700, "Parse error. Invalid JSON");
const INVALID_REQUEST: (i64, &str) = (-32600, "Invalid Request");
pub(super) const INVALID_PARAMS: (i64, &str) = (-32602, "Invalid params");
pub(super) const INTERNAL: (i64, &str) = (-32603, "Internal error");
/// The id in answers to URIs.
pub(super) const URI_ID: i64 = -1;
/// How long after a block its transactions are looked for: CometBFT's index follows a little later.
const INDEXED: Duration = Duration::from_millis(100);
/// How long after one look the next one is, while no block comes.
const LOOK: Duration = Duration::from_secs(1);

/// The calls that are answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broadcast {
    /// Replies at once.
    Async,
    /// Replies with what the check said.
    Sync,
    /// Replies when a block has it.
    Commit,
}

impl Broadcast {
    pub(super) fn named(method: &str) -> Option<Self> {
        match method {
            "broadcast_tx_async" => Some(Self::Async),
            "broadcast_tx_sync" => Some(Self::Sync),
            "broadcast_tx_commit" => Some(Self::Commit),
            _ => None,
        }
    }
}

/// An error of JSON-RPC.
#[derive(Clone)]
pub(super) struct Fault {
    kind: (i64, &'static str),
    data: String,
}

impl Fault {
    pub(super) fn of(kind: (i64, &'static str), data: impl std::fmt::Display) -> Self {
        Self { kind, data: data.to_string() }
    }

    fn json(self, id: &Value) -> Value {
        let (code, message) = self.kind;
        let error = json!({ "code": code, "message": message, "data": self.data });
        json!({ "jsonrpc": "2.0", "id": id, "error": error })
    }
}

pub(super) fn answered(id: &Value, result: Result<Value, Fault>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => fault.json(id),
    }
}

/// A call of ours: its id, and the transaction that it brings.
struct Call {
    method: Broadcast,
    id: Value,
    tx: Result<Bytes, Fault>,
}

/// The call of `request`, if it is one of ours.
fn ours(request: &Value) -> Option<Call> {
    let method = Broadcast::named(request.get("method")?.as_str()?)?;
    let id = request.get("id").cloned().unwrap_or_default();
    Some(Call { method, id, tx: tx_param(request.get("params")) })
}

/// The one parameter, by name or by place: base64.
fn tx_param(params: Option<&Value>) -> Result<Bytes, Fault> {
    let bad = |text: &str| {
        Fault::of(INVALID_PARAMS, format!("error converting json params to arguments: {text}"))
    };
    let tx = match params {
        Some(Value::Object(named)) => named.get("tx"),
        Some(Value::Array(list)) => match list.as_slice() {
            [tx] => Some(tx),
            other => {
                let text = format!("expected 1 parameters ([tx]), got {}", other.len());
                return Err(bad(&text));
            }
        },
        None | Some(Value::Null) => None,
        Some(_) => return Err(bad("unknown type for JSON params")),
    };
    match tx {
        None | Some(Value::Null) => Ok(Bytes::new()),
        Some(Value::String(text)) => {
            let bytes = STANDARD.decode(text).map_err(|error| bad(&error.to_string()))?;
            Ok(bytes.into())
        }
        Some(_) => Err(bad("tx is not base64 text")),
    }
}

/// The transaction of a URI: `0x` and hexadecimal, or the bytes between quotes.
fn uri_tx(query: &str) -> Result<Bytes, Fault> {
    let bad = |text: &str| {
        Fault::of(INVALID_PARAMS, format!("error converting http params to arguments: {text}"))
    };
    let query = crate::doors::query_fields(query)
        .ok_or_else(|| bad("the query string is not encoded properly"))?;
    let text = query.into_iter().find(|(name, _)| name == "tx").map(|(_, text)| text);
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Ok(Bytes::new());
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return Ok(hex::decode(digits).map_err(|error| bad(&error.to_string()))?.into());
    }
    match serde_json::from_str(&text) {
        Ok(Value::String(text)) => Ok(text.into_bytes().into()),
        _ => Err(bad("tx is neither 0x and hexadecimal digits nor a quoted string")),
    }
}

impl Frontdoor {
    /// A JSON-RPC request: what is ours is answered here, the rest by CometBFT.
    pub(super) async fn calls(self: &Arc<Self>, request: Request<Body>) -> Response<Body> {
        let place = request.extensions().get::<Arc<Place>>().cloned();
        let body = to_bytes(request.into_body(), BODY_BYTES_MAX);
        let body = match tokio::time::timeout(READ_TIMEOUT, body).await {
            Ok(Ok(body)) => body,
            Ok(Err(error)) => {
                let text = format!("error reading request body: {error}");
                return self.fault(StatusCode::BAD_REQUEST, Fault::of(INVALID_REQUEST, text));
            }
            Err(_) => {
                let text = format!("the body took longer than {} s", READ_TIMEOUT.as_secs());
                return self.fault(StatusCode::REQUEST_TIMEOUT, Fault::of(INVALID_REQUEST, text));
            }
        };
        if body.is_empty() {
            return proxy::post(self, body).await;
        }
        let parsed: Value = match serde_json::from_slice(&body) {
            Ok(parsed) => parsed,
            Err(error) => {
                let text = format!("error unmarshaling request: {error}");
                return self.fault(StatusCode::INTERNAL_SERVER_ERROR, Fault::of(PARSE, text));
            }
        };
        let requests = match &parsed {
            Value::Array(requests) => requests.as_slice(),
            one => std::slice::from_ref(one),
        };
        if requests.len() > BATCH_MAX {
            let text =
                format!("batch request exceeds maximum ({BATCH_MAX}) allowed number of requests");
            return self.fault(StatusCode::OK, Fault::of(INVALID_REQUEST, text));
        }
        let found: Vec<Option<Call>> = requests.iter().map(ours).collect();
        let looks = |request: &Value| self.looks(request).is_some();
        if found.iter().all(Option::is_none) && !requests.iter().any(looks) {
            return proxy::post(self, body).await;
        }
        let mut replies = self.answer_all(requests, found, place).await;
        // As CometBFT: notifications are not answered, and one answer has no brackets.
        let text = match replies.len() {
            0 => String::new(),
            1 => replies.remove(0).to_string(),
            _ => Value::Array(replies).to_string(),
        };
        self.reply(StatusCode::OK, text)
    }

    fn fault(&self, status: StatusCode, fault: Fault) -> Response<Body> {
        self.reply(status, fault.json(&Value::Null).to_string())
    }

    /// The answers, in the order of the calls. Ours are checked first and together.
    async fn answer_all(
        self: &Arc<Self>,
        requests: &[Value],
        found: Vec<Option<Call>>,
        place: Option<Arc<Place>>,
    ) -> Vec<Value> {
        let mut others = Vec::new();
        let mut calls = Vec::new();
        for (at, (request, call)) in requests.iter().zip(found).enumerate() {
            match call {
                Some(call) => calls.push((at, call)),
                None => others.push((at, request)),
            }
        }
        let mut replies = Vec::with_capacity(requests.len());
        let txs: Vec<Bytes> =
            calls.iter().filter_map(|(_, call)| call.tx.as_ref().ok().cloned()).collect();
        let (mut offered, failed) = match self.offer_all(txs, place).await {
            Ok(offered) => (offered.into_iter(), None),
            Err(fault) => (Vec::new().into_iter(), Some(fault)),
        };
        for (at, Call { method, id, tx }) in calls {
            let result = match tx {
                Ok(tx) => match (offered.next(), &failed) {
                    (Some(offered), _) => self.result(method, &tx, offered).await,
                    (None, Some(fault)) => Err(fault.clone()),
                    (None, None) => Err(Fault::of(INTERNAL, "a check has no answer")),
                },
                Err(fault) => Err(fault),
            };
            // A call without an id asks for no answer.
            if !id.is_null() {
                replies.push((at, answered(&id, result)));
            }
        }
        // One by one, so that each answer has its place and CometBFT's limit on batches holds.
        for (at, request) in others {
            if let Some(call) = self.looks(request)
                && let Some(reply) = self.lookup(call, request).await
            {
                if request.get("id").is_some() {
                    replies.push((at, reply));
                }
                continue;
            }
            match proxy::call(self, Bytes::from(request.to_string())).await {
                Ok(reply) => replies.push((at, reply)),
                Err(_) if request.get("id").is_none() => {}
                Err(error) => {
                    let id = request.get("id").cloned().unwrap_or_default();
                    replies.push((at, Fault::of(INTERNAL, error).json(&id)));
                }
            }
        }
        replies.sort_by_key(|(at, _)| *at);
        replies.into_iter().map(|(_, reply)| reply).collect()
    }

    /// `GET /broadcast_tx_...?tx=...`
    pub(super) async fn uri_call(
        self: &Arc<Self>,
        method: Broadcast,
        query: &str,
        place: Option<Arc<Place>>,
    ) -> Response<Body> {
        let result = match uri_tx(query) {
            Ok(tx) => {
                match self.offer_all(vec![tx.clone()], place).await.map(|mut all| all.pop()) {
                    Ok(Some(offered)) => self.result(method, &tx, offered).await,
                    Ok(None) => Err(Fault::of(INTERNAL, "a check has no answer")),
                    Err(fault) => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        };
        let status =
            if result.is_ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
        self.reply(status, answered(&URI_ID.into(), result).to_string())
    }

    /// Checks transactions in their order, on a thread that may block. One that is refused pays nothing
    /// and may have cost a signature's check: each counts as a request.
    async fn offer_all(
        self: &Arc<Self>,
        txs: Vec<Bytes>,
        place: Option<Arc<Place>>,
    ) -> Result<Vec<Result<TxResult, Turned>>, Fault> {
        let permit = Arc::clone(&self.checkers).acquire_owned().await;
        let door = Arc::clone(self);
        let checked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let offered = door.check_all(txs)?;
            if let Some(place) = place {
                place.charge(offered.iter().flatten().filter(|result| result.code != 0).count());
            }
            Ok::<_, NodeError>(offered)
        });
        match checked.await {
            Ok(Ok(offered)) => Ok(offered),
            Ok(Err(error)) => Err(Fault::of(INTERNAL, error)),
            Err(error) => {
                self.node.metrics().panicked();
                tracing::error!(%error, "front door: a check panicked");
                Err(Fault::of(INTERNAL, "the check failed inside the node"))
            }
        }
    }

    /// The reply of a call whose transaction was checked.
    async fn result(
        self: &Arc<Self>,
        method: Broadcast,
        tx: &[u8],
        offered: Result<TxResult, Turned>,
    ) -> Result<Value, Fault> {
        let of_commit = |text: String| match method {
            Broadcast::Commit => format!("error on broadcastTxCommit: {text}"),
            _ => text,
        };
        let checked =
            offered.map_err(|turned| Fault::of(INTERNAL, of_commit(turned.to_string())))?;
        let hash = tx::hash(tx);
        let TxResult { codespace, code, log, .. } = &checked;
        match method {
            Broadcast::Async => Ok(json!({
                "code": 0, "data": "", "log": "", "codespace": "", "hash": hash,
            })),
            Broadcast::Sync => Ok(json!({
                "code": code, "data": "", "log": log, "codespace": codespace, "hash": hash,
            })),
            Broadcast::Commit if *code != 0 => Ok(json!({
                "check_tx": check_json(&checked),
                "tx_result": check_json(&TxResult::default()),
                "hash": hash,
                "height": "0",
            })),
            Broadcast::Commit => {
                let (height, result) = self.included(&hash).await?;
                Ok(json!({
                    "check_tx": check_json(&checked),
                    "tx_result": result,
                    "hash": hash,
                    "height": height,
                }))
            }
        }
    }

    /// Waits for a block with the transaction: its height, and its result there.
    async fn included(self: &Arc<Self>, hash: &str) -> Result<(Value, Value), Fault> {
        let Ok(_permit) = self.commit_waiters.try_acquire() else {
            let text = format!("max_subscription_clients {} reached", super::COMMIT_WAITERS_MAX);
            return Err(Fault::of(INTERNAL, text));
        };
        let end = Instant::now() + COMMIT_TIMEOUT;
        let mut heights = self.node.watch();
        let bytes = hex::decode(hash).unwrap_or_default();
        let indexed = self.node.index().and_then(|_| <[u8; 32]>::try_from(&bytes[..]).ok());
        let call = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tx", "params": { "hash": STANDARD.encode(bytes) },
        });
        let call = Bytes::from(call.to_string());
        while Instant::now() < end {
            let _ = tokio::time::timeout(LOOK, heights.changed()).await;
            if let Some(hash) = indexed {
                if let Some(found) = self.indexed(hash).await {
                    return Ok(found);
                }
                continue;
            }
            tokio::time::sleep(INDEXED).await;
            if let Ok(answer) = proxy::call(self, call.clone()).await
                && let Some(found) = answer.get("result")
            {
                return Ok((found["height"].clone(), found["tx_result"].clone()));
            }
        }
        Err(Fault::of(INTERNAL, "timed out waiting for tx to be included in a block"))
    }
}

/// What a check said, as CometBFT writes it.
fn check_json(result: &TxResult) -> Value {
    let TxResult { codespace, code, log, gas_wanted, gas_used, events, .. } = result;
    let attribute =
        |(key, value): &(&str, String)| json!({ "key": key, "value": value, "index": true });
    let events: Vec<_> = events
        .iter()
        .map(|event| {
            let attributes: Vec<_> = event.attributes.iter().map(attribute).collect();
            json!({ "type": event.kind, "attributes": attributes })
        })
        .collect();
    json!({
        "code": code,
        "data": null,
        "log": log,
        "info": "",
        "gas_wanted": gas_wanted.to_string(),
        "gas_used": gas_used.to_string(),
        "events": events,
        "codespace": codespace,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_read_as_cometbft_reads_them() {
        let json = |text: &str| tx_param(Some(&serde_json::from_str(text).unwrap()));
        let taken = |tx: Result<Bytes, Fault>| tx.ok().unwrap().to_vec();
        assert_eq!(taken(json(r#"{"tx": "YWI="}"#)), b"ab");
        assert_eq!(taken(json(r#"["YWI="]"#)), b"ab");
        assert_eq!(taken(json("{}")), b"");
        assert_eq!(taken(tx_param(None)), b"");
        for bad in [r#"["YWI=", 1]"#, r#"{"tx": "?"}"#, r#"{"tx": 7}"#, "7"] {
            assert_eq!(json(bad).err().unwrap().kind, INVALID_PARAMS, "{bad}");
        }
        assert_eq!(taken(uri_tx("tx=0x6162")), b"ab");
        assert_eq!(taken(uri_tx("tx=%22ab%22")), b"ab");
        assert_eq!(taken(uri_tx("")), b"");
        for bad in ["tx=ab", "tx=0xa", "tx=%2"] {
            assert_eq!(uri_tx(bad).err().unwrap().kind, INVALID_PARAMS, "{bad}");
        }
    }

    #[test]
    fn only_calls_that_bring_transactions_are_ours() {
        for (method, found) in [
            ("broadcast_tx_sync", Some(Broadcast::Sync)),
            ("broadcast_tx_async", Some(Broadcast::Async)),
            ("broadcast_tx_commit", Some(Broadcast::Commit)),
            ("broadcast_evidence", None),
            ("status", None),
        ] {
            let call = ours(&json!({ "method": method, "id": 1 }));
            assert_eq!(call.map(|call| call.method), found);
        }
        assert!(ours(&json!({ "id": 1 })).is_none() && ours(&json!(7)).is_none());
    }
}
