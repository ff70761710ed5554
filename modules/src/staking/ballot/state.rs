use alloc::vec::Vec;

use plasma_proto::{
    cosmos::gov::v1::Vote,
    plasma::staking::v1::{Ballot, BallotShares},
};

use crate::{Address, IndexEntry, IndexedMap, Key, Map, Read, Table, error::fault, prefix_end};

pub(super) const BALLOTS: Map<u64, Ballot> = Map::new(Table::StakingBallots);
/// (ballot, voter) -> vote.
pub const VOTES: IndexedMap<(u64, Address), Vote> =
    IndexedMap::new(Table::StakingBallotVotes, indexes);
/// (ballot, operator) -> shares whose owners voted themselves.
pub(super) const SHARES: Map<(u64, Address), BallotShares> = Map::new(Table::StakingBallotShares);

fn indexes((id, voter): &(u64, Address), _: &Vote) -> Vec<IndexEntry> {
    let mut key = Vec::with_capacity(28);
    (*voter, *id).put(&mut key);
    [(Table::StakingBallotVoters, key)].into()
}

/// Whether a ballot takes votes.
pub fn is_open(store: &dyn Read, id: u64) -> bool {
    BALLOTS.get(store, &id).is_some_and(|ballot| !ballot.closed)
}

/// What an account chose itself, in an open ballot.
pub fn vote(store: &dyn Read, id: u64, voter: Address) -> Option<Vote> {
    VOTES.get(store, &(id, voter)).filter(|_| is_open(store, id))
}

/// Ballots with a vote of an account, the closed ones among them.
pub(super) fn voted_on(store: &dyn Read, voter: Address) -> Vec<u64> {
    let mut prefix = Vec::with_capacity(21);
    prefix.push(Table::StakingBallotVoters.id());
    voter.put(&mut prefix);
    let (end, len) = (prefix_end(&prefix), prefix.len());
    store
        .range(&prefix, end.as_deref(), crate::Order::Ascending)
        .map(|(key, _)| {
            let id = key.get(len..).and_then(|mut rest| u64::take(&mut rest));
            id.unwrap_or_else(|| fault("bad index key", &key))
        })
        .collect()
}

/// The votes of all open ballots, in order of ballot and voter.
pub fn open_votes(store: &dyn Read) -> impl Iterator<Item = Vote> + '_ {
    let open = BALLOTS.iter(store).filter(|(_, ballot)| !ballot.closed);
    open.flat_map(|(id, _)| VOTES.map().iter_prefix(store, &id)).map(|(_, vote)| vote)
}

/// Hands every index key of the votes to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    VOTES.rebuild(store, put);
}
