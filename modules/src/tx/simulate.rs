//! What an unsigned transaction lacks of the signed one, so that a simulation tells its gas.

use super::{Decoded, Mode};
use crate::{
    Read,
    auth::{self, PublicKey},
};

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;

/// Bytes of a signature within a multisig's, with its tag and length.
const MEMBER_SIGNATURE_BYTES: usize = 66;

/// Bytes of a signer's secp256k1 key as an `Any`, with its tag and length.
const KEY_BYTES: usize = 72;

/// Bytes of a single mode that is not unspecified.
const MODE_BYTES: usize = 2;

/// Bytes of a multisig's mode: its bit array, and each member's mode.
const MULTI_MODE_BYTES: usize = 12;
const MEMBER_MODE_BYTES: usize = 6;

/// Bytes of a fee and a gas limit, amounts of up to twelve digits.
const FEE_BYTES: usize = 32;

impl Decoded {
    /// The transaction with the size and the number of signatures that it has once it is signed, as
    /// far as they are missing: wallets simulate without a fee, without signatures and some without
    /// keys, and CosmJS a multisig like a single key. A signed transaction stays as it is.
    pub fn as_if_signed(mut self, store: &dyn Read) -> Self {
        let (mut missing, mut count) = (0usize, 0usize);
        for (signer, signature) in self.signers.iter().zip(&self.raw.signatures) {
            let known =
                auth::account(store, signer.address).and_then(|account| auth::key(&account));
            let key = signer.key.as_ref().or(known.as_ref());
            if signer.key.is_none() {
                missing = missing.saturating_add(KEY_BYTES);
            }
            let (signs, mode, whole) = match (&signer.mode, key) {
                (Mode::Single(_), Some(PublicKey::Multisig(multisig))) => {
                    let n = multisig.threshold();
                    let mode = MULTI_MODE_BYTES.saturating_add(MEMBER_MODE_BYTES.saturating_mul(n));
                    (n, mode, MEMBER_SIGNATURE_BYTES.saturating_mul(n))
                }
                (Mode::Single(_), _) => (1, MODE_BYTES, SIGNATURE_BYTES),
                (Mode::Multi(_), _) => {
                    let n = signer.signature_count();
                    (n, 0, MEMBER_SIGNATURE_BYTES.saturating_mul(n))
                }
            };
            count = count.saturating_add(signs);
            if signature.len() < whole {
                let rest = whole.saturating_sub(signature.len());
                missing = missing.saturating_add(rest).saturating_add(mode);
            }
        }
        if self.gas_limit == 0 {
            missing = missing.saturating_add(FEE_BYTES);
        }
        self.size = self.size.saturating_add(missing);
        self.signature_count = count;
        self
    }
}
