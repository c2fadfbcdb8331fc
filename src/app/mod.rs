//! The commands: each builds what it needs once, and owns the process while it runs.

pub mod command;
pub mod exit;
pub mod notes;
pub mod prices;
pub mod completions;
pub mod daemon;
pub mod reap;
pub mod check;
pub mod mock;
pub mod demo;
