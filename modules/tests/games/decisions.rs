//! A real model's claims, and what the chain finds when it computes a tile itself.

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    arena::*,
    trace::{Prover, Weights},
};

/// Tokens that no output has.
const ENDS: [u32; 2] = [298, 299];
/// The prompt of every claim.
fn prompt() -> Vec<u32> {
    (0..N_PROMPT).map(|at| (at * 37 + 11) % 290).collect()
}

fn weights() -> Weights {
    Weights::new(game::shape_of(&shape()), 1)
}

fn written<'a>(model: &'a Weights, output: &[u32]) -> Prover<'a> {
    Prover::with(model, &prompt(), output, N_OUT, &|_, _| ())
}

fn player(run: &Prover<'_>) -> Player {
    let place = |tile: Tile| (tile.token, tile.operator, tile.index);
    let names: BTreeMap<_, Hash> =
        run.tiles().into_iter().map(|tile| (place(tile), tile_hash(run.values(tile)))).collect();
    let names = Rc::new(names);
    Player::new(run.trace, move |tile| names[&place(tile)])
}

/// What shows the tile that an output token is chosen in.
fn choice(run: &Prover<'_>, index: u32) -> Opening {
    let Tile { token, operator, index } = run.trace.choice(index).unwrap();
    run.open(&Slice { token, operator, first: index, tiles: 1, skip: 0, len: 2 })
}

/// A claim with these output tokens, that the model of `model` is to give.
fn claimed(model: &Weights, output: &[u32], prompt: &[u32]) -> Arena {
    let mut arena = Arena::unset();
    arena.set_referee_as(PUBLISHER, shape(), model.root(), ENDS.to_vec()).unwrap();
    arena.end(1);
    arena.claim(|msg| {
        msg.output.as_mut().unwrap().token_ids = output.to_vec();
        let receipt = msg.receipt.as_mut().unwrap();
        receipt.finish_reason = FinishReason::Stop.into();
        receipt.prompt_tokens_hash = tokens_hash(prompt).into();
    });
    arena
}

/// Players who differ at one tile have gone down to it.
fn at_tile(arena: &mut Arena, challenger: &Player, provider: &Player) -> Tile {
    arena.opened(challenger, provider);
    arena.go_down(challenger, provider);
    let node = game::node_at(&challenger.trace, &arena.game().path).unwrap();
    challenger.trace.tile_of(&node).unwrap()
}

/// What shows the tile at which a game is, with the prompt if it reads that.
fn shown(arena: &Arena, run: &Prover<'_>, tile: Tile) -> MsgProve {
    let (inputs, rows) = run.prove(tile);
    let reads = run.trace.reads_token(tile) && tile.token < N_PROMPT;
    let prompt = if reads { run.tokens[..N_PROMPT as usize].to_vec() } else { vec![] };
    prove_msg(arena.id, arena.game().path, &inputs, &rows, prompt)
}

/// A tile of each operator that there is: of a position in the prompt, of the one that gives the first output
/// token, and of one in the output.
fn tiles(run: &Prover<'_>) -> Vec<Tile> {
    let mut all = Vec::new();
    for token in [3, N_PROMPT - 1, N_PROMPT + 2] {
        for operator in 0..run.trace.operators(token) {
            let tiles = run.trace.tiles(token, operator).unwrap();
            all.push(Tile { token, operator, index: tiles - 1 });
            if token == N_PROMPT - 1 && tiles > 1 {
                all.push(Tile { token, operator, index: tiles / 2 - 1 });
            }
        }
    }
    all
}

#[test]
fn a_lying_challenger_loses_at_every_operator() {
    let model = weights();
    let run = written(&model, &[]);
    let honest = player(&run);
    let all = tiles(&run);
    assert!(all.len() > 90, "{}", all.len());
    for (at, tile) in all.into_iter().enumerate() {
        let mut arena = claimed(&model, run.output(), &prompt());
        let lie = honest.but(tile);
        assert_eq!(at_tile(&mut arena, &lie, &honest), tile);
        if at % 16 == 0 {
            arena.check_export();
        }
        let msg = shown(&arena, &run, tile);
        arena.prove_as(proven_by_provider(msg)).unwrap_or_else(|error| panic!("{tile:?}: {error}"));
        let game = arena.game();
        assert_eq!(game.state(), GameState::Rest, "{tile:?}");
        assert_eq!(game.reason(), GameReason::ChallengerTile);
        assert_eq!(arena.bond(), PROVIDER_BOND);
    }
}

/// Goes down with whoever computed something else, and lets the challenger show the tile.
fn convicts(model: &Weights, run: &Prover<'_>, other: &Prover<'_>, output: &[u32]) -> Game {
    let mut arena = claimed(model, output, &prompt());
    let challenger = arena.net.balance(CHALLENGER);
    let tile = at_tile(&mut arena, &player(run), &player(other));
    let differs = |tile: &Tile| run.values(*tile) != other.values(*tile);
    assert_eq!(run.tiles().into_iter().find(differs), Some(tile), "all before it is alike");
    let msg = shown(&arena, run, tile);
    arena.prove_as(msg).unwrap();
    let game = arena.game();
    assert_eq!((game.state(), game.finding()), (GameState::Ended, Finding::Convicted));
    assert_eq!(arena.bond(), PROVIDER_BOND - 20 * XPL);
    assert_eq!(arena.net.balance(CHALLENGER), challenger + 2 * XPL);
    assert_eq!(arena.net.job(arena.id).outcome(), Outcome::Voided);
    arena.end(1);
    arena.check_export();
    game
}

#[test]
fn a_provider_that_altered_one_weight_loses() {
    let model = weights();
    let altered = |tensor: Tensor, index: u32| model.altered(Row { tensor, index }, 1);
    for cheap in [
        altered(Tensor::Query(1), 5),
        altered(Tensor::Down(0), 2),
        altered(Tensor::Norm, 0),
        altered(Tensor::Embedding, prompt()[4]),
    ] {
        // What the cheap model says, and what the right one gives of it.
        let other = written(&cheap, &[]);
        let run = written(&model, other.output());
        let game = convicts(&model, &run, &other, other.output());
        assert_eq!(game.reason(), GameReason::Tile);
    }
}

#[test]
fn a_provider_that_altered_one_token_loses() {
    let model = weights();
    let honest = written(&model, &[]);
    let mut output = honest.output().to_vec();
    output[3] = (output[3] + 1) % 290;
    let run = written(&model, &output);
    assert_eq!(run.given(3), honest.output()[3]);
    let mut arena = claimed(&model, &output, &prompt());
    let challenger = arena.net.balance(CHALLENGER);
    arena.challenge(&player(&run));
    arena.defend(&player(&run));
    assert_eq!(arena.game().state(), GameState::Token);
    refused(arena.show_token_as(CHALLENGER, 0, &choice(&run, 0)), "game", 27);
    refused(arena.show_token_as(CHALLENGER, N_OUT, &choice(&run, 0)), "game", 26);
    refused(arena.show_token_as(CHALLENGER, 3, &choice(&run, 0)), "game", 5);
    refused(arena.show_token_as(USERS[0], 3, &choice(&run, 3)), "game", 20);
    let mut forged = choice(&run, 0);
    forged.values[1] += 1;
    refused(arena.show_token_as(CHALLENGER, 0, &forged), "game", 5);
    arena.show_token_as(CHALLENGER, 3, &choice(&run, 3)).unwrap();
    let game = arena.game();
    assert_eq!((game.finding(), game.reason()), (Finding::Convicted, GameReason::Token));
    assert_eq!(arena.net.balance(CHALLENGER), challenger + 2 * XPL);
    arena.end(1);

    // Or it says that its token is what the model gives: then it has computed a tile otherwise.
    let lies = run.trace.choice(3).unwrap();
    let other = Prover::with(&model, &prompt(), &output, N_OUT, &|tile, values| {
        if tile == lies {
            values[1] = output[3];
        }
    });
    assert_eq!(convicts(&model, &run, &other, &output).reason(), GameReason::Tile);
}

#[test]
fn where_neither_has_the_tile_the_claim_is_false_and_nobody_is_paid() {
    let model = weights();
    let run = written(&model, &[]);
    let tile = Tile { token: 5, operator: 3, index: 1 };
    let (one, other) = (player(&run).but(tile), player(&run).but(tile).but(tile));
    let mut arena = claimed(&model, run.output(), &prompt());
    let challenger = arena.net.balance(CHALLENGER);
    assert_eq!(at_tile(&mut arena, &one, &other), tile);
    // Nobody could show it under such a root, but for what lies before it.
    let (inputs, rows) = run.prove(tile);
    let msg = prove_msg(arena.id, arena.game().path, &inputs, &rows, vec![]);
    refused(arena.prove_as(msg), "game", 5);
    let inputs: Vec<Opening> = run
        .trace
        .needs(tile, 0)
        .unwrap()
        .inputs
        .iter()
        .map(|slice| reopened(&run, &one, slice))
        .collect();
    let msg = prove_msg(arena.id, arena.game().path, &inputs, &rows, vec![]);
    arena.prove_as(msg).unwrap();
    let game = arena.game();
    assert_eq!((game.finding(), game.reason()), (Finding::Convicted, GameReason::Neither));
    assert_eq!(arena.net.balance(CHALLENGER), challenger, "its bond is back, and no more");
    arena.end(1);
}

/// What shows a slice under another player's root: its numbers are the run's.
fn reopened(run: &Prover<'_>, player: &Player, slice: &Slice) -> Opening {
    let Slice { token, operator, first, tiles, .. } = *slice;
    let name = |node: Node| player.name_of(&node);
    let tile_names: Vec<Hash> = (0..run.trace.tiles(token, operator).unwrap())
        .map(|index| name(run.trace.node_of(Tile { token, operator, index }).unwrap()))
        .collect();
    let operators = |token: u32| -> Vec<Hash> {
        let of = |operator: u32| {
            let tiles = 0..run.trace.tiles(token, operator).unwrap();
            let nodes =
                tiles.map(|index| run.trace.node_of(Tile { token, operator, index }).unwrap());
            operator_hash(&nodes.map(name).collect::<Vec<_>>())
        };
        (0..run.trace.operators(token)).map(of).collect()
    };
    let tokens: Vec<Hash> =
        (0..run.trace.tokens()).map(|token| token_hash(&operators(token))).collect();
    let paths = [
        range_path(&tile_names, first, tiles).unwrap(),
        range_path(&operators(token), operator, 1).unwrap(),
        range_path(&tokens, token, 1).unwrap(),
    ];
    Opening { path: paths.concat(), ..run.open(slice) }
}

#[test]
fn a_prompt_of_another_length_than_the_receipts_is_false() {
    let model = weights();
    let run = written(&model, &[]);
    // The receipt counts 25 tokens, and its hash is of 24.
    let short = prompt()[..24].to_vec();
    let mut arena = claimed(&model, run.output(), &short);
    let tile = Tile { token: 24, operator: 0, index: 0 };
    let provider = player(&run);
    assert_eq!(at_tile(&mut arena, &provider.but(tile), &provider), tile);
    let (_, rows) = run.prove(tile);
    let msg = |prompt: Vec<u32>| prove_msg(arena.id, arena.game().path, &[], &rows, prompt);
    let (wrong, right) = (msg(prompt()), msg(short));
    refused(arena.prove_as(wrong), "game", 25);
    arena.prove_as(right).unwrap();
    assert_eq!(arena.game().reason(), GameReason::Prompt);

    // One of its tokens is none of the model's.
    let mut other = prompt();
    other[24] = 300;
    let mut arena = claimed(&model, run.output(), &other);
    assert_eq!(at_tile(&mut arena, &provider.but(tile), &provider), tile);
    let msg = prove_msg(arena.id, arena.game().path, &[], &rows, other);
    arena.prove_as(msg).unwrap();
    assert_eq!(arena.game().reason(), GameReason::Prompt);
    arena.end(1);
}

#[test]
fn what_is_not_shown_as_it_must_be_decides_nothing() {
    let model = weights();
    let run = written(&model, &[]);
    let honest = player(&run);
    let layer = |step| run.trace.place(Operator::Layer(1, step));
    let tile = Tile { token: 26, operator: layer(Step::Attend), index: 9 };
    let mut arena = claimed(&model, run.output(), &prompt());
    let early = prove_msg(arena.id, vec![], &[], &[], vec![]);
    arena.challenge(&honest.but(tile));
    refused(arena.prove_as(early.clone()), "game", 17);
    arena.defend(&honest);
    arena.go_down(&honest.but(tile), &honest);
    refused(arena.prove_as(early), "game", 21);
    let good = shown(&arena, &run, tile);
    assert_eq!((good.inputs.len(), good.rows.len()), (4, 0));
    let stranger = MsgProve { sender: USERS[0].text(), ..good.clone() };
    refused(arena.prove_as(stranger), "game", 20);
    let forged = MsgProve { signature: vec![7; 64], ..good.clone() };
    refused(arena.prove_as(forged), "game", 19);
    let prompted = MsgProve { prompt_tokens: prompt(), ..good.clone() };
    refused(arena.prove_as(proven_by_provider(prompted)), "game", 24);
    for at in 0..4 {
        let mut number = good.clone();
        number.inputs[at].values[0] ^= 1;
        refused(arena.prove_as(proven_by_provider(number)), "game", 5);
        let mut path = good.clone();
        path.inputs[at].path.pop();
        refused(arena.prove_as(proven_by_provider(path)), "game", 5);
    }
    let mut fewer = good.clone();
    fewer.inputs.pop();
    refused(arena.prove_as(proven_by_provider(fewer)), "game", 5);
    let mut more = good.clone();
    more.rows.push(more.inputs[0].clone());
    refused(arena.prove_as(proven_by_provider(more)), "game", 5);
    for bad in [
        MsgProve { path: vec![0; 11], ..good.clone() },
        MsgProve { signature: vec![0; 63], ..good.clone() },
        MsgProve { inputs: vec![good.inputs[0].clone(); 5], ..good.clone() },
        MsgProve { prompt_tokens: vec![0; 8_193], ..good.clone() },
        MsgProve { inputs: vec![Default::default(), wire_path(129)], ..good.clone() },
        MsgProve {
            inputs: vec![plasma_proto::plasma::attestation::v1::Opening {
                values: vec![],
                path: vec![vec![0; 31]],
            }],
            ..good.clone()
        },
    ] {
        refused(arena.prove_as(bad), "game", 2);
    }
    // Row by row: another leaf of the weights than the tile's.
    arena.prove_as(proven_by_provider(good.clone())).unwrap();
    assert_eq!(arena.game().state(), GameState::Rest);
    refused(arena.prove_as(proven_by_provider(good)), "game", 17);

    let tile = Tile { token: 26, operator: layer(Step::Gate), index: 9 };
    let mut arena = claimed(&model, run.output(), &prompt());
    at_tile(&mut arena, &honest.but(tile), &honest);
    let good = shown(&arena, &run, tile);
    let other = model.open(Row { tensor: Tensor::Gate(1), index: 8 });
    let wrong = MsgProve { rows: vec![wire(&other)], ..good.clone() };
    refused(arena.prove_as(proven_by_provider(wrong)), "game", 5);
    let late = proven_by_provider(good);
    arena.net.block.height += 3;
    arena.net.block.time_s += 6;
    refused(arena.prove_as(late), "game", 18);
}

fn wire_path(len: usize) -> plasma_proto::plasma::attestation::v1::Opening {
    plasma_proto::plasma::attestation::v1::Opening { values: vec![], path: vec![vec![0; 32]; len] }
}
