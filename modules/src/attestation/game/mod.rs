#![doc = include_str!("README.md")]

mod block;
mod digests;
mod ending;
mod error;
mod event;
mod genesis;
mod model;
mod msg;
mod node;
mod params;
mod play;
mod prove;
mod query;
mod state;

pub(super) use block::end_block;
pub use digests::{defend_digest, descend_digest, prove_digest};
pub use error::Error;
pub(super) use genesis::{export, init};
pub use model::set_referee;
pub use msg::{Challenge, Defend, Descend, EOS_TOKENS_MAX, Prove, SetReferee, ShowToken};
pub use node::{PROMPT_TOKENS_MAX, WAY_MAX, node_at, shape_named, shape_of, trace_of};
pub use params::default_params;
pub(super) use params::rows;
pub use play::{challenge, defend, descend};
pub use prove::{prove, show_token};
pub(super) use query::routes;
pub use state::{game, game_key, referee, referee_key};
pub(super) use state::{games, is_open, rebuild_derived};
