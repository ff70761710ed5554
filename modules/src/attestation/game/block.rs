//! What happens to games at the end of a block.

use alloc::string::ToString;

use plasma_proto::plasma::attestation::v1::{Game, GameReason, GameState};

use super::{
    Error, ending,
    event::Event,
    state::{GAMES, due_in, numbers},
};
use crate::{Ctx, Table, attestation::state::due};

/// A step that could not be taken is tried again after this many blocks.
const RETRY_BLOCKS: u64 = 100;

/// Ends the phases of games that are over, as many as a block may; the rest stays first in line.
pub(in crate::attestation) fn end_block(ctx: &mut Ctx<'_>) {
    let steps_max = usize::try_from(numbers(ctx.store).steps_per_block_max).unwrap_or(usize::MAX);
    for id in due(ctx.store, Table::AttestationGamesByDue, ctx.block, steps_max) {
        let Some(mut game) = GAMES.get(ctx.store, &id) else { continue };
        if game.due_s > ctx.block.time_s {
            game.waits_for_time = true;
            GAMES.set(ctx.store, &id, &game);
            continue;
        }
        if let Err(error) = ctx.apart(|ctx| time_out(ctx, game.clone())) {
            ctx.emit(&Event::GameStepFailed { game_id: id, reason: error.to_string() });
            due_in(&mut game, ctx.block, RETRY_BLOCKS, 0);
            GAMES.set(ctx.store, &id, &game);
        }
    }
}

/// Who owed a move has lost. A provider that owes one loses whatever its challenger did: else two accounts
/// of one person could end a game that nobody loses, and keep an honest challenger out of it.
fn time_out(ctx: &mut Ctx<'_>, game: Game) -> Result<(), Error> {
    match game.state() {
        GameState::Unspecified | GameState::Ended => Ok(()),
        GameState::Defend => ending::convict(ctx, game, GameReason::Silent, true),
        GameState::Descend if game.provider_children.is_empty() => {
            let spoke = !game.challenger_children.is_empty();
            ending::convict(ctx, game, GameReason::Silent, spoke)
        }
        GameState::Descend | GameState::Token => {
            ending::lose(ctx, game, GameReason::ChallengerSilent)
        }
        GameState::Prove => ending::convict(ctx, game, GameReason::Silent, false),
        GameState::Rest => ending::clear(ctx, game),
    }
}
