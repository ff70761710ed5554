//! From a finished completion to a signed answer that the chain accepts.

use ed25519_dalek::{Signer as _, SigningKey};
use plasma_modules::attestation::{
    self, KERNEL_ID_BYTES_MAX, audit, game, receipt_digest, request_hash, sampling_seed, text_hash,
    tokens_hash,
};
use plasma_modules::types::Hash;
use plasma_modules::{Address, market};
use plasma_proto::plasma::attestation::v1::{
    Evidence, FinishReason, MsgCommitVerdict, MsgDefend, MsgDescend, MsgProve, MsgReveal,
    MsgRevealVerdict, MsgSubmitReceipt, Receipt, Verdict,
};
use plasma_proto::plasma::market::v1::{Job, MsgDeclineJob, Outcome, Output, Payload};
use prost::Message as _;
use zeroize::Zeroizing;

use crate::engine::{Completion, EngineError, Finish, Request, Sampling};
use crate::evidence::{self, Binding};
use crate::outbox::Answer;

/// Longest reason of a decline, bytes.
pub const REASON_BYTES_MAX: usize = 256;

/// The key that authorises receipts and declines: registered on chain, rotatable, of low value. Wiped when
/// dropped, never printed.
pub struct ReceiptKey {
    key: SigningKey,
    chain_id: String,
}

impl std::fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiptKey")
            .field("public", &hex::encode(self.public()))
            .finish_non_exhaustive()
    }
}

impl ReceiptKey {
    /// The key of a seed, for one chain.
    #[must_use]
    pub fn new(seed: &Zeroizing<[u8; 32]>, chain_id: &str) -> Self {
        Self { key: SigningKey::from_bytes(seed), chain_id: chain_id.to_owned() }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Proves to the chain that this key is to stand for `operator`.
    #[must_use]
    pub fn prove(&self, operator: Address) -> Vec<u8> {
        let digest = market::register_digest(&self.chain_id, operator, &self.public());
        self.key.sign(&digest).to_vec()
    }

    /// A signed decline; the reason is shortened to [`REASON_BYTES_MAX`].
    #[must_use]
    pub fn decline(&self, job_id: u64, attempt: u32, reason: &str) -> Answer {
        let reason = shortened(reason, REASON_BYTES_MAX).to_owned();
        let mut msg = MsgDeclineJob { job_id, attempt, reason, ..MsgDeclineJob::default() };
        msg.signature = self.key.sign(&market::decline_digest(&self.chain_id, &msg)).to_vec();
        Answer::Decline(msg)
    }

    /// What is to be told the chain of a job: a receipt for an output, with the evidence to be kept for it, or for
    /// a request that no provider can serve; a decline for everything else, such as an output that the chain would
    /// refuse. The output must have been recorded.
    #[must_use]
    pub fn answer(
        &self,
        job: &Job,
        kernel_id: &str,
        result: Result<Completion, EngineError>,
    ) -> (Answer, Option<Evidence>) {
        let built = match result {
            Ok(completion) => {
                self.success(job, completion).map(|(answer, kept)| (answer, Some(kept)))
            }
            Err(error) if error.is_clients_fault() => Ok((self.fault(job, kernel_id), None)),
            // The engine's own words may quote what it was given.
            Err(EngineError::Busy) => Err("too much work at once".to_owned()),
            Err(EngineError::Stopped) => Err("the engine has stopped".to_owned()),
            Err(_) => Err("the engine failed".to_owned()),
        };
        match built {
            Ok(answer) => answer,
            Err(reason) => (self.decline(job.id, job.attempt, &reason), None),
        }
    }

    /// A signed showing of the leaves that an audit drew, from the evidence that is kept; `None` if that lacks one.
    #[must_use]
    pub fn reveal(&self, audit_id: u64, drawn: &[u32], kept: &Evidence) -> Option<MsgReveal> {
        let mut msg = audit::reveal_msg(audit_id, drawn, &kept.leaves)?;
        msg.signature = self.key.sign(&audit::reveal_digest(&self.chain_id, &msg)).to_vec();
        Some(msg)
    }

    /// With the signature by which a claim is defended.
    #[must_use]
    pub fn defend(&self, msg: MsgDefend) -> MsgDefend {
        let signature = self.key.sign(&game::defend_digest(&self.chain_id, &msg)).to_vec();
        MsgDefend { signature, ..msg }
    }

    /// With the signature by which a provider gives the children of its node.
    #[must_use]
    pub fn descend(&self, msg: MsgDescend) -> MsgDescend {
        let signature = self.key.sign(&game::descend_digest(&self.chain_id, &msg)).to_vec();
        MsgDescend { signature, ..msg }
    }

    /// With the signature by which a provider shows what a tile is made from.
    #[must_use]
    pub fn show_tile(&self, msg: MsgProve) -> MsgProve {
        let signature = self.key.sign(&game::prove_digest(&self.chain_id, &msg)).to_vec();
        MsgProve { signature, ..msg }
    }

    /// A juror's signed commitment to a verdict.
    #[must_use]
    pub fn commit(
        &self,
        audit_id: u64,
        round: u32,
        juror: Address,
        verdict: &Verdict,
        salt: &Hash,
    ) -> MsgCommitVerdict {
        let commitment = audit::commitment(&self.chain_id, audit_id, round, juror, verdict, salt);
        let digest = audit::commit_digest(&self.chain_id, audit_id, round, juror, &commitment);
        MsgCommitVerdict {
            carrier: String::new(),
            audit_id,
            juror: juror.text(),
            commitment: commitment.to_vec(),
            signature: self.key.sign(&digest).to_vec(),
        }
    }

    /// A juror's signed opening of the verdict that it committed to.
    #[must_use]
    pub fn open(
        &self,
        audit_id: u64,
        round: u32,
        juror: Address,
        verdict: &Verdict,
        salt: &Hash,
    ) -> MsgRevealVerdict {
        let digest = audit::verdict_digest(&self.chain_id, audit_id, round, juror, verdict, salt);
        MsgRevealVerdict {
            carrier: String::new(),
            audit_id,
            juror: juror.text(),
            verdict: Some(verdict.clone()),
            salt: salt.to_vec(),
            signature: self.key.sign(&digest).to_vec(),
        }
    }

    fn success(&self, job: &Job, completion: Completion) -> Result<(Answer, Evidence), String> {
        let Completion {
            prompt_tokens,
            output_tokens,
            text,
            finish,
            t_first,
            t_total,
            kernel_id,
            evidence,
        } = completion;
        let terms = job.terms.as_ref().ok_or("the job has no terms")?;
        let ask = job.ask.as_ref().ok_or("the job has no price")?;
        let count = |tokens: &[u32]| u32::try_from(tokens.len()).map_err(|_| "too many tokens");
        let (n_fresh, n_out) = (count(&prompt_tokens)?, count(&output_tokens)?);
        if u64::from(n_fresh) > terms.in_max {
            return Err(format!(
                "the prompt has {n_fresh} tokens, the model's manifest allows {}",
                terms.in_max
            ));
        }
        let finish_reason = match finish {
            Finish::Eos => FinishReason::Eos,
            Finish::Stop => FinishReason::Stop,
            Finish::Length => FinishReason::Length,
        };
        let output = Output { token_ids: output_tokens, text };
        if output.encoded_len() > terms.output_bytes_max as usize {
            return Err(format!("the output has more than {} bytes", terms.output_bytes_max));
        }
        let output_tokens_hash = tokens_hash(&output.token_ids);
        let binding = Binding {
            sampling_seed: &seed(job)?,
            request_hash: &job.request_hash,
            output_tokens_hash: &output_tokens_hash,
        };
        let leaves = evidence.ok_or("no evidence was recorded")?.leaves(&binding);
        let leaves = leaves.map_err(|error| error.to_string())?;
        let millis =
            |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let receipt = Receipt {
            outcome: Outcome::Ok.into(),
            finish_reason: finish_reason.into(),
            prompt_tokens_hash: tokens_hash(&prompt_tokens).to_vec(),
            n_fresh,
            n_cached: 0,
            n_out,
            fingerprint_root: evidence::root(&leaves).to_vec(),
            t_first_ms: millis(t_first).min(millis(t_total)),
            t_total_ms: millis(t_total),
            charge_uxpl: market::charge(terms, ask, n_fresh, 0, n_out).text(),
            ..self.blank(job, &kernel_id, &output)
        };
        Ok((self.sign(receipt, output), evidence::to_message(job.id, job.attempt, &leaves)))
    }

    /// The request cannot be served as it was asked.
    fn fault(&self, job: &Job, kernel_id: &str) -> Answer {
        let output = Output::default();
        let receipt = Receipt {
            outcome: Outcome::ClientFault.into(),
            finish_reason: FinishReason::None.into(),
            prompt_tokens_hash: tokens_hash(&[]).to_vec(),
            charge_uxpl: "0".to_owned(),
            ..self.blank(job, kernel_id, &output)
        };
        self.sign(receipt, output)
    }

    /// What every receipt for this job and output says.
    fn blank(&self, job: &Job, kernel_id: &str, output: &Output) -> Receipt {
        Receipt {
            version: attestation::VERSION,
            chain_id: self.chain_id.clone(),
            job_id: job.id,
            attempt: job.attempt,
            receipt_key: self.public().to_vec(),
            model_id: job.model_id.clone(),
            kernel_id: shortened(kernel_id, KERNEL_ID_BYTES_MAX).to_owned(),
            request_hash: job.request_hash.clone(),
            output_tokens_hash: tokens_hash(&output.token_ids).to_vec(),
            response_hash: text_hash(&output.text).to_vec(),
            sampling: job.sampling,
            ..Receipt::default()
        }
    }

    fn sign(&self, mut receipt: Receipt, output: Output) -> Answer {
        receipt.signature = self.key.sign(&receipt_digest(&receipt)).to_vec();
        Answer::Receipt(MsgSubmitReceipt {
            carrier: String::new(),
            receipt: Some(receipt),
            output: Some(output),
        })
    }
}

/// What the engine is to do for a job.
///
/// # Errors
/// Why the job cannot be served as the chain describes it: a reason for a decline.
pub fn request(job: &Job, payload: Option<Payload>) -> Result<Request, String> {
    let input = payload.map(|payload| payload.input).ok_or("the job's input is gone")?;
    let sampling = job.sampling.ok_or("the job says no sampling")?;
    let hash = request_hash(&job.model_id, &input, job.max_tokens, &sampling, &job.stop);
    if job.request_hash != hash {
        return Err("the input is not the one that the job binds".to_owned());
    }
    Ok(Request {
        prompt: input,
        max_tokens: job.max_tokens,
        stop: job.stop.clone(),
        sampling: Sampling {
            temperature_milli: sampling.temperature_milli,
            top_p_milli: sampling.top_p_milli,
        },
        seed: seed(job)?,
        evidence: true,
    })
}

/// Where the draws of a job begin.
///
/// # Errors
/// If the job says no sampling.
pub fn seed(job: &Job) -> Result<Hash, String> {
    let sampling = job.sampling.ok_or("the job says no sampling")?;
    Ok(sampling_seed(&job.assigned_beacon, job.id, sampling.seed))
}

/// At most `bytes` bytes of `text`, whole characters.
fn shortened(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
