//! Fees, transfers and consensus parameters: bounds, steps, and what they reach.

use plasma_modules::{
    Memory,
    chain::{self, check_invariants},
    rules, staking, token,
};
use plasma_proto::{
    cosmos::{
        consensus::v1::MsgUpdateParams as UpdateConsensus,
        staking::v1beta1::{MsgUpdateParams as UpdateStaking, Params as StakingParams},
    },
    plasma::{
        genesis::v1::GenesisState,
        token::v1::{MsgUpdateParams, Params},
    },
    tendermint::types::{
        AbciParams, BlockParams, ConsensusParams, EvidenceParams, ValidatorParams,
    },
};
use prost_types::Duration;

use super::*;
use crate::common::{CHAIN_ID, TIME_S, any, send};

fn update(params: Params) -> Any {
    any(&MsgUpdateParams { authority: authority().text(), params: Some(params) })
}

fn consensus(chain: &Chain) -> (BlockParams, EvidenceParams) {
    let params = rules::consensus(&chain.store);
    (params.block.unwrap(), params.evidence.unwrap())
}

fn update_consensus(block: BlockParams, evidence: EvidenceParams) -> UpdateConsensus {
    UpdateConsensus {
        authority: authority().text(),
        block: Some(block),
        evidence: Some(evidence),
        validator: Some(ValidatorParams { pub_key_types: vec!["ed25519".into()] }),
        abci: Some(AbciParams { vote_extensions_enable_height: 0 }),
    }
}

#[test]
fn fees_move_within_their_bounds_step_by_step() {
    let mut chain = chain();
    let from = token::params(&chain.store);
    for (params, code, name) in [
        (Params { block_gas_max: 9_999_999, ..from }, 10, "block_gas_max"),
        (Params { block_gas_max: from.block_gas_max * 2 + 1, ..from }, 11, "block_gas_max"),
        (Params { block_gas_max: from.block_gas_max / 2 - 1, ..from }, 11, "block_gas_max"),
        (Params { byte_price_nuxpl: 0, ..from }, 11, "byte_price_nuxpl"),
        (Params { memo_bytes_max: 4_097, ..from }, 10, "memo_bytes_max"),
        (Params { account_min_uxpl: 201, ..from }, 11, "account_min_uxpl"),
        (Params { transfer_min_uxpl: 0, ..from }, 10, "transfer_min_uxpl"),
        (Params { base_fee_min_nuxpl_per_gas: u64::MAX, ..from }, 10, "base_fee_min_nuxpl_per_gas"),
    ] {
        let refusal = govern(&mut chain, &update(params)).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("params", code), "{refusal}");
        assert!(refusal.log.starts_with(name), "{refusal}");
        assert_eq!(token::params(&chain.store), from);
    }
    // The price follows the new minimum in the same block, and what costs less than that is refused.
    let dear = Params { base_fee_min_nuxpl_per_gas: 2_000_000, account_min_uxpl: 200, ..from };
    let events = govern(&mut chain, &update(dear)).unwrap();
    assert_eq!(events[0].kind, "params_updated");
    chain.block(&[]);
    assert_eq!(token::fee_market(&chain.store).base_fee_nuxpl_per_gas, 2_000_000);
    let bob = Account::new(2);
    let few = chain.draft(&alice(), vec![send(&alice(), bob.address, 199)]).sign(&alice());
    let enough = chain.draft(&alice(), vec![send(&alice(), bob.address, 200)]);
    assert_eq!(chain.block(&[few])[0].code, 7);
    let enough = common::Draft { sequence: enough.sequence + 1, ..enough };
    assert_eq!(chain.block(&[enough.sign(&alice())])[0].code, 0);
}

#[test]
fn nobody_but_governance_changes_a_number() {
    let mut chain = chain();
    let params = token::params(&chain.store);
    let me = alice().address.text();
    let mine = any(&MsgUpdateParams { authority: me, params: Some(params) });
    let draft = chain.draft(&alice(), vec![mine]);
    let result = chain.block(&[draft.sign(&alice())]).remove(0);
    assert_eq!((result.codespace, result.code), ("sdk", 4), "{}", result.log);
    // In governance's name: the account has no key, so no signature is one.
    let draft = chain.draft(&alice(), vec![update(params)]);
    let result = chain.block(&[draft.sign(&alice())]).remove(0);
    assert_ne!(result.code, 0);
    for url in Msg::governance_type_urls() {
        let empty = Any { type_url: url.clone(), value: Vec::new() };
        let refusal = Msg::from_any(&empty).unwrap_err();
        assert!(refusal.code == 7 || refusal.code == 4, "{url}: {refusal}");
    }
}

#[test]
fn consensus_parameters_reach_cometbft_whole() {
    let mut chain = chain();
    let (block, evidence) = consensus(&chain);
    assert_eq!(block.max_gas, 2_000_000_000);
    assert_eq!(chain.block_after(1, &[]).consensus, None, "nothing has changed");

    let bigger = BlockParams { max_bytes: 2 * block.max_bytes, ..block };
    // The message runs inside of a block when a proposal passes; here, what it wrote is its base.
    let before = chain.clone();
    govern(&mut chain, &any(&update_consensus(bigger, evidence))).unwrap();
    let told = rules::consensus(&chain.store);
    assert_ne!(told, rules::consensus(&before.store));
    let ConsensusParams { block, evidence, validator, version, abci } = told;
    assert_eq!(block, Some(bigger));
    assert_eq!(validator.unwrap().pub_key_types, ["ed25519"]);
    assert_eq!(version.unwrap().app, rules::GENESIS_VERSION);
    assert_eq!(abci.unwrap().vote_extensions_enable_height, 0);
    let evidence = evidence.unwrap();
    assert_eq!(evidence.max_age_duration, Some(Duration { seconds: 21 * 86_400, nanos: 0 }));

    // A block's gas is one number, whoever changes it.
    let half = BlockParams { max_gas: 1_000_000_000, ..bigger };
    govern(&mut chain, &any(&update_consensus(half, evidence))).unwrap();
    let params = token::params(&chain.store);
    assert_eq!(params.block_gas_max, 1_000_000_000);
    govern(&mut chain, &update(Params { block_gas_max: 1_500_000_000, ..params })).unwrap();
    assert_eq!(consensus(&chain).0, BlockParams { max_gas: 1_500_000_000, ..bigger });
    assert_eq!(chain.timeless(), chain.exported());
}

#[test]
fn consensus_parameters_are_bounded() {
    let mut chain = chain();
    let (block, evidence) = consensus(&chain);
    let age = |seconds, nanos| EvidenceParams {
        max_age_duration: Some(Duration { seconds, nanos }),
        ..evidence
    };
    let good = update_consensus(block, evidence);
    let cases = [
        (update_consensus(BlockParams { max_bytes: -1, ..block }, evidence), 14),
        (update_consensus(BlockParams { max_bytes: 17 << 20, ..block }, evidence), 10),
        (update_consensus(BlockParams { max_bytes: 5 << 20, ..block }, evidence), 11),
        (update_consensus(BlockParams { max_gas: -1, ..block }, evidence), 10),
        (update_consensus(BlockParams { max_gas: 0, ..block }, evidence), 10),
        (update_consensus(BlockParams { max_gas: i64::MAX, ..block }, evidence), 10),
        (update_consensus(BlockParams { max_gas: 4_000_000_001, ..block }, evidence), 11),
        (update_consensus(block, EvidenceParams { max_age_num_blocks: 0, ..evidence }), 10),
        (update_consensus(block, EvidenceParams { max_age_num_blocks: 1_000, ..evidence }), 11),
        (update_consensus(block, age(10 * 86_400, 0)), 11),
        (update_consensus(block, age(21 * 86_400, 1)), 12),
        (update_consensus(block, age(-1, 0)), 12),
        (update_consensus(block, EvidenceParams { max_age_duration: None, ..evidence }), 12),
        (update_consensus(block, EvidenceParams { max_bytes: 3 << 20, ..evidence }), 14),
        (update_consensus(block, EvidenceParams { max_bytes: 1, ..evidence }), 10),
        (
            UpdateConsensus {
                validator: Some(ValidatorParams { pub_key_types: vec!["secp256k1".into()] }),
                ..good.clone()
            },
            13,
        ),
        (
            UpdateConsensus {
                abci: Some(AbciParams { vote_extensions_enable_height: 9 }),
                ..good.clone()
            },
            13,
        ),
    ];
    for (msg, code) in cases {
        let refusal = govern(&mut chain, &any(&msg)).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("params", code), "{refusal}: {msg:?}");
        assert_eq!(consensus(&chain), (block, evidence));
    }
    for msg in [
        UpdateConsensus { block: None, ..good.clone() },
        UpdateConsensus { evidence: None, ..good.clone() },
        UpdateConsensus { validator: None, ..good.clone() },
    ] {
        let refusal = govern(&mut chain, &any(&msg)).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("sdk", 18), "{refusal}");
    }
    govern(&mut chain, &any(&UpdateConsensus { abci: None, ..good })).unwrap();
    check_invariants(&chain.store).unwrap();
}

/// A proposal's messages: all of them or none.
fn all(chain: &mut Chain, messages: &[Any]) -> Result<(), Refusal> {
    let before = chain.clone();
    for message in messages {
        if let Err(refusal) = govern(chain, message) {
            *chain = before;
            return Err(refusal);
        }
    }
    Ok(())
}

fn unbonding(chain: &Chain, seconds: i64) -> Any {
    let unbonding_time = Some(Duration { seconds, nanos: 0 });
    let params = StakingParams { unbonding_time, ..staking::params(&chain.store) };
    any(&UpdateStaking { authority: authority().text(), params: Some(params) })
}

#[test]
fn numbers_of_two_rooms_that_go_together_stay_together() {
    const DAYS: i64 = 86_400;
    let mut chain = chain();
    let (block, evidence) = consensus(&chain);
    let token = token::params(&chain.store);
    let aged = |days| {
        let max_age_duration = Some(Duration { seconds: days * DAYS, nanos: 0 });
        any(&update_consensus(block, EvidenceParams { max_age_duration, ..evidence }))
    };
    let bytes = |block_bytes_max| update(Params { block_bytes_max, ..token });
    let sized = |max_bytes: u64| {
        let max_bytes = max_bytes.cast_signed();
        any(&update_consensus(BlockParams { max_bytes, ..block }, evidence))
    };
    let mib = 1u64 << 20;

    // Each alone breaks its pair, in either direction.
    for (alone, said) in [
        (unbonding(&chain, 21 * DAYS - 1), "unbonding_time is 1814399 s"),
        (aged(22), "max_age_duration of 1900800 s"),
        (bytes(2 * mib + 1), "block_bytes_max is 2097153"),
        (sized(2 * mib - 1), "block.max_bytes of 2097151"),
    ] {
        let before = chain.clone();
        let refusal = govern(&mut chain, &alone).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("params", 14), "{refusal}");
        assert!(refusal.log.contains(said), "{refusal}");
        assert_eq!(chain.store, before.store);
    }
    // Together they move, in the order in which the pair holds after each.
    let shorter = unbonding(&chain, 20 * DAYS);
    let longer = unbonding(&chain, 30 * DAYS);
    assert_eq!(all(&mut chain, &[shorter.clone(), aged(20)]).unwrap_err().code, 14);
    all(&mut chain, &[aged(20), shorter]).unwrap();
    assert_eq!(all(&mut chain, &[aged(30), longer.clone()]).unwrap_err().code, 14);
    all(&mut chain, &[longer, aged(30)]).unwrap();
    assert_eq!(rules::evidence_age(&chain.store).0, 30 * 86_400);

    all(&mut chain, &[sized(4 * mib), bytes(4 * mib)]).unwrap();
    assert_eq!(all(&mut chain, &[sized(2 * mib), bytes(2 * mib)]).unwrap_err().code, 14);
    all(&mut chain, &[bytes(2 * mib), sized(2 * mib)]).unwrap();
    assert_eq!(chain.timeless(), chain.exported());
}

#[test]
fn a_genesis_whose_numbers_do_not_go_together_is_refused() {
    type Case = (fn(&mut GenesisState), &'static str);
    let cases: [Case; 4] = [
        (
            |genesis| {
                let params = genesis.staking.as_mut().unwrap().params.as_mut().unwrap();
                params.unbonding_time = Some(Duration { seconds: 60, nanos: 0 });
            },
            "unbonding_time is 60 s",
        ),
        (
            |genesis| {
                let consensus = genesis.governance.as_mut().unwrap().consensus.as_mut().unwrap();
                let evidence = consensus.evidence.as_mut().unwrap();
                evidence.max_age_duration = Some(Duration { seconds: 1_814_401, nanos: 0 });
            },
            "max_age_duration of 1814401 s",
        ),
        (
            |genesis| {
                let params = genesis.token.as_mut().unwrap().params.as_mut().unwrap();
                params.block_bytes_max = (2 << 20) + 1;
            },
            "block_bytes_max is 2097153",
        ),
        (
            |genesis| {
                let consensus = genesis.governance.as_mut().unwrap().consensus.as_mut().unwrap();
                consensus.block.as_mut().unwrap().max_bytes = 1 << 20;
            },
            "block.max_bytes of 1048576",
        ),
    ];
    for (change, said) in cases {
        let mut genesis = genesis(&[&alice()], 1_000 * XPL);
        change(&mut genesis);
        let refusal = chain::init(&mut Memory::default(), CHAIN_ID, TIME_S, &genesis).unwrap_err();
        assert_eq!((refusal.codespace, refusal.code), ("params", 14), "{refusal}");
        assert!(refusal.log.contains(said), "{refusal}");
    }
}
