//! How providers spell the words: one folder a wire format.

pub mod anthropic;
pub mod bedrock;
pub mod call;
pub mod cartesia;
pub mod cohere;
pub mod deepgram;
pub mod elevenlabs;
pub mod gemini;
pub mod huggingface;
pub mod ollama;
pub mod openai;
pub mod replicate;
pub mod usage;
pub mod workers_ai;

mod base64;
mod block;
mod body;
mod count;
mod converse;
mod encoding;
mod eventstream;
mod json;
mod marks;
mod members;
mod nest;
mod place;
mod plain;
mod quote;
mod sniff;
mod sse;
mod tally;
mod trail;
mod tree;

use serde::Deserialize;

/// The wire formats that tollgate reads, in the order in which a path of unknown format is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// OpenAI and the many that speak as it does.
    Openai,
    /// Anthropic Messages, also behind Vertex `rawPredict` and Bedrock `invoke`.
    Anthropic,
    /// Gemini, on AI Studio and on Vertex.
    Gemini,
    /// Amazon Bedrock `converse` and `invoke`.
    Bedrock,
    Ollama,
    Cohere,
    WorkersAi,
    Huggingface,
    Replicate,
    Elevenlabs,
    Deepgram,
    Cartesia,
}
