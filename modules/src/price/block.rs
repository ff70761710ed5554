use plasma_proto::plasma::market::v1::Settled;

use super::{index, steps, volume};
use crate::Ctx;

/// Counts the payments that became final, closes hours that have passed, and moves prices. What does
/// not fit into the block goes on in the next.
pub fn end_block(ctx: &mut Ctx<'_>, settled: &[Settled]) {
    for payment in settled {
        volume::count(ctx, payment);
    }
    index::close_hours(ctx);
    steps::move_prices(ctx);
}
