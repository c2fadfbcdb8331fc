//! Words of the trade, as pure data: what is asked, and what it used.

pub mod call;
pub mod metadata;
pub mod operation;
pub mod usage;
