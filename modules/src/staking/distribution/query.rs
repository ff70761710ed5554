use alloc::{vec, vec::Vec};

use plasma_proto::{
    cosmos::{
        base::v1beta1::DecCoin,
        distribution::v1beta1::{
            DelegationDelegatorReward, QueryCommunityPoolRequest, QueryCommunityPoolResponse,
            QueryDelegationRewardsRequest, QueryDelegationRewardsResponse,
            QueryDelegationTotalRewardsRequest, QueryDelegationTotalRewardsResponse,
            QueryDelegatorValidatorsRequest, QueryDelegatorValidatorsResponse,
            QueryDelegatorWithdrawAddressRequest, QueryDelegatorWithdrawAddressResponse,
            QueryParamsRequest, QueryParamsResponse, QueryValidatorCommissionRequest,
            QueryValidatorCommissionResponse, QueryValidatorDistributionInfoRequest,
            QueryValidatorDistributionInfoResponse, QueryValidatorOutstandingRewardsRequest,
            QueryValidatorOutstandingRewardsResponse, QueryValidatorSlashesRequest,
            QueryValidatorSlashesResponse, ValidatorAccumulatedCommission,
            ValidatorOutstandingRewards, ValidatorSlashEvent,
        },
    },
    plasma::staking::v1::{QueryPoolsRequest, QueryPoolsResponse},
};

use super::{
    stake,
    state::{Earned, POOLS, Pot, STARTS, params, withdraw_address},
};
use crate::{
    Address, Dec, Denom, View,
    query::{QueryError, Router, page},
    staking::state::SLASHES,
};

/// Adds what Cosmos clients ask of rewards, and our own.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.distribution.v1beta1.Query/Params", own_params);
    router.add("/cosmos.distribution.v1beta1.Query/ValidatorDistributionInfo", info);
    router.add("/cosmos.distribution.v1beta1.Query/ValidatorOutstandingRewards", outstanding);
    router.add("/cosmos.distribution.v1beta1.Query/ValidatorCommission", commission);
    router.add("/cosmos.distribution.v1beta1.Query/ValidatorSlashes", slashes);
    router.add("/cosmos.distribution.v1beta1.Query/DelegationRewards", rewards);
    router.add("/cosmos.distribution.v1beta1.Query/DelegationTotalRewards", total_rewards);
    router.add("/cosmos.distribution.v1beta1.Query/DelegatorValidators", validators);
    router.add("/cosmos.distribution.v1beta1.Query/DelegatorWithdrawAddress", withdraw);
    router.add("/cosmos.distribution.v1beta1.Query/CommunityPool", community);
    router.add("/plasma.staking.v1.Query/Pools", pools);
}

/// As coins of a Cosmos query: none where there is nothing.
fn coins(amount: Dec) -> Vec<DecCoin> {
    if amount == Dec::ZERO {
        return Vec::new();
    }
    vec![DecCoin { denom: Denom::uxpl().as_str().into(), amount: amount.text() }]
}

fn earned(view: &View<'_>, operator: &str) -> Result<(Address, Earned), QueryError> {
    let operator = Address::parse_operator(operator)?;
    let earned = Earned::of(view.store, operator);
    let missing = || QueryError::not_found("validator does not exist");
    Ok((operator, earned.ok_or_else(missing)?))
}

/// What a delegation is owed now.
fn owed(view: &View<'_>, delegator: Address, operator: Address) -> Option<Dec> {
    let shares = stake::shares(view.store, delegator, operator)?;
    let start = STARTS.get(view.store, &(delegator, operator))?;
    Some(Earned::of(view.store, operator)?.owed(shares, &start))
}

fn own_params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(params(view.store)) })
}

fn info(
    view: &View<'_>,
    ask: QueryValidatorDistributionInfoRequest,
) -> Result<QueryValidatorDistributionInfoResponse, QueryError> {
    let (operator, earned) = earned(view, &ask.validator_address)?;
    Ok(QueryValidatorDistributionInfoResponse {
        // The account behind the validator, as the Cosmos SDK answers.
        operator_address: operator.text(),
        self_bond_rewards: coins(owed(view, operator, operator).unwrap_or_default()),
        commission: coins(earned.commission),
    })
}

fn outstanding(
    view: &View<'_>,
    ask: QueryValidatorOutstandingRewardsRequest,
) -> Result<QueryValidatorOutstandingRewardsResponse, QueryError> {
    let (_, earned) = earned(view, &ask.validator_address)?;
    let rewards = ValidatorOutstandingRewards { rewards: coins(earned.outstanding) };
    Ok(QueryValidatorOutstandingRewardsResponse { rewards: Some(rewards) })
}

fn commission(
    view: &View<'_>,
    ask: QueryValidatorCommissionRequest,
) -> Result<QueryValidatorCommissionResponse, QueryError> {
    let (_, earned) = earned(view, &ask.validator_address)?;
    let commission = ValidatorAccumulatedCommission { commission: coins(earned.commission) };
    Ok(QueryValidatorCommissionResponse { commission: Some(commission) })
}

fn rewards(
    view: &View<'_>,
    ask: QueryDelegationRewardsRequest,
) -> Result<QueryDelegationRewardsResponse, QueryError> {
    let delegator = Address::parse(&ask.delegator_address)?;
    let (operator, _) = earned(view, &ask.validator_address)?;
    let owed = owed(view, delegator, operator);
    let owed = owed.ok_or_else(|| QueryError::not_found("delegation does not exist"))?;
    Ok(QueryDelegationRewardsResponse { rewards: coins(owed) })
}

fn total_rewards(
    view: &View<'_>,
    ask: QueryDelegationTotalRewardsRequest,
) -> Result<QueryDelegationTotalRewardsResponse, QueryError> {
    let delegator = Address::parse(&ask.delegator_address)?;
    let mut total = Dec::ZERO;
    let mut rewards = Vec::new();
    for operator in stake::operators_of(view.store, delegator) {
        let owed = owed(view, delegator, operator).unwrap_or_default();
        // What all are owed lies in one account, whose whole fits.
        total = total.plus(owed).unwrap_or(Dec::MAX);
        let validator_address = operator.operator_text();
        rewards.push(DelegationDelegatorReward { validator_address, reward: coins(owed) });
    }
    Ok(QueryDelegationTotalRewardsResponse { rewards, total: coins(total) })
}

fn validators(
    view: &View<'_>,
    ask: QueryDelegatorValidatorsRequest,
) -> Result<QueryDelegatorValidatorsResponse, QueryError> {
    let delegator = Address::parse(&ask.delegator_address)?;
    let operators = stake::operators_of(view.store, delegator);
    let validators = operators.into_iter().map(|operator| operator.operator_text()).collect();
    Ok(QueryDelegatorValidatorsResponse { validators })
}

fn withdraw(
    view: &View<'_>,
    ask: QueryDelegatorWithdrawAddressRequest,
) -> Result<QueryDelegatorWithdrawAddressResponse, QueryError> {
    let delegator = Address::parse(&ask.delegator_address)?;
    let withdraw_address = withdraw_address(view.store, delegator).text();
    Ok(QueryDelegatorWithdrawAddressResponse { withdraw_address })
}

fn community(
    view: &View<'_>,
    _: QueryCommunityPoolRequest,
) -> Result<QueryCommunityPoolResponse, QueryError> {
    Ok(QueryCommunityPoolResponse { pool: coins(Pot::of(view.store).community) })
}

fn pools(view: &View<'_>, _: QueryPoolsRequest) -> Result<QueryPoolsResponse, QueryError> {
    Ok(QueryPoolsResponse { pools: POOLS.get(view.store) })
}

/// Slashes that are kept, by their blocks. There are no periods here: each has its height instead. No
/// last height is no bound.
fn slashes(
    view: &View<'_>,
    ask: QueryValidatorSlashesRequest,
) -> Result<QueryValidatorSlashesResponse, QueryError> {
    let (operator, _) = earned(view, &ask.validator_address)?;
    let last = if ask.ending_height == 0 { u64::MAX } else { ask.ending_height };
    let (found, pagination) = page(view.store, &SLASHES, &operator, ask.pagination)?;
    let slashes = found
        .into_iter()
        .filter(|((_, height, _), _)| (ask.starting_height..=last).contains(height))
        .map(|((_, height, _), slash)| ValidatorSlashEvent {
            validator_period: height,
            fraction: slash.fraction,
        })
        .collect();
    Ok(QueryValidatorSlashesResponse { slashes, pagination: Some(pagination) })
}
