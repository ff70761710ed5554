use alloc::{format, string::String};

use plasma_proto::plasma::{
    genesis::v1::PriceGenesis,
    price::v1::{Capacity, Closing, Hour, Price, Round, Volume},
};

use super::{
    Error, check_invariants, default_params,
    state::{CAPACITIES, CLOSING, HOURS, PARAMS, PRICES, ROUND, VOLUMES, params},
    validate_params,
};
use crate::{
    Address, Amount, Read, Write,
    types::{Hash, hash32},
};

/// Default parameters, and nothing was paid for.
pub fn default_genesis() -> PriceGenesis {
    PriceGenesis {
        params: Some(default_params()),
        round: Some(Round::default()),
        closing: Some(Closing::default()),
        ..PriceGenesis::default()
    }
}

fn bad(text: impl Into<String>) -> Error {
    Error::BadGenesis(text.into())
}

fn address(text: &str) -> Result<Address, Error> {
    Address::parse(text).map_err(|_| bad(format!("{text:?} is no address")))
}

fn number(text: &str) -> Result<u128, Error> {
    let number = Amount::parse(text).ok_or_else(|| bad(format!("{text:?} is no number")))?;
    Ok(number.units())
}

fn model_id(bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or_else(|| bad("a model id has 32 bytes"))
}

/// Where a cursor stands: nowhere, or at as many bytes as its key has.
fn position(bytes: &[u8], len: usize) -> Result<(), Error> {
    if bytes.is_empty() || bytes.len() == len {
        return Ok(());
    }
    Err(bad("a cursor stands at no key"))
}

/// Writes the first state.
pub fn init(store: &mut dyn Write, genesis: &PriceGenesis) -> Result<(), Error> {
    let PriceGenesis { params, prices, capacities, volumes, hours, round, closing } = genesis;
    let params = params.as_ref().ok_or_else(|| bad("params are missing"))?;
    validate_params(params)?;
    PARAMS.set(store, params);
    for price in prices {
        let Price { model_id: id, hour_sum, .. } = price;
        number(hour_sum)?;
        let id = model_id(id)?;
        if PRICES.has(store, &id) {
            return Err(bad("a price stands twice"));
        }
        PRICES.set(store, &id, price);
    }
    for capacity in capacities {
        let Capacity { model_id: id, operator, day: _, slots: _, slots_before: _ } = capacity;
        let key = (model_id(id)?, address(operator)?);
        if CAPACITIES.has(store, &key) {
            return Err(bad("a capacity stands twice"));
        }
        CAPACITIES.set(store, &key, capacity);
    }
    for volume in volumes {
        let Volume { model_id: id, hour, operator, charge_uxpl, units_bps } = volume;
        if number(charge_uxpl)? == 0 || number(units_bps)? == 0 {
            return Err(bad("a volume is nothing"));
        }
        let key = (model_id(id)?, *hour, address(operator)?);
        if VOLUMES.get(store, &key).is_some() {
            return Err(bad("a volume stands twice"));
        }
        VOLUMES.set(store, &key, volume);
    }
    for hour in hours {
        let Hour { model_id: id, hour: at, charge_uxpl, units_bps, .. } = hour;
        number(charge_uxpl)?;
        number(units_bps)?;
        let key = (model_id(id)?, *at);
        if HOURS.has(store, &key) {
            return Err(bad("an hour stands twice"));
        }
        HOURS.set(store, &key, hour);
    }
    let round = round.as_ref().ok_or_else(|| bad("the round is missing"))?;
    let Round { next_s: _, model_id, operator, payer, proven_slots: _, busy_bps: _ } = round;
    position(model_id, 32)?;
    position(operator, 20)?;
    position(payer, 20)?;
    if model_id.is_empty() != (operator.is_empty() && payer.is_empty())
        || (!operator.is_empty() && !payer.is_empty())
    {
        return Err(bad("a round stands nowhere, or in two places"));
    }
    if *round != Round::default() {
        ROUND.set(store, round);
    }
    let closing = closing.as_ref().ok_or_else(|| bad("the closing is missing"))?;
    position(&closing.model_id, 32)?;
    if *closing != Closing::default() {
        CLOSING.set(store, closing);
    }
    check_invariants(store).map_err(Error::BadGenesis)
}

/// The price record, as a genesis from which it would go on.
pub fn export(store: &dyn Read) -> PriceGenesis {
    PriceGenesis {
        params: Some(params(store)),
        prices: PRICES.iter(store).map(|(_, price)| price).collect(),
        capacities: CAPACITIES.iter(store).map(|(_, capacity)| capacity).collect(),
        volumes: VOLUMES.map().iter(store).map(|(_, volume)| volume).collect(),
        hours: HOURS.iter(store).map(|(_, hour)| hour).collect(),
        round: Some(ROUND.get(store).unwrap_or_default()),
        closing: Some(CLOSING.get(store).unwrap_or_default()),
    }
}
