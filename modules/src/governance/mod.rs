//! What the community decides together.

pub mod consensus;
pub mod grants;
pub mod upgrade;

use alloc::{string::String, vec::Vec};

use plasma_proto::plasma::genesis::v1::GovernanceGenesis;

use crate::{Ctx, Read, Refusal, Sdk, Write, query::Router, rules};

/// No plan, no grant, the default numbers.
pub fn default_genesis() -> GovernanceGenesis {
    GovernanceGenesis {
        grants: Vec::new(),
        next_grant_id: 1,
        upgrade_plan: None,
        applied_upgrades: Vec::new(),
        consensus: Some(rules::default_consensus()),
    }
}

/// Writes what the community decided so far.
pub fn init(store: &mut dyn Write, genesis: &GovernanceGenesis) -> Result<(), Refusal> {
    let GovernanceGenesis { grants, next_grant_id, upgrade_plan, applied_upgrades, consensus } =
        genesis;
    let missing = || Sdk::InvalidRequest("genesis: governance.consensus is missing".into());
    grants::init(store, grants, *next_grant_id)?;
    consensus::init(store, consensus.as_ref().ok_or_else(missing)?)?;
    upgrade::init(store, upgrade_plan.as_ref(), applied_upgrades)
}

/// The whole of it.
pub fn export(store: &dyn Read) -> GovernanceGenesis {
    let (grants, next_grant_id) = grants::export(store);
    GovernanceGenesis {
        grants,
        next_grant_id,
        upgrade_plan: upgrade::plan(store),
        applied_upgrades: upgrade::export_applied(store),
        consensus: rules::CONSENSUS.get(store),
    }
}

/// What is due at the end of a block.
pub fn end_block(ctx: &mut Ctx<'_>) {
    grants::end_block(ctx);
}

/// Every sentence about it holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    grants::check_invariants(store)
}

/// Hands every index key to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    grants::rebuild_derived(store, put);
}

/// Adds the questions.
pub fn routes(router: &mut Router) {
    grants::routes(router);
    upgrade::routes(router);
}
