//! The market's promises: every bad input has its code, money is conserved on every path, and the
//! rooms agree with a simple model of them under random use.

mod agreement;
mod audits;
mod changes;
mod net;
mod refusals;
mod stories;
