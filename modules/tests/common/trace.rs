//! A prover that keeps everything: a small model, computed by the referee's own recomputation of tiles.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use plasma_modules::{
    attestation::referee::{
        Needs, Node, Opening, Operator, Row, Shape, Slice, Tensor, Tier, Tile, Trace, nodes,
        operator_hash, range_path, row_hash, tile_hash, token_hash, trace_root, weights_root,
    },
    types::{Hash, digest},
};

/// Every kind of place, with last tiles that are shorter and two layers.
pub const SHAPE: Shape = Shape {
    layers: 2,
    width: 70,
    heads: 4,
    kv_heads: 2,
    head_dim: 6,
    hidden: 70,
    vocab: 300,
    rows: 9,
    norm_eps: 0x3727_c5ac,
    tied: false,
};

/// All leaves of a model's weights.
pub struct Weights {
    pub shape: Shape,
    rows: BTreeMap<u32, Vec<u32>>,
    names: Vec<Hash>,
}

impl Weights {
    /// Drawn from a seed; angles are those of 3-4-5 triangles.
    pub fn new(shape: Shape, seed: u8) -> Self {
        let mut rows = BTreeMap::new();
        for tensor in shape.tensors() {
            for index in 0..shape.tensor_leaves(tensor) {
                let row = Row { tensor, index };
                let leaf = shape.leaf(row).unwrap();
                let value = |at: u32| match tensor {
                    Tensor::Cos => [1.0, 0.6, 0.8, -0.6][((index + at) % 4) as usize],
                    Tensor::Sin => [0.0, 0.8, 0.6, 0.8][((index + at) % 4) as usize],
                    Tensor::AttentionNorm(_) | Tensor::FeedNorm(_) | Tensor::Norm => {
                        1.0 + drawn(seed, leaf, at) / 4.0
                    }
                    Tensor::Embedding => drawn(seed, leaf, at),
                    _ => drawn(seed, leaf, at) / 4.0,
                };
                let values = (0..shape.row_len(row)).map(|at| value(at).to_bits()).collect();
                rows.insert(leaf, values);
            }
        }
        Self::of(shape, rows)
    }

    fn of(shape: Shape, rows: BTreeMap<u32, Vec<u32>>) -> Self {
        let names = rows.values().map(|row| row_hash(row)).collect();
        Self { shape, rows, names }
    }

    pub fn root(&self) -> Hash {
        weights_root(&self.names)
    }

    /// The same, but for a number of one leaf.
    pub fn altered(&self, row: Row, at: usize) -> Self {
        let mut own = Self::of(self.shape, self.rows.clone());
        let leaf = own.shape.leaf(row).unwrap();
        own.rows.get_mut(&leaf).unwrap()[at] ^= 1 << 20;
        Self::of(own.shape, own.rows)
    }

    pub fn open(&self, row: Row) -> Opening {
        let leaf = self.shape.leaf(row).unwrap();
        let path = range_path(&self.names, leaf, 1).unwrap();
        Opening { values: self.rows[&leaf].clone(), path }
    }
}

/// From -1 to 1.
#[allow(clippy::disallowed_types, reason = "weights are numbers")]
fn drawn(seed: u8, leaf: u32, at: u32) -> f32 {
    let bytes = digest(&[&[seed], &leaf.to_be_bytes(), &at.to_be_bytes()]);
    f32::from(i16::from_be_bytes([bytes[0], bytes[1]])) / 32_768.0
}

/// Everything that a player may show.
pub struct Prover<'a> {
    pub trace: Trace,
    pub weights: &'a Weights,
    /// Prompt, then output.
    pub tokens: Vec<u32>,
    /// By position, operator, tile.
    values: Vec<Vec<Vec<Vec<u32>>>>,
    /// By position and operator.
    operators: Vec<Vec<Hash>>,
}

impl<'a> Prover<'a> {
    /// Writes `n_out` tokens.
    pub fn write(weights: &'a Weights, prompt: &[u32], n_out: u32) -> Self {
        Self::with(weights, prompt, &[], n_out, &|_, _| ())
    }

    /// Writes `n_out` tokens, of which those that are `claimed` are taken as they are; each tile is kept as `change` leaves it, and what
    /// follows is computed from that.
    pub fn with(
        weights: &'a Weights,
        prompt: &[u32],
        claimed: &[u32],
        n_out: u32,
        change: &dyn Fn(Tile, &mut Vec<u32>),
    ) -> Self {
        let trace = Trace::new(weights.shape, prompt.len() as u32, n_out).unwrap();
        let tokens = [prompt, claimed].concat();
        let mut own = Self { trace, weights, tokens, values: vec![], operators: vec![] };
        for token in 0..trace.tokens() {
            own.values.push(vec![]);
            for operator in 0..trace.operators(token) {
                own.values[token as usize].push(vec![]);
                for index in 0..trace.tiles(token, operator).unwrap() {
                    let tile = Tile { token, operator, index };
                    let mut values = own.computed(tile);
                    change(tile, &mut values);
                    own.values[token as usize][operator as usize].push(values);
                }
            }
            let names = own.values[token as usize].iter();
            let names = names.map(|tiles| operator_hash(&names_of(tiles))).collect();
            own.operators.push(names);
            if let Some(output) = trace.output_of(token)
                && own.tokens.len() == (token + 1) as usize
            {
                own.tokens.push(own.values(trace.choice(output).unwrap())[1]);
            }
        }
        own
    }

    /// What a tile is by what stands to its left.
    fn computed(&self, tile: Tile) -> Vec<u32> {
        let Needs { inputs, rows } = self.needs(tile);
        let inputs: Vec<Vec<u32>> = inputs
            .iter()
            .map(|slice| {
                let values = self.opened(slice);
                values[slice.skip as usize..][..slice.len as usize].to_vec()
            })
            .collect();
        let inputs: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
        let rows: Vec<&[u32]> = rows
            .iter()
            .map(|row| &self.weights.rows[&self.weights.shape.leaf(*row).unwrap()][..])
            .collect();
        self.trace.recompute(tile, &inputs, &rows).unwrap()
    }

    pub fn needs(&self, tile: Tile) -> Needs {
        self.trace.needs(tile, self.tokens[tile.token as usize]).unwrap()
    }

    pub fn values(&self, tile: Tile) -> &[u32] {
        &self.values[tile.token as usize][tile.operator as usize][tile.index as usize]
    }

    fn opened(&self, slice: &Slice) -> Vec<u32> {
        let tiles = &self.values[slice.token as usize][slice.operator as usize];
        tiles[slice.first as usize..][..slice.tiles as usize].concat()
    }

    /// The last `n_out` tokens.
    pub fn output(&self) -> &[u32] {
        let n_out =
            (0..self.trace.tokens()).filter(|at| self.trace.output_of(*at).is_some()).count();
        &self.tokens[self.tokens.len() - n_out..]
    }

    /// The output token of that number, as the computation gives it.
    pub fn given(&self, output: u32) -> u32 {
        self.values(self.trace.choice(output).unwrap())[1]
    }

    pub fn root(&self) -> Hash {
        trace_root(&self.token_names())
    }

    fn token_names(&self) -> Vec<Hash> {
        self.operators.iter().map(|operators| token_hash(operators)).collect()
    }

    fn leaves(&self, node: &Node) -> Vec<Hash> {
        match node.tier {
            Tier::Tokens => self.token_names(),
            Tier::Operators => self.operators[node.token as usize].clone(),
            Tier::Tiles => names_of(&self.values[node.token as usize][node.operator as usize]),
        }
    }

    /// The names of a node's children.
    pub fn descend(&self, node: &Node) -> Vec<Hash> {
        let children = self.trace.children(node).unwrap();
        let leaves = self.leaves(node);
        // A leaf of the upper trees is written as the crown of the one below.
        let level = if children[0].tier == node.tier { children[0].level } else { 0 };
        let first = if children[0].tier == node.tier {
            children[0].index
        } else if node.tier == Tier::Tokens {
            children[0].token
        } else {
            children[0].operator
        };
        nodes(&leaves, level)[first as usize..][..children.len()].to_vec()
    }

    pub fn open(&self, slice: &Slice) -> Opening {
        let tiles = names_of(&self.values[slice.token as usize][slice.operator as usize]);
        let path = [
            range_path(&tiles, slice.first, slice.tiles).unwrap(),
            range_path(&self.operators[slice.token as usize], slice.operator, 1).unwrap(),
            range_path(&self.token_names(), slice.token, 1).unwrap(),
        ];
        Opening { values: self.opened(slice), path: path.concat() }
    }

    /// All that a tile needs, opened: inputs and rows.
    pub fn prove(&self, tile: Tile) -> (Vec<Opening>, Vec<Opening>) {
        let Needs { inputs, rows } = self.needs(tile);
        let inputs = inputs.iter().map(|slice| self.open(slice)).collect();
        (inputs, rows.iter().map(|row| self.weights.open(*row)).collect())
    }

    /// Every tile, in order.
    pub fn tiles(&self) -> Vec<Tile> {
        let mut all = vec![];
        for (token, operators) in (0..).zip(&self.values) {
            for (operator, tiles) in (0..).zip(operators) {
                all.extend((0..tiles.len() as u32).map(|index| Tile { token, operator, index }));
            }
        }
        all
    }

    pub fn operator(&self, tile: Tile) -> Operator {
        self.trace.operator(tile.token, tile.operator).unwrap()
    }
}

fn names_of(tiles: &[Vec<u32>]) -> Vec<Hash> {
    tiles.iter().map(|values| tile_hash(values)).collect()
}
