use alloc::{format, vec::Vec};

use plasma_proto::cosmos::auth::v1beta1::{
    AddressBytesToStringRequest, AddressBytesToStringResponse, AddressStringToBytesRequest,
    AddressStringToBytesResponse, BaseAccount, Bech32PrefixRequest, Bech32PrefixResponse,
    ModuleAccount, QueryAccountAddressByIdRequest, QueryAccountAddressByIdResponse,
    QueryAccountInfoRequest, QueryAccountInfoResponse, QueryAccountRequest, QueryAccountResponse,
    QueryAccountsRequest, QueryAccountsResponse, QueryModuleAccountByNameRequest,
    QueryModuleAccountByNameResponse, QueryModuleAccountsRequest, QueryModuleAccountsResponse,
};
use prost_types::Any;

use super::{
    handler::{account, module_name},
    state::{ACCOUNTS, BY_NUMBER, MODULE_ACCOUNTS, VESTINGS},
    vesting::{any, as_account},
};
use crate::{
    Address, HRP, Read, View,
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
    router.add("/cosmos.auth.v1beta1.Query/AddressBytesToString", to_text);
    router.add("/cosmos.auth.v1beta1.Query/AddressStringToBytes", to_bytes);
    router.add("/cosmos.auth.v1beta1.Query/AccountAddressByID", by_number);
}

fn one(view: &View<'_>, request: QueryAccountRequest) -> Result<QueryAccountResponse, QueryError> {
    let address = Address::parse(&request.address)?;
    if let Some((name, _)) = module_name(address) {
        return Ok(QueryAccountResponse { account: Some(module_account(&name)) });
    }
    let account = find(view, address)?;
    Ok(QueryAccountResponse { account: Some(as_any(view.store, address, account)) })
}

/// An account as the type that it has: one with locked money is one of `cosmos.vesting`.
fn as_any(store: &dyn Read, address: Address, account: BaseAccount) -> Any {
    match VESTINGS.get(store, &address) {
        Some(vesting) => as_account(account, vesting),
        None => any(&account),
    }
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
    let accounts =
        accounts.into_iter().map(|(address, account)| as_any(view.store, address, account));
    let accounts = accounts.collect();
    Ok(QueryAccountsResponse { accounts, pagination: Some(pagination) })
}

fn info(
    view: &View<'_>,
    request: QueryAccountInfoRequest,
) -> Result<QueryAccountInfoResponse, QueryError> {
    let address = Address::parse(&request.address)?;
    let info = match module_name(address) {
        Some(_) => BaseAccount { address: request.address, ..BaseAccount::default() },
        None => find(view, address)?,
    };
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

fn to_text(
    _: &View<'_>,
    request: AddressBytesToStringRequest,
) -> Result<AddressBytesToStringResponse, QueryError> {
    let bytes = request.address_bytes.try_into();
    let address = bytes.map(Address).map_err(|_| QueryError::invalid("an address has 20 bytes"))?;
    Ok(AddressBytesToStringResponse { address_string: address.text() })
}

fn to_bytes(
    _: &View<'_>,
    request: AddressStringToBytesRequest,
) -> Result<AddressStringToBytesResponse, QueryError> {
    let address = Address::parse(&request.address_string)?;
    Ok(AddressStringToBytesResponse { address_bytes: address.0.into() })
}

fn by_number(
    view: &View<'_>,
    request: QueryAccountAddressByIdRequest,
) -> Result<QueryAccountAddressByIdResponse, QueryError> {
    #[expect(deprecated, reason = "the older field must stay empty, as in the SDK")]
    let QueryAccountAddressByIdRequest { id, account_id } = request;
    if id != 0 {
        let text = "requesting with id isn't supported, try to request using account-id";
        return Err(QueryError::invalid(text));
    }
    let found = BY_NUMBER.iter_prefix(view.store, &account_id).next();
    let ((_, address), ()) = found.ok_or_else(|| {
        let text = format!("account address not found with account number {account_id}");
        QueryError::not_found(text)
    })?;
    Ok(QueryAccountAddressByIdResponse { account_address: address.text() })
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
