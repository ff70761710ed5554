//! Where public objects are stored: what a proof of one is a proof of.
//!
//! A pure function of the question, so that a client finds the key itself and takes no node's word
//! for it.

use alloc::{format, vec::Vec};

use plasma_proto::plasma::proof::v1::{BalanceKey, OfferKey, query_proof_request::Object};

use crate::{
    Address, Denom, Table,
    attestation::{self, audit, game},
    auth, governance, market,
    query::QueryError,
    staking, token,
    types::{Hash, hash32, unhex},
};

/// Longest key that is proven, bytes; every key of the state is shorter.
pub const KEY_BYTES_MAX: usize = 512;

/// The key of an object. Refuses text that is no address, denom or id, and keys that no proof can
/// be about: those of indexes, which the app hash does not hold.
pub fn key(object: &Object) -> Result<Vec<u8>, QueryError> {
    Ok(match object {
        Object::Key(key) => return provable(key),
        Object::Account(address) => auth::account_key(&Address::parse(address)?),
        Object::Balance(BalanceKey { address, denom: name }) => {
            token::balance_key(Address::parse(address)?, denom(name)?)
        }
        Object::Supply(name) => token::supply_key(&denom(name)?),
        Object::Job(id) => market::job_key(*id),
        Object::Payload(job_id) => market::payload_key(*job_id),
        Object::Receipt(job_id) => attestation::receipt_key(*job_id),
        Object::Provider(operator) => market::provider_key(&Address::parse(operator)?),
        Object::Offer(OfferKey { model_id, operator }) => {
            market::offer_key(model(model_id)?, Address::parse(operator)?)
        }
        Object::Withdrawal(id) => market::withdrawal_key(*id),
        Object::Model(model_id) => market::model_key(&model(model_id)?),
        Object::Grant(id) => governance::grants::grant_key(*id),
        Object::Validator(operator) => staking::validator_key(&Address::parse(operator)?),
        Object::Audit(job_id) => audit::audit_key(*job_id),
        Object::Profile(model_id) => audit::profile_key(&model(model_id)?),
        Object::Standing(operator) => audit::standing_key(&Address::parse(operator)?),
        Object::Game(job_id) => game::game_key(*job_id),
        Object::Referee(model_id) => game::referee_key(&model(model_id)?),
    })
}

fn provable(key: &[u8]) -> Result<Vec<u8>, QueryError> {
    let first = key.first().ok_or_else(|| QueryError::invalid("the key is empty"))?;
    if key.len() > KEY_BYTES_MAX {
        return Err(QueryError::invalid(format!("a key has at most {KEY_BYTES_MAX} bytes")));
    }
    if Table::is_derived(*first) {
        return Err(QueryError::invalid(format!(
            "keys that begin with 0x{first:02x} are an index, which the app hash does not hold: ask for the object"
        )));
    }
    Ok(key.to_vec())
}

fn denom(text: &str) -> Result<Denom, QueryError> {
    Denom::new(text).ok_or_else(|| QueryError::invalid(format!("invalid denom {text:?}")))
}

fn model(text: &str) -> Result<Hash, QueryError> {
    let id = unhex(text).and_then(|bytes| hash32(&bytes));
    id.ok_or_else(|| QueryError::invalid("a model id is 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use std::{string::String, vec};

    use super::*;
    use crate::types::hex;

    /// Where objects lie is a promise to every light client.
    #[test]
    fn golden_keys() {
        let a = Address([7; 20]).text();
        let text = "07".repeat(20);
        let id = "ab".repeat(32);
        let balance = BalanceKey { address: a.clone(), denom: "uxpl".into() };
        let offer = OfferKey { model_id: id.clone(), operator: a.clone() };
        let cases: [(Object, String); 18] = [
            (Object::Grant(3), "a80000000000000003".into()),
            (Object::Key(vec![0x10, 1]), "1001".into()),
            (Object::Account(a.clone()), format!("10{text}")),
            (Object::Balance(balance), format!("19{text}047578706c")),
            (Object::Supply("uxpl".into()), "1a047578706c".into()),
            (Object::Job(258), "490000000000000102".into()),
            (Object::Payload(1), "4e0000000000000001".into()),
            (Object::Receipt(1), "700000000000000001".into()),
            (Object::Provider(a.clone()), format!("41{text}")),
            (Object::Offer(offer), format!("43{id}{text}")),
            (Object::Withdrawal(1), "450000000000000001".into()),
            (Object::Model(id.clone()), format!("48{id}")),
            (Object::Validator(a.clone()), format!("28{text}")),
            (Object::Audit(1), "720000000000000001".into()),
            (Object::Profile(id.clone()), format!("7c{id}")),
            (Object::Standing(a), format!("7f{text}")),
            (Object::Game(1), "830000000000000001".into()),
            (Object::Referee(id.clone()), format!("82{id}")),
        ];
        for (object, wanted) in cases {
            assert_eq!(hex(&key(&object).unwrap()), wanted, "{object:?}");
        }
    }

    #[test]
    fn what_cannot_be_proven_is_refused() {
        let bad = [
            Object::Key(Vec::new()),
            Object::Key(vec![0x10; KEY_BYTES_MAX + 1]),
            Object::Key(vec![0x4a, 1, 2, 3]),
            Object::Account("cosmos1xyz".into()),
            Object::Balance(BalanceKey::default()),
            Object::Supply("!".into()),
            Object::Model("ab".into()),
            Object::Offer(OfferKey::default()),
        ];
        for object in bad {
            assert!(key(&object).is_err(), "{object:?}");
        }
    }
}
