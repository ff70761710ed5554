//! Prices follow the use of what was proven to be there.

use alloc::vec::Vec;

use plasma_proto::plasma::price::v1::{Params, Price, Round};

use super::{
    event::Event,
    state::{CAPACITIES, DAY_S, PRICES, ROUND, params, stored_hash, stored_position},
    volume::shown_slots,
};
use crate::{
    Address, Amount, BPS, Ctx, Read,
    market::{self, PRICE_UXPL_PER_MTOK_MAX},
    types::Hash,
};

/// Records that one provider takes: its capacity, its offer, itself.
const READS_PER_PROVIDER: usize = 3;

/// Where reading begins: no account comes before.
const FIRST: [u8; 20] = [0; 20];

/// A price after one step at so much use. Above `use_high` it rises by
/// `max(1, p * (use - high) * step / BPS^2)`, below `use_low` it falls likewise; then it is held
/// between the clamp's parts of `anchor`, unless that is 0, and at the floor.
pub fn next_price(params: &Params, price: u64, use_bps: u32, anchor: u64) -> u64 {
    let (high, low) = (params.use_high_bps, params.use_low_bps);
    let step = |beyond: u32| {
        let product =
            u128::from(price).saturating_mul(beyond.into()).saturating_mul(params.step_bps.into());
        let step = product.checked_div(u128::from(BPS).saturating_mul(BPS.into()));
        step.and_then(|step| u64::try_from(step).ok()).unwrap_or(u64::MAX).max(1)
    };
    let moved = if use_bps > high {
        price.saturating_add(step(use_bps.saturating_sub(high)))
    } else if use_bps < low {
        price.saturating_sub(step(low.saturating_sub(use_bps)))
    } else {
        price
    };
    let part = |bps: u32| {
        let part = u128::from(anchor).saturating_mul(bps.into()).checked_div(BPS.into());
        part.and_then(|part| u64::try_from(part).ok()).unwrap_or(u64::MAX)
    };
    let held = if anchor == 0 {
        moved
    } else {
        let least = part(params.clamp_low_bps);
        moved.clamp(least, part(params.clamp_high_bps).max(least))
    };
    held.max(params.floor_uxpl_per_mtok).min(PRICE_UXPL_PER_MTOK_MAX)
}

/// What a price is held near: the index's mean, or its own where the index is stale.
fn anchor(price: &Price) -> u64 {
    if price.index_stale { price.twap_uxpl_per_mtok } else { price.index_twap_uxpl_per_mtok }
}

/// Goes on with the round of prices, or begins the next when its time has come.
pub(super) fn move_prices(ctx: &mut Ctx<'_>) {
    let params = params(ctx.store);
    let before = ROUND.get(ctx.store).unwrap_or_default();
    let mut round = before.clone();
    if round.model_id.is_empty() {
        let interval = params.interval_s;
        if ctx.block.time_s < round.next_s {
            return;
        }
        let Some(first) = model_from(ctx.store, &[0; 32]) else { return };
        let rounds = ctx.block.time_s.checked_div(interval).unwrap_or_default();
        let next_s = rounds.saturating_add(1).saturating_mul(interval);
        round = Round { next_s, ..at_model(&first) };
    }
    let mut reads = usize::try_from(params.reads_per_block_max).unwrap_or(usize::MAX);
    while reads != 0 && !round.model_id.is_empty() {
        reads = reads.saturating_sub(1);
        let model_id = stored_hash(&round.model_id);
        let read = if round.payer.is_empty() {
            read_capacity(ctx, &mut round, &model_id, reads)
        } else {
            read_payers(ctx.store, &params, &mut round, &model_id, reads)
        };
        reads = reads.saturating_sub(read);
        if round.operator.is_empty() && round.payer.is_empty() {
            finish(ctx, &params, &round, model_id);
            let mut ids = PRICES.iter_from(ctx.store, &model_id).map(|(id, _)| id);
            let next = ids.find(|id| *id != model_id);
            let fresh = next.as_ref().map(at_model).unwrap_or_default();
            round = Round { next_s: round.next_s, ..fresh };
        }
    }
    if round != before {
        ROUND.set(ctx.store, &round);
    }
}

fn model_from(store: &dyn Read, from: &Hash) -> Option<Hash> {
    PRICES.iter_from(store, from).next().map(|(id, _)| id)
}

fn at_model(model_id: &Hash) -> Round {
    Round { model_id: model_id.to_vec(), operator: FIRST.to_vec(), ..Round::default() }
}

/// Adds up the slots that were shown and are still offered with a bond. Gives back how many records
/// it looked at; what was not shown for two days goes.
fn read_capacity(ctx: &mut Ctx<'_>, round: &mut Round, model_id: &Hash, reads: usize) -> usize {
    let day = ctx.block.time_s.checked_div(DAY_S).unwrap_or_default();
    let most = reads.checked_div(READS_PER_PROVIDER).unwrap_or_default().max(1);
    let from = stored_position(&round.operator);
    let found: Vec<_> = CAPACITIES
        .iter_from(ctx.store, &(*model_id, from))
        .take_while(|((id, _), _)| id == model_id)
        .take(most.saturating_add(1))
        .collect();
    for ((_, operator), shown) in found.iter().take(most) {
        let slots = shown_slots(shown, day);
        if slots == 0 {
            CAPACITIES.remove(ctx.store, &(*model_id, *operator));
            continue;
        }
        let bonded = market::bonded_slots(ctx.store, model_id, *operator);
        round.proven_slots = round.proven_slots.saturating_add(slots.min(bonded).into());
    }
    match found.get(most) {
        Some(((_, next), _)) => round.operator = next.0.to_vec(),
        None => (round.operator, round.payer) = (Vec::new(), FIRST.to_vec()),
    }
    found.len().min(most).saturating_mul(READS_PER_PROVIDER)
}

/// Adds up the slots in use, of each payer no more than its part.
fn read_payers(
    store: &dyn Read,
    params: &Params,
    round: &mut Round,
    model_id: &Hash,
    reads: usize,
) -> usize {
    let whole = round.proven_slots.saturating_mul(BPS.into());
    let most_bps = round.proven_slots.saturating_mul(params.payer_max_bps.into());
    let most = reads.max(1);
    let found: Vec<(Address, u64)> =
        market::busy_payers(store, *model_id, stored_position(&round.payer))
            .take(most.saturating_add(1))
            .collect();
    for (_, slots) in found.iter().take(most) {
        let counted = slots.saturating_mul(BPS.into()).min(most_bps);
        round.busy_bps = round.busy_bps.saturating_add(counted);
    }
    round.payer = match found.get(most) {
        Some((next, _)) if round.busy_bps < whole => next.0.to_vec(),
        _ => Vec::new(),
    };
    found.len().min(most)
}

/// Moves one model's price by what the round has found.
fn finish(ctx: &mut Ctx<'_>, params: &Params, round: &Round, model_id: Hash) {
    // A model that was forgotten meanwhile has none.
    let Some(mut price) = PRICES.get(ctx.store, &model_id) else { return };
    let use_bps = round.busy_bps.checked_div(round.proven_slots).unwrap_or_default();
    let use_bps = u32::try_from(use_bps).unwrap_or(BPS).min(BPS);
    let next = next_price(params, price.price_uxpl_per_mtok, use_bps, anchor(&price));
    let moved = next != price.price_uxpl_per_mtok;
    price.price_uxpl_per_mtok = next;
    price.use_bps = use_bps;
    price.proven_slots = round.proven_slots;
    price.updated_s = ctx.block.time_s;
    let sum = Amount::stored(&price.hour_sum).units().saturating_add(next.into());
    price.hour_sum = Amount::new(sum).text();
    price.hour_steps = price.hour_steps.saturating_add(1);
    PRICES.set(ctx.store, &model_id, &price);
    if moved {
        ctx.emit(&Event::PriceUpdated {
            model_id,
            price_uxpl_per_mtok: next,
            use_bps,
            proven_slots: round.proven_slots,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::default_params;

    #[test]
    fn a_price_follows_the_formula() {
        let params = default_params();
        let step = |price, use_bps, anchor| next_price(&params, price, use_bps, anchor);
        // 1,000,000 * 4,000 * 500 / 10^8 = 20,000 at full use; mirrored at none.
        assert_eq!(step(1_000_000, 10_000, 0), 1_020_000);
        assert_eq!(step(1_000_000, 0, 0), 980_000);
        assert_eq!(step(1_000_000, 6_001, 0), 1_000_005);
        assert_eq!(step(1_000_000, 3_999, 0), 999_995);
        for between in [4_000, 5_000, 6_000] {
            assert_eq!(step(1_000_000, between, 0), 1_000_000);
        }
        assert_eq!(step(150, 6_001, 0), 151, "at least one");
        assert_eq!(step(100, 0, 0), 100, "the floor");
        assert_eq!(step(1_000_000, 10_000, 500_000), 650_000, "1.30 of the mean");
        assert_eq!(step(100_000, 0, 500_000), 385_000, "0.77 of the mean");
        assert_eq!(step(u64::MAX, 10_000, 0), PRICE_UXPL_PER_MTOK_MAX);
        assert_eq!(step(1_000_000, 10_000, u64::MAX), PRICE_UXPL_PER_MTOK_MAX);
    }
}
