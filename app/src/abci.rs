//! The door that CometBFT comes through: the only file that knows ABCI 0.38.
//!
//! A listener of our own on tendermint-abci's trait and messages: unix socket or TCP, one thread
//! per connection, messages decoded without copying, replies written together once the input is
//! drained or CometBFT asks for a flush.
//!
//! CometBFT ends itself at an exception, so nothing that others can send may cause one: a panic in
//! CheckTx and Query is a refusal, in PrepareProposal an empty proposal, in ProcessProposal a
//! rejection, with snapshots the end of that snapshot. In InitChain, FinalizeBlock and Commit it stops
//! the process, because a wrong ledger is worse than a stopped node.

mod listener;
mod timed;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use plasma_modules::{
    Recorded,
    chain::{Misbehavior, Offence, TxResult, ValidatorUpdate, Vote},
    governance::upgrade::Due,
};
use plasma_proto::tendermint::types::{
    AbciParams, BlockParams, ConsensusParams, EvidenceParams, ValidatorParams, VersionParams,
};
use tendermint_abci::Application;
use tendermint_proto::{
    google::protobuf::{Duration, Timestamp},
    v0_38::{
        abci::{self as pb, CheckTxType, response_process_proposal::ProposalStatus},
        crypto::{ProofOp, ProofOps, PublicKey, public_key::Sum},
        types::{self, BlockIdFlag},
    },
};

use crate::{
    VERSION, commit,
    doors::Doors,
    files::genesis,
    index::IndexedBlock,
    node::{Decided, Node, NodeError, Proposed},
    statesync::{Applied, Offered, Snapshot},
};

pub use listener::{Connections, ListenError, Listener, MESSAGE_BYTES_MAX};
pub use timed::Timed;

/// Exit status of a program that does not know the rules of the next block.
pub const EXIT_UPGRADE: u8 = 78;

/// Result code of a call that could not be answered, codespace `sdk`.
const CODE_INVALID: u32 = 18;
const CODE_UNKNOWN_PATH: u32 = 6;
/// The SDK's "internal logic error".
const CODE_PANIC: u32 = 35;
const CODESPACE: &str = "sdk";

/// Names of the proof's steps.
pub(crate) const PROOF_IN_STORE: &str = "ics23:jmt";
pub(crate) const PROOF_OF_STORE: &str = "ics23:simple";

/// The chain, as CometBFT sees it. Clones share one node.
#[derive(Clone)]
pub struct App {
    node: Arc<Node>,
    doors: Arc<Doors>,
}

impl App {
    /// A node behind ABCI.
    pub fn new(doors: Arc<Doors>) -> Self {
        Self { node: Arc::clone(doors.node()), doors }
    }

    /// Does `work` for a call that must be answered whatever happens; `None` if it panicked.
    fn survive<T>(&self, call: &str, work: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(work))
            .inspect_err(|panic| {
                self.node.metrics().panicked();
                tracing::error!("{call}: panic: {}", panic_text(&**panic));
            })
            .ok()
    }

    fn prove(node: &Node, store: &str, request: &pb::RequestQuery) -> pb::ResponseQuery {
        let Some(store) = commit::Store::named(store) else {
            return refused(node, CODE_UNKNOWN_PATH, format!("there is no store {store:?}"));
        };
        let height = u64::try_from(request.height).unwrap_or_default();
        if !request.prove {
            let (reader, head) = match node.reader_at(height) {
                Ok(found) => found,
                Err(error) => return refused(node, CODE_INVALID, error.to_string()),
            };
            let value = match store {
                commit::Store::Plasma => plasma_modules::Read::get(&reader, &request.data),
                commit::Store::Ibc => None,
            };
            return pb::ResponseQuery {
                key: request.data.clone(),
                value: value.unwrap_or_default().into(),
                height: head.height.cast_signed(),
                ..Default::default()
            };
        }
        let (proven, head) = match node.prove(height, store, request.data.to_vec()) {
            Ok(proven) => proven,
            Err(error) => return refused(node, CODE_INVALID, error.to_string()),
        };
        let op = |kind: &str, key: Vec<u8>, data| ProofOp { r#type: kind.into(), key, data };
        let name = store.name().as_bytes().to_vec();
        pb::ResponseQuery {
            key: request.data.clone(),
            value: proven.value.unwrap_or_default().into(),
            proof_ops: Some(ProofOps {
                ops: vec![
                    op(PROOF_IN_STORE, request.data.to_vec(), proven.in_store),
                    op(PROOF_OF_STORE, name, proven.of_store),
                ],
            }),
            height: head.height.cast_signed(),
            ..Default::default()
        }
    }
}

fn newest(node: &Node) -> i64 {
    node.head().map_or(0, |head| head.height.cast_signed())
}

fn refused(node: &Node, code: u32, log: String) -> pb::ResponseQuery {
    let (codespace, height) = (CODESPACE.into(), newest(node));
    pb::ResponseQuery { code, log, codespace, height, ..Default::default() }
}

/// Answers an ABCI query, whatever door it came by.
pub(crate) fn query(doors: &Doors, request: &pb::RequestQuery) -> pb::ResponseQuery {
    let node = doors.node();
    let path = request.path.trim_start_matches('/');
    if path == "app/version" {
        let (value, height) = (VERSION.into(), newest(node));
        return pb::ResponseQuery { value, height, ..Default::default() };
    }
    if let Some(rest) = path.strip_prefix("store/") {
        return match rest.strip_suffix("/key") {
            Some(store) => App::prove(node, store, request),
            None => {
                refused(node, CODE_UNKNOWN_PATH, format!("unknown query path {:?}", request.path))
            }
        };
    }
    let path = format!("/{path}");
    match doors.answer(&path, height(request.height), &request.data) {
        Ok(answer) => pb::ResponseQuery {
            value: answer.value.into(),
            height: answer.height.cast_signed(),
            ..Default::default()
        },
        Err(failure) => pb::ResponseQuery {
            codespace: failure.codespace.into(),
            ..refused(node, failure.abci, failure.log)
        },
    }
}

/// Stops the process: what CometBFT asked for must not be answered with anything else.
fn abort(call: &str, why: impl std::fmt::Display) -> ! {
    tracing::error!("{call}: {why}; the node stops");
    eprintln!("plasmad: {call}: {why}; the node stops");
    std::process::abort()
}

/// Stops the process before a block whose rules it does not know. Nothing of the block was done, so
/// that the release that knows them goes on with it.
fn stop_for(due: &Due) -> ! {
    tracing::error!("{due}; the node stops");
    eprintln!("plasmad: {due}");
    std::process::exit(EXIT_UPGRADE.into())
}

/// Lets a call go on unless an upgrade is due that this program does not know: it then must not
/// propose, vote or execute.
fn unless_due<T>(done: Result<T, NodeError>) -> Result<T, NodeError> {
    if let Err(NodeError::Upgrade(due)) = &done {
        stop_for(due)
    }
    done
}

/// Runs a call whose failure is the end.
fn or_abort<T>(call: &str, work: impl FnOnce() -> Result<T, NodeError>) -> T {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => done,
        Ok(Err(NodeError::Upgrade(due))) => stop_for(&due),
        Ok(Err(error)) => abort(call, error),
        Err(panic) => abort(call, panic_text(&*panic)),
    }
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic").to_owned()
}

fn seconds(time: Option<Timestamp>) -> u64 {
    time.and_then(|time| u64::try_from(time.seconds).ok()).unwrap_or_default()
}

fn height(height: i64) -> u64 {
    u64::try_from(height).unwrap_or_default()
}

fn slices(txs: &[Bytes]) -> Vec<&[u8]> {
    txs.iter().map(|tx| &tx[..]).collect()
}

fn decided<'a>(
    at: i64,
    time: Option<Timestamp>,
    proposer: &[u8],
    txs: &'a [&'a [u8]],
) -> Decided<'a> {
    let proposer = proposer.first_chunk().copied().unwrap_or_default();
    let (height, time_s) = (height(at), seconds(time));
    Decided { height, time_s, proposer, txs, votes: &[], misbehavior: &[] }
}

/// A validator's consensus address and power.
fn whose(validator: Option<pb::Validator>) -> ([u8; 20], u64) {
    let pb::Validator { address, power } = validator.unwrap_or_default();
    let address = address.first_chunk().copied().unwrap_or_default();
    (address, u64::try_from(power).unwrap_or_default())
}

fn votes(commit: Option<pb::CommitInfo>) -> Vec<Vote> {
    let vote = |pb::VoteInfo { validator, block_id_flag }: pb::VoteInfo| {
        let (validator, power) = whose(validator);
        Vote { validator, power, signed: block_id_flag != i32::from(BlockIdFlag::Absent) }
    };
    commit.unwrap_or_default().votes.into_iter().map(vote).collect()
}

/// What CometBFT has proven; a kind that it does not know yet is no offence here.
fn misbehavior(proven: Vec<pb::Misbehavior>) -> Vec<Misbehavior> {
    let offence = |of: &pb::Misbehavior| match of.r#type() {
        pb::MisbehaviorType::DuplicateVote => Some(Offence::DuplicateVote),
        pb::MisbehaviorType::LightClientAttack => Some(Offence::LightClientAttack),
        pb::MisbehaviorType::Unknown => None,
    };
    let one = |of: pb::Misbehavior| {
        let offence = offence(&of)?;
        let pb::Misbehavior { r#type: _, validator, height: at, time, total_voting_power } = of;
        let (validator, power) = whose(validator);
        let total_power = u64::try_from(total_voting_power).unwrap_or_default();
        let (height, time_s) = (height(at), seconds(time));
        Some(Misbehavior { offence, validator, power, height, time_s, total_power })
    };
    proven.into_iter().filter_map(one).collect()
}

/// Whether CometBFT's index finds transactions by an attribute. Each entry costs its node more than
/// the transfer itself: what is found are people, jobs and kinds, not amounts, and a payment by
/// `transfer` and `coin_received` alone; what every block does of itself is not looked for. Subscriptions
/// see every attribute all the same.
fn indexed(kind: &str, key: &str) -> bool {
    let silent = matches!(
        kind,
        "beacon"
            | "coin_spent"
            | "burn"
            | "coinbase"
            | "mint"
            | "rewards"
            | "commission"
            | "liveness"
    );
    let value = matches!(
        key,
        "amount"
            | "fee"
            | "fee_payer"
            | "module"
            | "msg_index"
            | "proposal_msg_index"
            | "proposal_log"
    );
    let detail = matches!(key, "completion_time" | "new_shares" | "burned_coins" | "power");
    !silent && !detail && !value && !key.ends_with("_uxpl")
}

fn events(events: Vec<Recorded>) -> Vec<pb::Event> {
    let event = |Recorded { kind, attributes }: Recorded| {
        let attribute = |(key, value): (&str, String)| {
            let index = indexed(kind, key);
            pb::EventAttribute { key: key.into(), value, index }
        };
        pb::Event {
            r#type: kind.into(),
            attributes: attributes.into_iter().map(attribute).collect(),
        }
    };
    events.into_iter().map(event).collect()
}

fn gas(gas: u64) -> i64 {
    i64::try_from(gas).unwrap_or(i64::MAX)
}

fn tx_result(result: TxResult) -> pb::ExecTxResult {
    let TxResult { codespace, code, log, data, gas_wanted, gas_used, events: recorded } = result;
    pb::ExecTxResult {
        code,
        data: data.into(),
        log,
        info: String::new(),
        gas_wanted: gas(gas_wanted),
        gas_used: gas(gas_used),
        events: events(recorded),
        codespace: codespace.into(),
    }
}

/// What consensus needs of an answer. CometBFT hashes results without their events.
fn without_events(response: &pb::ResponseFinalizeBlock) -> pb::ResponseFinalizeBlock {
    let silent = |result: &pb::ExecTxResult| pb::ExecTxResult {
        code: result.code,
        data: result.data.clone(),
        log: result.log.clone(),
        info: result.info.clone(),
        gas_wanted: result.gas_wanted,
        gas_used: result.gas_used,
        events: Vec::new(),
        codespace: result.codespace.clone(),
    };
    pb::ResponseFinalizeBlock {
        events: Vec::new(),
        tx_results: response.tx_results.iter().map(silent).collect(),
        validator_updates: response.validator_updates.clone(),
        consensus_param_updates: response.consensus_param_updates.clone(),
        app_hash: response.app_hash.clone(),
    }
}

fn validators(updates: Vec<ValidatorUpdate>) -> Vec<pb::ValidatorUpdate> {
    let update = |ValidatorUpdate { pubkey, power }| pb::ValidatorUpdate {
        pub_key: Some(PublicKey { sum: Some(Sum::Ed25519(pubkey.to_vec())) }),
        power: i64::try_from(power).unwrap_or(i64::MAX),
    };
    updates.into_iter().map(update).collect()
}

/// Consensus parameters as CometBFT reads them: all parts, each whole.
fn consensus(params: &ConsensusParams) -> types::ConsensusParams {
    let ConsensusParams { block, evidence, validator, version, abci } = params.clone();
    types::ConsensusParams {
        block: block
            .map(|BlockParams { max_bytes, max_gas }| types::BlockParams { max_bytes, max_gas }),
        evidence: evidence.map(
            |EvidenceParams { max_age_num_blocks, max_age_duration, max_bytes }| {
                let age =
                    max_age_duration.map(|age| Duration { seconds: age.seconds, nanos: age.nanos });
                types::EvidenceParams { max_age_num_blocks, max_age_duration: age, max_bytes }
            },
        ),
        validator: validator
            .map(|ValidatorParams { pub_key_types }| types::ValidatorParams { pub_key_types }),
        version: version.map(|VersionParams { app }| types::VersionParams { app }),
        abci: abci.map(|AbciParams { vote_extensions_enable_height }| types::AbciParams {
            vote_extensions_enable_height,
        }),
    }
}

/// The same validators in the genesis file's list and in its app_state.
fn same_validators(listed: &[pb::ValidatorUpdate], staked: &[pb::ValidatorUpdate]) -> bool {
    let sorted = |updates: &[pb::ValidatorUpdate]| {
        let mut keys: Vec<_> = updates
            .iter()
            .map(|update| match update.pub_key.as_ref().and_then(|key| key.sum.as_ref()) {
                Some(Sum::Ed25519(key)) => (key.clone(), update.power),
                _ => (Vec::new(), update.power),
            })
            .collect();
        keys.sort_unstable();
        keys
    };
    listed.is_empty() || sorted(listed) == sorted(staked)
}

impl Application for App {
    fn info(&self, _: pb::RequestInfo) -> pb::ResponseInfo {
        let head = self.node.head();
        pb::ResponseInfo {
            data: "plasma".into(),
            version: VERSION.into(),
            app_version: self.node.rules_version(),
            last_block_height: head.as_ref().map_or(0, |head| head.height.cast_signed()),
            last_block_app_hash: head.map(|head| head.app_hash.to_vec()).unwrap_or_default().into(),
        }
    }

    fn init_chain(&self, request: pb::RequestInitChain) -> pb::ResponseInitChain {
        let state = match genesis::state_from_json(&request.app_state_bytes) {
            Ok(state) => state,
            Err(error) => abort("InitChain", format!("app_state of the genesis file: {error:#}")),
        };
        let time_s = seconds(request.time);
        let ((updates, app_hash), params) = or_abort("InitChain", || {
            let first = height(request.initial_height);
            let begun = self.node.init_chain(&request.chain_id, time_s, first, &state)?;
            Ok((begun, self.node.consensus()?))
        });
        let validators = validators(updates);
        if !same_validators(&request.validators, &validators) {
            abort(
                "InitChain",
                "the genesis file's `validators` are not those of `app_state.staking`; \
                 power must be whole XPL of stake",
            );
        }
        tracing::info!(chain_id = request.chain_id, app_hash = hex::encode(app_hash), "genesis");
        pb::ResponseInitChain {
            consensus_params: Some(consensus(&params)),
            validators,
            app_hash: app_hash.to_vec().into(),
        }
    }

    fn query(&self, request: pb::RequestQuery) -> pb::ResponseQuery {
        self.node.metrics().queried();
        let answer = self.survive("Query", || query(&self.doors, &request));
        answer.unwrap_or_else(|| {
            refused(&self.node, CODE_PANIC, "the query failed inside the node".into())
        })
    }

    fn check_tx(&self, request: pb::RequestCheckTx) -> pb::ResponseCheckTx {
        let again = request.r#type() == CheckTxType::Recheck;
        let refused = |code: u32, log: String| {
            let codespace = CODESPACE.into();
            pb::ExecTxResult { code, log, codespace, ..Default::default() }
        };
        let result = match self.survive("CheckTx", || self.node.check_tx(&request.tx, again)) {
            Some(Ok(result)) => tx_result(result),
            Some(Err(error)) => refused(CODE_INVALID, error.to_string()),
            None => refused(CODE_PANIC, "the check failed inside the node".into()),
        };
        self.node.metrics().checked(
            request.r#type != i32::from(pb::CheckTxType::New),
            &result.codespace,
            result.code,
        );
        let pb::ExecTxResult { code, data, log, info, gas_wanted, gas_used, events, codespace } =
            result;
        pb::ResponseCheckTx { code, data, log, info, gas_wanted, gas_used, events, codespace }
    }

    fn prepare_proposal(&self, request: pb::RequestPrepareProposal) -> pb::ResponsePrepareProposal {
        let bytes_max = usize::try_from(request.max_tx_bytes).unwrap_or_default();
        // Without an answer the block is empty; where a proof is due, nobody accepts that.
        let shown =
            self.survive("PrepareProposal", || self.node.candidates(request.txs, bytes_max));
        let shown = shown.unwrap_or_default();
        let txs = slices(&shown);
        let proposal = decided(request.height, request.time, &request.proposer_address, &txs);
        let taken = self.survive("PrepareProposal", || self.node.prepare(proposal, bytes_max));
        let Proposed { own, txs: taken } =
            taken.and_then(|taken| unless_due(taken).ok()).unwrap_or_default();
        // Slices of the candidates' own bytes, in their order: nothing is copied.
        let mut wholes = shown.iter();
        let mut whole = wholes.next();
        let mut kept = Vec::with_capacity(taken.len() + 1);
        kept.extend(own.map(Bytes::from));
        for tx in taken {
            while let Some(bytes) = whole
                && !bytes.as_ptr_range().contains(&tx.as_ptr())
            {
                whole = wholes.next();
            }
            kept.extend(whole.map(|bytes| bytes.slice_ref(tx)));
        }
        pb::ResponsePrepareProposal { txs: kept }
    }

    fn process_proposal(&self, request: pb::RequestProcessProposal) -> pb::ResponseProcessProposal {
        let txs = slices(&request.txs);
        let proposal = decided(request.height, request.time, &request.proposer_address, &txs);
        let verdict = self.survive("ProcessProposal", || self.node.process(proposal));
        let status = match verdict.map(unless_due) {
            Some(Ok(Ok(()))) => ProposalStatus::Accept,
            Some(Ok(Err(refusal))) => {
                tracing::warn!(height = request.height, %refusal, "proposal rejected");
                ProposalStatus::Reject
            }
            Some(Err(error)) => {
                tracing::warn!(height = request.height, %error, "proposal rejected");
                ProposalStatus::Reject
            }
            None => ProposalStatus::Reject,
        };
        pb::ResponseProcessProposal { status: status.into() }
    }

    fn finalize_block(&self, request: pb::RequestFinalizeBlock) -> pb::ResponseFinalizeBlock {
        let txs = slices(&request.txs);
        let votes = votes(request.decided_last_commit);
        let misbehavior = misbehavior(request.misbehavior);
        let block = Decided {
            votes: &votes,
            misbehavior: &misbehavior,
            ..decided(request.height, request.time, &request.proposer_address, &txs)
        };
        let executed = or_abort("FinalizeBlock", || self.node.finalize(block));
        let response = pb::ResponseFinalizeBlock {
            events: events(executed.events),
            tx_results: executed.txs.into_iter().map(tx_result).collect(),
            validator_updates: validators(executed.validator_updates),
            consensus_param_updates: executed.consensus.as_ref().map(consensus),
            app_hash: executed.app_hash.to_vec().into(),
        };
        let Some(index) = self.node.index() else { return response };
        let Decided { height, time_s, .. } = block;
        if self.node.tells_events() {
            index.write(&IndexedBlock { height, time_s, txs: &txs, response: &response });
            return response;
        }
        let told = without_events(&response);
        index.write_whole(height, time_s, request.txs, response);
        told
    }

    fn commit(&self) -> pb::ResponseCommit {
        let head = or_abort("Commit", || self.node.commit());
        tracing::debug!(height = head.height, app_hash = hex::encode(head.app_hash), "committed");
        pb::ResponseCommit { retain_height: self.node.retain_height(&head).cast_signed() }
    }

    fn list_snapshots(&self) -> pb::ResponseListSnapshots {
        let listed = self.survive("ListSnapshots", || self.node.snapshots()).unwrap_or_default();
        let listed = listed.into_iter().map(|snapshot| {
            let Snapshot { height, format, chunks, hash, metadata } = snapshot;
            pb::Snapshot { height, format, chunks, hash: hash.into(), metadata: metadata.into() }
        });
        pb::ResponseListSnapshots { snapshots: listed.collect() }
    }

    fn load_snapshot_chunk(
        &self,
        request: pb::RequestLoadSnapshotChunk,
    ) -> pb::ResponseLoadSnapshotChunk {
        let pb::RequestLoadSnapshotChunk { height, format, chunk } = request;
        // CometBFT reads an empty chunk as one that is not here.
        let chunk =
            self.survive("LoadSnapshotChunk", || self.node.snapshot_chunk(height, format, chunk));
        let chunk = chunk.flatten().unwrap_or_default();
        pb::ResponseLoadSnapshotChunk { chunk: chunk.into() }
    }

    fn offer_snapshot(&self, request: pb::RequestOfferSnapshot) -> pb::ResponseOfferSnapshot {
        use pb::response_offer_snapshot::Result;
        let pb::Snapshot { height, format, chunks, hash, metadata } =
            request.snapshot.unwrap_or_default();
        let (hash, metadata) = (hash.to_vec(), metadata.to_vec());
        let snapshot = Snapshot { height, format, chunks, hash, metadata };
        let offered = self
            .survive("OfferSnapshot", || self.node.offer_snapshot(&snapshot, &request.app_hash));
        let result = match offered.unwrap_or(Offered::Abort) {
            Offered::Accept => Result::Accept,
            Offered::Abort => Result::Abort,
            Offered::TooLarge => Result::Reject,
            Offered::RejectFormat => Result::RejectFormat,
            Offered::RejectSender => Result::RejectSender,
        };
        tracing::info!(height, format, chunks, answer = result.as_str_name(), "snapshot offered");
        pb::ResponseOfferSnapshot { result: result.into() }
    }

    fn apply_snapshot_chunk(
        &self,
        request: pb::RequestApplySnapshotChunk,
    ) -> pb::ResponseApplySnapshotChunk {
        use pb::response_apply_snapshot_chunk::Result;
        let pb::RequestApplySnapshotChunk { index, chunk, sender } = request;
        let mut refetch_chunks = Vec::new();
        let mut reject_senders = Vec::new();
        let applied =
            self.survive("ApplySnapshotChunk", || self.node.apply_chunk(index, &chunk, &sender));
        let result = match applied.unwrap_or(Applied::Abort) {
            Applied::Accept(_) => Result::Accept,
            Applied::Abort => Result::Abort,
            Applied::Retry => {
                refetch_chunks.push(index);
                reject_senders.push(sender);
                Result::Retry
            }
            Applied::RetrySnapshot => Result::RetrySnapshot,
            Applied::RejectSnapshot(senders) => {
                reject_senders = senders;
                Result::RejectSnapshot
            }
        };
        pb::ResponseApplySnapshotChunk { result: result.into(), refetch_chunks, reject_senders }
    }

    fn verify_vote_extension(
        &self,
        _: pb::RequestVerifyVoteExtension,
    ) -> pb::ResponseVerifyVoteExtension {
        // This chain has no vote extensions; an empty one is all that may come.
        let status = pb::response_verify_vote_extension::VerifyStatus::Accept;
        pb::ResponseVerifyVoteExtension { status: status.into() }
    }
}
