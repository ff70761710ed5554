//! What went wrong, in words that help: a sentence, a hint, and the exit code.

use std::fmt;
use std::path::Path;

use gpu_node::client::ClientError;
pub use gpu_node::client::{EXIT_REFUSED, EXIT_TIMEOUT, EXIT_UNREACHABLE, EXIT_USAGE};
use gpu_node::keyfile::KeyfileError;
use serde::Serialize;

use crate::amount;

/// Exit code: a proof failed.
pub const EXIT_UNPROVEN: u8 = 5;
/// Exit code: interrupted, as shells count it.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Codespace of what this program says itself; the code is the exit code then.
const OWN: &str = "xpl";
/// Codespace of the rules that Cosmos clients know.
const SDK: &str = "sdk";

/// A command that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Rule that refused, or the exit code when it was no rule of the chain.
    pub code: u32,
    /// Module that refused; `xpl` for this program.
    pub codespace: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Exit code.
    #[serde(skip)]
    pub exit: u8,
}

/// What a command gives.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    fn own(exit: u8, message: impl Into<String>) -> Self {
        Self {
            code: exit.into(),
            codespace: OWN.to_owned(),
            message: message.into(),
            hint: None,
            exit,
        }
    }

    /// The command as given makes no sense, or this machine cannot do it.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::own(EXIT_USAGE, message)
    }

    /// The chain refuses, or would.
    pub fn refused(codespace: &str, code: u32, message: impl Into<String>) -> Self {
        let codespace = codespace.to_owned();
        Self { code, codespace, message: message.into(), hint: None, exit: EXIT_REFUSED }
    }

    /// Something that was asked for did not end well, by no rule of the chain.
    pub fn unsuccessful(message: impl Into<String>) -> Self {
        Self::own(EXIT_REFUSED, message)
    }

    /// Nobody answers.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::own(EXIT_UNREACHABLE, message)
    }

    /// Waited in vain.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::own(EXIT_TIMEOUT, message)
    }

    /// What a node said does not belong to the chain that is trusted.
    pub fn unproven(message: impl Into<String>) -> Self {
        Self::own(EXIT_UNPROVEN, message)
    }

    /// Stopped by Ctrl-C.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::own(EXIT_INTERRUPTED, message)
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::usage(format!("{}: {error}", path.display()))
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// As one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "error": self })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<KeyfileError> for Failure {
    fn from(error: KeyfileError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Url { url, reason } => Self::usage(format!(
                "{url:?} is no node's address: {reason}"
            ))
            .hint(
                "it looks like http://127.0.0.1:26657; set it by --node or xpl config set node URL",
            ),
            ClientError::Unreachable { url, reason } => Self::unreachable(format!(
                "no node answers at {url} ({reason})"
            ))
            .hint("is it running? Choose another by --node, or for good: xpl config set node URL"),
            ClientError::Node { .. } => Self::unreachable(error.to_string()),
            ClientError::OtherChain { expected, got, .. } => {
                Self::usage(format!("the node serves the chain {got}, not {expected}"))
                    .hint("nothing was signed; choose the right --node or --chain-id")
            }
            ClientError::Timeout { hash, waited_s } => Self::timeout(format!(
                "the transaction {hash} was sent but is in no block after {}",
                amount::span(*waited_s)
            ))
            .hint(format!("it still may come: look with  xpl tx {hash}  before you send another")),
            ClientError::InMempool(hash) => {
                Self::timeout(format!("the transaction {hash} waits at the node already"))
                    .hint(format!("look with  xpl tx {hash}"))
            }
            ClientError::MempoolFull(_) => {
                Self::unreachable("the node has no room for more transactions now")
                    .hint("try again in some seconds")
            }
            ClientError::NotFound(what) => {
                let what = what.strip_suffix(": key not found").unwrap_or(what);
                Self::refused(SDK, 22, what)
            }
            ClientError::Failed(outcome) => {
                let mut failure = explain(&outcome.codespace, outcome.code, &outcome.log);
                let paid = format!("the fee was paid all the same; see  xpl tx {}", outcome.hash);
                failure.hint = Some(match failure.hint {
                    Some(hint) => format!("{hint}; {paid}"),
                    None => paid,
                });
                failure
            }
            ClientError::Query { code, log, .. } => Self::refused(SDK, *code, log.clone()),
            ClientError::Refused { codespace, code, log } => explain(codespace, *code, log),
            ClientError::UnknownAccount(address) => {
                Self::refused(SDK, 9, format!("the account {address} is not on the chain yet"))
                    .hint("an account comes to life when it is first sent some XPL")
            }
            ClientError::Decode { .. } | ClientError::Invalid(_) => Self::usage(error.to_string()),
            other => match other.rule() {
                Some((codespace, code)) => explain(codespace, code, &other.to_string()),
                None => Self::refused(SDK, 1, other.to_string()),
            },
        }
    }
}

/// A rule's refusal as a sentence, with what to do about it. The chain's own words stay where they say more.
pub fn explain(codespace: &str, code: u32, log: &str) -> Failure {
    let (message, hint): (Option<&str>, Option<&str>) = match (codespace, code) {
        ("sdk", 4) if log.contains("is not allowed to receive funds") => (
            Some("the recipient is an account of the chain itself and cannot be sent money"),
            Some("check the address"),
        ),
        ("sdk", 4) => (
            Some(
                "the signature does not fit: this key, this chain or this account's state is another than expected",
            ),
            Some("check --chain-id and --node; if another program uses the same key, try again"),
        ),
        ("sdk", 5) => {
            (None, Some("see  xpl bank balance ; send the account more XPL, or ask for less"))
        }
        ("sdk", 7) => (None, Some("addresses look like xpl1..., 42 characters")),
        ("sdk", 9) => (None, Some("an account comes to life when it is first sent some XPL")),
        ("sdk", 11) => {
            (None, Some("set a higher --gas, or leave it out and it is found by simulation"))
        }
        ("sdk", 13) => (
            None,
            Some(
                "the price of gas has risen, or --fee is too low; leave --fee out and it is computed",
            ),
        ),
        ("sdk", 21) => (None, Some("make the prompt shorter")),
        ("sdk", 32) => (
            Some("another transaction of this account came first"),
            Some("try again; one key should not be used by two programs at the same time"),
        ),
        ("token", 4) => (None, Some("send a larger amount")),
        ("token", 7) => {
            (None, Some("an account is opened by its first payment, which has a least amount"))
        }
        ("feegrant", 2) => {
            (None, Some("ask the granter for more, or pay yourself without --fee-granter"))
        }
        ("feegrant", 3) => {
            (None, Some("ask the granter for another, or pay yourself without --fee-granter"))
        }
        ("sdk", 38) => (None, Some("see  xpl feegrant list")),
        ("authz", 2 | 6) => (None, Some("see  xpl authz list")),
        ("market", 3) => (None, Some("see the models with  xpl model list")),
        ("market", 4) => (None, Some("see your jobs with  xpl job list")),
        ("market", 5) => (None, Some("see the providers with  xpl provider list")),
        ("market", 16) => {
            (Some("this very model is published already"), Some("see it with  xpl model show"))
        }
        ("market", 18) => (None, Some("shorten the prompt")),
        ("market", 19) => (None, Some("choose another --max-tokens")),
        ("market", 20) => (None, Some("choose another --temperature or --top-p")),
        ("market", 21) => (None, Some("use fewer or shorter --stop texts")),
        ("market", 22) => {
            (None, Some("raise --max-fee, or leave it out; what is not used comes back"))
        }
        ("market", 23) => (None, Some("choose another --deadline, for example 10m")),
        ("market", 25) => (None, Some("use the key that submitted it, by --from")),
        ("market", 26) => (
            Some("the job can no longer be cancelled: a provider works on it, or it has ended"),
            Some("see it with  xpl job show"),
        ),
        ("audit", 15 | 17) => (None, Some("see  xpl job show  and  xpl audit show")),
        ("audit", 16) => (None, Some("see  xpl audit profile")),
        ("audit", 18) => (None, Some("leave --bond out to put down the least")),
        ("audit", 19..=22) => (None, Some("see  xpl audit show")),
        ("audit", 5 | 7) => (None, Some("see  xpl audit profile")),
        _ => (None, None),
    };
    let message = message.map_or_else(|| people(bare(log)), str::to_owned);
    let mut failure = Failure::refused(codespace, code, message);
    failure.hint = hint.map(str::to_owned);
    failure
}

/// A log without the words that say which message of the transaction it was: there is one.
fn bare(log: &str) -> &str {
    let rest = log
        .strip_prefix("failed to execute message; message index: ")
        .and_then(|rest| rest.split_once(": "));
    rest.map_or(log, |(_, rest)| rest)
}

/// A log with its amounts in XPL: `2500000uxpl` becomes `2.5 XPL`.
pub fn people(log: &str) -> String {
    let mut text = String::with_capacity(log.len());
    let mut rest = log;
    while let Some(at) = rest.find("uxpl") {
        let (before, after) = (&rest[..at], &rest[at + "uxpl".len()..]);
        let digits = before.len() - before.bytes().rev().take_while(u8::is_ascii_digit).count();
        let ends = !after.starts_with(|next: char| next.is_ascii_alphanumeric());
        match plasma_modules::Amount::parse(&before[digits..]).filter(|_| ends) {
            Some(units) => {
                text.push_str(&before[..digits]);
                text.push_str(&amount::xpl(units));
            }
            None => text.push_str(&rest[..at + "uxpl".len()]),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_speak_of_xpl() {
        assert_eq!(
            people("2500000uxpl is smaller than 5000000uxpl"),
            "2.5 XPL is smaller than 5 XPL"
        );
        assert_eq!(bare("failed to execute message; message index: 0: no: why"), "no: why");
        assert_eq!(people("no uxpl, 12uxplx and xuxpl"), "no uxpl, 12uxplx and xuxpl");
    }

    #[test]
    fn an_error_is_one_json_object() {
        let json = explain("market", 22, "max_fee is 5uxpl").json();
        assert_eq!(json["error"]["code"], 22);
        assert_eq!(json["error"]["codespace"], "market");
        assert_eq!(json["error"]["message"], "max_fee is 0.000005 XPL");
        assert!(json["error"]["hint"].as_str().unwrap().contains("--max-fee"));
        assert_eq!(json["error"].as_object().unwrap().len(), 4);
    }

    #[test]
    fn exit_codes_say_what_kind_it_is() {
        let url = String::from("http://127.0.0.1:1");
        let unreachable = ClientError::Unreachable { url, reason: "refused".into() };
        let text = || String::from("x");
        let timeout = ClientError::Timeout { hash: "AB".into(), waited_s: 60 };
        for (error, exit) in [
            (unreachable, EXIT_UNREACHABLE),
            (ClientError::Node { url: text(), reason: text() }, EXIT_UNREACHABLE),
            (ClientError::MempoolFull(text()), EXIT_UNREACHABLE),
            (timeout, EXIT_TIMEOUT),
            (ClientError::InMempool(text()), EXIT_TIMEOUT),
            (ClientError::Url { url: text(), reason: text() }, EXIT_USAGE),
            (ClientError::Invalid(text()), EXIT_USAGE),
            (ClientError::NotFound(text()), EXIT_REFUSED),
            (ClientError::InsufficientFunds("1uxpl".into()), EXIT_REFUSED),
        ] {
            assert_eq!(error.exit_code(), exit, "as gpu-node says it: {error}");
            assert_eq!(Failure::from(error).exit, exit);
        }
    }
}
