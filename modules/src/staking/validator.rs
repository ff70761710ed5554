//! Who validates: beginning, changing, jail, and the way out.

use plasma_proto::cosmos::{
    slashing::v1beta1::MsgUnjailResponse,
    staking::v1beta1::{
        BondStatus, Commission, Description, MsgCreateValidatorResponse, MsgEditValidatorResponse,
        Validator,
    },
};

use super::{
    CreateValidator, EditValidator, Error, Unjail,
    delegation::{self, Source},
    distribution,
    event::Event,
    msg::{DO_NOT_MODIFY, Rates, check_description, key_any},
    params::params,
    state::{
        BY_CONSENSUS, SIGNING_INFOS, VALIDATORS, consensus_address, seconds, shares_of, timestamp,
        tokens, worth,
    },
};
use crate::{Address, Amount, Ctx, Dec};

/// Seconds between two changes of a commission.
const COMMISSION_CHANGE_S: u64 = 24 * 3600;

/// A validator that nobody stakes with yet.
pub(super) fn fresh(
    operator: Address,
    key: &[u8; 32],
    description: Description,
    rates: Rates,
    least: Amount,
    now_s: u64,
) -> Validator {
    Validator {
        operator_address: operator.operator_text(),
        consensus_pubkey: Some(key_any(key)),
        jailed: false,
        status: BondStatus::Unbonded.into(),
        tokens: Amount::ZERO.text(),
        delegator_shares: Dec::ZERO.text(),
        description: Some(description),
        unbonding_height: 0,
        unbonding_time: timestamp(0),
        commission: Some(Commission {
            commission_rates: Some(rates.to_proto()),
            update_time: timestamp(now_s),
        }),
        min_self_delegation: least.text(),
        unbonding_on_hold_ref_count: 0,
        unbonding_ids: alloc::vec::Vec::new(),
    }
}

/// `MsgCreateValidator`. A consensus key belongs to the first operator that shows it, for good: what
/// it signed can never be laid to another.
pub fn create_validator(
    ctx: &mut Ctx<'_>,
    msg: CreateValidator,
) -> Result<MsgCreateValidatorResponse, Error> {
    let CreateValidator { operator, description, rates, least, key, amount } = msg;
    if VALIDATORS.get(ctx.store, &operator).is_some() {
        return Err(Error::OperatorTaken);
    }
    let consensus = Address::of_consensus(&key).0;
    if BY_CONSENSUS.get(ctx.store, &consensus).is_some_and(|owner| owner != operator.0) {
        return Err(Error::KeyTaken);
    }
    if SIGNING_INFOS.get(ctx.store, &consensus).is_some_and(|info| info.tombstoned) {
        return Err(Error::KeyTombstoned);
    }
    if rates.rate < Dec::stored(&params(ctx.store).min_commission_rate) {
        return Err(Error::CommissionBelowMin);
    }
    let validator = fresh(operator, &key, description, rates, least, ctx.block.time_s);
    VALIDATORS.set(ctx.store, &operator, &validator);
    BY_CONSENSUS.set(ctx.store, &consensus, &operator.0.to_vec());
    distribution::validator_created(ctx, operator);
    delegation::add(ctx, operator, operator, amount, Source::Account)?;
    ctx.emit(&Event::Created { operator, amount });
    Ok(MsgCreateValidatorResponse {})
}

/// `MsgEditValidator`.
pub fn edit_validator(
    ctx: &mut Ctx<'_>,
    msg: EditValidator,
) -> Result<MsgEditValidatorResponse, Error> {
    let EditValidator { operator, description, rate, least } = msg;
    let mut validator = load(ctx, operator)?;
    let before = validator.description.unwrap_or_default();
    let keep = |new: alloc::string::String, old| if new == DO_NOT_MODIFY { old } else { new };
    let description = Description {
        moniker: keep(description.moniker, before.moniker),
        identity: keep(description.identity, before.identity),
        website: keep(description.website, before.website),
        security_contact: keep(description.security_contact, before.security_contact),
        details: keep(description.details, before.details),
    };
    check_description(&description)?;
    validator.description = Some(description);
    let mut commission = validator.commission.unwrap_or_default();
    let mut rates = Rates::new(&commission.commission_rates.clone().unwrap_or_default())?;
    if let Some(rate) = rate {
        let changed_s = seconds(commission.update_time);
        if ctx.block.time_s.saturating_sub(changed_s) < COMMISSION_CHANGE_S {
            return Err(Error::CommissionTooSoon);
        }
        if rate > rates.max {
            return Err(Error::CommissionAboveMax);
        }
        // Up and down alike.
        let step = rate.minus(rates.rate).or(rates.rate.minus(rate)).unwrap_or_default();
        if step > rates.max_change {
            return Err(Error::CommissionStep);
        }
        if rate < Dec::stored(&params(ctx.store).min_commission_rate) {
            return Err(Error::CommissionBelowMin);
        }
        rates.rate = rate;
        commission.commission_rates = Some(rates.to_proto());
        commission.update_time = timestamp(ctx.block.time_s);
    }
    validator.commission = Some(commission);
    if let Some(least) = least {
        if least <= Amount::stored(&validator.min_self_delegation) {
            return Err(Error::SelfBondDecreased);
        }
        if least > worth(&validator, shares_of(ctx.store, operator, operator)) {
            return Err(Error::SelfBond(least));
        }
        validator.min_self_delegation = least.text();
    }
    let promised = Amount::stored(&validator.min_self_delegation);
    VALIDATORS.set(ctx.store, &operator, &validator);
    ctx.emit(&Event::Edited { operator, rate: rates.rate, least: promised });
    Ok(MsgEditValidatorResponse {})
}

/// `MsgUnjail` of cosmos.slashing.
pub fn unjail(ctx: &mut Ctx<'_>, msg: Unjail) -> Result<MsgUnjailResponse, Error> {
    let Unjail { operator } = msg;
    let mut validator = VALIDATORS.get(ctx.store, &operator).ok_or(Error::UnjailUnknown)?;
    let own = shares_of(ctx.store, operator, operator);
    if own == Dec::ZERO {
        return Err(Error::NoSelfBond);
    }
    let (have, need) = (worth(&validator, own), Amount::stored(&validator.min_self_delegation));
    if have < need {
        return Err(Error::SelfBondTooLow { have, need });
    }
    if !validator.jailed {
        return Err(Error::NotJailed);
    }
    let info = SIGNING_INFOS.get(ctx.store, &consensus_address(&validator)).unwrap_or_default();
    if info.tombstoned || ctx.block.time_s < seconds(info.jailed_until) {
        return Err(Error::StillJailed);
    }
    validator.jailed = false;
    VALIDATORS.set(ctx.store, &operator, &validator);
    Ok(MsgUnjailResponse {})
}

pub(super) fn load(ctx: &Ctx<'_>, operator: Address) -> Result<Validator, Error> {
    VALIDATORS.get(ctx.store, &operator).ok_or(Error::NoValidator(operator))
}

/// Keeps a validator out of the set until it is free again.
pub(super) fn jail(ctx: &mut Ctx<'_>, operator: Address, reason: &'static str) {
    let Some(mut validator) = VALIDATORS.get(ctx.store, &operator) else { return };
    if !validator.jailed {
        validator.jailed = true;
        VALIDATORS.set(ctx.store, &operator, &validator);
        let consensus = Address(consensus_address(&validator));
        ctx.emit(&Event::Jailed { consensus, reason });
    }
}

/// Writes a validator whose stake changed. One that nobody stakes with any more is gone, once it is
/// not in the set and has served its time; its consensus key stays its operator's.
pub(super) fn keep_or_remove(
    ctx: &mut Ctx<'_>,
    operator: Address,
    validator: &Validator,
) -> Result<(), Error> {
    let empty = Dec::stored(&validator.delegator_shares) == Dec::ZERO;
    if empty && validator.status() == BondStatus::Unbonded && tokens(validator) == Amount::ZERO {
        VALIDATORS.remove(ctx.store, &operator);
        distribution::validator_removed(ctx, operator)?;
    } else {
        VALIDATORS.set(ctx.store, &operator, validator);
    }
    Ok(())
}
