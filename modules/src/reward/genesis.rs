use alloc::{format, string::String};

use plasma_proto::plasma::{
    genesis::v1::RewardGenesis,
    reward::v1::{Account, Audited, Burn, Epoch, Paying, Schedule, Standby},
};

use super::{
    Error, check_invariants, default_params,
    state::{ACCOUNTS, AUDITED, BURNS, EPOCH, EPOCHS, PARAMS, PAYING, SCHEDULE, STANDBY, params},
    validate_params,
};
use crate::{Address, Amount, Read, Write};

/// Default parameters; the first block begins the first epoch.
pub fn default_genesis() -> RewardGenesis {
    RewardGenesis {
        params: Some(default_params()),
        standby: Some(Standby::default()),
        schedule: Some(Schedule::default()),
        paying: Some(Paying::default()),
        ..RewardGenesis::default()
    }
}

fn bad(text: impl Into<String>) -> Error {
    Error::BadGenesis(text.into())
}

fn address(text: &str) -> Result<Address, Error> {
    Address::parse(text).map_err(|_| bad(format!("{text:?} is no address")))
}

fn numbers(texts: &[&str]) -> Result<(), Error> {
    match texts.iter().find(|text| !text.is_empty() && Amount::parse(text).is_none()) {
        Some(text) => Err(bad(format!("{text:?} is no number"))),
        None => Ok(()),
    }
}

fn check_epoch(epoch: &Epoch) -> Result<(), Error> {
    let Epoch {
        number,
        start_s: _,
        end_s: _,
        charge_uxpl,
        burn_uxpl,
        schedule_uxpl,
        emission_uxpl,
        paid_uxpl,
        providers: _,
        paid: _,
    } = epoch;
    numbers(&[charge_uxpl, burn_uxpl, schedule_uxpl, emission_uxpl, paid_uxpl])?;
    if *number == 0 { Err(bad("epochs are counted from 1")) } else { Ok(()) }
}

/// Writes the first state. Balances and providers must be there before.
pub fn init(store: &mut dyn Write, genesis: &RewardGenesis) -> Result<(), Error> {
    let RewardGenesis {
        params,
        epoch,
        epochs,
        burns,
        accounts,
        audited,
        standby,
        schedule,
        paying,
    } = genesis;
    let params = params.as_ref().ok_or_else(|| bad("params are missing"))?;
    validate_params(params)?;
    PARAMS.set(store, params);
    if let Some(epoch) = epoch {
        check_epoch(epoch)?;
        EPOCH.set(store, epoch);
    }
    for ended in epochs {
        check_epoch(ended)?;
        if EPOCHS.has(store, &ended.number) {
            return Err(bad("an epoch stands twice"));
        }
        if epoch.as_ref().is_none_or(|epoch| epoch.number <= ended.number) {
            return Err(bad("an epoch has ended before it began"));
        }
        EPOCHS.set(store, &ended.number, ended);
    }
    for burn in burns {
        let Burn { epoch: number, operator, burn_uxpl } = burn;
        numbers(&[burn_uxpl])?;
        let key = (*number, address(operator)?);
        let current = epoch.as_ref().is_some_and(|epoch| epoch.number == *number);
        if BURNS.has(store, &key) || !(current || EPOCHS.has(store, number)) {
            return Err(bad("a burn stands twice, or its epoch is not there"));
        }
        BURNS.set(store, &key, burn);
    }
    for account in accounts {
        let Account { operator, accrued_uxpl, emission_uxpl, standby_uxpl, registered_height: _ } =
            account;
        numbers(&[accrued_uxpl, emission_uxpl, standby_uxpl])?;
        let operator = address(operator)?;
        if ACCOUNTS.has(store, &operator) {
            return Err(bad(format!("the account of {operator} stands twice")));
        }
        ACCOUNTS.set(store, &operator, account);
    }
    for mark in audited {
        let Audited { operator, slots: _, until_s: _, from_per_slot } = mark;
        numbers(&[from_per_slot])?;
        let operator = address(operator)?;
        if AUDITED.map().has(store, &operator) {
            return Err(bad(format!("the audited capacity of {operator} stands twice")));
        }
        AUDITED.set(store, &operator, mark);
    }
    let standby = standby.as_ref().ok_or_else(|| bad("standby is missing"))?;
    numbers(&[&standby.per_slot])?;
    if *standby != Standby::default() {
        STANDBY.set(store, standby);
    }
    let schedule = schedule.as_ref().ok_or_else(|| bad("the schedule is missing"))?;
    numbers(&[&schedule.remainder, &schedule.carry_uxpl])?;
    if *schedule != Schedule::default() {
        SCHEDULE.set(store, schedule);
    }
    let paying = paying.as_ref().ok_or_else(|| bad("paying is missing"))?;
    if paying.epoch != 0 && EPOCHS.get(store, &paying.epoch).is_none_or(|epoch| epoch.paid) {
        return Err(bad("an epoch is paid that has not ended, or was paid before"));
    }
    if *paying != Paying::default() {
        PAYING.set(store, paying);
    }
    check_invariants(store).map_err(Error::BadGenesis)
}

/// The rewards, as a genesis from which they would go on.
pub fn export(store: &dyn Read) -> RewardGenesis {
    RewardGenesis {
        params: Some(params(store)),
        epoch: EPOCH.get(store),
        epochs: EPOCHS.iter(store).map(|(_, epoch)| epoch).collect(),
        burns: BURNS.iter(store).map(|(_, burn)| burn).collect(),
        accounts: ACCOUNTS.iter(store).map(|(_, account)| account).collect(),
        audited: AUDITED.map().iter(store).map(|(_, audited)| audited).collect(),
        standby: Some(STANDBY.get(store).unwrap_or_default()),
        schedule: Some(SCHEDULE.get(store).unwrap_or_default()),
        paying: Some(PAYING.get(store).unwrap_or_default()),
    }
}
