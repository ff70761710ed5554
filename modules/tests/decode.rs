//! One encoding per transaction, bounded work, no panic: whatever the bytes.

mod common;

use common::{Account, Chain, Draft, XPL, genesis, send};
use plasma_modules::{
    Refusal,
    msg::Msg,
    tx::{
        self, MESSAGES_MAX, Purpose,
        amino::json,
        decode,
        wire::{self, NESTING_MAX},
    },
};
use plasma_proto::{
    cosmos::tx::v1beta1::{AuthInfo, ModeInfo, SignerInfo, TxBody, TxRaw, mode_info},
    schema::{MESSAGES, message},
};
use proptest::prelude::*;
use prost::{
    Message,
    encoding::{encode_key, encode_varint},
};
use prost_types::Any;

fn start() -> (Chain, Account, Account) {
    let (alice, bob) = (Account::new(1), Account::new(2));
    (Chain::new(&genesis(&[&alice, &bob], 100 * XPL)), alice, bob)
}

fn refusal(bytes: &[u8]) -> Refusal {
    decode(bytes, Purpose::Execute).expect_err("it was taken")
}

/// A record of a message: its field number, and all its bytes.
type Part = (u32, Vec<u8>);

/// The records of a message, of which all are varints or length-delimited.
fn parts(mut bytes: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let whole = bytes;
        let (number, wire) = prost::encoding::decode_key(&mut bytes).unwrap();
        let value = prost::encoding::decode_varint(&mut bytes).unwrap();
        if wire == prost::encoding::WireType::LengthDelimited {
            bytes = &bytes[usize::try_from(value).unwrap()..];
        }
        parts.push((number, whole[..whole.len() - bytes.len()].to_vec()));
    }
    parts
}

/// Other encodings of the same message, each with the rule that it breaks. Decoders that are not
/// strict read every one as the same, or nearly.
fn other_encodings(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let parts = parts(bytes);
    let join = |parts: &[Part]| parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let mut others = vec![
        ("unknown field", [bytes, &[0xfa, 0x3f, 0x00]].concat()),
        ("unknown varint", [bytes, &[0xf8, 0x3f, 0x01]].concat()),
        ("unknown non-critical field", [bytes, &[0xd2, 0x86, 0x03, 0x00]].concat()),
        ("group", [bytes, &[0xfb, 0x3f, 0xfc, 0x3f]].concat()),
        ("trailing byte", [bytes, &[0x00]].concat()),
        ("field number 0", [bytes, &[0x02, 0x00]].concat()),
    ];
    let (number, first) = parts[0].clone();
    if parts.iter().any(|(other, _)| *other != number) {
        let mut reversed = parts.clone();
        reversed.reverse();
        others.push(("reordered", join(&reversed)));
    }
    // Length 0 for text and bytes, 0 for numbers: a default that is written.
    others.push(("default written", {
        let mut default = vec![first[0]];
        default.push(0);
        [default, bytes.to_vec()].concat()
    }));
    // The tag with a byte more, and the length with one.
    others.push(("long tag", [&[first[0] | 0x80, 0x00], &bytes[1..]].concat()));
    let mut tail = &first[1..];
    let value = prost::encoding::decode_varint(&mut tail).unwrap();
    let mut long = vec![first[0]];
    encode_varint(value, &mut long);
    *long.last_mut().unwrap() |= 0x80;
    long.push(0x00);
    long.extend(tail);
    others.push(("long varint", [long, bytes[first.len()..].to_vec()].concat()));
    others
}

/// Amino JSON does not sign bytes but what they mean, so only the decoder stands between a
/// transaction and a hundred others of the same meaning.
#[test]
fn a_transaction_has_one_encoding() {
    let (mut chain, alice, bob) = start();
    let draft = Draft {
        memo: "memo".into(),
        timeout_height: 99,
        ..chain.draft(&alice, vec![send(&alice, bob.address, 1)])
    };
    let good = TxRaw::decode(draft.sign_amino(&alice).as_slice()).unwrap();
    let mut tried = 0;
    let mut refuse = |level: &str, name: &str, bytes: &[u8]| {
        let refusal = refusal(bytes);
        assert_eq!((refusal.codespace, refusal.code), ("sdk", 2), "{level}, {name}: {refusal}");
        tried += 1;
    };
    for (name, bytes) in other_encodings(&good.encode_to_vec()) {
        refuse("TxRaw", name, &bytes);
    }
    for (name, body_bytes) in other_encodings(&good.body_bytes) {
        refuse("TxBody", name, &TxRaw { body_bytes, ..good.clone() }.encode_to_vec());
    }
    for (name, auth_info_bytes) in other_encodings(&good.auth_info_bytes) {
        // Two signers are refused as such; what is written is not the same transaction.
        if name != "default written" {
            refuse("AuthInfo", name, &TxRaw { auth_info_bytes, ..good.clone() }.encode_to_vec());
        }
    }
    let body = draft.body();
    for (name, value) in other_encodings(&body.messages[0].value) {
        let messages = vec![Any { value, ..body.messages[0].clone() }];
        let body_bytes = TxBody { messages, ..body.clone() }.encode_to_vec();
        refuse("MsgSend", name, &TxRaw { body_bytes, ..good.clone() }.encode_to_vec());
    }
    let auth_info = AuthInfo::decode(good.auth_info_bytes.as_slice()).unwrap();
    let key = auth_info.signer_infos[0].public_key.clone().unwrap();
    for (name, value) in other_encodings(&key.value) {
        let mut auth_info = auth_info.clone();
        auth_info.signer_infos[0].public_key = Some(Any { value, ..key.clone() });
        let auth_info_bytes = auth_info.encode_to_vec();
        refuse("PubKey", name, &TxRaw { auth_info_bytes, ..good.clone() }.encode_to_vec());
    }
    assert!(tried > 45, "{tried}");
    // A signature with a byte more, or one less, is none.
    for len in [0, 63, 65] {
        let mut other = good.clone();
        other.signatures[0].resize(len, 0);
        assert_eq!(chain.block(&[other.encode_to_vec()])[0].code, 4);
    }
    assert_eq!(chain.block(&[good.encode_to_vec()])[0].code, 0);
}

/// `levels` of messages: an exec of an `Any` of an exec, down to an empty one.
fn nested_exec(levels: usize) -> Any {
    let mut value = Vec::new();
    for _ in 0..levels {
        let inner = Any { type_url: "/cosmos.authz.v1beta1.MsgExec".into(), value };
        value = Vec::new();
        let bytes = inner.encode_to_vec();
        encode_key(2, prost::encoding::WireType::LengthDelimited, &mut value);
        encode_varint(bytes.len() as u64, &mut value);
        value.extend(bytes);
    }
    Any { type_url: "/cosmos.authz.v1beta1.MsgExec".into(), value }
}

fn nested_modes(levels: usize) -> ModeInfo {
    let mut info = ModeInfo { sum: None };
    for _ in 0..levels {
        let multi = mode_info::Multi { bitarray: None, mode_infos: vec![info] };
        info = ModeInfo { sum: Some(mode_info::Sum::Multi(multi)) };
    }
    info
}

#[test]
fn nesting_is_bounded_through_any() {
    let exec = message("cosmos.authz.v1beta1.MsgExec").unwrap();
    // The exec itself, then an `Any` and an exec for each level.
    let deepest = (NESTING_MAX - 1) / 2;
    wire::check(exec, &nested_exec(deepest).value).unwrap();
    assert!(json(&nested_exec(deepest)).is_ok());
    for levels in [deepest + 1, 100, 1_000, 4_000] {
        let any = nested_exec(levels);
        for text in [wire::check(exec, &any.value).unwrap_err(), json(&any).unwrap_err()] {
            assert!(text.to_string().contains("nested deeper than 16"), "{levels}: {text}");
        }
        let body_bytes = TxBody { messages: vec![any], ..TxBody::default() }.encode_to_vec();
        let raw = TxRaw { body_bytes, ..TxRaw::default() }.encode_to_vec();
        let refusal = refusal(&raw);
        let code = if raw.len() > tx::TX_BYTES_MAX { 21 } else { 2 };
        assert_eq!((refusal.codespace, refusal.code), ("sdk", code), "{levels}: {refusal}");
    }
    for levels in [8, 40, 500] {
        let info = SignerInfo { mode_info: Some(nested_modes(levels)), ..SignerInfo::default() };
        #[allow(deprecated)]
        let auth_info = AuthInfo { signer_infos: vec![info], fee: None, tip: None };
        let auth_info_bytes = auth_info.encode_to_vec();
        let refusal = refusal(&TxRaw { auth_info_bytes, ..TxRaw::default() }.encode_to_vec());
        assert!(refusal.log.contains("nested deeper than 16"), "{levels}: {refusal}");
    }
    // Groups, which a lenient reader would descend into.
    let groups = [vec![0x0b; 20_000], vec![0x0c; 20_000]].concat();
    assert_eq!(refusal(&groups).code, 2);
}

#[test]
fn messages_are_counted() {
    let (mut chain, alice, bob) = start();
    for (count, code) in [(MESSAGES_MAX, 0), (MESSAGES_MAX + 1, 18)] {
        let msgs = vec![send(&alice, bob.address, 1); count];
        let draft = Draft { gas: 5_000_000, ..chain.draft(&alice, msgs) };
        let result = chain.block(&[draft.sign(&alice)]).remove(0);
        assert_eq!(result.code, code, "{count}: {}", result.log);
    }
}

#[test]
fn extension_options_are_unknown() {
    let (chain, alice, bob) = start();
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let option =
        Any { type_url: "/ethermint.types.v1.ExtensionOptionsWeb3Tx".into(), value: vec![] };
    let (critical, other) = (vec![option.clone()], vec![option]);
    for (extension_options, non_critical_extension_options) in [(critical, vec![]), (vec![], other)]
    {
        let body = TxBody { extension_options, non_critical_extension_options, ..draft.body() };
        let raw = TxRaw { body_bytes: body.encode_to_vec(), ..TxRaw::default() };
        let refusal = refusal(&raw.encode_to_vec());
        assert_eq!((refusal.codespace, refusal.code), ("sdk", 31), "{refusal}");
    }
}

/// Everything that reads bytes is asked; none may panic.
fn ask(bytes: &[u8]) {
    for purpose in [Purpose::Execute, Purpose::Simulate] {
        let _ = decode(bytes, purpose);
    }
    for message in &MESSAGES {
        let any = Any { type_url: format!("/{}", message.name), value: bytes.to_vec() };
        // What amino JSON writes was strictly read.
        if json(&any).is_ok() {
            wire::check(message, bytes).unwrap();
        }
        let _ = Msg::from_any(&any);
    }
}

/// Bytes like those of protobuf: few field numbers, short lengths, nested.
fn protobuf_like() -> impl Strategy<Value = Vec<u8>> {
    let scalar = (1u32..12, any_varint()).prop_map(|(number, value)| {
        let mut bytes = Vec::new();
        encode_key(number, prost::encoding::WireType::Varint, &mut bytes);
        encode_varint(value, &mut bytes);
        bytes
    });
    let text = (
        1u32..12,
        prop_oneof![
            "[ -~]{0,12}".prop_map(String::into_bytes),
            Just(b"/cosmos.bank.v1beta1.MsgSend".to_vec()),
            Just(b"/cosmos.authz.v1beta1.MsgExec".to_vec()),
            prop::collection::vec(proptest::num::u8::ANY, 0..20),
        ],
    )
        .prop_map(|(number, value)| delimited(number, &value));
    prop_oneof![scalar, text].prop_recursive(5, 60, 6, |inner| {
        (1u32..12, prop::collection::vec(inner, 1..6))
            .prop_map(|(number, parts)| delimited(number, &parts.concat()))
    })
}

fn any_varint() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..u64::MAX]
}

fn delimited(number: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    encode_varint(value.len() as u64, &mut bytes);
    bytes.extend(value);
    bytes
}

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    Double(prop::sample::Index, prop::sample::Index),
    Cut(prop::sample::Index),
}

impl Change {
    fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let n = bytes.len();
        match self {
            Self::Flip(at, bits) => bytes[at.index(n)] ^= bits,
            Self::Insert(at, byte) => bytes.insert(at.index(n), *byte),
            Self::Delete(at) => drop(bytes.remove(at.index(n))),
            Self::Double(from, to) => {
                let (a, b) = (from.index(n), to.index(n));
                let again = bytes[a.min(b)..a.max(b)].to_vec();
                bytes.splice(a..a, again);
            }
            Self::Cut(at) => bytes.truncate(at.index(n)),
        }
        bytes
    }
}

fn change() -> impl Strategy<Value = Change> {
    let index = || proptest::arbitrary::any::<prop::sample::Index>();
    prop_oneof![
        (index(), 1..=u8::MAX).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (index(), 0..=u8::MAX).prop_map(|(at, byte)| Change::Insert(at, byte)),
        index().prop_map(Change::Delete),
        (index(), index()).prop_map(|(from, to)| Change::Double(from, to)),
        index().prop_map(Change::Cut),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(proptest::num::u8::ANY, 0..300)) {
        ask(&bytes);
    }

    #[test]
    fn no_protobuf_panics(parts in prop::collection::vec(protobuf_like(), 0..8)) {
        ask(&parts.concat());
    }

    /// What is not the transaction that was signed is not taken, in either mode, and never panics.
    #[test]
    fn no_change_of_a_transaction_is_taken(
        amino in proptest::bool::ANY,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let (mut chain, alice, bob) = start();
        let draft = Draft {
            memo: "memo".into(),
            ..chain.draft(&alice, vec![send(&alice, bob.address, 1)])
        };
        let good = if amino { draft.sign_amino(&alice) } else { draft.sign(&alice) };
        let bytes = changes.iter().fold(good.clone(), |bytes, change| {
            if bytes.is_empty() { bytes } else { change.of(&bytes) }
        });
        prop_assume!(bytes != good);
        let _ = plasma_modules::chain::simulate(&chain.store, &chain.next_block(), &bytes);
        let process = chain.process(&[&bytes]);
        prop_assert!(process.is_err());
        prop_assert!(chain.block(&[bytes])[0].code != 0);
    }
}

/// The bytes of real messages, changed.
#[test]
fn vectors_cut_anywhere_do_not_panic() {
    let golden = include_str!("golden/amino.txt");
    for line in golden.lines().filter(|line| line.starts_with("message ")) {
        let columns: Vec<_> = line.splitn(4, ' ').collect();
        let bytes = hex::decode(columns[2]).unwrap_or_default();
        for cut in 0..bytes.len() {
            let any = Any { type_url: columns[1].into(), value: bytes[..cut].to_vec() };
            let _ = (json(&any), Msg::from_any(&any));
            let mut other = bytes.clone();
            other[cut] ^= 0x81;
            let any = Any { type_url: columns[1].into(), value: other };
            let _ = (json(&any), Msg::from_any(&any));
        }
    }
}
