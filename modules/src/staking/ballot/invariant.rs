use alloc::{collections::BTreeMap, format, string::String};

use super::{
    Options,
    count::Sums,
    state::{BALLOTS, SHARES, VOTES},
};
use crate::{Address, Read, staking::stake};

/// The sums of every open ballot are those of its votes and delegations; every vote stands under its
/// ballot and voter.
pub fn sums_are_a_recount_of_votes(store: &dyn Read) -> Result<(), String> {
    let mut recount = BTreeMap::<(u64, Address), Sums>::new();
    for ((id, voter), vote) in VOTES.map().iter(store) {
        let named = vote.proposal_id == id && vote.voter == voter.text();
        let Some(ballot) = BALLOTS.get(store, &id).filter(|_| named) else {
            return Err(format!("the vote of {voter} on {id} is not theirs"));
        };
        let options = Options::of(&vote)
            .filter(|options| options.to_proto() == vote.options)
            .ok_or_else(|| format!("the vote of {voter} on {id} does not read back"))?;
        if !ballot.closed {
            for (operator, shares) in stake::delegations(store, voter) {
                recount.entry((id, operator)).or_default().put(shares, &options);
            }
        }
    }
    for (key, stored) in SHARES.iter(store) {
        let (id, operator) = key;
        let ballot = BALLOTS
            .get(store, &id)
            .ok_or_else(|| format!("shares of {operator} stand in no ballot {id}"))?;
        if !ballot.closed && recount.remove(&key) != Some(Sums::stored(&stored)) {
            return Err(format!("the shares of {operator} that voted on {id} are not a recount"));
        }
    }
    if let Some(((id, operator), _)) = recount.into_iter().find(|(_, s)| *s != Sums::default()) {
        return Err(format!("the shares of {operator} that voted on {id} are missing"));
    }
    Ok(())
}
