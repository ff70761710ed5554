//! cosmos.staking's questions; those of slashing, evidence, distribution and mint with them.

use alloc::{format, vec::Vec};

use plasma_proto::{cosmos::staking::v1beta1 as pb, tendermint::types::Header};
use plasma_proto::{
    cosmos::{
        base::{query::v1beta1::PageResponse, v1beta1::Coin},
        staking::v1beta1::{
            BondStatus, Delegation, DelegationResponse, HistoricalInfo, Pool,
            QueryDelegationRequest, QueryDelegationResponse, QueryDelegatorDelegationsRequest,
            QueryDelegatorDelegationsResponse, QueryDelegatorUnbondingDelegationsRequest,
            QueryDelegatorUnbondingDelegationsResponse, QueryDelegatorValidatorRequest,
            QueryDelegatorValidatorResponse, QueryDelegatorValidatorsRequest,
            QueryDelegatorValidatorsResponse, QueryHistoricalInfoRequest,
            QueryHistoricalInfoResponse, QueryParamsRequest, QueryParamsResponse, QueryPoolRequest,
            QueryPoolResponse, QueryRedelegationsRequest, QueryRedelegationsResponse,
            QueryUnbondingDelegationRequest, QueryUnbondingDelegationResponse,
            QueryValidatorDelegationsRequest, QueryValidatorDelegationsResponse,
            QueryValidatorRequest, QueryValidatorResponse,
            QueryValidatorUnbondingDelegationsRequest, QueryValidatorUnbondingDelegationsResponse,
            QueryValidatorsRequest, QueryValidatorsResponse, RedelegationEntry,
            RedelegationEntryResponse, RedelegationResponse, UnbondingDelegation, Validator,
        },
    },
    plasma::staking::v1::Redelegation,
};

use super::{
    distribution, mint,
    msg::key_any,
    params::params,
    set::key_of,
    slashing_query,
    state::{
        DELEGATIONS, HISTORY, HISTORY_SETS, REDELEGATIONS, UNBONDINGS, UXPL_PER_POWER, VALIDATORS,
        bonded_pool, not_bonded_pool, signed, timestamp, worth,
    },
    unbonding,
};
use crate::{
    Address, Amount, Dec, Denom, Key, Read, Table, View,
    query::{QueryError, Router, page, page_index, page_where},
    token,
};

/// Adds this room's questions.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.staking.v1beta1.Query/Validators", validators);
    router.add("/cosmos.staking.v1beta1.Query/Validator", one_validator);
    router.add("/cosmos.staking.v1beta1.Query/ValidatorDelegations", of_validator);
    router
        .add("/cosmos.staking.v1beta1.Query/ValidatorUnbondingDelegations", unbonding_of_validator);
    router.add("/cosmos.staking.v1beta1.Query/Delegation", delegation);
    router.add("/cosmos.staking.v1beta1.Query/UnbondingDelegation", unbonding_delegation);
    router.add("/cosmos.staking.v1beta1.Query/DelegatorDelegations", of_delegator);
    router
        .add("/cosmos.staking.v1beta1.Query/DelegatorUnbondingDelegations", unbonding_of_delegator);
    router.add("/cosmos.staking.v1beta1.Query/Redelegations", redelegations);
    router.add("/cosmos.staking.v1beta1.Query/DelegatorValidators", validators_of);
    router.add("/cosmos.staking.v1beta1.Query/DelegatorValidator", validator_of);
    router.add("/cosmos.staking.v1beta1.Query/HistoricalInfo", historical);
    router.add("/cosmos.staking.v1beta1.Query/Pool", pool);
    router.add("/cosmos.staking.v1beta1.Query/Params", get_params);
    slashing_query::routes(router);
    distribution::routes(router);
    mint::routes(router);
}

fn coin(amount: Amount) -> Option<Coin> {
    Some(Coin { denom: Denom::uxpl().as_str().into(), amount: amount.text() })
}

fn load(view: &View<'_>, operator: Address) -> Result<Validator, QueryError> {
    VALIDATORS.get(view.store, &operator).ok_or_else(|| {
        QueryError::not_found(format!("validator {} not found", operator.operator_text()))
    })
}

fn validators(
    view: &View<'_>,
    ask: QueryValidatorsRequest,
) -> Result<QueryValidatorsResponse, QueryError> {
    let status = match ask.status.as_str() {
        "" | "BOND_STATUS_UNSPECIFIED" => None,
        name => Some(
            BondStatus::from_str_name(name)
                .ok_or_else(|| QueryError::invalid(format!("invalid validator status {name}")))?,
        ),
    };
    let (found, pagination) = match status {
        None => page(view.store, VALIDATORS.map(), &(), ask.pagination)?,
        Some(status) => {
            let fits = |_: &Address, validator: &Validator| validator.status() == status;
            page_where(view.store, VALIDATORS.map(), &(), ask.pagination, fits)?
        }
    };
    let validators = found.into_iter().map(|(_, validator)| validator).collect();
    Ok(QueryValidatorsResponse { validators, pagination: Some(pagination) })
}

fn one_validator(
    view: &View<'_>,
    ask: QueryValidatorRequest,
) -> Result<QueryValidatorResponse, QueryError> {
    let operator = Address::parse_operator(&ask.validator_addr)?;
    Ok(QueryValidatorResponse { validator: Some(load(view, operator)?) })
}

/// A delegation and what it is worth.
fn with_balance(view: &View<'_>, delegation: Delegation) -> Option<DelegationResponse> {
    let operator = Address::parse_operator(&delegation.validator_address).ok()?;
    let validator = VALIDATORS.get(view.store, &operator)?;
    let balance = coin(worth(&validator, Dec::stored(&delegation.shares)));
    Some(DelegationResponse { delegation: Some(delegation), balance })
}

fn delegation(
    view: &View<'_>,
    ask: QueryDelegationRequest,
) -> Result<QueryDelegationResponse, QueryError> {
    let key = (Address::parse(&ask.delegator_addr)?, Address::parse_operator(&ask.validator_addr)?);
    let found = DELEGATIONS.get(view.store, &key).and_then(|one| with_balance(view, one));
    let found = found.ok_or_else(|| {
        QueryError::not_found(format!(
            "delegation with delegator {} not found for validator {}",
            ask.delegator_addr, ask.validator_addr
        ))
    })?;
    Ok(QueryDelegationResponse { delegation_response: Some(found) })
}

fn of_delegator(
    view: &View<'_>,
    ask: QueryDelegatorDelegationsRequest,
) -> Result<QueryDelegatorDelegationsResponse, QueryError> {
    let delegator = Address::parse(&ask.delegator_addr)?;
    let (found, pagination) = page(view.store, DELEGATIONS.map(), &delegator, ask.pagination)?;
    let delegation_responses =
        found.into_iter().filter_map(|(_, one)| with_balance(view, one)).collect();
    Ok(QueryDelegatorDelegationsResponse { delegation_responses, pagination: Some(pagination) })
}

fn of_validator(
    view: &View<'_>,
    ask: QueryValidatorDelegationsRequest,
) -> Result<QueryValidatorDelegationsResponse, QueryError> {
    let operator = Address::parse_operator(&ask.validator_addr)?;
    load(view, operator)?;
    let (keys, pagination) =
        page_index(view.store, Table::StakingByOperator, &operator.0, ask.pagination)?;
    let one = |key: Vec<u8>| {
        let delegator = Address::take(&mut key.as_slice())?;
        with_balance(view, DELEGATIONS.get(view.store, &(delegator, operator))?)
    };
    let delegation_responses = keys.into_iter().filter_map(one).collect();
    Ok(QueryValidatorDelegationsResponse { delegation_responses, pagination: Some(pagination) })
}

fn unbonding_delegation(
    view: &View<'_>,
    ask: QueryUnbondingDelegationRequest,
) -> Result<QueryUnbondingDelegationResponse, QueryError> {
    let key = (Address::parse(&ask.delegator_addr)?, Address::parse_operator(&ask.validator_addr)?);
    let found = UNBONDINGS.get(view.store, &key).ok_or_else(|| {
        QueryError::not_found(format!(
            "unbonding delegation with delegator {} not found for validator {}",
            ask.delegator_addr, ask.validator_addr
        ))
    })?;
    Ok(QueryUnbondingDelegationResponse { unbond: Some(unbonding::as_seen(view.store, found)) })
}

fn unbonding_of_delegator(
    view: &View<'_>,
    ask: QueryDelegatorUnbondingDelegationsRequest,
) -> Result<QueryDelegatorUnbondingDelegationsResponse, QueryError> {
    let delegator = Address::parse(&ask.delegator_addr)?;
    let (found, pagination) = page(view.store, UNBONDINGS.map(), &delegator, ask.pagination)?;
    let seen = |(_, stake)| unbonding::as_seen(view.store, stake);
    Ok(QueryDelegatorUnbondingDelegationsResponse {
        unbonding_responses: found.into_iter().map(seen).collect(),
        pagination: Some(pagination),
    })
}

fn unbonding_of_validator(
    view: &View<'_>,
    ask: QueryValidatorUnbondingDelegationsRequest,
) -> Result<QueryValidatorUnbondingDelegationsResponse, QueryError> {
    let operator = Address::parse_operator(&ask.validator_addr)?;
    let (keys, pagination) =
        page_index(view.store, Table::StakingUnbondingsByOperator, &operator.0, ask.pagination)?;
    let one = |key: Vec<u8>| -> Option<UnbondingDelegation> {
        let delegator = Address::take(&mut key.as_slice())?;
        let stake = UNBONDINGS.get(view.store, &(delegator, operator))?;
        Some(unbonding::as_seen(view.store, stake))
    };
    Ok(QueryValidatorUnbondingDelegationsResponse {
        unbonding_responses: keys.into_iter().filter_map(one).collect(),
        pagination: Some(pagination),
    })
}

/// In the shape of cosmos.staking.
fn as_cosmos(store: &dyn Read, moved: Redelegation) -> RedelegationResponse {
    let [delegator, to, from] =
        [&moved.delegator, &moved.destination, &moved.source].map(|text| Address::stored(text));
    let validator = VALIDATORS.get(store, &to).unwrap_or_default();
    let entries = moved
        .entries
        .into_iter()
        .map(|entry| {
            let balance = worth(&validator, Dec::stored(&entry.shares_dst)).text();
            let entry = RedelegationEntry {
                creation_height: signed(entry.creation_height),
                completion_time: timestamp(entry.completion_s),
                initial_balance: entry.initial_balance_uxpl,
                shares_dst: entry.shares_dst,
                unbonding_id: entry.id,
                unbonding_on_hold_ref_count: 0,
            };
            RedelegationEntryResponse { redelegation_entry: Some(entry), balance }
        })
        .collect();
    let redelegation = pb::Redelegation {
        delegator_address: delegator.text(),
        validator_src_address: from.operator_text(),
        validator_dst_address: to.operator_text(),
        entries: Vec::new(),
    };
    RedelegationResponse { redelegation: Some(redelegation), entries }
}

fn redelegations(
    view: &View<'_>,
    ask: QueryRedelegationsRequest,
) -> Result<QueryRedelegationsResponse, QueryError> {
    let operator = |text: &str| match text {
        "" => Ok(None),
        text => Address::parse_operator(text).map(Some),
    };
    let (from, to) = (operator(&ask.src_validator_addr)?, operator(&ask.dst_validator_addr)?);
    let map = REDELEGATIONS.map();
    let (found, pagination) = match (ask.delegator_addr.as_str(), from, to) {
        ("", Some(from), _) => {
            let table = Table::StakingRedelegationsBySource;
            let (keys, pagination) = page_index(view.store, table, &from.0, ask.pagination)?;
            let one = |key: Vec<u8>| {
                let (delegator, to) = <(Address, Address)>::take(&mut key.as_slice())?;
                map.get(view.store, &(delegator, to, from))
            };
            (keys.into_iter().filter_map(one).collect::<Vec<_>>(), pagination)
        }
        ("", None, _) => {
            return Err(QueryError::invalid("name a delegator or a source validator"));
        }
        (delegator, Some(from), Some(to)) => {
            let delegator = Address::parse(delegator)?;
            let one = map.get(view.store, &(delegator, to, from)).ok_or_else(|| {
                QueryError::not_found(format!(
                    "redelegation not found for delegator address {delegator} from validator address {}",
                    from.operator_text()
                ))
            })?;
            ([one].into(), PageResponse::default())
        }
        (delegator, from, to) => {
            let delegator = Address::parse(delegator)?;
            let (found, pagination) = page(view.store, map, &delegator, ask.pagination)?;
            let fits = |(_, to_of, from_of): &(Address, Address, Address)| {
                from.is_none_or(|from| from == *from_of) && to.is_none_or(|to| to == *to_of)
            };
            let found = found.into_iter().filter(|(key, _)| fits(key)).map(|(_, one)| one);
            (found.collect(), pagination)
        }
    };
    let seen = |moved| as_cosmos(view.store, moved);
    Ok(QueryRedelegationsResponse {
        redelegation_responses: found.into_iter().map(seen).collect(),
        pagination: Some(pagination),
    })
}

fn validators_of(
    view: &View<'_>,
    ask: QueryDelegatorValidatorsRequest,
) -> Result<QueryDelegatorValidatorsResponse, QueryError> {
    let delegator = Address::parse(&ask.delegator_addr)?;
    let (found, pagination) = page(view.store, DELEGATIONS.map(), &delegator, ask.pagination)?;
    let validators = found
        .into_iter()
        .filter_map(|((_, operator), _)| VALIDATORS.get(view.store, &operator))
        .collect();
    Ok(QueryDelegatorValidatorsResponse { validators, pagination: Some(pagination) })
}

fn validator_of(
    view: &View<'_>,
    ask: QueryDelegatorValidatorRequest,
) -> Result<QueryDelegatorValidatorResponse, QueryError> {
    let QueryDelegatorValidatorRequest { delegator_addr, validator_addr } = ask;
    let operator = Address::parse_operator(&validator_addr)?;
    delegation(view, QueryDelegationRequest { delegator_addr, validator_addr })?;
    Ok(QueryDelegatorValidatorResponse { validator: Some(load(view, operator)?) })
}

/// What is kept of a past block: chain, height, time; and the set as it was, each with its power's
/// worth of tokens.
fn historical(
    view: &View<'_>,
    ask: QueryHistoricalInfoRequest,
) -> Result<QueryHistoricalInfoResponse, QueryError> {
    let missing =
        || QueryError::not_found(format!("historical info for height {} not found", ask.height));
    let height =
        u64::try_from(ask.height).map_err(|_| QueryError::invalid("height cannot be negative"))?;
    let past = HISTORY.get(view.store, &height).ok_or_else(missing)?;
    let set = HISTORY_SETS.get(view.store, &past.set_height).ok_or_else(missing)?;
    let header = Header {
        chain_id: view.block.chain_id.clone(),
        height: ask.height,
        time: timestamp(past.time_s),
        ..Header::default()
    };
    let valset = set
        .members
        .iter()
        .map(|member| {
            let operator = Address::stored(&member.operator);
            let tokens = Amount::new(u128::from(member.power).saturating_mul(UXPL_PER_POWER));
            Validator {
                operator_address: operator.operator_text(),
                consensus_pubkey: Some(key_any(&key_of(member))),
                status: BondStatus::Bonded.into(),
                tokens: tokens.text(),
                delegator_shares: Dec::whole(tokens).unwrap_or_default().text(),
                min_self_delegation: Amount::ZERO.text(),
                ..Validator::default()
            }
        })
        .collect();
    Ok(QueryHistoricalInfoResponse { hist: Some(HistoricalInfo { header: Some(header), valset }) })
}

fn pool(view: &View<'_>, _: QueryPoolRequest) -> Result<QueryPoolResponse, QueryError> {
    let pool = Pool {
        not_bonded_tokens: token::balance(view.store, not_bonded_pool()).text(),
        bonded_tokens: token::balance(view.store, bonded_pool()).text(),
    };
    Ok(QueryPoolResponse { pool: Some(pool) })
}

fn get_params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(params(view.store)) })
}
