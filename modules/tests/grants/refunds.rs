//! What a carrier gets back of a fee is its own part, inside of a `MsgExec` as outside.

use ed25519_dalek::{Signer, SigningKey};
use plasma_modules::{
    Amount, FeeParts,
    attestation::{receipt_digest, text_hash, tokens_hash},
    market::{self, register_digest},
};
use plasma_proto::{
    cosmos::{
        authz::v1beta1::{GenericAuthorization, Grant, MsgGrant},
        feegrant::v1beta1::{BasicAllowance, MsgGrantAllowance},
    },
    plasma::{
        attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
        market::v1::{
            Ask, Hardware, Manifest, ModelFile, MsgPublishModel, MsgRegisterProvider, MsgSubmitJob,
            Outcome, Output, Sampling,
        },
    },
};
use proptest::prelude::{Just, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{authz::exec, *};

/// A job is assigned to bob; `Ok` is its receipt, to be carried by anybody.
fn assigned(chain: &mut Chain, alice: &Account, bob: &Account) -> MsgSubmitReceipt {
    let file = ModelFile { path: "m".into(), sha256: vec![5; 32], size_bytes: 9 };
    let manifest = Manifest {
        name: "tiny".into(),
        architecture: "llama".into(),
        dtype: "f32".into(),
        tokenizer: "bytes".into(),
        licence: "Apache-2.0".into(),
        base_model: vec![],
        context_tokens: 512,
        template_tokens_max: 32,
        files: vec![file],
    };
    let model_id = market::model_id(&manifest).to_vec();
    let publish = MsgPublishModel {
        publisher: alice.address.text(),
        manifest: Some(manifest),
        royalty_bps: 0,
    };
    done(chain, alice, vec![any(&publish)]);
    let key = SigningKey::from_bytes(&[8; 32]);
    let receipt_key = key.verifying_key().to_bytes();
    let proof = key.sign(&register_digest(common::CHAIN_ID, bob.address, &receipt_key));
    let ask = Ask {
        model_id: model_id.clone(),
        fresh_uxpl_per_mtok: 1_000_000,
        cached_uxpl_per_mtok: 100_000,
        output_uxpl_per_mtok: 4_000_000,
        slots: 2,
    };
    let register = MsgRegisterProvider {
        operator: bob.address.text(),
        receipt_key: receipt_key.to_vec(),
        receipt_key_proof: proof.to_vec(),
        endpoint: "https://rig.example:8443".into(),
        tls_key_hash: vec![],
        hardware: Some(Hardware {
            device: "cpu".into(),
            backend: "cpu".into(),
            cores: 2,
            ..Hardware::default()
        }),
        region: "eu".into(),
        bond_uxpl: (1_000 * XPL).to_string(),
        asks: vec![ask],
    };
    done(chain, bob, vec![any(&register)]);
    let sampling = Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 7 };
    let submit = MsgSubmitJob {
        requester: alice.address.text(),
        model_id: model_id.clone(),
        input: "Why?".into(),
        max_tokens: 16,
        sampling: Some(sampling),
        max_fee_uxpl: XPL.to_string(),
        deadline_unix_s: 0,
        stop: vec![],
        referral: String::new(),
    };
    done(chain, alice, vec![any(&submit)]);
    chain.block(&[]);
    let job = market::job(&chain.store, 1).unwrap();
    let answer = Output { token_ids: vec![10, 11, 12], text: "So.".into() };
    let mut receipt = Receipt {
        version: 1,
        chain_id: common::CHAIN_ID.into(),
        job_id: 1,
        attempt: job.attempt,
        receipt_key: receipt_key.to_vec(),
        model_id,
        kernel_id: "k".into(),
        outcome: Outcome::Ok.into(),
        finish_reason: FinishReason::Eos.into(),
        request_hash: job.request_hash,
        prompt_tokens_hash: tokens_hash(&[1, 2, 3]).to_vec(),
        output_tokens_hash: tokens_hash(&answer.token_ids).to_vec(),
        response_hash: text_hash(&answer.text).to_vec(),
        n_fresh: 30,
        n_cached: 0,
        n_out: 3,
        sampling: Some(sampling),
        fingerprint_root: vec![7; 32],
        t_first_ms: 5,
        t_total_ms: 9,
        charge_uxpl: "42".into(),
        signature: vec![],
    };
    receipt.signature = key.sign(&receipt_digest(&receipt)).to_vec();
    let carrier = bob.address.text();
    MsgSubmitReceipt { carrier, receipt: Some(receipt), output: Some(answer) }
}

fn world() -> (Chain, Account, Account, Account, MsgSubmitReceipt) {
    let (alice, bob, carol) = (Account::new(1), Account::new(2), Account::new(3));
    let mut chain = Chain::new(&genesis(&[&alice, &bob, &carol], 10_000 * XPL));
    let receipt = assigned(&mut chain, &alice, &bob);
    (chain, alice, bob, carol, receipt)
}

/// What the job gave back when a transaction of these messages carried its receipt.
fn given_back(chain: &Chain, from: &Account, msgs: Vec<Any>) -> u128 {
    let mut chain = chain.clone();
    let before = chain.balance(from.address);
    let tx = Draft { gas: 9_000_000, ..chain.draft(from, msgs) }.sign(from);
    let result = chain.block(&[tx]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    assert!(chain.balance(from.address) < before, "{} made money", from.address);
    market::job(&chain.store, 1).unwrap().duty_fee_uxpl.parse().unwrap()
}

#[test]
fn a_message_in_exec_gets_no_more_back_than_outside() {
    let (mut chain, _, bob, carol, receipt) = world();
    let report = any(&receipt);
    let alone = given_back(&chain, &bob, vec![report.clone()]);
    assert!(alone > 0);
    let others = |count| vec![send(&bob, carol.address, 1); count];
    for count in [1, 10, 60] {
        let outside = given_back(&chain, &bob, [vec![report.clone()], others(count)].concat());
        let inside = exec(&bob, [vec![report.clone()], others(count)].concat());
        let inside = given_back(&chain, &bob, vec![inside]);
        let beside = vec![exec(&bob, vec![report.clone()]), exec(&bob, others(count))];
        let beside = given_back(&chain, &bob, beside);
        // A few more bytes cost a few more uxpl, of which a part comes back.
        assert!(inside <= outside && beside <= outside + 60, "{inside} {beside} {outside}");
    }
    // As the grantee of another carrier: the one who paid the fee gets it back.
    let grant = MsgGrant {
        granter: bob.address.text(),
        grantee: carol.address.text(),
        grant: Some(Grant {
            authorization: Some(any(&GenericAuthorization { msg: report.type_url.clone() })),
            expiration: None,
        }),
    };
    done(&mut chain, &bob, vec![any(&grant)]);
    let before = (chain.balance(bob.address), chain.balance(carol.address));
    let result = done(&mut chain, &carol, vec![exec(&carol, vec![report])]);
    let back: u128 = market::job(&chain.store, 1).unwrap().duty_fee_uxpl.parse().unwrap();
    assert!(back > 0, "{}", result.log);
    assert_eq!(chain.balance(bob.address), before.0);
    assert_eq!(chain.balance(carol.address), before.1 - 50_000 + back);
}

/// The fee of a granter comes back to the granter, not to the carrier.
#[test]
fn what_comes_back_goes_to_who_paid() {
    let (mut chain, _, bob, carol, receipt) = world();
    let allowance = Some(any(&BasicAllowance { spend_limit: vec![], expiration: None }));
    let (granter, grantee) = (carol.address.text(), bob.address.text());
    let grant = MsgGrantAllowance { granter: granter.clone(), grantee, allowance };
    done(&mut chain, &carol, vec![any(&grant)]);
    let before = (chain.balance(bob.address), chain.balance(carol.address));
    let draft = chain.draft(&bob, vec![any(&receipt)]);
    let tx = Draft { fee_granter: granter, ..draft }.sign(&bob);
    let result = chain.block(&[tx]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    let back: u128 = market::job(&chain.store, 1).unwrap().duty_fee_uxpl.parse().unwrap();
    assert!(back > 0);
    assert_eq!(chain.balance(bob.address), before.0);
    assert_eq!(chain.balance(carol.address), before.1 - 50_000 + back);
}

proptest! {
    /// Parts of messages that cost the whole gas sum to the whole; others to less.
    #[test]
    fn parts_of_a_fee_sum_to_the_whole(
        whole in prop_oneof![Just(0), Just(1), Just(u64::MAX), 0..u64::MAX],
        gases in proptest::collection::vec(0..1_000_000u64, 1..64),
        own in 0..100_000u64,
    ) {
        let sum: u64 = gases.iter().sum();
        for (gas, exact) in [(sum, true), (sum + own, own == 0)] {
            let mut parts = FeeParts::new(Amount::from(whole), gas);
            let dealt: u128 = gases.iter().map(|gas| parts.next(*gas).units()).sum();
            prop_assert!(dealt <= whole.into());
            if exact && sum > 0 {
                prop_assert_eq!(dealt, u128::from(whole));
            }
        }
    }
}
