//! Amino JSON is byte for byte the Cosmos SDK's: `golden/amino.txt` was made by its own encoder.

use plasma_modules::{
    msg::Msg,
    tx::amino::{SignerData, json, sign_doc},
};
use plasma_proto::{
    cosmos::tx::v1beta1::{Fee, TxBody},
    schema::{MESSAGES, message},
};
use prost::Message;
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
    assert!(vectors.len() >= 50, "{}", vectors.len());
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

/// A Ledger shows a message's type only up to 39 letters; two messages of one name would be signed
/// alike.
#[test]
fn every_message_has_an_amino_name_of_its_own() {
    let mut names = std::collections::BTreeSet::new();
    for url in Msg::type_urls() {
        let message = message(url.strip_prefix('/').unwrap()).expect(&url);
        assert!((1..40).contains(&message.amino_name.len()), "{url}: {:?}", message.amino_name);
        assert!(names.insert(message.amino_name), "{url}: {} is another's", message.amino_name);
    }
}

#[test]
fn the_table_is_sorted_by_name() {
    assert!(MESSAGES.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(MESSAGES.iter().all(|entry| std::ptr::eq(message(entry.name).unwrap(), entry)));
}
