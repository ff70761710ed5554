//! Referee games between nodes, on the chain's own rules: whoever computed what the model gives wins, whoever is silent loses.
#![cfg(feature = "engine")]

mod common;
#[path = "common/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::XPL;
use gpu_node::chain;
use gpu_node::client::any;
use gpu_node::engine::candle::{Candle, load_referee};
use gpu_node::engine::tiny;
use gpu_node::game::{self, Defender, GameError, Progress};
use gpu_node::jury::Judge;
use plasma_modules::{Amount, attestation};
use plasma_proto::plasma::attestation::v1::{Finding, Game, GameReason, GameState, MsgSetReferee};
use plasma_proto::plasma::market::v1::JobState;
use tokio::sync::watch;
use world::{BOND_UXPL, PROVIDER, PUBLISHER, Working, World, genesis_of, wallet};

const CHALLENGER: u8 = 4;
const STAKE: Amount = Amount::new(20 * XPL);
const PATIENCE: Duration = Duration::from_secs(120);

fn model(seed: u64) -> Candle {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_tiny(folder.path(), seed).unwrap();
    load_referee(folder.path(), usize::MAX).unwrap()
}

fn judge(seed: u64) -> Judge {
    Arc::new(Mutex::new(model(seed)))
}

impl World {
    /// A chain that can recompute the model, which one operator serves.
    async fn new(defend_blocks: u64) -> Self {
        let mut genesis = genesis_of(&[CHALLENGER]);
        let params = genesis.attestation.as_mut().unwrap().params.as_mut().unwrap();
        let games = params.games.as_mut().unwrap();
        (games.defend_blocks, games.defend_s) = (defend_blocks, 0);
        (games.round_blocks, games.round_s) = (800, 0);
        (games.prove_blocks, games.prove_s) = (800, 0);
        (games.rest_blocks, games.rest_s) = (5, 0);
        let market = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
        // A claim waits until it is challenged.
        (market.dispute_window_blocks, market.dispute_window_s) = (2_000, 0);
        let world = Self::start(&genesis).await;
        world.set_referee().await;
        world.register(PROVIDER, world.model_id).await;
        world
    }

    async fn set_referee(&self) {
        let own = game::described(&model(tiny::SEED)).unwrap();
        let set = MsgSetReferee {
            publisher: wallet(PUBLISHER).address().text(),
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

    /// A node that writes with one model and, if it defends its claims, does so with another.
    fn work(&self, home: &Path, writes: Candle, defends: Option<Judge>) -> Working {
        let service = self.service(PROVIDER, home, Some(writes));
        let (stop, stopped) = watch::channel(false);
        let mut tasks = vec![
            tokio::spawn(chain::watch(Arc::clone(&service), stopped.clone())),
            tokio::spawn(chain::carry(Arc::clone(&service), stopped.clone())),
        ];
        if let Some(judge) = defends {
            let models = BTreeMap::from([(self.model_id, judge)]);
            let defender = Defender { service: Arc::clone(&service), models };
            tasks.push(tokio::spawn(game::serve(defender, stopped)));
        }
        Working { service, stop, tasks }
    }

    /// A claim for a greedy job.
    async fn claim(&self) -> u64 {
        let id = self.submit("What?", 8, 0).await;
        self.node.job_when(id, |job| job.state() == JobState::Delivered).await;
        id
    }

    async fn challenge(&self, id: u64, seed: u64, anyway: bool) -> Result<Game, GameError> {
        let tell = Arc::new(|_: Progress| ());
        let (wallet, judge) = (wallet(CHALLENGER), judge(seed));
        let played = game::challenge(&self.client, &wallet, &judge, id, STAKE, anyway, tell);
        tokio::time::timeout(PATIENCE, played).await.expect("a game ends")
    }
}

/// A claim written with one model and defended with another, challenged with a third.
async fn story(writes: u64, defends: Option<u64>, challenges: u64) -> (World, u64, Game) {
    let world = World::new(if defends.is_some() { 800 } else { 3 }).await;
    let home = tempfile::tempdir().unwrap();
    let provider = world.work(home.path(), model(writes), defends.map(judge));
    let id = world.claim().await;
    let game = world.challenge(id, challenges, true).await.unwrap();
    let told = provider.service.metrics.text();
    let is_counted = told.contains("gpu_node_game_moves_total{what=\"made\"}");
    assert_eq!(is_counted, defends.is_some(), "{told}");
    provider.stop().await;
    (world, id, game)
}

fn convicted(world: &World, game: &Game, finding: Finding, reason: GameReason) {
    assert_eq!((game.finding(), game.reason()), (finding, reason), "{game:?}");
    let slashed: u128 = game.slashed_uxpl.parse().unwrap();
    assert!(slashed > 0);
    assert_eq!(world.bond(PROVIDER), BOND_UXPL - slashed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_provider_wins_against_a_challenger_with_another_model() {
    let (world, id, game) = story(tiny::SEED, Some(tiny::SEED), tiny::SEED + 1).await;
    assert_eq!((game.state(), game.reason()), (GameState::Rest, GameReason::ChallengerTile));
    assert_eq!(world.bond(PROVIDER), BOND_UXPL);
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
