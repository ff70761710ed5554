//! Nodes whose releases differ, on disk, at the height of an upgrade.

mod common;

use std::{path::Path, process::Command, sync::Arc};

use common::{CHAIN, START_S, bytes, proposer, spec, users};
use plasma_app::{
    abci::{App, EXIT_UPGRADE},
    doors::Doors,
    files::genesis,
    node::{Decided, Keep, Node, NodeError},
};
use plasma_modules::{
    Read, Write,
    governance::upgrade::{Due, Upgrade},
    rules,
};
use plasma_proto::{cosmos::upgrade::v1beta1::Plan, plasma::genesis::v1::GenesisState};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci as pb;

/// Height of the upgrade.
const AT: u64 = 4;
const LAST: u64 = 8;
/// Where the migration leaves its mark: behind the block's randomness, a key of its own.
const MARK: [u8; 2] = [0x01, 0xff];
/// What the later release knows.
const LATER: &[Upgrade] = &[Upgrade { name: "second", version: 2, migrate }];
/// Where the child of the test about exits finds its home.
const CHILD_HOME: &str = "PLASMA_UPGRADE_CHILD_HOME";

fn migrate(store: &mut dyn Write) {
    store.set(MARK.into(), Some(b"second".into()));
}

/// A chain that was told at its genesis.
fn state() -> GenesisState {
    let mut state = genesis::state(&spec()).unwrap();
    let plan = Plan {
        name: "second".into(),
        height: AT.cast_signed(),
        info: "https://plasma.example/second".into(),
        ..Plan::default()
    };
    state.governance.as_mut().unwrap().upgrade_plan = Some(plan);
    state
}

fn open(home: &Path, upgrades: &'static [Upgrade]) -> Node {
    let keep = Keep { recent: 100, cache_bytes: 1 << 20, ..Keep::default() };
    Node::open(&home.join("state.db"), keep).unwrap().knowing(upgrades)
}

fn begin(home: &Path, upgrades: &'static [Upgrade]) -> Node {
    let node = open(home, upgrades);
    node.init_chain(CHAIN, START_S.cast_unsigned(), 1, &state()).unwrap();
    node
}

fn payment(height: u64) -> Vec<u8> {
    let users = users();
    users[0].send(&users[1], 1_000, height - 1)
}

/// The block at that height: with one payment.
fn decided<'a>(height: u64, txs: &'a [&'a [u8]]) -> Decided<'a> {
    Decided {
        height,
        time_s: START_S.cast_unsigned() + height,
        proposer: proposer().first_chunk().copied().unwrap(),
        txs,
        votes: &[],
        misbehavior: &[],
    }
}

/// Proposes, judges, executes and commits a block: its app hash, and the version that headers get.
fn block(node: &Node, height: u64) -> ([u8; 32], Option<u64>) {
    let tx = payment(height);
    let txs = [tx.as_slice()];
    let taken = node.prepare(decided(height, &txs), 1 << 20).unwrap().txs;
    assert_eq!(taken, txs);
    node.process(decided(height, &txs)).unwrap().unwrap();
    let done = node.finalize(decided(height, &txs)).unwrap();
    assert_eq!(done.txs[0].code, 0, "{}", done.txs[0].log);
    node.commit().unwrap();
    (done.app_hash, done.consensus.map(|params| params.version.unwrap().app))
}

#[test]
fn the_old_program_stops_the_new_one_goes_on_and_a_replay_agrees() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (old, new) = (begin(home.path(), &[]), begin(other.path(), LATER));
    assert_eq!(old.unknown_upgrade().map(|plan| plan.height), None, "nothing is committed yet");
    let mut history = Vec::new();
    for height in 1..AT {
        let (a, b) = (block(&old, height), block(&new, height));
        assert_eq!(a, b, "block {height}: one program among the other");
        history.push(a);
    }
    assert_eq!(old.unknown_upgrade().unwrap().height.cast_unsigned(), AT);
    assert_eq!(new.unknown_upgrade(), None);

    // The old one proposes nothing, votes on nothing, executes nothing.
    let before: Vec<_> = old.reader().scan(&[]).collect();
    let tx = payment(AT);
    let txs = [tx.as_slice()];
    let due = |done: Option<NodeError>| match done {
        Some(NodeError::Upgrade(Due::Unknown { name, height, info })) => {
            assert_eq!((name.as_str(), height), ("second", AT));
            assert!(info.contains("plasma.example"));
        }
        other => panic!("{other:?}"),
    };
    due(old.prepare(decided(AT, &txs), 1 << 20).err());
    due(old.process(decided(AT, &txs)).err());
    due(old.finalize(decided(AT, &txs)).err());
    due(old.ready().err());
    assert!(matches!(old.commit(), Err(NodeError::NoBlock)));
    assert_eq!(old.reader().scan(&[]).collect::<Vec<_>>(), before);
    assert_eq!(old.head().unwrap().height, AT - 1);

    // The new program continues on the same database.
    drop(old);
    let upgraded = open(home.path(), LATER);
    upgraded.ready().unwrap();
    for height in AT..=LAST {
        let (a, b) = (block(&upgraded, height), block(&new, height));
        assert_eq!(a, b, "block {height}");
        assert_eq!(a.1, (height == AT).then_some(2), "the header's version is told once");
        history.push(a);
    }
    assert_eq!(upgraded.reader().get(&MARK), Some(b"second".into()));
    assert_eq!(upgraded.rules_version(), 2);
    let state: Vec<_> = upgraded.reader().scan(&[]).collect();
    assert!(state == new.reader().scan(&[]).collect::<Vec<_>>());
    upgraded.check().unwrap();

    // From genesis with the new program: the same hash for every block.
    let late = tempfile::tempdir().unwrap();
    let late = begin(late.path(), LATER);
    for (height, wanted) in (1..).zip(&history) {
        assert_eq!(block(&late, height), *wanted, "block {height} again");
    }
    assert!(state == late.reader().scan(&[]).collect::<Vec<_>>());

    // Who goes back to the old program is stopped before it makes a wrong block.
    drop(upgraded);
    let downgraded = open(home.path(), &[]);
    let behind = downgraded.ready().unwrap_err();
    assert!(matches!(behind, NodeError::Upgrade(Due::Behind { state: 2, known: 1 })), "{behind}");
    let refused = downgraded.finalize(decided(LAST + 1, &[])).unwrap_err();
    assert!(matches!(refused, NodeError::Upgrade(Due::Behind { .. })), "{refused}");
    assert_eq!(downgraded.head().unwrap().height, LAST);
}

/// The crash that the stop is: CometBFT has the block, the application does not.
#[test]
fn the_block_that_waited_is_the_first_of_the_new_program() {
    let home = tempfile::tempdir().unwrap();
    let old = begin(home.path(), &[]);
    for height in 1..AT {
        block(&old, height);
    }
    let tx = payment(AT);
    old.finalize(decided(AT, &[tx.as_slice()])).unwrap_err();
    drop(old);
    let new = open(home.path(), LATER);
    // A replay asks for no proposal.
    let done = new.finalize(decided(AT, &[tx.as_slice()])).unwrap();
    assert_eq!(done.txs[0].code, 0, "{}", done.txs[0].log);
    assert!(done.events.iter().any(|event| event.kind == "upgrade_applied"));
    assert_eq!(new.commit().unwrap().height, AT);
}

fn app(node: Node) -> App {
    App::new(Arc::new(Doors::new(Arc::new(node)).unwrap()))
}

/// Not a test by itself: the child of the next one.
#[test]
#[ignore = "run by an_upgrade_that_is_due_ends_the_process_with_its_own_status"]
fn child_that_is_asked_for_the_block() {
    let Ok(home) = std::env::var(CHILD_HOME) else { return };
    let app = app(open(Path::new(&home), &[]));
    let (height, time) = (AT.cast_signed(), common::time(AT.cast_signed()));
    match std::env::args().next_back().as_deref() {
        Some("prepare") => drop(app.prepare_proposal(pb::RequestPrepareProposal {
            height,
            time,
            max_tx_bytes: 1 << 20,
            ..Default::default()
        })),
        Some("process") => drop(app.process_proposal(pb::RequestProcessProposal {
            height,
            time,
            ..Default::default()
        })),
        _ => drop(app.finalize_block(pb::RequestFinalizeBlock {
            txs: bytes(&[payment(AT)]),
            height,
            time,
            ..Default::default()
        })),
    }
}

#[test]
fn an_upgrade_that_is_due_ends_the_process_with_its_own_status() {
    let home = tempfile::tempdir().unwrap();
    let old = begin(home.path(), &[]);
    for height in 1..AT {
        block(&old, height);
    }
    drop(old);
    for call in ["prepare", "process", "finalize"] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "child_that_is_asked_for_the_block"])
            .args(["--skip", call])
            .env(CHILD_HOME, home.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert_eq!(child.status.code(), Some(EXIT_UPGRADE.into()), "{call}: {said}");
        for word in ["\"second\"", "height 4", "https://plasma.example/second", "install"] {
            assert!(said.contains(word), "{call}: {said}");
        }
    }
    let node = open(home.path(), LATER);
    assert_eq!(node.head().unwrap().height, AT - 1, "nothing was kept");
    node.check().unwrap();
    block(&node, AT);
}

#[test]
fn cometbft_has_consensus_parameters_from_the_state_and_the_version_with_them() {
    let home = tempfile::tempdir().unwrap();
    let app = app(open(home.path(), LATER));
    let json = genesis::state_to_json(&state()).unwrap().to_string();
    let begun = app.init_chain(pb::RequestInitChain {
        time: common::time(0),
        chain_id: CHAIN.into(),
        app_state_bytes: json.into_bytes().into(),
        initial_height: 1,
        ..Default::default()
    });
    let params = begun.consensus_params.unwrap();
    assert_eq!(params.version.unwrap().app, rules::GENESIS_VERSION);
    let block = params.block.unwrap();
    assert_eq!((block.max_bytes, block.max_gas), (rules::BLOCK_BYTES_MAX, 2_000_000_000));
    let file: serde_json::Value = serde_json::from_str(&genesis::file(&spec()).unwrap()).unwrap();
    let told = &file["consensus_params"];
    assert_eq!(told["block"]["max_gas"], "2000000000");
    assert_eq!(told["version"]["app"], "1");
    let mut versions = Vec::new();
    for height in 1..=AT + 1 {
        let done = app.finalize_block(pb::RequestFinalizeBlock {
            height: height.cast_signed(),
            time: common::time(height.cast_signed()),
            ..Default::default()
        });
        app.commit();
        versions.push(app.info(pb::RequestInfo::default()).app_version);
        let updates = done.consensus_param_updates;
        assert_eq!(updates.is_some(), height == AT, "block {height}");
        if let Some(params) = updates {
            // Whole: a part that is given replaces all of that part.
            assert_eq!(params.version.unwrap().app, 2);
            assert_eq!(params.block.unwrap().max_gas, 2_000_000_000);
            assert_eq!(params.validator.unwrap().pub_key_types, ["ed25519"]);
            assert_eq!(
                params.evidence.unwrap().max_age_num_blocks,
                genesis::EVIDENCE_AGE_BLOCKS.cast_signed()
            );
            assert_eq!(params.abci.unwrap().vote_extensions_enable_height, 0);
        }
    }
    assert_eq!(versions, [1, 1, 1, 2, 2]);
}
