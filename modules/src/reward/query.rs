//! Questions about what providers are rewarded with.

use plasma_proto::plasma::{
    market::v1::Provider,
    reward::v1::{
        Account, QueryAccountRequest, QueryAccountResponse, QueryAuditedRequest,
        QueryAuditedResponse, QueryCurrentEpochRequest, QueryCurrentEpochResponse,
        QueryEpochsRequest, QueryEpochsResponse, QueryParamsRequest, QueryParamsResponse,
        QueryYieldRequest, QueryYieldResponse, QueryYieldsRequest, QueryYieldsResponse, Yield,
    },
};

use super::{
    emission::{year_of, yearly},
    standby,
    state::{self, ACCOUNTS, AUDITED, EPOCH, EPOCHS, SCHEDULE, STANDBY, YEAR_S},
};
use crate::{
    Address, Amount, BPS, View, market,
    query::{QueryError, Router, page},
};

/// Adds the questions about rewards.
pub fn routes(router: &mut Router) {
    router.add("/plasma.reward.v1.Query/Params", params);
    router.add("/plasma.reward.v1.Query/CurrentEpoch", current_epoch);
    router.add("/plasma.reward.v1.Query/Epochs", epochs);
    router.add("/plasma.reward.v1.Query/Account", account);
    router.add("/plasma.reward.v1.Query/Yield", one_yield);
    router.add("/plasma.reward.v1.Query/Yields", yields);
    router.add("/plasma.reward.v1.Query/Audited", audited);
}

fn params(view: &View<'_>, _: QueryParamsRequest) -> Result<QueryParamsResponse, QueryError> {
    Ok(QueryParamsResponse { params: Some(state::params(view.store)) })
}

fn current_epoch(
    view: &View<'_>,
    _: QueryCurrentEpochRequest,
) -> Result<QueryCurrentEpochResponse, QueryError> {
    let params = state::params(view.store);
    let schedule = SCHEDULE.get(view.store).unwrap_or_default();
    let year = year_of(&schedule, view.block.time_s);
    let of = |first| Amount::from(yearly(first, params.decline_bps, year)).text();
    Ok(QueryCurrentEpochResponse {
        epoch: EPOCH.get(view.store),
        schedule: Some(schedule),
        emission_yearly_uxpl: of(params.emission_yearly_uxpl),
        standby_yearly_uxpl: of(params.standby_yearly_uxpl),
    })
}

fn epochs(view: &View<'_>, ask: QueryEpochsRequest) -> Result<QueryEpochsResponse, QueryError> {
    let (entries, pagination) = page(view.store, &EPOCHS, &(), ask.pagination)?;
    let epochs = entries.into_iter().map(|(_, epoch)| epoch).collect();
    Ok(QueryEpochsResponse { epochs, pagination: Some(pagination) })
}

/// A provider, with its account if it has one.
fn known(view: &View<'_>, operator: Address) -> Result<(Option<Provider>, Account), QueryError> {
    let provider = market::provider(view.store, operator);
    let account = state::account(view.store, operator);
    if provider.is_none() && account.is_none() {
        return Err(QueryError::not_found(alloc::format!("provider {operator} not found")));
    }
    let zero = || Amount::ZERO.text();
    let fresh = |accrued_uxpl| Account {
        operator: operator.text(),
        accrued_uxpl,
        emission_uxpl: zero(),
        standby_uxpl: zero(),
        registered_height: provider.as_ref().map_or(0, |provider| provider.registered_height),
    };
    let account = match (account, &provider) {
        (None, _) => fresh(zero()),
        // What an earlier registration earned is owed, but is none of this one's.
        (Some(old), Some(now)) if old.registered_height != now.registered_height => {
            fresh(old.accrued_uxpl)
        }
        (Some(account), _) => account,
    };
    Ok((provider, account))
}

fn account(view: &View<'_>, ask: QueryAccountRequest) -> Result<QueryAccountResponse, QueryError> {
    let operator = Address::parse(&ask.operator)?;
    let (_, account) = known(view, operator)?;
    let pending = standby::pending(view.store, operator, view.block.time_s);
    Ok(QueryAccountResponse { account: Some(account), pending_standby_uxpl: pending.text() })
}

/// What a bond earned since its provider registered. A year's rate is `earned * year / (bond *
/// seconds)`, rounded down.
fn yield_of(view: &View<'_>, provider: &Provider, account: &Account) -> Yield {
    let operator = Address::stored(&provider.operator);
    let now_s = view.block.time_s;
    let pending = standby::pending(view.store, operator, now_s);
    let standby = Amount::stored(&account.standby_uxpl).units().saturating_add(pending.units());
    let emission = Amount::stored(&account.emission_uxpl).units();
    let bond_uxpl_s = market::bond_uxpl_s(provider, now_s);
    let rate = |earned: u128| {
        let scaled = earned.saturating_mul(YEAR_S.into()).saturating_mul(BPS.into());
        let rate = scaled.checked_div(bond_uxpl_s).unwrap_or_default();
        u64::try_from(rate).unwrap_or(u64::MAX)
    };
    Yield {
        operator: operator.text(),
        use_uxpl: provider.earned_uxpl.clone(),
        emission_uxpl: account.emission_uxpl.clone(),
        standby_uxpl: Amount::new(standby).text(),
        bond_uxpl: provider.bond_uxpl.clone(),
        bond_uxpl_s: Amount::new(bond_uxpl_s).text(),
        use_bps_per_year: rate(Amount::stored(&provider.earned_uxpl).units()),
        subsidy_bps_per_year: rate(emission.saturating_add(standby)),
    }
}

fn one_yield(view: &View<'_>, ask: QueryYieldRequest) -> Result<QueryYieldResponse, QueryError> {
    let operator = Address::parse(&ask.operator)?;
    let (Some(provider), account) = known(view, operator)? else {
        return Err(QueryError::not_found(alloc::format!("provider {operator} has left")));
    };
    Ok(QueryYieldResponse { r#yield: Some(yield_of(view, &provider, &account)) })
}

fn yields(view: &View<'_>, ask: QueryYieldsRequest) -> Result<QueryYieldsResponse, QueryError> {
    let (entries, pagination) = page(view.store, &ACCOUNTS, &(), ask.pagination)?;
    let yields = entries.into_iter().filter_map(|(operator, _)| {
        let (provider, account) = known(view, operator).ok()?;
        Some(yield_of(view, &provider?, &account))
    });
    Ok(QueryYieldsResponse { yields: yields.collect(), pagination: Some(pagination) })
}

fn audited(view: &View<'_>, ask: QueryAuditedRequest) -> Result<QueryAuditedResponse, QueryError> {
    let (entries, pagination) = page(view.store, AUDITED.map(), &(), ask.pagination)?;
    Ok(QueryAuditedResponse {
        audited: entries.into_iter().map(|(_, audited)| audited).collect(),
        standby: Some(STANDBY.get(view.store).unwrap_or_default()),
        pagination: Some(pagination),
    })
}
