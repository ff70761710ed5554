//! Fees that another pays, messages sent for another, money that is locked, and every question
//! about accounts and balances.

#[path = "../common/mod.rs"]
mod common;

mod authz;
mod feegrant;
mod queries;
mod refunds;
mod stake;
mod vesting;

use common::{Account, Chain, Draft, XPL, any, coin, genesis, send};
use plasma_modules::{Address, Overlay, Recorded, View, chain, chain::TxResult, query::Router, tx};
use plasma_proto::cosmos::base::query::v1beta1::PageRequest;
use prost::{Message, Name};
use prost_types::{Any, Timestamp};

/// A chain on which each of these holds 100 XPL.
fn start(accounts: &[&Account]) -> Chain {
    Chain::new(&genesis(accounts, 100 * XPL))
}

/// Runs one transaction in a block of its own.
fn run(chain: &mut Chain, from: &Account, msgs: Vec<Any>) -> TxResult {
    let tx = chain.draft(from, msgs).sign(from);
    let result = chain.block(&[tx]).remove(0);
    for event in &result.events {
        assert!(!event.kind.is_empty());
        assert!(event.attributes.iter().all(|(key, _)| !key.is_empty()), "{event:?}");
    }
    result
}

/// Runs one that is carried out.
fn done(chain: &mut Chain, from: &Account, msgs: Vec<Any>) -> TxResult {
    let result = run(chain, from, msgs);
    assert_eq!(result.code, 0, "{}", result.log);
    result
}

fn code(result: &TxResult) -> (&str, u32) {
    (result.codespace, result.code)
}

/// A transaction meets the same answer wherever it is looked at; `Ok` where it is let in.
fn everywhere(chain: &Chain, bytes: &[u8]) -> Result<(), (&'static str, u32)> {
    let block = chain::next_block(&chain.store, common::CHAIN_ID, 1, chain.time_s + 1);
    let mut pending = Overlay::new(&chain.store);
    let checked = chain::check_tx(&mut pending, &block, bytes, &tx::NoMemory);
    let simulated = chain::simulate(&chain.store, &block, bytes);
    let prepared = chain.prepare(&[bytes]);
    let processed = chain.process(&[bytes]);
    let executed = chain.clone().block(&[bytes.to_vec()]).remove(0);
    let answer = match processed {
        Ok(()) => Ok(()),
        Err(refusal) => Err((refusal.codespace, refusal.code)),
    };
    assert_eq!(prepared.len(), usize::from(answer.is_ok()));
    let told = (checked.codespace, checked.code);
    match answer {
        Ok(()) => assert_eq!((told, executed.events.is_empty()), (("", 0), false)),
        Err(refused) => {
            assert_eq!(told, refused);
            assert_eq!((executed.codespace, executed.code), refused);
            assert_eq!((simulated.codespace, simulated.code), refused);
        }
    }
    answer
}

fn event<'e>(events: &'e [Recorded], kind: &str) -> &'e Recorded {
    events.iter().find(|event| event.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
}

fn attribute<'e>(event: &'e Recorded, key: &str) -> &'e str {
    let found = event.attributes.iter().find(|(name, _)| *name == key);
    &found.unwrap_or_else(|| panic!("no {key} in {event:?}")).1
}

/// Asks as the three doors do: bytes in, bytes out. `Err` is the log of an ABCI answer.
fn ask<Q: Message, A: Message + Default>(
    chain: &Chain,
    path: &str,
    request: &Q,
) -> Result<A, String> {
    let block = chain::current_block(&chain.store, common::CHAIN_ID, chain.height, chain.time_s);
    let view = View { store: &chain.store, block: &block };
    let answer = Router::new().call(path, &view, &request.encode_to_vec());
    answer.map(|bytes| A::decode(bytes.as_slice()).unwrap()).map_err(|error| error.log())
}

fn read<M: Message + Name + Default>(any: &Any) -> M {
    assert_eq!(any.type_url, M::type_url());
    M::decode(any.value.as_slice()).unwrap()
}

fn at(time_s: u64) -> Option<Timestamp> {
    Some(Timestamp { seconds: i64::try_from(time_s).unwrap(), nanos: 0 })
}

fn limit(entries: u64) -> Option<PageRequest> {
    Some(PageRequest { limit: entries, ..PageRequest::default() })
}
