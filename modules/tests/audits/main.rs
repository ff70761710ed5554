//! Audits: claims are judged by those who can repeat them, and every way that a judgement can go ends
//! with the money where the rules say.

mod cheats;
mod court;
mod draws;
mod drift;
mod juries;
#[allow(dead_code, unused_imports, reason = "the tests of audits use a part of it")]
#[path = "../market/net.rs"]
mod net;
mod phases;
mod purse;
mod rates;
mod refusals;
mod stories;
