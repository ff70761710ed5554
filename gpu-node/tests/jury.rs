//! Audits between nodes, on the chain's own rules: evidence is shown, jurors judge, and the truth comes out.
#![cfg(feature = "engine")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use candle_core::Device;
use common::{CHAIN_ID, Node, XPL, genesis};
use gpu_node::chain::{self, Health, Service, Serving};
use gpu_node::client::{Client, TxOptions, any};
use gpu_node::engine::candle::{Candle, load_folder};
use gpu_node::engine::{EngineHandle, tiny};
use gpu_node::jury::{self, Judge};
use gpu_node::metrics::Metrics;
use gpu_node::outbox::{KEEP_DAYS, Outbox};
use gpu_node::receipt::ReceiptKey;
use gpu_node::verify::DEFAULT_PROFILE;
use gpu_node::wallet::Wallet;
use plasma_modules::attestation::audit::{self, question::ANSWER_BYTES};
use plasma_modules::{Address, market, token};
use plasma_proto::plasma::attestation::v1::{
    Audit, AuditState, Finding, MsgJoinPool, MsgSetProfile, MsgSetProfileResponse,
};
use plasma_proto::plasma::market::v1::{
    Ask, Hardware, Job, JobState, Manifest, ModelFile, MsgPublishModel, MsgPublishModelResponse,
    MsgRegisterProvider, MsgSubmitJob, MsgSubmitJobResponse, Sampling,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

const REQUESTER: u8 = 1;
const PUBLISHER: u8 = 2;
const PROVIDER: u8 = 3;
const JURORS: [u8; 3] = [4, 5, 6];
const BOND_UXPL: u128 = 2_000 * XPL;
const PATIENCE: Duration = Duration::from_secs(60);

fn wallet(seed: u8) -> Wallet {
    Wallet::from_secret(&[seed; 32]).unwrap()
}

fn reporter(seed: u8) -> Wallet {
    wallet(seed + 100)
}

fn receipt_key(seed: u8) -> ReceiptKey {
    ReceiptKey::new(&Zeroizing::new([seed + 50; 32]), CHAIN_ID)
}

fn model(seed: u64) -> Candle {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), seed).unwrap();
    load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap()
}

/// A chain on which three operators judge a model, and a fourth serves it.
struct World {
    node: Node,
    client: Client,
    model_id: [u8; 32],
}

impl World {
    async fn new() -> Self {
        let all = [REQUESTER, PUBLISHER, PROVIDER].into_iter().chain(JURORS);
        let accounts: Vec<_> = all
            .flat_map(|seed| [wallet(seed).address(), reporter(seed).address()])
            .map(|address| (address, 10_000 * XPL))
            .collect();
        let mut genesis = genesis(&accounts);
        let params = genesis.attestation.as_mut().unwrap().params.as_mut().unwrap();
        let audits = params.audits.as_mut().unwrap();
        (audits.pool_min, audits.jury, audits.threshold) = (3, 3, 2);
        (audits.appeal_jury, audits.appeal_threshold) = (3, 2);
        (audits.appeal_blocks, audits.appeal_s) = (5, 0);
        // Ends when all is done.
        (audits.reveal_blocks, audits.commit_blocks, audits.verdict_blocks) = (800, 800, 800);
        let node = Node::start(&genesis).await;
        let client = Client::connect(&node.url).await.unwrap();
        let world = Self { node, client, model_id: [0; 32] };
        let model_id = world.publish("tiny").await;
        let other = world.publish("other").await;
        let world = Self { model_id, ..world };
        let set = MsgSetProfile {
            publisher: wallet(PUBLISHER).address().text(),
            model_id: model_id.to_vec(),
            profile: Some(DEFAULT_PROFILE),
        };
        let outcome = world.send(PUBLISHER, any(&set)).await;
        let MsgSetProfileResponse { profile_hash, .. } = outcome.response(0).unwrap();
        world.register(PROVIDER, model_id).await;
        for juror in JURORS {
            world.register(juror, other).await;
            let operator = wallet(juror).address().text();
            let profile_hash = profile_hash.clone();
            let join = MsgJoinPool { operator, model_id: model_id.to_vec(), profile_hash };
            world.send(juror, any(&join)).await;
        }
        world
    }

    async fn send(&self, from: u8, msg: prost_types::Any) -> gpu_node::client::TxOutcome {
        self.client.send(&wallet(from), vec![msg], &TxOptions::default()).await.unwrap()
    }

    async fn publish(&self, name: &str) -> [u8; 32] {
        let manifest = Manifest {
            name: name.into(),
            architecture: "llama".into(),
            dtype: "f32".into(),
            tokenizer: "bytes".into(),
            licence: "Apache-2.0".into(),
            base_model: vec![],
            context_tokens: tiny::CONTEXT_TOKENS,
            template_tokens_max: 64,
            files: vec![ModelFile {
                path: "model.safetensors".into(),
                sha256: vec![5; 32],
                size_bytes: 1,
            }],
        };
        let publisher = wallet(PUBLISHER).address().text();
        let publish = MsgPublishModel { publisher, manifest: Some(manifest), royalty_bps: 0 };
        let published: MsgPublishModelResponse =
            self.send(PUBLISHER, any(&publish)).await.response(0).unwrap();
        published.model_id.try_into().unwrap()
    }

    async fn register(&self, seed: u8, model_id: [u8; 32]) {
        let operator = wallet(seed).address();
        let register = MsgRegisterProvider {
            operator: operator.text(),
            receipt_key: receipt_key(seed).public().to_vec(),
            receipt_key_proof: receipt_key(seed).prove(operator),
            endpoint: "http://127.0.0.1:1".into(),
            tls_key_hash: vec![],
            hardware: Some(Hardware {
                device: "cpu".into(),
                backend: "cpu".into(),
                cores: 2,
                ..Hardware::default()
            }),
            region: String::new(),
            bond_uxpl: BOND_UXPL.to_string(),
            asks: vec![Ask {
                model_id: model_id.to_vec(),
                fresh_uxpl_per_mtok: 1_000_000,
                cached_uxpl_per_mtok: 100_000,
                output_uxpl_per_mtok: 4_000_000,
                slots: 2,
            }],
        };
        self.send(seed, any(&register)).await;
    }

    async fn submit(&self) -> u64 {
        let submit = MsgSubmitJob {
            requester: wallet(REQUESTER).address().text(),
            model_id: self.model_id.to_vec(),
            input: "What is the capital of France?".into(),
            max_tokens: 100,
            sampling: Some(Sampling { temperature_milli: 800, top_p_milli: 950, seed: 1 }),
            max_fee_uxpl: XPL.to_string(),
            deadline_unix_s: 0,
            stop: vec![],
            referral: String::new(),
        };
        let outcome = self.send(REQUESTER, any(&submit)).await;
        outcome.response::<MsgSubmitJobResponse>(0).unwrap().job_id
    }

    /// A node at work. `serves` is what it writes with, if it takes jobs.
    fn work(&self, seed: u8, home: &Path, serves: Option<Candle>) -> Working {
        let models = serves.map(|model| {
            let engine = EngineHandle::spawn(Box::new(model)).unwrap();
            (self.model_id, Serving { engine, name: "tiny".into(), slots: 2 })
        });
        let outbox = home.join("outbox");
        let service = Arc::new(Service {
            client: self.client.clone(),
            operator: wallet(seed).address(),
            key: receipt_key(seed),
            reporter: reporter(seed),
            models: models.into_iter().collect(),
            outbox: Outbox::open(&outbox).unwrap(),
            metrics: Arc::new(Metrics::new()),
            sending: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            health: Arc::new(Health::default()),
        });
        let judge = Judge::new(Mutex::new(model(tiny::SEED)));
        let judges = BTreeMap::from([(self.model_id, judge)]);
        let verdicts = home.join("jury");
        let jury = jury::open(Arc::clone(&service), judges, &outbox, &verdicts).unwrap();
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(jury::serve(jury, stopped.clone())),
            tokio::spawn(chain::watch(Arc::clone(&service), stopped.clone())),
            tokio::spawn(chain::carry(Arc::clone(&service), stopped)),
        ];
        Working { service, stop, tasks }
    }

    fn audit(&self, id: u64) -> Option<Audit> {
        audit::audit(&self.node.state().store, id)
    }

    async fn audit_when(&self, id: u64, wanted: impl Fn(&Audit) -> bool) -> Audit {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            match self.audit(id) {
                Some(audit) if wanted(&audit) => return audit,
                other => assert!(tokio::time::Instant::now() < until, "{other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    fn bond(&self, seed: u8) -> u128 {
        let provider = market::provider(&self.node.state().store, wallet(seed).address());
        provider.unwrap().bond_uxpl.parse().unwrap()
    }

    fn balance(&self, of: Address) -> u128 {
        token::balance(&self.node.state().store, of).units()
    }
}

struct Working {
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Working {
    async fn stop(self) -> Arc<Service> {
        self.stop.send(true).unwrap();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.service
    }
}

/// A job by a provider that writes with `weights`, to the end of its audit. One juror's node stops as soon as it has
/// committed, and another one begins from what is on its disk.
async fn story(weights: u64) -> (World, Audit, Job) {
    let world = World::new().await;
    let homes: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let provider = world.work(PROVIDER, homes[3].path(), Some(model(weights)));
    let mut jurors: Vec<_> = JURORS
        .iter()
        .zip(&homes)
        .map(|(juror, home)| world.work(*juror, home.path(), None))
        .collect();
    let id = world.submit().await;
    let first = wallet(JURORS[0]).address().text();
    let committed = |audit: &Audit| {
        audit.seats.iter().any(|seat| seat.juror == first && !seat.commitment.is_empty())
    };
    world.audit_when(id, committed).await;
    drop(jurors.remove(0).stop().await);
    jurors.push(world.work(JURORS[0], homes[0].path(), None));
    let ended = world.audit_when(id, |audit| audit.state() == AuditState::Ended).await;
    let job = world
        .node
        .job_when(id, |job| ![JobState::Assigned, JobState::Delivered].contains(&job.state()))
        .await;
    for juror in jurors {
        let service = juror.stop().await;
        assert!(!service.metrics.text().contains("missed"), "{}", service.metrics.text());
    }
    let verdict = homes[1].path().join("jury").join(format!("{id:020}-0000000000.verdict"));
    let unopened = verdict.with_file_name(format!("{:020}-0000000000.verdict", id + 1));
    std::fs::copy(&verdict, &unopened).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs((KEEP_DAYS * 24 + 1) * 3600);
    std::fs::File::open(&verdict).unwrap().set_modified(long_ago).unwrap();
    let again = world.work(JURORS[1], homes[1].path(), None);
    let until = tokio::time::Instant::now() + PATIENCE;
    while verdict.exists() {
        assert!(tokio::time::Instant::now() < until, "an old verdict of an ended audit stays");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    drop(again.stop().await);
    assert!(unopened.exists(), "it is not old");
    let answers: Vec<_> =
        ended.seats.iter().map(|seat| &seat.verdict.as_ref().unwrap().answer).collect();
    assert!(answers.iter().all(|answer| answer.len() == ANSWER_BYTES && *answer == answers[0]));
    assert!(ended.seats.iter().all(|seat| !seat.has_not_looked), "{ended:?}");
    let service = provider.stop().await;
    let text = service.metrics.text();
    assert!(text.contains("gpu_node_audit_duties_total{what=\"reveal\"} 1"), "{text}");
    (world, ended, job)
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_work_is_found_clean_and_paid() {
    let (world, audit, job) = story(tiny::SEED).await;
    assert_eq!(audit.finding(), Finding::Clean, "{audit:?}");
    assert_eq!(job.state(), JobState::Settled, "{job:?}");
    assert!(audit.seats.iter().all(|seat| seat.verdict.as_ref().unwrap().pass), "{audit:?}");
    assert_eq!(world.bond(PROVIDER), BOND_UXPL);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_models_work_is_convicted_and_refunded() {
    let (world, audit, job) = story(tiny::SEED + 1).await;
    assert_eq!(audit.finding(), Finding::Convicted, "{audit:?}");
    assert_ne!(job.state(), JobState::Settled, "{job:?}");
    assert!(audit.seats.iter().all(|seat| !seat.verdict.as_ref().unwrap().pass), "{audit:?}");
    let slashed: u128 = audit.slashed_uxpl.parse().unwrap();
    assert!(slashed > 0);
    assert_eq!(world.bond(PROVIDER), BOND_UXPL - slashed);
    let earned = |seat: &plasma_proto::plasma::attestation::v1::Seat| -> u128 {
        seat.earned_uxpl.parse().unwrap_or(0)
    };
    assert!(audit.seats.iter().all(|seat| earned(seat) > 0), "{audit:?}");
    assert!(world.balance(wallet(REQUESTER).address()) > 9_999 * XPL);
}
