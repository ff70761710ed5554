//! A provider in a function: what calibration writes with, and what the cheating lab bends.

use plasma_modules::attestation::{Leaf, tokens_hash};
use plasma_modules::types::Hash;
use plasma_proto::plasma::attestation::v1::FinishReason;

use super::{Claim, Tier, read};
use crate::engine::candle::Candle;
use crate::engine::{Engine as _, EngineError, Sampler, Sampling, Step, Transcript};
use crate::evidence::{self, Binding, Recorder, Segments};

/// What is asked of a provider.
#[derive(Debug, Clone)]
pub struct Order {
    /// The user's text.
    pub prompt: String,
    /// Most tokens.
    pub max_tokens: u32,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Where the draws begin.
    pub seed: Hash,
    /// What binds the request.
    pub request_hash: Hash,
}

impl Order {
    /// What is claimed of what was written, without evidence yet.
    #[must_use]
    pub fn claim(&self, written: &Transcript) -> Claim {
        let Self { prompt, max_tokens, sampling, seed, request_hash } = self.clone();
        Claim {
            prompt,
            max_tokens,
            stop: vec![],
            sampling,
            seed,
            request_hash: request_hash.to_vec(),
            output: written.tokens().to_vec(),
            finish: written.finish().map_or(FinishReason::None, FinishReason::from),
            root: vec![],
            leaves: None,
        }
    }
}

/// Does an order as a node does, and claims what it wrote, leaves included.
///
/// # Errors
/// If the model cannot read the prompt or compute.
pub fn write(model: &Candle, order: &Order) -> Result<Claim, EngineError> {
    write_recorded(model, order).map(|(claim, _)| claim)
}

/// As [`write`], with what was recorded.
///
/// # Errors
/// As [`write`].
pub fn write_recorded(model: &Candle, order: &Order) -> Result<(Claim, Segments), EngineError> {
    let Order { prompt, max_tokens, sampling, seed, request_hash: _ } = order;
    let prompt_tokens = model.tokenizer().prompt(prompt)?;
    let sampler = Sampler::new(*sampling, *seed)?;
    let capacity = prompt_tokens.len().saturating_add(*max_tokens as usize);
    let mut sequence = model.open(&prompt_tokens, capacity)?;
    let (mut recorder, mut transcript) = (Recorder::new(), Transcript::new(&[], *max_tokens));
    while transcript.finish().is_none() {
        if let Step::Token(token) = sequence.step(&sampler, Some(&mut recorder))? {
            transcript.push(model.tokenizer(), token);
        }
    }
    let mut claim = order.claim(&transcript);
    let segments = recorder.segments();
    claim.prove(&segments)?;
    Ok((claim, segments))
}

impl Claim {
    /// Puts the evidence of these segments under the claim.
    ///
    /// # Errors
    /// As [`Segments::leaves`].
    pub fn prove(&mut self, segments: &Segments) -> Result<(), EngineError> {
        let binding = Binding {
            sampling_seed: &self.seed,
            request_hash: &self.request_hash,
            output_tokens_hash: &tokens_hash(&self.output),
        };
        let leaves = segments.leaves(&binding)?;
        self.root = evidence::root(&leaves).to_vec();
        self.leaves = Some(leaves.iter().map(Leaf::to_bytes).collect());
        Ok(())
    }

    /// Puts the evidence under the claim that `model` gives of its tokens when it reads them all at once.
    ///
    /// # Errors
    /// If the model cannot read them.
    pub fn prove_by_reading(&mut self, model: &Candle) -> Result<(), EngineError> {
        let segments = read(model, self, Tier::Tolerant, &|_| ())?.segments;
        self.prove(&segments)
    }
}
