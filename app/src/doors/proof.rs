//! Proofs of public objects, through every door.

use plasma_modules::{proof, query::QueryError};
use plasma_proto::{
    plasma::proof::v1::{QueryProofRequest, QueryProofResponse},
    tendermint::crypto::{ProofOp, ProofOps},
};
use prost::Message;

use super::{Answer, Failure};
use crate::{
    abci::{PROOF_IN_STORE, PROOF_OF_STORE},
    commit::{Proven, Store},
    node::Node,
};

/// What an object is after a block, and the proof of it.
pub const PROOF: &str = "/plasma.proof.v1.Query/Proof";

/// Answers [`PROOF`] from the state after block `height`; 0 is the last one.
pub(super) fn answer(node: &Node, height: u64, request: &[u8]) -> Result<Answer, Failure> {
    let request = QueryProofRequest::decode(request)
        .map_err(|error| QueryError::invalid(error.to_string()))?;
    let object =
        request.object.ok_or_else(|| QueryError::invalid("say which object, or which key"))?;
    let key = proof::key(&object)?;
    let (Proven { value, in_store, of_store }, head) =
        node.prove(height, Store::Plasma, key.clone())?;
    let op = |kind: &str, key: &[u8], data| ProofOp { r#type: kind.into(), key: key.into(), data };
    let ops = vec![
        op(PROOF_IN_STORE, &key, in_store),
        op(PROOF_OF_STORE, Store::Plasma.name().as_bytes(), of_store),
    ];
    let reply = QueryProofResponse {
        key,
        value,
        proof_ops: Some(ProofOps { ops }),
        height: head.height.cast_signed(),
        header_height: head.height.saturating_add(1).cast_signed(),
    };
    Ok(Answer { value: reply.encode_to_vec(), height: head.height })
}
