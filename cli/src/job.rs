//! Jobs: where they are, what they brought, and taking one back.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use gpu_node::client::{Client, any};
use plasma_modules::types::hex;
use plasma_proto::cosmos::base::query::v1beta1::PageRequest;
use plasma_proto::plasma::attestation::v1::{
    AcceptedReceipt, QueryReceiptRequest, QueryReceiptResponse,
};
use plasma_proto::plasma::market::v1::{
    Job, JobState, MsgCancelJob, Payload, QueryJobRequest, QueryJobResponse, QueryJobsRequest,
    QueryJobsResponse,
};
use plasma_proto::plasma::proof::v1::query_proof_request::Object;

use crate::App;
use crate::amount::{self, xpl_text};
use crate::error::{Failure, Result};
use crate::light::ProveArgs;
use crate::node::utc;
use crate::output::{Table, Tone, clean, proto_json};
use crate::prove::Prover;
use crate::submit::{self, SubmitArgs};
use crate::tx::{self, TxArgs};
use crate::view::{answer_of, show, state_word};
use crate::watch::{self, Until};

/// Most jobs that a list shows.
const LIST_MAX: u64 = 100;
/// Characters of an address in tables of jobs.
const ADDRESS_CHARS: usize = 16;

/// Jobs.
#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Buy an inference
    Submit(SubmitArgs),
    /// Everything about a job
    Show {
        /// Its number
        job_id: u64,
        #[command(flatten)]
        prove: ProveArgs,
    },
    /// Your jobs, the newest first
    List {
        /// Everybody's jobs
        #[arg(long, conflicts_with_all = ["requester", "provider"])]
        all: bool,
        /// Jobs of this address, contact or key
        #[arg(long, conflicts_with = "provider", value_name = "ACCOUNT")]
        requester: Option<String>,
        /// Jobs that this provider works on or did
        #[arg(long, value_name = "ACCOUNT")]
        provider: Option<String>,
        /// Only jobs in this state
        #[arg(long)]
        state: Option<State>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=LIST_MAX))]
        limit: u64,
    },
    /// Follow a job until its answer is there, and print it
    Watch {
        /// Its number
        job_id: u64,
        /// Until the answer is there, or until it is paid
        #[arg(long, value_enum, default_value_t = Until::Delivered)]
        until: Until,
        /// Give up after this long; the job goes on
        #[arg(long, value_parser = amount::duration, value_name = "TIME")]
        timeout: Option<Duration>,
    },
    /// The answer alone
    Result {
        /// Its number
        job_id: u64,
    },
    /// Take a job back that no provider works on yet
    Cancel {
        /// Its number
        job_id: u64,
        #[command(flatten)]
        tx: TxArgs,
    },
}

/// States of a job, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Waits for a provider
    Open,
    /// A provider works on it
    Assigned,
    /// The answer is there, the dispute window runs
    Delivered,
    /// Paid
    Settled,
    /// Ended without a charge
    Refunded,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Open => Self::Open,
            State::Assigned => Self::Assigned,
            State::Delivered => Self::Delivered,
            State::Settled => Self::Settled,
            State::Refunded => Self::Refunded,
        }
    }
}

/// A job, and its texts while the chain remembers them.
///
/// # Errors
/// If there is no such job.
pub async fn fetch(client: &Client, job_id: u64) -> Result<(Job, Option<Payload>)> {
    let request = QueryJobRequest { job_id };
    let found: Option<QueryJobResponse> =
        client.find("/plasma.market.v1.Query/Job", &request).await?;
    let answer = found.ok_or_else(|| {
        let what = format!("there is no job {job_id} on {}", client.chain_id());
        Failure::refused("market", 4, what).hint("see your jobs:  xpl job list")
    })?;
    Ok((answer.job.unwrap_or_default(), answer.payload))
}

/// The receipt of a job, if the chain has accepted one.
///
/// # Errors
/// If no node answers.
pub async fn fetch_receipt(client: &Client, job_id: u64) -> Result<Option<AcceptedReceipt>> {
    let request = QueryReceiptRequest { job_id };
    let found: Option<QueryReceiptResponse> =
        client.find("/plasma.attestation.v1.Query/Receipt", &request).await?;
    Ok(found.and_then(|found| found.receipt))
}

/// As [`fetch`] and [`fetch_receipt`], everything proven.
///
/// # Errors
/// If there is no such job, a proof does not hold, or no node answers.
pub async fn proven(
    prover: &Prover<'_>,
    job_id: u64,
) -> Result<(Job, Option<Payload>, Option<AcceptedReceipt>)> {
    let job = prover.get(&Object::Job(job_id)).await?.ok_or_else(|| {
        let message = format!("proven: after block {} there is no job {job_id}", prover.height());
        Failure::refused("market", 4, message)
    })?;
    let payload = prover.get(&Object::Payload(job_id)).await?;
    let receipt = prover.get(&Object::Receipt(job_id)).await?;
    Ok((job, payload, receipt))
}

/// Runs `xpl job`.
///
/// # Errors
/// If there is no such job, the chain refuses, or the job failed.
pub async fn run(app: &App, command: JobCommand) -> Result<()> {
    match command {
        JobCommand::Submit(args) => submit::run(app, args).await,
        JobCommand::Show { job_id, prove } => {
            let client = app.client().await?;
            if prove.prove {
                let prover = Prover::open(app, &client, &prove).await?;
                let (job, payload, receipt) = proven(&prover, job_id).await?;
                let by = Some(&prover.verified);
                return show(app, &job, payload.as_ref(), receipt.as_ref(), by);
            }
            let (job, payload) = fetch(&client, job_id).await?;
            let receipt = fetch_receipt(&client, job_id).await?;
            show(app, &job, payload.as_ref(), receipt.as_ref(), None)
        }
        JobCommand::List { all, requester, provider, state, limit } => {
            let account = |text: &Option<String>| {
                text.as_deref()
                    .map(|text| app.address(text))
                    .transpose()
                    .map(|address| address.map(|a| a.text()))
            };
            let (requester, provider) = (account(&requester)?, account(&provider)?);
            let requester = match (requester, &provider, all) {
                (None, None, false) => Some(app.own_address()?.text()),
                (given, _, _) => given,
            };
            let request = QueryJobsRequest {
                requester: requester.unwrap_or_default(),
                provider: provider.unwrap_or_default(),
                state: state.map_or(0, |state| JobState::from(state).into()),
                pagination: Some(PageRequest { limit, reverse: true, ..PageRequest::default() }),
            };
            list(app, &request).await
        }
        JobCommand::Watch { job_id, until, timeout } => {
            let client = app.client().await?;
            watch::run(app, &client, job_id, until, timeout).await
        }
        JobCommand::Result { job_id } => {
            let client = app.client().await?;
            let (job, payload) = fetch(&client, job_id).await?;
            let output = answer_of(&job, payload.as_ref())?;
            app.out.print(&clean(&output.text), &proto_json(&output)?);
            Ok(())
        }
        JobCommand::Cancel { job_id, tx } => cancel(app, job_id, &tx).await,
    }
}

async fn list(app: &App, request: &QueryJobsRequest) -> Result<()> {
    let client = app.client().await?;
    let answer: QueryJobsResponse = client.query("/plasma.market.v1.Query/Jobs", request).await?;
    let mut table =
        Table::new(["JOB", "STATE", "MODEL", "PROVIDER", "MAX FEE", "CHARGE", "OPENED"]);
    let cut = |text: &str, count: usize| text.chars().take(count).collect::<String>();
    for job in &answer.jobs {
        let (word, tone) = state_word(job.state());
        let provider = if job.provider.is_empty() {
            "-".to_owned()
        } else {
            cut(&job.provider, ADDRESS_CHARS)
        };
        let charge =
            if job.charge_uxpl.is_empty() { "-".to_owned() } else { xpl_text(&job.charge_uxpl) };
        table.toned([
            (job.id.to_string(), Tone::Strong),
            (word.to_owned(), tone),
            (cut(&hex(&job.model_id), 12), Tone::Dim),
            (provider, Tone::Plain),
            (xpl_text(&job.max_fee_uxpl), Tone::Plain),
            (charge, Tone::Plain),
            (utc(job.opened_s), Tone::Dim),
        ]);
    }
    let json = answer.jobs.iter().map(proto_json).collect::<Result<Vec<_>>>()?;
    app.out.table(&table, "no jobs: xpl job submit --wait \"Hello\"", &json);
    Ok(())
}

async fn cancel(app: &App, job_id: u64, tx: &TxArgs) -> Result<()> {
    let requester = app.own_address()?;
    let client = app.client().await?;
    let (job, _) = fetch(&client, job_id).await?;
    if job.requester != requester.text() {
        return Err(Failure::refused(
            "market",
            25,
            format!("job {job_id} belongs to {}", job.requester),
        )
        .hint("use the key that submitted it, by --from"));
    }
    if job.state() != JobState::Open {
        let word = state_word(job.state()).0;
        return Err(Failure::refused(
            "market",
            26,
            format!("job {job_id} can no longer be cancelled: it is {word}"),
        ));
    }
    let msg = MsgCancelJob { requester: requester.text(), job_id };
    let outcome = tx::send(app, &client, any(&msg), tx).await?;
    let text = format!("job {job_id} is cancelled, {} came back", xpl_text(&job.max_fee_uxpl));
    tx::done(app, &outcome, &text);
    Ok(())
}
