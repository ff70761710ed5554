//! Which claims are audited: the lot that 32 beacons draw.

use crate::types::{Hash, digest};

/// Beacons that may select a claim: of the second to the thirty-third block after its own, so that a
/// coalition which proposes two blocks of its choice does not escape.
pub const BEACONS: usize = 32;

/// First of these blocks, counted from the claim's.
pub const FIRST_BLOCK: u64 = 2;

/// For each percent a of claims that are to be audited, the chance of each beacon in 2^-64,
/// `1 - (1 - a)^(1/32)` rounded up; the last stands for certainty.
const CHANCES: [u64; 101] = [
    0x0000000000000000,
    0x001494716f2f6254,
    0x00295cb1b454766f,
    0x003e59cc94edd20d,
    0x00538cd61315c698,
    0x0068f6eac520ae77,
    0x007e993031d6785e,
    0x009474d53192b60d,
    0x00aa8b12549c1fbe,
    0x00c0dd2a4f0aa739,
    0x00d76c6a6a99eab7,
    0x00ee3a2afecd2560,
    0x010547cfefd1b161,
    0x011c96c93495df4b,
    0x013428936493631b,
    0x014bfeb84dd6f60f,
    0x01641acf93da25cb,
    0x017c7e7f57d0b7cf,
    0x01952b7ceb18aa14,
    0x01ae238d8c8ad0b7,
    0x01c76887317a8306,
    0x01e0fc515b44e254,
    0x01fae0e5fa643398,
    0x021518526011bfe7,
    0x022fa4b83f98f505,
    0x024a884ec0995431,
    0x0265c563a39270ea,
    0x02815e5c7a362d52,
    0x029d55b7f521ebe7,
    0x02b9ae0f48c80b09,
    0x02d66a17ab803239,
    0x02f38ca3eee75b93,
    0x031118a636f0c292,
    0x032f1131d147c3c7,
    0x034d797d2fe92476,
    0x036c54e40a2935b3,
    0x038ba6e9a7b504f5,
    0x03ab733b5980ad71,
    0x03cbbdb325057ac4,
    0x03ec8a5aa6b1c1cf,
    0x040ddd6e30fc4a24,
    0x042fbb602e305f18,
    0x045228dccbc11892,
    0x04752acdf6c5986d,
    0x0498c65fb230ee4d,
    0x04bd0104d06be169,
    0x04e1e07c1b32b6fd,
    0x05076ad5f603ee59,
    0x052da67a890ee178,
    0x05549a308473db1a,
    0x057c4d248dd5fcc6,
    0x05a4c6f16cc80d1f,
    0x05ce0fa90d909baf,
    0x05f82fde7533f2f0,
    0x062330b0c5bb8518,
    0x064f1bd77670a789,
    0x067bfbafe95804ca,
    0x06a9db4c8dd901a4,
    0x06d8c685c857c111,
    0x0708ca0cdfe61fac,
    0x0739f3813e6575c2,
    0x076c51885ceb509b,
    0x079ff3e8c67d805b,
    0x07d4eba8aef08d94,
    0x080b4b30b3b84856,
    0x0843267379e31a5f,
    0x087c931b00acfe32,
    0x08b7a8bcace832f0,
    0x08f4811549489b06,
    0x0933384e7d8c7a68,
    0x0973ed4f96b15089,
    0x09b6c21bea6c98dd,
    0x09fbdc41af7efbc1,
    0x0a43655cdd662697,
    0x0a8d8bb296807362,
    0x0ada82eadb7933d4,
    0x0b2a84efe958cdb6,
    0x0b7dd2fcd41689f2,
    0x0bd4b6e7e6af3fb9,
    0x0c2f84b96279b606,
    0x0c8e9ca4dd042aac,
    0x0cf26d83709e1b70,
    0x0d5b77f856cb73c6,
    0x0dca527a17f3c228,
    0x0e3fae931434f830,
    0x0ebc5fd16c1dc8d5,
    0x0f41651816e3b059,
    0x0fcff55ee81fe32b,
    0x1069918601446be8,
    0x11101de0a9348df6,
    0x11c607dda28d5b99,
    0x128e7f70834c5056,
    0x136dd22b030c5c7d,
    0x146a02fd5b8de8f7,
    0x158bd6be5b75d302,
    0x16e0d593f2cc2667,
    0x187f8b281e91692f,
    0x1a91f2770a1cb968,
    0x1d75756ba00263ae,
    0x2250297faa6e9f98,
    0xffffffffffffffff,
];

/// Whether one of the beacons selects the claim; `rate_bps` of claims are selected, rounded up to whole
/// percents.
pub fn selects(beacons: &[Hash], claim: u64, rate_bps: u32) -> bool {
    let percent = usize::try_from(rate_bps.div_ceil(100)).unwrap_or(usize::MAX);
    let Some(chance) = CHANCES.get(percent).filter(|_| percent < 100) else { return true };
    beacons.iter().any(|beacon| number(beacon, claim) < *chance)
}

fn number(beacon: &Hash, claim: u64) -> u64 {
    let hash = digest(&[b"xpl/audit/v1", beacon, &claim.to_be_bytes()]);
    hash.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn beacons(seed: u64) -> Vec<Hash> {
        (0..BEACONS as u64)
            .map(|at| digest(&[b"beacon", &seed.to_be_bytes(), &at.to_be_bytes()]))
            .collect()
    }

    /// `(1 - p)^beacons`, that none of so many selects, in integers of 2^-64.
    fn escapes(chance: u64, beacons: usize) -> u128 {
        let stays = (1u128 << 64) - u128::from(chance);
        (0..beacons).fold(1u128 << 64, |all, _| ((all >> 1) * stays) >> 63)
    }

    /// `(1 - p)^32 = 1 - a`.
    #[test]
    fn the_chances_are_the_formulas() {
        for (percent, chance) in CHANCES.iter().enumerate().take(100) {
            let all = escapes(*chance, BEACONS);
            let wanted = (1u128 << 64) / 100 * (100 - percent as u128);
            assert!(all.abs_diff(wanted) < 1 << 14, "{percent}: {all:x} {wanted:x}");
        }
        assert!(CHANCES.is_sorted_by(|less, more| less < more));
    }

    #[test]
    fn so_many_are_selected_as_the_rate_says() {
        for (rate_bps, least, most) in [(1_000, 430, 570), (5_000, 2_400, 2_600), (0, 0, 0)] {
            let found = (0..5_000).filter(|claim| selects(&beacons(*claim), *claim, rate_bps));
            let count = found.count();
            assert!((least..=most).contains(&count), "{rate_bps}: {count}");
        }
        assert!((0..1_000).all(|claim| selects(&[], claim, 10_000)));
        assert!((0..1_000).all(|claim| selects(&[], claim, 9_901)), "rounded up");
    }

    /// The first eight bytes, be64, of sha256 of (0000000c "xpl/audit/v1", 00000020 beacon, 00000008 claim be64),
    /// computed apart.
    #[test]
    fn what_a_beacon_draws_for_a_claim_is_golden() {
        let found = [(5, 7), (5, 8), (6, 7)].map(|(beacon, claim)| number(&[beacon; 32], claim));
        assert_eq!(found, [0x4079fcf5071fb1b3, 0x63cf70f71743f04f, 0xa4640f4bcc1db42e]);
    }

    /// What a coalition leaves of the beacons: it proposes the blocks at `own`, knows each of these beacons before
    /// anybody else, and proposes nothing where its beacon would select the claim. Another proposer's beacon in its
    /// place could only select more.
    fn left_by_coalition(all: &[Hash], own: &[usize], claim: u64, rate_bps: u32) -> Vec<Hash> {
        let goes = |at: &usize| !own.contains(at) || !selects(&[all[*at]], claim, rate_bps);
        (0..all.len()).filter(goes).map(|at| all[at]).collect()
    }

    /// A coalition of k of the 32 proposers escapes the lot no more often than `(1 - p)^(32 - k)`, wherever its
    /// blocks are: the others' beacons select whatever it withholds.
    #[test]
    fn who_withholds_beacons_escapes_no_more_often_than_the_others_let_it() {
        const CLAIMS: u64 = 20_000;
        let all: Vec<_> = (0..CLAIMS).map(beacons).collect();
        for own in [&[31][..], &[0, 31], &[0, 1, 2, 3], &[3, 7, 11, 15, 19, 23, 27, 31]] {
            let selected = (0u64..).zip(&all).filter(|(claim, all)| {
                selects(&left_by_coalition(all, own, *claim, 1_000), *claim, 1_000)
            });
            let found = u128::try_from(selected.count()).unwrap();
            let chance = (1u128 << 64) - escapes(CHANCES[10], BEACONS - own.len());
            let wanted = (u128::from(CLAIMS) * chance) >> 64;
            // Four standard deviations of so many draws, of which fewer than `wanted` are hits.
            assert!(found.abs_diff(wanted) <= 4 * wanted.isqrt(), "{own:?}: {found}, not {wanted}");
        }
    }

    #[test]
    fn of_who_is_audited_always_nothing_escapes_whatever_is_withheld() {
        let everything: Vec<usize> = (0..BEACONS).collect();
        for claim in 0..1_000 {
            let left = left_by_coalition(&beacons(claim), &everything, claim, 10_000);
            assert!(left.is_empty() && selects(&left, claim, 10_000));
        }
    }
}
