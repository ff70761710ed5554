use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use plasma_proto::plasma::{
    genesis::v1::{JobPayload, MarketGenesis},
    market::v1::{
        Job, JobState, Model, Offer, Outcome, Params, Payout, Provider, ProviderStatus, Settled,
        Timer, TimerKind, Totals, Withdrawal,
    },
};

use super::{
    Error, check_invariants, default_params, digests,
    handler::count_up,
    msg::{check_ask, check_manifest},
    settled,
    state::{
        BUSY, JOBS, MATCH_CURSOR, MODEL_COUNTS, MODELS, NEXT_JOB, NEXT_WITHDRAWAL, OFFERS, PARAMS,
        PAYLOADS, PROVIDERS, RECEIPT_KEYS, SETTLED, TOTALS, WITHDRAWALS, counted, params, totals,
    },
    timer, validate_params,
};
use crate::{
    Address, Amount, Block, Read, Write,
    types::{Hash, hash32},
};

/// A new chain's market: default parameters and nothing else.
pub fn default_genesis() -> MarketGenesis {
    MarketGenesis {
        params: Some(default_params()),
        totals: Some(Totals::default()),
        next_job_id: 1,
        next_withdrawal_id: 1,
        ..MarketGenesis::default()
    }
}

fn bad(text: impl Into<String>) -> Error {
    Error::BadGenesis(text.into())
}

fn address(text: &str) -> Result<Address, Error> {
    Address::parse(text).map_err(|_| bad(format!("{text:?} is no address")))
}

fn money(texts: &[&str]) -> Result<(), Error> {
    match texts.iter().find(|text| !text.is_empty() && Amount::parse(text).is_none()) {
        Some(text) => Err(bad(format!("{text:?} is no amount"))),
        None => Ok(()),
    }
}

fn hash(what: &str, bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or_else(|| bad(format!("{what} must be 32 bytes")))
}

/// Writes the first state. Balances must be there before: the sums are checked against them.
pub fn init(store: &mut dyn Write, _: &Block, genesis: &MarketGenesis) -> Result<(), Error> {
    let MarketGenesis {
        params,
        providers,
        offers,
        withdrawals,
        models,
        jobs,
        payloads,
        timers,
        totals,
        next_job_id,
        next_withdrawal_id,
        match_cursor,
        settled,
    } = genesis;
    let params = params.as_ref().ok_or_else(|| bad("params are missing"))?;
    validate_params(params)?;
    PARAMS.set(store, params);
    init_models(store, models)?;
    init_providers(store, providers)?;
    init_offers(store, offers)?;
    for withdrawal in withdrawals {
        let Withdrawal { id, operator, amount_uxpl, due_height: _, due_s: _, claims_height: _ } =
            withdrawal;
        address(operator)?;
        money(&[amount_uxpl])?;
        if WITHDRAWALS.get(store, id).is_some() {
            return Err(bad(format!("withdrawal {id} is there twice")));
        }
        WITHDRAWALS.set(store, id, withdrawal);
    }
    for job in jobs {
        check_job(store, params, job)?;
        JOBS.set(store, &job.id, job);
        if job.state() == JobState::Assigned {
            let payer = (hash("model_id", &job.model_id)?, address(&job.requester)?);
            let busy = BUSY.get(store, &payer).unwrap_or_default();
            BUSY.set(store, &payer, &count_up(busy));
        }
    }
    for JobPayload { job_id, payload } in payloads {
        let payload = payload.as_ref().ok_or_else(|| bad("a payload is missing"))?;
        if JOBS.get(store, job_id).is_none() || PAYLOADS.has(store, job_id) {
            return Err(bad(format!(
                "the payload of job {job_id} is there twice, or its job is not"
            )));
        }
        PAYLOADS.set(store, job_id, payload);
    }
    let mut seen = BTreeSet::new();
    for appointment in timers {
        let Timer { kind, due_height: _, due_s: _, id, attempt, operator } = appointment;
        if TimerKind::try_from(*kind).is_err() || *kind == 0 {
            return Err(bad(format!("a timer of kind {kind}")));
        }
        if appointment.kind() == TimerKind::Leave {
            address(operator)?;
        }
        if !seen.insert((*kind, *id, *attempt, operator)) {
            return Err(bad("a timer is there twice"));
        }
        timer::schedule(store, appointment);
    }
    if let Some(totals) = totals {
        money(&[&totals.charged_uxpl, &totals.burned_uxpl, &totals.refunded_uxpl])?;
        TOTALS.set(store, totals);
    }
    NEXT_JOB.set(store, &(*next_job_id).max(1));
    NEXT_WITHDRAWAL.set(store, &(*next_withdrawal_id).max(1));
    MATCH_CURSOR.set(store, match_cursor);
    for payment in settled {
        check_settled(store, payment)?;
        settled::append(store, payment);
    }
    check_invariants(store).map_err(Error::BadGenesis)
}

fn init_models(store: &mut dyn Write, models: &[Model]) -> Result<(), Error> {
    for model in models {
        let Model {
            model_id,
            publisher,
            manifest,
            royalty_bps,
            published_height: _,
            jobs_settled: _,
        } = model;
        let id = hash("model_id", model_id)?;
        address(publisher)?;
        let manifest = manifest.as_ref().ok_or_else(|| bad("a manifest is missing"))?;
        check_manifest(manifest)?;
        if digests::model_id(manifest) != id {
            return Err(bad(format!(
                "model {:?} does not bear its manifest's hash",
                manifest.name
            )));
        }
        if *royalty_bps > crate::BPS {
            return Err(bad("a royalty is above the whole"));
        }
        if MODELS.has(store, &id) {
            return Err(bad(format!("model {:?} is there twice", manifest.name)));
        }
        MODELS.set(store, &id, &Model { jobs_settled: 0, ..model.clone() });
        if model.jobs_settled != 0 {
            MODEL_COUNTS.set(store, &id, &model.jobs_settled);
        }
    }
    Ok(())
}

fn init_providers(store: &mut dyn Write, providers: &[Provider]) -> Result<(), Error> {
    for provider in providers {
        let operator = address(&provider.operator)?;
        let key = hash("receipt_key", &provider.receipt_key)?;
        let Provider {
            bond_uxpl,
            queued_uxpl,
            locked_uxpl,
            earned_uxpl,
            failure_bps,
            bond_uxpl_s,
            duty_locked_uxpl,
            pending_uxpl,
            slashed_uxpl,
            ..
        } = provider;
        money(&[bond_uxpl, queued_uxpl, locked_uxpl, earned_uxpl, bond_uxpl_s])?;
        money(&[duty_locked_uxpl, pending_uxpl, slashed_uxpl])?;
        if provider.status() == ProviderStatus::Unspecified
            || provider.status != provider.status().into()
            || *failure_bps > crate::BPS
        {
            return Err(bad(format!(
                "provider {operator} has no status, or fails more than always"
            )));
        }
        if PROVIDERS.has(store, &operator) || RECEIPT_KEYS.has(store, &key) {
            return Err(bad(format!("provider {operator} or its receipt key is there twice")));
        }
        PROVIDERS.set(store, &operator, provider);
        RECEIPT_KEYS.set(store, &key, &operator.0.to_vec());
    }
    Ok(())
}

fn init_offers(store: &mut dyn Write, offers: &[Offer]) -> Result<(), Error> {
    for offer in offers {
        let Offer { operator, ask, busy: _ } = offer;
        let operator = address(operator)?;
        let mut ask = ask.clone().ok_or_else(|| bad("an ask is missing"))?;
        // One that was taken back has no slots while it is busy.
        ask.slots = ask.slots.max(1);
        let id = check_ask(&ask)?;
        let key = (id, operator);
        if OFFERS.get(store, &key).is_some() {
            return Err(bad(format!("an offer of {operator} is there twice")));
        }
        OFFERS.set(store, &key, offer);
    }
    Ok(())
}

/// What those who count payments rely on.
fn check_settled(store: &dyn Read, settled: &Settled) -> Result<(), Error> {
    let Settled {
        model_id,
        provider,
        payer,
        charge_uxpl,
        provider_uxpl,
        burn_uxpl,
        n_fresh: _,
        n_cached: _,
        n_out: _,
        slot: _,
    } = settled;
    address(provider)?;
    address(payer)?;
    money(&[charge_uxpl, provider_uxpl, burn_uxpl])?;
    if MODELS.has(store, &hash("model_id", model_id)?) {
        Ok(())
    } else {
        Err(bad("a payment is for a model that is not known"))
    }
}

/// What later reads rely on.
fn check_job(store: &dyn Read, params: &Params, job: &Job) -> Result<(), Error> {
    let id = job.id;
    let wrong = |what: &str| bad(format!("job {id}: {what}"));
    address(&job.requester)?;
    if !job.referral.is_empty() {
        address(&job.referral)?;
    }
    for provider in &job.tried {
        address(provider)?;
    }
    hash("request_hash", &job.request_hash)?;
    if !MODELS.has(store, &hash("model_id", &job.model_id)?) {
        return Err(wrong("its model is not known"));
    }
    let terms = job.terms.ok_or_else(|| wrong("its terms are missing"))?;
    // The terms' numbers were parameters once.
    validate_params(&Params { split: terms.split, royalty_bps_max: terms.royalty_bps, ..*params })?;
    if job.sampling.is_none() {
        return Err(wrong("its sampling is missing"));
    }
    money(&[
        &job.max_fee_uxpl,
        &job.bond_locked_uxpl,
        &job.charge_uxpl,
        &job.duty_fee_uxpl,
        &job.refund_uxpl,
        &job.audit_fee_uxpl,
    ])?;
    if let Some(payout) = &job.payout {
        let Payout {
            provider_uxpl,
            burn_uxpl,
            stakers_uxpl,
            royalty_uxpl,
            referral_uxpl,
            community_uxpl,
            audit_uxpl,
        } = payout;
        money(&[
            provider_uxpl,
            burn_uxpl,
            stakers_uxpl,
            royalty_uxpl,
            referral_uxpl,
            community_uxpl,
            audit_uxpl,
        ])?;
    }
    if JobState::try_from(job.state).is_err() || Outcome::try_from(job.outcome).is_err() {
        return Err(wrong("its state or outcome is unknown"));
    }
    if matches!(job.state(), JobState::Assigned | JobState::Delivered | JobState::Settled) {
        address(&job.provider)?;
        let ask = job.ask.as_ref().ok_or_else(|| wrong("its ask is missing"))?;
        check_ask(ask)?;
        hash("assigned_beacon", &job.assigned_beacon)?;
    } else if !job.provider.is_empty() {
        address(&job.provider)?;
    }
    if JOBS.get(store, &id).is_some() {
        return Err(wrong("it is there twice"));
    }
    Ok(())
}

/// The market's state, as a genesis from which it would go on.
pub fn export(store: &dyn Read) -> MarketGenesis {
    let payload = |(job_id, payload)| JobPayload { job_id, payload: Some(payload) };
    MarketGenesis {
        params: Some(params(store)),
        providers: PROVIDERS.iter(store).map(|(_, provider)| provider).collect(),
        offers: OFFERS.map().iter(store).map(|(_, offer)| offer).collect(),
        withdrawals: WITHDRAWALS.map().iter(store).map(|(_, withdrawal)| withdrawal).collect(),
        models: MODELS.iter(store).map(|(_, model)| counted(store, model)).collect(),
        jobs: JOBS.map().iter(store).map(|(_, job)| job).collect::<Vec<_>>(),
        payloads: PAYLOADS.iter(store).map(payload).collect(),
        timers: timer::all(store),
        totals: Some(totals(store)),
        next_job_id: NEXT_JOB.get(store).unwrap_or(1),
        next_withdrawal_id: NEXT_WITHDRAWAL.get(store).unwrap_or(1),
        match_cursor: MATCH_CURSOR.get(store).unwrap_or(0),
        settled: SETTLED.iter(store).map(|(_, settled)| settled).collect(),
    }
}
