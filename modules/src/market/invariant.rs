//! What must hold after every block, each sentence a function.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use plasma_proto::plasma::market::v1::{Job, JobState, ProviderStatus, Timer};

use super::state::{
    BUSY, JOBS, MODEL_COUNTS, MODELS, NEXT_JOB, NEXT_WITHDRAWAL, OFFERS, PAYLOADS, PROVIDERS,
    RECEIPT_KEYS, WITHDRAWALS, bonds, escrow, stored_hash, totals,
};
use super::{price::Shares, timer};
use crate::{Address, Amount, Read, token, types::Hash};

/// All of them.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    escrow_is_sum_of_open_jobs(store)?;
    every_job_balances_its_escrow(store)?;
    bonds_are_sum_of_providers(store)?;
    locked_is_sum_of_jobs(store)?;
    pending_is_sum_of_delivered_jobs(store)?;
    held_jobs_are_delivered(store)?;
    queued_is_sum_of_withdrawals(store)?;
    busy_is_count_of_jobs(store)?;
    busy_payers_are_count_of_jobs(store)?;
    every_object_has_its_appointment(store)?;
    receipt_keys_belong_to_providers(store)?;
    jobs_are_counted_once(store)?;
    models_count_every_settled_job(store)
}

fn equal(what: &str, stored: Amount, summed: Amount) -> Result<(), String> {
    if stored == summed {
        return Ok(());
    }
    Err(format!("{what} is {stored}uxpl, the sum is {summed}uxpl"))
}

fn add(a: Amount, b: Amount) -> Result<Amount, String> {
    a.plus(b).ok_or_else(|| "a sum passed the largest amount".into())
}

fn is_open(job: &Job) -> bool {
    matches!(job.state(), JobState::Open | JobState::Assigned | JobState::Delivered)
}

/// The escrow holds what the open jobs put in, less what was given back for their receipts.
pub fn escrow_is_sum_of_open_jobs(store: &dyn Read) -> Result<(), String> {
    let mut open = Amount::ZERO;
    for (id, job) in JOBS.map().iter(store).filter(|(_, job)| is_open(job)) {
        let left = Amount::stored(&job.max_fee_uxpl)
            .minus(Amount::stored(&job.duty_fee_uxpl))
            .ok_or_else(|| format!("job {id} paid more than it has"))?;
        open = add(open, left)?;
    }
    equal("the escrow", token::balance(store, escrow()), open)
}

/// Of an ended job, `max_fee = charge + duty_fee + refund`, and its payout is its charge's split.
/// An open one holds what it will pay.
pub fn every_job_balances_its_escrow(store: &dyn Read) -> Result<(), String> {
    for (id, job) in JOBS.map().iter(store) {
        let charge = Amount::stored(&job.charge_uxpl);
        let spent = add(charge, Amount::stored(&job.duty_fee_uxpl))?;
        if is_open(&job) {
            if spent > Amount::stored(&job.max_fee_uxpl) {
                return Err(format!("job {id} costs more than it has"));
            }
            if job.state() == JobState::Delivered && Shares::of_job(&job).is_none() {
                return Err(format!("the charge of job {id} does not pay for its audit"));
            }
            continue;
        }
        let out = add(spent, Amount::stored(&job.refund_uxpl))?;
        equal(&format!("max_fee of job {id}"), Amount::stored(&job.max_fee_uxpl), out)?;
        if job.state() == JobState::Settled {
            if Shares::of_job(&job).map(|shares| shares.payout()) != job.payout {
                return Err(format!("the payout of job {id} is not its charge's split"));
            }
        } else if charge != Amount::ZERO {
            return Err(format!("job {id} was refunded and charged"));
        }
    }
    Ok(())
}

/// The bonds' account holds what the providers' bonds say, and no bond backs two promises, but for
/// what was slashed of it. While one does, nothing of it is asked back.
pub fn bonds_are_sum_of_providers(store: &dyn Read) -> Result<(), String> {
    let mut all = Amount::ZERO;
    for (operator, provider) in PROVIDERS.iter(store) {
        let bond = Amount::stored(&provider.bond_uxpl);
        let used = [&provider.queued_uxpl, &provider.locked_uxpl, &provider.duty_locked_uxpl]
            .into_iter()
            .try_fold(Amount::ZERO, |used, part| add(used, Amount::stored(part)))?;
        let is_queued = Amount::stored(&provider.queued_uxpl) != Amount::ZERO;
        let most = add(bond, Amount::stored(&provider.slashed_uxpl))?;
        if used > most || (used > bond && is_queued) {
            return Err(format!("the bond of {operator} backs two promises"));
        }
        all = add(all, bond)?;
    }
    equal("provider_bonds", token::balance(store, bonds()), all)
}

/// A provider's locked bond is what its jobs under way locked.
pub fn locked_is_sum_of_jobs(store: &dyn Read) -> Result<(), String> {
    let mut sums = BTreeMap::<Address, Amount>::new();
    for (id, job) in JOBS.map().iter(store) {
        let locked = Amount::stored(&job.bond_locked_uxpl);
        let works = matches!(job.state(), JobState::Assigned | JobState::Delivered);
        if works == (locked == Amount::ZERO) {
            return Err(format!(
                "job {id} locks {locked}uxpl in state {}",
                job.state().as_str_name()
            ));
        }
        if works {
            let sum = sums.entry(Address::stored(&job.provider)).or_default();
            *sum = add(*sum, locked)?;
        }
    }
    for (operator, provider) in PROVIDERS.iter(store) {
        let locked = sums.remove(&operator).unwrap_or_default();
        equal(&format!("locked of {operator}"), Amount::stored(&provider.locked_uxpl), locked)?;
    }
    sums.into_keys().next().map_or(Ok(()), |nobody| Err(format!("jobs lock bond of {nobody}")))
}

/// A provider's charges at risk are those of its delivered jobs.
pub fn pending_is_sum_of_delivered_jobs(store: &dyn Read) -> Result<(), String> {
    let mut sums = BTreeMap::<Address, Amount>::new();
    for (_, job) in JOBS.map().iter(store).filter(|(_, job)| job.state() == JobState::Delivered) {
        let sum = sums.entry(Address::stored(&job.provider)).or_default();
        *sum = add(*sum, Amount::stored(&job.charge_uxpl))?;
    }
    for (operator, provider) in PROVIDERS.iter(store) {
        let pending = sums.remove(&operator).unwrap_or_default();
        equal(&format!("pending of {operator}"), Amount::stored(&provider.pending_uxpl), pending)?;
    }
    sums.into_keys().next().map_or(Ok(()), |nobody| Err(format!("{nobody} delivered and is gone")))
}

/// Only a delivered job is held, and only one that is not refunded or not yet delivered costs its
/// provider an audit.
pub fn held_jobs_are_delivered(store: &dyn Read) -> Result<(), String> {
    for (id, job) in JOBS.map().iter(store) {
        if job.held && job.state() != JobState::Delivered {
            return Err(format!("job {id} is held in state {}", job.state().as_str_name()));
        }
        let audited = Amount::stored(&job.audit_fee_uxpl) != Amount::ZERO;
        if audited && !matches!(job.state(), JobState::Delivered | JobState::Settled) {
            return Err(format!("job {id} pays for an audit and is not delivered"));
        }
    }
    Ok(())
}

/// A provider's queued bond is what its withdrawals ask for.
pub fn queued_is_sum_of_withdrawals(store: &dyn Read) -> Result<(), String> {
    let mut sums = BTreeMap::<Address, Amount>::new();
    let next = NEXT_WITHDRAWAL.get(store).unwrap_or(1);
    for (id, withdrawal) in WITHDRAWALS.map().iter(store) {
        if id == 0 || id >= next {
            return Err(format!("withdrawal {id} is not below the next one, {next}"));
        }
        let sum = sums.entry(Address::stored(&withdrawal.operator)).or_default();
        *sum = add(*sum, Amount::stored(&withdrawal.amount_uxpl))?;
    }
    for (operator, provider) in PROVIDERS.iter(store) {
        let queued = sums.remove(&operator).unwrap_or_default();
        equal(&format!("queued of {operator}"), Amount::stored(&provider.queued_uxpl), queued)?;
    }
    sums.into_keys().next().map_or(Ok(()), |nobody| Err(format!("{nobody} withdraws no bond")))
}

/// An offer's busy slots are its assigned jobs; it belongs to a provider and a model; one that was
/// taken back is there only while it is busy.
pub fn busy_is_count_of_jobs(store: &dyn Read) -> Result<(), String> {
    let mut counts = BTreeMap::<(Hash, Address), u32>::new();
    for (_, job) in JOBS.map().iter(store).filter(|(_, job)| job.state() == JobState::Assigned) {
        let key = (stored_hash(&job.model_id), Address::stored(&job.provider));
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }
    for (key, offer) in OFFERS.map().iter(store) {
        let (model_id, operator) = key;
        let busy = counts.remove(&key).unwrap_or_default();
        if busy != offer.busy {
            return Err(format!("an offer of {operator} has {busy} jobs and says {}", offer.busy));
        }
        let Some(provider) = PROVIDERS.get(store, &operator) else {
            return Err(format!("{operator} offers and is no provider"));
        };
        if !MODELS.has(store, &model_id) {
            return Err(format!("{operator} offers a model that is not known"));
        }
        let slots = offer.ask.map_or(0, |ask| ask.slots);
        if busy == 0 && slots == 0 {
            return Err(format!("an offer of {operator} was taken back and is there"));
        }
        if slots != 0 && provider.status() == ProviderStatus::Leaving {
            return Err(format!("{operator} is leaving and offers"));
        }
    }
    counts.into_keys().next().map_or(Ok(()), |(_, operator)| {
        Err(format!("a job is assigned to {operator} without an offer"))
    })
}

/// Whoever pays for jobs under way is counted with as many slots as these are.
pub fn busy_payers_are_count_of_jobs(store: &dyn Read) -> Result<(), String> {
    let mut counts = BTreeMap::<(Hash, Address), u64>::new();
    for (_, job) in JOBS.map().iter(store).filter(|(_, job)| job.state() == JobState::Assigned) {
        let key = (stored_hash(&job.model_id), Address::stored(&job.requester));
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }
    if BUSY.iter(store).eq(counts) {
        Ok(())
    } else {
        Err("the slots in use are not those of the jobs under way".into())
    }
}

/// Every job, until its payload is forgotten, has exactly the appointment that its state asks for,
/// and none while an audit holds it;
/// so has every withdrawal and every leaving provider; and there are no others.
pub fn every_object_has_its_appointment(store: &dyn Read) -> Result<(), String> {
    let name = |timer: &Timer| (timer.kind, timer.id, timer.attempt, timer.operator.clone());
    let mut wanted = Vec::new();
    for (id, job) in JOBS.map().iter(store) {
        if job.state() == JobState::Unspecified {
            return Err(format!("job {id} has no state"));
        }
        let kept = PAYLOADS.has(store, &id);
        if is_open(&job) && !kept {
            return Err(format!("job {id} is open without its input"));
        }
        if kept {
            wanted.extend(timer::of_job(&job).iter().map(name));
        }
    }
    for (_, withdrawal) in WITHDRAWALS.map().iter(store) {
        wanted.push(name(&timer::of_withdrawal(&withdrawal)));
    }
    for (operator, provider) in PROVIDERS.iter(store) {
        if provider.status() == ProviderStatus::Leaving {
            wanted.push(name(&timer::of_leave(operator, 0, 0)));
        }
    }
    let mut found: Vec<_> = timer::all(store).iter().map(name).collect();
    wanted.sort();
    found.sort();
    if let Some(extra) = found.iter().find(|timer| wanted.binary_search(timer).is_err()) {
        return Err(format!("an appointment waits for nothing: {extra:?}"));
    }
    if let Some(missing) = wanted.iter().find(|timer| found.binary_search(timer).is_err()) {
        return Err(format!("an appointment is missing: {missing:?}"));
    }
    if found.len() != wanted.len() {
        return Err("an appointment is there twice".into());
    }
    Ok(())
}

/// Receipt keys and providers name each other.
pub fn receipt_keys_belong_to_providers(store: &dyn Read) -> Result<(), String> {
    for (operator, provider) in PROVIDERS.iter(store) {
        let key = stored_hash(&provider.receipt_key);
        if RECEIPT_KEYS.get(store, &key).is_none_or(|bytes| bytes != operator.0) {
            return Err(format!("the receipt key of {operator} is not its own"));
        }
    }
    if RECEIPT_KEYS.iter(store).count() != PROVIDERS.iter(store).count() {
        return Err("a receipt key belongs to nobody".into());
    }
    Ok(())
}

/// Totals count every job once.
pub fn jobs_are_counted_once(store: &dyn Read) -> Result<(), String> {
    let (mut opened, mut settled, mut refunded) = (0u64, 0u64, 0u64);
    let next = NEXT_JOB.get(store).unwrap_or(1);
    for (id, job) in JOBS.map().iter(store) {
        if id == 0 || id >= next {
            return Err(format!("job {id} is not below the next one, {next}"));
        }
        opened = opened.saturating_add(1);
        match job.state() {
            JobState::Settled => settled = settled.saturating_add(1),
            JobState::Refunded => refunded = refunded.saturating_add(1),
            _ => {}
        }
    }
    let totals = totals(store);
    if (totals.jobs_opened, totals.jobs_settled, totals.jobs_refunded)
        != (opened, settled, refunded)
    {
        return Err(format!(
            "totals say {} opened, {} settled, {} refunded; there are {opened}, {settled}, {refunded}",
            totals.jobs_opened, totals.jobs_settled, totals.jobs_refunded
        ));
    }
    Ok(())
}

/// The models' counts belong to models, and sum to the jobs that were settled.
pub fn models_count_every_settled_job(store: &dyn Read) -> Result<(), String> {
    let mut settled = 0u64;
    for (model_id, count) in MODEL_COUNTS.iter(store) {
        if !MODELS.has(store, &model_id) {
            return Err("jobs are counted for a model that is not known".into());
        }
        settled = settled.saturating_add(count);
    }
    let all = totals(store).jobs_settled;
    if settled == all {
        Ok(())
    } else {
        Err(format!("models count {settled} settled jobs of {all}"))
    }
}
