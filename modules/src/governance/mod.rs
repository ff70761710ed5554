//! (merge)
pub mod consensus;
pub mod grants;
pub mod upgrade;
