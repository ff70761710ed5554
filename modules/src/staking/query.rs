use plasma_proto::plasma::staking::v1::{QueryValidatorsRequest, QueryValidatorsResponse};

use super::{distribution, mint, state::VALIDATORS};
use crate::{
    View,
    query::{PAGE_MAX, QueryError, Router},
};

/// Adds this module's questions.
pub fn routes(router: &mut Router) {
    router.add("/plasma.staking.v1.Query/Validators", validators);
    distribution::routes(router);
    mint::routes(router);
}

fn validators(
    view: &View<'_>,
    _: QueryValidatorsRequest,
) -> Result<QueryValidatorsResponse, QueryError> {
    let validators =
        VALIDATORS.iter(view.store).take(PAGE_MAX).map(|(_, validator)| validator).collect();
    Ok(QueryValidatorsResponse { validators })
}
