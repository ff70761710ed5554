use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use plasma_proto::plasma::attestation::v1::{
    ModelProfile, MsgJoinPool, MsgLeavePool, QueryProfileRequest, QueryProfileResponse,
};
use serde_json::json;

use super::{Home, Output, model, provider, usage};
use crate::client::{Client, ClientError, TxOptions, any};
use crate::jury::{duties, is_member};

#[derive(Debug, Subcommand)]
pub(super) enum JuryCommand {
    /// Puts the operator into a model's pool: it confirms the profile that stands, and takes seats from then on
    Join {
        #[command(flatten)]
        pool: Pool,
        /// Confirms the profile that is proposed instead, by its hash (see `xpl audit profile`): seats are taken by it
        /// once it stands
        #[arg(long, value_name = "HASH")]
        proposal: Option<String>,
    },
    /// Takes the operator out of a model's pool; seats that it has stay its duty
    Leave(Pool),
    /// The pools of this node's models, and what audits ask of it
    Status {
        /// How it is written
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub(super) struct Pool {
    /// The model's id
    #[arg(value_name = "MODEL_ID")]
    model: String,
    #[command(flatten)]
    operator: provider::Operator,
    /// How long to wait for the transaction's block, seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

async fn profile(
    client: &Client,
    model: &str,
) -> Result<Option<QueryProfileResponse>, ClientError> {
    let request = QueryProfileRequest { model_id: model.to_owned() };
    client.find("/plasma.attestation.v1.Query/Profile", &request).await
}

/// The profile of a model, if it has one, and whether the operator is in its pool.
///
/// # Errors
/// If the chain does not answer.
pub(super) async fn standing(
    client: &Client,
    model: &str,
    operator: &str,
) -> Result<Option<(QueryProfileResponse, bool)>, ClientError> {
    let Some(found) = profile(client, model).await? else { return Ok(None) };
    let is_in = is_member(client, model, operator).await?;
    Ok(Some((found, is_in)))
}

pub(super) async fn run(home: &Home, command: JuryCommand) -> anyhow::Result<()> {
    match command {
        JuryCommand::Join { pool, proposal: None } => change(home, pool, Change::Join).await,
        JuryCommand::Join { pool, proposal: Some(hash) } => {
            change(home, pool, Change::Confirm(hash)).await
        }
        JuryCommand::Leave(pool) => change(home, pool, Change::Leave).await,
        JuryCommand::Status { output } => status(home, output).await,
    }
}

/// What an operator does with a model's pools.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// Into that of the profile that stands.
    Join,
    /// Into that of the proposal, which has this hash.
    Confirm(String),
    /// Out of all.
    Leave,
}

async fn change(home: &Home, pool: Pool, change: Change) -> anyhow::Result<()> {
    let Pool { model, operator, timeout, output } = pool;
    let model_id = model::parse_id(&model)?;
    let (id, model) = (model_id.to_vec(), hex::encode(model_id));
    let config = &home.config;
    let has = config.models.iter().any(|served| served.id == model_id)
        || config.jury.models.contains(&model_id);
    if change != Change::Leave && !has {
        bail!(usage(format!(
            "this node neither serves nor judges {model}: add it to models of [jury] in gpu-node.toml first"
        )));
    }
    let client = Client::connect(&config.node).await?;
    let wallet = operator.wallet()?;
    let operator = wallet.address().text();
    let msg = if change == Change::Leave {
        any(&MsgLeavePool { operator: operator.clone(), model_id: id })
    } else {
        let found = profile(&client, &model).await?;
        let stands: ModelProfile = found
            .and_then(|found| found.profile)
            .context("the model has no profile: its publisher sets one, and nothing of it is audited until then")?;
        let profile_hash = match &change {
            Change::Confirm(hash) => {
                let proposal = stands.proposal.context("no profile is proposed for the model")?;
                let proposed = hex::encode(&proposal.profile_hash);
                ensure!(
                    proposed.eq_ignore_ascii_case(hash),
                    "the profile that is proposed is {proposed}: look at it by xpl audit profile {model}"
                );
                proposal.profile_hash
            }
            _ => stands.profile_hash,
        };
        any(&MsgJoinPool { operator: operator.clone(), model_id: id, profile_hash })
    };
    let options = TxOptions { timeout: Duration::from_secs(timeout), ..TxOptions::default() };
    let outcome = client.send(&wallet, vec![msg], &options).await?;
    let (done, what) = match change {
        Change::Join => ("joined", "joined the pool of"),
        Change::Confirm(_) => ("confirmed", "stands behind the profile that is proposed for"),
        Change::Leave => ("left", "left the pool of"),
    };
    match output {
        Output::Json => println!(
            "{}",
            json!({ "operator": operator, "model_id": model, "pool": done,
                "height": outcome.height, "hash": outcome.hash })
        ),
        Output::Text => println!(
            "{operator} {what} {model} in block {} (transaction {})",
            outcome.height, outcome.hash
        ),
    }
    Ok(())
}

async fn status(home: &Home, output: Output) -> anyhow::Result<()> {
    let config = &home.config;
    let client = Client::connect(&config.node).await?;
    let operator = config.operator(&home.path)?.text();
    let mut pools = Vec::new();
    let served = config.models.iter().map(|served| served.id);
    for id in served.chain(config.jury.models.iter().copied()) {
        let model = hex::encode(id);
        let found = standing(&client, &model, &operator).await?;
        pools.push((model, found));
    }
    let owed = duties(&client, &operator).await?;
    if output == Output::Json {
        let pools: Vec<_> = pools
            .iter()
            .map(|(model, found)| {
                let profile = found.as_ref().and_then(|(found, _)| found.profile.as_ref());
                json!({
                    "model_id": model,
                    "profile_hash": profile.map(|profile| hex::encode(&profile.profile_hash)),
                    "members": profile.map_or(0, |profile| profile.members),
                    "is_verified": found.as_ref().is_some_and(|(found, _)| found.is_verified),
                    "is_member": found.as_ref().is_some_and(|(_, is_in)| *is_in),
                    "proposed_hash": profile
                        .and_then(|profile| profile.proposal.as_ref())
                        .map(|proposal| hex::encode(&proposal.profile_hash)),
                })
            })
            .collect();
        let duties: Vec<_> = owed
            .iter()
            .map(|duty| {
                json!({
                    "kind": duty.kind().as_str_name(),
                    "audit_id": duty.audit.as_ref().map_or(0, |audit| audit.id),
                    "due_height": duty.due_height,
                    "due_s": duty.due_s,
                })
            })
            .collect();
        println!("{}", json!({ "operator": operator, "pools": pools, "duties": duties }));
        return Ok(());
    }
    println!("operator  {operator}");
    for (model, found) in pools {
        match found {
            None => println!("pool      {model}  no profile: nothing of it is audited"),
            Some((found, is_in)) => {
                let stands = found.profile.unwrap_or_default();
                println!(
                    "pool      {model}  {}, {} operators, {}",
                    if is_in { "joined" } else { "not joined: gpu-node jury join" },
                    stands.members,
                    if found.is_verified { "verified" } else { "too few to verify claims" }
                );
                if let Some(proposal) = stands.proposal {
                    println!(
                        "proposed  {model}  {} operators: xpl audit profile, then gpu-node jury join --proposal {}",
                        proposal.members,
                        hex::encode(proposal.profile_hash)
                    );
                }
            }
        }
    }
    for duty in &owed {
        println!(
            "duty      audit {}: {}, until block {} and time {}",
            duty.audit.as_ref().map_or(0, |audit| audit.id),
            match duty.kind() {
                plasma_proto::plasma::attestation::v1::DutyKind::Reveal => "show evidence",
                plasma_proto::plasma::attestation::v1::DutyKind::Commit => "judge",
                plasma_proto::plasma::attestation::v1::DutyKind::Verdict => "open the verdict",
                plasma_proto::plasma::attestation::v1::DutyKind::Unspecified => "unknown",
            },
            duty.due_height,
            duty.due_s
        );
    }
    if owed.is_empty() {
        println!("duty      none");
    }
    Ok(())
}
