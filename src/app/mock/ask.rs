//! What a request asks of a provider, and the words and numbers every shape answers with.

use super::fault::Content;
use super::head::Head;
use super::upload::Body;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Content chunks of a stream when `chunks` does not say.
const CHUNKS: usize = 5;
/// Bytes of text, or of JSON, that count as a token.
const TOKEN_BYTES: u64 = 4;
/// An embedding has so many numbers when `dimensions` does not say, and at most so many.
const DIMENSIONS: usize = 16;
const DIMENSIONS_MAX: usize = 4096;
/// What long answers are made of.
const FILLER: &str = "All work and no play makes a “mock” a dull boy; 東京 says naïve. ";

/// One request, as far as it was read.
#[derive(Debug)]
pub struct Ask<'a> {
    pub head: &'a Head<'a>,
    pub body: &'a Body,
    pub fields: Fields<'a>,
    /// The model that the path names.
    pub path_model: Option<Cow<'a, str>>,
    pub content: &'a Content,
}

/// The few members of a request body that an answer depends on, of all shapes together.
#[derive(Debug, Default, Deserialize)]
pub struct Fields<'a> {
    #[serde(borrow)]
    pub model: Option<Cow<'a, str>>,
    pub stream: Option<bool>,
    pub stream_options: Option<StreamOptions>,
    #[serde(alias = "max_completion_tokens", alias = "max_output_tokens")]
    pub max_tokens: Option<u64>,
    #[serde(borrow)]
    pub messages: Option<&'a RawValue>,
    /// The input under its other names: prompt, contents (Gemini), message (Cohere).
    #[serde(
        borrow,
        alias = "prompt",
        alias = "contents",
        alias = "content",
        alias = "message"
    )]
    pub input: Option<&'a RawValue>,
    /// What is embedded or reranked in a list.
    #[serde(borrow, alias = "documents", alias = "requests", alias = "inputs")]
    pub texts: Option<&'a RawValue>,
    #[serde(borrow, alias = "toolConfig")]
    pub tools: Option<&'a RawValue>,
    #[serde(borrow)]
    pub encoding_format: Option<Cow<'a, str>>,
    #[serde(alias = "output_dimension", alias = "outputDimensionality")]
    pub dimensions: Option<usize>,
    pub top_n: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct StreamOptions {
    pub include_usage: Option<bool>,
}

/// Tokens in and out.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
}

impl Usage {
    pub fn total(self) -> u64 {
        self.input + self.output
    }
}

impl Ask<'_> {
    pub fn model(&self) -> &str {
        self.path_model
            .as_deref()
            .or(self.fields.model.as_deref())
            .unwrap_or("mock-model")
    }

    /// An id that is the same for the same body.
    pub fn id(&self, prefix: &str) -> String {
        format!("{prefix}mock{:08x}{:08x}", self.body.crc, self.body.count)
    }

    pub fn streams(&self) -> bool {
        self.fields.stream.unwrap_or(false)
    }

    /// The name of the request's first tool, when a call of it is wanted.
    pub fn tool(&self) -> Option<String> {
        let tools = self.fields.tools.filter(|_| self.content.tool)?.get();
        tools.match_indices("\"name\"").find_map(|(at, key)| {
            let value = tools
                .get(at + key.len()..)?
                .trim_start()
                .strip_prefix(':')?;
            let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
            values.next()?.ok()
        })
    }

    /// What a tool is called with.
    pub fn arguments(&self) -> String {
        format!(
            "{{\"query\":\"mock {:08x}\",\"city\":\"Zürich\"}}",
            self.body.crc
        )
    }

    /// The answer's text: the same for the same request, cut at `max_tokens` unless a fault sets
    /// its size.
    pub fn text(&self) -> String {
        if let Some(size) = self.content.size_bytes {
            return fill(String::new(), size);
        }
        let mut text = format!(
            "The mock read {} bytes for “{}” and answers {:08x}: naïve, 東京, \"quoted\"\n🚀.",
            self.body.count,
            self.model(),
            self.body.crc
        );
        if let Some(chunks) = self.content.chunks {
            let least = chunks.saturating_mul(4);
            return if text.len() < least {
                fill(text, least)
            } else {
                text
            };
        }
        if let Some(most) = self
            .fields
            .max_tokens
            .and_then(|tokens| tokens.checked_mul(TOKEN_BYTES))
        {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            text.truncate(text.floor_char_boundary(most));
        }
        text
    }

    /// Whether `max_tokens` cut the text.
    pub fn is_cut(&self, text: &str) -> bool {
        let most = self.fields.max_tokens.unwrap_or(u64::MAX);
        self.content.size_bytes.is_none() && self.content.chunks.is_none() && tokens(text) >= most
    }

    /// The text in as many parts as a stream has content chunks.
    pub fn cut<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let count = self.content.chunks.unwrap_or(CHUNKS);
        let mut rest = text;
        let mut parts = Vec::with_capacity(count);
        for left in (1..=count).rev() {
            let (part, after) = rest.split_at(rest.floor_char_boundary(rest.len().div_ceil(left)));
            if !part.is_empty() {
                parts.push(part);
            }
            rest = after;
        }
        parts
    }

    /// The usage, unless it is to be left out.
    pub fn usage(&self, output: &str) -> Option<Usage> {
        let usage = Usage {
            input: self.input_tokens(),
            output: tokens(output),
        };
        (!self.content.no_usage).then_some(usage)
    }

    pub fn input_tokens(&self) -> u64 {
        let fields = &self.fields;
        let raw = fields
            .messages
            .or(fields.input)
            .or(fields.texts)
            .map(|raw| raw.get());
        raw.map_or(self.body.count / TOKEN_BYTES, tokens).max(1)
    }

    /// How many texts there are to embed: one, or those of a list.
    pub fn inputs(&self) -> usize {
        let Some(raw) = self.fields.texts.or(self.fields.input) else {
            return 1;
        };
        let list: Result<Vec<&RawValue>, _> = serde_json::from_str(raw.get());
        match list {
            // A list of numbers is one text, already in tokens.
            Ok(list) if list.first().is_some_and(|first| !is_number(first.get())) => list.len(),
            _ => 1,
        }
    }

    /// A unit-sized vector, different for each index.
    pub fn embed(&self, index: usize) -> Vec<f32> {
        let count = self
            .fields
            .dimensions
            .unwrap_or(DIMENSIONS)
            .clamp(1, DIMENSIONS_MAX);
        let seed = u64::from(self.body.crc) + index as u64;
        let at = |place: usize| ((seed * 31 + place as u64 * 17) % 200) as f32 / 100.0 - 1.0;
        (0..count).map(at).collect()
    }
}

/// A text's tokens, about.
pub fn tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(TOKEN_BYTES)
}

fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first.is_ascii_digit() || first == '-')
}

fn fill(mut text: String, size: usize) -> String {
    while text.len() < size {
        text.push_str(FILLER);
    }
    text.truncate(text.floor_char_boundary(size));
    while text.len() < size {
        text.push('.');
    }
    text
}

/// Bytes in standard base64, as embeddings and Bedrock's events carry them.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| {
            word << 8 | u32::from(group.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = DIGITS
                .get((word >> (18 - 6 * at) & 63) as usize)
                .copied()
                .unwrap_or(b'=');
            text.push(if at > group.len() {
                '='
            } else {
                char::from(digit)
            });
        }
    }
    text
}
