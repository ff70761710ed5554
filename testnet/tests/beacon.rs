//! The beacon on a real chain: four validators prove it, one changes its key.

use std::{collections::BTreeSet, fs, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use plasma_app::files::{GenesisAccount, NodeFiles};
use plasma_modules::attestation::beacon;
use plasma_testnet::{
    comet::{Network, NetworkSpec, Validator, until},
    process::{Programs, run},
    rig::Xpl,
};
use serde_json::Value;

const XPL: u128 = 1_000_000;
const VALIDATORS: usize = 4;
/// Blocks of an epoch.
const EPOCH: u64 = 10;

/// A proposer whose block is not voted for is not waited for long.
fn impatient(node: &NodeFiles) -> anyhow::Result<()> {
    let path = node.home.join("cometbft/config/config.toml");
    let text = fs::read_to_string(&path)?;
    let section = "[consensus]\n";
    assert!(text.contains(section));
    let changed = format!("{section}timeout_propose = \"500ms\"\n");
    Ok(fs::write(&path, text.replacen(section, &changed, 1))?)
}

/// The beacon of a block, as a node answers.
fn beacon_at(node: &Validator, height: u64) -> String {
    let url = format!("{}/plasma/attestation/v1/beacon", node.urls.rest);
    let ask = reqwest::blocking::Client::new().get(url);
    let answer = ask.header("x-cosmos-block-height", height.to_string()).send().unwrap();
    let answer: Value = answer.json().unwrap();
    assert_eq!(answer["height"], height.to_string(), "{answer}");
    answer["beacon"].as_str().unwrap().to_owned()
}

/// The first entry of a block, and who proposed it.
fn begun(node: &Validator, height: u64) -> (Vec<u8>, String) {
    let block = node.rpc(&format!("block?height={height}")).unwrap()["block"].take();
    let first = block["data"]["txs"][0].as_str().unwrap_or_default();
    let proposer = block["header"]["proposer_address"].as_str().unwrap().to_owned();
    (STANDARD.decode(first).unwrap(), proposer)
}

fn address(node: &Validator) -> String {
    node.rpc("status").unwrap()["validator_info"]["address"].as_str().unwrap().to_owned()
}

#[test]
fn four_validators_prove_their_beacons_and_one_changes_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let operators: Vec<String> = (0..VALIDATORS)
        .map(|index| keyring.add_key(&format!("operator{index}")).unwrap())
        .collect();
    let accounts = operators
        .iter()
        .map(|address| GenesisAccount { address: address.clone(), amount_uxpl: 10 * XPL });
    let spec = NetworkSpec {
        home: dir.path().into(),
        chain_id: "plasma-beacon-1".into(),
        validators: VALIDATORS,
        accounts: accounts.collect(),
        port_base: 29_400,
        timeout_commit: "200ms".into(),
        set: [format!("attestation.beacon_epoch_blocks={EPOCH}")].into(),
    };
    let mut network = Network::up_for(&spec, &operators, &programs, impatient).unwrap();

    // Every block begins with a proof, and all nodes have one beacon of it.
    network.wait_for_block(9).unwrap();
    let (mut beacons, mut proposers) = (BTreeSet::new(), BTreeSet::new());
    for height in 1..=8 {
        let (entry, proposer) = begun(&network.validators[0], height);
        beacon::decode(&entry).unwrap();
        proposers.insert(proposer);
        let told: BTreeSet<String> =
            network.validators.iter().map(|node| beacon_at(node, height)).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(beacons.is_disjoint(&told), "another one each block");
        beacons.extend(told);
    }
    assert_eq!(proposers.len(), VALIDATORS, "all took part");
    let keys = network.validators[1].rest("/plasma/attestation/v1/beacon/keys").unwrap();
    assert_eq!(keys["validators"].as_array().unwrap().len(), VALIDATORS);

    // The first operator sets another key, while its node goes on with the old one.
    let home = network.validators[0].home.clone();
    let file = home.join("beacon_key.json");
    fs::rename(&file, home.join("beacon_key.old.json")).unwrap();
    let mut show = Command::new(&programs.plasmad);
    show.arg("beacon-key").arg("--home").arg(&home).args(["--operator", &operators[0]]);
    let told = run(&mut show).unwrap();
    let line = told.lines().find(|line| line.starts_with("xpl stake beacon-key ")).unwrap();
    let words: Vec<&str> = line.split(' ').skip(3).collect();
    let xpl = keyring.at(&network.validators[1].urls);
    let set = |from: &str| {
        let mut all = vec!["stake", "beacon-key", words[0], words[1]];
        all.extend(["--from", from]);
        xpl.json(&all)
    };
    let stolen = set("operator1").unwrap_err().to_string();
    assert!(stolen.contains("not by this key"), "{stolen}");
    set("operator0").unwrap();
    let path = format!("/plasma/attestation/v1/beacon/keys/{}", operators[0]);
    let keys = network.validators[1].rest(&path).unwrap()["keys"]["keys"].take();
    let from_height: u64 = keys[1]["from_height"].as_str().unwrap().parse().unwrap();
    assert_eq!(keys[0]["from_height"], "0");

    // When it counts, a node that still has the old one proposes nothing that is voted for, and the
    // others go on.
    let mine = address(&network.validators[0]);
    network.wait_for_block(from_height).unwrap();
    until("a proposal that is none", || {
        let log = network.validators[0].plasmad_log().ok()?;
        log.contains("no block can be proposed").then_some(())
    })
    .unwrap();
    let height = network.validators[1].height().unwrap();
    for height in from_height..=height {
        let (entry, proposer) = begun(&network.validators[1], height);
        assert_ne!(proposer, mine);
        beacon::decode(&entry).unwrap();
    }
    // With the new one it proposes again.
    network.validators[0].restart().unwrap();
    let mut next = height + 1;
    until("a block with the new key", || {
        let newest = network.validators[1].height().ok()?;
        let found = (next..=newest).find(|at| begun(&network.validators[1], *at).1 == mine);
        next = next.max(newest);
        found
    })
    .unwrap();
    network.check().unwrap();
    let block = xpl.json(&["block", &height.to_string()]).unwrap();
    assert_eq!(block["beacon_proven"], true, "{block}");
}
