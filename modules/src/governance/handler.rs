use alloc::{format, string::String, vec::Vec};

use plasma_proto::{
    cosmos::gov::{
        v1::{
            Deposit as StoredDeposit, MsgCancelProposalResponse, MsgDepositResponse,
            MsgSubmitProposalResponse, MsgVoteResponse, MsgVoteWeightedResponse, Params, Proposal,
            ProposalStatus,
        },
        v1beta1,
    },
    plasma::governance::v1::Stage,
};

use super::{
    CancelProposal, Deposit, Error, LegacyDeposit, LegacyProposal, LegacyVote, LegacyWeightedVote,
    SubmitProposal, Vote, WeightedVote,
    event::Event,
    params::{coins, community, min_deposit, period_s, ratio},
    state::{
        DEPOSITS, NEXT_PROPOSAL, PROPOSALS, STAGES, authority, ids_of, is_open, is_over, params,
        timestamp, uxpl,
    },
    tally,
};
use crate::{
    Address, Amount, Ctx,
    error::fault,
    staking::{self, ballot},
    token,
};

/// Most proposals that wait for their deposit.
pub const WAITING_MAX: usize = 256;

/// Most depositors of a proposal: all are paid back in one block.
pub const DEPOSITORS_MAX: usize = 100;

/// `MsgSubmitProposal`. With the whole deposit, its voting begins at once.
pub fn submit_proposal(
    ctx: &mut Ctx<'_>,
    msg: SubmitProposal,
) -> Result<MsgSubmitProposalResponse, Error> {
    let proposal_id = submit(ctx, msg)?;
    Ok(MsgSubmitProposalResponse { proposal_id })
}

/// `MsgSubmitProposal` of v1beta1.
pub fn submit_legacy_proposal(
    ctx: &mut Ctx<'_>,
    msg: LegacyProposal,
) -> Result<v1beta1::MsgSubmitProposalResponse, Error> {
    let proposal_id = submit(ctx, msg.0)?;
    Ok(v1beta1::MsgSubmitProposalResponse { proposal_id })
}

fn submit(ctx: &mut Ctx<'_>, msg: SubmitProposal) -> Result<u64, Error> {
    let SubmitProposal {
        proposer,
        messages,
        gas_inside: _,
        deposit,
        metadata,
        title,
        summary,
        expedited,
    } = msg;
    let params = params(ctx.store);
    // The least first deposit is rounded up.
    let whole = min_deposit(&params, expedited);
    let least = money(ratio(&params.min_initial_deposit_ratio).of_up(whole));
    if deposit < least {
        return Err(Error::DepositTooSmall { amount: deposit, least });
    }
    let id = NEXT_PROPOSAL.get(ctx.store).unwrap_or_default();
    NEXT_PROPOSAL.set(ctx.store, &id.saturating_add(1));
    let ends_s = ctx.block.time_s.saturating_add(period_s(&params.max_deposit_period));
    let types: Vec<_> = messages.iter().map(|any| any.type_url.clone()).collect();
    let proposal = Proposal {
        id,
        messages,
        status: ProposalStatus::DepositPeriod.into(),
        final_tally_result: Some(tally::result(&ballot::Tally::default())),
        submit_time: Some(timestamp(ctx.block.time_s)),
        deposit_end_time: Some(timestamp(ends_s)),
        total_deposit: Vec::new(),
        voting_start_time: None,
        voting_end_time: None,
        metadata,
        title,
        summary,
        proposer: proposer.text(),
        expedited,
        failed_reason: String::new(),
    };
    STAGES.set(ctx.store, &id, &Stage { proposal_id: id, since_height: ctx.block.height });
    ctx.emit(&Event::Submitted { proposal_id: id, proposer, types: &types });
    if add_deposit(ctx, &params, proposal, proposer, deposit)? {
        ctx.emit(&Event::SubmittedToVoting { proposal_id: id });
    } else {
        let waiting = ids_of(ctx.store, ProposalStatus::DepositPeriod);
        if waiting.take(WAITING_MAX.saturating_add(1)).count() > WAITING_MAX {
            return Err(Error::TooMany("256 wait for their deposit: bring the whole deposit"));
        }
    }
    Ok(id)
}

/// `MsgDeposit`.
pub fn deposit(ctx: &mut Ctx<'_>, msg: Deposit) -> Result<MsgDepositResponse, Error> {
    let Deposit { proposal_id, depositor, amount } = msg;
    let proposal = PROPOSALS.get(ctx.store, &proposal_id).ok_or(Error::Unknown(proposal_id))?;
    if !is_open(&proposal) {
        return Err(Error::Inactive(proposal_id));
    }
    let params = params(ctx.store);
    if add_deposit(ctx, &params, proposal, depositor, amount)? {
        ctx.emit(&Event::DepositedToVoting { proposal_id });
    }
    Ok(MsgDepositResponse {})
}

/// `MsgDeposit` of v1beta1.
pub fn legacy_deposit(
    ctx: &mut Ctx<'_>,
    msg: LegacyDeposit,
) -> Result<v1beta1::MsgDepositResponse, Error> {
    deposit(ctx, msg.0)?;
    Ok(v1beta1::MsgDepositResponse {})
}

/// Takes a deposit, of at least the least share of the whole, and stores the proposal; `true` if with
/// it the voting begins.
fn add_deposit(
    ctx: &mut Ctx<'_>,
    params: &Params,
    mut proposal: Proposal,
    depositor: Address,
    amount: Amount,
) -> Result<bool, Error> {
    let id = proposal.id;
    let whole = min_deposit(params, proposal.expedited);
    let least = money(ratio(&params.min_deposit_ratio).of_up(whole));
    if amount < least {
        return Err(Error::DepositTooSmall { amount, least });
    }
    let key = (id, depositor);
    let before = DEPOSITS.get(ctx.store, &key).map(|deposit| uxpl(&deposit.amount));
    if before.is_none()
        && DEPOSITS.iter_prefix(ctx.store, &id).take(DEPOSITORS_MAX).count() == DEPOSITORS_MAX
    {
        return Err(Error::TooManyDepositors(DEPOSITORS_MAX));
    }
    token::transfer(ctx, depositor, authority(), amount)?;
    let sum = money(before.unwrap_or_default().plus(amount));
    let deposit =
        StoredDeposit { proposal_id: id, depositor: depositor.text(), amount: coins(sum) };
    DEPOSITS.set(ctx.store, &key, &deposit);
    ctx.emit(&Event::Deposited { proposal_id: id, depositor, amount });

    let total = money(uxpl(&proposal.total_deposit).plus(amount));
    proposal.total_deposit = coins(total);
    let begins = proposal.status() == ProposalStatus::DepositPeriod && total >= whole;
    if begins {
        let period = if proposal.expedited {
            &params.expedited_voting_period
        } else {
            &params.voting_period
        };
        let (now_s, height) = (ctx.block.time_s, ctx.block.height);
        proposal.set_status(ProposalStatus::VotingPeriod);
        proposal.voting_start_time = Some(timestamp(now_s));
        proposal.voting_end_time = Some(timestamp(now_s.saturating_add(period_s(period))));
        STAGES.set(ctx.store, &id, &Stage { proposal_id: id, since_height: height });
        ballot::open(ctx.store, id)
            .map_err(|ballot::Full| Error::TooMany("64 are voted on: wait for one to end"))?;
    }
    PROPOSALS.set(ctx.store, &id, &proposal);
    Ok(begins)
}

/// Sums of money never pass the supply, and what was counted in is counted out, so they fit.
fn money(sum: Option<Amount>) -> Amount {
    sum.unwrap_or_else(|| fault("deposits do not add up", b""))
}

/// `MsgVote`.
pub fn vote(ctx: &mut Ctx<'_>, msg: Vote) -> Result<MsgVoteResponse, Error> {
    cast(ctx, msg)?;
    Ok(MsgVoteResponse {})
}

/// `MsgVoteWeighted`.
pub fn vote_weighted(
    ctx: &mut Ctx<'_>,
    msg: WeightedVote,
) -> Result<MsgVoteWeightedResponse, Error> {
    cast(ctx, msg.0)?;
    Ok(MsgVoteWeightedResponse {})
}

/// `MsgVote` of v1beta1.
pub fn legacy_vote(ctx: &mut Ctx<'_>, msg: LegacyVote) -> Result<v1beta1::MsgVoteResponse, Error> {
    cast(ctx, msg.0)?;
    Ok(v1beta1::MsgVoteResponse {})
}

/// `MsgVoteWeighted` of v1beta1.
pub fn legacy_vote_weighted(
    ctx: &mut Ctx<'_>,
    msg: LegacyWeightedVote,
) -> Result<v1beta1::MsgVoteWeightedResponse, Error> {
    cast(ctx, msg.0)?;
    Ok(v1beta1::MsgVoteWeightedResponse {})
}

fn cast(ctx: &mut Ctx<'_>, msg: Vote) -> Result<(), Error> {
    let Vote { proposal_id, voter, options, metadata } = msg;
    if !ballot::is_open(ctx.store, proposal_id) {
        return Err(Error::Inactive(proposal_id));
    }
    ballot::cast(ctx.store, proposal_id, voter, &options, metadata);
    ctx.emit(&Event::Voted { proposal_id, voter, options: &options });
    Ok(())
}

/// `MsgCancelProposal`: part of each deposit is lost, the rest goes back, and the proposal is
/// forgotten.
pub fn cancel_proposal(
    ctx: &mut Ctx<'_>,
    msg: CancelProposal,
) -> Result<MsgCancelProposalResponse, Error> {
    let CancelProposal { proposal_id, proposer } = msg;
    let proposal = PROPOSALS.get(ctx.store, &proposal_id).ok_or(Error::Unknown(proposal_id))?;
    if proposal.proposer != proposer.text() {
        return Err(Error::InvalidProposer(proposer));
    }
    if !is_open(&proposal) {
        return Err(Error::Ended);
    }
    if is_over(ctx.store, ctx.block, &proposal) {
        return Err(Error::VotingEnded(proposal_id));
    }
    charge_deposits(ctx, proposal_id)?;
    ballot::close(ctx.store, proposal_id);
    STAGES.remove(ctx.store, &proposal_id);
    PROPOSALS.remove(ctx.store, &proposal_id);
    ctx.emit(&Event::Cancelled { proposal_id, proposer });
    Ok(MsgCancelProposalResponse {
        proposal_id,
        canceled_time: Some(timestamp(ctx.block.time_s)),
        canceled_height: ctx.block.height,
    })
}

/// Takes the fee of a cancelled proposal from each deposit, rounded down, and pays back the rest.
fn charge_deposits(ctx: &mut Ctx<'_>, id: u64) -> Result<(), Error> {
    let params = params(ctx.store);
    let part = ratio(&params.proposal_cancel_ratio);
    let mut lost = Amount::ZERO;
    for (depositor, amount) in take_deposits(ctx, id) {
        let fee = money(part.of(amount));
        lost = money(lost.plus(fee));
        token::transfer(ctx, authority(), depositor, money(amount.minus(fee)))?;
    }
    if params.proposal_cancel_dest.is_empty() {
        return Ok(token::burn(ctx, authority(), lost)?);
    }
    let dest = Address::stored(&params.proposal_cancel_dest);
    if dest == community() {
        Ok(staking::fund_community(ctx, authority(), lost)?)
    } else {
        Ok(token::transfer(ctx, authority(), dest, lost)?)
    }
}

/// Removes the deposits of a proposal, whose money is the caller's to move.
fn take_deposits(ctx: &mut Ctx<'_>, id: u64) -> Vec<(Address, Amount)> {
    let deposits: Vec<_> = DEPOSITS
        .iter_prefix(ctx.store, &id)
        .map(|((_, depositor), deposit)| (depositor, uxpl(&deposit.amount)))
        .collect();
    for (depositor, _) in &deposits {
        DEPOSITS.remove(ctx.store, &(id, *depositor));
    }
    deposits
}

/// Pays every deposit of a proposal back, or burns all of them.
pub(super) fn end_deposits(ctx: &mut Ctx<'_>, id: u64, burns: bool) {
    let deposits = take_deposits(ctx, id);
    let moved = if burns {
        let sum = deposits.iter().map(|(_, amount)| *amount);
        let sum = sum.fold(Amount::ZERO, |sum, amount| money(sum.plus(amount)));
        token::burn(ctx, authority(), sum)
    } else {
        deposits
            .into_iter()
            .try_for_each(|(to, amount)| token::transfer(ctx, authority(), to, amount))
    };
    if let Err(error) = moved {
        fault(&format!("deposits of proposal {id}: {error}"), &id.to_be_bytes());
    }
}
