//! Owns chain and store: one block at a time is written, snapshots serve everybody else.
//!
//! A block is executed on the head and held in memory; only [`Node::commit`] writes, in one batch.
//! So a process that dies anywhere comes back at the last committed block, and CometBFT sends it
//! the next one again.

mod room;
mod waiting;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use plasma_modules::{
    Memory, Overlay, Read, Recorded, Refusal, Writes, ahead,
    attestation::beacon,
    auth, carrier,
    chain::{self, BlockInput, Misbehavior, TxResult, ValidatorUpdate, Vote},
    governance::upgrade::{self, Due, UPGRADES, Upgrade},
    rules,
    tx::{self, Purpose},
    types::{Hash, sha256},
};
use plasma_proto::{
    cosmos::upgrade::v1beta1::Plan, plasma::genesis::v1::GenesisState,
    tendermint::types::ConsensusParams,
};
use rayon::prelude::*;
use tokio::sync::watch;
pub(crate) use waiting::Waiting;
pub use waiting::{ALONE_TXS_MAX, Carrier, Turned, WAITING_BYTES_MAX, WAITING_TXS_MAX};

use crate::{
    check::Check,
    commit::{self, Proven, Store, Tree, Update},
    history::{self, Changes},
    hot::Hot,
    index::Index,
    meta::Head,
    metrics::Metrics,
    proposals::{BlockKey, Proposals},
    rocks::{Batch, OpenError, Reader, Rocks},
    scrub,
    seen::Seen,
    statesync::{Applied, Offered, Restore, Snapshot},
    upkeep::{Keeper, Sweep, Upkeep},
};

/// Blocks of history that are pruned per commit at most: a node whose `keep_recent` was lowered
/// catches up without a long pause.
const PRUNED_BLOCKS_MAX: u64 = 16;

/// Blocks from one warning of an unknown upgrade to the next.
const WARN_BLOCKS: u64 = 100;

/// Transactions that are worth a thread's waking.
const AHEAD_TXS_MIN: usize = 8;

/// How a node keeps its state.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Blocks whose state can be queried and proven, the head included.
    pub recent: u64,
    /// Bytes of RocksDB's cache.
    pub cache_bytes: usize,
    /// Bytes of the state tree in memory, between blocks.
    pub tree_bytes: usize,
    /// Whether transactions are indexed here.
    pub index: bool,
    /// Whether CometBFT is told of events, although they are indexed here.
    pub subscriptions: bool,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            recent: crate::config::KEEP_RECENT,
            cache_bytes: crate::config::CACHE_BYTES,
            tree_bytes: crate::config::TREE_BYTES,
            index: false,
            subscriptions: true,
        }
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
    /// Who voted for the block before; nobody, of a proposal.
    pub votes: &'a [Vote],
    /// Proven offences; none, of a proposal.
    pub misbehavior: &'a [Misbehavior],
}

impl<'a> Decided<'a> {
    fn input(self, chain_id: &'a str, upgrades: &'a [Upgrade]) -> BlockInput<'a> {
        let Self { height, time_s, proposer, txs, votes, misbehavior } = self;
        BlockInput { chain_id, height, time_s, proposer, txs, votes, misbehavior, upgrades }
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
    /// What CometBFT is to hold blocks to from now on, whole, if that changed.
    pub consensus: Option<ConsensusParams>,
}

/// A block to propose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposed<'t> {
    /// What it begins with, if the proposer's beacon key counts.
    pub own: Option<Vec<u8>>,
    /// Its transactions.
    pub txs: Vec<&'t [u8]>,
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
    /// An index is not what the objects ask for.
    #[error(
        "the state on disk is not that of block {height}: {why}; restore a backup or sync anew into an empty home"
    )]
    Index {
        /// The head.
        height: u64,
        /// Which index, and what is wrong.
        why: String,
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
    /// Other rules than this program's hold for the next block.
    #[error(transparent)]
    Upgrade(#[from] Due),
    /// A block that cannot be undone.
    #[error(
        "block {0} cannot be undone: what it overwrote is pruned; restore a backup or sync anew"
    )]
    NoUndo(u64),
    /// Files that cannot be changed.
    #[error("{0:#}")]
    Files(#[from] anyhow::Error),
    /// A key cannot be proven.
    #[error(transparent)]
    Proof(#[from] commit::ProofError),
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

/// What the calls of consensus, which come one after the other, leave for the next.
#[derive(Default)]
struct Working {
    hot: Hot,
    proposals: Proposals,
}

/// One node's chain.
pub struct Node {
    // Before the database: its threads are waited for.
    keeper: Keeper,
    rocks: Arc<Rocks>,
    keep: Keep,
    index: Option<Index>,
    /// Of the head; held only to clone or replace it.
    tree: Mutex<Tree>,
    /// One proof of the past at a time: each may have to undo many keys.
    proving: Mutex<()>,
    pending: Mutex<Pending>,
    check: Mutex<Check>,
    working: Mutex<Working>,
    upgrades: &'static [Upgrade],
    beacon_key: Option<beacon::SecretKey>,
    seen: Seen,
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
        Self::open_with(path, keep, Upkeep::default())
    }

    /// The same for a node that does more than blocks.
    pub fn open_with(path: &Path, keep: Keep, upkeep: Upkeep) -> Result<Self, NodeError> {
        let rocks = Arc::new(Rocks::open(path, keep.cache_bytes)?);
        let head = rocks.reader().head();
        if head.is_none() && rocks.restoring() {
            tracing::warn!("the last state sync did not end; what it left is thrown away");
            rocks.wipe(false);
        }
        let tree = Tree::open(&rocks, keep.tree_bytes);
        if let Some(head) = &head {
            if upkeep.scrub_at_start {
                let (reader, never) = (rocks.reader(), AtomicBool::new(false));
                let sweep = Sweep::new(&reader, "the check at start", 0, &never);
                scrub::check(&sweep, head).unwrap_or(Ok(()))?;
            }
            same_hash(head, tree.app_hash())?;
        }
        let (heads, _) = watch::channel(head.map_or(0, |head| head.height));
        let metrics = Arc::new(Metrics::new());
        let node = Self {
            keeper: Keeper::new(upkeep, &rocks, Arc::clone(&metrics)),
            index: keep.index.then(|| Index::new(Arc::clone(&rocks))),
            rocks,
            keep: Keep { recent: keep.recent.max(1), ..keep },
            tree: Mutex::new(tree),
            proving: Mutex::default(),
            pending: Mutex::default(),
            check: Mutex::default(),
            working: Mutex::default(),
            upgrades: UPGRADES,
            beacon_key: None,
            seen: Seen::default(),
            heads,
            metrics,
        };
        Ok(node)
    }

    /// The same node as a release that knows these upgrades.
    #[must_use]
    pub fn knowing(self, upgrades: &'static [Upgrade]) -> Self {
        Self { upgrades, ..self }
    }

    /// The same node with this key for the randomness of the blocks that it proposes.
    #[must_use]
    pub fn with_beacon_key(self, key: Option<beacon::SecretKey>) -> Self {
        Self { beacon_key: key, ..self }
    }

    /// Whether this program knows the rules of the next block: what a node asks before it starts.
    pub fn ready(&self) -> Result<(), NodeError> {
        match self.head() {
            Some(head) => Ok(upgrade::due(&self.reader(), head.height + 1, self.upgrades)?),
            None => Ok(()),
        }
    }

    /// The version of the rules that the newest state follows.
    pub fn rules_version(&self) -> u64 {
        self.with_newest(|base, _| rules::version(base)).unwrap_or(rules::GENESIS_VERSION)
    }

    /// What CometBFT is to hold blocks to, by the newest state.
    pub fn consensus(&self) -> Result<ConsensusParams, NodeError> {
        self.with_newest(|base, _| rules::consensus(base))
    }

    /// The upgrade that is planned, if this program does not know it.
    pub fn unknown_upgrade(&self) -> Option<Plan> {
        let plan = upgrade::plan(&self.reader())?;
        let known = self.upgrades.iter().any(|upgrade| upgrade.name == plan.name);
        (!known).then_some(plan)
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Blocks whose state is kept, the head included.
    pub fn keep_recent(&self) -> u64 {
        self.keep.recent
    }

    /// The index of transactions, if this node has one.
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// Whether CometBFT is told of events.
    pub fn tells_events(&self) -> bool {
        self.keep.subscriptions || !self.keep.index
    }

    /// How the database is.
    pub fn store_stats(&self) -> crate::rocks::Stats {
        self.rocks.stats()
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
        let block = Self::block_of(&reader, height)?;
        Ok((reader.at(block.height), block))
    }

    /// Block `height` (0: the last) of those whose state `reader` can read.
    fn block_of(reader: &Reader<'_>, height: u64) -> Result<Head, NodeError> {
        let head = reader.head().ok_or(NodeError::NoBlock)?;
        if height == 0 || height == head.height {
            return Ok(head);
        }
        if height > head.height {
            return Err(NodeError::Future { height, newest: head.height });
        }
        reader.past(height).ok_or_else(|| {
            let oldest = reader.oldest().unwrap_or(head.height);
            NodeError::Pruned { height, oldest }
        })
    }

    /// The state tree of the last committed block.
    fn tree(&self) -> Tree {
        lock(&self.tree).clone()
    }

    /// Proves what `key` of `store` holds after block `height`; 0 is the last one.
    pub fn prove(
        &self,
        height: u64,
        store: Store,
        key: Vec<u8>,
    ) -> Result<(Proven, Head), NodeError> {
        // Tree and reader are taken one after the other: a block may be committed in between.
        let (tree, reader) = loop {
            let (tree, reader) = (self.tree(), self.reader());
            let head = reader.head().ok_or(NodeError::NoBlock)?;
            if tree.height() == head.height {
                break (tree, reader);
            }
            std::thread::yield_now();
        };
        let head = Self::block_of(&reader, height)?;
        let past = head.height != tree.height();
        let one = past.then(|| lock(&self.proving));
        let proven = commit::prove(&tree, reader, &head, store, key)?;
        drop(one);
        Ok((proven, head))
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
        if let Some(head) = self.head() {
            return Err(NodeError::Height { got: initial_height, expected: head.height + 1 });
        }
        // A chain that begins has no use for half of a snapshot.
        *lock(&self.keeper.restore) = None;
        if self.rocks.restoring() {
            self.rocks.wipe(false);
        }
        let reader = self.reader();
        let empty = Memory::default();
        let mut state = Overlay::new(&empty);
        let validators =
            chain::init(&mut state, chain_id, time_s, genesis).map_err(NodeError::Genesis)?;
        let writes = state.into_writes();
        let initial_height = initial_height.max(1);
        let changes = history::changes(&empty, writes.clone());
        let update = self.tree().update(&reader, initial_height - 1, after(&changes));
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

    /// Calls `work` with the newest state, of which `check` knows.
    fn with_check<T>(
        &self,
        check: &mut Check,
        work: impl FnOnce(&mut Check, &dyn Read) -> T,
    ) -> Result<T, NodeError> {
        if check.is_on_disk() {
            return Ok(work(check, &self.reader()));
        }
        let on_disk = self.head().is_some();
        self.with_newest(|base, head| {
            check.start(base, head, on_disk);
            work(check, base)
        })
    }

    /// A block of what a proposal takes of its `txs` and of the carriers among them, together at most
    /// `bytes_max`; an empty one, which nobody accepts, where this node cannot begin it as it must.
    pub fn prepare<'t>(
        &self,
        proposal: Decided<'t>,
        bytes_max: usize,
    ) -> Result<Proposed<'t>, NodeError> {
        self.with_newest(|base, head| {
            upgrade::due(base, proposal.height, self.upgrades)?;
            let mut working = lock(&self.working);
            let Working { hot, proposals } = &mut *working;
            let warm = hot.over(base, head.height);
            let input = proposal.input(&head.chain_id, self.upgrades);
            let txs = carrier::expand(proposal.txs);
            let key = self.beacon_key.as_ref();
            let (height, proposer) = (input.height, &input.proposer);
            let own = chain::beacon_entry(&warm, &head.chain_id, height, proposer, key);
            let own = own.map(|own| own.map(Vec::from));
            let made = own.and_then(|own| {
                let memory = &self.seen;
                let begun = own.as_deref();
                let (txs, opened) = chain::prepare(&warm, &input, begun, &txs, bytes_max, memory)?;
                Ok((Proposed { own, txs }, opened))
            });
            let (proposed, opened) = match made {
                Ok(made) => made,
                Err(refusal) => {
                    tracing::error!(height, "no block can be proposed: {refusal}");
                    self.metrics.proposal_failed();
                    return Ok(Proposed::default());
                }
            };
            proposals.keep(BlockKey::new(&head.app_hash, &input, opened.paid()), opened);
            Ok(proposed)
        })?
    }

    /// Whether a proposal is one that an honest proposer could make.
    pub fn process(&self, proposal: Decided<'_>) -> Result<Result<(), Refusal>, NodeError> {
        self.with_newest(|base, head| {
            upgrade::due(base, proposal.height, self.upgrades)?;
            let mut working = lock(&self.working);
            let Working { hot, proposals } = &mut *working;
            let input = proposal.input(&head.chain_id, self.upgrades);
            let hashes = hashes(proposal.txs);
            let key = BlockKey::new(&head.app_hash, &input, &hashes);
            if proposals.has(key) {
                return Ok(Ok(()));
            }
            self.look_ahead(base, &head.chain_id, proposal.txs, &hashes);
            let warm = hot.over(base, head.height);
            let opened = chain::process(&warm, &input, &self.seen);
            Ok(opened.map(|opened| proposals.keep(key, opened)))
        })?
    }

    /// Reads transactions that nobody has shown to this node yet, and checks their signatures, on all
    /// CPUs.
    fn look_ahead(&self, base: &(dyn Read + Sync), chain_id: &str, txs: &[&[u8]], hashes: &[Hash]) {
        if txs.len() < AHEAD_TXS_MIN {
            return;
        }
        txs.par_iter().zip(hashes).with_min_len(AHEAD_TXS_MIN).for_each(|(bytes, hash)| {
            if let Ok(tx) = self.seen.read_and_keep(*hash, bytes) {
                ahead::authenticate(base, chain_id, tx, &self.seen);
            }
        });
    }

    /// Proposals of the next height that are kept, half executed.
    pub fn proposals(&self) -> usize {
        lock(&self.working).proposals.len()
    }

    /// What a transaction would do in the next block, after those of its signers that wait. Only what
    /// waits of their accounts is looked up while CheckTx is held up.
    pub fn simulate(&self, tx: &[u8]) -> Result<TxResult, NodeError> {
        let tx = match tx::decode(tx, Purpose::Simulate) {
            Ok(tx) => tx,
            Err(refusal) => return Ok(TxResult::refused(refusal, 0, 0)),
        };
        let keys: Vec<_> = tx.signers.iter().map(|one| auth::account_key(&one.address)).collect();
        let signers = lock(&self.check).waiting_of(keys);
        self.with_newest(|base, head| {
            let block = chain::next_block(base, &head.chain_id, head.height + 1, head.time_s);
            chain::simulate_decoded(&Overlay::resume(base, signers), &block, tx)
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
        upgrade::due(base, height, self.upgrades)?;
        let input = decided.input(&head.chain_id, self.upgrades);
        let mut working = lock(&self.working);
        let Working { hot, proposals } = &mut *working;
        let hashes = hashes(decided.txs);
        let opened = proposals.take(BlockKey::new(&head.app_hash, &input, &hashes));
        let warm = hot.over(base, head.height);
        let opened = opened.unwrap_or_else(|| {
            self.look_ahead(base, &head.chain_id, decided.txs, &hashes);
            chain::open_block(&warm, &input, &self.seen)
        });
        let output = chain::close_block(&warm, opened, &input);
        let changes = history::changes(&warm, output.writes);
        drop(working);
        let tree = genesis.map_or_else(|| self.tree(), |genesis| genesis.update.tree().clone());
        let update = tree.update(&reader, height, after(&changes));
        let app_hash = update.app_hash;
        let head = Head { height, time_s, app_hash, ..head };
        pending.block = Some(PendingBlock { head, changes, update, txs: hashes });
        let own = usize::from(beacon::split(decided.txs).0.is_some());
        let results = output.txs.get(own..).unwrap_or_default();
        self.metrics.executed(started.elapsed(), time_s, results);
        Ok(Executed {
            app_hash,
            txs: output.txs,
            events: output.events,
            validator_updates: output.validator_updates,
            consensus: output.consensus,
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
        let oldest = self.prune(&mut batch, &reader, head.height);
        self.keeper.mark(&mut batch, &reader, &head);
        if let Some(index) = &self.index {
            index.settle();
            let oldest = self.keeper.retain_height(&reader, &head);
            index.forget_below(&mut batch, oldest);
        }
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
        let tree = update.into_tree();
        drop(std::mem::replace(&mut *lock(&self.tree), tree));
        check.advance(head.height, &changes);
        self.renew(&mut check, &txs);
        let mut working = lock(&self.working);
        working.hot.advance(head.height, &changes);
        working.proposals.clear();
        self.keeper.committed(&self.rocks, &head);
        drop((check, pending, working));
        self.heads.send_replace(head.height);
        self.warn_of_upgrade(head.height);
        self.metrics.pruned(oldest.unwrap_or(head.height));
        self.metrics.committed(started.elapsed(), head.height);
        Ok(head)
    }

    /// Says now and then that an upgrade comes for which this program is too old.
    fn warn_of_upgrade(&self, height: u64) {
        if !height.is_multiple_of(WARN_BLOCKS) {
            return;
        }
        if let Some(Plan { name, height: at, info, .. }) = self.unknown_upgrade() {
            tracing::warn!(
                "upgrade {name:?} comes at height {at} and this program does not know it: install the \
                 release that does before then ({info})"
            );
        }
    }

    /// Lets go of what lies before the recent blocks, when `height` is the head. The oldest block
    /// that can be read then; `None` before the first.
    fn prune(&self, batch: &mut Batch<'_>, reader: &Reader<'_>, height: u64) -> Option<u64> {
        let known = reader.oldest()?;
        let wanted = height.saturating_sub(self.keep.recent - 1);
        let oldest = wanted.min(known.saturating_add(PRUNED_BLOCKS_MAX));
        if oldest <= known {
            return Some(known);
        }
        for past in known..oldest {
            batch.forget(past);
            // What block `past + 1` overwrote says how the state was at `past`.
            history::forget(batch, reader, past + 1);
        }
        Some(oldest)
    }

    /// Prunes everything that is due at once, and gives the room back. The oldest block that can be
    /// read then.
    pub fn prune_all(&self) -> Result<u64, NodeError> {
        let head = self.head().ok_or(NodeError::NoBlock)?;
        let mut last = None;
        loop {
            let reader = self.reader();
            let mut batch = self.rocks.batch();
            let oldest = self.prune(&mut batch, &reader, head.height);
            batch.write();
            if oldest == last {
                break;
            }
            last = oldest;
        }
        self.rocks.compact();
        Ok(last.unwrap_or(head.height))
    }

    /// Goes back to the state after block `height`, one block at a time, each whole or not at all.
    pub fn rollback(&self, height: u64) -> Result<Head, NodeError> {
        let (_, wanted) = self.reader_at(height)?;
        self.keeper.snapshots.remove_above(wanted.height)?;
        Index::new(Arc::clone(&self.rocks)).forget_above(wanted.height);
        loop {
            let reader = self.reader();
            let head = reader.head().ok_or(NodeError::NoBlock)?;
            if head.height == wanted.height {
                break;
            }
            let before = reader.past(head.height - 1).ok_or(NodeError::NoUndo(head.height))?;
            let mut batch = self.rocks.batch();
            history::revert(&mut batch, &reader, head.height)
                .ok_or(NodeError::NoUndo(head.height))?;
            batch.forget(head.height);
            batch.time(head.height, None);
            commit::invalidate(&mut batch);
            batch.head(&before);
            batch.write();
        }
        self.rebuild_tree();
        same_hash(&wanted, lock(&self.tree).app_hash())?;
        *lock(&self.pending) = Pending::default();
        *lock(&self.check) = Check::default();
        *lock(&self.working) = Working::default();
        self.heads.send_replace(wanted.height);
        Ok(wanted)
    }

    /// The oldest block that CometBFT is to keep; 0 is all of them.
    pub fn retain_height(&self, head: &Head) -> u64 {
        self.keeper.retain_height(&self.reader(), head)
    }

    /// Snapshots that other nodes can restore, newest first.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.keeper.snapshots.list()
    }

    /// A chunk of a snapshot, if it is here.
    pub fn snapshot_chunk(&self, height: u64, format: u32, index: u32) -> Option<Vec<u8>> {
        self.keeper.snapshots.chunk(height, format, index)
    }

    /// Whether this node restores `snapshot`, whose block has the trusted `app_hash`.
    pub fn offer_snapshot(&self, snapshot: &Snapshot, app_hash: &[u8]) -> Offered {
        let bytes_max = self.keeper.upkeep.restore_bytes_max;
        let mut restore = lock(&self.keeper.restore);
        *restore = None;
        match Restore::begin(&self.rocks, snapshot, app_hash, bytes_max) {
            Ok(begun) => {
                *restore = Some(begun);
                Offered::Accept
            }
            Err(refused) => refused,
        }
    }

    /// Takes a chunk of the snapshot that was offered last.
    pub fn apply_chunk(&self, index: u32, chunk: &[u8], sender: &str) -> Applied {
        let mut restore = lock(&self.keeper.restore);
        let Some(under_way) = &mut *restore else { return Applied::Abort };
        let applied = under_way.apply(&self.rocks, index, chunk, sender);
        if !matches!(applied, Applied::Accept(None) | Applied::Retry) {
            *restore = None;
        }
        if let Applied::Accept(Some(head)) = &applied {
            self.rebuild_tree();
            *lock(&self.check) = Check::default();
            *lock(&self.pending) = Pending::default();
            *lock(&self.working) = Working::default();
            self.heads.send_replace(head.height);
            tracing::info!(height = head.height, "the state is restored from a snapshot");
        }
        applied
    }

    /// Waits for snapshots and scrubs under way.
    pub fn wait_for_upkeep(&self) {
        self.keeper.wait();
    }

    /// Makes the tree that belongs to the state on disk, after it was replaced as a whole.
    fn rebuild_tree(&self) {
        let tree = Tree::rebuild(&self.rocks, self.keep.tree_bytes);
        *lock(&self.tree) = tree;
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

fn hashes(txs: &[&[u8]]) -> Vec<Hash> {
    txs.iter().map(|tx| sha256(tx)).collect()
}

/// Keys and the values that a block leaves in them.
fn after(changes: &Changes) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    changes.iter().map(|(key, (_, after))| (key.as_slice(), after.as_deref()))
}

/// Whether a state is the head's, by its app hash.
pub(crate) fn same_hash(head: &Head, found: [u8; 32]) -> Result<(), NodeError> {
    if head.app_hash == found {
        return Ok(());
    }
    Err(NodeError::AppHash {
        height: head.height,
        wanted: hex::encode(head.app_hash),
        found: hex::encode(found),
    })
}
