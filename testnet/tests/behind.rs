//! CometBFT with an older copy of its blocks than plasmad has of its state.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use plasma_testnet::{
    comet::{Network, NetworkSpec},
    process::Programs,
};

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A base of free ports, far from those of other tests.
fn free_ports() -> u16 {
    let pid = u16::try_from(std::process::id() % 1_000).unwrap();
    (0..100)
        .map(|n| 13_000 + (pid * 20 + n * 40) % 12_000)
        .find(|base| (0..40).all(|n| TcpListener::bind(("127.0.0.1", base + n)).is_ok()))
        .unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let target = to.join(name);
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// It says so and stops, nothing is executed, and with its own blocks the chain goes on.
#[test]
#[ignore = "half a minute; make test-long runs it"]
fn a_cometbft_that_lost_blocks_stops_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let spec = NetworkSpec {
        home: dir.path().join("net"),
        chain_id: "plasma-behind-1".into(),
        validators: 1,
        accounts: Vec::new(),
        port_base: free_ports(),
        timeout_commit: "200ms".into(),
        set: Vec::new(),
    };
    let mut network = Network::up(&spec, &Programs::of_chain().unwrap()).unwrap();
    network.wait_for_block(3).unwrap();
    network.validators[0].stop();
    let home = network.validators[0].home.clone();
    let (data, old, new) =
        (home.join("cometbft/data"), dir.path().join("old"), dir.path().join("new"));
    copy(&data, &old);
    network.validators[0].restart().unwrap();
    network.wait_for_block(8).unwrap();
    network.validators[0].stop();
    fs::rename(&data, &new).unwrap();
    copy(&old, &data);

    network.validators[0].restart().unwrap();
    let end = Instant::now() + PATIENCE;
    while !network.validators[0].cometbft_ended().unwrap() {
        assert!(Instant::now() < end, "cometbft goes on with a state that it does not know");
        thread::sleep(Duration::from_millis(100));
    }
    let log = fs::read_to_string(home.join("logs/cometbft.log")).unwrap();
    assert!(log.contains("is higher than core"), "{log}");
    network.validators[0].stop();

    fs::remove_dir_all(&data).unwrap();
    fs::rename(&new, &data).unwrap();
    network.validators[0].restart().unwrap();
    network.wait_for_block(10).unwrap();
}
