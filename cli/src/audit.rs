//! `xpl audit`: claims that are audited, who judges them, and by what.

mod lists;
mod profile;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use futures::StreamExt as _;
use gpu_node::client::Client;
use plasma_modules::Coded as _;
use plasma_modules::attestation::audit::Error;
use plasma_modules::types::hex;
use plasma_proto::plasma::attestation::v1::{
    AuditParams, AuditState, Params, QueryAuditRequest, QueryAuditResponse, QueryParamsRequest,
    QueryParamsResponse, QueryProfileRequest, QueryProfileResponse,
};
use plasma_proto::plasma::proof::v1::query_proof_request::Object;

use crate::App;
use crate::amount;
use crate::error::{Failure, Result};
use crate::light::{ProveArgs, Verified};
use crate::output::{Tone, clean, proto_json};
use crate::prove::Prover;
use crate::tx::TxArgs;
use crate::watch::{self, patient};

#[cfg(feature = "verify")]
pub use profile::read_profile;
pub use words::{finding_word, tell, until};

/// Largest file of a profile or of a receipt that is read, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Most audits, or games, that a list shows.
pub const LIST_MAX: u64 = 100;

/// Audits.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Everything about the audit of a job's claim, and who judges it
    Show {
        /// The job's number
        #[arg(value_name = "JOB")]
        id: u64,
        #[command(flatten)]
        prove: ProveArgs,
    },
    /// Follow an audit to its end
    Watch {
        /// The job's number
        #[arg(value_name = "JOB")]
        id: u64,
        /// Give up after this long; the audit goes on
        #[arg(long, value_parser = amount::duration, value_name = "TIME")]
        timeout: Option<Duration>,
    },
    /// Audits, the newest first
    List {
        /// Only audits in this state
        #[arg(long, value_enum, conflicts_with_all = ["operator", "juror"])]
        state: Option<lists::State>,
        /// Audits of this provider's claims: address, contact or key
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "juror")]
        operator: Option<String>,
        /// Audits in which this operator has or had a seat: address, contact or key
        #[arg(long, value_name = "ACCOUNT")]
        juror: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=LIST_MAX))]
        limit: u64,
    },
    /// What an operator owes open audits, and until when
    Duties {
        /// Address, contact or key; your own if left out
        operator: Option<String>,
    },
    /// Who judges a model's claims (`gpu-node jury join` and `leave` change it)
    Pool {
        /// Id, the begin of one, or name
        model: String,
        /// Who stands behind the profile that is proposed
        #[arg(long)]
        proposal: bool,
    },
    /// By what a model's claims are judged, and whether they are
    Profile {
        /// Id, the begin of one, or name
        model: String,
        #[command(flatten)]
        prove: ProveArgs,
    },
    /// What audits found of a provider, and how often it is audited
    Standing {
        /// Address, contact or key; your own if left out
        operator: Option<String>,
    },
    /// As a model's publisher: set by what its claims are judged; its pool begins anew
    SetProfile {
        /// Id, the begin of one, or name
        model: String,
        /// profile.json, as `gpu-node calibrate` writes it
        #[arg(value_name = "FILE")]
        profile: PathBuf,
        #[command(flatten)]
        tx: TxArgs,
    },
}

/// Runs `xpl audit`.
///
/// # Errors
/// If there is no such audit, model or provider, the chain refuses, or no node answers.
pub async fn run(app: &App, command: AuditCommand) -> Result<()> {
    match command {
        AuditCommand::Show { id, prove } => {
            let client = app.client().await?;
            if prove.prove {
                let prover = Prover::open(app, &client, &prove).await?;
                let audit = prover.get(&Object::Audit(id)).await?.ok_or_else(|| unknown(id))?;
                let answer = QueryAuditResponse { audit: Some(audit), ..Default::default() };
                return show(app, &answer, Some(&prover.verified));
            }
            show(app, &fetch(&client, id).await?, None)
        }
        AuditCommand::Watch { id, timeout } => {
            let client = app.client().await?;
            let ended = watch(app, &client, id, timeout).await?;
            show(app, &ended, None)
        }
        AuditCommand::List { state, operator, juror, limit } => {
            let (operator, juror) = (operator.as_deref(), juror.as_deref());
            lists::audits(app, lists::Which { state, operator, juror }, limit).await
        }
        AuditCommand::Duties { operator } => lists::duties(app, operator.as_deref()).await,
        AuditCommand::Pool { model, proposal } => lists::pool(app, &model, proposal).await,
        AuditCommand::Profile { model, prove } => profile::show(app, &model, &prove).await,
        AuditCommand::Standing { operator } => lists::standing(app, operator.as_deref()).await,
        AuditCommand::SetProfile { model, profile, tx } => {
            profile::set(app, &model, &profile, &tx).await
        }
    }
}

/// What the chain would refuse, or has, by its own rule.
pub fn refused(rule: &Error, message: impl Into<String>) -> Failure {
    Failure::refused(rule.codespace(), rule.code(), message)
}

/// The audit of a job's claim, if there is one.
///
/// # Errors
/// If no node answers.
pub async fn find(client: &Client, id: u64) -> Result<Option<QueryAuditResponse>> {
    let request = QueryAuditRequest { id };
    Ok(client.find("/plasma.attestation.v1.Query/Audit", &request).await?)
}

/// As [`find`], of an audit that must be there.
///
/// # Errors
/// If the claim is not audited, or no node answers.
pub async fn fetch(client: &Client, id: u64) -> Result<QueryAuditResponse> {
    find(client, id).await?.ok_or_else(|| unknown(id))
}

fn unknown(id: u64) -> Failure {
    refused(&Error::UnknownAudit(id), format!("the claim of job {id} is not audited"))
        .hint(format!("see what became of it:  xpl job show {id}"))
}

/// The profile by which a model's claims are judged, if it has one.
///
/// # Errors
/// If no node answers.
pub async fn profile(client: &Client, model_id: &[u8]) -> Result<Option<QueryProfileResponse>> {
    let request = QueryProfileRequest { model_id: hex(model_id) };
    Ok(client.find("/plasma.attestation.v1.Query/Profile", &request).await?)
}

/// The numbers of audits and of games.
///
/// # Errors
/// If no node answers.
pub async fn all_params(client: &Client) -> Result<Params> {
    let path = "/plasma.attestation.v1.Query/Params";
    let answer: QueryParamsResponse = client.query(path, &QueryParamsRequest {}).await?;
    Ok(answer.params.unwrap_or_default())
}

/// The numbers of audits.
///
/// # Errors
/// If no node answers.
pub async fn params(client: &Client) -> Result<AuditParams> {
    Ok(all_params(client).await?.audits.unwrap_or_default())
}

/// A file's bytes, if it is not too large.
///
/// # Errors
/// If it cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let file = |error: std::io::Error| Failure::file(path, &error);
    if std::fs::metadata(path).map_err(file)?.len() > FILE_BYTES_MAX {
        let message = format!("{}: larger than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Failure::usage(message));
    }
    std::fs::read(path).map_err(file)
}

/// Shows an audit.
///
/// # Errors
/// If this program cannot describe it as JSON.
pub fn show(app: &App, answer: &QueryAuditResponse, proven: Option<&Verified>) -> Result<()> {
    let audit = answer.audit.clone().unwrap_or_default();
    let (mut table, mut json) = (words::fields(&audit), proto_json(answer)?);
    if let Some(verified) = proven {
        table.field_toned("proven", verified.line(), Tone::Good);
        json["proof"] = verified.json();
    }
    app.out.table(&table, "", &json);
    if !audit.seats.is_empty() && !app.out.is_json() {
        app.out.print("", &());
        app.out.table(&words::jury(&audit), "", &());
    }
    Ok(())
}

/// Follows an audit to its end, and tells of every change.
///
/// # Errors
/// If the claim is not audited, or not any more; if there is no end in time, or following is interrupted. The audit goes on then.
pub async fn watch(
    app: &App,
    client: &Client,
    id: u64,
    timeout: Option<Duration>,
) -> Result<QueryAuditResponse> {
    let back = format!("the audit goes on; come back by  xpl audit watch {id}");
    patient(follow(app, client, id), timeout, &format!("audit {id}"), back).await
}

async fn follow(app: &App, client: &Client, id: u64) -> Result<QueryAuditResponse> {
    let spinner = app.out.spinner(format!("audit {id}"));
    let mut seen = watch::each_block(client, move |client| async move { find(&client, id).await });
    let mut told = None;
    loop {
        let answer = match seen.next().await.transpose()?.flatten() {
            Some(answer) => answer,
            None if told.is_some() => {
                let message =
                    format!("the claim of job {id} is not audited: no beacon selected it");
                return Err(Failure::unsuccessful(message)
                    .hint(format!("it is settled by its window:  xpl job show {id}")));
            }
            None => return Err(unknown(id)),
        };
        let audit = answer.audit.clone().unwrap_or_default();
        let now = tell(&audit);
        if told.as_ref() != Some(&now) {
            spinner.aside(|| app.out.note(&clean(&now)));
            told = Some(now);
        }
        if audit.state() == AuditState::Ended {
            return Ok(answer);
        }
    }
}
