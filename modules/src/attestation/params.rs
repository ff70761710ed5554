//! Numbers of beacon, audits and referee games, each with its bounds and its step.

use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{MsgUpdateParams, MsgUpdateParamsResponse, Params};

use super::{
    Error, audit, game,
    state::{PARAMS, params},
};
use crate::{
    Ctx,
    params::{self, Param, ParamError, Step, bounded, update_params, whole},
};

/// What a new chain starts with.
pub fn default_params() -> Params {
    Params {
        beacon_epoch_blocks: 1_000,
        audits: Some(audit::default_params()),
        games: Some(game::default_params()),
    }
}

bounded! {
    fn table(Params) {
        beacon_epoch_blocks: whole, 1, 1_000_000, Step::twice_or(10);
    }
    apart { audits, games }
}

update_params!(MsgUpdateParams, Params);

/// Each number, those of audits and games last.
fn rows(params: &Params) -> Result<Vec<Param>, ParamError> {
    let audits = params.audits.as_ref();
    let audits = audits.ok_or_else(|| ParamError::Apart("audits are missing".into()))?;
    let games = params.games.as_ref();
    let games = games.ok_or_else(|| ParamError::Apart("games are missing".into()))?;
    Ok([table(params), audit::rows(audits)?, game::rows(games)].concat())
}

/// Every number is within its bounds, and those of audits go together.
pub fn validate(params: &Params) -> Result<(), ParamError> {
    params::check_bounds(&rows(params)?)?;
    params.audits.as_ref().map_or(Ok(()), audit::check_together)
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. A key that waits keeps its
/// height, an audit the numbers that it opened with.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, Error> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (rows(&params(ctx.store))?, rows(&new)?);
    validate(&new)?;
    params::change(ctx, "attestation", [&old, &rows], |ctx| {
        PARAMS.set(ctx.store, &new);
    })?;
    Ok(MsgUpdateParamsResponse {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_within_bounds_and_each_bound_holds() {
        validate(&default_params()).unwrap();
        for beacon_epoch_blocks in [0, 1_000_001] {
            let bad = Params { beacon_epoch_blocks, ..default_params() };
            assert!(matches!(validate(&bad), Err(ParamError::OutOfBounds { .. })), "{bad:?}");
        }
    }
}
