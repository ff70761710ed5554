use alloc::{string::String, vec::Vec};
use core::fmt;

use bech32::{Bech32, primitives::decode::CheckedHrpstring};
use ripemd::Ripemd160;
use sha2::Digest;

use super::sha256;
use crate::{error::Sdk, store::Key};

/// Human-readable part of account addresses.
pub const HRP: &str = "xpl";
/// Human-readable part of validators' operator addresses.
pub const HRP_OPERATOR: &str = "xplvaloper";
/// Human-readable part of validators' consensus addresses.
pub const HRP_CONSENSUS: &str = "xplvalcons";

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

    /// One of the accounts of a module: the first twenty bytes of sha256(name, a zero, key).
    pub fn of_module_key(name: &str, key: &[u8]) -> Self {
        Self::short(&[name.as_bytes(), &[0], key].concat())
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
        Self::parse_as(HRP, text)
    }

    /// Reads a validator's operator, `xplvaloper`: the account's bytes under another prefix.
    pub fn parse_operator(text: &str) -> Result<Self, Sdk> {
        Self::parse_as(HRP_OPERATOR, text)
    }

    /// Reads a validator's consensus address, `xplvalcons`.
    pub fn parse_consensus(text: &str) -> Result<Self, Sdk> {
        Self::parse_as(HRP_CONSENSUS, text)
    }

    fn parse_as(prefix: &str, text: &str) -> Result<Self, Sdk> {
        let bad = |why: &str| Sdk::InvalidAddress(alloc::format!("{text:?} {why}"));
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| bad("is not bech32"))?;
        if checked.hrp().as_str() != prefix {
            return Err(bad(&alloc::format!("does not begin with {prefix}1")));
        }
        let bytes: Vec<u8> = checked.byte_iter().collect();
        bytes.try_into().map(Self).map_err(|_| bad("does not hold 20 bytes"))
    }

    /// Reads a stored address.
    pub fn stored(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| crate::error::fault("bad address", text.as_bytes()))
    }

    /// Reads a stored operator's address.
    pub fn stored_operator(text: &str) -> Self {
        Self::parse_operator(text)
            .unwrap_or_else(|_| crate::error::fault("bad operator", text.as_bytes()))
    }

    /// As bech32 text, the form of every account in a message.
    pub fn text(&self) -> String {
        self.text_as(HRP)
    }

    /// As bech32 text of a validator's operator.
    pub fn operator_text(&self) -> String {
        self.text_as(HRP_OPERATOR)
    }

    /// As bech32 text of a validator's consensus address.
    pub fn consensus_text(&self) -> String {
        self.text_as(HRP_CONSENSUS)
    }

    fn text_as(&self, prefix: &str) -> String {
        self.written(prefix, |text| text.into())
    }

    /// Bech32 (BIP-173), written out for twenty bytes: events have a dozen addresses per transfer, and
    /// a general encoder was most of what they cost. `take` gets the text.
    fn written<T>(&self, prefix: &str, take: impl FnOnce(&str) -> T) -> T {
        let mut text = [0u8; TEXT_LEN_MAX];
        let mut room = text.iter_mut();
        let mut put = |letter: u8| {
            if let Some(place) = room.next() {
                *place = letter;
            }
        };
        prefix.bytes().for_each(&mut put);
        put(b'1');
        let mut sum = prefix.bytes().fold(1, |sum, byte| step(sum, byte >> 5));
        sum = prefix.bytes().fold(step(sum, 0), |sum, byte| step(sum, byte & 31));
        let (groups, _) = self.0.as_chunks::<5>();
        for [a, b, c, d, e] in groups {
            let word = u64::from_be_bytes([0, 0, 0, *a, *b, *c, *d, *e]);
            for shift in [35u32, 30, 25, 20, 15, 10, 5, 0] {
                let digit = low5(word >> shift);
                sum = step(sum, digit);
                put(letter(digit));
            }
        }
        sum = (0..6).fold(sum, |sum, _| step(sum, 0)) ^ 1;
        for shift in [25u32, 20, 15, 10, 5, 0] {
            put(letter(low5(u64::from(sum >> shift))));
        }
        let len = prefix.len().saturating_add(REST_LEN);
        let written = text.get(..len).and_then(|text| core::str::from_utf8(text).ok());
        take(written.unwrap_or_default())
    }
}

/// Letters of an address's text behind its prefix: separator, 32 digits, 6 of the checksum.
const REST_LEN: usize = 39;
/// Letters of the longest address.
const TEXT_LEN_MAX: usize = REST_LEN + HRP_OPERATOR.len();

/// One step of bech32's checksum.
fn step(sum: u32, digit: u8) -> u32 {
    let next = ((sum & 0x01ff_ffff) << 5) ^ u32::from(digit);
    next ^ TAKEN_IN.get(usize::from(low5(u64::from(sum >> 25)))).copied().unwrap_or_default()
}

/// What each value of the checksum's top five bits takes in: the generators of its bits.
#[expect(clippy::indexing_slicing, reason = "computed by the compiler, which refuses a bad index")]
const TAKEN_IN: [u32; 32] = {
    let generators = [0x3b6a_57b2u32, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let (mut table, mut top) = ([0; 32], 0);
    while top < table.len() {
        let mut bit = 0;
        while bit < generators.len() {
            if (top >> bit) & 1 == 1 {
                table[top] ^= generators[bit];
            }
            bit += 1;
        }
        top += 1;
    }
    table
};

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
        self.written(HRP, |text| f.write_str(text))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written(HRP, |text| f.write_str(text))
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
        for prefix in [HRP, HRP_OPERATOR, HRP_CONSENSUS] {
            let hrp = Hrp::parse(prefix).unwrap();
            let many = (0..1_000u32).map(|n| Address::short(&n.to_be_bytes()).0);
            for bytes in many.chain([[0; 20], [0xff; 20]]) {
                let text = Address(bytes).text_as(prefix);
                assert_eq!(text, bech32::encode::<Bech32>(hrp, &bytes).unwrap());
                assert_eq!(text.len(), prefix.len() + REST_LEN);
            }
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

    #[test]
    fn each_form_is_read_as_itself_alone() {
        let address = Address([7; 20]);
        let (account, operator, consensus) =
            (address.text(), address.operator_text(), address.consensus_text());
        assert!(operator.starts_with("xplvaloper1") && consensus.starts_with("xplvalcons1"));
        assert_eq!(Address::parse_operator(&operator), Ok(address));
        assert_eq!(Address::parse_consensus(&consensus), Ok(address));
        assert!(Address::parse(&operator).is_err() && Address::parse(&consensus).is_err());
        assert!(Address::parse_operator(&account).is_err());
        assert!(Address::parse_consensus(&operator).is_err());
    }
}
