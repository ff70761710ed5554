use alloc::{string::String, vec::Vec};

use plasma_proto::{
    cosmos::gov::v1::{Deposit, Params, Proposal, ProposalStatus},
    plasma::governance::v1::Stage,
};
use prost_types::Timestamp;

use crate::{
    Address, Amount, Block, IndexEntry, IndexedMap, Item, Key, Map, Read, Table, error::fault,
};

/// Module account that holds deposits, and that signs the messages of proposals.
pub const GOV: &str = "gov";

/// A stage lasts at least one block per this many seconds of its period: while the chain stands
/// still, no proposal runs out of time.
pub const SECONDS_PER_BLOCK: u64 = 10;

/// The account that signs the messages of proposals: what other modules take as authority.
pub fn authority() -> Address {
    Address::of_module(GOV)
}

pub(super) const PARAMS: Item<Params> = Item::new(Table::GovernanceParams);
pub(super) const CONSTITUTION: Item<String> = Item::new(Table::GovernanceConstitution);
pub(super) const PROPOSALS: IndexedMap<u64, Proposal> =
    IndexedMap::new(Table::GovernanceProposals, indexes);
pub(super) const NEXT_PROPOSAL: Item<u64> = Item::new(Table::GovernanceNextProposal);
/// (proposal, depositor) -> deposit, of proposals under way.
pub(super) const DEPOSITS: Map<(u64, Address), Deposit> = Map::new(Table::GovernanceDeposits);
/// Of proposals under way.
pub(super) const STAGES: Map<u64, Stage> = Map::new(Table::GovernanceStages);

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    key.put(&mut out);
    out
}

fn indexes(id: &u64, proposal: &Proposal) -> Vec<IndexEntry> {
    let mut indexes = Vec::with_capacity(2);
    indexes.push((Table::GovernanceByStatus, bytes(&(status_byte(proposal.status()), *id))));
    if let Some((_, due_s)) = period(proposal) {
        indexes.push((Table::GovernanceDue, bytes(&(due_s, *id))));
    }
    indexes
}

/// A status as a byte of an index.
pub(super) const fn status_byte(status: ProposalStatus) -> u8 {
    match status {
        ProposalStatus::Unspecified => 0,
        ProposalStatus::DepositPeriod => 1,
        ProposalStatus::VotingPeriod => 2,
        ProposalStatus::Passed => 3,
        ProposalStatus::Rejected => 4,
        ProposalStatus::Failed => 5,
    }
}

/// Whether a proposal waits for deposits or votes.
pub(super) fn is_open(proposal: &Proposal) -> bool {
    [ProposalStatus::DepositPeriod, ProposalStatus::VotingPeriod].contains(&proposal.status())
}

/// When the stage of a proposal under way began and when its time is over, unix seconds.
pub(super) fn period(proposal: &Proposal) -> Option<(u64, u64)> {
    let (from, to) = match proposal.status() {
        ProposalStatus::DepositPeriod => (proposal.submit_time, proposal.deposit_end_time),
        ProposalStatus::VotingPeriod => (proposal.voting_start_time, proposal.voting_end_time),
        _ => return None,
    };
    let seconds = |time: Option<Timestamp>| time.and_then(|time| u64::try_from(time.seconds).ok());
    Some((seconds(from).unwrap_or_default(), seconds(to).unwrap_or_default()))
}

/// A block's time as a timestamp.
pub(super) fn timestamp(time_s: u64) -> Timestamp {
    Timestamp { seconds: i64::try_from(time_s).unwrap_or(i64::MAX), nanos: 0 }
}

/// Ids under a status, in order of id.
pub(super) fn ids_of(
    store: &dyn Read,
    status: ProposalStatus,
) -> impl Iterator<Item = u64> + use<'_> {
    let prefix = [Table::GovernanceByStatus.id(), status_byte(status)];
    store.scan(&prefix).map(move |(key, _)| {
        let id = key.get(prefix.len()..).and_then(|mut rest| u64::take(&mut rest));
        id.unwrap_or_else(|| fault("bad index key", &key))
    })
}

/// The first proposals whose stage is over, in order of when its time was; at most `count`. One
/// whose blocks have not passed waits without holding up those behind it.
pub(super) fn due(store: &dyn Read, block: &Block, count: usize) -> Vec<Proposal> {
    store
        .scan(&[Table::GovernanceDue.id()])
        .map(|(key, _)| {
            let parts = key.get(1..).and_then(|mut rest| <(u64, u64)>::take(&mut rest));
            parts.unwrap_or_else(|| fault("bad index key", &key))
        })
        .take_while(|(due_s, _)| *due_s <= block.time_s)
        .filter_map(|(_, id)| PROPOSALS.get(store, &id))
        .filter(|proposal| is_over(store, block, proposal))
        .take(count)
        .collect()
}

/// Whether the stage of a proposal is over: its time and its blocks have passed.
pub(super) fn is_over(store: &dyn Read, block: &Block, proposal: &Proposal) -> bool {
    let Some((from_s, due_s)) = period(proposal) else { return true };
    let since = STAGES.get(store, &proposal.id).unwrap_or_default().since_height;
    let blocks = due_s.saturating_sub(from_s).checked_div(SECONDS_PER_BLOCK).unwrap_or_default();
    due_s <= block.time_s && since.saturating_add(blocks) <= block.height
}

/// The numbers of governance.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_else(|| fault("governance has no parameters", b""))
}

/// A proposal.
pub fn proposal(store: &dyn Read, id: u64) -> Option<Proposal> {
    PROPOSALS.get(store, &id)
}

/// The proposals that wait for deposits, then those that are voted on, each in order of id.
pub fn under_way(store: &dyn Read) -> Vec<Proposal> {
    [ProposalStatus::DepositPeriod, ProposalStatus::VotingPeriod]
        .into_iter()
        .flat_map(|status| ids_of(store, status))
        .filter_map(|id| PROPOSALS.get(store, &id))
        .collect()
}

/// Where a proposal is stored, and proven.
pub fn proposal_key(id: u64) -> Vec<u8> {
    PROPOSALS.map().path(&id)
}

/// The uxpl of a stored list of coins.
pub(super) fn uxpl(coins: &[plasma_proto::cosmos::base::v1beta1::Coin]) -> Amount {
    coins.first().map_or(Amount::ZERO, |coin| Amount::stored(&coin.amount))
}

/// Hands every index key of the proposals to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    PROPOSALS.rebuild(store, put);
}
