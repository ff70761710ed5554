//! Numbers of rewards, each with its bounds and its step.

use plasma_proto::cosmos::distribution::v1beta1::{
    MsgUpdateParams, MsgUpdateParamsResponse, Params,
};

use super::{
    Error,
    state::{self, PARAMS},
};
use crate::{
    Ctx, Dec,
    params::{self, ParamError, Step, bounded, bps, decimal, update_params},
};

/// What a new chain takes, basis points.
const TAX_BPS: u32 = 200;

/// What a new chain starts with.
#[expect(deprecated, reason = "fields that Cosmos clients read and that must be zero")]
pub fn default_params() -> Params {
    Params {
        community_tax: Dec::bps(TAX_BPS).text(),
        base_proposer_reward: Dec::ZERO.text(),
        bonus_proposer_reward: Dec::ZERO.text(),
        withdraw_addr_enabled: true,
    }
}

bounded! {
    #[expect(deprecated, reason = "fields that Cosmos clients read and that must be zero")]
    fn table(Params) {
        community_tax: decimal, 0, bps(2_500), Step::by(bps(200));
    }
    apart { base_proposer_reward, bonus_proposer_reward, withdraw_addr_enabled }
}

update_params!(MsgUpdateParams, Params);

/// Every number is within its bounds: the tax is at most a quarter, and proposers get tips alone.
#[expect(deprecated, reason = "fields that Cosmos clients read and that must be zero")]
pub fn check(params: &Params) -> Result<(), ParamError> {
    params::check_bounds(&table(params))?;
    let Params { base_proposer_reward: base, bonus_proposer_reward: bonus, .. } = params;
    for (name, text) in [("base_proposer_reward", base), ("bonus_proposer_reward", bonus)] {
        // Proposers have no reward but tips.
        if !text.is_empty() && Dec::parse(text) != Some(Dec::ZERO) {
            return Err(ParamError::Fixed { name, value: "0".into() });
        }
    }
    Ok(())
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. What was dealt out stays.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, Error> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (table(&state::params(ctx.store)), table(&new));
    check(&new)?;
    params::change(ctx, "distribution", [&old, &rows], |ctx| PARAMS.set(ctx.store, &new))?;
    Ok(MsgUpdateParamsResponse {})
}
