//! The first state, and a state as a genesis.

use alloc::{collections::BTreeMap, format, vec::Vec};

use plasma_proto::{
    cosmos::base::v1beta1::Coin,
    plasma::{
        genesis::v1::{AuthGenesis, Balance, GenesisState},
        staking::v1::Validator,
    },
};

use super::{BEACON, ValidatorUpdate, beacon, check_invariants};
use crate::{
    Address, Amount, Block, Denom, Read, Refusal, Sdk, Write, attestation, auth, authz, feegrant,
    governance, market, price, reward, staking, token,
    types::{hash32, sha256},
};

/// A new chain's state, but for accounts and validators.
pub fn default_genesis() -> GenesisState {
    GenesisState {
        auth: Some(AuthGenesis::default()),
        token: Some(token::default_genesis()),
        feegrant: Some(feegrant::default_genesis()),
        staking: Some(staking::default_genesis()),
        market: Some(market::default_genesis()),
        price: Some(price::default_genesis()),
        reward: Some(reward::default_genesis()),
        attestation: Some(attestation::default_genesis()),
        authz: Some(authz::default_genesis()),
        governance: Some(governance::default_genesis()),
        beacon: Vec::new(),
    }
}

/// A new chain's state with its first holders and validators. Amounts are uxpl; the validators'
/// stake is created beside the accounts' money.
///
/// # Errors
/// An address that stands twice, or a sum past the largest amount.
pub fn new_genesis(
    accounts: &[(Address, Amount)],
    validators: Vec<Validator>,
) -> Result<GenesisState, Refusal> {
    let overflow = || Sdk::InvalidCoins("the stake of all validators overflows".into());
    let mut stake = Amount::ZERO;
    for validator in &validators {
        let tokens = Amount::parse(&validator.tokens_uxpl);
        stake = tokens.and_then(|tokens| stake.plus(tokens)).ok_or_else(overflow)?;
    }
    let mut holders = BTreeMap::new();
    holders.insert(Address::of_module(staking::BONDED_POOL), stake);
    for (address, amount) in accounts {
        if holders.insert(*address, *amount).is_some() {
            return Err(Sdk::InvalidRequest(format!("account {address} stands twice")).into());
        }
    }
    let mut genesis = default_genesis();
    if let Some(staking) = &mut genesis.staking {
        staking.validators = validators;
    }
    if let Some(token) = &mut genesis.token {
        let coin =
            |amount: Amount| Coin { denom: Denom::uxpl().as_str().into(), amount: amount.text() };
        token.balances = holders
            .into_iter()
            .filter(|(_, amount)| *amount != Amount::ZERO)
            .map(|(address, amount)| Balance {
                address: address.text(),
                coins: [coin(amount)].into(),
            })
            .collect();
    }
    Ok(genesis)
}

/// Writes the first state. The order is that of the modules' imports.
pub fn init(
    store: &mut dyn Write,
    chain_id: &str,
    time_s: u64,
    genesis: &GenesisState,
) -> Result<Vec<ValidatorUpdate>, Refusal> {
    let GenesisState {
        auth,
        token,
        feegrant,
        staking,
        market,
        price,
        reward,
        attestation,
        authz,
        governance,
        beacon,
    } = genesis;
    let missing = |what: &str| Sdk::InvalidRequest(format!("genesis: {what} is missing"));
    let beacon = match beacon.as_slice() {
        [] => sha256(chain_id.as_bytes()),
        bytes => hash32(bytes).ok_or_else(|| missing("a beacon of 32 bytes"))?,
    };
    BEACON.set(store, &beacon.to_vec());
    let block = Block { chain_id: chain_id.into(), height: 0, time_s, beacon };
    auth::init(store, auth.as_ref().ok_or_else(|| missing("auth"))?)?;
    token::init(store, token.as_ref().ok_or_else(|| missing("token"))?)?;
    feegrant::init(store, feegrant.as_ref().ok_or_else(|| missing("feegrant"))?)?;
    let staking = staking.as_ref().ok_or_else(|| missing("staking"))?;
    let validators = staking::init(store, time_s, staking)?;
    market::init(store, &block, market.as_ref().ok_or_else(|| missing("market"))?)?;
    price::init(store, price.as_ref().ok_or_else(|| missing("price"))?)?;
    reward::init(store, reward.as_ref().ok_or_else(|| missing("reward"))?)?;
    attestation::init(store, attestation.as_ref().ok_or_else(|| missing("attestation"))?)?;
    authz::init(store, authz.as_ref().ok_or_else(|| missing("authz"))?)?;
    governance::init(store, governance.as_ref().ok_or_else(|| missing("governance"))?)?;
    check_invariants(store).map_err(|text| Sdk::InvalidRequest(format!("genesis: {text}")))?;
    Ok(validators)
}

/// The whole state, as a genesis from which the chain would go on.
pub fn export(store: &dyn Read) -> GenesisState {
    GenesisState {
        auth: Some(auth::export(store)),
        token: Some(token::export(store)),
        feegrant: Some(feegrant::export(store)),
        staking: Some(staking::export(store)),
        market: Some(market::export(store)),
        price: Some(price::export(store)),
        reward: Some(reward::export(store)),
        attestation: Some(attestation::export(store)),
        authz: Some(authz::export(store)),
        governance: Some(governance::export(store)),
        beacon: beacon(store).to_vec(),
    }
}
