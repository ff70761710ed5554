mod oracle;

use ics23::HostFunctionsManager;
use plasma_modules::Memory;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::{meta::Head, rocks::Rocks};
use oracle::Oracle;

/// Applies blocks of changes to a database, and checks after each that the tree, the keys and the
/// proofs agree with each other and with jmt.
struct Bench {
    rocks: Rocks,
    tree: Tree,
    oracle: Oracle,
    height: u64,
    _dir: tempfile::TempDir,
}

type Edit<'a> = (&'a [u8], Option<&'a [u8]>);

const ROOMY_BYTES: usize = 1 << 30;

impl Bench {
    fn new() -> Self {
        Self::within(ROOMY_BYTES)
    }

    fn within(bytes_max: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rocks = Rocks::open(&dir.path().join("db"), 1 << 20).unwrap();
        let tree = Tree::open(&rocks, bytes_max);
        Self { rocks, tree, oracle: Oracle::default(), height: 0, _dir: dir }
    }

    fn block(&mut self, edits: &[Edit<'_>], keep: u64) -> [u8; 32] {
        let owned = |bytes: &[u8]| bytes.to_vec();
        let writes = edits.iter().map(|(key, value)| (owned(key), value.map(owned))).collect();
        let reader = self.rocks.reader();
        let changes = crate::history::changes(&reader, writes);
        let after = || changes.iter().map(|(key, (_, after))| (&key[..], after.as_deref()));
        let update = self.tree.update(&reader, self.height, after());
        let mut batch = self.rocks.batch();
        if let Some(oldest) = self.height.checked_sub(keep) {
            batch.forget(oldest.saturating_sub(1));
            crate::history::forget(&mut batch, &reader, oldest);
        }
        crate::history::record(&mut batch, self.height, &changes);
        for (key, after) in after() {
            batch.state(key, after);
        }
        write(&mut batch, &update);
        let app_hash = update.app_hash;
        batch.head(&Head { height: self.height, app_hash, ..Head::default() });
        batch.write();
        self.tree = update.into_tree();
        let reader = self.rocks.reader();
        assert_eq!(recomputed_app_hash(&reader), app_hash);
        assert_eq!(self.tree.app_hash(), app_hash);
        if let Some(root) = self.oracle.block(self.height, after()) {
            assert_eq!(root, self.tree.link.hash);
        }
        self.height += 1;
        app_hash
    }

    fn prove(&self, height: u64, key: &[u8]) -> Result<Proven, ProofError> {
        let reader = self.rocks.reader();
        let head = reader.past(height).unwrap();
        prove(&self.tree, reader, &head, Store::Plasma, key.to_vec())
    }

    fn verify(&self, height: u64, app_hash: [u8; 32], key: &[u8], value: Option<&[u8]>) {
        let proven = self.prove(height, key).unwrap();
        assert_eq!(proven.value.as_deref(), value, "{key:02x?} at {height}");
        let in_store = ics23::CommitmentProof::decode(&proven.in_store[..]).unwrap();
        assert_eq!(in_store, self.oracle.prove(height, key), "{key:02x?} at {height}");
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
    assert_eq!(hex::encode(recomputed_app_hash(&Memory::default())), GOLDEN_EMPTY);
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
    let reader = bench.rocks.reader();
    let head = reader.head().unwrap();
    let refused = prove(&bench.tree, reader, &head, Store::Ibc, b"x".to_vec());
    assert!(matches!(refused, Err(ProofError::Empty("ibc"))));
    bench.block(&[(b"\x10a", None)], 10);
    assert_eq!(bench.tree.keys(), 0);
    assert!(matches!(bench.prove(1, b"\x10a"), Err(ProofError::Empty("plasma"))));
}

#[test]
fn the_spec_is_that_of_jmt() {
    assert_eq!(spec(), jmt::ics23_spec());
    assert_eq!(nodes::LEAF_PREFIX, jmt::proof::LEAF_DOMAIN_SEPARATOR);
    assert_eq!(nodes::INNER_PREFIX, jmt::proof::INTERNAL_DOMAIN_SEPARATOR);
}

/// A block of a history: per key what becomes of it.
fn edit() -> impl Strategy<Value = (u16, Option<Vec<u8>>)> {
    let value = proptest::option::weighted(0.6, proptest::collection::vec(0..3u8, 1..3));
    (0..300u16, value)
}

fn name(key: u16) -> Vec<u8> {
    [&[0x10][..], &key.to_be_bytes()].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Inserts, updates and deletes, down to the empty tree, with everything in memory or with
    /// next to nothing: roots and proofs are jmt's.
    #[test]
    fn histories_have_the_roots_and_proofs_of_jmt(
        blocks in proptest::collection::vec(proptest::collection::vec(edit(), 0..200), 1..8),
        bytes_max in prop_oneof![Just(ROOMY_BYTES), Just(4_096), Just(0)],
        probes in proptest::collection::vec(0..330u16, 6),
    ) {
        let mut bench = Bench::within(bytes_max);
        let mut hashes = Vec::new();
        for block in &blocks {
            let edits: std::collections::BTreeMap<_, _> =
                block.iter().map(|(key, value)| (name(*key), value.clone())).collect();
            let edits: Vec<Edit<'_>> =
                edits.iter().map(|(key, value)| (&key[..], value.as_deref())).collect();
            hashes.push(bench.block(&edits, 100));
        }
        for (height, app_hash) in (0..).zip(&hashes) {
            if bench.oracle.keys(height) == 0 {
                continue;
            }
            for probe in &probes {
                let key = name(*probe);
                bench.verify(height, *app_hash, &key, bench.oracle.value(height, &key).as_deref());
            }
        }
        // What is on disk is the same tree.
        let reopened = Tree::open(&bench.rocks, bytes_max);
        prop_assert_eq!(reopened.app_hash(), bench.tree.app_hash());
        prop_assert_eq!(reopened.keys(), bench.tree.keys());
        // And everything goes again.
        let all: Vec<_> = (0..300).map(name).collect();
        let gone: Vec<Edit<'_>> = all.iter().map(|key| (&key[..], None)).collect();
        bench.block(&gone, 100);
        prop_assert_eq!(bench.tree.link.hash, EMPTY_ROOT);
    }

    /// Hashes that share long beginnings, which keys of a test never have.
    #[test]
    fn trees_of_hashes_that_share_their_beginning(
        blocks in proptest::collection::vec(
            proptest::collection::vec((crowded(), proptest::option::weighted(0.7, any::<u8>())), 0..60),
            1..6,
        ),
    ) {
        let mut truth = std::collections::BTreeMap::new();
        let mut link = Link::EMPTY;
        for block in &blocks {
            let block: std::collections::BTreeMap<_, _> = block.iter().copied().collect();
            let changes: Vec<Change> = block
                .iter()
                .map(|(key, leaf)| Change {
                    key: *key,
                    leaf: leaf.map(|leaf| [leaf; 32]),
                    name: Vec::new(),
                })
                .collect();
            for change in &changes {
                match change.leaf {
                    Some(leaf) => drop(truth.insert(change.key, leaf)),
                    None => drop(truth.remove(&change.key)),
                }
            }
            link = link.update(&changes, 0, Work { source: &Nowhere, used: 0 });
            let leaves: Vec<Leaf> =
                truth.iter().map(|(key, hash)| Leaf { key: *key, hash: *hash }).collect();
            prop_assert_eq!(link.hash, nodes::subtree(&leaves, 0));
            prop_assert_eq!(link.keys, leaves.len() as u64);
        }
    }
}

/// A hash of few bits, far apart.
fn crowded() -> impl Strategy<Value = Hash> {
    proptest::collection::vec(
        (prop_oneof![Just(0), Just(9), 20..30usize, Just(255)], any::<bool>()),
        8,
    )
    .prop_map(|bits| {
        let mut hash = [0; 32];
        for (bit, set) in bits {
            hash[bit / 8] |= u8::from(set) << (7 - bit % 8);
        }
        hash
    })
}

/// A tree that has everything in memory.
struct Nowhere;

impl nodes::Leaves for Nowhere {
    fn leaves(&self, _: &Hash, _: usize) -> Vec<Leaf> {
        panic!("nothing of this tree is cold")
    }
}

/// Many keys in little memory: the bound holds after every block, whatever is touched.
#[test]
fn the_tree_stays_within_its_memory() {
    const BYTES_MAX: usize = 256 << 10;
    let mut bench = Bench::within(BYTES_MAX);
    let keys: Vec<Vec<u8>> =
        (0..20_000u32).map(|key| [&[0x10][..], &key.to_be_bytes()].concat()).collect();
    for (round, part) in keys.chunks(4_000).enumerate() {
        let value = [round as u8];
        let edits: Vec<Edit<'_>> = part
            .iter()
            .chain(keys.iter().step_by(37))
            .map(|key| (&key[..], Some(&value[..])))
            .collect();
        bench.block(&edits, 100);
        assert!(bench.tree.bytes() <= BYTES_MAX, "{} bytes", bench.tree.bytes());
    }
    assert_eq!(bench.tree.keys(), 20_000);
    let reopened = Tree::open(&bench.rocks, BYTES_MAX);
    assert!(reopened.bytes() <= BYTES_MAX + (64 << 10), "{} bytes", reopened.bytes());
    assert_eq!(reopened.app_hash(), bench.tree.app_hash());
}

/// FinalizeBlock may run again, with other transactions: an update leaves the tree as it is.
#[test]
fn an_update_changes_nothing_before_it_is_installed() {
    let mut bench = Bench::new();
    let keys: Vec<Vec<u8>> = (0..2_000).map(name).collect();
    let edits: Vec<Edit<'_>> = keys.iter().map(|key| (&key[..], Some(&b"1"[..]))).collect();
    bench.block(&edits, 10);
    let before = bench.tree.app_hash();
    let reader = bench.rocks.reader();
    let round = |value: &'static [u8]| {
        let changes = keys.iter().step_by(3).map(|key| (&key[..], Some(value)));
        bench.tree.update(&reader, 1, changes).app_hash
    };
    let (first, second) = (round(b"2"), round(b"3"));
    assert_ne!(first, second);
    assert_eq!(round(b"2"), first);
    assert_eq!(bench.tree.app_hash(), before);
}

#[test]
fn a_table_that_is_missing_or_of_another_version_is_made_from_the_state() {
    let mut bench = Bench::new();
    let keys: Vec<Vec<u8>> = (0..500).map(name).collect();
    let edits: Vec<Edit<'_>> = keys.iter().map(|key| (&key[..], Some(&key[1..]))).collect();
    let app_hash = bench.block(&edits, 10);
    for version in [None, Some(&[1][..]), Some(&[])] {
        let mut batch = bench.rocks.batch();
        batch.tree_clear();
        // What another version left there.
        batch.tree(b"\0n\0\0", Some(&[7; 40]));
        batch.tree(b"l", Some(&[]));
        batch.tree(b"v", version);
        batch.write();
        bench.tree = Tree::open(&bench.rocks, ROOMY_BYTES);
        assert_eq!(bench.tree.app_hash(), app_hash);
        assert!(bench.rocks.reader().tree(b"\0n\0\0").is_none());
        bench.verify(0, app_hash, &keys[3], Some(&keys[3][1..]));
        bench.verify(0, app_hash, b"\x10none", None);
    }
    // State that was replaced as a whole.
    let mut batch = bench.rocks.batch();
    batch.state(&keys[0], None);
    invalidate(&mut batch);
    batch.write();
    let rebuilt = Tree::rebuild(&bench.rocks, ROOMY_BYTES);
    assert_eq!(rebuilt.app_hash(), recomputed_app_hash(&bench.rocks.reader()));
    assert_ne!(rebuilt.app_hash(), app_hash);
}

#[test]
fn proofs_of_the_past_have_a_limit_of_work() {
    let mut bench = Bench::new();
    bench.block(&[(b"\x10a", Some(b"1"))], 100);
    let keys: Vec<Vec<u8>> =
        (0..PAST_KEYS_MAX as u32).map(|key| [&[0x11][..], &key.to_be_bytes()].concat()).collect();
    let edits: Vec<Edit<'_>> = keys.iter().map(|key| (&key[..], Some(&b"1"[..]))).collect();
    bench.oracle = Oracle::asleep();
    let full = bench.block(&edits, 100);
    assert!(bench.prove(0, b"\x10a").is_ok());
    bench.block(&[(b"\x10a", Some(b"2"))], 100);
    let refused = bench.prove(0, b"\x10a");
    assert!(matches!(refused, Err(ProofError::Far { height: 0, keys }) if keys > PAST_KEYS_MAX));
    assert_eq!(bench.prove(1, b"\x10a").unwrap().value.as_deref(), Some(&b"1"[..]));
    assert_ne!(bench.tree.app_hash(), full);
}

#[test]
fn a_damaged_table_is_found_when_the_node_starts() {
    let mut bench = Bench::new();
    bench.block(&[(b"\x10a", Some(b"1")), (b"\x10b", Some(b"2"))], 10);
    let mut batch = bench.rocks.batch();
    let reader = bench.rocks.reader();
    let (key, mut leaf) = reader.tree_from(b"l").next().unwrap();
    leaf[7] ^= 1;
    batch.tree(&key, Some(&leaf));
    batch.write();
    drop(reader);
    let Bench { rocks, _dir: dir, .. } = bench;
    drop(rocks);
    let opened = crate::node::Node::open(&dir.path().join("db"), crate::node::Keep::default());
    assert!(matches!(opened, Err(crate::node::NodeError::AppHash { height: 0, .. })));
}
