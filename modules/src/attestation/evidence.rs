//! What a provider can show of an inference: a leaf per 32 rows, a root over the leaves in the receipt.
//!
//! A row is what the model's last norm gives for one position; row j of the output produced output token
//! j, so that row 0 belongs to the last token of the prompt. A segment is up to [`SEGMENT_ROWS`] rows
//! of the output in order, or, first of all and always there, all rows of the prompt. The chain reads
//! leaves by integers alone: numbers of models are bits here.

use alloc::vec::Vec;

use crate::types::{Hash, digest};

/// Rows of an output that one leaf covers.
pub const SEGMENT_ROWS: usize = 32;
/// Activations that a fingerprint holds.
pub const FINGERPRINT_POINTS: usize = 128;
/// Numbers that a row is projected to.
pub const PROJECTIONS: usize = 8;
/// The field of fingerprints: above every bf16 but negative NaNs.
pub const FIELD: u16 = 65_497;
/// A fingerprint's modulus is above this, and at most [`FIELD`].
pub const MODULUS_FLOOR: u16 = 32_768;
/// A fingerprint: the modulus, then the coefficients, be16 each.
pub const FINGERPRINT_BYTES: usize = 2 + 2 * FINGERPRINT_POINTS;
/// The projections of a segment: f16 as be16, row by row.
pub const PROJECTION_BYTES: usize = 2 * PROJECTIONS * SEGMENT_ROWS;
/// A leaf: fingerprint, then projections.
pub const LEAF_BYTES: usize = FINGERPRINT_BYTES + PROJECTION_BYTES;
/// Steps of the longest path that there can be: of a tree of 2^32 leaves.
pub const PATH_MAX: usize = 32;

/// The exponent of an f16: all ones are infinities and NaNs.
const F16_EXPONENT: u16 = 0x7c00;

/// Why evidence is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not [`LEAF_BYTES`].
    #[error("a leaf has {LEAF_BYTES} bytes, this has {0}")]
    Length(usize),
    /// Out of its range.
    #[error("a fingerprint's modulus is above {MODULUS_FLOOR} and at most {FIELD}, this is {0}")]
    Modulus(u16),
    /// No element of the field.
    #[error("a fingerprint's coefficients are below {FIELD}, one is {0}")]
    Coefficient(u16),
    /// An infinity or a NaN.
    #[error("a projection is a finite f16, one is {0:#06x}")]
    NotFinite(u16),
    /// A row that the segment has not.
    #[error("row {0} of a leaf is beyond its segment and not zero")]
    UnusedRow(usize),
}

/// A polynomial over GF([`FIELD`]) that gives, at the place of each of a segment's largest activations,
/// its bf16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// An activation at index i of the segment (row by row) stands at place i mod this.
    pub modulus: u16,
    /// From the constant on.
    pub coefficients: [u16; FINGERPRINT_POINTS],
}

impl Fingerprint {
    /// As it stands in a leaf.
    ///
    /// # Errors
    /// Another length than [`FINGERPRINT_BYTES`], a modulus or a coefficient out of range.
    pub fn parse(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let (numbers, odd) = bytes.as_chunks::<2>();
        let [modulus, rest @ ..] = numbers else { return Err(EvidenceError::Length(bytes.len())) };
        if rest.len() != FINGERPRINT_POINTS || !odd.is_empty() {
            return Err(EvidenceError::Length(bytes.len()));
        }
        let modulus = u16::from_be_bytes(*modulus);
        if modulus <= MODULUS_FLOOR || modulus > FIELD {
            return Err(EvidenceError::Modulus(modulus));
        }
        let mut coefficients = [0; FINGERPRINT_POINTS];
        for (coefficient, bytes) in coefficients.iter_mut().zip(rest) {
            *coefficient = u16::from_be_bytes(*bytes);
            if *coefficient >= FIELD {
                return Err(EvidenceError::Coefficient(*coefficient));
            }
        }
        Ok(Self { modulus, coefficients })
    }

    /// As it stands in a leaf.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { modulus, coefficients } = self;
        let mut bytes = Vec::with_capacity(FINGERPRINT_BYTES);
        bytes.extend_from_slice(&modulus.to_be_bytes());
        bytes.extend(coefficients.iter().flat_map(|coefficient| coefficient.to_be_bytes()));
        bytes
    }

    /// The bf16 that the fingerprint claims for the activation at `index` of the segment.
    pub fn at(&self, index: u64) -> u16 {
        let place = index.checked_rem(self.modulus.into()).unwrap_or_default();
        let value = self.coefficients.iter().rev().fold(0u64, |value, coefficient| {
            value
                .saturating_mul(place)
                .saturating_add(u64::from(*coefficient))
                .checked_rem(FIELD.into())
                .unwrap_or_default()
        });
        u16::try_from(value).unwrap_or_default()
    }
}

/// The evidence of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Of the segment's activations.
    pub fingerprint: Fingerprint,
    /// Each row's projections, as bits of f16; rows that the segment has not are zero. Of the prompt,
    /// whose segment may be longer, its last rows.
    pub projections: [[u16; PROJECTIONS]; SEGMENT_ROWS],
}

impl Leaf {
    /// Reads the leaf of a segment that has `rows` rows; more than [`SEGMENT_ROWS`] count as that many.
    ///
    /// # Errors
    /// What [`EvidenceError`] lists.
    pub fn parse(bytes: &[u8], rows: usize) -> Result<Self, EvidenceError> {
        let wrong = || EvidenceError::Length(bytes.len());
        let (head, tail) = bytes.split_at_checked(FINGERPRINT_BYTES).ok_or_else(wrong)?;
        if bytes.len() != LEAF_BYTES {
            return Err(wrong());
        }
        let fingerprint = Fingerprint::parse(head)?;
        let mut projections = [[0; PROJECTIONS]; SEGMENT_ROWS];
        let numbers = projections.iter_mut().enumerate();
        let numbers = numbers.flat_map(|(row, all)| all.iter_mut().map(move |one| (row, one)));
        for ((row, number), bytes) in numbers.zip(tail.as_chunks::<2>().0) {
            *number = u16::from_be_bytes(*bytes);
            if *number & F16_EXPONENT == F16_EXPONENT {
                return Err(EvidenceError::NotFinite(*number));
            }
            if row >= rows && *number != 0 {
                return Err(EvidenceError::UnusedRow(row));
            }
        }
        Ok(Self { fingerprint, projections })
    }

    /// [`LEAF_BYTES`] bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { fingerprint, projections } = self;
        let mut bytes = fingerprint.to_bytes();
        bytes.extend(projections.iter().flatten().flat_map(|number| number.to_be_bytes()));
        bytes
    }
}

/// Leaves of an inference with `n_out` output tokens: the prompt's, and one per [`SEGMENT_ROWS`] rows.
pub fn leaf_count(n_out: u32) -> u32 {
    n_out.div_ceil(32).saturating_add(1)
}

/// Rows whose projections the leaf at `index` holds, of an inference with `n_in` input and `n_out`
/// output tokens; none if there is no such leaf.
pub fn leaf_rows(index: u32, n_in: u64, n_out: u32) -> Option<usize> {
    let rows = match index.checked_sub(1) {
        None => n_in,
        Some(segment) => u64::from(n_out).checked_sub(u64::from(segment).checked_mul(32)?)?,
    };
    if index > 0 && rows == 0 {
        return None;
    }
    usize::try_from(rows.min(32)).ok()
}

/// The name of a leaf in its tree.
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    digest(&[b"xpl/leaf/v1", leaf])
}

/// The name of a leaf's fingerprint, the [`FINGERPRINT_BYTES`] that it begins with, in the tree that
/// seeds the projections.
pub fn fingerprint_hash(fingerprint: &[u8]) -> Hash {
    digest(&[b"xpl/fingerprint/v1", fingerprint])
}

/// The root over the names of leaves, which binds their number: the digest of `xpl/evidence/v1`, the
/// number (be32), and the top of a tree whose nodes are digests of `xpl/node/v1`, left, right. A node
/// that has no right neighbour goes up as it is.
pub fn evidence_root(hashes: &[Hash]) -> Hash {
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    let top = level.first().copied().unwrap_or_default();
    rooted(u32::try_from(hashes.len()).unwrap_or(u32::MAX), &top)
}

fn rooted(count: u32, top: &Hash) -> Hash {
    digest(&[b"xpl/evidence/v1", &count.to_be_bytes(), top])
}

pub(super) fn node(left: &Hash, right: &Hash) -> Hash {
    digest(&[b"xpl/node/v1", left, right])
}

pub(super) fn above(level: &[Hash]) -> Vec<Hash> {
    let (pairs, last) = level.as_chunks::<2>();
    pairs.iter().map(|[left, right]| node(left, right)).chain(last.iter().copied()).collect()
}

/// What shows that the leaf at `index` is under the root of `hashes`: its neighbours from the leaf up.
/// `None` if there is no such leaf.
pub fn evidence_path(hashes: &[Hash], index: u32) -> Option<Vec<Hash>> {
    let mut at = usize::try_from(index).ok().filter(|at| *at < hashes.len())?;
    let mut level = hashes.to_vec();
    let mut path = Vec::with_capacity(PATH_MAX);
    while level.len() > 1 {
        path.extend(level.get(at ^ 1));
        level = above(&level);
        at >>= 1;
    }
    Some(path)
}

/// Whether the leaf of this name is the one at `index` of the `count` leaves under `root`.
pub fn verify_path(root: &Hash, count: u32, index: u32, leaf: &Hash, path: &[Hash]) -> bool {
    if index >= count || path.len() > PATH_MAX {
        return false;
    }
    let (mut at, mut last, mut top) = (index, count.saturating_sub(1), *leaf);
    let mut path = path.iter();
    while last > 0 {
        if at & 1 == 1 || at < last {
            let Some(neighbour) = path.next() else { return false };
            top = if at & 1 == 1 { node(neighbour, &top) } else { node(&top, neighbour) };
        }
        (at, last) = (at >> 1, last >> 1);
    }
    path.next().is_none() && rooted(count, &top) == *root
}

/// What the projections of an inference are drawn from: known only when its tokens and fingerprints
/// are fixed, and of no other inference, because its sampling seed is of no other.
pub fn projection_seed(
    sampling_seed: &Hash,
    request_hash: &[u8],
    output_tokens_hash: &[u8],
    fingerprints_root: &Hash,
) -> Hash {
    digest(&[
        b"xpl/projection/v1",
        sampling_seed,
        request_hash,
        output_tokens_hash,
        fingerprints_root,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{hex, sha256};
    use alloc::string::String;
    use proptest::prelude::*;

    fn leaf() -> Leaf {
        let mut coefficients = [0; FINGERPRINT_POINTS];
        for (at, coefficient) in (0u16..).zip(&mut coefficients) {
            *coefficient = at * 511;
        }
        let mut projections = [[0; PROJECTIONS]; SEGMENT_ROWS];
        for (at, number) in (0u16..).zip(projections.iter_mut().take(5).flatten()) {
            *number = 0x3c00 + at;
        }
        Leaf { fingerprint: Fingerprint { modulus: FIELD, coefficients }, projections }
    }

    fn hashes(count: u32) -> Vec<Hash> {
        (0..count).map(|at| leaf_hash(&at.to_be_bytes())).collect()
    }

    #[test]
    fn bytes_and_digests_are_golden() {
        let leaf = leaf();
        let bytes = leaf.to_bytes();
        let mut found: Vec<String> =
            [1, 2, 3, 5, 8].map(|count| hex(&evidence_root(&hashes(count)))).into_iter().collect();
        found.push(hex(&sha256(&bytes)));
        found.push(hex(&leaf_hash(&bytes)));
        found.push(hex(&fingerprint_hash(&leaf.fingerprint.to_bytes())));
        found.push(hex(&projection_seed(&[1; 32], &[2; 32], &[3; 32], &[4; 32])));
        assert_eq!(found, GOLDEN);
        assert_eq!((bytes.len(), leaf.fingerprint.at(0), leaf.fingerprint.at(1)), (770, 0, 27_097));
    }

    #[test]
    fn a_leaf_is_what_it_was_written_as() {
        let leaf = leaf();
        let bytes = leaf.to_bytes();
        assert_eq!(Leaf::parse(&bytes, 5), Ok(leaf.clone()));
        assert_eq!(Leaf::parse(&bytes, 32), Ok(leaf));
        assert_eq!(Leaf::parse(&bytes, 4), Err(EvidenceError::UnusedRow(4)));
        for len in [0, 1, 257, 258, 769] {
            assert_eq!(Leaf::parse(&bytes[..len], 5), Err(EvidenceError::Length(len)));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Leaf::parse(&longer, 5), Err(EvidenceError::Length(771)));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let changed = |at: usize, number: u16| {
            let mut bytes = leaf().to_bytes();
            bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
            Leaf::parse(&bytes, 5).err()
        };
        for modulus in [0, 1, MODULUS_FLOOR, FIELD + 1, u16::MAX] {
            assert_eq!(changed(0, modulus), Some(EvidenceError::Modulus(modulus)));
        }
        assert_eq!(changed(0, MODULUS_FLOOR + 1), None);
        for coefficient in [FIELD, u16::MAX] {
            for at in [2, 256] {
                assert_eq!(changed(at, coefficient), Some(EvidenceError::Coefficient(coefficient)));
            }
        }
        assert_eq!(changed(2, FIELD - 1), None);
        for number in [0x7c00, 0xfc00, 0x7e00, 0xffff] {
            assert_eq!(changed(258, number), Some(EvidenceError::NotFinite(number)));
            assert_eq!(changed(768, number), Some(EvidenceError::NotFinite(number)));
        }
        assert_eq!(changed(258, 0x7bff), None);
        assert_eq!(changed(768, 0x8000), Some(EvidenceError::UnusedRow(31)), "-0 is not zero");
    }

    #[test]
    fn leaves_are_counted_by_rows() {
        assert_eq!([0, 1, 32, 33, 64, u32::MAX].map(leaf_count), [1, 2, 2, 3, 3, (1 << 27) + 1]);
        assert_eq!(
            [0, 1, 2, 3].map(|index| leaf_rows(index, 9, 33)),
            [Some(9), Some(32), Some(1), None]
        );
        assert_eq!(leaf_rows(0, 1_000, 0), Some(32));
        assert_eq!(leaf_rows(1, 1_000, 0), None);
        assert_eq!(leaf_rows(2, 1_000, 64), Some(32));
        assert_eq!(leaf_rows(u32::MAX, u64::MAX, u32::MAX), None);
    }

    #[test]
    fn leaf_and_node_are_not_taken_for_each_other() {
        let two = hashes(2);
        let inner = node(&two[0], &two[1]);
        assert_ne!(evidence_root(&[inner]), evidence_root(&two));
        assert_ne!(leaf_hash(&[1; 258]), fingerprint_hash(&[1; 258]));
    }

    proptest! {
        #[test]
        fn paths_show_their_leaf_and_no_other(count in 1u32..70, index in 0u32..70, other in 0u32..70) {
            let index = index % count;
            let all = hashes(count);
            let root = evidence_root(&all);
            let path = evidence_path(&all, index).unwrap();
            let leaf = all[index as usize];
            prop_assert!(verify_path(&root, count, index, &leaf, &path));
            prop_assert!(evidence_path(&all, count).is_none());
            prop_assert!(!verify_path(&root, count + 1, index, &leaf, &path), "the number is bound");
            prop_assert!(!verify_path(&root, count, count, &leaf, &path));
            if other != index {
                prop_assert!(!verify_path(&root, count, other, &leaf, &path));
            }
            prop_assert!(!verify_path(&root, count, index, &[7; 32], &path));
            let longer = [&path[..], &[leaf]].concat();
            prop_assert!(!verify_path(&root, count, index, &leaf, &longer));
            if let Some((_, shorter)) = path.split_last() {
                prop_assert!(!verify_path(&root, count, index, &leaf, shorter));
            }
        }

        #[test]
        fn whatever_is_parsed_is_written_the_same(mut bytes in proptest::collection::vec(any::<u8>(), LEAF_BYTES), rows in 0usize..40) {
            bytes[0] |= 0x80;
            match Leaf::parse(&bytes, rows) {
                Ok(leaf) => prop_assert_eq!(leaf.to_bytes(), bytes),
                Err(error) => prop_assert!(!matches!(error, EvidenceError::Length(_))),
            }
        }

        #[test]
        fn the_polynomial_is_what_it_says(coefficients in proptest::collection::vec(0u16..FIELD, FINGERPRINT_POINTS), modulus in MODULUS_FLOOR + 1..=FIELD, index in any::<u64>()) {
            let print = Fingerprint { modulus, coefficients: coefficients.clone().try_into().unwrap() };
            let (mut sum, mut power) = (0u64, 1u64);
            for coefficient in coefficients {
                sum = (sum + power * u64::from(coefficient)) % u64::from(FIELD);
                power = power * (index % u64::from(modulus)) % u64::from(FIELD);
            }
            prop_assert_eq!(u64::from(print.at(index)), sum);
        }
    }

    const GOLDEN: [&str; 9] = [
        "ad39109b758c07cf76c26c33c7c6f114f24c46fd953034a26cfa359e59fbfc9d",
        "32da75b5c3041f309f1f070e374a7038e0e628adac7b7e943f8ef667b731a001",
        "80ec092ebad0b509483e8b3dddbea8f645a11332cdb0f2dc3721b09508e1d5c8",
        "ca6cd69bfa733dda286d55ea49d2be8c44de6afdd9fd7775c83552eb31d06df4",
        "bd395f387013e5b41736c62a961a94717278f9f8f19cd715a340763afcebfab3",
        "4b3a9f18f2d82fc89152aa06e6611f9189df6e7c5d178a8db168f35b86340a1e",
        "eebca217e61308a20085fec63a3864f898a5a184ebb0402e2c9c85247c25b91d",
        "d4cb14e7bf10bccaf7a94922bfbea3d0c25b52a710ca16d538a3811b4d349774",
        "e87158ef0db772e69bcfcb85b58dc6811e1df3534a1ec625c96eeabcf795c63f",
    ];
}
