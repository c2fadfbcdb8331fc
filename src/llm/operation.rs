//! What a request asks a provider to do.

use serde::{Deserialize, Serialize};

/// The kinds of request that differ in how they are read, metered or carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Chat in the dialect's main form (chat completions, messages, generateContent, converse …).
    Chat,
    /// Text completion from a bare prompt.
    Completion,
    /// OpenAI's Responses.
    Responses,
    Embeddings,
    Rerank,
    Moderation,
    /// Image generation, editing and variations.
    Image,
    /// Text to speech.
    Speech,
    /// Speech to text, translated or not.
    Transcription,
    /// A provider's own inference call whose answer differs from model to model.
    Inference,
    /// Counting tokens without spending any.
    CountTokens,
    /// Uploads, batches and their results: carried without being held.
    Files,
    /// Lists, look-ups and all else.
    Other,
}

impl Operation {
    /// As it stands in the log's `model_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Moderation => "moderation",
            Self::Image => "image",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Inference => "inference",
            Self::CountTokens => "count_tokens",
            Self::Files => "files",
            Self::Other => "other",
        }
    }
}
