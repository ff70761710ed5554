//! Questions about the beacon.

use alloc::format;

use plasma_proto::plasma::attestation::v1::{
    QueryBeaconKeyRequest, QueryBeaconKeyResponse, QueryBeaconKeysRequest, QueryBeaconKeysResponse,
    QueryBeaconRequest, QueryBeaconResponse,
};

use super::state::KEYS;
use crate::{
    Address, View,
    query::{QueryError, Router, page},
};

/// Adds the questions about the beacon.
pub(in crate::attestation) fn routes(router: &mut Router) {
    router.add("/plasma.attestation.v1.Query/Beacon", beacon);
    router.add("/plasma.attestation.v1.Query/BeaconKey", one);
    router.add("/plasma.attestation.v1.Query/BeaconKeys", many);
}

fn beacon(view: &View<'_>, _: QueryBeaconRequest) -> Result<QueryBeaconResponse, QueryError> {
    let (height, beacon) = (view.block.height, view.block.beacon.into());
    Ok(QueryBeaconResponse { height, beacon })
}

fn one(view: &View<'_>, ask: QueryBeaconKeyRequest) -> Result<QueryBeaconKeyResponse, QueryError> {
    let operator = Address::parse(&ask.operator)?;
    let keys = KEYS.get(view.store, &operator);
    let keys = keys.ok_or_else(|| QueryError::not_found(format!("beacon key of {operator}")))?;
    Ok(QueryBeaconKeyResponse { keys: Some(keys) })
}

fn many(
    view: &View<'_>,
    ask: QueryBeaconKeysRequest,
) -> Result<QueryBeaconKeysResponse, QueryError> {
    let (entries, pagination) = page(view.store, &KEYS, &(), ask.pagination)?;
    let validators = entries.into_iter().map(|(_, keys)| keys).collect();
    Ok(QueryBeaconKeysResponse { validators, pagination: Some(pagination) })
}
