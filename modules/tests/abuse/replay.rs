//! A transaction is taken once, on its chain, from its account, as it was signed; a signature for one
//! purpose is none for another.

use ed25519_dalek::Signer;
use plasma_modules::{Overlay, chain, market, tx::NoMemory};
use plasma_proto::{
    cosmos::tx::v1beta1::TxRaw,
    plasma::{
        attestation::v1::MsgSubmitReceipt,
        market::v1::{MsgDeclineJob, MsgRegisterProvider},
    },
};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};

use crate::{
    bodies::{
        self,
        chain::{BOB, OPERATOR, Terms},
        traffic::receipt_key,
    },
    common::{Account, Chain, Draft, XPL, any, genesis, send},
};

fn raw(bytes: &[u8]) -> TxRaw {
    TxRaw::decode(bytes).unwrap()
}

/// What every door says of a transaction, and that they say the same.
fn code(chain: &Chain, bytes: &[u8]) -> u32 {
    let block = chain.next_block();
    let mut waiting = Overlay::new(&chain.store);
    let checked = chain::check_tx(&mut waiting, &block, bytes, &NoMemory).code;
    let executed = chain.clone().block(&[bytes.to_vec()]).remove(0).code;
    let processed = chain.process(&[bytes]).err().map_or(0, |refusal| refusal.code);
    assert_eq!((checked, executed), (processed, processed));
    assert_eq!(chain.prepare(&[bytes]).len(), usize::from(processed == 0));
    processed
}

#[test]
fn a_transaction_is_taken_once_and_nowhere_else() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = Chain::new(&genesis(&[&alice, &bob], 100 * XPL));
    chain.block(&[]);
    let draft = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let good = draft.sign(&alice);
    let timeout = Some(Timestamp { seconds: i64::try_from(chain.time_s).unwrap() + 10, nanos: 0 });
    let unordered = Draft { unordered: true, timeout, ..draft.clone() };
    let under = |draft: &Draft, signature: &[u8]| {
        TxRaw { signatures: raw(signature).signatures, ..raw(&draft.sign(&alice)) }.encode_to_vec()
    };
    let amino = draft.sign_amino(&alice);
    let cases = [
        ("another chain", Draft { chain_id: "other-1".into(), ..draft.clone() }.sign(&alice), 4),
        ("another number", Draft { account_number: 7, ..draft.clone() }.sign(&alice), 4),
        ("a later sequence", Draft { sequence: 1, ..draft.clone() }.sign(&alice), 32),
        ("another's signature", draft.sign_as(&alice, &bob), 4),
        ("another's account", draft.sign(&bob), 8),
        ("another memo", under(&Draft { memo: "x".into(), ..draft.clone() }, &good), 4),
        ("another fee", under(&Draft { fee: 60_000, ..draft.clone() }, &good), 4),
        (
            "another message",
            under(&Draft { msgs: vec![send(&alice, bob.address, 2)], ..draft.clone() }, &good),
            4,
        ),
        ("unordered instead", under(&unordered, &good), 4),
        ("ordered instead", under(&draft, &unordered.sign(&alice)), 4),
        ("amino in direct", under(&draft, &amino), 4),
        (
            "direct in amino",
            TxRaw { signatures: raw(&good).signatures, ..raw(&amino) }.encode_to_vec(),
            4,
        ),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(code(&chain, &bytes), expected, "{name}");
    }
    // Once in a block, by any signature of the same sequence.
    assert_eq!(code(&chain, &good), 0);
    assert_eq!(code(&chain, &amino), 0);
    let codes = |chain: &mut Chain, txs: &[Vec<u8>]| -> Vec<u32> {
        chain.block(txs).iter().map(|result| result.code).collect()
    };
    assert_eq!(codes(&mut chain, &[good.clone(), good.clone(), amino.clone()]), [0, 32, 32]);
    for _ in 0..3 {
        assert_eq!((code(&chain, &good), code(&chain, &amino)), (32, 32));
        chain.block(&[]);
    }
    let again = Chain { store: chain.exported(), ..chain.clone() };
    assert_eq!(code(&again, &good), 32);
    // The gap to a later sequence is not jumped, however long it waits.
    let later = Draft { sequence: 3, ..draft.clone() }.sign(&alice);
    assert_eq!(codes(&mut chain, &[later.clone(), later]), [32, 32]);
    assert_eq!(chain.sequence(alice.address), 1);
    // Unordered: once per timeout.
    let once = unordered.sign(&alice);
    assert_eq!(codes(&mut chain, &[once.clone(), once.clone()]), [0, 18]);
    assert_eq!(code(&chain, &once), 18);
}

#[test]
fn a_signature_for_one_purpose_is_none_for_another() {
    let (chain, templates) = bodies::base();
    let find = |name: String| {
        let found = templates.iter().find(|(_, message)| message.type_url == name);
        found.unwrap().1.value.clone()
    };
    let receipt = MsgSubmitReceipt::decode(&*find(MsgSubmitReceipt::type_url())).unwrap();
    let decline = MsgDeclineJob::decode(&*find(MsgDeclineJob::type_url())).unwrap();
    let register = MsgRegisterProvider::decode(&*find(MsgRegisterProvider::type_url())).unwrap();
    let run = |seed: u8, message: Any| {
        let mut chain = chain.clone();
        let tx = chain.tx(seed, Terms::default(), vec![message]);
        let result = chain.run(&[&tx]).txs.remove(0);
        (result.codespace, result.code)
    };
    let key = receipt_key(OPERATOR);
    let sign = |digest: [u8; 32]| key.sign(&digest).to_vec();
    let declines =
        |signature: Vec<u8>| run(BOB, any(&MsgDeclineJob { signature, ..decline.clone() }));
    let delivers = |signature: Vec<u8>| {
        let mut changed = receipt.clone();
        changed.receipt.as_mut().unwrap().signature = signature;
        run(OPERATOR, any(&changed))
    };
    let delivered = receipt.receipt.as_ref().unwrap().signature.clone();
    let declined = decline.signature.clone();
    let registered = sign(market::register_digest(
        bodies::chain::CHAIN_ID,
        bodies::chain::address(OPERATOR),
        &key.verifying_key().to_bytes(),
    ));
    let elsewhere = sign(market::decline_digest("other-1", &decline));
    assert_eq!((declines(declined.clone()), delivers(delivered.clone())), (("", 0), ("", 0)));
    for signature in [&delivered, &registered, &elsewhere] {
        assert_ne!(declines(signature.clone()).1, 0);
    }
    for signature in [&declined, &registered, &elsewhere] {
        assert_eq!(delivers(signature.clone()), ("attestation", 27));
    }
    for receipt_key_proof in [delivered, declined, registered, elsewhere] {
        let message = any(&MsgRegisterProvider { receipt_key_proof, ..register.clone() });
        assert_ne!(run(BOB, message).1, 0);
    }
    assert_eq!(run(BOB, any(&register)), ("", 0));
}
