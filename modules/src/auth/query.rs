use alloc::{format, vec::Vec};

use plasma_proto::cosmos::auth::v1beta1::{
    BaseAccount, Bech32PrefixRequest, Bech32PrefixResponse, ModuleAccount, QueryAccountInfoRequest,
    QueryAccountInfoResponse, QueryAccountRequest, QueryAccountResponse, QueryAccountsRequest,
    QueryAccountsResponse, QueryModuleAccountByNameRequest, QueryModuleAccountByNameResponse,
    QueryModuleAccountsRequest, QueryModuleAccountsResponse,
};
use prost::{Message, Name};
use prost_types::Any;

use super::{
    handler::{account, module_name},
    state::{ACCOUNTS, MODULE_ACCOUNTS},
};
use crate::{
    Address, HRP, View,
    query::{QueryError, Router, page},
};

/// Adds this module's questions.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.auth.v1beta1.Query/Account", one);
    router.add("/cosmos.auth.v1beta1.Query/Accounts", all);
    router.add("/cosmos.auth.v1beta1.Query/AccountInfo", info);
    router.add("/cosmos.auth.v1beta1.Query/ModuleAccounts", modules);
    router.add("/cosmos.auth.v1beta1.Query/ModuleAccountByName", module);
    router.add("/cosmos.auth.v1beta1.Query/Bech32Prefix", prefix);
}

fn one(view: &View<'_>, request: QueryAccountRequest) -> Result<QueryAccountResponse, QueryError> {
    let address = Address::parse(&request.address)?;
    if let Some((name, _)) = module_name(address) {
        return Ok(QueryAccountResponse { account: Some(module_account(&name)) });
    }
    Ok(QueryAccountResponse { account: Some(any(&find(view, address)?)) })
}

fn find(view: &View<'_>, address: Address) -> Result<BaseAccount, QueryError> {
    account(view.store, address)
        .ok_or_else(|| QueryError::not_found(format!("account {address} not found")))
}

fn all(
    view: &View<'_>,
    request: QueryAccountsRequest,
) -> Result<QueryAccountsResponse, QueryError> {
    let (accounts, pagination) = page(view.store, &ACCOUNTS, &(), request.pagination)?;
    let accounts = accounts.iter().map(|(_, account)| any(account)).collect();
    Ok(QueryAccountsResponse { accounts, pagination: Some(pagination) })
}

fn info(
    view: &View<'_>,
    request: QueryAccountInfoRequest,
) -> Result<QueryAccountInfoResponse, QueryError> {
    let info = find(view, Address::parse(&request.address)?)?;
    Ok(QueryAccountInfoResponse { info: Some(info) })
}

fn modules(
    _: &View<'_>,
    _: QueryModuleAccountsRequest,
) -> Result<QueryModuleAccountsResponse, QueryError> {
    let accounts: Vec<Any> = MODULE_ACCOUNTS.iter().map(|(name, _)| module_account(name)).collect();
    Ok(QueryModuleAccountsResponse { accounts })
}

fn module(
    _: &View<'_>,
    request: QueryModuleAccountByNameRequest,
) -> Result<QueryModuleAccountByNameResponse, QueryError> {
    if !MODULE_ACCOUNTS.iter().any(|(name, _)| *name == request.name) {
        return Err(QueryError::not_found(format!("module account {:?}", request.name)));
    }
    Ok(QueryModuleAccountByNameResponse { account: Some(module_account(&request.name)) })
}

fn prefix(_: &View<'_>, _: Bech32PrefixRequest) -> Result<Bech32PrefixResponse, QueryError> {
    Ok(Bech32PrefixResponse { bech32_prefix: HRP.into() })
}

fn module_account(name: &str) -> Any {
    let address = Address::of_module(name);
    let permissions = module_name(address).map(|(_, permissions)| permissions).unwrap_or_default();
    any(&ModuleAccount {
        base_account: Some(BaseAccount { address: address.text(), ..BaseAccount::default() }),
        name: name.into(),
        permissions: permissions.iter().map(|text| (*text).into()).collect(),
    })
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
