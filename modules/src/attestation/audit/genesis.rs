use alloc::{collections::BTreeSet, format, string::String};

use plasma_proto::plasma::{attestation::v1::AuditState, genesis::v1::AttestationGenesis};

use super::{
    Error, drift,
    params::rows,
    question,
    state::{AUDITS, BEACONS, COUNTS, DRIFTS, LEAVES, MEMBERS, PROFILES, STANDINGS},
};
use crate::{
    Address, Amount, Read, Write, market,
    params::check_bounds,
    types::{Hash, hash32},
};

fn bad(text: impl Into<String>) -> Error {
    Error::BadGenesis(text.into())
}

fn hash(bytes: &[u8]) -> Result<Hash, Error> {
    hash32(bytes).ok_or_else(|| bad("a hash is not 32 bytes"))
}

fn amount(text: &str) -> Result<(), Error> {
    let fits = text.is_empty() || Amount::parse(text).is_some();
    if fits { Ok(()) } else { Err(bad(format!("{text:?} is no amount"))) }
}

fn once<K: Ord>(seen: &mut BTreeSet<K>, key: K, what: &str) -> Result<(), Error> {
    if seen.insert(key) { Ok(()) } else { Err(bad(format!("{what} is there twice"))) }
}

/// Writes the first state of audits. Market, parameters and receipts must be there before.
pub(in crate::attestation) fn init(
    store: &mut dyn Write,
    genesis: &AttestationGenesis,
) -> Result<(), Error> {
    let AttestationGenesis {
        receipts: _,
        params: _,
        beacon_keys: _,
        profiles,
        pool_members,
        standings,
        payer_counts,
        audits,
        shown_leaves,
        past_beacons,
        drifts,
        referees: _,
        games: _,
    } = genesis;
    let (mut models, mut members, mut operators) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for profile in profiles {
        let id = hash(&profile.model_id)?;
        hash(&profile.profile_hash)?;
        if market::model(store, &id).is_none() || profile.profile.is_none() {
            return Err(bad("a profile of no model, or without numbers"));
        }
        if let Some(proposal) = &profile.proposal {
            if hash(&proposal.profile_hash)? == hash(&profile.profile_hash)? {
                return Err(bad("a profile that is proposed in its own place"));
            }
            proposal.profile.ok_or_else(|| bad("a proposal without numbers"))?;
        }
        once(&mut models, id, "a profile")?;
        PROFILES.set(store, &id, profile);
    }
    for member in pool_members {
        let operator = Address::parse(&member.operator)?;
        let key = (hash(&member.model_id)?, hash(&member.profile_hash)?, operator);
        once(&mut members, key, "a member of a pool")?;
        MEMBERS.set(store, &key, member);
    }
    for standing in standings {
        let operator = Address::parse(&standing.operator)?;
        amount(&standing.clean_uxpl)?;
        once(&mut operators, operator, "a standing")?;
        STANDINGS.set(store, &operator, standing);
    }
    let mut drifting = BTreeSet::new();
    for drift in drifts {
        let key = drift::key_of(drift).ok_or_else(|| bad("a drift that is none"))?;
        once(&mut drifting, key, "a drift")?;
        DRIFTS.set(store, &key, drift);
    }
    let mut counts = BTreeSet::new();
    for count in payer_counts {
        let key = (Address::parse(&count.operator)?, Address::parse(&count.payer)?);
        amount(&count.counted_uxpl)?;
        once(&mut counts, key, "a payer's count")?;
        COUNTS.set(store, &key, count);
    }
    let (mut ids, mut leaves, mut heights) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for audit in audits {
        once(&mut ids, audit.id, "an audit")?;
        check_audit(store, audit)?;
        AUDITS.set(store, &audit.id, audit);
    }
    for drift in drifts.iter().filter(|drift| drift.audit_id != 0) {
        let audit = AUDITS.get(store, &drift.audit_id).filter(|audit| {
            audit.is_drift
                && (&audit.provider, &audit.model_id) == (&drift.operator, &drift.model_id)
        });
        audit.ok_or_else(|| bad("a drift at the limit by no claim of its own"))?;
    }
    for shown in shown_leaves {
        once(&mut leaves, (shown.audit_id, shown.index), "a leaf")?;
        LEAVES.set(store, &(shown.audit_id, shown.index), shown);
    }
    for past in past_beacons {
        hash(&past.beacon)?;
        once(&mut heights, past.height, "a beacon")?;
        BEACONS.set(store, &past.height, past);
    }
    Ok(())
}

/// An audit whose fields read as what they are.
fn check_audit(
    store: &dyn Read,
    audit: &plasma_proto::plasma::attestation::v1::Audit,
) -> Result<(), Error> {
    Address::parse(&audit.provider)?;
    Address::parse(&audit.payer)?;
    hash(&audit.model_id)?;
    if !audit.disputer.is_empty() {
        Address::parse(&audit.disputer)?;
    }
    for text in [
        &audit.charge_uxpl,
        &audit.at_risk_uxpl,
        &audit.slash_uxpl,
        &audit.seat_uxpl,
        &audit.dispute_bond_uxpl,
        &audit.appeal_bond_uxpl,
        &audit.slashed_uxpl,
        &audit.shared_uxpl,
    ] {
        amount(text)?;
    }
    for seat in &audit.seats {
        Address::parse(&seat.juror)?;
        for text in [&seat.locked_uxpl, &seat.lost_uxpl, &seat.earned_uxpl] {
            amount(text)?;
        }
        let answer = seat.verdict.as_ref().map(|verdict| &verdict.answer[..]).unwrap_or_default();
        if !answer.is_empty() && !question::is_answer(answer) {
            return Err(bad("an answer that is none"));
        }
        if !seat.commitment.is_empty() {
            hash(&seat.commitment)?;
        }
    }
    for carried in &audit.carried {
        Address::parse(&carried.carrier)?;
        amount(&carried.owed_uxpl)?;
    }
    if audit.is_revealed {
        hash(&audit.fingerprints_root)?;
    }
    if !audit.question.is_empty() {
        hash(&audit.question)?;
    }
    if let Some(params) = &audit.params {
        let good = rows(params).and_then(|rows| check_bounds(&rows));
        good.map_err(|error| bad(format!("audit {}: {error}", audit.id)))?;
    }
    let seated = audit.params.is_some() && audit.profile.is_some();
    match audit.state() {
        AuditState::Unspecified => Err(bad(format!("audit {} has no state", audit.id))),
        AuditState::Lot | AuditState::Ended => Ok(()),
        _ if seated && market::job(store, audit.id).is_some() => Ok(()),
        _ => Err(bad(format!("audit {} has no numbers, no profile or no job", audit.id))),
    }
}

/// The state of audits, as part of a genesis from which it would go on.
pub(in crate::attestation) fn export(store: &dyn Read) -> AttestationGenesis {
    AttestationGenesis {
        profiles: PROFILES.iter(store).map(|(_, profile)| profile).collect(),
        pool_members: MEMBERS.map().iter(store).map(|(_, member)| member).collect(),
        standings: STANDINGS.iter(store).map(|(_, standing)| standing).collect(),
        payer_counts: COUNTS.iter(store).map(|(_, count)| count).collect(),
        audits: AUDITS.map().iter(store).map(|(_, audit)| audit).collect(),
        shown_leaves: LEAVES.iter(store).map(|(_, leaf)| leaf).collect(),
        drifts: DRIFTS.iter(store).map(|(_, drift)| drift).collect(),
        past_beacons: BEACONS.iter(store).map(|(_, past)| past).collect(),
        ..AttestationGenesis::default()
    }
}
