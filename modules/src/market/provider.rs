//! Providers: coming, changing, bonding and leaving.

use alloc::{string::ToString, vec::Vec};

use plasma_proto::plasma::market::v1::{
    Ask, MsgAddBondResponse, MsgDeregisterProviderResponse, MsgRegisterProviderResponse,
    MsgUpdateProviderResponse, MsgWithdrawBondResponse, Offer, Params, Provider, ProviderStatus,
    Withdrawal,
};

use super::{
    AddBond, DeregisterProvider, Error, RegisterProvider, UpdateProvider, WithdrawBond, digests,
    event::Event,
    handler::count_up,
    msg::Profile,
    state::{
        MODELS, NEXT_WITHDRAWAL, OFFERS, PROVIDERS, RECEIPT_KEYS, WITHDRAWALS, bonds, has_claim,
        models_of, offers_of, params, rest, stored_hash, sum, withdrawals_of,
    },
    timer,
};
use crate::{
    Address, Amount, Ctx, Denom, Read, Sdk, Write,
    error::fault,
    token, tx,
    types::{Hash, hex},
};

/// A provider that cannot leave yet, and a withdrawal that waits for claims, are looked at again after
/// this many blocks.
const LOOK_AGAIN_BLOCKS: u64 = 10;

/// Joins the market. Anybody may; work comes once the bond suffices.
pub fn register_provider(
    ctx: &mut Ctx<'_>,
    msg: RegisterProvider,
) -> Result<MsgRegisterProviderResponse, Error> {
    let RegisterProvider { operator, receipt_key, proof, profile, bond, asks } = msg;
    let params = params(ctx.store);
    if PROVIDERS.has(ctx.store, &operator) {
        return Err(Error::ProviderExists(operator.text()));
    }
    check_asks(ctx.store, &params, &asks)?;
    check_bond(&params, bond, asks.is_empty())?;
    check_key(ctx, operator, &receipt_key, &proof)?;

    bond_in(ctx, operator, bond)?;
    let Profile { endpoint, tls_key_hash, hardware, region } = profile;
    let provider = Provider {
        operator: operator.text(),
        receipt_key: receipt_key.into(),
        endpoint,
        tls_key_hash,
        hardware,
        region,
        status: ProviderStatus::Active.into(),
        class: 0,
        bond_uxpl: bond.text(),
        queued_uxpl: Amount::ZERO.text(),
        locked_uxpl: Amount::ZERO.text(),
        jobs_settled: 0,
        jobs_failed: 0,
        failure_bps: 0,
        latency_ms: 0,
        earned_uxpl: Amount::ZERO.text(),
        registered_height: i64::try_from(ctx.block.height).unwrap_or(i64::MAX),
        bond_uxpl_s: Amount::ZERO.text(),
        bond_since_s: ctx.block.time_s,
        duty_locked_uxpl: Amount::ZERO.text(),
        pending_uxpl: Amount::ZERO.text(),
        slashed_uxpl: Amount::ZERO.text(),
    };
    PROVIDERS.set(ctx.store, &operator, &provider);
    RECEIPT_KEYS.set(ctx.store, &receipt_key, &operator.0.to_vec());
    replace_offers(ctx.store, operator, asks);
    ctx.emit(&Event::ProviderRegistered { operator, bond });
    Ok(MsgRegisterProviderResponse {})
}

/// Replaces what a provider says and offers.
pub fn update_provider(
    ctx: &mut Ctx<'_>,
    msg: UpdateProvider,
) -> Result<MsgUpdateProviderResponse, Error> {
    let UpdateProvider { operator, rotation, profile, asks } = msg;
    let params = params(ctx.store);
    let mut provider = active(ctx.store, operator)?;
    check_asks(ctx.store, &params, &asks)?;
    check_bond(&params, standing_bond(&provider), asks.is_empty())?;
    let old = stored_hash(&provider.receipt_key);
    let rotation = rotation.filter(|(key, _)| *key != old);
    if let Some((key, proof)) = &rotation {
        let offers = offers_of(ctx.store, operator);
        let busy = offers.iter().map(|offer| u64::from(offer.busy)).fold(0, u64::saturating_add);
        if busy != 0 {
            return Err(Error::ReceiptKeyInUse(busy));
        }
        check_key(ctx, operator, key, proof)?;
    }

    if let Some((key, _)) = rotation {
        RECEIPT_KEYS.remove(ctx.store, &old);
        RECEIPT_KEYS.set(ctx.store, &key, &operator.0.to_vec());
        provider.receipt_key = key.into();
    }
    let Profile { endpoint, tls_key_hash, hardware, region } = profile;
    provider.endpoint = endpoint;
    provider.tls_key_hash = tls_key_hash;
    provider.hardware = hardware;
    provider.region = region;
    PROVIDERS.set(ctx.store, &operator, &provider);
    replace_offers(ctx.store, operator, asks);
    ctx.emit(&Event::ProviderUpdated { operator });
    Ok(MsgUpdateProviderResponse {})
}

/// Takes no more work, and leaves once the windows have passed and nothing is under way.
pub fn deregister_provider(
    ctx: &mut Ctx<'_>,
    msg: DeregisterProvider,
) -> Result<MsgDeregisterProviderResponse, Error> {
    let DeregisterProvider { operator } = msg;
    let params = params(ctx.store);
    let mut provider = active(ctx.store, operator)?;
    provider.status = ProviderStatus::Leaving.into();
    PROVIDERS.set(ctx.store, &operator, &provider);
    replace_offers(ctx.store, operator, Vec::new());
    let due_height = ctx.block.height.saturating_add(params.unbond_blocks);
    let due_s = ctx.block.time_s.saturating_add(params.unbond_s);
    timer::schedule(ctx.store, &timer::of_leave(operator, due_height, due_s));
    ctx.emit(&Event::ProviderLeaving { operator });
    Ok(MsgDeregisterProviderResponse {})
}

/// Adds to a provider's bond.
pub fn add_bond(ctx: &mut Ctx<'_>, msg: AddBond) -> Result<MsgAddBondResponse, Error> {
    let AddBond { operator, amount } = msg;
    let mut provider = active(ctx.store, operator)?;
    bond_in(ctx, operator, amount)?;
    let bond = sum(Amount::stored(&provider.bond_uxpl), amount);
    set_bond(&mut provider, bond, ctx.block.time_s);
    PROVIDERS.set(ctx.store, &operator, &provider);
    ctx.emit(&Event::BondAdded { operator, amount });
    Ok(MsgAddBondResponse {})
}

/// Queues part of the free bond to go back.
pub fn withdraw_bond(
    ctx: &mut Ctx<'_>,
    msg: WithdrawBond,
) -> Result<MsgWithdrawBondResponse, Error> {
    let WithdrawBond { operator, amount } = msg;
    let params = params(ctx.store);
    let mut provider = active(ctx.store, operator)?;
    let free = free_bond(&provider);
    if amount > free {
        return Err(Error::BondNotFree { free, asked: amount });
    }
    let no_offers = models_of(ctx.store, operator).is_empty();
    check_bond(&params, rest(standing_bond(&provider), amount), no_offers)?;
    let waiting = withdrawals_of(ctx.store, operator).len();
    if u32::try_from(waiting).map_or(true, |waiting| waiting >= params.withdrawals_max) {
        return Err(Error::TooManyWithdrawals(waiting));
    }

    provider.queued_uxpl = sum(Amount::stored(&provider.queued_uxpl), amount).text();
    PROVIDERS.set(ctx.store, &operator, &provider);
    let id = NEXT_WITHDRAWAL.get(ctx.store).unwrap_or(1);
    NEXT_WITHDRAWAL.set(ctx.store, &count_up(id));
    let withdrawal = Withdrawal {
        id,
        operator: operator.text(),
        amount_uxpl: amount.text(),
        due_height: ctx.block.height.saturating_add(params.unbond_blocks),
        due_s: ctx.block.time_s.saturating_add(params.unbond_s),
        claims_height: 0,
    };
    WITHDRAWALS.set(ctx.store, &id, &withdrawal);
    timer::schedule(ctx.store, &timer::of_withdrawal(&withdrawal));
    ctx.emit(&Event::BondWithdrawalQueued { operator, withdrawal_id: id, amount });
    Ok(MsgWithdrawBondResponse { withdrawal_id: id })
}

/// Pays a withdrawal out, or looks again later while a claim from before it was due may still cost its
/// operator bond.
pub(super) fn release(ctx: &mut Ctx<'_>, withdrawal: &Withdrawal) -> Result<(), Error> {
    let operator = Address::stored(&withdrawal.operator);
    let claims_height = match withdrawal.claims_height {
        0 => ctx.block.height,
        height => height,
    };
    if has_claim(ctx.store, operator, claims_height) {
        let due_height = ctx.block.height.saturating_add(LOOK_AGAIN_BLOCKS);
        let waits = Withdrawal { claims_height, due_height, ..withdrawal.clone() };
        WITHDRAWALS.set(ctx.store, &withdrawal.id, &waits);
        timer::schedule(ctx.store, &timer::of_withdrawal(&waits));
        return Ok(());
    }
    let amount = Amount::stored(&withdrawal.amount_uxpl);
    let mut provider = PROVIDERS
        .get(ctx.store, &operator)
        .unwrap_or_else(|| fault("a withdrawal of nobody", &withdrawal.id.to_be_bytes()));
    let bond = rest(Amount::stored(&provider.bond_uxpl), amount);
    set_bond(&mut provider, bond, ctx.block.time_s);
    provider.queued_uxpl = rest(Amount::stored(&provider.queued_uxpl), amount).text();
    PROVIDERS.set(ctx.store, &operator, &provider);
    WITHDRAWALS.remove(ctx.store, &withdrawal.id);
    token::transfer(ctx, bonds(), operator, amount)?;
    ctx.emit(&Event::BondReleased { operator, withdrawal_id: withdrawal.id, amount });
    Ok(())
}

/// Lets a leaving provider go with its bond, or looks again later while something is under way.
pub(super) fn leave(ctx: &mut Ctx<'_>, operator: Address) -> Result<(), Error> {
    let Some(provider) = PROVIDERS.get(ctx.store, &operator) else { return Ok(()) };
    if provider.status() != ProviderStatus::Leaving {
        return Ok(());
    }
    let zero = |text: &str| Amount::stored(text) == Amount::ZERO;
    if !zero(&provider.locked_uxpl)
        || !zero(&provider.queued_uxpl)
        || !zero(&provider.duty_locked_uxpl)
    {
        let due_height = ctx.block.height.saturating_add(LOOK_AGAIN_BLOCKS);
        let again = timer::of_leave(operator, due_height, ctx.block.time_s);
        timer::schedule(ctx.store, &again);
        return Ok(());
    }
    let bond = Amount::stored(&provider.bond_uxpl);
    RECEIPT_KEYS.remove(ctx.store, &stored_hash(&provider.receipt_key));
    PROVIDERS.remove(ctx.store, &operator);
    if bond != Amount::ZERO {
        token::transfer(ctx, bonds(), operator, bond)?;
    }
    ctx.emit(&Event::ProviderLeft { operator, bond });
    Ok(())
}

/// The one place where a bond changes: how long it stood as it was is counted first.
pub(super) fn set_bond(provider: &mut Provider, bond: Amount, now_s: u64) {
    provider.bond_uxpl_s = Amount::new(bond_uxpl_s(provider, now_s)).text();
    provider.bond_since_s = now_s;
    provider.bond_uxpl = bond.text();
}

/// A bond times the seconds that it stood, from registration until `now_s`, uxpl seconds.
pub fn bond_uxpl_s(provider: &Provider, now_s: u64) -> u128 {
    let stood_s = now_s.saturating_sub(provider.bond_since_s);
    let since = Amount::stored(&provider.bond_uxpl).units().saturating_mul(stood_s.into());
    Amount::stored(&provider.bond_uxpl_s).units().saturating_add(since)
}

/// Slots that a provider offers for a model with a bond behind them: none while it is leaving, or
/// below the least bond.
pub fn bonded_slots(store: &dyn Read, model_id: &Hash, operator: Address) -> u32 {
    let Some(ask) = OFFERS.get(store, &(*model_id, operator)).and_then(|offer| offer.ask) else {
        return 0;
    };
    let least = Amount::from(params(store).bond_min_uxpl);
    let stands = PROVIDERS.get(store, &operator).is_some_and(|provider| {
        provider.status() == ProviderStatus::Active && standing_bond(&provider) >= least
    });
    if stands { ask.slots } else { 0 }
}

/// The part of a bond that stands for nothing yet: none while a slash has left less than what it
/// stands for.
pub(super) fn free_bond(provider: &Provider) -> Amount {
    let bond = Amount::stored(&provider.bond_uxpl);
    [&provider.queued_uxpl, &provider.locked_uxpl, &provider.duty_locked_uxpl]
        .into_iter()
        .try_fold(bond, |left, part| left.minus(Amount::stored(part)))
        .unwrap_or_default()
}

/// The part of a bond that nobody has asked back.
pub fn standing_bond(provider: &Provider) -> Amount {
    rest(Amount::stored(&provider.bond_uxpl), Amount::stored(&provider.queued_uxpl))
}

/// An offer needs the least bond: else anybody could fill the market with offers that take no work
/// and hide those that do.
fn check_bond(params: &Params, bond: Amount, no_offers: bool) -> Result<(), Error> {
    let least = Amount::from(params.bond_min_uxpl);
    if no_offers || bond >= least { Ok(()) } else { Err(Error::BondTooSmall { bond, least }) }
}

/// The provider, if it is there and stays.
fn active(store: &dyn Read, operator: Address) -> Result<Provider, Error> {
    let provider = PROVIDERS
        .get(store, &operator)
        .ok_or_else(|| Error::UnknownProvider(operator.to_string()))?;
    if provider.status() == ProviderStatus::Leaving {
        return Err(Error::ProviderLeaving);
    }
    Ok(provider)
}

/// The models are known, and the counts within what the parameters allow.
fn check_asks(store: &dyn Read, params: &Params, asks: &[(Hash, Ask)]) -> Result<(), Error> {
    if u32::try_from(asks.len()).map_or(true, |count| count > params.offers_max) {
        return Err(Error::TooManyAsks { count: asks.len(), max: params.offers_max });
    }
    for (id, ask) in asks {
        if ask.slots > params.slots_max {
            let why = "it has more slots than allowed";
            return Err(Error::BadAsk { model_id: hex(id), why });
        }
        if !MODELS.has(store, id) {
            return Err(Error::UnknownModel(hex(id)));
        }
    }
    Ok(())
}

/// The key is nobody else's, and its holder agreed to serve this operator.
fn check_key(ctx: &Ctx<'_>, operator: Address, key: &Hash, proof: &[u8]) -> Result<(), Error> {
    if RECEIPT_KEYS.has(ctx.store, key) {
        return Err(Error::ReceiptKeyTaken);
    }
    let digest = digests::register_digest(&ctx.block.chain_id, operator, key);
    if !tx::verify_ed25519(key, &digest, proof) {
        return Err(Error::BadReceiptKeyProof);
    }
    Ok(())
}

fn bond_in(ctx: &mut Ctx<'_>, operator: Address, amount: Amount) -> Result<(), Error> {
    if amount == Amount::ZERO {
        return Ok(());
    }
    let have = token::spendable(ctx, operator, &Denom::uxpl());
    if have < amount {
        let text =
            alloc::format!("the spendable balance is {have}uxpl, the bond needs {amount}uxpl");
        return Err(Sdk::InsufficientFunds(text).into());
    }
    Ok(token::transfer(ctx, operator, bonds(), amount)?)
}

/// Puts these asks in the place of all before. An offer with jobs under way that is taken back
/// stays without slots until the last of them is done.
fn replace_offers(store: &mut dyn Write, operator: Address, asks: Vec<(Hash, Ask)>) {
    for model_id in models_of(store, operator) {
        if asks.iter().any(|(id, _)| *id == model_id) {
            continue;
        }
        let key = (model_id, operator);
        match OFFERS.get(store, &key) {
            Some(mut offer) if offer.busy != 0 => {
                if let Some(ask) = &mut offer.ask {
                    ask.slots = 0;
                }
                OFFERS.set(store, &key, &offer);
            }
            _ => OFFERS.remove(store, &key),
        }
    }
    for (model_id, ask) in asks {
        let key = (model_id, operator);
        let busy = OFFERS.get(store, &key).map_or(0, |offer| offer.busy);
        OFFERS.set(store, &key, &Offer { operator: operator.text(), ask: Some(ask), busy });
    }
}
