//! `docs/gas.md` says what the code takes: every message has its row, and its numbers are the price.

mod common;

use std::collections::BTreeMap;

use common::{Account, XPL, any, coin};
use plasma_modules::{
    ante::{ALLOWANCE_GAS, BYTE_GAS, SIGNATURE_GAS, TX_GAS, UNORDERED_GAS},
    attestation::{
        beacon::{PROOF_BYTES, SecretKey},
        text_hash, tokens_hash,
    },
    msg::Msg,
    params::authority,
    rules,
};
use plasma_proto::{
    cosmos::{
        authz::v1beta1::{Grant, MsgExec, MsgGrant, MsgRevoke},
        bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output, SendAuthorization},
        crypto::ed25519::PubKey,
        distribution::v1beta1::{
            MsgDepositValidatorRewardsPool, MsgFundCommunityPool, MsgSetWithdrawAddress,
            MsgWithdrawDelegatorReward, MsgWithdrawValidatorCommission,
        },
        feegrant::v1beta1::{
            AllowedMsgAllowance, BasicAllowance, MsgGrantAllowance, MsgPruneAllowances,
            MsgRevokeAllowance,
        },
        gov::{v1 as gov, v1beta1 as gov_legacy},
        slashing::v1beta1::MsgUnjail,
        staking::v1beta1::{
            CommissionRates, Description, MsgBeginRedelegate, MsgCancelUnbondingDelegation,
            MsgCreateValidator, MsgDelegate, MsgEditValidator, MsgUndelegate,
        },
        vesting::v1beta1::{
            MsgCreatePeriodicVestingAccount, MsgCreatePermanentLockedAccount,
            MsgCreateVestingAccount, Period,
        },
    },
    plasma::{
        attestation::v1::{
            FinishReason, LeafProof, Measures, MsgAppeal, MsgChallenge, MsgCommitVerdict,
            MsgDefend, MsgDescend, MsgDispute, MsgJoinPool, MsgLeavePool, MsgProve, MsgReveal,
            MsgRevealVerdict, MsgSetBeaconKey, MsgSetProfile, MsgSetReferee, MsgShowToken,
            MsgSubmitReceipt, Opening, Profile, Receipt, RefereeShape, Verdict,
        },
        market::v1::{
            Ask, Hardware, Manifest, ModelFile, MsgAddBond, MsgCancelJob, MsgDeclineJob,
            MsgDeregisterProvider, MsgPublishModel, MsgRegisterProvider, MsgSubmitJob,
            MsgUpdateProvider, MsgWithdrawBond, Outcome, Output as Answer, Sampling,
        },
        reward::v1::MsgClaimReward,
    },
};
use plasma_proto::{
    cosmos::{
        consensus::v1 as consensus_pb,
        distribution::v1beta1 as distribution_pb,
        mint::v1beta1 as mint_pb,
        upgrade::v1beta1::{MsgCancelUpgrade, MsgSoftwareUpgrade, Plan},
    },
    plasma::{
        governance::v1::{
            Milestone, MsgApproveMilestone, MsgCancelGrant, MsgCreateGrant, MsgReleaseMilestone,
        },
        market::v1 as market_pb,
        token::v1 as token_pb,
    },
    tendermint::types::BlockParams,
};
use prost::Message;
use prost_types::Any;

const PAGE: &str = include_str!("../../docs/gas.md");

/// The columns of the table under a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE.split(&format!("## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().into()).collect();
    rows.map(cells).collect()
}

/// The number that text begins with.
fn number(text: &str) -> u64 {
    text.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn the_parts_of_a_transaction_have_their_price() {
    let prices: Vec<u64> = rows("The transaction").iter().map(|row| number(&row[1])).collect();
    assert_eq!(prices, [TX_GAS, BYTE_GAS, SIGNATURE_GAS, UNORDERED_GAS, ALLOWANCE_GAS]);
}

fn manifest() -> Manifest {
    let file = ModelFile { path: "m.safetensors".into(), sha256: vec![5; 32], size_bytes: 1_000 };
    Manifest {
        name: "tiny".into(),
        architecture: "llama".into(),
        dtype: "f32".into(),
        tokenizer: "bytes".into(),
        licence: "Apache-2.0".into(),
        base_model: vec![],
        context_tokens: 512,
        template_tokens_max: 32,
        files: vec![file],
    }
}

fn len(n: usize) -> u64 {
    u64::try_from(n).unwrap()
}

/// A message of each type, with the amounts of what its row has a price for, in the row's order.
fn specimens() -> Vec<(Any, Vec<u64>)> {
    let (me, you) = (Account::new(1).address.text(), Account::new(2).address.text());
    let other = |denom: &str| plasma_proto::cosmos::base::v1beta1::Coin {
        denom: denom.into(),
        amount: "7".into(),
    };
    let outputs = [2, 1]
        .map(|n| Output {
            address: you.clone(),
            coins: [coin(5), other("uzed")].into_iter().take(n).collect(),
        })
        .to_vec();
    let total = vec![coin(10), other("uzed")];
    let ask = |id: u8| Ask {
        model_id: vec![id; 32],
        fresh_uxpl_per_mtok: 1,
        cached_uxpl_per_mtok: 1,
        output_uxpl_per_mtok: 1,
        slots: 1,
    };
    let hardware =
        Hardware { device: "cpu".into(), backend: "cpu".into(), cores: 2, ..Hardware::default() };
    let (endpoint, region) = ("https://rig.example".to_owned(), "eu".to_owned());
    let profile = len(endpoint.len() + 32 + hardware.encoded_len() + region.len());
    let register = MsgRegisterProvider {
        operator: me.clone(),
        receipt_key: vec![9; 32],
        receipt_key_proof: vec![9; 64],
        endpoint: endpoint.clone(),
        tls_key_hash: vec![3; 32],
        hardware: Some(hardware.clone()),
        region: region.clone(),
        bond_uxpl: XPL.to_string(),
        asks: vec![ask(1), ask(2)],
    };
    let update = MsgUpdateProvider {
        operator: me.clone(),
        receipt_key: vec![],
        receipt_key_proof: vec![],
        endpoint,
        tls_key_hash: vec![3; 32],
        hardware: Some(hardware),
        region,
        asks: vec![ask(1)],
    };
    let submit = MsgSubmitJob {
        requester: me.clone(),
        model_id: vec![1; 32],
        input: "What?".into(),
        max_tokens: 1,
        sampling: Some(Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 0 }),
        max_fee_uxpl: "1".into(),
        deadline_unix_s: 0,
        stop: vec!["ab".into(), "c".into()],
        referral: String::new(),
    };
    let receipt = Receipt {
        version: 1,
        chain_id: common::CHAIN_ID.into(),
        job_id: 1,
        attempt: 1,
        receipt_key: vec![9; 32],
        model_id: vec![1; 32],
        kernel_id: "k".into(),
        outcome: Outcome::Ok.into(),
        finish_reason: FinishReason::Eos.into(),
        request_hash: vec![1; 32],
        prompt_tokens_hash: vec![1; 32],
        output_tokens_hash: tokens_hash(&[1, 2]).to_vec(),
        response_hash: text_hash("x").to_vec(),
        sampling: submit.sampling,
        charge_uxpl: "1".into(),
        signature: vec![1; 64],
        n_out: 2,
        fingerprint_root: vec![1; 32],
        ..Receipt::default()
    };
    let output = Answer { token_ids: vec![1, 2], text: "x".into() };
    let report = MsgSubmitReceipt {
        carrier: me.clone(),
        receipt: Some(receipt.clone()),
        output: Some(output.clone()),
    };
    let decline = MsgDeclineJob {
        carrier: me.clone(),
        job_id: 1,
        attempt: 1,
        reason: "busy".into(),
        signature: vec![1; 64],
    };
    let publish =
        MsgPublishModel { publisher: me.clone(), manifest: Some(manifest()), royalty_bps: 0 };
    let secret = SecretKey::from_random([1; 32]).unwrap();
    let beacon_key = MsgSetBeaconKey {
        operator: me.clone(),
        public_key: secret.public().to_vec(),
        proof: vec![0; PROOF_BYTES],
    };
    let reveal = MsgReveal {
        carrier: me.clone(),
        audit_id: 1,
        fingerprints_root: vec![1; 32],
        leaves: vec![LeafProof { leaf: vec![0; 770], ..LeafProof::default() }; 2],
        signature: vec![1; 64],
    };
    let commit = MsgCommitVerdict {
        carrier: me.clone(),
        audit_id: 1,
        juror: me.clone(),
        commitment: vec![1; 32],
        signature: vec![1; 64],
    };
    let opened = MsgRevealVerdict {
        carrier: me.clone(),
        audit_id: 1,
        juror: me.clone(),
        verdict: Some(Verdict { pass: true, measures: Some(Measures::default()) }),
        salt: vec![1; 32],
        signature: vec![1; 64],
    };
    let (model_id, bond_uxpl) = (vec![1; 32], XPL.to_string());
    let pool =
        MsgJoinPool { operator: me.clone(), model_id: model_id.clone(), profile_hash: vec![1; 32] };
    let profile_set = MsgSetProfile {
        publisher: me.clone(),
        model_id: model_id.clone(),
        profile: Some(Profile::default()),
    };
    let dispute = MsgDispute { disputer: me.clone(), job_id: 1, bond_uxpl: bond_uxpl.clone() };
    let shape = RefereeShape {
        layers: 1,
        width: 8,
        heads: 2,
        kv_heads: 1,
        head_dim: 4,
        hidden: 8,
        vocab: 16,
        rows: 16,
        norm_eps_bits: 0,
        tied: true,
    };
    let referee = MsgSetReferee {
        publisher: me.clone(),
        model_id: model_id.clone(),
        shape: Some(shape),
        weights_root: vec![1; 32],
        eos_tokens: vec![1],
    };
    let challenge = MsgChallenge {
        challenger: me.clone(),
        job_id: 1,
        trace_root: vec![1; 32],
        bond_uxpl: bond_uxpl.clone(),
    };
    let defend = MsgDefend {
        carrier: me.clone(),
        job_id: 1,
        trace_root: vec![1; 32],
        signature: vec![1; 64],
    };
    let descend = MsgDescend {
        sender: me.clone(),
        job_id: 1,
        path: vec![],
        children: vec![vec![1; 32]; 3],
        signature: vec![],
    };
    let opening = Opening { values: vec![1, 2], path: vec![vec![1; 32]] };
    let prove = MsgProve {
        sender: me.clone(),
        job_id: 1,
        path: vec![1, 2],
        inputs: vec![opening.clone()],
        rows: vec![opening.clone()],
        prompt_tokens: vec![],
        signature: vec![],
    };
    let show_token =
        MsgShowToken { challenger: me.clone(), job_id: 1, index: 0, choice: Some(opening) };
    let leave_pool = MsgLeavePool { operator: me.clone(), model_id };
    let appeal = MsgAppeal { operator: me.clone(), audit_id: 1, bond_uxpl };
    let amount_uxpl = XPL.to_string();
    let mut all = vec![
        (
            any(&MsgSend {
                from_address: me.clone(),
                to_address: you,
                amount: vec![coin(5), other("uzed")],
            }),
            vec![2],
        ),
        (
            any(&MsgMultiSend {
                inputs: vec![Input { address: me.clone(), coins: total }],
                outputs,
            }),
            vec![3],
        ),
        (any(&register), vec![2, profile]),
        (any(&update), vec![1, profile]),
        (any(&MsgDeregisterProvider { operator: me.clone() }), vec![]),
        (any(&MsgAddBond { operator: me.clone(), amount_uxpl: amount_uxpl.clone() }), vec![]),
        (any(&MsgWithdrawBond { operator: me.clone(), amount_uxpl }), vec![]),
        (any(&publish), vec![len(manifest().encoded_len())]),
        (any(&submit), vec![8]),
        (any(&MsgClaimReward { operator: me.clone() }), vec![]),
        (any(&MsgCancelJob { requester: me, job_id: 1 }), vec![]),
        (any(&decline), vec![4]),
        (any(&report), vec![len(receipt.encoded_len() + output.encoded_len())]),
        (any(&beacon_key), vec![]),
        (any(&profile_set), vec![]),
        (any(&pool), vec![]),
        (any(&leave_pool), vec![]),
        (any(&dispute), vec![]),
        (any(&appeal), vec![]),
        (any(&reveal), vec![2, len(reveal.encoded_len())]),
        (any(&commit), vec![]),
        (any(&opened), vec![]),
        (any(&referee), vec![]),
        (any(&challenge), vec![]),
        (any(&defend), vec![]),
        (any(&descend), vec![3]),
        (any(&prove), vec![len(prove.encoded_len())]),
        (any(&show_token), vec![]),
    ];
    all.extend(grants());
    all.extend(stakes());
    all.extend(rewards());
    all.extend(proposals());
    all.extend(by_governance());
    all
}

/// Of governance.
fn proposals() -> Vec<(Any, Vec<u64>)> {
    let me = Account::new(1).address.text();
    let authority = plasma_modules::governance::authority().text();
    let inside =
        any(&MsgPublishModel { publisher: authority, manifest: Some(manifest()), royalty_bps: 0 });
    let inside_gas = Msg::from_any(&inside).unwrap().gas();
    let (title, summary, metadata) = ("A plan", "What is planned", "{}");
    let texts = len(title.len() + summary.len());
    let text = gov_legacy::TextProposal { title: title.into(), description: summary.into() };
    let whole = || "1000000000000000000".to_owned();
    vec![
        (
            any(&gov::MsgSubmitProposal {
                messages: vec![inside.clone(), inside.clone()],
                initial_deposit: vec![coin(5)],
                proposer: me.clone(),
                metadata: metadata.into(),
                title: title.into(),
                summary: summary.into(),
                expedited: true,
            }),
            vec![texts + 2 + 2 * len(inside.value.len()), 2 * inside_gas],
        ),
        (
            any(&gov::MsgDeposit { proposal_id: 1, depositor: me.clone(), amount: vec![coin(5)] }),
            vec![],
        ),
        (
            any(&gov::MsgVote {
                proposal_id: 1,
                voter: me.clone(),
                option: 1,
                metadata: String::new(),
            }),
            vec![],
        ),
        (
            any(&gov::MsgVoteWeighted {
                proposal_id: 1,
                voter: me.clone(),
                options: vec![gov::WeightedVoteOption { option: 1, weight: "1".into() }],
                metadata: String::new(),
            }),
            vec![],
        ),
        (any(&gov::MsgCancelProposal { proposal_id: 1, proposer: me.clone() }), vec![]),
        (
            any(&gov_legacy::MsgSubmitProposal {
                content: Some(any(&text)),
                initial_deposit: vec![coin(5)],
                proposer: me.clone(),
            }),
            vec![texts],
        ),
        (
            any(&gov_legacy::MsgDeposit {
                proposal_id: 1,
                depositor: me.clone(),
                amount: vec![coin(5)],
            }),
            vec![],
        ),
        (any(&gov_legacy::MsgVote { proposal_id: 1, voter: me.clone(), option: 1 }), vec![]),
        (
            any(&gov_legacy::MsgVoteWeighted {
                proposal_id: 1,
                voter: me,
                options: vec![gov_legacy::WeightedVoteOption { option: 1, weight: whole() }],
            }),
            vec![],
        ),
    ]
}

/// Of vesting, feegrant and authz.
fn grants() -> Vec<(Any, Vec<u64>)> {
    let (me, you) = (Account::new(1).address.text(), Account::new(2).address.text());
    let url = "/cosmos.bank.v1beta1.MsgSend".to_owned();
    let allowance = AllowedMsgAllowance {
        allowance: Some(any(&BasicAllowance { spend_limit: vec![coin(5)], expiration: None })),
        allowed_messages: vec![url.clone(), "/cosmos.bank.v1beta1.MsgMultiSend".into()],
    };
    let authorization =
        SendAuthorization { spend_limit: vec![coin(5)], allow_list: vec![you.clone()] };
    let inside =
        any(&MsgSend { from_address: you.clone(), to_address: me.clone(), amount: vec![coin(5)] });
    let inside_gas = Msg::from_any(&inside).unwrap().gas();
    let period = Period { length: 60, amount: vec![coin(5)] };
    let (from_address, to_address, amount) = (me.clone(), you.clone(), vec![coin(10)]);
    vec![
        (
            any(&MsgCreateVestingAccount {
                from_address: from_address.clone(),
                to_address: to_address.clone(),
                amount: amount.clone(),
                end_time: 1_800_000_000,
                delayed: true,
            }),
            vec![],
        ),
        (
            any(&MsgCreatePermanentLockedAccount {
                from_address: from_address.clone(),
                to_address: to_address.clone(),
                amount,
            }),
            vec![],
        ),
        (
            any(&MsgCreatePeriodicVestingAccount {
                from_address,
                to_address,
                start_time: 1_700_000_000,
                vesting_periods: vec![period.clone(), period],
            }),
            vec![2],
        ),
        (
            any(&MsgGrantAllowance {
                granter: me.clone(),
                grantee: you.clone(),
                allowance: Some(any(&allowance)),
            }),
            vec![2],
        ),
        (any(&MsgRevokeAllowance { granter: me.clone(), grantee: you.clone() }), vec![]),
        (any(&MsgPruneAllowances { pruner: me.clone() }), vec![]),
        (
            any(&MsgGrant {
                granter: me.clone(),
                grantee: you.clone(),
                grant: Some(Grant { authorization: Some(any(&authorization)), expiration: None }),
            }),
            vec![1],
        ),
        (
            any(&MsgExec { grantee: me.clone(), msgs: vec![inside.clone(), inside] }),
            vec![2, 2 * inside_gas],
        ),
        (any(&MsgRevoke { granter: me, grantee: you, msg_type_url: url }), vec![]),
    ]
}

/// Of staking and slashing.
#[allow(deprecated)]
fn stakes() -> Vec<(Any, Vec<u64>)> {
    let me = Account::new(1).address;
    let (delegator_address, validator_address) = (me.text(), me.operator_text());
    let other = Account::new(2).address.operator_text();
    let amount = Some(coin(XPL));
    let description = Description { moniker: "me".into(), ..Description::default() };
    let commission = CommissionRates {
        rate: "0".into(),
        max_rate: "100000000000000000".into(),
        max_change_rate: "10000000000000000".into(),
    };
    let bytes = len(description.encoded_len());
    vec![
        (
            any(&MsgCreateValidator {
                description: Some(description.clone()),
                commission: Some(commission),
                min_self_delegation: "1".into(),
                delegator_address: String::new(),
                validator_address: validator_address.clone(),
                pubkey: Some(any(&PubKey { key: vec![7; 32] })),
                value: amount.clone(),
            }),
            vec![bytes],
        ),
        (
            any(&MsgEditValidator {
                description: Some(description),
                validator_address: validator_address.clone(),
                commission_rate: String::new(),
                min_self_delegation: String::new(),
            }),
            vec![bytes],
        ),
        (
            any(&MsgDelegate {
                delegator_address: delegator_address.clone(),
                validator_address: validator_address.clone(),
                amount: amount.clone(),
            }),
            vec![],
        ),
        (
            any(&MsgUndelegate {
                delegator_address: delegator_address.clone(),
                validator_address: validator_address.clone(),
                amount: amount.clone(),
            }),
            vec![],
        ),
        (
            any(&MsgBeginRedelegate {
                delegator_address: delegator_address.clone(),
                validator_src_address: validator_address.clone(),
                validator_dst_address: other,
                amount: amount.clone(),
            }),
            vec![],
        ),
        (
            any(&MsgCancelUnbondingDelegation {
                delegator_address,
                validator_address: validator_address.clone(),
                amount,
                creation_height: 1,
            }),
            vec![],
        ),
        (any(&MsgUnjail { validator_addr: validator_address }), vec![]),
    ]
}

/// Of distribution.
fn rewards() -> Vec<(Any, Vec<u64>)> {
    let (me, you) = (Account::new(1).address, Account::new(2).address);
    let (delegator_address, validator_address) = (me.text(), you.operator_text());
    let withdraw = MsgWithdrawDelegatorReward {
        delegator_address: delegator_address.clone(),
        validator_address: validator_address.clone(),
    };
    let commission =
        MsgWithdrawValidatorCommission { validator_address: validator_address.clone() };
    let set = MsgSetWithdrawAddress { delegator_address, withdraw_address: you.text() };
    let fund = MsgFundCommunityPool { amount: vec![coin(5)], depositor: me.text() };
    let deposit = MsgDepositValidatorRewardsPool {
        depositor: me.text(),
        validator_address,
        amount: vec![coin(5)],
    };
    [any(&withdraw), any(&commission), any(&set), any(&fund), any(&deposit)]
        .map(|message| (message, vec![]))
        .into()
}

/// What proposals carry.
fn by_governance() -> Vec<(Any, Vec<u64>)> {
    let authority = authority().text();
    let (me, you) = (Account::new(1).address.text(), Account::new(2).address.text());
    let milestone = Milestone { title: "it runs".into(), amount_uxpl: "5".into() };
    let staking = plasma_modules::staking::default_genesis();
    let consensus = rules::default_consensus();
    let block = consensus.block.map(|block| BlockParams { max_gas: 2_000_000_000, ..block });
    #[allow(deprecated)]
    let plan = Plan { name: "second".into(), height: 9, ..Plan::default() };
    vec![
        (
            any(&token_pb::MsgUpdateParams {
                authority: authority.clone(),
                params: plasma_modules::token::default_genesis().params,
            }),
            vec![],
        ),
        (
            any(&market_pb::MsgUpdateParams {
                authority: authority.clone(),
                params: Some(plasma_modules::market::default_params()),
            }),
            vec![],
        ),
        (
            any(&consensus_pb::MsgUpdateParams {
                authority: authority.clone(),
                block,
                evidence: consensus.evidence,
                validator: consensus.validator,
                abci: None,
            }),
            vec![],
        ),
        (any(&MsgSoftwareUpgrade { authority: authority.clone(), plan: Some(plan) }), vec![]),
        (any(&MsgCancelUpgrade { authority: authority.clone() }), vec![]),
        (
            any(&plasma_proto::cosmos::staking::v1beta1::MsgUpdateParams {
                authority: authority.clone(),
                params: staking.params.clone(),
            }),
            vec![],
        ),
        (
            any(&plasma_proto::cosmos::slashing::v1beta1::MsgUpdateParams {
                authority: authority.clone(),
                params: staking.slashing_params.clone(),
            }),
            vec![],
        ),
        (
            any(&distribution_pb::MsgUpdateParams {
                authority: authority.clone(),
                params: staking.distribution.unwrap().params,
            }),
            vec![],
        ),
        (
            any(&distribution_pb::MsgCommunityPoolSpend {
                authority: authority.clone(),
                recipient: me.clone(),
                amount: vec![coin(5)],
            }),
            vec![],
        ),
        (
            any(&mint_pb::MsgUpdateParams {
                authority: authority.clone(),
                params: staking.mint.unwrap().params,
            }),
            vec![],
        ),
        (
            any(&gov::MsgUpdateParams {
                authority: authority.clone(),
                params: Some(plasma_modules::governance::default_params()),
            }),
            vec![],
        ),
        (
            any(&plasma_proto::plasma::price::v1::MsgUpdateParams {
                authority: authority.clone(),
                params: Some(plasma_modules::price::default_params()),
            }),
            vec![],
        ),
        (
            any(&plasma_proto::plasma::reward::v1::MsgUpdateParams {
                authority: authority.clone(),
                params: Some(plasma_modules::reward::default_params()),
            }),
            vec![],
        ),
        (
            any(&plasma_proto::plasma::attestation::v1::MsgUpdateParams {
                authority: authority.clone(),
                params: Some(plasma_modules::attestation::default_params()),
            }),
            vec![],
        ),
        (
            any(&MsgCreateGrant {
                authority: authority.clone(),
                recipient: me.clone(),
                title: "a wallet".into(),
                milestones: vec![milestone.clone(), milestone],
                reviewers: vec![you.clone()],
                threshold: 1,
                deadline_unix_s: 0,
            }),
            vec![3],
        ),
        (any(&MsgApproveMilestone { reviewer: you, grant_id: 1, milestone: 0 }), vec![]),
        (any(&MsgReleaseMilestone { authority, grant_id: 1, milestone: 0 }), vec![]),
        (any(&MsgCancelGrant { sender: me, grant_id: 1 }), vec![]),
    ]
}

#[test]
fn every_message_costs_what_the_page_says() {
    let page: BTreeMap<String, (u64, Vec<u64>)> = rows("Each message")
        .into_iter()
        .map(|row| {
            let per = row[2].split("; ").filter(|part| !part.is_empty()).map(number).collect();
            (format!("/{}", row[0].trim_matches('`')), (number(&row[1]), per))
        })
        .collect();
    let known: Vec<_> = page.keys().cloned().collect();
    let mut taken = Msg::type_urls();
    taken.sort();
    assert_eq!(known, taken, "docs/gas.md has a row for each message and no other");
    let mut seen = Vec::new();
    for (specimen, amounts) in specimens() {
        let (fixed, per) = &page[&specimen.type_url];
        assert_eq!(per.len(), amounts.len(), "{}", specimen.type_url);
        let variable: u64 = per.iter().zip(amounts).map(|(price, amount)| price * amount).sum();
        let msg = Msg::from_any(&specimen).unwrap();
        assert_eq!(msg.gas(), fixed + variable, "{}", specimen.type_url);
        seen.push(specimen.type_url);
    }
    seen.sort();
    assert_eq!(seen, taken, "a specimen of each message");
}
