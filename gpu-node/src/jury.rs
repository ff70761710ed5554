//! What audits ask of an operator, done by itself: evidence shown, claims judged, verdicts opened.
//!
//! After every block the chain is asked what the operator owes. The chain's state alone says what is to be done, so
//! that a restart of either side loses nothing; only a verdict and its salt must be remembered ([`Journal`]).
//! Every claim is read all at once and held against the audit's profile, whatever the kernels: the profile is what the
//! pool agreed on, and jurors who measured otherwise would disagree about honest work.

mod journal;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use plasma_modules::attestation::{audit, tokens_hash};
use plasma_modules::types::{Hash, hash32};
use plasma_proto::plasma::attestation::v1::{
    Audit, AuditState, Duty, DutyKind, Measures, MsgCommitVerdict, MsgReveal, MsgRevealVerdict,
    PoolMember, QueryAuditRequest, QueryAuditResponse, QueryDutiesRequest, QueryDutiesResponse,
    QueryPoolRequest, QueryPoolResponse, QueryReceiptRequest, QueryReceiptResponse, Verdict,
};
use prost_types::Any;
use rand_core::{OsRng, RngCore as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use journal::{Journal, Sealed};

use crate::chain::Service;
use crate::client::{Client, ClientError, any, next_turn};
use crate::engine::candle::Candle;
use crate::engine::{EngineError, Sampling};
use crate::outbox::Outbox;
use crate::receipt;
use crate::schedule::ModelId;
use crate::verify::{self, Claim, Report, Shown};

/// Pages read of duties and of pools.
const PAGES_MAX: usize = 10;
/// Commitments and verdicts of one transaction; a message that shows evidence goes alone.
const BATCH_MAX: usize = 8;
/// While paid jobs run, judging waits until so much of its window is left: one part in so many.
const PATIENCE_PARTS: u64 = 2;

/// How often verdicts that nobody asks for any more are looked for, and how many are looked at then.
const FORGET_EVERY: Duration = Duration::from_secs(24 * 3600);
const FORGET_MAX: usize = 1_000;

/// A model that claims are judged by. One claim at a time.
pub type Judge = Arc<Mutex<Candle>>;

/// What a juror works with.
pub struct Jury {
    /// The node.
    pub service: Arc<Service>,
    /// By what it judges; those that it serves among them.
    pub judges: BTreeMap<ModelId, Judge>,
    /// Verdicts on disk.
    pub journal: Journal,
    /// The folder of answers and evidence.
    pub outbox: std::path::PathBuf,
}

/// A duty by name: kind, audit, round.
type Name = (i32, u64, u32);

fn name(duty: &Duty) -> Name {
    let (id, round) = duty.audit.as_ref().map_or((0, 0), |audit| (audit.id, audit.round));
    (duty.kind, id, round)
}

/// Why there is no verdict yet.
#[derive(Debug, thiserror::Error)]
enum Obstacle {
    #[error(transparent)]
    Chain(#[from] ClientError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Disk(#[from] crate::outbox::OutboxError),
    #[error("{0}")]
    Missing(String),
}

/// Does what audits ask for until `stop` says so. What is not done then is done after the next start.
pub async fn serve(jury: Arc<Jury>, mut stop: watch::Receiver<bool>) {
    let mut blocks = jury.service.client.subscribe_blocks();
    let mut bench =
        Bench { jury, work: None, owed: BTreeMap::new(), told: BTreeSet::new(), forgot: None };
    while next_turn(&mut blocks, &mut stop).await {
        tokio::select! {
            looked = bench.look() => if let Err(error) = looked {
                tracing::debug!(%error, "what audits ask for cannot be told; trying on");
            },
            _ = stop.changed() => break,
        }
    }
    if let Some((_, task)) = bench.work {
        task.abort();
    }
}

/// What is known between blocks; all of it can be lost.
struct Bench {
    jury: Arc<Jury>,
    /// The claim that is judged now.
    work: Option<(Name, JoinHandle<()>)>,
    /// What was owed at the last look, and whether it was sent.
    owed: BTreeMap<Name, bool>,
    /// What was complained of.
    told: BTreeSet<Name>,
    /// When verdicts of audits that have ended were last looked for.
    forgot: Option<Instant>,
}

impl Bench {
    async fn look(&mut self) -> Result<(), ClientError> {
        let jury = Arc::clone(&self.jury);
        let service = &jury.service;
        let status = service.synced().await?;
        let duties = jury.duties().await?;
        let names: BTreeSet<Name> = duties.iter().map(name).collect();
        for (gone, is_sent) in &self.owed {
            if !names.contains(gone) && !is_sent && jury.is_missed(*gone).await? {
                let (_, audit_id, round) = *gone;
                tracing::error!(audit_id, round, "a duty of an audit was missed");
                service.metrics.duty("missed");
            }
        }
        self.owed.retain(|name, _| names.contains(name));
        self.told.retain(|name| names.contains(name));
        for name in names {
            self.owed.entry(name).or_insert(false);
        }
        service.metrics.duties_open.set(i64::try_from(duties.len()).unwrap_or(i64::MAX));
        if self.work.as_ref().is_some_and(|(_, task)| task.is_finished()) {
            self.work = None;
        }
        if self.forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            jury.forget().await?;
            self.forgot = Some(Instant::now());
        }

        let (mut alone, mut together) = (Vec::new(), Vec::new());
        for duty in &duties {
            let Some(audit) = &duty.audit else { continue };
            match duty.kind() {
                DutyKind::Unspecified => {}
                DutyKind::Reveal => match jury.reveal(audit) {
                    Ok(msg) => alone.push((name(duty), any(&msg))),
                    Err(why) => self.complain(duty, &why),
                },
                DutyKind::Commit => match jury.journal.get(audit.id, audit.round) {
                    Ok(Some(sealed)) => {
                        together.push((name(duty), any(&jury.commitment(audit, &sealed))));
                    }
                    Ok(None) => self.judge(duty, audit, status.height),
                    Err(error) => self.complain(duty, &error.into()),
                },
                DutyKind::Verdict => match jury.journal.get(audit.id, audit.round) {
                    Ok(Some(sealed)) => {
                        together.push((name(duty), any(&jury.opening(audit, &sealed))));
                    }
                    Ok(None) => {
                        let why = "the verdict that was committed to is not on this disk";
                        self.complain(duty, &Obstacle::Missing(why.to_owned()));
                    }
                    Err(error) => self.complain(duty, &error.into()),
                },
            }
        }
        for one in alone {
            self.send(&[one]).await;
        }
        for batch in together.chunks(BATCH_MAX) {
            if !self.send(batch).await && batch.len() > 1 {
                for one in batch {
                    self.send(std::slice::from_ref(one)).await;
                }
            }
        }
        Ok(())
    }

    /// Said once of a duty.
    fn complain(&mut self, duty: &Duty, why: &Obstacle) {
        if self.told.insert(name(duty)) {
            let (_, audit_id, round) = name(duty);
            tracing::error!(audit_id, round, %why, "a duty of an audit cannot be done");
        }
    }

    /// Begins to judge, if nothing else is judged and no paid work would suffer.
    fn judge(&mut self, duty: &Duty, audit: &Audit, height: u64) {
        if self.work.is_some() {
            return;
        }
        let window = audit.params.map_or(0, |params| params.commit_blocks);
        let left = duty.due_height.saturating_sub(height);
        let is_busy = self.jury.service.metrics.running.get() > 0;
        if is_busy && left > window / PATIENCE_PARTS {
            return;
        }
        let (jury, audit, name) = (Arc::clone(&self.jury), audit.clone(), name(duty));
        let is_first = !self.told.contains(&name);
        let task = tokio::spawn(async move {
            let (audit_id, round) = (audit.id, audit.round);
            match jury.judge(&audit).await {
                Ok(pass) => tracing::info!(audit_id, round, pass, "judged"),
                Err(why) if is_first => {
                    tracing::error!(audit_id, round, %why, "a claim cannot be judged; trying again");
                }
                Err(_) => {}
            }
        });
        self.told.insert(name);
        self.work = Some((name, task));
    }

    /// Sends messages in one transaction and waits for its block. Whether that went well.
    async fn send(&mut self, batch: &[(Name, Any)]) -> bool {
        let service = &self.jury.service;
        let msgs = batch.iter().map(|(_, msg)| msg.clone()).collect();
        match service.transact(msgs).await {
            Ok(_) => {
                for (name, _) in batch {
                    self.owed.insert(*name, true);
                    service.metrics.duty(match DutyKind::try_from(name.0) {
                        Ok(DutyKind::Reveal) => "reveal",
                        Ok(DutyKind::Commit) => "commit",
                        _ => "verdict",
                    });
                    tracing::info!(audit_id = name.1, round = name.2, "a duty of an audit is done");
                }
                true
            }
            Err(error) => {
                tracing::warn!(messages = batch.len(), %error, "duties of audits were not taken; trying again");
                false
            }
        }
    }
}

/// Everything that an operator owes open audits.
///
/// # Errors
/// If the chain does not answer.
pub async fn duties(client: &Client, operator: &str) -> Result<Vec<Duty>, ClientError> {
    let ask = |page| QueryDutiesRequest { operator: operator.to_owned(), pagination: Some(page) };
    let take = |page: QueryDutiesResponse| (page.duties, page.pagination);
    client.listed("/plasma.attestation.v1.Query/Duties", PAGES_MAX, ask, take).await
}

/// Whether an operator is in a model's pool.
///
/// # Errors
/// If the chain does not answer.
pub async fn is_member(client: &Client, model: &str, operator: &str) -> Result<bool, ClientError> {
    let ask = |page| QueryPoolRequest {
        model_id: model.to_owned(),
        pagination: Some(page),
        of_proposal: false,
    };
    let take = |page: QueryPoolResponse| (page.members, page.pagination);
    let path = "/plasma.attestation.v1.Query/Pool";
    let members: Vec<PoolMember> = client.listed(path, PAGES_MAX, ask, take).await?;
    Ok(members.iter().any(|member| member.operator == operator))
}

impl Jury {
    /// Everything that the operator owes open audits, as this node can do it.
    async fn duties(&self) -> Result<Vec<Duty>, ClientError> {
        let mut duties = duties(&self.service.client, &self.service.operator.text()).await?;
        duties.retain(|duty| duty.audit.as_ref().is_some_and(|audit| self.owes(audit)));
        Ok(duties)
    }

    /// Whether a duty that is owed no more was not done, as the chain has it: its transaction may have come in unseen.
    async fn is_missed(&self, (kind, id, round): Name) -> Result<bool, ClientError> {
        let request = QueryAuditRequest { id };
        let path = "/plasma.attestation.v1.Query/Audit";
        let found: Option<QueryAuditResponse> = self.service.client.find(path, &request).await?;
        let Some(found) = found else { return Ok(false) };
        // As if its phase were not over.
        let state = match DutyKind::try_from(kind) {
            Ok(DutyKind::Reveal) => AuditState::Reveal,
            Ok(DutyKind::Commit) => AuditState::Commit,
            Ok(DutyKind::Verdict) => AuditState::Verdict,
            Ok(DutyKind::Unspecified) | Err(_) => AuditState::Unspecified,
        };
        let audit = Audit { state: state.into(), round, ..found.audit.unwrap_or_default() };
        Ok(self.owes(&audit))
    }

    /// Deletes old verdicts of audits that have ended; a disk that refuses is told, and asked again a day later.
    async fn forget(&self) -> Result<(), ClientError> {
        let old = self.journal.old().unwrap_or_else(|error| {
            tracing::warn!(%error, "old verdicts cannot be looked for");
            Vec::new()
        });
        for (id, round) in old.into_iter().take(FORGET_MAX) {
            let request = QueryAuditRequest { id };
            let path = "/plasma.attestation.v1.Query/Audit";
            let found: Option<QueryAuditResponse> =
                self.service.client.find(path, &request).await?;
            let audit = found.and_then(|found| found.audit);
            let has_ended = audit.is_none_or(|audit| audit.state() == AuditState::Ended);
            if has_ended && let Err(error) = self.journal.forget(id, round) {
                tracing::warn!(%error, "an old verdict cannot be deleted");
            }
        }
        Ok(())
    }

    fn owes(&self, audit: &Audit) -> bool {
        audit::owes(audit, &self.service.operator.text())
    }

    fn carrier(&self) -> String {
        self.service.reporter.address().text()
    }

    fn reveal(&self, audit: &Audit) -> Result<MsgReveal, Obstacle> {
        let missing = || Obstacle::Missing("its evidence is not on this disk".to_owned());
        let kept = Outbox::evidence_of_job(&self.outbox, audit.id)?.ok_or_else(missing)?;
        let msg = self.service.key.reveal(audit.id, &audit.leaves, &kept).ok_or_else(missing)?;
        Ok(MsgReveal { carrier: self.carrier(), ..msg })
    }

    fn commitment(&self, audit: &Audit, sealed: &Sealed) -> MsgCommitVerdict {
        let Sealed { verdict, salt } = sealed;
        let Service { key, operator, .. } = self.service.as_ref();
        let msg = key.commit(audit.id, audit.round, *operator, verdict, salt);
        MsgCommitVerdict { carrier: self.carrier(), ..msg }
    }

    fn opening(&self, audit: &Audit, sealed: &Sealed) -> MsgRevealVerdict {
        let Sealed { verdict, salt } = sealed;
        let Service { key, operator, .. } = self.service.as_ref();
        let msg = key.open(audit.id, audit.round, *operator, verdict, salt);
        MsgRevealVerdict { carrier: self.carrier(), ..msg }
    }

    /// Judges a claim and writes the verdict down, with a new salt. Gives whether it passes.
    async fn judge(&self, audit: &Audit) -> Result<bool, Obstacle> {
        let missing = |what: &str| Obstacle::Missing(what.to_owned());
        let model_id = hash32(&audit.model_id).ok_or_else(|| missing("no model is named"))?;
        let judge = self.judges.get(&model_id).cloned().ok_or_else(|| {
            let model = hex::encode(model_id);
            Obstacle::Missing(format!(
                "this node does not have model {model}: add it to [jury] models, or leave its pool"
            ))
        })?;
        let client = &self.service.client;
        let job_id = audit.id;
        let found: QueryAuditResponse = client
            .query("/plasma.attestation.v1.Query/Audit", &QueryAuditRequest { id: audit.id })
            .await?;
        let accepted: QueryReceiptResponse = client
            .query("/plasma.attestation.v1.Query/Receipt", &QueryReceiptRequest { job_id })
            .await?;
        let work = self.service.job(job_id).await?;
        let job = work.job.ok_or_else(|| missing("the job is gone"))?;
        let payload = work.payload.ok_or_else(|| missing("prompt and answer are gone"))?;
        let output = payload.output.ok_or_else(|| missing("the answer is gone"))?;
        let receipt = accepted.receipt.and_then(|accepted| accepted.receipt);
        let receipt = receipt.ok_or_else(|| missing("the receipt is gone"))?;
        let profile = audit.profile.ok_or_else(|| missing("the audit has no profile"))?;
        let sampling = job.sampling.unwrap_or_default();
        let claim = Claim {
            prompt: payload.input,
            max_tokens: job.max_tokens,
            stop: job.stop.clone(),
            sampling: Sampling::from(&sampling),
            seed: receipt::seed(&job).map_err(Obstacle::Missing)?,
            request_hash: job.request_hash.clone(),
            output: output.token_ids,
            finish: receipt.finish_reason(),
            root: receipt.fingerprint_root.clone(),
            leaves: None,
        };
        let now = found.audit.unwrap_or_default();
        let shown = Shown {
            fingerprints_root: hash32(&now.fingerprints_root)
                .ok_or_else(|| missing("the evidence is not shown"))?,
            question: hash32(&now.question).ok_or_else(|| missing("no question is drawn"))?,
            leaves: found.leaves.into_iter().map(|shown| (shown.index, shown.leaf)).collect(),
        };
        let judged = tokio::task::spawn_blocking(move || {
            let model = judge.lock().unwrap_or_else(PoisonError::into_inner);
            let text = output.text;
            found_by(&model, &claim, &shown, |report| {
                let n_in = u64::try_from(report.prompt_tokens.len());
                n_in == Ok(u64::from(receipt.n_fresh) + u64::from(receipt.n_cached))
                    && receipt.prompt_tokens_hash == tokens_hash(&report.prompt_tokens)
                    && report.text == text
                    && report.bad_leaves.is_none()
                    && audit::within(&report.measures, &profile)
            })
        });
        let verdict = judged.await.map_err(|_| missing("judging broke off"))??;
        let mut salt: Hash = [0; 32];
        OsRng.fill_bytes(&mut salt);
        let sealed = self.journal.create(audit.id, audit.round, Sealed { verdict, salt })?;
        Ok(sealed.verdict.pass)
    }
}

/// What a juror finds of a claim, by its papers and measures. A claim that the model cannot have written, because it
/// cannot even be read, is false; a machine that fails is no verdict.
fn found_by(
    model: &Candle,
    claim: &Claim,
    shown: &Shown,
    is_honest: impl Fn(&Report) -> bool,
) -> Result<Verdict, EngineError> {
    let fail = Verdict { measures: Some(Measures::default()), ..Verdict::default() };
    let vocabulary = model.model().config().vocab_size;
    if claim.output.iter().any(|token| usize::try_from(*token).is_ok_and(|at| at >= vocabulary)) {
        return Ok(fail);
    }
    match verify::judge(model, claim, shown) {
        Ok(report) => Ok(Verdict {
            pass: is_honest(&report),
            measures: Some(report.measures),
            answer: report.answer.unwrap_or_default(),
        }),
        Err(error) if error.is_clients_fault() => Ok(fail),
        Err(error) => Err(error),
    }
}

/// A jury of a node whose home holds the folder of answers `outbox` and that of verdicts `verdicts`.
///
/// # Errors
/// If the disk refuses.
pub fn open(
    service: Arc<Service>,
    judges: BTreeMap<ModelId, Judge>,
    outbox: &Path,
    verdicts: &Path,
) -> Result<Arc<Jury>, crate::outbox::OutboxError> {
    let journal = Journal::open(verdicts)?;
    Ok(Arc::new(Jury { service, judges, journal, outbox: outbox.to_owned() }))
}
