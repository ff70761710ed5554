//! `plasma-testnet`: Plasma networks on one machine.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use plasma_app::files::{GenesisAccount, NODE_PORTS};
use plasma_testnet::{
    comet::{self, Network, NetworkSpec},
    demo,
    process::Programs,
    rig::{PASSWORD, RIGS_THAT_JUDGE, Rig, SMALL_JURIES, Weights, Xpl},
};
use serde::Deserialize;
use serde_json::json;

/// A key of every network, with money at genesis.
const DEVELOPER: &str = "alice";
/// What it holds, uxpl.
const DEVELOPER_UXPL: u128 = 1_000 * 1_000_000;

/// Plasma networks on one machine, made of the real programs.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep a network up until Ctrl-C; one JSON line says where, when the first block is in
    Up(Up),
    /// Buy one inference on a new chain and tell the story
    Demo(demo::Options),
}

#[derive(Args)]
struct Up {
    /// How many validators
    #[arg(long, default_value_t = 1)]
    validators: usize,
    /// Folder of the homes; must be empty or absent
    #[arg(long)]
    home: PathBuf,
    /// The chain's name
    #[arg(long, default_value = "plasma-local-1")]
    chain_id: String,
    /// Who has money: a JSON file, [{"address": "xpl1...", "uxpl": "1000000"}, ...]
    #[arg(long, value_name = "FILE.json")]
    genesis_accounts: Option<PathBuf>,
    /// How many rigs; each serves the tiny test model, or the one in --weights. From five on they judge
    /// each other's claims, in juries of three
    #[arg(long, default_value_t = 0)]
    gpu_nodes: usize,
    /// Folder with a model for the rigs
    #[arg(long, value_name = "DIR")]
    weights: Option<PathBuf>,
    /// First port; a validator or a rig takes ten
    #[arg(long, default_value_t = comet::PORT_BASE)]
    port_base: u16,
    /// Pause after a block
    #[arg(long, default_value = "500ms")]
    timeout_commit: String,
    /// A genesis parameter, for example market.dispute_window_s=5; may be repeated
    #[arg(long, value_name = "MODULE.PARAM=VALUE")]
    set: Vec<String>,
}

/// An entry of the file of `--genesis-accounts`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holder {
    address: String,
    uxpl: String,
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Up(args) => up(args),
        Command::Demo(options) => demo::run(options, &stop_flag()?),
    }
}

/// Set by Ctrl-C or SIGTERM. Children are in groups of their own, so only we hear it.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in
        [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
    {
        // A second one ends us at once, with the default action.
        signal_hook::flag::register_conditional_default(signal, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn holders(file: &PathBuf) -> Result<Vec<GenesisAccount>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let holders: Vec<Holder> = serde_json::from_str(&text).with_context(|| {
        format!("{}: not [{{\"address\": .., \"uxpl\": ..}}, ..]", file.display())
    })?;
    holders
        .into_iter()
        .map(|Holder { address, uxpl }| {
            let amount_uxpl = uxpl.parse().with_context(|| {
                format!("{}: {uxpl:?} is no whole number of uxpl", file.display())
            })?;
            Ok(GenesisAccount { address, amount_uxpl })
        })
        .collect()
}

fn up(args: Up) -> Result<()> {
    let stop = stop_flag()?;
    let programs = Programs::find()?;
    comet::check_empty(&args.home)?;
    fs::create_dir_all(&args.home)?;
    let home = fs::canonicalize(&args.home)?;

    let keyring = Xpl::new(&programs, &home.join("xpl"));
    let mut accounts = args.genesis_accounts.as_ref().map_or(Ok(Vec::new()), holders)?;
    // Somebody to try things with.
    let address = keyring.add_key(DEVELOPER)?;
    accounts.push(GenesisAccount { address, amount_uxpl: DEVELOPER_UXPL });
    let mut rigs = Vec::new();
    for index in 0..args.gpu_nodes {
        let slot =
            u16::try_from(args.validators + index).ok().and_then(|n| n.checked_mul(NODE_PORTS));
        let port = slot
            .and_then(|offset| args.port_base.checked_add(offset))
            .context("--port-base is too high for so many nodes")?;
        let rig = Rig::prepare(&programs, &keyring, &home, index, port)?;
        accounts.extend(rig.accounts());
        rigs.push(rig);
    }
    let judge = rigs.len() >= RIGS_THAT_JUDGE;
    let spec = NetworkSpec {
        home: home.clone(),
        chain_id: args.chain_id,
        validators: args.validators,
        accounts,
        port_base: args.port_base,
        timeout_commit: args.timeout_commit,
        set: if judge {
            SMALL_JURIES.map(String::from).into_iter().chain(args.set).collect()
        } else {
            args.set
        },
    };
    let mut network = Network::up(&spec, &programs)?;
    let urls = network.validators[0].urls.clone();
    let xpl = keyring.at(&urls);
    let weights = args.weights.map_or(Weights::Tiny, |path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Weights::Folder { path, name: name.unwrap_or_default(), licence: "unknown".into() }
    });
    let mut running = Vec::new();
    for (index, rig) in rigs.iter().enumerate() {
        let model = rig.register(&xpl, &urls, &weights)?;
        match (judge, index) {
            (false, _) => {}
            (true, 0) => {
                eprintln!("measuring what is honest of the model");
                rig.set_profile(&xpl, &model)?;
            }
            (true, _) => rig.join_pool(&xpl, &model)?,
        }
        running.push(rig.start()?);
    }

    let nodes: Vec<_> = network.validators.iter().map(|validator| &validator.urls).collect();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", json!({ "chain_id": network.chain_id, "nodes": nodes }))?;
    stdout.flush()?;
    eprintln!(
        "up; Ctrl-C ends it. To use it as {DEVELOPER}, in another shell:\n  export XPL_HOME={} XPL_PASSWORD={PASSWORD} XPL_FROM={DEVELOPER} XPL_NODE={} XPL_GRPC=http://{}",
        xpl.home.display(),
        urls.rpc,
        urls.grpc,
    );
    while !stop.load(Ordering::Relaxed) {
        network.check()?;
        for rig in &mut running {
            rig.check()?;
        }
        thread::sleep(Duration::from_millis(200));
    }
    eprintln!("stopping");
    Ok(())
}
