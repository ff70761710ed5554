//! Several nodes that live differently, and the rules alone: the same blocks, the same everything.

mod common;

#[path = "../../modules/fuzz/src/lib.rs"]
#[allow(dead_code, reason = "the fuzz targets have the rest")]
mod bodies;

use std::path::{Path, PathBuf};

use bodies::{
    Pieces, Tally,
    chain::{CHAIN_ID, Chain, POWER, SEEDS, TIME_S, VALIDATOR},
    traffic, transaction,
};
use common::{Bench, bytes};
use plasma_app::{files::genesis, node::Keep, upkeep::Upkeep};
use plasma_modules::{
    Address, Pair, Read,
    chain::{self as rules, TxResult},
    msg::Msg,
    types::sha256,
};
use plasma_proto::plasma::{genesis::v1::Balance, token::v1::Totals};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tendermint_abci::Application;
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::{abci as pb, types::BlockIdFlag},
};

/// Blocks of a short run, and of the long one.
const BLOCKS: u64 = 500;
const BLOCKS_LONG: u64 = 10_000;
/// Blocks between snapshots.
const SNAPSHOT_BLOCKS: u64 = 50;
/// Transactions of a block, at most.
const TXS_MAX: u8 = 7;
/// Blocks between two readings of every key of every node; the app hash is read at each.
const DUMP_BLOCKS: u64 = 10;

/// Bytes without an end that follow from a name.
fn noise(name: &str, at: u64) -> Vec<u8> {
    let part = |n: u8| sha256(&[name.as_bytes(), &at.to_be_bytes(), &[n]].concat());
    (0..64).flat_map(part).collect()
}

/// How a node lives.
struct Life {
    dir: PathBuf,
    recent: u64,
    cache_bytes: usize,
    tree_bytes: usize,
    index: bool,
    threads: ThreadPool,
    bench: Option<Bench>,
}

impl Life {
    fn new(dir: &Path, at: usize) -> Self {
        // Nothing kept and one thread; little and four; much; what is asked for by default.
        let threads = [1, 4, 2, 3][at];
        Self {
            dir: dir.join(at.to_string()),
            recent: [1, 20, 100, 7][at],
            cache_bytes: [1 << 20, 8 << 20, 64 << 20, 2 << 20][at],
            tree_bytes: [1 << 14, 1 << 18, 64 << 20, 1 << 20][at],
            index: [false, true, false, true][at],
            threads: ThreadPoolBuilder::new().num_threads(threads).build().unwrap(),
            bench: None,
        }
    }

    fn open(&mut self) {
        self.bench = None;
        let keep = Keep {
            recent: self.recent,
            cache_bytes: self.cache_bytes,
            tree_bytes: self.tree_bytes,
            index: self.index,
            subscriptions: true,
        };
        let upkeep =
            Upkeep { snapshot_blocks: SNAPSHOT_BLOCKS, snapshots_kept: 2, ..Upkeep::default() };
        let mut bench = Bench::open_with(&self.dir, keep, upkeep);
        bench.proposer = proposer();
        self.bench = Some(bench);
    }

    fn init(&mut self) {
        self.open();
        let state = genesis::state_to_json(&Chain::genesis()).unwrap().to_string();
        self.bench().app.init_chain(pb::RequestInitChain {
            time: at(TIME_S),
            chain_id: CHAIN_ID.into(),
            app_state_bytes: state.into(),
            initial_height: 1,
            ..Default::default()
        });
    }

    /// Begins with the newest snapshot of another node. Its height.
    fn restore(&mut self, from: &Bench) -> u64 {
        self.open();
        let bench = self.bench();
        let snapshot = from.app.list_snapshots().snapshots.remove(0);
        let app_hash = from.node.reader_at(snapshot.height).unwrap().1.app_hash;
        bench.app.offer_snapshot(pb::RequestOfferSnapshot {
            snapshot: Some(snapshot.clone()),
            app_hash: app_hash.to_vec().into(),
        });
        for index in 0..snapshot.chunks {
            let chunk = from.app.load_snapshot_chunk(pb::RequestLoadSnapshotChunk {
                height: snapshot.height,
                format: snapshot.format,
                chunk: index,
            });
            bench.app.apply_snapshot_chunk(pb::RequestApplySnapshotChunk {
                index,
                chunk: chunk.chunk,
                sender: "peer".into(),
            });
        }
        assert_eq!(bench.info(), (snapshot.height as i64, app_hash.to_vec()));
        snapshot.height
    }

    fn bench(&self) -> &Bench {
        self.bench.as_ref().unwrap()
    }

    fn height(&self) -> u64 {
        self.bench.as_ref().map_or(0, |bench| bench.info().0 as u64)
    }

    fn block(&self, block: &Block) -> Done {
        let (bench, txs) = (self.bench(), bytes(&block.txs));
        let done = self.threads.install(|| {
            bench.app.finalize_block(pb::RequestFinalizeBlock {
                txs,
                height: block.height as i64,
                time: at(block.time_s),
                proposer_address: proposer(),
                decided_last_commit: Some(commit()),
                ..Default::default()
            })
        });
        bench.app.commit();
        bench.node.wait_for_upkeep();
        let result = |tx: &pb::ExecTxResult| Outcome {
            code: tx.code,
            data: tx.data.to_vec(),
            gas_wanted: tx.gas_wanted as u64,
            gas_used: tx.gas_used as u64,
        };
        Done { app_hash: done.app_hash.to_vec(), txs: done.tx_results.iter().map(result).collect() }
    }
}

/// What CometBFT hashes of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    code: u32,
    data: Vec<u8>,
    gas_wanted: u64,
    gas_used: u64,
}

impl Outcome {
    fn of(result: &TxResult) -> Self {
        let TxResult { code, data, gas_wanted, gas_used, .. } = result.clone();
        Self { code, data, gas_wanted, gas_used }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Done {
    app_hash: Vec<u8>,
    txs: Vec<Outcome>,
}

struct Block {
    height: u64,
    time_s: u64,
    txs: Vec<Vec<u8>>,
}

fn proposer() -> prost::bytes::Bytes {
    Address::of_consensus(&VALIDATOR).0.to_vec().into()
}

fn at(time_s: u64) -> Option<Timestamp> {
    Some(Timestamp { seconds: time_s as i64, nanos: 0 })
}

/// The only validator signed.
fn commit() -> pb::CommitInfo {
    let validator = pb::Validator { address: proposer(), power: POWER as i64 };
    let block_id_flag = BlockIdFlag::Commit.into();
    let votes = vec![pb::VoteInfo { validator: Some(validator), block_id_flag }];
    pb::CommitInfo { round: 0, votes }
}

/// The sum of all balances, and what was minted and burned.
fn money(chain: &Chain) -> (u128, u128, u128) {
    let token = rules::export(&chain.store).token.unwrap();
    let Totals { minted_uxpl, burned_uxpl } = token.totals.unwrap();
    let total = |text: String| text.parse::<u128>().unwrap();
    (supply(token.balances), total(minted_uxpl), total(burned_uxpl))
}

fn supply(balances: Vec<Balance>) -> u128 {
    let coins = balances.iter().flat_map(|balance| &balance.coins);
    coins.map(|coin| coin.amount.parse::<u128>().unwrap()).sum()
}

/// A block's transactions: of every kind, good and failing, repeated and torn.
fn traffic_of(chain: &Chain, height: u64, before: &mut Vec<Vec<u8>>) -> (u64, Vec<Vec<u8>>) {
    let data = noise("swarm", height);
    let mut input = Pieces(&data);
    let messages = traffic::messages(chain, height);
    let mut sent = [0; SEEDS];
    let seconds = if input.upto(15) == 1 { 30 } else { u64::from(input.upto(3)) };
    let txs = (0..=input.upto(TXS_MAX))
        .map(|_| match input.upto(15) {
            1 if !before.is_empty() => input.pick(before).clone(),
            2 => {
                let mut torn = transaction(&mut input, chain, &messages, &mut sent);
                torn.truncate(usize::from(input.byte()));
                torn
            }
            3 => {
                let mut forged = transaction(&mut input, chain, &messages, &mut sent);
                if let Some(last) = forged.last_mut() {
                    *last ^= 1;
                }
                forged
            }
            _ => transaction(&mut input, chain, &messages, &mut sent),
        })
        .collect();
    before.clone_from(&txs);
    (seconds, txs)
}

fn swarm(blocks: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut lives: Vec<Life> = (0..4).map(|at| Life::new(dir.path(), at)).collect();
    lives[..3].iter_mut().for_each(Life::init);
    let (story, opening) = traffic::begin(true);
    assert_eq!(story.height, opening.len() as u64);
    let mut model = Chain::new(true);
    let mut history: Vec<Block> = Vec::new();
    let (mut before, mut tally, mut opening) = (Vec::new(), Tally::default(), opening.into_iter());
    let (mut restarts, mut proposed) = (0, 0);
    let supply_begun = money(&model).0;
    for height in 1..=blocks {
        let (seconds, txs) = match opening.next() {
            Some(txs) => (1, txs),
            None => traffic_of(&model, height, &mut before),
        };
        let dice = noise("lives", height);
        // Whoever has seen what is to come.
        for (at, life) in lives.iter().enumerate().filter(|(_, life)| life.bench.is_some()) {
            let bench = life.bench();
            if at >= 1 {
                txs.iter().skip(usize::from(dice[at] % 3)).for_each(|tx| drop(bench.check(tx)));
            }
        }
        let txs = if dice[4].is_multiple_of(2) {
            // What a proposer makes of it, which the others accept.
            let taken = lives[2].bench().prepare(height as i64, &txs, 1 << 20);
            proposed += 1;
            taken
        } else {
            txs
        };
        let slices: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let input = rules::BlockInput { time_s: model.time_s + seconds, ..model.next(&slices) };
        let block = Block { height, time_s: input.time_s, txs: txs.clone() };
        let judged = rules::process(&model.store, &input, &plasma_modules::tx::NoMemory).is_ok();
        for life in lives[1..].iter().filter(|life| life.bench.is_some()) {
            let verdict = life.bench().app.process_proposal(pb::RequestProcessProposal {
                txs: bytes(&txs),
                height: height as i64,
                time: at(block.time_s),
                proposer_address: proposer(),
                ..Default::default()
            });
            let accepted = pb::response_process_proposal::ProposalStatus::Accept;
            assert_eq!(verdict.status == i32::from(accepted), judged, "block {height}");
        }
        let output = model.run_after(seconds, &slices);
        let wanted: Vec<Outcome> = output.txs.iter().map(Outcome::of).collect();
        for (result, outcome) in output.txs.iter().zip(&wanted) {
            assert!(result.code == 0 || outcome.data.is_empty(), "no error text in data");
        }
        tally.count(&output.txs);
        let done: Vec<Done> = lives
            .iter()
            .filter(|life| life.bench.is_some())
            .map(|life| life.block(&block))
            .collect();
        for one in &done {
            assert_eq!(one.txs, wanted, "results of block {height}");
            assert_eq!(one.app_hash, done[0].app_hash, "app hash of block {height}");
        }
        history.push(block);
        let (sum, minted, burned) = money(&model);
        assert_eq!(sum, supply_begun + minted - burned, "supply of block {height}");
        // 8% a year of what there is, at most.
        let passed_s = u128::from(model.time_s - TIME_S);
        assert!(minted <= supply_begun.max(sum) * 8 / 100 * passed_s / 31_557_600, "{minted}");
        assert!(height < 100 || minted > 0 && burned > 0, "{minted} {burned}");
        rules::check_invariants(&model.store).unwrap();
        if height.is_multiple_of(DUMP_BLOCKS) || blocks <= BLOCKS {
            let state: Vec<Pair> = model.store.scan(&[]).collect();
            for life in lives.iter().filter(|life| life.bench.is_some()) {
                assert!(life.bench().dump() == state, "state of block {height}");
            }
        }
        // One is stopped here and there; one comes late, from another's snapshot.
        if dice[5].is_multiple_of(16) {
            lives[1].open();
            assert_eq!(lives[1].height(), height);
            restarts += 1;
        }
        if height == blocks / 2 {
            let (late, others) = lives.split_last_mut().unwrap();
            let from = late.restore(others[2].bench());
            let missed = &history[from as usize..];
            let last = missed.iter().map(|block| late.block(block)).last();
            assert!(last.is_none_or(|last| last == done[0]), "caught up to block {height}");
        }
    }
    for life in &lives {
        assert_eq!(life.height(), blocks);
        life.bench().node.check().unwrap();
    }
    println!("{blocks} blocks, {proposed} of them proposed, {restarts} restarts: {tally:#?}");
    assert!(restarts > 0 && proposed > 0);
    assert!(tally.taken * 4 > tally.txs && tally.taken < tally.txs, "{tally:?}");
    let alone = Msg::governance_type_urls();
    for url in Msg::type_urls().into_iter().filter(|url| !alone.contains(url)) {
        let response = format!("{url}Response");
        assert!(tally.kinds.contains_key(&response), "{url} never carried out");
    }
}

#[test]
fn nodes_that_live_differently_agree_on_everything() {
    swarm(BLOCKS);
}

#[test]
#[ignore = "minutes; make test-long runs it"]
fn nodes_agree_over_ten_thousand_blocks() {
    let asked = std::env::var("PLASMA_SWARM_BLOCKS").ok().and_then(|text| text.parse().ok());
    swarm(asked.unwrap_or(BLOCKS_LONG));
}
