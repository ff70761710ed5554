use plasma_proto::plasma::market::v1::Settled;

use super::{emission, standby, state::params};
use crate::Ctx;

/// Ends the epoch whose time has passed, counts what became final, pays for epochs that have ended,
/// and lets marks run out. What does not fit into the block goes on in the next.
pub fn end_block(ctx: &mut Ctx<'_>, settled: &[Settled]) {
    let params = params(ctx.store);
    let epoch = emission::begin(ctx);
    let epoch = emission::turn(ctx, &params, epoch);
    emission::count(ctx, epoch, settled);
    emission::pay(ctx);
    if standby::is_due(ctx.store, ctx.block.time_s) {
        standby::expire(ctx);
    }
}
