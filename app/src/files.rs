//! What lies in a home folder, and how it comes there.
//!
//! ```text
//! HOME/plasma.toml               settings of plasmad
//! HOME/beacon_key.json           with which a validator proves its blocks' randomness
//! HOME/data/state.db             the chain's state
//! HOME/data/snapshots            for nodes that join by state sync
//! HOME/data/abci.sock            where CometBFT reaches plasmad
//! HOME/cometbft/config/          genesis.json, config.toml, node_key.json, priv_validator_key.json
//! HOME/cometbft/data/            CometBFT's blocks, and what the validator has signed
//! ```
//! Keys and genesis are never overwritten.

pub mod beacon;
pub mod comet;
pub mod genesis;
mod testnet;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, bail};

pub use genesis::{GenesisAccount, GenesisSpec, GenesisValidator};
pub use testnet::{NODE_PORTS, NodeFiles, Ports, TestnetSpec, testnet};

use crate::config::{self, Config};

/// Access to keys: their owner alone.
const SECRET_MODE: u32 = 0o600;
/// Access to the rest.
const PLAIN_MODE: u32 = 0o644;

/// A home to be made.
#[derive(Clone, Debug)]
pub struct HomeSpec {
    /// Name for people.
    pub moniker: String,
    /// Settings of plasmad.
    pub config: Config,
    /// Settings of CometBFT.
    pub comet: comet::CometSpec,
}

/// Keys that a home has, and what others must know of them.
#[derive(Clone, Debug)]
pub struct HomeKeys {
    /// Consensus key, ed25519.
    pub consensus_pubkey: [u8; 32],
    /// Key of the beacon, a point of ristretto255.
    pub beacon_pubkey: [u8; 32],
    /// CometBFT's name for the node on its network.
    pub node_id: String,
}

/// Makes the folders and the keys of a home that has none yet.
pub fn create_keys(home: &Path) -> anyhow::Result<HomeKeys> {
    let comet_dir = config::cometbft_dir(home);
    for dir in [config::data_dir(home), comet_dir.join("config"), comet_dir.join("data")] {
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let (validator, consensus_pubkey) = comet::validator_key();
    let (node, node_id) = comet::node_key();
    write_new(&comet_dir.join("config/priv_validator_key.json"), &validator, SECRET_MODE)?;
    write_new(&comet_dir.join("config/node_key.json"), &node, SECRET_MODE)?;
    write_new(
        &comet_dir.join("data/priv_validator_state.json"),
        comet::SIGNED_NOTHING,
        SECRET_MODE,
    )?;
    let beacon_pubkey = beacon::create(home)?.public();
    Ok(HomeKeys { consensus_pubkey, beacon_pubkey, node_id })
}

/// Writes settings and genesis into a home that has keys.
pub fn write_home(home: &Path, spec: &HomeSpec, genesis: &str) -> anyhow::Result<()> {
    let comet_config = config::cometbft_dir(home).join("config");
    let proxy_app = spec.config.abci_address(home);
    write_new(&comet_config.join("genesis.json"), genesis, PLAIN_MODE)?;
    let comet = spec.comet.text(&spec.moniker, &proxy_app);
    write_new(&comet_config.join("config.toml"), &comet, PLAIN_MODE)?;
    write_new(&home.join(config::FILE), &spec.config.text(), PLAIN_MODE)
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!(
                "{} is there already and is not overwritten; choose another --home, or move the old one away",
                path.display()
            )
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot create {}", path.display()));
        }
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {}", path.display()))
}
