//! Owns chain and store: one block at a time is written, snapshots serve everybody else.
//!
//! A block is executed on the head and held in memory; only [`Node::commit`] writes, in one batch.
//! So a process that dies anywhere comes back at the last committed block, and CometBFT sends it
//! the next one again.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use plasma_modules::{
    Memory, Overlay, Read, Recorded, Refusal, SignatureMemory, Writes, ahead,
    chain::{self, BlockInput, TxResult, ValidatorUpdate},
    types::sha256,
};
use plasma_proto::plasma::genesis::v1::GenesisState;
use rayon::prelude::*;
use tokio::sync::watch;

use crate::{
    check::Check,
    commit::{self, Update},
    history::{self, Changes},
    hot::Hot,
    meta::Head,
    metrics::Metrics,
    proposals::{BlockKey, Proposals},
    rocks::{OpenError, Reader, Rocks},
    signatures::Signatures,
};

/// Blocks of history that are pruned per commit at most: a node whose `keep_recent` was lowered
/// catches up without a long pause.
const PRUNED_BLOCKS_MAX: u64 = 16;

/// Transactions that are worth a thread's waking.
const AHEAD_TXS_MIN: usize = 8;

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

impl<'a> Decided<'a> {
    fn input(self, chain_id: &'a str) -> BlockInput<'a> {
        let Self { height, time_s, proposer, txs } = self;
        BlockInput { chain_id, height, time_s, proposer, txs }
    }
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
}

/// What the calls of consensus, which come one after the other, leave for the next.
#[derive(Default)]
struct Working {
    hot: Hot,
    proposals: Proposals,
}

/// One node's chain.
pub struct Node {
    rocks: Rocks,
    keep: Keep,
    pending: Mutex<Pending>,
    check: Mutex<Check>,
    working: Mutex<Working>,
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
            working: Mutex::default(),
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
        *lock(&self.working) = Working::default();
        Ok((validators, app_hash))
    }

    /// Calls `work` with the newest state, which may be a genesis, and its block.
    fn with_newest<T>(
        &self,
        work: impl FnOnce(&(dyn Read + Sync), &Head) -> T,
    ) -> Result<T, NodeError> {
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

    /// Whether a transaction may wait in the mempool, on top of those that wait already. `again` is
    /// CometBFT's recheck of one that waits since before the last block.
    pub fn check_tx(&self, tx: &[u8], again: bool) -> Result<TxResult, NodeError> {
        let mut check = lock(&self.check);
        if check.is_on_disk() {
            return Ok(check.check(&self.reader(), again, tx, &self.signatures));
        }
        let on_disk = self.head().is_some();
        self.with_newest(|base, head| {
            check.start(base, head, on_disk);
            check.check(base, again, tx, &self.signatures)
        })
    }

    /// The transactions that a proposal takes of its `txs`, together at most `bytes_max`.
    pub fn prepare<'t>(
        &self,
        proposal: Decided<'t>,
        bytes_max: usize,
    ) -> Result<Vec<&'t [u8]>, NodeError> {
        self.with_newest(|base, head| {
            let mut working = lock(&self.working);
            let Working { hot, proposals } = &mut *working;
            let warm = hot.over(base, head.height);
            let input = proposal.input(&head.chain_id);
            let (taken, opened) =
                chain::prepare(&warm, &input, proposal.txs, bytes_max, &self.signatures);
            let input = BlockInput { txs: &taken, ..input };
            proposals.keep(BlockKey::new(&head.app_hash, &input), opened);
            taken
        })
    }

    /// Whether a proposal is one that an honest proposer could make.
    pub fn process(&self, proposal: Decided<'_>) -> Result<Result<(), Refusal>, NodeError> {
        self.with_newest(|base, head| {
            let mut working = lock(&self.working);
            let Working { hot, proposals } = &mut *working;
            let input = proposal.input(&head.chain_id);
            let key = BlockKey::new(&head.app_hash, &input);
            if proposals.has(key) {
                return Ok(());
            }
            self.look_ahead(base, &head.chain_id, proposal.txs);
            let warm = hot.over(base, head.height);
            let opened = chain::process(&warm, &input, &self.signatures)?;
            proposals.keep(key, opened);
            Ok(())
        })
    }

    /// Checks the signatures of transactions that nobody has shown to this node yet, on all CPUs.
    fn look_ahead(&self, base: &(dyn Read + Sync), chain_id: &str, txs: &[&[u8]]) {
        if txs.len() < AHEAD_TXS_MIN {
            return;
        }
        txs.par_iter().with_min_len(AHEAD_TXS_MIN).for_each(|tx| {
            let name = sha256(tx);
            if !self.signatures.knows(&name)
                && ahead::authenticate(base, chain_id, tx, &self.signatures)
            {
                self.signatures.learn(name);
            }
        });
    }

    /// Proposals of the next height that are kept, half executed.
    pub fn proposals(&self) -> usize {
        lock(&self.working).proposals.len()
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
        let (base, head): (&(dyn Read + Sync), Head) = match (genesis, reader.head()) {
            (Some(genesis), _) => (&*genesis.state, genesis.head.clone()),
            (None, Some(head)) => (&reader, head),
            (None, None) => return Err(NodeError::NoBlock),
        };
        let Decided { height, time_s, .. } = decided;
        if height != head.height + 1 {
            return Err(NodeError::Height { got: height, expected: head.height + 1 });
        }
        let input = decided.input(&head.chain_id);
        let mut working = lock(&self.working);
        let Working { hot, proposals } = &mut *working;
        let opened = proposals.take(BlockKey::new(&head.app_hash, &input));
        let warm = hot.over(base, head.height);
        let opened = opened.unwrap_or_else(|| {
            self.look_ahead(base, &head.chain_id, decided.txs);
            chain::open_block(&warm, &input, &self.signatures)
        });
        let output = chain::close_block(&warm, opened);
        let changes = history::changes(&warm, output.writes);
        drop(working);
        let before = genesis.map(|genesis| &genesis.update);
        let update = commit::update(&reader, before, height, &changes);
        let app_hash = update.app_hash;
        let head = Head { height, time_s, app_hash, ..head };
        pending.block = Some(PendingBlock { head, changes, update });
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
        let PendingBlock { head, changes, update } = block.ok_or(NodeError::NoBlock)?;
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
        check.advance(head.height, &changes);
        let mut working = lock(&self.working);
        working.hot.advance(head.height, &changes);
        working.proposals.clear();
        drop((check, pending, working));
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
