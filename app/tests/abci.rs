//! What CometBFT is promised.

mod common;

use common::{Bench, USERS, commit, users};
use ics23::HostFunctionsManager;
use plasma_app::{
    files::genesis,
    node::{Decided, NodeError},
};
use plasma_modules::Dec;
use plasma_proto::{
    cosmos::bank::v1beta1::{QueryBalanceRequest, QueryBalanceResponse},
    plasma::staking::v1::{Pools, QueryPoolsRequest, QueryPoolsResponse},
};
use proptest::prelude::*;
use prost::Message;
use tendermint_abci::Application;
use tendermint_proto::v0_38::{abci as pb, types::BlockIdFlag};

const BALANCE: &str = "/cosmos.bank.v1beta1.Query/Balance";

fn balance(bench: &Bench, user: usize, height: i64) -> Result<u64, String> {
    let address = users()[user].address.text();
    let request = QueryBalanceRequest { address, denom: "uxpl".into() };
    let answer = bench.query(BALANCE, request.encode_to_vec(), height, false);
    if answer.code != 0 {
        return Err(answer.log);
    }
    assert!(answer.height > 0);
    let answer = QueryBalanceResponse::decode(&answer.value[..]).unwrap();
    Ok(answer.balance.unwrap().amount.parse().unwrap())
}

#[test]
fn a_transfer_moves_money_and_pays_its_fee() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let tx = users[1].send(&users[2], 5_000_000, 0);
    let checked = bench.check(&tx);
    assert_eq!(checked.code, 0, "{}", checked.log);
    let done = bench.block(1, &[tx]);
    assert_eq!(done.tx_results[0].code, 0, "{}", done.tx_results[0].log);
    assert!(done.tx_results[0].events.iter().any(|event| event.r#type == "transfer"));
    assert!(
        done.tx_results[0]
            .events
            .iter()
            .all(|event| event.attributes.iter().all(|a| !a.key.is_empty()))
    );
    // What transactions are searched by; amounts are told, not indexed.
    let mut found: Vec<_> = done.tx_results[0]
        .events
        .iter()
        .flat_map(|event| {
            let indexed = event.attributes.iter().filter(|attribute| attribute.index);
            indexed.map(|attribute| format!("{}.{}", event.r#type, attribute.key))
        })
        .collect();
    found.sort();
    found.dedup();
    let searched = [
        "coin_received.receiver",
        "message.action",
        "message.sender",
        "transfer.recipient",
        "transfer.sender",
        "tx.acc_seq",
        "tx.signature",
    ];
    assert_eq!(found, searched);
    assert_eq!(balance(&bench, 2, 0), Ok(1_005_000_000));
    assert_eq!(balance(&bench, 1, 0), Ok(1_000_000_000 - 5_000_000 - 20_000));
    bench.node.check().unwrap();
}

#[test]
fn checked_transactions_stand_on_each_other_and_keep_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let txs: Vec<_> = (0..3).map(|n| users[1].send(&users[2], 1_000_000, n)).collect();
    for tx in &txs {
        assert_eq!(bench.check(tx).code, 0);
    }
    assert_eq!(bench.check(&txs[0]).code, 19, "it waits already");
    assert_eq!(bench.check(&users[1].send(&users[2], 7, 0)).code, 32, "a sequence counts once");
    // A client that has sent three reckons the gas of the fourth before a block has one of them.
    let simulated = |sequence| bench.node.simulate(&users[1].send(&users[2], 7, sequence)).unwrap();
    assert_eq!(simulated(3).code, 0, "{}", simulated(3).log);
    assert_eq!(simulated(0).code, 32);
    assert_eq!(bench.check(&users[1].send(&users[2], 7, 4)).code, 32, "nothing is kept of it");
    let done = bench.block(1, &txs[..1]);
    assert_eq!(done.tx_results[0].code, 0);
    // What waits keeps its place, whether the engine checks it again or not.
    let fourth = users[1].send(&users[2], 1_000_000, 3);
    assert_eq!(bench.check(&txs[1]).code, 19, "it waits already");
    assert_eq!(bench.check(&fourth).code, 0);
    assert_eq!(simulated(4).code, 0, "{}", simulated(4).log);
    bench.block(2, &[]);
    for tx in txs[1..].iter().chain([&fourth]) {
        assert_eq!(bench.recheck(tx).code, 0);
    }
    assert_eq!(bench.recheck(&txs[0]).code, 32, "it is in a block");
}

#[test]
fn a_node_that_stops_anywhere_comes_back_at_the_last_commit() {
    let dir = tempfile::tempdir().unwrap();
    let users = users();
    let block =
        |height: i64| vec![users[1].send(&users[2], 1_000 + height as u64, height as u64 - 1)];

    let bench = Bench::new(dir.path());
    assert_eq!(bench.info(), (0, Vec::new()), "a genesis alone is not a block");
    let first = bench.finalize(1, &block(1)).app_hash;
    assert_eq!(bench.info().0, 0, "Info is never ahead of Commit");
    drop(bench);

    let bench = Bench::open(dir.path());
    assert_eq!(bench.info(), (0, Vec::new()));
    bench.init();
    assert_eq!(bench.block(1, &block(1)).app_hash, first);
    for height in 2..6 {
        bench.block(height, &block(height));
    }
    let (height, hash) = bench.info();
    assert_eq!(height, 5);
    let sixth = bench.finalize(6, &block(6)).app_hash;
    let dump = bench.dump();
    drop(bench);

    let bench = Bench::open(dir.path());
    assert_eq!(bench.info(), (5, hash));
    assert_eq!(bench.dump(), dump);
    assert_eq!(bench.block(6, &block(6)).app_hash, sixth, "replayed, the block does the same");
    assert_eq!(bench.info().0, 6);
    bench.node.check().unwrap();
}

fn community(bench: &Bench) -> Dec {
    let path = "/plasma.staking.v1.Query/Pools";
    let answer = bench.query(path, QueryPoolsRequest {}.encode_to_vec(), 0, false);
    let pools = QueryPoolsResponse::decode(&answer.value[..]).unwrap().pools;
    let Pools { stakers_uxpl: _, community_uxpl } = pools.unwrap();
    Dec::parse(&community_uxpl).unwrap()
}

/// CometBFT tells who signed in FinalizeBlock, and a block that was judged before is finished with it
/// all the same: what one who was absent would have earned is the community's.
#[test]
fn who_signed_earns_whether_the_proposal_was_seen_or_not() {
    let grown = |flag: BlockIdFlag, seen: bool| {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(dir.path());
        bench.block(1, &[]);
        let before = community(&bench);
        if seen {
            assert!(bench.accepts(2, &[]));
        }
        let request = pb::RequestFinalizeBlock {
            decided_last_commit: Some(commit(flag)),
            ..bench.block_of(2, &[])
        };
        bench.app.finalize_block(request);
        bench.app.commit();
        community(&bench).minus(before).unwrap()
    };
    let (signed, absent) = (grown(BlockIdFlag::Commit, false), grown(BlockIdFlag::Absent, false));
    assert!(signed > Dec::ZERO, "the community's tax");
    assert!(absent > signed.times(Dec::bps(10_000 * 40)).unwrap(), "{absent} for {signed}");
    assert_eq!(grown(BlockIdFlag::Nil, false), signed, "a vote for no block is one");
    assert_eq!(grown(BlockIdFlag::Commit, true), signed);
    assert_eq!(grown(BlockIdFlag::Absent, true), absent);
}

/// CometBFT that has lost blocks, or has others than this node, is told so; nothing is executed.
#[test]
fn a_block_out_of_turn_is_refused_loudly() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    for height in 1..4 {
        bench.block(height, &[]);
    }
    let (info, dump) = (bench.info(), bench.dump());
    for height in [0, 1, 3, 5, u64::MAX] {
        let block = Decided {
            height,
            time_s: 2_000_000_000,
            proposer: [0; 20],
            txs: &[],
            votes: &[],
            misbehavior: &[],
        };
        let error = bench.node.finalize(block).unwrap_err();
        assert!(matches!(error, NodeError::Height { got, expected: 4 } if got == height));
        let text = error.to_string();
        assert!(text.contains(&format!("block {height} was sent, block 4 comes next")), "{text}");
        assert!(text.contains("do not belong together"), "{text}");
        assert!(bench.node.init_chain(common::CHAIN, 0, 1, &Default::default()).is_err());
    }
    assert_eq!((bench.info(), bench.dump()), (info, dump));
    assert_eq!(bench.block(4, &[]).tx_results.len(), 0);
}

#[test]
fn two_nodes_with_the_same_blocks_agree() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (Bench::new(a.path()), Bench::open_keeping(b.path(), 2));
    b.init();
    let users = users();
    let mut app_hash = Vec::new();
    for height in 1..30i64 {
        let mut txs = Vec::new();
        for user in 1..USERS {
            let to = &users[(user + height as usize) % USERS];
            txs.push(users[user].send(to, 100 + height as u64, height as u64 - 1));
        }
        txs.push(b"not a transaction".to_vec());
        // One node has seen the transactions before, the other has not.
        for tx in &txs {
            a.check(tx);
        }
        let (a, b) = (a.block(height, &txs), b.block(height, &txs));
        assert_eq!(a.app_hash, b.app_hash);
        app_hash = a.app_hash.to_vec();
        for (a, b) in a.tx_results.iter().zip(&b.tx_results) {
            assert_eq!(
                (a.code, &a.data, a.gas_wanted, a.gas_used),
                (b.code, &b.data, b.gas_wanted, b.gas_used)
            );
        }
    }
    assert_eq!(a.dump(), b.dump());
    b.node.check().unwrap();
    // Golden: a fixed list of blocks has a fixed app hash. A change of it is a release note.
    assert_eq!(
        hex::encode(app_hash),
        "8f7183848570c28f90bb7f98460607975038ed2170b349760ef51ba8c8b86cdf"
    );
}

#[test]
fn the_past_is_answered_within_its_horizon() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::open_keeping(dir.path(), 5);
    bench.init();
    let users = users();
    let mut seen = vec![0];
    for height in 1..20i64 {
        bench.block(height, &[users[1].send(&users[2], 1_000, height as u64 - 1)]);
        seen.push(balance(&bench, 2, 0).unwrap());
        for back in 0..5i64.min(height) {
            let past = height - back;
            assert_eq!(balance(&bench, 2, past), Ok(seen[past as usize]));
        }
    }
    let pruned = balance(&bench, 2, 14).unwrap_err();
    assert!(pruned.contains("height 14 is pruned, the oldest is 15"), "{pruned}");
    assert!(balance(&bench, 2, 20).unwrap_err().contains("has not come yet"));
    // Ranges look the same as they did then.
    let (reader, head) = bench.node.reader_at(16).unwrap();
    assert_eq!(plasma_app::commit::recomputed_app_hash(&reader), head.app_hash);
    let pairs: Vec<_> = plasma_modules::Read::scan(&reader, &[]).collect();
    let mut back: Vec<_> =
        plasma_modules::Read::range(&reader, &[], None, plasma_modules::Order::Descending)
            .collect();
    back.reverse();
    assert_eq!(pairs, back);
}

#[test]
fn proofs_hold_against_the_app_hash_of_their_height() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let mut hashes = vec![Vec::new()];
    for height in 1..6i64 {
        let done = bench.block(height, &[users[1].send(&users[2], 1_000, height as u64 - 1)]);
        hashes.push(done.app_hash.to_vec());
    }
    let (key, _) = bench.dump().into_iter().find(|(key, _)| key[0] == 0x19).unwrap();
    for (height, hash) in hashes.iter().enumerate().skip(1) {
        for key in [key.clone(), b"\x19nobody".to_vec()] {
            let answer = bench.query("/store/plasma/key", key.clone(), height as i64, true);
            assert_eq!(answer.code, 0, "{}", answer.log);
            let ops = answer.proof_ops.unwrap().ops;
            assert_eq!([&ops[0].r#type[..], &ops[1].r#type[..]], ["ics23:jmt", "ics23:simple"]);
            assert_eq!((&ops[0].key, &ops[1].key[..]), (&key, &b"plasma"[..]));
            let of_store = ics23::CommitmentProof::decode(&ops[1].data[..]).unwrap();
            let root = ics23::calculate_existence_root::<HostFunctionsManager>(
                match of_store.proof.as_ref().unwrap() {
                    ics23::commitment_proof::Proof::Exist(proof) => proof,
                    _ => panic!("a store that does not exist"),
                },
            );
            assert_eq!(&root.unwrap(), hash);
            let Some(ics23::commitment_proof::Proof::Exist(store)) = &of_store.proof else {
                panic!()
            };
            let in_store = ics23::CommitmentProof::decode(&ops[0].data[..]).unwrap();
            let spec = jmt::ics23_spec();
            let holds = if answer.value.is_empty() {
                ics23::verify_non_membership::<HostFunctionsManager>(
                    &in_store,
                    &spec,
                    &store.value,
                    &key,
                )
            } else {
                ics23::verify_membership::<HostFunctionsManager>(
                    &in_store,
                    &spec,
                    &store.value,
                    &key,
                    &answer.value,
                )
            };
            assert!(holds);
        }
    }
    assert_ne!(bench.query("store/ibc/key", b"x".to_vec(), 0, true).code, 0);
    assert_eq!(bench.query("store/nothing/key", b"x".to_vec(), 0, true).code, 6);
}

#[test]
fn asking_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    bench.block(1, &[users[1].send(&users[2], 1_000, 0)]);
    let (before, info) = (bench.dump(), bench.info());
    let txs = vec![users[1].send(&users[2], 7, 1), users[2].send(&users[3], 8, 0), vec![9; 100]];
    for tx in &txs {
        bench.check(tx);
    }
    bench.prepare(2, &txs, 1 << 20);
    bench.accepts(2, &txs);
    balance(&bench, 1, 0).unwrap();
    bench.query("/cosmos.tx.v1beta1.Service/Simulate", txs[0].clone(), 0, false);
    bench.finalize(2, &txs[..2]);
    assert_eq!(bench.dump(), before);
    assert_eq!(bench.info(), info);
}

#[test]
fn an_exported_chain_goes_on_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    for height in 1..8i64 {
        bench.block(height, &[users[1].send(&users[2], 1_000, height as u64 - 1)]);
    }
    let (state, head) = bench.node.export(0).unwrap();
    assert_eq!(head.height, 7);
    let json = genesis::state_to_json(&state).unwrap().to_string();
    let again = tempfile::tempdir().unwrap();
    let again = Bench::open(again.path());
    again.app.init_chain(pb::RequestInitChain {
        time: common::time(7),
        chain_id: common::CHAIN.into(),
        app_state_bytes: json.into(),
        initial_height: 8,
        ..Default::default()
    });
    let next = [users[1].send(&users[2], 1_000, 7)];
    let (old, new) = (bench.block(8, &next), again.block(8, &next));
    assert_eq!(old.tx_results, new.tx_results);
    assert_eq!(old.app_hash, new.app_hash);
    assert_eq!(bench.dump(), again.dump());
    assert_eq!(bench.node.export(0).unwrap().0, again.node.export(0).unwrap().0);
    assert_eq!(again.info().0, 8);
}

#[test]
fn hostile_bytes_are_answered_on_every_path() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    bench.block(1, &[]);
    let paths: Vec<String> =
        plasma_modules::query::Router::new().paths().map(str::to_owned).collect();
    let more = [
        "",
        "/",
        "store",
        "/store/",
        "/store/plasma/key",
        "/store//key",
        "app/version",
        "\0",
        "/cosmos.tx.v1beta1.Service/Simulate",
    ];
    let mut seed = 1u64;
    let mut noise = |len: usize| -> Vec<u8> {
        (0..len)
            .map(|_| {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (seed >> 56) as u8
            })
            .collect()
    };
    for path in paths.iter().map(String::as_str).chain(more) {
        for len in [0, 1, 2, 7, 40, 300] {
            for height in [0, 1, -1, i64::MAX, i64::MIN] {
                for prove in [false, true] {
                    bench.query(path, noise(len), height, prove);
                }
            }
        }
    }
    for len in 0..200 {
        let tx = noise(len);
        assert_ne!(bench.check(&tx).code, 0);
        assert!(!bench.accepts(2, std::slice::from_ref(&tx)));
        assert!(bench.prepare(2, &[tx], 1 << 20).is_empty());
    }
    assert_eq!(bench.query("/nobody.Query/Knows", Vec::new(), 0, false).code, 6);
}

/// One transaction of a random mempool.
#[derive(Clone, Debug)]
enum Waiting {
    Send {
        from: usize,
        to: usize,
        amount: u64,
        sequence: u64,
    },
    OtherChain {
        from: usize,
    },
    Noise(Vec<u8>),
    Large(usize),
    /// A copy of one before it.
    Again(usize),
}

fn waiting() -> impl Strategy<Value = Waiting> {
    prop_oneof![
        8 => (0..USERS, 0..USERS, prop_oneof![1u64..1_000, 900_000_000u64..1_100_000_000], 0u64..4)
            .prop_map(|(from, to, amount, sequence)| Waiting::Send { from, to, amount, sequence }),
        1 => (0..USERS).prop_map(|from| Waiting::OtherChain { from }),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Waiting::Noise),
        1 => (65_000usize..70_000).prop_map(Waiting::Large),
        1 => any::<usize>().prop_map(Waiting::Again),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(48),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever PrepareProposal returns, ProcessProposal accepts, and every ante passes.
    #[test]
    fn what_is_prepared_is_accepted(
        mempool in proptest::collection::vec(waiting(), 0..40),
        max in prop_oneof![0i64..2_000, Just(1i64 << 20)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(dir.path());
        let users = users();
        let mut txs: Vec<Vec<u8>> = Vec::new();
        for waiting in mempool {
            txs.push(match waiting {
                Waiting::Send { from, to, amount, sequence } => users[from].send(&users[to], amount, sequence),
                Waiting::OtherChain { from } => users[from].send_on("other", &users[0], 1, 0),
                Waiting::Noise(bytes) => bytes,
                Waiting::Large(len) => vec![7; len],
                Waiting::Again(at) => txs.get(at % txs.len().max(1)).cloned().unwrap_or_default(),
            });
        }
        let taken = bench.prepare(1, &txs, max);
        prop_assert!(taken.iter().map(Vec::len).sum::<usize>() <= usize::try_from(max).unwrap());
        prop_assert!(bench.accepts(1, &taken));
        // A second look, with and without what the first one remembered, gives the same.
        prop_assert_eq!(&bench.prepare(1, &txs, max), &taken);
        let fresh = tempfile::tempdir().unwrap();
        let fresh = Bench::new(fresh.path());
        prop_assert!(fresh.accepts(1, &taken));
        let (a, b) = (bench.block(1, &taken), fresh.block(1, &taken));
        prop_assert_eq!(a.app_hash, b.app_hash);
        // Fees were paid, so no result is one of the ante's.
        for result in &a.tx_results {
            prop_assert!(!(result.codespace == "sdk" && [2, 4, 32].contains(&result.code)), "{}", result.log);
        }
    }
}

/// Each proof is checked against the app hash of its block before it is handed out.
#[test]
fn proofs_are_of_one_block_while_others_are_committed() {
    const BLOCKS: i64 = 30;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    bench.block(1, &[]);
    let key = plasma_modules::Read::scan(&bench.node.reader(), &[0x10]).next().unwrap().0;
    let (node, key) = (&bench.node, &key);
    std::thread::scope(|scope| {
        let prover = scope.spawn(move || {
            let (mut proofs, mut newest) = (0, 0);
            while newest <= BLOCKS as u64 {
                let store = plasma_app::commit::Store::Plasma;
                let (proven, head) = node.prove(0, store, key.clone()).unwrap();
                assert!(proven.value.is_some());
                assert!(head.height >= newest);
                newest = head.height;
                let past = newest.saturating_sub(3).max(1);
                let (_, then) = node.prove(past, store, b"\x10 none".to_vec()).unwrap();
                assert_eq!(then.height, past);
                proofs += 1;
            }
            proofs
        });
        for height in 2..=BLOCKS + 1 {
            let users = users();
            bench.block(height, &[users[1].send(&users[2], 1, height as u64 - 2)]);
        }
        assert!(prover.join().unwrap() > 0);
    });
}
