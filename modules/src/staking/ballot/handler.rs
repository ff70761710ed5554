use alloc::{string::String, vec::Vec};

use plasma_proto::{cosmos::gov::v1::Vote, plasma::staking::v1::Ballot};

use super::{
    Options,
    count::Sums,
    state::{BALLOTS, SHARES, VOTES, is_open, voted_on},
};
use crate::{Address, Dec, Write, staking::stake};

/// Most ballots at once, those whose votes are still being removed among them: so much at most
/// changes where a voter's shares move.
pub const BALLOTS_MAX: usize = 64;

/// There are [`BALLOTS_MAX`] ballots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Begins a ballot.
pub fn open(store: &mut dyn Write, id: u64) -> Result<(), Full> {
    if BALLOTS.iter(store).count() >= BALLOTS_MAX {
        return Err(Full);
    }
    BALLOTS.set(store, &id, &Ballot { id, closed: false });
    Ok(())
}

/// Takes an account's vote in an open ballot, in place of an earlier one. It counts with whatever
/// stake the account has while the ballot is open.
pub fn cast(store: &mut dyn Write, id: u64, voter: Address, options: &Options, metadata: String) {
    let before = VOTES.get(store, &(id, voter)).as_ref().map(Options::stored);
    for (operator, shares) in stake::delegations(store, voter) {
        change(store, id, operator, |sums| {
            if let Some(before) = &before {
                sums.take(shares, before);
            }
            sums.put(shares, options);
        });
    }
    let vote = Vote { proposal_id: id, voter: voter.text(), options: options.to_proto(), metadata };
    VOTES.set(store, &(id, voter), &vote);
}

/// A delegator's shares of a validator are `after`, where they were `before`.
pub fn moved(
    store: &mut dyn Write,
    delegator: Address,
    operator: Address,
    before: Dec,
    after: Dec,
) {
    for id in voted_on(store, delegator) {
        if let Some(vote) = super::vote(store, id, delegator) {
            let options = Options::stored(&vote);
            change(store, id, operator, |sums| {
                sums.take(before, &options);
                sums.put(after, &options);
            });
        }
    }
}

fn change(store: &mut dyn Write, id: u64, operator: Address, change: impl FnOnce(&mut Sums)) {
    let key = (id, operator);
    let stored = SHARES.get(store, &key);
    let mut sums = stored.as_ref().map_or_else(Sums::default, Sums::stored);
    change(&mut sums);
    if sums != Sums::default() {
        SHARES.set(store, &key, &sums.to_proto());
    } else if stored.is_some() {
        SHARES.remove(store, &key);
    }
}

/// Ends a ballot. Its votes count no more and are no longer told; [`sweep`] removes them.
pub fn close(store: &mut dyn Write, id: u64) {
    if is_open(store, id) {
        BALLOTS.set(store, &id, &Ballot { id, closed: true });
    }
}

/// Removes what closed ballots left, oldest first, at most `entries_max` entries; the rest waits.
pub fn sweep(store: &mut dyn Write, entries_max: usize) {
    let closed: Vec<u64> =
        BALLOTS.iter(store).filter(|(_, ballot)| ballot.closed).map(|(id, _)| id).collect();
    let mut left = entries_max;
    for id in closed {
        let votes: Vec<_> = keys(VOTES.map().iter_prefix(store, &id), left);
        left = left.saturating_sub(votes.len());
        votes.iter().for_each(|key| VOTES.remove(store, key));
        let shares: Vec<_> = keys(SHARES.iter_prefix(store, &id), left);
        left = left.saturating_sub(shares.len());
        shares.iter().for_each(|key| SHARES.remove(store, key));
        if left == 0 {
            return;
        }
        BALLOTS.remove(store, &id);
    }
}

fn keys<K, V>(entries: impl Iterator<Item = (K, V)>, count: usize) -> Vec<K> {
    entries.take(count).map(|(key, _)| key).collect()
}
