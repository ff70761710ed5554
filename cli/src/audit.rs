//! `xpl audit`: claims that are audited, who judges them, and by what.

mod words;

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures::StreamExt as _;
use gpu_node::client::{Client, ClientError};
use plasma_modules::Coded as _;
use plasma_modules::attestation::audit::Error;
use plasma_modules::types::hex;
use plasma_proto::plasma::attestation::v1::{
    AuditParams, AuditState, Profile, QueryAuditRequest, QueryAuditResponse, QueryParamsRequest,
    QueryParamsResponse, QueryProfileRequest, QueryProfileResponse,
};
use serde_json::Value;

use crate::App;
use crate::amount;
use crate::error::{Failure, Result};
use crate::output::{clean, proto_from_json, proto_json};
use crate::watch::{self, patient};

pub use words::{tell, until};

/// Largest file of a profile or of a receipt that is read, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Audits.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Everything about the audit of a job's claim, and who judges it
    Show {
        /// The job's number
        #[arg(value_name = "JOB")]
        id: u64,
    },
    /// Follow an audit to its end
    Watch {
        /// The job's number
        #[arg(value_name = "JOB")]
        id: u64,
        #[command(flatten)]
        patience: Patience,
    },
}

/// How long an audit is followed.
#[derive(Debug, Clone, Copy, Args)]
pub struct Patience {
    /// Give up after this long; the audit goes on
    #[arg(long, value_parser = amount::duration, value_name = "TIME")]
    timeout: Option<Duration>,
}

/// Runs `xpl audit`.
///
/// # Errors
/// If there is no such audit, or no node answers.
pub async fn run(app: &App, command: AuditCommand) -> Result<()> {
    match command {
        AuditCommand::Show { id } => show(app, &fetch(&app.client().await?, id).await?),
        AuditCommand::Watch { id, patience } => {
            let client = app.client().await?;
            let ended = watch(app, &client, id, patience).await?;
            show(app, &ended)
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
    match client.query("/plasma.attestation.v1.Query/Audit", &request).await {
        Err(ClientError::NotFound(_)) => Ok(None),
        other => Ok(Some(other?)),
    }
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
    match client.query("/plasma.attestation.v1.Query/Profile", &request).await {
        Err(ClientError::NotFound(_)) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// The numbers of audits.
///
/// # Errors
/// If no node answers.
pub async fn params(client: &Client) -> Result<AuditParams> {
    let path = "/plasma.attestation.v1.Query/Params";
    let answer: QueryParamsResponse = client.query(path, &QueryParamsRequest {}).await?;
    Ok(answer.params.unwrap_or_default().audits.unwrap_or_default())
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

/// Reads a profile as `gpu-node calibrate` writes it.
///
/// # Errors
/// If the file is no profile, or leaves numbers out that would condemn everybody as 0.
pub fn read_profile(path: &Path) -> Result<Profile> {
    let json: Value = serde_json::from_slice(&read_file(path)?).map_err(|error| {
        Failure::usage(format!("{} is no JSON document: {error}", path.display()))
    })?;
    let profile: Profile = proto_from_json(&json)?;
    if [profile.projection_ppm_max, profile.margin_ppm_max, profile.tokens_per_outlier].contains(&0)
    {
        let message = format!("{} lacks thresholds", path.display());
        return Err(Failure::usage(message).hint("make one by  gpu-node calibrate"));
    }
    Ok(profile)
}

/// Shows an audit.
///
/// # Errors
/// If this program cannot describe it as JSON.
pub fn show(app: &App, answer: &QueryAuditResponse) -> Result<()> {
    let audit = answer.audit.clone().unwrap_or_default();
    app.out.table(&words::fields(&audit), "", &proto_json(answer)?);
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
    Patience { timeout }: Patience,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_profile(&path)
        };
        let text = r#"{ "exponent_mismatches_max": 14, "mantissa_mean_centi_max": 250, "mantissa_median_max": 2,
            "projection_ppm_max": 30000, "margin_ppm_max": 20000, "tokens_per_outlier": 256 }"#;
        assert_eq!(read(text).unwrap().tokens_per_outlier, 256);
        for wrong in ["{", "{}", r#"{ "projection_ppm_max": 1 }"#, r#"{ "unknown": 1 }"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read_profile(&folder.path().join("none")).is_err());
    }
}
