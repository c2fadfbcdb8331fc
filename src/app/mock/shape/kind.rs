//! Which kind of answer a path asks for, found by its end.

use crate::app::mock::ask::Ask;
use std::borrow::Cow;

/// One kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Chat,
    Completion,
    Response,
    Embedding,
    ModelList,
    Transcription,
    Speech,
    File,
    Moderation,
    Image,
    Message,
    MessageCount,
    /// Gemini's generateContent, streamed or not.
    Generate {
        streamed: bool,
    },
    GeminiEmbed {
        batch: bool,
    },
    GeminiCount,
    GeminiPredict,
    CohereChat {
        v2: bool,
    },
    CohereEmbed {
        v2: bool,
    },
    Rerank,
    Converse {
        streamed: bool,
    },
    Invoke {
        streamed: bool,
    },
    /// Anthropic's message at Vertex, where the path says whether it is streamed.
    RawPredict {
        streamed: bool,
    },
    Echo,
}

/// Whose error format a shape has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    OpenAi,
    Anthropic,
    Gemini,
    Cohere,
    Bedrock,
}

/// The shape that a request's method and path ask for, and the model when the path names it.
pub fn find<'a>(method: &str, path: &'a str) -> (Shape, Option<Cow<'a, str>>) {
    let path = path.strip_suffix('/').unwrap_or(path);
    match method {
        "POST" => {}
        "GET" if path.ends_with("/models") => return (Shape::ModelList, None),
        _ => return (Shape::Echo, None),
    }
    if let Some(shape) = find_by_end(path) {
        return (shape, None);
    }
    let mut segments = path.rsplit('/');
    let (last, before) = (
        segments.next().unwrap_or_default(),
        segments.next().unwrap_or_default(),
    );
    let named = segments.next() == Some("model");
    let bedrock = match last {
        "converse" => Some(Shape::Converse { streamed: false }),
        "converse-stream" => Some(Shape::Converse { streamed: true }),
        "invoke" => Some(Shape::Invoke { streamed: false }),
        "invoke-with-response-stream" => Some(Shape::Invoke { streamed: true }),
        _ => None,
    };
    if let Some(shape) = bedrock.filter(|_| named) {
        return (shape, Some(unescape(before)));
    }
    let Some((model, verb)) = last.rsplit_once(':').or_else(|| last.rsplit_once("%3A")) else {
        return (Shape::Echo, None);
    };
    let shape = match verb {
        "generateContent" => Shape::Generate { streamed: false },
        "streamGenerateContent" => Shape::Generate { streamed: true },
        "embedContent" => Shape::GeminiEmbed { batch: false },
        "batchEmbedContents" => Shape::GeminiEmbed { batch: true },
        "countTokens" => Shape::GeminiCount,
        "predict" => Shape::GeminiPredict,
        "rawPredict" => Shape::RawPredict { streamed: false },
        "streamRawPredict" => Shape::RawPredict { streamed: true },
        _ => return (Shape::Echo, None),
    };
    (shape, Some(unescape(model)))
}

fn find_by_end(path: &str) -> Option<Shape> {
    const ENDS: [(&str, Shape); 22] = [
        ("/chat/completions", Shape::Chat),
        ("/fim/completions", Shape::Chat),
        ("/completions", Shape::Completion),
        ("/v1/messages", Shape::Message),
        ("/messages/count_tokens", Shape::MessageCount),
        ("/responses", Shape::Response),
        ("/embeddings", Shape::Embedding),
        ("/audio/transcriptions", Shape::Transcription),
        ("/audio/translations", Shape::Transcription),
        ("/audio/speech", Shape::Speech),
        ("/files", Shape::File),
        ("/moderations", Shape::Moderation),
        ("/images/generations", Shape::Image),
        ("/images/edits", Shape::Image),
        ("/v1/chat", Shape::CohereChat { v2: false }),
        ("/v2/chat", Shape::CohereChat { v2: true }),
        ("/v1/embed", Shape::CohereEmbed { v2: false }),
        ("/v2/embed", Shape::CohereEmbed { v2: true }),
        ("/v1/rerank", Shape::Rerank),
        ("/v2/rerank", Shape::Rerank),
        ("/rerank", Shape::Rerank),
        ("/anthropic/messages", Shape::Message),
    ];
    ENDS.iter()
        .find(|(end, _)| path.ends_with(end))
        .map(|(_, shape)| *shape)
}

/// Model ids hold at most an escaped colon or slash.
fn unescape(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let plain = segment.replace("%3A", ":").replace("%3a", ":");
    Cow::Owned(plain.replace("%2F", "/").replace("%2f", "/"))
}

impl Shape {
    pub fn family(self) -> Family {
        match self {
            Self::Message | Self::MessageCount | Self::RawPredict { .. } => Family::Anthropic,
            Self::Generate { .. }
            | Self::GeminiEmbed { .. }
            | Self::GeminiCount
            | Self::GeminiPredict => Family::Gemini,
            Self::CohereChat { .. } | Self::CohereEmbed { .. } | Self::Rerank => Family::Cohere,
            Self::Converse { .. } | Self::Invoke { .. } => Family::Bedrock,
            _ => Family::OpenAi,
        }
    }

    /// Whether the body must be JSON.
    pub fn reads_json(self) -> bool {
        !matches!(self, Self::Echo | Self::ModelList) && self.keeps_body()
    }

    /// Whether the body is of interest; uploads are only counted.
    pub fn keeps_body(self) -> bool {
        !matches!(self, Self::Transcription | Self::File)
    }

    /// Whether this request asks this shape for a stream.
    pub fn streams(self, ask: &Ask<'_>) -> bool {
        match self {
            Self::Generate { streamed }
            | Self::Converse { streamed }
            | Self::Invoke { streamed }
            | Self::RawPredict { streamed } => streamed,
            Self::Chat
            | Self::Completion
            | Self::Response
            | Self::Message
            | Self::CohereChat { .. } => ask.streams(),
            _ => false,
        }
    }
}
