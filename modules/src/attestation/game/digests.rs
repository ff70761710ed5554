//! What the provider's moves are signed over, so that nodes and the chain compute the same.

use alloc::{string::String, vec::Vec};

use plasma_proto::plasma::attestation::v1::{MsgDefend, MsgDescend, MsgProve};
use prost::Message;

use crate::types::{Hash, digest};

/// What the provider's receipt key signs to give the root of its trace.
pub fn defend_digest(chain_id: &str, msg: &MsgDefend) -> Hash {
    let bare = MsgDefend { carrier: String::new(), signature: Vec::new(), ..msg.clone() };
    of(b"xpl/defend/v1", chain_id, msg.job_id, &bare)
}

/// What the provider's receipt key signs to give the children of a node.
pub fn descend_digest(chain_id: &str, msg: &MsgDescend) -> Hash {
    let bare = MsgDescend { sender: String::new(), signature: Vec::new(), ..msg.clone() };
    of(b"xpl/descend/v1", chain_id, msg.job_id, &bare)
}

/// What the provider's receipt key signs to show what a tile is made from.
pub fn prove_digest(chain_id: &str, msg: &MsgProve) -> Hash {
    let bare = MsgProve { sender: String::new(), signature: Vec::new(), ..msg.clone() };
    of(b"xpl/prove/v1", chain_id, msg.job_id, &bare)
}

fn of(domain: &[u8], chain_id: &str, job_id: u64, bare: &impl Message) -> Hash {
    digest(&[domain, chain_id.as_bytes(), &job_id.to_be_bytes(), &bare.encode_to_vec()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::hex;
    use plasma_proto::plasma::attestation::v1::Opening;

    #[test]
    fn digests_are_golden() {
        let defend = MsgDefend { job_id: 7, trace_root: [1; 32].into(), ..MsgDefend::default() };
        let descend = MsgDescend {
            job_id: 7,
            path: [3, 1].into(),
            children: [[2; 32].into()].into(),
            ..MsgDescend::default()
        };
        let opening = Opening { values: [0x3f80_0000].into(), path: [[3; 32].into()].into() };
        let prove = MsgProve {
            job_id: 7,
            path: [3, 1].into(),
            inputs: [opening].into(),
            prompt_tokens: [5, 300].into(),
            ..MsgProve::default()
        };
        let found = [
            hex(&defend_digest("plasma-1", &defend)),
            hex(&descend_digest("plasma-1", &descend)),
            hex(&prove_digest("plasma-1", &prove)),
        ];
        assert_eq!(found, GOLDEN);
        let carried = MsgProve { sender: "x".into(), signature: [1].into(), ..prove.clone() };
        assert_eq!(prove_digest("plasma-1", &prove), prove_digest("plasma-1", &carried));
        let other = MsgProve { prompt_tokens: [5].into(), ..prove.clone() };
        assert_ne!(prove_digest("plasma-1", &prove), prove_digest("plasma-1", &other));
    }

    const GOLDEN: [&str; 3] = [
        "dd608ccb42af8b2cb741938ead9a999dca57352f9adb4bb0209d0a5774f1bfa9",
        "43d0f968c1c25a750d8686738b7cef25b0f74543cede528b8989c49aed4c5b5e",
        "85080b94657b0ddd27711bf1a56c5718c18d641784f85756f7272b8bfddbf58f",
    ];
}
