//! ElevenLabs: speech.

pub mod usage;
