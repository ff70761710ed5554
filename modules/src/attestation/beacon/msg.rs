use plasma_proto::plasma::attestation::v1::MsgSetBeaconKey;

use super::{Error, Proof, vrf::is_key};
use crate::{Address, types::hash32};

/// Proof and record: four products of a point, which cost about four signatures.
const SET_GAS: u64 = 80_000;

/// A validator says with which key it begins its blocks.
#[derive(Clone, Debug)]
pub struct SetBeaconKey {
    pub(super) operator: Address,
    pub(super) public_key: [u8; 32],
    pub(super) proof: Proof,
}

impl SetBeaconKey {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgSetBeaconKey) -> Result<Self, Error> {
        let MsgSetBeaconKey { operator, public_key, proof } = msg;
        let operator = Address::parse(&operator)?;
        let public_key = hash32(&public_key).filter(|key| is_key(*key)).ok_or(Error::BadKey)?;
        let proof = proof.as_slice().try_into().map_err(|_| Error::BadPossession)?;
        Ok(Self { operator, public_key, proof })
    }

    /// The validator's operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        SET_GAS
    }
}
