//! A chain of one validator, asked as clients ask.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use plasma_app::{
    doors::{HEIGHT_HEADER, grpc::Raw, json},
    files::GenesisAccount,
};
use plasma_modules::{Address, tx::sign_bytes};
use plasma_proto::cosmos::{
    bank::v1beta1::MsgSend,
    base::v1beta1::Coin,
    crypto::secp256k1::PubKey,
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, TxRaw, mode_info},
    },
};
use plasma_testnet::{
    comet::{Network, NetworkSpec},
    process::Programs,
};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::Any;
use secp256k1::{Secp256k1, SecretKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const GAS: u64 = 200_000;
const FEE_UXPL: u64 = 20_000;
/// What everybody has at genesis.
const MONEY_UXPL: u128 = 100_000_000;
/// Ports of one validator.
const PORTS: u16 = 10;
/// Where free ports are looked for: below what the operating system hands out by itself.
const PORTS_FROM: u16 = 12_000;
const PORTS_TO: u16 = 26_000;

pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub fn hex_of_base64(text: &Value) -> String {
    hex(&STANDARD.decode(text.as_str().unwrap()).unwrap())
}

/// A transaction's hash.
pub fn hash(tx: &[u8]) -> String {
    hex(&Sha256::digest(tx))
}

pub fn coin(amount: u64) -> Value {
    json!({ "denom": "uxpl", "amount": amount.to_string() })
}

/// The last event of a kind in a TxResponse: those of the fee come before those of the messages.
pub fn event(response: &Value, kind: &str) -> Option<Value> {
    response["events"].as_array()?.iter().rfind(|event| event["type"] == kind).cloned()
}

pub fn attribute(event: &Value, key: &str) -> String {
    let list = event["attributes"].as_array().unwrap();
    let found = list.iter().find(|attribute| attribute["key"] == key);
    found.and_then(|attribute| attribute["value"].as_str()).unwrap_or_default().to_owned()
}

/// Somebody with money.
pub struct User {
    secret: SecretKey,
    key: Vec<u8>,
    pub address: String,
}

pub fn send(from: &User, to: &User, amount: u64) -> MsgSend {
    MsgSend {
        from_address: from.address.clone(),
        to_address: to.address.clone(),
        amount: vec![Coin { denom: "uxpl".into(), amount: amount.to_string() }],
    }
}

impl User {
    pub fn new(n: u8) -> Self {
        let secret = SecretKey::from_byte_array([n; 32]).unwrap();
        let key = secret.public_key(&Secp256k1::new()).serialize().to_vec();
        let address = Address::of_secp256k1(&key).text();
        Self { secret, key, address }
    }

    fn parts<M: Message + Name>(
        &self,
        message: &M,
        key: bool,
        sequence: u64,
        gas_limit: u64,
    ) -> TxRaw {
        let any = |url: String, value: Vec<u8>| Any { type_url: url, value };
        let body = TxBody {
            messages: vec![any(M::type_url(), message.encode_to_vec())],
            ..TxBody::default()
        };
        let pubkey = PubKey { key: self.key.clone() };
        let mode = mode_info::Single { mode: SignMode::Direct.into() };
        let amount = vec![Coin { denom: "uxpl".into(), amount: FEE_UXPL.to_string() }];
        let info = AuthInfo {
            signer_infos: vec![SignerInfo {
                public_key: key.then(|| any(PubKey::type_url(), pubkey.encode_to_vec())),
                mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Single(mode)) }),
                sequence,
            }],
            fee: Some(Fee { amount, gas_limit, ..Fee::default() }),
            ..AuthInfo::default()
        };
        TxRaw {
            body_bytes: body.encode_to_vec(),
            auth_info_bytes: info.encode_to_vec(),
            signatures: Vec::new(),
        }
    }

    /// As Keplr simulates: no public key, no gas, a signature of zeros.
    pub fn unsigned<M: Message + Name>(&self, sequence: u64, message: &M) -> Vec<u8> {
        let raw = self.parts(message, false, sequence, 0);
        TxRaw { signatures: vec![vec![0; 64]], ..raw }.encode_to_vec()
    }

    pub fn sign<M: Message + Name>(&self, chain: &Chain, sequence: u64, message: &M) -> Vec<u8> {
        let account = chain.get(&format!("/cosmos/auth/v1beta1/account_info/{}", self.address));
        let number = account["info"]["account_number"].as_str().unwrap().parse().unwrap();
        let raw = self.parts(message, true, sequence, GAS);
        let signed = sign_bytes(&raw.body_bytes, &raw.auth_info_bytes, chain.id(), number);
        let digest = secp256k1::Message::from_digest(Sha256::digest(&signed).into());
        let signature = Secp256k1::new().sign_ecdsa(digest, &self.secret);
        TxRaw { signatures: vec![signature.serialize_compact().to_vec()], ..raw }.encode_to_vec()
    }
}

pub struct Chain {
    network: Network,
    http: reqwest::blocking::Client,
    runtime: tokio::runtime::Runtime,
    pool: DescriptorPool,
}

/// Ports in a row that nobody has; different ones for each test of this process.
fn free_ports() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 1_000).unwrap();
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) + start;
        let base = PORTS_FROM + step * PORTS % (PORTS_TO - PORTS_FROM);
        if (base..base + PORTS).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
}

impl Chain {
    pub fn up(home: &Path, users: &[&User]) -> Self {
        Self::up_for(home, users.iter().map(|user| user.address.clone()).collect())
    }

    pub fn up_for(home: &Path, addresses: Vec<String>) -> Self {
        let account = |address| GenesisAccount { address, amount_uxpl: MONEY_UXPL };
        let spec = NetworkSpec {
            home: home.join("net"),
            chain_id: "plasma-clients-1".into(),
            validators: 1,
            accounts: addresses.into_iter().map(account).collect(),
            port_base: free_ports(),
            timeout_commit: "300ms".into(),
            set: Vec::new(),
        };
        let mut network = Network::up(&spec, &Programs::find().unwrap()).unwrap();
        // Clients ask for state, which block 1 makes.
        network.wait_for_block(1).unwrap();
        Self {
            network,
            http: reqwest::blocking::Client::builder().no_proxy().build().unwrap(),
            runtime: tokio::runtime::Runtime::new().unwrap(),
            pool: DescriptorPool::decode(plasma_proto::DESCRIPTORS).unwrap(),
        }
    }

    pub fn id(&self) -> &str {
        &self.network.chain_id
    }

    pub fn rpc_url(&self) -> &str {
        &self.network.validators[0].urls.rpc
    }

    pub fn grpc(&self) -> &str {
        &self.network.validators[0].urls.grpc
    }

    fn rest(&self) -> &str {
        &self.network.validators[0].urls.rest
    }

    pub fn stop_cometbft(&mut self) {
        self.network.validators[0].stop_cometbft();
    }

    pub fn height(&self) -> u64 {
        self.network.validators[0].height().unwrap()
    }

    pub fn wait_for_height(&self, height: u64) {
        let end = Instant::now() + PATIENCE;
        while self.height() < height {
            assert!(Instant::now() < end, "no block {height}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// A JSON-RPC call of CometBFT.
    pub fn rpc(&self, method: &str, params: &Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.http.post(self.rpc_url()).json(&call).send().unwrap().json().unwrap()
    }

    pub fn abci_query(&self, path: &str, data: &[u8], height: u64) -> Value {
        let params = json!({ "path": path, "data": hex(data), "height": height.to_string() });
        let reply = self.rpc("abci_query", &params);
        assert!(reply["error"].is_null(), "{path}: {reply}");
        reply["result"]["response"].clone()
    }

    fn method(&self, service: &str, method: &str) -> MethodDescriptor {
        let found = self.pool.get_service_by_name(service).unwrap();
        found.methods().find(|known| known.name() == method).unwrap()
    }

    /// A question by abci_query: its answer as JSON, and CometBFT's whole reply.
    pub fn ask(&self, service: &str, method: &str, request: &Value, height: u64) -> (Value, Value) {
        let desc = self.method(service, method);
        let message = json::from_json(desc.input(), request.clone()).unwrap();
        let path = format!("/{service}/{method}");
        let reply = self.abci_query(&path, &message.encode_to_vec(), height);
        let value = STANDARD.decode(reply["value"].as_str().unwrap_or_default()).unwrap();
        (json::encoded_to_json(desc.output(), &value).unwrap(), reply)
    }

    pub fn same_on_three_doors(
        &self,
        service: &str,
        method: &str,
        request: &Value,
        url: &str,
        height: u64,
    ) {
        let desc = self.method(service, method);
        let message = json::from_json(desc.input(), request.clone()).unwrap().encode_to_vec();
        let path = format!("/{service}/{method}");
        let (shown, reply) = self.ask(service, method, request, height);
        assert!(reply["code"] == 0 || reply["code"].is_null(), "{path}: {reply}");
        assert_eq!(reply["height"], height.to_string(), "{path}");
        let value = STANDARD.decode(reply["value"].as_str().unwrap_or_default()).unwrap();

        let grpc = self.runtime.block_on(async {
            let address = format!("http://{}", self.grpc());
            let channel = tonic::transport::Channel::from_shared(address).unwrap().connect().await;
            let mut client = tonic::client::Grpc::new(channel.unwrap());
            client.ready().await.unwrap();
            let mut request = tonic::Request::new(Bytes::from(message));
            request.metadata_mut().insert(HEIGHT_HEADER, height.to_string().parse().unwrap());
            client.unary(request, path.parse().unwrap(), Raw).await
        });
        let grpc = grpc.unwrap_or_else(|error| panic!("{path}: {error}"));
        let header = grpc.metadata().get(HEIGHT_HEADER).unwrap().to_str().unwrap();
        assert_eq!(header, height.to_string(), "{path}");
        assert_eq!(grpc.get_ref()[..], value[..], "{path}");

        let rest = self.http.get(format!("{}{url}", self.rest()));
        let rest = rest.header(HEIGHT_HEADER, height.to_string()).send().unwrap();
        assert_eq!(rest.status().as_u16(), 200, "{url}: {:?}", rest.text());
        let header = rest.headers()["grpc-metadata-x-cosmos-block-height"].to_str().unwrap();
        assert_eq!(header, height.to_string(), "{url}");
        assert_eq!(rest.json::<Value>().unwrap(), shown, "{url}");
    }

    /// REST, which must answer.
    pub fn get(&self, url: &str) -> Value {
        let reply = self.http.get(format!("{}{url}", self.rest())).send().unwrap();
        let status = reply.status().as_u16();
        let body: Value = reply.json().unwrap();
        assert_eq!(status, 200, "{url}: {body}");
        body
    }

    pub fn post(&self, url: &str, body: &Value) -> (u16, Value) {
        let reply = self.http.post(format!("{}{url}", self.rest())).json(body).send().unwrap();
        (reply.status().as_u16(), reply.json().unwrap())
    }

    /// Sends a transaction, which CheckTx must take.
    pub fn broadcast(&self, tx: &[u8]) {
        let body = json!({ "tx_bytes": base64(tx), "mode": "BROADCAST_MODE_SYNC" });
        let (_, reply) = self.post("/cosmos/tx/v1beta1/txs", &body);
        assert_eq!(reply["tx_response"]["code"], 0, "{reply}");
    }

    /// A request as a web page of another origin sends it, byte for byte: status, head, body.
    pub fn get_as_page(&self, url: &str) -> (u16, String, Value) {
        self.ask_as_page(&format!("GET {url} HTTP/1.1"))
    }

    /// What a browser asks before a page of another origin may post JSON: status, head.
    pub fn may_post(&self, url: &str) -> (u16, String) {
        let asks =
            "access-control-request-method: POST\r\naccess-control-request-headers: content-type";
        let (status, head, _) = self.ask_as_page(&format!("OPTIONS {url} HTTP/1.1\r\n{asks}"));
        (status, head)
    }

    fn ask_as_page(&self, request: &str) -> (u16, String, Value) {
        let mut stream = TcpStream::connect(self.rest().trim_start_matches("http://")).unwrap();
        let head = "host: x\r\norigin: https://explorer.example\r\nconnection: close";
        write!(stream, "{request}\r\n{head}\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        (status, head.to_lowercase(), body)
    }

    /// Asks until a block has the transaction.
    pub fn wait_for_tx(&self, hash: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (status, _, body) = self.get_as_page(&format!("/cosmos/tx/v1beta1/txs/{hash}"));
            if status == 200 {
                return body;
            }
            assert_eq!(status, 404, "{body}");
            assert!(Instant::now() < end, "no block has {hash}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}
