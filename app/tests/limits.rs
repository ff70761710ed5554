//! What peers may take of the gRPC, REST and front door ports.

mod common;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use common::{
    served::{Served, run, run_with},
    users,
};
use plasma_app::{
    config::Limits,
    doors::{
        CONCURRENT_MAX, FIRST_REQUEST_S, Gate, MESSAGE_BYTES_MAX, SIMULATE, WATCH_JOB,
        WATCHERS_MAX, grpc::Raw,
    },
    frontdoor::{self, Frontdoor, WEBSOCKETS_MAX},
};
use plasma_modules::market;
use plasma_proto::plasma::market::v1::{
    Manifest, ModelFile, MsgPublishModel, MsgSubmitJob, Sampling, WatchJobRequest,
};
use prost::{Message, Name};
use prost_types::Any;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, transport::Channel};

#[test]
fn a_body_past_the_limit_is_refused() {
    run(|served| async move {
        let body = format!("{{\"tx_bytes\":\"{}\"}}", "A".repeat(MESSAGE_BYTES_MAX));
        let (status, _, reply) =
            served.http("POST /cosmos/tx/v1beta1/simulate HTTP/1.1", &body).await;
        assert_eq!((status, &reply["code"]), (400, &3.into()));
        let big = vec![0u8; MESSAGE_BYTES_MAX + 1];
        let error = served.grpc(SIMULATE, big, 0).await.unwrap_err();
        assert!(matches!(error.code(), Code::OutOfRange | Code::ResourceExhausted), "{error}");
    });
}

/// Reads until the other side closes, and says how long that took.
async fn closed(mut stream: TcpStream) -> Duration {
    let start = Instant::now();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(
        Duration::from_secs(3 * FIRST_REQUEST_S),
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
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(closed(TcpStream::connect(served.rest).await.unwrap()).await.as_secs() < 5);
        held.clear();
        tokio::time::sleep(Duration::from_millis(200)).await;
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

fn message<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// Each job that is watched costs a question per block: there are so many and no more.
#[test]
fn jobs_are_watched_by_so_many_at_once() {
    run(|served| async move {
        let user = &users()[3];
        let file =
            ModelFile { path: "model.safetensors".into(), sha256: vec![5; 32], size_bytes: 1_000 };
        let manifest = Manifest {
            name: "tiny".into(),
            architecture: "llama".into(),
            dtype: "f32".into(),
            tokenizer: "bytes".into(),
            licence: "Apache-2.0".into(),
            context_tokens: 512,
            template_tokens_max: 32,
            files: vec![file],
            ..Manifest::default()
        };
        let model_id = market::model_id(&manifest).to_vec();
        let publish = MsgPublishModel {
            publisher: user.address.text(),
            manifest: Some(manifest),
            royalty_bps: 0,
        };
        let submit = MsgSubmitJob {
            requester: user.address.text(),
            model_id,
            input: "Why?".into(),
            max_tokens: 16,
            sampling: Some(Sampling { top_p_milli: 1_000, ..Sampling::default() }),
            max_fee_uxpl: "1000000".into(),
            ..MsgSubmitJob::default()
        };
        let txs = [(message(&publish), 0), (message(&submit), 1)]
            .map(|(message, sequence)| user.sign(message, 2_000_000, 100_000, sequence));
        let done = served.bench.block(4, &txs);
        assert!(done.tx_results.iter().all(|tx| tx.code == 0), "{:?}", done.tx_results);

        let request = Bytes::from(WatchJobRequest { job_id: 1 }.encode_to_vec());
        let mut streams = Vec::new();
        let refused = loop {
            // A connection has so many streams.
            let channel = Channel::from_shared(format!("http://{}", served.grpc_port)).unwrap();
            let mut client = tonic::client::Grpc::new(channel.connect().await.unwrap());
            let mut refused = None;
            for _ in 0..CONCURRENT_MAX {
                client.ready().await.unwrap();
                let request = tonic::Request::new(request.clone());
                match client.server_streaming(request, WATCH_JOB.parse().unwrap(), Raw).await {
                    Ok(stream) => streams.push(stream),
                    Err(status) => {
                        refused = Some(status);
                        break;
                    }
                }
            }
            if let Some(refused) = refused {
                break refused;
            }
        };
        assert_eq!((streams.len(), refused.code()), (WATCHERS_MAX, Code::ResourceExhausted));
        // Other questions are answered, and who leaves makes room.
        served.grpc("/plasma.market.v1.Query/Params", Vec::new(), 0).await.unwrap();
        streams.clear();
        let mut client = tonic::client::Grpc::new(served.grpc.clone());
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            client.ready().await.unwrap();
            let request = tonic::Request::new(request.clone());
            if client.server_streaming(request, WATCH_JOB.parse().unwrap(), Raw).await.is_ok() {
                break;
            }
            assert!(Instant::now() < end, "no place came free");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

/// A front door before something that upgrades whoever asks, and then says nothing.
async fn open_door(served: &Served, limits: Limits) -> SocketAddr {
    let comet = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", comet.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = comet.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let answer = "HTTP/1.1 101 Switching Protocols\r\n\
                              connection: upgrade\r\nupgrade: websocket\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.read_to_end(&mut head).await;
            });
        }
    });
    let door = Arc::new(Frontdoor::new(Arc::clone(&served.bench.node), &url, true).unwrap());
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    tokio::spawn(frontdoor::serve(door, port, Gate::new(limits), std::future::pending()));
    address
}

/// Asks for a WebSocket: the status, and the open connection.
async fn ask_websocket(door: SocketAddr) -> (String, TcpStream) {
    let mut stream = TcpStream::connect(door).await.unwrap();
    let head = "GET /websocket HTTP/1.1\r\nhost: x\r\n\
                connection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    (String::from_utf8_lossy(&status[9..]).into_owned(), stream)
}

/// Posts a body: the status.
async fn post(door: SocketAddr, body: &str) -> String {
    let mut stream = TcpStream::connect(door).await.unwrap();
    let length = body.len();
    let text = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply[9..12].to_owned()
}

#[test]
fn websockets_through_the_front_door_have_their_limit() {
    run(|served| async move {
        let door = open_door(&served, Limits::default()).await;
        let mut held = Vec::new();
        for n in 0..WEBSOCKETS_MAX {
            let (status, stream) = ask_websocket(door).await;
            assert_eq!(status, "101", "{n}");
            held.push(stream);
        }
        assert_eq!(ask_websocket(door).await.0, "503");
        // Who leaves makes room.
        held.pop();
        let end = Instant::now() + Duration::from_secs(10);
        while ask_websocket(door).await.0 != "101" {
            assert!(Instant::now() < end, "no WebSocket came free");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn the_front_door_has_the_same_limits() {
    run(|served| async move {
        let strict = Limits { loopback: true, ..Limits::default() };
        let door =
            open_door(&served, Limits { requests_per_s: 1, requests_burst: 2, ..strict }).await;
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(ask_websocket(door).await.0);
        }
        assert_eq!((&seen[0][..], &seen[3][..]), ("101", "429"), "{seen:?}");

        // A batch counts once, but each transaction in it that is refused counts as well.
        let door =
            open_door(&served, Limits { requests_per_s: 1, requests_burst: 10, ..strict }).await;
        let users = users();
        let batch = |txs: &[Vec<u8>]| {
            let call = |tx: &Vec<u8>| {
                let params = serde_json::json!({ "tx": STANDARD.encode(tx) });
                serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "broadcast_tx_sync", "params": params })
            };
            serde_json::Value::from(txs.iter().map(call).collect::<Vec<_>>()).to_string()
        };
        let good: Vec<_> = (0..20).map(|n| users[3].send(&users[2], 1, n)).collect();
        assert_eq!(post(door, &batch(&good)).await, "200");
        assert_eq!(post(door, &batch(&good[..1])).await, "200", "it counted once");
        let forged: Vec<_> = (20..40).map(|n| users[3].send_on("other", &users[2], 1, n)).collect();
        assert_eq!(post(door, &batch(&forged)).await, "200");
        // One more comes back every second.
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(post(door, &batch(&good[..1])).await);
        }
        assert!(seen.contains(&"429".to_owned()), "each counted: {seen:?}");

        // A WebSocket keeps the place of its connection.
        let door = open_door(&served, Limits { connections_per_address_max: 2, ..strict }).await;
        let held = [ask_websocket(door).await, ask_websocket(door).await];
        assert!(held.iter().all(|(status, _)| status == "101"));
        assert!(closed(TcpStream::connect(door).await.unwrap()).await.as_secs() < 5);
    });
}
