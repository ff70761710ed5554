use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use crate::store::Key;

/// A token's name, for example `uxpl`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denom(Cow<'static, str>);

/// The chain's own coin, whose name is never allocated.
const UXPL: &str = "uxpl";

impl Denom {
    /// Longest name allowed; it fits the one-byte length in a key.
    pub const LEN_MAX: usize = 128;

    /// The chain's coin, in its smallest unit: 10^6 uxpl are 1 XPL.
    pub fn uxpl() -> Self {
        Self(Cow::Borrowed(UXPL))
    }

    /// Accepts 3 to 128 characters: a letter, then letters, digits or one of `/:._-` (the Cosmos
    /// SDK's rule).
    pub fn new(name: &str) -> Option<Self> {
        let fits = (3..=Self::LEN_MAX).contains(&name.len());
        let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/:._-".contains(&b));
        let name = || if name == UXPL { Cow::Borrowed(UXPL) } else { Cow::Owned(name.into()) };
        (fits && starts && plain).then(|| Self(name()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Denom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Key for Denom {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.0.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let (len, rest) = bytes.split_first()?;
        let (head, tail) = rest.split_at_checked(usize::from(*len))?;
        *bytes = tail;
        Self::new(core::str::from_utf8(head).ok()?)
    }
}
