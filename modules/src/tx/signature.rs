//! Who signed how: the tree of `mode_info` and its signatures, and their curves.

use alloc::{boxed::Box, format, vec, vec::Vec};

use once_cell::race::OnceBox;
use plasma_proto::cosmos::{
    crypto::multisig::v1beta1::{CompactBitArray, MultiSignature},
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{ModeInfo, mode_info},
    },
};
use secp256k1::{Secp256k1, VerifyOnly, ecdsa};

use super::{Purpose, canonical};
use crate::{
    Sdk,
    auth::{MULTISIG_MEMBERS_MAX, PublicKey},
    types::Hash,
};

/// What a signature is made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// `SIGN_MODE_DIRECT`: the transaction's bytes.
    Direct,
    /// `SIGN_MODE_LEGACY_AMINO_JSON`: its amino JSON.
    AminoJson,
}

/// How a signer signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With one key.
    Single(Signed),
    /// With some of a multisig's keys, each in amino JSON: which of them.
    Multi(Vec<bool>),
}

/// Reads a signer's mode. Only a simulation may leave it out or unspecified.
pub(super) fn mode(info: Option<ModeInfo>, purpose: Purpose) -> Result<Mode, Sdk> {
    match info.and_then(|info| info.sum) {
        Some(mode_info::Sum::Single(single)) => Ok(Mode::Single(signed(single, purpose)?)),
        Some(mode_info::Sum::Multi(multi)) => multi_mode(multi, purpose),
        None if purpose == Purpose::Simulate => Ok(Mode::Single(Signed::Direct)),
        None => Err(Sdk::Unauthorized("the sign mode is missing".into())),
    }
}

fn signed(single: mode_info::Single, purpose: Purpose) -> Result<Signed, Sdk> {
    match single.mode() {
        SignMode::Direct => Ok(Signed::Direct),
        SignMode::LegacyAminoJson => Ok(Signed::AminoJson),
        _ if purpose == Purpose::Simulate => Ok(Signed::Direct),
        other => Err(Sdk::NotSupported(format!(
            "sign mode {}: use SIGN_MODE_DIRECT or SIGN_MODE_LEGACY_AMINO_JSON",
            other.as_str_name()
        ))),
    }
}

fn multi_mode(multi: mode_info::Multi, purpose: Purpose) -> Result<Mode, Sdk> {
    let mode_info::Multi { bitarray, mode_infos } = multi;
    let bits = bits(&bitarray.unwrap_or_default())?;
    let set = bits.iter().filter(|bit| **bit).count();
    if set != mode_infos.len() {
        let text = format!("a multisig's {set} bits stand for {} mode infos", mode_infos.len());
        return Err(Sdk::Unauthorized(text));
    }
    for info in mode_infos {
        match info.sum {
            Some(mode_info::Sum::Single(single))
                if purpose == Purpose::Simulate || single.mode() == SignMode::LegacyAminoJson => {}
            Some(mode_info::Sum::Multi(_)) => {
                return Err(Sdk::NotSupported("multisigs in multisigs".into()));
            }
            _ => {
                let text = "the keys of a multisig sign in SIGN_MODE_LEGACY_AMINO_JSON";
                return Err(Sdk::NotSupported(text.into()));
            }
        }
    }
    Ok(Mode::Multi(bits))
}

/// The bits of an array, the first one first. Bits past its length must be clear.
fn bits(array: &CompactBitArray) -> Result<Vec<bool>, Sdk> {
    let bad = |what: &str| Sdk::Unauthorized(format!("a multisig's bit array {what}"));
    let extra = usize::try_from(array.extra_bits_stored).unwrap_or(usize::MAX);
    let room = array.elems.len().saturating_mul(8);
    if extra >= 8 || (extra > 0 && room == 0) {
        return Err(bad("has a wrong number of extra bits"));
    }
    let len = if extra == 0 { room } else { room.saturating_sub(8).saturating_add(extra) };
    if len > MULTISIG_MEMBERS_MAX {
        return Err(bad(&format!("has {len} bits, at most {MULTISIG_MEMBERS_MAX}")));
    }
    let mut bits: Vec<bool> = array
        .elems
        .iter()
        .flat_map(|byte| (0u32..8).rev().map(move |at| (byte >> at) & 1 == 1))
        .collect();
    if bits.iter().skip(len).any(|bit| *bit) {
        return Err(bad("has bits past its end"));
    }
    bits.truncate(len);
    Ok(bits)
}

/// The single signatures that a signer's signature consists of, one for each that signs.
pub(super) fn signatures(
    mode: &Mode,
    signature: &[u8],
    purpose: Purpose,
) -> Result<Vec<Vec<u8>>, Sdk> {
    match mode {
        Mode::Single(_) => Ok(vec![signature.to_vec()]),
        Mode::Multi(_) if purpose == Purpose::Simulate => Ok(Vec::new()),
        Mode::Multi(bits) => {
            let MultiSignature { signatures } = canonical(signature, "MultiSignature")?;
            let needed = bits.iter().filter(|bit| **bit).count();
            if signatures.len() != needed {
                let text =
                    format!("a multisig's {needed} bits stand for {} signatures", signatures.len());
                return Err(Sdk::Unauthorized(text));
            }
            Ok(signatures)
        }
    }
}

/// The keys that sign, with what over: as many as there are signatures.
pub(super) fn keys<'k>(
    key: &'k PublicKey,
    mode: &Mode,
) -> Result<(Signed, Vec<&'k [u8; 33]>), Sdk> {
    match (key, mode) {
        (PublicKey::Secp256k1(key), Mode::Single(signed)) => Ok((*signed, vec![key])),
        (PublicKey::Multisig(multisig), Mode::Multi(bits)) => {
            let members = multisig.members();
            if bits.len() != members.len() {
                let text = format!(
                    "bit array size is incorrect, expecting: {}, got {}",
                    members.len(),
                    bits.len()
                );
                return Err(Sdk::Unauthorized(text));
            }
            let keys: Vec<_> =
                members.iter().zip(bits).filter(|(_, bit)| **bit).map(|(key, _)| key).collect();
            if keys.len() < multisig.threshold() {
                let text = format!(
                    "not enough signatures set, have {}, expected {}",
                    keys.len(),
                    multisig.threshold()
                );
                return Err(Sdk::Unauthorized(text));
            }
            Ok((Signed::AminoJson, keys))
        }
        (PublicKey::Secp256k1(_), Mode::Multi(_)) => {
            Err(Sdk::Unauthorized("a single key signs with a single signature".into()))
        }
        (PublicKey::Multisig(_), Mode::Single(_)) => {
            Err(Sdk::Unauthorized("a multisig signs with a bit array and its signatures".into()))
        }
    }
}

/// Whether `signature` (64 bytes, low S) over `digest` is `key`'s.
pub(super) fn verify_secp256k1(
    key: &secp256k1::PublicKey,
    digest: &Hash,
    signature: &[u8],
) -> bool {
    // Making one costs as much as half a verification.
    static CURVE: OnceBox<Secp256k1<VerifyOnly>> = OnceBox::new();
    let curve = CURVE.get_or_init(|| Box::new(Secp256k1::verification_only()));
    let Ok(signature) = ecdsa::Signature::from_compact(signature) else { return false };
    // libsecp256k1 refuses high S.
    curve.verify_ecdsa(secp256k1::Message::from_digest(*digest), &signature, key).is_ok()
}

/// Whether `signature` over `digest` is `key`'s, by the rules of ZIP-215: the same everywhere, and
/// the same one by one as in batches.
pub fn verify_ed25519(key: &[u8; 32], digest: &Hash, signature: &[u8]) -> bool {
    let Ok(signature) = ed25519_zebra::Signature::try_from(signature) else { return false };
    let Ok(key) = ed25519_zebra::VerificationKey::try_from(*key) else { return false };
    key.verify(&signature, digest).is_ok()
}
