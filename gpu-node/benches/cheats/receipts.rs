//! Receipts that were judged, one a line of `samples.jsonl`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use gpu_node::verify::beyond;
use plasma_modules::attestation::audit::drift;
use plasma_proto::plasma::attestation::v1::{Measures, Profile};
use plasma_proto::plasma::market::v1::Sampling;
use serde_json::{Value, json};

use crate::lab::TOP_P_MILLI;
use crate::ways::{WAYS, Way};

/// One receipt, judged.
#[derive(Debug, Clone)]
pub struct Judged {
    pub way: Way,
    pub temperature_milli: u32,
    pub tokens: u32,
    pub segments: usize,
    pub measures: Measures,
}

impl Judged {
    /// What a juror with this profile finds wrong.
    pub fn faults(&self, profile: &Profile) -> Vec<&'static str> {
        let end = (!self.measures.is_ended_well).then_some("end");
        beyond(&self.measures, profile).chain(end).collect()
    }

    /// Whether its margins add up: the chain's own rule.
    pub fn is_drawn(&self) -> bool {
        let temperature_milli = self.temperature_milli;
        drift::is_drawn(&Sampling { temperature_milli, top_p_milli: TOP_P_MILLI, seed: 0 })
    }

    pub fn is_caught(&self, profile: &Profile) -> bool {
        !self.faults(profile).is_empty()
    }
}

/// A row of a JSON object of numbers, and back.
macro_rules! numbers {
    ($($name:ident)*) => {
        fn measures_json(measures: &Measures) -> Value {
            json!({ $(stringify!($name): measures.$name,)* "is_ended_well": measures.is_ended_well })
        }

        fn measures_of(value: &Value) -> Option<Measures> {
            let number = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
            let is_ended_well = value.get("is_ended_well")?.as_bool()?;
            Some(Measures { $($name: number(stringify!($name))?,)* is_ended_well })
        }
    };
}

numbers! {
    exponent_mismatches mantissa_mean_centi mantissa_median projection_ppm margin_ppm outliers tokens
}

impl Judged {
    pub fn json(&self) -> Value {
        let Self { way, temperature_milli, tokens, segments, measures } = self;
        json!({
            "provider": way.name(),
            "temperature_milli": temperature_milli,
            "length": tokens,
            "segments": segments,
            "measures": measures_json(measures),
        })
    }

    /// A receipt that a former run wrote.
    fn of_json(value: &Value) -> Option<Self> {
        let name = value.get("provider")?.as_str()?;
        let number = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
        Some(Self {
            way: WAYS.iter().copied().find(|way| way.name() == name)?,
            temperature_milli: number("temperature_milli")?,
            tokens: number("length")?,
            segments: number("segments")? as usize,
            measures: measures_of(value.get("measures")?)?,
        })
    }
}

/// Every receipt that a former run wrote, a line each.
pub fn read_samples(path: &Path) -> Result<Vec<Judged>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let of = |(at, line): (usize, &str)| {
        let value = serde_json::from_str(line).ok();
        value.as_ref().and_then(Judged::of_json).with_context(|| {
            format!("line {} of {} is no receipt of the lab", at + 1, path.display())
        })
    };
    text.lines().enumerate().map(of).collect()
}
