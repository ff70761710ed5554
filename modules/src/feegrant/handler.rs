use alloc::{format, string::String};

use plasma_proto::cosmos::feegrant::v1beta1::{
    Grant, MsgGrantAllowanceResponse, MsgPruneAllowancesResponse, MsgRevokeAllowanceResponse,
};

use super::{
    Error, GrantAllowance, PruneAllowances, RevokeAllowance,
    event::Event,
    state::{ALLOWANCES, allowance, expired},
};
use crate::{Address, Amount, Ctx, Refusal, Sdk, Write, token};

/// Allowances past their time that a grant removes, at most: more than it adds, so that as long as
/// anything waits to be removed, what is stored does not grow.
const PRUNES_PER_GRANT_MAX: usize = 2;

/// Allowances past their time that the end of a block removes, at most.
const PRUNES_PER_BLOCK_MAX: usize = 200;

/// Allowances past their time that a message removes, at most.
const PRUNES_PER_MESSAGE_MAX: usize = 75;

/// `MsgGrantAllowance`. A grantee without an account gets one, with the least that opens it.
pub fn grant_allowance(
    ctx: &mut Ctx<'_>,
    msg: GrantAllowance,
) -> Result<MsgGrantAllowanceResponse, Error> {
    let GrantAllowance { granter, grantee, allowance: granted } = msg;
    let now_s = ctx.block.time_s;
    let key = (grantee, granter);
    let before = ALLOWANCES.get(ctx.store, &key);
    if before.is_some_and(|before| !allowance(&before).is_expired(now_s)) {
        return Err(Sdk::InvalidRequest("fee allowance already exists".into()).into());
    }
    if granted.is_expired(now_s) {
        let text = "expiration is before current block time";
        return Err(Sdk::InvalidRequest(text.into()).into());
    }
    token::open_account(ctx, granter, grantee)?;
    let allowance = Some(granted.to_any());
    let grant = Grant { granter: granter.text(), grantee: grantee.text(), allowance };
    ALLOWANCES.set(ctx.store, &key, &grant);
    prune(ctx.store, now_s, PRUNES_PER_GRANT_MAX);
    ctx.emit(&Event::Set { granter, grantee });
    Ok(MsgGrantAllowanceResponse {})
}

/// `MsgRevokeAllowance`.
pub fn revoke_allowance(
    ctx: &mut Ctx<'_>,
    msg: RevokeAllowance,
) -> Result<MsgRevokeAllowanceResponse, Error> {
    let RevokeAllowance { granter, grantee } = msg;
    let key = (grantee, granter);
    if ALLOWANCES.get(ctx.store, &key).is_none() {
        return Err(Sdk::NotFound("fee-grant not found".into()).into());
    }
    ALLOWANCES.remove(ctx.store, &key);
    ctx.emit(&Event::Revoked { granter, grantee });
    Ok(MsgRevokeAllowanceResponse {})
}

/// `MsgPruneAllowances`.
pub fn prune_allowances(
    ctx: &mut Ctx<'_>,
    msg: PruneAllowances,
) -> Result<MsgPruneAllowancesResponse, Error> {
    let PruneAllowances { pruner } = msg;
    prune(ctx.store, ctx.block.time_s, PRUNES_PER_MESSAGE_MAX);
    ctx.emit(&Event::Pruned { pruner });
    Ok(MsgPruneAllowancesResponse {})
}

/// Removes what is past its time; the rest waits, first in line, for the next block.
pub fn end_block(ctx: &mut Ctx<'_>) {
    prune(ctx.store, ctx.block.time_s, PRUNES_PER_BLOCK_MAX);
}

fn prune(store: &mut dyn Write, now_s: u64, count: usize) {
    for key in expired(store, now_s, count) {
        ALLOWANCES.remove(store, &key);
    }
}

/// Takes a transaction's fee from what `granter` allows `grantee`, for messages of these types. The
/// money itself is taken by the ante.
pub fn use_allowance(
    ctx: &mut Ctx<'_>,
    granter: Address,
    grantee: Address,
    fee: Amount,
    types: &[String],
) -> Result<(), Refusal> {
    let refused = |error: Error| {
        let refusal = Refusal::from(error);
        let log = format!("{granter} does not allow to pay fees for {grantee}: {}", refusal.log);
        Refusal { log, ..refusal }
    };
    let key = (grantee, granter);
    let grant = ALLOWANCES
        .get(ctx.store, &key)
        .ok_or_else(|| refused(Sdk::NotFound("fee-grant not found".into()).into()))?;
    let mut allowed = allowance(&grant);
    let used_up = allowed.take(fee, ctx.block.time_s, types).map_err(refused)?;
    if used_up {
        ALLOWANCES.remove(ctx.store, &key);
        ctx.emit(&Event::Revoked { granter, grantee });
        ctx.emit(&Event::Used { granter, grantee });
    } else {
        let grant = Grant { allowance: Some(allowed.to_any()), ..grant };
        ALLOWANCES.set(ctx.store, &key, &grant);
        ctx.emit(&Event::Used { granter, grantee });
        ctx.emit(&Event::Updated { granter, grantee });
    }
    Ok(())
}
