//! A chain in memory, accounts that sign, and blocks.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod ctx;

use plasma_modules::{
    Address, Amount, Block, Memory, Refusal, SignatureMemory, Table, Write,
    chain::{self, BlockInput, BlockOutput, TxResult, Vote},
    tx,
};
use plasma_proto::{
    cosmos::{
        bank::v1beta1::MsgSend,
        base::v1beta1::Coin,
        crypto::secp256k1::PubKey,
        tx::{
            signing::v1beta1::SignMode,
            v1beta1::{AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, TxRaw, mode_info},
        },
    },
    plasma::{genesis::v1::GenesisState, staking::v1::Validator},
};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use secp256k1::{Secp256k1, SecretKey};

pub const CHAIN_ID: &str = "plasma-test-1";
pub const TIME_S: u64 = 1_700_000_000;
pub const XPL: u128 = 1_000_000;

/// One who signs with a key made from a number.
#[derive(Clone)]
pub struct Account {
    secret: SecretKey,
    pub public: [u8; 33],
    pub address: Address,
}

impl Account {
    pub fn new(seed: u8) -> Self {
        let secret = SecretKey::from_byte_array([seed; 32]).unwrap();
        let public = secret.public_key(&Secp256k1::signing_only()).serialize();
        Self { secret, public, address: Address::of_secp256k1(&public) }
    }

    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let digest = plasma_modules::types::sha256(bytes);
        let message = secp256k1::Message::from_digest(digest);
        Secp256k1::signing_only().sign_ecdsa(message, &self.secret).serialize_compact().to_vec()
    }
}

/// What a transaction is made of; change what a test is about.
#[derive(Clone)]
pub struct Draft {
    pub msgs: Vec<Any>,
    pub chain_id: String,
    pub account_number: u64,
    pub sequence: u64,
    pub gas: u64,
    pub fee: u128,
    pub memo: String,
    pub timeout_height: u64,
    pub timeout: Option<Timestamp>,
    pub unordered: bool,
    pub payer: String,
    /// Address of who pays the fee by an allowance; empty for nobody.
    pub fee_granter: String,
}

impl Draft {
    pub fn new(msgs: Vec<Any>, account_number: u64, sequence: u64) -> Self {
        let chain_id = CHAIN_ID.into();
        Self {
            msgs,
            chain_id,
            account_number,
            sequence,
            gas: 2_000_000,
            fee: 50_000,
            memo: String::new(),
            timeout_height: 0,
            timeout: None,
            unordered: false,
            payer: String::new(),
            fee_granter: String::new(),
        }
    }

    pub fn body(&self) -> TxBody {
        TxBody {
            messages: self.msgs.clone(),
            memo: self.memo.clone(),
            timeout_height: self.timeout_height,
            timeout_timestamp: self.timeout,
            unordered: self.unordered,
            ..TxBody::default()
        }
    }

    pub fn fee(&self) -> Fee {
        Fee {
            amount: vec![coin(self.fee)],
            gas_limit: self.gas,
            payer: self.payer.clone(),
            granter: self.fee_granter.clone(),
        }
    }

    /// A single signer's part of the transaction.
    pub fn signer(&self, account: &Account, mode: SignMode) -> SignerInfo {
        let single = mode_info::Single { mode: mode.into() };
        SignerInfo {
            public_key: Some(any(&PubKey { key: account.public.to_vec() })),
            mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Single(single)) }),
            sequence: self.sequence,
        }
    }

    pub fn auth_info(&self, signer_infos: Vec<SignerInfo>) -> AuthInfo {
        #[allow(deprecated)]
        AuthInfo { signer_infos, fee: Some(self.fee()), tip: None }
    }

    pub fn sign(&self, account: &Account) -> Vec<u8> {
        self.sign_as(account, account)
    }

    /// With the key of `account` shown and the signature of `signer`.
    pub fn sign_as(&self, account: &Account, signer: &Account) -> Vec<u8> {
        let body_bytes = self.body().encode_to_vec();
        let infos = vec![self.signer(account, SignMode::Direct)];
        let auth_info_bytes = self.auth_info(infos).encode_to_vec();
        let signed =
            tx::sign_bytes(&body_bytes, &auth_info_bytes, &self.chain_id, self.account_number);
        TxRaw { body_bytes, auth_info_bytes, signatures: vec![signer.sign(&signed)] }
            .encode_to_vec()
    }

    /// What is signed in amino JSON.
    pub fn amino_doc(&self) -> Vec<u8> {
        let signer = tx::amino::SignerData {
            chain_id: &self.chain_id,
            account_number: self.account_number,
            sequence: self.sequence,
        };
        tx::amino::sign_doc(&self.body(), &self.fee(), &signer).unwrap().into_bytes()
    }

    /// The transaction with these signers and signatures.
    pub fn raw(&self, infos: Vec<SignerInfo>, signatures: Vec<Vec<u8>>) -> Vec<u8> {
        let body_bytes = self.body().encode_to_vec();
        let auth_info_bytes = self.auth_info(infos).encode_to_vec();
        TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec()
    }

    pub fn sign_amino(&self, account: &Account) -> Vec<u8> {
        let info = self.signer(account, SignMode::LegacyAminoJson);
        self.raw(vec![info], vec![account.sign(&self.amino_doc())])
    }
}

pub fn coin(units: u128) -> Coin {
    Coin { denom: "uxpl".into(), amount: units.to_string() }
}

pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

pub fn send(from: &Account, to: Address, units: u128) -> Any {
    any(&MsgSend {
        from_address: from.address.text(),
        to_address: to.text(),
        amount: vec![coin(units)],
    })
}

pub fn validator(seed: u8) -> Validator {
    Validator {
        operator: Account::new(seed).address.text(),
        consensus_pubkey: vec![seed; 32],
        moniker: format!("validator {seed}"),
        tokens_uxpl: (1_000 * XPL).to_string(),
    }
}

/// That a validator signed.
pub fn vote(seed: u8, power: u64) -> Vote {
    Vote { validator: Address::of_consensus(&[seed; 32]).0, power, signed: true }
}

/// A genesis in which each account holds as much.
pub fn genesis(accounts: &[&Account], units: u128) -> GenesisState {
    let holders: Vec<_> =
        accounts.iter().map(|account| (account.address, Amount::new(units))).collect();
    chain::new_genesis(&holders, vec![validator(0xe0)]).unwrap()
}

/// A chain in memory, whose invariants are checked after every block.
#[derive(Clone)]
pub struct Chain {
    pub store: Memory,
    pub height: u64,
    pub time_s: u64,
    /// Who signed the last block, and who did not.
    pub votes: Vec<Vote>,
}

impl Chain {
    pub fn new(genesis: &GenesisState) -> Self {
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, genesis).unwrap();
        Self { store, height: 0, time_s: TIME_S, votes: vec![vote(0xe0, 1_000)] }
    }

    /// The next block, a second later.
    pub fn next<'a>(&'a self, txs: &'a [&'a [u8]]) -> BlockInput<'a> {
        let proposer = Address::of_consensus(&[0xe0; 32]).0;
        let (height, time_s) = (self.height + 1, self.time_s + 1);
        BlockInput {
            chain_id: CHAIN_ID,
            height,
            time_s,
            proposer,
            txs,
            votes: &self.votes,
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        }
    }

    pub fn block(&mut self, txs: &[Vec<u8>]) -> Vec<TxResult> {
        self.block_after(1, txs).txs
    }

    pub fn block_after(&mut self, seconds: u64, txs: &[Vec<u8>]) -> BlockOutput {
        self.height += 1;
        self.time_s += seconds;
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let proposer = Address::of_consensus(&[0xe0; 32]).0;
        let input = BlockInput {
            chain_id: CHAIN_ID,
            height: self.height,
            time_s: self.time_s,
            proposer,
            txs: &txs,
            votes: &self.votes,
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        };
        let output = chain::execute_block(&self.store, &input, &tx::NoMemory);
        for (key, value) in output.writes.clone() {
            self.store.set(key, value);
        }
        chain::check_invariants(&self.store).unwrap();
        output
    }

    /// The block that comes a second later.
    pub fn next_block(&self) -> Block {
        chain::next_block(&self.store, CHAIN_ID, self.height + 1, self.time_s + 1)
    }

    /// What a proposal of the next block takes of these.
    pub fn prepare<'t>(&self, txs: &[&'t [u8]]) -> Vec<&'t [u8]> {
        let input = self.next(&[]);
        chain::prepare(&self.store, &input, None, txs, 1 << 20, &tx::NoMemory).unwrap().0
    }

    /// Whether the next block may hold these.
    pub fn process(&self, txs: &[&[u8]]) -> Result<(), Refusal> {
        chain::process(&self.store, &self.next(txs), &tx::NoMemory).map(drop)
    }

    /// The state of a chain that starts from this one's export.
    pub fn exported(&self) -> Memory {
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, self.time_s, &chain::export(&self.store)).unwrap();
        store
    }

    /// The state, but for the block that it is the result of: an export names none.
    pub fn timeless(&self) -> Memory {
        let mut store = self.store.clone();
        store.set([Table::LastBlock.id()].into(), None);
        store
    }

    pub fn balance(&self, of: Address) -> u128 {
        plasma_modules::token::balance(&self.store, of).units()
    }

    pub fn account_number(&self, of: Address) -> u64 {
        plasma_modules::auth::account(&self.store, of).unwrap().account_number
    }

    pub fn sequence(&self, of: Address) -> u64 {
        plasma_modules::auth::account(&self.store, of).unwrap().sequence
    }

    /// A transaction of an account's next sequence.
    pub fn draft(&self, from: &Account, msgs: Vec<Any>) -> Draft {
        Draft::new(msgs, self.account_number(from.address), self.sequence(from.address))
    }
}

/// Counts what it is asked, and remembers everything.
#[derive(Default)]
pub struct Remember {
    pub known: std::cell::RefCell<std::collections::BTreeSet<[u8; 32]>>,
    pub hits: std::cell::Cell<usize>,
}

impl SignatureMemory for Remember {
    fn knows(&self, digest: &[u8; 32]) -> bool {
        let known = self.known.borrow().contains(digest);
        self.hits.set(self.hits.get() + usize::from(known));
        known
    }

    fn learn(&self, digest: [u8; 32]) {
        self.known.borrow_mut().insert(digest);
    }
}
