//! Hugging Face: text generation inference.

pub mod usage;
