//! What the community decides together.

pub mod consensus;
pub mod upgrade;

use alloc::vec::Vec;

use plasma_proto::plasma::genesis::v1::GovernanceGenesis;

use crate::{Read, Refusal, Sdk, Write, query::Router, rules};

/// No plan, the default numbers.
pub fn default_genesis() -> GovernanceGenesis {
    GovernanceGenesis {
        upgrade_plan: None,
        applied_upgrades: Vec::new(),
        consensus: Some(rules::default_consensus()),
    }
}

/// Writes what the community decided so far.
pub fn init(store: &mut dyn Write, genesis: &GovernanceGenesis) -> Result<(), Refusal> {
    let GovernanceGenesis { upgrade_plan, applied_upgrades, consensus } = genesis;
    let missing = || Sdk::InvalidRequest("genesis: governance.consensus is missing".into());
    consensus::init(store, consensus.as_ref().ok_or_else(missing)?)?;
    upgrade::init(store, upgrade_plan.as_ref(), applied_upgrades)
}

/// The whole of it.
pub fn export(store: &dyn Read) -> GovernanceGenesis {
    GovernanceGenesis {
        upgrade_plan: upgrade::plan(store),
        applied_upgrades: upgrade::export_applied(store),
        consensus: rules::CONSENSUS.get(store),
    }
}

/// Adds the questions.
pub fn routes(router: &mut Router) {
    upgrade::routes(router);
}
