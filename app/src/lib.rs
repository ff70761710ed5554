//! `plasmad`: the Plasma chain behind CometBFT, its state in RocksDB.
//!
//! [`abci`] is the door of consensus, [`doors`] those of everybody else, [`frontdoor`] that of
//! transactions, [`node`] owns the chain, [`rocks`] the disk, [`commit`] the app hash and its proofs,
//! [`index`] finds transactions, [`statesync`] snapshots, [`scrub`] the check of what lies on disk, [`upkeep`] when they happen,
//! [`files`] and [`config`] what lies in a home folder, [`admin`] is the operator's port. The rules
//! themselves are all in `plasma_modules`.

pub mod abci;
pub mod admin;
mod budget;
mod check;
pub mod commit;
pub mod config;
pub mod doors;
pub mod files;
pub mod frontdoor;
mod history;
mod hot;
pub mod index;
pub mod logs;
pub mod meta;
pub mod metrics;
pub mod node;
mod proposals;
mod recent;
pub mod rocks;
pub mod run;
pub mod scrub;
pub mod seen;
pub mod statesync;
pub mod upkeep;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
