//! Proposals, deposits, votes: what a vote comes to, what is carried out, what is refused, every
//! question about it, and that counts are what a plain recount finds.

#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod changes;
mod queries;
mod refusals;
mod stories;

use common::{Account, CHAIN_ID, Chain, XPL, any, coin};
use plasma_modules::{
    Address, Amount, Recorded, View,
    chain::{self, BlockOutput, TxResult},
    governance,
    query::Router,
};
use plasma_proto::{
    cosmos::gov::v1::{
        MsgDeposit, MsgSubmitProposal, MsgVote, MsgVoteWeighted, Params, Proposal, ProposalStatus,
        TallyResult, VoteOption, WeightedVoteOption,
    },
    plasma::{
        genesis::v1::GenesisState,
        market::v1::{Manifest, ModelFile, MsgPublishModel},
        staking::v1::Validator,
    },
};
use prost::Message;
use prost_types::{Any, Duration};

/// Stake of the three validators, XPL.
const STAKES: [u128; 3] = [1_000, 2_000, 3_000];
const DEPOSIT: u128 = 100 * XPL;
const EXPEDITED_DEPOSIT: u128 = 400 * XPL;
const VOTING_S: u64 = 100;
const EXPEDITED_S: u64 = 50;
/// What each account holds at first.
const HELD: u128 = 10_000 * XPL;

fn operator(at: usize) -> Account {
    Account::new([0xe0, 0xe1, 0xe2][at])
}

fn person(at: u8) -> Account {
    Account::new(at + 1)
}

fn params() -> Params {
    let seconds = |seconds: u64| Some(Duration { seconds: seconds.cast_signed(), nanos: 0 });
    Params {
        min_deposit: vec![coin(DEPOSIT)],
        expedited_min_deposit: vec![coin(EXPEDITED_DEPOSIT)],
        max_deposit_period: seconds(VOTING_S),
        voting_period: seconds(VOTING_S),
        expedited_voting_period: seconds(EXPEDITED_S),
        ..governance::default_params()
    }
}

fn genesis(params: Params) -> GenesisState {
    let people = (0..4).map(person).chain((0..3).map(operator));
    let holders: Vec<_> = people.map(|who| (who.address, Amount::new(HELD))).collect();
    let validators = STAKES.into_iter().enumerate().map(|(at, xpl)| Validator {
        operator: operator(at).address.text(),
        consensus_pubkey: vec![0xe0 + u8::try_from(at).unwrap(); 32],
        moniker: format!("validator {at}"),
        tokens_uxpl: (xpl * XPL).to_string(),
    });
    let mut genesis = chain::new_genesis(&holders, validators.collect()).unwrap();
    genesis.governance.as_mut().unwrap().params = Some(params);
    genesis
}

fn start() -> Chain {
    Chain::new(&genesis(params()))
}

/// Runs one transaction in a block of its own.
fn run(chain: &mut Chain, from: &Account, msg: Any) -> TxResult {
    let mut draft = chain.draft(from, vec![msg]);
    draft.gas = 3_000_000;
    let tx = draft.sign(from);
    let result = chain.block(&[tx]).remove(0);
    for event in &result.events {
        assert!(event.attributes.iter().all(|(key, _)| !key.is_empty()), "{event:?}");
    }
    result
}

/// Runs one that is carried out.
fn done(chain: &mut Chain, from: &Account, msg: Any) -> TxResult {
    let result = run(chain, from, msg);
    assert_eq!(result.code, 0, "{}", result.log);
    result
}

/// Blocks of ten seconds, until as many have passed; what happened in them.
fn pass(chain: &mut Chain, seconds: u64) -> Vec<Recorded> {
    let mut events = Vec::new();
    for _ in 0..seconds / governance::SECONDS_PER_BLOCK {
        let BlockOutput { events: more, .. } =
            chain.block_after(governance::SECONDS_PER_BLOCK, &[]);
        events.extend(more);
    }
    events
}

fn submission(proposer: &Account, deposit: u128, messages: Vec<Any>) -> MsgSubmitProposal {
    MsgSubmitProposal {
        messages,
        initial_deposit: vec![coin(deposit)],
        proposer: proposer.address.text(),
        metadata: "ipfs://plan".into(),
        title: "A plan".into(),
        summary: "What is planned".into(),
        expedited: false,
    }
}

/// Submits it; the id that it got.
fn submit(chain: &mut Chain, proposer: &Account, msg: &MsgSubmitProposal) -> u64 {
    let next = chain::export(&chain.store).governance.unwrap().next_proposal_id;
    done(chain, proposer, any(msg));
    next
}

fn vote(voter: &Account, proposal_id: u64, option: VoteOption) -> Any {
    let (voter, option) = (voter.address.text(), option.into());
    any(&MsgVote { proposal_id, voter, option, metadata: String::new() })
}

fn weighted(voter: &Account, proposal_id: u64, parts: &[(VoteOption, &str)]) -> Any {
    let part = |(option, weight): &(VoteOption, &str)| WeightedVoteOption {
        option: (*option).into(),
        weight: (*weight).into(),
    };
    any(&MsgVoteWeighted {
        proposal_id,
        voter: voter.address.text(),
        options: parts.iter().map(part).collect(),
        metadata: String::new(),
    })
}

fn deposit(depositor: &Account, proposal_id: u64, units: u128) -> Any {
    let depositor = depositor.address.text();
    any(&MsgDeposit { proposal_id, depositor, amount: vec![coin(units)] })
}

fn found(chain: &Chain, id: u64) -> Proposal {
    governance::proposal(&chain.store, id).unwrap()
}

fn status(chain: &Chain, id: u64) -> ProposalStatus {
    found(chain, id).status()
}

/// Counts in XPL: yes, abstain, no, no with veto.
fn counts(tally: &TallyResult) -> [u128; 4] {
    let TallyResult { yes_count, abstain_count, no_count, no_with_veto_count } = tally;
    [yes_count, abstain_count, no_count, no_with_veto_count]
        .map(|text| text.parse::<u128>().unwrap() / XPL)
}

fn manifest(name: &str) -> Manifest {
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

/// A message that governance can carry out, once per name.
fn publish(name: &str) -> Any {
    any(&MsgPublishModel {
        publisher: governance::authority().text(),
        manifest: Some(manifest(name)),
        royalty_bps: 0,
    })
}

fn is_published(chain: &Chain, name: &str) -> bool {
    use plasma_modules::market;
    market::model(&chain.store, &market::model_id(&manifest(name))).is_some()
}

fn event<'e>(events: &'e [Recorded], kind: &str) -> &'e Recorded {
    events
        .iter()
        .find(|event| event.kind == kind)
        .unwrap_or_else(|| panic!("no {kind}: {events:?}"))
}

fn attribute<'e>(event: &'e Recorded, key: &str) -> &'e str {
    let found = event.attributes.iter().find(|(name, _)| *name == key);
    &found.unwrap_or_else(|| panic!("no {key} in {event:?}")).1
}

/// Asks as the three doors do: bytes in, bytes out. `Err` is the log of an ABCI answer.
fn ask<Q: Message, A: Message + Default>(
    chain: &Chain,
    path: &str,
    request: &Q,
) -> Result<A, String> {
    let block = chain::current_block(&chain.store, CHAIN_ID, chain.height, chain.time_s);
    let view = View { store: &chain.store, block: &block };
    let answer = Router::new().call(path, &view, &request.encode_to_vec());
    answer.map(|bytes| A::decode(bytes.as_slice()).unwrap()).map_err(|error| error.log())
}

fn gov() -> Address {
    governance::authority()
}
