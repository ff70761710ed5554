use alloc::vec::Vec;

use plasma_proto::plasma::reward::v1::{
    Account, Audited, Burn, Epoch, Params, Paying, Schedule, Standby,
};

use crate::{Address, Amount, IndexEntry, IndexedMap, Item, Key, Map, Read, Table, error::fault};

/// Module account that holds what providers were rewarded with and have not claimed.
pub const REWARDS: &str = "provider_rewards";

/// Seconds of a year: 365 days.
pub const YEAR_S: u64 = 365 * 86_400;

pub(super) const PARAMS: Item<Params> = Item::new(Table::RewardParams);
pub(super) const EPOCH: Item<Epoch> = Item::new(Table::RewardEpoch);
pub(super) const EPOCHS: Map<u64, Epoch> = Map::new(Table::RewardEpochs);
pub(super) const BURNS: Map<(u64, Address), Burn> = Map::new(Table::RewardBurns);
pub(super) const PAYING: Item<Paying> = Item::new(Table::RewardPaying);
pub(super) const ACCOUNTS: Map<Address, Account> = Map::new(Table::RewardAccounts);
pub(super) const AUDITED: IndexedMap<Address, Audited> =
    IndexedMap::new(Table::RewardAudited, audited_indexes);
pub(super) const STANDBY: Item<Standby> = Item::new(Table::RewardStandby);
pub(super) const SCHEDULE: Item<Schedule> = Item::new(Table::RewardSchedule);

pub(super) fn rewards() -> Address {
    Address::of_module(REWARDS)
}

fn audited_indexes(operator: &Address, audited: &Audited) -> Vec<IndexEntry> {
    let mut key = Vec::with_capacity(28);
    (audited.until_s, *operator).put(&mut key);
    [(Table::RewardAuditedByEnd, key)].into()
}

/// Marks in the order in which they run out, each with when.
pub(super) fn by_end(store: &dyn Read) -> impl Iterator<Item = (u64, Address)> + use<'_> {
    store.scan(&[Table::RewardAuditedByEnd.id()]).map(|(key, _)| {
        let parts = key.get(1..).and_then(|mut rest| <(u64, Address)>::take(&mut rest));
        parts.unwrap_or_else(|| fault("bad index key", &key))
    })
}

/// The mark that runs out first, and when.
pub(super) fn first_to_end(store: &dyn Read) -> Option<(u64, Address)> {
    by_end(store).next()
}

/// Hands every index key of the rewards to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    AUDITED.rebuild(store, put);
}

/// The numbers of the rewards.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_else(|| fault("rewards have no parameters", b""))
}

/// What a provider was rewarded with.
pub fn account(store: &dyn Read, operator: Address) -> Option<Account> {
    ACCOUNTS.get(store, &operator)
}

/// Where a provider's rewards are stored, and proven.
pub fn account_key(operator: &Address) -> Vec<u8> {
    ACCOUNTS.path(operator)
}

/// Sums of money never pass the supply, so they fit.
pub(super) fn sum(a: &str, b: Amount) -> Amount {
    Amount::stored(a).plus(b).unwrap_or_else(|| fault("a sum passed the largest amount", b""))
}
