//! A rig's node: it runs models, signs receipts for what they wrote and reports them to the chain.
//!
//! Without the feature `engine` this is the part that others need too: the client of the chain and the key files.

pub mod client;
pub mod keyfile;
pub mod wallet;
pub mod words;

#[cfg(feature = "engine")]
pub mod engine;
#[cfg(feature = "engine")]
pub mod evidence;
#[cfg(feature = "engine")]
pub mod hardware;
#[cfg(feature = "engine")]
pub mod models;

#[cfg(feature = "engine")]
pub mod api;
#[cfg(feature = "engine")]
pub mod chain;
#[cfg(feature = "engine")]
pub mod commands;
#[cfg(feature = "engine")]
pub mod config;
#[cfg(feature = "engine")]
pub mod game;
#[cfg(feature = "engine")]
pub mod jury;
#[cfg(feature = "engine")]
pub mod metrics;
#[cfg(feature = "engine")]
pub mod outbox;
#[cfg(feature = "engine")]
pub mod receipt;
#[cfg(feature = "engine")]
pub mod schedule;
#[cfg(feature = "engine")]
pub mod verify;
