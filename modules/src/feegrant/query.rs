use alloc::vec::Vec;

use plasma_proto::cosmos::{
    base::query::v1beta1::{PageRequest, PageResponse},
    feegrant::v1beta1::{
        Grant, QueryAllowanceRequest, QueryAllowanceResponse, QueryAllowancesByGranterRequest,
        QueryAllowancesByGranterResponse, QueryAllowancesRequest, QueryAllowancesResponse,
    },
};

use super::state::ALLOWANCES;
use crate::{
    Address, Key, Table, View,
    query::{QueryError, Router, page, page_index},
};

/// Adds this module's questions.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.feegrant.v1beta1.Query/Allowance", one);
    router.add("/cosmos.feegrant.v1beta1.Query/Allowances", to_grantee);
    router.add("/cosmos.feegrant.v1beta1.Query/AllowancesByGranter", by_granter);
}

fn one(view: &View<'_>, ask: QueryAllowanceRequest) -> Result<QueryAllowanceResponse, QueryError> {
    let key = (Address::parse(&ask.grantee)?, Address::parse(&ask.granter)?);
    let grant = ALLOWANCES.get(view.store, &key);
    let grant = grant.ok_or_else(|| QueryError::not_found("fee-grant not found"))?;
    Ok(QueryAllowanceResponse { allowance: Some(grant) })
}

fn to_grantee(
    view: &View<'_>,
    ask: QueryAllowancesRequest,
) -> Result<QueryAllowancesResponse, QueryError> {
    let grantee = Address::parse(&ask.grantee)?;
    let (grants, pagination) = page(view.store, ALLOWANCES.map(), &grantee, ask.pagination)?;
    let allowances = grants.into_iter().map(|(_, grant)| grant).collect();
    Ok(QueryAllowancesResponse { allowances, pagination: Some(pagination) })
}

fn by_granter(
    view: &View<'_>,
    ask: QueryAllowancesByGranterRequest,
) -> Result<QueryAllowancesByGranterResponse, QueryError> {
    let granter = Address::parse(&ask.granter)?;
    let (allowances, pagination) = of_granter(view, granter, ask.pagination)?;
    Ok(QueryAllowancesByGranterResponse { allowances, pagination: Some(pagination) })
}

fn of_granter(
    view: &View<'_>,
    granter: Address,
    pagination: Option<PageRequest>,
) -> Result<(Vec<Grant>, PageResponse), QueryError> {
    let (keys, pagination) =
        page_index(view.store, Table::FeegrantByGranter, &granter.0, pagination)?;
    // A question that is cut short finds nothing behind its index any more.
    let grant = |key: Vec<u8>| {
        let grantee = Address::take(&mut key.as_slice())?;
        ALLOWANCES.get(view.store, &(grantee, granter))
    };
    Ok((keys.into_iter().filter_map(grant).collect(), pagination))
}
