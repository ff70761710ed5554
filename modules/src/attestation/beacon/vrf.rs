//! The verifiable random function: ECVRF-RISTRETTO255-SHA512 (RFC 9381, c2sp.org/vrf-r255). A key has one
//! output for each input, and nobody else can find it or deny it. Proofs of one output may differ in
//! their bytes; nothing is made of these.

use vrf_r255::PublicKey;

use crate::{
    Address,
    types::{Hash, digest},
};

/// Bytes of a proof.
pub const PROOF_BYTES: usize = 80;
/// A proof, encoded.
pub type Proof = [u8; PROOF_BYTES];
/// What a key makes of an input.
pub type Output = [u8; 64];

/// The secret half of a beacon key.
#[derive(Clone)]
pub struct SecretKey(vrf_r255::SecretKey);

impl core::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SecretKey")
    }
}

impl SecretKey {
    /// The key of 32 random bytes, of which the upper four bits do not count; `None` of zeros.
    pub fn from_random(bytes: [u8; 32]) -> Option<Self> {
        let mut scalar = bytes;
        if let Some(last) = scalar.last_mut() {
            // Below 2^252, so below the group's order.
            *last &= 0x0f;
        }
        Self::from_bytes(scalar)
    }

    /// A key as [`SecretKey::to_bytes`] writes it.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        Option::from(vrf_r255::SecretKey::from_bytes(bytes)).map(Self)
    }

    /// The key's bytes. Whoever has them is the validator, for the beacon.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(self.0).to_bytes()
    }

    /// Proves what the key makes of `input`. The same each time.
    pub fn prove(&self, input: &[u8]) -> Proof {
        self.0.prove(input).to_bytes()
    }
}

/// Whether bytes are a public key.
pub(super) fn is_key(bytes: [u8; 32]) -> bool {
    PublicKey::from_bytes(bytes).is_some()
}

/// What the key made of `input`, if the proof says so.
pub fn verify(public_key: &[u8; 32], input: &[u8], proof: &Proof) -> Option<Output> {
    let key = PublicKey::from_bytes(*public_key)?;
    let proof = vrf_r255::Proof::from_bytes(*proof)?;
    Option::from(key.verify(input, &proof))
}

/// What a proof that somebody has a key's secret half is about.
pub fn possession(chain_id: &str, operator: Address, public_key: &[u8; 32]) -> Hash {
    digest(&[b"xpl/beacon-key/v1", chain_id.as_bytes(), &operator.0, public_key])
}

/// Proves that the operator of a validator has a key.
pub fn prove_possession(key: &SecretKey, chain_id: &str, operator: Address) -> Proof {
    key.prove(&possession(chain_id, operator, &key.public()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_random([seed; 32]).unwrap()
    }

    /// The vector of c2sp.org/vrf-r255.
    #[test]
    fn the_function_is_the_published_one() {
        let bytes = |text: &str| crate::types::unhex(text).unwrap();
        let secret = bytes("3431c2b03533e280b23232e280b34e2c3132c2b03238e280b23131e280b34500");
        let public = bytes("54136cd90d99fbd1d4e855d9556efea87ba0337f2a6ce22028d0f5726fcb854e");
        let proof = bytes(
            "0a97d961262fb549b4175c5117860f42ae44a123f93c476c439eddd1c0cff9265c805525233e2284dbed45e593b8eea31d5ca9734d72bcbba9738d5237f955f3b2422351149d1312503b6441a47c940c",
        );
        let output = bytes(
            "dd653f0879b48c3ef69e13551239bec4cbcc1c18fe8894de2e9e1c790e18273603bf1c6c25d7a797aeff3c43fd32b974d3fcbd4bcce916007097922a3ea3a794",
        );
        let key = SecretKey::from_bytes(secret.try_into().unwrap()).unwrap();
        assert_eq!(key.public().to_vec(), public);
        assert_eq!(key.prove(b"c2sp.org/vrf-r255").to_vec(), proof);
        let found = verify(&key.public(), b"c2sp.org/vrf-r255", &proof.try_into().unwrap());
        assert_eq!(found.unwrap().to_vec(), output);
    }

    #[test]
    fn a_proof_is_of_one_key_and_one_input() {
        let (mine, other) = (key(1), key(2));
        let proof = mine.prove(b"input");
        let output = verify(&mine.public(), b"input", &proof);
        assert!(output.is_some());
        assert_eq!(mine.prove(b"input"), proof, "the same each time");
        assert_eq!(verify(&mine.public(), b"inpux", &proof), None);
        assert_eq!(verify(&other.public(), b"input", &proof), None);
        assert_eq!(verify(&[0; 32], b"input", &proof), None, "the point that is no key");
        for at in 0..PROOF_BYTES {
            let mut bent = proof;
            bent[at] ^= 1;
            assert_eq!(verify(&mine.public(), b"input", &bent), None, "byte {at}");
        }
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = SecretKey::from_random([0xff; 32]).unwrap();
        let again = SecretKey::from_bytes(key.to_bytes()).unwrap();
        assert_eq!(again.public(), key.public());
        assert!(SecretKey::from_random([0; 32]).is_none());
        assert!(SecretKey::from_bytes([0xff; 32]).is_none(), "above the order");
        assert!(is_key(key.public()) && !is_key([0; 32]) && !is_key([0xff; 32]));
    }
}
