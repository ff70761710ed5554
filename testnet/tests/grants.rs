//! Fees and messages that others grant, on a real chain, by `xpl` and by CosmJS.

mod cosmjs;

use std::{fs, path::Path};

use plasma_app::files::GenesisAccount;
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    process::Programs,
    rig::Xpl,
};
use serde_json::Value;

const XPL: u128 = 1_000_000;

fn spec(home: &Path, port_base: u16, account: &str) -> NetworkSpec {
    NetworkSpec {
        home: home.into(),
        chain_id: "plasma-grants-1".into(),
        validators: 1,
        accounts: vec![GenesisAccount { address: account.into(), amount_uxpl: 100 * XPL }],
        port_base,
        timeout_commit: "200ms".into(),
        set: Vec::new(),
    }
}

#[test]
fn xpl_grants_fees_and_messages() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let (alice, bob) = (keyring.add_key("alice").unwrap(), keyring.add_key("bob").unwrap());
    let network = Network::up(&spec(dir.path(), 28_100, &alice), &programs).unwrap();
    let xpl = keyring.at(&network.validators[0].urls);
    let balance = |name: &str| {
        let shown = xpl.json(&["bank", "balance", name]).unwrap();
        shown["balance_uxpl"].as_str().unwrap().parse::<u128>().unwrap()
    };

    // bob begins with nothing but alice's word.
    let grant = ["feegrant", "grant", "--from", "alice", "bob", "--limit", "1xpl"];
    xpl.json(&[&grant[..], &["--expires", "1d", "--message", "MsgSend"]].concat()).unwrap();
    let shown = xpl.json(&["account", "show", "bob"]).unwrap();
    assert_eq!(shown["account"]["@type"], "/cosmos.auth.v1beta1.BaseAccount");
    assert_eq!(shown["spendable_uxpl"], "100");
    let before = balance("alice");
    let pay = ["bank", "send", "--from", "bob", "alice", "40uxpl"];
    let failed = xpl.json(&pay).unwrap_err().to_string();
    assert!(failed.contains("spendable balance"), "{failed}");
    xpl.json(&[&pay[..], &["--fee-granter", "alice"]].concat()).unwrap();
    assert_eq!(balance("bob"), 60);
    assert!(balance("alice") < before);
    let listed = xpl.json(&["feegrant", "list", "bob"]).unwrap();
    assert_eq!(listed["has"][0]["granter"], Value::from(alice.clone()), "{listed}");
    let listed =
        String::from_utf8(xpl.command(&["feegrant", "list", "alice"]).output().unwrap().stdout);
    assert!(listed.unwrap().contains("for MsgSend alone"));

    // bob sends as alice.
    let may = ["authz", "grant", "--from", "alice", "bob", "--spend-limit", "2xpl"];
    xpl.json(&may).unwrap();
    let file = dir.path().join("messages.json");
    let message = serde_json::json!({
        "@type": "/cosmos.bank.v1beta1.MsgSend",
        "from_address": alice,
        "to_address": bob,
        "amount": [{ "denom": "uxpl", "amount": "1500000" }],
    });
    fs::write(&file, message.to_string()).unwrap();
    let exec = ["authz", "exec", "--from", "bob", file.to_str().unwrap()];
    let wider = ["feegrant", "revoke", "--from", "alice", "bob"];
    xpl.json(&wider).unwrap();
    xpl.json(&["feegrant", "grant", "--from", "alice", "bob"]).unwrap();
    xpl.json(&[&exec[..], &["--fee-granter", "alice"]].concat()).unwrap();
    assert_eq!(balance("bob"), 1_500_060);
    let refused = xpl.json(&exec).unwrap_err().to_string();
    assert!(refused.contains("spend limit"), "{refused}");
    let listed = xpl.json(&["authz", "list", "bob"]).unwrap();
    assert_eq!(listed["has"][0]["authorization"]["spend_limit"][0]["amount"], "500000");
    xpl.json(&["authz", "revoke", "--from", "alice", "bob", "MsgSend"]).unwrap();
    let refused = xpl.json(&exec).unwrap_err().to_string();
    assert!(refused.contains("authorization not found"), "{refused}");
}

/// The published CosmJS grants, uses what was granted, and reads accounts with locked money. Needs
/// node and npm: `make test-long`.
#[test]
#[ignore = "needs node, npm and a package registry"]
fn cosmjs_grants_fees_and_messages() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let alice = cosmjs::recover_alice(&keyring, dir.path());
    let network = Network::up(&spec(dir.path(), 28_150, &alice), &programs).unwrap();
    let rpc = &network.validators[0].urls.rpc;
    let told = cosmjs::run_script("grants.mjs", rpc, dir.path());
    assert!(told.contains("\"locked\":4"), "{told}");
}
