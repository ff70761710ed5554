//! A node joins a running network from a snapshot, with real processes.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use plasma_app::files::GenesisAccount;
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    process::{Process, Programs, run},
    rig::Xpl,
};
use serde_json::Value;

const XPL: u128 = 1_000_000;
/// A snapshot every so many blocks.
const EVERY: u64 = 10;
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(300));
    }
}

/// Replaces what must be there.
fn edit(path: &Path, changes: &[(&str, String)]) {
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{} has no {from}", path.display());
        text = text.replacen(from, to, 1);
    }
    fs::write(path, text).unwrap();
}

fn get(url: &str) -> Option<Value> {
    let answer: Value = reqwest::blocking::get(url).ok()?.json().ok()?;
    answer.get("result").cloned()
}

fn height(rpc: &str) -> Option<u64> {
    get(&format!("{rpc}/status"))?["sync_info"]["latest_block_height"].as_str()?.parse().ok()
}

fn app_hash(rpc: &str, height: u64) -> Option<String> {
    let header = get(&format!("{rpc}/header?height={height}"))?;
    header["header"]["app_hash"].as_str().map(String::from)
}

#[test]
fn a_node_joins_from_a_snapshot_under_load_and_follows() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let alice = keyring.add_key("alice").unwrap();
    let bob = keyring.add_key("bob").unwrap();
    // Below those that the system hands out.
    let port_base = 29_000 + (std::process::id() % 100) as u16 * 30;
    let spec = NetworkSpec {
        home: dir.path().into(),
        chain_id: "plasma-sync-1".into(),
        validators: 2,
        accounts: vec![GenesisAccount { address: alice, amount_uxpl: 1_000 * XPL }],
        port_base,
        timeout_commit: "300ms".into(),
        set: Vec::new(),
    };
    let mut network = Network::up(&spec, &programs).unwrap();
    for validator in &mut network.validators {
        validator.stop();
        let settings = validator.home.join("plasma.toml");
        edit(&settings, &[("blocks = 1000", format!("blocks = {EVERY}"))]);
        validator.restart().unwrap();
    }
    let rpcs: Vec<String> =
        network.validators.iter().map(|validator| validator.urls.rpc.clone()).collect();
    let xpl = keyring.at(&network.validators[0].urls);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // A light load, for as long as the rest takes.
        let sent = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                let send = ["bank", "send", "--from", "alice", &bob, "0.1xpl"];
                sent += u32::from(xpl.json(&send).is_ok());
            }
            sent
        });
        let joining = scope.spawn(|| join(dir.path(), &programs, &network, &rpcs, port_base + 25));
        let joined = joining.join();
        done.store(true, Ordering::Relaxed);
        let sent = sent.join().unwrap();
        if let Err(panic) = joined {
            std::panic::resume_unwind(panic);
        }
        assert!(sent > 0, "nothing was sent meanwhile");
    });
}

fn join(dir: &Path, programs: &Programs, network: &Network, rpcs: &[String], ports: u16) {
    let snapshot_due = until("a block after a snapshot", || {
        let height = height(&rpcs[0])?;
        (height > EVERY + 3).then_some(height / EVERY * EVERY)
    });
    // A home made from the network's genesis, which trusts one block of it.
    let home = dir.join("joining");
    let genesis = network.validators[0].home.join("cometbft/config/genesis.json");
    let peers = network.validators.iter().zip(rpcs).map(|(validator, rpc)| {
        let id = get(&format!("{rpc}/status")).unwrap()["node_info"]["id"].clone();
        let config =
            fs::read_to_string(validator.home.join("cometbft/config/config.toml")).unwrap();
        let p2p = config.split("[p2p]").nth(1).unwrap().split('"').nth(1).unwrap();
        format!("--peer={}@{}", id.as_str().unwrap(), p2p.trim_start_matches("tcp://"))
    });
    let mut import = Command::new(&programs.plasmad);
    import.arg("import").arg("--home").arg(&home).args(["--moniker", "late", "--genesis"]);
    run(import.arg(genesis).args(peers)).unwrap();
    let trust_height = snapshot_due - 2;
    let block = get(&format!("{}/block?height={trust_height}", rpcs[0])).unwrap();
    let trust_hash = block["block_id"]["hash"].as_str().unwrap();
    let rpc = format!("http://127.0.0.1:{ports}");
    edit(
        &home.join("cometbft/config/config.toml"),
        &[
            ("127.0.0.1:26657", format!("127.0.0.1:{ports}")),
            ("0.0.0.0:26656", format!("127.0.0.1:{}", ports + 1)),
            ("addr_book_strict = true", "addr_book_strict = false".into()),
            ("allow_duplicate_ip = false", "allow_duplicate_ip = true".into()),
            ("enable = false", "enable = true\ndiscovery_time = \"5s\"".into()),
            ("rpc_servers = \"\"", format!("rpc_servers = \"{}\"", rpcs.join(","))),
            ("trust_height = 0", format!("trust_height = {trust_height}")),
            ("trust_hash = \"\"", format!("trust_hash = \"{trust_hash}\"")),
        ],
    );
    edit(
        &home.join("plasma.toml"),
        &[
            ("127.0.0.1:9090", format!("127.0.0.1:{}", ports + 2)),
            ("127.0.0.1:1317", format!("127.0.0.1:{}", ports + 3)),
            ("127.0.0.1:26660", format!("127.0.0.1:{}", ports + 4)),
            ("blocks = 1000", format!("blocks = {EVERY}")),
        ],
    );
    let logs = home.join("logs");
    let mut start = Command::new(&programs.plasmad);
    start.arg("start").arg("--home").arg(&home);
    let mut plasmad = Process::spawn("plasmad", start, &logs.join("plasmad.log")).unwrap();
    let mut start = Command::new(&programs.cometbft);
    start.arg("start").arg("--home").arg(home.join("cometbft"));
    let mut cometbft = Process::spawn("cometbft", start, &logs.join("cometbft.log")).unwrap();

    // It has blocks after the snapshot and none before, and agrees about them.
    let reached = until("the node that joins", || {
        plasmad.check().and_then(|()| cometbft.check()).unwrap();
        height(&rpc).filter(|found| *found > snapshot_due + EVERY)
    });
    let status = get(&format!("{rpc}/status")).unwrap();
    let earliest = status["sync_info"]["earliest_block_height"].as_str().unwrap();
    let earliest: u64 = earliest.parse().unwrap();
    assert!(earliest >= snapshot_due, "it has block {earliest}: it did not begin with a snapshot");
    assert_eq!(app_hash(&rpc, reached), app_hash(&rpcs[0], reached));
    let log = fs::read_to_string(logs.join("plasmad.log")).unwrap();
    assert!(log.contains("the state is restored from a snapshot"), "{log}");
    // It makes snapshots itself, and follows.
    let next = until("more blocks", || height(&rpc).filter(|found| *found > reached + EVERY));
    assert_eq!(app_hash(&rpc, next), app_hash(&rpcs[1], next));
    assert!(fs::read_dir(home.join("data/snapshots")).unwrap().count() > 0);
    drop(cometbft);
    drop(plasmad);
    let mut scrub = Command::new(&programs.plasmad);
    let told = run(scrub.arg("scrub").arg("--home").arg(&home)).unwrap();
    assert!(told.contains("app hash and invariants hold"), "{told}");
    println!("snapshot at {snapshot_due} or later, first block {earliest}, followed to {next}");
}
