//! Repeating a job on this machine: do the papers agree, and does the model write what was claimed?
//!
//! The papers are checked by the chain's own functions. Then the model reads the prompt and follows the claimed
//! answer token by token; at each place the seeded draw must choose the claimed token. Between equal kernels
//! every one must match; another kernel computes slightly other numbers, so a near miss is allowed there.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::Args;
use gpu_node::engine::candle::Candle;
use gpu_node::engine::{Engine as _, EngineError, Finish};
use gpu_node::hardware::Backend;
use gpu_node::models::{self, Cache, ModelsError};
use plasma_modules::attestation::{receipt_digest, receipt_hash, text_hash, tokens_hash};
use plasma_modules::types::{hash32, hex};
use plasma_modules::{Amount, market, tx};
use plasma_proto::plasma::attestation::v1::{AcceptedReceipt, FinishReason, Receipt};
use plasma_proto::plasma::market::v1::{Job, Outcome, Output, Payload};
use serde_json::{Value, json};

use crate::App;
use crate::error::{Failure, Result};
use crate::job;
use crate::output::{Tone, line, proto_from_json};
use crate::replay::{Replay, follow};
use crate::view;

/// Largest receipt file, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How often the progress of the model is looked at.
const PROGRESS: Duration = Duration::from_millis(100);
/// Home of a gpu-node below the user's, and its models below that.
const NODE_HOME: &str = ".gpu-node";
/// See [`NODE_HOME`].
const MODELS_FOLDER: &str = "models";

/// What is to be verified.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Number of a job; or a file: a receipt, or all that `xpl job show --output json` writes (needs no node)
    #[arg(value_name = "JOB|FILE")]
    what: String,
    /// Folder of models, as `gpu-node model add` fills it [default: ~/.gpu-node/models]
    #[arg(long, env = "XPL_MODELS", value_name = "DIR")]
    models: Option<PathBuf>,
    /// Where the model runs: cpu, cuda:0, metal:0
    #[arg(long, default_value = "cpu")]
    device: Backend,
}

/// Everything that a verdict rests on.
struct Evidence {
    job: Job,
    input: String,
    output: Output,
    receipt: Receipt,
    /// The chain that was asked; `None` when a file said it all.
    chain_id: Option<String>,
}

/// One question and its answer.
struct Check {
    name: &'static str,
    is_ok: bool,
    detail: String,
}

fn check(name: &'static str, is_ok: bool, detail: impl Into<String>) -> Check {
    Check { name, is_ok, detail: detail.into() }
}

/// Runs `xpl verify`.
///
/// # Errors
/// With exit code 1 if the job is not verified, 2 if it could not be checked.
pub async fn run(app: &App, args: VerifyArgs) -> Result<()> {
    let evidence = evidence(app, &args.what).await?;
    let mut checks = papers(&evidence);
    let cache = models_folder(app, &args)?;
    let replay = if evidence.receipt.outcome() == Outcome::Ok {
        let replay = replay_aside(app, &evidence, cache, args.device).await?;
        checks.extend(compare(&evidence, &replay));
        Some(replay)
    } else {
        checks.push(fault(&evidence, cache, args.device)?);
        None
    };
    report(app, &evidence, &checks, replay.as_ref())
}

fn cannot(message: impl Into<String>) -> Failure {
    Failure::usage(message)
}

/// Gathers job, texts and receipt, from the chain or a file.
async fn evidence(app: &App, what: &str) -> Result<Evidence> {
    if let Ok(job_id) = what.parse() {
        return from_chain(app, job_id, None).await;
    }
    let path = Path::new(what);
    let file = |error: std::io::Error| {
        Failure::file(path, &error).hint("give the number of a job, or a file")
    };
    if std::fs::metadata(path).map_err(file)?.len() > FILE_BYTES_MAX {
        return Err(cannot(format!("{what}: larger than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(file)?;
    let json: Value = serde_json::from_str(&text)
        .map_err(|error| cannot(format!("{what} is no JSON document: {error}")))?;
    let (job, receipt) = read_document(&json)?;
    match job {
        Some((job, payload)) => whole(job, payload, receipt, None),
        None => from_chain(app, receipt.job_id, Some(receipt)).await,
    }
}

/// A receipt, and the job and its texts if the document has them.
fn read_document(json: &Value) -> Result<(Option<(Job, Payload)>, Receipt)> {
    let inner = &json["receipt"];
    let receipt = match (inner.is_object(), inner["receipt"].is_object()) {
        (true, true) => proto_from_json::<AcceptedReceipt>(inner)?.receipt.unwrap_or_default(),
        (true, false) => proto_from_json(inner)?,
        (false, _) if json["job"].is_object() => {
            return Err(cannot("the file holds a job without a receipt")
                .hint("was it written before the job was delivered?"));
        }
        (false, _) => proto_from_json(json)?,
    };
    if !json["job"].is_object() {
        return Ok((None, receipt));
    }
    if !json["payload"].is_object() {
        return Err(forgotten(receipt.job_id));
    }
    Ok((Some((proto_from_json(&json["job"])?, proto_from_json(&json["payload"])?)), receipt))
}

async fn from_chain(app: &App, job_id: u64, given: Option<Receipt>) -> Result<Evidence> {
    let client = app.client().await?;
    let (job, payload) = job::fetch(&client, job_id).await?;
    let accepted = job::fetch_receipt(&client, job_id).await?;
    let receipt =
        given.or_else(|| accepted.and_then(|accepted| accepted.receipt)).ok_or_else(|| {
            let (word, _) = view::state_word(job.state());
            cannot(format!("job {job_id} has no receipt: it is {word}"))
                .hint(format!("see it:  xpl job show {job_id}"))
        })?;
    let payload = payload.ok_or_else(|| forgotten(job_id))?;
    whole(job, payload, receipt, Some(client.chain_id().to_owned()))
}

fn forgotten(job_id: u64) -> Failure {
    cannot(format!("the chain has forgotten prompt and answer of job {job_id}: it keeps them for some time only"))
        .hint("to verify a job later, keep it:  xpl job show JOB --output json > job.json")
}

fn whole(
    job: Job,
    payload: Payload,
    receipt: Receipt,
    chain_id: Option<String>,
) -> Result<Evidence> {
    let Payload { input, output } = payload;
    let output = match output {
        Some(output) => output,
        None if receipt.outcome() == Outcome::Ok => return Err(forgotten(job.id)),
        None => Output::default(),
    };
    Ok(Evidence { job, input, output, receipt, chain_id })
}

/// What can be checked without the model, each by the chain's own functions.
fn papers(evidence: &Evidence) -> Vec<Check> {
    let Evidence { job, input, output, receipt, chain_id } = evidence;
    let Receipt { n_fresh, n_cached, n_out, .. } = *receipt;
    let accepted = receipt_hash(receipt);
    let digest = receipt_digest(receipt);
    let signed = hash32(&receipt.receipt_key)
        .is_some_and(|key| tx::verify_ed25519(&key, &digest, &receipt.signature));
    let sampling = job.sampling.unwrap_or_default();
    let request = market::request_hash(&job.model_id, input, job.max_tokens, &sampling, &job.stop);
    let asked = receipt.request_hash == request && job.request_hash == request;
    let same = receipt.job_id == job.id
        && receipt.model_id == job.model_id
        && receipt.sampling == job.sampling;
    let counted = u32::try_from(output.token_ids.len()) == Ok(n_out) && n_out <= job.max_tokens;
    let bound = receipt.output_tokens_hash == tokens_hash(&output.token_ids)
        && receipt.response_hash == text_hash(&output.text);
    let due = match (receipt.outcome(), &job.terms, &job.ask) {
        (Outcome::Ok, Some(terms), Some(ask)) => {
            Some(market::charge(terms, ask, n_fresh, n_cached, n_out))
        }
        (Outcome::Ok, _, _) => None,
        _ => Some(Amount::ZERO),
    };
    let charge = due.is_some_and(|due| due.text() == receipt.charge_uxpl);
    let source = match chain_id {
        Some(chain_id) if *chain_id == receipt.chain_id => format!("accepted by {chain_id}"),
        Some(chain_id) => {
            format!("the receipt is for {}, the node serves {chain_id}", receipt.chain_id)
        }
        None => "as the file says; no node was asked".to_owned(),
    };
    let right_chain = chain_id.as_ref().is_none_or(|chain_id| *chain_id == receipt.chain_id);
    vec![
        check(
            "receipt",
            job.receipt_hash == accepted && right_chain,
            format!("{}, {source}", hex(&accepted)),
        ),
        check("signature", signed, format!("by receipt key {}", hex(&receipt.receipt_key))),
        check(
            "request",
            asked && same,
            "model, prompt, limits, sampling and stop texts are those that were asked for",
        ),
        check(
            "answer",
            bound && counted,
            format!("{n_out} tokens and their text are those that the receipt binds"),
        ),
        check(
            "charge",
            charge,
            format!("{} by the formula", due.map_or("unknown".to_owned(), crate::amount::xpl)),
        ),
    ]
}

/// Where models lie: the flag, the setting, or a gpu-node's own folder.
fn models_folder(app: &App, args: &VerifyArgs) -> Result<Cache> {
    let own = || {
        let home =
            std::env::var_os("GPU_NODE_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let home = home.or_else(|| std::env::home_dir().map(|home| home.join(NODE_HOME)));
        home.map(|home| home.join(MODELS_FOLDER))
    };
    let folder = args.models.clone().or_else(|| app.settings.models.clone()).or_else(own);
    let folder =
        folder.ok_or_else(|| cannot("no folder of models").hint("name one by --models"))?;
    if !folder.is_dir() {
        return Err(cannot(format!("there is no folder of models {}", folder.display()))
            .hint("fill one with gpu-node model add, and name it by --models"));
    }
    Cache::open(&folder).map_err(|error| cannot(error.to_string()))
}

fn load(cache: &Cache, evidence: &Evidence, device: Backend) -> Result<Candle> {
    let id = hash32(&evidence.job.model_id).ok_or_else(|| cannot("the job names no model"))?;
    let failed = |error: EngineError| cannot(error.to_string());
    models::load(cache, &id, &device.open().map_err(failed)?).map_err(|error| match &error {
        ModelsError::Unknown { id, root } => cannot(format!(
            "the model {} is not on this machine (looked in {})",
            hex(id),
            root.display()
        ))
        .hint(format!(
            "see what it is by  xpl model show {}, fetch it by  gpu-node model add",
            &hex(id)[..12]
        )),
        _ => cannot(error.to_string()),
    })
}

/// A receipt that says that the request could not be served: is that so?
fn fault(evidence: &Evidence, cache: Cache, device: Backend) -> Result<Check> {
    let model = load(&cache, evidence, device)?;
    let max_tokens = usize::try_from(evidence.job.max_tokens).unwrap_or(usize::MAX);
    let context = usize::try_from(model.info().context_tokens).unwrap_or(usize::MAX);
    let unservable = match model.tokenizer().prompt(&evidence.input) {
        Ok(prompt) => prompt.is_empty() || prompt.len().saturating_add(max_tokens) > context,
        Err(error) => error.is_clients_fault(),
    };
    let claimed = evidence.receipt.outcome() == Outcome::ClientFault;
    Ok(check("fault", claimed && unservable, "the request cannot be served as it was asked"))
}

/// Follows the answer on a thread of its own, with progress.
async fn replay_aside(
    app: &App,
    evidence: &Evidence,
    cache: Cache,
    device: Backend,
) -> Result<Replay> {
    let spinner = app.out.spinner("loading the model");
    let claimed = evidence.output.token_ids.len();
    let owned = Evidence {
        job: evidence.job.clone(),
        input: evidence.input.clone(),
        output: evidence.output.clone(),
        receipt: evidence.receipt.clone(),
        chain_id: None,
    };
    let (done, progress) = channel();
    let work = tokio::task::spawn_blocking(move || {
        let model = load(&cache, &owned, device)?;
        follow(&model, &owned.job, &owned.input, &owned.output.token_ids, &done)
            .map_err(|error| cannot(format!("the model cannot follow the answer: {error}")))
    });
    tokio::pin!(work);
    loop {
        tokio::select! {
            finished = &mut work => {
                return finished.unwrap_or_else(|error| Err(cannot(format!("the model broke off: {error}"))));
            }
            _ = tokio::signal::ctrl_c() => return Err(Failure::interrupted("stopped before there was a verdict")),
            () = tokio::time::sleep(PROGRESS) => {
                if let Some(at) = progress.try_iter().last() {
                    spinner.say(format!("repeating: {at} of {claimed} tokens"));
                }
            }
        }
    }
}

/// What the model says of the papers.
fn compare(evidence: &Evidence, replay: &Replay) -> Vec<Check> {
    let Evidence { output, receipt, .. } = evidence;
    let claimed = output.token_ids.len();
    let n_in = u64::from(receipt.n_fresh) + u64::from(receipt.n_cached);
    let counted = u64::try_from(replay.prompt_tokens.len()) == Ok(n_in);
    let prompt = counted && receipt.prompt_tokens_hash == tokens_hash(&replay.prompt_tokens);
    let finish = matches!(
        (replay.finish, receipt.finish_reason()),
        (Some(Finish::Eos), FinishReason::Eos)
            | (Some(Finish::Stop), FinishReason::Stop)
            | (Some(Finish::Length), FinishReason::Length)
    );
    let mut measure = format!("{} of {claimed} are the model's own", replay.matching);
    if let Some(at) = replay.first_mismatch {
        measure = format!(
            "{measure}; the first that is not is number {}, mean distance {:.4}, {} far off",
            at + 1,
            replay.margin_mean,
            replay.outliers
        );
    }
    vec![
        check(
            "prompt",
            prompt,
            format!("{} tokens here, {n_in} on the receipt", replay.prompt_tokens.len()),
        ),
        check("tokens", replay.is_ok(claimed, &receipt.kernel_id), measure),
        check("text", replay.text == output.text, "the text is that of the tokens"),
        check("end", finish, view::finish_words(receipt.finish_reason())),
    ]
}

/// Prints the verdict.
fn report(app: &App, evidence: &Evidence, checks: &[Check], replay: Option<&Replay>) -> Result<()> {
    let is_verified = checks.iter().all(|check| check.is_ok);
    let Evidence { job, receipt, .. } = evidence;
    let verdict = if is_verified { "VERIFIED" } else { "NOT VERIFIED" };
    let other_kernel = replay.is_some_and(|replay| replay.kernel_id != receipt.kernel_id);
    if app.out.is_json() {
        let list: Vec<Value> = checks
            .iter()
            .map(|check| json!({ "check": check.name, "ok": check.is_ok, "detail": check.detail }))
            .collect();
        app.out.json(&json!({
            "job_id": job.id,
            "verified": is_verified,
            "provider": job.provider,
            "model_id": hex(&job.model_id),
            "receipt_hash": hex(&receipt_hash(receipt)),
            "checks": list,
            "tokens": replay.map(|replay| json!({
                "claimed": evidence.output.token_ids.len(),
                "matching": replay.matching,
                "first_mismatch": replay.first_mismatch,
                "mean_distance": replay.margin_mean,
                "far_off": replay.outliers,
            })),
            "kernel": { "receipt": receipt.kernel_id, "here": replay.map(|replay| replay.kernel_id.as_str()) },
        }));
    } else {
        for check in checks {
            let (mark, tone) = if check.is_ok { ("✓", Tone::Good) } else { ("✗", Tone::Bad) };
            app.out.print(
                &format!("{} {:<10} {}", app.out.tone(tone, mark), check.name, line(&check.detail)),
                &(),
            );
        }
        if let Some(replay) = replay {
            let word = if other_kernel { "other kernels" } else { "same kernel" };
            app.out.print(
                &format!("  {word:<10} {} (here: {})", line(&receipt.kernel_id), replay.kernel_id),
                &(),
            );
        }
        let tone = if is_verified { Tone::Good } else { Tone::Bad };
        app.out.print(&format!("\njob {}: {}", job.id, app.out.tone(tone, verdict)), &());
    }
    if is_verified {
        return Ok(());
    }
    let failed: Vec<&str> =
        checks.iter().filter(|check| !check.is_ok).map(|check| check.name).collect();
    let failure =
        Failure::unsuccessful(format!("job {} is not verified: {}", job.id, failed.join(", ")));
    Err(if other_kernel && failed == ["tokens"] {
        failure.hint("the provider used other kernels; repeat it on a machine with the same ones before you accuse anybody")
    } else {
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_apart() {
        let receipt = json!({ "version": 1, "job_id": "7" });
        for document in [
            receipt.clone(),
            json!({ "receipt": receipt }),
            json!({ "receipt": { "receipt": receipt } }),
        ] {
            let (job, read) = read_document(&document).unwrap();
            assert!(job.is_none() && read.job_id == 7, "{document}");
        }
        let whole = json!({ "job": { "id": "7" }, "payload": { "input": "x" }, "receipt": { "receipt": receipt } });
        assert_eq!(read_document(&whole).unwrap().0.unwrap().1.input, "x");
        assert!(read_document(&json!({ "job": {}, "receipt": null })).is_err());
        assert!(
            read_document(&json!({ "job": {}, "payload": null, "receipt": receipt }))
                .unwrap_err()
                .message
                .contains("forgotten")
        );
        assert!(read_document(&json!({ "nonsense": 1 })).is_err());
    }
}
