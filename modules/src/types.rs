//! Values that mean one thing each.

mod address;
mod amount;
mod dec;
mod denom;

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::error::fault;

pub use address::{Address, HRP, HRP_CONSENSUS, HRP_OPERATOR};
pub use amount::{Amount, rest, sum};
pub use dec::{Dec, mul_div, mul_div_up};
pub use denom::Denom;

/// Basis points in the whole.
pub const BPS: u32 = 10_000;

/// A sha256 digest.
pub type Hash = [u8; 32];

/// sha256 of the parts, each preceded by its length (be32): what every signature outside of a
/// transaction, and every digest of the protocol, is made over. The first part is the domain.
pub fn digest(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for part in parts {
        let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
        hash.update(len.to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// sha256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// 32 bytes, if that is what they are.
pub fn hash32(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok()
}

/// A stored 32-byte id.
pub fn stored_hash(bytes: &[u8]) -> Hash {
    hash32(bytes).unwrap_or_else(|| fault("not 32 bytes", bytes))
}

/// `bytes` in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> alloc::string::String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal text stands for; `None` if it is none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|pair| {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
            digit(pair[0])?.checked_mul(16)?.checked_add(digit(pair[1])?)
        })
        .collect()
}

/// Standard base64 with padding (RFC 4648).
pub fn base64(bytes: &[u8]) -> alloc::string::String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = alloc::string::String::with_capacity(bytes.len().div_ceil(3).saturating_mul(4));
    for chunk in bytes.chunks(3) {
        let mut word = 0u32;
        for at in 0..3usize {
            word = (word << 8) | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for (at, shift) in [18u32, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from((word >> shift) & 63).unwrap_or(0);
            let filled = at <= chunk.len();
            text.push(if filled {
                DIGITS.get(digit).copied().map_or('=', char::from)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_the_standard_one() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
