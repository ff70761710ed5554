use alloc::vec::Vec;

use plasma_proto::plasma::market::v1::{
    Job, JobState, JobTerms, Model, Offer, Params, Payload, Provider, Settled, Totals, Withdrawal,
};

use super::timer;
use crate::{
    Address, IndexEntry, IndexedMap, Item, Key, Map, Read, Table, Write,
    error::fault,
    store::{Order, prefix_end},
    types::Hash,
};

pub(super) use crate::types::{rest, stored_hash, sum};

/// Module account that holds what open jobs may cost.
pub const ESCROW: &str = "market_escrow";

/// Module account that holds the providers' bonds.
pub const BONDS: &str = "provider_bonds";

/// Module account that holds the bonds of audits and games, and what they are to share out.
pub const AUDITS: &str = "audits";

/// The account that settled jobs of a model pay into for audits of it.
pub fn audit_purse(model_id: &Hash) -> Address {
    Address::of_module_key(AUDITS, model_id)
}

pub(super) fn escrow() -> Address {
    Address::of_module(ESCROW)
}

pub(super) fn bonds() -> Address {
    Address::of_module(BONDS)
}

pub(super) const PARAMS: Item<Params> = Item::new(Table::MarketParams);
pub(super) const PROVIDERS: Map<Address, Provider> = Map::new(Table::MarketProviders);
pub(super) const RECEIPT_KEYS: Map<Hash, Vec<u8>> = Map::new(Table::MarketReceiptKeys);
pub(super) const OFFERS: IndexedMap<(Hash, Address), Offer> =
    IndexedMap::new(Table::MarketOffers, offer_indexes);
pub(super) const WITHDRAWALS: IndexedMap<u64, Withdrawal> =
    IndexedMap::new(Table::MarketWithdrawals, withdrawal_indexes);
pub(super) const NEXT_WITHDRAWAL: Item<u64> = Item::new(Table::MarketNextWithdrawal);
pub(super) const MODELS: Map<Hash, Model> = Map::new(Table::MarketModels);
/// Jobs settled, by model: beside the models, so that no settlement writes a manifest anew.
pub(super) const MODEL_COUNTS: Map<Hash, u64> = Map::new(Table::MarketModelCounts);
pub(super) const JOBS: IndexedMap<u64, Job> = IndexedMap::new(Table::MarketJobs, job_indexes);
pub(super) const NEXT_JOB: Item<u64> = Item::new(Table::MarketNextJob);
pub(super) const PAYLOADS: Map<u64, Payload> = Map::new(Table::MarketPayloads);
pub(super) const MATCH_CURSOR: Item<u64> = Item::new(Table::MarketMatchCursor);
pub(super) const TOTALS: Item<Totals> = Item::new(Table::MarketTotals);
/// Slots in use of a model, by who pays.
pub(super) const BUSY: Map<(Hash, Address), u64> = Map::new(Table::MarketBusy);
pub(super) const SETTLED: Map<u64, Settled> = Map::new(Table::MarketSettled);

fn bytes<K: Key>(key: &K) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    key.put(&mut out);
    out
}

/// Hands every index key of the market to `put`.
pub fn rebuild_derived(store: &dyn Read, put: &mut dyn FnMut(Vec<u8>)) {
    OFFERS.rebuild(store, put);
    WITHDRAWALS.rebuild(store, put);
    JOBS.rebuild(store, put);
}

fn offer_indexes((model_id, operator): &(Hash, Address), _: &Offer) -> Vec<IndexEntry> {
    [(Table::MarketOffersByOperator, bytes(&(*operator, *model_id)))].into()
}

fn withdrawal_indexes(id: &u64, withdrawal: &Withdrawal) -> Vec<IndexEntry> {
    let operator = Address::stored(&withdrawal.operator);
    [(Table::MarketWithdrawalsByOperator, bytes(&(operator, *id)))].into()
}

/// A job that waits is in no provider's list, whoever failed it before.
fn job_indexes(id: &u64, job: &Job) -> Vec<IndexEntry> {
    let state = state_byte(job.state());
    let requester = Address::stored(&job.requester);
    let mut indexes = Vec::with_capacity(4);
    indexes.push((Table::MarketJobsByRequester, bytes(&(requester, *id))));
    indexes.push((Table::MarketJobsByState, bytes(&(state, *id))));
    if job.state() != JobState::Open && !job.provider.is_empty() {
        let provider = Address::stored(&job.provider);
        indexes.push((Table::MarketJobsByProvider, bytes(&(provider, state, *id))));
        if job.state() == JobState::Delivered {
            let claim = (provider, job.delivered_height, *id);
            indexes.push((Table::MarketClaims, bytes(&claim)));
        }
    }
    indexes
}

/// A job's state as a byte of an index.
pub(super) fn state_byte(state: JobState) -> u8 {
    match state {
        JobState::Unspecified => 0,
        JobState::Open => 1,
        JobState::Assigned => 2,
        JobState::Delivered => 3,
        JobState::Settled => 4,
        JobState::Refunded => 5,
    }
}

/// Keys of an index between `from` and the end of `prefix`, without the prefix, read as `K`.
fn index_keys<'a, P: Key, K: Key + 'a>(
    store: &'a dyn Read,
    table: Table,
    prefix: &P,
    from: Option<&K>,
) -> impl Iterator<Item = K> + use<'a, P, K> {
    let mut start = Vec::with_capacity(64);
    start.push(table.id());
    prefix.put(&mut start);
    let (end, len) = (prefix_end(&start), start.len());
    if let Some(from) = from {
        from.put(&mut start);
    }
    store.range(&start, end.as_deref(), Order::Ascending).map(move |(key, _)| {
        let rest = key.get(len..).and_then(|mut rest| K::take(&mut rest));
        rest.unwrap_or_else(|| fault("bad index key", &key))
    })
}

/// Ids of open jobs from `from` on, in order.
pub(super) fn open_jobs(store: &dyn Read, from: u64) -> impl Iterator<Item = u64> + use<'_> {
    index_keys(store, Table::MarketJobsByState, &state_byte(JobState::Open), Some(&from))
}

/// Models that an operator offers, in order of their ids.
pub(super) fn models_of(store: &dyn Read, operator: Address) -> Vec<Hash> {
    index_keys(store, Table::MarketOffersByOperator, &operator, None).collect()
}

/// An operator's offers, in order of the models' ids.
pub(super) fn offers_of(store: &dyn Read, operator: Address) -> Vec<Offer> {
    models_of(store, operator)
        .into_iter()
        .filter_map(|model_id| OFFERS.get(store, &(model_id, operator)))
        .collect()
}

/// Ids of an operator's withdrawals, in order.
pub(super) fn withdrawals_of(store: &dyn Read, operator: Address) -> Vec<u64> {
    index_keys(store, Table::MarketWithdrawalsByOperator, &operator, None).collect()
}

/// Whether a claim that an operator made up to block `height` is neither settled nor voided.
pub(super) fn has_claim(store: &dyn Read, operator: Address, height: u64) -> bool {
    let mut claims = index_keys::<_, (u64, u64)>(store, Table::MarketClaims, &operator, None);
    claims.next().is_some_and(|(made, _)| made <= height)
}

/// Stores a job with its indexes, and moves its appointment to where its state wants it.
pub(super) fn put_job(store: &mut dyn Write, job: &Job) {
    if let Some(timer) = JOBS.get(store, &job.id).as_ref().and_then(timer::of_job) {
        timer::cancel(store, &timer);
    }
    if let Some(timer) = timer::of_job(job) {
        timer::schedule(store, &timer);
    }
    JOBS.set(store, &job.id, job);
}

/// The numbers of the market.
pub fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_else(|| fault("the market has no parameters", b""))
}

/// A job.
pub fn job(store: &dyn Read, id: u64) -> Option<Job> {
    JOBS.get(store, &id)
}

/// Those who have jobs under way for a model, from `from` on, and how many slots each uses.
pub fn busy_payers(
    store: &dyn Read,
    model_id: Hash,
    from: Address,
) -> impl Iterator<Item = (Address, u64)> + use<'_> {
    BUSY.iter_from(store, &(model_id, from))
        .take_while(move |((id, _), _)| *id == model_id)
        .map(|((_, payer), slots)| (payer, slots))
}

/// The parameters that a job keeps.
pub fn job_terms(job: &Job) -> JobTerms {
    job.terms.unwrap_or_else(|| fault("a job without terms", &job.id.to_be_bytes()))
}

/// A job's input and output, until they are forgotten.
pub fn payload(store: &dyn Read, job_id: u64) -> Option<Payload> {
    PAYLOADS.get(store, &job_id)
}

/// A provider.
pub fn provider(store: &dyn Read, operator: Address) -> Option<Provider> {
    PROVIDERS.get(store, &operator)
}

/// What a provider offers for a model.
pub fn offer(store: &dyn Read, model_id: &Hash, operator: Address) -> Option<Offer> {
    OFFERS.get(store, &(*model_id, operator))
}

/// A model.
pub fn model(store: &dyn Read, model_id: &Hash) -> Option<Model> {
    MODELS.get(store, model_id).map(|model| counted(store, model))
}

/// A stored model with its count of settled jobs.
pub(super) fn counted(store: &dyn Read, model: Model) -> Model {
    let jobs_settled = MODEL_COUNTS.get(store, &stored_hash(&model.model_id)).unwrap_or_default();
    Model { jobs_settled, ..model }
}

/// The totals, zero at first.
pub(super) fn totals(store: &dyn Read) -> Totals {
    TOTALS.get(store).unwrap_or_default()
}

/// A count that went up before goes down.
pub(super) fn one_less(count: u32) -> u32 {
    count.checked_sub(1).unwrap_or_else(|| fault("a count below zero", b""))
}

/// Where a job is stored, and proven.
pub fn job_key(id: u64) -> Vec<u8> {
    JOBS.map().path(&id)
}

/// Where a job's input and output are stored, and proven.
pub fn payload_key(job_id: u64) -> Vec<u8> {
    PAYLOADS.path(&job_id)
}

/// Where a provider is stored, and proven.
pub fn provider_key(operator: &Address) -> Vec<u8> {
    PROVIDERS.path(operator)
}

/// Where an offer is stored, and proven.
pub fn offer_key(model_id: Hash, operator: Address) -> Vec<u8> {
    OFFERS.map().path(&(model_id, operator))
}

/// Where a withdrawal is stored, and proven.
pub fn withdrawal_key(id: u64) -> Vec<u8> {
    WITHDRAWALS.map().path(&id)
}

/// Where a model is stored, and proven.
pub fn model_key(model_id: &Hash) -> Vec<u8> {
    MODELS.path(model_id)
}
