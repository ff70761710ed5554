//! Questions of v1beta1, answered from what v1 stores. None of them fails where v1 has an answer.

use alloc::{string::String, vec::Vec};

use plasma_proto::cosmos::gov::{
    v1::{self, VoteOption},
    v1beta1::{
        Deposit, DepositParams, Proposal, QueryDepositRequest, QueryDepositResponse,
        QueryDepositsRequest, QueryDepositsResponse, QueryParamsRequest, QueryParamsResponse,
        QueryProposalRequest, QueryProposalResponse, QueryProposalsRequest, QueryProposalsResponse,
        QueryTallyResultRequest, QueryTallyResultResponse, QueryVoteRequest, QueryVoteResponse,
        QueryVotesRequest, QueryVotesResponse, TallyParams, TallyResult, TextProposal, Vote,
        VotingParams, WeightedVoteOption,
    },
};
use prost::{Message, Name};
use prost_types::{Any, Duration, Timestamp};

use super::{
    query::{
        filtered, find, find_deposit, find_tally, find_vote, page_deposits, page_votes, scaled,
    },
    state::params,
};
use crate::{
    View,
    query::{QueryError, Router},
    staking::ballot::Options,
};

/// A time that is not set, as clients of v1beta1 know it: the first second of the year 1.
const NO_TIME: Timestamp = Timestamp { seconds: -62_135_596_800, nanos: 0 };

pub(super) fn routes(router: &mut Router) {
    router.add("/cosmos.gov.v1beta1.Query/Params", some_params);
    router.add("/cosmos.gov.v1beta1.Query/Proposal", one);
    router.add("/cosmos.gov.v1beta1.Query/Proposals", many);
    router.add("/cosmos.gov.v1beta1.Query/Deposit", deposit);
    router.add("/cosmos.gov.v1beta1.Query/Deposits", deposits);
    router.add("/cosmos.gov.v1beta1.Query/Vote", vote);
    router.add("/cosmos.gov.v1beta1.Query/Votes", votes);
    router.add("/cosmos.gov.v1beta1.Query/TallyResult", tally_result);
}

/// The parameters of one kind. Those of the other kinds are there and empty, as in the Cosmos SDK.
fn some_params(
    view: &View<'_>,
    ask: QueryParamsRequest,
) -> Result<QueryParamsResponse, QueryError> {
    let params = params(view.store);
    let none = Some(Duration::default());
    let mut answer = QueryParamsResponse {
        voting_params: Some(VotingParams { voting_period: none }),
        deposit_params: Some(DepositParams { min_deposit: Vec::new(), max_deposit_period: none }),
        tally_params: Some(TallyParams {
            quorum: b"0".to_vec(),
            threshold: b"0".to_vec(),
            veto_threshold: b"0".to_vec(),
        }),
    };
    match ask.params_type.as_str() {
        "voting" => {
            answer.voting_params = Some(VotingParams { voting_period: params.voting_period });
        }
        "deposit" => {
            let v1::Params { min_deposit, max_deposit_period, .. } = params;
            answer.deposit_params = Some(DepositParams { min_deposit, max_deposit_period });
        }
        "tallying" => {
            let bytes = |text: &str| scaled(text).into_bytes();
            answer.tally_params = Some(TallyParams {
                quorum: bytes(&params.quorum),
                threshold: bytes(&params.threshold),
                veto_threshold: bytes(&params.veto_threshold),
            });
        }
        other => {
            let text = alloc::format!("{other} is not a valid parameter type");
            return Err(QueryError::invalid(text));
        }
    }
    Ok(answer)
}

fn one(view: &View<'_>, ask: QueryProposalRequest) -> Result<QueryProposalResponse, QueryError> {
    Ok(QueryProposalResponse { proposal: Some(old_proposal(find(view, ask.proposal_id)?)) })
}

fn many(view: &View<'_>, ask: QueryProposalsRequest) -> Result<QueryProposalsResponse, QueryError> {
    let QueryProposalsRequest { proposal_status, voter, depositor, pagination } = ask;
    let (proposals, pagination) = filtered(view, proposal_status, &voter, &depositor, pagination)?;
    let proposals = proposals.into_iter().map(old_proposal).collect();
    Ok(QueryProposalsResponse { proposals, pagination: Some(pagination) })
}

fn deposit(view: &View<'_>, ask: QueryDepositRequest) -> Result<QueryDepositResponse, QueryError> {
    let deposit = find_deposit(view, ask.proposal_id, &ask.depositor)?;
    Ok(QueryDepositResponse { deposit: Some(old_deposit(deposit)) })
}

fn deposits(
    view: &View<'_>,
    ask: QueryDepositsRequest,
) -> Result<QueryDepositsResponse, QueryError> {
    let (deposits, pagination) = page_deposits(view, ask.proposal_id, ask.pagination)?;
    let deposits = deposits.into_iter().map(old_deposit).collect();
    Ok(QueryDepositsResponse { deposits, pagination: Some(pagination) })
}

fn vote(view: &View<'_>, ask: QueryVoteRequest) -> Result<QueryVoteResponse, QueryError> {
    let vote = find_vote(view, ask.proposal_id, &ask.voter)?;
    Ok(QueryVoteResponse { vote: Some(old_vote(&vote)) })
}

fn votes(view: &View<'_>, ask: QueryVotesRequest) -> Result<QueryVotesResponse, QueryError> {
    let (votes, pagination) = page_votes(view, ask.proposal_id, ask.pagination)?;
    let votes = votes.iter().map(old_vote).collect();
    Ok(QueryVotesResponse { votes, pagination: Some(pagination) })
}

fn tally_result(
    view: &View<'_>,
    ask: QueryTallyResultRequest,
) -> Result<QueryTallyResultResponse, QueryError> {
    Ok(QueryTallyResultResponse { tally: Some(old_tally(find_tally(view, ask.proposal_id)?)) })
}

/// The content of a proposal with one message is that message, as in the Cosmos SDK; that of any
/// other is its title and summary as a text, where the SDK has no answer at all.
fn old_proposal(proposal: v1::Proposal) -> Proposal {
    let v1::Proposal {
        id,
        messages,
        status,
        final_tally_result,
        submit_time,
        deposit_end_time,
        total_deposit,
        voting_start_time,
        voting_end_time,
        metadata: _,
        title,
        summary,
        proposer: _,
        expedited: _,
        failed_reason: _,
    } = proposal;
    let content = match <[Any; 1]>::try_from(messages) {
        Ok([message]) => message,
        Err(_) => Any {
            type_url: TextProposal::type_url(),
            value: TextProposal { title, description: summary }.encode_to_vec(),
        },
    };
    let time = |time: Option<Timestamp>| Some(time.unwrap_or(NO_TIME));
    Proposal {
        proposal_id: id,
        content: Some(content),
        status,
        final_tally_result: final_tally_result.map(old_tally),
        submit_time: time(submit_time),
        deposit_end_time: time(deposit_end_time),
        total_deposit,
        voting_start_time: time(voting_start_time),
        voting_end_time: time(voting_end_time),
    }
}

fn old_deposit(deposit: v1::Deposit) -> Deposit {
    let v1::Deposit { proposal_id, depositor, amount } = deposit;
    Deposit { proposal_id, depositor, amount }
}

fn old_tally(tally: v1::TallyResult) -> TallyResult {
    let v1::TallyResult { yes_count, abstain_count, no_count, no_with_veto_count } = tally;
    TallyResult {
        yes: yes_count,
        abstain: abstain_count,
        no: no_count,
        no_with_veto: no_with_veto_count,
    }
}

/// A vote for one option names it in `option` as well, as its `.proto` says.
#[expect(deprecated, reason = "old clients read it")]
fn old_vote(vote: &v1::Vote) -> Vote {
    let part = |part: &v1::WeightedVoteOption| WeightedVoteOption {
        option: part.option,
        weight: scaled(&part.weight),
    };
    let options: Vec<_> = vote.options.iter().map(part).collect();
    let only = Options::of(vote).filter(|options| options.iter().count() == 1);
    let option = only.and_then(|options| options.iter().next());
    let option = option.map_or(VoteOption::Unspecified, |(option, _)| option).into();
    Vote { proposal_id: vote.proposal_id, voter: String::clone(&vote.voter), option, options }
}
