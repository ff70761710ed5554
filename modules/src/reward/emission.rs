//! Pay for use: what an epoch burned, given back in part.

use alloc::vec::Vec;

use plasma_proto::plasma::{
    market::v1::Settled,
    reward::v1::{Burn, Epoch, Params, Paying, Schedule},
};

use super::{
    account::{self, Kind},
    event::Event,
    state::{BURNS, EPOCH, EPOCHS, PAYING, SCHEDULE, YEAR_S, params, sum},
};
use crate::{Address, Amount, BPS, Ctx, Write, error::fault};

/// Years after which nothing is made any more, whatever the parameters.
const YEARS_MAX: u64 = 2_000;

/// Old epochs that the end of one forgets at most.
const FORGET_EPOCHS: usize = 4;

/// What a year lets be made of what the first one did: each year that much less than the one before,
/// rounded down. Years are counted from 0; there are [`YEARS_MAX`].
pub fn yearly(first_uxpl: u64, decline_bps: u32, year: u64) -> u64 {
    if year >= YEARS_MAX {
        return 0;
    }
    let left = u128::from(BPS.saturating_sub(decline_bps));
    let mut yearly = u128::from(first_uxpl);
    for _ in 0..year {
        if yearly == 0 {
            break;
        }
        yearly = yearly.saturating_mul(left).checked_div(BPS.into()).unwrap_or_default();
    }
    u64::try_from(yearly).unwrap_or(u64::MAX)
}

/// The year, from 0, in which a time lies.
pub(super) fn year_of(schedule: &Schedule, time_s: u64) -> u64 {
    time_s.saturating_sub(schedule.start_s).checked_div(YEAR_S).unwrap_or_default()
}

/// Begins the years and the first epoch, on a chain that has none.
pub(super) fn begin(ctx: &mut Ctx<'_>) -> Epoch {
    if let Some(epoch) = EPOCH.get(ctx.store) {
        return epoch;
    }
    let now_s = ctx.block.time_s;
    let remainder = Amount::ZERO.text();
    let carry_uxpl = Amount::ZERO.text();
    SCHEDULE.set(ctx.store, &Schedule { start_s: now_s, remainder, carry_uxpl });
    let epoch = fresh(1, now_s);
    EPOCH.set(ctx.store, &epoch);
    epoch
}

fn fresh(number: u64, start_s: u64) -> Epoch {
    let zero = || Amount::ZERO.text();
    Epoch {
        number,
        start_s,
        end_s: 0,
        charge_uxpl: zero(),
        burn_uxpl: zero(),
        schedule_uxpl: zero(),
        emission_uxpl: zero(),
        paid_uxpl: zero(),
        providers: 0,
        paid: false,
    }
}

/// Ends the epoch whose time has passed, and begins the next.
pub(super) fn turn(ctx: &mut Ctx<'_>, params: &Params, mut epoch: Epoch) -> Epoch {
    let now_s = ctx.block.time_s;
    if now_s < epoch.start_s.saturating_add(params.epoch_s) {
        return epoch;
    }
    let mut schedule = SCHEDULE.get(ctx.store).unwrap_or_default();
    let most = scheduled(params, &mut schedule, epoch.start_s, now_s);
    let burn = Amount::stored(&epoch.burn_uxpl);
    let part = burn.share(params.eta_bps).unwrap_or_default();
    // What rounding left is shared by the next epoch that has somebody to share it.
    let carried = if burn == Amount::ZERO {
        Amount::ZERO
    } else {
        Amount::stored(&core::mem::replace(&mut schedule.carry_uxpl, Amount::ZERO.text()))
    };
    let emission = sum(&most.min(part).text(), carried);
    epoch.end_s = now_s;
    epoch.schedule_uxpl = most.text();
    epoch.emission_uxpl = emission.text();
    SCHEDULE.set(ctx.store, &schedule);
    EPOCHS.set(ctx.store, &epoch.number, &epoch);
    if PAYING.get(ctx.store).unwrap_or_default().epoch == 0 {
        PAYING.set(ctx.store, &Paying { epoch: epoch.number });
    }
    forget(ctx.store, params, epoch.number);
    ctx.emit(&Event::EpochEnded { epoch: epoch.number, burn, emission });

    let next = fresh(epoch.number.saturating_add(1), now_s);
    EPOCH.set(ctx.store, &next);
    next
}

/// What the schedule lets be made between two times: by the year in which they begin; what is below one
/// uxpl is kept for the next.
fn scheduled(params: &Params, schedule: &mut Schedule, from_s: u64, to_s: u64) -> Amount {
    let year = year_of(schedule, from_s);
    let rate = u128::from(yearly(params.emission_yearly_uxpl, params.decline_bps, year));
    let whole = rate
        .saturating_mul(to_s.saturating_sub(from_s).into())
        .saturating_add(Amount::stored(&schedule.remainder).units());
    let year_s = u128::from(YEAR_S);
    schedule.remainder = Amount::new(whole.checked_rem(year_s).unwrap_or_default()).text();
    Amount::new(whole.checked_div(year_s).unwrap_or_default())
}

/// Forgets epochs that were paid long ago.
fn forget(store: &mut dyn Write, params: &Params, last: u64) {
    let kept = last.saturating_sub(params.epochs_kept.into());
    let old: Vec<u64> = EPOCHS
        .iter(store)
        .take_while(|(number, epoch)| *number <= kept && epoch.paid)
        .take(FORGET_EPOCHS)
        .map(|(number, _)| number)
        .collect();
    for number in old {
        EPOCHS.remove(store, &number);
    }
}

/// Counts what final payments burned.
pub(super) fn count(ctx: &mut Ctx<'_>, mut epoch: Epoch, settled: &[Settled]) {
    if settled.is_empty() {
        return;
    }
    for payment in settled {
        let operator = Address::stored(&payment.provider);
        let burned = Amount::stored(&payment.burn_uxpl);
        epoch.charge_uxpl = sum(&epoch.charge_uxpl, Amount::stored(&payment.charge_uxpl)).text();
        epoch.burn_uxpl = sum(&epoch.burn_uxpl, burned).text();
        let key = (epoch.number, operator);
        let before = BURNS.get(ctx.store, &key);
        if before.is_none() {
            epoch.providers = epoch.providers.saturating_add(1);
        }
        let so_far = before.map_or_else(|| Amount::ZERO.text(), |burn| burn.burn_uxpl);
        let burn = Burn {
            epoch: epoch.number,
            operator: operator.text(),
            burn_uxpl: sum(&so_far, burned).text(),
        };
        BURNS.set(ctx.store, &key, &burn);
    }
    EPOCH.set(ctx.store, &epoch);
}

/// Pays those who had use in the first epoch that has ended and is not paid: so many per block.
pub(super) fn pay(ctx: &mut Ctx<'_>) {
    let paying = PAYING.get(ctx.store).unwrap_or_default();
    if paying.epoch == 0 {
        return;
    }
    let mut epoch = EPOCHS.get(ctx.store, &paying.epoch).unwrap_or_else(|| {
        fault("an epoch is paid that has not ended", &paying.epoch.to_be_bytes())
    });
    let payouts_max =
        usize::try_from(params(ctx.store).payouts_per_block_max).unwrap_or(usize::MAX);
    let burns: Vec<((u64, Address), Burn)> =
        BURNS.iter_prefix(ctx.store, &epoch.number).take(payouts_max.saturating_add(1)).collect();
    let mut paid = Amount::ZERO;
    for (key, burn) in burns.iter().take(payouts_max) {
        let part = share(&epoch, Amount::stored(&burn.burn_uxpl));
        account::accrue(ctx, key.1, part, Kind::Emission);
        paid = sum(&part.text(), paid);
        BURNS.remove(ctx.store, key);
    }
    account::mint(ctx, paid);
    let all = sum(&epoch.paid_uxpl, paid);
    epoch.paid_uxpl = all.text();
    if burns.len() <= payouts_max {
        epoch.paid = true;
        let left = Amount::stored(&epoch.emission_uxpl).minus(all).unwrap_or_default();
        let schedule = SCHEDULE.get(ctx.store).unwrap_or_default();
        let carry_uxpl = sum(&schedule.carry_uxpl, left).text();
        SCHEDULE.set(ctx.store, &Schedule { carry_uxpl, ..schedule });
        let next = epoch.number.saturating_add(1);
        let next = if EPOCHS.has(ctx.store, &next) { next } else { 0 };
        PAYING.set(ctx.store, &Paying { epoch: next });
        ctx.emit(&Event::EpochPaid { epoch: epoch.number, paid: all });
    }
    EPOCHS.set(ctx.store, &epoch.number, &epoch);
}

/// `floor(E * B_i / B)`.
fn share(epoch: &Epoch, burn: Amount) -> Amount {
    let emission = Amount::stored(&epoch.emission_uxpl).units();
    let all = Amount::stored(&epoch.burn_uxpl).units();
    let part = emission.checked_mul(burn.units()).and_then(|product| product.checked_div(all));
    // Both are below the supply; a product that does not fit pays nothing, which the next epoch shares.
    Amount::new(part.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_year_has_less_than_the_one_before() {
        assert_eq!([0, 1, 2].map(|year| yearly(1_000, 2_000, year)), [1_000, 800, 640]);
        assert_eq!(yearly(1_000, 10_000, 1), 0);
        assert_eq!(yearly(u64::MAX, 100, 0), u64::MAX);
        assert_eq!(yearly(u64::MAX, 100, u64::MAX), 0);
        let all: u128 = (0..YEARS_MAX).map(|year| u128::from(yearly(1_000_000, 2_000, year))).sum();
        assert!((4_999_000..=5_000_000).contains(&all), "five times the first year: {all}");
    }

    #[test]
    fn a_schedule_owes_nothing_for_long() {
        let params =
            Params { emission_yearly_uxpl: 1_000, decline_bps: 2_000, ..Params::default() };
        let mut schedule = Schedule { remainder: "0".into(), ..Schedule::default() };
        let made: u128 = (0..365 * 24)
            .map(|hour| scheduled(&params, &mut schedule, hour * 3_600, (hour + 1) * 3_600).units())
            .sum();
        assert_eq!((made, schedule.remainder.as_str()), (1_000, "0"));
    }
}
