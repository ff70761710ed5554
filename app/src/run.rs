//! A running node: its sockets, and CometBFT beside it.

use std::{
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use plasma_modules::governance::upgrade::Upgrade;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{
    abci::{App, EXIT_UPGRADE, Listener, Timed},
    admin::{self, Admin},
    config::{Cometbft, Config, cometbft_dir, db_dir},
    doors::{CometRpc, Doors, Gate, grpc, rest, rpc_url},
    files,
    frontdoor::{self, Frontdoor},
    logs::Logs,
    node::{Node, NodeError},
};

/// How long CometBFT may take to stop.
const COMET_STOP: Duration = Duration::from_secs(20);
/// How long open connections may take to finish.
const DRAIN: Duration = Duration::from_secs(5);
/// CometBFT that this application speaks to.
const COMET_VERSIONS: &str = "0.38.";

/// A node and its open doors. Dropping it without [`Running::stop`] closes them at once.
pub struct Running {
    node: Arc<Node>,
    abci: Listener,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Running {
    /// Opens the database of `home` and then every door that `config` asks for, as a release that
    /// knows `upgrades`.
    pub async fn start(
        home: &Path,
        config: &Config,
        upgrades: &'static [Upgrade],
        logs: Option<Logs>,
    ) -> anyhow::Result<Self> {
        let db = db_dir(home);
        let parent = db.parent().unwrap_or(home);
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        let (keep, upkeep) = (config.keep(), config.upkeep());
        let opening = move || Node::open_with(&db, keep, upkeep);
        let node = tokio::task::spawn_blocking(opening).await??;
        let beacon_key = files::beacon::load(home)?;
        let node = Arc::new(node.knowing(upgrades).with_beacon_key(beacon_key));
        let mut doors = Doors::new(Arc::clone(&node))?;
        let mut frontdoor = None;
        match rpc_url(&config.cometbft.rpc, &cometbft_dir(home)) {
            Ok(url) => {
                doors = doors.with_comet(CometRpc::new(&url)?);
                if config.frontdoor.enabled {
                    let cors = config.frontdoor.cors;
                    let door = Arc::new(Frontdoor::new(Arc::clone(&node), &url, cors)?);
                    doors = doors.with_frontdoor(Arc::clone(&door));
                    frontdoor = Some(door);
                }
            }
            Err(error) if config.frontdoor.enabled => {
                return Err(error.context("the front door hands on to CometBFT"));
            }
            // Blocks are made without it; only some questions stay without an answer.
            Err(error) => tracing::warn!("CometBFT's RPC is not known: {error:#}"),
        }
        let doors = Arc::new(doors);
        // Every address is taken before anything is served, so a clash shows at once.
        let grpc_port = bind(config.grpc.enabled, config.grpc.listen).await?;
        let rest_port = bind(config.rest.enabled, config.rest.listen).await?;
        let metrics_port = bind(config.metrics.enabled, config.metrics.listen).await?;
        let frontdoor_port = bind(config.frontdoor.enabled, config.frontdoor.listen).await?;
        let app = Timed::new(App::new(Arc::clone(&doors)), Arc::clone(node.metrics()));
        let abci = Listener::start(&config.abci_address(home), app)?;

        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        if let Some(port) = grpc_port {
            tracing::info!(address = %port.local_addr()?, "gRPC");
            let gate = Gate::new(config.limits);
            tasks.spawn(grpc::serve(Arc::clone(&doors), port, gate, until(stopped.clone())));
        }
        if let Some(port) = rest_port {
            tracing::info!(address = %port.local_addr()?, "REST");
            let (cors, gate) = (config.rest.cors, Gate::new(config.limits));
            tasks.spawn(rest::serve(Arc::clone(&doors), port, cors, gate, until(stopped.clone())));
        }
        if let Some((door, port)) = frontdoor.zip(frontdoor_port) {
            tracing::info!(address = %port.local_addr()?, "front door");
            let gate = Gate::new(config.limits);
            tasks.spawn(frontdoor::serve(door, port, gate, until(stopped.clone())));
        }
        if let Some(port) = metrics_port {
            tracing::info!(address = %port.local_addr()?, "metrics");
            let admin = Admin {
                doors,
                abci: abci.connections(),
                ready_block_age_s: config.metrics.ready_block_age_s,
                logs,
            };
            tasks.spawn(admin::serve(admin, port, until(stopped)));
        }
        let height = node.head().map_or(0, |head| head.height);
        tracing::info!(height, abci = abci.address(), "plasmad is up");
        Ok(Self { node, abci, stopping, tasks })
    }

    /// The node.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Resolves when a door fails; not before.
    pub async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => return error.into(),
                Some(Ok(Ok(()))) => {}
                None => return std::future::pending().await,
            }
        }
    }

    /// Closes every door and lets calls under way finish.
    pub async fn stop(self) {
        let Self { node, mut abci, stopping, mut tasks } = self;
        stopping.send_replace(true);
        let drained =
            tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} });
        if drained.await.is_err() {
            tasks.shutdown().await;
        }
        // The last connection's thread may still be in a call; it holds the node until it is done.
        let _ = tokio::task::spawn_blocking(move || {
            abci.stop();
            drop(node);
        })
        .await;
    }
}

async fn bind(enabled: bool, address: std::net::SocketAddr) -> anyhow::Result<Option<TcpListener>> {
    if enabled { Ok(Some(grpc::bind(address).await?)) } else { Ok(None) }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A dropped sender is a stop as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Where cometbft is looked for when no path is given.
fn find_cometbft(given: Option<&Path>) -> PathBuf {
    if let Some(path) = given {
        return path.to_owned();
    }
    let go = std::env::var_os("GOPATH").map(PathBuf::from);
    let go = go.or_else(|| std::env::home_dir().map(|home| home.join("go")));
    let built = go.map(|go| go.join("bin/cometbft")).filter(|path| path.is_file());
    let in_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("cometbft").is_file()));
    match built {
        Some(built) if !in_path => built,
        _ => "cometbft".into(),
    }
}

/// The environment that CometBFT is started with, beside plasmad's own, which goes first.
pub fn cometbft_env(config: &Config) -> Vec<(&'static str, String)> {
    let Cometbft { gc_percent, memory_mib, .. } = &config.cometbft;
    let mut settings =
        vec![("GOGC", gc_percent.to_string()), ("GOMEMLIMIT", format!("{memory_mib}MiB"))];
    settings.retain(|(name, _)| std::env::var_os(name).is_none());
    settings
}

/// CometBFT as a child of this process.
pub struct Comet {
    child: Child,
}

impl Comet {
    /// Starts CometBFT with the home inside `home`. `program` is its path; without one it is looked
    /// for in `PATH`, then in `$GOPATH/bin`.
    pub async fn start(
        home: &Path,
        config: &Config,
        program: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let program = find_cometbft(program);
        let version = Command::new(&program).arg("version").output().await.with_context(|| {
            format!(
                "cannot run {}; install it with `go install \
                 github.com/cometbft/cometbft/cmd/cometbft@v0.38.26`, or give --cometbft PATH",
                program.display()
            )
        })?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let number = version.trim_start_matches('v');
        if !number.starts_with(COMET_VERSIONS) {
            bail!(
                "{} is version {version:?}; plasmad needs cometbft {COMET_VERSIONS}x",
                program.display()
            );
        }
        let comet_home = cometbft_dir(home);
        let mut child = Command::new(&program)
            .arg("start")
            .arg("--home")
            .arg(&comet_home)
            .envs(cometbft_env(config))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C reaches the whole group; plasmad stops CometBFT itself, first.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        if let Some(out) = child.stdout.take() {
            tokio::spawn(forward(BufReader::new(out)));
        }
        if let Some(out) = child.stderr.take() {
            tokio::spawn(forward(BufReader::new(out)));
        }
        tracing::info!(version, home = %comet_home.display(), "cometbft started");
        Ok(Self { child })
    }

    /// Resolves when CometBFT has ended by itself.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => anyhow::anyhow!("cometbft ended: {status}; its log above says why"),
            Err(error) => error.into(),
        }
    }

    /// Asks CometBFT to stop, and kills it if it does not.
    pub async fn stop(mut self) {
        let Some(id) = self.child.id() else { return };
        let asked = i32::try_from(id)
            .ok()
            .and_then(Pid::from_raw)
            .is_some_and(|id| kill_process(id, Signal::TERM).is_ok());
        if asked && tokio::time::timeout(COMET_STOP, self.child.wait()).await.is_ok() {
            tracing::info!("cometbft stopped");
            return;
        }
        tracing::warn!("cometbft does not stop and is killed");
        let _ = self.child.kill().await;
    }
}

/// CometBFT's log lines, as they are, on stderr beside our own.
async fn forward(lines: impl AsyncBufReadExt + Unpin) {
    let mut lines = lines.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("{line}");
    }
}

/// Runs a node that knows `upgrades` until SIGINT or SIGTERM, or until something that it needs has
/// ended.
pub async fn run(
    home: &Path,
    config: &Config,
    with_cometbft: bool,
    cometbft: Option<&Path>,
    upgrades: &'static [Upgrade],
    logs: Logs,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut running = Running::start(home, config, upgrades, Some(logs)).await?;
    if let Err(error) = running.node().ready() {
        running.stop().await;
        return Err(error.into());
    }
    let mut comet = None;
    if with_cometbft {
        match Comet::start(home, config, cometbft).await {
            Ok(started) => comet = Some(started),
            Err(error) => {
                running.stop().await;
                return Err(error);
            }
        }
    }
    let ended = async {
        match &mut comet {
            Some(comet) => comet.ended().await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        error = ended => Err(error),
        error = running.failed() => Err(error),
    };
    tracing::info!("stopping");
    if let Some(comet) = comet {
        comet.stop().await;
    }
    running.stop().await;
    outcome
}

/// Says what went wrong, if anything did; what the process ends with.
pub fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("plasmad: {error:#}");
    match error.downcast_ref() {
        Some(NodeError::Upgrade(_)) => ExitCode::from(EXIT_UPGRADE),
        _ => ExitCode::FAILURE,
    }
}
