//! A chain in memory with a market on it: honest users who buy, honest rigs that answer, and whoever
//! an attack brings along. Everything happens by signed transactions in executed blocks.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use plasma_modules::{
    Address, Amount, BPS, Memory, ante,
    attestation::{receipt_digest, text_hash, tokens_hash},
    auth,
    chain::{self, BlockInput},
    market,
    msg::Msg,
    price, reward, token, tx,
    types::{digest, sha256},
};
use plasma_proto::plasma::{
    attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
    market::v1::{
        Ask, Hardware, Job, JobState, Manifest, ModelFile, MsgPublishModel, MsgRegisterProvider,
        MsgSubmitJob, MsgUpdateProvider, Outcome, Output, Sampling,
    },
};
use prost_types::Any;

use crate::common::{Account, CHAIN_ID, Draft, TIME_S, any, validator};

pub const XPL: u128 = 1_000_000;
/// Seconds of a block, and blocks of a day.
pub const BLOCK_S: u64 = 600;
pub const DAY_BLOCKS: u64 = 86_400 / BLOCK_S;
/// What an honest rig asks on average, uxpl per million tokens of output; and what the work costs it.
pub const FAIR: u64 = 1_000_000_000;
pub const WORK_BPS: u128 = 5_000;
/// Tokens of every answer.
pub const TOKENS: u32 = 64;

/// Accounts have numbers: honest rigs from 1, honest users from 100, attackers from 200.
pub const RIGS: std::ops::RangeInclusive<u8> = 1..=8;
pub const USERS: std::ops::RangeInclusive<u8> = 100..=111;
pub const ATTACKERS: std::ops::RangeInclusive<u8> = 200..=223;
/// Rigs that ask what the chain says work costs.
const FOLLOWERS: std::ops::RangeInclusive<u8> = 5..=8;
/// Most that an honest user pays, as part of the fair price.
const USER_MAX_BPS: u64 = 25_000;
/// Jobs that honest users open in a block, on average.
const DEMAND: u64 = 6;

pub struct Rig {
    pub number: u8,
    pub ask: u64,
    pub follows: bool,
    pub answers: bool,
}

pub struct World {
    pub store: Memory,
    pub height: u64,
    pub time_s: u64,
    pub model: Vec<u8>,
    pub rigs: BTreeMap<u8, Rig>,
    random: u64,
    accounts: BTreeMap<u8, Account>,
    keys: BTreeMap<u8, SigningKey>,
    waiting: BTreeMap<u8, Vec<Any>>,
    assigned: Vec<u64>,
    /// What work cost, by rig, uxpl; one's own jobs cost nothing.
    spent: BTreeMap<u8, u128>,
    /// Jobs that attackers pay for and that have not ended.
    own_jobs: Vec<u64>,
    /// What stakers were paid of charges, uxpl.
    pub to_stakers: u128,
    pub refused: Vec<String>,
}

fn manifest(name: &str) -> Manifest {
    let file =
        ModelFile { path: "model.safetensors".into(), sha256: vec![5; 32], size_bytes: 1_000 };
    Manifest {
        name: name.into(),
        architecture: "llama".into(),
        dtype: "f32".into(),
        tokenizer: "bytes".into(),
        licence: "Apache-2.0".into(),
        base_model: vec![],
        context_tokens: 512,
        template_tokens_max: 32,
        files: vec![file],
    }
}

impl World {
    /// A market at the default parameters, but for windows in blocks, which are shorter because the
    /// blocks are longer. Each attacker account holds `cash` uxpl.
    pub fn new(seed: u64, cash: u128) -> Self {
        let numbers = RIGS.chain(USERS).chain(ATTACKERS);
        let accounts: BTreeMap<u8, Account> =
            numbers.map(|number| (number, Account::new(number))).collect();
        let holds = |number: u8| if ATTACKERS.contains(&number) { cash } else { 100_000 * XPL };
        let holders: Vec<(Address, Amount)> = accounts
            .iter()
            .map(|(number, account)| (account.address, Amount::new(holds(*number))))
            .collect();
        let mut genesis = chain::new_genesis(&holders, vec![validator(0xe0)]).unwrap();
        let params = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
        (params.dispute_window_blocks, params.assign_timeout_blocks) = (2, 2);
        (params.output_keep_blocks, params.unbond_blocks) = (10, 10);
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, &genesis).unwrap();
        let keys = accounts
            .keys()
            .map(|number| (*number, SigningKey::from_bytes(&[number ^ 0x5a; 32])))
            .collect();
        let mut world = Self {
            store,
            height: 0,
            time_s: TIME_S,
            model: vec![],
            rigs: BTreeMap::new(),
            random: seed,
            accounts,
            keys,
            waiting: BTreeMap::new(),
            assigned: vec![],
            spent: BTreeMap::new(),
            own_jobs: vec![],
            to_stakers: 0,
            refused: vec![],
        };
        world.model = world.publish(1, "fair", 0);
        world.step();
        for number in RIGS {
            let ask = FAIR * (80 + world.below(41)) / 100;
            let follows = FOLLOWERS.contains(&number);
            let model = world.model.clone();
            world.register(Rig { number, ask, follows, answers: true }, &model, 2, 500 * XPL);
        }
        world.step();
        world
    }

    /// A number below `n`, the next of the seed's.
    pub fn below(&mut self, n: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let hash = sha256(&self.random.to_be_bytes());
        u64::from_be_bytes(*hash.first_chunk().unwrap()) % n
    }

    pub fn address(&self, number: u8) -> Address {
        self.accounts[&number].address
    }

    /// In the account's transaction of the next block.
    pub fn send(&mut self, number: u8, message: Any) {
        self.waiting.entry(number).or_default().push(message);
    }

    pub fn publish(&mut self, number: u8, name: &str, royalty_bps: u32) -> Vec<u8> {
        let publisher = self.address(number).text();
        let manifest = manifest(name);
        let model_id = market::model_id(&manifest).to_vec();
        let message = MsgPublishModel { publisher, manifest: Some(manifest), royalty_bps };
        self.send(number, any(&message));
        model_id
    }

    fn ask(model: &[u8], price: u64, slots: u32) -> Ask {
        Ask {
            model_id: model.into(),
            fresh_uxpl_per_mtok: 0,
            cached_uxpl_per_mtok: 0,
            output_uxpl_per_mtok: price,
            slots,
        }
    }

    pub fn register(&mut self, rig: Rig, model: &[u8], slots: u32, bond: u128) {
        let operator = self.address(rig.number);
        let key = &self.keys[&rig.number];
        let receipt_key = key.verifying_key().to_bytes();
        let proof = key.sign(&market::register_digest(CHAIN_ID, operator, &receipt_key));
        let message = MsgRegisterProvider {
            operator: operator.text(),
            receipt_key: receipt_key.to_vec(),
            receipt_key_proof: proof.to_vec(),
            endpoint: "https://rig.example".into(),
            tls_key_hash: vec![],
            hardware: Some(Hardware {
                device: "cpu".into(),
                backend: "cpu".into(),
                cores: 2,
                ..Hardware::default()
            }),
            region: "eu".into(),
            bond_uxpl: bond.to_string(),
            asks: vec![Self::ask(model, rig.ask, slots)],
        };
        self.send(rig.number, any(&message));
        self.rigs.insert(rig.number, rig);
    }

    /// A job of `TOKENS` tokens, at most at this price.
    pub fn buy(&mut self, number: u8, model: &[u8], price_max: u64, referral: Option<u8>) {
        let duty = 20_000u128;
        let max_fee = u128::from(price_max) * u128::from(TOKENS) / 1_000_000 + duty + 1;
        let message = MsgSubmitJob {
            requester: self.address(number).text(),
            model_id: model.into(),
            input: "Why?".into(),
            max_tokens: TOKENS,
            sampling: Some(Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 7 }),
            max_fee_uxpl: max_fee.to_string(),
            deadline_unix_s: 0,
            stop: vec![],
            referral: referral.map(|to| self.address(to).text()).unwrap_or_default(),
        };
        self.send(number, any(&message));
    }

    /// What the honest do in a block: users buy, rigs answer, followers ask what work costs now.
    pub fn honest(&mut self) {
        for _ in 0..self.below(2 * DEMAND + 1) {
            let user = USERS.start() + self.below(USERS.count() as u64) as u8;
            let model = self.model.clone();
            self.buy(user, &model, FAIR / u64::from(BPS) * USER_MAX_BPS, None);
        }
        if self.height % DAY_BLOCKS == 1 {
            self.follow();
        }
    }

    fn follow(&mut self) {
        let id = self.model.as_slice().try_into().unwrap();
        let Some(now) = price::price(&self.store, &id) else { return };
        if now.index_stale {
            return;
        }
        let numbers: Vec<u8> =
            self.rigs.values().filter(|rig| rig.follows).map(|rig| rig.number).collect();
        for number in numbers {
            let model = self.model.clone();
            let message = MsgUpdateProvider {
                operator: self.address(number).text(),
                endpoint: "https://rig.example".into(),
                asks: vec![Self::ask(&model, now.price_uxpl_per_mtok.max(FAIR / 2), 2)],
                ..MsgUpdateProvider::default()
            };
            self.send(number, any(&message));
        }
    }

    fn answer(&mut self, id: u64) {
        let Some(job) = market::job(&self.store, id) else { return };
        let Some(number) = self.number_of(&job.provider) else { return };
        if job.state() != JobState::Assigned || !self.rigs[&number].answers {
            return;
        }
        let own = |text: &str| self.number_of(text).is_some_and(|n| ATTACKERS.contains(&n));
        if !(own(&job.requester) && own(&job.provider)) {
            let work = u128::from(FAIR) * u128::from(TOKENS) / 1_000_000 * WORK_BPS / 10_000;
            *self.spent.entry(number).or_default() += work;
        }
        let message = self.receipt(&job, number);
        self.send(number, any(&message));
    }

    fn number_of(&self, text: &str) -> Option<u8> {
        let address = Address::parse(text).ok()?;
        self.accounts.iter().find(|(_, account)| account.address == address).map(|(n, _)| *n)
    }

    fn receipt(&self, job: &Job, number: u8) -> MsgSubmitReceipt {
        let key = &self.keys[&number];
        let output = Output { token_ids: (0..TOKENS).collect(), text: "Because.".into() };
        let terms = market::job_terms(job);
        let charge = market::charge(&terms, job.ask.as_ref().unwrap(), 8, 0, TOKENS);
        let mut receipt = Receipt {
            version: 1,
            chain_id: CHAIN_ID.into(),
            job_id: job.id,
            attempt: job.attempt,
            receipt_key: key.verifying_key().to_bytes().into(),
            model_id: job.model_id.clone(),
            kernel_id: "economics".into(),
            outcome: Outcome::Ok.into(),
            finish_reason: FinishReason::Length.into(),
            request_hash: job.request_hash.clone(),
            prompt_tokens_hash: tokens_hash(&[1, 2]).into(),
            output_tokens_hash: tokens_hash(&output.token_ids).into(),
            response_hash: text_hash(&output.text).into(),
            n_fresh: 8,
            n_cached: 0,
            n_out: TOKENS,
            sampling: job.sampling,
            fingerprint_root: digest(&[b"evidence", &job.id.to_be_bytes()]).into(),
            t_first_ms: 10,
            t_total_ms: 20,
            charge_uxpl: charge.text(),
            signature: vec![],
        };
        receipt.signature = key.sign(&receipt_digest(&receipt)).to_vec();
        let carrier = self.address(number).text();
        MsgSubmitReceipt { carrier, receipt: Some(receipt), output: Some(output) }
    }

    fn sign(&self, number: u8, messages: Vec<Any>) -> Vec<u8> {
        let account = &self.accounts[&number];
        let stored = auth::account(&self.store, account.address).unwrap();
        let mut draft = Draft::new(messages, stored.account_number, stored.sequence);
        let bytes = draft.sign(account).len() + 16;
        let messages_gas: u64 =
            draft.msgs.iter().map(|message| Msg::from_any(message).unwrap().gas()).sum();
        draft.gas =
            messages_gas + ante::TX_GAS + ante::SIGNATURE_GAS + ante::BYTE_GAS * bytes as u64;
        let base = token::fee_market(&self.store).base_fee_nuxpl_per_gas;
        let byte_price = token::params(&self.store).byte_price_nuxpl;
        draft.fee = ante::required_fee(draft.gas, bytes, base, byte_price);
        draft.sign(account)
    }

    /// Executes a block of what everybody sends.
    pub fn step(&mut self) {
        for id in std::mem::take(&mut self.assigned) {
            self.answer(id);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let txs: Vec<Vec<u8>> =
            waiting.into_iter().map(|(number, messages)| self.sign(number, messages)).collect();
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        self.height += 1;
        self.time_s += BLOCK_S;
        let input = BlockInput {
            chain_id: CHAIN_ID,
            height: self.height,
            time_s: self.time_s,
            proposer: Address::of_consensus(&[0xe0; 32]).0,
            txs: &txs,
            votes: &[],
            misbehavior: &[],
            upgrades: plasma_modules::chain::UPGRADES,
        };
        let output = chain::execute_block(&self.store, &input, &tx::NoMemory);
        self.store.apply(output.writes);
        for result in output.txs {
            if result.code != 0 {
                self.refused.push(result.log);
            }
            for event in result.events.iter().filter(|event| event.kind == "job_submitted") {
                let value = |name| event.attributes.iter().find(|(key, _)| *key == name).unwrap();
                if self.number_of(&value("requester").1).is_some_and(|n| ATTACKERS.contains(&n)) {
                    self.own_jobs.push(value("job_id").1.parse().unwrap());
                }
            }
        }
        for event in output.events {
            let value =
                |name| event.attributes.iter().find(|(key, _)| *key == name).unwrap().1.clone();
            match event.kind {
                "job_assigned" => self.assigned.push(value("job_id").parse().unwrap()),
                "job_settled" => {
                    let charge = value("charge_uxpl").parse::<u128>().unwrap();
                    self.to_stakers += charge * 300 / 10_000;
                }
                _ => {}
            }
        }
    }

    /// All that the attackers have: balances, bonds, rewards, what their jobs hold; less what work
    /// cost them.
    pub fn attackers_wealth(&mut self) -> i128 {
        let store = &self.store;
        self.own_jobs.retain(|id| {
            let state = market::job(store, *id).unwrap().state();
            !matches!(state, JobState::Settled | JobState::Refunded)
        });
        let number = |text: &str| text.parse::<u128>().unwrap_or(0);
        let held: u128 = self
            .own_jobs
            .iter()
            .map(|id| market::job(&self.store, *id).unwrap())
            .map(|job| number(&job.max_fee_uxpl) - number(&job.duty_fee_uxpl))
            .sum();
        let own: u128 = ATTACKERS
            .map(|n| {
                let address = self.address(n);
                let bond = market::provider(&self.store, address);
                let bond = bond.map_or(0, |provider| number(&provider.bond_uxpl));
                let owed = reward::account(&self.store, address);
                let owed = owed.map_or(0, |account| number(&account.accrued_uxpl));
                token::balance(&self.store, address).units() + bond + owed
            })
            .sum();
        let work: u128 =
            self.spent.iter().filter(|(n, _)| ATTACKERS.contains(n)).map(|(_, cost)| cost).sum();
        (own + held) as i128 - work as i128
    }

    /// What the chain says the honest model's work costs: price and index, uxpl per million units.
    pub fn known_price(&self) -> (u64, u64) {
        let id = self.model.as_slice().try_into().unwrap();
        let known = price::price(&self.store, &id).unwrap_or_default();
        (known.price_uxpl_per_mtok, known.index_uxpl_per_mtok)
    }
}
