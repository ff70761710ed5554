//! A job that a provider wrote is verified from its papers and the model; whatever was changed is found.
#![cfg(feature = "verify")]

use std::path::Path;
use std::process::{Command, Output as Ended};

use gpu_node::engine::{EngineHandle, Request, Sampling, tiny};
use gpu_node::hardware::Backend;
use gpu_node::models::{self, Cache};
use gpu_node::outbox::Answer;
use gpu_node::receipt::ReceiptKey;
use plasma_modules::{attestation, market};
use plasma_proto::plasma::attestation::v1::{AcceptedReceipt, Evidence, MsgSubmitReceipt, Receipt};
use plasma_proto::plasma::market::v1::{self as pb, Ask, Job, JobState, Model, Payload};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};
use zeroize::Zeroizing;

const CHAIN: &str = "plasma-test-1";
const PROMPT: &str = "Tell me something.";

fn to_json<M: Message + Name>(message: &M) -> Value {
    let pool = DescriptorPool::decode(plasma_proto::DESCRIPTORS).unwrap();
    let known = pool.get_message_by_name(&M::full_name()).unwrap();
    let message = DynamicMessage::decode(known, message.encode_to_vec().as_slice()).unwrap();
    let options = SerializeOptions::new().use_proto_field_name(true);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

/// A job as it stands after its delivery, written by the tests' model: what `xpl job show` gives.
fn delivered(
    cache: &Cache,
    id: &models::ModelId,
    temperature_milli: u32,
) -> (Job, Payload, AcceptedReceipt, Evidence) {
    let manifest = cache.manifest(id).unwrap();
    let model = Model { model_id: id.to_vec(), manifest: Some(manifest), ..Model::default() };
    let sampling = pb::Sampling { temperature_milli, top_p_milli: 900, seed: 42 };
    let max_tokens = 24;
    let mut job = Job {
        id: 7,
        model_id: id.to_vec(),
        max_tokens,
        sampling: Some(sampling),
        request_hash: market::request_hash(id, PROMPT, max_tokens, &sampling, &[]).to_vec(),
        terms: Some(market::terms(&market::default_params(), &model, PROMPT.len())),
        ask: Some(Ask {
            fresh_uxpl_per_mtok: 200_000,
            output_uxpl_per_mtok: 600_000,
            ..Ask::default()
        }),
        attempt: 1,
        assigned_beacon: vec![4; 32],
        state: JobState::Delivered.into(),
        ..Job::default()
    };
    let engine = models::load(cache, id, &Backend::Cpu.open().unwrap()).unwrap();
    let engine = EngineHandle::spawn(Box::new(engine)).unwrap();
    let request = Request {
        prompt: PROMPT.into(),
        max_tokens,
        stop: vec![],
        sampling: Sampling::from(&sampling),
        seed: attestation::sampling_seed(&job.assigned_beacon, job.id, sampling.seed),
        evidence: true,
    };
    let written = engine.generate(request, |_| ());
    let key = ReceiptKey::new(&Zeroizing::new([3; 32]), CHAIN);
    let (Answer::Receipt(MsgSubmitReceipt { receipt, output, .. }), Some(kept)) =
        key.answer(&job, &engine.info().kernel_id, written)
    else {
        panic!("the job was declined");
    };
    let receipt_hash = attestation::receipt_hash(receipt.as_ref().unwrap()).to_vec();
    job.receipt_hash = receipt_hash.clone();
    let accepted = AcceptedReceipt { receipt, receipt_hash, ..AcceptedReceipt::default() };
    (job, Payload { input: PROMPT.into(), output }, accepted, kept)
}

/// Runs `xpl verify` on a document.
fn verify(folder: &Path, document: &Value) -> (i32, Value, Ended) {
    verify_with(folder, document, &[])
}

fn verify_with(folder: &Path, document: &Value, args: &[&str]) -> (i32, Value, Ended) {
    let file = folder.join("job.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_xpl"))
        .args(["--output", "json", "--home"])
        .arg(folder.join("home"))
        .arg("verify")
        .arg(&file)
        .arg("--models")
        .arg(folder.join("models"))
        .args(args)
        .env_remove("XPL_NODE")
        .output()
        .unwrap();
    let report = serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null);
    (ended.status.code().unwrap(), report, ended)
}

/// A receipt that says something else, as if the chain had accepted it.
fn signed_again(job: &Job, of: &AcceptedReceipt, mut lie: Receipt) -> (Job, AcceptedReceipt) {
    let key = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    lie.signature = ed25519_dalek::Signer::sign(&key, &attestation::receipt_digest(&lie)).to_vec();
    let receipt_hash = attestation::receipt_hash(&lie).to_vec();
    let job = Job { receipt_hash: receipt_hash.clone(), ..job.clone() };
    (job, AcceptedReceipt { receipt: Some(lie), receipt_hash, ..of.clone() })
}

fn named<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == name).unwrap()
}

/// What a check says: true, false, or null for not asked.
fn asked(report: &Value, name: &str) -> Value {
    named(report, name)["ok"].clone()
}

fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().unwrap();
    checks
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["check"].as_str().unwrap())
        .collect()
}

#[test]
fn an_honest_answer_is_verified_and_a_changed_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny::write_tiny(&folder.join("tiny"), tiny::SEED).unwrap();
    let cache = Cache::open(&folder.join("models")).unwrap();
    let id = cache.import(&folder.join("tiny"), "tiny", "Apache-2.0").unwrap();

    for temperature_milli in [0, 800] {
        let (job, payload, receipt, kept) = delivered(&cache, &id, temperature_milli);
        let document = |job: &Job, payload: &Payload, receipt: &AcceptedReceipt| json!({ "job": to_json(job), "payload": to_json(payload), "receipt": to_json(receipt) });
        let (code, report, ended) = verify(folder, &document(&job, &payload, &receipt));
        assert_eq!(code, 0, "{report} {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!((&report["verified"], &report["dispute"]), (&json!(true), &Value::Null));
        assert_eq!(report["tokens"]["matching"], report["tokens"]["claimed"]);
        assert_eq!(report["tokens"]["first_mismatch"], Value::Null);
        assert_eq!((&report["tier"], asked(&report, "root")), (&json!("exact"), json!(true)));
        assert_eq!((asked(&report, "leaves"), asked(&report, "proof")), (Value::Null, Value::Null));

        // With the provider's leaves, bit by bit and by thresholds.
        let leaves = folder.join("leaves.json");
        let path = leaves.to_str().unwrap();
        std::fs::write(&leaves, to_json(&kept).to_string()).unwrap();
        let whole = document(&job, &payload, &receipt);
        let (code, report, _) = verify_with(folder, &whole, &["--evidence", path]);
        assert_eq!((code, asked(&report, "leaves")), (0, json!(true)), "{report}");
        let by_numbers = ["--tolerant", "--evidence", path];
        let (code, report, _) = verify_with(folder, &whole, &by_numbers);
        assert_eq!((code, &report["tier"]), (0, &json!("tolerant")), "{report}");
        for name in ["activations", "projection", "tokens", "end"] {
            assert_eq!(asked(&report, name), json!(true), "{report}");
        }
        let limit = &named(&report, "activations")["measures"]["mantissa_median"]["limit"];
        assert_eq!(*limit, report["profile"]["mantissa_median_max"], "{report}");
        assert_eq!(report["segments"].as_array().unwrap().len(), kept.leaves.len());
        let profile = folder.join("profile.json");
        let numbers = json!({ "exponent_mismatches_max": 3, "mantissa_mean_centi_max": 50, "mantissa_median_max": 1,
            "projection_ppm_max": 1_234, "margin_ppm_max": 1_000, "tokens_per_outlier": 256 });
        std::fs::write(&profile, numbers.to_string()).unwrap();
        let strict = ["--tolerant", "--evidence", path, "--profile", profile.to_str().unwrap()];
        let (code, report, _) = verify_with(folder, &whole, &strict);
        assert_eq!((code, &report["profile"]), (0, &numbers), "{report}");
        std::fs::write(&profile, "{\"no_such\": 1}").unwrap();
        assert_eq!(verify_with(folder, &whole, &strict).0, 2);
        std::fs::write(&profile, "{}").unwrap();
        assert_eq!(verify_with(folder, &whole, &strict).0, 2);
        let (code, report, _) = verify_with(folder, &whole, &["--tolerant"]);
        assert_eq!((code, asked(&report, "activations")), (0, Value::Null), "said to be unasked");

        // Leaves that are not the receipt's, and a root of evidence that the model does not give.
        let mut false_leaves = kept.clone();
        false_leaves.leaves[1][300] ^= 1;
        std::fs::write(&leaves, to_json(&false_leaves).to_string()).unwrap();
        let (code, report, _) = verify_with(folder, &whole, &["--evidence", path]);
        assert_eq!((code, failed(&report)), (1, vec!["leaves"]));
        let strangers = Evidence { job_id: 8, ..kept.clone() };
        std::fs::write(&leaves, to_json(&strangers).to_string()).unwrap();
        assert_eq!(verify_with(folder, &whole, &["--evidence", path]).0, 2);
        let mut bare = receipt.receipt.clone().unwrap();
        bare.fingerprint_root = vec![1; 32];
        let (believed, bare) = signed_again(&job, &receipt, bare);
        let (code, report, _) = verify(folder, &document(&believed, &payload, &bare));
        assert_eq!((code, failed(&report)), (1, vec!["root"]));

        // Another answer, its receipt made to fit and signed again: only the model can tell.
        let mut other = payload.clone();
        let output = other.output.as_mut().unwrap();
        output.token_ids[3] = (output.token_ids[3] + 1) % 100;
        let mut lie = receipt.receipt.clone().unwrap();
        lie.output_tokens_hash = attestation::tokens_hash(&output.token_ids).to_vec();
        let (believed, accepted) = signed_again(&job, &receipt, lie);
        let (code, report, _) = verify(folder, &document(&believed, &other, &accepted));
        assert_eq!(code, 1);
        assert!(failed(&report).contains(&"tokens"), "{report}");
        assert_eq!(report["tokens"]["first_mismatch"], 3);
        let remedy = &report["dispute"];
        assert_eq!(
            (&remedy["command"], &remedy["possible"]),
            (&json!(format!("xpl dispute {}", job.id)), &Value::Null),
            "no node was asked: {report}"
        );

        // A dearer charge, a stranger's prompt, a stranger's signature.
        let mut dear = receipt.clone();
        dear.receipt.as_mut().unwrap().charge_uxpl = "1000000".into();
        let (code, report, _) = verify(folder, &document(&job, &payload, &dear));
        assert_eq!((code, failed(&report)), (1, vec!["receipt", "signature", "charge"]));
        let strange = Payload { input: "Something else.".into(), ..payload.clone() };
        let (code, report, _) = verify(folder, &document(&job, &strange, &receipt));
        assert_eq!(code, 1);
        assert!(failed(&report).contains(&"request"), "{report}");
    }
}

#[test]
fn what_cannot_be_checked_is_neither() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    tiny::write_tiny(&folder.join("tiny"), tiny::SEED).unwrap();
    let cache = Cache::open(&folder.join("models")).unwrap();
    let id = cache.import(&folder.join("tiny"), "tiny", "Apache-2.0").unwrap();
    let (job, payload, receipt, _) = delivered(&cache, &id, 0);
    let receipt = to_json(&receipt);

    let gone = json!({ "job": to_json(&job), "payload": null, "receipt": receipt });
    let (code, _, ended) = verify(folder, &gone);
    assert_eq!(code, 2);
    assert!(String::from_utf8_lossy(&ended.stderr).contains("forgotten"));

    cache.remove(&id).unwrap();
    let whole = json!({ "job": to_json(&job), "payload": to_json(&payload), "receipt": receipt });
    let (code, _, ended) = verify(folder, &whole);
    assert_eq!(code, 2);
    assert!(String::from_utf8_lossy(&ended.stderr).contains("not on this machine"));
}
