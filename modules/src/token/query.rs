use alloc::{format, vec, vec::Vec};

use plasma_proto::{
    cosmos::{
        auth::v1beta1::{
            Params as AuthParams, QueryParamsRequest as AuthParamsRequest,
            QueryParamsResponse as AuthParamsResponse,
        },
        bank::v1beta1::{
            DenomOwner, DenomUnit, Metadata, Params as BankParams, QueryAllBalancesRequest,
            QueryAllBalancesResponse, QueryBalanceRequest, QueryBalanceResponse,
            QueryDenomMetadataByQueryStringRequest, QueryDenomMetadataByQueryStringResponse,
            QueryDenomMetadataRequest, QueryDenomMetadataResponse, QueryDenomOwnersByQueryRequest,
            QueryDenomOwnersByQueryResponse, QueryDenomOwnersRequest, QueryDenomOwnersResponse,
            QueryDenomsMetadataRequest, QueryDenomsMetadataResponse,
            QueryParamsRequest as BankParamsRequest, QueryParamsResponse as BankParamsResponse,
            QuerySendEnabledRequest, QuerySendEnabledResponse, QuerySpendableBalanceByDenomRequest,
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
        QueryTotalsRequest, QueryTotalsResponse,
    },
};

use super::{
    handler::{balance_of, fee_market, params, spendable_at, supply},
    msg::Coins,
    state::{BALANCES, OWNERS, SUPPLY, TOTALS},
};
use crate::{
    Address, Denom, View, ante,
    query::{QueryError, Router, page},
    tx,
};

/// The coin as the chain counts it, and as people do.
const BASE: &str = "uxpl";
const DISPLAY: &str = "xpl";

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
    router.add("/cosmos.bank.v1beta1.Query/DenomMetadataByQueryString", metadata_by_query);
    router.add("/cosmos.bank.v1beta1.Query/DenomsMetadata", metadata);
    router.add("/cosmos.bank.v1beta1.Query/DenomOwners", owners);
    router.add("/cosmos.bank.v1beta1.Query/DenomOwnersByQuery", owners_by_query);
    router.add("/cosmos.bank.v1beta1.Query/SendEnabled", send_enabled);
    // What clients ask auth for are the ante's numbers; those that governance sets are here.
    router.add("/cosmos.auth.v1beta1.Query/Params", auth_params);
    router.add("/plasma.token.v1.Query/Params", own_params);
    router.add("/plasma.token.v1.Query/FeeMarket", market);
    router.add("/plasma.token.v1.Query/Totals", totals);
}

fn denom(text: &str) -> Result<Denom, QueryError> {
    Denom::new(text).ok_or_else(|| QueryError::invalid(format!("invalid denom {text:?}")))
}

fn balance(view: &View<'_>, ask: QueryBalanceRequest) -> Result<QueryBalanceResponse, QueryError> {
    let (address, denom) = (Address::parse(&ask.address)?, denom(&ask.denom)?);
    let balance = Some(Coins::coin(&denom, balance_of(view.store, address, &denom)));
    Ok(QueryBalanceResponse { balance })
}

fn balances(
    view: &View<'_>,
    address: Address,
    pagination: Option<PageRequest>,
) -> Result<(Vec<Coin>, Option<PageResponse>), QueryError> {
    let (coins, pagination) = page(view.store, &BALANCES, &address, pagination)?;
    Ok((coins.into_iter().map(|(_, coin)| coin).collect(), Some(pagination)))
}

fn all_balances(
    view: &View<'_>,
    ask: QueryAllBalancesRequest,
) -> Result<QueryAllBalancesResponse, QueryError> {
    let QueryAllBalancesRequest { address, pagination, resolve_denom } = ask;
    let (mut balances, pagination) = balances(view, Address::parse(&address)?, pagination)?;
    for coin in balances.iter_mut().filter(|coin| resolve_denom && coin.denom == BASE) {
        coin.denom = DISPLAY.into();
    }
    Ok(QueryAllBalancesResponse { balances, pagination })
}

/// The denominations of a page are those that the account has; what is locked is left out of the
/// amounts.
fn spendable_balances(
    view: &View<'_>,
    ask: QuerySpendableBalancesRequest,
) -> Result<QuerySpendableBalancesResponse, QueryError> {
    let address = Address::parse(&ask.address)?;
    let (coins, pagination) = balances(view, address, ask.pagination)?;
    let free = |coin: &Coin| Some(spendable(view, address, &Denom::new(&coin.denom)?));
    let balances = coins.iter().filter_map(free).collect();
    Ok(QuerySpendableBalancesResponse { balances, pagination })
}

fn spendable_balance(
    view: &View<'_>,
    ask: QuerySpendableBalanceByDenomRequest,
) -> Result<QuerySpendableBalanceByDenomResponse, QueryError> {
    let (address, denom) = (Address::parse(&ask.address)?, denom(&ask.denom)?);
    let balance = Some(spendable(view, address, &denom));
    Ok(QuerySpendableBalanceByDenomResponse { balance })
}

fn spendable(view: &View<'_>, address: Address, denom: &Denom) -> Coin {
    Coins::coin(denom, spendable_at(view.store, address, denom, view.block.time_s))
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
    Ok(QueryDenomMetadataResponse { metadata: Some(metadata_for(&ask.denom)?) })
}

fn metadata_by_query(
    _: &View<'_>,
    ask: QueryDenomMetadataByQueryStringRequest,
) -> Result<QueryDenomMetadataByQueryStringResponse, QueryError> {
    let metadata = Some(metadata_for(&ask.denom)?);
    Ok(QueryDenomMetadataByQueryStringResponse { metadata })
}

fn metadata_for(name: &str) -> Result<Metadata, QueryError> {
    if denom(name)? == Denom::uxpl() {
        return Ok(xpl());
    }
    Err(QueryError::not_found(format!("client metadata for denom {name}")))
}

fn owners(
    view: &View<'_>,
    ask: QueryDenomOwnersRequest,
) -> Result<QueryDenomOwnersResponse, QueryError> {
    let (denom_owners, pagination) = owners_of(view, &ask.denom, ask.pagination)?;
    Ok(QueryDenomOwnersResponse { denom_owners, pagination })
}

fn owners_by_query(
    view: &View<'_>,
    ask: QueryDenomOwnersByQueryRequest,
) -> Result<QueryDenomOwnersByQueryResponse, QueryError> {
    let (denom_owners, pagination) = owners_of(view, &ask.denom, ask.pagination)?;
    Ok(QueryDenomOwnersByQueryResponse { denom_owners, pagination })
}

/// Who has some of a denomination, in order of address.
fn owners_of(
    view: &View<'_>,
    name: &str,
    pagination: Option<PageRequest>,
) -> Result<(Vec<DenomOwner>, Option<PageResponse>), QueryError> {
    let (keys, pagination) = page(view.store, &OWNERS, &denom(name)?, pagination)?;
    let owner = |((denom, address), ()): ((Denom, Address), ())| {
        let balance = Some(Coins::coin(&denom, balance_of(view.store, address, &denom)));
        DenomOwner { address: address.text(), balance }
    };
    Ok((keys.into_iter().map(owner).collect(), Some(pagination)))
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
        denom_units: vec![unit(BASE, 0), unit("mxpl", 3), unit(DISPLAY, 6)],
        base: BASE.into(),
        display: DISPLAY.into(),
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

fn totals(view: &View<'_>, _: QueryTotalsRequest) -> Result<QueryTotalsResponse, QueryError> {
    Ok(QueryTotalsResponse { totals: TOTALS.get(view.store) })
}
