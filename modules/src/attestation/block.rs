//! What happens at the end of a block: audits, then referee games.

use super::{audit, game};
use crate::Ctx;

/// Takes what is due a step further.
pub fn end_block(ctx: &mut Ctx<'_>) {
    audit::end_block(ctx);
    game::end_block(ctx);
}
