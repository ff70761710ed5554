use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{
    Audit, AuditParams, AuditState, Drift, ModelProfile, PastBeacon, PayerCount, PoolMember, Seat,
    ShownLeaf, Standing,
};

use super::stakes::Terms;
use crate::{
    Address, Amount, Block, IndexEntry, IndexedMap, Key, Map, Read, Table, Write,
    attestation::state::{self, due_entry},
    error::fault,
    market,
    types::Hash,
};

pub(super) use crate::{
    attestation::state::bytes,
    types::{rest, stored_hash, sum},
};

/// The module account that holds the bonds of disputes, appeals and challenges.
pub(in crate::attestation) fn account() -> Address {
    Address::of_module(market::AUDITS)
}

pub(super) const AUDITS: IndexedMap<u64, Audit> =
    IndexedMap::new(Table::AttestationAudits, audit_indexes);
pub(super) const LEAVES: Map<(u64, u32), ShownLeaf> = Map::new(Table::AttestationShownLeaves);
pub(super) const BEACONS: Map<u64, PastBeacon> = Map::new(Table::AttestationPastBeacons);
pub(super) const PROFILES: Map<Hash, ModelProfile> = Map::new(Table::AttestationProfiles);
/// By model, profile and operator: those of an earlier profile are in no pool that counts.
pub(super) const MEMBERS: IndexedMap<(Hash, Hash, Address), PoolMember> =
    IndexedMap::new(Table::AttestationPoolMembers, member_indexes);
pub(super) const STANDINGS: Map<Address, Standing> = Map::new(Table::AttestationStandings);
/// By operator and payer.
pub(super) const COUNTS: Map<(Address, Address), PayerCount> =
    Map::new(Table::AttestationPayerCounts);
/// By operator and model.
pub(super) const DRIFTS: Map<(Address, Hash), Drift> = Map::new(Table::AttestationDrifts);

/// Hands every index key of audits to `put`.
pub(in crate::attestation) fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    AUDITS.rebuild(store, put);
    MEMBERS.rebuild(store, put);
}

pub(super) fn state_byte(state: AuditState) -> u8 {
    u8::try_from(i32::from(state)).unwrap_or(u8::MAX)
}

fn audit_indexes(id: &u64, audit: &Audit) -> Vec<IndexEntry> {
    let provider = Address::stored(&audit.provider);
    let mut indexes = Vec::with_capacity(32);
    indexes.push((Table::AttestationAuditsByState, bytes(&(state_byte(audit.state()), *id))));
    indexes.push((Table::AttestationAuditsByProvider, bytes(&(provider, *id))));
    for seat in &audit.seats {
        let entry = (Table::AttestationAuditsByJuror, bytes(&(Address::stored(&seat.juror), *id)));
        if !indexes.contains(&entry) {
            indexes.push(entry);
        }
    }
    if audit.state() != AuditState::Ended {
        let due = due_entry(audit.waits_for_time, audit.due_height, audit.due_s, *id);
        indexes.push((Table::AttestationAuditsByDue, due));
    }
    let owing = owing(audit).map(Address::stored);
    indexes.extend(owing.map(|who| (Table::AttestationDuties, bytes(&(who, *id)))));
    indexes
}

fn member_indexes(
    (model, profile, operator): &(Hash, Hash, Address),
    _: &PoolMember,
) -> Vec<IndexEntry> {
    [(Table::AttestationPoolsByOperator, bytes(&(*operator, *model, *profile)))].into()
}

/// Who must do something before the phase ends, as text.
fn owing(audit: &Audit) -> impl Iterator<Item = &str> {
    let provider = audit.state() == AuditState::Reveal && !audit.is_revealed;
    let provider = provider.then_some(audit.provider.as_str());
    let jurors = audit.seats.iter().filter(|seat| seat_owes(audit, seat));
    provider.into_iter().chain(jurors.map(|seat| seat.juror.as_str()))
}

/// Whether an operator must do something before the phase of an audit ends.
pub fn owes(audit: &Audit, operator: &str) -> bool {
    owing(audit).any(|owing| owing == operator)
}

/// Whether a seat's juror has something to do in this phase.
pub(super) fn seat_owes(audit: &Audit, seat: &Seat) -> bool {
    seat.round == audit.round
        && match audit.state() {
            AuditState::Commit => seat.commitment.is_empty(),
            AuditState::Verdict => !seat.commitment.is_empty() && seat.verdict.is_none(),
            _ => false,
        }
}

/// The pools that an operator is in for a model, by profile.
pub(super) fn pools_of(store: &dyn Read, operator: Address, model_id: &Hash) -> Vec<Hash> {
    let mut start = Vec::from([Table::AttestationPoolsByOperator.id()]);
    (operator, *model_id).put(&mut start);
    let keys = store.scan(&start).map(|(key, _)| key);
    keys.map(|key| *key.last_chunk().unwrap_or_else(|| fault("bad index key", &key))).collect()
}

/// The audit of a job's claim.
pub fn audit(store: &dyn Read, job_id: u64) -> Option<Audit> {
    AUDITS.get(store, &job_id)
}

/// Every audit, in order.
pub(in crate::attestation) fn audits(store: &dyn Read) -> impl Iterator<Item = Audit> + '_ {
    AUDITS.map().iter(store).map(|(_, audit)| audit)
}

/// A model's profile.
pub fn model_profile(store: &dyn Read, model_id: &Hash) -> Option<ModelProfile> {
    PROFILES.get(store, model_id)
}

/// What audits found of an operator; nothing yet of most.
pub fn standing(store: &dyn Read, operator: Address) -> Standing {
    STANDINGS.get(store, &operator).unwrap_or_else(|| Standing {
        operator: operator.text(),
        clean_uxpl: Amount::ZERO.text(),
        ..Standing::default()
    })
}

/// The numbers of audits.
pub(super) fn numbers(store: &dyn Read) -> AuditParams {
    let numbers = state::params(store).audits;
    numbers.unwrap_or_else(|| fault("audits have no parameters", b""))
}

/// The numbers that an audit keeps.
pub(super) fn numbers_of(audit: &Audit) -> AuditParams {
    audit.params.unwrap_or_else(|| fault("an audit without parameters", &audit.id.to_be_bytes()))
}

/// Those of them that the formulas take.
pub fn terms(numbers: &AuditParams) -> Terms {
    Terms {
        rate_min_bps: numbers.rate_min_bps,
        decay: numbers.decay_uxpl.into(),
        detection_bps: numbers.detection_bps,
        kappa_bps: numbers.kappa_bps,
        slash_min: numbers.slash_min_uxpl.into(),
        payer_bps: numbers.payer_bps,
    }
}

/// Whether so many stand behind a model's profile that its claims are audited.
pub(super) fn is_verified(numbers: &AuditParams, profile: &ModelProfile) -> bool {
    profile.members >= numbers.pool_min
}

/// Whether the phase of an audit is over.
pub(super) fn is_over(audit: &Audit, block: &Block) -> bool {
    block.height >= audit.due_height && block.time_s >= audit.due_s
}

/// Sets when a phase ends.
pub(super) fn due_in(audit: &mut Audit, block: &Block, blocks: u64, seconds: u64) {
    audit.due_height = block.height.saturating_add(blocks);
    audit.due_s = block.time_s.saturating_add(seconds);
    audit.waits_for_time = false;
}

/// The job of an audit; a claim that is audited stays.
pub(super) fn job_of(store: &dyn Read, audit: &Audit) -> plasma_proto::plasma::market::v1::Job {
    let job = market::job(store, audit.id);
    job.unwrap_or_else(|| fault("an audit of no job", &audit.id.to_be_bytes()))
}

/// Basis points of an amount, rounded down.
pub(super) fn share(amount: Amount, bps: u32) -> Amount {
    amount.share(bps).unwrap_or(amount)
}

/// Forgets the leaves that were shown for an audit.
pub(super) fn forget_leaves(store: &mut dyn Write, audit: &Audit) {
    for index in &audit.leaves {
        LEAVES.remove(store, &(audit.id, *index));
    }
}

/// Where a model's profile is stored, and proven.
pub fn profile_key(model_id: &Hash) -> Vec<u8> {
    PROFILES.path(model_id)
}

/// Where an operator's standing is stored, and proven.
pub fn standing_key(operator: &Address) -> Vec<u8> {
    STANDINGS.path(operator)
}

/// Where an audit is stored, and proven.
pub fn audit_key(job_id: u64) -> Vec<u8> {
    AUDITS.map().path(&job_id)
}
