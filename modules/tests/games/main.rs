//! Referee games: a claim is challenged, its players go down to where they differ, and whoever is wrong or silent pays.

mod arena;
mod decisions;
#[allow(dead_code, unused_imports, reason = "the tests of games use a part of it")]
#[path = "../market/net.rs"]
mod net;
mod refusals;
mod stories;
#[path = "../common/trace.rs"]
mod trace;
