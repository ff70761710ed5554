use alloc::vec::Vec;

use plasma_proto::{
    cosmos::base::v1beta1::Coin,
    plasma::token::v1::{FeeMarket, Params, Totals},
};

use crate::{Address, Denom, Item, Map, Read, Table};

pub(super) const BALANCES: Map<(Address, Denom), Coin> = Map::new(Table::TokenBalances);
pub(super) const OWNERS: Map<(Denom, Address), ()> = Map::new(Table::TokenOwners);
pub(super) const SUPPLY: Map<Denom, Coin> = Map::new(Table::TokenSupply);
pub(super) const PARAMS: Item<Params> = Item::new(Table::TokenParams);
pub(super) const TOTALS: Item<Totals> = Item::new(Table::TokenTotals);
pub(super) const FEE_MARKET: Item<FeeMarket> = Item::new(Table::TokenFeeMarket);

/// Where a balance is stored, and proven.
pub fn balance_key(address: Address, denom: Denom) -> Vec<u8> {
    BALANCES.path(&(address, denom))
}

/// Where the supply of a denom is stored, and proven.
pub fn supply_key(denom: &Denom) -> Vec<u8> {
    SUPPLY.path(denom)
}

/// Hands every index key of the balances to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    for ((address, denom), _) in BALANCES.iter(store) {
        put(OWNERS.path(&(denom, address)));
    }
}
