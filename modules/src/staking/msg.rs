//! Messages that exist only when well formed, whatever the state.

use alloc::{format, string::String};

use plasma_proto::cosmos::{
    base::v1beta1::Coin,
    crypto::ed25519::PubKey,
    slashing::v1beta1::MsgUnjail,
    staking::v1beta1::{
        CommissionRates, Description, MsgBeginRedelegate, MsgCancelUnbondingDelegation,
        MsgCreateValidator, MsgDelegate, MsgEditValidator, MsgUndelegate,
    },
};
use prost::{Message, Name};
use prost_types::Any;

use super::{
    Error,
    state::{STAKE_MAX, UXPL_PER_POWER},
};
use crate::{Address, Amount, Dec, Denom, Sdk, types::hash32};

const CREATE_GAS: u64 = 300_000;
const EDIT_GAS: u64 = 100_000;
const DESCRIPTION_BYTE_GAS: u64 = 10;
const DELEGATE_GAS: u64 = 200_000;
const UNDELEGATE_GAS: u64 = 250_000;
const REDELEGATE_GAS: u64 = 350_000;
const CANCEL_GAS: u64 = 250_000;
const UNJAIL_GAS: u64 = 100_000;

/// What a field of a description holds that is to stay as it was.
pub const DO_NOT_MODIFY: &str = "[do-not-modify]";

/// Longest fields of a description, bytes: moniker, identity, website, security contact, details.
const DESCRIPTION_BYTES_MAX: [usize; 5] = [70, 3_000, 140, 140, 280];

fn invalid(why: impl Into<String>) -> Error {
    Sdk::InvalidRequest(why.into()).into()
}

/// An amount of uxpl above zero.
fn stake(coin: Option<Coin>) -> Result<Amount, Error> {
    let Coin { denom, amount } = coin.ok_or_else(|| invalid("invalid delegation amount"))?;
    if denom != Denom::uxpl().as_str() {
        return Err(invalid(format!("invalid coin denomination: got {denom}, expected uxpl")));
    }
    Amount::parse(&amount)
        .filter(|amount| *amount != Amount::ZERO && *amount <= STAKE_MAX)
        .ok_or_else(|| invalid("invalid delegation amount"))
}

/// A promise of self-bond.
fn least(text: &str) -> Result<Amount, Error> {
    Amount::parse(text)
        .filter(|amount| *amount != Amount::ZERO)
        .ok_or_else(|| invalid("minimum self delegation must be a positive integer"))
}

pub(super) fn check_description(description: &Description) -> Result<(), Error> {
    let Description { moniker, identity, website, security_contact, details } = description;
    let fields = [moniker, identity, website, security_contact, details];
    let names = ["moniker", "identity", "website", "security contact", "details"];
    for ((field, name), max) in fields.into_iter().zip(names).zip(DESCRIPTION_BYTES_MAX) {
        if field.len() > max {
            return Err(invalid(format!(
                "invalid {name} length; got: {}, max: {max}",
                field.len()
            )));
        }
    }
    Ok(())
}

fn description_gas(description: &Description) -> u64 {
    let bytes = u64::try_from(description.encoded_len()).unwrap_or(u64::MAX);
    DESCRIPTION_BYTE_GAS.saturating_mul(bytes)
}

/// A commission with its bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub rate: Dec,
    pub max: Dec,
    pub max_change: Dec,
}

impl Rates {
    /// Checks that each is within the next.
    pub fn new(rates: &CommissionRates) -> Result<Self, Error> {
        let CommissionRates { rate, max_rate, max_change_rate } = rates;
        let dec = |text: &str| Dec::parse(text).ok_or_else(|| invalid("invalid commission rate"));
        let (rate, max, max_change) = (dec(rate)?, dec(max_rate)?, dec(max_change_rate)?);
        if max > Dec::ONE {
            return Err(Error::CommissionHuge);
        }
        if rate > max {
            return Err(Error::CommissionAboveMax);
        }
        if max_change > max {
            return Err(Error::ChangeRateAboveMax);
        }
        Ok(Self { rate, max, max_change })
    }

    pub fn to_proto(self) -> CommissionRates {
        let Self { rate, max, max_change } = self;
        CommissionRates {
            rate: rate.text(),
            max_rate: max.text(),
            max_change_rate: max_change.text(),
        }
    }
}

/// An ed25519 consensus key.
pub(super) fn consensus_key(any: &Any) -> Result<[u8; 32], Error> {
    if any.type_url != PubKey::type_url() {
        return Err(Error::KeyType(any.type_url.clone()));
    }
    let key: PubKey = crate::tx::canonical(&any.value, PubKey::NAME)?;
    let length = || Error::KeyType("an ed25519 key has 32 bytes".into());
    hash32(&key.key).ok_or_else(length)
}

/// A consensus key as messages and queries hold it.
pub(super) fn key_any(key: &[u8; 32]) -> Any {
    let value = PubKey { key: key.to_vec() }.encode_to_vec();
    Any { type_url: PubKey::type_url(), value }
}

/// Becomes a validator.
#[derive(Clone, Debug)]
pub struct CreateValidator {
    pub(super) operator: Address,
    pub(super) description: Description,
    pub(super) rates: Rates,
    pub(super) least: Amount,
    pub(super) key: [u8; 32],
    pub(super) amount: Amount,
}

impl CreateValidator {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCreateValidator) -> Result<Self, Error> {
        #[allow(deprecated)]
        let MsgCreateValidator {
            description,
            commission,
            min_self_delegation,
            delegator_address,
            validator_address,
            pubkey,
            value,
        } = msg;
        let operator = Address::parse_operator(&validator_address)?;
        if !delegator_address.is_empty() && Address::parse(&delegator_address)? != operator {
            return Err(Sdk::InvalidAddress("the delegator is not the operator".into()).into());
        }
        let description = description.unwrap_or_default();
        check_description(&description)?;
        if description.moniker.is_empty() {
            return Err(invalid("empty description"));
        }
        let key = pubkey.ok_or_else(|| Error::KeyType("none".into()))?;
        let commission = commission.ok_or_else(|| invalid("empty commission"))?;
        let (least, amount) = (least(&min_self_delegation)?, stake(value)?);
        let need = least.max(Amount::new(UXPL_PER_POWER));
        if amount < need {
            return Err(Error::SelfBond(need));
        }
        let (rates, key) = (Rates::new(&commission)?, consensus_key(&key)?);
        Ok(Self { operator, description, rates, least, key, amount })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        CREATE_GAS.saturating_add(description_gas(&self.description))
    }
}

/// Changes what a validator says of itself and takes.
#[derive(Clone, Debug)]
pub struct EditValidator {
    pub(super) operator: Address,
    pub(super) description: Description,
    pub(super) rate: Option<Dec>,
    pub(super) least: Option<Amount>,
}

impl EditValidator {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgEditValidator) -> Result<Self, Error> {
        let MsgEditValidator {
            description,
            validator_address,
            commission_rate,
            min_self_delegation,
        } = msg;
        let operator = Address::parse_operator(&validator_address)?;
        let description = description.ok_or_else(|| invalid("empty description"))?;
        check_description(&description)?;
        let rate = match commission_rate.as_str() {
            "" => None,
            text => {
                Some(Dec::parse(text).filter(|rate| *rate <= Dec::ONE).ok_or_else(|| {
                    invalid("commission rate must be between 0 and 1 (inclusive)")
                })?)
            }
        };
        let least = match min_self_delegation.as_str() {
            "" => None,
            text => Some(least(text)?),
        };
        Ok(Self { operator, description, rate, least })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        EDIT_GAS.saturating_add(description_gas(&self.description))
    }
}

/// Whose stake with whom, and how much of it.
fn staked(
    delegator: &str,
    operator: &str,
    amount: Option<Coin>,
) -> Result<(Address, Address, Amount), Error> {
    Ok((Address::parse(delegator)?, Address::parse_operator(operator)?, stake(amount)?))
}

/// Stakes with a validator.
#[derive(Clone, Debug)]
pub struct Delegate {
    pub(super) delegator: Address,
    pub(super) operator: Address,
    pub(super) amount: Amount,
}

impl Delegate {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgDelegate) -> Result<Self, Error> {
        let MsgDelegate { delegator_address, validator_address, amount } = msg;
        let (delegator, operator, amount) = staked(&delegator_address, &validator_address, amount)?;
        Ok(Self { delegator, operator, amount })
    }

    /// The validator, and how much.
    pub fn stake(&self) -> (Address, Amount) {
        (self.operator, self.amount)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.delegator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        DELEGATE_GAS
    }
}

/// Takes stake back, after the time of unbonding.
#[derive(Clone, Debug)]
pub struct Undelegate {
    pub(super) delegator: Address,
    pub(super) operator: Address,
    pub(super) amount: Amount,
}

impl Undelegate {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgUndelegate) -> Result<Self, Error> {
        let MsgUndelegate { delegator_address, validator_address, amount } = msg;
        let (delegator, operator, amount) = staked(&delegator_address, &validator_address, amount)?;
        Ok(Self { delegator, operator, amount })
    }

    /// The validator, and how much.
    pub fn stake(&self) -> (Address, Amount) {
        (self.operator, self.amount)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.delegator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        UNDELEGATE_GAS
    }
}

/// Moves stake to another validator.
#[derive(Clone, Debug)]
pub struct Redelegate {
    pub(super) delegator: Address,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) amount: Amount,
}

impl Redelegate {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgBeginRedelegate) -> Result<Self, Error> {
        let MsgBeginRedelegate {
            delegator_address,
            validator_src_address,
            validator_dst_address,
            amount,
        } = msg;
        let delegator = Address::parse(&delegator_address)?;
        let from = Address::parse_operator(&validator_src_address)?;
        let to = Address::parse_operator(&validator_dst_address)?;
        if from == to {
            return Err(Error::SelfRedelegation);
        }
        Ok(Self { delegator, from, to, amount: stake(amount)? })
    }

    /// The validator that it goes to, and how much.
    pub fn stake(&self) -> (Address, Amount) {
        (self.to, self.amount)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.delegator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        REDELEGATE_GAS
    }
}

/// Stakes again what is unbonding.
#[derive(Clone, Debug)]
pub struct CancelUnbonding {
    pub(super) delegator: Address,
    pub(super) operator: Address,
    pub(super) amount: Amount,
    pub(super) height: i64,
}

impl CancelUnbonding {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCancelUnbondingDelegation) -> Result<Self, Error> {
        let MsgCancelUnbondingDelegation {
            delegator_address,
            validator_address,
            amount,
            creation_height,
        } = msg;
        if creation_height <= 0 {
            return Err(invalid("invalid height"));
        }
        let (delegator, operator, amount) = staked(&delegator_address, &validator_address, amount)?;
        Ok(Self { delegator, operator, amount, height: creation_height })
    }

    /// The validator, and how much.
    pub fn stake(&self) -> (Address, Amount) {
        (self.operator, self.amount)
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.delegator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        CANCEL_GAS
    }
}

/// Leaves jail.
#[derive(Clone, Debug)]
pub struct Unjail {
    pub(super) operator: Address,
}

impl Unjail {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgUnjail) -> Result<Self, Error> {
        let MsgUnjail { validator_addr } = msg;
        Ok(Self { operator: Address::parse_operator(&validator_addr)? })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        UNJAIL_GAS
    }
}
