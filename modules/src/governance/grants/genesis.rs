use alloc::{format, vec::Vec};

use plasma_proto::plasma::governance::v1::{Grant, GrantStatus};

use super::{
    Error,
    invariant::is_whole,
    msg::{check_milestones, check_parties},
    state::{GRANTS, NEXT, put},
};
use crate::{Address, Read, Write};

/// Writes grants that add up. The money is checked by the invariants, once all of the state is there.
pub(in crate::governance) fn init(
    store: &mut dyn Write,
    grants: &[Grant],
    next_id: u64,
) -> Result<(), Error> {
    for grant in grants {
        let id = grant.id;
        if id == 0 || id >= next_id || GRANTS.map().has(store, &id) {
            let text = format!("grant {id} stands twice, or is not below the next");
            return Err(Error::BadGenesis(text));
        }
        let wrong = |why: &str| Error::BadGenesis(format!("grant {id}: {why}"));
        let recipient = Address::parse(&grant.recipient)?;
        let parse = |text: &alloc::string::String| Address::parse(text);
        let reviewers = grant.reviewers.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        check_milestones(&grant.milestones)?;
        check_parties(recipient, &reviewers, grant.threshold)?;
        if !is_whole(grant) {
            return Err(wrong("its sums are wrong"));
        }
        let known = grant.approvals.iter().all(|one| grant.reviewers.contains(one));
        let count = u32::try_from(grant.approvals.len()).unwrap_or(u32::MAX);
        let open = grant.status() == GrantStatus::Open;
        if !known || (count != 0 && (!open || count >= grant.threshold)) {
            return Err(wrong("its approvals are wrong"));
        }
        put(store, grant);
    }
    NEXT.set(store, &next_id.max(1));
    Ok(())
}

/// Every grant, and the next one's id.
pub(in crate::governance) fn export(store: &dyn Read) -> (Vec<Grant>, u64) {
    let grants = GRANTS.map().iter(store).map(|(_, grant)| grant).collect();
    (grants, NEXT.get(store).unwrap_or(1))
}
