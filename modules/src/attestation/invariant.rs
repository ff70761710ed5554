use alloc::{collections::BTreeSet, format, string::String};

use plasma_proto::plasma::{attestation::v1::AuditState, market::v1::JobState};

use super::{audit, beacon, game, receipt_hash, state::RECEIPTS};
use crate::{Amount, Read, market, token, types::sum};

/// All of them.
pub fn check_invariants(store: &dyn Read) -> Result<(), String> {
    receipts_are_those_of_jobs(store)?;
    beacon::check_invariants(store)?;
    audit::check_invariants(store)?;
    held_jobs_are_those_of_audits_and_games(store)?;
    the_account_holds_the_bonds_of_audits_and_games(store)
}

/// Every receipt is the one that its job names.
pub fn receipts_are_those_of_jobs(store: &dyn Read) -> Result<(), String> {
    for (job_id, accepted) in RECEIPTS.map().iter(store) {
        let hash = accepted.receipt.as_ref().map(receipt_hash);
        let fits = hash.is_some_and(|hash| {
            accepted.receipt_hash == hash
                && market::job(store, job_id).is_some_and(|job| job.receipt_hash == hash)
        });
        if !fits {
            return Err(format!("the receipt of job {job_id} is not the job's"));
        }
    }
    Ok(())
}

/// A job is held exactly while its claim is audited or challenged, and never by both.
pub fn held_jobs_are_those_of_audits_and_games(store: &dyn Read) -> Result<(), String> {
    let audits = audit::audits(store).filter(|audit| audit.state() != AuditState::Ended);
    let games = game::games(store).filter(game::is_open);
    let ids = audits.map(|audit| audit.id).chain(games.map(|game| game.id));
    let mut open = BTreeSet::new();
    for id in ids {
        let held = market::job(store, id)
            .is_some_and(|job| job.held && job.state() == JobState::Delivered);
        if !held {
            return Err(format!("the claim of job {id} is judged and its job not held"));
        }
        if !open.insert(id) {
            return Err(format!("the claim of job {id} is audited and challenged at once"));
        }
    }
    match market::held_jobs(store).find(|id| !open.contains(id)) {
        None => Ok(()),
        Some(id) => Err(format!("job {id} is held for no audit and no game")),
    }
}

/// The account holds what disputes, appeals and challenges put down, and nothing else.
pub fn the_account_holds_the_bonds_of_audits_and_games(store: &dyn Read) -> Result<(), String> {
    let mut bonds = Amount::ZERO;
    for audit in audit::audits(store).filter(|audit| audit.state() != AuditState::Ended) {
        bonds = sum(bonds, Amount::stored(&audit.dispute_bond_uxpl));
        bonds = sum(bonds, Amount::stored(&audit.appeal_bond_uxpl));
    }
    for game in game::games(store).filter(game::is_open) {
        bonds = sum(bonds, Amount::stored(&game.bond_uxpl));
    }
    let there = token::balance(store, audit::account());
    if there == bonds {
        Ok(())
    } else {
        Err(format!("the account of audits holds {there}uxpl, bonds are {bonds}uxpl"))
    }
}
