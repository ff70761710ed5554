use plasma_proto::plasma::reward::v1 as pb;

use super::Error;
use crate::Address;

/// What a claim costs: provider, account, mark, mint and transfer.
const CLAIM_GAS: u64 = 80_000;

/// A provider takes what it was rewarded with.
#[derive(Clone, Debug)]
pub struct ClaimReward {
    pub(super) operator: Address,
}

impl ClaimReward {
    /// Checks everything that needs no state.
    pub fn new(msg: pb::MsgClaimReward) -> Result<Self, Error> {
        let pb::MsgClaimReward { operator } = msg;
        Ok(Self { operator: Address::parse(&operator)? })
    }

    /// The operator.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What running it costs.
    pub fn gas(&self) -> u64 {
        CLAIM_GAS
    }
}
