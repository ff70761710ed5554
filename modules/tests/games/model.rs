//! A model of a few numbers, computed as the chain does it.

use std::{collections::BTreeMap, rc::Rc};

use crate::arena::*;

/// Weights by tensor and leaf, as bits.
#[derive(Clone)]
pub struct Model {
    pub leaves: BTreeMap<(Tensor, u32), Vec<u32>>,
}

impl Model {
    pub fn new() -> Self {
        let shape = game::shape_of(&shape());
        let mut leaves = BTreeMap::new();
        for tensor in shape.tensors() {
            for index in 0..shape.tensor_leaves(tensor) {
                let len = shape.row_len(Row { tensor, index });
                let values = (0..len).map(|at| weight(tensor, index, at).to_bits()).collect();
                leaves.insert((tensor, index), values);
            }
        }
        Self { leaves }
    }

    fn names(&self) -> Vec<Hash> {
        let shape = game::shape_of(&shape());
        let of = |tensor| (0..shape.tensor_leaves(tensor)).map(move |index| (tensor, index));
        let all = shape.tensors().into_iter().flat_map(of);
        all.map(|leaf| row_hash(&self.leaves[&leaf])).collect()
    }

    pub fn root(&self) -> Hash {
        weights_root(&self.names())
    }

    /// What shows a leaf of the weights.
    pub fn row(&self, row: Row) -> Opening {
        let index = game::shape_of(&shape()).leaf(row).unwrap();
        Opening {
            values: self.leaves[&(row.tensor, row.index)].clone(),
            path: range_path(&self.names(), index, 1).unwrap(),
        }
    }

    /// Computes what follows on a prompt: the tokens given, or if there are none, those that it chooses.
    pub fn run(&self, prompt: &[u32], n_out: u32, output: Option<&[u32]>) -> Run {
        let n_prompt = u32::try_from(prompt.len()).unwrap();
        let trace = game::trace_of(&shape(), n_prompt, n_out).unwrap();
        let mut run = Run { trace, tokens: prompt.to_vec(), chosen: vec![], results: vec![] };
        for token in 0..trace.tokens() {
            run.results.push(vec![]);
            for operator in 0..trace.operators(token) {
                run.results[token as usize].push(vec![]);
                for index in 0..trace.tiles(token, operator).unwrap() {
                    let tile = Tile { token, operator, index };
                    let values = run.compute(self, tile);
                    run.results[token as usize][operator as usize].push(values);
                }
            }
            if let Some(at) = trace.output_of(token) {
                let last = run.results[token as usize].last().unwrap().last().unwrap();
                run.chosen.push(last[1]);
                run.tokens.push(output.map_or(last[1], |output| output[at as usize]));
            }
        }
        run
    }
}

/// Between -1 and 1; of angles, their cosines and sines.
fn weight(tensor: Tensor, index: u32, at: u32) -> f32 {
    let angle = index as f32 / 10f32.powi(at as i32);
    match tensor {
        Tensor::Cos => angle.cos(),
        Tensor::Sin => angle.sin(),
        _ => {
            let name = format!("{tensor:?} {index} {at}");
            let hash = digest(&[b"a weight", name.as_bytes()]);
            let number = i16::from_be_bytes([hash[0], hash[1]]);
            f32::from(number) / 32_768.0
        }
    }
}

/// All numbers of an inference.
pub struct Run {
    pub trace: Trace,
    /// Of the prompt, then of the output as it is claimed.
    pub tokens: Vec<u32>,
    /// What the computation itself gives.
    pub chosen: Vec<u32>,
    /// By token, operator and tile.
    pub results: Vec<Vec<Vec<Vec<u32>>>>,
}

impl Run {
    fn compute(&self, model: &Model, tile: Tile) -> Vec<u32> {
        let needs = self.trace.needs(tile, self.tokens[tile.token as usize]).unwrap();
        let inputs: Vec<Vec<u32>> = needs.inputs.iter().map(|slice| self.read(slice)).collect();
        let inputs: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
        let row = |row: &Row| &model.leaves[&(row.tensor, row.index)][..];
        let rows: Vec<&[u32]> = needs.rows.iter().map(row).collect();
        self.trace.recompute(tile, &inputs, &rows).unwrap()
    }

    fn tiles(&self, slice: &Slice) -> Vec<u32> {
        let Slice { token, operator, first, tiles, .. } = *slice;
        let all = &self.results[token as usize][operator as usize];
        all[first as usize..][..tiles as usize].concat()
    }

    fn read(&self, slice: &Slice) -> Vec<u32> {
        self.tiles(slice)[slice.skip as usize..][..slice.len as usize].to_vec()
    }

    /// As a player of a game.
    pub fn player(&self) -> Player {
        let results = Rc::new(self.results.clone());
        Player::new(self.trace, move |Tile { token, operator, index }| {
            tile_hash(&results[token as usize][operator as usize][index as usize])
        })
    }

    fn operator_names(&self, token: u32) -> Vec<Hash> {
        let tiles = |tiles: &Vec<Vec<u32>>| {
            operator_hash(&tiles.iter().map(|tile| tile_hash(tile)).collect::<Vec<_>>())
        };
        self.results[token as usize].iter().map(tiles).collect()
    }

    /// What shows the tiles of a slice.
    pub fn open(&self, slice: &Slice) -> Opening {
        let Slice { token, operator, first, tiles, .. } = *slice;
        let own = &self.results[token as usize][operator as usize];
        let own: Vec<Hash> = own.iter().map(|tile| tile_hash(tile)).collect();
        let of_token = |token| token_hash(&self.operator_names(token));
        let tokens: Vec<Hash> = (0..self.trace.tokens()).map(of_token).collect();
        let paths = [
            range_path(&own, first, tiles).unwrap(),
            range_path(&self.operator_names(token), operator, 1).unwrap(),
            range_path(&tokens, token, 1).unwrap(),
        ];
        Opening { values: self.tiles(slice), path: paths.concat() }
    }

    /// What shows the tile that an output token is chosen in.
    pub fn choice(&self, index: u32) -> Opening {
        let Tile { token, operator, index } = self.trace.choice(index).unwrap();
        self.open(&Slice { token, operator, first: index, tiles: 1, skip: 0, len: 2 })
    }

    /// What shows what a tile is made from.
    pub fn proof(&self, model: &Model, tile: Tile) -> (Vec<Opening>, Vec<Opening>) {
        let needs = self.trace.needs(tile, self.tokens[tile.token as usize]).unwrap();
        let inputs = needs.inputs.iter().map(|slice| self.open(slice)).collect();
        (inputs, needs.rows.iter().map(|row| model.row(*row)).collect())
    }

    /// The first tile, in the order of the computation, that another run has otherwise.
    pub fn first_other(&self, other: &Run) -> Option<Tile> {
        let all = (0..self.trace.tokens()).flat_map(|token| {
            (0..self.trace.operators(token)).flat_map(move |operator| {
                let tiles = self.results[token as usize][operator as usize].len() as u32;
                (0..tiles).map(move |index| Tile { token, operator, index })
            })
        });
        let of = |run: &Run, tile: Tile| {
            run.results[tile.token as usize][tile.operator as usize][tile.index as usize].clone()
        };
        all.into_iter().find(|tile| of(self, *tile) != of(other, *tile))
    }

    /// No infinity and no NaN, which would be equal whatever went before.
    pub fn is_finite(&self) -> bool {
        let mut numbers = self.results.iter().flatten().flatten().flatten();
        numbers.all(|bits| f32::from_bits(*bits).is_finite())
    }
}
