use alloc::{format, string::String, vec::Vec};

use plasma_proto::cosmos::{
    base::query::v1beta1::{PageRequest, PageResponse},
    gov::v1::{
        Deposit, DepositParams, Params, Proposal, ProposalStatus, QueryConstitutionRequest,
        QueryConstitutionResponse, QueryDepositRequest, QueryDepositResponse, QueryDepositsRequest,
        QueryDepositsResponse, QueryParamsRequest, QueryParamsResponse, QueryProposalRequest,
        QueryProposalResponse, QueryProposalsRequest, QueryProposalsResponse,
        QueryTallyResultRequest, QueryTallyResultResponse, QueryVoteRequest, QueryVoteResponse,
        QueryVotesRequest, QueryVotesResponse, TallyParams, TallyResult, Vote, VotingParams,
    },
};

use super::{
    legacy,
    state::{CONSTITUTION, DEPOSITS, PROPOSALS, params, status_byte},
    tally,
};
use crate::{
    Address, Key, Table, View,
    query::{QueryError, Router, page, page_index_where},
    staking::ballot,
};

/// Adds this module's questions.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.gov.v1.Query/Constitution", constitution);
    router.add("/cosmos.gov.v1.Query/Params", all_params);
    router.add("/cosmos.gov.v1.Query/Proposal", one);
    router.add("/cosmos.gov.v1.Query/Proposals", many);
    router.add("/cosmos.gov.v1.Query/Deposit", deposit);
    router.add("/cosmos.gov.v1.Query/Deposits", deposits);
    router.add("/cosmos.gov.v1.Query/Vote", vote);
    router.add("/cosmos.gov.v1.Query/Votes", votes);
    router.add("/cosmos.gov.v1.Query/TallyResult", tally_result);
    legacy::routes(router);
}

fn constitution(
    view: &View<'_>,
    _: QueryConstitutionRequest,
) -> Result<QueryConstitutionResponse, QueryError> {
    let constitution = CONSTITUTION.get(view.store).unwrap_or_default();
    Ok(QueryConstitutionResponse { constitution })
}

/// All parameters, and beside them those of one kind where the request names one.
#[expect(deprecated, reason = "explorers read the parts")]
fn all_params(view: &View<'_>, ask: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    let params = params(view.store);
    let mut answer = QueryParamsResponse {
        voting_params: None,
        deposit_params: None,
        tally_params: None,
        params: None,
    };
    let Params { voting_period, max_deposit_period, .. } = params;
    match ask.params_type.as_str() {
        "voting" => answer.voting_params = Some(VotingParams { voting_period }),
        "deposit" => {
            let min_deposit = params.min_deposit.clone();
            answer.deposit_params = Some(DepositParams { min_deposit, max_deposit_period });
        }
        "tallying" => {
            let (quorum, threshold) = (params.quorum.clone(), params.threshold.clone());
            let veto_threshold = params.veto_threshold.clone();
            answer.tally_params = Some(TallyParams { quorum, threshold, veto_threshold });
        }
        "" => {}
        other => return Err(QueryError::invalid(format!("unknown params type: {other}"))),
    }
    answer.params = Some(params);
    Ok(answer)
}

/// A proposal by its id.
pub(super) fn find(view: &View<'_>, id: u64) -> Result<Proposal, QueryError> {
    PROPOSALS
        .get(view.store, &named(id)?)
        .ok_or_else(|| QueryError::not_found(format!("proposal {id} doesn't exist")))
}

/// An id that could be one.
fn named(id: u64) -> Result<u64, QueryError> {
    if id == 0 { Err(QueryError::invalid("proposal id can not be 0")) } else { Ok(id) }
}

fn one(view: &View<'_>, ask: QueryProposalRequest) -> Result<QueryProposalResponse, QueryError> {
    Ok(QueryProposalResponse { proposal: Some(find(view, ask.proposal_id)?) })
}

fn many(view: &View<'_>, ask: QueryProposalsRequest) -> Result<QueryProposalsResponse, QueryError> {
    let QueryProposalsRequest { proposal_status, voter, depositor, pagination } = ask;
    let (proposals, pagination) = filtered(view, proposal_status, &voter, &depositor, pagination)?;
    Ok(QueryProposalsResponse { proposals, pagination: Some(pagination) })
}

/// One page of the proposals that a filter lets through, in order of id. It looks at no more than
/// [`STEPS_MAX`], so a page may be short; its `next_key` says where to go on.
pub(super) fn filtered(
    view: &View<'_>,
    status: i32,
    voter: &str,
    depositor: &str,
    pagination: Option<PageRequest>,
) -> Result<(Vec<Proposal>, PageResponse), QueryError> {
    let parse = |text: &str| (!text.is_empty()).then(|| Address::parse(text)).transpose();
    let (voter, depositor) = (parse(voter)?, parse(depositor)?);
    if pagination.as_ref().is_some_and(|page| !matches!(page.key.len(), 0 | 8)) {
        return Err(QueryError::invalid("a pagination key has 8 bytes"));
    }
    let status = ProposalStatus::try_from(status).unwrap_or(ProposalStatus::Unspecified);
    let (table, prefix) = match status {
        ProposalStatus::Unspecified => (Table::GovernanceProposals, Vec::new()),
        status => (Table::GovernanceByStatus, [status_byte(status)].to_vec()),
    };
    let id_of = |mut rest: &[u8]| u64::take(&mut rest);
    let fits = |rest: &[u8]| {
        id_of(rest).is_some_and(|id| {
            voter.is_none_or(|voter| ballot::vote(view.store, id, voter).is_some())
                && depositor.is_none_or(|depositor| DEPOSITS.has(view.store, &(id, depositor)))
        })
    };
    let (keys, pagination) = page_index_where(view.store, table, &prefix, pagination, fits)?;
    let find = |key: Vec<u8>| PROPOSALS.get(view.store, &id_of(&key)?);
    Ok((keys.into_iter().filter_map(find).collect(), pagination))
}

fn deposit(view: &View<'_>, ask: QueryDepositRequest) -> Result<QueryDepositResponse, QueryError> {
    let deposit = find_deposit(view, ask.proposal_id, &ask.depositor)?;
    Ok(QueryDepositResponse { deposit: Some(deposit) })
}

pub(super) fn find_deposit(
    view: &View<'_>,
    id: u64,
    depositor: &str,
) -> Result<Deposit, QueryError> {
    let key = (named(id)?, Address::parse(depositor)?);
    DEPOSITS.get(view.store, &key).ok_or_else(|| {
        QueryError::not_found(format!("depositor {depositor} not found for proposal {id}"))
    })
}

fn deposits(
    view: &View<'_>,
    ask: QueryDepositsRequest,
) -> Result<QueryDepositsResponse, QueryError> {
    let (deposits, pagination) = page_deposits(view, ask.proposal_id, ask.pagination)?;
    Ok(QueryDepositsResponse { deposits, pagination: Some(pagination) })
}

pub(super) fn page_deposits(
    view: &View<'_>,
    id: u64,
    pagination: Option<PageRequest>,
) -> Result<(Vec<Deposit>, PageResponse), QueryError> {
    let (deposits, pagination) = page(view.store, &DEPOSITS, &named(id)?, pagination)?;
    Ok((deposits.into_iter().map(|(_, deposit)| deposit).collect(), pagination))
}

fn vote(view: &View<'_>, ask: QueryVoteRequest) -> Result<QueryVoteResponse, QueryError> {
    Ok(QueryVoteResponse { vote: Some(find_vote(view, ask.proposal_id, &ask.voter)?) })
}

/// The vote of an account. That there is none is a bad request, as in the Cosmos SDK.
pub(super) fn find_vote(view: &View<'_>, id: u64, voter: &str) -> Result<Vote, QueryError> {
    let address = Address::parse(voter)?;
    ballot::vote(view.store, named(id)?, address)
        .ok_or_else(|| QueryError::invalid(format!("voter: {voter} not found for proposal: {id}")))
}

fn votes(view: &View<'_>, ask: QueryVotesRequest) -> Result<QueryVotesResponse, QueryError> {
    let (votes, pagination) = page_votes(view, ask.proposal_id, ask.pagination)?;
    Ok(QueryVotesResponse { votes, pagination: Some(pagination) })
}

/// The votes of a proposal that is voted on; of any other there are none.
pub(super) fn page_votes(
    view: &View<'_>,
    id: u64,
    pagination: Option<PageRequest>,
) -> Result<(Vec<Vote>, PageResponse), QueryError> {
    let (votes, pagination) = page(view.store, ballot::VOTES.map(), &named(id)?, pagination)?;
    if !ballot::is_open(view.store, id) {
        return Ok((Vec::new(), PageResponse { next_key: Vec::new(), total: 0 }));
    }
    Ok((votes.into_iter().map(|(_, vote)| vote).collect(), pagination))
}

fn tally_result(
    view: &View<'_>,
    ask: QueryTallyResultRequest,
) -> Result<QueryTallyResultResponse, QueryError> {
    Ok(QueryTallyResultResponse { tally: Some(find_tally(view, ask.proposal_id)?) })
}

/// What the votes come to: now, or when voting ended.
pub(super) fn find_tally(view: &View<'_>, id: u64) -> Result<TallyResult, QueryError> {
    let proposal = find(view, id)?;
    if proposal.status() == ProposalStatus::VotingPeriod {
        return Ok(tally::result(&ballot::count(view.store, id)));
    }
    let none = || tally::result(&ballot::Tally::default());
    Ok(proposal.final_tally_result.unwrap_or_else(none))
}

/// A decimal string's digits, as an integer scaled by 10^18.
pub(super) fn scaled(text: &str) -> String {
    super::params::ratio(text).text()
}
