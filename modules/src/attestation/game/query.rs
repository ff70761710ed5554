//! Questions about referee games.

use alloc::{format, vec::Vec};

use plasma_proto::plasma::attestation::v1::{
    Game, GameState, QueryGameRequest, QueryGameResponse, QueryGamesRequest, QueryGamesResponse,
    QueryRefereeRequest, QueryRefereeResponse,
};

use super::state::{GAMES, OPEN_BYTE, REFEREES, state_byte};
use crate::{
    Address, Read, Table, View,
    attestation::{query::parse_model_id, state::bytes},
    query::{QueryError, Router, page, page_index},
};

/// Adds the questions about games.
pub(in crate::attestation) fn routes(router: &mut Router) {
    router.add("/plasma.attestation.v1.Query/Game", game);
    router.add("/plasma.attestation.v1.Query/Games", games);
    router.add("/plasma.attestation.v1.Query/Referee", referee);
}

fn game(view: &View<'_>, request: QueryGameRequest) -> Result<QueryGameResponse, QueryError> {
    let QueryGameRequest { id } = request;
    let game = GAMES
        .get(view.store, &id)
        .ok_or_else(|| QueryError::not_found(format!("game {id} not found")))?;
    Ok(QueryGameResponse { game: Some(game) })
}

/// Games of index keys, whose last eight bytes are the id.
fn found(store: &dyn Read, keys: Vec<Vec<u8>>) -> Vec<Game> {
    let id = |key: Vec<u8>| key.last_chunk().map(|id| u64::from_be_bytes(*id));
    keys.into_iter().filter_map(id).filter_map(|id| GAMES.get(store, &id)).collect()
}

fn games(view: &View<'_>, request: QueryGamesRequest) -> Result<QueryGamesResponse, QueryError> {
    let (wanted, store) = (request.state(), view.store);
    let QueryGamesRequest { state, operator, challenger, pagination, open_only } = request;
    if GameState::try_from(state).is_err() {
        return Err(QueryError::invalid(format!("{state} is no state of a game")));
    }
    let any = wanted == GameState::Unspecified;
    let of = |who: &str| {
        let who = Address::parse(who)?;
        Ok::<_, QueryError>(if open_only { bytes(&(who, OPEN_BYTE)) } else { bytes(&who) })
    };
    let (table, prefix) = match (operator.as_str(), challenger.as_str()) {
        ("", "") if open_only => {
            return Err(QueryError::invalid("open_only goes with operator or challenger"));
        }
        ("", "") if any => {
            let (entries, pagination) = page(store, GAMES.map(), &(), pagination)?;
            let games = entries.into_iter().map(|(_, game)| game).collect();
            return Ok(QueryGamesResponse { games, pagination: Some(pagination) });
        }
        ("", "") => (Table::AttestationGamesByState, bytes(&state_byte(wanted))),
        (operator, "") if any => (Table::AttestationGamesByProvider, of(operator)?),
        ("", challenger) if any => (Table::AttestationGamesByChallenger, of(challenger)?),
        _ => {
            return Err(QueryError::invalid("give one of state, operator and challenger, or none"));
        }
    };
    let (keys, pagination) = page_index(store, table, &prefix, pagination)?;
    Ok(QueryGamesResponse { games: found(store, keys), pagination: Some(pagination) })
}

fn referee(
    view: &View<'_>,
    request: QueryRefereeRequest,
) -> Result<QueryRefereeResponse, QueryError> {
    let QueryRefereeRequest { model_id } = request;
    let referee = REFEREES.get(view.store, &parse_model_id(&model_id)?).ok_or_else(|| {
        QueryError::not_found(format!("how model {model_id} is recomputed was not said"))
    })?;
    Ok(QueryRefereeResponse { referee: Some(referee) })
}
