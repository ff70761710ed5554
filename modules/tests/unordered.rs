//! Unordered transactions: no sequence, one use of each timeout, gone when it has passed.

mod common;

use common::{Account, CHAIN_ID, Chain, Draft, XPL, genesis, send};
use plasma_modules::{
    Memory, Overlay,
    ante::{UNORDERED_GAS, UNORDERED_TIMEOUT_MAX_S},
    auth, chain,
    tx::NoMemory,
};
use prost_types::Timestamp;

fn start() -> (Chain, Account, Account) {
    let (alice, bob) = (Account::new(1), Account::new(2));
    (Chain::new(&genesis(&[&alice, &bob], 100 * XPL)), alice, bob)
}

fn at(chain: &Chain, seconds: i64, nanos: i32) -> Option<Timestamp> {
    Some(Timestamp { seconds: i64::try_from(chain.time_s).unwrap() + seconds, nanos })
}

/// An unordered payment of 1 uxpl whose timeout is so many seconds after the chain's time.
fn unordered(chain: &Chain, from: &Account, to: &Account, seconds: i64) -> Draft {
    let draft = chain.draft(from, vec![send(from, to.address, 1)]);
    Draft { unordered: true, sequence: 0, timeout: at(chain, seconds, 0), ..draft }
}

fn used(chain: &Chain) -> usize {
    chain::export(&chain.store).auth.unwrap().used_timeouts.len()
}

#[test]
fn any_order_runs_and_no_sequence_rises() {
    let (mut chain, alice, bob) = start();
    let ordered = chain.draft(&alice, vec![send(&alice, bob.address, 1)]);
    let drafts: Vec<_> = [30, 10, 20].map(|s| unordered(&chain, &alice, &bob, s)).into();
    let mut txs: Vec<_> = drafts.iter().map(|draft| draft.sign(&alice)).collect();
    txs[1] = drafts[1].sign_amino(&alice);
    txs.push(ordered.sign(&alice));
    let results = chain.block(&txs);
    assert!(results.iter().all(|result| result.code == 0), "{results:?}");
    assert_eq!(chain.balance(bob.address), 100 * XPL + 4);
    assert_eq!(chain.sequence(alice.address), 1);
    assert!(auth::account(&chain.store, alice.address).unwrap().pub_key.is_some());
    let sequences =
        |at: usize| results[at].events.iter().filter(|e| e.attributes[0].0 == "acc_seq").count();
    assert_eq!([0, 1, 2, 3].map(sequences), [0, 0, 0, 1]);
    // The price of the note, beside that of the bytes.
    let bytes = |at: usize| 10 * u64::try_from(txs[at].len()).unwrap();
    assert_eq!(results[0].gas_used - bytes(0), results[3].gas_used - bytes(3) + UNORDERED_GAS);
    assert_eq!(used(&chain), 3);
}

#[test]
fn a_timeout_is_used_once_whatever_it_signs() {
    let (mut chain, alice, bob) = start();
    let first = unordered(&chain, &alice, &bob, 10);
    let other = Draft { memo: "other".into(), ..first.clone() };
    let theirs = unordered(&chain, &bob, &alice, 10);
    let later = Draft { timeout: at(&chain, 10, 1), ..first.clone() };
    let txs = [&first, &other, &later].map(|draft| draft.sign(&alice));
    let results = chain.block(&[txs[0].clone(), txs[1].clone(), txs[2].clone(), theirs.sign(&bob)]);
    let codes: Vec<_> = results.iter().map(|result| result.code).collect();
    assert_eq!(codes, [0, 18, 0, 0]);
    assert!(results[1].log.contains("has already used timeout 2023-11-14T22:13:30Z"));
    for _ in 0..3 {
        let again = chain.block(&[txs[0].clone()]).remove(0);
        assert_eq!((again.codespace, again.code), ("sdk", 18), "{}", again.log);
    }
    // Past its time it is late, and no longer remembered.
    chain.block_after(8, &[]);
    let late = chain.block(&[txs[0].clone()]).remove(0);
    assert_eq!((late.codespace, late.code), ("sdk", 42), "{}", late.log);
    assert_eq!(used(&chain), 0);
}

#[test]
fn what_is_no_unordered_transaction_is_refused() {
    let (mut chain, alice, bob) = start();
    chain.block(&[chain.draft(&alice, vec![send(&alice, bob.address, 1)]).sign(&alice)]);
    let good = unordered(&chain, &alice, &bob, 10);
    // The transaction is in the next block, one second later.
    let max = i64::try_from(UNORDERED_TIMEOUT_MAX_S).unwrap() + 1;
    let with = |timeout| Draft { timeout, ..good.clone() };
    let cases = [
        ("a sequence", Draft { sequence: 1, ..good.clone() }, 18),
        ("no timeout", with(None), 18),
        ("too far", with(at(&chain, max + 1, 0)), 18),
        ("too far by a nanosecond", with(at(&chain, max, 1)), 18),
        ("passed", with(at(&chain, 0, 999_999_999)), 42),
        ("long passed", with(Some(Timestamp { seconds: 0, nanos: 0 })), 42),
        ("before 1970", with(Some(Timestamp { seconds: -1, nanos: 0 })), 18),
        ("no nanoseconds", with(at(&chain, 10, 1_000_000_000)), 18),
        ("negative nanoseconds", with(at(&chain, 10, -1)), 18),
        ("after year 9999", with(Some(Timestamp { seconds: 253_402_300_800, nanos: 0 })), 18),
        (
            "ordered and passed",
            Draft { unordered: false, sequence: 1, ..with(at(&chain, 0, 0)) },
            42,
        ),
    ];
    for (name, draft, code) in cases {
        let (before, time_s, height) = (chain.store.clone(), chain.time_s, chain.height);
        let result = chain.block(&[draft.sign(&alice)]).remove(0);
        assert_eq!((result.codespace, result.code), ("sdk", code), "{name}: {}", result.log);
        (chain.store, chain.time_s, chain.height) = (before, time_s, height);
    }
    for draft in [with(at(&chain, max, 0)), with(at(&chain, 1, 0))] {
        let mut chain = chain.clone();
        assert_eq!(chain.block(&[draft.sign(&alice)])[0].code, 0);
    }
    // An ordered one may wait longer, and counts.
    let far = Draft { unordered: false, sequence: 1, ..with(at(&chain, 100_000, 5)) };
    assert_eq!(chain.block(&[far.sign(&alice)])[0].code, 0);
    assert_eq!((chain.sequence(alice.address), used(&chain)), (2, 0));
}

/// CheckTx, prepare and process see each other's timeouts within a block, and those of the state.
#[test]
fn every_door_refuses_the_second_use() {
    let (mut chain, alice, bob) = start();
    let block = chain.next_block();
    let draft = unordered(&chain, &alice, &bob, 10);
    let (tx, twin) = (draft.sign(&alice), draft.sign_amino(&alice));
    let mut waiting = Overlay::new(&chain.store);
    assert_eq!(chain::check_tx(&mut waiting, &block, &tx, &NoMemory).code, 0);
    assert_eq!(chain::check_tx(&mut waiting, &block, &twin, &NoMemory).code, 18);
    let txs = [tx.as_slice(), twin.as_slice()];
    assert_eq!(chain.prepare(&txs), [tx.as_slice()]);
    assert_eq!(chain.process(&txs).unwrap_err().code, 18);
    chain.process(&txs[..1]).unwrap();
    // A simulation leaves no note.
    for _ in 0..2 {
        assert_eq!(chain::simulate(&chain.store, &block, &tx).code, 0);
    }

    assert_eq!(chain.block(std::slice::from_ref(&tx))[0].code, 0);
    let block = chain.next_block();
    let mut waiting = Overlay::new(&chain.store);
    assert_eq!(chain::check_tx(&mut waiting, &block, &twin, &NoMemory).code, 18);
    assert!(chain.prepare(&[&twin]).is_empty());
    assert_eq!(chain.process(&[&twin]).unwrap_err().code, 18);
    assert_eq!(chain::simulate(&chain.store, &block, &twin).code, 18);
}

/// Every signer uses the timeout, the fee payer too.
#[test]
fn each_signer_uses_the_timeout() {
    let (mut chain, alice, bob) = start();
    let draft = Draft { payer: bob.address.text(), ..unordered(&chain, &alice, &bob, 10) };
    let infos = [&alice, &bob].map(|account| {
        draft.signer(account, plasma_proto::cosmos::tx::signing::v1beta1::SignMode::LegacyAminoJson)
    });
    let bobs = Draft { account_number: chain.account_number(bob.address), ..draft.clone() };
    let signatures = vec![alice.sign(&draft.amino_doc()), bob.sign(&bobs.amino_doc())];
    let result = chain.block(&[draft.raw(infos.into(), signatures)]).remove(0);
    assert_eq!(result.code, 0, "{}", result.log);
    assert_eq!(used(&chain), 2);
    let timeout = draft.timeout;
    let bobs = Draft { timeout, ..unordered(&chain, &bob, &alice, 10) };
    assert_eq!(chain.block(&[bobs.sign(&bob)])[0].code, 18);
}

/// A chain that starts from an export refuses what the exported one would.
#[test]
fn an_export_holds_the_timeouts_in_use() {
    let (mut chain, alice, bob) = start();
    let draft = unordered(&chain, &alice, &bob, 100);
    let tx = draft.sign(&alice);
    chain.block(&[tx.clone(), unordered(&chain, &alice, &bob, 2).sign(&alice)]);
    let exported = chain::export(&chain.store);
    assert_eq!(exported.auth.as_ref().unwrap().used_timeouts.len(), 2);
    let again = chain.exported();
    assert_eq!(again, chain.timeless());
    let mut again = Chain { store: again, ..chain.clone() };
    assert_eq!(again.block(&[tx])[0].code, 18);

    let mut twice = exported.clone();
    let auth = twice.auth.as_mut().unwrap();
    auth.used_timeouts.push(auth.used_timeouts[0].clone());
    assert!(chain::init(&mut Memory::default(), CHAIN_ID, chain.time_s, &twice).is_err());
}

/// What has passed is forgotten, so much per block.
#[test]
fn forgetting_is_bounded() {
    let (mut chain, alice, _) = start();
    let max = auth::TIMEOUTS_REMOVED_PER_BLOCK_MAX;
    for n in 0..max + 5 {
        let nanos = i32::try_from(n).unwrap();
        let timeout = auth::Timeout::new(&at(&chain, 10, nanos).unwrap()).unwrap();
        auth::note_timeout(&mut chain.store, alice.address, timeout);
    }
    chain.block_after(10, &[]);
    assert_eq!(used(&chain), max + 5);
    chain.block(&[]);
    assert_eq!(used(&chain), 5);
    chain.block(&[]);
    assert_eq!(used(&chain), 0);
}
