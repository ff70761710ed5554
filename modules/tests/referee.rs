//! The referee's promise: where two traces first differ, the chain finds the tile and says what it must be.

#[path = "common/trace.rs"]
mod trace;

use std::collections::BTreeSet;

use plasma_modules::{
    attestation::referee::{
        CHILDREN_MAX, CHUNK, HEAD_DIM_MAX, HIDDEN_MAX, KERNEL_ID, LAYERS_MAX, NAN, Opening,
        Operator, POSITIONS_MAX, RefereeError, Row, SECTION, Shape, Step, Tensor, Tile, Trace,
        VOCABULARY_MAX, height, tile_hash,
    },
    tx::TX_BYTES_MAX,
    types::hex,
};
use trace::{Prover, SHAPE, Weights};

const PROMPT: [u32; 4] = [7, 299, 0, 31];
const N_OUT: u32 = 3;

fn weights() -> Weights {
    Weights::new(SHAPE, 1)
}

/// The first tile of each operator, and its last, at two positions.
fn samples(prover: &Prover) -> Vec<Tile> {
    let all = prover.tiles();
    let is_edge = |tile: &&Tile| {
        let tiles = prover.trace.tiles(tile.token, tile.operator).unwrap();
        [2, 5].contains(&tile.token) && (tile.index == 0 || tile.index == tiles - 1)
    };
    all.iter().filter(is_edge).copied().collect()
}

#[test]
fn every_tile_is_judged_as_it_was_computed() {
    let weights = weights();
    let prover = Prover::write(&weights, &PROMPT, N_OUT);
    let (root, weights_root) = (prover.root(), weights.root());
    let mut seen = BTreeSet::new();
    for tile in prover.tiles() {
        // All of one position, and of the others the edges.
        let tiles = prover.trace.tiles(tile.token, tile.operator).unwrap();
        if tile.token != 4 && tile.index > 0 && tile.index + 1 < tiles {
            continue;
        }
        let (inputs, rows) = prover.prove(tile);
        let token = prover.tokens[tile.token as usize];
        let judged = prover.trace.judge(&root, &weights_root, tile, token, &inputs, &rows).unwrap();
        assert_eq!(judged, prover.values(tile), "{tile:?}");
        assert_eq!(judged.len(), prover.trace.tile_len(tile).unwrap() as usize);
        assert!(judged.iter().all(|bits| bits & 0x7fff_ffff < 0x7f80_0000), "{tile:?} is finite");
        seen.insert(format!("{:?}", prover.operator(tile)));
        // What it needs stands to its left.
        for slice in prover.needs(tile).inputs {
            let last = slice.first + slice.tiles - 1;
            assert!((slice.token, slice.operator, last) < (tile.token, tile.operator, tile.index));
        }
    }
    assert_eq!(seen.len(), 1 + 2 * 15 + 3);
    for (index, token) in (0..N_OUT).zip(prover.output()) {
        assert_eq!(prover.values(prover.trace.choice(index).unwrap())[1], *token);
    }
    assert_eq!(prover.trace.choice(N_OUT), None);
}

#[test]
fn a_lie_is_found_where_it_was_told() {
    let weights = weights();
    let honest = Prover::write(&weights, &PROMPT, N_OUT);
    let samples = samples(&honest);
    assert!(samples.len() > 2 * 30, "{}", samples.len());
    let tiles = honest.tiles().len();
    assert!(honest.trace.descents_max() <= tiles.ilog2() + 1);
    // Every third, to be done in time.
    for lie in samples.into_iter().step_by(3) {
        let change = |tile: Tile, values: &mut Vec<u32>| {
            if tile == lie {
                values[0] ^= 1;
            }
        };
        let liar = Prover::with(&weights, &PROMPT, honest.output(), N_OUT, &change);
        assert_ne!(liar.root(), honest.root());
        let (mut node, mut descents) = (honest.trace.root(), 0);
        let (mut one, mut two) = (honest.root(), liar.root());
        let tile = loop {
            if let Some(tile) = honest.trace.tile_of(&node) {
                break tile;
            }
            let (own, other) = (honest.descend(&node), liar.descend(&node));
            assert!((1..=CHILDREN_MAX).contains(&own.len()));
            assert_eq!(honest.trace.name(&node, &own).unwrap(), one);
            assert_eq!(honest.trace.name(&node, &other).unwrap(), two);
            assert!(honest.trace.name(&node, &own[1..]).is_err());
            let at = own.iter().zip(&other).position(|(a, b)| a != b).unwrap();
            node = honest.trace.children(&node).unwrap()[at];
            (one, two) = (own[at], other[at]);
            descents += 1;
        };
        assert_eq!(tile, lie, "{:?}", honest.operator(lie));
        assert_eq!(honest.trace.node_of(tile), Some(node));
        assert!(descents <= honest.trace.descents_max());
        assert_eq!(honest.trace.children(&node), Err(RefereeError::NoPlace));
        // Each proves under its own root; both must come to the honest tile.
        for player in [&honest, &liar] {
            let (inputs, rows) = player.prove(tile);
            let token = player.tokens[tile.token as usize];
            let judged = player
                .trace
                .judge(&player.root(), &weights.root(), tile, token, &inputs, &rows)
                .unwrap();
            assert_eq!((tile_hash(&judged) == one, tile_hash(&judged) == two), (true, false));
        }
    }
}

#[test]
fn what_was_not_shown_is_not_judged() {
    let weights = weights();
    let prover = Prover::write(&weights, &PROMPT, N_OUT);
    let other = Weights::new(SHAPE, 2);
    let operator = prover.trace.place(Operator::Layer(1, Step::Output));
    let tile = Tile { token: 5, operator, index: 69 };
    let (inputs, rows) = prover.prove(tile);
    let judge = |tile: Tile, inputs: &[Opening], rows: &[Opening]| {
        prover.trace.judge(&prover.root(), &weights.root(), tile, 0, inputs, rows)
    };
    assert!(judge(tile, &inputs, &rows).is_ok());
    let changed = |all: &[Opening], at: usize, change: &dyn Fn(&mut Opening)| {
        let mut all = all.to_vec();
        change(&mut all[at]);
        all
    };
    for at in [0, 1] {
        let value = changed(&inputs, at, &|one| one.values[0] ^= 1);
        assert_eq!(judge(tile, &value, &rows), Err(RefereeError::Path(at)));
        let longer = changed(&inputs, at, &|one| one.path.push([0; 32]));
        assert_eq!(judge(tile, &longer, &rows), Err(RefereeError::Path(at)));
        let shorter = changed(&inputs, at, &|one| one.path.truncate(one.path.len() - 1));
        assert_eq!(judge(tile, &shorter, &rows), Err(RefereeError::Path(at)));
        let fewer = changed(&inputs, at, &|one| one.values.truncate(one.values.len() - 1));
        assert!(matches!(judge(tile, &fewer, &rows), Err(RefereeError::Count { .. })));
    }
    let weight = changed(&rows, 0, &|one| one.values[3] ^= 1);
    assert_eq!(judge(tile, &inputs, &weight), Err(RefereeError::Path(0)));
    let foreign = other.open(Row { tensor: Tensor::Output(1), index: 69 });
    assert_eq!(judge(tile, &inputs, &[foreign]), Err(RefereeError::Path(0)));
    let neighbour = weights.open(Row { tensor: Tensor::Output(1), index: 68 });
    assert_eq!(judge(tile, &inputs, &[neighbour]), Err(RefereeError::Path(0)));
    assert!(matches!(judge(tile, &inputs[1..], &rows), Err(RefereeError::Count { .. })));
    assert!(matches!(judge(tile, &inputs, &[]), Err(RefereeError::Count { .. })));
    let beside = Tile { index: 68, ..tile };
    assert_eq!(judge(beside, &inputs, &rows), Err(RefereeError::Path(0)));
    assert_eq!(judge(Tile { index: 70, ..tile }, &inputs, &rows), Err(RefereeError::NoPlace));
    assert_eq!(judge(Tile { token: 6, ..tile }, &inputs, &rows), Err(RefereeError::NoPlace));
    let embed = Tile { token: 0, operator: 0, index: 0 };
    assert!(prover.trace.reads_token(embed) && !prover.trace.reads_token(tile));
    assert_eq!(prover.trace.needs(embed, 300), Err(RefereeError::NoPlace));
    assert!(Trace::new(SHAPE, 4, 6).is_ok());
    assert!(Trace::new(SHAPE, 4, 7).is_err());
    assert!(Trace::new(SHAPE, 0, 3).is_err());
    assert!(Trace::new(SHAPE, 3, 0).is_err());
    assert!(Trace::new(SHAPE, u32::MAX, u32::MAX).is_err());
}

/// The widest model, at its last position: every proof with its paths fits into a transaction.
#[test]
fn the_largest_proof_fits_into_a_transaction() {
    let head_dim = 128;
    let widest = Shape {
        layers: LAYERS_MAX,
        width: SECTION,
        heads: SECTION / head_dim,
        kv_heads: SECTION / head_dim,
        head_dim,
        hidden: HIDDEN_MAX,
        vocab: VOCABULARY_MAX,
        rows: POSITIONS_MAX,
        norm_eps: 0,
        tied: false,
    };
    let long_heads = Shape {
        heads: SECTION / HEAD_DIM_MAX,
        kv_heads: SECTION / HEAD_DIM_MAX,
        head_dim: HEAD_DIM_MAX,
        ..widest
    };
    let mut largest = 0;
    for shape in [widest, long_heads] {
        let trace = Trace::new(shape, 1, POSITIONS_MAX).unwrap();
        let token = trace.tokens() - 1;
        assert_eq!(token, POSITIONS_MAX - 1);
        let path = |leaves: u32| 32 * 2 * height(leaves) as usize;
        for operator in 0..trace.operators(token) {
            let tiles = trace.tiles(token, operator).unwrap();
            for index in [1.min(tiles - 1), tiles - 1] {
                let needs = trace.needs(Tile { token, operator, index }, 0).unwrap();
                let inputs = needs.inputs.iter().map(|slice| {
                    4 * trace.opened_len(slice).unwrap() as usize
                        + path(trace.tiles(slice.token, slice.operator).unwrap())
                        + path(trace.operators(slice.token)) / 2
                        + path(trace.tokens()) / 2
                });
                let rows = needs
                    .rows
                    .iter()
                    .map(|row| 4 * shape.row_len(*row) as usize + path(shape.leaves()) / 2);
                largest = largest.max(inputs.sum::<usize>() + rows.sum::<usize>());
            }
        }
        assert!(trace.descents_max() <= 12, "{}", trace.descents_max());
    }
    // What is left is for the envelope.
    assert!(
        largest > 2 * 4 * SECTION as usize && largest < TX_BYTES_MAX - 8_192,
        "{largest} bytes"
    );
}

#[test]
fn a_nan_has_one_name() {
    let weights = weights();
    let trace = Trace::new(SHAPE, 4, 3).unwrap();
    let operator = trace.place(Operator::Layer(0, Step::Act));
    let inputs = [[0xffc0_1234; CHUNK as usize], [0x3f80_0000; CHUNK as usize]];
    let inputs: Vec<&[u32]> = inputs.iter().map(|all| &all[..]).collect();
    let found = trace.recompute(Tile { token: 0, operator, index: 0 }, &inputs, &[]).unwrap();
    assert_eq!(found, [NAN; CHUNK as usize]);
    assert!(trace.recompute(Tile { token: 0, operator, index: 1 }, &inputs, &[]).is_err());
    assert_ne!(weights.root(), [0; 32]);
}

/// Another order of computing, of places or of names is another kernel.
#[test]
fn roots_are_golden() {
    let weights = weights();
    let prover = Prover::write(&weights, &PROMPT, N_OUT);
    let tied = Weights::new(Shape { tied: true, hidden: SECTION + 2, layers: 1, ..SHAPE }, 3);
    let other = Prover::write(&tied, &[5], 1);
    let found = [weights.root(), prover.root(), tied.root(), other.root()].map(|root| hex(&root));
    assert_eq!(KERNEL_ID, "referee/1");
    assert_eq!(found, GOLDEN);
}

const GOLDEN: [&str; 4] = [
    "fd0bf76fcd826903c99738116d1322aa7840592a948a7fe0a36c1d78b47c1215",
    "df5e59d3ea52d6eb5d19329d89c07236eb12ea9fa46b9faefe33ed2a5e1c6702",
    "9a39bd0769f083363ceac0fc72d11092f29a70ff8b90e26ff1dffb9c1790ccdc",
    "c9c927c31a7d7b5c06e9cbb99cecd00a1a896837e946cb98f0491044b3c06295",
];
