//! Following a job: by the node's gRPC stream where there is one, else block by block.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use gpu_node::client::Client;
use plasma_modules::types::hex;
use plasma_proto::plasma::market::v1::{Job, JobState, Payload, WatchJobRequest, WatchJobResponse};
use tonic::client::Grpc;
use tonic::codec::ProstCodec;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;

use crate::App;
use crate::amount::{span, xpl_text};
use crate::error::{EXIT_UNREACHABLE, Failure, Result};
use crate::job;
use crate::output::clean;
use crate::view;

/// The stream of a job's changes.
const PATH: &str = "/plasma.market.v1.Query/WatchJob";
/// Longest that connecting to gRPC may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before a node that went away is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// Blocks in a row whose state may fail to be read before watching ends.
const FAILURES_MAX: u32 = 10;

/// What a job is followed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// The answer is there
    Delivered,
    /// The dispute window is over and the provider is paid
    Settled,
}

impl Until {
    fn is_reached(self, state: JobState) -> bool {
        match state {
            JobState::Settled | JobState::Refunded => true,
            JobState::Delivered => self == Self::Delivered,
            _ => false,
        }
    }
}

type Seen = Result<(Job, Option<Payload>)>;

/// Follows a job, tells of every change, and prints its answer.
///
/// # Errors
/// If the job ends without an answer, is not done in time, or following is interrupted; the job goes on then.
pub async fn run(
    app: &App,
    client: &Client,
    job_id: u64,
    until: Until,
    timeout: Option<Duration>,
) -> Result<()> {
    let back = format!("the job goes on; come back by  xpl job watch {job_id}");
    let followed = follow(app, client, job_id, until);
    let (job, payload) = patient(followed, timeout, &format!("job {job_id}"), back).await?;
    finish(app, client, &job, payload.as_ref()).await
}

/// Waits for what `name` is followed to, no longer than `timeout` and no longer than the user wants; `back` is how to go on.
///
/// # Errors
/// As `followed`; if it takes too long, or is interrupted.
pub async fn patient<T>(
    followed: impl Future<Output = Result<T>>,
    timeout: Option<Duration>,
    name: &str,
    back: String,
) -> Result<T> {
    let limit = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        followed = followed => followed,
        _ = tokio::signal::ctrl_c() => {
            Err(Failure::interrupted(format!("stopped waiting for {name}")).hint(back))
        }
        () = limit => {
            let waited = span(timeout.unwrap_or_default().as_secs());
            Err(Failure::timeout(format!("{name} is not done after {waited}")).hint(back))
        }
    }
}

async fn follow(app: &App, client: &Client, job_id: u64, until: Until) -> Seen {
    let spinner = app.out.spinner(format!("job {job_id}"));
    let poll =
        || each_block(client, move |client| async move { job::fetch(&client, job_id).await });
    let mut streamed = None;
    if let Some(url) = &app.settings.grpc {
        match stream(url, job_id).await {
            Ok(changes) => streamed = Some(changes),
            Err(failure) => {
                spinner.aside(|| app.out.note(&format!("{failure}; asking block by block instead")))
            }
        }
    }
    let mut is_streamed = streamed.is_some();
    let mut changes = streamed.unwrap_or_else(poll);
    let mut told = None;
    loop {
        let (job, payload) = match changes.next().await {
            Some(Ok(seen)) => seen,
            Some(Err(failure)) if !is_streamed || failure.exit != EXIT_UNREACHABLE => {
                return Err(failure);
            }
            // The stream ended before the job did: the node went away.
            _ => {
                (is_streamed, changes) = (false, poll());
                continue;
            }
        };
        let now = (job.state, job.attempt);
        if told != Some(now) {
            told = Some(now);
            let told = tell(&job);
            spinner.aside(|| app.out.note(&told));
            spinner.say(match job.state() {
                JobState::Open => "waiting for a provider",
                JobState::Assigned => "the provider works on it",
                _ if job.held => "its claim may be audited; the provider is paid after that",
                _ => "the dispute window runs",
            });
        }
        if until.is_reached(job.state()) {
            return Ok((job, payload));
        }
    }
}

/// A job's change, on one line.
fn tell(job: &Job) -> String {
    let (word, _) = view::state_word(job.state());
    let what = match job.state() {
        JobState::Open if job.attempt == 0 => "waits for a provider".to_owned(),
        JobState::Open => format!("attempt {} failed, waits for another provider", job.attempt),
        JobState::Assigned => format!("{} works on it (attempt {})", job.provider, job.attempt),
        JobState::Delivered => format!("by {} for {}", job.provider, xpl_text(&job.charge_uxpl)),
        JobState::Settled => {
            format!("{} paid, {} refunded", xpl_text(&job.charge_uxpl), xpl_text(&job.refund_uxpl))
        }
        JobState::Refunded => format!(
            "{}; {} came back",
            view::outcome_words(job.outcome()),
            xpl_text(&job.refund_uxpl)
        ),
        JobState::Unspecified => String::new(),
    };
    format!("{word:<10} {}", clean(&what))
}

/// What `look` sees now and after each block. A node that is away for a moment is asked again.
pub fn each_block<T, F>(
    client: &Client,
    look: impl Fn(Client) -> F + Send + Sync + 'static,
) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (client, look) = (client.clone(), Arc::new(look));
    let heights = stream::once(async { 0 }).chain(client.subscribe_blocks());
    let seen = heights.then(move |_| {
        let (client, look) = (client.clone(), Arc::clone(&look));
        async move {
            let mut failures = 0;
            loop {
                match look(client.clone()).await {
                    Err(failure) if failure.exit == EXIT_UNREACHABLE && failures < FAILURES_MAX => {
                        failures += 1;
                        tokio::time::sleep(RETRY).await;
                    }
                    seen => break seen,
                }
            }
        }
    });
    seen.boxed()
}

/// The node's own stream of changes.
async fn stream(url: &str, job_id: u64) -> Result<BoxStream<'static, Seen>> {
    let away = |reason: &dyn std::fmt::Display| {
        Failure::unreachable(format!("no gRPC at {url} ({reason})"))
    };
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let channel = Endpoint::from_shared(url.clone())
        .map_err(|error| Failure::usage(format!("{url:?} is no gRPC address: {error}")))?
        .connect_timeout(CONNECT_TIMEOUT)
        .connect()
        .await
        .map_err(|error| away(&error))?;
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.map_err(|error| away(&error))?;
    let codec: ProstCodec<WatchJobRequest, WatchJobResponse> = ProstCodec::default();
    let request = tonic::Request::new(WatchJobRequest { job_id });
    let answer = grpc
        .server_streaming(request, PathAndQuery::from_static(PATH), codec)
        .await
        .map_err(|status| refused(job_id, &status))?;
    let changes = answer.into_inner().map(move |change| match change {
        Ok(WatchJobResponse { job, payload, .. }) => Ok((job.unwrap_or_default(), payload)),
        Err(status) => Err(refused(job_id, &status)),
    });
    Ok(changes.boxed())
}

fn refused(job_id: u64, status: &tonic::Status) -> Failure {
    match status.code() {
        tonic::Code::NotFound => {
            Failure::refused("market", 4, format!("there is no job {job_id} on this chain"))
                .hint("see your jobs:  xpl job list")
        }
        _ => Failure::unreachable(format!("the node's stream broke off ({})", status.message())),
    }
}

/// Prints the answer, and beside it what it cost.
async fn finish(app: &App, client: &Client, job: &Job, payload: Option<&Payload>) -> Result<()> {
    let receipt = job::fetch_receipt(client, job.id).await?;
    if app.out.is_json() {
        app.out.json(&view::document(job, payload, receipt.as_ref())?);
    }
    let output = view::answer_of(job, payload)?;
    if app.out.is_json() {
        return Ok(());
    }
    app.out.note("");
    app.out.print(&clean(&output.text), &());
    let mut lines = vec![("provider", job.provider.clone())];
    if let Some(receipt) = receipt.and_then(|accepted| accepted.receipt) {
        let n_in = u64::from(receipt.n_fresh) + u64::from(receipt.n_cached);
        let took = format!("{}.{:01}s", receipt.t_total_ms / 1000, receipt.t_total_ms % 1000 / 100);
        lines.push(("tokens", format!("{n_in} in, {} out, in {took}", receipt.n_out)));
        lines.push(("ended", view::finish_words(receipt.finish_reason()).to_owned()));
    }
    lines.extend(view::paid(job));
    lines.push(("receipt", hex(&job.receipt_hash)));
    app.out.note("");
    for (name, value) in lines {
        app.out.note(&format!("{name:<9} {value}"));
    }
    app.out.note(&format!("to check it on this machine:  xpl verify {}", job.id));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_when_to_stop() {
        for state in [JobState::Open, JobState::Assigned] {
            assert!(!Until::Delivered.is_reached(state));
        }
        assert!(Until::Delivered.is_reached(JobState::Delivered));
        assert!(!Until::Settled.is_reached(JobState::Delivered));
        for state in [JobState::Settled, JobState::Refunded] {
            assert!(Until::Settled.is_reached(state) && Until::Delivered.is_reached(state));
        }
    }

    #[test]
    fn every_change_has_its_line() {
        let job = Job {
            state: JobState::Assigned.into(),
            provider: "xpl1abc".into(),
            attempt: 2,
            ..Job::default()
        };
        assert_eq!(tell(&job), "assigned   xpl1abc works on it (attempt 2)");
        let job = Job { state: JobState::Open.into(), attempt: 1, ..Job::default() };
        assert!(tell(&job).contains("another provider"));
    }

    #[tokio::test]
    async fn nobody_at_the_grpc_address_is_said() {
        let failure = stream("127.0.0.1:1", 7).await.err().unwrap();
        assert_eq!(failure.exit, EXIT_UNREACHABLE);
    }
}
