//! Validators: each a real `cometbft` and a real `plasmad`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use plasma_app::{
    config::Config,
    files::{
        GenesisAccount, HomeSpec, NodeFiles, Ports, TestnetSpec, comet::CometSpec, create_keys,
        testnet, write_home,
    },
    run::cometbft_env,
};
use plasma_modules::Address;
use serde::Serialize;
use serde_json::Value;

use crate::process::{Process, Programs, run};

/// Stake of each validator, uxpl.
pub const STAKE_UXPL: u128 = 1_000_000 * 1_000_000;

/// First port, unless one is named.
pub const PORT_BASE: u16 = 26_600;

/// How long a network may take to its first block.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long anything else may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How often a wait looks again.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// A network to bring up.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Folder of the homes, made if it is not there.
    pub home: PathBuf,
    /// The chain's name.
    pub chain_id: String,
    /// How many validators.
    pub validators: usize,
    /// Who has money.
    pub accounts: Vec<GenesisAccount>,
    /// First port; each validator takes ten.
    pub port_base: u16,
    /// Pause after a block, for example `500ms`.
    pub timeout_commit: String,
    /// Changes of the default genesis: `market.dispute_window_s=5`.
    pub set: Vec<String>,
}

/// Where a validator answers.
#[derive(Clone, Debug, Serialize)]
pub struct Urls {
    /// CometBFT's RPC.
    pub rpc: String,
    /// REST.
    pub rest: String,
    /// gRPC, `HOST:PORT`.
    pub grpc: String,
    /// The front door of transactions, where the home's settings open it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frontdoor: Option<String>,
}

/// A validator: its two processes.
pub struct Validator {
    /// Its home.
    pub home: PathBuf,
    /// Where it answers.
    pub urls: Urls,
    /// Where its metrics are, `HOST:PORT`.
    pub metrics: String,
    /// Environment of cometbft at its next start.
    pub cometbft_env: Vec<(String, String)>,
    programs: Programs,
    index: usize,
    // CometBFT goes first: it ends with an error when its application is gone.
    cometbft: Option<Process>,
    plasmad: Option<Process>,
}

impl Validator {
    fn new(node: &NodeFiles, index: usize, programs: &Programs) -> Result<Self> {
        let at = |port: u16| format!("127.0.0.1:{port}");
        let open = Config::load(&node.home)?.frontdoor.enabled;
        let urls = Urls {
            rpc: format!("http://{}", at(node.ports.rpc)),
            rest: format!("http://{}", at(node.ports.rest)),
            grpc: at(node.ports.grpc),
            frontdoor: open.then(|| format!("http://{}", at(node.ports.frontdoor))),
        };
        Ok(Self {
            home: node.home.clone(),
            urls,
            metrics: at(node.ports.metrics),
            cometbft_env: Vec::new(),
            programs: programs.clone(),
            index,
            cometbft: None,
            plasmad: None,
        })
    }

    fn start(&mut self) -> Result<()> {
        let logs = self.home.join("logs");
        let mut plasmad = Command::new(&self.programs.plasmad);
        plasmad.arg("start").arg("--home").arg(&self.home);
        let name = format!("plasmad {}", self.index);
        self.plasmad = Some(Process::spawn(&name, plasmad, &logs.join("plasmad.log"))?);
        let mut cometbft = Command::new(&self.programs.cometbft);
        cometbft.arg("start").arg("--home").arg(self.home.join("cometbft"));
        // As `plasmad start --with-cometbft` does.
        cometbft.envs(cometbft_env(&Config::load(&self.home)?));
        cometbft.envs(self.cometbft_env.iter().map(|(name, value)| (name, value)));
        let name = format!("cometbft {}", self.index);
        self.cometbft = Some(Process::spawn(&name, cometbft, &logs.join("cometbft.log"))?);
        Ok(())
    }

    /// Process id of cometbft, if it runs.
    pub fn cometbft_id(&self) -> Option<u32> {
        self.cometbft.as_ref().map(Process::id)
    }

    /// Process id of plasmad, if it runs.
    pub fn plasmad_id(&self) -> Option<u32> {
        self.plasmad.as_ref().map(Process::id)
    }

    /// Whether cometbft has ended by itself.
    ///
    /// # Errors
    /// The operating system cannot tell.
    pub fn cometbft_ended(&mut self) -> Result<bool> {
        Ok(match &mut self.cometbft {
            None => true,
            Some(process) => process.ended()?.is_some(),
        })
    }

    /// How plasmad ended, if it did so by itself.
    ///
    /// # Errors
    /// The operating system cannot tell.
    pub fn plasmad_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(match &mut self.plasmad {
            None => None,
            Some(process) => process.ended()?,
        })
    }

    /// What plasmad has logged so far.
    ///
    /// # Errors
    /// There is no log.
    pub fn plasmad_log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.home.join("logs/plasmad.log"))?)
    }

    /// Installs another plasmad, for its next start.
    pub fn install(&mut self, plasmad: &Path) {
        self.programs.plasmad = plasmad.into();
    }

    /// Asks CometBFT's RPC, for example `validators?per_page=100`: the `result` of its answer.
    ///
    /// # Errors
    /// It does not answer, or with an error.
    pub fn rpc(&self, path: &str) -> Result<Value> {
        let mut answer: Value =
            reqwest::blocking::get(format!("{}/{path}", self.urls.rpc))?.json()?;
        match answer["result"].take() {
            Value::Null => bail!("{path}: {answer}"),
            result => Ok(result),
        }
    }

    /// Asks plasmad's REST port.
    ///
    /// # Errors
    /// It does not answer, or with an error.
    pub fn rest(&self, path: &str) -> Result<Value> {
        let answer = reqwest::blocking::get(format!("{}{path}", self.urls.rest))?;
        let status = answer.status();
        let body: Value = answer.json()?;
        if !status.is_success() {
            bail!("{path}: {status} {body}");
        }
        Ok(body)
    }

    /// Ends both processes without warning, as a power cut would.
    pub fn kill(&mut self) {
        for process in [self.plasmad.take(), self.cometbft.take()].iter_mut().flatten() {
            process.kill();
        }
    }

    /// Starts both processes anew.
    ///
    /// # Errors
    /// A program cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.start()
    }

    /// Stops cometbft alone.
    pub fn stop_cometbft(&mut self) {
        self.cometbft = None;
    }

    /// Stops both processes in order.
    pub fn stop(&mut self) {
        self.cometbft = None;
        self.plasmad = None;
    }

    fn check(&mut self) -> Result<()> {
        for process in [&mut self.plasmad, &mut self.cometbft].into_iter().flatten() {
            process.check()?;
        }
        Ok(())
    }

    /// The last height that CometBFT has, 0 before the first block.
    ///
    /// # Errors
    /// It does not answer.
    pub fn height(&self) -> Result<u64> {
        height(&self.urls.rpc)
    }
}

/// The last height that the CometBFT at `rpc` has.
pub(crate) fn height(rpc: &str) -> Result<u64> {
    let status: serde_json::Value = reqwest::blocking::get(format!("{rpc}/status"))?.json()?;
    let height = status["result"]["sync_info"]["latest_block_height"].as_str();
    Ok(height.context("status without a height")?.parse()?)
}

/// A running network.
pub struct Network {
    /// The chain's name.
    pub chain_id: String,
    /// Its validators, and behind them the nodes that joined.
    pub validators: Vec<Validator>,
    home: PathBuf,
    port_base: u16,
    timeout_commit: String,
    /// `ID@HOST:PORT` of each node.
    peers: Vec<String>,
}

impl Network {
    /// Stops every process, and checks that the first validator's state on disk is whole: its tree and its sums.
    ///
    /// # Errors
    /// It is not; the message holds what plasmad said.
    pub fn check_disk(self, programs: &Programs) -> Result<()> {
        let home = self.validators[0].home.clone();
        drop(self);
        run(Command::new(&programs.plasmad).arg("check").arg("--home").arg(home))?;
        Ok(())
    }

    /// Makes homes that are not there, starts every process, and waits for the first new block.
    ///
    /// # Errors
    /// A home cannot be made, a program is missing, a process ends, or no block comes in time.
    pub fn up(spec: &NetworkSpec, programs: &Programs) -> Result<Self> {
        Self::up_with(spec, programs, |_| Ok(()))
    }

    /// As [`Network::up`]; `change` may edit each home before anything starts.
    ///
    /// # Errors
    /// As there, and those of `change`.
    pub fn up_with(
        spec: &NetworkSpec,
        programs: &Programs,
        change: impl Fn(&NodeFiles) -> Result<()>,
    ) -> Result<Self> {
        let operators: Vec<_> =
            (0..spec.validators).map(|index| operator_of(index).text()).collect();
        Self::up_for(spec, &operators, programs, change)
    }

    /// As [`Network::up_with`]; the validators are those of `operators`, bech32 `xpl`, who can sign
    /// for them.
    ///
    /// # Errors
    /// As there, and where there is not one operator for each validator.
    pub fn up_for(
        spec: &NetworkSpec,
        operators: &[String],
        programs: &Programs,
        change: impl Fn(&NodeFiles) -> Result<()>,
    ) -> Result<Self> {
        let nodes = homes(spec, operators)?;
        nodes.iter().try_for_each(change)?;
        let mut validators = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            let mut validator = Validator::new(node, index, programs)?;
            validator.start()?;
            validators.push(validator);
        }
        let peer = |node: &NodeFiles| format!("{}@127.0.0.1:{}", node.node_id, node.ports.p2p);
        let mut network = Self {
            chain_id: spec.chain_id.clone(),
            validators,
            home: spec.home.clone(),
            port_base: spec.port_base,
            timeout_commit: spec.timeout_commit.clone(),
            peers: nodes.iter().map(peer).collect(),
        };
        network.wait_for_block(0)?;
        Ok(network)
    }

    /// Starts one more node, with a consensus key of its own; blocks come from the others, from the
    /// first on. It is no validator until somebody stakes with its key. Gives its place among
    /// [`Network::validators`]; `change` may edit its home first.
    ///
    /// # Errors
    /// Its home cannot be made, or a program cannot be started.
    pub fn join(
        &mut self,
        programs: &Programs,
        change: impl Fn(&NodeFiles) -> Result<()>,
    ) -> Result<usize> {
        let index = self.validators.len();
        let home = self.home.join(format!("node{index}"));
        let ports = Ports::of(self.port_base, index).context("no port is left")?;
        let keys = create_keys(&home)?;
        let local = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut config = Config::default();
        config.grpc.listen = local(ports.grpc);
        config.rest.listen = local(ports.rest);
        config.metrics.listen = local(ports.metrics);
        config.frontdoor.listen = local(ports.frontdoor);
        let comet = CometSpec {
            rpc: local(ports.rpc).to_string(),
            p2p: local(ports.p2p).to_string(),
            persistent_peers: self.peers.clone(),
            timeout_commit: self.timeout_commit.clone(),
            double_sign_check_height: 0,
            local: true,
            ..CometSpec::default()
        };
        let first = self.validators.first().context("a network has a node")?;
        let genesis = fs::read_to_string(first.home.join("cometbft/config/genesis.json"))?;
        let spec = HomeSpec { moniker: format!("node{index}"), config, comet };
        write_home(&home, &spec, &genesis)?;
        let node = NodeFiles {
            home,
            ports,
            node_id: keys.node_id,
            consensus_pubkey: keys.consensus_pubkey,
        };
        change(&node)?;
        let mut validator = Validator::new(&node, index, programs)?;
        validator.start()?;
        self.validators.push(validator);
        self.peers.push(format!("{}@{}", node.node_id, local(node.ports.p2p)));
        Ok(index)
    }

    /// Waits until every validator is past `height`.
    ///
    /// # Errors
    /// A process has ended, or [`START_TIMEOUT`] has passed.
    pub fn wait_for_block(&mut self, height: u64) -> Result<()> {
        let until = Instant::now() + START_TIMEOUT;
        loop {
            self.check()?;
            if self.validators.iter().all(|validator| validator.height().is_ok_and(|h| h > height))
            {
                return Ok(());
            }
            if Instant::now() > until {
                bail!(
                    "no block after {height} in {} s; the logs are in each home's logs folder",
                    START_TIMEOUT.as_secs()
                );
            }
            thread::sleep(POLL);
        }
    }

    /// Fails if a process has ended by itself.
    ///
    /// # Errors
    /// As said; the message holds the end of its log.
    pub fn check(&mut self) -> Result<()> {
        self.validators.iter_mut().try_for_each(Validator::check)
    }
}

/// The account of a validator's operator, to which tips go. Nobody needs to sign for it yet.
pub fn operator_of(index: usize) -> Address {
    Address::of_module(&format!("validator operator {index}"))
}

/// The homes of a network: those of an earlier run, or new ones.
pub(crate) fn homes(spec: &NetworkSpec, operators: &[String]) -> Result<Vec<NodeFiles>> {
    if operators.len() != spec.validators {
        bail!("{} validators have {} operators", spec.validators, operators.len());
    }
    let spec_ = TestnetSpec {
        dir: spec.home.clone(),
        chain_id: spec.chain_id.clone(),
        operators: operators.to_vec(),
        stake_uxpl: STAKE_UXPL,
        accounts: spec.accounts.clone(),
        port_base: spec.port_base,
        timeout_commit: spec.timeout_commit.clone(),
        overrides: spec.set.clone(),
    };
    testnet(&spec_).with_context(|| format!("cannot make a network in {}", spec.home.display()))
}

/// Looks again and again until there is something; what is waited for must come by itself.
///
/// # Errors
/// It has not come within [`PATIENCE`].
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("waited in vain for {what}");
        }
        thread::sleep(POLL);
    }
}

/// A folder that is not there yet or holds nothing; a network is not built over another.
///
/// # Errors
/// It holds something.
pub fn check_empty(home: &Path) -> Result<()> {
    let empty = std::fs::read_dir(home).map_or(true, |mut entries| entries.next().is_none());
    if empty {
        return Ok(());
    }
    bail!(
        "{} holds an earlier network: remove it (`make clean-data`), or name another --home",
        home.display()
    )
}
