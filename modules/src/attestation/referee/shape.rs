//! What a model is to the referee: its dimensions, and the order of its weights under their root.

use alloc::vec::Vec;

use super::{RefereeError, soft::INFINITY};

/// Longest row of numbers that one tile reads: of the weights, and of a vector that it is multiplied with. Both, with their paths, fit into a
/// transaction.
pub const SECTION: u32 = 6_144;
/// Most layers.
pub const LAYERS_MAX: u32 = 256;
/// Most numbers of a head.
pub const HEAD_DIM_MAX: u32 = 512;
/// Widest inner vector of the feed-forward part: its product is made in sections.
pub const HIDDEN_MAX: u32 = 8 * SECTION;
/// Largest vocabulary.
pub const VOCABULARY_MAX: u32 = 1 << 19;
/// Most positions.
pub const POSITIONS_MAX: u32 = 1 << 17;

/// Dimensions of a model of the Llama family without biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Layers.
    pub layers: u32,
    /// Numbers of the vector that goes from layer to layer; at most [`SECTION`].
    pub width: u32,
    /// Heads of the queries.
    pub heads: u32,
    /// Heads of keys and values: a divisor of the former.
    pub kv_heads: u32,
    /// Numbers of a head, even, at most [`HEAD_DIM_MAX`]; all heads of the queries have at most [`SECTION`].
    pub head_dim: u32,
    /// Numbers inside the feed-forward part.
    pub hidden: u32,
    /// Rows of the embedding.
    pub vocab: u32,
    /// Positions: rows of the tables of angles.
    pub rows: u32,
    /// Added to the mean of squares in the norms: the bits of a finite number that is not negative.
    pub norm_eps: u32,
    /// Whether the output matrix is the embedding.
    pub tied: bool,
}

/// A tensor of a model. A matrix stands row by row; a row of [`Tensor::Down`] is cut into sections of [`SECTION`] numbers, each a leaf; every
/// other row is a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tensor {
    /// vocab x width.
    Embedding,
    /// 1 x width, of a layer.
    AttentionNorm(u32),
    /// heads * head_dim x width.
    Query(u32),
    /// kv_heads * head_dim x width.
    Key(u32),
    /// kv_heads * head_dim x width.
    Value(u32),
    /// width x heads * head_dim.
    Output(u32),
    /// 1 x width.
    FeedNorm(u32),
    /// hidden x width.
    Gate(u32),
    /// hidden x width.
    Up(u32),
    /// width x hidden.
    Down(u32),
    /// 1 x width, after the last layer.
    Norm,
    /// vocab x width; there is none in a tied model.
    Head,
    /// positions x head_dim / 2: the cosine of each pair's angle.
    Cos,
    /// positions x head_dim / 2: the sine of each pair's angle.
    Sin,
}

/// A leaf of the weights: of a tensor, the how manieth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of which tensor.
    pub tensor: Tensor,
    /// Row, or for [`Tensor::Down`] row * sections + section.
    pub index: u32,
}

/// Tensors of a layer.
const LAYER: [fn(u32) -> Tensor; 9] = [
    Tensor::AttentionNorm,
    Tensor::Query,
    Tensor::Key,
    Tensor::Value,
    Tensor::Output,
    Tensor::FeedNorm,
    Tensor::Gate,
    Tensor::Up,
    Tensor::Down,
];

impl Shape {
    /// # Errors
    /// What is out of bounds, or does not go together.
    pub fn check(&self) -> Result<(), RefereeError> {
        let Self {
            layers,
            width,
            heads,
            kv_heads,
            head_dim,
            hidden,
            vocab,
            rows,
            norm_eps,
            tied: _,
        } = *self;
        let bounds = [
            ("layers", layers, LAYERS_MAX),
            ("width", width, SECTION),
            ("heads", heads, SECTION),
            ("kv_heads", kv_heads, heads),
            ("head_dim", head_dim, HEAD_DIM_MAX),
            ("heads * head_dim", heads.saturating_mul(head_dim), SECTION),
            ("hidden", hidden, HIDDEN_MAX),
            ("vocab", vocab, VOCABULARY_MAX),
            ("rows", rows, POSITIONS_MAX),
        ];
        for (field, value, most) in bounds {
            if value == 0 || value > most {
                return Err(RefereeError::Dimension { field, value, least: 1, most });
            }
        }
        if !heads.is_multiple_of(kv_heads) {
            return Err(RefereeError::Shape("kv_heads must divide heads"));
        }
        if !head_dim.is_multiple_of(2) {
            return Err(RefereeError::Shape("head_dim must be even"));
        }
        if norm_eps >= INFINITY {
            return Err(RefereeError::Shape(
                "norm_eps must be the bits of a finite number that is not negative",
            ));
        }
        if self.leaves_long() > u64::from(u32::MAX) {
            return Err(RefereeError::Shape("the weights have more than 2^32 - 1 rows"));
        }
        Ok(())
    }

    /// Sections of a row of [`Tensor::Down`].
    pub fn sections(&self) -> u32 {
        self.hidden.div_ceil(SECTION)
    }

    /// Numbers of the section `index` of something that is `len` long.
    pub(super) fn section_len(len: u32, index: u32, section: u32) -> u32 {
        len.saturating_sub(index.saturating_mul(section)).min(section)
    }

    /// Numbers of all query heads.
    pub fn queries(&self) -> u32 {
        self.heads.saturating_mul(self.head_dim)
    }

    /// Numbers of all heads of keys, or of values.
    pub fn keys(&self) -> u32 {
        self.kv_heads.saturating_mul(self.head_dim)
    }

    /// Leaves of a tensor.
    pub fn tensor_leaves(&self, tensor: Tensor) -> u32 {
        match tensor {
            Tensor::Embedding => self.vocab,
            Tensor::Head => {
                if self.tied {
                    0
                } else {
                    self.vocab
                }
            }
            Tensor::AttentionNorm(_) | Tensor::FeedNorm(_) | Tensor::Norm => 1,
            Tensor::Query(_) => self.queries(),
            Tensor::Key(_) | Tensor::Value(_) => self.keys(),
            Tensor::Output(_) => self.width,
            Tensor::Gate(_) | Tensor::Up(_) => self.hidden,
            Tensor::Down(_) => self.width.saturating_mul(self.sections()),
            Tensor::Cos | Tensor::Sin => self.rows,
        }
    }

    /// Numbers of a leaf of the weights.
    pub fn row_len(&self, row: Row) -> u32 {
        match row.tensor {
            Tensor::Output(_) => self.queries(),
            Tensor::Down(_) => {
                let section = row.index.checked_rem(self.sections()).unwrap_or(0);
                Self::section_len(self.hidden, section, SECTION)
            }
            Tensor::Cos | Tensor::Sin => self.head_dim.div_ceil(2),
            _ => self.width,
        }
    }

    /// All tensors in the order of their leaves: the embedding; each layer's; the last norm, the output matrix, cosines and sines.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut all = Vec::from([Tensor::Embedding]);
        for layer in 0..self.layers {
            all.extend(LAYER.map(|tensor| tensor(layer)));
        }
        all.push(Tensor::Norm);
        if !self.tied {
            all.push(Tensor::Head);
        }
        all.extend([Tensor::Cos, Tensor::Sin]);
        all
    }

    fn leaves_long(&self) -> u64 {
        let per_layer = LAYER.map(|tensor| u64::from(self.tensor_leaves(tensor(0))));
        let layers = per_layer
            .into_iter()
            .fold(0u64, u64::saturating_add)
            .saturating_mul(self.layers.into());
        [Tensor::Embedding, Tensor::Norm, Tensor::Head, Tensor::Cos, Tensor::Sin]
            .into_iter()
            .fold(layers, |sum, tensor| sum.saturating_add(self.tensor_leaves(tensor).into()))
    }

    /// Leaves of the weights.
    pub fn leaves(&self) -> u32 {
        u32::try_from(self.leaves_long()).unwrap_or(u32::MAX)
    }

    /// Where a leaf of the weights stands among all; `None` if there is none.
    pub fn leaf(&self, row: Row) -> Option<u32> {
        if row.index >= self.tensor_leaves(row.tensor) {
            return None;
        }
        let per_layer = || LAYER.iter().map(|tensor| self.tensor_leaves(tensor(0)));
        let layer_leaves = per_layer().try_fold(0u32, u32::checked_add)?;
        let behind = |layers: u32| layers.checked_mul(layer_leaves)?.checked_add(self.vocab);
        let first = match row.tensor {
            Tensor::Embedding => 0,
            Tensor::AttentionNorm(layer)
            | Tensor::Query(layer)
            | Tensor::Key(layer)
            | Tensor::Value(layer)
            | Tensor::Output(layer)
            | Tensor::FeedNorm(layer)
            | Tensor::Gate(layer)
            | Tensor::Up(layer)
            | Tensor::Down(layer) => {
                if layer >= self.layers {
                    return None;
                }
                let place = LAYER.iter().position(|tensor| tensor(layer) == row.tensor)?;
                per_layer().take(place).try_fold(behind(layer)?, u32::checked_add)?
            }
            Tensor::Norm => behind(self.layers)?,
            Tensor::Head => behind(self.layers)?.checked_add(1)?,
            Tensor::Cos => behind(self.layers)?
                .checked_add(1)?
                .checked_add(self.tensor_leaves(Tensor::Head))?,
            Tensor::Sin => {
                let cos = self.leaf(Row { tensor: Tensor::Cos, index: 0 })?;
                cos.checked_add(self.rows)?
            }
        };
        first.checked_add(row.index)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const TINY: Shape = Shape {
        layers: 2,
        width: 10,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        hidden: 14,
        vocab: 300,
        rows: 9,
        norm_eps: 0x3727_c5ac,
        tied: false,
    };

    #[test]
    fn leaves_follow_each_other() {
        for shape in [TINY, Shape { tied: true, ..TINY }, Shape { hidden: SECTION + 3, ..TINY }] {
            shape.check().unwrap();
            let mut next = 0;
            for tensor in shape.tensors() {
                for index in 0..shape.tensor_leaves(tensor) {
                    let row = Row { tensor, index };
                    assert_eq!(shape.leaf(row), Some(next), "{row:?}");
                    assert!((1..=SECTION).contains(&shape.row_len(row)));
                    next += 1;
                }
                assert_eq!(shape.leaf(Row { tensor, index: shape.tensor_leaves(tensor) }), None);
            }
            assert_eq!(shape.leaves(), next);
            assert_eq!(shape.leaf(Row { tensor: Tensor::Query(2), index: 0 }), None);
        }
    }

    #[test]
    fn dimensions_out_of_bounds_are_refused() {
        let wrong = [
            Shape { layers: 0, ..TINY },
            Shape { layers: LAYERS_MAX + 1, ..TINY },
            Shape { width: SECTION + 1, ..TINY },
            Shape { heads: 3, ..TINY },
            Shape { kv_heads: 0, ..TINY },
            Shape { kv_heads: 8, ..TINY },
            Shape { head_dim: 5, ..TINY },
            Shape { heads: 2048, head_dim: 4, ..TINY },
            Shape { heads: u32::MAX, kv_heads: 1, head_dim: u32::MAX, ..TINY },
            Shape { hidden: HIDDEN_MAX + 1, ..TINY },
            Shape { vocab: VOCABULARY_MAX + 1, ..TINY },
            Shape { rows: 0, ..TINY },
            Shape { rows: POSITIONS_MAX + 1, ..TINY },
            Shape { norm_eps: INFINITY, ..TINY },
            Shape { norm_eps: 0x8000_0000, ..TINY },
        ];
        for shape in wrong {
            assert!(shape.check().is_err(), "{shape:?}");
        }
        let largest = Shape {
            layers: LAYERS_MAX,
            width: SECTION,
            heads: 48,
            kv_heads: 48,
            head_dim: 128,
            hidden: HIDDEN_MAX,
            vocab: VOCABULARY_MAX,
            rows: POSITIONS_MAX,
            norm_eps: 0,
            tied: false,
        };
        largest.check().unwrap();
        assert!(largest.leaves() < u32::MAX);
    }
}
