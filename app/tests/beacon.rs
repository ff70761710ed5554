//! The beacon through the real ABCI: who proposes proves, and who does not is not voted for.

mod common;

use std::{path::Path, sync::Arc};

use common::{Bench, CHAIN, proposer, spec, time, users};
use plasma_app::{
    abci::App,
    doors::Doors,
    files::{GenesisSpec, GenesisValidator, genesis},
    metrics::Scrape,
    node::{Keep, Node},
};
use plasma_modules::{
    attestation::beacon::{self, SecretKey},
    carrier,
};
use plasma_proto::plasma::attestation::v1::{QueryBeaconRequest, QueryBeaconResponse};
use prost::Message;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci as pb;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_random([seed; 32]).unwrap()
}

/// A node with this key, on a chain whose only validator has key 1.
fn node(dir: &Path, secret: Option<SecretKey>) -> Bench {
    let keep = Keep { recent: 100, cache_bytes: 1 << 20, index: true, ..Keep::default() };
    let node = Node::open(&dir.join("state.db"), keep).unwrap().with_beacon_key(secret);
    let node = Arc::new(node);
    let doors = Arc::new(Doors::new(Arc::clone(&node)).unwrap());
    let app = App::new(Arc::clone(&doors));
    let bench = Bench { app, node, doors, proposer: proposer() };
    let validators = spec()
        .validators
        .into_iter()
        .map(|one| GenesisValidator { beacon_pubkey: Some(key(1).public()), ..one });
    let spec = GenesisSpec { validators: validators.collect(), ..spec() };
    let state = genesis::state_to_json(&genesis::state(&spec).unwrap()).unwrap();
    bench.app.init_chain(pb::RequestInitChain {
        time: time(0),
        chain_id: CHAIN.into(),
        app_state_bytes: state.to_string().into_bytes().into(),
        initial_height: 1,
        ..Default::default()
    });
    bench
}

fn asked(bench: &Bench) -> (u64, Vec<u8>) {
    let path = "/plasma.attestation.v1.Query/Beacon";
    let answer = bench.query(path, QueryBeaconRequest {}.encode_to_vec(), 0, false);
    assert_eq!(answer.code, 0, "{}", answer.log);
    let QueryBeaconResponse { height, beacon } = Message::decode(answer.value).unwrap();
    (height, beacon)
}

#[test]
fn nodes_agree_on_what_the_proposer_proves() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (mine, other) = (node(dirs[0].path(), Some(key(1))), node(dirs[1].path(), None));
    let users = users();
    let mut seen = std::collections::BTreeSet::new();
    for height in 1..=4i64 {
        let sequence = u64::try_from(height).unwrap() - 1;
        let tx = users[1].send(&users[2], 1_000, sequence);
        let block = mine.prepare(height, std::slice::from_ref(&tx), 1 << 20);
        assert_eq!(block.len(), 2);
        assert_eq!((block[0].len(), &block[1]), (beacon::ENTRY_BYTES, &tx));
        // Again in a later round: the same entry.
        assert_eq!(mine.prepare(height, &[], 1 << 20), block[..1]);
        assert!(mine.accepts(height, &block) && other.accepts(height, &block));
        let (a, b) = (mine.block(height, &block), other.block(height, &block));
        assert_eq!(a, b);
        assert_eq!(a.tx_results.iter().map(|r| r.code).collect::<Vec<_>>(), [0, 0]);
        let own = &a.tx_results[0];
        assert_eq!((own.events[0].r#type.as_str(), own.gas_used), ("beacon", 0));
        assert!(own.events[0].attributes.iter().any(|a| (&*a.key, &*a.value) == ("by", "proof")));
        assert_eq!(asked(&mine), asked(&other));
        assert!(seen.insert(asked(&mine).1), "another one each time");
    }
}

#[test]
fn a_wrong_or_missing_proof_is_not_voted_for() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let mine = node(dirs[0].path(), Some(key(1)));
    let (without, wrong) = (node(dirs[1].path(), None), node(dirs[2].path(), Some(key(2))));
    let users = users();
    let tx = users[1].send(&users[2], 1_000, 0);
    let good = mine.prepare(1, std::slice::from_ref(&tx), 1 << 20);
    for node in [&mine, &without, &wrong] {
        assert!(!node.accepts(1, &[]), "missing");
        assert!(!node.accepts(1, std::slice::from_ref(&tx)), "missing");
        for at in [0, 1, 2, 3, 4, 40, 83] {
            let mut bent = good.clone();
            bent[0][at] ^= 1;
            assert!(!node.accepts(1, &bent), "byte {at}");
        }
        assert!(!node.accepts(1, &[tx.clone(), good[0].clone()]), "not at the front");
        assert!(!node.accepts(1, &[good[0].clone(), good[0].clone()]), "twice");
        assert!(node.accepts(1, &good));
    }
    // Whoever has another key than the chain knows of makes no block that is voted for.
    for node in [&without, &wrong] {
        assert!(node.prepare(1, std::slice::from_ref(&tx), 1 << 20).is_empty());
    }
    for (node, failed) in [(&mine, 0), (&without, 1), (&wrong, 1)] {
        let page = node.node.metrics().page(&Scrape::default());
        assert!(page.contains(&format!("plasma_proposals_failed_total {failed}\n")), "{page}");
    }
    // What a node of its own would have rejected, but others decided, is executed by all alike.
    for block in [vec![tx.clone()], vec![vec![0, 1, 2], tx.clone()]] {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let (a, b) = (node(dirs[0].path(), Some(key(1))), node(dirs[1].path(), None));
        let (a, b) = (a.block(1, &block), b.block(1, &block));
        assert_eq!(a, b);
        assert_eq!(a.tx_results.last().unwrap().code, 0);
        assert_eq!(a.tx_results.len(), block.len());
        if block.len() == 2 {
            assert_eq!((a.tx_results[0].codespace.as_str(), a.tx_results[0].code), ("beacon", 7));
        }
    }
}

#[test]
fn nobody_can_send_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let bench = node(dir.path(), Some(key(1)));
    let entry = bench.prepare(1, &[], 1 << 20).remove(0);
    assert_eq!(bench.check(&entry).code, 2);
    assert!(carrier::decode(&carrier::encode([entry.as_slice()])).is_err());
    assert_ne!(bench.check(&carrier::encode([entry.as_slice()])).code, 0);
    // Among what waits it is left out, in a carrier too.
    let carried = carrier::encode([entry.as_slice()]);
    assert_eq!(bench.prepare(1, &[entry.clone(), carried], 1 << 20), [entry]);
}

#[test]
fn a_blocks_own_entry_is_found_as_a_transaction_without_messages() {
    use plasma_proto::cosmos::tx::v1beta1::{GetTxRequest, GetTxResponse};
    let dir = tempfile::tempdir().unwrap();
    let bench = node(dir.path(), Some(key(1)));
    let block = bench.prepare(1, &[], 1 << 20);
    bench.block(1, &block);
    let hash = hex::encode(plasma_modules::types::sha256(&block[0]));
    let request = GetTxRequest { hash }.encode_to_vec();
    let answer = bench.query("/cosmos.tx.v1beta1.Service/GetTx", request, 0, false);
    assert_eq!(answer.code, 0, "{}", answer.log);
    let GetTxResponse { tx, tx_response } = Message::decode(answer.value).unwrap();
    let tx = tx.unwrap();
    assert!(tx.body.unwrap().messages.is_empty() && tx.signatures.is_empty());
    let response = tx_response.unwrap();
    assert_eq!(response.events[0].r#type, "beacon");
    // As JSON it is shown too: what stands in it can be read.
    let shown =
        plasma_proto::cosmos::tx::v1beta1::Tx::decode(&*response.tx.unwrap().value).unwrap();
    assert!(shown.body.unwrap().messages.is_empty());
}
