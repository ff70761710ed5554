//! What a validator pays for: blocks that it missed, and blocks that it signed twice.

use alloc::vec::Vec;

use plasma_proto::{
    cosmos::{
        evidence::v1beta1::Equivocation,
        slashing::v1beta1::ValidatorSigningInfo,
        staking::v1beta1::{BondStatus, Infraction, Validator},
    },
    plasma::staking::v1::Slash,
};
use prost::Message;

use super::{
    Error,
    event::Event,
    params::{UNBONDING_S_MAX, slashing_params, stored_part},
    redelegation,
    state::{
        BY_CONSENSUS, EVIDENCE, MISSED, SIGNING_INFOS, SLASHES, UXPL_PER_POWER, VALIDATORS,
        consensus_address, duration_s, pool, signed, timestamp, tokens, unsigned,
    },
    validator::jail,
};
use crate::{
    Address, Amount, Ctx, Dec, Read, Write,
    chain::{Misbehavior, Vote},
    token, tx,
    types::{mul_div, sha256},
};

/// Bytes of one part of a window; a part is one stored value.
const PART_BYTES: usize = 64;
/// Blocks of one part of a window.
const PART_BLOCKS: u64 = 512;
/// The set of a block was chosen at the end of the second block before it: what left in the first
/// block before it, or later, still stood behind it.
const SET_DELAY: u64 = 1;

/// A validator's slot of its window.
#[derive(Clone, Copy)]
struct Slot {
    consensus: [u8; 20],
    part: u32,
    byte: usize,
    mask: u8,
}

impl Slot {
    /// The slot of the block `blocks` after the window's beginning.
    fn new(consensus: [u8; 20], blocks: u64, window: u64) -> Option<Self> {
        let at = blocks.checked_rem(window)?;
        let (part, within) = (at.checked_div(PART_BLOCKS)?, at.checked_rem(PART_BLOCKS)?);
        let byte = usize::try_from(within.checked_div(8)?).ok()?;
        let mask = 1u8.checked_shl(u32::try_from(within.checked_rem(8)?).ok()?)?;
        Some(Self { consensus, part: u32::try_from(part).ok()?, byte, mask })
    }

    fn get(self, store: &dyn Read) -> bool {
        let bits = MISSED.get(store, &(self.consensus, self.part)).unwrap_or_default();
        bits.get(self.byte).is_some_and(|byte| byte & self.mask != 0)
    }

    fn flip(self, store: &mut dyn Write) {
        let key = (self.consensus, self.part);
        let mut bits = MISSED.get(store, &key).unwrap_or_default();
        bits.resize(PART_BYTES, 0);
        if let Some(byte) = bits.get_mut(self.byte) {
            *byte ^= self.mask;
        }
        if bits.iter().all(|byte| *byte == 0) {
            MISSED.remove(store, &key);
        } else {
            MISSED.set(store, &key, &bits);
        }
    }
}

/// Blocks of a window that may be missed: the least that must be signed is rounded to the nearest.
fn missed_max(window: u64, least: Dec) -> u64 {
    let half = Dec::ONE.scaled() / 2;
    let least = least.scaled().saturating_mul(u128::from(window)).saturating_add(half);
    let least = least.checked_div(Dec::ONE.scaled()).and_then(|least| u64::try_from(least).ok());
    window.saturating_sub(least.unwrap_or(window))
}

/// Begins a validator's window anew, at the height at whose end it came into the set.
pub(super) fn start_window(store: &mut dyn Write, consensus: [u8; 20], height: u64) {
    let before = SIGNING_INFOS.get(store, &consensus).unwrap_or_default();
    clear_window(store, consensus);
    let info = ValidatorSigningInfo {
        address: Address(consensus).consensus_text(),
        start_height: signed(height),
        index_offset: 0,
        jailed_until: before.jailed_until.or(timestamp(0)),
        tombstoned: before.tombstoned,
        missed_blocks_counter: 0,
    };
    SIGNING_INFOS.set(store, &consensus, &info);
}

fn clear_window(store: &mut dyn Write, consensus: [u8; 20]) {
    let parts: Vec<_> = MISSED.iter_prefix(store, &consensus).map(|(key, _)| key).collect();
    for key in parts {
        MISSED.remove(store, &key);
    }
}

/// Begins the window of every validator of the set anew.
pub(super) fn restart_windows(store: &mut dyn Write, height: u64) {
    for (operator, _) in super::state::bonded(store) {
        if let Some(validator) = VALIDATORS.get(store, &operator) {
            start_window(store, consensus_address(&validator), height);
        }
    }
}

/// Who may still be punished: a validator's operator, by its consensus address.
fn find(store: &dyn Read, consensus: [u8; 20]) -> Option<(Address, Option<Validator>)> {
    let operator = Address(BY_CONSENSUS.get(store, &consensus)?.try_into().ok()?);
    let validator = VALIDATORS.get(store, &operator);
    Some((operator, validator.filter(|validator| consensus_address(validator) == consensus)))
}

/// Counts who missed the block before; who missed too many of its window pays and is jailed.
pub(super) fn count_missed(ctx: &mut Ctx<'_>, votes: &[Vote]) -> Result<(), Error> {
    if votes.is_empty() {
        return Ok(());
    }
    let params = slashing_params(ctx.store);
    let window = unsigned(params.signed_blocks_window);
    let most = missed_max(window, stored_part(&params.min_signed_per_window));
    let height = ctx.block.height;
    for vote in votes {
        let Some((operator, Some(validator))) = find(ctx.store, vote.validator) else { continue };
        let Some(mut info) = SIGNING_INFOS.get(ctx.store, &vote.validator) else { continue };
        if validator.jailed {
            continue;
        }
        let started = unsigned(info.start_height);
        let slot = Slot::new(vote.validator, height.saturating_sub(started), window);
        let Some(slot) = slot else { continue };
        let (missed, before) = (!vote.signed, slot.get(ctx.store));
        if missed != before {
            slot.flip(ctx.store);
            let step = if missed { 1 } else { -1 };
            info.missed_blocks_counter = info.missed_blocks_counter.saturating_add(step);
            SIGNING_INFOS.set(ctx.store, &vote.validator, &info);
        }
        let count = unsigned(info.missed_blocks_counter);
        if missed {
            let consensus = Address(vote.validator);
            ctx.emit(&Event::Missed { consensus, missed: count, height });
        }
        if height <= started.saturating_add(window) || count <= most {
            continue;
        }
        let offence = Punished {
            operator,
            consensus: vote.validator,
            infraction: Infraction::Downtime,
            height: height.saturating_sub(SET_DELAY.saturating_add(1)),
            power: vote.power,
            fraction: stored_part(&params.slash_fraction_downtime),
        };
        slash(ctx, &offence)?;
        jail(ctx, operator, "missing_signature");
        clear_window(ctx.store, vote.validator);
        let jailed_s = duration_s(params.downtime_jail_duration);
        info.jailed_until = timestamp(ctx.block.time_s.saturating_add(jailed_s));
        info.missed_blocks_counter = 0;
        SIGNING_INFOS.set(ctx.store, &vote.validator, &info);
    }
    Ok(())
}

/// Punishes who is proven to have signed twice: once, and for good. What is too old is void. Where blocks
/// were slow, CometBFT takes evidence that is older than stake has to unbond: then the key is tombstoned
/// all the same, but nobody pays, since who stood behind it may be gone and who is there may have come
/// later.
pub(super) fn punish(ctx: &mut Ctx<'_>, proven: &[Misbehavior]) -> Result<(), Error> {
    for of in proven {
        let Misbehavior { offence: _, validator: consensus, power, height, time_s, total_power: _ } =
            *of;
        let age_s = ctx.block.time_s.saturating_sub(time_s);
        let age_blocks = ctx.block.height.saturating_sub(height);
        let (last_s, last_blocks) = crate::rules::evidence_age(ctx.store);
        let late = age_s > last_s;
        if late && age_blocks > last_blocks {
            continue;
        }
        let Some((operator, validator)) = find(ctx.store, consensus) else { continue };
        let mut info = SIGNING_INFOS.get(ctx.store, &consensus).unwrap_or_default();
        if info.tombstoned {
            continue;
        }
        let params = slashing_params(ctx.store);
        let offence = Punished {
            operator,
            consensus,
            infraction: Infraction::DoubleSign,
            height: height.saturating_sub(SET_DELAY),
            power,
            fraction: stored_part(&params.slash_fraction_double_sign),
        };
        if !late {
            slash(ctx, &offence)?;
        }
        if validator.is_some() {
            jail(ctx, operator, "double_sign");
        }
        info.address = Address(consensus).consensus_text();
        info.jailed_until = timestamp(tx::TIME_LAST_S.unsigned_abs());
        info.tombstoned = true;
        SIGNING_INFOS.set(ctx.store, &consensus, &info);
        let evidence = Equivocation {
            height: signed(height),
            time: timestamp(time_s),
            power: signed(power),
            consensus_address: info.address,
        };
        EVIDENCE.set(ctx.store, &sha256(&evidence.encode_to_vec()), &evidence);
    }
    Ok(())
}

/// An offence and its price.
struct Punished {
    operator: Address,
    consensus: [u8; 20],
    infraction: Infraction,
    /// What left the validator in this block or later pays.
    height: u64,
    power: u64,
    fraction: Dec,
}

/// Burns a part of a validator's tokens, of as many at most as stood behind its power then: shares
/// stay, and are worth less. What left it since pays its own part later.
fn slash(ctx: &mut Ctx<'_>, offence: &Punished) -> Result<(), Error> {
    let Punished { operator, consensus, infraction, height, power, fraction } = offence;
    let kind = u8::try_from(i32::from(*infraction)).unwrap_or_default();
    let record = Slash {
        operator: operator.text(),
        height: ctx.block.height,
        time_s: ctx.block.time_s,
        infraction: kind.into(),
        infraction_height: *height,
        fraction: fraction.text(),
    };
    forget_old(ctx, *operator);
    SLASHES.set(ctx.store, &(*operator, ctx.block.height, kind), &record);
    redelegation::charge_movers(ctx, *operator);
    let mut burned = Amount::ZERO;
    if let Some((_, Some(mut validator))) = find(ctx.store, *consensus) {
        let have = tokens(&validator);
        let then = mul_div((*power).into(), UXPL_PER_POWER, 1).map_or(have, Amount::new);
        burned = fraction.of(have.min(then)).ok_or(Error::Overflow)?;
        validator.tokens = have.minus(burned).unwrap_or_default().text();
        VALIDATORS.set(ctx.store, operator, &validator);
        token::burn(ctx, pool(validator.status() == BondStatus::Bonded), burned)?;
    }
    let reason = match infraction {
        Infraction::DoubleSign => "double_sign",
        _ => "missing_signature",
    };
    ctx.emit(&Event::Slashed { consensus: Address(*consensus), power: *power, reason, burned });
    Ok(())
}

/// Forgets a validator's slashes that no stake on its way can have lived through.
fn forget_old(ctx: &mut Ctx<'_>, operator: Address) {
    let now_s = ctx.block.time_s;
    let old: Vec<_> = SLASHES
        .iter_prefix(ctx.store, &operator)
        .take_while(|(_, slash)| slash.time_s.saturating_add(UNBONDING_S_MAX) < now_s)
        .map(|(key, _)| key)
        .collect();
    for key in old {
        SLASHES.remove(ctx.store, &key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;

    #[test]
    fn the_least_to_sign_is_rounded_to_the_nearest() {
        let half = Dec::bps(5_000);
        for (window, least, most) in [
            (10_000, half, 5_000),
            (3, half, 1),
            (5, half, 2),
            (10, Dec::ZERO, 10),
            (10, Dec::ONE, 0),
            (10, Dec::bps(449), 10),
            (10, Dec::bps(500), 9),
        ] {
            assert_eq!(missed_max(window, least), most, "{window} {least}");
        }
    }

    #[test]
    fn every_block_of_a_window_has_its_own_bit() {
        let mut store = Memory::default();
        let window = 1_300;
        let slot = |blocks| Slot::new([7; 20], blocks, window).unwrap();
        for blocks in [0, 7, 8, 511, 512, 1_023, 1_299] {
            slot(blocks).flip(&mut store);
        }
        let set: Vec<u64> = (0..window).filter(|at| slot(*at).get(&store)).collect();
        assert_eq!(set, [0, 7, 8, 511, 512, 1_023, 1_299]);
        assert!(slot(window).get(&store) && slot(window + 512).get(&store));
        for blocks in set {
            slot(blocks).flip(&mut store);
        }
        assert_eq!(store, Memory::default(), "nothing missed, nothing stored");
    }
}
