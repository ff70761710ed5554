use plasma_proto::cosmos::feegrant::v1beta1::{
    MsgGrantAllowance, MsgPruneAllowances, MsgRevokeAllowance,
};

use super::{Allowance, Error};
use crate::{Address, Sdk};

/// With two removals, each at what pruning costs.
const GRANT_GAS: u64 = 95_000;
const MESSAGE_TYPE_GAS: u64 = 1_000;
const REVOKE_GAS: u64 = 40_000;
const PRUNE_GAS: u64 = 500_000;

/// Lets another account pay fees from one's own.
#[derive(Clone, Debug)]
pub struct GrantAllowance {
    pub(super) granter: Address,
    pub(super) grantee: Address,
    pub(super) allowance: Allowance,
}

impl GrantAllowance {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgGrantAllowance) -> Result<Self, Error> {
        let MsgGrantAllowance { granter, grantee, allowance } = msg;
        let (granter, grantee) = (Address::parse(&granter)?, Address::parse(&grantee)?);
        if granter == grantee {
            return Err(Sdk::InvalidAddress("cannot self-grant fee authorization".into()).into());
        }
        let allowance = allowance.ok_or(Error::NoAllowance("allowance should not be empty"))?;
        Ok(Self { granter, grantee, allowance: Allowance::new(&allowance)? })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.granter
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        let types = u64::try_from(self.allowance.messages_len()).unwrap_or(u64::MAX);
        GRANT_GAS.saturating_add(MESSAGE_TYPE_GAS.saturating_mul(types))
    }
}

/// Takes an allowance back.
#[derive(Clone, Debug)]
pub struct RevokeAllowance {
    pub(super) granter: Address,
    pub(super) grantee: Address,
}

impl RevokeAllowance {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgRevokeAllowance) -> Result<Self, Error> {
        let MsgRevokeAllowance { granter, grantee } = msg;
        let (granter, grantee) = (Address::parse(&granter)?, Address::parse(&grantee)?);
        if granter == grantee {
            return Err(Sdk::InvalidAddress("addresses must be different".into()).into());
        }
        Ok(Self { granter, grantee })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.granter
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        REVOKE_GAS
    }
}

/// Removes allowances that are past their time.
#[derive(Clone, Debug)]
pub struct PruneAllowances {
    pub(super) pruner: Address,
}

impl PruneAllowances {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgPruneAllowances) -> Result<Self, Error> {
        let MsgPruneAllowances { pruner } = msg;
        Ok(Self { pruner: Address::parse(&pruner)? })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.pruner
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        PRUNE_GAS
    }
}
