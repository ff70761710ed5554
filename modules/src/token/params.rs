use alloc::format;

use plasma_proto::plasma::token::v1::Params;

use super::Error;

/// Bounds of the base price, nano-uxpl per gas.
const BASE_FEE_NUXPL: core::ops::RangeInclusive<u64> = 1_000..=1_000_000_000_000;
/// Bounds of the byte price, nano-uxpl per byte.
const BYTE_PRICE_NUXPL: core::ops::RangeInclusive<u64> = 0..=1_000_000_000_000;
/// Bounds of a block's gas.
const BLOCK_GAS: core::ops::RangeInclusive<u64> = 10_000_000..=1_000_000_000_000;
/// Bounds of a block's bytes: the largest transaction fits, and so does the block into CometBFT's
/// largest.
const BLOCK_BYTES: core::ops::RangeInclusive<u64> = 131_072..=104_857_600;
/// Bounds of the longest memo, bytes.
const MEMO_BYTES: core::ops::RangeInclusive<u32> = 0..=4_096;
/// Bounds of the least transfer, uxpl.
const TRANSFER_MIN_UXPL: core::ops::RangeInclusive<u64> = 1..=1_000_000;
/// Bounds of the least amount that opens an account, uxpl.
const ACCOUNT_MIN_UXPL: core::ops::RangeInclusive<u64> = 1..=1_000_000_000;

pub(super) const DEFAULT: Params = Params {
    base_fee_min_nuxpl_per_gas: 1_000_000,
    byte_price_nuxpl: 100_000_000,
    block_gas_max: 2_000_000_000,
    memo_bytes_max: 256,
    transfer_min_uxpl: 1,
    account_min_uxpl: 100,
    block_bytes_max: 2_097_152,
};

/// Every number within its bounds.
pub(super) fn check(params: &Params) -> Result<(), Error> {
    let Params {
        base_fee_min_nuxpl_per_gas,
        byte_price_nuxpl,
        block_gas_max,
        memo_bytes_max,
        transfer_min_uxpl,
        account_min_uxpl,
        block_bytes_max,
    } = params;
    let within = |name: &str, ok: bool| {
        if ok { Ok(()) } else { Err(Error::BadGenesis(format!("{name} is out of bounds"))) }
    };
    within("base_fee_min_nuxpl_per_gas", BASE_FEE_NUXPL.contains(base_fee_min_nuxpl_per_gas))?;
    within("byte_price_nuxpl", BYTE_PRICE_NUXPL.contains(byte_price_nuxpl))?;
    within("block_gas_max", BLOCK_GAS.contains(block_gas_max))?;
    within("memo_bytes_max", MEMO_BYTES.contains(memo_bytes_max))?;
    within("transfer_min_uxpl", TRANSFER_MIN_UXPL.contains(transfer_min_uxpl))?;
    within("account_min_uxpl", ACCOUNT_MIN_UXPL.contains(account_min_uxpl))?;
    within("block_bytes_max", BLOCK_BYTES.contains(block_bytes_max))
}
