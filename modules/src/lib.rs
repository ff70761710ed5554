//! The chain's rules: a pure function from (state, block) to (state, results).
//!
//! Everything that nodes must agree on lives in this crate; nothing outside it can change an app
//! hash. It has no clock, no threads, no disk, no hash maps and no floats: the first four are
//! absent because it is `no_std`, the last is denied below.
//!
//! The way of a transaction: [`tx::decode`] -> [`ante`] ([`tx::authenticate`] inside) -> [`msg`]
//! -> a module's `handler.rs`. The order of a block is written in [`chain`].
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::float_arithmetic,
        clippy::disallowed_types,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod context;
mod error;
mod store;

pub mod ahead;
pub mod ante;
pub mod attestation;
pub mod auth;
pub mod authz;
pub mod carrier;
pub mod chain;
pub mod feegrant;
pub mod governance;
pub mod market;
pub mod msg;
pub mod params;
pub mod price;
pub mod proof;
pub mod query;
pub mod reward;
pub mod rules;
pub mod staking;
pub mod token;
pub mod tx;
pub mod types;

pub use context::{Block, Ctx, Event, Events, FeePaid, FeeParts, Recorded, View};
pub use error::{Coded, Refusal, Sdk};
pub use store::{
    IndexEntry, IndexedMap, Item, Key, Map, Memory, Order, Overlay, Pair, Read, Table, Write,
    Writes, prefix_end,
};
pub use tx::SignatureMemory;
pub use types::{Address, Amount, BPS, Dec, Denom, HRP};
