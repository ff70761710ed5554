use alloc::{format, vec, vec::Vec};

use plasma_proto::{
    cosmos::{
        auth::v1beta1::{
            Params as AuthParams, QueryParamsRequest as AuthParamsRequest,
            QueryParamsResponse as AuthParamsResponse,
        },
        bank::v1beta1::{
            DenomUnit, Metadata, Params as BankParams, QueryAllBalancesRequest,
            QueryAllBalancesResponse, QueryBalanceRequest, QueryBalanceResponse,
            QueryDenomMetadataRequest, QueryDenomMetadataResponse, QueryDenomsMetadataRequest,
            QueryDenomsMetadataResponse, QueryParamsRequest as BankParamsRequest,
            QueryParamsResponse as BankParamsResponse, QuerySendEnabledRequest,
            QuerySendEnabledResponse, QuerySpendableBalanceByDenomRequest,
            QuerySpendableBalanceByDenomResponse, QuerySpendableBalancesRequest,
            QuerySpendableBalancesResponse, QuerySupplyOfRequest, QuerySupplyOfResponse,
            QueryTotalSupplyRequest, QueryTotalSupplyResponse,
        },
        base::{
            query::v1beta1::{PageRequest, PageResponse},
            v1beta1::Coin,
        },
    },
    plasma::token::v1::{
        QueryFeeMarketRequest, QueryFeeMarketResponse, QueryParamsRequest, QueryParamsResponse,
    },
};

use super::{
    handler::{balance_of, fee_market, params, supply},
    state::{BALANCES, SUPPLY},
};
use crate::{
    Address, Denom, View, ante,
    query::{QueryError, Router, page},
    tx,
};

/// Adds this module's questions.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.bank.v1beta1.Query/Balance", balance);
    router.add("/cosmos.bank.v1beta1.Query/AllBalances", all_balances);
    router.add("/cosmos.bank.v1beta1.Query/SpendableBalances", spendable_balances);
    router.add("/cosmos.bank.v1beta1.Query/SpendableBalanceByDenom", spendable_balance);
    router.add("/cosmos.bank.v1beta1.Query/TotalSupply", total_supply);
    router.add("/cosmos.bank.v1beta1.Query/SupplyOf", supply_of);
    router.add("/cosmos.bank.v1beta1.Query/Params", bank_params);
    router.add("/cosmos.bank.v1beta1.Query/DenomMetadata", metadata_of);
    router.add("/cosmos.bank.v1beta1.Query/DenomsMetadata", metadata);
    router.add("/cosmos.bank.v1beta1.Query/SendEnabled", send_enabled);
    // What clients ask auth for are the ante's numbers; those that governance sets are here.
    router.add("/cosmos.auth.v1beta1.Query/Params", auth_params);
    router.add("/plasma.token.v1.Query/Params", own_params);
    router.add("/plasma.token.v1.Query/FeeMarket", market);
}

fn denom(text: &str) -> Result<Denom, QueryError> {
    Denom::new(text).ok_or_else(|| QueryError::invalid(format!("invalid denom {text:?}")))
}

fn coin(view: &View<'_>, address: &str, name: &str) -> Result<Coin, QueryError> {
    let denom = denom(name)?;
    let amount = balance_of(view.store, Address::parse(address)?, &denom);
    Ok(Coin { denom: name.into(), amount: amount.text() })
}

fn balance(view: &View<'_>, ask: QueryBalanceRequest) -> Result<QueryBalanceResponse, QueryError> {
    Ok(QueryBalanceResponse { balance: Some(coin(view, &ask.address, &ask.denom)?) })
}

fn balances(
    view: &View<'_>,
    address: &str,
    pagination: Option<PageRequest>,
) -> Result<(Vec<Coin>, Option<PageResponse>), QueryError> {
    let address = Address::parse(address)?;
    let (coins, pagination) = page(view.store, &BALANCES, &address, pagination)?;
    Ok((coins.into_iter().map(|(_, coin)| coin).collect(), Some(pagination)))
}

fn all_balances(
    view: &View<'_>,
    ask: QueryAllBalancesRequest,
) -> Result<QueryAllBalancesResponse, QueryError> {
    let (balances, pagination) = balances(view, &ask.address, ask.pagination)?;
    Ok(QueryAllBalancesResponse { balances, pagination })
}

fn spendable_balances(
    view: &View<'_>,
    ask: QuerySpendableBalancesRequest,
) -> Result<QuerySpendableBalancesResponse, QueryError> {
    let (balances, pagination) = balances(view, &ask.address, ask.pagination)?;
    Ok(QuerySpendableBalancesResponse { balances, pagination })
}

fn spendable_balance(
    view: &View<'_>,
    ask: QuerySpendableBalanceByDenomRequest,
) -> Result<QuerySpendableBalanceByDenomResponse, QueryError> {
    let balance = Some(coin(view, &ask.address, &ask.denom)?);
    Ok(QuerySpendableBalanceByDenomResponse { balance })
}

fn total_supply(
    view: &View<'_>,
    ask: QueryTotalSupplyRequest,
) -> Result<QueryTotalSupplyResponse, QueryError> {
    let (coins, pagination) = page(view.store, &SUPPLY, &(), ask.pagination)?;
    let supply = coins.into_iter().map(|(_, coin)| coin).collect();
    Ok(QueryTotalSupplyResponse { supply, pagination: Some(pagination) })
}

fn supply_of(
    view: &View<'_>,
    ask: QuerySupplyOfRequest,
) -> Result<QuerySupplyOfResponse, QueryError> {
    let amount = supply(view.store, &denom(&ask.denom)?).text();
    Ok(QuerySupplyOfResponse { amount: Some(Coin { denom: ask.denom, amount }) })
}

fn bank_params(_: &View<'_>, _: BankParamsRequest) -> Result<BankParamsResponse, QueryError> {
    #[expect(deprecated, reason = "the field stays empty, as in the SDK")]
    let params = BankParams { send_enabled: Vec::new(), default_send_enabled: true };
    Ok(BankParamsResponse { params: Some(params) })
}

fn metadata_of(
    _: &View<'_>,
    ask: QueryDenomMetadataRequest,
) -> Result<QueryDenomMetadataResponse, QueryError> {
    if ask.denom != Denom::uxpl().as_str() {
        return Err(QueryError::not_found(format!("client metadata for denom {}", ask.denom)));
    }
    Ok(QueryDenomMetadataResponse { metadata: Some(xpl()) })
}

fn metadata(
    _: &View<'_>,
    _: QueryDenomsMetadataRequest,
) -> Result<QueryDenomsMetadataResponse, QueryError> {
    let pagination = Some(PageResponse { next_key: Vec::new(), total: 1 });
    Ok(QueryDenomsMetadataResponse { metadatas: vec![xpl()], pagination })
}

/// What XPL is called.
fn xpl() -> Metadata {
    let unit =
        |denom: &str, exponent| DenomUnit { denom: denom.into(), exponent, aliases: Vec::new() };
    Metadata {
        description:
            "The coin of Plasma: it pays for compute, rewards who provides it, and governs".into(),
        denom_units: vec![unit("uxpl", 0), unit("mxpl", 3), unit("xpl", 6)],
        base: "uxpl".into(),
        display: "xpl".into(),
        name: "Plasma".into(),
        symbol: "XPL".into(),
        ..Metadata::default()
    }
}

fn send_enabled(
    _: &View<'_>,
    _: QuerySendEnabledRequest,
) -> Result<QuerySendEnabledResponse, QueryError> {
    Ok(QuerySendEnabledResponse::default())
}

fn auth_params(view: &View<'_>, _: AuthParamsRequest) -> Result<AuthParamsResponse, QueryError> {
    let params = AuthParams {
        max_memo_characters: params(view.store).memo_bytes_max.into(),
        tx_sig_limit: u64::try_from(tx::SIGNATURES_MAX).unwrap_or(u64::MAX),
        tx_size_cost_per_byte: ante::BYTE_GAS,
        sig_verify_cost_ed25519: ante::SIGNATURE_GAS,
        sig_verify_cost_secp256k1: ante::SIGNATURE_GAS,
    };
    Ok(AuthParamsResponse { params: Some(params) })
}

fn own_params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(params(view.store)) })
}

fn market(view: &View<'_>, _: QueryFeeMarketRequest) -> Result<QueryFeeMarketResponse, QueryError> {
    Ok(QueryFeeMarketResponse { fee_market: Some(fee_market(view.store)) })
}
