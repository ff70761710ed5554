//! What a node says, checked: an object's bytes against the app hash of a header that is verified.

use gpu_node::client::{Client, ClientError};
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, HostFunctionsManager};
use plasma_modules::proof;
use plasma_proto::plasma::proof::v1::{
    QueryProofRequest, QueryProofResponse, query_proof_request::Object,
};
use plasma_proto::tendermint::crypto::ProofOps;
use prost::Message;

use crate::App;
use crate::error::{Failure, Result};
use crate::light::{self, ProveArgs, Verified};

/// The question of a proof.
const PROOF: &str = "/plasma.proof.v1.Query/Proof";
/// The store that holds every object of Plasma.
const STORE: &[u8] = b"plasma";
/// Largest answer that is looked at, bytes: the largest object and two proofs.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Asks for proofs of one state: that before the newest block, whose header holds its app hash.
pub struct Prover<'a> {
    client: &'a Client,
    /// The header.
    pub verified: Verified,
}

impl<'a> Prover<'a> {
    /// Verifies the newest header.
    ///
    /// # Errors
    /// As [`light::newest`].
    pub async fn open(app: &App, client: &'a Client, args: &ProveArgs) -> Result<Self> {
        Ok(Self { client, verified: light::newest(app, client, args).await? })
    }

    /// The height whose state is proven.
    pub fn height(&self) -> u64 {
        self.verified.block.height().saturating_sub(1)
    }

    /// What the chain stores of an object; `None` is proven absence.
    ///
    /// # Errors
    /// If the proof does not hold (exit code 5), the object cannot be named so, or the node does not
    /// answer.
    pub async fn bytes(&self, object: &Object) -> Result<Option<Vec<u8>>> {
        // The key is our own reading of the question.
        let key = proof::key(object).map_err(|error| Failure::usage(error.message))?;
        let request = QueryProofRequest { object: Some(object.clone()) };
        let answer = self.client.query_at(PROOF, &request, Some(self.height())).await;
        let answer: QueryProofResponse = answer.map_err(|error| match error {
            ClientError::Decode { reason, .. } => {
                Failure::unproven(format!("the node's answer is no proof: {reason}"))
            }
            other => other.into(),
        })?;
        let QueryProofResponse { value, proof_ops, .. } = answer;
        let app_hash = self.verified.block.header().app_hash.as_bytes();
        check(&key, value.as_deref(), proof_ops.as_ref(), app_hash)?;
        Ok(value)
    }

    /// As [`Self::bytes`], read as the message that is stored there.
    ///
    /// # Errors
    /// As [`Self::bytes`].
    pub async fn get<M: Message + Default>(&self, object: &Object) -> Result<Option<M>> {
        let bytes = self.bytes(object).await?;
        let read = bytes.map(|bytes| M::decode(&bytes[..])).transpose();
        read.map_err(|error| {
            Failure::usage(format!("what is proven cannot be read: {error}"))
                .hint("this xpl may be older than the chain")
        })
    }
}

/// Holds what a node says of `key` against an app hash, by the two steps of its proof.
///
/// # Errors
/// If one of them does not hold.
pub fn check(
    key: &[u8],
    value: Option<&[u8]>,
    ops: Option<&ProofOps>,
    app_hash: &[u8],
) -> Result<()> {
    let no = |why: &str| {
        Failure::unproven(format!("the proof does not hold: {why}"))
            .hint("the node may be lying; ask another one by --node")
    };
    let ops = ops.map(|ops| ops.ops.as_slice()).unwrap_or_default();
    let [in_store, of_store] = ops else { return Err(no("it has not two steps")) };
    let size = value.map_or(0, <[u8]>::len) + in_store.data.len() + of_store.data.len();
    if size > ANSWER_BYTES_MAX {
        return Err(no("it is too large"));
    }
    let read =
        |data: &[u8]| CommitmentProof::decode(data).map_err(|_| no("a step of it cannot be read"));
    let (in_store, of_store) = (read(&in_store.data)?, read(&of_store.data)?);
    let Some(Proof::Exist(store)) = &of_store.proof else {
        return Err(no("its second step is not of a store"));
    };
    let root = &store.value;
    if !ics23::verify_membership::<HostFunctionsManager>(
        &of_store,
        &ics23::tendermint_spec(),
        &app_hash.to_vec(),
        STORE,
        root,
    ) {
        return Err(no("the store's root is not in the header's app hash"));
    }
    let spec = jmt::ics23_spec();
    let held = match value {
        Some(value) => {
            ics23::verify_membership::<HostFunctionsManager>(&in_store, &spec, root, key, value)
        }
        None => ics23::verify_non_membership::<HostFunctionsManager>(&in_store, &spec, root, key),
    };
    match (held, value) {
        (true, _) => Ok(()),
        (false, Some(_)) => Err(no("the value is not what the chain stores there")),
        (false, None) => Err(no("it does not show that there is nothing")),
    }
}
