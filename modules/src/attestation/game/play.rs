//! The moves of a game: from a challenge down to the tile at which its players differ.

use plasma_proto::plasma::{
    attestation::v1::{
        FinishReason, Game, GameReason, GameState, MsgChallengeResponse, MsgDefendResponse,
        MsgDescendResponse, Receipt,
    },
    market::v1::JobState,
};

use super::{
    Challenge, Defend, Descend, Error,
    digests::{defend_digest, descend_digest},
    ending,
    event::{Event, way},
    node::{Subject, subject, trace_of},
    state::{GAMES, REFEREES, due_in, is_over, numbers, numbers_of},
};
use crate::{
    Address, Ctx, Read,
    attestation::{audit, receipt, referee},
    error::fault,
    market, tx,
    types::{Hash, stored_hash},
};

/// Anybody but its provider challenges a claim, with the root of its own trace and a bond.
pub fn challenge(ctx: &mut Ctx<'_>, msg: Challenge) -> Result<MsgChallengeResponse, Error> {
    let Challenge { challenger, job_id, trace_root, bond } = msg;
    let job = market::job(ctx.store, job_id).ok_or(Error::UnknownJob(job_id))?;
    if job.state() != JobState::Delivered {
        return Err(Error::NotDelivered(job_id));
    }
    let provider = Address::stored(&job.provider);
    if provider == challenger {
        return Err(Error::OwnClaim);
    }
    let before = GAMES.get(ctx.store, &job_id);
    let waits = before
        .as_ref()
        .is_some_and(|game| game.state() == GameState::Rest && !is_over(game, ctx.block));
    if job.held && !waits {
        return Err(Error::IsHeld(job_id));
    }
    let receipt = receipt_of(ctx.store, job_id);
    if receipt.kernel_id != referee::KERNEL_ID {
        return Err(Error::OtherKernel(receipt.kernel_id));
    }
    let temperature = receipt.sampling.map_or(0, |sampling| sampling.temperature_milli);
    if temperature != 0 {
        return Err(Error::NotGreedy(temperature));
    }
    let model_id = stored_hash(&job.model_id);
    let said = REFEREES
        .get(ctx.store, &model_id)
        .filter(|referee| referee.set_height < job.assigned_height)
        .ok_or(Error::NoReferee)?;
    let shape = said.shape.unwrap_or_default();
    let n_prompt = u64::from(job.n_fresh).saturating_add(job.n_cached.into());
    let n_prompt = u32::try_from(n_prompt).unwrap_or(u32::MAX);
    trace_of(&shape, n_prompt, job.n_out)?;
    let numbers = numbers(ctx.store);
    let least = numbers.bond_uxpl.into();
    if bond < least {
        return Err(Error::SmallBond { bond, least });
    }
    audit::put_down(ctx, challenger, bond)?;
    if before.is_none() {
        market::hold(ctx, job_id)?;
    }

    let before = before.unwrap_or_default();
    let mut game = Game {
        id: job_id,
        state: GameState::Defend.into(),
        challenger: challenger.text(),
        bond_uxpl: bond.text(),
        provider: provider.text(),
        model_id: model_id.into(),
        n_prompt,
        n_out: job.n_out,
        challenger_root: trace_root.into(),
        provider_root: before.provider_root,
        params: Some(numbers),
        slash_uxpl: audit::slash_now(ctx.store, provider).text(),
        challenges_lost: before.challenges_lost,
        ..Game::default()
    };
    ctx.emit(&Event::ClaimChallenged { game_id: job_id, challenger, trace_root, bond });
    if !game.provider_root.is_empty() {
        meet(ctx, game)?;
        return Ok(MsgChallengeResponse {});
    }
    due_in(&mut game, ctx.block, numbers.defend_blocks, numbers.defend_s);
    GAMES.set(ctx.store, &job_id, &game);
    Ok(MsgChallengeResponse {})
}

/// The provider gives the root of its trace: for this and every later challenge of the claim.
pub fn defend(ctx: &mut Ctx<'_>, msg: Defend) -> Result<MsgDefendResponse, Error> {
    let Defend { carrier: _, msg, trace_root } = msg;
    let mut game = at_phase(ctx, msg.job_id, GameState::Defend)?;
    let digest = defend_digest(&ctx.block.chain_id, &msg);
    check_signature(ctx.store, &game, &digest, &msg.signature)?;
    game.provider_root = trace_root.into();
    ctx.emit(&Event::ClaimDefended { game_id: game.id, trace_root });
    meet(ctx, game)?;
    Ok(MsgDefendResponse {})
}

/// Both roots are there. Where they are one, only the tokens can be wrong.
fn meet(ctx: &mut Ctx<'_>, mut game: Game) -> Result<(), Error> {
    let numbers = numbers_of(&game);
    if game.challenger_root == game.provider_root {
        if !output_ends_well(ctx.store, &game) {
            return ending::convict(ctx, game, GameReason::OutputEnd, true);
        }
        game.state = GameState::Token.into();
        due_in(&mut game, ctx.block, numbers.prove_blocks, numbers.prove_s);
    } else {
        game.state = GameState::Descend.into();
        game.challenger_node = game.challenger_root.clone();
        game.provider_node = game.provider_root.clone();
        due_in(&mut game, ctx.block, numbers.round_blocks, numbers.round_s);
    }
    GAMES.set(ctx.store, &game.id, &game);
    Ok(())
}

/// A player gives the children of its node; when both have, the game goes down to the first that differs.
pub fn descend(ctx: &mut Ctx<'_>, msg: Descend) -> Result<MsgDescendResponse, Error> {
    let Descend { sender, msg, children } = msg;
    let mut game = at_phase(ctx, msg.job_id, GameState::Descend)?;
    if msg.path != game.path {
        return Err(Error::WrongNode(way(&game.path)));
    }
    let digest = || descend_digest(&ctx.block.chain_id, &msg);
    let by_challenger = is_challenger(ctx.store, &game, sender, digest, &msg.signature)?;
    let Subject { trace, node, .. } = subject(ctx.store, &game);
    let (name, given) = match by_challenger {
        true => (&game.challenger_node, &mut game.challenger_children),
        false => (&game.provider_node, &mut game.provider_children),
    };
    if !given.is_empty() {
        return Err(Error::HasGiven);
    }
    if trace.name(&node, &children)? != stored_hash(name) {
        return Err(Error::WrongChildren);
    }
    *given = msg.children;
    ctx.emit(&Event::ChildrenGiven { game_id: game.id, by_challenger });
    if !game.challenger_children.is_empty() && !game.provider_children.is_empty() {
        go_down(ctx, &mut game);
    }
    GAMES.set(ctx.store, &game.id, &game);
    Ok(MsgDescendResponse {})
}

/// To the first child that differs. There is one: names that differ are of different children.
fn go_down(ctx: &mut Ctx<'_>, game: &mut Game) {
    let numbers = numbers_of(game);
    let mut pairs = game.challenger_children.iter().zip(&game.provider_children).zip(0u32..);
    let found = pairs.find(|((one, other), _)| one != other);
    let Some(((challenger, provider), child)) = found else {
        fault("nodes that differ have the same children", &game.id.to_be_bytes())
    };
    (game.challenger_node, game.provider_node) = (challenger.clone(), provider.clone());
    game.path.push(child);
    game.challenger_children.clear();
    game.provider_children.clear();
    let Subject { trace, node, .. } = subject(ctx.store, game);
    let is_tile = trace.tile_of(&node).is_some();
    if is_tile {
        game.state = GameState::Prove.into();
        due_in(game, ctx.block, numbers.prove_blocks, numbers.prove_s);
    } else {
        due_in(game, ctx.block, numbers.round_blocks, numbers.round_s);
    }
    ctx.emit(&Event::GameDescended { game_id: game.id, path: game.path.clone(), is_tile });
}

/// The game, if this phase of it is under way.
pub(super) fn at_phase(ctx: &Ctx<'_>, id: u64, phase: GameState) -> Result<Game, Error> {
    let game = GAMES.get(ctx.store, &id).ok_or(Error::UnknownGame(id))?;
    if game.state() != phase {
        return Err(Error::WrongPhase(match game.state() {
            GameState::Unspecified => "nothing",
            GameState::Defend => "the root of the provider's trace",
            GameState::Descend => "the children of the players' nodes",
            GameState::Prove => "what its tile is made from",
            GameState::Token => "a token that the trace does not give",
            GameState::Rest => "another challenger",
            GameState::Ended => "nothing: it has ended",
        }));
    }
    if is_over(&game, ctx.block) {
        return Err(Error::Late(id));
    }
    Ok(game)
}

/// Whose move it is: without a signature the challenger's, who must be the sender; with one the provider's,
/// who must have made it.
pub(super) fn is_challenger(
    store: &dyn Read,
    game: &Game,
    sender: Address,
    digest: impl FnOnce() -> Hash,
    signature: &[u8],
) -> Result<bool, Error> {
    if signature.is_empty() {
        let is = Address::stored(&game.challenger) == sender;
        return if is { Ok(true) } else { Err(Error::NotPlayer) };
    }
    check_signature(store, game, &digest(), signature)?;
    Ok(false)
}

fn check_signature(
    store: &dyn Read,
    game: &Game,
    digest: &Hash,
    signature: &[u8],
) -> Result<(), Error> {
    let key = market::provider(store, Address::stored(&game.provider))
        .map(|provider| stored_hash(&provider.receipt_key))
        .unwrap_or_else(|| fault("a game about a claim of nobody", digest));
    if tx::verify_ed25519(&key, digest, signature) { Ok(()) } else { Err(Error::BadSignature) }
}

pub(super) fn receipt_of(store: &dyn Read, job_id: u64) -> Receipt {
    receipt(store, job_id)
        .and_then(|accepted| accepted.receipt)
        .unwrap_or_else(|| fault("a claim without its receipt", &job_id.to_be_bytes()))
}

/// The tokens that a claim gives; a delivered job's are there.
pub(super) fn output_tokens(store: &dyn Read, job_id: u64) -> alloc::vec::Vec<u32> {
    market::payload(store, job_id)
        .and_then(|payload| payload.output)
        .map(|output| output.token_ids)
        .unwrap_or_else(|| fault("a claim without its output", &job_id.to_be_bytes()))
}

/// Whether an output ends where it must: at the first token that ends outputs, and with one exactly if the
/// receipt says so. Where a stop string is said to have ended it, text decides, which the chain does not
/// make.
fn output_ends_well(store: &dyn Read, game: &Game) -> bool {
    let referee = REFEREES.get(store, &stored_hash(&game.model_id)).unwrap_or_default();
    let tokens = output_tokens(store, game.id);
    let ends = |token: &u32| referee.eos_tokens.contains(token);
    let Some((last, before)) = tokens.split_last() else { return false };
    let right = match receipt_of(store, game.id).finish_reason() {
        FinishReason::Eos => ends(last),
        FinishReason::Length => !ends(last),
        _ => true,
    };
    right && !before.iter().any(ends)
}
