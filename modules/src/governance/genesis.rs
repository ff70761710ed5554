use alloc::{format, string::String, vec::Vec};

use plasma_proto::{
    cosmos::gov::v1::{Deposit, Proposal, ProposalStatus, Vote},
    plasma::{genesis::v1::GovernanceGenesis, governance::v1::Stage},
};

use super::{
    Error, consensus, grants,
    msg::check_messages,
    params::{self, coins},
    state::{
        CONSTITUTION, DEPOSITS, NEXT_PROPOSAL, PARAMS, PROPOSALS, STAGES, authority, is_open,
        period, uxpl,
    },
    upgrade,
};
use crate::{Address, Amount, Read, Refusal, Write, rules, staking::ballot, token};

/// No proposal, the default numbers.
pub fn default_genesis() -> GovernanceGenesis {
    GovernanceGenesis {
        params: Some(params::default_params()),
        constitution: String::new(),
        next_proposal_id: 1,
        proposals: Vec::new(),
        deposits: Vec::new(),
        votes: Vec::new(),
        stages: Vec::new(),
        grants: Vec::new(),
        next_grant_id: 1,
        upgrade_plan: None,
        applied_upgrades: Vec::new(),
        consensus: Some(rules::default_consensus()),
    }
}

/// Writes what the community decided so far. Stake and the numbers of fees must have been written
/// before: votes are counted with it, and consensus must go together with both.
pub fn init(store: &mut dyn Write, genesis: &GovernanceGenesis) -> Result<(), Refusal> {
    init_proposals(store, genesis)?;
    grants::init(store, &genesis.grants, genesis.next_grant_id)?;
    let missing = || Error::BadGenesis("consensus is missing".into());
    consensus::init(store, genesis.consensus.as_ref().ok_or_else(missing)?)?;
    rules::check_together(store)?;
    upgrade::init(store, genesis.upgrade_plan.as_ref(), &genesis.applied_upgrades)
}

/// Writes the proposals with their deposits and votes.
fn init_proposals(store: &mut dyn Write, genesis: &GovernanceGenesis) -> Result<(), Error> {
    let GovernanceGenesis {
        params,
        constitution,
        next_proposal_id,
        proposals,
        deposits,
        votes,
        stages,
        grants: _,
        next_grant_id: _,
        upgrade_plan: _,
        applied_upgrades: _,
        consensus: _,
    } = genesis;
    let bad = |why: String| Error::BadGenesis(why);
    let params = params.as_ref().ok_or_else(|| bad("params are missing".into()))?;
    params::validate(params)?;
    PARAMS.set(store, params);
    CONSTITUTION.set(store, constitution);
    if *next_proposal_id == 0 {
        return Err(bad("next_proposal_id is 0: ids begin at 1".into()));
    }
    NEXT_PROPOSAL.set(store, next_proposal_id);
    for proposal in proposals {
        let id = proposal.id;
        check_proposal(proposal).map_err(|why| bad(format!("proposal {id}: {why}")))?;
        if id == 0 || id >= *next_proposal_id || PROPOSALS.get(store, &id).is_some() {
            return Err(bad(format!("proposal {id} stands twice, or is not below the next")));
        }
        PROPOSALS.set(store, &id, proposal);
        if proposal.status() == ProposalStatus::VotingPeriod {
            let full = |ballot::Full| bad("more proposals are voted on than there may be".into());
            ballot::open(store, id).map_err(full)?;
        }
    }
    for stage in stages {
        let Stage { proposal_id, since_height: _ } = *stage;
        STAGES.set(store, &proposal_id, stage);
    }
    let mut whole = Amount::ZERO;
    for deposit in deposits {
        let Deposit { proposal_id, depositor, amount } = deposit;
        let depositor = Address::parse(depositor)?;
        let wrong = || bad(format!("the deposit of {depositor} on {proposal_id}"));
        let amount = only_uxpl(amount).ok_or_else(wrong)?;
        if DEPOSITS.has(store, &(*proposal_id, depositor)) {
            return Err(wrong());
        }
        whole = whole.plus(amount).ok_or_else(wrong)?;
        DEPOSITS.set(store, &(*proposal_id, depositor), deposit);
    }
    if whole != token::balance(store, authority()) {
        return Err(bad("the gov account does not hold the sum of the deposits".into()));
    }
    for vote in votes {
        let Vote { proposal_id, voter, options: _, metadata } = vote;
        let voter = Address::parse(voter)?;
        let wrong = || bad(format!("the vote of {voter} on {proposal_id}"));
        let options = ballot::Options::of(vote).ok_or_else(wrong)?;
        let twice = ballot::vote(store, *proposal_id, voter).is_some();
        if !ballot::is_open(store, *proposal_id) || twice {
            return Err(wrong());
        }
        ballot::cast(store, *proposal_id, voter, &options, metadata.clone());
    }
    Ok(())
}

/// What a later block would trip over.
fn check_proposal(proposal: &Proposal) -> Result<(), String> {
    if proposal.status() == ProposalStatus::Unspecified {
        return Err("it has no status".into());
    }
    Address::parse(&proposal.proposer).map_err(|error| format!("{error}"))?;
    if !is_open(proposal) {
        return Ok(());
    }
    check_messages(&proposal.messages).map_err(|error| format!("{error}"))?;
    if period(proposal).is_none_or(|(from_s, due_s)| from_s == 0 || due_s < from_s) {
        return Err("its times are wrong".into());
    }
    only_uxpl(&proposal.total_deposit).map(drop).ok_or_else(|| "its deposit is no uxpl".into())
}

fn only_uxpl(list: &[plasma_proto::cosmos::base::v1beta1::Coin]) -> Option<Amount> {
    let amount = Amount::parse(&list.first()?.amount)?;
    (list == coins(uxpl(list)) && amount != Amount::ZERO).then_some(amount)
}

/// The whole of governance. What is left of ended ballots is not part of it.
pub fn export(store: &dyn Read) -> GovernanceGenesis {
    let (grants, next_grant_id) = grants::export(store);
    GovernanceGenesis {
        params: PARAMS.get(store),
        constitution: CONSTITUTION.get(store).unwrap_or_default(),
        next_proposal_id: NEXT_PROPOSAL.get(store).unwrap_or_default(),
        proposals: PROPOSALS.map().iter(store).map(|(_, proposal)| proposal).collect(),
        deposits: DEPOSITS.iter(store).map(|(_, deposit)| deposit).collect(),
        votes: ballot::open_votes(store).collect(),
        stages: STAGES.iter(store).map(|(_, stage)| stage).collect(),
        grants,
        next_grant_id,
        upgrade_plan: upgrade::plan(store),
        applied_upgrades: upgrade::export_applied(store),
        consensus: rules::CONSENSUS.get(store),
    }
}
