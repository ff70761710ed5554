//! What every transaction passes before its messages run: size, timeout, gas, fee, sequence,
//! signature, in order of cost. Its own overlay: sequence and fee stay even when messages fail.

use alloc::{format, string::ToString, sync::Arc, vec, vec::Vec};

use plasma_proto::{cosmos::auth::v1beta1::BaseAccount, plasma::token::v1::Params};

use crate::{
    Address, Amount, Block, Ctx, Denom, Event, Read, Refusal, Sdk, SignatureMemory, auth, feegrant,
    msg::Msg,
    staking, token,
    tx::{self, Authenticated, Decoded},
    types::base64,
};

/// Gas of any transaction.
pub const TX_GAS: u64 = 20_000;

/// Gas per byte of a transaction.
pub const BYTE_GAS: u64 = 10;

/// Gas per signature, each of a multisig's counted.
pub const SIGNATURE_GAS: u64 = 5_000;

/// Gas per signer of an unordered transaction: its timeout is stored, and removed when it passed.
pub const UNORDERED_GAS: u64 = 10_000;

/// Furthest timeout of an unordered transaction, seconds after its block.
pub const UNORDERED_TIMEOUT_MAX_S: u64 = 600;

/// Gas of an allowance by which another pays the fee.
pub const ALLOWANCE_GAS: u64 = 20_000;

/// Base fees are counted in billionths of a uxpl.
const NANO: u128 = 1_000_000_000;

/// What a transaction costs, known before it runs.
pub fn gas(tx: &Decoded) -> u64 {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let allowance = if tx.fee_granter.is_some() { ALLOWANCE_GAS } else { 0 };
    let own = TX_GAS
        .saturating_add(allowance)
        .saturating_add(BYTE_GAS.saturating_mul(count(tx.size)))
        .saturating_add(SIGNATURE_GAS.saturating_mul(count(tx.signature_count)))
        .saturating_add(if tx.unordered {
            UNORDERED_GAS.saturating_mul(count(tx.signers.len()))
        } else {
            0
        });
    tx.msgs.iter().map(Msg::gas).fold(own, u64::saturating_add)
}

/// The least fee of a transaction, uxpl, rounded up twice:
/// `ceil(gas * base / 10^9) + ceil(bytes * byte_price / 10^9)`.
pub fn required_fee(gas: u64, size: usize, base: u64, byte_price: u64) -> u128 {
    let bytes = u128::try_from(size).unwrap_or(u128::MAX);
    let part = |units: u128, price: u64| units.saturating_mul(price.into()).div_ceil(NANO);
    part(gas.into(), base).saturating_add(part(bytes, byte_price))
}

/// What governance and the fee market say of transactions: the same for every one of a block, since
/// no message runs before all have paid.
#[derive(Clone, Debug)]
pub struct Prices {
    params: Params,
    base_nuxpl_per_gas: u64,
}

impl Prices {
    /// As they stand.
    pub fn of(store: &dyn Read) -> Self {
        let base_nuxpl_per_gas = token::fee_market(store).base_fee_nuxpl_per_gas;
        Self { params: token::params(store), base_nuxpl_per_gas }
    }

    /// The numbers that governance sets.
    pub fn params(&self) -> &Params {
        &self.params
    }

    fn of_gas_and_bytes(&self, gas: u64, size: usize) -> u128 {
        required_fee(gas, size, self.base_nuxpl_per_gas, self.params.byte_price_nuxpl)
    }

    /// What of a fee may be given back to the carrier of a duty message, uxpl: what the
    /// transaction's gas and bytes cost now and half of that more, for a price that was guessed a
    /// block before; never more than was paid.
    pub fn refundable(&self, tx: &Decoded) -> Amount {
        let cost = self.of_gas_and_bytes(gas(tx), tx.size);
        Amount::new(cost.saturating_add(cost / 2)).min(tx.fee)
    }
}

/// What needs no signature: limits, cost, fee, and each signer's sequence. `Ok` is the fee's part
/// that is burned, and the signers' accounts.
fn examine(
    ctx: &Ctx<'_>,
    prices: &Prices,
    tx: &Decoded,
) -> Result<(Amount, Vec<BaseAccount>), Refusal> {
    let params = &prices.params;
    check_timeouts(ctx.block, tx)?;
    if tx.memo_len > usize::try_from(params.memo_bytes_max).unwrap_or(usize::MAX) {
        return Err(Sdk::MemoTooLarge { len: tx.memo_len, max: params.memo_bytes_max }.into());
    }
    if tx.gas_limit > params.block_gas_max {
        let text =
            format!("gas limit {} is above a block's {}", tx.gas_limit, params.block_gas_max);
        return Err(Sdk::InvalidRequest(text).into());
    }
    let needed = gas(tx);
    if tx.gas_limit < needed {
        return Err(Sdk::OutOfGas { wanted: tx.gas_limit, needed }.into());
    }
    let required = prices.of_gas_and_bytes(tx.gas_limit, tx.size);
    if tx.fee.units() < required {
        return Err(Sdk::InsufficientFee { got: tx.fee.units(), required }.into());
    }
    Ok((Amount::new(required), check_sequences(ctx, tx)?))
}

/// A block of this height and time may hold the transaction.
pub fn check_timeouts(block: &Block, tx: &Decoded) -> Result<(), Sdk> {
    let (height, time_s) = (block.height, block.time_s);
    if tx.timeout_height != 0 && height > tx.timeout_height {
        return Err(Sdk::TimeoutHeight { height, timeout: tx.timeout_height });
    }
    let Some(timeout) = tx.timeout else { return Ok(()) };
    if timeout.has_passed(time_s) {
        return Err(Sdk::TimeoutTime { time_s, timeout: timeout.to_string() });
    }
    if tx.unordered && !timeout.is_within(time_s, UNORDERED_TIMEOUT_MAX_S) {
        let text = format!("unordered tx ttl exceeds {UNORDERED_TIMEOUT_MAX_S} s");
        return Err(Sdk::InvalidRequest(text));
    }
    Ok(())
}

/// The account of every signer exists, its key fits, and the sequence is its next one; or, of an
/// unordered transaction, the timeout is one that the signer has not used. `Ok` is the accounts.
pub fn check_sequences(ctx: &Ctx<'_>, tx: &Decoded) -> Result<Vec<BaseAccount>, Refusal> {
    let mut accounts = Vec::with_capacity(tx.signers.len());
    for signer in &tx.signers {
        let account = auth::account(ctx.store, signer.address).ok_or_else(|| {
            Sdk::UnknownAddress(format!(
                "account {} not found: it must be sent some uxpl before it can act",
                signer.address
            ))
        })?;
        if !signer.key_fits {
            let text = format!("the public key does not belong to {}", signer.address);
            return Err(Sdk::InvalidPubKey(text).into());
        }
        if let Some(timeout) = tx.timeout.filter(|_| tx.unordered) {
            if signer.sequence != 0 {
                let text = "sequence is not allowed for unordered transactions";
                return Err(Sdk::InvalidRequest(text.into()).into());
            }
            if auth::has_used(ctx.store, signer.address, timeout) {
                let text = format!(
                    "failed to add unordered nonce: sender {} has already used timeout {timeout}",
                    signer.address
                );
                return Err(Sdk::InvalidRequest(text).into());
            }
        } else if account.sequence != signer.sequence {
            let (expected, got) = (account.sequence, signer.sequence);
            return Err(Sdk::WrongSequence { expected, got }.into());
        }
        accounts.push(account);
    }
    Ok(accounts)
}

/// Asks the fee's granter's allowance, where there is one.
pub fn use_allowance(ctx: &mut Ctx<'_>, tx: &Decoded) -> Result<(), Refusal> {
    let Some(granter) = tx.fee_granter.filter(|granter| *granter != tx.fee_payer) else {
        return Ok(());
    };
    let types: Vec<_> = tx.msgs.iter().map(Msg::type_url).collect();
    feegrant::use_allowance(ctx, granter, tx.fee_payer, tx.fee, &types)
}

/// Everything that a transaction may be refused for: examines it, uses its allowance, asks whether
/// the fee is there, checks the signatures. `Ok` has the fee's part that is burned and the accounts.
fn pass(
    ctx: &mut Ctx<'_>,
    prices: &Prices,
    tx: Arc<Decoded>,
    memory: &dyn SignatureMemory,
) -> Result<(Authenticated, Amount, Vec<BaseAccount>), Refusal> {
    let (burned, accounts) = examine(ctx, prices, &tx)?;
    use_allowance(ctx, &tx)?;
    let have = token::spendable(ctx, tx.purse(), &Denom::uxpl());
    if have < tx.fee {
        let text = format!("{have}uxpl is smaller than the fee of {}uxpl", tx.fee);
        return Err(Sdk::InsufficientFunds(text).into());
    }
    let tx = tx::authenticate_as(&accounts, &ctx.block.chain_id, tx, memory)?;
    Ok((tx, burned, accounts))
}

/// Whether a transaction may wait for a block: all that [`admit`] would refuse it for. Its fee is taken
/// and its sequences are raised, so that the account's next one is checked on top; nobody gets
/// the fee, and nothing is told.
pub fn check(
    ctx: &mut Ctx<'_>,
    prices: &Prices,
    tx: Arc<Decoded>,
    memory: &dyn SignatureMemory,
) -> Result<(), Refusal> {
    let (tx, _, accounts) = pass(ctx, prices, tx, memory)?;
    let tx = tx.tx();
    token::hold(ctx, tx.purse(), tx.fee)?;
    count(ctx, tx, accounts);
    Ok(())
}

/// Lets a transaction into a block: examines it, checks its signatures, takes the fee, raises the
/// sequences. Refused, it has changed nothing that the caller keeps. `Ok` is what was burned of the fee:
/// the caller counts it ([`token::count_burned`]), of all transactions together.
pub fn admit(
    ctx: &mut Ctx<'_>,
    prices: &Prices,
    tx: Arc<Decoded>,
    proposer: Option<Address>,
    memory: &dyn SignatureMemory,
) -> Result<Amount, Refusal> {
    let (tx, burned, accounts) = pass(ctx, prices, tx, memory)?;
    let Decoded { fee, signers, .. } = tx.tx();
    let purse = tx.tx().purse();
    let tip = fee.minus(burned).unwrap_or_default();
    token::burn_uncounted(ctx, purse, burned)?;
    if tip != Amount::ZERO {
        match proposer {
            Some(proposer) => token::transfer(ctx, purse, proposer, tip)?,
            None => staking::add_rewards(ctx, purse, tip)?,
        }
    }
    count(ctx, tx.tx(), accounts);
    ctx.emit(&TxEvent::Fee { fee: *fee, payer: purse });
    for signer in signers.iter().filter(|_| !tx.tx().unordered) {
        ctx.emit(&TxEvent::Sequence { address: signer.address, sequence: signer.sequence });
    }
    for signature in tx.signatures() {
        ctx.emit(&TxEvent::Signature { signature });
    }
    Ok(burned)
}

/// Counts a transaction, so that it cannot run again: each signer's sequence rises, or its timeout
/// is noted. Keeps the keys that it shows. `accounts` are the signers', as they stand.
pub fn count(ctx: &mut Ctx<'_>, tx: &Decoded, accounts: Vec<BaseAccount>) {
    let timeout = tx.timeout.filter(|_| tx.unordered);
    for (signer, account) in tx.signers.iter().zip(accounts) {
        if let Some(timeout) = timeout {
            auth::note_timeout(ctx.store, signer.address, timeout);
        }
        let key = signer.key.as_ref();
        auth::count(ctx.store, signer.address, account, timeout.is_none(), key);
    }
}

/// What is reported of a transaction itself, in the Cosmos SDK's names.
enum TxEvent<'a> {
    Fee { fee: Amount, payer: Address },
    Sequence { address: Address, sequence: u64 },
    Signature { signature: &'a [u8] },
}

impl Event for TxEvent<'_> {
    fn kind(&self) -> &'static str {
        "tx"
    }

    fn attributes(&self) -> Vec<(&'static str, alloc::string::String)> {
        match self {
            Self::Fee { fee, payer } => {
                vec![("fee", format!("{fee}uxpl")), ("fee_payer", payer.to_string())]
            }
            Self::Sequence { address, sequence } => {
                vec![("acc_seq", format!("{address}/{sequence}"))]
            }
            Self::Signature { signature } => vec![("signature", base64(signature))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_is_rounded_up_part_by_part() {
        assert_eq!(required_fee(1, 1, 1_000_000, 100_000_000), 2);
        assert_eq!(required_fee(70_000, 300, 1_000_000, 100_000_000), 70 + 30);
        assert!(required_fee(u64::MAX, usize::MAX, u64::MAX, u64::MAX) > u128::from(u64::MAX));
    }
}
