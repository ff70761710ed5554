//! What waits for a block, as far as this node knows: transactions that CometBFT's mempool holds,
//! alone or in carriers, and those that the front door has not sent yet.
//!
//! After each block what still waits is checked anew here, at once and in order, so a transaction
//! that comes right after the block finds the sequences of those before it. CometBFT's own recheck
//! then only confirms; what it does not confirm until the next block it has dropped, and so do we.
//! An engine that never rechecks is believed to keep what it was told that may wait, for a while.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    panic::resume_unwind,
    sync::Arc,
};

use bytes::Bytes;
use plasma_modules::{
    Overlay, Read, Refusal, Sdk,
    ahead::Signers,
    carrier::{self, CARRIER_TXS_MAX},
    chain::{self, TxResult},
    tx::{Decoded, TX_BYTES_MAX},
    types::{Hash, sha256},
};

use rayon::prelude::*;

use super::{
    AHEAD_TXS_MIN, Node, NodeError, lock,
    room::{Bid, PRICE_MIN, Ranks, Room, Terms},
};
use crate::{check::Check, recent::Recent};

/// Transactions that wait at most.
pub const WAITING_TXS_MAX: usize = 20_000;
/// Of these, how many may be in CometBFT's mempool alone, in no carrier.
pub const ALONE_TXS_MAX: usize = 5_000;
/// Their bytes together at most. CometBFT's mempool holds more, of both: what gives way here leaves it
/// only at its next recheck, and who pays more must find it open.
pub const WAITING_BYTES_MAX: usize = 24 << 20;
/// Blocks' worth of what waits that a proposer looks at, for some of it can no longer pay.
const PROPOSED_BLOCKS: u64 = 2;
/// Committed transactions that are remembered, at least; twice as many at most, 32 bytes each.
const COMMITTED_MAX: usize = 100_000;
/// Blocks that a transaction waits without a word of an engine that never asks again about what
/// waits; after that it is taken to have been dropped.
const UNCONFIRMED_BLOCKS_MAX: u64 = 16;
/// Transactions of a carrier that are tried again in vain after one block, at most: a carrier stays
/// as long as one of its transactions waits, and what never can would be checked for nothing each
/// time.
const RETRIES_MAX: usize = 16;
/// Carriers of our own that are remembered, at least.
const CARRIERS_MAX: usize = 1_000;

/// Why the front door does not even check a transaction; the words are CometBFT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Turned {
    /// It waits, or was committed a while ago.
    #[error("tx already exists in cache")]
    Known,
    /// No room.
    #[error(
        "mempool is full: number of txs {txs} (max: {WAITING_TXS_MAX}), total txs bytes {bytes} (max: {WAITING_BYTES_MAX})"
    )]
    Full {
        /// Transactions that wait.
        txs: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// Larger than any transaction.
    #[error("Tx too large. Max size is {TX_BYTES_MAX}, but got {0}")]
    TooLarge(usize),
}

/// Transactions to be sent to CometBFT together.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// The carrier.
    pub bytes: Vec<u8>,
    /// What is in it.
    txs: Vec<Hash>,
}

impl Carrier {
    /// How many transactions are in it.
    pub fn len(&self) -> usize {
        self.txs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.txs.is_empty()
    }
}

struct Entry {
    bytes: Bytes,
    tx: Arc<Decoded>,
    bid: Bid,
    price: u16,
    /// It came alone to CometBFT's mempool, in no carrier.
    alone: bool,
    /// The front door has it, CometBFT not yet.
    held: bool,
    /// Block interval in which it came or was last confirmed.
    seen: u64,
}

/// See the module.
pub(crate) struct Waiting {
    entries: BTreeMap<u64, Entry>,
    numbers: HashMap<Hash, u64>,
    next: u64,
    bytes: usize,
    alone: usize,
    ranks: Ranks,
    /// Held transactions that are in no carrier yet.
    queue: VecDeque<u64>,
    queue_bytes: usize,
    /// Counts block intervals.
    interval: u64,
    /// The engine asks again about what waits: what it does not ask about it has dropped.
    rechecks: bool,
    committed: Recent,
    carriers: Recent,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            numbers: HashMap::new(),
            next: 0,
            bytes: 0,
            alone: 0,
            ranks: Ranks::default(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            interval: 0,
            rechecks: false,
            committed: Recent::new(COMMITTED_MAX),
            carriers: Recent::new(CARRIERS_MAX),
        }
    }
}

/// How a transaction came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// To CometBFT's mempool, alone.
    Alone,
    /// In a carrier.
    Carried,
    /// By the front door, which holds it for a carrier.
    Held,
}

/// A transaction that was read, and asks to wait.
struct Offer {
    tx: Arc<Decoded>,
    bid: Bid,
    way: Way,
}

/// Transactions whose signatures nobody has checked yet, with what they are checked against.
struct Unproven {
    chain_id: String,
    txs: Vec<(Arc<Decoded>, Signers)>,
}

impl Offer {
    fn new(tx: Arc<Decoded>, way: Way) -> Self {
        Self { bid: Bid::of(&tx), tx, way }
    }
}

impl Waiting {
    /// Learns of the next block, for which nothing waits yet.
    pub fn start(&mut self, base: &dyn Read) {
        self.ranks = Ranks::new(Terms::read(base));
    }

    fn knows(&self, hash: &Hash) -> bool {
        self.numbers.contains_key(hash)
    }

    /// Whether it neither waits nor was committed lately.
    fn is_new(&self, hash: &Hash) -> bool {
        !self.knows(hash) && !self.committed.has(hash)
    }

    /// Notes that CometBFT has it, if it waits.
    fn confirm(&mut self, hash: &Hash) -> Option<&Entry> {
        let entry = self.entries.get_mut(self.numbers.get(hash)?)?;
        entry.seen = self.interval;
        Some(entry)
    }

    /// Who must give way so that a transaction of `bytes` and that price may wait. `None` if there is
    /// no room for it whoever does.
    fn gives_way(&self, bytes: usize, price: u16, way: Way) -> Option<Vec<u64>> {
        let mut txs = (self.entries.len() + 1).saturating_sub(WAITING_TXS_MAX);
        let mut bytes = (self.bytes + bytes).saturating_sub(WAITING_BYTES_MAX);
        let mut alone = (self.alone + usize::from(way == Way::Alone)).saturating_sub(ALONE_TXS_MAX);
        let mut gone = Vec::new();
        let mut below = self.ranks.below(price);
        while (txs, bytes) != (0, 0) {
            let number = below.next()?;
            let Some(entry) = self.entries.get(&number) else { continue };
            txs = txs.saturating_sub(1);
            bytes = bytes.saturating_sub(entry.bytes.len());
            alone = alone.saturating_sub(usize::from(entry.alone));
            gone.push(number);
        }
        let mut below = self.ranks.alone_below(price).filter(|number| !gone.contains(number));
        let others = (0..alone).map(|_| below.next()).collect::<Option<Vec<_>>>()?;
        Some([gone, others].concat())
    }

    /// Whether a transaction may wait: it could pay when its turn comes, and there is room.
    fn may_wait(&self, offer: &Offer) -> Result<(), Sdk> {
        let Offer { tx, bid, way } = offer;
        let price = self.ranks.price(bid);
        // What pays too little now is refused with every other rule.
        if price >= PRICE_MIN {
            let short = |required| Sdk::InsufficientFee { got: bid.fee, required };
            self.ranks.outlasts(bid, price).map_err(short)?;
        }
        self.gives_way(tx.size, price, *way).map(drop).ok_or(Sdk::MempoolFull)
    }

    /// Lets a transaction wait; who must gives way. False if there is no room.
    fn add(&mut self, offer: Offer, bytes: Bytes) -> bool {
        let Offer { tx, bid, way } = offer;
        let price = self.ranks.price(&bid);
        let Some(gone) = self.gives_way(bytes.len(), price, way) else { return false };
        for number in gone {
            self.remove(number);
        }
        let number = self.next;
        self.next += 1;
        let held = way == Way::Held;
        if held {
            self.queue.push_back(number);
            self.queue_bytes += bytes.len();
        }
        let (alone, seen) = (way == Way::Alone, self.interval);
        self.insert(number, Entry { bytes, tx, bid, price, alone, held, seen });
        true
    }

    fn insert(&mut self, number: u64, entry: Entry) {
        self.bytes += entry.bytes.len();
        self.alone += usize::from(entry.alone);
        self.ranks.add(number, entry.price, &entry.bid, entry.alone);
        self.numbers.insert(entry.tx.hash, number);
        self.entries.insert(number, entry);
    }

    fn remove(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else { return };
        self.bytes -= entry.bytes.len();
        self.alone -= usize::from(entry.alone);
        self.ranks.remove(number, entry.price, &entry.bid);
        self.numbers.remove(&entry.tx.hash);
        // Numbers only rise.
        if self.queue.binary_search(&number).is_ok() {
            self.queue_bytes -= entry.bytes.len();
        }
    }

    /// Takes out everything, for what still holds to be put back.
    fn take(&mut self) -> BTreeMap<u64, Entry> {
        self.numbers.clear();
        (self.bytes, self.alone, self.ranks) = (0, 0, Ranks::default());
        std::mem::take(&mut self.entries)
    }
}

fn accepted(gas_wanted: u64) -> TxResult {
    TxResult { gas_wanted, ..TxResult::default() }
}

fn refused(refusal: impl Into<Refusal>) -> TxResult {
    TxResult::refused(refusal.into(), 0, 0)
}

fn nothing_waits() -> TxResult {
    refused(Sdk::InvalidRequest("nothing in the carrier can wait for a block".into()))
}

impl Node {
    /// Whether CometBFT's mempool may hold `tx`, a transaction or a carrier. `again` says that it
    /// does, and asks whether it still may.
    pub fn check_tx(&self, tx: &[u8], again: bool) -> Result<TxResult, NodeError> {
        if carrier::is_carrier(tx) {
            return self.check_carrier(tx, again);
        }
        let hash = sha256(tx);
        let mut check = lock(&self.check);
        check.waiting.rechecks |= again;
        if check.waiting.knows(&hash) {
            if !again {
                return Ok(refused(Sdk::TxInMempool));
            }
            let entry = check.waiting.confirm(&hash);
            return Ok(accepted(entry.map_or(0, |entry| entry.bid.gas)));
        }
        let offer = match self.seen.read(hash, tx) {
            Ok(tx) => Offer::new(tx, Way::Alone),
            Err(refusal) => return Ok(refused(refusal)),
        };
        let admitted = self.admit(&mut check, offer, || Bytes::copy_from_slice(tx))?;
        Ok(admitted.unwrap_or_else(refused))
    }

    /// Checks a transaction and lets it wait if it may. `Err` says why it is not even checked.
    fn admit(
        &self,
        check: &mut Check,
        offer: Offer,
        keep: impl FnOnce() -> Bytes,
    ) -> Result<Result<TxResult, Sdk>, NodeError> {
        let checked = self.with_check(check, |check, base| {
            let may = check.waiting.may_wait(&offer);
            may.map(|()| check.check(base, Arc::clone(&offer.tx), &self.seen))
        })?;
        let result = match checked {
            Ok(result) => result.unwrap_or_else(|panic| resume_unwind(panic)),
            Err(refusal) => return Ok(Err(refusal)),
        };
        if result.code == 0 {
            self.seen.keep(&offer.tx);
            check.waiting.add(offer, keep());
        }
        Ok(Ok(result))
    }

    /// What is to be found out about the signatures of those `offers` that might wait. Whoever then
    /// finds it out holds no lock: it is most of what a check costs.
    fn unproven(&self, check: &mut Check, offers: &[Offer]) -> Result<Unproven, NodeError> {
        let found = self.with_check(check, |check, base| {
            let may_wait = |offer: &&Offer| check.waiting.may_wait(offer).is_ok();
            let txs: Vec<_> = offers.iter().filter(may_wait).map(|offer| &offer.tx).collect();
            check.over(base, |waiting, block, _| {
                let signers = |tx: &Arc<Decoded>| Some((Arc::clone(tx), Signers::of(waiting, tx)?));
                let txs = txs.into_iter().filter_map(signers).collect();
                Unproven { chain_id: block.chain_id.clone(), txs }
            })
        })?;
        Ok(found.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// A carrier must be whole; then it may wait as long as something in it does. One that comes
    /// from elsewhere must be new in at least half of its bytes, by transactions that could wait
    /// alone: who fills mempools and proposals with carriers pays fees for it.
    ///
    /// Its gas is not counted: CometBFT takes what comes first until a block's gas is used up, and
    /// one carrier with a block's gas or more would let nothing through. The proposer counts.
    fn check_carrier(&self, bytes: &[u8], again: bool) -> Result<TxResult, NodeError> {
        let txs = match carrier::decode(bytes) {
            Ok(txs) => txs,
            Err(refusal) => return Ok(refused(refusal)),
        };
        let mut txs: Vec<(Hash, &[u8])> = txs.into_iter().map(|tx| (sha256(tx), tx)).collect();
        if again {
            let mut check = lock(&self.check);
            check.waiting.rechecks = true;
            return self.recheck_carrier(&mut check, &txs);
        }
        let carrier = sha256(bytes);
        let check = lock(&self.check);
        if check.waiting.carriers.has(&carrier) {
            let waits = txs.iter().any(|(hash, _)| check.waiting.knows(hash));
            return Ok(if waits { accepted(0) } else { nothing_waits() });
        }
        txs.retain(|(hash, _)| check.waiting.is_new(hash));
        drop(check);
        let mut offers = Vec::with_capacity(txs.len());
        for (hash, tx) in &txs {
            match self.seen.read(*hash, tx) {
                Ok(tx) => offers.push(Offer::new(tx, Way::Carried)),
                Err(refusal) => return Ok(refused(refusal)),
            }
        }
        let Unproven { chain_id, txs: unproven } =
            self.unproven(&mut lock(&self.check), &offers)?;
        unproven
            .into_par_iter()
            .with_min_len(AHEAD_TXS_MIN)
            .for_each(|(tx, signers)| signers.authenticate(&chain_id, tx, &self.seen));
        let offers = offers.into_iter().zip(txs.into_iter().map(|(_, tx)| tx)).collect();
        self.admit_carrier(&mut lock(&self.check), bytes.len(), offers)
    }

    /// Whether a carrier that CometBFT holds still has something that waits.
    fn recheck_carrier(
        &self,
        check: &mut Check,
        txs: &[(Hash, &[u8])],
    ) -> Result<TxResult, NodeError> {
        let (mut waits, mut in_vain) = (false, 0);
        for (hash, tx) in txs {
            if check.waiting.confirm(hash).is_some() {
                waits = true;
            } else if in_vain < RETRIES_MAX && !check.waiting.committed.has(hash) {
                // What it had to wait for may have come.
                let taken = match self.seen.read(*hash, tx) {
                    Ok(read) => {
                        let offer = Offer::new(read, Way::Carried);
                        let admitted = self.admit(check, offer, || Bytes::copy_from_slice(tx))?;
                        admitted.is_ok_and(|result| result.code == 0)
                    }
                    Err(_) => false,
                };
                waits |= taken;
                in_vain += usize::from(!taken);
            }
        }
        Ok(if waits { accepted(0) } else { nothing_waits() })
    }

    /// Lets what is new in a carrier of so many bytes wait, or nothing of it.
    fn admit_carrier(
        &self,
        check: &mut Check,
        carrier_bytes: usize,
        offers: Vec<(Offer, &[u8])>,
    ) -> Result<TxResult, NodeError> {
        let checked = self.with_check(check, |check, base| {
            let mut full = None;
            let mut may_wait = Vec::with_capacity(offers.len());
            for (offer, tx) in offers {
                // It may have come another way since it was looked for.
                if !check.waiting.is_new(&offer.tx.hash) {
                    continue;
                }
                match check.waiting.may_wait(&offer) {
                    Ok(()) => may_wait.push((offer, tx)),
                    Err(refusal) => full = Some(refusal),
                }
            }
            if let Some(refusal) = full.filter(|_| may_wait.is_empty()) {
                return Err(refusal);
            }
            Ok(check.over(base, |waiting, block, prices| {
                let mut above = Overlay::new(&*waiting);
                let mut new = Vec::new();
                for (offer, tx) in may_wait {
                    let checked = Arc::clone(&offer.tx);
                    let result =
                        chain::check_decoded(&mut above, block, prices, checked, &self.seen);
                    if result.code == 0 {
                        new.push((offer, tx));
                    }
                }
                let fresh = new.iter().map(|(_, tx)| tx.len()).sum::<usize>();
                let writes = above.into_writes();
                let taken = !new.is_empty() && fresh.saturating_mul(2) >= carrier_bytes;
                if taken {
                    waiting.merge(writes);
                }
                taken.then_some(new)
            }))
        })?;
        let new = match checked {
            Ok(new) => new.unwrap_or_else(|panic| resume_unwind(panic)),
            Err(refusal) => return Ok(refused(refusal)),
        };
        let Some(new) = new else { return Ok(nothing_waits()) };
        let mut waits = false;
        for (offer, tx) in new {
            self.seen.keep(&offer.tx);
            waits |= check.waiting.add(offer, Bytes::copy_from_slice(tx));
        }
        Ok(if waits { accepted(0) } else { refused(Sdk::MempoolFull) })
    }

    /// A transaction from the front door: checked, and held for a carrier if it may wait.
    pub fn offer(&self, tx: Bytes) -> Result<Result<TxResult, Turned>, NodeError> {
        let answer = self.offer_all(vec![tx])?.pop();
        answer.ok_or_else(|| NodeError::Invariant("a check has no answer".into()))
    }

    /// Transactions from the front door, in their order: each checked, and held for a carrier if it
    /// may wait.
    pub fn offer_all(&self, txs: Vec<Bytes>) -> Result<Vec<Result<TxResult, Turned>>, NodeError> {
        let named: Vec<_> = txs.into_iter().map(|tx| (sha256(&tx), tx)).collect();
        let check = lock(&self.check);
        let known: Vec<_> = named.iter().map(|(hash, _)| !check.waiting.is_new(hash)).collect();
        drop(check);
        let mut offers = Vec::with_capacity(named.len());
        let mut answers: Vec<_> = named
            .iter()
            .zip(known)
            .map(|((hash, tx), known)| {
                if tx.len() > TX_BYTES_MAX {
                    return Some(Err(Turned::TooLarge(tx.len())));
                }
                if known {
                    return Some(Err(Turned::Known));
                }
                match self.seen.read(*hash, tx) {
                    Ok(tx) => offers.push(Offer::new(tx, Way::Held)),
                    Err(refusal) => return Some(Ok(refused(refusal))),
                }
                None
            })
            .collect();
        let Unproven { chain_id, txs: unproven } =
            self.unproven(&mut lock(&self.check), &offers)?;
        for (tx, signers) in unproven {
            signers.authenticate(&chain_id, tx, &self.seen);
        }
        let mut check = lock(&self.check);
        let open = answers.iter_mut().zip(named).filter(|(answer, _)| answer.is_none());
        for ((answer, (hash, tx)), offer) in open.zip(offers) {
            let (txs, bytes) = (check.waiting.entries.len(), check.waiting.bytes);
            *answer = Some(if check.waiting.is_new(&hash) {
                match self.admit(&mut check, offer, || tx)? {
                    Ok(result) => Ok(result),
                    Err(Sdk::MempoolFull) => Err(Turned::Full { txs, bytes }),
                    Err(refusal) => Ok(refused(refusal)),
                }
            } else {
                Err(Turned::Known)
            });
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// What the proposal of a block of at most `bytes_max` is made of: what CometBFT shows, as long as
    /// all that waits fits into the block. Where it does not, what pays best comes first, whenever it
    /// came: CometBFT shows what came first, and no more of it than fits.
    pub fn candidates(&self, shown: Vec<Bytes>, bytes_max: usize) -> Vec<Bytes> {
        let check = lock(&self.check);
        let waiting = &check.waiting;
        if waiting.ranks.fit(bytes_max as u64) {
            return shown;
        }
        let mut room = Room::default();
        let best = waiting.ranks.best_first().filter_map(|number| waiting.entries.get(&number));
        let best = best.take_while(|entry| {
            let enough = waiting.ranks.blocks(room) >= PROPOSED_BLOCKS;
            room = room.plus(entry.bid.room());
            !enough
        });
        let mut txs: Vec<Bytes> = best.map(|entry| entry.bytes.clone()).collect();
        // An engine that does not ask again may know of more.
        let slices: Vec<&[u8]> = shown.iter().map(|bytes| &bytes[..]).collect();
        let others = carrier::expand(&slices).into_iter();
        let others = others.filter(|tx| !waiting.knows(&sha256(tx)));
        txs.extend(others.map(Bytes::copy_from_slice));
        txs
    }

    /// Bytes of the held transactions that are in no carrier yet.
    pub fn held_bytes(&self) -> usize {
        lock(&self.check).waiting.queue_bytes
    }

    /// Packs held transactions, the oldest first, at most `bytes_max` of them; at least one, if
    /// there is one.
    pub fn next_carrier(&self, bytes_max: usize) -> Option<Carrier> {
        let mut check = lock(&self.check);
        let Waiting { entries, queue, queue_bytes, carriers, .. } = &mut check.waiting;
        let mut packed: Vec<&Entry> = Vec::new();
        let mut bytes = 1;
        while let Some(number) = queue.front() {
            if let Some(entry) = entries.get(number) {
                let len = carrier::framed(entry.bytes.len());
                let fits = bytes + len <= bytes_max && packed.len() < CARRIER_TXS_MAX;
                if !packed.is_empty() && !fits {
                    break;
                }
                bytes += len;
                *queue_bytes = queue_bytes.saturating_sub(entry.bytes.len());
                packed.push(entry);
            }
            queue.pop_front();
        }
        if packed.is_empty() {
            return None;
        }
        let bytes = carrier::encode(packed.iter().map(|entry| &entry.bytes[..]));
        carriers.put(sha256(&bytes), (), 1);
        Some(Carrier { txs: packed.into_iter().map(|entry| entry.tx.hash).collect(), bytes })
    }

    /// CometBFT has the carrier, or will not have it: its transactions are not held any more.
    pub fn let_go(&self, carrier: &Carrier) {
        let waiting = &mut lock(&self.check).waiting;
        for hash in &carrier.txs {
            let Some(number) = waiting.numbers.get(hash) else { continue };
            if let Some(entry) = waiting.entries.get_mut(number) {
                entry.held = false;
                entry.seen = waiting.interval;
            }
        }
    }

    /// Transactions that wait, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        let waiting = &lock(&self.check).waiting;
        (waiting.entries.len(), waiting.bytes)
    }

    /// After a block: what still waits, on top of the new state.
    pub(super) fn renew(&self, check: &mut Check, committed: &[Hash]) {
        let waiting = &mut check.waiting;
        let confirmed_since = waiting.interval.saturating_sub(if waiting.rechecks {
            0
        } else {
            UNCONFIRMED_BLOCKS_MAX
        });
        waiting.interval += 1;
        self.seen.forget(committed);
        for hash in committed {
            waiting.committed.put(*hash, (), 1);
        }
        let mut entries = waiting.take();
        entries.retain(|_, entry| {
            let dropped = !entry.held && entry.seen < confirmed_since;
            if dropped {
                self.seen.forget(&[entry.tx.hash]);
            }
            !dropped && !waiting.committed.has(&entry.tx.hash)
        });
        // Without a state to stand on nothing waits; what panics does not.
        let _ = self.with_check(check, |check, base| {
            for (number, entry) in entries {
                match check.check(base, Arc::clone(&entry.tx), &self.seen) {
                    Ok(TxResult { code: 0, .. }) => {
                        let price = check.waiting.ranks.price(&entry.bid);
                        check.waiting.insert(number, Entry { price, ..entry });
                    }
                    Ok(_) => {}
                    Err(_) => self.metrics.panicked(),
                }
            }
        });
        let Waiting { entries, queue, queue_bytes, .. } = &mut check.waiting;
        queue.retain(|number| entries.contains_key(number));
        let of = |number: &u64| entries.get(number).map_or(0, |entry| entry.bytes.len());
        *queue_bytes = queue.iter().map(of).sum();
    }
}
