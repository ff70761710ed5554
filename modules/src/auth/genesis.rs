use alloc::format;

use plasma_proto::plasma::genesis::v1::AuthGenesis;

use super::{
    state::{ACCOUNTS, BY_NUMBER, NEXT_NUMBER, VESTINGS},
    vesting,
};
use crate::{Address, Read, Sdk, Write};

/// Writes the accounts of a genesis.
pub fn init(store: &mut dyn Write, genesis: &AuthGenesis) -> Result<(), Sdk> {
    let AuthGenesis { accounts, next_account_number, vestings } = genesis;
    for account in accounts {
        let address = Address::parse(&account.address)?;
        if ACCOUNTS.has(store, &address) {
            return Err(Sdk::InvalidRequest(format!("genesis: account {address} stands twice")));
        }
        if account.account_number >= *next_account_number {
            let text = format!("genesis: next_account_number must be above account {address}'s");
            return Err(Sdk::InvalidRequest(text));
        }
        let number = account.account_number;
        if BY_NUMBER.iter_prefix(store, &number).next().is_some() {
            let text = format!("genesis: account number {number} stands twice");
            return Err(Sdk::InvalidRequest(text));
        }
        ACCOUNTS.set(store, &address, account);
        BY_NUMBER.set(store, &(number, address), &());
    }
    NEXT_NUMBER.set(store, next_account_number);
    for vesting in vestings {
        let address = Address::parse(&vesting.address)?;
        let bad = |why: &str| Sdk::InvalidRequest(format!("genesis: vesting of {address}: {why}"));
        if !ACCOUNTS.has(store, &address) {
            return Err(bad("there is no such account"));
        }
        if VESTINGS.has(store, &address) {
            return Err(bad("it stands twice"));
        }
        vesting::check(vesting).map_err(bad)?;
        VESTINGS.set(store, &address, vesting);
    }
    Ok(())
}

/// The accounts and what is locked of their money, in order of address.
pub fn export(store: &dyn Read) -> AuthGenesis {
    AuthGenesis {
        accounts: ACCOUNTS.iter(store).map(|(_, account)| account).collect(),
        next_account_number: NEXT_NUMBER.get(store).unwrap_or_default(),
        vestings: VESTINGS.iter(store).map(|(_, vesting)| vesting).collect(),
    }
}
