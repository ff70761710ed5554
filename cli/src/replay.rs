//! Following a claimed answer with the model: would it have written that?

use std::sync::mpsc::Sender;

use gpu_node::engine::candle::Candle;
use gpu_node::engine::{Engine as _, EngineError, Finish, Sampler, Sampling, Transcript};
use plasma_modules::attestation::sampling_seed;
use plasma_proto::plasma::market::v1::Job;

/// Tokens of the prompt that are read in one turn, as the engine of a node does.
const TURN_TOKENS: usize = 256;

/// Across kernels: a token's distance from winning counts at most this much.
const MARGIN_CLIP: f64 = 2.0;

/// Across kernels: highest mean distance.
const MARGIN_MEAN_MAX: f64 = 0.02;

/// Across kernels: a distance above this is an outlier, and one in so many tokens is allowed.
const OUTLIER_MARGIN: f64 = 3.0;

/// See [`OUTLIER_MARGIN`].
const OUTLIER_TOKENS: usize = 256;

/// What following the claimed answer showed.
pub struct Replay {
    /// The prompt as the model reads it here.
    pub prompt_tokens: Vec<u32>,
    /// What computed here.
    pub kernel_id: String,
    /// Claimed tokens that the draw chooses here too.
    pub matching: usize,
    /// First that it does not.
    pub first_mismatch: Option<usize>,
    /// Mean distance of a claimed token from winning, clipped.
    pub margin_mean: f64,
    /// Tokens that are far from winning.
    pub outliers: usize,
    /// The text of the claimed tokens.
    pub text: String,
    /// Why they end, if they do.
    pub finish: Option<Finish>,
}

impl Replay {
    /// Whether the claimed tokens are the model's: all of them between equal kernels, nearly so across kernels.
    pub fn is_ok(&self, claimed: usize, kernel_id: &str) -> bool {
        if self.kernel_id == kernel_id {
            return self.matching == claimed;
        }
        self.margin_mean <= MARGIN_MEAN_MAX && self.outliers <= claimed.div_ceil(OUTLIER_TOKENS)
    }
}

/// Reads the prompt and follows the claimed tokens: what would have been chosen at each place?
///
/// # Errors
/// If the model cannot read the prompt or compute.
pub fn follow(
    model: &Candle,
    job: &Job,
    input: &str,
    claimed: &[u32],
    progress: &Sender<usize>,
) -> Result<Replay, EngineError> {
    let sampling = job.sampling.unwrap_or_default();
    let sampler = Sampler::new(
        Sampling::from(&sampling),
        sampling_seed(&job.assigned_beacon, job.id, sampling.seed),
    )?;
    let prompt_tokens = model.tokenizer().prompt(input)?;
    let network = model.model();
    let mut kv = network.kv(prompt_tokens.len().saturating_add(claimed.len()));
    let mut transcript = Transcript::new(&job.stop, job.max_tokens);
    let (mut matching, mut first_mismatch, mut outliers, mut sum) = (0, None, 0, 0.0);

    let mut turns: Vec<&[u32]> = prompt_tokens.chunks(TURN_TOKENS).collect();
    for (at, token) in claimed.iter().enumerate() {
        let mut hidden = None;
        for turn in turns.drain(..) {
            hidden = Some(network.hidden(&mut kv, turn)?);
        }
        let hidden =
            hidden.ok_or_else(|| EngineError::Invalid("the prompt is empty".to_owned()))?;
        let logits = network.last_logits(&hidden)?;
        let place = u64::try_from(at).unwrap_or(u64::MAX);
        if sampler.choose(&logits, place)? == *token {
            matching += 1;
        } else {
            first_mismatch = first_mismatch.or(Some(at));
            let margin = sampler.margin(&logits, place, *token)?;
            sum += margin.min(MARGIN_CLIP);
            outliers += usize::from(margin > OUTLIER_MARGIN);
        }
        transcript.push(model.tokenizer(), *token);
        turns.push(std::slice::from_ref(token));
        let _ = progress.send(at + 1);
    }
    let count = u32::try_from(claimed.len().max(1)).unwrap_or(u32::MAX);
    Ok(Replay {
        kernel_id: model.info().kernel_id,
        matching,
        first_mismatch,
        margin_mean: sum / f64::from(count),
        outliers,
        text: transcript.text().to_owned(),
        finish: transcript.finish(),
        prompt_tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(matching: usize, margin_mean: f64, outliers: usize) -> Replay {
        Replay {
            prompt_tokens: vec![1],
            kernel_id: "here".into(),
            matching,
            first_mismatch: None,
            margin_mean,
            outliers,
            text: String::new(),
            finish: Some(Finish::Length),
        }
    }

    #[test]
    fn equal_kernels_must_agree_and_others_nearly() {
        assert!(replay(10, 0.0, 0).is_ok(10, "here"));
        assert!(!replay(9, 0.0001, 0).is_ok(10, "here"));
        assert!(replay(9, 0.0001, 0).is_ok(10, "other"));
        assert!(replay(9, 0.01, 1).is_ok(10, "other"));
        assert!(!replay(5, 0.3, 0).is_ok(10, "other"));
        assert!(!replay(8, 0.01, 2).is_ok(10, "other"));
    }
}
