//! What hostile bytes are thrown at. None of these may panic, whatever the bytes; what they find is
//! said by an assertion. `cargo test -p plasma-modules --test hostile` runs the same functions on
//! random bytes, `make fuzz` lets libFuzzer look for them.

pub mod arena;
pub mod chain;
pub mod court;
#[path = "../../tests/common/trace.rs"]
pub mod trace;
pub mod traffic;

use std::{collections::BTreeMap, sync::OnceLock};

use chain::{ALICE, BOB, CHAIN_ID, Chain, GROUP, SEEDS, Terms, Trusting, coin};
use plasma_modules::{
    Memory, Read, Table, View, carrier, chain as rules,
    msg::Msg,
    query::Router,
    tx::{self, Purpose, amino},
};
use plasma_proto::cosmos::tx::v1beta1::{Fee, TxBody};
use prost::Message;
use prost_types::Any;

/// Blocks of one input, transactions of a block, messages of a transaction, edits of a message.
const BLOCKS_MAX: usize = 4;
const TXS_MAX: u8 = 8;
const MESSAGES_MAX: u8 = 4;
const EDITS_MAX: u8 = 6;
/// One more than the longest piece of the input that is taken as it stands.
const PIECE_BYTES_MAX: u16 = 512;

/// Reads the input piece by piece; behind its end there are zeros.
pub struct Pieces<'a>(pub &'a [u8]);

impl<'a> Pieces<'a> {
    pub fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    pub fn upto(&mut self, most: u8) -> u8 {
        self.byte() % (most + 1)
    }

    fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[usize::from(self.byte()) % of.len()]
    }

    pub fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.number() % PIECE_BYTES_MAX).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }
}

/// A chain on which much has happened, and messages of every type.
pub fn base() -> &'static (Chain, Vec<(u8, Any)>) {
    static BASE: OnceLock<(Chain, Vec<(u8, Any)>)> = OnceLock::new();
    BASE.get_or_init(|| {
        let (chain, _) = traffic::begin(false);
        let messages = traffic::messages(&chain, 0);
        (chain, messages)
    })
}

/// A transaction of the input's making; `sent` counts what each account has sent in the block.
pub fn transaction(
    input: &mut Pieces<'_>,
    chain: &Chain,
    templates: &[(u8, Any)],
    sent: &mut [u64; SEEDS],
) -> Vec<u8> {
    let (signer, first) = input.pick(templates);
    let mut messages = vec![first.clone()];
    let theirs: Vec<&Any> =
        templates.iter().filter(|(by, _)| by == signer).map(|(_, message)| message).collect();
    for _ in 0..input.upto(MESSAGES_MAX - 1).saturating_sub(1) {
        messages.push((*input.pick(&theirs)).clone());
    }
    for message in &mut messages {
        match input.upto(15) {
            1 => {
                let urls = Msg::type_urls();
                let type_url = input.pick(&urls).clone();
                *message = Any { type_url, value: input.bytes().to_vec() };
            }
            2..=4 => {
                for _ in 0..input.upto(EDITS_MAX) {
                    let (at, byte) = (usize::from(input.number()), input.byte());
                    let len = message.value.len().max(1);
                    if let Some(place) = message.value.get_mut(at % len) {
                        *place = byte;
                    }
                }
            }
            _ => {}
        }
    }
    let later = &mut sent[usize::from(*signer)];
    let mut terms = Terms { later: *later, ..Terms::default() };
    match input.upto(7) {
        1 => terms.unordered_s = Some(1 + u64::from(input.byte())),
        2 if [BOB, GROUP].contains(signer) => terms.granter = Some(ALICE),
        3 => terms.later += u64::from(input.upto(1)),
        _ => {}
    }
    let tx = chain.tx(*signer, terms, messages);
    if terms.unordered_s.is_none() {
        *later += 1;
    }
    tx
}

/// Any bytes as a transaction, as each message and as a carrier.
pub fn decode(data: &[u8]) {
    for purpose in [Purpose::Execute, Purpose::Simulate] {
        let _ = tx::decode(data, purpose);
    }
    for type_url in Msg::type_urls() {
        let _ = Msg::from_any(&Any { type_url, value: data.to_vec() });
    }
    let behind = [&[carrier::CARRIER_PREFIX], data].concat();
    for bytes in [data, behind.as_slice()] {
        if let Ok(txs) = carrier::decode(bytes) {
            assert_eq!(carrier::encode(txs), bytes, "a list has one carrier");
        }
        let _ = carrier::expand(&[bytes]);
    }
}

/// Any bytes as each message in amino JSON, and in the document that is signed.
pub fn amino(data: &[u8]) {
    let signer = amino::SignerData { chain_id: CHAIN_ID, account_number: 1, sequence: 2 };
    let mut body = TxBody::decode(data).unwrap_or_default();
    let fee = Fee::decode(data).unwrap_or_else(|_| Fee { amount: vec![coin(1)], ..Fee::default() });
    let _ = amino::sign_doc(&body, &fee, &signer);
    for type_url in Msg::type_urls() {
        let message = Any { type_url, value: data.to_vec() };
        if let Ok(text) = amino::json(&message) {
            assert!(text.starts_with("{\"type\":\"") && text.ends_with('}'), "{text}");
        }
        body.messages = vec![message];
        let _ = amino::sign_doc(&body, &fee, &signer);
    }
}

/// What became of transactions: how many there were, and how many messages of each type were carried
/// out, by the type of their response.
#[derive(Debug, Default)]
pub struct Tally {
    pub txs: usize,
    pub taken: usize,
    pub kinds: BTreeMap<String, usize>,
}

impl Tally {
    pub fn count(&mut self, results: &[rules::TxResult]) {
        for result in results {
            self.txs += 1;
            self.taken += usize::from(result.code == 0);
            for kind in traffic::kinds(&result.data) {
                *self.kinds.entry(kind).or_default() += 1;
            }
        }
    }
}

/// Blocks of transactions of the input's making: what is prepared is accepted and executes, what is
/// not prepared executes as well, and money adds up.
pub fn block(data: &[u8]) -> Tally {
    let mut input = Pieces(data);
    let (base, templates) = base();
    let (mut chain, mut tally) = (base.clone(), Tally::default());
    for _ in 0..BLOCKS_MAX {
        if input.0.is_empty() {
            break;
        }
        let mut sent = [0; SEEDS];
        let txs: Vec<Vec<u8>> = (0..=input.upto(TXS_MAX - 1))
            .map(|_| match input.upto(15) {
                1 => input.bytes().to_vec(),
                _ => transaction(&mut input, &chain, templates, &mut sent),
            })
            .collect();
        let txs: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let next = rules::next_block(&chain.store, CHAIN_ID, chain.height + 1, chain.time_s + 1);
        let expanded = carrier::expand(&txs);
        let none = chain.next(&[]);
        let prepared = rules::prepare(&chain.store, &none, None, &expanded, 1 << 20, &Trusting);
        let (prepared, _) = prepared.expect("the only validator has no beacon key");
        let accepted = rules::process(&chain.store, &chain.next(&prepared), &Trusting);
        let accepted = accepted.map(drop);
        assert!(accepted.is_ok(), "what is prepared is accepted: {accepted:?}");
        for tx in &txs {
            rules::simulate(&chain.store, &next, tx);
        }
        let taken = if input.upto(1) == 0 { &prepared } else { &txs };
        let twin = chain.clone().run(taken);
        let output = chain.run(taken);
        assert_eq!(
            (&output.writes, &output.txs),
            (&twin.writes, &twin.txs),
            "one block, one result"
        );
        if let Err(broken) = rules::check_invariants(&chain.store) {
            panic!("{broken}");
        }
        indexes_can_be_rebuilt(&chain.store);
        tally.count(&output.txs);
    }
    tally
}

/// A node that restores a snapshot makes the indexes anew: they are those that the others have.
fn indexes_can_be_rebuilt(store: &Memory) {
    let mut rebuilt = Vec::new();
    rules::rebuild_derived(store, &mut |key| rebuilt.push(key));
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
    let block = rules::current_block(&chain.store, CHAIN_ID, chain.height, chain.time_s);
    let view = View { store: &chain.store, block: &block };
    for path in router.paths() {
        let _ = router.call(path, &view, data);
    }
}
