//! Questions of cosmos.slashing and cosmos.evidence.

use plasma_proto::cosmos::{
    evidence::v1beta1::{
        Equivocation, QueryAllEvidenceRequest, QueryAllEvidenceResponse, QueryEvidenceRequest,
        QueryEvidenceResponse,
    },
    slashing::v1beta1::{
        QueryParamsRequest, QueryParamsResponse, QuerySigningInfoRequest, QuerySigningInfoResponse,
        QuerySigningInfosRequest, QuerySigningInfosResponse, ValidatorSigningInfo,
    },
};
use prost::{Message, Name};
use prost_types::Any;

use super::{
    params::slashing_params,
    state::{EVIDENCE, SIGNING_INFOS, signed, unsigned},
};
use crate::{
    Address, View,
    query::{QueryError, Router, page},
    types::{hash32, unhex},
};

/// Adds these questions.
pub(super) fn routes(router: &mut Router) {
    router.add("/cosmos.slashing.v1beta1.Query/Params", params);
    router.add("/cosmos.slashing.v1beta1.Query/SigningInfo", info);
    router.add("/cosmos.slashing.v1beta1.Query/SigningInfos", infos);
    router.add("/cosmos.evidence.v1beta1.Query/Evidence", evidence);
    router.add("/cosmos.evidence.v1beta1.Query/AllEvidence", all_evidence);
}

fn params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(slashing_params(view.store)) })
}

/// With the blocks of the window that have passed, which follow from the height.
fn seen(view: &View<'_>, info: ValidatorSigningInfo) -> ValidatorSigningInfo {
    let blocks = view.block.height.saturating_sub(unsigned(info.start_height));
    ValidatorSigningInfo { index_offset: signed(blocks), ..info }
}

fn info(
    view: &View<'_>,
    ask: QuerySigningInfoRequest,
) -> Result<QuerySigningInfoResponse, QueryError> {
    let consensus = Address::parse_consensus(&ask.cons_address)?;
    let found = SIGNING_INFOS.get(view.store, &consensus.0).ok_or_else(|| {
        let text = alloc::format!("SigningInfo not found for validator {}", ask.cons_address);
        QueryError::not_found(text)
    })?;
    Ok(QuerySigningInfoResponse { val_signing_info: Some(seen(view, found)) })
}

fn infos(
    view: &View<'_>,
    ask: QuerySigningInfosRequest,
) -> Result<QuerySigningInfosResponse, QueryError> {
    let (found, pagination) = page(view.store, &SIGNING_INFOS, &(), ask.pagination)?;
    let info = found.into_iter().map(|(_, info)| seen(view, info)).collect();
    Ok(QuerySigningInfosResponse { info, pagination: Some(pagination) })
}

fn any(evidence: &Equivocation) -> Any {
    Any { type_url: Equivocation::type_url(), value: evidence.encode_to_vec() }
}

fn evidence(
    view: &View<'_>,
    ask: QueryEvidenceRequest,
) -> Result<QueryEvidenceResponse, QueryError> {
    #[allow(deprecated)]
    let QueryEvidenceRequest { evidence_hash, hash } = ask;
    let hash = if hash.is_empty() { Some(evidence_hash) } else { unhex(&hash.to_lowercase()) };
    let hash = hash.and_then(|bytes| hash32(&bytes));
    let hash = hash.ok_or_else(|| QueryError::invalid("invalid evidence hash"))?;
    let found = EVIDENCE.get(view.store, &hash);
    let found = found.ok_or_else(|| QueryError::not_found("evidence not found"))?;
    Ok(QueryEvidenceResponse { evidence: Some(any(&found)) })
}

fn all_evidence(
    view: &View<'_>,
    ask: QueryAllEvidenceRequest,
) -> Result<QueryAllEvidenceResponse, QueryError> {
    let (found, pagination) = page(view.store, &EVIDENCE, &(), ask.pagination)?;
    let evidence = found.iter().map(|(_, evidence)| any(evidence)).collect();
    Ok(QueryAllEvidenceResponse { evidence, pagination: Some(pagination) })
}
