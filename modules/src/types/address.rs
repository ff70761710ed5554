use alloc::{string::String, vec::Vec};
use core::fmt;

use bech32::{Bech32, primitives::decode::CheckedHrpstring};
use ripemd::Ripemd160;
use sha2::Digest;

use super::sha256;
use crate::{error::Sdk, store::Key};

/// Human-readable part of account addresses.
pub const HRP: &str = "xpl";

/// An account: the twenty bytes of a key's hash, or of a module's name.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// The account of a compressed secp256k1 key (33 bytes): ripemd160(sha256(key)).
    pub fn of_secp256k1(key: &[u8]) -> Self {
        Self(Ripemd160::digest(sha256(key)).into())
    }

    /// The account of a module: the first twenty bytes of sha256(name), as in the Cosmos SDK.
    pub fn of_module(name: &str) -> Self {
        Self::short(name.as_bytes())
    }

    /// A validator's consensus address: the first twenty bytes of sha256(ed25519 key).
    pub fn of_consensus(key: &[u8]) -> Self {
        Self::short(key)
    }

    /// The account of a multisig: the first twenty bytes of sha256(its key in binary amino).
    pub fn of_multisig(amino: &[u8]) -> Self {
        Self::short(amino)
    }

    fn short(bytes: &[u8]) -> Self {
        let [bytes @ .., _, _, _, _, _, _, _, _, _, _, _, _] = sha256(bytes);
        Self(bytes)
    }

    /// Reads bech32 text with the prefix `xpl`.
    pub fn parse(text: &str) -> Result<Self, Sdk> {
        let bad = |why: &str| Sdk::InvalidAddress(alloc::format!("{text:?} {why}"));
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| bad("is not bech32"))?;
        if checked.hrp().as_str() != HRP {
            return Err(bad("does not begin with xpl1"));
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        bytes.try_into().map(Self).map_err(|_| bad("does not hold 20 bytes"))
    }

    /// Reads a stored address.
    pub fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| crate::error::fault("bad address", text.as_bytes()))
    }

    /// As bech32 text, the form of every address in a message.
    ///
    /// Written out for this one prefix and length (BIP-173): events have a dozen addresses per
    /// transfer, and a general encoder was most of what they cost.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(TEXT_LEN);
        text.push_str(HRP);
        text.push('1');
        let mut sum = HRP_SUM;
        let mut put = |digit: u8| text.push(char::from(letter(digit)));
        let (groups, _) = self.0.as_chunks::<5>();
        for [a, b, c, d, e] in groups {
            let word = u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e]);
            for shift in [35u32, 30, 25, 20, 15, 10, 5, 0] {
                let digit = low5(word >> shift);
                sum = step(sum, digit);
                put(digit);
            }
        }
        for _ in 0..6 {
            sum = step(sum, 0);
        }
        sum ^= 1;
        for shift in [25u32, 20, 15, 10, 5, 0] {
            put(low5(u64::from(sum >> shift)));
        }
        text
    }
}

/// Letters of an address's text: prefix, separator, 32 digits, 6 of the checksum.
const TEXT_LEN: usize = 42;

/// The checksum of the prefix alone.
const HRP_SUM: u32 = {
    let [x, p, l] = *b"xpl";
    let mut sum = 1;
    sum = step(sum, x >> 5);
    sum = step(sum, p >> 5);
    sum = step(sum, l >> 5);
    sum = step(sum, 0);
    sum = step(sum, x & 31);
    sum = step(sum, p & 31);
    step(sum, l & 31)
};

/// One step of bech32's checksum.
const fn step(sum: u32, digit: u8) -> u32 {
    #[expect(clippy::as_conversions, reason = "widening, which `From` cannot do in a constant")]
    let digit = digit as u32;
    let next = ((sum & 0x01ff_ffff) << 5) ^ digit;
    let top = sum >> 25;
    // Each of the top bits takes its generator in, without a branch.
    next ^ (0x3b6a_57b2 & 0u32.wrapping_sub(top & 1))
        ^ (0x2650_8e6d & 0u32.wrapping_sub((top >> 1) & 1))
        ^ (0x1ea1_19fa & 0u32.wrapping_sub((top >> 2) & 1))
        ^ (0x3d42_33dd & 0u32.wrapping_sub((top >> 3) & 1))
        ^ (0x2a14_62b3 & 0u32.wrapping_sub((top >> 4) & 1))
}

/// The last five bits.
fn low5(word: u64) -> u8 {
    u8::try_from(word & 31).unwrap_or_default()
}

/// The letter of a digit.
fn letter(digit: u8) -> u8 {
    const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    LETTERS.get(usize::from(digit)).copied().unwrap_or_default()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Key for Address {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        <[u8; 20]>::take(bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use bech32::Hrp;

    use super::*;

    #[test]
    fn text_is_what_a_general_encoder_writes() {
        let hrp = Hrp::parse(HRP).unwrap();
        for n in 0..2_000u32 {
            let Address(bytes) = Address::short(&n.to_be_bytes());
            let text = Address(bytes).text();
            assert_eq!(text, bech32::encode::<Bech32>(hrp, &bytes).unwrap());
            assert_eq!(text.len(), TEXT_LEN);
        }
        for bytes in [[0; 20], [0xff; 20]] {
            assert_eq!(Address(bytes).text(), bech32::encode::<Bech32>(hrp, &bytes).unwrap());
        }
    }

    #[test]
    fn text_reads_back_and_nothing_else_does() {
        let address = Address([7; 20]);
        assert_eq!(Address::parse(&address.text()).unwrap(), address);
        let other = bech32::encode::<Bech32>(Hrp::parse_unchecked("cosmos"), &[7; 20]).unwrap();
        let long = bech32::encode::<Bech32>(Hrp::parse_unchecked(HRP), &[7; 32]).unwrap();
        let mut wrong = address.text();
        wrong.pop();
        wrong.push('q');
        for text in ["", "xpl1", &other, &long, &wrong, &address.text().to_uppercase()[1..]] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
