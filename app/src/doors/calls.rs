//! Calls that need more than a look at state: the node itself, or CometBFT.

use std::collections::BTreeMap;

use plasma_modules::query::QueryError;
use prost::Message;

use super::{Doors, Failure};

/// Who is asked, and of which height (0: the last one).
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub doors: &'a Doors,
    pub height: u64,
}

type Handler = Box<dyn Fn(Asked<'_>, &[u8]) -> Result<Vec<u8>, Failure> + Send + Sync>;

struct Call {
    handler: Handler,
    asks_comet: bool,
}

/// Path to function.
#[derive(Default)]
pub(super) struct Calls {
    calls: BTreeMap<&'static str, Call>,
}

impl Calls {
    /// Adds a call that this node answers alone.
    pub fn add<Q, A>(&mut self, path: &'static str, answer: fn(Asked<'_>, Q) -> Result<A, Failure>)
    where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        self.insert(path, false, answer);
    }

    /// Adds a call that waits for CometBFT.
    pub fn add_asking_comet<Q, A>(
        &mut self,
        path: &'static str,
        answer: fn(Asked<'_>, Q) -> Result<A, Failure>,
    ) where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        self.insert(path, true, answer);
    }

    fn insert<Q, A>(
        &mut self,
        path: &'static str,
        asks_comet: bool,
        answer: fn(Asked<'_>, Q) -> Result<A, Failure>,
    ) where
        Q: Message + Default + 'static,
        A: Message + 'static,
    {
        let handler: Handler = Box::new(move |asked, bytes| {
            let request =
                Q::decode(bytes).map_err(|error| QueryError::invalid(error.to_string()))?;
            Ok(answer(asked, request)?.encode_to_vec())
        });
        let twice = self.calls.insert(path, Call { handler, asks_comet }).is_some();
        debug_assert!(!twice, "{path} is routed twice");
    }

    /// Whether a path is answered.
    pub fn serves(&self, path: &str) -> bool {
        self.calls.contains_key(path)
    }

    /// Whether the answer may have to wait for CometBFT.
    pub fn asks_comet(&self, path: &str) -> bool {
        self.calls.get(path).is_some_and(|call| call.asks_comet)
    }

    /// Every path.
    pub fn paths(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.calls.keys().copied()
    }

    /// The answer, if this is one of these calls.
    pub fn call(
        &self,
        path: &str,
        asked: Asked<'_>,
        request: &[u8],
    ) -> Option<Result<Vec<u8>, Failure>> {
        Some((self.calls.get(path)?.handler)(asked, request))
    }
}
