//! Referee games, played by themselves: a provider defends its claims, a challenger shows that one is false.
//!
//! The chain's state alone says whose move it is, and the trace of a claim can be computed again at any time, so that
//! nothing has to be remembered. A claim is traced when it is challenged, and not before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use plasma_modules::Amount;
use plasma_modules::attestation::referee::{self, KERNEL_ID, Slice, Tile};
use plasma_modules::attestation::{game, tokens_hash};
use plasma_modules::types::{Hash, hash32};
use plasma_proto::cosmos::base::query::v1beta1::PageRequest;
use plasma_proto::plasma::attestation::v1::{
    Game, GameState, MsgChallenge, MsgDefend, MsgDescend, MsgProve, MsgShowToken, Opening,
    QueryGameRequest, QueryGameResponse, QueryGamesRequest, QueryGamesResponse,
    QueryReceiptRequest, QueryReceiptResponse, QueryRefereeRequest, QueryRefereeResponse,
    RefereeModel,
};
use plasma_proto::plasma::market::v1::{QueryJobRequest, QueryJobResponse};
use prost_types::Any;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::chain::Service;
use crate::client::{Client, ClientError, TxOptions, any, block_or_pause, next_turn};
use crate::engine::candle::Candle;
use crate::engine::referee::{Referee, Traced};
use crate::engine::{Engine as _, EngineError};
use crate::jury::Judge;
use crate::schedule::ModelId;
use crate::wallet::Wallet;

/// Pages read of games, the newest first.
const PAGES_MAX: usize = 10;
/// How long a transaction may take into a block before games are looked at anew.
const TX_TIMEOUT: Duration = Duration::from_secs(30);
/// Traces that are kept for games under way; others are computed again when it is their turn.
const TRACES_MAX: usize = 4;

/// Why a game cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum GameError {
    /// The chain does not answer, or refuses.
    #[error(transparent)]
    Chain(#[from] ClientError),
    /// The model cannot compute it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What is needed is not there, or is not what it must be.
    #[error("{0}")]
    Unfit(String),
    /// By this machine's computation the claim is right.
    #[error(
        "the claim is what the model gives: whoever challenges it loses the bond (--anyway does it all the same)"
    )]
    Right,
}

fn unfit(text: impl Into<String>) -> GameError {
    GameError::Unfit(text.into())
}

/// A move, before it is known who carries it.
enum Move {
    Defend(Hash),
    Descend(Vec<u32>, Vec<Hash>),
    Prove(Vec<u32>, Vec<referee::Opening>, Vec<referee::Opening>, Vec<u32>),
    Show(u32, referee::Opening),
}

/// A claim, computed by the model that it names.
pub struct Claimed {
    traced: Traced,
    n_prompt: usize,
}

fn names(hashes: Vec<Hash>) -> Vec<Vec<u8>> {
    hashes.into_iter().map(Vec::from).collect()
}

fn opened(opening: referee::Opening) -> Opening {
    Opening { values: opening.values, path: names(opening.path) }
}

impl Claimed {
    /// Fetches a claim and computes its trace. `progress` is told how many of its positions are done, and how many there
    /// are.
    ///
    /// # Errors
    /// If the claim is gone, was made with another kernel, or with another prompt than the model makes of the job's text:
    /// of that the chain does not judge.
    pub async fn fetch(
        client: &Client,
        model: &Judge,
        job_id: u64,
        progress: impl Fn(usize, usize) + Send + 'static,
    ) -> Result<Self, GameError> {
        let work: QueryJobResponse =
            client.query("/plasma.market.v1.Query/Job", &QueryJobRequest { job_id }).await?;
        let accepted: QueryReceiptResponse = client
            .query("/plasma.attestation.v1.Query/Receipt", &QueryReceiptRequest { job_id })
            .await?;
        let receipt = accepted.receipt.and_then(|accepted| accepted.receipt);
        let receipt = receipt.ok_or_else(|| unfit("the receipt is gone"))?;
        let payload = work.payload.ok_or_else(|| unfit("prompt and answer are gone"))?;
        let output = payload.output.ok_or_else(|| unfit("the answer is gone"))?.token_ids;
        if receipt.kernel_id != KERNEL_ID {
            return Err(unfit(format!(
                "the claim was made with kernel {}, games are about {KERNEL_ID}: a jury judges it",
                receipt.kernel_id
            )));
        }
        let model = Arc::clone(model);
        let traced = tokio::task::spawn_blocking(move || {
            let (referee, prompt) = {
                let model = model.lock().unwrap_or_else(PoisonError::into_inner);
                (refereed(&model)?, model.tokenizer().prompt(&payload.input)?)
            };
            if receipt.prompt_tokens_hash != tokens_hash(&prompt) {
                return Err(unfit(
                    "the receipt's prompt is another one than the model makes of the job's text: a jury judges that",
                ));
            }
            let positions = prompt.len() + output.len().saturating_sub(1);
            let traced = Traced::new(referee, &prompt, &output, &|done| progress(done, positions))?;
            Ok(Self { traced, n_prompt: prompt.len() })
        });
        traced.await.map_err(|_| unfit("computing the trace broke off"))?
    }

    /// The root of the trace.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.traced.root()
    }

    /// The first output token, from 0, that the model does not give.
    #[must_use]
    pub fn first_wrong(&self) -> Option<u32> {
        self.traced.first_wrong()
    }

    /// What a player is to do now, if anything.
    fn next(&mut self, game: &Game, is_challenger: bool) -> Result<Option<Move>, GameError> {
        let trace = *self.traced.trace();
        let node = || {
            game::node_at(&trace, &game.path)
                .ok_or_else(|| unfit("the game is at no node of the trace"))
        };
        match game.state() {
            GameState::Defend if !is_challenger => Ok(Some(Move::Defend(self.root()))),
            GameState::Descend => {
                let given = match is_challenger {
                    true => &game.challenger_children,
                    false => &game.provider_children,
                };
                if !given.is_empty() {
                    return Ok(None);
                }
                let children = self.traced.descend(&node()?)?;
                Ok(Some(Move::Descend(game.path.clone(), children)))
            }
            GameState::Prove => {
                let tile =
                    trace.tile_of(&node()?).ok_or_else(|| unfit("the game is at no tile"))?;
                let reads = trace.reads_token(tile) && (tile.token as usize) < self.n_prompt;
                let prompt = if reads { &self.traced.tokens()[..self.n_prompt] } else { &[] };
                let prompt = prompt.to_vec();
                let (inputs, rows) = self.traced.prove(tile)?;
                Ok(Some(Move::Prove(game.path.clone(), inputs, rows, prompt)))
            }
            GameState::Token if is_challenger => {
                let Some(index) = self.first_wrong() else { return Ok(None) };
                let tile = trace.choice(index).ok_or_else(|| unfit("there is no such token"))?;
                let Tile { token, operator, index: first } = tile;
                let slice = Slice { token, operator, first, tiles: 1, skip: 0, len: 2 };
                Ok(Some(Move::Show(index, self.traced.open(&slice)?)))
            }
            _ => Ok(None),
        }
    }
}

/// The referee's kernel of a model.
fn refereed(model: &Candle) -> Result<Arc<Referee>, GameError> {
    let found = model.model().referee().map(Arc::clone);
    found.ok_or_else(|| unfit("the model was not loaded with the referee's kernel"))
}

/// What the chain knows of a model to recompute it, if its publisher said it.
///
/// # Errors
/// If the chain does not answer.
pub async fn known(client: &Client, model_id: &[u8]) -> Result<Option<RefereeModel>, ClientError> {
    let request = QueryRefereeRequest { model_id: hex::encode(model_id) };
    let found: Option<QueryRefereeResponse> =
        client.find("/plasma.attestation.v1.Query/Referee", &request).await?;
    Ok(found.and_then(|found| found.referee))
}

/// What a publisher tells the chain of a model, as this machine has it: shape, root of the weights, and the tokens
/// that end outputs. Its model id and height are those of nothing.
///
/// # Errors
/// If the model was not loaded with the referee's kernel.
pub fn described(model: &Candle) -> Result<RefereeModel, GameError> {
    let referee = refereed(model)?;
    Ok(RefereeModel {
        shape: Some(game::shape_named(referee.shape())),
        weights_root: referee.weights_root().to_vec(),
        eos_tokens: model.tokenizer().eos().to_vec(),
        ..RefereeModel::default()
    })
}

/// Whether the chain would recompute a model as this machine does. In words, if not.
///
/// # Errors
/// What differs, or that nothing was said.
pub fn agrees(known: Option<&RefereeModel>, own: &RefereeModel) -> Result<(), String> {
    let known = known.ok_or("the model's publisher has not said how it is recomputed")?;
    if known.shape != own.shape {
        return Err("the chain knows another shape of the model than this machine".to_owned());
    }
    if known.weights_root != own.weights_root {
        return Err(
            "the chain knows another root of the model's weights than this machine's".to_owned()
        );
    }
    if known.eos_tokens != own.eos_tokens {
        return Err("the chain knows other tokens that end an output than this machine".to_owned());
    }
    Ok(())
}

/// A game, if there is one.
///
/// # Errors
/// If the chain does not answer.
pub async fn game(client: &Client, job_id: u64) -> Result<Option<Game>, ClientError> {
    let request = QueryGameRequest { id: job_id };
    let found: Option<QueryGameResponse> =
        client.find("/plasma.attestation.v1.Query/Game", &request).await?;
    Ok(found.and_then(|found| found.game))
}

/// What a challenger is told meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many positions of so many are computed.
    Traced(usize, usize),
    /// The bond is down.
    Challenged,
    /// The game has come to this phase, so many descents deep.
    Phase(GameState, usize),
    /// What was sent is in a block.
    Moved,
}

/// Challenges a claim and plays to the end: the game as it is then. The challenger has lost if it is at REST, or ended
/// as clean.
///
/// # Errors
/// If the claim or the model is not fit for a game; [`GameError::Right`] if the model gives what the claim says, unless
/// `anyway`; what the chain says.
pub async fn challenge(
    client: &Client,
    wallet: &Wallet,
    model: &Judge,
    job_id: u64,
    bond: Amount,
    anyway: bool,
    tell: Arc<dyn Fn(Progress) + Send + Sync>,
) -> Result<Game, GameError> {
    let traced = Arc::clone(&tell);
    let mut own =
        Claimed::fetch(client, model, job_id, move |done, of| traced(Progress::Traced(done, of)))
            .await?;
    if !anyway && own.first_wrong().is_none() {
        return Err(GameError::Right);
    }
    let msg = MsgChallenge {
        challenger: wallet.address().text(),
        job_id,
        trace_root: own.root().to_vec(),
        bond_uxpl: bond.text(),
    };
    let options = TxOptions { timeout: TX_TIMEOUT, ..TxOptions::default() };
    client.send(wallet, vec![any(&msg)], &options).await?;
    tell(Progress::Challenged);
    follow(client, wallet, &mut own, job_id, &*tell).await
}

/// Plays a challenge that is under way to its end.
async fn follow(
    client: &Client,
    wallet: &Wallet,
    own: &mut Claimed,
    job_id: u64,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Game, GameError> {
    let options = TxOptions { timeout: TX_TIMEOUT, ..TxOptions::default() };
    let mut blocks = client.subscribe_blocks();
    let mut told = None;
    loop {
        let stands = game(client, job_id).await?.ok_or_else(|| unfit("the game is gone"))?;
        let is_own = stands.challenger == wallet.address().text();
        if !is_own || matches!(stands.state(), GameState::Rest | GameState::Ended) {
            return Ok(stands);
        }
        let at = (stands.state(), stands.path.len());
        if told != Some(at) {
            told = Some(at);
            tell(Progress::Phase(at.0, at.1));
        }
        if let Some(next) = own.next(&stands, true)? {
            match client.send(wallet, vec![by_challenger(wallet, job_id, next)], &options).await {
                Ok(_) => tell(Progress::Moved),
                // The other side may have been first, or the chain away: the game says what is to be done now.
                Err(error) => tracing::debug!(%error, "a move was not taken; looking again"),
            }
            continue;
        }
        block_or_pause(&mut blocks).await;
    }
}

fn by_challenger(wallet: &Wallet, job_id: u64, next: Move) -> Any {
    let own = wallet.address().text();
    match next {
        Move::Defend(root) => any(&defence(own, job_id, root)),
        Move::Descend(path, children) => any(&descent(own, job_id, path, children)),
        Move::Prove(path, inputs, rows, prompt) => {
            any(&proof(own, job_id, path, inputs, rows, prompt))
        }
        Move::Show(index, choice) => {
            any(&MsgShowToken { challenger: own, job_id, index, choice: Some(opened(choice)) })
        }
    }
}

fn defence(carrier: String, job_id: u64, root: Hash) -> MsgDefend {
    MsgDefend { carrier, job_id, trace_root: root.to_vec(), signature: Vec::new() }
}

fn descent(sender: String, job_id: u64, path: Vec<u32>, children: Vec<Hash>) -> MsgDescend {
    MsgDescend { sender, job_id, path, children: names(children), signature: Vec::new() }
}

fn proof(
    sender: String,
    job_id: u64,
    path: Vec<u32>,
    inputs: Vec<referee::Opening>,
    rows: Vec<referee::Opening>,
    prompt_tokens: Vec<u32>,
) -> MsgProve {
    let [inputs, rows] = [inputs, rows].map(|all| all.into_iter().map(opened).collect());
    MsgProve { sender, job_id, path, inputs, rows, prompt_tokens, signature: Vec::new() }
}

/// A provider that defends its claims.
pub struct Defender {
    /// The node.
    pub service: Arc<Service>,
    /// What it serves, as the jury has it: those that the referee's kernel computes are defended.
    pub models: BTreeMap<ModelId, Judge>,
}

/// Answers every game about this operator's claims until `stop` says so.
pub async fn serve(defender: Defender, mut stop: watch::Receiver<bool>) {
    let mut blocks = defender.service.client.subscribe_blocks();
    let mut table = Table {
        defender,
        claims: BTreeMap::new(),
        work: None,
        told: BTreeSet::new(),
        open: BTreeSet::new(),
    };
    while next_turn(&mut blocks, &mut stop).await {
        tokio::select! {
            looked = table.look() => if let Err(error) = looked {
                tracing::debug!(%error, "games cannot be told; trying on");
            },
            _ = stop.changed() => break,
        }
    }
    if let Some((_, task)) = table.work {
        task.abort();
    }
}

/// What is known between blocks; all of it can be lost.
struct Table {
    defender: Defender,
    /// Traces of games under way.
    claims: BTreeMap<u64, Claimed>,
    /// The trace that is computed now.
    work: Option<(u64, JoinHandle<Result<Claimed, GameError>>)>,
    /// Games that were complained of.
    told: BTreeSet<u64>,
    /// Games that were under way at the last look.
    open: BTreeSet<u64>,
}

impl Table {
    async fn look(&mut self) -> Result<(), ClientError> {
        self.defender.service.synced().await?;
        let games = self.defender.games().await?;
        let open: BTreeSet<u64> = games.iter().map(|game| game.id).collect();
        self.defender.service.metrics.games_open.set(i64::try_from(open.len()).unwrap_or(i64::MAX));
        for id in open.difference(&self.open) {
            tracing::warn!(job_id = id, "a claim is challenged");
        }
        self.open.clone_from(&open);
        self.claims.retain(|id, _| open.contains(id));
        self.told.retain(|id| open.contains(id));
        if self.work.as_ref().is_some_and(|(_, task)| task.is_finished())
            && let Some((id, task)) = self.work.take()
        {
            match task.await {
                Ok(Ok(claimed)) => {
                    while self.claims.len() >= TRACES_MAX {
                        self.claims.pop_first();
                    }
                    self.claims.insert(id, claimed);
                }
                Ok(Err(why)) => self.complain(id, &why),
                Err(_) => self.complain(id, &unfit("computing the trace broke off")),
            }
        }
        for game in &games {
            self.answer(game).await;
        }
        Ok(())
    }

    /// Said once of a game.
    fn complain(&mut self, id: u64, why: &GameError) {
        if self.told.insert(id) {
            self.defender.service.metrics.game_move("not_computed");
            tracing::error!(job_id = id, %why, "a challenged claim cannot be defended; trying on");
        }
    }

    async fn answer(&mut self, game: &Game) {
        let waits = match game.state() {
            GameState::Defend | GameState::Prove => true,
            GameState::Descend => game.provider_children.is_empty(),
            _ => false,
        };
        if !waits {
            return;
        }
        let Some(claimed) = self.claims.get_mut(&game.id) else {
            self.trace(game);
            return;
        };
        let next = tokio::task::block_in_place(|| claimed.next(game, false));
        match next {
            Ok(Some(next)) => self.send(game, next).await,
            Ok(None) => {}
            Err(why) => self.complain(game.id, &why),
        }
    }

    /// Begins to compute a claim's trace, if no other is computed.
    fn trace(&mut self, game: &Game) {
        if self.work.is_some() {
            return;
        }
        let model = hash32(&game.model_id).and_then(|id| self.defender.models.get(&id).cloned());
        let Some(model) = model else {
            return self.complain(game.id, &unfit("this node does not have the model"));
        };
        let (client, id) = (self.defender.service.client.clone(), game.id);
        let task =
            tokio::spawn(async move { Claimed::fetch(&client, &model, id, |_, _| ()).await });
        self.work = Some((id, task));
    }

    async fn send(&self, game: &Game, next: Move) {
        let service = &self.defender.service;
        let (key, carrier) = (&service.key, service.reporter.address().text());
        let msg = match next {
            Move::Defend(root) => any(&key.defend(defence(carrier, game.id, root))),
            Move::Descend(path, children) => {
                any(&key.descend(descent(carrier, game.id, path, children)))
            }
            Move::Prove(path, inputs, rows, prompt) => {
                any(&key.show_tile(proof(carrier, game.id, path, inputs, rows, prompt)))
            }
            Move::Show(..) => return,
        };
        let (state, depth) = (game.state().as_str_name(), game.path.len());
        match service.transact(vec![msg]).await {
            Ok(_) => {
                service.metrics.game_move("made");
                tracing::info!(job_id = game.id, state, depth, "a move in a game is made");
            }
            Err(error) => {
                service.metrics.game_move("refused");
                tracing::warn!(job_id = game.id, state, depth, %error, "a move in a game was not taken; trying again");
            }
        }
    }
}

impl Defender {
    /// Claims with the referee's kernel are judged by what the publisher told the chain: it must be what this machine has.
    ///
    /// # Errors
    /// If it is not, or the chain does not answer.
    pub async fn check(&self) -> Result<(), GameError> {
        for (model_id, judge) in &self.models {
            let own = {
                let model = judge.lock().unwrap_or_else(PoisonError::into_inner);
                match model.model().referee() {
                    Some(_) => described(&model)?,
                    None => continue,
                }
            };
            let model = hex::encode(model_id);
            match known(&self.service.client, model_id).await? {
                None => tracing::info!(
                    model,
                    "its publisher has not said how it is recomputed: no claim of it can be challenged"
                ),
                Some(found) => agrees(Some(&found), &own).map_err(|why| {
                    unfit(format!(
                        "model {model}: {why}. Honest claims would be lost: serve it with kernel = \"candle\""
                    ))
                })?,
            }
        }
        Ok(())
    }

    /// Games under way about the operator's claims, the newest first.
    async fn games(&self) -> Result<Vec<Game>, ClientError> {
        let operator = self.service.operator.text();
        let ask = |page| QueryGamesRequest {
            operator: operator.clone(),
            pagination: Some(PageRequest { reverse: true, ..page }),
            open_only: true,
            ..QueryGamesRequest::default()
        };
        let take = |page: QueryGamesResponse| (page.games, page.pagination);
        let path = "/plasma.attestation.v1.Query/Games";
        self.service.client.listed(path, PAGES_MAX, ask, take).await
    }
}
