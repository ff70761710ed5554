//! Proofs of public objects, through every door.

use plasma_modules::{proof, query::QueryError};
use plasma_proto::{
    plasma::proof::v1::{QueryProofRequest, QueryProofResponse},
    tendermint::crypto::{ProofOp, ProofOps},
};

use super::{Failure, calls::Asked};
use crate::{
    abci::{PROOF_IN_STORE, PROOF_OF_STORE},
    commit::{Proven, Store},
};

/// What an object is after a block, and the proof of it.
pub const PROOF: &str = "/plasma.proof.v1.Query/Proof";

/// Answers [`PROOF`].
pub(super) fn answer(
    asked: Asked<'_>,
    request: QueryProofRequest,
) -> Result<QueryProofResponse, Failure> {
    let object =
        request.object.ok_or_else(|| QueryError::invalid("say which object, or which key"))?;
    let key = proof::key(&object)?;
    let (Proven { value, in_store, of_store }, head) =
        asked.doors.node.prove(asked.height, Store::Plasma, key.clone())?;
    let op = |kind: &str, key: &[u8], data| ProofOp { r#type: kind.into(), key: key.into(), data };
    let ops = vec![
        op(PROOF_IN_STORE, &key, in_store),
        op(PROOF_OF_STORE, Store::Plasma.name().as_bytes(), of_store),
    ];
    Ok(QueryProofResponse {
        key,
        value,
        proof_ops: Some(ProofOps { ops }),
        height: head.height.cast_signed(),
        header_height: head.height.saturating_add(1).cast_signed(),
    })
}
