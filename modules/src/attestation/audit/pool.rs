//! Who may judge a model's claims, and by which profile.

use alloc::vec::Vec;

use plasma_proto::plasma::{
    attestation::v1::{
        AuditParams, ModelProfile, MsgJoinPoolResponse, MsgLeavePoolResponse,
        MsgSetProfileResponse, PoolMember, ProfileProposal,
    },
    market::v1::ProviderStatus,
};

use super::{
    Error, JoinPool, LeavePool, SetProfile,
    event::Event,
    jury::weights,
    profile::{bounds, outside, profile_hash},
    state::{MEMBERS, PROFILES, is_verified, numbers, pools_of, stored_hash},
};
use crate::{
    Address, Amount, Ctx, Read, Write,
    error::fault,
    market,
    types::{Hash, hex},
};

/// The publisher sets a model's profile. Once the model was verified it proposes it: its claims are
/// audited by the one that stands until [`take_over`] says that the other has the jurors. What stands,
/// set again, withdraws the proposal. A profile begins with an empty pool, whoever was in it before.
pub fn set_profile(ctx: &mut Ctx<'_>, msg: SetProfile) -> Result<MsgSetProfileResponse, Error> {
    let SetProfile { publisher, model_id, profile } = msg;
    check_publisher(ctx, &model_id, publisher)?;
    let numbers = numbers(ctx.store);
    let (floor, ceiling) = bounds(&numbers);
    if let Some((name, value, least, most)) = outside(&profile, &floor, &ceiling) {
        return Err(Error::ProfileOutOfBounds { name, value, least, most });
    }
    let profile_hash = profile_hash(&model_id, &profile);
    let stands = match PROFILES.get(ctx.store, &model_id) {
        Some(stands) if stands.profile_hash == profile_hash => {
            if stands.proposal.is_none() {
                return Err(Error::SameProfile);
            }
            ctx.emit(&Event::ProfileWithdrawn { model_id, publisher });
            ModelProfile { proposal: None, ..stands }
        }
        Some(stands) if stands.was_verified => {
            if stands.proposal.as_ref().is_some_and(|other| other.profile_hash == profile_hash) {
                return Err(Error::SameProfile);
            }
            let proposal = ProfileProposal {
                profile: Some(profile),
                profile_hash: profile_hash.into(),
                proposed_height: ctx.block.height,
                members: 0,
            };
            empty(ctx.store, model_id, profile_hash);
            ctx.emit(&Event::ProfileProposed { model_id, profile_hash, publisher });
            ModelProfile { proposal: Some(proposal), ..stands }
        }
        _ => {
            empty(ctx.store, model_id, profile_hash);
            ctx.emit(&Event::ProfileSet { model_id, profile_hash, publisher });
            ModelProfile {
                model_id: model_id.into(),
                profile: Some(profile),
                profile_hash: profile_hash.into(),
                set_height: ctx.block.height,
                ..ModelProfile::default()
            }
        }
    };
    PROFILES.set(ctx.store, &model_id, &stands);
    let stands = stands.profile_hash == profile_hash;
    Ok(MsgSetProfileResponse { profile_hash: profile_hash.into(), stands })
}

/// Takes everybody out of a pool: consent is to a profile as it is set or proposed this time.
fn empty(store: &mut dyn Write, model_id: Hash, profile_hash: Hash) {
    let pool = MEMBERS.map().iter_prefix(store, &(model_id, profile_hash));
    let keys: Vec<_> = pool.map(|(key, _)| key).collect();
    for key in keys {
        MEMBERS.remove(store, &key);
    }
}

/// Operators of a pool that stay, with the bonds that nobody has asked back.
pub(super) fn stayers(
    store: &dyn Read,
    model_id: &Hash,
    profile_hash: &[u8],
) -> impl Iterator<Item = (Address, Amount)> {
    let pool = MEMBERS.map().iter_prefix(store, &(*model_id, stored_hash(profile_hash)));
    pool.filter_map(move |((_, _, operator), _)| {
        let provider = market::provider(store, operator)?;
        let stays = provider.status() == ProviderStatus::Active;
        stays.then(|| (operator, market::standing_bond(&provider)))
    })
}

/// Whether a proposal has the jurors that a verified model needs, and with them as large a part of the
/// pool that stands as a verdict needs of a jury, of its operators and of their weights in a draw: so that
/// no publisher ends the audits of its model by another profile, and neither one bond nor many names decide.
fn has_jurors(
    store: &dyn Read,
    numbers: &AuditParams,
    stands: &ModelProfile,
    proposal: &ProfileProposal,
) -> bool {
    let model_id = stored_hash(&stands.model_id);
    let enough = usize::try_from(numbers.pool_min).unwrap_or(usize::MAX);
    if stayers(store, &model_id, &proposal.profile_hash).take(enough).count() < enough {
        return false;
    }
    let next = stored_hash(&proposal.profile_hash);
    let pool: Vec<_> = stayers(store, &model_id, &stands.profile_hash).collect();
    // Heads and weights: as (those who moved, all).
    let (mut heads, mut weighed) = ((0u128, 0u128), (0u128, 0u128));
    for (operator, weight) in weights(&pool) {
        let moves = MEMBERS.map().has(store, &(model_id, next, operator));
        for (sum, part) in [(&mut heads, 1), (&mut weighed, weight)] {
            sum.0 = sum.0.saturating_add(if moves { part } else { 0 });
            sum.1 = sum.1.saturating_add(part);
        }
    }
    let (jury, threshold) = (numbers.jury.into(), numbers.threshold.into());
    let decide =
        |(moved, all): (u128, u128)| moved.saturating_mul(jury) >= all.saturating_mul(threshold);
    decide(heads) && decide(weighed)
}

/// Lets a proposal that has its jurors stand. Who joined for the old profile alone stays in that one's
/// pool, where no seats are drawn.
fn take_over(ctx: &mut Ctx<'_>, numbers: &AuditParams, mut stands: ModelProfile) -> ModelProfile {
    let (floor, ceiling) = bounds(numbers);
    // Governance may have narrowed them since.
    let is_within = |proposal: &ProfileProposal| {
        let profile = proposal.profile.unwrap_or_default();
        outside(&profile, &floor, &ceiling).is_none()
    };
    match stands.proposal.take().filter(is_within) {
        Some(proposal) if has_jurors(ctx.store, numbers, &stands, &proposal) => {
            let ProfileProposal { profile, profile_hash, members, .. } = proposal;
            let model_id = stored_hash(&stands.model_id);
            let publisher = market::model(ctx.store, &model_id)
                .map(|model| Address::stored(&model.publisher))
                .unwrap_or_else(|| fault("a profile of no model", &model_id));
            let stored = stored_hash(&profile_hash);
            ctx.emit(&Event::ProfileSet { model_id, profile_hash: stored, publisher });
            let set_height = ctx.block.height;
            ModelProfile { profile, profile_hash, members, set_height, ..stands }
        }
        proposal => ModelProfile { proposal, ..stands },
    }
}

fn check_publisher(ctx: &Ctx<'_>, model_id: &Hash, publisher: Address) -> Result<(), Error> {
    let model = market::model(ctx.store, model_id);
    let model = model.ok_or_else(|| Error::UnknownModel(hex(model_id)))?;
    if Address::stored(&model.publisher) == publisher { Ok(()) } else { Err(Error::NotPublisher) }
}

/// How many are in the pool of a profile that stands or is proposed.
fn members_of<'a>(stands: &'a mut ModelProfile, profile_hash: &Hash) -> Option<&'a mut u32> {
    if stands.profile_hash == profile_hash {
        return Some(&mut stands.members);
    }
    let proposal = stands.proposal.as_mut();
    proposal.filter(|other| other.profile_hash == profile_hash).map(|other| &mut other.members)
}

/// A provider joins the pool of the profile that stands, or of the proposal: it may be in both, and is
/// in that of an earlier one no longer.
pub fn join_pool(ctx: &mut Ctx<'_>, msg: JoinPool) -> Result<MsgJoinPoolResponse, Error> {
    let JoinPool { operator, model_id, profile_hash } = msg;
    if check_publisher(ctx, &model_id, operator).is_ok() {
        return Err(Error::IsPublisher);
    }
    let mut stands = PROFILES.get(ctx.store, &model_id).ok_or(Error::WrongProfile)?;
    let members = *members_of(&mut stands, &profile_hash).ok_or(Error::WrongProfile)?;
    let numbers = numbers(ctx.store);
    let stays = market::provider(ctx.store, operator)
        .is_some_and(|provider| provider.status() == ProviderStatus::Active);
    if !stays {
        return Err(Error::NotProvider);
    }
    let (free, least) = (market::free_bond(ctx.store, operator), numbers.seat_min_uxpl.into());
    if free < least {
        return Err(Error::BondTooSmall { free, least });
    }
    if MEMBERS.map().has(ctx.store, &(model_id, profile_hash, operator)) {
        return Err(Error::InPool);
    }
    if members >= numbers.pool_max {
        return Err(Error::PoolFull(members));
    }
    for other in pools_of(ctx.store, operator, &model_id) {
        if members_of(&mut stands, &other).is_none() {
            MEMBERS.remove(ctx.store, &(model_id, other, operator));
        }
    }
    let member = PoolMember {
        operator: operator.text(),
        model_id: model_id.into(),
        profile_hash: profile_hash.into(),
        joined_height: ctx.block.height,
    };
    MEMBERS.set(ctx.store, &(model_id, profile_hash, operator), &member);
    let members = members.saturating_add(1);
    if let Some(count) = members_of(&mut stands, &profile_hash) {
        *count = members;
    }
    stands.was_verified |= is_verified(&numbers, &stands);
    ctx.emit(&Event::PoolJoined { operator, model_id, profile_hash, members });
    let stands = take_over(ctx, &numbers, stands);
    PROFILES.set(ctx.store, &model_id, &stands);
    Ok(MsgJoinPoolResponse {})
}

/// An operator takes no more seats; those that it has stay.
pub fn leave_pool(ctx: &mut Ctx<'_>, msg: LeavePool) -> Result<MsgLeavePoolResponse, Error> {
    let LeavePool { operator, model_id } = msg;
    let pools = pools_of(ctx.store, operator, &model_id);
    let stands = PROFILES.get(ctx.store, &model_id).filter(|_| !pools.is_empty());
    let mut stands = stands.ok_or(Error::NotInPool)?;
    for profile_hash in pools {
        MEMBERS.remove(ctx.store, &(model_id, profile_hash, operator));
        if let Some(count) = members_of(&mut stands, &profile_hash) {
            *count = count.saturating_sub(1);
        }
    }
    ctx.emit(&Event::PoolLeft { operator, model_id });
    let stands = take_over(ctx, &numbers(ctx.store), stands);
    PROFILES.set(ctx.store, &model_id, &stands);
    Ok(MsgLeavePoolResponse {})
}
