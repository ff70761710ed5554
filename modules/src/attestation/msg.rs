//! Messages that exist only when well formed, whatever the state.

use alloc::boxed::Box;

use plasma_proto::plasma::{
    attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
    market::v1::{Outcome, Output},
};
use prost::Message;

use super::{Error, text_hash, tokens_hash};
use crate::{
    Address, Amount, Sdk,
    market::gas,
    types::{Hash, hash32},
};

/// Version of receipts that this chain takes.
pub const VERSION: u32 = 1;

/// Longest name of kernels.
pub const KERNEL_ID_BYTES_MAX: usize = 128;

/// A receipt from checks to settlement bookkeeping and the lot of its claim, without its bytes.
const RECEIPT_GAS: u64 = 220_000;

fn bad(field: &'static str, why: &'static str) -> Error {
    Error::BadField { field, why }
}

fn hash(field: &'static str, bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or(bad(field, "must be 32 bytes"))
}

/// A provider reports a result.
#[derive(Clone, Debug)]
pub struct SubmitReceipt {
    pub(super) carrier: Address,
    /// As it was signed.
    pub(super) receipt: Box<Receipt>,
    pub(super) receipt_key: Hash,
    pub(super) model_id: Hash,
    pub(super) request_hash: Hash,
    pub(super) charge: Amount,
    pub(super) output: Output,
}

impl SubmitReceipt {
    /// Checks everything that needs no state: form, counts against the output, hashes.
    pub fn new(msg: MsgSubmitReceipt) -> Result<Self, Error> {
        let MsgSubmitReceipt { carrier, receipt, output } = msg;
        let carrier = Address::parse(&carrier)?;
        let receipt = receipt.ok_or(bad("receipt", "is missing"))?;
        let output = output.unwrap_or_default();
        let Receipt {
            version,
            chain_id,
            job_id: _,
            attempt: _,
            receipt_key,
            model_id,
            kernel_id,
            outcome: _,
            finish_reason: _,
            request_hash,
            prompt_tokens_hash,
            output_tokens_hash,
            response_hash,
            n_fresh: _,
            n_cached: _,
            n_out,
            sampling,
            fingerprint_root,
            t_first_ms,
            t_total_ms,
            charge_uxpl,
            signature,
        } = &receipt;
        if *version != VERSION {
            return Err(Error::UnknownVersion(*version));
        }
        if chain_id.is_empty() || chain_id.len() > 64 {
            return Err(bad("chain_id", "must be 1 to 64 bytes"));
        }
        if kernel_id.is_empty() || kernel_id.len() > KERNEL_ID_BYTES_MAX {
            return Err(bad("kernel_id", "must be 1 to 128 bytes"));
        }
        if signature.len() != 64 {
            return Err(bad("signature", "must be 64 bytes"));
        }
        if sampling.is_none() {
            return Err(bad("sampling", "is missing"));
        }
        if t_first_ms > t_total_ms {
            return Err(Error::BadTimes);
        }
        hash("prompt_tokens_hash", prompt_tokens_hash)?;
        let tokens = hash("output_tokens_hash", output_tokens_hash)?;
        let text = hash("response_hash", response_hash)?;
        let receipt_key = hash("receipt_key", receipt_key)?;
        let model_id = hash("model_id", model_id)?;
        let request_hash = hash("request_hash", request_hash)?;
        let charge = Amount::parse(charge_uxpl)
            .ok_or_else(|| Sdk::InvalidCoins("charge_uxpl must be decimal digits".into()))?;
        if u32::try_from(output.token_ids.len()) != Ok(*n_out) {
            return Err(Error::WrongTokenCount { n_out: *n_out, len: output.token_ids.len() });
        }
        check_outcome(&receipt, charge, &output)?;
        let root_len = if receipt.outcome() == Outcome::Ok { 32 } else { 0 };
        if fingerprint_root.len() != root_len {
            return Err(Error::BadEvidence);
        }
        if tokens != tokens_hash(&output.token_ids) {
            return Err(Error::WrongTokensHash);
        }
        if text != text_hash(&output.text) {
            return Err(Error::WrongTextHash);
        }
        let receipt = Box::new(receipt);
        Ok(Self { carrier, receipt, receipt_key, model_id, request_hash, charge, output })
    }

    /// The carrier: any account.
    pub fn signer(&self) -> Address {
        self.carrier
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        let bytes = self.receipt.encoded_len().saturating_add(self.output.encoded_len());
        RECEIPT_GAS.saturating_add(gas::SIGNATURE_GAS).saturating_add(gas::stored(bytes))
    }
}

/// Outcome and finish reason name each other; what was not produced costs nothing.
fn check_outcome(receipt: &Receipt, charge: Amount, output: &Output) -> Result<(), Error> {
    let outcome = Outcome::try_from(receipt.outcome).map_err(|_| Error::BadOutcome)?;
    let reason = FinishReason::try_from(receipt.finish_reason)
        .map_err(|_| Error::WrongFinishReason("it is unknown"))?;
    match (outcome, reason) {
        (Outcome::Ok, FinishReason::Eos | FinishReason::Stop | FinishReason::Length) => Ok(()),
        (Outcome::Ok, _) => Err(Error::WrongFinishReason("the outcome is OK")),
        (Outcome::HostError | Outcome::ClientFault, FinishReason::None) => {
            let empty = output.token_ids.is_empty() && output.text.is_empty();
            if empty && charge == Amount::ZERO { Ok(()) } else { Err(Error::NotEmpty) }
        }
        (Outcome::HostError | Outcome::ClientFault, _) => {
            Err(Error::WrongFinishReason("the outcome is not OK"))
        }
        _ => Err(Error::BadOutcome),
    }
}
