//! What a proof promises: whoever holds an app hash can check any public object without the node.

mod common;

use common::{Bench, users};
use ics23::HostFunctionsManager;
use plasma_app::doors::proof::PROOF;
use plasma_modules::proof::key;
use plasma_proto::{
    cosmos::{auth::v1beta1::BaseAccount, base::v1beta1::Coin, staking::v1beta1::Validator},
    plasma::proof::v1::{
        BalanceKey, OfferKey, QueryProofRequest, QueryProofResponse, query_proof_request::Object,
    },
};
use prost::Message;

fn ask(bench: &Bench, object: Object, height: i64) -> Result<QueryProofResponse, String> {
    let request = QueryProofRequest { object: Some(object) };
    let answer = bench.query(PROOF, request.encode_to_vec(), height, false);
    if answer.code != 0 {
        return Err(answer.log);
    }
    let proof = QueryProofResponse::decode(&answer.value[..]).unwrap();
    assert_eq!((answer.height, answer.height + 1), (proof.height, proof.header_height));
    Ok(proof)
}

/// Whether both steps hold against the app hash.
fn holds(proof: &QueryProofResponse, key: &[u8], app_hash: &[u8]) -> bool {
    let [in_store, of_store] = &proof.proof_ops.as_ref().unwrap().ops[..] else { return false };
    assert_eq!((&in_store.r#type[..], &of_store.r#type[..]), ("ics23:jmt", "ics23:simple"));
    let of_store = ics23::CommitmentProof::decode(&of_store.data[..]).unwrap();
    let in_store = ics23::CommitmentProof::decode(&in_store.data[..]).unwrap();
    let Some(ics23::commitment_proof::Proof::Exist(root)) = &of_store.proof else { return false };
    let (spec, app_hash) = (ics23::tendermint_spec(), app_hash.to_vec());
    let store = ics23::verify_membership::<HostFunctionsManager>(
        &of_store,
        &spec,
        &app_hash,
        b"plasma",
        &root.value,
    );
    let spec = jmt::ics23_spec();
    let key = match &proof.value {
        Some(value) => ics23::verify_membership::<HostFunctionsManager>(
            &in_store,
            &spec,
            &root.value,
            key,
            value,
        ),
        None => {
            ics23::verify_non_membership::<HostFunctionsManager>(&in_store, &spec, &root.value, key)
        }
    };
    store && key
}

#[test]
fn every_public_object_is_proven_or_proven_absent() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let first = bench.block(1, &[users[1].send(&users[2], 1_000, 0)]).app_hash;
    let second = bench.block(2, &[users[1].send(&users[2], 1_000, 1)]).app_hash;
    let (there, nobody) = (users[2].address.text(), plasma_modules::Address([9; 20]).text());
    let balance = |address: &str| {
        Object::Balance(BalanceKey { address: address.into(), denom: "uxpl".into() })
    };
    let model = "ab".repeat(32);
    let present = [
        Object::Account(there.clone()),
        balance(&there),
        Object::Supply("uxpl".into()),
        Object::Validator(users[0].address.text()),
        Object::Key(key(&Object::Account(there.clone())).unwrap()),
    ];
    let absent = [
        Object::Account(nobody.clone()),
        balance(&nobody),
        Object::Supply("other".into()),
        Object::Job(7),
        Object::Payload(7),
        Object::Receipt(7),
        Object::Provider(there.clone()),
        Object::Offer(OfferKey { model_id: model.clone(), operator: there.clone() }),
        Object::Withdrawal(1),
        Object::Model(model.clone()),
        Object::Audit(7),
        Object::Profile(model.clone()),
        Object::Standing(there.clone()),
        Object::Game(7),
        Object::Referee(model),
        Object::Validator(nobody),
        Object::Key(vec![0xff]),
    ];
    for (objects, there) in [(&present[..], true), (&absent[..], false)] {
        for object in objects {
            for (height, app_hash, other) in [(1, &first, &second), (0, &second, &first)] {
                let proof = ask(&bench, object.clone(), height).unwrap();
                let derived = key(object).unwrap();
                assert_eq!((&proof.key, proof.value.is_some()), (&derived, there), "{object:?}");
                assert!(holds(&proof, &derived, app_hash), "{object:?} at {height}");
                assert!(!holds(&proof, &derived, other), "of another block: {object:?}");
                // A proof of absence is of a gap between two keys; it says nothing of a key that is there.
                let elsewhere = key(&Object::Account(users[3].address.text())).unwrap();
                assert!(!holds(&proof, &elsewhere, app_hash), "of another key: {object:?}");
                let lie = QueryProofResponse {
                    value: if there { None } else { Some(b"lie".to_vec()) },
                    ..proof.clone()
                };
                assert!(!holds(&lie, &derived, app_hash), "a lie about {object:?}");
                if there {
                    let lie = QueryProofResponse { value: Some(b"lie".to_vec()), ..proof };
                    assert!(!holds(&lie, &derived, app_hash), "a lie about {object:?}");
                }
            }
        }
    }

    // Nothing committed is empty: ICS-23 could prove neither it nor a gap beside it.
    let derived = |key: &[u8]| key.first().is_some_and(|id| plasma_modules::Table::is_derived(*id));
    assert!(bench.dump().iter().all(|(key, value)| derived(key) || !value.is_empty()));
    for n in 0..200 {
        let proof = ask(&bench, Object::Withdrawal(n), 0).unwrap();
        assert!(holds(&proof, &key(&Object::Withdrawal(n)).unwrap(), &second), "gap of {n}");
    }

    // The bytes are the public messages.
    let bytes = |object: &Object| ask(&bench, object.clone(), 0).unwrap().value.unwrap();
    let account = BaseAccount::decode(&bytes(&present[0])[..]).unwrap();
    assert_eq!(account.address, there);
    let coin = Coin::decode(&bytes(&present[1])[..]).unwrap();
    assert_eq!((&coin.denom[..], &coin.amount[..]), ("uxpl", "1000002000"));
    let validator = Validator::decode(&bytes(&present[3])[..]).unwrap();
    assert_eq!(validator.operator_address, users[0].address.operator_text());
}

#[test]
fn what_cannot_be_proven_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    bench.block(1, &[]);
    assert_eq!(bench.query(PROOF, Vec::new(), 0, false).code, 18, "no object");
    assert_eq!(bench.query(PROOF, vec![0xff; 9], 0, false).code, 18, "no message");
    let index = ask(&bench, Object::Key(vec![0x4a]), 0).unwrap_err();
    assert!(index.contains("index"), "{index}");
    let future = ask(&bench, Object::Job(1), 99).unwrap_err();
    assert!(future.contains("has not come"), "{future}");
}

/// What docs/proofs.md tells relayers is what proofs are made by.
#[test]
fn the_specs_in_the_documentation_hold() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proofs.md");
    let text = std::fs::read_to_string(path).unwrap();
    let json = text.split("'''").nth(1).unwrap();
    let told: serde_json::Value = serde_json::from_str(json).unwrap();
    let specs = [jmt::ics23_spec(), ics23::tendermint_spec()];
    assert_eq!(told.as_array().unwrap().len(), specs.len());
    for (told, spec) in told.as_array().unwrap().iter().zip(specs) {
        let (leaf, inner) = (spec.leaf_spec.unwrap(), spec.inner_spec.unwrap());
        let wanted = serde_json::json!({
            "leaf_spec": {
                "hash": leaf.hash,
                "prehash_key": leaf.prehash_key,
                "prehash_value": leaf.prehash_value,
                "length": leaf.length,
                "prefix": STANDARD.encode(leaf.prefix),
            },
            "inner_spec": {
                "child_order": inner.child_order,
                "child_size": inner.child_size,
                "min_prefix_length": inner.min_prefix_length,
                "max_prefix_length": inner.max_prefix_length,
                "empty_child": STANDARD.encode(inner.empty_child),
                "hash": inner.hash,
            },
            "max_depth": spec.max_depth,
            "min_depth": spec.min_depth,
            "prehash_key_before_comparison": spec.prehash_key_before_comparison,
        });
        assert_eq!(*told, wanted);
    }
}
