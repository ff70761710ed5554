use alloc::vec::Vec;

use plasma_proto::plasma::staking::v1::Validator;

use crate::{Address, Map, Table};

pub(super) const VALIDATORS: Map<Address, Validator> = Map::new(Table::StakingValidators);
pub(super) const BY_CONSENSUS: Map<[u8; 20], Vec<u8>> = Map::new(Table::StakingByConsensus);

/// Module account of the validators' tokens.
pub const BONDED_POOL: &str = "bonded_tokens_pool";
/// Stake of one unit of voting power, uxpl.
pub const UXPL_PER_POWER: u128 = 1_000_000;
/// CometBFT's bound on the sum of all powers: MaxInt64 / 8.
pub(super) const TOTAL_POWER_MAX: u64 = 1_152_921_504_606_846_975;

/// Where a validator is stored, and proven.
pub fn validator_key(operator: &Address) -> Vec<u8> {
    VALIDATORS.path(operator)
}
