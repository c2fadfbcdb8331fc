//! What an answer in Gemini's dialect used: thoughts are counted beside the output, tool results beside the prompt.

use serde::Deserialize;

use crate::dialect::count::{Count, Object, read_count};
use crate::dialect::tally::Field;
use crate::dialect::tree::Node;
use crate::llm::usage::Usage;

pub(in crate::dialect) static ROOT: Node = Node::root(&[
    Node::branch("candidates", CANDIDATE),
    Node::leaf("usageMetadata", Field::Whole(read)),
    Node::leaf("modelVersion", Field::Model),
    Node::leaf("error", Field::Error),
    Node::branch(
        "promptFeedback",
        &[Node::leaf("blockReason", Field::End(&[]))],
    ),
    // Interactions.
    Node::leaf(
        "event_type",
        Field::End(&["interaction.complete", "interaction.completed"]),
    ),
    Node::branch(
        "delta",
        &[
            Node::leaf("text", Field::Text),
            Node::leaf("arguments", Field::Text),
        ],
    ),
    Node::branch("interaction", INTERACTION),
    Node::leaf("usage", Field::Whole(read_interaction)),
    Node::leaf("model", Field::Model),
    // Vertex `predict`.
    Node::branch("predictions", PREDICTION),
    Node::branch(
        "metadata",
        &[Node::leaf(
            "tokenMetadata",
            Field::Whole(read_token_metadata),
        )],
    ),
]);

pub(in crate::dialect) const CANDIDATE: &[Node] = &[
    Node::branch("content", &[Node::branch("parts", PART)]),
    Node::leaf("finishReason", Field::End(&[])),
];

pub(in crate::dialect) const INTERACTION: &[Node] = &[
    Node::leaf("usage", Field::Whole(read_interaction)),
    Node::leaf("model", Field::Model),
];

const PART: &[Node] = &[
    Node::leaf("text", Field::Text),
    Node::leaf("functionCall", Field::Text),
    Node::leaf("executableCode", Field::Text),
    Node::leaf("inlineData", Field::Token),
];

pub(in crate::dialect) const PREDICTION: &[Node] = &[
    Node::branch(
        "embeddings",
        &[Node::branch(
            "statistics",
            &[Node::leaf("token_count", Field::Part(add_input))],
        )],
    ),
    Node::leaf("bytesBase64Encoded", Field::Count(Usage::add_image)),
];

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    prompt_token_count: Count,
    candidates_token_count: Count,
    response_token_count: Count,
    thoughts_token_count: Count,
    cached_content_token_count: Count,
    tool_use_prompt_token_count: Count,
    prompt_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Modality {
    modality: serde_json::Value,
    token_count: Count,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Interaction {
    total_input_tokens: Count,
    total_output_tokens: Count,
    total_thought_tokens: Count,
    total_reasoning_tokens: Count,
    total_cached_tokens: Count,
    total_tool_use_tokens: Count,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct TokenMetadata {
    input_token_count: Object<Total>,
    output_token_count: Object<Total>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Total {
    total_tokens: Count,
}

/// Reads `usageMetadata`; each one of a stream is the whole so far.
pub(in crate::dialect) fn read(raw: &[u8]) -> Option<Usage> {
    let wire: Wire = serde_json::from_slice(raw).ok()?;
    let read = wire.prompt_tokens_details.unwrap_or_default();
    let written = wire.candidates_tokens_details.unwrap_or_default();
    Some(Usage {
        input: add(
            wire.prompt_token_count.0,
            wire.tool_use_prompt_token_count.0,
        ),
        output: join(
            wire.candidates_token_count.or(wire.response_token_count).0,
            wire.thoughts_token_count.0,
        ),
        cached_input: wire.cached_content_token_count.0,
        reasoning: wire.thoughts_token_count.0,
        audio_input: sum_modality(&read, "AUDIO"),
        audio_output: sum_modality(&written, "AUDIO"),
        image_input: sum_modality(&read, "IMAGE"),
        image_output: sum_modality(&written, "IMAGE"),
        ..Usage::default()
    })
}

pub(in crate::dialect) fn read_interaction(raw: &[u8]) -> Option<Usage> {
    let wire: Interaction = serde_json::from_slice(raw).ok()?;
    let reasoning = wire.total_thought_tokens.or(wire.total_reasoning_tokens).0;
    Some(Usage {
        input: add(wire.total_input_tokens.0, wire.total_tool_use_tokens.0),
        output: join(wire.total_output_tokens.0, reasoning),
        cached_input: wire.total_cached_tokens.0,
        reasoning,
        ..Usage::default()
    })
}

fn read_token_metadata(raw: &[u8]) -> Option<Usage> {
    let wire: TokenMetadata = serde_json::from_slice(raw).ok()?;
    Some(Usage {
        input: wire.input_token_count.0.total_tokens.0,
        output: wire.output_token_count.0.total_tokens.0,
        ..Usage::default()
    })
}

/// Embeddings count the tokens of each text by itself.
fn add_input(usage: &mut Usage, raw: &[u8]) {
    usage.input = join(usage.input, read_count(raw));
}

/// A count and what comes on top of it.
fn add(count: Option<u64>, more: Option<u64>) -> Option<u64> {
    count.map(|count| count.saturating_add(more.unwrap_or_default()))
}

/// Two counts of which either may be absent.
fn join(first: Option<u64>, second: Option<u64>) -> Option<u64> {
    add(first, second).or(second)
}

fn sum_modality(details: &[Modality], name: &str) -> Option<u64> {
    let counts = details
        .iter()
        .filter(|part| part.modality == name)
        .map(|part| part.token_count.0);
    counts.fold(None, join)
}
