//! `plasmad`: a node of the Plasma chain, behind CometBFT.

use std::{
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{self, ExitCode},
    time::SystemTime,
};

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand};
use plasma_app::{
    VERSION, admin,
    config::{Config, cometbft_dir, db_dir},
    files::{
        self, GenesisAccount, GenesisSpec, GenesisValidator, HomeSpec, TestnetSpec,
        comet::CometSpec, genesis,
    },
    logs::Logs,
    node::{Keep, Node},
    run,
};
use plasma_modules::{Address, attestation::beacon, chain::UPGRADES};
use tracing_subscriber::EnvFilter;

/// A block is a hundred small allocations per transaction; the C library's took a third of its time.
/// RocksDB keeps to the C library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stake of a genesis validator, uxpl, where nothing else is said: a million XPL.
const STAKE_UXPL: u128 = 1_000_000_000_000;

#[derive(Parser)]
#[command(name = "plasmad", version, about = "A node of the Plasma chain, behind CometBFT")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a home: keys, settings, and the genesis of a new chain with this node as validator.
    Init(Init),
    /// Makes a home from a genesis.json: a network's, to join it, or one that `plasmad export` wrote.
    Import(Import),
    /// Runs the node until Ctrl-C or SIGTERM.
    Start(Start),
    /// Writes the whole state as a genesis.json from which a chain can go on. The node must not run.
    Export(Export),
    /// Reads every key: the app hash belongs to them, and every invariant holds. The node must not run.
    #[command(alias = "check")]
    Scrub(Home),
    /// Goes back to an earlier block, one by default. The node must not run.
    Rollback(Rollback),
    /// Prunes what plasma.toml does not keep, at once, and gives the room back. The node must not run.
    Prune(Home),
    /// Changes what the running node logs, until it ends; says what it logs if no filter is given.
    LogLevel(LogLevel),
    /// Shows this node's key of the beacon, which is made if there is none, and what makes it a validator's.
    BeaconKey(BeaconKey),
    /// Writes the homes of a network on this machine.
    TestnetFiles(TestnetFiles),
    /// Says which plasmad this is.
    Version,
}

#[derive(Args)]
struct Home {
    /// Folder of the node.
    #[arg(long, env = "PLASMA_HOME", default_value_os_t = default_home())]
    home: PathBuf,
}

#[derive(Args)]
struct Init {
    #[command(flatten)]
    home: Home,
    /// Name of the new chain.
    #[arg(long)]
    chain_id: String,
    /// Name of this node, for people.
    #[arg(long)]
    moniker: String,
    /// Account that operates the validator, bech32 xpl. Its key stays elsewhere.
    #[arg(long)]
    operator: String,
    /// Stake of the validator, uxpl, whole XPL.
    #[arg(long, default_value_t = STAKE_UXPL)]
    stake: u128,
    /// Money at genesis, ADDRESS=UXPL. May be given many times.
    #[arg(long = "genesis-account", value_name = "ADDRESS=UXPL")]
    accounts: Vec<GenesisAccount>,
    /// Change of the default app_state, for example market.dispute_window_s=5.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
}

#[derive(Args)]
struct Import {
    #[command(flatten)]
    home: Home,
    /// Name of this node, for people.
    #[arg(long)]
    moniker: String,
    /// The chain's genesis.json: of its network, or as `plasmad export` wrote it.
    #[arg(long)]
    genesis: PathBuf,
    /// ID@HOST:PORT of a node of the chain. May be given many times.
    #[arg(long = "peer", value_name = "ID@HOST:PORT")]
    peers: Vec<String>,
}

#[derive(Args)]
struct Start {
    #[command(flatten)]
    home: Home,
    /// Start cometbft too, stop it with this node, and end when it ends.
    #[arg(long)]
    with_cometbft: bool,
    /// The cometbft program, 0.38.
    #[arg(long, value_name = "PATH", requires = "with_cometbft")]
    cometbft: Option<PathBuf>,
    /// Overrides abci.listen.
    #[arg(long, value_name = "ADDRESS")]
    abci: Option<String>,
    /// Overrides grpc.listen.
    #[arg(long, value_name = "HOST:PORT")]
    grpc: Option<SocketAddr>,
    /// Overrides rest.listen.
    #[arg(long, value_name = "HOST:PORT")]
    rest: Option<SocketAddr>,
    /// Overrides metrics.listen.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,
    /// Overrides store.keep_recent.
    #[arg(long, value_name = "BLOCKS")]
    keep_recent: Option<u64>,
    /// Overrides log.level.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Logs JSON, whatever log.json says.
    #[arg(long)]
    log_json: bool,
}

#[derive(Args)]
struct Export {
    #[command(flatten)]
    home: Home,
    /// State after this block; 0 is the last one.
    #[arg(long, default_value_t = 0)]
    height: u64,
    /// First height of the chain that goes on; the next one if not given.
    #[arg(long)]
    initial_height: Option<u64>,
}

#[derive(Args)]
struct Rollback {
    #[command(flatten)]
    home: Home,
    /// The block to go back to; the one before the last if not given.
    #[arg(long)]
    height: Option<u64>,
}

#[derive(Args)]
struct LogLevel {
    #[command(flatten)]
    home: Home,
    /// A level, or directives such as info,plasma_app=debug.
    filter: Option<String>,
    /// Overrides metrics.listen of the home.
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<SocketAddr>,
}

#[derive(Args)]
struct BeaconKey {
    #[command(flatten)]
    home: Home,
    /// The validator's account, bech32 xpl: proves to the chain of this home that it has the key.
    #[arg(long, value_name = "ADDRESS")]
    operator: Option<String>,
}

#[derive(Args)]
struct TestnetFiles {
    /// Folder for the homes node0, node1, ...
    #[arg(long)]
    dir: PathBuf,
    /// Name of the chain.
    #[arg(long, default_value = "plasma-local")]
    chain_id: String,
    /// Operator's account of a validator, bech32 xpl; one node per operator.
    #[arg(long = "operator", value_name = "ADDRESS", required = true)]
    operators: Vec<String>,
    /// Stake of each validator, uxpl, whole XPL.
    #[arg(long, default_value_t = STAKE_UXPL)]
    stake: u128,
    /// Money at genesis, ADDRESS=UXPL. May be given many times.
    #[arg(long = "genesis-account", value_name = "ADDRESS=UXPL")]
    accounts: Vec<GenesisAccount>,
    /// First port; each node takes ten.
    #[arg(long, default_value_t = 26600)]
    port_base: u16,
    /// Pause after a block.
    #[arg(long, default_value = "500ms")]
    timeout_commit: String,
    /// Change of the default app_state, for example market.dispute_window_s=5.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
}

fn default_home() -> PathBuf {
    std::env::home_dir().unwrap_or_default().join(".plasma")
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Init(args) => init(args),
        Command::Import(args) => import(args),
        Command::Start(args) => start(args),
        Command::Export(args) => export(&args),
        Command::Scrub(args) => scrub(&args),
        Command::Rollback(args) => rollback(&args),
        Command::Prune(args) => prune(&args),
        Command::LogLevel(args) => log_level(&args),
        Command::BeaconKey(args) => beacon_key(&args),
        Command::TestnetFiles(args) => testnet_files(args),
        Command::Version => {
            println!("{VERSION}");
            Ok(())
        }
    };
    run::exit_code(done)
}

fn init(args: Init) -> anyhow::Result<()> {
    let Init { home: Home { home }, chain_id, moniker, operator, stake, accounts, overrides } =
        args;
    let home = std::path::absolute(home)?;
    let validator = |consensus_pubkey, beacon_pubkey| GenesisValidator {
        operator: operator.clone(),
        moniker: moniker.clone(),
        consensus_pubkey,
        beacon_pubkey,
        tokens_uxpl: stake,
    };
    let spec = |consensus_pubkey, beacon_pubkey| GenesisSpec {
        chain_id: chain_id.clone(),
        time: SystemTime::now(),
        accounts: accounts.clone(),
        validators: vec![validator(consensus_pubkey, beacon_pubkey)],
        overrides: overrides.clone(),
    };
    // A mistake shows before anything is written.
    genesis::file(&spec([1; 32], None))?;
    let keys = files::create_keys(&home)?;
    let genesis = genesis::file(&spec(keys.consensus_pubkey, Some(keys.beacon_pubkey)))?;
    let config = Config::default();
    // The only validator of a new chain could never start again if it looked back.
    let comet = CometSpec { double_sign_check_height: 0, ..CometSpec::default() };
    let spec = HomeSpec { moniker: moniker.clone(), config, comet };
    files::write_home(&home, &spec, &genesis)?;
    println!("{} is a home of chain {chain_id}; node id {}", home.display(), keys.node_id);
    println!("start it with: plasmad start --home {} --with-cometbft", home.display());
    Ok(())
}

fn import(args: Import) -> anyhow::Result<()> {
    let home = std::path::absolute(&args.home.home)?;
    let from = &args.genesis;
    let text =
        std::fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?;
    let chain_id = genesis::check_file(&text)
        .with_context(|| format!("no chain can start from {}", from.display()))?;
    let keys = files::create_keys(&home)?;
    let comet = CometSpec { persistent_peers: args.peers, ..CometSpec::default() };
    let spec = HomeSpec { moniker: args.moniker, config: Config::default(), comet };
    files::write_home(&home, &spec, &text)?;
    println!("{} is a home of chain {chain_id}; node id {}", home.display(), keys.node_id);
    println!("its consensus key is {}", hex::encode(keys.consensus_pubkey));
    println!("its beacon key is {}", hex::encode(keys.beacon_pubkey));
    println!("start it with: plasmad start --home {} --with-cometbft", home.display());
    Ok(())
}

/// Where mimalloc reads how long, in ms, it keeps memory that is free, and for how long it shall. Its
/// own 10 ms give back with each block what the next one asks for again: a sixth of a transfer's cost
/// under load.
const KEEP_MEMORY: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "1000");

/// Becomes the same program once more with [`KEEP_MEMORY`], which is read before `main`; unless the
/// environment says something of it already. Returns if the system does not let it.
fn keep_memory() {
    let (name, value) = KEEP_MEMORY;
    if std::env::var_os(name).is_some() {
        return;
    }
    let mut words = std::env::args_os();
    let (Ok(program), Some(called)) = (std::env::current_exe(), words.next()) else { return };
    let error = process::Command::new(program).arg0(called).args(words).env(name, value).exec();
    eprintln!("plasmad: memory is given back after 10 ms, not {value}: {error}");
}

fn start(args: Start) -> anyhow::Result<()> {
    keep_memory();
    let home = std::path::absolute(&args.home.home)?;
    ensure!(home.is_dir(), "{} is not there; make it with `plasmad init`", home.display());
    let mut config = Config::load(&home)?;
    if let Some(abci) = args.abci {
        config.abci.listen = abci;
    }
    if let Some(grpc) = args.grpc {
        config.grpc.listen = grpc;
    }
    if let Some(rest) = args.rest {
        config.rest.listen = rest;
    }
    if let Some(metrics) = args.metrics {
        config.metrics.listen = metrics;
    }
    if let Some(keep_recent) = args.keep_recent {
        ensure!(keep_recent > 0, "--keep-recent must be at least 1");
        config.store.keep_recent = keep_recent;
    }
    if let Some(level) = args.log_level {
        config.log.level = level;
    }
    config.log.json |= args.log_json;
    // Logs go to stderr; stdout is for what commands answer.
    let filter = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| config.log.level.clone());
    let logs = Logs::start(&filter, config.log.json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (with_cometbft, cometbft) = (args.with_cometbft, args.cometbft.as_deref());
    runtime.block_on(run::run(&home, &config, with_cometbft, cometbft, UPGRADES, logs))
}

fn beacon_key(args: &BeaconKey) -> anyhow::Result<()> {
    let home = &args.home.home;
    ensure!(home.is_dir(), "{} is not there; make it with `plasmad init`", home.display());
    let key = match files::beacon::load(home)? {
        Some(key) => key,
        None => files::beacon::create(home)?,
    };
    let public = hex::encode(key.public());
    let Some(operator) = &args.operator else {
        println!("{public}");
        return Ok(());
    };
    let operator = Address::parse(operator).map_err(|error| anyhow::anyhow!("{error}"))?;
    let path = cometbft_dir(home).join("config/genesis.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let chain_id = genesis::chain_id(&text).with_context(|| path.display().to_string())?;
    let proof = hex::encode(beacon::prove_possession(&key, &chain_id, operator));
    println!("the operator of the validator makes it its own on {chain_id} with:");
    println!("xpl stake beacon-key {public} {proof}");
    Ok(())
}

/// Speaks with the node that runs in this home.
fn log_level(args: &LogLevel) -> anyhow::Result<()> {
    let metrics = Config::load(&args.home.home)?.metrics;
    ensure!(
        metrics.enabled || args.metrics.is_some(),
        "metrics.enabled is false in plasma.toml: this node has no port for it"
    );
    let address = args.metrics.unwrap_or(metrics.listen);
    println!("{}", admin::log_filter(address, args.filter.as_deref())?);
    Ok(())
}

/// Opens the state of a home that no node runs in.
fn open(home: &std::path::Path) -> anyhow::Result<Node> {
    let db = db_dir(home);
    ensure!(db.is_dir(), "{} has no state yet", home.display());
    let keep = Config::load(home)?.keep();
    Ok(Node::open(&db, Keep { recent: u64::MAX, ..keep })?)
}

fn export(args: &Export) -> anyhow::Result<()> {
    let (state, head) = open(&args.home.home)?.export(args.height)?;
    let initial_height = args.initial_height.unwrap_or(head.height + 1);
    print!("{}", genesis::file_of(&head.chain_id, head.time_s, initial_height, &state)?);
    Ok(())
}

fn scrub(args: &Home) -> anyhow::Result<()> {
    let head = open(&args.home)?.check()?;
    println!("block {} of {}: app hash and invariants hold", head.height, head.chain_id);
    Ok(())
}

fn rollback(args: &Rollback) -> anyhow::Result<()> {
    let home = &args.home.home;
    let node = open(home)?;
    let last = node.head().context("no block has been committed yet")?.height;
    let height = args.height.unwrap_or(last.saturating_sub(1));
    ensure!(
        (1..last).contains(&height),
        "the last block is {last}; --height must be one before it"
    );
    let head = node.rollback(height)?;
    println!("plasmad is at block {} again, app hash {}", head.height, hex::encode(head.app_hash));
    let comet = plasma_app::config::cometbft_dir(home);
    println!("At its next start cometbft executes on it what came after, once more.");
    println!(
        "If that gave a wrong app hash before, install the plasmad that gives the right one, and"
    );
    println!("let cometbft forget the wrong one too:");
    match last - height {
        1 => println!("  cometbft rollback --home {}", comet.display()),
        // It goes back further only by removing blocks, which peers send again.
        blocks => {
            println!("  {blocks} times: cometbft rollback --hard --home {}", comet.display());
        }
    }
    Ok(())
}

fn prune(args: &Home) -> anyhow::Result<()> {
    let db = db_dir(&args.home);
    ensure!(db.is_dir(), "{} has no state yet", args.home.display());
    let keep = Config::load(&args.home)?.keep();
    let oldest = Node::open(&db, keep)?.prune_all()?;
    println!("the oldest block whose state can be read is {oldest}");
    Ok(())
}

fn testnet_files(args: TestnetFiles) -> anyhow::Result<()> {
    let nodes = files::testnet(&TestnetSpec {
        dir: args.dir,
        chain_id: args.chain_id,
        operators: args.operators,
        stake_uxpl: args.stake,
        accounts: args.accounts,
        port_base: args.port_base,
        timeout_commit: args.timeout_commit,
        overrides: args.overrides,
    })?;
    for node in nodes {
        println!(
            "{} id {} p2p {} rpc {} grpc {} rest {} metrics {}",
            node.home.display(),
            node.node_id,
            node.ports.p2p,
            node.ports.rpc,
            node.ports.grpc,
            node.ports.rest,
            node.ports.metrics
        );
    }
    Ok(())
}
