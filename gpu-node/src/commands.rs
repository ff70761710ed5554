//! The commands of `gpu-node`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::client::{ClientError, EXIT_REFUSED, EXIT_USAGE};
use crate::config::{Config, ConfigError};
use crate::game::GameError;
use crate::keyfile::KeyfileError;

mod calibrate;
mod challenge;
mod jury;
mod keys;
mod model;
mod provider;
mod start;
mod status;

/// Shown at the end of `gpu-node --help`.
const AFTER_HELP: &str = "\
Exit codes:
    0  done
    1  it failed: refused by the chain, a challenge that was lost, a model that cannot be computed or audited
    2  the command cannot be carried out as given: a flag, a setting, a key, a claim that is not to be challenged
    3  no node answers
    4  waited in vain: the transaction was sent, and is in no block yet";

/// Runs AI models on this machine for the Plasma network, and is paid for it.
///
/// First steps: `init`, `model add`, edit gpu-node.toml, `register`, `start`.
#[derive(Debug, Parser)]
#[command(name = "gpu-node", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    /// Folder of configuration, keys, models and answers [default: ~/.gpu-node]
    #[arg(long, global = true, env = "GPU_NODE_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// RPC of a node of the chain, instead of the configured one
    #[arg(long, global = true, env = "GPU_NODE_NODE", value_name = "URL")]
    node: Option<String>,
    #[command(flatten)]
    password: Password,
    #[command(subcommand)]
    command: Command,
}

/// Where the password of this node's keys comes from.
#[derive(Debug, Clone, Args)]
struct Password {
    /// File whose first line is the password of this node's keys; else GPU_NODE_PASSWORD, else it is asked for
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the home: configuration, receipt key, reporter account. Overwrites nothing
    Init,
    /// The keys of this node
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Measures this machine
    Hardware {
        /// cpu, cuda:N, metal:N or auto [default: the configured device]
        #[arg(long)]
        device: Option<String>,
    },
    /// Models on this machine
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Registers this node's operator as a provider. Needs the operator's key, which is not kept
    Register(provider::Register),
    /// Tells the chain the configuration, hardware and prices anew
    Update(provider::Update),
    /// Takes work and reports it, until Ctrl-C
    Start,
    /// How the chain sees this node
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Measures how far apart honest kernels are on a model, and writes its verification profile
    Calibrate(calibrate::Calibrate),
    /// Challenges a claim that was made with the referee's kernel, and plays the game to its end
    Challenge(challenge::Challenge),
    /// Tells the chain how a model is recomputed, once. Needs the publisher's key, which is not kept
    SetReferee(challenge::SetReferee),
    /// Judging claims of other providers
    #[command(subcommand)]
    Jury(jury::JuryCommand),
    /// Answers that wait to be sent
    #[command(subcommand)]
    Outbox(OutboxCommand),
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Shows public keys and addresses; needs no password
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// Lists them; works while the node runs
    List,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// A command that cannot be carried out as it was given.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn usage(text: impl Into<String>) -> Usage {
    Usage(text.into())
}

/// The exit code of a command that an error ended.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let code = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(error) = cause.downcast_ref::<ClientError>() {
            return Some(error.exit_code());
        }
        match cause.downcast_ref::<GameError>() {
            Some(GameError::Chain(error)) => return Some(error.exit_code()),
            Some(GameError::Right | GameError::Unfit(_)) => return Some(EXIT_USAGE),
            Some(GameError::Engine(_)) | None => {}
        }
        let is_usage =
            cause.is::<Usage>() || cause.is::<ConfigError>() || cause.is::<KeyfileError>();
        is_usage.then_some(EXIT_USAGE)
    };
    error.chain().find_map(code).unwrap_or(EXIT_REFUSED)
}

/// A home and what it says.
struct Home {
    path: PathBuf,
    config: Config,
    password: Password,
}

impl Home {
    fn keys(&self) -> keys::Keys<'_> {
        keys::Keys { home: &self.path, password: &self.password }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// Whatever stops it, in words that say what to do.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let Cli { home, node, password, command } = cli;
    let path = match home {
        Some(path) => path,
        None => std::env::home_dir()
            .ok_or_else(|| usage("there is no home directory: set --home"))?
            .join(".gpu-node"),
    };
    if let Command::Init = command {
        return keys::init(&path, &password);
    }
    if let Command::Model(model::ModelCommand::Tiny { out, seed }) = command {
        return model::tiny(&out, seed);
    }
    let mut config = match Config::read(&path) {
        // Measuring needs no home, nor does a model that is a folder.
        Err(ConfigError::Missing(_))
            if matches!(command, Command::Hardware { .. } | Command::Calibrate(_)) =>
        {
            Config::default()
        }
        other => other?,
    };
    if let Some(node) = node {
        config.node = node;
    }
    let home = Home { path, config, password };
    match command {
        Command::Init => Ok(()),
        Command::Keys(KeysCommand::Show { json }) => keys::show(&home, json),
        Command::Hardware { device } => {
            model::hardware(device.as_deref().unwrap_or(&home.config.device))
        }
        Command::Model(command) => model::run(&home, command),
        Command::Register(args) => block_on(provider::register(&home, args)),
        Command::Update(args) => block_on(provider::update(&home, args)),
        Command::Start => {
            start::set_threads(&home.config)?;
            log(&home.config)?;
            let ended = block_on(start::start(home));
            if let Err(error) = &ended {
                tracing::error!(error = format!("{error:#}"), "stopped");
            }
            ended
        }
        Command::Status { json } => block_on(status::status(&home, json)),
        Command::Calibrate(args) => calibrate::run(&home, &args),
        Command::Challenge(args) => block_on(challenge::run(&home, args)),
        Command::SetReferee(args) => block_on(challenge::set_referee(&home, args)),
        Command::Jury(command) => block_on(jury::run(&home, command)),
        Command::Outbox(OutboxCommand::List) => status::outbox(&home),
    }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // An engine at work is not waited for.
    runtime.shutdown_background();
    result
}

/// Log to stderr. The RPC client logs whole requests below `info`, and they hold prompts: it is kept at `info`
/// whatever the filter says.
fn log(config: &Config) -> anyhow::Result<()> {
    ensure!(
        !config.log.contains("tendermint_rpc"),
        usage(format!(
            "log = {:?} would write prompts into the log: leave tendermint_rpc out",
            config.log
        ))
    );
    let mut filter: EnvFilter =
        config.log.parse().with_context(|| format!("log = {:?}", config.log))?;
    for target in ["tendermint_rpc", "hyper", "reqwest", "h2", "tungstenite", "async_tungstenite"] {
        filter = filter.add_directive(format!("{target}=info").parse()?);
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if config.log_json {
        log.json().init();
    } else {
        log.init();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::EXIT_UNREACHABLE;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn exit_codes_say_what_kind_it_is() {
        let unreachable = || ClientError::Unreachable { url: "x".into(), reason: "y".into() };
        for (error, code) in [
            (anyhow::anyhow!("lost"), EXIT_REFUSED),
            (usage("no such flag").into(), EXIT_USAGE),
            (anyhow::Error::from(usage("no id")).context("neither an id nor a folder"), EXIT_USAGE),
            (ConfigError::Missing("x".into()).into(), EXIT_USAGE),
            (GameError::Right.into(), EXIT_USAGE),
            (unreachable().into(), EXIT_UNREACHABLE),
            (
                anyhow::Error::from(unreachable()).context("the chain was not told"),
                EXIT_UNREACHABLE,
            ),
            (GameError::Chain(unreachable()).into(), EXIT_UNREACHABLE),
            (ClientError::NotFound("x".into()).into(), EXIT_REFUSED),
        ] {
            assert_eq!(exit_code(&error), code, "{error:#}");
        }
    }
}
