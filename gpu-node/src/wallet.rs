//! An account's key: it signs transactions and nothing else.

use std::fmt;

use plasma_modules::Address;
use rand_core::{OsRng, RngCore};
use secp256k1::{Message, PublicKey, Secp256k1, SecretKey, SignOnly};
use zeroize::Zeroizing;

/// Bytes that are no secret key: zero, or not below the order of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are no secp256k1 secret key")]
pub struct BadSecret;

/// A secp256k1 key and the account that it controls. The secret is wiped when the wallet is dropped and is
/// never printed. How mnemonics become secrets is the caller's matter.
pub struct Wallet {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 33],
    address: Address,
    curve: Secp256k1<SignOnly>,
}

impl Wallet {
    /// The wallet of a secret key, 32 bytes big endian.
    ///
    /// # Errors
    /// [`BadSecret`] for zero, or a number not below the order of the curve.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Self, BadSecret> {
        let curve = Secp256k1::signing_only();
        let mut key = SecretKey::from_byte_array(*secret).map_err(|_| BadSecret)?;
        let public = PublicKey::from_secret_key(&curve, &key).serialize();
        key.non_secure_erase();
        let address = Address::of_secp256k1(&public);
        Ok(Self { secret: Zeroizing::new(*secret), public, address, curve })
    }

    /// A new wallet from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        loop {
            OsRng.fill_bytes(secret.as_mut());
            // Fails once in 2^128.
            if let Ok(wallet) = Self::from_secret(&secret) {
                return wallet;
            }
        }
    }

    /// The account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// The public key, compressed.
    #[must_use]
    pub fn public(&self) -> [u8; 33] {
        self.public
    }

    /// The secret key, to be sealed into a file; wiped when dropped.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        self.secret.clone()
    }

    /// Signs a sha256 digest: 64 bytes r and s, s in the lower half.
    #[must_use]
    pub fn sign(&self, digest: [u8; 32]) -> [u8; 64] {
        // Checked when the wallet was made.
        let Ok(mut key) = SecretKey::from_byte_array(*self.secret) else { return [0; 64] };
        let signature = self.curve.sign_ecdsa(Message::from_digest(digest), &key);
        key.non_secure_erase();
        signature.serialize_compact()
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.address).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secp256k1::ecdsa::Signature;

    #[test]
    fn signatures_hold_and_secrets_are_not_printed() {
        let wallet = Wallet::from_secret(&[0x5a; 32]).unwrap();
        let digest = [7; 32];
        let signature = Signature::from_compact(&wallet.sign(digest)).unwrap();
        let key = PublicKey::from_byte_array_compressed(wallet.public()).unwrap();
        let curve = Secp256k1::verification_only();
        curve.verify_ecdsa(Message::from_digest(digest), &signature, &key).unwrap();
        assert_eq!(wallet.address(), Address::of_secp256k1(&wallet.public()));
        let printed = format!("{wallet:?}");
        assert!(
            printed.contains("xpl1") && !printed.contains("5a5a") && !printed.contains("90, 90"),
            "{printed}"
        );
    }

    #[test]
    fn only_secrets_are_taken() {
        assert_eq!(Wallet::from_secret(&[0; 32]).unwrap_err(), BadSecret);
        assert_eq!(Wallet::from_secret(&[0xff; 32]).unwrap_err(), BadSecret);
        assert_ne!(Wallet::generate().address(), Wallet::generate().address());
    }
}
