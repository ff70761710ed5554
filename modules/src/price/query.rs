//! Questions about what work costs.

use alloc::{format, vec::Vec};
use core::cmp::Reverse;

use plasma_proto::plasma::price::v1::{
    Price, QueryHistoryRequest, QueryHistoryResponse, QueryIndexRequest, QueryIndexResponse,
    QueryParamsRequest, QueryParamsResponse, QueryPriceRequest, QueryPriceResponse,
    QueryPricesRequest, QueryPricesResponse, Quote,
};

use super::{
    index::{quotes, weigh},
    state::{self, HOURS, PRICES, stored_hash},
};
use crate::{
    Amount, BPS, View,
    query::{PAGE_MAX, QueryError, Router, page},
    types::{Hash, hash32, unhex},
};

/// Adds the questions about prices.
pub fn routes(router: &mut Router) {
    router.add("/plasma.price.v1.Query/Params", params);
    router.add("/plasma.price.v1.Query/Price", price);
    router.add("/plasma.price.v1.Query/Prices", prices);
    router.add("/plasma.price.v1.Query/Index", index);
    router.add("/plasma.price.v1.Query/History", history);
}

fn params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(state::params(view.store)) })
}

fn parse_model_id(text: &str) -> Result<Hash, QueryError> {
    unhex(text)
        .and_then(|bytes| hash32(&bytes))
        .ok_or_else(|| QueryError::invalid("a model id is 64 hexadecimal digits"))
}

fn of_model(view: &View<'_>, model_id: &str) -> Result<Price, QueryError> {
    state::price(view.store, &parse_model_id(model_id)?)
        .ok_or_else(|| QueryError::not_found(format!("model {model_id} has no price")))
}

fn price(view: &View<'_>, request: QueryPriceRequest) -> Result<QueryPriceResponse, QueryError> {
    Ok(QueryPriceResponse { price: Some(of_model(view, &request.model_id)?) })
}

fn prices(view: &View<'_>, request: QueryPricesRequest) -> Result<QueryPricesResponse, QueryError> {
    let (entries, pagination) = page(view.store, &PRICES, &(), request.pagination)?;
    let prices = entries.into_iter().map(|(_, price)| price).collect();
    Ok(QueryPricesResponse { prices, pagination: Some(pagination) })
}

fn index(view: &View<'_>, request: QueryIndexRequest) -> Result<QueryIndexResponse, QueryError> {
    let price = of_model(view, &request.model_id)?;
    let last = price.hour.saturating_sub(1);
    let quotes = quotes(view.store, &stored_hash(&price.model_id), last);
    let weights = weigh(&quotes, state::params(view.store).provider_max_bps);
    let total = weights.iter().fold(0u128, |sum, weight| sum.saturating_add(*weight));
    let mut quotes: Vec<_> = quotes.into_iter().zip(weights).collect();
    quotes.sort_by_key(|(quote, weight)| (Reverse(*weight), quote.operator));
    let shown = quotes.into_iter().take(PAGE_MAX).map(|(quote, weight)| {
        let bps = weight.saturating_mul(BPS.into()).checked_div(total).unwrap_or_default();
        Quote {
            operator: quote.operator.text(),
            mean_uxpl_per_mtok: quote.mean_uxpl_per_mtok(),
            charge_uxpl: Amount::new(quote.charge_uxpl).text(),
            weight_bps: u32::try_from(bps).unwrap_or(BPS),
        }
    });
    Ok(QueryIndexResponse {
        index_uxpl_per_mtok: price.index_uxpl_per_mtok,
        index_twap_uxpl_per_mtok: price.index_twap_uxpl_per_mtok,
        index_stale: price.index_stale,
        quotes: shown.collect(),
    })
}

fn history(
    view: &View<'_>,
    request: QueryHistoryRequest,
) -> Result<QueryHistoryResponse, QueryError> {
    let model_id = parse_model_id(&request.model_id)?;
    let (entries, pagination) = page(view.store, &HOURS, &model_id, request.pagination)?;
    let hours = entries.into_iter().map(|(_, hour)| hour).collect();
    Ok(QueryHistoryResponse { hours, pagination: Some(pagination) })
}
