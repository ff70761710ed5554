//! Reading an inference again: did this model write these tokens?
//!
//! Four measures, as whole numbers ([`Measures`]): **A** the fingerprints of the activations, **B** their
//! projections, **C** how far each token is from winning its seeded draw, **D** whether the output ends where
//! and why the receipt says. A and B need the leaves; C and D only the model. Two tiers:
//!
//! - [`Tier::Exact`], between equal kernels: the output is computed as it was written, token after token. Every token
//!   must win its draw, and the leaves must come out the same, byte by byte; the root in the receipt says so
//!   even where the leaves are not at hand. It costs what writing cost.
//! - [`Tier::Tolerant`], across kernels: prompt and output are read at once, which costs a fraction, and the
//!   measures are held against a [`Profile`], because another kernel rounds otherwise.

mod calibrate;
mod measure;
mod provider;

use plasma_modules::attestation::audit::question;
use plasma_modules::attestation::{
    EvidenceError, Leaf, SEGMENT_ROWS, evidence_root, leaf_count, leaf_hash, leaf_rows,
    projection_seed, tokens_hash,
};
use plasma_modules::types::Hash;
use plasma_proto::plasma::attestation::v1::{FinishReason, Measures, Profile};

pub use plasma_modules::attestation::audit::{
    DEFAULT_PROFILE, fingerprint_holds, projection_holds, tokens_hold,
};

pub use calibrate::{
    Calibration, Sample, calibrate, profile_json, profile_of, refused, to_svg, writers,
};
pub use measure::SegmentMeasures;
pub use provider::{Order, write, write_recorded};

use crate::engine::candle::{Candle, PREFILL_TOKENS, read_rows};
use crate::engine::{Engine as _, EngineError, Finish, Sampler, Sampling, Transcript};
use crate::evidence::{self, Binding, Recorder, Segments, Signs};
use measure::Draws;

/// Rows whose logits are in memory at once: a vocabulary is large.
const LOGIT_ROWS: usize = 32;

/// How strictly an output is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Bit by bit.
    Exact,
    /// By a profile's thresholds.
    Tolerant,
}

impl Tier {
    /// The one that two kernels allow.
    #[must_use]
    pub fn of(own: &str, claimed: &str) -> Self {
        if own == claimed { Self::Exact } else { Self::Tolerant }
    }

    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Tolerant => "tolerant",
        }
    }
}

/// What a provider says that the model wrote.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The user's text.
    pub prompt: String,
    /// Of the request.
    pub max_tokens: u32,
    /// Of the request.
    pub stop: Vec<String>,
    /// Of the request.
    pub sampling: Sampling,
    /// Where the draws begin.
    pub seed: Hash,
    /// Of the job.
    pub request_hash: Vec<u8>,
    /// The tokens.
    pub output: Vec<u32>,
    /// Why they end.
    pub finish: FinishReason,
    /// Root in the receipt.
    pub root: Vec<u8>,
    /// The leaves, if they are at hand.
    pub leaves: Option<Vec<Vec<u8>>>,
}

/// What a provider showed of its evidence for an audit, as the chain took it: under the receipt's root.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Root over the names of all fingerprints.
    pub fingerprints_root: Hash,
    /// Those that were drawn, with their indexes.
    pub leaves: Vec<(u32, Vec<u8>)>,
    /// What each juror is asked.
    pub question: Hash,
}

/// Why leaves are no evidence of the claim, whatever the model computes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLeaves {
    /// The chain's parser refuses one.
    #[error("leaf {0}: {1}")]
    Malformed(u32, EvidenceError),
    /// Not one per segment.
    #[error("there are {found} leaves, an output of this length has {due}")]
    Count {
        /// Given.
        found: usize,
        /// One for the prompt, one per 32 rows.
        due: u32,
    },
    /// Of another receipt.
    #[error("they are not those under the receipt's root")]
    Root,
}

/// What reading again showed.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it was judged.
    pub tier: Tier,
    /// What computed here.
    pub kernel_id: String,
    /// The prompt as the model reads it here.
    pub prompt_tokens: Vec<u32>,
    /// The text of the tokens.
    pub text: String,
    /// Claimed tokens that win their draw here too.
    pub matching: usize,
    /// First that does not.
    pub first_mismatch: Option<usize>,
    /// All four; A and B only if there are [`Report::segments`].
    pub measures: Measures,
    /// Of each leaf, the prompt's first; `None` if no leaves were at hand.
    pub segments: Option<Vec<SegmentMeasures>>,
    /// Why the leaves were not looked into.
    pub bad_leaves: Option<BadLeaves>,
    /// Whether the leaves computed here have the receipt's root.
    pub root_matches: bool,
    /// The answer to the question of an audit.
    pub answer: Option<Vec<u8>>,
}

impl Report {
    /// Whether the claim is the model's work: in the exact tier to the last bit, else within the profile.
    #[must_use]
    pub fn is_honest(&self, profile: &Profile) -> bool {
        self.faults(profile).is_empty()
    }

    /// The measures that are beyond what is honest, by name: `leaves`, `root`, `fingerprint`, `projection`,
    /// `tokens`, `end`.
    #[must_use]
    pub fn faults(&self, profile: &Profile) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if self.bad_leaves.is_some() {
            faults.push("leaves");
        }
        match self.tier {
            Tier::Exact => {
                if !self.root_matches {
                    faults.push("root");
                }
                if self.first_mismatch.is_some() {
                    faults.push("tokens");
                }
            }
            Tier::Tolerant => faults.extend(beyond(&self.measures, profile)),
        }
        if !self.measures.is_ended_well {
            faults.push("end");
        }
        faults
    }
}

/// Which of the measures A, B and C are beyond a profile: `fingerprint`, `projection`, `tokens`. What was not measured, without
/// leaves A and B, is nothing.
pub fn beyond(measures: &Measures, profile: &Profile) -> impl Iterator<Item = &'static str> {
    let held = [
        ("fingerprint", fingerprint_holds(measures, profile)),
        ("projection", projection_holds(measures, profile)),
        ("tokens", tokens_hold(measures, profile)),
    ];
    held.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name)
}

/// What the model computes over a claim.
struct Reading {
    prompt_tokens: Vec<u32>,
    segments: Segments,
    draws: Draws,
}

/// Reads a claim again. `progress` is told how many tokens of the output were looked at.
///
/// # Errors
/// If the model cannot read the prompt or the tokens, or cannot compute.
pub fn verify(
    model: &Candle,
    claim: &Claim,
    tier: Tier,
    progress: &dyn Fn(usize),
) -> Result<Report, EngineError> {
    compare(model, claim, None, tier, progress)
}

/// Reads an audited claim again, as every juror does: all at once, whatever the kernels, so that jurors measure alike.
/// [`Claim::leaves`] is not looked at.
///
/// # Errors
/// As [`verify`].
pub fn judge(model: &Candle, claim: &Claim, shown: &Shown) -> Result<Report, EngineError> {
    compare(model, claim, Some(shown), Tier::Tolerant, &|_| ())
}

fn compare(
    model: &Candle,
    claim: &Claim,
    shown: Option<&Shown>,
    tier: Tier,
    progress: &dyn Fn(usize),
) -> Result<Report, EngineError> {
    let reading = read(model, claim, tier, progress)?;
    let binding = Binding {
        sampling_seed: &claim.seed,
        request_hash: &claim.request_hash,
        output_tokens_hash: &tokens_hash(&claim.output),
    };
    let own = reading.segments.leaves(&binding)?;
    let root_matches = evidence::root(&own)[..] == claim.root[..];
    let n_in = reading.prompt_tokens.len();
    let measured = match (shown, &claim.leaves) {
        (Some(shown), _) => Some(parse_drawn(shown, claim, n_in).map(|leaves| {
            let Binding { sampling_seed, request_hash, output_tokens_hash } = binding;
            let root = &shown.fingerprints_root;
            let seed = projection_seed(sampling_seed, request_hash, output_tokens_hash, root);
            measure::drawn(&leaves, &reading.segments, &seed)
        })),
        (None, Some(leaves)) => Some(
            parse(leaves, claim, n_in)
                .map(|leaves| measure::segments(&leaves, &reading.segments, &binding)),
        ),
        (None, None) => None,
    };
    let (segments, bad_leaves) = match measured {
        None => (None, None),
        Some(Err(bad)) => (None, Some(bad)),
        Some(Ok(segments)) => (Some(segments), None),
    };
    let mut transcript = Transcript::new(&claim.stop, claim.max_tokens);
    for token in &claim.output {
        transcript.push(model.tokenizer(), *token);
    }
    let is_whole = transcript.tokens().len() == claim.output.len();
    let is_said =
        transcript.finish().is_some_and(|finish| FinishReason::from(finish) == claim.finish);
    let is_drawn = transcript.finish() != Some(Finish::Eos) || reading.draws.last_is_near();
    let mut measures =
        Measures { is_ended_well: is_whole && is_said && is_drawn, ..reading.draws.measures() };
    measure::worst(&mut measures, segments.as_deref().unwrap_or_default());
    Ok(Report {
        tier,
        kernel_id: model.info().kernel_id,
        prompt_tokens: reading.prompt_tokens,
        text: transcript.text().to_owned(),
        matching: reading.draws.matching,
        first_mismatch: reading.draws.first_mismatch,
        measures,
        segments,
        bad_leaves,
        root_matches,
        answer: shown.map(|shown| answer(&reading.segments, &shown.question, claim.output.len())),
    })
}

/// The projections of the rows that a question asks for, as this model computes them.
fn answer(own: &Segments, asked: &Hash, n_out: usize) -> Vec<u8> {
    let signs = Signs::new(asked, own.width);
    let rows = question::rows(asked, u32::try_from(n_out).unwrap_or(u32::MAX));
    let row = |at: u32| {
        let at = usize::try_from(at).ok()?;
        let segment = own.all.get(1 + at / SEGMENT_ROWS)?;
        segment.rows.chunks(own.width.max(1)).nth(at % SEGMENT_ROWS)
    };
    let projected = rows.into_iter().filter_map(row).flat_map(|row| signs.project(row));
    projected.flat_map(u16::to_be_bytes).collect()
}

/// Leaves as the chain reads them, if they are the receipt's.
fn parse(leaves: &[Vec<u8>], claim: &Claim, n_in: usize) -> Result<Vec<Leaf>, BadLeaves> {
    let n_out = u32::try_from(claim.output.len()).unwrap_or(u32::MAX);
    let due = leaf_count(n_out);
    if u32::try_from(leaves.len()) != Ok(due) {
        return Err(BadLeaves::Count { found: leaves.len(), due });
    }
    let names: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    if evidence_root(&names)[..] != claim.root[..] {
        return Err(BadLeaves::Root);
    }
    (0..).zip(leaves).map(|(at, leaf)| parse_one(at, leaf, n_in, n_out)).collect()
}

fn parse_one(at: u32, leaf: &[u8], n_in: usize, n_out: u32) -> Result<Leaf, BadLeaves> {
    let rows = leaf_rows(at, n_in as u64, n_out).unwrap_or(0);
    Leaf::parse(leaf, rows).map_err(|error| BadLeaves::Malformed(at, error))
}

/// Drawn leaves as the chain reads them.
fn parse_drawn(shown: &Shown, claim: &Claim, n_in: usize) -> Result<Vec<(u32, Leaf)>, BadLeaves> {
    let n_out = u32::try_from(claim.output.len()).unwrap_or(u32::MAX);
    let parsed =
        shown.leaves.iter().map(|(at, leaf)| Ok((*at, parse_one(*at, leaf, n_in, n_out)?)));
    parsed.collect()
}

/// Computes over prompt and claimed tokens: as they were written, or all at once.
fn read(
    model: &Candle,
    claim: &Claim,
    tier: Tier,
    progress: &dyn Fn(usize),
) -> Result<Reading, EngineError> {
    let sampler = Sampler::new(claim.sampling, claim.seed)?;
    let prompt_tokens = model.tokenizer().prompt(&claim.prompt)?;
    let Some((_, fed)) = claim.output.split_last() else {
        return Err(EngineError::Invalid("there are no tokens to read".to_owned()));
    };
    let n_in = prompt_tokens.len();
    if n_in == 0 {
        return Err(EngineError::Invalid("the prompt is empty".to_owned()));
    }
    let network = model.model();
    let mut kv = network.kv(n_in.saturating_add(fed.len()));
    let (mut recorder, mut draws) = (Recorder::new(), Draws::default());
    let all = [&prompt_tokens[..], fed].concat();
    let mut read = 0;
    while read < all.len() {
        let size = match tier {
            Tier::Tolerant => PREFILL_TOKENS.min(all.len() - read),
            // As the engine does: the prompt in turns, then token by token.
            Tier::Exact if read < n_in => PREFILL_TOKENS.min(n_in - read),
            Tier::Exact => 1,
        };
        let hidden = network.hidden(&mut kv, &all[read..read + size])?;
        let (rows, width) = read_rows(&hidden)?;
        let prompt_rows = n_in.saturating_sub(read).min(size);
        if prompt_rows > 0 {
            let is_last = read + prompt_rows == n_in;
            recorder.prompt(&rows[..prompt_rows * width], width, is_last)?;
        }
        // Rows that an output token was drawn from.
        let first = (n_in - 1).saturating_sub(read).min(size);
        for row in rows[first * width..].chunks(width) {
            recorder.output(row)?;
        }
        for from in (first..size).step_by(LOGIT_ROWS) {
            let count = LOGIT_ROWS.min(size - from);
            let logits = network.logits(&hidden.narrow(0, from, count)?)?;
            for at in 0..count {
                let logits: Vec<f32> = logits.get(at)?.to_vec1()?;
                let position = read + from + at + 1 - n_in;
                draws.add(&sampler, &logits, position, claim.output[position])?;
                progress(position + 1);
            }
        }
        read += size;
    }
    Ok(Reading { prompt_tokens, segments: recorder.segments(), draws })
}
