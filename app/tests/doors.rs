//! ABCI, gRPC and REST over real sockets give one answer.

mod common;

use std::sync::Arc;

use bytes::Bytes;
use common::{Bench, served::run, users};
use futures::StreamExt;
use plasma_app::{
    doors::{Doors, NODE_CONFIG, NODE_INFO, SIMULATE, WATCH_JOB, grpc::Raw, json, proof::PROOF},
    frontdoor::Frontdoor,
};
use plasma_modules::tx::TX_BYTES_MAX;
use plasma_proto::{
    cosmos::{
        auth::v1beta1::QueryAccountRequest,
        bank::v1beta1::{QueryAllBalancesRequest, QueryBalanceRequest},
        distribution::v1beta1::QueryDelegationTotalRewardsRequest,
        tx::v1beta1::{
            BroadcastMode, BroadcastTxRequest, BroadcastTxResponse, SimulateRequest,
            SimulateResponse, Tx, TxBody,
        },
    },
    plasma::proof::v1::{BalanceKey, QueryProofRequest, query_proof_request::Object},
};
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Any;
use tonic::Code;

#[test]
fn every_unary_method_of_ours_has_a_handler() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let pool = bench.doors.pool();
    let mut seen = 0;
    for service in pool.services().filter(|service| service.full_name().starts_with("plasma.")) {
        if service.name() != "Query" {
            continue;
        }
        for method in service.methods().filter(|method| !method.is_server_streaming()) {
            let path = format!("/{}/{}", service.full_name(), method.name());
            assert!(bench.doors.serves(&path), "{path} has no handler");
            seen += 1;
        }
    }
    assert!(seen > 10);
    // And what is served has a descriptor, so that REST and reflection know it.
    for path in bench.doors.paths() {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap_or_else(|| panic!("{path}"));
        assert!(service.methods().any(|known| known.name() == method), "{path}");
    }
}

#[test]
fn three_doors_one_answer() {
    run(|served| async move {
        let (address, staker) = (users()[2].address.text(), users()[0].address.text());
        let cases = [
            (
                "/cosmos.bank.v1beta1.Query/Balance",
                QueryBalanceRequest { address: address.clone(), denom: "uxpl".into() }
                    .encode_to_vec(),
                format!("/cosmos/bank/v1beta1/balances/{address}/by_denom?denom=uxpl"),
            ),
            (
                "/cosmos.bank.v1beta1.Query/AllBalances",
                QueryAllBalancesRequest {
                    address: address.clone(),
                    pagination: Some(plasma_proto::cosmos::base::query::v1beta1::PageRequest {
                        limit: 5,
                        count_total: true,
                        ..Default::default()
                    }),
                    ..Default::default()
                }
                .encode_to_vec(),
                format!(
                    "/cosmos/bank/v1beta1/balances/{address}?pagination.limit=5&pagination.count_total=true&unknown=1"
                ),
            ),
            (
                "/cosmos.auth.v1beta1.Query/Account",
                QueryAccountRequest { address: address.clone() }.encode_to_vec(),
                format!("/cosmos/auth/v1beta1/accounts/{address}"),
            ),
            ("/plasma.token.v1.Query/FeeMarket", Vec::new(), "/plasma/token/v1/fee_market".into()),
            ("/plasma.market.v1.Query/Params", Vec::new(), "/plasma/market/v1/params".into()),
            ("/plasma.token.v1.Query/Totals", Vec::new(), "/plasma/token/v1/totals".into()),
            ("/plasma.staking.v1.Query/Pools", Vec::new(), "/plasma/staking/v1/pools".into()),
            (
                "/cosmos.mint.v1beta1.Query/Inflation",
                Vec::new(),
                "/cosmos/mint/v1beta1/inflation".into(),
            ),
            (
                "/cosmos.mint.v1beta1.Query/AnnualProvisions",
                Vec::new(),
                "/cosmos/mint/v1beta1/annual_provisions".into(),
            ),
            (
                "/cosmos.distribution.v1beta1.Query/Params",
                Vec::new(),
                "/cosmos/distribution/v1beta1/params".into(),
            ),
            (
                "/cosmos.distribution.v1beta1.Query/CommunityPool",
                Vec::new(),
                "/cosmos/distribution/v1beta1/community_pool".into(),
            ),
            (
                "/cosmos.distribution.v1beta1.Query/DelegationTotalRewards",
                QueryDelegationTotalRewardsRequest { delegator_address: staker.clone() }
                    .encode_to_vec(),
                format!("/cosmos/distribution/v1beta1/delegators/{staker}/rewards"),
            ),
            (NODE_CONFIG, Vec::new(), "/cosmos/base/node/v1beta1/config".into()),
            (
                PROOF,
                QueryProofRequest { object: Some(Object::Account(address.clone())) }
                    .encode_to_vec(),
                format!("/plasma/proof/v1/proof?account={address}"),
            ),
            (
                PROOF,
                QueryProofRequest {
                    object: Some(Object::Balance(BalanceKey {
                        address: address.clone(),
                        denom: "uxpl".into(),
                    })),
                }
                .encode_to_vec(),
                format!("/plasma/proof/v1/proof?balance.address={address}&balance.denom=uxpl"),
            ),
            (
                PROOF,
                QueryProofRequest { object: Some(Object::Job(0)) }.encode_to_vec(),
                "/plasma/proof/v1/proof?job=0".into(),
            ),
        ];
        for (path, request, url) in cases {
            let abci = served.bench.query(path, request.clone(), 0, false);
            assert_eq!((abci.code, abci.height), (0, 3), "{path}: {}", abci.log);
            let (grpc, height) = served.grpc(path, request, 0).await.unwrap();
            assert_eq!((&grpc[..], &height[..]), (&abci.value[..], "3"), "{path}");
            let (status, head, rest) = served.get(&url).await;
            assert_eq!(status, 200, "{url}: {rest}");
            assert!(head.contains("grpc-metadata-x-cosmos-block-height: 3"), "{head}");
            let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
            let service = served.bench.doors.pool().get_service_by_name(service).unwrap();
            let method = service.methods().find(|known| known.name() == method).unwrap();
            let _ = DynamicMessage::decode(method.output(), &abci.value[..]).unwrap();
            assert_eq!(rest, json::encoded_to_json(method.output(), &abci.value).unwrap(), "{url}");
        }
    });
}

#[test]
fn json_is_as_cosmos_clients_read_it() {
    run(|served| async move {
        let fresh = users()[4].address.text();
        let (_, _, account) = served.get(&format!("/cosmos/auth/v1beta1/accounts/{fresh}")).await;
        let account = &account["account"];
        assert_eq!(account["@type"], "/cosmos.auth.v1beta1.BaseAccount");
        assert_eq!(account["sequence"], "0", "64-bit numbers are text, defaults are shown");
        assert!(
            account.as_object().unwrap().contains_key("pub_key") && account["pub_key"].is_null()
        );
        let used = users()[1].address.text();
        let (_, _, account) = served.get(&format!("/cosmos/auth/v1beta1/accounts/{used}")).await;
        assert_eq!(account["account"]["pub_key"]["@type"], "/cosmos.crypto.secp256k1.PubKey");
        assert_eq!(account["account"]["sequence"], "3");
        let (_, _, inflation) = served.get("/cosmos/mint/v1beta1/inflation").await;
        let inflation = inflation["inflation"].as_str().unwrap().to_owned();
        assert!(inflation.starts_with("0.05") && inflation.len() == 20, "{inflation}");
        let url = format!("/cosmos/distribution/v1beta1/delegators/{}/rewards", users()[0].address);
        let (_, _, rewards) = served.get(&url).await;
        let total = rewards["total"][0]["amount"].as_str().unwrap();
        assert_eq!(total.split_once('.').unwrap().1.len(), 18, "{total}");
    });
}

#[test]
fn refusals_have_their_codes_on_every_door() {
    run(|served| async move {
        let nobody = plasma_modules::Address([9; 20]).text();
        let request = QueryAccountRequest { address: nobody.clone() }.encode_to_vec();
        let path = "/cosmos.auth.v1beta1.Query/Account";
        let abci = served.bench.query(path, request.clone(), 0, false);
        assert_eq!(abci.code, 22);
        assert!(abci.log.contains("rpc error: code = NotFound"), "{}", abci.log);
        assert_eq!(served.grpc(path, request, 0).await.unwrap_err().code(), Code::NotFound);
        let (status, _, body) =
            served.get(&format!("/cosmos/auth/v1beta1/accounts/{nobody}")).await;
        assert_eq!((status, &body["code"], body["details"].is_array()), (404, &5.into(), true));

        let (status, _, body) = served.get("/ibc/core/client/v1/params").await;
        assert_eq!((status, &body["code"]), (501, &12.into()));
        let error =
            served.grpc("/ibc.core.client.v1.Query/ClientParams", Vec::new(), 0).await.unwrap_err();
        assert_eq!(error.code(), Code::Unimplemented);

        let (status, _, body) =
            served.get("/cosmos/bank/v1beta1/spendable_balances/nonsense").await;
        assert_eq!((status, &body["code"]), (400, &3.into()));
        let (status, _, _) = served.get("/plasma/market/v1/jobs/x").await;
        assert_eq!(status, 400);
        let error = served.grpc("/plasma.market.v1.Query/Job", vec![0xff; 9], 0).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    });
}

#[test]
fn heights_are_asked_for_by_header() {
    run(|served| async move {
        let address = users()[2].address.text();
        let path = "/cosmos.bank.v1beta1.Query/Balance";
        let request =
            QueryBalanceRequest { address: address.clone(), denom: "uxpl".into() }.encode_to_vec();
        let abci = served.bench.query(path, request.clone(), 1, false);
        let (grpc, height) = served.grpc(path, request.clone(), 1).await.unwrap();
        assert_eq!((&grpc[..], &height[..]), (&abci.value[..], "1"));
        let url = format!(
            "GET /cosmos/bank/v1beta1/balances/{address}/by_denom?denom=uxpl HTTP/1.1\r\nx-cosmos-block-height: 1"
        );
        let (_, head, body) = served.http(&url, "").await;
        assert_eq!(body["balance"]["amount"], "1000001000");
        assert!(head.contains("grpc-metadata-x-cosmos-block-height: 1"));
        for height in ["99", "x", "-1"] {
            let url = format!(
                "GET /cosmos/bank/v1beta1/balances/{address} HTTP/1.1\r\nx-cosmos-block-height: {height}"
            );
            let (status, _, _) = served.http(&url, "").await;
            assert_eq!(status, 400);
        }
        assert_eq!(served.grpc(path, request, 99).await.unwrap_err().code(), Code::InvalidArgument);
    });
}

#[test]
fn simulation_is_behind_every_door() {
    run(|served| async move {
        let tx_bytes = users()[1].send(&users()[2], 5, 3);
        #[expect(deprecated, reason = "a field that stays empty")]
        let request = SimulateRequest { tx: None, tx_bytes: tx_bytes.clone() }.encode_to_vec();
        let abci = served.bench.query(SIMULATE, request.clone(), 0, false);
        assert_eq!(abci.code, 0, "{}", abci.log);
        let (grpc, _) = served.grpc(SIMULATE, request, 0).await.unwrap();
        assert_eq!(grpc[..], abci.value[..]);
        let gas = SimulateResponse::decode(&grpc[..]).unwrap().gas_info.unwrap().gas_used;
        assert!(gas > 0);
        use base64::{Engine, engine::general_purpose::STANDARD};
        let body = format!("{{\"tx_bytes\":\"{}\"}}", STANDARD.encode(&tx_bytes));
        let (status, _, rest) = served
            .http(
                "POST /cosmos/tx/v1beta1/simulate HTTP/1.1\r\ncontent-type: application/json",
                &body,
            )
            .await;
        assert_eq!((status, &rest["gas_info"]["gas_used"]), (200, &gas.to_string().into()));
        // Hermes reads this text.
        let stale = users()[1].send(&users()[2], 5, 9);
        let body = format!("{{\"tx_bytes\":\"{}\"}}", STANDARD.encode(&stale));
        let (_, _, rest) = served.http("POST /cosmos/tx/v1beta1/simulate HTTP/1.1", &body).await;
        let text = rest["message"].as_str().unwrap();
        assert!(text.contains("account sequence mismatch, expected 3, got 9"), "{text}");
    });
}

#[test]
fn pages_of_any_origin_may_ask_when_allowed() {
    run(|served| async move {
        let (_, head, _) = served
            .http("OPTIONS /plasma/market/v1/params HTTP/1.1\r\norigin: https://w.example\r\naccess-control-request-method: GET", "")
            .await;
        assert!(head.contains("access-control-allow-origin: *"), "{head}");
    });
}

#[test]
fn reflection_lists_what_is_served() {
    run(|served| async move {
        use tonic_reflection::pb::v1::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(served.grpc.clone());
        let replies =
            client.server_reflection_info(futures::stream::iter([request])).await.unwrap();
        let reply = replies.into_inner().next().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = reply.message_response else {
            panic!()
        };
        let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        // grpcurl's older question.
        use tonic_reflection::pb::v1alpha as old;
        let ask = old::server_reflection_request::MessageRequest::ListServices(String::new());
        let request =
            old::ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
        let mut client = old::server_reflection_client::ServerReflectionClient::new(served.grpc);
        let replies =
            client.server_reflection_info(futures::stream::iter([request])).await.unwrap();
        let reply = replies.into_inner().next().await.unwrap().unwrap();
        use old::server_reflection_response::MessageResponse::ListServicesResponse as OldList;
        let Some(OldList(old)) = reply.message_response else { panic!() };
        let mut old: Vec<_> = old.service.into_iter().map(|service| service.name).collect();
        let mut new = names.clone();
        for list in [&mut old, &mut new] {
            // Each lists itself.
            list.retain(|name| !name.starts_with("grpc.reflection."));
            list.sort();
        }
        assert_eq!(old, new);
        for name in [
            "plasma.market.v1.Query",
            "cosmos.bank.v1beta1.Query",
            "cosmos.tx.v1beta1.Service",
            "grpc.health.v1.Health",
        ] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
    });
}

#[test]
fn watching_a_job_that_is_not_there_says_so() {
    run(|served| async move {
        let mut client = tonic::client::Grpc::new(served.grpc.clone());
        client.ready().await.unwrap();
        let request = plasma_proto::plasma::market::v1::WatchJobRequest { job_id: 99 };
        let request = tonic::Request::new(Bytes::from(request.encode_to_vec()));
        let error =
            client.server_streaming(request, WATCH_JOB.parse().unwrap(), Raw).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
    });
}

#[test]
fn without_cometbft_a_question_says_what_is_missing() {
    run(|served| async move {
        let abci = served.bench.query(NODE_INFO, Vec::new(), 0, false);
        assert_eq!((abci.code, abci.height), (18, 3));
        assert!(abci.log.contains("code = Unavailable") && abci.log.contains("cometbft.rpc"));
        let error = served.grpc(NODE_INFO, Vec::new(), 0).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        let (status, _, body) = served.get("/cosmos/base/tendermint/v1beta1/node_info").await;
        assert_eq!((status, &body["code"]), (503, &14.into()), "{body}");
    });
}

#[test]
fn an_open_front_door_takes_what_other_doors_broadcast() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    bench.block(1, &[]);
    // Nobody is asked behind the door.
    let door = Frontdoor::new(Arc::clone(&bench.node), "http://127.0.0.1:1", false).unwrap();
    let doors = Doors::new(Arc::clone(&bench.node)).unwrap().with_frontdoor(Arc::new(door));
    let broadcast = |tx: &[u8], mode: BroadcastMode| {
        let request = BroadcastTxRequest { tx_bytes: tx.to_vec(), mode: mode.into() };
        let path = "/cosmos.tx.v1beta1.Service/BroadcastTx";
        let answer = doors.answer(path, 0, &request.encode_to_vec()).unwrap();
        let said = BroadcastTxResponse::decode(&answer.value[..]).unwrap().tx_response.unwrap();
        assert_eq!(said.txhash, plasma_modules::tx::hash(tx));
        (said.code, said.codespace, said.raw_log)
    };
    let users = users();
    let [first, second, bad] = [0, 1, 9].map(|sequence| users[1].send(&users[2], 1, sequence));
    assert_eq!(broadcast(&first, BroadcastMode::Sync).0, 0);
    assert_eq!(bench.node.held_bytes(), first.len());
    let again = broadcast(&first, BroadcastMode::Sync);
    assert_eq!(again, (19, "sdk".into(), "tx already exists in cache".into()));
    assert_eq!(broadcast(&second, BroadcastMode::Async).0, 0);
    let held = first.len() + second.len();
    assert_eq!(bench.node.held_bytes(), held);
    // What a rule refuses: told to who waits for it.
    let refused = broadcast(&bad, BroadcastMode::Sync);
    assert_eq!((refused.0, &refused.1[..]), (32, "sdk"), "{}", refused.2);
    assert_eq!(broadcast(&bad, BroadcastMode::Async), (0, String::new(), String::new()));
    let large = vec![1; TX_BYTES_MAX + 1];
    assert_eq!(broadcast(&large, BroadcastMode::Sync).0, 21);
    assert_eq!(bench.node.held_bytes(), held);
}

#[test]
fn the_node_tells_how_it_is_set() {
    run(|served| async move {
        let (_, _, body) = served.get("/cosmos/base/node/v1beta1/config").await;
        assert_eq!(body["minimum_gas_price"], "0.011uxpl", "{body}");
        assert_eq!(body["pruning_keep_recent"], "100");
        // The height is looked at even where the answer does not depend on it.
        let url = "GET /cosmos/base/node/v1beta1/config HTTP/1.1\r\nx-cosmos-block-height: 99";
        let (status, _, body) = served.http(url, "").await;
        assert_eq!((status, &body["code"]), (400, &3.into()));
    });
}

#[test]
fn a_transaction_is_taken_apart_and_put_together() {
    run(|served| async move {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let tx = STANDARD.encode(users()[1].send(&users()[2], 5, 3));
        let post = |name: &str| format!("POST /cosmos/tx/v1beta1/{name} HTTP/1.1");
        let body = serde_json::json!({ "tx_bytes": &tx }).to_string();
        let (status, _, decoded) = served.http(&post("decode"), &body).await;
        assert_eq!(status, 200, "{decoded}");
        let message = &decoded["tx"]["body"]["messages"][0];
        assert_eq!(message["@type"], "/cosmos.bank.v1beta1.MsgSend");
        assert_eq!(message["amount"][0]["amount"], "5");
        let mode = &decoded["tx"]["auth_info"]["signer_infos"][0]["mode_info"]["single"]["mode"];
        assert_eq!(mode, "SIGN_MODE_DIRECT");
        let body = serde_json::json!({ "tx": decoded["tx"] }).to_string();
        let (status, _, encoded) = served.http(&post("encode"), &body).await;
        assert_eq!((status, &encoded["tx_bytes"]), (200, &tx.into()), "{encoded}");
        // Simulate takes the decoded form too.
        let (status, _, simulated) = served.http(&post("simulate"), &body).await;
        assert_eq!(status, 200, "{simulated}");
        assert!(simulated["gas_info"]["gas_used"].is_string());
        let (status, _, body) = served.http(&post("encode/amino"), "{}").await;
        assert_eq!((status, &body["code"]), (501, &12.into()));
    });
}

/// A few bytes each are a level of `Any`s; each level is stack of whoever shows them as JSON.
#[test]
fn what_is_nested_without_end_is_not_shown() {
    run(|served| async move {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let nested = |levels: usize| {
            let mut any = Any { type_url: "/google.protobuf.Duration".into(), value: Vec::new() };
            for _ in 0..levels {
                let value = any.encode_to_vec();
                any = Any { type_url: "/google.protobuf.Any".into(), value };
            }
            any
        };
        let post = |name: &str| format!("POST /cosmos/tx/v1beta1/{name} HTTP/1.1");
        let decode = |levels: usize| {
            let body = TxBody { messages: vec![nested(levels)], ..TxBody::default() };
            let tx = Tx { body: Some(body), ..Tx::default() };
            serde_json::json!({ "tx_bytes": STANDARD.encode(tx.encode_to_vec()) }).to_string()
        };
        for (levels, wanted) in [(10, 200), (58, 200), (100, 400), (5_000, 400)] {
            let (status, _, body) = served.http(&post("decode"), &decode(levels)).await;
            assert_eq!(status, wanted, "{levels} levels: {body}");
        }
        // And the other way: JSON has an end of its own.
        for levels in [20, 100, 2_000] {
            let open = r#"{"@type":"/google.protobuf.Any","value":"#.repeat(levels);
            let json =
                format!(r#"{{"tx":{{"body":{{"messages":[{open}{{}}{}]}}}}}}"#, "}".repeat(levels));
            let (status, _, body) = served.http(&post("encode"), &json).await;
            assert!(status == 200 || status == 400, "{levels} levels: {status} {body}");
        }
        assert_eq!(served.get("/cosmos/base/node/v1beta1/config").await.0, 200);
    });
}

#[test]
fn hostile_requests_are_answered() {
    run(|served| async move {
        for path in served.bench.doors.paths() {
            for junk in [&[0xff; 9][..], &[0x0a, 0xff], &[0x08], &[0u8; 64], b"\x0a\x03abc"] {
                // Whatever the answer is, there is one on each door, and the same kind.
                let abci = served.bench.query(path, junk.to_vec(), 0, false);
                let grpc = served.grpc(path, junk.to_vec(), 0).await;
                assert_eq!(abci.code == 0, grpc.is_ok(), "{path} {junk:?}: {}", abci.log);
                assert!(abci.height > 0);
            }
        }
        for url in [
            "/%",
            "/%2",
            "//",
            "/cosmos/tx/v1beta1/txs/%ff",
            "/?a=%zz",
            "/cosmos/bank/v1beta1/balances/%00",
        ] {
            let (status, _, body) = served.get(url).await;
            assert!((400..=501).contains(&status) && body["message"].is_string(), "{url} {body}");
        }
        let (status, _, _) = served.http("POST /cosmos/tx/v1beta1/simulate HTTP/1.1", "{").await;
        assert_eq!(status, 400);
    });
}
