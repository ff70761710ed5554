use plasma_proto::plasma::{
    attestation::v1::{AcceptedReceipt, FinishReason, MsgSubmitReceiptResponse, Receipt},
    market::v1::{Job, JobState, JobTerms, Outcome, Output},
};
use prost::Message;

use super::{
    Error, SubmitReceipt, audit,
    event::Event,
    receipt_digest, receipt_hash,
    state::{RECEIPTS, job_with_root},
};
use crate::{Address, Amount, Block, Ctx, error::fault, market, tx};

/// A provider reports a result: every claim is checked, the signature last, and the market goes
/// on from what the receipt says. The receipt that was accepted before is taken again and changes
/// nothing, so that nobody who lands one first makes the others of its transaction fail.
pub fn submit_receipt(
    ctx: &mut Ctx<'_>,
    msg: SubmitReceipt,
) -> Result<MsgSubmitReceiptResponse, Error> {
    let job_id = msg.receipt.job_id;
    if msg.receipt.chain_id != ctx.block.chain_id {
        return Err(Error::WrongChain(msg.receipt.chain_id));
    }
    let job = market::job(ctx.store, job_id).ok_or(Error::UnknownJob(job_id))?;
    let hash = receipt_hash(&msg.receipt);
    if job.state() != JobState::Assigned && job.receipt_hash == hash {
        return Ok(MsgSubmitReceiptResponse { receipt_hash: hash.into() });
    }
    let terms = market::job_terms(&job);
    check_assignment(ctx, &job, &terms, &msg)?;
    check_claims(&job, &terms, &msg)?;
    if !tx::verify_ed25519(&msg.receipt_key, &receipt_digest(&msg.receipt), &msg.receipt.signature)
    {
        return Err(Error::BadSignature);
    }
    check_evidence(ctx, &msg.receipt)?;

    let SubmitReceipt { carrier, receipt, model_id, charge, output, .. } = msg;
    let outcome = receipt.outcome();
    ctx.emit(&Event::ReceiptAccepted { job_id, receipt_hash: hash, outcome, carrier });
    match outcome {
        Outcome::Ok => {
            let Receipt { n_fresh: fresh, n_cached: cached, n_out: out, .. } = *receipt;
            let tokens = market::Tokens { fresh, cached, out };
            market::deliver(ctx, job, charge, tokens, output, hash)?;
        }
        Outcome::ClientFault => market::client_fault(ctx, job, hash)?,
        // As a decline: the job goes on to another provider, so this receipt is not its answer.
        _ => {
            market::host_error(ctx, job)?;
            return Ok(MsgSubmitReceiptResponse { receipt_hash: hash.into() });
        }
    }
    let accepted = AcceptedReceipt {
        receipt: Some(*receipt),
        receipt_hash: hash.into(),
        carrier: carrier.text(),
        height: ctx.block.height,
        time_s: ctx.block.time_s,
    };
    RECEIPTS.set(ctx.store, &job_id, &accepted);
    if outcome == Outcome::Ok {
        audit::claim(ctx, job_id, &model_id)?;
    }
    Ok(MsgSubmitReceiptResponse { receipt_hash: hash.into() })
}

/// The receipt answers the assignment under way, in time, by the provider that has it.
fn check_assignment(
    ctx: &Ctx<'_>,
    job: &Job,
    terms: &JobTerms,
    msg: &SubmitReceipt,
) -> Result<(), Error> {
    let receipt = &msg.receipt;
    if job.state() != JobState::Assigned {
        return Err(match job.receipt_hash.as_slice() {
            [] => Error::NotAssigned(job.id),
            _ => Error::AlreadyAnswered(job.id),
        });
    }
    if receipt.attempt != job.attempt {
        return Err(Error::WrongAttempt { current: job.attempt, given: receipt.attempt });
    }
    if is_late(ctx.block, job, terms) {
        return Err(Error::Late(job.id));
    }
    let operator = Address::stored(&job.provider);
    let provider = market::provider(ctx.store, operator)
        .unwrap_or_else(|| fault("a job is assigned to nobody", &job.id.to_be_bytes()));
    if provider.receipt_key != msg.receipt_key {
        return Err(Error::WrongNode);
    }
    Ok(())
}

/// Evidence of another inference, sent again, is none.
fn check_evidence(ctx: &Ctx<'_>, receipt: &Receipt) -> Result<(), Error> {
    match receipt.fingerprint_root.as_slice() {
        [] => Ok(()),
        root => job_with_root(ctx.store, root).map_or(Ok(()), |id| Err(Error::SeenEvidence(id))),
    }
}

/// Both limits of the assignment have passed; its timer runs at the end of this block at the
/// earliest.
fn is_late(block: &Block, job: &Job, terms: &JobTerms) -> bool {
    block.height >= job.assigned_height.saturating_add(terms.assign_timeout_blocks)
        && block.time_s >= job.assigned_s.saturating_add(terms.assign_timeout_s)
}

/// What the receipt claims fits the job, and the charge is the formula's.
fn check_claims(job: &Job, terms: &JobTerms, msg: &SubmitReceipt) -> Result<(), Error> {
    let SubmitReceipt { receipt, model_id, request_hash, charge, output, .. } = msg;
    let Receipt { n_fresh, n_cached, n_out, .. } = **receipt;
    if job.model_id != *model_id {
        return Err(Error::WrongModel);
    }
    if job.request_hash != *request_hash {
        return Err(Error::WrongRequest);
    }
    if job.sampling != receipt.sampling {
        return Err(Error::WrongSampling);
    }
    check_output_size(terms, output)?;
    if n_out > job.max_tokens {
        return Err(Error::TooManyTokens { n_out, max: job.max_tokens });
    }
    let ok = receipt.outcome() == Outcome::Ok;
    let n_in = u64::from(n_fresh).saturating_add(n_cached.into());
    let (min, max) = (u64::from(ok), terms.in_max);
    if !(min..=max).contains(&n_in) {
        return Err(Error::BadInputCount { n_in, min, max });
    }
    match receipt.finish_reason() {
        FinishReason::Stop if job.stop.is_empty() => {
            return Err(Error::WrongFinishReason("the job has no stop strings"));
        }
        FinishReason::Length if n_out != job.max_tokens => {
            return Err(Error::WrongFinishReason("fewer than max_tokens were generated"));
        }
        _ => {}
    }
    let due = if ok {
        let ask = job
            .ask
            .as_ref()
            .unwrap_or_else(|| fault("a job is assigned for no price", &job.id.to_be_bytes()));
        market::charge(terms, ask, n_fresh, n_cached, n_out)
    } else {
        Amount::ZERO
    };
    if *charge != due {
        return Err(Error::WrongCharge { given: *charge, due });
    }
    Ok(())
}

fn check_output_size(terms: &JobTerms, output: &Output) -> Result<(), Error> {
    let (len, max) = (output.encoded_len(), terms.output_bytes_max);
    if u32::try_from(len).map_or(true, |len| len > max) {
        return Err(Error::OutputTooLarge { len, max });
    }
    Ok(())
}
