//! `plasmad`: the Plasma chain behind CometBFT, its state in RocksDB.
//!
//! [`abci`] is the door of consensus, [`doors`] those of everybody else,
//! [`frontdoor`] that of transactions, [`node`] owns the chain,
//! [`rocks`] the disk, [`commit`] the app hash and its proofs, [`files`] and [`config`] what lies
//! in a home folder. The rules themselves are all in `plasma_modules`.

pub mod abci;
pub mod commit;
pub mod config;
pub mod doors;
pub mod files;
pub mod frontdoor;
mod history;
pub mod meta;
pub mod metrics;
pub mod node;
pub mod rocks;
pub mod run;
pub mod signatures;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
