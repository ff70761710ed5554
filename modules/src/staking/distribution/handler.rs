use alloc::vec;

use plasma_proto::{
    cosmos::{
        base::v1beta1::Coin,
        distribution::v1beta1::{
            MsgCommunityPoolSpendResponse, MsgDepositValidatorRewardsPoolResponse,
            MsgFundCommunityPoolResponse, MsgSetWithdrawAddressResponse,
            MsgWithdrawDelegatorRewardResponse, MsgWithdrawValidatorCommissionResponse,
        },
    },
    plasma::staking::v1::WithdrawAddress,
};

use super::{
    DepositRewards, Error, FundPool, SetWithdrawAddress, SpendPool, WithdrawCommission,
    WithdrawReward,
    allocate::reward,
    event::Event,
    pools::{account, fund_community, receive, spend_community},
    settle::settle,
    stake,
    state::{Earned, WITHDRAW, must, params, withdraw_address},
};
use crate::{Amount, Ctx, Dec, Denom, auth, token};

/// `MsgWithdrawDelegatorReward`.
pub fn withdraw_reward(
    ctx: &mut Ctx<'_>,
    msg: WithdrawReward,
) -> Result<MsgWithdrawDelegatorRewardResponse, Error> {
    let WithdrawReward { delegator, operator } = msg;
    if stake::validator(ctx.store, operator).is_none() {
        return Err(Error::NoValidator(operator));
    }
    let shares = stake::shares(ctx.store, delegator, operator)
        .ok_or(Error::NoDelegation { delegator, operator })?;
    let paid = settle(ctx, delegator, operator, shares, shares)?;
    Ok(MsgWithdrawDelegatorRewardResponse { amount: vec![coin(paid)] })
}

/// `MsgWithdrawValidatorCommission`. What is below 1 uxpl stays.
pub fn withdraw_commission(
    ctx: &mut Ctx<'_>,
    msg: WithdrawCommission,
) -> Result<MsgWithdrawValidatorCommissionResponse, Error> {
    let WithdrawCommission { operator } = msg;
    let mut earned = Earned::of(ctx.store, operator).ok_or(Error::NoValidator(operator))?;
    let paid = earned.commission.floor();
    if paid == Amount::ZERO {
        return Err(Error::NoCommission);
    }
    let whole = must(Dec::whole(paid));
    earned.commission = must(earned.commission.minus(whole));
    earned.outstanding = must(earned.outstanding.minus(whole));
    earned.put(ctx.store, operator);
    ctx.emit(&Event::WithdrawCommission { amount: paid });
    let to = withdraw_address(ctx.store, operator);
    token::transfer(ctx, account(), to, paid)?;
    Ok(MsgWithdrawValidatorCommissionResponse { amount: vec![coin(paid)] })
}

/// `MsgSetWithdrawAddress`. An address without an account gets one, with the least that opens it.
pub fn set_withdraw_address(
    ctx: &mut Ctx<'_>,
    msg: SetWithdrawAddress,
) -> Result<MsgSetWithdrawAddressResponse, Error> {
    let SetWithdrawAddress { delegator, withdraw } = msg;
    if !params(ctx.store).withdraw_addr_enabled {
        return Err(Error::WithdrawAddressFixed);
    }
    if auth::is_module_account(withdraw) {
        return Err(token::Error::module_account(withdraw).into());
    }
    token::open_account(ctx, delegator, withdraw)?;
    if withdraw == delegator {
        WITHDRAW.remove(ctx.store, &delegator);
    } else {
        let set = WithdrawAddress { delegator: delegator.text(), withdraw: withdraw.text() };
        WITHDRAW.set(ctx.store, &delegator, &set);
    }
    ctx.emit(&Event::SetWithdrawAddress { withdraw });
    Ok(MsgSetWithdrawAddressResponse {})
}

/// `MsgFundCommunityPool`.
pub fn fund_pool(ctx: &mut Ctx<'_>, msg: FundPool) -> Result<MsgFundCommunityPoolResponse, Error> {
    let FundPool { depositor, amount } = msg;
    fund_community(ctx, depositor, amount)?;
    Ok(MsgFundCommunityPoolResponse {})
}

/// `MsgCommunityPoolSpend`.
pub fn spend_pool(
    ctx: &mut Ctx<'_>,
    msg: SpendPool,
) -> Result<MsgCommunityPoolSpendResponse, Error> {
    let SpendPool { recipient, amount } = msg;
    spend_community(ctx, recipient, amount)?;
    Ok(MsgCommunityPoolSpendResponse {})
}

/// `MsgDepositValidatorRewardsPool`: a present to a validator and its delegators, commission and all.
pub fn deposit_rewards(
    ctx: &mut Ctx<'_>,
    msg: DepositRewards,
) -> Result<MsgDepositValidatorRewardsPoolResponse, Error> {
    let DepositRewards { depositor, operator, amount } = msg;
    let amount = receive(ctx, depositor, amount)?;
    if !reward(ctx, operator, amount) {
        return Err(Error::NoValidator(operator));
    }
    Ok(MsgDepositValidatorRewardsPoolResponse {})
}

fn coin(amount: Amount) -> Coin {
    token::Coins::coin(&Denom::uxpl(), amount)
}
