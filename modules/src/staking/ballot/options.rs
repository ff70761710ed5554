use alloc::{collections::BTreeSet, vec::Vec};

use plasma_proto::cosmos::gov::v1::{Vote, VoteOption, WeightedVoteOption};

use crate::{Dec, error::fault};

/// What an account chose: options that differ, with weights above 0 that sum to 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options(Vec<(VoteOption, Dec)>);

impl Options {
    /// Reads the options of a message.
    ///
    /// # Errors
    /// What is wrong with them, for people.
    pub fn new(parts: &[(i32, Dec)]) -> Result<Self, &'static str> {
        let mut seen = BTreeSet::new();
        let mut sum = Dec::ZERO;
        let mut read = Vec::with_capacity(parts.len());
        for (option, weight) in parts {
            let option = VoteOption::try_from(*option).unwrap_or(VoteOption::Unspecified);
            if option == VoteOption::Unspecified {
                return Err("an option is none of yes, abstain, no, no with veto");
            }
            if !seen.insert(option) {
                return Err("duplicated vote option");
            }
            if *weight == Dec::ZERO {
                return Err("a weight is zero");
            }
            sum = sum.plus(*weight).ok_or("total weight overflow 1.00")?;
            read.push((option, *weight));
        }
        if sum > Dec::ONE {
            return Err("total weight overflow 1.00");
        }
        if sum < Dec::ONE {
            return Err("total weight lower than 1.00");
        }
        Ok(Self(read))
    }

    /// Each option with its weight, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (VoteOption, Dec)> + '_ {
        self.0.iter().copied()
    }

    /// As in a vote, weights with a point and 18 decimals.
    pub fn to_proto(&self) -> Vec<WeightedVoteOption> {
        let part = |(option, weight): (VoteOption, Dec)| WeightedVoteOption {
            option: option.into(),
            weight: weight.point(),
        };
        self.iter().map(part).collect()
    }

    /// Reads a vote's options; `None` for what no ballot has taken.
    pub fn of(vote: &Vote) -> Option<Self> {
        let part = |part: &WeightedVoteOption| Some((part.option, Dec::parse_point(&part.weight)?));
        let parts: Option<Vec<_>> = vote.options.iter().map(part).collect();
        Self::new(&parts?).ok()
    }

    /// Reads a stored vote's options.
    pub(super) fn stored(vote: &Vote) -> Self {
        Self::of(vote).unwrap_or_else(|| fault("a bad vote", vote.voter.as_bytes()))
    }
}
