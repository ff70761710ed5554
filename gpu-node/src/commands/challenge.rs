use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use candle_core::Device;
use clap::Args;
use plasma_modules::Amount;
use plasma_proto::plasma::attestation::v1::{
    Finding, GameState, MsgSetReferee, QueryParamsRequest, QueryParamsResponse,
};
use plasma_proto::plasma::market::v1::{QueryJobRequest, QueryJobResponse};
use serde_json::json;

use super::{Home, Output, keys, model, usage};
use crate::client::{Client, TxOptions, any};
use crate::config::Kernel;
use crate::engine::candle::Candle;
use crate::game::{self, Progress};
use crate::jury::Judge;
use crate::models;
use crate::schedule::ModelId;
use crate::wallet::Wallet;
use crate::words::{game_finding, game_phase, game_reason, xpl, xpl_text};

/// An account's key, used for this command only.
#[derive(Debug, Args)]
struct Account {
    /// Sealed key file of the account, as `xpl keys export --sealed` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File whose first line is the password of that key file; else it is asked for
    #[arg(long, value_name = "FILE")]
    key_password_file: Option<PathBuf>,
}

impl Account {
    fn wallet(&self) -> anyhow::Result<Wallet> {
        let password_file = self.key_password_file.as_deref();
        keys::open_wallet(&self.key, password_file, "account", "--key-password-file")
    }
}

#[derive(Debug, Args)]
pub(super) struct Challenge {
    /// The job whose claim is challenged
    job: u64,
    #[command(flatten)]
    account: Account,
    /// What is put down, uxpl [default: the least that the chain takes]
    #[arg(long, value_name = "UXPL")]
    bond_uxpl: Option<u64>,
    /// Even if this machine computes what the claim says
    #[arg(long)]
    anyway: bool,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Args)]
pub(super) struct SetReferee {
    /// The model's id
    #[arg(value_name = "MODEL_ID")]
    model: String,
    #[command(flatten)]
    account: Account,
    /// How long to wait for the transaction's block, seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

async fn load(home: &Home, id: ModelId) -> anyhow::Result<Candle> {
    let cache = model::cache(&home.path)?;
    let work = move || models::load_with(&cache, &id, &Device::Cpu, Kernel::Referee);
    Ok(tokio::task::spawn_blocking(work).await??)
}

/// Challenges a claim, and plays to the end.
pub(super) async fn run(home: &Home, args: Challenge) -> anyhow::Result<()> {
    let Challenge { job, account, bond_uxpl, anyway, output } = args;
    let client = Client::connect(&home.config.node).await?;
    let wallet = account.wallet()?;
    let found: QueryJobResponse =
        client.query("/plasma.market.v1.Query/Job", &QueryJobRequest { job_id: job }).await?;
    let id = found.job.unwrap_or_default().model_id;
    let id =
        ModelId::try_from(id.as_slice()).map_err(|_| anyhow::anyhow!("the job names no model"))?;
    let params: QueryParamsResponse =
        client.query("/plasma.attestation.v1.Query/Params", &QueryParamsRequest {}).await?;
    let least = params.params.and_then(|params| params.games).unwrap_or_default().bond_uxpl;
    let bond = Amount::from(bond_uxpl.unwrap_or(least));
    eprintln!("loading the model");
    let model = load(home, id).await?;
    let known = game::known(&client, &id).await?;
    game::agrees(known.as_ref(), &game::described(&model)?).map_err(usage)?;
    let is_live = std::io::stderr().is_terminal();
    let tell = move |progress| match progress {
        Progress::Traced(done, of) if is_live => eprint!("\rcomputed {done} of {of} positions"),
        Progress::Traced(done, of) if done == of => eprintln!("computed {of} positions"),
        Progress::Traced(..) => {}
        Progress::Challenged => eprintln!("\nchallenged: {} are at stake", xpl(bond)),
        Progress::Phase(state, depth) => eprintln!("{}, {depth} descents deep", game_phase(state)),
        Progress::Moved => eprintln!("moved"),
    };
    let model: Judge = Arc::new(Mutex::new(model));
    let game = game::challenge(&client, &wallet, &model, job, bond, anyway, Arc::new(tell)).await?;
    let reason = game_reason(game.reason());
    let won = matches!(game.finding(), Finding::Convicted | Finding::Hidden);
    match output {
        Output::Json => println!(
            "{}",
            json!({ "job_id": job, "won": won, "state": game.state().as_str_name(),
                "finding": game.finding().as_str_name(), "reason": game.reason().as_str_name(),
                "slashed_uxpl": game.slashed_uxpl })
        ),
        Output::Text => {
            let what = match game.state() {
                GameState::Ended => game_finding(game.finding()),
                state => game_phase(state),
            };
            println!("job {job}: {what} ({reason}); slashed {}", xpl_text(&game.slashed_uxpl));
        }
    }
    ensure!(won, "the challenge is lost: {reason}");
    Ok(())
}

/// Tells the chain how a model is recomputed.
pub(super) async fn set_referee(home: &Home, args: SetReferee) -> anyhow::Result<()> {
    let SetReferee { model, account, timeout, output } = args;
    let id = model::parse_id(&model)?;
    let client = Client::connect(&home.config.node).await?;
    if let Some(known) = game::known(&client, &id).await? {
        bail!("it was said at height {}, and stays", known.set_height);
    }
    let wallet = account.wallet()?;
    let own = game::described(&load(home, id).await?)?;
    let msg = MsgSetReferee {
        publisher: wallet.address().text(),
        model_id: id.to_vec(),
        shape: own.shape,
        weights_root: own.weights_root.clone(),
        eos_tokens: own.eos_tokens,
    };
    let options = TxOptions { timeout: Duration::from_secs(timeout), ..TxOptions::default() };
    let outcome = client.send(&wallet, vec![any(&msg)], &options).await;
    let outcome = outcome.context("the chain was not told")?;
    let root = hex::encode(own.weights_root);
    match output {
        Output::Json => println!(
            "{}",
            json!({ "model_id": hex::encode(id), "weights_root": root,
                "height": outcome.height, "hash": outcome.hash })
        ),
        Output::Text => println!(
            "the chain recomputes {} by the weights root {root}, said in block {} (transaction {})",
            hex::encode(id),
            outcome.height,
            outcome.hash
        ),
    }
    Ok(())
}
