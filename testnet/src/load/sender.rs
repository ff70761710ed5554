//! Who sends, and who looks when it was included.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Client;
use serde_json::{Value, json};

use super::Accounts;

/// Code of a check that finds no room, codespace `sdk`.
const MEMPOOL_FULL: u64 = 20;
/// Pause before what was turned away is sent again.
const BACK_OFF: Duration = Duration::from_millis(200);
/// Requests without an answer, one after the other, before a connection gives up.
const FAILURES_MAX: u32 = 20;
/// How often blocks are looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How long a transfer may take into a block.
const PATIENCE: Duration = Duration::from_secs(60);
/// One transfer in so many is looked up for its latency.
const SAMPLE: u64 = 200;
/// Most metas of one `/blockchain` answer.
const METAS: u64 = 20;

/// How the load comes.
#[derive(Clone, Debug)]
pub struct Flow {
    /// RPC addresses; connections are spread over them.
    pub urls: Vec<String>,
    /// Where blocks are looked for.
    pub watch: String,
    /// `broadcast_tx_sync` or `broadcast_tx_async`.
    pub method: &'static str,
    /// Transfers of one request; 1 is a plain request.
    pub batch: usize,
    /// Connections, each with its own accounts.
    pub connections: usize,
    /// How long to send, and to wait before anything is counted.
    pub duration: Duration,
}

/// What was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Taken by the node.
    pub taken: u64,
    /// Turned away because the mempool was full, and sent again.
    pub full: u64,
    /// Requests that had no answer, and were sent again.
    pub lost: u64,
    /// Refused for another reason, and given up.
    pub refused: u64,
    /// The first of those reasons.
    pub reason: Option<String>,
    /// Connections that ran out of signed transfers before the end.
    pub dry: u64,
    /// Hash and time of sending of some.
    pub samples: Vec<(String, Instant)>,
    /// Hashes of all that were taken, where they were asked for.
    pub hashes: Vec<String>,
}

/// Times from sending to the block's commit.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// From measured times.
    pub fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// How many were measured.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that so many percent stay below, ms.
    pub fn percentile_ms(&self, percent: usize) -> Option<f64> {
        let at = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(at).map(|time| time.as_secs_f64() * 1e3)
    }
}

/// What one answer says about one transfer.
enum Verdict {
    Taken,
    Full,
    Refused(String),
}

fn verdict(answer: &Value) -> Verdict {
    if let Some(error) = answer.get("error") {
        let data = error["data"].as_str().unwrap_or_default();
        return if data.contains("mempool is full") || data.contains("considered as full") {
            Verdict::Full
        } else if data.contains("already exists") {
            // An answer was lost and the transfer sent again.
            Verdict::Taken
        } else {
            Verdict::Refused(error.to_string())
        };
    }
    match answer["result"]["code"].as_u64() {
        Some(0) => Verdict::Taken,
        Some(MEMPOOL_FULL) => Verdict::Full,
        _ => Verdict::Refused(answer["result"].to_string()),
    }
}

/// Sends from every account, in rounds, until the time is over. `signed` has each account's
/// transfers in order; each connection has its own accounts, so an account's order is kept.
///
/// # Errors
/// A node does not answer.
pub fn run(
    runtime: &tokio::runtime::Runtime,
    flow: &Flow,
    signed: Vec<Vec<Vec<u8>>>,
    keep_hashes: bool,
) -> Result<Sent> {
    let end = Instant::now() + flow.duration;
    let count = Arc::new(AtomicU64::new(0));
    let mut parts: Vec<Vec<Vec<Vec<u8>>>> = vec![Vec::new(); flow.connections.max(1)];
    let connections = parts.len();
    for (index, account) in signed.into_iter().enumerate() {
        parts[index % connections].push(account);
    }
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for (index, part) in parts.into_iter().enumerate() {
            let (flow, count) = (flow.clone(), Arc::clone(&count));
            let url = flow.urls[index % flow.urls.len()].clone();
            tasks.spawn(connection(flow, url, part, end, count, keep_hashes));
        }
        let mut total = Sent::default();
        while let Some(sent) = tasks.join_next().await {
            let sent = sent??;
            total.taken += sent.taken;
            total.full += sent.full;
            total.refused += sent.refused;
            total.lost += sent.lost;
            total.dry += sent.dry;
            total.reason = total.reason.or(sent.reason);
            total.samples.extend(sent.samples);
            total.hashes.extend(sent.hashes);
        }
        Ok(total)
    })
}

async fn post(client: &Client, url: &str, body: &Value) -> reqwest::Result<Value> {
    client.post(url).json(body).send().await?.json().await
}

async fn connection(
    flow: Flow,
    url: String,
    accounts: Vec<Vec<Vec<u8>>>,
    end: Instant,
    count: Arc<AtomicU64>,
    keep_hashes: bool,
) -> Result<Sent> {
    let client = Client::builder().tcp_nodelay(true).build()?;
    let mut sent = Sent::default();
    let each = accounts.iter().map(Vec::len).max().unwrap_or_default();
    let mut rounds: VecDeque<Vec<u8>> = VecDeque::new();
    let mut accounts: Vec<_> = accounts.into_iter().map(Vec::into_iter).collect();
    for _ in 0..each {
        rounds.extend(accounts.iter_mut().filter_map(Iterator::next));
    }
    let mut waiting: Vec<Vec<u8>> = Vec::new();
    let mut failures = 0;
    while Instant::now() < end {
        while waiting.len() < flow.batch.max(1) {
            let Some(next) = rounds.pop_front() else { break };
            waiting.push(next);
        }
        if waiting.is_empty() {
            sent.dry = 1;
            break;
        }
        let at = Instant::now();
        let call = |id: usize, tx: &[u8]| {
            let params = json!({ "tx": STANDARD.encode(tx) });
            json!({ "jsonrpc": "2.0", "id": id, "method": flow.method, "params": params })
        };
        let mut calls: Vec<Value> =
            waiting.iter().enumerate().map(|(id, tx)| call(id, tx)).collect();
        let body = if calls.len() == 1 { calls.remove(0) } else { Value::Array(calls) };
        let answer = match post(&client, &url, &body).await {
            Ok(answer) => answer,
            // CometBFT hangs up on a request that takes it longer than 11 s. What of it was taken
            // already is known when it comes again.
            Err(_) if failures < FAILURES_MAX => {
                failures += 1;
                sent.lost += 1;
                tokio::time::sleep(BACK_OFF).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        failures = 0;
        // A batch of one is answered without its brackets.
        let answers = match answer {
            Value::Array(answers) => answers,
            one => vec![one],
        };
        ensure!(
            answers.len() == waiting.len(),
            "{} answers to {} calls: {}",
            answers.len(),
            waiting.len(),
            answers[0]
        );
        let mut again = Vec::new();
        for (tx, answer) in waiting.drain(..).zip(&answers) {
            match verdict(answer) {
                Verdict::Taken => {
                    sent.taken += 1;
                    let sampled = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE);
                    if sampled {
                        sent.samples.push((plasma_modules::tx::hash(&tx), at));
                    }
                    if keep_hashes {
                        sent.hashes.push(plasma_modules::tx::hash(&tx));
                    }
                }
                Verdict::Full => again.push(tx),
                Verdict::Refused(reason) => {
                    sent.refused += 1;
                    sent.reason.get_or_insert(reason);
                }
            }
        }
        if !again.is_empty() {
            sent.full += again.len() as u64;
            waiting = again;
            tokio::time::sleep(BACK_OFF).await;
        }
    }
    Ok(sent)
}

/// Blocks as they are committed: height, when it was seen, its transactions.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its height.
    pub height: u64,
    /// When it was first there.
    pub at: Instant,
    /// Its transactions.
    pub txs: u64,
}

/// Looks for blocks until it is dropped.
pub struct Blocks {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

impl Blocks {
    /// Looks at `url`, from its next block on.
    pub fn watch(runtime: &tokio::runtime::Runtime, url: &str) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (list, stopped, url) = (Arc::clone(&seen), Arc::clone(&stop), url.to_owned());
        runtime.spawn(async move {
            let client = Client::new();
            let mut last = 0;
            while !stopped.load(Ordering::Relaxed) {
                // A node that does not answer now may do so later.
                if let Ok(metas) = metas(&client, &url, last + 1).await {
                    let at = Instant::now();
                    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
                    for (height, txs) in metas {
                        last = last.max(height);
                        list.push(Seen { height, at, txs });
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { seen, stop }
    }

    /// What was seen so far, by height.
    pub fn seen(&self) -> Vec<Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        seen.sort_by_key(|seen| seen.height);
        seen
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn metas(client: &Client, url: &str, from: u64) -> Result<Vec<(u64, u64)>> {
    let to = from + METAS - 1;
    let path = format!("{url}/blockchain?minHeight={from}&maxHeight={to}");
    let answer: Value = client.get(path).send().await?.json().await?;
    let metas = answer["result"]["block_metas"].as_array().context("no blocks yet")?;
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<u64>().ok());
    let meta = |meta: &Value| {
        let height = number(&meta["header"]["height"])?;
        (height >= from).then_some((height, number(&meta["num_txs"])?))
    };
    Ok(metas.iter().filter_map(meta).collect())
}

/// The block that holds a transaction, if one does.
///
/// # Errors
/// The node does not answer.
pub fn included_at(
    runtime: &tokio::runtime::Runtime,
    client: &Client,
    url: &str,
    hash: &str,
) -> Result<Option<u64>> {
    runtime.block_on(async {
        let path = format!("{url}/tx?hash=0x{hash}");
        let answer: Value = client.get(path).send().await?.json().await?;
        let height = answer["result"]["height"].as_str();
        Ok(height.map(str::parse).transpose()?)
    })
}

/// Latencies of those samples that are in a block which was seen.
///
/// # Errors
/// The node does not answer.
pub fn latencies(
    runtime: &tokio::runtime::Runtime,
    url: &str,
    samples: &[(String, Instant)],
    blocks: &[Seen],
) -> Result<Latencies> {
    let client = Client::new();
    let at: HashMap<u64, Instant> = blocks.iter().map(|seen| (seen.height, seen.at)).collect();
    let mut times = Vec::new();
    for (hash, sent) in samples {
        let height = included_at(runtime, &client, url, hash)?;
        if let Some(at) = height.and_then(|height| at.get(&height)) {
            times.push(at.saturating_duration_since(*sent));
        }
    }
    Ok(Latencies::new(times))
}

/// Sends `count` transfers of the account at `index`, each when the one before is in a block, and
/// says how long each took.
///
/// # Errors
/// One is refused, or not included in a minute.
pub fn one_at_a_time(
    runtime: &tokio::runtime::Runtime,
    flow: &Flow,
    accounts: &Accounts,
    chain_id: &str,
    index: usize,
    count: u64,
) -> Result<Latencies> {
    let signed: Vec<_> = (0..count).map(|n| accounts.transfer(chain_id, index, n)).collect();
    let client = Client::builder().tcp_nodelay(true).build()?;
    let url = flow.urls.first().context("no address")?;
    runtime.block_on(async {
        let mut times = Vec::new();
        for (n, tx) in signed.iter().enumerate() {
            let params = json!({ "tx": STANDARD.encode(tx) });
            let call =
                json!({ "jsonrpc": "2.0", "id": n, "method": flow.method, "params": params });
            // Blocks come in a rhythm: senders do not.
            tokio::time::sleep(Duration::from_millis(37 * (n as u64 % 7))).await;
            let sent = Instant::now();
            loop {
                let answer: Value = client.post(url).json(&call).send().await?.json().await?;
                match verdict(&answer) {
                    Verdict::Taken => break,
                    Verdict::Full if sent.elapsed() < PATIENCE => {
                        tokio::time::sleep(BACK_OFF).await;
                    }
                    _ => bail!("transfer {n} was not taken: {answer}"),
                }
            }
            let path = format!("{}/tx?hash=0x{}", flow.watch, plasma_modules::tx::hash(tx));
            loop {
                let answer: Value = client.get(&path).send().await?.json().await?;
                if answer["result"]["height"].is_string() {
                    break;
                }
                ensure!(sent.elapsed() < PATIENCE, "transfer {n} is in no block after a minute");
                tokio::time::sleep(LOOK / 4).await;
            }
            times.push(sent.elapsed());
        }
        Ok(Latencies::new(times))
    })
}
