//! What Cosmos clients ask of a chain, asked of a real one: each question on three doors, and each
//! client's own shapes. See `docs/clients.md`.

mod client;
mod cosmjs;
mod socket;

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use client::{Chain, User, coin, send};
use plasma_proto::cosmos::{
    authz::v1beta1::{GenericAuthorization, Grant, MsgGrant},
    feegrant::v1beta1::{BasicAllowance, MsgGrantAllowance},
};
use plasma_testnet::{
    comet::operator_of,
    process::{Programs, run},
    rig::Xpl,
};
use prost::Message as _;
use prost_types::Any;
use serde_json::{Value, json};
use socket::Socket;

/// One chain for everything that only reads or moves a little money.
#[test]
fn every_client_finds_what_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let [alice, bob, carol] = [1, 2, 3].map(User::new);
    let chain = Chain::up(dir.path(), &[&alice, &bob, &carol]);
    grants_are_given(&chain, &carol, &bob);
    let sent = keplr_sends(&chain, &alice, &bob);
    a_failed_transaction_tells_why(&chain, &bob, &alice);
    three_doors_give_one_answer(&chain, &sent, &alice, &[&carol, &bob]);
    ping_pub_finds_its_pages(&chain, &sent, &alice);
    refusals_are_the_gateways(&chain);
    searches_are_paged(&chain, &alice);
    subscribers_are_told(&chain, &alice);
    hermes_asks_by_abci_query(&chain);
    calls_back_to_cometbft_do_not_wait_for_each_other(&chain, &sent);
}

struct Sent {
    hash: String,
    height: u64,
    tx: Vec<u8>,
}

/// Simulates without a public key and without a signature, sends, and asks until a block has it.
fn keplr_sends(chain: &Chain, from: &User, to: &User) -> Sent {
    let unsigned = from.unsigned(0, &send(from, to, 5));
    let body = json!({ "tx_bytes": client::base64(&unsigned) });
    let simulated = chain.post("/cosmos/tx/v1beta1/simulate", &body).1;
    let gas: u64 = simulated["gas_info"]["gas_used"].as_str().unwrap().parse().unwrap();
    assert!(gas > 20_000, "{simulated}");

    let tx = from.sign(chain, 0, &send(from, to, 5));
    let body = json!({ "tx_bytes": client::base64(&tx), "mode": "BROADCAST_MODE_SYNC" });
    let (status, reply) = chain.post("/cosmos/tx/v1beta1/txs", &body);
    assert_eq!((status, &reply["tx_response"]["code"]), (200, &json!(0)), "{reply}");
    let hash = reply["tx_response"]["txhash"].as_str().unwrap().to_owned();
    assert_eq!(hash, client::hash(&tx));
    let found = chain.wait_for_tx(&hash);

    let response = &found["tx_response"];
    let height: u64 = response["height"].as_str().unwrap().parse().unwrap();
    assert!(height > 0);
    assert_eq!((&response["txhash"], &response["code"]), (&json!(hash), &json!(0)));
    assert_eq!((&response["codespace"], &response["logs"]), (&json!(""), &json!([])));
    let data = response["data"].as_str().unwrap();
    assert!(data.starts_with("12") && data.bytes().all(|digit| digit.is_ascii_hexdigit()));
    assert!(response["gas_used"].is_string() && response["gas_wanted"].is_string());
    assert_eq!(response["tx"]["@type"], "/cosmos.tx.v1beta1.Tx");
    assert_eq!(response["tx"]["body"], found["tx"]["body"]);
    let message = &found["tx"]["body"]["messages"][0];
    assert_eq!(message["@type"], "/cosmos.bank.v1beta1.MsgSend");
    assert_eq!(message["amount"], json!([{ "denom": "uxpl", "amount": "5" }]));
    let time = response["timestamp"].as_str().unwrap();
    assert!(time.len() == "2006-01-02T15:04:05Z".len() && time.ends_with('Z'), "{time}");
    let transfer = client::event(response, "transfer").expect("a transfer event");
    assert_eq!(client::attribute(&transfer, "recipient"), to.address);
    assert!(client::event(response, "tx").is_some());

    // The mempool has seen it.
    let (_, again) = chain.post("/cosmos/tx/v1beta1/txs", &body);
    let again = &again["tx_response"];
    assert_eq!((&again["code"], &again["codespace"]), (&json!(19), &json!("sdk")), "{again}");
    assert_eq!(again["txhash"], hash);
    // What CheckTx refuses is an answer, not an error.
    let stale = from.sign(chain, 9, &send(from, to, 6));
    let body = json!({ "tx_bytes": client::base64(&stale), "mode": "BROADCAST_MODE_SYNC" });
    let (status, refused) = chain.post("/cosmos/tx/v1beta1/txs", &body);
    let refused = &refused["tx_response"];
    assert_eq!((status, &refused["code"]), (200, &json!(32)), "{refused}");
    let log = refused["raw_log"].as_str().unwrap();
    assert!(log.contains("account sequence mismatch, expected 1, got 9"), "{log}");
    for mode in ["BROADCAST_MODE_BLOCK", "BROADCAST_MODE_UNSPECIFIED"] {
        let body = json!({ "tx_bytes": client::base64(&stale), "mode": mode });
        assert_eq!(chain.post("/cosmos/tx/v1beta1/txs", &body).0, 400, "{mode}");
    }
    Sent { hash, height, tx }
}

/// A transaction that fails in its block keeps its code, its words and its fee's events.
fn a_failed_transaction_tells_why(chain: &Chain, from: &User, to: &User) {
    let tx = from.sign(chain, 0, &send(from, to, 1 << 60));
    let body = json!({ "tx_bytes": client::base64(&tx), "mode": "BROADCAST_MODE_ASYNC" });
    let (status, reply) = chain.post("/cosmos/tx/v1beta1/txs", &body);
    assert_eq!((status, &reply["tx_response"]["code"]), (200, &json!(0)), "{reply}");
    let found = chain.wait_for_tx(&client::hash(&tx));
    let response = &found["tx_response"];
    assert_eq!((&response["code"], &response["codespace"]), (&json!(5), &json!("sdk")));
    assert!(response["raw_log"].as_str().unwrap().contains("insufficient"), "{response}");
    assert_eq!(response["data"], "");
    let events = response["events"].as_array().unwrap();
    let fees = events.iter().filter(|event| client::attribute(event, "fee").ends_with("uxpl"));
    assert_eq!(fees.count(), 1, "{response}");
}

/// Each question, in protobuf JSON, and its URL. The answer must be the same bytes through
/// CometBFT's abci_query and through gRPC, and REST's JSON must be those bytes' JSON.
fn three_doors_give_one_answer(chain: &Chain, sent: &Sent, alice: &User, granted: &[&User; 2]) {
    let Sent { hash, height, .. } = sent;
    let address = &alice.address;
    let auth = "cosmos.auth.v1beta1.Query";
    let bank = "cosmos.bank.v1beta1.Query";
    let tx = "cosmos.tx.v1beta1.Service";
    let base = "cosmos.base.tendermint.v1beta1.Service";
    let node = "cosmos.base.node.v1beta1.Service";
    let page = json!({ "limit": "3", "count_total": true });
    let cases = [
        (
            auth,
            "Account",
            json!({ "address": address }),
            format!("/cosmos/auth/v1beta1/accounts/{address}"),
        ),
        (
            auth,
            "AccountInfo",
            json!({ "address": address }),
            format!("/cosmos/auth/v1beta1/account_info/{address}"),
        ),
        (
            auth,
            "Accounts",
            json!({ "pagination": page }),
            "/cosmos/auth/v1beta1/accounts?pagination.limit=3&pagination.count_total=true".into(),
        ),
        (auth, "Params", json!({}), "/cosmos/auth/v1beta1/params".into()),
        (auth, "ModuleAccounts", json!({}), "/cosmos/auth/v1beta1/module_accounts".into()),
        (auth, "Bech32Prefix", json!({}), "/cosmos/auth/v1beta1/bech32".into()),
        (
            bank,
            "Balance",
            json!({ "address": address, "denom": "uxpl" }),
            format!("/cosmos/bank/v1beta1/balances/{address}/by_denom?denom=uxpl"),
        ),
        (
            bank,
            "AllBalances",
            json!({ "address": address, "pagination": page }),
            format!(
                "/cosmos/bank/v1beta1/balances/{address}?pagination.limit=3&pagination.count_total=true"
            ),
        ),
        (
            bank,
            "SpendableBalances",
            json!({ "address": address }),
            format!("/cosmos/bank/v1beta1/spendable_balances/{address}"),
        ),
        (bank, "TotalSupply", json!({}), "/cosmos/bank/v1beta1/supply".into()),
        (
            bank,
            "SupplyOf",
            json!({ "denom": "uxpl" }),
            "/cosmos/bank/v1beta1/supply/by_denom?denom=uxpl".into(),
        ),
        (bank, "Params", json!({}), "/cosmos/bank/v1beta1/params".into()),
        (
            bank,
            "DenomMetadata",
            json!({ "denom": "uxpl" }),
            "/cosmos/bank/v1beta1/denoms_metadata/uxpl".into(),
        ),
        (bank, "DenomsMetadata", json!({}), "/cosmos/bank/v1beta1/denoms_metadata".into()),
        (tx, "GetTx", json!({ "hash": hash }), format!("/cosmos/tx/v1beta1/txs/{hash}")),
        (
            tx,
            "GetTx",
            json!({ "hash": hash.to_lowercase() }),
            format!("/cosmos/tx/v1beta1/txs/{}", hash.to_lowercase()),
        ),
        (
            tx,
            "GetTxsEvent",
            json!({ "query": format!("tx.height={height}"), "limit": "5", "page": "1" }),
            format!("/cosmos/tx/v1beta1/txs?query=tx.height%3D{height}&limit=5&page=1"),
        ),
        (
            tx,
            "GetTxsEvent",
            json!({ "events": [format!("message.sender='{address}'"), "message.action='/cosmos.bank.v1beta1.MsgSend'"], "order_by": "ORDER_BY_DESC" }),
            format!(
                "/cosmos/tx/v1beta1/txs?events=message.sender%3D%27{address}%27&events=message.action='/cosmos.bank.v1beta1.MsgSend'&order_by=ORDER_BY_DESC"
            ),
        ),
        (
            tx,
            "GetBlockWithTxs",
            json!({ "height": height }),
            format!("/cosmos/tx/v1beta1/txs/block/{height}"),
        ),
        (base, "GetNodeInfo", json!({}), "/cosmos/base/tendermint/v1beta1/node_info".into()),
        (base, "GetSyncing", json!({}), "/cosmos/base/tendermint/v1beta1/syncing".into()),
        (
            base,
            "GetBlockByHeight",
            json!({ "height": height }),
            format!("/cosmos/base/tendermint/v1beta1/blocks/{height}"),
        ),
        (
            base,
            "GetValidatorSetByHeight",
            json!({ "height": height, "pagination": { "limit": "2" } }),
            format!("/cosmos/base/tendermint/v1beta1/validatorsets/{height}?pagination.limit=2"),
        ),
        (
            base,
            "ABCIQuery",
            json!({ "path": "/cosmos.bank.v1beta1.Query/Params", "height": height }),
            format!(
                "/cosmos/base/tendermint/v1beta1/abci_query?path=/cosmos.bank.v1beta1.Query/Params&height={height}"
            ),
        ),
        (
            base,
            "ABCIQuery",
            json!({ "path": "store/plasma/key", "data": "AQ==", "height": height, "prove": true }),
            format!(
                "/cosmos/base/tendermint/v1beta1/abci_query?path=store/plasma/key&data=AQ%3D%3D&height={height}&prove=true"
            ),
        ),
        (node, "Config", json!({}), "/cosmos/base/node/v1beta1/config".into()),
        (node, "Status", json!({}), "/cosmos/base/node/v1beta1/status".into()),
        ("cosmos.consensus.v1.Query", "Params", json!({}), "/cosmos/consensus/v1/params".into()),
    ];
    let cases = cases.into_iter().chain(questions_of_stakers(address));
    let cases = cases.chain(questions_of_grants(granted));
    for (service, method, request, url) in cases {
        chain.same_on_three_doors(service, method, &request, &url, *height);
    }
    // What changes from block to block has the same fields.
    let newest = chain.get("/cosmos/base/tendermint/v1beta1/blocks/latest");
    let block = &newest["block"];
    assert_eq!(block["header"]["chain_id"], chain.id());
    assert_eq!(newest["sdk_block"]["header"]["height"], block["header"]["height"]);
    let proposer = newest["sdk_block"]["header"]["proposer_address"].as_str().unwrap();
    assert!(proposer.starts_with("xplvalcons1"), "{proposer}");
    let set = chain.get("/cosmos/base/tendermint/v1beta1/validatorsets/latest");
    assert_eq!(set["validators"][0]["address"], proposer);
    assert_eq!(set["validators"][0]["pub_key"]["@type"], "/cosmos.crypto.ed25519.PubKey");
    assert_eq!(set["validators"][0]["voting_power"], "1000000");
    assert_eq!(set["pagination"]["total"], "1");
    // A block is CometBFT's own, whole: its hash is that of the RPC.
    let at = chain.get(&format!("/cosmos/base/tendermint/v1beta1/blocks/{height}"));
    let rpc = chain.rpc("block", &json!({ "height": height.to_string() }));
    let hash = rpc["result"]["block_id"]["hash"].as_str().unwrap();
    assert_eq!(client::hex_of_base64(&at["block_id"]["hash"]), hash);
    let app_hash = rpc["result"]["block"]["header"]["app_hash"].as_str().unwrap();
    assert_eq!(client::hex_of_base64(&at["block"]["header"]["app_hash"]), app_hash);
    let of_block = chain.get(&format!("/cosmos/tx/v1beta1/txs/block/{height}"));
    assert_eq!(at["block"], of_block["block"]);
    // The block's own entry comes first: the proof of its beacon.
    assert_eq!(at["block"]["data"]["txs"][1], client::base64(&sent.tx));
    assert_eq!(of_block["txs"][0]["body"]["messages"], json!([]));
}

/// `granter` lets `grantee` send for it, and pays its fees.
fn grants_are_given(chain: &Chain, granter: &User, grantee: &User) {
    let any = |url: &str, value: Vec<u8>| Any { type_url: url.into(), value };
    let sends = GenericAuthorization { msg: "/cosmos.bank.v1beta1.MsgSend".into() };
    let authorization = any("/cosmos.authz.v1beta1.GenericAuthorization", sends.encode_to_vec());
    let grant = MsgGrant {
        granter: granter.address.clone(),
        grantee: grantee.address.clone(),
        grant: Some(Grant { authorization: Some(authorization), expiration: None }),
    };
    let basic = BasicAllowance::default().encode_to_vec();
    let allowance = MsgGrantAllowance {
        granter: granter.address.clone(),
        grantee: grantee.address.clone(),
        allowance: Some(any("/cosmos.feegrant.v1beta1.BasicAllowance", basic)),
    };
    for tx in [granter.sign(chain, 0, &grant), granter.sign(chain, 1, &allowance)] {
        chain.broadcast(&tx);
        let found = chain.wait_for_tx(&client::hash(&tx));
        assert_eq!(found["tx_response"]["code"], 0, "{found}");
    }
    let given = chain.get(&format!("/cosmos/authz/v1beta1/grants/granter/{}", granter.address));
    let given = &given["grants"][0];
    assert_eq!(given["authorization"]["msg"], "/cosmos.bank.v1beta1.MsgSend", "{given}");
    assert_eq!(given["expiration"], Value::Null);
    let paid = chain.get(&format!("/cosmos/feegrant/v1beta1/allowances/{}", grantee.address));
    let kind = &paid["allowances"][0]["allowance"]["@type"];
    assert_eq!(kind, "/cosmos.feegrant.v1beta1.BasicAllowance", "{paid}");
    // What is not set is null, as the SDK's gateway shows it, and who names no limit is told the total.
    assert_eq!(paid["pagination"], json!({ "next_key": null, "total": "1" }));
}

/// Grants: service, method, request, URL.
fn questions_of_grants(
    [granter, grantee]: &[&User; 2],
) -> Vec<(&'static str, &'static str, Value, String)> {
    let (granter, grantee) = (&granter.address, &grantee.address);
    let (authz, feegrant) = ("cosmos.authz.v1beta1.Query", "cosmos.feegrant.v1beta1.Query");
    let both = json!({ "granter": granter, "grantee": grantee });
    vec![
        (
            authz,
            "Grants",
            both.clone(),
            format!("/cosmos/authz/v1beta1/grants?granter={granter}&grantee={grantee}"),
        ),
        (
            authz,
            "GranterGrants",
            json!({ "granter": granter }),
            format!("/cosmos/authz/v1beta1/grants/granter/{granter}"),
        ),
        (
            authz,
            "GranteeGrants",
            json!({ "grantee": grantee }),
            format!("/cosmos/authz/v1beta1/grants/grantee/{grantee}"),
        ),
        (
            feegrant,
            "Allowance",
            both,
            format!("/cosmos/feegrant/v1beta1/allowance/{granter}/{grantee}"),
        ),
        (
            feegrant,
            "Allowances",
            json!({ "grantee": grantee }),
            format!("/cosmos/feegrant/v1beta1/allowances/{grantee}"),
        ),
        (
            feegrant,
            "AllowancesByGranter",
            json!({ "granter": granter }),
            format!("/cosmos/feegrant/v1beta1/issued/{granter}"),
        ),
    ]
}

/// Staking and what belongs to it: service, method, request, URL.
fn questions_of_stakers(address: &str) -> Vec<(&'static str, &'static str, Value, String)> {
    let operator = operator_of(0).operator_text();
    let staking = "cosmos.staking.v1beta1.Query";
    let slashing = "cosmos.slashing.v1beta1.Query";
    let distribution = "cosmos.distribution.v1beta1.Query";
    let mint = "cosmos.mint.v1beta1.Query";
    let (gov, legacy) = ("cosmos.gov.v1.Query", "cosmos.gov.v1beta1.Query");
    let evidence = "cosmos.evidence.v1beta1.Query";
    let upgrade = "cosmos.upgrade.v1beta1.Query";
    let of_validator = json!({ "validator_addr": operator });
    let of_operator = json!({ "validator_address": operator });
    let of_delegator = json!({ "delegator_addr": address });
    let of_earner = json!({ "delegator_address": address });
    let at = |path: &str| format!("/cosmos/{path}");
    let validator = at(&format!("staking/v1beta1/validators/{operator}"));
    let earner = at(&format!("distribution/v1beta1/delegators/{address}"));
    let earned = at(&format!("distribution/v1beta1/validators/{operator}"));
    vec![
        (
            staking,
            "Validators",
            json!({ "status": "BOND_STATUS_BONDED", "pagination": { "limit": "2" } }),
            at("staking/v1beta1/validators?status=BOND_STATUS_BONDED&pagination.limit=2"),
        ),
        (staking, "Validator", of_validator.clone(), validator.clone()),
        (staking, "ValidatorDelegations", of_validator.clone(), format!("{validator}/delegations")),
        (
            staking,
            "ValidatorUnbondingDelegations",
            of_validator,
            format!("{validator}/unbonding_delegations"),
        ),
        (
            staking,
            "DelegatorDelegations",
            of_delegator.clone(),
            at(&format!("staking/v1beta1/delegations/{address}")),
        ),
        (
            staking,
            "DelegatorUnbondingDelegations",
            of_delegator.clone(),
            at(&format!("staking/v1beta1/delegators/{address}/unbonding_delegations")),
        ),
        (
            staking,
            "Redelegations",
            of_delegator.clone(),
            at(&format!("staking/v1beta1/delegators/{address}/redelegations")),
        ),
        (
            staking,
            "DelegatorValidators",
            of_delegator,
            at(&format!("staking/v1beta1/delegators/{address}/validators")),
        ),
        (
            staking,
            "HistoricalInfo",
            json!({ "height": "1" }),
            at("staking/v1beta1/historical_info/1"),
        ),
        (staking, "Pool", json!({}), at("staking/v1beta1/pool")),
        (staking, "Params", json!({}), at("staking/v1beta1/params")),
        (slashing, "Params", json!({}), at("slashing/v1beta1/params")),
        (slashing, "SigningInfos", json!({}), at("slashing/v1beta1/signing_infos")),
        (distribution, "Params", json!({}), at("distribution/v1beta1/params")),
        (distribution, "CommunityPool", json!({}), at("distribution/v1beta1/community_pool")),
        (distribution, "ValidatorDistributionInfo", of_operator.clone(), earned.clone()),
        (distribution, "ValidatorCommission", of_operator.clone(), format!("{earned}/commission")),
        (
            distribution,
            "ValidatorOutstandingRewards",
            of_operator,
            format!("{earned}/outstanding_rewards"),
        ),
        (distribution, "DelegationTotalRewards", of_earner.clone(), format!("{earner}/rewards")),
        (distribution, "DelegatorValidators", of_earner.clone(), format!("{earner}/validators")),
        (distribution, "DelegatorWithdrawAddress", of_earner, format!("{earner}/withdraw_address")),
        (mint, "Params", json!({}), at("mint/v1beta1/params")),
        (mint, "Inflation", json!({}), at("mint/v1beta1/inflation")),
        (mint, "AnnualProvisions", json!({}), at("mint/v1beta1/annual_provisions")),
        (gov, "Constitution", json!({}), at("gov/v1/constitution")),
        (gov, "Params", json!({ "params_type": "voting" }), at("gov/v1/params/voting")),
        (
            gov,
            "Proposals",
            json!({ "proposal_status": "PROPOSAL_STATUS_VOTING_PERIOD" }),
            at("gov/v1/proposals?proposal_status=2"),
        ),
        (legacy, "Params", json!({ "params_type": "tallying" }), at("gov/v1beta1/params/tallying")),
        (legacy, "Proposals", json!({}), at("gov/v1beta1/proposals")),
        (evidence, "AllEvidence", json!({}), at("evidence/v1beta1/evidence")),
        (upgrade, "CurrentPlan", json!({}), at("upgrade/v1beta1/current_plan")),
        (
            upgrade,
            "AppliedPlan",
            json!({ "name": "none" }),
            at("upgrade/v1beta1/applied_plan/none"),
        ),
        (upgrade, "ModuleVersions", json!({}), at("upgrade/v1beta1/module_versions")),
        (upgrade, "Authority", json!({}), at("upgrade/v1beta1/authority")),
    ]
}

/// The pages of Ping.pub that concern these modules; REST only, from a browser.
fn ping_pub_finds_its_pages(chain: &Chain, sent: &Sent, alice: &User) {
    let Sent { hash, height, .. } = sent;
    let address = &alice.address;
    let sender = format!("message.sender='{address}'");
    for url in [
        "/cosmos/base/tendermint/v1beta1/node_info".into(),
        "/cosmos/base/tendermint/v1beta1/blocks/latest".into(),
        format!("/cosmos/base/tendermint/v1beta1/blocks/{height}"),
        "/cosmos/base/tendermint/v1beta1/validatorsets/latest?pagination.limit=100&pagination.offset=0".into(),
        format!("/cosmos/base/tendermint/v1beta1/validatorsets/{height}"),
        "/cosmos/auth/v1beta1/params".into(),
        format!("/cosmos/auth/v1beta1/accounts/{address}"),
        "/cosmos/bank/v1beta1/params".into(),
        format!("/cosmos/bank/v1beta1/balances/{address}"),
        "/cosmos/bank/v1beta1/denoms_metadata".into(),
        "/cosmos/bank/v1beta1/supply?pagination.limit=20&pagination.count_total=true&pagination.reverse=true".into(),
        "/cosmos/bank/v1beta1/supply/by_denom?denom=uxpl".into(),
        "/cosmos/staking/v1beta1/validators?pagination.limit=300&status=BOND_STATUS_BONDED".into(),
        "/cosmos/staking/v1beta1/pool".into(),
        "/cosmos/staking/v1beta1/params".into(),
        "/cosmos/slashing/v1beta1/signing_infos?pagination.limit=500".into(),
        "/cosmos/slashing/v1beta1/params".into(),
        "/cosmos/distribution/v1beta1/community_pool".into(),
        "/cosmos/distribution/v1beta1/params".into(),
        format!("/cosmos/distribution/v1beta1/delegators/{address}/rewards"),
        format!("/cosmos/staking/v1beta1/delegations/{address}"),
        format!("/cosmos/staking/v1beta1/delegators/{address}/redelegations"),
        format!("/cosmos/staking/v1beta1/delegators/{address}/unbonding_delegations"),
        "/cosmos/mint/v1beta1/inflation".into(),
        "/cosmos/mint/v1beta1/annual_provisions".into(),
        "/cosmos/mint/v1beta1/params".into(),
        "/cosmos/gov/v1/params/voting".into(),
        "/cosmos/gov/v1/params/deposit".into(),
        "/cosmos/gov/v1/params/tallying".into(),
        "/cosmos/gov/v1/proposals?proposal_status=2&pagination.limit=50&pagination.reverse=true".into(),
        "/cosmos/upgrade/v1beta1/current_plan".into(),
        format!("/cosmos/tx/v1beta1/txs/{hash}"),
        format!("/cosmos/tx/v1beta1/txs/block/{height}"),
        format!("/cosmos/tx/v1beta1/txs?order_by=ORDER_BY_DESC&pagination.limit=20&query={sender}"),
    ] {
        let (status, head, body) = chain.get_as_page(&url);
        assert_eq!(status, 200, "{url}: {body}");
        assert!(head.contains("access-control-allow-origin: *"), "{url}: {head}");
        assert!(head.contains("grpc-metadata-x-cosmos-block-height: "), "{url}: {head}");
    }
    for url in ["/cosmos/tx/v1beta1/txs", "/cosmos/tx/v1beta1/simulate"] {
        let (status, head) = chain.may_post(url);
        assert_eq!(status, 200, "{url}: {head}");
        for allowed in ["origin: *", "methods: *", "headers: *"] {
            assert!(head.contains(&format!("access-control-allow-{allowed}")), "{url}: {head}");
        }
    }
}

fn refusals_are_the_gateways(chain: &Chain) {
    let nothing = "0".repeat(64);
    for (url, status, code) in [
        ("/cosmos/base/tendermint/v1beta1/blocks/999999999".into(), 400, 3),
        ("/cosmos/base/tendermint/v1beta1/blocks/0".into(), 400, 3),
        ("/cosmos/base/tendermint/v1beta1/blocks/x".into(), 400, 3),
        ("/cosmos/base/tendermint/v1beta1/validatorsets/999999999".into(), 400, 3),
        ("/cosmos/tx/v1beta1/txs/block/999999999".into(), 400, 3),
        (format!("/cosmos/tx/v1beta1/txs/{nothing}"), 404, 5),
        ("/cosmos/tx/v1beta1/txs/zz".into(), 400, 3),
        ("/cosmos/tx/v1beta1/txs".into(), 400, 3),
        ("/cosmos/tx/v1beta1/txs?query=((".into(), 400, 3),
        ("/cosmos/tx/v1beta1/txs?query=tx.height%3D1&limit=101".into(), 400, 3),
        ("/cosmos/bank/v1beta1/spendable_balances/nonsense".into(), 400, 3),
        ("/ibc/apps/transfer/v1/params".into(), 501, 12),
    ] {
        let (got, _, body) = chain.get_as_page(&url);
        assert_eq!((got, &body["code"]), (status, &json!(code)), "{url}: {body}");
        assert!(body["message"].is_string() && body["details"] == json!([]), "{url}: {body}");
    }
    let unknown = chain.abci_query("/cosmos.nothing.v1.Query/Nothing", &[], 0);
    assert_eq!((&unknown["code"], &unknown["codespace"]), (&json!(6), &json!("sdk")), "{unknown}");
    assert!(unknown["height"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    let (_, missing) =
        chain.ask("cosmos.tx.v1beta1.Service", "GetTx", &json!({ "hash": nothing }), 0);
    assert_eq!(missing["code"], 22, "{missing}");
    assert!(missing["log"].as_str().unwrap().contains("rpc error: code = NotFound"), "{missing}");
}

/// Both orders, pages, totals.
fn searches_are_paged(chain: &Chain, alice: &User) {
    let mut last = String::new();
    for sequence in 1..4 {
        let tx = alice.sign(chain, sequence, &send(alice, alice, sequence));
        chain.broadcast(&tx);
        last = client::hash(&tx);
    }
    chain.wait_for_tx(&last);
    let url = |more: &str| {
        format!("/cosmos/tx/v1beta1/txs?query=message.sender='{}'&{more}", alice.address)
    };
    let hashes = |body: &Value| -> Vec<Value> {
        let list = body["tx_responses"].as_array().unwrap();
        list.iter().map(|tx| tx["txhash"].clone()).collect()
    };
    let all = chain.get(&url("order_by=ORDER_BY_ASC"));
    assert_eq!(all["total"], "4", "{all}");
    assert_eq!(all["txs"].as_array().unwrap().len(), 4);
    let all = hashes(&all);
    assert_eq!(all[3], last);
    let down = hashes(&chain.get(&url("order_by=ORDER_BY_DESC")));
    assert_eq!(down.iter().rev().cloned().collect::<Vec<_>>(), all);
    let second = hashes(&chain.get(&url("order_by=ORDER_BY_ASC&page=2&limit=3")));
    assert_eq!(second, all[3..]);
    let by_offset = url("order_by=ORDER_BY_ASC&pagination.limit=2&pagination.offset=2");
    assert_eq!(hashes(&chain.get(&by_offset)), all[2..]);
}

/// As Keplr and CosmJS listen: a question by position, its answer, then what it asked for. Subscriptions see also what
/// the index leaves out.
fn subscribers_are_told(chain: &Chain, alice: &User) {
    let mut socket = Socket::open(chain.rpc_url());
    let mut subscribe = |id: u64, query: &str| {
        let params = json!([query]);
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "subscribe", "params": params });
        socket.send(&call.to_string());
    };
    let tx = alice.sign(chain, 4, &send(alice, alice, 7));
    let hash = client::hash(&tx);
    let queries = [
        "tm.event='NewBlock'".to_owned(),
        format!("tm.event='Tx' AND tx.hash='{hash}'"),
        format!("tm.event='Tx' AND coin_spent.spender='{}'", alice.address),
    ];
    for (id, query) in (1..).zip(&queries) {
        subscribe(id, query);
    }
    let (mut accepted, mut told) = (Vec::new(), Vec::new());
    let mut is_sent = false;
    while !queries.iter().all(|query| told.contains(query)) {
        let reply: Value = serde_json::from_str(&socket.read()).unwrap();
        assert!(reply["error"].is_null(), "{reply}");
        let result = &reply["result"];
        let Some(query) = result["query"].as_str() else {
            assert_eq!(result, &json!({}));
            accepted.push(reply["id"].clone());
            continue;
        };
        let data = &result["data"];
        if query == queries[0] {
            assert_eq!(data["type"], "tendermint/event/NewBlock", "{reply}");
            assert_eq!(data["value"]["block"]["header"]["chain_id"], chain.id());
        } else {
            assert_eq!(data["type"], "tendermint/event/Tx", "{reply}");
            assert_eq!(data["value"]["TxResult"]["tx"], client::base64(&tx));
            assert_eq!(result["events"]["tx.hash"], json!([hash]));
            let paid = result["events"]["transfer.recipient"].as_array().unwrap();
            assert!(paid.contains(&json!(alice.address)), "{reply}");
        }
        told.push(query.to_owned());
        if !is_sent && accepted.len() == queries.len() {
            is_sent = true;
            chain.broadcast(&tx);
        }
    }
    assert_eq!(accepted, [json!(1), json!(2), json!(3)]);
}

/// Hermes reads the node's settings through CometBFT.
fn hermes_asks_by_abci_query(chain: &Chain) {
    let (config, _) = chain.ask("cosmos.base.node.v1beta1.Service", "Config", &json!({}), 0);
    assert_eq!(config["minimum_gas_price"], "0.011uxpl");
    let base = "cosmos.base.tendermint.v1beta1.Service";
    let (info, _) = chain.ask(base, "GetNodeInfo", &json!({}), 0);
    let deps = info["application_version"]["build_deps"].as_array().unwrap();
    let sdk = deps.iter().find(|dep| dep["path"] == "github.com/cosmos/cosmos-sdk").unwrap();
    assert!(sdk["version"].as_str().unwrap().starts_with("v0.53."));
    let node = &info["default_node_info"];
    assert_eq!((&node["network"], &node["other"]["tx_index"]), (&json!(chain.id()), &json!("on")));
    assert!(node["version"].as_str().unwrap().starts_with("0.38."));
    for path in ["status", "health", "abci_info", "consensus_params", "net_info"] {
        assert!(chain.rpc(path, &json!({}))["error"].is_null(), "{path}");
    }
}

/// CometBFT asks this node, which asks CometBFT; many at once, while blocks are made.
fn calls_back_to_cometbft_do_not_wait_for_each_other(chain: &Chain, sent: &Sent) {
    let before = chain.height();
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let request = json!({ "hash": sent.hash });
                    let (found, reply) =
                        chain.ask("cosmos.tx.v1beta1.Service", "GetTx", &request, 0);
                    assert_eq!(found["tx_response"]["txhash"], sent.hash, "{reply}");
                }
            });
        }
    });
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(60), "{taken:?}");
    chain.wait_for_height(before + 2);
}

/// CometBFT is gone: state is told, the rest says what is missing, and nothing hangs.
#[test]
fn a_node_without_cometbft_tells_state_and_names_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let alice = User::new(1);
    let mut chain = Chain::up(dir.path(), &[&alice]);
    chain.stop_cometbft();
    let balance = chain.get(&format!("/cosmos/bank/v1beta1/balances/{}", alice.address));
    assert_eq!(balance["balances"], json!([coin(100_000_000)]));
    let start = Instant::now();
    let (status, _, body) = chain.get_as_page("/cosmos/base/tendermint/v1beta1/blocks/latest");
    assert_eq!((status, &body["code"]), (503, &json!(14)), "{body}");
    assert!(body["message"].as_str().unwrap().contains("CometBFT does not answer"), "{body}");
    assert!(start.elapsed() < Duration::from_secs(15));
}

/// The published CosmJS takes the chain for a Cosmos chain. Needs node and npm: `make test-long`.
#[test]
#[ignore = "needs node, npm and a package registry"]
fn cosmjs_finds_what_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let programs = Programs::find().unwrap();
    let keyring = Xpl::new(&programs, &dir.path().join("xpl"));
    let address = cosmjs::recover_alice(&keyring, dir.path());
    let chain = Chain::up_for(dir.path(), vec![address]);
    for script in ["check.mjs", "sign.mjs"] {
        let told = cosmjs::run_script(script, chain.rpc_url(), dir.path());
        let told: Value = serde_json::from_str(told.trim()).unwrap();
        assert_eq!(told["chainId"], chain.id(), "{told}");
    }
}

/// grpcurl lists, describes and calls by reflection alone. Needs Go: `make test-long`.
#[test]
#[ignore = "needs go and its module proxy"]
fn grpcurl_finds_what_it_asks_for() {
    let dir = tempfile::tempdir().unwrap();
    let alice = User::new(1);
    let chain = Chain::up(dir.path(), &[&alice]);
    let bin = dir.path().join("bin");
    let package = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3";
    run(Command::new("go").args(["install", package]).env("GOBIN", &bin)).unwrap();
    let grpcurl = |args: &[&str], rest: &[&str]| {
        let mut command = Command::new(bin.join("grpcurl"));
        run(command.arg("-plaintext").args(args).arg(chain.grpc()).args(rest)).unwrap()
    };
    let list = grpcurl(&[], &["list"]);
    for service in
        ["cosmos.tx.v1beta1.Service", "cosmos.bank.v1beta1.Query", "grpc.health.v1.Health"]
    {
        assert!(list.contains(service), "{service} in {list}");
    }
    for name in ["cosmos.bank.v1beta1.MsgSend", "cosmos.bank.v1beta1.Query", "cosmos.tx.v1beta1.Tx"]
    {
        assert!(grpcurl(&[], &["describe", name]).contains("is a "), "{name}");
    }
    let request = json!({ "address": alice.address, "denom": "uxpl" }).to_string();
    let balance = grpcurl(&["-d", &request], &["cosmos.bank.v1beta1.Query/Balance"]);
    assert!(balance.contains("100000000"), "{balance}");
    let headers = grpcurl(
        &["-v", "-H", "x-cosmos-block-height: 1"],
        &["cosmos.base.node.v1beta1.Service/Config"],
    );
    assert!(headers.contains("x-cosmos-block-height: 1"), "{headers}");
    let tx = alice.sign(&chain, 0, &send(&alice, &alice, 1));
    let request = json!({ "tx_bytes": client::base64(&tx), "mode": "BROADCAST_MODE_SYNC" });
    let sent = grpcurl(&["-d", &request.to_string()], &["cosmos.tx.v1beta1.Service/BroadcastTx"]);
    assert!(sent.contains(&client::hash(&tx)), "{sent}");
    chain.wait_for_tx(&client::hash(&tx));
    let health = grpcurl(&[], &["grpc.health.v1.Health/Check"]);
    assert!(health.contains("SERVING"), "{health}");
}
