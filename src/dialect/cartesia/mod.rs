//! Cartesia: speech.

pub mod usage;
