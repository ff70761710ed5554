//! Numbers as people write them: exact decimals, never floats.

use std::time::Duration;

pub use gpu_node::words::{XPL_DECIMALS, decimal, thousands, xpl, xpl_text};
use plasma_modules::Amount;

/// Longest number that is read, characters.
const DIGITS_MAX: usize = 64;

/// Reads an amount with its unit: `5xpl`, `1.5xpl`, `2500uxpl`; capital letters and a space before the
/// unit do not matter.
///
/// # Errors
/// Says what an amount looks like. More than six decimals of XPL are refused rather than rounded.
pub fn parse(text: &str) -> Result<Amount, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, decimals) = if let Some(number) = lower.strip_suffix("uxpl") {
        (number, 0)
    } else if let Some(number) = lower.strip_suffix("xpl") {
        (number, XPL_DECIMALS)
    } else if fixed(&lower, XPL_DECIMALS).is_ok() {
        return Err(format!("say the unit: {lower}xpl, or {lower}uxpl (1 XPL = 1000000 uxpl)"));
    } else {
        return Err(format!("{text:?} is no amount; it looks like 5xpl, 1.5xpl or 2500uxpl"));
    };
    fixed(number.trim_end(), decimals).map(Amount::new).map_err(|why| {
        format!("{text:?} is no amount: {why}; it looks like 5xpl, 1.5xpl or 2500uxpl")
    })
}

/// Reads a decimal number as a count of 10^-`decimals`: `1.5` with three decimals is 1500.
///
/// # Errors
/// Says what is wrong: not digits, too many decimals, or too large.
pub fn fixed(text: &str, decimals: u32) -> Result<u128, String> {
    if text.len() > DIGITS_MAX {
        return Err(format!("more than {DIGITS_MAX} characters"));
    }
    let (whole, part) = match text.split_once('.') {
        Some((_, "")) => return Err("nothing after the point".to_owned()),
        Some((whole, part)) => (whole, part),
        None => (text, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()) {
        return Err("not a decimal number".to_owned());
    }
    let missing = usize::try_from(decimals)
        .ok()
        .and_then(|decimals| decimals.checked_sub(part.len()))
        .ok_or_else(|| match decimals {
            0 => "it has no decimals".to_owned(),
            _ => format!("at most {decimals} decimals"),
        })?;
    let digits = format!("{whole}{part}{}", "0".repeat(missing));
    digits.parse().map_err(|_| "too large".to_owned())
}

/// Thousandths, for `--temperature` and `--top-p`: `0.7` is 700.
///
/// # Errors
/// Says what is wrong.
pub fn milli(text: &str) -> Result<u32, String> {
    let milli = fixed(text, 3)?;
    u32::try_from(milli).map_err(|_| "too large".to_owned())
}

/// Decimals of the fractions of staking and governance: integers scaled by 10^18.
const FRACTION_DECIMALS: u32 = 18;

/// Reads a part of a whole, `5%` or `0.05`, as the integer scaled by 10^18 that messages carry.
///
/// # Errors
/// Says what a part looks like. More than the whole is none.
pub fn fraction(text: &str) -> Result<u128, String> {
    let wrong = |why: String| format!("{text:?} is no part: {why}; it looks like 5% or 0.05");
    let scaled = match text.trim().strip_suffix('%') {
        Some(number) => fixed(number.trim_end(), FRACTION_DECIMALS - 2),
        None => fixed(text.trim(), FRACTION_DECIMALS),
    };
    match scaled {
        Ok(scaled) if scaled <= 10u128.pow(FRACTION_DECIMALS) => Ok(scaled),
        Ok(_) => Err(wrong("more than 100%".to_owned())),
        Err(why) => Err(wrong(why)),
    }
}

/// A part of a whole for people: `5%`, `0.334%`. Takes both forms of the chain: an integer scaled by
/// 10^18, and a decimal with a point. What is neither is shown as it is.
pub fn percent(text: &str) -> String {
    let scaled = match text.contains('.') {
        true => fixed(text, FRACTION_DECIMALS).ok(),
        false => text.parse().ok(),
    };
    let Some(scaled) = scaled else { return text.to_owned() };
    let unit = 10u128.pow(FRACTION_DECIMALS - 2);
    let part = format!("{:016}", scaled % unit);
    match part.trim_end_matches('0') {
        "" => format!("{}%", thousands(scaled / unit)),
        part => format!("{}.{part}%", thousands(scaled / unit)),
    }
}

/// How much of a whole a part is, with two decimals, rounded down: `33.33%`.
pub fn share(part: u128, whole: u128) -> String {
    let hundredths = part.saturating_mul(10_000).checked_div(whole).unwrap_or_default();
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// A part of a whole in hundredths of a percent, rounded: what moves all the time is not told to its last
/// digit. Takes an integer scaled by 10^18; what is none is shown as it is.
pub fn percent_rounded(scaled: &str) -> String {
    let Ok(scaled) = scaled.parse::<u128>() else { return scaled.to_owned() };
    let unit = 10u128.pow(FRACTION_DECIMALS - 4);
    let hundredths = scaled.saturating_add(unit / 2) / unit;
    format!("{}.{:02}%", thousands(hundredths / 100), hundredths % 100)
}

/// Whole units of an integer scaled by 10^18: what of a decimal coin can be paid.
pub fn whole(scaled: &str) -> Amount {
    let scaled: u128 = scaled.parse().unwrap_or_default();
    Amount::new(scaled / 10u128.pow(FRACTION_DECIMALS))
}

/// Reads a span of time: `90s`, `10m`, `2h`, `1d`.
///
/// # Errors
/// Says what a span looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no span of time; it looks like 90s, 10m, 2h or 1d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number = &text[..text.len() - unit.len_utf8()];
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// A span of time for people: `42s`, `3m 5s`, `2h 10m`.
pub fn span(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_moves_is_rounded() {
        for (scaled, text) in [
            ("49999993611049518", "5.00%"),
            ("0", "0.00%"),
            ("1234567890123456789", "123.46%"),
            ("49940000000000000", "4.99%"),
            ("x", "x"),
        ] {
            assert_eq!(percent_rounded(scaled), text);
        }
    }

    #[test]
    fn parts_of_a_whole_go_both_ways() {
        for (text, scaled, shown) in [
            ("5%", 50_000_000_000_000_000, "5%"),
            ("0.05", 50_000_000_000_000_000, "5%"),
            ("33.4 %", 334_000_000_000_000_000, "33.4%"),
            ("100%", 1_000_000_000_000_000_000, "100%"),
            ("0", 0, "0%"),
        ] {
            assert_eq!(fraction(text), Ok(scaled), "{text}");
            assert_eq!(percent(&scaled.to_string()), shown);
        }
        assert_eq!(percent("0.334000000000000000"), "33.4%");
        assert_eq!(percent("soon"), "soon");
        for bad in ["", "%", "101%", "1.5", "-1%", "5%%", "a half"] {
            assert!(fraction(bad).is_err(), "{bad}");
        }
        assert_eq!([share(1, 3), share(3, 3), share(1, 0)], ["33.33%", "100.00%", "0.00%"]);
    }

    #[test]
    fn amounts_are_exact() {
        for (text, units) in [
            ("5xpl", 5_000_000),
            ("1.5xpl", 1_500_000),
            ("1.5 XPL", 1_500_000),
            ("0.000001xpl", 1),
            ("2500uxpl", 2_500),
            ("0xpl", 0),
            ("340282366920938463463374607431768211455uxpl", u128::MAX),
        ] {
            assert_eq!(parse(text), Ok(Amount::new(units)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "xpl",
            "uxpl",
            "5",
            "1.5",
            ".5xpl",
            "5.xpl",
            "1.5uxpl",
            "0.0000001xpl",
            "-1xpl",
            "+1xpl",
            "1e3xpl",
            "1,000xpl",
            "0x10xpl",
            "5atom",
            "1 5xpl",
            "1.2.3xpl",
            "340282366920938463463374607431768211456uxpl",
            "340282366920938463463374607431768211455xpl",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("5").unwrap_err().contains("5xpl"));
    }

    #[test]
    fn people_read_amounts() {
        assert_eq!(xpl(Amount::new(5_000_000)), "5 XPL");
        assert_eq!(xpl(Amount::new(12_345_678_901)), "12,345.678901 XPL");
        assert_eq!(xpl(Amount::new(1)), "0.000001 XPL");
        assert_eq!(xpl_text(""), "0 XPL");
        assert_eq!(xpl_text("20000"), "0.02 XPL");
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        for text in ["", "10", "m", "1.5h", "-1s", "99999999999999999999s", "5é"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(
            [span(42), span(185), span(7_800), span(90_000)],
            ["42s", "3m 5s", "2h 10m", "1d 1h"]
        );
        assert_eq!(milli("0.7"), Ok(700));
        assert!(milli("0.7001").is_err());
    }

    proptest! {
        #[test]
        fn an_amount_reads_back(units: u128) {
            let amount = Amount::new(units);
            prop_assert_eq!(parse(&format!("{units}uxpl")), Ok(amount));
            let people = xpl(amount).replace(',', "");
            prop_assert_eq!(parse(&people), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = parse(&text);
            let _ = duration(&text);
            let _ = milli(&text);
        }
    }
}
