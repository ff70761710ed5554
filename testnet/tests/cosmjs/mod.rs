//! The published CosmJS, from a registry, in the hands of alice.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use plasma_testnet::{process::run, rig::Xpl};

/// Alice's, whom CosmJS knows by them.
pub const WORDS: &str =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// Gives the keyring alice; her address.
pub fn recover_alice(keyring: &Xpl, dir: &Path) -> String {
    let words = dir.join("words");
    fs::write(&words, WORDS).unwrap();
    fs::set_permissions(&words, fs::Permissions::from_mode(0o600)).unwrap();
    let words = words.display().to_string();
    keyring.json(&["keys", "recover", "alice", "--mnemonic-file", &words]).unwrap();
    keyring.address("alice").unwrap()
}

/// Runs a script of `testnet/cosmjs` with alice's words against a node's RPC, in a copy of that folder;
/// what it said. Needs node and npm.
pub fn run_script(script: &str, rpc: &str, dir: &Path) -> String {
    let scripts = dir.join("cosmjs");
    fs::create_dir_all(&scripts).unwrap();
    for file in ["package.json", script] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("cosmjs").join(file);
        fs::copy(from, scripts.join(file)).unwrap();
    }
    run(Command::new("npm").args(["install", "--no-audit", "--no-fund"]).current_dir(&scripts))
        .unwrap();
    run(Command::new("node").args([script, rpc, WORDS]).current_dir(&scripts)).unwrap()
}
