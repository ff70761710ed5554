//! Numbers of inflation, each with its bounds and its step.

use plasma_proto::cosmos::mint::v1beta1::{MsgUpdateParams, MsgUpdateParamsResponse, Params};

use super::state::{PARAMS, YEAR_S};
use crate::{
    Ctx, Dec, Denom,
    params::{self, ParamError, Step, bounded, bps, decimal, update_params, whole},
};

/// Seconds between blocks, for clients that count a year in blocks.
const BLOCK_S: u64 = 5;

/// Inflation of a new chain, basis points.
pub(super) const INFLATION_BPS: u32 = 500;

/// What a new chain starts with: 2% to 8% a year, moving by at most 5% in a year towards a supply
/// of which 60% is bonded.
pub fn default_params() -> Params {
    Params {
        mint_denom: Denom::uxpl().as_str().into(),
        inflation_rate_change: Dec::bps(500).text(),
        inflation_max: Dec::bps(800).text(),
        inflation_min: Dec::bps(200).text(),
        goal_bonded: Dec::bps(6_000).text(),
        blocks_per_year: YEAR_S / BLOCK_S,
    }
}

/// The parameters as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub change: Dec,
    pub max: Dec,
    pub min: Dec,
    pub goal: Dec,
}

impl Rates {
    /// `None` where a number is no decimal.
    pub fn of(params: &Params) -> Option<Self> {
        let Params {
            mint_denom: _,
            inflation_rate_change,
            inflation_max,
            inflation_min,
            goal_bonded,
            // Inflation follows time; this is told to clients alone.
            blocks_per_year: _,
        } = params;
        Some(Self {
            change: Dec::parse(inflation_rate_change)?,
            max: Dec::parse(inflation_max)?,
            min: Dec::parse(inflation_min)?,
            goal: Dec::parse(goal_bonded)?,
        })
    }
}

bounded! {
    fn table(Params) {
        inflation_rate_change: decimal, 0, bps(2_000), Step::by(bps(200));
        inflation_max: decimal, 0, bps(2_000), Step::by(bps(100));
        inflation_min: decimal, 0, bps(2_000), Step::by(bps(100));
        goal_bonded: decimal, bps(1_000), bps(10_000), Step::by(bps(500));
        blocks_per_year: whole, 1, 10_000_000_000, Step::twice_or(0);
    }
    apart { mint_denom }
}

update_params!(MsgUpdateParams, Params);

/// Every number is within its bounds.
pub fn check(params: &Params) -> Result<(), ParamError> {
    let rows = table(params);
    params::check_bounds(&rows)?;
    let denom = Denom::uxpl();
    if params.mint_denom != denom.as_str() {
        return Err(ParamError::Fixed { name: "mint_denom", value: denom.as_str().into() });
    }
    let rates = Rates::of(params).ok_or(ParamError::NoNumber { name: "inflation_max" })?;
    if rates.min > rates.max {
        return Err(ParamError::Apart("inflation_min is above inflation_max".into()));
    }
    Ok(())
}

/// `MsgUpdateParams`: governance changes the numbers, step by step. Inflation itself moves on from
/// where it is, into the new bounds with the next block.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, ParamError> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (table(&PARAMS.get(ctx.store).unwrap_or_default()), table(&new));
    check(&new)?;
    params::change(ctx, "mint", [&old, &rows], |ctx| PARAMS.set(ctx.store, &new))?;
    Ok(MsgUpdateParamsResponse {})
}
