//! What a grant lets through, and what is left of it: pure.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};

use plasma_proto::cosmos::{
    authz::v1beta1::GenericAuthorization,
    bank::v1beta1::{MsgSend, SendAuthorization},
    staking::v1beta1::StakeAuthorization,
};
use prost::{Message, Name};
use prost_types::Any;

use super::{Error, stake::Stake};
use crate::{Address, Amount, Denom, Sdk, error::fault, msg::Msg, token::Coins, tx::canonical};

/// Most denominations of a limit.
const COINS_MAX: usize = 4;
/// Most recipients that a grant names. All of a grant is written anew at each use, at a fixed price.
const RECIPIENTS_MAX: usize = 16;

/// A well-formed authorization.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Authorization {
    /// Any message of a type.
    Generic(String),
    /// `MsgSend`, up to a limit, to anybody or to these.
    Send { limit: Vec<(Denom, Amount)>, to: Vec<Address> },
    /// One of the messages that move stake, with some validators, up to an amount.
    Stake(Stake),
}

/// What is left after a message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Left {
    Same,
    Less(Authorization),
    Nothing,
}

impl Authorization {
    /// Reads what a message grants.
    pub(super) fn new(any: &Any) -> Result<Self, Error> {
        if any.type_url == GenericAuthorization::type_url() {
            let generic: GenericAuthorization = canonical(&any.value, "GenericAuthorization")?;
            let GenericAuthorization { msg } = generic;
            if !Msg::type_urls().contains(&msg) {
                return Err(Sdk::InvalidType(format!("{msg:?} doesn't exist.")).into());
            }
            return Ok(Self::Generic(msg));
        }
        if any.type_url == SendAuthorization::type_url() {
            let send: SendAuthorization = canonical(&any.value, "SendAuthorization")?;
            let SendAuthorization { spend_limit, allow_list } = send;
            if spend_limit.is_empty() {
                return Err(Sdk::InvalidCoins("spend limit cannot be nil".into()).into());
            }
            if spend_limit.len() > COINS_MAX {
                return Err(Error::TooLarge("a limit has at most 4 denominations"));
            }
            if allow_list.len() > RECIPIENTS_MAX {
                return Err(Error::TooLarge("at most 16 recipients are named"));
            }
            let coins = Coins::new(&spend_limit)
                .map_err(|error| Sdk::InvalidCoins(format!("spend limit: {error}")))?;
            let to = allow_list.iter().map(|text| Address::parse(text));
            let to = to.collect::<Result<Vec<_>, _>>()?;
            if to.iter().collect::<BTreeSet<_>>().len() != to.len() {
                return Err(Sdk::InvalidRequest("allow_list: duplicate entry".into()).into());
            }
            return Ok(Self::Send { limit: coins.iter().cloned().collect(), to });
        }
        if any.type_url == StakeAuthorization::type_url() {
            return Ok(Self::Stake(Stake::new(canonical(&any.value, "StakeAuthorization")?)?));
        }
        Err(Sdk::TxDecode(format!("{:?} is no authorization", any.type_url)).into())
    }

    /// Reads what was stored.
    pub(super) fn stored(any: Option<&Any>) -> Self {
        any.and_then(|any| Self::new(any).ok())
            .unwrap_or_else(|| fault("bad authorization", any.map_or(&[], |any| &any.value)))
    }

    /// As in messages, queries and state.
    pub(super) fn to_any(&self) -> Any {
        match self {
            Self::Generic(msg) => pack(&GenericAuthorization { msg: msg.clone() }),
            Self::Send { limit, to } => {
                let coin = |(denom, amount): &(Denom, Amount)| Coins::coin(denom, *amount);
                let spend_limit = limit.iter().map(coin).collect();
                let allow_list = to.iter().map(ToString::to_string).collect();
                pack(&SendAuthorization { spend_limit, allow_list })
            }
            Self::Stake(stake) => pack(&stake.to_proto()),
        }
    }

    /// The type of message that it is for.
    pub(super) fn type_url(&self) -> String {
        match self {
            Self::Generic(msg) => msg.clone(),
            Self::Send { .. } => MsgSend::type_url(),
            Self::Stake(stake) => stake.type_url(),
        }
    }

    /// How many recipients or validators it names.
    pub(super) fn named_len(&self) -> usize {
        match self {
            Self::Generic(_) => 0,
            Self::Send { to, .. } => to.len(),
            Self::Stake(stake) => stake.named_len(),
        }
    }

    /// Lets a message of its type through, or not.
    pub(super) fn accept(&self, msg: &Msg) -> Result<Left, Error> {
        let (limit, to) = match self {
            Self::Generic(_) => return Ok(Left::Same),
            Self::Send { limit, to } => (limit, to),
            Self::Stake(stake) => return stake.accept(msg),
        };
        let (recipient, coins) = msg
            .payment()
            .ok_or_else(|| Sdk::InvalidType("type mismatch: this is no MsgSend".into()))?;
        let mut left = limit.clone();
        for (denom, amount) in coins.iter() {
            let have = left.iter_mut().find(|(name, _)| name == denom);
            let rest = have.as_ref().and_then(|(_, have)| have.minus(*amount));
            let (Some((_, have)), Some(rest)) = (have, rest) else {
                let text = "requested amount is more than spend limit";
                return Err(Sdk::InsufficientFunds(text.into()).into());
            };
            *have = rest;
        }
        if !to.is_empty() && !to.contains(&recipient) {
            let text = format!("cannot send to {recipient} address");
            return Err(Sdk::Unauthorized(text).into());
        }
        left.retain(|(_, amount)| *amount != Amount::ZERO);
        if left.is_empty() {
            return Ok(Left::Nothing);
        }
        Ok(Left::Less(Self::Send { limit: left, to: to.clone() }))
    }
}

fn pack<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
