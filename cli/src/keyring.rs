//! Sealed keys in a folder, the words that they grow from, and the passwords that open them.

use std::fs;
use std::io::{IsTerminal, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use bip39::Mnemonic;
use cosmrs::bip32::{DerivationPath, XPrv};
use gpu_node::keyfile::{self, KdfParams, KeyfileError};
use gpu_node::wallet::Wallet;
use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::config::make_private_folder;
use crate::contacts::check_name;
use crate::error::{Failure, Result};

/// Kind of a sealed account key, as `gpu-node` reads it.
pub const KIND: &str = "secp256k1";

/// Where a mnemonic's account is (BIP-44, coin type 118).
pub const HD_PATH: &str = "m/44'/118'/0'/0/0";

/// Shortest password, characters.
pub const PASSWORD_CHARS_MIN: usize = 8;

/// Randomness of a new mnemonic, bytes: 24 words.
const ENTROPY_BYTES: usize = 32;

/// Most keys that are listed.
const KEYS_MAX: usize = 10_000;

/// Longest mnemonic or password file, bytes.
const TEXT_BYTES_MAX: u64 = 4096;

/// How often a password may be mistyped at a terminal.
const TRIES: usize = 3;

/// What is known of a key without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its account, bech32.
    pub address: String,
}

/// A folder of sealed keys.
#[derive(Debug, Clone)]
pub struct Keyring {
    folder: PathBuf,
    /// Cost of a password.
    pub params: KdfParams,
}

impl Keyring {
    /// The keyring below a home folder.
    pub fn new(home: &Path) -> Self {
        Self { folder: home.join("keys"), params: KdfParams::default() }
    }

    /// Where a key is kept.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// Keeps a key.
    ///
    /// # Errors
    /// If the name is taken or the disk refuses.
    pub fn add(&self, name: &str, wallet: &Wallet, password: &str) -> Result<KeyInfo> {
        check_name(name)?;
        self.refuse_taken(name)?;
        make_private_folder(&self.folder)?;
        let address = wallet.address().text();
        keyfile::seal(
            &self.path(name),
            KIND,
            &address,
            wallet.secret().as_slice(),
            password,
            self.params,
        )?;
        Ok(KeyInfo { name: name.to_owned(), address })
    }

    /// A key is never overwritten.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn refuse_taken(&self, name: &str) -> Result<()> {
        if self.path(name).symlink_metadata().is_err() {
            return Ok(());
        }
        Err(Failure::usage(format!("there is a key named {name} already"))
            .hint("choose another name; see  xpl keys list"))
    }

    /// Every key, in order of name.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn list(&self) -> Result<Vec<KeyInfo>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::file(&self.folder, &error)),
        };
        let mut names = Vec::new();
        for entry in entries.take(KEYS_MAX) {
            let path = entry.map_err(|error| Failure::file(&self.folder, &error))?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
            if let (Some(name), Some("json")) =
                (name, path.extension().and_then(|ext| ext.to_str()))
            {
                names.push(name);
            }
        }
        names.sort();
        names.iter().map(|name| self.info(name)).collect()
    }

    /// What is known of a key without its password.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn info(&self, name: &str) -> Result<KeyInfo> {
        check_name(name)?;
        let path = self.path(name);
        if !path.exists() {
            return Err(
                Failure::usage(format!("there is no key named {name}")).hint("see  xpl keys list")
            );
        }
        let known = keyfile::describe(&path)?;
        Ok(KeyInfo { name: name.to_owned(), address: known.public })
    }

    /// Opens a key.
    ///
    /// # Errors
    /// If there is no such key, or the password is another.
    pub fn open(&self, name: &str, password: &str) -> Result<Wallet> {
        let KeyInfo { address, .. } = self.info(name)?;
        let wallet = open_sealed(&self.path(name), password)?;
        if wallet.address().text() != address {
            return Err(Failure::usage(format!(
                "the key file of {name} names an address that is not the key's"
            )));
        }
        Ok(wallet)
    }

    /// Removes a key for good.
    ///
    /// # Errors
    /// If there is no such key, or the disk refuses.
    pub fn delete(&self, name: &str) -> Result<KeyInfo> {
        let info = self.info(name)?;
        let path = self.path(name);
        fs::remove_file(&path).map_err(|error| Failure::file(&path, &error))?;
        Ok(info)
    }
}

/// Opens a sealed file that holds an account's key.
pub fn open_sealed(path: &Path, password: &str) -> Result<Wallet> {
    let opened = keyfile::open(path, password)?;
    let bad = || {
        Failure::usage(format!(
            "{}: not an account's key, but of kind {}",
            path.display(),
            opened.kind
        ))
    };
    if opened.kind != KIND {
        return Err(bad());
    }
    let secret = Zeroizing::new(<[u8; 32]>::try_from(opened.secret.as_slice()).map_err(|_| bad())?);
    Wallet::from_secret(&secret).map_err(|error| Failure::usage(error.to_string()))
}

/// The account's key that a mnemonic grows.
///
/// # Errors
/// If the words are no mnemonic.
pub fn wallet_of(words: &str) -> Result<Wallet> {
    let bad = |why: &dyn std::fmt::Display| {
        Failure::usage(format!("these words are no mnemonic: {why}"))
            .hint("12 to 24 English words, in their order; the last one guards against mistakes")
    };
    let plain: Vec<&str> = words.split_whitespace().collect();
    let plain = Zeroizing::new(plain.join(" ").to_lowercase());
    let mnemonic = Mnemonic::parse_normalized(&plain).map_err(|error| bad(&error))?;
    let seed = Zeroizing::new(mnemonic.to_seed_normalized(""));
    let path = DerivationPath::from_str(HD_PATH).map_err(|error| bad(&error))?;
    let key = XPrv::derive_from_path(seed.as_slice(), &path).map_err(|error| bad(&error))?;
    let secret = Zeroizing::new(<[u8; 32]>::from(key.private_key().to_bytes()));
    Wallet::from_secret(&secret).map_err(|error| bad(&error))
}

/// New words from the system's randomness.
pub fn new_words() -> Result<Zeroizing<String>> {
    let mut entropy = Zeroizing::new([0u8; ENTROPY_BYTES]);
    OsRng.fill_bytes(entropy.as_mut());
    let mnemonic = Mnemonic::from_entropy(entropy.as_slice())
        .map_err(|error| Failure::usage(error.to_string()))?;
    Ok(Zeroizing::new(mnemonic.to_string()))
}

/// Where passwords come from: `--password-file`, `XPL_PASSWORD`, or the terminal.
#[derive(Debug, Clone, Default)]
pub struct PasswordSource {
    /// File whose first line is the password.
    pub file: Option<PathBuf>,
}

impl PasswordSource {
    /// The password that was given, if it was.
    fn given(&self) -> Result<Option<Zeroizing<String>>> {
        if let Some(path) = &self.file {
            let text = read_text(path)?;
            return Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())));
        }
        Ok(std::env::var("XPL_PASSWORD").ok().map(Zeroizing::new))
    }

    /// A new password, typed twice at a terminal.
    pub fn choose(&self) -> Result<Zeroizing<String>> {
        let password = match self.given()? {
            Some(password) => password,
            None => {
                let first = ask("Choose a password for the key: ")?;
                check_password(&first)?;
                if *ask("The same password again: ")? != *first {
                    return Err(Failure::usage("the two passwords differ; nothing was kept"));
                }
                first
            }
        };
        check_password(&password)?;
        Ok(password)
    }

    /// Opens something with the password; a typed one may be mistyped.
    pub fn unlock<T>(&self, prompt: &str, open: impl Fn(&str) -> Result<T>) -> Result<T> {
        if let Some(password) = self.given()? {
            return open(&password);
        }
        let mut last = None;
        for attempt in 0..TRIES {
            let prompt = if attempt == 0 { prompt } else { "That is not it. Once more: " };
            match open(&ask(prompt)?) {
                Err(failure) if failure.message == KeyfileError::WrongPassword.to_string() => {
                    last = Some(failure);
                }
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| Failure::usage("no password")))
    }
}

/// Whether a password is long enough.
///
/// # Errors
/// If not.
pub fn check_password(password: &str) -> Result<()> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Failure::usage(format!(
            "a password has at least {PASSWORD_CHARS_MIN} characters"
        )));
    }
    Ok(())
}

fn ask(prompt: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|_| {
        Failure::usage("there is no terminal to type a password at")
            .hint("give it by --password-file FILE or the environment variable XPL_PASSWORD")
    })
}

fn read_text(path: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path)
        .and_then(|file| file.take(TEXT_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| Failure::file(path, &error))?;
    Ok(text)
}

/// The words of `keys recover`: from a file, a terminal, or standard input.
pub fn read_words(file: Option<&Path>) -> Result<Zeroizing<String>> {
    if let Some(path) = file {
        return read_text(path);
    }
    if std::io::stdin().is_terminal() {
        return ask("The words of the key, in their order: ");
    }
    let mut words = Zeroizing::new(String::new());
    std::io::stdin()
        .take(TEXT_BYTES_MAX)
        .read_to_string(&mut words)
        .map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(home: &Path) -> Keyring {
        Keyring { params: KdfParams::FOR_TESTS, ..Keyring::new(home) }
    }

    /// The mnemonic and address that Cosmos' own tests and documents use.
    #[test]
    fn words_grow_the_published_account() {
        let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
        let wallet = wallet_of(words).unwrap();
        let published = "cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4";
        let mut ours = wallet.address().text();
        // Same twenty bytes in 32 characters after another prefix; the checksum of six is over both.
        let data = |text: &str| text.split_once('1').unwrap().1[..32].to_owned();
        assert_eq!(data(&ours), data(published));
        ours.truncate(4);
        assert_eq!(ours, "xpl1");
        assert_eq!(
            wallet_of(&words.to_uppercase().replace(' ', "\n ")).unwrap().address(),
            wallet.address()
        );
    }

    #[test]
    fn mistaken_words_are_refused() {
        let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon";
        for last in ["abandon", "abou", ""] {
            assert!(wallet_of(&format!("{words} {last}")).is_err(), "{last:?}");
        }
        let new = new_words().unwrap();
        assert_eq!(new.split(' ').count(), 24);
        wallet_of(&new).unwrap();
        assert_ne!(*new, *new_words().unwrap());
    }

    #[test]
    fn what_is_kept_opens_again() {
        let home = tempfile::tempdir().unwrap();
        let ring = ring(home.path());
        assert!(ring.list().unwrap().is_empty());
        let wallet = Wallet::generate();
        let info = ring.add("alice", &wallet, "correct horse").unwrap();
        assert_eq!(info.address, wallet.address().text());
        assert!(ring.add("alice", &wallet, "correct horse").is_err(), "a key is never overwritten");
        ring.add("bob", &Wallet::generate(), "battery staple").unwrap();
        assert_eq!(
            ring.list().unwrap().iter().map(|key| key.name.as_str()).collect::<Vec<_>>(),
            ["alice", "bob"]
        );
        let opened = ring.open("alice", "correct horse").unwrap();
        assert_eq!(*opened.secret(), *wallet.secret());
        assert!(
            ring.open("alice", "wrong password").unwrap_err().message.contains("wrong password")
        );
        assert!(ring.open("carol", "correct horse").is_err());
        assert!(ring.info("../alice").is_err());
        ring.delete("alice").unwrap();
        assert!(ring.info("alice").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let ring = ring(home.path());
        ring.add("alice", &Wallet::generate(), "correct horse").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&ring.folder), 0o700);
        assert_eq!(mode(&ring.path("alice")), 0o600);
        fs::set_permissions(ring.path("alice"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ring.list().is_err(), "a key that others can read is not used");
    }

    #[test]
    fn passwords_have_a_length() {
        assert!(check_password("1234567").is_err());
        check_password("12345678").unwrap();
    }
}
