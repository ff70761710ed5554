use plasma_proto::cosmos::mint::v1beta1::{
    QueryAnnualProvisionsRequest, QueryAnnualProvisionsResponse, QueryInflationRequest,
    QueryInflationResponse, QueryParamsRequest, QueryParamsResponse,
};

use super::state::{MINTER, PARAMS};
use crate::{
    View,
    query::{QueryError, Router},
};

/// Adds what Cosmos clients ask of inflation. Decimals are bytes here: the digits of the integer.
pub fn routes(router: &mut Router) {
    router.add("/cosmos.mint.v1beta1.Query/Params", own_params);
    router.add("/cosmos.mint.v1beta1.Query/Inflation", inflation);
    router.add("/cosmos.mint.v1beta1.Query/AnnualProvisions", annual_provisions);
}

fn own_params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: PARAMS.get(view.store) })
}

fn inflation(
    view: &View<'_>,
    _: QueryInflationRequest,
) -> Result<QueryInflationResponse, QueryError> {
    let minter = MINTER.get(view.store).unwrap_or_default();
    Ok(QueryInflationResponse { inflation: minter.inflation.into_bytes() })
}

fn annual_provisions(
    view: &View<'_>,
    _: QueryAnnualProvisionsRequest,
) -> Result<QueryAnnualProvisionsResponse, QueryError> {
    let minter = MINTER.get(view.store).unwrap_or_default();
    let annual_provisions = minter.annual_provisions_uxpl.into_bytes();
    Ok(QueryAnnualProvisionsResponse { annual_provisions })
}
