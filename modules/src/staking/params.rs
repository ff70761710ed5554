//! The numbers that governance sets, and their bounds.

use alloc::{string::String, vec::Vec};

use plasma_proto::cosmos::{
    slashing::v1beta1::{
        MsgUpdateParams as MsgUpdateSlashingParams,
        MsgUpdateParamsResponse as MsgUpdateSlashingParamsResponse, Params as SlashingParams,
    },
    staking::v1beta1::{MsgUpdateParams, MsgUpdateParamsResponse, Params},
};
use prost_types::Duration;

use super::{
    slashing,
    state::{PARAMS, SLASHING_PARAMS},
};
use crate::{
    Amount, Ctx, Dec, Denom, Read, Write,
    params::{self, Number, ParamError, Step, bounded, bps, decimal, natural, seconds, whole},
    rules,
};

const DAY_S: u64 = 24 * 3600;
/// Evidence of an offence that is older than this, and older than [`EVIDENCE_AGE_BLOCKS`], is void.
/// Not above the time that stake unbonds, which `rules` sees to: what can still be proven can still be
/// paid for.
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

bounded! {
    fn table(Params) {
        unbonding_time: seconds, 1, u128::from(UNBONDING_S_MAX), Step::twice_or(3_600);
        max_validators: whole, 1, u128::from(VALIDATORS_MAX), Step::by(20);
        max_entries: whole, 1, u128::from(ENTRIES_MAX), Step::by(2);
        historical_entries: whole, 0, u128::from(HISTORY_MAX), Step::twice_or(1_000);
        min_commission_rate: decimal, 0, bps(10_000), Step::by(bps(200));
    }
    apart { bond_denom }
}

bounded! {
    fn slashing_table(SlashingParams) {
        signed_blocks_window: natural, 2, u128::from(WINDOW_MAX), Step::twice_or(0);
        min_signed_per_window: part, 0, bps(10_000), Step::by(bps(1_000));
        downtime_jail_duration: seconds, 1, u128::from(UNBONDING_S_MAX), Step::twice_or(60);
        slash_fraction_double_sign: part, 0, bps(10_000), Step::by(bps(200));
        slash_fraction_downtime: part, 0, bps(10_000), Step::by(bps(10));
    }
}

/// Reads a decimal that slashing holds as bytes of text.
#[expect(clippy::ptr_arg, reason = "a field of that type")]
fn part(bytes: &Vec<u8>) -> Option<Number> {
    let text = core::str::from_utf8(bytes).ok()?;
    Dec::parse(text).map(|value| Number::scaled(value.scaled()))
}

/// The message that changes staking's numbers.
mod of_staking {
    use super::{MsgUpdateParams, Params};
    crate::params::update_params!(MsgUpdateParams, Params);
}
/// The message that changes slashing's numbers.
mod of_slashing {
    use super::{MsgUpdateSlashingParams, SlashingParams};
    crate::params::update_params!(MsgUpdateSlashingParams, SlashingParams);
}
pub use of_slashing::UpdateParams as UpdateSlashingParams;
pub use of_staking::UpdateParams;

/// Whether staking's numbers are within their bounds.
pub fn validate_params(params: &Params) -> Result<(), ParamError> {
    params::check_bounds(&table(params))?;
    let denom = Denom::uxpl();
    if params.bond_denom != denom.as_str() {
        return Err(ParamError::Fixed { name: "bond_denom", value: denom.as_str().into() });
    }
    Ok(())
}

/// Whether slashing's numbers are within their bounds.
pub fn validate_slashing_params(params: &SlashingParams) -> Result<(), ParamError> {
    params::check_bounds(&slashing_table(params))
}

/// `MsgUpdateParams` of `cosmos.staking`. What unbonds or is redelegated keeps its date.
pub fn update_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateParams,
) -> Result<MsgUpdateParamsResponse, ParamError> {
    let UpdateParams { params: new } = msg;
    let (old, rows) = (table(&self::params(ctx.store)), table(&new));
    validate_params(&new)?;
    params::change(ctx, "staking", [&old, &rows], |ctx| set_params(ctx.store, &new))?;
    rules::check_together(ctx.store)?;
    Ok(MsgUpdateParamsResponse {})
}

/// `MsgUpdateParams` of `cosmos.slashing`.
pub fn update_slashing_params(
    ctx: &mut Ctx<'_>,
    msg: UpdateSlashingParams,
) -> Result<MsgUpdateSlashingParamsResponse, ParamError> {
    let UpdateSlashingParams { params: new } = msg;
    let (old, rows) = (slashing_table(&slashing_params(ctx.store)), slashing_table(&new));
    validate_slashing_params(&new)?;
    params::change(ctx, "slashing", [&old, &rows], |ctx| {
        set_slashing_params(ctx.store, &new, ctx.block.height);
    })?;
    Ok(MsgUpdateSlashingParamsResponse {})
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
