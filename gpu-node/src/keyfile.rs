//! Secret keys at rest: one JSON file per key, sealed under a password.
//!
//! The password is stretched by Argon2id, the secret sealed by XChaCha20-Poly1305. Everything else that
//! the file says (version, kind, public key, parameters, salt) is bound to the ciphertext as associated
//! data, so that a file altered in any field does not open. What the secret is, is the caller's matter: a
//! seed of 32 bytes for an ed25519 receipt key, a scalar or a mnemonic for an account.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Version of the file's layout.
const VERSION: u32 = 1;
/// Name of the key derivation, the only one that is read.
const KDF: &str = "argon2id";
/// Name of the cipher, the only one that is read.
const CIPHER: &str = "xchacha20poly1305";
/// First bytes of the associated data.
const DOMAIN: &[u8] = b"xpl/keyfile/v1";
/// Salt, bytes.
const SALT_BYTES: usize = 16;
/// Nonce of XChaCha20, bytes.
const NONCE_BYTES: usize = 24;
/// Key of XChaCha20, bytes.
const KEY_BYTES: usize = 32;
/// Longest secret, bytes.
pub const SECRET_BYTES_MAX: usize = 4096;
/// Longest kind and public text, bytes.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Largest key file that is read, bytes.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Most memory that a file may ask the derivation to use, KiB: 1 GiB.
pub const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Most passes that a file may ask for.
pub const ITERATIONS_MAX: u32 = 16;
/// Most lanes that a file may ask for.
pub const PARALLELISM_MAX: u32 = 16;

/// Cost of turning a password into a key (Argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl KdfParams {
    /// Far too cheap for a real key: for tests.
    pub const FOR_TESTS: Self = Self { memory_kib: 8, iterations: 1, parallelism: 1 };

    fn check(self) -> Result<Params, KeyfileError> {
        let Self { memory_kib, iterations, parallelism } = self;
        if memory_kib > MEMORY_KIB_MAX
            || iterations > ITERATIONS_MAX
            || parallelism > PARALLELISM_MAX
        {
            return Err(KeyfileError::Kdf(format!(
                "memory {memory_kib} KiB, {iterations} iterations, parallelism {parallelism}; the limits are \
                 {MEMORY_KIB_MAX}, {ITERATIONS_MAX} and {PARALLELISM_MAX}"
            )));
        }
        Params::new(memory_kib, iterations, parallelism, Some(KEY_BYTES))
            .map_err(|error| KeyfileError::Kdf(error.to_string()))
    }
}

impl Default for KdfParams {
    /// OWASP's recommendation for Argon2id: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

/// Why a key file was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum KeyfileError {
    /// The disk refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key is never overwritten.
    #[error("{} exists already; choose another name or move the old key away", .0.display())]
    Exists(PathBuf),
    /// Others on this machine can read the file.
    #[error("{} can be read by others (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key file, or of another version.
    #[error("{}: not a key file of version {VERSION}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Parameters of the derivation outside the limits.
    #[error("key derivation: {0}")]
    Kdf(String),
    /// The secret, kind or public text is too long or empty.
    #[error("{0}")]
    Invalid(String),
    /// The seal does not open.
    #[error("wrong password, or the key file was altered")]
    WrongPassword,
}

/// What a key file says without its password. The public key is proven only by [`open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What the key is for, for example `ed25519` or `secp256k1`.
    pub kind: String,
    /// The public key or address, as text.
    pub public: String,
    /// Cost of the password.
    pub kdf: KdfParams,
}

/// A key file that was opened.
pub struct Opened {
    /// What the key is for.
    pub kind: String,
    /// The public key or address, as text.
    pub public: String,
    /// The secret; wiped when dropped.
    pub secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened")
            .field("kind", &self.kind)
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// Bytes as hexadecimal text.
mod as_hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    version: u32,
    kind: String,
    public: String,
    kdf: SealedKdf,
    cipher: String,
    #[serde(with = "as_hex")]
    nonce: Vec<u8>,
    #[serde(with = "as_hex")]
    ciphertext: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedKdf {
    name: String,
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    #[serde(with = "as_hex")]
    salt: Vec<u8>,
}

impl Sealed {
    /// All but nonce and ciphertext (which the cipher binds itself), each part with its length.
    fn associated_data(&self) -> Vec<u8> {
        let Self { version, kind, public, kdf, cipher, nonce: _, ciphertext: _ } = self;
        let SealedKdf { name, memory_kib, iterations, parallelism, salt } = kdf;
        let numbers =
            [*version, *memory_kib, *iterations, *parallelism].map(u32::to_be_bytes).concat();
        let parts: [&[u8]; 7] = [
            DOMAIN,
            &numbers,
            kind.as_bytes(),
            public.as_bytes(),
            name.as_bytes(),
            salt,
            cipher.as_bytes(),
        ];
        let mut data = Vec::new();
        for part in parts {
            data.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }

    fn cipher(&self, password: &str) -> Result<XChaCha20Poly1305, KeyfileError> {
        let params = self.kdf_params().check()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0u8; KEY_BYTES]);
        argon2
            .hash_password_into(password.as_bytes(), &self.kdf.salt, key.as_mut())
            .map_err(|error| KeyfileError::Kdf(error.to_string()))?;
        Ok(XChaCha20Poly1305::new(Key::from_slice(key.as_ref())))
    }

    fn kdf_params(&self) -> KdfParams {
        let SealedKdf { memory_kib, iterations, parallelism, .. } = self.kdf;
        KdfParams { memory_kib, iterations, parallelism }
    }

    fn read(path: &Path) -> Result<Self, KeyfileError> {
        let io = |source| KeyfileError::Io { path: path.to_owned(), source };
        let format = |reason: String| KeyfileError::Format { path: path.to_owned(), reason };
        let mut file = File::open(path).map_err(io)?;
        refuse_exposed(path, &file)?;
        let mut bytes = Vec::new();
        let limit = FILE_BYTES_MAX.saturating_add(1);
        Read::by_ref(&mut file).take(limit).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(format(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        let sealed: Self =
            serde_json::from_slice(&bytes).map_err(|error| format(error.to_string()))?;
        if sealed.version != VERSION {
            return Err(format(format!("version {}", sealed.version)));
        }
        if sealed.kdf.name != KDF || sealed.cipher != CIPHER {
            return Err(format(format!("unknown {} or {}", sealed.kdf.name, sealed.cipher)));
        }
        if sealed.kdf.salt.len() != SALT_BYTES || sealed.nonce.len() != NONCE_BYTES {
            return Err(format("salt or nonce of the wrong length".to_owned()));
        }
        sealed.kdf_params().check()?;
        Ok(sealed)
    }
}

/// Seals `secret` under `password` into a new file that only its owner can read (mode 0600). `kind` says what
/// the key is for and `public` is its public key or address: both stay readable, neither can be altered.
/// The file appears whole or not at all.
///
/// # Errors
/// [`KeyfileError::Exists`] if there is a file: a key is never overwritten. [`KeyfileError::Invalid`] for an
/// empty or too long secret; [`KeyfileError::Kdf`] for parameters outside the limits.
pub fn seal(
    path: &Path,
    kind: &str,
    public: &str,
    secret: &[u8],
    password: &str,
    params: KdfParams,
) -> Result<(), KeyfileError> {
    if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
        return Err(KeyfileError::Invalid(format!(
            "a secret has 1 to {SECRET_BYTES_MAX} bytes, this one {}",
            secret.len()
        )));
    }
    if kind.len() > TEXT_BYTES_MAX || public.len() > TEXT_BYTES_MAX {
        return Err(KeyfileError::Invalid(format!(
            "kind and public have at most {TEXT_BYTES_MAX} bytes"
        )));
    }
    let KdfParams { memory_kib, iterations, parallelism } = params;
    let mut salt = vec![0u8; SALT_BYTES];
    let mut nonce = vec![0u8; NONCE_BYTES];
    OsRng.fill_bytes(&mut salt);
    OsRng.fill_bytes(&mut nonce);
    let mut sealed = Sealed {
        version: VERSION,
        kind: kind.to_owned(),
        public: public.to_owned(),
        kdf: SealedKdf { name: KDF.to_owned(), memory_kib, iterations, parallelism, salt },
        cipher: CIPHER.to_owned(),
        nonce,
        ciphertext: Vec::new(),
    };
    sealed.ciphertext = sealed
        .cipher(password)?
        .encrypt(
            XNonce::from_slice(&sealed.nonce),
            Payload { msg: secret, aad: &sealed.associated_data() },
        )
        .map_err(|_| KeyfileError::Invalid("the secret could not be sealed".to_owned()))?;
    let mut bytes = serde_json::to_vec_pretty(&sealed)
        .map_err(|error| KeyfileError::Invalid(error.to_string()))?;
    bytes.push(b'\n');
    write_new(path, &bytes)
}

/// Opens a key file with its password.
///
/// # Errors
/// [`KeyfileError::WrongPassword`] also if any field was altered; [`KeyfileError::Exposed`] if group or others
/// can read the file; [`KeyfileError::Kdf`] if it asks for more memory or time than the limits allow.
pub fn open(path: &Path, password: &str) -> Result<Opened, KeyfileError> {
    let sealed = Sealed::read(path)?;
    let secret = sealed
        .cipher(password)?
        .decrypt(
            XNonce::from_slice(&sealed.nonce),
            Payload { msg: &sealed.ciphertext, aad: &sealed.associated_data() },
        )
        .map_err(|_| KeyfileError::WrongPassword)?;
    Ok(Opened { kind: sealed.kind, public: sealed.public, secret: Zeroizing::new(secret) })
}

/// What the file says of itself, without the password: believe it only after [`open`].
///
/// # Errors
/// As [`open`], but for the password.
pub fn describe(path: &Path) -> Result<Description, KeyfileError> {
    let sealed = Sealed::read(path)?;
    let kdf = sealed.kdf_params();
    Ok(Description { kind: sealed.kind, public: sealed.public, kdf })
}

/// Looks at the open file, not at its name, so that nobody can swap it in between.
#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), KeyfileError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        file.metadata().map_err(|source| KeyfileError::Io { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyfileError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path, _file: &File) -> Result<(), KeyfileError> {
    Ok(())
}

/// Writes beside the target, syncs, and links it into place, which fails if the name is taken.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), KeyfileError> {
    let io = |source| KeyfileError::Io { path: path.to_owned(), source };
    if path.symlink_metadata().is_ok() {
        return Err(KeyfileError::Exists(path.to_owned()));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| KeyfileError::Invalid(format!("{} names no file", path.display())))?;
    fs::create_dir_all(folder).map_err(io)?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{:016x}.tmp", OsRng.next_u64()));
    let temporary = folder.join(temporary);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::hard_link(&temporary, path)
    });
    let removed = fs::remove_file(&temporary);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(KeyfileError::Exists(path.to_owned()));
        }
        other => other.map_err(io)?,
    }
    removed.map_err(io)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: [u8; 32] = [7; 32];

    fn sealed(folder: &Path) -> PathBuf {
        let path = folder.join("receipt.json");
        seal(&path, "ed25519", "ab12", &SECRET, "correct horse", KdfParams::FOR_TESTS).unwrap();
        path
    }

    #[test]
    fn what_was_sealed_opens() {
        let folder = tempfile::tempdir().unwrap();
        let path = sealed(folder.path());
        let opened = open(&path, "correct horse").unwrap();
        assert_eq!(opened.secret.as_slice(), SECRET);
        assert_eq!((opened.kind.as_str(), opened.public.as_str()), ("ed25519", "ab12"));
        let said = describe(&path).unwrap();
        assert_eq!((said.kind.as_str(), said.public.as_str()), ("ed25519", "ab12"));
        assert_eq!(said.kdf, KdfParams::FOR_TESTS);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file stays behind"
        );
    }

    #[test]
    fn the_default_cost_works() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/key.json");
        seal(&path, "secp256k1", "xpl1", b"a mnemonic", "p", KdfParams::default()).unwrap();
        assert_eq!(open(&path, "p").unwrap().secret.as_slice(), b"a mnemonic");
    }

    #[test]
    fn a_wrong_password_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = sealed(folder.path());
        assert!(matches!(open(&path, "Correct horse"), Err(KeyfileError::WrongPassword)));
    }

    #[test]
    fn a_key_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = sealed(folder.path());
        let again = seal(&path, "ed25519", "cd", &[1; 32], "x", KdfParams::FOR_TESTS);
        assert!(matches!(again, Err(KeyfileError::Exists(_))));
        assert_eq!(open(&path, "correct horse").unwrap().secret.as_slice(), SECRET);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = sealed(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = open(&path, "correct horse").unwrap_err();
        assert!(matches!(error, KeyfileError::Exposed { mode: 0o640, .. }));
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert!(matches!(describe(&path), Err(KeyfileError::Exposed { .. })));
    }

    #[test]
    fn every_field_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let path = sealed(folder.path());
        let good: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let flip = |text: &str| {
            let mut bytes = hex::decode(text).unwrap();
            bytes[0] ^= 1;
            serde_json::Value::String(hex::encode(bytes))
        };
        let flipped = |pointer: &str| flip(good.pointer(pointer).unwrap().as_str().unwrap());
        let changes = [
            ("/version", 2.into()),
            ("/kind", "secp256k1".into()),
            ("/public", "ab13".into()),
            ("/kdf/name", "argon2i".into()),
            ("/kdf/memory_kib", 16.into()),
            ("/kdf/iterations", 2.into()),
            ("/kdf/parallelism", 0.into()),
            ("/kdf/salt", flipped("/kdf/salt")),
            ("/cipher", "aes".into()),
            ("/nonce", flipped("/nonce")),
            ("/ciphertext", flipped("/ciphertext")),
        ];
        for (pointer, value) in changes {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            fs::write(&path, serde_json::to_vec(&changed).unwrap()).unwrap();
            assert!(open(&path, "correct horse").is_err(), "{pointer} was altered unnoticed");
        }
    }

    #[test]
    fn a_hostile_file_gets_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = sealed(folder.path());
        let text = fs::read_to_string(&path).unwrap();
        for (field, value) in [
            ("memory_kib\": 8", "memory_kib\": 104857600"),
            ("iterations\": 1", "iterations\": 4000000"),
        ] {
            fs::write(&path, text.replace(field, value)).unwrap();
            assert!(matches!(open(&path, "correct horse"), Err(KeyfileError::Kdf(_))));
        }
        fs::write(&path, vec![b' '; 100_000]).unwrap();
        assert!(matches!(open(&path, "x"), Err(KeyfileError::Format { .. })));
    }

    #[test]
    fn secrets_are_not_printed() {
        let folder = tempfile::tempdir().unwrap();
        let path = sealed(folder.path());
        let printed = format!("{:?}", open(&path, "correct horse").unwrap());
        assert!(!printed.contains("7, 7") && !printed.contains("0707"), "{printed}");
        assert!(!fs::read_to_string(&path).unwrap().contains(&hex::encode(SECRET)));
    }

    #[test]
    fn sizes_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for secret in [vec![], vec![0; SECRET_BYTES_MAX + 1]] {
            let path = folder.path().join("k");
            let result = seal(&path, "k", "p", &secret, "x", KdfParams::FOR_TESTS);
            assert!(matches!(result, Err(KeyfileError::Invalid(_))));
            assert!(!path.exists());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_bytes_and_password_round_trip(secret in proptest::collection::vec(any::<u8>(), 1..200), password in ".*") {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("k");
            seal(&path, "any", "public", &secret, &password, KdfParams::FOR_TESTS).unwrap();
            prop_assert_eq!(open(&path, &password).unwrap().secret.to_vec(), secret);
        }
    }
}
