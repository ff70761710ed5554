use alloc::{format, vec::Vec};

use plasma_proto::cosmos::crypto::{multisig::LegacyAminoPubKey, secp256k1::PubKey};
use prost::{Message, Name};
use prost_types::Any;

use crate::{Address, Sdk, tx::canonical};

/// Most keys of a multisig.
pub const MULTISIG_MEMBERS_MAX: usize = 16;

/// Bytes of a compressed secp256k1 key.
const KEY_LEN: u8 = 33;

/// What binary amino begins with: a multisig's key, and a secp256k1 key.
const AMINO_MULTISIG: [u8; 4] = [0x22, 0xc1, 0xf7, 0xe2];
const AMINO_SECP256K1: [u8; 4] = [0xeb, 0x5a, 0xe9, 0x87];

/// A public key that an account can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// One secp256k1 key, compressed.
    Secp256k1([u8; 33]),
    /// Several of them.
    Multisig(Multisig),
}

/// Some of several keys sign: `cosmos.crypto.multisig.LegacyAminoPubKey`. A key may stand in it more
/// than once; it then weighs as much more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multisig {
    threshold: u32,
    members: Vec<[u8; 33]>,
}

impl Multisig {
    /// `threshold` of `members`.
    pub fn new(threshold: u32, members: Vec<[u8; 33]>) -> Result<Self, Sdk> {
        let n = members.len();
        if n > MULTISIG_MEMBERS_MAX {
            let text = format!("a multisig of {n} keys, at most {MULTISIG_MEMBERS_MAX}");
            return Err(Sdk::TooManySignatures(text));
        }
        if threshold == 0 || usize::try_from(threshold).map_or(true, |needed| needed > n) {
            let text = format!("a multisig of {n} keys cannot need {threshold} signatures");
            return Err(Sdk::InvalidPubKey(text));
        }
        Ok(Self { threshold, members })
    }

    /// How many must sign, at least.
    pub fn threshold(&self) -> usize {
        usize::try_from(self.threshold).unwrap_or(usize::MAX)
    }

    /// The keys, in order.
    pub fn members(&self) -> &[[u8; 33]] {
        &self.members
    }

    /// Binary amino, which the address is made of.
    fn amino(&self) -> Vec<u8> {
        let mut bytes = AMINO_MULTISIG.to_vec();
        bytes.push(0x08);
        prost::encoding::encode_varint(self.threshold.into(), &mut bytes);
        for key in &self.members {
            bytes.extend([0x12, KEY_LEN.saturating_add(5)]);
            bytes.extend(AMINO_SECP256K1);
            bytes.push(KEY_LEN);
            bytes.extend(key);
        }
        bytes
    }
}

impl PublicKey {
    /// Reads the key of a signer or an account. Multisigs hold secp256k1 keys only.
    pub fn from_any(any: &Any) -> Result<Self, Sdk> {
        if any.type_url == LegacyAminoPubKey::type_url() {
            let key: LegacyAminoPubKey = canonical(&any.value, "LegacyAminoPubKey")?;
            let members = key.public_keys.iter().map(secp256k1).collect::<Result<_, _>>()?;
            return Ok(Self::Multisig(Multisig::new(key.threshold, members)?));
        }
        Ok(Self::Secp256k1(secp256k1(any)?))
    }

    /// As accounts store and transactions bring it.
    pub fn to_any(&self) -> Any {
        match self {
            Self::Secp256k1(key) => single(key),
            Self::Multisig(Multisig { threshold, members }) => {
                let public_keys = members.iter().map(single).collect();
                let key = LegacyAminoPubKey { threshold: *threshold, public_keys };
                Any { type_url: LegacyAminoPubKey::type_url(), value: key.encode_to_vec() }
            }
        }
    }

    /// The account that it signs for.
    pub fn address(&self) -> Address {
        match self {
            Self::Secp256k1(key) => Address::of_secp256k1(key),
            Self::Multisig(multisig) => Address::of_multisig(&multisig.amino()),
        }
    }
}

fn single(key: &[u8; 33]) -> Any {
    Any { type_url: PubKey::type_url(), value: PubKey { key: key.to_vec() }.encode_to_vec() }
}

fn secp256k1(any: &Any) -> Result<[u8; 33], Sdk> {
    if any.type_url != PubKey::type_url() {
        return Err(Sdk::InvalidPubKey(format!("{:?} is not taken", any.type_url)));
    }
    let key: PubKey = canonical(&any.value, "PubKey")?;
    let len = key.key.len();
    key.key
        .try_into()
        .map_err(|_| Sdk::InvalidPubKey(format!("secp256k1 keys have 33 bytes, not {len}")))
}
