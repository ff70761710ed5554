//! What the chain says by number, in the words of every program that shows it.

use plasma_modules::Amount;
use plasma_proto::plasma::attestation::v1::{Finding, GameReason, GameState};

/// Decimal places of XPL: 1 XPL = 10^6 uxpl.
pub const XPL_DECIMALS: u32 = 6;

/// An amount for people: `5 XPL`, `1.5 XPL`, `12,345.678901 XPL`; no rounding.
#[must_use]
pub fn xpl(amount: Amount) -> String {
    format!("{} XPL", decimal(amount))
}

/// An amount as a number of XPL, thousands apart.
#[must_use]
pub fn decimal(amount: Amount) -> String {
    let unit = 10u128.pow(XPL_DECIMALS);
    let (whole, part) = (amount.units() / unit, amount.units() % unit);
    let part = format!("{part:06}");
    let part = part.trim_end_matches('0');
    let whole = thousands(whole);
    if part.is_empty() { whole } else { format!("{whole}.{part}") }
}

/// Decimal text of the chain, in uxpl, for people. What is no amount is shown as it is.
#[must_use]
pub fn xpl_text(uxpl: &str) -> String {
    match uxpl {
        "" => xpl(Amount::ZERO),
        text => Amount::parse(text).map_or_else(|| format!("{text} uxpl"), xpl),
    }
}

/// A count with commas between thousands.
#[must_use]
pub fn thousands(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a game waits for.
#[must_use]
pub fn game_phase(state: GameState) -> &'static str {
    match state {
        GameState::Unspecified => "it is in no known phase",
        GameState::Defend => "the provider must give the root of its trace",
        GameState::Descend => "both must give the children of the node at which they differ",
        GameState::Prove => "one of them must show what the tile is made from",
        GameState::Token => "the challenger must show a token that the trace does not give",
        GameState::Rest => "the challenger lost, and another one may challenge",
        GameState::Ended => "it has ended",
    }
}

/// Why a game, or the challenge before, ended as it did.
#[must_use]
pub fn game_reason(reason: GameReason) -> &'static str {
    match reason {
        GameReason::Unspecified => "for no known reason",
        GameReason::Tile => "the chain computed the tile, and the challenger has it",
        GameReason::Neither => "the chain computed the tile, and neither has it",
        GameReason::Token => "the provider's own trace gives another token",
        GameReason::OutputEnd => "the output does not end where it must",
        GameReason::Prompt => "the prompt's tokens are not those that the receipt counts",
        GameReason::Silent => "the provider was silent",
        GameReason::ChallengerTile => "the chain computed the tile, and the provider has it",
        GameReason::ChallengerSilent => "the challenger was silent",
    }
}

/// What a game found of the claim, and what followed.
#[must_use]
pub fn game_finding(finding: Finding) -> &'static str {
    match finding {
        Finding::Convicted | Finding::Hidden => {
            "found false: the job is refunded, the provider slashed"
        }
        Finding::Clean => "no challenge was won: the job goes on to its settlement",
        // Games end in no other way.
        _ => "nothing yet",
    }
}
