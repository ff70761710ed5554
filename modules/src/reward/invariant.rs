use alloc::{format, string::String};

use super::state::{ACCOUNTS, AUDITED, BURNS, EPOCH, EPOCHS, PAYING, STANDBY, rewards};
use crate::{Address, Amount, Read, token};

/// Every sentence about rewards holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    what_is_held_is_what_is_owed(store)?;
    burns_sum_to_their_epochs(store)?;
    audited_slots_are_sum_of_marks(store)
}

/// The module account holds what its providers may claim, and nothing else.
fn what_is_held_is_what_is_owed(store: &dyn Read) -> Result<(), String> {
    let mut owed = Amount::ZERO;
    for (operator, account) in ACCOUNTS.iter(store) {
        if account.operator != operator.text() {
            return Err(format!("the account of {operator} names {}", account.operator));
        }
        let more = owed.plus(Amount::stored(&account.accrued_uxpl));
        owed = more.ok_or_else(|| String::from("a sum passed the largest amount"))?;
    }
    let held = token::balance(store, rewards());
    if held == owed { Ok(()) } else { Err(format!("{held}uxpl are held, {owed}uxpl are owed")) }
}

/// What an epoch burned is what its providers burned; of one that is being paid, no more is left; of
/// one that is paid, nothing. No more was paid than its emission.
fn burns_sum_to_their_epochs(store: &dyn Read) -> Result<(), String> {
    let left = |number: u64| {
        BURNS.iter_prefix(store, &number).try_fold(
            (Amount::ZERO, 0u32),
            |(sum, count), (_, burn)| {
                Some((sum.plus(Amount::stored(&burn.burn_uxpl))?, count.checked_add(1)?))
            },
        )
    };
    let full = || String::from("a sum passed the largest amount");
    let paying = PAYING.get(store).unwrap_or_default().epoch;
    if let Some(epoch) = EPOCH.get(store) {
        let (sum, count) = left(epoch.number).ok_or_else(full)?;
        if sum != Amount::stored(&epoch.burn_uxpl) || count != epoch.providers {
            return Err(format!("epoch {} does not sum", epoch.number));
        }
        if epoch.end_s != 0 {
            return Err(format!("epoch {} has ended and is under way", epoch.number));
        }
    }
    for (number, epoch) in EPOCHS.iter(store) {
        let (sum, _) = left(number).ok_or_else(full)?;
        let (burn, paid) = (Amount::stored(&epoch.burn_uxpl), Amount::stored(&epoch.paid_uxpl));
        let fits = if epoch.paid {
            sum == Amount::ZERO
        } else {
            paying != 0 && number >= paying && sum <= burn
        };
        if !fits || paid > Amount::stored(&epoch.emission_uxpl) || epoch.end_s == 0 {
            return Err(format!("epoch {number} does not sum"));
        }
    }
    Ok(())
}

/// The audited slots are those of the marks, whose pay began no later than now.
fn audited_slots_are_sum_of_marks(store: &dyn Read) -> Result<(), String> {
    let standby = STANDBY.get(store).unwrap_or_default();
    let mut slots = 0u64;
    for (operator, audited) in AUDITED.map().iter(store) {
        slots = slots.saturating_add(audited.slots.into());
        let begun = Amount::stored(&audited.from_per_slot) <= Amount::stored(&standby.per_slot);
        if audited.slots == 0 || !begun || Address::parse(&audited.operator) != Ok(operator) {
            return Err(format!("the audited capacity of {operator} is not well formed"));
        }
    }
    if slots == standby.slots {
        Ok(())
    } else {
        Err(format!("{} slots are audited, the marks say {slots}", standby.slots))
    }
}
