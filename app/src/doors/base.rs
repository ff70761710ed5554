//! `cosmos.base.tendermint`, `cosmos.base.node` and `cosmos.consensus`: the chain and this node.

use bech32::{Bech32, Hrp};
use plasma_modules::{HRP, ante, query::QueryError, token};
use plasma_proto::{
    cosmos::{
        base::{
            node::v1beta1::{ConfigRequest, ConfigResponse, StatusRequest, StatusResponse},
            query::v1beta1::{PageRequest, PageResponse},
            tendermint::v1beta1::{
                AbciQueryRequest, AbciQueryResponse, Block as SdkBlock, GetBlockByHeightRequest,
                GetBlockByHeightResponse, GetLatestBlockRequest, GetLatestBlockResponse,
                GetLatestValidatorSetRequest, GetLatestValidatorSetResponse, GetNodeInfoRequest,
                GetNodeInfoResponse, GetSyncingRequest, GetSyncingResponse,
                GetValidatorSetByHeightRequest, GetValidatorSetByHeightResponse,
                Header as SdkHeader, Module, ProofOp, ProofOps, Validator, VersionInfo,
            },
        },
        consensus::v1::{QueryParamsRequest, QueryParamsResponse},
        crypto::ed25519::PubKey,
    },
    tendermint::{
        p2p::{DefaultNodeInfo, DefaultNodeInfoOther, ProtocolVersion},
        types::{Block, BlockId, ConsensusParams},
    },
};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use tendermint::block::Height;
use tendermint_proto::v0_38::{self as pb, abci::RequestQuery};
use tendermint_rpc::endpoint::block::Response as FoundBlock;

use super::{ABCI_QUERY, Asked, Failure, GRPC_INTERNAL, NODE_CONFIG, NODE_INFO, calls::Calls};
use crate::{VERSION, abci};

/// Version of the Cosmos SDK whose interfaces are spoken; clients choose their routes by it.
const SDK_VERSION: &str = "v0.53.8";
const SDK_PATH: &str = "github.com/cosmos/cosmos-sdk";
/// Validators of one page, and where the request does not say.
const VALIDATORS_MAX: u64 = 100;
/// Nano-uxpl of one uxpl, as a number of digits.
const NANO_DIGITS: usize = 9;

/// Adds these services.
pub(super) fn routes(calls: &mut Calls) {
    calls.add_asking_comet(NODE_INFO, node_info);
    calls.add_asking_comet("/cosmos.base.tendermint.v1beta1.Service/GetSyncing", syncing);
    calls.add_asking_comet("/cosmos.base.tendermint.v1beta1.Service/GetLatestBlock", newest_block);
    calls.add_asking_comet("/cosmos.base.tendermint.v1beta1.Service/GetBlockByHeight", block_at);
    calls.add_asking_comet(
        "/cosmos.base.tendermint.v1beta1.Service/GetLatestValidatorSet",
        newest_validators,
    );
    calls.add_asking_comet(
        "/cosmos.base.tendermint.v1beta1.Service/GetValidatorSetByHeight",
        validators_at,
    );
    // What it asks may ask CometBFT.
    calls.add_asking_comet(ABCI_QUERY, abci_query);
    calls.add(NODE_CONFIG, node_config);
    calls.add_asking_comet("/cosmos.base.node.v1beta1.Service/Status", node_status);
    calls.add_asking_comet("/cosmos.consensus.v1.Query/Params", consensus_params);
}

/// A height of a request.
pub(super) fn height_of(height: i64) -> Result<Height, Failure> {
    let height = u64::try_from(height).ok().filter(|height| *height > 0);
    let height = height.and_then(|height| Height::try_from(height).ok());
    height.ok_or_else(|| QueryError::invalid("height must be at least 1").into())
}

/// The same message in the types of this node's own descriptors.
fn same<M: Message + Default>(message: &impl Message) -> Result<M, Failure> {
    M::decode(&message.encode_to_vec()[..]).map_err(|error| {
        tracing::error!(%error, "a type of CometBFT differs from ours");
        Failure::of(GRPC_INTERNAL, "an answer of CometBFT is not understood")
    })
}

/// A block's id, of our types.
pub(super) fn block_id(id: tendermint::block::Id) -> Result<BlockId, Failure> {
    same(&pb::types::BlockId::from(id))
}

/// A block, of our types.
pub(super) fn block_of(block: tendermint::Block) -> Result<Block, Failure> {
    same(&pb::types::Block::from(block))
}

/// A consensus address as text.
fn valcons(address: &[u8]) -> Result<String, Failure> {
    let hrp = Hrp::parse(&format!("{HRP}valcons"));
    let text = hrp.ok().and_then(|hrp| bech32::encode::<Bech32>(hrp, address).ok());
    text.ok_or_else(|| Failure::of(GRPC_INTERNAL, "a consensus address has no text"))
}

fn node_info(asked: Asked<'_>, _: GetNodeInfoRequest) -> Result<GetNodeInfoResponse, Failure> {
    let info = asked.doors.comet()?.status()?.node_info;
    // Relayers refuse a node that finds no transactions; this one does by either index.
    let finds = asked.doors.node().index().is_some() || info.other.tx_index.into();
    let versions = info.protocol_version;
    let sdk = Module { path: SDK_PATH.into(), version: SDK_VERSION.into(), ..Module::default() };
    Ok(GetNodeInfoResponse {
        default_node_info: Some(DefaultNodeInfo {
            protocol_version: Some(ProtocolVersion {
                p2p: versions.p2p,
                block: versions.block,
                app: versions.app,
            }),
            default_node_id: info.id.to_string(),
            listen_addr: info.listen_addr.to_string(),
            network: info.network.to_string(),
            version: info.version.to_string(),
            channels: hex::decode(info.channels.to_string()).unwrap_or_default(),
            moniker: info.moniker.to_string(),
            other: Some(DefaultNodeInfoOther {
                tx_index: if finds { "on" } else { "off" }.into(),
                rpc_address: info.other.rpc_address,
            }),
        }),
        application_version: Some(VersionInfo {
            name: "plasma".into(),
            app_name: "plasmad".into(),
            version: VERSION.into(),
            // Relayers read here which interfaces are spoken.
            build_deps: vec![sdk],
            cosmos_sdk_version: SDK_VERSION.into(),
            ..VersionInfo::default()
        }),
    })
}

fn syncing(asked: Asked<'_>, _: GetSyncingRequest) -> Result<GetSyncingResponse, Failure> {
    let syncing = asked.doors.comet()?.status()?.sync_info.catching_up;
    Ok(GetSyncingResponse { syncing })
}

/// A block, and the same one with its proposer's address as text.
fn blocks(found: FoundBlock) -> Result<(BlockId, Block, SdkBlock), Failure> {
    let block = block_of(found.block)?;
    let header = block.header.clone().unwrap_or_default();
    let sdk = SdkBlock {
        header: Some(SdkHeader {
            version: header.version,
            chain_id: header.chain_id,
            height: header.height,
            time: header.time,
            last_block_id: header.last_block_id,
            last_commit_hash: header.last_commit_hash,
            data_hash: header.data_hash,
            validators_hash: header.validators_hash,
            next_validators_hash: header.next_validators_hash,
            consensus_hash: header.consensus_hash,
            app_hash: header.app_hash,
            last_results_hash: header.last_results_hash,
            evidence_hash: header.evidence_hash,
            proposer_address: valcons(&header.proposer_address)?,
        }),
        data: block.data.clone(),
        evidence: block.evidence.clone(),
        last_commit: block.last_commit.clone(),
    };
    Ok((block_id(found.block_id)?, block, sdk))
}

fn newest_block(
    asked: Asked<'_>,
    _: GetLatestBlockRequest,
) -> Result<GetLatestBlockResponse, Failure> {
    let (id, block, sdk) = blocks(asked.doors.comet()?.block(None)?)?;
    Ok(GetLatestBlockResponse { block_id: Some(id), block: Some(block), sdk_block: Some(sdk) })
}

fn block_at(
    asked: Asked<'_>,
    request: GetBlockByHeightRequest,
) -> Result<GetBlockByHeightResponse, Failure> {
    let (id, block, sdk) = blocks(asked.doors.comet()?.block(Some(height_of(request.height)?))?)?;
    Ok(GetBlockByHeightResponse { block_id: Some(id), block: Some(block), sdk_block: Some(sdk) })
}

/// A page of validators: height, page, and how many there are.
type Page = (i64, Vec<Validator>, PageResponse);

fn validators(
    asked: Asked<'_>,
    height: Option<Height>,
    pagination: Option<PageRequest>,
) -> Result<Page, Failure> {
    let PageRequest { key, offset, limit, .. } = pagination.unwrap_or_default();
    if !key.is_empty() {
        return Err(QueryError::invalid("page validators by offset and limit").into());
    }
    let limit = if limit == 0 { VALIDATORS_MAX } else { limit };
    if limit > VALIDATORS_MAX {
        return Err(QueryError::invalid(format!("limit is at most {VALIDATORS_MAX}")).into());
    }
    let page = (offset / limit).saturating_add(1);
    let found = asked.doors.comet()?.validators(height, page, limit)?;
    let validator = |validator: super::comet::Validator| {
        let key = PubKey { key: validator.pub_key.to_bytes() };
        Ok(Validator {
            address: valcons(validator.address.as_bytes())?,
            pub_key: Some(Any { type_url: PubKey::type_url(), value: key.encode_to_vec() }),
            voting_power: validator.voting_power,
            proposer_priority: validator.proposer_priority,
        })
    };
    let page = found.validators.into_iter().map(validator).collect::<Result<_, Failure>>()?;
    let pagination = PageResponse { next_key: Vec::new(), total: found.total };
    Ok((found.block_height.into(), page, pagination))
}

fn newest_validators(
    asked: Asked<'_>,
    request: GetLatestValidatorSetRequest,
) -> Result<GetLatestValidatorSetResponse, Failure> {
    let (block_height, validators, page) = validators(asked, None, request.pagination)?;
    Ok(GetLatestValidatorSetResponse { block_height, validators, pagination: Some(page) })
}

fn validators_at(
    asked: Asked<'_>,
    request: GetValidatorSetByHeightRequest,
) -> Result<GetValidatorSetByHeightResponse, Failure> {
    let height = height_of(request.height)?;
    let (block_height, validators, page) = validators(asked, Some(height), request.pagination)?;
    Ok(GetValidatorSetByHeightResponse { block_height, validators, pagination: Some(page) })
}

fn abci_query(asked: Asked<'_>, request: AbciQueryRequest) -> Result<AbciQueryResponse, Failure> {
    let AbciQueryRequest { data, path, height, prove } = request;
    if path.trim_start_matches('/') == ABCI_QUERY.trim_start_matches('/') {
        return Err(QueryError::invalid("an ABCIQuery does not ask itself").into());
    }
    let request = RequestQuery { data: data.into(), path, height, prove };
    let reply = abci::query(asked.doors, &request);
    let op = |op: pb::crypto::ProofOp| ProofOp { r#type: op.r#type, key: op.key, data: op.data };
    let proof_ops =
        reply.proof_ops.map(|proof| ProofOps { ops: proof.ops.into_iter().map(op).collect() });
    Ok(AbciQueryResponse {
        code: reply.code,
        log: reply.log,
        info: reply.info,
        index: reply.index,
        key: reply.key.to_vec(),
        value: reply.value.to_vec(),
        proof_ops,
        height: reply.height,
        codespace: reply.codespace,
    })
}

/// A price of gas, nano-uxpl, as `0.001uxpl`.
fn gas_price(nuxpl: u64) -> String {
    let digits = format!("{nuxpl:0>width$}", width = NANO_DIGITS + 1);
    let (whole, part) = digits.split_at(digits.len() - NANO_DIGITS);
    let part = part.trim_end_matches('0');
    let point = if part.is_empty() { "" } else { "." };
    format!("{whole}{point}{part}uxpl")
}

fn node_config(asked: Asked<'_>, _: ConfigRequest) -> Result<ConfigResponse, Failure> {
    let node = asked.doors.node();
    let (reader, _) = node.reader_at(asked.height)?;
    let base = token::fee_market(&reader).base_fee_nuxpl_per_gas;
    // Bytes have a price of their own. A client's fee is gas times one price: with this one it
    // pays for the bytes too, because each of them costs gas.
    let bytes = token::params(&reader).byte_price_nuxpl.div_ceil(ante::BYTE_GAS);
    Ok(ConfigResponse {
        minimum_gas_price: gas_price(base.saturating_add(bytes)),
        pruning_keep_recent: node.keep_recent().to_string(),
        // Every commit prunes.
        pruning_interval: "1".into(),
        halt_height: 0,
    })
}

fn node_status(asked: Asked<'_>, _: StatusRequest) -> Result<StatusResponse, Failure> {
    let (reader, head) = asked.doors.node().reader_at(asked.height)?;
    let header = asked.doors.comet()?.header(height_of(head.height.cast_signed())?)?.header;
    let seconds = i64::try_from(head.time_s).unwrap_or(i64::MAX);
    Ok(StatusResponse {
        earliest_store_height: reader.oldest().unwrap_or(head.height),
        height: head.height,
        timestamp: Some(Timestamp { seconds, nanos: 0 }),
        app_hash: head.app_hash.to_vec(),
        validator_hash: header.next_validators_hash.as_bytes().to_vec(),
    })
}

fn consensus_params(
    asked: Asked<'_>,
    _: QueryParamsRequest,
) -> Result<QueryParamsResponse, Failure> {
    let at = match asked.height {
        0 => None,
        height => Some(height_of(height.cast_signed())?),
    };
    let params = asked.doors.comet()?.consensus_params(at)?.consensus_params;
    let params: ConsensusParams = same(&pb::types::ConsensusParams::from(params))?;
    Ok(QueryParamsResponse { params: Some(params) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimals() {
        assert_eq!(gas_price(1_000_000), "0.001uxpl");
        assert_eq!(gas_price(25_000_000_000), "25uxpl");
        assert_eq!(gas_price(1), "0.000000001uxpl");
        assert_eq!(gas_price(0), "0uxpl");
    }
}
