//! The set of validators on a real chain: who joins, who is away, who signs twice.

use std::{fs, path::Path, process::Command, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};
use plasma_app::files::{GenesisAccount, NodeFiles};
use plasma_testnet::{
    comet::{Network, NetworkSpec, Validator, until},
    process::{Programs, run},
    rig::Xpl,
};
use prost::Message;
use serde_json::{Value, json};
use tendermint::Time;
use tendermint_proto::v0_38::types::{
    CanonicalBlockId, CanonicalPartSetHeader, CanonicalVote, SignedMsgType,
};

const XPL: u128 = 1_000_000;
/// Validators at genesis; each has a million XPL.
const VALIDATORS: usize = 4;
/// How long stake unbonds, seconds of the chain.
const UNBONDING_S: u64 = 20;
/// Blocks in which votes are counted.
const WINDOW: u64 = 10;

/// A proposer that is away is not waited for long.
fn impatient(node: &NodeFiles) -> anyhow::Result<()> {
    let path = node.home.join("cometbft/config/config.toml");
    let text = fs::read_to_string(&path)?;
    let section = "[consensus]\n";
    assert!(text.contains(section));
    let changed = format!("{section}timeout_propose = \"500ms\"\n");
    Ok(fs::write(&path, text.replacen(section, &changed, 1))?)
}

/// Consensus addresses and powers as CometBFT has them, strongest first.
fn set(node: &Validator) -> Vec<(String, u64)> {
    let found = node.rpc("validators?per_page=100").unwrap();
    let each = |one: &Value| {
        let power = one["voting_power"].as_str().unwrap().parse().unwrap();
        (one["address"].as_str().unwrap().to_owned(), power)
    };
    found["validators"].as_array().unwrap().iter().map(each).collect()
}

/// Waits until CometBFT has this validator with this power; `None` is out of the set.
fn wait_for_power(node: &Validator, address: &str, power: Option<u64>) {
    let what = format!("power {power:?} of {address}; the set is {:?}", set(node));
    until(&what, || {
        let found = set(node).into_iter().find(|(one, _)| one == address);
        (found.map(|(_, power)| power) == power).then_some(())
    })
    .unwrap();
}

fn key_file(home: &Path) -> std::path::PathBuf {
    home.join("cometbft/config/priv_validator_key.json")
}

fn key(home: &Path) -> Value {
    serde_json::from_slice(&fs::read(key_file(home)).unwrap()).unwrap()
}

fn uxpl(value: &Value) -> u128 {
    value.as_str().unwrap().parse().unwrap()
}

/// What an account may spend, uxpl.
fn balance(xpl: &Xpl, name: &str) -> u128 {
    uxpl(&xpl.json(&["bank", "balance", name]).unwrap()["balance_uxpl"])
}

#[test]
fn the_set_follows_stake_absence_and_double_signing() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let mut accounts = Vec::new();
    let mut account = |name: &str, xpl: u128| {
        let address = keyring.add_key(name).unwrap();
        accounts.push(GenesisAccount { address: address.clone(), amount_uxpl: xpl * XPL });
        address
    };
    let operators: Vec<_> =
        (0..VALIDATORS).map(|index| account(&format!("operator{index}"), 10)).collect();
    account("newcomer", 500_010);
    account("carol", 102_010);
    let genesis_uxpl = accounts.iter().map(|one| one.amount_uxpl).sum::<u128>()
        + VALIDATORS as u128 * plasma_testnet::comet::STAKE_UXPL;
    let spec = NetworkSpec {
        home: dir.path().into(),
        chain_id: "plasma-validators-1".into(),
        validators: VALIDATORS,
        accounts,
        port_base: 27_000,
        timeout_commit: "200ms".into(),
        set: [
            format!("staking.params.unbonding_time={UNBONDING_S}s"),
            format!("governance.consensus.evidence.max_age_duration={UNBONDING_S}s"),
            format!("staking.slashing_params.signed_blocks_window={WINDOW}"),
            "staking.slashing_params.min_signed_per_window=0.300000000000000000".into(),
            "staking.slashing_params.downtime_jail_duration=2s".into(),
        ]
        .into(),
    };
    let mut network = Network::up_for(&spec, &operators, &programs, impatient).unwrap();
    let fifth = network.join(&programs, impatient).unwrap();
    let xpl = keyring.at(&network.validators[0].urls);

    joins(&mut network, fifth, &xpl);
    is_away_and_comes_back(&mut network, fifth, &xpl);
    leaves(&network, fifth, &xpl);
    signs_twice(&network, &xpl);

    // What was taken back is paid out, less what an offence before it cost.
    until("carol's stake", || (balance(&xpl, "carol") >= 100_000 * XPL).then_some(())).unwrap();
    until("the newcomer's stake", || (balance(&xpl, "newcomer") >= 499_900 * XPL).then_some(()))
        .unwrap();
    let gone = network.validators[0].rest(&validator_path(&xpl, "newcomer"));
    assert!(gone.unwrap_err().to_string().contains("404"));

    // Supply is what it was, and what was minted, without what was burned.
    let rest = |path: &str| network.validators[0].rest(path).unwrap();
    let (totals, supply) = until("two answers of one block", || {
        let before = network.validators[0].height().ok()?;
        let totals = rest("/plasma/token/v1/totals");
        let supply = rest("/cosmos/bank/v1beta1/supply/by_denom?denom=uxpl");
        (network.validators[0].height().ok()? == before).then_some((totals, supply))
    })
    .unwrap();
    let [minted, burned] = ["minted_uxpl", "burned_uxpl"].map(|name| uxpl(&totals["totals"][name]));
    assert!(minted > 0 && burned >= 50_000 * XPL, "{totals}");
    assert_eq!(uxpl(&supply["amount"]["amount"]), genesis_uxpl + minted - burned);

    // Nodes agree, and their books hold.
    let height = network.validators[0].height().unwrap();
    network.wait_for_block(height + 1).unwrap();
    let header = |node: &Validator| node.rpc(&format!("header?height={height}")).unwrap();
    let wanted = header(&network.validators[0])["header"]["app_hash"].clone();
    assert!(network.validators.iter().all(|node| header(node)["header"]["app_hash"] == wanted));
    let home = network.validators[0].home.clone();
    drop(network);
    let scrubbed =
        run(Command::new(&programs.plasmad).arg("scrub").arg("--home").arg(&home)).unwrap();
    assert!(scrubbed.contains("app hash and invariants hold"), "{scrubbed}");
}

fn validator_path(xpl: &Xpl, operator: &str) -> String {
    let address = plasma_modules::Address::parse(&xpl.address(operator).unwrap()).unwrap();
    format!("/cosmos/staking/v1beta1/validators/{}", address.operator_text())
}

/// A full node becomes a validator; delegations are power.
fn joins(network: &mut Network, fifth: usize, xpl: &Xpl) {
    network.wait_for_block(2).unwrap();
    let node = &network.validators[0];
    let file = key_file(&network.validators[fifth].home);
    let address = key(&network.validators[fifth].home)["address"].as_str().unwrap().to_owned();
    assert_eq!(set(node).len(), VALIDATORS);
    let create = ["stake", "create", "--from", "newcomer", "--moniker", "Newcomer"];
    let key = ["--self", "500000xpl", "--key-file", file.to_str().unwrap()];
    xpl.json(&[&create[..], &key].concat()).unwrap();
    wait_for_power(node, &address, Some(500_000));
    xpl.json(&["stake", "delegate", "--from", "carol", "Newcomer", "100000xpl"]).unwrap();
    wait_for_power(node, &address, Some(600_000));
    assert_eq!(set(node).len(), VALIDATORS + 1);

    // It signs: the others have its vote in a block.
    until("a vote of the new validator", || {
        let commit = node.rpc("commit").unwrap();
        let votes = commit["signed_header"]["commit"]["signatures"].as_array().unwrap().clone();
        votes.iter().any(|vote| vote["validator_address"] == address.as_str()).then_some(())
    })
    .unwrap();
    let refused = xpl.json(&["stake", "unjail", "--from", "newcomer"]).unwrap_err().to_string();
    assert!(refused.contains("not jailed"), "{refused}");
}

/// It stops, is jailed and pays; it comes back and is let in again.
fn is_away_and_comes_back(network: &mut Network, fifth: usize, xpl: &Xpl) {
    let address = key(&network.validators[fifth].home)["address"].as_str().unwrap().to_owned();
    let path = validator_path(xpl, "newcomer");
    // Past its first window: before, nobody is jailed.
    let node = &network.validators[0];
    until("the first window's end", || {
        let infos = node.rest("/cosmos/slashing/v1beta1/signing_infos").unwrap();
        let begun = infos["info"].as_array().unwrap().iter();
        let begun = begun.filter_map(|info| info["start_height"].as_str()?.parse::<u64>().ok());
        (node.height().ok()? > begun.max()? + WINDOW).then_some(())
    })
    .unwrap();
    network.validators[fifth].stop();
    let node = &network.validators[0];
    wait_for_power(node, &address, None);
    let jailed = node.rest(&path).unwrap();
    assert_eq!(jailed["validator"]["jailed"], true, "{jailed}");
    // One basis point of 600,000 XPL, once.
    assert_eq!(uxpl(&jailed["validator"]["tokens"]), 599_940 * XPL, "{jailed}");
    assert_eq!(set(node).len(), VALIDATORS);
    let listed = xpl.command(&["stake", "validators", "--all"]).output().unwrap();
    assert!(String::from_utf8(listed.stdout).unwrap().contains("jailed"));

    let height = node.height().unwrap();
    network.validators[fifth].restart().unwrap();
    network.wait_for_block(height).unwrap();
    let unjail = ["stake", "unjail", "--from", "newcomer"];
    until("its way back", || match xpl.json(&unjail) {
        Ok(done) => Some(done),
        Err(error) => {
            assert!(error.to_string().contains("still jailed"), "{error}");
            None
        }
    })
    .unwrap();
    wait_for_power(&network.validators[0], &address, Some(599_940));
    let back = network.validators[0].rest(&path).unwrap();
    assert_eq!(back["validator"]["jailed"], false, "{back}");
}

/// Stake that is taken back is power no more; without any the validator is gone.
fn leaves(network: &Network, fifth: usize, xpl: &Xpl) {
    let address = key(&network.validators[fifth].home)["address"].as_str().unwrap().to_owned();
    let node = &network.validators[0];
    let staked = |name: &str| {
        let list = xpl.json(&["stake", "list", name]).unwrap();
        let amount = &list["delegations"][0]["balance"]["amount"];
        format!("{}uxpl", amount.as_str().unwrap_or_else(|| panic!("{list}")))
    };
    let carols = staked("carol");
    assert_eq!(carols, format!("{}uxpl", 99_990 * XPL));
    xpl.json(&["stake", "undelegate", "--from", "carol", "Newcomer", &carols]).unwrap();
    wait_for_power(node, &address, Some(499_950));
    let own = staked("newcomer");
    xpl.json(&["stake", "undelegate", "--from", "newcomer", "Newcomer", &own]).unwrap();
    wait_for_power(node, &address, None);
    assert_eq!(set(node).len(), VALIDATORS);
}

/// Evidence of two votes of one key, as a node that saw both makes it: CometBFT's JSON.
fn two_votes(node: &Validator, chain_id: &str, home: &Path, height: u64) -> Value {
    let key = key(home);
    let address = key["address"].as_str().unwrap();
    let secret = STANDARD.decode(key["priv_key"]["value"].as_str().unwrap()).unwrap();
    let secret = SigningKey::from_keypair_bytes(&secret.try_into().unwrap()).unwrap();
    let header = node.rpc(&format!("header?height={height}")).unwrap();
    let time = header["header"]["time"].as_str().unwrap();
    let set = node.rpc(&format!("validators?height={height}&per_page=100")).unwrap();
    let set = set["validators"].as_array().unwrap().clone();
    let index = set.iter().position(|one| one["address"] == address).unwrap();
    let power = |one: &Value| one["voting_power"].as_str().unwrap().parse::<u64>().unwrap();
    let vote = |byte: u8| {
        let hash = vec![byte; 32];
        let canonical = CanonicalVote {
            r#type: SignedMsgType::Prevote.into(),
            height: height.cast_signed(),
            round: 0,
            block_id: Some(CanonicalBlockId {
                hash: hash.clone(),
                part_set_header: Some(CanonicalPartSetHeader { total: 1, hash: hash.clone() }),
            }),
            timestamp: Some(Time::parse_from_rfc3339(time).unwrap().into()),
            chain_id: chain_id.into(),
        };
        let signature = secret.sign(&canonical.encode_length_delimited_to_vec()).to_bytes();
        let hash: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        json!({
            "type": 1,
            "height": height.to_string(),
            "round": 0,
            "block_id": { "hash": hash, "parts": { "total": 1, "hash": hash } },
            "timestamp": time,
            "validator_address": address,
            "validator_index": index,
            "signature": STANDARD.encode(signature),
        })
    };
    json!({ "type": "tendermint/DuplicateVoteEvidence", "value": {
        "vote_a": vote(0x0a),
        "vote_b": vote(0x0b),
        "TotalVotingPower": set.iter().map(power).sum::<u64>().to_string(),
        "ValidatorPower": power(&set[index]).to_string(),
        "Timestamp": time,
    }})
}

/// Hands evidence to a node, which checks it, and waits until a block has it.
fn report(node: &Validator, evidence: &Value) -> u64 {
    let from = node.height().unwrap();
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "broadcast_evidence",
        "params": { "evidence": evidence },
    });
    let client = reqwest::blocking::Client::new();
    let answer: Value = client.post(&node.urls.rpc).json(&call).send().unwrap().json().unwrap();
    assert!(answer["result"]["hash"].is_string(), "{answer}");
    let mut next = from;
    until("a block with the evidence", || {
        let block = node.rpc(&format!("block?height={next}")).ok()?;
        let found = block["block"]["evidence"]["evidence"].as_array().map_or(0, Vec::len);
        if found > 0 {
            return Some(next);
        }
        next += 1;
        None
    })
    .unwrap()
}

/// A validator is proven to have signed two blocks: it pays once, and never comes back.
fn signs_twice(network: &Network, xpl: &Xpl) {
    let culprit = VALIDATORS - 1;
    let home = network.validators[culprit].home.clone();
    let address = key(&home)["address"].as_str().unwrap().to_owned();
    let name = format!("node{culprit}");
    let operator = format!("operator{culprit}");
    let path = validator_path(xpl, &operator);
    let node = &network.validators[0];
    xpl.json(&["stake", "delegate", "--from", "carol", &name, "2000xpl"]).unwrap();
    wait_for_power(node, &address, Some(1_002_000));
    let first = node.height().unwrap();
    let height =
        until("two blocks of this set", || node.height().ok().filter(|height| *height > first + 1))
            .unwrap();
    // What leaves after the offence does not get away.
    xpl.json(&["stake", "undelegate", "--from", "carol", &name, "1000xpl"]).unwrap();
    let tokens = |node: &Validator| node.rest(&path).unwrap()["validator"].clone();
    assert_eq!(uxpl(&tokens(node)["tokens"]), 1_001_000 * XPL);

    report(node, &two_votes(node, &network.chain_id, &home, height));
    wait_for_power(node, &address, None);
    // 5% of what is left of what it signed with; what left since pays its part when it is paid out.
    let after = tokens(node);
    assert_eq!(after["jailed"], true, "{after}");
    let wanted = 1_001_000 * XPL * 95 / 100;
    assert_eq!(uxpl(&after["tokens"]), wanted, "{after}");
    let infos = node.rest("/cosmos/slashing/v1beta1/signing_infos").unwrap();
    let infos = infos["info"].as_array().unwrap().iter();
    assert_eq!(infos.filter(|info| info["tombstoned"] == true).count(), 1);
    let list = xpl.json(&["stake", "list", "carol"]).unwrap();
    let entries = list["unbonding"].as_array().unwrap().iter();
    let left = entries.flat_map(|one| one["entries"].as_array().unwrap().clone());
    let left: Vec<_> = left.map(|entry| uxpl(&entry["balance"])).collect();
    assert!(left.contains(&(950 * XPL)), "{list}");

    // More of the same costs nothing more.
    let block = report(node, &two_votes(node, &network.chain_id, &home, height - 1));
    until("the block after the evidence", || (node.height().ok()? > block).then_some(())).unwrap();
    assert_eq!(uxpl(&tokens(node)["tokens"]), wanted);
    let known = node.rest("/cosmos/evidence/v1beta1/evidence").unwrap();
    assert_eq!(known["evidence"].as_array().unwrap().len(), 1, "{known}");
    let refused = xpl.json(&["stake", "unjail", "--from", &operator]).unwrap_err().to_string();
    assert!(refused.contains("jailed"), "{refused}");
    // A proof that is none is not taken.
    let mut forged = two_votes(node, &network.chain_id, &home, height);
    forged["value"]["vote_b"]["signature"] = forged["value"]["vote_a"]["signature"].clone();
    let call = json!({
        "jsonrpc": "2.0", "id": 1, "method": "broadcast_evidence", "params": { "evidence": forged },
    });
    let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(20)).build();
    let answer: Value =
        client.unwrap().post(&node.urls.rpc).json(&call).send().unwrap().json().unwrap();
    assert!(answer["error"].is_object(), "{answer}");
}
