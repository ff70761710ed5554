use alloc::{format, vec::Vec};

use plasma_proto::cosmos::authz::v1beta1::{
    Grant, GrantAuthorization, QueryGranteeGrantsRequest, QueryGranteeGrantsResponse,
    QueryGranterGrantsRequest, QueryGranterGrantsResponse, QueryGrantsRequest, QueryGrantsResponse,
};

use super::state::{GRANTS, GrantKey, TypeUrl};
use crate::{
    Address, Key, Table, View,
    query::{QueryError, Router, page, page_index},
};

/// Adds this module's questions.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.authz.v1beta1.Query/Grants", between);
    router.add("/cosmos.authz.v1beta1.Query/GranterGrants", by_granter);
    router.add("/cosmos.authz.v1beta1.Query/GranteeGrants", to_grantee);
}

fn between(view: &View<'_>, ask: QueryGrantsRequest) -> Result<QueryGrantsResponse, QueryError> {
    let QueryGrantsRequest { granter, grantee, msg_type_url, pagination } = ask;
    let (granter, grantee) = (Address::parse(&granter)?, Address::parse(&grantee)?);
    if !msg_type_url.is_empty() {
        let key = (granter, grantee, TypeUrl(msg_type_url));
        let grant = GRANTS.get(view.store, &key).ok_or_else(|| {
            QueryError::not_found(format!("authorization not found for {} type", key.2.0))
        })?;
        return Ok(QueryGrantsResponse { grants: [grant].into(), pagination: None });
    }
    let (grants, pagination) = page(view.store, GRANTS.map(), &(granter, grantee), pagination)?;
    let grants = grants.into_iter().map(|(_, grant)| grant).collect();
    Ok(QueryGrantsResponse { grants, pagination: Some(pagination) })
}

fn by_granter(
    view: &View<'_>,
    ask: QueryGranterGrantsRequest,
) -> Result<QueryGranterGrantsResponse, QueryError> {
    let granter = Address::parse(&ask.granter)?;
    let (grants, pagination) = page(view.store, GRANTS.map(), &granter, ask.pagination)?;
    let grants = grants.into_iter().map(|(key, grant)| with_parties(&key, grant)).collect();
    Ok(QueryGranterGrantsResponse { grants, pagination: Some(pagination) })
}

fn to_grantee(
    view: &View<'_>,
    ask: QueryGranteeGrantsRequest,
) -> Result<QueryGranteeGrantsResponse, QueryError> {
    let grantee = Address::parse(&ask.grantee)?;
    let (keys, pagination) =
        page_index(view.store, Table::AuthzByGrantee, &grantee.0, ask.pagination)?;
    // A question that is cut short finds nothing behind its index any more.
    let grant = |key: Vec<u8>| {
        let (granter, type_url) = <(Address, TypeUrl)>::take(&mut key.as_slice())?;
        let key = (granter, grantee, type_url);
        Some(with_parties(&key, GRANTS.get(view.store, &key)?))
    };
    let grants = keys.into_iter().filter_map(grant).collect();
    Ok(QueryGranteeGrantsResponse { grants, pagination: Some(pagination) })
}

fn with_parties((granter, grantee, _): &GrantKey, grant: Grant) -> GrantAuthorization {
    let Grant { authorization, expiration } = grant;
    let (granter, grantee) = (granter.text(), grantee.text());
    GrantAuthorization { granter, grantee, authorization, expiration }
}
