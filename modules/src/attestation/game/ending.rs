//! Who has lost, and what follows from it.

use plasma_proto::plasma::attestation::v1::{Finding, Game, GameReason, GameState};

use super::{
    Error,
    event::Event,
    state::{GAMES, due_in, numbers_of},
};
use crate::{Address, Amount, Ctx, attestation::audit, market, token, types::rest};

/// Of the bond of a challenge that was lost: what the provider gets for its trouble; the rest is burned.
const LOST_CHALLENGE_BPS: u32 = 5_000;

/// The claim is false, or was not defended: it is voided, the provider slashed, the bond returned. A
/// challenger that `won` has a tenth of the slash; all else is burned.
pub(super) fn convict(
    ctx: &mut Ctx<'_>,
    mut game: Game,
    reason: GameReason,
    won: bool,
) -> Result<(), Error> {
    let (provider, challenger) =
        (Address::stored(&game.provider), Address::stored(&game.challenger));
    market::void_held(ctx, game.id)?;
    let wanted = Amount::stored(&game.slash_uxpl);
    let slashed = market::slash_bond(ctx, provider, wanted, audit::account())?;
    let part = if won { audit::slash_part(slashed) } else { Amount::ZERO };
    let bond = Amount::stored(&game.bond_uxpl);
    token::transfer(ctx, audit::account(), challenger, part)?;
    token::transfer(ctx, audit::account(), challenger, bond)?;
    burn(ctx, rest(slashed, part))?;
    audit::convicted(ctx.store, provider);
    game.slashed_uxpl = slashed.text();
    let finding = match reason {
        GameReason::Silent => Finding::Hidden,
        _ => Finding::Convicted,
    };
    end(ctx, game, finding, reason);
    Ok(())
}

/// The challenger has lost: half of its bond is the provider's, half is burned. The claim is not clean
/// by that, since whoever wants it to be may challenge it himself and lose: another one may challenge it
/// now.
pub(super) fn lose(ctx: &mut Ctx<'_>, mut game: Game, reason: GameReason) -> Result<(), Error> {
    let (provider, challenger) =
        (Address::stored(&game.provider), Address::stored(&game.challenger));
    let bond = Amount::stored(&game.bond_uxpl);
    let part = bond.share(LOST_CHALLENGE_BPS).unwrap_or_default();
    token::transfer(ctx, audit::account(), provider, part)?;
    burn(ctx, rest(bond, part))?;
    let numbers = numbers_of(&game);
    leave_node(&mut game);
    game.bond_uxpl = Amount::ZERO.text();
    game.challenges_lost = game.challenges_lost.saturating_add(1);
    game.reason = reason.into();
    game.state = GameState::Rest.into();
    due_in(&mut game, ctx.block, numbers.rest_blocks, numbers.rest_s);
    GAMES.set(ctx.store, &game.id, &game);
    ctx.emit(&Event::ChallengeLost { game_id: game.id, challenger, reason, bond });
    Ok(())
}

/// Nobody challenges the claim any more: it goes on to its settlement. Its value does not count as found
/// clean: that one challenger was wrong says nothing of all else.
pub(super) fn clear(ctx: &mut Ctx<'_>, game: Game) -> Result<(), Error> {
    market::release(ctx, game.id)?;
    let reason = game.reason();
    end(ctx, game, Finding::Clean, reason);
    Ok(())
}

fn end(ctx: &mut Ctx<'_>, mut game: Game, finding: Finding, reason: GameReason) {
    game.challenger_children.clear();
    game.provider_children.clear();
    game.state = GameState::Ended.into();
    game.finding = finding.into();
    game.reason = reason.into();
    game.ended_height = ctx.block.height;
    game.ended_s = ctx.block.time_s;
    GAMES.set(ctx.store, &game.id, &game);
    ctx.emit(&Event::GameEnded {
        game_id: game.id,
        provider: Address::stored(&game.provider),
        finding,
        reason,
        slashed: Amount::stored(&game.slashed_uxpl),
    });
}

/// Back to the roots.
pub(super) fn leave_node(game: &mut Game) {
    game.path.clear();
    game.challenger_node.clear();
    game.provider_node.clear();
    game.challenger_children.clear();
    game.provider_children.clear();
}

fn burn(ctx: &mut Ctx<'_>, amount: Amount) -> Result<(), Error> {
    if amount != Amount::ZERO {
        token::burn(ctx, audit::account(), amount)?;
    }
    Ok(())
}
