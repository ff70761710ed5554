//! One side of a dispute: the trace of a computation, and what shows its parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use plasma_modules::attestation::referee::{
    Needs, Node, Number as _, Opening, Operator, Slice, Tier, Tile, Trace, nodes, operator_hash,
    range_path, tile_hash, token_hash, trace_root,
};
use plasma_modules::types::Hash;

use super::super::EngineError;
use super::{Cache, Hard, Referee, Watch, bits};

/// Tokens that are computed at once.
const TURN_TOKENS: usize = 64;

/// The trace of one inference. It keeps the name of every operator and the cache; what lies below an operator is computed again when it is asked
/// for, one token at a time, and the last such is kept.
pub struct Traced {
    model: Arc<Referee>,
    trace: Trace,
    tokens: Vec<u32>,
    cache: Cache,
    operators: Vec<Vec<Hash>>,
    names: Vec<Hash>,
    /// What the model chooses after a position.
    chosen: BTreeMap<u32, u32>,
    opened: Option<(u32, u32, Vec<Vec<u32>>)>,
}

impl Traced {
    /// Computes the trace of an inference that read `prompt` and wrote `output`, whether the model would have written it or not. `progress` is
    /// told how many positions are done.
    ///
    /// # Errors
    /// [`EngineError::Model`] if the model has not that many positions, or not these tokens.
    pub fn new(
        model: Arc<Referee>,
        prompt: &[u32],
        output: &[u32],
        progress: &dyn Fn(usize),
    ) -> Result<Self, EngineError> {
        let count = |tokens: &[u32]| u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let trace = Trace::new(*model.shape(), count(prompt), count(output))?;
        let tokens = [prompt, output].concat();
        if let Some(token) = tokens.iter().find(|token| **token >= model.shape().vocab) {
            return Err(EngineError::Model(format!(
                "token {token} is out of the model's vocabulary"
            )));
        }
        let read = &tokens[..tokens.len() - 1];
        let mut cache = model.cache();
        let operators = vec![Vec::new(); read.len()];
        let mut names = Names { trace, operators, chosen: BTreeMap::new(), current: None };
        let width = model.shape().width as usize;
        for (turn, tokens) in read.chunks(TURN_TOKENS).enumerate() {
            let at = turn * TURN_TOKENS;
            let rows = model.run(&mut cache, at, tokens, &mut names)?;
            for (position, row) in (at..).zip(rows.chunks(width)) {
                model.choose(row, super::number(position), &mut names);
            }
            progress(at + tokens.len());
        }
        names.close();
        let Names { operators, chosen, .. } = names;
        let names = operators.iter().map(|operators| token_hash(operators)).collect();
        Ok(Self { model, trace, tokens, cache, operators, names, chosen, opened: None })
    }

    /// Its form.
    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Prompt, then output.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// What binds all of it.
    #[must_use]
    pub fn root(&self) -> Hash {
        trace_root(&self.names)
    }

    /// The first output token, counted from 0, that is not what the model chooses after the tokens before it.
    #[must_use]
    pub fn first_wrong(&self) -> Option<u32> {
        let prompt = self.trace.tokens() as usize + 1 - self.outputs() as usize;
        (0..self.outputs()).find(|index| {
            let chosen = self.trace.choice(*index).and_then(|tile| self.chosen.get(&tile.token));
            chosen != self.tokens.get(prompt + *index as usize)
        })
    }

    fn outputs(&self) -> u32 {
        let last = self.trace.tokens().saturating_sub(1);
        self.trace.output_of(last).map_or(0, |index| index + 1)
    }

    /// The names of a node's children, as [`Trace::children`] lists them.
    ///
    /// # Errors
    /// [`EngineError::Model`] for what is no node of this trace, or a tile; or if computing fails.
    pub fn descend(&mut self, node: &Node) -> Result<Vec<Hash>, EngineError> {
        let children = self.trace.children(node)?;
        let leaves = match node.tier {
            Tier::Tokens => self.names.clone(),
            Tier::Operators => self.operators[node.token as usize].clone(),
            Tier::Tiles => names_of(self.tiles(node.token, node.operator)?),
        };
        let Some(first) = children.first() else { return Ok(Vec::new()) };
        // A leaf of the upper trees is written as the crown of the tree below it.
        let (level, index) = match (node.tier, first.tier) {
            (Tier::Tokens, Tier::Operators) => (0, first.token),
            (Tier::Operators, Tier::Tiles) => (0, first.operator),
            _ => (first.level, first.index),
        };
        let level = nodes(&leaves, level);
        Ok(level[index as usize..][..children.len()].to_vec())
    }

    /// The numbers of a tile.
    ///
    /// # Errors
    /// [`EngineError::Model`] if there is no such tile, or computing fails.
    pub fn values(&mut self, tile: Tile) -> Result<Vec<u32>, EngineError> {
        let tiles = self.tiles(tile.token, tile.operator)?;
        let found = tiles.get(tile.index as usize).cloned();
        found.ok_or_else(|| EngineError::Model("there is no such tile".to_owned()))
    }

    /// Shows what a tile is computed from: slices under the trace's root, then leaves of the weights, as [`Trace::judge`] wants them.
    ///
    /// # Errors
    /// [`EngineError::Model`] if there is no such tile, or computing fails.
    pub fn prove(&mut self, tile: Tile) -> Result<(Vec<Opening>, Vec<Opening>), EngineError> {
        let token = self.tokens.get(tile.token as usize).copied().unwrap_or(u32::MAX);
        let Needs { inputs, rows } = self.trace.needs(tile, token)?;
        let inputs = inputs.iter().map(|slice| self.open(slice)).collect::<Result<_, _>>()?;
        let names = self.model.row_names();
        let row = |row| {
            let path = self.model.shape().leaf(row).and_then(|leaf| range_path(names, leaf, 1));
            Opening { values: self.model.row(row), path: path.unwrap_or_default() }
        };
        Ok((inputs, rows.into_iter().map(row).collect()))
    }

    /// Shows whole tiles.
    ///
    /// # Errors
    /// As [`Traced::values`].
    pub fn open(&mut self, slice: &Slice) -> Result<Opening, EngineError> {
        let Slice { token, operator, first, tiles, .. } = *slice;
        let all = self.tiles(token, operator)?;
        let end = first.saturating_add(tiles) as usize;
        let missing = || EngineError::Model("there are no such tiles".to_owned());
        let values = all.get(first as usize..end).ok_or_else(missing)?.concat();
        let names = names_of(all);
        let path = [
            range_path(&names, first, tiles),
            range_path(&self.operators[token as usize], operator, 1),
            range_path(&self.names, token, 1),
        ];
        let path: Option<Vec<Vec<Hash>>> = path.into_iter().collect();
        Ok(Opening { values, path: path.ok_or_else(missing)?.concat() })
    }

    /// An operator's tiles, computed again.
    fn tiles(&mut self, token: u32, operator: u32) -> Result<&[Vec<u32>], EngineError> {
        let is_open = self.opened.as_ref().is_some_and(|(t, o, _)| (*t, *o) == (token, operator));
        if !is_open {
            let trace = self.trace;
            let Some(wanted) = trace.operator(token, operator) else {
                return Err(EngineError::Model("there is no such operator".to_owned()));
            };
            let mut one = One { trace, token, wanted, tiles: Vec::new() };
            let id = self.tokens[token as usize];
            let row = self.model.run(&mut self.cache, token as usize, &[id], &mut one)?;
            self.model.choose(&row, token, &mut one);
            self.opened = Some((token, operator, one.tiles));
        }
        Ok(self.opened.as_ref().map_or(&[], |(_, _, tiles)| tiles))
    }
}

fn names_of(tiles: &[Vec<u32>]) -> Vec<Hash> {
    tiles.iter().map(|values| tile_hash(values)).collect()
}

/// The tiles in what is shown of an operator: all have the length of the first but perhaps the last.
fn cut<'a>(
    trace: &Trace,
    token: u32,
    operator: Operator,
    values: &'a [Hard],
) -> impl Iterator<Item = Vec<u32>> + 'a {
    let first = Tile { token, operator: trace.place(operator), index: 0 };
    let len = trace.tile_len(first).unwrap_or(1).max(1) as usize;
    let is_choice = operator == Operator::Choose;
    values.chunks(len).map(move |tile| match tile {
        // A token's number is no number to compute with: its bits are what they are.
        [value, token] if is_choice => vec![value.to_bits(), token.0.to_bits()],
        tile => bits(tile),
    })
}

fn is_in(trace: &Trace, token: u32, operator: Operator) -> bool {
    trace.place(operator) < trace.operators(token)
}

/// Names of every operator, as they come.
struct Names {
    trace: Trace,
    operators: Vec<Vec<Hash>>,
    chosen: BTreeMap<u32, u32>,
    current: Option<(u32, Operator, Vec<Hash>)>,
}

impl Names {
    fn close(&mut self) {
        if let Some((token, _, tiles)) = self.current.take() {
            self.operators[token as usize].push(operator_hash(&tiles));
        }
    }
}

impl Watch for Names {
    fn wants(&self, token: u32, operator: Operator) -> bool {
        is_in(&self.trace, token, operator)
    }

    fn see(&mut self, token: u32, operator: Operator, values: &[Hard]) {
        let is_current =
            self.current.as_ref().is_some_and(|(t, o, _)| (*t, *o) == (token, operator));
        if !is_current {
            self.close();
        }
        let current = self.current.get_or_insert_with(|| (token, operator, Vec::new()));
        for tile in cut(&self.trace, token, operator, values) {
            current.2.push(tile_hash(&tile));
            if operator == Operator::Choose {
                // The last tile's is the position's.
                self.chosen.extend(tile.last().map(|choice| (token, *choice)));
            }
        }
    }
}

/// The tiles of one operator.
struct One {
    trace: Trace,
    token: u32,
    wanted: Operator,
    tiles: Vec<Vec<u32>>,
}

impl Watch for One {
    fn wants(&self, token: u32, operator: Operator) -> bool {
        (token, operator) == (self.token, self.wanted)
    }

    fn see(&mut self, token: u32, operator: Operator, values: &[Hard]) {
        self.tiles.extend(cut(&self.trace, token, operator, values));
    }
}
