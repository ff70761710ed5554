use alloc::{format, vec::Vec};
use core::fmt;

use plasma_proto::plasma::genesis::v1::UsedTimeout;
use prost_types::Timestamp;

use super::state::TIMEOUTS;
use crate::{Address, Key, Read, Sdk, Write, tx};

/// The last time of a block that may hold a transaction. Ordered as times are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeout {
    seconds: u64,
    nanos: u32,
}

impl Timeout {
    /// Reads a time from 1970 to the year 9999.
    pub fn new(time: &Timestamp) -> Result<Self, Sdk> {
        let Timestamp { seconds, nanos } = *time;
        let in_years = seconds <= tx::TIME_LAST_S;
        match (u64::try_from(seconds), u32::try_from(nanos)) {
            (Ok(seconds), Ok(nanos)) if in_years && nanos < 1_000_000_000 => {
                Ok(Self { seconds, nanos })
            }
            _ => {
                let text = format!("timeout_timestamp {seconds} s {nanos} ns is no time");
                Err(Sdk::InvalidRequest(text))
            }
        }
    }

    /// As protobuf.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp {
            seconds: i64::try_from(self.seconds).unwrap_or(i64::MAX),
            nanos: i32::try_from(self.nanos).unwrap_or_default(),
        }
    }

    /// Whether a block of that time comes too late.
    pub fn has_passed(&self, time_s: u64) -> bool {
        self.seconds < time_s
    }

    /// Whether it is at most `seconds` after a time.
    pub fn is_within(&self, time_s: u64, seconds: u64) -> bool {
        *self <= Self { seconds: time_s.saturating_add(seconds), nanos: 0 }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timestamp { seconds, nanos } = self.timestamp();
        f.write_str(&tx::rfc3339(seconds, nanos.into()).unwrap_or_default())
    }
}

impl Key for Timeout {
    fn put(&self, out: &mut Vec<u8>) {
        (self.seconds, self.nanos).put(out);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        <(u64, u32)>::take(bytes).map(|(seconds, nanos)| Self { seconds, nanos })
    }
}

/// Whether an account has sent an unordered transaction with this timeout.
pub fn has_used(store: &dyn Read, address: Address, timeout: Timeout) -> bool {
    TIMEOUTS.has(store, &(timeout, address))
}

/// Notes an unordered transaction of an account.
pub fn note_timeout(store: &mut dyn Write, address: Address, timeout: Timeout) {
    let used = UsedTimeout { address: address.text(), timeout: Some(timeout.timestamp()) };
    TIMEOUTS.set(store, &(timeout, address), &used);
}
