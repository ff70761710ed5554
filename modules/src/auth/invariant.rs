use alloc::{format, string::String};

use super::{
    state::{ACCOUNTS, BY_NUMBER, NEXT_NUMBER, VESTINGS},
    vesting,
};
use crate::Read;

/// Every sentence about accounts holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    every_number_is_one_account(store)?;
    every_lock_is_of_an_account(store)
}

/// Account numbers are given once, below the next one, and the index finds each.
fn every_number_is_one_account(store: &dyn Read) -> Result<(), String> {
    let next = NEXT_NUMBER.get(store).unwrap_or_default();
    let mut last = None;
    for ((number, address), ()) in BY_NUMBER.iter(store) {
        let account = ACCOUNTS.get(store, &address);
        if account.is_none_or(|account| account.account_number != number) {
            return Err(format!("account number {number} is not that of {address}"));
        }
        if last == Some(number) || number >= next {
            return Err(format!("account number {number} is given twice, or not yet"));
        }
        last = Some(number);
    }
    if BY_NUMBER.iter(store).count() == ACCOUNTS.iter(store).count() {
        Ok(())
    } else {
        Err("an account is not found by its number".into())
    }
}

/// What is locked belongs to an account, by terms that can be.
fn every_lock_is_of_an_account(store: &dyn Read) -> Result<(), String> {
    for (address, lock) in VESTINGS.iter(store) {
        if !ACCOUNTS.has(store, &address) || lock.address != address.text() {
            return Err(format!("{address} has locked money and no account"));
        }
        vesting::check(&lock).map_err(|why| format!("vesting of {address}: {why}"))?;
    }
    Ok(())
}
