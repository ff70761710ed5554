#![doc = include_str!("README.md")]

use alloc::{boxed::Box, format, string::ToString, vec::Vec};

use plasma_proto::{
    cosmos::consensus::v1::{MsgUpdateParams, MsgUpdateParamsResponse},
    tendermint::types::{
        AbciParams, BlockParams, ConsensusParams, EvidenceParams, ValidatorParams, VersionParams,
    },
};

use crate::{
    Address, Ctx, Refusal, Sdk, Write,
    params::{
        self, Number, OutOfBounds, Param, ParamError, Step, UPDATE_PARAMS_GAS, bounded, natural,
        seconds,
    },
    rules::{self, CONSENSUS, GENESIS_VERSION},
    token,
};

const KIB: u128 = 1 << 10;
const DAY_S: u128 = 86_400;

bounded! {
    // The gas is `token`'s parameter, in its bounds.
    fn block_table(BlockParams) {
        max_bytes: natural, 256 * KIB, 16 * 1_024 * KIB, Step::twice_or(0);
    }
    apart { max_gas }
}

bounded! {
    fn evidence_table(EvidenceParams) {
        max_age_num_blocks: natural, 1_000, 100_000_000, Step::twice_or(0);
        max_age_duration: seconds, 1, 365 * DAY_S, Step::twice_or(0);
        max_bytes: natural, 16 * KIB, 4 * 1_024 * KIB, Step::twice_or(0);
    }
}

/// Changes what CometBFT holds blocks to, in governance's name alone.
#[derive(Clone, Debug)]
pub struct UpdateConsensus {
    block: BlockParams,
    evidence: EvidenceParams,
}

impl UpdateConsensus {
    /// Checks everything that needs no state.
    pub fn new(msg: MsgUpdateParams) -> Result<Self, Refusal> {
        let MsgUpdateParams { authority, block, evidence, validator, abci } = msg;
        params::check_authority(&authority)?;
        let (Some(block), Some(evidence), Some(validator)) = (block, evidence, validator) else {
            return Err(Sdk::InvalidRequest("all parameters must be present".into()).into());
        };
        check_fixed(&validator, &abci.unwrap_or_default())?;
        check_together(&block, &evidence)?;
        params::check_bounds(&rows(&block, &evidence))?;
        Ok(Self { block, evidence })
    }

    /// Who must sign: governance.
    pub fn signer(&self) -> Address {
        params::authority()
    }

    /// What it costs.
    pub fn gas(&self) -> u64 {
        UPDATE_PARAMS_GAS
    }
}

fn rows(block: &BlockParams, evidence: &EvidenceParams) -> Vec<Param> {
    [block_table(block), evidence_table(evidence)].concat()
}

/// What is set for good: another kind of key, or vote extensions, need another program.
fn check_fixed(validator: &ValidatorParams, abci: &AbciParams) -> Result<(), ParamError> {
    if validator.pub_key_types != rules::key_types() {
        let value = rules::PUB_KEY_TYPE.to_string();
        return Err(ParamError::Fixed { name: "pub_key_types", value });
    }
    if abci.vote_extensions_enable_height != 0 {
        let name = "vote_extensions_enable_height";
        return Err(ParamError::Fixed { name, value: "0".into() });
    }
    Ok(())
}

/// CometBFT stops at evidence that no block could hold.
fn check_together(block: &BlockParams, evidence: &EvidenceParams) -> Result<(), ParamError> {
    if evidence.max_bytes > block.max_bytes {
        let text = format!(
            "evidence.max_bytes is {}, more than a block's max_bytes of {}",
            evidence.max_bytes, block.max_bytes
        );
        return Err(ParamError::Apart(text));
    }
    Ok(())
}

/// `MsgUpdateParams` of `cosmos.consensus.v1`. CometBFT holds the next block but one to it.
pub fn update_consensus(
    ctx: &mut Ctx<'_>,
    msg: UpdateConsensus,
) -> Result<MsgUpdateParamsResponse, Refusal> {
    let UpdateConsensus { block, evidence } = msg;
    let before = rules::consensus(ctx.store);
    let old = rows(&before.block.unwrap_or_default(), &before.evidence.unwrap_or_default());
    let new = rows(&block, &evidence);
    let gas = u64::try_from(block.max_gas).map_err(|_| {
        let max = Number::whole(i64::MAX.unsigned_abs().into());
        let number = OutOfBounds { value: Number::whole(0), min: Number::whole(1), max };
        ParamError::OutOfBounds { name: "max_gas", number: Box::new(number) }
    })?;
    token::set_block_gas_max(ctx, gas)?;
    let block = BlockParams { max_gas: 0, ..block };
    let after = ConsensusParams { block: Some(block), evidence: Some(evidence), ..before };
    params::change(ctx, "consensus", [&old, &new], |ctx| CONSENSUS.set(ctx.store, &after))?;
    rules::check_together(ctx.store)?;
    Ok(MsgUpdateParamsResponse {})
}

/// Writes what a genesis says. `Err` is what is wrong with it.
pub(super) fn init(store: &mut dyn Write, consensus: &ConsensusParams) -> Result<(), Refusal> {
    let ConsensusParams { block, evidence, validator, version, abci } = consensus;
    let missing =
        || Sdk::InvalidRequest("genesis: a part of governance.consensus is missing".into());
    let (block, evidence) = (block.ok_or_else(missing)?, evidence.ok_or_else(missing)?);
    check_fixed(validator.as_ref().ok_or_else(missing)?, &abci.unwrap_or_default())?;
    check_together(&block, &evidence)?;
    params::check_bounds(&rows(&block, &evidence))?;
    let VersionParams { app } = version.ok_or_else(missing)?;
    if app < GENESIS_VERSION {
        return Err(Sdk::InvalidRequest("genesis: the version of the rules is 0".into()).into());
    }
    if block.max_gas != 0 {
        let text = "genesis: governance.consensus.block.max_gas is token.params.block_gas_max: leave it at 0";
        return Err(Sdk::InvalidRequest(text.into()).into());
    }
    CONSENSUS.set(store, consensus);
    Ok(())
}
