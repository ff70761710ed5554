//! The rules change by a vote, on a real chain whose nodes do not all know it in time.

use std::{fs, os::unix::process::ExitStatusExt, path::Path, process::Command};

use plasma_app::{abci::EXIT_UPGRADE, files::GenesisAccount};
use plasma_testnet::{
    comet::{Network, NetworkSpec, Validator, until},
    process::Programs,
    rig::Xpl,
};
use serde_json::{Value, json};

const XPL: u128 = 1_000_000;
/// As `plasmad-next` knows it.
const UPGRADE: &str = "second";
/// Seconds of chain time in which votes are counted: enough for a machine that is busy with other things.
const VOTING_S: u64 = 30;
/// Blocks from the proposal to its height, of a fifth of a second at least: the vote ends well before.
const BLOCKS_AHEAD: u64 = VOTING_S * 5 * 2;

fn validators_max(node: &Validator) -> u64 {
    let params = node.rest("/cosmos/staking/v1beta1/params").unwrap();
    params["params"]["max_validators"].as_u64().unwrap()
}

fn header(node: &Validator, height: u64) -> Value {
    node.rpc(&format!("header?height={height}")).unwrap()["header"].clone()
}

#[test]
#[ignore = "two minutes long"]
fn the_old_program_stops_at_the_height_and_the_next_one_goes_on() {
    let next = Path::new(env!("CARGO_BIN_EXE_plasmad-next"));
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let names = ["early", "late"];
    let operators = names.map(|name| keyring.add_key(name).unwrap());
    let account =
        |address: &String| GenesisAccount { address: address.clone(), amount_uxpl: 100 * XPL };
    let spec = NetworkSpec {
        home: dir.path().into(),
        chain_id: "plasma-upgrade-1".into(),
        validators: names.len(),
        accounts: operators.iter().map(account).collect(),
        port_base: 27_100,
        timeout_commit: "200ms".into(),
        set: [
            r#"governance.min_deposit=[{"denom":"uxpl","amount":"10000000"}]"#.into(),
            "governance.expedited_voting_period=2s".into(),
            format!("governance.voting_period={VOTING_S}s"),
        ]
        .into(),
    };
    let mut network = Network::up_for(&spec, &operators, &programs, |_| Ok(())).unwrap();
    network.wait_for_block(2).unwrap();
    let xpl = keyring.at(&network.validators[0].urls);

    // A proposal with a plan passes.
    let height = network.validators[0].height().unwrap() + BLOCKS_AHEAD;
    let authority = xpl.json(&["gov", "authority"]).unwrap()["authority"].clone();
    let message = json!({
        "@type": "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade",
        "authority": authority,
        "plan": { "name": UPGRADE, "height": height.to_string(), "info": "https://plasma.example/second" },
    });
    let file = dir.path().join("upgrade.json");
    fs::write(&file, message.to_string()).unwrap();
    let submit =
        ["gov", "submit", "--from", "early", "--title", "Second", "--summary", "More room"];
    let rest = ["--deposit", "10xpl", file.to_str().unwrap()];
    let made = xpl.json(&[&submit[..], &rest].concat()).unwrap();
    assert_eq!(made["proposal_id"], "1", "{made}");
    std::thread::scope(|scope| {
        for name in names {
            let vote = || xpl.json(&["gov", "vote", "--from", name, "1", "yes"]).unwrap();
            scope.spawn(vote);
        }
    });
    let shown = until("the end of the vote", || {
        let shown = xpl.json(&["gov", "show", "1"]).unwrap();
        (shown["status"] != "PROPOSAL_STATUS_VOTING_PERIOD").then_some(shown)
    })
    .unwrap();
    assert_eq!(shown["status"], "PROPOSAL_STATUS_PASSED", "{shown}");
    for node in &network.validators {
        let plan = until("the plan", || {
            let plan = node.rest("/cosmos/upgrade/v1beta1/current_plan").unwrap();
            plan["plan"].is_object().then_some(plan)
        })
        .unwrap();
        assert_eq!(plan["plan"]["name"], UPGRADE);
        assert_eq!(plan["plan"]["height"], height.to_string());
    }
    let unknown = |node: &Validator| {
        let page = reqwest::blocking::get(format!("http://{}/metrics", node.metrics)).unwrap();
        let page = page.text().unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix("plasma_upgrade_height "));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(unknown(&network.validators[1]), height);

    // One installs the next release at once, the other does not.
    network.validators[0].install(next);
    network.validators[0].restart().unwrap();
    until("the next release", || network.validators[0].height().is_ok().then_some(())).unwrap();
    assert_eq!(unknown(&network.validators[0]), 0);
    assert!(network.validators[0].height().unwrap() < height - 1, "the upgrade came too early");
    let ended =
        until("the old program's end", || network.validators[1].plasmad_ended().unwrap()).unwrap();
    assert_eq!(ended.code(), Some(EXIT_UPGRADE.into()), "{:?}", ended.signal());
    let log = network.validators[1].plasmad_log().unwrap();
    let last = log.lines().last().unwrap();
    for words in
        [UPGRADE, &height.to_string(), "install the release", "https://plasma.example/second"]
    {
        assert!(last.contains(words), "{words} is not in {last}");
    }
    // Half of the power makes no block; nothing of it was done.
    network.validators[1].stop();
    assert_eq!(network.validators[0].height().unwrap(), height - 1);
    assert_eq!(validators_max(&network.validators[0]), 100);
    // Who starts the old program again is told the same.
    let home = network.validators[1].home.clone();
    let again = Command::new(&programs.plasmad).arg("start").arg("--home").arg(&home).output();
    let again = again.unwrap();
    assert_eq!(again.status.code(), Some(EXIT_UPGRADE.into()));
    let told = String::from_utf8(again.stderr).unwrap();
    assert!(told.lines().last().unwrap().contains("install the release"), "{told}");

    // With the next release the chain goes on by the new rules.
    network.validators[1].install(next);
    network.validators[1].restart().unwrap();
    network.wait_for_block(height + 2).unwrap();
    for node in &network.validators {
        assert_eq!(validators_max(node), 101);
        let applied = node.rest(&format!("/cosmos/upgrade/v1beta1/applied_plan/{UPGRADE}"));
        assert_eq!(applied.unwrap()["height"], height.to_string());
    }
    let version = |height| header(&network.validators[0], height)["version"]["app"].clone();
    assert_eq!([version(height), version(height + 1)], [json!("1"), json!("2")]);

    // And a new node that has the next release alone replays it from the genesis on.
    let later = Programs { plasmad: next.into(), ..programs.clone() };
    let third = network.join(&later, |_| Ok(())).unwrap();
    network.wait_for_block(height + 2).unwrap();
    assert_eq!(validators_max(&network.validators[third]), 101);
    for at in [2, height - 1, height, height + 1, height + 2] {
        let hashes: Vec<_> =
            network.validators.iter().map(|node| header(node, at)["app_hash"].clone()).collect();
        assert!(hashes[0].is_string() && hashes.iter().all(|hash| *hash == hashes[0]), "{at}");
    }
    let status = network.validators[third].rpc("status").unwrap();
    assert_eq!(status["sync_info"]["earliest_block_height"], "1", "it executed every block");
}
