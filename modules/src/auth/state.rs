use alloc::vec::Vec;

use plasma_proto::{
    cosmos::auth::v1beta1::BaseAccount,
    plasma::{auth::v1::Vesting, genesis::v1::UsedTimeout},
};

use super::unordered::Timeout;
use crate::{Address, Item, Map, Read, Table};

pub(super) const ACCOUNTS: Map<Address, BaseAccount> = Map::new(Table::AuthAccounts);
pub(super) const BY_NUMBER: Map<(u64, Address), ()> = Map::new(Table::AuthByNumber);
pub(super) const VESTINGS: Map<Address, Vesting> = Map::new(Table::AuthVestings);
pub(super) const NEXT_NUMBER: Item<u64> = Item::new(Table::AuthNextNumber);
pub(super) const TIMEOUTS: Map<(Timeout, Address), UsedTimeout> = Map::new(Table::AuthTimeouts);

/// The accounts of modules, with what each may do beside holding money. No message pays, locks
/// or grants anything to one of them.
pub const MODULE_ACCOUNTS: [(&str, &[&str]); 9] = [
    ("audits", &["burner"]),
    ("bonded_tokens_pool", &["burner", "staking"]),
    ("distribution", &[]),
    ("gov", &["burner"]),
    ("grants", &[]),
    ("market_escrow", &["burner"]),
    ("mint", &["minter"]),
    ("not_bonded_tokens_pool", &["burner", "staking"]),
    ("provider_bonds", &["burner"]),
];

/// Where an account is stored, and proven.
pub fn account_key(address: &Address) -> Vec<u8> {
    ACCOUNTS.path(address)
}

/// Hands every index key of the accounts to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    for (address, account) in ACCOUNTS.iter(store) {
        put(BY_NUMBER.path(&(account.account_number, address)));
    }
}
