//! Numbers of governance, each with its bounds and its step.

use alloc::{string::String, vec::Vec};

use plasma_proto::cosmos::{
    base::v1beta1::Coin,
    gov::v1::{MsgUpdateParams, MsgUpdateParamsResponse, Params},
};
use prost_types::Duration;

use super::{
    Error,
    handler::DEPOSITORS_MAX,
    state::{self, PARAMS, uxpl},
};
use crate::{
    Address, Amount, Ctx, Dec, Denom, Sdk, auth,
    error::fault,
    params::{self, Number, ParamError, Step, UXPL_MAX, bounded, bps, seconds, update_params},
    staking,
    token::Coins,
};

const XPL: u64 = 1_000_000;
const DAY_S: i64 = 86_400;
/// Longest stage, seconds.
const PERIOD_MAX_S: u128 = 365 * 86_400;
/// Basis points of the whole.
const WHOLE_BPS: u128 = 10_000;

/// What a new chain starts with.
pub fn default_params() -> Params {
    let days = |days: i64| Some(Duration { seconds: days.saturating_mul(DAY_S), nanos: 0 });
    let xpl = |xpl: u64| coins(Amount::from(xpl.saturating_mul(XPL)));
    let text = |bps: u32| Dec::bps(bps).point();
    Params {
        min_deposit: xpl(500),
        max_deposit_period: days(7),
        voting_period: days(5),
        quorum: text(3_340),
        threshold: text(5_000),
        veto_threshold: text(3_340),
        min_initial_deposit_ratio: text(1_000),
        proposal_cancel_ratio: text(5_000),
        proposal_cancel_dest: "".into(),
        expedited_voting_period: days(1),
        expedited_threshold: text(6_670),
        expedited_min_deposit: xpl(2_500),
        burn_vote_quorum: false,
        burn_proposal_deposit_prevote: false,
        burn_vote_veto: true,
        min_deposit_ratio: text(100),
    }
}

pub(super) fn coins(amount: Amount) -> Vec<Coin> {
    [Coins::coin(&Denom::uxpl(), amount)].into()
}

/// As many depositors as a proposal may have bring the whole, whatever each of them brings.
fn share_min() -> u128 {
    let depositors = u128::try_from(DEPOSITORS_MAX).unwrap_or(u128::MAX);
    bps(WHOLE_BPS).div_ceil(depositors.max(1))
}

bounded! {
    fn table(Params) {
        min_deposit: money, 1, UXPL_MAX, Step::twice_or(XPL.into());
        max_deposit_period: seconds, 1, PERIOD_MAX_S, Step::twice_or(60);
        voting_period: seconds, 1, PERIOD_MAX_S, Step::twice_or(60);
        quorum: fraction, 0, bps(WHOLE_BPS), Step::by(bps(500));
        threshold: fraction, bps(WHOLE_BPS / 2), bps(WHOLE_BPS), Step::by(bps(500));
        veto_threshold: fraction, 1, bps(WHOLE_BPS), Step::by(bps(500));
        min_initial_deposit_ratio: fraction, 0, bps(WHOLE_BPS), Step::by(bps(500));
        proposal_cancel_ratio: fraction, 0, bps(WHOLE_BPS), Step::by(bps(1_000));
        expedited_voting_period: seconds, 1, PERIOD_MAX_S, Step::twice_or(60);
        expedited_threshold: fraction, 1, bps(WHOLE_BPS), Step::by(bps(500));
        expedited_min_deposit: money, 1, UXPL_MAX, Step::twice_or(XPL.into());
        min_deposit_ratio: fraction, share_min(), bps(WHOLE_BPS), Step::by(bps(100));
    }
    apart { proposal_cancel_dest, burn_vote_quorum, burn_proposal_deposit_prevote, burn_vote_veto }
}

/// Reads a deposit: uxpl alone.
#[expect(clippy::ptr_arg, reason = "a field of that type")]
fn money(coins: &Vec<Coin>) -> Option<Number> {
    let coins = Coins::new(coins).ok().filter(|coins| coins.iter().count() == 1)?;
    coins.of(&Denom::uxpl()).map(|amount| Number::whole(amount.units()))
}

/// Reads a fraction as gov v1 writes it: with a point and 18 digits after it.
fn fraction(text: &String) -> Option<Number> {
    let value = Dec::parse_point(text).filter(|value| value.point() == *text);
    value.map(|value| Number::scaled(value.scaled()))
}

update_params!(MsgUpdateParams, Params);

/// Every number is within its bounds, and haste asks for more than leisure.
pub fn validate(params: &Params) -> Result<(), Error> {
    params::check_bounds(&table(params))?;
    let apart = |text: &str| Err(ParamError::Apart(text.into()).into());
    if uxpl(&params.expedited_min_deposit) <= uxpl(&params.min_deposit) {
        return apart("expedited_min_deposit must be above min_deposit");
    }
    if period_s(&params.expedited_voting_period) >= period_s(&params.voting_period) {
        return apart("expedited_voting_period must be below voting_period");
    }
    if ratio(&params.expedited_threshold) <= ratio(&params.threshold) {
        return apart("expedited_threshold must be above threshold");
    }
    if !params.proposal_cancel_dest.is_empty() {
        let dest = Address::parse(&params.proposal_cancel_dest)?;
        if auth::is_module_account(dest) && dest != community() {
            let text = "proposal_cancel_dest is a module account".into();
            return Err(Sdk::InvalidAddress(text).into());
        }
    }
    Ok(())
}

/// `MsgUpdateParams` of `cosmos.gov.v1`: governance changes its own numbers, step by step. A stage
/// keeps the end that it began with; whatever is decided later is decided by the new numbers.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, Error> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (table(&state::params(ctx.store)), table(&new));
    validate(&new)?;
    params::change(ctx, "gov", [&old, &rows], |ctx| PARAMS.set(ctx.store, &new))?;
    Ok(MsgUpdateParamsResponse {})
}

/// The account whose money is the community pool's.
pub(super) fn community() -> Address {
    Address::of_module(staking::DISTRIBUTION)
}

/// A stored fraction.
pub(super) fn ratio(text: &str) -> Dec {
    Dec::parse_point(text).unwrap_or_else(|| fault("a bad fraction", text.as_bytes()))
}

/// A stored period, seconds.
pub(super) fn period_s(period: &Option<Duration>) -> u64 {
    period.and_then(|period| u64::try_from(period.seconds).ok()).unwrap_or_default()
}

/// What a proposal must bring before it is voted on.
pub(super) fn min_deposit(params: &Params, expedited: bool) -> Amount {
    uxpl(if expedited { &params.expedited_min_deposit } else { &params.min_deposit })
}
