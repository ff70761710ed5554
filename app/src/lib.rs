//! `plasmad`: the Plasma chain behind CometBFT, its state in RocksDB.
//!
//! [`abci`] is the door of consensus, [`doors`] those of everybody else, [`node`] owns the chain,
//! [`rocks`] the disk, [`commit`] the app hash and its proofs, [`files`] and [`config`] what lies
//! in a home folder. The rules themselves are all in `plasma_modules`.

pub mod abci;
mod check;
pub mod commit;
pub mod config;
pub mod doors;
pub mod files;
mod history;
mod hot;
pub mod meta;
pub mod metrics;
pub mod node;
mod proposals;
pub mod rocks;
pub mod run;
pub mod signatures;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
