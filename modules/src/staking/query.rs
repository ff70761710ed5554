use plasma_proto::plasma::staking::v1::{
    QueryPoolsRequest, QueryPoolsResponse, QueryValidatorsRequest, QueryValidatorsResponse,
};

use super::state::{POOLS, VALIDATORS};
use crate::{
    View,
    query::{PAGE_MAX, QueryError, Router},
};

/// Adds this module's questions.
pub fn routes(router: &mut Router) {
    router.add("/plasma.staking.v1.Query/Validators", validators);
    router.add("/plasma.staking.v1.Query/Pools", pools);
}

fn validators(
    view: &View<'_>,
    _: QueryValidatorsRequest,
) -> Result<QueryValidatorsResponse, QueryError> {
    let validators =
        VALIDATORS.iter(view.store).take(PAGE_MAX).map(|(_, validator)| validator).collect();
    Ok(QueryValidatorsResponse { validators })
}

fn pools(view: &View<'_>, _: QueryPoolsRequest) -> Result<QueryPoolsResponse, QueryError> {
    Ok(QueryPoolsResponse { pools: POOLS.get(view.store) })
}
