//! `StakeAuthorization`: to move stake, with some validators, up to an amount. Pure.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use plasma_proto::cosmos::{
    base::v1beta1::Coin,
    staking::v1beta1::{
        AuthorizationType, MsgBeginRedelegate, MsgCancelUnbondingDelegation, MsgDelegate,
        MsgUndelegate, StakeAuthorization,
        stake_authorization::{Policy, Validators},
    },
};
use prost::Name;

use super::{
    Error,
    authorization::{Authorization, Left},
};
use crate::{Address, Amount, Denom, Sdk, msg::Msg};

/// Most validators that a grant names. All of a grant is written anew at each use, at a fixed price.
const VALIDATORS_MAX: usize = 16;

/// A well-formed authorization.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stake {
    kind: AuthorizationType,
    /// What may still be moved, uxpl; `None` is without limit.
    most: Option<Amount>,
    with: With,
}

/// With which validators: those that stake goes to, or that it leaves for good.
#[derive(Clone, Debug, PartialEq)]
enum With {
    All,
    These(Vec<Address>),
    Others(Vec<Address>),
}

impl Stake {
    /// Reads what a message grants.
    pub(super) fn new(stake: StakeAuthorization) -> Result<Self, Error> {
        let StakeAuthorization { max_tokens, authorization_type, policy } = stake;
        let kind = AuthorizationType::try_from(authorization_type)
            .ok()
            .filter(|kind| *kind != AuthorizationType::Unspecified)
            .ok_or(Error::UnknownStake)?;
        let with = match policy {
            None => With::All,
            Some(Policy::AllowList(list)) => With::These(validators(&list)?),
            Some(Policy::DenyList(list)) => With::Others(validators(&list)?),
        };
        Ok(Self { kind, most: max_tokens.as_ref().map(limit).transpose()?, with })
    }

    /// As in messages, queries and state.
    pub(super) fn to_proto(&self) -> StakeAuthorization {
        let Self { kind, most, with } = self;
        let coin =
            |amount: Amount| Coin { denom: Denom::uxpl().as_str().into(), amount: amount.text() };
        let list = |of: &[Address]| Validators {
            address: of.iter().map(|operator| operator.operator_text()).collect(),
        };
        StakeAuthorization {
            max_tokens: most.map(coin),
            authorization_type: (*kind).into(),
            policy: match with {
                With::All => None,
                With::These(of) => Some(Policy::AllowList(list(of))),
                With::Others(of) => Some(Policy::DenyList(list(of))),
            },
        }
    }

    /// The type of message that it is for.
    pub(super) fn type_url(&self) -> String {
        match self.kind {
            AuthorizationType::Undelegate => MsgUndelegate::type_url(),
            AuthorizationType::Redelegate => MsgBeginRedelegate::type_url(),
            AuthorizationType::CancelUnbondingDelegation => {
                MsgCancelUnbondingDelegation::type_url()
            }
            AuthorizationType::Delegate | AuthorizationType::Unspecified => MsgDelegate::type_url(),
        }
    }

    /// How many validators it names.
    pub(super) fn named_len(&self) -> usize {
        match &self.with {
            With::All => 0,
            With::These(of) | With::Others(of) => of.len(),
        }
    }

    /// Lets a message of its type through, or not.
    pub(super) fn accept(&self, msg: &Msg) -> Result<Left, Error> {
        let (operator, amount) =
            msg.stake().ok_or_else(|| Sdk::InvalidRequest("unknown msg type".into()))?;
        let named = |of: &[Address]| of.contains(&operator);
        let open = match &self.with {
            With::All => true,
            // An empty list names nobody, and keeps nobody out.
            With::These(of) => of.is_empty() || named(of),
            With::Others(of) => !named(of),
        };
        if !open {
            let operator = operator.operator_text();
            let text = format!("cannot delegate/undelegate to {operator} validator");
            return Err(Sdk::Unauthorized(text).into());
        }
        let Some(most) = self.most else { return Ok(Left::Same) };
        let Some(left) = most.minus(amount) else {
            let text = format!("{amount}uxpl is more than the {most}uxpl that may still be moved");
            return Err(Sdk::InsufficientFunds(text).into());
        };
        if left == Amount::ZERO {
            return Ok(Left::Nothing);
        }
        let stake = Self { most: Some(left), ..self.clone() };
        Ok(Left::Less(Authorization::Stake(stake)))
    }
}

fn limit(coin: &Coin) -> Result<Amount, Error> {
    let amount = Amount::parse(&coin.amount).filter(|_| coin.denom == Denom::uxpl().as_str());
    let text = || format!("max_tokens: {:?} {:?} is no amount of uxpl", coin.amount, coin.denom);
    Ok(amount.ok_or_else(|| Sdk::InvalidCoins(text()))?)
}

fn validators(list: &Validators) -> Result<Vec<Address>, Error> {
    if list.address.len() > VALIDATORS_MAX {
        return Err(Error::TooLarge("at most 16 validators are named"));
    }
    let found = list.address.iter().map(|text| Address::parse_operator(text));
    let found = found.collect::<Result<Vec<_>, _>>()?;
    if found.iter().collect::<BTreeSet<_>>().len() != found.len() {
        return Err(Sdk::InvalidRequest("a validator is named twice".into()).into());
    }
    Ok(found)
}
