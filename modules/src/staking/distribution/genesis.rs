use plasma_proto::plasma::{
    genesis::v1::DistributionGenesis,
    staking::v1::{Pools, RewardStart, ValidatorRewards, WithdrawAddress},
};

use super::{
    Error, params, stake,
    state::{Earned, PARAMS, POOLS, STARTS, VALIDATORS, WITHDRAW},
};
use crate::{Address, Dec, Read, Write, auth};

/// Nobody has earned anything.
pub fn default_genesis() -> (Pools, DistributionGenesis) {
    let pools = Pools { stakers_uxpl: Dec::ZERO.text(), community_uxpl: Dec::ZERO.text() };
    let distribution = DistributionGenesis {
        params: Some(params::default_params()),
        validators: [].into(),
        starts: [].into(),
        withdraw_addresses: [].into(),
    };
    (pools, distribution)
}

/// Writes what was earned. Validators and delegations must have been written: those of which nothing
/// is said begin to count here.
pub fn init(
    store: &mut dyn Write,
    pools: &Pools,
    genesis: &DistributionGenesis,
) -> Result<(), Error> {
    let DistributionGenesis { params, validators, starts, withdraw_addresses } = genesis;
    let params = params.as_ref().ok_or(Error::BadGenesis("params are missing"))?;
    params::check(params)?;
    PARAMS.set(store, params);
    let Pools { stakers_uxpl, community_uxpl } = pools;
    decimals(&[stakers_uxpl, community_uxpl])?;
    POOLS.set(store, pools);
    for rewards in validators {
        let ValidatorRewards {
            operator,
            outstanding_uxpl,
            commission_uxpl,
            current_uxpl,
            per_share_uxpl,
        } = rewards;
        decimals(&[outstanding_uxpl, commission_uxpl, current_uxpl, per_share_uxpl])?;
        let operator = Address::parse(operator)?;
        if stake::validator(store, operator).is_none() || VALIDATORS.has(store, &operator) {
            return Err(Error::BadGenesis("rewards of no validator, or twice of one"));
        }
        VALIDATORS.set(store, &operator, rewards);
    }
    for start in starts {
        let RewardStart { delegator, operator, per_share_uxpl, fraction_uxpl } = start;
        decimals(&[per_share_uxpl, fraction_uxpl])?;
        let key = (Address::parse(delegator)?, Address::parse(operator)?);
        let known = stake::shares(store, key.0, key.1).is_some();
        let earned = Earned::of(store, key.1).filter(|_| known && !STARTS.has(store, &key));
        let earned = earned.ok_or(Error::BadGenesis("start of no delegation, or twice of one"))?;
        if Dec::stored(per_share_uxpl) > earned.per_share || Dec::stored(fraction_uxpl) >= Dec::ONE
        {
            return Err(Error::BadGenesis("a delegation was paid before it was earned"));
        }
        STARTS.set(store, &key, start);
    }
    for one in withdraw_addresses {
        let WithdrawAddress { delegator, withdraw } = one;
        let (delegator, withdraw) = (Address::parse(delegator)?, Address::parse(withdraw)?);
        let fits = delegator != withdraw && auth::exists(store, withdraw);
        if !fits || auth::is_module_account(withdraw) || WITHDRAW.has(store, &delegator) {
            return Err(Error::BadGenesis("a withdraw address that cannot be, or twice of one"));
        }
        WITHDRAW.set(store, &delegator, one);
    }
    begin(store);
    Ok(())
}

/// Begins to count for validators and delegations of which nothing was said.
fn begin(store: &mut dyn Write) {
    for operator in stake::operators(store) {
        if !VALIDATORS.has(store, &operator) {
            Earned::default().put(store, operator);
        }
    }
    for (delegator, operator) in stake::pairs(store) {
        if !STARTS.has(store, &(delegator, operator)) {
            let start = RewardStart {
                delegator: delegator.text(),
                operator: operator.text(),
                per_share_uxpl: Earned::of(store, operator).unwrap_or_default().per_share.text(),
                fraction_uxpl: Dec::ZERO.text(),
            };
            STARTS.set(store, &(delegator, operator), &start);
        }
    }
}

fn decimals(texts: &[&str]) -> Result<(), Error> {
    let all = texts.iter().all(|text| Dec::parse(text).is_some());
    if all { Ok(()) } else { Err(Error::BadGenesis("a number is no decimal")) }
}

/// The pools.
pub fn pools(store: &dyn Read) -> Option<Pools> {
    POOLS.get(store)
}

/// What was earned, in order of operator, delegator.
pub fn export(store: &dyn Read) -> DistributionGenesis {
    DistributionGenesis {
        params: PARAMS.get(store),
        validators: VALIDATORS.iter(store).map(|(_, rewards)| rewards).collect(),
        starts: STARTS.iter(store).map(|(_, start)| start).collect(),
        withdraw_addresses: WITHDRAW.iter(store).map(|(_, one)| one).collect(),
    }
}
