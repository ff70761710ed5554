//! The mempool's side: state with what waits for a block on top of it.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use plasma_modules::{
    Block, Overlay, Read, SignatureMemory, Writes,
    ante::Prices,
    chain::{self, TxResult},
    tx::Decoded,
};

use crate::{history::Changes, hot::Hot, meta::Head, node::Waiting};

/// Fees and sequences of the transactions that wait, and the transactions.
#[derive(Default)]
pub(crate) struct Check {
    /// The next block and its prices, once the head is known.
    next: Option<(Block, Prices)>,
    /// The head is on disk, not a genesis in memory.
    on_disk: bool,
    writes: Writes,
    hot: Hot,
    /// What waits.
    pub waiting: Waiting,
}

impl Check {
    /// Whether the state below is the database's head, and known.
    pub fn is_on_disk(&self) -> bool {
        self.on_disk && self.next.is_some()
    }

    /// Learns of the head, on which the next block will stand.
    pub fn start(&mut self, base: &dyn Read, head: &Head, on_disk: bool) {
        if self.next.is_none() {
            let height = head.height + 1;
            let block = chain::next_block(base, &head.chain_id, height, head.time_s);
            self.next = Some((block, Prices::of(base)));
            self.waiting.start(base);
        }
        self.on_disk = on_disk;
    }

    /// Goes on to the state after a block, with nothing on top of it.
    pub fn advance(&mut self, height: u64, changes: &Changes) {
        self.hot.advance(height, changes);
        self.next = None;
        self.writes.clear();
    }

    /// What the transactions that wait have made of these keys.
    pub fn waiting_of(&self, keys: Vec<Vec<u8>>) -> Writes {
        let changed = |key: Vec<u8>| self.writes.get(&key).cloned().map(|value| (key, value));
        keys.into_iter().filter_map(changed).collect()
    }

    /// Does `work` on top of what waits. What waits survives a panic: without it every later
    /// transaction of these accounts would be refused.
    pub fn over<T>(
        &mut self,
        base: &dyn Read,
        work: impl FnOnce(&mut Overlay<'_>, &Block, &Prices) -> T,
    ) -> thread::Result<T> {
        let Some((block, prices)) = &self.next else {
            return Err(Box::new("a check before the head is known"));
        };
        let base = self.hot.over(base, block.height - 1);
        let mut waiting = Overlay::resume(&base, mem::take(&mut self.writes));
        let done = catch_unwind(AssertUnwindSafe(|| work(&mut waiting, block, prices)));
        self.writes = waiting.into_writes();
        done
    }

    /// Whether `tx` may wait; if so its fee and sequences stay.
    pub fn check(
        &mut self,
        base: &dyn Read,
        tx: Arc<Decoded>,
        memory: &dyn SignatureMemory,
    ) -> thread::Result<TxResult> {
        self.over(base, |waiting, block, prices| {
            chain::check_decoded(waiting, block, prices, tx, memory)
        })
    }
}
