#![doc = include_str!("README.md")]

pub mod jury;
pub mod lot;
pub mod stakes;
