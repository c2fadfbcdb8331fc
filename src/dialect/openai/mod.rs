//! OpenAI and the many that speak as it does.

pub mod usage;
