//! Numbers of governance, each with its bounds.

use alloc::format;

use plasma_proto::cosmos::{base::v1beta1::Coin, gov::v1::Params};
use prost_types::Duration;

use super::{Error, handler::DEPOSITORS_MAX, state::uxpl};
use crate::{Address, Amount, Dec, Denom, auth, error::fault, staking, token::Coins};

const XPL: u64 = 1_000_000;
const DAY_S: i64 = 86_400;
/// Longest stage, seconds.
const PERIOD_MAX_S: i64 = 365 * DAY_S;

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

pub(super) fn coins(amount: Amount) -> alloc::vec::Vec<Coin> {
    [Coins::coin(&Denom::uxpl(), amount)].into()
}

/// Every number is within its bounds.
pub fn validate(params: &Params) -> Result<(), Error> {
    let Params {
        min_deposit,
        max_deposit_period,
        voting_period,
        quorum,
        threshold,
        veto_threshold,
        min_initial_deposit_ratio,
        proposal_cancel_ratio,
        proposal_cancel_dest,
        expedited_voting_period,
        expedited_threshold,
        expedited_min_deposit,
        burn_vote_quorum: _,
        burn_proposal_deposit_prevote: _,
        burn_vote_veto: _,
        min_deposit_ratio,
    } = params;
    let bad = |why: alloc::string::String| Error::BadParams(why);

    let deposits = [("min_deposit", min_deposit), ("expedited_min_deposit", expedited_min_deposit)];
    for (name, coins) in deposits {
        let amount = Coins::new(coins).ok().filter(|coins| coins.iter().count() == 1);
        let amount = amount.and_then(|coins| coins.of(&Denom::uxpl()));
        let most = Amount::new(u128::from(XPL).saturating_mul(1_000_000_000));
        if amount.is_none_or(|amount| amount > most) {
            return Err(bad(format!("{name} must be uxpl alone, 1 to {most}")));
        }
    }
    if uxpl(expedited_min_deposit) <= uxpl(min_deposit) {
        return Err(bad("expedited_min_deposit must be above min_deposit".into()));
    }

    let periods = [
        ("max_deposit_period", max_deposit_period),
        ("voting_period", voting_period),
        ("expedited_voting_period", expedited_voting_period),
    ];
    for (name, period) in periods {
        if period.is_none_or(|p| p.nanos != 0 || !(1..=PERIOD_MAX_S).contains(&p.seconds)) {
            return Err(bad(format!("{name} must be whole seconds, 1 to {PERIOD_MAX_S}")));
        }
    }
    if period_s(expedited_voting_period) >= period_s(voting_period) {
        return Err(bad("expedited_voting_period must be below voting_period".into()));
    }

    let depositors = u128::try_from(DEPOSITORS_MAX).unwrap_or(u128::MAX);
    // As many depositors as a proposal may have bring the whole, whatever each of them brings.
    let share_min = Dec::ONE.scaled().div_ceil(depositors.max(1));
    let one = Dec::ONE.scaled();
    let fractions = [
        ("quorum", quorum, 0, one),
        ("threshold", threshold, one / 2, one),
        ("veto_threshold", veto_threshold, 1, one),
        ("expedited_threshold", expedited_threshold, 1, one),
        ("min_initial_deposit_ratio", min_initial_deposit_ratio, 0, one),
        ("proposal_cancel_ratio", proposal_cancel_ratio, 0, one),
        ("min_deposit_ratio", min_deposit_ratio, share_min, one),
    ];
    for (name, text, min, max) in fractions {
        let value = Dec::parse_point(text).filter(|value| value.point() == *text);
        if value.is_none_or(|value| !(min..=max).contains(&value.scaled())) {
            let (min, max) = (Dec::new(min).point(), Dec::new(max).point());
            return Err(bad(format!("{name} must be {min} to {max}, with 18 decimals")));
        }
    }
    if ratio(expedited_threshold) <= ratio(threshold) {
        return Err(bad("expedited_threshold must be above threshold".into()));
    }

    if !proposal_cancel_dest.is_empty() {
        let dest = Address::parse(proposal_cancel_dest)?;
        if auth::is_module_account(dest) && dest != community() {
            return Err(bad("proposal_cancel_dest is a module account".into()));
        }
    }
    Ok(())
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
