//! A model that the chain can recompute, and a game about a claim of it in every phase.

use std::sync::OnceLock;

use ed25519_dalek::Signer;
use plasma_modules::{
    attestation::{
        game::{self, defend_digest, descend_digest, prove_digest},
        referee::{KERNEL_ID, Opening, Shape, Slice, Tile},
        tokens_hash,
    },
    market,
    types::Hash,
};
use plasma_proto::plasma::{
    attestation::v1::{
        Game, GameParams, GameState, MsgChallenge, MsgDefend, MsgDescend, MsgProve, MsgSetReferee,
        MsgShowToken, Opening as Shown, Receipt, RefereeShape,
    },
    market::v1::{Job, JobState},
};
use prost_types::Any;

use super::{
    chain::{ALICE, BOB, CHAIN_ID, Chain, GROUP, OPERATOR, XPL, any, text},
    court::{carry_out, pass},
    trace::{Prover, Weights},
    traffic::{
        LONELY, Opening as Blocks, REFEREED, SERVED, answer, manifest, publish, receipt_key, serve,
        submit,
    },
};

/// What a challenge puts down.
const BOND_UXPL: u128 = 100 * XPL;
/// The output of every claim, which ends with a token that ends outputs.
const OUTPUT: [u32; 3] = [10, 11, 12];
/// Tokens of every prompt.
const N_PROMPT: u32 = 30;
/// At which the two traces differ.
const LIE: Tile = Tile { token: 2, operator: 0, index: 0 };

const SHAPE: RefereeShape = RefereeShape {
    layers: 1,
    width: 2,
    heads: 1,
    kv_heads: 1,
    head_dim: 2,
    hidden: 2,
    vocab: 16,
    rows: 40,
    norm_eps_bits: 0x3727_c5ac,
    tied: true,
};

/// Phases that outlast what is tried on them.
pub fn numbers() -> GameParams {
    GameParams {
        defend_blocks: 60,
        defend_s: 60,
        round_blocks: 60,
        round_s: 60,
        prove_blocks: 60,
        prove_s: 60,
        rest_blocks: 60,
        rest_s: 60,
        ..game::default_params()
    }
}

pub fn model_id() -> Hash {
    market::model_id(&manifest(REFEREED))
}

fn prompt() -> Vec<u32> {
    (0..N_PROMPT).map(|at| at % SHAPE.vocab).collect()
}

fn weights() -> &'static Weights {
    static WEIGHTS: OnceLock<Weights> = OnceLock::new();
    let shape: Shape = game::shape_of(&SHAPE);
    WEIGHTS.get_or_init(|| Weights::new(shape, 1))
}

/// The trace of the claims' tokens, right and with a lie.
fn traces() -> &'static [Prover<'static>; 2] {
    static TRACES: OnceLock<[Prover<'static>; 2]> = OnceLock::new();
    TRACES.get_or_init(|| {
        [0, 1].map(|wrong| {
            Prover::with(weights(), &prompt(), &OUTPUT, 3, &|tile, values| {
                if tile == LIE {
                    values[0] ^= wrong;
                }
            })
        })
    })
}

fn right() -> &'static Prover<'static> {
    &traces()[0]
}

fn wrong() -> &'static Prover<'static> {
    &traces()[1]
}

/// A receipt of this model says so.
pub fn mark(receipt: &mut Receipt) {
    if receipt.model_id == model_id() {
        receipt.kernel_id = KERNEL_ID.into();
        receipt.prompt_tokens_hash = tokens_hash(&prompt()).into();
    }
}

fn set_referee(model: &str) -> Any {
    any(&MsgSetReferee {
        publisher: text(ALICE),
        model_id: market::model_id(&manifest(model)).into(),
        shape: Some(SHAPE),
        weights_root: weights().root().into(),
        eos_tokens: vec![OUTPUT[2]],
    })
}

fn challenge(seed: u8, job_id: u64, trace: &Prover<'_>) -> Any {
    any(&MsgChallenge {
        challenger: text(seed),
        job_id,
        trace_root: trace.root().into(),
        bond_uxpl: BOND_UXPL.to_string(),
    })
}

fn defend(job_id: u64, trace: &Prover<'_>) -> Any {
    let mut msg = MsgDefend {
        carrier: text(BOB),
        job_id,
        trace_root: trace.root().into(),
        signature: vec![],
    };
    msg.signature = receipt_key(OPERATOR).sign(&defend_digest(CHAIN_ID, &msg)).to_vec();
    any(&msg)
}

/// The trace that a player's root is of.
fn trace_of(root: &[u8]) -> &'static Prover<'static> {
    if right().root() == root { right() } else { wrong() }
}

fn descend(game: &Game, by_provider: bool) -> Any {
    let root = if by_provider { &game.provider_root } else { &game.challenger_root };
    let trace = trace_of(root);
    let node = game::node_at(&trace.trace, &game.path).expect("the game is at a node");
    let mut msg = MsgDescend {
        sender: game.challenger.clone(),
        job_id: game.id,
        path: game.path.clone(),
        children: trace.descend(&node).into_iter().map(Vec::from).collect(),
        signature: vec![],
    };
    if by_provider {
        msg.signature = receipt_key(OPERATOR).sign(&descend_digest(CHAIN_ID, &msg)).to_vec();
    }
    any(&msg)
}

fn shown(opening: &Opening) -> Shown {
    let Opening { values, path } = opening;
    Shown { values: values.clone(), path: path.iter().map(|step| step.to_vec()).collect() }
}

fn prove(game: &Game) -> Any {
    let (inputs, rows) = right().prove(LIE);
    let mut msg = MsgProve {
        sender: text(BOB),
        job_id: game.id,
        path: game.path.clone(),
        inputs: inputs.iter().map(shown).collect(),
        rows: rows.iter().map(shown).collect(),
        prompt_tokens: prompt(),
        signature: vec![],
    };
    msg.signature = receipt_key(OPERATOR).sign(&prove_digest(CHAIN_ID, &msg)).to_vec();
    any(&msg)
}

fn show_token(game: &Game) -> Any {
    let given = |index: &u32| right().given(*index) != OUTPUT[*index as usize];
    let index = (0..3).find(given).expect("a model that says something else");
    let Tile { token, operator, index: first } =
        right().trace.choice(index).expect("a token of the output");
    let slice = Slice { token, operator, first, tiles: 1, skip: 0, len: 2 };
    let choice = Some(shown(&right().open(&slice)));
    any(&MsgShowToken { challenger: game.challenger.clone(), job_id: game.id, index, choice })
}

fn games(chain: &Chain) -> Vec<Game> {
    (1..80).filter_map(|id| game::game(&chain.store, id)).collect()
}

fn game_of(chain: &Chain, id: u64) -> Game {
    game::game(&chain.store, id).expect("a game")
}

fn claims(chain: &Chain, state: JobState) -> Vec<Job> {
    let own = |job: &Job| job.model_id == model_id() && job.state() == state;
    chain.jobs().filter(own).collect()
}

/// Publishes the model, and plays: two games to their ends, and one in each phase.
pub fn play(chain: &mut Chain, blocks: &mut Blocks) {
    carry_out(chain, blocks, ALICE, vec![publish(REFEREED), set_referee(REFEREED)]);
    carry_out(chain, blocks, OPERATOR, vec![serve(OPERATOR, &[SERVED, REFEREED])]);
    carry_out(chain, blocks, ALICE, vec![submit(REFEREED); 7]);
    pass(chain, blocks);
    let key = receipt_key(OPERATOR);
    let answers: Vec<Any> = claims(chain, JobState::Assigned)
        .iter()
        .map(|job| any(&answer(job, &key, OPERATOR)))
        .collect();
    assert_eq!(answers.len(), 7);
    carry_out(chain, blocks, OPERATOR, answers);
    let ids: Vec<u64> = claims(chain, JobState::Delivered).into_iter().map(|job| job.id).collect();
    let [convicted, at_tile, halfway, shown, at_token, undefended, lost] = ids[..] else {
        panic!("seven claims")
    };
    let honest = ids[..6].iter().map(|id| challenge(BOB, *id, right()));
    let challenges: Vec<Any> = honest.chain([challenge(BOB, lost, wrong())]).collect();
    for some in challenges.chunks(4) {
        carry_out(chain, blocks, BOB, some.to_vec());
    }
    let liar = [convicted, at_tile, halfway].map(|id| defend(id, wrong()));
    let alike = [shown, at_token, lost].map(|id| defend(id, right()));
    carry_out(chain, blocks, BOB, liar.into_iter().chain(alike).collect());
    assert_eq!(game_of(chain, undefended).state(), GameState::Defend);
    while game_of(chain, convicted).state() == GameState::Descend {
        let games = [convicted, at_tile, lost].map(|id| game_of(chain, id));
        let moves = games.iter().flat_map(|game| [descend(game, false), descend(game, true)]);
        carry_out(chain, blocks, BOB, moves.collect());
    }
    let ends = vec![
        descend(&game_of(chain, halfway), false),
        prove(&game_of(chain, convicted)),
        prove(&game_of(chain, lost)),
        show_token(&game_of(chain, shown)),
    ];
    carry_out(chain, blocks, BOB, ends);
    let states = ids.iter().map(|id| game_of(chain, *id).state()).collect::<Vec<_>>();
    let wanted = [
        GameState::Ended,
        GameState::Prove,
        GameState::Descend,
        GameState::Ended,
        GameState::Token,
        GameState::Defend,
        GameState::Rest,
    ];
    assert_eq!(states, wanted);
}

/// What would be done with the games under way, and with claims.
pub fn messages(chain: &Chain) -> Vec<(u8, Any)> {
    let mut messages = vec![(ALICE, submit(REFEREED)), (ALICE, set_referee(LONELY))];
    let unheld = claims(chain, JobState::Delivered).into_iter().filter(|job| !job.held);
    messages.extend(unheld.take(2).map(|job| (BOB, challenge(BOB, job.id, right()))));
    for game in games(chain) {
        let of_challenger = if game.challenger == text(GROUP) { GROUP } else { BOB };
        messages.extend(match game.state() {
            GameState::Defend => {
                let trace = if game.id % 2 == 0 { right() } else { wrong() };
                Some((BOB, defend(game.id, trace)))
            }
            GameState::Descend if game.challenger_children.is_empty() => {
                Some((of_challenger, descend(&game, false)))
            }
            GameState::Descend => Some((of_challenger, descend(&game, true))),
            GameState::Prove => Some((BOB, prove(&game))),
            GameState::Token => Some((of_challenger, show_token(&game))),
            GameState::Rest => Some((GROUP, challenge(GROUP, game.id, right()))),
            _ => None,
        });
    }
    messages
}
