use alloc::format;

use plasma_proto::plasma::genesis::v1::AuthGenesis;

use super::state::{ACCOUNTS, NEXT_NUMBER};
use crate::{Address, Read, Sdk, Write};

/// Writes the accounts of a genesis.
pub fn init(store: &mut dyn Write, genesis: &AuthGenesis) -> Result<(), Sdk> {
    let AuthGenesis { accounts, next_account_number } = genesis;
    for account in accounts {
        let address = Address::parse(&account.address)?;
        if ACCOUNTS.has(store, &address) {
            return Err(Sdk::InvalidRequest(format!("genesis: account {address} stands twice")));
        }
        if account.account_number >= *next_account_number {
            let text = format!("genesis: next_account_number must be above account {address}'s");
            return Err(Sdk::InvalidRequest(text));
        }
        ACCOUNTS.set(store, &address, account);
    }
    NEXT_NUMBER.set(store, next_account_number);
    Ok(())
}

/// The accounts, in order of address.
pub fn export(store: &dyn Read) -> AuthGenesis {
    AuthGenesis {
        accounts: ACCOUNTS.iter(store).map(|(_, account)| account).collect(),
        next_account_number: NEXT_NUMBER.get(store).unwrap_or_default(),
    }
}
