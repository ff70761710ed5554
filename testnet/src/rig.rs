//! Rigs beside a network: an operator with an account, a real `gpu-node` with a model.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use plasma_app::files::GenesisAccount;
use serde_json::Value;

use crate::{
    comet::Urls,
    process::{Process, Programs, run},
};

/// Password of every key here. The keys of a network on one machine guard nothing.
pub const PASSWORD: &str = "plasma-localnet";

/// What an operator and a reporter hold at genesis, uxpl.
pub const OPERATOR_UXPL: u128 = 10_000 * 1_000_000;
/// See [`OPERATOR_UXPL`].
pub const REPORTER_UXPL: u128 = 100 * 1_000_000;

/// Bond of a rig.
const BOND: &str = "1000xpl";

/// Prices, uxpl per million tokens: fresh input, cached input, output.
const PRICES: [u64; 3] = [2_000_000, 500_000, 8_000_000];

/// Seeds of the two tiny models.
pub const TINY_SEED: u64 = 7;
/// See [`TINY_SEED`].
pub const OTHER_SEED: u64 = 8;

/// An amount of uxpl in JSON; what was never set is nothing.
///
/// # Panics
/// If it is no amount.
pub fn amount(value: &Value) -> u128 {
    match value.as_str() {
        None | Some("") => 0,
        Some(digits) => digits.parse().expect("an amount"),
    }
}

/// A node's settings in its home.
const CONFIG_FILE: &str = "gpu-node.toml";

/// Genesis parameters of a network whose juries few rigs can fill.
pub const SMALL_JURIES: [&str; 5] = [
    "attestation.audits.pool_min=3",
    "attestation.audits.jury=3",
    "attestation.audits.threshold=2",
    "attestation.audits.appeal_jury=3",
    "attestation.audits.appeal_threshold=2",
];

/// So many rigs that all but the publisher and the provider fill a jury of [`SMALL_JURIES`].
pub const RIGS_THAT_JUDGE: usize = 5;

/// Tokens of each answer by which a rig measures what is honest of a model.
const CALIBRATION_TOKENS: &str = "32";

/// How long a rig may take until it is ready to work: models are loaded meanwhile.
pub const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// What a rig serves.
#[derive(Clone, Debug)]
pub enum Weights {
    /// The tiny random model of the tests, made from a seed.
    Tiny,
    /// Another one, of another seed.
    Other,
    /// A folder with a model.
    Folder {
        /// Where.
        path: PathBuf,
        /// Its name on the chain.
        name: String,
        /// SPDX identifier.
        licence: String,
    },
}

/// `xpl` with a home of its own and one node to speak to.
#[derive(Clone, Debug)]
pub struct Xpl {
    program: PathBuf,
    /// Folder of its keys.
    pub home: PathBuf,
    node: String,
    grpc: String,
}

impl Xpl {
    /// Speaks to nobody yet.
    pub fn new(programs: &Programs, home: &Path) -> Self {
        let (node, grpc) = (String::new(), String::new());
        Self { program: programs.xpl.clone(), home: home.into(), node, grpc }
    }

    /// Speaks to a validator.
    pub fn at(mut self, urls: &Urls) -> Self {
        self.node = urls.rpc.clone();
        self.grpc = format!("http://{}", urls.grpc);
        self
    }

    /// A command with keys, node and password set.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env("XPL_HOME", &self.home).env("XPL_PASSWORD", PASSWORD).env_remove("XPL_OUTPUT");
        if !self.node.is_empty() {
            command.args(["--node", &self.node, "--grpc", &self.grpc]);
        }
        command.arg("--yes").args(args);
        command
    }

    /// Runs it and reads its JSON.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let text = run(self.command(args).args(["--output", "json"]))?;
        serde_json::from_str(&text).with_context(|| format!("xpl {args:?} printed no JSON: {text}"))
    }

    /// Submits alice's greedy job and gives its number.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn submit(&self, model: &str, max_tokens: &str, question: &str) -> Result<String> {
        let job = ["job", "submit", "--from", "alice", "--model", model];
        let job = [&job[..], &["--max-tokens", max_tokens, question]].concat();
        let id = &self.json(&job)?["job_id"];
        Ok(id.as_str().map_or_else(|| id.to_string(), String::from))
    }

    /// What an account holds, uxpl.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn balance(&self, of: &str) -> Result<u128> {
        Ok(amount(&self.json(&["bank", "balance", of])?["balance_uxpl"]))
    }

    /// A provider's bond, uxpl.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn bond(&self, operator: &str) -> Result<u128> {
        let shown = self.json(&["provider", "show", operator])?;
        Ok(amount(&shown["provider"]["bond_uxpl"]))
    }

    /// Makes a key and gives its address.
    ///
    /// # Errors
    /// There is one of that name.
    pub fn add_key(&self, name: &str) -> Result<String> {
        self.json(&["keys", "add", name])?;
        self.address(name)
    }

    /// The address of a key.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn address(&self, name: &str) -> Result<String> {
        Ok(run(&mut self.command(&["keys", "show", name, "--address"]))?.trim().to_owned())
    }
}

/// A rig that is set up but does not run yet.
pub struct Rig {
    /// The node's home.
    pub home: PathBuf,
    /// Name of the operator's key in the keyring.
    pub operator: String,
    /// The operator's account.
    pub operator_address: String,
    /// The account that carries receipts.
    pub reporter_address: String,
    programs: Programs,
    metrics_port: u16,
}

impl Rig {
    /// Makes the keys of rig `index`; its ports begin at `port`.
    ///
    /// # Errors
    /// A program fails.
    pub fn prepare(
        programs: &Programs,
        xpl: &Xpl,
        dir: &Path,
        index: usize,
        port: u16,
    ) -> Result<Self> {
        let home = dir.join(format!("gpu-node{index}"));
        let operator = format!("operator{index}");
        let operator_address = xpl.add_key(&operator)?;
        let rig = Self {
            home,
            operator,
            operator_address,
            reporter_address: String::new(),
            programs: programs.clone(),
            metrics_port: port,
        };
        run(&mut rig.command(&["init"]))?;
        let file = rig.home.join("reporter-key.json");
        let key: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let reporter = key["public"].as_str().context("a key file names its account")?.to_owned();
        Ok(Self { reporter_address: reporter, ..rig })
    }

    /// What its accounts hold at genesis.
    pub fn accounts(&self) -> [GenesisAccount; 2] {
        let account =
            |address: &str, amount_uxpl| GenesisAccount { address: address.into(), amount_uxpl };
        [
            account(&self.operator_address, OPERATOR_UXPL),
            account(&self.reporter_address, REPORTER_UXPL),
        ]
    }

    /// A command of the node, with its home and password set.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.gpu_node);
        command.env("GPU_NODE_PASSWORD", PASSWORD).arg("--home").arg(&self.home).args(args);
        command
    }

    /// Takes a model into the node's cache, and gives its id.
    ///
    /// # Errors
    /// A program fails; the message holds what it said.
    pub fn add_model(&self, weights: &Weights) -> Result<String> {
        let tiny = |name: &str, seed: u64| -> Result<PathBuf> {
            let out = self.home.join(name);
            let (folder, seed) = (out.display().to_string(), seed.to_string());
            run(&mut self.command(&["model", "tiny", "--out", &folder, "--seed", &seed]))?;
            Ok(out)
        };
        let (path, name, licence) = match weights {
            Weights::Tiny => (tiny("tiny", TINY_SEED)?, "tiny", "Apache-2.0"),
            Weights::Other => (tiny("other", OTHER_SEED)?, "other", "Apache-2.0"),
            Weights::Folder { path, name, licence } => {
                (path.clone(), name.as_str(), licence.as_str())
            }
        };
        let path = path.display().to_string();
        run(&mut self.command(&["model", "add", &path, "--name", name, "--licence", licence]))?;
        let models: Value =
            serde_json::from_str(&run(&mut self.command(&["model", "list", "--json"]))?)?;
        let models = models.as_array().context("models are listed")?;
        let added = models.iter().find(|model| model["name"] == name);
        let id = added.and_then(|model| model["id"].as_str());
        Ok(id.context("the model that was added is not listed")?.to_owned())
    }

    /// Takes a model into the node's cache, publishes it if it is new, registers the provider, and
    /// gives the model's id.
    ///
    /// # Errors
    /// A program fails; the message holds what it said.
    pub fn register(&self, xpl: &Xpl, urls: &Urls, weights: &Weights) -> Result<String> {
        let id = self.add_model(weights)?;
        let manifest = self.home.join("manifest.pb");
        let manifest = manifest.display().to_string();
        run(&mut self.command(&["model", "manifest", &id, "--out", &manifest]))?;
        if xpl.json(&["model", "show", &id]).is_err() {
            xpl.json(&["model", "publish", &manifest, "--from", &self.operator])?;
        }

        let [fresh, cached, output] = PRICES;
        let (metrics, api) = (self.metrics_port, self.metrics_port + 1);
        let config = format!(
            "node = \"{}\"\nendpoint = \"http://127.0.0.1:{api}\"\nregion = \"local\"\nthreads = {}\nmetrics_listen = \"127.0.0.1:{metrics}\"\n\n[api]\nlisten = \"127.0.0.1:{api}\"\n\n[[models]]\nid = \"{id}\"\nfresh_uxpl_per_mtok = {fresh}\ncached_uxpl_per_mtok = {cached}\noutput_uxpl_per_mtok = {output}\nslots = 2\n",
            urls.rpc,
            if matches!(weights, Weights::Folder { .. }) { 0 } else { 1 },
        );
        fs::write(self.home.join(CONFIG_FILE), config)?;
        self.as_operator(xpl, &["register"], &["--bond", BOND])?;
        Ok(id)
    }

    /// Measures what is honest of a model that the operator published, and makes it the profile by which
    /// claims of it are judged.
    ///
    /// # Errors
    /// A program fails; the message holds what it said.
    pub fn set_profile(&self, xpl: &Xpl, model: &str) -> Result<()> {
        let out = self.home.join("calibration");
        let folder = out.display().to_string();
        let measured = ["--tokens", CALIBRATION_TOKENS, "--dtypes", "bf16", "--out", &folder];
        run(self.command(&["calibrate", model]).args(measured))?;
        let profile = out.join("profile.json").display().to_string();
        xpl.json(&["audit", "set-profile", model, &profile, "--from", &self.operator])?;
        Ok(())
    }

    /// Lets the node judge claims of a model that it does not serve: takes it into the cache and the
    /// settings, and gives its id. The node was registered and does not run.
    ///
    /// # Errors
    /// A program fails; the message holds what it said.
    pub fn judge(&self, weights: &Weights) -> Result<String> {
        let id = self.add_model(weights)?;
        let path = self.home.join(CONFIG_FILE);
        let config = fs::read_to_string(&path)?;
        fs::write(&path, format!("{config}\n[jury]\nmodels = [\"{id}\"]\n"))?;
        Ok(id)
    }

    /// Puts the operator into the pool of a model that its node serves or judges, and that has a profile.
    ///
    /// # Errors
    /// A program fails; the message holds what it said.
    pub fn join_pool(&self, xpl: &Xpl, model: &str) -> Result<()> {
        self.as_operator(xpl, &["jury", "join", model], &[])
    }

    /// Says that the operator judges by the profile with this hash, which is proposed for a model.
    ///
    /// # Errors
    /// A program fails; the message holds what it said.
    pub fn confirm_profile(&self, xpl: &Xpl, model: &str, profile_hash: &str) -> Result<()> {
        self.as_operator(xpl, &["jury", "join", model, "--proposal", profile_hash], &[])
    }

    /// Serves with the kernel that a dispute without a jury needs. The node was registered and does not run.
    ///
    /// # Errors
    /// Its settings cannot be written.
    pub fn use_referee(&self) -> Result<()> {
        let path = self.home.join(CONFIG_FILE);
        // The model's table is the last.
        let config = fs::read_to_string(&path)?;
        Ok(fs::write(&path, format!("{config}kernel = \"referee\"\n"))?)
    }

    /// Puts the weights of one model of [`Weights::Tiny`]'s size in the place of another's, with the file's time, so
    /// that a node that starts sees no change: what a provider does that cheats.
    ///
    /// # Errors
    /// The cache holds no such weights.
    pub fn swap_weights(&self, from: &[u8], to: &[u8]) -> Result<()> {
        for entry in fs::read_dir(self.home.join("models/blobs"))? {
            let blob = entry?.path();
            if fs::read(&blob)? == from {
                let time = fs::metadata(&blob)?.modified()?;
                fs::write(&blob, to)?;
                return Ok(File::options().write(true).open(&blob)?.set_modified(time)?);
            }
        }
        bail!("the cache holds no such weights")
    }

    /// The bytes of a tiny model's weights.
    ///
    /// # Errors
    /// The program fails.
    pub fn tiny_weights(&self, seed: u64) -> Result<Vec<u8>> {
        let folder = self.home.join(format!("seed-{seed}"));
        let (out, seed) = (folder.display().to_string(), seed.to_string());
        run(&mut self.command(&["model", "tiny", "--out", &out, "--seed", &seed]))?;
        Ok(fs::read(folder.join("model.safetensors"))?)
    }

    /// Runs a command that the operator signs.
    fn as_operator(&self, xpl: &Xpl, command: &[&str], args: &[&str]) -> Result<()> {
        let flags = ["--operator-key", "--operator-password-file"];
        self.signed(xpl, &self.operator, flags, &[command, args].concat())?;
        Ok(())
    }

    /// Runs a command that a key of the keyring signs, and gives what it printed. `flags` name the sealed key and
    /// its password, neither of which stays with the rig.
    ///
    /// # Errors
    /// The program fails; the message holds what it said.
    pub fn signed(
        &self,
        xpl: &Xpl,
        key: &str,
        flags: [&str; 2],
        command: &[&str],
    ) -> Result<String> {
        let sealed = self.home.join("signing-key.json").display().to_string();
        let password = self.home.join("signing-password").display().to_string();
        run(&mut xpl.command(&["keys", "export", key, "--sealed", &sealed]))?;
        fs::write(&password, PASSWORD)?;
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
        let told = run(self.command(command).args([flags[0], &sealed, flags[1], &password]));
        fs::remove_file(&sealed)?;
        fs::remove_file(&password)?;
        told
    }

    /// Starts the node and waits until it is ready to work.
    ///
    /// # Errors
    /// It ends, or is not ready in time.
    pub fn start(&self) -> Result<Process> {
        let log = self.home.join("logs/gpu-node.log");
        let mut process = Process::spawn("gpu-node", self.command(&["start"]), &log)?;
        let ready = format!("http://127.0.0.1:{}/readyz", self.metrics_port);
        let until = Instant::now() + READY_TIMEOUT;
        loop {
            process.check()?;
            if reqwest::blocking::get(&ready).is_ok_and(|answer| answer.status().is_success()) {
                return Ok(process);
            }
            if Instant::now() > until {
                bail!(
                    "gpu-node is not ready after {} s\n{}",
                    READY_TIMEOUT.as_secs(),
                    process.log_tail()
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}
