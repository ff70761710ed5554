//! Floods: what a flood costs, what it keeps others from, and what memory it takes.
//!
//! The driver does with the answers what CometBFT 0.38 does: it shows a proposer what came first, as much
//! as fits a block, asks again about everything after each block, and refuses by its own limits without
//! asking.

mod common;

use std::collections::{HashSet, VecDeque};

use common::{Bench, CHAIN, User};
use plasma_app::{
    files::{GenesisAccount, genesis},
    node::{ALONE_TXS_MAX, WAITING_BYTES_MAX},
};
use plasma_modules::{ante::required_fee, auth, chain, token, tx::TX_BYTES_MAX};
use plasma_proto::plasma::market::v1::{MsgSubmitJob, Sampling};
use prost::{Message, Name};
use prost_types::Any;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci as pb;

/// What is written into CometBFT's config.toml.
const MEMPOOL_TXS: usize = 8_000;
const MEMPOOL_BYTES: usize = 40 << 20;
const BLOCK_BYTES: usize = 2 << 20;
/// `insufficient fee` and `mempool is full`, codespace `sdk`.
const TOO_LITTLE: u32 = 13;
const FULL: u32 = 20;

/// The longest input of a job whose transaction is one of the largest.
const LONGEST: usize = TX_BYTES_MAX - 420;

/// CometBFT's mempool, and the chain behind it.
struct Net {
    bench: Bench,
    users: Vec<User>,
    sequences: Vec<u64>,
    /// Who sent it, and the transaction.
    mempool: VecDeque<(usize, Vec<u8>)>,
    bytes: usize,
    height: i64,
    _dir: tempfile::TempDir,
}

impl Net {
    fn new(users: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let users = common::crowd(users as u64);
        let mut spec = common::spec();
        let account =
            |user: &User| GenesisAccount { address: user.address.text(), amount_uxpl: 1 << 40 };
        spec.accounts = users.iter().map(account).collect();
        let state = genesis::state_to_json(&genesis::state(&spec).unwrap()).unwrap();
        let bench = Bench::open(dir.path());
        bench.app.init_chain(pb::RequestInitChain {
            time: common::time(0),
            chain_id: CHAIN.into(),
            app_state_bytes: state.to_string().into(),
            initial_height: 1,
            ..Default::default()
        });
        let sequences = vec![0; users.len()];
        let mempool = VecDeque::new();
        let mut net = Self { bench, users, sequences, mempool, bytes: 0, height: 0, _dir: dir };
        net.block();
        net
    }

    fn base(&self) -> u64 {
        token::fee_market(&self.bench.node.reader()).base_fee_nuxpl_per_gas
    }

    /// The next transaction of a user: a job with an input of so many bytes, for `eighths` of what must
    /// be paid now.
    fn job(&self, user: usize, bytes: usize, eighths: u64) -> Vec<u8> {
        let from = &self.users[user];
        let job = MsgSubmitJob {
            requester: from.address.text(),
            model_id: vec![1; 32],
            input: "x".repeat(bytes),
            sampling: Some(Sampling { top_p_milli: 1_000, ..Sampling::default() }),
            max_fee_uxpl: "1".into(),
            ..MsgSubmitJob::default()
        };
        let message = Any { type_url: MsgSubmitJob::type_url(), value: job.encode_to_vec() };
        let gas = 290_000 + 20 * (bytes as u64 + 300);
        let sequence = self.sequences[user];
        let sign = |fee: u128| from.sign(message.clone(), gas, fee.try_into().unwrap(), sequence);
        // The digits of the fee count among the bytes.
        let size = sign(1_000_000).len();
        let byte_price = token::params(&self.bench.node.reader()).byte_price_nuxpl;
        sign((required_fee(gas, size, self.base(), byte_price) * u128::from(eighths)).div_ceil(8))
    }

    /// Shows a transaction of `user` to the mempool; the code, or `None` where CometBFT itself is full.
    fn send(&mut self, user: usize, tx: &[u8]) -> Option<u32> {
        if self.mempool.len() >= MEMPOOL_TXS || self.bytes + tx.len() > MEMPOOL_BYTES {
            return None;
        }
        let code = self.bench.check(tx).code;
        if code == 0 {
            self.sequences[user] += 1;
            self.bytes += tx.len();
            self.mempool.push_back((user, tx.to_vec()));
        }
        Some(code)
    }

    /// Sends a job of each user from `users` until one is refused: as many of the largest as are taken
    /// at that price, and the code of the refusal.
    fn flood(&mut self, users: std::ops::Range<usize>, eighths: u64) -> (usize, Option<u32>) {
        for (sent, user) in users.enumerate() {
            let tx = self.job(user, LONGEST, eighths);
            match self.send(user, &tx) {
                Some(0) => {}
                refused => return (sent, refused),
            }
        }
        panic!("the flood is too small for this test");
    }

    /// A block, and the mempool after it; what is in the block.
    fn block(&mut self) -> Vec<Vec<u8>> {
        self.height += 1;
        let mut room = BLOCK_BYTES;
        let fits = |tx: &&(usize, Vec<u8>)| {
            let left = room.checked_sub(chain::framed(tx.1.len()));
            room = left.unwrap_or_default();
            left.is_some()
        };
        let shown: Vec<_> =
            self.mempool.iter().take_while(fits).map(|(_, tx)| tx.clone()).collect();
        let taken = self.bench.prepare(self.height, &shown, BLOCK_BYTES as i64);
        assert!(self.bench.accepts(self.height, &taken));
        self.bench.block(self.height, &taken);
        let in_block: HashSet<&Vec<u8>> = taken.iter().collect();
        let bench = &self.bench;
        self.mempool.retain(|(_, tx)| !in_block.contains(tx) && bench.recheck(tx).code == 0);
        self.bytes = self.mempool.iter().map(|(_, tx)| tx.len()).sum();
        // Who lost one goes on from where the chain has the account.
        let reader = self.bench.node.reader();
        for (sequence, user) in self.sequences.iter_mut().zip(&self.users) {
            *sequence = auth::account(&reader, user.address).unwrap().sequence;
        }
        for (user, _) in &self.mempool {
            self.sequences[*user] += 1;
        }
        drop(reader);
        assert!(self.bench.node.waiting().1 <= WAITING_BYTES_MAX);
        taken
    }
}

/// The flood of the list: 5,000 of the largest transactions at the least fee, and those who pay twice.
#[test]
fn who_pays_twice_is_in_the_next_block_of_a_flood_at_the_least_fee() {
    let mut net = Net::new(502);
    let (mut waiting, mut refused) = (0, 0);
    for n in 0..5_000 {
        let user = n % 500;
        let tx = net.job(user, LONGEST, 8);
        assert!(tx.len() > TX_BYTES_MAX - 200 && tx.len() <= TX_BYTES_MAX, "{}", tx.len());
        match net.send(user, &tx) {
            Some(0) => waiting += 1,
            Some(TOO_LITTLE) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    // No more of it waits than a block holds and one: the others could not pay when their turn comes.
    assert!((31..=33).contains(&waiting), "{waiting}");
    assert_eq!(waiting + refused, 5_000);
    assert!(net.bench.node.waiting().1 <= BLOCK_BYTES + TX_BYTES_MAX);
    let honest = [net.job(500, 100, 16), net.job(501, LONGEST, 16)];
    for (user, tx) in (500..).zip(&honest) {
        assert_eq!(net.send(user, tx), Some(0));
    }
    let block = net.block();
    assert!(honest.iter().all(|tx| block.contains(tx)));
    assert!(block.len() > 30, "the flood fills the rest");
}

/// A flood that pays whatever it is asked for its place fills what may wait. Who pays more than all of
/// it is in the next block, and finds room; who pays as much as some of it waits behind that.
#[test]
fn who_pays_more_than_a_full_queue_is_in_the_next_block() {
    let mut net = Net::new(700);
    let (mut from, mut eighths) = (0, 8);
    while net.bench.node.waiting().1 <= WAITING_BYTES_MAX - TX_BYTES_MAX {
        let tx = net.job(from, LONGEST, eighths);
        match net.send(from, &tx) {
            Some(0) => from += 1,
            Some(TOO_LITTLE) => eighths += 1,
            other => panic!("{other:?} after {from} for up to {eighths} eighths"),
        }
    }
    assert!((10..=16).contains(&eighths), "{eighths}");
    // Behind all of those nobody can wait for the least fee. Who pays more than all is in the next
    // block, be it small or large.
    let same = net.job(600, LONGEST, 8);
    assert_eq!(net.send(600, &same), Some(TOO_LITTLE));
    let honest = [net.job(601, 100, 17), net.job(602, LONGEST, 17)];
    for (user, tx) in (601..).zip(&honest) {
        assert_eq!(net.send(user, tx), Some(0));
    }
    let block = net.block();
    assert!(honest.iter().all(|tx| block.contains(tx)));
    // Best prices first: those that came first, and pay least, wait on or were dropped.
    assert!(block.len() > 25);
}

/// A flood that is kept up: it pays what it must every block, and its price rises by what full blocks
/// raise it. Whoever pays twice what must be paid is never kept waiting.
#[test]
fn a_flood_that_goes_on_pays_more_with_every_block() {
    let mut net = Net::new(700);
    let before = net.base();
    let mut from = 0;
    for round in 0..16usize {
        // Three blocks' worth, each at the least that is taken.
        let mut eighths = 8;
        for _ in 0..96 {
            let user = from % 600;
            let tx = net.job(user, LONGEST, eighths);
            match net.send(user, &tx) {
                Some(0) => from += 1,
                Some(TOO_LITTLE) if eighths < 15 => eighths += 1,
                _ => break,
            }
        }
        let honest = net.job(600 + round, 1_000, 16);
        assert_eq!(net.send(600 + round, &honest), Some(0), "round {round}");
        assert!(net.block().contains(&honest), "round {round}");
    }
    let rose = net.base() as f64 / before as f64;
    assert!(rose > 5.0, "{rose} times in 16 blocks");
}

/// Small transactions fill the mempool's number, not its bytes: the same holds.
#[test]
fn who_pays_more_finds_room_among_many_small_ones() {
    let mut net = Net::new(52);
    for n in 0..ALONE_TXS_MAX {
        let tx = net.job(n % 50, 1, 8);
        assert_eq!(net.send(n % 50, &tx), Some(0), "{n}");
    }
    let same = net.job(50, 1, 8);
    assert_eq!(net.send(50, &same), Some(FULL));
    let honest = net.job(50, 1, 9);
    assert_eq!(net.send(50, &honest), Some(0));
    assert_eq!(net.bench.node.waiting().0, ALONE_TXS_MAX, "the newest of the others gave way");
    assert!(net.block().contains(&honest));
}

/// A war of bids can fill what CometBFT holds beside those who gave way, but for one block alone.
#[test]
fn a_war_of_bids_closes_the_mempool_for_one_block_at_most() {
    let mut net = Net::new(1_500);
    let (mut from, mut eighths) = (0, 16);
    let full = loop {
        let (sent, refused) = net.flood(from..1_400, eighths);
        from += sent;
        match refused {
            None => break from,
            Some(_) => eighths += 1,
        }
    };
    assert!(net.bytes > MEMPOOL_BYTES - TX_BYTES_MAX, "{full}");
    assert!(net.bench.node.waiting().1 <= WAITING_BYTES_MAX);
    let honest = net.job(1_400, LONGEST, 2 * eighths);
    assert_eq!(net.send(1_400, &honest), None, "CometBFT does not ask what it pays");
    net.block();
    assert!(net.bytes < MEMPOOL_BYTES - (8 << 20), "who gave way is gone: {}", net.bytes);
    assert_eq!(net.send(1_400, &honest), Some(0));
    assert!(net.block().contains(&honest));
}
