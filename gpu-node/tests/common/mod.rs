//! The chain's own rules behind an RPC that answers as CometBFT's does: one process, no consensus, no WebSocket.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gpu_node::receipt::ReceiptKey;
use plasma_modules::chain::{self, BlockInput, TxResult};
use plasma_modules::query::Router as Questions;
use plasma_modules::{Address, Amount, Memory, Overlay, View, market, tx};
use plasma_proto::cosmos::base::abci::v1beta1::GasInfo;
use plasma_proto::cosmos::tx::v1beta1::{SimulateRequest, SimulateResponse};
use plasma_proto::plasma::genesis::v1::GenesisState;
use plasma_proto::plasma::market::v1::{
    Ask, Hardware, Job, Manifest, ModelFile, MsgRegisterProvider,
};
use plasma_proto::plasma::staking::v1::Validator;
use prost::Message as _;
use serde_json::{Value, json};

pub const CHAIN_ID: &str = "plasma-test-1";
pub const TIME_S: u64 = 1_700_000_000;
pub const XPL: u128 = 1_000_000;
/// Real time between two blocks, which are one second of the chain's apart.
pub const BLOCK: Duration = Duration::from_millis(60);

pub struct Ledger {
    pub store: Memory,
    pub height: u64,
    mempool: Vec<Vec<u8>>,
    results: BTreeMap<String, (u64, TxResult)>,
}

impl Ledger {
    fn time_s(&self) -> u64 {
        TIME_S + self.height
    }

    /// Executes what waits, and checks every invariant.
    pub fn block(&mut self) {
        let txs = std::mem::take(&mut self.mempool);
        self.height += 1;
        let refs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let proposer = Address::of_consensus(&[0xe0; 32]).0;
        let (height, time_s) = (self.height, self.time_s());
        let input = BlockInput {
            chain_id: CHAIN_ID,
            height,
            time_s,
            proposer,
            txs: &refs,
            votes: &[],
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        };
        let output = chain::execute_block(&self.store, &input, &tx::NoMemory);
        self.store.apply(output.writes);
        chain::check_invariants(&self.store).unwrap();
        for (bytes, result) in txs.iter().zip(output.txs) {
            self.results.insert(tx::hash(bytes), (height, result));
        }
    }
}

#[derive(Clone)]
pub struct Node {
    state: Arc<Mutex<Ledger>>,
    questions: Arc<Questions>,
    /// Answers nothing while set.
    pub away: Arc<AtomicBool>,
    /// Takes transactions and loses them while set.
    pub deaf: Arc<AtomicBool>,
    pub url: String,
}

/// A genesis in which each account holds as much, with quick settlement.
pub fn genesis(accounts: &[(Address, u128)]) -> GenesisState {
    let holders: Vec<_> = accounts.iter().map(|(of, units)| (*of, Amount::new(*units))).collect();
    let validator = Validator {
        operator: Address([0xe0; 20]).text(),
        consensus_pubkey: vec![0xe0; 32],
        moniker: "validator".into(),
        tokens_uxpl: (1_000 * XPL).to_string(),
    };
    let mut genesis = chain::new_genesis(&holders, vec![validator]).unwrap();
    let params = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
    (params.dispute_window_blocks, params.dispute_window_s) = (3, 3);
    genesis
}

/// A model that nobody loads by its manifest.
pub fn manifest(name: &str, context_tokens: u32, template_tokens_max: u32) -> Manifest {
    Manifest {
        name: name.into(),
        architecture: "llama".into(),
        dtype: "f32".into(),
        tokenizer: "bytes".into(),
        licence: "Apache-2.0".into(),
        base_model: vec![],
        context_tokens,
        template_tokens_max,
        files: vec![ModelFile {
            path: "model.safetensors".into(),
            sha256: vec![5; 32],
            size_bytes: 1,
        }],
    }
}

/// A provider of one model, which answers nobody directly.
pub fn registration(
    operator: Address,
    key: &ReceiptKey,
    bond_uxpl: u128,
    model_id: [u8; 32],
) -> MsgRegisterProvider {
    MsgRegisterProvider {
        operator: operator.text(),
        receipt_key: key.public().to_vec(),
        receipt_key_proof: key.prove(operator),
        endpoint: "http://127.0.0.1:1".into(),
        tls_key_hash: vec![],
        hardware: Some(Hardware {
            device: "cpu".into(),
            backend: "cpu".into(),
            cores: 2,
            ..Hardware::default()
        }),
        region: String::new(),
        bond_uxpl: bond_uxpl.to_string(),
        asks: vec![Ask {
            model_id: model_id.to_vec(),
            fresh_uxpl_per_mtok: 1_000_000,
            cached_uxpl_per_mtok: 100_000,
            output_uxpl_per_mtok: 4_000_000,
            slots: 2,
        }],
    }
}

impl Node {
    pub async fn start(genesis: &GenesisState) -> Self {
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, genesis).unwrap();
        let state = Ledger { store, height: 0, mempool: vec![], results: BTreeMap::new() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Self {
            state: Arc::new(Mutex::new(state)),
            questions: Arc::new(Questions::new()),
            away: Arc::default(),
            deaf: Arc::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        node.state().block();
        let routes = Router::new().route("/", post(answer)).with_state(node.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let blocks = node.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(BLOCK).await;
                blocks.state().block();
            }
        });
        node
    }

    pub fn state(&self) -> MutexGuard<'_, Ledger> {
        self.state.lock().unwrap()
    }

    pub fn job(&self, id: u64) -> Job {
        market::job(&self.state().store, id).unwrap()
    }

    /// Waits for a job to be as wanted.
    pub async fn job_when(&self, id: u64, wanted: impl Fn(&Job) -> bool) -> Job {
        for _ in 0..600 {
            let job = self.job(id);
            if wanted(&job) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("job {id} stays as it is: {:?}", self.job(id));
    }

    fn query(&self, path: &str, data: &[u8]) -> Result<Vec<u8>, (&'static str, u32, String)> {
        let state = self.state();
        let block = chain::current_block(&state.store, CHAIN_ID, state.height, state.time_s());
        if path == "/cosmos.tx.v1beta1.Service/Simulate" {
            let request = SimulateRequest::decode(data).unwrap();
            let next =
                chain::next_block(&state.store, CHAIN_ID, state.height + 1, state.time_s() + 1);
            let result = chain::simulate(&state.store, &next, &request.tx_bytes);
            if result.code != 0 {
                return Err((result.codespace, result.code, result.log));
            }
            let gas_info = Some(GasInfo { gas_wanted: 0, gas_used: result.gas_used });
            return Ok(SimulateResponse { gas_info, result: None }.encode_to_vec());
        }
        let view = View { store: &state.store, block: &block };
        self.questions
            .call(path, &view, data)
            .map_err(|error| ("sdk", error.code.abci(), error.log()))
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Value, Value> {
        let mut state = self.state();
        let hash = tx::hash(&bytes);
        if state.results.contains_key(&hash) || state.mempool.contains(&bytes) {
            return Err(
                json!({"code": -32603, "message": "Internal error", "data": "tx already exists in cache"}),
            );
        }
        let result = {
            let mut overlay = Overlay::new(&state.store);
            let next =
                chain::next_block(&state.store, CHAIN_ID, state.height + 1, state.time_s() + 1);
            for waiting in &state.mempool {
                chain::check_tx(&mut overlay, &next, waiting, &tx::NoMemory);
            }
            chain::check_tx(&mut overlay, &next, &bytes, &tx::NoMemory)
        };
        if result.code == 0 && !self.deaf.load(Ordering::SeqCst) {
            state.mempool.push(bytes);
        }
        let TxResult { codespace, code, log, .. } = result;
        Ok(json!({"code": code, "codespace": codespace, "data": "", "log": log, "hash": hash}))
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Value> {
        let text = |name: &str| params[name].as_str().unwrap_or_default().to_owned();
        match method {
            "status" => {
                let (height, time_s) = {
                    let state = self.state();
                    (state.height, state.time_s())
                };
                Ok(status(height, time_s))
            }
            "abci_info" => {
                let height = self.state().height.to_string();
                Ok(json!({"response": {"data": "", "version": "0", "app_version": "1",
                    "last_block_height": height, "last_block_app_hash": "AAAAAAAAAAA="}}))
            }
            "abci_query" => {
                let data = hex::decode(text("data")).unwrap();
                let (codespace, code, log, value) = match self.query(&text("path"), &data) {
                    Ok(value) => ("", 0, String::new(), value),
                    Err((codespace, code, log)) => (codespace, code, log, vec![]),
                };
                let height = self.state().height.to_string();
                Ok(
                    json!({"response": {"code": code, "codespace": codespace, "log": log, "info": "", "index": "0",
                    "key": null, "value": BASE64.encode(value), "proofOps": null, "height": height}}),
                )
            }
            "broadcast_tx_sync" => self.broadcast(BASE64.decode(text("tx")).unwrap()),
            "tx" => {
                let hash = hex::encode_upper(BASE64.decode(text("hash")).unwrap());
                let state = self.state();
                let Some((height, result)) = state.results.get(&hash) else {
                    let data = format!("tx ({hash}) not found");
                    return Err(json!({"code": -32603, "message": "Internal error", "data": data}));
                };
                let events: Vec<Value> = result
                    .events
                    .iter()
                    .map(|event| {
                        let fields: Vec<Value> = event
                            .attributes
                            .iter()
                            .map(|(key, value)| json!({"key": key, "value": value, "index": true}))
                            .collect();
                        json!({"type": event.kind, "attributes": fields})
                    })
                    .collect();
                Ok(
                    json!({"hash": hash, "height": height.to_string(), "index": 0, "tx": "", "tx_result": {
                    "code": result.code, "codespace": result.codespace, "log": result.log, "info": "",
                    "data": BASE64.encode(&result.data), "gas_wanted": result.gas_wanted.to_string(),
                    "gas_used": result.gas_used.to_string(), "events": events}}),
                )
            }
            other => Err(json!({"code": -32601, "message": "Method not found", "data": other})),
        }
    }
}

fn status(height: u64, time_s: u64) -> Value {
    let time = format!(
        "2023-11-14T{:02}:{:02}:{:02}Z",
        22 + (time_s - TIME_S + 800) / 3600,
        (time_s - TIME_S + 800) / 60 % 60,
        (time_s - TIME_S + 800) % 60
    );
    let hash = "B647CF507155BADAC86FADD00E38B065C63A84953A847AA9FA99DB1CEE6C4DA9";
    json!({
        "node_info": {
            "channels": "40202122233038606100", "id": "cf4a66aa29e5123abfdfbdf485da6788bb8e46d1",
            "listen_addr": "tcp://0.0.0.0:26656", "moniker": "test", "network": CHAIN_ID,
            "other": {"rpc_address": "tcp://0.0.0.0:26657", "tx_index": "on"},
            "protocol_version": {"app": "1", "block": "11", "p2p": "8"}, "version": "0.38.26",
        },
        "sync_info": {
            "catching_up": false, "earliest_app_hash": "0000000000000000", "earliest_block_hash": hash,
            "earliest_block_height": "1", "earliest_block_time": "2023-11-14T22:13:20Z",
            "latest_app_hash": "0600000000000000", "latest_block_hash": hash,
            "latest_block_height": height.to_string(), "latest_block_time": time,
        },
        "validator_info": {
            "address": "2DD9F44FD9067555C322243C3C913BA7B51D2BE0",
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": "bNNlGls5R25wC3Sd8720F/3+7IZBhXcD22MNFtPk/v0="},
            "voting_power": "10",
        },
    })
}

async fn answer(State(node): State<Node>, Json(request): Json<Value>) -> Response {
    if node.away.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let id = request["id"].clone();
    let reply = match node.call(request["method"].as_str().unwrap_or_default(), &request["params"])
    {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(error) => json!({"jsonrpc": "2.0", "id": id, "error": error}),
    };
    Json(reply).into_response()
}
