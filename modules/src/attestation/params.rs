//! Numbers of beacon and audits, each with its bounds and its step.

use plasma_proto::plasma::attestation::v1::{MsgUpdateParams, MsgUpdateParamsResponse, Params};

use super::{
    Error,
    state::{PARAMS, params},
};
use crate::{
    Ctx,
    params::{self, ParamError, Step, bounded, update_params, whole},
};

/// What a new chain starts with.
pub fn default_params() -> Params {
    Params { beacon_epoch_blocks: 1_000 }
}

bounded! {
    fn table(Params) {
        beacon_epoch_blocks: whole, 1, 1_000_000, Step::twice_or(10);
    }
}

update_params!(MsgUpdateParams, Params);

/// Every number is within its bounds.
pub fn validate(params: &Params) -> Result<(), ParamError> {
    params::check_bounds(&table(params))
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. A key that waits keeps its height.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, Error> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (table(&params(ctx.store)), table(&new));
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
            let bad = Params { beacon_epoch_blocks };
            assert!(matches!(validate(&bad), Err(ParamError::OutOfBounds { .. })), "{bad:?}");
        }
    }
}
