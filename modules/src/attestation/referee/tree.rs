//! Counted Merkle trees over names, as evidence has them (`xpl/node/v1`; what has no right neighbour goes up as it is), with paths of neighbours
//! for whole ranges. A level is counted from the leaves, 0, up; above the top stands the crown, which binds domain and count.

use alloc::vec::Vec;

use super::super::evidence::{above, node};
use crate::types::{Hash, digest};

/// Of a tile's numbers.
const TILE: &[u8] = b"xpl/tile/v1";
/// Of the numbers of a leaf of the weights.
const ROW: &[u8] = b"xpl/row/v1";
/// Crowns.
pub(super) const TILES: &[u8] = b"xpl/trace/tiles/v1";
pub(super) const OPERATORS: &[u8] = b"xpl/trace/operators/v1";
pub(super) const TOKENS: &[u8] = b"xpl/trace/tokens/v1";
const WEIGHTS: &[u8] = b"xpl/weights/v1";

/// The name of a tile: over its numbers' bits, little-endian.
pub fn tile_hash(values: &[u32]) -> Hash {
    named(TILE, values)
}

/// The name of a leaf of the weights: over its numbers' bits, little-endian.
pub fn row_hash(values: &[u32]) -> Hash {
    named(ROW, values)
}

fn named(domain: &[u8], values: &[u32]) -> Hash {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    digest(&[domain, &bytes])
}

/// The name of an operator of a token, from the names of its tiles.
pub fn operator_hash(tiles: &[Hash]) -> Hash {
    crown_of(TILES, tiles)
}

/// The name of a token, from the names of its operators.
pub fn token_hash(operators: &[Hash]) -> Hash {
    crown_of(OPERATORS, operators)
}

/// The root of a trace, from the names of its tokens.
pub fn trace_root(tokens: &[Hash]) -> Hash {
    crown_of(TOKENS, tokens)
}

/// The root of a model's weights, from the names of its leaves.
pub fn weights_root(rows: &[Hash]) -> Hash {
    crown_of(WEIGHTS, rows)
}

fn crown_of(domain: &[u8], leaves: &[Hash]) -> Hash {
    let top = nodes(leaves, height(count(leaves))).first().copied().unwrap_or_default();
    crown(domain, count(leaves), &top)
}

/// The digest of domain, count (be32) and top.
pub(super) fn crown(domain: &[u8], count: u32, top: &Hash) -> Hash {
    digest(&[domain, &count.to_be_bytes(), top])
}

fn count(leaves: &[Hash]) -> u32 {
    u32::try_from(leaves.len()).unwrap_or(u32::MAX)
}

/// The level of the top over this many leaves.
pub fn height(leaves: u32) -> u32 {
    leaves.saturating_sub(1).checked_ilog2().map_or(0, |bits| bits.saturating_add(1))
}

/// Nodes of a level over this many leaves.
pub fn level_width(leaves: u32, level: u32) -> u32 {
    match leaves.checked_sub(1) {
        None => 0,
        Some(last) => last.checked_shr(level).unwrap_or(0).saturating_add(1),
    }
}

/// All nodes of a level above these.
pub fn nodes(leaves: &[Hash], level: u32) -> Vec<Hash> {
    let mut nodes = leaves.to_vec();
    for _ in 0..level {
        nodes = above(&nodes);
    }
    nodes
}

/// What shows that the `len` leaves from `first` on are where they are: level by level the neighbour on the left, then on the right, where there
/// is one and it is needed. `None` if there are not that many, or none.
pub fn range_path(leaves: &[Hash], first: u32, len: u32) -> Option<Vec<Hash>> {
    let end = first.checked_add(len)?;
    let (mut first, mut end) = (usize::try_from(first).ok()?, usize::try_from(end).ok()?);
    if first >= end || end > leaves.len() {
        return None;
    }
    let mut level = leaves.to_vec();
    let mut path = Vec::new();
    while level.len() > 1 {
        if first & 1 == 1 {
            first = first.saturating_sub(1);
            path.extend(level.get(first));
        }
        if end & 1 == 1 {
            path.extend(level.get(end));
        }
        level = above(&level);
        (first, end) = (first >> 1, end.div_ceil(2));
    }
    Some(path)
}

/// The top over `count` leaves of which those from `first` on are given, with neighbours from `path` as [`range_path`] gives them.
pub(super) fn climb<'a>(
    count: u32,
    first: u32,
    leaves: Vec<Hash>,
    path: &mut impl Iterator<Item = &'a Hash>,
) -> Option<Hash> {
    let end = first.checked_add(u32::try_from(leaves.len()).ok()?)?;
    if leaves.is_empty() || end > count {
        return None;
    }
    let (mut first, mut end, mut width, mut nodes) = (first, end, count, leaves);
    while width > 1 {
        if first & 1 == 1 {
            nodes.insert(0, *path.next()?);
        }
        if end & 1 == 1 && end < width {
            nodes.push(*path.next()?);
        }
        nodes = above(&nodes);
        (first, end, width) = (first >> 1, end.div_ceil(2), width.div_ceil(2));
    }
    nodes.first().copied()
}

/// Whether the leaf of the weights at `index` of `count` has this name.
pub(super) fn is_row(root: &Hash, count: u32, index: u32, row: Hash, path: &[Hash]) -> bool {
    let mut path = path.iter();
    let top = climb(count, index, Vec::from([row]), &mut path);
    path.next().is_none() && top.is_some_and(|top| crown(WEIGHTS, count, &top) == *root)
}

/// The node of two, for those who build trees as they go.
pub fn parent(left: &Hash, right: &Hash) -> Hash {
    node(left, right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: u32) -> Vec<Hash> {
        (0..count).map(|at| tile_hash(&[at])).collect()
    }

    #[test]
    fn levels_are_counted() {
        assert_eq!([0, 1, 2, 3, 4, 5, 64, 65, u32::MAX].map(height), [0, 0, 1, 2, 2, 3, 6, 7, 32]);
        assert_eq!([0, 1, 2, 3, 40].map(|level| level_width(5, level)), [5, 3, 2, 1, 1]);
        for count in 1..40 {
            for level in 0..8 {
                let found = nodes(&leaves(count), level).len();
                assert_eq!(found, level_width(count, level) as usize, "{count} {level}");
            }
            assert_eq!(level_width(count, height(count)), 1);
        }
    }

    #[test]
    fn domains_and_counts_are_bound() {
        let all = leaves(3);
        let roots = [operator_hash(&all), token_hash(&all), trace_root(&all), weights_root(&all)];
        for (at, root) in roots.iter().enumerate() {
            assert!(!roots[at + 1..].contains(root));
        }
        assert_ne!(tile_hash(&[1, 2]), row_hash(&[1, 2]));
        let inner = parent(&all[0], &all[1]);
        assert_ne!(trace_root(&all), trace_root(&[inner, all[2]]));
    }

    proptest! {
        #[test]
        fn ranges_show_themselves_and_nothing_else(count in 1u32..70, first in 0u32..70, len in 1u32..70, flip in any::<prop::sample::Index>()) {
            let first = first % count;
            let len = 1 + (len - 1) % (count - first);
            let all = leaves(count);
            let top = nodes(&all, height(count))[0];
            let path = range_path(&all, first, len).unwrap();
            let own = all[first as usize..][..len as usize].to_vec();
            let mut rest = path.iter();
            prop_assert_eq!(climb(count, first, own.clone(), &mut rest), Some(top));
            prop_assert!(rest.next().is_none());
            let mut wrong = own.clone();
            wrong[flip.index(len as usize)] = [7; 32];
            prop_assert_ne!(climb(count, first, wrong, &mut path.iter()), Some(top));
            if first + len < count {
                prop_assert_ne!(climb(count, first + 1, own.clone(), &mut path.iter()), Some(top));
            }
            if let Some((_, shorter)) = path.split_last() {
                prop_assert_eq!(climb(count, first, own, &mut shorter.iter()), None);
            }
            prop_assert!(range_path(&all, first, count - first + 1).is_none());
        }
    }
}
