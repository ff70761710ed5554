//! Whose turn it is, and what the block's randomness becomes.

use alloc::vec::Vec;

use super::{
    ENTRY_BYTES, Error, Output, Proof, SecretKey,
    entry::{decode, encode},
    event::Event,
    state::key_in_effect,
    vrf::verify,
};
use crate::{
    Address, Read, Recorded,
    types::{Hash, digest, sha256},
};

/// What the proposer of block `height` proves, with `beacon` of the block before.
pub fn alpha(chain_id: &str, beacon: &Hash, height: u64) -> Hash {
    digest(&[b"xpl/beacon/v1", chain_id.as_bytes(), beacon, &height.to_be_bytes()])
}

/// The beacon of a block with a proof.
pub fn by_proof(beacon: &Hash, output: &Output) -> Hash {
    digest(&[b"xpl/beacon-next/v1", beacon, output])
}

/// The beacon of a block without: whoever knows the last one knows it.
pub fn by_hash(beacon: &Hash, height: u64) -> Hash {
    sha256(&[&beacon[..], &height.to_be_bytes()].concat())
}

/// The entry with which a proposer begins its block; `None` without a key in effect, which brings none.
///
/// # Errors
/// The key in effect is not `secret`'s: the block would be rejected.
pub fn entry(
    store: &dyn Read,
    chain_id: &str,
    beacon: &Hash,
    height: u64,
    proposer: Option<Address>,
    secret: Option<&SecretKey>,
) -> Result<Option<[u8; ENTRY_BYTES]>, Error> {
    let Some(key) = proposer.and_then(|operator| key_in_effect(store, operator, height)) else {
        return Ok(None);
    };
    let secret = secret.filter(|secret| secret.public() == key);
    let secret = secret.ok_or(Error::NotThisKey { registered: key })?;
    Ok(Some(encode(&secret.prove(&alpha(chain_id, beacon, height)))))
}

/// The beacon of a block that begins.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// The block's randomness.
    pub beacon: Hash,
    /// What the block's own entry came to, or that one is missing; `Ok` too where none is due.
    pub entered: Result<(), Error>,
    proposer: Option<Address>,
    proven: bool,
}

impl Turn {
    /// Judges the own `entry` of block `height`. One that is missing, false, or not due changes nothing of the beacon, which
    /// then goes on by hash: a block like that is never voted for, but where it is decided all the same
    /// everybody executes it alike.
    pub fn of(
        store: &dyn Read,
        chain_id: &str,
        beacon: &Hash,
        height: u64,
        proposer: Option<Address>,
        entry: Option<&[u8]>,
    ) -> Self {
        let key = proposer.and_then(|operator| key_in_effect(store, operator, height));
        let output = match (key, entry) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::NotDue),
            (Some(_), None) => Err(Error::Missing),
            (Some(key), Some(entry)) => decode(entry).and_then(|proof: Proof| {
                let input = alpha(chain_id, beacon, height);
                verify(&key, &input, &proof).map(Some).ok_or(Error::WrongProof)
            }),
        };
        let (beacon, proven) = match &output {
            Ok(Some(output)) => (by_proof(beacon, output), true),
            Ok(None) | Err(_) => (by_hash(beacon, height), false),
        };
        Self { beacon, entered: output.map(drop), proposer, proven }
    }

    /// What is told of it.
    pub fn events(&self) -> Vec<Recorded> {
        let Self { beacon, entered: _, proposer, proven } = self;
        let event = Event::Beacon { beacon: *beacon, proposer: *proposer, proven: *proven };
        let kind = crate::Event::kind(&event);
        [Recorded { kind, attributes: crate::Event::attributes(&event) }].into()
    }
}
