//! Two ways to fail, never mixed.
//!
//! A [`Refusal`] is a rule saying no: every honest node reaches it and it becomes a transaction
//! result. A fault is this machine being wrong (lost bytes, a bug): it must never become a
//! result, because other machines would not agree. Faults stop the process.

use alloc::string::{String, ToString};
use core::fmt;

/// A module's error: a name for the module and a number for the rule.
pub trait Coded: fmt::Display {
    /// The module, as Cosmos clients see it; `sdk` where they know the case by its SDK code.
    fn codespace(&self) -> &'static str;

    /// The rule. Numbers are consensus: never reuse one.
    fn code(&self) -> u32;
}

/// Why a transaction did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Module that refused.
    pub codespace: &'static str,
    /// Rule within the module.
    pub code: u32,
    /// For people; not part of consensus.
    pub log: String,
}

impl<E: Coded> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self { codespace: error.codespace(), code: error.code(), log: error.to_string() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (codespace {}, code {})", self.log, self.codespace, self.code)
    }
}

/// Cases that Cosmos clients know by the SDK's own codes. Any module may return them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Sdk {
    /// Bytes that are no transaction, or a message nobody knows.
    #[error("cannot decode the transaction: {0}")]
    TxDecode(String),
    /// A signature, chain id or account number that does not fit.
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// Too little money.
    #[error("insufficient funds: {0}")]
    InsufficientFunds(String),
    /// A query path that nobody serves.
    #[error("unknown request: {0}")]
    UnknownRequest(String),
    /// Text that is no address.
    #[error("invalid address: {0}")]
    InvalidAddress(String),
    /// A public key of a kind that is not taken.
    #[error("invalid public key: {0}")]
    InvalidPubKey(String),
    /// An account that does not exist.
    #[error("unknown address: {0}")]
    UnknownAddress(String),
    /// An amount that is none.
    #[error("invalid coins: {0}")]
    InvalidCoins(String),
    /// The gas limit is below the cost.
    #[error("out of gas: the limit is {wanted}, the transaction needs {needed}")]
    OutOfGas {
        /// Limit that the transaction set.
        wanted: u64,
        /// Gas that it costs.
        needed: u64,
    },
    /// A memo longer than allowed.
    #[error("memo too large: {len} bytes, at most {max}")]
    MemoTooLarge {
        /// Its bytes.
        len: usize,
        /// Allowed.
        max: u32,
    },
    /// The fee is below the price.
    #[error("insufficient fee: got {got}uxpl, required {required}uxpl")]
    InsufficientFee {
        /// Offered, uxpl.
        got: u128,
        /// Price, uxpl.
        required: u128,
    },
    /// More signatures or messages than allowed.
    #[error("too many signatures: {0}")]
    TooManySignatures(String),
    /// Not a single signature.
    #[error("no signatures supplied")]
    NoSignatures,
    /// A transaction that waits already.
    #[error("tx already in mempool")]
    TxInMempool,
    /// No room for more transactions that wait.
    #[error("mempool is full")]
    MempoolFull,
    /// A request that is not well formed.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// More bytes than a transaction may have.
    #[error("tx too large: {len} bytes, at most {max}")]
    TxTooLarge {
        /// Its bytes.
        len: usize,
        /// Allowed.
        max: usize,
    },
    /// A thing of a kind that does not fit, or that nobody knows.
    #[error("invalid type: {0}")]
    InvalidType(String),
    /// The transaction's height has passed.
    #[error(
        "tx timeout height: the chain is at {height}, the transaction was valid up to {timeout}"
    )]
    TimeoutHeight {
        /// Block that would hold it.
        height: u64,
        /// Last block that may.
        timeout: u64,
    },
    /// Extension options, of which none is known.
    #[error("unknown extension options: {0}")]
    UnknownExtension(String),
    /// The transaction's time has passed.
    #[error(
        "tx timeout: the block's time is {time_s} s, the transaction was valid up to {timeout}"
    )]
    TimeoutTime {
        /// Time of the block that would hold it, unix seconds.
        time_s: u64,
        /// Last time that may, RFC 3339.
        timeout: String,
    },
    /// A sequence that is not the account's next one.
    #[error(
        "account sequence mismatch, expected {expected}, got {got}: incorrect account sequence"
    )]
    WrongSequence {
        /// The account's next.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// There is no such thing.
    #[error("not found: {0}")]
    NotFound(String),
    /// Something Cosmos knows and this chain does not take.
    #[error("feature not supported: {0}")]
    NotSupported(String),
}

impl Coded for Sdk {
    fn codespace(&self) -> &'static str {
        "sdk"
    }

    fn code(&self) -> u32 {
        match self {
            Self::TxDecode(_) => 2,
            Self::Unauthorized(_) => 4,
            Self::InsufficientFunds(_) => 5,
            Self::UnknownRequest(_) => 6,
            Self::InvalidAddress(_) => 7,
            Self::InvalidPubKey(_) => 8,
            Self::UnknownAddress(_) => 9,
            Self::InvalidCoins(_) => 10,
            Self::OutOfGas { .. } => 11,
            Self::MemoTooLarge { .. } => 12,
            Self::InsufficientFee { .. } => 13,
            Self::TooManySignatures(_) => 14,
            Self::NoSignatures => 15,
            Self::InvalidRequest(_) => 18,
            Self::TxInMempool => 19,
            Self::MempoolFull => 20,
            Self::TxTooLarge { .. } => 21,
            Self::InvalidType(_) => 29,
            Self::TimeoutHeight { .. } => 30,
            Self::UnknownExtension(_) => 31,
            Self::WrongSequence { .. } => 32,
            Self::NotSupported(_) => 37,
            Self::NotFound(_) => 38,
            Self::TimeoutTime { .. } => 42,
        }
    }
}

/// Stops the process: state is not what the code wrote, or a rule broke that cannot break.
#[expect(clippy::panic, reason = "the one place consensus code may stop the node")]
pub(crate) fn fault(what: &str, key: &[u8]) -> ! {
    panic!("fault: {what} at key {key:02x?}")
}
