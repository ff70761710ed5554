//! How a proposer's proof travels: as the first entry of the block, where no transaction of a user can
//! stand.
//!
//! ```text
//! entry = 0x00 0x01 0x7a 0x50 proof
//! ```
//! A block's own entries begin with 0x00, the beacon's goes on with 0x01. To a reader of protobuf that skips what
//! it does not know, it is a transaction without a body; to one that does not, it is none.

use super::{Error, PROOF_BYTES, Proof};
use crate::tx::INJECTED_TX_PREFIX;

const HEAD: [u8; 4] = [INJECTED_TX_PREFIX, 0x01, 0x7a, 80];

/// Bytes of an entry.
pub const ENTRY_BYTES: usize = HEAD.len() + PROOF_BYTES;

/// The entry that holds a proof.
pub fn encode(proof: &Proof) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    let parts = HEAD.iter().chain(proof);
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    bytes
}

/// The proof that an entry holds.
pub fn decode(entry: &[u8]) -> Result<Proof, Error> {
    let proof = entry.strip_prefix(&HEAD).and_then(|proof| proof.try_into().ok());
    proof.ok_or(Error::BadEntry)
}

/// Parts what a block holds: its own entry, if it begins with one, and its transactions.
pub fn split<'s, 't>(txs: &'s [&'t [u8]]) -> (Option<&'t [u8]>, &'s [&'t [u8]]) {
    match txs.split_first() {
        Some((first, rest)) if first.first() == Some(&INJECTED_TX_PREFIX) => (Some(*first), rest),
        _ => (None, txs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_form() {
        let entry = encode(&[7; PROOF_BYTES]);
        assert_eq!(entry.len(), 84);
        assert_eq!(decode(&entry), Ok([7; PROOF_BYTES]));
        for bad in [&entry[..83], &[&entry[..], &[0]].concat(), &[0u8][..], &[], &[7; 84]] {
            assert_eq!(decode(bad), Err(Error::BadEntry));
        }
        for at in 0..4 {
            let mut bent = entry;
            bent[at] ^= 1;
            assert_eq!(decode(&bent), Err(Error::BadEntry));
        }
    }

    #[test]
    fn the_first_alone_is_the_blocks_own() {
        let (entry, tx) = (&[0u8, 1][..], &[0x0au8, 1][..]);
        assert_eq!(split(&[entry, tx]), (Some(entry), &[tx][..]));
        assert_eq!(split(&[tx, entry]), (None, &[tx, entry][..]));
        assert_eq!(split(&[&[], tx]), (None, &[&[][..], tx][..]));
        assert_eq!(split(&[]), (None, &[][..]));
    }
}
