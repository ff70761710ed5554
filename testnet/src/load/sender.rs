//! Who sends, and who looks when it was included.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use plasma_modules::tx::INJECTED_TX_PREFIX;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Accounts, http::Connection};

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
const SAMPLE: usize = 200;
/// Part of an answer that says that a transfer was taken.
const TAKEN: &str = r#""code":0,"#;
/// Most metas of one `/blockchain` answer.
const METAS: u64 = 20;

/// How the load comes.
#[derive(Clone, Debug)]
pub struct Flow {
    /// RPC addresses; connections are spread over them.
    pub urls: Vec<String>,
    /// RPC of a node, whose blocks are looked at.
    pub watch: String,
    /// `broadcast_tx_sync` or `broadcast_tx_async`.
    pub method: &'static str,
    /// Transfers of one request; 1 is a plain request.
    pub batch: usize,
    /// Connections, each with its own accounts.
    pub connections: usize,
    /// How long to send, and to wait before anything is counted.
    pub duration: Duration,
    /// A permit for each transfer that may be under way: sent, and in no block yet. Without it as
    /// many are sent as are taken.
    pub room: Option<Arc<Semaphore>>,
}

/// Transfers ready to be sent: everything but the sending is done before the clock starts.
pub struct Load {
    /// Of each connection, in the order of sending.
    parts: Vec<Vec<Call>>,
}

/// A call of JSON-RPC as it is sent.
#[derive(Clone)]
struct Call {
    json: Bytes,
    /// Of the transfers whose hashes are asked for.
    hash: Option<String>,
}

impl Load {
    /// Each account's transfers in order, dealt to the connections: each has its own accounts, and
    /// takes one transfer of each in turn. `all_hashes` keeps every hash, else one in [`SAMPLE`].
    pub fn new(flow: &Flow, signed: &[Vec<Vec<u8>>], all_hashes: bool) -> Self {
        let connections = flow.connections.max(1);
        let rounds = signed.iter().map(Vec::len).max().unwrap_or_default();
        let mut parts = vec![Vec::new(); connections];
        let mut count = 0usize;
        for round in 0..rounds {
            for (account, txs) in signed.iter().enumerate() {
                let Some(tx) = txs.get(round) else { continue };
                let json = format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"{}","params":{{"tx":"{}"}}}}"#,
                    flow.method,
                    STANDARD.encode(tx)
                );
                let hash = (all_hashes || count.is_multiple_of(SAMPLE))
                    .then(|| plasma_modules::tx::hash(tx));
                count += 1;
                parts[account % connections].push(Call { json: json.into(), hash });
            }
        }
        Self { parts }
    }
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
    /// Hash and time of sending of those whose hashes were kept.
    pub samples: Vec<(String, Instant)>,
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

/// What an answer says about each of `count` calls. Where all were taken, which is usual, nothing is
/// taken apart.
fn verdicts(answer: &[u8], count: usize) -> Result<Vec<Verdict>> {
    let text = std::str::from_utf8(answer).context("an answer that is no text")?;
    if text.matches(TAKEN).count() == count && !text.contains("\"error\"") {
        return Ok((0..count).map(|_| Verdict::Taken).collect());
    }
    // A batch of one is answered without its brackets.
    let answers = match serde_json::from_str(text)? {
        Value::Array(answers) => answers,
        one => vec![one],
    };
    ensure!(answers.len() == count, "{} answers to {count} calls: {text}", answers.len());
    Ok(answers.iter().map(verdict).collect())
}

/// Sends until the time is over or all is sent; an account's order is kept.
///
/// # Errors
/// A node does not answer.
pub fn run(runtime: &tokio::runtime::Runtime, flow: &Flow, load: Load) -> Result<Sent> {
    let end = Instant::now() + flow.duration;
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for (index, calls) in load.parts.into_iter().enumerate() {
            let url = flow.urls[index % flow.urls.len()].clone();
            tasks.spawn(connection(flow.clone(), url, calls, end));
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
        }
        Ok(total)
    })
}

/// The body of one request.
fn body(calls: &[Call]) -> Bytes {
    if let [one] = calls {
        return one.json.clone();
    }
    let bytes = calls.iter().map(|call| call.json.len() + 1).sum::<usize>() + 1;
    let mut body = Vec::with_capacity(bytes);
    for call in calls {
        body.push(if body.is_empty() { b'[' } else { b',' });
        body.extend_from_slice(&call.json);
    }
    body.push(b']');
    body.into()
}

async fn connection(flow: Flow, url: String, calls: Vec<Call>, end: Instant) -> Result<Sent> {
    let mut server = Connection::new(&url)?;
    let mut sent = Sent::default();
    let batch = flow.batch.max(1);
    let mut calls = calls.into_iter();
    let mut waiting: Vec<Call> = Vec::new();
    let mut failures = 0;
    while Instant::now() < end {
        let new: Vec<Call> = calls.by_ref().take(batch - waiting.len()).collect();
        if let Some(room) = &flow.room {
            let permits = room.acquire_many(u32::try_from(new.len())?);
            match tokio::time::timeout_at(end.into(), permits).await {
                Ok(permits) => permits?.forget(),
                Err(_) => break,
            }
        }
        waiting.extend(new);
        if waiting.is_empty() {
            sent.dry = 1;
            break;
        }
        let at = Instant::now();
        let answer = match server.post(body(&waiting)).await {
            Ok(answer) => answer,
            // CometBFT hangs up on a request that takes it longer than 11 s. What of it was taken
            // already is known when it comes again.
            Err(_) if failures < FAILURES_MAX => {
                failures += 1;
                sent.lost += 1;
                tokio::time::sleep(BACK_OFF).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        failures = 0;
        let mut again = Vec::new();
        let verdicts = verdicts(&answer, waiting.len())?;
        for (call, verdict) in waiting.drain(..).zip(verdicts) {
            match verdict {
                Verdict::Taken => {
                    sent.taken += 1;
                    sent.samples.extend(call.hash.map(|hash| (hash, at)));
                }
                Verdict::Full => again.push(call),
                Verdict::Refused(reason) => {
                    sent.refused += 1;
                    sent.reason.get_or_insert(reason);
                    if let Some(room) = &flow.room {
                        room.add_permits(1);
                    }
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
    /// Its transactions, without the block's own entry.
    pub txs: u64,
}

/// Looks for blocks until it is dropped.
pub struct Blocks {
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

impl Blocks {
    /// Looks at `url`, from its next block on. For each transfer in a block there is room for
    /// another.
    pub fn watch(
        runtime: &tokio::runtime::Runtime,
        url: &str,
        room: Option<Arc<Semaphore>>,
    ) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (list, stopped, url) = (Arc::clone(&seen), Arc::clone(&stop), url.to_owned());
        runtime.spawn(async move {
            let client = Client::new();
            let (mut last, mut own) = (0, None);
            while !stopped.load(Ordering::Relaxed) {
                // A node that does not answer now may do so later.
                if let Ok(committed) = committed(&client, &url).await
                    && committed > last
                    && let Ok(metas) = metas(&client, &url, last + 1).await
                    && let Ok(own) = own_entries(&client, &url, committed, &mut own).await
                {
                    let at = Instant::now();
                    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
                    // A block is there before it is executed; its transactions leave the mempool after.
                    for (height, txs) in
                        metas.into_iter().filter(|(height, _)| *height <= committed)
                    {
                        last = last.max(height);
                        let txs = txs.saturating_sub(own);
                        if let Some(room) = &room {
                            room.add_permits(usize::try_from(txs).unwrap_or_default());
                        }
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

/// Height of the last block that the application has committed.
async fn committed(client: &Client, url: &str) -> Result<u64> {
    let answer: Value = client.get(format!("{url}/abci_info")).send().await?.json().await?;
    let height = answer["result"]["response"]["last_block_height"].as_str();
    Ok(height.context("no block yet")?.parse()?)
}

/// Entries that each block of the chain has of its own, found out once: its validators all prove the
/// beacon, or none does.
async fn own_entries(
    client: &Client,
    url: &str,
    height: u64,
    known: &mut Option<u64>,
) -> Result<u64> {
    if let Some(own) = known {
        return Ok(*own);
    }
    let path = format!("{url}/block?height={height}");
    let answer: Value = client.get(path).send().await?.json().await?;
    let first = answer["result"]["block"]["data"]["txs"][0].as_str().unwrap_or_default();
    let own = u64::from(STANDARD.decode(first)?.first() == Some(&INJECTED_TX_PREFIX));
    *known = Some(own);
    Ok(own)
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

/// Whether a transaction, in base64, is in one of the blocks after `seen`, which goes on to the last
/// one that was looked at.
async fn is_in_next(client: &Client, url: &str, seen: &mut u64, tx: &str) -> Result<bool> {
    let last = committed(client, url).await?;
    while *seen < last {
        *seen += 1;
        let path = format!("{url}/block?height={seen}");
        let answer: Value = client.get(path).send().await?.json().await?;
        let txs = answer["result"]["block"]["data"]["txs"].as_array().context("no block")?;
        if txs.iter().any(|other| other == tx) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The block that holds a transaction, if one does.
///
/// # Errors
/// The node does not answer.
pub async fn included_at(client: &Client, rest: &str, hash: &str) -> Result<Option<u64>> {
    let path = format!("{rest}/cosmos/tx/v1beta1/txs/{hash}");
    let answer = client.get(path).send().await?;
    // Not found, or not indexed yet.
    if !answer.status().is_success() {
        return Ok(None);
    }
    let answer: Value = answer.json().await?;
    let height = answer["tx_response"]["height"].as_str();
    Ok(height.map(str::parse).transpose()?)
}

/// Latencies of those samples that are in a block which was seen.
///
/// # Errors
/// The node does not answer.
pub fn latencies(
    runtime: &tokio::runtime::Runtime,
    rpc: &str,
    samples: &[(String, Instant)],
    blocks: &[Seen],
) -> Result<Latencies> {
    let client = Client::new();
    let sent: HashMap<&str, Instant> =
        samples.iter().map(|(hash, at)| (hash.as_str(), *at)).collect();
    let mut times = Vec::new();
    for block in blocks.iter().filter(|block| block.txs > 0) {
        let path = format!("{rpc}/block?height={}", block.height);
        let answer: Value =
            runtime.block_on(async { client.get(path).send().await?.json().await })?;
        let txs = answer["result"]["block"]["data"]["txs"].as_array().context("no block")?;
        for tx in txs {
            let tx = STANDARD.decode(tx.as_str().context("a transaction that is no text")?)?;
            if let Some(sent) = sent.get(plasma_modules::tx::hash(&tx).as_str()) {
                times.push(block.at.saturating_duration_since(*sent));
            }
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
            let mut seen = committed(&client, &flow.watch).await?;
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
            let text = STANDARD.encode(tx);
            while !is_in_next(&client, &flow.watch, &mut seen, &text).await? {
                ensure!(sent.elapsed() < PATIENCE, "transfer {n} is in no block after a minute");
                tokio::time::sleep(LOOK / 4).await;
            }
            times.push(sent.elapsed());
        }
        Ok(Latencies::new(times))
    })
}
