//! `xpl`: keys, XPL, jobs and models from the command line.

mod account;
mod amount;
mod audit;
mod authz;
mod config;
mod contacts;
mod dispute;
mod error;
mod feegrant;
mod game;
mod grant;
mod job;
mod keyring;
mod keys;
mod light;
mod model;
mod node;
mod output;
mod price;
mod proposal;
mod prove;
mod query;
mod reward;
mod stake;
mod submit;
mod tx;
#[cfg(feature = "verify")]
mod verify;
mod view;
mod watch;

use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use gpu_node::client::Client;
use gpu_node::wallet::Wallet;
use plasma_modules::Address;

use config::{Config, Format, NODE_DEFAULT};
use contacts::Contacts;
use error::{EXIT_USAGE, Failure, Result};
use keyring::{Keyring, PasswordSource};
use output::Out;

/// Shown at the end of `xpl --help`.
const AFTER_HELP: &str = "\
Examples:
  xpl keys add alice                       make a key
  xpl bank send bob 1.5xpl                 pay a contact, a key or an address
  xpl job submit --wait \"Why is the sky blue?\"
  cat letter.txt | xpl job submit --wait -
  xpl verify 7                             repeat a job on this machine
  xpl dispute 7 --wait                     have a jury repeat it, if it was false

Exit codes:
    0  done
    1  refused by the chain; the job failed; not verified; a dispute or an appeal was lost
    2  the command cannot be carried out as given (xpl verify: could not be checked)
    3  no node answers
    4  waited in vain
    5  a proof failed: the node's answer does not belong to the chain that is trusted
  130  interrupted

Every command takes --output json: one JSON document on standard output, an error as
{\"error\":{\"code\",\"codespace\",\"message\",\"hint\"}} on standard error.";

/// Plasma from the command line: keys, XPL, jobs and models.
#[derive(Debug, Parser)]
#[command(name = "xpl", version, after_help = AFTER_HELP, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
struct Global {
    /// RPC address of the node [default: http://127.0.0.1:26657]
    #[arg(long, global = true, env = "XPL_NODE", value_name = "URL")]
    node: Option<String>,
    /// gRPC address of the node; jobs are watched through it
    #[arg(long, global = true, env = "XPL_GRPC", value_name = "URL")]
    grpc: Option<String>,
    /// The only chain to speak with; the node's if left out
    #[arg(long, global = true, env = "XPL_CHAIN_ID", value_name = "ID")]
    chain_id: Option<String>,
    /// Folder of keys, contacts and settings [default: ~/.xpl]
    #[arg(long, global = true, env = "XPL_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// How results are written [default: text]
    #[arg(long, global = true, env = "XPL_OUTPUT", value_name = "FORMAT")]
    output: Option<Format>,
    /// Ask nothing: yes to every question
    #[arg(long, short, global = true)]
    yes: bool,
    /// Key that signs
    #[arg(long, global = true, env = "XPL_FROM", value_name = "NAME")]
    from: Option<String>,
    /// File whose first line is the key's password; or set XPL_PASSWORD
    #[arg(long, global = true, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// No colour; so does the environment variable NO_COLOR
    #[arg(long, global = true)]
    no_color: bool,
    /// Results alone: no notes, no spinners
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make, list, export and delete keys
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Send XPL and see balances
    #[command(subcommand)]
    Bank(tx::BankCommand),
    /// What an account is, and what of its money is locked
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Let others pay fees from your balance
    #[command(subcommand)]
    Feegrant(feegrant::FeegrantCommand),
    /// Let others send messages in your name
    #[command(subcommand)]
    Authz(authz::AuthzCommand),
    /// Stake XPL, see what it earns, run a validator
    #[command(subcommand)]
    Stake(stake::StakeCommand),
    /// Propose, back and vote on what the chain does
    #[command(subcommand)]
    Gov(proposal::GovCommand),
    /// Grants to builders: milestones, approvals
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// What models cost, as the chain knows it
    #[command(subcommand)]
    Price(price::PriceCommand),
    /// What providers are rewarded with, and what a bond yields
    #[command(subcommand)]
    Reward(reward::RewardCommand),
    /// Names for addresses
    #[command(subcommand)]
    Contacts(contacts::ContactsCommand),
    /// Buy an inference, follow it, read its answer
    #[command(subcommand)]
    Job(job::JobCommand),
    /// Publish and look at models, and who serves them at what price
    #[command(subcommand)]
    Model(model::ModelCommand),
    /// Look at those who rent out compute
    #[command(subcommand)]
    Provider(query::ProviderCommand),
    /// Repeat a job on this machine from its receipt, and say whether the answer was honest
    #[cfg(feature = "verify")]
    Verify(verify::VerifyArgs),
    /// Have the claim of a job judged by a jury, with a bond: it comes back unless the claim is found clean
    Dispute(dispute::DisputeArgs),
    /// As a provider: have a claim that was found false judged by a larger jury, with a bond
    Appeal(dispute::AppealArgs),
    /// Claims that are audited, who judges them, and by what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Disputes without a jury: claims that are challenged by `gpu-node challenge`
    #[command(subcommand)]
    Game(game::GameCommand),
    /// What became of a transaction
    Tx {
        /// Its hash, 64 hexadecimal digits
        hash: String,
        /// Wait until it is in a block
        #[arg(long)]
        wait: bool,
    },
    /// A block; the newest if no height is given
    Block {
        /// Its height
        height: Option<u64>,
    },
    /// How the node and the market are
    Status,
    /// The block of a chain from which answers are proven (--prove)
    #[command(subcommand)]
    Light(light::LightCommand),
    /// Settings that last
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Completions for a shell, to be sourced
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// What a command works with.
#[derive(Debug)]
pub struct App {
    /// Folder of keys, contacts and settings.
    pub home: PathBuf,
    /// Settings as they hold for this command.
    pub settings: Config,
    /// Where results go.
    pub out: Out,
    /// Where passwords come from.
    pub password: PasswordSource,
    yes: bool,
}

impl App {
    /// The keys.
    pub fn keyring(&self) -> Keyring {
        Keyring::new(&self.home)
    }

    /// Connects to the node; refuses another chain than the configured one.
    ///
    /// # Errors
    /// If nobody answers, or the chain is another.
    pub async fn client(&self) -> Result<Client> {
        let url = self.settings.node.as_deref().unwrap_or(NODE_DEFAULT);
        let _spinner = self.out.spinner(format!("connecting to {url}"));
        let client = Client::connect(url).await?;
        match &self.settings.chain_id {
            Some(expected) if expected != client.chain_id() => Err(Failure::usage(format!(
                "the node at {url} serves the chain {}, not {expected}",
                client.chain_id()
            ))
            .hint("choose the right --node or --chain-id")),
            _ => Ok(client),
        }
    }

    /// The name of the key that signs: `--from`, the setting, or the only key.
    ///
    /// # Errors
    /// If it is not clear which.
    pub fn key_name(&self) -> Result<String> {
        if let Some(name) = &self.settings.from {
            return Ok(name.clone());
        }
        let keys = self.keyring().list()?;
        match keys.as_slice() {
            [only] => Ok(only.name.clone()),
            [] => Err(Failure::usage("there is no key yet").hint("make one:  xpl keys add NAME")),
            _ => {
                let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
                Err(Failure::usage(format!("which key? There are {}", names.join(", ")))
                    .hint("say --from NAME, or for good:  xpl config set from NAME"))
            }
        }
    }

    /// Opens the key that signs.
    ///
    /// # Errors
    /// If it is not clear which, or the password is another.
    pub fn wallet(&self) -> Result<Wallet> {
        let (ring, name) = (self.keyring(), self.key_name()?);
        ring.info(&name)?;
        self.password
            .unlock(&format!("Password of {name}: "), |password| ring.open(&name, password))
    }

    /// The account that an address, a contact's name or a key's name stands for.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn address(&self, text: &str) -> Result<Address> {
        let read = |text: &str| {
            Address::parse(text).map_err(|error| {
                Failure::usage(error.to_string())
                    .hint("every address begins with xpl1; was it copied as a whole?")
            })
        };
        if text.starts_with("xpl1") {
            return read(text);
        }
        if let Some(address) = Contacts::load(&self.home)?.contacts.get(text) {
            return read(address);
        }
        match self.keyring().list()?.iter().find(|key| key.name == text) {
            Some(key) => read(&key.address),
            None => Err(Failure::usage(format!("{text:?} is no address, contact or key"))
                .hint("see  xpl contacts list  and  xpl keys list")),
        }
    }

    /// As [`Self::address`], as text; empty, as queries have it, if none is given.
    ///
    /// # Errors
    /// As [`Self::address`].
    pub fn address_or_none(&self, text: Option<&str>) -> Result<String> {
        text.map_or_else(|| Ok(String::new()), |text| Ok(self.address(text)?.text()))
    }

    /// The account of the key that signs; needs no password.
    ///
    /// # Errors
    /// If it is not clear which.
    pub fn own_address(&self) -> Result<Address> {
        let info = self.keyring().info(&self.key_name()?)?;
        self.address(&info.address)
    }

    /// Asks; anything but yes ends the command.
    ///
    /// # Errors
    /// If the answer is no, or there is nobody to ask.
    pub fn confirm(&self, question: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(format!("this needs a yes ({question})"))
                .hint("add --yes if you mean it"));
        }
        let mut stderr = io::stderr().lock();
        let mut answer = String::new();
        let asked = write!(stderr, "{question} [y/N] ")
            .and_then(|()| stderr.flush())
            .and_then(|()| io::stdin().read_line(&mut answer));
        asked.map_err(|error| Failure::usage(error.to_string()))?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::usage("nothing was done")),
        }
    }
}

impl Global {
    fn app(self) -> Result<App, (Out, Failure)> {
        let Self { node, grpc, chain_id, home, output, yes, from, password_file, no_color, quiet } =
            self;
        let early = Out::new(output == Some(Format::Json), no_color, quiet);
        let home =
            home.map_or_else(config::default_home, Ok).map_err(|failure| (early, failure))?;
        let given = Config { node, grpc, chain_id, from, output, models: None };
        let kept = Config::load(&home).map_err(|failure| (early, failure))?;
        let settings = given.or(kept);
        let out = Out::new(settings.output == Some(Format::Json), no_color, quiet);
        Ok(App { home, settings, out, password: PasswordSource { file: password_file }, yes })
    }
}

async fn run(app: &App, command: Command) -> Result<()> {
    match command {
        Command::Keys(command) => keys::run(app, command),
        Command::Bank(command) => tx::run(app, command).await,
        Command::Account(command) => account::run(app, command).await,
        Command::Feegrant(command) => feegrant::run(app, command).await,
        Command::Authz(command) => authz::run(app, command).await,
        Command::Stake(command) => stake::run(app, command).await,
        Command::Gov(command) => proposal::run(app, command).await,
        Command::Grant(command) => grant::run(app, command).await,
        Command::Price(command) => price::run(app, command).await,
        Command::Reward(command) => reward::run(app, command).await,
        Command::Contacts(command) => contacts::run(app, command),
        Command::Job(command) => job::run(app, command).await,
        Command::Model(command) => model::run(app, command).await,
        Command::Provider(command) => query::provider(app, command).await,
        #[cfg(feature = "verify")]
        Command::Verify(args) => verify::run(app, args).await,
        Command::Dispute(args) => dispute::dispute(app, args).await,
        Command::Appeal(args) => dispute::appeal(app, args).await,
        Command::Audit(command) => audit::run(app, command).await,
        Command::Game(command) => game::run(app, command).await,
        Command::Tx { hash, wait } => tx::show(app, &hash, wait).await,
        Command::Block { height } => node::block(app, height).await,
        Command::Status => node::status(app).await,
        Command::Light(command) => light::run(app, command).await,
        Command::Config(command) => config::run(app, command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "xpl", &mut script);
            let _ = io::stdout().write_all(&script);
            Ok(())
        }
    }
}

/// Whether the arguments ask for JSON, where they cannot be read as a whole.
fn asks_for_json() -> bool {
    let args: Vec<_> = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let pair = args.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json");
    pair || args.iter().any(|arg| arg == "--output=json")
        || std::env::var("XPL_OUTPUT").is_ok_and(|value| value == "json")
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && asks_for_json() => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            let failure =
                Failure::usage(first.trim_start_matches("error: ")).hint("see  xpl --help");
            Out::new(true, true, true).failure(&failure);
            return ExitCode::from(EXIT_USAGE);
        }
        Err(error) => {
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let app = match cli.global.app() {
        Ok(app) => app,
        Err((out, failure)) => {
            out.failure(&failure);
            return ExitCode::from(failure.exit);
        }
    };
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                app.out.failure(&Failure::usage(error.to_string()));
                return ExitCode::from(EXIT_USAGE);
            }
        };
    let code = match runtime.block_on(run(&app, cli.command)) {
        Ok(()) => 0,
        Err(failure) => {
            app.out.failure(&failure);
            failure.exit
        }
    };
    // What may still run (a model at work, a socket) is not waited for.
    runtime.shutdown_background();
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_command() {
        for args in
            [["xpl", "--node", "http://a", "status"], ["xpl", "status", "--node", "http://a"]]
        {
            assert_eq!(Cli::try_parse_from(args).unwrap().global.node.as_deref(), Some("http://a"));
        }
    }
}
