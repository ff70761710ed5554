use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use plasma_proto::plasma::{
    attestation::v1::{Game, GameState, RefereeModel},
    genesis::v1::AttestationGenesis,
};

use super::{
    Error,
    node::{node_at, shape_of, trace_of},
    state::{GAMES, REFEREES},
};
use crate::{
    Address, Amount, Read, Write, market,
    types::{Hash, hash32},
};

fn bad(text: impl Into<String>) -> Error {
    Error::BadGenesis(text.into())
}

fn hash(bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or_else(|| bad("a hash is not 32 bytes"))
}

/// Writes the first state of games. Market, parameters and receipts must be there before.
pub(in crate::attestation) fn init(
    store: &mut dyn Write,
    genesis: &AttestationGenesis,
) -> Result<(), Error> {
    let AttestationGenesis { referees, games, .. } = genesis;
    let mut models = BTreeSet::new();
    for referee in referees {
        let RefereeModel { model_id, shape, weights_root, eos_tokens: _, set_height: _ } = referee;
        let id = hash(model_id)?;
        hash(weights_root)?;
        if market::model(store, &id).is_none() || !models.insert(id) {
            return Err(bad("how a model is recomputed is there twice, or of no model"));
        }
        shape_of(&shape.ok_or_else(|| bad("a shape is missing"))?).check()?;
        REFEREES.set(store, &id, referee);
    }
    let mut ids = BTreeSet::new();
    for game in games {
        if !ids.insert(game.id) {
            return Err(bad(format!("game {} is there twice", game.id)));
        }
        check_game(store, game)?;
        GAMES.set(store, &game.id, game);
    }
    Ok(())
}

/// A game whose fields read as what they are.
fn check_game(store: &dyn Read, game: &Game) -> Result<(), Error> {
    let id = game.id;
    Address::parse(&game.provider)?;
    Address::parse(&game.challenger)?;
    let model_id = hash(&game.model_id)?;
    hash(&game.challenger_root)?;
    for text in [&game.bond_uxpl, &game.slash_uxpl, &game.slashed_uxpl] {
        if !text.is_empty() && Amount::parse(text).is_none() {
            return Err(bad(format!("{text:?} is no amount")));
        }
    }
    let state = game.state();
    if matches!(state, GameState::Unspecified) || game.params.is_none() {
        return Err(bad(format!("game {id} has no state or no numbers")));
    }
    if state == GameState::Ended {
        return Ok(());
    }
    let shape = REFEREES.get(store, &model_id).and_then(|referee| referee.shape);
    let trace = shape.and_then(|shape| trace_of(&shape, game.n_prompt, game.n_out).ok());
    let trace = trace.ok_or_else(|| bad(format!("game {id} is about what has no referee")))?;
    let node = node_at(&trace, &game.path);
    let node = node.ok_or_else(|| bad(format!("game {id} is at no node")))?;
    let claimed = market::payload(store, id).is_some_and(|payload| payload.output.is_some());
    if !claimed || crate::attestation::receipt(store, id).is_none() {
        return Err(bad(format!("game {id} is about no claim")));
    }
    if state != GameState::Defend {
        hash(&game.provider_root)?;
    }
    if matches!(state, GameState::Descend | GameState::Prove) {
        hash(&game.challenger_node)?;
        hash(&game.provider_node)?;
        let children = trace.children(&node).map_or(0, |children| children.len());
        let fits = |given: &[Vec<u8>]| {
            given.iter().all(|child| child.len() == 32)
                && (given.is_empty() || given.len() == children)
        };
        let is_tile = trace.tile_of(&node).is_some();
        if is_tile != (state == GameState::Prove)
            || !fits(&game.challenger_children)
            || !fits(&game.provider_children)
            || game.challenger_node == game.provider_node
        {
            return Err(bad(format!("game {id} is at no node")));
        }
    }
    Ok(())
}

/// The state of games, as part of a genesis from which it would go on.
pub(in crate::attestation) fn export(store: &dyn Read) -> (Vec<RefereeModel>, Vec<Game>) {
    let referees = REFEREES.iter(store).map(|(_, referee)| referee).collect();
    (referees, GAMES.map().iter(store).map(|(_, game)| game).collect())
}
