use alloc::vec::Vec;

use plasma_proto::plasma::price::v1::{Capacity, Closing, Hour, Params, Price, Round, Volume};

use crate::{
    Address, Amount, IndexEntry, IndexedMap, Item, Key, Map, Read, Table, error::fault, types::Hash,
};

pub(super) use crate::types::stored_hash;

pub(super) const PARAMS: Item<Params> = Item::new(Table::PriceParams);
pub(super) const PRICES: Map<Hash, Price> = Map::new(Table::PricePrices);
pub(super) const CAPACITIES: Map<(Hash, Address), Capacity> = Map::new(Table::PriceCapacities);
pub(super) const ROUND: Item<Round> = Item::new(Table::PriceRound);
pub(super) const VOLUMES: IndexedMap<(Hash, u64, Address), Volume> =
    IndexedMap::new(Table::PriceVolumes, volume_indexes);
pub(super) const HOURS: Map<(Hash, u64), Hour> = Map::new(Table::PriceHours);
pub(super) const CLOSING: Item<Closing> = Item::new(Table::PriceClosing);

/// Seconds of an hour, and of a day.
pub(super) const HOUR_S: u64 = 3_600;
pub(super) const DAY_S: u64 = 86_400;

fn volume_indexes(
    (model_id, hour, operator): &(Hash, u64, Address),
    volume: &Volume,
) -> Vec<IndexEntry> {
    let charge = Amount::stored(&volume.charge_uxpl).units().to_be_bytes();
    let mut key = Vec::with_capacity(76);
    (*model_id, *hour, charge, *operator).put(&mut key);
    [(Table::PriceVolumesByCharge, key)].into()
}

/// Whose charge is the least of a model's hour.
pub(super) fn least(store: &dyn Read, model_id: &Hash, hour: u64) -> Option<(Amount, Address)> {
    let mut prefix = Vec::with_capacity(41);
    prefix.push(Table::PriceVolumesByCharge.id());
    (*model_id, hour).put(&mut prefix);
    let (key, _) = store.scan(&prefix).next()?;
    let mut rest = key.get(prefix.len()..)?;
    let (charge, operator) = <([u8; 16], Address)>::take(&mut rest)?;
    Some((Amount::new(u128::from_be_bytes(charge)), operator))
}

/// Hands every index key of the price record to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    VOLUMES.rebuild(store, put);
}

/// The numbers of the price record.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_else(|| fault("prices have no parameters", b""))
}

/// A model's price, if it was paid for within the hours that are kept.
pub fn price(store: &dyn Read, model_id: &Hash) -> Option<Price> {
    PRICES.get(store, model_id)
}

/// A closed hour of a model.
pub fn hour(store: &dyn Read, model_id: &Hash, hour: u64) -> Option<Hour> {
    HOURS.get(store, &(*model_id, hour))
}

/// Where a model's price is stored, and proven.
pub fn price_key(model_id: &Hash) -> Vec<u8> {
    PRICES.path(model_id)
}

/// A stored operator or payer, where a round stands.
pub(super) fn stored_position(bytes: &[u8]) -> Address {
    bytes.try_into().map(Address).unwrap_or_else(|_| fault("not 20 bytes", bytes))
}
