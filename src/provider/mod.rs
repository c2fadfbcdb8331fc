//! Who speaks what, where, and for how much: the catalogue and the price book as data.

pub mod config;
pub mod catalogue;
mod decode;
pub mod key;
mod model;
pub mod place;
pub mod origin;
pub mod pattern;
pub mod prices;
mod row;
