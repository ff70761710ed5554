//! Repeating a job on this machine: do the papers agree, and did the model write what was claimed?
//!
//! The papers are checked by the chain's own functions, and proven to be the chain's with `--prove`. Then the model reads
//! prompt and answer again (`gpu_node::verify`): between equal kernels bit by bit, across kernels by the four measures.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use clap::Args;
use gpu_node::config::Kernel;
use gpu_node::engine::candle::Candle;
use gpu_node::engine::{Engine as _, EngineError, Sampling};
use gpu_node::evidence as leaves;
use gpu_node::hardware::Backend;
use gpu_node::models::{self, Cache, ModelsError};
use gpu_node::verify::{self, Claim, DEFAULT_PROFILE, Report, SegmentMeasures, Tier};
use plasma_modules::attestation::audit::outliers_max;
use plasma_modules::attestation::{
    receipt_digest, receipt_hash, sampling_seed, text_hash, tokens_hash,
};
use plasma_modules::types::{hash32, hex};
use plasma_modules::{Amount, market, tx};
use plasma_proto::plasma::attestation::v1::{AcceptedReceipt, ModelProfile, Profile, Receipt};
use plasma_proto::plasma::market::v1::{Job, Outcome, Output, Payload};
use plasma_proto::plasma::proof::v1::query_proof_request::Object;
use serde_json::{Value, json};

use crate::App;
use crate::amount::{xpl, xpl_text};
use crate::audit::{self, read_file, read_profile, until};
use crate::dispute::{self, Terms};
use crate::error::{Failure, Result};
use crate::game;
use crate::job;
use crate::light::ProveArgs;
use crate::output::{Tone, line, proto_from_json};
use crate::prove::Prover;
use crate::view;

/// How often the progress of the model is looked at.
const PROGRESS: Duration = Duration::from_millis(100);
/// Home of a gpu-node below the user's, and its models below that.
const NODE_HOME: &str = ".gpu-node";
/// See [`NODE_HOME`].
const MODELS_FOLDER: &str = "models";

/// What is to be verified.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
    0  verified: every check that could be made holds
    1  not verified
    2  it could not be checked: the model is not on this machine, the chain has forgotten the texts, a file cannot be read
    3  no node answers
    5  a proof does not hold: the node lies
  130  interrupted")]
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
    /// The provider's leaves: a file, or the address of its node, which is asked for /v1/evidence/JOB
    #[arg(long, value_name = "FILE|URL")]
    evidence: Option<String>,
    /// Thresholds across kernels, as `gpu-node calibrate` writes them [default: those by which a jury judges the model;
    /// from a file, or of a model without a profile, those of a small model]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// By thresholds between equal kernels too: reads all at once, which is quicker
    #[arg(long)]
    tolerant: bool,
    #[command(flatten)]
    prove: ProveArgs,
}

/// Everything that a verdict rests on.
struct Evidence {
    job: Job,
    input: String,
    output: Output,
    receipt: Receipt,
    /// What the chain adds; `None` when a file said it all.
    asked: Option<Asked>,
}

/// A chain that was asked.
struct Asked {
    chain_id: String,
    /// Height at which job, texts and receipt are proven.
    proven: Option<u64>,
    /// By what a jury judges the model.
    profile: Option<Profile>,
}

/// How a verdict is come to.
#[derive(Clone, Copy)]
struct Rules {
    profile: Profile,
    tolerant: bool,
    device: Backend,
}

/// One question and its answer.
struct Check {
    name: &'static str,
    /// `None` if it was not asked.
    is_ok: Option<bool>,
    detail: String,
    /// The numbers by which it was answered.
    judged: Vec<Judged>,
}

/// A number, and the most that it may be.
#[derive(Clone, Copy)]
struct Judged {
    name: &'static str,
    value: u32,
    limit: u32,
}

impl Judged {
    /// For people, in `unit`s.
    fn text(self, unit: f64) -> String {
        format!("{} (at most {})", decimal(self.value, unit), decimal(self.limit, unit))
    }
}

impl Check {
    fn by<const N: usize>(self, judged: [Judged; N]) -> Self {
        Self { judged: judged.into(), ..self }
    }

    fn json(&self) -> Value {
        let Self { name, is_ok, detail, judged } = self;
        let measures: serde_json::Map<String, Value> = judged
            .iter()
            .map(|Judged { name, value, limit }| {
                ((*name).to_owned(), json!({ "value": value, "limit": limit }))
            })
            .collect();
        json!({ "check": name, "ok": is_ok, "detail": detail, "measures": measures })
    }
}

fn check(name: &'static str, is_ok: bool, detail: impl Into<String>) -> Check {
    Check { name, is_ok: Some(is_ok), detail: detail.into(), judged: Vec::new() }
}

fn unasked(name: &'static str, why: impl Into<String>) -> Check {
    Check { name, is_ok: None, detail: why.into(), judged: Vec::new() }
}

/// Runs `xpl verify`.
///
/// # Errors
/// With exit code 1 if the job is not verified, 2 if it could not be checked, 5 if a proof does not hold.
pub async fn run(app: &App, args: VerifyArgs) -> Result<()> {
    let evidence = evidence(app, &args).await?;
    let mut checks = papers(&evidence);
    let cache = models_folder(app, &args)?;
    let profile = match &args.profile {
        Some(path) => read_profile(path)?,
        None => evidence.asked.as_ref().and_then(|asked| asked.profile).unwrap_or(DEFAULT_PROFILE),
    };
    let rules = Rules { profile, tolerant: args.tolerant, device: args.device };
    let seen = if evidence.receipt.outcome() == Outcome::Ok {
        let leaves = read_leaves(&args, evidence.job.id).await?;
        let seen = read_aside(app, &evidence, leaves, cache, rules).await?;
        checks.extend(compare(&evidence, &seen, &rules.profile));
        Some(seen)
    } else {
        checks.push(fault(&evidence, cache, args.device)?);
        None
    };
    let is_verified = checks.iter().all(|check| check.is_ok != Some(false));
    let remedy = if is_verified { None } else { Some(remedy(app, &evidence).await) };
    report(app, &evidence, &checks, seen.as_ref(), &rules.profile, remedy.as_ref())
}

/// What can be done about a claim that failed.
struct Remedy {
    job_id: u64,
    /// What a dispute takes, or why there can be none; `None` if no node was asked.
    terms: Option<Result<Terms>>,
    /// What a challenge takes, which the chain decides without a jury; `None` if there can be none.
    challenge: Option<Terms>,
}

/// Whether the claim can be disputed or challenged. A node that does not answer changes no verdict.
async fn remedy(app: &App, Evidence { job, receipt, asked, .. }: &Evidence) -> Remedy {
    let mut remedy = Remedy { job_id: job.id, terms: None, challenge: None };
    if asked.is_none() {
        return remedy;
    }
    match app.client().await {
        Ok(client) => {
            remedy.terms = Some(dispute::terms(&client, job).await);
            remedy.challenge = game::terms(&client, job, receipt).await.ok().flatten();
        }
        Err(failure) => remedy.terms = Some(Err(failure)),
    }
    remedy
}

/// What a bond must be, and until when it can be put down.
fn terms_words(Terms { bond, before: (height, time_s) }: &Terms) -> String {
    format!("with a bond of {}, before {}", xpl(*bond), until(*height, *time_s))
}

impl Remedy {
    fn command(&self) -> String {
        format!("xpl dispute {}", self.job_id)
    }

    fn challenge_command(&self) -> String {
        format!("gpu-node challenge {} --key FILE", self.job_id)
    }

    fn text(&self) -> String {
        let command = self.command();
        let dispute = match (&self.terms, &self.challenge) {
            (None, _) => format!("to dispute it, if it is not settled:  {command}"),
            (Some(Ok(terms)), _) => format!("to dispute it {}:  {command}", terms_words(terms)),
            (Some(Err(failure)), None) => format!("it cannot be disputed: {}", failure.message),
            (Some(Err(failure)), Some(_)) => format!("no jury judges it: {}", failure.message),
        };
        match &self.challenge {
            None => dispute,
            Some(terms) => format!(
                "{dispute}\nto have the chain itself decide it, {}:  {}",
                terms_words(terms),
                self.challenge_command()
            ),
        }
    }

    fn json(&self) -> Value {
        let terms = self.terms.as_ref().and_then(|terms| terms.as_ref().ok());
        let failure = self.terms.as_ref().and_then(|terms| terms.as_ref().err());
        json!({
            "command": failure.is_none().then(|| self.command()),
            "possible": self.terms.as_ref().map(|terms| terms.is_ok()),
            "bond_uxpl": terms.map(|terms| terms.bond.text()),
            "before_height": terms.map(|terms| terms.before.0),
            "before_s": terms.map(|terms| terms.before.1),
            "why": failure,
            "challenge": self.challenge.map(|Terms { bond, before: (height, time_s) }| json!({
                "command": self.challenge_command(),
                "bond_uxpl": bond.text(),
                "before_height": height,
                "before_s": time_s,
            })),
        })
    }
}

/// The provider's leaves, if they are asked for.
async fn read_leaves(args: &VerifyArgs, job_id: u64) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(from) = &args.evidence else { return Ok(None) };
    let found = if from.starts_with("http://") || from.starts_with("https://") {
        leaves::fetch(from, job_id).await
    } else {
        leaves::from_json(&read_file(Path::new(from))?).map_err(|error| format!("{from}: {error}"))
    };
    let found = found.map_err(|error| {
        cannot(format!("the provider's leaves are not to be had: {error}"))
            .hint("leave --evidence out to verify without them")
    })?;
    if found.job_id != job_id {
        return Err(cannot(format!("{from} holds leaves of job {}, not {job_id}", found.job_id)));
    }
    Ok(Some(found.leaves))
}

fn cannot(message: impl Into<String>) -> Failure {
    Failure::usage(message)
}

/// Gathers job, texts and receipt, from the chain or a file.
async fn evidence(app: &App, args: &VerifyArgs) -> Result<Evidence> {
    let what = args.what.as_str();
    if let Ok(job_id) = what.parse() {
        return from_chain(app, args, job_id, None).await;
    }
    let bytes = read_file(Path::new(what))
        .map_err(|failure| failure.hint("give the number of a job, or a file"))?;
    let json: Value = serde_json::from_slice(&bytes)
        .map_err(|error| cannot(format!("{what} is no JSON document: {error}")))?;
    let (job, receipt) = read_document(&json)?;
    match job {
        // What is to be proven is asked of the chain, and the file's receipt held against it.
        Some((job, _)) if args.prove.prove => from_chain(app, args, job.id, Some(receipt)).await,
        Some((job, payload)) => whole(job, payload, receipt, None),
        None => from_chain(app, args, receipt.job_id, Some(receipt)).await,
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

async fn from_chain(
    app: &App,
    args: &VerifyArgs,
    job_id: u64,
    given: Option<Receipt>,
) -> Result<Evidence> {
    let client = app.client().await?;
    let mut asked = Asked { chain_id: client.chain_id().to_owned(), proven: None, profile: None };
    let (job, payload, accepted) = if args.prove.prove {
        let prover = Prover::open(app, &client, &args.prove).await?;
        asked.proven = Some(prover.height());
        let found = job::proven(&prover, job_id).await?;
        let stands: Option<ModelProfile> =
            prover.get(&Object::Profile(hex(&found.0.model_id))).await?;
        asked.profile = stands.and_then(|stands| stands.profile);
        found
    } else {
        let (job, payload) = job::fetch(&client, job_id).await?;
        let stands = audit::profile(&client, &job.model_id).await?;
        asked.profile = stands.and_then(|stands| stands.profile?.profile);
        (job, payload, job::fetch_receipt(&client, job_id).await?)
    };
    let receipt =
        given.or_else(|| accepted.and_then(|accepted| accepted.receipt)).ok_or_else(|| {
            let (word, _) = view::state_word(job.state());
            cannot(format!("job {job_id} has no receipt: it is {word}"))
                .hint(format!("see it:  xpl job show {job_id}"))
        })?;
    let payload = payload.ok_or_else(|| forgotten(job_id))?;
    whole(job, payload, receipt, Some(asked))
}

fn forgotten(job_id: u64) -> Failure {
    cannot(format!("the chain has forgotten prompt and answer of job {job_id}: it keeps them for some time only"))
        .hint("to verify a job later, keep it:  xpl job show JOB --output json > job.json")
}

fn whole(job: Job, payload: Payload, receipt: Receipt, asked: Option<Asked>) -> Result<Evidence> {
    let Payload { input, output } = payload;
    let output = match output {
        Some(output) => output,
        None if receipt.outcome() == Outcome::Ok => return Err(forgotten(job.id)),
        None => Output::default(),
    };
    Ok(Evidence { job, input, output, receipt, asked })
}

/// What can be checked without the model, each by the chain's own functions.
fn papers(evidence: &Evidence) -> Vec<Check> {
    let Evidence { job, input, output, receipt, asked } = evidence;
    let chain_id = asked.as_ref().map(|asked| &asked.chain_id);
    let proven = asked.as_ref().and_then(|asked| asked.proven);
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
    let right_chain = chain_id.is_none_or(|chain_id| *chain_id == receipt.chain_id);
    let length = Judged { name: "tokens", value: n_out, limit: job.max_tokens };
    vec![
        check(
            "receipt",
            job.receipt_hash == accepted && right_chain,
            format!("{}, {source}", hex(&accepted)),
        ),
        match proven {
            Some(height) => {
                let what = "job, texts and receipt are in the state that validators signed";
                check("proof", true, format!("{what}, after block {height}"))
            }
            None => unasked("proof", "a node was believed; --prove believes none"),
        },
        check("signature", signed, format!("by receipt key {}", hex(&receipt.receipt_key))),
        check(
            "request",
            asked && same,
            "model, prompt, limits, sampling and stop texts are those that were asked for",
        ),
        check(
            "answer",
            bound && counted,
            format!(
                "{n_out} tokens (at most {}) and their text are those that the receipt binds",
                job.max_tokens
            ),
        )
        .by([length]),
        check(
            "charge",
            charge,
            format!(
                "{} on the receipt, {} by the formula",
                xpl_text(&receipt.charge_uxpl),
                due.map_or("unknown".to_owned(), xpl)
            ),
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

/// Loads a model to repeat what a receipt of this kernel says.
fn load(cache: &Cache, model_id: &[u8], device: Backend, kernel_id: &str) -> Result<Candle> {
    let id = hash32(model_id).ok_or_else(|| cannot("the job names no model"))?;
    let failed = |error: EngineError| cannot(error.to_string());
    let device = device.open().map_err(failed)?;
    models::load_with(cache, &id, &device, Kernel::of(kernel_id)).map_err(|error| match &error {
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
    let model = load(&cache, &evidence.job.model_id, device, &evidence.receipt.kernel_id)?;
    let max_tokens = usize::try_from(evidence.job.max_tokens).unwrap_or(usize::MAX);
    let context = usize::try_from(model.info().context_tokens).unwrap_or(usize::MAX);
    let unservable = match model.tokenizer().prompt(&evidence.input) {
        Ok(prompt) => prompt.is_empty() || prompt.len().saturating_add(max_tokens) > context,
        Err(error) => error.is_clients_fault(),
    };
    let claimed = evidence.receipt.outcome() == Outcome::ClientFault;
    Ok(check("fault", claimed && unservable, "the request cannot be served as it was asked"))
}

/// Reads the answer again on a thread of its own, with progress.
async fn read_aside(
    app: &App,
    evidence: &Evidence,
    leaves: Option<Vec<Vec<u8>>>,
    cache: Cache,
    rules: Rules,
) -> Result<Report> {
    let spinner = app.out.spinner("loading the model");
    let Evidence { job, input, output, receipt, .. } = evidence;
    let count = output.token_ids.len();
    let sampling = job.sampling.unwrap_or_default();
    let claim = Claim {
        prompt: input.clone(),
        max_tokens: job.max_tokens,
        stop: job.stop.clone(),
        sampling: Sampling::from(&sampling),
        seed: sampling_seed(&job.assigned_beacon, job.id, sampling.seed),
        request_hash: job.request_hash.clone(),
        output: output.token_ids.clone(),
        finish: receipt.finish_reason(),
        root: receipt.fingerprint_root.clone(),
        leaves,
    };
    let (model_id, kernel_id) = (job.model_id.clone(), receipt.kernel_id.clone());
    let (done, progress) = channel();
    let work = tokio::task::spawn_blocking(move || {
        let model = load(&cache, &model_id, rules.device, &kernel_id)?;
        let tier = match Tier::of(&model.info().kernel_id, &kernel_id) {
            Tier::Exact if !rules.tolerant => Tier::Exact,
            _ => Tier::Tolerant,
        };
        let told = |at| {
            let _ = done.send(at);
        };
        verify::verify(&model, &claim, tier, &told)
            .map_err(|error| cannot(format!("the model cannot read the answer: {error}")))
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
                    spinner.say(format!("repeating: {at} of {count} tokens"));
                }
            }
        }
    }
}

/// Hundredths and millionths, as people read them.
fn decimal(number: u32, unit: f64) -> String {
    format!("{}", f64::from(number) / unit)
}

/// What the model says of the papers and the evidence.
fn compare(evidence: &Evidence, seen: &Report, profile: &Profile) -> Vec<Check> {
    let Evidence { output, receipt, .. } = evidence;
    let claimed = output.token_ids.len();
    let n_in = u64::from(receipt.n_fresh) + u64::from(receipt.n_cached);
    let counted = u64::try_from(seen.prompt_tokens.len()) == Ok(n_in);
    let prompt = counted && receipt.prompt_tokens_hash == tokens_hash(&seen.prompt_tokens);
    let faults = seen.faults(profile);
    let holds = |name: &str| !faults.contains(&name);
    let measures = &seen.measures;
    let judged = |name, value, limit| Judged { name, value, limit };
    let own = format!("{} of {claimed} are the model's own", seen.matching);
    let first =
        seen.first_mismatch.map(|at| format!("; the first that is not is number {}", at + 1));
    let first = first.unwrap_or_default();
    let tokens = match seen.tier {
        Tier::Exact => {
            let others = claimed.saturating_sub(seen.matching);
            let others = judged("others", u32::try_from(others).unwrap_or(u32::MAX), 0);
            check("tokens", holds("tokens"), format!("{own}{first}")).by([others])
        }
        Tier::Tolerant => {
            let margin = judged("margin_ppm", measures.margin_ppm, profile.margin_ppm_max);
            let far = judged("outliers", measures.outliers, outliers_max(measures, profile));
            let [distance, count] = [margin.text(1e6), far.text(1.0)];
            let detail = format!("{own}{first}; mean distance {distance}, far off {count}");
            check("tokens", holds("tokens"), detail).by([margin, far])
        }
    };
    let leaves = match (&seen.bad_leaves, &seen.segments) {
        (Some(bad), _) => check("leaves", false, bad.to_string()),
        (None, Some(segments)) => check(
            "leaves",
            true,
            format!("{} leaves are those under the receipt's root", segments.len()),
        ),
        (None, None) => {
            unasked("leaves", "none at hand; --evidence names the provider's node or a file")
        }
    };
    let mut checks = vec![
        check(
            "prompt",
            prompt,
            format!("{} tokens here, {n_in} on the receipt", seen.prompt_tokens.len()),
        ),
        leaves,
    ];
    match (seen.tier, &seen.segments) {
        (Tier::Exact, _) => checks.push(check(
            "root",
            holds("root"),
            "the evidence that is computed here has the receipt's root, bit by bit",
        )),
        (Tier::Tolerant, None) => {
            let why = "needs the provider's leaves: the receipt holds their root only";
            checks.extend([unasked("activations", why), unasked("projection", why)]);
        }
        (Tier::Tolerant, Some(_)) => {
            let exponents = judged(
                "exponent_mismatches",
                measures.exponent_mismatches,
                profile.exponent_mismatches_max,
            );
            let mean = judged(
                "mantissa_mean_centi",
                measures.mantissa_mean_centi,
                profile.mantissa_mean_centi_max,
            );
            let median =
                judged("mantissa_median", measures.mantissa_median, profile.mantissa_median_max);
            let apart =
                judged("projection_ppm", measures.projection_ppm, profile.projection_ppm_max);
            let activations = format!(
                "of 128 with another exponent {}; mantissas apart: mean {}, median {}",
                exponents.text(1.0),
                mean.text(1e2),
                median.text(1.0)
            );
            checks.extend([
                check("activations", holds("fingerprint"), activations)
                    .by([exponents, mean, median]),
                check("projection", holds("projection"), format!("distance {}", apart.text(1e6)))
                    .by([apart]),
            ]);
        }
    }
    let finish = view::finish_words(receipt.finish_reason());
    let end = match holds("end") {
        true => finish.to_owned(),
        false => format!("{finish}, says the receipt: by the model it does not end so"),
    };
    checks.extend([
        tokens,
        check("text", seen.text == output.text, "the text is that of the tokens"),
        check("end", holds("end"), end),
    ]);
    checks
}

fn segment_json(segment: &SegmentMeasures) -> Value {
    let SegmentMeasures {
        exponent_mismatches,
        mantissa_mean_centi,
        mantissa_median,
        projection_ppm,
    } = segment;
    json!({
        "exponent_mismatches": exponent_mismatches,
        "mantissa_mean_centi": mantissa_mean_centi,
        "mantissa_median": mantissa_median,
        "projection_ppm": projection_ppm,
    })
}

/// Prints the verdict.
fn report(
    app: &App,
    evidence: &Evidence,
    checks: &[Check],
    seen: Option<&Report>,
    profile: &Profile,
    remedy: Option<&Remedy>,
) -> Result<()> {
    let is_verified = remedy.is_none();
    let Evidence { job, receipt, .. } = evidence;
    let verdict = if is_verified { "VERIFIED" } else { "NOT VERIFIED" };
    let other_kernel = seen.is_some_and(|seen| seen.kernel_id != receipt.kernel_id);
    if app.out.is_json() {
        let list: Vec<Value> = checks.iter().map(Check::json).collect();
        app.out.json(&json!({
            "job_id": job.id,
            "verified": is_verified,
            "provider": job.provider,
            "model_id": hex(&job.model_id),
            "receipt_hash": hex(&receipt_hash(receipt)),
            "proven_height": evidence.asked.as_ref().and_then(|asked| asked.proven),
            "tier": seen.map(|seen| seen.tier.text()),
            "checks": list,
            "tokens": seen.map(|seen| json!({
                "claimed": evidence.output.token_ids.len(),
                "matching": seen.matching,
                "first_mismatch": seen.first_mismatch,
                "margin_ppm": seen.measures.margin_ppm,
                "outliers": seen.measures.outliers,
            })),
            "segments": seen.and_then(|seen| seen.segments.as_ref())
                .map(|segments| segments.iter().map(segment_json).collect::<Vec<_>>()),
            "profile": verify::profile_json(profile),
            "dispute": remedy.map(Remedy::json),
            "kernel": { "receipt": receipt.kernel_id, "here": seen.map(|seen| seen.kernel_id.as_str()) },
        }));
    } else {
        for check in checks {
            let (mark, tone) = match check.is_ok {
                Some(true) => ("✓", Tone::Good),
                Some(false) => ("✗", Tone::Bad),
                None => ("-", Tone::Dim),
            };
            let words = if check.is_ok.is_none() { "not checked: " } else { "" };
            app.out.print(
                &format!(
                    "{} {:<11} {words}{}",
                    app.out.tone(tone, mark),
                    check.name,
                    line(&check.detail)
                ),
                &(),
            );
        }
        if let Some(seen) = seen {
            let word = if other_kernel { "other kernels" } else { "same kernel" };
            app.out.print(
                &format!(
                    "  {word:<11} {} (here: {}); tier {}",
                    line(&receipt.kernel_id),
                    seen.kernel_id,
                    seen.tier.text()
                ),
                &(),
            );
        }
        let tone = if is_verified { Tone::Good } else { Tone::Bad };
        app.out.print(&format!("\njob {}: {}", job.id, app.out.tone(tone, verdict)), &());
        if let Some(remedy) = remedy {
            app.out.print(&remedy.text(), &());
            let by_jury = !matches!(remedy.terms, Some(Err(_)));
            if by_jury && seen.is_some_and(|seen| seen.tier == Tier::Exact) {
                app.out.note("a jury judges by thresholds: see them by --tolerant and --evidence before you put a bond down");
            }
        }
    }
    if is_verified {
        return Ok(());
    }
    let failed: Vec<&str> =
        checks.iter().filter(|check| check.is_ok == Some(false)).map(|check| check.name).collect();
    let failure =
        Failure::unsuccessful(format!("job {} is not verified: {}", job.id, failed.join(", ")));
    let by_numbers = ["activations", "projection", "tokens"];
    Err(if other_kernel && failed.iter().all(|name| by_numbers.contains(name)) {
        failure.hint("the provider used other kernels; repeat it on a machine with the same ones before you accuse anybody")
    } else {
        failure
    })
}

#[cfg(test)]
mod tests {
    use plasma_proto::plasma::attestation::v1::Measures;

    use super::*;

    #[test]
    fn a_false_claim_says_how_to_dispute_it() {
        let told_of = |terms, challenge| {
            let remedy = Remedy { job_id: 7, terms, challenge };
            (remedy.text(), remedy.json())
        };
        let told = |terms| told_of(terms, None);
        let bond = Amount::new(10_000_000);
        let (line, json) = told(Some(Ok(Terms { bond, before: (150, 60) })));
        assert_eq!(
            line,
            "to dispute it with a bond of 10 XPL, before block 150 and 1970-01-01T00:01:00Z:  xpl dispute 7"
        );
        assert_eq!((&json["possible"], &json["command"]), (&json!(true), &json!("xpl dispute 7")));
        assert_eq!((&json["bond_uxpl"], &json["before_height"]), (&json!("10000000"), &json!(150)));

        let (line, json) = told(Some(Err(Failure::refused("audit", 15, "job 7 is settled"))));
        assert_eq!(line, "it cannot be disputed: job 7 is settled");
        assert_eq!((&json["possible"], &json["command"]), (&json!(false), &Value::Null));
        assert_eq!(json["why"]["code"], 15);

        let (line, json) = told(None);
        assert!(line.ends_with("xpl dispute 7"), "{line}");
        assert_eq!((&json["possible"], &json["command"]), (&Value::Null, &json!("xpl dispute 7")));
        assert_eq!(json["challenge"], Value::Null);

        // What no jury judges may be decided by the chain itself.
        let bond = Amount::new(20_000_000);
        let challenge = Some(Terms { bond, before: (150, 60) });
        let unverified = Failure::refused("audit", 16, "the model is not verified");
        let (text, json) = told_of(Some(Err(unverified)), challenge);
        assert_eq!(
            text,
            "no jury judges it: the model is not verified\nto have the chain itself decide it, with a bond of 20 XPL, before block 150 and 1970-01-01T00:01:00Z:  gpu-node challenge 7 --key FILE"
        );
        assert_eq!((&json["possible"], &json["command"]), (&json!(false), &Value::Null));
        assert_eq!(json["challenge"]["command"], "gpu-node challenge 7 --key FILE");
        assert_eq!(json["challenge"]["bond_uxpl"], "20000000");
    }

    /// Whatever is judged by a number says the number, and the most that it may be.
    #[test]
    fn every_judged_number_is_told_with_its_limit() {
        let measures = Measures {
            exponent_mismatches: 1,
            mantissa_mean_centi: 20,
            mantissa_median: 3,
            projection_ppm: 500,
            margin_ppm: 100,
            outliers: 3,
            tokens: 300,
            is_ended_well: true,
        };
        let mut seen = Report {
            tier: Tier::Tolerant,
            kernel_id: "here".into(),
            prompt_tokens: vec![],
            text: String::new(),
            matching: 297,
            first_mismatch: Some(4),
            measures,
            segments: Some(vec![]),
            bad_leaves: None,
            root_matches: false,
            answer: None,
        };
        let evidence = Evidence {
            job: Job::default(),
            input: String::new(),
            output: Output { token_ids: vec![1; 300], ..Output::default() },
            receipt: Receipt::default(),
            asked: None,
        };
        let told = |seen: &Report, name| {
            let checks = compare(&evidence, seen, &DEFAULT_PROFILE);
            let check = checks.into_iter().find(|check| check.name == name).unwrap();
            (check.is_ok, check.detail.clone(), check.json()["measures"].take())
        };
        let (ok, detail, numbers) = told(&seen, "activations");
        assert_eq!(ok, Some(false), "by the median alone");
        assert_eq!(
            detail,
            "of 128 with another exponent 1 (at most 14); mantissas apart: mean 0.2 (at most 2.5), median 3 (at most 2)"
        );
        assert_eq!(numbers["mantissa_median"], json!({ "value": 3, "limit": 2 }));
        assert_eq!(numbers.as_object().unwrap().len(), 3);
        let (_, detail, numbers) = told(&seen, "projection");
        assert_eq!(detail, "distance 0.0005 (at most 0.03)");
        assert_eq!(numbers, json!({ "projection_ppm": { "value": 500, "limit": 30_000 } }));
        let (ok, detail, numbers) = told(&seen, "tokens");
        assert_eq!(ok, Some(false), "by the outliers alone");
        assert!(detail.contains("the first that is not is number 5"), "{detail}");
        assert!(detail.ends_with("mean distance 0.0001 (at most 0.02), far off 3 (at most 2)"));
        assert_eq!(numbers["outliers"], json!({ "value": 3, "limit": 2 }));

        // Bit by bit no token may be another one, however near.
        seen.tier = Tier::Exact;
        let (ok, detail, numbers) = told(&seen, "tokens");
        assert_eq!((ok, detail.contains("at most")), (Some(false), false), "{detail}");
        assert_eq!(numbers, json!({ "others": { "value": 3, "limit": 0 } }));
        assert_eq!(told(&seen, "root").2, json!({}));
    }

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
