//! Amino JSON is byte for byte the Cosmos SDK's: `golden/amino.txt` was made by its own encoder.

use plasma_modules::{
    msg::Msg,
    tx::amino::{SignerData, json, sign_doc},
};
use plasma_proto::{
    cosmos::tx::v1beta1::{Fee, TxBody},
    plasma::market::v1::{MsgSubmitJob, Sampling},
    schema::{MESSAGES, message},
};
use prost::{Message, Name};
use prost_types::Any;

const GOLDEN: &str = include_str!("golden/amino.txt");

fn lines(kind: &str) -> Vec<Vec<&'static str>> {
    let columns = if kind == "doc" { 7 } else { 4 };
    let found: Vec<Vec<_>> = GOLDEN
        .lines()
        .filter(|line| line.split(' ').next() == Some(kind))
        .map(|line| line.splitn(columns, ' ').collect())
        .collect();
    assert!(found.iter().all(|line| line.len() == columns));
    found
}

fn bytes(hex: &str) -> Vec<u8> {
    if hex == "-" { vec![] } else { hex::decode(hex).unwrap() }
}

#[test]
fn every_message_is_written_as_the_sdk_writes_it() {
    let vectors = lines("message");
    assert!(vectors.len() >= 58, "{}", vectors.len());
    for line in vectors {
        let any = Any { type_url: line[1].into(), value: bytes(line[2]) };
        match (json(&any), line[3]) {
            (Err(refusal), "refused") => {
                assert!(
                    refusal.to_string().contains("cannot be signed in amino JSON"),
                    "{refusal}"
                );
            }
            (Ok(json), wanted) => assert_eq!(json, wanted, "{}", line[1]),
            (Err(refusal), wanted) => panic!("{}: {refusal}, not {wanted}", line[1]),
        }
    }
}

#[test]
fn sign_documents_are_the_sdks() {
    let vectors = lines("doc");
    assert!(vectors.len() >= 16, "{}", vectors.len());
    for line in vectors {
        let body = TxBody::decode(bytes(line[1]).as_slice()).unwrap();
        let fee = Fee::decode(bytes(line[2]).as_slice()).unwrap();
        let signer = SignerData {
            account_number: line[3].parse().unwrap(),
            sequence: line[4].parse().unwrap(),
            chain_id: line[5],
        };
        assert_eq!(sign_doc(&body, &fee, &signer).unwrap(), line[6]);
    }
}

/// A Ledger takes a message's type only up to 39 letters; two messages of one name would be signed
/// alike. A Cosmos message without a name is signed by its type URL, as in the SDK.
#[test]
fn every_message_has_an_amino_name_of_its_own() {
    let mut names = std::collections::BTreeSet::new();
    // The SDK gives this one no name, so nobody can sign it in amino JSON.
    let nameless = "/cosmos.feegrant.v1beta1.MsgPruneAllowances";
    for url in Msg::type_urls().into_iter().filter(|url| url != nameless) {
        let message = message(url.strip_prefix('/').unwrap()).expect(&url);
        let name = message.amino_name;
        assert!(name.len() < 40, "{url}: {name:?}");
        assert!(!name.is_empty() || url.starts_with("/cosmos."), "{url} has no amino.name");
        assert!(name.is_empty() || names.insert(name), "{url}: {name} is another's");
    }
}

/// The two forms of a message of ours, for clients that write their own.
#[test]
fn our_messages_are_written_by_their_fields() {
    let submit = MsgSubmitJob {
        requester: "xpl1".into(),
        model_id: vec![1, 2, 3],
        input: "1 < 2 & \"3\"".into(),
        max_tokens: 16,
        sampling: Some(Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 7 }),
        max_fee_uxpl: "1000000".into(),
        deadline_unix_s: 1_735_689_600,
        stop: vec!["\n".into(), String::new()],
        referral: String::new(),
    };
    let any = Any { type_url: MsgSubmitJob::type_url(), value: submit.encode_to_vec() };
    assert_eq!(
        json(&any).unwrap(),
        concat!(
            r#"{"type":"plasma/MsgSubmitJob","value":{"deadline_unix_s":"1735689600","#,
            r#""input":"1 \u003c 2 \u0026 \"3\"","max_fee_uxpl":"1000000","max_tokens":16,"model_id":"AQID","#,
            r#""requester":"xpl1","sampling":{"seed":"7","top_p_milli":1000},"stop":["\n",""]}}"#,
        )
    );
    let empty = Any { type_url: MsgSubmitJob::type_url(), value: vec![] };
    assert_eq!(json(&empty).unwrap(), r#"{"type":"plasma/MsgSubmitJob","value":{}}"#);
}

#[test]
fn the_table_is_sorted_by_name() {
    assert!(MESSAGES.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(MESSAGES.iter().all(|entry| std::ptr::eq(message(entry.name).unwrap(), entry)));
}

/// Numbers that do not fit their field mean something else to every reader.
#[test]
fn numbers_fit_their_fields() {
    // max_tokens is an uint32, `enabled` of a SendEnabled a bool, `option` of a vote an enumeration.
    for (url, fits, does_not) in [
        ("/plasma.market.v1.MsgSubmitJob", "20ffffffff0f", "208080808010"),
        ("/cosmos.bank.v1beta1.MsgSetSendEnabled", "12021001", "12021002"),
        ("/cosmos.gov.v1.MsgVote", "18ffffffff07", "188080808008"),
    ] {
        let any = |bytes: &str| Any { type_url: url.into(), value: hex::decode(bytes).unwrap() };
        json(&any(fits)).unwrap();
        let refusal = json(&any(does_not)).unwrap_err().to_string();
        assert!(refusal.contains("out of range"), "{url}: {refusal}");
    }
}
