//! What a receipt's hashes and signature are made over, so that nodes, clients and the chain
//! compute the same.

use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::Receipt;
use prost::Message;

use crate::types::{Hash, digest, sha256};

/// What the receipt key signs: the receipt with its signature empty.
pub fn receipt_digest(receipt: &Receipt) -> Hash {
    let bare = Receipt { signature: Vec::new(), ..receipt.clone() };
    let bytes = bare.encode_to_vec();
    let (chain_id, job_id) = (receipt.chain_id.as_bytes(), receipt.job_id.to_be_bytes());
    digest(&[b"xpl/receipt/v1", chain_id, &job_id, &bytes])
}

/// The name of a receipt: sha256 of its bytes, signature included.
pub fn receipt_hash(receipt: &Receipt) -> Hash {
    sha256(&receipt.encode_to_vec())
}

/// What binds tokens, of a prompt or of an output: be32 each.
pub fn tokens_hash(token_ids: &[u32]) -> Hash {
    let bytes: Vec<u8> = token_ids.iter().flat_map(|id| id.to_be_bytes()).collect();
    digest(&[b"xpl/tokens/v1", &bytes])
}

/// What binds an output's text.
pub fn text_hash(text: &str) -> Hash {
    digest(&[b"xpl/text/v1", text.as_bytes()])
}

/// Where a job's sampling begins: the user's seed bound to the job and to the beacon of its assignment,
/// which neither user nor node knew before, so that nobody picks it.
pub fn sampling_seed(assigned_beacon: &[u8], job_id: u64, user_seed: u64) -> Hash {
    digest(&[b"xpl/seed/v2", assigned_beacon, &job_id.to_be_bytes(), &user_seed.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::hex;

    #[test]
    fn digests_are_golden() {
        let receipt = Receipt {
            version: 1,
            chain_id: "plasma-1".into(),
            job_id: 7,
            attempt: 1,
            receipt_key: [3; 32].into(),
            n_fresh: 10,
            charge_uxpl: "11".into(),
            signature: [9; 64].into(),
            ..Receipt::default()
        };
        let found = [
            hex(&receipt_digest(&receipt)),
            hex(&receipt_hash(&receipt)),
            hex(&tokens_hash(&[1, 2, 65_536])),
            hex(&text_hash("hello")),
            hex(&sampling_seed(&[5; 32], 7, 42)),
        ];
        assert_eq!(found, GOLDEN);
    }

    #[test]
    fn the_signature_signs_all_but_itself() {
        let receipt = Receipt { job_id: 7, ..Receipt::default() };
        let signed = Receipt { signature: [1; 64].into(), ..receipt.clone() };
        assert_eq!(receipt_digest(&receipt), receipt_digest(&signed));
        assert_ne!(receipt_hash(&receipt), receipt_hash(&signed));
        let other = Receipt { t_total_ms: 1, ..receipt.clone() };
        assert_ne!(receipt_digest(&receipt), receipt_digest(&other));
    }

    const GOLDEN: [&str; 5] = [
        "1d80fa9296f19e3849fa3989950dedafce827d5714b997e21e046762992dade9",
        "564a6aba3f415bf0dca4c9ee003af4960690ec16c6efdd790d57b65ac1fdcb59",
        "6fb990dff09991f2a0a59ee46028b54ecd315cfc7a523a3414f4bce522acbebc",
        "414cc1b7f4f13111f266d16f154270d7b07c8375aaad2fd8b1d29305b9472139",
        "1a3755ece371df3b01c419cdf55c9c0121bb0b824891e8fb70d40b653077e64e",
    ];
}
