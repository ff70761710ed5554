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
    Overlay, Refusal, Sdk,
    carrier::{self, CARRIER_TXS_MAX},
    chain::{self, TxResult},
    tx::{Decoded, TX_BYTES_MAX},
    types::{Hash, sha256},
};

use super::{Node, NodeError, lock};
use crate::{check::Check, recent::Recent};

/// Transactions that wait at most.
pub const WAITING_TXS_MAX: usize = 20_000;
/// Their bytes together at most: as many as CometBFT's mempool holds.
pub const WAITING_BYTES_MAX: usize = 32 << 20;
/// Committed transactions that are remembered, at least; twice as many at most, 32 bytes each.
const COMMITTED_MAX: usize = 100_000;
/// Blocks that a transaction waits without a word of an engine that never asks again about what
/// waits; after that it is taken to have been dropped.
const UNCONFIRMED_BLOCKS_MAX: u64 = 16;
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
            queue: VecDeque::new(),
            queue_bytes: 0,
            interval: 0,
            rechecks: false,
            committed: Recent::new(COMMITTED_MAX),
            carriers: Recent::new(CARRIERS_MAX),
        }
    }
}

impl Waiting {
    fn is_full(&self, txs: usize, bytes: usize) -> bool {
        self.entries.len() + txs > WAITING_TXS_MAX || self.bytes + bytes > WAITING_BYTES_MAX
    }

    fn knows(&self, hash: &Hash) -> bool {
        self.numbers.contains_key(hash)
    }

    /// Notes that CometBFT has it, if it waits.
    fn confirm(&mut self, hash: &Hash) -> Option<&Entry> {
        let entry = self.entries.get_mut(self.numbers.get(hash)?)?;
        entry.seen = self.interval;
        Some(entry)
    }

    fn add(&mut self, tx: Arc<Decoded>, bytes: Bytes, held: bool) {
        let number = self.next;
        self.next += 1;
        if held {
            self.queue.push_back(number);
            self.queue_bytes += bytes.len();
        }
        let seen = self.interval;
        self.insert(number, Entry { bytes, tx, held, seen });
    }

    fn insert(&mut self, number: u64, entry: Entry) {
        self.bytes += entry.bytes.len();
        self.numbers.insert(entry.tx.hash, number);
        self.entries.insert(number, entry);
    }

    /// Takes out everything, for what still holds to be put back.
    fn take(&mut self) -> BTreeMap<u64, Entry> {
        self.numbers.clear();
        self.bytes = 0;
        std::mem::take(&mut self.entries)
    }
}

fn accepted(gas_wanted: u64) -> TxResult {
    TxResult { gas_wanted, ..TxResult::default() }
}

fn refused(refusal: impl Into<Refusal>) -> TxResult {
    TxResult::refused(refusal.into(), 0, 0)
}

impl Node {
    /// Whether CometBFT's mempool may hold `tx`, a transaction or a carrier. `again` says that it
    /// does, and asks whether it still may.
    pub fn check_tx(&self, tx: &[u8], again: bool) -> Result<TxResult, NodeError> {
        let mut check = lock(&self.check);
        check.waiting.rechecks |= again;
        if carrier::is_carrier(tx) {
            return self.check_carrier(&mut check, tx, again);
        }
        let hash = sha256(tx);
        if check.waiting.knows(&hash) {
            if !again {
                return Ok(refused(Sdk::TxInMempool));
            }
            let entry = check.waiting.confirm(&hash);
            return Ok(accepted(entry.map_or(0, |entry| entry.tx.gas_limit)));
        }
        if check.waiting.is_full(1, tx.len()) {
            return Ok(refused(Sdk::MempoolFull));
        }
        let (result, decoded) = self.check_on(&mut check, hash, tx)?;
        if let Some(decoded) = decoded {
            check.waiting.add(decoded, Bytes::copy_from_slice(tx), false);
        }
        Ok(result)
    }

    /// A carrier must be whole; then it may wait as long as something in it does. One that comes
    /// from elsewhere must be new in at least half of its bytes, by transactions that could wait
    /// alone: who fills mempools and proposals with carriers pays fees for it.
    ///
    /// Its gas is not counted: CometBFT takes what comes first until a block's gas is used up, and
    /// one carrier with a block's gas or more would let nothing through. The proposer counts.
    fn check_carrier(
        &self,
        check: &mut Check,
        bytes: &[u8],
        again: bool,
    ) -> Result<TxResult, NodeError> {
        let txs = match carrier::decode(bytes) {
            Ok(txs) => txs,
            Err(refusal) => return Ok(refused(refusal)),
        };
        let nothing = || Sdk::InvalidRequest("nothing in the carrier can wait for a block".into());
        if again {
            let mut waits = false;
            for tx in txs {
                let hash = sha256(tx);
                if check.waiting.confirm(&hash).is_some() {
                    waits = true;
                } else if !check.waiting.committed.has(&hash) && !check.waiting.is_full(1, tx.len())
                {
                    // What it had to wait for may have come.
                    if let (_, Some(decoded)) = self.check_on(check, hash, tx)? {
                        check.waiting.add(decoded, Bytes::copy_from_slice(tx), false);
                        waits = true;
                    }
                }
            }
            return Ok(if waits { accepted(0) } else { refused(nothing()) });
        }
        if check.waiting.carriers.has(&sha256(bytes)) {
            let waits = txs.iter().any(|tx| check.waiting.knows(&sha256(tx)));
            return Ok(if waits { accepted(0) } else { refused(nothing()) });
        }
        let mut unknown = Vec::new();
        for tx in txs {
            let hash = sha256(tx);
            if check.waiting.knows(&hash) || check.waiting.committed.has(&hash) {
                continue;
            }
            match self.seen.read(hash, tx) {
                Ok(decoded) => unknown.push((tx, decoded)),
                Err(refusal) => return Ok(refused(refusal)),
            }
        }
        if check.waiting.is_full(unknown.len(), bytes.len()) {
            return Ok(refused(Sdk::MempoolFull));
        }
        let checked = self.with_check(check, |check, base| {
            check.over(base, |waiting, block| {
                let mut above = Overlay::new(&*waiting);
                let mut new = Vec::new();
                for (bytes, tx) in unknown {
                    let checked = Arc::clone(&tx);
                    let result = chain::check_decoded(&mut above, block, checked, &self.seen);
                    if result.code == 0 {
                        new.push((bytes, tx));
                    }
                }
                let fresh = new.iter().map(|(bytes, _)| bytes.len()).sum::<usize>();
                let writes = above.into_writes();
                let taken = !new.is_empty() && fresh.saturating_mul(2) >= bytes.len();
                if taken {
                    waiting.merge(writes);
                }
                taken.then_some(new)
            })
        })?;
        let Some(new) = checked.unwrap_or_else(|panic| resume_unwind(panic)) else {
            return Ok(refused(nothing()));
        };
        for (bytes, tx) in new {
            self.seen.keep(&tx);
            check.waiting.add(tx, Bytes::copy_from_slice(bytes), false);
        }
        Ok(accepted(0))
    }

    /// A transaction from the front door: checked, and held for a carrier if it may wait.
    pub fn offer(&self, tx: Bytes) -> Result<Result<TxResult, Turned>, NodeError> {
        if tx.len() > TX_BYTES_MAX {
            return Ok(Err(Turned::TooLarge(tx.len())));
        }
        let hash = sha256(&tx);
        let mut check = lock(&self.check);
        let waiting = &check.waiting;
        if waiting.knows(&hash) || waiting.committed.has(&hash) {
            return Ok(Err(Turned::Known));
        }
        if waiting.is_full(1, tx.len()) {
            let (txs, bytes) = (waiting.entries.len(), waiting.bytes);
            return Ok(Err(Turned::Full { txs, bytes }));
        }
        let (result, decoded) = self.check_on(&mut check, hash, &tx)?;
        if let Some(decoded) = decoded {
            check.waiting.add(decoded, tx, true);
        }
        Ok(Ok(result))
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
            let stays = !dropped && !waiting.committed.has(&entry.tx.hash);
            if dropped {
                self.seen.forget(&[entry.tx.hash]);
            }
            stays
        });
        // Without a state to stand on nothing waits; what panics does not.
        let _ = self.with_check(check, |check, base| {
            for (number, entry) in entries {
                match check.check(base, Arc::clone(&entry.tx), &self.seen) {
                    Ok(TxResult { code: 0, .. }) => check.waiting.insert(number, entry),
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
