//! The whole walk with real processes: cometbft, plasmad, gpu-node and xpl.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use plasma_app::files::GenesisAccount;
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    process::Programs,
    rig::{Rig, Weights, Xpl},
};
use serde_json::Value;

const XPL: u128 = 1_000_000;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn spec(home: &std::path::Path, port_base: u16, validators: usize) -> NetworkSpec {
    NetworkSpec {
        home: home.into(),
        chain_id: "plasma-e2e-1".into(),
        validators,
        accounts: Vec::new(),
        port_base,
        timeout_commit: "300ms".into(),
        set: [
            "market.dispute_window_blocks=2",
            "market.dispute_window_s=1",
            "market.assign_timeout_s=60",
        ]
        .map(String::from)
        .into(),
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn job(xpl: &Xpl, id: &str) -> Value {
    xpl.json(&["job", "show", id]).unwrap()["job"].clone()
}

fn submit(xpl: &Xpl, model: &str, question: &str) -> String {
    xpl.submit(model, "16", question).unwrap()
}

fn settle(xpl: &Xpl, id: &str) -> Value {
    let ended = until("the job's end", || {
        let job = job(xpl, id);
        let state = job["state"].as_str().unwrap_or_default();
        ["JOB_STATE_SETTLED", "JOB_STATE_REFUNDED"].contains(&state).then_some(job)
    });
    let amount = |field: &str| ended[field].as_str().unwrap().parse::<u128>().unwrap();
    assert_eq!(
        amount("max_fee_uxpl"),
        amount("charge_uxpl") + amount("duty_fee_uxpl") + amount("refund_uxpl"),
        "{ended}"
    );
    ended
}

#[test]
fn a_job_is_bought_answered_paid_and_verified_through_crashes() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let alice = keyring.add_key("alice").unwrap();
    let bob = keyring.add_key("bob").unwrap();
    let rig = Rig::prepare(&programs, &keyring, dir.path(), 0, 27_620).unwrap();
    let mut spec = spec(dir.path(), 27_600, 1);
    spec.accounts.push(GenesisAccount { address: alice.clone(), amount_uxpl: 100 * XPL });
    spec.accounts.extend(rig.accounts());
    let mut network = Network::up(&spec, &programs).unwrap();
    let urls = network.validators[0].urls.clone();
    let xpl = keyring.at(&urls);

    // Money moves.
    xpl.json(&["bank", "send", "--from", "alice", &bob, "1.5xpl"]).unwrap();
    let balance = xpl.json(&["bank", "balance", &bob]).unwrap();
    assert!(balance.to_string().contains("1500000"), "{balance}");

    // A job is bought, answered, paid, and repeated from its receipt.
    let model = rig.register(&xpl, &urls, &Weights::Tiny).unwrap();
    let mut node = rig.start().unwrap();
    let first = submit(&xpl, &model, "What is the capital of France?");
    let ended = settle(&xpl, &first);
    assert_eq!(ended["state"], "JOB_STATE_SETTLED", "{ended}\n{}", node.log_tail());
    assert_eq!(ended["outcome"], "OUTCOME_OK");
    let models = rig.home.join("models").display().to_string();
    let verified = xpl.command(&["verify", &first, "--models", &models]).output().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    // By numbers, from the leaves that the rig shows, the receipt proven to be the chain's.
    let shown = "http://127.0.0.1:27620";
    let args = ["--models", &models, "--evidence", shown, "--tolerant", "--prove"];
    let told = xpl.json(&[&["verify", &first][..], &args].concat()).unwrap();
    assert_eq!((&told["verified"], &told["tier"]), (&true.into(), &"tolerant".into()), "{told}");
    assert!(told["proven_height"].as_u64() > Some(0), "{told}");
    let checks = told["checks"].as_array().unwrap();
    assert!(checks.len() >= 12 && checks.iter().all(|check| check["ok"] == true), "{told}");

    // Rig and chain are killed without warning, in the middle of work; both go on.
    let second = submit(&xpl, &model, "Tell me a story about the sea.");
    node.kill();
    let mut node = rig.start().unwrap();
    network.validators[0].kill();
    thread::sleep(Duration::from_millis(500));
    network.validators[0].restart().unwrap();
    let height = until("the chain's return", || network.validators[0].height().ok());
    network.wait_for_block(height).unwrap();
    let ended = settle(&xpl, &second);
    assert_eq!(ended["state"], "JOB_STATE_SETTLED", "{ended}\n{}", node.log_tail());

    // A refused transaction is one sentence and a code.
    let poor = xpl
        .command(&["bank", "send", "--from", "bob", &alice, "1000xpl", "--output", "json"])
        .output()
        .unwrap();
    assert_eq!(poor.status.code(), Some(1), "{poor:?}");
    let error: Value = serde_json::from_slice(&poor.stderr).unwrap();
    assert_eq!(error["error"]["code"], 5, "{error}");

    node.stop();
    network.check_disk(&programs).unwrap();
    // No log names a key, a password or a prompt.
    let log = fs::read_to_string(rig.home.join("logs/gpu-node.log")).unwrap();
    assert!(!log.contains("capital of France") && !log.contains(plasma_testnet::rig::PASSWORD));
}

#[test]
fn four_validators_agree() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let mut network = Network::up(&spec(dir.path(), 27_700, 4), &programs).unwrap();
    network.wait_for_block(5).unwrap();
    let hashes: Vec<Value> = network
        .validators
        .iter()
        .map(|validator| {
            let url = format!("{}/header?height=5", validator.urls.rpc);
            let header: Value = reqwest::blocking::get(url).unwrap().json().unwrap();
            header["result"]["header"]["app_hash"].clone()
        })
        .collect();
    assert!(hashes[0].is_string() && hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
}

/// CometBFT can be told to die at each of its own steps around a block's execution and commit; the
/// chain goes on after every one of them. Minutes long: `make test-long`.
#[test]
#[ignore = "minutes long"]
fn the_chain_goes_on_after_a_crash_at_every_step() {
    /// The steps of a few blocks.
    const STEPS: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let mut network = Network::up(&spec(dir.path(), 27_800, 1), &programs).unwrap();
    for step in 0..=STEPS {
        let before = network.validators[0].height().unwrap();
        network.validators[0].cometbft_env = vec![("FAIL_TEST_INDEX".into(), step.to_string())];
        network.validators[0].restart().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while !network.validators[0].cometbft_ended().unwrap() {
            assert!(Instant::now() < end, "step {step}: CometBFT did not die");
            thread::sleep(Duration::from_millis(50));
        }
        network.validators[0].kill();
        network.validators[0].cometbft_env.clear();
        network.validators[0].restart().unwrap();
        network.wait_for_block(before + 1).unwrap_or_else(|error| panic!("step {step}: {error}"));
    }
}

/// What a job brings beside its charge: a price, an index, and a part of what the epoch makes.
#[test]
#[ignore = "an epoch lasts a minute"]
fn work_is_in_the_prices_and_rewarded() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let alice = keyring.add_key("alice").unwrap();
    let rig = Rig::prepare(&programs, &keyring, dir.path(), 0, 27_670).unwrap();
    let mut spec = spec(dir.path(), 27_650, 1);
    spec.set.push("reward.epoch_s=60".into());
    spec.accounts.push(GenesisAccount { address: alice, amount_uxpl: 100 * XPL });
    spec.accounts.extend(rig.accounts());
    let network = Network::up(&spec, &programs).unwrap();
    let urls = network.validators[0].urls.clone();
    let xpl = keyring.at(&urls);
    let model = rig.register(&xpl, &urls, &Weights::Tiny).unwrap();
    let node = rig.start().unwrap();
    let told = |args: &[&str]| {
        let output = xpl.command(args).output().unwrap();
        assert!(output.status.success(), "xpl {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let amount = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();

    let first = submit(&xpl, &model, "What is the capital of France?");
    let ended = settle(&xpl, &first);
    assert_eq!(ended["state"], "JOB_STATE_SETTLED", "{ended}\n{}", node.log_tail());
    let charge = amount(&ended["charge_uxpl"]);
    assert!(charge > 0);
    let prices = xpl.json(&["price", "list"]).unwrap();
    assert_eq!(prices.as_array().unwrap().len(), 1, "{prices}");
    assert_eq!(prices[0]["price_uxpl_per_mtok"], "100", "the first payment begins at the floor");
    let text = told(&["price", "list"]);
    assert!(text.contains("tiny") && text.contains("0.0001 XPL"), "{text}");
    let shown = xpl.json(&["price", "show", "tiny"]).unwrap();
    assert_eq!(shown["price"]["proven_slots"], "1", "{shown}");
    assert!(told(&["price", "show", "tiny"]).contains("proven slots"));
    assert!(told(&["price", "history", "tiny"]).contains("no hour is closed yet"));

    // Its epoch ends, and gives back a part of what the job burned.
    let operator = rig.operator.as_str();
    let rewarded = until("the epoch's end", || {
        let shown = xpl.json(&["reward", "show", operator]).unwrap();
        (amount(&shown["claimable_uxpl"]) > 0).then_some(shown)
    });
    let epochs = xpl.json(&["reward", "epochs"]).unwrap();
    let paid = epochs["ended"].as_array().unwrap().iter().find(|one| one["providers"] != 0);
    let paid = paid.unwrap_or_else(|| panic!("{epochs}"));
    assert_eq!(amount(&paid["charge_uxpl"]), charge, "{paid}");
    let claimable = amount(&rewarded["claimable_uxpl"]);
    assert_eq!(amount(&paid["emission_uxpl"]), claimable, "{paid}");
    assert!(claimable < amount(&paid["burn_uxpl"]), "{paid}");
    let text = told(&["reward", "epochs"]);
    assert!(text.contains("EPOCH") && text.contains("BURNED"), "{text}");
    assert!(told(&["reward", "yields"]).contains(&rig.operator_address));
    let balance = || amount(&xpl.json(&["bank", "balance", operator]).unwrap()["balance_uxpl"]);
    let before = balance();
    let text = told(&["reward", "claim", "--from", operator, "--fee", "5000uxpl"]);
    assert!(text.contains("claimed"), "{text}");
    let after = xpl.json(&["reward", "show", operator]).unwrap();
    assert_eq!(after["claimable_uxpl"], "0", "{after}");
    assert!(before + claimable - balance() <= 5_000, "{before} {claimable} {}", balance());
}
