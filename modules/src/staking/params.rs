//! The numbers that governance sets, and their bounds.

use alloc::string::String;

use plasma_proto::cosmos::{slashing::v1beta1::Params as SlashingParams, staking::v1beta1::Params};
use prost_types::Duration;

use super::{
    slashing,
    state::{PARAMS, SLASHING_PARAMS, duration_s},
};
use crate::{Amount, Dec, Denom, Read, Write};

const DAY_S: u64 = 24 * 3600;
/// Evidence of an offence that is older than this, and older than [`EVIDENCE_AGE_BLOCKS`], is void.
/// Not above the time that stake unbonds: what can still be proven can still be paid for.
pub const EVIDENCE_AGE_S: u64 = 21 * DAY_S;
/// The same in blocks of one second.
pub const EVIDENCE_AGE_BLOCKS: u64 = EVIDENCE_AGE_S;
/// Longest time that stake unbonds, seconds.
pub const UNBONDING_S_MAX: u64 = 365 * DAY_S;
/// Validators in the set, at most, whatever the parameter.
pub const VALIDATORS_MAX: u32 = 500;
/// Entries of unbonding or redelegation per pair, at most, whatever the parameter.
pub const ENTRIES_MAX: u32 = 32;
/// Blocks of history, at most, whatever the parameter.
pub const HISTORY_MAX: u32 = 100_000;
/// Blocks of a window of signing, at most.
pub const WINDOW_MAX: u64 = 100_000;

const fn lasting(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

/// Staking's numbers of a new chain.
pub fn default_params() -> Params {
    Params {
        unbonding_time: lasting(21 * 24 * 3600),
        max_validators: 100,
        max_entries: 7,
        historical_entries: 10_000,
        bond_denom: Denom::uxpl().as_str().into(),
        min_commission_rate: Dec::ZERO.text(),
    }
}

/// Slashing's numbers of a new chain: half of 10,000 blocks, 10 minutes, 5%, 1 bp.
pub fn default_slashing_params() -> SlashingParams {
    SlashingParams {
        signed_blocks_window: 10_000,
        min_signed_per_window: Dec::bps(5_000).text().into_bytes(),
        downtime_jail_duration: lasting(600),
        slash_fraction_double_sign: Dec::bps(500).text().into_bytes(),
        slash_fraction_downtime: Dec::bps(1).text().into_bytes(),
    }
}

/// Whether staking's numbers are within their bounds.
pub fn validate_params(params: &Params) -> Result<(), &'static str> {
    let Params {
        unbonding_time,
        max_validators,
        max_entries,
        historical_entries,
        bond_denom,
        min_commission_rate,
    } = params;
    let whole = unbonding_time.is_some_and(|time| time.nanos == 0);
    if !whole || !(1..=UNBONDING_S_MAX).contains(&duration_s(*unbonding_time)) {
        return Err("unbonding_time must be whole seconds, 1 to a year");
    }
    if !(1..=VALIDATORS_MAX).contains(max_validators) {
        return Err("max_validators must be 1 to 500");
    }
    if !(1..=ENTRIES_MAX).contains(max_entries) {
        return Err("max_entries must be 1 to 32");
    }
    if *historical_entries > HISTORY_MAX {
        return Err("historical_entries must be at most 100,000");
    }
    if bond_denom != Denom::uxpl().as_str() {
        return Err("bond_denom must be uxpl");
    }
    if Dec::parse(min_commission_rate).is_none_or(|rate| rate > Dec::ONE) {
        return Err("min_commission_rate must be 0 to 1");
    }
    Ok(())
}

/// Whether slashing's numbers are within their bounds.
pub fn validate_slashing_params(params: &SlashingParams) -> Result<(), &'static str> {
    let SlashingParams {
        signed_blocks_window,
        min_signed_per_window,
        downtime_jail_duration,
        slash_fraction_double_sign,
        slash_fraction_downtime,
    } = params;
    let part = |bytes: &[u8]| {
        let dec = core::str::from_utf8(bytes).ok().and_then(Dec::parse);
        dec.is_some_and(|dec| dec <= Dec::ONE)
    };
    if u64::try_from(*signed_blocks_window).is_ok_and(|window| (2..=WINDOW_MAX).contains(&window)) {
        if !part(min_signed_per_window) {
            return Err("min_signed_per_window must be 0 to 1");
        }
        let whole = downtime_jail_duration.is_some_and(|time| time.nanos == 0 && time.seconds > 0);
        if !whole || duration_s(*downtime_jail_duration) > UNBONDING_S_MAX {
            return Err("downtime_jail_duration must be whole seconds, 1 to a year");
        }
        if !part(slash_fraction_double_sign) || !part(slash_fraction_downtime) {
            return Err("a slash fraction must be 0 to 1");
        }
        return Ok(());
    }
    Err("signed_blocks_window must be 2 to 100,000")
}

/// Staking's numbers.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_else(default_params)
}

/// Slashing's numbers.
pub fn slashing_params(store: &dyn Read) -> SlashingParams {
    SLASHING_PARAMS.get(store).unwrap_or_else(default_slashing_params)
}

/// Replaces staking's numbers by checked ones.
pub fn set_params(store: &mut dyn Write, params: &Params) {
    PARAMS.set(store, params);
}

/// Replaces slashing's numbers by checked ones, from `height` on. With another window every
/// validator's begins anew.
pub fn set_slashing_params(store: &mut dyn Write, params: &SlashingParams, height: u64) {
    let before = slashing_params(store).signed_blocks_window;
    SLASHING_PARAMS.set(store, params);
    if before != params.signed_blocks_window {
        slashing::restart_windows(store, height);
    }
}

/// A decimal of slashing's parameters, which hold them as bytes of text.
pub(super) fn stored_part(bytes: &[u8]) -> Dec {
    let text = String::from_utf8_lossy(bytes);
    Amount::parse(&text).map_or(Dec::ZERO, |count| Dec::new(count.units()))
}
