//! Who meets the conditions of a query. As in CometBFT's `kv` index, conditions must hold inside of
//! one event, and of attributes that are indexed; heights are a matter of the block.
//!
//! Equalities are answered by terms alone, walked together by height, so the rarest one decides what
//! is read. Everything else is tested on the events of what is left, which is bounded.

use tendermint_proto::v0_38::abci::Event;

use super::{
    BLOCK, CHUNK, FoundTx, Index, OF_BLOCK, OF_TX, Posting, TERM, TERM_BYTES, block, block_key,
    chunk_key, height_at, heights, one, postings, query::Condition, query::Query, query::Test,
    read_place, term, unpack,
};
use crate::rocks::{Reader, Walk};

/// Rows of the index that one search reads at most.
pub const ROWS_MAX: usize = 1_000_000;
/// Transactions or blocks that a search finds at most.
pub const MATCHES_MAX: usize = 1_000_000;
/// Transactions whose events a search looks at, at most.
pub const EXAMINED_MAX: usize = 20_000;

/// Why a search gives nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The hash is none.
    #[error("error during searching for a hash in the query: {0:?} is not hexadecimal")]
    Hash(String),
    /// Past a limit.
    #[error(
        "the query finds too much: at most {ROWS_MAX} index entries, {MATCHES_MAX} matches and, beyond equalities, {EXAMINED_MAX} transactions are looked at; narrow it by an equality or a range of heights"
    )]
    TooMuch,
}

/// What a search found, in the order of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matches {
    /// Height and number in the block of each transaction.
    Listed(Vec<(u64, u32)>),
    /// Every transaction of the blocks, with how many each has: nothing but heights was asked for.
    Blocks(Vec<(u64, u32)>),
}

impl Matches {
    /// How many transactions.
    pub fn count(&self) -> usize {
        match self {
            Self::Listed(places) => places.len(),
            Self::Blocks(blocks) => blocks.iter().map(|(_, txs)| *txs as usize).sum(),
        }
    }

    /// The places of `take` of them after the first `skip`, from either end.
    pub fn page(&self, skip: usize, take: usize, descending: bool) -> Vec<(u64, u32)> {
        let count = self.count();
        let take = take.min(count.saturating_sub(skip));
        let from = if descending { count.saturating_sub(skip + take) } else { skip };
        let mut page = match self {
            Self::Listed(places) => places.get(from..from + take).unwrap_or_default().to_vec(),
            Self::Blocks(blocks) => {
                let (mut page, mut before) = (Vec::with_capacity(take), 0usize);
                for (height, txs) in blocks {
                    let end = before + *txs as usize;
                    for at in from.max(before)..(from + take).min(end) {
                        page.push((*height, u32::try_from(at - before).unwrap_or(u32::MAX)));
                    }
                    before = end;
                }
                page
            }
        };
        if descending {
            page.reverse();
        }
        page
    }
}

/// Counts what is read.
struct Rows(usize);

impl Rows {
    fn read(&mut self) -> Result<(), SearchError> {
        self.0 = self.0.checked_sub(1).ok_or(SearchError::TooMuch)?;
        Ok(())
    }
}

/// A walk over one term's rows.
struct Cursor<'a> {
    walk: Walk<'a>,
    prefix: [u8; TERM_BYTES + 1],
    to: u64,
    at: Option<(u64, Vec<u8>)>,
}

impl<'a> Cursor<'a> {
    fn new(reader: &'a Reader<'_>, of: u8, key: &str, value: &str, from: u64, to: u64) -> Self {
        let mut prefix = [TERM; TERM_BYTES + 1];
        prefix[1..].copy_from_slice(&term(of, &[key], value));
        let start = [&prefix[..], &from.to_be_bytes()].concat();
        let mut cursor = Self { walk: reader.index_walk(&start), prefix, to, at: None };
        cursor.step();
        cursor
    }

    fn step(&mut self) {
        self.at = self.walk.next().and_then(|(key, value)| {
            let height = key.strip_prefix(&self.prefix[..]).and_then(|rest| height_at(rest, 0))?;
            (height <= self.to).then_some((height, value))
        });
    }

    /// Moves to `height`, or to the first above that is there.
    fn seek(&mut self, height: u64) {
        if self.at.as_ref().is_some_and(|(at, _)| *at < height) {
            let start = [&self.prefix[..], &height.to_be_bytes()].concat();
            self.walk.seek(&start, plasma_modules::Order::Ascending);
            self.step();
        }
    }
}

/// The conditions of a query, sorted by how they are answered.
struct Plan<'q> {
    from: u64,
    to: u64,
    hash: Option<&'q str>,
    equal: Vec<(&'q str, &'q str)>,
    other: Vec<&'q Condition>,
}

impl<'q> Plan<'q> {
    fn new(query: &'q Query, height_key: &str, (oldest, newest): (u64, u64)) -> Self {
        let mut plan =
            Self { from: oldest, to: newest, hash: None, equal: Vec::new(), other: Vec::new() };
        for condition in &query.0 {
            match &condition.test {
                test if condition.key == height_key => {
                    let (from, to) = test.heights();
                    plan.from = plan.from.max(from);
                    plan.to = plan.to.min(to);
                }
                Test::Is(text) if condition.key == "tx.hash" => plan.hash = Some(text),
                Test::Is(text) => plan.equal.push((&condition.key, text)),
                _ => plan.other.push(condition),
            }
        }
        plan
    }

    /// Heights at which every equality has postings, with those that all of them share.
    fn shared(
        &self,
        reader: &Reader<'_>,
        of: u8,
        mut each: impl FnMut(u64, Vec<Posting>) -> Result<(), SearchError>,
    ) -> Result<(), SearchError> {
        let mut rows = Rows(ROWS_MAX);
        let cursor =
            |(key, value): &(&str, &str)| Cursor::new(reader, of, key, value, self.from, self.to);
        let mut cursors: Vec<Cursor<'_>> = self.equal.iter().map(cursor).collect();
        loop {
            let mut height = 0;
            for cursor in &cursors {
                let Some((at, _)) = &cursor.at else { return Ok(()) };
                height = height.max(*at);
            }
            for cursor in &mut cursors {
                rows.read()?;
                cursor.seek(height);
            }
            let mut shared: Option<Vec<Posting>> = None;
            for cursor in &cursors {
                let here = cursor.at.as_ref().filter(|(at, _)| *at == height);
                let Some((_, list)) = here else {
                    shared = None;
                    break;
                };
                let mut list = postings(list);
                if let Some(before) = &shared {
                    list.retain(|posting| before.binary_search(posting).is_ok());
                }
                list.sort_unstable();
                shared = Some(list);
            }
            if let Some(shared) = shared {
                each(height, shared)?;
                cursors.iter_mut().for_each(Cursor::step);
            }
        }
    }

    /// Whether every other condition holds of one of the `events`, each with its number; of one
    /// that an equality names, if there is one.
    fn holds(&self, events: &[Event], named: Option<&[u32]>) -> bool {
        (0..).zip(events).any(|(number, event)| {
            named.is_none_or(|named| named.contains(&number))
                && self.other.iter().all(|condition| {
                    event.attributes.iter().any(|attribute| {
                        let key = condition.key.strip_prefix(event.r#type.as_str());
                        attribute.index
                            && key.and_then(|key| key.strip_prefix('.'))
                                == Some(attribute.key.as_str())
                            && condition.test.holds(&attribute.value)
                    })
                })
        })
    }
}

/// Groups postings by transaction.
fn by_tx(shared: Vec<Posting>) -> Vec<(u32, Vec<u32>)> {
    let mut grouped: Vec<(u32, Vec<u32>)> = Vec::new();
    for (tx, event) in shared {
        match grouped.last_mut() {
            Some((last, events)) if *last == tx => events.push(event),
            _ => grouped.push((tx, vec![event])),
        }
    }
    grouped
}

impl Index {
    /// Every transaction that a query finds.
    pub fn search(&self, query: &Query) -> Result<Matches, SearchError> {
        let reader = self.rocks.reader();
        let Some(range) = heights(&self.rocks, &reader) else {
            return Ok(Matches::Listed(Vec::new()));
        };
        let plan = Plan::new(query, "tx.height", range);
        if let Some(text) = plan.hash {
            let hash = hex::decode(text).map_err(|_| SearchError::Hash(text.to_owned()))?;
            let found = <[u8; 32]>::try_from(hash).ok().and_then(|hash| self.tx(&hash));
            return Ok(Matches::Listed(found.iter().map(|tx| (tx.height, tx.index)).collect()));
        }
        if plan.from > plan.to {
            return Ok(Matches::Listed(Vec::new()));
        }
        if plan.equal.is_empty() && plan.other.is_empty() {
            return blocks(&reader, &plan).map(Matches::Blocks);
        }
        let mut found = Vec::new();
        let mut examined = 0;
        let mut examine = || {
            examined += 1;
            if examined > EXAMINED_MAX { Err(SearchError::TooMuch) } else { Ok(()) }
        };
        let mut take = |height: u64, index: u32| {
            found.push((height, index));
            if found.len() > MATCHES_MAX { Err(SearchError::TooMuch) } else { Ok(()) }
        };
        if plan.equal.is_empty() {
            let chunks = reader
                .results_from(&chunk_key(plan.from, 0), &chunk_key(plan.to.saturating_add(1), 0));
            for (key, packed) in chunks {
                for FoundTx { height, index, result, .. } in unpack(&key, &packed) {
                    examine()?;
                    if plan.holds(&result.events, None) {
                        take(height, index)?;
                    }
                }
            }
        } else {
            plan.shared(&reader, OF_TX, |height, shared| {
                for (index, events) in by_tx(shared) {
                    if !plan.other.is_empty() {
                        examine()?;
                        let tx = one(&reader, height, index);
                        if !tx.is_some_and(|tx| plan.holds(&tx.result.events, Some(&events))) {
                            continue;
                        }
                    }
                    take(height, index)?;
                }
                Ok(())
            })?;
        }
        Ok(Matches::Listed(found))
    }

    /// The transactions at `places` that are still there.
    pub fn load(&self, places: &[(u64, u32)]) -> Vec<FoundTx> {
        let reader = self.rocks.reader();
        places.iter().filter_map(|&(height, index)| one(&reader, height, index)).collect()
    }

    /// Every block that a query finds, in order.
    pub fn search_blocks(&self, query: &Query) -> Result<Vec<u64>, SearchError> {
        let reader = self.rocks.reader();
        let Some(range) = heights(&self.rocks, &reader) else { return Ok(Vec::new()) };
        let plan = Plan::new(query, "block.height", range);
        if plan.from > plan.to || plan.hash.is_some() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        if plan.equal.is_empty() {
            for (height, _) in blocks(&reader, &plan)? {
                let events = || block(&reader, height).map(|block| block.response.events);
                if plan.other.is_empty() || events().is_some_and(|events| plan.holds(&events, None))
                {
                    found.push(height);
                }
            }
        } else {
            plan.shared(&reader, OF_BLOCK, |height, shared| {
                let named: Vec<u32> = shared.into_iter().map(|(_, event)| event).collect();
                let events = || block(&reader, height).map(|block| block.response.events);
                if !named.is_empty()
                    && (plan.other.is_empty()
                        || events().is_some_and(|events| plan.holds(&events, Some(&named))))
                {
                    found.push(height);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

/// Heights of the blocks in a plan's range, with how many transactions each has.
fn blocks(reader: &Reader<'_>, plan: &Plan<'_>) -> Result<Vec<(u64, u32)>, SearchError> {
    let to = block_key(plan.to.saturating_add(1));
    let to = if plan.to == u64::MAX { vec![BLOCK + 1] } else { to };
    let mut rows = Rows(ROWS_MAX);
    let mut found = Vec::new();
    for (key, value) in reader.results_from(&block_key(plan.from), &to) {
        rows.read()?;
        if let Some((height, (_, txs))) = height_at(&key, 1).zip(read_place(&value)) {
            found.push((height, txs));
        }
    }
    Ok(found)
}

const _: () = assert!(BLOCK < CHUNK, "blocks are found apart from transactions");
