//! Replicate: predictions.

pub mod usage;
