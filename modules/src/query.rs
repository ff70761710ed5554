//! One query, one pure function, whatever door it comes through.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use plasma_proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};
use prost::Message;

use crate::{
    Key, Map, Order, Pair, Read, Table, View, attestation, auth, authz, feegrant, governance,
    market, prefix_end, price, reward, staking, store::entry, token,
};

/// Entries on a page, at most, and where the request does not say.
pub const PAGE_MAX: usize = 100;

/// Entries looked at for one page, with an offset or a total.
pub const STEPS_MAX: usize = 10_000;

/// Why a question has no answer: gRPC's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryCode {
    /// The request is not well formed.
    InvalidArgument,
    /// There is no such thing.
    NotFound,
    /// Nobody answers this path.
    Unimplemented,
}

impl QueryCode {
    /// The number in gRPC.
    pub const fn grpc(self) -> i32 {
        match self {
            Self::InvalidArgument => 3,
            Self::NotFound => 5,
            Self::Unimplemented => 12,
        }
    }

    /// The number in an ABCI answer, codespace `sdk`.
    pub const fn abci(self) -> u32 {
        match self {
            Self::InvalidArgument => 18,
            Self::NotFound => 22,
            Self::Unimplemented => 6,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "InvalidArgument",
            Self::NotFound => "NotFound",
            Self::Unimplemented => "Unimplemented",
        }
    }
}

/// A question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// Why.
    pub code: QueryCode,
    /// For people.
    pub message: String,
}

impl QueryError {
    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: QueryCode::NotFound, message: message.into() }
    }

    /// The request is not well formed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { code: QueryCode::InvalidArgument, message: message.into() }
    }

    /// The log of an ABCI answer, in the words that Cosmos clients look for.
    pub fn log(&self) -> String {
        format!(
            "rpc error: code = {} desc = {}: {}",
            self.code.name(),
            self.message,
            match self.code {
                QueryCode::InvalidArgument => "invalid request",
                QueryCode::NotFound => "key not found",
                QueryCode::Unimplemented => "unknown request",
            }
        )
    }
}

impl From<crate::Sdk> for QueryError {
    fn from(error: crate::Sdk) -> Self {
        Self::invalid(error.to_string())
    }
}

type Handler = Box<dyn Fn(&View<'_>, &[u8]) -> Result<Vec<u8>, QueryError> + Send + Sync>;

/// Path to function. A path is the gRPC method's name, which is also the ABCI path.
pub struct Router {
    routes: BTreeMap<&'static str, Handler>,
}

impl Default for Router {
    fn default() -> Self {
        Self::new()
    }
}

impl Router {
    /// Every module's questions.
    pub fn new() -> Self {
        let mut router = Self { routes: BTreeMap::new() };
        auth::routes(&mut router);
        token::routes(&mut router);
        feegrant::routes(&mut router);
        staking::routes(&mut router);
        market::routes(&mut router);
        price::routes(&mut router);
        reward::routes(&mut router);
        attestation::routes(&mut router);
        authz::routes(&mut router);
        governance::routes(&mut router);
        router
    }

    /// Adds one.
    pub fn add<Q, A>(
        &mut self,
        path: &'static str,
        answer: fn(&View<'_>, Q) -> Result<A, QueryError>,
    ) where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        let handler: Handler = Box::new(move |view, bytes| {
            let request =
                Q::decode(bytes).map_err(|error| QueryError::invalid(error.to_string()))?;
            Ok(answer(view, request)?.encode_to_vec())
        });
        let twice = self.routes.insert(path, handler).is_some();
        debug_assert!(!twice, "{path} is routed twice");
    }

    /// Answers a request's bytes with bytes.
    pub fn call(&self, path: &str, view: &View<'_>, request: &[u8]) -> Result<Vec<u8>, QueryError> {
        let unknown = || QueryError {
            code: QueryCode::Unimplemented,
            message: format!("unknown query path {path:?}"),
        };
        self.routes.get(path).ok_or_else(unknown)?(view, request)
    }

    /// Whether a path is answered.
    pub fn serves(&self, path: &str) -> bool {
        self.routes.contains_key(path)
    }

    /// Every path, in order.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.routes.keys().copied()
    }
}

/// One page of the entries whose key begins with `part`.
pub fn page<K: Key, V: Message + Default, P: Key>(
    store: &dyn Read,
    map: &Map<K, V>,
    part: &P,
    request: Option<PageRequest>,
) -> Result<(Vec<(K, V)>, PageResponse), QueryError> {
    let (pairs, response) = page_of(store, &map.prefix(part), request, |_| true)?;
    Ok((pairs.into_iter().map(entry).collect(), response))
}

/// One page of those of them that fit.
pub fn page_where<K: Key, V: Message + Default, P: Key>(
    store: &dyn Read,
    map: &Map<K, V>,
    part: &P,
    request: Option<PageRequest>,
    fits: impl Fn(&K, &V) -> bool,
) -> Result<(Vec<(K, V)>, PageResponse), QueryError> {
    let fits = |pair: &Pair| {
        let (key, value) = entry(pair.clone());
        fits(&key, &value)
    };
    let (pairs, response) = page_of(store, &map.prefix(part), request, fits)?;
    Ok((pairs.into_iter().map(entry).collect(), response))
}

/// One page of an index: the bytes of its keys after `prefix`.
pub fn page_index(
    store: &dyn Read,
    table: Table,
    prefix: &[u8],
    request: Option<PageRequest>,
) -> Result<(Vec<Vec<u8>>, PageResponse), QueryError> {
    page_index_where(store, table, prefix, request, |_| true)
}

/// One page of those of them that fit.
pub fn page_index_where(
    store: &dyn Read,
    table: Table,
    prefix: &[u8],
    request: Option<PageRequest>,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<(Vec<Vec<u8>>, PageResponse), QueryError> {
    let prefix = [&[table.id()], prefix].concat();
    let (pairs, response) = page_of(store, &prefix, request, |(key, _)| fits(after(&prefix, key)))?;
    Ok((pairs.iter().map(|(key, _)| after(&prefix, key).to_vec()).collect(), response))
}

/// What a key says after a prefix.
fn after<'a>(prefix: &[u8], key: &'a [u8]) -> &'a [u8] {
    key.get(prefix.len()..).unwrap_or_default()
}

/// Whether a page says how many entries there are in all. As in the SDK also for who names no limit.
fn counts(request: &PageRequest) -> bool {
    (request.count_total || request.limit == 0) && request.key.is_empty()
}

/// Entries of a page for which so many were asked: wallets ask for 1,000 validators, get as many as
/// a page has, and a key with which they go on.
fn page_limit(asked: u64) -> usize {
    match usize::try_from(asked) {
        Ok(0) => PAGE_MAX,
        Ok(limit) => limit.min(PAGE_MAX),
        Err(_) => PAGE_MAX,
    }
}

/// One page of the entries below a prefix that fit. Looks at no more than [`STEPS_MAX`], so that a page may be short; its
/// `next_key` says where to go on.
fn page_of(
    store: &dyn Read,
    prefix: &[u8],
    request: Option<PageRequest>,
    fits: impl Fn(&Pair) -> bool,
) -> Result<(Vec<Pair>, PageResponse), QueryError> {
    let request = request.unwrap_or_default();
    let counts = counts(&request);
    let PageRequest { key, offset, limit, count_total: _, reverse } = request;
    if !key.is_empty() && offset != 0 {
        return Err(QueryError::invalid("give a pagination key or an offset, not both"));
    }
    let limit = page_limit(limit);
    let mut skip = usize::try_from(offset)
        .ok()
        .filter(|offset| *offset <= STEPS_MAX)
        .ok_or_else(|| QueryError::invalid(format!("offset above {STEPS_MAX}: page by key")))?;

    let end = prefix_end(prefix);
    let start = [prefix, &key].concat();
    let pairs = match (reverse, key.is_empty()) {
        (false, _) => store.range(&start, end.as_deref(), Order::Ascending),
        (true, true) => store.range(prefix, end.as_deref(), Order::Descending),
        (true, false) => {
            // The key names the first entry of the page, so it is inside of the range.
            let past = [&start[..], &[0]].concat();
            store.range(prefix, Some(&past), Order::Descending)
        }
    };
    let (mut found, mut next_key, mut total) = (Vec::new(), None, 0u64);
    for (step, pair) in pairs.enumerate() {
        let is_over = step >= STEPS_MAX;
        if !is_over && !fits(&pair) {
            continue;
        }
        let is_full = found.len() >= limit;
        if is_over || is_full {
            next_key.get_or_insert_with(|| after(prefix, &pair.0).to_vec());
        }
        if is_over || (is_full && !counts) {
            break;
        }
        total = total.saturating_add(1);
        match skip.checked_sub(1) {
            Some(left) => skip = left,
            None if !is_full => found.push(pair),
            None => {}
        }
    }
    let total = if counts { total } else { 0 };
    Ok((found, PageResponse { next_key: next_key.unwrap_or_default(), total }))
}
