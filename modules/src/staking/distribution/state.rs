use plasma_proto::{
    cosmos::distribution::v1beta1::Params,
    plasma::staking::v1::{Pools, RewardStart, ValidatorRewards, WithdrawAddress},
};

use crate::{Address, Amount, Dec, Item, Map, Read, Table, Write, error::fault};

pub(super) const POOLS: Item<Pools> = Item::new(Table::StakingPools);
pub(super) const PARAMS: Item<Params> = Item::new(Table::DistributionParams);
pub(super) const VALIDATORS: Map<Address, ValidatorRewards> =
    Map::new(Table::DistributionValidators);
/// (delegator, operator)
pub(super) const STARTS: Map<(Address, Address), RewardStart> = Map::new(Table::DistributionStarts);
pub(super) const WITHDRAW: Map<Address, WithdrawAddress> = Map::new(Table::DistributionWithdraw);

/// Module account of what was earned and not yet withdrawn.
pub const DISTRIBUTION: &str = "distribution";

/// Shares below which a validator's rewards wait, uncounted: 1 XPL's. So what one share has earned
/// stays within 18 digits before the point, whatever is earned.
pub(super) const SHARES_MIN: Dec = Dec::new(1_000_000 * Dec::ONE.scaled());

/// The pools as numbers, uxpl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pot {
    pub stakers: Dec,
    pub community: Dec,
}

impl Pot {
    pub fn of(store: &dyn Read) -> Self {
        let Pools { stakers_uxpl, community_uxpl } = POOLS.get(store).unwrap_or_default();
        Self { stakers: Dec::stored(&stakers_uxpl), community: Dec::stored(&community_uxpl) }
    }

    pub fn put(self, store: &mut dyn Write) {
        let Self { stakers, community } = self;
        let pools = Pools { stakers_uxpl: stakers.text(), community_uxpl: community.text() };
        POOLS.set(store, &pools);
    }
}

/// A validator's rewards as numbers, uxpl. What delegations are owed is `outstanding - commission -
/// current`, at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Earned {
    pub outstanding: Dec,
    pub commission: Dec,
    pub current: Dec,
    pub per_share: Dec,
}

impl Earned {
    pub fn of(store: &dyn Read, operator: Address) -> Option<Self> {
        VALIDATORS.get(store, &operator).map(|stored| Self::read(&stored))
    }

    pub fn read(stored: &ValidatorRewards) -> Self {
        let ValidatorRewards {
            operator: _,
            outstanding_uxpl,
            commission_uxpl,
            current_uxpl,
            per_share_uxpl,
        } = stored;
        Self {
            outstanding: Dec::stored(outstanding_uxpl),
            commission: Dec::stored(commission_uxpl),
            current: Dec::stored(current_uxpl),
            per_share: Dec::stored(per_share_uxpl),
        }
    }

    pub fn put(self, store: &mut dyn Write, operator: Address) {
        let Self { outstanding, commission, current, per_share } = self;
        let stored = ValidatorRewards {
            operator: operator.text(),
            outstanding_uxpl: outstanding.text(),
            commission_uxpl: commission.text(),
            current_uxpl: current.text(),
            per_share_uxpl: per_share.text(),
        };
        VALIDATORS.set(store, &operator, &stored);
    }

    /// Counts what is not counted yet per share. What no share gets of it, and all of it while there
    /// are too few shares, waits.
    fn count(&mut self, shares: Dec) {
        if shares < SHARES_MIN {
            return;
        }
        let Some(step) = self.current.over(shares) else { return };
        let Some(per_share) = self.per_share.plus(step) else { return };
        // Rounded up: delegations are never owed more than is set aside for them.
        let dealt = step.times_ratio_up(shares.scaled(), Dec::ONE.scaled());
        self.current = must(dealt.and_then(|dealt| self.current.minus(dealt)));
        self.per_share = per_share;
    }

    /// Takes out what a delegation of so many shares is paid. The answer is that, and what stays owed of it.
    pub fn pay(&mut self, shares: Dec, start: &RewardStart) -> (Amount, Dec) {
        let owed = self.owed(shares, start);
        let paid = owed.floor();
        let whole = must(Dec::whole(paid));
        self.outstanding = must(self.outstanding.minus(whole));
        (paid, must(owed.minus(whole)))
    }

    /// Adds what a validator and its delegators have earned. The answer is the
    /// operator's part of it, by its rate.
    pub fn earn(&mut self, amount: Dec, rate: Dec, shares: Dec) -> Dec {
        // A rate is at most the whole.
        let commission = must(amount.times(rate));
        self.outstanding = must(self.outstanding.plus(amount));
        self.commission = must(self.commission.plus(commission));
        self.current = must(amount.minus(commission).and_then(|rest| self.current.plus(rest)));
        self.count(shares);
        commission
    }

    /// What a delegation of so many shares is owed.
    pub fn owed(&self, shares: Dec, start: &RewardStart) -> Dec {
        let since = self.per_share.minus(Dec::stored(&start.per_share_uxpl));
        let counted = since.and_then(|since| shares.times(since));
        must(counted.and_then(|counted| counted.plus(Dec::stored(&start.fraction_uxpl))))
    }
}

/// A sum or difference of parts of what the account `distribution` holds. The account's whole fits
/// ([`super::pools`]), so that parts that do not are not what the code wrote.
pub(super) fn must(number: Option<Dec>) -> Dec {
    number.unwrap_or_else(|| fault("rewards do not add up", &[Table::DistributionValidators.id()]))
}

/// The numbers that governance sets.
pub(super) fn params(store: &dyn Read) -> Params {
    PARAMS.get(store).unwrap_or_default()
}

/// Where an account's rewards go.
pub(super) fn withdraw_address(store: &dyn Read, delegator: Address) -> Address {
    let set = WITHDRAW.get(store, &delegator);
    set.map_or(delegator, |set| Address::stored(&set.withdraw))
}
