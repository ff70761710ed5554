//! Questions about receipts.

use alloc::format;

use plasma_proto::plasma::attestation::v1::{
    QueryParamsRequest, QueryParamsResponse, QueryReceiptRequest, QueryReceiptResponse,
    QueryReceiptsRequest, QueryReceiptsResponse,
};

use super::{
    audit, beacon, game,
    state::{RECEIPTS, params},
};
use crate::{
    View,
    query::{QueryError, Router, page},
    types::{Hash, hash32, unhex},
};

/// Adds attestation's questions.
pub fn routes(router: &mut Router) {
    router.add("/plasma.attestation.v1.Query/Receipt", receipt);
    router.add("/plasma.attestation.v1.Query/Receipts", receipts);
    router.add("/plasma.attestation.v1.Query/Params", numbers);
    beacon::routes(router);
    audit::routes(router);
    game::routes(router);
}

fn numbers(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(params(view.store)) })
}

fn receipt(
    view: &View<'_>,
    request: QueryReceiptRequest,
) -> Result<QueryReceiptResponse, QueryError> {
    let QueryReceiptRequest { job_id } = request;
    let receipt = RECEIPTS
        .get(view.store, &job_id)
        .ok_or_else(|| QueryError::not_found(format!("receipt of job {job_id} not found")))?;
    Ok(QueryReceiptResponse { receipt: Some(receipt) })
}

fn receipts(
    view: &View<'_>,
    request: QueryReceiptsRequest,
) -> Result<QueryReceiptsResponse, QueryError> {
    let (entries, pagination) = page(view.store, RECEIPTS.map(), &(), request.pagination)?;
    let receipts = entries.into_iter().map(|(_, receipt)| receipt).collect();
    Ok(QueryReceiptsResponse { receipts, pagination: Some(pagination) })
}

/// A model id as questions write it.
pub(super) fn parse_model_id(text: &str) -> Result<Hash, QueryError> {
    unhex(text)
        .and_then(|bytes| hash32(&bytes))
        .ok_or_else(|| QueryError::invalid("a model id is 64 hexadecimal digits"))
}
