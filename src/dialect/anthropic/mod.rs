//! Anthropic Messages.

pub mod usage;
