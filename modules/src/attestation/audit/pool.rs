//! Who may judge a model's claims, and by which profile.

use plasma_proto::plasma::{
    attestation::v1::{
        ModelProfile, MsgJoinPoolResponse, MsgLeavePoolResponse, MsgSetProfileResponse, PoolMember,
    },
    market::v1::ProviderStatus,
};

use super::{
    Error, JoinPool, LeavePool, SetProfile,
    event::Event,
    profile::{outside, profile_hash},
    state::{MEMBERS, PROFILES, numbers, pools_of, stored_hash},
};
use crate::{
    Address, Ctx, Write, market,
    types::{Hash, hex},
};

/// The publisher sets a model's profile. Who is in the pool judges by the one that it joined for, so
/// another profile begins with an empty pool.
pub fn set_profile(ctx: &mut Ctx<'_>, msg: SetProfile) -> Result<MsgSetProfileResponse, Error> {
    let SetProfile { publisher, model_id, profile } = msg;
    check_publisher(ctx, &model_id, publisher)?;
    let numbers = numbers(ctx.store);
    let (floor, ceiling) = (numbers.profile_floor, numbers.profile_ceiling);
    let (floor, ceiling) = (floor.unwrap_or_default(), ceiling.unwrap_or_default());
    if let Some((name, value, least, most)) = outside(&profile, &floor, &ceiling) {
        return Err(Error::ProfileOutOfBounds { name, value, least, most });
    }
    let profile_hash = profile_hash(&model_id, &profile);
    let stands = PROFILES.get(ctx.store, &model_id);
    if stands.is_some_and(|stands| stands.profile_hash == profile_hash) {
        return Err(Error::SameProfile);
    }
    // Members of a profile that comes back are still in its pool.
    let members = MEMBERS.map().iter_prefix(ctx.store, &(model_id, profile_hash)).count();
    let stands = ModelProfile {
        model_id: model_id.into(),
        profile: Some(profile),
        profile_hash: profile_hash.into(),
        set_height: ctx.block.height,
        members: u32::try_from(members).unwrap_or(u32::MAX),
    };
    PROFILES.set(ctx.store, &model_id, &stands);
    ctx.emit(&Event::ProfileSet { model_id, profile_hash, publisher });
    Ok(MsgSetProfileResponse { profile_hash: profile_hash.into() })
}

fn check_publisher(ctx: &Ctx<'_>, model_id: &Hash, publisher: Address) -> Result<(), Error> {
    let model = market::model(ctx.store, model_id);
    let model = model.ok_or_else(|| Error::UnknownModel(hex(model_id)))?;
    if Address::stored(&model.publisher) == publisher { Ok(()) } else { Err(Error::NotPublisher) }
}

/// A provider joins the pool of the profile that stands; of an earlier one it is in no longer.
pub fn join_pool(ctx: &mut Ctx<'_>, msg: JoinPool) -> Result<MsgJoinPoolResponse, Error> {
    let JoinPool { operator, model_id, profile_hash } = msg;
    if check_publisher(ctx, &model_id, operator).is_ok() {
        return Err(Error::IsPublisher);
    }
    let mut stands = PROFILES
        .get(ctx.store, &model_id)
        .filter(|stands| stands.profile_hash == profile_hash)
        .ok_or(Error::WrongProfile)?;
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
    if stands.members >= numbers.pool_max {
        return Err(Error::PoolFull(stands.members));
    }
    take_out(ctx.store, operator, &model_id);
    let member = PoolMember {
        operator: operator.text(),
        model_id: model_id.into(),
        profile_hash: profile_hash.into(),
        joined_height: ctx.block.height,
    };
    MEMBERS.set(ctx.store, &(model_id, profile_hash, operator), &member);
    stands.members = stands.members.saturating_add(1);
    PROFILES.set(ctx.store, &model_id, &stands);
    ctx.emit(&Event::PoolJoined { operator, model_id, members: stands.members });
    Ok(MsgJoinPoolResponse {})
}

/// An operator takes no more seats; those that it has stay.
pub fn leave_pool(ctx: &mut Ctx<'_>, msg: LeavePool) -> Result<MsgLeavePoolResponse, Error> {
    let LeavePool { operator, model_id } = msg;
    if pools_of(ctx.store, operator, &model_id).is_empty() {
        return Err(Error::NotInPool);
    }
    take_out(ctx.store, operator, &model_id);
    ctx.emit(&Event::PoolLeft { operator, model_id });
    Ok(MsgLeavePoolResponse {})
}

/// An operator is in one pool of a model at most.
fn take_out(store: &mut dyn Write, operator: Address, model_id: &Hash) {
    for profile_hash in pools_of(store, operator, model_id) {
        MEMBERS.remove(store, &(*model_id, profile_hash, operator));
        let stands = PROFILES.get(store, model_id);
        if let Some(mut stands) =
            stands.filter(|now| stored_hash(&now.profile_hash) == profile_hash)
        {
            stands.members = stands.members.saturating_sub(1);
            PROFILES.set(store, model_id, &stands);
        }
    }
}
