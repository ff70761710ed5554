//! What became final is counted: by provider and hour for the index, by day for capacity.

use plasma_proto::plasma::{
    market::v1::Settled,
    price::v1::{Capacity, Params, Price, Volume},
};

use super::state::{CAPACITIES, DAY_S, HOUR_S, PRICES, VOLUMES, least, params, stored_hash};
use crate::{Address, Amount, Ctx, types::Hash};

/// Counts one payment.
pub(super) fn count(ctx: &mut Ctx<'_>, settled: &Settled) {
    let params = params(ctx.store);
    let model_id = stored_hash(&settled.model_id);
    let operator = Address::stored(&settled.provider);
    show_capacity(ctx, model_id, operator, settled.slot);

    let hour = ctx.block.time_s.checked_div(HOUR_S).unwrap_or_default();
    let before = PRICES.get(ctx.store, &model_id);
    let mut price = before.clone().unwrap_or_else(|| first_price(&params, model_id, hour));
    if price.paid_hour != hour {
        (price.paid_hour, price.paid_providers) = (hour, 0);
    }
    let (charge, units) = (Amount::stored(&settled.charge_uxpl), units_bps(&params, settled));
    if units != 0 && charge != Amount::ZERO {
        add_volume(ctx, &params, &mut price, operator, charge, units);
    }
    if before.as_ref() != Some(&price) {
        PRICES.set(ctx.store, &model_id, &price);
    }
}

/// A model that is paid for the first time begins at the floor.
fn first_price(params: &Params, model_id: Hash, hour: u64) -> Price {
    Price {
        model_id: model_id.into(),
        price_uxpl_per_mtok: params.floor_uxpl_per_mtok,
        twap_uxpl_per_mtok: params.floor_uxpl_per_mtok,
        index_stale: true,
        hour,
        hour_sum: "0".into(),
        paid_hour: hour,
        ..Price::default()
    }
}

/// Tokens as units of one token of output, in ten-thousandths.
pub(super) fn units_bps(params: &Params, settled: &Settled) -> u128 {
    let part = |tokens: u64, unit: u32| u128::from(tokens).saturating_mul(unit.into());
    part(settled.n_fresh, params.fresh_unit_bps)
        .saturating_add(part(settled.n_cached, params.cached_unit_bps))
        .saturating_add(part(settled.n_out, params.output_unit_bps))
}

/// The k-th of a provider's jobs at once was paid: it can do k at once.
fn show_capacity(ctx: &mut Ctx<'_>, model_id: Hash, operator: Address, slot: u32) {
    let day = ctx.block.time_s.checked_div(DAY_S).unwrap_or_default();
    let key = (model_id, operator);
    let before = CAPACITIES.get(ctx.store, &key);
    let (slots, slots_before) = match &before {
        Some(shown) if shown.day == day => (shown.slots, shown.slots_before),
        Some(shown) if shown.day.saturating_add(1) == day => (0, shown.slots),
        _ => (0, 0),
    };
    let slots = slots.max(slot);
    let shown =
        Capacity { model_id: model_id.into(), operator: operator.text(), day, slots, slots_before };
    if before.as_ref() != Some(&shown) {
        CAPACITIES.set(ctx.store, &key, &shown);
    }
}

/// Slots that were shown today or yesterday.
pub(super) fn shown_slots(shown: &Capacity, day: u64) -> u32 {
    match day.saturating_sub(shown.day) {
        0 => shown.slots.max(shown.slots_before),
        1 => shown.slots,
        _ => 0,
    }
}

/// Adds to what a provider was paid within the hour. Where the hour is full, a newcomer takes the
/// place of the one that was paid least, if it was paid more.
fn add_volume(
    ctx: &mut Ctx<'_>,
    params: &Params,
    price: &mut Price,
    operator: Address,
    charge: Amount,
    units: u128,
) {
    let (model_id, hour) = (stored_hash(&price.model_id), price.paid_hour);
    let key = (model_id, hour, operator);
    let (charge, units) = match VOLUMES.get(ctx.store, &key) {
        Some(volume) => (
            Amount::new(Amount::stored(&volume.charge_uxpl).units().saturating_add(charge.units())),
            Amount::stored(&volume.units_bps).units().saturating_add(units),
        ),
        None if price.paid_providers < params.providers_per_hour_max => {
            price.paid_providers = price.paid_providers.saturating_add(1);
            (charge, units)
        }
        None => match least(ctx.store, &model_id, hour) {
            Some((paid, poorest)) if paid < charge => {
                VOLUMES.remove(ctx.store, &(model_id, hour, poorest));
                (charge, units)
            }
            _ => return,
        },
    };
    let volume = Volume {
        model_id: model_id.into(),
        hour,
        operator: operator.text(),
        charge_uxpl: charge.text(),
        units_bps: Amount::new(units).text(),
    };
    VOLUMES.set(ctx.store, &key, &volume);
}
