//! What was found out about transactions before: what their bytes decode to, and which signatures
//! hold. So each is decoded once and checked once, whatever calls it passes through.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plasma_modules::{
    Refusal, SignatureMemory,
    tx::{self, Decoded, Purpose},
    types::{Hash, sha256},
};

use secp256k1::PublicKey;

use crate::recent::Recent;

/// Digests of checked signatures that one generation remembers. Two generations are kept, 32 bytes
/// each.
pub const SIGNATURES_MAX: usize = 200_000;
/// Memory of the decoded transactions that one generation keeps, bytes, roughly. Two generations are
/// kept; committed transactions are forgotten at once.
pub const DECODED_BYTES_MAX: usize = 64 << 20;
/// Points of keys that one generation remembers: a square root each, a tenth of a verification. Two
/// generations are kept, about 150 bytes each.
pub const POINTS_MAX: usize = 50_000;
/// What a decoded transaction takes: so much, and so often the bytes that it was read from.
const DECODED_BYTES: usize = 1_500;
const DECODED_COPIES: usize = 3;

/// Bounded memories of transactions. Forgetting costs a decoding or a verification, nothing else.
pub struct Seen {
    signatures: Mutex<Recent>,
    points: Mutex<Recent<PublicKey>>,
    decoded: Mutex<Recent<Arc<Decoded>>>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::new(SIGNATURES_MAX, DECODED_BYTES_MAX)
    }
}

/// Nothing behind these locks is half-changed by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// Remembers at least so many signatures, and decoded transactions of about so many bytes; at
    /// most twice as much.
    pub fn new(signatures_max: usize, decoded_bytes_max: usize) -> Self {
        Self {
            signatures: Mutex::new(Recent::new(signatures_max)),
            points: Mutex::new(Recent::new(POINTS_MAX)),
            decoded: Mutex::new(Recent::new(decoded_bytes_max)),
        }
    }

    /// The transaction of `bytes`, whose hash is `hash`. One that is read now is not kept: anybody can
    /// send one.
    pub fn read(&self, hash: Hash, bytes: &[u8]) -> Result<Arc<Decoded>, Refusal> {
        let known = lock(&self.decoded).get(&hash).map(Arc::clone);
        let read = || tx::decode_named(hash, bytes, Purpose::Execute).map(Arc::new);
        known.map_or_else(read, Ok)
    }

    /// The same of a transaction that a block holds, or may hold: it is kept.
    pub fn read_and_keep(&self, hash: Hash, bytes: &[u8]) -> Result<Arc<Decoded>, Refusal> {
        let tx = self.read(hash, bytes)?;
        // One that this call alone has was not kept before.
        if Arc::strong_count(&tx) == 1 {
            self.keep(&tx);
        }
        Ok(tx)
    }

    /// Keeps a transaction that may be asked for again.
    pub fn keep(&self, tx: &Arc<Decoded>) {
        let weight = DECODED_BYTES + DECODED_COPIES * tx.size;
        lock(&self.decoded).put(tx.hash, Arc::clone(tx), weight);
    }

    /// Forgets transactions that nobody will ask for again.
    pub fn forget(&self, txs: &[Hash]) {
        let mut decoded = lock(&self.decoded);
        txs.iter().for_each(|hash| decoded.remove(hash));
    }

    /// Decoded transactions that are kept.
    pub fn decoded(&self) -> usize {
        lock(&self.decoded).len()
    }
}

impl SignatureMemory for Seen {
    fn knows(&self, digest: &Hash) -> bool {
        lock(&self.signatures).has(digest)
    }

    fn learn(&self, digest: Hash) {
        lock(&self.signatures).put(digest, (), 1);
    }

    fn point(&self, key: &[u8; 33]) -> Option<PublicKey> {
        let name = sha256(key);
        let known = lock(&self.points).get(&name).copied();
        known.or_else(|| {
            let point = PublicKey::from_byte_array_compressed(*key).ok()?;
            lock(&self.points).put(name, point, 1);
            Some(point)
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<Arc<Decoded>, Refusal> {
        self.read_and_keep(sha256(bytes), bytes)
    }
}
