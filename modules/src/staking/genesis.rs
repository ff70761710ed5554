use alloc::{format, string::ToString, vec::Vec};

use plasma_proto::{
    cosmos::staking::v1beta1::{BondStatus, Delegation, Description},
    plasma::{
        genesis::v1::StakingGenesis,
        staking::v1::{ConsensusKey, Member, MissedBlocks, Validator, ValidatorSet},
    },
};
use prost::Message;

use super::{
    Error, distribution, mint,
    msg::{Rates, check_description},
    params::{default_params, default_slashing_params, validate_params, validate_slashing_params},
    set::key_of,
    slashing::start_window,
    state::{
        BY_CONSENSUS, DELEGATIONS, EVIDENCE, HISTORY, HISTORY_SETS, MISSED, NEXT_UNBONDING, PARAMS,
        REDELEGATIONS, SET, SIGNING_INFOS, SLASH_TASKS, SLASHES, SLASHING_PARAMS, STAKE_MAX,
        TOTAL_POWER_MAX, UNBONDINGS, VALIDATORS, power,
    },
    validator::fresh,
};
use crate::{
    Address, Amount, Dec, Read, Write,
    chain::ValidatorUpdate,
    types::{hash32, sha256},
};

/// Commission of a validator that a new chain begins with: what it takes, most that it may ever take,
/// and the largest step, basis points.
const COMMISSION_BPS: [u32; 3] = [500, 2_000, 100];

/// No validators: a chain cannot start from it.
pub fn default_genesis() -> StakingGenesis {
    let (pools, distribution) = distribution::default_genesis();
    StakingGenesis {
        pools: Some(pools),
        distribution: Some(distribution),
        mint: Some(mint::default_genesis()),
        params: Some(default_params()),
        slashing_params: Some(default_slashing_params()),
        next_unbonding_id: 1,
        ..StakingGenesis::default()
    }
}

fn bad(why: impl Into<alloc::string::String>) -> Error {
    Error::BadGenesis(why.into())
}

/// Writes the validators and their stake; `Ok` is the set for CometBFT, strongest first. Whether the
/// books agree with each other and with the pools is asked by the invariants.
pub fn init(
    store: &mut dyn Write,
    time_s: u64,
    genesis: &StakingGenesis,
) -> Result<Vec<ValidatorUpdate>, Error> {
    let StakingGenesis {
        validators, pools, params, slashing_params, set, distribution, mint, ..
    } = genesis;
    let params = params.as_ref().ok_or_else(|| bad("params are missing"))?;
    validate_params(params).map_err(|error| bad(error.to_string()))?;
    let slashing = slashing_params.as_ref().ok_or_else(|| bad("slashing_params are missing"))?;
    validate_slashing_params(slashing).map_err(|error| bad(error.to_string()))?;
    PARAMS.set(store, params);
    SLASHING_PARAMS.set(store, slashing);
    restore(store, genesis)?;
    let set = match (validators.as_slice(), set) {
        ([], Some(set)) => set.clone(),
        ([], None) => return Err(bad("there is no validator")),
        (_, Some(_)) => {
            return Err(bad("a chain begins with `validators` or goes on with `states`"));
        }
        (validators, None) => begin(store, time_s, validators)?,
    };
    let most = usize::try_from(params.max_validators).unwrap_or(usize::MAX);
    if set.members.is_empty() || set.members.len() > most {
        return Err(bad("the set has 1 to max_validators members"));
    }
    SET.set(store, &set);
    let mut total = 0u64;
    let mut updates = Vec::with_capacity(set.members.len());
    for member in &set.members {
        hash32(&member.consensus_pubkey).ok_or_else(|| bad("a consensus_pubkey has 32 bytes"))?;
        total = total
            .checked_add(member.power)
            .filter(|total| *total <= TOTAL_POWER_MAX)
            .ok_or_else(|| bad("the sum of all powers is above CometBFT's bound"))?;
        updates.push(ValidatorUpdate { pubkey: key_of(member), power: member.power });
    }
    let pools = pools.as_ref().ok_or_else(|| bad("pools are missing"))?;
    let distribution = distribution.as_ref().ok_or_else(|| bad("distribution is missing"))?;
    distribution::init(store, pools, distribution).map_err(|error| bad(error.to_string()))?;
    mint::init(store, mint.as_ref().ok_or_else(|| bad("mint is missing"))?).map_err(bad)?;
    Ok(updates)
}

/// The validators of a new chain, each with its operator's stake alone.
fn begin(
    store: &mut dyn Write,
    time_s: u64,
    validators: &[Validator],
) -> Result<ValidatorSet, Error> {
    let [rate, max, max_change] = COMMISSION_BPS.map(Dec::bps);
    let mut sum = Amount::ZERO;
    let mut members = Vec::with_capacity(validators.len());
    for validator in validators {
        let Validator { operator, consensus_pubkey, moniker, tokens_uxpl } = validator;
        let operator = Address::parse(operator)?;
        let key = hash32(consensus_pubkey).ok_or_else(|| bad("a consensus_pubkey has 32 bytes"))?;
        let tokens = Amount::parse(tokens_uxpl).ok_or_else(|| bad("tokens_uxpl is no amount"))?;
        let power = power(tokens);
        if power == 0 {
            return Err(bad(format!("validator {operator} needs at least 1 XPL of stake")));
        }
        sum = sum.plus(tokens).filter(|sum| *sum <= STAKE_MAX).ok_or(Error::Overflow)?;
        let consensus = Address::of_consensus(&key).0;
        let known = VALIDATORS.get(store, &operator).is_some();
        if known || BY_CONSENSUS.has(store, &consensus) {
            return Err(bad(format!("validator {operator} or its key stands twice")));
        }
        let description = Description { moniker: moniker.clone(), ..Description::default() };
        check_description(&description)?;
        let rates = Rates { rate, max, max_change };
        let shares = Dec::whole(tokens).ok_or(Error::Overflow)?.text();
        let mut state = fresh(operator, &key, description, rates, Amount::new(1), time_s);
        state.status = BondStatus::Bonded.into();
        state.tokens = tokens.text();
        state.delegator_shares = shares.clone();
        VALIDATORS.set(store, &operator, &state);
        BY_CONSENSUS.set(store, &consensus, &operator.0.to_vec());
        let delegation = Delegation {
            delegator_address: operator.text(),
            validator_address: operator.operator_text(),
            shares,
        };
        DELEGATIONS.set(store, &(operator, operator), &delegation);
        start_window(store, consensus, 0);
        let consensus_pubkey = key.to_vec();
        members.push((operator, Member { operator: operator.text(), consensus_pubkey, power }));
    }
    members.sort_by(|(a, one), (b, other)| other.power.cmp(&one.power).then(a.cmp(b)));
    let members = members.into_iter().map(|(_, member)| member).collect();
    Ok(ValidatorSet { height: 0, members })
}

/// The books of a chain that goes on.
fn restore(store: &mut dyn Write, genesis: &StakingGenesis) -> Result<(), Error> {
    let StakingGenesis {
        validators: _,
        pools: _,
        params: _,
        slashing_params: _,
        states,
        set: _,
        delegations,
        unbondings,
        redelegations,
        slashes,
        slash_tasks,
        signing_infos,
        missed,
        consensus_keys,
        evidence,
        history,
        history_sets,
        next_unbonding_id,
        distribution: _,
        mint: _,
    } = genesis;
    for state in states {
        let operator = Address::parse_operator(&state.operator_address)?;
        let any = state.consensus_pubkey.as_ref().ok_or_else(|| bad("a key is missing"))?;
        super::msg::consensus_key(any)?;
        amount(&state.tokens)?;
        dec(&state.delegator_shares)?;
        amount(&state.min_self_delegation)?;
        VALIDATORS.set(store, &operator, state);
    }
    for ConsensusKey { consensus, operator } in consensus_keys {
        let operator = Address::parse(operator)?;
        BY_CONSENSUS.set(store, &consensus_of(consensus)?, &operator.0.to_vec());
    }
    for one in delegations {
        let key = pair(&one.delegator_address, &one.validator_address)?;
        dec(&one.shares)?;
        DELEGATIONS.set(store, &key, one);
    }
    for one in unbondings {
        let key = pair(&one.delegator_address, &one.validator_address)?;
        for entry in &one.entries {
            amount(&entry.balance)?;
            amount(&entry.initial_balance)?;
        }
        UNBONDINGS.set(store, &key, one);
    }
    for one in redelegations {
        let key = (
            Address::parse(&one.delegator)?,
            Address::parse(&one.destination)?,
            Address::parse(&one.source)?,
        );
        for entry in &one.entries {
            amount(&entry.initial_balance_uxpl)?;
            dec(&entry.shares_dst)?;
        }
        REDELEGATIONS.set(store, &key, one);
    }
    for one in slashes {
        let kind = u8::try_from(one.infraction).map_err(|_| bad("a slash is of no kind"))?;
        dec(&one.fraction)?;
        SLASHES.set(store, &(Address::parse(&one.operator)?, one.height, kind), one);
    }
    for one in slash_tasks {
        if !matches!(one.cursor.len(), 0 | 40) {
            return Err(bad("a cursor has 40 bytes or none"));
        }
        SLASH_TASKS.set(store, &Address::parse(&one.operator)?, one);
    }
    for one in signing_infos {
        SIGNING_INFOS.set(store, &Address::parse_consensus(&one.address)?.0, one);
    }
    for MissedBlocks { consensus, part, bits } in missed {
        MISSED.set(store, &(consensus_of(consensus)?, *part), bits);
    }
    for one in evidence {
        EVIDENCE.set(store, &sha256(&one.encode_to_vec()), one);
    }
    for one in history {
        HISTORY.set(store, &one.height, one);
    }
    for one in history_sets {
        HISTORY_SETS.set(store, &one.height, one);
    }
    NEXT_UNBONDING.set(store, next_unbonding_id);
    Ok(())
}

fn pair(delegator: &str, operator: &str) -> Result<(Address, Address), Error> {
    Ok((Address::parse(delegator)?, Address::parse_operator(operator)?))
}

fn amount(text: &str) -> Result<Amount, Error> {
    Amount::parse(text).ok_or_else(|| bad(format!("{text:?} is no amount")))
}

fn dec(text: &str) -> Result<Dec, Error> {
    Dec::parse(text).ok_or_else(|| bad(format!("{text:?} is no decimal")))
}

fn consensus_of(bytes: &[u8]) -> Result<[u8; 20], Error> {
    bytes.try_into().map_err(|_| bad("a consensus address has 20 bytes"))
}

/// Everything, in order of keys.
pub fn export(store: &dyn Read) -> StakingGenesis {
    let consensus_key = |(consensus, operator): ([u8; 20], alloc::vec::Vec<u8>)| ConsensusKey {
        consensus: consensus.to_vec(),
        operator: operator.try_into().map(Address).map(|of| of.text()).unwrap_or_default(),
    };
    let missed = |((consensus, part), bits): (([u8; 20], u32), _)| MissedBlocks {
        consensus: consensus.to_vec(),
        part,
        bits,
    };
    StakingGenesis {
        validators: Vec::new(),
        pools: distribution::exported_pools(store),
        distribution: Some(distribution::export(store)),
        mint: Some(mint::export(store)),
        params: PARAMS.get(store),
        slashing_params: SLASHING_PARAMS.get(store),
        states: VALIDATORS.map().iter(store).map(|(_, one)| one).collect(),
        set: SET.get(store),
        delegations: DELEGATIONS.map().iter(store).map(|(_, one)| one).collect(),
        unbondings: UNBONDINGS.map().iter(store).map(|(_, one)| one).collect(),
        redelegations: REDELEGATIONS.map().iter(store).map(|(_, one)| one).collect(),
        slashes: SLASHES.iter(store).map(|(_, one)| one).collect(),
        slash_tasks: SLASH_TASKS.iter(store).map(|(_, one)| one).collect(),
        signing_infos: SIGNING_INFOS.iter(store).map(|(_, one)| one).collect(),
        missed: MISSED.iter(store).map(missed).collect(),
        consensus_keys: BY_CONSENSUS.iter(store).map(consensus_key).collect(),
        evidence: EVIDENCE.iter(store).map(|(_, one)| one).collect(),
        history: HISTORY.iter(store).map(|(_, one)| one).collect(),
        history_sets: HISTORY_SETS.iter(store).map(|(_, one)| one).collect(),
        next_unbonding_id: NEXT_UNBONDING.get(store).unwrap_or(1),
    }
}
