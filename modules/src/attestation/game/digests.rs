//! What the provider's moves are signed over, so that nodes and the chain compute the same.

use alloc::{string::String, vec::Vec};

use plasma_proto::plasma::attestation::v1::{MsgDefend, MsgDescend};
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

fn of(domain: &[u8], chain_id: &str, job_id: u64, bare: &impl Message) -> Hash {
    digest(&[domain, chain_id.as_bytes(), &job_id.to_be_bytes(), &bare.encode_to_vec()])
}
