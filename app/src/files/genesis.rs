//! `genesis.json`: CometBFT's own format, with the chain's state as `app_state`.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow, ensure};
use plasma_modules::{Address, Amount, chain, rules, staking::UXPL_PER_POWER};
use plasma_proto::{
    DESCRIPTORS,
    plasma::{
        attestation::v1::{BeaconKey, BeaconKeys},
        genesis::v1::GenesisState,
        staking::v1::Validator,
    },
};
use prost::{Message, Name};
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};

use super::comet::{address, pubkey_json};
use crate::doors::json::{from_json, message_to_json};

/// CometBFT drops evidence that is older than both, as the chain does.
pub use plasma_modules::staking::{EVIDENCE_AGE_BLOCKS, EVIDENCE_AGE_S};

const NANOS_PER_S: i64 = 1_000_000_000;

/// Money at genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Holder, bech32 `xpl`.
    pub address: String,
    /// Free balance, uxpl.
    pub amount_uxpl: u128,
}

impl std::str::FromStr for GenesisAccount {
    type Err = anyhow::Error;

    /// Reads `ADDRESS=AMOUNT`, the amount in uxpl.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (address, amount) = text.split_once('=').ok_or_else(|| {
            anyhow!("{text:?} is not ADDRESS=AMOUNT, for example xpl1...=1000000")
        })?;
        Address::parse(address).map_err(|error| anyhow!("{error}"))?;
        let amount = amount.strip_suffix("uxpl").unwrap_or(amount);
        let amount = Amount::parse(amount)
            .ok_or_else(|| anyhow!("{amount:?} is not a whole number of uxpl"))?;
        Ok(Self { address: address.to_owned(), amount_uxpl: amount.units() })
    }
}

/// A validator of the first set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisValidator {
    /// Operator's account, bech32 `xpl`.
    pub operator: String,
    /// Name for people.
    pub moniker: String,
    /// Consensus key, ed25519.
    pub consensus_pubkey: [u8; 32],
    /// Key of the beacon; without one its blocks bring no proof.
    pub beacon_pubkey: Option<[u8; 32]>,
    /// Bonded stake, uxpl; comes on top of the operator's free balance.
    pub tokens_uxpl: u128,
}

/// A chain to be started.
#[derive(Clone, Debug)]
pub struct GenesisSpec {
    /// Its name.
    pub chain_id: String,
    /// When its first block may be made.
    pub time: SystemTime,
    /// Who has money.
    pub accounts: Vec<GenesisAccount>,
    /// Who validates.
    pub validators: Vec<GenesisValidator>,
    /// Changes of the default app_state: `market.params.dispute_window_s=5`, or, for a parameter,
    /// `market.dispute_window_s=5`.
    pub overrides: Vec<String>,
}

/// The state that a new chain begins with.
pub fn state(spec: &GenesisSpec) -> anyhow::Result<GenesisState> {
    let mut accounts = BTreeMap::<Address, Amount>::new();
    for account in &spec.accounts {
        ensure!(account.amount_uxpl > 0, "genesis account {} has no money", account.address);
        let have = accounts.entry(parse(&account.address)?).or_default();
        let sum = have.plus(Amount::new(account.amount_uxpl));
        *have = sum.context("the supply is too large")?;
    }
    let mut validators = Vec::with_capacity(spec.validators.len());
    let mut beacon_keys = Vec::with_capacity(spec.validators.len());
    for validator in &spec.validators {
        let GenesisValidator { operator, moniker, consensus_pubkey, beacon_pubkey, tokens_uxpl } =
            validator;
        ensure!(
            *tokens_uxpl >= UXPL_PER_POWER && tokens_uxpl.is_multiple_of(UXPL_PER_POWER),
            "validator {moniker} must bond whole XPL, at least one; {tokens_uxpl} uxpl is not"
        );
        let address = parse(operator)?;
        let validator = Validator {
            operator: operator.clone(),
            consensus_pubkey: consensus_pubkey.to_vec(),
            moniker: moniker.clone(),
            tokens_uxpl: tokens_uxpl.to_string(),
        };
        if let Some(key) = beacon_pubkey {
            let keys = vec![BeaconKey { public_key: key.to_vec(), from_height: 0 }];
            beacon_keys.push((address, BeaconKeys { operator: operator.clone(), keys }));
        }
        validators.push((address, validator));
    }
    beacon_keys.sort_by_key(|(operator, _)| *operator);
    validators.sort_by_key(|(operator, _)| *operator);
    let validators = validators.into_iter().map(|(_, validator)| validator).collect();
    let accounts: Vec<_> = accounts.into_iter().collect();
    let mut genesis =
        chain::new_genesis(&accounts, validators).map_err(|refusal| anyhow!("{refusal}"))?;
    if let Some(attestation) = &mut genesis.attestation {
        attestation.beacon_keys = beacon_keys.into_iter().map(|(_, keys)| keys).collect();
    }
    Ok(genesis)
}

fn parse(address: &str) -> anyhow::Result<Address> {
    Address::parse(address).map_err(|error| anyhow!("{error}"))
}

/// The text of a new chain's `genesis.json`.
pub fn file(spec: &GenesisSpec) -> anyhow::Result<String> {
    ensure!(!spec.chain_id.is_empty() && spec.chain_id.len() <= 50, "chain ids have 1 to 50 bytes");
    let mut app_state = state_to_json(&state(spec)?)?;
    for change in &spec.overrides {
        apply_override(&mut app_state, change)?;
    }
    // Fails here rather than at the first start.
    let checked = state_from_json(app_state.to_string().as_bytes())?;
    check(&spec.chain_id, &checked)?;
    let validators: Vec<_> = spec
        .validators
        .iter()
        .map(|validator| {
            let GenesisValidator {
                moniker,
                consensus_pubkey,
                tokens_uxpl,
                operator: _,
                beacon_pubkey: _,
            } = validator;
            (moniker.as_str(), *consensus_pubkey, tokens_uxpl / UXPL_PER_POWER)
        })
        .collect();
    let params = consensus_params(&checked);
    Ok(document(&spec.chain_id, &rfc3339(spec.time), 1, &validators, &params, app_state))
}

/// The text of a `genesis.json` from which an exported chain goes on, at `initial_height`.
pub fn file_of(
    chain_id: &str,
    time_s: u64,
    initial_height: u64,
    state: &GenesisState,
) -> anyhow::Result<String> {
    let staking = state.staking.as_ref().context("the state has no staking")?;
    let moniker = |operator: &str| {
        let operator = Address::parse(operator).ok()?.operator_text();
        let state = staking.states.iter().find(|state| state.operator_address == operator)?;
        Some(state.description.as_ref()?.moniker.as_str())
    };
    let mut validators = Vec::new();
    for member in staking.set.iter().flat_map(|set| &set.members) {
        let key = member.consensus_pubkey.first_chunk::<32>();
        let key =
            key.with_context(|| format!("validator {} has no proper key", member.operator))?;
        let name = moniker(&member.operator).unwrap_or_default();
        validators.push((name, *key, u128::from(member.power)));
    }
    let time = rfc3339(UNIX_EPOCH + std::time::Duration::from_secs(time_s));
    let params = consensus_params(state);
    Ok(document(chain_id, &time, initial_height, &validators, &params, state_to_json(state)?))
}

/// What CometBFT is to hold the first blocks to, as it writes it. The chain says the same at its start.
fn consensus_params(state: &GenesisState) -> Value {
    let named = state.governance.as_ref().and_then(|governance| governance.consensus.clone());
    let params = named.unwrap_or_else(rules::default_consensus);
    let gas = state.token.as_ref().and_then(|token| token.params.as_ref());
    let block = params.block.unwrap_or_default();
    let evidence = params.evidence.unwrap_or_default();
    let age = evidence.max_age_duration.unwrap_or_default();
    let app = params.version.unwrap_or_default().app;
    let heights = params.abci.unwrap_or_default().vote_extensions_enable_height;
    json!({
        "block": {
            "max_bytes": block.max_bytes.to_string(),
            "max_gas": gas.map_or(0, |params| params.block_gas_max).to_string(),
        },
        "evidence": {
            "max_age_num_blocks": evidence.max_age_num_blocks.to_string(),
            "max_age_duration": age.seconds.saturating_mul(NANOS_PER_S).to_string(),
            "max_bytes": evidence.max_bytes.to_string(),
        },
        "validator": { "pub_key_types": params.validator.unwrap_or_default().pub_key_types },
        "version": { "app": app.to_string() },
        "abci": { "vote_extensions_enable_height": heights.to_string() },
    })
}

fn document(
    chain_id: &str,
    time: &str,
    initial_height: u64,
    validators: &[(&str, [u8; 32], u128)],
    consensus_params: &Value,
    app_state: Value,
) -> String {
    let validators: Vec<_> = validators
        .iter()
        .map(|(name, pubkey, power)| {
            json!({
                "address": hex::encode_upper(address(pubkey)),
                "pub_key": pubkey_json(pubkey),
                "power": power.to_string(),
                "name": name,
            })
        })
        .collect();
    let document = json!({
        "genesis_time": time,
        "chain_id": chain_id,
        "initial_height": initial_height.to_string(),
        "consensus_params": consensus_params,
        "validators": validators,
        "app_hash": "",
        "app_state": app_state,
    });
    format!("{document:#}\n")
}

/// A state as JSON, as in a genesis file.
pub fn state_to_json(state: &GenesisState) -> anyhow::Result<Value> {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    message_to_json(&pool, state).map_err(|error| anyhow!(error))
}

/// Reads the `app_state` of a genesis file. Unknown fields are refused.
pub fn state_from_json(json: &[u8]) -> anyhow::Result<GenesisState> {
    let json: Value = serde_json::from_slice(json).context("not JSON")?;
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    let desc = pool
        .get_message_by_name(&GenesisState::full_name())
        .ok_or_else(|| anyhow!("the genesis has no descriptor"))?;
    let message = from_json(desc, json).map_err(|error| anyhow!(error))?;
    Ok(GenesisState::decode(&message.encode_to_vec()[..])?)
}

/// Whether a chain can start from `state`.
pub fn check(chain_id: &str, state: &GenesisState) -> anyhow::Result<()> {
    let empty = plasma_modules::Memory::default();
    let mut store = plasma_modules::Overlay::new(&empty);
    let done = chain::init(&mut store, chain_id, 0, state);
    done.map_err(|refusal| anyhow!("no chain can start from this genesis: {refusal}"))?;
    Ok(())
}

/// Whether a chain can start from the text of a `genesis.json`; its chain id.
pub fn check_file(text: &str) -> anyhow::Result<String> {
    let document: Value = serde_json::from_str(text).context("not JSON")?;
    let chain_id = document["chain_id"].as_str().context("it has no chain_id")?;
    let state = state_from_json(document["app_state"].to_string().as_bytes())?;
    check(chain_id, &state)?;
    Ok(chain_id.to_owned())
}

/// The chain that the text of a `genesis.json` is of.
pub fn chain_id(text: &str) -> anyhow::Result<String> {
    let document: Value = serde_json::from_str(text).context("not JSON")?;
    Ok(document["chain_id"].as_str().context("it has no chain_id")?.to_owned())
}

/// Applies `path=value` to app_state. The path must name something that is there.
fn apply_override(app_state: &mut Value, change: &str) -> anyhow::Result<()> {
    let (path, value) =
        change.split_once('=').ok_or_else(|| anyhow!("{change:?} is not PATH=VALUE"))?;
    let parts: Vec<_> = path.split('.').collect();
    let short = match parts.as_slice() {
        [module, rest @ ..] => [&[*module, "params"][..], rest].concat(),
        [] => Vec::new(),
    };
    let found = [parts, short].into_iter().find(|parts| at(app_state, parts).is_some());
    let slot = found.and_then(|parts| at_mut(app_state, &parts));
    let slot = slot.ok_or_else(|| anyhow!("app_state has no {path:?}"))?;
    *slot = match slot {
        // 64-bit numbers are text in app_state.
        Value::String(_) => value.into(),
        _ => serde_json::from_str(value)
            .with_context(|| format!("{path}: {value:?} does not fit there"))?,
    };
    Ok(())
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, part| value.get(part))
}

fn at_mut<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, part| value.get_mut(part))
}

/// A time as CometBFT writes it: UTC, nanoseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days since 0000-03-01, in eras of 400 years: the calendar without tables.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let nanos = since.subsec_nanos();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_utc() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.000000000Z");
        assert_eq!(at(1_735_689_600), "2025-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn overrides_reach_parameters_and_nothing_else() {
        let mut state = state_to_json(&chain::default_genesis()).unwrap();
        apply_override(&mut state, "market.params.dispute_window_s=5").unwrap();
        assert_eq!(state["market"]["params"]["dispute_window_s"], "5");
        apply_override(&mut state, "market.dispute_window_s=6").unwrap();
        assert_eq!(state["market"]["params"]["dispute_window_s"], "6");
        apply_override(&mut state, "market.slots_max=7").unwrap();
        assert_eq!(state["market"]["params"]["slots_max"], 7);
        assert!(apply_override(&mut state, "market.no_such_thing=7").is_err());
        assert!(apply_override(&mut state, "market.slots_max=x").is_err());
        assert!(apply_override(&mut state, "nonsense").is_err());
    }

    #[test]
    fn the_state_survives_its_json() {
        let state = chain::default_genesis();
        let json = state_to_json(&state).unwrap();
        assert_eq!(state_from_json(json.to_string().as_bytes()).unwrap(), state);
        let mut wrong = json;
        wrong["market"]["typo"] = 1.into();
        let error = state_from_json(wrong.to_string().as_bytes()).unwrap_err();
        assert!(format!("{error:#}").contains("typo"));
    }
}
