use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
use ed25519_dalek::SigningKey;
use rand_core::{OsRng, RngCore as _};
use serde_json::json;
use zeroize::Zeroizing;

use super::{Home, Password, usage};
use crate::config::{self, RECEIPT_KEY_FILE, REPORTER_KEY_FILE};
use crate::keyfile::{self, KdfParams};
use crate::wallet::Wallet;

/// Environment variable with the password of this node's keys.
const PASSWORD_VARIABLE: &str = "GPU_NODE_PASSWORD";
/// Shortest password.
const PASSWORD_CHARS_MIN: usize = 8;
/// Largest password file, bytes.
const PASSWORD_FILE_BYTES_MAX: u64 = 4096;
/// Kind of a receipt key.
const ED25519: &str = "ed25519";
/// Kind of an account's key.
const SECP256K1: &str = "secp256k1";

/// The first line of a file.
fn read_secret_line(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    ensure!(
        metadata.len() <= PASSWORD_FILE_BYTES_MAX,
        usage(format!("{} is too large for a secret", path.display()))
    );
    let text =
        Zeroizing::new(std::fs::read_to_string(path).with_context(|| path.display().to_string())?);
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// Asks at the terminal.
fn ask(prompt: &str, instead: &str) -> anyhow::Result<Zeroizing<String>> {
    if !std::io::stdin().is_terminal() {
        bail!(usage(format!(
            "a password is needed, and there is no terminal to ask at: set {instead}"
        )));
    }
    Ok(Zeroizing::new(rpassword::prompt_password(prompt)?))
}

impl Password {
    /// The password of this node's keys; `new` asks twice.
    fn get(&self, new: bool) -> anyhow::Result<Zeroizing<String>> {
        let password = if let Some(path) = &self.password_file {
            read_secret_line(path)?
        } else if let Ok(password) = std::env::var(PASSWORD_VARIABLE) {
            Zeroizing::new(password)
        } else {
            let instead = format!("--password-file or {PASSWORD_VARIABLE}");
            let password = ask("Password of this node's keys: ", &instead)?;
            if new {
                let again = ask("The same again: ", &instead)?;
                ensure!(password == again, usage("the two passwords differ: nothing was written"));
            }
            password
        };
        if new {
            let chars = password.chars().count();
            ensure!(
                chars >= PASSWORD_CHARS_MIN,
                usage(format!(
                    "the password has {chars} characters, it must have at least {PASSWORD_CHARS_MIN}"
                ))
            );
        }
        Ok(password)
    }
}

/// The sealed keys of a home.
pub(super) struct Keys<'a> {
    pub home: &'a Path,
    pub password: &'a Password,
}

/// Both keys of a node, open.
pub(super) struct Open {
    pub receipt: Zeroizing<[u8; 32]>,
    pub reporter: Wallet,
}

impl Keys<'_> {
    fn receipt_path(&self) -> PathBuf {
        self.home.join(RECEIPT_KEY_FILE)
    }

    fn reporter_path(&self) -> PathBuf {
        self.home.join(REPORTER_KEY_FILE)
    }

    /// Opens both, asking for the password once.
    pub fn open(&self) -> anyhow::Result<Open> {
        let password = self.password.get(false)?;
        let receipt = open_secret(&self.receipt_path(), ED25519, &password)?;
        let reporter =
            Wallet::from_secret(&*open_secret(&self.reporter_path(), SECP256K1, &password)?)?;
        Ok(Open { receipt, reporter })
    }

    /// The reporter's address, without the password.
    pub fn reporter_address(&self) -> anyhow::Result<String> {
        Ok(keyfile::describe(&self.reporter_path())?.public)
    }
}

fn open_secret(path: &Path, kind: &str, password: &str) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let opened = keyfile::open(path, password).with_context(|| path.display().to_string())?;
    ensure!(
        opened.kind == kind,
        usage(format!("{} is a key of kind {:?}, not {kind}", path.display(), opened.kind))
    );
    let mut secret = Zeroizing::new([0; 32]);
    ensure!(opened.secret.len() == 32, usage(format!("{} does not hold 32 bytes", path.display())));
    secret.copy_from_slice(&opened.secret);
    Ok(secret)
}

/// Opens the sealed key of an account: `whose`, with the password in a file, which `flag` would name, or asked for.
pub(super) fn open_wallet(
    path: &Path,
    password_file: Option<&Path>,
    whose: &str,
    flag: &str,
) -> anyhow::Result<Wallet> {
    let password = match password_file {
        Some(path) => read_secret_line(path)?,
        None => ask(&format!("Password of the {whose}'s key: "), flag)?,
    };
    Ok(Wallet::from_secret(&*open_secret(path, SECP256K1, &password)?)?)
}

/// Makes what is missing of a home.
pub(super) fn init(home: &Path, password: &Password) -> anyhow::Result<()> {
    make_private(home)?;
    let config = home.join(config::FILE);
    // It may hold the token of the local interface.
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&config) {
        Ok(mut file) => {
            file.write_all(config::DEFAULT.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| config.display().to_string())?;
            println!("wrote {}", config.display());
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            println!("kept  {}", config.display());
        }
        Err(error) => return Err(error).with_context(|| config.display().to_string()),
    }
    let keys = Keys { home, password };
    // Asked for once, and only if something is to be sealed.
    let given = OnceLock::new();
    let get = || -> anyhow::Result<&Zeroizing<String>> {
        if given.get().is_none() {
            let _ = given.set(password.get(true)?);
        }
        given.get().context("no password")
    };
    let (receipt, reporter) = (keys.receipt_path(), keys.reporter_path());
    if receipt.exists() {
        println!("kept  {}", receipt.display());
    } else {
        let mut seed = Zeroizing::new([0; 32]);
        OsRng.fill_bytes(seed.as_mut());
        let public = hex::encode(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
        keyfile::seal(&receipt, ED25519, &public, seed.as_ref(), get()?, KdfParams::default())?;
        println!("wrote {}  receipt key {public}", receipt.display());
    }
    if reporter.exists() {
        println!("kept  {}", reporter.display());
    } else {
        let wallet = Wallet::generate();
        let address = wallet.address().text();
        keyfile::seal(
            &reporter,
            SECP256K1,
            &address,
            wallet.secret().as_ref(),
            get()?,
            KdfParams::default(),
        )?;
        println!("wrote {}  reporter account {address}", reporter.display());
    }
    let address = keys.reporter_address()?;
    println!(
        "next: send some uxpl to the reporter account {address}, it pays for sending receipts;"
    );
    println!("      gpu-node model add ..., set prices in {}, gpu-node register", config.display());
    Ok(())
}

/// A folder that only its owner can look into.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| folder.display().to_string())
}

pub(super) fn show(home: &Home, as_json: bool) -> anyhow::Result<()> {
    let keys = home.keys();
    let receipt = keyfile::describe(&keys.receipt_path())?.public;
    let reporter = keys.reporter_address()?;
    let operator = home.config.operator(&home.path).ok().map(|address| address.text());
    if as_json {
        println!("{}", json!({"receipt_key": receipt, "reporter": reporter, "operator": operator}));
    } else {
        println!("receipt key  {receipt}");
        println!("reporter     {reporter}");
        println!("operator     {}", operator.as_deref().unwrap_or("not registered from here"));
    }
    Ok(())
}
