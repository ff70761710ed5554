//! The service half of the node: answers on disk, and jobs from assignment to settlement on the chain's own rules.
#![cfg(feature = "engine")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use common::{CHAIN_ID, Node, XPL, genesis, manifest, registration};
use gpu_node::api::{self, Api, Offered};
use gpu_node::chain::{self, Health, Service, Serving};
use gpu_node::client::{Client, ClientError, TxOptions, any};
use gpu_node::engine::echo::Echo;
use gpu_node::engine::tokenizer::Tokenizer;
use gpu_node::engine::{Engine, EngineError, EngineHandle, Info, Sequence};
use gpu_node::metrics::Metrics;
use gpu_node::outbox::{Answer, KEEP_DAYS, Outbox, OutboxError};
use gpu_node::receipt::ReceiptKey;
use gpu_node::wallet::Wallet;
use plasma_modules::{Address, market};
use plasma_proto::cosmos::bank::v1beta1::MsgSend;
use plasma_proto::cosmos::base::v1beta1::Coin;
use plasma_proto::plasma::attestation::v1::{Evidence, MsgSubmitReceipt, Receipt};
use plasma_proto::plasma::market::v1::{
    JobState, MsgDeclineJob, MsgPublishModel, MsgPublishModelResponse, MsgSubmitJob,
    MsgSubmitJobResponse, Outcome, Output, Sampling,
};
use proptest::prelude::{any as some, prop_assert_eq, proptest};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

// --- Answers on disk ---

fn receipt(job_id: u64, text: &str) -> Answer {
    Answer::Receipt(MsgSubmitReceipt {
        carrier: String::new(),
        receipt: Some(Receipt {
            version: 1,
            job_id,
            attempt: 1,
            signature: vec![7; 64],
            ..Receipt::default()
        }),
        output: Some(Output { token_ids: vec![1, 2, 3], text: text.to_owned() }),
    })
}

fn decline(job_id: u64) -> Answer {
    Answer::Decline(MsgDeclineJob {
        job_id,
        attempt: 1,
        reason: "busy".into(),
        ..MsgDeclineJob::default()
    })
}

fn file(root: &Path, job_id: u64) -> std::path::PathBuf {
    root.join(format!("{job_id:020}-0000000001.answer"))
}

#[test]
fn the_first_answer_stands() {
    let folder = tempfile::tempdir().unwrap();
    let first = receipt(7, "one");
    {
        let outbox = Outbox::open(folder.path()).unwrap();
        assert_eq!(outbox.create(first.clone()).unwrap(), first);
        assert_eq!(outbox.create(receipt(7, "two")).unwrap(), first);
        assert_eq!(outbox.create(decline(7)).unwrap(), first);
        assert!(matches!(Outbox::open(folder.path()), Err(OutboxError::Locked(_))));
    }
    let outbox = Outbox::open(folder.path()).unwrap();
    assert_eq!(outbox.waiting(), std::slice::from_ref(&first));
    assert_eq!(outbox.create(receipt(7, "two")).unwrap(), first);
    assert_eq!(Outbox::peek(folder.path()).unwrap(), [((7, 1), Some(first.clone()))]);
    outbox.settle((7, 1)).unwrap();
    outbox.settle((7, 1)).unwrap();
    assert_eq!((outbox.depth(), outbox.has((7, 1))), (0, true));
    assert_eq!(outbox.create(receipt(7, "three")).unwrap(), first, "settled answers stand too");
    drop(outbox);
    let outbox = Outbox::open(folder.path()).unwrap();
    assert_eq!((outbox.depth(), outbox.has((7, 1))), (0, true));
    assert_eq!(outbox.create(receipt(7, "four")).unwrap(), first);
}

#[test]
fn old_answers_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    {
        let outbox = Outbox::open(folder.path()).unwrap();
        for job_id in [1, 2] {
            outbox.create(receipt(job_id, "x")).unwrap();
            outbox.settle((job_id, 1)).unwrap();
        }
    }
    let old = SystemTime::now() - Duration::from_secs((KEEP_DAYS * 24 + 1) * 3600);
    fs::File::open(file(&folder.path().join("done"), 1)).unwrap().set_modified(old).unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    assert!(!outbox.has((1, 1)) && outbox.has((2, 1)));
}

/// A file cut at any byte, or with any byte changed, is not sent, and its assignment gets no second receipt.
#[test]
fn damaged_answers_are_never_sent_nor_replaced() {
    let whole = receipt(7, "the answer").to_bytes();
    let cuts = (0..whole.len()).map(|len| whole[..len].to_vec());
    let flips = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        bytes
    });
    let longer = std::iter::once([&whole[..], &[0]].concat());
    for bytes in cuts.chain(flips).chain(longer) {
        let folder = tempfile::tempdir().unwrap();
        drop(Outbox::open(folder.path()).unwrap());
        fs::write(file(folder.path(), 7), &bytes).unwrap();
        for _ in 0..2 {
            let outbox = Outbox::open(folder.path()).unwrap();
            assert_eq!((outbox.depth(), outbox.damaged()), (0, vec![(7, 1)]));
            assert!(matches!(outbox.create(receipt(7, "again")), Err(OutboxError::Damaged(7, 1))));
        }
        let outbox = Outbox::open(folder.path()).unwrap();
        outbox.create(decline(7)).unwrap();
        assert!(outbox.damaged().is_empty());
        assert_eq!(outbox.create(receipt(7, "again")).unwrap(), decline(7));
    }
}

#[test]
fn evidence_stands_and_falls_with_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let leaves = |byte| Evidence { job_id: 7, attempt: 1, leaves: vec![vec![byte; 770]; 3] };
    let kept = || Outbox::evidence_of_job(folder.path(), 7).unwrap();
    let path = folder.path().join("evidence").join(format!("{:020}-0000000001.evidence", 7));
    {
        let outbox = Outbox::open(folder.path()).unwrap();
        assert_eq!(kept(), None);
        // As a crash between the two leaves it.
        fs::write(&path, b"half").unwrap();
        assert_eq!(kept(), None);
        outbox.create_with(receipt(7, "one"), Some(&leaves(1))).unwrap();
        outbox.create_with(receipt(7, "two"), Some(&leaves(2))).unwrap();
        assert_eq!(kept(), Some(leaves(1)), "the first answer stands, and its evidence");
        outbox.settle((7, 1)).unwrap();
    }
    let old = SystemTime::now() - Duration::from_secs((KEEP_DAYS * 24 + 1) * 3600);
    drop(Outbox::open(folder.path()).unwrap());
    assert_eq!(kept(), Some(leaves(1)));
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(kept(), None, "damage at {at} is not shown");
    }
    fs::write(&path, &whole).unwrap();
    fs::File::open(&path).unwrap().set_modified(old).unwrap();
    drop(Outbox::open(folder.path()).unwrap());
    assert!(!path.exists(), "forgotten with time");
}

/// By the default windows, and blocks that take ten minutes each.
#[test]
fn evidence_is_kept_longer_than_a_claim_can_be_questioned() {
    let market = plasma_modules::market::default_params();
    let audits = plasma_modules::attestation::audit::default_params();
    let blocks = market.dispute_window_blocks + 33 + audits.reveal_blocks;
    let longest_s = market.dispute_window_s + audits.reveal_s + blocks * 600;
    assert!(longest_s < KEEP_DAYS * 24 * 3600, "{longest_s} s");
}

/// An answer under another assignment's name is damage too.
#[test]
fn names_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    drop(Outbox::open(folder.path()).unwrap());
    fs::write(file(folder.path(), 8), receipt(7, "x").to_bytes()).unwrap();
    fs::write(folder.path().join("write.tmp"), b"half").unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    assert_eq!(outbox.damaged(), [(8, 1)]);
    assert!(!folder.path().join("write.tmp").exists());
}

/// Not a test by itself: what [`an_answer_survives_kill_9`] kills.
#[test]
fn child_that_writes_answers() {
    let Ok(folder) = std::env::var("OUTBOX_TEST_FOLDER") else { return };
    let outbox = Outbox::open(Path::new(&folder)).unwrap();
    for job_id in 1.. {
        outbox.create(receipt(job_id, "written once")).unwrap();
        println!("written {job_id}");
    }
}

#[test]
fn an_answer_survives_kill_9() {
    for round in 0..8u64 {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_answers", "--nocapture"])
            .env("OUTBOX_TEST_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = 0;
        for line in lines.map_while(Result::ok) {
            if let Some((_, number)) = line.split_once("written ") {
                last = number.trim().parse().unwrap();
                // Somewhere between two writes, or inside of one.
                if last >= 3 + round {
                    std::thread::sleep(Duration::from_micros(round * 300));
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        let outbox = Outbox::open(folder.path()).unwrap();
        assert!(outbox.damaged().is_empty());
        for job_id in 1..=last {
            assert_eq!(
                outbox.create(receipt(job_id, "another")).unwrap(),
                receipt(job_id, "written once")
            );
        }
        assert!((last..=last + 1).contains(&(outbox.depth() as u64)), "{} {last}", outbox.depth());
    }
}

proptest! {
    #[test]
    fn answers_read_back(job_id: u64, attempt: u32, text in ".*", tokens in proptest::collection::vec(some::<u32>(), 0..50)) {
        let receipt = Receipt { job_id, attempt, ..Receipt::default() };
        let output = Output { token_ids: tokens, text: text.clone() };
        let answer = Answer::Receipt(MsgSubmitReceipt { carrier: String::new(), receipt: Some(receipt), output: Some(output) });
        prop_assert_eq!(Answer::from_bytes(&answer.to_bytes()), Some(answer));
        let answer = Answer::Decline(MsgDeclineJob { job_id, attempt, reason: text, ..MsgDeclineJob::default() });
        prop_assert_eq!(Answer::from_bytes(&answer.to_bytes()), Some(answer));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(some::<u8>(), 0..200)) {
        let _ = Answer::from_bytes(&bytes);
    }
}

// --- Jobs ---

fn wallet(seed: u8) -> Wallet {
    Wallet::from_secret(&[seed; 32]).unwrap()
}

/// A chain with a requester, a registered provider and an echo that it serves.
struct World {
    node: Node,
    client: Client,
    requester: Wallet,
    operator: Wallet,
    model_id: [u8; 32],
}

const RECEIPT_SEED: [u8; 32] = [8; 32];

impl World {
    async fn new(reporter_uxpl: u128) -> Self {
        let (requester, operator, reporter) = (wallet(1), wallet(2), wallet(3));
        let rich = 10_000 * XPL;
        let mut holders = vec![(requester.address(), rich), (operator.address(), rich)];
        if reporter_uxpl > 0 {
            holders.push((reporter.address(), reporter_uxpl));
        }
        let node = Node::start(&genesis(&holders)).await;
        let client = Client::connect(&node.url).await.unwrap();
        let publish = MsgPublishModel {
            publisher: operator.address().text(),
            manifest: Some(manifest("echo", 65_536, 4)),
            royalty_bps: 0,
        };
        let outcome =
            client.send(&operator, vec![any(&publish)], &TxOptions::default()).await.unwrap();
        let published: MsgPublishModelResponse = outcome.response(0).unwrap();
        let model_id: [u8; 32] = published.model_id.try_into().unwrap();
        let key = ReceiptKey::new(&Zeroizing::new(RECEIPT_SEED), CHAIN_ID);
        let register = registration(operator.address(), &key, 2_000 * XPL, model_id);
        client.send(&operator, vec![any(&register)], &TxOptions::default()).await.unwrap();
        Self { node, client, requester, operator, model_id }
    }

    async fn submit(&self, input: &str, max_tokens: u32) -> u64 {
        let submit = MsgSubmitJob {
            requester: self.requester.address().text(),
            model_id: self.model_id.to_vec(),
            input: input.into(),
            max_tokens,
            sampling: Some(Sampling { temperature_milli: 0, top_p_milli: 1000, seed: 1 }),
            max_fee_uxpl: XPL.to_string(),
            deadline_unix_s: 0,
            stop: vec!["STOP".into()],
            referral: String::new(),
        };
        let outcome = self
            .client
            .send(&self.requester, vec![any(&submit)], &TxOptions::default())
            .await
            .unwrap();
        outcome.response::<MsgSubmitJobResponse>(0).unwrap().job_id
    }

    /// A node at work; dropped all at once when aborted.
    fn work(&self, folder: &Path, delay: Duration, served: bool) -> Working {
        self.work_with(folder, Box::new(Echo::new(delay).unwrap()), served)
    }

    fn work_with(&self, folder: &Path, engine: Box<dyn Engine>, served: bool) -> Working {
        let engine = EngineHandle::spawn(engine).unwrap();
        let serving = Serving { engine, name: "echo".into(), slots: 2 };
        let service = Arc::new(Service {
            client: self.client.clone(),
            operator: self.operator.address(),
            key: ReceiptKey::new(&Zeroizing::new(RECEIPT_SEED), CHAIN_ID),
            reporter: wallet(3),
            models: if served {
                BTreeMap::from([(self.model_id, serving)])
            } else {
                BTreeMap::new()
            },
            outbox: Outbox::open(folder).unwrap(),
            metrics: Arc::new(Metrics::new()),
            sending: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            health: Arc::new(Health::default()),
        });
        let (stop, stopped) = watch::channel(false);
        let (carrier_stop, carrier_stopped) = watch::channel(false);
        let watcher = tokio::spawn(chain::watch(Arc::clone(&service), stopped));
        let carrier = tokio::spawn(chain::carry(Arc::clone(&service), carrier_stopped));
        Working { service, stop, carrier_stop, watcher, carrier }
    }
}

fn balance(world: &World, of: Address) -> u128 {
    plasma_modules::token::balance(&world.node.state().store, of).units()
}

struct Working {
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    carrier_stop: watch::Sender<bool>,
    watcher: tokio::task::JoinHandle<()>,
    carrier: tokio::task::JoinHandle<()>,
}

impl Working {
    async fn stop(self) -> Arc<Service> {
        self.stop.send(true).unwrap();
        self.watcher.await.unwrap();
        self.carrier_stop.send(true).unwrap();
        self.carrier.await.unwrap();
        self.service
    }
}

/// The node's leaves are those under the root that the chain holds, and the chain's parser takes each.
fn shown(world: &World, folder: &Path, job_id: u64) {
    use plasma_modules::attestation::{
        self, Leaf, evidence_root, leaf_count, leaf_hash, leaf_rows,
    };
    let accepted = attestation::receipt(&world.node.state().store, job_id).unwrap();
    let receipt = accepted.receipt.unwrap();
    let kept = Outbox::evidence_of_job(folder, job_id).unwrap().unwrap();
    assert_eq!((kept.job_id, kept.attempt), (job_id, receipt.attempt));
    assert_eq!(kept.leaves.len(), leaf_count(receipt.n_out) as usize);
    for (at, leaf) in (0..).zip(&kept.leaves) {
        let rows = leaf_rows(at, receipt.n_fresh.into(), receipt.n_out).unwrap();
        Leaf::parse(leaf, rows).unwrap();
    }
    let names: Vec<_> = kept.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    assert_eq!(receipt.fingerprint_root, evidence_root(&names));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_done_delivered_and_paid() {
    let world = World::new(100 * XPL).await;
    let folder = tempfile::tempdir().unwrap();
    let working = world.work(folder.path(), Duration::ZERO, true);
    let mut jobs = vec![];
    for i in 0..5 {
        jobs.push(world.submit(&format!("hello {i}"), 64).await);
    }
    let stopped = world.submit("one STOP two", 64).await;
    let cut = world.submit("abcdef", 3).await;
    let mut duty_fees = 0;
    for id in jobs.iter().chain([&stopped, &cut]) {
        let job = world.node.job_when(*id, |job| job.state() == JobState::Settled).await;
        assert_eq!(job.outcome(), Outcome::Ok);
        assert_eq!(job.provider, world.operator.address().text());
        duty_fees += job.duty_fee_uxpl.parse::<u128>().unwrap();
    }
    let reporter = balance(&world, wallet(3).address());
    assert!(duty_fees > 0 && reporter == 100 * XPL, "the carrier's fees came back: {reporter}");
    let text = |id| market::payload(&world.node.state().store, id).unwrap().output.unwrap().text;
    assert_eq!(text(jobs[3]), "hello 3");
    for id in jobs.iter().chain([&stopped, &cut]) {
        shown(&world, folder.path(), *id);
    }
    assert_eq!(Outbox::evidence_of_job(folder.path(), 99).unwrap(), None);
    assert_eq!(text(stopped), "one ");
    assert_eq!(text(cut), "abc");
    let service = working.stop().await;
    assert_eq!(service.outbox.depth(), 0);
    assert_eq!(service.health.trouble(), Some("stopping"));
    let text = service.metrics.text();
    assert!(text.contains("gpu_node_jobs_total{outcome=\"OUTCOME_OK\"} 7"), "{text}");
    assert!(!text.contains("hello"));
}

/// An echo that holds few tokens, and cannot say "fail".
struct Small(Echo);

impl Engine for Small {
    fn info(&self) -> Info {
        Info { context_tokens: 32, ..self.0.info() }
    }

    fn tokenizer(&self) -> &Tokenizer {
        self.0.tokenizer()
    }

    fn open(&self, prompt: &[u32], capacity: usize) -> Result<Box<dyn Sequence>, EngineError> {
        if prompt.starts_with(&b"fail".map(u32::from)) {
            return Err(EngineError::Model("the secret prompt was: fail".into()));
        }
        self.0.open(prompt, capacity)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_fault_is_told_apart_from_the_nodes() {
    let world = World::new(100 * XPL).await;
    let folder = tempfile::tempdir().unwrap();
    let working =
        world.work_with(folder.path(), Box::new(Small(Echo::new(Duration::ZERO).unwrap())), true);
    let long = world.submit("this is too long for it", 30).await;
    let broken = world.submit("fail", 8).await;
    let job = world.node.job_when(long, |job| job.state() == JobState::Refunded).await;
    assert_eq!((job.outcome(), job.receipt_hash.len()), (Outcome::ClientFault, 32));
    let job = world.node.job_when(broken, |job| !job.tried.is_empty()).await;
    assert_eq!(job.decline_reason, "the engine failed", "nothing of the prompt");
    working.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_declined() {
    let world = World::new(100 * XPL).await;
    let folder = tempfile::tempdir().unwrap();
    let working = world.work(folder.path(), Duration::ZERO, false);
    let id = world.submit("nobody serves this", 16).await;
    let job = world.node.job_when(id, |job| !job.tried.is_empty()).await;
    assert!(job.decline_reason.contains("does not serve"), "{}", job.decline_reason);
    let service = working.stop().await;
    assert!(service.metrics.text().contains("OUTCOME_REFUSED"));
}

/// Stopped before anything could be sent, and begun anew: the same receipt arrives, and only once.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_survive_a_restart() {
    let world = World::new(100 * XPL).await;
    let folder = tempfile::tempdir().unwrap();
    let first = {
        let working = world.work(folder.path(), Duration::ZERO, true);
        // Transactions are lost from now on, but for those that others send before.
        let id = world.submit("precious", 32).await;
        world.node.deaf.store(true, Ordering::SeqCst);
        while working.service.outbox.depth() == 0 {
            assert_eq!(world.node.job(id).receipt_hash, [0u8; 0]);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let written = working.service.outbox.waiting();
        working.watcher.abort();
        working.carrier.abort();
        let _ = (working.watcher.await, working.carrier.await);
        (id, written)
    };
    world.node.deaf.store(false, Ordering::SeqCst);
    // The engine's threads and tasks of the first run may hold the folder a moment longer.
    let working = loop {
        match Outbox::open(folder.path()) {
            Ok(outbox) => {
                assert_eq!(outbox.waiting(), first.1);
                drop(outbox);
                break world.work(folder.path(), Duration::ZERO, true);
            }
            Err(OutboxError::Locked(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    let job = world.node.job_when(first.0, |job| job.state() == JobState::Settled).await;
    let Answer::Receipt(msg) = &first.1[0] else { panic!("not a receipt") };
    let sent = plasma_modules::attestation::receipt_hash(msg.receipt.as_ref().unwrap());
    assert_eq!(job.receipt_hash, sent);
    shown(&world, folder.path(), first.0);
    working.stop().await;
}

/// The chain goes away and comes back; an empty reporter is filled: nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_node_waits_for_chain_and_money() {
    let world = World::new(0).await;
    let folder = tempfile::tempdir().unwrap();
    let working = world.work(folder.path(), Duration::ZERO, true);
    let id = world.submit("patience", 32).await;
    while working.service.outbox.depth() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.node.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    world.node.away.store(false, Ordering::SeqCst);
    let coin = Coin { denom: "uxpl".into(), amount: XPL.to_string() };
    let send = MsgSend {
        from_address: world.operator.address().text(),
        to_address: wallet(3).address().text(),
        amount: vec![coin],
    };
    world.client.send(&world.operator, vec![any(&send)], &TxOptions::default()).await.unwrap();
    world.node.job_when(id, |job| job.state() == JobState::Settled).await;
    assert_eq!(working.stop().await.outbox.depth(), 0);
}

/// A job that runs when the node stops is finished; nothing is dropped silently.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_runs() {
    let world = World::new(100 * XPL).await;
    let folder = tempfile::tempdir().unwrap();
    let working = world.work(folder.path(), Duration::from_millis(20), true);
    let id = world.submit(&"x".repeat(60), 100).await;
    loop {
        // Begun: the gauge says so after each look.
        if working.service.metrics.text().contains("gpu_node_jobs_running 1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(working.stop().await.outbox.depth(), 0);
    assert_eq!(world.node.job(id).outcome(), Outcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_tells_what_went_wrong() {
    let world = World::new(XPL).await;
    let (client, options) = (&world.client, TxOptions::default());
    assert_eq!(client.chain_id(), CHAIN_ID);
    assert!(client.height().await.unwrap() > 0);
    assert_eq!(client.balance(wallet(3).address()).await.unwrap().units(), XPL);
    assert_eq!(client.account(wallet(99).address()).await.unwrap(), None);
    let send = |from: &Wallet, units: u128| {
        let coin = Coin { denom: "uxpl".into(), amount: units.to_string() };
        any(&MsgSend {
            from_address: from.address().text(),
            to_address: Address([9; 20]).text(),
            amount: vec![coin],
        })
    };
    let nobody = wallet(99);
    let error = client.send(&nobody, vec![send(&nobody, 1000)], &options).await.unwrap_err();
    assert!(matches!(error, ClientError::UnknownAccount(_)), "{error}");
    let poor = wallet(3);
    let error = client.send(&poor, vec![send(&poor, 100 * XPL)], &options).await.unwrap_err();
    assert!(matches!(error, ClientError::InsufficientFunds(_)), "{error}");
    let cheap = TxOptions { fee: Some(1), ..TxOptions::default() };
    let error = client.send(&poor, vec![send(&poor, 1000)], &cheap).await.unwrap_err();
    assert!(matches!(error, ClientError::InsufficientFee(_)), "{error}");

    let account = client.account(poor.address()).await.unwrap().unwrap();
    let tx = |sequence| {
        gpu_node::client::sign_tx(
            client.chain_id(),
            &poor,
            vec![send(&poor, 10_000)],
            account.account_number,
            sequence,
            200_000,
            5_000,
            "hi",
        )
    };
    let error = client.broadcast(tx(account.sequence + 5)).await.unwrap_err();
    assert!(matches!(error, ClientError::WrongSequence { .. }), "{error}");
    let error = client.simulate(&tx(account.sequence + 5)).await.unwrap_err();
    assert!(matches!(error, ClientError::WrongSequence { .. }), "{error}");
    let hash = client.broadcast(tx(account.sequence)).await.unwrap();
    let error = client.broadcast(tx(account.sequence)).await.unwrap_err();
    assert!(matches!(&error, ClientError::InMempool(again) if *again == hash), "{error}");
    let outcome = client.wait_tx(&hash, Duration::from_secs(5)).await.unwrap();
    assert_eq!((outcome.hash.as_str(), outcome.is_ok()), (hash.as_str(), true));
    assert_eq!(outcome.attribute("transfer", "sender"), Some(poor.address().text().as_str()));
    let error = client.wait_tx(&"AB".repeat(32), Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    assert!(matches!(client.tx("xyz").await, Err(ClientError::Invalid(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn heights_come_without_a_websocket() {
    use futures::StreamExt as _;
    let world = World::new(XPL).await;
    let mut blocks = world.client.subscribe_blocks();
    let first = blocks.next().await.unwrap();
    assert!(blocks.next().await.unwrap() > first);
}

// --- The owner's interface ---

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_interface_speaks_openai() {
    let engine = EngineHandle::spawn(Box::new(Echo::new(Duration::ZERO).unwrap())).unwrap();
    let models = BTreeMap::from([("ab".repeat(32), Offered { name: "echo".into(), engine })]);
    let metrics = Arc::new(Metrics::new());
    let api = Arc::new(Api::new(models, "secret", 32, 1, Arc::clone(&metrics)));
    let health = Arc::new(Health::default());
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(folder.path()).unwrap();
    let leaves = Evidence { job_id: 7, attempt: 1, leaves: vec![vec![1; 770]; 2] };
    outbox.create_with(receipt(7, "x"), Some(&leaves)).unwrap();
    let routes = api::routes(api)
        .merge(api::service_routes(metrics, Arc::clone(&health)))
        .merge(api::evidence_routes(folder.path().to_owned()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let http = reqwest::Client::new();
    let ask = |body: &str| {
        let request = http.post(format!("{url}/v1/chat/completions")).bearer_auth("secret");
        request.header("content-type", "application/json").body(body.to_owned()).send()
    };

    let get = |path: &str| http.get(format!("{url}{path}")).send();
    assert_eq!(get("/healthz").await.unwrap().status(), 200);
    assert_eq!(get("/readyz").await.unwrap().status(), 503);
    health.heard();
    assert_eq!(get("/readyz").await.unwrap().status(), 200);
    assert_eq!(get("/v1/models").await.unwrap().status(), 401);
    let found = get("/v1/evidence/7").await.unwrap();
    let found: serde_json::Value = found.json().await.unwrap();
    assert_eq!((&found["job_id"], &found["attempt"]), (&"7".into(), &1.into()));
    assert_eq!(found["leaves"][1].as_str().map(str::len), Some(1028), "770 bytes in base64");
    assert_eq!(get("/v1/evidence/8").await.unwrap().status(), 404);
    assert_eq!(get("/v1/evidence/x").await.unwrap().status(), 400);

    let hi =
        r#"{"model":"echo","messages":[{"role":"user","content":"hi there"}],"max_tokens":32}"#;
    let answer: serde_json::Value = ask(hi).await.unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hi there");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["completion_tokens"], 9);

    let streamed = hi.replace("\"max_tokens\":32", "\"max_tokens\":5,\"stream\":true");
    let text = ask(&streamed).await.unwrap().text().await.unwrap();
    let parts: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(parts.last(), Some(&"[DONE]"));
    let parts: Vec<serde_json::Value> =
        parts[..parts.len() - 1].iter().map(|part| serde_json::from_str(part).unwrap()).collect();
    let content: String =
        parts.iter().filter_map(|part| part["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(content, "hi th");
    assert_eq!(parts.last().unwrap()["choices"][0]["finish_reason"], "length");

    assert_eq!(ask("{").await.unwrap().status(), 400);
    assert_eq!(ask(&hi.replace("echo", "other")).await.unwrap().status(), 404);
    assert_eq!(ask(&hi.replace("32}", "33}")).await.unwrap().status(), 400);
    let huge = hi.replace("hi there", &"x".repeat(api::BODY_BYTES_MAX));
    assert_eq!(ask(&huge).await.unwrap().status(), 413);
    let text = get("/metrics").await.unwrap().text().await.unwrap();
    assert!(text.contains("gpu_node_api_requests_total{result=\"ok\"} 2"), "{text}");
    assert!(!text.contains("hi there"));
}
