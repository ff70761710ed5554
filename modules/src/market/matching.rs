//! Who works on what: a bounded, repeatable draw among the cheapest that can.

use alloc::{string::ToString, vec::Vec};

use plasma_proto::plasma::market::v1::{Ask, Job, JobState, Params, Provider, ProviderStatus};

use super::{
    event::Event,
    handler::count_up,
    price,
    provider::free_bond,
    state::{
        BUSY, JOBS, MATCH_CURSOR, OFFERS, PROVIDERS, job_terms, open_jobs, params, put_job,
        stored_hash, sum,
    },
    timer::waits_since,
};
use crate::{
    Address, Amount, BPS, Block, Ctx, Read,
    error::fault,
    types::{Hash, digest},
};

/// One that could take a job.
struct Candidate {
    operator: Address,
    ask: Ask,
    quote: Amount,
    lock: Amount,
    /// Its quote, made larger by how slow and how unreliable it was.
    cost: u128,
}

/// Offers looked at for each candidate that can be found: those that are busy cost looks only.
const LOOKS_PER_CANDIDATE: usize = 8;

/// Gives open jobs to providers: as many as a block allows, going on where the last block stopped.
pub(super) fn match_jobs(ctx: &mut Ctx<'_>) {
    let params = params(ctx.store);
    let cursor = MATCH_CURSOR.get(ctx.store).unwrap_or(0);
    let looked_at_max = usize::try_from(params.matches_per_block_max).unwrap_or(usize::MAX);
    let ids: Vec<u64> = open_jobs(ctx.store, cursor)
        .chain(open_jobs(ctx.store, 0).take_while(|id| *id < cursor))
        .take(looked_at_max)
        .collect();
    for id in &ids {
        let Some(job) = JOBS.get(ctx.store, id) else { continue };
        // A job is matched with the beacon of a later block than it came in with, and not past its
        // deadline: its refund is due.
        if waits_since(&job) >= ctx.block.height || ctx.block.time_s >= job.deadline_s {
            continue;
        }
        let candidates = candidates(ctx.store, ctx.block, &params, &job);
        if let Some(chosen) = draw(candidates, &params, ctx.block, id) {
            assign(ctx, job, chosen);
        }
    }
    let next = ids.last().map_or(cursor, |id| id.saturating_add(1));
    if next != cursor {
        MATCH_CURSOR.set(ctx.store, &next);
    }
}

/// Those of a bounded number of offers, beginning at a point that the beacon gives, that can take
/// the job.
fn candidates(store: &dyn Read, block: &Block, params: &Params, job: &Job) -> Vec<Candidate> {
    let model_id = stored_hash(&job.model_id);
    let start = scan_start(block, job.id);
    let looked_at_max = usize::try_from(params.candidates_max).unwrap_or(usize::MAX);
    OFFERS
        .map()
        .iter_from(store, &(model_id, start))
        .take_while(|((id, _), _)| *id == model_id)
        .chain(
            OFFERS
                .map()
                .iter_prefix(store, &model_id)
                .take_while(|((_, operator), _)| *operator < start),
        )
        .take(looked_at_max.saturating_mul(LOOKS_PER_CANDIDATE))
        .filter_map(|((_, operator), offer)| {
            let ask = offer.ask?;
            if offer.busy >= ask.slots || job.tried.contains(&offer.operator) {
                return None;
            }
            let provider = PROVIDERS.get(store, &operator)?;
            candidate(params, job, operator, &provider, ask)
        })
        .take(looked_at_max)
        .collect()
}

fn scan_start(block: &Block, job_id: u64) -> Address {
    let hash = digest(&[b"xpl/scan/v1", &block.beacon, &job_id.to_be_bytes()]);
    let [start @ .., _, _, _, _, _, _, _, _, _, _, _, _] = hash;
    Address(start)
}

fn candidate(
    params: &Params,
    job: &Job,
    operator: Address,
    provider: &Provider,
    ask: Ask,
) -> Option<Candidate> {
    let terms = job_terms(job);
    let quote = price::quote(&terms, &ask, job.max_tokens);
    let lock = price::bond_lock(&terms, quote)?;
    let stays = Amount::stored(&provider.bond_uxpl).minus(Amount::stored(&provider.queued_uxpl))?;
    let eligible = provider.status() == ProviderStatus::Active
        && stays >= Amount::from(params.bond_min_uxpl)
        && free_bond(provider) >= lock
        && quote <= Amount::stored(&job.max_fee_uxpl);
    // The carrier's fee is no part of the price.
    let price = quote.minus(terms.duty_fee_max_uxpl.into())?;
    let cost = cost(price, provider.latency_ms, provider.failure_bps, params.latency_reference_ms)?;
    eligible.then_some(Candidate { operator, ask, quote, lock, cost })
}

/// `price * (BPS + latency penalty + failure penalty) / BPS`; the reference latency, or failing
/// always, doubles it.
fn cost(
    price: Amount,
    latency_ms: u64,
    failure_bps: u32,
    latency_reference_ms: u64,
) -> Option<u128> {
    let bps = u128::from(BPS);
    let slow =
        u128::from(latency_ms).checked_mul(bps)?.checked_div(latency_reference_ms.into())?.min(bps);
    let scale = bps.checked_add(slow)?.checked_add(failure_bps.into())?;
    price.units().checked_mul(scale)?.checked_div(bps)
}

/// Draws among the best, each with a weight of about 1/cost^2.
fn draw(
    mut candidates: Vec<Candidate>,
    params: &Params,
    block: &Block,
    job_id: &u64,
) -> Option<Candidate> {
    candidates.sort_by_key(|candidate| (candidate.cost, candidate.operator));
    candidates.truncate(usize::try_from(params.draw_among).unwrap_or(usize::MAX));
    let least = candidates.first()?.cost;
    let weights: Vec<u128> =
        candidates.iter().map(|candidate| weight(least, candidate.cost)).collect();
    let total = weights.iter().fold(0u128, |total, weight| total.saturating_add(*weight));
    let hash = digest(&[b"xpl/match/v1", &block.beacon, &job_id.to_be_bytes()]);
    let mut left = number(&hash).checked_rem(total)?;
    candidates.into_iter().zip(weights).find_map(|(candidate, weight)| {
        if left < weight {
            return Some(candidate);
        }
        left = left.saturating_sub(weight);
        None
    })
}

/// `(least / cost)^2` in units of 2^-32, at least one unit; `least <= cost`.
fn weight(least: u128, cost: u128) -> u128 {
    let ratio =
        least.checked_mul(1 << 32).and_then(|scaled| scaled.checked_div(cost)).unwrap_or(1 << 32);
    (ratio.saturating_mul(ratio) >> 32).max(1)
}

/// The first 16 bytes of a digest.
fn number(hash: &Hash) -> u128 {
    hash.first_chunk().map_or(0, |head| u128::from_be_bytes(*head))
}

fn assign(ctx: &mut Ctx<'_>, mut job: Job, chosen: Candidate) {
    let Candidate { operator, ask, quote, lock, cost: _ } = chosen;
    let full = || fault("a count is full", &job.id.to_be_bytes());
    let attempt = job.attempt.checked_add(1).unwrap_or_else(full);
    let key = (stored_hash(&job.model_id), operator);
    let (Some(mut offer), Some(mut provider)) =
        (OFFERS.get(ctx.store, &key), PROVIDERS.get(ctx.store, &operator))
    else {
        fault("an offer vanished while it was matched", &job.id.to_be_bytes())
    };
    offer.busy = offer.busy.checked_add(1).unwrap_or_else(full);
    OFFERS.set(ctx.store, &key, &offer);
    let payer = (key.0, Address::stored(&job.requester));
    let busy = BUSY.get(ctx.store, &payer).unwrap_or_default();
    BUSY.set(ctx.store, &payer, &count_up(busy));
    provider.locked_uxpl = sum(Amount::stored(&provider.locked_uxpl), lock).text();
    PROVIDERS.set(ctx.store, &operator, &provider);

    job.state = JobState::Assigned.into();
    job.attempt = attempt;
    job.slot = offer.busy;
    job.provider = operator.to_string();
    job.ask = Some(ask);
    job.bond_locked_uxpl = lock.text();
    job.assigned_height = ctx.block.height;
    job.assigned_s = ctx.block.time_s;
    job.assigned_beacon = ctx.block.beacon.into();
    put_job(ctx.store, &job);
    ctx.emit(&Event::JobAssigned {
        job_id: job.id,
        provider: operator,
        attempt,
        model_id: job.model_id,
        quote,
        bond_locked: lock,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::default_params;
    use alloc::vec;

    fn candidate(operator: u8, cost: u128) -> Candidate {
        let (quote, lock) = (Amount::new(cost), Amount::new(cost));
        Candidate { operator: Address([operator; 20]), ask: Ask::default(), quote, lock, cost }
    }

    #[test]
    fn penalties_at_most_double_each() {
        let quote = Amount::new(1_000);
        assert_eq!(cost(quote, 0, 0, 60_000), Some(1_000));
        assert_eq!(cost(quote, 30_000, 0, 60_000), Some(1_500));
        assert_eq!(cost(quote, u64::MAX, 10_000, 60_000), Some(3_000));
    }

    #[test]
    fn twice_the_cost_is_drawn_a_quarter_as_often() {
        assert_eq!(weight(100, 100), 1 << 32);
        assert_eq!(weight(100, 200), 1 << 30);
        assert_eq!(weight(1, u128::MAX >> 33), 1);
        let mut won = [0u32; 3];
        for round in 0..4_000u64 {
            let mut beacon = [0; 32];
            beacon[..8].copy_from_slice(&round.to_be_bytes());
            let block = Block { chain_id: "t".into(), height: 1, time_s: 1, beacon };
            let among = vec![candidate(2, 200), candidate(1, 100), candidate(3, 400)];
            let chosen = draw(among, &default_params(), &block, &1).unwrap();
            won[usize::from(chosen.operator.0[0]) - 1] += 1;
        }
        // Weights 16 : 4 : 1.
        assert!((2_850..3_250).contains(&won[0]), "{won:?}");
        assert!((640..880).contains(&won[1]), "{won:?}");
        assert!((130..260).contains(&won[2]), "{won:?}");
    }

    #[test]
    fn only_the_best_are_drawn_among() {
        let mut params = default_params();
        params.draw_among = 1;
        for round in 0..100 {
            let block = Block { chain_id: "t".into(), height: 1, time_s: 1, beacon: [round; 32] };
            let among = vec![candidate(3, 101), candidate(2, 100), candidate(1, 101)];
            assert_eq!(draw(among, &params, &block, &1).unwrap().operator, Address([2; 20]));
        }
        let block = Block { chain_id: "t".into(), height: 1, time_s: 1, beacon: [0; 32] };
        assert!(draw(vec![], &params, &block, &1).is_none());
    }
}
