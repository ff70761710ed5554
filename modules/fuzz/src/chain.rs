//! A chain in memory, and those who sign on it.

use std::sync::OnceLock;

use plasma_modules::{
    Address, Amount, Memory, SignatureMemory, Write,
    auth::{self, Multisig, PublicKey},
    chain::{self, BlockInput, BlockOutput, Vote},
    governance::grants::GRANTS_ACCOUNT,
    market,
    tx::{self, amino},
    types::sha256,
};
use plasma_proto::{
    cosmos::{
        base::v1beta1::Coin,
        crypto::multisig::v1beta1::{CompactBitArray, MultiSignature},
        tx::{
            signing::v1beta1::SignMode,
            v1beta1::{AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, TxRaw, mode_info},
        },
    },
    plasma::{
        genesis::v1::{Balance, GenesisState},
        governance::v1::{Grant, GrantStatus, Milestone},
        market::v1::{Job, JobState},
        staking::v1::Validator,
    },
};
use prost::{Message, Name};
use prost_types::{Any, Duration, Timestamp};
use secp256k1::{Secp256k1, SecretKey, SignOnly};

pub const CHAIN_ID: &str = "plasma-fuzz-1";
pub const TIME_S: u64 = 1_700_000_000;
pub const XPL: u128 = 1_000_000;
pub const GAS: u64 = 5_000_000;
const FEE: u128 = 1_000_000;
/// With which a proposal is voted on.
pub const DEPOSIT: u128 = 10 * XPL;
/// Consensus key of the only validator.
pub const VALIDATOR: [u8; 32] = [9; 32];

/// The power of its genesis stake.
pub const POWER: u64 = 1_000;

/// Accounts with one key.
pub const VALIDATOR_OPERATOR: u8 = VALIDATOR[0];
/// Seeds of accounts lie below.
pub const SEEDS: usize = 10;
pub const ALICE: u8 = 1;
pub const OPERATOR: u8 = 2;
pub const BOB: u8 = 3;
/// The account of which any two of the others sign.
pub const GROUP: u8 = 4;

/// Takes every signature for a good one, so that what lies behind is reached.
pub struct Trusting;

impl SignatureMemory for Trusting {
    fn knows(&self, _: &[u8; 32]) -> bool {
        true
    }

    fn learn(&self, _: [u8; 32]) {}
}

/// The only validator signs every block.
fn votes() -> &'static [Vote] {
    static VOTES: OnceLock<[Vote; 1]> = OnceLock::new();
    let validator = Address::of_consensus(&VALIDATOR).0;
    VOTES.get_or_init(|| [Vote { validator, power: POWER, signed: true }])
}

fn curve() -> &'static Secp256k1<SignOnly> {
    static CURVE: OnceLock<Secp256k1<SignOnly>> = OnceLock::new();
    CURVE.get_or_init(Secp256k1::signing_only)
}

fn secret(seed: u8) -> SecretKey {
    SecretKey::from_byte_array([seed; 32]).expect("a secret key")
}

fn public(seed: u8) -> [u8; 33] {
    static KEYS: OnceLock<Vec<[u8; 33]>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        (1..=VALIDATOR[0]).map(|seed| secret(seed).public_key(curve()).serialize()).collect()
    });
    keys[usize::from(seed) - 1]
}

fn key(seed: u8) -> PublicKey {
    if seed != GROUP {
        return PublicKey::Secp256k1(public(seed));
    }
    let members = [ALICE, OPERATOR, BOB].map(public).into();
    PublicKey::Multisig(Multisig::new(2, members).expect("a multisig"))
}

pub fn address(seed: u8) -> Address {
    key(seed).address()
}

pub fn text(seed: u8) -> String {
    address(seed).text()
}

pub fn coin(units: u128) -> Coin {
    Coin { denom: "uxpl".into(), amount: units.to_string() }
}

pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// What a transaction is beside its messages.
#[derive(Clone, Copy, Default)]
pub struct Terms {
    /// Sequences after the account's next one.
    pub later: u64,
    /// Unordered, with a timeout so many seconds after the chain's time.
    pub unordered_s: Option<u64>,
    /// Who pays the fee by an allowance.
    pub granter: Option<u8>,
}

/// Grants at genesis.
pub const GRANTS: u64 = 24;

/// One for bob, in many parts that any of two reviewers pays.
fn grant(id: u64) -> Grant {
    let part = |_| Milestone { title: "a part".into(), amount_uxpl: (XPL / 20).to_string() };
    Grant {
        id,
        recipient: text(BOB),
        title: "a tool".into(),
        milestones: (0..20).map(part).collect(),
        reviewers: vec![text(ALICE), text(OPERATOR)],
        threshold: 1 + u32::try_from(id % 2).unwrap_or_default(),
        deadline_unix_s: TIME_S + 10 * id,
        status: GrantStatus::Open.into(),
        paid_uxpl: "0".into(),
        returned_uxpl: "0".into(),
        ..Grant::default()
    }
}

/// A chain in memory.
#[derive(Clone)]
pub struct Chain {
    pub store: Memory,
    pub height: u64,
    pub time_s: u64,
    /// Whether transactions are signed; else they carry what [`Trusting`] takes.
    signs: bool,
    /// No job before this one is open.
    jobs_from: u64,
}

impl Chain {
    /// One at its genesis.
    pub fn new(signs: bool) -> Self {
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, &Self::genesis()).expect("a genesis");
        Self { store, height: 0, time_s: TIME_S, signs, jobs_from: 1 }
    }

    /// Rich accounts, and windows that a few blocks outlast.
    pub fn genesis() -> GenesisState {
        let accounts: Vec<_> = (ALICE..=GROUP)
            .chain([VALIDATOR_OPERATOR])
            .map(|seed| (address(seed), Amount::new(1_000_000 * XPL)))
            .collect();
        let validator = |operator: u8, key: [u8; 32], xpl: u128| Validator {
            operator: text(operator),
            consensus_pubkey: key.into(),
            moniker: "v".into(),
            tokens_uxpl: (xpl * XPL).to_string(),
        };
        let validators = vec![
            validator(VALIDATOR_OPERATOR, VALIDATOR, 1_000),
            validator(OPERATOR, [0xd0; 32], 100),
        ];
        let fresh = chain::new_genesis(&accounts, validators).expect("a genesis");
        let mut store = Memory::default();
        chain::init(&mut store, CHAIN_ID, TIME_S, &fresh).expect("a genesis");
        // As a chain that goes on: one of its validators is in jail, and may come out.
        let mut genesis = chain::export(&store);
        let states = genesis.staking.as_mut().map(|staking| &mut staking.states);
        for state in states.into_iter().flatten() {
            state.jailed = state.operator_address == address(OPERATOR).operator_text();
        }
        let params = genesis.market.as_mut().and_then(|market| market.params.as_mut());
        let params = params.expect("the market has parameters");
        (params.dispute_window_blocks, params.dispute_window_s) = (2, 2);
        (params.unbond_blocks, params.unbond_s) = (2, 2);
        let own = genesis.attestation.as_mut().and_then(|own| own.params.as_mut());
        let own = own.expect("attestation has parameters");
        own.audits = Some(super::court::numbers());
        own.games = Some(super::arena::numbers());
        let governance = genesis.governance.as_mut().and_then(|own| own.params.as_mut());
        let params = governance.expect("governance has parameters");
        params.min_deposit = vec![coin(DEPOSIT)];
        params.expedited_min_deposit = vec![coin(2 * DEPOSIT)];
        let seconds = |seconds: i64| Some(Duration { seconds, nanos: 0 });
        params.max_deposit_period = seconds(30);
        params.voting_period = seconds(30);
        params.expedited_voting_period = seconds(10);
        let balances = &mut genesis.token.as_mut().expect("token has a genesis").balances;
        let grants = Address::of_module(GRANTS_ACCOUNT);
        let held = Balance { address: grants.text(), coins: vec![coin(u128::from(GRANTS) * XPL)] };
        let before = |of: &Balance| Address::parse(&of.address).is_ok_and(|of| of < grants);
        let at = balances.partition_point(before);
        balances.insert(at, held);
        let governance = genesis.governance.as_mut().expect("governance has a genesis");
        governance.grants = (1..=GRANTS).map(grant).collect();
        governance.next_grant_id = GRANTS + 1;
        genesis
    }

    /// The block that comes a second later.
    pub fn next<'a>(&self, txs: &'a [&'a [u8]]) -> BlockInput<'a> {
        let proposer = Address::of_consensus(&VALIDATOR).0;
        let (height, time_s) = (self.height + 1, self.time_s + 1);
        BlockInput {
            chain_id: CHAIN_ID,
            height,
            time_s,
            proposer,
            txs,
            votes: votes(),
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        }
    }

    pub fn run(&mut self, txs: &[&[u8]]) -> BlockOutput {
        self.run_after(1, txs)
    }

    /// Runs a block that comes so many seconds later.
    pub fn run_after(&mut self, seconds: u64, txs: &[&[u8]]) -> BlockOutput {
        let input = BlockInput { time_s: self.time_s + seconds, ..self.next(txs) };
        let memory: &dyn SignatureMemory = if self.signs { &tx::NoMemory } else { &Trusting };
        let output = chain::execute_block(&self.store, &input, memory);
        (self.height, self.time_s) = (input.height, input.time_s);
        for (key, value) in output.writes.clone() {
            self.store.set(key, value);
        }
        let ended = |job: Job| matches!(job.state(), JobState::Settled | JobState::Refunded);
        while market::job(&self.store, self.jobs_from).is_some_and(ended) {
            self.jobs_from += 1;
        }
        output
    }

    /// Jobs from the first one that has not ended.
    pub fn jobs(&self) -> impl Iterator<Item = Job> {
        (self.jobs_from..).map_while(|id| market::job(&self.store, id))
    }

    pub fn tx(&self, seed: u8, terms: Terms, messages: Vec<Any>) -> Vec<u8> {
        let account = auth::account(&self.store, address(seed)).unwrap_or_default();
        let timeout = terms.unordered_s.map(|seconds| Timestamp {
            seconds: i64::try_from(self.time_s + seconds).unwrap_or(i64::MAX),
            nanos: 0,
        });
        let body = TxBody {
            messages,
            unordered: timeout.is_some(),
            timeout_timestamp: timeout,
            ..TxBody::default()
        };
        let granter = terms.granter.map(text).unwrap_or_default();
        let fee = Fee { amount: vec![coin(FEE)], gas_limit: GAS, granter, ..Fee::default() };
        let sequence = if timeout.is_some() { 0 } else { account.sequence + terms.later };
        let (number, group) = (account.account_number, seed == GROUP);
        let single = |mode: SignMode| {
            let single = mode_info::Single { mode: mode.into() };
            ModeInfo { sum: Some(mode_info::Sum::Single(single)) }
        };
        let mode_info = if group {
            // The first two of three.
            let bits = CompactBitArray { extra_bits_stored: 3, elems: vec![0b1100_0000] };
            let mode_infos = vec![single(SignMode::LegacyAminoJson); 2];
            let multi = mode_info::Multi { bitarray: Some(bits), mode_infos };
            ModeInfo { sum: Some(mode_info::Sum::Multi(multi)) }
        } else {
            single(SignMode::Direct)
        };
        let public_key = Some(key(seed).to_any());
        let info = SignerInfo { public_key, mode_info: Some(mode_info), sequence };
        let body_bytes = body.encode_to_vec();
        #[allow(deprecated, reason = "a field of AuthInfo that must be absent")]
        let auth_info = AuthInfo { signer_infos: vec![info], fee: Some(fee.clone()), tip: None };
        let auth_info_bytes = auth_info.encode_to_vec();
        let signature = if group {
            let account_number = number;
            let signer = amino::SignerData { chain_id: CHAIN_ID, account_number, sequence };
            // What amino JSON cannot express has no signature.
            let doc = amino::sign_doc(&body, &fee, &signer).unwrap_or_default();
            let signatures = [ALICE, OPERATOR].map(|seed| self.sign(seed, doc.as_bytes())).into();
            MultiSignature { signatures }.encode_to_vec()
        } else {
            let doc = tx::sign_bytes(&body_bytes, &auth_info_bytes, CHAIN_ID, number);
            self.sign(seed, &doc)
        };
        TxRaw { body_bytes, auth_info_bytes, signatures: vec![signature] }.encode_to_vec()
    }

    fn sign(&self, seed: u8, bytes: &[u8]) -> Vec<u8> {
        if !self.signs {
            return vec![1; 64];
        }
        let digest = secp256k1::Message::from_digest(sha256(bytes));
        curve().sign_ecdsa(digest, &secret(seed)).serialize_compact().into()
    }
}
