//! Evidence of an inference: recorded while it is written, compared by who reads it again.
//!
//! What the bytes mean is the chain's (`plasma_modules::attestation`); here floats become those bytes. A
//! [`Recorder`] sees every row once. It makes the fingerprint of a segment as soon as the segment is whole, and
//! keeps the rows of the output and the last of the prompt until the end, because the seed of the projections
//! is known only then.

mod field;
mod fingerprint;
mod projection;
mod source;

use plasma_modules::attestation::{
    Fingerprint, Leaf, PROJECTIONS, SEGMENT_ROWS, evidence_root, fingerprint_hash, leaf_hash,
    projection_seed,
};
use plasma_modules::types::Hash;
use plasma_proto::plasma::attestation::v1::Evidence;

pub use fingerprint::{Largest, Point};
pub use projection::{Signs, distance_ppm};
pub use source::{fetch, from_json};

use crate::engine::EngineError;

/// Rows of one segment, as a recorder keeps them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segment {
    /// The largest activations.
    pub points: Vec<Point>,
    /// The rows whose projections a leaf holds, one after the other.
    pub rows: Vec<f32>,
}

/// Collects what evidence is made of, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recorder {
    /// Numbers of a row; 0 until there is one.
    width: usize,
    /// Of the prompt, then of each segment of the output.
    segments: Vec<Segment>,
    /// Of the segment under way.
    largest: Largest,
    /// Rows of the segment under way: of the prompt at most the last [`SEGMENT_ROWS`].
    rows: Vec<f32>,
}

impl Recorder {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes rows of the prompt, in order; the last call is the one with `is_last`.
    ///
    /// # Errors
    /// [`EngineError::Model`] for a row of another width, or a number that is not finite.
    pub fn prompt(&mut self, rows: &[f32], width: usize, is_last: bool) -> Result<(), EngineError> {
        self.take(rows, width)?;
        let kept = SEGMENT_ROWS.saturating_mul(width);
        if self.rows.len() > kept {
            self.rows.drain(..self.rows.len() - kept);
        }
        if is_last {
            self.close();
        }
        Ok(())
    }

    /// Takes the row that the next output token is drawn from.
    ///
    /// # Errors
    /// As [`Recorder::prompt`].
    pub fn output(&mut self, row: &[f32]) -> Result<(), EngineError> {
        self.take(row, row.len())?;
        if self.rows.len() >= SEGMENT_ROWS.saturating_mul(self.width) {
            self.close();
        }
        Ok(())
    }

    fn take(&mut self, rows: &[f32], width: usize) -> Result<(), EngineError> {
        let failed = |what: &str| Err(EngineError::Model(what.to_owned()));
        if width == 0 || !rows.len().is_multiple_of(width) || ![0, width].contains(&self.width) {
            return failed("the model's rows have changing widths");
        }
        if rows.iter().any(|number| !number.is_finite()) {
            return failed("the model computed a number that is not finite");
        }
        self.width = width;
        self.largest.add(rows);
        self.rows.extend_from_slice(rows);
        Ok(())
    }

    fn close(&mut self) {
        let points = std::mem::take(&mut self.largest).points();
        self.segments.push(Segment { points, rows: std::mem::take(&mut self.rows) });
    }

    /// The prompt's segment, then those of the output.
    #[must_use]
    pub fn segments(mut self) -> Segments {
        if !self.rows.is_empty() {
            self.close();
        }
        Segments { width: self.width, all: self.segments }
    }
}

/// Everything that was recorded of an inference.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Segments {
    /// Numbers of a row.
    pub width: usize,
    /// The prompt's, then those of the output.
    pub all: Vec<Segment>,
}

/// What the seed of the projections comes from, besides the fingerprints.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// Where the sampling began.
    pub sampling_seed: &'a Hash,
    /// Of the job.
    pub request_hash: &'a [u8],
    /// Of the receipt.
    pub output_tokens_hash: &'a [u8],
}

impl Binding<'_> {
    /// The seed that belongs to these fingerprints.
    #[must_use]
    pub fn seed<'f>(&self, fingerprints: impl IntoIterator<Item = &'f Fingerprint>) -> Hash {
        let names: Vec<Hash> = fingerprints
            .into_iter()
            .map(|fingerprint| fingerprint_hash(&fingerprint.to_bytes()))
            .collect();
        let Self { sampling_seed, request_hash, output_tokens_hash } = self;
        let root = evidence_root(&names);
        projection_seed(sampling_seed, request_hash, output_tokens_hash, &root)
    }
}

impl Segments {
    /// The leaves.
    ///
    /// # Errors
    /// [`EngineError::Model`] if a segment's largest activations collide under every modulus, which no model's do.
    pub fn leaves(&self, binding: &Binding<'_>) -> Result<Vec<Leaf>, EngineError> {
        let fingerprints: Vec<Fingerprint> = self
            .all
            .iter()
            .map(|segment| fingerprint::build(&segment.points))
            .collect::<Result<_, _>>()?;
        let signs = Signs::new(&binding.seed(&fingerprints), self.width);
        let leaf = |(fingerprint, segment): (Fingerprint, &Segment)| Leaf {
            fingerprint,
            projections: segment.project(&signs),
        };
        Ok(fingerprints.into_iter().zip(&self.all).map(leaf).collect())
    }
}

impl Segment {
    /// The projections of its rows, as f16 bits.
    #[must_use]
    pub fn project(&self, signs: &Signs) -> [[u16; PROJECTIONS]; SEGMENT_ROWS] {
        let mut projections = [[0; PROJECTIONS]; SEGMENT_ROWS];
        for (bits, row) in projections.iter_mut().zip(self.rows.chunks(signs.width().max(1))) {
            *bits = signs.project(row);
        }
        projections
    }
}

/// The root over leaves.
#[must_use]
pub fn root(leaves: &[Leaf]) -> Hash {
    let names: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(&leaf.to_bytes())).collect();
    evidence_root(&names)
}

/// Leaves as a node keeps and shows them.
#[must_use]
pub fn to_message(job_id: u64, attempt: u32, leaves: &[Leaf]) -> Evidence {
    Evidence { job_id, attempt, leaves: leaves.iter().map(Leaf::to_bytes).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plasma_modules::types::hex;

    /// Rows of small whole numbers, which every machine adds up alike.
    fn rows(n: usize, width: usize, salt: usize) -> Vec<f32> {
        (0..n * width).map(|i| ((i * 7919 + salt * 31) % 2003) as f32 - 1001.0).collect()
    }

    const BINDING: Binding<'_> =
        Binding { sampling_seed: &[1; 32], request_hash: &[2; 32], output_tokens_hash: &[3; 32] };

    fn recorded(n_in: usize, n_out: usize, width: usize) -> Recorder {
        let mut recorder = Recorder::new();
        recorder.prompt(&rows(n_in, width, 0), width, true).unwrap();
        for at in 0..n_out {
            recorder.output(&rows(1, width, at + 1)).unwrap();
        }
        recorder
    }

    #[test]
    fn leaves_are_golden() {
        let leaves = recorded(40, 33, 96).segments().leaves(&BINDING).unwrap();
        assert_eq!(leaves.len(), 3);
        let names: Vec<String> =
            leaves.iter().map(|leaf| hex(&leaf_hash(&leaf.to_bytes()))).collect();
        assert_eq!(names, GOLDEN);
    }

    /// Leaves are counted and parsed as the chain counts and parses them.
    #[test]
    fn the_chain_takes_every_leaf() {
        use plasma_modules::attestation::{leaf_count, leaf_rows};
        for (n_in, n_out) in [(1, 0), (1, 1), (31, 32), (32, 33), (33, 64), (300, 65)] {
            for width in [1, 3, 64, 200] {
                let leaves = recorded(n_in, n_out, width).segments().leaves(&BINDING).unwrap();
                let count = leaf_count(u32::try_from(n_out).unwrap());
                assert_eq!(leaves.len(), count as usize);
                for (at, leaf) in (0..).zip(&leaves) {
                    let rows = leaf_rows(at, n_in as u64, n_out as u32).unwrap();
                    assert_eq!(Leaf::parse(&leaf.to_bytes(), rows).as_ref(), Ok(leaf));
                }
            }
        }
    }

    #[test]
    fn how_the_prompt_was_read_does_not_matter() {
        let all = rows(100, 64, 5);
        let mut at_once = Recorder::new();
        at_once.prompt(&all, 64, true).unwrap();
        let mut pieces = Recorder::new();
        for (at, piece) in all.chunks(64 * 7).enumerate() {
            pieces.prompt(piece, 64, at == 14).unwrap();
        }
        assert_eq!(at_once.segments(), pieces.segments());
    }

    #[test]
    fn what_is_no_row_is_refused() {
        let mut recorder = Recorder::new();
        assert!(recorder.prompt(&[1.0, 2.0, 3.0], 2, true).is_err());
        recorder.prompt(&[1.0, 2.0], 2, true).unwrap();
        assert!(recorder.output(&[1.0]).is_err());
        assert!(recorder.output(&[1.0, f32::NAN]).is_err());
        assert!(recorder.output(&[1.0, f32::INFINITY]).is_err());
        recorder.output(&[1.0, 2.0]).unwrap();
    }

    #[test]
    fn every_part_binds_the_projections() {
        let segments = recorded(4, 8, 64).segments();
        let root_of = |binding: &Binding<'_>| root(&segments.leaves(binding).unwrap());
        let base = root_of(&BINDING);
        assert_eq!(base, root_of(&BINDING));
        assert_ne!(base, root_of(&Binding { sampling_seed: &[9; 32], ..BINDING }));
        assert_ne!(base, root_of(&Binding { request_hash: &[9; 32], ..BINDING }));
        assert_ne!(base, root_of(&Binding { output_tokens_hash: &[9; 32], ..BINDING }));
    }

    /// As another program computes them, with Lagrange's formula and Python's floats.
    const GOLDEN: [&str; 3] = [
        "f8dbace44f59fc90021d6a7f1c25daae977625d6e3e79068e8c2ea77fc7a4b5a",
        "7dd4e01d5f164a441d3d83c78ccab237b77db6bfebce2f463da38f25a7f7d3ab",
        "8d0ed73af0459d753acd5eb3a391352728e6f6901ba30e417272a541a9e0912a",
    ];
}
