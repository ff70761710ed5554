//! Audits between nodes, on the chain's own rules: evidence is shown, jurors judge, and the truth comes out.
#![cfg(feature = "engine")]

mod common;
#[path = "common/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use candle_core::Device;
use common::{XPL, genesis, registration};
use gpu_node::chain;
use gpu_node::client::any;
use gpu_node::engine::candle::{Candle, load_folder};
use gpu_node::engine::tiny;
use gpu_node::jury::{self, Judge};
use gpu_node::outbox::KEEP_DAYS;
use gpu_node::verify::DEFAULT_PROFILE;
use plasma_modules::attestation::audit::{self, question::ANSWER_BYTES};
use plasma_modules::{Address, token};
use plasma_proto::plasma::attestation::v1::{
    Audit, AuditState, Finding, MsgJoinPool, MsgSetProfile, MsgSetProfileResponse,
};
use plasma_proto::plasma::market::v1::{Job, JobState};
use tokio::sync::watch;
use world::{
    BOND_UXPL, PROVIDER, PUBLISHER, REQUESTER, Working, World, genesis_of, receipt_key, wallet,
};

const JURORS: [u8; 3] = [4, 5, 6];
const PATIENCE: Duration = Duration::from_secs(60);

fn model(seed: u64) -> Candle {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), seed).unwrap();
    load_folder(folder.path(), &Device::Cpu, usize::MAX).unwrap()
}

impl World {
    /// A chain on which three operators judge a model, and a fourth serves it.
    async fn new() -> Self {
        let mut genesis = genesis_of(&JURORS);
        let params = genesis.attestation.as_mut().unwrap().params.as_mut().unwrap();
        let audits = params.audits.as_mut().unwrap();
        (audits.pool_min, audits.jury, audits.threshold) = (3, 3, 2);
        (audits.appeal_jury, audits.appeal_threshold) = (3, 2);
        (audits.appeal_blocks, audits.appeal_s) = (5, 0);
        // Ends when all is done.
        (audits.reveal_blocks, audits.commit_blocks, audits.verdict_blocks) = (800, 800, 800);
        let world = Self::start(&genesis).await;
        let other = world.publish("other").await;
        let model_id = world.model_id;
        let profile_hash = world.set_profile().await;
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

    /// Sets the profile of the model that is served, and gives its hash.
    async fn set_profile(&self) -> Vec<u8> {
        let set = MsgSetProfile {
            publisher: wallet(PUBLISHER).address().text(),
            model_id: self.model_id.to_vec(),
            profile: Some(DEFAULT_PROFILE),
        };
        let outcome = self.send(PUBLISHER, any(&set)).await;
        outcome.response::<MsgSetProfileResponse>(0).unwrap().profile_hash
    }

    /// A node at work. `serves` is what it writes with, if it takes jobs.
    fn work(&self, seed: u8, home: &Path, serves: Option<Candle>) -> Working {
        let service = self.service(seed, home, serves);
        let judge = Judge::new(Mutex::new(model(tiny::SEED)));
        let judges = BTreeMap::from([(self.model_id, judge)]);
        let (outbox, verdicts) = (home.join("outbox"), home.join("jury"));
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

    fn balance(&self, of: Address) -> u128 {
        token::balance(&self.node.state().store, of).units()
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
    let id = world.submit("What is the capital of France?", 100, 800).await;
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

/// The chain lists a hundred at a time, and a pool may have more.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_past_the_first_page_of_a_pool_is_in_it() {
    const MEMBERS: std::ops::RangeInclusive<u8> = 4..=105;
    let funded = [PUBLISHER].into_iter().chain(MEMBERS);
    let accounts: Vec<_> = funded.map(|seed| (wallet(seed).address(), 10_000 * XPL)).collect();
    let world = World::start(&genesis(&accounts)).await;
    let model_id = world.model_id;
    let profile_hash = world.set_profile().await;
    let seeds: Vec<u8> = MEMBERS.collect();
    // A few at a time: a block has room for so much gas.
    for some in seeds.chunks(6) {
        let joined = some.iter().map(|seed| {
            let operator = wallet(*seed).address();
            let register = registration(operator, &receipt_key(*seed), BOND_UXPL, model_id);
            let (operator, model_id) = (operator.text(), model_id.to_vec());
            let join = MsgJoinPool { operator, model_id, profile_hash: profile_hash.clone() };
            world.send_all(*seed, vec![any(&register), any(&join)])
        });
        futures::future::join_all(joined).await;
    }
    let model = hex::encode(model_id);
    for seed in MEMBERS {
        let operator = wallet(seed).address().text();
        assert!(jury::is_member(&world.client, &model, &operator).await.unwrap(), "{seed}");
    }
    let stranger = wallet(PUBLISHER).address().text();
    assert!(!jury::is_member(&world.client, &model, &stranger).await.unwrap());
}
