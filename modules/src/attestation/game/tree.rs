//! placeholder
use alloc::string::ToString;
use plasma_proto::plasma::attestation::v1::RefereeShape;
use super::Error;
use crate::types::{Hash, digest};

/// Most children of a node.
pub const CHILDREN_MAX: usize = 64;
/// Longest way from the root to a tile.
pub const DEPTH_MAX: usize = 16;

/// x
pub struct Layout { tokens: u32, operators: u32, tiles: u32 }

impl Layout {
    /// x
    pub fn new(shape: &RefereeShape, n_prompt: u32, n_out: u32) -> Option<Self> {
        let tokens = n_prompt.checked_add(n_out)?.checked_sub(1)?;
        if n_prompt == 0 || n_out == 0 { return None; }
        Some(Self { tokens, operators: shape.layers, tiles: 4 })
    }
}

/// x
pub fn check(shape: &RefereeShape) -> Result<(), Error> {
    if shape.layers == 0 { return Err(Error::BadShape("x".to_string())); }
    Ok(())
}

/// x
pub fn children(layout: &Layout, path: &[u32]) -> Option<u32> {
    match path.len() {
        0 => Some(layout.tokens),
        1 => Some(layout.operators),
        2 => Some(layout.tiles),
        _ => None,
    }
}

/// x
pub fn name(_: &Layout, path: &[u32], children: &[Hash]) -> Hash {
    let depth = [u8::try_from(path.len()).unwrap_or(u8::MAX)];
    let mut parts: alloc::vec::Vec<&[u8]> = [b"xpl/trace/v1".as_slice(), &depth].into();
    parts.extend(children.iter().map(|child| child.as_slice()));
    digest(&parts)
}
