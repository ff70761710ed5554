//! Watches the chain for work, does it, and has it reported.
//!
//! The chain is asked after every block what is assigned to this operator; nothing is remembered of it in
//! between, so that a restart of either side loses nothing. What has an answer is in the outbox.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plasma_modules::Address;
use plasma_proto::plasma::attestation::v1::Evidence;
use plasma_proto::plasma::market::v1::{
    Job, JobState, Outcome, QueryJobRequest, QueryJobResponse, QueryJobsRequest, QueryJobsResponse,
};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use crate::client::{Client, ClientError, NodeStatus, block_or_pause};
use crate::engine::{EngineError, EngineHandle, Event};
use crate::metrics::Metrics;
use crate::outbox::{Answer, Assignment, Outbox, OutboxError, WAITING_MAX};
use crate::receipt::{self, ReceiptKey};
use crate::schedule::{self, Assigned, ModelId, Pace, Plan};
use crate::wallet::Wallet;

mod carrier;

pub use carrier::carry;

/// Pages read of the jobs that are assigned.
const PAGES_MAX: usize = 100;
/// Blocks that an answer needs to come into the chain.
const DELIVERY_BLOCKS: u64 = 3;
/// Time between blocks that is assumed before it is known, ms.
const BLOCK_MS: u64 = 1000;
/// How long running jobs may take to end when the node stops.
const STOP_JOBS: Duration = Duration::from_secs(30);
/// The chain counts as away when it has not answered for so long, seconds.
const AWAY_S: u64 = 30;
/// How often balances are looked at.
const BALANCES: Duration = Duration::from_secs(30);

/// A model that is loaded.
pub struct Serving {
    /// Its engine.
    pub engine: EngineHandle,
    /// What people call it.
    pub name: String,
    /// Jobs at the same time.
    pub slots: u32,
}

/// Everything that a node works with.
pub struct Service {
    /// The chain.
    pub client: Client,
    /// Whose provider this is.
    pub operator: Address,
    /// Signs answers.
    pub key: ReceiptKey,
    /// Pays for transactions.
    pub reporter: Wallet,
    /// What is served.
    pub models: BTreeMap<ModelId, Serving>,
    /// Answers on disk.
    pub outbox: Outbox,
    /// What was done.
    pub metrics: Arc<Metrics>,
    /// Held while a transaction of the reporter is under way: one after the other, for their numbers.
    pub sending: Mutex<()>,
    /// Rung when an answer was written.
    pub wake: Notify,
    /// Whether the node takes work.
    pub health: Arc<Health>,
}

/// Whether the node is fit for work.
#[derive(Debug)]
pub struct Health {
    began: Instant,
    /// When the chain last answered, seconds since `began`, plus one; 0 for never.
    heard: AtomicU64,
    stopping: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self { began: Instant::now(), heard: AtomicU64::new(0), stopping: AtomicBool::new(false) }
    }
}

impl Health {
    /// The chain answered.
    pub fn heard(&self) {
        self.heard.store(self.began.elapsed().as_secs() + 1, Ordering::Relaxed);
    }

    /// The node takes no more work.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Why the node is not fit for work, if it is not.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        let heard = self.heard.load(Ordering::Relaxed);
        let now = self.began.elapsed().as_secs() + 1;
        if self.stopping.load(Ordering::Relaxed) {
            Some("stopping")
        } else if heard == 0 || now.saturating_sub(heard) > AWAY_S {
            Some("the chain does not answer")
        } else {
            None
        }
    }
}

/// Every job that is assigned to an operator.
///
/// # Errors
/// If the chain does not answer.
pub async fn assigned(client: &Client, operator: &str) -> Result<Vec<Job>, ClientError> {
    let ask = |page| QueryJobsRequest {
        provider: operator.to_owned(),
        state: JobState::Assigned.into(),
        pagination: Some(page),
        ..QueryJobsRequest::default()
    };
    let take = |page: QueryJobsResponse| (page.jobs, page.pagination);
    let path = "/plasma.market.v1.Query/Jobs";
    let mut jobs: Vec<Job> = client.listed(path, PAGES_MAX, ask, take).await?;
    jobs.retain(|job| job.state() == JobState::Assigned && job.provider == operator);
    Ok(jobs)
}

impl Service {
    /// How the chain's node is, if what it says of jobs is of now.
    pub(crate) async fn synced(&self) -> Result<NodeStatus, ClientError> {
        let status = self.client.status().await?;
        if status.catching_up {
            let reason = format!("it is still catching up (block {})", status.height);
            return Err(ClientError::Node { url: self.client.url().to_owned(), reason });
        }
        Ok(status)
    }

    /// A job with its input.
    pub(crate) async fn job(&self, job_id: u64) -> Result<QueryJobResponse, ClientError> {
        self.client.query("/plasma.market.v1.Query/Job", &QueryJobRequest { job_id }).await
    }

    /// Writes an answer to the outbox, its evidence first, and has it sent. A damaged answer becomes a decline.
    ///
    /// # Errors
    /// If the disk refuses: nothing is sent then, and the job is tried again.
    pub fn answer(&self, answer: Answer, kept: Option<&Evidence>) -> Result<(), OutboxError> {
        let (job_id, attempt) = answer.assignment();
        let written = match self.outbox.create_with(answer, kept) {
            Err(OutboxError::Damaged(..)) => self.outbox.create(self.key.decline(
                job_id,
                attempt,
                "the answer was lost to a disk fault",
            )),
            other => other,
        };
        let answer = written.inspect_err(|error| {
            tracing::error!(job_id, attempt, %error, "the answer cannot be written, so it is not sent");
        })?;
        let outcome = match &answer {
            Answer::Receipt(msg) => {
                msg.receipt.as_ref().map_or(Outcome::Unspecified, |receipt| receipt.outcome())
            }
            Answer::Decline(_) => Outcome::Refused,
        };
        self.metrics.job(outcome);
        self.metrics.outbox_depth.set(i64::try_from(self.outbox.depth()).unwrap_or(i64::MAX));
        tracing::info!(job_id, attempt, outcome = outcome.as_str_name(), "answered");
        self.wake.notify_one();
        Ok(())
    }

    /// Passes a job on.
    fn decline(&self, (job_id, attempt): Assignment, reason: &str) {
        tracing::warn!(job_id, attempt, reason, "declining");
        // The error is in the log; the job is looked at again after the next block.
        let _ = self.answer(self.key.decline(job_id, attempt, reason), None);
    }
}

/// What became of a job's task.
struct Worked {
    assignment: Assignment,
    model_id: ModelId,
    /// Tokens written, and the time it took.
    pace: Option<(usize, Duration)>,
}

/// Does a job from its input to the answer on disk.
async fn work(service: Arc<Service>, job: Job, model_id: ModelId) -> Worked {
    let began = Instant::now();
    let mut worked = Worked { assignment: (job.id, job.attempt), model_id, pace: None };
    let payload = match service.job(job.id).await {
        Ok(found) => found.payload,
        Err(error) => {
            tracing::warn!(job_id = job.id, %error, "the input cannot be read; trying again");
            return worked;
        }
    };
    let (answer, kept) = match (receipt::request(&job, payload), service.models.get(&model_id)) {
        (Err(reason), _) => (service.key.decline(job.id, job.attempt, &reason), None),
        (_, None) => {
            let why = schedule::Why::NotServed.text();
            (service.key.decline(job.id, job.attempt, why), None)
        }
        (Ok(request), Some(serving)) => {
            let mut events = serving.engine.start(request);
            let result = loop {
                match events.recv().await {
                    Some(Event::Token(_)) => {}
                    Some(Event::Done(completion)) => break Ok(completion),
                    Some(Event::Failed(error)) => break Err(error),
                    None => break Err(EngineError::Stopped),
                }
            };
            match &result {
                Ok(completion) => {
                    worked.pace = Some((completion.output_tokens.len(), completion.t_total));
                    service
                        .metrics
                        .tokens(completion.prompt_tokens.len(), completion.output_tokens.len());
                }
                Err(EngineError::Model(reason)) => {
                    tracing::error!(
                        job_id = job.id,
                        attempt = job.attempt,
                        reason,
                        "the engine failed"
                    );
                }
                Err(_) => {}
            }
            let kernel_id = serving.engine.info().kernel_id.clone();
            let (signer, job) = (Arc::clone(&service), job.clone());
            let made = move || signer.key.answer(&job, &kernel_id, result);
            match tokio::task::spawn_blocking(made).await {
                Ok(made) => made,
                Err(error) => {
                    tracing::error!(job_id = worked.assignment.0, %error, "no answer could be made; trying again");
                    return worked;
                }
            }
        }
    };
    let writer = Arc::clone(&service);
    // An error is in the log. Not cancelled with this task: what is begun to be written is written.
    let _ = tokio::task::spawn_blocking(move || writer.answer(answer, kept.as_ref())).await;
    service.metrics.job_seconds.observe(began.elapsed().as_secs_f64());
    worked
}

/// What the watcher knows between blocks; all of it can be lost.
struct Watcher {
    service: Arc<Service>,
    tasks: JoinSet<Worked>,
    running: BTreeMap<Assignment, (ModelId, AbortHandle)>,
    pace: BTreeMap<ModelId, Pace>,
    height: u64,
    time_s: u64,
    block_ms: u64,
    up: bool,
    balances_at: Option<Instant>,
}

/// Takes work until `stop` says so; then lets what runs end, and declines what does not in time.
pub async fn watch(service: Arc<Service>, mut stop: watch::Receiver<bool>) {
    let mut blocks = service.client.subscribe_blocks();
    let mut watcher = Watcher {
        service,
        tasks: JoinSet::new(),
        running: BTreeMap::new(),
        pace: BTreeMap::new(),
        height: 0,
        time_s: 0,
        block_ms: BLOCK_MS,
        up: true,
        balances_at: None,
    };
    while !*stop.borrow() {
        tokio::select! {
            _ = stop.changed() => break,
            () = block_or_pause(&mut blocks) => {}
            Some(ended) = watcher.tasks.join_next_with_id() => watcher.ended(ended),
        }
        if *stop.borrow() {
            break;
        }
        let looked = tokio::select! {
            looked = watcher.look() => looked,
            _ = stop.changed() => break,
        };
        watcher.told(looked);
    }
    watcher.finish().await;
}

impl Watcher {
    /// The chain did or did not answer; said once each.
    fn told(&mut self, looked: Result<(), ClientError>) {
        let metrics = &self.service.metrics;
        match looked {
            Ok(()) => {
                self.service.health.heard();
                if !self.up {
                    tracing::info!(height = self.height, "the chain answers again");
                }
                self.up = true;
            }
            Err(error) => {
                if self.up {
                    tracing::warn!(%error, "the chain does not answer; trying on");
                }
                self.up = false;
            }
        }
        metrics.chain_up.set(i64::from(self.up));
        metrics.chain_height.set(self.height);
        metrics.running.set(i64::try_from(self.running.len()).unwrap_or(i64::MAX));
    }

    /// Asks the chain what is to be done, and begins it.
    async fn look(&mut self) -> Result<(), ClientError> {
        let service = Arc::clone(&self.service);
        let status = service.synced().await?;
        self.tick(status.height, status.time_s);
        for assignment in service.outbox.damaged() {
            service.decline(assignment, "the answer was lost to a disk fault");
        }
        let jobs = assigned(&service.client, &service.operator.text()).await?;
        let assigned: Vec<Assigned> = jobs.iter().filter_map(|job| self.describe(job)).collect();
        let running =
            self.running.iter().map(|(assignment, (model, _))| (*assignment, *model)).collect();
        let full = service.outbox.depth() >= WAITING_MAX;
        let slots = service
            .models
            .iter()
            .map(|(id, serving)| (*id, if full { 0 } else { serving.slots }))
            .collect();
        let Plan { start, decline, stop } =
            schedule::plan(self.time_s, &assigned, &running, &service.outbox.answered(), &slots);
        for assignment in stop {
            if let Some((_, task)) = self.running.get(&assignment) {
                let (job_id, attempt) = assignment;
                tracing::info!(job_id, attempt, "no longer assigned: stopping the work");
                task.abort();
            }
        }
        for (assignment, why) in decline {
            service.decline(assignment, why.text());
        }
        for assignment in start {
            let job = jobs.iter().find(|job| (job.id, job.attempt) == assignment);
            let model = job.and_then(|job| ModelId::try_from(job.model_id.as_slice()).ok());
            if let (Some(job), Some(model_id)) = (job, model) {
                let (job_id, attempt) = assignment;
                tracing::info!(job_id, attempt, model = hex::encode(model_id), "working");
                let task = self.tasks.spawn(work(Arc::clone(&service), job.clone(), model_id));
                self.running.insert(assignment, (model_id, task));
            }
        }
        self.balances().await
    }

    fn tick(&mut self, height: u64, time_s: u64) {
        if height > self.height && self.height > 0 {
            let new =
                time_s.saturating_sub(self.time_s).saturating_mul(1000) / (height - self.height);
            self.block_ms = (self.block_ms.saturating_mul(7).saturating_add(new) / 8).max(1);
        }
        (self.height, self.time_s) = (height, time_s);
    }

    fn describe(&self, job: &Job) -> Option<Assigned> {
        let model_id = ModelId::try_from(job.model_id.as_slice()).ok()?;
        let terms = job.terms.as_ref()?;
        let assigned = (job.assigned_height, job.assigned_s);
        let (blocks, seconds) = (terms.assign_timeout_blocks, terms.assign_timeout_s);
        let due_s =
            schedule::due_s(self.time_s, self.height, assigned, blocks, seconds, self.block_ms);
        let pace = self.pace.get(&model_id).cloned().unwrap_or_default();
        let delivery_s = DELIVERY_BLOCKS.saturating_mul(self.block_ms).div_ceil(1000);
        let estimate_s = pace.estimate_s(job.max_tokens).saturating_add(delivery_s);
        Some(Assigned { assignment: (job.id, job.attempt), model_id, due_s, estimate_s })
    }

    async fn balances(&mut self) -> Result<(), ClientError> {
        if self.balances_at.is_some_and(|at| at.elapsed() < BALANCES) {
            return Ok(());
        }
        let service = &self.service;
        let units =
            |amount: plasma_modules::Amount| u64::try_from(amount.units()).unwrap_or(u64::MAX);
        let reporter = units(service.client.balance(service.reporter.address()).await?);
        let operator = units(service.client.balance(service.operator).await?);
        service.metrics.reporter_balance_uxpl.set(reporter);
        service.metrics.operator_balance_uxpl.set(operator);
        if reporter == 0 && self.balances_at.is_none() {
            let address = service.reporter.address().text();
            tracing::warn!(%address, "the reporter account is empty: send it some uxpl, or no receipt can be sent");
        }
        self.balances_at = Some(Instant::now());
        Ok(())
    }

    fn ended(&mut self, ended: Result<(tokio::task::Id, Worked), tokio::task::JoinError>) {
        match ended {
            Ok((_, Worked { assignment, model_id, pace })) => {
                self.running.remove(&assignment);
                if let Some((tokens, total)) = pace {
                    self.pace.entry(model_id).or_default().learn(tokens, total);
                }
            }
            Err(error) => {
                if error.is_panic() {
                    tracing::error!("a job's task panicked; it is tried again");
                }
                self.running.retain(|_, (_, task)| task.id() != error.id());
            }
        }
    }

    /// Lets what runs end; declines what does not in time.
    async fn finish(mut self) {
        self.service.health.stopping();
        if !self.running.is_empty() {
            tracing::info!(
                jobs = self.running.len(),
                seconds = STOP_JOBS.as_secs(),
                "waiting for running jobs"
            );
        }
        let all = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                self.ended(ended);
            }
        };
        if timeout(STOP_JOBS, all).await.is_err() {
            self.tasks.shutdown().await;
            for assignment in self.running.keys() {
                // What was answered in the last moment keeps its answer.
                self.service.decline(*assignment, "the node is stopping");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_fit_when_the_chain_answers() {
        let health = Health::default();
        assert!(health.trouble().is_some());
        health.heard();
        assert_eq!(health.trouble(), None);
        health.stopping();
        assert_eq!(health.trouble(), Some("stopping"));
    }
}
