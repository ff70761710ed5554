//! All doors over real sockets.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use plasma_app::{
    config::Limits,
    doors::{
        Gate, HEIGHT_HEADER,
        grpc::{self, Raw},
        rest,
    },
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::transport::Channel;

use super::{Bench, users};

/// A chain of three blocks behind all doors.
pub struct Served {
    pub bench: Bench,
    pub grpc: Channel,
    pub rest: std::net::SocketAddr,
    pub grpc_port: std::net::SocketAddr,
    _dir: tempfile::TempDir,
}

pub fn run<F: Future<Output = ()>>(work: impl FnOnce(Served) -> F) {
    run_with(Limits::default(), work);
}

pub fn run_with<F: Future<Output = ()>>(limits: Limits, work: impl FnOnce(Served) -> F) {
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
    pub async fn grpc(
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

    pub async fn http(&self, head: &str, body: &str) -> (u16, String, Value) {
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

    pub async fn get(&self, path: &str) -> (u16, String, Value) {
        self.http(&format!("GET {path} HTTP/1.1"), "").await
    }
}
