use plasma_proto::{cosmos::auth::v1beta1::BaseAccount, plasma::auth::v1::Vesting};

use crate::{Address, Item, Map, Table};

pub(super) const ACCOUNTS: Map<Address, BaseAccount> = Map::new(Table::AuthAccounts);
pub(super) const BY_NUMBER: Map<(u64, Address), ()> = Map::new(Table::AuthByNumber);
pub(super) const VESTINGS: Map<Address, Vesting> = Map::new(Table::AuthVestings);
pub(super) const NEXT_NUMBER: Item<u64> = Item::new(Table::AuthNextNumber);

/// The accounts of modules, with what each may do beside holding money. No message pays, locks
/// or grants anything to one of them.
pub const MODULE_ACCOUNTS: [(&str, &[&str]); 4] = [
    ("bonded_tokens_pool", &["burner", "staking"]),
    ("distribution", &[]),
    ("market_escrow", &["burner"]),
    ("provider_bonds", &["burner"]),
];
