//! Seconds since 1970 as a date.

use alloc::{format, string::String};

/// First second of year 1.
const FIRST_S: i64 = -62_135_596_800;

/// Last second of year 9999.
pub const LAST_S: i64 = 253_402_300_799;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// A time in UTC by RFC 3339, its fraction without trailing zeros, as Go's `RFC3339Nano` writes it.
/// `None` outside of the years 1 to 9999, or where `nanos` are none.
pub fn rfc3339(seconds: i64, nanos: i64) -> Option<String> {
    if !(FIRST_S..=LAST_S).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return None;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days)?;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let fraction = format!(".{nanos:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// Year, month and day of a day counted from 1970-01-01. Years begin in March, so that a leap day
/// is the last of its year; 146,097 days are 400 years.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(DAYS_TO_EPOCH)?;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = (of_era / 1_460).checked_sub(of_era / 36_524)?.checked_add(of_era / 146_096)?;
    let year_of_era = of_era.checked_sub(leaps)? / 365;
    let before = year_of_era
        .checked_mul(365)?
        .checked_add(year_of_era / 4)?
        .checked_sub(year_of_era / 100)?;
    let of_year = of_era.checked_sub(before)?;
    let from_march = of_year.checked_mul(5)?.checked_add(2)? / 153;
    let day =
        of_year.checked_sub(from_march.checked_mul(153)?.checked_add(2)? / 5)?.checked_add(1)?;
    let month =
        if from_march < 10 { from_march.checked_add(3)? } else { from_march.checked_sub(9)? };
    let year = era.checked_mul(400)?.checked_add(year_of_era)?;
    Some((if month <= 2 { year.checked_add(1)? } else { year }, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_writes_them() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (951_782_400, 120_000_000, "2000-02-29T00:00:00.12Z"),
            (1_735_689_600, 1, "2025-01-01T00:00:00.000000001Z"),
            (-1, 0, "1969-12-31T23:59:59Z"),
            (FIRST_S, 0, "0001-01-01T00:00:00Z"),
            (LAST_S, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
            (4_107_542_400, 500, "2100-03-01T00:00:00.0000005Z"),
        ] {
            assert_eq!(rfc3339(seconds, nanos).as_deref(), Some(text));
        }
        for (seconds, nanos) in [(FIRST_S - 1, 0), (LAST_S + 1, 0), (0, -1), (0, 1_000_000_000)] {
            assert_eq!(rfc3339(seconds, nanos), None);
        }
    }
}
