//! Messages that exist only when well formed, whatever the state.

use alloc::{boxed::Box, vec::Vec};

use plasma_proto::plasma::attestation::v1::{
    LeafProof, MsgAppeal, MsgCommitVerdict, MsgDispute, MsgJoinPool, MsgLeavePool, MsgReveal,
    MsgRevealVerdict, MsgSetProfile, Profile, Verdict,
};
use prost::Message;

use super::{Error, question};
use crate::{
    Address, Amount, Sdk,
    attestation::{LEAF_BYTES, PATH_MAX},
    market::gas::{self, SIGNATURE_GAS},
    types::{Hash, hash32},
};

/// Most leaves that a message shows.
pub const LEAVES_SHOWN_MAX: usize = 33;

/// A profile: those who stand behind it are counted.
const PROFILE_GAS: u64 = 200_000;
/// Joining or leaving a pool: while a profile is proposed both pools are looked at.
const POOL_GAS: u64 = 1_000_000;
/// An audit from its jury's draw over seats and windows to its end, without the duties of jurors.
const AUDIT_GAS: u64 = 800_000;
/// A duty without its bytes.
const DUTY_GAS: u64 = 90_000;
/// A leaf: its form, and the hashes of its two paths.
const LEAF_GAS: u64 = 20_000;

fn bad(field: &'static str, why: &'static str) -> Error {
    Error::BadField { field, why }
}

fn hash(field: &'static str, bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or(bad(field, "must be 32 bytes"))
}

fn signature(bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    if bytes.len() == 64 { Ok(bytes) } else { Err(bad("signature", "must be 64 bytes")) }
}

fn bond(text: &str) -> Result<Amount, Error> {
    let refused = || Sdk::InvalidCoins("bond_uxpl must be decimal digits".into());
    Ok(Amount::parse(text).ok_or_else(refused)?)
}

/// A model's publisher sets its profile.
#[derive(Clone, Debug)]
pub struct SetProfile {
    pub(super) publisher: Address,
    pub(super) model_id: Hash,
    pub(super) profile: Profile,
}

impl SetProfile {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgSetProfile) -> Result<Self, Error> {
        let MsgSetProfile { publisher, model_id, profile } = msg;
        Ok(Self {
            publisher: Address::parse(&publisher)?,
            model_id: hash("model_id", &model_id)?,
            profile: profile.ok_or(bad("profile", "is missing"))?,
        })
    }

    /// The publisher.
    pub fn signer(&self) -> Address {
        self.publisher
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        PROFILE_GAS
    }
}

/// A provider joins a model's pool.
#[derive(Clone, Debug)]
pub struct JoinPool {
    pub(super) operator: Address,
    pub(super) model_id: Hash,
    pub(super) profile_hash: Hash,
}

impl JoinPool {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgJoinPool) -> Result<Self, Error> {
        let MsgJoinPool { operator, model_id, profile_hash } = msg;
        Ok(Self {
            operator: Address::parse(&operator)?,
            model_id: hash("model_id", &model_id)?,
            profile_hash: hash("profile_hash", &profile_hash)?,
        })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        POOL_GAS
    }
}

/// An operator leaves a model's pool.
#[derive(Clone, Debug)]
pub struct LeavePool {
    pub(super) operator: Address,
    pub(super) model_id: Hash,
}

impl LeavePool {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgLeavePool) -> Result<Self, Error> {
        let MsgLeavePool { operator, model_id } = msg;
        let operator = Address::parse(&operator)?;
        Ok(Self { operator, model_id: hash("model_id", &model_id)? })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        POOL_GAS
    }
}

/// Somebody disputes a claim.
#[derive(Clone, Debug)]
pub struct Dispute {
    pub(super) disputer: Address,
    pub(super) job_id: u64,
    pub(super) bond: Amount,
}

impl Dispute {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgDispute) -> Result<Self, Error> {
        let MsgDispute { disputer, job_id, bond_uxpl } = msg;
        Ok(Self { disputer: Address::parse(&disputer)?, job_id, bond: bond(&bond_uxpl)? })
    }

    /// Who disputes.
    pub fn signer(&self) -> Address {
        self.disputer
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        AUDIT_GAS
    }
}

/// An operator asks for a larger jury.
#[derive(Clone, Debug)]
pub struct Appeal {
    pub(super) operator: Address,
    pub(super) audit_id: u64,
    pub(super) bond: Amount,
}

impl Appeal {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgAppeal) -> Result<Self, Error> {
        let MsgAppeal { operator, audit_id, bond_uxpl } = msg;
        Ok(Self { operator: Address::parse(&operator)?, audit_id, bond: bond(&bond_uxpl)? })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        AUDIT_GAS
    }
}

/// A provider shows the drawn leaves.
#[derive(Clone, Debug)]
pub struct Reveal {
    pub(super) carrier: Address,
    /// As it was signed.
    pub(super) msg: Box<MsgReveal>,
    pub(super) fingerprints_root: Hash,
    /// The paths of each leaf.
    pub(super) paths: Vec<(Vec<Hash>, Vec<Hash>)>,
}

impl Reveal {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgReveal) -> Result<Self, Error> {
        let MsgReveal { carrier, audit_id: _, fingerprints_root, leaves, signature } = &msg;
        let carrier = Address::parse(carrier)?;
        let fingerprints_root = hash("fingerprints_root", fingerprints_root)?;
        self::signature(signature.clone())?;
        if leaves.is_empty() || leaves.len() > LEAVES_SHOWN_MAX {
            return Err(bad("leaves", "must be 1 to 33"));
        }
        let path = |field, path: &[Vec<u8>]| {
            if path.len() > PATH_MAX {
                return Err(bad(field, "must have at most 32 steps"));
            }
            path.iter().map(|step| hash(field, step)).collect::<Result<Vec<_>, _>>()
        };
        let mut paths = Vec::with_capacity(leaves.len());
        for LeafProof { index: _, leaf, path: under, fingerprint_path } in leaves {
            if leaf.len() != LEAF_BYTES {
                return Err(bad("leaf", "must be 770 bytes"));
            }
            paths.push((path("path", under)?, path("fingerprint_path", fingerprint_path)?));
        }
        Ok(Self { carrier, fingerprints_root, paths, msg: Box::new(msg) })
    }

    /// The carrier: any account.
    pub fn signer(&self) -> Address {
        self.carrier
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        let leaves = u64::try_from(self.paths.len()).unwrap_or(u64::MAX);
        DUTY_GAS
            .saturating_add(SIGNATURE_GAS)
            .saturating_add(LEAF_GAS.saturating_mul(leaves))
            .saturating_add(gas::stored(self.msg.encoded_len()))
    }
}

/// A juror commits to a verdict.
#[derive(Clone, Debug)]
pub struct CommitVerdict {
    pub(super) carrier: Address,
    pub(super) audit_id: u64,
    pub(super) juror: Address,
    pub(super) commitment: Hash,
    pub(super) signature: Vec<u8>,
}

impl CommitVerdict {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCommitVerdict) -> Result<Self, Error> {
        let MsgCommitVerdict { carrier, audit_id, juror, commitment, signature } = msg;
        Ok(Self {
            carrier: Address::parse(&carrier)?,
            audit_id,
            juror: Address::parse(&juror)?,
            commitment: hash("commitment", &commitment)?,
            signature: self::signature(signature)?,
        })
    }

    /// The carrier: any account.
    pub fn signer(&self) -> Address {
        self.carrier
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        DUTY_GAS.saturating_add(SIGNATURE_GAS)
    }
}

/// A juror opens its verdict.
#[derive(Clone, Debug)]
pub struct RevealVerdict {
    pub(super) carrier: Address,
    pub(super) audit_id: u64,
    pub(super) juror: Address,
    pub(super) verdict: Verdict,
    pub(super) salt: Hash,
    pub(super) signature: Vec<u8>,
}

impl RevealVerdict {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgRevealVerdict) -> Result<Self, Error> {
        let MsgRevealVerdict { carrier, audit_id, juror, verdict, salt, signature } = msg;
        let verdict = verdict.ok_or(bad("verdict", "is missing"))?;
        if verdict.measures.is_none() {
            return Err(bad("verdict.measures", "are missing"));
        }
        if !verdict.answer.is_empty() && !question::is_answer(&verdict.answer) {
            return Err(bad("verdict.answer", "must be 32 finite numbers of two bytes, or empty"));
        }
        Ok(Self {
            carrier: Address::parse(&carrier)?,
            audit_id,
            juror: Address::parse(&juror)?,
            verdict,
            salt: hash("salt", &salt)?,
            signature: self::signature(signature)?,
        })
    }

    /// The carrier: any account.
    pub fn signer(&self) -> Address {
        self.carrier
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        DUTY_GAS.saturating_add(SIGNATURE_GAS)
    }
}
