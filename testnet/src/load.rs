//! Load on a real network: transfers that were signed before the clock starts, sent as fast as the
//! chain takes them or one at a time, and what that costs each process.

mod http;
mod meter;
mod sender;

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use gpu_node::{
    client::{any, sign_tx},
    wallet::Wallet,
};
use plasma_app::files::GenesisAccount;
use plasma_proto::cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin};

pub use meter::{Meter, Usage, resident_mb};
pub use sender::{
    Blocks, Flow, Latencies, Load, Seen, Sent, included_at, latencies, one_at_a_time, run,
};

/// Gas limit of a transfer: what one costs, and a little.
const GAS: u64 = 100_000;
/// Fee of a transfer, uxpl: the price may rise while a long run lasts.
const FEE_UXPL: u128 = 100_000;
/// Money of each account at genesis, uxpl.
const ACCOUNT_UXPL: u128 = 1_000_000 * 1_000_000;

/// Accounts of the load. Their keys are made from their numbers: anybody can have them.
pub struct Accounts {
    /// In the order of their account numbers.
    wallets: Vec<Wallet>,
}

impl Accounts {
    /// As many accounts, different ones for each `seed`.
    ///
    /// # Errors
    /// None in practice: every small number is a key.
    pub fn new(count: usize, seed: u8) -> Result<Self> {
        let mut wallets = Vec::with_capacity(count);
        for index in 0..count {
            let mut secret = [seed.max(1); 32];
            secret[24..].copy_from_slice(&(index as u64).to_be_bytes());
            wallets.push(Wallet::from_secret(&secret).context("a small number is a key")?);
        }
        wallets.sort_by_key(Wallet::address);
        Ok(Self { wallets })
    }

    /// Their entries in the genesis. They must be its only accounts: account numbers follow the
    /// order of addresses.
    pub fn genesis(&self) -> Vec<GenesisAccount> {
        let account = |wallet: &Wallet| GenesisAccount {
            address: wallet.address().text(),
            amount_uxpl: ACCOUNT_UXPL,
        };
        self.wallets.iter().map(account).collect()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.wallets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.wallets.is_empty()
    }

    /// An account.
    pub fn wallet(&self, index: usize) -> &Wallet {
        &self.wallets[index]
    }

    /// A transfer of 1 uxpl from the account at `index` to the next one.
    pub fn transfer(&self, chain_id: &str, index: usize, sequence: u64) -> Vec<u8> {
        let (from, to) = (&self.wallets[index], &self.wallets[(index + 1) % self.wallets.len()]);
        let message = MsgSend {
            from_address: from.address().text(),
            to_address: to.address().text(),
            amount: vec![Coin { denom: "uxpl".into(), amount: "1".into() }],
        };
        let number = index as u64;
        sign_tx(chain_id, from, vec![any(&message)], number, sequence, GAS, FEE_UXPL, "")
    }

    /// The first `each` transfers of every account, signed on all cores: for each account its own
    /// in order.
    ///
    /// # Errors
    /// A signing thread ended by a panic.
    pub fn sign(&self, chain_id: &str, each: usize) -> Result<Vec<Vec<Vec<u8>>>> {
        ensure!(!self.is_empty(), "no accounts");
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let part = self.len().div_ceil(cores);
        thread::scope(|scope| {
            let starts = (0..self.len()).step_by(part);
            let workers: Vec<_> = starts
                .map(|start| {
                    scope.spawn(move || {
                        let end = (start + part).min(self.len());
                        let of = |index| {
                            (0..each as u64).map(move |n| self.transfer(chain_id, index, n))
                        };
                        (start..end).map(|index| of(index).collect()).collect::<Vec<Vec<_>>>()
                    })
                })
                .collect();
            let mut signed = Vec::with_capacity(self.len());
            for worker in workers {
                signed.extend(worker.join().map_err(|_| anyhow::anyhow!("signing panicked"))?);
            }
            Ok(signed)
        })
    }
}

/// Waits until `done`, or for so long.
///
/// # Errors
/// `done` never said yes.
pub fn until(what: &str, longest: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + longest;
    while !done()? {
        ensure!(Instant::now() < end, "waited {} s in vain for {what}", longest.as_secs());
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
