//! Bytes on disk and on the wire are golden. A fixed list of blocks leaves a fixed state, fixed
//! results and fixed event names; `golden/blocks.txt` holds them. A difference is a release note,
//! not a fix: `PLASMA_GOLDEN=write cargo test -p plasma-modules --test golden` writes the file anew.

mod common;

use std::{fmt::Write as _, fs, path::Path};

use common::{Account, Chain, XPL, any, genesis, send};
use ed25519_dalek::{Signer, SigningKey};
use plasma_modules::{
    Read,
    attestation::{receipt_digest, text_hash, tokens_hash},
    chain::{BlockOutput, TxResult},
    market::{self, register_digest},
    types::{hex, sha256},
};
use plasma_proto::plasma::{
    attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
    market::v1::{
        Ask, Hardware, Manifest, ModelFile, MsgPublishModel, MsgRegisterProvider, MsgSubmitJob,
        Outcome, Output, Sampling,
    },
};

fn result(text: &mut String, name: &str, result: &TxResult) {
    let TxResult { codespace, code, log: _, data, gas_wanted, gas_used, events } = result;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    writeln!(
        text,
        "tx {name}: {codespace}/{code} gas {gas_used}/{gas_wanted} data {} events {}",
        hex(data),
        kinds.join(" ")
    )
    .unwrap();
}

fn block_events(text: &mut String, height: u64, output: &BlockOutput) {
    for event in &output.events {
        let keys: Vec<_> = event.attributes.iter().map(|(key, _)| *key).collect();
        writeln!(text, "block {height}: {} {}", event.kind, keys.join(" ")).unwrap();
    }
}

fn manifest() -> Manifest {
    let file =
        ModelFile { path: "model.safetensors".into(), sha256: vec![5; 32], size_bytes: 1_000 };
    Manifest {
        name: "tiny".into(),
        architecture: "llama".into(),
        dtype: "f32".into(),
        tokenizer: "bytes".into(),
        licence: "Apache-2.0".into(),
        base_model: vec![],
        context_tokens: 512,
        template_tokens_max: 32,
        files: vec![file],
    }
}

fn story() -> String {
    let (alice, operator) = (Account::new(1), Account::new(2));
    let mut genesis = genesis(&[&alice, &operator], 10_000 * XPL);
    let params = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
    (params.dispute_window_blocks, params.dispute_window_s) = (2, 2);
    let mut chain = Chain::new(&genesis);
    let mut text = String::new();
    let mut step = |chain: &mut Chain, name: &str, from: &Account, msg| {
        let tx = chain.draft(from, vec![msg]).sign(from);
        let output = chain.block_after(1, &[tx]);
        result(&mut text, name, &output.txs[0]);
        block_events(&mut text, chain.height, &output);
    };

    step(&mut chain, "send", &alice, send(&alice, Account::new(3).address, XPL));
    step(&mut chain, "send too much", &alice, send(&alice, operator.address, 100_000 * XPL));

    let publish = MsgPublishModel {
        publisher: alice.address.text(),
        manifest: Some(manifest()),
        royalty_bps: 150,
    };
    step(&mut chain, "publish model", &alice, any(&publish));
    let model_id = market::model_id(&manifest()).to_vec();

    let key = SigningKey::from_bytes(&[8; 32]);
    let receipt_key = key.verifying_key().to_bytes();
    let proof = key.sign(&register_digest(common::CHAIN_ID, operator.address, &receipt_key));
    let ask = Ask {
        model_id: model_id.clone(),
        fresh_uxpl_per_mtok: 1_000_000,
        cached_uxpl_per_mtok: 100_000,
        output_uxpl_per_mtok: 4_000_000,
        slots: 2,
    };
    let register = MsgRegisterProvider {
        operator: operator.address.text(),
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
    step(&mut chain, "register provider", &operator, any(&register));

    let sampling = Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 7 };
    let submit = MsgSubmitJob {
        requester: alice.address.text(),
        model_id: model_id.clone(),
        input: "What is the capital of France?".into(),
        max_tokens: 16,
        sampling: Some(sampling),
        max_fee_uxpl: XPL.to_string(),
        deadline_unix_s: 0,
        stop: vec![],
        referral: operator.address.text(),
    };
    step(&mut chain, "submit job", &alice, any(&submit));
    let output = chain.block_after(1, &[]);
    block_events(&mut text, chain.height, &output);

    let job = market::job(&chain.store, 1).unwrap();
    let answer = Output { token_ids: vec![10, 11, 12], text: "Paris.".into() };
    let mut receipt = Receipt {
        version: 1,
        chain_id: common::CHAIN_ID.into(),
        job_id: 1,
        attempt: job.attempt,
        receipt_key: receipt_key.to_vec(),
        model_id,
        kernel_id: "golden".into(),
        outcome: Outcome::Ok.into(),
        finish_reason: FinishReason::Eos.into(),
        request_hash: job.request_hash.clone(),
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
    let report = MsgSubmitReceipt {
        carrier: operator.address.text(),
        receipt: Some(receipt),
        output: Some(answer),
    };
    let tx = chain.draft(&operator, vec![any(&report)]).sign(&operator);
    let output = chain.block_after(1, &[tx]);
    result(&mut text, "submit receipt", &output.txs[0]);
    block_events(&mut text, chain.height, &output);
    for _ in 0..3 {
        let output = chain.block_after(1, &[]);
        block_events(&mut text, chain.height, &output);
    }

    for (key, value) in chain.store.scan(&[]) {
        writeln!(text, "{} = {}", hex(&key), hex(&value)).unwrap();
    }
    writeln!(text, "sha256 of all the above {}", hex(&sha256(text.as_bytes()))).unwrap();
    text
}

#[test]
fn a_fixed_list_of_blocks_leaves_fixed_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/blocks.txt");
    let found = story();
    if std::env::var("PLASMA_GOLDEN").is_ok_and(|word| word == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &found).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap();
    for (number, (found, golden)) in found.lines().zip(golden.lines()).enumerate() {
        assert_eq!(found, golden, "line {}", number + 1);
    }
    assert_eq!(found.lines().count(), golden.lines().count());
}
