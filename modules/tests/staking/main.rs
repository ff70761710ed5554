//! Who validates, with whose stake, and what it costs to break the rules.

#[path = "../common/mod.rs"]
mod common;

mod agreement;
mod net;

mod queries;
mod rewards;
mod slashing;
mod stories;
