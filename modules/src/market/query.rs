//! Questions about jobs, providers and models.

use alloc::{format, vec::Vec};

use plasma_proto::{
    cosmos::base::query::v1beta1::PageResponse,
    plasma::market::v1::{
        Job, JobState, QueryJobRequest, QueryJobResponse, QueryJobsRequest, QueryJobsResponse,
        QueryModelRequest, QueryModelResponse, QueryModelsRequest, QueryModelsResponse,
        QueryOffersRequest, QueryOffersResponse, QueryParamsRequest, QueryParamsResponse,
        QueryProviderRequest, QueryProviderResponse, QueryProvidersRequest, QueryProvidersResponse,
        QueryTotalsRequest, QueryTotalsResponse, QueryWithdrawalsRequest, QueryWithdrawalsResponse,
    },
};

use super::state::{
    self, JOBS, MODELS, OFFERS, PAYLOADS, PROVIDERS, WITHDRAWALS, offers_of, state_byte, totals,
    withdrawals_of,
};
use crate::{
    Address, Key, Read, Table, View,
    query::{QueryError, Router, page, page_index},
    types::{Hash, hash32, unhex},
};

/// Adds the market's questions.
pub fn routes(router: &mut Router) {
    router.add("/plasma.market.v1.Query/Params", params);
    router.add("/plasma.market.v1.Query/Job", job);
    router.add("/plasma.market.v1.Query/Jobs", jobs);
    router.add("/plasma.market.v1.Query/Provider", provider);
    router.add("/plasma.market.v1.Query/Providers", providers);
    router.add("/plasma.market.v1.Query/Offers", offers);
    router.add("/plasma.market.v1.Query/Withdrawals", withdrawals);
    router.add("/plasma.market.v1.Query/Model", model);
    router.add("/plasma.market.v1.Query/Models", models);
    router.add("/plasma.market.v1.Query/Totals", all_totals);
}

fn params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(state::params(view.store)) })
}

fn job(view: &View<'_>, request: QueryJobRequest) -> Result<QueryJobResponse, QueryError> {
    let QueryJobRequest { job_id } = request;
    let job = JOBS
        .get(view.store, &job_id)
        .ok_or_else(|| QueryError::not_found(format!("job {job_id} not found")))?;
    Ok(QueryJobResponse { job: Some(job), payload: PAYLOADS.get(view.store, &job_id) })
}

fn jobs(view: &View<'_>, request: QueryJobsRequest) -> Result<QueryJobsResponse, QueryError> {
    let QueryJobsRequest { requester, provider, state, pagination } = request;
    let wanted = JobState::try_from(state)
        .map_err(|_| QueryError::invalid(format!("there is no job state {state}")))?;
    let any = wanted == JobState::Unspecified;
    let (ids, pagination) = match (requester.as_str(), provider.as_str()) {
        ("", "") if any => {
            let (jobs, pagination) = page(view.store, JOBS.map(), &(), pagination)?;
            let jobs = jobs.into_iter().map(|(_, job)| job).collect();
            return Ok(QueryJobsResponse { jobs, pagination: Some(pagination) });
        }
        ("", "") => {
            let prefix = bytes(&state_byte(wanted));
            page_index(view.store, Table::MarketJobsByState, &prefix, pagination)?
        }
        (requester, "") => {
            let prefix = bytes(&Address::parse(requester)?);
            page_index(view.store, Table::MarketJobsByRequester, &prefix, pagination)?
        }
        ("", provider) => {
            let provider = Address::parse(provider)?;
            let prefix =
                if any { bytes(&provider) } else { bytes(&(provider, state_byte(wanted))) };
            page_index(view.store, Table::MarketJobsByProvider, &prefix, pagination)?
        }
        _ => return Err(QueryError::invalid("give a requester or a provider, not both")),
    };
    Ok(found(view.store, wanted, ids, pagination))
}

/// Jobs of index keys, whose last eight bytes are the id. A requester's list is in order of ids, so
/// a page of it may hold fewer jobs of one state than asked for.
fn found(
    store: &dyn Read,
    wanted: JobState,
    keys: Vec<Vec<u8>>,
    pagination: PageResponse,
) -> QueryJobsResponse {
    let id = |key: Vec<u8>| key.last_chunk().map(|id| u64::from_be_bytes(*id));
    let fits = |job: &Job| wanted == JobState::Unspecified || job.state() == wanted;
    let jobs = keys
        .into_iter()
        .filter_map(id)
        .filter_map(|id| JOBS.get(store, &id))
        .filter(fits)
        .collect();
    QueryJobsResponse { jobs, pagination: Some(pagination) }
}

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::new();
    key.put(&mut out);
    out
}

fn provider(
    view: &View<'_>,
    request: QueryProviderRequest,
) -> Result<QueryProviderResponse, QueryError> {
    let operator = Address::parse(&request.operator)?;
    let provider = PROVIDERS
        .get(view.store, &operator)
        .ok_or_else(|| QueryError::not_found(format!("provider {operator} not found")))?;
    let offers = offers_of(view.store, operator);
    Ok(QueryProviderResponse { provider: Some(provider), offers })
}

fn providers(
    view: &View<'_>,
    request: QueryProvidersRequest,
) -> Result<QueryProvidersResponse, QueryError> {
    let (entries, pagination) = page(view.store, &PROVIDERS, &(), request.pagination)?;
    let providers = entries.into_iter().map(|(_, provider)| provider).collect();
    Ok(QueryProvidersResponse { providers, pagination: Some(pagination) })
}

fn parse_model_id(text: &str) -> Result<Hash, QueryError> {
    unhex(text)
        .and_then(|bytes| hash32(&bytes))
        .ok_or_else(|| QueryError::invalid("a model id is 64 hexadecimal digits"))
}

fn offers(view: &View<'_>, request: QueryOffersRequest) -> Result<QueryOffersResponse, QueryError> {
    let model_id = parse_model_id(&request.model_id)?;
    let (entries, pagination) = page(view.store, OFFERS.map(), &model_id, request.pagination)?;
    let offers = entries.into_iter().map(|(_, offer)| offer).collect();
    Ok(QueryOffersResponse { offers, pagination: Some(pagination) })
}

fn withdrawals(
    view: &View<'_>,
    request: QueryWithdrawalsRequest,
) -> Result<QueryWithdrawalsResponse, QueryError> {
    let operator = Address::parse(&request.operator)?;
    let withdrawals = withdrawals_of(view.store, operator)
        .into_iter()
        .filter_map(|id| WITHDRAWALS.get(view.store, &id))
        .collect();
    Ok(QueryWithdrawalsResponse { withdrawals })
}

fn model(view: &View<'_>, request: QueryModelRequest) -> Result<QueryModelResponse, QueryError> {
    let model_id = parse_model_id(&request.model_id)?;
    let model = state::model(view.store, &model_id)
        .ok_or_else(|| QueryError::not_found(format!("model {} not found", request.model_id)))?;
    Ok(QueryModelResponse { model: Some(model) })
}

fn models(view: &View<'_>, request: QueryModelsRequest) -> Result<QueryModelsResponse, QueryError> {
    let (entries, pagination) = page(view.store, &MODELS, &(), request.pagination)?;
    let models = entries.into_iter().map(|(_, model)| state::counted(view.store, model));
    let models = models.collect();
    Ok(QueryModelsResponse { models, pagination: Some(pagination) })
}

fn all_totals(view: &View<'_>, _: QueryTotalsRequest) -> Result<QueryTotalsResponse, QueryError> {
    Ok(QueryTotalsResponse { totals: Some(totals(view.store)) })
}
