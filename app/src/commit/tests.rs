use ics23::HostFunctionsManager;
use plasma_modules::Memory;
use prost::Message;

use super::*;
use crate::{meta::Head, rocks::Rocks};

/// Applies blocks of changes to a database, and checks after each that the trees, the keys and the
/// proofs agree.
struct Bench {
    rocks: Rocks,
    height: u64,
    _dir: tempfile::TempDir,
}

type Edit<'a> = (&'a [u8], Option<&'a [u8]>);

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { rocks: Rocks::open(&dir.path().join("db"), 1 << 20).unwrap(), height: 0, _dir: dir }
    }

    fn block(&mut self, edits: &[Edit<'_>], keep: u64) -> [u8; 32] {
        let owned = |bytes: &[u8]| bytes.to_vec();
        let writes = edits.iter().map(|(key, value)| (owned(key), value.map(owned))).collect();
        let reader = self.rocks.reader();
        let changes = crate::history::changes(&reader, writes);
        let update = update(&reader, None, self.height, &changes);
        let mut batch = self.rocks.batch();
        if let Some(oldest) = self.height.checked_sub(keep) {
            batch.forget(oldest.saturating_sub(1));
            crate::history::forget(&mut batch, &reader, oldest);
            prune(&mut batch, &reader, oldest);
        }
        crate::history::record(&mut batch, self.height, &changes);
        for (key, (_, after)) in &changes {
            batch.state(key, after.as_deref());
        }
        write(&mut batch, &update);
        let app_hash = update.app_hash;
        batch.head(&Head { height: self.height, app_hash, ..Head::default() });
        batch.write();
        let reader = self.rocks.reader();
        assert_eq!(recomputed_app_hash(&reader), app_hash);
        assert_eq!(stored_app_hash(&reader, self.height), Some(app_hash));
        self.height += 1;
        app_hash
    }

    fn verify(&self, height: u64, app_hash: [u8; 32], key: &[u8], value: Option<&[u8]>) {
        let reader = self.rocks.reader().at(height);
        let proven = prove(&reader, Store::Plasma, key.to_vec(), height).unwrap();
        assert_eq!(proven.value.as_deref(), value, "{key:02x?} at {height}");
        let in_store = ics23::CommitmentProof::decode(&proven.in_store[..]).unwrap();
        let of_store = ics23::CommitmentProof::decode(&proven.of_store[..]).unwrap();
        let Some(ics23::commitment_proof::Proof::Exist(root)) = &of_store.proof else { panic!() };
        assert!(ics23::verify_membership::<HostFunctionsManager>(
            &of_store,
            &ics23::tendermint_spec(),
            &app_hash.to_vec(),
            b"plasma",
            &root.value,
        ));
        let spec = jmt::ics23_spec();
        assert!(match value {
            Some(value) => ics23::verify_membership::<HostFunctionsManager>(
                &in_store,
                &spec,
                &root.value,
                key,
                value,
            ),
            None => ics23::verify_non_membership::<HostFunctionsManager>(
                &in_store,
                &spec,
                &root.value,
                key,
            ),
        });
    }
}

/// The bytes of the app hash are a promise to every light client.
#[test]
fn golden_app_hashes() {
    assert_eq!(hex::encode(recomputed_app_hash(&Memory::default())), GOLDEN_EMPTY,);
    let mut bench = Bench::new();
    let first =
        bench.block(&[(b"\x10a", Some(b"1")), (b"\x10b", Some(b"2")), (b"\x19c", Some(b""))], 100);
    assert_eq!(hex::encode(first), GOLDEN_THREE);
}

const GOLDEN_EMPTY: &str = "f540afe23702c7d410f94cce1bb6f09b85541000ae62174567b823b9b210156a";
const GOLDEN_THREE: &str = "637ce3ae1c034d352d22fded234146a663b3e391056ecde7c0921a7076b1ad74";

#[test]
fn proofs_of_presence_and_absence_hold_at_every_height_kept() {
    let mut bench = Bench::new();
    let keys: Vec<Vec<u8>> = (0..60u8).map(|n| vec![0x10, n, n ^ 0x5a]).collect();
    let mut truth = std::collections::BTreeMap::new();
    let mut kept = Vec::new();
    for round in 0..40u8 {
        let mut edits: Vec<Edit<'_>> = Vec::new();
        for (n, key) in (0u8..).zip(&keys) {
            let mix = n.wrapping_mul(31).wrapping_add(round.wrapping_mul(17)) % 7;
            match mix {
                0 => edits.push((key, Some(std::slice::from_ref(&keys[usize::from(round)][1])))),
                1 if round > 0 => edits.push((key, None)),
                _ => {}
            }
        }
        // An index: read, but not committed to.
        edits.push((&[0x44, 1], Some(&[])));
        for (key, value) in &edits {
            truth.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        }
        let app_hash = bench.block(&edits, 10);
        kept.push((app_hash, truth.clone()));
        for back in 0..=8u64.min(u64::from(round)) {
            let height = u64::from(round) - back;
            let (app_hash, truth) = &kept[height as usize];
            for key in keys.iter().step_by(7) {
                let value = truth.get(key).and_then(Option::as_deref);
                bench.verify(height, *app_hash, key, value);
            }
        }
    }
}

#[test]
fn an_empty_store_has_no_proof() {
    let mut bench = Bench::new();
    bench.block(&[(b"\x10a", Some(b"1"))], 10);
    assert!(prove(&bench.rocks.reader(), Store::Ibc, b"x".to_vec(), 0).is_err());
}
