//! Deepgram: speech.

pub mod usage;
