//! Carriers: many transactions as one message between nodes.
//!
//! A carrier lives in mempools only. A node checks what is in it, a proposer takes it apart, and no
//! block ever holds one: [`crate::tx::decode`] refuses its first byte.
//!
//! ```text
//! carrier = 0x01 (varint length, transaction)+
//! ```
//! Lengths are LEB128 in as few bytes as they need, so a list of transactions has one carrier.

use alloc::{format, vec::Vec};

use crate::{
    Refusal, Sdk,
    tx::{INJECTED_TX_PREFIX, TX_BYTES_MAX},
};

/// First byte of a carrier. No `TxRaw` begins with it.
pub const CARRIER_PREFIX: u8 = 0x01;

/// Largest carrier, bytes: what the mempools of all nodes must take.
pub const CARRIER_BYTES_MAX: usize = 256 << 10;

/// Most transactions of one carrier.
pub const CARRIER_TXS_MAX: usize = 2_048;

/// Bytes that the length of a transaction takes at most.
const LENGTH_BYTES_MAX: usize = 3;

/// Whether bytes say that they are a carrier.
pub fn is_carrier(bytes: &[u8]) -> bool {
    bytes.first() == Some(&CARRIER_PREFIX)
}

/// Bytes that a transaction of so many takes in a carrier.
pub fn framed(len: usize) -> usize {
    let varint = usize::try_from(len.checked_ilog2().unwrap_or(0)).unwrap_or(0) / 7;
    len.saturating_add(varint).saturating_add(1)
}

/// Packs transactions, in order. What [`decode`] would refuse must not be packed.
pub fn encode<'t>(txs: impl IntoIterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut bytes = Vec::from([CARRIER_PREFIX]);
    for tx in txs {
        prost::encoding::encode_varint(u64::try_from(tx.len()).unwrap_or(u64::MAX), &mut bytes);
        bytes.extend_from_slice(tx);
    }
    bytes
}

/// Unpacks a carrier into its transactions, which are not looked into but for their first byte.
pub fn decode(bytes: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    if bytes.len() > CARRIER_BYTES_MAX {
        return Err(Sdk::TxTooLarge { len: bytes.len(), max: CARRIER_BYTES_MAX }.into());
    }
    let (&CARRIER_PREFIX, mut rest) = bytes.split_first().ok_or_else(|| refused("empty"))? else {
        return Err(refused("does not begin with a carrier's byte"));
    };
    let mut txs = Vec::new();
    while !rest.is_empty() {
        let (len, after) = length(rest)?;
        let (tx, after) =
            after.split_at_checked(len).ok_or_else(|| refused("ends within a transaction"))?;
        match tx.first() {
            None => return Err(refused("an empty transaction")),
            Some(&CARRIER_PREFIX | &INJECTED_TX_PREFIX) => {
                return Err(refused("holds what is no user's transaction"));
            }
            Some(_) => {}
        }
        if txs.len() >= CARRIER_TXS_MAX {
            return Err(refused(&format!("more than {CARRIER_TXS_MAX} transactions")));
        }
        txs.push(tx);
        rest = after;
    }
    if txs.is_empty() {
        return Err(refused("without transactions"));
    }
    Ok(txs)
}

/// What a mempool holds as a list of transactions: carriers unpacked where they stand, anything that
/// does not unpack left out.
pub fn expand<'t>(waiting: &[&'t [u8]]) -> Vec<&'t [u8]> {
    let mut txs = Vec::with_capacity(waiting.len());
    for bytes in waiting {
        if !is_carrier(bytes) {
            txs.push(*bytes);
        } else if let Ok(mut carried) = decode(bytes) {
            txs.append(&mut carried);
        }
    }
    txs
}

/// Reads a length: its value, and what follows.
fn length(bytes: &[u8]) -> Result<(usize, &[u8]), Refusal> {
    let mut value = 0usize;
    let mut shift = 0u32;
    for (at, byte) in bytes.iter().take(LENGTH_BYTES_MAX).enumerate() {
        let part = usize::from(byte & 0x7f);
        value |= part.checked_shl(shift).unwrap_or(0);
        shift = shift.saturating_add(7);
        if byte & 0x80 != 0 {
            continue;
        }
        if at > 0 && part == 0 {
            return Err(refused("a length with more bytes than it needs"));
        }
        if value > TX_BYTES_MAX {
            return Err(Sdk::TxTooLarge { len: value, max: TX_BYTES_MAX }.into());
        }
        let after = bytes.get(at.saturating_add(1)..).unwrap_or_default();
        return Ok((value, after));
    }
    Err(refused("a length that does not end"))
}

fn refused(what: &str) -> Refusal {
    Sdk::TxDecode(format!("carrier: {what}")).into()
}

#[cfg(test)]
mod tests {
    use std::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn code(bytes: &[u8]) -> u32 {
        decode(bytes).unwrap_err().code
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let txs: Vec<Vec<u8>> =
            [1usize, 127, 128, 16_383, 16_384, TX_BYTES_MAX].map(|len| vec![0x0a; len]).into();
        let slices: Vec<&[u8]> = txs.iter().map(Vec::as_slice).collect();
        let carrier = encode(slices.iter().copied());
        assert_eq!(decode(&carrier).unwrap(), slices);
        let framed: usize = slices.iter().map(|tx| framed(tx.len())).sum();
        assert_eq!(carrier.len(), 1 + framed);
    }

    #[test]
    fn refusals_have_their_codes() {
        assert_eq!(code(&[]), 2);
        assert_eq!(code(&[0x0a, 1, 0x0a]), 2, "another first byte");
        assert_eq!(code(&[0x01]), 2, "no transaction");
        assert_eq!(code(&[0x01, 0]), 2, "an empty one");
        assert_eq!(code(&[0x01, 2, 0x0a]), 2, "cut off");
        assert_eq!(code(&[0x01, 0x81, 0x00, 0x0a]), 2, "a length longer than it needs");
        assert_eq!(code(&[0x01, 0x80, 0x80, 0x80, 0x01]), 2, "a length without end");
        assert_eq!(code(&[0x01, 1, 0x01]), 2, "a carrier inside");
        assert_eq!(code(&[0x01, 1, 0x00]), 2, "an injected one inside");
        assert_eq!(code(&encode([&vec![0x0a; TX_BYTES_MAX + 1][..]])), 21, "one too large");
        assert_eq!(code(&vec![0x01; CARRIER_BYTES_MAX + 1]), 21, "all too large");
        let many = vec![&[0x0au8][..]; CARRIER_TXS_MAX];
        assert_eq!(decode(&encode(many.iter().copied())).unwrap().len(), CARRIER_TXS_MAX);
        assert_eq!(code(&encode(many.into_iter().chain([&[0x0au8][..]]))), 2, "too many");
    }

    #[test]
    fn a_list_is_expanded_in_its_order() {
        let (a, b, c) = (&[0x0a, 1][..], &[0x0a, 2][..], &[0x0a, 3][..]);
        let carrier = encode([b, a]);
        let broken = [0x01, 9];
        assert_eq!(expand(&[c, &carrier, &broken, a]), [c, b, a, a]);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Bytes that are taken are the only bytes of their list.
        #[test]
        fn bytes_and_lists_belong_together(
            mut bytes in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x80), any::<u8>()], 0..60),
        ) {
            if let Some(first) = bytes.first_mut() {
                *first = CARRIER_PREFIX;
            }
            if let Ok(txs) = decode(&bytes) {
                prop_assert_eq!(encode(txs), bytes);
            }
        }
    }
}
