//! Where things are kept between requests, named for the way they are kept.

pub mod counters;
pub mod entry;
pub mod shelf;
pub mod memory;
pub mod disk;
mod health;
