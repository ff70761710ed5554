//! Numbers that governance sets: bounds, and how far one change may move each.
//!
//! Every room has its numbers in its `params.rs`, one row each, in a [`bounded!`] table that no field
//! can be missing from. [`check_bounds`] holds at genesis and at each change, [`check_step`] at each
//! change: so that one vote, be it a mistake or a theft, moves nothing further than the room can bear,
//! and there is time to see what it does before the next. What is open keeps the numbers that it opened
//! with.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use crate::{Address, Coded, Ctx, Dec, Event, Sdk};

/// Module account in whose name governance acts.
const GOV: &str = "gov";

/// Gas of a change of parameters: a record is read and written anew.
pub const UPDATE_PARAMS_GAS: u64 = 60_000;

/// Most blocks of a window.
pub const BLOCKS_MAX: u128 = 100_000_000;
/// Most seconds of a window.
pub const SECONDS_MAX: u128 = 365 * 86_400;
/// Most uxpl of a parameter: a thousand million XPL.
pub const UXPL_MAX: u128 = 1_000_000_000_000_000;

/// One in decimals of Cosmos.
const ONE: u128 = 1_000_000_000_000_000_000;

/// A number as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    units: u128,
    /// Units in one: 1 of whole numbers, 10^18 of decimals.
    one: u128,
}

impl Number {
    /// A whole number.
    pub const fn whole(units: u128) -> Self {
        Self { units, one: 1 }
    }

    /// A decimal, scaled by 10^18.
    pub const fn scaled(units: u128) -> Self {
        Self { units, one: ONE }
    }

    /// Another one of its kind.
    const fn like(self, units: u128) -> Self {
        Self { units, ..self }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.units.checked_div(self.one).unwrap_or_default();
        let part = self.units.checked_rem(self.one).unwrap_or_default();
        if part == 0 {
            return whole.fmt(f);
        }
        let digits = format!("{part:018}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// How far one change may move a number: to `times` as much or to one part in `times` (rounded up, so
/// that every change can be taken back by another), or up or down by `by`, whichever is further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    times: u128,
    by: u128,
}

impl Step {
    /// To double or to half, or by `units`, which also leads away from zero.
    pub const fn twice_or(units: u128) -> Self {
        Self { times: 2, by: units }
    }

    /// By `units`.
    pub const fn by(units: u128) -> Self {
        Self { times: 1, by: units }
    }

    /// The least and the most that a change of `old` may lead to.
    pub fn reach(self, old: u128) -> (u128, u128) {
        let less = old.div_ceil(self.times.max(1)).min(old.saturating_sub(self.by));
        let more = old.saturating_mul(self.times).max(old.saturating_add(self.by));
        (less, more)
    }
}

/// One number of some parameters, with its bounds and its step.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name in the message.
    pub name: &'static str,
    /// What it is; `None` if the field holds no such number.
    pub value: Option<Number>,
    /// Least, in the number's units.
    pub min: u128,
    /// Most.
    pub max: u128,
    /// How far one change may move it.
    pub step: Step,
}

/// A number and its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// What it is.
    pub value: Number,
    /// Least.
    pub min: Number,
    /// Most.
    pub max: Number,
}

/// A change of a number, and how far one may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFar {
    /// Before.
    pub from: Number,
    /// Asked for.
    pub to: Number,
    /// The least that one change may lead to.
    pub least: Number,
    /// The most.
    pub most: Number,
    /// Least of its bounds.
    pub min: Number,
    /// Most.
    pub max: Number,
}

/// Why parameters are refused. The numbers are in boxes, so that an error is small. The codespace is `params`, whatever the room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// A number is out of its bounds.
    #[error("{name} is {}, it must be {} to {}", .number.value, .number.min, .number.max)]
    OutOfBounds {
        /// Which.
        name: &'static str,
        /// What it is and may be.
        number: Box<OutOfBounds>,
    },
    /// A change moves a number too far at once.
    #[error(
        "{name} would go from {} to {}: one change may take it to {} at least and {} at most, within its bounds of {} to {}",
        .number.from, .number.to, .number.least, .number.most, .number.min, .number.max
    )]
    TooFar {
        /// Which.
        name: &'static str,
        /// Where it would go and may go.
        number: Box<TooFar>,
    },
    /// A field that holds no such number.
    #[error("{name} is missing, or no number of its kind")]
    NoNumber {
        /// Which.
        name: &'static str,
    },
    /// Something that is set at genesis for good.
    #[error("{name} cannot be changed: it is {value}")]
    Fixed {
        /// Which.
        name: &'static str,
        /// What it stays.
        value: String,
    },
    /// Numbers that do not go together.
    #[error("{0}")]
    Apart(String),
}

impl Coded for ParamError {
    fn codespace(&self) -> &'static str {
        "params"
    }

    /// 2 to 7 are those of the Cosmos SDK's former module of this name.
    fn code(&self) -> u32 {
        match self {
            Self::OutOfBounds { .. } => 10,
            Self::TooFar { .. } => 11,
            Self::NoNumber { .. } => 12,
            Self::Fixed { .. } => 13,
            Self::Apart(_) => 14,
        }
    }
}

/// A table of a room's numbers: `fn NAME(&Params) -> Vec<Param>`. Each row is `field: reader, min, max,
/// step;`, fields that are no numbers stand behind `apart`. Parameters with another field do not
/// compile.
macro_rules! bounded {
    (
        $(#[$doc:meta])*
        $vis:vis fn $name:ident($params:ident) {
            $($field:ident: $read:path, $min:expr, $max:expr, $step:expr;)+
        }
        $(apart { $($apart:ident),+ $(,)? })?
    ) => {
        $(#[$doc])*
        $vis fn $name(params: &$params) -> alloc::vec::Vec<$crate::params::Param> {
            let $params { $($field,)+ $($($apart: _,)+)? } = params;
            [$($crate::params::Param {
                name: stringify!($field),
                value: $read($field),
                min: $min,
                max: $max,
                step: $step,
            },)+]
            .into()
        }
    };
}
pub(crate) use bounded;

/// The message that changes a room's parameters: all of them are given, those that stay as they are.
macro_rules! update_params {
    ($wire:ident, $params:ident) => {
        /// Changes the room's parameters, in governance's name alone.
        #[derive(Clone, Debug)]
        pub struct UpdateParams {
            pub(crate) params: $params,
        }

        impl UpdateParams {
            /// Checks everything that needs no state.
            pub fn new(msg: $wire) -> Result<Self, $crate::Sdk> {
                let $wire { authority, params } = msg;
                $crate::params::check_authority(&authority)?;
                let missing = || $crate::Sdk::InvalidRequest("params are missing".into());
                Ok(Self { params: params.ok_or_else(missing)? })
            }

            /// Who must sign: governance.
            pub fn signer(&self) -> $crate::Address {
                $crate::params::authority()
            }

            /// What it costs.
            pub fn gas(&self) -> u64 {
                $crate::params::UPDATE_PARAMS_GAS
            }
        }
    };
}
pub(crate) use update_params;

/// The account in whose name governance acts. Nobody has a key to it.
pub fn authority() -> Address {
    Address::of_module(GOV)
}

/// Whether a message's authority is governance.
///
/// # Errors
/// An address that is none, or another one.
pub fn check_authority(authority: &str) -> Result<(), Sdk> {
    let gov = self::authority();
    if Address::parse(authority)? == gov {
        return Ok(());
    }
    Err(Sdk::Unauthorized(format!("invalid authority; expected {gov}, got {authority}")))
}

/// Reads a whole number.
pub fn whole<T: Copy + Into<u128>>(value: &T) -> Option<Number> {
    Some(Number::whole((*value).into()))
}

/// Reads a whole number of a signed field.
pub fn natural<T: Copy + TryInto<u128>>(value: &T) -> Option<Number> {
    (*value).try_into().ok().map(Number::whole)
}

/// Reads a duration of whole seconds.
pub fn seconds(value: &Option<prost_types::Duration>) -> Option<Number> {
    let duration = value.filter(|duration| duration.nanos == 0)?;
    u128::try_from(duration.seconds).ok().map(Number::whole)
}

/// Reads a decimal as protobuf holds a `cosmos.Dec`; the empty text of an unset field is none.
#[expect(clippy::ptr_arg, reason = "a field of that type")]
pub fn decimal(value: &String) -> Option<Number> {
    Dec::parse(value).map(|value| Number::scaled(value.scaled()))
}

/// Basis points in units of a decimal.
pub const fn bps(bps: u128) -> u128 {
    bps.saturating_mul(ONE / 10_000)
}

/// Every number is within its bounds.
///
/// # Errors
/// The first that is not.
pub fn check_bounds(params: &[Param]) -> Result<(), ParamError> {
    for Param { name, value, min, max, step: _ } in params {
        let value = value.ok_or(ParamError::NoNumber { name })?;
        if !(*min..=*max).contains(&value.units) {
            let (min, max) = (value.like(*min), value.like(*max));
            let number = Box::new(OutOfBounds { value, min, max });
            return Err(ParamError::OutOfBounds { name, number });
        }
    }
    Ok(())
}

/// No number moves further than its step. Both are tables of the same parameters.
///
/// # Errors
/// The first that does.
fn check_step(old: &[Param], new: &[Param]) -> Result<(), ParamError> {
    for (old, new) in old.iter().zip(new) {
        let Param { name, value, min, max, step } = *new;
        let (from, to) = old.value.zip(value).ok_or(ParamError::NoNumber { name })?;
        let (least, most) = step.reach(from.units);
        if !(least..=most).contains(&to.units) {
            let like = |units| to.like(units);
            let number = Box::new(TooFar {
                from,
                to,
                least: like(least.max(min)),
                most: like(most.min(max)),
                min: like(min),
                max: like(max),
            });
            return Err(ParamError::TooFar { name, number });
        }
    }
    Ok(())
}

/// Changes a room's numbers, no further than their steps, and reports it. `tables` are those of the
/// parameters as they are and as they will be; `set` writes them.
///
/// # Errors
/// The first number that would move too far.
pub fn change(
    ctx: &mut Ctx<'_>,
    room: &'static str,
    tables: [&[Param]; 2],
    set: impl FnOnce(&mut Ctx<'_>),
) -> Result<(), ParamError> {
    let [old, new] = tables;
    check_step(old, new)?;
    set(ctx);
    report(ctx, room, old, new);
    Ok(())
}

/// Reports what a change changed: `params_updated` {room, and each number that moved, as `old -> new`}.
fn report(ctx: &mut Ctx<'_>, room: &'static str, old: &[Param], new: &[Param]) {
    let moved = |(old, new): (&Param, &Param)| {
        let (from, to) = old.value.zip(new.value)?;
        (from != to).then(|| (new.name, format!("{from} -> {to}")))
    };
    let changes = old.iter().zip(new).filter_map(moved).collect();
    ctx.emit(&Updated { room, changes });
}

struct Updated {
    room: &'static str,
    changes: Vec<(&'static str, String)>,
}

impl Event for Updated {
    fn kind(&self) -> &'static str {
        "params_updated"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let Self { room, changes } = self;
        let room = ("room", (*room).to_string());
        core::iter::once(room).chain(changes.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_symmetric_and_leads_away_from_zero() {
        assert_eq!(Step::twice_or(10).reach(0), (0, 10));
        assert_eq!(Step::twice_or(10).reach(3), (0, 13));
        assert_eq!(Step::twice_or(10).reach(100), (50, 200));
        assert_eq!(Step::by(5).reach(100), (95, 105));
        assert_eq!(Step::by(5).reach(3), (0, 8));
        assert_eq!(Step::twice_or(1).reach(u128::MAX), (u128::MAX / 2 + 1, u128::MAX));
        for old in [0, 1, 7, 1_000] {
            let (least, most) = Step::twice_or(3).reach(old);
            assert!(Step::twice_or(3).reach(most).0 <= old, "a change can be taken back");
            assert!(Step::twice_or(3).reach(least).1 >= old, "a change can be taken back");
        }
    }

    #[test]
    fn numbers_are_shown_as_people_write_them() {
        assert_eq!(Number::whole(1_500).to_string(), "1500");
        assert_eq!(Number::scaled(ONE / 3).to_string(), "0.333333333333333333");
        assert_eq!(Number::scaled(ONE + ONE / 4).to_string(), "1.25");
        assert_eq!(Number::scaled(2 * ONE).to_string(), "2");
    }

    #[test]
    fn the_refusal_names_the_number_its_bounds_and_its_step() {
        let param = |units| Param {
            name: "slots_max",
            value: Some(Number::whole(units)),
            min: 1,
            max: 300,
            step: Step::twice_or(1),
        };
        assert_eq!(check_step(&[param(200)], &[param(100)]), Ok(()));
        let error = check_step(&[param(200)], &[param(99)]).unwrap_err();
        assert_eq!(error.code(), 11);
        assert_eq!(
            error.to_string(),
            "slots_max would go from 200 to 99: one change may take it to 100 at least and 300 at most, within its bounds of 1 to 300"
        );
        let error = check_bounds(&[param(301)]).unwrap_err();
        assert_eq!(error.to_string(), "slots_max is 301, it must be 1 to 300");
        let none = Param { value: None, ..param(1) };
        assert_eq!(check_bounds(&[none]), Err(ParamError::NoNumber { name: "slots_max" }));
        assert_eq!(check_step(&[param(1)], &[none]).unwrap_err().code(), 12);
    }

    #[test]
    fn governance_alone_has_the_authority() {
        assert_eq!(check_authority(&authority().text()), Ok(()));
        let other = Address::of_module("market_escrow").text();
        assert!(matches!(check_authority(&other), Err(Sdk::Unauthorized(_))));
        assert!(matches!(check_authority("gov"), Err(Sdk::InvalidAddress(_))));
    }
}
