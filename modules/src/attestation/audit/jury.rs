//! Who checks a claim: distinct operators, drawn by their bonds.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{
    Address, Amount,
    types::{Hash, digest},
};

/// The most that one operator weighs, percent of the whole pool.
const WEIGHT_MAX_PERCENT: u128 = 20;

/// What each member weighs, as its bond, but none above a fifth of what all bonds sum to.
pub fn weights(members: &[(Address, Amount)]) -> Vec<(Address, u128)> {
    let whole = members.iter().fold(0u128, |sum, (_, bond)| sum.saturating_add(bond.units()));
    let most = whole.saturating_mul(WEIGHT_MAX_PERCENT).div_ceil(100).max(1);
    members.iter().map(|(operator, bond)| (*operator, bond.units().clamp(1, most))).collect()
}

/// Draws `seats` distinct members by their [`weights`]. `None` if there are fewer. The order of `members` is part of what is agreed on.
pub fn draw(
    beacon: &Hash,
    audit: u64,
    members: &[(Address, Amount)],
    seats: usize,
) -> Option<Vec<Address>> {
    let distinct: BTreeSet<_> = members.iter().map(|(operator, _)| *operator).collect();
    if distinct.len() != members.len() || members.len() < seats {
        return None;
    }
    let mut left = weights(members);
    let mut jury = Vec::with_capacity(seats);
    for seat in 0..u64::try_from(seats).ok()? {
        let total = left.iter().fold(0u128, |sum, (_, weight)| sum.saturating_add(*weight));
        let hash = digest(&[b"xpl/jury/v1", beacon, &audit.to_be_bytes(), &seat.to_be_bytes()]);
        let head = hash.first_chunk().map_or(0, |head| u128::from_be_bytes(*head));
        let mut point = head.checked_rem(total)?;
        let at = left.iter().position(|(_, weight)| match point.checked_sub(*weight) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })?;
        jury.push(left.remove(at).0);
    }
    Some(jury)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(bonds: &[u128]) -> Vec<(Address, Amount)> {
        let member = |(at, bond): (usize, &u128)| (Address([at as u8; 20]), Amount::new(*bond));
        bonds.iter().enumerate().map(member).collect()
    }

    #[test]
    fn a_jury_is_distinct_and_repeatable() {
        let pool = pool(&[100; 30]);
        for audit in 0..200 {
            let jury = draw(&[7; 32], audit, &pool, 7).unwrap();
            let distinct: BTreeSet<_> = jury.iter().collect();
            assert_eq!(distinct.len(), 7);
            assert_eq!(draw(&[7; 32], audit, &pool, 7).unwrap(), jury);
        }
        assert_ne!(draw(&[7; 32], 1, &pool, 7), draw(&[8; 32], 1, &pool, 7));
        assert!(draw(&[7; 32], 1, &pool[..6], 7).is_none());
        assert!(draw(&[7; 32], 1, &[pool[0], pool[0]], 1).is_none());
    }

    #[test]
    fn twice_the_bond_is_drawn_twice_as_often_up_to_a_fifth() {
        let mut bonds = [100u128; 20];
        bonds[0] = 200;
        // As large as all others: weighs a fifth of the whole.
        bonds[1] = 2_100;
        let pool = pool(&bonds);
        let mut drawn = [0u32; 20];
        for audit in 0..20_000 {
            let one = draw(&[3; 32], audit, &pool, 1).unwrap()[0];
            drawn[usize::from(one.0[0])] += 1;
        }
        // Weights: 840 for the largest, 200, and 18 times 100.
        let share = |count: u32| count * 1_000 / 20_000;
        assert!((275..=315).contains(&share(drawn[1])), "{drawn:?}");
        assert!((60..=81).contains(&share(drawn[0])), "{drawn:?}");
        assert!((26..=45).contains(&share(drawn[5])), "{drawn:?}");
    }

    /// A seat goes by the first 16 bytes, be128, of sha256 of (0000000b "xpl/jury/v1", 00000020 beacon, 00000008
    /// audit id be64, 00000008 seat be64), mod the weights of those who are left, in their order. Computed apart.
    #[test]
    fn juries_are_golden() {
        let drawn = |audit, bonds: &[u128], seats| {
            let jury = draw(&[7; 32], audit, &pool(bonds), seats).unwrap();
            jury.iter().map(|juror| juror.0[0]).collect::<Vec<_>>()
        };
        let rising: Vec<u128> = (1..=10).map(|at| 100 * at).collect();
        assert_eq!(drawn(3, &rising, 7), [1, 6, 7, 5, 9, 3, 2]);
        let rich = [100, 100, 100, 100, 100, 100, 100, 100, 100, 5_000];
        assert_eq!(drawn(4, &rich, 5), [7, 9, 8, 1, 5], "none weighs more than a fifth");
    }
}
