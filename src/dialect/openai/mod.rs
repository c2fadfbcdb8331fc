//! OpenAI and the many that speak as it does.

pub mod include_usage;
pub mod usage;
pub mod usage_filter;
