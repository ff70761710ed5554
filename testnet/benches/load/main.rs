//! What a chain of real processes takes on this machine: `make bench-chain`. Prints figures; asserts
//! nothing about them. Each run is a new network; docs/frontdoor.md says how its settings differ
//! from those that plasmad writes.

mod accounts;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use plasma_app::{config::Config, files::NodeFiles};
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    load::{self, Accounts, Blocks, Flow, Load, Meter, Seen},
    peer::{self, Peer},
    process::Programs,
};
use report::{Figures, print};
use tokio::sync::Semaphore;

/// Calls of one request that the bench's networks take; CometBFT's default is 10.
const RPC_BATCH_MAX: usize = 1_000;
/// Transfers under way at once where nothing is said: CometBFT's mempool holds 5,000, and each that
/// waits there is checked once more after a block; the front door holds 20,000.
const STOCK_IN_FLIGHT: usize = 4_500;
const DOOR_IN_FLIGHT: usize = 12_000;
/// Sending before anything is counted.
const WARM_UP: Duration = Duration::from_secs(3);
/// Time after the last transfer in which waiting ones may still be included.
const DRAIN: Duration = Duration::from_secs(60);
/// Transfers of an idle run.
const IDLE_TRANSFERS: u64 = 50;

/// Load on a chain of real processes
#[derive(Parser)]
struct Cli {
    /// Runs: PATH-MODE, PATH is stock or door, or sdk, a chain of the Cosmos SDK; MODE is batch, sync or
    /// idle. With -sub behind it CometBFT is told of events, which plasmad indexes, with -kv CometBFT
    /// indexes them; with -gc the SDK's chain has Go's default garbage collector. Or accounts. May be
    /// repeated
    #[arg(long = "run", value_name = "RUN")]
    runs: Vec<String>,
    /// Validators, all on this machine
    #[arg(long, default_value_t = 1)]
    validators: usize,
    /// Accounts that send
    #[arg(long, default_value_t = 4_000)]
    accounts: usize,
    /// Signed transfers of each account
    #[arg(long, default_value_t = 80)]
    each: usize,
    /// How long load lasts, with 3 s of warming up
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Transfers under way at once: sent, and in no block yet; if not given, somewhat fewer than the
    /// mempool or the front door holds
    #[arg(long)]
    in_flight: Option<usize>,
    /// Pause after a block
    #[arg(long, default_value = "200ms")]
    timeout_commit: String,
    /// Connections of the loader
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Transfers of one request in the batch runs
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// Accounts of the run `accounts`
    #[arg(long, default_value_t = 1_000_000)]
    holders: usize,
    /// First port; each validator takes ten
    #[arg(long, default_value_t = 29_700)]
    port_base: u16,
    /// Change of the default genesis, as of `plasmad init`; may be repeated
    #[arg(long, value_name = "MODULE.PARAMETER=VALUE")]
    set: Vec<String>,
    /// Folder of the homes; a temporary one if not given
    #[arg(long)]
    home: Option<PathBuf>,
    /// What cargo hands to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

const RUNS: [&str; 14] = [
    "stock-batch",
    "sdk-batch",
    "door-batch",
    "stock-batch-sub",
    "door-batch-sub",
    "sdk-batch-gc",
    "stock-sync",
    "sdk-sync",
    "door-sync",
    "stock-batch-kv",
    "door-batch-kv",
    "stock-idle",
    "sdk-idle",
    "door-idle",
];

fn main() -> Result<()> {
    let mut cli = Cli::parse();
    if cli.runs.is_empty() {
        cli.runs = RUNS.map(str::to_owned).into();
    }
    let temporary = tempfile::tempdir()?;
    let dir = cli.home.clone().unwrap_or_else(|| temporary.path().to_owned());
    let programs = Programs::of_chain()?;
    let sdk = cli.runs.iter().any(|run| run.starts_with("sdk-"));
    let sdk = if sdk { peer::program()? } else { None };
    // One thread: the loader is to leave the cores to the chain.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let needs_load = cli.runs.iter().any(|run| run != "accounts");
    let accounts = Accounts::new(cli.accounts, 1)?;
    let chain_id = "plasma-load-1";
    let started = Instant::now();
    let signed = if needs_load { accounts.sign(chain_id, cli.each)? } else { Vec::new() };
    eprintln!(
        "{} transfers of {} accounts signed in {:.1} s",
        signed.len() * cli.each,
        accounts.len(),
        started.elapsed().as_secs_f64()
    );
    let mut all = Vec::new();
    for (index, name) in cli.runs.iter().enumerate() {
        eprintln!("{name}: {} validators, timeout_commit {}", cli.validators, cli.timeout_commit);
        let home = dir.join(format!("{index}-{name}"));
        if name == "accounts" {
            accounts::run(&cli, &programs, &runtime, &home)?;
        } else {
            let programs = (&programs, sdk.as_deref());
            all.push(run(name, &cli, programs, &runtime, &accounts, chain_id, &signed, &home)?);
        }
        if cli.home.is_none() && home.exists() {
            fs::remove_dir_all(&home)?;
        }
    }
    if !all.is_empty() {
        print(&cli, &all);
    }
    Ok(())
}

/// How a run's network differs from what plasmad writes.
#[derive(Clone, Copy)]
struct Setup {
    /// The front door is open.
    door: bool,
    /// plasmad keeps the index instead of CometBFT.
    index: bool,
    /// CometBFT is told of events although it does not index them.
    subscriptions: bool,
}

/// Changes a home for load.
fn change(node: &NodeFiles, setup: Setup) -> Result<()> {
    let edit = |path: &Path, from: &str, to: &str| -> Result<()> {
        let text = fs::read_to_string(path)?;
        ensure!(text.contains(from), "{} has no {from:?}", path.display());
        Ok(fs::write(path, text.replacen(from, to, 1))?)
    };
    let comet = node.home.join("cometbft/config/config.toml");
    edit(&comet, "[rpc]\n", &format!("[rpc]\nmax_request_batch_size = {RPC_BATCH_MAX}\n"))?;
    if setup.index {
        edit(&comet, r#"indexer = "kv""#, r#"indexer = "null""#)?;
        edit(&comet, "discard_abci_responses = false", "discard_abci_responses = true")?;
    }
    let mut config = Config::load(&node.home)?;
    let before = config.text();
    config.frontdoor.enabled = setup.door;
    config.index.enabled = setup.index;
    config.index.subscriptions = setup.subscriptions;
    edit(&node.home.join("plasma.toml"), &before, &config.text())
}

fn network(
    cli: &Cli,
    programs: &Programs,
    accounts: &Accounts,
    chain_id: &str,
    home: &Path,
    setup: Setup,
) -> Result<Network> {
    let spec = spec(cli, accounts, chain_id, home);
    Network::up_with(&spec, programs, |node| change(node, setup))
}

fn spec(cli: &Cli, accounts: &Accounts, chain_id: &str, home: &Path) -> NetworkSpec {
    NetworkSpec {
        home: home.to_owned(),
        chain_id: chain_id.into(),
        validators: cli.validators,
        accounts: accounts.genesis(),
        port_base: cli.port_base,
        timeout_commit: cli.timeout_commit.clone(),
        set: cli.set.clone(),
    }
}

/// What is measured.
enum Chain {
    Ours(Network),
    Sdk(Peer),
}

impl Chain {
    /// Where transfers go: one address of each node.
    fn urls(&self, door: bool) -> Result<Vec<String>> {
        let network = match self {
            Self::Ours(network) => network,
            Self::Sdk(peer) => return Ok(vec![peer.rpc.clone()]),
        };
        let urls = network.validators.iter().map(|validator| {
            let urls = &validator.urls;
            if door { urls.frontdoor.clone() } else { Some(urls.rpc.clone()) }
        });
        urls.collect::<Option<_>>().context("the front door is not open")
    }

    /// The CometBFT whose blocks are looked at.
    fn watch(&self) -> String {
        match self {
            Self::Ours(network) => network.validators[0].urls.rpc.clone(),
            Self::Sdk(peer) => peer.rpc.clone(),
        }
    }

    fn pids(&self) -> Result<Vec<(&'static str, Vec<u32>)>> {
        let mut pids = match self {
            Self::Ours(network) => {
                let of = |id: fn(&plasma_testnet::comet::Validator) -> Option<u32>| {
                    let ids = network.validators.iter().map(id).collect::<Option<Vec<_>>>();
                    ids.context("a process is gone")
                };
                vec![
                    ("plasmad", of(|validator| validator.plasmad_id())?),
                    ("cometbft", of(|validator| validator.cometbft_id())?),
                ]
            }
            Self::Sdk(peer) => vec![("sdk", vec![peer.id()])],
        };
        pids.push(("loader", vec![std::process::id()]));
        Ok(pids)
    }

    fn check(&mut self) -> Result<()> {
        match self {
            Self::Ours(network) => network.check(),
            Self::Sdk(peer) => peer.check(),
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "what a run is made of")]
fn run(
    name: &str,
    cli: &Cli,
    (programs, sdk): (&Programs, Option<&Path>),
    runtime: &tokio::runtime::Runtime,
    accounts: &Accounts,
    chain_id: &str,
    signed: &[Vec<Vec<u8>>],
    home: &Path,
) -> Result<Figures> {
    let (rest, tuned) = name.strip_suffix("-gc").map_or((name, true), |rest| (rest, false));
    let (rest, index, subscriptions) = match (rest.strip_suffix("-kv"), rest.strip_suffix("-sub")) {
        (Some(rest), _) => (rest, false, true),
        (None, Some(rest)) => (rest, true, true),
        (None, None) => (rest, true, false),
    };
    let (path, mode) = rest.split_once('-').context("a run is PATH-MODE, with -sub, -kv or -gc")?;
    let (door, is_sdk) = match path {
        "stock" => (false, false),
        "door" => (true, false),
        "sdk" => (false, true),
        other => bail!("{other:?} is none of stock, door, sdk"),
    };
    let (method, batch) = match mode {
        "batch" => ("broadcast_tx_async", cli.batch.min(RPC_BATCH_MAX)),
        "sync" => ("broadcast_tx_sync", 1),
        "idle" => ("broadcast_tx_sync", 1),
        other => bail!("{other:?} is none of batch, sync, idle"),
    };
    let setup = Setup { door, index, subscriptions };
    let mut chain = if is_sdk {
        let Some(program) = sdk else { return Ok(Figures::absent(name)) };
        let spec = spec(cli, accounts, chain_id, home);
        Chain::Sdk(Peer::up(&spec, program, tuned, |node| change(node, setup))?)
    } else {
        let mut network = network(cli, programs, accounts, chain_id, home, setup)?;
        network.wait_for_block(2)?;
        Chain::Ours(network)
    };
    let watch = chain.watch();
    let in_flight = cli.in_flight.unwrap_or(if door { DOOR_IN_FLIGHT } else { STOCK_IN_FLIGHT });
    let room = Arc::new(Semaphore::new(in_flight));
    let flow = Flow {
        urls: chain.urls(door)?,
        watch: watch.clone(),
        method,
        batch,
        connections: cli.connections,
        duration: Duration::from_secs(cli.seconds),
        room: Some(Arc::clone(&room)),
    };
    if mode == "idle" {
        let latencies = load::one_at_a_time(runtime, &flow, accounts, chain_id, 0, IDLE_TRANSFERS)?;
        return Ok(Figures::idle(name, latencies));
    }
    let ready = Load::new(&flow, signed, false);
    let blocks = Blocks::watch(runtime, &watch, Some(room));
    let (sent, window, usage) = thread::scope(|scope| {
        let sending = scope.spawn(|| load::run(runtime, &flow, ready));
        thread::sleep(WARM_UP);
        let meter = Meter::start(chain.pids()?)?;
        let from = Instant::now();
        let sent = sending.join().map_err(|_| anyhow::anyhow!("the loader panicked"))??;
        let window = (from, Instant::now());
        anyhow::Ok((sent, window, meter.read()?))
    })?;
    chain.check()?;
    // What waits is included, or is lost.
    let total = |seen: &[Seen]| seen.iter().map(|seen| seen.txs).sum::<u64>();
    let end = Instant::now() + DRAIN;
    while total(&blocks.seen()) < sent.taken && Instant::now() < end {
        thread::sleep(Duration::from_millis(100));
    }
    let seen = blocks.seen();
    let latencies = load::latencies(runtime, &watch, &sent.samples, &seen)?;
    Figures::loaded(name, &sent, &seen, window, usage, latencies)
}
