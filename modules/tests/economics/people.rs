//! What people do in a world: stake, offer, buy, answer, and move their money.

use ed25519_dalek::Signer;
use plasma_modules::{
    BPS, Dec,
    attestation::{receipt_digest, text_hash, tokens_hash},
    market, price, reward,
    types::digest,
};
use plasma_proto::{
    cosmos::{
        bank::v1beta1::MsgSend,
        crypto::ed25519::PubKey,
        distribution::v1beta1::MsgWithdrawDelegatorReward,
        staking::v1beta1::{CommissionRates, Description, MsgCreateValidator, MsgDelegate},
    },
    plasma::{
        attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
        market::v1::{
            Ask, Hardware, Job, JobState, Manifest, ModelFile, MsgPublishModel,
            MsgRegisterProvider, MsgSubmitJob, MsgUpdateProvider, Outcome, Output, Sampling,
        },
        reward::v1::MsgClaimReward,
    },
};

use crate::{
    common::{CHAIN_ID, any, coin},
    world::{
        ATTACKERS, DAY_BLOCKS, OPERATOR, RIGS, Rig, SELF_STAKE, STAKER, TREASURY, USERS,
        VALIDATORS, World, XPL, consensus_key,
    },
};

/// What an honest rig asks on average, uxpl per million tokens of output; and what the work costs it.
pub const FAIR: u64 = 1_000_000_000;
pub const WORK_BPS: u128 = 5_000;
/// Tokens of every answer.
pub const TOKENS: u32 = 64;

/// Rigs that ask what the chain says work costs.
const FOLLOWERS: std::ops::RangeInclusive<u8> = 5..=8;
/// Most that an honest user pays, as part of the fair price.
const USER_MAX_BPS: u64 = 25_000;
/// Jobs that honest users open in a block, on average: half of what the honest rigs have slots for.
const DEMAND: u64 = 4;
/// Blocks from one look of an attacker at his accounts to the next.
const HOUR_BLOCKS: u64 = DAY_BLOCKS / 24;
/// What an attacker's account holds at least, at most, and once it was filled or emptied, uxpl.
const LOW: u128 = 300 * XPL;
const HIGH: u128 = 1_200 * XPL;
const MIDDLE: u128 = 600 * XPL;

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
    /// Before the first day: everybody stakes, and the honest model has its rigs.
    pub fn settle_in(&mut self) {
        let honest = self.balance(STAKER) - 1_000 * XPL;
        for operator in VALIDATORS {
            self.delegate(STAKER, operator, honest / 2);
        }
        let stake = self.share.stake();
        if stake > 0 {
            self.create_validator();
        }
        self.step();
        self.delegate(TREASURY, OPERATOR, stake);
        self.model = self.publish(1, "fair", 0);
        self.step();
        for number in RIGS {
            let ask = FAIR * (80 + self.below(41)) / 100;
            let follows = FOLLOWERS.contains(&number);
            let model = self.model.clone();
            self.register(Rig { number, ask, follows, answers: true }, &model, 1, 500 * XPL);
        }
        self.step();
    }

    fn delegate(&mut self, number: u8, operator: u8, units: u128) {
        if units > 0 {
            let message = MsgDelegate {
                delegator_address: self.address(number).text(),
                validator_address: self.address(operator).operator_text(),
                amount: Some(coin(units)),
            };
            self.send(number, any(&message));
        }
    }

    /// The attacker's, which takes no commission.
    #[allow(deprecated)]
    fn create_validator(&mut self) {
        let operator = self.address(OPERATOR);
        let none = || Dec::ZERO.text();
        let message = MsgCreateValidator {
            description: Some(Description { moniker: "own".into(), ..Description::default() }),
            commission: Some(CommissionRates {
                rate: none(),
                max_rate: none(),
                max_change_rate: none(),
            }),
            min_self_delegation: "1".into(),
            delegator_address: operator.text(),
            validator_address: operator.operator_text(),
            pubkey: Some(any(&PubKey { key: consensus_key(operator).to_vec() })),
            value: Some(coin(SELF_STAKE)),
        };
        self.send(OPERATOR, any(&message));
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
                asks: vec![Self::ask(&model, now.price_uxpl_per_mtok.max(FAIR / 2), 1)],
                ..MsgUpdateProvider::default()
            };
            self.send(number, any(&message));
        }
    }

    /// What the attacker does with his money, whether he attacks or not: every hour he moves it to the
    /// accounts that need it, every day he withdraws what his stake and his rigs were rewarded with.
    pub fn own_money(&mut self) {
        if self.height % HOUR_BLOCKS == 2 {
            for number in *ATTACKERS.start()..OPERATOR {
                let have = self.balance(number);
                if have > HIGH {
                    self.pay(number, TREASURY, have - MIDDLE);
                } else if have < LOW {
                    self.pay(TREASURY, number, MIDDLE - have);
                }
            }
        }
        if self.height % DAY_BLOCKS == 3 {
            if self.share.stake() > 0 {
                let message = MsgWithdrawDelegatorReward {
                    delegator_address: self.address(TREASURY).text(),
                    validator_address: self.address(OPERATOR).operator_text(),
                };
                self.send(TREASURY, any(&message));
            }
            for number in ATTACKERS {
                let operator = self.address(number);
                let account = reward::account(&self.store, operator);
                if account.is_some_and(|account| account.accrued_uxpl != "0") {
                    self.send(number, any(&MsgClaimReward { operator: operator.text() }));
                }
            }
        }
    }

    fn pay(&mut self, from: u8, to: u8, units: u128) {
        let message = MsgSend {
            from_address: self.address(from).text(),
            to_address: self.address(to).text(),
            amount: vec![coin(units)],
        };
        self.send(from, any(&message));
    }

    pub fn answer(&mut self, id: u64) {
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
}
