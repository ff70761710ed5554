//! Fees, transfers and consensus parameters: bounds, steps, and what they reach.

use plasma_modules::{chain::check_invariants, rules, token};
use plasma_proto::{
    cosmos::consensus::v1::MsgUpdateParams as UpdateConsensus,
    plasma::token::v1::{MsgUpdateParams, Params},
    tendermint::types::{
        AbciParams, BlockParams, ConsensusParams, EvidenceParams, ValidatorParams,
    },
};
use prost_types::Duration;

use super::*;
use crate::common::{any, send};

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
