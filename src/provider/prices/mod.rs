//! What a request costs: the price book, the user's own prices over it, and the arithmetic.

pub mod book;
pub mod config;
pub mod custom;
pub mod price;
pub mod rates;

mod alias;
mod bill;
mod list;
