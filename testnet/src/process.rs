//! Child processes that do not outlive us.

use std::{
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How long a process may take to end once it was asked to.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(50);

/// A running child. Dropping it stops it: SIGTERM, then SIGKILL to its whole group.
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    ended: bool,
}

impl Process {
    /// Starts `command` in a process group of its own, its output appended to `log`.
    ///
    /// # Errors
    /// The program is missing, or the log cannot be written.
    pub fn spawn(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        if let Some(dir) = log.parent() {
            fs::create_dir_all(dir)?;
        }
        let file = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().display()))?;
        Ok(Self { name: name.into(), log: log.into(), child, ended: false })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.id()).ok()?)
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// The operating system cannot tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.ended |= status.is_some();
        Ok(status)
    }

    /// The last lines of its output, for an error message.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(15);
        format!("--- end of {}\n{}", self.log.display(), lines[from..].join("\n"))
    }

    /// Fails if it has ended by itself.
    ///
    /// # Errors
    /// It has ended; the message holds the end of its log.
    pub fn check(&mut self) -> Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status})\n{}", self.name, self.log_tail()),
        }
    }

    /// Asks it to end, waits, and ends what is left of its group.
    pub fn stop(&mut self) {
        if self.ended {
            return;
        }
        if let Some(id) = self.pid() {
            // A failure means that it is gone already; so below.
            let _ = kill_process(id, Signal::TERM);
        }
        let until = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < until {
            if self.child.try_wait().ok().flatten().is_some() {
                break;
            }
            thread::sleep(POLL);
        }
        self.kill();
    }

    /// Ends it at once, without warning: a crash.
    pub fn kill(&mut self) {
        if let Some(id) = self.pid() {
            let _ = kill_process_group(id, Signal::KILL);
        }
        let _ = self.child.wait();
        self.ended = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a program to its end and gives its standard output.
///
/// # Errors
/// It cannot be started or fails; the message holds what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!(
            "{shown} failed ({})\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The programs that a network is made of.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The chain's application.
    pub plasmad: PathBuf,
    /// A rig's node.
    pub gpu_node: PathBuf,
    /// The command line.
    pub xpl: PathBuf,
    /// The consensus engine.
    pub cometbft: PathBuf,
}

impl Programs {
    /// What a chain alone needs: plasmad from `$PLASMAD` or from beside this program, and CometBFT.
    /// The others are looked for when they are started.
    ///
    /// # Errors
    /// One is missing; the message says how to get it.
    pub fn of_chain() -> Result<Self> {
        let plasmad = match std::env::var_os("PLASMAD") {
            Some(path) => PathBuf::from(path),
            None => beside("plasmad")?,
        };
        let folder = plasmad.parent().unwrap_or(Path::new("")).to_owned();
        let (gpu_node, xpl) = (folder.join("gpu-node"), folder.join("xpl"));
        Ok(Self { plasmad, gpu_node, xpl, cometbft: cometbft()? })
    }

    /// Ours from beside this program, CometBFT from `$COMETBFT`, the cache or the path.
    ///
    /// # Errors
    /// One is missing; the message says how to get it.
    pub fn find() -> Result<Self> {
        Ok(Self {
            plasmad: beside("plasmad")?,
            gpu_node: beside("gpu-node")?,
            xpl: beside("xpl")?,
            cometbft: cometbft()?,
        })
    }
}

fn beside(name: &str) -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let mut folders = exe.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    folders
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built: run `cargo build --workspace`"))
}

/// `$PLASMA_CACHE`, or its place if that is not set.
pub(crate) fn cache() -> Option<PathBuf> {
    let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
    env("PLASMA_CACHE")
        .or_else(|| env("XDG_CACHE_HOME").map(|dir| dir.join("plasma")))
        .or_else(|| env("HOME").map(|dir| dir.join(".cache/plasma")))
}

fn cometbft() -> Result<PathBuf> {
    let env = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = cache();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = env("COMETBFT")
        .into_iter()
        .chain(cache.map(|dir| dir.join("bin/cometbft")))
        .chain(std::env::split_paths(&path).map(|dir| dir.join("cometbft")));
    candidates.into_iter().find(|path| path.is_file()).context(
        "cometbft is missing: run `testnet/setup.sh cometbft`, or set COMETBFT to its path",
    )
}
