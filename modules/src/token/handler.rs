use alloc::format;

use plasma_proto::{
    cosmos::bank::v1beta1::{MsgMultiSendResponse, MsgSendResponse},
    plasma::token::v1::{FeeMarket, Params},
};

use super::{
    Error, MultiSend, Send,
    event::Event,
    msg::Coins,
    state::{BALANCES, FEE_MARKET, OWNERS, PARAMS, SUPPLY, TOTALS},
};
use crate::{Address, Amount, Ctx, Denom, Read, Sdk, Write, auth};

/// `MsgSend`.
pub fn send(ctx: &mut Ctx<'_>, msg: Send) -> Result<MsgSendResponse, Error> {
    let Send { from, to, coins } = msg;
    check_payment(ctx.store, to, &coins)?;
    move_coins(ctx, from, to, &coins)?;
    Ok(MsgSendResponse {})
}

/// `MsgMultiSend`.
pub fn multi_send(ctx: &mut Ctx<'_>, msg: MultiSend) -> Result<MsgMultiSendResponse, Error> {
    let MultiSend { from, coins, outputs } = msg;
    ctx.emit(&Event::Sender { sender: from });
    take(ctx, from, &coins)?;
    for (to, coins) in outputs {
        check_payment(ctx.store, to, &coins)?;
        give(ctx, to, &coins)?;
        ctx.emit(&Event::Transfer { recipient: to, sender: from, amount: &coins });
    }
    Ok(MsgMultiSendResponse {})
}

/// What a message pays: not to a module, not dust, and enough to open an account where there is
/// none.
pub(super) fn check_payment(store: &dyn Read, to: Address, coins: &Coins) -> Result<(), Error> {
    if auth::is_module_account(to) {
        return Err(Error::module_account(to));
    }
    let params = params(store);
    let least = Amount::from(params.transfer_min_uxpl);
    let uxpl = coins.of(&Denom::uxpl());
    if let Some(amount) = uxpl
        && amount < least
    {
        return Err(Error::BelowLeast { amount, least });
    }
    let (amount, least) = (uxpl.unwrap_or_default(), Amount::from(params.account_min_uxpl));
    if amount < least && !auth::exists(store, to) {
        return Err(Error::BelowAccountMin { to, amount, least });
    }
    Ok(())
}

/// Opens an account for an address that is granted something before it was paid, with the least
/// that opens one, from who grants. For other modules.
pub fn open_account(ctx: &mut Ctx<'_>, from: Address, to: Address) -> Result<(), Error> {
    if auth::is_module_account(to) {
        return Err(Error::module_account(to));
    }
    if auth::exists(ctx.store, to) {
        return Ok(());
    }
    let least = Amount::from(params(ctx.store).account_min_uxpl);
    transfer(ctx, from, to, least)
}

/// Moves uxpl. For other modules: any account may be paid.
pub fn transfer(
    ctx: &mut Ctx<'_>,
    from: Address,
    to: Address,
    amount: Amount,
) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    move_coins(ctx, from, to, &Coins::one(Denom::uxpl(), amount))
}

pub(super) fn move_coins(
    ctx: &mut Ctx<'_>,
    from: Address,
    to: Address,
    coins: &Coins,
) -> Result<(), Error> {
    take(ctx, from, coins)?;
    give(ctx, to, coins)?;
    ctx.emit(&Event::Transfer { recipient: to, sender: from, amount: coins });
    ctx.emit(&Event::Sender { sender: from });
    Ok(())
}

fn take(ctx: &mut Ctx<'_>, from: Address, coins: &Coins) -> Result<(), Error> {
    for (denom, amount) in coins.iter() {
        debit(ctx, from, denom, *amount)?;
    }
    ctx.emit(&Event::Spent { spender: from, amount: coins });
    Ok(())
}

fn give(ctx: &mut Ctx<'_>, to: Address, coins: &Coins) -> Result<(), Error> {
    for (denom, amount) in coins.iter() {
        credit(ctx.store, to, denom, *amount)?;
    }
    auth::ensure_account(ctx.store, to);
    ctx.emit(&Event::Received { receiver: to, amount: coins });
    Ok(())
}

/// Makes uxpl and gives it to `to`, which may be any account. For other modules: `minter` is who
/// answers for it.
pub fn mint(ctx: &mut Ctx<'_>, minter: Address, to: Address, amount: Amount) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let denom = Denom::uxpl();
    let overflow = || Error::SupplyOverflow(Denom::uxpl());
    let sum = supply(ctx.store, &denom).plus(amount).ok_or_else(overflow)?;
    let mut totals = TOTALS.get(ctx.store).unwrap_or_default();
    let minted = Amount::stored(&totals.minted_uxpl).plus(amount).ok_or_else(overflow)?;
    totals.minted_uxpl = minted.text();
    TOTALS.set(ctx.store, &totals);
    set_supply(ctx.store, &denom, sum);
    let coins = Coins::one(denom, amount);
    ctx.emit(&Event::Coinbase { minter, amount: &coins });
    give(ctx, to, &coins)
}

/// Destroys uxpl. For other modules.
pub fn burn(ctx: &mut Ctx<'_>, from: Address, amount: Amount) -> Result<(), Error> {
    burn_uncounted(ctx, from, amount)?;
    count_burned(ctx.store, amount)
}

/// [`burn`], but for supply and totals: the caller sums what it burns so, and counts it by
/// [`count_burned`] before anything may ask for either.
pub fn burn_uncounted(ctx: &mut Ctx<'_>, from: Address, amount: Amount) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let denom = Denom::uxpl();
    debit(ctx, from, &denom, amount)?;
    let burned = Coins::one(denom, amount);
    ctx.emit(&Event::Spent { spender: from, amount: &burned });
    ctx.emit(&Event::Burn { burner: from, amount: &burned });
    Ok(())
}

/// Takes what was burned out of the supply, and adds it to the totals.
pub fn count_burned(store: &mut dyn Write, amount: Amount) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let denom = Denom::uxpl();
    let overflow = || Error::SupplyOverflow(Denom::uxpl());
    let left = supply(store, &denom).minus(amount).ok_or_else(overflow)?;
    set_supply(store, &denom, left);
    let mut totals = TOTALS.get(store).unwrap_or_default();
    let burned = Amount::stored(&totals.burned_uxpl).plus(amount).ok_or_else(overflow)?;
    totals.burned_uxpl = burned.text();
    TOTALS.set(store, &totals);
    Ok(())
}

/// Takes uxpl out of an account for nobody, where only the account's side matters: on top of what
/// waits for a block, never in one.
pub fn hold(ctx: &mut Ctx<'_>, from: Address, amount: Amount) -> Result<(), Error> {
    debit(ctx, from, &Denom::uxpl(), amount)
}

/// An account's uxpl.
pub fn balance(store: &dyn Read, of: Address) -> Amount {
    balance_of(store, of, &Denom::uxpl())
}

/// An account's balance of a denomination.
pub fn balance_of(store: &dyn Read, of: Address, denom: &Denom) -> Amount {
    BALANCES
        .get(store, &(of, denom.clone()))
        .map_or(Amount::ZERO, |coin| Amount::stored(&coin.amount))
}

/// What an account may spend of a denomination now: its balance less what is locked of it.
pub fn spendable(ctx: &Ctx<'_>, of: Address, denom: &Denom) -> Amount {
    spendable_at(ctx.store, of, denom, ctx.block.time_s)
}

/// What an account may spend of a denomination at a time.
pub fn spendable_at(store: &dyn Read, of: Address, denom: &Denom, now_s: u64) -> Amount {
    let have = balance_of(store, of, denom);
    have.minus(auth::locked(store, of, denom, now_s)).unwrap_or_default()
}

/// How much of a denomination there is.
pub fn supply(store: &dyn Read, denom: &Denom) -> Amount {
    SUPPLY.get(store, denom).map_or(Amount::ZERO, |coin| Amount::stored(&coin.amount))
}

/// The numbers that governance sets.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_default()
}

/// The fee market as it stands.
pub fn fee_market(store: &dyn Read) -> FeeMarket {
    FEE_MARKET.get(store).unwrap_or_default()
}

pub(super) fn set_supply(store: &mut dyn Write, denom: &Denom, amount: Amount) {
    SUPPLY.set(store, denom, &Coins::coin(denom, amount));
}

pub(super) fn credit(
    store: &mut dyn Write,
    to: Address,
    denom: &Denom,
    amount: Amount,
) -> Result<(), Error> {
    // A balance never passes the supply, so this cannot overflow; the check keeps that local.
    let have = balance_of(store, to, denom);
    let sum = have.plus(amount).ok_or_else(|| Error::SupplyOverflow(denom.clone()))?;
    if have == Amount::ZERO {
        OWNERS.set(store, &(denom.clone(), to), &());
    }
    BALANCES.set(store, &(to, denom.clone()), &Coins::coin(denom, sum));
    Ok(())
}

/// The one place where money leaves an account: what is locked stays.
fn debit(ctx: &mut Ctx<'_>, from: Address, denom: &Denom, need: Amount) -> Result<(), Error> {
    let have = balance_of(ctx.store, from, denom);
    let free =
        have.minus(auth::locked(ctx.store, from, denom, ctx.block.time_s)).unwrap_or_default();
    let left = have.minus(need).filter(|_| need <= free).ok_or_else(|| {
        Sdk::InsufficientFunds(format!(
            "spendable balance {free}{denom} is smaller than {need}{denom}"
        ))
    })?;
    let key = (from, denom.clone());
    if left == Amount::ZERO {
        BALANCES.remove(ctx.store, &key);
        OWNERS.remove(ctx.store, &(denom.clone(), from));
    } else {
        BALANCES.set(ctx.store, &key, &Coins::coin(denom, left));
    }
    Ok(())
}
