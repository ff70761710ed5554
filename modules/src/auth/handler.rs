use alloc::{boxed::Box, string::String, vec::Vec};

use once_cell::race::OnceBox;
use plasma_proto::{cosmos::auth::v1beta1::BaseAccount, plasma::auth::v1::Vesting};

use super::{
    key::PublicKey,
    state::{ACCOUNTS, BY_NUMBER, MODULE_ACCOUNTS, NEXT_NUMBER, VESTINGS},
    vesting,
};
use crate::{Address, Amount, Denom, Read, Write};

/// An account that has been paid or has signed.
pub fn account(store: &dyn Read, address: Address) -> Option<BaseAccount> {
    ACCOUNTS.get(store, &address)
}

/// The public key that an account has shown.
pub fn key(account: &BaseAccount) -> Option<PublicKey> {
    account.pub_key.as_ref().and_then(|any| PublicKey::from_any(any).ok())
}

/// Whether an address is a module's, which takes no plain transfers.
pub fn is_module_account(address: Address) -> bool {
    // Every payment asks this, and each name costs a hash.
    static ADDRESSES: OnceBox<Vec<Address>> = OnceBox::new();
    let of_all = || MODULE_ACCOUNTS.iter().map(|(name, _)| Address::of_module(name)).collect();
    ADDRESSES.get_or_init(|| Box::new(of_all())).contains(&address)
}

/// Whether an address has an account: one that was paid, or a module's.
pub fn exists(store: &dyn Read, address: Address) -> bool {
    ACCOUNTS.has(store, &address) || is_module_account(address)
}

/// What is locked of an account's balance at a time: not to be spent, whatever for.
pub fn locked(store: &dyn Read, address: Address, denom: &Denom, now_s: u64) -> Amount {
    VESTINGS.get(store, &address).map_or(Amount::ZERO, |lock| vesting::locked(&lock, denom, now_s))
}

/// Locks what a new account will hold, by terms that [`super::check_vesting`] found right.
pub fn lock(store: &mut dyn Write, address: Address, vesting: &Vesting) {
    VESTINGS.set(store, &address, vesting);
}

/// Notes that an account delegates, so that what is locked of its money may go to a validator.
pub fn track_delegation(
    store: &mut dyn Write,
    address: Address,
    denom: &Denom,
    amount: Amount,
    now_s: u64,
) {
    if let Some(mut lock) = VESTINGS.get(store, &address) {
        vesting::delegate(&mut lock, denom, amount, now_s);
        VESTINGS.set(store, &address, &lock);
    }
}

/// Notes that an account gets delegated money back.
pub fn track_undelegation(store: &mut dyn Write, address: Address, denom: &Denom, amount: Amount) {
    if let Some(mut lock) = VESTINGS.get(store, &address) {
        vesting::undelegate(&mut lock, denom, amount);
        VESTINGS.set(store, &address, &lock);
    }
}

/// Opens an account for an address that is paid for the first time.
pub fn ensure_account(store: &mut dyn Write, address: Address) {
    if exists(store, address) {
        return;
    }
    let number = NEXT_NUMBER.get(store).unwrap_or_default();
    NEXT_NUMBER.set(store, &number.saturating_add(1));
    let account =
        BaseAccount { address: address.text(), pub_key: None, account_number: number, sequence: 0 };
    ACCOUNTS.set(store, &address, &account);
    BY_NUMBER.set(store, &(number, address), &());
}

/// Counts a transaction of an account, which is handed in as it stands in the store: raises its
/// sequence where `ordered`, and keeps the key that it showed if it has none.
pub fn count(
    store: &mut dyn Write,
    address: Address,
    mut account: BaseAccount,
    ordered: bool,
    key: Option<&PublicKey>,
) {
    if ordered {
        account.sequence = account.sequence.saturating_add(1);
    }
    let shown = key.filter(|_| account.pub_key.is_none());
    if let Some(key) = shown {
        account.pub_key = Some(key.to_any());
    }
    if ordered || shown.is_some() {
        ACCOUNTS.set(store, &address, &account);
    }
}

/// The name of a module account.
pub(super) fn module_name(address: Address) -> Option<(String, &'static [&'static str])> {
    MODULE_ACCOUNTS
        .iter()
        .find(|(name, _)| Address::of_module(name) == address)
        .map(|(name, permissions)| ((*name).into(), *permissions))
}
