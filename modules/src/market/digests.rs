//! What is hashed and signed, so that nodes and clients compute the same.

use alloc::vec::Vec;

use plasma_proto::plasma::market::v1::{Manifest, MsgDeclineJob, Sampling};
use prost::Message;

use crate::{
    Address,
    types::{Hash, digest, sha256},
};

/// The name of a model: sha256 of its manifest's deterministic bytes.
pub fn model_id(manifest: &Manifest) -> Hash {
    sha256(&manifest.encode_to_vec())
}

/// What a job asks for, in 32 bytes: the digest of `xpl/request/v1`, the model's id, the input,
/// max_tokens (be32), the sampling (be32 temperature, be32 top_p, be64 seed) and each stop string.
pub fn request_hash(
    model_id: &[u8],
    input: &str,
    max_tokens: u32,
    sampling: &Sampling,
    stop: &[alloc::string::String],
) -> Hash {
    let Sampling { temperature_milli, top_p_milli, seed } = sampling;
    let max_tokens = max_tokens.to_be_bytes();
    let mut how = Vec::with_capacity(16);
    how.extend_from_slice(&temperature_milli.to_be_bytes());
    how.extend_from_slice(&top_p_milli.to_be_bytes());
    how.extend_from_slice(&seed.to_be_bytes());
    let mut parts: Vec<&[u8]> =
        [b"xpl/request/v1".as_slice(), model_id, input.as_bytes(), &max_tokens, &how].into();
    parts.extend(stop.iter().map(|text| text.as_bytes()));
    digest(&parts)
}

/// What a receipt key signs to prove that it belongs to `operator`.
pub fn register_digest(chain_id: &str, operator: Address, receipt_key: &[u8]) -> Hash {
    digest(&[b"xpl/register/v1", chain_id.as_bytes(), &operator.0, receipt_key])
}

/// What a receipt key signs to pass a job on: the message with carrier and signature empty.
pub fn decline_digest(chain_id: &str, msg: &MsgDeclineJob) -> Hash {
    let MsgDeclineJob { carrier: _, job_id, attempt, reason, signature: _ } = msg;
    let bare = MsgDeclineJob {
        job_id: *job_id,
        attempt: *attempt,
        reason: reason.clone(),
        ..MsgDeclineJob::default()
    };
    let bytes = bare.encode_to_vec();
    digest(&[b"xpl/decline/v1", chain_id.as_bytes(), &job_id.to_be_bytes(), &bytes])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::hex;
    use alloc::string::String;

    #[test]
    fn every_part_of_a_request_is_bound() {
        let sampling = Sampling { temperature_milli: 700, top_p_milli: 900, seed: 1 };
        let hash = |model: &[u8], input: &str, max, sampling: &Sampling, stop: &[&str]| {
            let stop: Vec<String> = stop.iter().map(|s| String::from(*s)).collect();
            request_hash(model, input, max, sampling, &stop)
        };
        let base = hash(&[1; 32], "hello", 16, &sampling, &["a", "b"]);
        let hotter = Sampling { temperature_milli: 701, ..sampling };
        let other_seed = Sampling { seed: 2, ..sampling };
        for other in [
            hash(&[2; 32], "hello", 16, &sampling, &["a", "b"]),
            hash(&[1; 32], "hellO", 16, &sampling, &["a", "b"]),
            hash(&[1; 32], "hello", 17, &sampling, &["a", "b"]),
            hash(&[1; 32], "hello", 16, &hotter, &["a", "b"]),
            hash(&[1; 32], "hello", 16, &other_seed, &["a", "b"]),
            hash(&[1; 32], "hello", 16, &sampling, &["ab"]),
            hash(&[1; 32], "hello", 16, &sampling, &["a", "b", ""]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn digests_are_golden() {
        let sampling = Sampling { temperature_milli: 0, top_p_milli: 1000, seed: 42 };
        let decline = MsgDeclineJob {
            carrier: "anybody".into(),
            job_id: 7,
            attempt: 1,
            reason: "busy".into(),
            signature: [9; 64].into(),
        };
        let found = [
            hex(&request_hash(&[1; 32], "hello", 16, &sampling, &["x".into()])),
            hex(&register_digest("plasma-1", Address([7; 20]), &[3; 32])),
            hex(&decline_digest("plasma-1", &decline)),
        ];
        assert_eq!(found, GOLDEN);
    }

    const GOLDEN: [&str; 3] = [
        "faff7d283c23e002e8fb88517e092f5783ba0bc3ec5388f95f5db934a5f59ddf",
        "6e98913b3df331eb7c625c9cca790e374d57758cf986885d37669863b2d28a3c",
        "9be1c7291b2ca5f274bae66511e8c8460ed0323205a4a3a5ec596725ce61c2f5",
    ];
}
