use alloc::string::String;

use plasma_proto::{cosmos::gov::v1::VoteOption, plasma::staking::v1::BallotShares};

use super::{
    Options,
    state::{SHARES, vote},
};
use crate::{Address, Amount, Dec, Read, error::fault, staking::stake, types::mul_div};

/// Shares of one validator, by option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) voted: Dec,
    yes: Dec,
    abstain: Dec,
    no: Dec,
    no_with_veto: Dec,
}

impl Sums {
    pub(super) fn stored(stored: &BallotShares) -> Self {
        let BallotShares { voted, yes, abstain, no, no_with_veto } = stored;
        let dec = |text: &String| Dec::stored(text);
        Self {
            voted: dec(voted),
            yes: dec(yes),
            abstain: dec(abstain),
            no: dec(no),
            no_with_veto: dec(no_with_veto),
        }
    }

    pub(super) fn to_proto(self) -> BallotShares {
        let Self { voted, yes, abstain, no, no_with_veto } = self;
        BallotShares {
            voted: voted.text(),
            yes: yes.text(),
            abstain: abstain.text(),
            no: no.text(),
            no_with_veto: no_with_veto.text(),
        }
    }

    fn option(&mut self, option: VoteOption) -> Option<&mut Dec> {
        match option {
            VoteOption::Unspecified => None,
            VoteOption::Yes => Some(&mut self.yes),
            VoteOption::Abstain => Some(&mut self.abstain),
            VoteOption::No => Some(&mut self.no),
            VoteOption::NoWithVeto => Some(&mut self.no_with_veto),
        }
    }

    /// Counts shares in, each option's part rounded down.
    pub(super) fn put(&mut self, shares: Dec, options: &Options) {
        self.change(shares, options, Dec::plus);
    }

    /// Counts shares out that were counted in.
    pub(super) fn take(&mut self, shares: Dec, options: &Options) {
        self.change(shares, options, Dec::minus);
    }

    fn change(&mut self, shares: Dec, options: &Options, by: fn(Dec, Dec) -> Option<Dec>) {
        let lost = || fault("the shares of a ballot do not add up", b"");
        self.voted = by(self.voted, shares).unwrap_or_else(lost);
        for (option, weight) in options.iter() {
            let part = shares.times(weight).unwrap_or_else(lost);
            if let Some(sum) = self.option(option) {
                *sum = by(*sum, part).unwrap_or_else(lost);
            }
        }
    }
}

/// What stake answered, uxpl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Stake for it.
    pub yes: Amount,
    /// Stake that leaves it to others.
    pub abstain: Amount,
    /// Stake against it.
    pub no: Amount,
    /// Stake against asking at all.
    pub no_with_veto: Amount,
    /// Stake of all bonded validators, those included who said nothing.
    pub bonded: Amount,
}

impl Tally {
    /// Stake that answered.
    pub fn voted(&self) -> Amount {
        let Self { yes, abstain, no, no_with_veto, bonded: _ } = *self;
        [yes, abstain, no, no_with_veto].into_iter().fold(Amount::ZERO, sum)
    }
}

/// Stake is money, which sums to no more than the supply.
fn sum(a: Amount, b: Amount) -> Amount {
    a.plus(b).unwrap_or_else(|| fault("a sum of stake passed the largest amount", b""))
}

/// What stake answers now: nothing, where there is no such ballot.
pub fn count(store: &dyn Read, id: u64) -> Tally {
    let mut tally = Tally::default();
    for (operator, tokens, shares) in stake::bonded(store) {
        // Whom everybody left stays in the set until the end of the block.
        if shares == Dec::ZERO {
            continue;
        }
        let sums = of_validator(store, id, operator, shares);
        let part = |option: Dec| {
            mul_div(option.scaled(), tokens.units(), shares.scaled())
                .map(Amount::new)
                .unwrap_or_else(|| fault("more shares voted than the validator has", &operator.0))
        };
        tally.yes = sum(tally.yes, part(sums.yes));
        tally.abstain = sum(tally.abstain, part(sums.abstain));
        tally.no = sum(tally.no, part(sums.no));
        tally.no_with_veto = sum(tally.no_with_veto, part(sums.no_with_veto));
        tally.bonded = sum(tally.bonded, tokens);
    }
    tally
}

/// A validator's shares by option: its operator's choice for all whose owners said nothing.
fn of_validator(store: &dyn Read, id: u64, operator: Address, shares: Dec) -> Sums {
    let mut sums =
        SHARES.get(store, &(id, operator)).as_ref().map_or_else(Sums::default, Sums::stored);
    if let Some(vote) = vote(store, id, operator) {
        let rest = shares
            .minus(sums.voted)
            .unwrap_or_else(|| fault("more shares voted than the validator has", &operator.0));
        sums.put(rest, &Options::stored(&vote));
    }
    sums
}
