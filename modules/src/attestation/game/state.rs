use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{Game, GameParams, GameState, RefereeModel};

use crate::{
    Address, Block, IndexEntry, IndexedMap, Map, Read, Table,
    attestation::state::{self, bytes, due_entry},
    error::fault,
    types::Hash,
};

pub(super) const GAMES: IndexedMap<u64, Game> =
    IndexedMap::new(Table::AttestationGames, game_indexes);
pub(super) const REFEREES: Map<Hash, RefereeModel> = Map::new(Table::AttestationReferees);

/// Of open games, behind whose they are in the index.
pub(super) const OPEN_BYTE: u8 = 0;

/// Hands every index key of games to `put`.
pub(in crate::attestation) fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    GAMES.rebuild(store, put);
}

pub(super) fn state_byte(state: GameState) -> u8 {
    u8::try_from(i32::from(state)).unwrap_or(u8::MAX)
}

/// Open games come first.
fn open_byte(game: &Game) -> u8 {
    if is_open(game) { OPEN_BYTE } else { OPEN_BYTE + 1 }
}

fn game_indexes(id: &u64, game: &Game) -> Vec<IndexEntry> {
    let (provider, challenger) =
        (Address::stored(&game.provider), Address::stored(&game.challenger));
    let mut indexes = Vec::with_capacity(4);
    indexes.push((Table::AttestationGamesByState, bytes(&(state_byte(game.state()), *id))));
    for (table, who) in [
        (Table::AttestationGamesByProvider, provider),
        (Table::AttestationGamesByChallenger, challenger),
    ] {
        indexes.push((table, bytes(&(who, open_byte(game), *id))));
    }
    if is_open(game) {
        let due = due_entry(game.waits_for_time, game.due_height, game.due_s, *id);
        indexes.push((Table::AttestationGamesByDue, due));
    }
    indexes
}

/// Whether a game holds its claim.
pub(in crate::attestation) fn is_open(game: &Game) -> bool {
    game.state() != GameState::Ended
}

/// The game about a job's claim.
pub fn game(store: &dyn Read, job_id: u64) -> Option<Game> {
    GAMES.get(store, &job_id)
}

/// Where a game is stored, and proven.
pub fn game_key(job_id: u64) -> Vec<u8> {
    GAMES.map().path(&job_id)
}

/// How a model's computation is laid out.
pub fn referee(store: &dyn Read, model_id: &Hash) -> Option<RefereeModel> {
    REFEREES.get(store, model_id)
}

/// Where that is stored, and proven.
pub fn referee_key(model_id: &Hash) -> Vec<u8> {
    REFEREES.path(model_id)
}

/// Every game, in order.
pub(in crate::attestation) fn games(store: &dyn Read) -> impl Iterator<Item = Game> + '_ {
    GAMES.map().iter(store).map(|(_, game)| game)
}

/// The numbers of games.
pub(super) fn numbers(store: &dyn Read) -> GameParams {
    let numbers = state::params(store).games;
    numbers.unwrap_or_else(|| fault("games have no parameters", b""))
}

/// The numbers that a game keeps.
pub(super) fn numbers_of(game: &Game) -> GameParams {
    game.params.unwrap_or_else(|| fault("a game without parameters", &game.id.to_be_bytes()))
}

/// Whether the phase of a game is over.
pub(super) fn is_over(game: &Game, block: &Block) -> bool {
    block.height >= game.due_height && block.time_s >= game.due_s
}

/// Sets when a phase ends.
pub(super) fn due_in(game: &mut Game, block: &Block, blocks: u64, seconds: u64) {
    game.due_height = block.height.saturating_add(blocks);
    game.due_s = block.time_s.saturating_add(seconds);
    game.waits_for_time = false;
}
