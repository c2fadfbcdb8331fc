//! Ollama's own API.

pub mod usage;
