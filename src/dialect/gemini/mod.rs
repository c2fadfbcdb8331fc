//! Gemini, on AI Studio and on Vertex.

pub mod usage;
