//! Where things are kept between requests, named for the way they are kept.

pub mod counters;
