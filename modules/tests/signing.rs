//! Amino JSON and multisigs, as CosmJS signs them; and what is no such signature.

mod common;

use std::collections::BTreeMap;

use common::{Account, CHAIN_ID, Chain, Draft, Remember, XPL, any, genesis, send};
use plasma_modules::{
    Address, Amount, Overlay,
    auth::{self, MULTISIG_MEMBERS_MAX, Multisig, PublicKey},
    chain,
};
use plasma_proto::cosmos::{
    auth::v1beta1::BaseAccount,
    crypto::{
        ed25519,
        multisig::{
            LegacyAminoPubKey,
            v1beta1::{CompactBitArray, MultiSignature},
        },
        secp256k1,
    },
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{ModeInfo, SignerInfo, TxRaw, mode_info},
    },
};
use prost::Message;
use prost_types::Any;

const COSMJS: &str = include_str!("golden/cosmjs.txt");

fn lines(kind: &str) -> Vec<Vec<&'static str>> {
    let lines = COSMJS.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found: Vec<_> = lines.filter(|line| line[0] == kind).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

/// A chain on which an account of this address has this number and sequence.
fn chain_of(address: &str, number: u64, sequence: u64) -> Chain {
    let address = Address::parse(address).unwrap();
    let mut genesis =
        chain::new_genesis(&[(address, Amount::new(XPL))], vec![common::validator(0xe0)]).unwrap();
    let auth = genesis.auth.as_mut().unwrap();
    let account =
        BaseAccount { address: address.text(), pub_key: None, account_number: number, sequence };
    (auth.accounts, auth.next_account_number) = (vec![account], number + 1);
    Chain::new(&genesis)
}

#[test]
fn what_cosmjs_signs_in_amino_is_taken() {
    let vectors = lines("tx");
    assert_eq!(vectors.len(), 9);
    for line in vectors {
        let (name, sender) = (line[1], line[2]);
        let mut chain = chain_of(sender, line[3].parse().unwrap(), line[4].parse().unwrap());
        let bytes = hex::decode(line[5]).unwrap();
        let result = chain.block(std::slice::from_ref(&bytes)).remove(0);
        assert_eq!(result.code, 0, "{name}: {}", result.log);
        // Its key is kept, as it was brought.
        let account = auth::account(&chain.store, Address::parse(sender).unwrap()).unwrap();
        let key = PublicKey::from_any(account.pub_key.as_ref().unwrap()).unwrap();
        assert_eq!(key.address().text(), sender);
        // One digit of what was signed is another.
        let mut other = chain_of(sender, line[3].parse::<u64>().unwrap() + 1, 0);
        other.height += 1;
        let sequence: u64 = line[4].parse().unwrap();
        let result = other.block(&[bytes]).remove(0);
        assert_eq!(result.code, if sequence == 0 { 4 } else { 32 }, "{name}: {}", result.log);
    }
}

#[test]
fn a_multisigs_address_is_that_of_cosmjs() {
    for line in lines("address") {
        let keys = line[2].split(',').map(|key| hex::decode(key).unwrap().try_into().unwrap());
        let multisig = Multisig::new(line[1].parse().unwrap(), keys.collect()).unwrap();
        assert_eq!(PublicKey::Multisig(multisig).address().text(), line[3]);
    }
}

/// Gas that a simulation names is enough for the transaction once it is signed, by a threshold of a
/// multisig, and not far above.
#[test]
fn a_simulation_names_the_gas_of_the_signed_transaction() {
    let signed: BTreeMap<_, _> = lines("tx").into_iter().map(|line| (line[1], line)).collect();
    let mut compared = 0;
    for line in lines("simulate") {
        let (number, sequence): (u64, u64) = (line[3].parse().unwrap(), line[4].parse().unwrap());
        let mut chain = chain_of(line[2], number, sequence);
        let block = chain::next_block(&chain.store, CHAIN_ID, 1, chain.time_s);
        let bytes = hex::decode(line[5]).unwrap();
        let simulated = chain::simulate(&chain.store, &block, &bytes);
        assert_eq!(simulated.code, 0, "{}: {}", line[1], simulated.log);
        // CosmJS' and Keplr's single signer is the one of `amino`.
        let full = signed.get(line[1]).unwrap_or(&signed["amino"]);
        let full = hex::decode(full[5]).unwrap();
        let shape = format!("{}: {simulated:?}", line[1]);
        if signed.contains_key(line[1]) {
            let again = chain::simulate(&chain.store, &block, &full);
            let ran = chain.block(&[full]).remove(0);
            assert_eq!(ran.code, 0);
            assert_eq!(again.gas_used, ran.gas_used, "{shape}");
            let above = simulated.gas_used.checked_sub(ran.gas_used).expect(&shape);
            assert!(above < 400, "{above} {shape}");
            compared += 1;
        } else {
            let mut chain = chain_of(line[2], number, 0);
            let ran = chain.block(&[full]).remove(0);
            assert_eq!(ran.code, 0);
            assert!(simulated.gas_used.abs_diff(ran.gas_used) < 400, "{} {shape}", ran.gas_used);
            compared += 1;
        }
        // The sequence counts in every shape.
        let chain = chain_of(line[2], number, sequence + 1);
        let late = chain::simulate(&chain.store, &block, &bytes);
        assert_eq!(late.code, 32, "{}: {}", line[1], late.log);
        let text = format!("account sequence mismatch, expected {}, got {sequence}", sequence + 1);
        assert!(late.log.starts_with(&text), "{}", late.log);
    }
    assert_eq!(compared, 6);
}

/// A multisig of the accounts 1 to `n`.
struct Group {
    members: Vec<Account>,
    key: Multisig,
    address: Address,
}

impl Group {
    fn new(threshold: u32, n: u8) -> Self {
        let members: Vec<_> = (1..=n).map(Account::new).collect();
        let keys = members.iter().map(|member| member.public).collect();
        let key = Multisig::new(threshold, keys).unwrap();
        let address = PublicKey::Multisig(key.clone()).address();
        Self { members, key, address }
    }

    fn chain(&self) -> Chain {
        let genesis =
            chain::new_genesis(&[(self.address, Amount::new(XPL))], vec![common::validator(0xe0)]);
        let mut genesis = genesis.unwrap();
        let auth = genesis.auth.as_mut().unwrap();
        let account = BaseAccount { address: self.address.text(), ..BaseAccount::default() };
        (auth.accounts, auth.next_account_number) = (vec![account], 1);
        Chain::new(&genesis)
    }

    fn draft(&self) -> Draft {
        let to = Account::new(99).address;
        let from = self.address.text();
        let msg = plasma_proto::cosmos::bank::v1beta1::MsgSend {
            from_address: from,
            to_address: to.text(),
            amount: vec![common::coin(500)],
        };
        Draft::new(vec![any(&msg)], 0, 0)
    }

    fn info(&self, draft: &Draft, bits: CompactBitArray, modes: Vec<SignMode>) -> SignerInfo {
        let mode_infos = modes
            .into_iter()
            .map(|mode| {
                let single = mode_info::Single { mode: mode.into() };
                ModeInfo { sum: Some(mode_info::Sum::Single(single)) }
            })
            .collect();
        let multi = mode_info::Multi { bitarray: Some(bits), mode_infos };
        SignerInfo {
            public_key: Some(PublicKey::Multisig(self.key.clone()).to_any()),
            mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Multi(multi)) }),
            sequence: draft.sequence,
        }
    }

    /// The transaction with the signatures of these members, in this order.
    fn sign(&self, draft: &Draft, bits: CompactBitArray, signers: &[usize]) -> Vec<u8> {
        let doc = draft.amino_doc();
        let signatures = signers.iter().map(|at| self.members[*at].sign(&doc)).collect();
        let modes = vec![SignMode::LegacyAminoJson; signers.len()];
        let info = self.info(draft, bits, modes);
        draft.raw(vec![info], vec![MultiSignature { signatures }.encode_to_vec()])
    }
}

fn bits(text: &str) -> CompactBitArray {
    let mut elems = vec![0u8; text.len().div_ceil(8)];
    for (at, _) in text.bytes().enumerate().filter(|(_, bit)| *bit == b'x') {
        elems[at / 8] |= 1 << (7 - at % 8);
    }
    CompactBitArray { extra_bits_stored: u32::try_from(text.len() % 8).unwrap(), elems }
}

#[test]
fn a_multisig_needs_its_threshold_in_its_order() {
    let group = Group::new(2, 3);
    let draft = group.draft();
    let mut loose = bits("xx_");
    loose.elems[0] |= 1;
    let mut wide = bits("xx_");
    wide.extra_bits_stored = 11;
    let nested = {
        let mut info = group.info(&draft, bits("xx_"), vec![SignMode::LegacyAminoJson; 2]);
        let Some(mode_info::Sum::Multi(multi)) = info.mode_info.as_mut().unwrap().sum.as_mut()
        else {
            unreachable!()
        };
        multi.mode_infos[0] = ModeInfo {
            sum: Some(mode_info::Sum::Multi(mode_info::Multi {
                bitarray: Some(bits("x")),
                mode_infos: vec![],
            })),
        };
        draft.raw(vec![info], vec![MultiSignature::default().encode_to_vec()])
    };
    let direct = {
        let info = group.info(&draft, bits("xx_"), vec![SignMode::Direct; 2]);
        let body = draft.body().encode_to_vec();
        let auth = draft.auth_info(vec![info.clone()]).encode_to_vec();
        let doc = plasma_modules::tx::sign_bytes(&body, &auth, CHAIN_ID, 0);
        let signatures = group.members[..2].iter().map(|member| member.sign(&doc)).collect();
        draft.raw(vec![info], vec![MultiSignature { signatures }.encode_to_vec()])
    };
    let single = {
        let mut info = draft.signer(&group.members[0], SignMode::LegacyAminoJson);
        info.public_key = Some(PublicKey::Multisig(group.key.clone()).to_any());
        draft.raw(vec![info], vec![group.members[0].sign(&draft.amino_doc())])
    };
    let duplicate = {
        let signature = group.members[0].sign(&draft.amino_doc());
        let info = group.info(&draft, bits("xx_"), vec![SignMode::LegacyAminoJson; 2]);
        let signatures = vec![signature.clone(), signature];
        draft.raw(vec![info], vec![MultiSignature { signatures }.encode_to_vec()])
    };
    let bare = |signers: &[usize], count: usize| {
        let doc = draft.amino_doc();
        let signatures: Vec<_> = signers.iter().map(|at| group.members[*at].sign(&doc)).collect();
        let info = group.info(&draft, bits("xx_"), vec![SignMode::LegacyAminoJson; count]);
        draft.raw(vec![info], vec![MultiSignature { signatures }.encode_to_vec()])
    };
    let mut trailing = TxRaw::decode(group.sign(&draft, bits("xx_"), &[0, 1]).as_slice()).unwrap();
    trailing.signatures[0].extend([0x12, 0x00]);
    let cases = [
        ("too few", group.sign(&draft, bits("x__"), &[0]), 4),
        ("none", group.sign(&draft, bits("___"), &[]), 4),
        ("wrong order", group.sign(&draft, bits("xx_"), &[1, 0]), 4),
        ("another member's", group.sign(&draft, bits("xx_"), &[0, 2]), 4),
        ("the same twice", duplicate, 4),
        ("more signatures than bits", bare(&[0, 1, 2], 2), 4),
        ("fewer signatures than bits", bare(&[0], 2), 4),
        ("more modes than bits", bare(&[0, 1, 2], 3), 4),
        ("too few bits", group.sign(&draft, bits("xx"), &[0, 1]), 4),
        ("too many bits", group.sign(&draft, bits("xx__"), &[0, 1]), 4),
        ("bits of 17 members", group.sign(&draft, bits("xx_______________"), &[0, 1]), 4),
        ("a bit past the end", group.sign(&draft, loose, &[0, 1]), 4),
        ("eleven extra bits", group.sign(&draft, wide, &[0, 1]), 4),
        ("no bits", group.sign(&draft, CompactBitArray::default(), &[]), 4),
        ("a multisig inside", nested, 37),
        ("direct inside", direct, 37),
        ("a single signature", single, 4),
        ("an unknown field in the signature", trailing.encode_to_vec(), 2),
    ];
    let mut chain = group.chain();
    chain.block(&[]);
    for (name, bytes, code) in cases {
        let result = chain.block(&[bytes]).remove(0);
        assert_eq!((result.codespace, result.code), ("sdk", code), "{name}: {}", result.log);
        assert!(result.events.is_empty(), "{name}");
    }
    assert_eq!(chain.balance(group.address), XPL);
    for (taken, signers) in [("xx_", &[0, 1][..]), ("x_x", &[0, 2]), ("xxx", &[0, 1, 2])] {
        let draft = Draft { sequence: chain.sequence(group.address), ..group.draft() };
        let result = chain.block(&[group.sign(&draft, bits(taken), signers)]).remove(0);
        assert_eq!(result.code, 0, "{taken}: {}", result.log);
        let events = result.events.iter().flat_map(|event| &event.attributes);
        let signatures = events.filter(|(key, _)| *key == "signature").count();
        assert_eq!(signatures, signers.len() + 1, "each member's, and the whole");
    }
}

/// The key is stored as the `Any` that it came as, and need not come again.
#[test]
fn a_multisigs_key_is_kept_and_costs_by_signature() {
    let group = Group::new(2, 3);
    let mut chain = group.chain();
    let draft = group.draft();
    let two = chain.block(&[group.sign(&draft, bits("xx_"), &[0, 1])]).remove(0);
    assert_eq!(two.code, 0, "{}", two.log);
    let stored = auth::account(&chain.store, group.address).unwrap().pub_key.unwrap();
    assert_eq!(stored.type_url, "/cosmos.crypto.multisig.LegacyAminoPubKey");
    let key = LegacyAminoPubKey::decode(stored.value.as_slice()).unwrap();
    assert_eq!((key.threshold, key.public_keys.len()), (2, 3));
    assert!(key.public_keys.iter().all(|any| any.type_url == "/cosmos.crypto.secp256k1.PubKey"));

    let draft = Draft { sequence: 1, ..draft };
    let signed = group.sign(&draft, bits("xxx"), &[0, 1, 2]);
    let mut raw = TxRaw::decode(signed.as_slice()).unwrap();
    let mut info = group.info(&draft, bits("xxx"), vec![SignMode::LegacyAminoJson; 3]);
    info.public_key = None;
    raw.auth_info_bytes = draft.auth_info(vec![info]).encode_to_vec();
    let without_key = raw.encode_to_vec();
    let three = chain.block(std::slice::from_ref(&without_key)).remove(0);
    assert_eq!(three.code, 0, "{}", three.log);
    let bytes = |gas: u64, n: usize| gas - 10 * u64::try_from(n).unwrap();
    let first = group.sign(&group.draft(), bits("xx_"), &[0, 1]);
    let difference = bytes(three.gas_used, without_key.len()) - bytes(two.gas_used, first.len());
    assert_eq!(difference, plasma_modules::ante::SIGNATURE_GAS);
}

#[test]
fn keys_that_are_none_are_refused() {
    let key = |n: u8| Account::new(n).public;
    let single = |n: u8| any(&secp256k1::PubKey { key: key(n).to_vec() });
    let many = |threshold, public_keys| any(&LegacyAminoPubKey { threshold, public_keys });
    let n = u8::try_from(MULTISIG_MEMBERS_MAX).unwrap();
    let cases: Vec<(Any, u32)> = vec![
        (many(0, vec![single(1)]), 8),
        (many(2, vec![single(1)]), 8),
        (many(1, vec![]), 8),
        (many(1, vec![many(1, vec![single(1)])]), 8),
        (many(1, vec![any(&ed25519::PubKey { key: vec![1; 32] })]), 8),
        (any(&ed25519::PubKey { key: vec![1; 32] }), 8),
        (any(&secp256k1::PubKey { key: vec![2; 32] }), 8),
        (many(1, (1..=n + 1).map(single).collect()), 14),
    ];
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = Chain::new(&genesis(&[&alice, &bob], XPL));
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    for (key, code) in cases {
        let mut info = draft.signer(&alice, SignMode::Direct);
        info.public_key = Some(key.clone());
        let result = chain.block(&[draft.raw(vec![info], vec![vec![0; 64]])]).remove(0);
        assert_eq!((result.codespace, result.code), ("sdk", code), "{key:?}: {}", result.log);
        // A genesis that holds it is refused as well.
        let mut genesis = chain::export(&chain.store);
        genesis.auth.as_mut().unwrap().accounts[0].pub_key = Some(key);
        let mut store = plasma_modules::Memory::default();
        assert!(chain::init(&mut store, CHAIN_ID, common::TIME_S, &genesis).is_err());
    }
    let full = Multisig::new(1, (1..=n).map(key).collect()).unwrap();
    let full = PublicKey::Multisig(full);
    assert_eq!(PublicKey::from_any(&full.to_any()).unwrap(), full);
}

/// More signatures than a transaction may have, spread over two multisigs.
#[test]
fn the_signatures_of_all_signers_are_counted() {
    let group = Group::new(1, 16);
    let draft = group.draft();
    let all: Vec<usize> = (0..16).collect();
    let mut chain = group.chain();
    let result = chain.block(&[group.sign(&draft, bits(&"x".repeat(16)), &all)]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    let payer = Account::new(77);
    let draft = Draft { payer: payer.address.text(), sequence: 1, ..draft };
    let modes = vec![SignMode::LegacyAminoJson; 16];
    let infos = vec![
        group.info(&draft, bits(&"x".repeat(16)), modes),
        draft.signer(&payer, SignMode::LegacyAminoJson),
    ];
    let multi = MultiSignature { signatures: vec![vec![0; 64]; 16] }.encode_to_vec();
    let result = chain.block(&[draft.raw(infos, vec![multi, vec![0; 64]])]).remove(0);
    assert_eq!((result.codespace, result.code), ("sdk", 14), "{}", result.log);
}

/// A signature over one form is none over the other, and the modes of two signers may differ.
#[test]
fn each_signer_signs_in_its_own_mode() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = Chain::new(&genesis(&[&alice, &bob], XPL));
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let amino = draft.sign_amino(&alice);
    let direct = draft.sign(&alice);
    let swap = |from: &[u8], to: &[u8]| {
        let (from, mut to) = (TxRaw::decode(from).unwrap(), TxRaw::decode(to).unwrap());
        to.signatures = from.signatures;
        to.encode_to_vec()
    };
    for bytes in [swap(&amino, &direct), swap(&direct, &amino)] {
        let result = chain.block(&[bytes]).remove(0);
        assert_eq!((result.codespace, result.code), ("sdk", 4), "{}", result.log);
    }
    let textual = draft.raw(vec![draft.signer(&alice, SignMode::Textual)], vec![vec![0; 64]]);
    assert_eq!(chain.block(&[textual])[0].code, 37);

    // Bob pays: Alice signs amino JSON, he signs the bytes.
    let draft = Draft { payer: bob.address.text(), ..draft };
    let infos =
        vec![draft.signer(&alice, SignMode::LegacyAminoJson), draft.signer(&bob, SignMode::Direct)];
    let body = draft.body().encode_to_vec();
    let auth_info = draft.auth_info(infos.clone()).encode_to_vec();
    let number = chain.account_number(bob.address);
    let direct = plasma_modules::tx::sign_bytes(&body, &auth_info, CHAIN_ID, number);
    let signatures = vec![alice.sign(&draft.amino_doc()), bob.sign(&direct)];
    let before = chain.balance(bob.address);
    let result = chain.block(&[draft.raw(infos, signatures)]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(chain.balance(bob.address), before - 50_000 + 1);
}

/// What CheckTx found of a multisig is not looked at again, member by member.
#[test]
fn memory_holds_each_member() {
    let group = Group::new(2, 3);
    let chain = group.chain();
    let memory = Remember::default();
    let block = chain::next_block(&chain.store, CHAIN_ID, 1, chain.time_s);
    let signed = group.sign(&group.draft(), bits("x_x"), &[0, 2]);
    let check = |memory: &Remember| {
        chain::check_tx(&mut Overlay::new(&chain.store), &block, &signed, memory).code
    };
    assert_eq!((check(&memory), memory.hits.get()), (0, 0));
    assert_eq!((check(&memory), memory.hits.get()), (0, 2));
}
