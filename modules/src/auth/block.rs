use alloc::vec::Vec;

use super::state::TIMEOUTS;
use crate::Ctx;

/// Most passed timeouts that a block forgets. What is left waits for the next block; nothing asks
/// for it any more.
pub const TIMEOUTS_REMOVED_PER_BLOCK_MAX: usize = 20_000;

/// Forgets timeouts of unordered transactions that have passed: no block can hold these again.
pub fn end_block(ctx: &mut Ctx<'_>) {
    let time_s = ctx.block.time_s;
    let passed: Vec<_> = TIMEOUTS
        .iter(ctx.store)
        .map(|(key, _)| key)
        .take_while(|(timeout, _)| timeout.has_passed(time_s))
        .take(TIMEOUTS_REMOVED_PER_BLOCK_MAX)
        .collect();
    for key in passed {
        TIMEOUTS.remove(ctx.store, &key);
    }
}
