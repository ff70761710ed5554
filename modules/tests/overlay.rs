//! An overlay and a plain map agree on every read, whatever was written where.

use plasma_modules::{Memory, Order, Overlay, Read, Write};
use proptest::prelude::*;

type Change = (Vec<u8>, Option<Vec<u8>>);

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..3, 0..4)
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((bytes(), prop::option::of(bytes())), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn overlay_reads_like_a_map(
        disk in changes(), block in changes(), tx in changes(),
        prefix in bytes(), from in bytes(), to in prop::option::of(bytes()),
    ) {
        let (mut below, mut model) = (Memory::default(), Memory::default());
        for (key, value) in disk {
            below.set(key.clone(), value.clone());
            model.set(key, value);
        }
        let mut middle = Overlay::new(&below);
        for (key, value) in block {
            middle.set(key.clone(), value.clone());
            model.set(key, value);
        }
        let mut above = Overlay::new(&middle);
        for (key, value) in tx {
            above.set(key.clone(), value.clone());
            model.set(key, value);
        }
        prop_assert_eq!(above.scan(&prefix).collect::<Vec<_>>(), model.scan(&prefix).collect::<Vec<_>>());
        for order in [Order::Ascending, Order::Descending] {
            prop_assert_eq!(
                above.range(&from, to.as_deref(), order).collect::<Vec<_>>(),
                model.range(&from, to.as_deref(), order).collect::<Vec<_>>()
            );
        }
        for (key, value) in model.scan(&[]) {
            prop_assert_eq!(above.get(&key), Some(value));
        }
        for (key, _) in below.scan(&[]).chain(middle.scan(&[])).chain(model.scan(&[])) {
            prop_assert_eq!(above.has(&key), model.has(&key));
        }
        let writes = above.into_writes();
        middle.merge(writes);
        let writes = middle.into_writes();
        below.apply(writes);
        prop_assert_eq!(below, model);
    }
}
