//! Where a game stands in the trace that it is about.

use plasma_proto::plasma::attestation::v1::{Game, RefereeModel, RefereeShape};

use super::{Error, state::REFEREES};
use crate::{
    Read,
    attestation::referee::{Node, Shape, Trace},
    error::fault,
    types::stored_hash,
};

/// Longest way from a trace's root to a tile, of the largest model: three descents over its tokens, two over
/// operators, five over the states of attention.
pub const WAY_MAX: usize = 10;

/// Most tokens of a prompt whose inference is recomputed: they are shown at once, beside a row of the
/// embedding.
pub const PROMPT_TOKENS_MAX: u32 = 8_192;

/// A shape as the referee reads it.
pub fn shape_of(shape: &RefereeShape) -> Shape {
    let RefereeShape {
        layers,
        width,
        heads,
        kv_heads,
        head_dim,
        hidden,
        vocab,
        rows,
        norm_eps_bits,
        tied,
    } = *shape;
    let norm_eps = norm_eps_bits;
    Shape { layers, width, heads, kv_heads, head_dim, hidden, vocab, rows, norm_eps, tied }
}

/// A shape as messages and the state name it.
pub fn shape_named(shape: &Shape) -> RefereeShape {
    let Shape { layers, width, heads, kv_heads, head_dim, hidden, vocab, rows, norm_eps, tied } =
        *shape;
    let norm_eps_bits = norm_eps;
    RefereeShape {
        layers,
        width,
        heads,
        kv_heads,
        head_dim,
        hidden,
        vocab,
        rows,
        norm_eps_bits,
        tied,
    }
}

/// The trace of a claim with so many tokens.
///
/// # Errors
/// A shape that is none, [`Error::Referee`]; a prompt longer than [`PROMPT_TOKENS_MAX`], an empty one, an
/// empty output, or more positions than the model has.
pub fn trace_of(shape: &RefereeShape, n_prompt: u32, n_out: u32) -> Result<Trace, Error> {
    if n_prompt > PROMPT_TOKENS_MAX {
        return Err(Error::LongPrompt { n_prompt, most: PROMPT_TOKENS_MAX });
    }
    Ok(Trace::new(shape_of(shape), n_prompt, n_out)?)
}

/// The node at the end of a way: which child each time, from the root. `None` if there is none.
pub fn node_at(trace: &Trace, way: &[u32]) -> Option<Node> {
    way.iter().try_fold(trace.root(), |node, child| {
        let children = trace.children(&node).ok()?;
        children.get(usize::try_from(*child).ok()?).copied()
    })
}

/// What a game is about: there, since it was opened.
pub(super) struct Subject {
    pub(super) referee: RefereeModel,
    pub(super) trace: Trace,
    /// Where the players stand.
    pub(super) node: Node,
}

pub(super) fn subject(store: &dyn Read, game: &Game) -> Subject {
    let found = || {
        let referee = REFEREES.get(store, &stored_hash(&game.model_id))?;
        let trace = trace_of(referee.shape.as_ref()?, game.n_prompt, game.n_out).ok()?;
        let node = node_at(&trace, &game.path)?;
        Some(Subject { referee, trace, node })
    };
    found().unwrap_or_else(|| fault("a game about nothing", &game.id.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::referee::{
        LAYERS_MAX, Operator, POSITIONS_MAX, SECTION, Step, Tile, VOCABULARY_MAX,
    };

    const SHAPE: RefereeShape = RefereeShape {
        layers: 2,
        width: 10,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        hidden: 14,
        vocab: 300,
        rows: 9,
        norm_eps_bits: 0x3727_c5ac,
        tied: false,
    };

    /// Way and node of a tile, as two who differ there go down to it: to the child under which it is.
    fn go_down(trace: &Trace, tile: Tile) -> usize {
        use crate::attestation::referee::Tier;
        let goal = trace.node_of(tile).unwrap();
        let is_above = |node: &Node| match node.tier {
            Tier::Tokens => true,
            Tier::Operators if node.token == goal.token => true,
            Tier::Tiles => (node.token, node.operator) == (goal.token, goal.operator),
            Tier::Operators => false,
        };
        // In each tree the index that leads to the goal.
        let covers = |node: &Node| {
            let index = match node.tier {
                Tier::Tokens => goal.token,
                Tier::Operators => goal.operator,
                Tier::Tiles => goal.index,
            };
            let span = u64::from(index) >> node.level.min(63);
            is_above(node) && (span == u64::from(node.index) || node.index == 0 && span == 0)
        };
        let mut way = Vec::new();
        let mut node = trace.root();
        while trace.tile_of(&node).is_none() {
            let children = trace.children(&node).unwrap();
            let at = children.iter().position(covers).unwrap();
            way.push(u32::try_from(at).unwrap());
            node = children[at];
        }
        assert_eq!(trace.tile_of(&node), Some(tile));
        assert_eq!(node_at(trace, &way), Some(node));
        way.len()
    }

    use alloc::vec::Vec;

    #[test]
    fn every_tile_is_at_the_end_of_a_way() {
        assert_eq!(shape_named(&shape_of(&SHAPE)), SHAPE);
        let trace = trace_of(&SHAPE, 3, 4).unwrap();
        let mut tiles = 0u64;
        let mut longest = 0;
        for token in 0..trace.tokens() {
            for operator in 0..trace.operators(token) {
                for index in 0..trace.tiles(token, operator).unwrap() {
                    longest = longest.max(go_down(&trace, Tile { token, operator, index }));
                    tiles += 1;
                }
            }
        }
        assert!(longest <= usize::try_from(trace.descents_max()).unwrap());
        assert!(longest <= usize::try_from(tiles.ilog2()).unwrap(), "{longest} of {tiles}");
        assert!(node_at(&trace, &[64]).is_none());
        assert!(node_at(&trace, &[0; 40]).is_none());
    }

    #[test]
    fn the_largest_model_has_the_longest_way() {
        let largest = RefereeShape {
            layers: LAYERS_MAX,
            width: SECTION,
            heads: SECTION / 2,
            kv_heads: SECTION / 2,
            head_dim: 2,
            hidden: SECTION,
            vocab: VOCABULARY_MAX,
            rows: POSITIONS_MAX,
            ..SHAPE
        };
        let trace = trace_of(&largest, PROMPT_TOKENS_MAX, POSITIONS_MAX - PROMPT_TOKENS_MAX + 1);
        let trace = trace.unwrap();
        assert_eq!(trace.descents_max(), 10);
        let token = trace.tokens() - 1;
        let operator = trace.place(Operator::Layer(255, Step::Attend));
        let index = trace.tiles(token, operator).unwrap() - 1;
        assert_eq!(go_down(&trace, Tile { token, operator, index }), WAY_MAX);
        let longer = trace_of(&largest, PROMPT_TOKENS_MAX + 1, 1);
        assert!(matches!(longer, Err(Error::LongPrompt { .. })));
    }
}
