use alloc::{collections::BTreeMap, format, string::String};

use plasma_proto::plasma::attestation::v1::AuditState;

use super::drift;
use super::state::{AUDITS, DRIFTS, LEAVES, MEMBERS, PROFILES, stored_hash, sum};
use crate::{Address, Amount, Read, market};

/// All of them.
pub(in crate::attestation) fn check_invariants(store: &dyn Read) -> Result<(), String> {
    duty_locks_are_sum_of_seats(store)?;
    profiles_count_their_pools(store)?;
    leaves_are_those_of_open_audits(store)?;
    drifts_add_up_to_something(store)
}

/// What an operator's bond locks for duties is what the seats of open audits lock.
pub fn duty_locks_are_sum_of_seats(store: &dyn Read) -> Result<(), String> {
    let mut seats = BTreeMap::<Address, Amount>::new();
    for (_, audit) in AUDITS.map().iter(store) {
        if audit.state() == AuditState::Ended {
            continue;
        }
        for seat in &audit.seats {
            let locked = seats.entry(Address::stored(&seat.juror)).or_default();
            *locked = sum(*locked, Amount::stored(&seat.locked_uxpl));
        }
    }
    for (operator, locked) in market::duty_locks(store) {
        let seats = seats.remove(&operator).unwrap_or_default();
        if locked != seats {
            return Err(format!(
                "{operator} has {locked}uxpl locked for duties, seats {seats}uxpl"
            ));
        }
    }
    match seats.first_key_value() {
        None => Ok(()),
        Some((juror, _)) => Err(format!("{juror} has a seat and nothing locked for it")),
    }
}

/// A profile counts who is in its pool, and nobody is in the pool of no model.
pub fn profiles_count_their_pools(store: &dyn Read) -> Result<(), String> {
    for (model_id, profile) in PROFILES.iter(store) {
        let counted = [(&profile.profile_hash, profile.members)].into_iter().chain(
            profile.proposal.iter().map(|proposal| (&proposal.profile_hash, proposal.members)),
        );
        for (name, count) in counted {
            let members = MEMBERS.map().iter_prefix(store, &(model_id, stored_hash(name))).count();
            if u32::try_from(members) != Ok(count) {
                return Err(format!("a profile counts {count} of {members} members"));
            }
        }
    }
    let stray = MEMBERS.map().iter(store).find(|((model, ..), _)| !PROFILES.has(store, model));
    stray.map_or(Ok(()), |(_, member)| {
        Err(format!("{} is in the pool of a model without profile", member.operator))
    })
}

/// Leaves are kept for audits that are under way, those that they asked for.
pub fn leaves_are_those_of_open_audits(store: &dyn Read) -> Result<(), String> {
    for ((id, index), _) in LEAVES.iter(store) {
        let asked = AUDITS.get(store, &id).is_some_and(|audit| {
            audit.state() != AuditState::Ended && audit.is_revealed && audit.leaves.contains(&index)
        });
        if !asked {
            return Err(format!("leaf {index} of audit {id} is kept for nothing"));
        }
    }
    Ok(())
}

/// Small deviations are kept where they add up, under their operator and model, each of which is known.
pub fn drifts_add_up_to_something(store: &dyn Read) -> Result<(), String> {
    for (key, drift) in DRIFTS.iter(store) {
        let model = stored_hash(&drift.model_id);
        if drift::key_of(&drift) != Some(key) || market::model(store, &model).is_none() {
            return Err(format!("the deviations of {} are kept for nothing", drift.operator));
        }
    }
    Ok(())
}
