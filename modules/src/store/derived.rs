//! Whether the indexes are those that the objects ask for, in memory that does not grow with them.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use super::{Read, Table};
use crate::types::{hex, sha256};

/// A number of pairs and the sum of their hashes, in whatever order they came. Faults of a machine
/// do not find two sets with one sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    pairs: u64,
    hashes: [u64; 4],
}

impl Sum {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        // Where the key ends is part of it; of an index all values are empty.
        let hash = if value.is_empty() {
            sha256(key)
        } else {
            sha256(&[&sha256(key)[..], &sha256(value)[..]].concat())
        };
        self.pairs = self.pairs.saturating_add(1);
        for (sum, part) in self.hashes.iter_mut().zip(hash.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*part));
        }
    }
}

/// Compares every index with what `rebuild` hands out for it, which are the keys that the objects
/// ask for. `Err` says which index is false.
pub(crate) fn compare(
    store: &dyn Read,
    rebuild: fn(&dyn Read, &mut dyn FnMut(Vec<u8>)),
) -> Result<(), String> {
    let mut wanted = BTreeMap::<u8, Sum>::new();
    rebuild(store, &mut |key| {
        if let Some(table) = key.first() {
            wanted.entry(*table).or_default().add(&key, &[]);
        }
    });
    for table in Table::DERIVED {
        let mut stored = Sum::default();
        for (key, value) in store.scan(&[table.id()]) {
            stored.add(&key, &value);
        }
        let wanted = wanted.remove(&table.id()).unwrap_or_default();
        if stored != wanted {
            let missing = first_missing(store, table, rebuild)
                .map(|key| format!(", among them not {}", hex(&key)))
                .unwrap_or_default();
            return Err(format!(
                "the index {table:?} holds {} keys{missing}; the objects ask for {}",
                stored.pairs, wanted.pairs
            ));
        }
    }
    match wanted.first_key_value() {
        None => Ok(()),
        Some((id, _)) => Err(format!("objects ask for keys in table {id:#04x}, which is no index")),
    }
}

/// A key that the objects ask for and that is not there as it should be.
fn first_missing(
    store: &dyn Read,
    table: Table,
    rebuild: fn(&dyn Read, &mut dyn FnMut(Vec<u8>)),
) -> Option<Vec<u8>> {
    let mut missing = None;
    rebuild(store, &mut |key| {
        if missing.is_none()
            && key.first() == Some(&table.id())
            && store.get(&key).is_none_or(|value| !value.is_empty())
        {
            missing = Some(key);
        }
    });
    missing
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;
    use crate::{Memory, Write};

    const KEY: [u8; 3] = [Table::TokenOwners.id(), 1, 2];
    const OTHER: [u8; 3] = [Table::TokenOwners.id(), 1, 3];

    fn rebuild(_: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
        put(OTHER.into());
        put(KEY.into());
    }

    fn compared(pairs: &[(&[u8], &[u8])]) -> Result<(), String> {
        let mut store = Memory::default();
        for (key, value) in pairs {
            store.set(key.to_vec(), Some(value.to_vec()));
        }
        compare(&store, rebuild)
    }

    #[test]
    fn whatever_differs_is_found() {
        compared(&[(&KEY, &[]), (&OTHER, &[])]).unwrap();
        let missing = compared(&[(&KEY, &[])]).unwrap_err();
        assert!(missing.contains("TokenOwners holds 1 keys") && missing.contains(&hex(&OTHER)));
        let more = compared(&[(&KEY, &[]), (&OTHER, &[]), (&[KEY[0], 9], &[])]).unwrap_err();
        assert!(more.contains("holds 3 keys") && more.ends_with("ask for 2"), "{more}");
        for pairs in [
            [(&KEY[..], &[][..]), (&[KEY[0], 1, 4][..], &[][..])],
            [(&KEY[..], &[][..]), (&OTHER[..], &[1][..])],
        ] {
            assert!(compared(&pairs).is_err());
        }
        let other = compared(&[(&KEY, &[]), (&OTHER, &[]), (&[Table::AuthzExpiries.id()], &[])]);
        assert!(other.unwrap_err().contains("AuthzExpiries"), "an index that no object asks for");
        assert!(compare(&Memory::default(), |_, put| put([0x10].into())).is_err());
        assert_eq!(compare(&Memory::default(), |_, _| ()).map_err(|e| e.to_string()), Ok(()));
    }
}
