//! A chain driven through the real ABCI application, without CometBFT.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod served;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use plasma_app::{
    abci::App,
    doors::Doors,
    files::{GenesisAccount, GenesisSpec, GenesisValidator, genesis},
    node::{Keep, Node},
    upkeep::Upkeep,
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
use prost::{Message, Name};
use prost_types::Any;
use secp256k1::{All, Secp256k1, SecretKey};
use sha2::{Digest, Sha256};
use tendermint_abci::Application;
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::{
        abci::{self as pb, response_process_proposal::ProposalStatus},
        types::BlockIdFlag,
    },
};

pub const CHAIN: &str = "plasma-test";
pub const START_S: i64 = 1_700_000_000;
pub const USERS: usize = 6;
static CURVE: OnceLock<Secp256k1<All>> = OnceLock::new();
const GAS: u64 = 200_000;
const FEE_UXPL: u64 = 20_000;

/// Somebody with money.
pub struct User {
    secret: SecretKey,
    key: Vec<u8>,
    pub address: Address,
    pub number: u64,
}

/// The users of every test chain; account numbers follow the order of addresses.
pub fn users() -> Vec<User> {
    let mut users: Vec<User> = (1..=USERS as u8).map(|n| User::new([n; 32])).collect();
    users.sort_by_key(|user| user.address);
    // Module accounts have no number.
    for (number, user) in (0..).zip(&mut users) {
        user.number = number;
    }
    users
}

/// Users of a chain of its own; account numbers follow the order of addresses.
pub fn crowd(count: u64) -> Vec<User> {
    let mut users: Vec<User> = (1..=count)
        .map(|n| {
            let mut secret = [1; 32];
            secret[..8].copy_from_slice(&n.to_be_bytes());
            User::new(secret)
        })
        .collect();
    users.sort_by_key(|user| user.address);
    for (number, user) in (0..).zip(&mut users) {
        user.number = number;
    }
    users
}

impl User {
    /// One with this secret; the account number is not known yet.
    pub fn new(secret: [u8; 32]) -> Self {
        let secret = SecretKey::from_byte_array(secret).unwrap();
        let key = secret.public_key(CURVE.get_or_init(Secp256k1::new)).serialize().to_vec();
        let address = Address::of_secp256k1(&key);
        Self { secret, key, address, number: 0 }
    }

    /// A signed transfer.
    pub fn send(&self, to: &Self, amount: u64, sequence: u64) -> Vec<u8> {
        self.send_on(CHAIN, to, amount, sequence)
    }

    pub fn send_on(&self, chain: &str, to: &Self, amount: u64, sequence: u64) -> Vec<u8> {
        let coin = |amount: u64| Coin { denom: "uxpl".into(), amount: amount.to_string() };
        let message = MsgSend {
            from_address: self.address.text(),
            to_address: to.address.text(),
            amount: vec![coin(amount)],
        };
        let message = Any { type_url: MsgSend::type_url(), value: message.encode_to_vec() };
        self.sign_on(chain, message, GAS, FEE_UXPL, sequence)
    }

    /// A transaction of one message.
    pub fn sign(&self, message: Any, gas_limit: u64, fee_uxpl: u64, sequence: u64) -> Vec<u8> {
        self.sign_on(CHAIN, message, gas_limit, fee_uxpl, sequence)
    }

    fn sign_on(
        &self,
        chain: &str,
        message: Any,
        gas_limit: u64,
        fee_uxpl: u64,
        sequence: u64,
    ) -> Vec<u8> {
        let any = |url: String, value: Vec<u8>| Any { type_url: url, value };
        let amount = vec![Coin { denom: "uxpl".into(), amount: fee_uxpl.to_string() }];
        let body = TxBody { messages: vec![message], ..TxBody::default() };
        let key = PubKey { key: self.key.clone() };
        let mode = mode_info::Single { mode: SignMode::Direct.into() };
        let info = AuthInfo {
            signer_infos: vec![SignerInfo {
                public_key: Some(any(PubKey::type_url(), key.encode_to_vec())),
                mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Single(mode)) }),
                sequence,
            }],
            fee: Some(Fee { amount, gas_limit, ..Fee::default() }),
            ..AuthInfo::default()
        };
        let (body_bytes, auth_info_bytes) = (body.encode_to_vec(), info.encode_to_vec());
        let signed = sign_bytes(&body_bytes, &auth_info_bytes, chain, self.number);
        let digest = secp256k1::Message::from_digest(Sha256::digest(&signed).into());
        let signature = CURVE.get_or_init(Secp256k1::new).sign_ecdsa(digest, &self.secret);
        let signatures = vec![signature.serialize_compact().to_vec()];
        TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec()
    }
}

pub fn spec() -> GenesisSpec {
    let accounts = users()
        .into_iter()
        .map(|user| GenesisAccount { address: user.address.text(), amount_uxpl: 1_000_000_000 });
    GenesisSpec {
        chain_id: CHAIN.into(),
        time: std::time::UNIX_EPOCH,
        accounts: accounts.collect(),
        validators: vec![GenesisValidator {
            operator: users()[0].address.text(),
            moniker: "one".into(),
            consensus_pubkey: [7; 32],
            beacon_pubkey: None,
            tokens_uxpl: 5_000_000,
        }],
        overrides: Vec::new(),
    }
}

/// What the only validator did about the block before.
pub fn commit(flag: BlockIdFlag) -> pb::CommitInfo {
    let address = Address::of_consensus(&[7; 32]).0.to_vec().into();
    let validator = pb::Validator { address, power: 5 };
    let votes = vec![pb::VoteInfo { validator: Some(validator), block_id_flag: flag.into() }];
    pb::CommitInfo { round: 0, votes }
}

pub fn app_state() -> Vec<u8> {
    let state = genesis::state(&spec()).unwrap();
    genesis::state_to_json(&state).unwrap().to_string().into_bytes()
}

/// One node.
pub struct Bench {
    pub node: Arc<Node>,
    pub doors: Arc<Doors>,
    pub app: App,
    /// Consensus address of who proposes; nobody's at first.
    pub proposer: prost::bytes::Bytes,
}

impl Bench {
    pub fn open(dir: &Path) -> Self {
        Self::open_keeping(dir, 100)
    }

    pub fn open_keeping(dir: &Path, recent: u64) -> Self {
        Self::open_with(
            dir,
            Keep { recent, cache_bytes: 1 << 20, ..Keep::default() },
            Upkeep::default(),
        )
    }

    pub fn open_with(dir: &Path, keep: Keep, upkeep: Upkeep) -> Self {
        let node = Arc::new(Node::open_with(&dir.join("state.db"), keep, upkeep).unwrap());
        let doors = Arc::new(Doors::new(Arc::clone(&node)).unwrap());
        let app = App::new(Arc::clone(&doors));
        Self { app, node, doors, proposer: Default::default() }
    }

    /// A node at its genesis.
    pub fn new(dir: &Path) -> Self {
        let bench = Self::open(dir);
        bench.init();
        bench
    }

    pub fn init(&self) -> pb::ResponseInitChain {
        self.app.init_chain(pb::RequestInitChain {
            time: time(0),
            chain_id: CHAIN.into(),
            app_state_bytes: app_state().into(),
            initial_height: 1,
            ..Default::default()
        })
    }

    /// What CometBFT sends of a block that everybody signed.
    pub fn block_of(&self, height: i64, txs: &[Vec<u8>]) -> pb::RequestFinalizeBlock {
        pb::RequestFinalizeBlock {
            txs: bytes(txs),
            height,
            time: time(height),
            proposer_address: self.proposer.clone(),
            decided_last_commit: Some(commit(BlockIdFlag::Commit)),
            ..Default::default()
        }
    }

    pub fn finalize(&self, height: i64, txs: &[Vec<u8>]) -> pb::ResponseFinalizeBlock {
        self.app.finalize_block(self.block_of(height, txs))
    }

    /// A whole block.
    pub fn block(&self, height: i64, txs: &[Vec<u8>]) -> pb::ResponseFinalizeBlock {
        let done = self.finalize(height, txs);
        self.app.commit();
        done
    }

    pub fn info(&self) -> (i64, Vec<u8>) {
        let info = self.app.info(pb::RequestInfo::default());
        (info.last_block_height, info.last_block_app_hash.to_vec())
    }

    pub fn check(&self, tx: &[u8]) -> pb::ResponseCheckTx {
        self.app.check_tx(pb::RequestCheckTx { tx: tx.to_vec().into(), r#type: 0 })
    }

    /// A check of what waits since before the last block.
    pub fn recheck(&self, tx: &[u8]) -> pb::ResponseCheckTx {
        let r#type = pb::CheckTxType::Recheck.into();
        self.app.check_tx(pb::RequestCheckTx { tx: tx.to_vec().into(), r#type })
    }

    pub fn prepare(&self, height: i64, txs: &[Vec<u8>], max: i64) -> Vec<Vec<u8>> {
        let prepared = self.app.prepare_proposal(pb::RequestPrepareProposal {
            max_tx_bytes: max,
            txs: bytes(txs),
            height,
            time: time(height),
            proposer_address: self.proposer.clone(),
            ..Default::default()
        });
        prepared.txs.iter().map(|tx| tx.to_vec()).collect()
    }

    pub fn accepts(&self, height: i64, txs: &[Vec<u8>]) -> bool {
        let verdict = self.app.process_proposal(pb::RequestProcessProposal {
            txs: bytes(txs),
            height,
            time: time(height),
            proposer_address: self.proposer.clone(),
            ..Default::default()
        });
        verdict.status == i32::from(ProposalStatus::Accept)
    }

    pub fn query(&self, path: &str, data: Vec<u8>, height: i64, prove: bool) -> pb::ResponseQuery {
        self.app.query(pb::RequestQuery { path: path.into(), data: data.into(), height, prove })
    }

    /// Everything that is committed.
    pub fn dump(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        plasma_modules::Read::scan(&self.node.reader(), &[]).collect()
    }
}

/// The consensus address of the one validator.
pub fn proposer() -> prost::bytes::Bytes {
    Address::of_consensus(&[7; 32]).0.to_vec().into()
}

pub fn time(height: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: START_S + height, nanos: 0 })
}

pub fn bytes(txs: &[Vec<u8>]) -> Vec<prost::bytes::Bytes> {
    txs.iter().map(|tx| tx.clone().into()).collect()
}
