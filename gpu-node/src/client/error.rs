use plasma_modules::{Address, Coded as _, Sdk};

use super::TxOutcome;

/// Codespace of what Cosmos clients know by number.
pub(super) const SDK: &str = "sdk";
/// "Not found" in an ABCI answer.
pub(super) const CODE_NOT_FOUND: u32 = 22;
/// "Unauthorized": a signature, chain id or account number that does not fit.
const CODE_UNAUTHORIZED: u32 = 4;
const CODE_INSUFFICIENT_FUNDS: u32 = 5;
const CODE_UNKNOWN_ADDRESS: u32 = 9;
const CODE_INSUFFICIENT_FEE: u32 = 13;
const CODE_IN_MEMPOOL: u32 = 19;
const CODE_MEMPOOL_FULL: u32 = 20;
const CODE_WRONG_SEQUENCE: u32 = 32;

/// Exit code: the chain refused, or what was asked for did not end well.
pub const EXIT_REFUSED: u8 = 1;
/// Exit code: the command cannot be carried out as it was given.
pub const EXIT_USAGE: u8 = 2;
/// Exit code: no node answers.
pub const EXIT_UNREACHABLE: u8 = 3;
/// Exit code: waited in vain.
pub const EXIT_TIMEOUT: u8 = 4;

/// Why the chain did not answer, or said no. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Text that is no URL of a node.
    #[error("{url:?} is no node's address ({reason}): it looks like http://127.0.0.1:26657")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers.
    #[error("cannot reach the node at {url}: is it running? set --node ({reason})")]
    Unreachable {
        /// Address of the node.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The node answers with an error of its own.
    #[error("the node at {url} answered with an error: {reason}")]
    Node {
        /// Address of the node.
        url: String,
        /// What it said.
        reason: String,
    },
    /// The node now serves another chain than at first.
    #[error(
        "the node at {url} serves chain {got:?} now, not {expected:?}: point --node at the right chain"
    )]
    OtherChain {
        /// Address of the node.
        url: String,
        /// Chain that it served at first.
        expected: String,
        /// Chain that it serves now.
        got: String,
    },
    /// There is no such thing.
    #[error("not found: {0}")]
    NotFound(String),
    /// A question that the chain does not answer.
    #[error("the chain refused the question {path}: {log} (codespace {codespace}, code {code})")]
    Query {
        /// Path of the question.
        path: String,
        /// Module that refused.
        codespace: String,
        /// Code of the answer.
        code: u32,
        /// What it said.
        log: String,
    },
    /// Bytes that are not what they should be.
    #[error("cannot read {what}: {reason}; do the node and this program have the same version?")]
    Decode {
        /// What should have been read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The account has never held anything.
    #[error("account {0} is not on the chain yet: send it some uxpl first")]
    UnknownAccount(Address),
    /// Another transaction of the account came first.
    #[error(
        "account sequence mismatch, expected {expected}, got {got}: another transaction came first, try again"
    )]
    WrongSequence {
        /// The account's next sequence.
        expected: u64,
        /// The transaction's.
        got: u64,
    },
    /// Too little money for the fee or for what was asked.
    #[error("{0}: send the account more uxpl, or ask for less")]
    InsufficientFunds(String),
    /// The fee is below the price.
    #[error("{0}: the price of gas has risen, or --fee is too low")]
    InsufficientFee(String),
    /// The node has this very transaction already.
    #[error("transaction {0} waits in the node's mempool already: wait for it")]
    InMempool(String),
    /// The node's mempool has no room.
    #[error("the node's mempool is full: try again in some seconds ({0})")]
    MempoolFull(String),
    /// Signature, chain id or account number do not fit.
    #[error("{0}")]
    Unauthorized(String),
    /// The transaction was refused before it came into a block; it has cost nothing.
    #[error("the chain refused the transaction: {log} (codespace {codespace}, code {code})")]
    Refused {
        /// Module that refused.
        codespace: String,
        /// Rule within the module.
        code: u32,
        /// What it said.
        log: String,
    },
    /// The transaction came into a block and failed there; the fee is paid.
    #[error(
        "transaction {} failed in block {}: {} (codespace {}, code {})",
        .0.hash, .0.height, .0.log, .0.codespace, .0.code
    )]
    Failed(Box<TxOutcome>),
    /// The transaction did not come into a block in time; it still may.
    #[error(
        "transaction {hash} was sent but is in no block after {waited_s} s: ask for it again before sending another"
    )]
    Timeout {
        /// Its hash.
        hash: String,
        /// How long was waited, seconds.
        waited_s: u64,
    },
    /// What was asked for cannot be built.
    #[error("{0}")]
    Invalid(String),
}

impl ClientError {
    /// A refusal by its code, in the words of its log.
    pub(super) fn refused(codespace: &str, code: u32, log: &str, hash: &str) -> Self {
        let text = || log.to_owned();
        if let Some((expected, got)) = sequence_mismatch(log) {
            return Self::WrongSequence { expected, got };
        }
        match (codespace, code) {
            (SDK, CODE_INSUFFICIENT_FUNDS) => Self::InsufficientFunds(text()),
            (SDK, CODE_INSUFFICIENT_FEE) => Self::InsufficientFee(text()),
            (SDK, CODE_IN_MEMPOOL) => Self::InMempool(hash.to_owned()),
            (SDK, CODE_MEMPOOL_FULL) => Self::MempoolFull(text()),
            (SDK, CODE_UNAUTHORIZED) => Self::Unauthorized(text()),
            _ => Self::Refused { codespace: codespace.to_owned(), code, log: text() },
        }
    }

    /// The module and rule that said no, if a rule did.
    #[must_use]
    pub fn rule(&self) -> Option<(&str, u32)> {
        match self {
            Self::Refused { codespace, code, .. } => Some((codespace, *code)),
            Self::Failed(outcome) => Some((&outcome.codespace, outcome.code)),
            Self::WrongSequence { .. } => Some((SDK, CODE_WRONG_SEQUENCE)),
            Self::InsufficientFunds(_) => Some((SDK, CODE_INSUFFICIENT_FUNDS)),
            Self::InsufficientFee(_) => Some((SDK, CODE_INSUFFICIENT_FEE)),
            Self::Unauthorized(_) => Some((SDK, CODE_UNAUTHORIZED)),
            Self::UnknownAccount(_) => Some((SDK, CODE_UNKNOWN_ADDRESS)),
            _ => None,
        }
    }

    /// Exit code of a program that this ends.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Url { .. } | Self::OtherChain { .. } | Self::Decode { .. } | Self::Invalid(_) => {
                EXIT_USAGE
            }
            Self::Unreachable { .. } | Self::Node { .. } | Self::MempoolFull(_) => EXIT_UNREACHABLE,
            Self::Timeout { .. } | Self::InMempool(_) => EXIT_TIMEOUT,
            _ => EXIT_REFUSED,
        }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Node { .. }
                | Self::WrongSequence { .. }
                | Self::InsufficientFee(_)
                | Self::InMempool(_)
                | Self::MempoolFull(_)
                | Self::Timeout { .. }
        )
    }
}

impl From<Sdk> for ClientError {
    fn from(error: Sdk) -> Self {
        Self::refused(error.codespace(), error.code(), &error.to_string(), "")
    }
}

/// The two numbers of "account sequence mismatch, expected N, got M".
fn sequence_mismatch(log: &str) -> Option<(u64, u64)> {
    let (_, rest) = log.split_once("account sequence mismatch, expected ")?;
    let (expected, rest) = rest.split_once(", got ")?;
    let got: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((expected.parse().ok()?, got.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_typed_by_code_and_text() {
        let log = Sdk::WrongSequence { expected: 12, got: 7 }.to_string();
        for (codespace, code) in [("sdk", 32), ("", 2), ("undefined", 1)] {
            let error = ClientError::refused(codespace, code, &format!("x: {log}"), "");
            assert!(
                matches!(error, ClientError::WrongSequence { expected: 12, got: 7 }),
                "{error:?}"
            );
        }
        assert!(matches!(
            ClientError::refused("sdk", 5, "funds", ""),
            ClientError::InsufficientFunds(_)
        ));
        assert!(matches!(
            ClientError::refused("sdk", 13, "fee", ""),
            ClientError::InsufficientFee(_)
        ));
        assert!(
            matches!(ClientError::refused("sdk", 19, "", "AB"), ClientError::InMempool(hash) if hash == "AB")
        );
        let other = ClientError::refused("market", 5, "no", "");
        assert_eq!(other.rule(), Some(("market", 5)));
        assert!(!other.is_transient());
        assert_eq!(sequence_mismatch("account sequence mismatch, expected x, got 1"), None);
        assert_eq!(sequence_mismatch("account sequence mismatch, expected 1, got "), None);
    }
}
