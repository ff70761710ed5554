//! `cosmos.tx.v1beta1.Service`: transactions simulated, broadcast, found and taken apart.

use base64::{Engine, engine::general_purpose::STANDARD};
use plasma_modules::{chain::TxResult, query::QueryError, tx::INJECTED_TX_PREFIX};
use plasma_proto::{
    cosmos::{
        base::{
            abci::v1beta1::{GasInfo, Result as TxOutcome, TxMsgData, TxResponse},
            query::v1beta1::PageResponse,
        },
        tx::v1beta1::{
            AuthInfo, BroadcastMode, BroadcastTxRequest, BroadcastTxResponse,
            GetBlockWithTxsRequest, GetBlockWithTxsResponse, GetTxRequest, GetTxResponse,
            GetTxsEventRequest, GetTxsEventResponse, OrderBy, SimulateRequest, SimulateResponse,
            Tx, TxBody, TxDecodeRequest, TxDecodeResponse, TxEncodeRequest, TxEncodeResponse,
        },
    },
    tendermint::abci::{Event, EventAttribute},
};
use prost::Message;
use prost_types::Any;
use sha2::{Digest, Sha256};
use tendermint::{Hash, Time};
use tendermint_rpc::{Order, endpoint::tx};

use super::{
    Asked, Failure, GRPC_INTERNAL, GRPC_UNKNOWN, SIMULATE, TYPE_TX,
    base::{block_id, block_of, height_of},
    calls::Calls,
    comet::{Broadcast, Taken},
    indexed,
};

/// Transactions of one page, and where the request does not say.
const PAGE_MAX: u64 = 100;

/// Adds this service.
pub(super) fn routes(calls: &mut Calls) {
    calls.add(SIMULATE, simulate);
    calls.add_asking_comet("/cosmos.tx.v1beta1.Service/BroadcastTx", broadcast);
    calls.add_asking_comet("/cosmos.tx.v1beta1.Service/GetTx", get);
    calls.add_asking_comet("/cosmos.tx.v1beta1.Service/GetTxsEvent", search);
    calls.add_asking_comet("/cosmos.tx.v1beta1.Service/GetBlockWithTxs", of_block);
    calls.add("/cosmos.tx.v1beta1.Service/TxDecode", decode_tx);
    calls.add("/cosmos.tx.v1beta1.Service/TxEncode", encode_tx);
}

fn invalid(message: impl Into<String>) -> Failure {
    QueryError::invalid(message).into()
}

fn simulate(asked: Asked<'_>, request: SimulateRequest) -> Result<SimulateResponse, Failure> {
    #[expect(deprecated, reason = "old clients send the decoded transaction")]
    let SimulateRequest { tx, mut tx_bytes } = request;
    if tx_bytes.is_empty() {
        let tx = tx.ok_or_else(|| invalid("tx_bytes is empty"))?;
        tx_bytes = tx.encode_to_vec();
    }
    let result = asked.doors.node().simulate(&tx_bytes)?;
    let TxResult { codespace, code, log, data, gas_wanted, gas_used, events } = result;
    if code != 0 {
        return Err(Failure {
            grpc: GRPC_UNKNOWN,
            abci: code,
            codespace,
            message: log.clone(),
            log,
        });
    }
    let attribute =
        |(key, value): (&str, String)| EventAttribute { key: key.to_owned(), value, index: true };
    let events = events.into_iter().map(|event| Event {
        r#type: event.kind.to_owned(),
        attributes: event.attributes.into_iter().map(attribute).collect(),
    });
    let msg_responses = TxMsgData::decode(&data[..]).map(|data| data.msg_responses);
    #[expect(deprecated, reason = "old clients read `data`")]
    let outcome = TxOutcome {
        data,
        log,
        events: events.collect(),
        msg_responses: msg_responses.unwrap_or_default(),
    };
    Ok(SimulateResponse { gas_info: Some(GasInfo { gas_wanted, gas_used }), result: Some(outcome) })
}

fn broadcast(
    asked: Asked<'_>,
    request: BroadcastTxRequest,
) -> Result<BroadcastTxResponse, Failure> {
    let how = match request.mode() {
        BroadcastMode::Sync => Broadcast::Sync,
        BroadcastMode::Async => Broadcast::Async,
        _ => {
            return Err(invalid(
                "mode must be BROADCAST_MODE_SYNC or BROADCAST_MODE_ASYNC; what became of the \
                 transaction is told by GetTx once a block has it",
            ));
        }
    };
    let tx = request.tx_bytes;
    if tx.is_empty() {
        return Err(invalid("invalid empty tx"));
    }
    let taken = match &asked.doors.frontdoor {
        Some(door) => Taken::of_frontdoor(door.offer(tx.clone().into())?, how),
        None => asked.doors.comet()?.broadcast(&tx, how)?,
    };
    let Taken { code, codespace, data, log } = taken;
    let response = TxResponse {
        txhash: hex::encode_upper(Sha256::digest(&tx)),
        codespace,
        code,
        data: hex::encode_upper(data),
        raw_log: log,
        ..TxResponse::default()
    };
    Ok(BroadcastTxResponse { tx_response: Some(response) })
}

/// What a block's own entry is shown as: a transaction without messages.
fn own_entry() -> Tx {
    let (body, auth_info) = (Some(TxBody::default()), Some(AuthInfo::default()));
    Tx { body, auth_info, signatures: Vec::new() }
}

fn is_own_entry(bytes: &[u8]) -> bool {
    bytes.first() == Some(&INJECTED_TX_PREFIX)
}

/// A transaction that a block holds.
fn decoded(bytes: &[u8]) -> Result<Tx, Failure> {
    if is_own_entry(bytes) {
        return Ok(own_entry());
    }
    // A TxRaw has the fields of a Tx, each as its bytes.
    Tx::decode(bytes).map_err(|error| {
        tracing::warn!(%error, "a committed transaction cannot be decoded");
        Failure::of(GRPC_INTERNAL, "a committed transaction cannot be decoded")
    })
}

fn event(event: tendermint::abci::Event) -> Event {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let attributes = event.attributes.iter().map(|attribute| EventAttribute {
        key: text(attribute.key_bytes()),
        value: text(attribute.value_bytes()),
        index: attribute.index(),
    });
    Event { r#type: event.kind, attributes: attributes.collect() }
}

fn response(found: tx::Response, time: Time) -> TxResponse {
    let tx::Response { hash, height, tx_result, tx, .. } = found;
    // CometBFT writes base64, and its client library leaves the text as it is.
    let data = STANDARD.decode(&tx_result.data).unwrap_or_else(|_| tx_result.data.to_vec());
    let whole = Time::from_unix_timestamp(time.unix_timestamp(), 0).unwrap_or(time);
    let tx = if is_own_entry(&tx) { own_entry().encode_to_vec() } else { tx };
    TxResponse {
        height: height.into(),
        txhash: hex::encode_upper(hash.as_bytes()),
        codespace: tx_result.codespace,
        code: tx_result.code.value(),
        data: hex::encode_upper(data),
        raw_log: tx_result.log,
        // Empty since SDK 0.50: the events below say what the logs did.
        logs: Vec::new(),
        info: tx_result.info,
        gas_wanted: tx_result.gas_wanted,
        gas_used: tx_result.gas_used,
        tx: Some(Any { type_url: TYPE_TX.into(), value: tx }),
        timestamp: whole.to_rfc3339(),
        events: tx_result.events.into_iter().map(event).collect(),
    }
}

fn get(asked: Asked<'_>, request: GetTxRequest) -> Result<GetTxResponse, Failure> {
    let bytes: Option<[u8; 32]> = hex::decode(&request.hash).ok().and_then(|b| b.try_into().ok());
    let hash =
        Hash::Sha256(bytes.ok_or_else(|| {
            invalid("hash must be the transaction's sha256, 64 hexadecimal digits")
        })?);
    let (found, time) = match asked.doors.node().index() {
        Some(index) => indexed::tx(index, hash)?,
        None => asked.doors.comet()?.tx(hash)?,
    };
    let tx = decoded(&found.tx)?;
    Ok(GetTxResponse { tx: Some(tx), tx_response: Some(response(found, time)) })
}

fn search(asked: Asked<'_>, request: GetTxsEventRequest) -> Result<GetTxsEventResponse, Failure> {
    let order = match request.order_by() {
        OrderBy::Desc => Order::Descending,
        OrderBy::Unspecified | OrderBy::Asc => Order::Ascending,
    };
    #[expect(deprecated, reason = "clients of SDK 0.47 and before send events, or a pagination")]
    let GetTxsEventRequest { events, pagination, mut page, mut limit, mut query, .. } = request;
    if query.is_empty() {
        query = events.join(" AND ");
    }
    if query.is_empty() {
        return Err(invalid("query must say what to look for, tx.height=5 for example"));
    }
    if let (0, 0, Some(pagination)) = (page, limit, pagination) {
        limit = pagination.limit;
        page = pagination.offset.checked_div(limit).map_or(0, |pages| pages.saturating_add(1));
    }
    let limit = if limit == 0 { PAGE_MAX } else { limit };
    let per_page = u8::try_from(limit).ok().filter(|_| limit <= PAGE_MAX);
    let per_page = per_page.ok_or_else(|| invalid(format!("limit is at most {PAGE_MAX}")))?;
    let page = u32::try_from(page.max(1)).map_err(|_| invalid("there is no such page"))?;
    let (found, times) = match asked.doors.node().index() {
        Some(index) => indexed::search(index, &query, page, per_page, &order)?,
        None => asked.doors.comet()?.search(query, page, per_page, order)?,
    };
    let mut reply = GetTxsEventResponse { total: found.total_count.into(), ..Default::default() };
    for tx in found.txs {
        let time = times.get(&tx.height).copied().unwrap_or_else(Time::unix_epoch);
        reply.txs.push(decoded(&tx.tx)?);
        reply.tx_responses.push(response(tx, time));
    }
    Ok(reply)
}

fn of_block(
    asked: Asked<'_>,
    request: GetBlockWithTxsRequest,
) -> Result<GetBlockWithTxsResponse, Failure> {
    let found = asked.doors.comet()?.block(Some(height_of(request.height)?))?;
    let pagination = request.pagination.unwrap_or_default();
    let total = found.block.data.len();
    let offset = usize::try_from(pagination.offset).unwrap_or(usize::MAX);
    if offset > 0 && offset >= total {
        return Err(invalid(format!("offset {offset}: the block has {total} transactions")));
    }
    let limit = if pagination.limit == 0 { PAGE_MAX } else { pagination.limit.min(PAGE_MAX) };
    let limit = usize::try_from(limit).unwrap_or_default();
    let data = found.block.data.iter();
    let page: Vec<&Vec<u8>> = if pagination.reverse {
        data.rev().skip(offset).take(limit).collect()
    } else {
        data.skip(offset).take(limit).collect()
    };
    let txs = page.into_iter().map(|tx| decoded(tx)).collect::<Result<_, _>>()?;
    let total = u64::try_from(total).unwrap_or(u64::MAX);
    Ok(GetBlockWithTxsResponse {
        txs,
        block_id: Some(block_id(found.block_id)?),
        block: Some(block_of(found.block)?),
        pagination: Some(PageResponse { next_key: Vec::new(), total }),
    })
}

fn decode_tx(_: Asked<'_>, request: TxDecodeRequest) -> Result<TxDecodeResponse, Failure> {
    if request.tx_bytes.is_empty() {
        return Err(invalid("invalid empty tx bytes"));
    }
    let tx = Tx::decode(&request.tx_bytes[..]).map_err(|error| invalid(error.to_string()))?;
    Ok(TxDecodeResponse { tx: Some(tx) })
}

fn encode_tx(_: Asked<'_>, request: TxEncodeRequest) -> Result<TxEncodeResponse, Failure> {
    let tx = request.tx.ok_or_else(|| invalid("invalid empty tx"))?;
    Ok(TxEncodeResponse { tx_bytes: tx.encode_to_vec() })
}
