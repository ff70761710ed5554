//! Referee games between nodes, on the chain's own rules: whoever computed what the model gives wins, whoever is silent loses.
#![cfg(feature = "engine")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{CHAIN_ID, Node, XPL, genesis};
use gpu_node::chain::{self, Health, Service, Serving};
use gpu_node::client::{Client, TxOptions, TxOutcome, any};
use gpu_node::engine::candle::{Candle, load_referee};
use gpu_node::engine::{EngineHandle, tiny};
use gpu_node::game::{self, Defender, GameError, Progress};
use gpu_node::jury::Judge;
use gpu_node::metrics::Metrics;
use gpu_node::outbox::Outbox;
use gpu_node::receipt::ReceiptKey;
use gpu_node::wallet::Wallet;
use plasma_modules::{Amount, attestation, market};
use plasma_proto::plasma::attestation::v1::{Finding, Game, GameReason, GameState, MsgSetReferee};
use plasma_proto::plasma::market::v1::{
    Ask, Hardware, JobState, Manifest, ModelFile, MsgPublishModel, MsgPublishModelResponse,
    MsgRegisterProvider, MsgSubmitJob, MsgSubmitJobResponse, Sampling,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

const REQUESTER: u8 = 1;
const PUBLISHER: u8 = 2;
const PROVIDER: u8 = 3;
const CHALLENGER: u8 = 4;
const BOND_UXPL: u128 = 2_000 * XPL;
const STAKE: Amount = Amount::new(20 * XPL);
const PATIENCE: Duration = Duration::from_secs(120);

fn wallet(seed: u8) -> Wallet {
    Wallet::from_secret(&[seed; 32]).unwrap()
}

fn reporter(seed: u8) -> Wallet {
    wallet(seed + 100)
}

fn receipt_key(seed: u8) -> ReceiptKey {
    ReceiptKey::new(&Zeroizing::new([seed + 50; 32]), CHAIN_ID)
}

fn model(seed: u64) -> Candle {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), seed).unwrap();
    load_referee(folder.path(), usize::MAX).unwrap()
}

fn judge(seed: u64) -> Judge {
    Arc::new(Mutex::new(model(seed)))
}

/// A chain that can recompute a model, which one operator serves.
struct World {
    node: Node,
    client: Client,
    model_id: [u8; 32],
}

impl World {
    async fn new(defend_blocks: u64) -> Self {
        let accounts: Vec<_> = [REQUESTER, PUBLISHER, PROVIDER, CHALLENGER]
            .into_iter()
            .flat_map(|seed| [wallet(seed).address(), reporter(seed).address()])
            .map(|address| (address, 10_000 * XPL))
            .collect();
        let mut genesis = genesis(&accounts);
        let params = genesis.attestation.as_mut().unwrap().params.as_mut().unwrap();
        let games = params.games.as_mut().unwrap();
        (games.defend_blocks, games.defend_s) = (defend_blocks, 0);
        (games.round_blocks, games.round_s) = (800, 0);
        (games.prove_blocks, games.prove_s) = (800, 0);
        (games.rest_blocks, games.rest_s) = (5, 0);
        let market = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
        // A claim waits until it is challenged.
        (market.dispute_window_blocks, market.dispute_window_s) = (2_000, 0);
        let node = Node::start(&genesis).await;
        let client = Client::connect(&node.url).await.unwrap();
        let mut world = Self { node, client, model_id: [0; 32] };
        world.publish().await;
        world.register().await;
        world
    }

    async fn send(&self, from: u8, msg: prost_types::Any) -> TxOutcome {
        self.client.send(&wallet(from), vec![msg], &TxOptions::default()).await.unwrap()
    }

    async fn publish(&mut self) {
        let manifest = Manifest {
            name: "tiny".into(),
            architecture: "llama".into(),
            dtype: "f32".into(),
            tokenizer: "bytes".into(),
            licence: "Apache-2.0".into(),
            base_model: vec![],
            context_tokens: tiny::CONTEXT_TOKENS,
            template_tokens_max: 64,
            files: vec![ModelFile {
                path: "model.safetensors".into(),
                sha256: vec![5; 32],
                size_bytes: 1,
            }],
        };
        let publisher = wallet(PUBLISHER).address().text();
        let publish = MsgPublishModel {
            publisher: publisher.clone(),
            manifest: Some(manifest),
            royalty_bps: 0,
        };
        let published: MsgPublishModelResponse =
            self.send(PUBLISHER, any(&publish)).await.response(0).unwrap();
        self.model_id = published.model_id.try_into().unwrap();
        let own = game::described(&model(tiny::SEED)).unwrap();
        let set = MsgSetReferee {
            publisher,
            model_id: self.model_id.to_vec(),
            shape: own.shape,
            weights_root: own.weights_root.clone(),
            eos_tokens: own.eos_tokens.clone(),
        };
        self.send(PUBLISHER, any(&set)).await;
        let known = game::known(&self.client, &self.model_id).await.unwrap();
        game::agrees(known.as_ref(), &own).unwrap();
        let other = game::described(&model(tiny::SEED + 1)).unwrap();
        assert!(game::agrees(known.as_ref(), &other).is_err());
    }

    async fn register(&self) {
        let operator = wallet(PROVIDER).address();
        let register = MsgRegisterProvider {
            operator: operator.text(),
            receipt_key: receipt_key(PROVIDER).public().to_vec(),
            receipt_key_proof: receipt_key(PROVIDER).prove(operator),
            endpoint: "http://127.0.0.1:1".into(),
            tls_key_hash: vec![],
            hardware: Some(Hardware {
                device: "cpu".into(),
                backend: "cpu".into(),
                cores: 2,
                ..Hardware::default()
            }),
            region: String::new(),
            bond_uxpl: BOND_UXPL.to_string(),
            asks: vec![Ask {
                model_id: self.model_id.to_vec(),
                fresh_uxpl_per_mtok: 1_000_000,
                cached_uxpl_per_mtok: 100_000,
                output_uxpl_per_mtok: 4_000_000,
                slots: 2,
            }],
        };
        self.send(PROVIDER, any(&register)).await;
    }

    /// A node that writes with one model and, if it defends its claims, does so with another.
    fn work(&self, home: &Path, writes: Candle, defends: Option<Judge>) -> Working {
        let engine = EngineHandle::spawn(Box::new(writes)).unwrap();
        let serving = Serving { engine, name: "tiny".into(), slots: 2 };
        let service = Arc::new(Service {
            client: self.client.clone(),
            operator: wallet(PROVIDER).address(),
            key: receipt_key(PROVIDER),
            reporter: reporter(PROVIDER),
            models: BTreeMap::from([(self.model_id, serving)]),
            outbox: Outbox::open(&home.join("outbox")).unwrap(),
            metrics: Arc::new(Metrics::new()),
            sending: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            health: Arc::new(Health::default()),
        });
        let metrics = Arc::clone(&service.metrics);
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(chain::watch(Arc::clone(&service), stopped.clone())),
            tokio::spawn(chain::carry(Arc::clone(&service), stopped.clone())),
        ];
        if let Some(judge) = defends {
            let models = BTreeMap::from([(self.model_id, judge)]);
            tasks.push(tokio::spawn(game::serve(Defender { service, models }, stopped)));
        }
        Working { metrics, stop, tasks }
    }

    /// A claim for a greedy job.
    async fn claim(&self) -> u64 {
        let submit = MsgSubmitJob {
            requester: wallet(REQUESTER).address().text(),
            model_id: self.model_id.to_vec(),
            input: "What?".into(),
            max_tokens: 8,
            sampling: Some(Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 1 }),
            max_fee_uxpl: XPL.to_string(),
            deadline_unix_s: 0,
            stop: vec![],
            referral: String::new(),
        };
        let outcome = self.send(REQUESTER, any(&submit)).await;
        let id = outcome.response::<MsgSubmitJobResponse>(0).unwrap().job_id;
        self.node.job_when(id, |job| job.state() == JobState::Delivered).await;
        id
    }

    async fn challenge(&self, id: u64, seed: u64, anyway: bool) -> Result<Game, GameError> {
        let tell = Arc::new(|_: Progress| ());
        let (wallet, judge) = (wallet(CHALLENGER), judge(seed));
        let played = game::challenge(&self.client, &wallet, &judge, id, STAKE, anyway, tell);
        tokio::time::timeout(PATIENCE, played).await.expect("a game ends")
    }

    fn bond(&self) -> u128 {
        let provider = market::provider(&self.node.state().store, wallet(PROVIDER).address());
        provider.unwrap().bond_uxpl.parse().unwrap()
    }
}

struct Working {
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Working {
    async fn stop(self) {
        self.stop.send(true).unwrap();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// A claim written with one model and defended with another, challenged with a third.
async fn story(writes: u64, defends: Option<u64>, challenges: u64) -> (World, u64, Game) {
    let world = World::new(if defends.is_some() { 800 } else { 3 }).await;
    let home = tempfile::tempdir().unwrap();
    let provider = world.work(home.path(), model(writes), defends.map(judge));
    let id = world.claim().await;
    let game = world.challenge(id, challenges, true).await.unwrap();
    let told = provider.metrics.text();
    let is_counted = told.contains("gpu_node_game_moves_total{what=\"made\"}");
    assert_eq!(is_counted, defends.is_some(), "{told}");
    provider.stop().await;
    (world, id, game)
}

fn convicted(world: &World, game: &Game, finding: Finding, reason: GameReason) {
    assert_eq!((game.finding(), game.reason()), (finding, reason), "{game:?}");
    let slashed: u128 = game.slashed_uxpl.parse().unwrap();
    assert!(slashed > 0);
    assert_eq!(world.bond(), BOND_UXPL - slashed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_provider_wins_against_a_challenger_with_another_model() {
    let (world, id, game) = story(tiny::SEED, Some(tiny::SEED), tiny::SEED + 1).await;
    assert_eq!((game.state(), game.reason()), (GameState::Rest, GameReason::ChallengerTile));
    assert_eq!(world.bond(), BOND_UXPL);
    // By the right model there is nothing to challenge.
    let right = world.challenge(id, tiny::SEED, false).await;
    assert!(matches!(right, Err(GameError::Right)), "{right:?}");
    let state = world.node.state();
    let stands = attestation::game::game(&state.store, id).unwrap();
    assert_eq!(stands.challenges_lost, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_with_other_weights_is_convicted_by_one_tile() {
    let cheap = tiny::SEED + 1;
    let (world, _, game) = story(cheap, Some(cheap), tiny::SEED).await;
    convicted(&world, &game, Finding::Convicted, GameReason::Tile);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_with_other_tokens_is_convicted_by_its_own_trace() {
    let (world, _, game) = story(tiny::SEED + 1, Some(tiny::SEED), tiny::SEED).await;
    convicted(&world, &game, Finding::Convicted, GameReason::Token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_silent_loses() {
    let (world, _, game) = story(tiny::SEED, None, tiny::SEED).await;
    convicted(&world, &game, Finding::Hidden, GameReason::Silent);
}
