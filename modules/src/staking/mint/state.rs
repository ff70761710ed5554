use plasma_proto::{cosmos::mint::v1beta1::Params, plasma::staking::v1::Minter};

use crate::{Item, Table};

pub(super) const PARAMS: Item<Params> = Item::new(Table::MintParams);
pub(super) const MINTER: Item<Minter> = Item::new(Table::MintMinter);

/// Who answers for what is minted.
pub(super) const MINT: &str = "mint";

/// A year of 365.25 days, seconds.
pub(super) const YEAR_S: u64 = 31_557_600;
