use alloc::{format, string::ToString, vec::Vec};

use plasma_proto::cosmos::authz::v1beta1::{
    Grant as StoredGrant, MsgExecResponse, MsgGrantResponse, MsgRevokeResponse,
};
use prost_types::{Any, Timestamp};

use super::{
    Error, Exec, Grant, Revoke,
    authorization::{Authorization, Left},
    event::Event,
    state::{GRANTS, TypeUrl, expired, is_expired},
};
use crate::{Address, Ctx, FeeParts, Refusal, Write, msg::Msg, token};

/// Grants past their time that a new grant removes, at most: more than it adds, so that as long as
/// anything waits to be removed, what is stored does not grow.
const PRUNES_PER_GRANT_MAX: usize = 2;

/// Grants past their time that the end of a block removes, at most.
const PRUNES_PER_BLOCK_MAX: usize = 200;

/// Runs one message of any module, and answers with its response.
pub type Dispatch = fn(&mut Ctx<'_>, Msg) -> Result<Any, Refusal>;

/// `MsgGrant`: takes the place of an earlier grant of the same type. A grantee without an account
/// gets one, with the least that opens it.
pub fn grant(ctx: &mut Ctx<'_>, msg: Grant) -> Result<MsgGrantResponse, Error> {
    let Grant { granter, grantee, authorization, expiration } = msg;
    let now_s = ctx.block.time_s;
    let ends_later = |Timestamp { seconds, nanos }: Timestamp| {
        u64::try_from(seconds).is_ok_and(|last| last > now_s || (last == now_s && nanos > 0))
    };
    if expiration.is_some_and(|time| !ends_later(time)) {
        return Err(Error::InvalidExpiration);
    }
    token::open_account(ctx, granter, grantee)?;
    let type_url = authorization.type_url();
    let stored = StoredGrant { authorization: Some(authorization.to_any()), expiration };
    GRANTS.set(ctx.store, &(granter, grantee, TypeUrl(type_url.clone())), &stored);
    prune(ctx.store, now_s, PRUNES_PER_GRANT_MAX);
    ctx.emit(&Event::Granted { granter, grantee, type_url: &type_url });
    Ok(MsgGrantResponse {})
}

/// `MsgRevoke`.
pub fn revoke(ctx: &mut Ctx<'_>, msg: Revoke) -> Result<MsgRevokeResponse, Error> {
    let Revoke { granter, grantee, type_url } = msg;
    let key = (granter, grantee, TypeUrl(type_url));
    if GRANTS.get(ctx.store, &key).is_none() {
        let (granter, grantee, TypeUrl(type_url)) = key;
        return Err(Error::NotFound { granter, grantee, type_url });
    }
    GRANTS.remove(ctx.store, &key);
    ctx.emit(&Event::Revoked { granter, grantee, type_url: &key.2.0 });
    Ok(MsgRevokeResponse {})
}

/// `MsgExec`: runs the messages in order, each as its own signer; the first that is refused refuses
/// all. A message of the grantee itself needs no grant.
pub fn exec(ctx: &mut Ctx<'_>, msg: Exec, dispatch: Dispatch) -> Result<MsgExecResponse, Refusal> {
    // What this message may get back of the fee is dealt out anew, by gas, so that a message inside
    // gets no more back than it would outside; this message's own gas is given back to nobody.
    let mut parts = FeeParts::new(ctx.fee.left, msg.gas());
    let Exec { grantee, msgs } = msg;
    let mut results = Vec::with_capacity(msgs.len());
    for (index, msg) in msgs.into_iter().enumerate() {
        let failed = |refusal: Refusal| Refusal {
            log: format!("failed to execute message; message index: {index}: {}", refusal.log),
            ..refusal
        };
        let granter = msg.signer();
        if granter != grantee {
            use_grant(ctx, granter, grantee, &msg).map_err(|error| failed(error.into()))?;
        }
        ctx.fee.left = parts.next(msg.gas());
        let from = ctx.events.len();
        results.push(dispatch(ctx, msg).map_err(failed)?.value);
        for event in ctx.events.iter_mut().skip(from) {
            event.attributes.push(("authz_msg_index", index.to_string()));
        }
    }
    ctx.fee.left = crate::Amount::ZERO;
    Ok(MsgExecResponse { results })
}

/// Takes a message from what was granted for it.
fn use_grant(
    ctx: &mut Ctx<'_>,
    granter: Address,
    grantee: Address,
    msg: &Msg,
) -> Result<(), Error> {
    let key = (granter, grantee, TypeUrl(msg.type_url()));
    let Some(grant) = GRANTS.get(ctx.store, &key) else {
        let (granter, grantee, TypeUrl(type_url)) = key;
        return Err(Error::NotFound { granter, grantee, type_url });
    };
    if is_expired(&grant, ctx.block.time_s) {
        return Err(Error::Expired);
    }
    match Authorization::stored(grant.authorization.as_ref()).accept(msg)? {
        Left::Same => {}
        Left::Less(left) => {
            let grant = StoredGrant { authorization: Some(left.to_any()), ..grant };
            GRANTS.set(ctx.store, &key, &grant);
        }
        Left::Nothing => {
            GRANTS.remove(ctx.store, &key);
            ctx.emit(&Event::Revoked { granter, grantee, type_url: &key.2.0 });
        }
    }
    Ok(())
}

/// Removes what is past its time; the rest waits, first in line, for the next block.
pub fn end_block(ctx: &mut Ctx<'_>) {
    prune(ctx.store, ctx.block.time_s, PRUNES_PER_BLOCK_MAX);
}

fn prune(store: &mut dyn Write, now_s: u64, count: usize) {
    for key in expired(store, now_s, count) {
        GRANTS.remove(store, &key);
    }
}
