use alloc::vec::Vec;

use plasma_proto::{
    cosmos::{
        evidence::v1beta1::Equivocation,
        slashing::v1beta1::{Params as SlashingParams, ValidatorSigningInfo},
        staking::v1beta1::{BondStatus, Delegation, Params, UnbondingDelegation, Validator},
    },
    plasma::staking::v1::{Past, Redelegation, Slash, SlashTask, ValidatorSet},
};
use prost_types::{Duration, Timestamp};

use crate::{
    Address, Amount, Dec, IndexEntry, IndexedMap, Item, Key, Map, Read, Table, Write,
    error::fault,
    types::{Hash, hash32},
};

/// (delegator, operator).
pub(super) type Pair = (Address, Address);
/// (delegator, destination, source).
pub(super) type Triple = (Address, Address, Address);

/// By operator.
pub(super) const VALIDATORS: IndexedMap<Address, Validator> =
    IndexedMap::new(Table::StakingValidators, validator_indexes);
/// Consensus address -> operator.
pub(super) const BY_CONSENSUS: Map<[u8; 20], Vec<u8>> = Map::new(Table::StakingByConsensus);
pub(super) const PARAMS: Item<Params> = Item::new(Table::StakingParams);
pub(super) const SLASHING_PARAMS: Item<SlashingParams> = Item::new(Table::StakingSlashingParams);
pub(super) const DELEGATIONS: IndexedMap<Pair, Delegation> =
    IndexedMap::new(Table::StakingDelegations, delegation_indexes);
pub(super) const UNBONDINGS: IndexedMap<Pair, UnbondingDelegation> =
    IndexedMap::new(Table::StakingUnbondings, unbonding_indexes);
pub(super) const REDELEGATIONS: IndexedMap<Triple, Redelegation> =
    IndexedMap::new(Table::StakingRedelegations, redelegation_indexes);
pub(super) const SIGNING_INFOS: Map<[u8; 20], ValidatorSigningInfo> =
    Map::new(Table::StakingSigningInfos);
/// (consensus address, part of the window) -> one bit per block, set where it was missed.
pub(super) const MISSED: Map<([u8; 20], u32), Vec<u8>> = Map::new(Table::StakingMissed);
/// (operator, height, infraction).
pub(super) const SLASHES: Map<(Address, u64, u8), Slash> = Map::new(Table::StakingSlashes);
/// What CometBFT was told.
pub(super) const SET: Item<ValidatorSet> = Item::new(Table::StakingSet);
/// By operator of the source.
pub(super) const SLASH_TASKS: Map<Address, SlashTask> = Map::new(Table::StakingSlashTasks);
pub(super) const EVIDENCE: Map<Hash, Equivocation> = Map::new(Table::StakingEvidence);
pub(super) const HISTORY: Map<u64, Past> = Map::new(Table::StakingHistory);
pub(super) const HISTORY_SETS: Map<u64, ValidatorSet> = Map::new(Table::StakingHistorySets);
pub(super) const NEXT_UNBONDING: Item<u64> = Item::new(Table::StakingNextUnbonding);

/// Module account of the tokens of validators in the set.
pub const BONDED_POOL: &str = "bonded_tokens_pool";
/// Module account of all other stake: of validators outside of the set, and what is unbonding.
pub const NOT_BONDED_POOL: &str = "not_bonded_tokens_pool";
/// Stake of one unit of voting power, uxpl.
pub const UXPL_PER_POWER: u128 = 1_000_000;
/// CometBFT's bound on the sum of all powers: MaxInt64 / 8.
pub(super) const TOTAL_POWER_MAX: u64 = 1_152_921_504_606_846_975;
/// All stake together, uxpl, at most: what fits a decimal, and far below CometBFT's bound on power.
pub const STAKE_MAX: Amount = Amount::new(100_000_000_000_000_000_000);
/// Validators that one account may stake with at a time.
pub const DELEGATIONS_MAX: usize = 32;
/// Pairs of validators between which one account may have stake on its way.
pub const REDELEGATIONS_MAX: usize = 32;

/// Where a validator is stored, and proven.
pub fn validator_key(operator: &Address) -> Vec<u8> {
    VALIDATORS.map().path(operator)
}

/// Where a delegation is stored, and proven.
pub fn delegation_key(delegator: Address, operator: Address) -> Vec<u8> {
    DELEGATIONS.map().path(&(delegator, operator))
}

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(68);
    key.put(&mut out);
    out
}

fn validator_indexes(operator: &Address, validator: &Validator) -> Vec<IndexEntry> {
    let mut indexes = Vec::with_capacity(2);
    let power = power(tokens(validator));
    if !validator.jailed && power > 0 {
        // Walked from the end: of those with one power, the smallest address comes first.
        let inverted = operator.0.map(|byte| !byte);
        indexes.push((Table::StakingByPower, bytes(&(power, inverted))));
    }
    if validator.status() == BondStatus::Unbonding {
        let due_s = seconds(validator.unbonding_time);
        indexes.push((Table::StakingUnbondingValidators, bytes(&(due_s, *operator))));
    }
    indexes
}

fn delegation_indexes((delegator, operator): &Pair, _: &Delegation) -> Vec<IndexEntry> {
    [(Table::StakingByOperator, bytes(&(*operator, *delegator)))].into()
}

fn unbonding_indexes((delegator, operator): &Pair, stake: &UnbondingDelegation) -> Vec<IndexEntry> {
    let mut indexes = Vec::with_capacity(8);
    indexes.push((Table::StakingUnbondingsByOperator, bytes(&(*operator, *delegator))));
    for entry in &stake.entries {
        let due = bytes(&(seconds(entry.completion_time), *delegator, *operator));
        push_once(&mut indexes, (Table::StakingUnbondingQueue, due));
    }
    indexes
}

fn redelegation_indexes((delegator, to, from): &Triple, moved: &Redelegation) -> Vec<IndexEntry> {
    let mut indexes = Vec::with_capacity(8);
    indexes.push((Table::StakingRedelegationsBySource, bytes(&(*from, *delegator, *to))));
    for entry in &moved.entries {
        let due = bytes(&(entry.completion_s, *delegator, *to, *from));
        push_once(&mut indexes, (Table::StakingRedelegationQueue, due));
    }
    indexes
}

/// Entries that are due in the same second have one place in a queue.
fn push_once(indexes: &mut Vec<IndexEntry>, entry: IndexEntry) {
    if !indexes.contains(&entry) {
        indexes.push(entry);
    }
}

/// Hands every index key of the room to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    VALIDATORS.rebuild(store, put);
    DELEGATIONS.rebuild(store, put);
    UNBONDINGS.rebuild(store, put);
    REDELEGATIONS.rebuild(store, put);
    super::ballot::rebuild_derived(store, put);
}

/// Keys of an index after `prefix`, from the one after `after` on, read as `K`.
pub(super) fn index_keys<'a, K: Key + 'a>(
    store: &'a dyn Read,
    table: Table,
    prefix: &[u8],
    after: &[u8],
) -> impl Iterator<Item = K> + use<'a, K> {
    let prefix = [&[table.id()], prefix].concat();
    let mut from = [prefix.as_slice(), after].concat();
    if !after.is_empty() {
        from.push(0);
    }
    let end = crate::prefix_end(&prefix);
    let skip = prefix.len();
    store.range(&from, end.as_deref(), crate::Order::Ascending).map(move |(key, _)| {
        let typed = key.get(skip..).and_then(|mut rest| K::take(&mut rest));
        typed.unwrap_or_else(|| fault("bad index key", &key))
    })
}

pub(super) fn bonded_pool() -> Address {
    Address::of_module(BONDED_POOL)
}

pub(super) fn not_bonded_pool() -> Address {
    Address::of_module(NOT_BONDED_POOL)
}

/// The pool that holds stake of this standing.
pub(super) fn pool(bonded: bool) -> Address {
    if bonded { bonded_pool() } else { not_bonded_pool() }
}

/// The validator of an operator.
pub fn validator(store: &dyn Read, operator: Address) -> Option<Validator> {
    VALIDATORS.get(store, &operator)
}

/// The stake with a validator, uxpl.
pub fn tokens(validator: &Validator) -> Amount {
    Amount::stored(&validator.tokens)
}

/// All shares of a validator's stake.
pub fn total_shares(validator: &Validator) -> Dec {
    Dec::stored(&validator.delegator_shares)
}

/// A delegator's shares of a validator's stake.
pub fn shares_of(store: &dyn Read, delegator: Address, operator: Address) -> Dec {
    let found = DELEGATIONS.get(store, &(delegator, operator));
    found.map_or(Dec::ZERO, |delegation| Dec::stored(&delegation.shares))
}

/// What shares of a validator are worth, rounded down: the remainder stays with the validator.
pub fn worth(validator: &Validator, shares: Dec) -> Amount {
    let all = total_shares(validator).scaled();
    let worth = crate::types::mul_div(shares.scaled(), tokens(validator).units(), all);
    worth.map(Amount::new).unwrap_or_default()
}

/// Voting power of stake: its whole XPL.
pub fn power(tokens: Amount) -> u64 {
    let whole = tokens.units().checked_div(UXPL_PER_POWER).unwrap_or_default();
    u64::try_from(whole).unwrap_or(u64::MAX)
}

/// The operators of the set, with their powers, in order of power.
pub fn bonded(store: &dyn Read) -> Vec<(Address, u64)> {
    let set = SET.get(store).unwrap_or_default();
    set.members.iter().map(|member| (Address::stored(&member.operator), member.power)).collect()
}

/// A validator's consensus key.
pub(super) fn consensus_key(validator: &Validator) -> [u8; 32] {
    use plasma_proto::cosmos::crypto::ed25519::PubKey;
    use prost::Message;
    let any = validator.consensus_pubkey.as_ref();
    let key = any.and_then(|any| PubKey::decode(any.value.as_slice()).ok());
    let key = key.and_then(|key| hash32(&key.key));
    key.unwrap_or_else(|| fault("bad consensus key", validator.operator_address.as_bytes()))
}

/// A validator's consensus address.
pub(super) fn consensus_address(validator: &Validator) -> [u8; 20] {
    Address::of_consensus(&consensus_key(validator)).0
}

/// The next number of something that unbonds.
pub(super) fn next_unbonding(store: &mut dyn Write) -> u64 {
    let id = NEXT_UNBONDING.get(store).unwrap_or(1);
    NEXT_UNBONDING.set(store, &id.saturating_add(1));
    id
}

pub(super) fn timestamp(seconds: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).min(crate::tx::TIME_LAST_S);
    Some(Timestamp { seconds, nanos: 0 })
}

/// Whole seconds of a time after 1970.
pub(super) fn seconds(time: Option<Timestamp>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.seconds).unwrap_or_default())
}

/// Whole seconds of a duration.
pub(super) fn duration_s(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |time| u64::try_from(time.seconds).unwrap_or_default())
}

/// A height as Cosmos's types hold it.
pub(super) fn signed(height: u64) -> i64 {
    i64::try_from(height).unwrap_or(i64::MAX)
}

/// A stored height, which is never below zero.
pub(super) fn unsigned(height: i64) -> u64 {
    u64::try_from(height).unwrap_or_default()
}
