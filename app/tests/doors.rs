//! ABCI, gRPC and REST over real sockets give one answer.

mod common;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use common::{Bench, users};
use futures::StreamExt;
use plasma_app::{
    config::Limits,
    doors::{
        FIRST_REQUEST_S, Gate, HEIGHT_HEADER, NODE_CONFIG, NODE_INFO, SIMULATE, WATCH_JOB,
        grpc::{self, Raw},
        json,
        proof::PROOF,
        rest,
    },
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
    grpc_port: std::net::SocketAddr,
    _dir: tempfile::TempDir,
}

fn run<F: Future<Output = ()>>(work: impl FnOnce(Served) -> F) {
    run_with(Limits::default(), work);
}

fn run_with<F: Future<Output = ()>>(limits: Limits, work: impl FnOnce(Served) -> F) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench::new(dir.path());
        let users = users();
        for height in 1..4i64 {
            bench.block(height, &[users[1].send(&users[2], 1_000, height as u64 - 1)]);
        }
        let gate = || Gate::new(limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let forever = std::future::pending();
        tokio::spawn(grpc::serve(Arc::clone(&bench.doors), listener, gate(), forever));
        let grpc = Channel::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rest = listener.local_addr().unwrap();
        let forever = std::future::pending();
        tokio::spawn(rest::serve(Arc::clone(&bench.doors), listener, true, gate(), forever));
        work(Served { bench, grpc, rest, grpc_port: address, _dir: dir }).await;
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
    for path in bench.doors.paths() {
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
            (NODE_CONFIG, Vec::new(), "/cosmos/base/node/v1beta1/config".into()),
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

#[test]
fn a_body_past_the_limit_is_refused() {
    run(|served| async move {
        let body =
            format!("{{\"tx_bytes\":\"{}\"}}", "A".repeat(plasma_app::doors::MESSAGE_BYTES_MAX));
        let (status, _, reply) =
            served.http("POST /cosmos/tx/v1beta1/simulate HTTP/1.1", &body).await;
        assert_eq!((status, &reply["code"]), (400, &3.into()));
        let big = vec![0u8; plasma_app::doors::MESSAGE_BYTES_MAX + 1];
        let error = served.grpc(SIMULATE, big, 0).await.unwrap_err();
        assert!(matches!(error.code(), Code::OutOfRange | Code::ResourceExhausted), "{error}");
    });
}

/// Reads until the other side closes, and says how long that took.
async fn closed(mut stream: TcpStream) -> std::time::Duration {
    let start = std::time::Instant::now();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(
        std::time::Duration::from_secs(3 * FIRST_REQUEST_S),
        stream.read_to_end(&mut rest),
    );
    // A reset is an end as well.
    let _ = end.await.expect("the connection stays open");
    start.elapsed()
}

#[test]
fn a_connection_that_says_too_little_is_closed() {
    run(|served| async move {
        let mut calls = tokio::task::JoinSet::new();
        for (port, said) in [
            (served.rest, &b""[..]),
            (served.rest, b"GET /plasma/market/v1/params HTTP/1.1\r\nhost: x\r\nslow: "),
            (served.grpc_port, b""),
            (served.grpc_port, b"PRI * HTTP/2.0\r\n"),
            (served.grpc_port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        ] {
            calls.spawn(async move {
                let mut stream = TcpStream::connect(port).await.unwrap();
                stream.write_all(said).await.unwrap();
                closed(stream).await
            });
        }
        while let Some(taken) = calls.join_next().await {
            let taken = taken.unwrap();
            assert!(taken.as_secs() <= FIRST_REQUEST_S + 5, "{taken:?}");
        }
        // Meanwhile and after, others are served.
        assert_eq!(served.get("/plasma/market/v1/params").await.0, 200);
    });
}

#[test]
fn streams_that_are_opened_and_reset_in_a_row_end_the_connection() {
    run(|served| async move {
        let mut stream = TcpStream::connect(served.grpc_port).await.unwrap();
        let mut said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
            let length = (payload.len() as u32).to_be_bytes();
            [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
        };
        said.extend(frame(4, 0, 0, &[]));
        // :method POST, :scheme http, :path /, :authority x
        let headers = [0x83, 0x86, 0x84, 0x41, 0x01, b'x'];
        for id in 0..2_000u32 {
            said.extend(frame(1, 4, 2 * id + 1, &headers));
            said.extend(frame(3, 0, 2 * id + 1, &8u32.to_be_bytes()));
        }
        let _ = stream.write_all(&said).await;
        let taken = closed(stream).await;
        assert!(
            taken.as_secs() < FIRST_REQUEST_S,
            "closed by the reset limit, not by time: {taken:?}"
        );
        let path = "/plasma.market.v1.Query/Params";
        assert!(served.grpc(path, Vec::new(), 0).await.is_ok());
    });
}

#[test]
fn connections_and_requests_have_their_limits() {
    let limits = Limits {
        connections_per_address_max: 3,
        requests_per_s: 1,
        requests_burst: 5,
        loopback: true,
        ..Limits::default()
    };
    run_with(limits, |served| async move {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(TcpStream::connect(served.rest).await.unwrap());
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        assert!(closed(TcpStream::connect(served.rest).await.unwrap()).await.as_secs() < 5);
        held.clear();
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        let mut seen = Vec::new();
        for _ in 0..8 {
            seen.push(served.get("/plasma/market/v1/params").await);
        }
        assert_eq!(seen[0].0, 200);
        let (status, head, body) = seen.last().unwrap();
        assert_eq!((*status, &body["code"]), (429, &8.into()));
        assert!(head.contains("access-control-allow-origin"), "a browser can read it: {head}");
        let path = "/plasma.market.v1.Query/Params";
        let mut codes = Vec::new();
        for _ in 0..8 {
            codes.push(served.grpc(path, Vec::new(), 0).await.map_err(|error| error.code()).err());
        }
        assert_eq!((codes[0], codes[7]), (None, Some(Code::ResourceExhausted)), "{codes:?}");
    });
}
