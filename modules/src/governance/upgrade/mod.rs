#![doc = include_str!("README.md")]

mod event;
mod handler;
mod msg;
mod query;
mod state;

pub use handler::{Due, UPGRADES, Upgrade, begin_block, cancel_upgrade, due, plan_upgrade};
pub use msg::{CancelUpgrade, PlanUpgrade};
pub(super) use query::routes;
pub use state::{applied, plan};
pub(super) use state::{export_applied, init};
