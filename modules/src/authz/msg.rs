use alloc::{format, string::String, vec::Vec};

use plasma_proto::cosmos::authz::v1beta1::{MsgExec, MsgGrant, MsgRevoke};
use prost::Name;
use prost_types::Timestamp;

use super::{Error, authorization::Authorization};
use crate::{
    Address, Refusal, Sdk,
    msg::Msg,
    tx::{MESSAGES_MAX, TIME_LAST_S, canonical},
};

/// Most `MsgExec` that stand in each other.
pub const NESTING_MAX: usize = 2;

/// With two removals, each at what pruning costs.
const GRANT_GAS: u64 = 95_000;
/// Of a recipient or validator that the grant names.
const NAMED_GAS: u64 = 1_000;
const REVOKE_GAS: u64 = 40_000;
const EXEC_GAS: u64 = 10_000;
const USE_GAS: u64 = 20_000;

/// Lets another account send a type of message as oneself.
#[derive(Clone, Debug)]
pub struct Grant {
    pub(super) granter: Address,
    pub(super) grantee: Address,
    pub(super) authorization: Authorization,
    pub(super) expiration: Option<Timestamp>,
}

impl Grant {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgGrant) -> Result<Self, Error> {
        let MsgGrant { granter, grantee, grant } = msg;
        let (granter, grantee) = (Address::parse(&granter)?, Address::parse(&grantee)?);
        if granter == grantee {
            return Err(Error::GranteeIsGranter);
        }
        let missing = || Sdk::InvalidType("authorization is nil".into());
        let grant = grant.ok_or_else(missing)?;
        let authorization = Authorization::new(&grant.authorization.ok_or_else(missing)?)?;
        if let Some(Timestamp { seconds, nanos }) = grant.expiration
            && !((0..=TIME_LAST_S).contains(&seconds) && (0..1_000_000_000).contains(&nanos))
        {
            return Err(Error::InvalidExpiration);
        }
        Ok(Self { granter, grantee, authorization, expiration: grant.expiration })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.granter
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        let named = u64::try_from(self.authorization.named_len()).unwrap_or(u64::MAX);
        GRANT_GAS.saturating_add(NAMED_GAS.saturating_mul(named))
    }
}

/// Takes a grant back.
#[derive(Clone, Debug)]
pub struct Revoke {
    pub(super) granter: Address,
    pub(super) grantee: Address,
    pub(super) type_url: String,
}

impl Revoke {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgRevoke) -> Result<Self, Error> {
        let MsgRevoke { granter, grantee, msg_type_url: type_url } = msg;
        let (granter, grantee) = (Address::parse(&granter)?, Address::parse(&grantee)?);
        if granter == grantee {
            return Err(Error::GranteeIsGranter);
        }
        if type_url.is_empty() {
            return Err(Sdk::InvalidRequest("missing msg method name".into()).into());
        }
        Ok(Self { granter, grantee, type_url })
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

/// Sends messages as those who granted them.
#[derive(Clone, Debug)]
pub struct Exec {
    pub(super) grantee: Address,
    pub(super) msgs: Vec<Msg>,
}

impl Exec {
    /// Checks everything that needs no state, of the messages inside as well.
    pub fn new(msg: MsgExec) -> Result<Self, Refusal> {
        Self::at(msg, 1)
    }

    /// Reads one that stands in `depth - 1` others.
    fn at(msg: MsgExec, depth: usize) -> Result<Self, Refusal> {
        let MsgExec { grantee, msgs: inner } = msg;
        let grantee = Address::parse(&grantee)?;
        if inner.is_empty() {
            return Err(Sdk::InvalidRequest("messages cannot be empty".into()).into());
        }
        if inner.len() > MESSAGES_MAX {
            let text = format!("{} messages in one, at most {MESSAGES_MAX}", inner.len());
            return Err(Sdk::InvalidRequest(text).into());
        }
        let mut msgs = Vec::with_capacity(inner.len());
        for any in &inner {
            msgs.push(if any.type_url != MsgExec::type_url() {
                Msg::from_any(any)?
            } else if depth < NESTING_MAX {
                Msg::Exec(Self::at(canonical(&any.value, MsgExec::NAME)?, depth.saturating_add(1))?)
            } else {
                return Err(Error::TooDeep(NESTING_MAX.saturating_sub(1)).into());
            });
        }
        Ok(Self { grantee, msgs })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.grantee
    }

    /// What it costs: its own, and that of every message inside with the use of its grant.
    pub fn gas(&self) -> u64 {
        let inner = self.msgs.iter().map(|msg| msg.gas().saturating_add(USE_GAS));
        inner.fold(EXEC_GAS, u64::saturating_add)
    }

    /// How many messages it is, with those inside.
    pub fn count(&self) -> usize {
        self.msgs.iter().map(Msg::count).fold(1, usize::saturating_add)
    }
}
