//! Questions that plasmad's own index answers, in CometBFT's words and forms: `tx`, `tx_search`,
//! `block_search`, `block_results`.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::StatusCode;
use plasma_modules::tx;
use serde_json::{Value, json};
use tendermint_proto::v0_38::{
    abci::{Event, ExecTxResult, ValidatorUpdate},
    crypto::public_key::Sum,
};

use super::{
    Frontdoor,
    calls::{Fault, INTERNAL, INVALID_PARAMS, URI_ID, answered},
    proxy,
};
use crate::index::{FoundTx, Index, Query, TxProof, prove};

/// Entries of a page where nothing is said, and at most: CometBFT's own.
const PER_PAGE: usize = 30;
const PER_PAGE_MAX: usize = 100;

/// The calls that the index answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    Tx,
    TxSearch,
    BlockSearch,
    BlockResults,
}

impl Lookup {
    pub(super) fn named(method: &str) -> Option<Self> {
        match method {
            "tx" => Some(Self::Tx),
            "tx_search" => Some(Self::TxSearch),
            "block_search" => Some(Self::BlockSearch),
            "block_results" => Some(Self::BlockResults),
            _ => None,
        }
    }

    /// The call of a JSON-RPC request, if it is one of these.
    pub(super) fn of(request: &Value) -> Option<Self> {
        Self::named(request.get("method")?.as_str()?)
    }

    /// Its parameters, by place.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Tx => &["hash", "prove"],
            Self::TxSearch => &["query", "prove", "page", "per_page", "order_by"],
            Self::BlockSearch => &["query", "page", "per_page", "order_by"],
            Self::BlockResults => &["height"],
        }
    }
}

/// Parameters of a call: JSON, or text of a URI.
enum Params {
    Json(Value),
    Uri(Vec<(String, String)>),
}

impl Params {
    fn bad(&self, text: impl std::fmt::Display) -> Fault {
        let form = match self {
            Self::Json(_) => "json",
            Self::Uri(_) => "http",
        };
        Fault::of(INVALID_PARAMS, format!("error converting {form} params to arguments: {text}"))
    }

    /// A parameter as JSON; in a URI numbers and words may stand without quotes.
    fn get(&self, call: Lookup, name: &str) -> Result<Option<Value>, Fault> {
        let value = match self {
            Self::Json(Value::Object(named)) => named.get(name).cloned(),
            Self::Json(Value::Array(list)) => {
                let names = call.names();
                if list.len() != names.len() {
                    let (wanted, got) = (names.len(), list.len());
                    return Err(self.bad(format!("expected {wanted} parameters, got {got}")));
                }
                names.iter().position(|n| *n == name).and_then(|at| list.get(at)).cloned()
            }
            Self::Json(Value::Null) => None,
            Self::Json(_) => return Err(self.bad("unknown type for JSON params")),
            Self::Uri(fields) => {
                let text = fields.iter().find(|(field, _)| field == name).map(|(_, text)| text);
                text.filter(|text| !text.is_empty()).map(|text| {
                    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
                })
            }
        };
        Ok(value.filter(|value| !value.is_null()))
    }

    fn text(&self, call: Lookup, name: &str) -> Result<String, Fault> {
        match self.get(call, name)? {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.bad(format!("{name} is not a string"))),
        }
    }

    fn flag(&self, call: Lookup, name: &str) -> Result<bool, Fault> {
        match self.get(call, name)? {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.bad(format!("{name} is neither true nor false"))),
        }
    }

    fn number(&self, call: Lookup, name: &str) -> Result<Option<i64>, Fault> {
        let number = match self.get(call, name)? {
            None => return Ok(None),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_i64(),
        };
        number.map(Some).ok_or_else(|| self.bad(format!("{name} is not a number")))
    }

    fn hash(&self, call: Lookup) -> Result<Vec<u8>, Fault> {
        let text = self.text(call, "hash")?;
        let bytes = match self {
            Self::Json(_) => STANDARD.decode(&text).ok(),
            Self::Uri(_) => match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(digits) => hex::decode(digits).ok(),
                None => Some(text.clone().into_bytes()),
            },
        };
        bytes.ok_or_else(|| self.bad(format!("hash {text:?} is not encoded properly")))
    }
}

fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::of(INTERNAL, error)
}

/// Which entries are asked for.
struct Page {
    page: Option<i64>,
    per_page: usize,
    descending: bool,
}

impl Page {
    fn new(params: &Params, call: Lookup) -> Result<Self, Fault> {
        let per_page = params.number(call, "per_page")?;
        let per_page = per_page.and_then(|number| usize::try_from(number).ok());
        let per_page = per_page.filter(|number| *number > 0).unwrap_or(PER_PAGE).min(PER_PAGE_MAX);
        let order = params.text(call, "order_by")?;
        let descending = match (&order[..], call) {
            ("asc", _) | ("", Lookup::TxSearch) => false,
            ("desc" | "", _) => true,
            _ => {
                return Err(internal("expected order_by to be either `asc` or `desc` or empty"));
            }
        };
        Ok(Self { page: params.number(call, "page")?, per_page, descending })
    }

    /// Entries before the page.
    fn skip(&self, count: usize) -> Result<usize, Fault> {
        let Some(page) = self.page else { return Ok(0) };
        let pages = count.div_ceil(self.per_page).max(1);
        let number = usize::try_from(page).ok().filter(|page| (1..=pages).contains(page));
        let number = number.ok_or_else(|| {
            internal(format!("page should be within [1, {pages}] range, given {page}"))
        })?;
        Ok((number - 1) * self.per_page)
    }
}

/// What a lookup says without CometBFT.
enum Found {
    Result(Value),
    /// A page of blocks, which CometBFT has, and how many there are.
    Blocks(Vec<u64>, usize),
    /// Only CometBFT knows.
    Elsewhere,
}

fn look(index: &Index, call: Lookup, params: &Params) -> Result<Found, Fault> {
    match call {
        Lookup::Tx => {
            let hash = params.hash(call)?;
            let with_proof = params.flag(call, "prove")?;
            let found = <[u8; 32]>::try_from(&hash[..]).ok().and_then(|hash| index.tx(&hash));
            let found = found
                .ok_or_else(|| internal(format!("tx ({}) not found", hex::encode_upper(&hash))))?;
            let proof = if with_proof { proof_of(index, &found, &mut None) } else { None };
            Ok(Found::Result(tx_json(&found, proof.as_ref())))
        }
        Lookup::TxSearch => {
            let with_proof = params.flag(call, "prove")?;
            let query = Query::parse(&params.text(call, "query")?).map_err(internal)?;
            let page = Page::new(params, call)?;
            let matches = index.search(&query).map_err(internal)?;
            let count = matches.count();
            let places = matches.page(page.skip(count)?, page.per_page, page.descending);
            let mut block = None;
            let txs = index.load(&places);
            let txs = txs.iter().map(|found| {
                let proof = if with_proof { proof_of(index, found, &mut block) } else { None };
                tx_json(found, proof.as_ref())
            });
            let txs: Vec<Value> = txs.collect();
            Ok(Found::Result(json!({ "txs": txs, "total_count": count.to_string() })))
        }
        Lookup::BlockSearch => {
            let query = Query::parse(&params.text(call, "query")?).map_err(internal)?;
            let page = Page::new(params, call)?;
            let mut heights = index.search_blocks(&query).map_err(internal)?;
            if page.descending {
                heights.reverse();
            }
            let (count, skip) = (heights.len(), page.skip(heights.len())?);
            let heights = heights.into_iter().skip(skip).take(page.per_page).collect();
            Ok(Found::Blocks(heights, count))
        }
        Lookup::BlockResults => {
            let newest = index.heights().map(|(_, newest)| newest);
            let height = match params.number(call, "height")? {
                None => newest,
                Some(height) => u64::try_from(height).ok(),
            };
            let found = height.and_then(|height| index.block(height));
            let found = found.filter(|block| block.response.consensus_param_updates.is_none());
            let Some(block) = found else { return Ok(Found::Elsewhere) };
            let results = index.txs_of(block.height);
            let results: Vec<Value> = results.iter().map(|tx| result_json(&tx.result)).collect();
            let response = block.response;
            let updates: Vec<Value> = response.validator_updates.iter().map(update_json).collect();
            let list = |list: Vec<Value>| if list.is_empty() { Value::Null } else { list.into() };
            Ok(Found::Result(json!({
                "height": block.height.to_string(),
                "txs_results": list(results),
                "finalize_block_events": list(events_json(&response.events)),
                "validator_updates": list(updates),
                "consensus_param_updates": null,
                "app_hash": STANDARD.encode(&response.app_hash),
            })))
        }
    }
}

/// The proof of a transaction; `block` keeps the transactions of the last block that was read.
fn proof_of(
    index: &Index,
    found: &FoundTx,
    block: &mut Option<(u64, Vec<FoundTx>)>,
) -> Option<TxProof> {
    if block.as_ref().is_none_or(|(height, _)| *height != found.height) {
        *block = Some((found.height, index.txs_of(found.height)));
    }
    let (_, txs) = block.as_ref()?;
    prove(txs.iter().map(|tx| &tx.tx[..]), usize::try_from(found.index).ok()?)
}

fn tx_json(found: &FoundTx, proof: Option<&TxProof>) -> Value {
    let FoundTx { height, index, tx, result } = found;
    let data = STANDARD.encode(tx);
    let mut json = json!({
        "hash": tx::hash(tx),
        "height": height.to_string(),
        "index": index,
        "tx_result": result_json(result),
        "tx": data,
    });
    if let Some(TxProof { root, total, index, leaf, aunts }) = proof {
        let aunts: Vec<String> = aunts.iter().map(|aunt| STANDARD.encode(aunt)).collect();
        json["proof"] = json!({
            "root_hash": hex::encode_upper(root),
            "data": data,
            "proof": {
                "total": total.to_string(),
                "index": index.to_string(),
                "leaf_hash": STANDARD.encode(leaf),
                "aunts": aunts,
            },
        });
    }
    json
}

fn events_json(events: &[Event]) -> Vec<Value> {
    let event = |event: &Event| {
        let attributes = event.attributes.iter().map(|attribute| {
            json!({
                "key": attribute.key, "value": attribute.value, "index": attribute.index,
            })
        });
        json!({ "type": event.r#type, "attributes": attributes.collect::<Vec<_>>() })
    };
    events.iter().map(event).collect()
}

/// What a transaction did, as CometBFT writes it.
fn result_json(result: &ExecTxResult) -> Value {
    let ExecTxResult { code, data, log, info, gas_wanted, gas_used, events, codespace } = result;
    let data = if data.is_empty() { Value::Null } else { STANDARD.encode(data).into() };
    json!({
        "code": code,
        "data": data,
        "log": log,
        "info": info,
        "gas_wanted": gas_wanted.to_string(),
        "gas_used": gas_used.to_string(),
        "events": events_json(events),
        "codespace": codespace,
    })
}

fn update_json(update: &ValidatorUpdate) -> Value {
    let key = update.pub_key.as_ref().and_then(|key| key.sum.as_ref()).map(|sum| match sum {
        Sum::Ed25519(key) => ("Ed25519", "ed25519", key),
        Sum::Secp256k1(key) => ("Secp256K1", "secp256k1", key),
    });
    let sum = key.map(|(kind, field, key)| {
        json!({
            "type": format!("tendermint.crypto.PublicKey_{kind}"),
            "value": { field: STANDARD.encode(key) },
        })
    });
    let mut json = json!({ "pub_key": { "Sum": sum } });
    if update.power != 0 {
        json["power"] = update.power.to_string().into();
    }
    json
}

impl Frontdoor {
    /// Whether the index answers a request.
    pub(super) fn looks(&self, request: &Value) -> Option<Lookup> {
        self.node.index()?;
        Lookup::of(request)
    }

    /// Answers a JSON-RPC call of [`Frontdoor::looks`]; `None` where only CometBFT can.
    pub(super) async fn lookup(self: &Arc<Self>, call: Lookup, request: &Value) -> Option<Value> {
        let id = request.get("id").cloned().unwrap_or_default();
        let params = request.get("params").cloned().unwrap_or_default();
        let result = self.found(call, Params::Json(params)).await;
        match result {
            Ok(None) => None,
            Ok(Some(result)) => Some(answered(&id, Ok(result))),
            Err(fault) => Some(answered(&id, Err(fault))),
        }
    }

    /// Answers `GET /CALL?...`; `None` where only CometBFT can.
    pub(super) async fn uri_lookup(
        self: &Arc<Self>,
        call: Lookup,
        query: &str,
    ) -> Option<(StatusCode, String)> {
        let fields = crate::doors::query_fields(query);
        let result = match fields {
            Some(fields) => self.found(call, Params::Uri(fields)).await,
            None => Err(Fault::of(INVALID_PARAMS, "the query string is not encoded properly")),
        };
        let status = match &result {
            Ok(None) => return None,
            Ok(Some(_)) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let result = result.map(Option::unwrap_or_default);
        Some((status, answered(&URI_ID.into(), result).to_string()))
    }

    /// Looks on a thread that may block, and lets CometBFT add blocks.
    async fn found(self: &Arc<Self>, call: Lookup, params: Params) -> Result<Option<Value>, Fault> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await;
        let door = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            door.node.index().map_or(Ok(Found::Elsewhere), |index| look(index, call, &params))
        });
        let found = looked.await.map_err(|error| {
            self.node.metrics().panicked();
            tracing::error!(%error, "front door: a search panicked");
            internal("the search failed inside the node")
        })??;
        match found {
            Found::Result(result) => Ok(Some(result)),
            Found::Elsewhere => Ok(None),
            Found::Blocks(heights, count) => {
                let mut blocks = Vec::new();
                for height in heights {
                    let params = json!({ "height": height.to_string() });
                    let call =
                        json!({ "jsonrpc": "2.0", "id": 1, "method": "block", "params": params });
                    let answer = proxy::call(self, Bytes::from(call.to_string())).await;
                    let mut answer = answer.map_err(internal)?;
                    // CometBFT leaves out a block that it has no more.
                    if let Some(result) = answer.get_mut("result") {
                        blocks.push(result.take());
                    }
                }
                Ok(Some(json!({ "blocks": blocks, "total_count": count.to_string() })))
            }
        }
    }

    /// Height and result of a transaction, once the index has it.
    pub(super) async fn indexed(self: &Arc<Self>, hash: [u8; 32]) -> Option<(Value, Value)> {
        let door = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || door.node.index()?.tx(&hash));
        let found = looked.await.ok()??;
        Some((found.height.to_string().into(), result_json(&found.result)))
    }
}
