//! CometBFT's language of searches: `tx.height > 5 AND transfer.sender = 'xpl1...'`.

use std::cmp::Ordering;

/// Bytes of a query: CometBFT's own limit.
pub const QUERY_BYTES_MAX: usize = 512;

/// Why a query is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than [`QUERY_BYTES_MAX`].
    #[error("maximum query length exceeded")]
    Long,
    /// Something else stands where something is wanted.
    #[error("failed to parse query: offset {offset}: got {got}, wanted {wanted}")]
    Unexpected {
        /// Byte at which it stands.
        offset: usize,
        /// What stands there.
        got: String,
        /// What is wanted.
        wanted: &'static str,
    },
}

/// How a value is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It is this text.
    Is(String),
    /// It contains this text.
    Contains(String),
    /// Whatever it is.
    Exists,
    /// It is a number on these sides of another: below, equal, above.
    Number {
        /// The other, as it is written.
        than: String,
        /// Orders of the value and the other that hold.
        holds: &'static [Ordering],
    },
    /// It is a time on some side of another: no value of this chain's events is one.
    Time,
}

/// An attribute and what must hold of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `TYPE.KEY`.
    pub key: String,
    /// What must hold.
    pub test: Test,
}

/// Conditions that must hold together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query(pub Vec<Condition>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Number(String),
    Text(String),
    Time(String),
    Compare(&'static str),
    End,
}

impl Token {
    fn name(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Number(_) => "number".into(),
            Self::Text(_) => "string".into(),
            Self::Time(_) => "time".into(),
            Self::Compare(sign) => (*sign).into(),
            Self::End => "EOF".into(),
        }
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take_while(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !of(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// The next token and the byte at which it begins.
    fn next(&mut self) -> Result<(usize, Token), QueryError> {
        self.take_while(char::is_whitespace);
        let offset = self.at;
        let unexpected = |got: String, wanted| QueryError::Unexpected { offset, got, wanted };
        let Some(first) = self.rest().chars().next() else { return Ok((offset, Token::End)) };
        let token = if first.is_ascii_digit() {
            let whole = self.take_while(|c| c.is_ascii_digit());
            let mut number = whole.to_owned();
            if self.rest().starts_with('.') {
                self.at += 1;
                number.push('.');
                number.push_str(self.take_while(|c| c.is_ascii_digit()));
            }
            Token::Number(number)
        } else if first == '_' || first.is_alphanumeric() {
            let word = self.take_while(|c| matches!(c, '.' | '_' | '-') || c.is_alphanumeric());
            if matches!(word, "TIME" | "DATE") && self.rest().starts_with(' ') {
                self.at += 1;
                let digits = |c: char| c.is_ascii_digit() || c == '-';
                let is_time = word == "TIME";
                let text =
                    self.take_while(|c| digits(c) || is_time && matches!(c, 'T' | ':' | '+' | 'Z'));
                if text.is_empty() {
                    return Err(unexpected(word.into(), "a time"));
                }
                Token::Time(text.into())
            } else {
                Token::Word(word.into())
            }
        } else if first == '\'' {
            let Some((text, _)) = self.rest().get(1..).and_then(|rest| rest.split_once('\''))
            else {
                return Err(unexpected("an open string".into(), "a closing '"));
            };
            self.at += text.len() + 2;
            Token::Text(text.into())
        } else {
            let signs = ["<=", ">=", "<", ">", "="];
            let Some(sign) = signs.into_iter().find(|sign| self.rest().starts_with(sign)) else {
                return Err(unexpected(first.into(), "a key, a value or a comparison"));
            };
            self.at += sign.len();
            Token::Compare(sign)
        };
        Ok((offset, token))
    }
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// It is too long, or not in the language.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(QueryError::Long);
        }
        let mut scanner = Scanner { text, at: 0 };
        let mut conditions = Vec::new();
        loop {
            conditions.push(condition(&mut scanner)?);
            match scanner.next()? {
                (_, Token::End) => return Ok(Self(conditions)),
                (_, Token::Word(word)) if word == "AND" => {}
                (offset, token) => {
                    let (got, wanted) = (token.name(), "AND");
                    return Err(QueryError::Unexpected { offset, got, wanted });
                }
            }
        }
    }
}

fn condition(scanner: &mut Scanner<'_>) -> Result<Condition, QueryError> {
    let unexpected = |(offset, token): (usize, Token), wanted| {
        Err(QueryError::Unexpected { offset, got: token.name(), wanted })
    };
    let key = match scanner.next()? {
        (_, Token::Word(word)) if !matches!(&word[..], "AND" | "EXISTS" | "CONTAINS") => word,
        other => return unexpected(other, "a key"),
    };
    let sign = match scanner.next()? {
        (_, Token::Compare(sign)) => sign,
        (_, Token::Word(word)) if word == "EXISTS" => {
            return Ok(Condition { key, test: Test::Exists });
        }
        (_, Token::Word(word)) if word == "CONTAINS" => match scanner.next()? {
            (_, Token::Text(text)) => return Ok(Condition { key, test: Test::Contains(text) }),
            other => return unexpected(other, "a string"),
        },
        other => return unexpected(other, "a comparison, CONTAINS or EXISTS"),
    };
    let test = match (sign, scanner.next()?) {
        ("=", (_, Token::Text(text) | Token::Number(text) | Token::Time(text))) => Test::Is(text),
        ("=", other) => return unexpected(other, "a number, a time or a string"),
        (_, (_, Token::Time(_))) => Test::Time,
        (_, (_, Token::Number(than))) => {
            let holds: &[Ordering] = match sign {
                "<" => &[Ordering::Less],
                "<=" => &[Ordering::Less, Ordering::Equal],
                ">" => &[Ordering::Greater],
                _ => &[Ordering::Greater, Ordering::Equal],
            };
            Test::Number { than, holds }
        }
        (_, other) => return unexpected(other, "a number or a time"),
    };
    Ok(Condition { key, test })
}

/// Digits before and after the point, without those that say nothing; `None` for other text.
fn decimal(text: &str) -> Option<(&str, &str)> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!whole.is_empty() && digits(whole) && digits(part))
        .then(|| (whole.trim_start_matches('0'), part.trim_end_matches('0')))
}

fn compare(left: (&str, &str), right: (&str, &str)) -> Ordering {
    let length = left.0.len().cmp(&right.0.len());
    length.then_with(|| left.0.cmp(right.0)).then_with(|| left.1.cmp(right.1))
}

impl Test {
    /// Whether it holds of a value.
    pub fn holds(&self, value: &str) -> bool {
        match self {
            Self::Is(text) => text == value,
            Self::Contains(text) => value.contains(text),
            Self::Exists => true,
            Self::Number { than, holds } => decimal(value)
                .zip(decimal(than))
                .is_some_and(|(value, than)| holds.contains(&compare(value, than))),
            Self::Time => false,
        }
    }

    /// The whole numbers, from and to, for which it holds: of heights.
    pub fn heights(&self) -> (u64, u64) {
        const NONE: (u64, u64) = (u64::MAX, 0);
        let (than, holds): (&str, &[Ordering]) = match self {
            Self::Is(text) => (text, &[Ordering::Equal]),
            Self::Number { than, holds } => (than, holds),
            Self::Exists => return (0, u64::MAX),
            Self::Contains(_) | Self::Time => return NONE,
        };
        let Some((whole, part)) = decimal(than) else { return NONE };
        let whole: Option<u64> = if whole.is_empty() { Some(0) } else { whole.parse().ok() };
        // Beyond all heights: only what is below holds.
        let Some(whole) = whole else {
            return if holds.contains(&Ordering::Less) { (0, u64::MAX) } else { NONE };
        };
        let equal = holds.contains(&Ordering::Equal) && part.is_empty();
        if holds.contains(&Ordering::Greater) {
            whole.checked_add(u64::from(!equal)).map_or(NONE, |from| (from, u64::MAX))
        } else if holds.contains(&Ordering::Less) {
            if equal || !part.is_empty() {
                (0, whole)
            } else {
                whole.checked_sub(1).map_or(NONE, |to| (0, to))
            }
        } else if equal {
            (whole, whole)
        } else {
            NONE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let query = Query::parse(
            "tx.height>=5 AND transfer.sender = 'xpl1 AND x' AND a.b CONTAINS 'c' AND d.e EXISTS \
             AND f.g < 1.5 AND h.i > TIME 2013-05-03T14:45:00Z AND h.i = DATE 2013-05-03",
        )
        .unwrap();
        let tests: Vec<_> = query.0.iter().map(|condition| condition.test.clone()).collect();
        let number = |than: &str, holds| Test::Number { than: than.into(), holds };
        assert_eq!(
            tests,
            [
                number("5", &[Ordering::Greater, Ordering::Equal]),
                Test::Is("xpl1 AND x".into()),
                Test::Contains("c".into()),
                Test::Exists,
                number("1.5", &[Ordering::Less]),
                Test::Time,
                Test::Is("2013-05-03".into()),
            ]
        );
        assert_eq!(query.0[1].key, "transfer.sender");
    }

    #[test]
    fn what_is_no_query_is_refused_with_its_place() {
        for (text, offset) in [
            ("", 0),
            ("=", 0),
            ("5 = 5", 0),
            ("a.b", 3),
            ("a.b = ", 6),
            ("a.b > 'x'", 6),
            ("a.b = 'x", 6),
            ("a.b = 'x' OR c.d = 'y'", 10),
            ("a.b CONTAINS 5", 13),
            ("a.b ! 5", 4),
            ("AND = 5", 0),
            ("a.b > TIME x", 6),
        ] {
            match Query::parse(text) {
                Err(QueryError::Unexpected { offset: found, .. }) => {
                    assert_eq!(found, offset, "{text:?}");
                }
                other => panic!("{text:?}: {other:?}"),
            }
        }
        assert_eq!(Query::parse(&"a".repeat(QUERY_BYTES_MAX + 1)), Err(QueryError::Long));
    }

    #[test]
    fn numbers_are_compared_however_long_they_are() {
        let test = |text: &str| Query::parse(&format!("a.b {text}")).unwrap().0.remove(0).test;
        assert!(test("> 99").holds("100") && !test("> 100").holds("100"));
        assert!(test(">= 100").holds("0100.0") && test("< 0.25").holds("0.2"));
        assert!(
            test("> 340282366920938463463374607431768211456")
                .holds("340282366920938463463374607431768211457")
        );
        assert!(!test("> 1").holds("2uxpl") && !test("> 1").holds(""));
        assert!(!test("> TIME 2013-05-03T14:45:00Z").holds("2014-05-03T14:45:00Z"));
    }

    #[test]
    fn heights_are_a_range() {
        let range =
            |text: &str| Query::parse(&format!("tx.height {text}")).unwrap().0[0].test.heights();
        assert_eq!(range("= 5"), (5, 5));
        assert_eq!(range("= '5'"), (5, 5));
        assert_eq!(range("> 5"), (6, u64::MAX));
        assert_eq!(range(">= 5"), (5, u64::MAX));
        assert_eq!(range("< 5"), (0, 4));
        assert_eq!(range("<= 5"), (0, 5));
        assert_eq!(range("< 5.5"), (0, 5));
        assert_eq!(range("> 5.5"), (6, u64::MAX));
        assert_eq!(range("EXISTS"), (0, u64::MAX));
        for none in ["= 5.5", "= 'x'", "CONTAINS '5'", "< 0", "> 18446744073709551615"] {
            let (from, to) = range(none);
            assert!(from > to, "{none}");
        }
        assert_eq!(range("< 99999999999999999999"), (0, u64::MAX));
    }
}
