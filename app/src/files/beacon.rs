//! `beacon_key.json`: the key with which a validator's node proves the randomness of its blocks.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, ensure};
use plasma_modules::attestation::beacon::SecretKey;
use rand_core::{OsRng, RngCore};
use serde::{Deserialize, Serialize};

use super::{SECRET_MODE, write_new};

/// The file's name in a home.
pub const FILE: &str = "beacon_key.json";

/// What the file is, as it says itself.
const TYPE: &str = "plasma/BeaconKey/v1";

/// Access of others than the owner.
const OTHERS: u32 = 0o077;

/// The file. Keys are hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    r#type: String,
    public_key: String,
    secret_key: String,
}

/// Makes the key of a home that has none.
pub fn create(home: &Path) -> anyhow::Result<SecretKey> {
    let mut random = [0; 32];
    OsRng.fill_bytes(&mut random);
    let key = SecretKey::from_random(random).context("the system's randomness is none")?;
    let file = KeyFile {
        r#type: TYPE.into(),
        public_key: hex::encode(key.public()),
        secret_key: hex::encode(key.to_bytes()),
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&file)?);
    write_new(&home.join(FILE), &text, SECRET_MODE)?;
    Ok(key)
}

/// The key of a home, if it has one.
///
/// # Errors
/// A file that others may read, or that holds no key.
pub fn load(home: &Path) -> anyhow::Result<Option<SecretKey>> {
    let path = home.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mode = fs::metadata(&path)?.permissions().mode();
    ensure!(mode & OTHERS == 0, "others may read {}: chmod 600 {}", path.display(), path.display());
    let key = parse(&text).with_context(|| format!("{} is no beacon key", path.display()))?;
    Ok(Some(key))
}

fn parse(text: &str) -> anyhow::Result<SecretKey> {
    let KeyFile { r#type, public_key, secret_key } = serde_json::from_str(text)?;
    ensure!(r#type == TYPE, "its type is {type:?}, not {TYPE:?}");
    let mut bytes = [0; 32];
    hex::decode_to_slice(&secret_key, &mut bytes)
        .map_err(|_| anyhow::anyhow!("secret_key must be 64 hexadecimal digits"))?;
    let key = SecretKey::from_bytes(bytes).context("secret_key is no key")?;
    ensure!(hex::encode(key.public()) == public_key, "public_key is not that of secret_key");
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_owners_alone_and_is_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        assert!(load(home.path()).unwrap().is_none());
        let made = create(home.path()).unwrap();
        assert_eq!(load(home.path()).unwrap().unwrap().public(), made.public());
        let path = home.path().join(FILE);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = create(home.path()).unwrap_err().to_string();
        assert!(again.contains("not overwritten"), "{again}");

        let text = fs::read_to_string(&path).unwrap();
        assert!(!format!("{made:?}").contains(&text[60..80]), "no secret is shown");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let open = load(home.path()).unwrap_err().to_string();
        assert!(open.contains("chmod 600"), "{open}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for (from, to) in [("v1", "v2"), ("secret_key\": \"", "secret_key\": \"00"), ("{", "")] {
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert!(load(home.path()).is_err(), "{to}");
        }
        let other = SecretKey::from_random([9; 32]).unwrap().public();
        let public = hex::encode(made.public());
        fs::write(&path, text.replacen(&public, &hex::encode(other), 1)).unwrap();
        let wrong = format!("{:#}", load(home.path()).err().unwrap());
        assert!(wrong.contains("not that of secret_key"), "{wrong}");
    }
}
