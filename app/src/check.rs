//! The mempool's side: what waits, on top of each other and of the head.

use std::{
    collections::BTreeMap,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use plasma_modules::{
    Block, Overlay, Read, SignatureMemory, Writes,
    auth::{self, Waiting},
    chain::{self, TxResult},
    types::sha256,
};

use crate::{history::Changes, hot::Hot, meta::Head};

/// Blocks for which an account's waiting transactions count although none of them got into a block:
/// after that the engine is taken to have dropped them, and the account begins at its committed
/// sequence again.
pub const CARRIED_BLOCKS_MAX: u64 = 16;
/// Accounts whose waiting transactions are carried over a block.
pub const CARRIED_ACCOUNTS_MAX: usize = 100_000;

/// Fees and sequences of the transactions that wait.
#[derive(Default)]
pub(crate) struct Check {
    /// The next block, once the head is known.
    block: Option<Block>,
    /// The head is on disk, not a genesis in memory.
    on_disk: bool,
    writes: Writes,
    hot: Hot,
    /// The engine checks what waits again, since the last block.
    again: bool,
    /// What waited before the last block, until the first call after it.
    carried: Option<Writes>,
    /// Accounts that were carried: the committed sequence, and the height at which it was new.
    moved: BTreeMap<Vec<u8>, (u64, u64)>,
}

impl Check {
    /// Whether the state below is the database's head, and known.
    pub fn is_on_disk(&self) -> bool {
        self.on_disk && self.block.is_some()
    }

    /// Learns of the head, on which the next block will stand.
    pub fn start(&mut self, base: &dyn Read, head: &Head, on_disk: bool) {
        if self.block.is_none() {
            let height = head.height + 1;
            self.block = Some(chain::next_block(base, &head.chain_id, height, head.time_s));
        }
        self.on_disk = on_disk;
    }

    /// Goes on to the state after a block.
    pub fn advance(&mut self, height: u64, changes: &Changes) {
        self.hot.advance(height, changes);
        self.block = None;
        self.again = false;
        let waited = mem::take(&mut self.writes);
        // Blocks without a call between leave what was carried before.
        self.carried = self.carried.take().or(Some(waited));
    }

    /// Whether `tx` may wait; if so its fee and sequences stay.
    pub fn check(
        &mut self,
        base: &dyn Read,
        again: bool,
        tx: &[u8],
        memory: &dyn SignatureMemory,
    ) -> TxResult {
        let Some(block) = &self.block else { return TxResult::default() };
        let base = self.hot.over(base, block.height - 1);
        if again && !self.again {
            // What waits comes again, all of it and in order: it is counted anew.
            self.again = true;
            self.carried = None;
            self.moved.clear();
            self.writes = Writes::new();
        }
        if let Some(waited) = self.carried.take() {
            self.writes = carry(&base, waited, &mut self.moved, block.height);
        }
        let mut waiting = Overlay::resume(&base, mem::take(&mut self.writes));
        // What waits must survive a panic, or every later transaction of these accounts would be
        // refused; the panic itself goes on to whoever answers it.
        let result =
            catch_unwind(AssertUnwindSafe(|| chain::check_tx(&mut waiting, block, tx, memory)));
        self.writes = waiting.into_writes();
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        if result.code == 0 {
            memory.learn(sha256(tx));
        }
        result
    }
}

/// The pending sequences of accounts that still have some above the committed one. Without it an
/// engine that does not recheck would have the second waiting transaction of an account refused
/// after every block.
fn carry(
    base: &dyn Read,
    waited: Writes,
    moved: &mut BTreeMap<Vec<u8>, (u64, u64)>,
    height: u64,
) -> Writes {
    let before = mem::take(moved);
    let mut kept = Writes::new();
    for Waiting { key, value, committed } in auth::waiting(base, &waited) {
        let since = match before.get(&key) {
            Some((sequence, since)) if *sequence == committed => *since,
            _ => height,
        };
        let fresh = height.saturating_sub(since) <= CARRIED_BLOCKS_MAX;
        if fresh && kept.len() < CARRIED_ACCOUNTS_MAX {
            moved.insert(key.clone(), (committed, since));
            kept.insert(key, Some(value));
        }
    }
    kept
}
