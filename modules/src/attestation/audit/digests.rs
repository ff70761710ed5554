//! What duties are signed over, so that nodes and the chain compute the same.

use alloc::{string::String, vec::Vec};

use plasma_proto::plasma::attestation::v1::{LeafProof, MsgReveal, Verdict};
use prost::Message;

use crate::{
    Address,
    attestation::{FINGERPRINT_BYTES, evidence_path, evidence_root, fingerprint_hash, leaf_hash},
    types::{Hash, digest},
};

/// What the audited provider's receipt key signs.
pub fn reveal_digest(chain_id: &str, reveal: &MsgReveal) -> Hash {
    let bare = MsgReveal { carrier: String::new(), signature: Vec::new(), ..reveal.clone() };
    let (id, bytes) = (reveal.audit_id.to_be_bytes(), bare.encode_to_vec());
    digest(&[b"xpl/reveal/v1", chain_id.as_bytes(), &id, &bytes])
}

/// What shows the `drawn` ones of a claim's leaves, to be signed and carried; `None` if `leaves` lacks
/// one of them, or holds something else.
pub fn reveal_msg(audit_id: u64, drawn: &[u32], leaves: &[Vec<u8>]) -> Option<MsgReveal> {
    let names: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let prints: Option<Vec<Hash>> =
        leaves.iter().map(|leaf| leaf.get(..FINGERPRINT_BYTES).map(fingerprint_hash)).collect();
    let prints = prints?;
    let path = |all: &[Hash], index| {
        let path = evidence_path(all, index)?;
        Some(path.into_iter().map(Vec::from).collect())
    };
    let shown = drawn.iter().map(|index| {
        Some(LeafProof {
            index: *index,
            leaf: leaves.get(usize::try_from(*index).ok()?)?.clone(),
            path: path(&names, *index)?,
            fingerprint_path: path(&prints, *index)?,
        })
    });
    Some(MsgReveal {
        carrier: String::new(),
        audit_id,
        fingerprints_root: evidence_root(&prints).into(),
        leaves: shown.collect::<Option<_>>()?,
        signature: Vec::new(),
    })
}

/// What a juror commits to: nobody else can open it, and nobody without the salt tells what it says.
pub fn commitment(
    chain_id: &str,
    audit_id: u64,
    round: u32,
    juror: Address,
    verdict: &Verdict,
    salt: &Hash,
) -> Hash {
    opened(b"xpl/commitment/v1", chain_id, audit_id, round, juror, verdict, salt)
}

/// What a juror's receipt key signs to commit.
pub fn commit_digest(
    chain_id: &str,
    audit_id: u64,
    round: u32,
    juror: Address,
    commitment: &Hash,
) -> Hash {
    let (id, round) = (audit_id.to_be_bytes(), round.to_be_bytes());
    digest(&[b"xpl/commit/v1", chain_id.as_bytes(), &id, &round, &juror.0, commitment])
}

/// What a juror's receipt key signs to open its verdict.
pub fn verdict_digest(
    chain_id: &str,
    audit_id: u64,
    round: u32,
    juror: Address,
    verdict: &Verdict,
    salt: &Hash,
) -> Hash {
    opened(b"xpl/verdict/v1", chain_id, audit_id, round, juror, verdict, salt)
}

fn opened(
    domain: &[u8],
    chain_id: &str,
    audit_id: u64,
    round: u32,
    juror: Address,
    verdict: &Verdict,
    salt: &Hash,
) -> Hash {
    let (id, round) = (audit_id.to_be_bytes(), round.to_be_bytes());
    let verdict = verdict.encode_to_vec();
    digest(&[domain, chain_id.as_bytes(), &id, &round, &juror.0, &verdict, salt])
}

/// The leaves that are to be shown next to the prompt's: `wanted` distinct ones of `1..count`, in order;
/// all of them if there are no more.
pub fn drawn_leaves(beacon: &Hash, audit_id: u64, count: u32, wanted: u32) -> Vec<u32> {
    let mut left: Vec<u32> = (1..count).collect();
    let mut drawn = Vec::from([0]);
    for turn in 0..wanted {
        let hash =
            digest(&[b"xpl/leaves/v1", beacon, &audit_id.to_be_bytes(), &turn.to_be_bytes()]);
        let head = hash.first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
        let len = u64::try_from(left.len()).unwrap_or(u64::MAX);
        let Some(at) = head.checked_rem(len) else { break };
        drawn.push(left.swap_remove(usize::try_from(at).unwrap_or_default()));
    }
    drawn.sort_unstable();
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::hex;
    use plasma_proto::plasma::attestation::v1::Measures;

    #[test]
    fn digests_are_golden() {
        let verdict = Verdict { pass: true, ..Verdict::default() };
        let juror = Address([3; 20]);
        let reveal = MsgReveal { audit_id: 7, carrier: "x".into(), ..MsgReveal::default() };
        let found = [
            hex(&reveal_digest("plasma-1", &reveal)),
            hex(&commitment("plasma-1", 7, 1, juror, &verdict, &[4; 32])),
            hex(&commit_digest("plasma-1", 7, 1, juror, &[5; 32])),
            hex(&verdict_digest("plasma-1", 7, 1, juror, &verdict, &[4; 32])),
        ];
        assert_eq!(found, GOLDEN);
        let other = MsgReveal { carrier: "y".into(), signature: [1].into(), ..reveal.clone() };
        assert_eq!(reveal_digest("plasma-1", &reveal), reveal_digest("plasma-1", &other));
    }

    /// sha256 of (00000011 "xpl/commitment/v1", 00000008 chain id, 00000008 audit id be64, 00000004 round be32,
    /// 00000014 juror, 0000005b the verdict's 91 bytes, 00000020 salt), computed apart: a verdict is pass, the eight
    /// measures in their order, and the answer.
    #[test]
    fn a_commitment_binds_measures_and_answer() {
        let measures = Measures {
            exponent_mismatches: 14,
            mantissa_mean_centi: 250,
            mantissa_median: 2,
            projection_ppm: 30_000,
            margin_ppm: 20_000,
            outliers: 1,
            tokens: 40,
            is_ended_well: true,
        };
        let answer = (0x6400u16..0x6420).flat_map(u16::to_be_bytes).collect();
        let verdict = Verdict { pass: true, measures: Some(measures), answer };
        let bytes = hex(&verdict.encode_to_vec());
        let (head, tail) = bytes.split_at(54);
        assert_eq!(head, "08011215080e10fa01180220b0ea0128a09c013001382840011a40");
        assert!(
            tail.starts_with("640064016402") && tail.ends_with("641e641f") && tail.len() == 128
        );
        let found = commitment("plasma-1", 7, 1, Address([3; 20]), &verdict, &[4; 32]);
        assert_eq!(hex(&found), "51cc776bfb7d639db06e6b148d6f71f7606b1a3c08688b9620a6073caceecc3f");
    }

    /// Draw i goes by the first eight bytes, be64, of sha256 of (0000000d "xpl/leaves/v1", 00000020 beacon, 00000008
    /// audit id be64, 00000004 i be32), mod the leaves that are left; the last of them takes the place of the one
    /// that is drawn. Computed apart.
    #[test]
    fn leaves_that_are_drawn_are_golden() {
        assert_eq!(drawn_leaves(&[1; 32], 7, 40, 4), [0, 6, 11, 23, 36]);
        assert_eq!(drawn_leaves(&[1; 32], 7, 6, 4), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn leaves_are_distinct_and_the_prompts_is_among_them() {
        assert_eq!(drawn_leaves(&[1; 32], 7, 2, 4), [0, 1]);
        assert_eq!(drawn_leaves(&[1; 32], 7, 1, 4), [0]);
        for id in 0..50 {
            let drawn = drawn_leaves(&[1; 32], id, 40, 4);
            assert_eq!((drawn.len(), drawn[0]), (5, 0));
            assert!(drawn.is_sorted_by(|a, b| a < b) && drawn[4] < 40, "{drawn:?}");
        }
        assert_ne!(drawn_leaves(&[1; 32], 7, 40, 4), drawn_leaves(&[2; 32], 7, 40, 4));
    }

    const GOLDEN: [&str; 4] = [
        "bbed0aa579bf7ada2ea031e91e17d87be7f640296c600231a4b2b8a32f1aab20",
        "7485fea1c93e9f8ca6e5c73b2a5b1a2d13b02b6bca0edcb3e5327010b2a02a78",
        "88886e1bf853cc9dbcb10415e6c82f8fdcd50dc23c1fb76e6007c8df50215131",
        "ecb34f0d426bf0c3307cb185c3223b965a19736830e6f9905294d9b56ecfaeac",
    ];
}
