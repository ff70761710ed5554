use alloc::{format, string::String, vec::Vec};

use plasma_proto::{cosmos::upgrade::v1beta1::Plan, plasma::governance::v1::AppliedUpgrade};

use super::msg::check_plan;
use crate::{Map, Read, Refusal, Sdk, Table, Write, types::sha256};

/// One value or none.
pub(super) const PLAN: Map<(), Plan> = Map::new(Table::UpgradePlan);
/// Under the sha256 of the name.
pub(super) const APPLIED: Map<[u8; 32], AppliedUpgrade> = Map::new(Table::UpgradesApplied);

/// The upgrade that is planned.
pub fn plan(store: &dyn Read) -> Option<Plan> {
    PLAN.get(store, &())
}

/// Height of the first block by the rules of an upgrade.
pub fn applied(store: &dyn Read, name: &str) -> Option<u64> {
    APPLIED.get(store, &sha256(name.as_bytes())).map(|applied| applied.height)
}

pub(super) fn note_applied(store: &mut dyn Write, name: String, height: u64) {
    let key = sha256(name.as_bytes());
    APPLIED.set(store, &key, &AppliedUpgrade { name, height });
}

/// Writes the plan and what was applied.
pub(in crate::governance) fn init(
    store: &mut dyn Write,
    plan: Option<&Plan>,
    applied: &[AppliedUpgrade],
) -> Result<(), Refusal> {
    for AppliedUpgrade { name, height } in applied {
        let twice = self::applied(store, name).is_some();
        if name.is_empty() || twice {
            let text = format!("genesis: the applied upgrade {name:?} stands twice or has no name");
            return Err(Sdk::InvalidRequest(text).into());
        }
        note_applied(store, name.clone(), *height);
    }
    if let Some(plan) = plan {
        check_plan(plan)?;
        PLAN.set(store, &(), plan);
    }
    Ok(())
}

/// What was applied, in order of height.
pub(in crate::governance) fn export_applied(store: &dyn Read) -> Vec<AppliedUpgrade> {
    let mut applied: Vec<_> = APPLIED.iter(store).map(|(_, applied)| applied).collect();
    applied.sort_by(|a, b| (a.height, &a.name).cmp(&(b.height, &b.name)));
    applied
}
