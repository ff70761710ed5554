use plasma_proto::plasma::reward::v1::{Account, MsgClaimRewardResponse};

use super::{
    ClaimReward, Error,
    event::Event,
    standby,
    state::{ACCOUNTS, rewards},
};
use crate::{Amount, Ctx, market, token};

/// Pays a provider what it was rewarded with so far. One that has left and was paid is forgotten.
pub fn claim_reward(ctx: &mut Ctx<'_>, msg: ClaimReward) -> Result<MsgClaimRewardResponse, Error> {
    let ClaimReward { operator } = msg;
    let provides = market::provider(ctx.store, operator).is_some();
    if !provides && !ACCOUNTS.has(ctx.store, &operator) {
        return Err(Error::UnknownProvider(operator.text()));
    }
    standby::collect(ctx, operator);
    let account = ACCOUNTS.get(ctx.store, &operator);
    let amount = account.as_ref().map(|account| Amount::stored(&account.accrued_uxpl));
    let amount = amount.unwrap_or_default();
    if let Some(account) = account {
        if provides {
            let account = Account { accrued_uxpl: Amount::ZERO.text(), ..account };
            ACCOUNTS.set(ctx.store, &operator, &account);
        } else {
            ACCOUNTS.remove(ctx.store, &operator);
        }
    }
    token::transfer(ctx, rewards(), operator, amount)?;
    ctx.emit(&Event::RewardClaimed { operator, amount });
    Ok(MsgClaimRewardResponse { amount_uxpl: amount.text() })
}
