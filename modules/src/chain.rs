//! Genesis, block, end of block: the order of everything.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec,
    vec::Vec,
};

use plasma_proto::{
    cosmos::{authz::v1beta1::MsgExecResponse, base::abci::v1beta1::TxMsgData},
    plasma::{chain::v1::LastBlock, token::v1::Params},
    tendermint::types::ConsensusParams,
};
use prost::Message;

use crate::{
    Address, Amount, Block, Ctx, Events, FeePaid, FeeParts, Item, Overlay, Read, Recorded, Refusal,
    Sdk, SignatureMemory, Table, Writes,
    ante::{self, Prices},
    attestation::{
        self,
        beacon::{self, Turn},
    },
    auth, authz, carrier,
    error::fault,
    feegrant,
    governance::{self, upgrade},
    market,
    msg::Msg,
    price, reward, rules, staking, token,
    tx::{self, Decoded, Purpose},
    types::{Hash, hash32, sha256},
};

mod genesis;
mod input;

pub use crate::governance::upgrade::UPGRADES;
pub use genesis::{default_genesis, export, init, new_genesis};
pub use input::{BlockInput, Misbehavior, Offence, Vote};

/// The block's randomness, 32 bytes.
const BEACON: Item<Vec<u8>> = Item::new(Table::Beacon);
/// Absent until the first block.
const LAST_BLOCK: Item<LastBlock> = Item::new(Table::LastBlock);

/// A validator's power from the next block but one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatorUpdate {
    /// Consensus key, ed25519.
    pub pubkey: [u8; 32],
    /// Voting power: whole XPL of stake.
    pub power: u64,
}

/// What became of a transaction. Code, data and gas are consensus; log and events are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxResult {
    /// Module that refused; empty on success.
    pub codespace: &'static str,
    /// 0 on success, else the module's code.
    pub code: u32,
    /// For people.
    pub log: String,
    /// `TxMsgData` with one response per message; empty when refused.
    pub data: Vec<u8>,
    /// Gas limit of the transaction.
    pub gas_wanted: u64,
    /// Gas that it cost.
    pub gas_used: u64,
    /// What happened, in order.
    pub events: Vec<Recorded>,
}

impl TxResult {
    /// A refusal as a result.
    pub fn refused(refusal: Refusal, gas_wanted: u64, gas_used: u64) -> Self {
        let Refusal { codespace, code, log } = refusal;
        Self { codespace, code, log, gas_wanted, gas_used, ..Self::default() }
    }
}

/// What a block did.
#[derive(Clone, Debug)]
pub struct BlockOutput {
    /// Every change of state.
    pub writes: Writes,
    /// One result per transaction.
    pub txs: Vec<TxResult>,
    /// What happened outside of transactions.
    pub events: Vec<Recorded>,
    /// Changes of the validator set.
    pub validator_updates: Vec<ValidatorUpdate>,
    /// What CometBFT is to hold blocks to from the next one on, whole; `None` if that stays.
    pub consensus: Option<ConsensusParams>,
}

/// The block at `height` on top of this state, as far as that is known before it is proposed: with the
/// beacon that it has if its proposer has no key.
pub fn next_block(store: &dyn Read, chain_id: &str, height: u64, time_s: u64) -> Block {
    let beacon = beacon::by_hash(&beacon(store), height);
    Block { chain_id: chain_id.into(), height, time_s, beacon }
}

/// The block that this state is the result of.
pub fn current_block(store: &dyn Read, chain_id: &str, height: u64, time_s: u64) -> Block {
    Block { chain_id: chain_id.into(), height, time_s, beacon: beacon(store) }
}

/// The entry with which the next block's proposer begins it, if its key `secret` counts.
///
/// # Errors
/// Another key than `secret` counts.
pub fn beacon_entry(
    store: &dyn Read,
    chain_id: &str,
    height: u64,
    proposer: &[u8; 20],
    secret: Option<&beacon::SecretKey>,
) -> Result<Option<[u8; beacon::ENTRY_BYTES]>, Refusal> {
    let proposer = staking::operator_of(store, proposer);
    Ok(beacon::entry(store, chain_id, &beacon(store), height, proposer, secret)?)
}

/// Executes a block: beacon, every ante, begin of block, messages, end of block, invariants of what
/// moved.
pub fn execute_block(
    base: &dyn Read,
    input: &BlockInput<'_>,
    memory: &dyn SignatureMemory,
) -> BlockOutput {
    close_block(base, open_block(base, input, memory), input)
}

/// A block whose transactions have paid and whose messages have not run: between [`open_block`] and
/// [`close_block`]. First every transaction pays, on top of those before it: exactly what
/// [`process`] agrees to, so no message of one can keep another from paying. Then the messages run,
/// in the same order.
pub struct Opened {
    block: Block,
    writes: Writes,
    /// Of the beginning of the block.
    events: Events,
    /// The block's own entry: its name, and what became of it.
    own: Option<(Hash, TxResult)>,
    txs: Vec<Result<Admitted, TxResult>>,
}

impl Opened {
    /// The names of what it holds, of that which paid, in order; its own entry comes first.
    pub fn paid(&self) -> impl Iterator<Item = &Hash> {
        let own = self.own.iter().map(|(hash, _)| hash);
        own.chain(self.txs.iter().flatten().map(|admitted| &admitted.tx.hash))
    }
}

/// A block that is being opened, transaction after transaction.
struct Opening<'a> {
    block: Block,
    proposer: Option<Address>,
    prices: Prices,
    state: Overlay<'a>,
    memory: &'a dyn SignatureMemory,
    /// Of the beginning of the block.
    events: Events,
    own: Option<(Hash, TxResult)>,
    /// Whether the block begins as it must.
    entered: Result<(), beacon::Error>,
    /// What fees burned, not counted yet.
    burned: Amount,
    txs: Vec<Result<Admitted, TxResult>>,
}

impl<'a> Opening<'a> {
    /// A block without transactions, on top of `base`, after the upgrade that it begins with, and with
    /// its `own` entry.
    fn new(
        base: &'a dyn Read,
        input: &BlockInput<'_>,
        own: Option<&[u8]>,
        memory: &'a dyn SignatureMemory,
    ) -> Self {
        let mut block = next_block(base, input.chain_id, input.height, input.time_s);
        let mut state = Overlay::new(base);
        let (mut events, mut fee) = (Events::default(), FeePaid::default());
        let mut ctx = Ctx { store: &mut state, block: &block, events: &mut events, fee: &mut fee };
        upgrade::begin_block(&mut ctx, input.upgrades);
        let proposer = staking::operator_of(&state, &input.proposer);
        let before = beacon(&state);
        let turn = Turn::of(&state, input.chain_id, &before, input.height, proposer, own);
        block.beacon = turn.beacon;
        BEACON.set(&mut state, &block.beacon.to_vec());
        let own = own.map(|entry| (sha256(entry), entry_result(&turn)));
        if own.is_none() {
            events.append(&mut turn.events());
        }
        let entered = turn.entered;
        let (chain_id, time_s) = (input.chain_id.to_string(), input.time_s);
        LAST_BLOCK.set(&mut state, &LastBlock { chain_id, height: input.height, time_s });
        let prices = Prices::of(&state);
        let (burned, txs) = (Amount::ZERO, Vec::new());
        Self { block, proposer, prices, state, memory, events, own, entered, burned, txs }
    }

    /// The first half of a transaction: the ante, in its overlay.
    fn admit(&mut self, tx: Arc<Decoded>) -> Result<Admitted, TxResult> {
        let Self {
            block,
            proposer,
            prices,
            state,
            memory,
            events: _,
            own: _,
            entered: _,
            burned,
            txs: _,
        } = self;
        let (gas_wanted, gas_used) = (tx.gas_limit, ante::gas(&tx));
        let fee = FeePaid { payer: tx.purse(), left: prices.refundable(&tx) };
        let mut events = Events::default();
        let (admitted, writes) =
            within(state, block, &mut events, &mut FeePaid::default(), |ctx| {
                ante::admit(ctx, prices, Arc::clone(&tx), *proposer, *memory)
            });
        let fee_burned = admitted
            .map_err(|refusal| TxResult::refused(refusal, gas_wanted, gas_used.min(gas_wanted)))?;
        // Of money that is there, so the sum is below the supply.
        let more = || fault("more is burned than there is", &block.height.to_be_bytes());
        *burned = burned.plus(fee_burned).unwrap_or_else(more);
        state.merge(writes);
        Ok(Admitted { tx, fee, gas_used, events })
    }

    fn opened(self) -> Opened {
        let Self {
            block,
            proposer: _,
            prices: _,
            mut state,
            memory: _,
            events,
            own,
            entered: _,
            burned,
            txs,
        } = self;
        if let Err(error) = token::count_burned(&mut state, burned) {
            fault(&error.to_string(), &block.height.to_be_bytes());
        }
        Opened { block, writes: state.into_writes(), events, own, txs }
    }
}

/// What became of a block's own entry. It costs nothing and pays nothing.
fn entry_result(turn: &Turn) -> TxResult {
    match &turn.entered {
        Ok(()) => TxResult { events: turn.events(), ..TxResult::default() },
        Err(error) => {
            TxResult { events: turn.events(), ..TxResult::refused(error.clone().into(), 0, 0) }
        }
    }
}

/// The first half of a block: its beacon, and every transaction's ante.
pub fn open_block(base: &dyn Read, input: &BlockInput<'_>, memory: &dyn SignatureMemory) -> Opened {
    let (own, txs) = beacon::split(input.txs);
    let mut opening = Opening::new(base, input, own, memory);
    for bytes in txs {
        let tx = memory.decode(bytes).map_err(|refusal| TxResult::refused(refusal, 0, 0));
        let admitted = tx.and_then(|tx| opening.admit(tx));
        opening.txs.push(admitted);
    }
    opening.opened()
}

/// The second half, on the same `base`: begin of block, messages, end of block. What CometBFT says of
/// validators is read here alone: proposals are judged without it.
pub fn close_block(base: &dyn Read, opened: Opened, input: &BlockInput<'_>) -> BlockOutput {
    let Opened { block, writes, mut events, own, txs } = opened;
    let mut state = Overlay::resume(base, writes);
    let mut fee = FeePaid::default();
    let mut ctx = Ctx { store: &mut state, block: &block, events: &mut events, fee: &mut fee };
    staking::begin_block(&mut ctx, input.votes, input.misbehavior);

    let ran = txs.into_iter().map(|admitted| match admitted {
        Ok(admitted) => run(&mut state, &block, admitted),
        Err(refused) => refused,
    });
    let txs: Vec<_> = own.map(|(_, result)| result).into_iter().chain(ran).collect();

    let gas = txs.iter().map(|tx| tx.gas_used).fold(0, u64::saturating_add);
    let mut ctx = Ctx { store: &mut state, block: &block, events: &mut events, fee: &mut fee };
    auth::end_block(&mut ctx);
    feegrant::end_block(&mut ctx);
    market::end_block(&mut ctx);
    let settled = market::take_settled(ctx.store);
    price::end_block(&mut ctx, &settled);
    reward::end_block(&mut ctx, &settled);
    attestation::end_block(&mut ctx);
    authz::end_block(&mut ctx);
    governance::end_block(&mut ctx, |ctx, msg| msg.run(ctx));
    let validator_updates = staking::end_block(&mut ctx);
    let bytes = input.txs.iter().map(|tx| framed(tx.len())).fold(0, usize::saturating_add);
    token::end_block(&mut ctx, gas, u64::try_from(bytes).unwrap_or(u64::MAX));

    let writes = state.into_writes();
    if let Err(text) = token::supply_moves_with_balances(base, &writes) {
        fault(&text, &block.height.to_be_bytes());
    }
    let now = Overlay::resume(base, writes);
    let consensus = rules::consensus(&now);
    let consensus = (consensus != rules::consensus(base)).then_some(consensus);
    BlockOutput {
        writes: now.into_writes(),
        txs,
        events: events.into_recorded(),
        validator_updates,
        consensus,
    }
}

/// A transaction that has paid and whose messages have not run yet.
struct Admitted {
    tx: Arc<Decoded>,
    fee: FeePaid,
    gas_used: u64,
    events: Events,
}

/// The second half: the messages, in theirs.
fn run(state: &mut Overlay<'_>, block: &Block, admitted: Admitted) -> TxResult {
    let Admitted { tx, mut fee, gas_used, events } = admitted;
    let gas_wanted = tx.gas_limit;
    let mut happened = events.alike();
    let mut events = events.into_recorded();
    let (ran, writes) =
        within(state, block, &mut happened, &mut fee, |ctx| run_messages(ctx, &tx.msgs));
    match ran {
        Ok(data) => {
            state.merge(writes);
            events.append(&mut happened);
            TxResult { data, gas_wanted, gas_used, events, ..TxResult::default() }
        }
        Err(refusal) => TxResult { events, ..TxResult::refused(refusal, gas_wanted, gas_used) },
    }
}

/// Does `work` in an overlay of its own and hands back what it wrote.
fn within<T>(
    state: &Overlay<'_>,
    block: &Block,
    events: &mut Events,
    fee: &mut FeePaid,
    work: impl FnOnce(&mut Ctx<'_>) -> T,
) -> (T, Writes) {
    let mut above = Overlay::new(state);
    let done = work(&mut Ctx { store: &mut above, block, events, fee });
    (done, above.into_writes())
}

/// Runs messages in order; the first that is refused ends it. `Ok` is the result's data.
fn run_messages(ctx: &mut Ctx<'_>, msgs: &[Msg]) -> Result<Vec<u8>, Refusal> {
    let mut responses = Vec::with_capacity(msgs.len());
    let gas = msgs.iter().map(Msg::gas).fold(0, u64::saturating_add);
    let mut parts = FeeParts::new(ctx.fee.left, gas);
    for (index, msg) in msgs.iter().enumerate() {
        ctx.fee.left = parts.next(msg.gas());
        let from = ctx.events.len();
        let (action, sender) = (msg.type_url(), msg.signer().to_string());
        let response = msg.clone().run(ctx).map_err(|refusal| Refusal {
            log: format!("failed to execute message; message index: {index}: {}", refusal.log),
            ..refusal
        })?;
        responses.push(response);
        let module = action.split('.').nth(1).unwrap_or_default().to_string();
        let attributes = vec![("action", action), ("sender", sender), ("module", module)];
        ctx.events.insert(from, Recorded { kind: "message", attributes });
        for event in ctx.events.iter_mut().skip(from) {
            event.attributes.push(("msg_index", index.to_string()));
        }
    }
    #[expect(deprecated, reason = "the field's older sibling stays empty")]
    let data = TxMsgData { data: Vec::new(), msg_responses: responses };
    Ok(data.encode_to_vec())
}

/// `MsgExec`, with the means to run what is inside of it.
pub(crate) fn exec(ctx: &mut Ctx<'_>, msg: authz::Exec) -> Result<MsgExecResponse, Refusal> {
    authz::exec(ctx, msg, |ctx, msg| msg.run(ctx))
}

/// Whether a transaction may wait for a block. On success its fee and sequence stay in `store`, so
/// that the account's next transaction is checked on top.
pub fn check_tx(
    store: &mut Overlay<'_>,
    block: &Block,
    bytes: &[u8],
    memory: &dyn SignatureMemory,
) -> TxResult {
    match memory.decode(bytes) {
        Ok(tx) => check_decoded(store, block, &Prices::of(store), tx, memory),
        Err(refusal) => TxResult::refused(refusal, 0, 0),
    }
}

/// [`check_tx`] of a transaction that was decoded before, at the prices of that block.
pub fn check_decoded(
    store: &mut Overlay<'_>,
    block: &Block,
    prices: &Prices,
    tx: Arc<Decoded>,
    memory: &dyn SignatureMemory,
) -> TxResult {
    let (gas_wanted, gas_used) = (tx.gas_limit, ante::gas(&tx));
    let (mut events, mut fee) = (Events::silent(), FeePaid::default());
    let (checked, writes) =
        within(store, block, &mut events, &mut fee, |ctx| ante::check(ctx, prices, tx, memory));
    match checked {
        Ok(()) => {
            store.merge(writes);
            TxResult { gas_wanted, gas_used, ..TxResult::default() }
        }
        Err(refusal) => TxResult::refused(refusal, gas_wanted, gas_used.min(gas_wanted)),
    }
}

/// What a transaction would do now, without its signatures. Nothing is kept.
pub fn simulate(base: &dyn Read, block: &Block, bytes: &[u8]) -> TxResult {
    match tx::decode(bytes, Purpose::Simulate) {
        Ok(tx) => simulate_decoded(base, block, tx),
        Err(refusal) => TxResult::refused(refusal, 0, 0),
    }
}

/// As [`simulate`], of a transaction that was read for it before.
pub fn simulate_decoded(base: &dyn Read, block: &Block, tx: Decoded) -> TxResult {
    let tx = tx.as_if_signed(base);
    let gas_used = ante::gas(&tx);
    let state = Overlay::new(base);
    let mut events = Events::default();
    let mut fee = FeePaid { payer: tx.purse(), left: Prices::of(base).refundable(&tx) };
    let (ran, _) = within(&state, block, &mut events, &mut fee, |ctx| {
        ante::check_timeouts(block, &tx)?;
        let accounts = ante::check_sequences(ctx, &tx)?;
        ante::use_allowance(ctx, &tx)?;
        ante::count(ctx, &tx, accounts);
        run_messages(ctx, &tx.msgs)
    });
    let events = events.into_recorded();
    match ran {
        Ok(data) => TxResult { data, gas_used, events, ..TxResult::default() },
        Err(refusal) => TxResult::refused(refusal, 0, gas_used),
    }
}

/// The transactions that a proposal takes of `txs`, in the order given: those that pass the ante on
/// top of each other, within the block's bytes and gas. [`process`] accepts whatever this returns.
/// Carriers must have been expanded ([`crate::carrier::expand`]); of one that stands twice, the
/// second does not pass. With it comes the block of `input`, opened with them instead of its own
/// transactions. The proposal begins with the proposer's `own` entry ([`beacon_entry`]), if it has one, and
/// then they follow.
///
/// # Errors
/// `own` is not what this block must begin with, or has no room: the proposer can make no block.
pub fn prepare<'t>(
    base: &dyn Read,
    input: &BlockInput<'_>,
    own: Option<&[u8]>,
    txs: &[&'t [u8]],
    bytes_max: usize,
    memory: &dyn SignatureMemory,
) -> Result<(Vec<&'t [u8]>, Opened), Refusal> {
    let mut opening = Opening::new(base, input, own, memory);
    opening.entered.clone()?;
    let params = opening.prices.params();
    let bytes_max = bytes_max.min(block_bytes_max(params));
    let own_bytes = own.map_or(0, |entry| framed(entry.len()));
    let mut bytes_left = bytes_max.checked_sub(own_bytes).ok_or_else(|| over_bytes(bytes_max))?;
    let mut gas_left = params.block_gas_max;
    let mut taken = Vec::new();
    for bytes in txs {
        let Some(bytes_then) = bytes_left.checked_sub(framed(bytes.len())) else { continue };
        let Ok(tx) = memory.decode(bytes) else { continue };
        let Some(gas_then) = gas_left.checked_sub(tx.gas_limit) else { continue };
        if let Ok(admitted) = opening.admit(tx) {
            (bytes_left, gas_left) = (bytes_then, gas_then);
            taken.push(*bytes);
            opening.txs.push(Ok(admitted));
        }
    }
    Ok((taken, opening.opened()))
}

/// Whether a proposal is one that an honest proposer could make: it begins with the proof that is due,
/// every transaction passes the ante
/// on top of those before it, and together they stay within the block's gas and bytes. `Ok` is the
/// block, opened.
pub fn process(
    base: &dyn Read,
    input: &BlockInput<'_>,
    memory: &dyn SignatureMemory,
) -> Result<Opened, Refusal> {
    let (own, txs) = beacon::split(input.txs);
    let mut opening = Opening::new(base, input, own, memory);
    opening.entered.clone()?;
    let params = opening.prices.params();
    let (gas_max, bytes_max) = (params.block_gas_max, block_bytes_max(params));
    let own_bytes = own.map_or(0, |entry| framed(entry.len()));
    let mut bytes_left = bytes_max.checked_sub(own_bytes).ok_or_else(|| over_bytes(bytes_max))?;
    let mut gas_left = gas_max;
    for bytes in txs {
        bytes_left =
            bytes_left.checked_sub(framed(bytes.len())).ok_or_else(|| over_bytes(bytes_max))?;
        let tx = memory.decode(bytes)?;
        gas_left = gas_left
            .checked_sub(tx.gas_limit)
            .ok_or_else(|| Sdk::InvalidRequest(format!("the block is above {gas_max} gas")))?;
        let admitted = opening
            .admit(tx)
            .map_err(|TxResult { codespace, code, log, .. }| Refusal { codespace, code, log })?;
        opening.txs.push(Ok(admitted));
    }
    Ok(opening.opened())
}

fn over_bytes(max: usize) -> Sdk {
    Sdk::InvalidRequest(format!("the block is above {max} bytes"))
}

fn block_bytes_max(params: &Params) -> usize {
    usize::try_from(params.block_bytes_max).unwrap_or(usize::MAX)
}

/// Bytes that a transaction takes in a block: those of a carrier and a tag. CometBFT counts a
/// proposal so.
pub fn framed(len: usize) -> usize {
    carrier::framed(len).saturating_add(1)
}

/// The block that this state is the result of, as the app hash vouches for it. `None` before the
/// first, and for bytes that are no such record: a state that came from a stranger is asked this.
pub fn last_block(store: &dyn Read) -> Option<LastBlock> {
    let bytes = store.get(&[Table::LastBlock.id()])?;
    LastBlock::decode(bytes.as_slice()).ok()
}

/// Writes every index anew from the objects, into a store that has none: after a restore, since
/// indexes are not committed to and do not travel.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    auth::rebuild_derived(store, put);
    token::rebuild_derived(store, put);
    feegrant::rebuild_derived(store, put);
    staking::rebuild_derived(store, put);
    market::rebuild_derived(store, put);
    price::rebuild_derived(store, put);
    reward::rebuild_derived(store, put);
    attestation::rebuild_derived(store, put);
    authz::rebuild_derived(store, put);
    governance::rebuild_derived(store, put);
}

/// Every index holds the keys that the objects ask for and no others: the app hash does not vouch for
/// them. `Err` names the index. Takes memory for the number of indexes, not of keys.
pub fn indexes_match_objects(store: &dyn Read) -> Result<(), String> {
    crate::store::compare(store, rebuild_derived)
}

/// The indexes are those of the objects, and every module's sentences about its state hold.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    indexes_match_objects(store)?;
    auth::check_invariants(store)?;
    token::check_invariants(store)?;
    feegrant::check_invariants(store)?;
    staking::check_invariants(store)?;
    market::check_invariants(store)?;
    price::check_invariants(store)?;
    reward::check_invariants(store)?;
    attestation::check_invariants(store)?;
    authz::check_invariants(store)?;
    governance::check_invariants(store)
}

fn beacon(store: &dyn Read) -> Hash {
    let bytes = BEACON.get(store).unwrap_or_default();
    hash32(&bytes).unwrap_or_else(|| fault("no beacon: the chain has no genesis", &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framed_counts_tag_and_length() {
        for len in [1usize, 127, 128, 300, 16_383, 16_384, 65_536] {
            assert_eq!(framed(len), prost::encoding::encoded_len_varint(len as u64) + 1 + len);
        }
    }
}
