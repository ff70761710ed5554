use alloc::{format, string::ToString, vec::Vec};

use plasma_proto::plasma::{genesis::v1::StakingGenesis, staking::v1::Validator};

use super::{
    Error, distribution, mint,
    state::{BY_CONSENSUS, TOTAL_POWER_MAX, UXPL_PER_POWER, VALIDATORS},
};
use crate::{Address, Amount, Read, Write, chain::ValidatorUpdate, types::hash32};

/// No validators: a chain cannot start from it.
pub fn default_genesis() -> StakingGenesis {
    let (pools, distribution) = distribution::default_genesis();
    StakingGenesis {
        validators: Vec::new(),
        pools: Some(pools),
        distribution: Some(distribution),
        mint: Some(mint::default_genesis()),
    }
}

/// Writes the validators; `Ok` is the set for CometBFT, in order of operators.
pub fn init(
    store: &mut dyn Write,
    genesis: &StakingGenesis,
) -> Result<Vec<ValidatorUpdate>, Error> {
    let StakingGenesis { validators, pools, distribution, mint } = genesis;
    let bad = |why: &str| Error::BadGenesis(why.into());
    let mut updates = Vec::with_capacity(validators.len());
    let mut total = 0u64;
    for validator in validators {
        let Validator { operator, consensus_pubkey, moniker: _, tokens_uxpl } = validator;
        let operator = Address::parse(operator)?;
        let pubkey =
            hash32(consensus_pubkey).ok_or_else(|| bad("a consensus_pubkey has 32 bytes"))?;
        let tokens = Amount::parse(tokens_uxpl).ok_or_else(|| bad("tokens_uxpl is no amount"))?;
        let power = tokens.units().checked_div(UXPL_PER_POWER).and_then(|p| u64::try_from(p).ok());
        let power = power.filter(|power| *power > 0).ok_or_else(|| {
            Error::BadGenesis(format!("validator {operator} needs at least 1 XPL of stake"))
        })?;
        total = total
            .checked_add(power)
            .filter(|total| *total <= TOTAL_POWER_MAX)
            .ok_or_else(|| bad("the sum of all powers is above CometBFT's bound"))?;
        let consensus = Address::of_consensus(&pubkey).0;
        if VALIDATORS.has(store, &operator) || BY_CONSENSUS.has(store, &consensus) {
            return Err(Error::BadGenesis(format!("validator {operator} or its key stands twice")));
        }
        VALIDATORS.set(store, &operator, validator);
        BY_CONSENSUS.set(store, &consensus, &operator.0.to_vec());
        updates.push(ValidatorUpdate { pubkey, power });
    }
    if updates.is_empty() {
        return Err(bad("there is no validator"));
    }
    let pools = pools.as_ref().ok_or_else(|| bad("pools are missing"))?;
    let distribution = distribution.as_ref().ok_or_else(|| bad("distribution is missing"))?;
    distribution::init(store, pools, distribution).map_err(|error| bad(&error.to_string()))?;
    mint::init(store, mint.as_ref().ok_or_else(|| bad("mint is missing"))?).map_err(bad)?;
    Ok(updates)
}

/// The validators, in order of operators.
pub fn export(store: &dyn Read) -> StakingGenesis {
    StakingGenesis {
        validators: VALIDATORS.iter(store).map(|(_, validator)| validator).collect(),
        pools: distribution::exported_pools(store),
        distribution: Some(distribution::export(store)),
        mint: Some(mint::export(store)),
    }
}
