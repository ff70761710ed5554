//! A chain with accounts, models and providers, and nodes at work on it.

use std::path::Path;
use std::sync::Arc;

use gpu_node::chain::{Health, Service, Serving};
use gpu_node::client::{Client, TxOptions, TxOutcome, any};
use gpu_node::engine::candle::Candle;
use gpu_node::engine::{EngineHandle, tiny};
use gpu_node::metrics::Metrics;
use gpu_node::outbox::Outbox;
use gpu_node::receipt::ReceiptKey;
use gpu_node::wallet::Wallet;
use plasma_modules::market;
use plasma_proto::plasma::genesis::v1::GenesisState;
use plasma_proto::plasma::market::v1::{
    MsgPublishModel, MsgPublishModelResponse, MsgSubmitJob, MsgSubmitJobResponse, Sampling,
};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::common::{CHAIN_ID, Node, XPL, genesis, manifest, registration};

pub const REQUESTER: u8 = 1;
pub const PUBLISHER: u8 = 2;
pub const PROVIDER: u8 = 3;
pub const BOND_UXPL: u128 = 2_000 * XPL;

pub fn wallet(seed: u8) -> Wallet {
    Wallet::from_secret(&[seed; 32]).unwrap()
}

pub fn reporter(seed: u8) -> Wallet {
    wallet(seed + 100)
}

pub fn receipt_key(seed: u8) -> ReceiptKey {
    ReceiptKey::new(&Zeroizing::new([seed + 50; 32]), CHAIN_ID)
}

/// A genesis in which requester, publisher, provider and `others` have money, and so have their reporters.
pub fn genesis_of(others: &[u8]) -> GenesisState {
    let all = [REQUESTER, PUBLISHER, PROVIDER].iter().chain(others);
    let accounts: Vec<_> = all
        .flat_map(|seed| [wallet(*seed).address(), reporter(*seed).address()])
        .map(|address| (address, 10_000 * XPL))
        .collect();
    genesis(&accounts)
}

pub struct World {
    pub node: Node,
    pub client: Client,
    /// The model that is served.
    pub model_id: [u8; 32],
}

impl World {
    /// A chain on which the model is published.
    pub async fn start(genesis: &GenesisState) -> Self {
        let node = Node::start(genesis).await;
        let client = Client::connect(&node.url).await.unwrap();
        let world = Self { node, client, model_id: [0; 32] };
        let model_id = world.publish("tiny").await;
        Self { model_id, ..world }
    }

    pub async fn send(&self, from: u8, msg: prost_types::Any) -> TxOutcome {
        self.send_all(from, vec![msg]).await
    }

    pub async fn send_all(&self, from: u8, msgs: Vec<prost_types::Any>) -> TxOutcome {
        self.client.send(&wallet(from), msgs, &TxOptions::default()).await.unwrap()
    }

    pub async fn publish(&self, name: &str) -> [u8; 32] {
        let manifest = manifest(name, tiny::CONTEXT_TOKENS, 64);
        let publisher = wallet(PUBLISHER).address().text();
        let publish = MsgPublishModel { publisher, manifest: Some(manifest), royalty_bps: 0 };
        let published: MsgPublishModelResponse =
            self.send(PUBLISHER, any(&publish)).await.response(0).unwrap();
        published.model_id.try_into().unwrap()
    }

    pub async fn register(&self, seed: u8, model_id: [u8; 32]) {
        let operator = wallet(seed).address();
        let register = registration(operator, &receipt_key(seed), BOND_UXPL, model_id);
        self.send(seed, any(&register)).await;
    }

    /// A job of the requester.
    pub async fn submit(&self, input: &str, max_tokens: u32, temperature_milli: u32) -> u64 {
        let submit = MsgSubmitJob {
            requester: wallet(REQUESTER).address().text(),
            model_id: self.model_id.to_vec(),
            input: input.into(),
            max_tokens,
            sampling: Some(Sampling { temperature_milli, top_p_milli: 950, seed: 1 }),
            max_fee_uxpl: XPL.to_string(),
            deadline_unix_s: 0,
            stop: vec![],
            referral: String::new(),
        };
        let outcome = self.send(REQUESTER, any(&submit)).await;
        outcome.response::<MsgSubmitJobResponse>(0).unwrap().job_id
    }

    /// What an operator's node works with. `serves` is what it writes with, if it takes jobs.
    pub fn service(&self, seed: u8, home: &Path, serves: Option<Candle>) -> Arc<Service> {
        let models = serves.map(|model| {
            let engine = EngineHandle::spawn(Box::new(model)).unwrap();
            (self.model_id, Serving { engine, name: "tiny".into(), slots: 2 })
        });
        Arc::new(Service {
            client: self.client.clone(),
            operator: wallet(seed).address(),
            key: receipt_key(seed),
            reporter: reporter(seed),
            models: models.into_iter().collect(),
            outbox: Outbox::open(&home.join("outbox")).unwrap(),
            metrics: Arc::new(Metrics::new()),
            sending: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            health: Arc::new(Health::default()),
        })
    }

    pub fn bond(&self, seed: u8) -> u128 {
        let provider = market::provider(&self.node.state().store, wallet(seed).address());
        provider.unwrap().bond_uxpl.parse().unwrap()
    }
}

/// A node at work.
pub struct Working {
    pub service: Arc<Service>,
    pub stop: watch::Sender<bool>,
    pub tasks: Vec<JoinHandle<()>>,
}

impl Working {
    pub async fn stop(self) -> Arc<Service> {
        self.stop.send(true).unwrap();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.service
    }
}
