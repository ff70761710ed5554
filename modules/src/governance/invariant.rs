use alloc::{collections::BTreeMap, format, string::String};

use plasma_proto::cosmos::gov::v1::ProposalStatus;

use super::{
    params::{coins, validate},
    state::{DEPOSITS, NEXT_PROPOSAL, PROPOSALS, STAGES, authority, is_open, params, uxpl},
};
use crate::{Amount, Read, staking::ballot, token};

/// Every sentence about proposals holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    validate(&params(store)).map_err(|error| format!("{error}"))?;
    gov_account_holds_the_sum_of_deposits(store)?;
    proposals_under_way_have_their_parts(store)
}

/// The gov account holds the sum of the deposits, which belong to proposals under way.
pub fn gov_account_holds_the_sum_of_deposits(store: &dyn Read) -> Result<(), String> {
    let mut sums = BTreeMap::<u64, Amount>::new();
    let mut whole = Amount::ZERO;
    let overflow = || String::from("the sum of deposits overflows");
    for ((id, depositor), deposit) in DEPOSITS.iter(store) {
        if deposit.proposal_id != id || deposit.depositor != depositor.text() {
            return Err(format!("the deposit of {depositor} on {id} is not theirs"));
        }
        let amount = uxpl(&deposit.amount);
        let sum = sums.entry(id).or_default();
        *sum = sum.plus(amount).ok_or_else(overflow)?;
        whole = whole.plus(amount).ok_or_else(overflow)?;
    }
    for (id, proposal) in PROPOSALS.map().iter(store).filter(|(_, proposal)| is_open(proposal)) {
        let sum = sums.remove(&id).unwrap_or_default();
        if coins(sum) != proposal.total_deposit {
            return Err(format!("the deposits on {id} do not sum to its total"));
        }
    }
    if let Some(id) = sums.keys().next() {
        return Err(format!("deposits on {id}, which is not under way"));
    }
    if token::balance(store, authority()) == whole {
        Ok(())
    } else {
        Err("the gov account does not hold the sum of the deposits".into())
    }
}

/// A proposal under way has its stage, one that is voted on its ballot, and no other has either.
fn proposals_under_way_have_their_parts(store: &dyn Read) -> Result<(), String> {
    let next = NEXT_PROPOSAL.get(store).unwrap_or_default();
    let mut open = 0usize;
    for (id, proposal) in PROPOSALS.map().iter(store) {
        let stage = STAGES.get(store, &id);
        let voting = proposal.status() == ProposalStatus::VotingPeriod;
        let fits = proposal.id == id
            && id < next
            && stage.is_some_and(|stage| stage.proposal_id == id) == is_open(&proposal)
            && ballot::is_open(store, id) == voting;
        if !fits {
            return Err(format!("proposal {id} is not as its status says"));
        }
        open = open.saturating_add(usize::from(is_open(&proposal)));
    }
    if STAGES.iter(store).count() == open {
        Ok(())
    } else {
        Err("a stage belongs to no proposal under way".into())
    }
}
