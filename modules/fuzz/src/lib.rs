//! What hostile bytes are thrown at. None of these may panic, whatever the bytes; what they find is
//! said by an assertion. `cargo test -p plasma-modules --test hostile` runs the same functions on
//! random bytes, `make fuzz` lets libFuzzer look for them.

use std::sync::OnceLock;

use ed25519_dalek::{Signer, SigningKey};
use plasma_modules::{
    Address, Amount, Memory, Read, SignatureMemory, Table, View, Write,
    attestation::{receipt_digest, text_hash, tokens_hash},
    auth, carrier,
    chain::{self, BlockInput, BlockOutput},
    market::{self, register_digest},
    msg::Msg,
    query::Router,
    tx::{self, Purpose},
};
use plasma_proto::{
    cosmos::{
        bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output as BankOutput},
        base::v1beta1::Coin,
        crypto::secp256k1::PubKey,
        tx::{
            signing::v1beta1::SignMode,
            v1beta1::{AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, TxRaw, mode_info},
        },
    },
    plasma::{
        attestation::v1::{FinishReason, MsgSubmitReceipt, Receipt},
        market::v1::{
            Ask, Hardware, Manifest, ModelFile, MsgAddBond, MsgCancelJob, MsgDeclineJob,
            MsgDeregisterProvider, MsgPublishModel, MsgRegisterProvider, MsgSubmitJob,
            MsgUpdateProvider, MsgWithdrawBond, Outcome, Output, Sampling,
        },
        staking::v1::Validator,
    },
};
use prost::{Message, Name};
use prost_types::Any;

const CHAIN_ID: &str = "plasma-fuzz-1";
const TIME_S: u64 = 1_700_000_000;
const XPL: u128 = 1_000_000;
const GAS: u64 = 5_000_000;
const FEE: u128 = 1_000_000;
/// Blocks of one input, transactions of a block, messages of a transaction, edits of a message.
const BLOCKS_MAX: usize = 4;
const TXS_MAX: u8 = 8;
const MESSAGES_MAX: u8 = 4;
const EDITS_MAX: u8 = 6;

/// Takes every signature for a good one, so that what lies behind is reached.
struct Trusting;

impl SignatureMemory for Trusting {
    fn knows(&self, _: &[u8; 32]) -> bool {
        true
    }

    fn learn(&self, _: [u8; 32]) {}
}

/// Reads the input piece by piece; behind its end there are zeros.
struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn upto(&mut self, most: u8) -> u8 {
        self.byte() % (most + 1)
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[usize::from(self.byte()) % of.len()]
    }

    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.number()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }
}

/// The key of an account that never signs: [`Trusting`] does not ask for it.
fn public(seed: u8) -> [u8; 33] {
    let mut key = [2; 33];
    key[1..].fill(seed);
    key
}

fn address(seed: u8) -> Address {
    Address::of_secp256k1(&public(seed))
}

fn coin(units: u128) -> Coin {
    Coin { denom: "uxpl".into(), amount: units.to_string() }
}

fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A chain in memory.
#[derive(Clone)]
struct Chain {
    store: Memory,
    height: u64,
    time_s: u64,
}

impl Chain {
    fn new() -> Self {
        let accounts: Vec<_> =
            (1..=3).map(|seed| (address(seed), Amount::new(10_000 * XPL))).collect();
        let validator = Validator {
            operator: address(9).text(),
            consensus_pubkey: vec![9; 32],
            moniker: "v".into(),
            tokens_uxpl: (1_000 * XPL).to_string(),
        };
        let mut genesis = chain::new_genesis(&accounts, vec![validator]).expect("a genesis");
        let params = genesis.market.as_mut().and_then(|market| market.params.as_mut());
        let params = params.expect("the market has parameters");
        (params.dispute_window_blocks, params.dispute_window_s) = (2, 2);
        (params.unbond_blocks, params.unbond_s) = (2, 2);
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, &genesis).expect("a genesis that is taken");
        Self { store, height: 0, time_s: TIME_S }
    }

    /// The block that comes a second later.
    fn next<'a>(&self, txs: &'a [&'a [u8]]) -> BlockInput<'a> {
        let proposer = Address::of_consensus(&[9; 32]).0;
        let (height, time_s) = (self.height + 1, self.time_s + 1);
        BlockInput { chain_id: CHAIN_ID, height, time_s, proposer, txs }
    }

    fn run(&mut self, txs: &[&[u8]]) -> BlockOutput {
        let input = self.next(txs);
        let output = chain::execute_block(&self.store, &input, &Trusting);
        (self.height, self.time_s) = (input.height, input.time_s);
        for (key, value) in output.writes.clone() {
            self.store.set(key, value);
        }
        output
    }

    fn tx(&self, seed: u8, later: u64, messages: Vec<Any>) -> Vec<u8> {
        let sequence = auth::account(&self.store, address(seed)).map_or(0, |a| a.sequence);
        let single = mode_info::Single { mode: SignMode::Direct.into() };
        let info = SignerInfo {
            public_key: Some(any(&PubKey { key: public(seed).to_vec() })),
            mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Single(single)) }),
            sequence: sequence + later,
        };
        let fee = Fee { amount: vec![coin(FEE)], gas_limit: GAS, ..Fee::default() };
        #[allow(deprecated, reason = "a field of AuthInfo that must be absent")]
        let auth_info = AuthInfo { signer_infos: vec![info], fee: Some(fee), tip: None };
        TxRaw {
            body_bytes: TxBody { messages, ..TxBody::default() }.encode_to_vec(),
            auth_info_bytes: auth_info.encode_to_vec(),
            signatures: vec![vec![1; 64]],
        }
        .encode_to_vec()
    }

    fn does(&mut self, seed: u8, message: Any) {
        let tx = self.tx(seed, 0, vec![message]);
        let output = self.run(&[&tx]);
        assert_eq!(output.txs[0].code, 0, "the story begins well: {}", output.txs[0].log);
    }
}

/// A chain with a model, a provider and an assigned job, and messages that would be taken.
fn base() -> &'static (Chain, Vec<(u8, Any)>) {
    static BASE: OnceLock<(Chain, Vec<(u8, Any)>)> = OnceLock::new();
    BASE.get_or_init(|| {
        let mut chain = Chain::new();
        let [alice, operator, bob] = [1, 2, 3];
        let text = |seed: u8| address(seed).text();
        let manifest = |name: &str| Manifest {
            name: name.into(),
            architecture: "llama".into(),
            dtype: "f32".into(),
            tokenizer: "bytes".into(),
            licence: "Apache-2.0".into(),
            base_model: vec![],
            context_tokens: 512,
            template_tokens_max: 32,
            files: vec![ModelFile { path: "m".into(), sha256: vec![5; 32], size_bytes: 1 }],
        };
        let publish = |name: &str| MsgPublishModel {
            publisher: text(alice),
            manifest: Some(manifest(name)),
            royalty_bps: 100,
        };
        chain.does(alice, any(&publish("one")));
        let model_id = market::model_id(&manifest("one")).to_vec();
        let key = SigningKey::from_bytes(&[8; 32]);
        let receipt_key = key.verifying_key().to_bytes();
        let ask = Ask {
            model_id: model_id.clone(),
            fresh_uxpl_per_mtok: 1_000_000,
            cached_uxpl_per_mtok: 100_000,
            output_uxpl_per_mtok: 4_000_000,
            slots: 2,
        };
        let register = |seed: u8, key: &SigningKey| {
            let receipt_key = key.verifying_key().to_bytes();
            let digest = register_digest(CHAIN_ID, address(seed), &receipt_key);
            any(&MsgRegisterProvider {
                operator: text(seed),
                receipt_key: receipt_key.to_vec(),
                receipt_key_proof: key.sign(&digest).to_vec(),
                endpoint: "https://rig.example:8443".into(),
                tls_key_hash: vec![],
                hardware: Some(Hardware { device: "cpu".into(), ..Hardware::default() }),
                region: "eu".into(),
                bond_uxpl: (1_000 * XPL).to_string(),
                asks: vec![ask.clone()],
            })
        };
        chain.does(operator, register(operator, &key));
        let sampling = Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 7 };
        let submit = MsgSubmitJob {
            requester: text(alice),
            model_id: model_id.clone(),
            input: "What is the capital of France?".into(),
            max_tokens: 16,
            sampling: Some(sampling),
            max_fee_uxpl: XPL.to_string(),
            deadline_unix_s: 0,
            stop: vec!["\n".into()],
            referral: text(bob),
        };
        chain.does(alice, any(&submit));
        chain.run(&[]);
        let job = market::job(&chain.store, 1).expect("the job");
        let answer = Output { token_ids: vec![10, 11, 12], text: "Paris.".into() };
        let mut receipt = Receipt {
            version: 1,
            chain_id: CHAIN_ID.into(),
            job_id: 1,
            attempt: job.attempt,
            receipt_key: receipt_key.to_vec(),
            model_id: model_id.clone(),
            kernel_id: "fuzz".into(),
            outcome: Outcome::Ok.into(),
            finish_reason: FinishReason::Eos.into(),
            request_hash: job.request_hash.clone(),
            prompt_tokens_hash: tokens_hash(&[1, 2, 3]).to_vec(),
            output_tokens_hash: tokens_hash(&answer.token_ids).to_vec(),
            response_hash: text_hash(&answer.text).to_vec(),
            n_fresh: 30,
            n_cached: 0,
            n_out: 3,
            sampling: Some(sampling),
            fingerprint_root: vec![],
            t_first_ms: 5,
            t_total_ms: 9,
            charge_uxpl: "42".into(),
            signature: vec![],
        };
        receipt.signature = key.sign(&receipt_digest(&receipt)).to_vec();
        let mut decline = MsgDeclineJob {
            carrier: text(bob),
            job_id: 1,
            attempt: job.attempt,
            reason: "no memory".into(),
            signature: vec![],
        };
        decline.signature = key.sign(&market::decline_digest(CHAIN_ID, &decline)).to_vec();
        let one_xpl = || XPL.to_string();
        let templates = vec![
            (
                alice,
                any(&MsgSend {
                    from_address: text(alice),
                    to_address: text(bob),
                    amount: vec![coin(XPL)],
                }),
            ),
            (
                alice,
                any(&MsgMultiSend {
                    inputs: vec![Input { address: text(alice), coins: vec![coin(2 * XPL)] }],
                    outputs: [bob, operator]
                        .map(|to| BankOutput { address: text(to), coins: vec![coin(XPL)] })
                        .into(),
                }),
            ),
            (alice, any(&publish("two"))),
            (bob, register(bob, &SigningKey::from_bytes(&[7; 32]))),
            (alice, any(&submit)),
            (
                operator,
                any(&MsgSubmitReceipt {
                    carrier: text(operator),
                    receipt: Some(receipt),
                    output: Some(answer),
                }),
            ),
            (bob, any(&decline)),
            (alice, any(&MsgCancelJob { requester: text(alice), job_id: 2 })),
            (operator, any(&MsgAddBond { operator: text(operator), amount_uxpl: one_xpl() })),
            (operator, any(&MsgWithdrawBond { operator: text(operator), amount_uxpl: one_xpl() })),
            (operator, any(&MsgDeregisterProvider { operator: text(operator) })),
            (
                operator,
                any(&MsgUpdateProvider {
                    operator: text(operator),
                    endpoint: "https://rig.example".into(),
                    asks: vec![ask.clone()],
                    ..MsgUpdateProvider::default()
                }),
            ),
        ];
        (chain, templates)
    })
}

/// A transaction of the input's making, and the signer's seed.
fn transaction(input: &mut Pieces<'_>, chain: &Chain, sent: &mut [u64; 4]) -> Vec<u8> {
    let (_, templates) = base();
    let (mut messages, mut signer) = (Vec::new(), 1);
    for _ in 0..=input.upto(MESSAGES_MAX - 1) {
        let message = match input.upto(7) {
            0 => {
                let urls = Msg::type_urls();
                Any { type_url: input.pick(&urls).clone(), value: input.bytes().to_vec() }
            }
            _ => {
                let (by, mut message) = input.pick(templates).clone();
                signer = by;
                for _ in 0..input.upto(EDITS_MAX) {
                    let (at, byte) = (usize::from(input.number()), input.byte());
                    let len = message.value.len().max(1);
                    if let Some(place) = message.value.get_mut(at % len) {
                        *place = byte;
                    }
                }
                message
            }
        };
        messages.push(message);
    }
    let later = &mut sent[usize::from(signer)];
    let tx = chain.tx(signer, *later, messages);
    *later += 1;
    tx
}

/// Any bytes as a transaction, and as each message.
pub fn decode(data: &[u8]) {
    for purpose in [Purpose::Execute, Purpose::Simulate] {
        let _ = tx::decode(data, purpose);
    }
    for type_url in Msg::type_urls() {
        let _ = Msg::from_any(&Any { type_url, value: data.to_vec() });
    }
}

/// Blocks of transactions of the input's making: what is prepared is accepted and executes, what is
/// not prepared executes as well, and money adds up.
pub fn block(data: &[u8]) {
    let mut input = Pieces(data);
    let mut chain = base().0.clone();
    for _ in 0..BLOCKS_MAX {
        if input.0.is_empty() {
            break;
        }
        let mut sent = [0; 4];
        let txs: Vec<Vec<u8>> = (0..=input.upto(TXS_MAX - 1))
            .map(|_| match input.upto(15) {
                0 => input.bytes().to_vec(),
                _ => transaction(&mut input, &chain, &mut sent),
            })
            .collect();
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let next = chain::next_block(&chain.store, CHAIN_ID, chain.height + 1, chain.time_s + 1);
        let expanded = carrier::expand(&txs);
        let (prepared, _) =
            chain::prepare(&chain.store, &chain.next(&[]), &expanded, 1 << 20, &Trusting);
        let accepted = chain::process(&chain.store, &chain.next(&prepared), &Trusting);
        let accepted = accepted.map(drop);
        assert!(accepted.is_ok(), "what is prepared is accepted: {accepted:?}");
        for tx in &txs {
            chain::simulate(&chain.store, &next, tx);
        }
        let taken = if input.upto(1) == 0 { &prepared } else { &txs };
        let twin = chain.clone().run(taken);
        let output = chain.run(taken);
        assert_eq!(
            (&output.writes, &output.txs),
            (&twin.writes, &twin.txs),
            "one block, one result"
        );
        if let Err(broken) = chain::check_invariants(&chain.store) {
            panic!("{broken}");
        }
        indexes_can_be_rebuilt(&chain.store);
    }
}

/// A node that restores a snapshot makes the indexes anew: they are those that the others have.
fn indexes_can_be_rebuilt(store: &Memory) {
    let mut rebuilt = Vec::new();
    chain::rebuild_derived(store, &mut |key| rebuilt.push(key));
    rebuilt.sort_unstable();
    let derived = |(key, _): &(Vec<u8>, Vec<u8>)| Table::is_derived(key[0]);
    let stored = store.scan(&[]).filter(derived);
    let stored: Vec<_> = stored.inspect(|(_, value)| assert!(value.is_empty())).collect();
    assert!(
        rebuilt.iter().eq(stored.iter().map(|(key, _)| key)),
        "indexes follow from the objects"
    );
}

/// Any bytes asked of every query.
pub fn query(data: &[u8]) {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    let router = ROUTER.get_or_init(Router::new);
    let (chain, _) = base();
    let block = chain::current_block(&chain.store, CHAIN_ID, chain.height, chain.time_s);
    let view = View { store: &chain.store, block: &block };
    for path in router.paths() {
        let _ = router.call(path, &view, data);
    }
}
