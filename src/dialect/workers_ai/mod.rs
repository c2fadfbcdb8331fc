//! Cloudflare Workers AI.

pub mod usage;
