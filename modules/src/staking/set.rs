//! Which validators make blocks, and what is remembered of it.

use alloc::{collections::BTreeMap, vec::Vec};

use plasma_proto::{
    cosmos::staking::v1beta1::BondStatus,
    plasma::staking::v1::{Member, Past, ValidatorSet},
};

use super::{
    Error,
    params::params,
    slashing::start_window,
    state::{
        HISTORY, HISTORY_SETS, SET, VALIDATORS, bonded_pool, consensus_address, consensus_key,
        index_keys, not_bonded_pool, signed, timestamp, tokens,
    },
    unbonding,
    validator::keep_or_remove,
};
use crate::{Address, Ctx, Key, Order, Read, Table, chain::ValidatorUpdate, error::fault, token};

/// Validators that have unbonded and are released at the end of a block, at most.
const RELEASED_PER_BLOCK_MAX: usize = 100;
/// Blocks of history that are forgotten at the end of a block, at most: where governance wants less
/// of it, the rest goes little by little.
const PAST_PER_BLOCK_MAX: usize = 4;

/// Validators that may be in the set, strongest first; of equals, the smallest address first.
pub(super) fn strongest(store: &dyn Read) -> impl Iterator<Item = (Address, u64)> {
    let prefix = [Table::StakingByPower.id()];
    let end = crate::prefix_end(&prefix);
    store.range(&prefix, end.as_deref(), Order::Descending).map(|(key, _)| {
        let typed = key.get(1..).and_then(|mut rest| <(u64, [u8; 20])>::take(&mut rest));
        let (power, inverted) = typed.unwrap_or_else(|| fault("bad index key", &key));
        (Address(inverted.map(|byte| !byte)), power)
    })
}

/// Chooses the set for the block after next; `Ok` is what changes. Where nobody could be in it, it
/// stays as it was: CometBFT cannot go on without validators.
pub(super) fn choose(ctx: &mut Ctx<'_>) -> Result<Vec<ValidatorUpdate>, Error> {
    let most = usize::try_from(params(ctx.store).max_validators).unwrap_or(usize::MAX);
    let chosen: Vec<(Address, u64)> = strongest(ctx.store).take(most).collect();
    let before = SET.get(ctx.store).unwrap_or_default();
    let mut was: BTreeMap<Address, &Member> =
        before.members.iter().map(|member| (Address::stored(&member.operator), member)).collect();
    let same = before.members.len() == chosen.len()
        && chosen.iter().zip(&before.members).all(|((operator, power), member)| {
            *power == member.power && was.get(operator).is_some_and(|found| **found == *member)
        });
    if chosen.is_empty() || same {
        return Ok(Vec::new());
    }
    let mut updates = Vec::new();
    let mut members = Vec::with_capacity(chosen.len());
    for (operator, power) in chosen {
        let pubkey = match was.remove(&operator) {
            Some(member) => {
                let pubkey = key_of(member);
                if member.power != power {
                    updates.push(ValidatorUpdate { pubkey, power });
                }
                pubkey
            }
            None => {
                let pubkey = bond(ctx, operator)?;
                updates.push(ValidatorUpdate { pubkey, power });
                pubkey
            }
        };
        let (operator, consensus_pubkey) = (operator.text(), pubkey.to_vec());
        members.push(Member { operator, consensus_pubkey, power });
    }
    for (operator, member) in was {
        begin_unbonding(ctx, operator)?;
        updates.push(ValidatorUpdate { pubkey: key_of(member), power: 0 });
    }
    let set = ValidatorSet { height: ctx.block.height, members };
    SET.set(ctx.store, &set);
    Ok(updates)
}

pub(super) fn key_of(member: &Member) -> [u8; 32] {
    let key = crate::types::hash32(&member.consensus_pubkey);
    key.unwrap_or_else(|| fault("bad consensus key", member.operator.as_bytes()))
}

/// A validator comes into the set: its stake moves to the bonded pool, its window begins.
fn bond(ctx: &mut Ctx<'_>, operator: Address) -> Result<[u8; 32], Error> {
    let Some(mut validator) = VALIDATORS.get(ctx.store, &operator) else {
        fault("the index of powers names no validator", &operator.0)
    };
    validator.status = BondStatus::Bonded.into();
    VALIDATORS.set(ctx.store, &operator, &validator);
    token::transfer(ctx, not_bonded_pool(), bonded_pool(), tokens(&validator))?;
    start_window(ctx.store, consensus_address(&validator), ctx.block.height);
    Ok(consensus_key(&validator))
}

/// A validator leaves the set: its stake moves to the other pool, and is held as long as stake unbonds.
fn begin_unbonding(ctx: &mut Ctx<'_>, operator: Address) -> Result<(), Error> {
    let Some(mut validator) = VALIDATORS.get(ctx.store, &operator) else {
        fault("the set names no validator", &operator.0)
    };
    validator.status = BondStatus::Unbonding.into();
    validator.unbonding_height = signed(ctx.block.height);
    let due_s = ctx.block.time_s.saturating_add(unbonding::unbonding_s(ctx.store));
    validator.unbonding_time = timestamp(due_s);
    VALIDATORS.set(ctx.store, &operator, &validator);
    token::transfer(ctx, bonded_pool(), not_bonded_pool(), tokens(&validator))?;
    Ok(())
}

/// Releases validators whose time of unbonding is over; one that nobody stakes with is gone.
pub(super) fn release_due(ctx: &mut Ctx<'_>) -> Result<(), Error> {
    let now_s = ctx.block.time_s;
    let due: Vec<Address> =
        index_keys::<(u64, Address)>(ctx.store, Table::StakingUnbondingValidators, &[], &[])
            .take_while(|(due_s, _)| *due_s <= now_s)
            .take(RELEASED_PER_BLOCK_MAX)
            .map(|(_, operator)| operator)
            .collect();
    for operator in due {
        if let Some(mut validator) = VALIDATORS.get(ctx.store, &operator) {
            validator.status = BondStatus::Unbonded.into();
            keep_or_remove(ctx, operator, &validator)?;
        }
    }
    Ok(())
}

/// Remembers this block and forgets what is older than governance asks for.
pub(super) fn remember(ctx: &mut Ctx<'_>) {
    let entries = u64::from(params(ctx.store).historical_entries);
    let height = ctx.block.height;
    let set = SET.get(ctx.store).unwrap_or_default();
    if entries > 0 {
        let past = Past { height, time_s: ctx.block.time_s, set_height: set.height };
        HISTORY.set(ctx.store, &height, &past);
        if !HISTORY_SETS.has(ctx.store, &set.height) {
            HISTORY_SETS.set(ctx.store, &set.height, &set);
        }
    }
    for _ in 0..PAST_PER_BLOCK_MAX {
        let mut oldest = HISTORY.iter(ctx.store).take(2);
        let (first, next) = (oldest.next(), oldest.next());
        drop(oldest);
        let Some((at, past)) = first.filter(|(at, _)| at.saturating_add(entries) <= height) else {
            return;
        };
        HISTORY.remove(ctx.store, &at);
        if next.is_none_or(|(_, next)| next.set_height != past.set_height) {
            HISTORY_SETS.remove(ctx.store, &past.set_height);
        }
    }
}
