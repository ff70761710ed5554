//! What happens at the end of a block: proposals whose time is over, then what old votes left.

use alloc::{
    format,
    string::{String, ToString},
};

use plasma_proto::cosmos::gov::v1::{Proposal, ProposalStatus};
use prost_types::Any;

use super::{
    Error,
    event::{Ending, Event},
    handler::end_deposits,
    params::period_s,
    state::{PROPOSALS, STAGES, authority, due, params, period, timestamp},
    tally::{self, Outcome},
};
use crate::{Ctx, Refusal, msg::Msg, staking::ballot, token};

/// Proposals whose stage ends in one block, at most.
pub const ENDINGS_PER_BLOCK_MAX: usize = 4;

/// Votes and sums of ended ballots that are removed in one block, at most.
pub const VOTES_REMOVED_PER_BLOCK_MAX: usize = 500;

/// Runs one message of any module, and answers with its response.
pub type Dispatch = fn(&mut Ctx<'_>, Msg) -> Result<Any, Refusal>;

/// Ends the stage of every proposal whose time and blocks have passed, oldest first; the rest waits
/// for the next block.
pub fn end_block(ctx: &mut Ctx<'_>, dispatch: Dispatch) {
    for proposal in due(ctx.store, ctx.block, ENDINGS_PER_BLOCK_MAX) {
        match proposal.status() {
            ProposalStatus::VotingPeriod => end_voting(ctx, proposal, dispatch),
            _ => drop_proposal(ctx, &proposal),
        }
    }
    ballot::sweep(ctx.store, VOTES_REMOVED_PER_BLOCK_MAX);
}

/// Too few deposits came in time.
fn drop_proposal(ctx: &mut Ctx<'_>, proposal: &Proposal) {
    let burns = params(ctx.store).burn_proposal_deposit_prevote;
    end_deposits(ctx, proposal.id, burns);
    STAGES.remove(ctx.store, &proposal.id);
    PROPOSALS.remove(ctx.store, &proposal.id);
    ctx.emit(&Event::Inactive { proposal_id: proposal.id, ending: Ending::Dropped });
}

/// Counts the votes, and does what they say.
fn end_voting(ctx: &mut Ctx<'_>, mut proposal: Proposal, dispatch: Dispatch) {
    let id = proposal.id;
    let params = params(ctx.store);
    let tally = ballot::count(ctx.store, id);
    let Outcome { passes, burns } = tally::decide(&tally, &params, proposal.expedited);
    proposal.final_tally_result = Some(tally::result(&tally));

    if proposal.expedited && !passes {
        // The votes stay: they count in the ordinary vote that this becomes.
        let (began_s, _) = period(&proposal).unwrap_or_default();
        let ends_s = began_s.saturating_add(period_s(&params.voting_period));
        proposal.expedited = false;
        proposal.voting_end_time = Some(timestamp(ends_s));
        PROPOSALS.set(ctx.store, &id, &proposal);
        let log = "expedited proposal converted to regular";
        ctx.emit(&Event::Active { proposal_id: id, ending: Ending::ExpeditedRejected, log });
        return;
    }

    ballot::close(ctx.store, id);
    STAGES.remove(ctx.store, &id);
    end_deposits(ctx, id, burns);
    let (ending, log) = if !passes {
        proposal.set_status(ProposalStatus::Rejected);
        proposal.failed_reason = "proposal did not get enough votes to pass".into();
        (Ending::Rejected, String::from("rejected"))
    } else {
        match carry_out(ctx, &proposal.messages, dispatch) {
            Ok(()) => {
                proposal.set_status(ProposalStatus::Passed);
                (Ending::Passed, "passed".into())
            }
            Err((at, refusal)) => {
                let url = proposal.messages.get(at).map_or("all", |any| any.type_url.as_str());
                let Refusal { codespace, code, log } = refusal;
                let log = format!("passed, but msg {at} ({url}) failed on execution: {log}");
                // Codes are consensus, and what is said about them is not: state holds the codes.
                let reason =
                    format!("message {at} ({url}) was refused: codespace {codespace}, code {code}");
                proposal.set_status(ProposalStatus::Failed);
                proposal.failed_reason = reason;
                (Ending::Failed, log)
            }
        }
    };
    PROPOSALS.set(ctx.store, &id, &proposal);
    ctx.emit(&Event::Active { proposal_id: id, ending, log: &log });
}

/// Carries out the messages of a proposal in order, all of them or none. `Err` is the place of the
/// one that was refused; one past the last, where all of them together were.
fn carry_out(
    ctx: &mut Ctx<'_>,
    messages: &[Any],
    dispatch: Dispatch,
) -> Result<(), (usize, Refusal)> {
    ctx.apart(|ctx| {
        let before = token::balance(ctx.store, authority());
        for (at, any) in messages.iter().enumerate() {
            let from = ctx.events.len();
            let msg = Msg::from_any(any).map_err(|refusal| (at, refusal))?;
            dispatch(ctx, msg).map_err(|refusal| (at, refusal))?;
            for event in ctx.events.iter_mut().skip(from) {
                event.attributes.push(("proposal_msg_index", at.to_string()));
            }
        }
        let after = token::balance(ctx.store, authority());
        if after != before {
            return Err((messages.len(), Error::MovesDeposits { before, after }.into()));
        }
        Ok(())
    })
}
