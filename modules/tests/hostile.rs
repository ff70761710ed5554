//! Hostile bytes on every path of the rules: what `make fuzz` looks for without end, on a few
//! random inputs.

#[path = "../fuzz/src/lib.rs"]
mod bodies;

use plasma_modules::{msg::Msg, types::sha256};
use proptest::prelude::*;

/// Inputs that must reach every handler.
const CASES: u32 = 400;

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
    fn any_bytes_are_amino_json_or_refused(data in bytes()) {
        bodies::amino(&data);
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

/// Random blocks reach the handlers: without this the tests above could pass and do nothing.
#[test]
fn random_blocks_carry_out_messages_of_every_type() {
    let mut sum = bodies::Tally::default();
    for case in 0..CASES {
        let piece = |at: u32| sha256(&[case.to_be_bytes(), at.to_be_bytes()].concat());
        let data: Vec<u8> = (0..64).flat_map(piece).collect();
        let tally = bodies::block(&data);
        sum.txs += tally.txs;
        sum.taken += tally.taken;
        for (kind, count) in tally.kinds {
            *sum.kinds.entry(kind).or_default() += count;
        }
    }
    println!("{sum:#?}");
    assert!(sum.taken * 4 > sum.txs, "{sum:?}");
    assert!(sum.taken < sum.txs, "{sum:?}");
    let alone = Msg::governance_type_urls();
    for url in Msg::type_urls().into_iter().filter(|url| !alone.contains(url)) {
        assert!(sum.kinds.contains_key(&format!("{url}Response")), "{url}: {:?}", sum.kinds);
    }
}
