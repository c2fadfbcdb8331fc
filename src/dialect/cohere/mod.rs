//! Cohere, versions 1 and 2.

pub mod usage;
