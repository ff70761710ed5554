//! HTTP: liveness, readiness and metrics; and, for the rig's owner, the part of OpenAI's interface that chat
//! programs use. The latter is free of charge and goes past the chain, so it is bound to loopback by default.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path as UrlPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::stream::{self, Stream};
use plasma_modules::types::sha256;
use plasma_proto::plasma::attestation::v1::Evidence;
use rand_core::{OsRng, RngCore};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use crate::chain::Health;
use crate::engine::sampler::{TEMPERATURE_MILLI_MAX, TOP_P_ALL_MILLI};
use crate::engine::{self, EngineError, EngineHandle, Event, Finish, Sampling};
use crate::metrics::Metrics;
use crate::outbox::Outbox;

/// Longest body of a request, bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Most messages of a conversation.
pub const MESSAGES_MAX: usize = 256;
/// Most stop strings, as OpenAI has it.
pub const STOPS_MAX: usize = 4;
/// Longest pause between two tokens, waiting for a turn included.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(120);
/// Of a stream with nothing to say: how often it says so.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Liveness, readiness and metrics.
pub fn service_routes(metrics: Arc<Metrics>, health: Arc<Health>) -> Router {
    let ready = move || {
        let trouble = health.trouble();
        async move {
            match trouble {
                None => (StatusCode::OK, "ready\n".to_owned()),
                Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            }
        }
    };
    let text = move || {
        let text = metrics.text();
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        async move { ([(header::CONTENT_TYPE, kind)], text) }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(text))
}

/// A model that the interface offers.
#[derive(Clone)]
pub struct Offered {
    /// What people call it.
    pub name: String,
    /// Runs it.
    pub engine: EngineHandle,
}

/// What the interface needs.
pub struct Api {
    models: BTreeMap<String, Offered>,
    token: Option<[u8; 32]>,
    max_tokens: u32,
    turns: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Api {
    /// An interface to `models`, by hexadecimal id. `token` empty: no caller is asked for one. `max_tokens` bounds
    /// an answer, `concurrent` the requests at the same time.
    #[must_use]
    pub fn new(
        models: BTreeMap<String, Offered>,
        token: &str,
        max_tokens: u32,
        concurrent: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        // Only its hash is kept, so that comparing takes the same time for every wrong one.
        let token = (!token.is_empty()).then(|| sha256(token.as_bytes()));
        let turns = Arc::new(Semaphore::new(concurrent.min(Semaphore::MAX_PERMITS)));
        Self { models, token, max_tokens, turns, metrics }
    }

    /// By id, by name, or the only one.
    fn find(&self, wanted: &str) -> Option<(&String, &Offered)> {
        self.models
            .get_key_value(wanted)
            .or_else(|| self.models.iter().find(|(_, model)| model.name == wanted))
            .or_else(|| {
                (wanted.is_empty() && self.models.len() == 1)
                    .then(|| self.models.iter().next())
                    .flatten()
            })
    }
}

/// What the node's receipts stand on, for whoever checks them: `GET /v1/evidence/{job_id}`, from the outbox at
/// `outbox`.
pub fn evidence_routes(outbox: PathBuf) -> Router {
    Router::new().route("/v1/evidence/{job_id}", get(evidence)).with_state(Arc::new(outbox))
}

async fn evidence(
    State(outbox): State<Arc<PathBuf>>,
    UrlPath(job_id): UrlPath<u64>,
) -> Result<Json<Value>, Refused> {
    let read = move || Outbox::evidence_of_job(&outbox, job_id);
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(job_id, %error, "evidence cannot be read");
        let text = "the evidence cannot be read: see the node's log".to_owned();
        Refused(StatusCode::INTERNAL_SERVER_ERROR, "server_error", text)
    };
    let found = tokio::task::spawn_blocking(read).await.map_err(|error| failed(&error))?;
    let Evidence { job_id, attempt, leaves } =
        found.map_err(|error| failed(&error))?.ok_or_else(|| {
            let text = format!("no evidence of job {job_id} is kept here");
            Refused(StatusCode::NOT_FOUND, "not_found", text)
        })?;
    let leaves: Vec<String> = leaves.iter().map(|leaf| BASE64.encode(leaf)).collect();
    // 64-bit numbers are text in the JSON of protobuf.
    Ok(Json(json!({"job_id": job_id.to_string(), "attempt": attempt, "leaves": leaves})))
}

/// The owner's interface.
pub fn routes(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), authorize))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(api)
}

/// An error as OpenAI's clients read it.
struct Refused(StatusCode, &'static str, String);

impl Refused {
    fn bad(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, "invalid_request_error", text.into())
    }

    fn json(&self) -> Value {
        json!({"error": {"message": self.2, "type": self.1, "param": null, "code": null}})
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.json())).into_response()
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::TooLong { .. } | EngineError::Invalid(_) => Self::bad(text),
            EngineError::Busy => Self(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", text),
            EngineError::Stopped => Self(StatusCode::SERVICE_UNAVAILABLE, "server_error", text),
            EngineError::Model(_) | EngineError::Files(_) => {
                tracing::error!(error = text, "a local request failed");
                Self(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "server_error",
                    "the model failed: see the node's log".into(),
                )
            }
        }
    }
}

async fn authorize(State(api): State<Arc<Api>>, request: Request<Body>, next: Next) -> Response {
    if let Some(token) = api.token {
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .map(|given| sha256(given.as_bytes()));
        if given != Some(token) {
            api.metrics.request("unauthorized");
            let text =
                "send the header Authorization: Bearer <api.token of gpu-node.toml>".to_owned();
            return Refused(StatusCode::UNAUTHORIZED, "authentication_error", text).into_response();
        }
    }
    next.run(request).await
}

async fn models(State(api): State<Arc<Api>>) -> Json<Value> {
    let models: Vec<Value> = api
        .models
        .iter()
        .map(|(id, model)| json!({"id": id, "object": "model", "created": 0, "owned_by": model.name}))
        .collect();
    Json(json!({"object": "list", "data": models}))
}

/// What is read of a request; other fields are left alone.
#[derive(Deserialize)]
struct Chat {
    #[serde(default)]
    model: String,
    messages: Vec<ChatMessage>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<u64>,
    n: Option<u32>,
    #[serde(default)]
    stream: bool,
    stop: Option<Stop>,
}

#[derive(Deserialize)]
struct ChatMessage {
    role: String,
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

/// A number of OpenAI's in thousandths.
fn milli(
    name: &str,
    value: Option<f64>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, Refused> {
    let Some(value) = value else { return Ok(default) };
    let scaled = (value * 1000.0).round();
    let bad = || {
        Refused::bad(format!("{name} must be {} to {}", range.start() / 1000, range.end() / 1000))
    };
    if !(f64::from(*range.start())..=f64::from(*range.end())).contains(&scaled) {
        return Err(bad());
    }
    // In range, whole and not negative.
    format!("{scaled:.0}").parse().map_err(|_| bad())
}

/// One text for the model's template, which takes what one user says: a single message as it is, a conversation
/// with its roles named.
fn prompt(messages: Vec<ChatMessage>) -> Result<String, Refused> {
    if messages.is_empty() || messages.len() > MESSAGES_MAX {
        return Err(Refused::bad(format!("messages must be 1 to {MESSAGES_MAX}")));
    }
    let mut texts = Vec::with_capacity(messages.len());
    for ChatMessage { role, content } in messages {
        let text = match content {
            Content::Text(text) => text,
            Content::Parts(parts) if parts.iter().all(|part| part.kind == "text") => {
                parts.into_iter().map(|part| part.text).collect::<Vec<_>>().join("\n")
            }
            Content::Parts(_) => return Err(Refused::bad("only text can be read")),
        };
        let name = match role.as_str() {
            "system" | "developer" => "",
            "user" => "User: ",
            "assistant" => "Assistant: ",
            _ => return Err(Refused::bad("a role is system, developer, user or assistant")),
        };
        texts.push((name, text));
    }
    let turns = texts.iter().filter(|(name, _)| !name.is_empty()).count();
    let lines = texts
        .into_iter()
        .map(|(name, text)| if turns > 1 { format!("{name}{text}") } else { text });
    Ok(lines.collect::<Vec<_>>().join("\n\n"))
}

impl Chat {
    fn request(self, max: u32) -> Result<engine::Request, Refused> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(Refused::bad("n must be 1"));
        }
        let max_tokens = self.max_completion_tokens.or(self.max_tokens).unwrap_or(max);
        if max_tokens == 0 || max_tokens > max {
            return Err(Refused::bad(format!(
                "max_tokens must be 1 to {max}; api.max_tokens sets the limit"
            )));
        }
        let stop = match self.stop {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Many(texts)) => texts,
        };
        if stop.len() > STOPS_MAX {
            return Err(Refused::bad(format!("at most {STOPS_MAX} stop strings")));
        }
        let sampling = Sampling {
            temperature_milli: milli(
                "temperature",
                self.temperature,
                TOP_P_ALL_MILLI,
                0..=TEMPERATURE_MILLI_MAX,
            )?,
            top_p_milli: milli("top_p", self.top_p, TOP_P_ALL_MILLI, 1..=TOP_P_ALL_MILLI)?,
        };
        let seed = sha256(&self.seed.unwrap_or_else(|| OsRng.next_u64()).to_be_bytes());
        let prompt = prompt(self.messages)?;
        Ok(engine::Request { prompt, max_tokens, stop, sampling, seed, evidence: false })
    }
}

/// What is the same in every part of an answer.
struct Head {
    id: String,
    created: u64,
    model: String,
}

impl Head {
    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Value {
        let Self { id, created, model } = self;
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        json!({"id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": [choice]})
    }
}

fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Eos | Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

async fn chat(
    State(api): State<Arc<Api>>,
    body: Result<Json<Chat>, JsonRejection>,
) -> Result<Response, Refused> {
    let answered = begin(&api, body).await;
    api.metrics.request(if answered.is_ok() { "ok" } else { "refused" });
    answered
}

async fn begin(api: &Api, body: Result<Json<Chat>, JsonRejection>) -> Result<Response, Refused> {
    let Json(chat) =
        body.map_err(|error| Refused(error.status(), "invalid_request_error", error.body_text()))?;
    let (id, offered) = api.find(&chat.model).ok_or_else(|| {
        let text =
            "this node does not serve that model: GET /v1/models lists what it serves".to_owned();
        Refused(StatusCode::NOT_FOUND, "invalid_request_error", text)
    })?;
    let head = Head {
        id: format!("chatcmpl-{:016x}", OsRng.next_u64()),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        model: id.clone(),
    };
    let streamed = chat.stream;
    let request = chat.request(api.max_tokens)?;
    let permit = Arc::clone(&api.turns).try_acquire_owned().map_err(|_| {
        let text = "too many requests at once: api.concurrent sets the limit".to_owned();
        Refused(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", text)
    })?;
    let mut events = offered.engine.start(request);
    if streamed {
        let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
        return Ok(Sse::new(chunks(head, events, permit)).keep_alive(keep_alive).into_response());
    }
    let done = loop {
        match next(&mut events).await? {
            Event::Token(_) => {}
            Event::Done(done) => break done,
            Event::Failed(error) => return Err(error.into()),
        }
    };
    let (read, written) = (done.prompt_tokens.len(), done.output_tokens.len());
    let message = json!({"role": "assistant", "content": done.text});
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_name(done.finish)});
    let usage = json!({"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written});
    let Head { id, created, model } = head;
    Ok(Json(json!({
        "id": id, "object": "chat.completion", "created": created, "model": model,
        "choices": [choice], "usage": usage,
    }))
    .into_response())
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Result<Event, Refused> {
    match timeout(TOKEN_TIMEOUT, events.recv()).await {
        Ok(Some(event)) => Ok(event),
        Ok(None) => Err(EngineError::Stopped.into()),
        Err(_) => {
            let text = "the model is too busy: try again later".to_owned();
            Err(Refused(StatusCode::GATEWAY_TIMEOUT, "server_error", text))
        }
    }
}

/// Where a stream is.
enum Phase {
    Begin,
    Tokens,
    End,
    Over,
}

/// The answer in parts. Dropped when the caller goes, which stops the work.
fn chunks(
    head: Head,
    events: mpsc::Receiver<Event>,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<SseEvent, Infallible>> + Send + 'static {
    let state = (head, events, permit, Phase::Begin);
    stream::unfold(state, |(head, mut events, permit, phase)| async move {
        let (data, phase) = match phase {
            Phase::Begin => (
                head.chunk(&json!({"role": "assistant", "content": ""}), None).to_string(),
                Phase::Tokens,
            ),
            Phase::Tokens => loop {
                match next(&mut events).await {
                    Ok(Event::Token(token)) if token.text.is_empty() => {}
                    Ok(Event::Token(token)) => {
                        break (
                            head.chunk(&json!({"content": token.text}), None).to_string(),
                            Phase::Tokens,
                        );
                    }
                    Ok(Event::Done(done)) => {
                        let last = head.chunk(&json!({}), Some(finish_name(done.finish)));
                        break (last.to_string(), Phase::End);
                    }
                    Ok(Event::Failed(error)) => {
                        break (Refused::from(error).json().to_string(), Phase::End);
                    }
                    Err(refused) => break (refused.json().to_string(), Phase::End),
                }
            },
            Phase::End => ("[DONE]".to_owned(), Phase::Over),
            Phase::Over => return None,
        };
        Some((Ok(SseEvent::default().data(data)), (head, events, permit, phase)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(text: &str) -> Result<engine::Request, Refused> {
        serde_json::from_str::<Chat>(text)
            .map_err(|error| Refused::bad(error.to_string()))?
            .request(100)
    }

    #[test]
    fn requests_are_read() {
        let request = chat(
            r#"{"messages":[{"role":"user","content":"hi"}],"temperature":0.7,"stop":"x","user":"u"}"#,
        );
        let request = request.ok().unwrap();
        assert_eq!(
            (request.prompt.as_str(), request.max_tokens, request.stop),
            ("hi", 100, vec!["x".to_owned()])
        );
        assert_eq!(request.sampling, Sampling { temperature_milli: 700, top_p_milli: 1000 });
        let turns = r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"a"},
            {"role":"assistant","content":"b"},{"role":"user","content":[{"type":"text","text":"c"}]}]}"#;
        assert_eq!(
            chat(turns).ok().unwrap().prompt,
            "Be brief.\n\nUser: a\n\nAssistant: b\n\nUser: c"
        );
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let with =
            |rest: &str| format!(r#"{{"messages":[{{"role":"user","content":"x"}}]{rest}}}"#);
        for bad in [
            r#"{"messages":[]}"#.to_owned(),
            r#"{"messages":[{"role":"tool","content":"x"}]}"#.to_owned(),
            with(r#","max_tokens":101"#),
            with(r#","max_tokens":0"#),
            with(r#","n":2"#),
            with(r#","temperature":-1"#),
            with(r#","temperature":11"#),
            with(r#","top_p":0"#),
            with(r#","top_p":1.1"#),
            with(r#","stop":["a","b","c","d","e"]"#),
        ] {
            assert_eq!(
                chat(&bad).err().map(|refused| refused.0),
                Some(StatusCode::BAD_REQUEST),
                "{bad}"
            );
        }
    }
}
