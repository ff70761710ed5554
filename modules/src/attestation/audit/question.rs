//! Whether a juror has looked: all answer one question that only the model can.
//!
//! When jurors begin, the block's beacon draws rows of the output and a matrix of signs. Each juror computes these rows
//! itself, over the prompt and the claimed tokens, and tells their projections beside its verdict, unseen by the others. Whether the claim is
//! honest does not matter for that: the tokens are what they are. Those who read them with the model come to nearly the same numbers.

use alloc::vec::Vec;

use plasma_proto::plasma::attestation::v1::{Audit, Seat};

use super::state::numbers_of;
use crate::{
    attestation::PROJECTIONS,
    types::{Hash, digest},
};

/// Rows that a question asks for.
pub const ANSWER_ROWS: usize = 4;
/// Numbers of an answer: each row's projections.
const NUMBERS: usize = ANSWER_ROWS * PROJECTIONS;
/// An answer: f16 as be16, row by row.
pub const ANSWER_BYTES: usize = 2 * NUMBERS;

/// The exponent of an f16: all ones are infinities and NaNs.
const F16_EXPONENT: u16 = 0x7c00;

/// The question of a jury: the seed of the signs, and of the rows.
pub fn question(beacon: &Hash, audit_id: u64, round: u32) -> Hash {
    digest(&[b"xpl/question/v1", beacon, &audit_id.to_be_bytes(), &round.to_be_bytes()])
}

/// The rows of an output of `n_out` tokens that a question asks for, with repetitions; none of an empty one.
pub fn rows(question: &Hash, n_out: u32) -> Vec<u32> {
    let draws = question.as_chunks::<8>().0.iter().map(|bytes| u64::from_be_bytes(*bytes));
    let row = |draw: u64| u32::try_from(draw.checked_rem(n_out.into())?).ok();
    draws.take(ANSWER_ROWS).filter_map(row).collect()
}

/// Whether these bytes can be an answer: finite numbers.
pub fn is_answer(bytes: &[u8]) -> bool {
    read(bytes).is_some()
}

/// The numbers of an answer in units of 2^-24, which hold every f16.
fn read(bytes: &[u8]) -> Option<[i64; NUMBERS]> {
    let (numbers, odd) = bytes.as_chunks::<2>();
    if numbers.len() != NUMBERS || !odd.is_empty() {
        return None;
    }
    let mut answer = [0; NUMBERS];
    for (number, bytes) in answer.iter_mut().zip(numbers) {
        *number = fixed(u16::from_be_bytes(*bytes))?;
    }
    Some(answer)
}

/// A finite f16 in units of 2^-24.
fn fixed(bits: u16) -> Option<i64> {
    let exponent = u32::from(bits & F16_EXPONENT) >> 10;
    let mantissa = i64::from(bits & 0x03ff);
    let size = match exponent {
        0 => mantissa,
        31 => return None,
        _ => mantissa.saturating_add(1_024).checked_shl(exponent.saturating_sub(1))?,
    };
    Some(if bits & 0x8000 == 0 { size } else { size.saturating_neg() })
}

/// Of each number the lower median.
fn median(answers: &[[i64; NUMBERS]]) -> [i64; NUMBERS] {
    let mut median = [0; NUMBERS];
    for (at, middle) in median.iter_mut().enumerate() {
        let mut numbers: Vec<i64> =
            answers.iter().filter_map(|answer| answer.get(at).copied()).collect();
        numbers.sort_unstable();
        let half = numbers.len().saturating_sub(1) / 2;
        *middle = numbers.get(half).copied().unwrap_or_default();
    }
    median
}

fn square(numbers: impl Iterator<Item = u64>) -> u128 {
    numbers
        .map(|number| u128::from(number).saturating_mul(number.into()))
        .fold(0, u128::saturating_add)
}

/// Whether an answer is no further from the middle than `near_ppm` of the middle's length.
fn is_near(answer: &[i64; NUMBERS], middle: &[i64; NUMBERS], near_ppm: u32) -> bool {
    let apart = square(answer.iter().zip(middle).map(|(one, other)| one.abs_diff(*other)));
    let length = square(middle.iter().map(|number| number.unsigned_abs()));
    let near = u128::from(near_ppm).saturating_mul(near_ppm.into());
    length != 0 && apart.saturating_mul(1_000_000_000_000) <= near.saturating_mul(length)
}

/// Marks the seats of the round under way whose verdict is not that of one who looked: no answer, or one far from the
/// middle of all, where so many as decide are near it. Where they are not, nobody knows who looked, and nobody is marked.
pub(super) fn mark(audit: &mut Audit, threshold: u32) {
    let (near_ppm, round) = (numbers_of(audit).answer_near_ppm, audit.round);
    let answer = |seat: &Seat| seat.verdict.as_ref().and_then(|verdict| read(&verdict.answer));
    let spoke = |seat: &Seat| seat.round == round && seat.verdict.is_some();
    let answers: Vec<_> =
        audit.seats.iter().filter(|seat| spoke(seat)).filter_map(answer).collect();
    let middle = median(&answers);
    let near = answers.iter().filter(|answer| is_near(answer, &middle, near_ppm)).count();
    if u32::try_from(near).is_ok_and(|near| near < threshold) {
        return;
    }
    for seat in audit.seats.iter_mut().filter(|seat| spoke(seat)) {
        seat.has_not_looked =
            !answer(seat).is_some_and(|answer| is_near(&answer, &middle, near_ppm));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{attestation::audit::default_params, types::hex};
    use plasma_proto::plasma::attestation::v1::Verdict;

    fn bytes(numbers: impl IntoIterator<Item = u16>) -> Vec<u8> {
        numbers.into_iter().flat_map(u16::to_be_bytes).collect()
    }

    /// 1,024 times the number, as f16 that are whole numbers from 1,024 to 2,047.
    fn answer(of: impl Fn(u16) -> u16) -> Vec<u8> {
        bytes((0..NUMBERS as u16).map(|at| 0x6400 | of(at) & 0x3ff))
    }

    fn marked(answers: &[Option<Vec<u8>>], threshold: u32) -> Vec<bool> {
        let seats = answers.iter().map(|answer| Seat {
            verdict: answer.clone().map(|answer| Verdict { answer, ..Verdict::default() }),
            ..Seat::default()
        });
        let params = Some(default_params());
        let mut audit = Audit { seats: seats.collect(), params, ..Audit::default() };
        audit.seats.push(Seat { round: 1, verdict: Some(Verdict::default()), ..Seat::default() });
        mark(&mut audit, threshold);
        assert!(!audit.seats.pop().unwrap().has_not_looked, "another round");
        audit.seats.iter().map(|seat| seat.has_not_looked).collect()
    }

    #[test]
    fn every_finite_f16_is_read_as_it_is() {
        assert_eq!(fixed(0x3c00), Some(1 << 24));
        assert_eq!(fixed(0xbc00), Some(-(1 << 24)));
        assert_eq!((fixed(0x0001), fixed(0x8001), fixed(0x8000)), (Some(1), Some(-1), Some(0)));
        assert_eq!(fixed(0x0400), Some(1 << 10), "the smallest normal one");
        assert_eq!(fixed(0x7bff), Some(65_504 << 24));
        assert_eq!((fixed(0x7c00), fixed(0xffff)), (None, None));
        let good = bytes([0x7bff; NUMBERS]);
        assert!(is_answer(&good) && !is_answer(&good[2..]) && !is_answer(&[]));
        assert!(!is_answer(&bytes([0x7c00; NUMBERS])));
        // The largest that there are, as far apart as they can be, are no overflow.
        let (high, low) = (read(&good).unwrap(), read(&bytes([0xfbff; NUMBERS])).unwrap());
        assert!(is_near(&high, &high, 1) && !is_near(&low, &high, 1_000_000));
    }

    /// sha256 of (0000000f "xpl/question/v1", 00000020 beacon, 00000008 audit id be64, 00000004 round be32),
    /// computed apart; row i is drawn by its bytes 8i to 8i+7, be64, mod the length of the output.
    #[test]
    fn questions_and_their_rows_are_golden() {
        let found = [0, 1].map(|round| question(&[7; 32], 3, round));
        assert_eq!(
            found.map(|asked| hex(&asked)),
            [
                "0bb9a84db4c09febf176cef143a56020e294c45054f48637d5b305c9a3bf0e4a",
                "93c707c587b17f52ccb88e49701b7d6b9bae8baaf33ab9d8a0551981ac6165a4",
            ]
        );
        assert_eq!(found.map(|asked| rows(&asked, 40)), [[27, 16, 7, 10], [26, 19, 0, 28]]);
        assert_eq!(
            rows(&found[0], u32::MAX),
            [3_229_239_352, 891_039_506, 931_744_392, 2_037_519_380]
        );
    }

    /// 64 bytes: f16 as be16, the eight projections of the question's first row, then those of the next.
    #[test]
    fn an_answer_is_read_row_by_row() {
        let mut bytes = [0; ANSWER_BYTES];
        assert_eq!((bytes.len(), ANSWER_ROWS, PROJECTIONS), (64, 4, 8));
        // 1 is the first number of the first row, -2 its last, 0.5 begins the second, 65,504 ends the fourth.
        for (at, number) in [(0, [0x3c, 0]), (14, [0xc0, 0]), (16, [0x38, 0]), (62, [0x7b, 0xff])] {
            bytes[at..at + 2].copy_from_slice(&number);
        }
        let mut wanted = [0; NUMBERS];
        (wanted[0], wanted[7], wanted[8], wanted[31]) = (1 << 24, -2 << 24, 1 << 23, 65_504 << 24);
        assert_eq!(read(&bytes), Some(wanted));
    }

    #[test]
    fn rows_are_of_the_output() {
        let asked = question(&[7; 32], 3, 0);
        assert_ne!(asked, question(&[7; 32], 3, 1));
        assert_eq!(rows(&asked, 0), []);
        assert_eq!(rows(&asked, 1), [0; 4]);
        assert!(rows(&asked, 40).iter().all(|row| *row < 40) && rows(&asked, 40).len() == 4);
    }

    #[test]
    fn who_is_far_from_those_who_looked_has_not() {
        let looked = |noise: u16| Some(answer(|at| at * 7 + noise));
        let other = || Some(answer(|at| 900 - at * 20));
        let none = || Some(Vec::new());
        assert_eq!(
            marked(&[looked(0), looked(9), looked(3), other(), none(), None], 3),
            [false, false, false, true, true, false]
        );
        // Too few agree: nobody knows.
        assert_eq!(marked(&[looked(0), looked(9), other(), none(), None], 3), [false; 5]);
        // Who guesses nothing at all is in no position to say so of others.
        let zero = || Some(bytes([0; NUMBERS]));
        assert_eq!(marked(&[zero(), zero(), zero(), looked(0)], 3), [false; 4]);
        // A fifth of the length: near; a little more: not.
        let one = read(&answer(|_| 0)).unwrap();
        let off = |by: u16| read(&answer(|_| by)).unwrap();
        assert!(is_near(&off(204), &one, 200_000) && !is_near(&off(205), &one, 200_000));
    }
}
