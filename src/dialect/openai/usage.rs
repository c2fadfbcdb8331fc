//! What an answer in OpenAI's dialect used: prompt counts include the cached tokens.

use serde::Deserialize;

use crate::dialect::count::{Amount, Count, Object, set_audio_length};
use crate::dialect::json::Cursor;
use crate::dialect::plain::{self, Plain, read_count, read_object};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::{Units, Usage};

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::leaf("usage", Field::Whole(read)),
    Node::branch(
        "x_groq",
        &[
            Node::leaf("usage", Field::Whole(read)),
            Node::leaf("error", Field::Error),
        ],
    ),
    Node::leaf("model", Field::Model),
    Node::leaf("error", Field::Error),
    Node::branch("choices", CHOICE),
    Node::leaf("type", Field::End(LAST_EVENTS)),
    // Responses, transcription and speech stream bare deltas; runs of assistants stream messages.
    Node::either(
        "delta",
        Field::Text,
        &[Node::branch("content", ASSISTANT_CONTENT)],
    ),
    Node::branch("response", RESPONSE),
    Node::branch(
        "output",
        &[
            Node::either("content", Field::Text, CONTENT),
            Node::leaf("arguments", Field::Text),
        ],
    ),
    Node::branch(
        "data",
        &[
            Node::leaf("b64_json", Field::Count(Usage::add_image)),
            Node::leaf("url", Field::Count(Usage::add_image)),
        ],
    ),
    // Transcriptions.
    Node::leaf("text", Field::Message),
    Node::leaf("duration", Field::Part(set_audio_length)),
]);

const LAST_EVENTS: &[&str] = &[
    "response.completed",
    "response.incomplete",
    "response.failed",
    "transcript.text.done",
    "speech.audio.done",
    "image_generation.completed",
    "image_edit.completed",
];

/// A choice of a chat or completion, whole or in pieces.
pub(in crate::dialect) const CHOICE: &[Node] = &[
    Node::branch("delta", DELTA),
    Node::branch("message", MESSAGE),
    Node::leaf("text", Field::Text),
    Node::leaf("finish_reason", Field::Finish),
];

const DELTA: &[Node] = &[
    Node::leaf("content", Field::Text),
    Node::leaf("reasoning_content", Field::Text),
    Node::leaf("reasoning", Field::Text),
    Node::leaf("refusal", Field::Text),
    Node::branch("tool_calls", &[Node::branch("function", FUNCTION)]),
    Node::branch("function_call", FUNCTION),
    Node::branch(
        "audio",
        &[
            Node::leaf("data", Field::Token),
            Node::leaf("transcript", Field::Text),
        ],
    ),
];

const MESSAGE: &[Node] = &[
    Node::leaf("content", Field::Message),
    Node::leaf("reasoning_content", Field::Message),
    Node::leaf("reasoning", Field::Message),
    Node::leaf("refusal", Field::Message),
    Node::branch(
        "tool_calls",
        &[Node::branch(
            "function",
            &[Node::leaf("arguments", Field::Message)],
        )],
    ),
];

const FUNCTION: &[Node] = &[
    Node::leaf("name", Field::Token),
    Node::leaf("arguments", Field::Text),
];

/// The response that the events of Responses carry; its text went before, in the deltas.
const RESPONSE: &[Node] = &[
    Node::leaf("usage", Field::Whole(read)),
    Node::leaf("model", Field::Model),
    Node::leaf("error", Field::Error),
];

const CONTENT: &[Node] = &[Node::leaf("text", Field::Message)];
const ASSISTANT_CONTENT: &[Node] = &[Node::branch("text", &[Node::leaf("value", Field::Text)])];

/// The usage object of chat, completions, Responses, embeddings, images and audio, and its dialects' extras.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    prompt_tokens: Count,
    input_tokens: Count,
    completion_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<Object<InputDetails>>,
    input_tokens_details: Option<Object<InputDetails>>,
    input_token_details: Option<Object<InputDetails>>,
    completion_tokens_details: Option<Object<OutputDetails>>,
    output_tokens_details: Option<Object<OutputDetails>>,
    output_token_details: Option<Object<OutputDetails>>,
    // DeepSeek, Moonshot and Together, Mistral: beside the details or in their place.
    prompt_cache_hit_tokens: Count,
    cached_tokens: Count,
    num_cached_tokens: Count,
    cache_creation_input_tokens: Count,
    reasoning_tokens: Count,
    // Mistral hears audio by the second, transcription by OpenAI and OpenRouter too.
    prompt_audio_seconds: Amount,
    seconds: Amount,
    // Perplexity and OpenRouter.
    num_search_queries: Count,
    search_units: Count,
    cost: Cost,
    // xAI, in ten-billionths of a dollar.
    cost_in_usd_ticks: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
    cache_creation_tokens: Count,
    cached_creation_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

impl Plain for Wire {
    fn read_member(&mut self, name: &[u8], from: &mut Cursor<'_>) -> Option<u32> {
        let (bit, count) = match name {
            b"prompt_tokens" => (0, &mut self.prompt_tokens),
            b"input_tokens" => (1, &mut self.input_tokens),
            b"completion_tokens" => (2, &mut self.completion_tokens),
            b"output_tokens" => (3, &mut self.output_tokens),
            b"total_tokens" => (4, &mut self.total_tokens),
            b"prompt_cache_hit_tokens" => (5, &mut self.prompt_cache_hit_tokens),
            b"cached_tokens" => (6, &mut self.cached_tokens),
            b"num_cached_tokens" => (7, &mut self.num_cached_tokens),
            b"cache_creation_input_tokens" => (8, &mut self.cache_creation_input_tokens),
            b"reasoning_tokens" => (9, &mut self.reasoning_tokens),
            b"num_search_queries" => (10, &mut self.num_search_queries),
            b"search_units" => (11, &mut self.search_units),
            b"cost_in_usd_ticks" => (12, &mut self.cost_in_usd_ticks),
            b"prompt_tokens_details" => {
                self.prompt_tokens_details = read_object(from)?;
                return Some(1 << 13);
            }
            b"input_tokens_details" => {
                self.input_tokens_details = read_object(from)?;
                return Some(1 << 14);
            }
            b"input_token_details" => {
                self.input_token_details = read_object(from)?;
                return Some(1 << 15);
            }
            b"completion_tokens_details" => {
                self.completion_tokens_details = read_object(from)?;
                return Some(1 << 16);
            }
            b"output_tokens_details" => {
                self.output_tokens_details = read_object(from)?;
                return Some(1 << 17);
            }
            b"output_token_details" => {
                self.output_token_details = read_object(from)?;
                return Some(1 << 18);
            }
            b"prompt_audio_seconds" | b"seconds" | b"cost" => return None,
            _ => return from.skip_value().map(|()| 0),
        };
        *count = read_count(from)?;
        Some(1 << bit)
    }
}

impl Plain for InputDetails {
    fn read_member(&mut self, name: &[u8], from: &mut Cursor<'_>) -> Option<u32> {
        let (bit, count) = match name {
            b"cached_tokens" => (0, &mut self.cached_tokens),
            b"cache_write_tokens" => (1, &mut self.cache_write_tokens),
            b"cache_creation_tokens" => (2, &mut self.cache_creation_tokens),
            b"cached_creation_tokens" => (3, &mut self.cached_creation_tokens),
            b"audio_tokens" => (4, &mut self.audio_tokens),
            b"image_tokens" => (5, &mut self.image_tokens),
            _ => return from.skip_value().map(|()| 0),
        };
        *count = read_count(from)?;
        Some(1 << bit)
    }
}

impl Plain for OutputDetails {
    fn read_member(&mut self, name: &[u8], from: &mut Cursor<'_>) -> Option<u32> {
        let (bit, count) = match name {
            b"reasoning_tokens" => (0, &mut self.reasoning_tokens),
            b"audio_tokens" => (1, &mut self.audio_tokens),
            b"image_tokens" => (2, &mut self.image_tokens),
            _ => return from.skip_value().map(|()| 0),
        };
        *count = read_count(from)?;
        Some(1 << bit)
    }
}

/// OpenRouter states a sum, Perplexity an object with its parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Cost {
    Sum(f64),
    Parts { total_cost: f64 },
    Other(serde::de::IgnoredAny),
}

impl Default for Cost {
    fn default() -> Self {
        Self::Other(serde::de::IgnoredAny)
    }
}

/// Ticks of xAI in a nano-dollar.
const TICKS_PER_NANO_USD: u64 = 10;

/// Reads a usage object; nothing if it is not one.
pub(in crate::dialect) fn read(raw: &[u8]) -> Option<Usage> {
    let wire: Wire = plain::read(raw).or_else(|| serde_json::from_slice(raw).ok())?;
    Some(wire.usage())
}

impl Wire {
    fn usage(self) -> Usage {
        let details = self
            .prompt_tokens_details
            .or(self.input_tokens_details)
            .or(self.input_token_details);
        let details = details.unwrap_or_default().0;
        let written = self
            .completion_tokens_details
            .or(self.output_tokens_details)
            .or(self.output_token_details);
        let written = written.unwrap_or_default().0;
        let reasoning = written.reasoning_tokens.or(self.reasoning_tokens).0;
        let total = self.total_tokens.0;
        let (input, output) = complete(
            self.prompt_tokens.or(self.input_tokens).0,
            self.completion_tokens.or(self.output_tokens).0,
            reasoning,
            total,
        );
        let cached = self
            .prompt_cache_hit_tokens
            .or(self.cached_tokens)
            .or(self.num_cached_tokens);
        let cache_write = details
            .cache_write_tokens
            .or(details.cache_creation_tokens)
            .or(details.cached_creation_tokens);
        Usage {
            input,
            output,
            cached_input: details.cached_tokens.or(cached).0,
            cache_write: cache_write.or(self.cache_creation_input_tokens).0,
            cache_write_1h: None,
            reasoning,
            audio_input: details.audio_tokens.0,
            audio_output: written.audio_tokens.0,
            image_input: details.image_tokens.0,
            image_output: written.image_tokens.0,
            units: Units {
                audio_ms: self
                    .prompt_audio_seconds
                    .in_thousandths()
                    .or(self.seconds.in_thousandths()),
                searches: self.num_search_queries.or(self.search_units).0,
                ..Units::default()
            },
            stated_cost_nano_usd: state_cost(&self.cost, self.cost_in_usd_ticks),
        }
    }
}

/// Input and output, made out of the total where the provider leaves one out of its own counts.
fn complete(
    input: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
    total: Option<u64>,
) -> (Option<u64>, Option<u64>) {
    match (input, output, total) {
        // xAI's chat counts reasoning beside the completion, as the total shows.
        (Some(read), Some(written), Some(total))
            if total != read.saturating_add(written)
                && Some(total)
                    == reasoning.and_then(|more| read.checked_add(written)?.checked_add(more)) =>
        {
            (input, Some(total - read))
        }
        (Some(read), None, Some(total)) => (input, total.checked_sub(read)),
        (None, None, Some(_)) => (total, None),
        _ => (input, output),
    }
}

fn state_cost(cost: &Cost, ticks: Count) -> Option<u64> {
    let dollars = match cost {
        Cost::Sum(sum) | Cost::Parts { total_cost: sum } => Some(*sum).filter(|sum| *sum >= 0.0),
        Cost::Other(_) => None,
    };
    // Resold Grok states 0 ticks for answers that are billed elsewhere.
    let ticks = ticks.0.filter(|ticks| *ticks > 0);
    ticks
        .map(|ticks| ticks.div_ceil(TICKS_PER_NANO_USD))
        .or(Amount(dollars).in_billionths())
}

#[cfg(test)]
mod tests;
