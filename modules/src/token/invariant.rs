use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use plasma_proto::{cosmos::base::v1beta1::Coin, plasma::token::v1::Totals};

use super::state::{BALANCES, OWNERS, SUPPLY};
use crate::{
    Amount, Denom, Read, Table, Writes,
    store::{decode, entry},
    types::hex,
};

/// Every sentence about money holds.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    supply_is_sum_of_balances(store)
        .map_err(|denom| format!("the balances of {denom} do not sum to its supply"))?;
    owners_are_who_has_a_balance(store)
}

/// The index of owners names every balance and nothing else; no balance is zero.
fn owners_are_who_has_a_balance(store: &dyn Read) -> Result<(), String> {
    let mut balances = 0usize;
    for ((address, denom), coin) in BALANCES.iter(store) {
        if coin.denom != denom.as_str() || Amount::stored(&coin.amount) == Amount::ZERO {
            return Err(format!("the balance of {address} in {denom} is none"));
        }
        if !OWNERS.has(store, &(denom.clone(), address)) {
            return Err(format!("{address} is not among the owners of {denom}"));
        }
        balances = balances.saturating_add(1);
    }
    if OWNERS.iter(store).count() == balances {
        Ok(())
    } else {
        Err("an owner of a denomination has none of it".into())
    }
}

/// The balances of every denomination sum to its supply. `Err` names one that does not.
pub fn supply_is_sum_of_balances(store: &dyn Read) -> Result<(), Denom> {
    let mut sums = BTreeMap::<Denom, Amount>::new();
    for ((_, denom), coin) in BALANCES.iter(store) {
        let sum = sums.entry(denom.clone()).or_default();
        *sum = sum.plus(Amount::stored(&coin.amount)).ok_or(denom)?;
    }
    for (denom, coin) in SUPPLY.iter(store) {
        if sums.remove(&denom).unwrap_or_default() != Amount::stored(&coin.amount) {
            return Err(denom);
        }
    }
    sums.into_keys().next().map_or(Ok(()), Err)
}

/// What a block's writes put into balances and what they put into supplies is the same, for every
/// denomination: the block's share of [`supply_is_sum_of_balances`], at the cost of the block.
pub fn supply_moves_with_balances(base: &dyn Read, writes: &Writes) -> Result<(), String> {
    // (put in, taken out): balances count as they are, supplies the other way round.
    let mut moved = BTreeMap::<String, (Amount, Amount)>::new();
    for (key, new) in writes {
        let table = key.first().copied();
        let is_balance = table == Some(Table::TokenBalances.id());
        if !is_balance && table != Some(Table::TokenSupply.id()) {
            continue;
        }
        let coin = |value: &[u8]| -> Coin { decode(key, value) };
        let (new, old) = (new.as_deref().map(coin), base.get(key).as_deref().map(coin));
        let units = |coin: &Option<Coin>| {
            coin.as_ref().map_or(Amount::ZERO, |coin| Amount::stored(&coin.amount))
        };
        let (after, before) = (units(&new), units(&old));
        let Some(Coin { denom, .. }) = new.or(old) else { continue };
        let (put, taken) = if is_balance { (after, before) } else { (before, after) };
        let sums = moved.entry(denom).or_default();
        let overflow = || String::from("the sum of what moved of a denomination overflows");
        sums.0 = sums.0.plus(put).ok_or_else(overflow)?;
        sums.1 = sums.1.plus(taken).ok_or_else(overflow)?;
    }
    match moved.iter().find(|(_, (put, taken))| put != taken) {
        None => supply_moves_by_what_is_minted_and_burned(base, writes),
        Some((denom, (put, taken))) => {
            Err(format!("balances and supply of {denom} moved apart: {put} in, {taken} out"))
        }
    }
}

/// The supply of uxpl after a block is the one before, with what was minted and without what was
/// burned in it; of no other denomination is anything made or destroyed.
fn supply_moves_by_what_is_minted_and_burned(
    base: &dyn Read,
    writes: &Writes,
) -> Result<(), String> {
    let uxpl = SUPPLY.path(&Denom::uxpl());
    let table = [Table::TokenSupply.id()];
    if let Some((key, _)) = writes
        .range(table.to_vec()..)
        .take_while(|(key, _)| key.starts_with(&table))
        .find(|(key, new)| **key != uxpl && base.get(key) != **new)
    {
        return Err(format!("the supply at {} moved, and only uxpl is made", hex(key)));
    }
    let supply = |pair: Option<Vec<u8>>| {
        let coin = pair.map(|value| entry::<Denom, Coin>((uxpl.clone(), value)).1);
        coin.map_or(Amount::ZERO, |coin| Amount::stored(&coin.amount))
    };
    let totals = |pair: Option<Vec<u8>>| {
        let key = [Table::TokenTotals.id()].to_vec();
        let totals = pair.map(|value| entry::<(), Totals>((key, value)).1).unwrap_or_default();
        (Amount::stored(&totals.minted_uxpl), Amount::stored(&totals.burned_uxpl))
    };
    let after = |key: &[u8]| writes.get(key).cloned().unwrap_or_else(|| base.get(key));
    let (then, now) = (supply(base.get(&uxpl)), supply(after(&uxpl)));
    let totals_key = [Table::TokenTotals.id()];
    let ((minted_then, burned_then), (minted, burned)) =
        (totals(base.get(&totals_key)), totals(after(&totals_key)));
    let moved = |now: Amount, then: Amount| now.minus(then).ok_or("totals never fall");
    let (minted, burned) = (moved(minted, minted_then)?, moved(burned, burned_then)?);
    if then.plus(minted).and_then(|sum| sum.minus(burned)) == Some(now) {
        Ok(())
    } else {
        Err(format!("supply {then} became {now}uxpl, with {minted} minted and {burned} burned"))
    }
}
