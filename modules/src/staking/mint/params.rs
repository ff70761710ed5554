//! Numbers of inflation, each with its bounds.

use plasma_proto::cosmos::mint::v1beta1::Params;

use super::state::YEAR_S;
use crate::{Dec, Denom};

/// Largest inflation of a year, and largest change of it in a year, basis points.
const INFLATION_MAX_BPS: u32 = 2_000;
/// Smallest part of the supply that may be the goal, basis points.
const GOAL_MIN_BPS: u32 = 1_000;
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

/// Every number is within its bounds.
pub fn check(params: &Params) -> Result<(), &'static str> {
    let Rates { change, max, min, goal } = Rates::of(params).ok_or("a number is no decimal")?;
    let most = Dec::bps(INFLATION_MAX_BPS);
    if params.mint_denom != Denom::uxpl().as_str() {
        return Err("mint_denom must be uxpl");
    }
    if max > most || change > most {
        return Err("inflation_max and inflation_rate_change are at most 0.2");
    }
    if min > max {
        return Err("inflation_min is above inflation_max");
    }
    if goal < Dec::bps(GOAL_MIN_BPS) || goal > Dec::ONE {
        return Err("goal_bonded is between 0.1 and 1");
    }
    if params.blocks_per_year == 0 {
        return Err("blocks_per_year is zero");
    }
    Ok(())
}
