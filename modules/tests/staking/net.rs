//! A chain whose validators vote as CometBFT would have them: what a block changes of the set is in
//! force two blocks later, and the votes of a block are told with the next one.

use std::collections::BTreeMap;

pub use plasma_modules::{
    Address, Amount, Dec, Memory, Read, Table, View, Write,
    chain::{self, BlockInput, BlockOutput, Misbehavior, Offence, TxResult, Vote},
    query::Router,
    staking, token,
    tx::NoMemory,
};
pub use plasma_proto::{
    cosmos::{
        crypto::ed25519::PubKey,
        slashing::v1beta1::{MsgUnjail, ValidatorSigningInfo},
        staking::v1beta1::{
            BondStatus, CommissionRates, Description, MsgBeginRedelegate,
            MsgCancelUnbondingDelegation, MsgCreateValidator, MsgDelegate, MsgEditValidator,
            MsgUndelegate, Params, UnbondingDelegation,
        },
    },
    plasma::{genesis::v1::GenesisState, staking::v1::Validator as First},
};
use prost::{Message, Name};
use prost_types::Any;

pub use crate::common::{Account, CHAIN_ID, Draft, TIME_S, XPL, any, coin};

pub const DAY_S: u64 = 24 * 3600;

type Set = BTreeMap<[u8; 32], u64>;

/// The consensus key of an account's validator.
pub fn key(account: &Account) -> [u8; 32] {
    plasma_modules::types::sha256(&account.address.0)
}

pub fn consensus(account: &Account) -> [u8; 20] {
    Address::of_consensus(&key(account)).0
}

#[derive(Clone)]
pub struct Net {
    pub store: Memory,
    pub height: u64,
    pub time_s: u64,
    /// Of the last block, of the one that comes, and of the one after it.
    sets: [Set; 3],
    /// Who does not sign.
    pub absent: Vec<[u8; 20]>,
}

/// Validators of `stakes` whole XPL, and accounts of 10,000 XPL each, those of the validators among
/// them. `change` may change the genesis.
pub fn start(
    stakes: &[(&Account, u128)],
    accounts: &[&Account],
    change: impl FnOnce(&mut GenesisState),
) -> Net {
    let mut holders: Vec<_> = stakes.iter().map(|(account, _)| *account).collect();
    holders.extend(accounts);
    let holders: Vec<_> =
        holders.iter().map(|one| (one.address, Amount::new(10_000 * XPL))).collect();
    let mut first: Vec<_> = stakes.to_vec();
    first.sort_by_key(|(account, _)| account.address);
    let first = first
        .into_iter()
        .map(|(account, xpl)| First {
            operator: account.address.text(),
            consensus_pubkey: key(account).to_vec(),
            moniker: "v".into(),
            tokens_uxpl: (xpl * XPL).to_string(),
        })
        .collect();
    let mut genesis = chain::new_genesis(&holders, first).unwrap();
    change(&mut genesis);
    Net::new(&genesis, 0, TIME_S)
}

impl Net {
    pub fn new(genesis: &GenesisState, height: u64, time_s: u64) -> Self {
        let mut store = Memory::default();
        let updates = chain::init(&mut store, CHAIN_ID, time_s, genesis).unwrap();
        let set: Set = updates.iter().map(|update| (update.pubkey, update.power)).collect();
        assert_eq!(set.len(), updates.len());
        let sets = [Set::new(), set.clone(), set];
        Self { store, height, time_s, sets, absent: vec![] }
    }

    /// Makes a block, and checks everything that holds after one.
    pub fn block_with(
        &mut self,
        seconds: u64,
        txs: &[Vec<u8>],
        misbehavior: &[Misbehavior],
    ) -> BlockOutput {
        self.height += 1;
        self.time_s += seconds;
        let votes: Vec<Vote> = self.sets[0]
            .iter()
            .map(|(key, power)| {
                let validator = Address::of_consensus(key).0;
                let signed = !self.absent.contains(&validator);
                Vote { validator, power: *power, signed }
            })
            .collect();
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let input = BlockInput {
            chain_id: CHAIN_ID,
            height: self.height,
            time_s: self.time_s,
            proposer: [0; 20],
            txs: &txs,
            votes: &votes,
            misbehavior,
        };
        let output = chain::execute_block(&self.store, &input, &NoMemory);
        self.store.apply(output.writes.clone());
        chain::check_invariants(&self.store).unwrap();
        // As CometBFT takes updates: each key once, none removed that it does not know, never empty.
        let mut set = self.sets[2].clone();
        let mut seen = std::collections::BTreeSet::new();
        for update in &output.validator_updates {
            assert!(seen.insert(update.pubkey), "a key twice");
            if update.power == 0 {
                assert!(set.remove(&update.pubkey).is_some(), "a key that nobody knows");
            } else {
                assert_ne!(set.insert(update.pubkey, update.power), Some(update.power));
            }
        }
        assert!(!set.is_empty(), "no validator is left");
        assert!(set.values().sum::<u64>() <= u64::try_from(i64::MAX).unwrap() / 8);
        self.sets.rotate_left(1);
        self.sets[2] = set;
        output
    }

    pub fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            self.block_with(1, &[], &[]);
        }
    }

    /// A block that comes so much later.
    pub fn later(&mut self, seconds: u64) -> BlockOutput {
        self.block_with(seconds, &[], &[])
    }

    /// The set of the block after next, as CometBFT has it.
    pub fn set(&self) -> &BTreeMap<[u8; 32], u64> {
        &self.sets[2]
    }

    pub fn sign(&self, from: &Account, msg: Any) -> Vec<u8> {
        let account = plasma_modules::auth::account(&self.store, from.address).unwrap();
        Draft::new(vec![msg], account.account_number, account.sequence).sign(from)
    }

    pub fn run(&mut self, from: &Account, msg: Any) -> TxResult {
        let tx = self.sign(from, msg);
        self.block_with(1, &[tx], &[]).txs.remove(0)
    }

    pub fn done(&mut self, from: &Account, msg: Any) -> TxResult {
        let result = self.run(from, msg);
        assert_eq!(result.code, 0, "{}", result.log);
        result
    }

    /// Refused with this code.
    pub fn refused(&mut self, from: &Account, msg: Any) -> (&'static str, u32) {
        let result = self.run(from, msg);
        assert_ne!(result.code, 0);
        (result.codespace, result.code)
    }

    pub fn delegate(&mut self, from: &Account, to: &Account, xpl: u128) {
        self.done(from, delegate(from, to, xpl * XPL));
    }

    pub fn balance(&self, of: &Account) -> u128 {
        token::balance(&self.store, of.address).units()
    }

    pub fn pool(&self, name: &str) -> u128 {
        token::balance(&self.store, Address::of_module(name)).units()
    }

    /// All that was ever burned.
    pub fn burned(&self) -> u128 {
        let totals = chain::export(&self.store).token.unwrap().totals.unwrap();
        totals.burned_uxpl.parse().unwrap()
    }

    pub fn validator(&self, of: &Account) -> plasma_proto::cosmos::staking::v1beta1::Validator {
        staking::validator(&self.store, of.address).unwrap()
    }

    pub fn tokens(&self, of: &Account) -> u128 {
        staking::tokens(&self.validator(of)).units()
    }

    /// What a delegation is worth.
    pub fn stake(&self, delegator: &Account, of: &Account) -> u128 {
        let shares = staking::shares_of(&self.store, delegator.address, of.address);
        staking::worth(&self.validator(of), shares).units()
    }

    pub fn ask<Q: Message + Name, A: Message + Default>(&self, request: &Q) -> Result<A, String> {
        let name = Q::NAME.strip_prefix("Query").unwrap().strip_suffix("Request").unwrap();
        let path = format!("/{}.Query/{name}", Q::PACKAGE);
        let block = chain::current_block(&self.store, CHAIN_ID, self.height, self.time_s);
        let view = View { store: &self.store, block: &block };
        let answer = Router::new().call(&path, &view, &request.encode_to_vec());
        answer.map(|bytes| A::decode(bytes.as_slice()).unwrap()).map_err(|error| error.log())
    }

    pub fn info(&self, of: &Account) -> ValidatorSigningInfo {
        use plasma_proto::cosmos::slashing::v1beta1::{
            QuerySigningInfoRequest, QuerySigningInfoResponse,
        };
        let cons_address = Address(consensus(of)).consensus_text();
        let answer: QuerySigningInfoResponse =
            self.ask(&QuerySigningInfoRequest { cons_address }).unwrap();
        answer.val_signing_info.unwrap()
    }

    /// The proof that a validator signed twice at a height, told in the next block.
    pub fn tell(&mut self, of: &Account, height: u64, time_s: u64, power: u64) -> BlockOutput {
        let misbehavior = Misbehavior {
            offence: Offence::DuplicateVote,
            validator: consensus(of),
            power,
            height,
            time_s,
            total_power: power * 2,
        };
        self.block_with(1, &[], &[misbehavior])
    }

    /// A chain that starts from this one's export: the same state, and the same one after some
    /// blocks.
    pub fn restarted(&self) -> Self {
        let genesis = chain::export(&self.store);
        let mut net = Self::new(&genesis, self.height, self.time_s);
        assert_eq!(chain::export(&net.store), genesis, "export(init(g)) == g");
        assert_eq!(net.sets[2], self.sets[2]);
        (net.sets, net.absent) = (self.sets.clone(), self.absent.clone());
        net
    }

    /// But for the block that it is the result of: an export names none.
    pub fn timeless(&self) -> Memory {
        let mut store = self.store.clone();
        store.set([Table::LastBlock.id()].into(), None);
        store
    }
}

pub fn delegate(from: &Account, to: &Account, units: u128) -> Any {
    any(&MsgDelegate {
        delegator_address: from.address.text(),
        validator_address: to.address.operator_text(),
        amount: Some(coin(units)),
    })
}

pub fn undelegate(from: &Account, of: &Account, units: u128) -> Any {
    any(&MsgUndelegate {
        delegator_address: from.address.text(),
        validator_address: of.address.operator_text(),
        amount: Some(coin(units)),
    })
}

pub fn redelegate(who: &Account, from: &Account, to: &Account, units: u128) -> Any {
    any(&MsgBeginRedelegate {
        delegator_address: who.address.text(),
        validator_src_address: from.address.operator_text(),
        validator_dst_address: to.address.operator_text(),
        amount: Some(coin(units)),
    })
}

pub fn cancel(who: &Account, of: &Account, units: u128, height: u64) -> Any {
    any(&MsgCancelUnbondingDelegation {
        delegator_address: who.address.text(),
        validator_address: of.address.operator_text(),
        amount: Some(coin(units)),
        creation_height: i64::try_from(height).unwrap(),
    })
}

pub fn unjail(who: &Account) -> Any {
    any(&MsgUnjail { validator_addr: who.address.operator_text() })
}

pub fn bps(bps: u32) -> String {
    Dec::bps(bps).text()
}

#[allow(deprecated)]
pub fn create(who: &Account, units: u128) -> MsgCreateValidator {
    MsgCreateValidator {
        description: Some(Description { moniker: "new".into(), ..Description::default() }),
        commission: Some(CommissionRates {
            rate: bps(1_000),
            max_rate: bps(2_000),
            max_change_rate: bps(100),
        }),
        min_self_delegation: "1".into(),
        delegator_address: who.address.text(),
        validator_address: who.address.operator_text(),
        pubkey: Some(any(&PubKey { key: key(who).to_vec() })),
        value: Some(coin(units)),
    }
}

pub fn edit(who: &Account, rate: &str, least: &str) -> Any {
    let keep = || staking::DO_NOT_MODIFY.to_owned();
    any(&MsgEditValidator {
        description: Some(Description {
            moniker: "renamed".into(),
            identity: keep(),
            website: keep(),
            security_contact: keep(),
            details: keep(),
        }),
        validator_address: who.address.operator_text(),
        commission_rate: rate.into(),
        min_self_delegation: least.into(),
    })
}

/// Staking's parameters of a genesis.
pub fn params(genesis: &mut GenesisState) -> &mut Params {
    genesis.staking.as_mut().unwrap().params.as_mut().unwrap()
}
