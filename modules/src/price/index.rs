//! Hours are closed, and what providers were paid becomes an index.

use alloc::{collections::BTreeMap, vec::Vec};

use plasma_proto::plasma::price::v1::{Closing, Hour, Params, Price, Volume};

use super::{
    event::Event,
    state::{CAPACITIES, CLOSING, HOUR_S, HOURS, PRICES, VOLUMES, params, stored_hash},
};
use crate::{Address, Amount, BPS, Ctx, Read, Write, market::PRICE_UXPL_PER_MTOK_MAX, types::Hash};

/// Hours that an index and its mean look back.
pub const INDEX_HOURS: u64 = 24;

/// Hours of a model that nobody pays for which one closing forgets.
const FORGET_HOURS: usize = 48;

/// Units that a price is for, in ten-thousandths.
const MTOK_BPS: u128 = 10_000_000_000;

/// What one provider was paid, on the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Who.
    pub operator: Address,
    /// Paid, uxpl.
    pub charge_uxpl: u128,
    /// For so many units, ten-thousandths.
    pub units_bps: u128,
}

impl Quote {
    /// Its mean, uxpl per million units, rounded down, at least 1 and at most the highest price.
    pub fn mean_uxpl_per_mtok(&self) -> u64 {
        let mean = self.charge_uxpl.saturating_mul(MTOK_BPS).checked_div(self.units_bps);
        let mean = mean.and_then(|mean| u64::try_from(mean).ok()).unwrap_or(u64::MAX);
        mean.clamp(1, PRICE_UXPL_PER_MTOK_MAX)
    }
}

/// The weight of each quote: its charge, but never more than `max_bps` of all weights together. The
/// largest are cut to `c = max * rest / (BPS - max * k)`, where `k` are cut and `rest` is the sum of
/// the others. Too few quotes for that weigh the same.
pub fn weigh(quotes: &[Quote], max_bps: u32) -> Vec<u128> {
    let (whole, max) = (u128::from(BPS), u128::from(max_bps));
    let count = u128::try_from(quotes.len()).unwrap_or(u128::MAX);
    if count.saturating_mul(max) <= whole {
        return quotes.iter().map(|_| 1).collect();
    }
    let mut charges: Vec<u128> = quotes.iter().map(|quote| quote.charge_uxpl).collect();
    charges.sort_unstable_by(|a, b| b.cmp(a));
    let mut rest = charges.iter().fold(0u128, |sum, charge| sum.saturating_add(*charge));
    let mut left = whole;
    let mut cap = u128::MAX;
    for charge in charges {
        let Some(limit) = rest.saturating_mul(max).checked_div(left) else { break };
        cap = limit;
        if charge <= limit {
            break;
        }
        rest = rest.saturating_sub(charge);
        left = left.saturating_sub(max);
    }
    quotes.iter().map(|quote| quote.charge_uxpl.min(cap).max(1)).collect()
}

/// The least mean at or below which lies half of the weight. `None` of nothing.
pub fn weighted_median(quotes: &[Quote], weights: &[u128]) -> Option<u64> {
    let mut means: Vec<(u64, u128)> =
        quotes.iter().map(Quote::mean_uxpl_per_mtok).zip(weights.iter().copied()).collect();
    means.sort_unstable();
    let total = means.iter().fold(0u128, |sum, (_, weight)| sum.saturating_add(*weight));
    let mut below = 0u128;
    means.into_iter().find_map(|(mean, weight)| {
        below = below.saturating_add(weight);
        (below.saturating_mul(2) >= total).then_some(mean)
    })
}

/// What the providers of a model were paid in the hours up to `last`, in order of operators.
pub(super) fn quotes(store: &dyn Read, model_id: &Hash, last: u64) -> Vec<Quote> {
    let mut sums = BTreeMap::new();
    let first = last.saturating_sub(INDEX_HOURS.saturating_sub(1));
    for volume in volumes(store, *model_id, first, last) {
        add(&mut sums, &volume);
    }
    sums.into_values().collect()
}

fn add(sums: &mut BTreeMap<Address, Quote>, volume: &Volume) {
    let operator = Address::stored(&volume.operator);
    let quote = sums.entry(operator).or_insert(Quote { operator, charge_uxpl: 0, units_bps: 0 });
    let (charge, units) =
        (Amount::stored(&volume.charge_uxpl).units(), Amount::stored(&volume.units_bps).units());
    quote.charge_uxpl = quote.charge_uxpl.saturating_add(charge);
    quote.units_bps = quote.units_bps.saturating_add(units);
}

fn volumes(
    store: &dyn Read,
    model_id: Hash,
    first: u64,
    last: u64,
) -> impl Iterator<Item = Volume> + use<'_> {
    VOLUMES
        .map()
        .iter_from(store, &(model_id, first, Address::default()))
        .take_while(move |((id, hour, _), _)| *id == model_id && *hour <= last)
        .map(|(_, volume)| volume)
}

/// Closes the hours that have passed, model by model, as far as a block's reads go.
pub(super) fn close_hours(ctx: &mut Ctx<'_>) {
    let now = ctx.block.time_s.checked_div(HOUR_S).unwrap_or_default();
    let before = CLOSING.get(ctx.store).unwrap_or_default();
    let mut closing = before.clone();
    if closing.hour == 0 {
        closing.hour = now;
    }
    let params = params(ctx.store);
    let reads_max = usize::try_from(params.reads_per_block_max).unwrap_or(usize::MAX);
    let mut reads = 0usize;
    while closing.hour < now && reads < reads_max {
        let from =
            if closing.model_id.is_empty() { [0; 32] } else { stored_hash(&closing.model_id) };
        let mut next = PRICES.iter_from(ctx.store, &from);
        let (found, after) = (next.next(), next.next());
        drop(next);
        match found {
            Some((_, price)) if price.hour <= closing.hour => {
                reads = reads.saturating_add(close(ctx, &params, price, closing.hour));
            }
            // With no model at all there is nothing to close.
            None if closing.model_id.is_empty() => {
                closing.hour = now;
                continue;
            }
            _ => {}
        }
        reads = reads.saturating_add(2);
        match after {
            Some((id, _)) => closing.model_id = id.into(),
            None => {
                closing = Closing { hour: closing.hour.saturating_add(1), model_id: Vec::new() };
            }
        }
    }
    if closing != before {
        CLOSING.set(ctx.store, &closing);
    }
}

/// Closes an hour of one model; what it gives back is how many records it looked at.
fn close(ctx: &mut Ctx<'_>, params: &Params, mut price: Price, hour: u64) -> usize {
    let model_id = stored_hash(&price.model_id);
    let first = hour.saturating_sub(INDEX_HOURS.saturating_sub(1));
    let found: Vec<Volume> = volumes(ctx.store, model_id, 0, hour).collect();
    let (mut all, mut own) = (BTreeMap::new(), BTreeMap::new());
    for volume in &found {
        if volume.hour < first {
            let key = (model_id, volume.hour, Address::stored(&volume.operator));
            VOLUMES.remove(ctx.store, &key);
            continue;
        }
        add(&mut all, volume);
        if volume.hour == hour {
            add(&mut own, volume);
        }
    }
    let reads = found.len().saturating_add(usize::try_from(INDEX_HOURS).unwrap_or_default());
    price.hour = hour.saturating_add(1);

    if price.paid_hour.saturating_add(params.hours_kept.into()) <= hour {
        return reads.saturating_add(forget(ctx.store, &price));
    }
    let before = (price.index_uxpl_per_mtok, price.index_stale);
    let quotes: Vec<Quote> = all.into_values().collect();
    price.providers = u32::try_from(quotes.len()).unwrap_or(u32::MAX);
    price.index_stale = price.providers < params.providers_min;
    if !price.index_stale {
        let weights = weigh(&quotes, params.provider_max_bps);
        price.index_uxpl_per_mtok = weighted_median(&quotes, &weights).unwrap_or_default();
    }
    let steps = u128::from(price.hour_steps);
    let mean = Amount::stored(&price.hour_sum).units().checked_div(steps);
    let mean = mean.and_then(|mean| u64::try_from(mean).ok());
    let sum = |part: fn(&Quote) -> u128| {
        let sum = own.values().map(part).fold(0u128, u128::saturating_add);
        Amount::new(sum).text()
    };
    let closed = Hour {
        model_id: model_id.into(),
        hour,
        price_uxpl_per_mtok: mean.unwrap_or(price.price_uxpl_per_mtok),
        index_uxpl_per_mtok: price.index_uxpl_per_mtok,
        index_stale: price.index_stale,
        providers: u32::try_from(own.len()).unwrap_or(u32::MAX),
        charge_uxpl: sum(|quote| quote.charge_uxpl),
        units_bps: sum(|quote| quote.units_bps),
    };
    HOURS.set(ctx.store, &(model_id, hour), &closed);
    (price.hour_sum, price.hour_steps) = ("0".into(), 0);

    let hours: Vec<Hour> = HOURS
        .iter_from(ctx.store, &(model_id, first))
        .take_while(|((id, at), _)| *id == model_id && *at <= hour)
        .map(|(_, hour)| hour)
        .collect();
    let own_twap = mean_of(hours.iter().map(|hour| hour.price_uxpl_per_mtok));
    price.twap_uxpl_per_mtok = own_twap.unwrap_or(price.price_uxpl_per_mtok);
    let indexes = hours.iter().map(|hour| hour.index_uxpl_per_mtok).filter(|index| *index != 0);
    price.index_twap_uxpl_per_mtok = mean_of(indexes).unwrap_or_default();
    let kept = hour.saturating_sub(params.hours_kept.into());
    let reads = reads.saturating_add(drop_hours(ctx.store, &model_id, kept));

    PRICES.set(ctx.store, &model_id, &price);
    if before != (price.index_uxpl_per_mtok, price.index_stale) {
        ctx.emit(&Event::IndexUpdated {
            model_id,
            hour,
            index_uxpl_per_mtok: price.index_uxpl_per_mtok,
            index_twap_uxpl_per_mtok: price.index_twap_uxpl_per_mtok,
            stale: price.index_stale,
            providers: price.providers,
        });
    }
    reads
}

/// The mean, rounded down. `None` of nothing.
fn mean_of(values: impl Iterator<Item = u64>) -> Option<u64> {
    let (sum, count) = values.fold((0u128, 0u128), |(sum, count), value| {
        (sum.saturating_add(value.into()), count.saturating_add(1))
    });
    sum.checked_div(count).and_then(|mean| u64::try_from(mean).ok())
}

/// Forgets hours up to `last`, so many at a time; gives back how many.
fn drop_hours(store: &mut dyn Write, model_id: &Hash, last: u64) -> usize {
    let old: Vec<u64> = HOURS
        .iter_prefix(store, model_id)
        .map(|((_, hour), _)| hour)
        .take_while(|hour| *hour <= last)
        .take(FORGET_HOURS)
        .collect();
    for hour in &old {
        HOURS.remove(store, &(*model_id, *hour));
    }
    old.len()
}

/// Forgets a model that nobody has paid for: its hours bit by bit, at last its price.
fn forget(store: &mut dyn Write, price: &Price) -> usize {
    let model_id = stored_hash(&price.model_id);
    let dropped = drop_hours(store, &model_id, u64::MAX);
    let shown = CAPACITIES.iter_prefix(store, &model_id).next().is_some();
    if dropped < FORGET_HOURS && !shown {
        PRICES.remove(store, &model_id);
    } else {
        PRICES.set(store, &model_id, price);
    }
    dropped
}
