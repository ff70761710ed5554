//! Transactions of plasmad's own index, in the forms in which CometBFT tells of them.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use plasma_modules::query::QueryError;
use sha2::{Digest, Sha256};
use tendermint::{Hash, Time, abci::types::ExecTxResult, block::Height};
use tendermint_rpc::{
    Order,
    endpoint::{tx, tx_search},
};

use super::{Failure, GRPC_EXHAUSTED, GRPC_INTERNAL};
use crate::index::{FoundTx, Index, Query, SearchError};

fn response(found: FoundTx) -> Result<tx::Response, Failure> {
    let FoundTx { height, index, tx, result } = found;
    let broken = || Failure::of(GRPC_INTERNAL, "an entry of the index is not understood");
    let mut tx_result = ExecTxResult::try_from(result).map_err(|_| broken())?;
    // As it comes from CometBFT.
    tx_result.data = STANDARD.encode(&tx_result.data).into();
    Ok(tx::Response {
        hash: Hash::Sha256(Sha256::digest(&tx).into()),
        height: Height::try_from(height).map_err(|_| broken())?,
        index,
        tx_result,
        tx,
        proof: None,
    })
}

/// Time of a block, whole seconds.
fn time(index: &Index, height: u64) -> Time {
    let time_s = index.block(height).and_then(|block| i64::try_from(block.time_s).ok());
    let time = time_s.and_then(|time_s| Time::from_unix_timestamp(time_s, 0).ok());
    time.unwrap_or_else(Time::unix_epoch)
}

/// A transaction by its hash, and its block's time.
pub(super) fn tx(index: &Index, hash: Hash) -> Result<(tx::Response, Time), Failure> {
    let bytes: [u8; 32] = hash.as_bytes().try_into().unwrap_or_default();
    let found =
        index.tx(&bytes).ok_or_else(|| QueryError::not_found(format!("tx ({hash}) not found")))?;
    let time = time(index, found.height);
    Ok((response(found)?, time))
}

/// A page of the transactions that `query` finds, with the times of their blocks.
pub(super) fn search(
    index: &Index,
    query: &str,
    page: u32,
    per_page: u8,
    order: &Order,
) -> Result<(tx_search::Response, BTreeMap<Height, Time>), Failure> {
    let invalid = |text: String| Failure::from(QueryError::invalid(text));
    let query = Query::parse(query).map_err(|error| invalid(error.to_string()))?;
    let matches = index.search(&query).map_err(|error| match error {
        SearchError::TooMuch => Failure::of(GRPC_EXHAUSTED, &error.to_string()),
        SearchError::Hash(_) => invalid(error.to_string()),
    })?;
    let (count, per_page) = (matches.count(), usize::from(per_page.max(1)));
    let pages = count.div_ceil(per_page).max(1);
    let page = usize::try_from(page).ok().filter(|page| (1..=pages).contains(page));
    let page = page.ok_or_else(|| invalid(format!("page should be within [1, {pages}]")))?;
    let descending = matches!(order, Order::Descending);
    let places = matches.page((page - 1) * per_page, per_page, descending);
    let mut times = BTreeMap::new();
    let mut txs = Vec::with_capacity(places.len());
    for found in index.load(&places) {
        let height = found.height;
        let found = response(found)?;
        times.entry(found.height).or_insert_with(|| time(index, height));
        txs.push(found);
    }
    let total_count = u32::try_from(count).unwrap_or(u32::MAX);
    Ok((tx_search::Response { txs, total_count }, times))
}
