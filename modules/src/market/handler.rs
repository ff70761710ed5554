//! Jobs and models: what users and nodes do, and what attestation calls.

use alloc::{format, string::String};

use plasma_proto::plasma::market::v1::{
    Job, JobState, Model, MsgCancelJobResponse, MsgDeclineJobResponse, MsgPublishModelResponse,
    MsgSubmitJobResponse, Outcome, Output, Payload, Totals,
};
use prost::Message;

use super::{
    CancelJob, DeclineJob, Error, PublishModel, SubmitJob, digests,
    event::Event,
    price::{self, Shares},
    settled,
    state::{
        BUSY, JOBS, MODEL_COUNTS, MODELS, NEXT_JOB, OFFERS, PAYLOADS, PROVIDERS, TOTALS,
        audit_purse, escrow, job_terms, one_less, params, put_job, rest, stored_hash, sum, totals,
    },
};
use crate::{
    Address, Amount, BPS, Ctx, Denom, Sdk, Write, auth,
    error::fault,
    staking, token, tx,
    types::{Hash, hash32, hex},
};

/// Makes a model known: open to anybody, once per manifest.
pub fn publish_model(
    ctx: &mut Ctx<'_>,
    msg: PublishModel,
) -> Result<MsgPublishModelResponse, Error> {
    let PublishModel { publisher, manifest, royalty_bps } = msg;
    let params = params(ctx.store);
    if royalty_bps > params.royalty_bps_max {
        return Err(Error::RoyaltyTooHigh { asked: royalty_bps, max: params.royalty_bps_max });
    }
    let over = |count: usize, max: u32| u32::try_from(count).map_or(true, |count| count > max);
    if over(manifest.encoded_len(), params.manifest_bytes_max) {
        return Err(Error::BadManifest("it is too large"));
    }
    if over(manifest.files.len(), params.manifest_files_max) {
        return Err(Error::BadManifest("it names too many files"));
    }
    if let Some(base) = hash32(&manifest.base_model)
        && !MODELS.has(ctx.store, &base)
    {
        return Err(Error::BadManifest("base_model is not known"));
    }
    let id = digests::model_id(&manifest);
    if MODELS.has(ctx.store, &id) {
        return Err(Error::ModelExists(hex(&id)));
    }

    let name = manifest.name.clone();
    let model = Model {
        model_id: id.into(),
        publisher: publisher.text(),
        manifest: Some(manifest),
        royalty_bps,
        published_height: i64::try_from(ctx.block.height).unwrap_or(i64::MAX),
        jobs_settled: 0,
    };
    MODELS.set(ctx.store, &id, &model);
    ctx.emit(&Event::ModelPublished { model_id: id.into(), publisher, name });
    Ok(MsgPublishModelResponse { model_id: id.into() })
}

/// Opens a job: its terms are fixed and its fee escrowed.
pub fn submit_job(ctx: &mut Ctx<'_>, msg: SubmitJob) -> Result<MsgSubmitJobResponse, Error> {
    let SubmitJob {
        requester,
        model_id,
        input,
        max_tokens,
        sampling,
        max_fee,
        deadline_s,
        stop,
        referral,
    } = msg;
    let params = params(ctx.store);
    let model =
        MODELS.get(ctx.store, &model_id).ok_or_else(|| Error::UnknownModel(hex(&model_id)))?;

    let over = |count: usize, max: u32| u32::try_from(count).map_or(true, |count| count > max);
    if input.is_empty() || over(input.len(), params.input_bytes_max) {
        return Err(Error::BadInputLength { len: input.len(), max: params.input_bytes_max });
    }
    let context = model.manifest.as_ref().map_or(0, |manifest| manifest.context_tokens);
    let tokens_max = params.max_tokens_max.min(context.saturating_sub(1));
    if !(1..=tokens_max).contains(&max_tokens) {
        return Err(Error::BadMaxTokens { asked: max_tokens, max: tokens_max });
    }
    let bad_stop = |text: &String| text.is_empty() || over(text.len(), params.stop_bytes_max);
    if over(stop.len(), params.stops_max) || stop.iter().any(bad_stop) {
        let (count_max, bytes_max) = (params.stops_max, params.stop_bytes_max);
        return Err(Error::BadStop { count_max, bytes_max });
    }
    let least = sum(params.min_charge_uxpl.into(), params.duty_fee_max_uxpl.into());
    if max_fee < least {
        return Err(Error::MaxFeeTooLow { max_fee, least });
    }
    let now_s = ctx.block.time_s;
    let latest_s = now_s.saturating_add(params.deadline_max_s);
    let deadline_s = if deadline_s == 0 { latest_s } else { deadline_s };
    if deadline_s <= now_s || deadline_s > latest_s {
        return Err(Error::BadDeadline { deadline_s, now_s, latest_s });
    }
    if let Some(referral) = referral
        && (referral == requester || auth::is_module_account(referral))
    {
        return Err(Error::BadReferral);
    }
    let have = token::spendable(ctx, requester, &Denom::uxpl());
    if have < max_fee {
        let text = format!("the spendable balance is {have}uxpl, the job needs {max_fee}uxpl");
        return Err(Sdk::InsufficientFunds(text).into());
    }

    token::transfer(ctx, requester, escrow(), max_fee)?;
    let id = NEXT_JOB.get(ctx.store).unwrap_or(1);
    NEXT_JOB.set(ctx.store, &count_up(id));
    let request_hash = digests::request_hash(&model_id, &input, max_tokens, &sampling, &stop);
    let job = Job {
        id,
        requester: requester.text(),
        model_id: model_id.into(),
        max_tokens,
        sampling: Some(sampling),
        stop,
        max_fee_uxpl: max_fee.text(),
        deadline_s,
        referral: referral.map(|referral| referral.text()).unwrap_or_default(),
        request_hash: request_hash.into(),
        terms: Some(price::terms(&params, &model, input.len())),
        state: JobState::Open.into(),
        opened_height: ctx.block.height,
        opened_s: now_s,
        bond_locked_uxpl: Amount::ZERO.text(),
        charge_uxpl: Amount::ZERO.text(),
        duty_fee_uxpl: Amount::ZERO.text(),
        refund_uxpl: Amount::ZERO.text(),
        audit_fee_uxpl: Amount::ZERO.text(),
        ..Job::default()
    };
    put_job(ctx.store, &job);
    PAYLOADS.set(ctx.store, &id, &Payload { input, output: None });
    let totals = totals(ctx.store);
    let jobs_opened = count_up(totals.jobs_opened);
    TOTALS.set(ctx.store, &Totals { jobs_opened, ..totals });
    ctx.emit(&Event::JobSubmitted { job_id: id, requester, model_id: model_id.into(), max_fee });
    Ok(MsgSubmitJobResponse { job_id: id })
}

/// Takes back a job that waits for a provider, in full.
pub fn cancel_job(ctx: &mut Ctx<'_>, msg: CancelJob) -> Result<MsgCancelJobResponse, Error> {
    let CancelJob { requester, job_id } = msg;
    let job = JOBS.get(ctx.store, &job_id).ok_or(Error::UnknownJob(job_id))?;
    if Address::stored(&job.requester) != requester {
        return Err(Error::NotRequester(job_id));
    }
    if job.state() != JobState::Open {
        return Err(Error::NotOpen(job_id));
    }
    refund(ctx, job, Outcome::ClientAbort)?;
    Ok(MsgCancelJobResponse {})
}

/// The assigned provider passes a job on.
pub fn decline_job(ctx: &mut Ctx<'_>, msg: DeclineJob) -> Result<MsgDeclineJobResponse, Error> {
    let DeclineJob { carrier: _, msg } = msg;
    let mut job = JOBS.get(ctx.store, &msg.job_id).ok_or(Error::UnknownJob(msg.job_id))?;
    if job.state() != JobState::Assigned {
        return Err(Error::NotAssigned(job.id));
    }
    if job.attempt != msg.attempt {
        return Err(Error::WrongAttempt { current: job.attempt, given: msg.attempt });
    }
    let provider = Address::stored(&job.provider);
    let key = PROVIDERS
        .get(ctx.store, &provider)
        .map(|provider| stored_hash(&provider.receipt_key))
        .unwrap_or_else(|| fault("a job is assigned to nobody", &job.id.to_be_bytes()));
    let digest = digests::decline_digest(&ctx.block.chain_id, &msg);
    if !tx::verify_ed25519(&key, &digest, &msg.signature) {
        return Err(Error::BadDeclineSignature);
    }
    ctx.emit(&Event::JobDeclined {
        job_id: job.id,
        provider,
        attempt: job.attempt,
        why: "declined",
    });
    job.decline_reason = msg.reason;
    pass_on(ctx, job, Outcome::Refused)?;
    Ok(MsgDeclineJobResponse {})
}

/// Tokens that a receipt counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Input.
    pub fresh: u32,
    /// Input that the node had cached.
    pub cached: u32,
    /// Output.
    pub out: u32,
}

/// A receipt for an assigned job was accepted: the charge is fixed, the slot free, the carrier's
/// fee given back. The bond stays locked and the charge at risk until settlement.
pub(crate) fn deliver(
    ctx: &mut Ctx<'_>,
    mut job: Job,
    charge: Amount,
    tokens: Tokens,
    output: Output,
    receipt_hash: Hash,
) -> Result<(), Error> {
    let provider = Address::stored(&job.provider);
    free_slot(ctx.store, &job);
    let took_ms = ctx.block.time_s.saturating_sub(job.assigned_s).saturating_mul(1_000);
    if let Some(mut stats) = PROVIDERS.get(ctx.store, &provider) {
        stats.failure_bps = moved(stats.failure_bps.into(), 0).try_into().unwrap_or(BPS);
        stats.latency_ms = match stats.latency_ms {
            0 => took_ms,
            before => moved(before, took_ms),
        };
        stats.pending_uxpl = sum(Amount::stored(&stats.pending_uxpl), charge).text();
        PROVIDERS.set(ctx.store, &provider, &stats);
    }
    reimburse(ctx, &mut job)?;
    job.state = JobState::Delivered.into();
    job.outcome = Outcome::Ok.into();
    job.charge_uxpl = charge.text();
    (job.n_fresh, job.n_cached, job.n_out) = (tokens.fresh, tokens.cached, tokens.out);
    job.receipt_hash = receipt_hash.into();
    job.delivered_height = ctx.block.height;
    job.delivered_s = ctx.block.time_s;
    put_job(ctx.store, &job);
    let input = PAYLOADS.get(ctx.store, &job.id).map(|payload| payload.input).unwrap_or_default();
    PAYLOADS.set(ctx.store, &job.id, &Payload { input, output: Some(output) });
    ctx.emit(&Event::JobDelivered {
        job_id: job.id,
        provider,
        attempt: job.attempt,
        charge,
        duty_fee: Amount::stored(&job.duty_fee_uxpl),
    });
    Ok(())
}

/// The assigned provider showed that the request cannot be served: it is refunded at once, the
/// carrier's fee given back, and nothing is held against the provider.
pub(crate) fn client_fault(
    ctx: &mut Ctx<'_>,
    mut job: Job,
    receipt_hash: Hash,
) -> Result<(), Error> {
    free_slot(ctx.store, &job);
    unlock(ctx.store, &mut job);
    reimburse(ctx, &mut job)?;
    job.receipt_hash = receipt_hash.into();
    job.delivered_height = ctx.block.height;
    job.delivered_s = ctx.block.time_s;
    refund(ctx, job, Outcome::ClientFault)
}

/// The assigned provider says that it failed: as a decline.
pub(crate) fn host_error(ctx: &mut Ctx<'_>, job: Job) -> Result<(), Error> {
    ctx.emit(&Event::JobDeclined {
        job_id: job.id,
        provider: Address::stored(&job.provider),
        attempt: job.attempt,
        why: "host_error",
    });
    pass_on(ctx, job, Outcome::HostError)
}

/// An assignment ran out.
pub(super) fn time_out(ctx: &mut Ctx<'_>, job: Job) -> Result<(), Error> {
    ctx.emit(&Event::JobTimedOut {
        job_id: job.id,
        provider: Address::stored(&job.provider),
        attempt: job.attempt,
    });
    pass_on(ctx, job, Outcome::Timeout)
}

/// Takes an assigned job from its provider, which counts as a failure, and puts it back in line;
/// after its last attempt or its deadline it ends with `outcome`.
fn pass_on(ctx: &mut Ctx<'_>, mut job: Job, outcome: Outcome) -> Result<(), Error> {
    free_slot(ctx.store, &job);
    unlock(ctx.store, &mut job);
    let provider = Address::stored(&job.provider);
    if let Some(mut stats) = PROVIDERS.get(ctx.store, &provider) {
        stats.jobs_failed = count_up(stats.jobs_failed);
        stats.failure_bps = moved(stats.failure_bps.into(), BPS.into()).try_into().unwrap_or(BPS);
        PROVIDERS.set(ctx.store, &provider, &stats);
    }
    if !job.tried.contains(&job.provider) {
        job.tried.push(job.provider.clone());
    }
    if job.attempt >= job_terms(&job).attempts_max || ctx.block.time_s >= job.deadline_s {
        return refund(ctx, job, outcome);
    }
    job.state = JobState::Open.into();
    job.assigned_height = ctx.block.height;
    job.assigned_s = ctx.block.time_s;
    put_job(ctx.store, &job);
    Ok(())
}

/// Ends a job without a charge: all but the duty fee returns. The bond must be unlocked.
pub(super) fn refund(ctx: &mut Ctx<'_>, mut job: Job, outcome: Outcome) -> Result<(), Error> {
    let requester = Address::stored(&job.requester);
    let back = rest(Amount::stored(&job.max_fee_uxpl), Amount::stored(&job.duty_fee_uxpl));
    pay(ctx, requester, back)?;
    job.state = JobState::Refunded.into();
    job.outcome = outcome.into();
    job.charge_uxpl = Amount::ZERO.text();
    job.audit_fee_uxpl = Amount::ZERO.text();
    job.held = false;
    job.refund_uxpl = back.text();
    job.ended_height = ctx.block.height;
    job.ended_s = ctx.block.time_s;
    put_job(ctx.store, &job);
    let totals = totals(ctx.store);
    let refunded = sum(Amount::stored(&totals.refunded_uxpl), back);
    let jobs_refunded = count_up(totals.jobs_refunded);
    TOTALS.set(ctx.store, &Totals { refunded_uxpl: refunded.text(), jobs_refunded, ..totals });
    ctx.emit(&Event::JobRefunded { job_id: job.id, requester, outcome, refund: back });
    Ok(())
}

/// Voids a delivered job that cannot be settled.
pub(super) fn void(ctx: &mut Ctx<'_>, mut job: Job) -> Result<(), Error> {
    unlock(ctx.store, &mut job);
    refund(ctx, job, Outcome::Voided)
}

/// Pays a delivered job: shares of the charge, the rest of the escrow to the requester.
pub(super) fn settle(ctx: &mut Ctx<'_>, mut job: Job) -> Result<(), Error> {
    let requester = Address::stored(&job.requester);
    let provider = Address::stored(&job.provider);
    let charge = Amount::stored(&job.charge_uxpl);
    let referral = (!job.referral.is_empty()).then(|| Address::stored(&job.referral));
    let shares = Shares::of_job(&job)
        .unwrap_or_else(|| fault("a charge that cannot be split", &job.id.to_be_bytes()));
    let spent = sum(charge, Amount::stored(&job.duty_fee_uxpl));
    let back = rest(Amount::stored(&job.max_fee_uxpl), spent);
    let model_id = stored_hash(&job.model_id);
    let model = MODELS
        .get(ctx.store, &model_id)
        .unwrap_or_else(|| fault("a job for no model", &job.id.to_be_bytes()));

    if shares.burn != Amount::ZERO {
        token::burn(ctx, escrow(), shares.burn)?;
    }
    if shares.stakers != Amount::ZERO {
        staking::add_rewards(ctx, escrow(), shares.stakers)?;
    }
    if shares.community != Amount::ZERO {
        staking::fund_community(ctx, escrow(), shares.community)?;
    }
    pay(ctx, Address::stored(&model.publisher), shares.royalty)?;
    if let Some(referral) = referral {
        pay(ctx, referral, shares.referral)?;
    }
    pay(ctx, provider, shares.provider)?;
    pay(ctx, audit_purse(&model_id), shares.audit)?;
    pay(ctx, requester, back)?;

    unlock(ctx.store, &mut job);
    job.state = JobState::Settled.into();
    job.held = false;
    job.refund_uxpl = back.text();
    job.ended_height = ctx.block.height;
    job.ended_s = ctx.block.time_s;
    job.payout = Some(shares.payout());
    put_job(ctx.store, &job);
    settled::push(ctx.store, &job, &shares);

    if let Some(mut stats) = PROVIDERS.get(ctx.store, &provider) {
        stats.jobs_settled = count_up(stats.jobs_settled);
        stats.earned_uxpl = sum(Amount::stored(&stats.earned_uxpl), shares.provider).text();
        PROVIDERS.set(ctx.store, &provider, &stats);
    }
    let settled = MODEL_COUNTS.get(ctx.store, &model_id).unwrap_or_default();
    MODEL_COUNTS.set(ctx.store, &model_id, &count_up(settled));
    let Totals {
        charged_uxpl,
        burned_uxpl,
        refunded_uxpl,
        jobs_opened,
        jobs_settled,
        jobs_refunded,
    } = totals(ctx.store);
    TOTALS.set(
        ctx.store,
        &Totals {
            charged_uxpl: sum(Amount::stored(&charged_uxpl), charge).text(),
            burned_uxpl: sum(Amount::stored(&burned_uxpl), shares.burn).text(),
            refunded_uxpl: sum(Amount::stored(&refunded_uxpl), back).text(),
            jobs_opened,
            jobs_settled: count_up(jobs_settled),
            jobs_refunded,
        },
    );
    ctx.emit(&Event::JobSettled {
        job_id: job.id,
        provider,
        charge,
        provider_share: shares.provider,
        burned: shares.burn,
        refund: back,
    });
    Ok(())
}

/// Deletes an ended job's input and output.
pub(super) fn forget(ctx: &mut Ctx<'_>, job: &Job) {
    PAYLOADS.remove(ctx.store, &job.id);
    ctx.emit(&Event::PayloadForgotten { job_id: job.id });
}

/// From the escrow; nothing is no transfer.
fn pay(ctx: &mut Ctx<'_>, to: Address, amount: Amount) -> Result<(), Error> {
    if amount != Amount::ZERO {
        token::transfer(ctx, escrow(), to, amount)?;
    }
    Ok(())
}

/// Gives the fee of the transaction under way back from a job's escrow, as far as the job's terms
/// go. What was given back once is not given back again.
fn reimburse(ctx: &mut Ctx<'_>, job: &mut Job) -> Result<(), Error> {
    let most = Amount::from(job_terms(job).duty_fee_max_uxpl);
    let back = ctx.fee.left.min(most);
    pay(ctx, ctx.fee.payer, back)?;
    ctx.fee.left = rest(ctx.fee.left, back);
    job.duty_fee_uxpl = back.text();
    Ok(())
}

/// The provider's slot is free again; an offer that was taken back goes with its last job.
fn free_slot(store: &mut dyn Write, job: &Job) {
    let key = (stored_hash(&job.model_id), Address::stored(&job.provider));
    let mut offer = OFFERS
        .get(store, &key)
        .unwrap_or_else(|| fault("a job is assigned to no offer", &job.id.to_be_bytes()));
    offer.busy = one_less(offer.busy);
    let payer = (key.0, Address::stored(&job.requester));
    match BUSY.get(store, &payer) {
        Some(slots @ 2..) => BUSY.set(store, &payer, &slots.saturating_sub(1)),
        _ => BUSY.remove(store, &payer),
    }
    let taken_back = offer.ask.as_ref().is_none_or(|ask| ask.slots == 0);
    if offer.busy == 0 && taken_back {
        OFFERS.remove(store, &key);
    } else {
        OFFERS.set(store, &key, &offer);
    }
}

/// The bond that stood for a job is free again; the charge of a delivered one is at risk no more.
fn unlock(store: &mut dyn Write, job: &mut Job) {
    let operator = Address::stored(&job.provider);
    let mut provider = PROVIDERS
        .get(store, &operator)
        .unwrap_or_else(|| fault("bond is locked for nobody", &job.id.to_be_bytes()));
    let locked = Amount::stored(&job.bond_locked_uxpl);
    provider.locked_uxpl = rest(Amount::stored(&provider.locked_uxpl), locked).text();
    if job.state() == JobState::Delivered {
        let pending = Amount::stored(&provider.pending_uxpl);
        provider.pending_uxpl = rest(pending, Amount::stored(&job.charge_uxpl)).text();
    }
    PROVIDERS.set(store, &operator, &provider);
    job.bond_locked_uxpl = Amount::ZERO.text();
}

/// A moving average with weight 1/16 for the newest, rounded down.
fn moved(average: u64, newest: u64) -> u64 {
    let sum = average.saturating_mul(15).saturating_add(newest);
    sum.checked_div(16).unwrap_or(0)
}

pub(super) fn count_up(count: u64) -> u64 {
    count.checked_add(1).unwrap_or_else(|| fault("a count is full", b""))
}
