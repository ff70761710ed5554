//! What clients ask of staking, slashing and evidence.

use plasma_modules::types::{hex, sha256};
use plasma_proto::{
    cosmos::{
        base::query::v1beta1::PageRequest,
        evidence::v1beta1::{
            Equivocation, QueryAllEvidenceRequest, QueryAllEvidenceResponse, QueryEvidenceRequest,
            QueryEvidenceResponse,
        },
        slashing::v1beta1::{
            self as slashing, QuerySigningInfosRequest, QuerySigningInfosResponse,
        },
        staking::v1beta1::{
            QueryDelegationRequest, QueryDelegationResponse, QueryDelegatorDelegationsRequest,
            QueryDelegatorDelegationsResponse, QueryDelegatorUnbondingDelegationsRequest,
            QueryDelegatorUnbondingDelegationsResponse, QueryDelegatorValidatorRequest,
            QueryDelegatorValidatorResponse, QueryDelegatorValidatorsRequest,
            QueryDelegatorValidatorsResponse, QueryHistoricalInfoRequest,
            QueryHistoricalInfoResponse, QueryParamsRequest, QueryParamsResponse, QueryPoolRequest,
            QueryPoolResponse, QueryRedelegationsRequest, QueryRedelegationsResponse,
            QueryUnbondingDelegationRequest, QueryUnbondingDelegationResponse,
            QueryValidatorDelegationsRequest, QueryValidatorDelegationsResponse,
            QueryValidatorRequest, QueryValidatorResponse,
            QueryValidatorUnbondingDelegationsRequest, QueryValidatorUnbondingDelegationsResponse,
            QueryValidatorsRequest, QueryValidatorsResponse,
        },
    },
    plasma::genesis::v1::GenesisState,
};
use prost::Message;

use crate::net::*;

fn plain(_: &mut GenesisState) {}

/// Two validators, of which one was slashed; stake with both, unbonding and on its way.
fn story() -> (Net, [Account; 3]) {
    let [v, w, alice] = [1, 2, 3].map(Account::new);
    let mut net = start(&[(&v, 1_000), (&w, 500)], &[&alice], plain);
    net.delegate(&alice, &v, 100);
    net.blocks(3);
    net.done(&alice, undelegate(&alice, &v, 20 * XPL));
    net.done(&alice, redelegate(&alice, &v, &w, 40 * XPL));
    net.tell(&v, 3, TIME_S + 3, 1_100);
    (net, [v, w, alice])
}

#[test]
fn every_question_about_stake_has_its_answer() {
    let (net, [v, w, alice]) = story();
    let (delegator_addr, validator_addr) = (alice.address.text(), v.address.operator_text());
    let other = w.address.operator_text();

    let answer: QueryValidatorsResponse = net.ask(&QueryValidatorsRequest::default()).unwrap();
    assert_eq!(answer.validators.len(), 2);
    for (status, who) in [("BOND_STATUS_BONDED", &w), ("BOND_STATUS_UNBONDING", &v)] {
        let pagination = Some(PageRequest { count_total: true, ..PageRequest::default() });
        let request = QueryValidatorsRequest { status: status.into(), pagination };
        let answer: QueryValidatorsResponse = net.ask(&request).unwrap();
        assert_eq!(answer.validators[0].operator_address, who.address.operator_text());
        assert_eq!((answer.validators.len(), answer.pagination.unwrap().total), (1, 1));
    }
    let request = QueryValidatorsRequest { status: "x".into(), pagination: None };
    assert!(net.ask::<_, QueryValidatorsResponse>(&request).unwrap_err().contains("invalid"));

    let request = QueryValidatorRequest { validator_addr: validator_addr.clone() };
    let answer: QueryValidatorResponse = net.ask(&request).unwrap();
    let validator = answer.validator.unwrap();
    assert!(validator.jailed);
    // Alice has 40 of 1,040 left there; shares count 10^18 for what was one uxpl.
    assert_eq!(validator.tokens, (988 * XPL).to_string());
    assert_eq!(validator.delegator_shares, (1_040 * XPL * 10u128.pow(18)).to_string());

    let request = QueryDelegationRequest {
        delegator_addr: delegator_addr.clone(),
        validator_addr: validator_addr.clone(),
    };
    let answer: QueryDelegationResponse = net.ask(&request).unwrap();
    let response = answer.delegation_response.unwrap();
    assert_eq!(response.balance.unwrap(), coin(38 * XPL));
    assert_eq!(response.delegation.unwrap().shares, (40 * XPL * 10u128.pow(18)).to_string());
    // CosmJS looks for these words.
    let request =
        QueryDelegationRequest { delegator_addr: v.address.text(), validator_addr: other.clone() };
    let log = net.ask::<_, QueryDelegationResponse>(&request).unwrap_err();
    assert!(log.contains("code = NotFound") && log.contains("key not found"), "{log}");
    // An account is no operator.
    let request = QueryDelegationRequest {
        delegator_addr: delegator_addr.clone(),
        validator_addr: delegator_addr.clone(),
    };
    let log = net.ask::<_, QueryDelegationResponse>(&request).unwrap_err();
    assert!(log.contains("InvalidArgument"), "{log}");

    let request = QueryDelegatorDelegationsRequest {
        delegator_addr: delegator_addr.clone(),
        pagination: None,
    };
    let answer: QueryDelegatorDelegationsResponse = net.ask(&request).unwrap();
    assert_eq!(answer.delegation_responses.len(), 2);
    let request =
        QueryValidatorDelegationsRequest { validator_addr: other.clone(), pagination: None };
    let answer: QueryValidatorDelegationsResponse = net.ask(&request).unwrap();
    assert_eq!(answer.delegation_responses.len(), 2);

    // What unbonds is shown less what the slash cost it.
    let entry = |entries: &[UnbondingDelegation]| {
        let entry = &entries[0].entries[0];
        (entry.initial_balance.clone(), entry.balance.clone())
    };
    let both = ((20 * XPL).to_string(), (19 * XPL).to_string());
    let request = QueryUnbondingDelegationRequest {
        delegator_addr: delegator_addr.clone(),
        validator_addr: validator_addr.clone(),
    };
    let answer: QueryUnbondingDelegationResponse = net.ask(&request).unwrap();
    assert_eq!(entry(&[answer.unbond.unwrap()]), both);
    let request = QueryDelegatorUnbondingDelegationsRequest {
        delegator_addr: delegator_addr.clone(),
        pagination: None,
    };
    let answer: QueryDelegatorUnbondingDelegationsResponse = net.ask(&request).unwrap();
    assert_eq!(entry(&answer.unbonding_responses), both);
    let request = QueryValidatorUnbondingDelegationsRequest {
        validator_addr: validator_addr.clone(),
        pagination: None,
    };
    let answer: QueryValidatorUnbondingDelegationsResponse = net.ask(&request).unwrap();
    assert_eq!(entry(&answer.unbonding_responses), both);

    for (delegator_addr, src, dst) in [
        (delegator_addr.as_str(), "", ""),
        (&delegator_addr, &validator_addr, &other),
        (&delegator_addr, "", &other),
        ("", &validator_addr, ""),
    ] {
        let request = QueryRedelegationsRequest {
            delegator_addr: delegator_addr.into(),
            src_validator_addr: src.into(),
            dst_validator_addr: dst.into(),
            pagination: None,
        };
        let answer: QueryRedelegationsResponse = net.ask(&request).unwrap();
        let response = &answer.redelegation_responses[0];
        assert_eq!(response.redelegation.as_ref().unwrap().validator_dst_address, other);
        let entry = response.entries[0].redelegation_entry.as_ref().unwrap();
        assert_eq!(entry.initial_balance, (40 * XPL).to_string());
    }

    let request = QueryDelegatorValidatorsRequest {
        delegator_addr: delegator_addr.clone(),
        pagination: None,
    };
    let answer: QueryDelegatorValidatorsResponse = net.ask(&request).unwrap();
    assert_eq!(answer.validators.len(), 2);
    let request = QueryDelegatorValidatorRequest { delegator_addr, validator_addr };
    let answer: QueryDelegatorValidatorResponse = net.ask(&request).unwrap();
    assert_eq!(answer.validator.unwrap(), validator);

    let answer: QueryPoolResponse = net.ask(&QueryPoolRequest {}).unwrap();
    let pool = answer.pool.unwrap();
    assert_eq!(pool.bonded_tokens, net.pool(staking::BONDED_POOL).to_string());
    assert_eq!(pool.not_bonded_tokens, net.pool(staking::NOT_BONDED_POOL).to_string());
    let answer: QueryParamsResponse = net.ask(&QueryParamsRequest {}).unwrap();
    assert!(answer.params.unwrap().historical_entries > 0, "Hermes asks for it");
}

#[test]
fn every_question_about_offences_has_its_answer() {
    let (net, [v, w, _]) = story();
    let answer: slashing::QueryParamsResponse = net.ask(&slashing::QueryParamsRequest {}).unwrap();
    assert_eq!(answer.params.unwrap().slash_fraction_double_sign, b"50000000000000000");
    let request = QuerySigningInfosRequest { pagination: None };
    let answer: QuerySigningInfosResponse = net.ask(&request).unwrap();
    assert_eq!(answer.info.len(), 2);
    assert!(net.info(&v).tombstoned && !net.info(&w).tombstoned);
    assert_eq!(net.info(&w).index_offset, i64::try_from(net.height).unwrap());

    let request = QueryAllEvidenceRequest { pagination: None };
    let answer: QueryAllEvidenceResponse = net.ask(&request).unwrap();
    let evidence = Equivocation::decode(&answer.evidence[0].value[..]).unwrap();
    assert_eq!((evidence.height, evidence.power, answer.evidence.len()), (3, 1_100, 1));
    let hash = hex(&sha256(&answer.evidence[0].value)).to_uppercase();
    let request = QueryEvidenceRequest { hash, ..QueryEvidenceRequest::default() };
    let one: QueryEvidenceResponse = net.ask(&request).unwrap();
    assert_eq!(one.evidence.unwrap(), answer.evidence[0]);
    let request = QueryEvidenceRequest { hash: "00".repeat(32), ..Default::default() };
    assert!(net.ask::<_, QueryEvidenceResponse>(&request).unwrap_err().contains("NotFound"));
}

#[test]
fn the_past_is_kept_as_long_as_asked() {
    let [v, w] = [1, 2].map(Account::new);
    let mut net = start(&[(&v, 1_000)], &[&w], |genesis| {
        params(genesis).historical_entries = 5;
    });
    net.blocks(2);
    net.done(&w, any(&create(&w, 10 * XPL)));
    let past = |net: &Net, height: u64| {
        let height = i64::try_from(height).unwrap();
        net.ask::<_, QueryHistoricalInfoResponse>(&QueryHistoricalInfoRequest { height })
    };
    let members = |net: &Net, height| past(net, height).unwrap().hist.unwrap().valset.len();
    assert_eq!((members(&net, 2), members(&net, 3)), (1, 2));
    let header = past(&net, 2).unwrap().hist.unwrap().header.unwrap();
    assert_eq!((header.chain_id.as_str(), header.height), (CHAIN_ID, 2));
    assert_eq!(header.time.unwrap().seconds, i64::try_from(TIME_S + 2).unwrap());
    net.blocks(4);
    assert!(past(&net, 2).unwrap_err().contains("NotFound"));
    assert_eq!(members(&net, 3), 2);
    net.blocks(20);
    // Only what is asked for is kept, and one set.
    let count = |table: Table| net.store.scan(&[table.id()]).count();
    assert_eq!((count(Table::StakingHistory), count(Table::StakingHistorySets)), (5, 1));
    assert!(past(&net, net.height + 1).is_err());
}
