#![doc = include_str!("README.md")]

mod error;
mod judge;
pub mod kernel;
mod place;
mod shape;
mod soft;
mod tree;

pub use error::RefereeError;
pub use judge::{Needs, Opening};
pub use place::{
    CHILDREN_MAX, CHOICES, CHUNK, DESCENT_LEVELS, Node, Operator, Slice, Step, Tier, Tile, Trace,
};
pub use shape::{
    HEAD_DIM_MAX, HIDDEN_MAX, LAYERS_MAX, POSITIONS_MAX, Row, SECTION, Shape, Tensor,
    VOCABULARY_MAX,
};
pub use soft::{INFINITY, NAN, Number, ONE, Soft};
pub use tree::{
    height, level_width, nodes, operator_hash, parent, range_path, row_hash, tile_hash, token_hash,
    trace_root, weights_root,
};

/// The kernel id of claims that the referee can decide.
pub const KERNEL_ID: &str = "referee/1";
