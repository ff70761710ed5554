//! New accounts with locked money. Their terms are checked and kept by `auth`.

use alloc::{collections::BTreeMap, format, vec::Vec};
use core::fmt::Display;

use plasma_proto::{
    cosmos::vesting::v1beta1::{
        MsgCreatePeriodicVestingAccount, MsgCreatePeriodicVestingAccountResponse,
        MsgCreatePermanentLockedAccount, MsgCreatePermanentLockedAccountResponse,
        MsgCreateVestingAccount, MsgCreateVestingAccountResponse,
    },
    plasma::auth::v1::{Vesting, VestingKind},
};

use super::{
    Error,
    handler::{check_payment, move_coins},
    msg::Coins,
};
use crate::{Address, Amount, Ctx, Denom, Sdk, auth};

const VESTING_GAS: u64 = 100_000;
const PERIOD_GAS: u64 = 5_000;

fn bad(why: impl Display) -> Error {
    Sdk::InvalidRequest(format!("vesting account: {why}")).into()
}

/// Who pays whom, and what is locked.
#[derive(Clone, Debug)]
struct Lock {
    from: Address,
    to: Address,
    coins: Coins,
    vesting: Vesting,
}

impl Lock {
    fn new(from: &str, to: &str, coins: Coins, vesting: Vesting) -> Result<Self, Error> {
        let (from, to) = (Address::parse(from)?, Address::parse(to)?);
        let vesting = Vesting { address: to.text(), original_vesting: coins.to_proto(), ..vesting };
        Ok(Self { from, to, coins, vesting })
    }

    /// Opens the account, locked, and pays it: never a module's, never one that exists.
    fn run(self, ctx: &mut Ctx<'_>) -> Result<(), Error> {
        let Self { from, to, coins, vesting } = self;
        auth::check_vesting(&vesting).map_err(bad)?;
        check_payment(ctx.store, to, &coins)?;
        if auth::exists(ctx.store, to) {
            return Err(bad(format!("account {to} already exists")));
        }
        move_coins(ctx, from, to, &coins)?;
        auth::lock(ctx.store, to, &vesting);
        Ok(())
    }
}

/// Opens an account whose money is released over time, or at an end.
#[derive(Clone, Debug)]
pub struct CreateVesting(Lock);

impl CreateVesting {
    /// Checks everything that needs no state; a continuous release begins with the block.
    pub fn new(msg: MsgCreateVestingAccount) -> Result<Self, Error> {
        let MsgCreateVestingAccount { from_address, to_address, amount, end_time, delayed } = msg;
        let kind = if delayed { VestingKind::Delayed } else { VestingKind::Continuous };
        let vesting = Vesting { kind: kind.into(), end_time, ..Vesting::default() };
        let lock = Lock::new(&from_address, &to_address, Coins::new(&amount)?, vesting)?;
        auth::check_vesting(&lock.vesting).map_err(bad)?;
        Ok(Self(lock))
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.from
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        VESTING_GAS
    }
}

/// `MsgCreateVestingAccount`.
pub fn create_vesting(
    ctx: &mut Ctx<'_>,
    CreateVesting(mut lock): CreateVesting,
) -> Result<MsgCreateVestingAccountResponse, Error> {
    let now_s = i64::try_from(ctx.block.time_s).unwrap_or(i64::MAX);
    if lock.vesting.end_time <= now_s {
        return Err(bad("end_time has passed"));
    }
    if lock.vesting.kind() == VestingKind::Continuous {
        lock.vesting.start_time = now_s;
    }
    lock.run(ctx)?;
    Ok(MsgCreateVestingAccountResponse {})
}

/// Opens an account whose money is locked for good.
#[derive(Clone, Debug)]
pub struct CreatePermanentLocked(Lock);

impl CreatePermanentLocked {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCreatePermanentLockedAccount) -> Result<Self, Error> {
        let MsgCreatePermanentLockedAccount { from_address, to_address, amount } = msg;
        let vesting = Vesting { kind: VestingKind::Permanent.into(), ..Vesting::default() };
        let lock = Lock::new(&from_address, &to_address, Coins::new(&amount)?, vesting)?;
        auth::check_vesting(&lock.vesting).map_err(bad)?;
        Ok(Self(lock))
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.from
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        VESTING_GAS
    }
}

/// `MsgCreatePermanentLockedAccount`.
pub fn create_permanent_locked(
    ctx: &mut Ctx<'_>,
    CreatePermanentLocked(lock): CreatePermanentLocked,
) -> Result<MsgCreatePermanentLockedAccountResponse, Error> {
    lock.run(ctx)?;
    Ok(MsgCreatePermanentLockedAccountResponse {})
}

/// Opens an account whose money is released part by part.
#[derive(Clone, Debug)]
pub struct CreatePeriodicVesting(Lock);

impl CreatePeriodicVesting {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgCreatePeriodicVestingAccount) -> Result<Self, Error> {
        let MsgCreatePeriodicVestingAccount {
            from_address,
            to_address,
            start_time,
            vesting_periods,
        } = msg;
        let mut sums = BTreeMap::<Denom, Amount>::new();
        let mut end_time = start_time;
        for period in &vesting_periods {
            let never = || bad("the periods never end");
            end_time = end_time.checked_add(period.length).ok_or_else(never)?;
            for (denom, amount) in Coins::new(&period.amount)?.iter() {
                let sum = sums.entry(denom.clone()).or_default();
                *sum = sum.plus(*amount).ok_or_else(|| Error::SupplyOverflow(denom.clone()))?;
            }
        }
        let coins: Vec<_> = sums.into_iter().map(|(denom, sum)| Coins::coin(&denom, sum)).collect();
        let kind = VestingKind::Periodic.into();
        let vesting =
            Vesting { kind, start_time, end_time, periods: vesting_periods, ..Vesting::default() };
        if coins.is_empty() {
            return Err(bad("the periods release nothing"));
        }
        let lock = Lock::new(&from_address, &to_address, Coins::new(&coins)?, vesting)?;
        auth::check_vesting(&lock.vesting).map_err(bad)?;
        Ok(Self(lock))
    }

    /// Who must sign.
    pub fn signer(&self) -> Address {
        self.0.from
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        let periods = u64::try_from(self.0.vesting.periods.len()).unwrap_or(u64::MAX);
        VESTING_GAS.saturating_add(PERIOD_GAS.saturating_mul(periods))
    }
}

/// `MsgCreatePeriodicVestingAccount`.
pub fn create_periodic_vesting(
    ctx: &mut Ctx<'_>,
    CreatePeriodicVesting(lock): CreatePeriodicVesting,
) -> Result<MsgCreatePeriodicVestingAccountResponse, Error> {
    lock.run(ctx)?;
    Ok(MsgCreatePeriodicVestingAccountResponse {})
}
