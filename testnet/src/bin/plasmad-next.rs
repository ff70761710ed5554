//! The plasmad of a release to come, for tests: it has the rules of this one, and knows one upgrade
//! more, `second`, which makes room for one more validator. It only starts: `plasmad-next start --home HOME`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use plasma_app::{config::Config, logs::Logs, run};
use plasma_modules::{Write, governance::upgrade::Upgrade, staking};

/// What this release knows.
const UPGRADES: &[Upgrade] = &[Upgrade { name: "second", version: 2, migrate }];

fn migrate(store: &mut dyn Write) {
    let mut params = staking::params(store);
    params.max_validators = params.max_validators.saturating_add(1);
    staking::set_params(store, &params);
}

#[derive(Parser)]
#[command(name = "plasmad-next")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the node until Ctrl-C or SIGTERM.
    Start {
        /// Folder of the node.
        #[arg(long)]
        home: PathBuf,
    },
}

fn main() -> ExitCode {
    let Command::Start { home } = Cli::parse().command;
    run::exit_code(start(&home))
}

fn start(home: &std::path::Path) -> anyhow::Result<()> {
    let home = std::path::absolute(home)?;
    let config = Config::load(&home)?;
    let logs = Logs::start(&config.log.level, config.log.json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run::run(&home, &config, false, None, UPGRADES, logs))
}
