use alloc::{format, string::String};

use super::state::{CAPACITIES, CLOSING, HOURS, PRICES, VOLUMES};
use crate::{Read, market::PRICE_UXPL_PER_MTOK_MAX, types::hex};

/// Every sentence about prices holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    prices_are_within_their_bounds(store)?;
    everything_belongs_to_a_price(store)?;
    providers_of_an_hour_are_counted(store)
}

/// No price is nothing, or above the highest of an ask; one that is not stale has an index.
fn prices_are_within_their_bounds(store: &dyn Read) -> Result<(), String> {
    for (id, price) in PRICES.iter(store) {
        let inside = (1..=PRICE_UXPL_PER_MTOK_MAX).contains(&price.price_uxpl_per_mtok)
            && price.twap_uxpl_per_mtok <= PRICE_UXPL_PER_MTOK_MAX
            && price.index_uxpl_per_mtok <= PRICE_UXPL_PER_MTOK_MAX
            && price.index_twap_uxpl_per_mtok <= PRICE_UXPL_PER_MTOK_MAX
            && (price.index_stale || price.index_uxpl_per_mtok != 0);
        if !inside || price.model_id != id {
            return Err(format!("the price of {} is out of bounds", hex(&id)));
        }
    }
    Ok(())
}

/// Capacities, volumes and hours are those of models that have a price; hours are closed in order.
fn everything_belongs_to_a_price(store: &dyn Read) -> Result<(), String> {
    let known = |id| PRICES.has(store, &id);
    let closing = CLOSING.get(store).unwrap_or_default().hour;
    if !CAPACITIES.iter(store).all(|((id, _), _)| known(id)) {
        return Err("capacity of a model without a price".into());
    }
    if !VOLUMES.map().iter(store).all(|((id, ..), _)| known(id)) {
        return Err("volume of a model without a price".into());
    }
    if !HOURS.iter(store).all(|((id, hour), _)| known(id) && hour <= closing) {
        return Err("an hour of a model without a price, or that has not passed".into());
    }
    Ok(())
}

/// The providers counted in the hour of a model's last payment are those that stand there.
fn providers_of_an_hour_are_counted(store: &dyn Read) -> Result<(), String> {
    for (id, price) in PRICES.iter(store) {
        let there = VOLUMES.map().iter_prefix(store, &(id, price.paid_hour)).count();
        if there != 0 && u32::try_from(there) != Ok(price.paid_providers) {
            return Err(format!("{there} providers are counted as {}", price.paid_providers));
        }
    }
    Ok(())
}
