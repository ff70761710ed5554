//! Pay for standing by: a budget by time, shared by audited slots, whatever their use.
//!
//! A slot's pay adds up in one number, so that nothing is done for each provider as time passes: who
//! was marked when the number was a, and is paid when it is b, gets (b - a) for each slot.

use plasma_proto::plasma::reward::v1::{Audited, Params, Schedule, Standby};

use super::{
    account::{self, Kind},
    emission::{begin, year_of, yearly},
    event::Event,
    state::{AUDITED, SCHEDULE, STANDBY, YEAR_S, by_end, first_to_end, params},
};
use crate::{Address, Amount, Ctx, Read, error::fault, market};

/// Parts of a uxpl in which a slot's pay is counted.
const SCALE: u128 = 1_000_000_000_000;

/// Marks that many slots of a provider were audited and stay so until a time; none, or a time that
/// has passed, removes the mark. For the module that audits: no message sets it.
pub fn mark_audited(ctx: &mut Ctx<'_>, operator: Address, slots: u32, until_s: u64) {
    begin(ctx);
    expire(ctx);
    let mut standby = STANDBY.get(ctx.store).unwrap_or_default();
    if let Some(audited) = AUDITED.get(ctx.store, &operator) {
        pay(ctx, &standby, operator, &audited);
        AUDITED.remove(ctx.store, &operator);
        standby.slots = standby.slots.saturating_sub(audited.slots.into());
    }
    let slots = if until_s <= ctx.block.time_s { 0 } else { slots };
    if slots != 0 {
        let from_per_slot = text(per_slot(&standby));
        let audited = Audited { operator: operator.text(), slots, until_s, from_per_slot };
        AUDITED.set(ctx.store, &operator, &audited);
        standby.slots = standby.slots.saturating_add(slots.into());
    }
    STANDBY.set(ctx.store, &standby);
    ctx.emit(&Event::CapacityAudited { operator, slots, until_s });
}

fn text(units: u128) -> alloc::string::String {
    Amount::new(units).text()
}

fn per_slot(standby: &Standby) -> u128 {
    Amount::stored(&standby.per_slot).units()
}

/// Removes marks whose time has passed, in order, each paid up to its end; so many per block. Then,
/// if none is left that has, counts up to now.
pub(super) fn expire(ctx: &mut Ctx<'_>) {
    let params = params(ctx.store);
    let schedule = SCHEDULE.get(ctx.store).unwrap_or_default();
    let mut standby = STANDBY.get(ctx.store).unwrap_or_default();
    let now_s = ctx.block.time_s;
    for _ in 0..params.expiries_per_block_max {
        let Some((until_s, operator)) = first_to_end(ctx.store).filter(|(at, _)| *at <= now_s)
        else {
            break;
        };
        advance(&params, &schedule, &mut standby, until_s);
        let audited = AUDITED
            .get(ctx.store, &operator)
            .unwrap_or_else(|| fault("an index names a mark that is gone", &operator.0));
        pay(ctx, &standby, operator, &audited);
        AUDITED.remove(ctx.store, &operator);
        standby.slots = standby.slots.saturating_sub(audited.slots.into());
        ctx.emit(&Event::CapacityAudited { operator, slots: 0, until_s });
    }
    if first_to_end(ctx.store).is_none_or(|(at, _)| at > now_s) {
        advance(&params, &schedule, &mut standby, now_s);
    }
    STANDBY.set(ctx.store, &standby);
}

/// Whether a mark has run out.
pub(super) fn is_due(store: &dyn Read, now_s: u64) -> bool {
    first_to_end(store).is_some_and(|(until_s, _)| until_s <= now_s)
}

/// Counts a slot's pay up to a time, year by year. Per second it is the year's budget shared by the
/// slots, at most `standby_slot_yearly_uxpl` a year; what is not paid out is not made.
pub(super) fn advance(params: &Params, schedule: &Schedule, standby: &mut Standby, to_s: u64) {
    if standby.slots == 0 {
        standby.clock_s = standby.clock_s.max(to_s);
    }
    while standby.clock_s < to_s {
        let year = year_of(schedule, standby.clock_s);
        let year_end_s =
            year.saturating_add(1).saturating_mul(YEAR_S).saturating_add(schedule.start_s);
        let until_s = year_end_s.min(to_s).max(standby.clock_s.saturating_add(1));
        let seconds = u128::from(until_s.saturating_sub(standby.clock_s));
        let budget = u128::from(yearly(params.standby_yearly_uxpl, params.decline_bps, year));
        let part = |yearly: u128, among: u64| {
            let among = u128::from(among).saturating_mul(YEAR_S.into());
            let scaled = yearly.saturating_mul(seconds).saturating_mul(SCALE);
            scaled.checked_div(among).unwrap_or_default()
        };
        let pay = part(budget, standby.slots).min(part(params.standby_slot_yearly_uxpl.into(), 1));
        standby.per_slot = text(per_slot(standby).saturating_add(pay));
        standby.clock_s = until_s;
    }
}

/// What a mark has earned, rounded down, up to where time has been counted.
pub(super) fn earned(standby: &Standby, audited: &Audited) -> Amount {
    let from = Amount::stored(&audited.from_per_slot).units();
    let each = per_slot(standby).saturating_sub(from);
    let all = each.saturating_mul(audited.slots.into());
    Amount::new(all.checked_div(SCALE).unwrap_or_default())
}

/// Pays what a mark has earned. One whose provider has gone is owed nothing. The caller writes the
/// mark anew.
fn pay(ctx: &mut Ctx<'_>, standby: &Standby, operator: Address, audited: &Audited) {
    if market::provider(ctx.store, operator).is_some() {
        let amount = earned(standby, audited);
        account::accrue(ctx, operator, amount, Kind::Standby);
        account::mint(ctx, amount);
    }
}

/// Pays what a provider's mark has earned so far.
pub(super) fn collect(ctx: &mut Ctx<'_>, operator: Address) {
    if !AUDITED.map().has(ctx.store, &operator) {
        return;
    }
    expire(ctx);
    let standby = STANDBY.get(ctx.store).unwrap_or_default();
    if let Some(audited) = AUDITED.get(ctx.store, &operator) {
        pay(ctx, &standby, operator, &audited);
        let from_per_slot = text(per_slot(&standby));
        AUDITED.set(ctx.store, &operator, &Audited { from_per_slot, ..audited });
    }
}

/// What a provider's mark would be paid now.
pub(super) fn pending(store: &dyn Read, operator: Address, now_s: u64) -> Amount {
    let Some(audited) = AUDITED.get(store, &operator) else { return Amount::ZERO };
    let (params, schedule) = (params(store), SCHEDULE.get(store).unwrap_or_default());
    let mut standby = STANDBY.get(store).unwrap_or_default();
    let most = usize::try_from(params.expiries_per_block_max).unwrap_or(usize::MAX);
    // Marks that have run out and are not removed yet end where they end.
    for (until_s, other) in by_end(store).take_while(|(at, _)| *at <= now_s).take(most) {
        advance(&params, &schedule, &mut standby, until_s);
        if other == operator {
            return earned(&standby, &audited);
        }
        // A question that is cut short finds nothing behind its index any more.
        let slots = AUDITED.get(store, &other).map_or(0, |ended| ended.slots);
        standby.slots = standby.slots.saturating_sub(slots.into());
    }
    advance(&params, &schedule, &mut standby, now_s);
    earned(&standby, &audited)
}
