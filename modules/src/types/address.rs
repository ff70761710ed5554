use alloc::{string::String, vec::Vec};
use core::fmt;

use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
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
        // A prefix of ten letters and twenty bytes always fit.
        bech32::encode::<Bech32>(Hrp::parse_unchecked(prefix), &self.0).unwrap_or_default()
    }
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
    use super::*;

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
