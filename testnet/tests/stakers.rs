//! Stakers, voters and builders on a real chain: by `xpl`, for people and as JSON, and by CosmJS.

mod cosmjs;

use std::{fs, path::Path, process::Output};

use plasma_app::files::GenesisAccount;
use plasma_testnet::{
    comet::{Network, NetworkSpec, until},
    process::Programs,
    rig::Xpl,
};
use serde_json::{Value, json};

const XPL: u128 = 1_000_000;

/// Where a vote that is not urgent stays open, and an urgent one soon ends.
fn spec(home: &Path, port_base: u16, accounts: Vec<GenesisAccount>) -> NetworkSpec {
    NetworkSpec {
        home: home.into(),
        chain_id: "plasma-stakers-1".into(),
        validators: 1,
        accounts,
        port_base,
        timeout_commit: "100ms".into(),
        set: [
            r#"governance.min_deposit=[{"denom":"uxpl","amount":"10000000"}]"#,
            r#"governance.expedited_min_deposit=[{"denom":"uxpl","amount":"20000000"}]"#,
            "governance.voting_period=3600s",
            "governance.expedited_voting_period=6s",
        ]
        .map(String::from)
        .into(),
    }
}

/// What a command said for people, which must go well.
fn told(xpl: &Xpl, args: &[&str]) -> String {
    let output = xpl.command(args).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "xpl {args:?}: {text}{errors}");
    println!("$ xpl {}\n{text}{errors}", args.join(" "));
    text
}

/// A command in both forms; the text must hold each of these.
fn both(xpl: &Xpl, args: &[&str], words: &[&str]) -> Value {
    let text = told(xpl, args);
    for word in words {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    let json = xpl.json(args).unwrap();
    println!("{json:#}");
    json
}

/// A command that fails: its exit code, its codespace and code; the message holds `words`.
fn fails(xpl: &Xpl, args: &[&str], exit: i32, code: (&str, u64), words: &str) {
    let output: Output = xpl.command(args).args(["--output", "json"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "xpl {args:?}");
    println!("$ xpl {}\n{text}", args.join(" "));
    let error: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
        .or_else(|_| serde_json::from_str(&text))
        .unwrap_or_else(|_| panic!("xpl {args:?}: {text}"));
    let error = &error["error"];
    assert_eq!(output.status.code(), Some(exit), "xpl {args:?}: {error}");
    let got = (error["codespace"].as_str().unwrap(), error["code"].as_u64().unwrap());
    assert_eq!(got, code, "xpl {args:?}: {error}");
    assert!(error["message"].as_str().unwrap().contains(words), "xpl {args:?}: {error}");
    // For people: one sentence, and the same exit code.
    let output = xpl.command(args).output().unwrap();
    assert_eq!(output.status.code(), Some(exit), "xpl {args:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(words) && !text.contains("panicked"), "{text}");
    println!("{text}");
}

#[test]
fn xpl_stakes_votes_and_builds() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let mut accounts = Vec::new();
    for (name, xpl) in
        [("alpha", 1_000), ("beta", 1_000), ("alice", 200_000), ("bob", 100), ("carol", 100)]
    {
        let address = keyring.add_key(name).unwrap();
        accounts.push(GenesisAccount { address, amount_uxpl: xpl * XPL });
    }
    let operators = [accounts[0].address.clone()];
    let spec = spec(dir.path(), 27_200, accounts);
    let mut network = Network::up_for(&spec, &operators, &programs, |_| Ok(())).unwrap();
    network.wait_for_block(2).unwrap();
    let xpl = keyring.at(&network.validators[0].urls);

    stakes(&xpl);
    votes(&xpl, dir.path());
    builds(&xpl, dir.path());
    looks_at_prices_and_rewards(&xpl);
}

fn stakes(xpl: &Xpl) {
    // A second validator; nobody runs it, but it has next to no power.
    let create = ["stake", "create", "--from", "beta", "--moniker", "Beta", "--self", "100xpl"];
    let pubkey = "Jx0m2Xbb0YzV0P3k5CFmHn3p0cXo0Xo4m0mQ0aQ9b1E=";
    fails(
        xpl,
        &[&create[..], &["--pubkey", "abc"]].concat(),
        2,
        ("xpl", 2),
        "the consensus key is not 32 bytes",
    );
    let too_much = ["--pubkey", pubkey, "--commission", "30%"];
    fails(xpl, &[&create[..], &too_much].concat(), 2, ("xpl", 2), "--commission-max");
    let text = told(xpl, &[&create[..], &["--pubkey", pubkey, "--details", "Second"]].concat());
    assert!(text.contains("Beta is a validator: xplvaloper1"), "{text}");
    fails(xpl, &[&create[..], &["--pubkey", pubkey]].concat(), 1, ("staking", 4), "validator");
    let edit = ["stake", "edit", "--from", "beta", "--website", "https://beta.example"];
    let done = xpl.json(&edit).unwrap();
    assert!(done["hash"].is_string() || done["txhash"].is_string(), "{done}");
    let list = both(xpl, &["stake", "validators"], &["NAME", "node0", "Beta", "validating"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    let shown = both(
        xpl,
        &["stake", "show", "Beta"],
        &["https://beta.example", "Second", "5% (never above 20%, moves by at most 1% a day)"],
    );
    assert_eq!(shown["description"]["moniker"], "Beta", "an edit leaves what was not given");
    assert_eq!(shown["tokens"], "100000000");
    assert_eq!(shown["commission"]["commission_rates"]["rate"], "0.050000000000000000");

    // Stake goes there, moves, comes back, and goes back to work.
    let from = ["--from", "alice"];
    let run = |args: &[&str]| told(xpl, &[args, &from].concat());
    let json = |args: &[&str]| xpl.json(&[args, &from].concat()).unwrap();
    let text = run(&["stake", "delegate", "node0", "100000xpl"]);
    assert!(text.contains("100,000 XPL staked with node0 (xplvaloper1"), "{text}");
    json(&["stake", "delegate", "Beta", "10xpl"]);
    let text = run(&["stake", "redelegate", "node0", "Beta", "5xpl"]);
    assert!(text.contains("5 XPL moved from node0"), "{text}");
    json(&["stake", "undelegate", "node0", "7xpl"]);
    let text = run(&["stake", "undelegate", "node0", "3xpl"]);
    assert!(text.contains("3 XPL leave node0") && text.contains("21d"), "{text}");
    let list = both(
        xpl,
        &["stake", "list", "alice"],
        &["VALIDATOR", "99,985 XPL", "15 XPL", "COMES BACK FROM", "7 XPL", "MOVED FROM", "5 XPL"],
    );
    assert_eq!(list["delegations"].as_array().unwrap().len(), 2);
    let entries = list["unbonding"][0]["entries"].as_array().unwrap().clone();
    assert_eq!(entries.len(), 2, "{list}");
    let cancel = ["stake", "cancel-unbonding", "node0", "3xpl"];
    fails(xpl, &[&cancel[..], &from].concat(), 2, ("xpl", 2), "2 amounts come back from node0");
    let height = entries.iter().find(|entry| entry["balance"] == "3000000").unwrap();
    let height = height["creation_height"].as_str().unwrap();
    let text = run(&[&cancel[..], &["--height", height]].concat());
    assert!(text.contains("3 XPL are staked with node0"), "{text}");
    json(&["stake", "cancel-unbonding", "node0", "7xpl"]);
    let list = xpl.json(&["stake", "list", "alice"]).unwrap();
    assert_eq!(list["unbonding"], Value::Array(Vec::new()), "{list}");

    // What it earned, once there is more than a rest.
    until("something earned", || {
        let list = xpl.json(&["stake", "list", "alice"]).unwrap();
        let total = list["rewards"]["total"][0]["amount"].as_str()?;
        (!total.starts_with("0.")).then_some(())
    })
    .unwrap();
    let text = run(&["stake", "withdraw"]);
    assert!(text.contains("earned and paid out"), "{text}");
    assert!(!text.starts_with("✓ 0 XPL"), "{text}");
    json(&["stake", "withdraw", "node0"]);
    let text = told(xpl, &["stake", "withdraw", "--commission", "--from", "alpha"]);
    assert!(text.contains("earned and paid out"), "{text}");
    run(&["stake", "withdraw-to", "carol"]);
    let list = xpl.json(&["stake", "list", "alice"]).unwrap();
    assert_eq!(list["withdraw_address"], xpl.address("carol").unwrap().as_str());
    let pool = both(xpl, &["stake", "pool"], &["staked", "1,100,110 XPL", "21d", "5.00% a year"]);
    assert_eq!(pool["pool"]["bonded_tokens"], "1100110000000");
    assert_eq!(pool["params"]["max_validators"], 100);

    for (args, exit, code, words) in [
        (&["stake", "delegate", "nobody", "5xpl"][..], 2, ("xpl", 2), "\"nobody\" is no validator"),
        (&["stake", "delegate", "node0", "5000000xpl"], 1, ("sdk", 5), "XPL"),
        (&["stake", "delegate", "node0", "5"], 2, ("xpl", 2), "say the unit"),
        (&["stake", "undelegate", "node0", "5000000xpl"], 1, ("staking", 24), ""),
        (&["stake", "redelegate", "node0", "node0", "5xpl"], 1, ("staking", 29), ""),
        (&["stake", "redelegate", "Beta", "node0", "1xpl"], 1, ("staking", 32), ""),
        (&["stake", "cancel-unbonding", "node0", "1xpl"], 2, ("xpl", 2), "nothing comes back"),
        (&["stake", "unjail"], 1, ("slashing", 2), ""),
        (&["stake", "show", "carol"], 1, ("sdk", 22), ""),
    ] {
        fails(xpl, &[args, &from].concat(), exit, code, words);
    }
}

fn votes(xpl: &Xpl, dir: &Path) {
    let submit = ["gov", "submit", "--title", "Colour", "--summary", "Is blue nicer?"];
    let submit = [&submit[..], &["--from", "alice"]].concat();
    fails(xpl, &[&submit[..], &["--deposit", "1uxpl"]].concat(), 1, ("gov", 16), "");
    let text = told(xpl, &[&submit[..], &["--deposit", "2xpl"]].concat());
    assert!(text.contains("proposal 1 is made") && text.contains("xpl gov show 1"), "{text}");
    let shown = both(
        xpl,
        &["gov", "show", "1"],
        &["Colour", "deposit", "2 XPL of 10 XPL", "Is blue nicer?"],
    );
    assert_eq!(shown["status"], "PROPOSAL_STATUS_DEPOSIT_PERIOD");
    fails(xpl, &["gov", "vote", "1", "yes", "--from", "alice"], 1, ("gov", 3), "");
    let text = told(xpl, &["gov", "deposit", "1", "8xpl", "--from", "bob"]);
    assert!(text.contains("8 XPL deposited on proposal 1"), "{text}");
    xpl.json(&["gov", "deposit", "1", "1xpl", "--from", "bob"]).unwrap();
    xpl.json(&["gov", "vote", "1", "no", "--from", "alpha"]).unwrap();
    let text = told(xpl, &["gov", "vote", "1", "yes=70%", "abstain=30%", "--from", "alice"]);
    assert!(text.contains("voted on proposal 1: yes 70%, abstain 30%"), "{text}");
    let shown = both(
        xpl,
        &["gov", "show", "1"],
        &["voting", "11 XPL of 10 XPL", "yes", "no", "veto", "it takes 33.4%"],
    );
    let tally = &shown["tally"];
    // alice has 99,995 XPL with node0 and 15 with Beta; alpha's million votes no.
    assert_eq!(tally["yes_count"], "70007000000", "{tally}");
    assert_eq!(tally["abstain_count"], "30003000000", "{tally}");
    assert_eq!(tally["no_count"], "1000000000000", "{tally}");
    let cast = both(xpl, &["gov", "votes", "1"], &["VOTER", "yes 70%, abstain 30%", "no"]);
    assert_eq!(cast.as_array().unwrap().len(), 2);
    let list = both(xpl, &["gov", "list"], &["ID", "Colour", "voting"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    both(xpl, &["gov", "list", "--status", "passed"], &["no proposals"]);
    both(xpl, &["gov", "params"], &["10 XPL", "33.4%"]);
    for (args, exit, code, words) in [
        (&["gov", "vote", "1", "maybe"][..], 2, ("xpl", 2), "is no vote"),
        (&["gov", "vote", "1", "yes=70%"], 2, ("xpl", 2), "the parts make 70%, not 100%"),
        (&["gov", "vote", "99", "yes"], 1, ("gov", 3), ""),
        (&["gov", "show", "99"], 1, ("sdk", 22), ""),
        (&["gov", "deposit", "99", "1xpl"], 1, ("gov", 2), ""),
        (&["gov", "cancel", "1"], 1, ("gov", 18), ""),
    ] {
        fails(xpl, &[args, &["--from", "bob"]].concat(), exit, code, words);
    }
    // A parameter as the REST port shows it goes into a proposal as it is.
    let update = json!({
        "@type": "/cosmos.distribution.v1beta1.MsgUpdateParams",
        "authority": xpl.json(&["gov", "authority"]).unwrap()["authority"],
        "params": {
            "community_tax": "0.025000000000000000",
            "base_proposer_reward": "0.000000000000000000",
            "bonus_proposer_reward": "0.000000000000000000",
            "withdraw_addr_enabled": true,
        },
    });
    let file = dir.join("update.json");
    fs::write(&file, update.to_string()).unwrap();
    let submit = ["gov", "submit", file.to_str().unwrap(), "--title", "Tax", "--summary", "Less"];
    xpl.json(&[&submit[..], &["--deposit", "1xpl", "--from", "alice"]].concat()).unwrap();
    let shown = both(xpl, &["gov", "show", "2"], &["message 1", "0.025000000000000000"]);
    let tax = &shown["messages"][0]["params"]["community_tax"];
    assert_eq!(tax, "0.025000000000000000", "{shown}");
    let text = told(xpl, &["gov", "cancel", "1", "--from", "alice"]);
    assert!(text.contains("proposal 1 is taken back"), "{text}");
    fails(xpl, &["gov", "show", "1"], 1, ("sdk", 22), "");
}

fn builds(xpl: &Xpl, dir: &Path) {
    let draft = ["grant", "draft", "bob", "--title", "Explorer", "--milestone", "Design=2xpl"];
    let draft = [&draft[..], &["--milestone", "Launch=3xpl", "--reviewer", "carol"]].concat();
    let message = told(xpl, &draft);
    let file = dir.join("grant.json");
    fs::write(&file, message).unwrap();
    let submit = ["gov", "submit", file.to_str().unwrap(), "--title", "A grant"];
    let rest =
        ["--summary", "For an explorer", "--deposit", "20xpl", "--expedited", "--from", "alice"];
    let made = xpl.json(&[&submit[..], &rest].concat()).unwrap();
    assert_eq!(made["proposal_id"], "3", "{made}");
    xpl.json(&["gov", "vote", "3", "yes", "--from", "alpha"]).unwrap();
    told(xpl, &["grant", "fund", "9xpl", "--from", "alice"]);
    let shown = until("the end of the vote", || {
        let shown = xpl.json(&["gov", "show", "3"]).unwrap();
        (shown["status"] != "PROPOSAL_STATUS_VOTING_PERIOD").then_some(shown)
    })
    .unwrap();
    assert_eq!(shown["status"], "PROPOSAL_STATUS_PASSED", "{shown}");
    both(xpl, &["gov", "show", "3"], &["passed", "message 1", "MsgCreateGrant", "Explorer"]);
    let pool = both(xpl, &["grant", "pool"], &["XPL"]);
    let pool: u128 = pool["pool_uxpl"].as_str().unwrap().parse().unwrap();
    assert!((4 * XPL..5 * XPL).contains(&pool), "{pool}");

    let list = both(xpl, &["grant", "list"], &["Explorer", "open", "0 of 2", "5 XPL"]);
    assert_eq!(list.as_array().unwrap().len(), 1);
    let words = ["Design", "next", "Launch", "later", "1 of its reviewers, or a vote"];
    both(xpl, &["grant", "show", "1"], &words);
    let bob = |xpl: &Xpl| -> u128 {
        let shown = xpl.json(&["bank", "balance", "bob"]).unwrap();
        shown["balance_uxpl"].as_str().unwrap().parse().unwrap()
    };
    let before = bob(xpl);
    for (args, exit, code, words) in [
        (&["grant", "approve", "1", "--from", "alice"][..], 1, ("grants", 5), ""),
        (&["grant", "approve", "9", "--from", "carol"], 1, ("sdk", 22), ""),
        (&["grant", "return", "1", "--from", "carol"], 1, ("grants", 9), ""),
        (
            &["grant", "draft", "bob", "--title", "x", "--milestone", "Design"],
            2,
            ("xpl", 2),
            "is no milestone",
        ),
    ] {
        fails(xpl, args, exit, code, words);
    }
    let text = told(xpl, &["grant", "approve", "1", "--from", "carol"]);
    assert!(text.contains("\"Design\" of grant 1 is approved"), "{text}");
    assert_eq!(bob(xpl), before + 2 * XPL, "the milestone is paid");
    both(xpl, &["grant", "show", "1"], &["2 XPL of 5 XPL", "paid", "next"]);
    let back = xpl.json(&["grant", "return", "1", "--from", "bob"]).unwrap();
    assert!(back.is_object(), "{back}");
    let shown = both(xpl, &["grant", "show", "1"], &["cancelled", "3 XPL", "never"]);
    assert_eq!(shown["returned_uxpl"], "3000000", "{shown}");
    fails(
        xpl,
        &["grant", "approve", "1", "--from", "carol"],
        2,
        ("xpl", 2),
        "no milestone of grant 1 waits",
    );
}

/// Nobody has worked yet; `e2e.rs` looks at what work brings.
fn looks_at_prices_and_rewards(xpl: &Xpl) {
    let prices = both(xpl, &["price", "list"], &["no model was paid for lately"]);
    assert_eq!(prices, Value::Array(Vec::new()));
    fails(xpl, &["price", "show", "tiny"], 1, ("market", 3), "no model is called");
    let epochs = both(xpl, &["reward", "epochs"], &["EPOCH", "PROVIDERS"]);
    assert!(epochs["current"].is_object() && epochs["ended"].is_array(), "{epochs}");
    both(xpl, &["reward", "yields"], &["no provider was rewarded yet"]);
    fails(xpl, &["reward", "show", "alice"], 1, ("sdk", 22), "");
    fails(xpl, &["reward", "claim", "--from", "alice"], 1, ("sdk", 22), "");
}

/// The published CosmJS stakes, votes and reads what comes of it. Needs node and npm: `make test-long`.
#[test]
#[ignore = "needs node, npm and a package registry"]
fn cosmjs_stakes_and_votes() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let address = cosmjs::recover_alice(&keyring, dir.path());
    let accounts = vec![GenesisAccount { address, amount_uxpl: 300_000 * XPL }];
    let mut network = Network::up(&spec(dir.path(), 27_250, accounts), &programs).unwrap();
    network.wait_for_block(2).unwrap();
    let rpc = &network.validators[0].urls.rpc;
    let told = cosmjs::run_script("stake.mjs", rpc, dir.path());
    assert!(told.contains("\"proposals\":3"), "{told}");
}
