//! A market in memory: accounts, providers with keys, a model, and blocks that end.

#[path = "../common/ctx.rs"]
mod ctx;

pub use std::collections::BTreeMap;

pub use ed25519_dalek::{Signer, SigningKey};
pub use plasma_modules::{
    Address, Amount, BPS, Block, Ctx, Denom, FeePaid, Memory, Recorded, Refusal, View,
    attestation::{self, receipt_digest, text_hash, tokens_hash},
    chain, market,
    query::Router,
    token,
};
pub use plasma_proto::plasma::{
    attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
    genesis::v1::{Balance, GenesisState, MarketGenesis, StakingGenesis},
    market::v1::*,
    staking::v1::Validator,
};
pub use proptest::prelude::*;
pub use prost::Message;

pub const CHAIN: &str = "plasma-test-1";
pub const XPL: u128 = 1_000_000;
pub const START: u128 = 1_000_000 * XPL;
pub const USERS: [Address; 3] = [Address([1; 20]), Address([2; 20]), Address([3; 20])];
pub const REFERRAL: Address = Address([8; 20]);
pub const PUBLISHER: Address = Address([9; 20]);
pub const OPERATORS: [Address; 3] = [Address([11; 20]), Address([12; 20]), Address([13; 20])];
pub const MONEY_MOVERS: [Address; 8] =
    [USERS[0], USERS[1], USERS[2], REFERRAL, PUBLISHER, OPERATORS[0], OPERATORS[1], OPERATORS[2]];

pub fn key_of(operator: Address) -> SigningKey {
    SigningKey::from_bytes(&[operator.0[0] ^ 0x80; 32])
}

pub fn params() -> Params {
    Params {
        bond_min_uxpl: 1_000_000,
        unbond_blocks: 5,
        unbond_s: 20,
        withdrawals_max: 3,
        assign_timeout_blocks: 3,
        assign_timeout_s: 10,
        deadline_max_s: 60,
        dispute_window_blocks: 3,
        dispute_window_s: 12,
        output_keep_blocks: 4,
        matches_per_block_max: 4,
        ..market::default_params()
    }
}

pub fn manifest(name: &str) -> Manifest {
    Manifest {
        name: name.into(),
        architecture: "llama".into(),
        dtype: "f32".into(),
        tokenizer: "bpe".into(),
        licence: "Apache-2.0".into(),
        base_model: vec![],
        context_tokens: 2_048,
        template_tokens_max: 32,
        files: vec![ModelFile {
            path: "model.safetensors".into(),
            sha256: vec![7; 32],
            size_bytes: 9,
        }],
    }
}

pub struct Net {
    pub store: Memory,
    pub block: Block,
    pub events: Vec<Recorded>,
    /// Fee that the next transactions say they paid; nobody takes it here.
    pub fee_units: u128,
    /// A test binds bonds and holds jobs itself, where on a chain attestation does: its records of
    /// them are not there to be compared.
    pub plays_audits: bool,
}

pub fn genesis(params: Params) -> GenesisState {
    let mut balances: Vec<_> = MONEY_MOVERS
        .iter()
        .map(|address| (*address, START))
        .chain([(Address::of_module("bonded_tokens_pool"), 10 * XPL)])
        .collect();
    balances.sort();
    let coin = |units: u128| plasma_proto::cosmos::base::v1beta1::Coin {
        denom: "uxpl".into(),
        amount: units.to_string(),
    };
    let mut genesis = chain::default_genesis();
    genesis.token.as_mut().unwrap().balances = balances
        .into_iter()
        .map(|(address, units)| Balance { address: address.text(), coins: vec![coin(units)] })
        .collect();
    genesis.staking = Some(StakingGenesis {
        validators: vec![Validator {
            operator: Address([0x55; 20]).text(),
            consensus_pubkey: vec![5; 32],
            moniker: "v".into(),
            tokens_uxpl: (10 * XPL).to_string(),
        }],
        ..genesis.staking.unwrap()
    });
    genesis.market.as_mut().unwrap().params = Some(params);
    genesis
}

pub fn block(height: u64, time_s: u64) -> Block {
    let beacon = plasma_modules::types::digest(&[b"test", &height.to_be_bytes()]);
    Block { chain_id: CHAIN.into(), height, time_s, beacon }
}

impl Net {
    pub fn new(params: Params) -> Self {
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN, 1_000, &genesis(params)).unwrap();
        Self { store, block: block(1, 1_000), events: vec![], fee_units: 0, plays_audits: false }
    }

    /// A market with one model and every operator serving it.
    pub fn open(params: Params) -> Self {
        let mut net = Self::new(params);
        net.publish("base", 200).unwrap();
        for operator in OPERATORS {
            net.register(operator, 10 * XPL, vec![ask(&net.model(), 4)]).unwrap();
        }
        net
    }

    pub fn model(&self) -> Vec<u8> {
        market::model_id(&manifest("base")).to_vec()
    }

    /// Runs one transaction; what is refused changes nothing.
    pub fn run<T, E: Into<Refusal>>(
        &mut self,
        payer: Address,
        work: impl FnOnce(&mut Ctx<'_>) -> Result<T, E>,
    ) -> Result<T, Refusal> {
        let fee = FeePaid { payer, left: Amount::new(self.fee_units) };
        let (done, events) =
            ctx::within(&mut self.store, &self.block, fee, work).map_err(Into::into)?;
        self.events.extend(events);
        Ok(done)
    }

    pub fn end(&mut self, blocks: u64, seconds: u64) {
        for _ in 0..blocks {
            self.run(Address::default(), |ctx| {
                market::end_block(ctx);
                Ok::<_, Refusal>(())
            })
            .unwrap();
            self.check();
            self.block = block(self.block.height + 1, self.block.time_s + seconds);
        }
    }

    fn check(&self) {
        if !self.plays_audits {
            return chain::check_invariants(&self.store).unwrap();
        }
        token::check_invariants(&self.store).unwrap();
        market::check_invariants(&self.store).unwrap();
        chain::indexes_match_objects(&self.store).unwrap();
    }

    /// The market alone, begun from a genesis beside the same balances.
    pub fn market_from(&self, genesis: &MarketGenesis) -> Result<Memory, market::Error> {
        let mut again = Memory::default();
        let token = chain::export(&self.store).token.unwrap();
        token::init(&mut again, &token).unwrap();
        market::init(&mut again, &self.block, genesis).map(|()| again)
    }

    pub fn publish(&mut self, name: &str, royalty_bps: u32) -> Result<Vec<u8>, Refusal> {
        self.publish_as(MsgPublishModel {
            publisher: PUBLISHER.text(),
            manifest: Some(manifest(name)),
            royalty_bps,
        })
    }

    pub fn publish_as(&mut self, msg: MsgPublishModel) -> Result<Vec<u8>, Refusal> {
        let msg = market::PublishModel::new(msg)?;
        Ok(self.run(PUBLISHER, |ctx| market::publish_model(ctx, msg))?.model_id)
    }

    pub fn register(
        &mut self,
        operator: Address,
        bond: u128,
        asks: Vec<Ask>,
    ) -> Result<(), Refusal> {
        self.register_as(registration(operator, bond, asks))
    }

    pub fn register_as(&mut self, msg: MsgRegisterProvider) -> Result<(), Refusal> {
        let msg = market::RegisterProvider::new(msg)?;
        self.run(msg.signer(), |ctx| market::register_provider(ctx, msg)).map(drop)
    }

    pub fn update(&mut self, msg: MsgUpdateProvider) -> Result<(), Refusal> {
        let msg = market::UpdateProvider::new(msg)?;
        self.run(msg.signer(), |ctx| market::update_provider(ctx, msg)).map(drop)
    }

    pub fn leave(&mut self, operator: Address) -> Result<(), Refusal> {
        let msg =
            market::DeregisterProvider::new(MsgDeregisterProvider { operator: operator.text() })?;
        self.run(operator, |ctx| market::deregister_provider(ctx, msg)).map(drop)
    }

    pub fn add_bond(&mut self, operator: Address, units: u128) -> Result<(), Refusal> {
        let amount_uxpl = units.to_string();
        let msg = market::AddBond::new(MsgAddBond { operator: operator.text(), amount_uxpl })?;
        self.run(operator, |ctx| market::add_bond(ctx, msg)).map(drop)
    }

    pub fn withdraw(&mut self, operator: Address, units: u128) -> Result<u64, Refusal> {
        let msg = MsgWithdrawBond { operator: operator.text(), amount_uxpl: units.to_string() };
        let msg = market::WithdrawBond::new(msg)?;
        Ok(self.run(operator, |ctx| market::withdraw_bond(ctx, msg))?.withdrawal_id)
    }

    pub fn submit(&mut self, msg: MsgSubmitJob) -> Result<u64, Refusal> {
        let msg = market::SubmitJob::new(msg)?;
        Ok(self.run(msg.signer(), |ctx| market::submit_job(ctx, msg))?.job_id)
    }

    pub fn cancel(&mut self, requester: Address, job_id: u64) -> Result<(), Refusal> {
        let msg = market::CancelJob::new(MsgCancelJob { requester: requester.text(), job_id })?;
        self.run(requester, |ctx| market::cancel_job(ctx, msg)).map(drop)
    }

    pub fn decline(&mut self, msg: MsgDeclineJob) -> Result<(), Refusal> {
        let msg = market::DeclineJob::new(msg)?;
        self.run(msg.signer(), |ctx| market::decline_job(ctx, msg)).map(drop)
    }

    pub fn receipt(&mut self, carrier: Address, msg: MsgSubmitReceipt) -> Result<Vec<u8>, Refusal> {
        let msg = attestation::SubmitReceipt::new(msg)?;
        Ok(self.run(carrier, |ctx| attestation::submit_receipt(ctx, msg))?.receipt_hash)
    }

    pub fn job(&self, id: u64) -> Job {
        market::job(&self.store, id).unwrap()
    }

    pub fn provider(&self, operator: Address) -> Option<Provider> {
        market::provider(&self.store, operator)
    }

    pub fn balance(&self, of: Address) -> u128 {
        token::balance(&self.store, of).units()
    }

    pub fn supply(&self) -> u128 {
        token::supply(&self.store, &Denom::uxpl()).units()
    }

    /// Opens a job and lets it be assigned.
    pub fn assigned(&mut self) -> Job {
        let id = self.submit(job_for(USERS[0], &self.model())).unwrap();
        self.end(2, 2);
        let job = self.job(id);
        assert_eq!(job.state(), JobState::Assigned);
        job
    }

    /// An honest answer to a job, and the money that it costs.
    pub fn answer(&self, job: &Job, n_out: u32) -> MsgSubmitReceipt {
        let token_ids: Vec<u32> = (0..n_out).collect();
        let output = Output { token_ids, text: "answer".into() };
        let ask = job.ask.as_ref().unwrap();
        let (n_fresh, n_cached) = (20, 5);
        let charge = market::charge(&job.terms.unwrap(), ask, n_fresh, n_cached, n_out);
        let full = n_out == job.max_tokens;
        let reason = if full { FinishReason::Length } else { FinishReason::Eos };
        let operator = Address::parse(&job.provider).unwrap();
        let receipt = Receipt {
            version: 1,
            chain_id: CHAIN.into(),
            job_id: job.id,
            attempt: job.attempt,
            receipt_key: key_of(operator).verifying_key().to_bytes().into(),
            model_id: job.model_id.clone(),
            kernel_id: "echo/1".into(),
            outcome: Outcome::Ok.into(),
            finish_reason: reason.into(),
            request_hash: job.request_hash.clone(),
            prompt_tokens_hash: tokens_hash(&[1, 2, 3]).into(),
            output_tokens_hash: tokens_hash(&output.token_ids).into(),
            response_hash: text_hash(&output.text).into(),
            n_fresh,
            n_cached,
            n_out,
            sampling: job.sampling,
            fingerprint_root: root(job),
            t_first_ms: 10,
            t_total_ms: 20,
            charge_uxpl: charge.text(),
            signature: vec![],
        };
        signed(
            MsgSubmitReceipt {
                carrier: operator.text(),
                receipt: Some(receipt),
                output: Some(output),
            },
            operator,
        )
    }

    pub fn failure(&self, job: &Job, outcome: Outcome) -> MsgSubmitReceipt {
        let mut msg = self.answer(job, 0);
        let receipt = msg.receipt.as_mut().unwrap();
        receipt.outcome = outcome.into();
        receipt.finish_reason = FinishReason::None.into();
        receipt.charge_uxpl = "0".into();
        receipt.response_hash = text_hash("").into();
        receipt.fingerprint_root = vec![];
        msg.output = None;
        signed(msg, Address::parse(&job.provider).unwrap())
    }
}

/// A root of evidence that no other job has.
pub fn root(job: &Job) -> Vec<u8> {
    plasma_modules::types::digest(&[b"evidence", &job.id.to_be_bytes()]).into()
}

/// With the signature that `by` makes.
pub fn signed(mut msg: MsgSubmitReceipt, by: Address) -> MsgSubmitReceipt {
    let receipt = msg.receipt.as_mut().unwrap();
    receipt.signature = key_of(by).sign(&receipt_digest(receipt)).to_bytes().into();
    msg
}

pub fn declination(job: &Job, by: Address) -> MsgDeclineJob {
    let mut msg = MsgDeclineJob {
        carrier: USERS[2].text(),
        job_id: job.id,
        attempt: job.attempt,
        reason: "no memory".into(),
        signature: vec![],
    };
    msg.signature = key_of(by).sign(&market::decline_digest(CHAIN, &msg)).to_bytes().into();
    msg
}

pub fn proof(operator: Address, key: &SigningKey) -> Vec<u8> {
    let public = key.verifying_key().to_bytes();
    key.sign(&market::register_digest(CHAIN, operator, &public)).to_bytes().into()
}

pub fn registration(operator: Address, bond: u128, asks: Vec<Ask>) -> MsgRegisterProvider {
    let key = key_of(operator);
    MsgRegisterProvider {
        operator: operator.text(),
        receipt_key: key.verifying_key().to_bytes().into(),
        receipt_key_proof: proof(operator, &key),
        endpoint: "http://127.0.0.1:8080".into(),
        tls_key_hash: vec![],
        hardware: Some(Hardware {
            device: "cpu".into(),
            backend: "cpu".into(),
            ..Hardware::default()
        }),
        region: "eu".into(),
        bond_uxpl: bond.to_string(),
        asks,
    }
}

pub fn update_of(operator: Address, asks: Vec<Ask>) -> MsgUpdateProvider {
    MsgUpdateProvider {
        operator: operator.text(),
        endpoint: "https://node.example".into(),
        asks,
        ..MsgUpdateProvider::default()
    }
}

pub fn ask(model_id: &[u8], slots: u32) -> Ask {
    Ask {
        model_id: model_id.into(),
        fresh_uxpl_per_mtok: 2_000_000,
        cached_uxpl_per_mtok: 500_000,
        output_uxpl_per_mtok: 6_000_000,
        slots,
    }
}

pub fn job_for(requester: Address, model_id: &[u8]) -> MsgSubmitJob {
    MsgSubmitJob {
        requester: requester.text(),
        model_id: model_id.into(),
        input: "What is the sum of two and two?".into(),
        max_tokens: 64,
        sampling: Some(Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 1 }),
        max_fee_uxpl: "100000".into(),
        deadline_unix_s: 0,
        stop: vec!["\n".into()],
        referral: REFERRAL.text(),
    }
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, codespace: &str, code: u32) {
    let refusal = result.expect_err("must be refused");
    assert_eq!((refusal.codespace, refusal.code), (codespace, code), "{refusal}");
}
