//! Every number of every message at its edges: an answer with a written code, never a panic, and
//! money adds up, in the block and in those that come after.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::Signer;
use plasma_modules::{attestation::receipt_digest, chain, msg::Msg};
use plasma_proto::{
    plasma::attestation::v1::MsgSubmitReceipt,
    schema::{self, Field, Kind},
};
use prost::{
    Message, Name,
    encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint},
};
use prost_types::Any;

use crate::bodies::{
    base,
    chain::{Chain, OPERATOR, Terms, any},
    traffic::receipt_key,
};

/// Amounts: nothing, the least, around 2^64 and 2^127, the largest and past it.
const TEXTS: [&str; 9] = [
    "",
    "0",
    "1",
    "18446744073709551615",
    "18446744073709551616",
    "170141183460469231731687303715884105727",
    "340282366920938463463374607431768211454",
    "340282366920938463463374607431768211455",
    "340282366920938463463374607431768211456",
];

/// Counts, prices, times: the same of each width.
const NUMBERS: [u64; 9] = [
    0,
    1,
    0x7fff_fffe,
    0x7fff_ffff,
    0xffff_fffe,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX - 1,
    u64::MAX,
];

/// Codespaces that exist.
const CODESPACES: [&str; 15] = [
    "audit",
    "beacon",
    "grants",
    "sdk",
    "token",
    "auth",
    "feegrant",
    "staking",
    "slashing",
    "distribution",
    "market",
    "attestation",
    "game",
    "authz",
    "gov",
];

/// A record of a message: field number, key and value, and the value alone where it has a length.
#[derive(Clone)]
struct Record {
    number: u32,
    whole: Vec<u8>,
    value: Option<Vec<u8>>,
}

fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let from = bytes;
        let (number, wire) = decode_key(&mut bytes).unwrap();
        let len = decode_varint(&mut bytes).unwrap();
        let value = (wire == WireType::LengthDelimited).then(|| {
            let (value, rest) = bytes.split_at(usize::try_from(len).unwrap());
            bytes = rest;
            value.to_vec()
        });
        let whole = from[..from.len() - bytes.len()].to_vec();
        records.push(Record { number, whole, value });
    }
    records
}

fn with_length(number: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut bytes);
    encode_varint(value.len() as u64, &mut bytes);
    bytes.extend(value);
    bytes
}

fn is_amount(message: &str, field: &Field) -> bool {
    field.kind == Kind::String
        && (field.name.ends_with("_uxpl")
            || (field.name == "amount" && message == "cosmos.base.v1beta1.Coin"))
}

/// The message with one of its numbers at an edge, each with the number's name. Zeros are left out,
/// as every canonical encoding does.
fn edges(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let message = schema::message(name).unwrap_or_else(|| panic!("{name} has no schema"));
    let records = records(bytes);
    let join = |at: usize, until: usize, middle: &[u8]| {
        let part = |records: &[Record]| -> Vec<u8> {
            records.iter().flat_map(|record| record.whole.clone()).collect()
        };
        [&part(&records[..at])[..], middle, &part(&records[until..])].concat()
    };
    let mut found = Vec::new();
    for field in message.fields {
        let label = format!("{}.{}", name.rsplit('.').next().unwrap_or_default(), field.name);
        // Where it stands; where it would stand if it is unset.
        let mut places: Vec<(usize, usize)> = records
            .iter()
            .enumerate()
            .filter(|(_, record)| record.number == field.number)
            .map(|(at, _)| (at, at + 1))
            .collect();
        if places.is_empty() && !field.repeated {
            let at = records.iter().take_while(|record| record.number < field.number).count();
            places.push((at, at));
        }
        for (at, until) in places {
            match field.kind {
                Kind::Bool
                | Kind::Int32
                | Kind::Int64
                | Kind::Uint32
                | Kind::Uint64
                | Kind::Enum
                    if !field.packed =>
                {
                    for number in NUMBERS {
                        let mut record = Vec::new();
                        if number != 0 {
                            encode_key(field.number, WireType::Varint, &mut record);
                            encode_varint(number, &mut record);
                        }
                        found.push((label.clone(), join(at, until, &record)));
                    }
                }
                Kind::String if is_amount(name, field) => {
                    for text in TEXTS {
                        let record = match text {
                            "" => Vec::new(),
                            text => with_length(field.number, text.as_bytes()),
                        };
                        found.push((label.clone(), join(at, until, &record)));
                    }
                }
                Kind::Message(place) if until > at => {
                    let value = records[at].value.clone().unwrap_or_default();
                    let inner = schema::at(place).unwrap();
                    let changed: Vec<(String, Vec<u8>)> = if inner.form == schema::Form::Any {
                        let packed = Any::decode(value.as_slice()).unwrap();
                        let changed = edges(&packed.type_url[1..], &packed.value);
                        let pack = |(label, value)| {
                            let any = Any { type_url: packed.type_url.clone(), value };
                            (label, any.encode_to_vec())
                        };
                        changed.into_iter().map(pack).collect()
                    } else {
                        edges(inner.name, &value)
                    };
                    for (label, value) in changed {
                        found.push((label, join(at, until, &with_length(field.number, &value))));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// A receipt whose numbers were changed is signed anew: else nothing behind the signature is reached.
fn resigned(message: Any) -> Any {
    if message.type_url == MsgSubmitReceipt::type_url()
        && let Ok(mut submit) = MsgSubmitReceipt::decode(message.value.as_slice())
        && let Some(receipt) = &mut submit.receipt
    {
        receipt.signature = receipt_key(OPERATOR).sign(&receipt_digest(receipt)).to_vec();
        return any(&submit);
    }
    message
}

#[test]
fn every_number_of_every_message_at_its_edges() {
    let (start, templates) = base();
    let mut labels: BTreeMap<String, BTreeSet<(&str, u32)>> = BTreeMap::new();
    let mut types = BTreeSet::new();
    let (mut taken, mut refused) = (0, 0);
    for (seed, template) in templates {
        types.insert(template.type_url.clone());
        for (label, value) in edges(&template.type_url[1..], &template.value) {
            let message = resigned(Any { type_url: template.type_url.clone(), value });
            let mut chain: Chain = start.clone();
            let tx = chain.tx(*seed, Terms::default(), vec![message]);
            let result = chain.run(&[&tx]).txs.remove(0);
            let name = format!("{label} of {}", template.type_url);
            if result.code == 0 {
                taken += 1;
            } else {
                refused += 1;
                assert!(CODESPACES.contains(&result.codespace), "{name}: {result:?}");
                assert!(result.data.is_empty() && !result.log.is_empty(), "{name}: {result:?}");
            }
            labels.entry(label).or_default().insert((result.codespace, result.code));
            chain::check_invariants(&chain.store).unwrap_or_else(|text| panic!("{name}: {text}"));
            // What was taken may be due at once, later, or never.
            for seconds in [1, 100, 1_000_000] {
                chain.run_after(seconds, &[]);
            }
            chain::check_invariants(&chain.store).unwrap_or_else(|text| panic!("{name}: {text}"));
        }
    }
    println!("{taken} taken, {refused} refused: {labels:#?}");
    // A message without a number has no edge, so it is its template that must be there.
    let alone = Msg::governance_type_urls();
    let carried = Msg::type_urls().into_iter().filter(|url| !alone.contains(url));
    assert_eq!(types, carried.collect());
    assert!(taken > 100 && refused > 500, "{taken} {refused}");
    for label in [
        "Coin.amount",
        "MsgSubmitJob.max_fee_uxpl",
        "MsgRegisterProvider.bond_uxpl",
        "MsgAddBond.amount_uxpl",
        "MsgWithdrawBond.amount_uxpl",
        "Ask.output_uxpl_per_mtok",
        "Receipt.charge_uxpl",
        "Receipt.n_out",
        "Period.length",
        "Timestamp.seconds",
    ] {
        let codes = labels.get(label).unwrap_or_else(|| panic!("{label} has no edge"));
        assert!(codes.iter().any(|(_, code)| *code != 0), "{label}: {codes:?}");
    }
}
