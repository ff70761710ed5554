//! Hostile bytes on every path of the rules: what `make fuzz` looks for without end, on a few
//! random inputs.

#[path = "../fuzz/src/lib.rs"]
mod bodies;

use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..2_000)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_decode_or_are_refused(data in bytes()) {
        bodies::decode(&data);
    }

    #[test]
    fn any_block_executes_and_money_adds_up(data in bytes()) {
        bodies::block(&data);
    }

    #[test]
    fn any_bytes_are_a_question_with_an_answer(data in bytes()) {
        bodies::query(&data);
    }
}
