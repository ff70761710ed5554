use plasma_proto::{
    cosmos::{
        auth::v1beta1::{
            AddressBytesToStringRequest, AddressBytesToStringResponse, AddressStringToBytesRequest,
            AddressStringToBytesResponse, Bech32PrefixRequest, Bech32PrefixResponse, ModuleAccount,
            QueryAccountAddressByIdRequest, QueryAccountAddressByIdResponse,
            QueryAccountInfoRequest, QueryAccountInfoResponse, QueryAccountRequest,
            QueryAccountResponse, QueryAccountsRequest, QueryAccountsResponse,
            QueryModuleAccountByNameRequest, QueryModuleAccountByNameResponse,
            QueryModuleAccountsRequest, QueryModuleAccountsResponse, QueryParamsRequest,
            QueryParamsResponse,
        },
        bank::v1beta1::{
            QueryAllBalancesRequest, QueryAllBalancesResponse, QueryBalanceRequest,
            QueryBalanceResponse, QueryDenomMetadataByQueryStringRequest,
            QueryDenomMetadataByQueryStringResponse, QueryDenomMetadataRequest,
            QueryDenomMetadataResponse, QueryDenomOwnersByQueryRequest,
            QueryDenomOwnersByQueryResponse, QueryDenomOwnersRequest, QueryDenomOwnersResponse,
            QueryDenomsMetadataRequest, QueryDenomsMetadataResponse,
            QueryParamsRequest as BankParamsRequest, QueryParamsResponse as BankParamsResponse,
            QuerySendEnabledRequest, QuerySendEnabledResponse, QuerySpendableBalanceByDenomRequest,
            QuerySpendableBalanceByDenomResponse, QuerySupplyOfRequest, QuerySupplyOfResponse,
            QueryTotalSupplyRequest, QueryTotalSupplyResponse,
        },
    },
    plasma::genesis::v1::Balance,
};

use super::*;

const AUTH: &str = "/cosmos.auth.v1beta1.Query/";
const BANK: &str = "/cosmos.bank.v1beta1.Query/";

fn auth<Q: Message, A: Message + Default>(
    chain: &Chain,
    name: &str,
    ask_: &Q,
) -> Result<A, String> {
    ask(chain, &format!("{AUTH}{name}"), ask_)
}

fn bank<Q: Message, A: Message + Default>(
    chain: &Chain,
    name: &str,
    ask_: &Q,
) -> Result<A, String> {
    ask(chain, &format!("{BANK}{name}"), ask_)
}

fn chain_of_ten() -> (Chain, Vec<Account>) {
    let accounts: Vec<_> = (1..11).map(Account::new).collect();
    let chain = start(&accounts.iter().collect::<Vec<_>>());
    (chain, accounts)
}

#[test]
fn accounts_are_found_by_address_and_number() {
    let (mut chain, accounts) = chain_of_ten();
    done(&mut chain, &accounts[0], vec![send(&accounts[0], accounts[1].address, 1)]);
    let address = accounts[0].address;
    let info: QueryAccountInfoResponse =
        auth(&chain, "AccountInfo", &QueryAccountInfoRequest { address: address.text() }).unwrap();
    let info = info.info.unwrap();
    assert_eq!((info.address, info.sequence), (address.text(), 1));
    assert!(info.pub_key.is_some());
    #[allow(deprecated)]
    let by_id = |id, account_id| {
        let request = QueryAccountAddressByIdRequest { id, account_id };
        auth::<_, QueryAccountAddressByIdResponse>(&chain, "AccountAddressByID", &request)
    };
    assert_eq!(by_id(0, info.account_number).unwrap().account_address, address.text());
    let log = by_id(0, 99).unwrap_err();
    let text = "rpc error: code = NotFound desc = account address not found with account number 99";
    assert!(log.starts_with(text), "{log}");
    assert!(by_id(1, 0).unwrap_err().starts_with("rpc error: code = InvalidArgument"));

    let nobody = Address([0x77; 20]).text();
    let missing =
        format!("rpc error: code = NotFound desc = account {nobody} not found: key not found");
    let request = QueryAccountRequest { address: nobody.clone() };
    assert_eq!(auth::<_, QueryAccountResponse>(&chain, "Account", &request).unwrap_err(), missing);
    let request = QueryAccountInfoRequest { address: nobody };
    let log = auth::<_, QueryAccountInfoResponse>(&chain, "AccountInfo", &request).unwrap_err();
    assert_eq!(log, missing);
    for text in ["", "cosmos1qqq", "xpl1"] {
        let request = QueryAccountRequest { address: text.into() };
        let log = auth::<_, QueryAccountResponse>(&chain, "Account", &request).unwrap_err();
        assert!(log.starts_with("rpc error: code = InvalidArgument"), "{log}");
    }
}

#[test]
fn module_accounts_and_texts_of_addresses() {
    let (chain, accounts) = chain_of_ten();
    let all: QueryModuleAccountsResponse =
        auth(&chain, "ModuleAccounts", &QueryModuleAccountsRequest {}).unwrap();
    let names: Vec<_> = all.accounts.iter().map(|any| read::<ModuleAccount>(any).name).collect();
    let listed = plasma_modules::auth::MODULE_ACCOUNTS.map(|(name, _)| name);
    assert_eq!(names, listed);
    assert!(listed.is_sorted());
    for name in names {
        let request = QueryModuleAccountByNameRequest { name: name.clone() };
        let one: QueryModuleAccountByNameResponse =
            auth(&chain, "ModuleAccountByName", &request).unwrap();
        let account: ModuleAccount = read(&one.account.unwrap());
        let address = account.base_account.unwrap().address;
        assert_eq!(address, Address::of_module(&name).text());
        let request = QueryAccountRequest { address: address.clone() };
        let same: QueryAccountResponse = auth(&chain, "Account", &request).unwrap();
        assert_eq!(read::<ModuleAccount>(&same.account.unwrap()).name, name);
        let request = QueryAccountInfoRequest { address: address.clone() };
        let info: QueryAccountInfoResponse = auth(&chain, "AccountInfo", &request).unwrap();
        assert_eq!(info.info.unwrap().address, address);
    }
    let request = QueryModuleAccountByNameRequest { name: "nobody".into() };
    let log = auth::<_, QueryModuleAccountByNameResponse>(&chain, "ModuleAccountByName", &request);
    assert!(log.unwrap_err().starts_with("rpc error: code = NotFound"));

    let prefix: Bech32PrefixResponse =
        auth(&chain, "Bech32Prefix", &Bech32PrefixRequest {}).unwrap();
    assert_eq!(prefix.bech32_prefix, "xpl");
    let address = accounts[0].address;
    let text: AddressBytesToStringResponse = auth(
        &chain,
        "AddressBytesToString",
        &AddressBytesToStringRequest { address_bytes: address.0.to_vec() },
    )
    .unwrap();
    assert_eq!(text.address_string, address.text());
    let bytes: AddressStringToBytesResponse = auth(
        &chain,
        "AddressStringToBytes",
        &AddressStringToBytesRequest { address_string: address.text() },
    )
    .unwrap();
    assert_eq!(bytes.address_bytes, address.0);
    let short = AddressBytesToStringRequest { address_bytes: vec![1; 19] };
    let log = auth::<_, AddressBytesToStringResponse>(&chain, "AddressBytesToString", &short);
    assert!(log.unwrap_err().starts_with("rpc error: code = InvalidArgument"));
    let params: QueryParamsResponse = auth(&chain, "Params", &QueryParamsRequest {}).unwrap();
    assert_eq!(params.params.unwrap().max_memo_characters, 256);
}

/// Pages by key, offset, limit, total, and backwards; a page that is too long is cut, what is too far is refused.
#[test]
fn pages_are_as_clients_ask_for_them() {
    let (chain, mut accounts) = chain_of_ten();
    accounts.sort_by_key(|account| account.address);
    let page = |request: PageRequest| {
        let request = QueryAccountsRequest { pagination: Some(request) };
        auth::<_, QueryAccountsResponse>(&chain, "Accounts", &request).map(|answer| {
            let read =
                |any: &Any| read::<plasma_proto::cosmos::auth::v1beta1::BaseAccount>(any).address;
            let found: Vec<_> = answer.accounts.iter().map(read).collect();
            (found, answer.pagination.unwrap())
        })
    };
    let all: Vec<_> = accounts.iter().map(|account| account.address.text()).collect();
    let (found, next) = page(PageRequest::default()).unwrap();
    assert_eq!((found, next.next_key.len(), next.total), (all.clone(), 0, 10));
    let (found, next) =
        page(PageRequest { limit: 4, count_total: true, ..PageRequest::default() }).unwrap();
    assert_eq!((&found[..], next.total), (&all[..4], 10));
    let (found, _) =
        page(PageRequest { key: next.next_key, limit: 4, ..PageRequest::default() }).unwrap();
    assert_eq!(found, all[4..8]);
    let (found, _) = page(PageRequest { offset: 8, limit: 4, ..PageRequest::default() }).unwrap();
    assert_eq!(found, all[8..]);
    let (found, next) =
        page(PageRequest { limit: 3, reverse: true, ..PageRequest::default() }).unwrap();
    assert_eq!(found, [9, 8, 7].map(|n: usize| all[n].clone()));
    let key = next.next_key;
    let (found, _) =
        page(PageRequest { key, limit: 2, reverse: true, ..PageRequest::default() }).unwrap();
    assert_eq!(found, [6, 5].map(|n: usize| all[n].clone()));
    for limit in [10, 101, u64::MAX] {
        let (found, next) = page(PageRequest { limit, ..PageRequest::default() }).unwrap();
        assert_eq!((found, next.next_key.len()), (all.clone(), 0));
    }
    for refused in [
        PageRequest { offset: 10_001, ..PageRequest::default() },
        PageRequest { key: vec![1], offset: 1, ..PageRequest::default() },
    ] {
        let log = page(refused).unwrap_err();
        assert!(log.starts_with("rpc error: code = InvalidArgument"), "{log}");
    }
}

/// Wallets ask for a thousand at once.
#[test]
fn a_page_that_is_too_long_is_cut_and_says_how_to_go_on() {
    let accounts: Vec<_> = (1..121).map(Account::new).collect();
    let chain = start(&accounts.iter().collect::<Vec<_>>());
    let page = |key: Vec<u8>| {
        let page = PageRequest { key, limit: 1_000, ..PageRequest::default() };
        let request = QueryAccountsRequest { pagination: Some(page) };
        let answer: QueryAccountsResponse = auth(&chain, "Accounts", &request).unwrap();
        (answer.accounts, answer.pagination.unwrap().next_key)
    };
    let (mut found, key) = page(Vec::new());
    assert_eq!(found.len(), 100);
    let (rest, end) = page(key);
    assert_eq!((rest.len(), end.len()), (20, 0));
    found.extend(rest);
    found.dedup();
    assert_eq!(found.len(), 120);
}

#[test]
fn balances_supply_and_what_the_coin_is_called() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut state = genesis(&[&alice], 100 * XPL);
    let token = state.token.as_mut().unwrap();
    let mut other = coin(5);
    other.denom = "other".into();
    token
        .balances
        .push(Balance { address: bob.address.text(), coins: vec![other.clone(), coin(7)] });
    token.balances.sort_by_key(|balance| Address::parse(&balance.address).unwrap());
    let mut chain = Chain::new(&state);
    chain.block(&[]);
    let address = bob.address.text();

    let request = QueryBalanceRequest { address: address.clone(), denom: "other".into() };
    let one: QueryBalanceResponse = bank(&chain, "Balance", &request).unwrap();
    assert_eq!(one.balance.unwrap(), other);
    let request = QueryBalanceRequest { address: address.clone(), denom: "absent".into() };
    let one: QueryBalanceResponse = bank(&chain, "Balance", &request).unwrap();
    assert_eq!(one.balance.unwrap().amount, "0");
    for (address, denom) in [("", "uxpl"), ("xpl1q", "uxpl"), (address.as_str(), "?")] {
        let request = QueryBalanceRequest { address: address.into(), denom: denom.into() };
        let log = bank::<_, QueryBalanceResponse>(&chain, "Balance", &request).unwrap_err();
        assert!(log.starts_with("rpc error: code = InvalidArgument"), "{log}");
    }
    let all = |resolve_denom| {
        let address = address.clone();
        let request = QueryAllBalancesRequest { address, pagination: None, resolve_denom };
        bank::<_, QueryAllBalancesResponse>(&chain, "AllBalances", &request).unwrap().balances
    };
    assert_eq!(all(false), [coin(7), other.clone()]);
    assert_eq!(all(true)[0].denom, "xpl");
    let request =
        QuerySpendableBalanceByDenomRequest { address: address.clone(), denom: "uxpl".into() };
    let one: QuerySpendableBalanceByDenomResponse =
        bank(&chain, "SpendableBalanceByDenom", &request).unwrap();
    assert_eq!(one.balance, Some(coin(7)));

    let supply: QueryTotalSupplyResponse =
        bank(&chain, "TotalSupply", &QueryTotalSupplyRequest { pagination: None }).unwrap();
    assert_eq!(supply.supply, [coin(1_100 * XPL + 7), other.clone()]);
    let request = QuerySupplyOfRequest { denom: "other".into() };
    let one: QuerySupplyOfResponse = bank(&chain, "SupplyOf", &request).unwrap();
    assert_eq!(one.amount.unwrap(), other);

    let request = QueryDenomOwnersRequest { denom: "uxpl".into(), pagination: None };
    let owners: QueryDenomOwnersResponse = bank(&chain, "DenomOwners", &request).unwrap();
    assert_eq!(owners.denom_owners.len(), 3, "two accounts and the pool of stake");
    let request = QueryDenomOwnersByQueryRequest { denom: "other".into(), pagination: limit(1) };
    let owners: QueryDenomOwnersByQueryResponse =
        bank(&chain, "DenomOwnersByQuery", &request).unwrap();
    assert_eq!(owners.denom_owners[0].address, address);
    assert_eq!(owners.denom_owners[0].balance, Some(other));

    let request = QueryDenomMetadataRequest { denom: "uxpl".into() };
    let named: QueryDenomMetadataResponse = bank(&chain, "DenomMetadata", &request).unwrap();
    let metadata = named.metadata.unwrap();
    let Some(unit) = metadata.denom_units.iter().find(|unit| unit.denom == metadata.display) else {
        panic!("the display is no unit")
    };
    assert_eq!(
        (metadata.base.as_str(), metadata.symbol.as_str(), unit.denom.as_str(), unit.exponent),
        ("uxpl", "XPL", "xpl", 6)
    );
    let request = QueryDenomMetadataByQueryStringRequest { denom: "uxpl".into() };
    let same: QueryDenomMetadataByQueryStringResponse =
        bank(&chain, "DenomMetadataByQueryString", &request).unwrap();
    assert_eq!(same.metadata, Some(metadata.clone()));
    let request = QueryDenomMetadataRequest { denom: "other".into() };
    let log = bank::<_, QueryDenomMetadataResponse>(&chain, "DenomMetadata", &request).unwrap_err();
    let text = "rpc error: code = NotFound desc = client metadata for denom other";
    assert!(log.starts_with(text), "{log}");
    let request = QueryDenomsMetadataRequest { pagination: None };
    let every: QueryDenomsMetadataResponse = bank(&chain, "DenomsMetadata", &request).unwrap();
    assert_eq!(every.metadatas, [metadata]);
    let request = QuerySendEnabledRequest { denoms: vec!["uxpl".into()], pagination: None };
    let enabled: QuerySendEnabledResponse = bank(&chain, "SendEnabled", &request).unwrap();
    assert!(enabled.send_enabled.is_empty(), "no exceptions from the default");
    let params: BankParamsResponse = bank(&chain, "Params", &BankParamsRequest {}).unwrap();
    assert!(params.params.unwrap().default_send_enabled);
}
