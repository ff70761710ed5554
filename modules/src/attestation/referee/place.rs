//! Where things are in a trace: tokens, their operators, their tiles, and the nodes of the tree above them.

use alloc::vec::Vec;

use super::{
    RefereeError, Shape,
    kernel::STATE_HEAD,
    tree::{self, OPERATORS, TILES, TOKENS, height, level_width},
};
use crate::types::Hash;

/// Levels that a descent goes down: both players show the 2^this nodes, or fewer, that are so far below.
pub const DESCENT_LEVELS: u32 = 6;
/// Most nodes that a descent shows.
pub const CHILDREN_MAX: usize = 1 << DESCENT_LEVELS;
/// Numbers of a tile of an operator that works on each number by itself.
pub const CHUNK: u32 = 64;
/// Logits that one tile of [`Operator::Choose`] looks at.
pub const CHOICES: u32 = 256;

/// A step of a layer, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// RMSNorm of the vector that enters the layer: one tile.
    AttentionNorm,
    /// A row of the matrix times the vector: a tile per number.
    Query,
    /// Likewise.
    Key,
    /// Likewise.
    Value,
    /// The queries turned by the position's angles: a tile per head.
    TurnQuery,
    /// The keys turned by the position's angles: a tile per head.
    TurnKey,
    /// The state of the online softmax after each position, the head's first position first: a tile per head and position.
    Attend,
    /// The values divided by the sum: a tile per head.
    Mix,
    /// What entered the layer, plus a row of the matrix times the mixed values: a tile per number.
    Output,
    /// RMSNorm of the sum: one tile.
    FeedNorm,
    /// A tile per number.
    Gate,
    /// A tile per number.
    Up,
    /// SwiGLU: a tile per [`CHUNK`].
    Act,
    /// Each section of a row of the matrix times its part of the vector: a tile per row and section.
    Parts,
    /// What entered the feed-forward part, plus the sections' sum, from the first on: a tile per [`CHUNK`].
    Down,
}

const STEPS: [Step; 15] = [
    Step::AttentionNorm,
    Step::Query,
    Step::Key,
    Step::Value,
    Step::TurnQuery,
    Step::TurnKey,
    Step::Attend,
    Step::Mix,
    Step::Output,
    Step::FeedNorm,
    Step::Gate,
    Step::Up,
    Step::Act,
    Step::Parts,
    Step::Down,
];
/// As a number, which is what places are counted in.
const STEP_COUNT: u32 = 15;
/// Norm, logits, choice.
const LAST_COUNT: u32 = 3;

/// What is done for one token, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The token's row of the embedding: a tile per [`CHUNK`].
    Embed,
    /// Of a layer.
    Layer(u32, Step),
    /// RMSNorm after the last layer: one tile. This and what follows only where an output token comes from.
    Norm,
    /// A tile per number.
    Logits,
    /// The largest logit so far and its token, after each [`CHOICES`] logits. The last tile's token is the output token.
    Choose,
}

/// Whose tree a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// The trace's, over its tokens.
    Tokens,
    /// A token's, over its operators.
    Operators,
    /// An operator's, over its tiles.
    Tiles,
}

/// A node of a trace's tree. Each of the three trees has a crown, one level above its top; a leaf of the upper two is the crown of the tree
/// below, and is always written as that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Whose tree it is in.
    pub tier: Tier,
    /// 0 in the tree of tokens.
    pub token: u32,
    /// 0 in the trees of tokens and operators.
    pub operator: u32,
    /// From the leaves up.
    pub level: u32,
    /// In its level.
    pub index: u32,
}

/// The smallest thing that a dispute is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Position, that of the prompt's first token 0.
    pub token: u32,
    /// Among the token's operators.
    pub operator: u32,
    /// Among the operator's tiles.
    pub index: u32,
}

/// Numbers that a tile reads: `len` of them after `skip`, in `tiles` tiles from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Position.
    pub token: u32,
    /// Among the token's operators.
    pub operator: u32,
    /// First tile.
    pub first: u32,
    /// Tiles.
    pub tiles: u32,
    /// Numbers of the first tile that are not read.
    pub skip: u32,
    /// Numbers that are read.
    pub len: u32,
}

/// The form of the trace of one job: what the chain knows of it before anybody shows anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    shape: Shape,
    n_prompt: u32,
    n_out: u32,
}

impl Trace {
    /// Of a job with so many tokens. The last output token is never read, so there are `n_prompt + n_out - 1` positions.
    ///
    /// # Errors
    /// A shape that is none; an empty prompt or output; more positions than the model has.
    pub fn new(shape: Shape, n_prompt: u32, n_out: u32) -> Result<Self, RefereeError> {
        shape.check()?;
        let whole = u64::from(n_prompt).saturating_add(n_out.into());
        if n_prompt == 0 || n_out == 0 || whole > u64::from(shape.rows).saturating_add(1) {
            return Err(RefereeError::Length { n_prompt, n_out, rows: shape.rows });
        }
        Ok(Self { shape, n_prompt, n_out })
    }

    /// Of the model.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Positions.
    pub fn tokens(&self) -> u32 {
        self.n_prompt.saturating_add(self.n_out).saturating_sub(1)
    }

    /// The output token that comes from a position, counted from 0.
    pub fn output_of(&self, token: u32) -> Option<u32> {
        if token >= self.tokens() {
            None
        } else {
            token.checked_sub(self.n_prompt.saturating_sub(1))
        }
    }

    /// The tile whose second number is the output token `index`, counted from 0.
    pub fn choice(&self, index: u32) -> Option<Tile> {
        if index >= self.n_out {
            return None;
        }
        let token = self.n_prompt.saturating_sub(1).checked_add(index)?;
        let operator = self.place(Operator::Choose);
        let last = self.tiles(token, operator)?.checked_sub(1)?;
        Some(Tile { token, operator, index: last })
    }

    /// Operators of a token: none if there is no such token.
    pub fn operators(&self, token: u32) -> u32 {
        if token >= self.tokens() {
            return 0;
        }
        let last = if self.output_of(token).is_some() { LAST_COUNT } else { 0 };
        self.shape.layers.saturating_mul(STEP_COUNT).saturating_add(1).saturating_add(last)
    }

    /// An operator by its place among a token's.
    pub fn operator(&self, token: u32, place: u32) -> Option<Operator> {
        if place >= self.operators(token) {
            return None;
        }
        let Some(place) = place.checked_sub(1) else { return Some(Operator::Embed) };
        let (layer, step) = (place.checked_div(STEP_COUNT)?, place.checked_rem(STEP_COUNT)?);
        if layer < self.shape.layers {
            return STEPS
                .get(usize::try_from(step).ok()?)
                .map(|step| Operator::Layer(layer, *step));
        }
        match step {
            0 => Some(Operator::Norm),
            1 => Some(Operator::Logits),
            _ => Some(Operator::Choose),
        }
    }

    /// The place of an operator among a token's.
    pub fn place(&self, operator: Operator) -> u32 {
        let behind = |layers: u32| layers.saturating_mul(STEP_COUNT).saturating_add(1);
        match operator {
            Operator::Embed => 0,
            Operator::Layer(layer, step) => {
                let step = STEPS.iter().position(|each| *each == step).unwrap_or_default();
                behind(layer).saturating_add(u32::try_from(step).unwrap_or(u32::MAX))
            }
            Operator::Norm => behind(self.shape.layers),
            Operator::Logits => behind(self.shape.layers).saturating_add(1),
            Operator::Choose => behind(self.shape.layers).saturating_add(2),
        }
    }

    /// Numbers of an operator's result, and of each of its tiles but perhaps the last.
    fn extent(&self, token: u32, operator: Operator) -> (u32, u32) {
        let Shape { width, heads, kv_heads, head_dim, hidden, vocab, .. } = self.shape;
        let state = head_dim.saturating_add(u32::try_from(STATE_HEAD).unwrap_or(u32::MAX));
        let heads_of = |count: u32, len: u32| (count.saturating_mul(len), len);
        match operator {
            Operator::Embed | Operator::Layer(_, Step::Down) => (width, CHUNK),
            Operator::Layer(_, Step::AttentionNorm | Step::FeedNorm) | Operator::Norm => {
                (width, width)
            }
            Operator::Layer(_, Step::Query) => (self.shape.queries(), 1),
            Operator::Layer(_, Step::Key | Step::Value) => (self.shape.keys(), 1),
            Operator::Layer(_, Step::TurnQuery | Step::Mix) => heads_of(heads, head_dim),
            Operator::Layer(_, Step::TurnKey) => heads_of(kv_heads, head_dim),
            Operator::Layer(_, Step::Attend) => {
                heads_of(heads.saturating_mul(token.saturating_add(1)), state)
            }
            Operator::Layer(_, Step::Output) => (width, 1),
            Operator::Layer(_, Step::Gate | Step::Up) => (hidden, 1),
            Operator::Layer(_, Step::Act) => (hidden, CHUNK),
            Operator::Layer(_, Step::Parts) => (width.saturating_mul(self.shape.sections()), 1),
            Operator::Logits => (vocab, 1),
            Operator::Choose => (vocab.div_ceil(CHOICES).saturating_mul(2), 2),
        }
    }

    /// Tiles of the operator at a place.
    pub fn tiles(&self, token: u32, place: u32) -> Option<u32> {
        let operator = self.operator(token, place)?;
        let Shape { heads, .. } = self.shape;
        if let Operator::Layer(_, Step::Attend) = operator {
            return heads.checked_mul(token.checked_add(1)?);
        }
        let (len, per_tile) = self.extent(token, operator);
        Some(len.div_ceil(per_tile.max(1)))
    }

    /// Numbers of a tile; `None` if there is no such tile.
    pub fn tile_len(&self, tile: Tile) -> Option<u32> {
        let Tile { token, operator, index } = tile;
        let tiles = self.tiles(token, operator)?;
        let operator = self.operator(token, operator)?;
        if index >= tiles {
            return None;
        }
        let (len, per_tile) = self.extent(token, operator);
        // States of attention may have more numbers than are counted: they are all alike.
        let is_last = index.saturating_add(1) == tiles;
        if is_last && per_tile == CHUNK {
            Some(Shape::section_len(len, index, CHUNK))
        } else {
            Some(per_tile)
        }
    }

    /// The numbers of an operator from `first` on, as tiles.
    pub(super) fn slice(&self, token: u32, operator: Operator, first: u32, len: u32) -> Slice {
        let (_, per_tile) = self.extent(token, operator);
        let per_tile = per_tile.max(1);
        let (tile, skip) =
            (first.checked_div(per_tile).unwrap_or(0), first.checked_rem(per_tile).unwrap_or(0));
        let tiles = skip.saturating_add(len).div_ceil(per_tile);
        Slice { token, operator: self.place(operator), first: tile, tiles, skip, len }
    }

    /// A whole tile of an operator.
    pub(super) fn whole_tile(&self, token: u32, operator: Operator, index: u32) -> Slice {
        let (_, len) = self.extent(token, operator);
        Slice { token, operator: self.place(operator), first: index, tiles: 1, skip: 0, len }
    }

    /// Leaves of the tree that a node is in.
    fn leaves(&self, node: &Node) -> Option<u32> {
        match node.tier {
            Tier::Tokens if (node.token, node.operator) == (0, 0) => Some(self.tokens()),
            Tier::Operators if node.operator == 0 => {
                Some(self.operators(node.token)).filter(|operators| *operators > 0)
            }
            Tier::Tiles => self.tiles(node.token, node.operator),
            _ => None,
        }
    }

    /// The root's node.
    pub fn root(&self) -> Node {
        let level = height(self.tokens()).saturating_add(1);
        Node { tier: Tier::Tokens, token: 0, operator: 0, level, index: 0 }
    }

    /// The node of a token, or of one of its operators: the crown of its tree.
    fn crown(&self, tier: Tier, token: u32, operator: u32) -> Option<Node> {
        let node = Node { tier, token, operator, level: 0, index: 0 };
        let level = height(self.leaves(&node)?).checked_add(1)?;
        Some(Node { level, ..node })
    }

    /// The node of a tile.
    pub fn node_of(&self, tile: Tile) -> Option<Node> {
        let Tile { token, operator, index } = tile;
        self.tile_len(tile).map(|_| Node { tier: Tier::Tiles, token, operator, level: 0, index })
    }

    /// The tile that a node is, if it is one.
    pub fn tile_of(&self, node: &Node) -> Option<Tile> {
        let Node { tier, token, operator, level, index } = *node;
        let tile = Tile { token, operator, index };
        (tier == Tier::Tiles && level == 0 && self.tile_len(tile).is_some()).then_some(tile)
    }

    /// Level and first index of the children of a node, and their number.
    fn below(&self, node: &Node) -> Option<(u32, u32, u32)> {
        let leaves = self.leaves(node)?;
        let top = height(leaves);
        let is_crown = node.level == top.checked_add(1)?;
        let is_there =
            if is_crown { node.index == 0 } else { node.index < level_width(leaves, node.level) };
        // A leaf of the upper trees is written as a crown; one of the tiles has no children.
        if !is_there || node.level > top.saturating_add(1) || node.level == 0 {
            return None;
        }
        let from = node.level.min(top);
        let level = from.saturating_sub(DESCENT_LEVELS);
        let apart = from.saturating_sub(level);
        let first = node.index.checked_shl(apart)?;
        let span = 1u32.checked_shl(apart)?;
        Some((level, first, level_width(leaves, level).saturating_sub(first).min(span)))
    }

    /// The nodes that a descent from `node` shows, in order: those [`DESCENT_LEVELS`] below it in its tree, or the leaves; at most
    /// [`CHILDREN_MAX`], at least one.
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`] for what is no node, or a tile.
    pub fn children(&self, node: &Node) -> Result<Vec<Node>, RefereeError> {
        let (level, first, count) = self.below(node).ok_or(RefereeError::NoPlace)?;
        let child = |index: u32| match (node.tier, level) {
            (Tier::Tokens, 0) => self.crown(Tier::Operators, index, 0),
            (Tier::Operators, 0) => self.crown(Tier::Tiles, node.token, index),
            _ => Some(Node { level, index, ..*node }),
        };
        let all = (first..first.saturating_add(count))
            .map(|index| child(index).ok_or(RefereeError::NoPlace));
        all.collect()
    }

    /// The name of a node whose [`Trace::children`] have these names.
    ///
    /// # Errors
    /// [`RefereeError::NoPlace`] for what is no node, or a tile; [`RefereeError::Count`] for another number of children.
    pub fn name(&self, node: &Node, children: &[Hash]) -> Result<Hash, RefereeError> {
        let (level, _, count) = self.below(node).ok_or(RefereeError::NoPlace)?;
        let leaves = self.leaves(node).ok_or(RefereeError::NoPlace)?;
        let due = usize::try_from(count).unwrap_or(usize::MAX);
        if children.len() != due {
            return Err(RefereeError::Count { what: "children", found: children.len(), due });
        }
        let top = height(leaves);
        let nodes = tree::nodes(children, node.level.min(top).saturating_sub(level));
        let name = nodes.first().copied().unwrap_or_default();
        if node.level <= top {
            return Ok(name);
        }
        let domain = match node.tier {
            Tier::Tokens => TOKENS,
            Tier::Operators => OPERATORS,
            Tier::Tiles => TILES,
        };
        Ok(tree::crown(domain, leaves, &name))
    }

    /// Descents from the root to a tile, at most.
    pub fn descents_max(&self) -> u32 {
        let longest = |leaves: u32| height(leaves).div_ceil(DESCENT_LEVELS).max(1);
        let last = self.tokens().saturating_sub(1);
        let operators = self.operators(last);
        let tiles = (0..operators).filter_map(|place| self.tiles(last, place)).map(longest).max();
        longest(self.tokens()).saturating_add(longest(operators)).saturating_add(tiles.unwrap_or(0))
    }
}
