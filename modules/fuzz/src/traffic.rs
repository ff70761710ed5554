//! Messages of every type that a chain's state would take now, and some that it would not.

use ed25519_dalek::{Signer, SigningKey};
use plasma_modules::{
    Address, Dec,
    attestation::{beacon, receipt_digest, text_hash, tokens_hash},
    governance::{self, grants},
    market::{self, register_digest},
    staking,
    types::sha256,
};
use plasma_proto::{
    cosmos::{
        authz::v1beta1::{GenericAuthorization, Grant, MsgExec, MsgGrant, MsgRevoke},
        bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output as BankOutput, SendAuthorization},
        crypto::ed25519::PubKey,
        distribution::v1beta1::{
            MsgDepositValidatorRewardsPool, MsgFundCommunityPool, MsgSetWithdrawAddress,
            MsgWithdrawDelegatorReward, MsgWithdrawValidatorCommission,
        },
        feegrant::v1beta1::{
            BasicAllowance, MsgGrantAllowance, MsgPruneAllowances, MsgRevokeAllowance,
            PeriodicAllowance,
        },
        gov::{
            v1::{
                MsgCancelProposal, MsgDeposit, MsgSubmitProposal, MsgVote, MsgVoteWeighted,
                Proposal, ProposalStatus, WeightedVoteOption,
            },
            v1beta1 as gov_legacy,
        },
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
        attestation::v1::{FinishReason, MsgSetBeaconKey, MsgSubmitReceipt, Receipt},
        governance::v1::{GrantStatus, MsgApproveMilestone, MsgCancelGrant},
        market::v1::{
            Ask, Hardware, Job, JobState, Manifest, ModelFile, MsgAddBond, MsgCancelJob,
            MsgDeclineJob, MsgDeregisterProvider, MsgPublishModel, MsgRegisterProvider,
            MsgSubmitJob, MsgUpdateProvider, MsgWithdrawBond, Outcome, Output, Sampling,
        },
        reward::v1::MsgClaimReward,
    },
};
use prost::{Message, Name};
use prost_types::{Any, Duration, Timestamp};

use super::chain::{
    ALICE, BOB, CHAIN_ID, Chain, DEPOSIT, GRANTS, GROUP, OPERATOR, VALIDATOR_OPERATOR, XPL,
    address, any, coin, text,
};
use super::{arena, court};

/// A model that somebody serves, and one that nobody does.
pub const SERVED: &str = "one";
pub const LONELY: &str = "lonely";
/// One whose claims are audited, and one whose claims are challenged.
pub const JUDGED: &str = "judged";
pub const REFEREED: &str = "refereed";
const SAMPLING: Sampling = Sampling { temperature_milli: 0, top_p_milli: 1_000, seed: 7 };
/// Jobs that are answered at once, at most.
const ANSWERS_MAX: usize = 4;

pub fn manifest(name: &str) -> Manifest {
    Manifest {
        name: name.into(),
        architecture: "llama".into(),
        dtype: "f32".into(),
        tokenizer: "bytes".into(),
        licence: "Apache-2.0".into(),
        base_model: vec![],
        context_tokens: 512,
        template_tokens_max: 32,
        files: vec![ModelFile { path: "m".into(), sha256: vec![5; 32], size_bytes: 1 }],
    }
}

pub fn publish(name: &str) -> Any {
    any(&MsgPublishModel {
        publisher: text(ALICE),
        manifest: Some(manifest(name)),
        royalty_bps: 100,
    })
}

fn ask() -> Ask {
    ask_for(SERVED)
}

fn ask_for(model: &str) -> Ask {
    Ask {
        model_id: market::model_id(&manifest(model)).to_vec(),
        fresh_uxpl_per_mtok: 1_000_000,
        cached_uxpl_per_mtok: 100_000,
        output_uxpl_per_mtok: 4_000_000,
        slots: 8,
    }
}

/// What a provider signs receipts with.
pub fn receipt_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed + 100; 32])
}

fn register(seed: u8) -> Any {
    register_with(seed, vec![ask()])
}

/// A provider that judges and serves nothing.
pub fn register_without_asks(seed: u8) -> Any {
    register_with(seed, vec![])
}

/// A provider's asks for all models that somebody serves.
pub fn serve_all(seed: u8) -> Any {
    serve(seed, &[SERVED, JUDGED, REFEREED])
}

/// A provider's asks for these.
pub fn serve(seed: u8, models: &[&str]) -> Any {
    any(&MsgUpdateProvider {
        operator: text(seed),
        endpoint: "https://rig.example".into(),
        asks: models.iter().map(|model| ask_for(model)).collect(),
        ..MsgUpdateProvider::default()
    })
}

fn register_with(seed: u8, asks: Vec<Ask>) -> Any {
    let key = receipt_key(seed);
    let public = key.verifying_key().to_bytes();
    any(&MsgRegisterProvider {
        operator: text(seed),
        receipt_key: public.into(),
        receipt_key_proof: key.sign(&register_digest(CHAIN_ID, address(seed), &public)).to_vec(),
        endpoint: "https://rig.example:8443".into(),
        tls_key_hash: vec![],
        hardware: Some(Hardware { device: "cpu".into(), ..Hardware::default() }),
        region: "eu".into(),
        bond_uxpl: (1_000 * XPL).to_string(),
        asks,
    })
}

/// Of a validator that proposes no block here.
fn beacon_key(seed: u8) -> Any {
    let key = beacon::SecretKey::from_random([seed; 32]).expect("a seed above zero");
    any(&MsgSetBeaconKey {
        operator: text(seed),
        public_key: key.public().to_vec(),
        proof: beacon::prove_possession(&key, CHAIN_ID, address(seed)).to_vec(),
    })
}

pub fn submit(model: &str) -> Any {
    any(&MsgSubmitJob {
        requester: text(ALICE),
        model_id: market::model_id(&manifest(model)).to_vec(),
        input: "What is the capital of France?".into(),
        max_tokens: 16,
        sampling: Some(SAMPLING),
        max_fee_uxpl: XPL.to_string(),
        deadline_unix_s: 0,
        stop: vec!["\n".into()],
        referral: text(BOB),
    })
}

pub fn answer(job: &Job, key: &SigningKey, carrier: u8) -> MsgSubmitReceipt {
    let output = Output { token_ids: vec![10, 11, 12], text: "Paris.".into() };
    let mut receipt = Receipt {
        version: 1,
        chain_id: CHAIN_ID.into(),
        job_id: job.id,
        attempt: job.attempt,
        receipt_key: key.verifying_key().to_bytes().into(),
        model_id: job.model_id.clone(),
        kernel_id: "fuzz".into(),
        outcome: Outcome::Ok.into(),
        finish_reason: FinishReason::Eos.into(),
        request_hash: job.request_hash.clone(),
        prompt_tokens_hash: tokens_hash(&[1, 2, 3]).into(),
        output_tokens_hash: tokens_hash(&output.token_ids).into(),
        response_hash: text_hash(&output.text).into(),
        n_fresh: 30,
        n_cached: 0,
        n_out: 3,
        sampling: Some(SAMPLING),
        fingerprint_root: court::root(job.id).into(),
        t_first_ms: 5,
        t_total_ms: 9,
        charge_uxpl: "42".into(),
        signature: vec![],
    };
    arena::mark(&mut receipt);
    receipt.signature = key.sign(&receipt_digest(&receipt)).to_vec();
    MsgSubmitReceipt { carrier: text(carrier), receipt: Some(receipt), output: Some(output) }
}

fn decline(job: &Job, key: &SigningKey) -> Any {
    let mut decline = MsgDeclineJob {
        carrier: text(BOB),
        job_id: job.id,
        attempt: job.attempt,
        reason: "no memory".into(),
        signature: vec![],
    };
    decline.signature = key.sign(&market::decline_digest(CHAIN_ID, &decline)).to_vec();
    any(&decline)
}

fn send(from: u8, to: Address, units: u128) -> Any {
    any(&MsgSend { from_address: text(from), to_address: to.text(), amount: vec![coin(units)] })
}

fn exec(grantee: u8, msgs: Vec<Any>) -> Any {
    any(&MsgExec { grantee: text(grantee), msgs })
}

fn allow(granter: u8, grantee: Address, allowance: Any) -> Any {
    let (granter, grantee) = (text(granter), grantee.text());
    any(&MsgGrantAllowance { granter, grantee, allowance: Some(allowance) })
}

fn grant(granter: u8, grantee: Address, what: Any, expiration: Option<Timestamp>) -> Any {
    let grant = Some(Grant { authorization: Some(what), expiration });
    any(&MsgGrant { granter: text(granter), grantee: grantee.text(), grant })
}

fn generic<M: Name>() -> Any {
    any(&GenericAuthorization { msg: M::type_url() })
}

/// Asks for models to be published in governance's name.
fn propose(proposer: u8, deposit: u128, names: &[&str], expedited: bool) -> Any {
    let publish = |name: &&str| {
        any(&MsgPublishModel {
            publisher: governance::authority().text(),
            manifest: Some(manifest(name)),
            royalty_bps: 0,
        })
    };
    any(&MsgSubmitProposal {
        messages: names.iter().map(publish).collect(),
        initial_deposit: vec![coin(deposit)],
        proposer: text(proposer),
        metadata: "{}".into(),
        title: "A plan".into(),
        summary: "What is planned".into(),
        expedited,
    })
}

/// What depositors, voters and a proposer would do with the proposals under way.
fn governing(chain: &Chain) -> Vec<(u8, Any)> {
    let all = governance::under_way(&chain.store);
    let mut messages = Vec::new();
    let stage = |status: ProposalStatus| {
        all.iter().filter(move |proposal| proposal.status() == status).map(|p: &Proposal| p.id)
    };
    for proposal_id in stage(ProposalStatus::DepositPeriod).take(2) {
        let amount = vec![coin(DEPOSIT / 4)];
        let depositor = text(BOB);
        let deposit =
            MsgDeposit { proposal_id, depositor: depositor.clone(), amount: amount.clone() };
        messages.push((BOB, any(&deposit)));
        messages.push((BOB, any(&gov_legacy::MsgDeposit { proposal_id, depositor, amount })));
        messages.push((ALICE, any(&MsgCancelProposal { proposal_id, proposer: text(ALICE) })));
    }
    for proposal_id in stage(ProposalStatus::VotingPeriod).take(2) {
        let part =
            |(option, weight): (i32, &str)| WeightedVoteOption { option, weight: weight.into() };
        messages.push((
            ALICE,
            any(&MsgVote { proposal_id, voter: text(ALICE), option: 1, metadata: "{}".into() }),
        ));
        messages.push((
            GROUP,
            any(&MsgVoteWeighted {
                proposal_id,
                voter: text(GROUP),
                options: [(1, "0.3"), (4, "0.7")].map(part).into(),
                metadata: String::new(),
            }),
        ));
        // Who has the stake: what is proposed is carried out.
        let voter = text(VALIDATOR_OPERATOR);
        let yes = MsgVote { proposal_id, voter, option: 1, metadata: String::new() };
        messages.push((VALIDATOR_OPERATOR, any(&yes)));
        let vote = gov_legacy::MsgVote { proposal_id, voter: text(OPERATOR), option: 3 };
        messages.push((OPERATOR, any(&vote)));
        let part = |(option, weight): (i32, &str)| gov_legacy::WeightedVoteOption {
            option,
            weight: weight.into(),
        };
        messages.push((
            BOB,
            any(&gov_legacy::MsgVoteWeighted {
                proposal_id,
                voter: text(BOB),
                options: [(1, "900000000000000000"), (2, "100000000000000000")].map(part).into(),
            }),
        ));
    }
    messages
}

/// What is carried out first, one block each: stake and some that unbonds, models, a provider, an
/// assigned job, an open one that nobody serves, allowances and grants, a proposal that is voted on and
/// one that waits.
pub fn story() -> Vec<(u8, Any)> {
    let validator_address = address(VALIDATOR_OPERATOR).operator_text();
    let stake = MsgDelegate {
        delegator_address: text(ALICE),
        validator_address: validator_address.clone(),
        amount: Some(coin(20 * XPL)),
    };
    let unbond = MsgUndelegate {
        delegator_address: text(VALIDATOR_OPERATOR),
        validator_address,
        amount: Some(coin(5 * XPL)),
    };
    vec![
        (ALICE, any(&stake)),
        (VALIDATOR_OPERATOR, any(&unbond)),
        (ALICE, publish(SERVED)),
        (ALICE, publish(LONELY)),
        (OPERATOR, register(OPERATOR)),
        (ALICE, submit(SERVED)),
        (ALICE, submit(LONELY)),
        (ALICE, allow(ALICE, address(BOB), any(&BasicAllowance::default()))),
        (ALICE, allow(ALICE, address(GROUP), any(&BasicAllowance::default()))),
        (BOB, grant(BOB, address(ALICE), generic::<MsgSend>(), None)),
        (ALICE, grant(ALICE, address(BOB), generic::<MsgExec>(), None)),
        (BOB, grant(BOB, address(OPERATOR), generic::<MsgSubmitReceipt>(), None)),
        (ALICE, propose(ALICE, DEPOSIT, &["voted"], false)),
        (ALICE, propose(ALICE, DEPOSIT / 5, &[], false)),
    ]
}

/// Messages with who signs them. `salt` makes names and addresses that are new.
pub fn messages(chain: &Chain, salt: u64) -> Vec<(u8, Any)> {
    let fresh = |tag: u8| {
        let hash = sha256(&[&salt.to_be_bytes()[..], &[tag]].concat());
        Address(std::array::from_fn(|at| hash[at]))
    };
    let in_s = |seconds: u64| {
        let seconds = i64::try_from(chain.time_s + seconds).unwrap_or(i64::MAX);
        Timestamp { seconds, nanos: 0 }
    };
    let (units, some) = (XPL.to_string(), || vec![coin(XPL)]);
    let spends = |units: u128| {
        any(&SendAuthorization { spend_limit: vec![coin(units)], allow_list: vec![] })
    };
    let until = |seconds: u64| {
        any(&BasicAllowance { spend_limit: some(), expiration: Some(in_s(seconds)) })
    };
    let periodic = PeriodicAllowance {
        basic: Some(BasicAllowance { spend_limit: vec![], expiration: Some(in_s(60)) }),
        period: Some(Duration { seconds: 10, nanos: 0 }),
        period_spend_limit: some(),
        period_can_spend: some(),
        period_reset: Some(in_s(10)),
    };
    let validator = address(VALIDATOR_OPERATOR).operator_text();
    let period = |length: i64| Period { length, amount: some() };
    let mut messages = vec![
        (ALICE, send(ALICE, address(BOB), XPL)),
        (BOB, send(BOB, fresh(0), XPL)),
        (GROUP, send(GROUP, address(ALICE), XPL)),
        (BOB, send(BOB, Address::of_module("market_escrow"), XPL)),
        (BOB, send(BOB, address(ALICE), u128::MAX)),
        (
            ALICE,
            any(&MsgMultiSend {
                inputs: vec![Input { address: text(ALICE), coins: vec![coin(2 * XPL)] }],
                outputs: [BOB, OPERATOR]
                    .map(|to| BankOutput { address: text(to), coins: some() })
                    .into(),
            }),
        ),
        (
            GROUP,
            any(&MsgCreateVestingAccount {
                from_address: text(GROUP),
                to_address: fresh(1).text(),
                amount: some(),
                end_time: in_s(100).seconds,
                delayed: salt % 2 == 1,
            }),
        ),
        (
            BOB,
            any(&MsgCreatePermanentLockedAccount {
                from_address: text(BOB),
                to_address: fresh(2).text(),
                amount: some(),
            }),
        ),
        (
            BOB,
            any(&MsgCreatePeriodicVestingAccount {
                from_address: text(BOB),
                to_address: fresh(3).text(),
                start_time: in_s(0).seconds,
                vesting_periods: vec![period(5), period(50)],
            }),
        ),
        (BOB, allow(BOB, fresh(4), until(20))),
        (BOB, allow(BOB, fresh(5), any(&periodic))),
        (ALICE, allow(ALICE, address(OPERATOR), until(10))),
        (ALICE, any(&MsgRevokeAllowance { granter: text(ALICE), grantee: text(OPERATOR) })),
        (ALICE, any(&MsgRevokeAllowance { granter: text(ALICE), grantee: text(BOB) })),
        (ALICE, allow(ALICE, address(BOB), any(&BasicAllowance::default()))),
        (GROUP, any(&MsgPruneAllowances { pruner: text(GROUP) })),
        (BOB, grant(BOB, address(ALICE), spends(5 * XPL), None)),
        (BOB, grant(BOB, address(ALICE), generic::<MsgSend>(), Some(in_s(10)))),
        (ALICE, grant(ALICE, fresh(6), generic::<MsgExec>(), Some(in_s(20)))),
        (ALICE, grant(ALICE, address(BOB), generic::<MsgExec>(), None)),
        (ALICE, exec(ALICE, vec![send(BOB, address(ALICE), XPL), send(ALICE, address(BOB), 1)])),
        // As alice, who acts as bob.
        (BOB, exec(BOB, vec![exec(ALICE, vec![send(BOB, address(GROUP), 1)])])),
        (ALICE, exec(ALICE, vec![exec(ALICE, vec![exec(ALICE, vec![])])])),
        (
            BOB,
            any(&MsgRevoke {
                granter: text(BOB),
                grantee: text(ALICE),
                msg_type_url: MsgSend::type_url(),
            }),
        ),
        (
            VALIDATOR_OPERATOR,
            any(&MsgWithdrawDelegatorReward {
                delegator_address: text(VALIDATOR_OPERATOR),
                validator_address: validator.clone(),
            }),
        ),
        (
            VALIDATOR_OPERATOR,
            any(&MsgWithdrawValidatorCommission { validator_address: validator.clone() }),
        ),
        (
            VALIDATOR_OPERATOR,
            any(&MsgSetWithdrawAddress {
                delegator_address: text(VALIDATOR_OPERATOR),
                withdraw_address: if salt % 2 == 1 { text(BOB) } else { fresh(7).text() },
            }),
        ),
        (BOB, any(&MsgFundCommunityPool { amount: some(), depositor: text(BOB) })),
        (
            ALICE,
            any(&MsgDepositValidatorRewardsPool {
                depositor: text(ALICE),
                validator_address: validator,
                amount: some(),
            }),
        ),
        (ALICE, publish(&format!("model {salt}"))),
        (BOB, register(BOB)),
        (ALICE, submit(SERVED)),
        (ALICE, submit(LONELY)),
        (OPERATOR, any(&MsgAddBond { operator: text(OPERATOR), amount_uxpl: units.clone() })),
        (OPERATOR, any(&MsgWithdrawBond { operator: text(OPERATOR), amount_uxpl: units })),
        (OPERATOR, any(&MsgClaimReward { operator: text(OPERATOR) })),
        (OPERATOR, beacon_key(OPERATOR)),
        (BOB, any(&MsgDeregisterProvider { operator: text(BOB) })),
        (OPERATOR, serve_all(OPERATOR)),
    ];
    let (one, two) = (format!("proposed {salt}"), format!("proposed too {salt}"));
    messages.push((ALICE, propose(ALICE, DEPOSIT, &[&one, &two], false)));
    messages.push((ALICE, propose(ALICE, 2 * DEPOSIT, &[SERVED], true)));
    let opinion =
        gov_legacy::TextProposal { title: "Well?".into(), description: "Is it well?".into() };
    messages.push((
        ALICE,
        any(&gov_legacy::MsgSubmitProposal {
            content: Some(any(&opinion)),
            initial_deposit: vec![coin(DEPOSIT / 5)],
            proposer: text(ALICE),
        }),
    ));
    messages.extend(governing(chain));
    let open = |id: &u64| {
        let grant = grants::grant(&chain.store, *id)?;
        (grant.status() == GrantStatus::Open).then_some(grant)
    };
    if let Some(grant) = (1..=GRANTS).find_map(|id| open(&id)) {
        let (grant_id, milestone) = (grant.id, grant.released);
        for seed in [ALICE, OPERATOR] {
            let reviewer = text(seed);
            let approval = MsgApproveMilestone { reviewer, grant_id, milestone };
            messages.push((seed, any(&approval)));
        }
    }
    if let Some(grant) = (1..=GRANTS).rev().find_map(|id| open(&id)) {
        messages.push((BOB, any(&MsgCancelGrant { sender: text(BOB), grant_id: grant.id })));
    }
    messages.extend(stakes(chain, salt));
    messages.extend(court::messages(chain));
    messages.extend(arena::messages(chain));
    let jobs: Vec<Job> = chain.jobs().collect();
    let open = jobs.iter().find(|job| job.state() == JobState::Open);
    messages.extend(
        open.map(|job| (ALICE, any(&MsgCancelJob { requester: text(ALICE), job_id: job.id }))),
    );
    let assigned = jobs.iter().filter(|job| job.state() == JobState::Assigned);
    for (at, job) in assigned.take(ANSWERS_MAX).enumerate() {
        let seed = if job.provider == text(BOB) { BOB } else { OPERATOR };
        let key = receipt_key(seed);
        messages.push(match at % 3 {
            0 => (seed, any(&answer(job, &key, seed))),
            1 => (BOB, decline(job, &key)),
            _ => (OPERATOR, exec(OPERATOR, vec![any(&answer(job, &key, BOB))])),
        });
        if at == 0 {
            messages.push((BOB, decline(job, &key)));
        }
    }
    messages
}

/// The transactions of each block, from the first on, a second apart.
pub type Opening = Vec<Vec<Vec<u8>>>;

/// A chain on which the story has happened, with the blocks that made it what it became.
pub fn begin(signs: bool) -> (Chain, Opening) {
    let mut chain = Chain::new(signs);
    let mut blocks = Opening::new();
    let story = story();
    // Proposals come last: they do not wait for long.
    let proposals = story.len().saturating_sub(2);
    for (at, (seed, message)) in story.into_iter().enumerate() {
        if at == proposals {
            arena::play(&mut chain, &mut blocks);
            court::sit(&mut chain, &mut blocks);
        }
        court::carry_out(&mut chain, &mut blocks, seed, vec![message]);
    }
    court::claim(&mut chain, &mut blocks);
    (chain, blocks)
}

/// The type of a message that was carried out, for counting.
pub fn kinds(data: &[u8]) -> Vec<String> {
    use plasma_proto::cosmos::base::abci::v1beta1::TxMsgData;
    let data = TxMsgData::decode(data).unwrap_or_default();
    data.msg_responses.into_iter().map(|response| response.type_url).collect()
}

/// Alice and bob stake; alice becomes a validator, and one that is jailed at the genesis comes back.
#[allow(deprecated)]
fn stakes(chain: &Chain, salt: u64) -> Vec<(u8, Any)> {
    let [first, second] = [VALIDATOR_OPERATOR, OPERATOR].map(|of| address(of).operator_text());
    let amount = |xpl: u128| Some(coin(xpl * XPL));
    let some = u128::from(salt % 8) + 1;
    let key = sha256(&salt.to_be_bytes()).to_vec();
    let delegate = |seed: u8, to: &str| {
        any(&MsgDelegate {
            delegator_address: text(seed),
            validator_address: to.into(),
            amount: amount(some),
        })
    };
    let undelegate = |seed: u8, of: &str, xpl: u128| {
        any(&MsgUndelegate {
            delegator_address: text(seed),
            validator_address: of.into(),
            amount: amount(xpl),
        })
    };
    let redelegate = |from: &str, to: &str| {
        any(&MsgBeginRedelegate {
            delegator_address: text(ALICE),
            validator_src_address: from.into(),
            validator_dst_address: to.into(),
            amount: amount(1),
        })
    };
    let operator = address(VALIDATOR_OPERATOR);
    let unbonding = staking::unbonding(&chain.store, operator, operator);
    let entry = unbonding.and_then(|stake| stake.entries.first().map(|one| one.creation_height));
    let bps = |n: u32| Dec::bps(n).text();
    vec![
        (ALICE, delegate(ALICE, &first)),
        (BOB, delegate(BOB, &first)),
        (ALICE, undelegate(ALICE, &first, 1)),
        (VALIDATOR_OPERATOR, undelegate(VALIDATOR_OPERATOR, &first, some)),
        (OPERATOR, undelegate(OPERATOR, &second, some)),
        (ALICE, redelegate(&first, &second)),
        (ALICE, redelegate(&second, &first)),
        (
            VALIDATOR_OPERATOR,
            any(&MsgCancelUnbondingDelegation {
                delegator_address: text(VALIDATOR_OPERATOR),
                validator_address: first,
                amount: amount(1),
                creation_height: entry.unwrap_or(1),
            }),
        ),
        (OPERATOR, any(&MsgUnjail { validator_addr: second.clone() })),
        (
            OPERATOR,
            any(&MsgEditValidator {
                description: Some(Description {
                    moniker: format!("rig {salt}"),
                    details: staking::DO_NOT_MODIFY.into(),
                    ..Description::default()
                }),
                validator_address: second,
                commission_rate: String::new(),
                min_self_delegation: String::new(),
            }),
        ),
        (
            ALICE,
            any(&MsgCreateValidator {
                description: Some(Description { moniker: "a".into(), ..Description::default() }),
                commission: Some(CommissionRates {
                    rate: bps(500),
                    max_rate: bps(1_000),
                    max_change_rate: bps(100),
                }),
                min_self_delegation: "1".into(),
                delegator_address: text(ALICE),
                validator_address: address(ALICE).operator_text(),
                pubkey: Some(any(&PubKey { key })),
                value: amount(some),
            }),
        ),
    ]
}
