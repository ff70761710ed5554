use plasma_proto::plasma::governance::v1::GrantStatus;

use super::{
    handler::close,
    state::{GRANTS, passed},
};
use crate::{Ctx, error::fault};

/// Most grants that a block closes because their deadline passed.
pub const EXPIRIES_PER_BLOCK_MAX: usize = 200;

/// Closes grants whose deadline has passed, oldest first; the rest waits, first in line.
pub fn end_block(ctx: &mut Ctx<'_>) {
    for id in passed(ctx.store, ctx.block.time_s, EXPIRIES_PER_BLOCK_MAX) {
        let lost = || fault("a grant expires that cannot be closed", &id.to_be_bytes());
        let grant = GRANTS.get(ctx.store, &id).unwrap_or_else(lost);
        if close(ctx, grant, GrantStatus::Expired).is_err() {
            lost();
        }
    }
}
