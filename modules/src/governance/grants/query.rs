use alloc::{format, vec::Vec};

use plasma_proto::plasma::governance::v1::{
    GrantStatus, QueryGrantRequest, QueryGrantResponse, QueryGrantsRequest, QueryGrantsResponse,
};

use super::state::{GRANTS, status_byte};
use crate::{
    Address, Key, Table, View,
    query::{QueryError, Router, page, page_index},
};

/// Adds the questions about grants.
pub(in crate::governance) fn routes(router: &mut Router) {
    router.add("/plasma.governance.v1.Query/Grant", one);
    router.add("/plasma.governance.v1.Query/Grants", many);
}

fn one(view: &View<'_>, ask: QueryGrantRequest) -> Result<QueryGrantResponse, QueryError> {
    let QueryGrantRequest { grant_id } = ask;
    let grant = GRANTS.get(view.store, &grant_id);
    let grant = grant.ok_or_else(|| QueryError::not_found(format!("grant {grant_id}")))?;
    Ok(QueryGrantResponse { grant: Some(grant) })
}

fn many(view: &View<'_>, ask: QueryGrantsRequest) -> Result<QueryGrantsResponse, QueryError> {
    let status = GrantStatus::try_from(ask.status)
        .map_err(|_| QueryError::invalid("there is no such status of a grant"))?;
    let QueryGrantsRequest { recipient, status: _, pagination } = ask;
    let (table, prefix) = match (recipient.as_str(), status) {
        ("", GrantStatus::Unspecified) => {
            let (grants, pagination) = page(view.store, GRANTS.map(), &(), pagination)?;
            let grants = grants.into_iter().map(|(_, grant)| grant).collect();
            return Ok(QueryGrantsResponse { grants, pagination: Some(pagination) });
        }
        ("", status) => (Table::GrantsByStatus, [status_byte(status)].to_vec()),
        (recipient, GrantStatus::Unspecified) => {
            (Table::GrantsByRecipient, Address::parse(recipient)?.0.to_vec())
        }
        _ => return Err(QueryError::invalid("give a recipient or a status, not both")),
    };
    let (keys, pagination) = page_index(view.store, table, &prefix, pagination)?;
    // A question that is cut short finds nothing behind its index any more.
    let grant = |key: Vec<u8>| GRANTS.get(view.store, &u64::take(&mut key.as_slice())?);
    let grants = keys.into_iter().filter_map(grant).collect();
    Ok(QueryGrantsResponse { grants, pagination: Some(pagination) })
}
