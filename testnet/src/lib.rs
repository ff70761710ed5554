//! Plasma networks on one machine, made of the real programs: `cometbft`, `plasmad`, `gpu-node` and
//! `xpl`. [`comet`] brings chains up, [`rig`] rigs beside them, [`demo`] tells a story with both,
//! [`load`] measures, [`peer`] brings up a chain to compare with; nothing outlives the value that started it.

pub mod comet;
pub mod demo;
pub mod load;
pub mod peer;
pub mod process;
pub mod rig;
