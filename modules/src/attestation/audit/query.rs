//! Questions about audits.

use alloc::{format, vec::Vec};

use plasma_proto::{
    cosmos::base::query::v1beta1::PageResponse,
    plasma::attestation::v1::{
        Audit, AuditState, Duty, DutyKind, QueryAuditRequest, QueryAuditResponse,
        QueryAuditsRequest, QueryAuditsResponse, QueryDutiesRequest, QueryDutiesResponse,
        QueryPoolRequest, QueryPoolResponse, QueryProfileRequest, QueryProfileResponse,
        QueryStandingRequest, QueryStandingResponse,
    },
};

use super::{
    drift, stakes,
    state::{
        self, AUDITS, LEAVES, MEMBERS, PROFILES, bytes, is_verified, numbers, state_byte,
        stored_hash, terms,
    },
};
use crate::{
    Address, Amount, Read, Table, View,
    attestation::query::parse_model_id,
    market,
    query::{QueryError, Router, page, page_index},
};

/// Models that an answer about an operator's standing tells small deviations of.
const DRIFTS_SHOWN_MAX: usize = 64;

/// Adds the questions about audits.
pub(in crate::attestation) fn routes(router: &mut Router) {
    router.add("/plasma.attestation.v1.Query/Audit", audit);
    router.add("/plasma.attestation.v1.Query/Audits", audits);
    router.add("/plasma.attestation.v1.Query/Duties", duties);
    router.add("/plasma.attestation.v1.Query/Pool", pool);
    router.add("/plasma.attestation.v1.Query/Profile", profile);
    router.add("/plasma.attestation.v1.Query/Standing", standing);
}

fn audit(view: &View<'_>, request: QueryAuditRequest) -> Result<QueryAuditResponse, QueryError> {
    let QueryAuditRequest { id } = request;
    let audit = AUDITS
        .get(view.store, &id)
        .ok_or_else(|| QueryError::not_found(format!("audit {id} not found")))?;
    let leaves = LEAVES.iter_prefix(view.store, &id).map(|(_, leaf)| leaf).collect();
    Ok(QueryAuditResponse { audit: Some(audit), leaves })
}

/// Audits of index keys, whose last eight bytes are the id.
fn found(store: &dyn Read, keys: Vec<Vec<u8>>) -> Vec<Audit> {
    let id = |key: Vec<u8>| key.last_chunk().map(|id| u64::from_be_bytes(*id));
    keys.into_iter().filter_map(id).filter_map(|id| AUDITS.get(store, &id)).collect()
}

fn audits(view: &View<'_>, request: QueryAuditsRequest) -> Result<QueryAuditsResponse, QueryError> {
    let (wanted, store) = (request.state(), view.store);
    let QueryAuditsRequest { state, operator, juror, pagination } = request;
    if AuditState::try_from(state).is_err() {
        return Err(QueryError::invalid(format!("{state} is no state of an audit")));
    }
    let any = wanted == AuditState::Unspecified;
    let (table, prefix) = match (operator.as_str(), juror.as_str()) {
        ("", "") if any => {
            let (entries, pagination) = page(store, AUDITS.map(), &(), pagination)?;
            let audits = entries.into_iter().map(|(_, audit)| audit).collect();
            return Ok(QueryAuditsResponse { audits, pagination: Some(pagination) });
        }
        ("", "") => (Table::AttestationAuditsByState, bytes(&state_byte(wanted))),
        (operator, "") if any => {
            (Table::AttestationAuditsByProvider, bytes(&Address::parse(operator)?))
        }
        ("", juror) if any => (Table::AttestationAuditsByJuror, bytes(&Address::parse(juror)?)),
        _ => {
            return Err(QueryError::invalid("give one of state, operator and juror, or none"));
        }
    };
    let (keys, pagination): (_, PageResponse) = page_index(store, table, &prefix, pagination)?;
    Ok(QueryAuditsResponse { audits: found(store, keys), pagination: Some(pagination) })
}

fn duties(view: &View<'_>, request: QueryDutiesRequest) -> Result<QueryDutiesResponse, QueryError> {
    let QueryDutiesRequest { operator, pagination } = request;
    let prefix = bytes(&Address::parse(&operator)?);
    let (keys, pagination) = page_index(view.store, Table::AttestationDuties, &prefix, pagination)?;
    let duty = |audit: Audit| {
        let kind = match audit.state() {
            AuditState::Reveal => DutyKind::Reveal,
            AuditState::Commit => DutyKind::Commit,
            AuditState::Verdict => DutyKind::Verdict,
            _ => DutyKind::Unspecified,
        };
        let Audit { due_height, due_s, .. } = audit;
        Duty { kind: kind.into(), due_height, due_s, audit: Some(audit) }
    };
    let duties = found(view.store, keys).into_iter().map(duty).collect();
    Ok(QueryDutiesResponse { duties, pagination: Some(pagination) })
}

fn pool(view: &View<'_>, request: QueryPoolRequest) -> Result<QueryPoolResponse, QueryError> {
    let QueryPoolRequest { model_id, pagination, of_proposal } = request;
    let id = parse_model_id(&model_id)?;
    let stands = PROFILES
        .get(view.store, &id)
        .ok_or_else(|| QueryError::not_found(format!("model {model_id} has no profile")))?;
    let profile_hash = match (of_proposal, stands.proposal) {
        (false, _) => stands.profile_hash,
        (true, Some(proposal)) => proposal.profile_hash,
        (true, None) => {
            return Err(QueryError::not_found(format!("no profile is proposed for {model_id}")));
        }
    };
    let pool = (id, stored_hash(&profile_hash));
    let (entries, pagination) = page(view.store, MEMBERS.map(), &pool, pagination)?;
    let members = entries.into_iter().map(|(_, member)| member).collect();
    Ok(QueryPoolResponse { members, pagination: Some(pagination) })
}

fn profile(
    view: &View<'_>,
    request: QueryProfileRequest,
) -> Result<QueryProfileResponse, QueryError> {
    let QueryProfileRequest { model_id } = request;
    let stands = PROFILES
        .get(view.store, &parse_model_id(&model_id)?)
        .ok_or_else(|| QueryError::not_found(format!("model {model_id} has no profile")))?;
    let is_verified = is_verified(&numbers(view.store), &stands);
    Ok(QueryProfileResponse { profile: Some(stands), is_verified })
}

fn standing(
    view: &View<'_>,
    request: QueryStandingRequest,
) -> Result<QueryStandingResponse, QueryError> {
    let operator = Address::parse(&request.operator)?;
    if market::provider(view.store, operator).is_none() {
        return Err(QueryError::not_found(format!("provider {operator} not found")));
    }
    let numbers = numbers(view.store);
    let terms = terms(&numbers);
    let standing = state::standing(view.store, operator);
    let rate_bps = stakes::rate_bps(&terms, Amount::stored(&standing.clean_uxpl));
    let free = market::free_bond(view.store, operator);
    Ok(QueryStandingResponse {
        standing: Some(standing),
        rate_bps,
        at_risk_uxpl: market::pending(view.store, operator).text(),
        carries_uxpl: stakes::carries(&terms, free).text(),
        drifts: drift::of_operator(view.store, operator, DRIFTS_SHOWN_MAX),
        drift_limit_micro: u64::from(numbers.drift_limit_milli).saturating_mul(1_000),
    })
}
