//! The market's promises: every bad input has its code, money is conserved on every path, and the
//! rooms agree with a simple model of them under random use.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use plasma_modules::{
    Address, Amount, BPS, Block, Ctx, Denom, FeePaid, Memory, Overlay, Recorded, Refusal, View,
    attestation::{self, receipt_digest, text_hash, tokens_hash},
    chain, market,
    query::Router,
    token,
};
use plasma_proto::plasma::{
    attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
    genesis::v1::{Balance, GenesisState, StakingGenesis},
    market::v1::*,
    staking::v1::Validator,
};
use proptest::prelude::*;
use prost::Message;

const CHAIN: &str = "plasma-test-1";
const XPL: u128 = 1_000_000;
const START: u128 = 1_000_000 * XPL;
const USERS: [Address; 3] = [Address([1; 20]), Address([2; 20]), Address([3; 20])];
const REFERRAL: Address = Address([8; 20]);
const PUBLISHER: Address = Address([9; 20]);
const OPERATORS: [Address; 3] = [Address([11; 20]), Address([12; 20]), Address([13; 20])];
const MONEY_MOVERS: [Address; 8] =
    [USERS[0], USERS[1], USERS[2], REFERRAL, PUBLISHER, OPERATORS[0], OPERATORS[1], OPERATORS[2]];

fn key_of(operator: Address) -> SigningKey {
    SigningKey::from_bytes(&[operator.0[0] ^ 0x80; 32])
}

fn params() -> Params {
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

fn manifest(name: &str) -> Manifest {
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

struct Net {
    store: Memory,
    block: Block,
    events: Vec<Recorded>,
    /// Fee that the next transactions say they paid; nobody takes it here.
    fee_units: u128,
}

fn genesis(params: Params) -> GenesisState {
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

fn block(height: u64, time_s: u64) -> Block {
    let beacon = plasma_modules::types::digest(&[b"test", &height.to_be_bytes()]);
    Block { chain_id: CHAIN.into(), height, time_s, beacon }
}

impl Net {
    fn new(params: Params) -> Self {
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN, 1_000, &genesis(params)).unwrap();
        Self { store, block: block(1, 1_000), events: vec![], fee_units: 0 }
    }

    /// A market with one model and every operator serving it.
    fn open(params: Params) -> Self {
        let mut net = Self::new(params);
        net.publish("base", 200).unwrap();
        for operator in OPERATORS {
            net.register(operator, 10 * XPL, vec![ask(&net.model(), 4)]).unwrap();
        }
        net
    }

    fn model(&self) -> Vec<u8> {
        market::model_id(&manifest("base")).to_vec()
    }

    /// Runs one transaction; what is refused changes nothing.
    fn run<T, E: Into<Refusal>>(
        &mut self,
        payer: Address,
        work: impl FnOnce(&mut Ctx<'_>) -> Result<T, E>,
    ) -> Result<T, Refusal> {
        let mut top = Overlay::new(&self.store);
        let mut fee = FeePaid { payer, left: Amount::new(self.fee_units) };
        let mut events = vec![];
        let done = work(&mut Ctx {
            store: &mut top,
            block: &self.block,
            events: &mut events,
            fee: &mut fee,
        })
        .map_err(Into::into)?;
        let writes = top.into_writes();
        self.store.apply(writes);
        self.events.extend(events);
        Ok(done)
    }

    fn end(&mut self, blocks: u64, seconds: u64) {
        for _ in 0..blocks {
            self.run(Address::default(), |ctx| {
                market::end_block(ctx);
                Ok::<_, Refusal>(())
            })
            .unwrap();
            chain::check_invariants(&self.store).unwrap();
            attestation::check_invariants(&self.store).unwrap();
            self.block = block(self.block.height + 1, self.block.time_s + seconds);
        }
    }

    fn publish(&mut self, name: &str, royalty_bps: u32) -> Result<Vec<u8>, Refusal> {
        self.publish_as(MsgPublishModel {
            publisher: PUBLISHER.text(),
            manifest: Some(manifest(name)),
            royalty_bps,
        })
    }

    fn publish_as(&mut self, msg: MsgPublishModel) -> Result<Vec<u8>, Refusal> {
        let msg = market::PublishModel::new(msg)?;
        Ok(self.run(PUBLISHER, |ctx| market::publish_model(ctx, msg))?.model_id)
    }

    fn register(&mut self, operator: Address, bond: u128, asks: Vec<Ask>) -> Result<(), Refusal> {
        self.register_as(registration(operator, bond, asks))
    }

    fn register_as(&mut self, msg: MsgRegisterProvider) -> Result<(), Refusal> {
        let msg = market::RegisterProvider::new(msg)?;
        self.run(msg.signer(), |ctx| market::register_provider(ctx, msg)).map(drop)
    }

    fn update(&mut self, msg: MsgUpdateProvider) -> Result<(), Refusal> {
        let msg = market::UpdateProvider::new(msg)?;
        self.run(msg.signer(), |ctx| market::update_provider(ctx, msg)).map(drop)
    }

    fn leave(&mut self, operator: Address) -> Result<(), Refusal> {
        let msg =
            market::DeregisterProvider::new(MsgDeregisterProvider { operator: operator.text() })?;
        self.run(operator, |ctx| market::deregister_provider(ctx, msg)).map(drop)
    }

    fn add_bond(&mut self, operator: Address, units: u128) -> Result<(), Refusal> {
        let amount_uxpl = units.to_string();
        let msg = market::AddBond::new(MsgAddBond { operator: operator.text(), amount_uxpl })?;
        self.run(operator, |ctx| market::add_bond(ctx, msg)).map(drop)
    }

    fn withdraw(&mut self, operator: Address, units: u128) -> Result<u64, Refusal> {
        let msg = MsgWithdrawBond { operator: operator.text(), amount_uxpl: units.to_string() };
        let msg = market::WithdrawBond::new(msg)?;
        Ok(self.run(operator, |ctx| market::withdraw_bond(ctx, msg))?.withdrawal_id)
    }

    fn submit(&mut self, msg: MsgSubmitJob) -> Result<u64, Refusal> {
        let msg = market::SubmitJob::new(msg)?;
        Ok(self.run(msg.signer(), |ctx| market::submit_job(ctx, msg))?.job_id)
    }

    fn cancel(&mut self, requester: Address, job_id: u64) -> Result<(), Refusal> {
        let msg = market::CancelJob::new(MsgCancelJob { requester: requester.text(), job_id })?;
        self.run(requester, |ctx| market::cancel_job(ctx, msg)).map(drop)
    }

    fn decline(&mut self, msg: MsgDeclineJob) -> Result<(), Refusal> {
        let msg = market::DeclineJob::new(msg)?;
        self.run(msg.signer(), |ctx| market::decline_job(ctx, msg)).map(drop)
    }

    fn receipt(&mut self, carrier: Address, msg: MsgSubmitReceipt) -> Result<Vec<u8>, Refusal> {
        let msg = attestation::SubmitReceipt::new(msg)?;
        Ok(self.run(carrier, |ctx| attestation::submit_receipt(ctx, msg))?.receipt_hash)
    }

    fn job(&self, id: u64) -> Job {
        market::job(&self.store, id).unwrap()
    }

    fn provider(&self, operator: Address) -> Option<Provider> {
        market::provider(&self.store, operator)
    }

    fn balance(&self, of: Address) -> u128 {
        token::balance(&self.store, of).units()
    }

    fn supply(&self) -> u128 {
        token::supply(&self.store, &Denom::uxpl()).units()
    }

    /// Opens a job and lets it be assigned.
    fn assigned(&mut self) -> Job {
        let id = self.submit(job_for(USERS[0], &self.model())).unwrap();
        self.end(2, 2);
        let job = self.job(id);
        assert_eq!(job.state(), JobState::Assigned);
        job
    }

    /// An honest answer to a job, and the money that it costs.
    fn answer(&self, job: &Job, n_out: u32) -> MsgSubmitReceipt {
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
            fingerprint_root: vec![],
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

    fn failure(&self, job: &Job, outcome: Outcome) -> MsgSubmitReceipt {
        let mut msg = self.answer(job, 0);
        let receipt = msg.receipt.as_mut().unwrap();
        receipt.outcome = outcome.into();
        receipt.finish_reason = FinishReason::None.into();
        receipt.charge_uxpl = "0".into();
        receipt.response_hash = text_hash("").into();
        msg.output = None;
        signed(msg, Address::parse(&job.provider).unwrap())
    }
}

/// With the signature that `by` makes.
fn signed(mut msg: MsgSubmitReceipt, by: Address) -> MsgSubmitReceipt {
    let receipt = msg.receipt.as_mut().unwrap();
    receipt.signature = key_of(by).sign(&receipt_digest(receipt)).to_bytes().into();
    msg
}

fn declination(job: &Job, by: Address) -> MsgDeclineJob {
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

fn proof(operator: Address, key: &SigningKey) -> Vec<u8> {
    let public = key.verifying_key().to_bytes();
    key.sign(&market::register_digest(CHAIN, operator, &public)).to_bytes().into()
}

fn registration(operator: Address, bond: u128, asks: Vec<Ask>) -> MsgRegisterProvider {
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

fn update_of(operator: Address, asks: Vec<Ask>) -> MsgUpdateProvider {
    MsgUpdateProvider {
        operator: operator.text(),
        endpoint: "https://node.example".into(),
        asks,
        ..MsgUpdateProvider::default()
    }
}

fn ask(model_id: &[u8], slots: u32) -> Ask {
    Ask {
        model_id: model_id.into(),
        fresh_uxpl_per_mtok: 2_000_000,
        cached_uxpl_per_mtok: 500_000,
        output_uxpl_per_mtok: 6_000_000,
        slots,
    }
}

fn job_for(requester: Address, model_id: &[u8]) -> MsgSubmitJob {
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
fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, codespace: &str, code: u32) {
    let refusal = result.expect_err("must be refused");
    assert_eq!((refusal.codespace, refusal.code), (codespace, code), "{refusal}");
}

#[test]
fn a_job_from_submission_to_the_last_uxpl() {
    let mut net = Net::open(params());
    net.fee_units = 7_000;
    let (supply, before) = (net.supply(), MONEY_MOVERS.map(|who| net.balance(who)));
    let job = net.assigned();
    assert_eq!(job.attempt, 1);
    let operator = Address::parse(&job.provider).unwrap();
    let locked = Amount::stored(&job.bond_locked_uxpl).units();
    // 2 * (31 + 32) + 6 * 64 + the duty fee's limit, all of it locked.
    assert_eq!(locked, 126 + 384 + 20_000);
    assert_eq!(net.provider(operator).unwrap().locked_uxpl, locked.to_string());

    let answer = net.answer(&job, 64);
    net.receipt(operator, answer.clone()).unwrap();
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Delivered, Outcome::Ok));
    // 20 * 2 + 5 * 0.5 + 64 * 6, rounded up.
    assert_eq!((job.charge_uxpl.as_str(), job.duty_fee_uxpl.as_str()), ("427", "7000"));
    assert_eq!(market::payload(&net.store, job.id).unwrap().output, answer.output);
    assert_eq!(
        market::offer(&net.store, &job.model_id.clone().try_into().unwrap(), operator)
            .unwrap()
            .busy,
        0
    );
    assert_eq!(net.provider(operator).unwrap().locked_uxpl, locked.to_string(), "until settlement");

    net.end(3, 6);
    assert_eq!(net.job(job.id).state(), JobState::Delivered);
    net.end(1, 6);
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Settled, Outcome::Ok));
    assert_eq!(job.refund_uxpl, (100_000 - 427 - 7_000).to_string());
    // Shares of 427: burn 34, stakers 12, royalty 8, referral 4, community 4; the rest provides.
    let payout = Payout {
        provider_uxpl: "365".into(),
        burn_uxpl: "34".into(),
        stakers_uxpl: "12".into(),
        royalty_uxpl: "8".into(),
        referral_uxpl: "4".into(),
        community_uxpl: "4".into(),
    };
    assert_eq!(job.payout, Some(payout));
    assert_eq!(net.supply(), supply - 34);
    let moved: BTreeMap<Address, i128> = MONEY_MOVERS
        .iter()
        .zip(before)
        .map(|(who, before)| {
            (*who, i128::try_from(net.balance(*who)).unwrap() - i128::try_from(before).unwrap())
        })
        .filter(|(_, moved)| *moved != 0)
        .collect();
    let expected = [(USERS[0], -7_427), (REFERRAL, 4), (PUBLISHER, 8), (operator, 7_000 + 365)];
    assert_eq!(moved, BTreeMap::from(expected));
    let provider = net.provider(operator).unwrap();
    assert_eq!((provider.locked_uxpl.as_str(), provider.jobs_settled), ("0", 1));
    assert_eq!(provider.earned_uxpl, "365");

    assert!(market::payload(&net.store, job.id).is_some());
    net.end(4, 1);
    assert!(market::payload(&net.store, job.id).is_none(), "forgotten");
    assert_eq!(attestation::receipt(&net.store, job.id).unwrap().receipt, answer.receipt);
}

#[test]
fn bad_jobs_have_their_codes() {
    let mut net = Net::open(params());
    let good = job_for(USERS[0], &net.model());
    let now = net.block.time_s;
    let sampling =
        |temperature_milli, top_p_milli| Some(Sampling { temperature_milli, top_p_milli, seed: 0 });
    let cases: Vec<(MsgSubmitJob, &str, u32)> = vec![
        (MsgSubmitJob { requester: "xpl1nobody".into(), ..good.clone() }, "sdk", 7),
        (MsgSubmitJob { referral: "cosmos1x".into(), ..good.clone() }, "sdk", 7),
        (MsgSubmitJob { max_fee_uxpl: "0".into(), ..good.clone() }, "sdk", 10),
        (MsgSubmitJob { max_fee_uxpl: "1.5".into(), ..good.clone() }, "sdk", 10),
        (MsgSubmitJob { max_fee_uxpl: (START * 2).to_string(), ..good.clone() }, "sdk", 5),
        (MsgSubmitJob { requester: Address([77; 20]).text(), ..good.clone() }, "sdk", 5),
        (MsgSubmitJob { model_id: vec![1; 31], ..good.clone() }, "market", 2),
        (MsgSubmitJob { model_id: vec![1; 32], ..good.clone() }, "market", 3),
        (MsgSubmitJob { input: String::new(), ..good.clone() }, "market", 18),
        (MsgSubmitJob { input: "x".repeat(16 * 1024 + 1), ..good.clone() }, "market", 18),
        (MsgSubmitJob { max_tokens: 0, ..good.clone() }, "market", 19),
        (MsgSubmitJob { max_tokens: 2_048, ..good.clone() }, "market", 19),
        (MsgSubmitJob { sampling: None, ..good.clone() }, "market", 20),
        (MsgSubmitJob { sampling: sampling(2_001, 1_000), ..good.clone() }, "market", 20),
        (MsgSubmitJob { sampling: sampling(0, 0), ..good.clone() }, "market", 20),
        (MsgSubmitJob { sampling: sampling(0, 1_001), ..good.clone() }, "market", 20),
        (MsgSubmitJob { stop: vec![String::new()], ..good.clone() }, "market", 21),
        (MsgSubmitJob { stop: vec!["x".repeat(65)], ..good.clone() }, "market", 21),
        (MsgSubmitJob { stop: vec!["x".into(); 5], ..good.clone() }, "market", 21),
        (MsgSubmitJob { max_fee_uxpl: "20009".into(), ..good.clone() }, "market", 22),
        (MsgSubmitJob { deadline_unix_s: now, ..good.clone() }, "market", 23),
        (MsgSubmitJob { deadline_unix_s: now + 61, ..good.clone() }, "market", 23),
        (MsgSubmitJob { referral: USERS[0].text(), ..good.clone() }, "market", 24),
        (
            MsgSubmitJob { referral: Address::of_module(market::ESCROW).text(), ..good.clone() },
            "market",
            24,
        ),
    ];
    let before = net.store.clone();
    for (msg, codespace, code) in cases {
        refused(net.submit(msg), codespace, code);
    }
    assert_eq!(net.store, before, "what is refused changes nothing");
    let short = net.submit(MsgSubmitJob { max_fee_uxpl: (START * 2).to_string(), ..good.clone() });
    let text = format!("the balance is {START}uxpl, the job needs {}uxpl", START * 2);
    assert!(short.unwrap_err().log.contains(&text));
    net.submit(MsgSubmitJob { deadline_unix_s: now + 60, ..good }).unwrap();
    refused(net.cancel(USERS[0], 9), "market", 4);
    refused(net.cancel(USERS[1], 1), "market", 25);
    net.cancel(USERS[0], 1).unwrap();
    refused(net.cancel(USERS[0], 1), "market", 26);
    assert_eq!(net.balance(USERS[0]), START);
    assert_eq!(net.job(1).outcome(), Outcome::ClientAbort);
    net.end(1, 1);
}

#[test]
fn bad_receipts_have_their_codes() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let other_job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    let stranger = OPERATORS.into_iter().find(|other| *other != operator).unwrap();
    let good = net.answer(&job, 40);
    let full = net.answer(&job, 64);

    type Change = Box<dyn Fn(&mut Receipt)>;
    let cases: Vec<(Change, u32)> = vec![
        (Box::new(|r| r.kernel_id = String::new()), 2),
        (Box::new(|r| r.kernel_id = "x".repeat(129)), 2),
        (Box::new(|r| r.prompt_tokens_hash = vec![]), 2),
        (Box::new(|r| r.sampling = None), 2),
        (Box::new(|r| r.version = 2), 3),
        (Box::new(|r| r.chain_id = "other-1".into()), 4),
        (Box::new(|r| r.job_id = 99), 5),
        (Box::new(|r| r.attempt = 2), 9),
        (Box::new(|r| r.attempt = 0), 9),
        (Box::new(move |r| r.receipt_key = key_of(stranger).verifying_key().to_bytes().into()), 11),
        (Box::new(|r| r.model_id = vec![1; 32]), 12),
        (Box::new(|r| r.request_hash = vec![1; 32]), 13),
        (Box::new(|r| r.sampling.as_mut().unwrap().seed = 2), 14),
        (Box::new(|r| r.n_fresh = 59), 17),
        (Box::new(|r| (r.n_fresh, r.n_cached) = (u32::MAX, u32::MAX)), 17),
        (Box::new(|r| (r.n_fresh, r.n_cached) = (0, 0)), 17),
        (Box::new(|r| r.n_out = 41), 18),
        (Box::new(|r| r.output_tokens_hash = vec![1; 32]), 19),
        (Box::new(|r| r.response_hash = vec![1; 32]), 20),
        (Box::new(|r| r.outcome = Outcome::Timeout.into()), 21),
        (Box::new(|r| r.outcome = 77), 21),
        (Box::new(|r| r.finish_reason = FinishReason::Length.into()), 22),
        (Box::new(|r| r.finish_reason = FinishReason::None.into()), 22),
        (Box::new(|r| r.finish_reason = 0), 22),
        (Box::new(|r| r.finish_reason = 77), 22),
        (
            Box::new(|r| {
                r.outcome = Outcome::HostError.into();
                r.finish_reason = FinishReason::None.into();
            }),
            23,
        ),
        (Box::new(|r| r.charge_uxpl = "1".into()), 24),
        (Box::new(|r| r.n_fresh = 21), 24),
        (Box::new(|r| r.fingerprint_root = vec![1; 32]), 25),
        (Box::new(|r| r.t_first_ms = 21), 26),
    ];
    let before = net.store.clone();
    for (change, code) in cases {
        let mut msg = good.clone();
        change(msg.receipt.as_mut().unwrap());
        refused(net.receipt(operator, signed(msg, operator)), "attestation", code);
    }
    // A receipt for one job is none for another.
    let mut moved = good.clone();
    moved.receipt.as_mut().unwrap().job_id = other_job.id;
    let result = net.receipt(operator, signed(moved, operator));
    let refusal = result.unwrap_err();
    assert_eq!(refusal.codespace, "attestation");
    assert!(matches!(refusal.code, 11 | 13 | 24), "{refusal}");
    // A signature by somebody else, or over something else.
    refused(net.receipt(operator, signed(good.clone(), stranger)), "attestation", 27);
    let mut forged = good.clone();
    forged.receipt.as_mut().unwrap().t_total_ms += 1;
    refused(net.receipt(operator, forged), "attestation", 27);
    let mut short = good.clone();
    short.receipt.as_mut().unwrap().signature.pop();
    refused(net.receipt(operator, short), "attestation", 2);
    // Too many tokens, too much text.
    refused(net.receipt(operator, net.answer(&job, 65)), "attestation", 16);
    let mut long = good.clone();
    long.output.as_mut().unwrap().text = "x".repeat(32 * 1024);
    long.receipt.as_mut().unwrap().response_hash = text_hash(&"x".repeat(32 * 1024)).into();
    refused(net.receipt(operator, signed(long, operator)), "attestation", 15);
    let mut bad_charge = good.clone();
    bad_charge.receipt.as_mut().unwrap().charge_uxpl = "many".into();
    refused(net.receipt(operator, bad_charge), "sdk", 10);
    assert_eq!(net.store, before, "what is refused changes nothing");

    // Anybody may carry it.
    net.receipt(USERS[1], full.clone()).unwrap();
    refused(net.receipt(USERS[1], full), "attestation", 6);
    refused(net.receipt(USERS[1], good), "attestation", 7);
    refused(net.decline(declination(&job, operator)), "market", 27);

    // Late, with the timer not yet run.
    let late = net.answer(&other_job, 40);
    net.block = block(net.block.height + 3, net.block.time_s + 10);
    refused(net.receipt(operator, late.clone()), "attestation", 10);
    net.end(1, 1);
    refused(net.receipt(operator, late), "attestation", 8);
}

#[test]
fn stop_needs_stop_strings() {
    let mut net = Net::open(params());
    let msg = MsgSubmitJob { stop: vec![], ..job_for(USERS[0], &net.model()) };
    let id = net.submit(msg).unwrap();
    net.end(2, 1);
    let job = net.job(id);
    let operator = Address::parse(&job.provider).unwrap();
    let mut msg = net.answer(&job, 10);
    msg.receipt.as_mut().unwrap().finish_reason = FinishReason::Stop.into();
    refused(net.receipt(operator, signed(msg, operator)), "attestation", 22);
}

#[test]
fn declined_by_all_is_refunded_as_refused() {
    let mut net = Net::open(params());
    let id = net.assigned().id;
    let mut seen = vec![];
    for attempt in 1..=3 {
        let job = net.job(id);
        assert_eq!((job.state(), job.attempt), (JobState::Assigned, attempt));
        let operator = Address::parse(&job.provider).unwrap();
        assert!(!seen.contains(&operator), "nobody is asked twice");
        seen.push(operator);
        let stranger = OPERATORS.into_iter().find(|other| *other != operator).unwrap();
        refused(net.decline(declination(&job, stranger)), "market", 29);
        let stale = Job { attempt: attempt + 1, ..job.clone() };
        refused(net.decline(declination(&stale, operator)), "market", 28);
        net.decline(declination(&job, operator)).unwrap();
        let stats = net.provider(operator).unwrap();
        assert_eq!(
            (stats.jobs_failed, stats.failure_bps, stats.locked_uxpl.as_str()),
            (1, 625, "0")
        );
        if attempt < 3 {
            let waiting = net.job(id);
            assert_eq!(waiting.state(), JobState::Open);
            let since = (waiting.assigned_height, waiting.assigned_s);
            assert_eq!(since, (net.block.height, net.block.time_s));
            net.end(1, 1);
            assert_eq!(net.job(id).state(), JobState::Open, "not with the beacon of its block");
            net.end(1, 1);
        }
    }
    let job = net.job(id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::Refused));
    assert_eq!(net.balance(USERS[0]), START);
    net.end(6, 1);
    assert!(market::payload(&net.store, id).is_none());
}

#[test]
fn a_silent_provider_times_out_by_blocks_and_time() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    net.end(8, 1);
    assert_eq!(net.job(job.id).state(), JobState::Assigned, "blocks alone do not");
    net.end(3, 1);
    let again = net.job(job.id);
    assert_eq!((again.state(), again.attempt), (JobState::Assigned, 2));
    assert_ne!(again.provider, job.provider);
    assert_eq!(net.provider(operator).unwrap().jobs_failed, 1);
    assert!(net.events.iter().any(|event| event.kind == "job_timed_out"));
    // The deadline passes meanwhile: no third provider.
    net.end(1, 60);
    assert_eq!(net.job(job.id).state(), JobState::Assigned, "time alone does not");
    net.end(4, 1);
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::Timeout));
    assert_eq!(net.balance(USERS[0]), START);
}

#[test]
fn a_host_error_is_a_decline_and_a_client_fault_hurts_no_host() {
    let mut net = Net::open(params());
    net.fee_units = 30_000;
    let job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.failure(&job, Outcome::HostError)).unwrap();
    assert_eq!(net.provider(operator).unwrap().jobs_failed, 1);
    assert_eq!(net.balance(operator), START - 10 * XPL, "no fee comes back");
    assert!(attestation::receipt(&net.store, job.id).is_none());
    net.end(2, 1);

    let job = net.job(job.id);
    assert_eq!((job.state(), job.attempt), (JobState::Assigned, 2));
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.failure(&job, Outcome::ClientFault)).unwrap();
    assert_eq!(net.provider(operator).unwrap().jobs_failed, 0);
    let job = net.job(job.id);
    assert_eq!((job.state(), job.outcome()), (JobState::Refunded, Outcome::ClientFault));
    assert_eq!(net.balance(operator), START - 10 * XPL + 20_000, "at most the terms' limit");
    assert_eq!(net.balance(USERS[0]), START - 20_000);
    assert!(attestation::receipt(&net.store, job.id).is_some());
    net.end(1, 1);
}

#[test]
fn one_fee_is_given_back_once() {
    let mut net = Net::open(params());
    net.fee_units = 25_000;
    let jobs = [net.assigned(), net.assigned()];
    let receipts =
        jobs.each_ref().map(|job| attestation::SubmitReceipt::new(net.answer(job, 3)).unwrap());
    net.run(REFERRAL, |ctx| {
        for receipt in receipts {
            attestation::submit_receipt(ctx, receipt)?;
        }
        Ok::<_, attestation::Error>(())
    })
    .unwrap();
    assert_eq!(net.balance(REFERRAL), START + 25_000);
    let fees = jobs.each_ref().map(|job| net.job(job.id).duty_fee_uxpl);
    assert_eq!(fees, ["20000", "5000"]);
    net.end(5, 10);
}

#[test]
fn bad_providers_have_their_codes() {
    let mut net = Net::new(params());
    let model = net.publish("base", 0).unwrap();
    let operator = OPERATORS[0];
    let good = registration(operator, 5 * XPL, vec![ask(&model, 2)]);
    let with = |change: &dyn Fn(&mut MsgRegisterProvider)| {
        let mut msg = good.clone();
        change(&mut msg);
        msg
    };
    let ask_with = |change: &dyn Fn(&mut Ask)| {
        let mut ask = ask(&model, 2);
        change(&mut ask);
        with(&|m| m.asks = vec![ask.clone()])
    };
    let cases = vec![
        (with(&|m| m.operator = "?".into()), "sdk", 7),
        (with(&|m| m.bond_uxpl = String::new()), "sdk", 10),
        (with(&|m| m.bond_uxpl = (START + 1).to_string()), "sdk", 5),
        (with(&|m| m.receipt_key = vec![1; 31]), "market", 2),
        (with(&|m| m.receipt_key_proof = vec![1; 63]), "market", 2),
        (with(&|m| m.endpoint = "ftp://x".into()), "market", 2),
        (with(&|m| m.tls_key_hash = vec![1]), "market", 2),
        (with(&|m| m.region = "x".repeat(129)), "market", 2),
        (with(&|m| m.receipt_key_proof = vec![1; 64]), "market", 8),
        (with(&|m| m.receipt_key_proof = proof(OPERATORS[1], &key_of(operator))), "market", 8),
        (with(&|m| m.asks = vec![ask(&model, 2); 2]), "market", 10),
        (with(&|m| m.asks = vec![ask(&[1; 32], 2)]), "market", 3),
        (ask_with(&|a| a.slots = 0), "market", 10),
        (ask_with(&|a| a.slots = 1_025), "market", 10),
        (ask_with(&|a| a.cached_uxpl_per_mtok = 2_000_001), "market", 10),
        (ask_with(&|a| a.output_uxpl_per_mtok = 1_000_000_000_001), "market", 10),
        (with(&|m| m.asks = (0..65u8).map(|i| ask(&[i; 32], 1)).collect()), "market", 9),
    ];
    let before = net.store.clone();
    for (msg, codespace, code) in cases {
        refused(net.register_as(msg), codespace, code);
    }
    refused(net.update(update_of(operator, vec![])), "market", 5);
    refused(net.add_bond(operator, 1), "market", 5);
    refused(net.leave(operator), "market", 5);
    assert_eq!(net.store, before, "what is refused changes nothing");

    net.register_as(good.clone()).unwrap();
    refused(net.register_as(good), "market", 6);
    let mut thief = registration(OPERATORS[1], 0, vec![]);
    thief.receipt_key = key_of(operator).verifying_key().to_bytes().into();
    thief.receipt_key_proof = proof(OPERATORS[1], &key_of(operator));
    refused(net.register_as(thief), "market", 7);

    refused(net.add_bond(operator, 0), "sdk", 10);
    refused(net.withdraw(operator, 5 * XPL + 1), "market", 13);
    for _ in 0..3 {
        net.withdraw(operator, 1).unwrap();
    }
    refused(net.withdraw(operator, 1), "market", 14);
    net.end(5, 2);
    assert_eq!(net.provider(operator).unwrap().queued_uxpl, "3", "blocks alone do not");
    net.end(10, 2);
    assert_eq!(net.provider(operator).unwrap().bond_uxpl, (5 * XPL - 3).to_string());

    net.leave(operator).unwrap();
    refused(net.leave(operator), "market", 11);
    refused(net.add_bond(operator, 1), "market", 11);
    refused(net.withdraw(operator, 1), "market", 11);
    refused(net.update(update_of(operator, vec![])), "market", 11);
    net.end(15, 3);
    assert!(net.provider(operator).is_none());
    assert_eq!(net.balance(operator), START);
    net.register(operator, 1, vec![]).unwrap();
}

#[test]
fn an_offer_taken_back_goes_with_its_last_job() {
    let mut net = Net::new(params());
    let model = net.publish("base", 0).unwrap();
    net.register(OPERATORS[0], 10 * XPL, vec![ask(&model, 2)]).unwrap();
    let id: [u8; 32] = model.clone().try_into().unwrap();
    let job = net.assigned();
    let rotated = SigningKey::from_bytes(&[0x77; 32]);
    let rotation = MsgUpdateProvider {
        receipt_key: rotated.verifying_key().to_bytes().into(),
        receipt_key_proof: proof(OPERATORS[0], &rotated),
        ..update_of(OPERATORS[0], vec![])
    };
    refused(net.update(rotation.clone()), "market", 12);
    net.update(update_of(OPERATORS[0], vec![])).unwrap();
    let offer = market::offer(&net.store, &id, OPERATORS[0]).unwrap();
    assert_eq!((offer.busy, offer.ask.unwrap().slots), (1, 0));
    net.submit(job_for(USERS[1], &model)).unwrap();
    net.end(2, 1);
    assert_eq!(net.job(job.id + 1).state(), JobState::Open, "nobody takes it");
    net.receipt(OPERATORS[0], net.answer(&job, 3)).unwrap();
    assert!(market::offer(&net.store, &id, OPERATORS[0]).is_none());
    net.update(rotation).unwrap();
    net.end(20, 5);
    assert_eq!(net.job(job.id).state(), JobState::Settled);
    assert_eq!(net.job(job.id + 1).outcome(), Outcome::Timeout, "its deadline passed");
    assert_eq!(net.balance(USERS[1]), START);
}

#[test]
fn nobody_leaves_while_a_job_is_under_way() {
    let mut net = Net::new(Params { unbond_blocks: 1, unbond_s: 0, ..params() });
    let model = net.publish("base", 0).unwrap();
    net.register(OPERATORS[0], 10 * XPL, vec![ask(&model, 2)]).unwrap();
    let job = net.assigned();
    net.leave(OPERATORS[0]).unwrap();
    net.end(2, 2);
    net.receipt(OPERATORS[0], net.answer(&job, 3)).unwrap();
    net.end(3, 2);
    assert!(net.provider(OPERATORS[0]).is_some(), "its windows have passed, its job has not");
    net.end(30, 2);
    assert_eq!(net.job(job.id).state(), JobState::Settled);
    assert!(net.provider(OPERATORS[0]).is_none());
    assert_eq!(net.balance(Address::of_module(market::BONDS)), 0);
}

#[test]
fn a_bond_backs_no_two_jobs() {
    let mut net = Net::new(Params { bond_min_uxpl: 20_000, ..params() });
    let model = net.publish("base", 0).unwrap();
    // A job locks 20,510.
    net.register(OPERATORS[0], 3 * 20_510 - 1, vec![ask(&model, 9)]).unwrap();
    for _ in 0..4 {
        net.submit(job_for(USERS[0], &model)).unwrap();
    }
    net.end(2, 1);
    let assigned = (1..=4).filter(|id| net.job(*id).state() == JobState::Assigned).count();
    assert_eq!(assigned, 2);
    refused(net.withdraw(OPERATORS[0], 20_510), "market", 13);
    net.withdraw(OPERATORS[0], 20_509).unwrap();
}

#[test]
fn bad_models_have_their_codes() {
    let mut net = Net::new(params());
    let file = manifest("base").files[0].clone();
    let with = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = manifest("base");
        change(&mut manifest);
        MsgPublishModel { publisher: PUBLISHER.text(), manifest: Some(manifest), royalty_bps: 0 }
    };
    let path =
        |path: &str| with(&|m| m.files = vec![ModelFile { path: path.into(), ..file.clone() }]);
    let many = |i: u32| ModelFile { path: format!("f{i}"), ..file.clone() };
    let long = |i: u32| ModelFile { path: format!("{}{i}", "x".repeat(240)), ..file.clone() };
    let cases = vec![
        (MsgPublishModel { manifest: None, ..with(&|_| {}) }, 15),
        (with(&|m| m.name = String::new()), 2),
        (with(&|m| m.name = "x".repeat(129)), 2),
        (with(&|m| m.files = vec![]), 15),
        (with(&|m| m.files = vec![file.clone(); 2]), 15),
        (with(&|m| m.files[0].sha256 = vec![1]), 15),
        (with(&|m| m.files[0].size_bytes = 0), 15),
        (with(&|m| m.context_tokens = 32), 15),
        (with(&|m| m.base_model = vec![1; 3]), 15),
        (with(&|m| m.base_model = vec![1; 32]), 15),
        (with(&|m| m.files = (0..257).map(many).collect()), 15),
        (with(&|m| m.files = (0..256).map(long).collect()), 15),
        (path("../x"), 15),
        (path("/x"), 15),
        (MsgPublishModel { royalty_bps: 1_001, ..with(&|_| {}) }, 17),
    ];
    for (msg, code) in cases {
        refused(net.publish_as(msg), "market", code);
    }
    let base = net.publish_as(with(&|_| {})).unwrap();
    refused(net.publish_as(with(&|_| {})), "market", 16);
    net.publish_as(with(&|m| m.base_model = base.clone())).unwrap();
}

#[test]
fn a_chain_goes_on_from_its_export() {
    let mut net = Net::open(params());
    net.fee_units = 100;
    for user in USERS {
        net.submit(job_for(user, &net.model())).unwrap();
    }
    net.end(2, 2);
    let job = net.job(1);
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.answer(&job, 9)).unwrap();
    net.submit(job_for(USERS[0], &net.model())).unwrap();
    net.withdraw(OPERATORS[0], 77).unwrap();
    let leaver = OPERATORS[2];
    net.leave(leaver).unwrap();
    net.end(1, 1);
    let exported = chain::export(&net.store);
    let mut again = Memory::default();
    chain::init(&mut again, CHAIN, net.block.time_s, &exported).unwrap();
    assert_eq!(chain::export(&again), exported);
    net.store = again;
    net.end(40, 5);
    assert_eq!(net.job(1).state(), JobState::Settled);
    assert!(net.provider(leaver).is_none());

    let mut broken = exported.clone();
    broken.market.as_mut().unwrap().timers.pop();
    assert!(chain::init(&mut Memory::default(), CHAIN, 1, &broken).is_err());
    let mut broken = exported;
    broken.market.as_mut().unwrap().jobs[0].requester = "nobody".into();
    assert!(chain::init(&mut Memory::default(), CHAIN, 1, &broken).is_err());
}

#[test]
fn work_per_block_is_bounded_and_everybody_comes_to_turn() {
    let bounds = Params { matches_per_block_max: 2, timers_per_block_max: 2, ..params() };
    let mut net = Net::open(bounds);
    let jobs: Vec<u64> =
        (0..9).map(|_| net.submit(job_for(USERS[0], &net.model())).unwrap()).collect();
    let assigned =
        |net: &Net| jobs.iter().filter(|id| net.job(**id).state() == JobState::Assigned).count();
    // A deadline's move to its second stage is work too, so timers lag; matching does not wait.
    let mut counts = vec![];
    for _ in 0..6 {
        net.end(1, 1);
        counts.push(assigned(&net));
    }
    assert!(counts.windows(2).all(|pair| pair[1] <= pair[0] + 2), "{counts:?}");
    assert_eq!(counts.last(), Some(&9), "{counts:?}");
    net.end(200, 5);
    assert!(jobs.iter().all(|id| net.job(*id).state() == JobState::Refunded));
    assert_eq!(net.balance(USERS[0]), START);
}

#[test]
fn jobs_that_nobody_takes_hold_up_no_others() {
    let mut net = Net::open(Params { matches_per_block_max: 2, ..params() });
    let poor = MsgSubmitJob { max_fee_uxpl: "20010".into(), ..job_for(USERS[0], &net.model()) };
    for _ in 0..4 {
        net.submit(poor.clone()).unwrap();
    }
    let last = net.submit(job_for(USERS[1], &net.model())).unwrap();
    net.end(4, 1);
    assert_eq!(net.job(last).state(), JobState::Assigned);
    assert!((1..=4).all(|id| net.job(id).state() == JobState::Open));
}

#[test]
fn matching_takes_only_those_that_can() {
    let mut net = Net::new(params());
    let model = net.publish("base", 0).unwrap();
    // Too little bond, too dear, and one that fits.
    net.register(OPERATORS[0], XPL - 1, vec![ask(&model, 4)]).unwrap();
    let dear = Ask { output_uxpl_per_mtok: 2_000_000_000, ..ask(&model, 4) };
    net.register(OPERATORS[1], 10 * XPL, vec![dear]).unwrap();
    net.register(OPERATORS[2], 10 * XPL, vec![ask(&model, 2)]).unwrap();
    for _ in 0..5 {
        net.submit(job_for(USERS[0], &model)).unwrap();
    }
    net.end(4, 1);
    let states: Vec<_> = (1..=5).map(|id| net.job(id).state()).collect();
    assert_eq!(
        states.iter().filter(|state| **state == JobState::Assigned).count(),
        2,
        "{states:?}"
    );
    assert!((1..=5).all(|id| ["", &OPERATORS[2].text()].contains(&net.job(id).provider.as_str())));
}

#[test]
fn an_appointment_that_fails_holds_up_nobody() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let operator = Address::parse(&job.provider).unwrap();
    net.receipt(operator, net.answer(&job, 9)).unwrap();
    net.withdraw(OPERATORS[1], 5).unwrap();
    let escrow = Address::of_module(market::ESCROW);
    let held = Amount::new(net.balance(escrow));
    net.run(escrow, |ctx| token::transfer(ctx, escrow, USERS[1], held)).unwrap();
    let end = |net: &mut Net, blocks| {
        for _ in 0..blocks {
            net.run(escrow, |ctx| {
                market::end_block(ctx);
                Ok::<_, Refusal>(())
            })
            .unwrap();
            net.block = block(net.block.height + 1, net.block.time_s + 5);
        }
    };
    end(&mut net, 10);
    assert!(net.events.iter().any(|event| event.kind == "timer_failed"));
    assert_eq!(net.job(job.id).state(), JobState::Delivered, "what failed left nothing behind");
    assert_eq!(net.provider(OPERATORS[1]).unwrap().queued_uxpl, "0", "others were served");
    net.run(escrow, |ctx| token::transfer(ctx, USERS[1], escrow, held)).unwrap();
    end(&mut net, 100);
    assert_eq!(net.job(job.id).state(), JobState::Settled, "it was tried again");
    net.end(1, 1);
}

#[test]
fn questions_are_answered() {
    let mut net = Net::open(params());
    let job = net.assigned();
    let waiting = net.submit(job_for(USERS[0], &net.model())).unwrap();
    let router = Router::new();
    let view = View { store: &net.store, block: &net.block };
    let call = |path: &str, request: Vec<u8>| {
        router.call(&format!("/plasma.market.v1.Query/{path}"), &view, &request)
    };
    let jobs = |request: QueryJobsRequest| {
        let bytes = call("Jobs", request.encode_to_vec())?;
        let found = QueryJobsResponse::decode(&bytes[..]).unwrap();
        Ok::<_, plasma_modules::query::QueryError>(
            found.jobs.into_iter().map(|job| job.id).collect::<Vec<_>>(),
        )
    };
    let state = |state: JobState| QueryJobsRequest { state: state.into(), ..Default::default() };
    let by = |requester: &str, provider: &str, state: JobState| QueryJobsRequest {
        requester: requester.into(),
        provider: provider.into(),
        state: state.into(),
        pagination: None,
    };
    let user = USERS[0].text();
    assert_eq!(jobs(state(JobState::Unspecified)).unwrap(), [job.id, waiting]);
    assert_eq!(jobs(state(JobState::Open)).unwrap(), [waiting]);
    assert_eq!(jobs(by(&user, "", JobState::Unspecified)).unwrap(), [job.id, waiting]);
    assert_eq!(jobs(by(&user, "", JobState::Assigned)).unwrap(), [job.id]);
    assert_eq!(jobs(by("", &job.provider, JobState::Unspecified)).unwrap(), [job.id]);
    assert_eq!(jobs(by("", &job.provider, JobState::Settled)).unwrap(), [0u64; 0]);
    assert!(jobs(by(&user, &job.provider, JobState::Open)).is_err());

    let found = call("Job", QueryJobRequest { job_id: job.id }.encode_to_vec()).unwrap();
    let found = QueryJobResponse::decode(&found[..]).unwrap();
    assert_eq!(found.job, Some(job.clone()));
    assert!(found.payload.is_some());
    assert!(call("Job", QueryJobRequest { job_id: 99 }.encode_to_vec()).is_err());
    let request = QueryProviderRequest { operator: job.provider.clone() }.encode_to_vec();
    let provider = QueryProviderResponse::decode(&call("Provider", request).unwrap()[..]).unwrap();
    assert_eq!(provider.offers[0].busy, 1);
    let model_id: String = net.model().iter().map(|byte| format!("{byte:02x}")).collect();
    let request = QueryOffersRequest { model_id, pagination: None }.encode_to_vec();
    let offers = QueryOffersResponse::decode(&call("Offers", request).unwrap()[..]).unwrap();
    assert_eq!(offers.offers.len(), 3);
    for path in ["Params", "Providers", "Models", "Totals"] {
        call(path, vec![]).unwrap();
    }
}

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Act {
    Submit { user: usize, fee: u128, tokens: u32, deadline_s: u64, referral: bool },
    Cancel { user: usize, job: usize },
    Decline { job: usize },
    Answer { job: usize, outcome: u8, n_out: u32, fee: u128 },
    Register { operator: usize, bond: u128, price: u64 },
    AddBond { operator: usize, units: u128 },
    Withdraw { operator: usize, units: u128 },
    Update { operator: usize, price: u64, slots: u32 },
    Leave { operator: usize },
    Block { seconds: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3usize, 20_000u128..40_000, 1u32..100, 1u64..61, any::<bool>()).prop_map(
            |(user, fee, tokens, deadline_s, referral)| Act::Submit { user, fee, tokens, deadline_s, referral }
        ),
        1 => (0..3usize, 0..20usize).prop_map(|(user, job)| Act::Cancel { user, job }),
        1 => (0..20usize).prop_map(|job| Act::Decline { job }),
        4 => (0..20usize, 0..8u8, 0u32..100, 0u128..30_000)
            .prop_map(|(job, outcome, n_out, fee)| Act::Answer { job, outcome, n_out, fee }),
        1 => (0..3usize, 0u128..100_000, 0u64..10_000_000)
            .prop_map(|(operator, bond, price)| Act::Register { operator, bond, price }),
        1 => (0..3usize, 1u128..60_000).prop_map(|(operator, units)| Act::AddBond { operator, units }),
        1 => (0..3usize, 1u128..60_000).prop_map(|(operator, units)| Act::Withdraw { operator, units }),
        1 => (0..3usize, 0u64..10_000_000, 0u32..4)
            .prop_map(|(operator, price, slots)| Act::Update { operator, price, slots }),
        1 => (0..3usize).prop_map(|operator| Act::Leave { operator }),
        8 => (0u64..15).prop_map(|seconds| Act::Block { seconds }),
    ]
}

/// What a plain reading of the rules says about money and states.
#[derive(Default)]
struct Model {
    balances: BTreeMap<Address, u128>,
    burned: u128,
    jobs: BTreeMap<u64, Job>,
    withdrawals: BTreeMap<u64, (Address, u128, u64, u64)>,
    /// Bond, leaving since (height, time).
    providers: BTreeMap<Address, (u128, Option<(u64, u64)>)>,
}

impl Model {
    fn pay(&mut self, to: Address, units: u128) {
        *self.balances.get_mut(&to).unwrap() += units;
    }

    fn take(&mut self, from: Address, units: u128) {
        *self.balances.get_mut(&from).unwrap() -= units;
    }

    /// What came of each job since it was last looked at, and whether that may be.
    fn follow(&mut self, net: &Net, at: &Block) {
        let ids: Vec<u64> = self.jobs.keys().copied().collect();
        for id in ids {
            let (old, new) = (self.jobs[&id].clone(), net.job(id));
            let terms = new.terms.unwrap();
            let passed = |height: u64, blocks: u64, time_s: u64, seconds: u64| {
                at.height >= height + blocks && at.time_s >= time_s + seconds
            };
            match old.state() {
                JobState::Open => {
                    let since =
                        if old.attempt == 0 { old.opened_height } else { old.assigned_height };
                    if at.time_s >= old.deadline_s {
                        assert_eq!(
                            (new.state(), new.outcome()),
                            (JobState::Refunded, Outcome::Timeout)
                        );
                    } else if new.state() != JobState::Open {
                        assert_eq!(
                            (new.state(), new.attempt),
                            (JobState::Assigned, old.attempt + 1)
                        );
                        assert!(since < at.height, "matched with a later beacon");
                        assert!(!old.tried.contains(&new.provider));
                    }
                }
                JobState::Assigned => {
                    let (blocks, seconds) = (terms.assign_timeout_blocks, terms.assign_timeout_s);
                    if passed(old.assigned_height, blocks, old.assigned_s, seconds) {
                        let last = old.attempt == 3 || at.time_s >= old.deadline_s;
                        let then = if last { JobState::Refunded } else { JobState::Open };
                        assert_eq!(new.state(), then);
                        assert_eq!(new.tried.len(), old.tried.len() + 1);
                    } else {
                        assert_eq!(new.state(), JobState::Assigned);
                    }
                }
                JobState::Delivered => {
                    let (blocks, seconds) = (terms.dispute_window_blocks, terms.dispute_window_s);
                    let due = passed(old.delivered_height, blocks, old.delivered_s, seconds);
                    let then = if due { JobState::Settled } else { JobState::Delivered };
                    assert_eq!(new.state(), then);
                }
                _ => assert_eq!(old, new, "an ended job stays as it is"),
            }
            self.settle_up(&old, &new);
            self.jobs.insert(id, new);
        }
    }

    /// Moves the money of a job that has ended.
    fn settle_up(&mut self, old: &Job, new: &Job) {
        let units = |text: &str| text.parse::<u128>().unwrap();
        let ended = |job: &Job| matches!(job.state(), JobState::Settled | JobState::Refunded);
        if ended(old) || !ended(new) {
            return;
        }
        let (paid, duty) = (units(&new.max_fee_uxpl), units(&new.duty_fee_uxpl));
        let charge = if new.state() == JobState::Settled { units(&new.charge_uxpl) } else { 0 };
        let requester = Address::parse(&new.requester).unwrap();
        self.pay(requester, paid - charge - duty);
        if charge == 0 {
            return;
        }
        // 8 % burned, 3 % to stakers, 2 % royalty, 1 % referral, 1 % community, rounded down.
        let part = |bps: u128| charge * bps / u128::from(BPS);
        let provider = charge - part(800) - part(300) - part(200) - part(100) - part(100);
        self.burned += part(800);
        self.pay(PUBLISHER, part(200));
        if new.referral.is_empty() {
            self.burned += part(100);
        } else {
            self.pay(REFERRAL, part(100));
        }
        let operator = Address::parse(&new.provider).unwrap();
        self.pay(operator, provider);
    }
}

fn price(model_id: &[u8], price: u64, slots: u32) -> Ask {
    Ask {
        model_id: model_id.into(),
        fresh_uxpl_per_mtok: price,
        cached_uxpl_per_mtok: price / 2,
        output_uxpl_per_mtok: price * 2,
        slots,
    }
}

fn play(acts: Vec<Act>) {
    // Bonds that hold a few jobs each, and windows shorter than a job's.
    let tight = Params { bond_min_uxpl: 30_000, unbond_blocks: 2, unbond_s: 8, ..params() };
    let mut net = Net::new(tight);
    let model_id = net.publish("base", 200).unwrap();
    let supply = net.supply();
    let mut model = Model::default();
    model.balances.extend(MONEY_MOVERS.map(|who| (who, START)));
    for act in acts {
        match act {
            Act::Submit { user, fee, tokens, deadline_s, referral } => {
                let msg = MsgSubmitJob {
                    max_fee_uxpl: fee.to_string(),
                    max_tokens: tokens,
                    deadline_unix_s: net.block.time_s + deadline_s,
                    referral: if referral { REFERRAL.text() } else { String::new() },
                    ..job_for(USERS[user], &model_id)
                };
                let result = net.submit(msg);
                assert_eq!(result.is_ok(), fee >= 20_010, "{result:?}");
                if let Ok(id) = result {
                    model.take(USERS[user], fee);
                    model.jobs.insert(id, net.job(id));
                }
            }
            Act::Cancel { user, job } => {
                let id = job as u64 + 1;
                let result = net.cancel(USERS[user], id);
                let old = model.jobs.get(&id).cloned();
                let may = old.as_ref().is_some_and(|job| {
                    job.state() == JobState::Open && job.requester == USERS[user].text()
                });
                assert_eq!(result.is_ok(), may, "{result:?}");
                if let (true, Some(old)) = (may, old) {
                    let new = net.job(id);
                    model.settle_up(&old, &new);
                    model.jobs.insert(id, new);
                }
            }
            Act::Decline { job } => {
                let Some(old) = model.jobs.get(&(job as u64 + 1)).cloned() else { continue };
                let by = Address::parse(&old.provider).unwrap_or(OPERATORS[0]);
                let result = net.decline(declination(&old, by));
                assert_eq!(result.is_ok(), old.state() == JobState::Assigned, "{result:?}");
                if result.is_ok() {
                    let new = net.job(old.id);
                    model.settle_up(&old, &new);
                    model.jobs.insert(old.id, new);
                }
            }
            Act::Answer { job, outcome, n_out, fee } => {
                let Some(old) = model.jobs.get(&(job as u64 + 1)).cloned() else { continue };
                if old.provider.is_empty() {
                    continue;
                }
                let msg = match outcome {
                    0 => net.failure(&old, Outcome::HostError),
                    1 => net.failure(&old, Outcome::ClientFault),
                    _ => net.answer(&old, n_out.min(old.max_tokens)),
                };
                let operator = Address::parse(&old.provider).unwrap();
                net.fee_units = fee;
                let result = net.receipt(operator, msg);
                net.fee_units = 0;
                let late = net.block.height >= old.assigned_height + 3
                    && net.block.time_s >= old.assigned_s + 10;
                let may = old.state() == JobState::Assigned && !late;
                assert_eq!(result.is_ok(), may, "{result:?}");
                if may {
                    let new = net.job(old.id);
                    if outcome > 0 {
                        model.pay(operator, fee.min(20_000));
                        assert_eq!(new.duty_fee_uxpl, fee.min(20_000).to_string());
                    }
                    model.settle_up(&old, &new);
                    model.jobs.insert(old.id, new);
                }
            }
            Act::Register { operator, bond, price: at } => {
                let who = OPERATORS[operator];
                let result = net.register(who, bond, vec![price(&model_id, at, 2)]);
                assert_eq!(result.is_ok(), !model.providers.contains_key(&who), "{result:?}");
                if result.is_ok() {
                    model.take(who, bond);
                    model.providers.insert(who, (bond, None));
                }
            }
            Act::AddBond { operator, units } => {
                let who = OPERATORS[operator];
                let result = net.add_bond(who, units);
                let stays = model.providers.get(&who).is_some_and(|(_, leaves)| leaves.is_none());
                assert_eq!(result.is_ok(), stays, "{result:?}");
                if stays {
                    model.take(who, units);
                    model.providers.get_mut(&who).unwrap().0 += units;
                }
            }
            Act::Withdraw { operator, units } => {
                let who = OPERATORS[operator];
                let result = net.withdraw(who, units);
                let waiting = model.withdrawals.values().filter(|(whose, ..)| *whose == who);
                let (count, queued) = waiting.fold((0, 0), |(n, sum), (_, u, ..)| (n + 1, sum + u));
                let locked: u128 = model
                    .jobs
                    .values()
                    .filter(|job| job.provider == who.text())
                    .map(|job| job.bond_locked_uxpl.parse::<u128>().unwrap())
                    .sum();
                let may = model.providers.get(&who).is_some_and(|(bond, leaves)| {
                    leaves.is_none() && count < 3 && units <= bond - queued - locked
                });
                assert_eq!(result.is_ok(), may, "{result:?}");
                if let Ok(id) = result {
                    let due = (net.block.height + 2, net.block.time_s + 8);
                    model.withdrawals.insert(id, (who, units, due.0, due.1));
                }
            }
            Act::Update { operator, price: at, slots } => {
                let who = OPERATORS[operator];
                let asks = if slots == 0 { vec![] } else { vec![price(&model_id, at, slots)] };
                let result = net.update(update_of(who, asks));
                let stays = model.providers.get(&who).is_some_and(|(_, leaves)| leaves.is_none());
                assert_eq!(result.is_ok(), stays, "{result:?}");
            }
            Act::Leave { operator } => {
                let who = OPERATORS[operator];
                let result = net.leave(who);
                let stays = model.providers.get(&who).is_some_and(|(_, leaves)| leaves.is_none());
                assert_eq!(result.is_ok(), stays, "{result:?}");
                if stays {
                    let due = (net.block.height + 2, net.block.time_s + 8);
                    model.providers.get_mut(&who).unwrap().1 = Some(due);
                }
            }
            Act::Block { seconds } => {
                let at = net.block.clone();
                net.end(1, seconds);
                model.follow(&net, &at);
                let due = |height: u64, time_s: u64| at.height >= height && at.time_s >= time_s;
                let released: Vec<u64> = model
                    .withdrawals
                    .iter()
                    .filter(|(_, (_, _, height, time_s))| due(*height, *time_s))
                    .map(|(id, _)| *id)
                    .collect();
                for id in released {
                    let (who, units, ..) = model.withdrawals.remove(&id).unwrap();
                    model.pay(who, units);
                    model.providers.get_mut(&who).unwrap().0 -= units;
                }
                for who in OPERATORS {
                    let Some((bond, Some((height, time_s)))) = model.providers.get(&who).copied()
                    else {
                        continue;
                    };
                    if net.provider(who).is_none() {
                        assert!(due(height, time_s), "nobody leaves early");
                        model.pay(who, bond);
                        model.providers.remove(&who);
                    }
                }
            }
        }
        for (who, units) in &model.balances {
            assert_eq!(net.balance(*who), *units, "balance of {who}");
        }
        assert_eq!(net.supply(), supply - model.burned);
    }
    // Whatever happened, everything ends: no money stays in escrow and every payload goes.
    for who in OPERATORS {
        let _ = net.leave(who);
    }
    net.end(80, 10);
    assert_eq!(net.balance(Address::of_module(market::ESCROW)), 0);
    assert_eq!(net.balance(Address::of_module(market::BONDS)), 0);
    for id in model.jobs.keys() {
        assert!(matches!(net.job(*id).state(), JobState::Settled | JobState::Refunded));
        assert!(market::payload(&net.store, *id).is_none());
    }
    assert!(OPERATORS.iter().all(|who| net.provider(*who).is_none()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_market_agrees_with_a_plain_reading_of_its_rules(
        acts in proptest::collection::vec(act(), 1..120),
    ) {
        let start = (0..3).map(|operator| Act::Register { operator, bond: 75_000, price: 1_000_000 });
        play(start.chain(acts).collect());
    }
}
