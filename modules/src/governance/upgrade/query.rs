use alloc::vec::Vec;

use plasma_proto::cosmos::upgrade::v1beta1::{
    ModuleVersion, QueryAppliedPlanRequest, QueryAppliedPlanResponse, QueryAuthorityRequest,
    QueryAuthorityResponse, QueryCurrentPlanRequest, QueryCurrentPlanResponse,
    QueryModuleVersionsRequest, QueryModuleVersionsResponse, QueryUpgradedConsensusStateRequest,
    QueryUpgradedConsensusStateResponse,
};

use super::state;
use crate::{
    View, params,
    query::{QueryError, Router},
    rules,
};

/// Rooms that follow the rules of one version together.
const ROOMS: [&str; 10] = [
    "attestation",
    "auth",
    "authz",
    "feegrant",
    "governance",
    "market",
    "price",
    "reward",
    "staking",
    "token",
];

/// Adds the questions about upgrades.
pub(in crate::governance) fn routes(router: &mut Router) {
    router.add("/cosmos.upgrade.v1beta1.Query/CurrentPlan", current);
    router.add("/cosmos.upgrade.v1beta1.Query/AppliedPlan", applied);
    router.add("/cosmos.upgrade.v1beta1.Query/UpgradedConsensusState", consensus_state);
    router.add("/cosmos.upgrade.v1beta1.Query/ModuleVersions", versions);
    router.add("/cosmos.upgrade.v1beta1.Query/Authority", authority);
}

fn current(
    view: &View<'_>,
    _: QueryCurrentPlanRequest,
) -> Result<QueryCurrentPlanResponse, QueryError> {
    Ok(QueryCurrentPlanResponse { plan: state::plan(view.store) })
}

fn applied(
    view: &View<'_>,
    ask: QueryAppliedPlanRequest,
) -> Result<QueryAppliedPlanResponse, QueryError> {
    let height = state::applied(view.store, &ask.name).unwrap_or_default();
    Ok(QueryAppliedPlanResponse { height: i64::try_from(height).unwrap_or(i64::MAX) })
}

fn consensus_state(
    _: &View<'_>,
    _: QueryUpgradedConsensusStateRequest,
) -> Result<QueryUpgradedConsensusStateResponse, QueryError> {
    Err(QueryError::not_found("upgraded consensus states belong to IBC, which is not there"))
}

fn versions(
    view: &View<'_>,
    ask: QueryModuleVersionsRequest,
) -> Result<QueryModuleVersionsResponse, QueryError> {
    let version = rules::version(view.store);
    let asked = |name: &&str| ask.module_name.is_empty() || ask.module_name == *name;
    let module_versions: Vec<_> = ROOMS
        .into_iter()
        .filter(asked)
        .map(|name| ModuleVersion { name: name.into(), version })
        .collect();
    if module_versions.is_empty() {
        let text =
            alloc::format!("x/upgrade: QueryModuleVersions module {} not found", ask.module_name);
        return Err(QueryError::not_found(text));
    }
    Ok(QueryModuleVersionsResponse { module_versions })
}

fn authority(_: &View<'_>, _: QueryAuthorityRequest) -> Result<QueryAuthorityResponse, QueryError> {
    Ok(QueryAuthorityResponse { address: params::authority().text() })
}
