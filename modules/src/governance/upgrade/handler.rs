use alloc::{format, string::String};

use plasma_proto::{
    cosmos::upgrade::v1beta1::{MsgCancelUpgradeResponse, MsgSoftwareUpgradeResponse, Plan},
    tendermint::types::VersionParams,
};

use super::{
    CancelUpgrade, PlanUpgrade,
    event::Event,
    state::{self, PLAN, note_applied},
};
use crate::{
    Ctx, Read, Sdk, Write,
    error::fault,
    rules::{self, CONSENSUS, GENESIS_VERSION},
};

/// A change of rules that a program knows.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    /// As governance names it.
    pub name: &'static str,
    /// The version of the rules that it leads to; higher than that of every one before it.
    pub version: u64,
    /// What it changes in the state, at the begin of its block. It must read and write only what the
    /// state says, and end: a state it cannot read is a fault.
    pub migrate: fn(&mut dyn Write),
}

/// The upgrades that this program knows, all since genesis, in order of version.
pub const UPGRADES: &[Upgrade] = &[];

/// Why a program must not touch a block: other rules than its own hold for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Due {
    /// The block is the first one of an upgrade that it does not know.
    #[error(
        "upgrade {name:?} is due at height {height}, and this program does not know it: install the release that does and start again, and the chain goes on with block {height} ({info})"
    )]
    Unknown {
        /// The upgrade.
        name: String,
        /// Its height.
        height: u64,
        /// What governance said about it.
        info: String,
    },
    /// The state follows later rules.
    #[error(
        "the state follows version {state} of the rules, and this program knows them up to version {known}: install the release that the network runs and start again"
    )]
    Behind {
        /// The state's version.
        state: u64,
        /// The program's last one.
        known: u64,
    },
}

/// Whether a program that knows `upgrades` may make, judge or execute block `height` on top of `store`.
///
/// # Errors
/// Why it must not.
pub fn due(store: &dyn Read, height: u64, upgrades: &[Upgrade]) -> Result<(), Due> {
    let state = rules::version(store);
    let known = upgrades.iter().map(|upgrade| upgrade.version).fold(GENESIS_VERSION, u64::max);
    if state > known {
        return Err(Due::Behind { state, known });
    }
    match state::plan(store).filter(|plan| is_at(plan, height)) {
        Some(plan) if find(upgrades, &plan.name, state).is_none() => {
            let Plan { name, info, .. } = plan;
            let info = if info.is_empty() { "its proposal says where it is".into() } else { info };
            Err(Due::Unknown { name, height, info })
        }
        _ => Ok(()),
    }
}

/// Carries out the upgrade that is planned for this block, before anything else happens in it. The
/// program knows it: [`due`] was asked.
pub fn begin_block(ctx: &mut Ctx<'_>, upgrades: &[Upgrade]) {
    let height = ctx.block.height;
    let Some(plan) = state::plan(ctx.store).filter(|plan| is_at(plan, height)) else { return };
    let Plan { name, .. } = plan;
    let upgrade = find(upgrades, &name, rules::version(ctx.store))
        .unwrap_or_else(|| fault("an upgrade that this program does not know", name.as_bytes()));
    PLAN.remove(ctx.store, &());
    (upgrade.migrate)(ctx.store);
    let version = upgrade.version;
    let mut consensus = CONSENSUS.get(ctx.store).unwrap_or_else(rules::default_consensus);
    consensus.version = Some(VersionParams { app: version });
    CONSENSUS.set(ctx.store, &consensus);
    note_applied(ctx.store, name.clone(), height);
    ctx.emit(&Event::Applied { name, height, version });
}

fn is_at(plan: &Plan, height: u64) -> bool {
    u64::try_from(plan.height) == Ok(height)
}

/// The upgrade of that name that leads on from a version.
fn find<'u>(upgrades: &'u [Upgrade], name: &str, from: u64) -> Option<&'u Upgrade> {
    upgrades.iter().find(|upgrade| upgrade.name == name && upgrade.version > from)
}

/// `MsgSoftwareUpgrade`.
pub fn plan_upgrade(
    ctx: &mut Ctx<'_>,
    msg: PlanUpgrade,
) -> Result<MsgSoftwareUpgradeResponse, Sdk> {
    let PlanUpgrade { plan } = msg;
    let now = ctx.block.height;
    let height = u64::try_from(plan.height).unwrap_or_default();
    if height <= now {
        let text = format!("upgrade cannot be scheduled in the past: {height} at block {now}");
        return Err(Sdk::InvalidRequest(text));
    }
    if let Some(height) = state::applied(ctx.store, &plan.name) {
        let text =
            format!("upgrade with name {} has already been completed, at {height}", plan.name);
        return Err(Sdk::InvalidRequest(text));
    }
    PLAN.set(ctx.store, &(), &plan);
    ctx.emit(&Event::Planned { name: plan.name, height });
    Ok(MsgSoftwareUpgradeResponse {})
}

/// `MsgCancelUpgrade`.
pub fn cancel_upgrade(
    ctx: &mut Ctx<'_>,
    msg: CancelUpgrade,
) -> Result<MsgCancelUpgradeResponse, Sdk> {
    let CancelUpgrade(()) = msg;
    let plan =
        state::plan(ctx.store).ok_or_else(|| Sdk::NotFound("no upgrade is planned".into()))?;
    PLAN.remove(ctx.store, &());
    ctx.emit(&Event::Cancelled { name: plan.name });
    Ok(MsgCancelUpgradeResponse {})
}
