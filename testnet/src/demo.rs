//! The main job on a real chain: one question asked, answered, paid and verified.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use plasma_app::files::GenesisAccount;
use serde_json::Value;

use crate::{
    comet::{Network, NetworkSpec, operator_of},
    process::{self, Programs},
    rig::{Rig, Weights, Xpl},
};

/// What the asker holds at genesis, uxpl.
const ALICE_UXPL: u128 = 100 * 1_000_000;

/// Ports of the demo, apart from those of a localnet.
const PORT_BASE: u16 = 28_600;

/// Which block a question is about, and which one an answer is about.
const HEIGHT_HEADER: &str = plasma_app::doors::HEIGHT_HEADER;
const REPLY_HEIGHT_HEADER: &str = "grpc-metadata-x-cosmos-block-height";

/// How long the job may take from submission to payment.
const JOB_TIMEOUT: Duration = Duration::from_secs(180);

/// Genesis parameters of the demo: windows so short that one can watch.
const PARAMS: [&str; 4] = [
    "market.dispute_window_blocks=3",
    "market.dispute_window_s=2",
    "market.assign_timeout_s=90",
    "market.unbond_s=10",
];

/// What the demo asks for.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Folder with a model; without one, the tiny random model of the tests answers
    #[arg(long, value_name = "DIR")]
    pub weights: Option<PathBuf>,
    /// What is asked
    #[arg(long, default_value = "What is the capital of France?")]
    pub question: String,
    /// First port
    #[arg(long, default_value_t = PORT_BASE)]
    pub port_base: u16,
    /// Folder for the chain; made anew and removed at the end [default: a temporary one]
    #[arg(long)]
    pub home: Option<PathBuf>,
}

fn say(text: &str) {
    println!("\x1b[1m==>\x1b[0m {text}");
}

/// Accounts whose money the story adds up: what they are here, and their addresses.
type Purses = [(&'static str, String)];

/// The money of one block, uxpl: every block mints, so that all of it must be of the same one.
struct Books {
    balances: Vec<u128>,
    supply: u128,
    minted: u128,
    burned: u128,
}

/// Runs the demo. `stop` is set when the user has had enough.
///
/// # Errors
/// A process fails, the job does not end in time, or the money does not add up.
pub fn run_in(options: &Options, home: &PathBuf, stop: &Arc<AtomicBool>) -> Result<()> {
    let started = Instant::now();
    let programs = Programs::find()?;
    fs::create_dir_all(home)?;
    let home = &fs::canonicalize(home)?;

    say("keys: a developer (alice), a rig's operator, and the rig's own two");
    let keyring = Xpl::new(&programs, &home.join("xpl"));
    let alice = keyring.add_key("alice")?;
    let rig = Rig::prepare(&programs, &keyring, home, 0, options.port_base + 10)?;
    let mut accounts = vec![GenesisAccount { address: alice.clone(), amount_uxpl: ALICE_UXPL }];
    accounts.extend(rig.accounts());

    say("a chain: one validator, cometbft and plasmad as two processes");
    let spec = NetworkSpec {
        home: home.clone(),
        chain_id: "plasma-demo-1".into(),
        validators: 1,
        accounts,
        port_base: options.port_base,
        timeout_commit: "500ms".into(),
        set: PARAMS.map(String::from).into(),
    };
    let network = Network::up(&spec, &programs)?;
    let urls = network.validators[0].urls.clone();
    let xpl = keyring.at(&urls);

    let weights = match &options.weights {
        None => Weights::Tiny,
        Some(path) => Weights::Folder {
            path: path.clone(),
            name: "smollm2-135m-instruct".into(),
            licence: "Apache-2.0".into(),
        },
    };
    say("a rig: takes the model into its cache, publishes it, bonds 1,000 XPL, loads the weights");
    let model = rig.register(&xpl, &urls, &weights)?;
    let _gpu_node = rig.start()?;
    if stop.load(Ordering::Relaxed) {
        bail!("interrupted");
    }

    let purses = [
        ("alice", alice),
        ("operator", rig.operator_address.clone()),
        ("reporter", rig.reporter_address.clone()),
        ("validator (tips)", operator_of(0).text()),
        ("stakers and community", plasma_modules::Address::of_module("distribution").text()),
        ("escrow", plasma_modules::Address::of_module("market_escrow").text()),
    ];
    let before = books(&urls.rest, &purses)?;

    say(&format!("alice asks: {}", options.question));
    let submitted = xpl.json(&[
        "job",
        "submit",
        "--from",
        "alice",
        "--model",
        &model,
        "--max-tokens",
        "32",
        "--wait",
        &options.question,
    ])?;
    let id = submitted["job"]["id"].as_str().context("the job's id")?.to_owned();
    say("the answer is in; the chain waits for the dispute window, then pays");
    let shown = settled(&xpl, &id, stop)?;
    let job = &shown["job"];
    let text = |field: &str| job[field].as_str().unwrap_or_default().to_owned();
    ensure!(text("state") == "JOB_STATE_SETTLED", "the job ended as {}", text("state"));
    let answer = shown["payload"]["output"]["text"].as_str().unwrap_or_default();
    ensure!(!answer.is_empty(), "the answer is empty");

    say("alice repeats the work on her own machine");
    let models = rig.home.join("models").display().to_string();
    let verified = process::run(&mut xpl.command(&["verify", &id, "--models", &models]))?;

    let receipt = rest(&urls.rest, &format!("/plasma/attestation/v1/receipts/{id}"))?;
    let receipt = &receipt["receipt"];
    println!();
    println!("  question    {}", options.question);
    println!("  answer      {}", answer.trim());
    println!("  model       {model}");
    println!(
        "  provider    {} on {}",
        text("provider"),
        receipt["receipt"]["kernel_id"].as_str().unwrap_or_default()
    );
    println!(
        "  receipt     job {id}, {} tokens in, {} out, signed by the rig",
        receipt["receipt"]["n_fresh"], receipt["receipt"]["n_out"],
    );
    println!(
        "  checked by  every validator at block {} (key, assignment, counts, hashes, charge)",
        receipt["height"].as_str().unwrap_or_default()
    );
    for line in verified.lines().filter(|line| !line.trim().is_empty()) {
        println!("              {}", line.trim());
    }
    println!();
    println!("  paid        {} uxpl, of it", text("charge_uxpl"));
    for (field, name) in [
        ("provider_uxpl", "provider"),
        ("burn_uxpl", "burned"),
        ("stakers_uxpl", "stakers"),
        ("royalty_uxpl", "model royalty"),
        ("referral_uxpl", "app referral"),
        ("community_uxpl", "community"),
    ] {
        println!("  {:>12}  {name}", job["payout"][field].as_str().unwrap_or("0"));
    }
    println!(
        "  escrowed    {} = {} charge + {} carrier's fee + {} refund",
        text("max_fee_uxpl"),
        text("charge_uxpl"),
        text("duty_fee_uxpl"),
        text("refund_uxpl")
    );
    println!();
    println!("  {:<22} {:>16} {:>16} {:>12}", "uxpl", "before", "after", "change");
    let after = books(&urls.rest, &purses)?;
    let change = |after: u128, before: u128| -> Result<i128> {
        Ok(i128::try_from(after)? - i128::try_from(before)?)
    };
    let mut sum = 0i128;
    for ((name, _), (before, after)) in
        purses.iter().zip(before.balances.iter().zip(&after.balances))
    {
        let change = change(*after, *before)?;
        sum += change;
        println!("  {name:<22} {before:>16} {after:>16} {change:>+12}");
    }
    let minted = change(after.minted, before.minted)?;
    let burned = change(after.burned, before.burned)?;
    let supply = change(after.supply, before.supply)?;
    println!("  {:<22} {:>16} {:>16} {minted:>+12}", "minted for stakers", "", "");
    println!("  {:<22} {:>16} {:>16} {:>+12}", "burned", "", "", -burned);
    ensure!(
        sum == supply && supply == minted - burned,
        "the money does not add up: {sum} moved, {minted} minted, {burned} burned, {supply} more"
    );
    let number = |field: &str| text(field).parse::<u128>().unwrap_or_default();
    ensure!(
        number("max_fee_uxpl")
            == number("charge_uxpl") + number("duty_fee_uxpl") + number("refund_uxpl"),
        "the escrow does not add up"
    );
    println!(
        "  It adds up to the uxpl: the purses gained what was minted, less what was burned. ({:.0} s)",
        started.elapsed().as_secs_f64()
    );
    println!();
    println!("  Keep a network up:  make localnet GPU_NODES=1");
    println!("  Then look around:   xpl --help");
    Ok(())
}

/// Runs the demo in its folder, and removes the folder if all went well.
///
/// # Errors
/// As [`run_in`]; the folder then stays, with the logs.
pub fn run(options: Options, stop: &Arc<AtomicBool>) -> Result<()> {
    let home = options.home.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("plasma-demo-{}", std::process::id()))
    });
    crate::comet::check_empty(&home)?;
    match run_in(&options, &home, stop) {
        Ok(()) => {
            fs::remove_dir_all(&home)?;
            Ok(())
        }
        Err(error) => {
            Err(error.context(format!("the demo failed; its logs are in {}", home.display())))
        }
    }
}

fn settled(xpl: &Xpl, id: &str, stop: &Arc<AtomicBool>) -> Result<Value> {
    let until = Instant::now() + JOB_TIMEOUT;
    loop {
        let shown = xpl.json(&["job", "show", id])?;
        let state = shown["job"]["state"].as_str().unwrap_or_default();
        if ["JOB_STATE_SETTLED", "JOB_STATE_REFUNDED"].contains(&state) {
            return Ok(shown);
        }
        ensure!(!stop.load(Ordering::Relaxed), "interrupted");
        ensure!(Instant::now() < until, "job {id} is still {state}");
        thread::sleep(Duration::from_millis(500));
    }
}

/// The books of the newest block.
fn books(rest_url: &str, purses: &Purses) -> Result<Books> {
    let client = reqwest::blocking::Client::new();
    let ask = |path: &str, height: &str| -> Result<(Value, String)> {
        let request = client.get(format!("{rest_url}{path}")).header(HEIGHT_HEADER, height);
        let reply = request.send()?.error_for_status()?;
        let height = reply.headers().get(REPLY_HEIGHT_HEADER).context("a height")?;
        let height = height.to_str()?.to_owned();
        Ok((reply.json()?, height))
    };
    let number =
        |value: &Value| -> Result<u128> { Ok(value.as_str().context("an amount")?.parse()?) };
    let (totals, height) = ask("/plasma/token/v1/totals", "0")?;
    let totals = &totals["totals"];
    let (supply, _) = ask("/cosmos/bank/v1beta1/supply/by_denom?denom=uxpl", &height)?;
    let mut balances = Vec::with_capacity(purses.len());
    for (_, address) in purses {
        let path = format!("/cosmos/bank/v1beta1/balances/{address}/by_denom?denom=uxpl");
        balances.push(number(&ask(&path, &height)?.0["balance"]["amount"])?);
    }
    Ok(Books {
        balances,
        supply: number(&supply["amount"]["amount"])?,
        minted: number(&totals["minted_uxpl"])?,
        burned: number(&totals["burned_uxpl"])?,
    })
}

fn rest(url: &str, path: &str) -> Result<Value> {
    Ok(reqwest::blocking::get(format!("{url}{path}"))?.error_for_status()?.json()?)
}
