//! The price of a block, and what rounding is worth.

use std::convert::Infallible;

use plasma_modules::{Denom, FeePaid, Memory, ante, auth, chain, token, tx, types::sha256};
use plasma_proto::plasma::{
    auth::v1::{Vesting, VestingKind},
    market::v1::{MsgSubmitJob, Sampling},
    token::v1::Params,
};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use crate::common::{
    Account, CHAIN_ID, Chain, Draft, TIME_S, XPL, any, coin, ctx::within, genesis, send,
};

fn params() -> Params {
    token::default_genesis().params.unwrap()
}

fn base_fee(store: &dyn plasma_modules::Read) -> u64 {
    token::fee_market(store).base_fee_nuxpl_per_gas
}

/// The formula as it is written down, with numbers too small to overflow.
fn read_plainly(base: u64, gas: u64, bytes: u64, params: &Params) -> u64 {
    let by = |used: u64, max: u64| {
        let (base, used, target) = (u128::from(base), u128::from(used), u128::from(max / 2));
        if used > target {
            base + base * (used - target) / (8 * target)
        } else {
            base - base * (target - used) / (8 * target)
        }
    };
    let next = by(gas, params.block_gas_max).max(by(bytes, params.block_bytes_max));
    u64::try_from(next).unwrap().max(params.base_fee_min_nuxpl_per_gas)
}

#[test]
fn the_base_price_moves_by_its_formula_over_ten_thousand_blocks() {
    let alice = Account::new(1);
    let mut store: Memory = Chain::new(&genesis(&[&alice], XPL)).store;
    let params = params();
    let (mut highest, mut at_least, mut by_bytes) = (0, 0, 0);
    for height in 1..=10_000u64 {
        let noise = sha256(&height.to_be_bytes());
        let part = u64::from(u16::from_be_bytes([noise[0], noise[1]]));
        let other = u64::from(u16::from_be_bytes([noise[2], noise[3]]));
        // Long times of much gas, of little, of many bytes, and of anything.
        let anything = params.block_gas_max / 65_536 * part;
        let (gas, bytes) = match height / 100 % 6 {
            0 => (params.block_gas_max - part, other),
            2 => (part, params.block_bytes_max - other),
            1 | 3 | 5 => (part, other),
            _ => (anything, params.block_bytes_max / 65_536 * other),
        };
        let before = base_fee(&store);
        let block = chain::next_block(&store, CHAIN_ID, height, TIME_S + height);
        within(&mut store, &block, FeePaid::default(), |ctx| {
            token::end_block(ctx, gas, bytes);
            Ok::<_, Infallible>(())
        })
        .unwrap();
        let after = base_fee(&store);
        let wanted = read_plainly(before, gas, bytes, &params);
        assert_eq!(after, wanted, "block {height} with {gas} gas, {bytes} bytes");
        highest = highest.max(after);
        by_bytes += usize::from(after > before && gas < params.block_gas_max / 2);
        at_least += usize::from(after == params.base_fee_min_nuxpl_per_gas);
    }
    // It moved far, and came back.
    assert!(highest > 100 * params.base_fee_min_nuxpl_per_gas && at_least > 100);
    assert!(by_bytes > 1_000, "{by_bytes}");
}

/// In whole blocks: gas and bytes are those of the transactions, refused ones among them.
#[test]
fn blocks_move_the_base_price_by_the_gas_and_the_bytes_that_they_hold() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut state = genesis(&[&alice, &bob], 1_000 * XPL);
    let params = Params { block_gas_max: 10_000_000, block_bytes_max: 131_072, ..params() };
    state.token.as_mut().unwrap().params = Some(params);
    let mut chain = Chain::new(&state);
    let (mut moved, mut by_bytes) = (0, 0);
    for height in 0..200u64 {
        let before = base_fee(&chain.store);
        let sequence = chain.sequence(alice.address);
        let txs: Vec<_> = (0..height % 4)
            .map(|n| {
                let msgs = vec![send(&alice, bob.address, if n == 1 { u128::MAX } else { 1 }); 60];
                let draft = chain.draft(&alice, msgs);
                let draft = Draft { sequence: sequence + n, fee: XPL, gas: 3_000_000, ..draft };
                draft.sign(&alice)
            })
            .collect();
        // What is no transaction takes its room all the same.
        let noise = height % 5 * 30_000;
        let txs = [txs, vec![vec![0xff; usize::try_from(noise).unwrap()]]].concat();
        let results = chain.block(&txs);
        let gas = results.iter().map(|result| result.gas_used).sum();
        let bytes = txs.iter().map(|tx| u64::try_from(chain::framed(tx.len())).unwrap()).sum();
        let after = base_fee(&chain.store);
        assert_eq!(after, read_plainly(before, gas, bytes, &params));
        moved += usize::from(after != before);
        by_bytes += usize::from(after != read_plainly(before, gas, 0, &params));
    }
    assert!(moved > 50 && by_bytes > 20, "{moved} {by_bytes}");
}

/// A flood of the largest transactions fills bytes, not gas: the base price rises by nearly an eighth
/// per block all the same, and no block holds more than its bytes.
#[test]
fn a_flood_of_bytes_raises_the_base_price_and_stays_within_its_bytes() {
    const BLOCKS: u32 = 20;
    let users: Vec<Account> = (1..=40).map(Account::new).collect();
    let mut chain = Chain::new(&genesis(&users.iter().collect::<Vec<_>>(), 1_000 * XPL));
    let Params { block_bytes_max, block_gas_max, .. } = params();
    let before = base_fee(&chain.store);
    for _ in 0..BLOCKS {
        let flood: Vec<_> = users
            .iter()
            .map(|user| {
                let job = MsgSubmitJob {
                    requester: user.address.text(),
                    model_id: vec![1; 32],
                    input: "x".repeat(65_100),
                    sampling: Some(Sampling { top_p_milli: 1_000, ..Sampling::default() }),
                    max_fee_uxpl: "1".into(),
                    ..MsgSubmitJob::default()
                };
                let draft = chain.draft(user, vec![any(&job)]);
                Draft { gas: 1_600_000, fee: XPL, ..draft }.sign(user)
            })
            .collect();
        let flood: Vec<&[u8]> = flood.iter().map(Vec::as_slice).collect();
        assert!(chain.process(&flood).unwrap_err().log.contains("bytes"));
        let none = chain.next(&[]);
        let (taken, _) =
            chain::prepare(&chain.store, &none, None, &flood, usize::MAX, &tx::NoMemory).unwrap();
        let bytes: usize = taken.iter().map(|tx| chain::framed(tx.len())).sum();
        assert!(taken.len() < flood.len() && u64::try_from(bytes).unwrap() <= block_bytes_max);
        chain.process(&taken).unwrap();
        let taken: Vec<_> = taken.into_iter().map(<[u8]>::to_vec).collect();
        let gas: u64 = chain.block(&taken).iter().map(|result| result.gas_used).sum();
        assert!(gas < block_gas_max / 20);
    }
    let rose = base_fee(&chain.store) / before;
    assert!(rose >= 8, "{rose} times in {BLOCKS} blocks");
}

/// Rounding a fee gains nothing: a million pieces cost at least what the whole costs.
#[test]
fn a_million_small_transactions_pay_no_less_than_one() {
    let Params { base_fee_min_nuxpl_per_gas: base, byte_price_nuxpl: byte, .. } = params();
    let whole = ante::required_fee(1_000_000, 1_000_000, base, byte);
    let pieces = (0..1_000_000).map(|_| ante::required_fee(1, 1, base, byte)).sum::<u128>();
    assert!(pieces >= whole && whole > 0, "{pieces} {whole}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fee_in_two_parts_is_no_less(
        gas in (0u64..1 << 40, 0u64..1 << 40),
        bytes in (0usize..1 << 20, 0usize..1 << 20),
        base in 0u64..1 << 40,
        byte in 0u64..1 << 40,
    ) {
        let whole = ante::required_fee(gas.0 + gas.1, bytes.0 + bytes.1, base, byte);
        let first = ante::required_fee(gas.0, bytes.0, base, byte);
        prop_assert!(first + ante::required_fee(gas.1, bytes.1, base, byte) >= whole);
    }
}

/// Taking what is free every second for a million seconds gains nothing over waiting.
#[test]
fn a_lock_that_is_asked_every_second_lets_no_unit_more_go() {
    const SECONDS: u64 = 1_000_000;
    let whole: u128 = 777_777;
    let lock = Vesting {
        kind: VestingKind::Continuous.into(),
        original_vesting: vec![coin(whole)],
        start_time: i64::try_from(TIME_S).unwrap(),
        end_time: i64::try_from(TIME_S + SECONDS).unwrap(),
        ..Vesting::default()
    };
    let denom = Denom::uxpl();
    let mut taken = 0;
    for passed in 0..=SECONDS {
        let free = auth::vested(&lock, &denom, TIME_S + passed).units();
        let exact = whole * u128::from(passed);
        assert!(free >= taken, "what was free stays free");
        assert!(free * u128::from(SECONDS) <= exact, "{passed}: rounded down");
        assert!((free + 1) * u128::from(SECONDS) > exact, "{passed}: by less than one");
        taken += free - taken;
    }
    assert_eq!(taken, whole);
}
