//! The price of a block, and what rounding is worth.

use plasma_modules::{
    Ctx, Denom, Events, FeePaid, Memory, Overlay, Write, ante, auth, chain, token, types::sha256,
};
use plasma_proto::plasma::{
    auth::v1::{Vesting, VestingKind},
    token::v1::Params,
};
use proptest::prelude::*;

use crate::common::{Account, CHAIN_ID, Chain, Draft, TIME_S, XPL, coin, genesis, send};

fn params() -> Params {
    token::default_genesis().params.unwrap()
}

fn base_fee(store: &dyn plasma_modules::Read) -> u64 {
    token::fee_market(store).base_fee_nuxpl_per_gas
}

/// The formula as it is written down, with numbers too small to overflow.
fn read_plainly(base: u64, gas: u64, params: &Params) -> u64 {
    let target = u128::from(params.block_gas_max / 2);
    let (base, gas) = (u128::from(base), u128::from(gas));
    let next = if gas > target {
        base + base * (gas - target) / (8 * target)
    } else {
        base - base * (target - gas) / (8 * target)
    };
    u64::try_from(next).unwrap().max(params.base_fee_min_nuxpl_per_gas)
}

#[test]
fn the_base_price_moves_by_its_formula_over_ten_thousand_blocks() {
    let alice = Account::new(1);
    let mut store: Memory = Chain::new(&genesis(&[&alice], XPL)).store;
    let params = params();
    let (mut highest, mut at_least) = (0, 0);
    for height in 1..=10_000u64 {
        let noise = sha256(&height.to_be_bytes());
        let part = u64::from(u16::from_be_bytes([noise[0], noise[1]]));
        // Long times of much, of little, and of anything.
        let gas = match height / 100 % 3 {
            0 => params.block_gas_max - part,
            1 => part,
            _ => params.block_gas_max / 65_536 * part,
        };
        let before = base_fee(&store);
        let block = chain::next_block(&store, CHAIN_ID, height, TIME_S + height);
        let mut state = Overlay::new(&store);
        let (mut events, mut fee) = (Events::default(), FeePaid::default());
        let mut ctx = Ctx { store: &mut state, block: &block, events: &mut events, fee: &mut fee };
        token::end_block(&mut ctx, gas);
        let writes = state.into_writes();
        for (key, value) in writes {
            store.set(key, value);
        }
        let after = base_fee(&store);
        assert_eq!(after, read_plainly(before, gas, &params), "block {height} with {gas} gas");
        highest = highest.max(after);
        at_least += usize::from(after == params.base_fee_min_nuxpl_per_gas);
    }
    // It moved far, and came back.
    assert!(highest > 100 * params.base_fee_min_nuxpl_per_gas && at_least > 100);
}

/// In whole blocks: the gas is that of the transactions, refused ones among them.
#[test]
fn blocks_move_the_base_price_by_the_gas_that_they_report() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut state = genesis(&[&alice, &bob], 1_000 * XPL);
    let params = Params { block_gas_max: 10_000_000, ..params() };
    state.token.as_mut().unwrap().params = Some(params);
    let mut chain = Chain::new(&state);
    let mut moved = 0;
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
        let results = chain.block(&txs);
        let gas = results.iter().map(|result| result.gas_used).sum();
        let after = base_fee(&chain.store);
        assert_eq!(after, read_plainly(before, gas, &params));
        moved += usize::from(after != before);
    }
    assert!(moved > 50, "{moved}");
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
