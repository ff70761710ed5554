use alloc::{format, vec::Vec};

use plasma_proto::plasma::{
    genesis::v1::{Balance, TokenGenesis},
    token::v1::{FeeMarket, Totals},
};

use super::{
    Error,
    handler::{credit, set_supply, supply},
    msg::Coins,
    params,
    state::{BALANCES, FEE_MARKET, PARAMS, TOTALS},
};
use crate::{Address, Amount, Read, Write, auth};

/// No money, the default fees.
pub fn default_genesis() -> TokenGenesis {
    TokenGenesis {
        params: Some(params::DEFAULT),
        fee_market: Some(FeeMarket {
            base_fee_nuxpl_per_gas: params::DEFAULT.base_fee_min_nuxpl_per_gas,
        }),
        balances: Vec::new(),
        totals: Some(Totals { minted_uxpl: "0".into(), burned_uxpl: "0".into() }),
    }
}

/// Writes balances, and the supply as their sum. Holders without an account get one.
pub fn init(store: &mut dyn Write, genesis: &TokenGenesis) -> Result<(), Error> {
    let TokenGenesis { params, fee_market, balances, totals } = genesis;
    let bad = |why: &str| Error::BadGenesis(why.into());
    let params = params.as_ref().ok_or_else(|| bad("params are missing"))?;
    params::check(params)?;
    let fee_market = fee_market.as_ref().ok_or_else(|| bad("fee_market is missing"))?;
    if fee_market.base_fee_nuxpl_per_gas < params.base_fee_min_nuxpl_per_gas {
        return Err(bad("the base price is below its least"));
    }
    PARAMS.set(store, params);
    FEE_MARKET.set(store, fee_market);
    let totals = totals.as_ref().ok_or_else(|| bad("totals are missing"))?;
    let Totals { minted_uxpl, burned_uxpl } = totals;
    if [minted_uxpl, burned_uxpl].into_iter().any(|text| Amount::parse(text).is_none()) {
        return Err(bad("totals are no amounts"));
    }
    TOTALS.set(store, totals);
    let mut last = None;
    for Balance { address, coins } in balances {
        let address = Address::parse(address)?;
        if last.is_some_and(|last| last >= address) {
            return Err(Error::BadGenesis(format!("balances are not in order at {address}")));
        }
        last = Some(address);
        for (denom, amount) in Coins::new(coins)?.iter() {
            let sum = supply(store, denom)
                .plus(*amount)
                .ok_or_else(|| Error::SupplyOverflow(denom.clone()))?;
            set_supply(store, denom, sum);
            credit(store, address, denom, *amount)?;
        }
        auth::ensure_account(store, address);
    }
    Ok(())
}

/// The balances, in order of address and denom.
pub fn export(store: &dyn Read) -> TokenGenesis {
    let mut balances: Vec<Balance> = Vec::new();
    for ((address, _), coin) in BALANCES.iter(store) {
        let text = address.text();
        match balances.last_mut() {
            Some(last) if last.address == text => last.coins.push(coin),
            _ => balances.push(Balance { address: text, coins: [coin].into() }),
        }
    }
    TokenGenesis {
        params: PARAMS.get(store),
        fee_market: FEE_MARKET.get(store),
        balances,
        totals: TOTALS.get(store),
    }
}
