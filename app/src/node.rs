//! Owns chain and store: one block at a time is written, snapshots serve everybody else.
//!
//! A block is executed on the head and held in memory; only [`Node::commit`] writes, in one batch.
//! So a process that dies anywhere comes back at the last committed block, and CometBFT sends it
//! the next one again.

mod waiting;

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use plasma_modules::{
    Block, Memory, Overlay, Read, Recorded, Refusal, Writes, carrier,
    chain::{self, BlockInput, TxResult, ValidatorUpdate},
    types::{Hash, sha256},
};
use plasma_proto::plasma::genesis::v1::GenesisState;
use tokio::sync::watch;
pub use waiting::{Carrier, Turned, WAITING_BYTES_MAX, WAITING_TXS_MAX};

use crate::{
    commit::{self, Update},
    history::{self, Changes},
    meta::Head,
    metrics::Metrics,
    rocks::{OpenError, Reader, Rocks},
    signatures::Signatures,
};

/// Blocks of history that are pruned per commit at most: a node whose `keep_recent` was lowered
/// catches up without a long pause.
const PRUNED_BLOCKS_MAX: u64 = 16;

/// How a node keeps its state.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Blocks whose state can be queried and proven, the head included.
    pub recent: u64,
    /// Bytes of RocksDB's cache.
    pub cache_bytes: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { recent: crate::config::KEEP_RECENT, cache_bytes: crate::config::CACHE_BYTES }
    }
}

/// A block as CometBFT hands it over.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// Its height.
    pub height: u64,
    /// Its time, seconds.
    pub time_s: u64,
    /// Consensus address of its proposer.
    pub proposer: [u8; 20],
    /// Its transactions.
    pub txs: &'a [&'a [u8]],
}

/// What a block did.
#[derive(Clone, Debug)]
pub struct Executed {
    /// Hash of the state after it.
    pub app_hash: [u8; 32],
    /// One result per transaction.
    pub txs: Vec<TxResult>,
    /// Events outside of transactions.
    pub events: Vec<Recorded>,
    /// Changes of the validator set.
    pub validator_updates: Vec<ValidatorUpdate>,
}

/// Why a node does not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The database.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Tree and head do not belong together.
    #[error(
        "the state on disk does not have the app hash of block {height}: {found} instead of {wanted}; restore a backup or sync anew into an empty home"
    )]
    AppHash {
        /// The head.
        height: u64,
        /// Its app hash, hex.
        wanted: String,
        /// What the state has, hex.
        found: String,
    },
    /// The genesis is refused.
    #[error("the genesis is refused: {0}")]
    Genesis(Refusal),
    /// A height that is not there.
    #[error("height {height} is pruned, the oldest is {oldest}")]
    Pruned {
        /// Asked for.
        height: u64,
        /// The oldest that is kept.
        oldest: u64,
    },
    /// A height that has not come.
    #[error("height {height} has not come yet, the newest is {newest}")]
    Future {
        /// Asked for.
        height: u64,
        /// The newest.
        newest: u64,
    },
    /// No block yet.
    #[error("no block has been committed yet")]
    NoBlock,
    /// CometBFT and this node disagree about what comes next.
    #[error(
        "block {got} was sent, block {expected} comes next; the homes of cometbft and plasmad do not belong together"
    )]
    Height {
        /// Sent.
        got: u64,
        /// Next here.
        expected: u64,
    },
    /// Bytes on disk that break a rule.
    #[error("an invariant does not hold: {0}")]
    Invariant(String),
}

/// State that is not on disk yet.
#[derive(Default)]
struct Pending {
    /// From InitChain to the first commit.
    genesis: Option<Genesis>,
    /// From FinalizeBlock to Commit.
    block: Option<PendingBlock>,
}

struct Genesis {
    head: Head,
    state: Arc<Memory>,
    writes: Writes,
    update: Update,
}

struct PendingBlock {
    head: Head,
    changes: Changes,
    update: Update,
    txs: Vec<Hash>,
}

/// Fees and sequences of the transactions in the mempool.
#[derive(Default)]
struct Check {
    block: Option<Block>,
    writes: Writes,
    waiting: waiting::Waiting,
}

/// One node's chain.
pub struct Node {
    rocks: Rocks,
    keep: Keep,
    pending: Mutex<Pending>,
    check: Mutex<Check>,
    signatures: Signatures,
    heads: watch::Sender<u64>,
    metrics: Arc<Metrics>,
}

/// Nothing behind these locks is half-changed by a panic: work happens on copies.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Opens the database in `path` and checks that its tree is the head's.
    pub fn open(path: &Path, keep: Keep) -> Result<Self, NodeError> {
        let rocks = Rocks::open(path, keep.cache_bytes)?;
        let head = rocks.reader().head();
        if let Some(head) = &head {
            let found = commit::stored_app_hash(&rocks.reader(), head.height).unwrap_or_default();
            same_hash(head, found)?;
        }
        let (heads, _) = watch::channel(head.map_or(0, |head| head.height));
        let metrics = Arc::new(Metrics::new());
        let node = Self {
            rocks,
            keep: Keep { recent: keep.recent.max(1), ..keep },
            pending: Mutex::default(),
            check: Mutex::default(),
            signatures: Signatures::default(),
            heads,
            metrics,
        };
        Ok(node)
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Bytes on disk, roughly.
    pub fn disk_bytes(&self) -> u64 {
        self.rocks.bytes()
    }

    /// Committed state, as it is now.
    pub fn reader(&self) -> Reader<'_> {
        self.rocks.reader()
    }

    /// The last committed block.
    pub fn head(&self) -> Option<Head> {
        self.reader().head()
    }

    /// Committed state after block `height`; 0 is the last one.
    pub fn reader_at(&self, height: u64) -> Result<(Reader<'_>, Head), NodeError> {
        let reader = self.reader();
        let head = reader.head().ok_or(NodeError::NoBlock)?;
        if height == 0 || height == head.height {
            return Ok((reader, head));
        }
        if height > head.height {
            return Err(NodeError::Future { height, newest: head.height });
        }
        match reader.past(height) {
            Some(past) => Ok((reader.at(height), past)),
            None => {
                let oldest = reader.oldest().unwrap_or(head.height);
                Err(NodeError::Pruned { height, oldest })
            }
        }
    }

    /// Heights as they are committed; the value is the last one.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.heads.subscribe()
    }

    /// Starts a chain from its genesis. Nothing is written before the first block is committed.
    pub fn init_chain(
        &self,
        chain_id: &str,
        time_s: u64,
        initial_height: u64,
        genesis: &GenesisState,
    ) -> Result<(Vec<ValidatorUpdate>, [u8; 32]), NodeError> {
        let reader = self.reader();
        if let Some(head) = reader.head() {
            return Err(NodeError::Height { got: initial_height, expected: head.height + 1 });
        }
        let empty = Memory::default();
        let mut state = Overlay::new(&empty);
        let validators =
            chain::init(&mut state, chain_id, time_s, genesis).map_err(NodeError::Genesis)?;
        let writes = state.into_writes();
        let initial_height = initial_height.max(1);
        let changes = history::changes(&empty, writes.clone());
        let update = commit::update(&reader, None, initial_height - 1, &changes);
        let app_hash = update.app_hash;
        let head = Head {
            height: initial_height - 1,
            time_s,
            initial_height,
            app_hash,
            chain_id: chain_id.to_owned(),
        };
        let mut state = empty;
        state.apply(writes.clone());
        let mut pending = lock(&self.pending);
        pending.genesis = Some(Genesis { head, state: Arc::new(state), writes, update });
        pending.block = None;
        drop(pending);
        *lock(&self.check) = Check::default();
        Ok((validators, app_hash))
    }

    /// Calls `work` with the newest state, which may be a genesis, and its block.
    fn with_newest<T>(&self, work: impl FnOnce(&dyn Read, &Head) -> T) -> Result<T, NodeError> {
        let reader = self.reader();
        if let Some(head) = reader.head() {
            return Ok(work(&reader, &head));
        }
        let pending = lock(&self.pending);
        let genesis = pending.genesis.as_ref().ok_or(NodeError::NoBlock)?;
        let (state, head) = (Arc::clone(&genesis.state), genesis.head.clone());
        drop(pending);
        Ok(work(&*state, &head))
    }

    /// Whether a transaction may wait in the mempool, on top of those that wait already.
    fn check_on(&self, check: &mut Check, tx: &[u8]) -> Result<TxResult, NodeError> {
        self.with_newest(|base, head| {
            let block = check.block.get_or_insert_with(|| {
                chain::next_block(base, &head.chain_id, head.height + 1, head.time_s)
            });
            let waiting = Overlay::resume(base, std::mem::take(&mut check.writes));
            let mut above = Overlay::new(&waiting);
            // What waits must survive a panic, or every later transaction of these accounts would
            // be refused; the panic itself goes on to whoever answers it.
            let result = catch_unwind(AssertUnwindSafe(|| {
                chain::check_tx(&mut above, block, tx, &self.signatures)
            }));
            let kept = above.into_writes();
            check.writes = waiting.into_writes();
            let result = result.unwrap_or_else(|panic| resume_unwind(panic));
            if result.code == 0 {
                check.writes.extend(kept);
            }
            result
        })
    }

    /// The transactions that a proposal takes of `txs` and of the carriers among them, together at
    /// most `bytes_max`.
    pub fn prepare<'t>(
        &self,
        height: u64,
        time_s: u64,
        txs: &[&'t [u8]],
        bytes_max: usize,
    ) -> Result<Vec<&'t [u8]>, NodeError> {
        self.with_newest(|base, head| {
            let block = chain::next_block(base, &head.chain_id, height, time_s);
            chain::prepare(base, &block, &carrier::expand(txs), bytes_max, &self.signatures)
        })
    }

    /// Whether a proposal is one that an honest proposer could make.
    pub fn process(
        &self,
        height: u64,
        time_s: u64,
        txs: &[&[u8]],
    ) -> Result<Result<(), Refusal>, NodeError> {
        self.with_newest(|base, head| {
            let block = chain::next_block(base, &head.chain_id, height, time_s);
            chain::process(base, &block, txs, &self.signatures)
        })
    }

    /// What a transaction would do in the next block.
    pub fn simulate(&self, tx: &[u8]) -> Result<TxResult, NodeError> {
        self.with_newest(|base, head| {
            let block = chain::next_block(base, &head.chain_id, head.height + 1, head.time_s);
            chain::simulate(base, &block, tx)
        })
    }

    /// Executes a block on the head and holds what it did until [`Node::commit`].
    pub fn finalize(&self, decided: Decided<'_>) -> Result<Executed, NodeError> {
        let started = Instant::now();
        let mut pending = lock(&self.pending);
        let reader = self.reader();
        let genesis = pending.genesis.as_ref().filter(|_| reader.head().is_none());
        let (base, head): (&dyn Read, Head) = match (genesis, reader.head()) {
            (Some(genesis), _) => (&*genesis.state, genesis.head.clone()),
            (None, Some(head)) => (&reader, head),
            (None, None) => return Err(NodeError::NoBlock),
        };
        let Decided { height, time_s, proposer, txs } = decided;
        if height != head.height + 1 {
            return Err(NodeError::Height { got: height, expected: head.height + 1 });
        }
        let input = BlockInput { chain_id: &head.chain_id, height, time_s, proposer, txs };
        let output = chain::execute_block(base, &input, &self.signatures);
        let changes = history::changes(base, output.writes);
        let before = genesis.map(|genesis| &genesis.update);
        let update = commit::update(&reader, before, height, &changes);
        let app_hash = update.app_hash;
        let head = Head { height, time_s, app_hash, ..head };
        let txs = txs.iter().map(|tx| sha256(tx)).collect();
        pending.block = Some(PendingBlock { head, changes, update, txs });
        self.metrics.executed(started.elapsed(), time_s, &output.txs);
        Ok(Executed {
            app_hash,
            txs: output.txs,
            events: output.events,
            validator_updates: output.validator_updates,
        })
    }

    /// Writes the executed block. When this returns, the disk has it.
    pub fn commit(&self) -> Result<Head, NodeError> {
        let started = Instant::now();
        // Where both are held, what waits is locked first: so does CheckTx.
        let mut check = lock(&self.check);
        let mut pending = lock(&self.pending);
        let Pending { genesis, block } = std::mem::take(&mut *pending);
        let PendingBlock { head, changes, update, txs } = block.ok_or(NodeError::NoBlock)?;
        let reader = self.reader();
        let mut batch = self.rocks.batch();
        self.prune(&mut batch, &reader, head.height);
        if let Some(genesis) = genesis.filter(|_| reader.head().is_none()) {
            for (key, value) in &genesis.writes {
                batch.state(key, value.as_deref());
            }
            commit::write(&mut batch, &genesis.update);
        } else {
            history::record(&mut batch, head.height, &changes);
        }
        for (key, (_, after)) in &changes {
            batch.state(key, after.as_deref());
        }
        commit::write(&mut batch, &update);
        batch.head(&head);
        batch.write();
        self.renew(&mut check, &txs);
        drop((check, pending));
        self.heads.send_replace(head.height);
        self.metrics.committed(started.elapsed(), head.height);
        Ok(head)
    }

    /// Lets go of what lies before the recent blocks, when `height` is the head.
    fn prune(&self, batch: &mut crate::rocks::Batch<'_>, reader: &Reader<'_>, height: u64) {
        let Some(known) = reader.oldest() else { return };
        let wanted = height.saturating_sub(self.keep.recent - 1);
        let oldest = wanted.min(known.saturating_add(PRUNED_BLOCKS_MAX));
        if oldest <= known {
            return;
        }
        for past in known..oldest {
            batch.forget(past);
            // What block `past + 1` overwrote says how the state was at `past`.
            history::forget(batch, reader, past + 1);
        }
        commit::prune(batch, reader, oldest);
    }

    /// The whole state after block `height` (0: the last) as a genesis.
    pub fn export(&self, height: u64) -> Result<(GenesisState, Head), NodeError> {
        let (reader, head) = self.reader_at(height)?;
        Ok((chain::export(&reader), head))
    }

    /// Reads every key: the app hash belongs to them, and every rule about the whole state holds.
    pub fn check(&self) -> Result<Head, NodeError> {
        let reader = self.reader();
        let head = reader.head().ok_or(NodeError::NoBlock)?;
        same_hash(&head, commit::recomputed_app_hash(&reader))?;
        chain::check_invariants(&reader).map_err(NodeError::Invariant)?;
        Ok(head)
    }
}

fn same_hash(head: &Head, found: [u8; 32]) -> Result<(), NodeError> {
    if head.app_hash == found {
        return Ok(());
    }
    Err(NodeError::AppHash {
        height: head.height,
        wanted: hex::encode(head.app_hash),
        found: hex::encode(found),
    })
}
