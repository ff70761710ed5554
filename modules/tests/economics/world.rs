//! A chain in memory with a market and stake on it. Everything happens by transactions in executed
//! blocks, which pay their fees; what people do stands in `people.rs`.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use plasma_modules::{
    Address, Amount, Memory, SignatureMemory, View, ante, auth,
    chain::{self, BlockInput, Vote},
    market,
    msg::Msg,
    price,
    query::Router,
    reward, staking, token,
    types::sha256,
};
use plasma_proto::{
    cosmos::{
        distribution::v1beta1::{
            QueryDelegationTotalRewardsRequest, QueryDelegationTotalRewardsResponse,
        },
        tx::signing::v1beta1::SignMode,
    },
    plasma::{market::v1::JobState, staking::v1::Validator},
};
use prost::Message;
use prost_types::Any;

use crate::common::{Account, CHAIN_ID, Draft, TIME_S};

pub const XPL: u128 = 1_000_000;
/// Seconds of a block: as many as are minted for at most. And blocks of a day.
pub const BLOCK_S: u64 = 600;
pub const DAY_BLOCKS: u64 = 86_400 / BLOCK_S;

/// Accounts have numbers: honest rigs from 1, honest users from 100, honest stakers and validators
/// from 150, attackers from 200: those that an attack uses, then the operator of his validator, and
/// who holds his money and his stake.
pub const RIGS: std::ops::RangeInclusive<u8> = 1..=8;
pub const USERS: std::ops::RangeInclusive<u8> = 100..=111;
pub const STAKER: u8 = 150;
pub const VALIDATORS: [u8; 2] = [151, 152];
pub const ATTACKERS: std::ops::RangeInclusive<u8> = 200..=223;
pub const OPERATOR: u8 = 222;
pub const TREASURY: u8 = 223;

/// All stake but what validators begin with, uxpl.
pub const STAKE: u128 = 1_000_000 * XPL;
/// What each validator begins with, its operator's own, uxpl.
pub const SELF_STAKE: u128 = 10 * XPL;
/// All that an attacker has besides stake, and what of it each of his accounts begins with, uxpl.
pub const CAPITAL: u128 = 48_000 * XPL;
const PURSE: u128 = 1_000 * XPL;

/// A part of the stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    pub name: &'static str,
    sixths: u128,
}

impl Share {
    /// Uxpl of all stake.
    pub fn stake(self) -> u128 {
        STAKE * self.sixths / 6
    }
}

/// Shares of the stake that an attacker may hold. All of it is all but what the honest validators'
/// operators began with.
pub const SHARES: [Share; 4] = [
    Share { name: "0", sixths: 0 },
    Share { name: "1/3", sixths: 2 },
    Share { name: "1/2", sixths: 3 },
    Share { name: "1", sixths: 6 },
];

/// Takes the signatures of accounts for granted, as a node does that has checked them before: the
/// worlds have keys of everybody, and checking them is most of what a block costs.
struct Checked;

impl SignatureMemory for Checked {
    fn knows(&self, _: &[u8; 32]) -> bool {
        true
    }

    fn learn(&self, _: [u8; 32]) {}
}

pub struct Rig {
    pub number: u8,
    pub ask: u64,
    pub follows: bool,
    pub answers: bool,
}

/// Powers by consensus key.
type Set = BTreeMap<[u8; 32], u64>;

pub struct World {
    pub store: Memory,
    pub height: u64,
    pub time_s: u64,
    pub share: Share,
    pub model: Vec<u8>,
    pub rigs: BTreeMap<u8, Rig>,
    /// What work cost, by rig, uxpl; one's own jobs cost nothing.
    pub spent: BTreeMap<u8, u128>,
    pub refused: Vec<String>,
    pub keys: BTreeMap<u8, SigningKey>,
    random: u64,
    accounts: BTreeMap<u8, Account>,
    numbers: BTreeMap<String, u8>,
    waiting: BTreeMap<u8, Vec<Any>>,
    assigned: Vec<u64>,
    /// Jobs that attackers pay for and that have not ended.
    own_jobs: Vec<u64>,
    /// Validators of the last block, of the one that comes, and of the one after it.
    sets: [Set; 3],
}

/// The consensus key of an account's validator.
pub fn consensus_key(address: Address) -> [u8; 32] {
    sha256(&address.0)
}

impl World {
    /// A market at the default parameters, but for windows in blocks, which are shorter because the
    /// blocks are longer. The attacker holds this share of the stake.
    pub fn new(seed: u64, share: Share) -> Self {
        let numbers = RIGS.chain(USERS).chain([STAKER]).chain(VALIDATORS).chain(ATTACKERS);
        let accounts: BTreeMap<u8, Account> =
            numbers.map(|number| (number, Account::new(number))).collect();
        let purses = (u128::from(TREASURY) - u128::from(*ATTACKERS.start())) * PURSE;
        let holds = |number: u8| match number {
            STAKER => STAKE - share.stake() + 1_000 * XPL,
            TREASURY => CAPITAL - purses + share.stake(),
            number if ATTACKERS.contains(&number) => PURSE,
            _ => 100_000 * XPL,
        };
        let holders: Vec<(Address, Amount)> = accounts
            .iter()
            .map(|(number, account)| (account.address, Amount::new(holds(*number))))
            .collect();
        let mut first: Vec<_> = VALIDATORS.map(|number| accounts[&number].address).into();
        first.sort();
        let first = first.into_iter().map(|operator| Validator {
            operator: operator.text(),
            consensus_pubkey: consensus_key(operator).to_vec(),
            moniker: "honest".into(),
            tokens_uxpl: SELF_STAKE.to_string(),
        });
        let mut genesis = chain::new_genesis(&holders, first.collect()).unwrap();
        let params = genesis.market.as_mut().unwrap().params.as_mut().unwrap();
        (params.dispute_window_blocks, params.assign_timeout_blocks) = (2, 2);
        (params.output_keep_blocks, params.unbond_blocks) = (10, 10);
        let mut store = Memory::default();
        let updates = chain::init(&mut store, CHAIN_ID, TIME_S, &genesis).unwrap();
        let set: Set = updates.iter().map(|update| (update.pubkey, update.power)).collect();
        let keys = accounts
            .keys()
            .map(|number| (*number, SigningKey::from_bytes(&[number ^ 0x5a; 32])))
            .collect();
        let numbers = accounts.iter().map(|(number, of)| (of.address.text(), *number)).collect();
        let mut world = Self {
            store,
            height: 0,
            time_s: TIME_S,
            share,
            model: vec![],
            rigs: BTreeMap::new(),
            spent: BTreeMap::new(),
            refused: vec![],
            keys,
            random: seed,
            accounts,
            numbers,
            waiting: BTreeMap::new(),
            assigned: vec![],
            own_jobs: vec![],
            sets: [Set::new(), set.clone(), set],
        };
        world.settle_in();
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

    pub fn number_of(&self, address: &str) -> Option<u8> {
        self.numbers.get(address).copied()
    }

    pub fn balance(&self, number: u8) -> u128 {
        token::balance(&self.store, self.address(number)).units()
    }

    /// In the account's transaction of the next block.
    pub fn send(&mut self, number: u8, message: Any) {
        self.waiting.entry(number).or_default().push(message);
    }

    /// The account's transaction, at the least fee.
    fn transaction(&self, number: u8, messages: Vec<Any>) -> Vec<u8> {
        let account = &self.accounts[&number];
        let stored = auth::account(&self.store, account.address).unwrap();
        let mut draft = Draft::new(messages, stored.account_number, stored.sequence);
        let infos = || vec![draft.signer(account, SignMode::Direct)];
        let bytes = draft.raw(infos(), vec![vec![0; 64]]).len() + 16;
        let messages_gas: u64 =
            draft.msgs.iter().map(|message| Msg::from_any(message).unwrap().gas()).sum();
        let infos = infos();
        draft.gas =
            messages_gas + ante::TX_GAS + ante::SIGNATURE_GAS + ante::BYTE_GAS * bytes as u64;
        let base = token::fee_market(&self.store).base_fee_nuxpl_per_gas;
        let byte_price = token::params(&self.store).byte_price_nuxpl;
        draft.fee = ante::required_fee(draft.gas, bytes, base, byte_price);
        draft.raw(infos, vec![vec![0; 64]])
    }

    /// Executes a block of what everybody sends.
    pub fn step(&mut self) {
        for id in std::mem::take(&mut self.assigned) {
            self.answer(id);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let txs: Vec<Vec<u8>> = waiting
            .into_iter()
            .map(|(number, messages)| self.transaction(number, messages))
            .collect();
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        self.height += 1;
        self.time_s += BLOCK_S;
        let votes: Vec<Vote> = self.sets[0]
            .iter()
            .map(|(key, power)| Vote {
                validator: Address::of_consensus(key).0,
                power: *power,
                signed: true,
            })
            .collect();
        let input = BlockInput {
            chain_id: CHAIN_ID,
            height: self.height,
            time_s: self.time_s,
            // Fees have no tips, so it does not matter who proposes.
            proposer: Address::of_consensus(&consensus_key(self.address(VALIDATORS[0]))).0,
            txs: &txs,
            votes: &votes,
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        };
        let output = chain::execute_block(&self.store, &input, &Checked);
        self.store.apply(output.writes);
        let mut set = self.sets[2].clone();
        for update in output.validator_updates {
            match update.power {
                0 => drop(set.remove(&update.pubkey)),
                power => drop(set.insert(update.pubkey, power)),
            }
        }
        self.sets.rotate_left(1);
        self.sets[2] = set;
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
        for event in output.events.iter().filter(|event| event.kind == "job_assigned") {
            let id = event.attributes.iter().find(|(key, _)| *key == "job_id").unwrap();
            self.assigned.push(id.1.parse().unwrap());
        }
    }

    /// All that the attacker has: balances, bonds, stake, rewards that wait for him, what his jobs
    /// hold; less what work cost him, uxpl.
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
                self.balance(n) + bond + owed + self.stake(n) + self.staking_rewards(n)
            })
            .sum();
        let work: u128 =
            self.spent.iter().filter(|(n, _)| ATTACKERS.contains(n)).map(|(_, cost)| cost).sum();
        (own + held) as i128 - work as i128
    }

    /// What an account's delegations are worth, uxpl.
    pub fn stake(&self, number: u8) -> u128 {
        let worth = |operator: u8| {
            let operator = self.address(operator);
            let shares = staking::shares_of(&self.store, self.address(number), operator);
            let validator = staking::validator(&self.store, operator);
            validator.map_or(0, |validator| staking::worth(&validator, shares).units())
        };
        VALIDATORS.into_iter().chain([OPERATOR]).map(worth).sum()
    }

    /// Rewards of an account's delegations that it has not withdrawn, uxpl.
    fn staking_rewards(&self, number: u8) -> u128 {
        let block = chain::current_block(&self.store, CHAIN_ID, self.height, self.time_s);
        let view = View { store: &self.store, block: &block };
        let request =
            QueryDelegationTotalRewardsRequest { delegator_address: self.address(number).text() };
        let path = "/cosmos.distribution.v1beta1.Query/DelegationTotalRewards";
        let answer = Router::new().call(path, &view, &request.encode_to_vec()).unwrap();
        let answer = QueryDelegationTotalRewardsResponse::decode(answer.as_slice()).unwrap();
        // Decimals, scaled by 10^18.
        let units = |amount: &str| amount.parse::<u128>().unwrap() / 1_000_000_000_000_000_000;
        answer.total.iter().map(|coin| units(&coin.amount)).sum()
    }

    /// What the chain says the honest model's work costs: price and index, uxpl per million units.
    pub fn known_price(&self) -> (u64, u64) {
        let id = self.model.as_slice().try_into().unwrap();
        let known = price::price(&self.store, &id).unwrap_or_default();
        (known.price_uxpl_per_mtok, known.index_uxpl_per_mtok)
    }
}
