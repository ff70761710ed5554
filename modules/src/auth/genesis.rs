use alloc::format;

use plasma_proto::plasma::genesis::v1::AuthGenesis;

use super::{
    PublicKey, Timeout, has_used, note_timeout,
    state::{ACCOUNTS, BY_NUMBER, NEXT_NUMBER, TIMEOUTS, VESTINGS},
    vesting,
};
use crate::{Address, Read, Sdk, Write};

/// Writes the accounts of a genesis.
pub fn init(store: &mut dyn Write, genesis: &AuthGenesis) -> Result<(), Sdk> {
    let AuthGenesis { accounts, next_account_number, used_timeouts, vestings } = genesis;
    for account in accounts {
        let address = Address::parse(&account.address)?;
        if ACCOUNTS.has(store, &address) {
            return Err(Sdk::InvalidRequest(format!("genesis: account {address} stands twice")));
        }
        if account.account_number >= *next_account_number {
            let text = format!("genesis: next_account_number must be above account {address}'s");
            return Err(Sdk::InvalidRequest(text));
        }
        let key = account.pub_key.as_ref().map(PublicKey::from_any).transpose()?;
        if key.is_some_and(|key| key.address() != address) {
            let text = format!("genesis: the public key of account {address} is another's");
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
    for used in used_timeouts {
        let (address, timeout) =
            (Address::parse(&used.address)?, used.timeout.as_ref().map(Timeout::new).transpose()?);
        let timeout = timeout.ok_or_else(|| {
            Sdk::InvalidRequest(format!("genesis: a used timeout of {address} has no time"))
        })?;
        if has_used(store, address, timeout) {
            let text = format!("genesis: {address} has used timeout {timeout} twice");
            return Err(Sdk::InvalidRequest(text));
        }
        note_timeout(store, address, timeout);
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

/// The accounts and what is locked of their money, in order of address, and the timeouts in use, in
/// order of time.
pub fn export(store: &dyn Read) -> AuthGenesis {
    AuthGenesis {
        accounts: ACCOUNTS.iter(store).map(|(_, account)| account).collect(),
        next_account_number: NEXT_NUMBER.get(store).unwrap_or_default(),
        used_timeouts: TIMEOUTS.iter(store).map(|(_, used)| used).collect(),
        vestings: VESTINGS.iter(store).map(|(_, vesting)| vesting).collect(),
    }
}
