//! What a vote comes to.

use plasma_proto::cosmos::gov::v1::{Params, TallyResult};

use super::params::ratio;
use crate::{Amount, Dec, staking::ballot::Tally, types::mul_div_up};

/// What becomes of a proposal and its deposits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The messages are carried out.
    pub(super) passes: bool,
    /// The deposits are burned, not paid back.
    pub(super) burns: bool,
}

/// The Cosmos SDK's rules, by exact fractions: the quorum may be met exactly; the veto and the
/// threshold must be passed.
pub(super) fn decide(tally: &Tally, params: &Params, expedited: bool) -> Outcome {
    let Tally { yes, abstain, no: _, no_with_veto, bonded } = *tally;
    let voted = tally.voted();
    let rejected = |burns| Outcome { passes: false, burns };
    if bonded == Amount::ZERO {
        return rejected(false);
    }
    if Dec::ratio(voted, bonded).is_none_or(|part| part < ratio(&params.quorum)) {
        return rejected(params.burn_vote_quorum);
    }
    let Some(spoke) = voted.minus(abstain).filter(|spoke| *spoke != Amount::ZERO) else {
        return rejected(false);
    };
    if ratio_up(no_with_veto, voted).is_none_or(|part| part > ratio(&params.veto_threshold)) {
        return rejected(params.burn_vote_veto);
    }
    let threshold = if expedited { &params.expedited_threshold } else { &params.threshold };
    let passes = ratio_up(yes, spoke).is_some_and(|part| part > ratio(threshold));
    Outcome { passes, burns: false }
}

/// `a / b`, rounded up.
fn ratio_up(a: Amount, b: Amount) -> Option<Dec> {
    mul_div_up(a.units(), Dec::ONE.scaled(), b.units()).map(Dec::new)
}

/// As queries and proposals tell it.
pub(super) fn result(tally: &Tally) -> TallyResult {
    let Tally { yes, abstain, no, no_with_veto, bonded: _ } = tally;
    TallyResult {
        yes_count: yes.text(),
        abstain_count: abstain.text(),
        no_count: no.text(),
        no_with_veto_count: no_with_veto.text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governance::default_params;

    fn tally([yes, abstain, no, no_with_veto, bonded]: [u128; 5]) -> Tally {
        let [yes, abstain, no, no_with_veto, bonded] =
            [yes, abstain, no, no_with_veto, bonded].map(Amount::new);
        Tally { yes, abstain, no, no_with_veto, bonded }
    }

    #[test]
    fn edges_of_quorum_veto_and_threshold() {
        let params = Params { burn_vote_quorum: true, ..default_params() };
        let (passed, rejected, burned) = ((true, false), (false, false), (false, true));
        for (counts, expedited, wanted) in [
            ([0, 0, 0, 0, 0], false, rejected),
            // A quorum of 33.4% is met exactly, or missed by one.
            ([334, 0, 0, 0, 1_000], false, passed),
            ([333, 0, 0, 0, 1_000], false, burned),
            ([3_339_999_999_999_999_999, 0, 0, 0, 10_000_000_000_000_000_000], false, burned),
            // Nobody but those who abstain.
            ([0, 1_000, 0, 0, 1_000], false, rejected),
            // A veto of exactly 33.4% is none.
            ([666, 0, 0, 334, 1_000], false, passed),
            ([665, 0, 0, 335, 1_000], false, burned),
            ([1, 0, 0, 1, 2], false, burned),
            // Half is not more than half, of those who did not abstain.
            ([500, 0, 500, 0, 1_000], false, rejected),
            ([501, 0, 499, 0, 1_000], false, passed),
            ([2, 997, 1, 0, 1_000], false, passed),
            ([1, 998, 1, 0, 1_000], false, rejected),
            // In haste, more than 66.7%.
            ([667, 0, 333, 0, 1_000], true, rejected),
            ([668, 0, 332, 0, 1_000], true, passed),
            // The largest amounts.
            ([u128::MAX, 0, 0, 0, u128::MAX], false, passed),
            ([u128::MAX / 2, 0, u128::MAX / 2, 0, u128::MAX], false, rejected),
        ] {
            let Outcome { passes, burns } = decide(&tally(counts), &params, expedited);
            assert_eq!((passes, burns), wanted, "{counts:?} {expedited}");
        }
    }
}
