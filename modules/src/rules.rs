//! Which rules a chain follows, and what CometBFT is to hold its blocks to.
//!
//! A release carries the rules of every version since genesis. Where an upgrade changed one, code asks
//! [`version`]; so a release that knows a later version makes the same blocks as its elders until the
//! upgrade's height, and replays the chain from its genesis to the same hashes.

use alloc::{format, string::String, vec::Vec};

use plasma_proto::tendermint::types::{
    AbciParams, BlockParams, ConsensusParams, EvidenceParams, ValidatorParams, VersionParams,
};
use prost_types::Duration;

use crate::{
    Item, Read, Table,
    params::ParamError,
    staking::{self, EVIDENCE_AGE_BLOCKS, EVIDENCE_AGE_S},
    token,
};

/// The rules of a chain before its first upgrade.
pub const GENESIS_VERSION: u64 = 1;

/// Bytes of a new chain's block; not below its evidence.
pub const BLOCK_BYTES_MAX: i64 = 2 << 20;
/// Evidence of a new chain's block, bytes.
pub const EVIDENCE_BYTES_MAX: i64 = 512 << 10;
/// The one kind of consensus key.
pub(crate) const PUB_KEY_TYPE: &str = "ed25519";

/// What CometBFT holds blocks to, but for their gas, which is `token`'s.
pub(crate) const CONSENSUS: Item<ConsensusParams> = Item::new(Table::Consensus);

/// What a new chain starts with. The gas of a block is `token`'s `block_gas_max`, so it is not named.
pub fn default_consensus() -> ConsensusParams {
    ConsensusParams {
        block: Some(BlockParams { max_bytes: BLOCK_BYTES_MAX, max_gas: 0 }),
        evidence: Some(EvidenceParams {
            max_age_num_blocks: EVIDENCE_AGE_BLOCKS.cast_signed(),
            max_age_duration: Some(Duration { seconds: EVIDENCE_AGE_S.cast_signed(), nanos: 0 }),
            max_bytes: EVIDENCE_BYTES_MAX,
        }),
        validator: Some(ValidatorParams { pub_key_types: key_types() }),
        version: Some(VersionParams { app: GENESIS_VERSION }),
        abci: Some(AbciParams { vote_extensions_enable_height: 0 }),
    }
}

pub(crate) fn key_types() -> Vec<String> {
    [PUB_KEY_TYPE.into()].into()
}

/// The version of the rules that this state follows.
pub fn version(store: &dyn Read) -> u64 {
    let consensus = CONSENSUS.get(store).unwrap_or_default();
    consensus.version.map_or(GENESIS_VERSION, |version| version.app)
}

/// What CometBFT is to hold blocks to, whole: it takes a part that is given as all of that part.
pub fn consensus(store: &dyn Read) -> ConsensusParams {
    let mut params = CONSENSUS.get(store).unwrap_or_else(default_consensus);
    if let Some(block) = &mut params.block {
        block.max_gas = i64::try_from(token::params(store).block_gas_max).unwrap_or(i64::MAX);
    }
    params
}

/// Seconds and blocks after which evidence of an offence is void, if both have passed: CometBFT's rule.
pub fn evidence_age(store: &dyn Read) -> (u64, u64) {
    let params = CONSENSUS.get(store).unwrap_or_else(default_consensus);
    let evidence = params.evidence.unwrap_or_default();
    let age = evidence.max_age_duration.unwrap_or_default();
    let natural = |number: i64| u64::try_from(number).unwrap_or_default();
    (natural(age.seconds), natural(evidence.max_age_num_blocks))
}

/// Numbers of different rooms that must go together, asked of the state that a change or a genesis has
/// written: what can be proven of a validator can still be paid for with its stake, and CometBFT takes
/// every block that the price of bytes lets be made.
///
/// # Errors
/// The first pair that does not.
pub(crate) fn check_together(store: &dyn Read) -> Result<(), ParamError> {
    let (unbonding_s, (age_s, _)) = (staking::unbonding_s(store), evidence_age(store));
    if unbonding_s < age_s {
        return Err(ParamError::Apart(format!(
            "staking's unbonding_time is {unbonding_s} s, shorter than consensus evidence.max_age_duration of {age_s} s: an offence could be proven whose stake is gone"
        )));
    }
    let bytes = token::params(store).block_bytes_max;
    let block = consensus(store).block.unwrap_or_default();
    let most = u64::try_from(block.max_bytes).unwrap_or_default();
    if bytes > most {
        return Err(ParamError::Apart(format!(
            "token's block_bytes_max is {bytes}, more than consensus block.max_bytes of {most}"
        )));
    }
    Ok(())
}
