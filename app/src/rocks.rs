//! The disk: one RocksDB, written by one atomic, synced batch per block, read through snapshots.
//!
//! | column family | key | value |
//! |---|---|---|
//! | `state` | a key of the chain's state | its value at the head |
//! | `undo` | `k`, escaped key, height | what the key held before that height |
//! | | `h`, height | the keys that the height changed |
//! | `tree` | see `commit::table` | per key of the state tree: hash of its leaf, the key |
//! | `meta` | `head`; `past`, height | which block this is; time and app hash of recent blocks |
//! | | `time`, height | time of every thousandth block, until CometBFT has let go of it |
//! | | `restoring` | the state is half of a snapshot: it is thrown away at the next start |
//! | `results`, `index` | see `index` | transactions and what they did, and where they are found |

use std::{
    fmt::Display,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use plasma_modules::{Order, Pair, Read};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBIterator, DBRecoveryMode, Direction, IteratorMode, Options, ReadOptions, Snapshot,
    WriteBatch, WriteOptions,
    compaction_filter::Decision,
    properties::{self, PropName},
    statistics::{StatsLevel, Ticker},
};

use crate::{
    budget::Budget,
    history::History,
    index::{self, Rows},
    meta::Head,
};

const STATE: &str = "state";
const UNDO: &str = "undo";
const TREE: &str = "tree";
const META: &str = "meta";
const RESULTS: &str = "results";
const INDEX: &str = "index";
const FAMILIES: [&str; 6] = [STATE, UNDO, TREE, META, RESULTS, INDEX];
const HEAD_KEY: &[u8] = b"head";
const PAST_PREFIX: &[u8] = b"past";
const TIME_PREFIX: &[u8] = b"time";
const RESTORING_KEY: &[u8] = b"restoring";
/// Past every key of every column family.
const END: &[u8] = &[0xff; 64];

/// Log files that RocksDB keeps of its own doings.
const INFO_LOGS_MAX: usize = 4;
/// Bytes of one such file.
const INFO_LOG_BYTES_MAX: usize = 4 << 20;
/// Files RocksDB may hold open: 64 MiB each and more, so enough for 32 GiB without reopening any,
/// and half of the 1024 that a process gets by default.
const OPEN_FILES_MAX: i32 = 512;
/// Write-ahead log after which RocksDB moves tables to disk, bytes: bounds what a start replays.
const WAL_BYTES_MAX: u64 = 256 << 20;
/// Bits per key of the Bloom filters: one lookup in a hundred of an absent key reads a block.
const BLOOM_BITS: f64 = 10.0;
/// Memory of one column family's newest writes, bytes. A block writes kilobytes; four of these are
/// filled once in thousands of blocks.
const WRITE_BUFFER_BYTES: usize = 16 << 20;
/// Memory of all column families' newest writes, bytes.
const WRITE_BUFFERS_BYTES_MAX: usize = 64 << 20;
/// Threads for flushes and compactions: one of each, so that they never crowd out consensus.
const BACKGROUND_JOBS_MAX: i32 = 2;
/// Bytes after which a table that is being written is handed to the disk, so that no flush at its
/// end holds up the sync of a commit.
const BYTES_PER_SYNC: u64 = 1 << 20;
/// Format of tables: 5 has the Bloom filters that are both smaller and faster.
const TABLE_FORMAT: i32 = 5;
/// Block of a table that is read by key, bytes.
const POINT_BLOCK_BYTES: usize = 4 << 10;
/// Block of a table that is read in order, bytes.
const SCAN_BLOCK_BYTES: usize = 16 << 10;
/// Bytes read ahead where everything is read.
const SWEEP_AHEAD_BYTES: usize = 1 << 20;

/// Exit status of a process whose disk failed or is full.
pub const EXIT_DISK: i32 = 74;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("another plasmad has {} open; stop it first, or use another --home", .0.display())]
    Locked(PathBuf),
    /// The layout is of another version of plasmad.
    #[error(
        "{} was written in format {found}, this plasmad reads format {}; use the plasmad that wrote it, or sync anew",
        .path.display(),
        crate::meta::FORMAT
    )]
    Format {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Bytes that are not what was written.
    #[error("{} is damaged: {}; restore it from a backup or sync anew into an empty home", .0.display(), .1)]
    Damaged(PathBuf, String),
    /// Anything else.
    #[error("cannot open {}: {}", .0.display(), .1)]
    Rocks(PathBuf, rocksdb::Error),
}

/// Stops the process over a disk that fails: reads cannot return an error, because an error on one
/// node would be a different answer on that node only.
pub(crate) fn stop(what: &str, error: impl Display) -> ! {
    tracing::error!(%error, "{what}; the node stops, nothing half-written is kept");
    std::process::exit(EXIT_DISK)
}

/// How a column family is.
#[derive(Clone, Debug)]
pub struct FamilyStats {
    /// Its name.
    pub name: &'static str,
    /// Bytes of tables on disk.
    pub sst_bytes: u64,
    /// Bytes of tables in memory.
    pub memtable_bytes: u64,
    /// Bytes that compaction has to rewrite, roughly.
    pub pending_compaction_bytes: u64,
    /// Keys, roughly.
    pub keys: u64,
}

/// How the database is.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Each column family.
    pub families: Vec<FamilyStats>,
    /// Bytes of the block cache in use.
    pub cache_used_bytes: u64,
    /// Blocks found in the cache since the start.
    pub cache_hits: u64,
    /// Blocks read from disk since the start.
    pub cache_misses: u64,
    /// Times that the log of writes was forced to disk since the start.
    pub wal_syncs: u64,
    /// Compactions under way.
    pub compactions: u64,
    /// Whether writes wait for compaction.
    pub write_stopped: bool,
}

/// The database of one node.
pub struct Rocks {
    db: DB,
    path: PathBuf,
    options: Options,
    /// Entries of the index below this height are gone.
    index_floor: Arc<AtomicU64>,
}

impl Rocks {
    /// Opens the database in `path`, which is created if it is not there.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Self, OpenError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // Every batch is synced before Commit answers, so a record that ends early is one that was
        // never acknowledged: dropping it leaves the state of the block before. A wrong record
        // anywhere else is damage, and opening fails. PointInTime would silently fall back to an
        // older block that CometBFT has long been told is committed; SkipAnyCorrupted would mix
        // blocks; AbsoluteConsistency would refuse to start after every power cut.
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_paranoid_checks(true);
        options.set_max_open_files(OPEN_FILES_MAX);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        options.set_keep_log_file_num(INFO_LOGS_MAX);
        options.set_max_log_file_size(INFO_LOG_BYTES_MAX);
        options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES_MAX);
        options.set_max_background_jobs(BACKGROUND_JOBS_MAX);
        options.set_bytes_per_sync(BYTES_PER_SYNC);

        // Counters alone: neither timers nor histograms.
        options.enable_statistics();
        options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);

        let cache = Cache::new_lru_cache(cache_bytes);
        let index_floor = Arc::new(AtomicU64::new(0));
        let families = FAMILIES.map(|name| {
            let mut table = BlockBasedOptions::default();
            table.set_block_cache(&cache);
            table.set_format_version(TABLE_FORMAT);
            // Indexes and filters count against the cache, so that memory has a bound however many
            // keys there are; those of the newest tables stay.
            table.set_cache_index_and_filter_blocks(true);
            table.set_pin_l0_filter_and_index_blocks_in_cache(true);
            // History is found by seeking, and a filter only helps those who ask for one key.
            if name == UNDO || name == RESULTS {
                table.set_block_size(SCAN_BLOCK_BYTES);
            } else {
                table.set_block_size(POINT_BLOCK_BYTES);
                table.set_bloom_filter(BLOOM_BITS, false);
            }
            let mut family = Options::default();
            family.set_block_based_table_factory(&table);
            // Protobuf with addresses as text halves; hashes do not shrink, and LZ4 notices cheaply.
            // Results are compressed before they come here, so that the log is small too.
            family.set_compression_type(match name {
                RESULTS => DBCompressionType::None,
                _ => DBCompressionType::Lz4,
            });
            family.set_write_buffer_size(WRITE_BUFFER_BYTES);
            // Holds what is overwritten and deleted to a tenth of the whole.
            family.set_level_compaction_dynamic_level_bytes(true);
            if name == INDEX {
                let floor = Arc::clone(&index_floor);
                family.set_compaction_filter("below the oldest block", move |_, key, value| {
                    if index::height_of(key, value) < floor.load(Ordering::Relaxed) {
                        Decision::Remove
                    } else {
                        Decision::Keep
                    }
                });
            }
            ColumnFamilyDescriptor::new(name, family)
        });
        let db = DB::open_cf_descriptors(&options, path, families).map_err(|error| {
            if error.to_string().contains("LOCK") {
                OpenError::Locked(path.to_owned())
            } else if error.kind() == rocksdb::ErrorKind::Corruption {
                OpenError::Damaged(path.to_owned(), error.to_string())
            } else {
                OpenError::Rocks(path.to_owned(), error)
            }
        })?;
        let rocks = Self { db, path: path.to_owned(), options, index_floor };
        let bytes = rocks.reader().meta(HEAD_KEY);
        if let Some(bytes) = bytes {
            let found = Head::format(&bytes);
            if found != crate::meta::FORMAT {
                return Err(OpenError::Format { path: path.to_owned(), found });
            }
            if Head::decode(&bytes).is_none() {
                let what = "the record of the last block cannot be read".to_owned();
                return Err(OpenError::Damaged(path.to_owned(), what));
            }
        }
        Ok(rocks)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything that is committed now, unchanged for as long as the reader lives.
    pub fn reader(&self) -> Reader<'_> {
        Reader { db: &self.db, snapshot: self.db.snapshot(), at: None, budget: None }
    }

    /// How the database is; a number that RocksDB cannot tell is zero.
    pub fn stats(&self) -> Stats {
        let number = |name: &str, property: &PropName| {
            let number = self.db.property_int_value_cf(self.family(name), property);
            number.ok().flatten().unwrap_or(0)
        };
        let families = FAMILIES.map(|name| FamilyStats {
            name,
            sst_bytes: number(name, properties::TOTAL_SST_FILES_SIZE),
            memtable_bytes: number(name, properties::CUR_SIZE_ALL_MEM_TABLES),
            pending_compaction_bytes: number(name, properties::ESTIMATE_PENDING_COMPACTION_BYTES),
            keys: number(name, properties::ESTIMATE_NUM_KEYS),
        });
        Stats {
            families: families.into(),
            // The families share one cache.
            cache_used_bytes: number(STATE, properties::BLOCK_CACHE_USAGE),
            cache_hits: self.options.get_ticker_count(Ticker::BlockCacheHit),
            cache_misses: self.options.get_ticker_count(Ticker::BlockCacheMiss),
            wal_syncs: self.options.get_ticker_count(Ticker::WalFileSynced),
            compactions: number(STATE, properties::NUM_RUNNING_COMPACTIONS),
            write_stopped: number(STATE, properties::IS_WRITE_STOPPED) != 0,
        }
    }

    fn family(&self, name: &str) -> &ColumnFamily {
        family(&self.db, name)
    }

    /// Whether the state is half of a snapshot.
    pub(crate) fn restoring(&self) -> bool {
        self.reader().meta(RESTORING_KEY).is_some()
    }

    /// Throws everything away and, where a restore begins, says so on disk first.
    pub(crate) fn wipe(&self, restoring: bool) {
        let mut batch = self.batch();
        for name in FAMILIES {
            batch.clear(name);
        }
        batch.put(META, RESTORING_KEY, restoring.then_some(&[][..]));
        batch.write();
    }

    /// Puts pairs of a snapshot under way. They are on disk for sure once the batch that ends the
    /// restore is: RocksDB syncs its log in order.
    pub(crate) fn stage(&self, pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) {
        let mut batch = self.batch();
        for (key, value) in pairs {
            batch.state(&key, Some(&value));
        }
        if let Err(error) = self.db.write(batch.batch) {
            stop("a snapshot could not be written (is the disk full?)", error);
        }
    }

    /// Writes a block's rows of the index. They are on disk for sure once the batch of the block is.
    pub(crate) fn write_index(&self, rows: Rows) {
        let (results, index) = (self.family(RESULTS), self.family(INDEX));
        let mut batch = WriteBatch::default();
        for (key, value) in rows.results {
            batch.put_cf(results, key, value);
        }
        for (key, value) in rows.index {
            batch.put_cf(index, key, value);
        }
        if let Err(error) = self.db.write(batch) {
            stop("the index could not be written (is the disk full?)", error);
        }
    }

    /// Removes rows of the index by their keys.
    pub(crate) fn delete_index(&self, rows: Rows) {
        let (results, index) = (self.family(RESULTS), self.family(INDEX));
        let mut batch = WriteBatch::default();
        for (key, _) in rows.results {
            batch.delete_cf(results, key);
        }
        for (key, _) in rows.index {
            batch.delete_cf(index, key);
        }
        if let Err(error) = self.db.write(batch) {
            stop("the index could not be written (is the disk full?)", error);
        }
    }

    /// The oldest height of which the index tells.
    pub(crate) fn index_floor(&self) -> u64 {
        self.index_floor.load(Ordering::Relaxed)
    }

    /// Raises it: what is below is found no more, and is dropped by compaction.
    pub(crate) fn set_index_floor(&self, height: u64) {
        self.index_floor.fetch_max(height, Ordering::Relaxed);
    }

    /// Gives the room of what was deleted back to the disk. May take minutes.
    pub fn compact(&self) {
        for name in FAMILIES {
            self.db.compact_range_cf(self.family(name), None::<&[u8]>, None::<&[u8]>);
        }
    }

    /// Starts the batch of one block.
    pub fn batch(&self) -> Batch<'_> {
        Batch { rocks: self, batch: WriteBatch::default() }
    }
}

fn family<'a>(db: &'a DB, name: &str) -> &'a ColumnFamily {
    db.cf_handle(name).unwrap_or_else(|| stop("a column family is missing", name))
}

/// The changes of one block: all on disk, or none.
pub struct Batch<'a> {
    rocks: &'a Rocks,
    batch: WriteBatch,
}

impl Batch<'_> {
    /// Changes state.
    pub fn state(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.put(STATE, key, value);
    }

    /// Changes the record of the past.
    pub fn undo(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.put(UNDO, key, value);
    }

    /// Changes the tree.
    pub fn tree(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.put(TREE, key, value);
    }

    /// Removes everything of the tree.
    pub fn tree_clear(&mut self) {
        let end = [u8::MAX; 64];
        self.batch.delete_range_cf(self.rocks.family(TREE), &[][..], &end[..]);
    }

    /// Says which block this is.
    pub fn head(&mut self, head: &Head) {
        self.put(META, HEAD_KEY, Some(&head.encode()));
        self.put(META, &past_key(head.height), Some(&head.encode()));
    }

    /// Lets go of transactions and results of the blocks below `height`.
    pub fn results_below(&mut self, height: u64) {
        let family = self.rocks.family(RESULTS);
        for from in [index::block_key(0), index::chunk_key(0, 0)] {
            let to = [&from[..1], &height.to_be_bytes()].concat();
            self.batch.delete_range_cf(family, from, to);
        }
    }

    /// Ends a restore, together with the head.
    pub fn restored(&mut self) {
        self.put(META, RESTORING_KEY, None);
    }

    /// Remembers or forgets when a block was, beyond the recent ones.
    pub fn time(&mut self, height: u64, time_s: Option<u64>) {
        let key = [TIME_PREFIX, &height.to_be_bytes()].concat();
        self.put(META, &key, time_s.map(u64::to_be_bytes).as_ref().map(|time| &time[..]));
    }

    fn clear(&mut self, name: &str) {
        self.batch.delete_range_cf(self.rocks.family(name), &[][..], END);
    }

    /// Forgets a block of the past.
    pub fn forget(&mut self, height: u64) {
        self.put(META, &past_key(height), None);
    }

    fn put(&mut self, name: &str, key: &[u8], value: Option<&[u8]>) {
        let family = self.rocks.family(name);
        match value {
            Some(value) => self.batch.put_cf(family, key, value),
            None => self.batch.delete_cf(family, key),
        }
    }

    /// Writes the batch and waits until the disk has it. A disk that cannot take it stops the
    /// process: the block was not acknowledged, so CometBFT sends it again after the restart.
    pub fn write(self) {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        if let Err(error) = self.rocks.db.write_opt(self.batch, &options) {
            stop("the block could not be written (is the disk full?)", error);
        }
    }
}

fn past_key(height: u64) -> Vec<u8> {
    [PAST_PREFIX, &height.to_be_bytes()].concat()
}

/// Committed state as of one block.
pub struct Reader<'a> {
    db: &'a DB,
    snapshot: Snapshot<'a>,
    /// `None` is the head.
    at: Option<u64>,
    /// Pays for records of the past; `None` is no bound.
    budget: Option<&'a Budget>,
}

impl<'a> Reader<'a> {
    /// The last block; `None` before the first.
    pub fn head(&self) -> Option<Head> {
        let bytes = self.meta(HEAD_KEY)?;
        let head = Head::decode(&bytes);
        Some(head.unwrap_or_else(|| stop("the record of the last block cannot be read", "meta")))
    }

    /// A block of the past, if its state can still be read.
    pub fn past(&self, height: u64) -> Option<Head> {
        Head::decode(&self.meta(&past_key(height))?)
    }

    /// The oldest block whose state can still be read.
    pub fn oldest(&self) -> Option<u64> {
        let key = self.iter(META, PAST_PREFIX, Direction::Forward).next()?.0;
        let height = key.strip_prefix(PAST_PREFIX)?.first_chunk::<8>()?;
        Some(u64::from_be_bytes(*height))
    }

    /// Heights and times, seconds, of the blocks whose time is remembered, in order.
    pub(crate) fn times(&self) -> Vec<(u64, u64)> {
        let pairs = self.iter(META, TIME_PREFIX, Direction::Forward);
        let times = pairs.map_while(|(key, time)| {
            let height = key.strip_prefix(TIME_PREFIX)?.first_chunk()?;
            Some((u64::from_be_bytes(*height), u64::from_be_bytes(*time.first_chunk()?)))
        });
        times.collect()
    }

    /// Every pair of the state at the head, in order, without pushing out what blocks have cached.
    pub(crate) fn sweep(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl Iterator<Item = Pair> + use<'_, 'a> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_readahead_size(SWEEP_AHEAD_BYTES);
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let family = family(self.db, STATE);
        self.snapshot.iterator_cf_opt(family, options, IteratorMode::Start).map(pair)
    }

    /// The same reader, of the state after block `height`. It must be one that [`Reader::past`]
    /// knows.
    pub fn at(mut self, height: u64) -> Self {
        let head = self.head().map_or(0, |head| head.height);
        self.at = (height < head).then_some(height);
        self
    }

    /// The same reader, whose walks over records of the past end where `budget` does.
    pub(crate) fn within(mut self, budget: &'a Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The value of a tree key.
    pub(crate) fn tree(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.one(TREE, key)
    }

    /// Tree records from `from` on, in order.
    pub(crate) fn tree_from(&self, from: &[u8]) -> impl Iterator<Item = Pair> + use<'_, 'a> {
        self.iter(TREE, from, Direction::Forward)
    }

    /// The value of an undo key.
    pub(crate) fn undo(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.one(UNDO, key)
    }

    /// Undo records from `from` on, or down from it.
    pub(crate) fn undo_from(&self, from: &[u8], order: Order) -> Walk<'_> {
        let mode = IteratorMode::From(from, direction(order));
        let records = self.snapshot.iterator_cf(family(self.db, UNDO), mode);
        Walk { records, budget: self.budget }
    }

    /// The value of a key of the index.
    pub(crate) fn index(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.one(INDEX, key)
    }

    /// Entries of the index from `from` on.
    pub(crate) fn index_walk(&self, from: &[u8]) -> Walk<'_> {
        let mode = IteratorMode::From(from, Direction::Forward);
        let records = self.snapshot.iterator_cf(family(self.db, INDEX), mode);
        Walk { records, budget: self.budget }
    }

    /// The value of a key of results.
    pub(crate) fn results(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.one(RESULTS, key)
    }

    /// Results from `from` on and below `to`.
    pub(crate) fn results_from(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Pair> + use<'_, 'a> {
        self.results_by(from, to, IteratorMode::Start)
    }

    /// The same from the other end.
    pub(crate) fn results_back(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = Pair> + use<'_, 'a> {
        self.results_by(from, to, IteratorMode::End)
    }

    fn results_by(
        &self,
        from: &[u8],
        to: &[u8],
        mode: IteratorMode<'_>,
    ) -> impl Iterator<Item = Pair> + use<'_, 'a> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        self.snapshot.iterator_cf_opt(family(self.db, RESULTS), options, mode).map(pair)
    }

    fn meta(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.one(META, key)
    }

    fn one(&self, name: &str, key: &[u8]) -> Option<Vec<u8>> {
        match self.snapshot.get_cf(family(self.db, name), key) {
            Ok(value) => value,
            Err(error) => stop("a value cannot be read", error),
        }
    }

    fn iter(
        &self,
        name: &str,
        from: &[u8],
        direction: Direction,
    ) -> impl Iterator<Item = Pair> + use<'_, 'a> {
        let mode = IteratorMode::From(from, direction);
        let pairs = self.snapshot.iterator_cf(family(self.db, name), mode);
        pairs.map(pair)
    }

    /// State at the head, whatever height this reader is of.
    fn head_range(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + '_> {
        if to.is_some_and(|to| to <= from) {
            return Box::new(std::iter::empty());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let mode = match order {
            Order::Ascending => IteratorMode::Start,
            Order::Descending => IteratorMode::End,
        };
        let family = family(self.db, STATE);
        Box::new(self.snapshot.iterator_cf_opt(family, options, mode).map(pair))
    }
}

/// A walk over undo records, which can go on elsewhere. It ends where the reader's budget does.
pub(crate) struct Walk<'a> {
    records: DBIterator<'a>,
    budget: Option<&'a Budget>,
}

impl Walk<'_> {
    /// Goes on from `from`, up or down.
    pub fn seek(&mut self, from: &[u8], order: Order) {
        self.records.set_mode(IteratorMode::From(from, direction(order)));
    }
}

impl Iterator for Walk<'_> {
    type Item = Pair;

    fn next(&mut self) -> Option<Pair> {
        self.budget.map_or(Some(()), Budget::step)?;
        self.records.next().map(pair)
    }
}

fn direction(order: Order) -> Direction {
    match order {
        Order::Ascending => Direction::Forward,
        Order::Descending => Direction::Reverse,
    }
}

/// A pair as RocksDB's iterators hand it out.
type RawPair = (Box<[u8]>, Box<[u8]>);

fn pair(pair: Result<RawPair, rocksdb::Error>) -> Pair {
    match pair {
        Ok((key, value)) => (key.into(), value.into()),
        Err(error) => stop("values cannot be read", error),
    }
}

impl Read for Reader<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let changed = self.at.and_then(|height| History { reader: self, height }.get(key));
        changed.unwrap_or_else(|| self.one(STATE, key))
    }

    fn range<'b>(
        &'b self,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
    ) -> Box<dyn Iterator<Item = Pair> + 'b> {
        let head = self.head_range(from, to, order);
        match self.at {
            None => head,
            Some(height) => History { reader: self, height }.over(head, from, to, order),
        }
    }
}
