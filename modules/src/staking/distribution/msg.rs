use plasma_proto::cosmos::{
    base::v1beta1::Coin,
    distribution::v1beta1::{
        MsgDepositValidatorRewardsPool, MsgFundCommunityPool, MsgSetWithdrawAddress,
        MsgWithdrawDelegatorReward, MsgWithdrawValidatorCommission,
    },
};

use super::Error;
use crate::{Address, Amount, Denom, token::Coins};

const WITHDRAW_GAS: u64 = 80_000;
const COMMISSION_GAS: u64 = 60_000;
const SET_ADDRESS_GAS: u64 = 60_000;
const FUND_GAS: u64 = 50_000;
const DEPOSIT_GAS: u64 = 70_000;

/// Pays out what a delegation is owed.
#[derive(Clone, Debug)]
pub struct WithdrawReward {
    pub(super) delegator: Address,
    pub(super) operator: Address,
}

impl WithdrawReward {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgWithdrawDelegatorReward) -> Result<Self, Error> {
        let MsgWithdrawDelegatorReward { delegator_address, validator_address } = msg;
        Ok(Self {
            delegator: Address::parse(&delegator_address)?,
            operator: Address::parse_operator(&validator_address)?,
        })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.delegator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        WITHDRAW_GAS
    }
}

/// Pays out an operator's commission.
#[derive(Clone, Debug)]
pub struct WithdrawCommission {
    pub(super) operator: Address,
}

impl WithdrawCommission {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgWithdrawValidatorCommission) -> Result<Self, Error> {
        let MsgWithdrawValidatorCommission { validator_address } = msg;
        Ok(Self { operator: Address::parse_operator(&validator_address)? })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.operator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        COMMISSION_GAS
    }
}

/// Says where an account's rewards go.
#[derive(Clone, Debug)]
pub struct SetWithdrawAddress {
    pub(super) delegator: Address,
    pub(super) withdraw: Address,
}

impl SetWithdrawAddress {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgSetWithdrawAddress) -> Result<Self, Error> {
        let MsgSetWithdrawAddress { delegator_address, withdraw_address } = msg;
        Ok(Self {
            delegator: Address::parse(&delegator_address)?,
            withdraw: Address::parse(&withdraw_address)?,
        })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.delegator
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        SET_ADDRESS_GAS
    }
}

/// Gives money to the community pool.
#[derive(Clone, Debug)]
pub struct FundPool {
    pub(super) depositor: Address,
    pub(super) amount: Amount,
}

impl FundPool {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgFundCommunityPool) -> Result<Self, Error> {
        let MsgFundCommunityPool { amount, depositor } = msg;
        Ok(Self { depositor: Address::parse(&depositor)?, amount: uxpl(&amount)? })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.depositor
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        FUND_GAS
    }
}

/// Gives money to a validator and its delegators.
#[derive(Clone, Debug)]
pub struct DepositRewards {
    pub(super) depositor: Address,
    pub(super) operator: Address,
    pub(super) amount: Amount,
}

impl DepositRewards {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgDepositValidatorRewardsPool) -> Result<Self, Error> {
        let MsgDepositValidatorRewardsPool { depositor, validator_address, amount } = msg;
        Ok(Self {
            depositor: Address::parse(&depositor)?,
            operator: Address::parse_operator(&validator_address)?,
            amount: uxpl(&amount)?,
        })
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.depositor
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        DEPOSIT_GAS
    }
}

/// The amount of coins that are uxpl and nothing else.
fn uxpl(coins: &[Coin]) -> Result<Amount, Error> {
    let coins = Coins::new(coins)?;
    let only = coins.iter().count() == 1;
    coins.of(&Denom::uxpl()).filter(|_| only).ok_or(Error::NotUxpl)
}
