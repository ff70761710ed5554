//! A chain of the Cosmos SDK, to be measured beside ours on the same machine: one validator,
//! CometBFT in the application's own process, `testnet/peer`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use plasma_app::files::NodeFiles;

use crate::{
    comet::{self, NetworkSpec, START_TIMEOUT},
    process::{self, Process},
};

/// Version of the program's file name: the SDK's, and how often the program itself has changed.
const VERSION: &str = "0.53.8-1";

/// Signatures are checked by libsecp256k1, which is C, instead of by Go.
const TAGS: &str = "libsecp256k1_sdk";
/// The SDK's settings, chosen for load: neither queries' servers nor pruning, a large cache, no mempool
/// beside CometBFT's, no second copy of the leaves (fast nodes). With it, figures were within the noise.
const APP_TOML: &str = r#"minimum-gas-prices = "0uxpl"
pruning = "nothing"
inter-block-cache = true
iavl-cache-size = 4000000
iavl-disable-fastnode = true

[api]
enable = false

[grpc]
enable = false

[grpc-web]
enable = false

[mempool]
max-txs = -1
"#;
/// The garbage collector as tuned as our own CometBFT's.
const GC: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "2048MiB")];

/// The program, built once per version into `$PLASMA_CACHE/bin`; `None` where there is no Go.
///
/// # Errors
/// It cannot be built.
pub fn program() -> Result<Option<PathBuf>> {
    if let Some(path) = env::var_os("SDK_PEER") {
        return Ok(Some(path.into()));
    }
    let path = process::cache().context("no home folder")?.join(format!("bin/sdk-peer-{VERSION}"));
    if path.is_file() {
        return Ok(Some(path));
    }
    if Command::new("go").arg("version").output().is_err() {
        return Ok(None);
    }
    eprintln!("building the Cosmos SDK's chain (some minutes, once)");
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-tags", TAGS, "-o"]);
    go.arg(&path).arg(".");
    go.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("peer"));
    process::run(&mut go)?;
    Ok(Some(path))
}

/// A running chain of the SDK.
pub struct Peer {
    /// CometBFT's RPC.
    pub rpc: String,
    process: Process,
}

impl Peer {
    /// Makes the home and the genesis, starts the chain, and waits for its first blocks. CometBFT's
    /// home is one of our own, so that its settings are the same; `change` may edit it. `tuned` says
    /// whether Go's garbage collector is.
    ///
    /// # Errors
    /// A home cannot be made, the program fails, or no block comes in time.
    pub fn up(
        spec: &NetworkSpec,
        program: &Path,
        tuned: bool,
        change: impl Fn(&NodeFiles) -> Result<()>,
    ) -> Result<Self> {
        let nodes = comet::homes(
            &NetworkSpec { validators: 1, ..spec.clone() },
            &[comet::operator_of(0).text()],
        )?;
        let node = nodes.first().context("no home")?;
        change(node)?;
        let home = node.home.join("cometbft");
        fs::write(home.join("config/app.toml"), APP_TOML)?;
        let accounts = node.home.join("accounts");
        let lines = spec.accounts.iter().map(|a| format!("{} {}\n", a.address, a.amount_uxpl));
        fs::write(&accounts, lines.collect::<String>())?;
        process::run(Command::new(program).arg("genesis").arg(&home).arg(&accounts))?;
        let mut command = Command::new(program);
        command.args(["start", "--log_level", "error", "--home"]).arg(&home);
        for (name, value) in GC {
            if tuned {
                command.env(name, value)
            } else {
                command.env_remove(name)
            };
        }
        let process = Process::spawn("sdk-peer", command, &node.home.join("logs/sdk-peer.log"))?;
        let mut peer = Self { rpc: format!("http://127.0.0.1:{}", node.ports.rpc), process };
        let until = Instant::now() + START_TIMEOUT;
        while !comet::height(&peer.rpc).is_ok_and(|height| height > 2) {
            peer.check()?;
            ensure!(Instant::now() < until, "no block in {} s", START_TIMEOUT.as_secs());
            thread::sleep(comet::POLL);
        }
        Ok(peer)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Fails if it has ended by itself.
    ///
    /// # Errors
    /// As said; the message holds the end of its log.
    pub fn check(&mut self) -> Result<()> {
        self.process.check()
    }
}
