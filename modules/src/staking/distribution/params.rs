//! Numbers of rewards, each with its bounds.

use plasma_proto::cosmos::distribution::v1beta1::Params;

use super::Error;
use crate::Dec;

/// Largest tax of the community, basis points.
const TAX_MAX_BPS: u32 = 2_500;
/// What a new chain takes, basis points.
const TAX_BPS: u32 = 200;

/// What a new chain starts with.
#[expect(deprecated, reason = "fields that Cosmos clients read and that must be zero")]
pub fn default_params() -> Params {
    Params {
        community_tax: Dec::bps(TAX_BPS).text(),
        base_proposer_reward: Dec::ZERO.text(),
        bonus_proposer_reward: Dec::ZERO.text(),
        withdraw_addr_enabled: true,
    }
}

/// Every number is within its bounds: the tax is at most a quarter, and proposers get tips alone.
#[expect(deprecated, reason = "fields that Cosmos clients read and that must be zero")]
pub fn check(params: &Params) -> Result<(), Error> {
    let Params {
        community_tax,
        base_proposer_reward,
        bonus_proposer_reward,
        withdraw_addr_enabled: _,
    } = params;
    let tax = Dec::parse(community_tax).ok_or(Error::BadGenesis("community_tax is no decimal"))?;
    if tax > Dec::bps(TAX_MAX_BPS) {
        return Err(Error::BadGenesis("community_tax is above 0.25"));
    }
    let zero = |text: &str| text.is_empty() || Dec::parse(text) == Some(Dec::ZERO);
    if !zero(base_proposer_reward) || !zero(bonus_proposer_reward) {
        return Err(Error::BadGenesis("proposers have no reward but tips: both must be 0"));
    }
    Ok(())
}
