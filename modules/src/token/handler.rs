use alloc::format;

use plasma_proto::{
    cosmos::{
        bank::v1beta1::{MsgMultiSendResponse, MsgSendResponse},
        base::v1beta1::Coin,
    },
    plasma::token::v1::{FeeMarket, Params},
};

use super::{
    Error, MultiSend, Send,
    event::Event,
    msg::Coins,
    state::{BALANCES, FEE_MARKET, PARAMS, SUPPLY},
};
use crate::{Address, Amount, Ctx, Denom, Read, Sdk, Write, auth};

/// `MsgSend`.
pub fn send(ctx: &mut Ctx<'_>, msg: Send) -> Result<MsgSendResponse, Error> {
    let Send { from, to, coins } = msg;
    pay(ctx, from, to, &coins)?;
    Ok(MsgSendResponse {})
}

/// `MsgMultiSend`.
pub fn multi_send(ctx: &mut Ctx<'_>, msg: MultiSend) -> Result<MsgMultiSendResponse, Error> {
    let MultiSend { from, outputs } = msg;
    for (to, coins) in outputs {
        pay(ctx, from, to, &coins)?;
    }
    Ok(MsgMultiSendResponse {})
}

/// What a user asks for: not to a module, and not dust.
fn pay(ctx: &mut Ctx<'_>, from: Address, to: Address, coins: &Coins) -> Result<(), Error> {
    if auth::is_module_account(to) {
        return Err(Error::ModuleAccount(to));
    }
    let least = Amount::from(params(ctx.store).transfer_min_uxpl);
    for (denom, amount) in coins.iter() {
        if *denom == Denom::uxpl() && *amount < least {
            return Err(Error::BelowLeast { amount: *amount, least });
        }
    }
    move_coins(ctx, from, to, coins)
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

fn move_coins(ctx: &mut Ctx<'_>, from: Address, to: Address, coins: &Coins) -> Result<(), Error> {
    for (denom, amount) in coins.iter() {
        debit(ctx.store, from, denom, *amount)?;
        credit(ctx.store, to, denom, *amount)?;
    }
    auth::ensure_account(ctx.store, to);
    let amount = format!("{coins}");
    ctx.emit(&Event::Spent { spender: from, amount: amount.clone() });
    ctx.emit(&Event::Received { receiver: to, amount: amount.clone() });
    ctx.emit(&Event::Transfer { recipient: to, sender: from, amount });
    Ok(())
}

/// Destroys uxpl. For other modules.
pub fn burn(ctx: &mut Ctx<'_>, from: Address, amount: Amount) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let denom = Denom::uxpl();
    debit(ctx.store, from, &denom, amount)?;
    let left = supply(ctx.store, &denom)
        .minus(amount)
        .ok_or_else(|| Error::SupplyOverflow(denom.clone()))?;
    set_supply(ctx.store, &denom, left);
    let amount = format!("{}", Coins::one(denom, amount));
    ctx.emit(&Event::Spent { spender: from, amount: amount.clone() });
    ctx.emit(&Event::Burn { burner: from, amount });
    Ok(())
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
    SUPPLY.set(store, denom, &coin(denom, amount));
}

pub(super) fn credit(
    store: &mut dyn Write,
    to: Address,
    denom: &Denom,
    amount: Amount,
) -> Result<(), Error> {
    // A balance never passes the supply, so this cannot overflow; the check keeps that local.
    let have = balance_of(store, to, denom)
        .plus(amount)
        .ok_or_else(|| Error::SupplyOverflow(denom.clone()))?;
    BALANCES.set(store, &(to, denom.clone()), &coin(denom, have));
    Ok(())
}

fn debit(store: &mut dyn Write, from: Address, denom: &Denom, need: Amount) -> Result<(), Error> {
    let have = balance_of(store, from, denom);
    let left = have.minus(need).ok_or_else(|| {
        Sdk::InsufficientFunds(format!(
            "spendable balance {have}{denom} is smaller than {need}{denom}"
        ))
    })?;
    let key = (from, denom.clone());
    if left == Amount::ZERO {
        BALANCES.remove(store, &key);
    } else {
        BALANCES.set(store, &key, &coin(denom, left));
    }
    Ok(())
}

fn coin(denom: &Denom, amount: Amount) -> Coin {
    Coin { denom: denom.as_str().into(), amount: amount.text() }
}
