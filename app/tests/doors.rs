//! ABCI, gRPC and REST over real sockets give one answer.

mod common;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use common::{Bench, users};
use futures::StreamExt;
use plasma_app::doors::{
    HEIGHT_HEADER, NODE_INFO, SIMULATE, WATCH_JOB,
    grpc::{self, Raw},
    json,
    proof::PROOF,
    rest,
};
use plasma_proto::{
    cosmos::{
        auth::v1beta1::QueryAccountRequest,
        bank::v1beta1::{QueryAllBalancesRequest, QueryBalanceRequest},
        tx::v1beta1::{SimulateRequest, SimulateResponse},
    },
    plasma::proof::v1::{BalanceKey, QueryProofRequest, query_proof_request::Object},
};
use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, transport::Channel};

struct Served {
    bench: Bench,
    grpc: Channel,
    rest: std::net::SocketAddr,
    _dir: tempfile::TempDir,
}

fn run<F: Future<Output = ()>>(work: impl FnOnce(Served) -> F) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(dir.path());
        let users = users();
        for height in 1..4i64 {
            bench.block(height, &[users[1].send(&users[2], 1_000, height as u64 - 1)]);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(grpc::serve(Arc::clone(&bench.doors), listener, std::future::pending()));
        let grpc = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = listener.local_addr().unwrap();
        tokio::spawn(rest::serve(Arc::clone(&bench.doors), listener, true, std::future::pending()));
        work(Served { bench, grpc, rest, _dir: dir }).await;
    });
}

impl Served {
    async fn grpc(
        &self,
        path: &str,
        request: Vec<u8>,
        height: u64,
    ) -> Result<(Bytes, String), tonic::Status> {
        let mut client = tonic::client::Grpc::new(self.grpc.clone());
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(Bytes::from(request));
        if height != 0 {
            request.metadata_mut().insert(HEIGHT_HEADER, height.to_string().parse().unwrap());
        }
        let reply = client.unary(request, path.parse().unwrap(), Raw).await?;
        let height = reply.metadata().get(HEIGHT_HEADER).unwrap().to_str().unwrap().to_owned();
        Ok((reply.into_inner(), height))
    }

    async fn http(&self, head: &str, body: &str) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(self.rest).await.unwrap();
        let length = body.len();
        let text = format!(
            "{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (u16, String, Value) {
        self.http(&format!("GET {path} HTTP/1.1"), "").await
    }
}

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
    for path in plasma_modules::query::Router::new().paths().chain([SIMULATE, NODE_INFO, PROOF]) {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap_or_else(|| panic!("{path}"));
        assert!(service.methods().any(|known| known.name() == method), "{path}");
    }
}

#[test]
fn three_doors_one_answer() {
    run(|served| async move {
        let address = users()[2].address.text();
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
            (NODE_INFO, Vec::new(), "/cosmos/base/tendermint/v1beta1/node_info".into()),
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
