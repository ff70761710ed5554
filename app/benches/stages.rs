//! What a transfer costs plasmad, stage by stage: CPU time of all of its threads, and wall time.
//! Prints figures; asserts nothing about them.
//!
//! `cargo bench -p plasma-app --bench stages [-- STAGE SECONDS]`: with a stage and a time that stage
//! alone is repeated, for a profiler to look at (docs/performance.md).

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Bench, CHAIN, START_S, User, bytes, proposer, time};
use plasma_app::{
    abci::{App, Listener},
    files::{GenesisAccount, genesis},
    node::Keep,
    seen::Seen,
};
use plasma_modules::{
    Address, Memory, Overlay, SignatureMemory,
    chain::{self, BlockInput},
    tx::{self, NoMemory, Purpose},
};
use prost::Message;
use secp256k1::Secp256k1;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    self as pb, Request, Response, request::Value, response_process_proposal::ProposalStatus,
};

/// As in plasmad.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Accounts of the chain, and how many of them send in each block.
const ACCOUNTS: usize = 20_000;
const TRANSFERS: usize = 2_000;
/// Measured blocks of each kind.
const BLOCKS: usize = 10;
/// What an account has at first, uxpl.
const MONEY_UXPL: u128 = 1_000_000_000;
/// Verifications of the yardstick beside each block.
const YARDSTICK: usize = 400;

/// CPU seconds of this process, or of all its threads but the calling one.
fn cpu_s(others_only: bool) -> f64 {
    let this = fs::read_link("/proc/thread-self").unwrap();
    let this = this.file_name().unwrap().to_owned();
    let mut spent_ns = 0u64;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        if others_only && task.file_name() == this {
            continue;
        }
        // A thread may end while it is looked at.
        let Ok(stat) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        spent_ns += stat.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    }
    spent_ns as f64 / 1e9
}

/// Time spent in one stage.
struct Stage {
    name: &'static str,
    note: &'static str,
    cpu_s: f64,
    wall: Duration,
    slowest: Duration,
    transfers: usize,
}

impl Stage {
    fn new(name: &'static str, note: &'static str) -> Self {
        let (wall, slowest) = (Duration::ZERO, Duration::ZERO);
        Self { name, note, cpu_s: 0.0, wall, slowest, transfers: 0 }
    }

    fn measure<T>(&mut self, transfers: usize, work: impl FnOnce() -> T) -> T {
        let (cpu, start) = (cpu_s(false), Instant::now());
        let done = work();
        let took = start.elapsed();
        self.wall += took;
        self.slowest = self.slowest.max(took);
        self.cpu_s += cpu_s(false) - cpu;
        self.transfers += transfers;
        done
    }

    fn cpu_us(&self) -> f64 {
        self.cpu_s * 1e6 / self.transfers as f64
    }

    fn wall_us(&self) -> f64 {
        self.wall.as_secs_f64() * 1e6 / self.transfers as f64
    }

    fn print(&self) {
        let Self { name, note, .. } = self;
        println!("  {name:<34} {:>7.1} {:>7.1}   {note}", self.cpu_us(), self.wall_us());
    }
}

/// Signatures of one key, to be verified by libsecp256k1 and nothing else.
struct Yardstick {
    curve: Secp256k1<secp256k1::All>,
    key: secp256k1::PublicKey,
    signed: Vec<(secp256k1::Message, secp256k1::ecdsa::Signature)>,
}

impl Yardstick {
    fn new(count: usize) -> Self {
        let curve = Secp256k1::new();
        let (secret, key) = curve.generate_keypair(&mut secp256k1::rand::rng());
        let sign = |at: u64| {
            let mut digest = [7; 32];
            digest[..8].copy_from_slice(&at.to_be_bytes());
            let digest = secp256k1::Message::from_digest(digest);
            (digest, curve.sign_ecdsa(digest, &secret))
        };
        let signed = (0..count as u64).map(sign).collect();
        Self { curve, key, signed }
    }

    fn verify(&self) {
        for (digest, signature) in &self.signed {
            self.curve.verify_ecdsa(*digest, signature, &self.key).unwrap();
        }
    }

    /// What one verification takes now, us.
    fn us(&self) -> f64 {
        let start = Instant::now();
        self.verify();
        start.elapsed().as_secs_f64() * 1e6 / self.signed.len() as f64
    }
}

/// The quarters' limits of what was measured again and again.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

fn accounts() -> Vec<User> {
    let mut users: Vec<User> = (1..=ACCOUNTS as u64)
        .map(|n| {
            let mut secret = [1; 32];
            secret[..8].copy_from_slice(&n.to_be_bytes());
            User::new(secret)
        })
        .collect();
    users.sort_by_key(|user| user.address);
    for (number, user) in (0..).zip(&mut users) {
        user.number = number;
    }
    users
}

/// The transfers of one block: each account sends once in ten blocks.
fn transfers(users: &[User], block: usize) -> Vec<Vec<u8>> {
    let from = block * TRANSFERS;
    (from..from + TRANSFERS)
        .map(|at| {
            let (user, to) = (&users[at % ACCOUNTS], &users[(at * 7_919 + 13) % ACCOUNTS]);
            user.send(to, 1_000, (at / ACCOUNTS) as u64)
        })
        .collect()
}

fn open(dir: &Path, users: &[User]) -> Bench {
    let mut spec = common::spec();
    let account =
        |user: &User| GenesisAccount { address: user.address.text(), amount_uxpl: MONEY_UXPL };
    spec.accounts = users.iter().map(account).collect();
    let state = genesis::state(&spec).unwrap();
    let state = genesis::state_to_json(&state).unwrap().to_string();
    fs::create_dir_all(dir).unwrap();
    let mut bench = Bench::open_with(dir, Keep::default(), plasma_app::upkeep::Upkeep::default());
    bench.proposer = proposer();
    bench.app.init_chain(pb::RequestInitChain {
        time: time(0),
        chain_id: CHAIN.into(),
        app_state_bytes: state.into(),
        initial_height: 1,
        ..Default::default()
    });
    finalize(&bench.app, 1, &[]);
    bench.app.commit();
    bench
}

fn finalize_request(height: i64, txs: &[Vec<u8>]) -> pb::RequestFinalizeBlock {
    pb::RequestFinalizeBlock {
        txs: bytes(txs),
        height,
        time: time(height),
        proposer_address: proposer(),
        ..Default::default()
    }
}

fn finalize(app: &App, height: i64, txs: &[Vec<u8>]) -> pb::ResponseFinalizeBlock {
    let done = app.finalize_block(finalize_request(height, txs));
    for result in &done.tx_results {
        assert_eq!(result.code, 0, "{}", result.log);
    }
    done
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let users = accounts();
    let dir = tempfile::tempdir().unwrap();
    if let [stage, seconds] = args.as_slice() {
        let seconds = seconds.parse().expect("the second argument is a number of seconds");
        repeat(stage, Duration::from_secs(seconds), dir.path(), &users);
        return;
    }
    println!(
        "a transfer by stages: {ACCOUNTS} accounts, blocks of {TRANSFERS} transfers, {} CPUs",
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!("  {:<34} {:>7} {:>7}", "stage", "us CPU", "us");
    in_memory(&users);
    on_disk(dir.path(), &users);
    over_the_socket(dir.path(), &users);
}

/// The rules alone, on a state in memory, one thread.
fn in_memory(users: &[User]) {
    let mut spec = common::spec();
    let account =
        |user: &User| GenesisAccount { address: user.address.text(), amount_uxpl: MONEY_UXPL };
    spec.accounts = users.iter().map(account).collect();
    let state = genesis::state(&spec).unwrap();
    let mut base = Memory::default();
    let mut writes = Overlay::new(&base);
    chain::init(&mut writes, CHAIN, START_S as u64, &state).unwrap();
    let writes = writes.into_writes();
    base.apply(writes);

    let yardstick = Yardstick::new(TRANSFERS);
    let mut verify =
        Stage::new("a verification alone", "the yardstick: libsecp256k1, the key parsed");
    let mut decode = Stage::new("decode", "bytes to messages, canonical or refused");
    let mut cold = Stage::new("authenticate, cold", "an ECDSA verification");
    let mut warm = Stage::new("authenticate, remembered", "");
    let mut ante = Stage::new("decode + ante, remembered", "ProcessProposal on a state in memory");
    let mut execute = Stage::new("execute", "the whole block in memory, ante and decode included");
    for round in 0..BLOCKS {
        let txs = transfers(users, round);
        let slices: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let height = round as u64 + 1;
        let time_s = START_S as u64 + height;
        let memory = Seen::default();
        verify.measure(TRANSFERS, || yardstick.verify());
        let decoded: Vec<_> = decode.measure(TRANSFERS, || {
            slices.iter().map(|tx| Arc::new(tx::decode(tx, Purpose::Execute).unwrap())).collect()
        });
        let again =
            slices.iter().map(|tx| Arc::new(tx::decode(tx, Purpose::Execute).unwrap())).collect();
        let check = |stage: &mut Stage, decoded, memory: &dyn SignatureMemory| {
            let decoded: Vec<Arc<tx::Decoded>> = decoded;
            stage.measure(TRANSFERS, || {
                for tx in decoded {
                    tx::authenticate(&base, CHAIN, tx, memory).unwrap();
                }
            });
        };
        check(&mut cold, decoded, &memory);
        check(&mut warm, again, &memory);
        let proposer = Address::of_consensus(&[7; 32]).0;
        let input = BlockInput {
            chain_id: CHAIN,
            height,
            time_s,
            proposer,
            txs: &slices,
            votes: &[],
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        };
        ante.measure(TRANSFERS, || assert!(chain::process(&base, &input, &memory).is_ok()));
        let output = execute.measure(TRANSFERS, || chain::execute_block(&base, &input, &memory));
        base.apply(output.writes);
    }
    for stage in [verify, decode, cold, warm, ante, execute] {
        stage.print();
    }
}

/// The calls of ABCI, without the socket.
fn on_disk(dir: &Path, users: &[User]) {
    let bench = open(&dir.join("calls"), users);
    let mut check = Stage::new("CheckTx", "first sight: the signature is checked");
    let mut renew = Stage::new("Commit of an empty block", "what waits is checked anew");
    let mut recheck = Stage::new("CheckTx, recheck", "after a block in which it was not");
    let mut prepare = Stage::new("PrepareProposal", "");
    let mut process = Stage::new("ProcessProposal", "");
    let mut execute = Stage::new("  execution over RocksDB", "a part of FinalizeBlock");
    let mut finalize_ = Stage::new("FinalizeBlock", "the rest of it: before-values, Merkle trees");
    let mut commit = Stage::new("Commit", "one synced batch");
    let mut cold = Stage::new("FinalizeBlock, cold", "block sync: signatures checked in it");
    let mut cold_process = Stage::new("ProcessProposal, cold", "another's proposal, unseen");
    let mut singles = Vec::new();
    let mut height = 1;
    for round in 0..2 * BLOCKS {
        let txs = transfers(users, round);
        height += 1;
        // Even blocks come unseen, odd ones by the mempool.
        if round % 2 == 0 {
            if round % 4 == 0 {
                cold.measure(TRANSFERS, || finalize(&bench.app, height, &txs));
            } else {
                cold_process.measure(TRANSFERS, || assert!(bench.accepts(height, &txs)));
                finalize(&bench.app, height, &txs);
            }
            bench.app.commit();
            continue;
        }
        let requests: Vec<_> =
            txs.iter().map(|tx| pb::RequestCheckTx { tx: tx.clone().into(), r#type: 0 }).collect();
        let check_all = |singles: &mut Vec<Duration>| {
            for request in &requests {
                let start = Instant::now();
                let done = bench.app.check_tx(request.clone());
                singles.push(start.elapsed());
                assert_eq!(done.code, 0, "{}", done.log);
            }
        };
        check.measure(TRANSFERS, || check_all(&mut singles));
        // An empty block comes between, so that everything waits and is checked again.
        finalize(&bench.app, height, &[]);
        renew.measure(TRANSFERS, || bench.app.commit());
        height += 1;
        recheck.measure(TRANSFERS, || {
            for request in &requests {
                let request = pb::RequestCheckTx { r#type: 1, ..request.clone() };
                assert_eq!(bench.app.check_tx(request).code, 0);
            }
        });
        let taken = prepare.measure(TRANSFERS, || bench.prepare(height, &txs, 64 << 20));
        assert_eq!(taken.len(), TRANSFERS);
        process.measure(TRANSFERS, || assert!(bench.accepts(height, &txs)));
        let memory = Seen::default();
        let slices: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let reader = bench.node.reader();
        let time_s = START_S as u64 + height as u64;
        let proposer = Address::of_consensus(&[7; 32]).0;
        let input = BlockInput {
            chain_id: CHAIN,
            height: height as u64,
            time_s,
            proposer,
            txs: &slices,
            votes: &[],
            misbehavior: &[],
            upgrades: chain::UPGRADES,
        };
        assert!(chain::process(&reader, &input, &memory).is_ok());
        execute.measure(TRANSFERS, || chain::execute_block(&reader, &input, &memory));
        drop(reader);
        finalize_.measure(TRANSFERS, || finalize(&bench.app, height, &txs));
        commit.measure(TRANSFERS, || bench.app.commit());
    }
    let per_s = 1e6 / (finalize_.wall_us() + commit.wall_us());
    let cold_per_s = 1e6 / (cold.wall_us() + commit.wall_us());
    let slowest_ms = (finalize_.slowest + commit.slowest).as_secs_f64() * 1e3;
    for stage in
        [check, renew, recheck, prepare, process, cold_process, execute, finalize_, commit, cold]
    {
        stage.print();
    }
    singles.sort_unstable();
    let at = |share: usize| singles[singles.len() * share / 1_000].as_secs_f64() * 1e6;
    println!(
        "  CheckTx one by one, us: p50 {:.0}, p99 {:.0}, p99.9 {:.0}",
        at(500),
        at(990),
        at(999)
    );
    println!(
        "  FinalizeBlock + Commit: {per_s:.0} transfers/s, unseen {cold_per_s:.0}; slowest block {slowest_ms:.0} ms"
    );
}

/// One end of an ABCI connection.
struct Client(UnixStream, Vec<u8>);

impl Client {
    fn new(address: &str) -> Self {
        Self(UnixStream::connect(address.trim_start_matches("unix://")).unwrap(), Vec::new())
    }

    fn put(&mut self, value: Value) {
        Request { value: Some(value) }.encode_length_delimited(&mut self.1).unwrap();
    }

    /// Sends what was put, and reads `count` replies.
    fn replies(&mut self, count: usize) -> Vec<Response> {
        self.put(Value::Flush(pb::RequestFlush {}));
        // Both directions at once, as CometBFT does, and neither in a loop that takes the server's CPU.
        let out = std::mem::take(&mut self.1);
        let (mut input, mut output) = (&self.0, &self.0);
        std::thread::scope(|scope| {
            scope.spawn(move || output.write_all(&out).unwrap());
            let (mut received, mut replies) = (Vec::new(), Vec::new());
            let mut chunk = vec![0; 1 << 20];
            while replies.len() < count + 1 {
                let read = input.read(&mut chunk).unwrap();
                assert!(read > 0, "the connection was closed");
                received.extend_from_slice(&chunk[..read]);
                let mut used = 0;
                loop {
                    let mut rest = &received[used..];
                    let Ok(length) = prost::decode_length_delimiter(&mut rest) else { break };
                    if rest.len() < length {
                        break;
                    }
                    replies.push(Response::decode(&rest[..length]).unwrap());
                    used = received.len() - rest.len() + length;
                }
                received.drain(..used);
            }
            replies.pop();
            replies
        })
    }

    fn one(&mut self, value: Value) -> pb::response::Value {
        self.put(value);
        self.replies(1).remove(0).value.unwrap()
    }
}

/// Every call of a transfer's life, as CometBFT makes them: what plasmad's threads spend. Each account sends once, and
/// then each once more: a first transfer writes the account's key, and reads what nobody has asked for.
fn over_the_socket(dir: &Path, users: &[User]) {
    let bench = open(&dir.join("socket"), users);
    let address = format!("unix://{}", dir.join("abci.sock").display());
    let mut listener = Listener::start(&address, bench.app.clone()).unwrap();
    let (mut mempool, mut consensus) = (Client::new(&address), Client::new(&address));
    let yardstick = Yardstick::new(YARDSTICK);
    let mut height = 1;
    for (which, from) in [("first", 0), ("later", BLOCKS)] {
        let blocks: Vec<_> = (from..from + BLOCKS).map(|block| transfers(users, block)).collect();
        let [mut cpu_us, mut wall_us, mut alone_us, mut ratio] = [(); 4].map(|()| Vec::new());
        for txs in &blocks {
            let before = yardstick.us();
            let (cpu, start) = (cpu_s(true), Instant::now());
            height += 1;
            for tx in txs {
                mempool
                    .put(Value::CheckTx(pb::RequestCheckTx { tx: tx.clone().into(), r#type: 0 }));
            }
            assert_eq!(mempool.replies(txs.len()).len(), txs.len());
            let prepared = consensus.one(Value::PrepareProposal(pb::RequestPrepareProposal {
                max_tx_bytes: 64 << 20,
                txs: bytes(txs),
                height,
                time: time(height),
                proposer_address: proposer(),
                ..Default::default()
            }));
            let pb::response::Value::PrepareProposal(prepared) = prepared else { panic!() };
            assert_eq!(prepared.txs.len(), txs.len());
            let processed = consensus.one(Value::ProcessProposal(pb::RequestProcessProposal {
                txs: bytes(txs),
                height,
                time: time(height),
                proposer_address: proposer(),
                ..Default::default()
            }));
            let pb::response::Value::ProcessProposal(processed) = processed else { panic!() };
            assert_eq!(processed.status, i32::from(ProposalStatus::Accept));
            let executed = consensus.one(Value::FinalizeBlock(finalize_request(height, txs)));
            let pb::response::Value::FinalizeBlock(executed) = executed else { panic!() };
            assert!(executed.tx_results.iter().all(|result| result.code == 0));
            consensus.one(Value::Commit(pb::RequestCommit {}));
            let each = |seconds: f64| seconds * 1e6 / TRANSFERS as f64;
            wall_us.push(each(start.elapsed().as_secs_f64()));
            cpu_us.push(each(cpu_s(true) - cpu));
            alone_us.push(before.midpoint(yardstick.us()));
            ratio.push(cpu_us[cpu_us.len() - 1] / alone_us[alone_us.len() - 1]);
        }
        println!(
            "  all calls of a proposer, over the socket, {which} transfers of accounts, quarters of {BLOCKS} blocks:"
        );
        for (what, values) in [
            ("us CPU of plasmad", cpu_us),
            ("us until the next block", wall_us),
            ("us of a verification alone beside it", alone_us),
            ("verifications", ratio),
        ] {
            let [low, middle, high] = quartiles(values);
            println!("    {low:>7.2} {middle:>7.2} {high:>7.2}   {what}");
        }
    }
    listener.stop();
}

/// One stage again and again, for a profiler.
fn repeat(stage: &str, time_left: Duration, dir: &Path, users: &[User]) {
    let bench = open(&dir.join("repeat"), users);
    let txs = transfers(users, 0);
    let requests: Vec<_> =
        txs.iter().map(|tx| pb::RequestCheckTx { tx: tx.clone().into(), r#type: 0 }).collect();
    for request in &requests {
        assert_eq!(bench.app.check_tx(request.clone()).code, 0);
    }
    let slices: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
    let end = Instant::now() + time_left;
    let mut height = 2;
    let mut round = 1;
    if ["block", "all"].contains(&stage) {
        finalize(&bench.app, height, &txs);
        bench.app.commit();
        height += 1;
    }
    while Instant::now() < end {
        match stage {
            "decode" => {
                for tx in &slices {
                    tx::decode(tx, Purpose::Execute).unwrap();
                }
            }
            "check" => {
                finalize(&bench.app, height, &[]);
                bench.app.commit();
                height += 1;
                for request in &requests {
                    let request = pb::RequestCheckTx { r#type: 1, ..request.clone() };
                    assert_eq!(bench.app.check_tx(request).code, 0);
                }
            }
            "verify" => {
                let reader = bench.node.reader();
                for tx in &slices {
                    let tx = Arc::new(tx::decode(tx, Purpose::Execute).unwrap());
                    tx::authenticate(&reader, CHAIN, tx, &NoMemory).unwrap();
                }
            }
            "prepare" => drop(bench.prepare(height, &txs, 64 << 20)),
            "process" => assert!(bench.accepts(height, &txs)),
            "finalize" => drop(finalize(&bench.app, height, &txs)),
            "block" => {
                let txs = transfers(users, round);
                finalize(&bench.app, height, &txs);
                bench.app.commit();
                height += 1;
                round += 1;
            }
            "all" => {
                let txs = transfers(users, round);
                for tx in bytes(&txs) {
                    let request = pb::RequestCheckTx { tx, r#type: 0 };
                    assert_eq!(bench.app.check_tx(request).code, 0);
                }
                assert_eq!(bench.prepare(height, &txs, 64 << 20).len(), TRANSFERS);
                assert!(bench.accepts(height, &txs));
                finalize(&bench.app, height, &txs);
                bench.app.commit();
                height += 1;
                round += 1;
            }
            other => {
                panic!("no stage {other:?}: decode check verify prepare process finalize block all")
            }
        }
    }
}
