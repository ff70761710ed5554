//! The homes of a network whose nodes all run on this machine.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, ensure};

use super::{
    GenesisAccount, GenesisSpec, GenesisValidator, HomeSpec, comet::CometSpec, create_keys,
    genesis::file, write_home,
};
use crate::config::Config;

/// Ports that one node takes, from its first on.
pub const NODE_PORTS: u16 = 10;
/// Most validators of a network on one machine.
const VALIDATORS_MAX: usize = 64;

/// Ports of one node: `base + 10 * index`, and from there in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// +0: CometBFT's peers.
    pub p2p: u16,
    /// +1: CometBFT's RPC.
    pub rpc: u16,
    /// +2: plasmad's gRPC.
    pub grpc: u16,
    /// +3: plasmad's REST.
    pub rest: u16,
    /// +4: plasmad's metrics.
    pub metrics: u16,
    /// +5: CometBFT's metrics.
    pub comet_metrics: u16,
    /// +6: plasmad's front door of transactions, if it is opened.
    pub frontdoor: u16,
}

impl Ports {
    /// The ports of node `index`; `None` where they would run past the last port.
    pub fn of(base: u16, index: usize) -> Option<Self> {
        let offset = u16::try_from(index).ok()?.checked_mul(NODE_PORTS)?;
        let p2p = base.checked_add(offset)?;
        p2p.checked_add(NODE_PORTS - 1)?;
        Some(Self {
            p2p,
            rpc: p2p + 1,
            grpc: p2p + 2,
            rest: p2p + 3,
            metrics: p2p + 4,
            comet_metrics: p2p + 5,
            frontdoor: p2p + 6,
        })
    }
}

/// A network to be made.
#[derive(Clone, Debug)]
pub struct TestnetSpec {
    /// Folder for the nodes' homes, `node0`, `node1`, ...
    pub dir: PathBuf,
    /// The chain's name.
    pub chain_id: String,
    /// Operator's account of each validator, bech32 `xpl`: as many nodes as operators.
    pub operators: Vec<String>,
    /// Stake of each validator, uxpl, whole XPL.
    pub stake_uxpl: u128,
    /// Who has money; operators too, if they are to have some besides their stake.
    pub accounts: Vec<GenesisAccount>,
    /// First port.
    pub port_base: u16,
    /// Pause after a block, for example `500ms`.
    pub timeout_commit: String,
    /// Changes of app_state, see [`GenesisSpec::overrides`].
    pub overrides: Vec<String>,
}

/// A node that was made.
#[derive(Clone, Debug)]
pub struct NodeFiles {
    /// Its home.
    pub home: PathBuf,
    /// Its ports, all on 127.0.0.1.
    pub ports: Ports,
    /// CometBFT's name for it.
    pub node_id: String,
    /// Consensus key, ed25519.
    pub consensus_pubkey: [u8; 32],
}

/// Writes the homes of all nodes. Nothing is overwritten.
pub fn testnet(spec: &TestnetSpec) -> anyhow::Result<Vec<NodeFiles>> {
    let TestnetSpec {
        dir,
        chain_id,
        operators,
        stake_uxpl,
        accounts,
        port_base,
        timeout_commit,
        overrides,
    } = spec;
    ensure!(!operators.is_empty(), "a network needs at least one operator");
    ensure!(operators.len() <= VALIDATORS_MAX, "at most {VALIDATORS_MAX} nodes on one machine");
    let mut nodes = Vec::new();
    let mut validators = Vec::new();
    for (index, operator) in operators.iter().enumerate() {
        let home = absolute(dir)?.join(format!("node{index}"));
        let ports = Ports::of(*port_base, index)
            .with_context(|| format!("port base {port_base} is too high for node {index}"))?;
        let keys = create_keys(&home)?;
        validators.push(GenesisValidator {
            operator: operator.clone(),
            moniker: format!("node{index}"),
            consensus_pubkey: keys.consensus_pubkey,
            beacon_pubkey: Some(keys.beacon_pubkey),
            tokens_uxpl: *stake_uxpl,
        });
        nodes.push(NodeFiles {
            home,
            ports,
            node_id: keys.node_id,
            consensus_pubkey: keys.consensus_pubkey,
        });
    }
    let genesis = file(&GenesisSpec {
        chain_id: chain_id.clone(),
        time: SystemTime::now(),
        accounts: accounts.clone(),
        validators,
        overrides: overrides.clone(),
    })?;
    for (index, node) in nodes.iter().enumerate() {
        let others = nodes.iter().filter(|other| other.node_id != node.node_id);
        let peers = others.map(|other| format!("{}@{}", other.node_id, local(other.ports.p2p)));
        let mut config = Config::default();
        config.grpc.listen = local(node.ports.grpc);
        config.rest.listen = local(node.ports.rest);
        config.rest.cors = true;
        config.metrics.listen = local(node.ports.metrics);
        config.frontdoor.listen = local(node.ports.frontdoor);
        config.frontdoor.cors = true;
        let comet = CometSpec {
            rpc: local(node.ports.rpc).to_string(),
            p2p: local(node.ports.p2p).to_string(),
            prometheus: local(node.ports.comet_metrics).to_string(),
            persistent_peers: peers.collect(),
            timeout_commit: timeout_commit.clone(),
            // Nodes are killed and restarted at once here; their keys are worth nothing.
            double_sign_check_height: 0,
            cors: true,
            local: true,
        };
        let home = HomeSpec { moniker: format!("node{index}"), config, comet };
        write_home(&node.home, &home, &genesis)?;
    }
    Ok(nodes)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// The socket's path stands in CometBFT's settings, which are read from another folder.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("{} is no path", path.display()))
}
