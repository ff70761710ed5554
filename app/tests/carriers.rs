//! Carriers: what a node makes of them before a block, and that no block has one.

mod common;

use common::{Bench, User, users};
use plasma_app::node::{Turned, WAITING_TXS_MAX};
use plasma_modules::carrier;

fn pack(txs: &[Vec<u8>]) -> Vec<u8> {
    carrier::encode(txs.iter().map(Vec::as_slice))
}

fn sends(from: &User, to: &User, sequences: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    sequences.map(|n| from.send(to, 1_000, n)).collect()
}

fn offer(bench: &Bench, tx: &[u8]) -> u32 {
    bench.node.offer(tx.to_vec().into()).unwrap().unwrap().code
}

#[test]
fn a_carrier_is_taken_apart_by_the_proposer_and_accepted_by_the_others() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (proposer, other) = (Bench::new(a.path()), Bench::new(b.path()));
    let users = users();
    let carried = sends(&users[1], &users[2], 0..3);
    let alone = sends(&users[2], &users[3], 0..2);
    let packed = pack(&carried);
    assert_eq!(proposer.check(&packed).code, 0);
    assert_eq!(proposer.check(&alone[0]).code, 0);
    // In the order of arrival, the carrier's where it stands; what stands twice is taken once.
    let mempool = [
        alone[0].clone(),
        packed.clone(),
        alone[1].clone(),
        pack(&carried[1..]),
        carried[0].clone(),
    ];
    let block = proposer.prepare(1, &mempool, 1 << 20);
    let expected: Vec<_> = [&alone[..1], &carried[..], &alone[1..]].concat();
    assert_eq!(block, expected);
    assert!(other.accepts(1, &block));
    // No block has a carrier, whoever proposes it.
    assert!(!other.accepts(1, std::slice::from_ref(&packed)));
    let (one, two) = (proposer.block(1, &block), other.block(1, &block));
    assert_eq!(one.app_hash, two.app_hash);
    assert!(one.tx_results.iter().all(|result| result.code == 0));
    assert_ne!(proposer.recheck(&packed).code, 0, "nothing in it waits any more");
}

#[test]
fn a_carrier_that_does_not_fit_is_split() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let txs = sends(&users[1], &users[2], 0..6);
    let packed = pack(&txs);
    assert_eq!(bench.check(&packed).code, 0);
    let room = txs[0].len() as i64 * 2 + 20;
    let mut included = Vec::new();
    for height in 1..=3 {
        assert_eq!(bench.recheck(&packed).code, 0, "something in it still waits");
        let block = bench.prepare(height, std::slice::from_ref(&packed), room);
        assert_eq!(block.len(), 2, "block {height}");
        assert!(bench.accepts(height, &block));
        bench.block(height, &block);
        included.extend(block);
    }
    assert_eq!(included, txs);
    assert_ne!(bench.recheck(&packed).code, 0);
    assert_eq!(bench.node.waiting().0, 0);
}

#[test]
fn carriers_of_others_must_bring_something() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let good = sends(&users[1], &users[2], 0..4);
    let gaps = sends(&users[3], &users[2], 5..12);
    // Nothing that could wait, or too little of it.
    assert_eq!(bench.check(&pack(&gaps)).code, 18);
    assert_eq!(bench.check(&pack(&[&good[..1], &gaps[..]].concat())).code, 18);
    assert_eq!(bench.node.waiting().0, 0, "a refused carrier leaves nothing");
    // Something undecodable inside.
    let noise = vec![0x0a; 100];
    assert_eq!(bench.check(&pack(&[good.clone(), vec![noise]].concat())).code, 2);
    assert_eq!(bench.check(&carrier::encode([&pack(&good)[..]])).code, 2, "a carrier inside");
    assert_eq!(bench.check(&pack(&good)).code, 0);
    assert_eq!(bench.node.waiting().0, 4);
    // A copy of what waits brings nothing.
    let copy = [good[3].clone(), good[0].clone()];
    assert_eq!(bench.check(&pack(&copy)).code, 18);
    // Neither do copies beside little that is new.
    let more = sends(&users[1], &users[2], 4..10);
    let copies = [&good[..], &more[..1]].concat();
    assert_eq!(bench.check(&pack(&copies)).code, 18, "four of five are known");
    assert_eq!(bench.check(&pack(&[&more[..1]; 8].concat())).code, 18, "seven of eight are one");
    assert_eq!(bench.node.waiting().0, 4);
    assert_eq!(bench.check(&pack(&[&good[..], &more[..]].concat())).code, 0, "six of ten are new");
    assert_eq!(bench.check(&good[0]).code, 19, "it waits in a carrier");
}

/// A carrier stays as long as something in it waits. What can never wait beside that is not checked
/// anew after every block without end.
#[test]
fn what_is_in_vain_in_a_carrier_is_tried_a_few_times_a_block() {
    /// `RETRIES_MAX`
    const RETRIES: u64 = 16;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    for (at, (in_vain, taken)) in [(RETRIES - 1, true), (RETRIES, false)].into_iter().enumerate() {
        let from = 40 * at as u64;
        let good = sends(&users[1], &users[2], from..from + 40);
        // Behind others of their accounts that never come; behind one that comes later.
        let never = sends(&users[3], &users[2], 100..100 + in_vain);
        let late = users[4].send(&users[2], 1_000, 2 * at as u64 + 1);
        let carrier = pack(&[&good[..], &never[..], &[late]].concat());
        assert_eq!(bench.check(&carrier).code, 0);
        assert_eq!(bench.check(&users[4].send(&users[2], 1_000, 2 * at as u64)).code, 0);
        let before = bench.node.waiting().0;
        assert_eq!(bench.recheck(&carrier).code, 0);
        assert_eq!(bench.node.waiting().0 - before, usize::from(taken), "{in_vain} in vain");
    }
}

#[test]
fn own_carriers_stand_on_what_the_front_door_took() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let txs = sends(&users[1], &users[2], 0..5);
    for tx in &txs {
        assert_eq!(offer(&bench, tx), 0);
    }
    assert_eq!(bench.node.offer(txs[0].clone().into()).unwrap(), Err(Turned::Known));
    let large = bench.node.offer(vec![0x0a; 70_000].into()).unwrap();
    assert_eq!(large, Err(Turned::TooLarge(70_000)));
    assert_eq!(offer(&bench, &users[1].send(&users[2], 1, 9)), 32);
    assert_eq!(offer(&bench, &pack(&txs)), 2, "users send no carriers");
    // Carriers of at most so many bytes, in order; each is accepted although all of it is known.
    let room = txs[0].len() * 2 + 20;
    let mut carriers = Vec::new();
    while let Some(carrier) = bench.node.next_carrier(room) {
        assert!(carrier.bytes.len() <= room);
        assert_eq!(bench.check(&carrier.bytes).code, 0);
        bench.node.let_go(&carrier);
        carriers.push(carrier.bytes);
    }
    assert_eq!(carriers.len(), 3);
    assert_eq!(bench.node.held_bytes(), 0);
    let block = bench.prepare(1, &carriers, 1 << 20);
    assert_eq!(block, txs);
    bench.block(1, &block);
    assert_eq!(bench.node.offer(txs[0].clone().into()).unwrap(), Err(Turned::Known));
}

/// What CometBFT does not confirm after a block, it has dropped; what is held waits on.
#[test]
fn what_the_mempool_dropped_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let (kept, dropped) = (users[1].send(&users[2], 1, 0), users[2].send(&users[3], 1, 0));
    let held = users[3].send(&users[1], 1, 0);
    assert_eq!(bench.check(&kept).code, 0);
    assert_eq!(bench.check(&dropped).code, 0);
    assert_eq!(offer(&bench, &held), 0);
    bench.block(1, &[]);
    assert_eq!(bench.recheck(&kept).code, 0);
    assert_eq!(bench.node.waiting().0, 3, "the recheck may still come");
    bench.block(2, &[]);
    assert_eq!(bench.node.waiting().0, 2);
    assert_eq!(bench.check(&dropped).code, 0, "it may come again");
    let carrier = bench.node.next_carrier(1 << 16).unwrap();
    assert_eq!((carrier.len(), bench.check(&carrier.bytes).code), (1, 0));
}

#[test]
fn the_front_door_says_when_there_is_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    for n in 0..WAITING_TXS_MAX as u64 {
        assert_eq!(offer(&bench, &users[1].send(&users[2], 1, n)), 0);
    }
    let more = users[2].send(&users[3], 1, 0);
    let turned = bench.node.offer(more.clone().into()).unwrap().unwrap_err();
    assert!(turned.to_string().starts_with("mempool is full: number of txs 20000 (max: 20000)"));
    assert_eq!(bench.check(&more).code, 20);
    assert_eq!(bench.check(&pack(&[more])).code, 20);
}

/// Threads offer accounts' transactions in batches while blocks are made of them: each account's stay
/// in order, none is lost, and none is in two blocks.
#[test]
fn offers_from_many_threads_are_all_included_while_blocks_are_made() {
    const THREADS: usize = 4;
    const EACH: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new(dir.path());
    let users = users();
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let batches: Vec<Vec<Vec<u8>>> =
        (1..=THREADS).map(|n| sends(&users[n], &users[0], 0..EACH)).collect();
    sent.extend(batches.iter().flatten().cloned());
    let mut included: Vec<Vec<u8>> = Vec::new();
    std::thread::scope(|scope| {
        for batch in &batches {
            let node = &bench.node;
            scope.spawn(move || {
                for txs in batch.chunks(7) {
                    let txs = txs.iter().map(|tx| tx.clone().into()).collect();
                    for offered in node.offer_all(txs).unwrap() {
                        assert_eq!(offered.unwrap().code, 0);
                    }
                }
            });
        }
        let mut height = 0;
        let mut mempool: Vec<Vec<u8>> = Vec::new();
        while included.len() < sent.len() {
            while let Some(carrier) = bench.node.next_carrier(4_000) {
                assert_eq!(bench.check(&carrier.bytes).code, 0, "what waits may be carried");
                bench.node.let_go(&carrier);
                mempool.push(carrier.bytes);
            }
            height += 1;
            let block = bench.prepare(height, &mempool, 1 << 20);
            assert!(bench.accepts(height, &block));
            let done = bench.block(height, &block);
            assert!(done.tx_results.iter().all(|result| result.code == 0));
            included.extend(block);
            mempool.retain(|carrier| bench.recheck(carrier).code == 0);
        }
    });
    included.sort();
    sent.sort();
    assert_eq!(included, sent);
}
