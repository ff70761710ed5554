//! How a game is decided: the chain computes the tile at which its players differ, or reads the token that
//! the provider's own trace gives.

use plasma_proto::plasma::attestation::v1::{
    Game, GameReason, GameState, MsgProveResponse, MsgShowTokenResponse,
};

use super::{
    Error, Prove, ShowToken,
    digests::prove_digest,
    ending,
    event::{Event, way},
    node::{Subject, subject},
    play::{at_phase, is_challenger, output_tokens, receipt_of},
};
use crate::{
    Address, Ctx,
    attestation::{
        referee::{RefereeError, Slice, Tile, tile_hash},
        tokens_hash,
    },
    error::fault,
    types::{Hash, stored_hash},
};

/// A player shows what the tile is made from. Whose it is does not matter: the chain computes the tile, and
/// who has it wins. Where neither has it, the claim is false all the same, and nobody is paid for finding it.
pub fn prove(ctx: &mut Ctx<'_>, msg: Prove) -> Result<MsgProveResponse, Error> {
    let Prove { sender, msg, inputs, rows } = msg;
    let game = at_phase(ctx, msg.job_id, GameState::Prove)?;
    if msg.path != game.path {
        return Err(Error::WrongNode(way(&game.path)));
    }
    let digest = || prove_digest(&ctx.block.chain_id, &msg);
    let by_challenger = is_challenger(ctx.store, &game, sender, digest, &msg.signature)?;
    let Subject { referee, trace, node } = subject(ctx.store, &game);
    let tile = trace
        .tile_of(&node)
        .unwrap_or_else(|| fault("a game about a tile that is none", &game.id.to_be_bytes()));
    let token = match token_of(ctx, &game, tile, trace.reads_token(tile), &msg.prompt_tokens)? {
        Ok(token) => token,
        Err(reason) => {
            ending::convict(ctx, game, reason, true)?;
            return Ok(MsgProveResponse {});
        }
    };
    let root = stored_hash(match by_challenger {
        true => &game.challenger_root,
        false => &game.provider_root,
    });
    let weights_root = stored_hash(&referee.weights_root);
    let values = match trace.judge(&root, &weights_root, tile, token, &inputs, &rows) {
        // The one token that a tile reads is none of the model's.
        Err(RefereeError::NoPlace) => {
            let is_prompt = tile.token < game.n_prompt;
            let reason = if is_prompt { GameReason::Prompt } else { GameReason::Token };
            ending::convict(ctx, game, reason, true)?;
            return Ok(MsgProveResponse {});
        }
        judged => judged?,
    };
    let due: Hash = tile_hash(&values);
    ctx.emit(&Event::TileComputed { game_id: game.id, by_challenger, tile: due });
    if due == stored_hash(&game.provider_node) {
        ending::lose(ctx, game, GameReason::ChallengerTile)?;
    } else if due == stored_hash(&game.challenger_node) {
        ending::convict(ctx, game, GameReason::Tile, true)?;
    } else {
        ending::convict(ctx, game, GameReason::Neither, false)?;
    }
    Ok(MsgProveResponse {})
}

/// The token that a tile is made from: of the output as it is claimed, of the prompt as it is shown. Why the
/// claim is false, if the prompt has another length than it says.
fn token_of(
    ctx: &Ctx<'_>,
    game: &Game,
    tile: Tile,
    is_read: bool,
    prompt: &[u32],
) -> Result<Result<u32, GameReason>, Error> {
    let is_prompt = is_read && tile.token < game.n_prompt;
    if !is_prompt && !prompt.is_empty() {
        return Err(Error::PromptNotRead);
    }
    if !is_read {
        return Ok(Ok(0));
    }
    let Some(after) = tile.token.checked_sub(game.n_prompt) else {
        return prompt_token(ctx, game, tile.token, prompt);
    };
    let claimed = output_tokens(ctx.store, game.id);
    let token = claimed.get(usize::try_from(after).unwrap_or(usize::MAX)).copied();
    Ok(token.ok_or(GameReason::Token))
}

fn prompt_token(
    ctx: &Ctx<'_>,
    game: &Game,
    at: u32,
    prompt: &[u32],
) -> Result<Result<u32, GameReason>, Error> {
    if receipt_of(ctx.store, game.id).prompt_tokens_hash != tokens_hash(prompt) {
        return Err(Error::WrongPrompt);
    }
    if u32::try_from(prompt.len()) != Ok(game.n_prompt) {
        return Ok(Err(GameReason::Prompt));
    }
    let token = prompt.get(usize::try_from(at).unwrap_or(usize::MAX)).copied();
    Ok(token.ok_or(GameReason::Prompt))
}

/// The challenger shows a token that the provider's own trace gives in the place of one that it claims.
pub fn show_token(ctx: &mut Ctx<'_>, msg: ShowToken) -> Result<MsgShowTokenResponse, Error> {
    let ShowToken { challenger, job_id, index, choice } = msg;
    let game = at_phase(ctx, job_id, GameState::Token)?;
    if Address::stored(&game.challenger) != challenger {
        return Err(Error::NotPlayer);
    }
    let Subject { trace, .. } = subject(ctx.store, &game);
    let tile = trace.choice(index).ok_or(Error::NoToken { index, n_out: game.n_out })?;
    let Tile { token, operator, index: first } = tile;
    let slice = Slice { token, operator, first, tiles: 1, skip: 0, len: 2 };
    trace.check_opening(&stored_hash(&game.provider_root), &slice, &choice, 0)?;
    let claimed = output_tokens(ctx.store, job_id);
    let claimed = claimed.get(usize::try_from(index).unwrap_or(usize::MAX)).copied();
    if choice.values.last().copied() == claimed {
        return Err(Error::SameToken(index));
    }
    ending::convict(ctx, game, GameReason::Token, true)?;
    Ok(MsgShowTokenResponse {})
}
